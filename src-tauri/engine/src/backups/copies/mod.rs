//! Copies of backups in another place: a second folder, or storage of objects.
//!
//! A copy counts only when every file in it was read back and is what was written; one that was cut short is gone on with,
//! and bears no name until then. A place is used only while it bears our mark. Copies have a retention of
//! their own, which keeps the newest proven one, and each can be brought back and used as any backup. What is common
//! to all places stands here; a place knows only how it is written to and read.

mod folder;
mod storage;

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use chrono::{DateTime, NaiveDateTime, Utc};

use crate::backups::{Backup, MANIFEST, Manifest, PARTIAL, PINNED, PROOF, PURPOSE, Trust, check, is_ahead, open};
use crate::digest::{self, Hashing};
use crate::durable;
use crate::error::{Error, Result};
use crate::model::ids::InstallationName;
use crate::ports::{Reporter, Unit};
use crate::space::Needs;
use crate::stores::Grade;

pub use crate::objects::Sent;
pub use folder::Folder;
pub use storage::Bucket;

/// Says that a place was chosen for copies, and that it is the right one.
const MARK: &str = ".liftlock-copies";
const MARKED: &[u8] = b"Copies of Liftlock's backups are kept here.\n";
/// A document of a copy that is larger is none of ours.
const MOST: usize = 64 << 20;

/// Which copy: of which installation's backup, and its id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyOf {
    /// Whose data.
    pub installation: InstallationName,
    /// What the backup is called.
    pub id: String,
}

impl CopyOf {
    /// The copy of this backup.
    pub fn backup(backup: &Backup) -> Self {
        Self { installation: backup.manifest.installation.clone(), id: backup.id() }
    }
}

/// Whether something is read of a copy that counts, or of one that is being made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// It is being made.
    Partial,
    /// It counts.
    Whole,
}

/// Where copies lie.
pub trait CopyPlace: Send + Sync {
    /// What a person calls it.
    fn shown(&self) -> String;
    /// Where a copy lies in it, for people.
    fn path_of(&self, copy: &CopyOf) -> String;
    /// Puts our mark there.
    ///
    /// # Errors
    /// The place is not there, or does not take it.
    fn choose(&self, reporter: &dyn Reporter) -> Result<()>;
    /// Whether our mark is there.
    ///
    /// # Errors
    /// `copy_folder_gone`, `storage_…`.
    fn expect_ours(&self, reporter: &dyn Reporter) -> Result<()>;
    /// Whether the copy is there and counts.
    ///
    /// # Errors
    /// What the place answered.
    fn has(&self, copy: &CopyOf, reporter: &dyn Reporter) -> Result<bool>;
    /// Makes ready for a copy of so many bytes; one that was begun is gone on with.
    ///
    /// # Errors
    /// `no_room`, `not_ours`; what the place answered.
    fn begin(&self, copy: &CopyOf, bytes: u64, reporter: &dyn Reporter) -> Result<()>;
    /// Writes a file into a copy that is being made, or what is missing of it. `told` hears how many bytes have gone.
    ///
    /// # Errors
    /// What the place answered.
    fn send(
        &self,
        copy: &CopyOf,
        name: &str,
        from: &Path,
        reporter: &dyn Reporter,
        told: &(dyn Fn(u64) + Sync),
    ) -> Result<Sent>;
    /// Reads a file of a copy; `false` where there is none.
    ///
    /// # Errors
    /// What the place or `into` answered.
    fn read(
        &self,
        copy: &CopyOf,
        stage: Stage,
        name: &str,
        into: &mut (dyn FnMut(&[u8]) -> Result<()> + Send),
        reporter: &dyn Reporter,
    ) -> Result<bool>;
    /// Lets a file of a copy that is being made be written anew.
    ///
    /// # Errors
    /// What the place answered.
    fn discard(&self, copy: &CopyOf, name: &str, reporter: &dyn Reporter) -> Result<()>;
    /// Lets the copy count from now on.
    ///
    /// # Errors
    /// What the place answered.
    fn finish(&self, copy: &CopyOf, reporter: &dyn Reporter) -> Result<()>;
    /// The ids of all copies that count, oldest first.
    ///
    /// # Errors
    /// What the place answered.
    fn list(&self, installation: &InstallationName, reporter: &dyn Reporter) -> Result<Vec<String>>;
    /// The names of the files in a copy that counts.
    ///
    /// # Errors
    /// What the place answered.
    fn files(&self, copy: &CopyOf, reporter: &dyn Reporter) -> Result<Vec<String>>;
    /// Removes a copy; from the first act on it counts no more.
    ///
    /// # Errors
    /// What the place answered.
    fn remove(&self, copy: &CopyOf, reporter: &dyn Reporter) -> Result<()>;
    /// Removes what was begun of other copies than `newest` and never ended, where it takes room.
    ///
    /// # Errors
    /// What the place answered.
    fn clear_unfinished(&self, newest: &CopyOf, reporter: &dyn Reporter) -> Result<()>;
}

