//! Fresh starts: a release that cannot take the old data along is installed empty beside the old installation, which is
//! set aside whole, stopped, and can be started again.
//!
//! What is done is on record before it begins, and each act looks first, so that asking again after any interruption goes
//! on with it. Until the new one has the public port everything can be taken back; what anybody has written into it is
//! never removed. Nothing of the old installation is changed but whether it runs.

mod aside;
mod beside;
mod work;

use std::collections::BTreeMap;
use std::path::PathBuf;

use semver::Version;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::backups::BackupKind;
use crate::crash::{self, Moment};
use crate::drivers::Gate;
use crate::durable;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::export::{self, check};
use crate::model::fresh::FreshState;
use crate::model::ids::{FreshStartId, InstallationName};
use crate::model::profile::Run;
use crate::ports::Reporter;
use crate::releases::{Pinned, list};
use crate::site::Site;
use crate::state::fresh::FreshStart;
use crate::state::lease::Lease;
use crate::stores::Counts;
use crate::upgrade::work::this_process;
use crate::view::FreshStartView;

pub use aside::REMOVE;
pub(crate) use aside::is_set_aside;

/// The word that a person types to begin without an export.
pub const EMPTY: &str = "EMPTY";
/// What our mark in the folder of a new installation says, until it is in use.
const PURPOSE: &str = "fresh-start";

/// What a person chose.
#[derive(Debug, Clone, Default)]
pub struct FreshChoice {
    /// The version to begin with.
    pub to: Option<String>,
    /// The export that holds what shall come along.
    pub export: Option<PathBuf>,
    /// [`EMPTY`], where there is none.
    pub typed: Option<String>,
    /// The folder of the new installation; one beside the old one otherwise.
    pub folder: Option<PathBuf>,
    /// What the new installation is called.
    pub name: Option<InstallationName>,
}

/// What was fixed and found.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Plan {
    pub(super) from: Option<String>,
    pub(super) to: String,
    pub(super) old_folder: PathBuf,
    pub(super) folder: PathBuf,
    /// Stores of the new one that are databases: name of the store, and of the database that is made.
    pub(super) databases: BTreeMap<String, String>,
    pub(super) export: Option<PathBuf>,
    pub(super) backup: Option<PathBuf>,
    pub(super) pinned: Option<Pinned>,
    /// What started the old one by itself, as found.
    pub(super) autostart: Option<Value>,
    pub(super) was_running: bool,
    /// What the new one held before anybody could reach it.
    pub(super) born_with: Option<BTreeMap<String, Counts>>,
    /// The databases of the old one, by identity.
    pub(super) identities: BTreeMap<String, String>,
    /// The port on which the old one is looked at.
    #[serde(default)]
    pub(super) look: Option<u16>,
    /// Until when somebody may have written into the old one.
    #[serde(default)]
    pub(super) written_until: Option<chrono::DateTime<chrono::Utc>>,
    /// Sentences for people.
    #[serde(default)]
    pub(super) says: Vec<String>,
}

/// A fresh start that is being worked on, by whoever holds the lease.
pub(super) struct Work<'e> {
    engine: &'e Engine,
    row: FreshStart,
    plan: Plan,
    reporter: &'e dyn Reporter,
    _lease: Lease,
}

impl Engine {
    /// Begins a fresh start, or goes on with one that was interrupted, in this process, until the new release is in use and
    /// empty, the old one set aside.
    ///
    /// # Errors
    /// `locked`, `unknown_installation`, `busy`; `no_export` without an export and without the word; those of the plan:
    /// `not_breaking`, `export_of_another`, `cannot_make_beside`, `folder_taken`, …; `setting_missing`; what went wrong on the
    /// way, where the old one was put back in use.
    pub fn fresh_start(
        &self,
        name: &InstallationName,
        choice: &FreshChoice,
        reporter: &dyn Reporter,
    ) -> Result<FreshStartView> {
        self.must_be_unlocked()?;
        let row = match self.db()?.fresh_starts(Some(name))?.pop() {
            Some(row) if row.state == FreshState::Complete => {
                return Err(Error::refused(
                    "already_set_aside",
                    format!("{name} was set aside for {} already.", row.successor),
                )
                .remedy(format!(
                    "`liftlock aside start {name}` starts it again; {} is the one in use.",
                    row.successor
                )));
            }
            Some(row) if matches!(row.state, FreshState::Removing | FreshState::Undoing) => {
                return Err(Error::refused("being_taken_back", format!("A fresh start of {name} is {}.", row.state))
                    .remedy(format!(
                        "`liftlock fresh-start {name} --cancel` or `liftlock aside remove {name}` goes on with it."
                    )));
            }
            Some(row) => row,
            None => {
                let row = self.plan_fresh_start(name, choice, reporter)?;
                self.db()?.begin_fresh_start(&row)?;
                crash::point("forward", "fresh_start/asked", Moment::AfterIntent);
                row
            }
        };
        // It takes the lease by itself; a backup more does no harm.
        let mut plan: Plan = row.plan()?;
        if plan.backup.is_none() {
            let note = format!("before the fresh start with {}", plan.to);
            let made = self.back_up(name, BackupKind::Manual, &note, reporter)?;
            plan.backup = Some(PathBuf::from(made.path));
            self.db()?.advance_fresh_start(row.id, FreshState::Building, &plan, self.clock.now())?;
        }
        let mut work = self.take_up(name, reporter)?;
        work.expect_proven_backup()?;
        work.drive()?;
        work.view()
    }

