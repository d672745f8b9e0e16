//! What an export holds, for every face.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An export that was read back and agrees with what the database gave.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub struct ExportView {
    /// Its folder.
    pub folder: String,
    /// The installation it came from.
    pub installation: String,
    /// The version that ran, where it is known.
    pub version: Option<String>,
    /// When it was made.
    pub made_at: DateTime<Utc>,
    /// What a person must know of all of it, as sentences.
    pub notes: Vec<String>,
    /// What it holds.
    pub entities: Vec<ExportedView>,
    /// Files that were read back.
    #[cfg_attr(feature = "bindings", ts(type = "number"))]
    pub files_checked: u64,
}

/// A kind of thing in an export.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub struct ExportedView {
    /// What people call it.
    pub entity: String,
    /// The table it came from.
    pub table: String,
    /// Its rows.
    #[cfg_attr(feature = "bindings", ts(type = "number"))]
    pub rows: u64,
    /// How many of them the application counts as deleted.
    #[serde(default)]
    #[cfg_attr(feature = "bindings", ts(type = "number"))]
    pub deleted: u64,
    /// Its files, in the folder.
    pub files: Vec<String>,
    /// Their size together.
    #[cfg_attr(feature = "bindings", ts(type = "number"))]
    pub bytes: u64,
    /// Columns that were left out.
    pub left_out: Vec<String>,
}
