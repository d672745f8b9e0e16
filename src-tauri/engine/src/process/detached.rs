//! Starting what outlives us: an application, or the worker itself.
//!
//! It gets a session of its own, nothing to read, a log file to write to, and no descriptor of ours. A variable
//! says that it was started to stay, so that it is not ended with us; the mark of an upgrade is never among
//! its variables.

use std::{
    fs::{self, File, OpenOptions},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
};

use uuid::Uuid;

use super::identity::Identity;
use super::invoke;
#[cfg(unix)]
use super::table;
use super::tree::STAYS_MARK;
use crate::error::{Error, Result};
use crate::ports::Invocation;

/// A log file that is turned over, when it has grown, before the next thing writes to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogFile {
    /// Where it is. Older ones stand beside it as `<name>.1`, `<name>.2`, …
    pub path: PathBuf,
    /// The size in bytes from which it is turned over.
    pub turn_at: u64,
    /// How many older ones are kept.
    pub keep: u32,
}

impl LogFile {
    /// Turned over at 10 MiB, with five older ones kept.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), turn_at: 10 * 1024 * 1024, keep: 5 }
    }

    /// Opens it at its end, turned over where it has grown; makes its folder where there is none.
    ///
    /// # Errors
    /// `disk_full`, `permission_denied` and their kin.
    pub fn open(&self) -> Result<File> {
        if let Some(folder) = self.path.parent() {
            fs::create_dir_all(folder).map_err(|cause| Error::io("make the folder", folder, &cause))?;
        }
        if fs::metadata(&self.path).is_ok_and(|meta| meta.len() >= self.turn_at) {
            self.turn().map_err(|(file, cause)| Error::io("turn over", &file, &cause))?;
        }
        let mut options = OpenOptions::new();
        options.create(true).append(true);
        #[cfg(unix)]
        {
            use std::os::unix::fs::OpenOptionsExt;
            options.mode(0o600);
        }
        options.open(&self.path).map_err(|cause| Error::io("open", &self.path, &cause))
    }

    fn turn(&self) -> std::result::Result<(), (PathBuf, std::io::Error)> {
        for number in (1..self.keep).rev() {
            let (from, to) = (self.older(number), self.older(number + 1));
            if from.exists() {
                fs::rename(&from, to).map_err(|cause| (from, cause))?;
            }
        }
        let aside = if self.keep == 0 { fs::remove_file(&self.path) } else { fs::rename(&self.path, self.older(1)) };
        aside.map_err(|cause| (self.path.clone(), cause))
    }

    fn older(&self, number: u32) -> PathBuf {
        let mut name = self.path.as_os_str().to_owned();
        name.push(format!(".{number}"));
        name.into()
    }
}

/// Starts a program that goes on when we end, in a session of its own where the system has a way, with both
/// its outputs appended to `log`.
///
/// # Errors
/// `command_missing`, `command_not_executable`, and what [`LogFile::open`] answers.
pub fn spawn_detached(invocation: &Invocation, log: &LogFile) -> Result<Identity> {
    spawn_with(Stdio::null(), invocation, log)
}

/// The same, with a socket as its standard input: number 0.
///
/// # Errors
/// As [`spawn_detached`].
pub fn spawn_on_socket(socket: TcpListener, invocation: &Invocation, log: &LogFile) -> Result<Identity> {
    #[cfg(unix)]
    let input = Stdio::from(std::os::fd::OwnedFd::from(socket));
    #[cfg(not(unix))]
    let input = {
        drop(socket);
        Stdio::null()
    };
    spawn_with(input, invocation, log)
}

fn spawn_with(input: Stdio, invocation: &Invocation, log: &LogFile) -> Result<Identity> {
    let mut command = in_own_session(invocation)?;
    command.env(STAYS_MARK, Uuid::now_v7().to_string());
    let output = log.open()?;
    let errors = output.try_clone().map_err(|cause| Error::io("open", &log.path, &cause))?;
    command.stdin(input).stdout(output).stderr(errors);
    let mut child = command.spawn().map_err(|cause| invoke::not_begun(invocation, &cause))?;
    let identity = Identity::of_child(child.id());
    // Someone has to hear of its end for as long as we live, or it would stay in the table as a zombie.
    let reaper = thread::Builder::new().name("reap".to_owned()).spawn(move || child.wait());
    drop(reaper);
    identity
}

/// Makes this process the leader of a session of its own, so that closing a terminal or logging out does not
/// end it. To be called first thing by a process that was started to stay; harmless when it leads one already.
///
/// # Errors
/// `session` where the system refuses.
pub fn become_session_leader() -> Result<()> {
    #[cfg(unix)]
    {
        let own = std::process::id();
        // Read from the table: `getsid` answers 0 for a session that began outside our process namespace, and
        // rustix takes that for impossible.
        if table::row(own).is_none_or(|row| row.session != own) {
            rustix::process::setsid().map_err(|cause| {
                Error::failed("session", "Could not detach from the terminal.")
                    .remedy("Start Liftlock again.")
                    .because(&std::io::Error::from(cause))
            })?;
        }
    }
    Ok(())
}

/// The standard library has no way to begin a session, so `setsid` from util-linux does it: since the child
/// leads no group yet, it calls the function and then becomes the program, under the same pid.
#[cfg(unix)]
fn in_own_session(invocation: &Invocation) -> Result<Command> {
    use std::os::unix::process::CommandExt;

    let setsid = invoke::find_program("setsid");
    let mut command = invoke::command(invocation, setsid.as_deref())?;
    if setsid.is_none() {
        command.process_group(0);
    }
    Ok(command)
}

#[cfg(windows)]
fn in_own_session(invocation: &Invocation) -> Result<Command> {
    use std::os::windows::process::CommandExt;

    let mut command = invoke::command(invocation, None)?;
    // DETACHED_PROCESS | CREATE_NEW_PROCESS_GROUP | CREATE_BREAKAWAY_FROM_JOB
    command.creation_flags(0x0000_0008 | 0x0000_0200 | 0x0100_0000);
    Ok(command)
}

/// The last lines of a log, made printable, to be quoted in an error. None where it cannot be read.
pub fn last_lines(path: &Path, most: usize) -> Vec<String> {
    use std::io::{Read, Seek, SeekFrom};

    let mut tail = Vec::new();
    let Ok(mut file) = File::open(path) else { return Vec::new() };
    let length = file.metadata().map_or(0, |meta| meta.len());
    if file.seek(SeekFrom::Start(length.saturating_sub(16 * 1024))).is_err() || file.read_to_end(&mut tail).is_err() {
        return Vec::new();
    }
    let text = String::from_utf8_lossy(&tail);
    let lines: Vec<String> = text.lines().filter(|line| !line.trim().is_empty()).map(super::printable).collect();
    lines[lines.len().saturating_sub(most)..].to_vec()
}
