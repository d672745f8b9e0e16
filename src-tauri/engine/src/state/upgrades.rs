//! The rows of `system_updates`, as everyone reads them and as anyone may ask for them.
//!
//! What a worker writes is in [`crate::state::journal`]; here are only requests that need no lease:
//! a new upgrade, an acknowledgement, the wish to cancel.

use std::path::Path;

use chrono::{DateTime, Utc};
use rusqlite::{Connection, OptionalExtension, Row, params};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Kind, Result};
use crate::model::ids::{InstallationName, UpgradeId};
use crate::model::state::State;
use crate::state::lease::Holder;
use crate::state::{Db, from_json, to_json};

/// What the person who asked for an upgrade decided.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Options {
    /// Losses of rows that were seen in a rehearsal and accepted, as `store.table=rows`.
    pub accepted_losses: Vec<String>,
    /// Stop after the rehearsal; nothing is changed.
    pub rehearse_only: bool,
    /// Change the data in place after a proven final dump, even where there is room for a copy.
    pub in_place: bool,
    /// Files of the release in use that were changed by hand may stay behind in its folder.
    pub leave_changes: bool,
    /// Not an upgrade but a return to the backup in this folder.
    pub restore: Option<String>,
    /// Not an upgrade but a move of the database to the server that this version needs.
    pub move_for: Option<String>,
    /// Where the way ends, if this upgrade is a stop on it: once it is complete the next one is asked for.
    pub goal: Option<String>,
    /// The upgrade to the stop before, if this one goes on from there.
    pub after: Option<UpgradeId>,
    /// How long the application was said to be away when a person agreed, in seconds. A rehearsal that takes much longer
    /// is asked about; where nobody was told anything there is nothing to ask.
    pub confirmed_seconds: Option<u64>,
    /// The version that a person says the data is of, where that is not the one that runs.
    pub data_at: Option<String>,
    /// Nobody is there: what a person would have to judge is refused.
    pub unattended: bool,
}

/// How an upgrade ended, in the words of the history.
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The new version runs with all data.
    Success,
    /// The old version runs with the old data.
    RolledBack,
    /// Going back did not work.
    RollbackFailed,
    /// It ended before anything was changed.
    Failed,
    /// It was not begun.
    Refused,
    /// A person stopped it before anything was changed.
    AbortedByUser,
}

impl Outcome {
    /// The name in the database and in the history.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::RolledBack => "rolled_back",
            Self::RollbackFailed => "rollback_failed",
            Self::Failed => "failed",
            Self::Refused => "refused",
            Self::AbortedByUser => "aborted_by_user",
        }
    }
}

/// One attempt to bring an installation to a release.
#[derive(Debug, Clone, PartialEq)]
pub struct Upgrade {
    /// Its id, for ever.
    pub id: UpgradeId,
    /// Whose upgrade it is.
    pub installation: InstallationName,
    /// The component; the profile's first where it has one only.
    pub component: String,
    /// The version observed at the start; `None` before checking.
    pub from: Option<String>,
    /// The version asked for; `latest` before checking.
    pub to: String,
    /// Where it stands.
    pub state: State,
    /// The lease under which the last write was made.
    pub epoch: i64,
    /// Rises with every change.
    pub seq: i64,
    /// What was decided when it was asked for.
    pub options: Options,
    /// Who asked: user and face.
    pub initiated_by: String,
    /// The last phase forward.
    pub phase: Option<String>,
    /// The step at work.
    pub step: Option<String>,
    /// Percent of the way forward; never falls.
    pub progress: u8,
    /// What happens, in one plain sentence.
    pub message: String,
    /// What its last ending was about.
    pub error: Option<Error>,
    /// Why the way forward was left; nothing where a person asked to go back.
    pub cause: Option<Error>,
    /// How it ended.
    pub result: Option<String>,
    /// Folder of its backup.
    pub backup: Option<String>,
    /// Path of the receipt (JSON; the HTML is beside it).
    pub receipt: Option<String>,
    /// Who works on it, as recorded.
    pub holder: Option<Holder>,
    /// How often a worker took it up again.
    pub restarts: i64,
    /// When it was asked for.
    pub created_at: DateTime<Utc>,
    /// When a worker began.
    pub started_at: Option<DateTime<Utc>>,
    /// When it ended.
    pub finished_at: Option<DateTime<Utc>>,
    /// Boot during which it ended.
    pub finished_boot: Option<String>,
    /// Seconds since that boot when it ended.
    pub finished_uptime: Option<f64>,
    /// When a person said that they know.
    pub acknowledged_at: Option<DateTime<Utc>>,
    /// Last moment before the application was stopped.
    pub away_from: Option<DateTime<Utc>>,
    /// First moment when users were let in again.
    pub away_to: Option<DateTime<Utc>>,
    /// Boot of the two figures below.
    pub alive_boot: Option<String>,
    /// Seconds since that boot when the worker last said that it lives.
    pub alive_uptime: Option<f64>,
    /// Seconds since that boot when anything last moved.
    pub progress_uptime: Option<f64>,
    /// Seconds since that boot after which a watchdog may end the worker.
    pub deadline_uptime: Option<f64>,
    /// How fast what is at work moves, in words, where that can be measured.
    pub rate: Option<String>,
    /// When a person asked to cancel.
    pub cancel_asked_at: Option<DateTime<Utc>>,
}

