//! Making a backup: everything into a folder without a name, then one rename.

use std::{cell::RefCell, collections::BTreeMap, path::Path, time::Instant};

use chrono::DateTime;
use uuid::Uuid;

use crate::backups::sealed::seal;
use crate::backups::{
    Backup, BackupKind, FORMAT, FORMAT_SEALED, MANIFEST, Manifest, Origin, PARTIAL, PURPOSE, SUMS, json, kit, list,
    open, pin,
};
use crate::digest;
use crate::durable::{self, Held};
use crate::error::{Error, Result};
use crate::model::ids::InstallationName;
use crate::pace::{Part, shares};
use crate::ports::{Clock, Reporter};
use crate::seal::Keys;
use crate::space::Needs;
use crate::stores::{DataStore, Dumped, Grade, StoreKind};

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
    /// How it is encrypted, if at all.
    pub keys: &'r Keys,
}

/// Dumps every store into a new backup, databases first and files after, so that no row names a file that is not
/// there. The application may be up. The caller holds the lease of the installation.
///
/// # Errors
/// `no_room` before anything is written; what a store or the disk answered. Then nothing is left behind.
pub fn create(
    request: &Request<'_>,
    stores: &[&dyn DataStore],
    clock: &dyn Clock,
    reporter: &dyn Reporter,
) -> Result<Backup> {
    let mut dump = |store: &dyn DataStore, into: &Path, reporter: &dyn Reporter| store.dump(into, reporter);
    make(request, stores, clock, reporter, &mut dump, &mut |_| {})
}

/// As [`create`], with the store called `store` as it is in `file`, which somebody else made, and not as it is here. The
/// backup is dated as the file is, and kept until a person says otherwise.
///
/// # Errors
/// As [`create`]; as [`DataStore::dump_of_file`].
pub fn adopt(
    request: &Request<'_>,
    stores: &[&dyn DataStore],
    (store, file, may_run): (&str, &Path, bool),
    scratch: &Path,
    clock: &dyn Clock,
    reporter: &dyn Reporter,
) -> Result<Backup> {
    let found = RefCell::new(None);
    let mut dump = |it: &dyn DataStore, into: &Path, reporter: &dyn Reporter| {
        if it.name() != store {
            return it.dump(into, reporter);
        }
        let (dumped, seen) = it.dump_of_file(file, may_run, (into, scratch), reporter)?;
        *found.borrow_mut() = Some(seen);
        Ok(dumped)
    };
    let now = clock.now();
    let made = make(request, stores, clock, reporter, &mut dump, &mut |manifest: &mut Manifest| {
        let Some(found) = found.borrow_mut().take() else { return };
        // A date from somebody else's clock is only believed where it can be true.
        let begin = DateTime::from_timestamp(946_684_800, 0).unwrap_or_default();
        manifest.made_at = found.made_at.filter(|it| (begin..=now).contains(it)).unwrap_or(now);
        manifest.origin = Some(Origin {
            file: file.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            store: store.to_owned(),
            kind: found.kind,
            server_version: found.server_version,
            brought_in_at: now,
        });
    })?;
    pin(&made.path)?;
    open(&made.path)
}

/// How a store is written into a folder.
type Dump<'d> = &'d mut dyn FnMut(&dyn DataStore, &Path, &dyn Reporter) -> Result<Dumped>;

fn make(
    request: &Request<'_>,
    stores: &[&dyn DataStore],
    clock: &dyn Clock,
    reporter: &dyn Reporter,
    dump: Dump<'_>,
    describe: &mut dyn FnMut(&mut Manifest),
) -> Result<Backup> {
    durable::create_private_dir(request.root)?;
    clear_unfinished(request.root)?;
    let mut needed = Needs::new();
    let expected = needs(request.root, stores, &mut needed, reporter)?;
    if request.keys.seals() {
        // A key that is not there is found before anything is written.
        request.keys.are_at_hand()?;
        // A dump lies beside its encrypted form for a moment.
        needs(request.root, stores, &mut needed, reporter)?;
    }
    needed.check()?;
    let (made_at, since) = (clock.now(), Instant::now());
    let id = Uuid::now_v7().simple().to_string();
    let partial = request.root.join(format!("{PARTIAL}{id}"));
    durable::create_marked_dir(&partial, PURPOSE)?;
    let held = Held::at(&partial)?;
    let made = dump_all(request, (stores, &expected), (&partial, &held), reporter, dump).and_then(|dumps| {
        let mut manifest = Manifest {
            format: if request.keys.seals() { FORMAT_SEALED } else { FORMAT },
            liftlock: env!("CARGO_PKG_VERSION").to_owned(),
            installation: request.installation.clone(),
            application: request.application.to_owned(),
            version: request.version.map(ToOwned::to_owned),
            kind: request.kind,
            note: request.note.to_owned(),
            made_at,
            seconds: since.elapsed().as_secs_f64(),
            stores: dumps,
            origin: None,
        };
        describe(&mut manifest);
        let name = format!("{}-{}", manifest.made_at.format("%Y-%m-%dT%H-%M-%SZ"), &id[id.len() - 6..]);
        held.expect_at(&partial)?;
        let manifest_sha256 = write(&partial, &manifest)?;
        durable::fsync_dir(&partial)?;
        let path = request.root.join(&name);
        durable::rename_new(&partial, &path)?;
        held.expect_at(&path)?;
        Ok(Backup {
            path,
            manifest,
            manifest_sha256,
            grade: Grade::Taken,
            proven_at: None,
            failed: None,
            was_proven_at: None,
            pinned: false,
        })
    });
    if made.is_err() {
        // The reason why there is no backup matters more than what is left of it, which the next one clears away.
        let _ = durable::remove_tree_that_we_made(&partial, PURPOSE);
    }
    made
}

