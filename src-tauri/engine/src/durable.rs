//! Files that are there after a power cut, and folders that only their owner can read.
//!
//! Writing is: a temporary file in the same folder, `fsync`, rename, `fsync` of the folder. Nothing here
//! follows a symbolic link at the last part of a path, and nothing is deleted that does not bear our mark.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
};

use crate::error::{Error, Result};

/// The file that says that Liftlock made a folder, and for what.
const MARK: &str = ".liftlock-made";

/// Makes what was created, renamed or removed in `dir` survive a power cut.
///
/// # Errors
/// The folder is gone, or the disk failed.
pub fn fsync_dir(dir: &Path) -> Result<()> {
    #[cfg(unix)]
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(|cause| Error::io("save", dir, &cause))?;
    // NTFS journals its folders, and a folder cannot be opened as a file.
    #[cfg(not(unix))]
    fs::metadata(dir).map_err(|cause| Error::io("save", dir, &cause))?;
    Ok(())
}

/// The folder that holds `path`.
///
/// # Errors
/// `path` has none, as `/` has not.
pub fn parent(path: &Path) -> Result<&Path> {
    match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Ok(Path::new(".")),
        Some(parent) => Ok(parent),
        None => Err(Error::usage("bad_path", format!("{} is not a path inside a folder.", path.display()))
            .remedy("Name a file or folder inside another folder.")),
    }
}

/// What lies in `dir`; nothing where there is no such folder.
///
/// # Errors
/// The folder cannot be read.
pub fn entries(dir: &Path) -> Result<Vec<PathBuf>> {
    let failed = |cause: io::Error| Error::io("read", dir, &cause);
    let entries = match fs::read_dir(dir) {
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(failed)?,
    };
    entries.map(|it| it.map(|it| it.path()).map_err(failed)).collect()
}

/// Writes a whole private file (0600) so that after a power cut there is the old content or the new, never a part.
///
/// # Errors
/// What the disk answered; the old file is then unchanged.
pub fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    write_with(path, |file| file.write_all(bytes).map_err(|cause| Error::io("write", path, &cause)))
}

/// As [`write`](self::write()), for content that is produced piece by piece. The temporary file is gone after an error.
///
/// # Errors
/// What `fill` or the disk answered.
pub fn write_with<T>(path: &Path, fill: impl FnOnce(&mut File) -> Result<T>) -> Result<T> {
    let dir = parent(path)?;
    let failed = |cause: io::Error| Error::io("write", path, &cause);
    // tempfile creates with 0600 and O_EXCL, and removes on drop.
    let mut temporary = tempfile::Builder::new().prefix(".liftlock-").tempfile_in(dir).map_err(failed)?;
    let answer = fill(temporary.as_file_mut())?;
    temporary.as_file().sync_all().map_err(failed)?;
    temporary.persist(path).map_err(|it| failed(it.error))?;
    fsync_dir(dir)?;
    Ok(answer)
}

/// Renames and makes it survive a power cut in both folders. Replaces a file at `to`, as renaming does.
///
/// # Errors
/// What the disk answered.
pub fn rename(from: &Path, to: &Path) -> Result<()> {
    fs::rename(from, to).map_err(|cause| Error::io("rename", from, &cause).detail(format!("to {}", to.display())))?;
    let (from, to) = (parent(from)?, parent(to)?);
    fsync_dir(to)?;
    if from != to {
        fsync_dir(from)?;
    }
    Ok(())
}

/// Renames where nothing may be at `to`: an existing file or folder, even an empty one, is an error.
///
/// # Errors
/// `already_there`, or what the disk answered.
pub fn rename_new(from: &Path, to: &Path) -> Result<()> {
    let taken = || {
        Error::failed("already_there", format!("{} is there already and was not overwritten.", to.display()))
            .remedy("Move it to another place, then try again.")
    };
    #[cfg(any(target_os = "linux", target_os = "macos"))]
    {
        use rustix::fs::{CWD, RenameFlags, renameat_with};
        match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
            Ok(()) => {
                let (from, to) = (parent(from)?, parent(to)?);
                fsync_dir(to)?;
                return if from == to { Ok(()) } else { fsync_dir(from) };
            }
            Err(rustix::io::Errno::EXIST) => return Err(taken()),
            // Some file systems know no flags; then a look before must do.
            Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS | rustix::io::Errno::NOTSUP) => {}
            Err(cause) => {
                return Err(Error::io("rename", from, &cause.into()).detail(format!("to {}", to.display())));
            }
        }
    }
    if fs::symlink_metadata(to).is_ok() {
        return Err(taken());
    }
    rename(from, to)
}

/// Creates a folder with all that is missing above it, readable by its owner alone (0700). One that is
/// there must be a real folder and ours.
///
/// # Errors
/// `not_ours` for a link, a file or somebody else's folder; else what the disk answered.
pub fn create_private_dir(dir: &Path) -> Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir).map_err(|cause| Error::io("create", dir, &cause))?;
    expect_our_dir(dir)
}

