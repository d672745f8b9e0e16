//! The page of an upgrade: how far it is, and how it ended.

use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::model::release::Trust;
use crate::model::state::State;
use crate::view::ErrorView;

/// Everything about one upgrade.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub struct UpgradeView {
    /// Which.
    pub upgrade_id: String,
    /// Whose.
    pub installation: String,
    /// What people call the application.
    pub title: String,
    /// What it is about.
    pub kind: UpgradeKind,
    /// Where it stands.
    pub state: State,
    /// Whether somebody works on it.
    pub active: bool,
    /// It has not ended, and nobody works on it.
    pub interrupted: bool,
    /// The version before.
    pub from: Option<String>,
    /// The version asked for.
    pub to: String,
    /// Why it was interrupted, in a sentence, where that was seen.
    pub interrupted_because: Option<String>,
    /// Who works on it.
    pub holder: Option<HolderView>,
    /// Percent of the way forward; never falls.
    pub progress: u8,
    /// What happens, in one sentence.
    pub message: String,
    /// The eight phases, always all of them.
    pub phases: Vec<PhaseView>,
    /// The steps of the way back; empty as long as it goes forward.
    pub steps_back: Vec<StepBack>,
    /// Whether people can use the application now.
    pub people_can_use: bool,
    /// Since when they cannot.
    pub away_since: Option<DateTime<Utc>>,
    /// For how many seconds they could not.
    pub away_seconds: Option<f64>,
    /// How fast it moves, in words, where that can be measured.
    pub rate: Option<String>,
    /// How many seconds are left, where that can be told.
    pub seconds_left: Option<f64>,
    /// It takes longer than others, and still moves.
    pub slow: Option<SlowView>,
    /// What a person may ask for now.
    pub way_out: WayOut,
    /// What a person is asked, where the rehearsal took much longer than was said.
    pub question: Option<Question>,
    /// What was observed of the data.
    pub data: DataState,
    /// When a worker began.
    pub started_at: Option<DateTime<Utc>>,
    /// When it ended.
    pub finished_at: Option<DateTime<Utc>>,
    /// When a person said that they know.
    pub acknowledged_at: Option<DateTime<Utc>>,
    /// When it stops being the current status by itself.
    pub expires_at: Option<DateTime<Utc>>,
    /// Rises with every change; as text, because it may pass what a number of the window can hold.
    pub seq: String,
    /// How it ended, in the words of the history.
    pub result: Option<String>,
    /// Why it did not go on.
    pub error: Option<ErrorView>,
    /// What a person has to enter where Liftlock could not bring it back, a command each.
    pub commands: Vec<String>,
    /// Whether the original was looked at and found whole; only where a person is needed.
    pub original_is_whole: Option<bool>,
    /// Where the original is; only where a person is needed.
    pub original_place: Option<String>,
    /// The report.
    pub receipt: Option<ReceiptView>,
}

/// What an upgrade is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum UpgradeKind {
    /// To another release.
    Upgrade,
    /// To a backup.
    Restore,
    /// As far as the rehearsal.
    Rehearsal,
    /// To another server of the database, with the same release.
    Move,
}

/// Who works.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub struct HolderView {
    /// The user.
    pub user: String,
    /// The computer.
    pub host: String,
    /// The process.
    pub pid: u32,
    /// Since when.
    pub started_at: DateTime<Utc>,
}

/// One of the eight phases.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub struct PhaseView {
    /// Which.
    pub phase: State,
    /// How it stands.
    pub state: PhaseState,
    /// What came out of it.
    pub outcome: Option<PhaseOutcome>,
    /// For how many seconds its steps worked.
    pub seconds: Option<f64>,
}

/// What came out of a phase.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub struct PhaseOutcome {
    /// In a word.
    pub word: PhaseWord,
    /// How large it is, where that is known.
    #[cfg_attr(feature = "bindings", ts(type = "number | null"))]
    pub bytes: Option<u64>,
}

/// What came out of a phase, in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum PhaseWord {
    /// Everything is ready.
    Ready,
    /// The backup was restored once.
    Proven,
    /// What was fetched arrived whole.
    Checked,
    /// The rehearsal passed.
    Passed,
    /// There could be none.
    LeftOut,
}

