//! The old installation after a fresh start: looked at, started again, removed by an explicit act.

use std::net::Ipv4Addr;

use chrono::{DateTime, Utc};

use super::{Plan, Work, stop};
use crate::backups::{self, BackupKind};
use crate::drivers::{Gate, port};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::model::fresh::FreshState;
use crate::model::ids::InstallationName;
use crate::ports::Reporter;
use crate::probes::Budget;
use crate::process::Silent;
use crate::space::human;
use crate::state::Db;
use crate::state::fresh::FreshStart;
use crate::state::lease::Lease;
use crate::stores::Grade;
use crate::upgrade::work::this_process;
use crate::view::{SetAsideUse, SetAsideView};

/// The word that a person types to remove an installation that was set aside.
pub const REMOVE: &str = "REMOVE";

/// Whether an installation was set aside for another.
pub(crate) fn is_set_aside(db: &Db, name: &InstallationName) -> Result<Option<InstallationName>> {
    let found = db.fresh_starts(Some(name))?.pop();
    Ok(found.filter(|it| matches!(it.state, FreshState::Complete | FreshState::Removing)).map(|it| it.successor))
}

impl Engine {
    /// Every installation that was set aside, with its size and since when.
    ///
    /// # Errors
    /// Those of the state itself.
    pub fn set_aside(&self) -> Result<Vec<SetAsideView>> {
        let rows = self.db()?.fresh_starts(None)?;
        let kept = |it: &FreshStart| matches!(it.state, FreshState::Complete | FreshState::Removing);
        rows.iter().filter(|it| kept(it)).map(|row| self.set_aside_view(row)).collect()
    }

    /// One of them.
    ///
    /// # Errors
    /// `no_fresh_start` where it was not set aside; what its database answered.
    pub fn set_aside_of(&self, name: &InstallationName) -> Result<SetAsideView> {
        let kept = |it: &FreshStart| matches!(it.state, FreshState::Complete | FreshState::Removing);
        let row = self.db()?.fresh_starts(Some(name))?.pop().filter(kept).ok_or_else(|| {
            Error::refused("no_fresh_start", format!("{name} was not set aside.")).remedy("Go back to Home.")
        })?;
        self.set_aside_view(&row)
    }

    /// Starts the old installation for a look: on a port of its own, beside the new one, and nothing can be written.
    ///
    /// # Errors
    /// `locked`, `no_fresh_start`, `busy`; `cannot_look` where nothing keeps it from writing, or its port cannot be chosen.
    pub fn look_at_set_aside(&self, name: &InstallationName, reporter: &dyn Reporter) -> Result<SetAsideView> {
        self.must_be_unlocked()?;
        let mut work = self.take_up(name, reporter)?;
        work.expect(FreshState::Complete)?;
        let site = work.old()?;
        let databases: Vec<_> =
            site.stores.iter().filter(|it| site.profile.store(it.name()).is_some_and(|it| it.is_database())).collect();
        if let Some(source) = site.sources.first() {
            return Err(cannot_look(name, source.name()));
        }
        if site.profile.gate.is_none() {
            return Err(Error::refused(
                "cannot_look",
                "This application cannot be started on another port, and its own is taken.",
            )
            .remedy(format!("`liftlock aside start {name}` stops the new one and starts this one instead.")));
        }
        let chosen = match work.plan.look {
            Some(port) => port,
            None => port::any_free(Ipv4Addr::LOCALHOST.into())?,
        };
        work.plan.look = Some(chosen);
        work.advance(FreshState::Complete)?;
        for store in databases {
            if !store.set_read_only(true)? {
                return Err(cannot_look(name, store.name()));
            }
        }
        let gate = Gate::Private(chosen);
        for component in site.driver.components() {
            site.start(&component, gate, reporter)?;
        }
        site.wait_until_healthy(gate, Budget::after_start(site.profile.limits.start_within), reporter)?;
        self.set_aside_view(&work.row)
    }

