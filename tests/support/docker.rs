//! A Docker engine for tests, apart from every other on this machine. It and everything on it ends with the process
//! that started it, however that ends, because its keeper reads from a pipe of that process.

#![allow(dead_code, clippy::unwrap_used, reason = "shared by several test binaries, which use a part each")]

use std::{
    io::{BufRead, BufReader, Write},
    os::unix::process::CommandExt,
    path::PathBuf,
    process::{Child, ChildStdout, Command, Stdio},
    sync::Mutex,
};

/// An engine that answers, until it is told otherwise.
#[derive(Debug)]
pub(crate) struct Engine {
    /// `DOCKER_HOST` for whoever is to use it.
    pub(crate) host: String,
    /// The folder of its data, its socket and its log.
    pub(crate) dir: PathBuf,
    keeper: Mutex<(Child, BufReader<ChildStdout>)>,
}

impl Engine {
    /// Starts one. Where none can be started the test fails with a sentence that says why.
    pub(crate) fn start() -> Self {
        let mut command = Command::new("sudo");
        if is_root() {
            command = Command::new(demo_program());
        } else {
            command.arg("--non-interactive").arg(demo_program());
        }
        command.arg("keep-docker");
        if !is_root() {
            command.args(["--group", &group()]);
        }
        // A group of its own, so that Ctrl-C in a terminal leaves it to the pipe.
        command.process_group(0).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut keeper = command
            .spawn()
            .unwrap_or_else(|error| panic!("no engine of Docker can be started here: {command:?}: {error}"));
        let mut answers = BufReader::new(keeper.stdout.take().unwrap());
        let mut line = String::new();
        answers.read_line(&mut line).unwrap();
        let Some(host) = line.trim().strip_prefix("ready ") else {
            let output = keeper.wait_with_output().unwrap();
            panic!("no engine of Docker can be started here: {}", String::from_utf8_lossy(&output.stderr).trim());
        };
        let socket = PathBuf::from(host.strip_prefix("unix://").unwrap());
        Self { host: host.to_owned(), dir: socket.parent().unwrap().to_owned(), keeper: Mutex::new((keeper, answers)) }
    }

    /// Starts it again, and waits until it answers.
    pub(crate) fn start_again(&self) {
        self.tell("start");
    }

    /// Asks it to end, as at the shutdown of a computer: it stops every container.
    pub(crate) fn stop(&self) {
        self.tell("stop");
    }

    /// Kills it; what runs in containers runs on.
    pub(crate) fn kill(&self) {
        self.tell("kill");
    }

    /// The power goes: engine, runtime and containers end in the same moment.
    pub(crate) fn cut(&self) {
        self.tell("cut");
    }

    fn tell(&self, word: &str) {
        let mut keeper = self.keeper.lock().unwrap();
        let (child, answers) = &mut *keeper;
        let input = child.stdin.as_mut().unwrap();
        writeln!(input, "{word}").unwrap();
        input.flush().unwrap();
        let mut line = String::new();
        answers.read_line(&mut line).unwrap();
        assert_eq!(line.trim(), "done", "the engine was told to {word}");
    }

    /// `docker` with these words on this engine.
    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new("docker");
        command.args(words).env("DOCKER_HOST", &self.host).env_remove("DOCKER_CONTEXT").stdin(Stdio::null());
        command
    }

    /// What `docker` says to these words.
    pub(crate) fn docker(&self, words: &[&str]) -> String {
        let output = self.command(words).output().unwrap();
        assert!(output.status.success(), "docker {}: {}", words.join(" "), String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// Makes it the manager of a swarm of its own, apart from every other on this machine.
    pub(crate) fn begin_swarm(&self) {
        let number = self.on_a_bridge_of_its_own();
        let (address, pool) = (format!("127.{number}.0.1"), format!("10.{number}.128.0/18"));
        let (listen, data) = (format!("{address}:2377"), (20_000 + number).to_string());
        let own = ["--default-addr-pool", &pool, "--default-addr-pool-mask-length=24", "--data-path-port", &data];
        let reach = ["swarm", "init", "--listen-addr", &listen, "--advertise-addr", &address];
        self.docker(&[reach.as_slice(), &own].concat());
    }

    /// Makes it a worker of the swarm of another engine, which has given this token.
    pub(crate) fn join_swarm(&self, manager: &Self, token: &str) {
        let address = |number: u16| format!("127.{number}.0.1");
        let own = address(self.on_a_bridge_of_its_own());
        let (listen, there) = (format!("{own}:2377"), format!("{}:2377", address(manager.number())));
        let reach = ["--listen-addr", &listen, "--advertise-addr", &own, "--token", token];
        self.docker(&[&["swarm", "join"], reach.as_slice(), &[&there]].concat());
    }

    fn number(&self) -> u16 {
        let name = self.dir.file_name().unwrap().to_str().unwrap();
        name.rsplit('-').next().unwrap().parse().unwrap()
    }

    /// The bridge by which tasks reach their machine has one name for all engines, unless it is made before.
    fn on_a_bridge_of_its_own(&self) -> u16 {
        let number = self.number();
        let bridge = format!("com.docker.network.bridge.name=br-gw-{number}");
        let subnet = format!("10.{number}.250.0/24");
        self.docker(&[
            "network",
            "create",
            "--driver=bridge",
            "--subnet",
            &subnet,
            "--opt",
            &bridge,
            "docker_gwbridge",
        ]);
        number
    }

    /// The process that keeps it.
    pub(crate) fn keeper(&self) -> u32 {
        self.keeper.lock().unwrap().0.id()
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        let Ok(keeper) = self.keeper.get_mut() else { return };
        drop(keeper.0.stdin.take());
        let _ = keeper.0.wait();
    }
}

/// Cargo builds it beside the tests, but only on demand.
pub(crate) fn demo_program() -> PathBuf {
    // <target>/debug/deps/<test>
    let here = std::env::current_exe().unwrap();
    let path = here.parent().and_then(|it| it.parent()).unwrap().join("liftlock-demo");
    assert!(path.is_file(), "{} is not there: cargo build -p liftlock-demo", path.display());
    path
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|it| std::os::unix::fs::MetadataExt::uid(&it) == 0)
}

fn group() -> String {
    std::fs::metadata("/proc/self").map(|it| std::os::unix::fs::MetadataExt::gid(&it)).unwrap().to_string()
}
