//! An installation with everything that its profile says, looked up: its driver, its stores, its ports, its
//! probes. Read anew at every start of a worker, because settings files are the user's to change.

mod api;
pub mod asked;
mod folder;
pub mod looked;
mod page;
mod passfiles;
mod sources;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use semver::Version;
use serde_json::Value;

use crate::docker::{Docker, Project};
use crate::drivers::command::{Place, reader, secret};
use crate::drivers::{self, Autostart, Driver, Gate};
use crate::error::{Error, Result};
use crate::model::profile::{FilesAt, Profile, Store};
use crate::model::release::Channel;
use crate::ports::{Answer, Clock, EtagCache, Reporter, Runner};
use crate::probes::{self, At, Budget, Observation, Question};
use crate::releases::{AssetPattern, Line, Release, Signed, Source, Waits, commits, remembered};
use crate::state::Db;
use crate::state::home::Home;
use crate::state::installations::Installation;
use crate::stores::files::FilesStore;
use crate::stores::postgres::{Inside, PostgresStore};
use crate::stores::sqlite::SqliteStore;
use crate::stores::{DataStore, ServerLease, tables};

use passfiles::Passfiles;

pub use folder::{is_release_from, mark_release};
pub use passfiles::{secrets_of, sweep_secrets};

/// How long a worker waits for a Docker that went away.
const DOCKER_WITHIN: Duration = Duration::from_secs(60);

/// An installation, looked up.
pub struct Site {
    /// As recorded.
    pub installation: Installation,
    /// Its profile.
    pub profile: Profile,
    /// Liftlock's home.
    pub home: Home,
    /// Where scratch servers may stand.
    pub scratch: PathBuf,
    /// Its stores, in the order of the profile.
    pub stores: Vec<Arc<dyn DataStore>>,
    /// Databases that are only read.
    pub sources: Vec<Arc<dyn tables::Source>>,
    /// The way it is run.
    pub driver: Arc<dyn Driver>,
    /// Where it is one: asked for its name once.
    project: Option<Project>,
    runner: Arc<dyn Runner>,
    clock: Arc<dyn Clock>,
    /// Last, because it goes after the stores whose passfiles are in it.
    passfiles: Passfiles,
}

impl Site {
    /// Looks an installation up. `label` is what our database sessions are called.
    ///
    /// # Errors
    /// The profile's mistakes; settings that it refers to and that are not there.
    pub fn open(
        installation: Installation,
        home: &Home,
        runner: Arc<dyn Runner>,
        clock: Arc<dyn Clock>,
        label: &str,
    ) -> Result<Self> {
        let profile = Profile::parse(&installation.profile)
            .map_err(|mistakes| crate::profiles::invalid(installation.name.as_str(), &mistakes))?;
        // A worker waits for what comes back; a question of a person's is answered now.
        let patience = if label.contains('/') { DOCKER_WITHIN } else { Duration::ZERO };
        let docker = Docker::new(Arc::clone(&runner)).patient(patience);
        let looked_into = home.looked_into(&installation.name);
        let driver = Arc::from(drivers::of(&profile, &installation.folder, Some(looked_into), &docker));
        let project = drivers::project_of(&profile, &installation.folder, &docker);
        let scratch = scratch_of(home, &installation)?;
        let mut site = Self {
            installation,
            profile,
            home: home.clone(),
            scratch,
            stores: Vec::new(),
            sources: Vec::new(),
            driver,
            project,
            runner,
            clock,
            passfiles: Passfiles::of(home, label),
        };
        site.stores = site.stores(label, false)?;
        site.sources = site.sources()?;
        Ok(site)
    }

    /// The same installation with every store changing places, also those that are only listed in an upgrade.
    ///
    /// # Errors
    /// As [`Site::open`].
    pub fn for_restore(mut self, label: &str) -> Result<Self> {
        self.stores = self.stores(label, true)?;
        Ok(self)
    }

    fn stores(&self, label: &str, restoring: bool) -> Result<Vec<Arc<dyn DataStore>>> {
        self.profile.stores.iter().map(|store| self.store(store, label, restoring)).collect()
    }

