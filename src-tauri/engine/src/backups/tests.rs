//! Real backups of a real SQLite file and a real folder.
#![cfg(unix)]

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use rusqlite::Connection;

use super::*;
use crate::durable;
use crate::ports::{Clock, Reporter, Unit};
use crate::seal::{KeyPlace, Keys, To};
use crate::stores::DataStore;
use crate::stores::files::FilesStore;
use crate::stores::sqlite::SqliteStore;

/// A clock that goes on by a second at each look.
struct Ticking(AtomicU32);
impl Clock for Ticking {
    fn now(&self) -> DateTime<Utc> {
        let second = i64::from(self.0.fetch_add(1, Ordering::Relaxed));
        DateTime::from_timestamp(1_795_230_000 + second, 0).unwrap()
    }
    fn since_boot(&self) -> Duration {
        Duration::ZERO
    }
    fn boot_id(&self) -> String {
        "boot".into()
    }
}

/// Says stop after so many questions.
struct Ear {
    left: AtomicU32,
}
impl Reporter for Ear {
    fn moved(&self, _: u64, _: Option<u64>, _: Unit) {}
    fn say(&self, _: &str) {}
    fn check(&self) -> Result<()> {
        let left = self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        left.map(|_| ()).map_err(|_| Error::failed("cancelled", "stop"))
    }
}
fn ear() -> Ear {
    Ear { left: AtomicU32::new(u32::MAX) }
}

struct World {
    dir: tempfile::TempDir,
    main: SqliteStore,
    uploads: FilesStore,
    clock: Ticking,
    keys: Keys,
}

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (db, files) = (dir.path().join("shop.db"), dir.path().join("uploads"));
        Connection::open(&db)
            .unwrap()
            .execute_batch(
                "PRAGMA journal_mode = wal; CREATE TABLE orders (id); INSERT INTO orders VALUES (1), (2), (3);",
            )
            .unwrap();
        fs::create_dir(&files).unwrap();
        fs::write(files.join("logo.png"), "logo").unwrap();
        Self {
            main: SqliteStore::new("main", db),
            uploads: FilesStore::new("uploads", files, false),
            clock: Ticking(AtomicU32::new(0)),
            keys: Keys::default(),
            dir,
        }
    }
    /// The folder first: a backup must put the database first all the same.
    fn stores(&self) -> [&dyn DataStore; 2] {
        [&self.uploads, &self.main]
    }
    fn root(&self) -> PathBuf {
        self.dir.path().join("home/backups/shop")
    }
    fn scratch(&self) -> PathBuf {
        self.dir.path().join("home/scratch")
    }
    fn try_create(&self, reporter: &dyn Reporter) -> Result<Backup> {
        let request = Request {
            root: &self.root(),
            installation: &"shop".parse().unwrap(),
            application: "Corner Shop",
            version: Some("1.0.0"),
            kind: BackupKind::Manual,
            note: "before the holidays",
            keys: &self.keys,
        };
        create(&request, &self.stores(), &self.clock, reporter)
    }
    fn create(&self) -> Backup {
        self.try_create(&ear()).unwrap()
    }
    fn prove(&self, backup: &Backup) -> Result<Trust> {
        prove(backup, &self.stores(), &self.scratch(), &self.keys, &self.clock, &ear())
    }
    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.root()).unwrap();
        entries.map(|it| it.unwrap().file_name().to_string_lossy().into_owned()).collect()
    }
}

fn class<T: std::fmt::Debug>(answer: Result<T>) -> String {
    answer.unwrap_err().class.into_owned()
}

#[test]
fn a_backup_holds_every_store_and_is_proven() {
    let world = World::new();
    let backup = world.create();
    assert_eq!(backup.grade, Grade::Taken);
    assert!(backup.path.file_name().unwrap().to_string_lossy().starts_with("2026-11-21T03-00-0"));
    let order: Vec<_> = backup.manifest.stores.iter().map(|it| it.store.as_str()).collect();
    assert_eq!(order, ["main", "uploads"], "databases first, files after");
    let trust = world.prove(&backup).unwrap();
    assert_eq!((trust.grade, trust.stores.len()), (Grade::Proven, 2));
    let again = open(&backup.path).unwrap();
    assert_eq!((again.grade_word(), again.proven_at), ("proven", Some(trust.at)));
    assert_eq!(again.manifest, backup.manifest);
    assert_eq!(fs::read_dir(world.scratch()).unwrap().count(), 0);
    let mut sums = std::process::Command::new("sha256sum");
    assert!(sums.args(["-c", "--quiet", "SHA256SUMS"]).current_dir(&backup.path).status().unwrap().success());
    for entry in fs::read_dir(&backup.path).unwrap() {
        assert_eq!(entry.unwrap().metadata().unwrap().permissions().mode() & 0o077, 0);
    }
    assert_eq!(fs::metadata(&backup.path).unwrap().permissions().mode() & 0o077, 0);
}

