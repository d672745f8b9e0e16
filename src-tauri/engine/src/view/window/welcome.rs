//! The first steps.

use serde::Serialize;

use crate::view::FoundView;

/// What a search for applications has seen.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub struct Discovery {
    /// What could be looked after and is not yet.
    pub found: Vec<Discovered>,
    /// How many Docker Compose projects were looked at.
    #[cfg_attr(feature = "bindings", ts(type = "number"))]
    pub projects: u64,
    /// How many folders were looked at.
    #[cfg_attr(feature = "bindings", ts(type = "number"))]
    pub folders: u64,
}

/// An application that was recognised.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub struct Discovered {
    /// What commands take.
    pub token: String,
    /// What it is.
    #[serde(flatten)]
    pub found: FoundView,
    /// What has to be answered first, one at a time.
    pub questions: Vec<AskedView>,
}

/// Something that has to be answered before an application can be looked after.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub struct AskedView {
    /// What commands take.
    pub key: String,
    /// What kind of answer it wants.
    pub kind: AskedKind,
    /// The question.
    pub label: String,
    /// Why it is asked.
    pub why: String,
    /// Where the answer usually stands.
    pub usual_place: Option<String>,
    /// What is suggested.
    pub value: Option<String>,
}

/// What kind of answer a question wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum AskedKind {
    /// A file on this computer.
    File,
    /// A secret.
    Password,
}
