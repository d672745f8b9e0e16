//! What callers see of backups.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::backups::{Kept, Rule};
use crate::model::finding::Finding;
use crate::model::ids::InstallationName;
use crate::stores::foreign::FileFound;
use crate::view::ErrorView;

/// A backup in a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BackupView {
    /// What it is called in commands: the name of its folder.
    pub id: String,
    /// Its folder.
    pub path: String,
    /// Whose.
    pub installation: InstallationName,
    /// `manual`, `pre_update` or `scheduled`.
    pub kind: String,
    /// `taken`, `readable`, `proven` or `failed`.
    pub grade: String,
    /// Why its last test failed.
    pub reason: Option<String>,
    /// Version of the application that made the data.
    pub version: Option<String>,
    /// Bytes on disk.
    pub bytes: u64,
    /// What a person wrote about it.
    pub note: String,
    /// When it was made.
    pub made_at: DateTime<Utc>,
    /// When it was last restored as a test.
    pub proven_at: Option<DateTime<Utc>>,
    /// Whether it is kept until a person says otherwise.
    pub pinned: bool,
}

/// What the keeping rule says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PruneView {
    /// How many are kept, of each kind.
    pub rule: Rule,
    /// Whether what goes is gone; false where it was only asked.
    pub removed: bool,
    /// Bytes that are, or would be, free again.
    pub bytes_freed: u64,
    /// What goes, newest first.
    pub goes: Vec<BackupView>,
    /// What stays, with the reason, newest first.
    pub stays: Vec<KeptBackup>,
    /// What could not be removed, and what is worth knowing.
    pub findings: Vec<Finding>,
}

/// A backup that stays.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct KeptBackup {
    /// Which.
    pub backup: BackupView,
    /// Why.
    pub why: Kept,
}

/// What an installation holds now beside what a backup holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CompareView {
    /// The backup.
    pub backup: BackupView,
    /// The version that runs now.
    pub version_now: Option<String>,
    /// Every table and folder, in the order of their names.
    pub rows: Vec<ComparedRows>,
    /// What going back would lose, in sentences, most important first.
    pub loses: Vec<String>,
}

/// A table or folder now and then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ComparedRows {
    /// The store that it is in.
    pub store: String,
    /// Its name.
    pub table: String,
    /// Rows, or files, now; `null` where there is none or it cannot be counted.
    pub now: Option<u64>,
    /// Rows, or files, in the backup; `null` where it was not there.
    pub then: Option<u64>,
}

/// When an installation is backed up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ScheduleView {
    /// Whose.
    pub installation: InstallationName,
    /// As a person wrote it.
    pub when: String,
    /// When the next one is made; a time that has passed is being caught up.
    pub next_at: Option<DateTime<Utc>>,
    /// When the last one was tried.
    pub tried_at: Option<DateTime<Utc>>,
    /// Why the last one was not made.
    pub problem: Option<String>,
}

/// What wakes Liftlock for scheduled backups.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TimerView {
    /// `systemd`, `launchd`, `task_scheduler`; `tray` where only the tray process looks; `none` where nothing is scheduled.
    pub by: String,
    /// Why it is the tray.
    pub why: Option<String>,
    /// Files that were put in place for it.
    pub files: Vec<String>,
}

/// What became of a backup that was due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DueOutcome {
    /// It was made and proven.
    Made,
    /// Somebody works on the installation; it is made afterwards.
    Waits,
    /// It did not work.
    Failed,
    /// None was due; an old one was restored as a test, with success.
    ProvenAgain,
    /// None was due; the newest one was copied to the other disk, which was not there when it was made.
    Copied,
}

/// One installation of a run of scheduled backups.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DueView {
    /// Whose.
    pub installation: InstallationName,
    /// What became of it.
    pub outcome: DueOutcome,
    /// The backup that was made or tested.
    pub backup: Option<BackupView>,
    /// How many the keeping rule, or that of copies, removed.
    pub removed: usize,
    /// Why it waits or failed.
    pub error: Option<ErrorView>,
}

/// How backups are encrypted.
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EncryptionView {
    /// Whether those that are made from now on are encrypted.
    pub encrypted: bool,
    /// With a passphrase.
    pub passphrase: bool,
    /// Or to these recipients of age.
    pub recipients: Vec<String>,
    /// Where the passphrase or the secret key is kept; never the key itself.
    pub key_from: Option<String>,
    /// Whether they were encrypted before, and can be again with the key that is known.
    pub again: bool,
}

/// A copy of a backup that lies in a place for copies.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LyingView {
    /// Its id, by which `backup fetch` brings it back.
    pub id: String,
    /// Whose data.
    pub installation: InstallationName,
    /// Where it lies.
    pub path: String,
    /// Whether the backup is on this computer, too.
    pub here: bool,
    /// `taken`, `readable`, `proven` or `failed`, when it was copied.
    pub grade: String,
    /// The version that the data belongs to, where it could be asked.
    pub version: Option<String>,
    /// Size of its dumps.
    pub bytes: u64,
    /// What a person wrote about it.
    pub note: String,
    /// When it was made.
    pub made_at: DateTime<Utc>,
}

/// A backup that was copied.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CopyView {
    /// Which.
    pub backup: BackupView,
    /// Where the copy is.
    pub path: String,
    /// Bytes that were written now.
    pub bytes_written: u64,
    /// Bytes that were there already.
    pub bytes_there_before: u64,
    /// Older copies that went.
    pub removed: Vec<String>,
}

/// A file of another machine, as it would come into an installation.
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FileView {
    /// Whose it would be.
    #[cfg_attr(feature = "bindings", ts(type = "string"))]
    pub installation: InstallationName,
    /// Where it is.
    pub path: String,
    /// The store that it is taken for.
    pub store: String,
    /// What is in it.
    #[serde(flatten)]
    pub found: FileFound,
    /// What is worth knowing before it is brought in.
    #[cfg_attr(
        feature = "bindings",
        ts(type = "Array<{ class: string, severity: Severity, message: string, remedy: string }>")
    )]
    pub findings: Vec<Finding>,
    /// Whether nothing of that stands in the way.
    pub fits: bool,
    /// The word that has to be typed, where the file is a program.
    pub word: Option<String>,
}

/// The tables of a backup.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BackupTablesView {
    /// Which.
    pub backup: BackupView,
    /// Every table of its databases.
    pub tables: Vec<BackupTable>,
}

/// A table in a backup.
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BackupTable {
    /// The store that it is in.
    pub store: String,
    /// Its name.
    pub table: String,
    /// Its rows.
    #[cfg_attr(feature = "bindings", ts(type = "number"))]
    pub rows: u64,
}
