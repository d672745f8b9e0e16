//! The page of an upgrade.

use super::{named, phases};
use crate::clock::same_boot;
use crate::engine::{Engine, Say};
use crate::error::{Error, Result};
use crate::model::finding::{self, Severity};
use crate::model::ids::{InstallationName, UpgradeId};
use crate::model::state::State;
use crate::process::Silent;
use crate::receipt::{Receipt, StepLine};
use crate::secrets::Secret;
use crate::site::asked;
use crate::state::Db;
use crate::state::installations::Installation;
use crate::state::journal::{Direction, runs_of};
use crate::state::question::LongerQuestion;
use crate::state::upgrades::{Options, Outcome, Upgrade};
use crate::steps::let_in::opening;
use crate::steps::position::said;
use crate::steps::words;
use crate::view::window::{
    BackupOfReceipt, ConfirmView, DataState, Estimate, EstimateSource, Finding, HolderView, LogLine, LongestPhase,
    NotesOfRelease, NotesView, Question, ReceiptView, SlowView, StepOfReceipt, UpgradeKind, UpgradeView, WayBack,
    WayOut,
};
use crate::view::{ReceiptPaths, UpgradeStatus};

/// After so many seconds without anything moving it is said that it still lives.
const SLOW_AFTER: f64 = 60.0;
/// A guess before anything was measured: stopping and starting, and copying at what an ordinary disk was seen to do
/// (2.2–3.1 s/GB), doubled for the migrations that nobody has seen yet.
const SECONDS_AT_LEAST: f64 = 10.0;
const BYTES_A_SECOND: f64 = 180e6;
/// Removes what the keeping rule does not keep.
const PRUNE: &str = "prune_backups";
/// Lets files that were changed by hand stay behind in the folder of the version before.
const LEAVE_CHANGES: &str = "leave_changes";
/// Lets the new version find the data that its makers look for elsewhere.
const MOVE_DATA: &str = "move_data";
/// Begins the answer to the question which version the data is of; the version follows.
const DATA_AT: &str = "data_at:";
/// How many lines of a log are shown at once.
const MOST_LINES: u32 = 500;

impl Engine {
    /// Everything about one upgrade.
    ///
    /// # Errors
    /// `unknown_upgrade`.
    pub fn upgrade_view(&self, id: UpgradeId) -> Result<UpgradeView> {
        let db = self.db()?;
        self.upgrade_view_in(&db, &db.upgrade(id)?, self.upgrade_status(id)?)
    }

    /// Asks for an update as it was confirmed: what was said about its time is remembered, so that a rehearsal that takes
    /// much longer is asked about.
    ///
    /// # Errors
    /// As [`Engine::start_upgrade`].
    pub fn start_confirmed(&self, name: &str, to: &str, rehearse_only: bool, initiated_by: &str) -> Result<UpgradeId> {
        let name = named(name)?;
        let confirmed_seconds = self.confirmed_seconds(&self.db()?, &name, to)?;
        let mut db = self.db()?;
        let options = Options { rehearse_only, confirmed_seconds, ..self.chosen_options(&db, &name)? };
        let id = self.start_upgrade(&name, Some(to), &options, initiated_by)?;
        // It was said about this one, not about others.
        db.forget_note(&leave_key(&name))?;
        db.forget_note(&data_key(&name))?;
        Ok(id)
    }

    /// Mends what was found, where that takes no person, and looks again. What takes longer has begun then, and is told.
    ///
    /// # Errors
    /// `locked`, `unknown_fix`, `busy`; as [`Engine::confirm_view`] and [`Engine::move_data`].
    pub fn fix_finding(&self, name: &str, fix: &str, to: Option<&str>, initiated_by: &str) -> Result<ConfirmView> {
        self.must_be_unlocked()?;
        let installation = named(name)?;
        match fix {
            PRUNE => drop(self.prune(&installation)?),
            LEAVE_CHANGES => self.db()?.set_note(&leave_key(&installation), "yes")?,
            MOVE_DATA => {
                // Nobody looks at an installation that is worked on.
                let before = self.confirm_view(name, to)?;
                if let Some(id) = self.move_data(&installation, to, initiated_by)?.upgrade_id {
                    return Ok(ConfirmView { begun: Some(id.to_string()), ..before });
                }
            }
            it if it.starts_with(DATA_AT) => {
                let version = it.trim_start_matches(DATA_AT).trim();
                said(Some(version))?;
                self.db()?.set_note(&data_key(&installation), version)?;
            }
            _ => {
                return Err(
                    Error::usage("unknown_fix", "Nothing is known that would mend this.").remedy("Do what it says.")
                );
            }
        }
        self.confirm_view(name, to)
    }

