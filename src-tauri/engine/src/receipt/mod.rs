//! The report at the end of an upgrade: a plain value, as JSON for programs and as HTML for people.
//!
//! It says only what was measured. What was not is `null` in the JSON and "Not measured" for people, and a
//! sentence about the data claims no more than the counts that stand in the same receipt.

mod html;
mod words;

use std::path::{Path, PathBuf};

use chrono::{DateTime, TimeZone, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::durable;
use crate::error::{Error, Result};
use crate::model::ids::{InstallationName, UpgradeId};
use crate::model::release::Trust;
use crate::model::state::State;
use crate::state::upgrades::Outcome;
use crate::stores::{Counts, Grade, StoreKind};

pub use html::html;
pub use words::{duration, number, phase_label};

/// Everything a receipt tells.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Receipt {
    /// Version of this form, 1.
    pub format: u32,
    /// Version of the Liftlock that worked.
    pub liftlock: String,
    /// Which upgrade.
    pub upgrade_id: UpgradeId,
    /// Whose upgrade.
    pub installation: InstallationName,
    /// The application's own name, for people.
    pub application: String,
    /// The component; empty where there is one only.
    pub component: String,
    /// The version that ran before, where it was known.
    pub from: Option<String>,
    /// The version asked for.
    pub to: String,
    /// How it ended.
    pub outcome: Outcome,
    /// Why it did not go on.
    pub error: Option<Error>,
    /// The backup taken before anything was touched.
    pub backup: Option<BackupLine>,
    /// Each store with its counts.
    pub stores: Vec<StoreLine>,
    /// Rows that the release removed as its makers announced, or as a person accepted.
    pub announced_losses: u64,
    /// How long users could not use the application, in seconds; `None` where it was not measured.
    pub away_seconds: Option<f64>,
    /// What is kept for the way back.
    pub originals: Vec<OriginalLine>,
    /// What vouched for the release.
    pub trust: Option<Trust>,
    /// Where a person has to go on; only where the outcome is `rollback_failed`.
    pub attention: Option<Attention>,
    /// Every step, in the order in which it began.
    pub steps: Vec<StepLine>,
    /// When a worker began.
    pub started_at: DateTime<Utc>,
    /// When it ended.
    pub finished_at: DateTime<Utc>,
    /// Who asked for it.
    pub initiated_by: String,
}

/// A backup in a receipt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BackupLine {
    /// Its folder.
    pub path: PathBuf,
    /// How far it was trusted when the application was stopped.
    pub grade: Grade,
    /// Its size in bytes.
    pub bytes: u64,
    /// How long it took to make and prove, in seconds.
    pub seconds: f64,
    /// When it was made.
    pub made_at: DateTime<Utc>,
}

/// A store in a receipt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StoreLine {
    /// Its name in the profile.
    pub name: String,
    /// Its kind.
    pub kind: StoreKind,
    /// Rows a table, or files a folder, before anything was touched; `None` where not counted.
    pub before: Option<Counts>,
    /// The same before the new version started, or after going back; `None` where not counted.
    pub after: Option<Counts>,
}

/// Something kept for the way back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OriginalLine {
    /// Its name: a database, a folder, a release.
    pub name: String,
    /// Its size in bytes, where known.
    pub bytes: Option<u64>,
    /// Until when it is kept at least, where that is settled.
    pub until: Option<DateTime<Utc>>,
}

/// What a person needs who has to go on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Attention {
    /// Where the original data is.
    pub place: String,
    /// Whether it was looked at and found whole.
    pub original_is_whole: bool,
    /// The exact commands, in order.
    pub commands: Vec<String>,
}

/// A step in a receipt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StepLine {
    /// The phase it belongs to, by the name of its state (`backing_up`).
    pub phase: String,
    /// Its name.
    pub step: String,
    /// The component it worked on; may be empty.
    pub component: String,
    /// The store it worked on; may be empty.
    pub store: String,
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// How long it took, in seconds; `None` where it was interrupted.
    pub seconds: Option<f64>,
    /// How it ended (`done`, `already_there`, `skipped`, `failed`, `interrupted`).
    pub outcome: String,
}

impl Receipt {
    /// The headline and the sentence about what happened and how the data stands.
    pub fn words(&self) -> (String, String) {
        words::outcome(self)
    }

    /// The phase that took longest and its seconds, where any was measured.
    pub fn longest(&self) -> Option<(&str, f64)> {
        let mut phases: Vec<(&str, f64)> = Vec::new();
        for step in &self.steps {
            let Some(seconds) = step.seconds else { continue };
            match phases.iter_mut().find(|(phase, _)| *phase == step.phase) {
                Some((_, sum)) => *sum += seconds,
                None => phases.push((&step.phase, seconds)),
            }
        }
        // The first of equals, because that is where a reader looks first.
        phases.into_iter().rev().max_by(|a, b| a.1.total_cmp(&b.1))
    }

    /// Rows (or files) in all, before and after; `None` where a store was not counted, or there is none.
    pub fn rows(&self) -> (Option<u64>, Option<u64>) {
        let sum = |which: fn(&StoreLine) -> Option<&Counts>| {
            let counts: Option<Vec<_>> = self.stores.iter().map(which).collect();
            counts
                .filter(|all| !all.is_empty())
                .map(|all| all.iter().flat_map(|counts| counts.values()).fold(0_u64, |sum, n| sum.saturating_add(*n)))
        };
        (sum(|store| store.before.as_ref()), sum(|store| store.after.as_ref()))
    }

