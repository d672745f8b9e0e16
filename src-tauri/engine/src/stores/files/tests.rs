//! Real folders, with everything that people put into them.
#![cfg(unix)]

use std::{
    os::unix::{
        ffi::OsStrExt,
        fs::{MetadataExt, PermissionsExt, symlink},
    },
    sync::Mutex,
    time::{Duration, UNIX_EPOCH},
};

use super::*;
use crate::digest;
use crate::ports::Unit;

/// Remembers what it was told, and says stop after so many questions.
#[derive(Default)]
struct Ear {
    said: Mutex<Vec<String>>,
    moved: Mutex<u64>,
    on_move: Option<Box<dyn Fn() + Send + Sync>>,
    stop_after: Option<u64>,
    asked: Mutex<u64>,
}

impl Reporter for Ear {
    fn moved(&self, done: u64, _: Option<u64>, unit: Unit) {
        assert_eq!(unit, Unit::Bytes);
        let mut moved = self.moved.lock().unwrap();
        *moved = done.max(*moved);
        if let Some(act) = &self.on_move {
            act();
        }
    }
    fn say(&self, line: &str) {
        self.said.lock().unwrap().push(line.to_owned());
    }
    fn check(&self) -> Result<()> {
        let mut asked = self.asked.lock().unwrap();
        *asked += 1;
        match self.stop_after {
            Some(after) if *asked > after => Err(Error::failed("cancelled", "stop")),
            _ => Ok(()),
        }
    }
}

struct World {
    dir: tempfile::TempDir,
    store: FilesStore,
}

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let uploads = dir.path().join("uploads");
        fs::create_dir(&uploads).unwrap();
        fs::create_dir(dir.path().join("backup")).unwrap();
        let store = FilesStore::new("uploads", &uploads, false);
        Self { dir, store }
    }
    fn full() -> Self {
        let world = Self::new();
        let root = world.root();
        fs::create_dir_all(root.join("2026/11")).unwrap();
        fs::create_dir(root.join("empty")).unwrap();
        fs::write(root.join("logo.png"), "logo").unwrap();
        fs::write(root.join("2026/11/invoice.pdf"), vec![7; 3 << 20]).unwrap();
        fs::write(root.join("2026/nothing"), "").unwrap();
        fs::write(root.join(std::ffi::OsStr::from_bytes(b"caf\xe9")), "latin").unwrap();
        fs::write(root.join("x".repeat(200)), "long name").unwrap();
        fs::write(root.join(std::ffi::OsStr::from_bytes(&[0xe9; 150])), "long and no text").unwrap();
        fs::create_dir_all(root.join("d".repeat(120)).join("e".repeat(120))).unwrap();
        fs::write(root.join("d".repeat(120)).join("e".repeat(120)).join("deep"), "deep").unwrap();
        symlink("2026/11/invoice.pdf", root.join("newest")).unwrap();
        symlink("./gone//away/", root.join("dangling")).unwrap();
        symlink("/etc/passwd", root.join("outside")).unwrap();
        symlink("z".repeat(300), root.join("long link")).unwrap();
        fs::set_permissions(root.join("logo.png"), fs::Permissions::from_mode(0o640)).unwrap();
        fs::set_permissions(root.join("empty"), fs::Permissions::from_mode(0o2775)).unwrap();
        let locked = root.join("read only");
        fs::create_dir(&locked).unwrap();
        fs::write(locked.join("file"), "kept").unwrap();
        fs::set_permissions(&locked, fs::Permissions::from_mode(0o555)).unwrap();
        let old = UNIX_EPOCH + Duration::from_secs(1_000_000_000);
        let file = fs::File::options().write(true).open(root.join("logo.png")).unwrap();
        file.set_times(fs::FileTimes::new().set_modified(old)).unwrap();
        world
    }
    fn root(&self) -> PathBuf {
        self.store.dir().unwrap().to_owned()
    }
    fn backup(&self) -> PathBuf {
        self.dir.path().join("backup")
    }
    fn scratch(&self) -> PathBuf {
        self.dir.path().join("scratch")
    }
    fn digest(&self, dir: &Path) -> String {
        tree::list(dir, &Ear::default()).unwrap().digest()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        copy::make_removable(self.dir.path());
    }
}

