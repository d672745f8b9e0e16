//! Paths in a profile. They are written with slashes on every platform and never climb with `..`.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use schemars::JsonSchema;
use serde::Serialize;

/// A path inside a folder: relative, without `..`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(transparent)]
pub struct InsidePath(#[schemars(regex(pattern = r"^[^/\\][^\\]*$"))] String);

/// A path relative to the installation folder, or an absolute one; without `..`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(transparent)]
pub struct FilePath(#[schemars(length(min = 1))] String);

/// An absolute path in a container, below its root; without `..`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(transparent)]
pub struct ContainerPath(#[schemars(regex(pattern = r"^/[^\\]+$"))] String);

/// Why a text is no such path, as the end of a sentence.
pub(super) type PathFault = &'static str;

impl ContainerPath {
    /// Checks the text.
    pub(super) fn parse(text: &str) -> Result<Self, PathFault> {
        plain(text)?;
        if text.starts_with('/') { Ok(Self(format!("/{}", tidy(text)))) } else { Err("does not begin with a slash") }
    }
    /// As it was written, without superfluous dots and slashes.
    pub fn as_str(&self) -> &str {
        &self.0
    }
    /// The folder that it is in.
    pub fn parent(&self) -> &str {
        self.0.rsplit_once('/').map(|it| it.0).filter(|it| !it.is_empty()).unwrap_or("/")
    }
}

impl fmt::Display for ContainerPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl InsidePath {
    /// Checks the text.
    pub(super) fn parse(text: &str) -> Result<Self, PathFault> {
        clean(text)?;
        if is_absolute(text) {
            return Err("is an absolute path where one inside the folder is meant");
        }
        plain(text)?;
        Ok(Self(tidy(text)))
    }
    /// A path of our own that is known to be good.
    pub(super) fn literal(text: &'static str) -> Self {
        Self(text.to_owned())
    }
    /// As it was written, without superfluous dots and slashes.
    pub fn as_str(&self) -> &str {
        &self.0
    }
    /// The path below `folder`.
    pub fn under(&self, folder: &Path) -> PathBuf {
        folder.join(&self.0)
    }
    /// Whether it is `other` or lies below it.
    pub fn is_within(&self, other: &Self) -> bool {
        self.0.strip_prefix(&other.0).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

impl FilePath {
    /// Checks the text.
    pub(super) fn parse(text: &str) -> Result<Self, PathFault> {
        if is_absolute(text) {
            clean(text)?;
            return Ok(Self(text.to_owned()));
        }
        plain(text)?;
        Ok(Self(tidy(text)))
    }
    /// As it was written, without superfluous dots and slashes.
    pub fn as_str(&self) -> &str {
        &self.0
    }
    /// The path below the installation folder `dir`; an absolute one is itself.
    pub fn under(&self, dir: &Path) -> PathBuf {
        dir.join(&self.0)
    }
    /// The same as a path inside the installation, if it is relative.
    pub fn inside(&self) -> Option<InsidePath> {
        (!is_absolute(&self.0)).then(|| InsidePath(self.0.clone()))
    }
}

impl fmt::Display for InsidePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for FilePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Absolute on any platform: a profile means the same wherever it is read.
fn is_absolute(text: &str) -> bool {
    let drive = matches!(text.as_bytes(), [letter, b':', ..] if letter.is_ascii_alphabetic());
    text.starts_with(['/', '\\', '~']) || drive
}

fn clean(text: &str) -> Result<(), PathFault> {
    if text.is_empty() {
        Err("is empty")
    } else if text.chars().any(|it| it.is_control() || is_direction_mark(it)) {
        Err("holds invisible characters")
    } else if text.starts_with('~') {
        Err("begins with “~”, which only a shell understands")
    } else if text.split(['/', '\\']).any(|it| it == "..") {
        Err("climbs out with “..”")
    } else {
        Ok(())
    }
}

fn plain(text: &str) -> Result<(), PathFault> {
    clean(text)?;
    if text.contains('\\') {
        Err("holds a backslash; slashes are understood on every platform")
    } else if tidy(text).is_empty() {
        Err("names the folder itself")
    } else {
        Ok(())
    }
}

fn tidy(text: &str) -> String {
    text.split('/').filter(|it| !matches!(*it, "" | ".")).collect::<Vec<_>>().join("/")
}

/// Marks that turn the direction of writing can make a path look like another one.
pub(super) fn is_direction_mark(it: char) -> bool {
    matches!(it, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}' | '\u{200b}'..='\u{200d}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_inside_never_leaves_its_folder() {
        for text in [
            "",
            ".",
            "./",
            "/a",
            "\\a",
            "C:a",
            "C:/a",
            "~/a",
            "..",
            "a/..",
            "a/../b",
            "a\\..\\b",
            "a\\b",
            "a\u{202e}b",
            "a\nb",
        ] {
            assert!(InsidePath::parse(text).is_err(), "{text:?}");
        }
        assert_eq!(InsidePath::parse("./a//b/./c/").unwrap().as_str(), "a/b/c");
        assert_eq!(InsidePath::parse("..a/b..c").unwrap().as_str(), "..a/b..c", "dots in a name are dots");
    }

    #[test]
    fn an_absolute_path_is_itself_and_never_climbs() {
        assert_eq!(FilePath::parse("/var/lib/x").unwrap().under(Path::new("/srv")), Path::new("/var/lib/x"));
        assert_eq!(FilePath::parse("data/x").unwrap().under(Path::new("/srv")), Path::new("/srv/data/x"));
        for text in ["/a/../b", "C:\\a\\..\\b", "~/.pgpass", ""] {
            assert!(FilePath::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn neighbours_with_the_same_beginning_are_not_within_each_other() {
        let path = |text| InsidePath::parse(text).unwrap();
        assert!(path("data/uploads").is_within(&path("data")));
        assert!(path("data").is_within(&path("data")));
        assert!(!path("database").is_within(&path("data")));
    }
}