const COLUMNS: &str = "id, installation, component, from_version, to_version, state, epoch, seq, options, initiated_by, \
    phase, step, progress, message, error, result, backup, receipt, holder, restarts, created_at, started_at, finished_at, \
    finished_boot, finished_uptime, acknowledged_at, away_from, away_to, alive_boot, alive_uptime, progress_uptime, \
    deadline_uptime, cancel_asked_at, cause, rate";

fn read(row: &Row<'_>) -> Result<Upgrade> {
    let optional_json = |index: &str| -> Result<Option<String>> { Ok(row.get::<_, Option<String>>(index)?) };
    Ok(Upgrade {
        id: row.get::<_, String>("id")?.parse()?,
        installation: row.get::<_, String>("installation")?.parse()?,
        component: row.get("component")?,
        from: row.get("from_version")?,
        to: row.get("to_version")?,
        state: State::parse(&row.get::<_, String>("state")?)?,
        epoch: row.get("epoch")?,
        seq: row.get("seq")?,
        options: from_json(&row.get::<_, String>("options")?)?,
        initiated_by: row.get("initiated_by")?,
        phase: row.get("phase")?,
        step: row.get("step")?,
        progress: row.get("progress")?,
        message: row.get("message")?,
        error: optional_json("error")?.map(|it| from_json(&it)).transpose()?,
        cause: optional_json("cause")?.map(|it| from_json(&it)).transpose()?,
        result: row.get("result")?,
        backup: row.get("backup")?,
        receipt: row.get("receipt")?,
        holder: optional_json("holder")?.map(|it| from_json(&it)).transpose()?,
        restarts: row.get("restarts")?,
        created_at: instant(&row.get::<_, String>("created_at")?)?,
        started_at: optional_instant(row.get("started_at")?)?,
        finished_at: optional_instant(row.get("finished_at")?)?,
        finished_boot: row.get("finished_boot")?,
        finished_uptime: row.get("finished_uptime")?,
        acknowledged_at: optional_instant(row.get("acknowledged_at")?)?,
        away_from: optional_instant(row.get("away_from")?)?,
        away_to: optional_instant(row.get("away_to")?)?,
        alive_boot: row.get("alive_boot")?,
        alive_uptime: row.get("alive_uptime")?,
        progress_uptime: row.get("progress_uptime")?,
        deadline_uptime: row.get("deadline_uptime")?,
        rate: row.get("rate")?,
        cancel_asked_at: optional_instant(row.get("cancel_asked_at")?)?,
    })
}

/// An instant from a column.
pub(crate) fn instant(text: &str) -> Result<DateTime<Utc>> {
    DateTime::parse_from_rfc3339(text).map(|it| it.with_timezone(&Utc)).map_err(|cause| {
        Error::failed("state_corrupt", "A date in Liftlock's own state cannot be read.")
            .remedy("Run `liftlock doctor`. Your applications and backups are not touched by this.")
            .because(&cause)
    })
}

pub(crate) fn optional_instant(text: Option<String>) -> Result<Option<DateTime<Utc>>> {
    text.map(|it| instant(&it)).transpose()
}

/// An instant for a column: always the same width, so that text sorts as time.
pub(crate) fn stamp(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(chrono::SecondsFormat::Millis, true)
}

pub(crate) fn one(conn: &Connection, id: UpgradeId) -> Result<Upgrade> {
    let sql = format!("SELECT {COLUMNS} FROM system_updates WHERE id = ?1");
    conn.prepare_cached(&sql)?.query_and_then([id.to_string()], read)?.next().unwrap_or_else(|| {
        Err(Error::usage("unknown_upgrade", format!("There is no upgrade {id}."))
            .remedy("Copy the id from `liftlock history`."))
    })
}

/// Asks for the rest of the way, in the transaction in which a stop on it is complete. What was accepted for this
/// stop was not accepted for the next.
pub(crate) fn ask_for_next_hop(conn: &Connection, done: &Upgrade, now: DateTime<Utc>) -> Result<()> {
    let Some(goal) = done.options.goal.as_ref().filter(|it| **it != done.to) else { return Ok(()) };
    let options = Options { after: Some(done.id), accepted_losses: Vec::new(), ..done.options.clone() };
    insert(conn, UpgradeId::fresh(), &done.installation, &done.component, goal, &options, &done.initiated_by, now)
}

