//! Two things on disk that change places: a live file or folder, and its copy beside it.
//!
//! Everything happens in the folder that holds the live one, by renames, under names that carry the id of
//! the upgrade: `__next_<id>` the whole copy, `__aside_<id>` the untouched original, `__failed_<id>` a copy
//! that did not make it, `__copying_<id>` a copy that is not whole yet, in a folder that bears our mark.
//! The original is known by its inode and time of birth, not by its name; device numbers are left out because they
//! change at a reboot. Of the four names only `__copying_` is ever removed here.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::UNIX_EPOCH,
};

use serde::{Deserialize, Serialize};

use crate::durable;
use crate::error::{Error, Result};
use crate::process::Silent;
use crate::stores::files::{copy, tree};
use crate::stores::{Aside, AsideState};

/// What the folder of a copy that is not whole yet is marked with.
const PURPOSE: &str = "copying";

/// Which file or folder it is, whatever it is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    inode: u64,
    /// Nanoseconds since 1970; `None` where the file system does not know.
    born: Option<u64>,
}

impl Identity {
    fn of(meta: &fs::Metadata) -> Self {
        #[cfg(unix)]
        let inode = std::os::unix::fs::MetadataExt::ino(meta);
        #[cfg(not(unix))]
        let inode = 0;
        let born = meta.created().ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok());
        Self { inode, born: born.and_then(|it| u64::try_from(it.as_nanos()).ok()) }
    }
}

/// What is to change places. Goes into the journal before anything happens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Beside {
    /// Where the store lives; links on the way are resolved.
    pub live: PathBuf,
    /// The upgrade's short id, part of every other name.
    pub id: String,
    original: Identity,
}

/// Who stands at one of the names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    Nobody,
    Original,
    Other,
}

/// What the names beside `live` tell of the upgrade `id`, without knowing which of them is the original.
///
/// # Errors
/// The folder could not be looked at.
pub fn observe_by_name(live: &Path, id: &str) -> Result<AsideState> {
    let live = live.canonicalize().map_err(|cause| Error::io("look at", live, &cause))?;
    let beside = Beside { live, id: id.to_owned(), original: Identity { inode: 0, born: None } };
    let [next, aside, failed] = [beside.next(), beside.aside(), beside.failed()].map(|path| beside.at(&path));
    let is_there = |at: Result<At>| at.map(|it| it != At::Nobody);
    Ok(match (is_there(next)?, is_there(aside)?, is_there(failed)?) {
        (false, false, false) => AsideState::NotStarted,
        (false, true, false) => AsideState::Swapped,
        (false, false, true) => AsideState::PutBack,
        // A copy beside may also be the original, exchanged and not yet at its name.
        _ => AsideState::Unknown(format!("{} may be in the middle of changing places", beside.live.display())),
    })
}

impl Beside {
    /// Looks at `live`, which must be there, be of its own, and be renamable. Changes nothing.
    ///
    /// # Errors
    /// `mount_point` for a disk of its own, `permission_denied`, `not_found`, `already_there` where one of our
    /// names is taken.
    pub fn plan(live: &Path, id: &str) -> Result<Self> {
        let live = live.canonicalize().map_err(|cause| Error::io("look at", live, &cause))?;
        let meta = fs::symlink_metadata(&live).map_err(|cause| Error::io("look at", &live, &cause))?;
        if live.to_str().is_none() {
            return Err(Error::refused("bad_path", format!("The path {} is no proper text.", live.display()))
                .remedy("Rename the folder so that its name consists of ordinary characters, then try again."));
        }
        #[cfg(unix)]
        {
            use std::os::unix::fs::MetadataExt;
            let dir = durable::parent(&live)?;
            let parent = fs::metadata(dir).map_err(|cause| Error::io("look at", dir, &cause))?;
            if parent.dev() != meta.dev() {
                return Err(Error::refused(
                    "mount_point",
                    format!("{} is a disk of its own and cannot be set aside by renaming it.", live.display()),
                )
                .remedy("Keep the data in a folder below that disk and name this folder in the profile."));
            }
            let rights = rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK;
            rustix::fs::accessat(rustix::fs::CWD, dir, rights, rustix::fs::AtFlags::EACCESS)
                .map_err(|cause| Error::io("write in", dir, &cause.into()).as_kind(crate::error::Kind::Refused))?;
        }
        let planned = Self { original: Identity::of(&meta), live, id: id.to_owned() };
        for taken in [planned.next(), planned.aside(), planned.failed(), planned.copying()] {
            if fs::symlink_metadata(&taken).is_ok() {
                return Err(Error::refused("already_there", format!("{} is there already.", taken.display()))
                    .remedy("Look at what it is. If it may go, move it away, then try again."));
            }
        }
        Ok(planned)
    }

