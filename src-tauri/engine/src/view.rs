//! What callers see, as JSON: the shapes that the command line prints, the window mirrors and the TypeScript
//! types are made from. Absent on purpose: anything that a caller would have to work out.

mod discovery;
mod exports;
mod found;
mod fresh;
mod imports;
mod lock;
mod moved;
mod unattended;
pub mod window;

mod backups;

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::Error;
pub use crate::model::finding::{ChangedLine, Finding, Severity};
use crate::model::ids::{InstallationName, UpgradeId};
use crate::model::release::Trust;
use crate::model::state::{Stage, State};
use crate::secrets::masked_error;
use crate::state::lease::Holder;
use crate::state::upgrades::Upgrade;
pub use backups::{
    BackupTable, BackupTablesView, BackupView, CompareView, ComparedRows, CopyView, DueOutcome, DueView,
    EncryptionView, FileView, KeptBackup, LyingView, PruneView, ScheduleView, TimerView,
};
pub use discovery::*;
pub use exports::*;
pub use found::{FindView, FoundView};
pub use fresh::*;
pub use imports::*;
pub use lock::LockView;
pub use moved::*;
pub use unattended::*;

/// An error as every face shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub struct ErrorView {
    /// Stable name, for programs.
    pub class: String,
    /// The exit code that goes with it.
    pub code: u8,
    /// What happened.
    pub message: String,
    /// What to do next.
    pub remedy: String,
    /// Causes, outermost first.
    pub details: Vec<String>,
}

impl From<&Error> for ErrorView {
    /// What a face shows never holds a secret, whoever said it.
    fn from(error: &Error) -> Self {
        let code = error.exit_code();
        let Error { class, message, remedy, details, .. } = masked_error(error);
        Self { class: class.into_owned(), code, message, remedy, details }
    }
}

impl StatusView {
    /// What updates kept beside it, oldest first.
    pub fn kept(&self) -> &[KeptView] {
        match self {
            Self::Upgrade(it) => &it.kept,
            Self::Idle(it) => &it.kept,
        }
    }
}

/// How an installation stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum StatusView {
    /// An upgrade runs, or its end has not been acknowledged and has not expired.
    Upgrade(Box<UpgradeStatus>),
    /// Nothing runs and nothing waits to be known.
    Idle(IdleStatus),
}

/// Nothing runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct IdleStatus {
    /// Always `idle`.
    pub state: IdleState,
    /// Always `idle`.
    pub stage: Stage,
    /// Whose status this is.
    pub installation: InstallationName,
    /// Always false.
    pub active: bool,
    /// The version last observed to run.
    pub version: Option<String>,
    /// The newest upgrade, which the history still knows.
    pub last_upgrade_id: Option<UpgradeId>,
    /// What updates kept beside it, oldest first.
    pub kept: Vec<KeptView>,
}

/// The one state of an installation that has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum IdleState {
    /// Nothing runs.
    Idle,
}

/// Where an upgrade stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct UpgradeStatus {
    /// Which upgrade.
    pub upgrade_id: UpgradeId,
    /// Whose.
    pub installation: InstallationName,
    /// Where it stands.
    pub state: State,
    /// The coarse view.
    pub stage: Stage,
    /// Whether a process works on it now.
    pub active: bool,
    /// It has not ended and nobody works on it: `liftlock resume` goes on.
    pub interrupted: bool,
    /// Who works on it.
    pub holder: Option<Holder>,
    /// The version at the start.
    pub from: Option<String>,
    /// The version asked for.
    pub to: String,
    /// The last phase forward.
    pub phase: Option<String>,
    /// The step at work.
    pub step: Option<String>,
    /// Percent, 0–100. Never falls.
    pub progress: u8,
    /// One plain sentence.
    pub message: String,
    /// When a worker began.
    pub started_at: Option<DateTime<Utc>>,
    /// When it ended.
    pub finished_at: Option<DateTime<Utc>>,
    /// When a person said that they know.
    pub acknowledged_at: Option<DateTime<Utc>>,
    /// When a completed upgrade stops being the current status by itself.
    pub expires_at: Option<DateTime<Utc>>,
    /// Seconds for which users were kept out; grows while they are.
    pub away_seconds: Option<f64>,
    /// Rises with every change.
    pub seq: i64,
    /// How it ended, in the words of the history.
    pub result: Option<String>,
    /// Why it did not go on.
    pub error: Option<ErrorView>,
    /// Folder of its backup.
    pub backup: Option<String>,
    /// The receipt, once it has ended.
    pub receipt: Option<ReceiptPaths>,
    /// What updates kept beside the installation, oldest first.
    pub kept: Vec<KeptView>,
}

