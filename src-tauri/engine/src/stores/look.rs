//! One table of a backup, beside the live data, for looking at.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What is beside, and how it is reached.
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TableLook {
    /// The database that was made for it.
    pub database: String,
    /// The backup that it is from.
    pub backup: String,
    /// When that was made.
    pub made_at: String,
    /// The table.
    pub table: String,
    /// Its size on the server, in bytes.
    #[cfg_attr(feature = "bindings", ts(type = "number"))]
    pub bytes: u64,
    /// How a person connects to it by hand.
    pub connect: String,
    /// Its rows; `null` in a list.
    #[cfg_attr(feature = "bindings", ts(type = "number | null"))]
    pub rows: Option<u64>,
    /// Its first columns; none in a list.
    pub columns: Vec<String>,
    /// Its first rows, long values cut; none in a list.
    pub first_rows: Vec<Vec<Option<String>>>,
}

/// What the mark of such a database says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LookMark {
    /// The backup that it is from.
    pub backup: String,
    /// When that was made.
    pub made_at: String,
    /// The table.
    pub table: String,
}

/// What every mark begins with.
const BEGINS: &str = "made by Liftlock to look at: ";
/// And before all of it is there.
const BEGUN: &str = "being made by Liftlock to look at: ";

impl LookMark {
    /// As it is written.
    pub fn text(&self) -> String {
        format!("{BEGINS}{}", serde_json::to_string(self).unwrap_or_default())
    }

    /// The same of one that is being made.
    pub fn text_of_begun(&self) -> String {
        format!("{BEGUN}{}", serde_json::to_string(self).unwrap_or_default())
    }

    /// Whether this is the mark of one that was begun and never ended.
    pub fn is_begun(text: &str) -> bool {
        text.strip_prefix(BEGUN).is_some_and(|it| serde_json::from_str::<Self>(it).is_ok())
    }

    /// What was written, if it is one of ours.
    pub fn read(text: &str) -> Option<Self> {
        serde_json::from_str(text.strip_prefix(BEGINS)?).ok()
    }
}
