//! The files of an entity that hold text: CSV and JSON lines.

use std::fs::File as Disk;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use liftlock_rows::csv::put_row;

use super::manifest::{File, FileFormat};
use super::{csv, lines};
use crate::digest::Hashing;
use crate::durable;
use crate::error::{Error, Result};
use crate::stores::tables::{Column, Row};

/// Refuses a row with a value that is not UTF-8: it would not come back.
pub(super) fn text_alone(entity: &str, columns: &[Column], row: &Row<'_>, number: u64) -> Result<()> {
    let Some(at) = liftlock_rows::not_text(row) else { return Ok(()) };
    Err(Error::failed(
        "not_text",
        format!("{entity}, row {number}: the value of “{}” is not text in any known form.", columns[at].name),
    )
    .remedy("The database holds bytes that are not UTF-8 in a text column. Correct them there, then export again."))
}

/// A file that is being written.
pub(super) struct Writer {
    path: PathBuf,
    name: String,
    format: FileFormat,
    separator: u8,
    to: BufWriter<Hashing<Disk>>,
    /// A row, put together in memory: it has many small pieces.
    row: Vec<u8>,
}

impl Writer {
    pub(super) fn create(
        folder: &Path,
        stem: &str,
        format: FileFormat,
        labels: &[&str],
        separator: char,
    ) -> Result<Self> {
        let name = format!("{stem}.{}", format.extension());
        let path = folder.join(&name);
        let separator = u8::try_from(separator).unwrap_or(b',');
        let mut to = BufWriter::with_capacity(1 << 18, Hashing::new(durable::create_private_file(&path)?));
        if format == FileFormat::Csv {
            csv::write_head(&mut to, labels, separator).map_err(|cause| Error::io("write", &path, &cause))?;
        }
        Ok(Self { path, name, format, separator, to, row: Vec::new() })
    }

    pub(super) fn row(&mut self, columns: &[Column], row: &Row<'_>) -> Result<()> {
        self.row.clear();
        let put = match self.format {
            FileFormat::JsonLines => lines::put_row(&mut self.row, columns, row),
            FileFormat::Csv => {
                put_row(&mut self.row, columns, row, self.separator);
                Ok(())
            }
            FileFormat::Xlsx | FileFormat::JsonDocuments => Ok(()),
        };
        put.and_then(|()| self.to.write_all(&self.row)).map_err(|cause| Error::io("write", &self.path, &cause))
    }

    pub(super) fn finish(mut self) -> Result<File> {
        let failed = |cause: &io::Error| Error::io("write", &self.path, cause);
        self.to.flush().map_err(|cause| failed(&cause))?;
        let (disk, sha256, bytes) = self.to.into_inner().map_err(|cause| failed(cause.error()))?.finish();
        disk.sync_all().map_err(|cause| failed(&cause))?;
        Ok(File { bytes, sha256, ..File::of(self.name, self.format) })
    }
}
