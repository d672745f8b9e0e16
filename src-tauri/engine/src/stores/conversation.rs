//! A client of a database that lives as long as a session with its server: what it is told goes to its standard input,
//! and what it answers comes as lines, of which no more than a few wait at a time, so that a slow taker makes the server wait.
//!
//! What is said and how an answer ends is the affair of whoever talks. An error ends the client, and so does its being
//! dropped, whatever it was about.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender, SyncSender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::postgres::{Shared, Statements};
use crate::error::{Error, Result};
use crate::ports::{Finished, Invocation, Patience, Pipes, Reporter, Runner};

/// How often whoever reports is asked whether to go on.
const LOOK: Duration = Duration::from_millis(200);
/// Pieces of the answer that may wait.
const WAITING: usize = 64;

/// A client and what it has answered.
pub(super) struct Conversation {
    to: Option<Sender<Vec<u8>>>,
    from: Receiver<Vec<u8>>,
    /// What was received and is not a whole line yet, from `at` on.
    rest: Vec<u8>,
    at: usize,
    shared: Arc<Shared>,
    client: Option<JoinHandle<Result<Finished>>>,
    /// A question is under way or was never answered.
    is_busy: bool,
}

/// How a client ended.
pub(super) enum Ended {
    /// With these last words, perhaps none.
    Saying(String),
    /// It could not be run.
    Failed(Error),
}

/// The client's standard output. Whoever does not take makes it wait; whoever went ends it.
struct Answers(SyncSender<Vec<u8>>);

impl Write for Answers {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.send(bytes.to_vec()).map_err(|_| io::ErrorKind::BrokenPipe)?;
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Conversation {
    /// Starts the client. Whether it comes to the server shows with the first question. `kept` is what must
    /// not go before it has.
    ///
    /// # Errors
    /// `io`.
    pub(super) fn start(invocation: Invocation, kept: impl Send + 'static, runner: Arc<dyn Runner>) -> Result<Self> {
        let shared = Arc::new(Shared::default());
        let (to, words) = mpsc::channel();
        let (answers, from) = mpsc::sync_channel(WAITING);
        let ear = Arc::clone(&shared);
        let run = move || {
            let (mut stdin, mut stdout) = (Statements::new(words), Answers(answers));
            let pipes = Pipes { stdin: Some(&mut stdin), stdout: Some(&mut stdout) };
            // Whoever asks says how long it may take.
            let patience = Patience { deadline: Duration::from_secs(366 * 24 * 3600), stall_after: None };
            let ended = runner.pipe(&invocation, pipes, patience, &[], ear.as_ref());
            drop(kept);
            ended
        };
        let client = thread::Builder::new().name("database".into()).spawn(run).map_err(|cause| {
            Error::failed("io", "A thread for the database session could not be started.")
                .remedy("Close other programs, then try again.")
                .because(&cause)
        })?;
        Ok(Self { to: Some(to), from, rest: Vec::new(), at: 0, shared, client: Some(client), is_busy: false })
    }

    /// Says something to it; no where it is gone.
    pub(super) fn say(&mut self, text: Vec<u8>) -> bool {
        self.to.as_ref().is_some_and(|to| to.send(text).is_ok())
    }

    /// Whether an answer is waited for. A client that drops an answer in the middle is ended, and not waited for.
    pub(super) fn expects(&mut self, an_answer: bool) {
        self.is_busy = an_answer;
    }

    /// Nothing more is asked: it ends at once.
    pub(super) fn stop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        self.to = None;
    }

    /// The next line of the answer; the outer error is what `reporter` said, the inner one that the client ended.
    pub(super) fn line(&mut self, reporter: &dyn Reporter) -> Result<Result<Vec<u8>, Ended>> {
        let mut looked = self.at;
        loop {
            if let Some(end) = self.rest[looked..].iter().position(|byte| *byte == b'\n') {
                let line = self.rest[self.at..looked + end].to_vec();
                self.at = looked + end + 1;
                return Ok(Ok(line));
            }
            self.rest.drain(..self.at);
            (self.at, looked) = (0, self.rest.len());
            match self.from.recv_timeout(LOOK) {
                Ok(bytes) => self.rest.extend(bytes),
                Err(RecvTimeoutError::Timeout) => reporter.check()?,
                Err(RecvTimeoutError::Disconnected) => return Ok(Err(self.ended())),
            }
        }
    }

    /// Why the client ended. The conversation is over from here on.
    pub(super) fn ended(&mut self) -> Ended {
        self.to = None;
        let ended = self.client.take().map(JoinHandle::join);
        let words = self.shared.take_words();
        match ended {
            Some(Ok(Err(error))) if words.is_empty() => Ended::Failed(error),
            _ => Ended::Saying(words),
        }
    }
}

impl Drop for Conversation {
    fn drop(&mut self) {
        // An idle client ends by itself when its input does.
        self.to = None;
        self.shared.stop.fetch_or(self.is_busy, Ordering::AcqRel);
        // What still comes is not taken, so that the client ends at once, and the server hears of it.
        let (_, nothing) = mpsc::sync_channel(0);
        drop(std::mem::replace(&mut self.from, nothing));
        if let Some(client) = self.client.take() {
            let _ = client.join();
        }
    }
}
