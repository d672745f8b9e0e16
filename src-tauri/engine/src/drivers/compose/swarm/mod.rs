//! A project of Docker Compose that is deployed as a stack of Docker Swarm: Swarm rolls its services out, and Liftlock
//! does what has to be done around that.
//!
//! A service is stopped by holding it: a constraint that no node fulfils takes its tasks away, and neither a restart of
//! a computer nor Swarm itself brings them back. An update takes the constraint away and gives the image in the same
//! act, with Swarm told to take it back where a task does not come up. What it then goes back to is the held service:
//! the old version never meets data that was made for the new one. What has no part in the data is never held: Swarm
//! starts its new version beside the old one. Swarm's own state is what an interrupted worker goes by. Published ports, files
//! of the stack and services that the profile does not name are never touched.

mod errand;
mod rollout;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};

use super::{Compose, pin};
use crate::clock::SystemClock;
use crate::docker::{Docker, Reach, Rollout, SwarmMount, SwarmService, Task, split};
use crate::drivers::{Autostart, Driver, Ending, Errand, Gate, Variables, plain_version};
use crate::error::{Error, Result};
use crate::model::finding::{ChangedLine, Finding, Severity};
use crate::model::profile::{self, ComposeDriver, Migrations, Profile, Store};
use crate::ports::{Clock, Finished, Patience, Reporter, SignOfWork};
use crate::upstream::Difference;

/// Each look is two commands of Docker's, which cost a tenth of a second of a processor.
const LOOK_EVERY: Duration = Duration::from_millis(400);
/// What an update that somebody else has asked for may take before it is said to be under way: as long as Swarm watches
/// tasks by itself, and twice.
const SETTLES_WITHIN: Duration = Duration::from_secs(10);

/// An installation that is a stack of Docker Swarm.
#[derive(Debug)]
pub struct Swarm {
    /// Files, images and the line that says which version runs are those of any project.
    compose: Compose,
    /// The service in whose container the database runs.
    database: Option<String>,
    /// Services that commands of a release are run like.
    commanded: Vec<String>,
    /// Components that are never stopped: their old and new version run beside each other.
    beside: Vec<String>,
    /// Variables by which a program is told where data is.
    addresses: Vec<String>,
}

impl Swarm {
    /// The installation of `profile` in `dir`.
    pub fn new(profile: &Profile, layout: &ComposeDriver, dir: &Path, docker: &Docker) -> Self {
        let database = profile.stores.iter().find_map(|it| match it {
            Store::Postgres(it) => it.service.clone(),
            Store::Sqlite(_) | Store::Files(_) => None,
        });
        let mut commanded: Vec<String> =
            profile.migrations.iter().flat_map(Migrations::services).map(str::to_owned).collect();
        commanded.sort_unstable();
        commanded.dedup();
        let beside = profile.components.iter().filter(|it| it.start_first).map(|it| it.name.clone()).collect();
        let addresses = profile.stores.iter().flat_map(|it| it.point_at().keys().cloned()).collect();
        Self { compose: Compose::new(profile, layout, dir, docker), database, commanded, beside, addresses }
    }

    fn docker(&self) -> &Docker {
        self.compose.project.docker()
    }

    /// What a component is called in the swarm.
    fn name_of(&self, component: &str) -> Result<String> {
        self.compose.project.name_in_swarm(self.compose.service(component)?)
    }

    /// A service that does not run here is known all the same.
    fn tasks_alive(&self, name: &str) -> Result<Vec<Task>> {
        Ok(self.docker().tasks(name)?.into_iter().filter(Task::is_alive).collect())
    }

    /// The first of these tasks of which nobody knows whether it still runs.
    fn lost(&self, alive: &[Task]) -> Result<Option<Task>> {
        let away = self.docker().nodes_out_of_reach()?;
        Ok(alive.iter().find(|it| away.contains(&it.node)).cloned())
    }