#[test]
fn a_folder_is_dumped_and_proven_with_all_it_holds() {
    let world = World::full();
    let ear = Ear::default();
    let dumped = world.store.dump(&world.backup(), &ear).unwrap();
    assert_eq!(dumped.sha256, digest::sha256(&fs::read(world.backup().join("uploads.tar.gz")).unwrap()));
    assert!(*ear.moved.lock().unwrap() >= 3 << 20);
    assert_eq!((dumped.counts["."], dumped.counts["2026"], dumped.counts["empty"]), (8, 2, 0));
    let proof = world.store.prove(&dumped, &world.backup(), &world.scratch(), &ear).unwrap();
    assert_eq!(proof.grade, Grade::Proven);
    assert_eq!(fs::read_dir(world.scratch()).unwrap().count(), 0, "the proof is thrown away");
}

#[test]
fn standard_tar_reads_the_archive() {
    let world = World::full();
    let dumped = world.store.dump(&world.backup(), &Ear::default()).unwrap();
    let out = world.dir.path().join("out");
    fs::create_dir(&out).unwrap();
    let tar = std::process::Command::new("tar")
        .args(["-xzpf".as_ref(), world.backup().join(&dumped.file).as_os_str(), "-C".as_ref(), out.as_os_str()])
        .status()
        .unwrap();
    assert!(tar.success());
    assert_eq!(world.digest(&out), dumped.facts["tree_sha256"]);
}

#[test]
fn permissions_and_times_come_back() {
    let world = World::full();
    let dumped = world.store.dump(&world.backup(), &Ear::default()).unwrap();
    let sandbox = world.store.sandbox(&dumped, &world.backup(), &world.scratch(), &Ear::default()).unwrap();
    let Place::Path(copy) = sandbox.place() else { panic!("a path") };
    let logo = fs::metadata(copy.join("logo.png")).unwrap();
    assert_eq!((logo.mode() & 0o7777, logo.mtime()), (0o640, 1_000_000_000));
    assert_eq!(fs::metadata(copy.join("empty")).unwrap().mode() & 0o7777, 0o2775);
    assert_eq!(sandbox.counts(&Ear::default()).unwrap(), dumped.counts);
    drop(sandbox);
    assert!(!copy.exists());
}

fn raw(packed: &[u8]) -> Vec<u8> {
    let mut raw = Vec::new();
    std::io::Read::read_to_end(&mut gzip::reader(packed), &mut raw).unwrap();
    raw
}

#[test]
fn flipped_and_truncated_archives_are_never_proven() {
    let world = World::full();
    let dumped = world.store.dump(&world.backup(), &Ear::default()).unwrap();
    let path = world.backup().join(&dumped.file);
    let whole = fs::read(&path).unwrap();
    for part in 0..24 {
        let at = whole.len() * part / 24 + part;
        let mut flipped = whole.clone();
        flipped[at] ^= 0x10;
        fs::write(&path, &flipped).unwrap();
        let proven = world.store.prove(&dumped, &world.backup(), &world.scratch(), &Ear::default());
        // Some bits of a compressed file do not matter (dates of members, distances within a run): then all is there.
        if proven.is_ok() {
            assert!(raw(&flipped) == raw(&whole), "byte {at}");
        }
        fs::write(&path, &whole[..at]).unwrap();
        let error = world.store.prove(&dumped, &world.backup(), &world.scratch(), &Ear::default()).unwrap_err();
        assert!(matches!(error.class.as_ref(), "backup_unreadable" | "backup_differs"), "cut at {at}: {error:?}");
    }
    assert_eq!(fs::read_dir(world.scratch()).unwrap().count(), 0);
}

fn evil(build: impl FnOnce(&mut tar::Builder<Vec<u8>>)) -> (Vec<u8>, u64) {
    let mut builder = tar::Builder::new(Vec::new());
    build(&mut builder);
    let mut gzip = gzip::BlockGzip::new(Vec::new(), 1).unwrap();
    std::io::Write::write_all(&mut gzip, &builder.into_inner().unwrap()).unwrap();
    let (bytes, written) = gzip.finish().unwrap();
    (bytes, written.raw_bytes)
}

