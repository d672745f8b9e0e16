//! Home, the rail and the tray.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{BackupView, LeavingLine, UpgradeKind, UpgradeView};
use crate::view::{ErrorView, LockView, PlannedUpdate, ProbeView, UpdateOffer};

/// Everything that Home, the rail and the tray need.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub struct AppView {
    /// Version of Liftlock.
    pub version: String,
    /// Its home.
    pub home: String,
    /// Why Liftlock itself cannot work: its data is of a newer one, its home cannot be written, a part is missing.
    pub problem: Option<ErrorView>,
    /// Whether the desktop has a tray to close into.
    pub has_tray: bool,
    /// What was chosen about the window.
    pub preferences: Preferences,
    /// The administrator lock.
    pub lock: LockView,
    /// The disk with the backups, where it is getting full.
    pub disk: Option<DiskView>,
    /// Every application, by name.
    pub installations: Vec<InstallationCard>,
}

/// A disk that is getting full.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub struct DiskView {
    /// Bytes that are left.
    #[cfg_attr(feature = "bindings", ts(type = "number"))]
    pub free: u64,
    /// Bytes that the next backup takes, as far as the ones before tell.
    #[cfg_attr(feature = "bindings", ts(type = "number | null"))]
    pub need: Option<u64>,
    /// Whether nothing can be begun any more.
    pub is_full: bool,
}

/// What was chosen about the window.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub struct Preferences {
    /// `system`, `light` or `dark`.
    #[cfg_attr(feature = "bindings", ts(type = "'system' | 'light' | 'dark'"))]
    pub theme: String,
    /// `system` or `more`.
    #[cfg_attr(feature = "bindings", ts(type = "'system' | 'more'"))]
    pub contrast: String,
    /// Size of the text in percent, 80–200.
    pub text_percent: u16,
    /// The language of the texts, as a tag.
    pub language: String,
    /// Whether Liftlock starts with the session.
    pub autostart: bool,
    /// Whether it was said once that closing the window leaves Liftlock in the tray.
    pub first_close_explained: bool,
}

/// One application.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub struct InstallationCard {
    /// Its name, which every command takes.
    pub name: String,
    /// What people call it.
    pub title: String,
    /// What kind of application it is.
    pub application: String,
    /// Its folder.
    pub folder: String,
    /// Where people open it.
    pub url: Option<String>,
    /// The version last observed to run.
    pub version: Option<String>,
    /// Since when it is looked after.
    pub added_at: DateTime<Utc>,
    /// How it is.
    pub health: HealthView,
    /// The newest proven backup, else the newest.
    pub last_backup: Option<BackupView>,
    /// The newest backups, five at most.
    pub newest_backups: Vec<BackupView>,
    /// What is offered.
    pub update: Option<UpdateOffer>,
    /// How the search for releases stands.
    pub releases: ReleasesView,
    /// The upgrade that runs, or whose end nobody has acknowledged.
    pub upgrade: Option<UpgradeView>,
    /// The update that is set for a time.
    pub scheduled: Option<ScheduledView>,
    /// One that was set for a time and not begun.
    pub missed: Option<MissedView>,
    /// The update that comes by itself, where a person allowed that.
    pub by_itself: Option<PlannedUpdate>,
    /// Why the last one that was due by itself was put off.
    pub put_off: Option<String>,
    /// Leaving for a version that begins empty, where that is under way.
    pub leaving: Option<LeavingLine>,
    /// The installation that took its place, where this one is set aside.
    pub set_aside_for: Option<String>,
    /// A result that no window has shown yet.
    pub unseen: Option<OutcomeLine>,
    /// Originals that updates kept.
    pub originals: Vec<OriginalView>,
}

/// An update that is set for a time.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub struct ScheduledView {
    /// The version.
    pub to: String,
    /// When it begins.
    pub at: DateTime<Utc>,
}

/// An update that was set for a time and not begun.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub struct MissedView {
    /// The version.
    pub to: String,
    /// When it was to begin.
    pub at: DateTime<Utc>,
    /// Why it was not.
    pub problem: ErrorView,
}

/// How an application is.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub struct HealthView {
    /// In a word.
    pub state: HealthState,
    /// When it was asked.
    pub checked_at: Option<DateTime<Utc>>,
    /// Every check.
    pub probes: Vec<ProbeView>,
}

/// How an application is, in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum HealthState {
    /// Nobody has asked yet.
    Unknown,
    /// Every required check is up.
    Well,
    /// None of them is.
    NotAnswering,
    /// One of them is down.
    NotWell,
}

/// How the search for releases stands.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub struct ReleasesView {
    /// When the server last answered.
    pub checked_at: Option<DateTime<Utc>>,
    /// When it is asked next.
    pub next_check_at: Option<DateTime<Utc>>,
    /// Why the last question brought no answer.
    pub problem: Option<ErrorView>,
    /// Whether somebody has to mend that: a key that is missing does not come back by itself, as a connection does.
    pub needs_someone: bool,
}

/// Something that an update kept.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub struct OriginalView {
    /// The database, folder or file.
    pub what: String,
    /// The version that it belongs to, where known.
    pub version: Option<String>,
    /// `original`, `failed_copy` or `final_dump`.
    #[cfg_attr(feature = "bindings", ts(type = "'original' | 'failed_copy' | 'final_dump'"))]
    pub kept: String,
    /// Its size in bytes, where known.
    #[cfg_attr(feature = "bindings", ts(type = "number | null"))]
    pub bytes: Option<u64>,
    /// Since when.
    pub kept_since: DateTime<Utc>,
}

/// How an upgrade ended, in a line.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub struct OutcomeLine {
    /// Which upgrade.
    pub upgrade_id: String,
    /// What it was about; nothing in lines of the history, which do not tell.
    pub kind: Option<UpgradeKind>,
    /// How it ended, in the words of the history.
    #[cfg_attr(feature = "bindings", ts(as = "crate::state::upgrades::Outcome"))]
    pub result: String,
    /// The version before.
    pub from: Option<String>,
    /// The version asked for.
    pub to: String,
    /// When.
    pub finished_at: Option<DateTime<Utc>>,
}
