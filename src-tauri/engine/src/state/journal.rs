//! What a worker writes: intents before acts, outcomes after them, and the state in the same transaction.
//!
//! Every statement names the upgrade and the epoch of the lease. When no row changes, the lease was lost:
//! the answer is `lease_lost` and the worker stops without touching anything more.

use chrono::{DateTime, Utc};
use rusqlite::{Transaction, params};
use serde_json::Value;

use crate::error::{Error, Kind, Result};
use crate::model::ids::UpgradeId;
use crate::model::state::{Event, State};
use crate::secrets::{masked, masked_error};
use crate::state::lease::Holder;
use crate::state::outcomes::record_outcome;
use crate::state::upgrades::{Outcome, Upgrade, ask_for_next_hop, one, stamp};
use crate::state::{Db, to_json};

pub use crate::state::runs::{Direction, RunOutcome, StepKey, StepRun, runs_of};

/// How an upgrade ends.
#[derive(Debug, Clone, PartialEq)]
pub struct Ending {
    /// In the words of the history.
    pub outcome: Outcome,
    /// One sentence for people.
    pub message: String,
    /// Why, where it was not a success.
    pub error: Option<Error>,
    /// Path of the receipt.
    pub receipt: Option<String>,
    /// Boot of this machine.
    pub boot_id: String,
    /// Seconds since that boot.
    pub uptime: f64,
}

/// Figures of life: which boot, and seconds since it.
#[derive(Debug, Clone, PartialEq)]
pub struct Pulse {
    /// Boot of this machine.
    pub boot_id: String,
    /// Seconds since that boot, now.
    pub uptime: f64,
    /// Seconds since that boot when anything last moved.
    pub moved: f64,
    /// Seconds since that boot after which a watchdog may end this worker.
    pub deadline: f64,
    /// How fast it moves, in words, where that can be measured.
    pub rate: Option<String>,
}

/// The pen of one worker for one upgrade under one epoch.
#[derive(Debug)]
pub struct Journal {
    db: Db,
    /// The upgrade.
    pub id: UpgradeId,
    /// The lease under which everything is written.
    pub epoch: i64,
}

impl Journal {
    /// Takes up an upgrade under a lease: from here on older epochs cannot write.
    ///
    /// # Errors
    /// `unknown_upgrade`, or those of the state itself.
    pub fn take_up(mut db: Db, id: UpgradeId, epoch: i64, holder: &Holder, now: DateTime<Utc>) -> Result<Self> {
        let tx = db.write()?;
        let changed = tx.execute(
            "UPDATE system_updates SET epoch = ?2, holder = ?3, started_at = coalesce(started_at, ?4), \
             restarts = restarts + (started_at IS NOT NULL), seq = seq + 1 WHERE id = ?1 AND epoch < ?2",
            params![id.to_string(), epoch, to_json(holder)?, stamp(now)],
        )?;
        if changed == 0 {
            return Err(lease_lost());
        }
        tx.commit()?;
        Ok(Self { db, id, epoch })
    }

    /// The state layer below, for reading and for records that are not part of the upgrade's row.
    pub fn db(&self) -> &Db {
        &self.db
    }

    /// The state layer below, for records that are not part of the upgrade's row.
    pub fn db_mut(&mut self) -> &mut Db {
        &mut self.db
    }

    /// The row as it is now.
    ///
    /// # Errors
    /// `lease_lost` when another worker has taken it up.
    pub fn upgrade(&self) -> Result<Upgrade> {
        let upgrade = self.db.upgrade(self.id)?;
        if upgrade.epoch == self.epoch { Ok(upgrade) } else { Err(lease_lost()) }
    }

    /// Every try so far, oldest first.
    ///
    /// # Errors
    /// Those of the state itself.
    pub fn runs(&self) -> Result<Vec<StepRun>> {
        runs_of(&self.db, self.id)
    }