fn entry(builder: &mut tar::Builder<Vec<u8>>, name: &str, kind: tar::EntryType, link: &str, data: &[u8]) {
    let mut header = tar::Header::new_gnu();
    header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
    header.as_old_mut().linkname[..link.len()].copy_from_slice(link.as_bytes());
    header.set_entry_type(kind);
    header.set_size(data.len() as u64);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_cksum();
    builder.append(&header, data).unwrap();
}

#[test]
fn a_hostile_archive_in_the_place_of_ours_writes_nothing_outside() {
    use tar::EntryType as T;
    let archives = [
        evil(|it| entry(it, "../escaped", T::Regular, "", b"x")),
        evil(|it| entry(it, "/tmp/liftlock-escaped", T::Regular, "", b"x")),
        evil(|it| entry(it, "a/../../escaped", T::Regular, "", b"x")),
        evil(|it| entry(it, "hard", T::Link, "/etc/passwd", b"")),
        evil(|it| entry(it, "device", T::Char, "", b"")),
        evil(|it| entry(it, "pipe", T::Fifo, "", b"")),
        evil(|it| {
            entry(it, "way", T::Symlink, "..", b"");
            entry(it, "way/escaped", T::Regular, "", b"x");
        }),
        evil(|it| {
            entry(it, "same", T::Symlink, "../escaped", b"");
            entry(it, "same", T::Regular, "", b"x");
        }),
        (evil(|it| entry(it, "big", T::Regular, "", &[0; 1 << 16])).0, 2048),
    ];
    let world = World::new();
    fs::write(world.root().join("a"), "a").unwrap();
    let mut dumped = world.store.dump(&world.backup(), &Ear::default()).unwrap();
    for (number, (archive, raw_bytes)) in archives.iter().enumerate() {
        dumped.raw_bytes = *raw_bytes;
        fs::write(world.backup().join(&dumped.file), archive).unwrap();
        let refused = world.store.prove(&dumped, &world.backup(), &world.scratch(), &Ear::default());
        assert!(refused.is_err(), "archive {number}");
        assert!(!world.dir.path().join("escaped").exists() && !world.scratch().join("escaped").exists(), "{number}");
        assert!(!Path::new("/tmp/liftlock-escaped").exists());
    }
}

#[test]
fn a_file_that_changes_while_it_is_read_is_read_again() {
    let world = World::new();
    let path = world.root().join("growing.csv");
    fs::write(&path, vec![b'a'; 1 << 20]).unwrap();
    let writer = path.clone();
    let once = Mutex::new(false);
    let ear = Ear {
        on_move: Some(Box::new(move || {
            let mut done = once.lock().unwrap();
            if !std::mem::replace(&mut *done, true) {
                fs::write(&writer, "all new").unwrap();
            }
        })),
        ..Ear::default()
    };
    let dumped = world.store.dump(&world.backup(), &ear).unwrap();
    let sandbox = world.store.sandbox(&dumped, &world.backup(), &world.scratch(), &Ear::default()).unwrap();
    let Place::Path(copy) = sandbox.place() else { panic!("a path") };
    assert_eq!(fs::read(copy.join("growing.csv")).unwrap(), b"all new");
}

#[test]
fn a_file_that_only_grows_is_kept_as_far_as_it_was_read_and_one_that_never_rests_fails() {
    for (grows, class) in [(true, None), (false, Some("file_keeps_changing"))] {
        let world = World::new();
        let path = world.root().join("log");
        fs::write(&path, "beginning").unwrap();
        let writer = path.clone();
        let turn = Mutex::new(0);
        let ear = Ear {
            on_move: Some(Box::new(move || {
                let mut turn = turn.lock().unwrap();
                *turn += 1;
                if grows {
                    let mut file = fs::File::options().append(true).open(&writer).unwrap();
                    std::io::Write::write_all(&mut file, b"+").unwrap();
                } else {
                    // The same length, another content and time.
                    fs::write(&writer, format!("{:09}", *turn)).unwrap();
                    let time = UNIX_EPOCH + Duration::from_secs(*turn);
                    let file = fs::File::options().write(true).open(&writer).unwrap();
                    file.set_times(fs::FileTimes::new().set_modified(time)).unwrap();
                }
            })),
            ..Ear::default()
        };
        let dumped = world.store.dump(&world.backup(), &ear);
        assert_eq!(dumped.as_ref().err().map(|it| it.class.as_ref()), class);
        match dumped {
            Ok(dumped) => {
                assert!(ear.said.lock().unwrap()[0].contains("grows"));
                world.store.prove(&dumped, &world.backup(), &world.scratch(), &Ear::default()).unwrap();
            }
            Err(_) => assert_eq!(fs::read_dir(world.backup()).unwrap().count(), 0, "nothing is left behind"),
        }
    }
}

