//! SHA-256 of what passes by: hashed while it is written, so that nothing is read twice.

use std::{
    fs::File,
    io::{self, Read, Write},
    path::Path,
};

use sha2::{Digest, Sha256};

use crate::error::{Error, Result};
use crate::ports::{Reporter, Unit};

/// How much is read from a file at once.
const CHUNK: usize = 1 << 18;

/// Bytes as lower-case hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]).map(|nibble| char::from(DIGITS[usize::from(nibble)])).collect()
}

/// The SHA-256 of `bytes`, in hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// Passes bytes on and hashes and counts them on the way.
pub struct Hashing<T> {
    inner: T,
    hash: Sha256,
    bytes: u64,
}

impl<T> std::fmt::Debug for Hashing<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hashing").field("bytes", &self.bytes).finish_non_exhaustive()
    }
}

impl<T> Hashing<T> {
    /// Hashes what goes to, or comes from, `inner`.
    pub fn new(inner: T) -> Self {
        Self { inner, hash: Sha256::new(), bytes: 0 }
    }
    /// How many bytes passed so far.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
    /// Gives back `inner`, the hash in hexadecimal and the number of bytes.
    pub fn finish(self) -> (T, String, u64) {
        (self.inner, hex(&self.hash.finalize()), self.bytes)
    }
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.hash.update(&bytes[..written]);
        self.bytes += written as u64;
        Ok(written)
    }
    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(into)?;
        self.hash.update(&into[..read]);
        self.bytes += read as u64;
        Ok(read)
    }
}

/// The SHA-256 of what is left to read in `file`, in hexadecimal, and its number of bytes. `path` is for
/// messages only. Bytes are told to `reporter`, which may stop it.
///
/// # Errors
/// What reading met, or what the reporter answered.
pub fn sha256_of(file: &mut File, path: &Path, total: Option<u64>, reporter: &dyn Reporter) -> Result<(String, u64)> {
    let mut hash = Sha256::new();
    let mut buffer = vec![0; CHUNK];
    let mut done = 0_u64;
    loop {
        reporter.check()?;
        let read = match file.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => read,
            Err(cause) if cause.kind() == io::ErrorKind::Interrupted => continue,
            Err(cause) => return Err(Error::io("read", path, &cause)),
        };
        hash.update(&buffer[..read]);
        done += read as u64;
        reporter.moved(done, total, Unit::Bytes);
    }
    Ok((hex(&hash.finalize()), done))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_of_nothing_is_the_published_one() {
        assert_eq!(sha256(b""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    }

    #[test]
    fn what_passes_by_is_hashed_and_counted_both_ways() {
        let mut writer = Hashing::new(Vec::new());
        writer.write_all(b"boat").unwrap();
        let (written, hash, bytes) = writer.finish();
        assert_eq!((written.as_slice(), hash.as_str(), bytes), (b"boat".as_slice(), sha256(b"boat").as_str(), 4));
        let mut reader = Hashing::new(b"boat".as_slice());
        io::copy(&mut reader, &mut io::sink()).unwrap();
        assert_eq!(reader.finish().1, hash);
    }
}
