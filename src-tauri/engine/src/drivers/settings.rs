//! What a release expects in the user's settings, read from the example that comes with it.
//!
//! A setting is needed unless the example comments it out or calls it optional, or names a default, in the
//! comment above it or behind it. Values of the user are compared by name only and never shown.
//!
//! Where lines are added to the user's file, all that stands there stays byte for byte, so that taking them out again
//! leaves the very file that was there before.

use std::collections::HashSet;
use std::fs;
use std::io::{self, Write};
use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::durable;
use crate::error::{Error, Result};

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

/// The text with a line for each of these at its end.
pub fn with_lines(text: &str, settings: &[(&str, &str)]) -> String {
    let end = if text.contains("\r\n") { "\r\n" } else { "\n" };
    let mut text = text.to_owned();
    if !text.is_empty() && !text.ends_with('\n') {
        text.push_str(end);
    }
    for (key, value) in settings {
        text.push_str(&line(key, value));
        text.push_str(end);
    }
    text
}

/// The text without the last line that sets each of these.
pub fn without_lines(text: &str, keys: &[String]) -> String {
    let mut lines: Vec<&str> = text.split_inclusive('\n').collect();
    for key in keys {
        let is_it = |line: &&str| matches!(assignment(line), Ok(Some((name, _))) if name == key);
        if let Some(at) = lines.iter().rposition(is_it) {
            lines.remove(at);
        }
    }
    lines.concat()
}

/// The line that sets `key`, in quotes where it must be, as Docker Compose, systemd and dotenv read it alike.
pub fn line(key: &str, value: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-.,:/@%+=".contains(c);
    if value.chars().all(is_plain) {
        format!("{key}={value}")
    } else if !value.contains(['\'', '\\']) {
        format!("{key}='{value}'")
    } else {
        let mut escaped = String::new();
        for sign in value.chars() {
            if matches!(sign, '"' | '\\' | '$') {
                escaped.push('\\');
            }
            escaped.push(sign);
        }
        format!("{key}=\"{escaped}\"")
    }
}

/// Writes a settings file of the user's anew: whole, through a link to the file itself, with the owner and the rights
/// that it has. One that is not there yet is private.
///
/// # Errors
/// What the disk answered; the old file is then unchanged.
pub fn rewrite(file: &Path, text: &str) -> Result<()> {
    let failed = |cause: io::Error| Error::io("write", file, &cause);
    let file = match file.canonicalize() {
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return durable::write(file, text.as_bytes()),
        file => file.map_err(failed)?,
    };
    let meta = fs::metadata(&file).map_err(failed)?;
    let parent = durable::parent(&file)?;
    let mut beside = tempfile::Builder::new().prefix(".liftlock-").tempfile_in(parent).map_err(failed)?;
    beside.as_file_mut().write_all(text.as_bytes()).map_err(failed)?;
    beside.as_file().set_permissions(meta.permissions()).map_err(failed)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        // Only root may give a file away, and only root finds one that is not its own.
        if rustix::process::geteuid().is_root() {
            std::os::unix::fs::chown(beside.path(), Some(meta.uid()), Some(meta.gid())).map_err(failed)?;
        }
    }
    beside.as_file().sync_all().map_err(failed)?;
    beside.persist(&file).map_err(|it| failed(it.error))?;
    durable::fsync_dir(parent)
}

/// The key and the value as it is written; `None` for empty lines and comments.
fn assignment(line: &str) -> std::result::Result<Option<(&str, &str)>, &'static str> {
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
    fn lines_are_added_behind_all_that_is_there_and_read_back_as_they_were_given() {
        let values = ["EUR", "two words", "a#b $c", "it's \\ \"quoted\" $HOME", "pa=ss:w%rd", "grün"];
        for before in ["", "A=1\n", "A=1", "# last\r\nA=1\r\n"] {
            for value in values {
                let after = with_lines(before, &[("KEY", value), ("B", "2")]);
                assert!(after.starts_with(before), "{after:?}");
                let file = crate::model::profile::EnvFile::parse(&after);
                assert_eq!((file.value("KEY"), file.value("B")), (Some(value), Some("2")), "{after:?}");
                let back = without_lines(&after, &["B".to_owned(), "KEY".to_owned()]);
                assert_eq!(back.trim_end(), before.trim_end());
            }
        }
        // What somebody wrote since stays, also where it sets the same earlier.
        let text = "KEY=\nA=1\nKEY=x\nC=3\n";
        assert_eq!(without_lines(text, &["KEY".to_owned()]), "KEY=\nA=1\nC=3\n");
    }

    #[cfg(unix)]
    #[test]
    fn a_file_is_written_through_a_link_and_keeps_its_rights() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("real.env"), folder.path().join(".env"));
        fs::write(&file, "A=1\n").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        std::os::unix::fs::symlink("real.env", &link).unwrap();
        rewrite(&link, "A=2\n").unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().file_type().is_symlink());
        assert_eq!(fs::read_to_string(&file).unwrap(), "A=2\n");
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o640);
        rewrite(&folder.path().join("new.env"), "B=1\n").unwrap();
        assert_eq!(fs::metadata(folder.path().join("new.env")).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_line_that_means_nothing_is_told_by_its_number_and_not_by_its_content() {
        let found = bad_lines("A=1\n\n# fine\nhunter2\n1B=2\nC=\"open\nD='x' # y\n");
        let lines: Vec<usize> = found.iter().map(|it| it.line).collect();
        assert_eq!(lines, [4, 5, 6]);
        assert!(found.iter().all(|it| !it.reason.contains("hunter2")));
    }
}
