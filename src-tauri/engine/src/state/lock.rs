//! The administrator lock as it is written down: hashes, and how often somebody guessed wrong.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::state::{Db, from_json, to_json};

const KEY: &str = "_administrator_lock";

/// The lock that is set. Neither the passphrase nor the recovery code can be read from it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LockRecord {
    /// The passphrase, as an argon2id hash with its salt and costs.
    pub(crate) passphrase: String,
    /// SHA-256 of the recovery code, whose 120 random bits need no slow hash.
    pub(crate) recovery: String,
    /// Tries in a row that were not it.
    pub(crate) failures: u32,
    /// No try is looked at before then.
    pub(crate) next_try_at: Option<DateTime<Utc>>,
}

impl Db {
    /// The lock, where one is set.
    ///
    /// # Errors
    /// `state_corrupt`: a lock that cannot be read stays shut.
    pub(crate) fn lock_record(&self) -> Result<Option<LockRecord>> {
        let text: Option<String> = self
            .conn
            .prepare_cached("SELECT value FROM setting WHERE key = ?1")?
            .query_map([KEY], |row| row.get(0))?
            .next()
            .transpose()?;
        text.as_deref().map(from_json).transpose()
    }

    /// Reads the lock and writes what `change` makes of it, with nobody between: two who guess at once are counted as two.
    ///
    /// # Errors
    /// What `change` answers; nothing is written then.
    pub(crate) fn change_lock<T>(&mut self, change: impl FnOnce(&mut Option<LockRecord>) -> Result<T>) -> Result<T> {
        let tx = self.write()?;
        let text: Option<String> = tx
            .prepare_cached("SELECT value FROM setting WHERE key = ?1")?
            .query_map([KEY], |row| row.get(0))?
            .next()
            .transpose()?;
        let mut record = text.as_deref().map(from_json).transpose()?;
        let answer = change(&mut record)?;
        match record {
            None => tx.execute("DELETE FROM setting WHERE key = ?1", [KEY])?,
            Some(record) => tx.execute(
                "INSERT INTO setting (key, value) VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
                [KEY, &to_json(&record)?],
            )?,
        };
        tx.commit()?;
        Ok(answer)
    }
}