#[test]
fn special_files_are_left_out_with_a_note() {
    let world = World::new();
    let _socket = std::os::unix::net::UnixListener::bind(world.root().join("socket")).unwrap();
    fs::write(world.root().join("file"), "x").unwrap();
    let ear = Ear::default();
    let dumped = world.store.dump(&world.backup(), &ear).unwrap();
    assert_eq!(dumped.counts["."], 1);
    assert!(ear.said.lock().unwrap().iter().any(|line| line.contains("socket")));
    world.store.prove(&dumped, &world.backup(), &world.scratch(), &Ear::default()).unwrap();
}

#[test]
fn stop_is_heard_in_the_middle_and_leaves_nothing() {
    let world = World::full();
    for after in [0, 3, 20] {
        let ear = Ear { stop_after: Some(after), ..Ear::default() };
        assert_eq!(world.store.dump(&world.backup(), &ear).unwrap_err().class, "cancelled", "after {after}");
        assert_eq!(fs::read_dir(world.backup()).unwrap().count(), 0);
    }
    let aside = world.store.plan_aside("9").unwrap();
    let ear = Ear { stop_after: Some(8), ..Ear::default() };
    assert_eq!(world.store.copy_next(&aside, &ear).unwrap_err().class, "cancelled");
    assert_eq!(world.store.observe(&aside).unwrap(), AsideState::Copying);
    world.store.put_back(&aside).unwrap();
    assert_eq!(world.store.observe(&aside).unwrap(), AsideState::NotStarted);
}

#[test]
fn a_copy_is_the_same_and_the_original_comes_back_with_nothing_lost() {
    let world = World::full();
    let before = world.digest(&world.root());
    let aside = world.store.plan_aside("9").unwrap();
    world.store.copy_next(&aside, &Ear::default()).unwrap();
    let Place::Path(next) = world.store.next_place(&aside).unwrap() else { panic!("a path") };
    assert_eq!(world.digest(&next), before);
    assert_eq!(fs::metadata(next.join("logo.png")).unwrap().mtime(), 1_000_000_000);
    fs::write(next.join("made by the migration"), "x").unwrap();
    world.store.swap(&aside).unwrap();
    assert_eq!(world.store.observe(&aside).unwrap(), AsideState::Swapped);
    fs::write(world.root().join("made by a user"), "y").unwrap();
    let counted = world.store.next_counts(&aside, &Ear::default()).unwrap();
    assert_eq!(counted["."], world.store.counts(&Ear::default()).unwrap()["."]);
    world.store.put_back(&aside).unwrap();
    assert_eq!(world.digest(&world.root()), before);
    let (_, failed) = world.store.kept_places(&aside);
    assert_eq!(fs::read_to_string(Path::new(&failed).join("made by a user")).unwrap(), "y");
}

#[test]
fn a_backup_is_restored_beside_and_takes_the_place() {
    let world = World::full();
    fs::set_permissions(world.root(), fs::Permissions::from_mode(0o750)).unwrap();
    let before = world.digest(&world.root());
    let dumped = world.store.dump(&world.backup(), &Ear::default()).unwrap();
    fs::remove_file(world.root().join("2026/11/invoice.pdf")).unwrap();
    let aside = world.store.plan_aside("9").unwrap();
    world.store.restore_next(&aside, &dumped, &world.backup(), &Ear::default()).unwrap();
    world.store.swap(&aside).unwrap();
    assert_eq!(world.digest(&world.root()), before);
    assert_eq!(fs::metadata(world.root()).unwrap().mode() & 0o777, 0o750);
}

