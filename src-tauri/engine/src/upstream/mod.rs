//! What a release asks of a project of Docker Compose that the one before did not: three documents are laid side by
//! side (upstream's before, the user's, upstream's after), and what differs is said in sentences.
//!
//! Nothing here asks Docker or reads a file. What would lose the data, or let it look lost, stops the upgrade: another
//! volume under the same folder, another major version of the database on the old data. Deliberately absent: merging.
//! The user's files are never rewritten, so a difference is told, not resolved.

mod compare;
mod database;
mod project;
#[cfg(test)]
mod tests;
mod variables;

use std::collections::BTreeMap;

pub use compare::{Renamed, compare, renamed_volumes};
pub use database::major_of;
pub use project::{Mount, Project, Service};
pub use variables::{Reference, Without, filled, references};

use crate::model::finding::Finding;

/// The three documents and what stands around them.
#[derive(Debug)]
pub struct Sides<'s> {
    /// Upstream's, of the version that is installed.
    pub before: &'s Project,
    /// The user's.
    pub mine: &'s Project,
    /// Upstream's, of the release.
    pub after: &'s Project,
    /// The user's settings: what stands in `.env`.
    pub settings: &'s BTreeMap<String, String>,
    /// The release's example of those settings, as text: its comments say why.
    pub example: &'s str,
    /// Whether the release's file becomes the user's, as with a checkout of git. Otherwise the user's stays.
    pub is_taken_over: bool,
}

/// What was found, and what a person has to say before it can begin.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// In sentences, gravest first.
    pub findings: Vec<Finding>,
    /// Settings that are asked for.
    pub questions: Vec<Question>,
}

/// A setting that the release needs and nobody has set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// Its name in the file.
    pub name: String,
    /// Why it is needed, in the release's own words where it has some.
    pub why: Option<String>,
    /// What the release's own example sets it to.
    pub default: Option<String>,
}