    /// Takes a fresh start back that is not complete: the old installation runs again, what was made is removed.
    ///
    /// # Errors
    /// `locked`, `nothing_to_take_back`, `busy`; what went wrong, with which it can be asked again.
    pub fn cancel_fresh_start(&self, name: &InstallationName, reporter: &dyn Reporter) -> Result<FreshStartView> {
        self.must_be_unlocked()?;
        let mut work = self.take_up(name, reporter)?;
        if matches!(work.row.state, FreshState::Complete | FreshState::Removing) {
            return Err(Error::refused(
                "nothing_to_take_back",
                format!("{} is in use already, and people may have written into it.", work.row.successor),
            )
            .remedy(format!(
                "`liftlock aside start {name}` stops it and starts {name} again. Nothing is removed by that."
            )));
        }
        work.take_back()?;
        work.view()
    }

    /// How the fresh start of an installation stands, where it has one.
    ///
    /// # Errors
    /// `unknown_installation`; those of the state itself.
    pub fn fresh_start_of(&self, name: &InstallationName) -> Result<Option<FreshStartView>> {
        let db = self.db()?;
        db.installation(name)?;
        db.fresh_starts(Some(name))?.pop().map(|row| view(&row, &row.plan()?)).transpose()
    }

    /// The open fresh start of an installation, under its lease.
    pub(super) fn take_up<'e>(&'e self, name: &InstallationName, reporter: &'e dyn Reporter) -> Result<Work<'e>> {
        let mut db = self.db()?;
        let installation = db.installation(name)?;
        let holder = this_process(self.clock.as_ref(), "fresh start")?;
        let lease = Lease::take(&mut db, &self.home, name, &installation.folder, &holder)?;
        let row = db.fresh_starts(Some(name))?.pop().ok_or_else(|| {
            Error::refused("no_fresh_start", format!("{name} has no fresh start."))
                .remedy(format!("`liftlock fresh-start {name} --to VERSION` begins one."))
        })?;
        let plan = row.plan()?;
        Ok(Work { engine: self, row, plan, reporter, _lease: lease })
    }

    fn plan_fresh_start(
        &self,
        name: &InstallationName,
        choice: &FreshChoice,
        reporter: &dyn Reporter,
    ) -> Result<FreshStart> {
        let db = self.db()?;
        let installation = db.installation(name)?;
        Lease::must_be_free(&self.home, name)?;
        if db.newest_upgrade(name)?.is_some_and(|it| !it.state.is_final()) {
            return Err(Error::refused("busy", format!("{name} has an update that has not ended."))
                .remedy(format!("`liftlock status {name}` shows it.")));
        }
        let site = self.site(&installation)?;
        let from = site.ask_version(Gate::Public, reporter).ok();
        let told = from.as_ref().map(ToString::to_string).or_else(|| installation.version.clone());
        let from = from.or_else(|| told.as_deref().and_then(|it| Version::parse(it).ok()));
        let to = self.breaking_release(&site, from.as_ref(), choice.to.as_deref(), reporter)?;
        let export = expect_export(self, name, choice, reporter)?;
        let id = FreshStartId::fresh();
        let suffix = line_of(&to);
        let successor = match &choice.name {
            Some(name) => name.clone(),
            None => format!("{name}-v{suffix}").parse()?,
        };
        if db.installations()?.iter().any(|it| it.name == successor) {
            return Err(Error::refused("name_taken", format!("There is already an installation called {successor}."))
                .remedy("Choose another name for the new one with --as."));
        }
        let folder = match &choice.folder {
            Some(folder) => std::path::absolute(folder).map_err(|cause| Error::io("find", folder, &cause))?,
            None => durable::beside(&installation.folder, &format!("-v{suffix}")),
        };
        beside::expect_room(&site, &folder)?;
        let mut identities = BTreeMap::new();
        for store in &site.stores {
            if let Some(identity) = store.identity()? {
                identities.insert(store.name().to_owned(), identity);
            }
        }
        let components = site.driver.components();
        let mut was_running = false;
        for component in &components {
            was_running |= site.driver.is_running(component, reporter)?;
        }
        let plan = Plan {
            from: told,
            to: to.to_string(),
            old_folder: installation.folder.clone(),
            databases: beside::databases(&site, &suffix, id)?,
            folder,
            export,
            backup: None,
            pinned: None,
            autostart: None,
            was_running,
            born_with: None,
            identities,
            look: None,
            written_until: None,
            says: site.sources.iter().map(|it| stays(it.name())).collect(),
        };
        let text = serde_json::to_string(&plan)
            .map_err(|cause| Error::bug("state_json", "A record could not be written.").because(&cause))?;
        Ok(FreshStart {
            id,
            installation: name.clone(),
            successor,
            state: FreshState::BackingUp,
            plan: text,
            begun_at: self.clock.now(),
            ended_at: None,
        })
    }

