//! Making a state file anew from what is left of a damaged one and from what lies beside it.
//!
//! Whatever can still be read is taken over row by row. It may be incomplete, so no unfinished upgrade goes on with it:
//! one that had not changed anything yet has ended, every other waits for a person. An outcome in the history file was
//! reached, whatever the damaged file says. Absent on purpose: repairing the damaged file itself.

use std::path::Path;

use chrono::{DateTime, Utc};
use rusqlite::types::Value as Cell;
use rusqlite::{Connection, OpenFlags, Transaction, params, params_from_iter};
use serde_json::{Map, Value};

use crate::error::{Error, Kind, Result};
use crate::model::ids::UpgradeId;
use crate::model::state::State;
use crate::state::journal::runs_of;
use crate::state::outcomes::record_outcome;
use crate::state::upgrades::{Outcome, one, stamp};
use crate::state::{Db, to_json};

/// An upgrade as it was asked for, from the folder that is its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// Which.
    pub id: UpgradeId,
    /// Whose.
    pub installation: String,
    /// The component.
    pub component: String,
    /// The version at the start, where something was changed.
    pub from: Option<String>,
    /// The version asked for.
    pub to: String,
    /// What was decided, as recorded.
    pub options: Value,
    /// Who asked.
    pub initiated_by: String,
    /// When.
    pub created_at: DateTime<Utc>,
    /// Whether anything of the user's may have been changed.
    pub touched: bool,
}

/// How far into the epochs after a damage the new ones begin: a worker of before must never write again.
const EPOCHS_LEFT_OUT: i64 = 1000;

impl Db {
    /// Whether the file is whole and everything that a worker relies on can be read.
    ///
    /// # Errors
    /// `state_corrupt` with what was found.
    pub fn expect_sound(&self) -> Result<()> {
        self.quick_check()?;
        self.installations()?;
        self.history_records()?;
        self.unfinished_upgrades()?.iter().try_for_each(|it| runs_of(self, it.id).map(|_| ()))
    }

    /// Takes over every row of a damaged file that can still be read. Answers how many.
    ///
    /// # Errors
    /// Those of the new file.
    pub fn salvage(&mut self, damaged: &Path) -> Result<u64> {
        // Its WAL is read into it, so it is opened for writing; it is a copy.
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let Ok(old) = Connection::open_with_flags(damaged, flags) else { return Ok(0) };
        let mut tables: Vec<String> = self
            .conn
            .prepare("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")?
            .query_map([], |row| row.get(0))?
            .collect::<rusqlite::Result<_>>()?;
        // Others refer to these.
        tables.sort_by_key(|it| !matches!(it.as_str(), "installation" | "system_updates"));
        let tx = self.write()?;
        let mut taken = 0;
        for table in &tables {
            taken += take_over(&tx, &old, table)?;
        }
        tx.execute(
            "UPDATE lease SET epoch = max(epoch, coalesce((SELECT max(epoch) FROM system_updates), 0)) + ?1",
            [EPOCHS_LEFT_OUT],
        )?;
        tx.commit()?;
        self.drop_unreadable()?;
        Ok(taken)
    }

    /// Rows whose content is no sense are as good as lost, and would keep everybody from reading the others.
    fn drop_unreadable(&mut self) -> Result<()> {
        let ids: Vec<String> = self
            .conn
            .prepare("SELECT id FROM system_updates")?
            .query_map([], |row| row.get(0))?
            .collect::<rusqlite::Result<_>>()?;
        for id in ids {
            let known = id.parse::<UpgradeId>().ok();
            let is_whole = known.is_some_and(|it| self.upgrade(it).is_ok());
            let has_runs = known.is_some_and(|it| runs_of(self, it).is_ok());
            if !has_runs {
                self.conn.execute("DELETE FROM step_run WHERE upgrade_id = ?1", [&id])?;
            }
            if !is_whole {
                self.conn.execute("DELETE FROM event WHERE upgrade_id = ?1", [&id])?;
                self.conn.execute("DELETE FROM step_run WHERE upgrade_id = ?1", [&id])?;
                self.conn.execute("DELETE FROM system_updates WHERE id = ?1", [&id])?;
            }
        }
        Ok(())
    }

    /// Takes over the outcomes that the history file has, in its order. Before anything else is.
    ///
    /// # Errors
    /// Those of the new file.
    pub fn adopt_history(&mut self, records: &[Map<String, Value>]) -> Result<()> {
        let tx = self.write()?;
        for record in records {
            let text = |key: &str| record.get(key).and_then(Value::as_str).unwrap_or_default();
            tx.execute(
                "INSERT INTO history (upgrade_id, result, record) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
                params![text("upgrade_id"), text("result"), Value::Object(record.clone()).to_string()],
            )?;
        }
        tx.commit()?;
        Ok(())
    }

