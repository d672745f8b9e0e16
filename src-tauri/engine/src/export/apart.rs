//! Texts that no cell takes: whole in a file beside the workbook, a JSON text a line, and named in the cell by that line.

use std::fs::File as Disk;
use std::io::{self, BufRead, BufReader, BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::manifest::Beside;
use crate::digest::Hashing;
use crate::durable;
use crate::error::{Error, Result};

/// Letters of the text that its cell shows.
const SHOWN: usize = 200;

/// What stands in the cell of a text that is on `line` of the file.
fn words(text: &str, file: &str, line: u64) -> String {
    let shown: String =
        text.chars().filter(|it| !it.is_control() && *it != '_' && *it < '\u{fff0}').take(SHOWN).collect();
    format!("{shown}… [the whole text: {file}, line {line}]")
}

/// The line that such a cell names.
fn named(cell: &str, file: &str) -> Option<u64> {
    let line = cell.strip_suffix(']')?.rsplit_once(", line ")?;
    line.0.ends_with(&format!("… [the whole text: {file}")).then(|| line.1.parse().ok()).flatten()
}

/// Whether a text looks as if it were such a cell: it has to be kept apart itself.
pub(super) fn is_alike(text: &str, file: &str) -> bool {
    named(text, file).is_some()
}

/// Writes them. There is no file as long as there is no such text.
pub(super) struct Writer {
    path: PathBuf,
    name: String,
    to: Option<BufWriter<Hashing<Disk>>>,
    lines: u64,
}

impl Writer {
    pub(super) fn new(folder: &Path, name: String) -> Self {
        Self { path: folder.join(&name), name, to: None, lines: 0 }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Keeps a text and answers what its cell says.
    pub(super) fn keep(&mut self, text: &str) -> Result<String> {
        if self.to.is_none() {
            self.to = Some(BufWriter::with_capacity(1 << 18, Hashing::new(durable::create_private_file(&self.path)?)));
        }
        let failed = |cause: &io::Error| Error::io("write", &self.path, cause);
        if let Some(to) = &mut self.to {
            serde_json::to_writer(&mut *to, text).map_err(|cause| failed(&cause.into()))?;
            to.write_all(b"\n").map_err(|cause| failed(&cause))?;
        }
        self.lines += 1;
        Ok(words(text, &self.name, self.lines))
    }

    pub(super) fn finish(self) -> Result<Option<Beside>> {
        let Some(mut to) = self.to else { return Ok(None) };
        let failed = |cause: &io::Error| Error::io("write", &self.path, cause);
        to.flush().map_err(|cause| failed(&cause))?;
        let (disk, sha256, bytes) = to.into_inner().map_err(|cause| failed(cause.error()))?.finish();
        disk.sync_all().map_err(|cause| failed(&cause))?;
        Ok(Some(Beside { file: self.name, bytes, sha256, texts: self.lines }))
    }
}

/// Reads them by their lines.
pub(super) struct Reader {
    path: PathBuf,
    name: String,
    from: BufReader<Disk>,
    /// Where each line begins.
    begin: Vec<u64>,
}

impl Reader {
    pub(super) fn open(folder: &Path, name: &str) -> Result<Self> {
        let path = folder.join(name);
        let mut from = BufReader::with_capacity(1 << 16, durable::open_no_follow(&path)?);
        let (mut begin, mut at, mut line) = (Vec::new(), 0_u64, Vec::new());
        loop {
            line.clear();
            let read = from.read_until(b'\n', &mut line).map_err(|cause| Error::io("read", &path, &cause))?;
            if read == 0 {
                return Ok(Self { path, name: name.to_owned(), from, begin });
            }
            begin.push(at);
            at += read as u64;
        }
    }

    /// The text that a cell stands for, where it names one; `None` for a cell that says what it says.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub(super) fn text(&mut self, cell: &str) -> std::result::Result<Option<String>, String> {
        let Some(line) = named(cell, &self.name) else { return Ok(None) };
        let begin = line.checked_sub(1).and_then(|it| self.begin.get(usize::try_from(it).ok()?).copied());
        let begin = begin.ok_or_else(|| format!("{} has no line {line}", self.name))?;
        let mut text = Vec::new();
        let read = self.from.seek(SeekFrom::Start(begin)).and_then(|_| self.from.read_until(b'\n', &mut text));
        read.map_err(|cause| format!("{} cannot be read: {cause}", self.path.display()))?;
        let whole: String =
            serde_json::from_slice(&text).map_err(|_| format!("line {line} of {} is not a JSON text", self.name))?;
        if words(&whole, &self.name, line) != cell {
            return Err(format!(
                "a long text was changed in its cell or in {}, line {line}, but not in both: the cell must begin as the text does",
                self.name
            ));
        }
        Ok(Some(whole))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_found_again_by_what_its_cell_says() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = Writer::new(folder.path(), "shop-long-texts.jsonl".to_owned());
        let texts = ["x".repeat(100_000), "_x0041_\r\n\u{ffff}".to_owned(), String::new()];
        let cells: Vec<String> = texts.iter().map(|it| writer.keep(it).unwrap()).collect();
        assert!(cells.iter().all(|it| is_alike(it, "shop-long-texts.jsonl") && super::super::cells::fits(it)));
        let beside = writer.finish().unwrap().unwrap();
        assert_eq!(beside.texts, 3);
        let mut reader = Reader::open(folder.path(), &beside.file).unwrap();
        for (text, cell) in texts.iter().zip(&cells).rev() {
            assert_eq!(reader.text(cell).unwrap().as_deref(), Some(text.as_str()));
        }
        assert_eq!(reader.text("just a text").unwrap(), None);
        assert!(reader.text(&cells[0].replacen('x', "y", 1)).unwrap_err().contains("but not in both"));
        assert!(reader.text(&words("", &beside.file, 9)).unwrap_err().contains("no line 9"));
    }
}
