//! What is in a folder: its files, folders and links with their contents' hashes, in one fixed order.
//!
//! Links are entries and never followed. Sockets, pipes and devices hold no data and are left out with a
//! note. Two trees are the same when their [`Tree::digest`] is; times and owners do not count.

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    fs::{self, Metadata},
    io,
    path::{Path, PathBuf},
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use sha2::{Digest, Sha256};

use serde::{Deserialize, Serialize};

use crate::digest;
use crate::durable;
use crate::error::{Error, Result};
use crate::ports::Reporter;
use crate::stores::Counts;
use crate::stores::stream::{Passed, Watched, unwrapped};

/// How deep folders may lie in folders, so that no walk can exhaust us.
const DEEPEST: usize = 256;

/// What an entry is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// A file.
    File {
        /// Its size in bytes.
        bytes: u64,
        /// SHA-256 of its content in hexadecimal; empty in a tree that was only walked.
        sha256: String,
    },
    /// A folder.
    Dir,
    /// A link, with where it points to.
    Link(PathBuf),
}

/// A file, folder or link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// What it is.
    pub what: What,
    /// Its permission bits.
    pub mode: u32,
}

/// A folder's content by path, relative to the folder; names need not be text.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Tree {
    /// Each entry.
    pub entries: BTreeMap<PathBuf, Entry>,
}

/// How two trees differ.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Difference {
    /// In the first and not in the second.
    pub missing: Vec<PathBuf>,
    /// In both, with other content.
    pub changed: Vec<PathBuf>,
    /// In the second and not in the first.
    pub added: Vec<PathBuf>,
}

impl Tree {
    /// Sum of the sizes of all files, in bytes.
    pub fn bytes(&self) -> u64 {
        self.entries.values().map(|it| if let What::File { bytes, .. } = it.what { bytes } else { 0 }).sum()
    }

    /// Files and links by the first folder that they lie in; those in none under `.`.
    pub fn counts(&self) -> Counts {
        let mut counts = Counts::new();
        counts.insert(".".to_owned(), 0);
        for (path, entry) in &self.entries {
            let top = match path.parent().and_then(|it| it.components().next()) {
                Some(top) => Path::new(&top).to_string_lossy().into_owned(),
                None if entry.what == What::Dir => {
                    counts.entry(path.to_string_lossy().into_owned()).or_default();
                    continue;
                }
                None => ".".to_owned(),
            };
            if entry.what != What::Dir {
                *counts.entry(top).or_default() += 1;
            }
        }
        counts
    }

    /// One hash over everything that counts.
    pub fn digest(&self) -> String {
        let mut hash = Sha256::new();
        for (path, entry) in &self.entries {
            let (kind, content) = match &entry.what {
                What::File { bytes, sha256 } => (b'f', format!("{bytes}:{sha256}").into_bytes()),
                What::Dir => (b'd', Vec::new()),
                What::Link(target) => (b'l', raw(target.as_os_str()).to_vec()),
            };
            // Lengths before contents, so that no name can pretend to be the end of another.
            for part in [&[kind][..], raw(path.as_os_str()), entry.mode.to_string().as_bytes(), &content] {
                hash.update((part.len() as u64).to_le_bytes());
                hash.update(part);
            }
        }
        digest::hex(&hash.finalize())
    }

    /// How `other` differs from this one.
    pub fn difference(&self, other: &Self) -> Difference {
        let mut difference = Difference::default();
        for (path, entry) in &self.entries {
            match other.entries.get(path) {
                None => difference.missing.push(path.clone()),
                Some(it) if it.what != entry.what => difference.changed.push(path.clone()),
                Some(_) => {}
            }
        }
        difference.added = other.entries.keys().filter(|it| !self.entries.contains_key(*it)).cloned().collect();
        difference
    }
}

/// The bytes of a name, as the platform has them.
pub(super) fn raw(name: &OsStr) -> &[u8] {
    #[cfg(unix)]
    return std::os::unix::ffi::OsStrExt::as_bytes(name);
    #[cfg(not(unix))]
    return name.as_encoded_bytes();
}

/// Permission bits that are kept: never set-user-id or set-group-id of a file.
pub(super) fn mode(meta: &Metadata) -> u32 {
    #[cfg(unix)]
    {
        let mode = std::os::unix::fs::MetadataExt::mode(meta);
        if meta.is_dir() { mode & 0o7777 } else { mode & 0o777 }
    }
    #[cfg(not(unix))]
    return if meta.permissions().readonly() { 0o444 } else { 0o644 };
}

/// Calls `each` for everything below `root` in a fixed order, folders before what is in them. What vanishes
/// meanwhile is passed over; special files are told to the reporter and left out.
///
/// # Errors
/// What the disk, the reporter or `each` answered; `too_deep`.
pub(super) fn walk(
    root: &Path,
    reporter: &dyn Reporter,
    mut each: impl FnMut(&Path, &Metadata) -> Result<()>,
) -> Result<()> {
    let meta = fs::symlink_metadata(root).map_err(|cause| Error::io("look at", root, &cause))?;
    if !meta.is_dir() {
        return Err(Error::failed("not_a_folder", format!("{} is not a folder.", root.display()))
            .remedy("Name the folder that holds the files in the profile."));
    }
    // Names still to visit, the next one last.
    let mut open = children(root, Path::new(""))?;
    while let Some(relative) = open.pop() {
        reporter.check()?;
        let path = root.join(&relative);
        let meta = match fs::symlink_metadata(&path) {
            Ok(meta) => meta,
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => continue,
            Err(cause) => return Err(Error::io("look at", &path, &cause)),
        };
        let kind = meta.file_type();
        if !(kind.is_file() || kind.is_dir() || kind.is_symlink()) {
            reporter.say(&format!("{} is a socket, pipe or device and was left out.", path.display()));
            continue;
        }
        each(&relative, &meta)?;
        if kind.is_dir() {
            if relative.components().count() >= DEEPEST {
                return Err(Error::failed(
                    "too_deep",
                    format!("Folders lie too deep in each other at {}.", path.display()),
                )
                .remedy("Look whether a program went wild there; move it away, then try again."));
            }
            open.append(&mut children(root, &relative)?);
        }
    }
    Ok(())
}