    /// Records the intent of a step, durably, before the step touches the world. An unfinished earlier try is
    /// closed as interrupted in the same transaction.
    ///
    /// # Errors
    /// `lease_lost`.
    pub fn intend(
        &mut self,
        direction: Direction,
        phase: State,
        key: &StepKey,
        intent: &Value,
        now: DateTime<Utc>,
    ) -> Result<i64> {
        let (id, epoch) = (self.id.to_string(), self.epoch);
        let tx = self.db.write()?;
        let changed = tx.execute(
            "UPDATE system_updates SET step = ?3, seq = seq + 1, \
             phase = CASE WHEN ?5 = 'forward' THEN ?4 ELSE phase END WHERE id = ?1 AND epoch = ?2",
            params![id, epoch, key.step, phase.as_str(), direction.as_str()],
        )?;
        mine(changed)?;
        tx.execute(
            "UPDATE step_run SET outcome = 'interrupted', finished_at = ?6 WHERE upgrade_id = ?1 AND direction = ?2 \
             AND step = ?3 AND component = ?4 AND store = ?5 AND outcome IS NULL",
            params![id, direction.as_str(), key.step, key.component, key.store, stamp(now)],
        )?;
        tx.execute(
            "INSERT INTO step_run (upgrade_id, direction, phase, step, component, store, attempt, epoch, intent, started_at) \
             SELECT ?1, ?2, ?3, ?4, ?5, ?6, 1 + (SELECT count(*) FROM step_run WHERE upgrade_id = ?1 AND direction = ?2 \
             AND step = ?4 AND component = ?5 AND store = ?6), ?7, ?8, ?9",
            params![id, direction.as_str(), phase.as_str(), key.step, key.component, key.store, epoch, intent.to_string(), stamp(now)],
        )?;
        let run = tx.last_insert_rowid();
        tx.commit()?;
        Ok(run)
    }

    /// Replaces what an open intent says, before an act that needs to know more than was known at its start.
    ///
    /// # Errors
    /// `lease_lost`.
    pub fn amend(&mut self, run: i64, intent: &Value) -> Result<()> {
        let changed = self.db.conn.execute(
            "UPDATE step_run SET intent = ?3 WHERE id = ?1 AND epoch = ?2 AND outcome IS NULL \
             AND EXISTS (SELECT 1 FROM system_updates WHERE id = ?4 AND epoch = ?2)",
            params![run, self.epoch, intent.to_string(), self.id.to_string()],
        )?;
        mine(changed)
    }

    /// Records how a try ended, after its effect is on disk, and moves the state in the same transaction.
    ///
    /// # Errors
    /// `lease_lost`, `illegal_transition`.
    pub fn conclude(
        &mut self,
        run: i64,
        outcome: RunOutcome,
        answer: &Value,
        error: Option<&Error>,
        event: Option<Event>,
        now: DateTime<Utc>,
    ) -> Result<()> {
        let (id, epoch) = (self.id, self.epoch);
        let tx = self.db.write()?;
        let changed = tx.execute(
            "UPDATE step_run SET outcome = ?3, answer = ?4, error = ?5, finished_at = ?6 WHERE id = ?1 AND epoch = ?2 AND outcome IS NULL",
            params![run, epoch, outcome.as_str(), answer.to_string(), error.map(|it| to_json(&masked_error(it))).transpose()?, stamp(now)],
        )?;
        mine(changed)?;
        match event {
            Some(event) => move_state(&tx, id, epoch, event)?,
            None => mine(tx.execute(
                "UPDATE system_updates SET seq = seq + 1 WHERE id = ?1 AND epoch = ?2",
                params![id.to_string(), epoch],
            )?)?,
        }
        tx.commit()?;
        Ok(())
    }

    /// Moves the state without a step.
    ///
    /// # Errors
    /// `lease_lost`, `illegal_transition`.
    pub fn advance(&mut self, event: Event) -> Result<()> {
        let (id, epoch) = (self.id, self.epoch);
        let tx = self.db.write()?;
        move_state(&tx, id, epoch, event)?;
        tx.commit()?;
        Ok(())
    }

    /// Records why the way forward was left, with the move of the state.
    ///
    /// # Errors
    /// `lease_lost`, `illegal_transition`.
    pub fn turn_back(&mut self, event: Event, why: &Error, message: &str) -> Result<()> {
        let (id, epoch) = (self.id, self.epoch);
        let tx = self.db.write()?;
        move_state(&tx, id, epoch, event)?;
        mine(tx.execute(
            "UPDATE system_updates SET error = ?3, cause = ?3, message = ?4 WHERE id = ?1 AND epoch = ?2",
            params![id.to_string(), epoch, to_json(&masked_error(why))?, masked(message)],
        )?)?;
        tx.commit()?;
        Ok(())
    }

    /// Records why the way forward is left where it does not turn back by itself; the first reason stays.
    ///
    /// # Errors
    /// `lease_lost`.
    pub fn leave(&mut self, why: &Error) -> Result<()> {
        let changed = self.db.conn.execute(
            "UPDATE system_updates SET cause = coalesce(cause, ?3) WHERE id = ?1 AND epoch = ?2",
            params![self.id.to_string(), self.epoch, to_json(&masked_error(why))?],
        )?;
        mine(changed)
    }

