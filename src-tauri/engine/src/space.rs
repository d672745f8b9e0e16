//! How much room there is, whether it is enough, and the ballast that keeps a little for the worst moment.
//!
//! Needs are summed a file system, because two folders that each would fit may not fit together. The
//! ballast is a file of 64 MiB beside Liftlock's database: on a full disk it is given up, so that the
//! failure itself can still be recorded.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use crate::durable;
use crate::error::{Error, Result};

/// Size of the ballast, in bytes.
pub const BALLAST_BYTES: u64 = 64 << 20;

/// What is left free of every file system beyond the needs, in bytes: other programs write too.
pub const RESERVE_BYTES: u64 = 32 << 20;

/// One file system, as far as room goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Room {
    /// Which device; paths with the same share their room.
    pub device: u64,
    /// Bytes that this user may still write.
    pub free: u64,
    /// Its size in bytes.
    pub total: u64,
}

/// The room at `path`, which need not exist yet: the nearest folder above it is asked.
///
/// # Errors
/// The file system does not answer.
pub fn room(path: &Path) -> Result<Room> {
    let there = nearest(path)?;
    let asked = |cause: &io::Error| Error::io("measure the free space at", &there, cause);
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let device = fs::metadata(&there).map_err(|cause| asked(&cause))?.dev();
        let stat = rustix::fs::statvfs(&there).map_err(|cause| asked(&cause.into()))?;
        let unit = stat.f_frsize.max(1);
        Ok(Room { device, free: stat.f_bavail.saturating_mul(unit), total: stat.f_blocks.saturating_mul(unit) })
    }
    #[cfg(not(unix))]
    {
        let whole = there.canonicalize().map_err(|cause| asked(&cause))?;
        // A canonical Windows path begins with \\?\, a mount point does not.
        let plain = PathBuf::from(whole.to_string_lossy().trim_start_matches(r"\\?\"));
        let disks = sysinfo::Disks::new_with_refreshed_list().map_err(|cause| asked(&io::Error::other(cause)))?;
        let mut disks: Vec<_> = disks.iter().enumerate().collect();
        disks.sort_by_key(|(_, disk)| disk.mount_point().as_os_str().len());
        disks
            .iter()
            .rev()
            .find(|(_, disk)| plain.starts_with(disk.mount_point()))
            .map(|(index, disk)| Room {
                device: *index as u64,
                free: disk.available_space(),
                total: disk.total_space(),
            })
            .ok_or_else(|| asked(&io::ErrorKind::NotFound.into()))
    }
}

/// The room on the ground that `path` would be created on.
fn nearest(path: &Path) -> Result<PathBuf> {
    let mut here = std::path::absolute(path).map_err(|cause| Error::io("look at", path, &cause))?;
    loop {
        match fs::metadata(&here) {
            Ok(_) => return Ok(here),
            Err(cause) if matches!(cause.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                if !here.pop() {
                    return Err(Error::io("look at", path, &cause));
                }
            }
            Err(cause) => return Err(Error::io("look at", &here, &cause)),
        }
    }
}

/// What several acts will write, and where.
#[derive(Debug, Clone, Default)]
pub struct Needs(Vec<(PathBuf, u64, String)>);

/// A file system on which the needs do not fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shortage {
    /// One of the paths on it.
    pub path: PathBuf,
    /// Bytes needed there in all, with the reserve.
    pub need: u64,
    /// Bytes free there.
    pub free: u64,
    /// What needs them, each with its bytes.
    pub what: Vec<(String, u64)>,
}

impl Shortage {
    /// What needs the room, as in "the release, the backup and the copy"; each once, in the order in which it is written.
    fn listed(&self) -> String {
        let mut what: Vec<&str> = Vec::new();
        for (name, _) in &self.what {
            if !what.contains(&name.as_str()) {
                what.push(name);
            }
        }
        match what.split_last() {
            Some((last, [])) => (*last).to_owned(),
            Some((last, others)) => format!("{} and {last}", others.join(", ")),
            None => "what is written".to_owned(),
        }
    }
}

