//! Pictures and other bytes in an export: as the database writes them, as base64, or each in a file of its own.
//!
//! What is compared is always what the database gave, so all of these stand for the same and are read back to it. A file is
//! named in the cell by its folder and its number; its ending says what its first bytes look like.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::check::path_of;
use super::file_stem;
use super::manifest::{BytesAs, BytesForm, Column as Described};
use crate::digest::hex;
use crate::durable;
use crate::error::{Error, Result};
use crate::stores::tables::{Column, Row};

/// Types of bytes, in the words of all databases.
const TYPES: &[&str] = &["bytea", "blob", "tinyblob", "mediumblob", "longblob", "binary", "varbinary", "image"];
/// How files begin, and what their names end with.
const ENDINGS: &[(&[u8], &str)] = &[
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"\xff\xd8\xff", "jpg"),
    (b"GIF8", "gif"),
    (b"%PDF-", "pdf"),
    (b"PK\x03\x04", "zip"),
    (b"<svg", "svg"),
    (b"\x1f\x8b", "gz"),
];

/// Whether a column holds bytes.
fn is_of_bytes(column: &Column) -> bool {
    let base = column.data_type.split('(').next().unwrap_or_default().trim().to_lowercase();
    TYPES.contains(&base.as_str())
}

/// What the text of a database stands for.
fn bytes_of(text: &[u8]) -> Option<Vec<u8>> {
    let digits = text.strip_prefix(b"\\x")?;
    let digit = |it: u8| char::from(it).to_digit(16).and_then(|it| u8::try_from(it).ok());
    let pair = |it: &[u8]| Some(digit(it[0])? * 16 + digit(it[1])?);
    digits.len().is_multiple_of(2).then(|| digits.chunks_exact(2).map(pair).collect()).flatten()
}

fn text_of(bytes: &[u8]) -> Vec<u8> {
    format!("\\x{}", hex(bytes)).into_bytes()
}

/// Writes the bytes of an entity.
pub(super) struct Writer {
    folder: PathBuf,
    entity: String,
    /// For each column of the files how it is written, where it holds bytes and is written otherwise.
    columns: Vec<Option<BytesAs>>,
}

impl Writer {
    pub(super) fn create(
        folder: &Path,
        (entity, stem): (&str, &str),
        columns: &[Column],
        form: BytesForm,
        taken: &mut BTreeSet<String>,
    ) -> Result<Self> {
        let mut all = Vec::new();
        for column in columns {
            all.push(match form {
                BytesForm::Base64 if is_of_bytes(column) => Some(BytesAs::Base64),
                BytesForm::Files if is_of_bytes(column) => {
                    let name = file_stem(&format!("{stem}-{}", column.name), taken);
                    durable::create_private_dir(&folder.join(&name))?;
                    Some(BytesAs::Files { folder: name, files: 0, bytes: 0 })
                }
                _ => None,
            });
        }
        Ok(Self { folder: folder.to_owned(), entity: entity.to_owned(), columns: all })
    }

    /// Whether every value stands as the database gave it.
    pub(super) fn is_plain(&self) -> bool {
        self.columns.iter().all(Option::is_none)
    }

    /// A row as the files have it.
    pub(super) fn row<'r>(&mut self, row: &'r Row<'_>, number: u64) -> Result<Vec<Option<Cow<'r, [u8]>>>> {
        let mut written = Vec::with_capacity(row.len());
        for (at, value) in row.iter().enumerate() {
            written.push(match (value.as_deref(), self.columns.get_mut(at).and_then(Option::as_mut)) {
                (Some(value), Some(kept)) => {
                    let bytes = bytes_of(value).ok_or_else(|| {
                        let what = format!("{}, row {number}: a column of bytes holds a text.", self.entity);
                        Error::refused("not_bytes", what)
                            .remedy("Export its bytes as the database has them: --bytes hex.")
                    })?;
                    Some(Cow::Owned(keep(&self.folder, kept, &bytes)?))
                }
                (value, _) => value.map(Cow::Borrowed),
            });
        }
        Ok(written)
    }

    /// For each column how its bytes were written.
    pub(super) fn finish(self) -> Result<Vec<Option<BytesAs>>> {
        for it in self.columns.iter().flatten() {
            if let BytesAs::Files { folder, .. } = it {
                durable::fsync_dir(&self.folder.join(folder))?;
            }
        }
        Ok(self.columns)
    }
}

