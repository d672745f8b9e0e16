//! The right to work on a database, held on its server: a session advisory lock, so that another host sees it.
//! The server frees it however the holder dies.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::client::{Client, Server};
use super::session::{Session, end_earlier};
use crate::error::{Error, Kind, Result};

/// The lease, for as long as it is kept and the connection lives.
#[derive(Debug)]
pub struct LeaseSession {
    session: Session,
    key: i64,
}

/// Who holds a lease, as the server sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Holder {
    /// The label of its session, `liftlock/<upgrade>/<epoch>`.
    pub label: String,
    /// Where it comes from; empty for the server's own machine.
    pub client: String,
    /// Since when, as the server writes it.
    pub since: String,
}

/// The key for a database: the same for every Liftlock, whatever it calls its installations. By the database's
/// name, which stays while originals and copies change places under it.
pub fn key_of(system_identifier: &str, database: &str) -> i64 {
    let hash = crate::digest::sha256(format!("liftlock {system_identifier}/{database}").as_bytes());
    // Sixty bits are enough, and never negative.
    hash.get(..15).and_then(|it| i64::from_str_radix(it, 16).ok()).unwrap_or(0)
}

/// Takes the lease on what `key` stands for, beside `database`.
///
/// # Errors
/// `busy` (with who holds it) where another session has it, or why the server cannot be asked.
pub fn hold_lease(client: &Client, database: &str, key: i64) -> Result<LeaseSession> {
    #[derive(Deserialize)]
    struct Row {
        is_ours: bool,
    }
    let mut session = client.connect(Server::maintenance(database))?;
    // A worker of the same upgrade that was killed may still be on the server for a moment: that is nobody else.
    end_earlier(&mut session, Duration::from_secs(20))?;
    if session.one::<Row>(&format!("SELECT pg_try_advisory_lock({key}) AS is_ours"))?.is_ours {
        return Ok(LeaseSession { session, key });
    }
    let holder = session.rows::<Holder>(&format!(
        "SELECT coalesce(a.application_name, '') AS label, coalesce(host(a.client_addr), '') AS client, \
         coalesce(a.backend_start::text, '') AS since FROM pg_stat_activity a WHERE a.pid IN ({})",
        locks(key)
    ))?;
    let error =
        Error::new(Kind::Busy, "busy", "Another Liftlock is working on this database, perhaps on another computer.")
            .remedy("Wait until it has finished. “liftlock status” on that computer shows how far it is.");
    Err(match holder.first() {
        Some(it) => error.detail(format!(
            "{} from {} since {}",
            it.label,
            if it.client.is_empty() { "the server" } else { &it.client },
            it.since
        )),
        None => error,
    })
}

fn locks(key: i64) -> String {
    format!(
        "SELECT l.pid FROM pg_locks l WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1 \
         AND l.classid::int8 = {} AND l.objid::int8 = {}",
        key >> 32,
        key & 0xFFFF_FFFF
    )
}

impl LeaseSession {
    /// Whether it is still ours. An error of the connection means that it is not.
    ///
    /// # Errors
    /// `lease_lost`.
    pub fn still_held(&mut self) -> Result<()> {
        let ours = format!("SELECT 1 AS one WHERE pg_backend_pid() IN ({})", locks(self.key));
        let lost = || {
            Error::new(Kind::LeaseLost, "lease_lost", "The connection that held the lease on the database was lost.")
                .remedy("Nothing to do: whoever continues the upgrade looks at what was done first.")
        };
        match self.session.finds(&ours) {
            Ok(true) => Ok(()),
            Ok(false) => Err(lost()),
            Err(error) => Err(lost().because(&error)),
        }
    }
}
