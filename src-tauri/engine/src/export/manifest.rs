//! `manifest.json` of an export: what each file holds and what it is checked against. And the same for people.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::stores::tables::{Holds, Refers};

/// The form of the manifest; a reader refuses a newer one.
pub const FORMAT: u32 = 1;

/// A form that rows are written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub enum FileFormat {
    /// For spreadsheets.
    Csv,
    /// For programs: an object a line.
    JsonLines,
}

impl FileFormat {
    /// How names of such files end.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::JsonLines => "jsonl",
        }
    }
}

/// What an export holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Manifest {
    /// The form of this document.
    pub format: u32,
    /// Which export it is; a part of it that is corrected and brought in later bears the same.
    #[serde(default)]
    pub id: String,
    /// The application, in words.
    pub application: String,
    /// The installation.
    pub installation: String,
    /// The version that ran, where it is known.
    pub version: Option<String>,
    /// When.
    pub made_at: DateTime<Utc>,
    /// What separates the fields of CSV files.
    pub separator: char,
    /// By store: a mark of the moment before it was read, by which later writing is noticed.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub moments: BTreeMap<String, Value>,
    /// By store: what it is known by, so that what came from it is known again.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub origins: BTreeMap<String, String>,
    /// What was exported, each in one snapshot of its store.
    pub entities: Vec<Entity>,
}

/// A kind of thing, whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Entity {
    /// What people call it.
    pub entity: String,
    /// The store it came from.
    pub store: String,
    /// The database in words: `PostgreSQL 17.2`.
    pub source: String,
    /// The table, with its schema.
    pub table: String,
    /// The columns, in the order of the files.
    pub columns: Vec<Column>,
    /// Columns of the table that were left out.
    pub left_out: Vec<String>,
    /// The columns that tell its rows apart.
    #[serde(default)]
    pub key: Vec<String>,
    /// Columns that name rows of other tables.
    #[serde(default)]
    pub refers: Vec<Refers>,
    /// Rows, counted by the database in the same snapshot.
    pub rows: u64,
    /// SHA-256 of all values as the database gave them, in the order of the files.
    pub content_sha256: String,
    /// The files, each with all rows.
    pub files: Vec<File>,
}

/// A column of an export.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Column {
    /// Its name in the database, and its key in JSON.
    pub column: String,
    /// The heading that people read, in CSV.
    pub label: String,
    /// Its type in the words of the database.
    pub data_type: String,
    /// What it holds.
    pub holds: Holds,
    /// The database works it out by itself: it is not brought back in.
    pub generated: bool,
    /// Rows that have a value.
    pub filled: u64,
    /// The sum of whole numbers, as text because it may be large.
    pub sum: Option<String>,
}

/// A file of an export.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct File {
    /// Its name in the folder.
    pub file: String,
    /// Its form.
    pub format: FileFormat,
    /// Its size.
    pub bytes: u64,
    /// SHA-256 of it, in hexadecimal.
    pub sha256: String,
}

impl Manifest {
    /// Where it came from: two exports of the same place answer the same.
    pub fn source(&self) -> String {
        if self.origins.is_empty() {
            return self.id.clone();
        }
        self.origins.iter().map(|(store, origin)| format!("{store}={origin}")).collect::<Vec<_>>().join(" ")
    }

    /// The text for people that lies beside it.
    pub fn readme(&self) -> String {
        let version = self.version.as_ref().map(|it| format!(" {it}")).unwrap_or_default();
        let mut out = format!(
            "Data of {}{version}, exported from \u{201c}{}\u{201d} on {} UTC by Liftlock.\r\n\r\n\
             These files hold personal data in the clear. Keep them as you keep the application itself.\r\n\r\n",
            self.application,
            self.installation,
            self.made_at.format("%Y-%m-%d %H:%M"),
        );
        for entity in &self.entities {
            let files: Vec<&str> = entity.files.iter().map(|it| it.file.as_str()).collect();
            let _ = write!(
                out,
                "{}: {} rows of the table {} ({}), in {}\r\n",
                entity.entity,
                entity.rows,
                entity.table,
                entity.source,
                files.join(" and ")
            );
            if !entity.left_out.is_empty() {
                let _ = write!(out, "  left out: {}\r\n", entity.left_out.join(", "));
            }
        }
        out.push_str(
            "\r\nCSV files open in spreadsheets. A field with nothing in it has no value; \"\" is an empty text. A text that a\r\n\
             spreadsheet would run as a formula has an apostrophe in front, which is taken away again when it is brought back in.\r\n\
             JSON lines (.jsonl) hold a row a line. Numbers with decimals are written as texts, so that nothing rounds them.\r\n\
             manifest.json says what each file must hold; `liftlock export --check FOLDER` compares them again.\r\n",
        );
        out
    }
}
