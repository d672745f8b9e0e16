//! What a value of a database becomes in a cell of a workbook, and what a cell stands for.
//!
//! A cell of a spreadsheet holds a binary number of 15 digits, a day since 1900, or a text. A value is written as a number or
//! a day only where the very same text comes out of it again; everything else is written as text: long numbers, `NaN`,
//! days before March 1900, times with a zone or finer than milliseconds. Nothing here knows files.

use chrono::{NaiveDate, TimeDelta};

use crate::stores::tables::{Column, Holds, usual_type};

/// Letters that a cell takes, counted as spreadsheets do.
pub(super) const LETTERS: usize = 32_767;
/// Digits that a spreadsheet keeps of a number.
const DIGITS: usize = 15;
const DAY: f64 = 86_400_000.0;

/// How the values of a column are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Integer,
    /// With this many digits after the point, where the column says so.
    Number(Option<usize>),
    Truth,
    Day,
    Moment,
    Text,
}

/// A value as a cell holds it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Cell<'v> {
    /// A text of no letters; no cell at all is no value.
    Empty,
    Number(f64),
    Truth(bool),
    /// Days since the end of 1899.
    Moment(f64),
    Text(&'v str),
    /// A text that no cell takes as it is.
    Apart(&'v str),
}

impl Kind {
    pub(crate) fn of(column: &Column) -> Self {
        let base = column.data_type.split('(').next().unwrap_or_default().trim();
        // With its zone, which PostgreSQL writes behind the precision.
        let usual = if column.data_type.ends_with("with time zone") { &column.data_type } else { usual_type(base) };
        match column.holds {
            Holds::Integer => Self::Integer,
            Holds::Number => Self::Number(scale(&column.data_type)),
            Holds::Boolean => Self::Truth,
            Holds::Json => Self::Text,
            Holds::Text if column.data_type == "date" => Self::Day,
            Holds::Text if usual.starts_with("timestamp") && !usual.ends_with("with time zone") => Self::Moment,
            Holds::Text => Self::Text,
        }
    }

    pub(super) fn cell(self, value: &str) -> Cell<'_> {
        let number = || value.parse::<f64>().ok().map(Cell::Number);
        let days = |it: Option<f64>| it.map(Cell::Moment);
        let found = match self {
            Self::Integer => is_exact(value, Some(0)).then(number).flatten(),
            Self::Number(scale) => is_exact(value, scale).then(number).flatten(),
            Self::Truth => match value {
                "t" => Some(Cell::Truth(true)),
                "f" => Some(Cell::Truth(false)),
                _ => None,
            },
            Self::Day => days(day(value).filter(|it| day_text(*it).as_deref() == Some(value))),
            Self::Moment => days(moment(value).filter(|it| moment_text(*it).as_deref() == Some(value))),
            Self::Text => None,
        };
        found.unwrap_or(match value {
            "" => Cell::Empty,
            _ if fits(value) => Cell::Text(value),
            _ => Cell::Apart(value),
        })
    }

    /// What a number in such a column stands for.
    pub(super) fn of_number(self, number: f64) -> String {
        match self {
            Self::Day => day_text(number),
            Self::Moment => moment_text(number),
            Self::Truth if number == 1.0 => Some("t".to_owned()),
            Self::Truth if number == 0.0 => Some("f".to_owned()),
            _ => None,
        }
        .unwrap_or_else(|| self.decimal(number))
    }

    /// What a cell with the look of a day stands for.
    pub(super) fn of_moment(self, days: f64) -> String {
        match self {
            Self::Integer | Self::Number(_) => self.decimal(days),
            Self::Day | Self::Moment => self.of_number(days),
            Self::Truth | Self::Text => {
                let text = if days.fract() == 0.0 { day_text(days) } else { moment_text(days) };
                text.unwrap_or_else(|| self.decimal(days))
            }
        }
    }

    pub(super) fn of_truth(self, truth: bool) -> String {
        match (self, truth) {
            (Self::Truth, true) => "t",
            (Self::Truth, false) => "f",
            (_, true) => "true",
            (_, false) => "false",
        }
        .to_owned()
    }

    pub(super) fn of_text(self, text: String) -> String {
        match self {
            Self::Truth if text.eq_ignore_ascii_case("true") => "t".to_owned(),
            Self::Truth if text.eq_ignore_ascii_case("false") => "f".to_owned(),
            _ => text,
        }
    }

    /// As a spreadsheet shows it: what is beyond fifteen digits is what binary numbers add.
    fn decimal(self, number: f64) -> String {
        let mut text = format!("{:.*e}", DIGITS - 1, number)
            .parse::<f64>()
            .map_or_else(|_| number.to_string(), |it| it.to_string());
        if let Self::Number(Some(scale)) = self {
            let decimals = text.split_once('.').map_or(0, |(_, decimals)| decimals.len());
            if decimals == 0 && scale > 0 {
                text.push('.');
            }
            text.extend(std::iter::repeat_n('0', scale.saturating_sub(decimals)));
        }
        text
    }

    /// How a spreadsheet shows it, in its own words.
    pub(super) fn look(self) -> String {
        match self {
            Self::Integer => "0".to_owned(),
            Self::Number(Some(scale @ 1..=15)) => format!("0.{}", "0".repeat(scale)),
            Self::Number(Some(0)) => "0".to_owned(),
            Self::Number(_) | Self::Truth => "General".to_owned(),
            Self::Day => "yyyy-mm-dd".to_owned(),
            Self::Moment => "yyyy-mm-dd hh:mm:ss".to_owned(),
            Self::Text => "@".to_owned(),
        }
    }
}

