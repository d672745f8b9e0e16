//! A project of Docker Compose whose services run the images of a release.
//!
//! The user's compose files are never written. Which release runs is said by one line of a settings file that the
//! profile names, or by an override file of ours that Docker Compose finds by itself. What holds only for a while
//! (another port behind the gate, another network in a rehearsal) stands in files of ours in `.liftlock`, which are
//! given over the user's. Nothing but the services of the profile is stopped, started or made anew: the database stays.
//!
//! A service is held by taking the restart policy from its containers, which the daemon keeps over a restart of the
//! computer; it is put back at the end.

mod built;
mod carried;
mod closed;
mod difference;
mod errand;
mod images;
mod instead;
mod moving;
mod overlay;
mod pin;
mod places;
mod porter;
mod ports;
mod start;
mod swarm;
mod volumes;

use std::{
    path::{Path, PathBuf},
    sync::{Mutex, OnceLock, PoisonError},
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use swarm::Swarm;

use super::forward::Forward;
use super::{Autostart, DataMover, Driver, Ending, Errand, Gate, OURS, Porter, PublicPort, Variables, our_folder};
use crate::docker::{Container, Docker, Ourselves, Project, Reach};
use crate::durable;
use crate::error::{Error, Result};
use crate::model::finding::{ChangedLine, Finding};
use crate::model::profile::{self, ComposeDriver, InsidePath, Limits, Profile, Run};
use crate::model::release::TagPattern;
use crate::ports::{Finished, Patience, Reporter, SignOfWork};
use crate::upstream::Difference;

/// On a container behind the gate: the private port.
const GATE_LABEL: &str = "liftlock.gate";
/// Lines of a log that are quoted.
const LAST_WORDS: usize = 10;
/// How long a service that no probe looks at goes on running before anybody believes that it does.
const SETTLES: Duration = Duration::from_secs(2);
/// What a daemon may take beyond what it was told to wait for.
const AFTER_DOCKER: Duration = Duration::from_secs(120);

/// An installation that is a compose project.
#[derive(Debug)]
pub struct Compose {
    dir: PathBuf,
    layout: ComposeDriver,
    project: Project,
    /// Component and service, in the order in which they are started.
    components: Vec<(String, String)>,
    gate: Option<profile::Gate>,
    limits: Limits,
    stores: Vec<profile::Store>,
    /// Where a release shows what may stand in `.env`.
    example: Option<InsidePath>,
    /// How tags bear versions, in a checkout.
    tags: TagPattern,
    /// Where releases lie that were only fetched to be looked at.
    looked: Option<PathBuf>,
    /// Where the new version is reached behind a gate without a way out.
    forward: Mutex<Option<Forward>>,
    /// From what the page is raised where this user may not listen.
    ourselves: OnceLock<Ourselves>,
    /// When the last service that no probe looks at was started behind the gate.
    unlooked: Mutex<Option<Instant>>,
    /// What the override file is going to say.
    known: Mutex<instead::Known>,
}

/// How a service was found, for the journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Found {
    service: String,
    /// As `docker update --restart` takes it.
    restart: String,
}

impl Compose {
    /// The installation of `profile` in `dir`.
    pub fn new(profile: &Profile, layout: &ComposeDriver, dir: &Path, docker: &Docker) -> Self {
        let components = profile.phases().into_iter().flatten();
        Self {
            dir: dir.to_owned(),
            layout: layout.clone(),
            project: project(layout, dir, docker),
            components: components
                .filter_map(|it| match &it.run {
                    Run::Service { service } => Some((it.name.clone(), service.clone())),
                    Run::Command(_) | Run::Unit { .. } => None,
                })
                .collect(),
            gate: profile.gate.clone(),
            limits: profile.limits.clone(),
            stores: profile.stores.clone(),
            example: profile.settings.iter().find(|it| it.file.as_str() == ".env").and_then(|it| it.example.clone()),
            tags: profile.releases.tag.clone(),
            looked: None,
            forward: Mutex::default(),
            ourselves: OnceLock::new(),
            unlooked: Mutex::default(),
            known: Mutex::default(),
        }
    }

    /// The same, with a folder in which releases lie that were only fetched to be looked at.
    #[must_use]
    pub fn looking_in(mut self, folder: Option<PathBuf>) -> Self {
        self.looked = folder;
        self
    }