    fn store(&self, store: &Store, label: &str, restoring: bool) -> Result<Arc<dyn DataStore>> {
        let folder = &self.installation.folder;
        Ok(match store {
            Store::Postgres(it) => {
                let read = reader(folder);
                let endpoint = it.endpoint(&read)?;
                let admin = it.admin_endpoint(&read)?;
                let private = self.passfiles.folder();
                crate::state::home::make_private_dir(private)?;
                let runner = Arc::clone(&self.runner);
                let store = PostgresStore::new(&it.name, endpoint, admin, label, private, runner);
                let store = store.inside(it.service.as_ref().and_then(|service| self.inside(service)));
                Arc::new(store.with_globals(it.globals))
            }
            Store::Sqlite(it) => Arc::new(SqliteStore::new(&it.name, it.path.under(folder))),
            Store::Files(it) => {
                let immutable = it.immutable && !restoring;
                Arc::new(match &it.at {
                    FilesAt::Path(path) => FilesStore::new(&it.name, path.under(folder), immutable),
                    FilesAt::Volume(volume) => {
                        let (driver, volume) = (Arc::clone(&self.driver), volume.clone());
                        FilesStore::in_volume(&it.name, move || driver.volume_folder(&volume), immutable)
                    }
                })
            }
        })
    }

    /// The container of a service, where the installation is a compose project.
    fn inside(&self, service: &str) -> Option<Inside> {
        Some(Inside { project: self.project.clone()?, service: service.to_owned() })
    }

    /// What runs commands on behalf of this upgrade.
    pub fn runner(&self) -> &dyn Runner {
        self.runner.as_ref()
    }

    /// The folder of a release, there or not yet.
    ///
    /// # Errors
    /// `bad_version` where it cannot be the name of a folder.
    pub fn release_folder(&self, version: &str) -> Result<PathBuf> {
        self.driver
            .release_folder(version)?
            .ok_or_else(|| Error::bug("no_release_folder", "This driver keeps no release folders."))
    }

    /// The port on which users come in, where the profile has a gate.
    ///
    /// # Errors
    /// The setting that names it is not there, or is no port.
    pub fn public_port(&self) -> Result<Option<u16>> {
        probes::public_port(&self.profile, &reader(&self.installation.folder))
    }

