//! Encrypted backups: proven and copied like others, and of no use without their key.

use super::*;
use crate::stores::AsideState;

const PUBLIC: &str = "age1t7rxyev2z3rw82stdlrrepyc39nvn86l5078zqkf5uasdy86jp6svpy7pa";
const SECRET: &str = "AGE-SECRET-KEY-1GQ9778VQXMMJVE8SK7J6VT8UJ4HDQAJUVSFCWCM02D8GEWQ72PVQ2Y5J33";
const STRANGER: &str = "AGE-SECRET-KEY-1PPJGKA9670S70SDR3LAWW3Z980P8LGPH8Y6MVXGZQJFRRV0TLQ0QW29W5Z";

fn sealed() -> World {
    let mut world = World::new();
    rekey(&mut world, SECRET);
    world
}

/// Recipients, because a passphrase is slow on purpose; `seal` tests both.
fn rekey(world: &mut World, secret: &str) {
    let key = world.dir.path().join("key");
    durable::write(&key, secret.as_bytes()).unwrap();
    world.keys = Keys::new(To::parse(PUBLIC).unwrap(), Some(KeyPlace::File(key)));
}

#[test]
fn an_encrypted_backup_is_proven_and_restored_and_shows_nothing_of_what_it_holds() {
    let world = sealed();
    fs::write(world.dir.path().join("uploads/letter"), "Dear Ms Ägidius").unwrap();
    let backup = world.create();
    assert_eq!(backup.manifest.format, 2);
    for entry in fs::read_dir(&backup.path).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let is_dump = name.ends_with(".age");
        assert_eq!(is_dump, fs::read(&path).unwrap().starts_with(b"age-encryption.org/v1"), "{name}");
        assert!(is_dump || !(name.ends_with(".gz")), "{name} lies there open");
    }
    assert_eq!(world.prove(&backup).unwrap().grade, Grade::Proven);
    let backup = open(&backup.path).unwrap();
    assert_eq!(backup.grade_word(), "proven");
    // Restored as a restore does it.
    let aside = world.main.plan_aside("7").unwrap();
    let dumped = backup.dumped("main").unwrap();
    let way = opened(&backup, dumped, &world.keys, &world.scratch(), &ear()).unwrap();
    world.main.restore_next(&aside, &way.dumped, &way.folder, &ear()).unwrap();
    assert_eq!(world.main.observe(&aside).unwrap(), AsideState::Copied);
    assert_eq!(world.main.next_counts(&aside, &ear()).unwrap(), dumped.counts);
    let folder = way.folder.clone();
    assert!(folder.exists());
    drop(way);
    assert!(!folder.exists(), "what was opened is gone");
    // What a killed process left opened goes the next time.
    std::mem::forget(opened(&backup, dumped, &world.keys, &world.scratch(), &ear()).unwrap());
    world.prove(&backup).unwrap();
    assert_eq!(fs::read_dir(world.scratch()).unwrap().count(), 0);
}

#[test]
fn without_its_key_a_backup_is_not_damaged_and_keeps_what_it_earned() {
    let mut world = sealed();
    let backup = world.create();
    world.prove(&backup).unwrap();
    rekey(&mut world, STRANGER);
    assert_eq!(class(world.prove(&backup)), "wrong_key");
    fs::remove_file(world.dir.path().join("key")).unwrap();
    world.keys = Keys::new(None, Some(KeyPlace::File(world.dir.path().join("key"))));
    assert_eq!(class(world.prove(&backup)), "key_unreadable");
    world.keys = Keys::default();
    assert_eq!(class(world.prove(&backup)), "no_key");
    assert_eq!(open(&backup.path).unwrap().grade_word(), "proven");
    // It can be copied and checked all the same.
    check(&backup, &ear()).unwrap();
    let disk = world.dir.path().join("usb");
    fs::create_dir(&disk).unwrap();
    let place = copies::Folder::at(&disk);
    copies::CopyPlace::choose(&place, &ear()).unwrap();
    copies::copy(&backup, &place, &ear()).unwrap();
}

#[test]
fn a_key_that_is_gone_stops_a_backup_before_anything_is_written() {
    let world = sealed();
    fs::remove_file(world.dir.path().join("key")).unwrap();
    assert_eq!(class(world.try_create(&ear())), "key_unreadable");
    assert!(world.names().is_empty());
}

#[test]
fn a_manifest_that_leads_out_of_the_folder_is_hostile() {
    let world = sealed();
    let backup = world.create();
    for bad in ["../../etc/x", "/etc/x", ".x", "", "a/b"] {
        let mut forged = backup.manifest.clone();
        forged.stores[0].sealed.as_mut().unwrap().file = bad.to_owned();
        let bytes = json(&forged).unwrap();
        fs::write(backup.path.join(MANIFEST), &bytes).unwrap();
        let sums = format!("{}  {MANIFEST}\n", crate::digest::sha256(&bytes));
        fs::write(backup.path.join(SUMS), sums).unwrap();
        assert_eq!(class(open(&backup.path)), "backup_hostile", "{bad}");
    }
}
