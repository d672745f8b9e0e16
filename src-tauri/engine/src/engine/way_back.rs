//! The ways out of an upgrade that has ended, or that waits for a person: back to the originals, or settled by looking.

use crate::drivers::{DataMove, Gate};
use crate::engine::Engine;
use crate::engine::compare::named_for_people;
use crate::error::{Error, Kind, Result};
use crate::model::ids::{InstallationName, UpgradeId};
use crate::model::state::{Event, State};
use crate::probes::Budget;
use crate::process::Silent;
use crate::site::Site;
use crate::state::Db;
use crate::state::home::Home;
use crate::state::installations::Installation;
use crate::state::journal::{Direction, Ending, Journal, StepRun, runs_of};
use crate::state::lease::Lease;
use crate::state::upgrades::{Outcome, Upgrade};
use crate::steps::aside::{AsideAnswer, AsideIntent, SetAside, final_dump};
use crate::steps::check::Way;
use crate::steps::let_in::users_may_be_in;
use crate::steps::migrate::{Compare, migration_was_begun};
use crate::steps::moved::SwitchDatabase;
use crate::steps::release::Switch;
use crate::steps::serve::HoldAutostart;
use crate::steps::{Step, parse};
use crate::stores::{AsideState, Counts, DataStore};
use crate::upgrade::work::{this_process, write_history};
use crate::view::UpgradeStatus;

impl Engine {
    /// Goes back: tries again where a person is needed, stops one that runs, or returns from a completed one
    /// to the originals it set aside.
    ///
    /// # Errors
    /// `locked`, `nothing_to_roll_back`; `work_would_be_lost` where users have changed data since, unless `accept_loss`.
    pub fn rollback(&self, name: &InstallationName, accept_loss: bool) -> Result<UpgradeId> {
        self.must_be_unlocked()?;
        let mut db = self.db()?;
        let installation = db.installation(name)?;
        // Attempts since then that changed nothing do not stand in the way.
        let upgrades = db.upgrades(Some(name), 1000)?;
        let upgrade =
            upgrades.into_iter().find(|it| it.state != State::Failed).ok_or_else(|| nothing_to_roll_back(name))?;
        let event = match upgrade.state {
            State::NeedsAttention => Event::RollbackRetried,
            State::Complete => Event::ReturnAsked,
            State::Failed | State::RolledBack => return Err(nothing_to_roll_back(name)),
            State::RollingBack => {
                self.resume(Some(upgrade.id))?;
                return Ok(upgrade.id);
            }
            _ => {
                self.cancel(upgrade.id)?;
                return Ok(upgrade.id);
            }
        };
        {
            let holder = this_process(self.clock.as_ref(), "rollback")?;
            let lease = Lease::take(&mut db, &self.home, name, &installation.folder, &holder)?;
            let runs = runs_of(&db, upgrade.id)?;
            expect_a_journal(&upgrade, &runs)?;
            if event == Event::ReturnAsked {
                expect_nothing_removed(&db, &upgrade)?;
                expect_originals(&self.site_of(&installation, &upgrade)?, &runs)?;
            }
            let loses = event == Event::ReturnAsked || users_may_be_in(&self.profile_of(&installation)?, &runs);
            if loses && !accept_loss {
                return Err(would_lose_work(&self.site_of(&installation, &upgrade)?, &runs, &upgrade));
            }
            Journal::take_up(db, upgrade.id, lease.epoch, &holder, self.clock.now())?.reopen(event)?;
        }
        self.launch(upgrade.id)?;
        Ok(upgrade.id)
    }

    /// The completed update that can be gone back from, and what was entered since.
    pub(super) fn since_update(&self, name: &InstallationName) -> Result<(Upgrade, Vec<String>)> {
        let db = self.db()?;
        let installation = db.installation(name)?;
        let upgrades = db.upgrades(Some(name), 1000)?;
        let upgrade = upgrades.into_iter().find(|it| it.state != State::Failed);
        let upgrade = upgrade.filter(|it| it.state == State::Complete).ok_or_else(|| nothing_to_roll_back(name))?;
        let runs = runs_of(&db, upgrade.id)?;
        expect_nothing_removed(&db, &upgrade)?;
        let site = self.site_of(&installation, &upgrade)?;
        expect_originals(&site, &runs)?;
        Ok((upgrade, counted_since(&site, &runs)))
    }

    /// The installation as the worker of this upgrade sees it.
    pub(super) fn site_of(&self, installation: &Installation, upgrade: &Upgrade) -> Result<Site> {
        let site = self.site(installation)?;
        if upgrade.options.restore.is_some() { site.for_restore("liftlock") } else { Ok(site) }
    }