fn dump_all(
    request: &Request<'_>,
    (stores, expected): (&[&dyn DataStore], &BTreeMap<String, u64>),
    (partial, held): (&Path, &Held<'_>),
    reporter: &dyn Reporter,
    dump: Dump<'_>,
) -> Result<Vec<Dumped>> {
    let mut dumps = Vec::with_capacity(stores.len());
    let mut ordered = stores.to_vec();
    ordered.sort_by_key(|it| it.kind() == StoreKind::Files);
    let weights: Vec<u64> = ordered.iter().map(|it| expected.get(it.name()).copied().unwrap_or_default()).collect();
    for ((store, weight), share) in ordered.into_iter().zip(&weights).zip(shares(&weights)) {
        reporter.check()?;
        held.expect_at(partial)?;
        let reporter = &Part::begin(reporter, share, Some(*weight));
        let dumped = dump(store, partial, reporter)?;
        expect_on_disk(partial, &dumped.file, dumped.bytes)?;
        let dumped = if request.keys.seals() { seal(partial, dumped, request.keys, reporter)? } else { dumped };
        expect_on_disk(partial, &dumped.file, dumped.bytes)?;
        dumps.push(dumped);
    }
    Ok(dumps)
}

/// Writes what stands beside the dumps; answers with the checksum of the manifest.
fn write(partial: &Path, manifest: &Manifest) -> Result<String> {
    let bytes = json(manifest)?;
    let manifest_sha256 = digest::sha256(&bytes);
    durable::write(&partial.join(MANIFEST), &bytes)?;
    let sums: String = sums(manifest, &manifest_sha256).map(|it| it + "\n").collect();
    durable::write(&partial.join(SUMS), sums.as_bytes())?;
    kit::write(partial, manifest)?;
    Ok(manifest_sha256)
}

/// The lines by which standard tools check a backup.
pub(super) fn sums(manifest: &Manifest, manifest_sha256: &str) -> impl Iterator<Item = String> {
    let line = |sha256: &str, file: &str| format!("{sha256}  {file}");
    let dumps = manifest.stores.iter().map(move |it| line(&it.sha256, &it.file));
    let globals = manifest.stores.iter().filter_map(Dumped::globals).map(move |it| line(&it.sha256, &it.file));
    dumps.chain(globals).chain([line(manifest_sha256, MANIFEST)])
}

/// A store says what it wrote; that it lies there is seen here.
fn expect_on_disk(partial: &Path, file: &str, bytes: u64) -> Result<()> {
    let path = partial.join(file);
    let there = durable::open_ours(&path)?.metadata().map_err(|cause| Error::io("look at", &path, &cause))?.len();
    if there == bytes {
        return Ok(());
    }
    Err(Error::bug("dump_size", format!("The dump {file} has {there} bytes on disk and said that it has {bytes}.")))
}

/// Adds what a backup of `stores` below `root` will need: as much as the last one and a quarter more, or, for the first
/// one, what the stores hold. A database is written compressed, so half of it is enough. Answers how many bytes will have to
/// be read of each store, by its name.
///
/// # Errors
/// A store cannot be asked.
pub fn needs(
    root: &Path,
    stores: &[&dyn DataStore],
    needed: &mut Needs,
    reporter: &dyn Reporter,
) -> Result<BTreeMap<String, u64>> {
    let last = list(root)?.0.into_iter().next();
    let mut expected = BTreeMap::new();
    for store in stores {
        let size = store.size(reporter)?;
        let before = last.as_ref().and_then(|it| it.dumped(store.name()).ok());
        expected.insert(store.name().to_owned(), before.map_or(size, |it| it.raw_bytes));
        let dump = match before.map(|it| it.bytes) {
            Some(before) => before.saturating_add(before / 4).min(size),
            None if store.kind() == StoreKind::Files => size,
            None => size / 2,
        };
        // A SQLite file is first copied whole, in one snapshot, and then compressed.
        let copy = if store.kind() == StoreKind::Sqlite { size } else { 0 };
        needed.add(root, dump.saturating_add(copy), format!("the backup of “{}”", store.name()));
    }
    Ok(expected)
}

/// Removes what backups that were cut short left below `root`. The caller holds the lease, so none is being made.
///
/// # Errors
/// What the disk answered.
pub fn clear_unfinished(root: &Path) -> Result<()> {
    for path in durable::entries(root)? {
        if is_partial(&path) && durable::is_marked(&path, PURPOSE) {
            durable::remove_tree_that_we_made(&path, PURPOSE)?;
        }
    }
    Ok(())
}

pub(super) fn is_partial(path: &Path) -> bool {
    path.file_name().is_some_and(|it| it.to_string_lossy().starts_with(PARTIAL))
}
