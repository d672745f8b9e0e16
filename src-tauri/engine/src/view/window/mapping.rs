//! What of an export comes into which column, as a page shows it and a person changes it.

use serde::{Deserialize, Serialize};

/// All of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub struct MappingTable {
    /// Kind by kind.
    pub entities: Vec<MappedEntity>,
    /// What is missing in it: as long as something is, it is not remembered.
    pub problem: Option<String>,
    /// What nothing comes of, in sentences.
    pub left_behind: Vec<String>,
    /// Whether nobody has changed anything.
    pub is_suggestion: bool,
}

/// Where the rows of a kind of thing go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub struct MappedEntity {
    /// What people call it.
    pub key: String,
    /// The table, or nothing where the application takes it itself.
    pub into: Option<String>,
    /// The columns there.
    pub columns: Vec<MappedColumn>,
    /// The columns of the file.
    pub sources: Vec<MappedSource>,
}

/// A column of the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub struct MappedSource {
    /// Its name.
    pub column: String,
    /// Its heading.
    pub label: String,
}

/// A column of the new version, and what comes into it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub struct MappedColumn {
    /// Its name.
    pub column: String,
    /// Its type.
    pub holds: String,
    /// The column of the file that comes into it.
    pub from: Option<String>,
    /// The text that always comes into it.
    pub value: Option<String>,
    /// The kind of thing whose rows come into it as a list, where they do or could.
    pub list: Option<String>,
    /// Whether they do.
    pub is_list: bool,
    /// By how much it is divided.
    #[cfg_attr(feature = "bindings", ts(type = "number | null"))]
    pub divided_by: Option<u64>,
    /// The kind of thing that it names one of.
    pub names: Option<String>,
    /// Columns of the file that suit it.
    pub suits: Vec<String>,
    /// Why it is so.
    pub reason: Option<MappedReason>,
    /// What is wrong with it.
    pub warning: Option<MappedWarning>,
}

/// Why something comes into a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum MappedReason {
    /// Both have the same name.
    SameName,
    /// Their names are alike.
    Similar,
    /// It is a number in hundredths.
    Divided,
    /// It names something that comes in too.
    Names,
    /// It is a list of what belongs to it.
    List,
    /// The profile says what new ones get, as it is in no export.
    Filled,
    /// A person said so.
    Chosen,
}

/// What is wrong with what comes into a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum MappedWarning {
    /// Its type is another one.
    DoesNotFit,
    /// It needs a value, and nothing comes into it.
    Missing,
}

/// What a person changed: a column of the file, a text, the list, or nothing at all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub struct MappedChange {
    /// The kind of thing.
    pub entity: String,
    /// The column of the new version.
    pub column: String,
    /// The column of the file.
    pub from: Option<String>,
    /// Always this text.
    pub value: Option<String>,
    /// The list that is suggested.
    pub list: bool,
}
