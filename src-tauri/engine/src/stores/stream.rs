//! Bytes on their way between disk and archive, watched: each piece is told and may be the last.

use std::{
    io::{self, Read},
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
};

use crate::error::{Error, Result};
use crate::ports::{Reporter, Unit};

/// How many bytes have passed in all of an act, whichever stream they went through.
#[derive(Debug)]
pub(crate) struct Passed {
    bytes: AtomicU64,
    total: Option<u64>,
}

impl Passed {
    /// None yet, of `total` where that is known.
    pub(crate) fn of(total: Option<u64>) -> Self {
        Self { bytes: AtomicU64::new(0), total }
    }
    /// So many more.
    pub(crate) fn more(&self, bytes: u64, reporter: &dyn Reporter) -> Result<()> {
        reporter.check()?;
        let done = self.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
        reporter.moved(done, self.total, Unit::Bytes);
        Ok(())
    }
}

/// A reader that tells and asks at each piece.
pub(crate) struct Watched<'a, R> {
    inner: R,
    passed: &'a Passed,
    reporter: &'a dyn Reporter,
}

impl<'a, R> Watched<'a, R> {
    pub(crate) fn new(inner: R, passed: &'a Passed, reporter: &'a dyn Reporter) -> Self {
        Self { inner, passed, reporter }
    }
}

impl<R: Read> Read for Watched<'_, R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(into)?;
        // Our own errors travel through foreign readers inside an io error; `unwrapped` takes them out.
        self.passed.more(read as u64, self.reporter).map_err(io::Error::other)?;
        Ok(read)
    }
}

/// The error of ours that an io error carries, or the io error itself as one of ours.
pub(crate) fn unwrapped(doing: &str, path: &Path, cause: io::Error) -> Error {
    let kind = cause.kind();
    match cause.downcast::<Error>() {
        Ok(ours) => ours,
        Err(cause) if kind == io::ErrorKind::Other => {
            // Readers of archives wrap: ours may be one deeper.
            match std::error::Error::source(&cause).and_then(|it| it.downcast_ref::<Error>()) {
                Some(ours) => ours.clone(),
                None => Error::io(doing, path, &cause),
            }
        }
        Err(cause) => Error::io(doing, path, &cause),
    }
}