    /// As the journal keeps it.
    pub fn to_aside(&self) -> Aside {
        // A path that is no text was refused by `plan`.
        Aside(serde_json::to_value(self).unwrap_or_default())
    }

    /// Back from the journal.
    ///
    /// # Errors
    /// `journal` where it is not ours.
    pub fn from_aside(aside: &Aside) -> Result<Self> {
        serde_json::from_value(aside.0.clone()).map_err(|cause| {
            Error::failed("journal", "The journal does not say how the data was set aside.")
                .remedy("Install the newest Liftlock, then try again. Nothing was changed.")
                .because(&cause)
        })
    }

    /// The whole copy.
    pub fn next(&self) -> PathBuf {
        durable::beside(&self.live, &format!("__next_{}", self.id))
    }
    /// The original while the copy is in its place.
    pub fn aside(&self) -> PathBuf {
        durable::beside(&self.live, &format!("__aside_{}", self.id))
    }
    /// A copy that did not make it.
    pub fn failed(&self) -> PathBuf {
        durable::beside(&self.live, &format!("__failed_{}", self.id))
    }
    fn copying(&self) -> PathBuf {
        durable::beside(&self.live, &format!("__copying_{}", self.id))
    }

    /// Where the copy is now: beside, or in place once it was swapped.
    ///
    /// # Errors
    /// `not_set_aside` where there is none.
    pub fn copy(&self) -> Result<PathBuf> {
        match self.observe()? {
            AsideState::Copied => Ok(self.next()),
            AsideState::Swapped => Ok(self.live.clone()),
            // Half-way, the copy stands where the original does not.
            AsideState::Swapping if self.at(&self.next())? == At::Other => Ok(self.next()),
            AsideState::Swapping if self.at(&self.live)? == At::Other => Ok(self.live.clone()),
            state => Err(self.not_as_left("There is no copy beside it", &state)),
        }
    }

    /// What stands of it.
    ///
    /// # Errors
    /// The folder could not be looked at.
    pub fn observe(&self) -> Result<AsideState> {
        use At::{Nobody, Original, Other};
        let [live, next, aside, failed] =
            [self.live.clone(), self.next(), self.aside(), self.failed()].map(|path| self.at(&path));
        Ok(match (live?, next?, aside?, failed?) {
            (Original, Nobody, Nobody, Nobody) => {
                if fs::symlink_metadata(self.copying()).is_ok() {
                    AsideState::Copying
                } else {
                    AsideState::NotStarted
                }
            }
            (Original, Other, Nobody, Nobody) => AsideState::Copied,
            // Exchanged, or renamed away, and not yet at its name; the same on the way back.
            (Other, Original, Nobody, Nobody)
            | (Nobody, Other, Original, Nobody)
            | (Nobody, Nobody, Original, Nobody | Other)
            | (Original, Nobody, Other, Nobody) => AsideState::Swapping,
            (Other, Nobody, Original, Nobody) => AsideState::Swapped,
            (Original, Nobody, Nobody, Other) => AsideState::PutBack,
            (live, next, aside, failed) => AsideState::Unknown(format!(
                "{}: {live:?} in its place, {next:?} as next, {aside:?} aside, {failed:?} as failed",
                self.live.display()
            )),
        })
    }

    /// Makes the copy with `fill`, which is given the path of something that is not there yet, and gives it its
    /// name once it is whole and on disk. A copy that is there already stays.
    ///
    /// # Errors
    /// What `fill` or the disk answered; the original is untouched.
    pub fn make_next(&self, fill: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
        match self.observe()? {
            // An interruption between the last two acts leaves the empty folder behind.
            AsideState::Copied => return durable::remove_tree_that_we_made(&self.copying(), PURPOSE),
            AsideState::NotStarted | AsideState::Copying => {}
            state => return Err(self.not_as_left("It cannot be copied", &state)),
        }
        let copying = self.copying();
        durable::remove_tree_that_we_made(&copying, PURPOSE)?;
        durable::create_marked_dir(&copying, PURPOSE)?;
        let inside = copying.join("copy");
        fill(&inside)?;
        sync_tree(&copying)?;
        durable::rename_new(&inside, &self.next())?;
        durable::remove_tree_that_we_made(&copying, PURPOSE)
    }

