//! An update at a time that a person chose: one attempt, with the same checks, or a sentence that says why not.
//!
//! Who wakes us does not matter, as with backups at set times. What would need a person in the night is looked for twice,
//! when it is asked for and when the time has come; an update that would is not begun.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::window::named;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::model::finding::Severity;
use crate::model::ids::InstallationName;
use crate::state::Db;
use crate::state::upgrades::Options;
use crate::view::window::{MissedView, ScheduledView};
use crate::view::{ErrorView, PlanView};

/// Later than this is another night: the computer slept, or Liftlock was not there.
const LATE: TimeDelta = TimeDelta::minutes(40);
/// Nobody knows what will be out by then.
const FARTHEST: TimeDelta = TimeDelta::days(31);

/// What was agreed to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Appointment {
    to: String,
    at: DateTime<Utc>,
    /// What was found when it was agreed to, by class.
    known: Vec<String>,
    confirmed_seconds: Option<u64>,
}

fn key(name: &InstallationName) -> String {
    format!("scheduled_upgrade/{name}")
}

fn missed_key(name: &InstallationName) -> String {
    format!("missed_upgrade/{name}")
}

impl Engine {
    /// Begins an update at a time instead of now; `None` takes that back.
    ///
    /// # Errors
    /// `locked`, `unknown_installation`; `bad_time` for one that has passed or is more than a month away;
    /// `not_unattended` with what would need a person.
    pub fn schedule_upgrade(&self, name: &str, to: &str, at: Option<DateTime<Utc>>) -> Result<()> {
        self.must_be_unlocked()?;
        let name = named(name)?;
        let mut db = self.db()?;
        db.installation(&name)?;
        let Some(at) = at else { return db.forget_note(&key(&name)) };
        let now = self.clock.now();
        if at <= now || at > now + FARTHEST {
            return Err(Error::usage("bad_time", "An update can be set for a time from now on, within a month.")
                .remedy("Choose another time."));
        }
        let plan = self.plan(&name, Some(to), &Options::default())?;
        if let Some(why) = needs_a_person(&plan) {
            return Err(Error::refused("not_unattended", format!("This update cannot run while nobody looks: {why}"))
                .remedy("Start it while you are there."));
        }
        let confirmed_seconds = self.confirmed_seconds(&db, &name, to)?;
        let known = plan.findings.into_iter().map(|it| it.class).collect();
        db.forget_note(&missed_key(&name))?;
        keep(&mut db, &key(&name), &Appointment { to: to.to_owned(), at, known, confirmed_seconds })
    }

    /// Begins every update whose time has come, each once. One that cannot be begun any more is remembered with the
    /// reason until a person does something about updates of it.
    ///
    /// # Errors
    /// Those of the state itself.
    pub fn run_scheduled_upgrades(&self) -> Result<()> {
        let mut db = self.db()?;
        for installation in db.installations()? {
            let name = installation.name;
            let Some(due) = appointment(&db, &name)?.filter(|it| it.at <= self.clock.now()) else { continue };
            // One attempt: whatever becomes of it, it is not tried again.
            db.forget_note(&key(&name))?;
            if let Err(error) = self.keep_appointment(&name, &due) {
                let missed = MissedView { to: due.to, at: due.at, problem: ErrorView::from(&error) };
                keep(&mut db, &missed_key(&name), &missed)?;
            }
        }
        Ok(())
    }

    /// Whether somebody has to wake us for one.
    pub(super) fn is_any_upgrade_scheduled(&self) -> Result<bool> {
        let db = self.db()?;
        let all = db.installations()?.into_iter().map(|it| appointment(&db, &it.name));
        Ok(all.collect::<Result<Vec<_>>>()?.iter().any(Option::is_some))
    }

    fn keep_appointment(&self, name: &InstallationName, due: &Appointment) -> Result<()> {
        if self.clock.now() > due.at + LATE {
            return Err(Error::failed(
                "slept",
                format!("The update to {} was not begun: the computer slept, or Liftlock was not running.", due.to),
            )
            .remedy("Choose another time, or start it now."));
        }
        let plan = self.plan(name, Some(&due.to), &Options::default())?;
        let news = plan.findings.iter().find(|it| it.severity > Severity::Note && !due.known.contains(&it.class));
        if let Some(why) = needs_a_person(&plan).or(news.map(|it| it.message.clone())) {
            return Err(Error::failed(
                "found_something_new",
                format!("The update to {} was not begun, because something was found: {why}", due.to),
            )
            .remedy("Look at the update; it says what to do."));
        }
        let options = Options { confirmed_seconds: due.confirmed_seconds, ..Options::default() };
        self.begin_upgrade(name, Some(&due.to), &options, "the time that was set").map(drop)
    }

    /// The update that is set for a time.
    pub(super) fn scheduled(&self, db: &Db, name: &InstallationName) -> Result<Option<ScheduledView>> {
        Ok(appointment(db, name)?.map(|it| ScheduledView { to: it.to, at: it.at }))
    }

    /// The one that was not begun, and why.
    pub(super) fn missed(&self, db: &Db, name: &InstallationName) -> Result<Option<MissedView>> {
        Ok(db.note(&missed_key(name))?.and_then(|it| serde_json::from_str(&it).ok()))
    }

    /// A person has read why an update was not begun.
    ///
    /// # Errors
    /// `unknown_installation`.
    pub fn forget_missed(&self, name: &str) -> Result<()> {
        self.db()?.forget_note(&missed_key(&named(name)?))
    }
}

/// What nobody could answer in the night.
fn needs_a_person(plan: &PlanView) -> Option<String> {
    if let Some(stop) = plan.findings.iter().find(|it| it.severity == Severity::Stop) {
        return Some(stop.message.clone());
    }
    if !plan.possible {
        return Some("there is nothing to update to.".to_owned());
    }
    (!plan.rehearsal).then(|| "it cannot be tried on a copy of the data first.".to_owned())
}

fn appointment(db: &Db, name: &InstallationName) -> Result<Option<Appointment>> {
    // One that cannot be read was not agreed to.
    Ok(db.note(&key(name))?.and_then(|it| serde_json::from_str(&it).ok()))
}

fn keep(db: &mut Db, key: &str, what: &impl Serialize) -> Result<()> {
    let text = serde_json::to_string(what)
        .map_err(|cause| Error::bug("appointment", "What was set could not be kept.").because(&cause))?;
    db.set_note(key, &text)
}
