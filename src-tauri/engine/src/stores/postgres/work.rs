//! Whether a database is being worked on: what tells a long migration from one that is stuck.
//!
//! A session works when it is active and waits neither for a lock, nor for time to pass, nor for its client.
//! On this machine its processor time and its bytes must have moved as well. A server-wide figure would show
//! work that somebody else does, so none is used.

use std::{
    collections::HashMap,
    fmt, fs,
    path::Path,
    sync::{Mutex, PoisonError},
};

use serde::Deserialize;

use super::client::{Client, Server};
use super::facts::is_local_backend;
use super::quote::literal;
use super::session::Session;
use crate::error::Result;
use crate::ports::SignOfWork;

/// A sign of work in one database, whichever sessions do it.
pub struct Work {
    client: Client,
    database: String,
    state: Mutex<State>,
}

impl fmt::Debug for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Work").field("database", &self.database).finish_non_exhaustive()
    }
}

#[derive(Default)]
struct State {
    session: Option<Session>,
    /// How often work was seen.
    seen: u64,
    /// What each working backend had used at the last look.
    used: HashMap<i32, u64>,
}

#[derive(Debug, Deserialize)]
struct Backend {
    pid: i32,
    /// It is active and waits for nothing that could last for ever; absent where we may not see.
    is_working: Option<bool>,
}

impl Work {
    /// Watches `database` on the server of `client`. Nothing is asked yet.
    pub fn new(client: Client, database: impl Into<String>) -> Self {
        Self { client, database: database.into(), state: Mutex::default() }
    }

    fn ask(&self, state: &mut State) -> Result<Vec<Backend>> {
        let session = match &mut state.session {
            Some(session) if session.is_usable() => session,
            other => other.insert(self.client.connect(Server::maintenance(&self.database))?),
        };
        session.rows(&format!(
            "SELECT a.pid, CASE WHEN a.state IS NOT NULL OR a.backend_type IS NOT NULL THEN \
             coalesce(a.state, 'active') = 'active' AND \
             coalesce(a.wait_event_type, '') NOT IN ('Lock', 'Timeout', 'Client', 'Activity', 'Extension') END \
             AS is_working FROM pg_stat_activity a WHERE a.datname = {} AND a.pid <> pg_backend_pid() \
             AND a.usesysid IS NOT NULL",
            literal(&self.database)
        ))
    }
}

impl SignOfWork for Work {
    fn look(&self) -> Option<u64> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let Ok(backends) = self.ask(&mut state) else {
            state.session = None;
            return None;
        };
        if !backends.is_empty() && backends.iter().all(|it| it.is_working.is_none()) {
            return None;
        }
        let mut used = HashMap::new();
        let mut has_moved = false;
        for backend in backends.iter().filter(|it| it.is_working == Some(true)) {
            // Where its process cannot be seen, that it was found at work has to do.
            let Some(now) = used_by(backend.pid, &self.database) else {
                has_moved = true;
                continue;
            };
            has_moved |= state.used.get(&backend.pid) != Some(&now);
            used.insert(backend.pid, now);
        }
        state.used = used;
        state.seen += u64::from(has_moved);
        Some(state.seen)
    }
}

/// A number that changes when the process uses the processor or moves bytes; `None` where it is not ours to see.
fn used_by(pid: i32, database: &str) -> Option<u64> {
    if !is_local_backend(pid, database) {
        return None;
    }
    let dir = Path::new("/proc").join(pid.to_string());
    let stat = fs::read_to_string(dir.join("stat")).ok()?;
    // The name in parentheses may hold anything; after it come the state and the numbers.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks: u64 = fields.get(11..13)?.iter().filter_map(|it| it.parse::<u64>().ok()).sum();
    // Only root and the server's own user may see these.
    let bytes: u64 = fs::read_to_string(dir.join("io"))
        .ok()
        .map(|io| io.lines().filter_map(|line| line.split_once(": ")?.1.trim().parse::<u64>().ok()).sum())
        .unwrap_or(0);
    Some(ticks.wrapping_mul(1 << 20).wrapping_add(bytes))
}
