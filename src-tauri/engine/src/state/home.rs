//! Liftlock's home: where its state, locks, backups, downloads and logs are. Private to its user.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::model::ids::{InstallationName, UpgradeId};

/// A folder of Liftlock's own, 0700.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Home {
    root: PathBuf,
}

impl Home {
    /// The home at `root`.
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// `LIFTLOCK_HOME`, else the place that the platform has for a program's data.
    ///
    /// # Errors
    /// `no_home` where neither is known.
    pub fn of_this_user() -> Result<Self> {
        let var = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let platform = if cfg!(windows) {
            var("LOCALAPPDATA").map(|it| it.join("Liftlock"))
        } else if cfg!(target_os = "macos") {
            var("HOME").map(|it| it.join("Library/Application Support/Liftlock"))
        } else {
            var("XDG_DATA_HOME").or_else(|| var("HOME").map(|it| it.join(".local/share"))).map(|it| it.join("liftlock"))
        };
        var("LIFTLOCK_HOME").or(platform).map(Self::at).ok_or_else(|| {
            Error::usage("no_home", "Liftlock does not know where to keep its data.")
                .remedy("Set LIFTLOCK_HOME to a folder of its own.")
        })
    }

    /// The folder itself.
    pub fn root(&self) -> &Path {
        &self.root
    }
    /// The state file.
    pub fn database(&self) -> PathBuf {
        self.root.join("liftlock.db")
    }
    /// The chained history, a line each outcome.
    pub fn history(&self) -> PathBuf {
        self.root.join("history.jsonl")
    }
    /// Space held back for the moment when the disk is full.
    pub fn ballast(&self) -> PathBuf {
        self.root.join("ballast")
    }
    /// The lock file of an installation. Never unlinked.
    pub fn lock_file(&self, installation: &InstallationName) -> PathBuf {
        self.root.join("locks").join(format!("{installation}.lock"))
    }
    /// The lock that acting children of an upgrade hold. Never unlinked while the upgrade is open.
    pub fn orphan_lock_file(&self, installation: &InstallationName) -> PathBuf {
        self.root.join("locks").join(format!("{installation}.children.lock"))
    }
    /// What installations are known by, should the state be lost.
    pub fn notes(&self) -> PathBuf {
        self.root.join("installations")
    }
    /// What belongs to one upgrade: log, secrets, receipt.
    pub fn upgrade(&self, id: UpgradeId) -> PathBuf {
        self.root.join("upgrades").join(id.to_string())
    }
    /// What has arrived of large files that are copied to storage in parts.
    pub fn sent_parts(&self) -> PathBuf {
        self.root.join("sent-parts")
    }
    /// Release assets by their digest.
    pub fn downloads(&self) -> PathBuf {
        self.root.join("downloads")
    }
    /// What the files of a release were like when Liftlock first saw them.
    pub fn baseline(&self, installation: &InstallationName, version: &str) -> PathBuf {
        self.root.join("baselines").join(installation.as_str()).join(format!("{version}.json"))
    }
    /// The password of a store that a person entered, as PostgreSQL's own tools read it.
    pub fn credential(&self, installation: &InstallationName, store: &str) -> PathBuf {
        self.root.join("credentials").join(format!("{installation}-{store}.pgpass"))
    }
    /// What a person said of settings that a release of an installation asks for.
    pub fn given(&self, installation: &InstallationName) -> PathBuf {
        self.root.join("given").join(format!("{installation}.json"))
    }
    /// The files of a release of an installation that were only fetched to be looked at.
    pub fn looked_into(&self, installation: &InstallationName) -> PathBuf {
        self.root.join("looked").join(installation.as_str())
    }
    /// Private copies of the worker by their digest.
    pub fn workers(&self) -> PathBuf {
        self.root.join("workers")
    }

    /// Makes the folders, private to this user.
    ///
    /// # Errors
    /// `home_not_writable` with the folder's name.
    pub fn make(&self) -> Result<()> {
        // One look is enough in the ordinary case: status must be instant.
        if self.root.join("locks").is_dir() {
            return Ok(());
        }
        // The one that is looked for above comes last.
        for folder in ["", "upgrades", "backups", "downloads", "workers", "locks"] {
            make_private_dir(&self.root.join(folder)).map_err(|error| {
                if error.class == "disk_full" {
                    return error;
                }
                Error::refused("home_not_writable", format!("Liftlock cannot write to {}.", self.root.display()))
                    .remedy("Give this user the right to write there, or set LIFTLOCK_HOME to another folder.")
                    .detail(error.message)
            })?;
        }
        Ok(())
    }

    /// Holds the schema as it is, for as long as the answer lives. Workers do this.
    ///
    /// # Errors
    /// `state_busy` while the schema is being changed.
    pub fn lock_schema_shared(&self) -> Result<File> {
        // Somebody may have “cleaned up” while an upgrade was open.
        self.make()?;
        let file = open_lock(&self.root.join("locks").join("schema.lock"))?;
        file.lock_shared().map_err(|cause| Error::io("lock", &self.root, &cause))?;
        Ok(file)
    }

    pub(crate) fn lock_schema_exclusive(&self) -> Result<File> {
        let file = open_lock(&self.root.join("locks").join("schema.lock"))?;
        match file.try_lock() {
            Ok(()) => Ok(file),
            Err(TryLockError::WouldBlock) => {
                Err(Error::new(crate::error::Kind::Busy, "state_busy", "An update is running with an older Liftlock.")
                    .remedy("Wait until it has ended, then try again. It is not disturbed."))
            }
            Err(TryLockError::Error(cause)) => Err(Error::io("lock", &self.root, &cause)),
        }
    }
}

/// Opens a lock file for good; it is never unlinked, because unlinking admits a second holder.
pub(crate) fn open_lock(path: &Path) -> Result<File> {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
        .map_err(|cause| Error::io("open the lock", path, &cause))?;
    Ok(file)
}

/// Makes a folder that only this user can enter.
///
/// # Errors
/// As [`Error::io`].
pub fn make_private_dir(path: &Path) -> Result<()> {
    fs::create_dir_all(path).map_err(|cause| Error::io("create the folder", path, &cause))?;
    set_mode(path, 0o700)
}

/// Makes a file readable by this user only.
///
/// # Errors
/// As [`Error::io`].
pub fn make_private(path: &Path) -> Result<()> {
    set_mode(path, 0o600)
}

#[cfg(unix)]
fn set_mode(path: &Path, mode: u32) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let metadata = fs::metadata(path).map_err(|cause| Error::io("read", path, &cause))?;
    if metadata.permissions().mode() & 0o777 == mode {
        return Ok(());
    }
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).map_err(|cause| Error::io("protect", path, &cause))
}

// The platform's data directory of a user is already private there.
#[cfg(not(unix))]
fn set_mode(_path: &Path, _mode: u32) -> Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locks_that_somebody_cleaned_up_are_made_again() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path().join("home"));
        home.make().unwrap();
        fs::remove_dir(home.root().join("locks")).unwrap();
        let held = home.lock_schema_shared().unwrap();
        assert_eq!(home.lock_schema_exclusive().unwrap_err().class, "state_busy");
        drop(held);
        home.lock_schema_exclusive().unwrap();
    }
}
