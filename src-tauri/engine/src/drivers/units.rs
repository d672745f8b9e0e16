//! Components that are units of systemd.
//!
//! A unit is held by a drop-in that makes it wait for a file in a folder which is emptied at every boot. So
//! nothing starts a held unit, not even after a power cut, until [`Units::start`] has made that file. A second
//! drop-in brings variables: systemd lets a later file of them win over an earlier one. The unit itself and
//! what an administrator wrote beside it are never touched.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use serde::{Deserialize, Serialize};

use super::processes::gate_variable;
use super::{Autostart, Ending, Gate, Variables};
use crate::durable;
use crate::error::{Error, Result};
use crate::model::profile::{self, Limits, Profile, UnitScope};
use crate::ports::{Finished, Invocation, Patience, Reporter, Runner};

const HOLD: &str = "90-liftlock-hold.conf";
const VARIABLES: &str = "91-liftlock-variables.conf";
/// The first line of every file that we put beside a unit; one without it is not ours.
const OURS: &str = "# Made by Liftlock for the time of an update. It is removed at the end.\n";

/// Where systemd looks for what belongs to units.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnitFolders {
    /// The folder of durable settings: `/etc/systemd/system`, `~/.config/systemd/user`.
    pub settings: PathBuf,
    /// A folder that is emptied at every boot: `/run`, `$XDG_RUNTIME_DIR`.
    pub runtime: PathBuf,
}

/// The components of an installation that are units.
pub(super) struct Units {
    runner: Arc<dyn Runner>,
    limits: Limits,
    gate: Option<profile::Gate>,
    /// Where to look instead of where systemd does.
    pub(super) folders: Option<UnitFolders>,
}

impl std::fmt::Debug for Units {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Units").field("limits", &self.limits).field("gate", &self.gate).finish_non_exhaustive()
    }
}

/// What `systemctl show` says of a unit.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Shown {
    load: String,
    active: String,
    sub: String,
    file: String,
    result: String,
    condition: String,
}

/// The drop-ins of a unit, and how it was found: what goes into the journal before it is held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Found {
    unit: String,
    /// `enabled`, `disabled`, `static`, … as systemd says; it is not changed.
    unit_file_state: String,
    drop_in: PathBuf,
    permit: PathBuf,
}

impl Units {
    pub(super) fn new(profile: &Profile, runner: Arc<dyn Runner>, folders: Option<UnitFolders>) -> Self {
        Self { runner, limits: profile.limits.clone(), gate: profile.gate.clone(), folders }
    }

    pub(super) fn is_running(&self, unit: &str, scope: UnitScope, reporter: &dyn Reporter) -> Result<bool> {
        Ok(self.show(unit, scope, reporter)?.is_running())
    }

    pub(super) fn stop(&self, unit: &str, scope: UnitScope, reporter: &dyn Reporter) -> Result<Ending> {
        if !self.show(unit, scope, reporter)?.is_running() {
            return Ok(Ending::WasGone);
        }
        let failed = |details: &str| {
            Error::failed("stop_failed", format!("systemd could not stop {unit}."))
                .remedy(format!("Stop it with “{} stop {unit}”, then try again.", systemctl_in_words(scope)))
                .detail(details)
        };
        // It asks and then kills by itself, after the unit's own TimeoutStopSec.
        let answer = self.systemctl(scope, &["stop", unit], self.limits.stop_within.max(STOP_AT_LEAST), reporter)?;
        refused(&answer, unit)?;
        let shown = self.show(unit, scope, reporter)?;
        if shown.is_running() || !answer.succeeded() {
            return Err(failed(&format!("{} ({})", answer.stderr.trim(), shown.in_words())));
        }
        Ok(if shown.result == "timeout" { Ending::ByForce } else { Ending::Gently })
    }

