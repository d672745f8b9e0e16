//! The page before an update.

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::Finding;
use crate::model::finding::ChangedLine;
use crate::model::release::Trust;
use crate::view::AskedSettingView;

/// What would happen, worked out without touching anything.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub struct ConfirmView {
    /// Whose.
    pub installation: String,
    /// What people call the application.
    pub title: String,
    /// What runs.
    pub from: Option<String>,
    /// Where it would go.
    pub to: Option<String>,
    /// Whether nothing stops it but settings of which nothing was said yet.
    pub possible: bool,
    /// How the release is trusted.
    pub trust: Option<Trust>,
    /// How long the application would be away.
    pub estimate: Option<Estimate>,
    /// `copy` or `in_place`.
    #[cfg_attr(feature = "bindings", ts(type = "'copy' | 'in_place'"))]
    pub way: String,
    /// Whether it can be rehearsed on a copy.
    pub rehearsal: bool,
    /// Whether it starts with empty data.
    pub breaking: bool,
    /// The versions on the way.
    pub path: Vec<String>,
    /// Settings that it asks for: it does not begin before something was said of each.
    pub asked: Vec<AskedSettingView>,
    /// Lines of the user's settings that are changed.
    pub lines: Vec<ChangedLine>,
    /// Everything else that was found, stops first.
    pub findings: Vec<Finding>,
    /// What is new.
    pub notes: NotesView,
    /// When it is to begin by itself.
    pub scheduled_for: Option<DateTime<Utc>>,
    /// What mends a finding and takes a while: it has begun under this id, and is followed like an update.
    pub begun: Option<String>,
}

/// How long the application would be away, and how that is known.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub struct Estimate {
    /// Seconds.
    pub seconds: f64,
    /// How it is known.
    pub source: EstimateSource,
    /// When it was measured.
    pub made_at: Option<DateTime<Utc>>,
}

/// How an estimate is known, the surest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum EstimateSource {
    /// Measured on a copy of the data.
    Rehearsed,
    /// As the last update took.
    LastTime,
    /// Guessed from the size of the data.
    Size,
}

/// Release notes, newest first.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub struct NotesView {
    /// A release each.
    pub releases: Vec<NotesOfRelease>,
    /// Whether there is more of it.
    pub cut: bool,
}

/// The notes of one release.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub struct NotesOfRelease {
    /// Its version.
    pub version: String,
    /// When it was published.
    pub published_at: Option<DateTime<Utc>>,
    /// Where they are published.
    pub url: Option<String>,
    /// As written; the window takes out what could do harm.
    pub markdown: String,
}
