//! The acts that take time. They are done by a worker that outlives the window; the window asks and watches.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use chrono::TimeDelta;

use super::record::{Asked, Record};
use crate::crash::{self, Moment};
use crate::engine::{EMPTY, Engine, ExportChoice, FreshChoice, ImportChoice};
use crate::error::{Error, Result};
use crate::import::mapping::Duplicates;
use crate::model::fresh::FreshState;
use crate::model::ids::InstallationName;
use crate::ports::{Invocation, Reporter, Unit};
use crate::process::{Identity, LogFile, spawn_detached};
use crate::view::window::{
    LeavingAct, LeavingImport, LeavingImported, LeavingProblem, LeavingStep, LeavingTakenBack, LeavingView,
    LeavingWork, RowsOut, Separator,
};
use crate::view::{ErrorView, ImportView, PairAnswer};

/// A worker that was asked for is there after so long, or never comes.
const COMES_WITHIN: TimeDelta = TimeDelta::seconds(15);
/// How often it is written down how far it is.
const TELLS_EVERY: Duration = Duration::from_millis(400);
/// Reasons that a page lists.
const REASONS: usize = 20;
/// What the acts say that is for people, too.
const SAYINGS: [&str; 6] = ["exporting ", "packing ", "unpacking ", "reading ", "trying ", "bringing in "];

/// What a person said beside the act itself.
#[derive(Debug, Clone, Default)]
pub struct LeavingWord {
    /// The word for beginning without an export.
    pub typed: Option<String>,
    /// What happens to rows that are there.
    pub duplicates: Option<Duplicates>,
    /// What a person said of single ones.
    pub answers: Vec<PairAnswer>,
}

impl Engine {
    /// Asks for an act and starts the worker that does it.
    ///
    /// # Errors
    /// `locked`, `busy` where one is at work already; `no_export` for a fresh start without an export and without the word,
    /// for a trial without an export; `no_fresh_start` for one without a place to bring anything into.
    pub fn leaving_begin(&self, name: &str, to: &str, act: LeavingAct, word: &LeavingWord) -> Result<LeavingView> {
        self.must_be_unlocked()?;
        let name = crate::engine::window::named(name)?;
        let mut record = self.leaving_record(&name, to)?;
        if self.leaving_works(&name, &record)?.is_some() {
            return Err(Error::refused("busy", "This is already being done.").remedy("Wait until it has ended."));
        }
        let without_export = word.typed.as_deref().map(str::trim) == Some(EMPTY);
        let has_begun = self.fresh_start_of(&name)?.is_some();
        if act == LeavingAct::StartFresh && record.exported.is_none() && !without_export && !has_begun {
            return Err(no_export());
        }
        if matches!(act, LeavingAct::Try | LeavingAct::BringIn) && record.exported.is_none() {
            return Err(no_export());
        }
        if record.is_return && !matches!(act, LeavingAct::Try | LeavingAct::BringIn | LeavingAct::Undo) {
            return Err(Error::refused("was_gone_back", "This version was gone back to; nothing is left here.")
                .remedy("Bring in what is missing, or say that you are done with it."));
        }
        record.problem = None;
        record.taken_back = None;
        let (duplicates, answers) = (word.duplicates, word.answers.clone());
        let asked = Asked { act, at: self.clock.now(), by: None, without_export, duplicates, answers };
        let mut db = self.db()?;
        db.let_go_of_leaving(&name)?;
        db.keep_leaving_work(&name, None)?;
        if let Err(error) = self.launch_leaving(&name, &mut record, asked) {
            record.asked = None;
            db.keep_leaving(&name, &record)?;
            return Err(error);
        }
        self.leaving_view(&name, &record)
    }

