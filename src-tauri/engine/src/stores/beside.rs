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
pub fn sync_tree(dir: &Path) -> Result<()> {
    #[cfg(target_os = "linux")]
    {
        // One call for the whole file system, which also tells of writes that failed; far cheaper than one a file.
        let opened = fs::File::open(dir).map_err(|cause| Error::io("save", dir, &cause))?;
        rustix::fs::syncfs(&opened).map_err(|cause| Error::io("save", dir, &cause.into()))
    }
    #[cfg(not(target_os = "linux"))]
    {
        for entry in fs::read_dir(dir).map_err(|cause| Error::io("save", dir, &cause))? {
            let path = entry.map_err(|cause| Error::io("save", dir, &cause))?.path();
            let kind = fs::symlink_metadata(&path).map_err(|cause| Error::io("save", &path, &cause))?.file_type();
            if kind.is_dir() {
                sync_tree(&path)?;
            } else if kind.is_file() {
                // Windows flushes only what was opened for writing.
                let opened = fs::OpenOptions::new().read(true).write(cfg!(windows)).open(&path);
                opened.and_then(|file| file.sync_all()).map_err(|cause| Error::io("save", &path, &cause))?;
            }
        }
        durable::fsync_dir(dir)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct World {
        _dir: tempfile::TempDir,
        beside: Beside,
    }

    impl World {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let live = dir.path().join("data");
            fs::write(&live, "original").unwrap();
            let beside = Beside::plan(&live, "1f3a").unwrap();
            Self { _dir: dir, beside }
        }
        fn copied() -> Self {
            let world = Self::new();
            world.beside.make_next(|next| fs::write(next, "copy").map_err(|it| Error::io("write", next, &it))).unwrap();
            world
        }
        fn read(&self, path: &Path) -> Option<String> {
            fs::read_to_string(path).ok()
        }
        /// Live, next, aside, failed.
        fn all(&self) -> [Option<String>; 4] {
            let it = &self.beside;
            [self.read(&it.live), self.read(&it.next()), self.read(&it.aside()), self.read(&it.failed())]
        }
        fn names(&self) -> usize {
            fs::read_dir(self.beside.live.parent().unwrap()).unwrap().count()
        }
    }

    fn some(text: &str) -> Option<String> {
        Some(text.into())
    }

    #[test]
    fn a_copy_takes_the_place_and_the_original_comes_back() {
        let world = World::copied();
        assert_eq!(world.beside.observe().unwrap(), AsideState::Copied);
        world.beside.swap().unwrap();
        assert_eq!(world.all(), [some("copy"), None, some("original"), None]);
        assert_eq!(world.beside.copy().unwrap(), world.beside.live);
        world.beside.swap().unwrap();
        world.beside.put_back().unwrap();
        assert_eq!(world.all(), [some("original"), None, None, some("copy")]);
        world.beside.put_back().unwrap();
        assert_eq!(world.beside.observe().unwrap(), AsideState::PutBack);
        assert_eq!(world.names(), 2);
    }

    /// Every place in which an interruption can leave the two, as (live, next, aside, failed).
    const HALF_WAYS: [(&str, [&str; 4]); 6] = [
        ("exchanged", ["copy", "original", "", ""]),
        ("original renamed away", ["", "copy", "original", ""]),
        ("swapped", ["copy", "", "original", ""]),
        ("copy renamed away on the way back", ["", "", "original", "copy"]),
        ("exchanged back", ["original", "", "copy", ""]),
        ("copied", ["original", "copy", "", ""]),
    ];

    fn stand(world: &World, wanted: [&str; 4]) {
        let it = &world.beside;
        let places = [it.live.clone(), it.next(), it.aside(), it.failed()];
        let away = [it.live.with_file_name("x"), it.live.with_file_name("y")];
        fs::rename(&it.live, &away[0]).unwrap();
        fs::rename(it.next(), &away[1]).unwrap();
        for (place, who) in places.iter().zip(wanted) {
            match who {
                "original" => fs::rename(&away[0], place).unwrap(),
                "copy" => fs::rename(&away[1], place).unwrap(),
                _ => {}
            }
        }
    }

    #[test]
    fn from_every_half_way_the_original_comes_back_and_the_copy_is_kept() {
        for (name, places) in HALF_WAYS {
            let world = World::copied();
            stand(&world, places);
            world.beside.put_back().unwrap_or_else(|it| panic!("{name}: {it:?}"));
            assert_eq!(world.all(), [some("original"), None, None, some("copy")], "{name}");
        }
    }

    #[test]
    fn from_every_half_way_forward_the_copy_gets_its_place() {
        for (name, places) in HALF_WAYS.into_iter().filter(|(name, _)| !name.contains("back")) {
            let world = World::copied();
            stand(&world, places);
            world.beside.swap().unwrap_or_else(|it| panic!("{name}: {it:?}"));
            assert_eq!(world.all(), [some("copy"), None, some("original"), None], "{name}");
        }
    }

    #[test]
    fn a_copy_cut_short_is_no_copy_and_is_made_anew() {
        let world = World::new();
        let failed = world.beside.make_next(|next| {
            fs::write(next, "half").unwrap();
            Err(Error::failed("cancelled", "no"))
        });
        assert_eq!(failed.unwrap_err().class, "cancelled");
        assert_eq!(world.beside.observe().unwrap(), AsideState::Copying);
        assert_eq!(world.beside.swap().unwrap_err().class, "not_set_aside");
        world.beside.make_next(|next| fs::write(next, "copy").map_err(|it| Error::io("write", next, &it))).unwrap();
        assert_eq!(world.all(), [some("original"), some("copy"), None, None]);
        assert_eq!(world.names(), 2);
    }

    #[test]
    fn going_back_in_the_middle_of_copying_leaves_the_original_alone() {
        let world = World::new();
        let _ = world.beside.make_next(|_| Err(Error::failed("cancelled", "no")));
        world.beside.put_back().unwrap();
        assert_eq!(world.beside.observe().unwrap(), AsideState::NotStarted);
        assert_eq!(world.names(), 1);
    }

    #[test]
    fn a_stranger_under_our_names_is_unknown_and_nothing_is_renamed() {
        let world = World::copied();
        world.beside.swap().unwrap();
        let aside = world.beside.aside();
        // The original is kept under another name by somebody, and something else put where it stood.
        fs::rename(&aside, aside.with_extension("moved")).unwrap();
        fs::write(&aside, "stranger").unwrap();
        assert!(matches!(world.beside.observe().unwrap(), AsideState::Unknown(_)));
        assert_eq!(world.beside.put_back().unwrap_err().class, "not_set_aside");
        assert_eq!(world.beside.swap().unwrap_err().class, "not_set_aside");
        assert_eq!(world.all(), [some("copy"), None, some("stranger"), None]);
    }

    #[test]
    fn what_the_new_version_put_in_its_place_is_kept_as_failed() {
        let world = World::copied();
        world.beside.swap().unwrap();
        let other = world.beside.live.with_extension("new");
        fs::write(&other, "replaced by the application").unwrap();
        fs::rename(&other, &world.beside.live).unwrap();
        world.beside.put_back().unwrap();
        assert_eq!(world.all(), [some("original"), None, None, some("replaced by the application")]);
    }

    #[test]
    fn a_copy_that_vanished_does_not_keep_the_original_from_coming_back() {
        let world = World::copied();
        world.beside.swap().unwrap();
        fs::remove_file(&world.beside.live).unwrap();
        world.beside.put_back().unwrap();
        assert_eq!(world.all(), [some("original"), None, None, None]);
    }

    #[test]
    fn it_survives_the_journal() {
        let world = World::new();
        assert_eq!(Beside::from_aside(&world.beside.to_aside()).unwrap(), world.beside);
        assert_eq!(Beside::from_aside(&Aside(serde_json::json!({"live": 3}))).unwrap_err().class, "journal");
    }

    #[test]
    fn a_taken_name_refuses_before_anything_begins() {
        let dir = tempfile::tempdir().unwrap();
        let live = dir.path().join("data");
        fs::write(&live, "x").unwrap();
        fs::write(dir.path().join("data__aside_7"), "y").unwrap();
        assert_eq!(Beside::plan(&live, "7").unwrap_err().class, "already_there");
        assert_eq!(Beside::plan(&dir.path().join("none"), "7").unwrap_err().class, "not_found");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_disk_of_its_own_is_refused() {
        assert_eq!(Beside::plan(Path::new("/proc"), "7").unwrap_err().class, "mount_point");
    }
}