#[test]
fn backups_are_listed_newest_first_with_what_is_odd_beside_them() {
    let world = World::new();
    assert_eq!(list(&world.root()).unwrap(), (Vec::new(), Vec::new()));
    let (first, second) = (world.create(), world.create());
    fs::create_dir(world.root().join("empty")).unwrap();
    fs::write(world.root().join("a file"), "x").unwrap();
    symlink(&first.path, world.root().join("link")).unwrap();
    durable::create_marked_dir(&world.root().join(".partial-x"), PURPOSE).unwrap();
    let (backups, findings) = list(&world.root()).unwrap();
    assert_eq!(backups.iter().map(|it| &it.path).collect::<Vec<_>>(), [&second.path, &first.path]);
    let mut classes: Vec<_> = findings.iter().map(|it| it.class.as_ref()).collect();
    classes.sort_unstable();
    assert_eq!(classes, ["backup_incomplete", "not_ours", "not_ours"]);
    assert!(findings.iter().all(|it| !it.remedy.is_empty()));
}

#[test]
fn every_flipped_bit_is_found_and_the_grade_falls() {
    let world = World::new();
    let backup = world.create();
    for dumped in &backup.manifest.stores {
        let path = backup.path.join(&dumped.file);
        let whole = fs::read(&path).unwrap();
        for at in (0..whole.len()).step_by(whole.len() / 20 + 1) {
            let mut flipped = whole.clone();
            flipped[at] ^= 1 << (at % 8);
            fs::write(&path, flipped).unwrap();
            assert_eq!(class(world.prove(&backup)), "backup_damaged", "{} byte {at}", dumped.file);
        }
        let fallen = open(&backup.path).unwrap();
        assert_eq!((fallen.grade_word(), fallen.proven_at), ("failed", None));
        fs::write(&path, &whole).unwrap();
        assert_eq!(world.prove(&backup).unwrap().grade, Grade::Proven, "and rises again");
    }
}

#[test]
fn a_truncated_a_missing_and_a_lengthened_dump_are_found_without_reading_them() {
    let world = World::new();
    let backup = world.create();
    let path = backup.path.join(&backup.manifest.stores[0].file);
    let whole = fs::read(&path).unwrap();
    for bytes in [&whole[..whole.len() - 1], &whole[..0], &[whole.as_slice(), b"x"].concat()] {
        fs::write(&path, bytes).unwrap();
        assert_eq!(class(open(&backup.path)), "backup_damaged");
    }
    fs::remove_file(&path).unwrap();
    assert_eq!(class(open(&backup.path)), "backup_incomplete");
    assert_eq!(class(world.prove(&backup)), "backup_incomplete");
}

#[test]
fn an_edited_manifest_is_found_even_with_its_checksum_edited_too() {
    let world = World::new();
    let backup = world.create();
    world.prove(&backup).unwrap();
    let (manifest, sums) = (backup.path.join(MANIFEST), backup.path.join(SUMS));
    let edited = fs::read_to_string(&manifest).unwrap().replace("\"orders\": 3", "\"orders\": 2");
    fs::write(&manifest, &edited).unwrap();
    assert_eq!(class(open(&backup.path)), "backup_damaged");
    let forged =
        fs::read_to_string(&sums).unwrap().replace(&backup.manifest_sha256, &crate::digest::sha256(edited.as_bytes()));
    fs::write(&sums, forged).unwrap();
    let forged = open(&backup.path).unwrap();
    assert_eq!(forged.grade, Grade::Taken, "the proof spoke of another manifest");
    assert_eq!(class(world.prove(&forged)), "backup_differs");
    assert_eq!(class(check(&backup, &ear())), "backup_damaged");
}

#[test]
fn a_manifest_that_points_elsewhere_is_refused() {
    for file in ["../uploads.tar.gz", "/etc/passwd", ".hidden", "manifest.json", "a/b", "", "main.sqlite.gz/."] {
        let world = World::new();
        let mut backup = world.create();
        backup.manifest.stores[0].file = file.to_owned();
        let bytes = json(&backup.manifest).unwrap();
        fs::write(backup.path.join(MANIFEST), &bytes).unwrap();
        fs::write(backup.path.join(SUMS), format!("{}  {MANIFEST}\n", crate::digest::sha256(&bytes))).unwrap();
        assert_eq!(class(open(&backup.path)), "backup_hostile", "{file}");
    }
}