/// Whether `dir` is a real folder that belongs to this user (or to root) and that no one else can write to.
///
/// # Errors
/// `not_ours` if not, `not_found` where there is nothing.
pub fn expect_our_dir(dir: &Path) -> Result<()> {
    let meta = fs::symlink_metadata(dir).map_err(|cause| Error::io("look at", dir, &cause))?;
    if !meta.is_dir() {
        return Err(not_ours(dir, "is not a real folder"));
    }
    expect_our(dir, &meta)
}

/// Opens a file for reading that must be a real file, not a link, and ours.
///
/// # Errors
/// `not_ours` for a link, a device or somebody else's file; else what the disk answered.
pub fn open_ours(path: &Path) -> Result<File> {
    let file = open_no_follow(path)?;
    let meta = file.metadata().map_err(|cause| Error::io("look at", path, &cause))?;
    if !meta.is_file() {
        return Err(not_ours(path, "is not a real file"));
    }
    expect_our(path, &meta)?;
    Ok(file)
}

/// Opens for reading without following a link at the end, and without waiting at a pipe.
///
/// # Errors
/// `not_ours` for a link; else what the disk answered.
pub fn open_no_follow(path: &Path) -> Result<File> {
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(
        &mut options,
        (rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::CLOEXEC).bits() as i32,
    );
    #[cfg(not(unix))]
    if fs::symlink_metadata(path).is_ok_and(|meta| meta.file_type().is_symlink()) {
        return Err(not_ours(path, "is a link"));
    }
    options.open(path).map_err(|cause| {
        #[cfg(unix)]
        if cause.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) {
            return not_ours(path, "is a link");
        }
        Error::io("read", path, &cause)
    })
}

/// Creates a file that must not be there yet, readable by its owner alone (0600).
///
/// # Errors
/// What the disk answered, also when something is there.
pub fn create_private_file(path: &Path) -> Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map_err(|cause| Error::io("create", path, &cause))
}

/// Creates a new private folder that bears our mark, so that [`remove_tree_that_we_made`] may remove it.
/// `purpose` is an identifier such as `scratch`; the same is asked at removal.
///
/// # Errors
/// Something is there already, or what the disk answered.
pub fn create_marked_dir(dir: &Path, purpose: &str) -> Result<()> {
    create_private_dir(parent(dir)?)?;
    #[cfg_attr(not(unix), allow(unused_mut, reason = "only Unix has a mode to set"))]
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir).map_err(|cause| Error::io("create", dir, &cause))?;
    write(&dir.join(MARK), purpose.as_bytes())
}

/// A folder as it was at first, so that another one, or a link, in its place is seen.
#[derive(Debug)]
pub struct Held<'p> {
    path: &'p Path,
    #[cfg(unix)]
    is: (u64, u64),
}

impl<'p> Held<'p> {
    /// The folder that is at `path` now.
    ///
    /// # Errors
    /// As [`expect_our_dir`].
    pub fn at(path: &'p Path) -> Result<Self> {
        expect_our_dir(path)?;
        Ok(Self {
            path,
            #[cfg(unix)]
            is: which(path)?,
        })
    }

    /// Whether it is at `path` still, which is where it was or where it was moved to by us.
    ///
    /// # Errors
    /// `not_ours` for anything else.
    pub fn expect_at(&self, path: &Path) -> Result<()> {
        expect_our_dir(path)?;
        #[cfg(unix)]
        if which(path)? != self.is {
            return Err(not_ours(self.path, "was exchanged for another folder while it was written to"));
        }
        // There, only that it is a folder is seen.
        #[cfg(not(unix))]
        let _ = self.path;
        Ok(())
    }
}

#[cfg(unix)]
fn which(path: &Path) -> Result<(u64, u64)> {
    use std::os::unix::fs::MetadataExt;

    let meta = fs::symlink_metadata(path).map_err(|cause| Error::io("look at", path, &cause))?;
    Ok((meta.dev(), meta.ino()))
}

/// Whether `dir` is a real folder with the mark for `purpose`.
pub fn is_marked(dir: &Path, purpose: &str) -> bool {
    let real = fs::symlink_metadata(dir).is_ok_and(|meta| meta.is_dir());
    let mark = dir.join(MARK);
    let plain = fs::symlink_metadata(&mark).is_ok_and(|meta| meta.is_file() && meta.len() == purpose.len() as u64);
    real && plain && fs::read(&mark).is_ok_and(|mark| mark == purpose.as_bytes())
}

/// Removes a folder with all that is in it, if it bears the mark for `purpose`; links are removed, not
/// followed. The mark goes last, so that a removal cut short can be taken up again. Nothing there is no error.
///
/// # Errors
/// `not_ours` without the mark; else what the disk answered.
pub fn remove_tree_that_we_made(dir: &Path, purpose: &str) -> Result<()> {
    match fs::symlink_metadata(dir) {
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(cause) => return Err(Error::io("look at", dir, &cause)),
        Ok(_) => {}
    }
    if !is_marked(dir, purpose) {
        return Err(not_ours(dir, "was not made by Liftlock for this purpose"));
    }
    let failed = |path: &Path, cause: io::Error| Error::io("remove", path, &cause);
    for entry in fs::read_dir(dir).map_err(|cause| failed(dir, cause))? {
        let entry = entry.map_err(|cause| failed(dir, cause))?;
        let path = entry.path();
        if entry.file_name() == MARK {
            continue;
        }
        let kind = entry.file_type().map_err(|cause| failed(&path, cause))?;
        let removed = if kind.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        removed.map_err(|cause| failed(&path, cause))?;
    }
    let mark = dir.join(MARK);
    fs::remove_file(&mark).map_err(|cause| failed(&mark, cause))?;
    fs::remove_dir(dir).map_err(|cause| failed(dir, cause))?;
    fsync_dir(parent(dir)?)
}

