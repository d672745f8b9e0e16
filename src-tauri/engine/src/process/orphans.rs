//! What a killed worker left behind: found, ended and waited for before anything is tried again.
//!
//! Every acting child of a worker (a dump, a restore, a migration, a scratch server; never the application)
//! inherits a lock on one file and carries the id of its upgrade as a variable. The lock is shared with the
//! worker's own descriptor, so the kernel keeps it until the last of them has ended, however the worker died.
//! Descendants that closed the descriptor are found by the variable, those that dropped the variable by their
//! parents and process groups.

use std::{
    collections::HashSet,
    fs::{File, OpenOptions, TryLockError},
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use super::identity::{Identity, Signal};
use super::table::{self, Row};
use super::tree::{STAYS_MARK, add_descendants, pids};
use crate::clock::SystemClock;
use crate::error::{Error, Result};
use crate::model::ids::UpgradeId;
use crate::ports::Clock;

/// The variable that names the upgrade for which a child acts.
pub const UPGRADE_MARK: &str = "LIFTLOCK_UPGRADE";
/// What orphans may take to end by themselves.
const GRACE: Duration = Duration::from_secs(3);

/// The lock that the children of this worker share.
#[derive(Debug)]
pub struct OrphanLock {
    file: File,
    path: PathBuf,
    upgrade: UpgradeId,
}

impl OrphanLock {
    /// Ends what an earlier worker of the same upgrade left behind, and takes the lock. Answers with whom it ended.
    ///
    /// # Errors
    /// `orphans_remain` where one survives or the lock stays taken after `within`; `io` and its kin.
    pub fn take(path: &Path, upgrade: UpgradeId, within: Duration) -> Result<(Self, Vec<Identity>)> {
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(path)
            .map_err(|cause| Error::io("open", path, &cause))?;
        let lock = Self { file, path: path.to_owned(), upgrade };
        let ended = lock.end_orphans(within)?;
        Ok((lock, ended))
    }

    /// The upgrade whose children share it.
    pub fn upgrade(&self) -> UpgradeId {
        self.upgrade
    }

    /// A further descriptor of the same lock, for a child.
    #[cfg(unix)]
    pub(super) fn descriptor(&self) -> Result<std::os::fd::OwnedFd> {
        self.file.try_clone().map(Into::into).map_err(|cause| Error::io("share the lock", &self.path, &cause))
    }

    fn end_orphans(&self, within: Duration) -> Result<Vec<Identity>> {
        let clock = SystemClock;
        let begun = clock.since_boot();
        let mut ended: Vec<Identity> = Vec::new();
        loop {
            let orphans = self.orphans();
            let is_free = match self.file.try_lock() {
                Ok(()) => true,
                Err(TryLockError::WouldBlock) => false,
                Err(TryLockError::Error(cause)) => return Err(Error::io("lock", &self.path, &cause)),
            };
            if is_free && orphans.is_empty() {
                return Ok(ended);
            }
            let waited = clock.since_boot().saturating_sub(begun);
            if waited >= within {
                return Err(remain(&self.path, &orphans));
            }
            for orphan in orphans {
                let is_new = !ended.contains(&orphan);
                if waited >= GRACE.min(within / 2) {
                    orphan.signal(Signal::Kill);
                } else if is_new {
                    orphan.signal(Signal::Terminate);
                    orphan.signal(Signal::Continue);
                }
                if is_new {
                    ended.push(orphan);
                }
            }
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Who holds the lock or carries the mark, with their descendants and process groups; never we ourselves
    /// nor those from whom we descend.
    fn orphans(&self) -> Vec<Identity> {
        let table = table::all();
        let upgrade = self.upgrade.to_string();
        let ourselves = ancestry(&table);
        let mut found: HashSet<u32> = table
            .iter()
            .filter(|row| !row.is_dead && !ourselves.contains(&row.pid))
            .filter(|row| table::has_variable(row.pid, UPGRADE_MARK, &upgrade) || holds(row.pid, &self.file))
            .map(|row| row.pid)
            .collect();
        let our_groups: HashSet<u32> =
            table.iter().filter(|row| ourselves.contains(&row.pid)).map(|row| row.group).collect();
        let groups: HashSet<u32> = table
            .iter()
            .filter(|row| found.contains(&row.pid) && row.group != 0 && !our_groups.contains(&row.group))
            .map(|row| row.group)
            .collect();
        found.extend(table.iter().filter(|row| groups.contains(&row.group)).map(|row| row.pid));
        add_descendants(&table, &mut found, |row| table::variable(row.pid, STAYS_MARK).is_none());
        table
            .iter()
            .filter(|row| found.contains(&row.pid) && !row.is_dead && !ourselves.contains(&row.pid))
            .map(Identity::from_row)
            .collect()
    }
}

/// Ends everything that acts for this upgrade without a worker. To be called by whoever holds the lease, before
/// anything is tried again. Answers with whom it ended.
///
/// # Errors
/// As [`OrphanLock::take`].
pub fn end_all(lock: &Path, upgrade: UpgradeId, within: Duration) -> Result<Vec<Identity>> {
    OrphanLock::take(lock, upgrade, within).map(|(_, ended)| ended)
}

/// This process and all from whom it descends.
fn ancestry(table: &[Row]) -> HashSet<u32> {
    let mut line = HashSet::new();
    let mut next = std::process::id();
    while next != 0 && line.insert(next) {
        next = table.iter().find(|row| row.pid == next).map_or(0, |row| row.parent);
    }
    line
}

fn remain(lock: &Path, orphans: &[Identity]) -> Error {
    let message = if orphans.is_empty() {
        format!("Something left over from an interrupted update still holds {}.", lock.display())
    } else {
        format!("Programs left over from an interrupted update could not be ended (process {}).", pids(orphans))
    };
    Error::failed("orphans_remain", message).remedy(
        "Restart the computer; Liftlock then goes on by itself. If they belong to another user, ask an administrator to end them.",
    )
}

/// Whether a process holds the lock on this very file, as opposed to having it open to look.
#[cfg(target_os = "linux")]
fn holds(pid: u32, lock: &File) -> bool {
    use std::os::unix::fs::MetadataExt;
    use std::{fs, path::PathBuf};

    let Ok(ours) = lock.metadata() else { return false };
    let Ok(descriptors) = fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
    descriptors.flatten().any(|descriptor| {
        // Following the link answers about the open file itself, even one without a name.
        let Ok(theirs) = fs::metadata(descriptor.path()) else { return false };
        if (theirs.dev(), theirs.ino()) != (ours.dev(), ours.ino()) {
            return false;
        }
        let details = PathBuf::from(format!("/proc/{pid}/fdinfo")).join(descriptor.file_name());
        fs::read_to_string(details).is_ok_and(|text| text.lines().any(|line| line.starts_with("lock:")))
    })
}

/// Elsewhere the variable alone has to tell, and the lock itself says when all have gone.
#[cfg(not(target_os = "linux"))]
fn holds(_pid: u32, _lock: &File) -> bool {
    false
}
