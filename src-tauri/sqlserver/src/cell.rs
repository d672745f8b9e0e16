//! A value as the text that stands for it, exactly: nothing is rounded, and no number goes through a floating point one
//! that was not one before. Text is escaped as `COPY` of PostgreSQL does.

use chrono::{Datelike, NaiveDate};
use tiberius::ColumnData;
use tiberius::numeric::Numeric;
use tiberius::time::{DateTime, DateTime2, SmallDateTime, Time};

use crate::failure::Failure;

/// Days from the first of January of the year 1 to that of 1900, where the older types begin.
const UNTIL_1900: i64 = 693_595;

/// Writes a value, or that there is none.
pub(crate) fn write(line: &mut Vec<u8>, value: ColumnData<'_>) -> Result<(), Failure> {
    match text(value)? {
        None => line.extend_from_slice(b"\\N"),
        Some(text) => escaped(line, text.as_bytes()),
    }
    Ok(())
}

fn text(value: ColumnData<'_>) -> Result<Option<String>, Failure> {
    use ColumnData as V;
    Ok(match value {
        V::U8(it) => it.map(|it| it.to_string()),
        V::I16(it) => it.map(|it| it.to_string()),
        V::I32(it) => it.map(|it| it.to_string()),
        V::I64(it) => it.map(|it| it.to_string()),
        // The shortest that reads back as the same number.
        V::F32(it) => it.map(|it| whole(format!("{it:?}"))),
        V::F64(it) => it.map(|it| whole(format!("{it:?}"))),
        V::Bit(it) => it.map(|it| if it { "t" } else { "f" }.to_owned()),
        V::String(it) => it.map(|it| it.into_owned()),
        V::Guid(it) => it.map(|it| it.to_string()),
        V::Binary(it) => it.map(|it| hex(&it)),
        V::Numeric(it) => it.map(numeric),
        V::Xml(it) => it.map(|it| it.into_owned().to_string()),
        V::DateTime(it) => it.map(date_time).transpose()?,
        V::SmallDateTime(it) => it.map(small_date_time).transpose()?,
        V::Time(it) => it.map(time).transpose()?,
        V::Date(it) => it.map(|it| date(i64::from(it.days()))).transpose()?,
        V::DateTime2(it) => it.map(|it| date_time_2(it, 0)).transpose()?,
        V::DateTimeOffset(it) => it
            .map(|it| {
                let offset = it.offset();
                let (sign, minutes) = (if offset < 0 { '-' } else { '+' }, offset.unsigned_abs());
                let local = date_time_2(it.datetime2(), i64::from(offset))?;
                Ok::<_, Failure>(format!("{local}{sign}{:02}:{:02}", minutes / 60, minutes % 60))
            })
            .transpose()?,
    })
}

fn escaped(line: &mut Vec<u8>, text: &[u8]) {
    for byte in text {
        let letter = match byte {
            b'\\' => b'\\',
            b'\t' => b't',
            b'\n' => b'n',
            b'\r' => b'r',
            other => {
                line.push(*other);
                continue;
            }
        };
        line.extend([b'\\', letter]);
    }
}