    /// Starts a worker for what was asked for. Which worker does it is between the workers: who starts one may be ended
    /// before it can say whom it started.
    fn launch_leaving(&self, name: &InstallationName, record: &mut Record, asked: Asked) -> Result<()> {
        record.asked = Some(Asked { at: self.clock.now(), by: Some(Identity::of_self()?), ..asked });
        self.db()?.keep_leaving(name, record)?;
        crash::point("forward", "leaving/asked", Moment::AfterIntent);
        let invocation: Invocation = self.worker_invocation()?.args(["leaving-work", name.as_str()]);
        let log = self.home.root().join("leaving").join(format!("{name}.log"));
        spawn_detached(&invocation, &LogFile::at(log)).map(drop)
    }

    /// Goes on with what was asked for and no worker ever took on, and with fresh starts whose worker has died: until those
    /// are through nobody may be able to use either version.
    ///
    /// # Errors
    /// What keeps a worker from being started.
    pub fn resume_leaving(&self) -> Result<()> {
        for installation in self.db()?.installations()? {
            let Some(mut record) = self.db()?.leaving(&installation.name)? else { continue };
            let Some(asked) = record.asked.clone() else { continue };
            let is_stuck = self.leaving_works(&installation.name, &record)?.is_none();
            let was_taken_on = self.db()?.leaving_worker(&installation.name)?.is_some();
            let begun = self.db()?.fresh_starts(Some(&installation.name))?.pop().map(|it| it.state);
            let stands_open =
                matches!(begun, Some(FreshState::SettingAside | FreshState::Opening | FreshState::Undoing));
            if is_stuck && (stands_open || !was_taken_on) {
                self.launch_leaving(&installation.name, &mut record, asked)?;
            }
        }
        Ok(())
    }

    /// Does what was asked for, in this very process. What `liftlock leaving-work` does.
    ///
    /// # Errors
    /// Those of the state itself; what the act met is kept for whoever looks.
    pub fn work_on_leaving(&self, name: &InstallationName) -> Result<()> {
        let mut db = self.db()?;
        if !db.take_on_leaving(name, &Identity::of_self()?)? {
            return Ok(());
        }
        let asked = db.leaving(name)?.and_then(|record| Some((record.asked.clone()?, record)));
        let Some((asked, mut record)) = asked else { return db.let_go_of_leaving(name) };
        // Whoever asked was allowed to: it is on record.
        let engine = self.permitted()?;
        let teller = Teller::new(&engine, name.clone(), &asked, &record);
        teller.tell(|_| ());
        let done = engine.act(name, &asked, &mut record, &teller);
        record.asked = None;
        if let Err(error) = done {
            tracing::warn!(class = %error.class, "{}", error.message);
            record.problem = Some(LeavingProblem { act: asked.act, error: ErrorView::from(&error) });
        }
        db.keep_leaving(name, &record)?;
        db.keep_leaving_work(name, None)?;
        db.let_go_of_leaving(name)
    }

    fn act(&self, name: &InstallationName, asked: &Asked, record: &mut Record, reporter: &dyn Reporter) -> Result<()> {
        match asked.act {
            LeavingAct::Export => {
                let chosen = record.choice();
                let choice = ExportChoice {
                    to: None,
                    // With everything the declared ones are all in it.
                    only: if chosen.everything { Vec::new() } else { chosen.entities },
                    everything: chosen.everything,
                    as_tables: false,
                    formats: chosen.formats,
                    separator: Some(match chosen.separator {
                        Separator::Comma => ',',
                        Separator::Semicolon => ';',
                    }),
                    bytes: chosen.bytes,
                    zip: chosen.zip,
                };
                let made = self.export(name, &choice, reporter)?;
                record.exported = Some(PathBuf::from(made.folder));
                record.step = LeavingStep::Check;
            }
            LeavingAct::StartFresh => {
                let choice = FreshChoice {
                    to: Some(record.to.clone()),
                    export: record.exported.clone(),
                    typed: asked.without_export.then(|| EMPTY.to_owned()),
                    ..FreshChoice::default()
                };
                let made = self.fresh_start(name, &choice, reporter)?;
                // What was written until the stop was exported too.
                record.exported = made.export.map(PathBuf::from);
                record.step = LeavingStep::Bring;
            }
            LeavingAct::TakeBack => {
                self.cancel_fresh_start(name, reporter)?;
            }
            LeavingAct::Try | LeavingAct::BringIn => self.bring_in(name, asked, record, reporter)?,
            LeavingAct::Undo => self.undo_all(name, record, reporter)?,
        }
        Ok(())
    }

