//! How the backups of an application are looked after.

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::{BackupView, Finding};

/// When backups are made, what the keeping rule would remove next, and what is wrong with them.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub struct BackupCareView {
    /// Whose.
    pub installation: String,
    /// What people call it.
    pub title: String,
    /// At which times they are made; nothing where only people and updates make them.
    pub schedule: Option<BackupScheduleView>,
    /// Why only the running app wakes backups, where the system's own timer does not.
    pub only_while_running: Option<String>,
    /// How many are kept.
    pub rule: KeepingRule,
    /// What that would remove, newest first.
    pub goes: Vec<BackupView>,
    /// What that would free.
    #[cfg_attr(feature = "bindings", ts(type = "number"))]
    pub bytes_freed: u64,
    /// What is wrong with them.
    pub findings: Vec<Finding>,
}

/// When backups are made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub struct BackupScheduleView {
    /// As a person wrote it.
    pub when: String,
    /// When the next one is made.
    pub next_at: Option<DateTime<Utc>>,
    /// When the last one was tried.
    pub tried_at: Option<DateTime<Utc>>,
    /// Why it was not made.
    pub problem: Option<String>,
}

/// How many backups are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub struct KeepingRule {
    /// The newest ones, of each kind.
    pub newest: usize,
    /// Of so many days the newest one each.
    pub daily: usize,
    /// Of so many weeks.
    pub weekly: usize,
    /// Of so many months.
    pub monthly: usize,
    /// Of so many years.
    pub yearly: usize,
}

/// Where backups are copied to, and how they are encrypted: of all applications.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub struct SafekeepingView {
    /// The folder on another disk.
    pub folder: Option<String>,
    /// The storage of objects.
    pub storage: Option<String>,
    /// How the copies of each application stand.
    pub applications: Vec<SafeApplicationView>,
    /// How backups are encrypted.
    pub encryption: crate::view::EncryptionView,
}

/// How the copies of an application's backups stand.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub struct SafeApplicationView {
    /// Whose.
    pub installation: String,
    /// What people call it.
    pub title: String,
    /// Whether there is a backup that could be copied.
    pub has_backup: bool,
    /// What its copies lack.
    pub behind: Vec<Finding>,
}
