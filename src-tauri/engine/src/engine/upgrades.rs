//! The verbs that begin, stop and finish upgrades.

use std::env;
use std::path::PathBuf;
use std::time::Duration;

use crate::clock::same_boot;
use crate::engine::Engine;
use crate::error::{Error, Kind, Result};
use crate::model::ids::{InstallationName, UpgradeId};
use crate::model::state::{Event, State};
use crate::ports::Invocation;
use crate::process::{BESIDE, Identity, LogFile, beside_of, end_with_descendants, spawn_detached};
use crate::state::Db;
use crate::state::installations::Installation;
use crate::state::journal::{Ending, Journal};
use crate::state::lease::{Lease, UPGRADE};
use crate::state::upgrades::{Options, Outcome, Upgrade};
use crate::steps::let_in::opening;
use crate::upgrade::work::{private_copy, this_process, work, write_history};
use crate::view::{ResumeView, UpgradeStatus};

/// How often a worker that lost a connection, not its upgrade, takes the upgrade up again by itself.
const TAKEN_ANEW: u32 = 5;

impl Engine {
    /// Asks for an upgrade and starts the worker that does it.
    ///
    /// # Errors
    /// `locked`, `unknown_installation`; `busy` where one is under way; what keeps the worker from being started.
    pub fn start_upgrade(
        &self,
        name: &InstallationName,
        to: Option<&str>,
        options: &Options,
        initiated_by: &str,
    ) -> Result<UpgradeId> {
        self.must_be_unlocked()?;
        self.begin_upgrade(name, to, options, initiated_by)
    }

    /// The same for what a person was allowed to ask for earlier.
    pub(super) fn begin_upgrade(
        &self,
        name: &InstallationName,
        to: Option<&str>,
        options: &Options,
        initiated_by: &str,
    ) -> Result<UpgradeId> {
        let mut db = self.db()?;
        let installation = db.installation(name)?;
        let component =
            self.profile_of(&installation)?.components.first().map(|it| it.name.clone()).unwrap_or_default();
        // Someone may hold the lease for a backup, without an upgrade of its own.
        Lease::must_be_free(&self.home, name)?;
        let id =
            db.ask_for_upgrade(name, &component, to.unwrap_or("latest"), options, initiated_by, self.clock.now())?;
        match self.launch(id) {
            Ok(_) => Ok(id),
            Err(error) => {
                self.end_unlaunched(&installation, id, &error)?;
                Err(error)
            }
        }
    }

    /// An upgrade for which no worker could be started ends at once, with the reason: nobody would come by for it, and
    /// nothing else could be asked for meanwhile.
    fn end_unlaunched(&self, installation: &Installation, id: UpgradeId, error: &Error) -> Result<()> {
        let mut db = self.db()?;
        let holder = this_process(self.clock.as_ref(), UPGRADE)?;
        let lease = match Lease::take(&mut db, &self.home, &installation.name, &installation.folder, &holder) {
            // Somebody is at it after all.
            Err(error) if error.kind == Kind::Busy => return Ok(()),
            lease => lease?,
        };
        if db.upgrade(id)?.state != State::Pending {
            return Ok(());
        }
        let ending = Ending {
            outcome: Outcome::Failed,
            message: "Nothing was changed. The update did not begin.".to_owned(),
            error: Some(error.clone()),
            receipt: None,
            boot_id: self.clock.boot_id(),
            uptime: self.clock.since_boot().as_secs_f64(),
        };
        Journal::take_up(db, id, lease.epoch, &holder, self.clock.now())?.end(
            Event::Broke,
            &ending,
            self.clock.now(),
        )?;
        write_history(&self.home)
    }

    /// Starts a worker for an upgrade: detached, from a private copy of the program, logging to the upgrade's folder.
    ///
    /// # Errors
    /// `no_worker` where the program is missing; what starting it answers.
    pub fn launch(&self, id: UpgradeId) -> Result<Identity> {
        self.leave_notes(id)?;
        let folder = self.home.upgrade(id);
        crate::state::home::make_private_dir(&folder)?;
        let invocation = self.worker_invocation()?.args(["work", &id.to_string()]);
        spawn_detached(&invocation, &LogFile::at(folder.join("worker.log")))
    }