    fn bring_in(
        &self,
        name: &InstallationName,
        asked: &Asked,
        record: &mut Record,
        reporter: &dyn Reporter,
    ) -> Result<()> {
        // What did not come in and was corrected comes next.
        let rest = record.imported.as_ref().filter(|it| !it.is_dry_run).and_then(|it| it.file.clone());
        let source = rest.map(PathBuf::from).or_else(|| record.source.clone()).or_else(|| record.exported.clone());
        let choice = ImportChoice {
            from: source.ok_or_else(no_export)?,
            duplicates: asked.duplicates,
            answers: asked.answers.clone(),
            same_rows: record.is_return,
            trial: asked.act == LeavingAct::Try,
            // The trial has told what stays out.
            partly: true,
            ..ImportChoice::default()
        };
        let done = self.import(&self.target_of(name, record)?, &choice, reporter)?;
        if !done.trial {
            record.runs.push(done.run.clone());
        }
        record.source = Some(choice.from);
        record.imported = Some(summary(done, !record.runs.is_empty()));
        Ok(())
    }

    fn undo_all(&self, name: &InstallationName, record: &mut Record, reporter: &dyn Reporter) -> Result<()> {
        let successor = self.target_of(name, record)?;
        let mut back = LeavingTakenBack { rows: 0, stays: 0, why: Vec::new() };
        while let Some(run) = record.runs.last() {
            match self.undo_import(&successor, Some(run), reporter) {
                Ok(undone) => {
                    for table in undone.tables {
                        back.rows += table.removed + table.restored;
                        back.stays += table.stays;
                        back.why.extend(table.why.into_iter().take(REASONS));
                    }
                }
                // It was taken back from elsewhere.
                Err(error) if error.class == "no_import" => {}
                Err(error) => return Err(error),
            }
            record.runs.pop();
        }
        (record.imported, record.source, record.taken_back) = (None, None, Some(back));
        Ok(())
    }

    /// What is at work on it, where anything is.
    pub(super) fn leaving_works(&self, name: &InstallationName, record: &Record) -> Result<Option<LeavingWork>> {
        let Some(asked) = &record.asked else { return Ok(None) };
        let db = self.db()?;
        let works = match db.leaving_worker(name)? {
            Some(worker) => worker.is_alive(),
            None => {
                let is_awaited = asked.by.as_ref().is_none_or(Identity::is_alive);
                is_awaited && self.clock.now() - asked.at < COMES_WITHIN
            }
        };
        if !works {
            return Ok(None);
        }
        let mut work = db.leaving_work(name)?.unwrap_or(LeavingWork {
            act: asked.act,
            at: None,
            state: None,
            percent: None,
            since: asked.at,
        });
        work.state = db.fresh_starts(Some(name))?.pop().map(|it| it.state);
        Ok(Some(work))
    }

    /// The installation that data comes into: the old one itself where it was gone back to.
    pub(super) fn target_of(&self, name: &InstallationName, record: &Record) -> Result<InstallationName> {
        if record.is_return { Ok(name.clone()) } else { self.successor_of(name) }
    }

    /// The installation that was begun empty.
    fn successor_of(&self, name: &InstallationName) -> Result<InstallationName> {
        let fresh = self.fresh_start_of(name)?.filter(|it| it.state == FreshState::Complete);
        fresh.map(|it| it.successor).ok_or_else(|| {
            Error::refused("no_fresh_start", "There is no new installation yet that data could come into.")
                .remedy("Start fresh first.")
        })
    }
}

