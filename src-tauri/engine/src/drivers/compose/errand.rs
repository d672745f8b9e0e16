//! Commands of a release: each in a fresh container of one service, with the image of that release, gone afterwards.

use std::path::{Path, PathBuf};
use std::time::Duration;

use uuid::Uuid;

use super::{Compose, Errand, OURS, overlay};
use crate::docker::Docker;
use crate::drivers::command::words_of;
use crate::error::{Error, Result};
use crate::model::profile::CommandLine;
use crate::ports::{Finished, Invocation, Patience, Reporter, SignOfWork};
use crate::process::Silent;

/// On every container that runs a command; its value is the project.
pub(super) const LABEL: &str = "liftlock.errand";
const QUICK: Patience = Patience { deadline: Duration::from_secs(120), stall_after: None };
/// How long a daemon may take to come back after a restart of the computer.
const DAEMON_WITHIN: Duration = Duration::from_secs(60);

/// The service in whose container a command runs.
pub(super) fn service_of(line: &CommandLine) -> Result<&str> {
    line.service.as_deref().ok_or_else(|| {
        Error::bug("service_missing", "A command of the profile names no service although it was checked.")
    })
}

/// Runs a command in its container, called `name`, to its end. What Docker itself says is told apart from what the command
/// does.
pub(super) fn watched(
    docker: &Docker,
    run: &Invocation,
    name: &str,
    patience: Patience,
    signs: &[&dyn SignOfWork],
    reporter: &dyn Reporter,
) -> Result<Finished> {
    let finished = docker.runner().run(run, patience, signs, reporter);
    if finished.is_err() {
        // Whoever stopped waiting has not stopped the container.
        let _ = docker.act(["rm", "--force", "--volumes", name], QUICK, &Silent);
    }
    let finished = finished?;
    if !finished.succeeded() && is_dockers_own(&finished) {
        return Err(crate::docker::understood(&finished.stderr));
    }
    Ok(finished)
}

impl Compose {
    pub(super) fn run_errand(
        &self,
        line: &CommandLine,
        errand: &Errand<'_>,
        patience: Patience,
        signs: &[&dyn SignOfWork],
        reporter: &dyn Reporter,
    ) -> Result<Finished> {
        let service = service_of(line)?;
        let id = Uuid::new_v4().simple().to_string();
        self.ensure(errand.place.version)?;
        let project = self.project_of(errand.place.version)?;
        let mut over = self.always();
        over.push(self.ours("errand-images.yaml", &self.images_override(errand.place.version)?)?);
        if let Some(network) = errand.network {
            let volumes = project.volumes_of(service, errand.variables)?;
            over.push(self.ours("errand-alone.yaml", &overlay::alone(service, network, &volumes))?);
        }
        let over: Vec<&Path> = over.iter().map(PathBuf::as_path).collect();
        let name = format!("liftlock-{id}");
        let label = format!("{LABEL}={}", self.project.name()?);
        let mut run = project.compose(&over).args([
            "run",
            "--rm",
            "--no-deps",
            "--no-TTY",
            "--quiet-pull",
            "--name",
            &name,
            "--label",
            &label,
        ]);
        for (key, value) in errand.variables {
            run = run.arg("--env").arg(key).env(key, value);
        }
        run = run.arg(service).args(words_of(line, errand.place)?);
        watched(self.project.docker(), &run, &name, patience, signs, reporter)
    }

    /// Ends the commands that a killed worker has left behind.
    pub(super) fn sweep_errands(&self, reporter: &dyn Reporter) -> Result<()> {
        if !self.dir.join(OURS).exists() {
            return Ok(());
        }
        self.project.docker().wait_until_up(DAEMON_WITHIN, reporter)?;
        let ours = format!("label={LABEL}={}", self.project.name()?);
        let left = self.project.docker().ask(["ps", "--all", "--quiet", "--filter", &ours])?;
        let left: Vec<&str> = left.split_whitespace().collect();
        if left.is_empty() {
            return Ok(());
        }
        reporter.say(&format!("ended {} container(s) that an earlier worker had left behind", left.len()));
        self.project.docker().act(["rm", "--force", "--volumes"].into_iter().chain(left), QUICK, &Silent).map(drop)
    }
}

/// Whether it was Docker that refused, and not the command that failed.
fn is_dockers_own(finished: &Finished) -> bool {
    let says = |line: &str| {
        [
            "Cannot connect to the Docker daemon",
            "Error response from daemon",
            "error during connect",
            "no space left on device",
        ]
        .iter()
        .any(|it| line.contains(it))
    };
    finished.stderr.lines().any(says)
}
