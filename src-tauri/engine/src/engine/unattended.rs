//! Updates that happen by themselves in a maintenance window, where a person allowed it.
//!
//! Who wakes us does not matter; each run looks what is due. Whoever allowed it was allowed to: the run itself asks for no
//! passphrase. It takes the way of any other update, with less allowed: what needs a person is left to one. That it was
//! begun is told by the upgrade itself, never by a note beside it.

use chrono::{DateTime, Local, Utc};
use semver::Version;

use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::model::finding::{Finding, Severity};
use crate::model::ids::InstallationName;
use crate::model::maintenance::{Begun, Decision, Facts, Postponed, Reach, Told, Unattended, Window, decide};
use crate::model::state::State;
use crate::ports::Reporter;
use crate::state::Db;
use crate::state::installations::Installation;
use crate::state::upgrades::Options;
use crate::view::{
    ErrorView, PlannedUpdate, TickView, UnattendedOutcome, UnattendedRun, UnattendedUpdate, UnattendedView,
};

/// Who asked, for the record.
const BY: &str = "the maintenance window";
/// So many attempts are looked through for the one that was begun by itself.
const LOOKED_THROUGH: u32 = 50;

fn key(name: &InstallationName) -> String {
    format!("unattended/{name}")
}

impl Engine {
    /// Lets an installation be updated by itself, in these hours and so far, from now on.
    ///
    /// # Errors
    /// `locked`, `bad_window`, `unknown_installation`.
    pub fn allow_unattended(&self, name: &InstallationName, during: &str, reach: Reach) -> Result<UnattendedView> {
        self.must_be_unlocked()?;
        let window: Window = during.parse().map_err(|why: String| {
            Error::usage("bad_window", format!("{why}."))
                .remedy("Write days and hours, such as “Sundays 2-5” or “every night 1:30-4”.")
        })?;
        let mut db = self.db()?;
        db.installation(name)?;
        let plan = Unattended { window, reach, since: self.clock.now(), told: None, begun: None, postponed: None };
        keep(&mut db, name, Some(&plan))?;
        self.unattended_view(&db, name, &plan)
    }

    /// It is updated by itself no more. What runs already goes on.
    ///
    /// # Errors
    /// `locked`, `unknown_installation`.
    pub fn forbid_unattended(&self, name: &InstallationName) -> Result<()> {
        self.must_be_unlocked()?;
        let mut db = self.db()?;
        db.installation(name)?;
        keep(&mut db, name, None)
    }

    /// Every installation that may be updated by itself.
    ///
    /// # Errors
    /// Those of the state itself.
    pub fn unattended(&self) -> Result<Vec<UnattendedView>> {
        let db = self.db()?;
        let mut views = Vec::new();
        for installation in db.installations()? {
            if let Some(plan) = kept(&db, &installation.name)? {
                views.push(self.unattended_view(&db, &installation.name, &plan)?);
            }
        }
        Ok(views)
    }

    pub(super) fn unattended_of(&self, db: &Db, name: &InstallationName) -> Result<Option<UnattendedView>> {
        kept(db, name)?.map(|plan| self.unattended_view(db, name, &plan)).transpose()
    }

    /// Announces, begins or postpones what is due. What one installation meets does not keep the others from theirs.
    ///
    /// # Errors
    /// Those of the state itself.
    pub fn run_unattended(&self) -> Result<Vec<UnattendedRun>> {
        let mut runs = Vec::new();
        for installation in self.db()?.installations()? {
            let db = self.db()?;
            let Some(plan) = kept(&db, &installation.name)? else { continue };
            match self.run_one(&db, &installation, plan) {
                Ok(run) => runs.extend(run),
                Err(error) => runs.push(UnattendedRun {
                    installation: installation.name,
                    outcome: UnattendedOutcome::Failed,
                    to: None,
                    at: None,
                    upgrade_id: None,
                    why: Some(error.message.clone()),
                    error: Some(ErrorView::from(&error)),
                }),
            }
        }
        Ok(runs)
    }

