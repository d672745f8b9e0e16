//! A folder copied as faithfully as the platform lets us, by reflink where the file system can.
//!
//! Copied: contents, permissions, times, links, extended attributes with their access lists, and owners where we
//! are root. The original must not change meanwhile; if it does, the copy fails.

use std::{
    fs::{self, File, FileTimes, Metadata},
    io,
    path::{Path, PathBuf},
};

use crate::durable;
use crate::error::{Error, Result};
use crate::ports::Reporter;
use crate::stores::files::tree::walk;
use crate::stores::stream::{Passed, Watched, unwrapped};

/// Copies the folder `from` to `to`, which is not there yet. Not synced.
pub(super) fn tree(from: &Path, to: &Path, reporter: &dyn Reporter) -> Result<()> {
    fs::create_dir(to).map_err(|cause| Error::io("create", to, &cause))?;
    let passed = Passed::of(None);
    let mut dirs: Vec<PathBuf> = Vec::new();
    walk(from, reporter, |relative, meta| {
        let (source, target) = (from.join(relative), to.join(relative));
        if meta.is_dir() {
            fs::create_dir(&target).map_err(|cause| Error::io("create", &target, &cause))?;
            dirs.push(relative.to_owned());
        } else if meta.is_symlink() {
            link(&source, &target, meta)?;
        } else {
            file(&source, &target, &passed, reporter)?;
        }
        Ok(())
    })?;
    // Last, because a folder may forbid to write into it, and because writing changes its time.
    for relative in dirs.iter().rev() {
        folder_itself(&from.join(relative), &to.join(relative))?;
    }
    folder_itself(from, to)
}

/// Gives the folder `to` the owner, permissions, attributes and time of `from`.
pub(super) fn folder_itself(from: &Path, to: &Path) -> Result<()> {
    let meta = fs::symlink_metadata(from).map_err(|cause| Error::io("look at", from, &cause))?;
    let (source, target) = (File::open(from), File::open(to));
    let (source, target) = match (source, target) {
        (Ok(source), Ok(target)) => (source, target),
        _ if cfg!(windows) => return Ok(()), // A folder is no file there.
        (Err(cause), _) => return Err(Error::io("read", from, &cause)),
        (_, Err(cause)) => return Err(Error::io("write", to, &cause)),
    };
    alike(&source, &target, &meta).map_err(|cause| Error::io("write", to, &cause))
}

/// Copies one file.
pub(in crate::stores) fn file(from: &Path, to: &Path, passed: &Passed, reporter: &dyn Reporter) -> Result<()> {
    let source = durable::open_no_follow(from)?;
    let before = source.metadata().map_err(|cause| Error::io("read", from, &cause))?;
    let mut target = durable::create_private_file(to)?;
    if reflink(&source, &target) {
        passed.more(before.len(), reporter)?;
    } else {
        let mut watched = Watched::new(&source, passed, reporter);
        io::copy(&mut watched, &mut target).map_err(|cause| unwrapped("copy to", to, cause))?;
    }
    let after = source.metadata().map_err(|cause| Error::io("read", from, &cause))?;
    let copied = target.metadata().map_err(|cause| Error::io("write", to, &cause))?.len();
    if after.len() != before.len() || copied != before.len() || after.modified().ok() != before.modified().ok() {
        return Err(Error::failed(
            "changed_while_copied",
            format!("{} was changed while it was copied.", from.display()),
        )
        .remedy("Stop the program that writes to it, then try again."));
    }
    alike(&source, &target, &before).map_err(|cause| Error::io("write", to, &cause))
}

/// Shares the blocks of the original until one of the two is changed; `false` where the file system cannot.
fn reflink(source: &File, target: &File) -> bool {
    #[cfg(target_os = "linux")]
    return rustix::fs::ioctl_ficlone(target, source).is_ok();
    #[cfg(not(target_os = "linux"))]
    {
        let _ = (source, target);
        false
    }
}

fn link(from: &Path, to: &Path, meta: &Metadata) -> Result<()> {
    let target = fs::read_link(from).map_err(|cause| Error::io("read", from, &cause))?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        std::os::unix::fs::symlink(&target, to).map_err(|cause| Error::io("create", to, &cause))?;
        if rustix::process::geteuid().is_root() {
            std::os::unix::fs::lchown(to, Some(meta.uid()), Some(meta.gid()))
                .map_err(|cause| Error::io("write", to, &cause))?;
        }
    }
    #[cfg(windows)]
    {
        let _ = meta;
        let made = if from.is_dir() {
            std::os::windows::fs::symlink_dir(&target, to)
        } else {
            std::os::windows::fs::symlink_file(&target, to)
        };
        made.map_err(|cause| Error::io("create", to, &cause))?;
    }
    Ok(())
}

