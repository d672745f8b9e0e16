//! Rows as members of JSON objects, keys as the columns are called in the database.
//!
//! Whole numbers and truth are JSON's own, other numbers are texts so that no reader rounds them, and a `jsonb` value
//! stands as it is. There no value is a missing key, because `null` is a value of JSON itself; elsewhere it is `null`.

use std::str::Utf8Error;

use crate::{Column, Holds, Row};

/// Puts what stands between the braces, and answers whether that is anything.
///
/// # Errors
/// A value is not UTF-8.
pub fn put_members(to: &mut Vec<u8>, columns: &[Column], row: &Row<'_>) -> Result<bool, Utf8Error> {
    let mut first = true;
    for (column, value) in columns.iter().zip(row) {
        if value.is_none() && column.holds == Holds::Json {
            continue;
        }
        if !first {
            to.push(b',');
        }
        first = false;
        put_text(to, &column.name);
        to.push(b':');
        match (value.as_deref(), column.holds) {
            (None, _) => to.extend_from_slice(b"null"),
            (Some(value), Holds::Integer | Holds::Json) => to.extend_from_slice(value),
            (Some(value), Holds::Boolean) => to.extend_from_slice(if value == b"t" { b"true" } else { b"false" }),
            (Some(value), Holds::Number | Holds::Text) => put_text(to, std::str::from_utf8(value)?),
        }
    }
    Ok(!first)
}

/// Most texts need no escapes.
fn put_text(to: &mut Vec<u8>, text: &str) {
    if text.bytes().all(|it| it >= b' ' && !matches!(it, b'"' | b'\\')) {
        to.push(b'"');
        to.extend_from_slice(text.as_bytes());
        to.push(b'"');
    } else {
        to.extend_from_slice(serde_json::Value::from(text).to_string().as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_text_is_written_as_json_writes_it(text in "\\PC{0,4}[\"\\\\/\u{0}-\u{1f}\u{7f}\u{2028}a]{0,4}") {
            let mut out = Vec::new();
            put_text(&mut out, &text);
            prop_assert_eq!(String::from_utf8(out).unwrap(), serde_json::to_string(&text).unwrap());
        }
    }
}
