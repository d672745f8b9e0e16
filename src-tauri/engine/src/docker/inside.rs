//! Running commands inside a container that runs already.
//!
//! A command keeps its words and its variables; the values of these travel in the environment of `docker` and never
//! in its arguments. What is there of our files is not there inside.

use std::{fmt, sync::Arc};

use super::{invocation, understood};
use crate::error::{Error, Result};
use crate::ports::{Finished, Invocation, Patience, Pipes, Reporter, Runner, SignOfWork};

/// Runs every command inside one container.
#[derive(Clone)]
pub struct InContainer {
    runner: Arc<dyn Runner>,
    container: String,
}

impl fmt::Debug for InContainer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InContainer").field("container", &self.container).finish_non_exhaustive()
    }
}

impl InContainer {
    /// The container of that name or id; `runner` runs `docker`.
    pub fn new(runner: Arc<dyn Runner>, container: impl Into<String>) -> Self {
        Self { runner, container: container.into() }
    }
}

impl Runner for InContainer {
    fn pipe(
        &self,
        inner: &Invocation,
        pipes: Pipes<'_>,
        patience: Patience,
        signs: &[&dyn SignOfWork],
        reporter: &dyn Reporter,
    ) -> Result<Finished> {
        let mut outer = invocation().arg("exec");
        if pipes.stdin.is_some() {
            outer = outer.arg("--interactive");
        }
        for (key, value) in &inner.env {
            outer = outer.arg("--env").arg(key).env(key, value);
        }
        outer = outer.arg(&self.container).arg(&inner.program).args(&inner.args);
        outer.quiet = inner.quiet;
        let finished = self.runner.pipe(&outer, pipes, patience, signs, reporter)?;
        match refusal(&finished) {
            Some(error) => Err(error),
            None => Ok(finished),
        }
    }
}

/// Whether it was Docker that refused, and not the command that failed.
fn refusal(finished: &Finished) -> Option<Error> {
    if finished.succeeded() {
        return None;
    }
    // What the runtime says of a program that is not there comes through standard output, which may lead elsewhere.
    if matches!(finished.code, Some(126 | 127)) {
        return Some(understood("executable file not found"));
    }
    let mut words = finished.stderr.lines().map(str::trim);
    let is_dockers = |line: &str| {
        [
            "Error response from daemon:",
            "Cannot connect to the Docker daemon",
            "error during connect",
            "OCI runtime exec failed",
            "permission denied while trying to connect",
        ]
        .iter()
        .any(|it| line.starts_with(it))
    };
    words.any(is_dockers).then(|| understood(&finished.stderr))
}
