//! A folder whose old files are never rewritten, set aside by a list instead of a copy.
//!
//! The list holds every file with its hash, and how the file system knew it (inode, size, times). Afterwards a file
//! that the file system still knows the same way was not touched; every other one is read and compared.

use std::{
    collections::BTreeMap,
    fs::{self, Metadata},
    io::{self, Write},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::digest;
use crate::durable;
use crate::error::{Error, Result};
use crate::ports::Reporter;
use crate::stores::Aside;
use crate::stores::files::tree::{self, What, raw, walk};
use crate::stores::stream::Passed;

/// The folder and its list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Listed {
    /// The folder.
    pub(super) live: PathBuf,
    /// The list beside it.
    pub(super) list: PathBuf,
}

/// A line of a list. The bytes of paths are in hexadecimal, because a name need not be text.
#[derive(Serialize, Deserialize)]
struct Line {
    path_hex: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sha256: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    known_as: Option<KnownAs>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    target_hex: Option<String>,
}

/// How the file system knows a file. The time of change cannot be set by a program, so a write shows in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct KnownAs {
    inode: u64,
    bytes: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl KnownAs {
    #[cfg(unix)]
    fn of(meta: &Metadata) -> Option<Self> {
        use std::os::unix::fs::MetadataExt;
        Some(Self {
            inode: meta.ino(),
            bytes: meta.len(),
            modified: (meta.mtime(), meta.mtime_nsec()),
            changed: (meta.ctime(), meta.ctime_nsec()),
        })
    }
    /// Elsewhere there is no such time, so every file is read again.
    #[cfg(not(unix))]
    fn of(_: &Metadata) -> Option<Self> {
        None
    }
}

/// Files that the backup has read, by their path: a list after the stop need not read them again.
#[derive(Debug, Default)]
pub(super) struct Read(BTreeMap<PathBuf, (KnownAs, String)>);

impl Read {
    /// So many are kept in memory; others are read again.
    const MOST: usize = 100_000;

    /// A file was read while it kept still. One that was changed shortly before `begun` may change once more without its
    /// times telling.
    #[cfg_attr(not(unix), allow(unused_variables))]
    pub(super) fn file(&mut self, relative: &Path, meta: &Metadata, sha256: &str, begun: &Metadata) {
        #[cfg(unix)]
        {
            use std::os::unix::fs::MetadataExt;
            if meta.ctime() + 2 > begun.ctime() {
                return;
            }
        }
        if self.0.len() >= Self::MOST {
            return;
        }
        if let Some(known) = KnownAs::of(meta) {
            self.0.insert(relative.to_owned(), (known, sha256.to_owned()));
        }
    }

    /// The hash of a file that is still as it was when it was read.
    fn hash(&self, relative: &Path, now: Option<&KnownAs>) -> Option<&String> {
        let (then, sha256) = self.0.get(relative)?;
        (now == Some(then)).then_some(sha256)
    }
}

impl Listed {
    /// The list of `live` for the upgrade `id`.
    pub(super) fn beside(live: &Path, id: &str) -> Self {
        Self { live: live.to_owned(), list: durable::beside(live, &format!("__list_{id}.jsonl")) }
    }

    /// As the journal keeps it.
    pub(super) fn to_aside(&self) -> Result<Aside> {
        serde_json::to_value(self)
            .map(Aside)
            .map_err(|cause| Error::bug("journal", "The list of files could not be planned.").because(&cause))
    }

    /// Back from the journal; `None` where a copy is meant.
    pub(super) fn from_aside(aside: &Aside) -> Option<Self> {
        serde_json::from_value(aside.0.clone()).ok()
    }

    /// Reads every file that the backup has not read as it is now, and writes the list, whole or not at all.
    pub(super) fn write(&self, read: &Read, reporter: &dyn Reporter) -> Result<()> {
        // Looked at before reading: what changes in between is then read again at the check.
        let mut known = BTreeMap::new();
        walk(&self.live, reporter, |relative, meta| {
            known.insert(relative.to_owned(), KnownAs::of(meta));
            Ok(())
        })?;
        let tree =
            if read.0.is_empty() { tree::list(&self.live, reporter)? } else { self.hashes(read, &known, reporter)? };
        durable::write_with(&self.list, |file| {
            let failed = |cause: io::Error| Error::io("write", &self.list, &cause);
            let mut out = io::BufWriter::new(file);
            for (path, entry) in &tree.entries {
                let mut line = Line { path_hex: hex(path), sha256: None, known_as: None, target_hex: None };
                match &entry.what {
                    What::Dir => continue,
                    What::File { sha256, .. } => {
                        line.sha256 = Some(sha256.clone());
                        line.known_as = known.remove(path).flatten();
                    }
                    What::Link(target) => line.target_hex = Some(hex(target)),
                }
                serde_json::to_writer(&mut out, &line).map_err(|cause| failed(cause.into()))?;
                out.write_all(b"\n").map_err(failed)?;
            }
            out.flush().map_err(failed)
        })
    }