/// What a copy came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copied {
    /// Where it is.
    pub path: String,
    /// Bytes that were written now.
    pub written: u64,
    /// Bytes that were there already, from a copy that was cut short or is whole.
    pub there_before: u64,
}

/// A copy that lies in a place, by what its own documents say.
#[derive(Debug, Clone, PartialEq)]
pub struct Lying {
    /// Which.
    pub copy: CopyOf,
    /// Where, for people.
    pub path: String,
    /// What is in it.
    pub manifest: Manifest,
    /// How far it is trusted.
    pub grade: &'static str,
}

/// Copies a backup, and reads every byte of the copy back. One that is there already is only read.
///
/// # Errors
/// What the place answered; `copy_differs`; what the reporter answered. What was copied so far stays, and is gone on
/// with.
pub fn copy(backup: &Backup, place: &dyn CopyPlace, reporter: &dyn Reporter) -> Result<Copied> {
    place.expect_ours(reporter)?;
    let copied = copy_to(backup, place, reporter);
    match copied {
        Err(error) if error.class == "cancelled" => Err(error),
        // A disk that was pulled out answers in many ways; that it is gone is what can be mended.
        Err(error) if !error.class.starts_with("storage_") => {
            place.expect_ours(reporter).map_err(|gone| gone.because(&error))?;
            Err(error)
        }
        // What was written and read back may have been read from memory only.
        Ok(copied) => place.expect_ours(reporter).map(|()| copied),
        answer => answer,
    }
}

fn copy_to(backup: &Backup, place: &dyn CopyPlace, reporter: &dyn Reporter) -> Result<Copied> {
    let copy = CopyOf::backup(backup);
    let mut copied = Copied { path: place.path_of(&copy), written: 0, there_before: 0 };
    let names = names(backup)?;
    if place.has(&copy, reporter)? {
        read_back(backup, &names, place, Stage::Whole, reporter)?;
        copied.there_before = backup.bytes();
        return Ok(copied);
    }
    place.begin(&copy, backup.bytes(), reporter)?;
    for name in &names {
        reporter.check()?;
        let before = copied.written;
        let told = |sent: u64| reporter.moved(before + sent, Some(backup.bytes()), Unit::Bytes);
        let sent = place.send(&copy, name, &backup.path.join(name), reporter, &told)?;
        copied.there_before += sent.there_before;
        copied.written += sent.written;
    }
    read_back(backup, &names, place, Stage::Partial, reporter)?;
    place.finish(&copy, reporter)?;
    Ok(copied)
}

/// The files of a backup, what makes it one last; a pin is for the place where it was set.
fn names(backup: &Backup) -> Result<Vec<String>> {
    let mut names = files_in(&backup.path)?;
    names.retain(|it| it != PINNED);
    names.sort_unstable_by_key(|name| (name == MANIFEST, name.clone()));
    Ok(names)
}

/// The names of the files in a folder of a backup: its mark is made anew, and what is being written has no name yet.
fn files_in(folder: &Path) -> Result<Vec<String>> {
    let failed = |cause: std::io::Error| Error::io("read", folder, &cause);
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.file_type().map_err(failed)?.is_file() && !name.starts_with('.') {
            names.push(name);
        }
    }
    Ok(names)
}

