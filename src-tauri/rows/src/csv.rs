//! Values as CSV has them, so that spreadsheets open them right and none is run as a formula.
//!
//! Nothing between two separators is no value; `""` is the empty text. A value that a spreadsheet would run gets an
//! apostrophe in front, and so does one that begins with an apostrophe before such a value; reading takes one away again.

use crate::{Column, Holds, Row};

/// Puts a row and the end of its line.
pub fn put_row(to: &mut Vec<u8>, columns: &[Column], row: &Row<'_>, separator: u8) {
    for (at, (value, column)) in row.iter().zip(columns).enumerate() {
        if at > 0 {
            to.push(separator);
        }
        if let Some(value) = value {
            let (value, is_number) = as_field(column.holds, value);
            put_value(to, value, is_number, separator);
        }
    }
    to.extend_from_slice(b"\r\n");
}

/// A value as CSV has it, and whether it is a number, which is never taken for a formula.
pub fn as_field(holds: Holds, value: &[u8]) -> (&[u8], bool) {
    match (holds, value) {
        (Holds::Boolean, b"t") => (b"true", false),
        (Holds::Boolean, b"f") => (b"false", false),
        _ => (value, matches!(holds, Holds::Integer | Holds::Number)),
    }
}

/// Puts one value.
pub fn put_value(to: &mut Vec<u8>, value: &[u8], is_number: bool, separator: u8) {
    let guard: &[u8] = if is_acted_on(value) && !(is_number && is_plain_number(value)) { b"'" } else { b"" };
    let begins_or_ends_bare = |byte: Option<&u8>| byte.is_some_and(|it| *it == b' ');
    let needs_quotes = value.is_empty()
        || begins_or_ends_bare(value.first())
        || begins_or_ends_bare(value.last())
        || value.iter().any(|it| QUOTED[usize::from(*it)] || *it == separator);
    if !needs_quotes {
        to.extend_from_slice(guard);
        to.extend_from_slice(value);
        return;
    }
    to.push(b'"');
    to.extend_from_slice(guard);
    for (at, part) in value.split(|byte| *byte == b'"').enumerate() {
        if at > 0 {
            to.extend_from_slice(b"\"\"");
        }
        to.extend_from_slice(part);
    }
    to.push(b'"');
}

/// The text that a field stands for: without the apostrophe that made it harmless.
pub fn restored(mut field: Vec<u8>) -> Vec<u8> {
    if field.first() == Some(&b'\'') && is_acted_on(&field[1..]) {
        field.remove(0);
    }
    field
}

/// For each byte whether a value with it stands in quotes: whatever some program takes for a separator.
const QUOTED: [bool; 256] = {
    let mut quoted = [false; 256];
    let mut rest: &[u8] = b"\"\r\n\t,;";
    while let [byte, after @ ..] = rest {
        quoted[*byte as usize] = true;
        rest = after;
    }
    quoted
};

/// What a spreadsheet may run, and what would be mistaken for a text that was made harmless.
fn is_acted_on(value: &[u8]) -> bool {
    matches!(value.first(), Some(b'=' | b'+' | b'-' | b'@' | b'\t' | b'\r' | b'\n' | b'\''))
}

fn is_plain_number(value: &[u8]) -> bool {
    let digits = value.strip_prefix(b"-").unwrap_or(value);
    digits.first().is_some_and(u8::is_ascii_digit)
        && digits.iter().all(|it| it.is_ascii_digit() || matches!(it, b'.' | b'e' | b'E' | b'+' | b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_apart_from_the_empty_text_and_numbers_stay_numbers() {
        let column = |holds| Column { name: "a".into(), data_type: String::new(), holds, generated: false };
        let columns = [Holds::Text, Holds::Text, Holds::Number, Holds::Number, Holds::Boolean].map(column);
        let row = [None, Some(""), Some("-5.20"), Some("-Infinity"), Some("t")];
        let row = row.map(|it| it.map(|it| it.as_bytes().into()));
        let mut out = Vec::new();
        put_row(&mut out, &columns, &row, b',');
        assert_eq!(out, b",\"\",-5.20,'-Infinity,true\r\n");
    }
}
