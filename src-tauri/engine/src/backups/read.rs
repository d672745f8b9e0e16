//! Reading what lies in a folder of backups, whoever put it there.

use std::{
    collections::BTreeSet,
    fs,
    io::Read,
    path::{Component, Path},
};

use chrono::{DateTime, TimeDelta, Utc};

use crate::backups::create::{is_partial, sums};
use crate::backups::{Backup, FORMAT_SEALED, MANIFEST, Manifest, PINNED, PROOF, SUMS, Trust, damaged, kit};
use crate::digest;
use crate::durable;
use crate::error::{Error, Result};
use crate::model::ids::InstallationName;
use crate::state::home::Home;
use crate::stores::Grade;

/// What we read of a document at most: a manifest of this size would describe a million tables.
const MOST: u64 = 256 << 20;

/// A backup from its folder: its manifest as it was written, and every dump there in its full size. Contents
/// are not read; that is [`super::check`].
///
/// # Errors
/// `not_ours` for a link or somebody else's folder or file; `backup_incomplete`, `backup_unreadable`, `backup_damaged`,
/// `backup_hostile`, `backup_newer`.
pub fn open(path: &Path) -> Result<Backup> {
    durable::expect_our_dir(path)?;
    let manifest_path = path.join(MANIFEST);
    let bytes = read(&manifest_path)?.ok_or_else(|| incomplete(path, MANIFEST))?;
    let manifest_sha256 = digest::sha256(&bytes);
    let manifest = parse(path, &bytes)?;

    let stated = read(&path.join(SUMS))?.ok_or_else(|| incomplete(path, SUMS))?;
    let stated = String::from_utf8_lossy(&stated);
    let is_stated = |wanted: &String| stated.lines().any(|line| line == wanted);
    if !sums(&manifest, &manifest_sha256).last().is_some_and(|it| is_stated(&it)) {
        return Err(damaged(&manifest_path, "its checksum is another one"));
    }
    let mut names = BTreeSet::new();
    for dumped in &manifest.stores {
        let name = Path::new(&dumped.file);
        let reserved = [MANIFEST, PROOF, SUMS, PINNED].contains(&dumped.file.as_str())
            || kit::FILES.contains(&dumped.file.as_str());
        // What is opened gets this name in a folder of ours.
        let is_inner_plain = dumped.sealed.as_ref().is_none_or(|it| is_plain(&it.file));
        if !is_plain(&dumped.file) || !is_inner_plain || reserved || !names.insert(&dumped.file) {
            return Err(hostile(path));
        }
        if let Some(globals) = dumped.globals()
            && (globals.file != format!("{}.globals.sql", dumped.store) || !is_plain(&globals.file))
        {
            return Err(hostile(path));
        }
        let file = path.join(name);
        let there = match durable::open_ours(&file) {
            Ok(file) => file.metadata().map_err(|cause| Error::io("look at", &path.join(name), &cause))?.len(),
            Err(error) if error.class == "not_found" => return Err(incomplete(path, &dumped.file)),
            Err(error) => return Err(error),
        };
        if there != dumped.bytes {
            return Err(damaged(&file, "its size is another one"));
        }
    }

    // Whoever has no Liftlock goes by them.
    if !sums(&manifest, &manifest_sha256).all(|it| is_stated(&it)) {
        return Err(damaged(&path.join(SUMS), "it does not state the checksums of the manifest"));
    }

    // A proof that cannot be read, or that speaks of another manifest, proves nothing.
    let trust = read(&path.join(PROOF)).ok().flatten().and_then(|it| serde_json::from_slice::<Trust>(&it).ok());
    let trust = trust.filter(|it| it.manifest_sha256 == manifest_sha256);
    let proven_at = trust.as_ref().filter(|it| it.grade == Grade::Proven && it.failed.is_none()).map(|it| it.at);
    let was_proven_at = trust.as_ref().and_then(|it| it.was_proven_at);
    let (grade, failed) = trust.map_or((Grade::Taken, None), |it| (it.grade, it.failed));
    let pinned = fs::symlink_metadata(path.join(PINNED)).is_ok();
    Ok(Backup { path: path.to_owned(), manifest, manifest_sha256, grade, proven_at, failed, was_proven_at, pinned })
}

/// What its last test found, where that speaks of this very backup.
///
/// # Errors
/// It cannot be read.
pub fn trust(backup: &Backup) -> Result<Option<Trust>> {
    let written = read(&backup.path.join(PROOF))?.and_then(|it| serde_json::from_slice::<Trust>(&it).ok());
    Ok(written.filter(|it| it.manifest_sha256 == backup.manifest_sha256))
}