    /// The image of a service in a release, as Swarm is given it: by its digest, where a registry tells one.
    fn image_of(&self, service: &str, version: &str) -> Result<String> {
        let known = self.compose.images_record().of(version)?.and_then(|mut it| it.remove(service));
        if let Some(image) = known {
            return Ok(match &image.digest {
                Some(digest) => format!("{}@{digest}", image.reference),
                None => image.reference,
            });
        }
        let named = self.compose.references(version)?.into_iter().find(|it| it.0 == service);
        named.map(|it| it.1).ok_or_else(|| {
            Error::refused("image_unknown", format!("The profile does not say which image “{service}” runs."))
                .remedy("Name it in “images” under [driver] in the profile.")
        })
    }

    /// Writes down by which digest Swarm knows the images of the version that runs, so that they come back as they were.
    fn note_digests(&self, version: &str) -> Result<()> {
        let mut all = self.compose.images_record().all()?;
        let images = all.entry(version.to_owned()).or_default();
        for service in self.compose.layout.services() {
            let name = self.compose.project.name_in_swarm(service)?;
            let found = match self.docker().swarm_service(&name) {
                Ok(it) => it,
                Err(error) if error.class == "service_missing" => continue,
                Err(error) => return Err(error),
            };
            let (reference, digest) = split(found.image());
            let image = images.entry(service.to_owned()).or_insert_with(super::images::Image::unknown);
            reference.clone_into(&mut image.reference);
            image.digest = digest.map(str::to_owned);
        }
        self.compose.write_down(&all)
    }

