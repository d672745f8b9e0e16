//! Files of environment variables, `.env`, as systemd and dotenv read them.
//!
//! One `KEY=value` a line, `export` before it is allowed, `#` begins a comment. In single quotes everything is
//! itself; in double quotes `\n`, `\"`, `\\` and `\$` are understood. Deliberately absent: values that refer to
//! other variables. Lines without `=` are not settings and are passed over.

use std::fmt;

/// The settings of a file, in its order.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct EnvFile {
    entries: Vec<(String, String)>,
}

impl EnvFile {
    /// Reads the text of a file.
    pub fn parse(text: &str) -> Self {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        Self { entries: text.lines().filter_map(entry).collect() }
    }
    /// The value of a key. Of several lines the last one counts.
    pub fn value(&self, key: &str) -> Option<&str> {
        self.entries.iter().rev().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
    }
    /// Keys and values in the order of the file; a key that is set twice comes twice.
    pub fn entries(&self) -> impl Iterator<Item = (&str, &str)> {
        self.entries.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
    /// The keys in the order of the file.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().map(|(name, _)| name.as_str())
    }
}

/// Values may be secrets, so only the keys are shown.
impl fmt::Debug for EnvFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.keys()).finish()
    }
}

fn entry(line: &str) -> Option<(String, String)> {
    let line = line.trim();
    if line.starts_with('#') {
        return None;
    }
    let (name, value) = line.split_once('=')?;
    let name = name.strip_prefix("export ").unwrap_or(name).trim();
    is_variable(name).then(|| (name.to_owned(), unquoted(value.trim())))
}

/// Whether a text can be the name of an environment variable.
pub(crate) fn is_variable(name: &str) -> bool {
    name.starts_with(|it: char| it.is_ascii_alphabetic() || it == '_')
        && name.chars().all(|it| it.is_ascii_alphanumeric() || it == '_')
}

fn unquoted(value: &str) -> String {
    if let Some(rest) = value.strip_prefix('\'') {
        return rest.split('\'').next().unwrap_or_default().to_owned();
    }
    let Some(rest) = value.strip_prefix('"') else {
        // A comment behind a bare value begins with a space, so that a password may hold a “#”.
        return value.split(" #").next().unwrap_or_default().trim_end().to_owned();
    };
    let mut text = String::new();
    let mut signs = rest.chars();
    while let Some(sign) = signs.next() {
        match sign {
            '"' => break,
            '\\' => match signs.next() {
                Some('n') => text.push('\n'),
                Some(escaped @ ('"' | '\\' | '$')) => text.push(escaped),
                Some(other) => text.extend(['\\', other]),
                None => text.push('\\'),
            },
            other => text.push(other),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_comments_and_exports_are_understood() {
        let file = EnvFile::parse(
            "\u{feff}# comment\nexport A=1\n B = two words # why\nC='it''s $HOME'\nD=\"line\\nbreak \\\"x\\\"\"\nE=pa#ss\nF=\n\
             no setting\n1X=3\nA=last\r\n",
        );
        insta::assert_debug_snapshot!(file.entries().collect::<Vec<_>>(), @r#"
        [
            (
                "A",
                "1",
            ),
            (
                "B",
                "two words",
            ),
            (
                "C",
                "it",
            ),
            (
                "D",
                "line\nbreak \"x\"",
            ),
            (
                "E",
                "pa#ss",
            ),
            (
                "F",
                "",
            ),
            (
                "A",
                "last",
            ),
        ]
        "#);
        assert_eq!(file.value("A"), Some("last"), "the last line of a key counts, as in a shell");
        assert_eq!(file.value("Z"), None);
    }

    #[test]
    fn debug_shows_no_values() {
        assert_eq!(format!("{:?}", EnvFile::parse("PASSWORD=hunter2")), r#"["PASSWORD"]"#);
    }
}
