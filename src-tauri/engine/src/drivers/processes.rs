//! Components that Liftlock starts itself.
//!
//! A running one is known by its record in `run/<component>.json`. The record is written after the start, so a
//! start that was cut short leaves a process without one; it carries the path of the record as a variable and
//! is found by that. Deliberately absent: starting it again when it dies, which is what units are for.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::{Ending, Gate, Variables};
use crate::durable;
use crate::error::{Error, Result};
use crate::model::profile::{self, CommandLine, EnvFile, FilePath, Limits, Placeholder, Profile, Run};
use crate::ports::Invocation;
use crate::process::{Identity, LogFile, end_with_descendants, last_lines, marked, spawn_detached};

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
    limits: Limits,
    gate: Option<profile::Gate>,
    /// The settings of commands that name none of their own.
    env_file: Option<FilePath>,
}

impl Processes {
    pub(super) fn new(profile: &Profile, dir: &Path) -> Self {
        let env_file = profile.components.iter().find_map(|it| match &it.run {
            Run::Command(command) => command.env_file.clone(),
            Run::Unit { .. } => None,
        });
        Self { dir: dir.to_owned(), limits: profile.limits.clone(), gate: profile.gate.clone(), env_file }
    }

    pub(super) fn is_running(&self, component: &str) -> Result<bool> {
        let is_recorded = self.record(component)?.is_some_and(|it| it.process.is_alive());
        Ok(is_recorded || !marked(COMPONENT_MARK, &self.mark(component)).is_empty())
    }

    pub(super) fn stop(&self, component: &str) -> Result<Ending> {
        let mark = self.mark(component);
        let mut ending = Ending::WasGone;
        let recorded = self.record(component)?.map(|it| it.process);
        for process in recorded.into_iter().chain(marked(COMPONENT_MARK, &mark)) {
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
        // Without a living record this ends what a start that was cut short has left.
        self.stop(component)?;

        let invocation = self.invocation(component, command, (version, release), variables, gate)?;
        let record = self.record_path(component);
        let folder = durable::parent(&record)?;
        fs::create_dir_all(folder).map_err(|cause| Error::io("create", folder, &cause))?;
        let process = spawn_detached(&invocation, &self.log(component))?;
        let text = serde_json::to_vec(&Record { process, private_port: wanted })
            .map_err(|cause| Error::bug("pid_record", "A process could not be written down.").because(&cause))?;
        durable::write(&record, &text)
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
        let (dir, release) = (self.dir.to_string_lossy(), release.to_string_lossy());
        let known = [(Placeholder::Dir, &*dir), (Placeholder::Release, &*release), (Placeholder::Version, version)];
        let words = command.command.iter().map(|word| word.fill(&known)).collect::<Result<Vec<_>>>()?;
        let (program, args) = words.split_first().ok_or_else(|| {
            Error::bug("empty_command", format!("The command of “{component}” is empty although it was checked."))
        })?;
        let mut invocation = Invocation::new(program).args(args).dir(&self.dir);
        if let Some(file) = command.env_file.as_ref().or(self.env_file.as_ref()) {
            let path = file.under(&self.dir);
            let text = fs::read_to_string(&path).map_err(|cause| Error::io("read", &path, &cause))?;
            for (key, value) in EnvFile::parse(&text).entries() {
                invocation = invocation.env(key, value);
            }
        }
        for (key, value) in variables {
            invocation = invocation.env(key, value);
        }
        if let Some(port) = gate.private_port() {
            invocation = invocation.env(gate_variable(self.gate.as_ref(), component)?, port.to_string());
        }
        invocation = invocation.env(COMPONENT_MARK, self.mark(component));
        Ok(match owner_to_become(&self.dir)? {
            // Its own home is not ours to guess, and root's is none of its business.
            Some((uid, gid)) => invocation.user(uid, gid).env("HOME", &self.dir),
            None => invocation,
        })
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
        self.dir.join("run").join(format!("{component}.json"))
    }

    fn mark(&self, component: &str) -> String {
        self.record_path(component).to_string_lossy().into_owned()
    }

    fn log(&self, component: &str) -> LogFile {
        LogFile::at(self.dir.join("logs").join(format!("{component}.log")))
    }
}

/// The variable that tells a component its port.
pub(super) fn gate_variable<'a>(gate: Option<&'a profile::Gate>, component: &str) -> Result<&'a str> {
    gate.filter(|it| it.component == component).map(|it| it.variable.as_str()).ok_or_else(|| {
        Error::bug("gate_missing", format!("“{component}” was to be started on a private port, and has no gate."))
    })
}

/// The owner of the installation, where Liftlock runs as root and the owner is somebody else: an application
/// must not become root by being upgraded.
#[cfg(unix)]
fn owner_to_become(dir: &Path) -> Result<Option<(u32, u32)>> {
    use std::os::unix::fs::MetadataExt;

    if !rustix::process::geteuid().is_root() {
        return Ok(None);
    }
    let meta = fs::metadata(dir).map_err(|cause| Error::io("read", dir, &cause))?;
    Ok((meta.uid() != 0).then(|| (meta.uid(), meta.gid())))
}

#[cfg(not(unix))]
fn owner_to_become(_dir: &Path) -> Result<Option<(u32, u32)>> {
    Ok(None)
}