    fn service(&self, component: &str) -> Result<&str> {
        let found = self.components.iter().find(|it| it.0 == component);
        found.map(|it| it.1.as_str()).ok_or_else(|| {
            Error::bug("component_unknown", format!("The profile has no component called “{component}”."))
        })
    }

    fn containers(&self, component: &str) -> Result<Vec<Container>> {
        self.project.containers(self.service(component)?)
    }

    /// A file of ours, written whole.
    fn ours(&self, name: &str, text: &str) -> Result<PathBuf> {
        let file = our_folder(&self.dir)?.join(name);
        durable::write(&file, text.as_bytes())?;
        Ok(file)
    }

    fn images_record(&self) -> images::Record {
        images::Record::at(&self.dir.join(OURS).join("images.json"))
    }

    /// The files of ours that always hold.
    fn always(&self) -> Vec<PathBuf> {
        // Where Docker Compose looks for files by itself, it finds this one too. What is built names its images each time.
        if self.layout.is_built() || self.layout.pin.is_some() || self.layout.files.is_empty() {
            Vec::new()
        } else {
            vec![self.override_file()]
        }
    }

    fn override_file(&self) -> PathBuf {
        pin::override_file(&self.dir, &self.layout)
    }

    fn patience(&self, within: Duration) -> Patience {
        Patience { deadline: within + AFTER_DOCKER, stall_after: None }
    }

    /// Overrides and resets, on which the gate rests, came with 2.24.
    fn is_new_enough(&self) -> Result<()> {
        let told = self.project.docker().ask(["compose", "version", "--short"])?;
        let told = told.trim().trim_start_matches('v');
        let mut numbers = told.split(['.', '-']).map(|it| it.parse::<u32>().unwrap_or(0));
        if (numbers.next(), numbers.next()) >= (Some(2), Some(24)) {
            return Ok(());
        }
        Err(Error::refused("compose_too_old", format!("Docker Compose {} is too old.", told.escape_debug()))
            .remedy("Install Docker Compose 2.24 or newer, then try again."))
    }

    fn set_restart(&self, container: &Container, policy: &str, reporter: &dyn Reporter) -> Result<()> {
        if container.restart_policy() == policy {
            return Ok(());
        }
        let option = format!("--restart={policy}");
        let update = ["container", "update", &option, &container.id];
        self.project.docker().act(update, self.patience(Duration::ZERO), reporter).map(drop)
    }
}

/// The project of an installation.
pub fn project(layout: &ComposeDriver, dir: &Path, docker: &Docker) -> Project {
    let files = layout.files.iter().map(|it| it.under(dir)).collect();
    let project = Project::new(docker.clone(), dir, files);
    match &layout.stack {
        Some(name) => project.in_stack(name),
        None => project,
    }
}

impl Driver for Compose {
    fn current_release(&self) -> Result<Option<String>> {
        if let Some(version) = pin::said(&self.dir, &self.layout)? {
            return Ok(Some(version));
        }
        if self.layout.is_built() { self.version_of_checkout() } else { self.version_of_images() }
    }

    fn is_fetched(&self, version: &str) -> bool {
        self.are_there(version)
    }

    fn release_folder(&self, version: &str) -> Result<Option<PathBuf>> {
        super::plain_version(version)?;
        Ok(Some(self.dir.join(OURS).join("releases").join(version)))
    }

    fn switch(&self, version: &str) -> Result<()> {
        super::plain_version(version)?;
        self.ensure(version)?;
        pin::write(&self.dir, &self.layout, version, || self.override_of(version, &self.places()?))
    }

    fn components(&self) -> Vec<String> {
        self.components.iter().map(|it| it.0.clone()).collect()
    }

    fn is_running(&self, component: &str, _reporter: &dyn Reporter) -> Result<bool> {
        self.project.runs(self.service(component)?)
    }

    fn public_ports(&self) -> Result<Vec<PublicPort>> {
        self.published()
    }

    fn runs_on_at(&self, port: u16) -> Option<String> {
        self.published_by_others(port)
    }

    fn porter(&self) -> Option<&dyn Porter> {
        Some(self)
    }