fn hostile(path: &Path) -> Error {
    let message = format!("The manifest of {} names a file that no backup of ours has.", path.display());
    Error::failed("backup_hostile", message)
        .remedy("Somebody changed it. Do not use this backup, and look who can write to that folder.")
}

fn is_plain(name: &str) -> bool {
    matches!(Path::new(name).components().collect::<Vec<_>>()[..], [Component::Normal(it)] if it == name)
        && !name.starts_with('.')
}

fn parse(path: &Path, bytes: &[u8]) -> Result<Manifest> {
    let unreadable = |cause: &serde_json::Error| {
        Error::failed("backup_unreadable", format!("The manifest of {} cannot be read.", path.display()))
            .remedy("Use another backup: `liftlock backup list` shows them with how far each is trusted.")
            .because(cause)
    };
    // The version first: a newer form need not fit ours.
    let document: serde_json::Value = serde_json::from_slice(bytes).map_err(|cause| unreadable(&cause))?;
    if document["format"].as_u64().is_some_and(|format| format > u64::from(FORMAT_SEALED)) {
        return Err(Error::failed("backup_newer", format!("{} was made by a newer Liftlock.", path.display()))
            .remedy("Install the newest Liftlock, then try again."));
    }
    serde_json::from_value(document).map_err(|cause| unreadable(&cause))
}

/// The bytes of a document of ours; `None` where there is none.
pub(super) fn read(path: &Path) -> Result<Option<Vec<u8>>> {
    let file = match durable::open_ours(path) {
        Ok(file) => file,
        Err(error) if error.class == "not_found" => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut bytes = Vec::new();
    file.take(MOST).read_to_end(&mut bytes).map_err(|cause| Error::io("read", path, &cause))?;
    Ok(Some(bytes))
}

fn incomplete(path: &Path, file: &str) -> Error {
    Error::failed("backup_incomplete", format!("{} is no whole backup: {file} is missing.", path.display()))
        .remedy("Use another backup: `liftlock backup list`. What is in this folder may still help an expert; keep it.")
}

/// Every backup below `root`, newest first, and what lies there that cannot be read as one. What is being made is
/// left out. No folder is no backups.
///
/// # Errors
/// The folder itself cannot be read.
pub fn list(root: &Path) -> Result<(Vec<Backup>, Vec<Error>)> {
    let (mut backups, mut findings) = (Vec::new(), Vec::new());
    for path in durable::entries(root)? {
        if is_partial(&path) {
            continue;
        }
        match open(&path) {
            Ok(backup) => backups.push(backup),
            Err(error) => findings.push(error),
        }
    }
    in_order(&mut backups, &mut findings);
    Ok((backups, findings))
}

/// The same of everything that is kept of an installation, wherever that is. What a clock dated that was ahead of `now` comes
/// last: it was made before whatever is made from now on.
///
/// # Errors
/// A folder cannot be read; what was chosen cannot be.
pub fn of(home: &Home, installation: &InstallationName, now: DateTime<Utc>) -> Result<(Vec<Backup>, Vec<Error>)> {
    let (mut backups, mut findings) = (Vec::<Backup>::new(), Vec::new());
    for place in home.places_of_backups(installation)? {
        let (found, odd) = list(&place)?;
        // What somebody copied to another of them is one backup still.
        let news: Vec<Backup> = found.into_iter().filter(|it| backups.iter().all(|has| has.id() != it.id())).collect();
        backups.extend(news);
        findings.extend(odd);
    }
    in_order(&mut backups, &mut findings);
    backups.sort_by_key(|it| is_ahead(it.manifest.made_at, now));
    Ok((backups, findings))
}

/// Whether a date is of a clock that was wrong: so far ahead that no change of summer time or of place explains it.
pub fn is_ahead(at: DateTime<Utc>, now: DateTime<Utc>) -> bool {
    at > now + TimeDelta::days(1)
}

fn in_order(backups: &mut [Backup], findings: &mut [Error]) {
    // The name decides between two of the same moment, so that the order is always the same.
    backups.sort_unstable_by(|a, b| (b.manifest.made_at, &b.path).cmp(&(a.manifest.made_at, &a.path)));
    findings.sort_unstable_by(|a, b| a.message.cmp(&b.message));
}
