//! Lengths of time, written as people do: `30s`, `10m`, `1h30m`, `2d`.

use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Serialize, Serializer};

/// How long things may take.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Without any sign of progress for so long, a step is stuck and is stopped.
    #[serde(serialize_with = "serialize")]
    #[schemars(schema_with = "schema_of")]
    pub stall_after: Duration,
    /// The application must be healthy so long after its start.
    #[serde(serialize_with = "serialize")]
    #[schemars(schema_with = "schema_of")]
    pub start_within: Duration,
    /// It is asked to stop, and after so long it is ended.
    #[serde(serialize_with = "serialize")]
    #[schemars(schema_with = "schema_of")]
    pub stop_within: Duration,
    /// The migrations must be done in so long, however busy they are.
    #[serde(serialize_with = "serialize")]
    #[schemars(schema_with = "schema_of")]
    pub migrate_within: Duration,
    /// The backup must be done in so long, however busy it is.
    #[serde(serialize_with = "serialize")]
    #[schemars(schema_with = "schema_of")]
    pub backup_within: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            stall_after: Duration::from_secs(10 * 60),
            start_within: Duration::from_secs(60),
            stop_within: Duration::from_secs(30),
            migrate_within: Duration::from_secs(6 * 60 * 60),
            backup_within: Duration::from_secs(6 * 60 * 60),
        }
    }
}

const UNITS: [(char, u64); 4] = [('d', 86_400), ('h', 3_600), ('m', 60), ('s', 1)];

/// Reads `30s`, `10m`, `1h30m`, `2d`; larger units first, each once.
pub(super) fn parse(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut seconds: u64 = 0;
    let mut units = UNITS.iter();
    while !rest.is_empty() {
        let digits = rest.find(|it: char| !it.is_ascii_digit())?;
        let count: u64 = rest[..digits].parse().ok()?;
        let unit = rest[digits..].chars().next()?;
        let (_, size) = units.find(|(name, _)| *name == unit)?;
        seconds = seconds.checked_add(count.checked_mul(*size)?)?;
        rest = &rest[digits + unit.len_utf8()..];
    }
    (!text.is_empty()).then_some(Duration::from_secs(seconds))
}

/// Writes what [`parse`] reads.
pub(super) fn format(duration: Duration) -> String {
    let mut seconds = duration.as_secs();
    let mut text = String::new();
    for (name, size) in UNITS {
        if seconds >= size {
            text.push_str(&format!("{}{name}", seconds / size));
            seconds %= size;
        }
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}

pub(super) fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&format(*duration))
}

pub(super) fn schema_of(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "pattern": r"^(\d+d)?(\d+h)?(\d+m)?(\d+s)?$", "minLength": 2, "examples": ["30s", "10m", "6h"] })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_people_write_them_and_written_so_again() {
        for (text, seconds) in [("30s", 30), ("10m", 600), ("1h30m", 5_400), ("2d", 172_800), ("1d1h1m1s", 90_061)] {
            assert_eq!(parse(text), Some(Duration::from_secs(seconds)), "{text}");
            assert_eq!(format(Duration::from_secs(seconds)), text);
        }
        assert_eq!(format(Duration::ZERO), "0s");
    }

    #[test]
    fn what_is_no_time_is_not_guessed_at() {
        for text in ["", "10", "m", "10 m", "-1s", "1.5h", "1m1m", "1s1m", "18446744073709551615d", "١s"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