    /// Remembers what a person says of a setting that a new version asks for, or makes one up, and looks again.
    ///
    /// # Errors
    /// As [`Engine::say_of_setting`] and [`Engine::confirm_view`].
    pub fn say_on_page(&self, name: &str, key: &str, value: Option<String>, to: Option<&str>) -> Result<ConfirmView> {
        let say = value.map_or(Say::Generate, |it| Say::Kept(Secret::new(it)));
        self.say_of_setting(&named(name)?, key, &say)?;
        self.confirm_view(name, to)
    }

    /// What a person has decided about the next update on its page.
    fn chosen_options(&self, db: &Db, name: &InstallationName) -> Result<Options> {
        let (leave_changes, data_at) = (db.note(&leave_key(name))?.is_some(), db.note(&data_key(name))?);
        Ok(Options { leave_changes, data_at: data_at.filter(|it| !it.is_empty()), ..Options::default() })
    }

    /// How long the application is said to be away, in whole seconds.
    pub(in crate::engine) fn confirmed_seconds(
        &self,
        db: &Db,
        name: &InstallationName,
        to: &str,
    ) -> Result<Option<u64>> {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "seconds, rounded up")]
        Ok(self.estimate(db, name, Some(to))?.map(|it| it.seconds.ceil() as u64))
    }

    /// A person's answer to the question whether an update may take longer than was said.
    ///
    /// # Errors
    /// `locked`; `not_asked`; as [`Engine::cancel`].
    pub fn answer(&self, id: UpgradeId, goes_on: bool) -> Result<UpgradeView> {
        self.must_be_unlocked()?;
        let mut db = self.db()?;
        let waits = !db.upgrade(id)?.state.is_final();
        let asked = db.question(id)?.filter(|it| waits && !it.goes_on).ok_or_else(|| {
            Error::refused("not_asked", "This update waits for no answer.").remedy("Look how it stands.")
        })?;
        if goes_on {
            db.set_question(id, &LongerQuestion { goes_on, ..asked })?;
        } else {
            self.cancel(id)?;
        }
        self.upgrade_view(id)
    }

    /// Lines of an upgrade's log after line `after`.
    ///
    /// # Errors
    /// Those of the state itself.
    pub fn log_view(&self, id: UpgradeId, after: i64) -> Result<Vec<LogLine>> {
        let lines = self.log(id, after, MOST_LINES)?;
        Ok(lines.into_iter().map(|(seq, at, line)| LogLine { seq: seq.to_string(), at, line }).collect())
    }

    /// What an update would do, for the page before it.
    ///
    /// # Errors
    /// As [`Engine::plan`].
    pub fn confirm_view(&self, name: &str, to: Option<&str>) -> Result<ConfirmView> {
        let name = named(name)?;
        let db = self.db()?;
        let breaking = self.notice(&name)?.offer.filter(|it| it.breaking && to.is_none_or(|to| to == it.to));
        if let Some(offer) = breaking {
            return self.breaking_view(&name, offer.to);
        }
        let mut plan = self.plan(&name, to, &self.chosen_options(&db, &name)?)?;
        // Each has its field on the page.
        plan.findings.retain(|it| it.class != asked::FINDING);
        let can_prune = self.prune_preview(&name).is_ok_and(|it| !it.goes.is_empty());
        let installation = db.installation(&name)?;
        let notes = plan.to.iter().map(|version| NotesOfRelease {
            version: version.clone(),
            published_at: None,
            url: None,
            markdown: plan.notes.clone(),
        });
        Ok(ConfirmView {
            installation: name.to_string(),
            title: self.profile_of(&installation)?.application.name,
            estimate: self.estimate(&db, &name, plan.to.as_deref())?,
            notes: NotesView { releases: notes.collect(), cut: false },
            from: plan.from,
            possible: plan.to.is_some() && plan.findings.iter().all(|it| it.severity < Severity::Stop),
            to: plan.to,
            trust: plan.trust,
            way: plan.way,
            rehearsal: plan.rehearsal,
            breaking: false,
            path: plan.path,
            asked: plan.asked,
            lines: plan.lines,
            findings: plan.findings.iter().map(|it| Finding { fix: fix_for(it, can_prune), ..it.into() }).collect(),
            scheduled_for: self.scheduled(&db, &name)?.map(|it| it.at),
            begun: None,
        })
    }

    /// The page before a release that no update leads to: there is nothing to plan.
    fn breaking_view(&self, name: &InstallationName, to: String) -> Result<ConfirmView> {
        let installation = self.db()?.installation(name)?;
        // What is new in it is worth reading, and no condition.
        let notes = self.notes_view(name.as_str(), &to, false);
        Ok(ConfirmView {
            installation: name.to_string(),
            title: self.profile_of(&installation)?.application.name,
            estimate: None,
            notes: notes.unwrap_or(NotesView { releases: Vec::new(), cut: false }),
            from: installation.version,
            path: vec![to.clone()],
            to: Some(to),
            possible: false,
            trust: None,
            way: "copy".to_owned(),
            rehearsal: false,
            breaking: true,
            asked: Vec::new(),
            lines: Vec::new(),
            findings: Vec::new(),
            scheduled_for: None,
            begun: None,
        })
    }

    /// How long people would have to wait, from the surest that is known: a rehearsal of this release, else the last
    /// update, else the size of the data.
    fn estimate(&self, db: &Db, name: &InstallationName, to: Option<&str>) -> Result<Option<Estimate>> {
        let past = db.upgrades(Some(name), 20)?;
        for upgrade in past.iter().filter(|it| Some(it.to.as_str()) == to) {
            let runs = runs_of(db, upgrade.id)?;
            let rehearsed = phases::rehearsed(&runs);
            let seconds = rehearsed.and_then(|it| it.answer["seconds"].as_f64());
            // One that was asked about and not gone on with has measured too.
            let seconds = seconds.map_or_else(
                || Ok(db.question(upgrade.id)?.map(|it| it.measured_seconds)),
                |it| Ok::<_, Error>(Some(it)),
            )?;
            if let Some(seconds) = seconds {
                let made_at = rehearsed.and_then(|it| it.finished_at).or(upgrade.finished_at);
                return Ok(Some(Estimate { seconds, source: EstimateSource::Rehearsed, made_at }));
            }
        }
        let last = past.iter().find(|it| it.state == State::Complete && it.options.restore.is_none());
        let last = last.and_then(|it| {
            let seconds = (it.away_to? - it.away_from?).as_seconds_f64();
            Some(Estimate { seconds, source: EstimateSource::LastTime, made_at: it.finished_at })
        });
        Ok(last.or_else(|| self.guess(&db.installation(name).ok()?)))
    }

    /// A guess from the size of the data; none where that cannot be asked.
    fn guess(&self, installation: &Installation) -> Option<Estimate> {
        let stores = self.site(installation).ok()?.stores;
        let bytes = stores.iter().map(|it| it.size(&Silent)).sum::<Result<u64>>().ok()?;
        #[expect(clippy::cast_precision_loss, reason = "a guess")]
        let seconds = SECONDS_AT_LEAST + bytes as f64 / BYTES_A_SECOND;
        Some(Estimate { seconds, source: EstimateSource::Size, made_at: None })
    }

    /// That the computer was started anew in the middle of it, and when.
    fn restart_since(&self, upgrade: &Upgrade) -> Option<String> {
        let up = chrono::TimeDelta::from_std(self.clock.since_boot()).ok()?;
        let booted = self.clock.now() - up;
        let was_cut = upgrade.started_at.is_some_and(|it| it < booted);
        let at = booted.with_timezone(&chrono::Local).format("%H:%M");
        was_cut.then(|| format!("The computer was restarted at {at}."))
    }

    pub(super) fn upgrade_view_in(&self, db: &Db, upgrade: &Upgrade, status: UpgradeStatus) -> Result<UpgradeView> {
        let runs = runs_of(db, upgrade.id)?;
        let profile = db.installation(&upgrade.installation).and_then(|it| self.profile_of(&it)).ok();
        let receipt = upgrade.receipt.as_deref().and_then(read_receipt);
        let attention = receipt.as_ref().and_then(|it| it.attention.clone());
        let opened = profile.as_ref().is_some_and(|profile| {
            let opening = opening(profile).step;
            runs.iter().any(|it| it.direction == Direction::Forward && it.key.step == opening)
        });
        let (state, result) = end_for_people(upgrade);
        Ok(UpgradeView {
            upgrade_id: upgrade.id.to_string(),
            installation: upgrade.installation.to_string(),
            title: profile.map_or_else(|| upgrade.installation.to_string(), |it| it.application.name),
            kind: UpgradeKind::of(&upgrade.options),
            state,
            active: status.active,
            interrupted: status.interrupted || (status.active && upgrade.restarts > 0),
            from: status.from,
            to: status.to,
            interrupted_because: self.restart_since(upgrade).filter(|_| status.active),
            holder: status.holder.map(|it| HolderView {
                user: it.user,
                host: it.host,
                pid: it.pid,
                started_at: it.started_at,
            }),
            progress: status.progress,
            message: status.message,
            phases: phases::phases(upgrade, &runs),
            steps_back: phases::steps_back(&runs),
            people_can_use: upgrade.away_from.is_none() || upgrade.away_to.is_some(),
            away_since: upgrade.away_from.filter(|_| upgrade.away_to.is_none()),
            away_seconds: status.away_seconds,
            rate: upgrade.rate.clone().filter(|_| status.active),
            seconds_left: self.seconds_left(db, upgrade, &runs, status.active)?,
            slow: self.slow(upgrade, status.active),
            question: db.question(upgrade.id)?.filter(|it| !it.goes_on && !upgrade.state.is_final()).map(Into::into),
            data: data_state(upgrade, attention.as_ref().is_some_and(|it| it.original_is_whole)),
            way_out: match upgrade.state {
                State::RollingBack => WayOut::None,
                state if state.is_final() || upgrade.cancel_asked_at.is_some() => WayOut::None,
                state if state.is_before_change() => WayOut::Cancel,
                _ if opened => WayOut::None,
                _ => WayOut::BringBack,
            },
            started_at: status.started_at,
            finished_at: status.finished_at,
            acknowledged_at: status.acknowledged_at,
            expires_at: status.expires_at,
            seq: status.seq.to_string(),
            result,
            error: status.error,
            commands: attention.as_ref().map(|it| it.commands.clone()).unwrap_or_default(),
            original_is_whole: attention.as_ref().map(|it| it.original_is_whole),
            original_place: attention.map(|it| it.place),
            receipt: receipt.zip(status.receipt).map(|(receipt, paths)| ReceiptView::of(receipt, paths)),
        })
    }

    fn slow(&self, upgrade: &Upgrade, active: bool) -> Option<SlowView> {
        let here = upgrade.alive_boot.as_deref().is_some_and(|it| same_boot(it, &self.clock.boot_id()));
        let seconds = self.clock.since_boot().as_secs_f64() - upgrade.progress_uptime?;
        (active && here && seconds > SLOW_AFTER).then(|| SlowView { sign: upgrade.message.clone(), seconds })
    }
}

