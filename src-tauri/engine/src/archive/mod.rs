//! Unpacking the `.tar.gz` of a release, which a stranger may have packed.
//!
//! The invariant: `into` appears by one rename, whole and on disk, or not at all; nothing outside the
//! staging folder beside it is ever written, and only the staging folder is ever removed. No link exists
//! while files are being written, so none can be written through. Deliberately absent: hard links, devices,
//! sparse files, owners, extended attributes, and any way to unpack over something that is there.

mod tree;
mod walk;

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
};

use crate::durable;
use crate::error::{Error, Result};
use crate::ports::Reporter;

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

/// What the staging folder is marked with.
const PURPOSE: &str = "unpacking";

/// Unpacks `tar_gz` into the new folder `into`; where everything lies in one top folder, that one becomes `into`.
///
/// Permissions are reduced to what the owner gave itself, without set-user-id bits and without write
/// permission for others. Figures told to the reporter are bytes of the packed file.
///
/// # Errors
/// `archive_hostile`, `archive_too_large`, `archive_damaged`, `archive_empty`: nothing remains of it.
/// `already_there` where `into` exists; `not_ours` where its staging folder is somebody else's; `disk_full`,
/// `permission_denied`, `not_found`, `io` from the disk; whatever the reporter answers.
pub fn unpack(tar_gz: &Path, into: &Path, limits: &Limits, reporter: &dyn Reporter) -> Result<Unpacked> {
    if fs::symlink_metadata(into).is_ok() {
        return Err(Error::refused("already_there", format!("{} is there already.", into.display()))
            .remedy("Nothing was unpacked over it. Move it away if it is not needed, then try again."));
    }
    // Beside `into`, so that one rename can put the files there. One that is left of an unpacking that was
    // killed bears our mark, and nobody has ever read it.
    let staging = hidden_beside(into);
    durable::remove_tree_that_we_made(&staging, PURPOSE)?;
    durable::create_marked_dir(&staging, PURPOSE)?;
    let done = fill(tar_gz, &staging.join("tree"), into, limits, reporter);
    let removed = durable::remove_tree_that_we_made(&staging, PURPOSE);
    // The reason for a failure matters more than a leftover, which the next attempt removes.
    done.and_then(|unpacked| removed.map(|()| unpacked))
}

fn fill(tar_gz: &Path, tree: &Path, into: &Path, limits: &Limits, reporter: &dyn Reporter) -> Result<Unpacked> {
    fs::create_dir(tree).map_err(|cause| Error::io("create", tree, &cause))?;
    let walked = walk::extract(tar_gz, tree, limits, reporter)?;
    let finished = walked.common_top.map_or_else(|| tree.to_owned(), |top| tree.join(top));
    durable::rename_new(&finished, into)?;
    Ok(Unpacked { root: into.to_owned(), entries: walked.entries, bytes: walked.bytes })
}

fn hidden_beside(into: &Path) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(into.file_name().unwrap_or_default());
    name.push(".unpacking");
    into.with_file_name(name)
}
