//! An export in one file: its folder packed into a zip, and what a zip holds laid out again.
//!
//! The zip appears under its name only when every file in it was unpacked again and is the one that lay in the folder. What
//! is laid out again is what the manifest names and nothing else, in a private folder that goes with what asked for it.

use std::collections::BTreeSet;
use std::fs::File as Disk;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use chrono::{DateTime, Datelike, Timelike, Utc};
use zip::result::ZipError;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

use super::manifest::{Entity, FileFormat, Manifest};
use super::{MANIFEST, README, not_an_export};
use crate::digest::Hashing;
use crate::durable;
use crate::error::{Error, Result};
use crate::ports::{Reporter, Unit};
use crate::process::Identity;
use crate::space;

const PURPOSE: &str = "unpacked export";
/// More is no manifest.
const LONGEST_MANIFEST: u64 = 64 << 20;

type Archive = ZipArchive<BufReader<Disk>>;

/// Packs the export in `folder` into the new file `to`, unpacks all of it again and compares.
///
/// # Errors
/// `export_differs`; what the disk or `reporter` answered.
pub(super) fn pack(folder: &Path, manifest: &Manifest, to: &Path, reporter: &dyn Reporter) -> Result<()> {
    let failed = |cause: ZipError| Error::io("write", to, &cause.into());
    let mut zip = ZipWriter::new(BufWriter::with_capacity(1 << 18, durable::create_private_file(to)?));
    let mut packed = Vec::new();
    let names = [README, MANIFEST].into_iter().map(ToOwned::to_owned).chain(files(manifest));
    let names: Vec<String> = names.chain(kept_files(folder, manifest)?).collect();
    for name in names {
        let path = folder.join(&name);
        let disk = durable::open_no_follow(&path)?;
        let bytes = disk.metadata().map_err(|cause| Error::io("read", &path, &cause))?.len();
        // A workbook is packed already.
        let is_packed = name.ends_with(FileFormat::Xlsx.extension()) || name.contains('/');
        let method = if is_packed { CompressionMethod::Stored } else { CompressionMethod::Deflated };
        let mut options = SimpleFileOptions::default()
            .compression_method(method)
            .unix_permissions(0o600)
            .large_file(bytes >= u64::from(u32::MAX) - (1 << 20));
        if let Some(moment) = moment(manifest.made_at) {
            options = options.last_modified_time(moment);
        }
        if !name.contains('/') {
            reporter.say(&format!("packing {name}"));
        }
        zip.start_file(&name, options).map_err(failed)?;
        let mut from = Hashing::new(disk);
        let copied = copy(&mut from, &mut zip, &mut |done| tell(reporter, done, bytes))?;
        copied.map_err(|cause| Error::io("pack", &path, &cause))?;
        let (_, sha256, bytes) = from.finish();
        packed.push((name, sha256, bytes));
    }
    let disk = zip.finish().map_err(failed)?.into_inner().map_err(|cause| Error::io("write", to, cause.error()))?;
    disk.sync_all().map_err(|cause| Error::io("write", to, &cause))?;
    compare(to, &packed, reporter)
}

fn compare(zip: &Path, packed: &[(String, String, u64)], reporter: &dyn Reporter) -> Result<()> {
    let mut archive = archive(zip)?;
    for (name, sha256, bytes) in packed {
        if !name.contains('/') {
            reporter.say(&format!("reading {name}"));
        }
        let entry = archive.by_name(name).map_err(|cause| damaged(zip, name).because(&cause))?;
        let mut from = Hashing::new(entry);
        copy(&mut from, &mut io::sink(), &mut |done| tell(reporter, done, *bytes))?
            .map_err(|cause| damaged(zip, name).because(&cause))?;
        let (_, seen, length) = from.finish();
        if (&seen, length) != (sha256, *bytes) {
            return Err(damaged(zip, name));
        }
    }
    Ok(())
}

/// The manifest of the export in a zip.
pub(super) fn manifest_of(zip: &Path) -> Result<Vec<u8>> {
    let mut archive = archive(zip)?;
    let name = format!("{}{MANIFEST}", prefix(&archive).ok_or_else(|| not_an_export(zip))?);
    read_manifest(zip, &mut archive, &name)
}

fn read_manifest(zip: &Path, archive: &mut Archive, name: &str) -> Result<Vec<u8>> {
    let entry = archive.by_name(name).map_err(|cause| damaged(zip, name).because(&cause))?;
    let mut text = Vec::new();
    let read = entry.take(LONGEST_MANIFEST + 1).read_to_end(&mut text);
    read.map_err(|cause| damaged(zip, name).because(&cause))?;
    if text.len() as u64 > LONGEST_MANIFEST { Err(not_an_export(zip)) } else { Ok(text) }
}

/// The folder that holds an export: the one that was named, or what a zip holds for as long as this lives.
#[derive(Debug)]
pub struct Opened {
    /// The folder.
    pub folder: PathBuf,
    made: bool,
}

impl Drop for Opened {
    fn drop(&mut self) {
        if self.made {
            // What is left of it bears our mark, and goes with the next one.
            let _ = durable::remove_tree_that_we_made(&self.folder, PURPOSE);
        }
    }
}