#[test]
fn extended_attributes_are_copied() {
    let world = World::new();
    let path = world.root().join("file");
    fs::write(&path, "x").unwrap();
    let set = rustix::fs::setxattr(&path, "user.liftlock", b"v", rustix::fs::XattrFlags::empty());
    if set.is_err() {
        return; // This file system has none.
    }
    let aside = world.store.plan_aside("9").unwrap();
    world.store.copy_next(&aside, &Ear::default()).unwrap();
    let Place::Path(next) = world.store.next_place(&aside).unwrap() else { panic!("a path") };
    let mut value = [0; 8];
    assert_eq!(rustix::fs::getxattr(next.join("file"), "user.liftlock", &mut value).unwrap(), 1);
}

#[test]
fn an_immutable_folder_is_listed_and_what_changed_is_told() {
    let world = World::full();
    let store = FilesStore::new("uploads", world.root(), true);
    let aside = store.plan_aside("9").unwrap();
    assert_eq!(store.observe(&aside).unwrap(), AsideState::NotStarted);
    store.copy_next(&aside, &Ear::default()).unwrap();
    assert_eq!(store.observe(&aside).unwrap(), AsideState::Copied);
    fs::write(world.root().join("new"), "by a user").unwrap();
    store.swap(&aside).unwrap();
    store.put_back(&aside).unwrap();
    fs::write(world.root().join("logo.png"), "LOGO").unwrap();
    fs::remove_file(world.root().join("newest")).unwrap();
    assert_eq!(store.next_counts(&aside, &Ear::default()).unwrap_err().class, "files_changed");
    let told = store.put_back(&aside).unwrap_err();
    assert_eq!(told.class, "files_changed");
    assert_eq!(told.details, ["changed: logo.png", "missing: newest"]);
}

#[test]
fn a_listed_file_is_read_again_only_where_the_file_system_knows_it_differently() {
    let world = World::full();
    let store = FilesStore::new("uploads", world.root(), true);
    let aside = store.plan_aside("9").unwrap();
    store.copy_next(&aside, &Ear::default()).unwrap();
    let untouched = Ear::default();
    store.next_counts(&aside, &untouched).unwrap();
    assert_eq!(*untouched.moved.lock().unwrap(), 0);
    // Touched, and written anew with the same length and the old time: both are read, one differs.
    let (logo, invoice) = (world.root().join("logo.png"), world.root().join("2026/11/invoice.pdf"));
    let modified = fs::metadata(&logo).unwrap().modified().unwrap();
    fs::write(&logo, "LOGO").unwrap();
    let set = |path: &Path, at| {
        let file = fs::File::options().write(true).open(path).unwrap();
        file.set_times(fs::FileTimes::new().set_modified(at)).unwrap();
    };
    set(&logo, modified);
    set(&invoice, UNIX_EPOCH);
    let ear = Ear::default();
    assert_eq!(store.next_counts(&aside, &ear).unwrap_err().details, ["changed: logo.png"]);
    assert_eq!(*ear.moved.lock().unwrap(), (3 << 20) + 4);
}

#[test]
fn a_missing_folder_and_a_file_in_its_place_are_told() {
    let dir = tempfile::tempdir().unwrap();
    let store = FilesStore::new("uploads", dir.path().join("none"), false);
    assert_eq!(store.dump(dir.path(), &Ear::default()).unwrap_err().class, "not_found");
    fs::write(dir.path().join("file"), "").unwrap();
    let store = FilesStore::new("uploads", dir.path().join("file"), false);
    assert_eq!(store.size(&Ear::default()).unwrap_err().class, "not_a_folder");
}

#[test]
fn what_a_killed_worker_left_is_swept_and_nothing_else_is() {
    let world = World::full();
    let dumped = world.store.dump(&world.backup(), &Ear::default()).unwrap();
    let killed = world.store.sandbox(&dumped, &world.backup(), &world.scratch(), &Ear::default()).unwrap();
    std::mem::forget(killed);
    fs::create_dir(world.scratch().join("somebody's")).unwrap();
    world.store.sweep(&world.scratch(), &Ear::default()).unwrap();
    let left: Vec<_> = fs::read_dir(world.scratch()).unwrap().map(|it| it.unwrap().file_name()).collect();
    assert_eq!(left, ["somebody's"]);
    world.store.sweep(&world.dir.path().join("none"), &Ear::default()).unwrap();
}

