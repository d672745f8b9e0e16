//! A folder for each release and a symbolic link to the one that runs.
//!
//! The link is the only thing that a switch touches: a new one is made beside it and renamed over it, so there
//! is never a moment without one. Components are processes that Liftlock starts itself, or units of systemd.
//!
//! Where the installation is a checkout of git, that is the release that everything began with (`checkout.rs`).

mod checkout;
mod ready;

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use serde_json::Value;

use super::command::{Usual, prepare};
use super::forward::Forward;
use super::processes::Processes;
use super::units::{UnitFolders, Units};
use super::{Autostart, Driver, Ending, Errand, Gate, Variables};
use crate::durable;
use crate::error::{Error, Result};
use crate::model::finding::Finding;
use crate::model::profile::{self, CommandLine, InsidePath, NativeDriver, Profile, Run, UnitScope};
use crate::model::release::TagPattern;
use crate::ports::{Finished, Patience, Reporter, Runner, SignOfWork};

/// An installation whose releases are folders.
pub struct Native {
    dir: PathBuf,
    layout: profile::NativeDriver,
    components: Vec<(String, Runs)>,
    usual: Usual,
    processes: Processes,
    units: Units,
    runner: Arc<dyn Runner>,
    gate: Option<profile::Gate>,
    /// Where the public port leads to what was behind the gate, until that has it itself.
    led: Mutex<Option<Forward>>,
    stall_after: Duration,
    /// Settings and data in a checkout, with whether each is a folder: every release has a link to them.
    shared: Vec<(InsidePath, bool)>,
    /// How tags bear versions, in a checkout.
    tags: TagPattern,
}

/// What starts a component here.
#[derive(Debug, Clone)]
enum Runs {
    Command(CommandLine),
    Unit { unit: String, scope: UnitScope },
}

impl std::fmt::Debug for Native {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Native").field("dir", &self.dir).field("components", &self.components).finish_non_exhaustive()
    }
}

impl Native {
    /// The installation of `profile` in `dir`. `runner` asks systemd, where a component is a unit.
    pub fn new(profile: &Profile, layout: &NativeDriver, dir: &Path, runner: Arc<dyn Runner>) -> Self {
        let components = profile.phases().into_iter().flatten();
        Self {
            dir: dir.to_owned(),
            layout: layout.clone(),
            components: components
                .filter_map(|it| match &it.run {
                    Run::Command(line) => Some((it.name.clone(), Runs::Command(line.clone()))),
                    Run::Unit { unit, scope } => {
                        Some((it.name.clone(), Runs::Unit { unit: unit.clone(), scope: *scope }))
                    }
                    Run::Service { .. } => None,
                })
                .collect(),
            usual: Usual::of(profile),
            processes: Processes::new(profile, dir),
            units: Units::new(profile, Arc::clone(&runner), None),
            runner,
            gate: profile.gate.clone(),
            led: Mutex::default(),
            stall_after: profile.limits.stall_after,
            shared: if layout.checkout { checkout::shared(profile) } else { Vec::new() },
            tags: profile.releases.tag.clone(),
        }
    }

    /// Looks for the settings of units in other folders than systemd does.
    #[must_use]
    pub fn unit_folders(mut self, folders: UnitFolders) -> Self {
        self.units.folders = Some(folders);
        self
    }

    fn link(&self) -> PathBuf {
        self.layout.current.under(&self.dir)
    }

    /// The folder of a version, there or not yet.
    fn folder(&self, version: &str) -> Result<PathBuf> {
        super::plain_version(version)?;
        let folder = self.layout.releases.under(&self.dir).join(version);
        if !folder.is_dir() && self.version_of_checkout()?.as_deref() == Some(version) {
            return Ok(self.dir.clone());
        }
        Ok(folder)
    }

    /// Where the link leads, as it is written in it.
    fn target(&self) -> Result<Option<PathBuf>> {
        let link = self.link();
        match fs::symlink_metadata(&link) {
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(cause) => Err(Error::io("read", &link, &cause)),
            Ok(meta) if !meta.file_type().is_symlink() => Err(Error::refused(
                "pointer_strange",
                format!("{} is not a link to a release, as it should be.", link.display()),
            )
            .remedy("Move the release into the folder of releases and make this a symbolic link to it.")),
            Ok(_) => fs::read_link(&link).map(Some).map_err(|cause| Error::io("read", &link, &cause)),
        }
    }

