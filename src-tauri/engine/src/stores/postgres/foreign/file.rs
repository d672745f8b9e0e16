//! A file of somebody else's, unpacked as it is read, with limits on what it may unfold to.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::bufread::MultiGzDecoder;
use uuid::Uuid;

use super::header::{ENOUGH, Sniffed, sniff};
use super::sql::refused;
use crate::digest::Hashing;
use crate::durable;
use crate::error::{Error, Result};
use crate::gzip::{self, BlockGzip};
use crate::ports::{Reporter, Unit};
use crate::space::{Needs, room};
use crate::stores::files::sweep_marked;

/// A dump of text and numbers packs 5 to 30 times; zeros pack a thousand times.
const MOST_RATIO: u64 = 200;
/// Below this nothing is called a bomb, in bytes.
const HARMLESS: u64 = 512 << 20;

type Raw = BufReader<Hashing<File>>;

enum From {
    Plain(Raw),
    Gzip(Box<MultiGzDecoder<Raw>>),
}

/// What is in a file, packed or not.
pub(super) struct Unpacked<'r> {
    from: From,
    reporter: &'r dyn Reporter,
    path: PathBuf,
    size: u64,
    raw: u64,
    /// What was read to know what it is, and not handed on yet.
    first: Vec<u8>,
    given: usize,
    harmless: u64,
    refused: Option<Error>,
}

impl<'r> Unpacked<'r> {
    pub(super) fn open(path: &Path, reporter: &'r dyn Reporter) -> Result<Self> {
        let file = super::open(path)?;
        let size = file.metadata().map_err(|cause| Error::io("read", path, &cause))?.len();
        let mut raw = BufReader::with_capacity(1 << 20, Hashing::new(file));
        let start = raw.fill_buf().map_err(|cause| Error::io("read", path, &cause))?;
        let is_packed = start.starts_with(b"\x1f\x8b");
        let from = if is_packed { From::Gzip(Box::new(MultiGzDecoder::new(raw))) } else { From::Plain(raw) };
        Ok(Self {
            from,
            reporter,
            path: path.to_owned(),
            size,
            raw: 0,
            first: Vec::new(),
            given: 0,
            harmless: HARMLESS,
            refused: None,
        })
    }

    pub(super) fn is_packed(&self) -> bool {
        matches!(self.from, From::Gzip(_))
    }

    /// The size of the file, in bytes.
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// How much was unpacked so far, in bytes.
    pub(super) fn raw(&self) -> u64 {
        self.raw
    }

    /// What it is; what is read next begins at the beginning all the same.
    pub(super) fn sniff(&mut self) -> Result<Sniffed> {
        let mut first = Vec::with_capacity(ENOUGH);
        let read = (&mut *self).take(ENOUGH as u64).read_to_end(&mut first);
        self.expect_good(None, read.map(|it| it as u64))?;
        let sniffed = sniff(&first)?;
        self.first = first;
        Ok(sniffed)
    }

    /// Whether all went well, whoever noticed it first.
    pub(super) fn expect_good(&mut self, also: Option<Error>, read: io::Result<u64>) -> Result<()> {
        if let Some(refused) = self.refused.take().or(also) {
            return Err(refused);
        }
        read.map(|_| ()).map_err(|cause| Error::io("read", &self.path, &cause))
    }

    fn packed(&self) -> u64 {
        match &self.from {
            From::Plain(raw) => raw.get_ref().bytes(),
            From::Gzip(gzip) => gzip.get_ref().get_ref().bytes(),
        }
    }

    fn next(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let before = self.packed();
        let read = match &mut self.from {
            From::Plain(raw) => raw.read(into),
            From::Gzip(gzip) => gzip.read(into),
        };
        let read = read.inspect_err(|cause| {
            if matches!(
                cause.kind(),
                io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput | io::ErrorKind::UnexpectedEof
            ) {
                let why = "The file is damaged or cut short: it cannot be unpacked.";
                self.refused = Some(refused("archive_damaged", why).because(cause));
            }
        })?;
        self.raw += read as u64;
        let packed = self.packed();
        if self.raw > self.harmless && self.raw / MOST_RATIO > packed {
            self.refused = Some(refused(
                "archive_bomb",
                "The file unfolds to far more than a dump of data does. Reading it was stopped.",
            ));
            return Err(io::Error::other("it unfolds to too much"));
        }
        if before >> 20 != packed >> 20 || read == 0 {
            self.reporter.moved(packed.min(self.size), Some(self.size), Unit::Bytes);
            if let Err(error) = self.reporter.check() {
                self.refused = Some(error);
                return Err(io::Error::other("stopped"));
            }
        }
        Ok(read)
    }
}

