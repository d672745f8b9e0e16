//! A Docker engine apart from every other on this machine: its own data, socket, container runtime, address range and
//! control group. It never touches the packet filter and never turns on forwarding, so there is nothing to put back.
//!
//! Whoever keeps a room holds the lock of its number. What a killed keeper leaves is cleared by the next one who gets
//! that number, and the lowest free one is always taken.

use std::{
    fs::{self, File},
    io::{BufRead, Read, Write},
    os::unix::{net::UnixStream, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};

use crate::detached::wait_until;

/// The second figure of the addresses 10.x.0.0/16, which is the number of the room too.
const NUMBERS: std::ops::RangeInclusive<u8> = 141..=240;
/// Storage drivers, best first. The second works everywhere and copies everything.
const DRIVERS: [&str; 2] = ["overlay2", "vfs"];

/// One engine and everything that belongs to it.
#[derive(Debug)]
pub struct Room {
    number: u8,
    dir: PathBuf,
    group: Option<u32>,
    driver: usize,
    engine: Option<Child>,
    _lock: File,
}

impl Room {
    /// Takes a number and clears what an earlier room of that number has left. `group` may use the socket too.
    ///
    /// # Errors
    /// Not root, or no number is free.
    pub fn open(group: Option<u32>) -> Result<Self> {
        ensure!(
            rustix::process::geteuid().is_root(),
            "an engine of Docker can only be started by root: run this as root, or allow `sudo` without a password"
        );
        for number in NUMBERS {
            let base = std::env::temp_dir().join(format!("liftlock-docker-{number}"));
            let lock = File::create(base.with_extension("lock"))?;
            if lock.try_lock().is_err() {
                continue;
            }
            let mut room = Self { number, dir: base, group, driver: 0, engine: None, _lock: lock };
            room.clear()?;
            if !room.addresses_are_taken()? {
                fs::create_dir_all(&room.dir)?;
                return Ok(room);
            }
        }
        bail!("no range of addresses is free for another engine of Docker")
    }

    /// Its `DOCKER_HOST`.
    pub fn host(&self) -> String {
        format!("unix://{}", self.socket().display())
    }

    /// Starts the engine and waits until it answers.
    ///
    /// # Errors
    /// It does not start; the message ends with what it logged.
    pub fn start(&mut self) -> Result<()> {
        loop {
            match self.try_start() {
                // A folder that lies on an overlay itself cannot carry another one.
                Err(error) if self.driver + 1 < DRIVERS.len() && format!("{error:#}").contains("overlay") => {
                    self.driver += 1;
                }
                done => return done,
            }
        }
    }

    fn try_start(&mut self) -> Result<()> {
        let path = |name: &str| self.dir.join(name).display().to_string();
        fs::write(self.dir.join("daemon.json"), "{}\n")?;
        let log = self.dir.join("log");
        let from = fs::metadata(&log).map_or(0, |it| it.len());
        let into = File::options().create(true).append(true).open(&log)?;
        let name = self.name();
        let mut command = Command::new("dockerd");
        command
            .args(["--data-root", &path("data"), "--exec-root", &path("exec"), "--pidfile", &path("pid")])
            .args(["--config-file", &path("daemon.json"), "--host", &self.host(), "--log-level", "warn"])
            .args(["--storage-driver", DRIVERS[self.driver], "--exec-opt", "native.cgroupdriver=cgroupfs"])
            .args(["--iptables=false", "--ip6tables=false", "--ip-forward=false", "--bridge=none"])
            .args(["--default-address-pool", &format!("base=10.{}.0.0/16,size=24", self.number)])
            // A name that nobody has is answered at once instead of asked of a server that cannot be reached.
            .args(["--dns=127.0.0.1", "--shutdown-timeout=10", "--cgroup-parent", &format!("/{name}")])
            .args(["--containerd-namespace", &name, "--containerd-plugins-namespace", &format!("{name}-plugins")])
            .args(self.group.iter().map(|it| format!("--group={it}")))
            .env_remove("DOCKER_HOST")
            .stdin(Stdio::null())
            .stdout(into.try_clone()?)
            .stderr(into)
            // Ctrl-C in a terminal is for whoever keeps the room.
            .process_group(0);
        let mut engine = command.spawn().context(
            "dockerd is not installed: `cargo xtask test` installs it, or install your system's `docker.io`",
        )?;
        let mut ended = None;
        let up = wait_until(Duration::from_secs(60), || {
            ended = engine.try_wait().ok().flatten();
            ended.is_some() || self.answers()
        });
        if up && ended.is_none() {
            self.engine = Some(engine);
            return Ok(());
        }
        let _ = engine.kill();
        let _ = engine.wait();
        let text = fs::read(&log).unwrap_or_default();
        let said = String::from_utf8_lossy(&text[usize::try_from(from).unwrap_or(0).min(text.len())..]).into_owned();
        let lines: Vec<&str> = said.lines().collect();
        bail!("the engine of Docker does not start: {}", lines[lines.len().saturating_sub(6)..].join(" | "))
    }

    /// Asks the engine to end, as at the shutdown of a computer: it stops every container.
    ///
    /// # Errors
    /// It does not end.
    pub fn stop(&mut self) -> Result<()> {
        self.end(Signal::TERM)
    }

    /// Kills the engine; what runs in containers runs on.
    ///
    /// # Errors
    /// It does not end.
    pub fn kill(&mut self) -> Result<()> {
        self.end(Signal::KILL)
    }

    /// Kills everything at once, as a power cut does.
    ///
    /// # Errors
    /// Something does not end.
    pub fn cut(&mut self) -> Result<()> {
        self.end_everything()?;
        self.unmount();
        Ok(())
    }

    /// Kills everything and removes everything.
    ///
    /// # Errors
    /// Something does not end, or the folder does not go.
    pub fn clear(&mut self) -> Result<()> {
        self.end_everything()?;
        self.unmount();
        self.remove_networks()?;
        self.remove_groups();
        // A mount that was let go of lazily may hold a folder for a moment.
        let gone = wait_until(Duration::from_secs(10), || !self.dir.exists() || fs::remove_dir_all(&self.dir).is_ok());
        ensure!(gone, "{} cannot be removed", self.dir.display());
        Ok(())
    }

    fn name(&self) -> String {
        format!("liftlock-docker-{}", self.number)
    }

    fn socket(&self) -> PathBuf {
        self.dir.join("docker.sock")
    }

    fn answers(&self) -> bool {
        let ask = || -> std::io::Result<String> {
            let mut stream = UnixStream::connect(self.socket())?;
            stream.set_read_timeout(Some(Duration::from_secs(5)))?;
            stream.write_all(b"GET /_ping HTTP/1.0\r\n\r\n")?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer)?;
            Ok(answer)
        };
        ask().is_ok_and(|it| it.starts_with("HTTP/1.0 200"))
    }

    fn end(&mut self, signal: Signal) -> Result<()> {
        let Some(mut engine) = self.engine.take() else { return Ok(()) };
        send(engine.id(), signal);
        let gone = wait_until(Duration::from_secs(40), || engine.try_wait().is_ok_and(|it| it.is_some()));
        ensure!(gone, "the engine of Docker does not end");
        Ok(())
    }

    /// Again and again, because a runtime that is being ended may just start something.
    fn end_everything(&mut self) -> Result<()> {
        let gone = wait_until(Duration::from_secs(30), || {
            if let Some(engine) = &mut self.engine {
                let _ = engine.kill();
                let _ = engine.try_wait();
            }
            let left = self.processes();
            left.iter().for_each(|pid| send(*pid, Signal::KILL));
            left.is_empty()
        });
        ensure!(gone, "processes of {} do not end: {:?}", self.name(), self.processes());
        if let Some(mut engine) = self.engine.take() {
            engine.wait()?;
        }
        Ok(())
    }

    /// The engine, its runtime and its keepers by their command lines; what runs in containers by its control group.
    fn processes(&self) -> Vec<u32> {
        let dir = self.dir.display().to_string() + "/";
        let (namespace, group) = (self.name(), format!("/{}/", self.name()));
        let belongs = |pid: u32| {
            let read = |name: &str| fs::read(format!("/proc/{pid}/{name}")).unwrap_or_default();
            let line = read("cmdline");
            let mut words = line.split(|it| *it == 0).map(String::from_utf8_lossy);
            let program = words.next().unwrap_or_default().rsplit('/').next().unwrap_or_default().to_owned();
            let is_docker = ["dockerd", "containerd", "containerd-shim-runc-v2", "docker-proxy", "runc"];
            (is_docker.contains(&program.as_str()) && words.any(|it| it.contains(&dir) || it == namespace))
                || String::from_utf8_lossy(&read("cgroup")).contains(&group)
        };
        let pids = fs::read_dir("/proc").into_iter().flatten().flatten();
        let pids = pids.filter_map(|it| it.file_name().to_str()?.parse::<u32>().ok());
        pids.filter(|pid| belongs(*pid) && !crate::detached::is_zombie(*pid)).collect()
    }

    fn unmount(&self) {
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        let below =
            |line: &str| line.split(' ').nth(4).filter(|it| Path::new(it).starts_with(&self.dir)).map(str::to_owned);
        // What lies deeper was mounted later.
        for mount in mounts.lines().rev().filter_map(below) {
            let _ = Command::new("umount").args(["--lazy", &mount]).output();
        }
    }

    fn remove_networks(&self) -> Result<()> {
        let listed = Command::new("ip").args(["-oneline", "-family", "inet", "address", "show"]).output();
        let listed = listed.context("the command `ip` is not installed: install `iproute2`")?;
        for line in String::from_utf8_lossy(&listed.stdout).lines() {
            let mut words = line.split_whitespace().skip(1);
            let (device, address) = (words.next().unwrap_or_default(), words.nth(1).unwrap_or_default());
            if address.starts_with(&format!("10.{}.", self.number)) && device.starts_with("br-") {
                let _ = Command::new("ip").args(["link", "delete", device]).output();
            }
        }
        Ok(())
    }

    fn addresses_are_taken(&self) -> Result<bool> {
        let routes = Command::new("ip").args(["-family", "inet", "route", "show", "table", "all"]).output()?;
        Ok(String::from_utf8_lossy(&routes.stdout).contains(&format!("10.{}.", self.number)))
    }

    fn remove_groups(&self) {
        let top = Path::new("/sys/fs/cgroup");
        let ours: Vec<PathBuf> =
            folders(top).into_iter().chain([top.to_owned()]).map(|it| it.join(self.name())).collect();
        // The kernel lets go of a group a moment after the last of its processes.
        wait_until(Duration::from_secs(10), || {
            ours.iter().for_each(|it| remove_group(it));
            ours.iter().all(|it| !it.exists())
        });
    }
}

