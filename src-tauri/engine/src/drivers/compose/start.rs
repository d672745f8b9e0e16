//! Starting a service, for everybody or behind the gate.

use std::path::{Path, PathBuf};
use std::sync::PoisonError;
use std::thread;
use std::time::Instant;

use super::{Compose, GATE_LABEL, SETTLES};
use crate::docker::succeeded;
use crate::drivers::{Driver, Gate};
use crate::error::{Error, Result};
use crate::ports::Reporter;

impl Compose {
    /// As [`Driver::start`].
    pub(super) fn start_behind(&self, component: &str, gate: Gate, reporter: &dyn Reporter) -> Result<()> {
        let wanted = gate.private_port().map(|it| it.to_string());
        let version = self.current_release()?.unwrap_or_default();
        for container in self.containers(component)?.iter().filter(|it| it.is_running()) {
            let is_closed = self.is_closed(container)?;
            let is_there = if is_closed { wanted.is_some() } else { container.label(GATE_LABEL) == wanted.as_deref() };
            if !is_there || !self.is_of(container, component, &version)? {
                continue;
            }
            self.note_unlooked(component, gate, false);
            // The way to it ended with the worker that had made it.
            return gate.private_port().filter(|_| is_closed).map_or(Ok(()), |it| self.lead_to(component, it));
        }
        self.ensure(&version)?;
        match gate {
            Gate::Public => self.up(component, &[], reporter)?,
            Gate::Private(port) if self.start_closed(component, port, reporter)? => {}
            Gate::Private(port) => {
                let file = self.ours("gate.yaml", &self.behind_the_gate(port)?)?;
                self.up(component, &[file], reporter)?;
            }
        }
        self.note_unlooked(component, gate, true);
        Ok(())
    }

    /// Starts a service as the files say, and looks whether it stays up.
    pub(super) fn up(&self, component: &str, over: &[PathBuf], reporter: &dyn Reporter) -> Result<()> {
        let mut how = vec!["--detach"];
        for container in self.containers(component)? {
            if self.lacks_networks(&container)? {
                // Docker Compose would start it as it is, where nobody reaches it.
                how.push("--force-recreate");
                break;
            }
        }
        let done = self.make(component, over, &how, reporter);
        self.stays_up(component, done, reporter)
    }

    /// Has Docker Compose make the container of a service as the files say, where there is not one like that; `how` says more.
    pub(super) fn make(&self, component: &str, over: &[PathBuf], how: &[&str], reporter: &dyn Reporter) -> Result<()> {
        let service = self.service(component)?;
        let mut all = self.always();
        let mut project = self.project.clone();
        if let Some(version) = self.current_release()?.filter(|_| self.layout.is_built()) {
            project = self.project_of(&version)?;
            all.push(self.ours("images.yaml", &self.images_override(&version)?)?);
        }
        all.extend(over.iter().cloned());
        let over: Vec<&Path> = all.iter().map(PathBuf::as_path).collect();
        self.take_out(service, reporter)?;
        let stop = self.limits.stop_within.as_secs().to_string();
        let up = project
            .compose(&over)
            .arg("up")
            .args(how.iter().copied())
            .args(["--no-deps", "--no-build", "--pull=never", "--quiet-pull", "--timeout", &stop])
            .arg(service);
        let patience = self.patience(self.limits.start_within + self.limits.stop_within);
        let docker = self.project.docker();
        docker.again(|| succeeded(docker.runner().run(&up, patience, &[], reporter))).map(drop)
    }

    /// Notes when one that no probe looks at was started behind the gate; by a worker before this one, for all that is known, now.
    fn note_unlooked(&self, component: &str, gate: Gate, is_started: bool) {
        let mut unlooked = self.unlooked.lock().unwrap_or_else(PoisonError::into_inner);
        let has_probe = self.gate.as_ref().is_some_and(|it| it.component == component);
        if gate.private_port().is_some() && !has_probe && (is_started || unlooked.is_none()) {
            *unlooked = Some(Instant::now());
        }
    }

    /// Waits until one that ends soon after its start would have ended. Others are waited for by their probes.
    pub(super) fn let_settle(&self) {
        if let Some(started) = self.unlooked.lock().unwrap_or_else(PoisonError::into_inner).take() {
            thread::sleep(SETTLES.saturating_sub(started.elapsed()));
        }
    }

    /// What came of a start: it stays up, or why it does not.
    pub(super) fn stays_up(&self, component: &str, started: Result<()>, reporter: &dyn Reporter) -> Result<()> {
        let service = self.service(component)?;
        let is_up = self.project.runs(service).unwrap_or(false);
        match started {
            Ok(()) if is_up => self.lay_in(service, reporter),
            Ok(()) => Err(self.not_started(component, None, reporter)),
            Err(error) if matches!(error.class.as_ref(), "docker_failed" | "container_down") => {
                Err(self.not_started(component, Some(error), reporter))
            }
            Err(error) => Err(error),
        }
    }

    /// That a service is not there, with its last words.
    pub(super) fn not_started(&self, component: &str, cause: Option<Error>, reporter: &dyn Reporter) -> Error {
        let error = Error::failed("start_failed", format!("“{component}” could not be started."))
            .remedy(format!("Look at its log with “docker compose logs {component}”."));
        let error = cause.into_iter().flat_map(|it| it.details).fold(error, Error::detail);
        self.last_words(component, reporter).into_iter().fold(error, Error::detail)
    }
}
