//! Text for people: what others wrote is made harmless, instants and sizes are put into words.

use std::fmt::Write as _;

use chrono::{DateTime, Local, Utc};

/// Whether a terminal could take this character for a command, or a reader be misled by it: control characters
/// and those that turn the direction of writing.
fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// One line of text in which nothing can act on a terminal.
pub(crate) fn safe(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if is_unsafe(c) {
            out.extend(c.escape_unicode());
        } else {
            out.push(c);
        }
    }
    out
}

/// JSON in which nothing can act on a terminal either: JSON itself escapes only a part of the control characters.
pub(crate) fn safe_json(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        if is_unsafe(c) {
            // All of them are in the basic plane and can only stand inside a string.
            let _ = write!(out, "\\u{:04x}", u32::from(c));
        } else {
            out.push(c);
        }
    }
    out
}

/// "8 minutes ago (2026-11-21 02:40)", in this machine's time.
pub(crate) fn ago(at: DateTime<Utc>, now: DateTime<Utc>) -> String {
    let date = at.with_timezone(&Local).format("%Y-%m-%d %H:%M");
    let seconds = (now - at).num_seconds();
    let span = span_in_words(seconds.unsigned_abs());
    match seconds {
        -1..=1 => format!("now ({date})"),
        ..-1 => format!("in {span} ({date})"),
        _ => format!("{span} ago ({date})"),
    }
}

fn span_in_words(seconds: u64) -> String {
    let (number, unit) = match seconds {
        0..120 => (seconds, "second"),
        120..7_200 => (seconds / 60, "minute"),
        7_200..172_800 => (seconds / 3_600, "hour"),
        _ => (seconds / 86_400, "day"),
    };
    format!("{number} {unit}{}", if number == 1 { "" } else { "s" })
}

/// "1.2 s", "48 s", "6 min 10 s".
pub(crate) fn duration(seconds: f64) -> String {
    let seconds = seconds.max(0.0);
    if seconds < 10.0 {
        return format!("{seconds:.1} s");
    }
    let whole = seconds.round() as u64;
    if whole < 60 { format!("{whole} s") } else { format!("{} min {} s", whole / 60, whole % 60) }
}

/// "412 MB", in powers of ten as on the box of a disk.
pub(crate) fn size(bytes: u64) -> String {
    let mut value = bytes as f64;
    for unit in ["bytes", "kB", "MB", "GB"] {
        if value < 999.5 {
            return if unit == "bytes" || value >= 9.95 {
                format!("{value:.0} {unit}")
            } else {
                format!("{value:.1} {unit}")
            };
        }
        value /= 1000.0;
    }
    format!("{value:.1} TB")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_others_wrote_can_command_a_terminal() {
        // Colour, title, cursor, 8-bit CSI, backspaces over text, a carriage return, a turned direction, DEL.
        for hostile in
            ["\x1b[31mred", "\x1b]0;title\x07", "\u{9b}2J", "good\x08\x08\x08\x08evil", "ok\rno", "a\u{202e}b", "\x7f"]
        {
            for made_safe in [safe(hostile), safe_json(&serde_json::to_string(hostile).unwrap())] {
                assert!(!made_safe.chars().any(is_unsafe), "{made_safe:?}");
            }
        }
        assert_eq!(safe("\x1b[31mred"), "\\u{1b}[31mred");
        assert_eq!(safe("Müller → Ōsaka 🚀"), "Müller → Ōsaka 🚀", "ordinary text stays as it is");
    }

    #[test]
    fn json_made_safe_still_says_the_same() {
        let text = "a\u{9b}b\u{202e}c\x7f\n\"\\d";
        let json = safe_json(&serde_json::to_string(text).unwrap());
        assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
    }

    #[test]
    fn instants_are_relative_and_dated() {
        let now = DateTime::UNIX_EPOCH + chrono::TimeDelta::days(20_000);
        let words = |seconds| {
            let said = ago(now - chrono::TimeDelta::seconds(seconds), now);
            said.split(" (").next().unwrap().to_owned()
        };
        assert_eq!(words(0), "now");
        assert_eq!(words(90), "90 seconds ago");
        assert_eq!(words(480), "8 minutes ago");
        assert_eq!(words(3 * 86_400 + 5), "3 days ago");
        assert_eq!(words(-300), "in 5 minutes");
    }

    #[test]
    fn sizes_and_durations_have_units() {
        assert_eq!([size(0), size(999), size(1000), size(412_300_000)], ["0 bytes", "999 bytes", "1.0 kB", "412 MB"]);
        assert_eq!(size(u64::MAX), "18446744.1 TB");
        assert_eq!([duration(1.23), duration(48.4), duration(370.0)], ["1.2 s", "48 s", "6 min 10 s"]);
    }
}
