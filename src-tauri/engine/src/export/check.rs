//! The check of an export: every file is opened again, read back as its format says, and compared with what the database
//! itself counted and gave. A file that was edited since is named with what differs.

use std::collections::BTreeMap;
use std::fs::File as Disk;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use liftlock_rows::content::Content;

use super::bytes::Reader;
use super::manifest::{Entity, File, FileFormat, Manifest};
use super::{csv, documents, lines, sheets};
use crate::digest::{hex, sha256_of};
use crate::durable;
use crate::error::{Error, Result};
use crate::ports::{Reporter, Unit};
use crate::stores::tables::{Column, Holds};

/// What was compared and agreed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Checked {
    /// Files that were read back.
    pub files: u64,
    /// Rows in them.
    pub rows: u64,
}

/// Reads every file of the export in `folder` back.
///
/// # Errors
/// `export_differs` with the file and what differs; `broken_quotes`, `not_utf8`, `bad_row` with line and column;
/// `not_found` and its kin; what `reporter` answered.
pub fn check(folder: &Path, manifest: &Manifest, reporter: &dyn Reporter) -> Result<Checked> {
    let mut checked = Checked::default();
    // One file may hold several entities: its values say more than its bytes, and come first.
    let mut files = BTreeMap::new();
    for entity in &manifest.entities {
        for file in &entity.files {
            reporter.say(&format!("reading {}", file.file));
            check_file(folder, manifest, entity, file, reporter)?;
            checked.rows += entity.rows;
            files.insert(&file.file, (file.bytes, &file.sha256));
            files.extend(file.beside.iter().map(|it| (&it.file, (it.bytes, &it.sha256))));
        }
    }
    for (name, (bytes, sha256)) in &files {
        let path = path_of(folder, name)?;
        let found = sha256_of(&mut durable::open_no_follow(&path)?, &path, Some(*bytes), reporter)?;
        if found.0 != **sha256 {
            return Err(differs_in(name, "its bytes were changed since, though its values agree"));
        }
    }
    let kept = manifest.entities.iter().flat_map(Entity::folders).map(|it| it.1).sum::<u64>();
    checked.files = files.len() as u64 + kept;
    Ok(checked)
}

/// Where a file of an export is. One that would lie outside of its folder is refused.
///
/// # Errors
/// `not_an_export`.
pub fn path_of(folder: &Path, name: &str) -> Result<PathBuf> {
    let is_plain = Path::new(name).components().count() == 1 && !name.contains(['/', '\\']) && name != "..";
    if is_plain {
        return Ok(folder.join(name));
    }
    Err(Error::refused("not_an_export", format!("The manifest names a file outside of its folder: {name}."))
        .remedy("Use the folder as Liftlock wrote it."))
}

fn check_file(folder: &Path, manifest: &Manifest, entity: &Entity, file: &File, reporter: &dyn Reporter) -> Result<()> {
    let path = path_of(folder, &file.file)?;
    let columns: Vec<Column> = entity.columns.iter().map(as_column).collect();
    let mut seen = Seen { content: Content::new(&columns), bytes: Reader::new(folder, &entity.columns), entity, file };
    match file.format {
        FileFormat::Csv => {
            let disk = durable::open_no_follow(&path)?;
            read_csv(disk, &path, manifest.separator, &columns, &mut seen, reporter)?;
        }
        FileFormat::JsonLines => {
            read_lines(durable::open_no_follow(&path)?, &path, &columns, &mut seen, reporter)?;
        }
        FileFormat::JsonDocuments => documents::read(&path, file, &mut |number, members| {
            let row = lines::values(members, &columns).map_err(|why| documents::bad(&path, number, &why))?;
            seen.tell(&row, reporter)
        })?,
        FileFormat::Xlsx => {
            let mut place = |sheet: &str, head: &[Option<Vec<u8>>]| same_headings(&path, sheet, head, entity);
            sheets::read(&path, file, &columns, &mut place, &mut |row| seen.tell(row.values, reporter))?;
        }
    }
    let seen = seen.content.finish();
    let mut differs = Vec::new();
    if seen.rows != entity.rows {
        differs.push(format!("{} rows, {} in the database", seen.rows, entity.rows));
    }
    for (column, (filled, sum)) in entity.columns.iter().zip(seen.filled.iter().zip(&seen.sums)) {
        if *filled != column.filled {
            differs.push(format!("“{}” has {filled} values, {} in the database", column.label, column.filled));
        }
        let sum = sum.map(|it| it.to_string());
        if sum != column.sum {
            let said = |it: &Option<String>| it.clone().unwrap_or_else(|| "nothing".to_owned());
            differs.push(format!(
                "“{}” adds up to {}, {} in the database",
                column.label,
                said(&sum),
                said(&column.sum)
            ));
        }
    }
    if differs.is_empty() && hex(&seen.sha256) != entity.content_sha256 {
        differs.push("a value is another than the database gave".to_owned());
    }
    let mut differs = differs.into_iter();
    let Some(first) = differs.next() else { return Ok(()) };
    Err(differs.fold(differs_in(&file.file, &first), Error::detail))
}

