//! The rows of `step_run`, as everyone reads them: every try of every step, with its intent and how it ended.
//!
//! Written by [`crate::state::journal`] alone.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::{Error, Result};
use crate::model::ids::UpgradeId;
use crate::state::upgrades::{instant, optional_instant};
use crate::state::{Db, from_json};

/// Which way a step is walked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// Towards the new release.
    Forward,
    /// Towards the set-aside originals.
    Back,
}

impl Direction {
    /// The name in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Forward => "forward",
            Self::Back => "back",
        }
    }
}

/// Which step, of which component or store.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StepKey {
    /// Name of the step.
    pub step: String,
    /// The component it is about, or empty.
    pub component: String,
    /// The store it is about, or empty.
    pub store: String,
}

impl std::fmt::Display for StepKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.step)?;
        for part in [&self.component, &self.store] {
            if !part.is_empty() {
                write!(f, ":{part}")?;
            }
        }
        Ok(())
    }
}

/// How a try of a step ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RunOutcome {
    /// The act was done and its effect is on disk.
    Done,
    /// An earlier try had done it already.
    AlreadyThere,
    /// There was nothing to do.
    Skipped,
    /// It did not work.
    Failed,
    /// The worker ended in the middle; the next one looked and tried again.
    Interrupted,
}

impl RunOutcome {
    /// The name in the database and in receipts.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::AlreadyThere => "already_there",
            Self::Skipped => "skipped",
            Self::Failed => "failed",
            Self::Interrupted => "interrupted",
        }
    }

    /// Whether what the step is for is now so.
    pub fn is_there(self) -> bool {
        matches!(self, Self::Done | Self::AlreadyThere | Self::Skipped)
    }
}

/// One try of a step, as recorded.
#[derive(Debug, Clone, PartialEq)]
pub struct StepRun {
    /// Number of the row.
    pub id: i64,
    /// Which way.
    pub direction: Direction,
    /// Phase it belongs to.
    pub phase: String,
    /// Which step.
    pub key: StepKey,
    /// The how-many-th try.
    pub attempt: u32,
    /// Inputs, and what is needed to undo them.
    pub intent: Value,
    /// When the intent was recorded.
    pub started_at: DateTime<Utc>,
    /// When the outcome was recorded.
    pub finished_at: Option<DateTime<Utc>>,
    /// How it ended; `None`: it may or may not have happened.
    pub outcome: Option<RunOutcome>,
    /// What the step found or made.
    pub answer: Value,
    /// Why it failed.
    pub error: Option<Error>,
}

/// Every try of an upgrade's steps, oldest first.
///
/// # Errors
/// Those of the state itself.
pub fn runs_of(db: &Db, id: UpgradeId) -> Result<Vec<StepRun>> {
    db.conn
        .prepare_cached(
            "SELECT id, direction, phase, step, component, store, attempt, intent, started_at, finished_at, outcome, answer, error \
             FROM step_run WHERE upgrade_id = ?1 ORDER BY id",
        )?
        .query_and_then([id.to_string()], |row| {
            let word = |text: String| serde_json::Value::String(text);
            Ok(StepRun {
                id: row.get(0)?,
                direction: serde_json::from_value(word(row.get(1)?)).map_err(unreadable)?,
                phase: row.get(2)?,
                key: StepKey { step: row.get(3)?, component: row.get(4)?, store: row.get(5)? },
                attempt: row.get(6)?,
                intent: from_json(&row.get::<_, String>(7)?)?,
                started_at: instant(&row.get::<_, String>(8)?)?,
                finished_at: optional_instant(row.get(9)?)?,
                outcome: row.get::<_, Option<String>>(10)?.map(|it| serde_json::from_value(word(it)).map_err(unreadable)).transpose()?,
                answer: row.get::<_, Option<String>>(11)?.map(|it| from_json(&it)).transpose()?.unwrap_or(Value::Null),
                error: row.get::<_, Option<String>>(12)?.map(|it| from_json(&it)).transpose()?,
            })
        })?
        .collect()
}

fn unreadable(cause: serde_json::Error) -> Error {
    Error::failed("state_corrupt", "A row of Liftlock's journal cannot be read.")
        .remedy("Run `liftlock doctor`. Your applications and backups are not touched by this.")
        .because(&cause)
}