    /// Ends the upgrade: state, result, history record and receipt in one transaction. The history's unique key
    /// makes a second ending of the same kind impossible.
    ///
    /// # Errors
    /// `lease_lost`, `illegal_transition`.
    pub fn end(&mut self, event: Event, ending: &Ending, now: DateTime<Utc>) -> Result<State> {
        let (id, epoch) = (self.id, self.epoch);
        let tx = self.db.write()?;
        let state = one(&tx, id)?.state.on(event)?;
        mine(tx.execute(
            "UPDATE system_updates SET state = ?3, result = ?4, message = ?5, error = ?6, receipt = coalesce(?7, receipt), \
             finished_at = ?8, finished_boot = ?9, finished_uptime = ?10, holder = NULL, step = NULL, deadline_uptime = NULL, \
             acknowledged_at = NULL, progress = CASE WHEN ?3 = 'complete' THEN 100 ELSE progress END, seq = seq + 1 \
             WHERE id = ?1 AND epoch = ?2",
            params![
                id.to_string(),
                epoch,
                state.as_str(),
                ending.outcome.as_str(),
                masked(&ending.message),
                ending.error.as_ref().map(|it| to_json(&masked_error(it))).transpose()?,
                ending.receipt,
                stamp(now),
                ending.boot_id,
                ending.uptime
            ],
        )?)?;
        let ended = one(&tx, id)?;
        record_outcome(&tx, &ended, ending.outcome, now)?;
        if state == State::Complete && ended.options.restore.is_some() {
            settle_stranded(&tx, &ended, ending, now)?;
        }
        // A person who settled it decides about the rest of the way too.
        if state == State::Complete && event == Event::Advanced {
            ask_for_next_hop(&tx, &ended, now)?;
        }
        tx.commit()?;
        Ok(state)
    }

    /// Opens an upgrade again that waited for a person, so that the rollback can be tried once more.
    ///
    /// # Errors
    /// `lease_lost`, `illegal_transition`.
    pub fn reopen(&mut self, event: Event) -> Result<()> {
        let (id, epoch) = (self.id, self.epoch);
        let tx = self.db.write()?;
        let state = one(&tx, id)?.state.on(event)?;
        mine(tx.execute(
            "UPDATE system_updates SET state = ?3, finished_at = NULL, result = NULL, acknowledged_at = NULL, restarts = 0, \
             away_from = CASE WHEN ?4 THEN NULL ELSE away_from END, away_to = CASE WHEN ?4 THEN NULL ELSE away_to END, \
             seq = seq + 1 WHERE id = ?1 AND epoch = ?2",
            // A return that is asked for later is an absence of its own.
            params![id.to_string(), epoch, state.as_str(), event == Event::ReturnAsked],
        )?)?;
        // What was undone, and how often it was tried, counts from here on: a person may have changed things since.
        tx.execute(
            "INSERT INTO setting (key, value) SELECT '_' || ?1, coalesce(max(id), 0) FROM step_run WHERE upgrade_id = ?2 \
             ON CONFLICT (key) DO UPDATE SET value = excluded.value",
            params![reopened(id), id.to_string()],
        )?;
        tx.commit()?;
        Ok(())
    }

    /// The last try that was on record when a person asked for the way back anew; 0 where nobody has.
    ///
    /// # Errors
    /// Those of the state itself.
    pub fn reopened_at(&self) -> Result<i64> {
        Ok(self.db.note(&reopened(self.id))?.and_then(|it| it.parse().ok()).unwrap_or(0))
    }

    /// A person asked to stop.
    ///
    /// # Errors
    /// `lease_lost`.
    pub fn is_cancelled(&self) -> Result<bool> {
        let found: Option<Option<String>> = self
            .db
            .conn
            .prepare_cached("SELECT cancel_asked_at FROM system_updates WHERE id = ?1 AND epoch = ?2")?
            .query_map(params![self.id.to_string(), self.epoch], |row| row.get(0))?
            .next()
            .transpose()?;
        found.map(|it| it.is_some()).ok_or_else(lease_lost)
    }

    /// Shows how far it is. Progress never falls.
    ///
    /// # Errors
    /// `lease_lost`.
    pub fn show(&mut self, progress: u8, message: &str, pulse: &Pulse) -> Result<()> {
        let changed = self.db.conn.execute(
            "UPDATE system_updates SET progress = max(progress, min(?3, 100)), message = ?4, alive_boot = ?5, alive_uptime = ?6, \
             progress_uptime = ?7, deadline_uptime = ?8, rate = ?9, seq = seq + 1 WHERE id = ?1 AND epoch = ?2",
            params![self.id.to_string(), self.epoch, progress, masked(message), pulse.boot_id, pulse.uptime, pulse.moved, pulse.deadline, pulse.rate],
        )?;
        mine(changed)
    }