    /// Sets each upgrade to the last outcome that the history has of it, where it is not known or said to be on its way
    /// forward. One on its way back may have been reopened after that.
    ///
    /// # Errors
    /// Those of the new file.
    pub fn adopt_outcomes(&mut self, records: &[Map<String, Value>]) -> Result<()> {
        let tx = self.write()?;
        for record in records {
            let text = |key: &str| record.get(key).and_then(Value::as_str).unwrap_or_default();
            let (id, result, at) = (text("upgrade_id"), text("result"), text("ts"));
            let state = match result {
                "success" => State::Complete,
                "rolled_back" => State::RolledBack,
                "rollback_failed" => State::NeedsAttention,
                _ => State::Failed,
            };
            let known = (state != State::NeedsAttention).then_some(at);
            tx.execute(
                "INSERT INTO system_updates (id, installation, component, from_version, to_version, state, options, initiated_by, \
                 message, result, created_at, started_at, finished_at, acknowledged_at) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, '{}', 'the history', ?7, ?8, ?9, ?9, ?9, ?10) \
                 ON CONFLICT (id) DO UPDATE SET state = excluded.state, result = excluded.result, message = excluded.message, \
                 finished_at = excluded.finished_at, acknowledged_at = excluded.acknowledged_at, holder = NULL \
                 WHERE system_updates.state <> 'rolling_back' AND (system_updates.finished_at IS NULL \
                 OR system_updates.initiated_by = 'the history')",
                params![
                    id,
                    text("installation"),
                    text("component"),
                    record.get("from").and_then(Value::as_str),
                    text("to"),
                    state.as_str(),
                    text("message"),
                    result,
                    at,
                    known
                ],
            )?;
        }
        tx.commit()?;
        self.drop_unreadable()
    }

    /// Takes over an upgrade that only its own folder still knows.
    ///
    /// # Errors
    /// Those of the new file.
    pub fn adopt_asked(&mut self, asked: &Asked) -> Result<()> {
        self.conn.execute(
            "INSERT INTO system_updates (id, installation, component, from_version, to_version, state, options, initiated_by, \
             message, created_at, started_at) VALUES (?1, ?2, ?3, ?4, ?5, 'pending', ?6, ?7, '', ?8, ?8) ON CONFLICT DO NOTHING",
            params![
                asked.id.to_string(),
                asked.installation,
                asked.component,
                asked.from,
                asked.to,
                asked.options.to_string(),
                asked.initiated_by,
                stamp(asked.created_at)
            ],
        )?;
        Ok(())
    }

    /// Ends what was unfinished: as failed where nothing of the user's had been changed, else for a person to look at.
    ///
    /// # Errors
    /// Those of the new file.
    pub fn strand_unfinished(&mut self, was_touched: &dyn Fn(UpgradeId) -> bool, now: DateTime<Utc>) -> Result<()> {
        for upgrade in self.unfinished_upgrades()? {
            let is_untouched = upgrade.state.is_before_change() && !was_touched(upgrade.id);
            let name = &upgrade.installation;
            let (state, outcome, error) = if is_untouched {
                let error =
                    Error::failed("state_rebuilt", "Liftlock's own state was damaged before anything was changed.")
                        .remedy("Start the update again when it suits you.");
                (State::Failed, Outcome::Failed, error)
            } else {
                let message =
                    "Liftlock's own state was damaged in the middle of this update, so it does not go on by itself.";
                let error = Error::new(Kind::NeedsAttention, "state_rebuilt", message).remedy(format!(
                    "Look whether it runs well: `liftlock check {name}`. To go back: `liftlock rollback {name}`, or \
                     `liftlock backup list` for a backup. If it is well as it is: `liftlock settle {}`. Delete nothing.",
                    upgrade.id
                ));
                (State::NeedsAttention, Outcome::RollbackFailed, error)
            };
            let tx = self.write()?;
            tx.execute(
                "UPDATE system_updates SET state = ?2, result = ?3, message = ?4, error = ?5, finished_at = ?6, holder = NULL, \
                 step = NULL, deadline_uptime = NULL, seq = seq + 1 WHERE id = ?1",
                params![
                    upgrade.id.to_string(),
                    state.as_str(),
                    outcome.as_str(),
                    error.message,
                    to_json(&error)?,
                    stamp(now)
                ],
            )?;
            record_outcome(&tx, &one(&tx, upgrade.id)?, outcome, now)?;
            tx.commit()?;
        }
        Ok(())
    }
}

/// The rows of one table, from the beginning to the first that cannot be read, and then from the end.
fn take_over(tx: &Transaction<'_>, old: &Connection, table: &str) -> Result<u64> {
    let columns = |conn: &Connection| -> Result<Vec<String>> {
        let mut statement = conn.prepare("SELECT name FROM pragma_table_info(?1)")?;
        Ok(statement.query_map([table], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?)
    };
    // Without its catalogue nothing of the damaged file can be found.
    let Ok(there) = columns(old) else { return Ok(0) };
    // Outcomes are numbered anew behind those of the history file.
    let is_wanted = |it: &String| there.contains(it) && !(table == "history" && it == "seq");
    let columns: Vec<String> = columns(tx)?.into_iter().filter(is_wanted).collect();
    if columns.is_empty() {
        return Ok(0);
    }
    let list = columns.join(", ");
    let holes = vec!["?"; columns.len()].join(", ");
    let mut insert = tx.prepare(&format!("INSERT OR IGNORE INTO {table} ({list}) VALUES ({holes})"))?;
    let mut taken = 0;
    for order in ["ASC", "DESC"] {
        let Ok(mut select) = old.prepare(&format!("SELECT {list} FROM {table} ORDER BY rowid {order}")) else { break };
        let Ok(mut rows) = select.query([]) else { continue };
        loop {
            match rows.next() {
                Ok(Some(row)) => {
                    let cells: rusqlite::Result<Vec<Cell>> = (0..columns.len()).map(|at| row.get(at)).collect();
                    // What breaks a promise of the schema is damaged too.
                    taken += cells.and_then(|it| insert.execute(params_from_iter(it))).unwrap_or(0) as u64;
                }
                Ok(None) => return Ok(taken),
                Err(_) => break,
            }
        }
    }
    Ok(taken)
}