fn leave_key(name: &InstallationName) -> String {
    format!("leave_changes/{name}")
}

fn data_key(name: &InstallationName) -> String {
    format!("data_at/{name}")
}

/// The act that mends a finding, where there is one.
fn fix_for(finding: &finding::Finding, can_prune: bool) -> Option<String> {
    match finding.class.as_str() {
        "no_room" | "disk_full" | "backups_over_budget" if can_prune => Some(PRUNE.to_owned()),
        "dirty_folder" => Some(LEAVE_CHANGES.to_owned()),
        "volume_renamed" | "database_major" if finding.severity == Severity::Stop => Some(MOVE_DATA.to_owned()),
        // The version that a person says follows.
        "position_unclear" => Some(DATA_AT.to_owned()),
        _ => None,
    }
}

fn sentence_of(line: &StepLine) -> String {
    let about = if line.store.is_empty() { &line.component } else { &line.store };
    if line.outcome == "undone" { words::undone(&line.step, about) } else { words::done(&line.step, about) }
}

/// A report that is gone or damaged is not shown; the outcome does not depend on it.
pub(super) fn read_receipt(path: &str) -> Option<Receipt> {
    serde_json::from_slice(&std::fs::read(path).ok()?).ok()
}

/// How an upgrade stands and how it ended. One that was to be rehearsed only ends before the change, as if it had been
/// stopped there; for whoever asked for that it is complete. Where a person stopped it, that is its error.
pub(super) fn end_for_people(upgrade: &Upgrade) -> (State, Option<String>) {
    let stopped = upgrade.result.as_deref() == Some(Outcome::AbortedByUser.as_str());
    if upgrade.options.rehearse_only && stopped && upgrade.error.is_none() {
        return (State::Complete, Some(Outcome::Success.as_str().to_owned()));
    }
    (upgrade.state, upgrade.result.clone())
}

