//! Rows of tables as text: cut out of what a server sends, written as CSV and as JSON lines, counted and hashed.
//!
//! Every value of an export passes through here, so this is built for speed where the rest of the worker is built small;
//! nothing is generic, or it would be built where it is called. A value is the text that the database gave. Deliberately
//! absent: files, typed values, and words for people.

pub mod content;
pub mod csv;
pub mod cut;
pub mod lines;

use std::borrow::Cow;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a column holds, as far as it matters to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Holds {
    /// Whole numbers.
    Integer,
    /// Other numbers; never read as floating point.
    Number,
    /// True or false.
    Boolean,
    /// JSON in the database's own normal form.
    Json,
    /// Everything else, as the database's own text: text, dates, arrays, bytes in hexadecimal, ranges, …
    Text,
}

impl Holds {
    /// What a type of PostgreSQL holds, by its name without length.
    pub fn of(data_type: &str) -> Self {
        match data_type {
            "smallint" | "integer" | "bigint" => Self::Integer,
            "numeric" | "real" | "double precision" => Self::Number,
            "boolean" => Self::Boolean,
            "jsonb" => Self::Json,
            _ => Self::Text,
        }
    }
}

/// A column of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its type in the words of the database: `numeric(12,2)`.
    pub data_type: String,
    /// What it holds.
    pub holds: Holds,
    /// Whether the database works it out by itself.
    pub generated: bool,
}

/// A row: for each column its value as text, `None` where there is none.
pub type Row<'r> = [Option<Cow<'r, [u8]>>];

/// The number of the first value that is not UTF-8, where there is one: it would not come back.
pub fn not_text(row: &Row<'_>) -> Option<usize> {
    row.iter().position(|it| it.as_deref().is_some_and(|it| std::str::from_utf8(it).is_err()))
}
