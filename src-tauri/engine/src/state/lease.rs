//! The lease: the right to be the one process that works on an installation.
//!
//! The kernel holds it (a file lock that is freed however the holder dies); the epoch in the database makes
//! a stale holder's writes miss; the record of who holds it is for the message to the second one only. It is
//! taken away before the lock is let go, and one whose process is gone (told by its start, not by its number
//! alone) is not believed.

use std::fs::{self, File, TryLockError};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{fmt, thread};

use rusqlite::params;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Kind, Result};
use crate::model::ids::InstallationName;
use crate::process::Identity;
use crate::state::Db;
use crate::state::home::{Home, make_private_dir, open_lock};

/// Who holds a lease. Diagnostics: the lock itself is the kernel's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Holder {
    /// Process number.
    pub pid: u32,
    /// When the process was started, in the platform's own ticks: tells a re-used number.
    pub started_ticks: u64,
    /// When it took the lease.
    pub started_at: chrono::DateTime<chrono::Utc>,
    /// Boot of the machine.
    pub boot_id: String,
    /// Name of the machine.
    pub host: String,
    /// Name of the user.
    pub user: String,
    /// What it does: `upgrade`, `backup`, `restore`.
    pub doing: String,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let since = self.started_at.format("%Y-%m-%d %H:%M:%S UTC");
        write!(f, "process {} of {} on {} ({}), since {since}", self.pid, self.user, self.host, self.doing)
    }
}

/// The lease, held until dropped.
#[derive(Debug)]
pub struct Lease {
    /// Number of this holding; every later write carries it.
    pub epoch: i64,
    /// The installation it is about.
    pub installation: InstallationName,
    _in_home: Held,
    _in_folder: Option<Held>,
}

/// A lock file that is held, with the record of its holder beside it.
#[derive(Debug)]
struct Held {
    path: PathBuf,
    _lock: File,
}

impl Drop for Held {
    /// The record goes first: whoever finds the lock held must not read the name of one who has left.
    fn drop(&mut self) {
        let path = holder_file(&self.path);
        if write_record(&path, b"").is_err() {
            let _ = fs::remove_file(&path);
        }
    }
}

/// What a worker says that it does.
pub(crate) const UPGRADE: &str = "upgrade";

/// How often, and how long between, a lock that is held is tried again: someone who only looks holds it for a
/// moment, and one who has just taken it has not signed yet.
const LOOKS: u32 = 50;
const BETWEEN_LOOKS: Duration = Duration::from_millis(5);

impl Lease {
    /// Takes the lease of an installation, in Liftlock's home and in the installation's folder, or says who has it.
    ///
    /// # Errors
    /// `busy` (kind [`Kind::Busy`]) with holder, since when and the lock file; `network_lock` where the folder is
    /// on a file system whose locks do not reach other machines reliably.
    pub fn take(
        db: &mut Db,
        home: &Home,
        installation: &InstallationName,
        folder: &Path,
        holder: &Holder,
    ) -> Result<Self> {
        let in_home = take_file(&home.lock_file(installation), holder)?;
        let in_folder = take_folder(folder, holder)?;
        Ok(Self { _in_folder: in_folder, ..Self::signed(db, installation, in_home)? })
    }

    /// Takes it in Liftlock's home only, which is enough to write down how an upgrade went. Nothing of the
    /// installation may be touched before [`Lease::also_in`].
    ///
    /// # Errors
    /// As [`Lease::take`].
    pub fn take_in_home(db: &mut Db, home: &Home, installation: &InstallationName, holder: &Holder) -> Result<Self> {
        let in_home = take_file(&home.lock_file(installation), holder)?;
        Self::signed(db, installation, in_home)
    }

    /// Takes it in the installation's folder too.
    ///
    /// # Errors
    /// As [`Lease::take`].
    pub fn also_in(&mut self, folder: &Path, holder: &Holder) -> Result<()> {
        self._in_folder = take_folder(folder, holder)?;
        Ok(())
    }

    fn signed(db: &mut Db, installation: &InstallationName, in_home: Held) -> Result<Self> {
        let tx = db.write()?;
        tx.execute(
            "INSERT INTO lease (installation, epoch) VALUES (?1, 1) ON CONFLICT (installation) DO UPDATE SET epoch = epoch + 1",
            params![installation.as_str()],
        )?;
        let epoch =
            tx.query_row("SELECT epoch FROM lease WHERE installation = ?1", params![installation.as_str()], |row| {
                row.get(0)
            })?;
        tx.commit()?;
        Ok(Self { epoch, installation: installation.clone(), _in_home: in_home, _in_folder: None })
    }

    /// Whether someone holds the lease in this home now, and who says so.
    ///
    /// # Errors
    /// As [`Error::io`].
    pub fn holder(home: &Home, installation: &InstallationName) -> Result<Option<Option<Holder>>> {
        let path = home.lock_file(installation);
        if !path.exists() {
            return Ok(None);
        }
        // Shared, so that two who only look at the same time do not take each other for a holder.
        match open_lock(&path)?.try_lock_shared() {
            Ok(()) => Ok(None),
            Err(TryLockError::WouldBlock) => Ok(Some(read_holder(&path))),
            Err(TryLockError::Error(cause)) => Err(Error::io("look at the lock", &path, &cause)),
        }
    }