#[test]
fn a_removed_backup_is_gone_and_one_that_we_did_not_make_is_not_removed() {
    let world = World::new();
    let (first, second) = (world.create(), world.create());
    remove(&first).unwrap();
    assert_eq!(world.names(), [second.id()]);
    fs::remove_file(second.path.join(".liftlock-made")).unwrap();
    assert_eq!(class(remove(&second)), "not_ours");
    assert_eq!(world.names(), [second.id()]);
}

#[test]
fn a_removal_that_was_cut_short_leaves_no_half_backup() {
    let world = World::new();
    let backup = world.create();
    // What a power cut after the first step leaves.
    fs::rename(&backup.path, world.root().join(format!("{PARTIAL}{}", backup.id()))).unwrap();
    assert_eq!(list(&world.root()).unwrap(), (Vec::new(), Vec::new()));
    clear_unfinished(&world.root()).unwrap();
    assert!(world.names().is_empty());
}

#[test]
fn a_pin_stays_until_it_is_taken_out() {
    let world = World::new();
    let backup = world.create();
    pin(&backup.path).unwrap();
    assert!(open(&backup.path).unwrap().pinned);
    world.prove(&backup).unwrap();
    unpin(&backup.path).unwrap();
    unpin(&backup.path).unwrap();
    assert!(!open(&backup.path).unwrap().pinned);
}

#[test]
fn a_grade_that_fell_remembers_when_it_was_earned() {
    let world = World::new();
    let backup = world.create();
    let earned = world.prove(&backup).unwrap().at;
    let path = backup.path.join(&backup.manifest.stores[0].file);
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&path, bytes).unwrap();
    // Twice: the second failure must not forget what the first one noted.
    for _ in 0..2 {
        assert_eq!(class(world.prove(&open(&backup.path).unwrap())), "backup_damaged");
        let fallen = open(&backup.path).unwrap();
        assert_eq!((fallen.grade_word(), fallen.proven_at, fallen.was_proven_at), ("failed", None, Some(earned)));
    }
}

#[test]
fn links_in_the_place_of_a_backup_or_its_files_are_not_followed() {
    let world = World::new();
    let backup = world.create();
    let moved = world.dir.path().join("moved");
    fs::rename(&backup.path, &moved).unwrap();
    symlink(&moved, &backup.path).unwrap();
    assert_eq!(class(open(&backup.path)), "not_ours");
    assert_eq!(class(world.prove(&backup)), "not_ours");
    assert!(!moved.join(PROOF).exists(), "nothing is written through the link");
    fs::remove_file(&backup.path).unwrap();
    fs::rename(&moved, &backup.path).unwrap();
    let dump = backup.path.join(&backup.manifest.stores[1].file);
    let outside = world.dir.path().join("outside.tar.gz");
    fs::rename(&dump, &outside).unwrap();
    symlink(&outside, &dump).unwrap();
    assert_eq!(class(open(&backup.path)), "not_ours");
}

/// Somebody who may write there puts a link in the place of the folder while it is written to.
#[test]
fn a_folder_that_is_exchanged_in_mid_run_is_refused_and_nothing_is_written_where_it_leads() {
    struct Exchanging {
        root: PathBuf,
        outside: PathBuf,
    }
    impl Reporter for Exchanging {
        fn moved(&self, _: u64, _: Option<u64>, _: Unit) {}
        fn say(&self, _: &str) {}
        fn check(&self) -> Result<()> {
            let names = fs::read_dir(&self.root).unwrap().map(|it| it.unwrap().path());
            // One of two stores is written.
            let is_written = |it: &Path| it.join("main.sqlite.gz").exists() && !it.join("main.sqlite.part").exists();
            let partial = names.into_iter().find(|it| !it.is_symlink() && is_written(it));
            if let Some(partial) = partial {
                fs::rename(&partial, self.outside.with_extension("moved")).unwrap();
                symlink(&self.outside, &partial).unwrap();
            }
            Ok(())
        }
    }
    let world = World::new();
    let outside = world.dir.path().join("outside");
    fs::create_dir(&outside).unwrap();
    let exchanging = Exchanging { root: world.root(), outside: outside.clone() };
    let refused = world.try_create(&exchanging).unwrap_err();
    assert!(outside.with_extension("moved").exists(), "it was exchanged");
    assert!(refused.class == "not_ours" && !refused.remedy.is_empty(), "{refused:?}");
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 0, "something was written through the link");
    let (backups, findings) = list(&world.root()).unwrap();
    assert_eq!((backups.len(), findings.len()), (0, 0), "{backups:?} {findings:?}");
    // One that is a real folder, and ours even, is seen too.
    let held = world.dir.path().join("held");
    fs::create_dir(&held).unwrap();
    fs::set_permissions(&held, PermissionsExt::from_mode(0o700)).unwrap();
    let before = durable::Held::at(&held).unwrap();
    fs::rename(&held, world.dir.path().join("held before")).unwrap();
    fs::create_dir(&held).unwrap();
    fs::set_permissions(&held, PermissionsExt::from_mode(0o700)).unwrap();
    assert_eq!(class(before.expect_at(&held)), "not_ours");
}