    /// A service, as soon as an update that Swarm is at has come to its end, or has had time for it: who asks for one with
    /// `docker service update` or `docker stack deploy` gets the prompt back before Swarm has written down that it is done.
    fn settled(&self, name: &str) -> Result<SwarmService> {
        let clock = SystemClock;
        let until = clock.since_boot() + SETTLES_WITHIN;
        loop {
            let found = self.docker().swarm_service(name)?;
            if found.rollout() != Rollout::UnderWay || clock.since_boot() >= until {
                return Ok(found);
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// What stands in the way of a rollout of a component.
    fn obstacles_of(&self, component: &str, version: Option<&str>) -> Result<Option<Finding>> {
        let (service, name) = (self.compose.service(component)?, self.name_of(component)?);
        let found = self.settled(&name)?;
        if found.rollout().is_in_between() {
            return Ok(Some(Finding::new(
                Severity::Stop,
                "swarm_update_unfinished",
                format!("An earlier update of “{component}” has not come to its end in Swarm: {}.", found.says()),
                format!(
                    "Look at “docker service ps {name}”, and end it with “docker service rollback {name}” or by deploying the stack again."
                ),
            )));
        }
        if let Some(lost) = self.lost(&self.tasks_alive(&name)?)? {
            return Ok(Some(Finding::stop(&out_of_reach(component, &lost))));
        }
        let (Some(version), (image, _)) = (version, split(found.image())) else { return Ok(None) };
        let said = self.compose.references(version)?.into_iter().find(|it| it.0 == service).map(|it| it.1);
        Ok(said.filter(|it| it != image).map(|said| {
            Finding::new(
                Severity::Stop,
                "stack_differs",
                format!("Swarm runs {image} for “{component}”, and by the settings of the stack it would be {said}."),
                "Deploy the stack again, or correct the line that says which version runs.",
            )
        }))
    }

    /// What is to be known of a component that stays up while the data is changed, or speaks against that.
    fn finding_beside(&self, component: &str) -> Result<Finding> {
        let found = self.docker().swarm_service(&self.name_of(component)?)?;
        let mut variables = found.list_of_container("Env").into_iter().filter_map(|it| it.split_once('='));
        let mut mounts = found.mounts().into_iter();
        let why = if let Some((key, _)) = variables.find(|it| self.addresses.iter().any(|address| address == it.0)) {
            format!("{key} tells it where the data is")
        } else if let Some(it) = mounts.find(SwarmMount::keeps_what_is_written) {
            format!("it may write to {}, and so might both versions", it.target)
        } else if found.takes_ports_of_nodes() {
            "it has a port of its node (“mode: host”), which two of it cannot have".to_owned()
        } else {
            let message = format!("“{component}” is not stopped: its old version answers until its new one does.");
            return Ok(Finding::new(Severity::Note, "starts_first", message, "Nothing to do."));
        };
        Ok(Finding::new(
            Severity::Stop,
            "cannot_start_first",
            format!("The new version of “{component}” cannot be started beside the old one: {why}."),
            "Take “start_first” out of the profile, or that out of the stack's file, and deploy the stack again.",
        ))
    }

    /// Files that tasks on other nodes may write to: whether those are the files that are backed up here is known to the
    /// owner alone.
    fn files_elsewhere(&self) -> Result<Option<Finding>> {
        let own = self.docker().own_node()?;
        let (mut files, mut nodes) = (BTreeSet::new(), BTreeSet::new());
        for component in self.compose.components() {
            let name = self.name_of(&component)?;
            let alive = self.tasks_alive(&name)?.into_iter().map(|it| it.node);
            let away: Vec<String> = alive.filter(|it| !it.is_empty() && *it != own).collect();
            if !away.is_empty() {
                let mounts = self.docker().swarm_service(&name)?.mounts().into_iter();
                files.extend(mounts.filter(SwarmMount::keeps_what_is_written).map(|it| it.target));
                nodes.extend(away);
            }
        }
        let listed = |all: BTreeSet<String>| all.into_iter().collect::<Vec<_>>().join(", ");
        Ok((!files.is_empty()).then(|| {
            let (files, nodes) = (listed(files), listed(nodes));
            Finding::new(
                Severity::Warning,
                "files_elsewhere",
                format!("The application may write to {files} on other nodes too ({nodes}): what only they have is in no backup, and is not brought back with the data."),
                "Nothing to do where the nodes share these files (a network file system). Otherwise let what writes run on this node alone, by a constraint in the stack's file.",
            )
        }))
    }

    fn findings(&self) -> Result<Vec<Finding>> {
        self.docker().is_manager()?;
        let version = self.compose.current_release()?;
        let mut found = Vec::new();
        for component in self.compose.components() {
            found.extend(self.obstacles_of(&component, version.as_deref())?);
        }
        for component in &self.beside {
            found.push(self.finding_beside(component)?);
        }
        found.extend(self.files_elsewhere()?);
        for service in &self.commanded {
            let name = self.compose.project.name_in_swarm(service)?;
            if self.docker().swarm_service(&name)?.has_secrets() {
                found.push(Finding::new(
                    Severity::Stop,
                    "swarm_secrets",
                    format!("“{service}” gets secrets or configs from Swarm, and a container in which Liftlock migrates cannot get them."),
                    "Give the service what its migrations need as variables of its environment.",
                ));
            }
        }
        Ok(found)
    }
}

impl Driver for Swarm {
    fn current_release(&self) -> Result<Option<String>> {
        self.compose.current_release()
    }

    fn is_fetched(&self, version: &str) -> bool {
        self.compose.is_fetched(version)
    }

    fn release_folder(&self, version: &str) -> Result<Option<PathBuf>> {
        self.compose.release_folder(version)
    }

    fn switch(&self, version: &str) -> Result<()> {
        plain_version(version)?;
        self.compose.switch(version)
    }

    fn components(&self) -> Vec<String> {
        self.compose.components()
    }

    fn is_running(&self, component: &str, _reporter: &dyn Reporter) -> Result<bool> {
        Ok(!self.tasks_alive(&self.name_of(component)?)?.is_empty())
    }

    fn is_held(&self, component: &str) -> Result<bool> {
        Ok(self.docker().swarm_service(&self.name_of(component)?)?.has_constraint(rollout::HELD))
    }

    fn stop(&self, component: &str, reporter: &dyn Reporter) -> Result<Ending> {
        self.hold(component, reporter)
    }

    fn start(&self, component: &str, _variables: &Variables, gate: Gate, reporter: &dyn Reporter) -> Result<()> {
        if gate != Gate::Public {
            return Err(Error::bug("gate_missing", "A service of a stack was to be started on a private port."));
        }
        self.roll_out(component, reporter)
    }

    fn rolls_out_by_itself(&self) -> bool {
        true
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
        if let Err(error) = pin::can_be_changed(&self.compose.dir, &self.compose.layout) {
            found.push(Finding::stop(&error));
        }
        for findings in [self.findings(), self.compose.findings_of_volumes(target)] {
            match findings {
                Ok(findings) => found.extend(findings),
                Err(error) => found.push(Finding::stop(&error)),
            }
        }
        found
    }

    fn volume_folder(&self, name: &str) -> Result<Reach> {
        self.compose.volume_folder(name)
    }

    fn changes_line(&self, target: &str) -> Result<Option<ChangedLine>> {
        self.compose.changes_line(target)
    }

    fn differences(&self, version: &str) -> Result<Difference> {
        self.compose.differences(version)
    }

    fn remembered(&self) -> Result<Vec<String>> {
        self.compose.remembered()
    }

    fn forget(&self, version: &str) -> Result<u64> {
        self.compose.forget(version)
    }

    fn prepares(&self) -> Option<String> {
        self.compose.prepares()
    }

    fn identify(&self, version: &str) -> Result<Value> {
        self.compose.identify(version)
    }

    fn prepare(
        &self,
        version: &str,
        identity: &Value,
        variables: &Variables,
        reporter: &dyn Reporter,
    ) -> Result<Value> {
        let answer = self.compose.prepare(version, identity, variables, reporter)?;
        if let Some(current) = self.compose.current_release()?.filter(|it| it != version) {
            self.note_digests(&current)?;
        }
        Ok(answer)
    }

    fn confirm(&self, version: &str) -> Result<()> {
        for component in self.compose.components() {
            let wanted = self.image_of(self.compose.service(&component)?, version)?;
            let found = self.docker().swarm_service(&self.name_of(&component)?)?;
            if found.image() != wanted {
                let message = format!("Swarm runs {} for “{component}” instead of {wanted}.", found.image());
                return Err(Error::failed("wrong_digest", message)
                    .remedy("Find out who else updates services of this swarm, then try again."));
            }
        }
        self.compose.confirm(version)
    }

    fn sweep(&self, reporter: &dyn Reporter) -> Result<()> {
        self.compose.sweep(reporter)
    }

    fn last_words(&self, component: &str, reporter: &dyn Reporter) -> Vec<String> {
        self.compose.last_words(component, reporter)
    }

    fn autostart(&self, component: &str, _reporter: &dyn Reporter) -> Result<Autostart> {
        self.docker().is_manager()?;
        let found: SwarmService = self.docker().swarm_service(&self.name_of(component)?)?;
        Ok(Autostart(json!({ "image": found.image(), "replicas": found.replicas() })))
    }

    fn hold_autostart(&self, component: &str, _found: &Autostart, _reporter: &dyn Reporter) -> Result<()> {
        // What is stopped is held by Swarm itself; what runs is the version that is to run.
        self.docker().swarm_service(&self.name_of(component)?).map(drop)
    }

    fn restore_autostart(&self, component: &str, _found: &Autostart, reporter: &dyn Reporter) -> Result<()> {
        self.give_back(component, reporter)
    }
}

/// Nobody can stop what runs where nobody comes, and it may write to the data as long as it runs.
fn out_of_reach(component: &str, task: &Task) -> Error {
    let Task { name, node, .. } = task;
    let message =
        format!("“{component}” cannot be stopped on {node}, which Swarm does not reach: {name} may still run there.");
    Error::failed("node_out_of_reach", message).remedy(format!(
        "Bring {node} back. Where it is gone for good and nothing runs on it any more, “docker node rm --force {node}” takes it out of the swarm. Then try again."
    ))
}

/// How long a change of what a service is to be may take to be written down by the managers.
const WRITTEN: Patience = Patience { deadline: Duration::from_secs(60), stall_after: None };