#[test]
fn what_stands_in_the_way_is_found_before_anything_begins() {
    let world = World::full();
    assert!(world.store.obstacles(&Ear::default()).unwrap().is_empty());
    assert_eq!(world.store.folder().unwrap(), world.dir.path().canonicalize().unwrap());
    let disk = FilesStore::new("uploads", "/proc", false);
    assert_eq!(disk.obstacles(&Ear::default()).unwrap()[0].class, "mount_point");
}

/// A small disk of its own in memory, where we may mount one.
struct SmallDisk(PathBuf);
impl SmallDisk {
    fn at(path: &Path, megabytes: u32) -> Option<Self> {
        let options = format!("size={megabytes}m,mode=0700");
        let mounted =
            std::process::Command::new("mount").args(["-t", "tmpfs", "-o", &options, "none"]).arg(path).status();
        mounted.is_ok_and(|it| it.success()).then(|| Self(path.to_owned()))
    }
}
impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg(&self.0).status();
    }
}

#[test]
fn a_disk_that_fills_up_while_copying_leaves_the_original_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let Some(_disk) = SmallDisk::at(dir.path(), 10) else { return };
    let uploads = dir.path().join("uploads");
    fs::create_dir(&uploads).unwrap();
    fs::write(uploads.join("a"), vec![1; 2 << 20]).unwrap();
    fs::write(uploads.join("b"), vec![2; 6 << 20]).unwrap();
    let store = FilesStore::new("uploads", &uploads, false);
    let before = tree::list(&uploads, &Ear::default()).unwrap();
    let aside = store.plan_aside("9").unwrap();
    assert_eq!(store.copy_next(&aside, &Ear::default()).unwrap_err().class, "disk_full");
    assert_eq!(store.observe(&aside).unwrap(), AsideState::Copying);
    store.put_back(&aside).unwrap();
    assert_eq!(tree::list(&uploads, &Ear::default()).unwrap(), before);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "what was begun is gone");
}

#[test]
fn differences_of_two_trees_are_named() {
    let world = World::full();
    let before = tree::list(&world.root(), &Ear::default()).unwrap();
    fs::write(world.root().join("logo.png"), "LOGO").unwrap();
    fs::remove_file(world.root().join("2026/nothing")).unwrap();
    fs::write(world.root().join("new"), "").unwrap();
    let difference = before.difference(&tree::list(&world.root(), &Ear::default()).unwrap());
    assert_eq!(difference.changed, [Path::new("logo.png")]);
    assert_eq!(difference.missing, [Path::new("2026/nothing")]);
    assert_eq!(difference.added, [Path::new("new")]);
}

#[test]
fn a_list_takes_the_hashes_of_the_backup_where_a_file_is_still_the_one_that_was_read() {
    use super::listed::{Listed, Read};

    let beside = tempfile::tempdir().unwrap();
    let begun = fs::metadata(beside.path()).unwrap();
    let made_up = "ab".repeat(32);
    let listed = |live: &Path| {
        let mut read = Read::default();
        for entry in fs::read_dir(live).unwrap() {
            let path = entry.unwrap().path();
            read.file(Path::new(path.file_name().unwrap()), &fs::metadata(&path).unwrap(), &made_up, &begun);
        }
        let list = beside.path().join("list");
        Listed { live: live.to_owned(), list: list.clone() }.write(&read, &Silent).unwrap();
        fs::read_to_string(list).unwrap()
    };
    // Files that have not changed since long before: what was read then is believed.
    let old = Path::new(env!("CARGO_MANIFEST_DIR")).join("profiles");
    let list = listed(&old);
    assert_eq!(list.matches(&made_up).count(), list.lines().count(), "{list}");
    assert!(list.lines().count() > 0);
    // One that changed just before may have changed once more in the same instant: it is read again.
    let new = tempfile::tempdir().unwrap();
    fs::write(new.path().join("a"), "fresh").unwrap();
    let list = listed(new.path());
    assert!(list.contains(&crate::digest::sha256(b"fresh")) && !list.contains(&made_up), "{list}");
}
