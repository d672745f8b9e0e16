//! How the release server misbehaves: a file, read anew for every request.

use std::path::PathBuf;

use anyhow::Result;
use serde::{Deserialize, Serialize};

use crate::place::{self, Place};

/// Everything that can be wrong with a release server.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Faults {
    /// A download goes silent after this many bytes and keeps its connection.
    pub stall_download: Option<u64>,
    /// A download is cut off in the middle.
    pub truncate: bool,
    /// A download is complete by its own `Content-Length`, which is not the size that was announced.
    pub wrong_length: Option<WrongLength>,
    /// A byte in the middle of a download is another one.
    pub corrupt_asset: bool,
    /// `SHA256SUMS` and the API announce another digest.
    pub wrong_checksum: bool,
    /// Only so many downloads are spoilt, then they are good.
    pub times: Option<u64>,
    /// The API refuses with 403 or 429.
    pub rate_limit: Option<u16>,
    /// With a rate limit: seconds to wait. Without, a 403 names only the time of reset.
    pub retry_after: Option<u64>,
    /// Everything answers with this status.
    pub status: Option<u16>,
    /// Every answer is held back for this many milliseconds.
    pub slow: Option<u64>,
    /// Everything published is a draft.
    pub drafts_only: bool,
    /// There is no release.
    pub no_releases: bool,
    /// Every tag is something that is no version.
    pub odd_tags: bool,
    /// Release notes that harm a page which shows them as they are.
    pub hostile_notes: bool,
}

/// How a download's length differs from what was announced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum WrongLength {
    /// Half of it.
    Short,
    /// A kilobyte more.
    Long,
}

impl Faults {
    /// What the server does now.
    ///
    /// # Errors
    /// The file cannot be understood.
    pub fn read(place: &Place) -> Result<Self> {
        let path = file(place);
        if path.is_file() { place::read_json(&path) } else { Ok(Self::default()) }
    }

    /// What the server does from now on.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn write(&self, place: &Place) -> Result<()> {
        place::write_private(&file(place), &serde_json::to_vec_pretty(self)?)
    }
}

fn file(place: &Place) -> PathBuf {
    place.releases().join("faults.json")
}