#[allow(clippy::too_many_arguments, reason = "the columns of a row")]
fn insert(
    conn: &Connection,
    id: UpgradeId,
    installation: &InstallationName,
    component: &str,
    to: &str,
    options: &Options,
    initiated_by: &str,
    now: DateTime<Utc>,
) -> Result<()> {
    conn.execute(
        "INSERT INTO system_updates (id, installation, component, to_version, state, options, initiated_by, created_at, message) \
         VALUES (?1, ?2, ?3, ?4, 'pending', ?5, ?6, ?7, 'Waiting for a worker.')",
        params![id.to_string(), installation.as_str(), component, to, to_json(options)?, initiated_by, stamp(now)],
    )?;
    Ok(())
}

/// Why another upgrade cannot be asked for while `open` has not ended.
fn not_alone(open: &Upgrade, lock_file: &Path) -> Error {
    let (name, id) = (&open.installation, open.id);
    if open.state == State::NeedsAttention {
        return Error::refused("needs_attention", format!("{name} still needs you after the upgrade {id}."))
            .remedy(format!(
                "Follow `liftlock status {name}`, then `liftlock settle {id}`; or go back to a backup: `liftlock backup list`."
            ));
    }
    let who = match &open.holder {
        Some(holder) => format!("by {holder}"),
        None => {
            format!("asked for by {}, since {}", open.initiated_by, open.created_at.format("%Y-%m-%d %H:%M:%S UTC"))
        }
    };
    Error::new(Kind::Busy, "busy", format!("{name} is already being updated to {} ({}), {who}.", open.to, open.state))
        .remedy(format!(
            "`liftlock status {name}` shows how far it is; `liftlock resume {id}` goes on with it if nobody does. Its lock \
             is {}; leave that file where it is.",
            lock_file.display()
        ))
        .detail(format!("lock file: {}", lock_file.display()))
        .detail(format!("upgrade: {id}"))
}

impl Db {
    /// Asks for an upgrade: a `pending` row, nothing else.
    ///
    /// # Errors
    /// `busy` where the installation has an upgrade that has not ended, `needs_attention` where one waits for a person.
    pub fn ask_for_upgrade(
        &mut self,
        installation: &InstallationName,
        component: &str,
        to: &str,
        options: &Options,
        initiated_by: &str,
        now: DateTime<Utc>,
    ) -> Result<UpgradeId> {
        let id = UpgradeId::fresh();
        let lock_file = self.home.lock_file(installation);
        let tx = self.write()?;
        let open = format!(
            "SELECT {COLUMNS} FROM system_updates WHERE installation = ?1 AND state NOT IN ('complete', 'rolled_back', 'failed')"
        );
        for other in tx.prepare_cached(&open)?.query_and_then([installation.as_str()], read)? {
            let other = other?;
            // Returning to a backup is one of the ways out for one that waits for a person.
            if other.state != State::NeedsAttention || options.restore.is_none() {
                return Err(not_alone(&other, &lock_file));
            }
        }
        insert(&tx, id, installation, component, to, options, initiated_by, now)?;
        tx.commit()?;
        Ok(id)
    }

    /// One upgrade.
    ///
    /// # Errors
    /// `unknown_upgrade`.
    pub fn upgrade(&self, id: UpgradeId) -> Result<Upgrade> {
        one(&self.conn, id)
    }

    /// The upgrade of an installation that has not ended, else its newest one.
    ///
    /// # Errors
    /// Only those of the state itself.
    pub fn newest_upgrade(&self, installation: &InstallationName) -> Result<Option<Upgrade>> {
        // An older one may be on its way back, after attempts that changed nothing; one that somebody works on comes
        // before one that waits for a person.
        let sql = format!(
            "SELECT {COLUMNS} FROM system_updates WHERE installation = ?1 AND state NOT IN ('complete', 'rolled_back', 'failed') \
             ORDER BY state = 'needs_attention', created_at DESC"
        );
        let open = self.conn.prepare_cached(&sql)?.query_and_then([installation.as_str()], read)?.next().transpose()?;
        if open.is_some() {
            return Ok(open);
        }
        let sql = format!(
            "SELECT {COLUMNS} FROM system_updates WHERE installation = ?1 ORDER BY created_at DESC, id DESC LIMIT 1"
        );
        self.conn.prepare_cached(&sql)?.query_and_then([installation.as_str()], read)?.next().transpose()
    }