    /// Puts the copy in the place of the original.
    ///
    /// # Errors
    /// `not_set_aside` where things are not as they were left; what the disk answered.
    pub fn swap(&self) -> Result<()> {
        use At::{Nobody, Original, Other};
        // Each turn makes one rename and looks again; two lead there from anywhere.
        for _ in 0..3 {
            let state = self.observe()?;
            match (&state, self.at(&self.live)?, self.at(&self.next())?) {
                (AsideState::Swapped, ..) => return Ok(()),
                (AsideState::Copied, ..) => {
                    if !exchange(&self.live, &self.next())? {
                        durable::rename_new(&self.live, &self.aside())?;
                    }
                }
                (AsideState::Swapping, Other, Original) => durable::rename_new(&self.next(), &self.aside())?,
                (AsideState::Swapping, Nobody, Other) => durable::rename_new(&self.next(), &self.live)?,
                _ => return Err(self.not_as_left("The copy cannot take its place", &state)),
            }
        }
        Err(self.not_as_left("The copy cannot take its place", &self.observe()?))
    }

    /// Puts the original back; what was in its place is kept as failed, with everything that users did in it.
    ///
    /// # Errors
    /// `not_set_aside` where things are not as they were left; what the disk answered.
    pub fn put_back(&self) -> Result<()> {
        use At::{Nobody, Original, Other};
        for _ in 0..4 {
            let state = self.observe()?;
            let (live, next, aside) = (self.at(&self.live)?, self.at(&self.next())?, self.at(&self.aside())?);
            match (&state, live, next, aside) {
                (AsideState::NotStarted | AsideState::PutBack, ..) => return Ok(()),
                (AsideState::Copying, ..) => return durable::remove_tree_that_we_made(&self.copying(), PURPOSE),
                (AsideState::Copied, ..) => durable::rename_new(&self.next(), &self.failed())?,
                (AsideState::Swapped, ..) => {
                    if !exchange(&self.live, &self.aside())? {
                        durable::rename_new(&self.live, &self.failed())?;
                    }
                }
                (AsideState::Swapping, Other, Original, _) => {
                    if !exchange(&self.live, &self.next())? {
                        durable::rename_new(&self.live, &self.failed())?;
                    }
                }
                (AsideState::Swapping, Nobody, _, Original) => durable::rename_new(&self.aside(), &self.live)?,
                (AsideState::Swapping, Original, _, Other) => durable::rename_new(&self.aside(), &self.failed())?,
                // The copy is gone and there is nothing to keep.
                _ => return Err(self.not_as_left("The original cannot be put back", &state)),
            }
            if self.observe()? == AsideState::NotStarted {
                return Ok(());
            }
        }
        match self.observe()? {
            AsideState::NotStarted | AsideState::PutBack => Ok(()),
            state => Err(self.not_as_left("The original cannot be put back", &state)),
        }
    }

    /// Removes for good what was kept: the original after a swap, the failed copy after the original was put back.
    /// Gone already is done; a part of it that is left is still known, because its identity stays to the last.
    ///
    /// # Errors
    /// `not_set_aside` where things are not as they were left; what the disk answered.
    pub fn discard(&self) -> Result<()> {
        use At::{Nobody, Original, Other};
        let path = match (self.at(&self.live)?, self.at(&self.aside())?, self.at(&self.failed())?) {
            (Other, Original, Nobody) => self.aside(),
            (Original, Nobody, Other) => self.failed(),
            (Other | Original, Nobody, Nobody) => return Ok(()),
            _ => return Err(self.not_as_left("What was kept cannot be removed", &self.observe()?)),
        };
        let meta = fs::symlink_metadata(&path).map_err(|cause| Error::io("look at", &path, &cause))?;
        let removed = if meta.is_dir() {
            copy::make_removable(&path);
            fs::remove_dir_all(&path)
        } else {
            fs::remove_file(&path)
        };
        removed.map_err(|cause| Error::io("remove", &path, &cause))?;
        durable::fsync_dir(durable::parent(&path)?)
    }

