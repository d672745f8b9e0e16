//! JSON lines: a row an object, with the members that `liftlock_rows::lines` writes.

use std::collections::BTreeMap;
use std::io;

use liftlock_rows::lines::put_members;
use serde_json::value::RawValue;

use crate::stores::tables::{Column, Holds, Row};

/// Puts a row and the end of its line.
///
/// # Errors
/// A value is not UTF-8.
pub fn put_row(to: &mut Vec<u8>, columns: &[Column], row: &Row<'_>) -> io::Result<()> {
    to.push(b'{');
    put_members(to, columns, row).map_err(io::Error::other)?;
    to.extend_from_slice(b"}\n");
    Ok(())
}

/// Reads a row back, as the database wrote its values.
///
/// # Errors
/// What is wrong with it, in words.
pub fn read_row(line: &str, columns: &[Column]) -> Result<Vec<Option<Vec<u8>>>, String> {
    values(members(line)?, columns)
}

/// The members of a row.
///
/// # Errors
/// What is wrong with it, in words.
pub fn members(line: &str) -> Result<BTreeMap<String, Box<RawValue>>, String> {
    serde_json::from_str(line).map_err(|cause| cause.to_string())
}

/// The values of a row that was read as an object.
///
/// # Errors
/// What is wrong with it, in words.
pub fn values(mut row: BTreeMap<String, Box<RawValue>>, columns: &[Column]) -> Result<Vec<Option<Vec<u8>>>, String> {
    let mut values = Vec::with_capacity(columns.len());
    for column in columns {
        let raw = row.remove(&column.name);
        values.push(match (raw.as_ref().map(|it| it.get()), column.holds) {
            (None, Holds::Json) | (Some("null"), Holds::Integer | Holds::Number | Holds::Boolean | Holds::Text) => None,
            (None, _) => return Err(format!("“{}” is missing", column.name)),
            (Some(raw), Holds::Integer | Holds::Json) => Some(raw.as_bytes().to_vec()),
            (Some("true"), Holds::Boolean) => Some(b"t".to_vec()),
            (Some("false"), Holds::Boolean) => Some(b"f".to_vec()),
            (Some(_), Holds::Boolean) => return Err(format!("“{}” is neither true nor false", column.name)),
            (Some(raw), Holds::Number | Holds::Text) => {
                let text: String = serde_json::from_str(raw).map_err(|_| format!("“{}” is not a text", column.name))?;
                Some(text.into_bytes())
            }
        });
    }
    match row.into_keys().next() {
        Some(key) => Err(format!("“{key}” is no column of this table")),
        None => Ok(values),
    }
}
