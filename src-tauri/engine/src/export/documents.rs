//! JSON documents: an array with a document for each row, in which lie the rows of other entities that belong to it.
//!
//! Rows that belong to others come first and wait on disk in the order in which the others will come, so that no more than
//! a document is in memory. One that belongs to nothing gets a document of its own, at the end, with nothing else in it.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File as Disk;
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use liftlock_rows::lines::put_members;
use serde::Deserializer as _;
use serde::de::{Error as _, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::lines;
use super::manifest::{File, FileFormat};
use crate::digest::Hashing;
use crate::durable;
use crate::error::{Error, Result};
use crate::stores::tables::{Column, Row};

/// A document as it stands in a file: its members.
pub type Members = BTreeMap<String, Box<RawValue>>;

/// Rows that wait: what each names on a line, and itself on the next.
pub(super) struct Waiting {
    path: PathBuf,
    to: BufWriter<Disk>,
    by: usize,
}

impl Waiting {
    pub(super) fn create(path: PathBuf, by: usize) -> Result<Self> {
        let to = BufWriter::with_capacity(1 << 18, durable::create_private_file(&path)?);
        Ok(Self { path, to, by })
    }

    pub(super) fn row(&mut self, columns: &[Column], row: &Row<'_>) -> Result<()> {
        let named = row.get(self.by).and_then(|it| it.as_deref()).map(String::from_utf8_lossy);
        let written = serde_json::to_writer(&mut self.to, &named).map_err(io::Error::from).and_then(|()| {
            let mut line = vec![b'\n'];
            lines::put_row(&mut line, columns, row)?;
            self.to.write_all(&line)
        });
        written.map_err(|cause| Error::io("write", &self.path, &cause))
    }

    /// The rows, to be taken by the documents that they belong to: those that are named in the column `at` there.
    pub(super) fn finish(self, member: String, at: usize) -> Result<Part> {
        let Self { path, to, .. } = self;
        to.into_inner().map_err(|cause| Error::io("write", &path, cause.error()))?;
        let from = BufReader::with_capacity(1 << 18, durable::open_no_follow(&path)?);
        let mut part = Part { path, from, member, at, next: None };
        part.turn()?;
        Ok(part)
    }
}

/// Rows that belong to documents.
pub(super) struct Part {
    path: PathBuf,
    from: BufReader<Disk>,
    member: String,
    at: usize,
    /// What the next one names, and itself.
    next: Option<(Option<String>, String)>,
}

impl Part {
    pub(super) fn member(&self) -> &str {
        &self.member
    }

    fn turn(&mut self) -> Result<()> {
        let failed = |cause: &io::Error| Error::io("read", &self.path, cause);
        let (mut named, mut row) = (String::new(), String::new());
        if self.from.read_line(&mut named).map_err(|cause| failed(&cause))? == 0 {
            self.next = None;
            return Ok(());
        }
        self.from.read_line(&mut row).map_err(|cause| failed(&cause))?;
        let named = serde_json::from_str(&named).map_err(|cause| failed(&cause.into()))?;
        self.next = Some((named, row.trim_end_matches('\n').to_owned()));
        Ok(())
    }

    /// Writes the member with all rows that name `key`.
    fn write(&mut self, to: &mut dyn Write, key: Option<&str>) -> Result<()> {
        let failed = |cause: &io::Error| Error::io("write", &self.path, cause);
        let begin = serde_json::to_writer(&mut *to, &self.member).map_err(io::Error::from);
        begin.and_then(|()| to.write_all(b":[")).map_err(|cause| failed(&cause))?;
        let mut first = true;
        while let Some((_, row)) = self.next.take_if(|(named, _)| named.as_deref() == key && key.is_some()) {
            let comma: &[u8] = if first { b"" } else { b"," };
            first = false;
            to.write_all(comma)
                .and_then(|()| to.write_all(row.as_bytes()))
                .map_err(|cause| Error::io("write", &self.path, &cause))?;
            self.turn()?;
        }
        to.write_all(b"]").map_err(|cause| Error::io("write", &self.path, &cause))
    }
}

/// Writes the documents of an entity.
pub(super) struct Writer {
    path: PathBuf,
    name: String,
    to: BufWriter<Hashing<Disk>>,
    parts: Vec<Part>,
    any: bool,
}

impl Writer {
    pub(super) fn create(folder: &Path, stem: &str, parts: Vec<Part>) -> Result<Self> {
        let name = format!("{stem}.{}", FileFormat::JsonDocuments.extension());
        let path = folder.join(&name);
        let to = BufWriter::with_capacity(1 << 18, Hashing::new(durable::create_private_file(&path)?));
        Ok(Self { path, name, to, parts, any: false })
    }

    fn begin(&mut self) -> io::Result<()> {
        let begin: &[u8] = if self.any { b",\n" } else { b"[\n" };
        self.any = true;
        self.to.write_all(begin)
    }

    pub(super) fn row(&mut self, columns: &[Column], row: &Row<'_>) -> Result<()> {
        let mut members = vec![b'{'];
        let mut any = self
            .begin()
            .and_then(|()| put_members(&mut members, columns, row).map_err(io::Error::other))
            .and_then(|any| self.to.write_all(&members).map(|()| any))
            .map_err(|cause| Error::io("write", &self.path, &cause))?;
        for part in &mut self.parts {
            if std::mem::replace(&mut any, true) {
                self.to.write_all(b",").map_err(|cause| Error::io("write", &self.path, &cause))?;
            }
            let key = row.get(part.at).and_then(|it| it.as_deref()).map(String::from_utf8_lossy);
            part.write(&mut self.to, key.as_deref())?;
        }
        self.to.write_all(b"}").map_err(|cause| Error::io("write", &self.path, &cause))
    }

    pub(super) fn finish(mut self) -> Result<File> {
        for mut part in std::mem::take(&mut self.parts) {
            while let Some((named, row)) = part.next.take() {
                if let Some(named) = named {
                    let what = format!("{} name “{named}”, which is not there.", part.member);
                    return Err(Error::failed("export_differs", what)
                        .remedy("Correct it in the database, or export into another form than documents."));
                }
                let written = self.begin().and_then(|()| {
                    self.to.write_all(b"{")?;
                    serde_json::to_writer(&mut self.to, &part.member)?;
                    write!(self.to, ":[{row}]}}")
                });
                written.map_err(|cause| Error::io("write", &self.path, &cause))?;
                part.turn()?;
            }
            std::fs::remove_file(&part.path).map_err(|cause| Error::io("remove", &part.path, &cause))?;
        }
        let end: &[u8] = if self.any { b"\n]\n" } else { b"[]\n" };
        let failed = |cause: &io::Error| Error::io("write", &self.path, cause);
        self.to.write_all(end).and_then(|()| self.to.flush()).map_err(|cause| failed(&cause))?;
        let (disk, sha256, bytes) = self.to.into_inner().map_err(|cause| failed(cause.error()))?.finish();
        disk.sync_all().map_err(|cause| failed(&cause))?;
        Ok(File { bytes, sha256, ..File::of(self.name, FileFormat::JsonDocuments) })
    }
}

/// Tells the rows of an entity to `take`, each with the number of its document: those of the documents themselves, or those
/// that lie in them where `file` says so.
///
/// # Errors
/// `bad_row` with the document, or with line and column; what `take` or the disk answered.
pub fn read(path: &Path, file: &File, take: &mut dyn FnMut(u64, Members) -> Result<()>) -> Result<()> {
    let from = BufReader::with_capacity(1 << 18, durable::open_no_follow(path)?);
    let mut refused = None;
    let mut number = 0;
    let mut document = |mut members: Members| {
        number += 1;
        let Some(own) = &file.member else {
            members.retain(|it, _| !file.parts.contains(it));
            // What lies in nothing has a document of its own.
            let is_own = members.is_empty() && !file.parts.is_empty();
            return if is_own { Ok(()) } else { take(number, members) };
        };
        let Some(rows) = members.remove(own) else { return Ok(()) };
        let rows: Vec<Members> = serde_json::from_str(rows.get())
            .map_err(|cause| bad(path, number, &format!("“{own}” is no list of objects ({cause})")))?;
        rows.into_iter().try_for_each(|it| take(number, it))
    };
    let each = Each { document: &mut document, refused: &mut refused };
    let mut reader = serde_json::Deserializer::from_reader(from);
    let done = reader.deserialize_seq(each).and_then(|()| reader.end());
    if let Some(error) = refused {
        return Err(error);
    }
    done.map_err(|cause| {
        let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
        let place = format!("{name}, line {}, column {}", cause.line(), cause.column());
        Error::failed("bad_row", format!("{place}: it is no list of JSON objects."))
            .remedy("Correct it there in a text editor; quotes, commas and brackets must be as JSON has them.")
            .because(&cause)
    })
}

/// `orders.json, document 12: …`.
pub fn bad(path: &Path, document: u64, what: &str) -> Error {
    let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
    Error::failed("bad_row", format!("{name}, document {document}: {what}."))
        .remedy("Correct the document in a text editor, then try again.")
}

struct Each<'e> {
    document: &'e mut dyn FnMut(Members) -> Result<()>,
    refused: &'e mut Option<Error>,
}

impl<'de> Visitor<'de> for Each<'_> {
    type Value = ();

    fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str("a list of objects")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> std::result::Result<(), A::Error> {
        while let Some(members) = seq.next_element::<Members>()? {
            if let Err(error) = (self.document)(members) {
                *self.refused = Some(error);
                return Err(A::Error::custom("refused"));
            }
        }
        Ok(())
    }
}
