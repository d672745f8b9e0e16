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

/// A backup, for the list that outlives its folder.
#[derive(Debug, Clone, Copy)]
pub struct BackupRecord<'r> {
    /// Its folder.
    pub path: &'r str,
    /// Whose data.
    pub installation: &'r InstallationName,
    /// The upgrade that it belongs to.
    pub upgrade_id: Option<UpgradeId>,
    /// Why it was made.
    pub kind: &'r str,
    /// How far it is trusted.
    pub grade: &'r str,
    /// The version that the data belongs to.
    pub version: Option<&'r str>,
    /// Size in bytes.
    pub bytes: u64,
    /// What a person wrote about it.
    pub note: &'r str,
    /// When it was made.
    pub made_at: DateTime<Utc>,
    /// When it was last restored as a test.
    pub proven_at: Option<DateTime<Utc>>,
}

impl Db {
    /// Remembers a backup with the grade that it has now.
    ///
    /// # Errors
    /// Those of the state itself.
    pub fn record_backup(&mut self, backup: &BackupRecord<'_>) -> Result<()> {
        self.conn.execute(
            "INSERT INTO system_backups (path, installation, upgrade_id, kind, grade, version, bytes, note, made_at, proven_at) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) \
             ON CONFLICT (path) DO UPDATE SET grade = excluded.grade, proven_at = excluded.proven_at",
            params![
                backup.path,
                backup.installation.as_str(),
                backup.upgrade_id.map(|it| it.to_string()),
                backup.kind,
                backup.grade,
                backup.version,
                i64::try_from(backup.bytes).unwrap_or(i64::MAX),
                backup.note,
                stamp(backup.made_at),
                backup.proven_at.map(stamp)
            ],
        )?;
        Ok(())
    }

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
            .prepare_cached("SELECT etag, body, fetched_at, last_modified FROM answer WHERE url = ?1")?
            .query_and_then([url], |row| {
                Ok(Answer {
                    etag: row.get(0)?,
                    last_modified: row.get(3)?,
                    body: row.get(1)?,
                    fetched_at: instant(&row.get::<_, String>(2)?)?,
                })
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
            "INSERT INTO answer (url, etag, body, fetched_at, last_modified) VALUES (?1, ?2, ?3, ?4, ?5) \
             ON CONFLICT (url) DO UPDATE SET etag = excluded.etag, body = excluded.body, \
             fetched_at = excluded.fetched_at, last_modified = excluded.last_modified",
            params![url, answer.etag, answer.body, stamp(answer.fetched_at), answer.last_modified],
        )?;
        Ok(())
    }
}