    /// The worker's private copy, with the little that it may know of whoever starts it.
    pub(super) fn worker_invocation(&self) -> Result<Invocation> {
        let program = self.worker_program()?;
        let copy = private_copy(&self.home, &program)?;
        let mut invocation = Invocation::new(copy).env("LIFTLOCK_HOME", self.home.root()).dir(self.home.root());
        invocation = invocation.env(BESIDE, beside_of(&program));
        for variable in [
            "USER",
            "LOGNAME",
            "HOME",
            "XDG_RUNTIME_DIR",
            "SSL_CERT_FILE",
            "LIFTLOCK_LOG",
            "LIFTLOCK_CRASH_AT",
            "LIFTLOCK_FREEZE_AT",
            "LIFTLOCK_CRASH_LOG",
        ] {
            if let Some(value) = env::var_os(variable) {
                invocation = invocation.env(variable, value);
            }
        }
        Ok(invocation)
    }

    /// Leaves beside the state what is needed to know this upgrade and its installation again, should the state be lost.
    ///
    /// # Errors
    /// `unknown_upgrade`; what the disk answered.
    pub fn leave_notes(&self, id: UpgradeId) -> Result<()> {
        let db = self.db()?;
        let upgrade = db.upgrade(id)?;
        self.note_upgrade(&upgrade)?;
        // Those that were added before there were notes get theirs here.
        match db.installation(&upgrade.installation) {
            Ok(installation) => self.note_installation(&installation),
            Err(_) => Ok(()),
        }
    }

    pub(crate) fn worker_program(&self) -> Result<PathBuf> {
        let found = match &self.worker {
            Some(path) => Ok(path.clone()),
            None => env::current_exe(),
        };
        found.ok().filter(|it| it.is_file()).ok_or_else(|| {
            Error::failed("no_worker", "A part of Liftlock is missing: the program that does the work.")
                .remedy("Install Liftlock again; your applications and backups are not touched.")
        })
    }

    /// Works on an upgrade in this very process, until it has ended. What `liftlock work` does.
    ///
    /// # Errors
    /// `busy`, `lease_lost`, and those of the state itself.
    pub fn work(&self, mut id: UpgradeId) -> Result<State> {
        let _ = crate::space::ensure_ballast(&self.home.ballast());
        let mut again = 0;
        let mut is_rescued = false;
        loop {
            match work(&self.home, &self.clock, id) {
                // What is then left of the upgrade is looked at anew; it does not go on by itself.
                Err(error) if error.class == "state_corrupt" && !is_rescued => {
                    is_rescued = true;
                    if !self.rescue()? {
                        return Err(error);
                    }
                }
                // With the ballast gone there is room to write down what happened.
                Err(error) if error.class == "disk_full" && crate::space::release_ballast(&self.home.ballast()) => {}
                // Nobody else need come by while the application is away: stopped, it takes everything anew and looks first.
                Err(error)
                    if again < TAKEN_ANEW && matches!(error.class.as_ref(), "server_lease_lost" | "state_busy") =>
                {
                    again += 1;
                    std::thread::sleep(Duration::from_secs(1));
                }
                Ok(State::Complete) => match self.next_hop(id)? {
                    // A stop on the way: the rest was asked for in the moment in which this was complete.
                    Some(next) => (id, again) = (next, 0),
                    None => return Ok(State::Complete),
                },
                ended => return ended,
            }
        }
    }

    /// The upgrade that goes on where this one has ended, if this one was a stop on the way.
    ///
    /// # Errors
    /// Those of the state itself.
    pub fn next_hop(&self, id: UpgradeId) -> Result<Option<UpgradeId>> {
        self.db()?.next_hop(id)
    }

    /// Whether anybody works on an installation now, also one whose upgrade has ended: a worker says the last word first,
    /// and lets go of the installation then.
    ///
    /// # Errors
    /// Those of the state itself.
    pub fn is_worked_on(&self, name: &InstallationName) -> Result<bool> {
        Ok(Lease::holder(&self.home, name)?.is_some())
    }

    /// Asks a running upgrade to stop; one that nobody works on is ended by the worker that is started for it.
    ///
    /// # Errors
    /// `locked`, `already_finished`, `cannot_cancel_rollback`, `too_late_to_cancel`.
    pub fn cancel(&self, id: UpgradeId) -> Result<UpgradeStatus> {
        self.must_be_unlocked()?;
        let mut db = self.db()?;
        let installation = db.installation(&db.upgrade(id)?.installation)?;
        db.ask_to_cancel(id, &opening(&self.profile_of(&installation)?).step, self.clock.now())?;
        if !self.is_worked_on(&installation.name)? {
            self.launch(id)?;
        }
        self.upgrade_status(id)
    }