impl Read for Unpacked<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.given < self.first.len() {
            let given = into.len().min(self.first.len() - self.given);
            into[..given].copy_from_slice(&self.first[self.given..self.given + given]);
            self.given += given;
            return Ok(given);
        }
        self.next(into)
    }
}

/// What a folder of a file that is brought in is marked with.
const PURPOSE: &str = "brought-in";

/// A copy of the file where nobody else can change it, packed with gzip. Dropping it removes the copy.
#[derive(Debug)]
pub(in crate::stores::postgres) struct Staged {
    folder: PathBuf,
    pub(super) path: PathBuf,
    pub(super) sha256: String,
}

impl Staged {
    /// Copies `file` below `scratch`.
    ///
    /// # Errors
    /// `no_room`, what [`super::look`] says of a file that is none, what the disk answered.
    pub(in crate::stores::postgres) fn copy(file: &Path, scratch: &Path, reporter: &dyn Reporter) -> Result<Self> {
        let mut from = Unpacked::open(file, reporter)?;
        from.sniff()?;
        // A temporary server runs as another user, who passes through here; the copy lies in a folder closed to it.
        fs::create_dir_all(scratch).map_err(|cause| Error::io("create", scratch, &cause))?;
        sweep_marked(scratch, PURPOSE)?;
        let mut needs = Needs::new();
        needs.add(
            scratch,
            from.size().saturating_mul(if from.is_packed() { 12 } else { 3 }),
            "what the file unfolds to",
        );
        needs.check()?;
        let most = room(scratch)?.free;
        let folder = scratch.join(format!("{PURPOSE}-{}", Uuid::now_v7().simple()));
        durable::create_marked_dir(&folder, PURPOSE)?;
        let path = folder.join("file.gz");
        let mut staged = Self { folder, path: path.clone(), sha256: String::new() };
        let to = durable::create_private_file(&path)?;
        let failed = |cause: &io::Error| Error::io("write", &path, cause);
        let mut gzip = BlockGzip::new(to, gzip::default_workers()).map_err(|cause| failed(&cause))?;
        let copied = io::copy(&mut (&mut from).take(most), &mut gzip);
        from.expect_good(None, Ok(0))?;
        copied.map_err(|cause| failed(&cause))?;
        staged.sha256 = gzip.finish().map_err(|cause| failed(&cause))?.1.sha256;
        Ok(staged)
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        // What cannot be removed now is swept the next time.
        let _ = durable::remove_tree_that_we_made(&self.folder, PURPOSE);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::process::Silent;

    fn packed(text: &[u8]) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("dump.sql.gz");
        let mut gzip = flate2::write::GzEncoder::new(File::create(&path).unwrap(), flate2::Compression::best());
        gzip.write_all(text).unwrap();
        gzip.finish().unwrap();
        (dir, path)
    }

    #[test]
    fn what_unfolds_to_a_thousand_times_its_size_is_not_read_to_its_end() {
        let (_dir, path) = packed(&vec![b'\n'; 8 << 20]);
        let mut file = Unpacked { harmless: 1 << 20, ..Unpacked::open(&path, &Silent).unwrap() };
        let read = io::copy(&mut file, &mut io::sink());
        assert_eq!(file.expect_good(None, read).unwrap_err().class, "archive_bomb");
        assert!(file.raw() < 3 << 20, "{} bytes were unpacked", file.raw());
    }

    #[test]
    fn a_file_cut_short_is_told_from_one_that_ends() {
        let (_dir, path) = packed("SELECT 1;\n".repeat(9000).as_bytes());
        let whole = fs::read(&path).unwrap();
        for cut in [whole.len() - 1, whole.len() - 9, whole.len() / 2, 12] {
            fs::write(&path, &whole[..cut]).unwrap();
            let mut file = Unpacked::open(&path, &Silent).unwrap();
            let read = io::copy(&mut file, &mut io::sink());
            assert_eq!(file.expect_good(None, read).unwrap_err().class, "archive_damaged", "at {cut}");
        }
    }
}
