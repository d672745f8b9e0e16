//! How one way of running applications is switched, stopped, started, kept out of reach and asked.
//!
//! Every verb looks before it acts, so that it can be repeated after any interruption, and changes nothing but
//! what it names: a switch touches the pointer to the release, never a release. Fetching a release into its
//! place belongs to `releases`; what the application answers belongs to `probes`.

mod checkout;
pub mod command;
pub mod compose;
mod forward;
mod mover;
pub mod native;
pub mod port;
mod processes;
pub mod settings;
mod units;

use std::{
    fmt,
    path::{Component as Part, Path, PathBuf},
    sync::Arc,
};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::docker::{Docker, Project, Reach};
use crate::error::{Error, Result};
use crate::model::finding::{ChangedLine, Finding};
use crate::model::profile::{self, CommandLine, Profile};
use crate::ports::{Finished, Patience, Reporter, SignOfWork};
pub use crate::process::Ending;
use crate::upstream::Difference;

pub use compose::{Compose, Swarm};
pub use mover::{DataMove, DataMover};
pub use native::Native;
pub use port::{Porter, PublicPort};
pub use units::UnitFolders;

/// The folder of ours in one that is somebody's checkout or project.
pub(crate) const OURS: &str = ".liftlock";

/// Makes that folder, unseen by git.
fn our_folder(dir: &Path) -> Result<PathBuf> {
    let ours = dir.join(OURS);
    std::fs::create_dir_all(&ours).map_err(|cause| Error::io("create", &ours, &cause))?;
    let ignore = ours.join(".gitignore");
    if !ignore.exists() {
        crate::durable::write(&ignore, b"*\n")?;
    }
    Ok(ours)
}

/// Who can reach a component that is started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Gate {
    /// Its users, on the port of its own settings.
    Public,
    /// Only who knows this port of the machine.
    Private(u16),
}

impl Gate {
    /// The private port.
    pub fn private_port(self) -> Option<u16> {
        match self {
            Self::Public => None,
            Self::Private(port) => Some(port),
        }
    }
}

/// What starts a component by itself, as it was found: what holding it changes and how that is undone. It
/// goes into the journal before anything is held. Opaque to all but its driver.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Autostart(pub serde_json::Value);

/// Variables that a component is started with, over those of its own settings. Values may be secrets.
pub type Variables = [(String, String)];

/// What a command of a release is run with.
#[derive(Debug, Clone, Copy)]
pub struct Errand<'e> {
    /// The release whose command it is.
    pub place: command::Place<'e>,
    /// Variables over those of its own settings. Values may be secrets.
    pub variables: &'e Variables,
    /// The network in which alone it may run, where what it is pointed at has one.
    pub network: Option<&'e str>,
}

/// One installation, run in one way.
pub trait Driver: Send + Sync + fmt::Debug {
    /// The version whose release is in place; `None` where none is.
    ///
    /// # Errors
    /// `pointer_strange` where what should point to a release is something else.
    fn current_release(&self) -> Result<Option<String>>;

    /// Whether the release of this version lies ready to be switched to.
    fn is_fetched(&self, version: &str) -> bool;

    /// The folder of the release of this version, there or not yet; `None` for drivers that keep no folders.
    ///
    /// # Errors
    /// `bad_version` where it cannot be the name of a folder.
    fn release_folder(&self, version: &str) -> Result<Option<PathBuf>>;

    /// Makes this version the one that is started next, by one atomic act. Done already is done.
    ///
    /// # Errors
    /// `release_missing`, `pointer_strange`, `bad_version`, or what the disk answered.
    fn switch(&self, version: &str) -> Result<()>;

    /// The names of the components, in the order in which they are started.
    fn components(&self) -> Vec<String>;

    /// Whether a component runs, behind whatever gate.
    ///
    /// # Errors
    /// `unit_missing`, `unit_not_answering`, `pid_record`.
    fn is_running(&self, component: &str, reporter: &dyn Reporter) -> Result<bool>;

    /// Whether a component is kept from running, also where something of it has not ended yet.
    ///
    /// # Errors
    /// It cannot be told.
    fn is_held(&self, _component: &str) -> Result<bool> {
        Ok(false)
    }

    /// Stops a component and all that it started.
    ///
    /// # Errors
    /// `stop_failed` where it cannot be ended, `node_out_of_reach` where it cannot be told whether it has.
    fn stop(&self, component: &str, reporter: &dyn Reporter) -> Result<Ending>;

    /// Starts a component of the release in place. One that runs behind the same gate already is left alone,
    /// whoever started it.
    ///
    /// # Errors
    /// `start_failed`, `command_missing`, `already_running` (behind another gate: it must be stopped first),
    /// `gate_missing` where a private port is asked of a component that has no gate.
    fn start(&self, component: &str, variables: &Variables, gate: Gate, reporter: &dyn Reporter) -> Result<()>;

