//! How upgrades have ended: the rows of `history`, what each observer has shown of it, and the logs.

use chrono::{DateTime, Utc};
use rusqlite::{Connection, OptionalExtension, params};

use crate::error::Result;
use crate::model::ids::UpgradeId;
use crate::state::upgrades::{Outcome, Upgrade, instant, stamp};
use crate::state::{Db, from_json};

/// Writes one terminal outcome for the history, once, in the transaction that reaches it.
pub(crate) fn record_outcome(conn: &Connection, upgrade: &Upgrade, outcome: Outcome, at: DateTime<Utc>) -> Result<()> {
    let elapsed = upgrade.started_at.map_or(0.0, |start| (at - start).as_seconds_f64().max(0.0));
    let record = serde_json::json!({
        "ts": stamp(at),
        "upgrade_id": upgrade.id,
        "installation": upgrade.installation,
        "component": upgrade.component,
        "from": upgrade.from,
        "to": upgrade.to,
        "result": outcome,
        "elapsed_seconds": (elapsed * 1000.0).round() / 1000.0,
        "message": upgrade.error.as_ref().map_or(upgrade.message.as_str(), |it| it.message.as_str()),
        "error_class": upgrade.error.as_ref().map(|it| it.class.as_ref()),
    });
    conn.execute(
        "INSERT INTO history (upgrade_id, result, record) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
        params![upgrade.id.to_string(), outcome.as_str(), record.to_string()],
    )?;
    Ok(())
}

impl Db {
    /// Remembers that `observer` has shown how an upgrade ended.
    ///
    /// # Errors
    /// Only those of the state itself.
    pub fn see_result(&mut self, observer: &str, id: UpgradeId, now: DateTime<Utc>) -> Result<()> {
        self.conn.execute(
            "INSERT OR IGNORE INTO seen (observer, upgrade_id, seen_at) VALUES (?1, ?2, ?3)",
            params![observer, id.to_string(), stamp(now)],
        )?;
        Ok(())
    }

    /// Whether `observer` has shown how it ended.
    ///
    /// # Errors
    /// Only those of the state itself.
    pub fn has_seen_result(&self, observer: &str, id: UpgradeId) -> Result<bool> {
        let mut known = self.conn.prepare_cached("SELECT 1 FROM seen WHERE observer = ?1 AND upgrade_id = ?2")?;
        Ok(known.exists(params![observer, id.to_string()])?)
    }

    /// The lines of an upgrade's log after `after`, oldest first: number, instant, line.
    ///
    /// # Errors
    /// Only those of the state itself.
    pub fn log_lines(&self, id: UpgradeId, after: i64, most: u32) -> Result<Vec<(i64, DateTime<Utc>, String)>> {
        self.conn
            .prepare_cached("SELECT id, at, line FROM event WHERE upgrade_id = ?1 AND id > ?2 ORDER BY id LIMIT ?3")?
            .query_and_then(params![id.to_string(), after, most], |row| {
                Ok((row.get(0)?, instant(&row.get::<_, String>(1)?)?, row.get(2)?))
            })?
            .collect()
    }

    /// Terminal outcomes in order: sequence number and record.
    ///
    /// # Errors
    /// Only those of the state itself.
    pub fn history_records(&self) -> Result<Vec<(i64, serde_json::Value)>> {
        self.conn
            .prepare_cached("SELECT seq, record FROM history ORDER BY seq")?
            .query_and_then([], |row| Ok((row.get(0)?, from_json(&row.get::<_, String>(1)?)?)))?
            .collect()
    }

    /// How many terminal outcomes there are, with the upgrade and result of the last.
    ///
    /// # Errors
    /// Only those of the state itself.
    pub fn last_outcome(&self) -> Result<(u64, Option<(String, String)>)> {
        let count: i64 = self.conn.query_row("SELECT count(*) FROM history", [], |row| row.get(0))?;
        let last = self
            .conn
            .query_row("SELECT upgrade_id, result FROM history ORDER BY seq DESC LIMIT 1", [], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })
            .optional()?;
        Ok((u64::try_from(count).unwrap_or(0), last))
    }
}