    /// What is in the folder, with the hashes of the backup where a file is still the one that was read for it.
    fn hashes(
        &self,
        read: &Read,
        known: &BTreeMap<PathBuf, Option<KnownAs>>,
        reporter: &dyn Reporter,
    ) -> Result<tree::Tree> {
        let mut tree = tree::look(&self.live, reporter)?;
        let passed = Passed::of(None);
        let mut gone = Vec::new();
        for (path, entry) in &mut tree.entries {
            let What::File { bytes, sha256 } = &mut entry.what else { continue };
            reporter.check()?;
            if let Some(hash) = read.hash(path, known.get(path).and_then(Option::as_ref)) {
                sha256.clone_from(hash);
                continue;
            }
            match tree::hash(&self.live.join(path), &passed, reporter)? {
                Some(now) => (*bytes, *sha256) = now,
                None => gone.push(path.clone()),
            }
        }
        gone.iter().for_each(|it| _ = tree.entries.remove(it));
        Ok(tree)
    }

    /// That every file of the list is as it was. New ones are users' work and none of our business.
    ///
    /// # Errors
    /// `files_changed` with each that is missing or was changed; `list_damaged`.
    pub(super) fn check(&self, reporter: &dyn Reporter) -> Result<()> {
        let text = match fs::read_to_string(&self.list) {
            Ok(text) => text,
            // Not yet listed means that nothing was begun.
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(cause) => return Err(Error::io("read", &self.list, &cause)),
        };
        let now = tree::look(&self.live, reporter)?;
        let now: BTreeMap<String, (&PathBuf, &What)> =
            now.entries.iter().map(|(path, it)| (hex(path), (path, &it.what))).collect();
        let passed = Passed::of(None);
        let mut wrong = Vec::new();
        for line in text.lines() {
            let line: Line = serde_json::from_str(line).map_err(|cause| {
                Error::failed("list_damaged", format!("The list {} is damaged.", self.list.display()))
                    .remedy("Compare the files with the backup.")
                    .because(&cause)
            })?;
            let same = match now.get(&line.path_hex) {
                Some((path, What::File { .. })) => {
                    let path = self.live.join(path);
                    let known = fs::symlink_metadata(&path).ok().and_then(|meta| KnownAs::of(&meta));
                    (known.is_some() && known == line.known_as)
                        || tree::hash(&path, &passed, reporter)?.map(|it| it.1) == line.sha256
                }
                Some((_, What::Link(target))) => line.target_hex == Some(hex(target)),
                Some((_, What::Dir)) | None => false,
            };
            if !same {
                let how = if now.contains_key(&line.path_hex) { "changed" } else { "missing" };
                wrong.push(format!("{how}: {}", readable(&line.path_hex)));
            }
        }
        if wrong.is_empty() {
            return Ok(());
        }
        let mut error = Error::failed(
            "files_changed",
            format!("{} files in {} are missing or were changed.", wrong.len(), self.live.display()),
        )
        .remedy("Take these files from the backup; the details name them.");
        error.details = wrong;
        Err(error)
    }
}

/// Every list beside `live`, with the short id of its upgrade.
pub(super) fn lists_beside(live: &Path) -> Result<Vec<(String, PathBuf)>> {
    let live = match live.canonicalize() {
        Ok(live) => live,
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(cause) => return Err(Error::io("look at", live, &cause)),
    };
    let folder = durable::parent(&live)?;
    let begin = format!("{}__list_", live.file_name().and_then(|it| it.to_str()).unwrap_or_default());
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(|cause| Error::io("read", folder, &cause))? {
        let entry = entry.map_err(|cause| Error::io("read", folder, &cause))?;
        let name = entry.file_name();
        let id = name.to_str().and_then(|it| it.strip_prefix(&begin)?.strip_suffix(".jsonl"));
        found.extend(id.map(|it| (it.to_owned(), entry.path())));
    }
    Ok(found)
}

fn hex(path: &Path) -> String {
    digest::hex(raw(path.as_os_str()))
}

/// A path from its bytes in hexadecimal, as well as it can be shown.
fn readable(hex: &str) -> String {
    let bytes: Option<Vec<u8>> =
        (0..hex.len() / 2).map(|at| u8::from_str_radix(hex.get(at * 2..at * 2 + 2)?, 16).ok()).collect();
    bytes.map_or_else(|| hex.to_owned(), |it| String::from_utf8_lossy(&it).escape_debug().to_string())
}
