//! A session with the server: our own client, which lives as long as the session does.
//!
//! Its first line says where the database is and who we are there, each further one is a statement. Rows come as `COPY` of
//! PostgreSQL writes them, a row a line, until one that says `\.`. The first error ends the session.

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use liftlock_rows::cut;
use serde_json::json;
use zeroize::Zeroizing;

use super::{Place, answer};
use crate::error::{Error, Result};
use crate::model::profile::Endpoint;
use crate::ports::{Invocation, Patience, Reporter, Runner};
use crate::process::Silent;
use crate::stores::conversation::{Conversation, Ended};
use crate::stores::tables::Row;

/// Where an answer ends.
const END: &[u8] = b"\\.";

/// What each row is told to.
pub(super) type Take<'t> = dyn FnMut(&Row<'_>) -> Result<()> + Send + 't;

/// How a server is reached.
pub(super) struct Way {
    program: PathBuf,
    runner: Arc<dyn Runner>,
    request: Zeroizing<String>,
}

/// A session.
pub(super) struct Session(Conversation);

impl Way {
    /// Looks for the client.
    ///
    /// # Errors
    /// `tools_missing`.
    pub(super) fn find(place: &Place, program: &Path, runner: Arc<dyn Runner>) -> Result<Self> {
        let patience = Patience { deadline: Duration::from_secs(20), stall_after: None };
        let asked = Invocation::new(program).arg("--version").quiet();
        if !runner.run(&asked, patience, &[], &Silent).is_ok_and(|it| it.succeeded()) {
            return Err(Error::refused(
                "tools_missing",
                "A part of Liftlock is missing: the program that reads databases of SQL Server.",
            )
            .remedy("Install Liftlock again; liftlock-sqlserver stands beside its other programs then.")
            .detail(program.display().to_string()));
        }
        Ok(Self { program: program.to_owned(), runner, request: request(place) })
    }
}

/// Where the database is and who we are there, as the client reads it.
fn request(place: &Place) -> Zeroizing<String> {
    let Endpoint { host, port, database, user, password, .. } = &place.endpoint;
    let line = json!({
        "host": host,
        "port": (*port > 0).then_some(port),
        "instance": place.instance,
        "database": database,
        "user": user,
        "password": password,
        "encryption": place.encryption,
        "authority": place.authority,
    });
    Zeroizing::new(format!("{line}\n"))
}

impl Session {
    /// Starts the client. Whether it comes in shows with the first question.
    pub(super) fn open(way: &Way) -> Result<Self> {
        let invocation = Invocation::new(&way.program).quiet();
        let mut client = Conversation::start(invocation, (), Arc::clone(&way.runner))?;
        client.say(way.request.as_bytes().to_vec());
        Ok(Self(client))
    }

    /// Statements without an answer.
    pub(super) fn run(&mut self, sql: &str) -> Result<()> {
        self.each(sql, &mut |_| Ok(()), &Silent)
    }

    /// All rows of a short answer, what is none as an empty text.
    pub(super) fn rows(&mut self, sql: &str) -> Result<Vec<Vec<String>>> {
        self.rows_watched(sql, &Silent)
    }

    /// The same of one that may take long.
    pub(super) fn rows_watched(&mut self, sql: &str, reporter: &dyn Reporter) -> Result<Vec<Vec<String>>> {
        let mut rows = Vec::new();
        let text = |it: &Option<Cow<'_, [u8]>>| String::from_utf8_lossy(it.as_deref().unwrap_or_default()).into_owned();
        let mut keep = |row: &Row<'_>| {
            rows.push(row.iter().map(text).collect());
            Ok(())
        };
        self.each(sql, &mut keep, reporter)?;
        Ok(rows)
    }

    /// Tells each row to `take`, holding one. Where that ends early the session ends with it.
    pub(super) fn each(&mut self, sql: &str, take: &mut Take<'_>, reporter: &dyn Reporter) -> Result<()> {
        let mut text = json!(sql).to_string().into_bytes();
        text.push(b'\n');
        if !self.0.say(text) {
            return Err(lost(self.0.ended()));
        }
        self.0.expects(true);
        loop {
            let ended = match self.0.line(reporter).and_then(|line| line.map_err(lost)) {
                Ok(line) if line == END => {
                    self.0.expects(false);
                    return Ok(());
                }
                Ok(line) => cells(&line).ok_or_else(unreadable).and_then(|row| take(&row)),
                Err(error) => Err(error),
            };
            if let Err(error) = ended {
                self.0.stop();
                return Err(error);
            }
        }
    }
}

/// Why the client ended.
fn lost(ended: Ended) -> Error {
    match ended {
        Ended::Failed(error) => error,
        Ended::Saying(words) => answer::from_words(&words),
    }
}

/// The values of a line.
fn cells(line: &[u8]) -> Option<Vec<Option<Cow<'_, [u8]>>>> {
    line.split(|byte| *byte == b'\t').map(cut::value).collect()
}

pub(super) fn unreadable() -> Error {
    Error::failed("bad_answer", "The rows of a table came in a form that Liftlock cannot read.")
        .remedy("Report it with the version of the database server. Nothing was changed.")
}
