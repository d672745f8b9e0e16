//! The rows that did not come in, as an export of their own: each with the reason, to be corrected and brought in again.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufWriter, Write};
use std::path::Path;

use liftlock_rows::csv::as_field;

use super::read::{Input, WHY};
use crate::digest::Hashing;
use crate::durable;
use crate::error::{Error, Result};
use crate::export::csv;
use crate::export::manifest::{Column, Entity, File, FileFormat, Manifest};
use crate::export::{MANIFEST, file_stem};
use crate::stores::intake::Trouble;

/// Where a row that did not come in stands.
pub type Lines = BTreeMap<u64, u64>;

/// Writes the rows with trouble of an entity, and answers what the manifest says of it and the line of each row.
///
/// # Errors
/// What the disk answered.
pub fn write(
    folder: &Path,
    entity: &Entity,
    input: &Input,
    separator: char,
    taken: &mut BTreeSet<String>,
    troubles: &[Trouble],
) -> Result<(Entity, Lines)> {
    let by_number: BTreeMap<u64, &Trouble> = troubles.iter().map(|it| (it.n, it)).collect();
    let name = format!("{}.csv", file_stem(&entity.entity, taken));
    let path = folder.join(&name);
    let separator = u8::try_from(separator).unwrap_or(b',');
    let failed = |cause: &std::io::Error| Error::io("write", &path, cause);
    let mut to = BufWriter::new(Hashing::new(durable::create_private_file(&path)?));
    let mut headings: Vec<&str> = input.columns().iter().map(|(_, label)| label.as_str()).collect();
    headings.push(WHY);
    csv::write_head(&mut to, &headings, separator).map_err(|cause| failed(&cause))?;
    let mut lines = Lines::new();
    let mut rows = 0;
    input.each(&mut |row| {
        let Some(trouble) = by_number.get(&row.number) else { return Ok(()) };
        lines.insert(row.number, row.line);
        rows += 1;
        let why = sentence(trouble);
        let values = row.values.iter().zip(input.columns());
        let values = values.map(|(value, (column, _))| Some(as_field(column.holds, value.as_deref()?)));
        let values = values.chain(std::iter::once(Some((why.as_bytes(), false))));
        csv::write_row(&mut to, values, separator).map_err(|cause| failed(&cause))
    })?;
    to.flush().map_err(|cause| failed(&cause))?;
    let (disk, sha256, bytes) = to.into_inner().map_err(|cause| failed(cause.error()))?.finish();
    disk.sync_all().map_err(|cause| failed(&cause))?;
    let file = File { bytes, sha256, ..File::of(name, FileFormat::Csv) };
    // Bytes stand there as the database has them, whatever they were read from.
    let columns = entity.columns.iter().map(|it| Column { bytes: None, ..it.clone() }).collect();
    let content_sha256 = String::new();
    Ok((Entity { rows, files: vec![file], content_sha256, columns, ..entity.clone() }, lines))
}

/// Writes the manifest of the rest: the same export, with what did not come in alone.
///
/// # Errors
/// What the disk answered.
pub fn write_manifest(folder: &Path, manifest: &Manifest, entities: Vec<Entity>) -> Result<()> {
    let rest = Manifest { entities, ..manifest.clone() };
    let text = serde_json::to_vec_pretty(&rest)
        .map_err(|cause| Error::bug("bad_manifest", "The manifest cannot be written.").because(&cause))?;
    durable::write(&folder.join(MANIFEST), &text)
}

/// Why a row did not come in, with the column.
pub fn sentence(trouble: &Trouble) -> String {
    match &trouble.col {
        Some(column) => format!("{column}: {}", trouble.why),
        None => trouble.why.clone(),
    }
}