    /// Takes the right to show a notification of the desktop before an update happens by itself: once for each.
    ///
    /// # Errors
    /// `unknown_installation`; those of the state itself.
    pub fn announce_unattended(&self, name: &InstallationName) -> Result<Option<PlannedUpdate>> {
        let mut db = self.db()?;
        let installation = db.installation(name)?;
        let Some(mut plan) = kept(&db, name)? else { return Ok(None) };
        let planned = self.planned(&db, &installation, &plan)?;
        let Some(told) = plan.told.as_mut().filter(|it| !it.shown) else { return Ok(None) };
        let planned = planned.filter(|it| it.to == told.to.to_string());
        told.shown = planned.is_some();
        keep(&mut db, name, Some(&plan))?;
        Ok(planned)
    }

    /// Everything that is due by itself: new releases are looked for, scheduled backups made, and what may be updated in
    /// its maintenance window is. For the timer of the system, and for the tray at start, on wake and from time to time.
    ///
    /// # Errors
    /// Those of the state itself.
    pub fn tick(&self, reporter: &dyn Reporter) -> Result<TickView> {
        let releases = self.check_releases(None, super::Look::WhereDue, reporter)?;
        self.run_scheduled_upgrades()?;
        let backups = self.run_due_backups(reporter)?;
        let unattended = self.run_unattended()?;
        Ok(TickView { releases, backups, unattended })
    }

    fn run_one(&self, db: &Db, installation: &Installation, plan: Unattended) -> Result<Option<UnattendedRun>> {
        let name = &installation.name;
        let now = self.clock.now();
        let run = |outcome, to: &Version, at, why: Option<String>| UnattendedRun {
            installation: name.clone(),
            outcome,
            to: Some(to.to_string()),
            at,
            upgrade_id: None,
            why,
            error: None,
        };
        let decision = decide(&plan, &self.facts(db, installation, &plan, true)?, now);
        match decision {
            Decision::Rest => Ok(None),
            Decision::Announce(to, at) => {
                let announced = run(UnattendedOutcome::Announced, &to, Some(at), None);
                let told = Some(Told { to, at: now, shown: false });
                keep(&mut self.db()?, name, Some(&Unattended { told, postponed: None, ..plan }))?;
                Ok(Some(announced))
            }
            Decision::Await(to, at) => Ok(Some(run(UnattendedOutcome::Waits, &to, Some(at), None))),
            Decision::Postpone(to, why) => {
                self.postpone(name, plan, &why)?;
                Ok(Some(run(UnattendedOutcome::Postponed, &to, None, Some(why))))
            }
            Decision::Begin(to) => {
                let options = Options { unattended: true, ..Options::default() };
                let stop = match self.plan(name, Some(&to.to_string()), &options) {
                    Ok(looked) => looked.findings.into_iter().find(|it| it.severity == Severity::Stop),
                    Err(error) => Some(Finding::stop(&error)),
                };
                if let Some(stop) = stop {
                    let why = stop.message;
                    self.postpone(name, plan, &why)?;
                    return Ok(Some(run(UnattendedOutcome::Postponed, &to, None, Some(why))));
                }
                let id = self.begin_upgrade(name, Some(&to.to_string()), &options, BY)?;
                keep(&mut self.db()?, name, Some(&Unattended { postponed: None, ..plan }))?;
                let begun = run(UnattendedOutcome::Begun, &to, Some(now), None);
                Ok(Some(UnattendedRun { upgrade_id: Some(id), ..begun }))
            }
        }
    }

    fn postpone(&self, name: &InstallationName, plan: Unattended, why: &str) -> Result<()> {
        let postponed = Some(Postponed { at: self.clock.now(), why: why.to_owned() });
        keep(&mut self.db()?, name, Some(&Unattended { postponed, ..plan }))
    }

