//! Text with holes. Which holes are allowed where is settled when a profile is read; filling them is exact.

use std::{fmt, str::FromStr};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use schemars::JsonSchema;
use serde::Serialize;

use crate::error::{Error, Result};

/// Text with placeholders such as `{port}`. `{{` and `}}` stand for the braces themselves.
///
/// In an address (text with `://`) what is filled in is percent-encoded, so that a password may hold any sign.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, JsonSchema)]
#[serde(transparent)]
pub struct Template(String);

/// What can be filled into a template.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Placeholder {
    /// The folder of the release whose command it is.
    Release,
    /// The installation folder.
    Dir,
    /// A port: of the application, or of the database that a command is pointed at.
    Port,
    /// A version.
    Version,
    /// The host of the database that a command is pointed at.
    Host,
    /// Its user.
    User,
    /// Its password.
    Password,
    /// Its name.
    Database,
    /// The file or folder that a command is pointed at.
    Path,
}

impl Placeholder {
    /// Every one.
    pub const ALL: [Self; 9] = [
        Self::Release,
        Self::Dir,
        Self::Port,
        Self::Version,
        Self::Host,
        Self::User,
        Self::Password,
        Self::Database,
        Self::Path,
    ];

    /// The word between the braces.
    pub fn word(self) -> &'static str {
        match self {
            Self::Release => "release",
            Self::Dir => "dir",
            Self::Port => "port",
            Self::Version => "version",
            Self::Host => "host",
            Self::User => "user",
            Self::Password => "password",
            Self::Database => "database",
            Self::Path => "path",
        }
    }
    /// What must be encoded in an address: paths keep their slashes.
    fn encode_set(self) -> &'static AsciiSet {
        const VALUE: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
        const PATH: &AsciiSet = &VALUE.remove(b'/');
        match self {
            Self::Release | Self::Dir | Self::Path => PATH,
            Self::Port | Self::Version | Self::Host | Self::User | Self::Password | Self::Database => VALUE,
        }
    }
}

impl fmt::Display for Placeholder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{{}}}", self.word())
    }
}

impl FromStr for Placeholder {
    type Err = ();
    fn from_str(word: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|it| it.word() == word).ok_or(())
    }
}

/// A piece of a template.
pub(super) enum Piece<'t> {
    Text(&'t str),
    Hole(&'t str),
    /// A brace without its partner.
    Stray(char),
}

/// Takes a text apart at its braces.
pub(super) fn pieces(text: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find(['{', '}']) {
        if at > 0 {
            pieces.push(Piece::Text(&rest[..at]));
        }
        let brace = &rest[at..];
        rest = if brace.starts_with("{{") || brace.starts_with("}}") {
            pieces.push(Piece::Text(&brace[..1]));
            &brace[2..]
        } else if let Some((hole, after)) = brace.strip_prefix('{').and_then(|it| it.split_once('}')) {
            pieces.push(Piece::Hole(hole));
            after
        } else {
            pieces.push(Piece::Stray(if brace.starts_with('{') { '{' } else { '}' }));
            &brace[1..]
        };
    }
    if !rest.is_empty() {
        pieces.push(Piece::Text(rest));
    }
    pieces
}

impl Template {
    /// A text that has been checked.
    pub(super) fn checked(text: &str) -> Self {
        Self(text.to_owned())
    }
    /// As it was written, holes and all.
    pub fn as_str(&self) -> &str {
        &self.0
    }
    /// Whether it has this hole.
    pub fn has(&self, placeholder: Placeholder) -> bool {
        pieces(&self.0).iter().any(|it| matches!(it, Piece::Hole(word) if *word == placeholder.word()))
    }
    /// Whether it is an address, so that what is filled in is percent-encoded.
    pub fn is_address(&self) -> bool {
        self.0.contains("://")
    }
    /// The text with its holes filled.
    ///
    /// # Errors
    /// `template_unfilled`, a bug of the caller: a hole has no value.
    pub fn fill(&self, values: &[(Placeholder, &str)]) -> Result<String> {
        let mut filled = String::with_capacity(self.0.len());
        for piece in pieces(&self.0) {
            match piece {
                Piece::Text(text) => filled.push_str(text),
                Piece::Stray(brace) => filled.push(brace),
                Piece::Hole(word) => {
                    let Some((placeholder, value)) = values.iter().find(|(it, _)| it.word() == word) else {
                        let message = format!("Nothing to fill in for {{{word}}} in “{}”.", self.0);
                        return Err(Error::bug("template_unfilled", message));
                    };
                    if self.is_address() {
                        filled.extend(utf8_percent_encode(value, placeholder.encode_set()));
                    } else {
                        filled.push_str(value);
                    }
                }
            }
        }
        Ok(filled)
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(text: &str, values: &[(Placeholder, &str)]) -> String {
        Template::checked(text).fill(values).unwrap()
    }

    #[test]
    fn holes_are_filled_and_doubled_braces_are_braces() {
        let values = [(Placeholder::Release, "/srv/shop/releases/1.1.0"), (Placeholder::Version, "1.1.0")];
        assert_eq!(filled("{release}/bin/{version}", &values), "/srv/shop/releases/1.1.0/bin/1.1.0");
        assert_eq!(filled("{{\"to\": \"{version}\"}}", &values), "{\"to\": \"1.1.0\"}");
        assert_eq!(
            filled("{version}", &[(Placeholder::Version, "{dir}")]),
            "{dir}",
            "what is filled in is not read again"
        );
    }

    #[test]
    fn in_an_address_a_password_may_hold_any_sign() {
        let values = [
            (Placeholder::User, "shop"),
            (Placeholder::Password, "a:b/c@d?é"),
            (Placeholder::Path, "/srv/my app/a.db"),
        ];
        assert_eq!(filled("x://{user}:{password}@h", &values), "x://shop:a%3Ab%2Fc%40d%3F%C3%A9@h");
        assert_eq!(filled("sqlite://{path}", &values), "sqlite:///srv/my%20app/a.db");
        assert_eq!(filled("{password}", &values), "a:b/c@d?é", "alone it stays as it is");
    }

    #[test]
    fn a_hole_without_a_value_is_a_bug_of_ours_and_says_so() {
        let error = Template::checked("{port}").fill(&[(Placeholder::Dir, "/")]).unwrap_err();
        assert_eq!((error.kind, error.class.as_ref()), (crate::error::Kind::Bug, "template_unfilled"));
    }
}