    /// Whether whoever holds the lease, as [`Lease::holder`] answers it, works on an upgrade, and does not back up or prove
    /// something meanwhile. One who has not signed yet is believed to.
    pub fn is_worker(holder: Option<&Option<Holder>>) -> bool {
        holder.is_some_and(|it| it.as_ref().is_none_or(|it| it.doing == UPGRADE))
    }

    /// Whether nobody holds the lease in this home now.
    ///
    /// # Errors
    /// `busy` as [`Lease::take`] answers it.
    pub fn must_be_free(home: &Home, installation: &InstallationName) -> Result<()> {
        match Self::holder(home, installation)? {
            None => Ok(()),
            Some(holder) => Err(busy(&home.lock_file(installation), holder.as_ref())),
        }
    }
}

fn take_file(path: &Path, holder: &Holder) -> Result<Held> {
    if let Some(parent) = path.parent() {
        refuse_network_file_system(parent)?;
    }
    let file = open_lock(path)?;
    for look in 0..LOOKS {
        match file.try_lock() {
            Ok(()) => {
                sign(path, holder);
                return Ok(Held { path: path.to_owned(), _lock: file });
            }
            Err(TryLockError::WouldBlock) => match read_holder(path) {
                None if look + 1 < LOOKS => thread::sleep(BETWEEN_LOOKS),
                holder => return Err(busy(path, holder.as_ref())),
            },
            Err(TryLockError::Error(cause)) => return Err(Error::io("lock", path, &cause)),
        }
    }
    Err(busy(path, None))
}

/// The lock that another user of this machine, with a home of their own, also takes.
fn take_folder(folder: &Path, holder: &Holder) -> Result<Option<Held>> {
    if !folder.is_dir() {
        return Ok(None);
    }
    let dir = folder.join(".liftlock");
    if !dir.is_dir() {
        make_private_dir(&dir)?;
        share(&dir, 0o777);
    }
    let path = dir.join("lock");
    let fresh = !path.exists();
    let file = take_file(&path, holder)?;
    if fresh {
        share(&path, 0o666);
    }
    share(&holder_file(&path), 0o644);
    Ok(Some(file))
}

/// Length in bytes of the record of a holder, filled up with spaces.
const RECORD: usize = 1024;

/// Writes down who holds the lock. Only a message depends on it, so a full disk here must not stop the work.
fn sign(lock: &Path, holder: &Holder) {
    let path = holder_file(lock);
    let record = serde_json::to_vec(holder).unwrap_or_default();
    if write_record(&path, &record).is_err() {
        // One that was left behind may belong to another user and not be ours to write.
        let _ = fs::remove_file(&path);
        let _ = write_record(&path, &record);
    }
}

/// Writes over the record in place, always at the same length: a file that is made, cut or removed changes the
/// folder, and the epoch's fsync, which comes next, would have to wait until that is on the disk too.
fn write_record(path: &Path, record: &[u8]) -> std::io::Result<()> {
    let mut padded = record.to_vec();
    padded.resize(padded.len().max(RECORD), b' ');
    File::options().write(true).create(true).truncate(false).open(path)?.write_all(&padded)
}

/// Another user must be able to open the same lock file; it holds no data.
#[cfg(unix)]
fn share(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    let _ = fs::set_permissions(path, fs::Permissions::from_mode(mode));
}

#[cfg(not(unix))]
fn share(_path: &Path, _mode: u32) {}

fn holder_file(lock: &Path) -> PathBuf {
    lock.with_extension("holder.json")
}

/// Who says to hold it. One who is gone has left the lock too, so it is someone else who has not signed yet.
fn read_holder(lock: &Path) -> Option<Holder> {
    let holder: Holder = serde_json::from_slice(&fs::read(holder_file(lock)).ok()?).ok()?;
    let process = Identity { pid: holder.pid, start_ticks: holder.started_ticks, boot_id: holder.boot_id.clone() };
    process.is_alive().then_some(holder)
}

fn busy(lock: &Path, holder: Option<&Holder>) -> Error {
    let who = holder.map_or_else(|| "another process".to_owned(), ToString::to_string);
    Error::new(Kind::Busy, "busy", format!("This installation is already being worked on by {who}."))
        .remedy(format!(
            "Wait until it has ended; `liftlock status` shows how far it is. It holds the lock {}; leave that file where it is.",
            lock.display()
        ))
        .detail(format!("lock file: {}", lock.display()))
}

/// Locks of network file systems are advisory at best; the lease must not depend on them.
#[cfg(target_os = "linux")]
fn refuse_network_file_system(dir: &Path) -> Result<()> {
    const NETWORK: [(i64, &str); 5] =
        [(0x6969, "NFS"), (0xFF53_4D42, "CIFS"), (0xFE53_4D42, "SMB"), (0x0102_1997, "9P"), (0x5346_414F, "AFS")];
    let Ok(stat) = rustix::fs::statfs(dir) else { return Ok(()) };
    #[allow(clippy::useless_conversion, reason = "the width of f_type differs between architectures")]
    let kind = i64::from(stat.f_type) & 0xFFFF_FFFF;
    match NETWORK.iter().find(|(magic, _)| *magic == kind) {
        None => Ok(()),
        Some((_, name)) => Err(Error::refused(
            "network_lock",
            format!(
                "{} is on a network file system ({name}), where two machines could both believe to be alone.",
                dir.display()
            ),
        )
        .remedy("Put Liftlock's home and the installation on a disk of this machine.")),
    }
}

#[cfg(not(target_os = "linux"))]
fn refuse_network_file_system(_dir: &Path) -> Result<()> {
    Ok(())
}
