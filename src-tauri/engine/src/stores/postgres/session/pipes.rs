//! The ends of the pipes of psql, or of another client that reads statements, and an ear for what it says beside its answers.

use std::{
    io::{self, Read, Write},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, RecvTimeoutError, Sender},
    },
    thread,
    time::Duration,
};

use crate::error::{Error, Result};
use crate::ports::{Reporter, Unit};

/// How much of psql's words is kept, in bytes.
const KEPT_WORDS: usize = 32 * 1024;

/// What a session and the thread that runs its psql share.
#[derive(Debug, Default)]
pub(in crate::stores) struct Shared {
    pub(in crate::stores) stop: AtomicBool,
    words: Mutex<String>,
}

impl Shared {
    pub(in crate::stores) fn take_words(&self) -> String {
        std::mem::take(&mut *self.words.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// What the server added to an error, apart from the statement itself, which may hold data. psql writes it
    /// on another pipe, so it may come a little later.
    pub(super) fn hints(&self, state: &str) -> Vec<String> {
        for _ in 0..10 {
            let words = self.words.lock().unwrap_or_else(PoisonError::into_inner).clone();
            if words.contains("LOCATION:") && words.contains(state) {
                let is_hint = |line: &&str| line.starts_with("DETAIL:") || line.starts_with("HINT:");
                return words.lines().filter(is_hint).map(str::to_owned).collect();
            }
            thread::sleep(Duration::from_millis(10));
        }
        Vec::new()
    }
}

impl Reporter for Shared {
    fn moved(&self, _done: u64, _total: Option<u64>, _unit: Unit) {}
    fn say(&self, line: &str) {
        let mut words = self.words.lock().unwrap_or_else(PoisonError::into_inner);
        if words.len() < KEPT_WORDS {
            words.push_str(line);
            words.push('\n');
        }
    }
    fn check(&self) -> Result<()> {
        if self.stop.load(Ordering::Acquire) {
            return Err(Error::failed("cancelled", "The database session was ended."));
        }
        Ok(())
    }
}

/// psql's standard input. It says `Interrupted` now and then, so that whoever feeds psql sees that psql is gone.
pub(in crate::stores) struct Statements {
    words: Receiver<Vec<u8>>,
    now: Vec<u8>,
    at: usize,
}

impl Statements {
    pub(in crate::stores) fn new(words: Receiver<Vec<u8>>) -> Self {
        Self { words, now: Vec::new(), at: 0 }
    }
}

impl Read for Statements {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.at == self.now.len() {
            match self.words.recv_timeout(Duration::from_millis(100)) {
                Ok(next) => (self.now, self.at) = (next, 0),
                Err(RecvTimeoutError::Timeout) => return Err(io::ErrorKind::Interrupted.into()),
                Err(RecvTimeoutError::Disconnected) => return Ok(0),
            }
        }
        let length = into.len().min(self.now.len() - self.at);
        into[..length].copy_from_slice(&self.now[self.at..self.at + length]);
        self.at += length;
        Ok(length)
    }
}

/// psql's standard output.
pub(super) struct Answers(pub(super) Sender<Vec<u8>>);

impl Write for Answers {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // A session that was dropped does not listen, which is no reason to fail.
        let _ = self.0.send(bytes.to_vec());
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
