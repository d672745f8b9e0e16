//! What every test here stands on: Corner Shop as a project of Docker Compose, on an engine of its own.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::docker::{Engine, demo_program};

/// How long anything here may take before the test has found something: generous, because machines are shared.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// A demo in containers, ended and removed with its engine.
pub(crate) struct World {
    pub(crate) engine: Engine,
    pub(crate) dir: PathBuf,
    /// What `up` answered.
    pub(crate) up: Value,
    /// What `hash` answered before anything was done.
    pub(crate) before: Value,
    /// The same of what was there at first, whatever was ordered since.
    pub(crate) seeded: Value,
}

impl World {
    /// Corner Shop 1.0.0, running, with these releases out.
    pub(crate) fn with(releases: &[&str]) -> Self {
        let dir = tempfile::Builder::new().prefix("liftlock-in-docker-").tempdir().unwrap().keep();
        let mut world =
            Self { engine: Engine::start(), dir, up: Value::Null, before: Value::Null, seeded: Value::Null };
        world.up = world.demo(&["up", "--compose", "--orders", "200"]);
        world.before = world.demo(&["hash"]);
        world.seeded = world.demo(&["hash", "--seeded"]);
        if !releases.is_empty() {
            world.demo(&[&["publish"], releases].concat());
        }
        world
    }

    /// The folder of the project.
    pub(crate) fn shop(&self) -> PathBuf {
        PathBuf::from(self.up["install_dir"].as_str().unwrap())
    }

    /// The container of a service.
    pub(crate) fn container(&self, service: &str) -> String {
        let project = format!("label=com.docker.compose.project={}", self.up["project"].as_str().unwrap());
        let service = format!("label=com.docker.compose.service={service}");
        let ids = self.engine.docker(&["ps", "--all", "--quiet", "--filter", &project, "--filter", &service]);
        assert_eq!(ids.lines().count(), 1, "one container of {service}: {ids}");
        ids
    }

    /// Since when the container of a service runs.
    pub(crate) fn started_at(&self, service: &str) -> String {
        self.engine.docker(&["inspect", "--format", "{{.State.StartedAt}}", &self.container(service)])
    }

    /// The version that answers on the public port.
    pub(crate) fn version(&self) -> Option<String> {
        let (status, body) = self.get("/api/v1/system/version")?;
        let document: Value = serde_json::from_str(&body).ok().filter(|_| status == 200)?;
        document["version"].as_str().map(str::to_owned)
    }

    /// What answers on the public port: status and body.
    pub(crate) fn get(&self, path: &str) -> Option<(u16, String)> {
        let port = u16::try_from(self.up["shop_port"].as_u64()?).ok()?;
        let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
        stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n").as_bytes()).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        let (head, body) = answer.split_once("\r\n\r\n")?;
        Some((head.split(' ').nth(1)?.parse().ok()?, body.to_owned()))
    }

    pub(crate) fn demo_command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(demo_program());
        let (verb, rest) = words.split_first().unwrap();
        command.arg(verb).arg("--dir").arg(&self.dir).args(rest).stdin(Stdio::null());
        command.env("DOCKER_HOST", &self.engine.host).env_remove("DOCKER_CONTEXT");
        command
    }

    /// Asks `liftlock-demo` for one document.
    pub(crate) fn demo(&self, words: &[&str]) -> Value {
        let output = self.demo_command(words).output().unwrap();
        assert!(
            output.status.success(),
            "liftlock-demo {} failed: {}",
            words.join(" "),
            String::from_utf8_lossy(&output.stderr)
        );
        serde_json::from_slice(&output.stdout).unwrap()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = self.demo_command(&["down", "--hard", "--remove"]).output();
    }
}

/// Asks again and again until it is so.
pub(crate) fn wait_for<T>(what: &str, within: Duration, mut ask: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(begun.elapsed() < within, "waited {within:?} in vain until {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
