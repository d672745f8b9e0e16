//! Fresh starts: the rows of `fresh_start`. An installation has one at most, until it was undone or the old one removed.

use chrono::{DateTime, Utc};
use rusqlite::params;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{Error, Result};
use crate::model::fresh::FreshState;
use crate::model::ids::{FreshStartId, InstallationName};
use crate::state::Db;
use crate::state::upgrades::{instant, optional_instant, stamp};

/// A fresh start as recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FreshStart {
    /// Its id.
    pub id: FreshStartId,
    /// The installation that is set aside.
    pub installation: InstallationName,
    /// The new one.
    pub successor: InstallationName,
    /// Where it stands.
    pub state: FreshState,
    /// What was fixed and found, as JSON.
    pub plan: String,
    /// When it began.
    pub begun_at: DateTime<Utc>,
    /// When it was complete, undone or removed.
    pub ended_at: Option<DateTime<Utc>>,
}

impl FreshStart {
    /// What was fixed and found.
    ///
    /// # Errors
    /// `state_corrupt`.
    pub fn plan<T: DeserializeOwned>(&self) -> Result<T> {
        serde_json::from_str(&self.plan).map_err(|cause| {
            Error::failed("state_corrupt", "What was planned for a fresh start cannot be read.")
                .remedy("Run `liftlock doctor`. Delete nothing.")
                .because(&cause)
        })
    }
}

const COLUMNS: &str = "id, installation, successor, state, plan, begun_at, ended_at";

impl Db {
    /// Writes down that one begins.
    ///
    /// # Errors
    /// `busy` where the installation has one already.
    pub fn begin_fresh_start(&mut self, it: &FreshStart) -> Result<()> {
        let tx = self.write()?;
        let there: i64 = tx.query_row(
            "SELECT count(*) FROM fresh_start WHERE installation = ?1 AND state NOT IN ('undone', 'removed')",
            [it.installation.as_str()],
            |row| row.get(0),
        )?;
        if there > 0 {
            return Err(Error::new(
                crate::error::Kind::Busy,
                "busy",
                format!("A fresh start of {} has begun already.", it.installation),
            )
            .remedy(format!("`liftlock fresh-start {}` goes on with it.", it.installation)));
        }
        tx.execute(
            "INSERT INTO fresh_start (id, installation, successor, state, plan, begun_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            params![
                it.id.to_string(),
                it.installation.as_str(),
                it.successor.as_str(),
                it.state.as_str(),
                it.plan,
                stamp(it.begun_at)
            ],
        )?;
        tx.commit()?;
        Ok(())
    }

    /// Writes down where it stands, and what was found on the way. Answers the document.
    ///
    /// # Errors
    /// Those of the state itself.
    pub fn advance_fresh_start(
        &mut self,
        id: FreshStartId,
        state: FreshState,
        plan: &impl Serialize,
        now: DateTime<Utc>,
    ) -> Result<String> {
        let plan = serde_json::to_string(plan)
            .map_err(|cause| Error::bug("state_json", "A record could not be written.").because(&cause))?;
        let ended = state.is_final().then(|| stamp(now));
        self.conn.execute(
            "UPDATE fresh_start SET state = ?2, plan = ?3, ended_at = coalesce(?4, ended_at) WHERE id = ?1",
            params![id.to_string(), state.as_str(), plan, ended],
        )?;
        Ok(plan)
    }

    /// Those that were neither undone nor ended by a removal, oldest first; of one installation or of all.
    ///
    /// # Errors
    /// Those of the state itself.
    pub fn fresh_starts(&self, installation: Option<&InstallationName>) -> Result<Vec<FreshStart>> {
        let sql = format!(
            "SELECT {COLUMNS} FROM fresh_start WHERE state NOT IN ('undone', 'removed') \
             AND (?1 IS NULL OR installation = ?1) ORDER BY begun_at"
        );
        self.conn
            .prepare_cached(&sql)?
            .query_and_then([installation.map(InstallationName::as_str)], |row| {
                Ok(FreshStart {
                    id: row.get::<_, String>(0)?.parse()?,
                    installation: row.get::<_, String>(1)?.parse()?,
                    successor: row.get::<_, String>(2)?.parse()?,
                    state: row.get::<_, String>(3)?.parse()?,
                    plan: row.get(4)?,
                    begun_at: instant(&row.get::<_, String>(5)?)?,
                    ended_at: optional_instant(row.get(6)?)?,
                })
            })?
            .collect()
    }
}