    /// Whether what runs behind the gate can be given to its users as it runs.
    ///
    /// # Errors
    /// It cannot be told.
    fn can_open(&self) -> Result<bool> {
        Ok(false)
    }

    /// Gives what runs behind the gate to its users without starting it anew; `false` where it did not get its ports: then it is
    /// to be stopped, and started for them.
    ///
    /// # Errors
    /// `port_taken`, or what Docker answered.
    fn open(&self, _reporter: &dyn Reporter) -> Result<bool> {
        Ok(false)
    }

    /// Makes what [`Driver::open`] did last without this process, while its users are in; `false` where that does not come about:
    /// then it is to be stopped, and started for them.
    ///
    /// # Errors
    /// As [`Driver::start`] and [`Driver::stop`].
    fn stay_open(&self, _reporter: &dyn Reporter) -> Result<bool> {
        Ok(true)
    }

    /// The ports of this machine on which users reach the components of the release in place, where it is the driver that
    /// gives them out. They are told while nothing runs, too.
    ///
    /// # Errors
    /// It cannot be told.
    fn public_ports(&self) -> Result<Vec<PublicPort>> {
        Ok(Vec::new())
    }

    /// What else of the application is reached on a port of this machine and goes on running through an update: a proxy
    /// before it, say. `None` where nothing is known of such a thing.
    fn runs_on_at(&self, _port: u16) -> Option<String> {
        None
    }

    /// Who raises the page where this user may not, where there is somebody.
    fn porter(&self) -> Option<&dyn Porter> {
        None
    }

    /// Whether a start goes on without the worker that asked for it: the next one takes it up instead of beginning anew.
    fn rolls_out_by_itself(&self) -> bool {
        false
    }

    /// Runs a command of a release to its end.
    ///
    /// # Errors
    /// `stalled`, `deadline`, `command_missing`, `cancelled`. A non-zero exit is no error here.
    fn run(
        &self,
        line: &CommandLine,
        errand: &Errand<'_>,
        patience: Patience,
        signs: &[&dyn SignOfWork],
        reporter: &dyn Reporter,
    ) -> Result<Finished>;

    /// What stands in the way of an update to `target`, and what a person should know of it.
    fn obstacles(&self, _target: Option<&str>) -> Vec<Finding> {
        Vec::new()
    }

    /// The line of the user's settings that a switch to `target` changes, where there is one.
    ///
    /// # Errors
    /// It cannot be told.
    fn changes_line(&self, _target: &str) -> Result<Option<ChangedLine>> {
        Ok(None)
    }

    /// Where the source of a release lies, be it only to be looked at.
    ///
    /// # Errors
    /// As [`Driver::release_folder`].
    fn source_folder(&self, version: &str) -> Result<Option<PathBuf>> {
        Ok(self.release_folder(version)?.filter(|it| it.is_dir()))
    }

    /// Whether the files of a release are more about how it is run than what is run, so that they are worth a look before
    /// anything begins.
    fn is_told_by_its_files(&self) -> bool {
        false
    }

    /// What a release that was fetched asks of the installation that the one in use did not.
    ///
    /// # Errors
    /// It cannot be told.
    fn differences(&self, _version: &str) -> Result<Difference> {
        Ok(Difference::default())
    }

    /// Lets a release that was fetched find the data where it is, although it calls the place otherwise. Nothing is moved.
    /// Answers with sentences that say what was said to whom; none where it finds the data as it is.
    ///
    /// # Errors
    /// `nothing_to_move`, `release_not_here`, or what the disk answered.
    fn keep_volumes(&self, _version: &str) -> Result<Vec<String>> {
        Err(Error::refused(
            "nothing_to_move",
            "Only in containers of Docker Compose may a release look for its data elsewhere.",
        )
        .remedy("Nothing needs to be done."))
    }

    /// The folder of this machine in which a named volume lies, and the way there; the name is that of the compose file.
    ///
    /// # Errors
    /// `volume_unknown`, `volume_missing`, `volume_out_of_reach`; Docker cannot be asked.
    fn volume_folder(&self, _name: &str) -> Result<Reach> {
        Err(Error::bug("no_volumes", "Only containers have volumes."))
    }

    /// What moves a database to another major version, where this kind of installation has such.
    fn data_mover(&self) -> Option<&dyn DataMover> {
        None
    }

    /// Files that were changed by hand where a release lies that Liftlock did not unpack.
    ///
    /// # Errors
    /// It cannot be told.
    fn changed_by_hand(&self) -> Result<Vec<PathBuf>> {
        Ok(Vec::new())
    }

    /// Releases of which something is kept beside their folder, without the one in use.
    ///
    /// # Errors
    /// It cannot be told.
    fn remembered(&self) -> Result<Vec<String>> {
        Ok(Vec::new())
    }