/// What an update kept beside an installation, until enough healthy days have passed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct KeptView {
    /// The update that kept it.
    pub upgrade_id: UpgradeId,
    /// Name of the store.
    pub store: String,
    /// `original`, `failed_copy` or `final_dump`.
    pub kept: String,
    /// Where it is: a database name or a path.
    pub place: String,
    /// Its size in bytes, where known.
    pub bytes: Option<u64>,
    /// Since when.
    pub kept_since: DateTime<Utc>,
    /// Days since then that are over and on which the application was seen to be well each time.
    pub healthy_days: u64,
    /// After so many of them it is removed.
    pub removed_after_days: u64,
}

/// Where a receipt is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReceiptPaths {
    /// For programs.
    pub json: String,
    /// For people; prints on one page.
    pub html: String,
}

impl UpgradeStatus {
    /// The view of a row, with what only its reader can know: whether someone works on it, and when it expires.
    pub fn of(upgrade: &Upgrade, active: bool, expires_at: Option<DateTime<Utc>>, now: DateTime<Utc>) -> Self {
        let away = upgrade.away_from.map(|from| {
            let until = upgrade.away_to.unwrap_or(if upgrade.state.is_final() {
                upgrade.finished_at.unwrap_or(now)
            } else {
                now
            });
            ((until - from).as_seconds_f64().max(0.0) * 1000.0).round() / 1000.0
        });
        Self {
            upgrade_id: upgrade.id,
            installation: upgrade.installation.clone(),
            state: upgrade.state,
            stage: upgrade.state.stage(),
            active,
            interrupted: !active && !upgrade.state.is_final() && upgrade.started_at.is_some(),
            holder: upgrade.holder.clone().filter(|_| active),
            from: upgrade.from.clone(),
            to: upgrade.to.clone(),
            phase: upgrade.phase.clone(),
            step: upgrade.step.clone(),
            progress: upgrade.progress,
            message: upgrade.message.clone(),
            started_at: upgrade.started_at,
            finished_at: upgrade.finished_at,
            acknowledged_at: upgrade.acknowledged_at,
            expires_at,
            away_seconds: away,
            seq: upgrade.seq,
            result: upgrade.result.clone(),
            error: upgrade.error.as_ref().map(ErrorView::from),
            backup: upgrade.backup.clone(),
            receipt: upgrade.receipt.as_ref().map(|json| ReceiptPaths {
                json: json.clone(),
                html: std::path::Path::new(json).with_extension("html").display().to_string(),
            }),
            kept: Vec::new(),
        }
    }

    /// The exit code that tells how it ended; 0 while it has not.
    pub fn exit_code(&self) -> u8 {
        match self.state {
            State::RolledBack => 4,
            State::NeedsAttention => 5,
            // One that stopped where it was asked to, after its rehearsal, has no error.
            State::Failed => self.error.as_ref().map_or(0, |it| it.code),
            _ => 0,
        }
    }
}

/// One installation in a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct InstallationView {
    /// Its name.
    pub name: InstallationName,
    /// Name of the application for people.
    pub application: String,
    /// Its folder.
    pub folder: String,
    /// The version last observed to run.
    pub version: Option<String>,
    /// When it was added.
    pub added_at: DateTime<Utc>,
    /// How it stands.
    pub status: StatusView,
    /// The one that it was set aside for, where it was: it is stopped and kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub set_aside_for: Option<InstallationName>,
}

