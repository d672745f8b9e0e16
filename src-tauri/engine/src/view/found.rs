//! What a search has seen.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Applications that could be looked after and are not yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FindView {
    /// What was recognised.
    pub found: Vec<FoundView>,
    /// How many Docker Compose projects were looked at.
    pub projects: u64,
    /// How many folders were looked at.
    pub folders: u64,
}

/// An application that was recognised.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub struct FoundView {
    /// Id of its profile.
    pub application: String,
    /// What people call it.
    pub title: String,
    /// The version in its folder.
    pub version: Option<String>,
    /// Why it was recognised: the files.
    pub reason: String,
    /// Its folder.
    pub folder: String,
    /// What an update stops, what runs on, what a backup holds, and where visitors come in.
    pub parts: Vec<String>,
}
