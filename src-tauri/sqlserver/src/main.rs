//! `liftlock-sqlserver`: the client that Liftlock asks databases of SQL Server with, as it asks others with the server's own.
//!
//! Standard input holds a line of JSON that says where the database is and who we are there, then a line for each statement,
//! a text of JSON. Standard output holds the rows of each as `COPY` of PostgreSQL writes them, and `\.` where they end. The
//! first error ends the session: it is a line of JSON on standard error. When the input ends so does the program, whatever
//! is under way. Nothing of it stands in arguments or in the environment. Deliberately absent: parameters, several result
//! sets in one answer, and words for people, which are the engine's.

mod cell;
mod failure;
mod request;
mod session;

use std::collections::VecDeque;
use std::io::{self, BufRead, Write};
use std::pin::pin;
use std::process::ExitCode;

use tokio::sync::mpsc::{self, UnboundedReceiver};

use self::failure::Failure;
use self::request::Request;
use self::session::Session;

fn main() -> ExitCode {
    match std::env::args().nth(1).as_deref() {
        None => {}
        Some("--version") => {
            println!("liftlock-sqlserver {}", env!("CARGO_PKG_VERSION"));
            return ExitCode::SUCCESS;
        }
        Some(_) => {
            eprintln!("Liftlock starts this program by itself, to read a database of SQL Server.");
            return ExitCode::from(2);
        }
    }
    match talk() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // Whoever does not hear it does not listen to anything else either.
            let _ = writeln!(io::stderr(), "{}", failure.line());
            ExitCode::FAILURE
        }
    }
}

fn talk() -> Result<(), Failure> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|cause| Failure::io(&cause))?;
    let (say, heard) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        for line in io::stdin().lock().lines() {
            let Ok(line) = line else { return };
            if say.send(line).is_err() {
                return;
            }
        }
    });
    runtime.block_on(converse(Lines { heard, waiting: VecDeque::new() }))
}

/// Answers what is asked until nobody asks any more.
async fn converse(mut lines: Lines) -> Result<(), Failure> {
    let Some(first) = lines.next().await else { return Ok(()) };
    let request = Request::read(&first)?;
    drop(zeroize::Zeroizing::new(first));
    let Some(session) = lines.unless_over(Session::open(request)).await else { return Ok(()) };
    let mut session = session?;
    while let Some(line) = lines.next().await {
        let sql: String = serde_json::from_str(&line).map_err(|cause| Failure::bad_request(&cause))?;
        let Some(answered) = lines.unless_over(session.answer(&sql)).await else { return Ok(()) };
        answered?;
    }
    Ok(())
}

/// What is asked, in order.
struct Lines {
    heard: UnboundedReceiver<String>,
    /// What was asked while something else was under way.
    waiting: VecDeque<String>,
}

impl Lines {
    async fn next(&mut self) -> Option<String> {
        match self.waiting.pop_front() {
            Some(line) => Some(line),
            None => self.heard.recv().await,
        }
    }

    /// What comes of it; `None` where the input ended meanwhile, for then nobody waits for it.
    async fn unless_over<T>(&mut self, work: impl Future<Output = T>) -> Option<T> {
        let mut work = pin!(work);
        loop {
            tokio::select! {
                biased;
                done = &mut work => return Some(done),
                line = self.heard.recv() => self.waiting.push_back(line?),
            }
        }
    }
}