/// Reads a copy to its last byte and compares it with the manifest, and what the manifest does not speak of with the
/// backup.
fn read_back(
    backup: &Backup,
    names: &[String],
    place: &dyn CopyPlace,
    stage: Stage,
    reporter: &dyn Reporter,
) -> Result<()> {
    let copy = CopyOf::backup(backup);
    for name in names {
        let wanted = match backup.manifest.stores.iter().find(|it| it.file == *name) {
            Some(dumped) => dumped.sha256.clone(),
            None if name == MANIFEST => backup.manifest_sha256.clone(),
            // A proof may have been earned anew since; it speaks of the same manifest.
            None if name == PROOF => continue,
            None => {
                let own = backup.path.join(name);
                digest::sha256_of(&mut durable::open_ours(&own)?, &own, None, reporter)?.0
            }
        };
        let mut hash = Hashing::new(std::io::sink());
        let mut into = |bytes: &[u8]| {
            reporter.check()?;
            hash.write_all(bytes).map_err(|cause| Error::io("read", &backup.path, &cause))?;
            reporter.moved(hash.bytes(), None, Unit::Bytes);
            Ok(())
        };
        let is_there = place.read(&copy, stage, name, &mut into, reporter)?;
        if is_there && hash.finish().1 == wanted {
            continue;
        }
        let at = format!("{}: {name}", place.path_of(&copy));
        if stage == Stage::Partial {
            // What does not count yet is written anew the next time.
            place.discard(&copy, name, reporter)?;
        }
        return Err(Error::failed("copy_differs", format!("It is not as it was written: {at}."))
            .remedy("Do not rely on that place. Remove this copy, check the disk or the storage, then copy again."));
    }
    Ok(())
}

/// Removes the oldest copies beside the newest `most` and the newest proven one, and answers what went. What a clock dated that
/// was ahead of `now` counts as the oldest.
///
/// # Errors
/// What the place answered.
pub fn thin_out(
    newest: &CopyOf,
    place: &dyn CopyPlace,
    most: usize,
    now: DateTime<Utc>,
    reporter: &dyn Reporter,
) -> Result<Vec<String>> {
    let of = |id: &String| CopyOf { installation: newest.installation.clone(), id: id.clone() };
    let mut ids = place.list(&newest.installation, reporter)?;
    ids.sort_by_key(|it| !is_dated_ahead(it, now));
    let going = ids.len().saturating_sub(most.max(1));
    let mut gone = Vec::new();
    if going > 0 {
        let mut last_proven = None;
        for id in ids.iter().rev() {
            if grade(place, &of(id), reporter)? == Grade::Proven.as_str() {
                last_proven = Some(id.clone());
                break;
            }
        }
        ids.truncate(going);
        for id in ids.iter().filter(|it| Some(*it) != last_proven.as_ref()) {
            place.remove(&of(id), reporter)?;
            gone.push(place.path_of(&of(id)));
        }
    }
    place.clear_unfinished(newest, reporter)?;
    Ok(gone)
}

/// What lies in a place of an installation's backups, newest first. What cannot be read as a backup is left out.
///
/// # Errors
/// What the place answered.
pub fn lying(installation: &InstallationName, place: &dyn CopyPlace, reporter: &dyn Reporter) -> Result<Vec<Lying>> {
    place.expect_ours(reporter)?;
    let mut all = Vec::new();
    for id in place.list(installation, reporter)?.into_iter().rev() {
        let copy = CopyOf { installation: installation.clone(), id };
        let text = document(place, &copy, MANIFEST, reporter)?;
        let Some(manifest) = text.and_then(|it| serde_json::from_slice::<Manifest>(&it).ok()) else { continue };
        let grade = grade(place, &copy, reporter)?;
        all.push(Lying { path: place.path_of(&copy), copy, manifest, grade });
    }
    Ok(all)
}

fn grade(place: &dyn CopyPlace, copy: &CopyOf, reporter: &dyn Reporter) -> Result<&'static str> {
    let proof = document(place, copy, PROOF, reporter)?;
    let trust = proof.and_then(|it| serde_json::from_slice::<Trust>(&it).ok());
    Ok(trust.map_or(Grade::Taken.as_str(), |it| if it.failed.is_some() { "failed" } else { it.grade.as_str() }))
}

fn document(place: &dyn CopyPlace, copy: &CopyOf, name: &str, reporter: &dyn Reporter) -> Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    let mut into = |piece: &[u8]| {
        bytes.extend_from_slice(piece);
        if bytes.len() > MOST { Err(hostile(&place.path_of(copy))) } else { Ok(()) }
    };
    let is_there = place.read(copy, Stage::Whole, name, &mut into, reporter)?;
    Ok(is_there.then_some(bytes))
}

