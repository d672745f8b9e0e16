//! A Docker engine for figures, apart from every other on this machine, as the tests have it. It and everything on it
//! ends with this process, however that ends, because its keeper reads from a pipe of it.

use std::{
    env,
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
};

use anyhow::{Context, Result};

use crate::{machine::is_root, run::target_dir};

/// An engine that answers.
#[derive(Debug)]
pub(super) struct Engine {
    /// `DOCKER_HOST` for whoever is to use it.
    pub(super) host: String,
    keeper: Child,
}

impl Engine {
    /// Starts one with the keeper of a profile of Cargo.
    pub(super) fn start(profile: &str) -> Result<Self> {
        let program = target_dir().join(profile).join(format!("liftlock-demo{}", env::consts::EXE_SUFFIX));
        let mut command = if is_root() { Command::new(&program) } else { Command::new("sudo") };
        if !is_root() {
            command.arg("--non-interactive").arg(&program);
        }
        command.arg("keep-docker").stdin(Stdio::piped()).stdout(Stdio::piped());
        // A group of its own, so that Ctrl-C in a terminal leaves it to the pipe.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let mut keeper = command.spawn().context("could not start the keeper of an engine of Docker")?;
        let mut line = String::new();
        BufReader::new(keeper.stdout.take().context("the keeper has no voice")?).read_line(&mut line)?;
        let host = line.trim().strip_prefix("ready ").map(str::to_owned);
        let mut engine = Self { host: String::new(), keeper };
        engine.host = host.context("no engine of Docker can be started here")?;
        Ok(engine)
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
    }
}
