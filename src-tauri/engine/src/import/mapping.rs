//! What comes into which column: a document that is suggested, read and edited by people, and remembered.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
pub use crate::stores::intake::Duplicates;

/// The form of the document; a reader refuses another.
pub const FORMAT: u32 = 1;

const HEAD: &str = "\
# What of an export comes into which table and column. Edit it, and give it to `liftlock import FOLDER --mapping FILE`.
#
# key         columns of the table that tell a row from others that are there already
# duplicates  what happens to one that is there: \"ask\", \"skip\" (it stays as it is), \"update\" (it gets the values)
# from        the column of the export; refers_to: it names a row of that entity; divide_by: 100 turns cents into units
# gather, by  the rows of another entity that name this one in the column `by`, as a JSON list of `fields`
# value       always this text; only_new: only in rows that are new, and not in those that get the values
";

/// What of an export comes in, and where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub struct Mapping {
    /// The form of this document.
    pub format: u32,
    /// Entities that do not come in by themselves.
    #[serde(default)]
    pub left_out: Vec<String>,
    /// Those that do.
    #[serde(default)]
    pub entities: Vec<EntityMapping>,
}

/// Where the rows of an entity go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub struct EntityMapping {
    /// The entity of the export.
    pub entity: String,
    /// The table.
    pub into: String,
    /// Columns of the table that tell a row from others that are there.
    #[serde(default)]
    pub key: Vec<String>,
    /// What happens to one that is there.
    #[serde(default)]
    pub duplicates: Duplicates,
    /// What comes into its columns.
    #[serde(default)]
    pub columns: Vec<ColumnMapping>,
}

/// What comes into a column, or into a member of a gathered list.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub struct ColumnMapping {
    /// The column.
    pub to: String,
    /// The column of the export.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// The entity whose row it names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refers_to: Option<String>,
    /// By how much a number is divided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "bindings", ts(type = "number | null"))]
    pub divide_by: Option<u64>,
    /// The entity whose rows are gathered into a list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gather: Option<String>,
    /// Their column that names this row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Always this text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// Whether it comes into rows that are new alone.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub only_new: bool,
    /// What each row of the list holds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<ColumnMapping>,
}

impl Mapping {
    /// Reads one that a person may have edited.
    ///
    /// # Errors
    /// `bad_mapping` with line and column.
    pub fn parse(text: &str, name: &str) -> Result<Self> {
        let mapping: Self = toml::from_str(text).map_err(|cause| {
            let place = cause.span().map_or_else(String::new, |span| {
                let before = &text[..span.start.min(text.len())];
                let line = before.matches('\n').count() + 1;
                let column = before.chars().rev().take_while(|it| *it != '\n').count() + 1;
                format!(", line {line}, column {column}")
            });
            Error::usage("bad_mapping", format!("{name}{place}: {}.", cause.message().trim_end_matches('.')))
                .remedy("Correct it there; `liftlock import FOLDER --show-mapping` prints a fresh suggestion.")
        })?;
        if mapping.format == FORMAT {
            return Ok(mapping);
        }
        Err(Error::usage("bad_mapping", format!("{name} is of another form ({}).", mapping.format))
            .remedy("Make a fresh one with `liftlock import FOLDER --show-mapping`."))
    }

    /// The text that a person reads and edits.
    ///
    /// # Errors
    /// Never in practice.
    pub fn text(&self) -> Result<String> {
        let body = toml::to_string_pretty(self)
            .map_err(|cause| Error::bug("bad_mapping", "A mapping cannot be written.").because(&cause))?;
        Ok(format!("{HEAD}\n{body}"))
    }
}