    fn stop(&self, component: &str, reporter: &dyn Reporter) -> Result<Ending> {
        drop(self.forward.lock().unwrap_or_else(PoisonError::into_inner).take());
        let mut ending = Ending::WasGone;
        for container in self.containers(component)? {
            // First, so that no restart of Docker brings back what is stopped here.
            self.set_restart(&container, "no", reporter)?;
            if !container.is_running() {
                continue;
            }
            let time = self.limits.stop_within.as_secs().to_string();
            let stop = ["container", "stop", "-t", &time, &container.id];
            self.project.docker().act(stop, self.patience(self.limits.stop_within), reporter)?;
            ending = Ending::Gently;
        }
        if !self.is_running(component, reporter)? {
            return Ok(ending);
        }
        if let Some(container) = self.containers(component)?.into_iter().find(Container::is_running) {
            return Err(Error::failed("stop_failed", format!("“{component}” could not be stopped.")).remedy(format!(
                "Stop it with “docker stop {}”, then try again.",
                container.name.trim_start_matches('/')
            )));
        }
        Ok(ending)
    }

    fn start(&self, component: &str, _variables: &Variables, gate: Gate, reporter: &dyn Reporter) -> Result<()> {
        self.start_behind(component, gate, reporter)
    }

    fn can_open(&self) -> Result<bool> {
        self.is_all_closed()
    }

    fn open(&self, reporter: &dyn Reporter) -> Result<bool> {
        self.open_closed(reporter)
    }

    fn last_words(&self, component: &str, _reporter: &dyn Reporter) -> Vec<String> {
        let Some(container) = self.containers(component).ok().and_then(|it| it.into_iter().next()) else {
            return Vec::new();
        };
        let lines = LAST_WORDS.to_string();
        let log = crate::docker::invocation().args(["logs", "--tail", &lines, &container.id]).quiet();
        let patience = Patience { deadline: Duration::from_secs(20), stall_after: None };
        let said = self.project.docker().runner().run(&log, patience, &[], &crate::process::Silent).unwrap_or_default();
        let lines: Vec<&str> = said.stdout.lines().chain(said.stderr.lines()).collect();
        lines.into_iter().rev().take(LAST_WORDS).rev().map(crate::process::printable).collect()
    }

    fn autostart(&self, component: &str, _reporter: &dyn Reporter) -> Result<Autostart> {
        let service = self.service(component)?;
        let version = if self.layout.is_built() { self.current_release()? } else { None };
        let project = version.map_or_else(|| Ok(self.project.clone()), |it| self.project_of(&it))?;
        let config = project.config(&[])?;
        let declared = config.services.get(service).ok_or_else(|| {
            Error::refused("service_missing", format!("The compose file has no service called “{service}”."))
                .remedy("Correct the name in the profile, or the compose file.")
        })?;
        let found = self.containers(component)?.first().map(Container::restart_policy);
        let restart = found.or_else(|| declared.restart.clone()).unwrap_or_else(|| "no".to_owned());
        let found = Found { service: service.to_owned(), restart };
        serde_json::to_value(found)
            .map(Autostart)
            .map_err(|cause| Error::bug("state_json", "A record could not be written.").because(&cause))
    }

    fn hold_autostart(&self, component: &str, _found: &Autostart, reporter: &dyn Reporter) -> Result<()> {
        // What can be done before anything is stopped. Where it cannot, that is said when it is needed.
        let _ = self.lay_gate(reporter);
        self.containers(component)?.iter().try_for_each(|it| self.set_restart(it, "no", reporter))
    }

    fn restore_autostart(&self, component: &str, found: &Autostart, reporter: &dyn Reporter) -> Result<()> {
        let Ok(found) = serde_json::from_value::<Found>(found.0.clone()) else { return Ok(()) };
        self.containers(component)?.iter().try_for_each(|it| self.set_restart(it, &found.restart, reporter))?;
        // It is in nobody's way, and the next update finds it there.
        self.take_gate_away(reporter).unwrap_or_else(|error| reporter.say(&error.message));
        Ok(())
    }

    fn run(
        &self,
        line: &profile::CommandLine,
        errand: &Errand<'_>,
        patience: Patience,
        signs: &[&dyn SignOfWork],
        reporter: &dyn Reporter,
    ) -> Result<Finished> {
        self.run_errand(line, errand, patience, signs, reporter)
    }

