//! Corner Shop in containers, and a Docker engine of its own to run them on.
//!
//! Images are put together from what this machine has installed, because nothing is pulled here: a few libraries,
//! PostgreSQL's programs, the shop. `room` keeps an engine apart from any other on the machine; a demo uses whichever
//! engine the `docker` command reaches.

pub mod images;
pub mod project;
pub mod room;
pub mod stack;

use std::process::{Command, Output, Stdio};

use anyhow::{Context, Result, bail};

/// How a demo's Docker engine is reached.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Docker {
    /// `DOCKER_HOST`, where one was set when the demo was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
}

impl Docker {
    /// The engine that the `docker` command reaches by itself.
    pub fn from_environment() -> Self {
        Self { host: std::env::var("DOCKER_HOST").ok().filter(|it| !it.is_empty()) }
    }

    /// `docker` with these words.
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new("docker");
        command.args(words).stdin(Stdio::null());
        if let Some(host) = &self.host {
            command.env("DOCKER_HOST", host).env_remove("DOCKER_CONTEXT");
        }
        command
    }

    /// Runs `docker` with these words and answers what it said.
    ///
    /// # Errors
    /// It failed; the message ends with its own words.
    pub fn run(&self, words: &[&str]) -> Result<String> {
        said(&words[..words.len().min(3)].join(" "), self.command(words).output())
    }
}

/// What a command said, or why it failed.
fn said(name: &str, output: std::io::Result<Output>) -> Result<String> {
    let output = output.with_context(|| format!("docker {name}: the command `docker` is not installed"))?;
    if !output.status.success() {
        bail!("docker {name} failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
