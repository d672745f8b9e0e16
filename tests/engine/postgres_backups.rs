//! What becomes of backups of a real database when something goes wrong around them.

use std::fs;
use std::io::{Read, Write};

use flate2::{Compression, read::MultiGzDecoder, write::GzEncoder};
use liftlock_engine::backups::{self, Backup, open};
use liftlock_engine::clock::SystemClock;
use liftlock_engine::digest::sha256;
use liftlock_engine::process::Silent;
use liftlock_engine::seal::Keys;
use liftlock_engine::stores::files::FilesStore;
use liftlock_engine::stores::look::LookMark;
use liftlock_engine::stores::postgres::Client;
use liftlock_engine::stores::{AsideState, DataStore, Grade};

use crate::cluster::{self, Cluster, PASSWORD, SUPERUSER};
use crate::postgres_dump::open as open_to_servers;
use crate::postgres_faults::Small;
use crate::postgres_kit::backup_of;
use crate::postgres_store::{store, store_on};
use crate::postgres_support::{admin, client_on, contents, run_all, shop};

/// As small as what a disk damages at once.
const BLOCK: usize = 4096;

/// Bytes that nothing makes smaller.
fn noise(bytes: usize) -> Vec<u8> {
    let mut state = 88_172_645_463_325_252_u64;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 24) as u8
    };
    std::iter::repeat_with(next).take(bytes).collect()
}

#[test]
fn a_damage_in_any_block_of_any_file_is_found_and_takes_nothing_from_other_backups() {
    let (name, owner) = shop(&admin());
    let home = tempfile::Builder::new().prefix("liftlock-scratch-").tempdir().unwrap();
    open_to_servers(home.path());
    let uploads = home.path().join("uploads");
    fs::create_dir(&uploads).unwrap();
    fs::write(uploads.join("scan"), noise(60 * BLOCK)).unwrap();
    let database = store(&name, &owner, true).with_globals(true);
    let files = FilesStore::new("uploads", &uploads, false);
    let stores: [&dyn DataStore; 2] = [&database, &files];
    let root = home.path().join("backups");
    let (other, backup) = (backup_of(&root, &stores), backup_of(&root, &stores));
    let prove = |backup: &Backup| backups::prove(backup, &stores, home.path(), &Keys::default(), &SystemClock, &Silent);
    assert_eq!(prove(&backup).unwrap().grade, Grade::Proven);

    let mut blocks = 0;
    for file in ["main.dump.gz", "uploads.tar.gz", "main.globals.sql", "manifest.json", "SHA256SUMS"] {
        let path = backup.path.join(file);
        let whole = fs::read(&path).unwrap();
        let is_found = |bytes: &[u8], how: &str| {
            fs::write(&path, bytes).unwrap();
            let found = backups::check(&backup, &Silent).unwrap_err();
            assert!(found.class.starts_with("backup_"), "{file}, {how}: {found:?}");
            assert!(found.message.contains(backup.path.to_str().unwrap()) && !found.remedy.is_empty(), "{found:?}");
        };
        for (at, block) in whole.chunks(BLOCK).enumerate() {
            // Another bit of each block, and its beginning as the new end.
            let bit = at * 7919 % (block.len() * 8);
            let mut flipped = whole.clone();
            flipped[at * BLOCK + bit / 8] ^= 1 << (bit % 8);
            is_found(&flipped, &format!("bit {bit} of block {at}"));
            is_found(&whole[..at * BLOCK], &format!("cut before block {at}"));
            blocks += 1;
        }
        fs::write(&path, &whole).unwrap();
        backups::check(&backup, &Silent).unwrap();
    }
    assert!(blocks > 60, "{blocks} blocks");

    // Whoever asks for a proof hears it too, and from then on so does everybody.
    let backup = open(&backup.path).unwrap();
    let dump = backup.path.join("main.dump.gz");
    let whole = fs::read(&dump).unwrap();
    let mut flipped = whole.clone();
    flipped[whole.len() - 9] ^= 1;
    fs::write(&dump, flipped).unwrap();
    let failed = prove(&backup).unwrap_err();
    assert!(failed.class == "backup_damaged" && failed.remedy.contains("Make a new one"), "{failed:?}");
    let fallen = open(&backup.path).unwrap();
    assert!(fallen.grade_word() == "failed" && fallen.was_proven_at.is_some(), "{fallen:?}");
    assert_eq!(prove(&open(&other.path).unwrap()).unwrap().grade, Grade::Proven);
}

#[test]
fn an_archive_is_read_to_its_end_and_half_of_one_is_not_readable() {
    let (name, owner) = shop(&admin());
    let home = tempfile::Builder::new().prefix("liftlock-scratch-").tempdir().unwrap();
    let database = store(&name, &owner, true);
    let stores: [&dyn DataStore; 1] = [&database];
    let backup = backup_of(&home.path().join("backups"), &stores);
    let (keys, scratch) = (Keys::default(), home.path().join("scratch"));
    let trust = backups::read_through(&backup, &stores, &scratch, &keys, &SystemClock, &Silent).unwrap();
    assert_eq!(trust.grade, Grade::Readable);
    assert_eq!(open(&backup.path).unwrap().grade_word(), "readable");

    // Half an archive, well compressed and with the checksum of that half: only pg_restore can tell.
    let dumped = backup.dumped("main").unwrap();
    let mut archive = Vec::new();
    MultiGzDecoder::new(fs::File::open(backup.path.join(&dumped.file)).unwrap()).read_to_end(&mut archive).unwrap();
    let forged = home.path().join("forged");
    fs::create_dir(&forged).unwrap();
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(&archive[..archive.len() / 2]).unwrap();
    let packed = packed.finish().unwrap();
    fs::write(forged.join(&dumped.file), &packed).unwrap();
    let mut half = dumped.clone();
    half.facts["dump"]["sha256"] = sha256(&packed).into();
    let told = database.read_through(&half, &forged, &Silent).unwrap_err();
    assert!(told.class == "archive_damaged" && !told.details.is_empty(), "{told:?}");
    // And a whole one that is another.
    half.facts["dump"]["sha256"] = "0".repeat(64).into();
    let told = database.read_through(&half, &backup.path, &Silent).unwrap_err();
    assert!(told.class == "archive_damaged" && told.details[0].contains("checksum"), "{told:?}");
}

