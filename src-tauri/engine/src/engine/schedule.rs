//! The verbs about backups at set times.
//!
//! Who wakes us does not matter: the operating system's timer, the window's tray process or a person. Each run looks what
//! is due and does that, catches up once what was missed, and leaves alone what somebody else works on: the next run
//! finds it due still.

use chrono::{Local, TimeDelta};

use crate::backups::{self, Backup, BackupKind, Schedule};
use crate::engine::Engine;
use crate::engine::copies::is_away;
use crate::error::{Error, Kind, Result};
use crate::model::finding::{Finding, Severity};
use crate::model::ids::InstallationName;
use crate::ports::Reporter;
use crate::state::Db;
use crate::view::{BackupView, DueOutcome, DueView, ErrorView, ScheduleView};

/// A time that has passed is caught up within a quarter of an hour, or after an update.
const LATE: TimeDelta = TimeDelta::hours(2);

fn key(name: &InstallationName) -> String {
    format!("backup_schedule/{name}")
}

impl Engine {
    /// Backs an installation up at set times from now on, instead of at earlier ones.
    ///
    /// # Errors
    /// `locked`, `bad_schedule`, `unknown_installation`.
    pub fn schedule_backups(&self, name: &InstallationName, when: &str) -> Result<ScheduleView> {
        self.must_be_unlocked()?;
        let mut db = self.db()?;
        db.installation(name)?;
        let schedule = Schedule::new(when, self.clock.now())?;
        keep(&mut db, name, Some(&schedule))?;
        self.schedule_view(name, &schedule)
    }

    /// Backs it up at no set times any more.
    ///
    /// # Errors
    /// `locked`, `unknown_installation`.
    pub fn unschedule_backups(&self, name: &InstallationName) -> Result<()> {
        self.must_be_unlocked()?;
        let mut db = self.db()?;
        db.installation(name)?;
        keep(&mut db, name, None)
    }

    /// Every installation that is backed up at set times.
    ///
    /// # Errors
    /// Those of the state itself.
    pub fn backup_schedules(&self) -> Result<Vec<ScheduleView>> {
        let db = self.db()?;
        let mut views = Vec::new();
        for installation in db.installations()? {
            if let Some(schedule) = kept(&db, &installation.name)? {
                views.push(self.schedule_view(&installation.name, &schedule)?);
            }
        }
        Ok(views)
    }

    fn schedule_view(&self, name: &InstallationName, schedule: &Schedule) -> Result<ScheduleView> {
        Ok(ScheduleView {
            installation: name.clone(),
            when: schedule.when.clone(),
            next_at: schedule.next(self.clock.now(), &Local)?,
            tried_at: schedule.tried_at,
            problem: schedule.problem.clone(),
        })
    }

    /// Makes every backup that is due, removes what the keeping rule does not keep, and restores as a test one that
    /// was not for long. What one installation meets does not keep the others from theirs.
    ///
    /// # Errors
    /// Those of the state itself.
    pub fn run_due_backups(&self, reporter: &dyn Reporter) -> Result<Vec<DueView>> {
        let mut views = Vec::new();
        for installation in self.db()?.installations()? {
            let name = installation.name;
            let Some(schedule) = kept(&self.db()?, &name)? else { continue };
            reporter.check()?;
            match schedule.due(self.clock.now(), &Local)? {
                Some(slot) => views.push(self.serve(&name, schedule, slot, reporter)?),
                None => {
                    views.extend(self.copy_late(&name, reporter)?);
                    views.extend(self.prove_again(&name, reporter)?);
                }
            }
        }
        Ok(views)
    }

    fn serve(
        &self,
        name: &InstallationName,
        mut schedule: Schedule,
        slot: chrono::DateTime<chrono::Utc>,
        reporter: &dyn Reporter,
    ) -> Result<DueView> {
        let db = self.db()?;
        // An update that was interrupted keeps the data closed until somebody goes on with it.
        let is_open = db.newest_upgrade(name)?.is_some_and(|it| !it.state.is_final());
        if is_open {
            let error = Error::new(Kind::Busy, "busy", format!("An update of {name} is open."))
                .remedy("Nothing to do: the backup is made when it has ended.");
            return Ok(DueView {
                installation: name.clone(),
                outcome: DueOutcome::Waits,
                backup: None,
                removed: 0,
                error: Some(ErrorView::from(&error)),
            });
        }
        let made = self.back_up(name, BackupKind::Scheduled, "", reporter);
        let mut view =
            DueView { installation: name.clone(), outcome: DueOutcome::Made, backup: None, removed: 0, error: None };
        match made {
            Ok(backup) => {
                schedule.serve(slot, self.clock.now());
                view.backup = Some(backup);
                if self.has_copy_place()?
                    && let Err(error) = self.copy_backup(name, None, reporter)
                {
                    // The backup is there; that it has no copy is a finding until it has one.
                    view.error = Some(ErrorView::from(&error));
                }
                match self.prune_by_rule(name) {
                    Ok(pruned) => view.removed = pruned.goes.len(),
                    // The next run removes it; the backup is there.
                    Err(error) => reporter.say(&error.message),
                }
            }
            // Whoever works on it now is waited for: the time stays due.
            Err(error) if error.kind == Kind::Busy => {
                view.outcome = DueOutcome::Waits;
                view.error = Some(ErrorView::from(&error));
                return Ok(view);
            }
            Err(error) if error.class == "cancelled" => return Err(error),
            Err(error) => {
                schedule.fail(slot, self.clock.now(), &error.message);
                view.outcome = DueOutcome::Failed;
                view.error = Some(ErrorView::from(&error));
            }
        }
        keep(&mut self.db()?, name, Some(&schedule))?;
        Ok(view)
    }