    /// Leaves `needs_attention` by looking: the installation must run well, with one version's release and data.
    ///
    /// # Errors
    /// `locked`, `not_settled` with what was seen.
    pub fn settle(&self, id: UpgradeId) -> Result<UpgradeStatus> {
        self.must_be_unlocked()?;
        let mut db = self.db()?;
        let upgrade = db.upgrade(id)?;
        if upgrade.state != State::NeedsAttention {
            return Err(Error::refused(
                "nothing_to_settle",
                format!("This upgrade is {}; it does not need you.", upgrade.state),
            )
            .remedy("Nothing to do."));
        }
        let installation = db.installation(&upgrade.installation)?;
        let holder = this_process(self.clock.as_ref(), "settle")?;
        let lease = Lease::take(&mut db, &self.home, &upgrade.installation, &installation.folder, &holder)?;
        let site = self.site_of(&installation, &upgrade)?;
        // Only looked at: whatever is found, nothing was touched.
        let refused = |error: Error| error.as_kind(Kind::Refused);
        let budget = Budget::after_start(site.profile.limits.start_within);
        site.wait_until_healthy(Gate::Public, budget, &Silent).map_err(refused)?;
        let version = site.ask_version(Gate::Public, &Silent).map_err(refused)?.to_string();
        let runs = runs_of(&db, id)?;
        let swapped = has_new_data(&runs, &site, &self.home, id)?;
        let (event, outcome) = if upgrade.from.as_deref() == Some(&version) && !swapped.contains(&true) {
            (Event::SettledOld, Outcome::RolledBack)
        } else if upgrade.to == version && !swapped.contains(&false) {
            (Event::SettledNew, Outcome::Success)
        } else {
            return Err(Error::refused(
                "not_settled",
                format!("{version} is running, but not all data is that of {version}."),
            )
            .remedy(format!(
                "Try `liftlock rollback {}` again, or follow the steps in the receipt.",
                upgrade.installation
            )));
        };
        // It was held when the upgrade began, and nobody else lets it go.
        let held = HoldAutostart.key();
        if let Some(run) = runs.iter().rfind(|it| it.direction == Direction::Forward && it.key == held) {
            site.restore_autostart(&run.intent, &Silent)?;
        }
        let mut journal = Journal::take_up(db, id, lease.epoch, &holder, self.clock.now())?;
        journal.set_away(None, Some(self.clock.now()))?;
        let ending = Ending {
            outcome,
            message: format!("{version} is running well; you settled it."),
            error: None,
            receipt: None,
            boot_id: self.clock.boot_id(),
            uptime: self.clock.since_boot().as_secs_f64(),
        };
        journal.end(event, &ending, self.clock.now())?;
        journal.db_mut().observe_version(&upgrade.installation, &version, self.clock.now())?;
        write_history(&self.home)?;
        self.upgrade_status(id)
    }
}

/// For each store that changes places: whether the new version's data is in place.
fn has_new_data(runs: &[StepRun], site: &Site, home: &Home, id: UpgradeId) -> Result<Vec<bool>> {
    let changing = site.stores.iter().filter(|it| it.changes_places());
    changing.map(|store| store_has_new_data(runs, store.as_ref(), home, id)).collect()
}

fn store_has_new_data(runs: &[StepRun], store: &dyn DataStore, home: &Home, id: UpgradeId) -> Result<bool> {
    let key = SetAside::key_of(store.name());
    let (way, state) = match runs.iter().rfind(|it| it.key == key) {
        Some(run) => {
            let intent: AsideIntent = parse(&run.intent)?;
            (intent.way, store.observe(&intent.aside)?)
        }
        // Nothing was set aside, or the journal was lost and with it whether something was.
        None if final_dump(home, id, store.name()).exists() => {
            return Err(not_settled(
                format!("{} may have been changed in place, and the journal that knows is lost.", store.name()),
                "Go back to a backup: `liftlock backup list`.",
            ));
        }
        None => (Way::Copy, store.observe_by_name(&id.short())?),
    };
    Ok(match state {
        // Changed where it is: what takes its place then is the old data again.
        AsideState::Swapped => way != Way::InPlace,
        AsideState::NotStarted | AsideState::Copying | AsideState::Copied if way == Way::InPlace => {
            migration_was_begun(runs)
        }
        AsideState::NotStarted | AsideState::Copying | AsideState::Copied | AsideState::PutBack => false,
        AsideState::Swapping => {
            let what = format!("{} is between two places.", store.name());
            return Err(not_settled(what, "Try `liftlock rollback` again."));
        }
        AsideState::Unknown(why) => {
            let what = format!("Liftlock cannot tell how {} stands: {why}.", store.name());
            return Err(not_settled(what, "Follow the steps in the receipt. Delete nothing."));
        }
    })
}

fn not_settled(what: String, remedy: &'static str) -> Error {
    Error::refused("not_settled", what).remedy(remedy)
}

