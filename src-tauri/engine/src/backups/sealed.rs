//! Encrypted backups: every dump is one file of age, and is opened on the side for whoever proves or restores it.
//!
//! What is opened lies in a private folder below the scratch place and goes with whoever asked for it; what a killed
//! process left there goes the next time. The manifest is not encrypted: what is in a backup can be listed, checked and
//! copied without its key.

use std::fs;
use std::path::{Path, PathBuf};

use crate::backups::{Backup, damaged};
use crate::digest;
use crate::durable;
use crate::error::{Error, Result};
use crate::ports::Reporter;
use crate::seal::{Keys, SUFFIX};
use crate::space::Needs;
use crate::stores::files::sweep_marked;
use crate::stores::{Dumped, Sealed};

/// Marks the folder in which something is opened.
const PURPOSE: &str = "opened";

/// Encrypts a dump that was just written into `folder`, where nothing of it stays unencrypted.
pub(super) fn seal(folder: &Path, dumped: Dumped, keys: &Keys, reporter: &dyn Reporter) -> Result<Dumped> {
    let file = format!("{}{SUFFIX}", dumped.file);
    let plain = folder.join(&dumped.file);
    let (sha256, bytes) = keys.seal(&plain, &folder.join(&file), reporter)?;
    fs::remove_file(&plain).map_err(|cause| Error::io("remove", &plain, &cause))?;
    let note = format!("Encrypted with age: age -d {file} > {}. Then: {}", dumped.file, dumped.note);
    let sealed = Some(Sealed { file: dumped.file, sha256: dumped.sha256, bytes: dumped.bytes });
    Ok(Dumped { file, sha256, bytes, note, sealed, ..dumped })
}

/// A dump that can be read: where it lies, and what it is. Dropping it removes what was opened for it.
#[derive(Debug)]
pub struct Opened {
    /// The folder that it lies in.
    pub folder: PathBuf,
    /// What it is, as if it had never been encrypted.
    pub dumped: Dumped,
    opened: bool,
}

impl Drop for Opened {
    fn drop(&mut self) {
        if self.opened {
            // What cannot be removed now is swept the next time.
            let _ = durable::remove_tree_that_we_made(&self.folder, PURPOSE);
        }
    }
}

/// Opens a dump of a backup below `scratch`, where it is encrypted. The caller holds the lease of the installation.
///
/// # Errors
/// `wrong_key`, `no_key`, `key_unreadable`, `no_room`; `backup_damaged` where it holds something else than the manifest says.
pub fn opened(
    backup: &Backup,
    dumped: &Dumped,
    keys: &Keys,
    scratch: &Path,
    reporter: &dyn Reporter,
) -> Result<Opened> {
    let Some(inner) = &dumped.sealed else {
        return Ok(Opened { folder: backup.path.clone(), dumped: dumped.clone(), opened: false });
    };
    // A temporary server runs as another user, who passes through here; what is opened lies in a folder closed to it.
    fs::create_dir_all(scratch).map_err(|cause| Error::io("create", scratch, &cause))?;
    sweep_marked(scratch, PURPOSE)?;
    let mut needs = Needs::new();
    needs.add(scratch, inner.bytes, format!("“{}”, opened", dumped.store));
    needs.check()?;
    let folder = scratch.join(format!("{PURPOSE}-{}", uuid::Uuid::now_v7().simple()));
    durable::create_marked_dir(&folder, PURPOSE)?;
    let plain = Dumped {
        file: inner.file.clone(),
        sha256: inner.sha256.clone(),
        bytes: inner.bytes,
        sealed: None,
        ..dumped.clone()
    };
    let opened = Opened { folder, dumped: plain, opened: true };
    let path = opened.folder.join(&inner.file);
    keys.open(&backup.path.join(&dumped.file), &path, reporter)?;
    let (sha256, bytes) = digest::sha256_of(&mut durable::open_ours(&path)?, &path, Some(inner.bytes), reporter)?;
    if (sha256.as_str(), bytes) != (inner.sha256.as_str(), inner.bytes) {
        return Err(damaged(&backup.path.join(&dumped.file), "it holds something else"));
    }
    Ok(opened)
}