fn differs_in(file: &str, what: &str) -> Error {
    Error::failed("export_differs", format!("{file} is not as it was exported: {what}."))
        .remedy("Export again into another folder. The application was not touched.")
}

fn same_headings(path: &Path, sheet: &str, head: &[Option<Vec<u8>>], entity: &Entity) -> Result<sheets::Places> {
    let is_same = head.len() == entity.columns.len()
        && head.iter().zip(&entity.columns).all(|(it, column)| it.as_deref() == Some(column.label.as_bytes()));
    if is_same {
        return Ok((0..head.len()).map(Some).collect());
    }
    let place = sheets::place_of(path, sheet, 1, None);
    Err(Error::failed("bad_row", format!("{place}: the headings are not those of the export."))
        .remedy("Export again into another folder. The application was not touched."))
}

fn as_column(it: &super::manifest::Column) -> Column {
    Column { name: it.column.clone(), data_type: it.data_type.clone(), holds: it.holds, generated: it.generated }
}

fn read_csv(
    disk: Disk,
    path: &Path,
    separator: char,
    columns: &[Column],
    seen: &mut Seen<'_>,
    reporter: &dyn Reporter,
) -> Result<()> {
    let separator = u8::try_from(separator).unwrap_or(b',');
    let mut reader = csv::Reader::new(BufReader::with_capacity(1 << 18, disk), path, separator);
    let wrong_width = |reader: &csv::Reader<'_, _>, at, found: usize| {
        let place = reader.place(at, found.min(columns.len()));
        Error::failed("bad_row", format!("{place}: the row has {found} fields where {} are expected.", columns.len()))
            .remedy("Correct the row, or save the file with the separator it was exported with.")
    };
    match reader.row()? {
        Some((at, head)) if head.len() != columns.len() => return Err(wrong_width(&reader, at, head.len())),
        _ => {}
    }
    while let Some((at, fields)) = reader.row()? {
        if fields.len() != columns.len() {
            return Err(wrong_width(&reader, at, fields.len()));
        }
        let value = |(field, column): (Option<Vec<u8>>, &Column)| match (field, column.holds) {
            (Some(word), Holds::Boolean) if word == b"true" => Some(b"t".to_vec()),
            (Some(word), Holds::Boolean) if word == b"false" => Some(b"f".to_vec()),
            (field, _) => field.map(csv::restored),
        };
        let row: Vec<_> = fields.into_iter().zip(columns).map(value).collect();
        seen.tell(&row, reporter)?;
    }
    Ok(())
}

fn read_lines(disk: Disk, path: &Path, columns: &[Column], seen: &mut Seen<'_>, reporter: &dyn Reporter) -> Result<()> {
    let mut reader = BufReader::with_capacity(1 << 18, disk);
    let (mut line, mut number) = (String::new(), 0_u64);
    loop {
        line.clear();
        number += 1;
        if reader.read_line(&mut line).map_err(|cause| Error::io("read", path, &cause))? == 0 {
            return Ok(());
        }
        let row = lines::read_row(line.trim_end_matches('\n'), columns).map_err(|why| {
            let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
            Error::failed("bad_row", format!("{name}, line {number}: {why}."))
                .remedy("Correct the line in a text editor; it must be one JSON object.")
        })?;
        seen.tell(&row, reporter)?;
    }
}

/// What was read back so far.
struct Seen<'e> {
    content: Content,
    bytes: Reader,
    entity: &'e Entity,
    file: &'e File,
}

impl Seen<'_> {
    fn tell(&mut self, row: &[Option<Vec<u8>>], reporter: &dyn Reporter) -> Result<()> {
        if self.bytes.is_plain() {
            self.content.take_read(row);
        } else {
            let mut row = row.to_vec();
            self.bytes.restore(&mut row).map_err(|(at, why)| {
                let label = &self.entity.columns[at].label;
                differs_in(&self.file.file, &format!("row {}, “{label}”: {why}", self.content.rows() + 1))
            })?;
            self.content.take_read(&row);
        }
        if self.content.rows().is_multiple_of(4096) {
            reporter.check()?;
            reporter.moved(self.content.rows(), None, Unit::Rows);
        }
        Ok(())
    }
}
