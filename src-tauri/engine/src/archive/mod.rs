//! Unpacking the `.tar.gz` of a release, which a stranger may have packed.
//!
//! The invariant: `into` appears by one rename, whole and on disk, or not at all; nothing outside the
//! staging folder beside it is ever written, and only the staging folder is ever removed. No link exists
//! while files are being written, so none can be written through. Deliberately absent: hard links, devices,
//! sparse files, owners, extended attributes, and any way to unpack over something that is there.

mod tree;
mod walk;

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use crate::{
    error::{Error, Result},
    ports::Reporter,
};

/// What an archive may at most be. A breach refuses the whole archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes after decompression, headers and padding included.
    pub bytes: u64,
    /// Times by which decompression may multiply the size (counted above 16 MiB, where it begins to matter).
    pub ratio: u64,
    /// Files, folders and links, folders that are only implied included.
    pub entries: u64,
    /// Folders within folders.
    pub depth: usize,
    /// Bytes of one path within the archive.
    pub path: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { bytes: 8 << 30, ratio: 200, entries: 250_000, depth: 48, path: 1024 }
    }
}

/// What was unpacked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unpacked {
    /// The folder that holds the release; the same as `into`.
    pub root: PathBuf,
    /// Files, folders and links in it.
    pub entries: u64,
    /// Bytes of all files together.
    pub bytes: u64,
}

/// Unpacks `tar_gz` into the new folder `into`; where everything lies in one top folder, that one becomes `into`.
///
/// Permissions are reduced to what the owner gave itself, without set-user-id bits and without write
/// permission for others. Figures told to the reporter are bytes of the packed file.
///
/// # Errors
/// `archive_hostile`, `archive_too_large`, `archive_damaged`, `archive_empty`: nothing remains of it.
/// `archive_target_exists` where `into` is there already; `disk_full`, `permission_denied`, `not_found`, `io`
/// from the disk; whatever the reporter answers.
pub fn unpack(tar_gz: &Path, into: &Path, limits: &Limits, reporter: &dyn Reporter) -> Result<Unpacked> {
    let staging = staging(into)?;
    match fs::symlink_metadata(into) {
        Ok(_) => {
            return Err(Error::refused("archive_target_exists", format!("{} is already there.", into.display()))
                .remedy("Nothing was unpacked over it. Move it away if it is not needed, then try again."));
        }
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => {}
        Err(cause) => return Err(Error::io("look at", into, &cause)),
    }
    // Left by an unpacking that was killed: the name is ours alone, and no one ever reads it.
    if fs::symlink_metadata(&staging).is_ok_and(|there| there.is_dir()) {
        fs::remove_dir_all(&staging).map_err(|cause| Error::io("remove", &staging, &cause))?;
    }
    fs::create_dir(&staging).map_err(|cause| Error::io("create", &staging, &cause))?;
    let done = walk::extract(tar_gz, &staging, limits, reporter).and_then(|walked| {
        place(&staging, walked.common_top.as_deref(), into)?;
        Ok(Unpacked { root: into.to_owned(), entries: walked.entries, bytes: walked.bytes })
    });
    if done.is_err() {
        // The reason for the failure matters more than a leftover, which the next attempt removes.
        let _ = fs::remove_dir_all(&staging);
    }
    done
}

/// Where the files are gathered: beside `into`, so that one rename can put them there.
fn staging(into: &Path) -> Result<PathBuf> {
    let name = into.file_name().ok_or_else(|| {
        Error::bug("archive_target", format!("{} cannot be the name of a new folder.", into.display()))
    })?;
    let mut hidden = std::ffi::OsString::from(".");
    hidden.push(name);
    hidden.push(".unpacking");
    Ok(into.with_file_name(hidden))
}

/// Gives the finished folder its name, durably.
fn place(staging: &Path, common_top: Option<&str>, into: &Path) -> Result<()> {
    let finished = common_top.map_or_else(|| staging.to_owned(), |top| staging.join(top));
    fs::rename(&finished, into).map_err(|cause| Error::io("rename", &finished, &cause))?;
    if common_top.is_some() {
        fs::remove_dir(staging).map_err(|cause| Error::io("remove", staging, &cause))?;
    }
    let parent = into.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    sync_folder(parent)
}

/// Makes the names in a folder durable; Windows does so by itself and has no call for it.
fn sync_folder(folder: &Path) -> Result<()> {
    #[cfg(unix)]
    fs::File::open(folder).and_then(|it| it.sync_all()).map_err(|cause| Error::io("write", folder, &cause))?;
    #[cfg(not(unix))]
    let _ = folder;
    Ok(())
}