/// Takes our mark from a folder that is finished, so that it is never taken for one that may be removed.
///
/// # Errors
/// What the disk answered. No mark there is no error.
pub fn unmark(dir: &Path) -> Result<()> {
    let mark = dir.join(MARK);
    match fs::remove_file(&mark) {
        Err(cause) if cause.kind() != io::ErrorKind::NotFound => Err(Error::io("remove", &mark, &cause)),
        _ => fsync_dir(dir),
    }
}

/// A name in the folder of `path`: `name` of it with `suffix` behind, such as `uploads` and `__next_1f3a`.
pub fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(suffix);
    path.with_file_name(name)
}

fn expect_our(path: &Path, meta: &fs::Metadata) -> Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let owner = meta.uid();
        if owner != 0 && owner != rustix::process::geteuid().as_raw() {
            return Err(not_ours(path, "belongs to another user"));
        }
        // A sticky folder such as /tmp is for everybody to create in; such a one is never ours.
        if meta.mode() & 0o002 != 0 {
            return Err(not_ours(path, "can be changed by every user of this machine"));
        }
    }
    #[cfg(not(unix))]
    let _ = (path, meta);
    Ok(())
}

fn not_ours(path: &Path, why: &str) -> Error {
    Error::failed("not_ours", format!("{} {why}, so Liftlock does not touch it.", path.display()))
        .remedy("Look at what is there. If it may go, move it away by hand, then try again.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_written_file_is_whole_private_and_alone_in_its_folder() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state.json");
        write(&path, b"old").unwrap();
        write(&path, b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        #[cfg(unix)]
        assert_eq!(std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&path).unwrap().permissions()) & 0o777, 0o600);
    }

    #[test]
    fn a_failed_write_leaves_the_old_file_and_no_rest() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state.json");
        write(&path, b"old").unwrap();
        let failed = write_with(&path, |file| {
            file.write_all(b"half").unwrap();
            Err::<(), _>(Error::failed("cancelled", "no"))
        });
        assert_eq!(failed.unwrap_err().class, "cancelled");
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn renaming_to_something_new_never_overwrites() {
        let dir = tempfile::tempdir().unwrap();
        let (a, b) = (dir.path().join("a"), dir.path().join("b"));
        fs::create_dir(&a).unwrap();
        fs::create_dir(&b).unwrap();
        assert_eq!(rename_new(&a, &b).unwrap_err().class, "already_there");
        fs::remove_dir(&b).unwrap();
        rename_new(&a, &b).unwrap();
        assert!(b.is_dir() && !a.exists());
    }

    #[test]
    fn only_a_folder_with_our_mark_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        let (ours, theirs) = (dir.path().join("ours"), dir.path().join("theirs"));
        create_marked_dir(&ours, "scratch").unwrap();
        fs::create_dir_all(ours.join("deep/er")).unwrap();
        fs::write(ours.join("deep/file"), "x").unwrap();
        fs::create_dir(&theirs).unwrap();
        assert_eq!(remove_tree_that_we_made(&theirs, "scratch").unwrap_err().class, "not_ours");
        assert_eq!(remove_tree_that_we_made(&ours, "aside").unwrap_err().class, "not_ours");
        assert!(ours.join("deep/file").exists());
        remove_tree_that_we_made(&ours, "scratch").unwrap();
        assert!(!ours.exists());
        remove_tree_that_we_made(&ours, "scratch").unwrap();
    }

    #[cfg(unix)]
    #[test]
    fn a_link_is_never_followed() {
        use std::os::unix::fs::symlink;
        let dir = tempfile::tempdir().unwrap();
        let precious = dir.path().join("precious");
        create_marked_dir(&precious, "scratch").unwrap();
        fs::write(precious.join("data"), "x").unwrap();
        let link = dir.path().join("link");
        symlink(&precious, &link).unwrap();
        assert_eq!(remove_tree_that_we_made(&link, "scratch").unwrap_err().class, "not_ours");
        assert_eq!(create_private_dir(&link).unwrap_err().class, "not_ours");
        let file_link = dir.path().join("file");
        symlink(precious.join("data"), &file_link).unwrap();
        assert_eq!(open_ours(&file_link).unwrap_err().class, "not_ours");
        let ours = dir.path().join("ours");
        create_marked_dir(&ours, "scratch").unwrap();
        symlink(&precious, ours.join("inside")).unwrap();
        remove_tree_that_we_made(&ours, "scratch").unwrap();
        assert!(precious.join("data").exists());
    }
}