    /// Does something with the application as it answers behind `gate`.
    fn with<T>(&self, gate: Gate, ask: impl FnOnce(At<'_>) -> Result<T>) -> Result<T> {
        let version = self.driver.current_release()?;
        let release = version.as_deref().map_or(Ok(None), |it| self.driver.release_folder(it))?;
        let release = release.unwrap_or_else(|| self.installation.folder.clone());
        let version = version.unwrap_or_default();
        let place = Place { dir: &self.installation.folder, version: &version, release: &release };
        let read = reader(&self.installation.folder);
        let inside = |service: &str| self.inside(service);
        ask(At { place, private_port: gate.private_port(), read: &read, inside: &inside })
    }

    fn world<'w>(&'w self, reporter: &'w dyn Reporter) -> probes::World<'w> {
        probes::World { runner: self.runner.as_ref(), clock: self.clock.as_ref(), reporter }
    }

    fn questions(&self, gate: Gate) -> Result<Vec<Question>> {
        self.with(gate, |at| probes::questions(&self.profile, at))
    }

    /// Asks every probe, with a few seconds of patience for a passing trouble.
    ///
    /// # Errors
    /// What the reporter says, or a profile that cannot be looked up.
    pub fn observe(&self, reporter: &dyn Reporter) -> Result<Vec<Observation>> {
        let budget = Budget::while_running();
        Ok(probes::settle(&self.questions(Gate::Public)?, budget, self.world(reporter), &mut |_| {})?.last)
    }

    /// What the application says its version is.
    ///
    /// # Errors
    /// It does not answer, or not with a version.
    pub fn ask_version(&self, gate: Gate, reporter: &dyn Reporter) -> Result<Version> {
        let question = self.with(gate, |at| probes::version_question(&self.profile, at))?;
        let read = |text: &str| self.version_in(text);
        probes::version::ask_version(&question, Duration::from_secs(10), self.world(reporter), &read)
    }

    /// The version that an application tells. One that is run from a branch may tell its commit, which says more than
    /// the number of the release before it.
    fn version_in(&self, text: &str) -> Option<Version> {
        if self.profile.releases.channel == Channel::Branch
            && let Some(commit) = commits::named_in(text).next()
        {
            let last = self.installation.version.as_ref().and_then(|it| it.parse().ok());
            if let Some(version) = self.version_of(commit).or(last.filter(|it| commits::is_of(it, commit))) {
                return Some(version);
            }
        }
        probes::version::parse(text)
    }

    /// The version of a commit, as it was last told. Nobody is asked.
    fn version_of(&self, commit: &str) -> Option<Version> {
        let source = Source::of(&self.profile.releases, None, &self.installation.folder);
        let known = remembered(&source, &self.answers().ok()?).ok()??;
        let is_it = |it: &str| it.to_ascii_lowercase().starts_with(&commit.to_ascii_lowercase());
        known.releases.into_iter().find(|it| it.commit.as_deref().is_some_and(is_it)).map(|it| it.version)
    }

    /// Waits until every required probe is up, as often in a row as the budget says.
    ///
    /// # Errors
    /// `unhealthy` with what is down and the last words of the application.
    pub fn wait_until_healthy(&self, gate: Gate, budget: Budget, reporter: &dyn Reporter) -> Result<()> {
        let settled = probes::settle(&self.questions(gate)?, budget, self.world(reporter), &mut |_| {})?;
        settled.into_result().map(|_| ()).map_err(|error| {
            let words = self.driver.components().into_iter().flat_map(|component| {
                let words = self.driver.last_words(&component, reporter);
                words.into_iter().map(move |line| format!("{component}: {line}"))
            });
            words.fold(error, Error::detail)
        })
    }

    /// Stops a component.
    ///
    /// # Errors
    /// `stop_failed`.
    pub fn stop(&self, component: &str, reporter: &dyn Reporter) -> Result<()> {
        self.driver.stop(component, reporter).map(|_| ())
    }

    /// The components that are stopped for an update, in the order in which they are started.
    pub fn stopped(&self) -> Vec<String> {
        let is_stopped = |it: &String| !self.profile.component(it).is_some_and(|it| it.start_first);
        self.driver.components().into_iter().filter(is_stopped).collect()
    }

    /// Starts a component of the release in place.
    ///
    /// # Errors
    /// As [`Driver::start`].
    pub fn start(&self, component: &str, gate: Gate, reporter: &dyn Reporter) -> Result<()> {
        // A process has a port of its own to move only where it has the gate; a container can be reached on none.
        let gated = self.project.is_some() || self.profile.gate.as_ref().is_some_and(|it| it.component == component);
        self.driver.start(component, &[], if gated { gate } else { Gate::Public }, reporter)
    }

    /// What starts each component by itself, as found: for the journal.
    ///
    /// # Errors
    /// `no_right_to_hold`.
    pub fn autostart(&self, reporter: &dyn Reporter) -> Result<Value> {
        let found = self
            .driver
            .components()
            .into_iter()
            .map(|it| Ok((it.clone(), self.driver.autostart(&it, reporter)?.0)))
            .collect::<Result<serde_json::Map<_, _>>>()?;
        Ok(Value::Object(found))
    }

    /// Holds every component, as found.
    ///
    /// # Errors
    /// `no_right_to_hold`.
    pub fn hold_autostart(&self, found: &Value, reporter: &dyn Reporter) -> Result<()> {
        self.driver
            .components()
            .iter()
            .try_for_each(|it| self.driver.hold_autostart(it, &Autostart(found[it].clone()), reporter))
    }

    /// Lets every component start by itself again, as found.
    ///
    /// # Errors
    /// `no_right_to_hold`.
    pub fn restore_autostart(&self, found: &Value, reporter: &dyn Reporter) -> Result<()> {
        self.driver
            .components()
            .iter()
            .try_for_each(|it| self.driver.restore_autostart(it, &Autostart(found[it].clone()), reporter))
    }

    /// Where the releases are.
    ///
    /// # Errors
    /// The token is not where the profile says.
    pub fn source(&self) -> Result<Source> {
        let (releases, folder) = (&self.profile.releases, &self.installation.folder);
        let token = releases.token.as_ref().map(|it| secret(it, folder)).transpose()?;
        let mut source = Source::of(releases, token, folder);
        source.signed = releases.key.as_ref().map(|key| Signed {
            key: key.clone(),
            app: self.profile.application.id.clone(),
            manifest: releases.manifest.clone().unwrap_or_else(AssetPattern::manifest),
        });
        Ok(source)
    }

    /// The line on which the release server is asked.
    pub fn line<'l>(&'l self, cache: &'l dyn EtagCache, reporter: &'l dyn Reporter) -> Line<'l> {
        Line { clock: self.clock.as_ref(), cache, reporter, waits: Waits::default() }
    }

    /// Whether a release cannot take the data of what runs along.
    pub fn is_breaking(&self, from: Option<&Version>, release: &Release) -> bool {
        self.profile.releases.is_breaking(from, &release.version, release.breaking)
    }

    /// Whether a release, or one on the way to it, is breaking: jumping over one leaves out what it asks for.
    pub fn is_beyond_breaking(&self, from: Option<&Version>, release: &Release, all: &[Release]) -> bool {
        let on_the_way = |it: &&Release| from.is_some_and(|from| it.version > *from) && it.version < release.version;
        self.is_breaking(from, release) || all.iter().filter(on_the_way).any(|it| self.is_breaking(from, it))
    }

    /// Why the migrations cannot be rehearsed, where they cannot.
    pub fn why_no_rehearsal(&self) -> Option<String> {
        if self.profile.migrations.is_none() || self.profile.can_rehearse() {
            return None;
        }
        Some(
            "the profile does not say how its commands are pointed at another database, or how that can be checked"
                .to_owned(),
        )
    }

    /// Takes the lease that another host would see: a session lock in each database server.
    ///
    /// # Errors
    /// `busy` where another host has it; what the server answers.
    pub fn hold_server_leases(&self) -> Result<Vec<Box<dyn ServerLease>>> {
        self.stores.iter().filter_map(|it| it.hold_lease().transpose()).collect()
    }

    /// Ends scratch servers and throws away sandboxes that a killed worker left behind.
    ///
    /// # Errors
    /// One cannot be ended.
    pub fn sweep_scratch(&self, reporter: &dyn Reporter) -> Result<()> {
        self.driver.sweep(reporter)?;
        self.stores.iter().try_for_each(|it| it.sweep(&self.scratch, reporter))
    }

    /// Answers of the release server, kept in the state.
    ///
    /// # Errors
    /// Those of the state itself.
    pub fn answers(&self) -> Result<Answers> {
        Ok(Answers(Mutex::new(Db::open(&self.home)?)))
    }
}

