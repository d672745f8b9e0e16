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

/// The name of the computer that [`Engine::start_elsewhere`] stands for.
pub(crate) const ELSEWHERE: &str = "elsewhere";

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
        Self::kept_by(command)
    }

    /// Starts one on what is another computer to networks and to who asks for its name, with a cable to this one. None where
    /// this user may not make one.
    pub(crate) fn start_elsewhere(&self) -> Option<Self> {
        if !is_root() {
            eprintln!("not run: only root can make what is another computer to networks");
            return None;
        }
        let mut command = Command::new("unshare");
        command.args(["--net", "--uts"]).arg(demo_program());
        let other = Self::kept_by(command);
        let (pid, cable) = (other.process().to_string(), format!("ll-cable-{}", self.number()));
        run(&["ip", "link", "add", &cable, "type", "veth", "peer", "name", "cable", "netns", &pid]);
        run(&["ip", "address", "add", &format!("{}/30", self.end_of_cable(1)), "dev", &cable]);
        run(&["ip", "link", "set", &cable, "up"]);
        let there = |words: &[&str]| run(&[&["nsenter", "--target", &pid, "--net", "--uts"], words].concat());
        there(&["hostname", ELSEWHERE]);
        there(&["ip", "link", "set", "lo", "up"]);
        there(&["ip", "address", "add", &format!("{}/30", self.end_of_cable(2)), "dev", "cable"]);
        there(&["ip", "link", "set", "cable", "up"]);
        Some(other)
    }

    /// The address of this engine (1) or of the one elsewhere (2) on the cable between them.
    pub(crate) fn end_of_cable(&self, end: u8) -> String {
        format!("10.{}.251.{end}", self.number())
    }

    /// The engine's own process.
    pub(crate) fn process(&self) -> u32 {
        std::fs::read_to_string(self.dir.join("pid")).unwrap().trim().parse().unwrap()
    }

    fn kept_by(mut command: Command) -> Self {
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

    /// The networks that somebody made. That of a gate counts only where it is no longer needed: nobody is in it but what goes on
    /// running through an update.
    pub(crate) fn networks(&self) -> Vec<String> {
        let told = self.docker(&["network", "ls", "--filter", "type=custom", "--format", "{{.Name}}"]);
        let is_needed = |gate: &str| {
            self.docker(&["network", "inspect", "--format", "{{len .Containers}}", gate]).parse::<u32>().unwrap() > 1
        };
        told.lines().filter(|it| !it.ends_with("_liftlock_gate") || !is_needed(it)).map(str::to_owned).collect()
    }

    /// Makes it the manager of a swarm of its own, apart from every other on this machine.
    pub(crate) fn begin_swarm(&self) {
        self.begin_swarm_at(&format!("127.{}.0.1", self.number()));
    }

    /// The same where others reach it at this address.
    pub(crate) fn begin_swarm_at(&self, address: &str) {
        let number = self.on_a_bridge_of_its_own();
        let pool = format!("10.{number}.128.0/18");
        let (listen, data) = (format!("{address}:2377"), (20_000 + number).to_string());
        let own = ["--default-addr-pool", &pool, "--default-addr-pool-mask-length=24", "--data-path-port", &data];
        let reach = ["swarm", "init", "--listen-addr", &listen, "--advertise-addr", address];
        self.docker(&[reach.as_slice(), &own].concat());
    }

    /// Makes it a worker of the swarm of another engine, which has given this token.
    pub(crate) fn join_swarm(&self, manager: &Self, token: &str) {
        let address = |it: &Self| format!("127.{}.0.1", it.number());
        self.join_swarm_at(&address(manager), &address(self), token);
    }

    /// The same where it is reached at `own`, and the manager at `there`.
    pub(crate) fn join_swarm_at(&self, there: &str, own: &str, token: &str) {
        self.on_a_bridge_of_its_own();
        let (listen, there) = (format!("{own}:2377"), format!("{there}:2377"));
        let reach = ["--listen-addr", &listen, "--advertise-addr", own, "--token", token];
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

    /// Gives an image of this engine to another one.
    pub(crate) fn hand_over(&self, image: &str, other: &Self) {
        let archive = self.dir.join("handed-over.tar");
        self.docker(&["save", "--output", archive.to_str().unwrap(), image]);
        other.docker(&["load", "--quiet", "--input", archive.to_str().unwrap()]);
    }

    /// The process that keeps it.
    pub(crate) fn keeper(&self) -> u32 {
        self.keeper.lock().unwrap().0.id()
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = std::fs::read_to_string(self.dir.join("log")).unwrap_or_default();
            let lines: Vec<&str> = log.lines().collect();
            eprintln!("the engine at {} said at the end:", self.host);
            lines[lines.len().saturating_sub(40)..].iter().for_each(|it| eprintln!("  {it}"));
        }
        let Ok(keeper) = self.keeper.get_mut() else { return };
        drop(keeper.0.stdin.take());
        let _ = keeper.0.wait();
    }
}

fn run(words: &[&str]) {
    let output = Command::new(words[0]).args(&words[1..]).stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{}: {}", words.join(" "), String::from_utf8_lossy(&output.stderr));
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
