//! Backends of a server: one told from all others, and ended when nobody speaks for it any more.

use std::{collections::HashSet, thread, time::Duration};

use serde::{Deserialize, Serialize};

use super::Session;
use crate::clock::SystemClock;
use crate::error::{Error, Result};
use crate::ports::Clock;
use crate::stores::postgres::client::Client;
use crate::stores::postgres::quote::literal;

/// One backend of the server, told from a later one with the same pid.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backend {
    /// Its process id on the server.
    pub pid: i32,
    /// When it started, as the server writes it.
    pub started: String,
}

/// Ends a backend and waits until it is gone, so that nothing which it was told can still happen. It is asked
/// for from within `database`, which must accept connections.
///
/// # Errors
/// `backend_lives` where it is still there after `within`, or why the server cannot be asked.
pub fn end_backend(client: &Client, database: &str, backend: &Backend, within: Duration) -> Result<()> {
    let clock = SystemClock;
    let until = clock.since_boot() + within;
    let is_it = format!("pid = {} AND backend_start::text = {}", backend.pid, literal(&backend.started));
    let mut session = client.connect_again(database, within)?;
    loop {
        let select = format!("SELECT pg_terminate_backend(pid) AS told FROM pg_stat_activity WHERE {is_it}");
        if !session.finds(&select)? {
            return Ok(());
        }
        if clock.since_boot() >= until {
            return Err(still_there());
        }
        thread::sleep(Duration::from_millis(20));
    }
}

/// Ends the sessions that an earlier epoch of the same upgrade left on the server, and waits until they are gone:
/// a worker that was killed may have left a statement behind that still runs. Answers with how many there were.
///
/// # Errors
/// `backend_lives`, or why the server cannot be asked.
pub fn end_earlier(session: &mut Session, within: Duration) -> Result<usize> {
    #[derive(Deserialize)]
    struct Row {
        pid: i32,
    }
    let label = session.client.label().to_owned();
    let Some((upgrade, _epoch)) = label.rsplit_once('/').filter(|(upgrade, _)| upgrade.contains('/')) else {
        return Ok(0);
    };
    let prefix = literal(&format!("{upgrade}/"));
    let theirs = format!(
        "a.pid <> pg_backend_pid() AND a.application_name <> {} AND starts_with(a.application_name, {prefix}) \
         AND a.usesysid IS NOT NULL",
        literal(&label)
    );
    let clock = SystemClock;
    let until = clock.since_boot() + within;
    let mut ended = HashSet::new();
    loop {
        let select =
            format!("SELECT a.pid, pg_terminate_backend(a.pid) AS told FROM pg_stat_activity a WHERE {theirs}");
        let there: Vec<Row> = session.rows(&select)?;
        if there.is_empty() {
            return Ok(ended.len());
        }
        ended.extend(there.iter().map(|it| it.pid));
        if clock.since_boot() >= until {
            return Err(still_there());
        }
        thread::sleep(Duration::from_millis(20));
    }
}

fn still_there() -> Error {
    Error::failed("backend_lives", "A session of an earlier attempt is still at work on the server.")
        .remedy("Wait until it has ended, or restart the database server, then try again.")
}
