//! Docker, through its own command line: what is asked and how its refusals are understood.
//!
//! The daemon is the one that the user's `docker` talks to: context, `DOCKER_HOST` and rootless sockets count here as
//! they do there. Standard output is parsed, standard error never: it is only searched for words once a command has
//! failed. Deliberately absent: the API of the daemon, and anything that Docker Compose works out by itself.

mod inside;
mod project;
mod trouble;

use std::{fmt, sync::Arc, time::Duration};

use crate::clock::SystemClock;
use crate::error::Result;
use crate::ports::{Clock, Finished, Invocation, Patience, Reporter, Runner};
use crate::process::Silent;

pub use inside::InContainer;
pub use project::{Config, Container, Project, Service};
pub(crate) use trouble::understood;

/// How long a question may take.
const QUESTION: Patience = Patience { deadline: Duration::from_secs(60), stall_after: None };

/// The `docker` of this user.
#[derive(Clone)]
pub struct Docker(Arc<dyn Runner>);

impl fmt::Debug for Docker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Docker")
    }
}

impl Docker {
    /// Docker as `runner` runs it.
    pub fn new(runner: Arc<dyn Runner>) -> Self {
        Self(runner)
    }

    /// What runs it.
    pub fn runner(&self) -> &Arc<dyn Runner> {
        &self.0
    }

    /// The answer to a question, whatever it is about.
    ///
    /// # Errors
    /// `docker_missing`, `docker_down`, `docker_forbidden`, …: why there is none.
    pub fn ask<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> Result<String> {
        let finished = self.0.run(&invocation().args(args).quiet(), QUESTION, &[], &Silent);
        succeeded(finished).map(|it| it.stdout)
    }

    /// Waits for a daemon that is only coming up.
    ///
    /// # Errors
    /// Why it does not answer after so long; what `reporter` says.
    pub fn wait_until_up(&self, within: Duration, reporter: &dyn Reporter) -> Result<()> {
        let clock = SystemClock;
        let until = clock.since_boot() + within;
        loop {
            match self.ask(["version", "--format", "{{.Server.Version}}"]) {
                Err(error) if error.class == "docker_down" && clock.since_boot() < until => {
                    reporter.check()?;
                    std::thread::sleep(Duration::from_millis(500));
                }
                answer => return answer.map(drop),
            }
        }
    }

    /// Something that changes the world, and takes so long.
    ///
    /// # Errors
    /// As [`Docker::ask`], and the class of what did not work: `image_missing`, `port_taken`, `disk_full`, ….
    pub fn act<'a>(
        &self,
        args: impl IntoIterator<Item = &'a str>,
        patience: Patience,
        reporter: &dyn Reporter,
    ) -> Result<Finished> {
        succeeded(self.0.run(&invocation().args(args), patience, &[], reporter))
    }
}

/// `docker`. Which daemon it asks is told by the variables that every child of ours is passed.
pub(crate) fn invocation() -> Invocation {
    Invocation::new("docker")
}

/// A command that ended well, or why it did not.
pub(crate) fn succeeded(finished: Result<Finished>) -> Result<Finished> {
    match finished {
        Ok(finished) if finished.succeeded() => Ok(finished),
        Ok(finished) => Err(understood(&finished.stderr)),
        Err(error) if error.class == "command_missing" => Err(trouble::no_docker(&error)),
        Err(error) => Err(error),
    }
}