    /// Copies the newest one where its disk was not connected, or its copy was cut short, when it was made.
    fn copy_late(&self, name: &InstallationName, reporter: &dyn Reporter) -> Result<Option<DueView>> {
        let (found, _) = backups::of(&self.home, name, self.clock.now())?;
        if !self.may_copy_now(&found)? {
            return Ok(None);
        }
        let mut view = DueView {
            installation: name.clone(),
            outcome: DueOutcome::Copied,
            backup: found.first().map(BackupView::of),
            removed: 0,
            error: None,
        };
        match self.copy_backup(name, None, reporter) {
            Ok(copied) => view.removed = copied.iter().map(|it| it.removed.len()).sum(),
            // A finding says it until there is one.
            Err(error) if is_away(&error) => return Ok(None),
            Err(error) if error.class == "cancelled" => return Err(error),
            Err(error) => {
                view.outcome = DueOutcome::Failed;
                view.error = Some(ErrorView::from(&error));
            }
        }
        Ok(Some(view))
    }

    /// Restores as a test the one that was last restored longest ago, where that is too long.
    fn prove_again(&self, name: &InstallationName, reporter: &dyn Reporter) -> Result<Option<DueView>> {
        let days = self.db()?.setting("prove_again_days")?.parse::<i64>().unwrap_or(0);
        if days == 0 {
            return Ok(None);
        }
        let now = self.clock.now();
        let before = now - TimeDelta::days(days);
        let (found, _) = backups::of(&self.home, name, self.clock.now())?;
        let last = |it: &Backup| it.proven_at.unwrap_or(it.manifest.made_at);
        // A test in the future was made under another clock, and nobody knows how long ago.
        let is_old = |it: &&Backup| it.failed.is_none() && (last(it) < before || backups::is_ahead(last(it), now));
        let old = found.iter().filter(is_old).min_by_key(|it| last(it));
        let Some(old) = old else { return Ok(None) };
        let mut view = DueView {
            installation: name.clone(),
            outcome: DueOutcome::ProvenAgain,
            backup: None,
            removed: 0,
            error: None,
        };
        match self.verify_backup(&old.path, reporter) {
            Ok(backup) => view.backup = Some(backup),
            Err(error) if error.kind == Kind::Busy => return Ok(None),
            Err(error) if error.class == "cancelled" => return Err(error),
            Err(error) => {
                view.outcome = DueOutcome::Failed;
                view.backup = backups::open(&old.path).ok().map(|it| BackupView::of(&it));
                view.error = Some(ErrorView::from(&error));
            }
        }
        Ok(Some(view))
    }

    /// What is wrong with backups at set times: one that did not work, or that nobody has made though its time
    /// has passed; `of` one installation, or of all.
    pub(crate) fn schedule_findings(&self, of: Option<&InstallationName>) -> Result<Vec<Finding>> {
        let (now, db) = (self.clock.now(), self.db()?);
        let mut found = Vec::new();
        for name in db.installations()?.into_iter().map(|it| it.name).filter(|it| of.is_none_or(|name| name == it)) {
            let Some(schedule) = kept(&db, &name)? else { continue };
            let remedy = format!("Make one now and see: `liftlock backup create {name}`.");
            if let Some(problem) = &schedule.problem {
                let message = format!("The last scheduled backup of {name} was not made. {problem}");
                found.push(Finding::new(Severity::Stop, "scheduled_backup_failed", message, remedy));
            } else if let Some(missed) = schedule.missed(now, &Local)?.filter(|it| now - *it > LATE) {
                let since = missed.with_timezone(&Local).format("%Y-%m-%d %H:%M");
                let message = format!("The backup of {name} that was due at {since} has not been made yet.");
                found.push(Finding::new(Severity::Warning, "scheduled_backup_late", message, remedy));
            }
        }
        Ok(found)
    }
}

fn kept(db: &Db, name: &InstallationName) -> Result<Option<Schedule>> {
    // One that cannot be read was written by hand or by a newer Liftlock, and says nothing.
    Ok(db.note(&key(name))?.and_then(|text| serde_json::from_str(&text).ok()))
}

fn keep(db: &mut Db, name: &InstallationName, schedule: Option<&Schedule>) -> Result<()> {
    let text = serde_json::to_string(&schedule)
        .map_err(|cause| Error::bug("state_json", "A record could not be written.").because(&cause))?;
    db.set_note(&key(name), &text)
}
