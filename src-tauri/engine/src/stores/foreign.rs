//! What was found in a file that somebody else made: a dump of another machine, or one made by hand.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What kind of file it is.
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FileKind {
    /// An archive of `pg_dump -Fc`.
    Archive,
    /// SQL as `pg_dump` writes it: a program, which runs when it is brought in.
    Sql,
}

/// A table in such a file.
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FileTable {
    /// Its name, as `schema.table`.
    pub name: String,
    /// Its rows, as the file has them.
    #[cfg_attr(feature = "bindings", ts(type = "number"))]
    pub rows: u64,
}

/// What was found, without touching anything.
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FileFound {
    /// What it is.
    pub kind: FileKind,
    /// Whether it is packed with gzip.
    pub packed: bool,
    /// Its size in bytes.
    #[cfg_attr(feature = "bindings", ts(type = "number"))]
    pub bytes: u64,
    /// The size of what is in it, unpacked, in bytes.
    #[cfg_attr(feature = "bindings", ts(type = "number"))]
    pub raw_bytes: u64,
    /// When it was made; when the file was last written where it does not say.
    pub made_at: Option<DateTime<Utc>>,
    /// The database that it came from, where it says so.
    pub database: Option<String>,
    /// The version of the server that it came from.
    pub server_version: Option<String>,
    /// The version of the `pg_dump` that wrote it.
    pub tool_version: Option<String>,
    /// Its tables, by name.
    pub tables: Vec<FileTable>,
    /// Extensions that it asks for.
    pub extensions: Vec<String>,
    /// What of it is left out, in sentences.
    pub left_out: Vec<String>,
}