/// A group goes after those below it, however deep: a step of a build has one below that of the builder.
fn remove_group(group: &Path) {
    folders(group).iter().for_each(|it| remove_group(it));
    let _ = fs::remove_dir(group);
}

fn folders(dir: &Path) -> Vec<PathBuf> {
    fs::read_dir(dir).into_iter().flatten().flatten().map(|it| it.path()).filter(|it| it.is_dir()).collect()
}

impl Drop for Room {
    fn drop(&mut self) {
        if let Err(error) = self.clear() {
            eprintln!("{error:#}");
        }
    }
}

/// Keeps a room for a caller: one word a line tells what to do with the engine, one line answers. When the caller
/// closes its end, however it dies, everything is cleared.
///
/// # Errors
/// The engine does not start.
pub fn keep(group: Option<u32>) -> Result<()> {
    let mut room = Room::open(group)?;
    room.start()?;
    println!("ready {}", room.host());
    for line in std::io::stdin().lock().lines() {
        let done = match line?.as_str() {
            "start" => room.start(),
            "stop" => room.stop(),
            "kill" => room.kill(),
            "cut" => room.cut(),
            other => bail!("“{other}” is nothing that can be done with an engine"),
        };
        match done {
            Ok(()) => println!("done"),
            Err(error) => println!("failed {error:#}"),
        }
    }
    Ok(())
}

fn send(pid: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        // It may have ended meanwhile.
        let _ = kill_process(pid, signal);
    }
}