    /// The release that was asked for, which must be one that an ordinary update does not reach.
    fn breaking_release(
        &self,
        site: &Site,
        from: Option<&Version>,
        wanted: Option<&str>,
        reporter: &dyn Reporter,
    ) -> Result<Version> {
        let wanted = wanted.ok_or_else(|| {
            Error::usage("no_version", "Which release the fresh start is with was not said.")
                .remedy("Give it as --to 2.0.0; `liftlock releases` lists what is out.")
        })?;
        let version = Version::parse(wanted.trim_start_matches('v')).map_err(|cause| {
            Error::usage("bad_version", format!("“{}” is not a version.", wanted.escape_debug()))
                .remedy("Give it as 1.2.3; `liftlock releases` lists what is out.")
                .because(&cause)
        })?;
        let cache = site.answers()?;
        let listing = list(&site.source()?, &site.line(&cache, reporter))?;
        let release = listing.releases.iter().find(|it| it.version == version).ok_or_else(|| {
            Error::refused("unknown_release", format!("{} {version} is not out.", site.profile.application.name))
                .remedy("`liftlock releases` lists what is out.")
        })?;
        if let Some(from) = from.filter(|from| version <= **from) {
            return Err(Error::refused(
                "older_version",
                format!("{version} is not newer than {from}, which is in use."),
            )
            .remedy("A fresh start is with a newer release. To go back, use `liftlock rollback` or a backup."));
        }
        if !site.is_beyond_breaking(from, release, &listing.releases) {
            return Err(Error::refused(
                "not_breaking",
                format!("{version} takes your data along; no fresh start is needed."),
            )
            .remedy(format!("`liftlock upgrade {} --to {version}` updates it.", site.installation.name)));
        }
        Ok(version)
    }
}

/// The export that was named, read back and found whole; or the word that none is wanted.
fn expect_export(
    engine: &Engine,
    name: &InstallationName,
    choice: &FreshChoice,
    reporter: &dyn Reporter,
) -> Result<Option<PathBuf>> {
    let Some(folder) = &choice.export else {
        if choice.typed.as_deref().map(str::trim) == Some(EMPTY) {
            return Ok(None);
        }
        return Err(Error::refused(
            "no_export",
            "The new release begins empty, and there is no checked export of what is there now. Nothing was begun.",
        )
        .remedy(format!(
            "`liftlock export {name}` makes one; name its folder with --export. Without one, type {EMPTY} (--confirm {EMPTY})."
        )));
    };
    let folder = std::path::absolute(folder).map_err(|cause| Error::io("find", folder, &cause))?;
    let manifest = export::open(&folder)?;
    if manifest.installation != name.as_str() {
        return Err(Error::refused(
            "export_of_another",
            format!("This export is of {}, not of {name}.", manifest.installation),
        )
        .remedy(format!("Name one that `liftlock export {name}` made.")));
    }
    let opened = engine.opened_export(&folder, reporter)?;
    check::check(&opened.folder, &manifest, reporter)?;
    Ok(Some(folder))
}

/// What is said of a database that is only read.
fn stays(name: &str) -> String {
    format!("What is in the database “{name}” is in no backup. It stays as it is, and nothing of it is ever removed.")
}

/// `2` for 2.0.0, `0.5` for 0.5.1: what tells one line of releases from another.
fn line_of(version: &Version) -> String {
    if version.major == 0 { format!("0.{}", version.minor) } else { version.major.to_string() }
}

/// Stops every component, the last one started first.
pub(super) fn stop(site: &Site, reporter: &dyn Reporter) -> Result<()> {
    for component in site.driver.components().iter().rev() {
        site.stop(component, reporter)?;
    }
    Ok(())
}

/// Components that only an administrator can have twice.
fn has_units(site: &Site) -> bool {
    site.profile.components.iter().any(|it| matches!(it.run, Run::Unit { .. }))
}

fn view(row: &FreshStart, plan: &Plan) -> Result<FreshStartView> {
    Ok(FreshStartView {
        installation: row.installation.clone(),
        successor: row.successor.clone(),
        state: row.state,
        from: plan.from.clone(),
        to: plan.to.clone(),
        folder: plan.folder.display().to_string(),
        export: plan.export.as_ref().map(|it| it.display().to_string()),
        backup: plan.backup.as_ref().map(|it| it.display().to_string()),
        begun_at: row.begun_at,
        ended_at: row.ended_at,
        says: plan.says.clone(),
    })
}