/// How one probe answered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub struct ProbeView {
    /// Its name in the profile.
    pub name: String,
    /// Whether the installation counts as unhealthy without it.
    pub required: bool,
    /// Whether it is up.
    pub up: bool,
    /// How long the answer took, in milliseconds.
    #[cfg_attr(feature = "bindings", ts(type = "number"))]
    pub latency_ms: u64,
    /// Why it is down.
    pub error: Option<ErrorView>,
}

/// The health of an installation, asked now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CheckView {
    /// Whose.
    pub installation: InstallationName,
    /// Whether every required probe is up.
    pub healthy: bool,
    /// What it says its version is.
    pub version: Option<String>,
    /// Every probe of the profile.
    pub probes: Vec<ProbeView>,
}

/// One step of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PlannedStep {
    /// Phase.
    pub phase: State,
    /// Name of the step.
    pub step: String,
    /// The component or store that it is about.
    pub about: Option<String>,
    /// What it does, in one sentence.
    pub does: String,
}

/// What an upgrade would do, worked out without touching anything.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PlanView {
    /// Whose.
    pub installation: InstallationName,
    /// What runs.
    pub from: Option<String>,
    /// Where it would go.
    pub to: Option<String>,
    /// Whether nothing stops it.
    pub possible: bool,
    /// Whether a rehearsal on a copy of the data is possible.
    pub rehearsal: bool,
    /// How the stores are changed: `copy` or `in_place`.
    pub way: String,
    /// What vouches for the release; `None` where there is none to vouch for.
    pub trust: Option<Trust>,
    /// The release as pinned.
    pub asset: Option<String>,
    /// Its SHA-256.
    pub sha256: Option<String>,
    /// The stops on the way.
    pub path: Vec<String>,
    /// Settings that the new version needs and that are not there yet, where that is known. It does not begin before
    /// something was said of each.
    pub asked: Vec<AskedSettingView>,
    /// Lines of your settings that are changed.
    pub lines: Vec<ChangedLine>,
    /// Everything found, stops first.
    pub findings: Vec<Finding>,
    /// The steps in order.
    pub steps: Vec<PlannedStep>,
    /// The release notes.
    pub notes: String,
}

/// A setting that a new version needs and that is not there yet.
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AskedSettingView {
    /// The file in which it will stand.
    pub file: String,
    /// Its name in the file.
    pub key: String,
    /// What people call it, where the profile says so.
    pub name: Option<String>,
    /// Why it is needed.
    pub why: Option<String>,
    /// What it may be.
    pub default: Option<String>,
    /// Whether Liftlock can make it up.
    pub can_generate: bool,
    /// Whether it is hidden.
    pub secret: bool,
    /// Whether something was said.
    pub answered: bool,
    /// What was said, where it is no secret.
    pub value: Option<String>,
}

/// A line of the history.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct HistoryView {
    /// Path of the chained file.
    pub file: String,
    /// Outcomes, newest first.
    pub outcomes: Vec<serde_json::Value>,
}

/// Whether the chained history is as it was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HistoryCheck {
    /// Whether no line was changed, added or taken out.
    pub intact: bool,
    /// Lines read.
    pub lines: u64,
    /// The first line that is not as it was written, from 1.
    pub broken_line: Option<u64>,
    /// Why.
    pub why: Option<String>,
}

/// One setting.
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SettingView {
    /// Its name.
    pub key: String,
    /// What holds.
    pub value: String,
    /// What holds where nothing is chosen.
    pub default: String,
    /// What it does.
    pub about: String,
}

/// What a resume did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ResumeView {
    /// Upgrades that a worker goes on with now.
    pub resumed: Vec<UpgradeId>,
    /// Upgrades that someone already works on.
    pub running: Vec<UpgradeId>,
    /// What was removed because it had been kept for long enough.
    pub removed: Vec<KeptView>,
}

/// The state of Liftlock itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DoctorView {
    /// Version of Liftlock.
    pub version: String,
    /// Its home.
    pub home: String,
    /// Everything found, stops first; empty where all is well.
    pub findings: Vec<Finding>,
}
