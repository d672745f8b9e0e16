//! Processes that outlive the command that started them, and how they are found and ended again.
//!
//! A process is known by pid, start time and boot, so that a later one with the same pid is never
//! touched. Linux only: elsewhere there is no `/proc` to ask.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal};
use serde::{Deserialize, Serialize};

use crate::place;

/// A process that cannot be mistaken for a later one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Its process id.
    pub pid: u32,
    /// Field 22 of `/proc/<pid>/stat`: clock ticks after boot.
    pub started_at_ticks: u64,
    /// The boot in which it runs.
    pub boot_id: String,
}

impl Identity {
    /// The process with this pid, if it runs.
    pub fn of(pid: u32) -> Option<Self> {
        let (started_at_ticks, _, is_dead) = stat(pid)?;
        let boot_id = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?.trim().to_owned();
        (!is_dead).then_some(Self { pid, started_at_ticks, boot_id })
    }

    /// The process in a process file, if it still runs.
    pub fn in_file(path: &Path) -> Option<Self> {
        place::read_json::<Self>(path).ok().filter(Self::is_alive)
    }

    /// Whether it still runs.
    pub fn is_alive(&self) -> bool {
        Self::of(self.pid).as_ref() == Some(self)
    }

    /// Sends a signal, if it still runs.
    pub fn signal(&self, signal: Signal) {
        if self.is_alive()
            && let Some(pid) = i32::try_from(self.pid).ok().and_then(Pid::from_raw)
        {
            // It may end between the question and the signal: then there is nothing to do.
            let _ = rustix::process::kill_process(pid, signal);
        }
    }

    /// Whether it is gone after at most this long.
    pub fn is_gone_within(&self, within: Duration) -> bool {
        wait_until(within, || !self.is_alive())
    }

    /// Asks it to end, then ends it.
    ///
    /// # Errors
    /// It does not go, even so.
    pub fn end(&self, grace: Duration) -> Result<()> {
        self.signal(Signal::TERM);
        if !self.is_gone_within(grace) {
            self.signal(Signal::KILL);
            ensure!(self.is_gone_within(Duration::from_secs(10)), "process {} does not end", self.pid);
        }
        Ok(())
    }
}

/// Starts a program in a session of its own, with its output in `log`.
///
/// # Errors
/// It cannot be started.
pub fn start(program: &Path, arguments: &[&str], folder: &Path, log: &Path) -> Result<Identity> {
    let log = fs::OpenOptions::new().create(true).append(true).open(log).with_context(|| log.display().to_string())?;
    // `launch` makes the session and then becomes the program: the pid stays.
    let child = Command::new(std::env::current_exe()?)
        .arg("launch")
        .arg(program)
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()
        .with_context(|| program.display().to_string())?;
    Identity::of(child.id()).with_context(|| format!("{} ended at once", program.display()))
}

/// Leaves the caller's session and becomes the program.
///
/// # Errors
/// Always, if it returns: the program could not be started.
pub fn launch(program: &Path, arguments: &[String]) -> Result<()> {
    use std::os::unix::process::CommandExt;

    rustix::process::setsid().context("cannot leave the session")?;
    let error = Command::new(program).args(arguments).exec();
    bail!("cannot start {}: {error}", program.display())
}

/// Every process that belongs to the demo in this folder: it runs a program from there, or is one of ours
/// that was told to work there.
pub fn all_below(root: &Path) -> Vec<Identity> {
    let pids = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.filter(|&pid| pid != std::process::id() && belongs(pid, root)).filter_map(Identity::of).collect()
}

fn belongs(pid: u32, root: &Path) -> bool {
    let link = |name: &str| fs::read_link(format!("/proc/{pid}/{name}")).unwrap_or_default();
    let program = link("exe");
    if program.starts_with(root) {
        return true;
    }
    // A deleted program's link ends in " (deleted)".
    let name = program.file_name().unwrap_or_default().to_string_lossy().replace(" (deleted)", "");
    let told = || {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line.split(|&byte| byte == 0).any(|word| Path::new(&*String::from_utf8_lossy(word)).starts_with(root))
    };
    match name.as_str() {
        "corner-shop" => link("cwd").starts_with(root),
        "liftlock-demo" => told() && parent(pid) != Some(std::process::id()) && !is_command(pid),
        // Its own processes are found from it.
        "postgres" => told() || parent(pid).is_some_and(|parent| parent != 1 && is_postgres_of(parent, root)),
        _ => false,
    }
}

fn is_postgres_of(pid: u32, root: &Path) -> bool {
    let program: PathBuf = fs::read_link(format!("/proc/{pid}/exe")).unwrap_or_default();
    program.file_name().is_some_and(|name| name == "postgres") && belongs(pid, root)
}

/// Whether it is a command somebody waits for (`down` itself, another `status`), not a server of ours.
fn is_command(pid: u32) -> bool {
    let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let verb = line.split(|&byte| byte == 0).nth(1).unwrap_or_default();
    !["serve-releases", "shop", "launch"].iter().any(|it| it.as_bytes() == verb)
}

/// Whether a process is dead and only waited for.
pub fn is_zombie(pid: u32) -> bool {
    stat(pid).is_some_and(|(_, _, is_dead)| is_dead)
}

fn parent(pid: u32) -> Option<u32> {
    stat(pid).map(|(_, parent, _)| parent)
}

/// Start time, parent, and whether it is dead and only waited for.
fn stat(pid: u32) -> Option<(u64, u32, bool)> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may hold anything, so count from its end: state is field 3.
    let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
    Some((fields.get(19)?.parse().ok()?, fields.get(1)?.parse().ok()?, matches!(*fields.first()?, "Z" | "X")))
}

/// Asks again and again, for at most this long.
pub fn wait_until(within: Duration, mut is_so: impl FnMut() -> bool) -> bool {
    let begun = Instant::now();
    loop {
        if is_so() {
            return true;
        }
        if begun.elapsed() >= within {
            return false;
        }
        thread::sleep(Duration::from_millis(10));
    }
}