    /// Makes what every release of this installation finds in its folder, where that is not there yet. Done once, when the
    /// installation begins to be looked after.
    ///
    /// # Errors
    /// What the disk answered.
    fn adopt(&self) -> Result<()> {
        Ok(())
    }

    /// Puts into the folder of a release that was just unpacked what every release of this installation has in common.
    ///
    /// # Errors
    /// What the disk answered.
    fn furnish(&self, _folder: &Path) -> Result<()> {
        Ok(())
    }

    /// Whether making a release ready adds files to its folder, which are nobody's work then.
    fn adds_files(&self) -> bool {
        false
    }

    /// Lets go of what a release ran from beside its folder, which nobody goes back to. Answers how large that was, in
    /// bytes.
    ///
    /// # Errors
    /// It cannot be asked about.
    fn forget(&self, _version: &str) -> Result<u64> {
        Ok(0)
    }

    /// What it does to make a release ready beside its folder, in one sentence; `None` where a folder is all there is.
    fn prepares(&self) -> Option<String> {
        None
    }

    /// What a release is known by beside its folder, to be fixed with the plan.
    ///
    /// # Errors
    /// `image_missing`, `registry_unreachable`, ….
    fn identify(&self, _version: &str) -> Result<Value> {
        Ok(Value::Null)
    }

    /// Gets all that a release runs from, while the old one is in use. `variables` are settings that it needs and that do
    /// not stand in the user's file yet; values may be secrets.
    ///
    /// # Errors
    /// As [`Driver::identify`]; `image_moved` where it is not what was fixed; `build_failed`, `disk_full`.
    fn prepare(
        &self,
        _version: &str,
        _identity: &Value,
        _variables: &Variables,
        _reporter: &dyn Reporter,
    ) -> Result<Value> {
        Ok(Value::Null)
    }

    /// Looks whether what runs is what the release is known by.
    ///
    /// # Errors
    /// `wrong_digest`, `unhealthy`.
    fn confirm(&self, _version: &str) -> Result<()> {
        Ok(())
    }

    /// Ends what commands of a killed worker have left behind.
    ///
    /// # Errors
    /// It cannot be ended.
    fn sweep(&self, _reporter: &dyn Reporter) -> Result<()> {
        Ok(())
    }

    /// The last lines that a component wrote to its log, to be quoted in an error.
    fn last_words(&self, component: &str, reporter: &dyn Reporter) -> Vec<String>;

    /// What starts a component by itself, and proof that it can be held and released without anyone being
    /// asked. Changes nothing that outlasts the question.
    ///
    /// # Errors
    /// `no_right_to_hold` with what is missing.
    fn autostart(&self, component: &str, reporter: &dyn Reporter) -> Result<Autostart>;

    /// Keeps a component from being started by anything but [`Driver::start`], also after a reboot.
    ///
    /// # Errors
    /// `no_right_to_hold`, or what the disk answered.
    fn hold_autostart(&self, component: &str, found: &Autostart, reporter: &dyn Reporter) -> Result<()>;

    /// Lets a component be started by itself again, as it was found.
    ///
    /// # Errors
    /// As [`Driver::hold_autostart`].
    fn restore_autostart(&self, component: &str, found: &Autostart, reporter: &dyn Reporter) -> Result<()>;
}

/// The driver that a profile names, for the installation in `dir`; what runs `docker` runs all else. In `looked` lie releases
/// that were only fetched to be looked at.
pub fn of(profile: &Profile, dir: &Path, looked: Option<PathBuf>, docker: &Docker) -> Box<dyn Driver> {
    match &profile.driver {
        profile::Driver::Native(layout) => Box::new(Native::new(profile, layout, dir, Arc::clone(docker.runner()))),
        profile::Driver::Compose(layout) if layout.stack.is_some() => {
            Box::new(Swarm::new(profile, layout, dir, docker))
        }
        profile::Driver::Compose(layout) => Box::new(Compose::new(profile, layout, dir, docker).looking_in(looked)),
    }
}

/// The compose project of an installation, where it is one.
pub fn project_of(profile: &Profile, dir: &Path, docker: &Docker) -> Option<Project> {
    match &profile.driver {
        profile::Driver::Native(_) => None,
        profile::Driver::Compose(layout) => Some(compose::project(layout, dir, docker)),
    }
}

/// A version is one plain name, whatever a server claims.
fn plain_version(version: &str) -> Result<()> {
    let mut parts = Path::new(version).components();
    let is_plain = matches!((parts.next(), parts.next()), (Some(Part::Normal(_)), None))
        && !version.contains(['/', '\\', '\0', ':'])
        && !version.starts_with('.');
    if is_plain {
        return Ok(());
    }
    let message = format!("“{}” cannot be the name of a release's folder.", version.escape_debug());
    Err(Error::refused("bad_version", message)
        .remedy("Choose a release with an ordinary version number such as 1.4.0."))
}

#[cfg(test)]
#[cfg(unix)]
mod tests;