    /// `looks` whether the machine is in use too, which takes programs of the system.
    fn facts(&self, db: &Db, installation: &Installation, plan: &Unattended, looks: bool) -> Result<Facts> {
        let now = self.clock.now();
        let profile = self.profile_of(installation)?;
        let told = self.notice(&installation.name)?;
        let is_ended = told.offer.is_some_and(|it| it.ended_by_security);
        let wishes = [told.choices.pause, told.choices.remind];
        let newest = db.newest_upgrade(&installation.name)?;
        let waits = newest.is_some_and(|it| !it.state.is_final() || it.state == State::NeedsAttention);
        let opening = plan.window.opening(now, &Local);
        let to = super::notices::newest_within(db, installation, &profile, plan.reach)?;
        let is_time = looks && to.is_some() && opening.is_some_and(|it| it.admits(now));
        let machine = if is_time { self.machine.look(now) } else { Default::default() };
        Ok(Facts {
            to,
            // A security hole that became known since ends what a person wished, here as in the notices.
            is_quiet: !is_ended && wishes.iter().flatten().any(|it| it.holds(now)),
            is_busy: waits || self.is_worked_on(&installation.name)?,
            on_battery: machine.on_battery,
            unused_for: machine.unused_for,
            opening,
            later: opening.and_then(|it| plan.window.after(it, &Local)),
        })
    }

    fn planned(&self, db: &Db, installation: &Installation, plan: &Unattended) -> Result<Option<PlannedUpdate>> {
        let now = self.clock.now();
        let planned = |to: Version, at: DateTime<Utc>| Some(PlannedUpdate { to: to.to_string(), at });
        Ok(match decide(plan, &self.facts(db, installation, plan, false)?, now) {
            Decision::Rest => None,
            Decision::Announce(to, at) | Decision::Await(to, at) => planned(to, at),
            Decision::Begin(to) | Decision::Postpone(to, _) => planned(to, now),
        })
    }

    fn unattended_view(&self, db: &Db, name: &InstallationName, plan: &Unattended) -> Result<UnattendedView> {
        let installation = db.installation(name)?;
        let opening = plan.window.opening(self.clock.now(), &Local);
        let last = match &plan.begun {
            None => None,
            Some(begun) => {
                let upgrade = db.upgrade(begun.upgrade)?;
                Some(UnattendedUpdate {
                    upgrade_id: begun.upgrade,
                    to: begun.to.to_string(),
                    at: begun.at,
                    state: upgrade.state,
                    message: upgrade.message,
                })
            }
        };
        Ok(UnattendedView {
            installation: name.clone(),
            during: plan.window.to_string(),
            reach: plan.reach,
            opens_at: opening.map(|it| it.from),
            planned: self.planned(db, &installation, plan)?,
            postponed_at: plan.postponed.as_ref().map(|it| it.at),
            postponed_why: plan.postponed.as_ref().map(|it| it.why.clone()),
            last,
        })
    }
}

fn kept(db: &Db, name: &InstallationName) -> Result<Option<Unattended>> {
    // One that cannot be read was written by hand or by a newer Liftlock, and allows nothing.
    let plan: Option<Unattended> =
        db.note(&key(name))?.and_then(|text| serde_json::from_str::<Option<Unattended>>(&text).ok().flatten());
    let Some(mut plan) = plan else { return Ok(None) };
    let begun = db.upgrades(Some(name), LOOKED_THROUGH)?.into_iter().find(|it| it.options.unattended);
    plan.begun =
        begun.and_then(|it| Some(Begun { to: Version::parse(&it.to).ok()?, at: it.created_at, upgrade: it.id }));
    Ok(Some(plan))
}

fn keep(db: &mut Db, name: &InstallationName, plan: Option<&Unattended>) -> Result<()> {
    let text = serde_json::to_string(&plan)
        .map_err(|cause| Error::bug("state_json", "A record could not be written.").because(&cause))?;
    db.set_note(&key(name), &text)
}