    /// What the link has to say to lead to a release: relative, so that the installation can be moved.
    fn wanted_target(&self, folder: &Path) -> PathBuf {
        let above = self.layout.current.as_str().matches('/').count();
        let inside = folder.strip_prefix(&self.dir).unwrap_or(folder);
        let mut way: PathBuf = std::iter::repeat_n(Path::new(".."), above).collect();
        way.extend(inside);
        if way.as_os_str().is_empty() { PathBuf::from(".") } else { way }
    }

    fn component(&self, name: &str) -> Result<&Runs> {
        self.components
            .iter()
            .find(|it| it.0 == name)
            .map(|it| &it.1)
            .ok_or_else(|| Error::bug("component_unknown", format!("The profile has no component called “{name}”.")))
    }

    fn led(&self) -> Option<Forward> {
        self.led.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn release_in_place(&self) -> Result<(String, PathBuf)> {
        let version = self.current_release()?.ok_or_else(|| {
            let message = format!("There is no release in place: {} is missing.", self.link().display());
            Error::failed("release_missing", message).remedy("Make it a symbolic link to the release that should run.")
        })?;
        let folder = self.folder(&version)?;
        Ok((version, folder))
    }
}

impl Driver for Native {
    fn current_release(&self) -> Result<Option<String>> {
        if self.runs_from_checkout()? {
            return self.version_of_checkout();
        }
        let Some(target) = self.target()? else { return Ok(None) };
        let link = self.link();
        // Compared as real folders, because people write links in many ways.
        let folder = durable::parent(&link)?.join(&target);
        let parent = folder.parent().and_then(|it| it.canonicalize().ok());
        let releases = self.layout.releases.under(&self.dir).canonicalize().ok();
        let name = folder.file_name().and_then(|it| it.to_str());
        match name {
            Some(name) if parent.is_some() && parent == releases => Ok(Some(name.to_owned())),
            _ => Err(Error::refused(
                "pointer_strange",
                format!("{} leads to {}, which is not in the folder of releases.", link.display(), target.display()),
            )
            .remedy("Move that release into the folder of releases and let the link lead to it.")),
        }
    }

    fn is_fetched(&self, version: &str) -> bool {
        self.folder(version).is_ok_and(|folder| folder.is_dir())
    }

    fn release_folder(&self, version: &str) -> Result<Option<PathBuf>> {
        self.folder(version).map(Some)
    }

    fn switch(&self, version: &str) -> Result<()> {
        let folder = self.folder(version)?;
        if !folder.is_dir() {
            return Err(Error::failed(
                "release_missing",
                format!("The release {version} is not in {}.", folder.display()),
            )
            .remedy("Start the update again; it will be fetched."));
        }
        let (link, wanted) = (self.link(), self.wanted_target(&folder));
        let above = durable::parent(&link)?;
        if self.target()?.as_ref() != Some(&wanted) {
            let beside = durable::beside(&link, ".liftlock-next");
            // Left by a switch that was cut short; a link holds nothing that could be lost.
            if fs::symlink_metadata(&beside).is_ok_and(|meta| meta.file_type().is_symlink()) {
                fs::remove_file(&beside).map_err(|cause| Error::io("remove", &beside, &cause))?;
            }
            symlink(&wanted, &beside).map_err(|cause| Error::io("create", &beside, &cause))?;
            fs::rename(&beside, &link).map_err(|cause| Error::io("switch", &link, &cause))?;
        }
        // Also where it was right already: the run before this one may have died between the rename and this.
        durable::fsync_dir(above)
    }

    fn components(&self) -> Vec<String> {
        self.components.iter().map(|it| it.0.clone()).collect()
    }

    fn is_running(&self, component: &str, reporter: &dyn Reporter) -> Result<bool> {
        match self.component(component)? {
            Runs::Command(_) => self.processes.is_running(component),
            Runs::Unit { unit, scope } => self.units.is_running(unit, *scope, reporter),
        }
    }

    fn stop(&self, component: &str, reporter: &dyn Reporter) -> Result<Ending> {
        if self.gate.as_ref().is_some_and(|it| it.component == component) {
            drop(self.led());
        }
        match self.component(component)? {
            Runs::Command(_) => self.processes.stop(component),
            Runs::Unit { unit, scope } => self.units.stop(unit, *scope, reporter),
        }
        .map_err(|error| name_it(error, component))
    }

