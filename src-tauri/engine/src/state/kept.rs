//! What is kept beside an installation, and the days on which it was seen to be well: the rows of `original` and
//! `day_seen`. A removal is on record before it begins, so that nothing half removed is ever taken for a way back.

use chrono::{DateTime, NaiveDate, Utc};
use rusqlite::params;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::model::ids::{InstallationName, UpgradeId};
use crate::state::Db;
use crate::state::upgrades::{instant, optional_instant, stamp};

/// Something that is kept until a number of healthy days has passed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Original {
    /// The upgrade that set it aside.
    pub upgrade_id: UpgradeId,
    /// Whose store it is.
    pub installation: InstallationName,
    /// Name of the store.
    pub store: String,
    /// `original`, `failed_copy` or `final_dump`.
    pub kept: String,
    /// Where it is: a database name or a path.
    pub place: String,
    /// Its size in bytes, where known.
    pub bytes: Option<u64>,
    /// Since when.
    pub kept_since: DateTime<Utc>,
    /// Since when it is being removed; then it is no way back any more.
    pub removing_since: Option<DateTime<Utc>>,
}

impl Db {
    /// Remembers what is kept, once.
    ///
    /// # Errors
    /// Those of the state itself.
    pub fn keep(&mut self, original: &Original) -> Result<()> {
        self.conn.execute(
            "INSERT INTO original (upgrade_id, installation, store, kept, place, bytes, kept_since) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT DO NOTHING",
            params![
                original.upgrade_id.to_string(),
                original.installation.as_str(),
                original.store,
                original.kept,
                original.place,
                original.bytes.and_then(|it| i64::try_from(it).ok()),
                stamp(original.kept_since)
            ],
        )?;
        Ok(())
    }

    /// Forgets what is back in its place.
    ///
    /// # Errors
    /// Those of the state itself.
    pub fn keep_no_longer(&mut self, upgrade_id: UpgradeId, store: &str, kept: &str) -> Result<()> {
        self.conn.execute(
            "DELETE FROM original WHERE upgrade_id = ?1 AND store = ?2 AND kept = ?3",
            params![upgrade_id.to_string(), store, kept],
        )?;
        Ok(())
    }

    /// What is kept of an installation, or of all, oldest first.
    ///
    /// # Errors
    /// Those of the state itself.
    pub fn originals(&self, installation: Option<&InstallationName>) -> Result<Vec<Original>> {
        self.conn
            .prepare_cached(
                "SELECT upgrade_id, installation, store, kept, place, bytes, kept_since, removing_since FROM original \
                 WHERE ?1 IS NULL OR installation = ?1 ORDER BY kept_since, store",
            )?
            .query_and_then([installation.map(InstallationName::as_str)], |row| {
                Ok(Original {
                    upgrade_id: row.get::<_, String>(0)?.parse()?,
                    installation: row.get::<_, String>(1)?.parse()?,
                    store: row.get(2)?,
                    kept: row.get(3)?,
                    place: row.get(4)?,
                    bytes: row.get::<_, Option<i64>>(5)?.and_then(|it| u64::try_from(it).ok()),
                    kept_since: instant(&row.get::<_, String>(6)?)?,
                    removing_since: optional_instant(row.get(7)?)?,
                })
            })?
            .collect()
    }

    /// Writes down that it is going to be removed, before anything of it is.
    ///
    /// # Errors
    /// Those of the state itself.
    pub fn begin_removal(&mut self, original: &Original, now: DateTime<Utc>) -> Result<()> {
        self.conn.execute(
            "UPDATE original SET removing_since = coalesce(removing_since, ?4) \
             WHERE upgrade_id = ?1 AND store = ?2 AND kept = ?3",
            params![original.upgrade_id.to_string(), original.store, original.kept, stamp(now)],
        )?;
        Ok(())
    }

    /// Writes down that it is gone, in the log of the upgrade that kept it.
    ///
    /// # Errors
    /// Those of the state itself.
    pub fn end_removal(&mut self, original: &Original, line: &str, now: DateTime<Utc>) -> Result<()> {
        let id = original.upgrade_id.to_string();
        let tx = self.write()?;
        tx.execute(
            "DELETE FROM original WHERE upgrade_id = ?1 AND store = ?2 AND kept = ?3",
            params![id, original.store, original.kept],
        )?;
        tx.execute(
            "INSERT INTO event (upgrade_id, at, line) SELECT id, ?2, ?3 FROM system_updates WHERE id = ?1",
            params![id, stamp(now), line],
        )?;
        tx.commit()?;
        Ok(())
    }

    /// A line in the log of an upgrade that is over.
    ///
    /// # Errors
    /// Those of the state itself.
    pub fn tell(&mut self, id: UpgradeId, line: &str, now: DateTime<Utc>) -> Result<()> {
        self.conn.execute(
            "INSERT INTO event (upgrade_id, at, line) SELECT id, ?2, ?3 FROM system_updates WHERE id = ?1",
            params![id.to_string(), stamp(now), line],
        )?;
        Ok(())
    }

    /// Somebody looked: a day is a well one if the application was well each time.
    ///
    /// # Errors
    /// Those of the state itself.
    pub fn see(&mut self, installation: &InstallationName, is_well: bool, now: DateTime<Utc>) -> Result<()> {
        self.conn.execute(
            "INSERT INTO day_seen (installation, day, is_well) VALUES (?1, ?2, ?3) \
             ON CONFLICT (installation, day) DO UPDATE SET is_well = min(is_well, excluded.is_well)",
            params![installation.as_str(), now.date_naive().to_string(), is_well],
        )?;
        Ok(())
    }

    /// How many days since `since` are over and were well ones; the day itself is among them.
    ///
    /// # Errors
    /// Those of the state itself.
    pub fn healthy_days(&self, installation: &InstallationName, since: NaiveDate, today: NaiveDate) -> Result<u64> {
        let days: i64 = self.conn.query_row(
            "SELECT count(*) FROM day_seen WHERE installation = ?1 AND day >= ?2 AND day < ?3 AND is_well = 1",
            params![installation.as_str(), since.to_string(), today.to_string()],
            |row| row.get(0),
        )?;
        Ok(u64::try_from(days).unwrap_or(0))
    }
}