    /// Starts a new attempt of an upgrade that ended without success, under a new id.
    ///
    /// # Errors
    /// `locked`, `nothing_to_retry`; as [`Engine::start_upgrade`].
    pub fn retry(&self, id: UpgradeId, initiated_by: &str) -> Result<UpgradeId> {
        self.must_be_unlocked()?;
        let upgrade = self.db()?.upgrade(id)?;
        if !matches!(upgrade.state, State::Failed | State::RolledBack) {
            return Err(Error::refused(
                "nothing_to_retry",
                format!("This upgrade is {}; there is nothing to try again.", upgrade.state),
            )
            .remedy("`liftlock status` shows what it is doing, or what it needs."));
        }
        if upgrade.acknowledged_at.is_none() {
            self.acknowledge(id)?;
        }
        let to = (upgrade.to != "latest").then_some(upgrade.to.as_str());
        let options = Options { after: None, ..upgrade.options };
        self.start_upgrade(&upgrade.installation, to, &options, initiated_by)
    }

    /// Goes on with interrupted upgrades: one, or all. A worker that is past its deadline is ended first.
    ///
    /// # Errors
    /// `unknown_upgrade`; what keeps a worker from being started.
    pub fn resume(&self, id: Option<UpgradeId>) -> Result<ResumeView> {
        let db = self.db()?;
        // A line that could not be written when the outcome was reached is written now.
        write_history(&self.home)?;
        crate::site::sweep_secrets(&self.home);
        self.sweep_secrets_of_ended(&db);
        let unfinished = match id {
            Some(id) => vec![db.upgrade(id)?],
            None => db.unfinished_upgrades()?,
        };
        let mut view = ResumeView { resumed: Vec::new(), running: Vec::new(), removed: Vec::new() };
        for upgrade in unfinished.into_iter().filter(|it| !it.state.is_final()) {
            let held = Lease::holder(&self.home, &upgrade.installation)?;
            if held.is_some() && !self.end_if_overdue(&upgrade)? {
                // Somebody else's act has an end, and who names one upgrade is told to wait for it.
                if id.is_some() && !Lease::is_worker(held.as_ref()) {
                    Lease::must_be_free(&self.home, &upgrade.installation)?;
                }
                view.running.push(upgrade.id);
            } else {
                self.launch(upgrade.id)?;
                view.resumed.push(upgrade.id);
            }
        }
        if id.is_none() {
            self.resume_leaving()?;
            let mut names: Vec<_> = db.originals(None)?.into_iter().map(|it| it.installation).collect();
            names.extend(self.to_look_over(&db)?);
            names.sort_unstable();
            names.dedup();
            for name in names {
                // What cannot be removed stays and is shown; it keeps nobody from going on with an upgrade.
                view.removed.extend(self.tidy(&name).unwrap_or_default());
            }
        }
        Ok(view)
    }

    /// All installations, once a day: what updates left behind is looked for in their folders.
    fn to_look_over(&self, db: &Db) -> Result<Vec<InstallationName>> {
        let today = self.clock.now().date_naive().to_string();
        if db.note("looked_over")?.as_deref() == Some(&today) {
            return Ok(Vec::new());
        }
        self.db()?.set_note("looked_over", &today)?;
        Ok(db.installations()?.into_iter().map(|it| it.name).collect())
    }

    /// Removes passfiles of upgrades whose worker was killed after their end and before it could. What cannot be
    /// removed now is tried again by the next one.
    fn sweep_secrets_of_ended(&self, db: &Db) {
        let folders = std::fs::read_dir(self.home.root().join("secrets"));
        for folder in folders.into_iter().flatten().filter_map(std::result::Result::ok) {
            let id = folder.file_name().to_str().and_then(|it| it.parse::<UpgradeId>().ok());
            let Some(upgrade) = id.and_then(|it| db.upgrade(it).ok()).filter(|it| it.state.is_final()) else {
                continue;
            };
            if matches!(Lease::holder(&self.home, &upgrade.installation), Ok(None)) {
                let _ = std::fs::remove_dir_all(folder.path());
            }
        }
    }

    /// Ends a worker that is past the deadline it wrote down itself: a frozen one holds its lock for ever.
    fn end_if_overdue(&self, upgrade: &Upgrade) -> Result<bool> {
        let (Some(boot), Some(deadline), Some(holder)) =
            (&upgrade.alive_boot, upgrade.deadline_uptime, &upgrade.holder)
        else {
            return Ok(false);
        };
        if !same_boot(boot, &self.clock.boot_id()) || self.clock.since_boot().as_secs_f64() <= deadline {
            return Ok(false);
        }
        let identity = Identity { pid: holder.pid, start_ticks: holder.started_ticks, boot_id: holder.boot_id.clone() };
        if identity.is_alive() {
            end_with_descendants(&identity, None, std::time::Duration::from_secs(2))?;
        }
        Ok(Lease::holder(&self.home, &upgrade.installation)?.is_none())
    }
}