    pub(super) fn start(
        &self,
        component: &str,
        unit: &str,
        scope: UnitScope,
        variables: &Variables,
        gate: Gate,
        reporter: &dyn Reporter,
    ) -> Result<()> {
        let place = self.place(unit, scope)?;
        let mut all: Vec<(String, String)> = variables.to_vec();
        if let Some(port) = gate.private_port() {
            all.push((gate_variable(self.gate.as_ref(), component)?.to_owned(), port.to_string()));
        }
        let text = environment_file(&all)?;
        if self.show(unit, scope, reporter)?.is_running() {
            let has = fs::read_to_string(&place.variables).unwrap_or_default();
            if has == text || all.is_empty() && has.is_empty() {
                return Ok(());
            }
            return Err(Error::failed("already_running", format!("“{component}” runs already, behind another gate."))
                .remedy("Stop it, then try again."));
        }
        let drop_in = place.drop_ins.join(VARIABLES);
        if all.is_empty() {
            remove_ours(&drop_in)?;
            remove_ours(&place.variables)?;
        } else {
            private_folder(&place.runtime)?;
            durable::write(&place.variables, text.as_bytes())?;
            // The dash: after a reboot the variables are gone, and the hold alone decides.
            put(&drop_in, &format!("{OURS}[Service]\nEnvironmentFile=-{}\n", escaped(&place.variables)?))?;
        }
        private_folder(&place.runtime)?;
        durable::write(&place.permit, OURS.as_bytes())?;
        self.reload(unit, scope, reporter)?;
        // A unit that failed too often refuses to start until it was told to forget it.
        let _ = self.systemctl(scope, &["reset-failed", unit], QUICK, reporter)?;
        let answer = self.systemctl(scope, &["start", unit], self.limits.start_within, reporter)?;
        refused(&answer, unit)?;
        let shown = self.show(unit, scope, reporter)?;
        if answer.succeeded() && shown.is_running() {
            return Ok(());
        }
        let mut error = Error::failed("start_failed", format!("systemd could not start {unit}."))
            .remedy(format!("Look at its log with “{}”.", journalctl_in_words(unit, scope)))
            .detail(format!("{} ({})", answer.stderr.trim(), shown.in_words()));
        for line in self.last_words(unit, scope, reporter) {
            error = error.detail(line);
        }
        Err(error)
    }

    pub(super) fn last_words(&self, unit: &str, scope: UnitScope, reporter: &dyn Reporter) -> Vec<String> {
        let mut invocation = Invocation::new("journalctl");
        if scope == UnitScope::User {
            invocation = invocation.arg("--user");
        }
        let invocation = invocation.args(["--no-pager", "--output=cat", "--lines=20", "--unit", unit]).quiet();
        let patience = Patience { deadline: QUICK, stall_after: None };
        match self.runner.run(&invocation, patience, &[], reporter) {
            Ok(answer) => answer.stdout.lines().map(crate::process::printable).collect(),
            // It only embellishes an error that is told in any case.
            Err(_) => Vec::new(),
        }
    }

    pub(super) fn autostart(&self, unit: &str, scope: UnitScope, reporter: &dyn Reporter) -> Result<Autostart> {
        let shown = self.show(unit, scope, reporter)?;
        let place = self.place(unit, scope)?;
        // What holding needs, tried out: a file beside the unit, and systemd reading its settings anew.
        let trial = place.drop_ins.join("90-liftlock-trial.conf");
        put(&trial, OURS)?;
        remove_ours(&trial)?;
        self.reload(unit, scope, reporter)?;
        let found = Found {
            unit: unit.to_owned(),
            unit_file_state: shown.file,
            drop_in: place.drop_ins.join(HOLD),
            permit: place.permit,
        };
        serde_json::to_value(found)
            .map(Autostart)
            .map_err(|cause| Error::bug("autostart_record", "A unit could not be written down.").because(&cause))
    }

    pub(super) fn hold(&self, unit: &str, scope: UnitScope, found: &Autostart, reporter: &dyn Reporter) -> Result<()> {
        let found = read(found)?;
        let condition = escaped(&found.permit)?;
        put(&found.drop_in, &format!("{OURS}[Unit]\nConditionPathExists={condition}\n"))?;
        remove_ours(&found.permit)?;
        self.reload(unit, scope, reporter)
    }

    pub(super) fn restore(
        &self,
        unit: &str,
        scope: UnitScope,
        found: &Autostart,
        reporter: &dyn Reporter,
    ) -> Result<()> {
        let found = read(found)?;
        let place = self.place(unit, scope)?;
        for file in [&place.drop_ins.join(VARIABLES), &found.drop_in, &place.variables, &found.permit] {
            remove_ours(file)?;
        }
        // Only an empty folder goes, and only ours can be: an administrator's has something in it.
        let _ = fs::remove_dir(&place.drop_ins);
        self.reload(unit, scope, reporter)
    }

