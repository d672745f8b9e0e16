//! Leaving an old version whose data cannot come along: where that stands, page by page.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::NotesView;
use crate::export::manifest::{BytesForm, FileFormat};
use crate::model::fresh::FreshState;
use crate::view::ErrorView;
use crate::view::PairView;

/// The pages, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum LeavingStep {
    /// What the new version breaks.
    #[default]
    Changes,
    /// What comes along.
    Choose,
    /// In which files.
    Format,
    /// They are written.
    Export,
    /// They are compared.
    Check,
    /// The new version is installed empty beside the old one.
    Fresh,
    /// The data comes in.
    Bring,
}

/// What takes time, and goes on without a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum LeavingAct {
    /// Writing the files and reading them back.
    Export,
    /// Starting fresh, or going on with that.
    StartFresh,
    /// Taking a fresh start back that is not complete.
    TakeBack,
    /// Trying what would come in.
    Try,
    /// Bringing it in.
    BringIn,
    /// Taking everything back that came in.
    Undo,
}

/// What separates the fields of CSV files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum Separator {
    /// As programs expect it.
    #[default]
    Comma,
    /// As spreadsheets of many countries do.
    Semicolon,
}

/// What a person chose on the pages before the export.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub struct LeavingChoice {
    /// The things that come along, by their keys.
    pub entities: Vec<String>,
    /// Every other table too.
    pub everything: bool,
    /// The forms of files.
    pub formats: Vec<FileFormat>,
    /// What separates fields.
    pub separator: Separator,
    /// How pictures and other bytes are written.
    #[serde(default)]
    pub bytes: BytesForm,
    /// All of it in one zip.
    #[serde(default)]
    pub zip: bool,
}

/// Leaving an old version. The engine keeps where it stands.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub struct LeavingView {
    /// Whose.
    pub installation: String,
    /// What people call the application.
    pub title: String,
    /// The version that is left.
    pub from: String,
    /// The one that begins empty.
    pub to: String,
    /// Where a person was last.
    pub step: LeavingStep,
    /// Whether it is about what was entered in a version that was gone back from: only the last page is there.
    pub is_return: bool,
    /// Why the data cannot come along, in sentences.
    pub reasons: Vec<String>,
    /// Where to ask.
    pub help: Vec<HelpLink>,
    /// What is new in it.
    pub notes: NotesView,
    /// What there is.
    pub entities: Vec<LeavingEntity>,
    /// What was chosen.
    pub choice: LeavingChoice,
    /// What runs now.
    pub work: Option<LeavingWork>,
    /// What kept the last act from its end.
    pub problem: Option<LeavingProblem>,
    /// The export that was made.
    pub exported: Option<LeavingExport>,
    /// The fresh start, once it has begun.
    pub fresh: Option<LeavingFresh>,
    /// What came in, or would.
    pub imported: Option<LeavingImport>,
    /// What was taken back last.
    pub taken_back: Option<LeavingTakenBack>,
}

/// A place to ask.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub struct HelpLink {
    /// Whose place.
    pub label: String,
    /// Where.
    pub url: String,
}

/// A kind of thing in the old version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub struct LeavingEntity {
    /// What people call it.
    pub key: String,
    /// How many there are, where that could be counted.
    #[cfg_attr(feature = "bindings", ts(type = "number | null"))]
    pub rows: Option<u64>,
    /// Columns that never come along.
    pub left_out: Vec<String>,
}

/// A look at a kind of thing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub struct EntityPreview {
    /// The headings.
    pub columns: Vec<String>,
    /// The first rows.
    pub rows: Vec<Vec<Option<String>>>,
}

/// What runs now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub struct LeavingWork {
    /// What.
    pub act: LeavingAct,
    /// What it is at, where it says so: a kind of thing, or the name of a file.
    pub at: Option<String>,
    /// Where a fresh start stands.
    pub state: Option<FreshState>,
    /// How much of it is done, where that can be measured.
    pub percent: Option<u8>,
    /// When it began.
    pub since: DateTime<Utc>,
}

/// What kept an act from its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub struct LeavingProblem {
    /// Which act.
    pub act: LeavingAct,
    /// What happened.
    pub error: ErrorView,
}