/// Lays out what `from` holds where that is a zip. `place` is a private folder for that.
///
/// # Errors
/// `not_an_export`, `damaged_zip`, `no_room`; what the disk or `reporter` answered.
pub fn opened(from: &Path, place: &Path, reporter: &dyn Reporter) -> Result<Opened> {
    if !from.is_file() {
        return Ok(Opened { folder: from.to_owned(), made: false });
    }
    forget_left(place);
    let manifest = super::open(from)?;
    let mut archive = archive(from)?;
    let prefix = prefix(&archive).ok_or_else(|| not_an_export(from))?;
    let folder = place.join(format!("{}-{}", std::process::id(), uuid::Uuid::now_v7().simple()));
    durable::create_marked_dir(&folder, PURPOSE)?;
    let opened = Opened { folder, made: true };
    let mut names: BTreeSet<String> = files(&manifest).into_iter().collect();
    // Only what lies flat in one folder is ours; what comes in is described beside it.
    names.extend([MANIFEST.to_owned(), "mapping.toml".to_owned()]);
    for (kept, ..) in manifest.entities.iter().flat_map(Entity::folders) {
        durable::create_private_dir(&super::check::path_of(&opened.folder, kept)?)?;
        let before = format!("{prefix}{kept}/");
        let inside = archive.file_names().filter_map(std::result::Result::ok);
        let inside = inside.filter(|it| it.starts_with(&before) && it.len() > before.len());
        names.extend(inside.map(|it| it[prefix.len()..].to_owned()));
    }
    for name in names {
        let path = match name.split_once('/') {
            Some((kept, name)) => super::check::path_of(&super::check::path_of(&opened.folder, kept)?, name)?,
            None => super::check::path_of(&opened.folder, &name)?,
        };
        let entry = match archive.by_name(&format!("{prefix}{name}")) {
            Ok(entry) => entry,
            // A person may have taken one of two forms out; who needs it says so.
            Err(ZipError::FileNotFound) => continue,
            Err(cause) => return Err(damaged(from, &name).because(&cause)),
        };
        let bytes = entry.size();
        space::Needs::new().add(&opened.folder, bytes, "to unpack the export").check()?;
        if !name.contains('/') {
            reporter.say(&format!("unpacking {name}"));
        }
        let mut to = BufWriter::with_capacity(1 << 18, durable::create_private_file(&path)?);
        // What says it is small and is not, is not written further.
        let mut from_entry = entry.take(bytes + 1);
        let copied = copy(&mut from_entry, &mut to, &mut |done| tell(reporter, done, bytes))?;
        let copied = copied.and_then(|written| to.flush().map(|()| written));
        match copied {
            Ok(written) if written == bytes => {}
            Ok(_) => return Err(damaged(from, &name)),
            Err(cause) => return Err(damaged(from, &name).because(&cause)),
        }
    }
    Ok(opened)
}

/// What a process that was killed had laid out goes with the next one that lays something out.
fn forget_left(place: &Path) {
    for entry in std::fs::read_dir(place).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let maker = name.split_once('-').and_then(|(id, _)| id.parse().ok());
        if maker.is_some_and(|id| Identity::of(id).is_none()) {
            let _ = durable::remove_tree_that_we_made(&entry.path(), PURPOSE);
        }
    }
}

/// The files of an export, each once.
pub fn files(manifest: &Manifest) -> BTreeSet<String> {
    let all = manifest.entities.iter().flat_map(|it| &it.files);
    all.flat_map(|it| std::iter::once(it.file.clone()).chain(it.beside.iter().map(|it| it.file.clone()))).collect()
}

/// The files that hold bytes, each below its folder, in their order.
fn kept_files(folder: &Path, manifest: &Manifest) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for (kept, ..) in manifest.entities.iter().flat_map(Entity::folders) {
        let path = super::check::path_of(folder, kept)?;
        let failed = |cause: &io::Error| Error::io("read", &path, cause);
        for entry in std::fs::read_dir(&path).map_err(|cause| failed(&cause))? {
            let name = entry.map_err(|cause| failed(&cause))?.file_name();
            names.push(format!("{kept}/{}", name.to_string_lossy()));
        }
    }
    names.sort_unstable();
    Ok(names)
}

fn archive(zip: &Path) -> Result<Archive> {
    let disk = durable::open_no_follow(zip)?;
    ZipArchive::new(BufReader::with_capacity(1 << 18, disk)).map_err(|cause| not_an_export(zip).because(&cause))
}

/// The folder inside the zip, where a person packed one: `shop/`.
fn prefix(archive: &Archive) -> Option<String> {
    let names = archive.file_names().filter_map(std::result::Result::ok);
    let mut found = names.filter_map(|it| it.strip_suffix(MANIFEST).map(ToOwned::to_owned));
    found.find(|it| it.is_empty() || (it.ends_with('/') && it.matches('/').count() == 1))
}

/// Copies, and asks on the way: an error outside is one to stop for.
fn copy(from: &mut dyn Read, to: &mut dyn Write, tell: &mut dyn FnMut(u64) -> Result<()>) -> Result<io::Result<u64>> {
    let mut buffer = vec![0; 1 << 18];
    let mut done = 0;
    loop {
        tell(done)?;
        match from.read(&mut buffer) {
            Ok(0) => return Ok(Ok(done)),
            Ok(read) => {
                if let Err(cause) = to.write_all(&buffer[..read]) {
                    return Ok(Err(cause));
                }
                done += read as u64;
            }
            Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
            Err(cause) => return Ok(Err(cause)),
        }
    }
}

fn tell(reporter: &dyn Reporter, done: u64, total: u64) -> Result<()> {
    reporter.moved(done, Some(total), Unit::Bytes);
    reporter.check()
}

fn moment(it: DateTime<Utc>) -> Option<zip::DateTime> {
    let small = |it: u32| u8::try_from(it).ok();
    zip::DateTime::from_date_and_time(
        u16::try_from(it.year()).ok()?,
        small(it.month())?,
        small(it.day())?,
        small(it.hour())?,
        small(it.minute())?,
        small(it.second())?,
    )
    .ok()
}

fn damaged(zip: &Path, name: &str) -> Error {
    Error::failed("damaged_zip", format!("{name} cannot be read out of {}.", zip.display()))
        .remedy("Take another copy of the zip, or unpack it with the programs of your system and name the folder.")
}
