//! From the text of a profile to a [`Profile`], with every mistake at once.
//!
//! serde stops at the first mistake, so the text is walked here: [`document`] knows tables, keys and places in
//! the text; [`values`], [`commands`] and [`addresses`] know what a path, a command or a port looks like;
//! [`sections`] says, a line for each key, what every table holds; [`check`] compares sections with each other.
//! A key that no line asks for is unknown, and is refused. A test holds these lines and the JSON Schema together.

mod addresses;
mod check;
mod commands;
mod document;
mod sections;
mod values;

use toml::de::DeTable;

use self::document::Document;
use super::{MAX_BYTES, Mistake, Profile, Warning};

/// What came of reading a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// The profile, if there was no mistake.
    pub profile: Option<Profile>,
    /// Every mistake, in the order of the text.
    pub mistakes: Vec<Mistake>,
    /// What is legal and yet worth knowing, in the order of the text.
    pub warnings: Vec<Warning>,
}

impl Profile {
    /// Reads a profile.
    ///
    /// # Errors
    /// Every mistake in the text, in its order; never an empty list.
    pub fn parse(text: &str) -> Result<Self, Vec<Mistake>> {
        let checked = Self::check(text);
        checked.profile.ok_or(checked.mistakes)
    }
    /// Reads a profile and says all there is to say about it.
    pub fn check(text: &str) -> Checked {
        if text.len() > MAX_BYTES {
            let mistake = Mistake {
                line: 1,
                column: 1,
                key: String::new(),
                reason: format!("the text is longer than {} KiB", MAX_BYTES / 1024),
                remedy: "check that this file is a profile".to_owned(),
            };
            return Checked { profile: None, mistakes: vec![mistake], warnings: Vec::new() };
        }
        let (table, faults) = DeTable::parse_recoverable(text);
        let document = Document::new(text, &table);
        for fault in &faults {
            document.unreadable(fault);
        }
        let profile = sections::profile(&document);
        let (mistakes, warnings) = document.findings();
        let profile = profile.filter(|_| mistakes.is_empty());
        let profile = profile.map(|it| Profile { warnings: warnings.clone(), source: text.to_owned(), ..it });
        Checked { profile, mistakes, warnings }
    }
}
