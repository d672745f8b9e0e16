//! Docker, through its own command line: what is asked and how its refusals are understood.
//!
//! The daemon is the one that the user's `docker` talks to: context, `DOCKER_HOST` and rootless sockets count here as
//! they do there. Standard output is parsed, standard error never: it is only searched for words once a command has
//! failed. Deliberately absent: the API of the daemon, and anything that Docker Compose works out by itself.

mod inside;
mod ourselves;
mod project;
mod swarm;
mod trouble;

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use crate::clock::SystemClock;
use crate::error::Result;
use crate::ports::{Clock, Finished, Invocation, Patience, Reporter, Runner};
use crate::process::Silent;

pub use inside::InContainer;
pub use ourselves::{Ourselves, Reach};
pub use project::{Config, Container, Project, Service, Volume};
pub use swarm::{Rollout, SwarmMount, SwarmService, Task, split};
pub(crate) use trouble::understood;

/// How long a question may take.
const QUESTION: Patience = Patience { deadline: Duration::from_secs(60), stall_after: None };

/// The `docker` of this user.
#[derive(Clone)]
pub struct Docker {
    runner: Arc<dyn Runner>,
    /// How long a daemon that went away is waited for.
    patience: Duration,
    /// It was waited for, and did not come: nobody waits a second time.
    in_vain: Arc<AtomicBool>,
}

impl fmt::Debug for Docker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Docker")
    }
}

impl Docker {
    /// Docker as `runner` runs it.
    pub fn new(runner: Arc<dyn Runner>) -> Self {
        Self { runner, patience: Duration::ZERO, in_vain: Arc::default() }
    }

    /// Waits so long for a daemon that went away before it counts as down: it is started anew for its own updates too.
    #[must_use]
    pub fn patient(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Does what can be done twice, once more where the daemon was away and has come back.
    pub(crate) fn again<T>(&self, act: impl Fn() -> Result<T>) -> Result<T> {
        let answer = act();
        let is_down = matches!(&answer, Err(error) if error.class == "docker_down");
        if !is_down || self.patience.is_zero() || self.in_vain.load(Ordering::Acquire) {
            return answer;
        }
        if self.wait_until_up(self.patience, &Silent).is_err() {
            self.in_vain.store(true, Ordering::Release);
            return answer;
        }
        act()
    }

    /// What runs it.
    pub fn runner(&self) -> &Arc<dyn Runner> {
        &self.runner
    }

    /// The answer to a question, whatever it is about.
    ///
    /// # Errors
    /// `docker_missing`, `docker_down`, `docker_forbidden`, …: why there is none.
    pub fn ask<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> Result<String> {
        let question = invocation().args(args).quiet();
        self.again(|| self.ask_once(&question))
    }

    fn ask_once(&self, question: &Invocation) -> Result<String> {
        succeeded(self.runner.run(question, QUESTION, &[], &Silent)).map(|it| it.stdout)
    }

    /// Waits for a daemon that is only coming up.
    ///
    /// # Errors
    /// Why it does not answer after so long; what `reporter` says.
    pub fn wait_until_up(&self, within: Duration, reporter: &dyn Reporter) -> Result<()> {
        let clock = SystemClock;
        let until = clock.since_boot() + within;
        loop {
            let question = invocation().args(["version", "--format", "{{.Server.Version}}"]).quiet();
            match self.ask_once(&question) {
                Err(error) if error.class == "docker_down" && clock.since_boot() < until => {
                    reporter.check()?;
                    std::thread::sleep(Duration::from_millis(500));
                }
                answer => return answer.map(drop),
            }
        }
    }

    /// Something that changes the world and may be done twice, and takes so long.
    ///
    /// # Errors
    /// As [`Docker::ask`], and the class of what did not work: `image_missing`, `port_taken`, `disk_full`, ….
    pub fn act<'a>(
        &self,
        args: impl IntoIterator<Item = &'a str>,
        patience: Patience,
        reporter: &dyn Reporter,
    ) -> Result<Finished> {
        let act = invocation().args(args);
        self.again(|| succeeded(self.runner.run(&act, patience, &[], reporter)))
    }
}

/// `docker`. Which daemon it asks is told by the variables that every child of ours is passed.
pub(crate) fn invocation() -> Invocation {
    Invocation::new("docker")
}

/// A build that ended well, or why it did not: a builder says on standard output what it is at.
pub(crate) fn built(finished: Result<Finished>) -> Result<Finished> {
    match finished {
        Ok(finished) if !finished.succeeded() => Err(trouble::of_a_build(&finished)),
        finished => succeeded(finished),
    }
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

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::ports::{Pipes, SignOfWork};

    /// A daemon that is away for so many questions.
    struct Away(Mutex<usize>);

    impl Runner for Away {
        fn pipe(
            &self,
            _: &Invocation,
            _: Pipes<'_>,
            _: Patience,
            _: &[&dyn SignOfWork],
            _: &dyn Reporter,
        ) -> Result<Finished> {
            let mut left = self.0.lock().unwrap();
            let is_away = *left > 0;
            *left = left.saturating_sub(1);
            let stderr = if is_away {
                "Cannot connect to the Docker daemon at unix:///x. Is the docker daemon running?"
            } else {
                ""
            };
            Ok(Finished { code: Some(i32::from(is_away)), stdout: "26.1".to_owned(), stderr: stderr.to_owned() })
        }
    }

    #[test]
    fn a_daemon_that_comes_back_is_waited_for_once_and_only_by_whoever_has_patience() {
        let asked = |times, patience| Docker::new(Arc::new(Away(Mutex::new(times)))).patient(patience);
        let error = asked(1, Duration::ZERO).ask(["ps"]).unwrap_err();
        assert_eq!(error.class, "docker_down");
        assert_eq!(asked(2, Duration::from_secs(30)).ask(["ps"]).unwrap(), "26.1");
        let gone = asked(usize::MAX, Duration::from_millis(1));
        assert_eq!(gone.ask(["ps"]).unwrap_err().class, "docker_down");
        assert!(gone.in_vain.load(Ordering::Acquire), "nobody waits a second time");
    }
}
