//! What is out, how loudly that is said, and how the search for it stands.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ErrorView;
use crate::model::changes::Changes;
use crate::model::ids::InstallationName;
use crate::model::notice::{Choices, Hole, Level, Quiet};

/// How the search for releases stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SearchView {
    /// When the server last said how it is.
    pub checked_at: Option<DateTime<Utc>>,
    /// When it is asked next.
    pub next_check_at: Option<DateTime<Utc>>,
    /// The server asked to be left alone until then.
    pub waits_until: Option<DateTime<Utc>>,
    /// Since when no answer came.
    pub failing_since: Option<DateTime<Utc>>,
    /// Why the last question brought no answer. What is shown then is the last good answer.
    pub problem: Option<ErrorView>,
}

/// An update that is offered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub struct UpdateOffer {
    /// The version.
    pub to: String,
    /// How loud it is to be, 1–4.
    #[cfg_attr(feature = "bindings", ts(type = "1 | 2 | 3 | 4"))]
    pub level: Level,
    /// Whole days since the first release that the installation is behind.
    #[cfg_attr(feature = "bindings", ts(type = "number"))]
    pub days_behind: i64,
    /// How many releases it is behind.
    #[cfg_attr(feature = "bindings", ts(type = "number"))]
    pub versions_behind: usize,
    /// Whether it starts with empty data.
    pub breaking: bool,
    /// Why, in sentences.
    pub reasons: Vec<String>,
    /// The published hole in what runs that it closes.
    pub security: Option<HoleView>,
    /// Whether its notes, or those on the way, speak of closed holes.
    pub closes_holes: bool,
    /// The first thing that its notes say.
    pub headline: Option<String>,
    /// When it was published.
    pub published_at: Option<DateTime<Utc>>,
    /// Why it is not shown now.
    pub quiet: Option<Quiet>,
    /// Quiet until then: hidden, reminded, paused.
    pub quiet_until: Option<DateTime<Utc>>,
    /// Whether this version was skipped.
    pub skipped: bool,
    /// Whether a choice to hear nothing ended because a hole became known since.
    pub ended_by_security: bool,
    /// Whether the daily question is due.
    pub asks: bool,
    /// The line of releases that [Stay on …] names, where the offer is breaking.
    pub line: Option<String>,
    /// The versions on the way, the last of them the one that is offered.
    pub path: Vec<String>,
}

/// A published security hole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub struct HoleView {
    /// Its name.
    pub id: String,
    /// How bad it is, in a word.
    pub severity: String,
    /// What it is.
    pub summary: String,
    /// Where it is described.
    pub url: Option<String>,
    /// The first version without it.
    pub fixed_in: Option<String>,
}

impl From<&Hole> for HoleView {
    fn from(hole: &Hole) -> Self {
        Self {
            id: hole.id.clone(),
            severity: hole.severity.to_string(),
            summary: hole.summary.clone(),
            url: hole.url.clone(),
            fixed_in: hole.fixed_in.as_ref().map(ToString::to_string),
        }
    }
}

/// What an installation is told about updates.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NoticeView {
    /// Whose.
    pub installation: InstallationName,
    /// What runs, as last observed.
    pub version: Option<String>,
    /// What is offered; nothing where it is behind nothing.
    pub offer: Option<UpdateOffer>,
    /// Published holes in what runs, the worst first.
    pub holes: Vec<HoleView>,
    /// What was chosen.
    pub choices: Choices,
    /// How the search stands.
    pub search: SearchView,
}

/// What one round of looking for releases brought.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RoundView {
    /// Repositories that were asked in this round; the others were not due, or wait.
    pub asked: usize,
    /// Those of them in which something has changed.
    pub changed: usize,
    /// Every repository.
    pub repositories: Vec<RepositoryView>,
    /// Every installation that was looked at.
    pub installations: Vec<NoticeView>,
}

/// A repository and who comes from it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RepositoryView {
    /// The server.
    pub host: String,
    /// Its name there, by the profile.
    pub repository: String,
    /// Where it has moved to.
    pub moved_to: Option<String>,
    /// How many installations come from it.
    pub installations: usize,
    /// Whether it was asked in this round.
    pub asked: bool,
    /// How the search stands.
    pub search: SearchView,
}

/// A published version.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ReleaseView {
    /// Its version.
    pub version: String,
    /// Its tag.
    pub tag: String,
    /// When it was published.
    pub published_at: Option<DateTime<Utc>>,
    /// Whether its makers call it unfinished.
    pub prerelease: bool,
    /// Whether old data cannot be taken along.
    pub breaking: bool,
    /// Whether it is newer than what runs.
    pub newer: bool,
    /// Its notes, as written.
    pub notes: String,
}

/// The releases of an installation's application.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ReleasesView {
    /// Whose.
    pub installation: InstallationName,
    /// What runs.
    pub version: Option<String>,
    /// The newest one that can be reached by an ordinary upgrade.
    pub latest: Option<String>,
    /// When the server last said how it is.
    pub checked_at: DateTime<Utc>,
    /// How the search stands.
    pub search: SearchView,
    /// Where the repository has moved to.
    pub moved_to: Option<String>,
    /// Newest first.
    pub releases: Vec<ReleaseView>,
    /// Tags that are no versions, with the reason.
    pub skipped: Vec<SkippedTag>,
}

/// A tag that is not offered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SkippedTag {
    /// The tag.
    pub tag: String,
    /// Why.
    pub why: String,
}

/// Everything between what runs and what is offered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NewsView {
    /// Whose.
    pub installation: InstallationName,
    /// What runs, as last observed.
    pub from: Option<String>,
    /// Up to which version.
    pub to: String,
    /// Published holes in what runs that are closed on the way, the worst first.
    pub closes: Vec<HoleView>,
    /// Each release on the way with what its notes say, newest first.
    pub releases: Vec<NewsOfRelease>,
    /// Whether there is more than can be shown.
    pub cut: bool,
}

/// What the notes of a release say, taken apart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NewsOfRelease {
    /// Its version.
    pub version: String,
    /// When it was published.
    pub published_at: Option<DateTime<Utc>>,
    /// What its notes say.
    pub changes: Changes,
}