/// The digits after the point of `numeric(12,2)`.
fn scale(data_type: &str) -> Option<usize> {
    let inside = data_type.split_once('(')?.1.trim_end_matches(')');
    Some(inside.split_once(',').map_or(0, |(_, scale)| scale.trim().parse().unwrap_or(0)))
}

/// A decimal number as databases write it, of no more digits than a spreadsheet keeps, and with as many after the point as
/// will be read out of its cell again.
fn is_exact(value: &str, scale: Option<usize>) -> bool {
    let digits = value.strip_prefix('-').unwrap_or(value);
    let (whole, decimals) = digits.split_once('.').unwrap_or((digits, ""));
    let all_digits = |it: &str| it.bytes().all(|it| it.is_ascii_digit());
    let is_shown = match scale {
        Some(scale) => decimals.len() == scale && digits.contains('.') == (scale > 0),
        None => !decimals.ends_with('0') && digits.contains('.') != decimals.is_empty(),
    };
    let is_minus_zero = value.starts_with('-') && digits.bytes().all(|it| matches!(it, b'0' | b'.'));
    !whole.is_empty()
        && (whole == "0" || !whole.starts_with('0'))
        && all_digits(whole)
        && all_digits(decimals)
        && whole.len() + decimals.len() <= DIGITS
        && is_shown
        && !is_minus_zero
}

fn epoch() -> NaiveDate {
    NaiveDate::from_ymd_opt(1899, 12, 30).expect("it is a day")
}

/// Spreadsheets believe in a 29th of February 1900, and know no year of five digits.
fn is_known(days: f64) -> bool {
    (61.0..2_958_466.0).contains(&days)
}

fn day(value: &str) -> Option<f64> {
    if value.len() != 10 {
        return None;
    }
    let day = NaiveDate::parse_from_str(value, "%Y-%m-%d").ok()?;
    let days = i32::try_from((day - epoch()).num_days()).ok()?;
    Some(f64::from(days)).filter(|it| is_known(*it))
}

fn moment(value: &str) -> Option<f64> {
    let (day_of, time) = value.split_at_checked(10)?;
    let day = day(day_of)?;
    let time = chrono::NaiveTime::parse_from_str(time.strip_prefix(' ')?, "%H:%M:%S%.f").ok()?;
    let millis = time.signed_duration_since(chrono::NaiveTime::MIN).num_milliseconds();
    Some(day + f64::from(i32::try_from(millis).ok()?) / DAY)
}

fn day_text(days: f64) -> Option<String> {
    is_known(days).then(|| moment_at(days)).flatten().map(|it| it.format("%Y-%m-%d").to_string())
}

fn moment_text(days: f64) -> Option<String> {
    let moment = is_known(days).then(|| moment_at(days)).flatten()?;
    let text = moment.format("%Y-%m-%d %H:%M:%S%.3f").to_string();
    Some(text.trim_end_matches('0').trim_end_matches('.').to_owned()).map(|it| {
        // Only what is after the point may go.
        if it.len() < 19 { moment.format("%Y-%m-%d %H:%M:%S").to_string() } else { it }
    })
}

#[allow(clippy::cast_possible_truncation, reason = "a known day is far from the limits")]
fn moment_at(days: f64) -> Option<chrono::NaiveDateTime> {
    epoch().and_hms_opt(0, 0, 0)?.checked_add_signed(TimeDelta::milliseconds((days * DAY).round() as i64))
}

/// Whether a cell takes a text and gives it back as it was. `_x0041_` means a letter inside a workbook.
pub(super) fn fits(text: &str) -> bool {
    let bytes = text.as_bytes();
    let is_letter_in_disguise =
        |at: usize| bytes.get(at..at + 7).is_some_and(|it| it[1] == b'x' && it[6] == b'_' && it[2..6].is_ascii());
    (text.len() <= LETTERS || text.encode_utf16().count() <= LETTERS)
        && !text.contains(['\u{fffe}', '\u{ffff}', '\0'])
        && !bytes.iter().enumerate().any(|(at, byte)| *byte == b'_' && is_letter_in_disguise(at))
}

