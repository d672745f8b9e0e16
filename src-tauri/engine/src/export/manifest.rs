//! `manifest.json` of an export: what each file holds and what it is checked against. And the same for people.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::stores::tables::{Holds, Refers};

/// The form of the manifest; a reader refuses a newer one.
pub const FORMAT: u32 = 3;
/// The first form whose readers pass over what is only to read, and know bytes in other forms.
pub const SINCE_ONLY_TO_READ: u32 = 3;

/// A form that rows are written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub enum FileFormat {
    /// For spreadsheets.
    Csv,
    /// For programs: an object a line.
    JsonLines,
    /// One workbook with a sheet for each entity.
    Xlsx,
    /// For programs: a list of documents, with the rows in them that belong to each.
    JsonDocuments,
}

impl FileFormat {
    /// How names of such files end.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::JsonLines => "jsonl",
            Self::Xlsx => "xlsx",
            Self::JsonDocuments => "json",
        }
    }

    /// The first form of the manifest whose readers know it.
    pub fn since(self) -> u32 {
        match self {
            Self::Csv | Self::JsonLines => 1,
            Self::Xlsx | Self::JsonDocuments => 2,
        }
    }
}

/// How pictures and other bytes are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub enum BytesForm {
    /// As the database writes them: `\x00ff`.
    #[default]
    Hex,
    /// As base64.
    Base64,
    /// Each in a file of its own, which is named in the cell.
    Files,
}

/// How the bytes of a column stand in the files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BytesAs {
    /// As base64.
    Base64,
    /// Each in a file of its own.
    Files {
        /// The folder that holds them.
        folder: String,
        /// How many there are.
        files: u64,
        /// Their size together.
        bytes: u64,
    },
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
    /// What a person must know of all of it, as sentences.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
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
    /// How many of them count as deleted, where the profile says what tells that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deleted: Option<Deleted>,
    /// SHA-256 of all values as the database gave them, in the order of the files.
    pub content_sha256: String,
    /// The files, each with all rows.
    pub files: Vec<File>,
}

/// Rows that the application keeps and counts as deleted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Deleted {
    /// The column that tells it.
    pub column: String,
    /// How many they are.
    pub rows: u64,
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
    /// It is there for people alone, and is passed over when rows are brought in.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub only_to_read: bool,
    /// How its bytes stand in the files, where that is not as the database writes them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<BytesAs>,
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
    /// The sheets of a workbook that hold this entity, one after the other.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sheets: Vec<String>,
    /// What lies beside a workbook because no cell takes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub beside: Option<Beside>,
    /// Members of its documents that are rows of other entities.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<String>,
    /// The member in which the rows of this entity lie in documents of another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub member: Option<String>,
}

impl Entity {
    /// The folders that hold bytes of it, each with the number of files and their size.
    pub fn folders(&self) -> impl Iterator<Item = (&str, u64, u64)> {
        self.columns.iter().filter_map(|it| match &it.bytes {
            Some(BytesAs::Files { folder, files, bytes }) => Some((folder.as_str(), *files, *bytes)),
            Some(BytesAs::Base64) | None => None,
        })
    }

    /// What people have to know of it, a line each.
    fn remarks(&self) -> String {
        let labels = |which: &dyn Fn(&Column) -> bool| {
            let labels: Vec<&str> = self.columns.iter().filter(|it| which(it)).map(|it| it.label.as_str()).collect();
            labels.join(", ")
        };
        let deleted = self
            .deleted
            .as_ref()
            .filter(|it| it.rows > 0)
            .map(|it| format!("{} rows, by \u{201c}{}\u{201d}", it.rows, it.column));
        let base64 = labels(&|it| it.bytes == Some(BytesAs::Base64));
        let files = self.columns.iter().filter_map(|it| match &it.bytes {
            Some(BytesAs::Files { folder, files, .. }) => Some(format!("{} ({files} in {folder})", it.label)),
            Some(BytesAs::Base64) | None => None,
        });
        let remarks = [
            ("bytes as base64", base64),
            ("each in a file of its own", files.collect::<Vec<_>>().join(", ")),
            ("counted as deleted by the application", deleted.unwrap_or_default()),
            ("only to read, not brought back in", labels(&|it| it.only_to_read).replace(" (only to read)", "")),
            ("worked out by the database, not brought back in", labels(&|it| it.generated)),
            ("left out", self.left_out.join(", ")),
        ];
        remarks.iter().filter(|it| !it.1.is_empty()).map(|(what, it)| format!("  {what}: {it}\r\n")).collect()
    }
}

impl File {
    /// A file without anything in it yet.
    pub(crate) fn of(file: String, format: FileFormat) -> Self {
        let (sheets, parts) = (Vec::new(), Vec::new());
        Self { file, format, bytes: 0, sha256: String::new(), sheets, beside: None, parts, member: None }
    }
}

/// Long texts of a workbook, each on a line of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Beside {
    /// Its name in the folder.
    pub file: String,
    /// Its size.
    pub bytes: u64,
    /// SHA-256 of it, in hexadecimal.
    pub sha256: String,
    /// How many there are.
    pub texts: u64,
}

/// What people have to know of a workbook.
const WORKBOOK: &str = "\r\nThe workbook (.xlsx) holds a sheet for each of these. What a spreadsheet cannot hold exactly stands there as text: numbers of\r\n\
     more than 15 digits, NaN, days before March 1900, times with a zone or finer than a millisecond. No cell is a formula.\r\n\
     Grey headings are of columns that are not brought back in. An empty text is a blank cell that is marked as text; a cell with nothing at all has no value.\r\n";

impl Manifest {
    /// Where it came from: two exports of the same place answer the same.
    pub fn source(&self) -> String {
        if self.origins.is_empty() {
            return self.id.clone();
        }
        self.origins.iter().map(|(store, origin)| format!("{store}={origin}")).collect::<Vec<_>>().join(" ")
    }

    /// How bytes are written in it.
    pub fn bytes_form(&self) -> BytesForm {
        match self.entities.iter().flat_map(|it| &it.columns).find_map(|it| it.bytes.as_ref()) {
            Some(BytesAs::Base64) => BytesForm::Base64,
            Some(BytesAs::Files { .. }) => BytesForm::Files,
            None => BytesForm::Hex,
        }
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
        for note in &self.notes {
            let _ = write!(out, "{note}\r\n\r\n");
        }
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
            out.push_str(&entity.remarks());
        }
        let mut beside = self.entities.iter().flat_map(|it| &it.files).filter_map(|it| it.beside.as_ref());
        if self.entities.iter().any(|it| it.files.iter().any(|it| it.format == FileFormat::Xlsx)) {
            out.push_str(WORKBOOK);
        }
        if let Some(beside) = beside.next() {
            let texts = if beside.texts == 1 { "text is" } else { "texts are" };
            let _ = write!(out, "{} {texts} too long for a cell, and whole in {}.\r\n", beside.texts, beside.file);
        }
        out.push_str(
            "\r\nCSV files open in spreadsheets. A field with nothing in it has no value; \"\" is an empty text. A text that a\r\n\
             spreadsheet would run as a formula has an apostrophe in front, which is taken away again when it is brought back in.\r\n\
             JSON lines (.jsonl) hold a row a line; documents (.json) a list, with the rows in each that belong to it. Numbers with decimals are written as texts, so that nothing rounds them.\r\n\
             manifest.json says what each file must hold; `liftlock export --check FOLDER` compares them again.\r\n",
        );
        out
    }
}
