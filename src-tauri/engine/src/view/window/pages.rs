//! Backups, history and help.

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::OutcomeLine;
use crate::model::finding::{self, Severity};

/// A backup in a list.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub struct BackupView {
    /// What every command takes: the name of its folder.
    pub id: String,
    /// Whose.
    pub installation: String,
    /// What people call the application.
    pub title: String,
    /// `manual`, `pre_update` or `scheduled`.
    #[cfg_attr(feature = "bindings", ts(as = "crate::backups::BackupKind"))]
    pub kind: String,
    /// `taken`, `readable`, `proven` or `failed`.
    #[cfg_attr(feature = "bindings", ts(type = "Grade | 'failed'"))]
    pub grade: String,
    /// Why its last test failed.
    pub reason: Option<String>,
    /// The version that made the data.
    pub version: Option<String>,
    /// Its size.
    #[cfg_attr(feature = "bindings", ts(type = "number"))]
    pub bytes: u64,
    /// What a person wrote about it.
    pub note: String,
    /// When it was made.
    pub made_at: DateTime<Utc>,
    /// When it was last restored as a test.
    pub proven_at: Option<DateTime<Utc>>,
    /// Its folder.
    pub path: String,
    /// Whether it is never removed by rule.
    pub pinned: bool,
    /// Whether a copy of it lies in another place; nothing where none was chosen, or where that cannot be told now.
    pub copied: Option<bool>,
}

/// What an installation holds beside what a backup holds.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub struct CompareView {
    /// The backup.
    pub backup: BackupView,
    /// What runs now.
    pub version_now: Option<String>,
    /// A line a table, those that differ first.
    pub rows: Vec<TableRows>,
    /// What would be lost, in sentences.
    pub loses: Vec<String>,
}

/// Rows of one table.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub struct TableRows {
    /// Its name, or that of a folder.
    pub table: String,
    /// Now; nothing where it could not be counted.
    #[cfg_attr(feature = "bindings", ts(type = "number | null"))]
    pub now: Option<u64>,
    /// In the backup.
    #[cfg_attr(feature = "bindings", ts(type = "number | null"))]
    pub then: Option<u64>,
}

/// A line of the history.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub struct HistoryLine {
    /// How it ended.
    #[serde(flatten)]
    pub outcome: OutcomeLine,
    /// Whose.
    pub installation: String,
    /// What people call the application.
    pub title: String,
    /// How long it took.
    pub elapsed_seconds: Option<f64>,
    /// What happened, in a sentence.
    pub message: String,
    /// Stable name of what went wrong.
    pub error_class: Option<String>,
}

/// The history.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub struct HistoryView {
    /// The file that holds it.
    pub file: String,
    /// Newest first.
    pub lines: Vec<HistoryLine>,
    /// Whether the file is as it was written.
    pub intact: bool,
    /// The first line that is not.
    #[cfg_attr(feature = "bindings", ts(type = "number | null"))]
    pub broken_line: Option<u64>,
}

/// Something found, with what to do about it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub struct Finding {
    /// Stable name.
    pub class: String,
    /// How grave.
    pub severity: Severity,
    /// What was found.
    pub message: String,
    /// What to do.
    pub remedy: String,
    /// Name of the act that mends it, where there is one.
    pub fix: Option<String>,
    /// Causes, folded away.
    pub details: Vec<String>,
}

impl From<&finding::Finding> for Finding {
    fn from(finding: &finding::Finding) -> Self {
        Self {
            class: finding.class.clone(),
            severity: finding.severity,
            message: finding.message.clone(),
            remedy: finding.remedy.clone(),
            fix: None,
            details: Vec::new(),
        }
    }
}

/// What was found about Liftlock itself.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub struct DiagnosticsView {
    /// When it was looked.
    pub checked_at: DateTime<Utc>,
    /// Stops first.
    pub findings: Vec<Finding>,
    /// What a report would hold.
    pub report: Vec<ReportFile>,
}

/// A file of a report, shown before it is saved.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub struct ReportFile {
    /// Its name.
    pub name: String,
    /// Its size.
    #[cfg_attr(feature = "bindings", ts(type = "number"))]
    pub bytes: u64,
    /// Its text.
    pub preview: String,
}

/// Something at work on backups, in this program.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub struct BackupJob {
    /// Which.
    pub id: String,
    /// What is done.
    pub act: JobAct,
    /// Whose.
    pub installation: String,
    /// What it is about: the id of a backup, a table, the name of a file; nothing where that is the application itself.
    pub about: Option<String>,
    /// Percent.
    pub progress: u8,
    /// What happens, in one sentence.
    pub message: String,
    /// How fast, in words, where that can be measured.
    pub rate: Option<String>,
    /// How many seconds are left, where that can be told.
    pub seconds_left: Option<f64>,
    /// Whether it is over.
    pub ended: bool,
    /// What was made.
    pub done: Option<BackupView>,
    /// Why nothing was.
    pub error: Option<crate::view::ErrorView>,
}

/// What can be at work on backups.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum JobAct {
    /// Making a backup and proving it.
    BackUp,
    /// Restoring one on the side, to prove it.
    Prove,
    /// Copying one to another place.
    Copy,
    /// Looking into a file of another machine.
    Inspect,
    /// Making a backup of such a file and proving it.
    Adopt,
    /// Restoring a table beside, to look at.
    LookAt,
}
