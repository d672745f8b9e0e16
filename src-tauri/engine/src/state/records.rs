//! Smaller records: backups, kept originals, answers of release servers.

use chrono::{DateTime, Utc};
use rusqlite::params;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::model::ids::{InstallationName, UpgradeId};
use crate::ports::Answer;
use crate::state::Db;
use crate::state::upgrades::{instant, stamp};

/// Something that is kept until a number of healthy days has passed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Original {
    /// The upgrade that set it aside.
    pub upgrade_id: UpgradeId,
    /// Whose store it is.
    pub installation: InstallationName,
    /// Name of the store.
    pub store: String,
    /// `original` or `failed_copy`.
    pub kept: String,
    /// Where it is: a database name or a path.
    pub place: String,
    /// Its size in bytes, where known.
    pub bytes: Option<u64>,
    /// Since when.
    pub kept_since: DateTime<Utc>,
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

    /// What is kept of an installation, or of all, oldest first.
    ///
    /// # Errors
    /// Those of the state itself.
    pub fn originals(&self, installation: Option<&InstallationName>) -> Result<Vec<Original>> {
        self.conn
            .prepare_cached(
                "SELECT upgrade_id, installation, store, kept, place, bytes, kept_since FROM original \
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
                })
            })?
            .collect()
    }

    /// The last good answer to a question.
    ///
    /// # Errors
    /// Those of the state itself.
    pub fn answer(&self, url: &str) -> Result<Option<Answer>> {
        self.conn
            .prepare_cached("SELECT etag, body, fetched_at FROM answer WHERE url = ?1")?
            .query_and_then([url], |row| {
                Ok(Answer { etag: row.get(0)?, body: row.get(1)?, fetched_at: instant(&row.get::<_, String>(2)?)? })
            })?
            .next()
            .transpose()
    }

    /// Remembers a good answer.
    ///
    /// # Errors
    /// Those of the state itself.
    pub fn remember_answer(&mut self, url: &str, answer: &Answer) -> Result<()> {
        self.conn.execute(
            "INSERT INTO answer (url, etag, body, fetched_at) VALUES (?1, ?2, ?3, ?4) ON CONFLICT (url) DO UPDATE \
             SET etag = excluded.etag, body = excluded.body, fetched_at = excluded.fetched_at",
            params![url, answer.etag, answer.body, stamp(answer.fetched_at)],
        )?;
        Ok(())
    }
}