    /// The upgrades of an installation that wait for a person, oldest first.
    ///
    /// # Errors
    /// Only those of the state itself.
    pub fn stranded_upgrades(&self, installation: &InstallationName) -> Result<Vec<Upgrade>> {
        let sql = format!(
            "SELECT {COLUMNS} FROM system_updates WHERE installation = ?1 AND state = 'needs_attention' ORDER BY created_at, id"
        );
        self.conn.prepare_cached(&sql)?.query_and_then([installation.as_str()], read)?.collect()
    }

    /// The upgrade that goes on where this one has ended, if this one was a stop on the way.
    ///
    /// # Errors
    /// Only those of the state itself.
    pub fn next_hop(&self, id: UpgradeId) -> Result<Option<UpgradeId>> {
        let found: Option<String> = self
            .conn
            .prepare_cached(
                "SELECT id FROM system_updates WHERE json_extract(options, '$.after') = ?1 \
                 ORDER BY created_at DESC, id DESC LIMIT 1",
            )?
            .query_row([id.to_string()], |row| row.get(0))
            .optional()?;
        found.map(|it| it.parse()).transpose()
    }

    /// Every upgrade that has not ended, of all installations, oldest first.
    ///
    /// # Errors
    /// Only those of the state itself.
    pub fn unfinished_upgrades(&self) -> Result<Vec<Upgrade>> {
        let sql = format!(
            "SELECT {COLUMNS} FROM system_updates WHERE state NOT IN ('complete', 'rolled_back', 'failed') \
             AND finished_at IS NULL ORDER BY created_at, id"
        );
        self.conn.prepare_cached(&sql)?.query_and_then([], read)?.collect()
    }

    /// The newest upgrades, newest first, of one installation or all.
    ///
    /// # Errors
    /// Only those of the state itself.
    pub fn upgrades(&self, installation: Option<&InstallationName>, most: u32) -> Result<Vec<Upgrade>> {
        let sql = format!(
            "SELECT {COLUMNS} FROM system_updates WHERE ?1 IS NULL OR installation = ?1 ORDER BY created_at DESC, id DESC LIMIT ?2"
        );
        self.conn
            .prepare_cached(&sql)?
            .query_and_then(params![installation.map(InstallationName::as_str), most], read)?
            .collect()
    }

    /// A person says that they know how this upgrade ended. It can never cover another one.
    ///
    /// # Errors
    /// `unknown_upgrade`; `not_finished` while it runs.
    pub fn acknowledge(&mut self, id: UpgradeId, now: DateTime<Utc>) -> Result<()> {
        let tx = self.write()?;
        let upgrade = one(&tx, id)?;
        if !upgrade.state.is_final() {
            return Err(Error::refused("not_finished", "This upgrade has not ended yet.")
                .remedy("Wait for its end; `liftlock status` shows how far it is."));
        }
        tx.execute(
            "UPDATE system_updates SET acknowledged_at = ?2, seq = seq + 1 WHERE id = ?1 AND acknowledged_at IS NULL",
            params![id.to_string(), stamp(now)],
        )?;
        tx.commit()?;
        Ok(())
    }

    /// A person asks to stop. The worker sees it at its next look; one that nobody works on is ended by `resume`.
    /// `opening` is the step from which on users may be in: what is written down before it is begun will be heard.
    ///
    /// # Errors
    /// `already_finished`; `cannot_cancel_rollback`; `too_late_to_cancel`.
    pub fn ask_to_cancel(&mut self, id: UpgradeId, opening: &str, now: DateTime<Utc>) -> Result<()> {
        let tx = self.write()?;
        let upgrade = one(&tx, id)?;
        if upgrade.state.is_final() {
            return Err(Error::refused("already_finished", "This upgrade has already ended.")
                .remedy("To go back to the version before, use `liftlock rollback`."));
        }
        if upgrade.state == State::RollingBack {
            return Err(Error::refused(
                "cannot_cancel_rollback",
                "The old version is being brought back; this cannot be interrupted.",
            )
            .remedy("Wait until it has ended."));
        }
        let is_opened: bool = tx.query_row(
            "SELECT EXISTS (SELECT 1 FROM step_run WHERE upgrade_id = ?1 AND direction = 'forward' AND step = ?2)",
            params![id.to_string(), opening],
            |row| row.get(0),
        )?;
        if is_opened {
            return Err(Error::refused(
                "too_late_to_cancel",
                format!("It is too late to stop this update: users are being let in to {}.", upgrade.to),
            )
            .remedy(format!("Wait until it has ended; `liftlock rollback {}` then goes back.", upgrade.installation)));
        }
        tx.execute(
            "UPDATE system_updates SET cancel_asked_at = ?2, seq = seq + 1 WHERE id = ?1 AND cancel_asked_at IS NULL",
            params![id.to_string(), stamp(now)],
        )?;
        tx.commit()?;
        Ok(())
    }
}