/// How a phase stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum PhaseState {
    /// Over.
    Done,
    /// At work.
    Now,
    /// To come.
    ToCome,
    /// Not reached.
    Skipped,
    /// What was looked for in it did not hold, or its work did not succeed.
    Failed,
    /// A person stopped it here.
    Stopped,
}

/// A step of the way back.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub struct StepBack {
    /// Its name.
    pub name: String,
    /// What it does.
    pub sentence: String,
    /// How it stands.
    pub state: StepState,
}

/// How a step of the way back stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum StepState {
    /// Over.
    Done,
    /// At work.
    Now,
    /// Not reached.
    ToCome,
}

/// It takes longer than others, and still moves.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub struct SlowView {
    /// What moved last.
    pub sign: String,
    /// How many seconds ago.
    pub seconds: f64,
}

/// What a person may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum WayOut {
    /// It stops, and nothing was changed.
    Cancel,
    /// It stops, and the version before comes back.
    BringBack,
    /// Nothing: it goes back already, is over, or cannot be interrupted.
    None,
}

/// What a person is asked before the application is stopped.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub struct Question {
    /// Always `longer`: the rehearsal measured more than twice of what was confirmed.
    #[cfg_attr(feature = "bindings", ts(type = "'longer'"))]
    pub kind: String,
    /// Seconds that it measured.
    pub measured_seconds: f64,
    /// Seconds that were confirmed.
    pub confirmed_seconds: f64,
    /// Without an answer it is cancelled then.
    pub until: DateTime<Utc>,
}

/// What was observed of the data. Nothing is claimed that was not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum DataState {
    /// Nothing has touched it.
    Untouched,
    /// The new version runs with all of it.
    New,
    /// It is as it was before.
    Restored,
    /// It could not be looked at.
    Unknown,
}

/// The report at the end. What was not measured is not there.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub struct ReceiptView {
    /// What happened and how the data stands, in a sentence.
    pub sentence: String,
    /// Its backup.
    pub backup: Option<BackupOfReceipt>,
    /// Rows before anything was touched.
    #[cfg_attr(feature = "bindings", ts(type = "number | null"))]
    pub rows_before: Option<u64>,
    /// Rows before the new version started, or after going back.
    #[cfg_attr(feature = "bindings", ts(type = "number | null"))]
    pub rows_after: Option<u64>,
    /// Rows that the release removed as announced or accepted.
    #[cfg_attr(feature = "bindings", ts(type = "number | null"))]
    pub rows_removed: Option<u64>,
    /// For how many seconds people could not use the application.
    pub away_seconds: Option<f64>,
    /// The phase that took longest.
    pub longest: Option<LongestPhase>,
    /// What is kept for the way back.
    pub way_back: Option<WayBack>,
    /// What vouched for the release.
    pub trust: Option<Trust>,
    /// Every step.
    pub steps: Vec<StepOfReceipt>,
    /// The report for people, on disk.
    pub html: String,
    /// The report for programs, on disk.
    pub json: String,
}

/// The backup of an upgrade.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub struct BackupOfReceipt {
    /// How far it is trusted.
    pub grade: String,
    /// Its size in bytes.
    #[cfg_attr(feature = "bindings", ts(type = "number"))]
    pub bytes: u64,
    /// How long it took to make and prove.
    pub seconds: Option<f64>,
    /// Its folder.
    pub path: String,
}

/// The phase that took longest.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub struct LongestPhase {
    /// Which.
    pub phase: State,
    /// Its seconds.
    pub seconds: f64,
}

/// What is kept for the way back.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub struct WayBack {
    /// The version that it leads to.
    pub version: String,
    /// Until when it is kept at least, where that is settled.
    pub until: Option<DateTime<Utc>>,
    /// Its size, where known.
    #[cfg_attr(feature = "bindings", ts(type = "number | null"))]
    pub bytes: Option<u64>,
}

/// A step of the report.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub struct StepOfReceipt {
    /// What it did.
    pub sentence: String,
    /// Its seconds, where it came to its end.
    pub seconds: Option<f64>,
}

/// A line of an upgrade's log.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub struct LogLine {
    /// Its number, as text.
    pub seq: String,
    /// When.
    pub at: DateTime<Utc>,
    /// What.
    pub line: String,
}
