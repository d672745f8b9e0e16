//! Updates that happen by themselves, and what a run of everything that is due brought.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{DueView, ErrorView, RoundView};
use crate::model::ids::{InstallationName, UpgradeId};
use crate::model::maintenance::Reach;
use crate::model::state::State;

/// When and how far an installation is updated by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub struct UnattendedView {
    /// Whose.
    #[cfg_attr(feature = "bindings", ts(type = "string"))]
    pub installation: InstallationName,
    /// The maintenance window, in the time of the people here: `Sunday 02:00-05:00`.
    pub during: String,
    /// How far.
    pub reach: Reach,
    /// When the window opens next, or opened.
    pub opens_at: Option<DateTime<Utc>>,
    /// What will happen by itself, and when at the earliest.
    pub planned: Option<PlannedUpdate>,
    /// When one was postponed last; nothing since one was begun or announced.
    pub postponed_at: Option<DateTime<Utc>>,
    /// Why, in a sentence.
    pub postponed_why: Option<String>,
    /// The last one that happened by itself.
    pub last: Option<UnattendedUpdate>,
}

/// An update that will happen by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub struct PlannedUpdate {
    /// The version.
    pub to: String,
    /// When, at the earliest.
    pub at: DateTime<Utc>,
}

/// An update that was begun by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub struct UnattendedUpdate {
    /// Which.
    #[cfg_attr(feature = "bindings", ts(type = "string"))]
    pub upgrade_id: UpgradeId,
    /// The version.
    pub to: String,
    /// When it was begun.
    pub at: DateTime<Utc>,
    /// Where it stands.
    pub state: State,
    /// How it ended, or what happens, in a sentence.
    pub message: String,
}

/// What became of an installation in a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum UnattendedOutcome {
    /// It was announced that an update will come.
    Announced,
    /// One is announced, and it is not time.
    Waits,
    /// It would be time, and something stands in the way; the next run looks again.
    Postponed,
    /// It was begun; a worker does it.
    Begun,
    /// It could not be looked at.
    Failed,
}

/// One installation of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct UnattendedRun {
    /// Whose.
    pub installation: InstallationName,
    /// What became of it.
    pub outcome: UnattendedOutcome,
    /// The version.
    pub to: Option<String>,
    /// When it begins at the earliest, or began.
    pub at: Option<DateTime<Utc>>,
    /// Which, where one was begun.
    pub upgrade_id: Option<UpgradeId>,
    /// What stands in the way, in a sentence.
    pub why: Option<String>,
    /// Why it could not be looked at.
    pub error: Option<ErrorView>,
}

/// What a run of everything that is due brought.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TickView {
    /// The search for releases.
    pub releases: RoundView,
    /// Scheduled backups that were due.
    pub backups: Vec<DueView>,
    /// Updates that happen by themselves.
    pub unattended: Vec<UnattendedRun>,
}
