//! The check of an export: every file is opened again, read back as its format says, and compared with what the database
//! itself counted and gave. A file that was edited since is named with what differs.

use std::fs::File as Disk;
use std::io::{BufRead, BufReader, Seek};
use std::path::Path;

use super::content::Content;
use super::manifest::{Entity, File, FileFormat, Manifest};
use super::{csv, lines};
use crate::digest::sha256_of;
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
    for entity in &manifest.entities {
        for file in &entity.files {
            check_file(folder, manifest, entity, file, reporter)?;
            checked.files += 1;
            checked.rows += entity.rows;
        }
    }
    Ok(checked)
}

fn check_file(folder: &Path, manifest: &Manifest, entity: &Entity, file: &File, reporter: &dyn Reporter) -> Result<()> {
    let plain =
        Path::new(&file.file).components().count() == 1 && !file.file.contains(['/', '\\']) && file.file != "..";
    if !plain {
        return Err(Error::refused(
            "not_an_export",
            format!("The manifest names a file outside of its folder: {}.", file.file),
        )
        .remedy("Use the folder as Liftlock wrote it."));
    }
    let path = folder.join(&file.file);
    let mut disk = durable::open_no_follow(&path)?;
    let (sha256, _) = sha256_of(&mut disk, &path, Some(file.bytes), reporter)?;
    disk.rewind().map_err(|cause| Error::io("read", &path, &cause))?;
    let columns: Vec<Column> = entity.columns.iter().map(as_column).collect();
    let mut seen = Content::new(&columns);
    let read = match file.format {
        FileFormat::Csv => read_csv(disk, &path, manifest.separator, &columns, &mut seen, reporter),
        FileFormat::JsonLines => read_lines(disk, &path, &columns, &mut seen, reporter),
    };
    read?;
    let seen = seen.finish();
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
    if differs.is_empty() && seen.sha256 != entity.content_sha256 {
        differs.push("a value is another than the database gave".to_owned());
    }
    if differs.is_empty() && sha256 != file.sha256 {
        differs.push("its bytes were changed since, though its values agree".to_owned());
    }
    if differs.is_empty() {
        return Ok(());
    }
    let error = Error::failed("export_differs", format!("{} is not as it was exported: {}.", file.file, differs[0]))
        .remedy("Export again into another folder. The application was not touched.");
    Err(differs.into_iter().skip(1).fold(error, Error::detail))
}

fn as_column(it: &super::manifest::Column) -> Column {
    Column { name: it.column.clone(), data_type: it.data_type.clone(), holds: it.holds, generated: it.generated }
}

fn read_csv(
    disk: Disk,
    path: &Path,
    separator: char,
    columns: &[Column],
    seen: &mut Content,
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
        tell(seen, &row, reporter)?;
    }
    Ok(())
}

fn read_lines(disk: Disk, path: &Path, columns: &[Column], seen: &mut Content, reporter: &dyn Reporter) -> Result<()> {
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
        tell(seen, &row, reporter)?;
    }
}

fn tell(seen: &mut Content, row: &[Option<Vec<u8>>], reporter: &dyn Reporter) -> Result<()> {
    seen.take(row.iter().map(|it| it.as_deref()));
    if seen.rows().is_multiple_of(4096) {
        reporter.check()?;
        reporter.moved(seen.rows(), None, Unit::Rows);
    }
    Ok(())
}