fn no_export() -> Error {
    Error::refused("no_export", "There is no checked export of what is there now. Nothing was begun.")
        .remedy("Export first.")
}

fn summary(done: ImportView, can_be_undone: bool) -> LeavingImport {
    let mut reasons: BTreeMap<String, u64> = BTreeMap::new();
    for trouble in done.entities.iter().flat_map(|it| &it.troubles) {
        *reasons.entry(trouble.why.clone()).or_default() += 1;
    }
    let mut reasons: Vec<RowsOut> = reasons.into_iter().map(|(reason, rows)| RowsOut { reason, rows }).collect();
    reasons.sort_by_key(|it| std::cmp::Reverse(it.rows));
    reasons.truncate(REASONS);
    let asked = done.entities.iter().map(|it| it.asked).sum();
    let pairs = done.entities.iter().flat_map(|it| it.pairs.iter().cloned()).collect();
    let entities: Vec<LeavingImported> = done
        .entities
        .into_iter()
        .map(|it| LeavingImported {
            key: it.entity,
            rows: it.rows,
            came_in: it.inserted + it.updated,
            there: it.skipped + it.earlier,
            changed: it.asked,
            out: it.out,
        })
        .collect();
    let total: u64 = entities.iter().map(|it| it.rows).sum();
    LeavingImport {
        is_dry_run: done.trial,
        total,
        came_in: total.saturating_sub(entities.iter().map(|it| it.out).sum()),
        entities,
        file: done.rest,
        reasons,
        notes: done.notes,
        can_be_undone,
        asked,
        pairs,
    }
}

/// Writes down how far it is, for whoever watches.
struct Teller<'e> {
    engine: &'e Engine,
    name: InstallationName,
    /// How many rows each kind of thing has.
    rows: BTreeMap<String, u64>,
    work: Mutex<(LeavingWork, Duration)>,
}

impl<'e> Teller<'e> {
    fn new(engine: &'e Engine, name: InstallationName, asked: &Asked, record: &Record) -> Self {
        let rows = record.entities.iter().filter_map(|it| Some((it.key.clone(), it.rows?))).collect();
        let since = engine.clock.now();
        let work = LeavingWork { act: asked.act, at: None, state: None, percent: None, since };
        Self { engine, name, rows, work: Mutex::new((work, Duration::ZERO)) }
    }

    fn tell(&self, change: impl FnOnce(&mut LeavingWork)) {
        let mut kept = self.work.lock().unwrap_or_else(PoisonError::into_inner);
        let before = kept.0.clone();
        change(&mut kept.0);
        let now = self.engine.clock.since_boot();
        let is_new = before.at != kept.0.at || kept.1 == Duration::ZERO;
        if (is_new || now.saturating_sub(kept.1) >= TELLS_EVERY) && (before != kept.0 || kept.1 == Duration::ZERO) {
            kept.1 = now;
            // Whoever watches sees less of it, and the act itself goes on.
            let told = self.engine.db().and_then(|mut db| db.keep_leaving_work(&self.name, Some(&kept.0)));
            if let Err(error) = told {
                tracing::warn!(class = %error.class, "{}", error.message);
            }
        }
    }
}

impl Reporter for Teller<'_> {
    fn moved(&self, done: u64, total: Option<u64>, unit: Unit) {
        self.tell(|work| {
            let known = (unit == Unit::Rows).then(|| work.at.as_ref().and_then(|at| self.rows.get(at))).flatten();
            let share = total.or(known.copied()).filter(|it| *it > 0 && work.act == LeavingAct::Export);
            work.percent = share.and_then(|all| u8::try_from((done.min(all) * 100) / all).ok());
        });
    }

    fn say(&self, line: &str) {
        tracing::info!("{line}");
        if let Some(at) = SAYINGS.iter().find_map(|it| line.strip_prefix(it)) {
            self.tell(|work| {
                work.at = Some(at.to_owned());
                work.percent = None;
            });
        }
    }

    fn check(&self) -> Result<()> {
        Ok(())
    }
}