/// Without a point that says nothing: `1.0` is `1`.
fn whole(text: String) -> String {
    match text.strip_suffix(".0") {
        Some(whole) => whole.to_owned(),
        None => text,
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    let mut text = String::with_capacity(2 + bytes.len() * 2);
    text.push_str("\\x");
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

fn numeric(value: Numeric) -> String {
    let scale = usize::from(value.scale());
    let sign = if value.value() < 0 { "-" } else { "" };
    let digits = format!("{:0>width$}", value.value().unsigned_abs(), width = scale + 1);
    let (whole, part) = digits.split_at(digits.len() - scale);
    if part.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{part}") }
}

/// A day by how many lie between it and the first one of the year 1.
fn date(days: i64) -> Result<String, Failure> {
    let day = i32::try_from(days + 1).ok().and_then(NaiveDate::from_num_days_from_ce_opt);
    let day = day.filter(|it| (1..=9999).contains(&it.year()));
    day.map(|it| it.to_string()).ok_or_else(|| Failure::value(format!("day {days}")))
}

/// The time of a day that is so many parts of it old, where `digits` say how small a part is.
fn clock(parts: u64, digits: u32) -> String {
    let per_second = 10_u64.pow(digits);
    let (seconds, part) = (parts / per_second, parts % per_second);
    let text = format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
    if digits == 0 { text } else { format!("{text}.{part:0width$}", width = digits as usize) }
}

fn time(value: Time) -> Result<String, Failure> {
    if value.scale() > 7 {
        return Err(Failure::value(format!("a time with {} digits", value.scale())));
    }
    Ok(clock(value.increments(), u32::from(value.scale())))
}

/// Moved by so many minutes.
fn date_time_2(value: DateTime2, minutes: i64) -> Result<String, Failure> {
    let odd = || Failure::value("a time of a day that has no such one");
    let digits = u32::from(value.time().scale());
    if digits > 7 {
        return Err(odd());
    }
    let a_minute = 60 * 10_i64.pow(digits);
    let parts = i64::try_from(value.time().increments()).map_err(|_| odd())? + minutes * a_minute;
    let a_day = 24 * 60 * a_minute;
    let day = date(i64::from(value.date().days()) + parts.div_euclid(a_day))?;
    let of_the_day = u64::try_from(parts.rem_euclid(a_day)).map_err(|_| odd())?;
    Ok(format!("{day} {}", clock(of_the_day, digits)))
}

/// Three hundredths of a second, told in thousandths as the server tells them: .000, .003, .007.
fn date_time(value: DateTime) -> Result<String, Failure> {
    let thousandths = (u64::from(value.seconds_fragments()) * 10 + 1) / 3;
    Ok(format!("{} {}", date(UNTIL_1900 + i64::from(value.days()))?, clock(thousandths, 3)))
}

fn small_date_time(value: SmallDateTime) -> Result<String, Failure> {
    let day = date(UNTIL_1900 + i64::from(value.days()))?;
    Ok(format!("{day} {}", clock(u64::from(value.seconds_fragments()) * 60, 0)))
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use tiberius::time::{Date, DateTimeOffset};

    use super::*;

    fn told(value: ColumnData<'_>) -> String {
        let mut line = Vec::new();
        write(&mut line, value).unwrap();
        String::from_utf8(line).unwrap()
    }

    #[test]
    fn numbers_stay_what_they_are() {
        let numeric = |value, scale| told(ColumnData::Numeric(Some(Numeric::new_with_scale(value, scale))));
        assert_eq!(numeric(-1, 38), format!("-0.{}1", "0".repeat(37)));
        assert_eq!(numeric(10_i128.pow(38) - 1, 0), "9".repeat(38));
        assert_eq!(
            (numeric(0, 2), numeric(-12_345, 4), numeric(100, 0)),
            ("0.00".into(), "-1.2345".into(), "100".into())
        );
        let float = |it| told(ColumnData::F64(Some(it)));
        assert_eq!([float(0.1), float(-1e300), float(3.0), float(5e-324)], ["0.1", "-1e300", "3", "5e-324"]);
        assert_eq!(told(ColumnData::F32(Some(0.1))), "0.1");
        assert_eq!(told(ColumnData::I64(Some(i64::MIN))), "-9223372036854775808");
        assert_eq!(told(ColumnData::Bit(Some(false))) + &told(ColumnData::Bit(None)), "f\\N");
    }

    #[test]
    fn texts_and_bytes_stay_on_their_line_and_none_is_nothing_else() {
        let text = |it: &'static str| told(ColumnData::String(Some(Cow::Borrowed(it))));
        assert_eq!(text("a\r\nb\tc\\N"), "a\\r\\nb\\tc\\\\N");
        assert_eq!(
            (text(""), text("NULL"), text("\\N"), text(".")),
            ("".into(), "NULL".into(), "\\\\N".into(), ".".into())
        );
        assert_eq!(told(ColumnData::String(None)), "\\N");
        assert_eq!(told(ColumnData::Binary(Some(Cow::Borrowed(&[0, 255])))), "\\\\x00ff");
    }

    #[test]
    fn moments_are_told_to_the_last_digit() {
        let at = |days, parts, digits| DateTime2::new(Date::new(days), Time::new(parts, digits));
        assert_eq!(told(ColumnData::DateTime2(Some(at(0, 1, 7)))), "0001-01-01 00:00:00.0000001");
        assert_eq!(told(ColumnData::DateTime2(Some(at(3_652_058, 863_999_999_999, 7)))), "9999-12-31 23:59:59.9999999");
        assert_eq!(told(ColumnData::DateTime2(Some(at(739_706, 3_600, 0)))), "2026-04-01 01:00:00");
        let zone =
            |parts, offset| told(ColumnData::DateTimeOffset(Some(DateTimeOffset::new(at(739_706, parts, 3), offset))));
        assert_eq!(zone(500, -90), "2026-03-31 22:30:00.500-01:30");
        assert_eq!(zone(86_399_999, 840), "2026-04-02 13:59:59.999+14:00");
        assert_eq!(told(ColumnData::Time(Some(Time::new(4_500, 2)))), "00:00:45.00");
        let old = |days, fragments| told(ColumnData::DateTime(Some(DateTime::new(days, fragments))));
        assert_eq!(
            [old(-53_690, 0), old(0, 1), old(0, 2)],
            ["1753-01-01 00:00:00.000", "1900-01-01 00:00:00.003", "1900-01-01 00:00:00.007"]
        );
        assert_eq!(old(46_111, 25_919_999), "2026-04-01 23:59:59.997");
        assert_eq!(told(ColumnData::SmallDateTime(Some(SmallDateTime::new(46_111, 61)))), "2026-04-01 01:01:00");
        assert_eq!(told(ColumnData::Date(Some(Date::new(0)))), "0001-01-01");
        assert!(text(ColumnData::Date(Some(Date::new(3_652_059)))).is_err(), "there is no year 10000");
    }
}
