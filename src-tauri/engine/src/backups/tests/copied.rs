//! Copies in a second folder.

use std::sync::atomic::AtomicU64;

use super::*;
use crate::backups::copies::{CopyPlace, Folder};

fn on(path: &Path) -> Folder {
    Folder::at(path)
}

/// Ends what it watches once three pieces of a megabyte have passed.
struct Cut(AtomicU64);

impl Reporter for Cut {
    fn moved(&self, done: u64, _: Option<u64>, _: Unit) {
        self.0.store(done, Ordering::Relaxed);
    }
    fn say(&self, _: &str) {}
    fn check(&self) -> Result<()> {
        if self.0.load(Ordering::Relaxed) < 3 << 20 { Ok(()) } else { Err(Error::failed("cancelled", "cut")) }
    }
}

#[test]
fn a_copy_is_read_back_gone_on_with_after_a_cut_and_never_made_on_an_empty_mount_point() {
    let world = World::new();
    fs::write(world.dir.path().join("uploads/big"), noise(5 << 20)).unwrap();
    let backup = world.create();
    let backup = {
        world.prove(&backup).unwrap();
        open(&backup.path).unwrap()
    };
    let disk = world.dir.path().join("usb");
    assert_eq!(class(on(&disk).choose(&ear())), "copy_folder_gone");
    fs::create_dir(&disk).unwrap();
    assert_eq!(class(copies::copy(&backup, &on(&disk), &ear())), "copy_folder_gone", "its mark is not there");
    assert_eq!(fs::read_dir(&disk).unwrap().count(), 0);
    on(&disk).choose(&ear()).unwrap();
    // Cut in the middle of the big file; what lies there has no name.
    let cut = copies::copy(&backup, &on(&disk), &Cut(AtomicU64::new(0)));
    assert_eq!(class(cut), "cancelled");
    let root = disk.join(backup.manifest.installation.as_str());
    assert!(!root.join(backup.id()).exists());
    let whole = copies::copy(&backup, &on(&disk), &ear()).unwrap();
    assert!(whole.there_before >= 1 << 20 && whole.written > 0, "{whole:?}");
    assert_eq!(open(whole.path.as_ref()).unwrap().manifest, backup.manifest);
    assert!(open(whole.path.as_ref()).unwrap().proven_at.is_some(), "its proof speaks of the same manifest");
    assert_eq!(copies::copy(&backup, &on(&disk), &ear()).unwrap().written, 0);
    // A disk that gives back other bytes than were written.
    let whole_path = PathBuf::from(&whole.path);
    let dump = whole_path.join("uploads.tar.gz");
    let mut bytes = fs::read(&dump).unwrap();
    bytes[4000] ^= 1;
    fs::write(&dump, &bytes).unwrap();
    assert_eq!(class(copies::copy(&backup, &on(&disk), &ear())), "copy_differs");
    // The same in a part: found by comparing what is there, and written anew from there on.
    fs::rename(&whole_path, root.join(format!("{PARTIAL}{}", backup.id()))).unwrap();
    let mended = copies::copy(&backup, &on(&disk), &ear()).unwrap();
    assert_eq!(crate::digest::sha256(&fs::read(&dump).unwrap()), backup.dumped("uploads").unwrap().sha256);
    assert!(mended.written > 4 << 20, "{mended:?}");
}

#[test]
fn a_disk_that_fills_up_in_the_middle_of_a_copy_is_gone_on_with_when_it_has_room() {
    let world = World::new();
    let disk = world.dir.path().join("usb");
    let Some(_disk) = SmallDisk::at(&disk, 200) else { return };
    on(&disk).choose(&ear()).unwrap();
    fs::write(world.dir.path().join("uploads/big"), noise(20 << 20)).unwrap();
    let backup = world.create();
    let others = disk.join("others");
    assert_eq!(class(copies::copy(&backup, &on(&disk), &Filling::with(&others, 200))), "disk_full");
    fs::remove_file(others).unwrap();
    let copied = copies::copy(&backup, &on(&disk), &ear()).unwrap();
    assert!(copied.there_before > 0, "{copied:?}");
}