/// Going back walks the journal; without one it would have nothing to do and find nothing wrong.
fn expect_a_journal(upgrade: &Upgrade, runs: &[StepRun]) -> Result<()> {
    let held = HoldAutostart.key();
    if runs.iter().any(|it| it.direction == Direction::Forward && it.key == held) {
        return Ok(());
    }
    Err(Error::refused(
        "journal_lost",
        format!("Liftlock no longer knows what the update to {} had changed, so it cannot take it back.", upgrade.to),
    )
    .remedy(format!(
        "Go back to a backup: `liftlock backup list {0}`. If {0} is well as it is: `liftlock settle {1}`. Delete nothing.",
        upgrade.installation, upgrade.id
    )))
}

/// What is half removed looks like an original and is none.
fn expect_nothing_removed(db: &Db, upgrade: &Upgrade) -> Result<()> {
    let kept = db.originals(Some(&upgrade.installation))?;
    match kept.into_iter().find(|it| it.upgrade_id == upgrade.id && it.removing_since.is_some()) {
        None => Ok(()),
        Some(it) => Err(original_gone(&format!("{} is being removed", it.place))),
    }
}

fn original_gone(what: &str) -> Error {
    Error::refused("original_gone", format!("There is no way back any more: {what}."))
        .remedy("To go back all the same, restore a backup: `liftlock backup list`.")
}

/// A return stops the application, so it is not begun where there is nothing to return to.
fn expect_originals(site: &Site, runs: &[StepRun]) -> Result<()> {
    for store in site.stores.iter().filter(|it| it.changes_places()) {
        let key = SetAside::key_of(store.name());
        let Some(run) = runs.iter().rfind(|it| it.direction == Direction::Forward && it.key == key) else { continue };
        let intent: AsideIntent = parse(&run.intent)?;
        let is_there = match intent.way {
            Way::InPlace => parse::<AsideAnswer>(&run.answer)?.final_dump.is_none_or(|it| it.folder.is_dir()),
            Way::Copy | Way::FromBackup => store.observe(&intent.aside)? == AsideState::Swapped,
        };
        if !is_there {
            return Err(original_gone(&format!("the original of {} is not where it was kept", store.name())));
        }
    }
    let moved = SwitchDatabase.key();
    if let Some(run) = runs.iter().rfind(|it| it.direction == Direction::Forward && it.key == moved) {
        let plan: DataMove = parse(&run.intent["plan"])?;
        if !site.driver.data_mover().is_some_and(|it| it.is_volume(&plan.old_volume).unwrap_or(true)) {
            return Err(original_gone(&format!("the volume {} is no longer here", plan.old_volume)));
        }
    }
    let switched = Switch.key();
    let old = runs.iter().rfind(|it| it.direction == Direction::Forward && it.key == switched);
    match old.and_then(|it| it.intent["old"].as_str()) {
        Some(old) if !site.driver.is_fetched(old) => {
            Err(original_gone(&format!("the release {old} is no longer here")))
        }
        _ => Ok(()),
    }
}

/// What was entered since an upgrade is lost by going back to the originals: that needs a person's word.
fn would_lose_work(site: &Site, runs: &[StepRun], upgrade: &Upgrade) -> Error {
    let changes = counted_since(site, runs);
    let seen = if changes.is_empty() {
        "No row was added or removed, but rows may have been edited.".to_owned()
    } else {
        changes.join("; ")
    };
    let from = upgrade.from.as_deref().unwrap_or("the old version");
    Error::refused(
        "work_would_be_lost",
        format!("What was entered since the update to {} will not be there in {from}. {seen}", upgrade.to),
    )
    .remedy(
        "If that is what you want, say so with --accept-loss-of-new-work. The data of today stays beside, under the name that the receipt tells.",
    )
}

/// What was entered or removed since an upgrade, as far as counting tells.
fn counted_since(site: &Site, runs: &[StepRun]) -> Vec<String> {
    let mut changes = Vec::new();
    for store in &site.stores {
        let compared = Compare::key_of(store.name());
        let after = runs.iter().rfind(|it| it.key == compared).map(|it| it.answer["after"].clone()).unwrap_or_default();
        let after: Counts = serde_json::from_value(after).unwrap_or_default();
        match store.counts(&Silent) {
            Ok(now) => changes.extend(now.iter().filter_map(|(table, rows)| {
                let before = after.get(table).copied().unwrap_or(0);
                (*rows != before).then(|| {
                    let what = named_for_people(&site.profile, store.name(), table);
                    format!("{what}: {before} after the update, {rows} now")
                })
            })),
            Err(error) => changes.push(format!("{} cannot be counted: {}", store.name(), error.message)),
        }
    }
    changes
}

fn nothing_to_roll_back(name: &InstallationName) -> Error {
    Error::refused("nothing_to_roll_back", format!("{name} has no update that could be taken back."))
        .remedy("To go back further, restore a backup: `liftlock backup list`.")
}