#[test]
fn garbage_and_newer_manifests_are_told_apart() {
    let world = World::new();
    let backup = world.create();
    for (text, expected) in [
        ("", "backup_unreadable"),
        ("[]", "backup_unreadable"),
        ("{\"format\": 9}", "backup_newer"),
        ("\u{0}", "backup_unreadable"),
    ] {
        fs::write(backup.path.join(MANIFEST), text).unwrap();
        assert_eq!(class(open(&backup.path)), expected, "{text:?}");
    }
}

#[test]
fn stop_is_heard_anywhere_and_leaves_nothing() {
    let world = World::new();
    let all = {
        let ear = ear();
        world.try_create(&ear).unwrap();
        u32::MAX - ear.left.load(Ordering::Relaxed)
    };
    assert!(all > 4);
    for left in 0..all {
        assert_eq!(class(world.try_create(&Ear { left: AtomicU32::new(left) })), "cancelled", "after {left} of {all}");
    }
    assert_eq!(world.names().len(), 1, "{:?}", world.names());
}

#[test]
fn what_a_killed_backup_left_is_cleared_by_the_next_one_and_nothing_else_is() {
    let world = World::new();
    let left = world.root().join(".partial-2026-01-01T00-00-00Z-abcdef");
    durable::create_marked_dir(&left, PURPOSE).unwrap();
    fs::write(left.join("main.sqlite.gz"), "half").unwrap();
    let not_ours = world.root().join(".partial-by-somebody");
    fs::create_dir(&not_ours).unwrap();
    world.create();
    assert!(!left.exists() && not_ours.exists());
}

#[test]
fn being_kept_from_looking_costs_no_grade() {
    let world = World::new();
    let backup = world.create();
    world.prove(&backup).unwrap();
    let stopped =
        prove(&backup, &world.stores(), &world.scratch(), &world.keys, &world.clock, &Ear { left: AtomicU32::new(3) });
    assert_eq!(class(stopped), "cancelled");
    let unknown = prove(&backup, &[&world.main], &world.scratch(), &world.keys, &world.clock, &ear());
    assert_eq!(class(unknown), "store_unknown");
    assert_eq!(open(&backup.path).unwrap().grade, Grade::Proven);
}

#[test]
fn reading_earns_a_grade_of_its_own_and_takes_none_that_was_earned_or_lost() {
    let world = World::new();
    let read =
        |backup: &Backup| read_through(backup, &world.stores(), &world.scratch(), &world.keys, &world.clock, &ear());
    let backup = world.create();
    let trust = read(&backup).unwrap();
    assert_eq!((trust.grade, trust.stores.len()), (Grade::Readable, 2));
    let again = open(&backup.path).unwrap();
    assert_eq!((again.grade_word(), again.proven_at), ("readable", None));
    assert!(!world.scratch().exists(), "nothing is unpacked for it");

    world.prove(&again).unwrap();
    let proven = open(&backup.path).unwrap();
    read(&proven).unwrap();
    let still = open(&backup.path).unwrap();
    assert_eq!((still.grade_word(), still.proven_at), ("proven", proven.proven_at));

    let path = backup.path.join("uploads.tar.gz");
    let whole = fs::read(&path).unwrap();
    fs::write(&path, noise(whole.len())).unwrap();
    assert_eq!(class(read(&proven)), "backup_damaged");
    fs::write(&path, whole).unwrap();
    read(&open(&backup.path).unwrap()).unwrap();
    let fallen = open(&backup.path).unwrap();
    assert_eq!((fallen.grade_word(), fallen.was_proven_at), ("failed", proven.proven_at));
}

