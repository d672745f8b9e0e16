//! A compressed archive as it is read for a restore.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use crate::digest::Hashing;
use crate::durable;
use crate::error::{Error, Result};
use crate::gzip::{self, Gunzip};
use crate::ports::{Reporter, Unit};

/// The decompressed archive, hashed as it is read, which remembers that it was damaged.
pub(super) struct Source<'a> {
    from: Gunzip<Hashing<Counted>>,
    /// How much of the file was read.
    at: Arc<AtomicU64>,
    reporter: &'a dyn Reporter,
    pub(super) path: PathBuf,
    size: u64,
    told: u64,
    pub(super) damage: Option<String>,
}

impl<'a> Source<'a> {
    pub(super) fn open(path: &Path, reporter: &'a dyn Reporter) -> Result<Self> {
        let file = durable::open_no_follow(path)?;
        let size = file.metadata().map_err(|cause| Error::io("read", path, &cause))?.len();
        let at = Arc::new(AtomicU64::new(0));
        let counted = Hashing::new(Counted { file, at: Arc::clone(&at) });
        let from = Gunzip::new(counted, gzip::default_workers()).map_err(|cause| Error::io("read", path, &cause))?;
        Ok(Self { from, at, reporter, path: path.to_owned(), size, told: 0, damage: None })
    }

    /// Reads what pg_restore had no need of, to the last checksum, and answers with the hash of the whole file.
    pub(super) fn rest_and_hash(mut self, archive: &Path) -> Result<String> {
        let read = io::copy(&mut self, &mut io::sink());
        if let Some(damage) = self.damage.take() {
            return Err(damaged(archive).detail(damage));
        }
        read.map_err(|cause| Error::io("read", &self.path, &cause))?;
        let mut inner = self.from.into_inner().map_err(|cause| Error::io("read", archive, &cause))?;
        io::copy(&mut inner, &mut io::sink()).map_err(|cause| Error::io("read", archive, &cause))?;
        Ok(inner.finish().1)
    }
}

/// A file that tells how much of it was read, also while another thread reads it.
struct Counted {
    file: File,
    at: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(into)?;
        self.at.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

impl Read for Source<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.from.read(into).inspect_err(|cause| {
            let is_damage = |kind| {
                matches!(kind, io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput | io::ErrorKind::UnexpectedEof)
            };
            if is_damage(cause.kind()) {
                self.damage = Some(cause.to_string());
            }
        })?;
        let at = self.at.load(Ordering::Relaxed);
        if at >> 20 != self.told >> 20 || read == 0 {
            self.told = at;
            self.reporter.moved(at.min(self.size), Some(self.size), Unit::Bytes);
        }
        Ok(read)
    }
}

/// What is said of an archive that cannot be read to its end.
pub(super) fn damaged(archive: &Path) -> Error {
    Error::failed("archive_damaged", format!("The backup file {} is damaged or incomplete.", archive.display()))
        .remedy("Use another backup, and check the disk on which this one lies.")
}
