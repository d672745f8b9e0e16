//! A copy of a backup in a second folder: another disk, a share of the network.
//!
//! A copy gets its name only when every file in it was read back and is what was written; one that was cut short goes on
//! where it stopped, if what is there is what should be. A disk that is not connected must not be mistaken for its
//! empty mount point, so a folder is used only while it bears our mark. Copies have a retention of their own,
//! which keeps the newest proven one. Absent on purpose: whose the files are, which a
//! disk made for cameras does not know.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use crate::backups::{Backup, PARTIAL, PINNED, PURPOSE, Trust};
use crate::digest;
use crate::durable;
use crate::error::{Error, Result};
use crate::ports::{Reporter, Unit};
use crate::space::Needs;
use crate::stores::Grade;

/// Says that a folder was chosen for copies, and that its disk is connected.
const MARK: &str = ".liftlock-copies";
const PIECE: usize = 1 << 20;

/// What a copy came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copied {
    /// Where it is.
    pub path: PathBuf,
    /// Bytes that were written now.
    pub written: u64,
    /// Bytes that were there already, from a copy that was cut short or is whole.
    pub there_before: u64,
}

/// Chooses a folder, which must be there, for copies.
///
/// # Errors
/// `copy_folder_gone`; what the disk answered.
pub fn choose_folder(folder: &Path) -> Result<()> {
    if !folder.is_dir() {
        return Err(gone(folder));
    }
    durable::write(&folder.join(MARK), b"Copies of Liftlock's backups are kept in this folder.\n")
}

/// Whether the folder is there with our mark.
pub fn is_connected(folder: &Path) -> bool {
    fs::symlink_metadata(folder.join(MARK)).is_ok_and(|it| it.is_file())
}

fn gone(folder: &Path) -> Error {
    Error::refused("copy_folder_gone", format!("The folder for copies is not there: {}.", folder.display())).remedy(
        "Connect its disk or share, then try again. If it is another folder now, choose it: \
         `liftlock backup copy --to FOLDER`.",
    )
}

/// Where the copies of an installation's backups are.
pub fn place(folder: &Path, backup: &Backup) -> PathBuf {
    folder.join(backup.manifest.installation.as_str())
}

/// Copies a backup, and reads every byte of the copy back. One that is there already is only read.
///
/// # Errors
/// `copy_folder_gone`, `no_room`, `disk_full`, `copy_differs`; what the reporter answered. What was copied so far stays,
/// and is gone on with.
pub fn copy(backup: &Backup, folder: &Path, reporter: &dyn Reporter) -> Result<Copied> {
    if !is_connected(folder) {
        return Err(gone(folder));
    }
    let copied = copy_to(backup, folder, reporter);
    match copied {
        // A disk that was pulled out answers in many ways; that it is gone is what can be mended.
        Err(error) if error.class != "cancelled" && !is_connected(folder) => Err(gone(folder).because(&error)),
        // What was written and read back may have been read from memory only.
        Ok(_) if !is_connected(folder) => Err(gone(folder)),
        answer => answer,
    }
}

fn copy_to(backup: &Backup, folder: &Path, reporter: &dyn Reporter) -> Result<Copied> {
    let root = place(folder, backup);
    let path = root.join(backup.id());
    let mut copied = Copied { path: path.clone(), written: 0, there_before: 0 };
    let names = names(backup)?;
    if path.is_dir() {
        read_back(backup, &names, &path, reporter)?;
        copied.there_before = backup.bytes();
        return Ok(copied);
    }
    let partial = root.join(format!("{PARTIAL}{}", backup.id()));
    if !partial.exists() {
        let mut needs = Needs::new();
        needs.add(folder, backup.bytes(), "the copy of the backup".to_owned());
        needs.check()?;
        fs::create_dir_all(&root).map_err(|cause| Error::io("create", &root, &cause))?;
        durable::create_marked_dir(&partial, PURPOSE)?;
    }
    if !durable::is_marked(&partial, PURPOSE) {
        return Err(Error::failed("not_ours", format!("{} was not made by Liftlock.", partial.display()))
            .remedy("Move it to another place, then try again."));
    }
    for name in &names {
        let (there, written) =
            copy_file(&backup.path.join(name), &partial.join(name), copied.written, backup, reporter)?;
        copied.there_before += there;
        copied.written += written;
    }
    read_back(backup, &names, &partial, reporter)?;
    durable::fsync_dir(&partial)?;
    durable::rename_new(&partial, &path)?;
    Ok(copied)
}