#[test]
fn a_copy_that_finds_no_room_on_its_way_back_leaves_nothing_and_counts_as_before() {
    let world = World::new();
    fs::write(world.dir.path().join("uploads/big"), noise(20 << 20)).unwrap();
    let backup = world.create();
    let usb = world.dir.path().join("usb");
    fs::create_dir(&usb).unwrap();
    on(&usb).choose(&ear()).unwrap();
    copies::copy(&backup, &on(&usb), &ear()).unwrap();
    fs::remove_dir_all(&backup.path).unwrap();
    let copy = copies::CopyOf::backup(&backup);
    let fetch = |reporter: &dyn Reporter| copies::fetch(&copy, &on(&usb), &world.root(), reporter);
    {
        let Some(_small) = SmallDisk::at(&world.root(), 40) else { return };
        let refused = fetch(&ear()).unwrap_err();
        assert!(refused.class == "no_room" && refused.message.contains("brought back"), "{refused:?}");
        assert!(world.names().is_empty());
    }
    let Some(_disk) = SmallDisk::at(&world.root(), 60) else { return };
    let others = world.root().join("others");
    let full = fetch(&Filling::with(&others, 60)).unwrap_err();
    assert!(full.class == "disk_full" && !full.remedy.is_empty(), "{full:?}");
    assert_eq!(world.names(), ["others"]);
    fs::remove_file(others).unwrap();
    assert_eq!(fetch(&ear()).unwrap().manifest, backup.manifest);
}

#[test]
fn a_disk_that_is_pulled_out_in_the_middle_of_a_copy_is_named_and_nothing_is_written_in_its_place() {
    let world = World::new();
    let disk = world.dir.path().join("usb");
    let Some(usb) = SmallDisk::at(&disk, 200) else { return };
    on(&disk).choose(&ear()).unwrap();
    fs::write(world.dir.path().join("uploads/big"), noise(5 << 20)).unwrap();
    let backup = world.create();
    struct Pulling(std::sync::Mutex<Option<SmallDisk>>);
    impl Reporter for Pulling {
        fn moved(&self, done: u64, _: Option<u64>, _: Unit) {
            if done > 2 << 20 {
                drop(self.0.lock().unwrap().take());
            }
        }
        fn say(&self, _: &str) {}
        fn check(&self) -> Result<()> {
            Ok(())
        }
    }
    let pulled = copies::copy(&backup, &on(&disk), &Pulling(std::sync::Mutex::new(Some(usb))));
    let error = pulled.unwrap_err();
    assert_eq!(error.class, "copy_folder_gone", "{error:?}");
    assert_eq!(fs::read_dir(&disk).unwrap().count(), 0, "the mount point of the disk is as empty as it was");
}

#[test]
fn the_newest_copies_and_the_newest_proven_one_stay() {
    let world = World::new();
    let disk = world.dir.path().join("usb");
    fs::create_dir(&disk).unwrap();
    on(&disk).choose(&ear()).unwrap();
    let mut ids = Vec::new();
    for at in 0..4 {
        let backup = world.create();
        if at == 1 {
            world.prove(&backup).unwrap();
        }
        copies::copy(&backup, &on(&disk), &ear()).unwrap();
        ids.push(backup);
    }
    let root = disk.join(ids[0].manifest.installation.as_str());
    fs::create_dir(root.join("0-not-ours")).unwrap();
    let newest = copies::CopyOf::backup(&ids[3]);
    let gone = copies::thin_out(&newest, &on(&disk), 2, world.clock.now(), &ear()).unwrap();
    assert_eq!(gone, [root.join(ids[0].id()).display().to_string()]);
    assert!(root.join(ids[1].id()).exists() && root.join("0-not-ours").exists());
}

#[test]
fn a_copy_is_brought_back_where_its_backup_is_gone_and_only_as_it_was_written() {
    let world = World::new();
    let disk = world.dir.path().join("usb");
    fs::create_dir(&disk).unwrap();
    on(&disk).choose(&ear()).unwrap();
    let backup = world.create();
    world.prove(&backup).unwrap();
    let copied = copies::copy(&backup, &on(&disk), &ear()).unwrap();
    let copy = copies::CopyOf::backup(&backup);
    let root = backup.path.parent().unwrap().to_owned();
    let fetch = || copies::fetch(&copy, &on(&disk), &root, &ear());
    assert_eq!(class(fetch()), "already_there");
    fs::remove_dir_all(&backup.path).unwrap();
    let back = fetch().unwrap();
    assert_eq!(
        (back.path.clone(), back.manifest, back.grade),
        (backup.path.clone(), backup.manifest.clone(), Grade::Proven)
    );
    let lying = copies::lying(&copy.installation, &on(&disk), &ear()).unwrap();
    assert_eq!((lying.len(), lying[0].grade), (1, "proven"));
    // A place that gives back other bytes leaves nothing behind.
    fs::remove_dir_all(&backup.path).unwrap();
    let dump = Path::new(&copied.path).join("uploads.tar.gz");
    let mut bytes = fs::read(&dump).unwrap();
    bytes[40] ^= 1;
    fs::write(&dump, &bytes).unwrap();
    assert_eq!(class(fetch()), "backup_damaged");
    assert!(world.names().is_empty(), "{:?}", world.names());
    let elsewhere = copies::CopyOf { id: "../../elsewhere".to_owned(), ..copy.clone() };
    assert_eq!(class(copies::fetch(&elsewhere, &on(&disk), &root, &ear())), "unknown_backup");
}
