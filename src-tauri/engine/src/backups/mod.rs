//! Backups: one folder each, with a dump of every store and a manifest that says what is in them.
//!
//! A backup gets its name only when all of it is written and on disk; what has no name yet is nobody's backup.
//! How far it is trusted stands beside it and is earned again at any time. Absent on purpose: removing any.

use std::fs;
use std::path::{Path, PathBuf};

use chrono::{DateTime, SecondsFormat, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::digest;
use crate::durable;
use crate::error::{Error, Result};
use crate::model::ids::InstallationName;
use crate::ports::{Clock, Reporter};
use crate::stores::{DataStore, Dumped, Grade, Proof};

const MANIFEST: &str = "manifest.json";
const PROOF: &str = "proof.json";
/// Marks a folder that is being written, and everything in it, as ours to throw away.
const PURPOSE: &str = "backup in the making";

/// Why a backup was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BackupKind {
    /// A person asked for it.
    Manual,
    /// An upgrade begins with it.
    PreUpdate,
}

impl BackupKind {
    /// The name in manifests, in the state and in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Manual => "manual",
            Self::PreUpdate => "pre_update",
        }
    }
}

/// What is to be backed up, and what is to be said of it.
#[derive(Debug, Clone, Copy)]
pub struct Request<'r> {
    /// The folder of this installation's backups.
    pub root: &'r Path,
    /// Whose data.
    pub installation: &'r InstallationName,
    /// The application's name for people.
    pub application: &'r str,
    /// The version that the data belongs to, where it could be asked.
    pub version: Option<&'r str>,
    /// Why.
    pub kind: BackupKind,
    /// What a person wrote about it.
    pub note: &'r str,
}

/// What is in a backup.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Manifest {
    /// Version of this form, 1.
    pub format: u32,
    /// Version of the Liftlock that made it.
    pub liftlock: String,
    /// Whose data.
    pub installation: InstallationName,
    /// The application's name for people.
    pub application: String,
    /// The version that the data belongs to.
    pub version: Option<String>,
    /// Why it was made.
    pub kind: BackupKind,
    /// What a person wrote about it.
    #[serde(default)]
    pub note: String,
    /// When it was begun.
    pub made_at: DateTime<Utc>,
    /// A dump of every store.
    pub stores: Vec<Dumped>,
}

/// How far a backup is trusted, and since when.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Trust {
    /// The grade.
    pub grade: Grade,
    /// When it was earned.
    pub at: DateTime<Utc>,
    /// The manifest that it was earned with: a grade does not outlive a change of what it speaks of.
    pub manifest_sha256: String,
    /// What was found for each store.
    pub stores: Vec<Proof>,
}

/// A backup on disk.
#[derive(Debug, Clone, PartialEq)]
pub struct Backup {
    /// Its folder.
    pub path: PathBuf,
    /// What is in it.
    pub manifest: Manifest,
    /// How far it is trusted.
    pub grade: Grade,
    /// When it was last restored as a test.
    pub proven_at: Option<DateTime<Utc>>,
}

impl Backup {
    /// Size of its dumps in bytes.
    pub fn bytes(&self) -> u64 {
        self.manifest.stores.iter().map(|it| it.bytes).sum()
    }

    /// The dump of a store.
    ///
    /// # Errors
    /// `not_in_backup`.
    pub fn dumped(&self, store: &str) -> Result<&Dumped> {
        self.manifest.stores.iter().find(|it| it.store == store).ok_or_else(|| {
            Error::failed("not_in_backup", format!("The backup {} does not hold {store}.", self.path.display()))
                .remedy("Use another backup: `liftlock backup list`.")
        })
    }
}

/// Dumps every store into a new backup. The application may be up.
///
/// # Errors
/// What a store answered; then nothing is left behind.
pub fn create(
    request: &Request<'_>,
    stores: &[&dyn DataStore],
    clock: &dyn Clock,
    reporter: &dyn Reporter,
) -> Result<Backup> {
    durable::create_private_dir(request.root)?;
    let made_at = clock.now();
    let id = Uuid::now_v7().simple().to_string();
    let name = format!("{}-{}", made_at.format("%Y%m%dT%H%M%SZ"), &id[id.len() - 6..]);
    let part = request.root.join(format!(".part-{name}"));
    durable::create_marked_dir(&part, PURPOSE)?;
    let made = fill(request, stores, made_at, &part, reporter).and_then(|manifest| {
        let path = request.root.join(&name);
        durable::rename_new(&part, &path)?;
        Ok(Backup { path, manifest, grade: Grade::Taken, proven_at: None })
    });
    if made.is_err() {
        // The reason why there is no backup matters more than what is left of it, which nobody takes for one.
        let _ = durable::remove_tree_that_we_made(&part, PURPOSE);
    }
    made
}

fn fill(
    request: &Request<'_>,
    stores: &[&dyn DataStore],
    made_at: DateTime<Utc>,
    part: &Path,
    reporter: &dyn Reporter,
) -> Result<Manifest> {
    let mut dumps = Vec::new();
    for store in stores {
        reporter.check()?;
        dumps.push(store.dump(part, reporter)?);
    }
    let manifest = Manifest {
        format: 1,
        liftlock: env!("CARGO_PKG_VERSION").to_owned(),
        installation: request.installation.clone(),
        application: request.application.to_owned(),
        version: request.version.map(ToOwned::to_owned),
        kind: request.kind,
        note: request.note.to_owned(),
        made_at,
        stores: dumps,
    };
    durable::write(&part.join(MANIFEST), &json(&manifest)?)?;
    Ok(manifest)
}