    fn start(&self, component: &str, variables: &Variables, gate: Gate, reporter: &dyn Reporter) -> Result<()> {
        match self.component(component)? {
            Runs::Command(command) => {
                let (version, folder) = self.release_in_place()?;
                self.processes.start(component, command, (&version, &folder), variables, gate)
            }
            Runs::Unit { unit, scope } => self.units.start(component, unit, *scope, variables, gate, reporter),
        }
    }

    fn can_open(&self) -> Result<bool> {
        self.processes.can_lead_in()
    }

    fn open(&self, _reporter: &dyn Reporter) -> Result<bool> {
        let forward = self.processes.lead_in()?;
        let is_led = forward.is_some();
        *self.led.lock().unwrap_or_else(PoisonError::into_inner) = forward;
        Ok(is_led)
    }

    fn stay_open(&self, _reporter: &dyn Reporter) -> Result<bool> {
        let (Some(forward), Some(gate)) = (self.led(), &self.gate) else { return Ok(true) };
        let Runs::Command(command) = self.component(&gate.component)? else { return Ok(false) };
        let (version, folder) = self.release_in_place()?;
        self.processes.hand_over(forward, command, (&version, &folder))
    }

    fn run(
        &self,
        line: &CommandLine,
        errand: &Errand<'_>,
        patience: Patience,
        signs: &[&dyn SignOfWork],
        reporter: &dyn Reporter,
    ) -> Result<Finished> {
        let invocation = prepare(&self.usual, errand.place, line, errand.variables)?;
        self.runner.run(&invocation, patience, signs, reporter)
    }

    fn obstacles(&self, target: Option<&str>) -> Vec<Finding> {
        self.obstacles_of_checkout(target)
    }

    fn changed_by_hand(&self) -> Result<Vec<PathBuf>> {
        self.changes_in_checkout()
    }

    fn adopt(&self) -> Result<()> {
        self.adopt_checkout()
    }

    fn furnish(&self, folder: &Path) -> Result<()> {
        self.link_to_checkout(folder)
    }

    fn adds_files(&self) -> bool {
        !self.layout.prepare.is_empty()
    }

    fn prepares(&self) -> Option<String> {
        let does = "Make the new version ready in a folder of its own, while the old one is in use.";
        (self.layout.checkout || !self.layout.prepare.is_empty()).then(|| does.to_owned())
    }

    fn prepare(
        &self,
        version: &str,
        _identity: &Value,
        _variables: &Variables,
        reporter: &dyn Reporter,
    ) -> Result<Value> {
        self.keep_changes(reporter)?;
        self.make_ready(version, reporter)
    }

    fn last_words(&self, component: &str, reporter: &dyn Reporter) -> Vec<String> {
        match self.component(component) {
            Ok(Runs::Command(_)) => self.processes.last_words(component),
            Ok(Runs::Unit { unit, scope }) => self.units.last_words(unit, *scope, reporter),
            Err(_) => Vec::new(),
        }
    }

    fn autostart(&self, component: &str, reporter: &dyn Reporter) -> Result<Autostart> {
        match self.component(component)? {
            // Nothing but Liftlock starts it.
            Runs::Command(_) => Ok(Autostart(serde_json::Value::Null)),
            Runs::Unit { unit, scope } => self.units.autostart(unit, *scope, reporter),
        }
    }

    fn hold_autostart(&self, component: &str, found: &Autostart, reporter: &dyn Reporter) -> Result<()> {
        match self.component(component)? {
            Runs::Command(_) => Ok(()),
            Runs::Unit { unit, scope } => self.units.hold(unit, *scope, found, reporter),
        }
    }

    fn restore_autostart(&self, component: &str, found: &Autostart, reporter: &dyn Reporter) -> Result<()> {
        match self.component(component)? {
            Runs::Command(_) => Ok(()),
            Runs::Unit { unit, scope } => self.units.restore(unit, *scope, found, reporter),
        }
    }
}

fn name_it(error: Error, component: &str) -> Error {
    if error.class != "stop_failed" {
        return error;
    }
    let cause = error.message.clone();
    Error { message: format!("“{component}” could not be stopped."), ..error }.detail(cause)
}

#[cfg(unix)]
fn symlink(target: &Path, link: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(target, link)
}

#[cfg(windows)]
fn symlink(target: &Path, link: &Path) -> io::Result<()> {
    std::os::windows::fs::symlink_dir(target, link)
}
