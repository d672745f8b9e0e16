//! How a column of MySQL or MariaDB is asked for, and what is made of the text that comes.

use crate::stores::tables::{Column, Holds, bytes_as_text};

/// What becomes of the values of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// They stay as they come.
    Plain,
    /// Bytes, as hexadecimal text.
    Bytes,
    /// So many bits, as a text of noughts and ones.
    Bits(usize),
    /// Nothing or something, as false or true.
    Truth,
    /// A moment of the session's zone, which is UTC.
    Moment,
}

/// A name in a statement.
pub(super) fn ident(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// The name of a type without its length and what else is said of it: `bigint` of `bigint(20) unsigned`.
pub(super) fn base(data_type: &str) -> &str {
    data_type.split(['(', ' ']).next().unwrap_or_default()
}

/// What a column holds, by its whole type. A truth is a number here: what lies in such a column decides.
pub(super) fn holds(data_type: &str) -> Holds {
    match base(data_type) {
        "tinyint" | "smallint" | "mediumint" | "int" | "bigint" | "year" => Holds::Integer,
        "decimal" | "float" | "double" => Holds::Number,
        "bit" if bits(data_type) == 1 => Holds::Boolean,
        "json" => Holds::Json,
        _ => Holds::Text,
    }
}

/// Whether it is what people write for a truth: MySQL has no type for it.
pub(super) fn is_truth(data_type: &str) -> bool {
    data_type == "tinyint(1)"
}

fn bits(data_type: &str) -> usize {
    let length = data_type.split_once('(').and_then(|(_, rest)| rest.split_once(')'));
    length.and_then(|(length, _)| length.parse().ok()).unwrap_or(1)
}

/// What becomes of its values.
pub(super) fn form(column: &Column) -> Form {
    match base(&column.data_type) {
        "bit" if column.holds == Holds::Boolean => Form::Truth,
        "bit" => Form::Bits(bits(&column.data_type)),
        "tinyint" if column.holds == Holds::Boolean => Form::Truth,
        "timestamp" => Form::Moment,
        "binary" | "varbinary" | "tinyblob" | "blob" | "mediumblob" | "longblob" | "geometry" | "point"
        | "linestring" | "polygon" | "multipoint" | "multilinestring" | "multipolygon" | "geometrycollection"
        | "geomcollection" | "vector" => Form::Bytes,
        _ => Form::Plain,
    }
}

/// How the column is asked for.
pub(super) fn asked(column: &Column) -> String {
    let name = ident(&column.name);
    match base(&column.data_type) {
        // A number of single precision is told with six digits, and a declared scale rounds.
        "float" | "double" => format!("({name} + 0e0)"),
        // Noughts in front are for people, and no number of JSON may have them.
        "year" => format!("CAST({name} AS UNSIGNED)"),
        _ if column.data_type.ends_with("zerofill") && column.holds == Holds::Integer => {
            format!("CAST({name} AS UNSIGNED)")
        }
        _ => name,
    }
}

/// How rows are put into the order of this column. Texts stand in the order of their bytes: two columns must agree on it,
/// whatever each of them calls alike.
pub(super) fn order(name: &str, column: Option<&Column>) -> String {
    let name = ident(name);
    let is_text = column.is_some_and(|it| it.holds == Holds::Text && form(it) == Form::Plain);
    match is_text {
        true => format!("{name} IS NULL, CAST({name} AS BINARY)"),
        false => format!("{name} IS NULL, {name}"),
    }
}

/// A value as the text that an export has.
pub(super) fn text(value: Vec<u8>, form: Form) -> Vec<u8> {
    match form {
        Form::Plain => value,
        Form::Bytes => bytes_as_text(&value).into_bytes(),
        Form::Bits(length) => {
            let all: String = value.iter().map(|byte| format!("{byte:08b}")).collect();
            all.as_bytes()[all.len().saturating_sub(length)..].to_vec()
        }
        // A bit comes as a byte, a small number as its digit.
        Form::Truth if matches!(value.as_slice(), [0] | b"0") => b"f".to_vec(),
        Form::Truth => b"t".to_vec(),
        // No moment at all, which has no zone either.
        Form::Moment if value.starts_with(b"0000-00-00") => value,
        Form::Moment => [value.as_slice(), b"+00"].concat(),
    }
}

/// The number in a text that the server gave.
pub(super) fn number<T: std::str::FromStr>(value: Option<&Vec<u8>>) -> Option<T> {
    std::str::from_utf8(value?).ok()?.parse().ok()
}

/// A text that the server gave of itself.
pub(super) fn words(value: Option<&Vec<u8>>) -> String {
    value.map(|it| String::from_utf8_lossy(it).into_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(data_type: &str) -> Column {
        Column { name: "a`b".into(), data_type: data_type.into(), holds: holds(data_type), generated: false }
    }

    #[test]
    fn each_type_is_asked_for_in_a_way_that_loses_nothing() {
        assert_eq!(asked(&column("float(7,3)")), "(`a``b` + 0e0)");
        assert_eq!(asked(&column("int(5) unsigned zerofill")), "CAST(`a``b` AS UNSIGNED)");
        assert_eq!(asked(&column("decimal(10,2) unsigned zerofill")), "`a``b`");
        assert_eq!(asked(&column("bigint(20) unsigned")), "`a``b`");
        assert_eq!(form(&column("bit(12)")), Form::Bits(12));
        assert_eq!(form(&column("bit(1)")), Form::Truth);
        assert_eq!((form(&column("datetime(6)")), form(&column("timestamp"))), (Form::Plain, Form::Moment));
        assert_eq!(form(&column("enum('bit','blob')")), Form::Plain);
    }

    #[test]
    fn values_become_what_an_export_has() {
        let said = |value: &[u8], form| String::from_utf8(text(value.to_vec(), form)).unwrap();
        assert_eq!(said(&[0x0a, 0xff], Form::Bits(12)), "101011111111");
        assert_eq!(said(&[0], Form::Truth) + &said(&[1], Form::Truth) + &said(b"0", Form::Truth), "ftf");
        assert_eq!(said(&[0, 255], Form::Bytes), "\\x00ff");
        assert_eq!(said(b"2026-03-29 01:30:00.5", Form::Moment), "2026-03-29 01:30:00.5+00");
        assert_eq!(said(b"0000-00-00 00:00:00", Form::Moment), "0000-00-00 00:00:00");
    }
}
