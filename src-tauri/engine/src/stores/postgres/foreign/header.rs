//! The first bytes of a file, which say what it is.

use chrono::{DateTime, Local, NaiveDate, TimeZone, Utc};

use super::sql::refused;
use crate::error::{Error, Result};

/// What the head of an archive of `pg_dump -Fc` tells.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Head {
    pub(super) made_at: Option<DateTime<Utc>>,
    pub(super) database: Option<String>,
    pub(super) server_version: Option<String>,
    pub(super) tool_version: Option<String>,
}

/// What a file is, after it was unpacked once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Sniffed {
    Archive(Head),
    Sql,
}

/// How much of a file it takes to know what it is.
pub(super) const ENOUGH: usize = 8 << 10;

/// What begins with these bytes.
///
/// # Errors
/// Why it cannot be brought in: each thing that people mistake for a dump has its own words.
pub(super) fn sniff(first: &[u8]) -> Result<Sniffed> {
    if first.is_empty() {
        return Err(refused("file_empty", "The file is empty."));
    }
    if first.starts_with(b"PGDMP") {
        return Head::read(first).map(Sniffed::Archive);
    }
    let packed: [&[u8]; 6] = [b"PK\x03\x04", b"\x1f\x8b", b"\xfd7zXZ", b"BZh", b"\x28\xb5\x2f\xfd", b"7z\xbc\xaf"];
    if packed.iter().any(|it| first.starts_with(it)) {
        return Err(refused("file_packed", "The file is packed in a way that is not gzip, or twice.")
            .remedy("Unpack it first, then choose what was in it."));
    }
    if first.starts_with(b"age-encryption.org/") || first.starts_with(b"-----BEGIN AGE") {
        return Err(refused("file_encrypted", "The file is encrypted.").remedy("Decrypt it first: `age -d`."));
    }
    let is_tar = first.get(257..262) == Some(b"ustar");
    if is_tar && first.starts_with(b"toc.dat") {
        return Err(refused("dump_format", "The file is a dump in pg_dump’s tar format.")
            .remedy("Make SQL of it: `pg_restore -f dump.sql FILE`. Then choose that."));
    }
    if first.starts_with(b"SQLite format 3\0") {
        return Err(another("SQLite"));
    }
    let text = String::from_utf8_lossy(first);
    for (mark, program) in [
        ("-- MySQL dump", "MySQL"),
        ("-- MariaDB dump", "MariaDB"),
        ("/*M!999999", "MariaDB"),
        ("-- phpMyAdmin SQL Dump", "MySQL"),
        ("PRAGMA foreign_keys", "SQLite"),
        ("USE [master]", "SQL Server"),
    ] {
        if text.trim_start().starts_with(mark) {
            return Err(another(program));
        }
    }
    let odd = first.iter().filter(|it| **it < 0x20 && !b"\t\n\r\x0c".contains(it)).count();
    if odd > 0 || first.starts_with(b"\xff\xfe") || first.starts_with(b"\xfe\xff") {
        return Err(refused("file_unknown", "The file is neither a dump of PostgreSQL nor SQL."));
    }
    Ok(Sniffed::Sql)
}

fn another(program: &str) -> Error {
    refused("file_of_another_database", &format!("The file is of {program}, not of PostgreSQL."))
        .remedy("Nothing was touched. Choose a dump of PostgreSQL.")
}

impl Head {
    /// As `pg_dump` writes it since 2004: version, sizes of numbers, format, compression, time, names.
    fn read(bytes: &[u8]) -> Result<Self> {
        let mut from = Bytes { rest: &bytes[5..], int: 0 };
        Self::parse(&mut from)
            .unwrap_or_else(|| Err(refused("archive_damaged", "The beginning of the dump cannot be read.")))
    }

    fn parse(from: &mut Bytes<'_>) -> Option<Result<Self>> {
        let version = (from.byte()?, from.byte()?);
        from.byte()?;
        if version < (1, 10) {
            return Some(Err(refused("archive_unsupported", "The dump was made by a very old pg_dump.")));
        }
        from.int = usize::from(from.byte()?);
        from.byte()?;
        if from.byte()? != 1 {
            return Some(Err(refused("dump_format", "The dump is not in pg_dump’s custom format.")));
        }
        if version >= (1, 15) {
            from.byte()?;
        } else {
            from.number()?;
        }
        let mut time = [0; 7];
        for it in &mut time {
            *it = from.number()?;
        }
        let [second, minute, hour, day, month, year, _] = time;
        let part = |it: i64| u32::try_from(it).ok();
        let made_at = NaiveDate::from_ymd_opt(i32::try_from(year + 1900).ok()?, part(month + 1)?, part(day)?)
            .and_then(|it| it.and_hms_opt(part(hour)?, part(minute)?, part(second)?))
            .and_then(|it| Local.from_local_datetime(&it).earliest())
            .map(|it| it.with_timezone(&Utc));
        Some(Ok(Self { made_at, database: from.text()?, server_version: from.text()?, tool_version: from.text()? }))
    }
}

struct Bytes<'b> {
    rest: &'b [u8],
    int: usize,
}

impl Bytes<'_> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*first)
    }

    /// A sign, then so many bytes, the lowest first.
    fn number(&mut self) -> Option<i64> {
        let is_negative = self.byte()? != 0;
        if self.int == 0 || self.int > 8 {
            return None;
        }
        let mut value: i64 = 0;
        for at in 0..self.int {
            value |= i64::from(self.byte()?).checked_shl(u32::try_from(at * 8).ok()?)?;
        }
        Some(if is_negative { value.checked_neg()? } else { value })
    }

    /// `None` inside where there is none.
    #[expect(clippy::option_option, reason = "the outer one says that the bytes ran out")]
    fn text(&mut self) -> Option<Option<String>> {
        let length = self.number()?;
        let Ok(length) = usize::try_from(length) else { return Some(None) };
        let text = self.rest.get(..length)?;
        self.rest = &self.rest[length..];
        Some(Some(String::from_utf8_lossy(text).into_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_mistake_for_a_dump_is_told_by_its_name() {
        let mut tar = vec![0; 512];
        tar[..7].copy_from_slice(b"toc.dat");
        tar[257..262].copy_from_slice(b"ustar");
        for (first, class) in [
            (&b""[..], "file_empty"),
            (b"PK\x03\x04zip", "file_packed"),
            (b"\x1f\x8bgzip in gzip", "file_packed"),
            (b"age-encryption.org/v1\n", "file_encrypted"),
            (&tar, "dump_format"),
            (b"SQLite format 3\0more", "file_of_another_database"),
            (b"-- MySQL dump 10.13", "file_of_another_database"),
            (b"PRAGMA foreign_keys=OFF;", "file_of_another_database"),
            (b"\x89PNG\r\n\x1a\n\0\0", "file_unknown"),
            (b"\xff\xfeS\0E\0", "file_unknown"),
            (b"PGDMP\x01", "archive_damaged"),
            (b"PGDMP\x01\x0e\x00\x04\x08\x03", "dump_format"),
            (b"PGDMP\x01\x0e\x00\xff\x08\x01\0\0\0\0\0\0", "archive_damaged"),
        ] {
            assert_eq!(sniff(first).unwrap_err().class, class, "{first:?}");
        }
        assert_eq!(sniff(b"CREATE TABLE a (b int);").unwrap(), Sniffed::Sql);
    }
}