impl fmt::Debug for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Site").field("installation", &self.installation.name).finish_non_exhaustive()
    }
}

/// Where scratch servers and sandboxes of an installation may stand: in Liftlock's home, except where the
/// server's user could not enter it.
fn scratch_of(home: &Home, installation: &Installation) -> Result<PathBuf> {
    let chosen = Db::open(home)?.setting("scratch_dir")?;
    if !chosen.is_empty() {
        return Ok(Path::new(&chosen).join(installation.name.as_str()));
    }
    if runs_as_root() {
        // PostgreSQL refuses to run as root, and no other user can enter root's own folders. Two homes may have
        // an installation of the same name, and one must never sweep what the other works in.
        let home: String = crate::digest::sha256(home.root().as_os_str().as_encoded_bytes()).chars().take(12).collect();
        return Ok(Path::new("/var/tmp/liftlock-scratch").join(home).join(installation.name.as_str()));
    }
    Ok(home.root().join("scratch").join(installation.name.as_str()))
}

#[cfg(unix)]
pub(crate) fn runs_as_root() -> bool {
    rustix::process::geteuid().is_root()
}

#[cfg(not(unix))]
pub(crate) fn runs_as_root() -> bool {
    false
}

/// Answers of the release server, kept in the state.
pub struct Answers(Mutex<Db>);

impl fmt::Debug for Answers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Answers")
    }
}

impl EtagCache for Answers {
    fn find(&self, url: &str) -> Result<Option<Answer>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).answer(url)
    }
    fn keep(&self, url: &str, answer: &Answer) -> Result<()> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remember_answer(url, answer)
    }
    fn still_holds(&self, url: &str, at: DateTime<Utc>) -> Result<()> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).answers_still_hold(&[url.to_owned()], at)
    }
}