/// What a spreadsheet would run if somebody typed it.
pub(super) fn is_acted_on(text: &str) -> bool {
    text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '\''])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(kind: Kind, value: &str) -> String {
        match kind.cell(value) {
            Cell::Empty => String::new(),
            Cell::Number(it) => kind.of_number(it),
            Cell::Truth(it) => kind.of_truth(it),
            Cell::Moment(it) => kind.of_moment(it),
            Cell::Text(it) => kind.of_text(it.to_owned()),
            Cell::Apart(it) => it.to_owned(),
        }
    }

    fn kinds() -> impl Strategy<Value = Kind> {
        prop_oneof![
            Just(Kind::Integer),
            Just(Kind::Number(None)),
            (0_usize..6).prop_map(|it| Kind::Number(Some(it))),
            Just(Kind::Day),
            Just(Kind::Moment),
            Just(Kind::Text),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn every_value_comes_back_out_of_its_cell(
            kind in kinds(),
            value in prop_oneof![
                "-?[0-9]{1,18}(\\.[0-9]{0,6})?",
                any::<f64>().prop_map(|it| it.to_string()),
                any::<i64>().prop_map(|it| it.to_string()),
                "[0-9]{4}-[01][0-9]-[0-3][0-9]( [0-2][0-9]:[0-5][0-9]:[0-5][0-9](\\.[0-9]{1,6})?)?",
                "\\PC{0,8}",
            ],
        ) {
            prop_assert_eq!(read(kind, &value), value);
        }

        #[test]
        fn a_whole_millisecond_is_a_moment(days in 61_i64..2_958_465, millis in 0_i64..86_400_000) {
            let moment = epoch().and_hms_opt(0, 0, 0).unwrap() + TimeDelta::days(days) + TimeDelta::milliseconds(millis);
            let text = moment.format("%Y-%m-%d %H:%M:%S%.f").to_string();
            // Databases write no noughts at the end.
            let text = if text.contains('.') { text.trim_end_matches('0').to_owned() } else { text };
            prop_assert!(matches!(Kind::Moment.cell(&text), Cell::Moment(_)), "{}", text);
            prop_assert_eq!(read(Kind::Moment, &text), text);
        }

        #[test]
        fn fifteen_digits_are_a_number(whole in 0_i64..10_000_000_000, cents in 0_i64..100) {
            let text = format!("{whole}.{cents:02}");
            prop_assert!(matches!(Kind::Number(Some(2)).cell(&text), Cell::Number(_)));
            prop_assert_eq!(read(Kind::Number(Some(2)), &text), text);
        }
    }

    #[test]
    fn what_a_spreadsheet_cannot_hold_exactly_is_text() {
        let text = |kind: Kind, value: &str| assert_eq!(kind.cell(value), Cell::Text(value), "{kind:?} {value}");
        for value in ["9223372036854775807", "1234567890123456", "007"] {
            text(Kind::Integer, value);
        }
        for value in ["NaN", "Infinity", "-0", "1e+20", "0.10", "1234567890.1234567"] {
            text(Kind::Number(None), value);
        }
        for value in ["1900-02-28", "0044-03-15 BC", "infinity", "10000-01-01", "2026-02-30"] {
            text(Kind::Day, value);
        }
        for value in ["2026-03-29 02:30:00.123456", "1899-01-01 00:00:00", "-infinity", "2026-03-29 02:30:00.120"] {
            text(Kind::Moment, value);
        }
        assert_eq!(Kind::Day.cell("2026-11-22"), Cell::Moment(46348.0));
        assert_eq!(Kind::Text.cell(""), Cell::Empty);
    }

    #[test]
    fn what_no_cell_takes_is_kept_apart() {
        let long = "ä".repeat(LETTERS + 1);
        for value in ["_x0041_", "a\u{ffff}", long.as_str()] {
            assert_eq!(Kind::Text.cell(value), Cell::Apart(value));
        }
        assert!(fits(&"ä".repeat(LETTERS)) && !fits(&"🚀".repeat(LETTERS / 2 + 1)));
    }

    #[test]
    fn what_a_person_typed_is_understood() {
        assert_eq!(Kind::Number(Some(2)).of_number(5.2), "5.20");
        assert_eq!(Kind::Number(Some(2)).of_number(0.1 + 0.2), "0.30");
        assert_eq!(Kind::Number(Some(2)).of_number(5.255), "5.255");
        assert_eq!(Kind::Text.of_number(49_301_234_567.0), "49301234567");
        assert_eq!(Kind::Text.of_moment(46348.5), "2026-11-22 12:00:00");
        assert_eq!(Kind::Day.of_number(46348.0), "2026-11-22");
        assert_eq!(Kind::Truth.of_text("FALSE".to_owned()), "f");
    }
}