/// Brings a copy back below `root`, where its backup is not any more, and compares it with its checksums. It is a backup
/// like any other then. One that was cut short begins anew.
///
/// # Errors
/// `unknown_backup`, `already_there`, `no_room`, `backup_damaged`; what the place or the disk answered. Then nothing is left
/// behind.
pub fn fetch(copy: &CopyOf, place: &dyn CopyPlace, root: &Path, reporter: &dyn Reporter) -> Result<Backup> {
    place.expect_ours(reporter)?;
    let path = root.join(&copy.id);
    if path.exists() {
        return Err(Error::refused("already_there", format!("The backup {} is on this computer.", copy.id))
            .remedy("Nothing to do: use it as it is."));
    }
    if made_at(&copy.id).is_none() || !place.has(copy, reporter)? {
        return Err(Error::refused("unknown_backup", format!("There is no copy “{}” in {}.", copy.id, place.shown()))
            .remedy("`liftlock backup list --copies` shows what is there."));
    }
    let text = document(place, copy, MANIFEST, reporter)?.unwrap_or_default();
    let manifest: Manifest = serde_json::from_slice(&text).map_err(|cause| {
        Error::failed("backup_unreadable", format!("The manifest of {} cannot be read.", place.path_of(copy)))
            .remedy("Bring back another copy: `liftlock backup list --copies`.")
            .because(&cause)
    })?;
    let bytes = manifest.bytes();
    durable::create_private_dir(root)?;
    let mut needs = Needs::new();
    needs.add(root, bytes, "the backup that is brought back".to_owned());
    needs.check()?;
    let partial = root.join(format!("{PARTIAL}{}", copy.id));
    if durable::is_marked(&partial, PURPOSE) {
        durable::remove_tree_that_we_made(&partial, PURPOSE)?;
    }
    durable::create_marked_dir(&partial, PURPOSE)?;
    let fetched = fetch_into(copy, place, &partial, bytes, reporter).and_then(|()| {
        check(&open(&partial)?, reporter)?;
        durable::fsync_dir(&partial)?;
        durable::rename_new(&partial, &path)?;
        open(&path)
    });
    if fetched.is_err() {
        // Why it did not come back matters more than what is left of it, which the next try clears away.
        let _ = durable::remove_tree_that_we_made(&partial, PURPOSE);
    }
    fetched
}

fn fetch_into(copy: &CopyOf, place: &dyn CopyPlace, partial: &Path, bytes: u64, reporter: &dyn Reporter) -> Result<()> {
    let mut done = 0;
    for name in place.files(copy, reporter)? {
        if !is_plain(&name) {
            return Err(hostile(&place.path_of(copy)));
        }
        let path = partial.join(&name);
        let mut file: File = durable::create_private_file(&path)?;
        let mut into = |piece: &[u8]| {
            reporter.check()?;
            file.write_all(piece).map_err(|cause| Error::io("write", &path, &cause))?;
            done += piece.len() as u64;
            reporter.moved(done, Some(bytes.max(done)), Unit::Bytes);
            // More than it says it holds, and it would fill the disk.
            if done > bytes.saturating_add(MOST as u64) { Err(hostile(&place.path_of(copy))) } else { Ok(()) }
        };
        place.read(copy, Stage::Whole, &name, &mut into, reporter)?;
        file.sync_all().map_err(|cause| Error::io("write", &path, &cause))?;
    }
    Ok(())
}

fn hostile(path: &str) -> Error {
    Error::failed("backup_hostile", format!("{path} holds what no copy of ours does."))
        .remedy("Somebody changed it. Do not use this copy, and look who can write there.")
}

/// A name that stays in its folder, on every system.
fn is_plain(name: &str) -> bool {
    !name.is_empty() && !name.starts_with('.') && !name.contains(['/', '\\', ':', '\0']) && name.len() < 200
}

/// When a backup was made, by its name; what is called otherwise is none of ours.
fn made_at(id: &str) -> Option<DateTime<Utc>> {
    let (time, end) = id.split_at_checked(20)?;
    let is_end = end.len() == 7 && end.starts_with('-') && end[1..].chars().all(|it| it.is_ascii_hexdigit());
    let time = NaiveDateTime::parse_from_str(time, "%Y-%m-%dT%H-%M-%SZ").ok()?;
    is_end.then(|| time.and_utc())
}

/// Whether the name of a backup bears the date of a clock that was ahead of `now`.
pub(crate) fn is_dated_ahead(id: &str, now: DateTime<Utc>) -> bool {
    made_at(id).is_some_and(|at| is_ahead(at, now))
}

/// Where what was sent in parts is written down, one file an object, below `journals`.
fn journal_of(journals: &Path, place: &str, key: &str) -> PathBuf {
    journals.join(format!("{}.json", &digest::sha256(format!("{place}\n{key}").as_bytes())[..24]))
}