    /// How much the set-aside original takes, or the copy that failed.
    pub fn kept_bytes(&self, failed: bool) -> Option<u64> {
        let path = if failed { self.failed() } else { self.aside() };
        let meta = fs::symlink_metadata(&path).ok()?;
        if meta.is_dir() { Some(tree::look(&path, &Silent).ok()?.bytes()) } else { Some(meta.len()) }
    }

    fn at(&self, path: &Path) -> Result<At> {
        match fs::symlink_metadata(path) {
            Ok(meta) if Identity::of(&meta) == self.original => Ok(At::Original),
            Ok(_) => Ok(At::Other),
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(At::Nobody),
            Err(cause) => Err(Error::io("look at", path, &cause)),
        }
    }

    fn not_as_left(&self, what: &str, state: &AsideState) -> Error {
        Error::failed(
            "not_set_aside",
            format!("{what}: {} and what stands beside it are not as Liftlock left them.", self.live.display()),
        )
        .remedy(format!(
            "Nothing was removed. Compare {} and {} and put the one that is right in place by hand.",
            self.live.display(),
            self.aside().display()
        ))
        .detail(format!("{state:?}"))
    }
}

/// Exchanges two names in one act; `false` where the system cannot.
fn exchange(a: &Path, b: &Path) -> Result<bool> {
    #[cfg(any(target_os = "linux", target_os = "macos"))]
    {
        use rustix::fs::{CWD, RenameFlags, renameat_with};
        use rustix::io::Errno;
        match renameat_with(CWD, a, CWD, b, RenameFlags::EXCHANGE) {
            Ok(()) => durable::fsync_dir(durable::parent(a)?).map(|()| true),
            Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => Ok(false),
            Err(cause) => Err(Error::io("rename", a, &cause.into()).detail(format!("exchanged with {}", b.display()))),
        }
    }
    #[cfg(not(any(target_os = "linux", target_os = "macos")))]
    {
        let _ = (a, b);
        Ok(false)
    }
}

/// Makes everything below `dir` survive a power cut.
///
/// # Errors
/// The disk failed: what was written must then be counted as lost.
fn sync_tree(dir: &Path) -> Result<()> {
    let mut left = FILES_BY_ONE;
    if sync_each(dir, &mut left)? {
        return Ok(());
    }
    #[cfg(target_os = "linux")]
    {
        // One call for the whole file system, which also tells of writes that failed: for many files far cheaper than one
        // a file, for few dearer, because it waits for what other programs wrote too.
        let opened = fs::File::open(dir).map_err(|cause| Error::io("save", dir, &cause))?;
        rustix::fs::syncfs(&opened).map_err(|cause| Error::io("save", dir, &cause.into()))
    }
    #[cfg(not(target_os = "linux"))]
    Ok(())
}

/// How many files are synced one by one before the whole file system is; elsewhere there is no such call.
const FILES_BY_ONE: usize = if cfg!(target_os = "linux") { 200 } else { usize::MAX };

/// Syncs file by file, and says whether `left` were enough for all.
fn sync_each(dir: &Path, left: &mut usize) -> Result<bool> {
    for entry in fs::read_dir(dir).map_err(|cause| Error::io("save", dir, &cause))? {
        let path = entry.map_err(|cause| Error::io("save", dir, &cause))?.path();
        let kind = fs::symlink_metadata(&path).map_err(|cause| Error::io("save", &path, &cause))?.file_type();
        *left = left.saturating_sub(1);
        if *left == 0 {
            return Ok(false);
        }
        if kind.is_dir() {
            if !sync_each(&path, left)? {
                return Ok(false);
            }
        } else if kind.is_file() {
            // Windows flushes only what was opened for writing.
            let opened = fs::OpenOptions::new().read(true).write(cfg!(windows)).open(&path);
            opened.and_then(|file| file.sync_all()).map_err(|cause| Error::io("save", &path, &cause))?;
        }
    }
    durable::fsync_dir(dir)?;
    Ok(true)
}

#[cfg(test)]
mod tests;