/// What may be said of the data, by how it ended.
fn data_state(upgrade: &Upgrade, original_is_whole: bool) -> DataState {
    match upgrade.state {
        State::Complete => DataState::New,
        State::RolledBack => DataState::Restored,
        State::NeedsAttention if !original_is_whole => DataState::Unknown,
        // Until it is complete the original stays as it was, set aside.
        _ => DataState::Untouched,
    }
}

impl UpgradeKind {
    /// By what was asked for.
    pub(super) fn of(options: &Options) -> Self {
        match options {
            it if it.restore.is_some() => Self::Restore,
            it if it.move_for.is_some() => Self::Move,
            it if it.rehearse_only => Self::Rehearsal,
            _ => Self::Upgrade,
        }
    }
}

impl From<LongerQuestion> for Question {
    fn from(asked: LongerQuestion) -> Self {
        Self {
            kind: "longer".to_owned(),
            measured_seconds: asked.measured_seconds,
            confirmed_seconds: f64::from(u32::try_from(asked.confirmed_seconds).unwrap_or(u32::MAX)),
            until: asked.until,
        }
    }
}

impl ReceiptView {
    fn of(receipt: Receipt, paths: ReceiptPaths) -> Self {
        let (rows_before, rows_after) = receipt.rows();
        let kept: Vec<u64> = receipt.originals.iter().filter_map(|it| it.bytes).collect();
        let until = receipt.originals.iter().filter_map(|it| it.until).min();
        let longest = receipt.longest();
        Self {
            sentence: receipt.words().1,
            rows_before,
            rows_after,
            rows_removed: rows_after.map(|_| receipt.announced_losses),
            away_seconds: receipt.away_seconds,
            longest: longest
                .and_then(|(phase, seconds)| Some(LongestPhase { phase: State::parse(phase).ok()?, seconds })),
            way_back: receipt.from.clone().filter(|_| !receipt.originals.is_empty()).map(|version| WayBack {
                version,
                until,
                bytes: (!kept.is_empty()).then(|| kept.iter().sum()),
            }),
            steps: receipt
                .steps
                .iter()
                .filter(|it| it.outcome != "skipped")
                .map(|it| StepOfReceipt { sentence: sentence_of(it), seconds: it.seconds })
                .collect(),
            trust: receipt.trust,
            backup: receipt.backup.map(|it| BackupOfReceipt {
                grade: it.grade.as_str().to_owned(),
                bytes: it.bytes,
                seconds: Some(it.seconds),
                path: it.path.display().to_string(),
            }),
            html: paths.html,
            json: paths.json,
        }
    }
}