#[test]
fn what_was_written_wrong_is_not_readable_whatever_its_checksum_says() {
    let world = World::new();
    let backup = world.create();
    for store in world.stores() {
        let dumped = backup.dumped(store.name()).unwrap();
        store.read_through(dumped, &backup.path, &ear()).unwrap();
        let (whole, other) = (fs::read(backup.path.join(&dumped.file)).unwrap(), tempfile::tempdir().unwrap());
        for wrong in [&whole[..whole.len() / 2], &whole[..whole.len() - 1], &noise(whole.len())[..], b""] {
            fs::write(other.path().join(&dumped.file), wrong).unwrap();
            let told = store.read_through(dumped, other.path(), &ear()).unwrap_err();
            assert!(speaks_of_the_backup(&told) && !told.remedy.is_empty(), "{}: {told:?}", store.name());
        }
        let longer = Dumped { raw_bytes: dumped.raw_bytes + 1, ..dumped.clone() };
        assert!(speaks_of_the_backup(&store.read_through(&longer, &backup.path, &ear()).unwrap_err()));
    }
}

#[test]
fn what_cannot_be_restored_for_lack_of_room_is_read_at_least() {
    let world = World::new();
    fs::write(world.dir.path().join("uploads/big"), noise(6 << 20)).unwrap();
    let Some(_disk) = SmallDisk::at(&world.scratch(), 2) else { return };
    let backup = world.create();
    let told = world.prove(&backup).unwrap_err();
    assert!(told.class == "no_room" && told.details.iter().any(|it| it.contains("readable")), "{told:?}");
    assert_eq!(open(&backup.path).unwrap().grade_word(), "readable");

    // Where reading finds that it is bad, that is what is said.
    let bad = world.create();
    let path = bad.path.join("uploads.tar.gz");
    let whole = fs::read(&path).unwrap();
    fs::write(&path, noise(whole.len())).unwrap();
    assert_eq!(class(world.prove(&bad)), "backup_damaged");
    // One that has failed a test is not called readable, whatever lies there now.
    fs::write(&path, whole).unwrap();
    let told = world.prove(&open(&bad.path).unwrap()).unwrap_err();
    assert!(!told.details.iter().any(|it| it.contains("readable")), "{told:?}");
    assert_eq!(open(&bad.path).unwrap().grade_word(), "failed");
}

/// A small disk of its own in memory, where we may mount one.
struct SmallDisk(PathBuf);
impl SmallDisk {
    fn at(path: &Path, megabytes: u32) -> Option<Self> {
        fs::create_dir_all(path).unwrap();
        let options = format!("size={megabytes}m,mode=0700");
        let mounted =
            std::process::Command::new("mount").args(["-t", "tmpfs", "-o", &options, "none"]).arg(path).status();
        mounted.is_ok_and(|it| it.success()).then(|| Self(path.to_owned()))
    }
}
impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// Fills a disk as soon as something has begun to write.
struct Filling {
    others: PathBuf,
    bytes: usize,
    is_full: AtomicU32,
}
impl Filling {
    fn with(others: &Path, megabytes: usize) -> Self {
        Self { others: others.to_owned(), bytes: megabytes << 20, is_full: AtomicU32::new(0) }
    }
}
impl Reporter for Filling {
    fn moved(&self, done: u64, _: Option<u64>, _: Unit) {
        if done > 2 << 20 && self.is_full.swap(1, Ordering::Relaxed) == 0 {
            let _ = fs::write(&self.others, vec![1; self.bytes]);
        }
    }
    fn say(&self, _: &str) {}
    fn check(&self) -> Result<()> {
        Ok(())
    }
}

/// `noise` that no compression makes smaller.
fn noise(bytes: usize) -> Vec<u8> {
    let mut state = 1_u64;
    (0..bytes)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 56) as u8
        })
        .collect()
}

#[test]
fn a_disk_that_is_too_small_refuses_before_anything_is_written() {
    let world = World::new();
    let Some(_disk) = SmallDisk::at(&world.root(), 40) else { return };
    fs::write(world.dir.path().join("uploads/big"), noise(20 << 20)).unwrap();
    let refused = world.try_create(&ear()).unwrap_err();
    assert_eq!((refused.class.as_ref(), refused.kind), ("no_room", crate::error::Kind::Refused));
    assert!(world.names().is_empty());
}

#[test]
fn a_disk_that_fills_up_meanwhile_ends_it_with_nothing_left_behind() {
    let world = World::new();
    let Some(_disk) = SmallDisk::at(&world.root(), 60) else { return };
    let big = world.dir.path().join("uploads/big");
    fs::write(&big, noise(20 << 20)).unwrap();
    let filler = world.root().join("others");
    let full = world.try_create(&Filling::with(&filler, 60)).unwrap_err();
    assert_eq!(full.class, "disk_full");
    assert_eq!(world.names(), ["others"]);
    fs::remove_file(filler).unwrap();
    world.prove(&world.create()).unwrap();
}

mod copied;
mod sealed;