    /// Stops the new installation and starts the old one in its place, on the public port. Nothing is removed by that.
    ///
    /// # Errors
    /// `locked`, `no_fresh_start`, `busy`; what keeps it from starting: then the new one is started again.
    pub fn start_set_aside(&self, name: &InstallationName, reporter: &dyn Reporter) -> Result<SetAsideView> {
        self.must_be_unlocked()?;
        let mut work = self.take_up(name, reporter)?;
        work.expect(FreshState::Complete)?;
        let _lease = work.lease_of_successor()?;
        work.end_look()?;
        let new = work.new_site()?;
        stop(&new, reporter)?;
        work.plan.was_running = true;
        // From here on people may write into it.
        work.plan.written_until = Some(self.clock.now());
        work.advance(FreshState::Complete)?;
        let started = work.start_old();
        if let Err(error) = started {
            stop(&work.old()?, reporter)?;
            work.start_and_look(&new, Gate::Public)?;
            return Err(error.detail(format!("{} was started again.", work.row.successor)));
        }
        self.set_aside_view(&work.row)
    }

    /// Stops the old installation again; where it had the public port, the new one takes it.
    ///
    /// # Errors
    /// `locked`, `no_fresh_start`, `busy`; what keeps one from stopping or the other from starting.
    pub fn stop_set_aside(&self, name: &InstallationName, reporter: &dyn Reporter) -> Result<SetAsideView> {
        self.must_be_unlocked()?;
        let mut work = self.take_up(name, reporter)?;
        work.expect(FreshState::Complete)?;
        let _lease = work.lease_of_successor()?;
        let old = work.old()?;
        old.hold_autostart(work.plan.autostart.as_ref().unwrap_or(&serde_json::Value::Null), reporter)?;
        work.end_look()?;
        stop(&old, reporter)?;
        work.plan.written_until = Some(self.clock.now());
        work.advance(FreshState::Complete)?;
        work.start_and_look(&work.new_site()?, Gate::Public)?;
        self.set_aside_view(&work.row)
    }

    /// Removes the old installation for good: its database, its folder, its entry. Its backups stay.
    ///
    /// # Errors
    /// `not_confirmed` with its size and age unless `typed` is [`REMOVE`]; `locked`, `no_fresh_start`, `busy`;
    /// `no_proven_backup`; `still_running`; what the server or the disk answered, with which it can be asked again.
    pub fn remove_set_aside(
        &self,
        name: &InstallationName,
        typed: Option<&str>,
        reporter: &dyn Reporter,
    ) -> Result<SetAsideView> {
        self.must_be_unlocked()?;
        let mut work = self.take_up(name, reporter)?;
        if work.row.state != FreshState::Removing {
            work.expect(FreshState::Complete)?;
        }
        let seen = self.set_aside_view(&work.row)?;
        if typed.map(str::trim) != Some(REMOVE) {
            return Err(not_confirmed(&seen, self.clock.now()));
        }
        if seen.used != SetAsideUse::Stopped {
            return Err(Error::refused("still_running", format!("{name} runs."))
                .remedy(format!("Stop it with `liftlock aside stop {name}` first.")));
        }
        if work.row.state != FreshState::Removing {
            let since = work.plan.written_until.unwrap_or(work.row.begun_at);
            if !self.has_proven_backup(name, since, reporter)? {
                // It takes the lease by itself. Nothing of the old one is running, so it holds everything.
                drop(work);
                self.back_up(name, BackupKind::Manual, "before its removal", reporter)?;
                work = self.take_up(name, reporter)?;
                work.expect(FreshState::Complete)?;
                if !self.has_proven_backup(name, since, reporter)? {
                    return Err(Error::refused(
                        "no_proven_backup",
                        format!("There is no proven backup of {name} since it was stopped."),
                    )
                    .remedy(format!("`liftlock backup create {name}` makes one. Nothing was removed.")));
                }
            }
            work.advance(FreshState::Removing)?;
        }
        let site = work.old()?;
        for store in &site.stores {
            if let Some(identity) = work.plan.identities.get(store.name()) {
                store.remove_for_good(identity)?;
            }
        }
        let folder = work.plan.old_folder.clone();
        match std::fs::remove_dir_all(&folder) {
            Err(cause) if cause.kind() != std::io::ErrorKind::NotFound => {
                return Err(Error::io("remove", &folder, &cause));
            }
            _ => {}
        }
        let places: Vec<String> =
            self.home.places_of_backups(name)?.iter().map(|it| it.display().to_string()).collect();
        work.plan.says.push(format!("{name} was removed. Its backups are in {}.", places.join(", ")));
        work.advance(FreshState::Removed)?;
        self.db()?.remove_installation(name)?;
        self.forget_installation(name);
        Ok(SetAsideView { bytes: Some(0), removed: true, ..seen })
    }