    /// Records facts that checking found out.
    ///
    /// # Errors
    /// `lease_lost`.
    pub fn set_versions(&mut self, from: &str, to: &str) -> Result<()> {
        let changed = self.db.conn.execute(
            "UPDATE system_updates SET from_version = ?3, to_version = ?4, seq = seq + 1 WHERE id = ?1 AND epoch = ?2",
            params![self.id.to_string(), self.epoch, from, to],
        )?;
        mine(changed)
    }

    /// Records where the way ends, of which this upgrade is only a stop.
    ///
    /// # Errors
    /// `lease_lost`.
    pub fn set_goal(&mut self, goal: &str) -> Result<()> {
        let changed = self.db.conn.execute(
            "UPDATE system_updates SET options = json_set(options, '$.goal', ?3), seq = seq + 1 WHERE id = ?1 AND epoch = ?2",
            params![self.id.to_string(), self.epoch, goal],
        )?;
        mine(changed)
    }

    /// Records the folder of the backup.
    ///
    /// # Errors
    /// `lease_lost`.
    pub fn set_backup(&mut self, path: &str) -> Result<()> {
        let changed = self.db.conn.execute(
            "UPDATE system_updates SET backup = ?3, seq = seq + 1 WHERE id = ?1 AND epoch = ?2",
            params![self.id.to_string(), self.epoch, path],
        )?;
        mine(changed)
    }

    /// Records when users were shut out, or let in again. The first of each counts.
    ///
    /// # Errors
    /// `lease_lost`.
    pub fn set_away(&mut self, from: Option<DateTime<Utc>>, to: Option<DateTime<Utc>>) -> Result<()> {
        let changed = self.db.conn.execute(
            "UPDATE system_updates SET away_from = coalesce(away_from, ?3), away_to = coalesce(?4, away_to), seq = seq + 1 \
             WHERE id = ?1 AND epoch = ?2",
            params![self.id.to_string(), self.epoch, from.map(stamp), to.map(stamp)],
        )?;
        mine(changed)
    }

    /// Adds a line to the log.
    ///
    /// # Errors
    /// `lease_lost`.
    pub fn log(&mut self, line: &str, now: DateTime<Utc>) -> Result<()> {
        let added = self
            .db
            .conn
            .prepare_cached(
                "INSERT INTO event (upgrade_id, at, line) SELECT id, ?3, ?4 FROM system_updates WHERE id = ?1 AND epoch = ?2",
            )?
            .execute(params![self.id.to_string(), self.epoch, stamp(now), masked(line)])?;
        mine(added)
    }
}

/// A backup was returned to and runs well: that settles what waited for a person, with the data of the backup.
fn settle_stranded(tx: &Transaction<'_>, restore: &Upgrade, ending: &Ending, now: DateTime<Utc>) -> Result<()> {
    let sql = "SELECT id FROM system_updates WHERE installation = ?1 AND state = 'needs_attention'";
    let stranded = tx
        .prepare_cached(sql)?
        .query_and_then([restore.installation.as_str()], |row| row.get::<_, String>(0)?.parse())?
        .collect::<Result<Vec<UpgradeId>>>()?;
    for id in stranded {
        let state = one(tx, id)?.state.on(Event::SettledOld)?;
        tx.execute(
            "UPDATE system_updates SET state = ?2, result = ?3, message = ?4, finished_at = ?5, finished_boot = ?6, \
             finished_uptime = ?7, acknowledged_at = ?5, away_to = coalesce(away_to, ?5), seq = seq + 1 WHERE id = ?1",
            params![
                id.to_string(),
                state.as_str(),
                Outcome::RolledBack.as_str(),
                format!("Settled by returning to a backup, in {}.", restore.id),
                stamp(now),
                ending.boot_id,
                ending.uptime
            ],
        )?;
        record_outcome(tx, &one(tx, id)?, Outcome::RolledBack, now)?;
    }
    Ok(())
}

fn reopened(id: UpgradeId) -> String {
    format!("reopened/{id}")
}

fn move_state(tx: &Transaction<'_>, id: UpgradeId, epoch: i64, event: Event) -> Result<()> {
    let state = one(tx, id)?.state.on(event)?;
    mine(tx.execute(
        "UPDATE system_updates SET state = ?3, seq = seq + 1 WHERE id = ?1 AND epoch = ?2",
        params![id.to_string(), epoch, state.as_str()],
    )?)
}

fn mine(changed: usize) -> Result<()> {
    if changed == 1 { Ok(()) } else { Err(lease_lost()) }
}

/// The error of a worker whose upgrade was taken up by another.
pub(crate) fn lease_lost() -> Error {
    Error::new(Kind::LeaseLost, "lease_lost", "Another worker has taken over this upgrade.")
        .remedy("Nothing to do: the other one goes on.")
}
