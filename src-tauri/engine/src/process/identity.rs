//! Which process is meant, for as long as the machine stays up and after.

use std::{process, thread, time::Duration};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::table::{self, Row};
use crate::clock::{SystemClock, same_boot};
use crate::error::{Error, Result};
use crate::ports::Clock;

/// A process that cannot be mistaken for a later one with the same pid.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Identity {
    /// Its process id.
    pub pid: u32,
    /// When it started: clock ticks since boot on Linux, seconds since 1970 elsewhere.
    #[serde(rename = "started_at_ticks")]
    pub start_ticks: u64,
    /// The boot in which it runs, as [`Clock::boot_id`] names it.
    pub boot_id: String,
}

/// How a process is asked to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Signal {
    /// It may tidy up (where the platform has no such thing it is ended at once).
    Terminate,
    /// A stopped one goes on, so that it can hear the first.
    Continue,
    /// It is ended.
    Kill,
}

impl Identity {
    /// The process with this pid now, if there is one.
    pub fn of(pid: u32) -> Option<Self> {
        table::row(pid).filter(|row| !row.is_dead).map(|row| Self::from_row(&row))
    }

    /// This process.
    ///
    /// # Errors
    /// `process_table` where the system does not let us see ourselves.
    pub fn of_self() -> Result<Self> {
        Self::of(process::id()).ok_or_else(no_table)
    }

    /// A child of ours that was not waited for yet, so that its pid is surely still its own.
    ///
    /// # Errors
    /// As [`Identity::of_self`].
    pub(super) fn of_child(pid: u32) -> Result<Self> {
        table::row(pid).map(|row| Self::from_row(&row)).ok_or_else(no_table)
    }

    /// Whether it still runs. A zombie does not, nor does another process that was given its pid.
    pub fn is_alive(&self) -> bool {
        same_boot(&self.boot_id, &SystemClock.boot_id())
            && table::row(self.pid).is_some_and(|row| !row.is_dead && row.started == self.start_ticks)
    }

    /// Waits until it is gone, for at most `within`. Says whether it is.
    pub fn is_gone_within(&self, within: Duration) -> bool {
        let deadline = SystemClock.since_boot() + within;
        while self.is_alive() {
            if SystemClock.since_boot() >= deadline {
                return false;
            }
            thread::sleep(Duration::from_millis(10));
        }
        true
    }

    pub(super) fn from_row(row: &Row) -> Self {
        Self { pid: row.pid, start_ticks: row.started, boot_id: SystemClock.boot_id() }
    }

    /// Sends it a signal, if it is still the process that is meant.
    pub(super) fn signal(&self, signal: Signal) {
        send(self, signal);
    }
}

fn no_table() -> Error {
    Error::failed("process_table", "The list of running processes cannot be read.")
        .remedy("Check that /proc is mounted and can be read by this user.")
}

#[cfg(target_os = "linux")]
fn send(identity: &Identity, signal: Signal) {
    use rustix::process::{Pid, PidfdFlags, kill_process, pidfd_open, pidfd_send_signal};

    let Some(pid) = i32::try_from(identity.pid).ok().and_then(Pid::from_raw) else { return };
    // The descriptor is taken before the look, so what is looked at is what is signalled. That it is gone
    // already, or not ours to end, is seen by whoever waits for its end.
    let descriptor = pidfd_open(pid, PidfdFlags::empty());
    if identity.is_alive() {
        let _ = match descriptor {
            Ok(process) => pidfd_send_signal(process, as_unix(signal)),
            Err(_) => kill_process(pid, as_unix(signal)),
        };
    }
}

#[cfg(all(unix, not(target_os = "linux")))]
fn send(identity: &Identity, signal: Signal) {
    use rustix::process::{Pid, kill_process};

    let pid = i32::try_from(identity.pid).ok().and_then(Pid::from_raw);
    if let Some(pid) = pid.filter(|_| identity.is_alive()) {
        let _ = kill_process(pid, as_unix(signal));
    }
}

#[cfg(unix)]
fn as_unix(signal: Signal) -> rustix::process::Signal {
    match signal {
        Signal::Terminate => rustix::process::Signal::TERM,
        Signal::Continue => rustix::process::Signal::CONT,
        Signal::Kill => rustix::process::Signal::KILL,
    }
}

#[cfg(not(unix))]
fn send(identity: &Identity, signal: Signal) {
    use sysinfo::{Pid, ProcessRefreshKind, ProcessesToUpdate, System};

    if signal == Signal::Continue || !identity.is_alive() {
        return;
    }
    let Ok(mut system) = System::new() else { return };
    let pid = Pid::from_u32(identity.pid);
    system.refresh_processes_specifics(ProcessesToUpdate::Some(&[pid]), true, ProcessRefreshKind::nothing());
    if let Some(process) = system.process(pid) {
        process.kill();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_alive_and_is_written_with_three_fields() {
        let me = Identity::of_self().unwrap();
        assert!(me.is_alive());
        let json = serde_json::to_value(&me).unwrap();
        assert_eq!(json.as_object().unwrap().keys().collect::<Vec<_>>(), ["pid", "started_at_ticks", "boot_id"]);
    }

    #[test]
    fn another_process_with_the_same_pid_is_not_it() {
        let me = Identity::of_self().unwrap();
        assert!(!Identity { start_ticks: me.start_ticks + 1, ..me.clone() }.is_alive());
        assert!(!Identity { boot_id: "an-earlier-boot".to_owned(), ..me }.is_alive());
    }

    #[cfg(unix)]
    #[test]
    fn a_process_that_ended_but_was_not_reaped_is_not_alive() {
        let mut child = process::Command::new("sleep").arg("60").spawn().unwrap();
        let identity = Identity::of(child.id()).unwrap();
        identity.signal(Signal::Kill);
        assert!(identity.is_gone_within(Duration::from_secs(10)));
        child.wait().unwrap();
    }
}