/// The names in a folder, last first; none where it vanished.
fn children(root: &Path, relative: &Path) -> Result<Vec<PathBuf>> {
    let dir = root.join(relative);
    let entries = match fs::read_dir(&dir) {
        Ok(entries) => entries,
        Err(cause) if cause.kind() == io::ErrorKind::NotFound && !relative.as_os_str().is_empty() => {
            return Ok(Vec::new());
        }
        Err(cause) => return Err(Error::io("read", &dir, &cause)),
    };
    let mut names = entries
        .map(|entry| entry.map(|it| relative.join(it.file_name())))
        .collect::<io::Result<Vec<_>>>()
        .map_err(|cause| Error::io("read", &dir, &cause))?;
    names.sort_unstable_by(|a, b| b.cmp(a));
    Ok(names)
}

/// When anything below `root` was last written, and how many entries there are, in words that compare.
///
/// # Errors
/// What the disk or the reporter answered.
pub fn newest(root: &Path, reporter: &dyn Reporter) -> Result<String> {
    let (mut newest, mut entries) = (fs::metadata(root).and_then(|it| it.modified()).ok(), 0_u64);
    walk(root, reporter, |_, meta| {
        newest = newest.max(meta.modified().ok());
        entries += 1;
        Ok(())
    })?;
    let at = newest.and_then(|it| it.duration_since(std::time::UNIX_EPOCH).ok()).map_or(0, |it| it.as_nanos());
    Ok(format!("{entries} entries, newest {at}"))
}

/// What is below `root`, without reading any content.
///
/// # Errors
/// What the disk or the reporter answered.
pub fn look(root: &Path, reporter: &dyn Reporter) -> Result<Tree> {
    let mut tree = Tree::default();
    walk(root, reporter, |relative, meta| {
        let what = if meta.is_dir() {
            What::Dir
        } else if meta.is_symlink() {
            match fs::read_link(root.join(relative)) {
                Ok(target) => What::Link(target),
                Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(()),
                Err(cause) => return Err(Error::io("read", &root.join(relative), &cause)),
            }
        } else {
            What::File { bytes: meta.len(), sha256: String::new() }
        };
        let mode = if meta.is_symlink() { 0 } else { mode(meta) };
        tree.entries.insert(relative.to_owned(), Entry { what, mode });
        Ok(())
    })?;
    Ok(tree)
}

/// What is below `root`, every file read and hashed, on several threads. Files that vanish meanwhile are left out.
///
/// # Errors
/// What the disk or the reporter answered.
pub fn list(root: &Path, reporter: &dyn Reporter) -> Result<Tree> {
    let mut tree = look(root, reporter)?;
    let passed = Passed::of(Some(tree.bytes()));
    let files: Vec<PathBuf> = tree
        .entries
        .iter()
        .filter(|(_, entry)| matches!(entry.what, What::File { .. }))
        .map(|(path, _)| path.clone())
        .collect();
    let next = AtomicUsize::new(0);
    let hashed = Mutex::new(Vec::with_capacity(files.len()));
    let work = || -> Result<()> {
        let mut mine = Vec::new();
        while let Some(relative) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
            reporter.check()?;
            mine.push((relative, hash(&root.join(relative), &passed, reporter)?));
        }
        if let Ok(mut all) = hashed.lock() {
            all.append(&mut mine);
        }
        Ok(())
    };
    let threads = thread::available_parallelism().map_or(2, usize::from).min(4).min(files.len()).max(1);
    thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(work)).collect();
        let mine = work();
        let joined = others.into_iter().map(|other| {
            other.join().unwrap_or_else(|_| Err(Error::bug("hashing", "A thread that reads files ended unexpectedly.")))
        });
        joined.fold(mine, |first, next| first.and(next))
    })?;
    let hashed = hashed.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    if hashed.len() != files.len() {
        return Err(Error::bug("hashing", "Not every file was read."));
    }
    for (relative, answer) in hashed {
        match answer {
            Some((bytes, sha256)) => {
                if let Some(entry) = tree.entries.get_mut(relative) {
                    entry.what = What::File { bytes, sha256 };
                }
            }
            None => {
                tree.entries.remove(relative);
            }
        }
    }
    Ok(tree)
}

/// Size and hash of a file; `None` where it vanished.
pub(super) fn hash(path: &Path, passed: &Passed, reporter: &dyn Reporter) -> Result<Option<(u64, String)>> {
    let file = match durable::open_no_follow(path) {
        Ok(file) => file,
        Err(error) if error.class == "not_found" => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut hashing = digest::Hashing::new(Watched::new(file, passed, reporter));
    let mut buffer = vec![0; 1 << 17];
    loop {
        match io::Read::read(&mut hashing, &mut buffer) {
            Ok(0) => break,
            Ok(_) => {}
            Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
            Err(cause) => return Err(unwrapped("read", path, cause)),
        }
    }
    let (_, sha256, bytes) = hashing.finish();
    Ok(Some((bytes, sha256)))
}
