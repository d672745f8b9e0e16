//! A process and everything that it started, also what tried to get away.
//!
//! A member is whatever descends from the root, is in its group or session, was a member at an earlier look,
//! or carries the variable that the root was started with. A root that was gone before the first look has
//! only members of the last kind, because by then its pid may belong to anyone. What was started to stay is
//! never a member of whoever started it: ending a worker must not end the application.

use std::{
    collections::{HashMap, HashSet},
    thread,
    time::Duration,
};

use super::identity::{Identity, Signal};
use super::table::{self, Row};
use crate::clock::SystemClock;
use crate::error::{Error, Result};
use crate::ports::Clock;

/// The variable of what was started to stay when its parent ends, with another value for each.
pub(super) const STAYS_MARK: &str = "LIFTLOCK_STAYS";
/// How long a process may take to vanish after it was killed. Only one that hangs in a broken disk or
/// network share takes longer than a moment.
const AFTER_KILL: Duration = Duration::from_secs(10);
/// What is left to descendants to tidy up once their root has gone.
const DESCENDANTS_GRACE: Duration = Duration::from_secs(2);

/// How a process came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// It had ended before.
    WasGone,
    /// It ended when it was asked to.
    Gently,
    /// It did not end in time and was killed.
    ByForce,
}

/// Asks a process to end, waits for it and for all that it started, and kills what is left after `within`.
/// `mark` is a variable that it and its descendants carry, where it was started with one.
///
/// # Errors
/// `stop_failed` where something survives even that.
pub fn end_with_descendants(root: &Identity, mark: Option<(&str, &str)>, within: Duration) -> Result<Ending> {
    let clock = SystemClock;
    let deadline = clock.since_boot() + within;
    let mut tree = Tree::of(root.clone(), mark);
    if tree.everyone().is_empty() {
        return Ok(Ending::WasGone);
    }
    // Only the root is asked at first: it knows in which order its own children end.
    root.signal(Signal::Terminate);
    root.signal(Signal::Continue);
    while root.is_alive() && clock.since_boot() < deadline {
        thread::sleep(Duration::from_millis(10));
        tree.look();
    }
    let was_gentle = !root.is_alive();
    let left = if was_gentle { DESCENDANTS_GRACE } else { Duration::ZERO };
    let survivors = tree.end(left, || {});
    if survivors.is_empty() {
        return Ok(if was_gentle { Ending::Gently } else { Ending::ByForce });
    }
    Err(Error::failed("stop_failed", format!("Process {} could not be ended.", pids(&survivors))).remedy(
        "Restart the computer, then try again. A process that cannot be ended usually waits for a broken disk \
                 or network drive, or belongs to another user.",
    ))
}

/// The pids of processes, for a message.
pub(super) fn pids(processes: &[Identity]) -> String {
    processes.iter().map(|process| process.pid.to_string()).collect::<Vec<_>>().join(", ")
}

/// What a tree has done since it began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Work {
    /// Processor time.
    pub(super) cpu: Duration,
    /// Bytes read and written.
    pub(super) bytes: u64,
}

/// A process and its descendants, as seen so far.
#[derive(Debug)]
pub(super) struct Tree {
    root: Identity,
    mark: Option<(String, String)>,
    /// The mark of the root, where it was itself started to stay.
    stays: Option<String>,
    root_was_seen: bool,
    /// Start times of the members at the last look, by pid.
    known: HashMap<u32, u64>,
}

impl Tree {
    pub(super) fn of(root: Identity, mark: Option<(&str, &str)>) -> Self {
        let mark = mark.map(|(key, value)| (key.to_owned(), value.to_owned()));
        let stays = table::variable(root.pid, STAYS_MARK).filter(|_| root.is_alive());
        Self { root, mark, stays, root_was_seen: false, known: HashMap::new() }
    }

    /// Looks at what the members, as far as they are still to be seen, have done so far.
    pub(super) fn look(&mut self) -> Work {
        let members = self.members(false);
        Work {
            cpu: members.iter().map(|row| row.cpu).sum(),
            bytes: members.iter().map(|row| table::bytes_moved(row.pid)).sum(),
        }
    }

    /// The members that live now. Costlier than a look, because every process's variables are read.
    pub(super) fn everyone(&mut self) -> Vec<Identity> {
        self.members(true).iter().filter(|row| !row.is_dead).map(Identity::from_row).collect()
    }

    /// Asks all members to end, kills those that live after `grace`, and answers those that live even then.
    /// `meanwhile` is called every few milliseconds.
    pub(super) fn end(&mut self, grace: Duration, mut meanwhile: impl FnMut()) -> Vec<Identity> {
        let clock = SystemClock;
        let begun = clock.since_boot();
        let mut asked = HashSet::new();
        loop {
            meanwhile();
            let members = self.everyone();
            let waited = clock.since_boot().saturating_sub(begun);
            if members.is_empty() || waited > grace + AFTER_KILL {
                return members;
            }
            for member in members {
                if waited >= grace {
                    member.signal(Signal::Kill);
                } else if asked.insert((member.pid, member.start_ticks)) {
                    member.signal(Signal::Terminate);
                    member.signal(Signal::Continue);
                }
            }
            thread::sleep(Duration::from_millis(10));
        }
    }

    fn members(&mut self, by_mark_too: bool) -> Vec<Row> {
        let table = table::all();
        let is_root = |row: &Row| row.pid == self.root.pid && row.started == self.root.start_ticks;
        let pid_is_taken = table.iter().any(|row| row.pid == self.root.pid && !is_root(row));
        self.root_was_seen |= table.iter().any(is_root);
        let by_number = self.root_was_seen && !pid_is_taken;

        let mut found: HashSet<u32> = HashSet::new();
        for row in &table {
            let is_ours = is_root(row)
                || by_number && (row.group == self.root.pid || row.session == self.root.pid)
                || self.known.get(&row.pid) == Some(&row.started)
                || by_mark_too && self.mark.as_ref().is_some_and(|(key, it)| table::has_variable(row.pid, key, it));
            if is_ours && row.pid != std::process::id() {
                found.insert(row.pid);
            }
        }
        add_descendants(&table, &mut found, |row| {
            self.known.get(&row.pid) == Some(&row.started)
                || table::variable(row.pid, STAYS_MARK).is_none_or(|it| Some(it) == self.stays)
        });
        let members: Vec<Row> = table.into_iter().filter(|row| found.contains(&row.pid)).collect();
        self.known = members.iter().map(|row| (row.pid, row.started)).collect();
        members
    }
}

/// Adds whatever descends from the processes found and may join them, ourselves excepted.
pub(super) fn add_descendants(table: &[Row], found: &mut HashSet<u32>, may_join: impl Fn(&Row) -> bool) {
    loop {
        let before = found.len();
        for row in table {
            let is_new = !found.contains(&row.pid) && row.pid != std::process::id();
            if is_new && found.contains(&row.parent) && may_join(row) {
                found.insert(row.pid);
            }
        }
        if found.len() == before {
            return;
        }
    }
}

/// The processes, ourselves excepted, that were started with the variable `key=value`; oldest first.
pub fn marked(key: &str, value: &str) -> Vec<Identity> {
    let mut found: Vec<Row> = table::all();
    found.retain(|row| !row.is_dead && row.pid != std::process::id() && table::has_variable(row.pid, key, value));
    found.sort_unstable_by_key(|row| (row.started, row.pid));
    found.iter().map(Identity::from_row).collect()
}
