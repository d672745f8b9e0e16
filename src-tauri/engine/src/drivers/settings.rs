//! What a release expects in the user's settings, read from the example that comes with it.
//!
//! A setting is needed unless the example comments it out or calls it optional, or names a default, in the
//! comment above it or behind it. Values of the user are compared by name only and never shown.

use std::collections::HashSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A setting that the release needs and the user does not have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MissingSetting {
    /// Its name.
    pub key: String,
    /// What the example says about it; may be empty.
    pub comment: String,
    /// What the example sets it to; may be empty.
    pub example: String,
}

/// A line of settings that means nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BadLine {
    /// Counted from 1.
    pub line: usize,
    /// What is wrong with it, without its content.
    pub reason: String,
}

/// Settings that `example` needs and `actual` does not have, in the order of the example.
pub fn missing(example: &str, actual: &str) -> Vec<MissingSetting> {
    let has: HashSet<&str> = actual.lines().filter_map(|line| assignment(line).ok().flatten()).map(|it| it.0).collect();
    let mut found: Vec<MissingSetting> = Vec::new();
    let mut comment: Vec<&str> = Vec::new();
    for line in example.lines().map(str::trim) {
        if let Some(text) = line.strip_prefix('#') {
            comment.push(text.trim_start_matches('#').trim());
            continue;
        }
        let above = std::mem::take(&mut comment).join(" ").trim().to_owned();
        let Ok(Some((key, value))) = assignment(line) else { continue };
        let (value, behind) = split_comment(value);
        let comment = [above.as_str(), behind].into_iter().filter(|it| !it.is_empty()).collect::<Vec<_>>().join(" ");
        if !has.contains(key) && !is_optional(&comment) && found.iter().all(|it| it.key != key) {
            found.push(MissingSetting { key: key.to_owned(), comment, example: bare(value).to_owned() });
        }
    }
    found
}

/// Lines that are neither empty, nor a comment, nor a setting; and quotes that never end.
pub fn bad_lines(text: &str) -> Vec<BadLine> {
    let numbered = text.lines().enumerate();
    numbered
        .filter_map(|(at, line)| {
            let reason = assignment(line).err()?;
            Some(BadLine { line: at + 1, reason: reason.to_owned() })
        })
        .collect()
}

/// The key and the value as it is written; `None` for empty lines and comments.
fn assignment(line: &str) -> Result<Option<(&str, &str)>, &'static str> {
    let line = line.trim_start_matches('\u{feff}').trim();
    if line.is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    let Some((key, value)) = line.split_once('=') else { return Err("there is no “=” in it") };
    let key = key.strip_prefix("export ").unwrap_or(key).trim();
    let begins_well = key.starts_with(|it: char| it.is_ascii_alphabetic() || it == '_');
    if !begins_well || !key.chars().all(|it| it.is_ascii_alphanumeric() || it == '_') {
        return Err("what stands before the “=” cannot be the name of a setting");
    }
    let value = value.trim();
    match value.chars().next() {
        Some(quote @ ('"' | '\'')) if closing(value, quote).is_none() => Err("a quotation mark is never closed"),
        _ => Ok(Some((key, value))),
    }
}

/// Where the quote that begins the value ends.
fn closing(value: &str, quote: char) -> Option<usize> {
    let mut is_escaped = false;
    value.char_indices().skip(1).find_map(|(at, c)| {
        if is_escaped || (c == '\\' && quote == '"') {
            is_escaped = !is_escaped;
            return None;
        }
        (c == quote).then_some(at)
    })
}

fn split_comment(value: &str) -> (&str, &str) {
    let end = match value.chars().next() {
        Some(quote @ ('"' | '\'')) => closing(value, quote).map_or(value.len(), |at| at + 1),
        _ => value.find(" #").unwrap_or(value.len()),
    };
    let (value, behind) = value.split_at(end);
    (value.trim(), behind.trim().trim_start_matches('#').trim())
}

fn bare(value: &str) -> &str {
    ['"', '\''].into_iter().find_map(|quote| value.strip_prefix(quote)?.strip_suffix(quote)).unwrap_or(value)
}

fn is_optional(comment: &str) -> bool {
    let words = comment.to_lowercase();
    words.split(|c: char| !c.is_alphanumeric()).any(|word| matches!(word, "optional" | "default" | "defaults"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXAMPLE: &str = "\
# Where the shop listens.
SHOP_PORT=8080

# Key with which sessions are signed.
# Any long random text.
export SESSION_KEY=\"change \\\"me\\\" # please\"
# Optional: who gets the mail.
MAIL_TO=
# LOG_LEVEL=info
CURRENCY=EUR # default: EUR
TAX_RATE=0.19 # in force since January
";

    #[test]
    fn a_setting_that_the_new_release_needs_is_found_with_what_is_said_of_it() {
        let found = missing(EXAMPLE, "SHOP_PORT=80\n#SESSION_KEY=old\n");
        assert_eq!(
            found,
            [
                MissingSetting {
                    key: "SESSION_KEY".to_owned(),
                    comment: "Key with which sessions are signed. Any long random text.".to_owned(),
                    example: "change \\\"me\\\" # please".to_owned(),
                },
                MissingSetting {
                    key: "TAX_RATE".to_owned(),
                    comment: "in force since January".to_owned(),
                    example: "0.19".to_owned(),
                },
            ]
        );
        assert_eq!(missing(EXAMPLE, "SHOP_PORT=1\nexport SESSION_KEY=''\nTAX_RATE=\n"), [], "an empty one is a choice");
    }

    #[test]
    fn a_line_that_means_nothing_is_told_by_its_number_and_not_by_its_content() {
        let found = bad_lines("A=1\n\n# fine\nhunter2\n1B=2\nC=\"open\nD='x' # y\n");
        let lines: Vec<usize> = found.iter().map(|it| it.line).collect();
        assert_eq!(lines, [4, 5, 6]);
        assert!(found.iter().all(|it| !it.reason.contains("hunter2")));
    }
}
