//! A session with a server: one `psql` that lives as long as the session does.
//!
//! Statements go to its standard input, each followed by two lines that make psql say how it went, framed by
//! a random word. Rows come back as JSON, one a line. Every statement has a deadline, on the server
//! (`statement_timeout`) and here; past it psql is ended. A session that failed to answer is broken for good:
//! what became of its last statement must then be observed through another one, never assumed.

mod backend;
mod pipes;

use std::{
    fmt,
    sync::{
        Arc,
        atomic::Ordering,
        mpsc::{self, Receiver, RecvTimeoutError, Sender},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use uuid::Uuid;

use self::pipes::Answers;
use super::answer;
use super::client::Client;
use super::quote::literal;
use crate::clock::SystemClock;
use crate::error::{Error, Result};
use crate::ports::{Clock, Finished, Patience, Pipes};

pub(in crate::stores) use pipes::{Shared, Statements};

pub use backend::{Backend, end_backend, end_earlier};

/// How long an ordinary question may take.
pub const SHORT: Duration = Duration::from_secs(30);
/// How long the server may wait for a lock on our behalf.
const LOCK_WAIT: Duration = Duration::from_secs(15);
/// What the server's own timeout gets, before ours ends psql.
const AFTER_SERVER: Duration = Duration::from_secs(5);
/// How long a session that was kept may take to say that it is still there.
const STILL_THERE: Duration = Duration::from_secs(5);
/// How often somebody who watches a long statement is asked.
const WATCH_EVERY: Duration = Duration::from_millis(200);

/// A session. See the module for its promises.
pub struct Session {
    to: Option<Sender<Vec<u8>>>,
    from: Receiver<Vec<u8>>,
    /// What was received and is not a whole line yet.
    rest: Vec<u8>,
    shared: Arc<Shared>,
    psql: Option<JoinHandle<Result<Finished>>>,
    client: Client,
    database: String,
    nonce: String,
    asked: u64,
    major: u32,
    backend: Backend,
    /// A statement is under way or was never answered.
    is_busy: bool,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("database", &self.database)
            .field("backend", &self.backend)
            .field("is_busy", &self.is_busy)
            .finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
struct Hello {
    pid: i32,
    started: String,
    version: u32,
}

impl Session {
    pub(super) fn open(client: &Client, database: &str) -> Result<Self> {
        let nonce = format!("liftlock-{}", Uuid::now_v7().simple());
        let invocation = client.invoke("psql", database).args([
            "--no-psqlrc",
            "--quiet",
            "--no-align",
            "--tuples-only",
            "--set=ON_ERROR_STOP=0",
            "--set=VERBOSITY=verbose",
            "--set=SHOW_CONTEXT=never",
        ]);
        // For psql alone: a dump keeps the character set of its database, byte for byte.
        let invocation = invocation.env("PGCLIENTENCODING", "UTF8");
        let shared = Arc::new(Shared::default());
        let (to, words) = mpsc::channel();
        let (answers, from) = mpsc::channel();
        let runner = Arc::clone(client.runner());
        let ear = Arc::clone(&shared);
        let psql = thread::Builder::new()
            .name("psql".into())
            .spawn(move || {
                let mut stdin = Statements::new(words);
                let mut stdout = Answers(answers);
                let pipes = Pipes { stdin: Some(&mut stdin), stdout: Some(&mut stdout) };
                // Statements have deadlines of their own.
                let patience = Patience { deadline: Duration::from_secs(366 * 24 * 3600), stall_after: None };
                runner.pipe(&invocation, pipes, patience, &[], ear.as_ref())
            })
            .map_err(|cause| {
                Error::failed("io", "A thread for the database session could not be started.")
                    .remedy("Close other programs, then try again.")
                    .because(&cause)
            })?;
        let mut session = Self {
            to: Some(to),
            from,
            rest: Vec::new(),
            shared,
            psql: Some(psql),
            client: client.apart(),
            database: database.to_owned(),
            nonce,
            asked: 0,
            major: 0,
            backend: Backend { pid: 0, started: String::new() },
            is_busy: false,
        };
        session.greet()?;
        Ok(session)
    }

    /// Sets the session so that nothing of the server's, the database's or the role's settings changes what our
    /// statements mean, and learns who we are.
    fn greet(&mut self) -> Result<()> {
        let fixed = [
            ("search_path", "pg_catalog"),
            ("client_min_messages", "warning"),
            ("standard_conforming_strings", "on"),
            ("synchronous_commit", "on"),
            ("row_security", "off"),
            ("datestyle", "ISO, YMD"),
            ("timezone", "UTC"),
            ("lock_timeout", &LOCK_WAIT.as_millis().to_string()),
            // A machine of ours that went dark frees what it held after two minutes.
            ("tcp_keepalives_idle", "60"),
            ("tcp_keepalives_interval", "10"),
            ("tcp_keepalives_count", "6"),
        ]
        .map(|(name, value)| format!("({}, {})", literal(name), literal(value)))
        .join(", ");
        // Ours must never be ended for being idle: it may hold a lease, or a snapshot for a long dump; but a statement
        // ends with the client that asked for it. These settings are not in every version.
        self.run(&format!(
            "SELECT count(set_config(name, value, false)) FROM (SELECT name, value FROM (VALUES {fixed}) AS fixed \
             (name, value) UNION ALL SELECT name, CASE name WHEN 'client_connection_check_interval' THEN '5s' ELSE '0' \
             END FROM pg_settings WHERE name IN ('idle_session_timeout', 'idle_in_transaction_session_timeout', \
             'transaction_timeout', 'client_connection_check_interval')) AS wanted"
        ))?;
        let hello: Hello = self.one(
            "SELECT pg_backend_pid() AS pid, a.backend_start::text AS started, \
             current_setting('server_version_num')::int AS version \
             FROM pg_stat_activity a WHERE a.pid = pg_backend_pid()",
        )?;
        self.major = hello.version / 10_000;
        self.backend = Backend { pid: hello.pid, started: hello.started };
        Ok(())
    }

    /// The major version of the server.
    pub fn major(&self) -> u32 {
        self.major
    }
    /// The database it stands in.
    pub fn database(&self) -> &str {
        &self.database
    }
    /// Its backend on the server.
    pub fn backend(&self) -> &Backend {
        &self.backend
    }
    /// The client it was opened with.
    pub fn client(&self) -> &Client {
        &self.client
    }
    /// Whether it can still be used. A broken one stays broken.
    pub fn is_usable(&self) -> bool {
        !self.is_busy && self.to.is_some()
    }

    /// Whether the server still answers in it.
    pub(super) fn answers(&mut self) -> bool {
        self.is_usable() && self.exchange("SELECT 1", STILL_THERE, &mut || Ok(())).is_ok()
    }

    /// Runs one statement that answers nothing (or nothing of interest). No semicolon at its end.
    ///
    /// # Errors
    /// The server's error by its SQLSTATE; `timeout`, `connection_lost`.
    pub fn run(&mut self, sql: &str) -> Result<()> {
        self.exchange(sql, SHORT, &mut || Ok(())).map(drop)
    }

    /// The same for one that takes long: `watch` is asked five times a second and may stop it. The backend is then
    /// ended, so that the statement does not go on behind our back.
    ///
    /// # Errors
    /// As [`Session::run`], and what `watch` answered.
    pub fn run_watched(&mut self, sql: &str, deadline: Duration, watch: &mut dyn FnMut() -> Result<()>) -> Result<()> {
        self.exchange(sql, deadline, watch).map(drop)
    }

    /// The rows of a `SELECT`, each as an object with its columns.
    ///
    /// # Errors
    /// As [`Session::run`]; `bad_answer` where they are not what was expected.
    pub fn rows<T: DeserializeOwned>(&mut self, select: &str) -> Result<Vec<T>> {
        self.rows_watched(select, SHORT, &mut || Ok(()))
    }

    /// The same for one that takes long, as [`Session::run_watched`].
    ///
    /// # Errors
    /// As [`Session::rows`].
    pub fn rows_watched<T: DeserializeOwned>(
        &mut self,
        select: &str,
        deadline: Duration,
        watch: &mut dyn FnMut() -> Result<()>,
    ) -> Result<Vec<T>> {
        let sql = format!("SELECT row_to_json(liftlock_row) FROM ({select}) liftlock_row");
        let lines = self.exchange(&sql, deadline, watch)?;
        lines.iter().map(|line| read_row(line)).collect()
    }

    /// The one row of a `SELECT`.
    ///
    /// # Errors
    /// As [`Session::rows`]; `bad_answer` for any other number of rows.
    pub fn one<T: DeserializeOwned>(&mut self, select: &str) -> Result<T> {
        let mut rows = self.rows(select)?;
        match (rows.pop(), rows.is_empty()) {
            (Some(row), true) => Ok(row),
            _ => Err(bad_answer("one row was expected")),
        }
    }

    /// Whether a `SELECT` finds any row.
    ///
    /// # Errors
    /// As [`Session::rows`].
    pub fn finds(&mut self, select: &str) -> Result<bool> {
        Ok(!self.rows::<IgnoredAny>(select)?.is_empty())
    }

    /// Runs `statements` in one transaction; it is taken back when one fails. An error that [`answer::is_cut`]
    /// says nothing about the outcome: look at the world through another session.
    ///
    /// # Errors
    /// As [`Session::run`].
    pub fn transact<T>(&mut self, act: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        self.run("BEGIN")?;
        let answer = act(self);
        match answer {
            Ok(answer) => {
                self.run("COMMIT")?;
                Ok(answer)
            }
            Err(error) => {
                if self.is_usable() {
                    // The first error is the one to tell; a session that cannot even roll back is cut, and the
                    // server rolls back by itself.
                    let _ = self.run("ROLLBACK");
                }
                Err(error)
            }
        }
    }

    fn exchange(
        &mut self,
        sql: &str,
        deadline: Duration,
        watch: &mut dyn FnMut() -> Result<()>,
    ) -> Result<Vec<Vec<u8>>> {
        if self.is_busy {
            return Err(self.lost("It had not answered before."));
        }
        if sql.contains('\0') {
            return Err(Error::failed("bad_name", "A name or value with a zero byte cannot exist in a database.")
                .remedy("Correct the name in the settings of the application."));
        }
        self.asked += 1;
        let frame = format!("{}-{}", self.nonce, self.asked);
        let text = format!(
            "SET statement_timeout = {};\n{sql}\n;\n\\echo {frame} :ERROR :SQLSTATE\n\\echo :LAST_ERROR_MESSAGE\n\\echo {frame}\n",
            // The server's own limit is 24 days.
            deadline.as_millis().min(2_000_000_000),
        );
        self.shared.take_words();
        self.is_busy = true;
        let sent = self.to.as_ref().is_some_and(|to| to.send(text.into_bytes()).is_ok());
        if !sent {
            return Err(self.lost("It was closed."));
        }
        let clock = SystemClock;
        let until = clock.since_boot() + deadline + AFTER_SERVER;
        let mut rows = Vec::new();
        let head = loop {
            let line = self.line(until, watch)?;
            match line.strip_prefix(frame.as_bytes()) {
                Some(head) => break String::from_utf8_lossy(head).into_owned(),
                None => rows.push(line),
            }
        };
        let mut message = Vec::new();
        loop {
            let line = self.line(until, watch)?;
            if line == frame.as_bytes() {
                break;
            }
            message.push(String::from_utf8_lossy(&line).into_owned());
        }
        self.is_busy = false;
        let mut words = head.split_whitespace();
        if words.next() == Some("false") {
            return Ok(rows);
        }
        let state = words.next().unwrap_or_default();
        Err(answer::from_state(state, &message.join("\n"), self.shared.hints(state)))
    }

    /// The next line of psql's output.
    fn line(&mut self, until: Duration, watch: &mut dyn FnMut() -> Result<()>) -> Result<Vec<u8>> {
        loop {
            if let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
                let mut line: Vec<u8> = self.rest.drain(..=end).collect();
                line.pop();
                if line.last() == Some(&b'\r') {
                    line.pop();
                }
                return Ok(line);
            }
            match self.from.recv_timeout(WATCH_EVERY) {
                Ok(bytes) => self.rest.extend(bytes),
                Err(RecvTimeoutError::Timeout) => {
                    if let Err(reason) = watch() {
                        self.abandon();
                        return Err(reason);
                    }
                    if SystemClock.since_boot() >= until {
                        self.abandon();
                        return Err(answer::from_words("answer in time", "timeout expired"));
                    }
                }
                Err(RecvTimeoutError::Disconnected) => return Err(self.lost("")),
            }
        }
    }

    /// Ends psql and, through another session, the backend: a killed client leaves its statement running.
    fn abandon(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        self.to = None;
        if self.backend.pid != 0 {
            // Where the server does not answer there is nothing more that we could do from here; the label of
            // the session lets a later worker end it.
            let _ = end_backend(&self.client, &self.database, &self.backend, Duration::from_secs(10));
        }
    }

    /// Why psql ended. The session is broken from here on.
    fn lost(&mut self, otherwise: &str) -> Error {
        self.is_busy = true;
        self.to = None;
        let finished = self.psql.take().map(JoinHandle::join);
        let words = self.shared.take_words();
        match finished {
            Some(Ok(Ok(finished))) if finished.code == Some(2) || !words.is_empty() => {
                let error = answer::from_words("be connected to", &words);
                if self.backend.pid != 0 && !answer::is_cut(&error) {
                    return answer::from_words("be connected to", "connection to server was lost").detail(words);
                }
                error
            }
            Some(Ok(Err(error))) => error,
            _ => answer::from_words("be connected to", "connection to server was lost").detail(otherwise),
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let is_idle = self.is_usable();
        self.to = None;
        match self.psql.take() {
            // An idle psql ends at once when its input does. Waiting for it means that after the drop the server
            // has been told, which whoever renames the database next relies on.
            Some(psql) if is_idle => drop(psql.join()),
            Some(_) => self.shared.stop.store(true, Ordering::Release),
            None => {}
        }
    }
}

fn read_row<T: DeserializeOwned>(line: &[u8]) -> Result<T> {
    serde_json::from_slice(line).map_err(|cause| bad_answer("a row could not be read").because(&cause))
}

fn bad_answer(why: &str) -> Error {
    Error::failed("bad_answer", format!("The database server gave an unexpected answer ({why})."))
        .remedy("Report this with the details, and the version of the database server.")
}