/// The files of a backup; a pin is for the place where it was set.
fn names(backup: &Backup) -> Result<Vec<String>> {
    let failed = |cause: std::io::Error| Error::io("read", &backup.path, &cause);
    let mut names = Vec::new();
    for entry in fs::read_dir(&backup.path).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        // The mark is made anew, and what is being written has no name yet.
        let is_plain = entry.file_type().map_err(failed)?.is_file() && !name.starts_with('.') && name != PINNED;
        if is_plain {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

/// Copies the rest of a file; the answer is how much was there, and how much was written.
fn copy_file(from: &Path, to: &Path, before: u64, backup: &Backup, reporter: &dyn Reporter) -> Result<(u64, u64)> {
    let failed = |cause: std::io::Error| Error::io("write", to, &cause);
    let mut source = durable::open_ours(from)?;
    if fs::symlink_metadata(to).is_ok_and(|it| !it.is_file()) {
        return Err(Error::failed("not_ours", format!("{} is no file.", to.display()))
            .remedy("Move it to another place, then try again."));
    }
    let mut target = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(to).map_err(failed)?;
    let there = same_beginning(&mut source, &mut target, from, to, reporter)?;
    target.set_len(there).and_then(|()| target.seek(SeekFrom::Start(there))).map_err(failed)?;
    source.seek(SeekFrom::Start(there)).map_err(|cause| Error::io("read", from, &cause))?;
    let mut piece = vec![0; PIECE];
    let mut written = 0;
    loop {
        reporter.check()?;
        let read = source.read(&mut piece).map_err(|cause| Error::io("read", from, &cause))?;
        if read == 0 {
            break;
        }
        target.write_all(&piece[..read]).map_err(failed)?;
        written += read as u64;
        reporter.moved(before + written, Some(backup.bytes()), Unit::Bytes);
    }
    target.sync_all().map_err(failed)?;
    Ok((there, written))
}

/// How many bytes at the beginning of `target` are those of `source`, in whole pieces or to its end.
fn same_beginning(
    source: &mut File,
    target: &mut File,
    from: &Path,
    to: &Path,
    reporter: &dyn Reporter,
) -> Result<u64> {
    let (mut ours, mut theirs) = (vec![0; PIECE], vec![0; PIECE]);
    let mut same = 0;
    loop {
        reporter.check()?;
        let read = fill(target, &mut theirs).map_err(|cause| Error::io("read", to, &cause))?;
        let wanted = fill(source, &mut ours[..read]).map_err(|cause| Error::io("read", from, &cause))?;
        if read == 0 || wanted != read || ours[..read] != theirs[..read] {
            return Ok(same);
        }
        same += read as u64;
    }
}

fn fill(file: &mut File, into: &mut [u8]) -> std::io::Result<usize> {
    let mut at = 0;
    while at < into.len() {
        match file.read(&mut into[at..])? {
            0 => break,
            read => at += read,
        }
    }
    Ok(at)
}

/// Reads a copy to its last byte and compares it with the manifest, and what the manifest does not speak of with the
/// backup.
fn read_back(backup: &Backup, names: &[String], copy: &Path, reporter: &dyn Reporter) -> Result<()> {
    for name in names {
        let path = copy.join(name);
        let mut file = durable::open_no_follow(&path)?;
        let (found, _) = digest::sha256_of(&mut file, &path, None, reporter)?;
        let wanted = match backup.manifest.stores.iter().find(|it| it.file == *name) {
            Some(dumped) => dumped.sha256.clone(),
            None if name == super::MANIFEST => backup.manifest_sha256.clone(),
            // A proof may have been earned anew since; it speaks of the same manifest.
            None if name == super::PROOF => continue,
            None => {
                let own = backup.path.join(name);
                digest::sha256_of(&mut durable::open_ours(&own)?, &own, None, reporter)?.0
            }
        };
        if found != wanted {
            return Err(Error::failed("copy_differs", format!("{} is not as it was written.", path.display()))
                .remedy("Do not rely on that disk. Remove this copy, check the disk, then copy again."));
        }
    }
    Ok(())
}

/// Removes the oldest copies beside the newest `most` and the newest proven one, and answers what went. Only folders that
/// we made are touched.
///
/// # Errors
/// What the disk answered.
pub fn thin_out(root: &Path, most: usize) -> Result<Vec<PathBuf>> {
    let failed = |cause: std::io::Error| Error::io("read", root, &cause);
    let mut copies = Vec::new();
    for entry in fs::read_dir(root).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let is_whole = path.file_name().is_some_and(|it| !it.to_string_lossy().starts_with(PARTIAL));
        if is_whole && durable::is_marked(&path, PURPOSE) {
            copies.push(path);
        }
    }
    // Names begin with the instant at which the backup was made.
    copies.sort();
    let going = copies.len().saturating_sub(most.max(1));
    let is_proven = |path: &PathBuf| {
        let proof = fs::read(path.join(super::PROOF)).ok();
        let trust = proof.and_then(|it| serde_json::from_slice::<Trust>(&it).ok());
        trust.is_some_and(|it| it.grade == Grade::Proven && it.failed.is_none())
    };
    let last_proven = copies.iter().rfind(|it| is_proven(it)).cloned();
    copies.truncate(going);
    copies.retain(|it| Some(it) != last_proven.as_ref());
    for path in &copies {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let unnamed = path.with_file_name(format!("{PARTIAL}{name}"));
        durable::rename_new(path, &unnamed)?;
        durable::remove_tree_that_we_made(&unnamed, PURPOSE)?;
    }
    Ok(copies)
}
