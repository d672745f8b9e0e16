//! The rows of an export as they are now: as they were written, or as a person edited them since.
//!
//! Each entity is read from one file: the one that was edited, where one was (a workbook holds several entities). Columns are known by their headings, so that
//! their order does not matter; what cannot be read is told with file, line and column.

use std::io::{BufRead, BufReader, Read, Seek};
use std::path::{Path, PathBuf};

use serde_json::value::RawValue;

use crate::digest::sha256_of;
use crate::durable;
use crate::error::{Error, Result};
use crate::export::bytes::Reader as Bytes;
use crate::export::check::path_of;
use crate::export::manifest::{Column as Described, Entity, File, FileFormat, Manifest};
use crate::export::{csv, documents, lines, sheets};
use crate::ports::Reporter;
use crate::stores::tables::{Column, Holds};

/// The heading of the column that says why a row did not come in; it is passed over when it is read again.
pub const WHY: &str = "Why it did not come in";

/// The file that an entity is read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input {
    /// Where it is.
    pub path: PathBuf,
    /// What the manifest says of it.
    pub file: File,
    /// Whether it is not as it was written.
    pub edited: bool,
    separator: u8,
    has_key: bool,
    columns: Vec<(Column, String)>,
    /// Which of them may be missing: nothing is brought in from them.
    optional: Vec<bool>,
    /// What the manifest says of them.
    described: Vec<Described>,
}

/// A row of a file.
#[derive(Debug)]
pub struct Row<'r> {
    /// Its number, from 1.
    pub number: u64,
    /// The line that it begins on; in a workbook the row of its sheet, among documents the number of its own.
    pub line: u64,
    /// For each column of the entity its value, as the database wrote it.
    pub values: &'r [Option<Vec<u8>>],
}

/// Which file of an entity is read.
///
/// # Errors
/// `edited_twice` where both were edited; `no_file`; what the disk answered.
pub fn choose(folder: &Path, manifest: &Manifest, entity: &Entity, reporter: &dyn Reporter) -> Result<Input> {
    let mut inputs = Vec::new();
    for file in &entity.files {
        let path = path_of(folder, &file.file)?;
        // One of two may have been removed.
        if !path.exists() {
            continue;
        }
        let is_edited = |path: &Path, bytes: u64, sha256: &str| {
            let found = sha256_of(&mut durable::open_no_follow(path)?, path, Some(bytes), reporter)?;
            Ok::<_, Error>(found.0 != sha256)
        };
        let mut edited = is_edited(&path, file.bytes, &file.sha256)?;
        if let Some(beside) = file.beside.as_ref().filter(|_| !edited) {
            edited = is_edited(&path_of(folder, &beside.file)?, beside.bytes, &beside.sha256)?;
        }
        inputs.push(Input {
            path,
            file: file.clone(),
            edited,
            has_key: !entity.key.is_empty(),
            separator: u8::try_from(manifest.separator).unwrap_or(b','),
            described: entity.columns.clone(),
            optional: entity.columns.iter().map(|it| it.generated || it.only_to_read).collect(),
            columns: entity
                .columns
                .iter()
                .map(|it| {
                    let column = Column {
                        name: it.column.clone(),
                        data_type: it.data_type.clone(),
                        holds: it.holds,
                        generated: it.generated,
                    };
                    (column, it.label.clone())
                })
                .collect(),
        });
    }
    match inputs.iter().filter(|it| it.edited).count() {
        0 => {
            // The one for programs tells nothing from an empty text whatever has opened it.
            inputs.sort_by_key(|it| match it.file.format {
                FileFormat::JsonLines => 0,
                FileFormat::Csv => 1,
                FileFormat::Xlsx => 2,
                FileFormat::JsonDocuments => 3,
            });
        }
        1 => inputs.retain(|it| it.edited),
        _ => {
            return Err(Error::refused(
                "edited_twice",
                format!("More than one file of {} was edited since.", entity.entity),
            )
            .remedy("Leave the one in the folder that shall come in, and move the others elsewhere."));
        }
    }
    inputs.into_iter().next().ok_or_else(|| {
        Error::refused("no_file", format!("No file of {} is in {}.", entity.entity, folder.display()))
            .remedy("Use the folder as `liftlock export` made it.")
    })
}

