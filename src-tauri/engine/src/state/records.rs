//! Smaller records: backups, answers of release servers.

use std::collections::BTreeSet;
use std::path::PathBuf;

use chrono::{DateTime, Utc};
use rusqlite::params;

use crate::error::Result;
use crate::model::ids::{InstallationName, UpgradeId};
use crate::ports::Answer;
use crate::state::Db;
use crate::state::upgrades::{instant, stamp};

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

    /// Forgets a backup that was removed.
    ///
    /// # Errors
    /// Those of the state itself.
    pub fn forget_backup(&mut self, path: &str) -> Result<()> {
        self.conn.execute("DELETE FROM system_backups WHERE path = ?1", [path])?;
        Ok(())
    }

    /// Folders of backups that something open may still want: those of updates that are not over, of updates whose
    /// originals are kept, and those that an open restore goes back to.
    ///
    /// # Errors
    /// Those of the state itself.
    pub fn backups_in_use(&self, installation: &InstallationName) -> Result<BTreeSet<PathBuf>> {
        self.conn
            .prepare_cached(
                "WITH open AS (SELECT * FROM system_updates u WHERE installation = ?1 AND \
                 (state NOT IN ('complete', 'rolled_back', 'failed') \
                 OR EXISTS (SELECT 1 FROM original o WHERE o.upgrade_id = u.id))) \
                 SELECT backup FROM open WHERE backup IS NOT NULL UNION \
                 SELECT options ->> '$.restore' FROM open WHERE options ->> '$.restore' IS NOT NULL UNION \
                 SELECT b.path FROM system_backups b JOIN open ON open.id = b.upgrade_id",
            )?
            .query_and_then([installation.as_str()], |row| Ok(PathBuf::from(row.get::<_, String>(0)?)))?
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