    fn show(&self, unit: &str, scope: UnitScope, reporter: &dyn Reporter) -> Result<Shown> {
        let properties = "--property=LoadState,ActiveState,SubState,UnitFileState,Result,ConditionResult";
        let answer = self.systemctl(scope, &["show", properties, unit], QUICK, reporter)?;
        let shown = parse_show(&answer.stdout);
        if !answer.succeeded() || shown.load.is_empty() {
            return Err(Error::failed("unit_not_answering", format!("systemd did not say how {unit} is."))
                .remedy(match scope {
                    UnitScope::User => "Log in to the desktop of the user who runs the application, or let its services run without login with “loginctl enable-linger”.",
                    UnitScope::System => "Check that this computer runs systemd.",
                })
                .detail(answer.stderr.trim()));
        }
        if shown.load == "not-found" {
            return Err(Error::refused("unit_missing", format!("systemd knows no unit {unit}."))
                .remedy("Correct the name of the unit in the profile, or install the unit."));
        }
        Ok(shown)
    }

    fn reload(&self, unit: &str, scope: UnitScope, reporter: &dyn Reporter) -> Result<()> {
        let answer = self.systemctl(scope, &["daemon-reload"], QUICK, reporter)?;
        refused(&answer, unit)?;
        if answer.succeeded() {
            return Ok(());
        }
        Err(Error::failed("unit_not_answering", "systemd could not read its settings anew.")
            .remedy(format!("Run “{} daemon-reload” and look at what it says.", systemctl_in_words(scope)))
            .detail(answer.stderr.trim()))
    }

    fn systemctl(
        &self,
        scope: UnitScope,
        words: &[&str],
        deadline: Duration,
        reporter: &dyn Reporter,
    ) -> Result<Finished> {
        let mut invocation = Invocation::new("systemctl").env("LC_ALL", "C.UTF-8");
        if scope == UnitScope::User {
            invocation = invocation.arg("--user");
        }
        let invocation = invocation.args(["--no-ask-password", "--no-pager"]).args(words).quiet();
        // systemd itself ends what takes too long; this only guards against systemd.
        let patience = Patience { deadline: deadline + Duration::from_secs(30), stall_after: None };
        self.runner.run(&invocation, patience, &[], reporter)
    }

    fn place(&self, unit: &str, scope: UnitScope) -> Result<Place> {
        let folders = match &self.folders {
            Some(folders) => folders.clone(),
            None => folders_of(scope)?,
        };
        let runtime = folders.runtime.join("liftlock");
        Ok(Place {
            drop_ins: folders.settings.join(format!("{unit}.d")),
            variables: runtime.join(format!("{unit}.env")),
            permit: runtime.join(format!("{unit}.may-start")),
            runtime,
        })
    }
}

const QUICK: Duration = Duration::from_secs(20);
/// systemd's own default, which a unit may raise: shorter would fail a stop that is about to succeed.
const STOP_AT_LEAST: Duration = Duration::from_secs(90);

/// Where the files beside a unit are.
#[derive(Debug)]
struct Place {
    drop_ins: PathBuf,
    runtime: PathBuf,
    variables: PathBuf,
    permit: PathBuf,
}

impl Shown {
    fn is_running(&self) -> bool {
        matches!(self.active.as_str(), "active" | "activating" | "reloading" | "refreshing" | "deactivating")
    }

    fn in_words(&self) -> String {
        let condition = if self.condition == "no" { ", a condition was not met" } else { "" };
        format!("{}, {}, {}{condition}", self.active, self.sub, self.result)
    }
}

fn parse_show(text: &str) -> Shown {
    let mut shown = Shown::default();
    for (key, value) in text.lines().filter_map(|line| line.split_once('=')) {
        let field = match key {
            "LoadState" => &mut shown.load,
            "ActiveState" => &mut shown.active,
            "SubState" => &mut shown.sub,
            "UnitFileState" => &mut shown.file,
            "Result" => &mut shown.result,
            "ConditionResult" => &mut shown.condition,
            _ => continue,
        };
        value.trim().clone_into(field);
    }
    shown
}

/// Whether systemd wanted to ask for a password, or said that we may not.
fn refused(answer: &Finished, unit: &str) -> Result<()> {
    let words = ["Interactive authentication required", "Access denied", "Permission denied", "not privileged"];
    if answer.succeeded() || !words.iter().any(|word| answer.stderr.contains(word)) {
        return Ok(());
    }
    Err(no_right(unit).detail(answer.stderr.trim()))
}