    /// Whether a backup that was proven, and whose files are still what they were, holds all that was written until then.
    fn has_proven_backup(
        &self,
        name: &InstallationName,
        since: DateTime<Utc>,
        reporter: &dyn Reporter,
    ) -> Result<bool> {
        let (all, _) = backups::of(&self.home, name, self.clock.now())?;
        // One that a clock dated which was ahead may be older than what it must hold.
        let is_since = |at| at >= since && !backups::is_ahead(at, self.clock.now());
        let newest =
            all.iter().find(|it| it.grade >= Grade::Proven && it.failed.is_none() && is_since(it.manifest.made_at));
        newest.map_or(Ok(false), |it| backups::check(it, reporter).map(|()| true))
    }

    fn set_aside_view(&self, row: &FreshStart) -> Result<SetAsideView> {
        let plan: Plan = row.plan()?;
        let installation = self.db()?.installation(&row.installation)?;
        let site = self.site(&installation)?;
        let runs = site.driver.components().iter().any(|it| site.driver.is_running(it, &Silent).unwrap_or(false));
        let used = match (runs, plan.look) {
            (false, _) => SetAsideUse::Stopped,
            (true, Some(_)) => SetAsideUse::Looked,
            (true, None) => SetAsideUse::InUse,
        };
        let mut bytes = folder_size(&installation.folder);
        for store in &site.stores {
            // Files are in the folder already, but for those in a volume.
            if site.profile.store(store.name()).is_some_and(|it| it.is_database() || it.volume().is_some()) {
                bytes += store.size(&Silent).unwrap_or(0);
            }
        }
        Ok(SetAsideView {
            installation: row.installation.clone(),
            successor: row.successor.clone(),
            version: plan.from,
            folder: installation.folder.display().to_string(),
            since: row.ended_at.unwrap_or(row.begun_at),
            bytes: Some(bytes),
            used,
            address: plan.look.filter(|_| runs).map(|port| format!("http://127.0.0.1:{port}")),
            removed: false,
        })
    }
}

impl Work<'_> {
    fn expect(&self, state: FreshState) -> Result<()> {
        if self.row.state == state {
            return Ok(());
        }
        let name = &self.row.installation;
        Err(Error::refused("not_set_aside", format!("The fresh start of {name} is not complete: {}.", self.row.state))
            .remedy(format!("`liftlock fresh-start {name}` goes on with it.")))
    }

    fn lease_of_successor(&self) -> Result<Lease> {
        let mut db = self.engine.db()?;
        let holder = this_process(self.engine.clock.as_ref(), "fresh start")?;
        Lease::take(&mut db, &self.engine.home, &self.row.successor, &self.plan.folder, &holder)
    }

    fn end_look(&mut self) -> Result<()> {
        if self.plan.look.is_none() {
            return Ok(());
        }
        let old = self.old()?;
        stop(&old, self.reporter)?;
        for store in &old.stores {
            store.set_read_only(false)?;
        }
        self.plan.look = None;
        self.advance(FreshState::Complete)
    }
}

fn cannot_look(name: &InstallationName, store: &str) -> Error {
    Error::refused("cannot_look", format!("Nothing could keep it from writing to {store}."))
        .remedy(format!("`liftlock aside start {name}` stops the new one and starts this one instead."))
}

fn not_confirmed(seen: &SetAsideView, now: DateTime<Utc>) -> Error {
    let size = human(seen.bytes.unwrap_or(0));
    let days = (now - seen.since).num_days();
    let age = match days {
        0 => "set aside today".to_owned(),
        1 => "set aside yesterday".to_owned(),
        _ => format!("set aside {days} days ago"),
    };
    Error::refused(
        "not_confirmed",
        format!(
            "{} {} and its data take {size}, {age}. Nothing was removed.",
            seen.installation,
            seen.version.as_deref().unwrap_or_default()
        ),
    )
    .remedy(format!("Only its backups remain afterwards. Type {REMOVE} (--confirm {REMOVE}) to remove it."))
}

fn folder_size(folder: &std::path::Path) -> u64 {
    let mut bytes = 0;
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            match entry.metadata() {
                Ok(meta) if meta.is_dir() => open.push(entry.path()),
                Ok(meta) => bytes += meta.len(),
                Err(_) => {}
            }
        }
    }
    bytes
}