/// Everything about a file beside its content. Owner first, because changing it clears permission bits; time last.
fn alike(source: &File, target: &File, meta: &Metadata) -> io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        if rustix::process::geteuid().is_root() {
            let (user, group) = (rustix::fs::Uid::from_raw(meta.uid()), rustix::fs::Gid::from_raw(meta.gid()));
            rustix::fs::fchown(target, Some(user), Some(group))?;
        }
    }
    #[cfg(target_os = "linux")]
    attributes(source, target)?;
    #[cfg(not(target_os = "linux"))]
    let _ = source;
    target.set_permissions(meta.permissions())?;
    let mut times = FileTimes::new();
    if let Ok(modified) = meta.modified() {
        times = times.set_modified(modified);
    }
    target.set_times(times)
}

/// Extended attributes; access lists are among them. Those of the system that only it may set are left to it.
#[cfg(target_os = "linux")]
fn attributes(source: &File, target: &File) -> io::Result<()> {
    use rustix::fs::{XattrFlags, fgetxattr, flistxattr, fsetxattr};
    use rustix::io::Errno;
    let mut names = vec![0_u8; 1 << 16];
    let length = match flistxattr(source, &mut names) {
        Ok(length) => length,
        Err(Errno::NOTSUP) => return Ok(()),
        Err(cause) => return Err(cause.into()),
    };
    let mut value = vec![0_u8; 1 << 16];
    for name in names[..length].split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
        let bytes = match fgetxattr(source, name, &mut value) {
            Ok(bytes) => bytes,
            Err(Errno::NODATA | Errno::NOTSUP) => continue,
            Err(cause) => return Err(cause.into()),
        };
        match fsetxattr(target, name, &value[..bytes], XattrFlags::empty()) {
            Ok(()) => {}
            // Labels of the security system, which gives new files theirs by itself.
            Err(Errno::PERM | Errno::ACCESS | Errno::NOTSUP) if name.starts_with(b"security.") => {}
            Err(cause) => return Err(cause.into()),
        }
    }
    Ok(())
}

/// Why what belongs to other users could not be kept as it is: only root gives files away. `None` where nothing does.
///
/// # Errors
/// What the disk or the reporter answered.
pub(super) fn foreign(dir: &Path, reporter: &dyn Reporter) -> Result<Option<Error>> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let me = rustix::process::geteuid();
        if me.is_root() {
            return Ok(None);
        }
        let itself = fs::metadata(dir).map_err(|cause| Error::io("look at", dir, &cause))?;
        let mut first = (itself.uid() != me.as_raw()).then(PathBuf::new);
        walk(dir, reporter, |relative, meta| {
            if first.is_none() && meta.uid() != me.as_raw() {
                first = Some(relative.to_owned());
            }
            Ok(())
        })?;
        Ok(first.map(|it| {
            let message = format!("{} belongs to another user, as whom only root can copy it.", dir.join(it).display());
            Error::refused("owned_by_others", message)
                .remedy("Run Liftlock as root, so that the application finds its files as they are.")
        }))
    }
    #[cfg(not(unix))]
    {
        let _ = (dir, reporter);
        Ok(None)
    }
}

/// Lets folders below `dir` be removed whose permissions forbid it. Best effort.
pub(in crate::stores) fn make_removable(dir: &Path) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                let path = entry.path();
                let _ = fs::set_permissions(&path, fs::Permissions::from_mode(0o700));
                make_removable(&path);
            }
        }
    }
    #[cfg(not(unix))]
    let _ = dir;
}

/// Gives the file `to` the owner and permissions of `from`, whose content it replaces.
pub(in crate::stores) fn owner_and_permissions(from: &Path, to: &Path) -> Result<()> {
    let meta = fs::metadata(from).map_err(|cause| Error::io("look at", from, &cause))?;
    #[cfg(unix)]
    if rustix::process::geteuid().is_root() {
        use std::os::unix::fs::MetadataExt;
        std::os::unix::fs::chown(to, Some(meta.uid()), Some(meta.gid()))
            .map_err(|cause| Error::io("write", to, &cause))?;
    }
    fs::set_permissions(to, meta.permissions()).map_err(|cause| Error::io("write", to, &cause))
}
