//! What came in, for every face.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use crate::import::mapping::{ColumnMapping, Duplicates, EntityMapping, Mapping};

/// What of an export would come into which table and column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub struct MappingView {
    /// The mapping.
    pub mapping: Mapping,
    /// The same as the text of a file that a person edits.
    pub text: String,
    /// What is missing in it, where something is.
    pub problem: Option<String>,
    /// What nothing comes of, in sentences.
    pub left_behind: Vec<String>,
    /// The tables that there are.
    pub tables: Vec<String>,
}

/// An import, or a trial of one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub struct ImportView {
    /// Its id, by which it is taken back.
    pub run: String,
    /// Whether it was only tried: nothing came in.
    pub trial: bool,
    /// The export.
    pub export: String,
    /// What became of each entity, in the order in which they came in.
    pub entities: Vec<ImportedView>,
    /// The folder with the rows that did not come in, each with the reason; it can be corrected and imported.
    pub rest: Option<String>,
    /// What is worth knowing, in sentences.
    pub notes: Vec<String>,
}

/// What became of the rows of an entity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub struct ImportedView {
    /// What people call it.
    pub entity: String,
    /// The table, or the application itself.
    pub into: String,
    /// Rows in the file.
    #[cfg_attr(feature = "bindings", ts(type = "number"))]
    pub rows: u64,
    /// That came in newly.
    #[cfg_attr(feature = "bindings", ts(type = "number"))]
    pub inserted: u64,
    /// That were there and got the values of the export.
    #[cfg_attr(feature = "bindings", ts(type = "number"))]
    pub updated: u64,
    /// That were there and stay as they are.
    #[cfg_attr(feature = "bindings", ts(type = "number"))]
    pub skipped: u64,
    /// That an earlier import of this export had brought in.
    #[cfg_attr(feature = "bindings", ts(type = "number"))]
    pub earlier: u64,
    /// That do not come in.
    #[cfg_attr(feature = "bindings", ts(type = "number"))]
    pub out: u64,
    /// That came in, and were altered by the application itself.
    #[cfg_attr(feature = "bindings", ts(type = "number"))]
    pub altered: u64,
    /// The first hundred that do not come in.
    pub troubles: Vec<RowTrouble>,
    /// That are there with other values, and that nobody said anything of.
    #[serde(default)]
    #[cfg_attr(feature = "bindings", ts(type = "number"))]
    pub asked: u64,
    /// The first hundred of these.
    #[serde(default)]
    pub pairs: Vec<PairView>,
}

/// A row that is there already, beside the one that would come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub struct PairView {
    /// What people call what it is.
    pub entity: String,
    /// What the row of the export is known by.
    pub key: String,
    /// The line of the file that it begins on.
    #[cfg_attr(feature = "bindings", ts(type = "number | null"))]
    pub line: Option<u64>,
    /// Its values.
    pub fields: Vec<PairField>,
}

/// A value that is there, beside the one that would come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub struct PairField {
    /// The column.
    pub column: String,
    /// What is there.
    pub there: Option<String>,
    /// What would come.
    pub comes: Option<String>,
}

/// What a person said of a row that is there already.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub struct PairAnswer {
    /// What people call what it is.
    pub entity: String,
    /// What the row of the export is known by.
    pub key: String,
    /// Whether what is there gets the values of the export.
    pub takes: bool,
}

/// A row that does not come in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub struct RowTrouble {
    /// Its number, from 1, without the headings.
    #[cfg_attr(feature = "bindings", ts(type = "number"))]
    pub row: u64,
    /// The line of the file that it begins on.
    #[cfg_attr(feature = "bindings", ts(type = "number | null"))]
    pub line: Option<u64>,
    /// The column, where it is one.
    pub column: Option<String>,
    /// Why, in the words of the database.
    pub why: String,
}

/// What was taken back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub struct UndoneView {
    /// Which import.
    pub run: String,
    /// By table, the last one first.
    pub tables: Vec<TakenBackView>,
}

/// What was taken back from a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub struct TakenBackView {
    /// The table.
    pub table: String,
    /// Rows that were removed.
    #[cfg_attr(feature = "bindings", ts(type = "number"))]
    pub removed: u64,
    /// Rows that have the values of before again.
    #[cfg_attr(feature = "bindings", ts(type = "number"))]
    pub restored: u64,
    /// Rows that stay, because they were changed since or something else names them.
    #[cfg_attr(feature = "bindings", ts(type = "number"))]
    pub stays: u64,
    /// The first hundred of these, with the reason.
    pub why: Vec<String>,
}