/// A database with thirty megabytes in it, of the owner `tight_owner`.
fn tight(client: &Client, more: &str) {
    run_all(
        &mut client.connect("postgres").unwrap(),
        &[
            "CREATE ROLE tight_owner LOGIN CREATEDB PASSWORD 'pw'",
            &format!("CREATE DATABASE tight OWNER tight_owner{more}"),
        ],
    );
    run_all(
        &mut client.connect("tight").unwrap(),
        &[
            "SET SESSION AUTHORIZATION tight_owner",
            "CREATE TABLE public.large AS SELECT n, repeat(md5(n::text), 30) AS text FROM generate_series(1, 30000) n",
        ],
    );
}

fn databases(client: &Client) -> usize {
    #[derive(serde::Deserialize)]
    struct Row {
        n: usize,
    }
    client.connect("postgres").unwrap().one::<Row>("SELECT count(*) AS n FROM pg_database").unwrap().n
}

/// Others fill a disk, but for so many megabytes.
fn fill(disk: &Small, but: u64) -> std::path::PathBuf {
    let others = disk.path().join("others");
    let free = liftlock_engine::space::room(disk.path()).unwrap().free - (but << 20);
    fs::write(&others, vec![1; usize::try_from(free).unwrap()]).unwrap();
    others
}

#[test]
fn a_disk_of_the_server_that_has_no_room_for_a_restore_is_told_before_anything_stops() {
    let Some(disk) = Small::mount(260) else { return };
    let server = disk.server();
    let client = client_on(&server, SUPERUSER, PASSWORD).unwrap();
    tight(&client, "");
    let home = tempfile::tempdir().unwrap();
    let store = store_on(&server, "tight", "tight_owner", true);
    let backup = backup_of(&home.path().join("backups"), &[&store]);
    let dumped = backup.dumped("main").unwrap();
    store.expect_room_for(dumped, &backup.path).unwrap();
    let others = fill(&disk, 50);
    let refused = store.expect_room_for(dumped, &backup.path).unwrap_err();
    assert!(refused.class == "no_room" && refused.message.contains("the database that is restored"), "{refused:?}");
    assert!(!refused.remedy.is_empty());
    // Nor is a table restored to be looked at.
    let mark = LookMark { backup: backup.id(), made_at: "then".into(), table: "public.large".into() };
    let refused = store.look_beside(dumped, &backup.path, (&mark, "look_1"), &Silent).unwrap_err();
    assert!(refused.class == "no_room" && refused.message.contains("the table that is looked at"), "{refused:?}");
    assert_eq!(databases(&client), 4);
    fs::remove_file(others).unwrap();
    assert_eq!(store.look_beside(dumped, &backup.path, (&mark, "look_1"), &Silent).unwrap().rows, Some(30_000));
}

/// In a tablespace, of which the room is not known beforehand.
#[test]
fn a_restore_that_finds_the_disk_of_the_server_full_leaves_the_original_as_it_was() {
    let Some(disk) = Small::mount(120) else { return };
    let server = Cluster::start(&[]);
    let client = client_on(&server, SUPERUSER, PASSWORD).unwrap();
    let place = disk.path().join("pg");
    fs::create_dir(&place).unwrap();
    let (user, group) = cluster::unprivileged().unwrap();
    std::os::unix::fs::chown(&place, Some(user), Some(group)).unwrap();
    let tablespace = format!("CREATE TABLESPACE small LOCATION '{}'", place.display());
    run_all(&mut client.connect("postgres").unwrap(), &[&tablespace, "GRANT CREATE ON TABLESPACE small TO PUBLIC"]);
    tight(&client, " TABLESPACE small");
    let home = tempfile::tempdir().unwrap();
    let store = store_on(&server, "tight", "tight_owner", true);
    let backup = backup_of(&home.path().join("backups"), &[&store]);
    let before = contents(&server, "tight");
    let dumped = backup.dumped("main").unwrap();
    let others = fill(&disk, 20);
    let aside = store.plan_aside("16").unwrap();
    let full = store.restore_next(&aside, dumped, &backup.path, &Silent).unwrap_err();
    assert_eq!(full.class, "disk_full", "{full:?}");
    assert!(full.remedy.contains("Free some space"), "{full:?}");
    store.put_back(&aside).unwrap();
    assert_eq!(contents(&server, "tight"), before);
    backups::check(&backup, &Silent).unwrap();
    // Nothing is dropped while there is no room, which a server may need for that: what was begun is on record as failed.
    assert_eq!(store.observe(&aside).unwrap(), AsideState::PutBack);
    fs::remove_file(&others).unwrap();
    store.discard(&aside).unwrap();
    assert_eq!(databases(&client), 4, "something is left beside");
    // With room again it goes all the way.
    let aside = store.plan_aside("17").unwrap();
    store
        .restore_next(&aside, dumped, &backup.path, &Silent)
        .unwrap_or_else(|error| panic!("{error} {:?}", error.details));
    store.swap(&aside).unwrap();
    assert_eq!(contents(&server, "tight"), before);
}
