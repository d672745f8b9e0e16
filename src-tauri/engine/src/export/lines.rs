//! JSON lines: a row an object, keys as the columns are called in the database.
//!
//! Whole numbers and truth are JSON's own, other numbers are texts so that no reader rounds them, and a `jsonb` value
//! stands as it is. There no value is a missing key, because `null` is a value of JSON itself; elsewhere it is `null`.

use std::collections::BTreeMap;
use std::io::{self, Write};

use serde_json::value::RawValue;

use crate::stores::tables::{Column, Holds, Row};

/// Writes a row.
///
/// # Errors
/// A value is not UTF-8; what the disk answered.
pub fn write_row(to: &mut (impl Write + ?Sized), columns: &[Column], row: &Row<'_>) -> io::Result<()> {
    to.write_all(b"{")?;
    write_members(to, columns, row)?;
    to.write_all(b"}\n")
}

/// Writes what stands between the braces, and answers whether that is anything.
///
/// # Errors
/// A value is not UTF-8; what the disk answered.
pub fn write_members(to: &mut (impl Write + ?Sized), columns: &[Column], row: &Row<'_>) -> io::Result<bool> {
    let mut first = true;
    for (column, value) in columns.iter().zip(row) {
        if value.is_none() && column.holds == Holds::Json {
            continue;
        }
        if !first {
            to.write_all(b",")?;
        }
        first = false;
        write_key(to, &column.name)?;
        match (value.as_deref(), column.holds) {
            (None, _) => to.write_all(b"null")?,
            (Some(value), Holds::Integer | Holds::Json) => to.write_all(value)?,
            (Some(value), Holds::Boolean) => to.write_all(if value == b"t" { b"true" } else { b"false" })?,
            (Some(value), Holds::Number | Holds::Text) => {
                let text = std::str::from_utf8(value).map_err(io::Error::other)?;
                serde_json::to_writer(&mut *to, text)?;
            }
        }
    }
    Ok(!first)
}

/// Most names need no escapes, and come with every row.
fn write_key(to: &mut (impl Write + ?Sized), name: &str) -> io::Result<()> {
    if name.bytes().all(|it| it >= b' ' && !matches!(it, b'"' | b'\\')) {
        to.write_all(b"\"")?;
        to.write_all(name.as_bytes())?;
        return to.write_all(b"\":");
    }
    serde_json::to_writer(&mut *to, name)?;
    to.write_all(b":")
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
