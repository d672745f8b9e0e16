//! Fresh starts and what they set aside, for every face.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use crate::model::fresh::FreshState;
use crate::model::ids::InstallationName;

/// A fresh start: a release that cannot take the old data along, installed empty beside the old one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub struct FreshStartView {
    /// The installation that is set aside.
    #[cfg_attr(feature = "bindings", ts(type = "string"))]
    pub installation: InstallationName,
    /// The new one.
    #[cfg_attr(feature = "bindings", ts(type = "string"))]
    pub successor: InstallationName,
    /// Where it stands.
    pub state: FreshState,
    /// The old version, where known.
    pub from: Option<String>,
    /// The new version.
    pub to: String,
    /// The folder of the new installation.
    pub folder: String,
    /// The export that holds what shall come along: the last one that was made.
    pub export: Option<String>,
    /// The proven backup of the old one.
    pub backup: Option<String>,
    /// When it began.
    pub begun_at: DateTime<Utc>,
    /// When it was complete or taken back.
    pub ended_at: Option<DateTime<Utc>>,
    /// What happened, in sentences.
    pub says: Vec<String>,
}

/// Whether an installation that was set aside runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub enum SetAsideUse {
    /// It does not.
    Stopped,
    /// For a look: nothing can be written, on an address of its own.
    Looked,
    /// In place of the new one.
    InUse,
}

/// An installation that was set aside whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub struct SetAsideView {
    /// Its name.
    #[cfg_attr(feature = "bindings", ts(type = "string"))]
    pub installation: InstallationName,
    /// For which one.
    #[cfg_attr(feature = "bindings", ts(type = "string"))]
    pub successor: InstallationName,
    /// Its version, where known.
    pub version: Option<String>,
    /// Its folder.
    pub folder: String,
    /// Since when.
    pub since: DateTime<Utc>,
    /// What it takes, folder and databases.
    #[cfg_attr(feature = "bindings", ts(type = "number | null"))]
    pub bytes: Option<u64>,
    /// Whether it runs.
    pub used: SetAsideUse,
    /// Where it can be looked at, while it is.
    pub address: Option<String>,
    /// Whether it has just been removed.
    pub removed: bool,
}