fn json<T: Serialize>(value: &T) -> Result<Vec<u8>> {
    serde_json::to_vec_pretty(value)
        .map_err(|cause| Error::bug("manifest", "A backup could not be described.").because(&cause))
}

/// A backup from its folder. What a manifest says is not believed here, only read.
///
/// # Errors
/// `backup_unreadable`, `not_ours` for a folder that is not this user's.
pub fn open(path: &Path) -> Result<Backup> {
    durable::expect_our_dir(path)?;
    let bytes = read(&path.join(MANIFEST))?;
    let manifest: Manifest = serde_json::from_slice(&bytes).map_err(|cause| unreadable(path).because(&cause))?;
    if manifest.format != 1 {
        return Err(unreadable(path).remedy("It was made by a newer Liftlock: install that one."));
    }
    if manifest.stores.iter().any(|it| Path::new(&it.file).components().count() != 1 || it.file.starts_with('.')) {
        return Err(unreadable(path).detail("a dump stands outside the folder"));
    }
    let trust = read(&path.join(PROOF)).ok().and_then(|it| serde_json::from_slice::<Trust>(&it).ok());
    let trust = trust.filter(|it| it.manifest_sha256 == digest::sha256(&bytes));
    let proven_at = trust.as_ref().filter(|it| it.grade == Grade::Proven).map(|it| it.at);
    Ok(Backup { path: path.to_owned(), manifest, grade: trust.map_or(Grade::Taken, |it| it.grade), proven_at })
}

fn read(path: &Path) -> Result<Vec<u8>> {
    use std::io::Read;
    let mut bytes = Vec::new();
    let file = durable::open_ours(path)?;
    // A manifest of this size would describe a million tables.
    file.take(256 << 20).read_to_end(&mut bytes).map_err(|cause| Error::io("read", path, &cause))?;
    Ok(bytes)
}

fn unreadable(path: &Path) -> Error {
    Error::failed("backup_unreadable", format!("{} is not a backup that can be read.", path.display()))
        .remedy("Use another backup: `liftlock backup list` shows them with how far each is trusted.")
}

/// Restores every dump whole on the side, compares, throws that away, and writes down what was earned.
///
/// # Errors
/// What does not agree; then the grade falls to what was seen before.
pub fn prove(
    backup: &Backup,
    stores: &[&dyn DataStore],
    scratch: &Path,
    clock: &dyn Clock,
    reporter: &dyn Reporter,
) -> Result<Trust> {
    let manifest = read(&backup.path.join(MANIFEST))?;
    let earn =
        |grade, proofs| Trust { grade, at: clock.now(), manifest_sha256: digest::sha256(&manifest), stores: proofs };
    let mut proofs = Vec::new();
    let proven: Result<()> = stores.iter().try_for_each(|store| {
        let dumped = backup.dumped(store.name())?;
        expect_checksum(&backup.path, dumped, reporter)?;
        proofs.push(store.prove(dumped, &backup.path, scratch, reporter)?);
        Ok(())
    });
    let proven = proven.map(|()| earn(proofs.iter().map(|it| it.grade).min().unwrap_or(Grade::Taken), proofs));
    match proven {
        Ok(trust) => {
            durable::write(&backup.path.join(PROOF), &json(&trust)?)?;
            Ok(trust)
        }
        Err(error) => {
            if !matches!(error.class.as_ref(), "cancelled" | "lease_lost") {
                // An earlier proof no longer says anything about what lies there now.
                let _ = durable::write(&backup.path.join(PROOF), &json(&earn(Grade::Taken, Vec::new()))?);
            }
            Err(error)
        }
    }
}

fn expect_checksum(folder: &Path, dumped: &Dumped, reporter: &dyn Reporter) -> Result<()> {
    let path = folder.join(&dumped.file);
    let mut file = durable::open_ours(&path)?;
    let (sha256, bytes) = digest::sha256_of(&mut file, &path, Some(dumped.bytes), reporter)?;
    if sha256 == dumped.sha256 && bytes == dumped.bytes {
        return Ok(());
    }
    Err(Error::failed("backup_damaged", format!("{} is not as it was written.", path.display()))
        .remedy("Do not rely on this backup. Make a new one: `liftlock backup create`. Check the disk."))
}

/// Every backup below `root`, newest first, and what lies there that cannot be read as one.
///
/// # Errors
/// The folder itself cannot be read.
pub fn list(root: &Path) -> Result<(Vec<Backup>, Vec<Error>)> {
    let entries = match fs::read_dir(root) {
        Ok(entries) => entries,
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Ok((Vec::new(), Vec::new())),
        Err(cause) => return Err(Error::io("read", root, &cause)),
    };
    let (mut backups, mut odd) = (Vec::new(), Vec::new());
    for entry in entries.filter_map(std::result::Result::ok) {
        if entry.file_name().to_string_lossy().starts_with('.') {
            continue;
        }
        match open(&entry.path()) {
            Ok(backup) => backups.push(backup),
            Err(error) => odd.push(error),
        }
    }
    backups.sort_by_key(|it| std::cmp::Reverse(it.manifest.made_at.to_rfc3339_opts(SecondsFormat::Nanos, true)));
    Ok((backups, odd))
}