/// Writes bytes down, and answers what stands for them in a cell.
fn keep(place: &Path, kept: &mut BytesAs, value: &[u8]) -> Result<Vec<u8>> {
    let BytesAs::Files { folder, files, bytes } = kept else { return Ok(STANDARD.encode(value).into_bytes()) };
    (*files, *bytes) = (*files + 1, *bytes + value.len() as u64);
    let ending = ENDINGS.iter().find(|(begin, _)| value.starts_with(begin)).map_or("bin", |it| it.1);
    let ending = if value.starts_with(b"RIFF") && value.get(8..12) == Some(b"WEBP") { "webp" } else { ending };
    let name = format!("{folder}/{files:06}.{ending}");
    let path = place.join(&name);
    let mut to = durable::create_private_file(&path)?;
    to.write_all(value).and_then(|()| to.sync_data()).map_err(|cause| Error::io("write", &path, &cause))?;
    Ok(name.into_bytes())
}

/// Reads them back to what the database gave.
#[derive(Debug)]
pub struct Reader {
    folder: PathBuf,
    columns: Vec<Option<BytesAs>>,
}

impl Reader {
    /// For files in `folder` with these columns.
    pub fn new(folder: &Path, columns: &[Described]) -> Self {
        Self { folder: folder.to_owned(), columns: columns.iter().map(|it| it.bytes.clone()).collect() }
    }

    /// Turns what stands in a row into what the database gave.
    ///
    /// # Errors
    /// The number of the column, and what is wrong in it, in words.
    pub fn restore(&self, row: &mut [Option<Vec<u8>>]) -> std::result::Result<(), (usize, String)> {
        for (at, kept) in self.columns.iter().enumerate() {
            let (Some(kept), Some(Some(value))) = (kept, row.get_mut(at)) else { continue };
            *value = text_of(&self.bytes(kept, value).map_err(|why| (at, why))?);
        }
        Ok(())
    }

    /// Whether there is anything to turn.
    pub fn is_plain(&self) -> bool {
        self.columns.iter().all(Option::is_none)
    }

    fn bytes(&self, kept: &BytesAs, value: &[u8]) -> std::result::Result<Vec<u8>, String> {
        let BytesAs::Files { folder, .. } = kept else {
            return STANDARD.decode(value.trim_ascii()).map_err(|_| "it is not base64".to_owned());
        };
        let said = String::from_utf8_lossy(value).replace('\\', "/");
        let wrong = || format!("“{said}” is no file in {folder}");
        let name = said.strip_prefix(&format!("{folder}/")).ok_or_else(wrong)?;
        let path = path_of(&self.folder.join(folder), name).map_err(|_| wrong())?;
        let mut bytes = Vec::new();
        let read = durable::open_no_follow(&path).map(|mut it| it.read_to_end(&mut bytes));
        if matches!(read, Ok(Ok(_))) { Ok(bytes) } else { Err(format!("the file {said} cannot be read")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_database_writes_is_read_as_bytes_and_nothing_else_is() {
        assert_eq!(bytes_of(b"\\x00ff0A"), Some(vec![0, 255, 10]));
        assert_eq!(bytes_of(b"\\x"), Some(Vec::new()));
        for wrong in [&b""[..], b"00ff", b"\\x0", b"\\xzz", b"x00"] {
            assert_eq!(bytes_of(wrong), None, "{}", String::from_utf8_lossy(wrong));
        }
        assert_eq!(text_of(&[0, 255, 10]), b"\\x00ff0a");
    }

    #[test]
    fn no_cell_leads_out_of_its_folder() {
        let place = tempfile::tempdir().unwrap();
        std::fs::create_dir(place.path().join("items-picture")).unwrap();
        std::fs::write(place.path().join("secret"), "x").unwrap();
        std::fs::write(place.path().join("items-picture/000001.png"), "y").unwrap();
        let kept = BytesAs::Files { folder: "items-picture".into(), files: 1, bytes: 1 };
        let reader = Reader { folder: place.path().to_owned(), columns: Vec::new() };
        assert_eq!(reader.bytes(&kept, b"items-picture/000001.png").as_deref(), Ok(&b"y"[..]));
        assert_eq!(reader.bytes(&kept, b"items-picture\\000001.png").as_deref(), Ok(&b"y"[..]), "a person on Windows");
        for wrong in
            ["../secret", "items-picture/../secret", "items-picture/../../etc/passwd", "/etc/passwd", "secret", ""]
        {
            assert!(reader.bytes(&kept, wrong.as_bytes()).is_err(), "{wrong}");
        }
        assert!(reader.bytes(&BytesAs::Base64, b"a b").is_err());
    }
}