    fn obstacles(&self, target: Option<&str>) -> Vec<Finding> {
        let mut found = Vec::new();
        if let Err(error) = self.is_new_enough() {
            found.push(Finding::stop(&error));
        }
        if let Err(error) = pin::can_be_changed(&self.dir, &self.layout) {
            found.push(Finding::stop(&error));
        }
        if self.layout.is_built() {
            match self.findings_of_build(target) {
                Ok(findings) => found.extend(findings),
                Err(error) => found.push(Finding::stop(&error)),
            }
        }
        match self.findings_of_carried() {
            Ok(findings) => found.extend(findings),
            Err(error) => found.push(Finding::stop(&error)),
        }
        match self.findings_of_volumes(target) {
            Ok(findings) => found.extend(findings),
            // What was said once need not be said again.
            Err(error) if found.iter().any(|it| it.class == error.class) => {}
            Err(error) => found.push(Finding::stop(&error)),
        }
        found
    }

    fn volume_folder(&self, name: &str) -> Result<Reach> {
        self.folder_of_volume(name)
    }

    fn changes_line(&self, target: &str) -> Result<Option<ChangedLine>> {
        pin::change(&self.dir, &self.layout, target)
    }

    fn source_folder(&self, version: &str) -> Result<Option<PathBuf>> {
        super::plain_version(version)?;
        Ok(self.source_of(version))
    }

    fn is_told_by_its_files(&self) -> bool {
        true
    }

    fn differences(&self, version: &str) -> Result<Difference> {
        self.differences_to(version)
    }

    fn data_mover(&self) -> Option<&dyn DataMover> {
        Some(self)
    }

    fn keep_volumes(&self, version: &str) -> Result<Vec<String>> {
        self.say_volumes(&self.renamed_by(version)?)
    }

    fn changed_by_hand(&self) -> Result<Vec<PathBuf>> {
        if self.layout.is_built() { self.changes_in_checkout() } else { Ok(Vec::new()) }
    }

    fn remembered(&self) -> Result<Vec<String>> {
        self.remembered_images()
    }

    fn forget(&self, version: &str) -> Result<u64> {
        self.forget_images(version)
    }

    fn prepares(&self) -> Option<String> {
        Some(if self.layout.is_built() {
            "Build the images of the new version from its source, while the old one is in use.".to_owned()
        } else if self.layout.local {
            "Look whether the images of the new version are all there.".to_owned()
        } else {
            "Fetch the images of the new version, while the old one is in use.".to_owned()
        })
    }

    fn identify(&self, version: &str) -> Result<Value> {
        self.identify_images(version)
    }

    fn prepare(
        &self,
        version: &str,
        identity: &Value,
        variables: &Variables,
        reporter: &dyn Reporter,
    ) -> Result<Value> {
        if self.layout.is_built() {
            return self.prepare_built(version, variables, reporter);
        }
        self.prepare_images(version, identity, reporter)
    }

    fn confirm(&self, version: &str) -> Result<()> {
        self.let_settle();
        for (component, _) in &self.components {
            let containers = self.containers(component)?;
            // Of one without a probe nobody else hears that it has ended. Those of a stack may be on other nodes.
            let stays_up = containers.iter().any(Container::stays_up)
                && !containers.iter().any(|it| it.state.status == "restarting");
            if !stays_up && !self.project.is_stack() {
                return Err(self.not_started(component, None, &crate::process::Silent));
            }
            for container in containers {
                if container.is_running() && !self.is_of(&container, component, version)? {
                    return Err(Error::failed(
                        "wrong_digest",
                        format!("“{component}” runs from another image than that of {version}."),
                    )
                    .remedy(
                        "Find out who moves tags of images or starts containers on this computer, then try again.",
                    ));
                }
                if container.is_running() && container.is_unhealthy() {
                    return Err(Error::failed("unhealthy", format!("Docker says that “{component}” is not healthy."))
                        .remedy(format!("Look at “docker compose logs {component}”.")));
                }
            }
        }
        Ok(())
    }

    fn sweep(&self, reporter: &dyn Reporter) -> Result<()> {
        self.sweep_errands(reporter)
    }
}