impl Needs {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }
    /// `bytes` more will be written below `path`, for `what` ("the backup").
    pub fn add(&mut self, path: impl Into<PathBuf>, bytes: u64, what: impl Into<String>) -> &mut Self {
        self.0.push((path.into(), bytes, what.into()));
        self
    }
    /// Where the needs do not fit, one entry a file system.
    ///
    /// # Errors
    /// A file system does not answer.
    pub fn shortages(&self) -> Result<Vec<Shortage>> {
        let mut grounds: Vec<(Room, Shortage)> = Vec::new();
        for (path, bytes, what) in &self.0 {
            let here = room(path)?;
            // Subvolumes have their own device and share one pool: then size and free space agree to the byte.
            let same = |it: &Room| it.device == here.device || (it.total == here.total && it.free == here.free);
            let index = match grounds.iter().position(|(ground, _)| same(ground)) {
                Some(index) => index,
                None => {
                    let free = here.free;
                    let empty = Shortage { path: path.clone(), need: RESERVE_BYTES, free, what: Vec::new() };
                    grounds.push((here, empty));
                    grounds.len() - 1
                }
            };
            let sum = &mut grounds[index].1;
            sum.need = sum.need.saturating_add(*bytes);
            sum.what.push((what.clone(), *bytes));
        }
        Ok(grounds.into_iter().map(|(_, sum)| sum).filter(|sum| sum.need > sum.free).collect())
    }
    /// Refuses where the needs do not fit.
    ///
    /// # Errors
    /// `no_room`, naming need, free space and place of the first shortage, with the others in the details.
    pub fn check(&self) -> Result<()> {
        let shortages = self.shortages()?;
        let Some(first) = shortages.first() else { return Ok(()) };
        let mut error = Error::refused(
            "no_room",
            format!(
                "{} must be free on the disk of {} for {}; {} are. Nothing was started.",
                human(first.need),
                first.path.display(),
                first.listed(),
                human(first.free)
            ),
        )
        .remedy(format!(
            "Free {} on this disk, then try again. What is only needed for a while can go elsewhere: `liftlock settings scratch_dir FOLDER`.",
            human(first.need - first.free)
        ));
        for shortage in &shortages {
            for (what, bytes) in &shortage.what {
                error = error.detail(format!("{what}: {} at {}", human(*bytes), shortage.path.display()));
            }
        }
        Err(error)
    }
}

/// Bytes as people read them, in powers of a thousand: `0 B`, `950 B`, `412 MB`, `1.3 GB`.
pub fn human(bytes: u64) -> String {
    const UNITS: [&str; 7] = ["B", "kB", "MB", "GB", "TB", "PB", "EB"];
    let mut value = bytes as f64;
    let mut unit = 0;
    // 999.5 would be shown as 1000.
    while value >= 999.5 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    let decimals = usize::from(unit > 0 && value < 9.95);
    format!("{value:.decimals$} {}", UNITS[unit])
}

/// Makes sure that the ballast lies at `path`, really taking its room.
///
/// # Errors
/// `disk_full` where even that does not fit; else what the disk answered.
pub fn ensure_ballast(path: &Path) -> Result<()> {
    if fs::symlink_metadata(path).is_ok_and(|meta| meta.is_file() && meta.len() == BALLAST_BYTES) {
        return Ok(());
    }
    durable::write_with(path, |file| occupy(file).map_err(|cause| Error::io("reserve room at", path, &cause)))
}

/// Gives up the ballast and answers whether there was any: then what failed for want of room may be tried once more.
pub fn release_ballast(path: &Path) -> bool {
    fs::remove_file(path).is_ok()
}

/// Takes the room of the ballast without holes.
fn occupy(file: &mut File) -> io::Result<()> {
    #[cfg(any(target_os = "linux", target_os = "macos"))]
    match rustix::fs::fallocate(&*file, rustix::fs::FallocateFlags::empty(), 0, BALLAST_BYTES) {
        // macOS reserves without moving the end.
        Ok(()) => return file.set_len(BALLAST_BYTES),
        Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS | rustix::io::Errno::INVAL) => {}
        Err(cause) => return Err(cause.into()),
    }
    let block = vec![0xA5; 1 << 20];
    (0..BALLAST_BYTES >> 20).try_for_each(|_| io::Write::write_all(file, &block))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_read_as_people_say_them() {
        let said: Vec<_> =
            [0, 950, 999, 1000, 9_940, 9_960, 412_000_000, 999_600_000, 1_300_000_000, u64::MAX].map(human).into();
        assert_eq!(said, ["0 B", "950 B", "999 B", "1.0 kB", "9.9 kB", "10 kB", "412 MB", "1.0 GB", "1.3 GB", "18 EB"]);
    }

    #[test]
    fn room_is_known_for_a_folder_that_is_not_there_yet() {
        let dir = tempfile::tempdir().unwrap();
        let here = room(dir.path()).unwrap();
        assert!(here.free > 0 && here.free <= here.total);
        assert_eq!(room(&dir.path().join("a/b/c")).unwrap().device, here.device);
    }

    #[test]
    fn needs_that_fit_one_by_one_but_not_together_are_refused_with_figures() {
        let dir = tempfile::tempdir().unwrap();
        let free = room(dir.path()).unwrap().free;
        let mut needs = Needs::new();
        needs.add(dir.path().join("a"), free / 2, "the backup");
        assert!(needs.check().is_ok());
        needs.add(dir.path().join("b"), free / 2 + 1, "the copy of your data");
        let refused = needs.check().unwrap_err();
        assert_eq!((refused.kind, refused.class.as_ref()), (crate::error::Kind::Refused, "no_room"));
        assert!(refused.message.contains(&*dir.path().to_string_lossy()), "{}", refused.message);
        assert_eq!(refused.details.len(), 2);
    }

    #[test]
    fn the_ballast_takes_its_room_and_gives_it_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ballast");
        ensure_ballast(&path).unwrap();
        ensure_ballast(&path).unwrap();
        #[cfg(unix)]
        {
            let meta = fs::metadata(&path).unwrap();
            assert!(std::os::unix::fs::MetadataExt::blocks(&meta) * 512 >= BALLAST_BYTES, "it has holes");
        }
        assert!(release_ballast(&path));
        assert!(!release_ballast(&path));
    }
}
