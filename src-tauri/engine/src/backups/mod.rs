//! Backups: one folder each, with a dump of every store and a manifest that says what is in them.
//!
//! A backup gets its name only when all of it is written and on disk; what has no name yet is nobody's backup.
//! How far it is trusted stands beside it, bound to the very manifest it was earned with, and is earned again at any
//! time. `SHA256SUMS` lets anybody check it with standard tools. What lies on disk may have been made or
//! changed by others: nothing is followed out of the folder, and nothing a manifest says is believed before
//! it was compared.

pub mod copies;
mod create;
mod keep;
mod kit;
mod prove;
mod read;
mod schedule;
mod sealed;

use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::model::ids::{InstallationName, UpgradeId};
use crate::state::records::BackupRecord;
use crate::stores::foreign::FileKind;
use crate::stores::{Dumped, Grade, Proof};

pub use create::{Request, adopt, clear_unfinished, create, needs};
pub use keep::{Kept, Rule, Verdict, held, judge, pin, remove, unpin};
pub use prove::{Restored, check, prove, prove_and_keep, read_through};
pub use read::{is_ahead, list, of, open, trust};
pub use schedule::Schedule;
pub use sealed::{Opened, opened};

const MANIFEST: &str = "manifest.json";
const PROOF: &str = "proof.json";
const SUMS: &str = "SHA256SUMS";
/// Beside a backup that a person wants to keep.
const PINNED: &str = "PINNED";

/// The version of the form of a manifest that this Liftlock writes.
const FORMAT: u32 = 1;
/// The same where dumps are encrypted, which an older Liftlock would take for damaged.
const FORMAT_SEALED: u32 = 2;

/// Marks the folder of a backup as made by us, while it is written and afterwards.
const PURPOSE: &str = "backup";

/// What the name of a backup that is not whole yet begins with.
const PARTIAL: &str = ".partial-";

/// Why a backup was made.
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BackupKind {
    /// A person asked for it.
    Manual,
    /// An upgrade begins with it.
    PreUpdate,
    /// Its time had come.
    Scheduled,
}

impl BackupKind {
    /// The name in manifests, in the state and in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Manual => "manual",
            Self::PreUpdate => "pre_update",
            Self::Scheduled => "scheduled",
        }
    }
}

/// What is in a backup.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Manifest {
    /// Version of this form: 1, or 2 where the dumps are encrypted.
    pub format: u32,
    /// Version of the Liftlock that made it.
    pub liftlock: String,
    /// Whose data.
    pub installation: InstallationName,
    /// The application's name for people.
    pub application: String,
    /// The version that the data belongs to, where it could be asked.
    pub version: Option<String>,
    /// Why it was made.
    pub kind: BackupKind,
    /// What a person wrote about it.
    #[serde(default)]
    pub note: String,
    /// When it was begun.
    pub made_at: DateTime<Utc>,
    /// How long it took, in seconds.
    pub seconds: f64,
    /// A dump of every store, in the order in which they were taken.
    pub stores: Vec<Dumped>,
    /// The file that one of them is made of, where somebody else made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
}

impl Manifest {
    /// Size of the dumps in bytes. A manifest of somebody else's may say anything.
    pub fn bytes(&self) -> u64 {
        self.stores.iter().map(|it| it.bytes).fold(0, u64::saturating_add)
    }
}

/// A file of somebody else's that a backup was made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Origin {
    /// What it was called.
    pub file: String,
    /// The store that it was taken for; the others are as they were here.
    pub store: String,
    /// What kind of file it was.
    pub kind: FileKind,
    /// The version of the server that it came from, where it said so.
    pub server_version: Option<String>,
    /// When it was brought in.
    pub brought_in_at: DateTime<Utc>,
}

/// How far a backup is trusted, and since when.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Trust {
    /// The grade.
    pub grade: Grade,
    /// When it was earned, or lost.
    pub at: DateTime<Utc>,
    /// How long earning it took, in seconds.
    pub seconds: f64,
    /// The manifest that it was earned with: a grade does not outlive a change of what it speaks of.
    pub manifest_sha256: String,
    /// What was found for each store.
    pub stores: Vec<Proof>,
    /// Why the last test failed; then it is not to be relied on, whatever its grade.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<Error>,
    /// When a test last succeeded, where the grade has fallen since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub was_proven_at: Option<DateTime<Utc>>,
}

/// A backup on disk.
#[derive(Debug, Clone, PartialEq)]
pub struct Backup {
    /// Its folder.
    pub path: PathBuf,
    /// What is in it.
    pub manifest: Manifest,
    /// SHA-256 of the manifest as it lies on disk.
    pub manifest_sha256: String,
    /// How far it is trusted.
    pub grade: Grade,
    /// When it was last restored as a test, with success.
    pub proven_at: Option<DateTime<Utc>>,
    /// Why the last test failed.
    pub failed: Option<Error>,
    /// When it was proven, where it has failed a test since: a grade that fell.
    pub was_proven_at: Option<DateTime<Utc>>,
    /// Whether a person wants it kept.
    pub pinned: bool,
}

impl Backup {
    /// Size of its dumps in bytes.
    pub fn bytes(&self) -> u64 {
        self.manifest.bytes()
    }

    /// The grade as lists show it: `taken`, `readable`, `proven`, or `failed` where its last test failed.
    pub fn grade_word(&self) -> &'static str {
        if self.failed.is_some() { "failed" } else { self.grade.as_str() }
    }

    /// What it is called: the name of its folder.
    pub fn id(&self) -> String {
        self.path.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// The dump of a store.
    ///
    /// # Errors
    /// `not_in_backup`.
    pub fn dumped(&self, store: &str) -> Result<&Dumped> {
        self.manifest.stores.iter().find(|it| it.store == store).ok_or_else(|| {
            Error::failed("not_in_backup", format!("The backup {} does not hold “{store}”.", self.path.display()))
                .remedy("Use another backup: `liftlock backup list`.")
        })
    }

    fn file(&self, dumped: &Dumped) -> PathBuf {
        self.path.join(&dumped.file)
    }
}

/// Whether an error says that the backup itself is bad, and not merely that it could not be looked at now.
fn speaks_of_the_backup(error: &Error) -> bool {
    error.class.starts_with("backup_") || error.class == "archive_damaged"
}

fn json<T: Serialize>(value: &T) -> Result<Vec<u8>> {
    let mut bytes = serde_json::to_vec_pretty(value)
        .map_err(|cause| Error::bug("manifest", "A backup could not be described.").because(&cause))?;
    bytes.push(b'\n');
    Ok(bytes)
}

fn damaged(path: &Path, why: &str) -> Error {
    Error::failed("backup_damaged", format!("{} is not as it was written: {why}.", path.display()))
        .remedy("Do not rely on this backup. Make a new one: `liftlock backup create`. Check the disk.")
}

impl<'b> BackupRecord<'b> {
    /// What the state keeps of a backup on disk.
    pub(crate) fn of(backup: &'b Backup, upgrade_id: Option<UpgradeId>, path: &'b str) -> Self {
        Self {
            path,
            installation: &backup.manifest.installation,
            upgrade_id,
            kind: backup.manifest.kind.as_str(),
            grade: backup.grade_word(),
            version: backup.manifest.version.as_deref(),
            bytes: backup.bytes(),
            note: &backup.manifest.note,
            made_at: backup.manifest.made_at,
            proven_at: backup.proven_at,
        }
    }
}

#[cfg(test)]
mod tests;