/// An export that was read back and agrees.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub struct LeavingExport {
    /// Its folder.
    pub folder: String,
    /// When it was made.
    pub made_at: DateTime<Utc>,
    /// What a person must know of all of it, as sentences.
    pub notes: Vec<String>,
    /// What it holds.
    pub entities: Vec<LeavingExported>,
}

/// A kind of thing in an export.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub struct LeavingExported {
    /// What people call it.
    pub key: String,
    /// Its rows.
    #[cfg_attr(feature = "bindings", ts(type = "number"))]
    pub rows: u64,
    /// How many of them the application counts as deleted.
    #[cfg_attr(feature = "bindings", ts(type = "number"))]
    pub deleted: u64,
    /// Its files.
    pub files: Vec<String>,
    /// Their size together.
    #[cfg_attr(feature = "bindings", ts(type = "number"))]
    pub bytes: u64,
}

/// A fresh start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub struct LeavingFresh {
    /// The new installation.
    pub installation: String,
    /// Where it stands.
    pub state: FreshState,
    /// Where people open the new one, once it is in use.
    pub url: Option<String>,
    /// What happened, in sentences.
    pub says: Vec<String>,
}

/// What came in, or would.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub struct LeavingImport {
    /// Whether it was only tried.
    pub is_dry_run: bool,
    /// Rows in the files.
    #[cfg_attr(feature = "bindings", ts(type = "number"))]
    pub total: u64,
    /// Rows that came in, or were there.
    #[cfg_attr(feature = "bindings", ts(type = "number"))]
    pub came_in: u64,
    /// What became of each kind of thing.
    pub entities: Vec<LeavingImported>,
    /// Where the rest is, each row with its reason.
    pub file: Option<String>,
    /// Why rows did not come in, the most frequent first; of the first hundred of each kind.
    pub reasons: Vec<RowsOut>,
    /// What is worth knowing, in sentences.
    pub notes: Vec<String>,
    /// Whether anything that came in can be taken back.
    pub can_be_undone: bool,
    /// Rows that are there with other values, and that nobody said anything of.
    #[serde(default)]
    #[cfg_attr(feature = "bindings", ts(type = "number"))]
    pub asked: u64,
    /// The first of these, side by side.
    #[serde(default)]
    pub pairs: Vec<PairView>,
}

/// What became of a kind of thing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub struct LeavingImported {
    /// What people call it.
    pub key: String,
    /// Rows in the file.
    #[cfg_attr(feature = "bindings", ts(type = "number"))]
    pub rows: u64,
    /// That came in, newly or with the values of the export.
    #[cfg_attr(feature = "bindings", ts(type = "number"))]
    pub came_in: u64,
    /// That were there.
    #[cfg_attr(feature = "bindings", ts(type = "number"))]
    pub there: u64,
    /// That were there with other values.
    #[serde(default)]
    #[cfg_attr(feature = "bindings", ts(type = "number"))]
    pub changed: u64,
    /// That did not come in.
    #[cfg_attr(feature = "bindings", ts(type = "number"))]
    pub out: u64,
}

/// Rows that did not come in for one reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub struct RowsOut {
    /// Why, in the words of the database.
    pub reason: String,
    /// How many.
    #[cfg_attr(feature = "bindings", ts(type = "number"))]
    pub rows: u64,
}

/// What was taken back of what had come in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub struct LeavingTakenBack {
    /// Rows that are gone again, or as before.
    #[cfg_attr(feature = "bindings", ts(type = "number"))]
    pub rows: u64,
    /// Rows that stay, because they were changed since or something else names them.
    #[cfg_attr(feature = "bindings", ts(type = "number"))]
    pub stays: u64,
    /// Why, of the first of these.
    pub why: Vec<String>,
}

/// The line on a card that leads back to where a person was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub struct LeavingLine {
    /// The installation that is left: another card shows it too, once there is a new one.
    pub installation: String,
    /// For which version.
    pub to: String,
    /// Where a person was.
    pub step: LeavingStep,
    /// Whether it is about what was entered in a version that was gone back from.
    pub is_return: bool,
    /// Whether something runs now.
    pub works: bool,
    /// Whether something was kept from its end.
    pub is_stuck: bool,
}
