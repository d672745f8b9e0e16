//! Components that Liftlock starts itself.
//!
//! A running one is known by its record in `run/<component>.json`; in a checkout of git also by serving users out of it. The record is written after the start, so a
//! start that was cut short leaves a process without one; it carries the path of the record as a variable and
//! is found by that. Deliberately absent: starting it again when it dies, which is what units are for.

mod handover;

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::command::{Place, Usual, prepare, reader};
use super::{Ending, Gate, Variables};
use crate::durable;
use crate::error::{Error, Result};
use crate::model::profile::{self, CommandLine, Driver, Limits, Profile};
use crate::ports::Invocation;
use crate::process::{
    Identity, Listener, LogFile, end_with_descendants, last_lines, listeners, marked, spawn_detached,
};

/// The variable that names the record of a component to its processes.
const COMPONENT_MARK: &str = "LIFTLOCK_COMPONENT";

/// What runs, as it is written down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Record {
    #[serde(flatten)]
    process: Identity,
    /// The port behind the gate, where it was started on one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    private_port: Option<u16>,
}

/// The components of an installation that are processes.
#[derive(Debug)]
pub(super) struct Processes {
    dir: PathBuf,
    /// Where records and logs are kept.
    keeps: PathBuf,
    /// Whether one that somebody started by hand is the application too.
    is_checkout: bool,
    limits: Limits,
    gate: Option<profile::Gate>,
    usual: Usual,
}

impl Processes {
    pub(super) fn new(profile: &Profile, dir: &Path) -> Self {
        let is_checkout = matches!(&profile.driver, Driver::Native(it) if it.checkout);
        Self {
            keeps: if is_checkout { dir.join(super::OURS) } else { dir.to_owned() },
            dir: dir.to_owned(),
            is_checkout,
            limits: profile.limits.clone(),
            gate: profile.gate.clone(),
            usual: Usual::of(profile),
        }
    }

    pub(super) fn is_running(&self, component: &str) -> Result<bool> {
        let is_recorded = self.record(component)?.is_some_and(|it| it.process.is_alive());
        let is_there = is_recorded || !marked(COMPONENT_MARK, &self.mark(component)).is_empty();
        Ok(is_there || !self.by_hand(component).is_empty())
    }

    /// Who serves users out of this checkout without having been started by us.
    pub(super) fn by_hand(&self, component: &str) -> Vec<Listener> {
        let gate = self.gate.as_ref().filter(|it| self.is_checkout && it.component == component);
        let port = gate.and_then(|it| it.port.lookup(&reader(&self.dir)).ok()?.trim().parse().ok());
        let is_of_this = |it: &Listener| it.process.pid != std::process::id() && it.works_in(&self.dir);
        port.map_or_else(Vec::new, |port| listeners(port).into_iter().filter(is_of_this).collect())
    }

    pub(super) fn stop(&self, component: &str) -> Result<Ending> {
        let by_hand = self.by_hand(component).into_iter().map(|it| it.process).collect();
        self.end(component, by_hand)
    }

    fn end(&self, component: &str, others: Vec<Identity>) -> Result<Ending> {
        let mark = self.mark(component);
        let mut ending = Ending::WasGone;
        let recorded = self.record(component)?.map(|it| it.process);
        for process in recorded.into_iter().chain(marked(COMPONENT_MARK, &mark)).chain(others) {
            match end_with_descendants(&process, Some((COMPONENT_MARK, &mark)), self.limits.stop_within)? {
                Ending::WasGone => {}
                ended if ending == Ending::WasGone || ended == Ending::ByForce => ending = ended,
                _ => {}
            }
        }
        let record = self.record_path(component);
        match fs::remove_file(&record) {
            Ok(()) => durable::fsync_dir(durable::parent(&record)?)?,
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => {}
            Err(cause) => return Err(Error::io("remove", &record, &cause)),
        }
        Ok(ending)
    }

    pub(super) fn start(
        &self,
        component: &str,
        command: &CommandLine,
        (version, release): (&str, &Path),
        variables: &Variables,
        gate: Gate,
    ) -> Result<()> {
        let wanted = gate.private_port();
        if let Some(found) = self.record(component)?.filter(|it| it.process.is_alive()) {
            if found.private_port == wanted {
                return Ok(());
            }
            return Err(Error::failed("already_running", format!("“{component}” runs already, behind another gate."))
                .remedy("Stop it, then try again."));
        }
        if wanted.is_none() && !self.by_hand(component).is_empty() {
            return Ok(());
        }
        // Without a living record this ends what a start that was cut short has left.
        self.end(component, Vec::new())?;

        let invocation = self.invocation(component, command, (version, release), variables, gate)?;
        let record = self.record_path(component);
        let folder = durable::parent(&record)?;
        fs::create_dir_all(folder).map_err(|cause| Error::io("create", folder, &cause))?;
        let process = spawn_detached(&invocation, &self.log(component))?;
        self.write_down(component, &Record { process, private_port: wanted })
    }

    fn write_down(&self, component: &str, record: &Record) -> Result<()> {
        let text = serde_json::to_vec(record)
            .map_err(|cause| Error::bug("pid_record", "A process could not be written down.").because(&cause))?;
        durable::write(&self.record_path(component), &text)
    }

    pub(super) fn last_words(&self, component: &str) -> Vec<String> {
        last_lines(&self.log(component).path, 20)
    }

    fn invocation(
        &self,
        component: &str,
        command: &CommandLine,
        (version, release): (&str, &Path),
        variables: &Variables,
        gate: Gate,
    ) -> Result<Invocation> {
        let place = Place { dir: &self.dir, version, release };
        let mut invocation = prepare(&self.usual, place, command, variables)?;
        if let Some(port) = gate.private_port() {
            invocation = invocation.env(gate_variable(self.gate.as_ref(), component)?, port.to_string());
        }
        Ok(invocation.env(COMPONENT_MARK, self.mark(component)))
    }

    fn record(&self, component: &str) -> Result<Option<Record>> {
        let path = self.record_path(component);
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(cause) => return Err(Error::io("read", &path, &cause)),
        };
        serde_json::from_slice(&text).map(Some).map_err(|cause| {
            let message = format!("{} cannot be read, so nobody can tell whether “{component}” runs.", path.display());
            Error::failed("pid_record", message)
                .remedy("Make sure that the application is stopped, delete this file, then try again.")
                .because(&cause)
        })
    }

    fn record_path(&self, component: &str) -> PathBuf {
        self.keeps.join("run").join(format!("{component}.json"))
    }

    fn mark(&self, component: &str) -> String {
        self.record_path(component).to_string_lossy().into_owned()
    }

    fn log(&self, component: &str) -> LogFile {
        LogFile::at(self.keeps.join("logs").join(format!("{component}.log")))
    }
}

/// The variable that tells a component its port.
pub(super) fn gate_variable<'a>(gate: Option<&'a profile::Gate>, component: &str) -> Result<&'a str> {
    gate.filter(|it| it.component == component).and_then(|it| it.variable.as_deref()).ok_or_else(|| {
        Error::bug("gate_missing", format!("“{component}” was to be started on a private port, and has no gate."))
    })
}