fn no_right(unit: &str) -> Error {
    Error::refused("no_right_to_hold", format!("This user may not stop, start and hold {unit} without being asked."))
        .remedy("Run Liftlock as the user that owns the service: as root for a service of the machine.")
}

fn folders_of(scope: UnitScope) -> Result<UnitFolders> {
    let absolute = |key: &str| env::var_os(key).map(PathBuf::from).filter(|it| it.is_absolute());
    match scope {
        UnitScope::System => Ok(UnitFolders { settings: "/etc/systemd/system".into(), runtime: PathBuf::from("/run") }),
        UnitScope::User => {
            let settings = absolute("XDG_CONFIG_HOME").or_else(|| absolute("HOME").map(|home| home.join(".config")));
            match (settings, absolute("XDG_RUNTIME_DIR")) {
                (Some(settings), Some(runtime)) => Ok(UnitFolders { settings: settings.join("systemd/user"), runtime }),
                _ => Err(Error::refused("unit_not_answering", "The services of this user cannot be reached.").remedy(
                    "Log in as that user instead of changing to it, so that HOME and XDG_RUNTIME_DIR are set.",
                )),
            }
        }
    }
}

fn read(found: &Autostart) -> Result<Found> {
    serde_json::from_value(found.0.clone())
        .map_err(|cause| Error::bug("autostart_record", "How a unit was found cannot be read.").because(&cause))
}

/// Writes a file beside a unit, with its folder; readable by systemd, which may be another user.
fn put(file: &Path, text: &str) -> Result<()> {
    if fs::read_to_string(file).is_ok_and(|has| has == text) {
        return Ok(());
    }
    let folder = durable::parent(file)?;
    fs::create_dir_all(folder).map_err(|cause| denied(folder, &cause))?;
    durable::write(file, text.as_bytes()).map_err(|error| match error.class.as_ref() {
        "permission_denied" => Error { class: "no_right_to_hold".into(), kind: crate::error::Kind::Refused, ..error },
        _ => error,
    })
}

fn denied(path: &Path, cause: &io::Error) -> Error {
    let error = Error::io("create", path, cause);
    match cause.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            Error { class: "no_right_to_hold".into(), kind: crate::error::Kind::Refused, ..error }
        }
        _ => error,
    }
}

fn private_folder(folder: &Path) -> Result<()> {
    durable::create_private_dir(folder)
}

/// Removes a file that bears our first line. One that is not there is removed already.
fn remove_ours(file: &Path) -> Result<()> {
    let text = match fs::read(file) {
        Ok(text) => text,
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(cause) => return Err(Error::io("read", file, &cause)),
    };
    if !text.starts_with(OURS.as_bytes()) {
        return Err(Error::failed(
            "not_ours",
            format!("{} was not made by Liftlock and is left alone.", file.display()),
        )
        .remedy("Move it to another place, then try again."));
    }
    fs::remove_file(file).map_err(|cause| Error::io("remove", file, &cause))?;
    durable::fsync_dir(durable::parent(file)?)
}

/// Variables as systemd reads them from a file.
fn environment_file(variables: &Variables) -> Result<String> {
    let mut text = if variables.is_empty() { String::new() } else { OURS.to_owned() };
    for (key, value) in variables {
        if value.contains('\0') {
            return Err(Error::bug("bad_variable", format!("The value of {key} holds a zero byte.")));
        }
        text.push_str(key);
        text.push_str("=\"");
        for c in value.chars() {
            if matches!(c, '"' | '\\' | '$' | '`') {
                text.push('\\');
            }
            text.push(c);
        }
        text.push_str("\"\n");
    }
    Ok(text)
}

/// A path in a setting of systemd, where a percent sign begins a specifier.
fn escaped(path: &Path) -> Result<String> {
    match path.to_str() {
        Some(text) if !text.contains(['\n', '\\', '"', ' ']) => Ok(text.replace('%', "%%")),
        _ => Err(Error::refused("bad_path", format!("systemd cannot be told the path {}.", path.display()))
            .remedy("Give this user a home and a runtime folder without spaces and special signs.")),
    }
}

fn systemctl_in_words(scope: UnitScope) -> &'static str {
    match scope {
        UnitScope::User => "systemctl --user",
        UnitScope::System => "sudo systemctl",
    }
}

fn journalctl_in_words(unit: &str, scope: UnitScope) -> String {
    match scope {
        UnitScope::User => format!("journalctl --user --unit {unit}"),
        UnitScope::System => format!("sudo journalctl --unit {unit}"),
    }
}