    /// The receipt as JSON: its fields, with `headline`, `sentence`, `longest_phase` and `longest_seconds`.
    ///
    /// # Errors
    /// A figure that is no number, which is a fault of ours.
    pub fn to_json(&self) -> Result<serde_json::Value> {
        let mut json = serde_json::to_value(self)
            .map_err(|cause| Error::bug("receipt", "The receipt could not be written as JSON.").because(&cause))?;
        let (headline, sentence) = self.words();
        json["headline"] = headline.into();
        json["sentence"] = sentence.into();
        json["longest_phase"] = self.longest().map(|(phase, _)| phase).into();
        json["longest_seconds"] = self.longest().map(|(_, seconds)| seconds).into();
        Ok(json)
    }

    /// Writes `receipt.json` and `receipt.html` into `dir`, durably, and answers their paths. Times of the HTML
    /// are shown in `zone`.
    ///
    /// # Errors
    /// What the disk answered.
    pub fn write<Z: TimeZone>(&self, dir: &Path, zone: &Z) -> Result<(PathBuf, PathBuf)>
    where
        Z::Offset: std::fmt::Display,
    {
        let (json, page) = (dir.join("receipt.json"), dir.join("receipt.html"));
        let mut text = serde_json::to_vec_pretty(&self.to_json()?)
            .map_err(|cause| Error::bug("receipt", "The receipt could not be written as JSON.").because(&cause))?;
        text.push(b'\n');
        durable::write(&json, &text)?;
        durable::write(&page, html(self, zone).as_bytes())?;
        Ok((json, page))
    }

    /// Whether every row that was there before is accounted for: counted on both sides, none fewer in any table
    /// beyond what was announced. `None` where that was not measured.
    fn all_is_there(&self) -> Option<bool> {
        let mut missing = 0_u64;
        for store in &self.stores {
            let (before, after) = (store.before.as_ref()?, store.after.as_ref()?);
            for (table, rows) in before {
                missing = missing.saturating_add(rows.saturating_sub(after.get(table).copied().unwrap_or(0)));
            }
        }
        Some(missing <= self.announced_losses)
    }
}

/// The state whose name a step gives as its phase.
fn state_of(phase: &str) -> Option<State> {
    State::ALL.into_iter().find(|state| state.as_str() == phase)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A receipt with everything in it.
    pub(crate) fn sample() -> Receipt {
        let at = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
        let counts =
            |rows: u64| Some(Counts::from([("public.orders".into(), rows), ("public.customers".into(), 1204)]));
        let step = |phase: &str, step: &str, started: &str, seconds: f64| StepLine {
            phase: phase.into(),
            step: step.into(),
            component: String::new(),
            store: if phase == "migrating" { "main".into() } else { String::new() },
            started_at: at(started),
            seconds: Some(seconds),
            outcome: "done".into(),
        };
        Receipt {
            format: 1,
            liftlock: "0.1.0".into(),
            upgrade_id: "01935a3e-0000-7000-8000-000000000001".parse().unwrap(),
            installation: "filaops".parse().unwrap(),
            application: "FilaOps".into(),
            component: String::new(),
            from: Some("4.1.0".into()),
            to: "4.2.0".into(),
            outcome: Outcome::Success,
            error: None,
            backup: Some(BackupLine {
                path: "/home/ada/backups/filaops/2026-11-21".into(),
                grade: Grade::Proven,
                bytes: 412_000_000,
                seconds: 38.2,
                made_at: at("2026-11-21T03:00:10Z"),
            }),
            stores: vec![StoreLine {
                name: "main".into(),
                kind: StoreKind::Postgres,
                before: counts(213_304),
                after: counts(213_304),
            }],
            announced_losses: 0,
            away_seconds: Some(161.4),
            originals: vec![OriginalLine {
                name: "filaops__aside_000000000001".into(),
                bytes: Some(1_300_000_000),
                until: Some(at("2026-11-28T03:05:00Z")),
            }],
            trust: Some(Trust::SignedManifest),
            attention: None,
            steps: vec![
                step("backing_up", "dump", "2026-11-21T03:00:10Z", 20.2),
                step("backing_up", "prove", "2026-11-21T03:00:31Z", 18.0),
                step("migrating", "migrate", "2026-11-21T03:02:00Z", 96.0),
            ],
            started_at: at("2026-11-21T03:00:00Z"),
            finished_at: at("2026-11-21T03:05:00Z"),
            initiated_by: "ada (command line)".into(),
        }
    }

    #[test]
    fn the_phase_that_took_longest_is_summed_from_its_steps() {
        let mut receipt = sample();
        assert_eq!(receipt.longest(), Some(("migrating", 96.0)));
        receipt.steps[2].seconds = Some(30.0);
        assert_eq!(receipt.longest(), Some(("backing_up", 38.2)));
        receipt.steps.iter_mut().for_each(|step| step.seconds = None);
        assert_eq!(receipt.longest(), None);
    }

    #[test]
    fn json_and_page_are_written_and_the_json_comes_back() {
        let dir = tempfile::tempdir().unwrap();
        let (json, page) = sample().write(dir.path(), &Utc).unwrap();
        let read: Receipt = serde_json::from_slice(&std::fs::read(json).unwrap()).unwrap();
        assert_eq!(read, sample());
        assert!(std::fs::read_to_string(page).unwrap().ends_with("</html>\n"));
    }

    #[test]
    fn the_json_says_what_was_promised() {
        insta::assert_json_snapshot!(sample().to_json().unwrap());
    }
}
