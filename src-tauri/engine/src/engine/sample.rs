//! The sample shop: an application to try everything with, on this computer only.
//!
//! It is a program of ours beside the worker. What it makes is in a folder of its own; forgetting the shop stops it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use crate::durable;
use crate::engine::{AddRequest, Engine};
use crate::error::{Error, Result};
use crate::model::ids::InstallationName;
use crate::ports::{Invocation, Patience, Reporter, Runner};
use crate::process::{Silent, SystemRunner};
use crate::site::runs_as_root;
use crate::view::InstallationView;

/// The program that makes it.
const PROGRAM: &str = "liftlock-demo";
/// The release that waits for the person who tries it.
const WAITS: &str = "1.1.0";
/// PostgreSQL, a shop and its orders are made in a few seconds, on a slow computer in a minute.
const PATIENCE: Patience = Patience { deadline: Duration::from_secs(180), stall_after: None };

impl Engine {
    /// Starts the sample shop, made first where there is none, and looks after it. A newer release waits for it.
    ///
    /// # Errors
    /// `locked`; `no_sample`: it is not part of this installation of Liftlock; `sample_failed` with the reason, such as
    /// PostgreSQL not being installed; what stopped `reporter`.
    pub fn start_sample(&self, reporter: &dyn Reporter) -> Result<InstallationView> {
        self.must_be_unlocked()?;
        let up = self.ask_sample("up", &[], reporter)?;
        self.ask_sample("publish", &[WAITS], reporter)?;
        let place = |key: &str| up[key].as_str().map(PathBuf::from).ok_or_else(|| odd(&up));
        let folder = place("install_dir")?.canonicalize().map_err(|cause| odd(&up).because(&cause))?;
        let known = self.installations()?.into_iter().find(|it| Path::new(&it.folder) == folder);
        match known {
            Some(known) => Ok(known),
            None => {
                let profile = place("profile")?.display().to_string();
                self.add(&AddRequest { profile, folder, name: None })
            }
        }
    }

    /// Whether an installation is the sample shop; a folder that is gone is not.
    pub(super) fn is_sample(&self, name: &InstallationName) -> Result<bool> {
        let folder = self.db()?.installation(name)?.folder;
        Ok(self.sample_folder().canonicalize().is_ok_and(|it| folder.starts_with(it)))
    }

    /// Stops the sample shop. Its files stay, so that it can be started again as it was.
    pub(super) fn stop_sample(&self) -> Result<()> {
        self.ask_sample("down", &[], &Silent).map(drop)
    }

    fn ask_sample(&self, command: &str, rest: &[&str], reporter: &dyn Reporter) -> Result<Value> {
        let program = self.sample_program()?;
        let folder = self.sample_folder();
        if folder.exists() {
            // In a folder for everybody somebody else may have been first.
            durable::expect_our_dir(&folder)?;
        }
        let ask = Invocation::new(program).arg(command).arg("--dir").arg(&folder).args(rest.iter().copied()).quiet();
        let runner = SystemRunner::new().clock(Arc::clone(&self.clock));
        let said = runner.run(&ask, PATIENCE, &[], reporter)?;
        let answer: Value = serde_json::from_str(said.stdout.trim()).unwrap_or_default();
        if said.succeeded() {
            return Ok(answer);
        }
        let why = answer["error"].as_str().unwrap_or(said.stderr.trim());
        Err(Error::failed("sample_failed", "The sample shop could not be started.")
            .remedy("It needs PostgreSQL on this computer. Install it (on Debian and Ubuntu: the package “postgresql”), then try again.")
            .detail(why.to_owned()))
    }

    /// The program beside our own, or beside the worker where we are the window.
    fn sample_program(&self) -> Result<PathBuf> {
        let beside = match &self.worker {
            Some(worker) => worker.clone(),
            None => std::env::current_exe().map_err(|cause| missing().because(&cause))?,
        };
        let program = beside.with_file_name(PROGRAM).with_extension(std::env::consts::EXE_EXTENSION);
        if program.is_file() { Ok(program) } else { Err(missing()) }
    }

    /// Where it is, whether or not it was made. PostgreSQL refuses to run as root, and as another user it cannot enter
    /// root's own folders.
    pub fn sample_folder(&self) -> PathBuf {
        if runs_as_root() {
            let home: String =
                crate::digest::sha256(self.home.root().as_os_str().as_encoded_bytes()).chars().take(12).collect();
            return Path::new("/var/tmp").join(format!("liftlock-sample-{home}"));
        }
        self.home.root().join("sample")
    }
}

fn missing() -> Error {
    Error::refused("no_sample", "The sample shop is not part of this installation of Liftlock.")
        .remedy("Choose a folder with an application of yours, or get Liftlock from its release page.")
}

fn odd(answer: &Value) -> Error {
    Error::bug("sample_answer", "The sample shop answered in a way that is not understood.").detail(answer.to_string())
}
