//! A compressed archive as it is read for a restore.

use std::{
    fs::File,
    io::{self, BufReader, Read},
    path::{Path, PathBuf},
};

use flate2::read::MultiGzDecoder;

use crate::digest::Hashing;
use crate::durable;
use crate::error::{Error, Result};
use crate::gzip;
use crate::ports::{Reporter, Unit};

/// The decompressed archive, hashed as it is read, which remembers that it was damaged.
pub(super) struct Source<'a> {
    from: MultiGzDecoder<BufReader<Hashing<File>>>,
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
        let from = gzip::reader(BufReader::with_capacity(1 << 20, Hashing::new(file)));
        Ok(Self { from, reporter, path: path.to_owned(), size, told: 0, damage: None })
    }

    /// Reads what pg_restore had no need of, to the last checksum, and answers with the hash of the whole file.
    pub(super) fn rest_and_hash(mut self, archive: &Path) -> Result<String> {
        let read = io::copy(&mut self, &mut io::sink());
        if let Some(damage) = self.damage.take() {
            return Err(damaged(archive).detail(damage));
        }
        read.map_err(|cause| Error::io("read", &self.path, &cause))?;
        let mut inner = self.from.into_inner();
        io::copy(&mut inner, &mut io::sink()).map_err(|cause| Error::io("read", archive, &cause))?;
        Ok(inner.into_inner().finish().1)
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
        let at = self.from.get_ref().get_ref().bytes();
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
