//! One backup, with all that is known of it.

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::{BackupView, Finding};
use crate::backups::Kept;
use crate::stores::foreign::FileTable;
use crate::stores::{Globals, StoreKind};
use crate::view::ErrorView;

/// A backup with what is in it, how it was tested and why it stays.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub struct BackupDetailsView {
    /// Its line.
    pub backup: BackupView,
    /// How long it took, in seconds.
    pub seconds: f64,
    /// Version of the Liftlock that made it.
    pub liftlock: String,
    /// The file that it was made of, where somebody else made that.
    pub file: Option<String>,
    /// What its last test found; nothing where nobody has tried it.
    pub test: Option<BackupTestView>,
    /// What is in it.
    pub parts: Vec<BackupPartView>,
    /// Why the keeping rule does not remove it; nothing where it would, the next time.
    pub kept: Option<Kept>,
    /// Why nobody removes it; nothing where a person may.
    pub held: Option<Kept>,
}

/// How a backup was tested last.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub struct BackupTestView {
    /// When.
    pub at: DateTime<Utc>,
    /// How long it took, in seconds.
    pub seconds: f64,
    /// What was proven of each part, in sentences.
    pub proven: Vec<PartProvenView>,
    /// Why it failed.
    pub failed: Option<ErrorView>,
    /// When it was proven before, where it has failed since.
    pub was_proven_at: Option<DateTime<Utc>>,
}

/// What a test has proven of a part.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub struct PartProvenView {
    /// Which.
    pub store: String,
    /// How, in a sentence.
    pub how: String,
    /// How long that took, in seconds.
    pub seconds: f64,
}

/// A part of a backup.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub struct BackupPartView {
    /// Its name.
    pub store: String,
    /// What it was taken from.
    pub kind: StoreKind,
    /// Its file in the folder of the backup.
    pub file: String,
    /// Size of the file.
    #[cfg_attr(feature = "bindings", ts(type = "number"))]
    pub bytes: u64,
    /// Size of what is in it.
    #[cfg_attr(feature = "bindings", ts(type = "number"))]
    pub raw_bytes: u64,
    /// SHA-256 of the file.
    pub sha256: String,
    /// How long it took, in seconds.
    pub seconds: f64,
    /// Whether it is encrypted.
    pub encrypted: bool,
    /// How a person opens it with standard tools.
    pub note: String,
    /// Version of the server, or of the library, that it was read from.
    pub server_version: Option<String>,
    /// Version of the tool that wrote it.
    pub tool_version: Option<String>,
    /// Its character set.
    pub encoding: Option<String>,
    /// Its extensions with their versions.
    pub extensions: Vec<String>,
    /// Rows of each table, or files of each folder.
    pub tables: Vec<FileTable>,
    /// The roles of the server that were kept beside it.
    pub globals: Option<Globals>,
}

/// Whether a copy of a backup lies in a place.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub struct BackupCopyView {
    /// The place, as people call it.
    pub place: String,
    /// How it stands.
    pub state: CopyState,
    /// What is wrong, and what to do about it.
    pub problem: Option<Finding>,
}

/// How a copy stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum CopyState {
    /// It is there; every byte was read back when it was made.
    There,
    /// There is none.
    Missing,
    /// The place cannot be reached now.
    Away,
    /// It is there, and was not as it was written when it was last read.
    Damaged,
}