impl Input {
    /// Tells every row to `take`.
    ///
    /// # Errors
    /// `utf16`, `not_utf8`, `no_headings`, `column_missing`, `column_twice`, `broken_quotes`, `bad_row` with file, line and column;
    /// what `take` or the disk answered.
    pub fn each(&self, take: &mut dyn FnMut(&Row<'_>) -> Result<()>) -> Result<()> {
        let bytes = Bytes::new(self.path.parent().unwrap_or(&self.path), &self.described);
        if bytes.is_plain() {
            return self.each_as_written(take);
        }
        self.each_as_written(&mut |row| {
            let mut values = row.values.to_vec();
            bytes.restore(&mut values).map_err(|(at, why)| {
                let place = format!("{}, line {}, column {}", self.name(), row.line, self.columns[at].1);
                Error::failed("bad_row", format!("{place}: {why}."))
                    .remedy("Put the file into that folder and its name into the cell, or leave the cell empty.")
            })?;
            take(&Row { values: &values, ..*row })
        })
    }

    fn each_as_written(&self, take: &mut dyn FnMut(&Row<'_>) -> Result<()>) -> Result<()> {
        match self.file.format {
            FileFormat::Csv => self.each_of_csv(take),
            FileFormat::JsonLines => self.each_line(take),
            FileFormat::Xlsx => self.each_of_sheets(take),
            FileFormat::JsonDocuments => self.each_of_documents(take),
        }
    }

    /// What it is called.
    pub fn name(&self) -> String {
        self.path.file_name().unwrap_or(self.path.as_os_str()).to_string_lossy().into_owned()
    }

    fn each_line(&self, take: &mut dyn FnMut(&Row<'_>) -> Result<()>) -> Result<()> {
        let columns: Vec<Column> = self.columns.iter().map(|it| it.0.clone()).collect();
        let mut reader = BufReader::with_capacity(1 << 18, durable::open_no_follow(&self.path)?);
        let (mut text, mut line, mut number) = (Vec::new(), 0, 0);
        loop {
            text.clear();
            line += 1;
            if reader.read_until(b'\n', &mut text).map_err(|cause| Error::io("read", &self.path, &cause))? == 0 {
                return Ok(());
            }
            let bad = |why: String| {
                Error::failed("bad_row", format!("{}, line {line}: {why}.", self.name()))
                    .remedy("Correct the line in a text editor; it must be one JSON object in UTF-8.")
            };
            let words = std::str::from_utf8(&text).map_err(|_| bad("it is not UTF-8 text".to_owned()))?;
            if words.trim().is_empty() {
                continue;
            }
            number += 1;
            let values = lines::members(words.trim_end_matches('\n'));
            let values = values.and_then(|it| lines::values(self.completed(it), &columns)).map_err(bad)?;
            take(&Row { number, line, values: &values })?;
        }
    }

    fn each_of_csv(&self, take: &mut dyn FnMut(&Row<'_>) -> Result<()>) -> Result<()> {
        let mut disk = durable::open_no_follow(&self.path)?;
        let separator = self.separator_of(&mut disk)?;
        disk.rewind().map_err(|cause| Error::io("read", &self.path, &cause))?;
        let mut reader = csv::Reader::new(BufReader::with_capacity(1 << 18, disk), &self.path, separator);
        let head = reader.row()?.map(|(_, head)| headings(head)).unwrap_or_default();
        let places = self.places(&head, &format!("{}, line 1", self.name()))?;
        let mut number = 0;
        while let Some((at, fields)) = reader.row()? {
            // Editors leave empty lines and rows, most of them at the end. A row without a key may be one of nothing.
            if (self.has_key || fields.len() < head.len()) && fields.iter().all(Option::is_none) {
                continue;
            }
            if fields.len() != head.len() {
                let place = reader.place(at, fields.len().min(head.len()));
                return Err(Error::failed(
                    "bad_row",
                    format!("{place}: the row has {} fields where {} are expected.", fields.len(), head.len()),
                )
                .remedy("Correct the row: a field with a separator or a line break in it stands in quotes."));
            }
            number += 1;
            let mut fields: Vec<Option<Vec<u8>>> = fields;
            let values: Vec<_> = places
                .iter()
                .zip(&self.columns)
                .map(|(place, (column, _))| {
                    let field = place.and_then(|it| fields[it].take())?;
                    let word = field.to_ascii_lowercase();
                    Some(match (column.holds, word.as_slice()) {
                        (Holds::Boolean, b"true") => b"t".to_vec(),
                        (Holds::Boolean, b"false") => b"f".to_vec(),
                        _ => csv::restored(field),
                    })
                })
                .collect();
            take(&Row { number, line: at.line, values: &values })?;
        }
        Ok(())
    }

    fn each_of_documents(&self, take: &mut dyn FnMut(&Row<'_>) -> Result<()>) -> Result<()> {
        let columns: Vec<Column> = self.columns.iter().map(|it| it.0.clone()).collect();
        let mut number = 0;
        documents::read(&self.path, &self.file, &mut |line, members| {
            number += 1;
            let values = lines::values(self.completed(members), &columns);
            let values = values.map_err(|why| documents::bad(&self.path, line, &why))?;
            take(&Row { number, line, values: &values })
        })
    }

    /// What nothing is brought in from may be missing.
    fn completed(&self, mut members: documents::Members) -> documents::Members {
        for ((column, _), _) in self.columns.iter().zip(&self.optional).filter(|(_, it)| **it) {
            members.entry(column.name.clone()).or_insert_with(|| RawValue::NULL.to_owned());
        }
        members
    }

    fn each_of_sheets(&self, take: &mut dyn FnMut(&Row<'_>) -> Result<()>) -> Result<()> {
        let columns: Vec<Column> = self.columns.iter().map(|it| it.0.clone()).collect();
        let mut place = |sheet: &str, head: &[Option<Vec<u8>>]| {
            let place = sheets::place_of(&self.path, sheet, 1, None);
            if !head.iter().flatten().any(|it| self.column_called(it).is_some()) {
                return Err(self.no_headings(&place));
            }
            self.places(head, &place)
        };
        let mut number = 0;
        sheets::read(&self.path, &self.file, &columns, &mut place, &mut |row| {
            // As with CSV: a row without a key may be one of nothing.
            if self.has_key && !row.is_filled {
                return Ok(());
            }
            number += 1;
            take(&Row { number, line: row.line, values: row.values })
        })
    }

    /// What separates the fields, by the headings: programs that save a file choose for themselves.
    fn separator_of(&self, disk: &mut std::fs::File) -> Result<u8> {
        let mut begin = Vec::new();
        disk.take(1 << 16).read_to_end(&mut begin).map_err(|cause| Error::io("read", &self.path, &cause))?;
        if begin.starts_with(b"\xff\xfe") || begin.starts_with(b"\xfe\xff") || is_wide(&begin) {
            return Err(Error::failed(
                "utf16",
                format!("{}, line 1, column 1: the file is UTF-16, not UTF-8.", self.name()),
            )
            .remedy("Save the file again as “CSV UTF-8”, then try again."));
        }
        let known = |separator: u8| {
            let mut reader = csv::Reader::new(&begin[..], &self.path, separator);
            let head = reader.row().ok().flatten().map(|(_, head)| headings(head)).unwrap_or_default();
            head.iter().flatten().filter(|it| self.column_called(it).is_some()).count()
        };
        let separators = [self.separator, b',', b';', b'\t'];
        let best = separators.into_iter().rev().max_by_key(|it| known(*it)).unwrap_or(b',');
        if known(best) > 0 {
            return Ok(best);
        }
        Err(self.no_headings(&format!("{}, line 1", self.name())))
    }

    fn no_headings(&self, place: &str) -> Error {
        let expected: Vec<_> = self.columns.iter().map(|(_, label)| label.as_str()).collect();
        Error::failed("no_headings", format!("{place}: none of the headings is one of this export."))
            .remedy(format!("The first line must hold: {}. Is it a file from elsewhere?", expected.join(", ")))
    }

    fn column_called(&self, heading: &[u8]) -> Option<usize> {
        let heading = String::from_utf8_lossy(heading);
        let heading = heading.trim();
        let exact = self.columns.iter().position(|(column, label)| label == heading || column.name == heading);
        exact.or_else(|| self.columns.iter().position(|(_, label)| label.to_lowercase() == heading.to_lowercase()))
    }

    /// For each column of the entity where it stands in the file. One that nothing is brought in from may be missing.
    fn places(&self, head: &[Option<Vec<u8>>], line: &str) -> Result<Vec<Option<usize>>> {
        let mut places = vec![None; self.columns.len()];
        for (at, heading) in head.iter().enumerate() {
            let Some(column) = heading.as_deref().and_then(|it| self.column_called(it)) else { continue };
            if places[column].replace(at).is_some() {
                let place = format!("{line}, column {}", at + 1);
                return Err(Error::failed(
                    "column_twice",
                    format!("{place}: “{}” stands there twice.", self.columns[column].1),
                )
                .remedy("Take one of the two columns out, then try again."));
            }
        }
        for ((place, (_, label)), is_optional) in places.iter().zip(&self.columns).zip(&self.optional) {
            if place.is_none() && !is_optional {
                return Err(Error::failed("column_missing", format!("{line}: the column “{label}” is missing."))
                    .remedy(format!(
                        "Put the column “{label}” back, with its heading in the first line, then try again."
                    )));
            }
        }
        Ok(places)
    }

    /// The columns of the entity.
    pub fn columns(&self) -> &[(Column, String)] {
        &self.columns
    }
}

/// Every second byte of what is mostly Latin is zero there.
fn is_wide(begin: &[u8]) -> bool {
    let begin = &begin[..begin.len().min(64)];
    begin.iter().filter(|it| **it == 0).count() * 4 > begin.len()
}

/// The headings of a CSV file, which were made harmless like any text.
fn headings(head: csv::Fields) -> csv::Fields {
    head.into_iter().map(|it| it.map(csv::restored)).collect()
}
