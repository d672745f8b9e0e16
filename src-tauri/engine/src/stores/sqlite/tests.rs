//! Real SQLite files, with an application that writes to them.

use std::sync::atomic::{AtomicBool, Ordering};

use rusqlite::OptionalExtension;

use super::*;
use crate::ports::Unit;

/// Hears nothing and never says stop.
struct Deaf;
impl Reporter for Deaf {
    fn moved(&self, _: u64, _: Option<u64>, _: Unit) {}
    fn say(&self, _: &str) {}
    fn check(&self) -> Result<()> {
        Ok(())
    }
}

struct World {
    dir: tempfile::TempDir,
    store: SqliteStore,
}

impl World {
    fn new(mode: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("shop.db");
        let app = Connection::open(&path).unwrap();
        app.execute_batch(&format!(
            "PRAGMA journal_mode = {mode}; PRAGMA user_version = 7;
             CREATE TABLE \"or\"\"ders\" (id INTEGER PRIMARY KEY, note TEXT);
             CREATE TABLE empty (x);
             CREATE VIRTUAL TABLE words USING fts5(word);
             WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000)
             INSERT INTO \"or\"\"ders\" SELECT i, hex(randomblob(100)) FROM n;"
        ))
        .unwrap();
        fs::create_dir(dir.path().join("backup")).unwrap();
        Self { store: SqliteStore::new("main", &path), dir }
    }
    fn app(&self) -> Connection {
        let app = Connection::open(&self.store.path).unwrap();
        app.execute_batch("PRAGMA wal_autocheckpoint = 0").unwrap();
        app
    }
    fn order(&self, app: &Connection, id: i64) {
        app.execute("INSERT INTO \"or\"\"ders\" VALUES (?1, 'new')", [id]).unwrap();
    }
    fn has(&self, path: &Path, id: i64) -> bool {
        let found: Option<i64> = Connection::open(path)
            .unwrap()
            .query_row("SELECT id FROM \"or\"\"ders\" WHERE id = ?1", [id], |row| row.get(0))
            .optional()
            .unwrap();
        found.is_some()
    }
    fn backup(&self) -> PathBuf {
        self.dir.path().join("backup")
    }
    fn scratch(&self) -> PathBuf {
        self.dir.path().join("scratch")
    }
    fn prove(&self, dumped: &Dumped) -> Result<Proof> {
        self.store.prove(dumped, &self.backup(), &self.scratch(), &Deaf)
    }
}

#[test]
fn a_file_is_dumped_with_what_is_only_in_its_log_and_proven() {
    for mode in ["wal", "delete"] {
        let world = World::new(mode);
        let app = world.app();
        world.order(&app, 9001);
        let dumped = world.store.dump(&world.backup(), &Deaf).unwrap();
        assert_eq!((dumped.counts["or\"ders"], dumped.counts["empty"]), (5001, 0));
        assert_eq!(dumped.facts["user_version"], 7);
        assert_eq!(fs::read_dir(world.backup()).unwrap().count(), 1, "only the dump is left");
        assert_eq!(world.prove(&dumped).unwrap().grade, Grade::Proven);
        assert_eq!(fs::read_dir(world.scratch()).unwrap().count(), 0);
        assert_eq!(world.store.counts(&Deaf).unwrap(), dumped.counts);
    }
}

#[test]
fn a_dump_is_one_snapshot_while_the_application_writes() {
    let world = World::new("wal");
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let app = world.app();
            app.busy_timeout(std::time::Duration::from_secs(5)).unwrap();
            let mut id = 10_000;
            while !stop.load(Ordering::Relaxed) {
                // Two rows or none: a dump with an odd number is none of a moment.
                app.execute_batch(&format!(
                    "BEGIN; INSERT INTO \"or\"\"ders\" VALUES ({id}, 'a'), ({}, 'b'); COMMIT;",
                    id + 1
                ))
                .unwrap();
                id += 2;
            }
        });
        for round in 0..5 {
            let into = world.dir.path().join(format!("round {round}"));
            fs::create_dir(&into).unwrap();
            let dumped = world.store.dump(&into, &Deaf).unwrap();
            assert_eq!(dumped.counts["or\"ders"] % 2, 0);
            world.store.prove(&dumped, &into, &world.scratch(), &Deaf).unwrap();
        }
        stop.store(true, Ordering::Relaxed);
    });
}

#[test]
fn gunzip_and_sqlite_open_the_dump() {
    let world = World::new("wal");
    let dumped = world.store.dump(&world.backup(), &Deaf).unwrap();
    let out = std::process::Command::new("gunzip").arg("-c").arg(world.backup().join(&dumped.file)).output().unwrap();
    let plain = world.dir.path().join("plain.db");
    fs::write(&plain, out.stdout).unwrap();
    assert!(world.has(&plain, 5000));
}

#[test]
fn damage_anywhere_in_the_dump_is_found() {
    let world = World::new("delete");
    let dumped = world.store.dump(&world.backup(), &Deaf).unwrap();
    let path = world.backup().join(&dumped.file);
    let whole = fs::read(&path).unwrap();
    for part in 0..16 {
        // Behind the header of the only member, in which some bytes do not matter.
        let at = 10 + (whole.len() - 11) * part / 15;
        let mut flipped = whole.clone();
        flipped[at] ^= 1;
        fs::write(&path, &flipped).unwrap();
        let class = world.prove(&dumped).unwrap_err().class;
        assert!(matches!(class.as_ref(), "backup_unreadable" | "backup_differs"), "byte {at}: {class}");
        fs::write(&path, &whole[..at]).unwrap();
        assert!(world.prove(&dumped).is_err(), "cut at {at}");
    }
    fs::write(&path, &whole).unwrap();
    let mut lying = dumped.clone();
    lying.counts.insert("empty".into(), 1);
    assert_eq!(world.prove(&lying).unwrap_err().class, "backup_differs");
    assert_eq!(fs::read_dir(world.scratch()).unwrap().count(), 0);
}

#[test]
fn a_copy_takes_the_place_and_the_original_comes_back() {
    for mode in ["wal", "delete"] {
        let world = World::new(mode);
        world.order(&world.app(), 9001);
        let aside = world.store.plan_aside("7").unwrap();
        world.store.copy_next(&aside, &Deaf).unwrap();
        let Place::Path(next) = world.store.next_place(&aside).unwrap() else { panic!("a path") };
        Connection::open(&next).unwrap().execute_batch("DELETE FROM \"or\"\"ders\" WHERE id < 100").unwrap();
        assert_eq!(world.store.next_counts(&aside, &Deaf).unwrap()["or\"ders"], 4902);
        world.store.swap(&aside).unwrap();
        assert_eq!(world.store.counts(&Deaf).unwrap()["or\"ders"], 4902);
        world.store.put_back(&aside).unwrap();
        assert_eq!(world.store.counts(&Deaf).unwrap()["or\"ders"], 5001);
        assert_eq!(world.store.observe(&aside).unwrap(), AsideState::PutBack);
    }
}

/// Copies an open file with its log to `to`, as a crash of the program that wrote it leaves it.
fn crashed(from: &Path, to: &Path) {
    fs::copy(from, to).unwrap();
    fs::copy(durable::beside(from, "-wal"), durable::beside(to, "-wal")).unwrap();
}

#[test]
fn the_log_of_a_crashed_new_version_never_reaches_the_original() {
    let world = World::new("wal");
    let live = world.store.path.clone();
    let aside = world.store.plan_aside("7").unwrap();
    world.store.copy_next(&aside, &Deaf).unwrap();
    world.store.swap(&aside).unwrap();
    // The new version writes and is killed: its work is only in the log.
    let staged = world.dir.path().join("staged.db");
    {
        let app = world.app();
        world.order(&app, 9002);
        crashed(&live, &staged);
    }
    fs::rename(&staged, &live).unwrap();
    fs::rename(durable::beside(&staged, "-wal"), durable::beside(&live, "-wal")).unwrap();
    world.store.put_back(&aside).unwrap();
    assert!(!world.has(&live, 9002));
    let (_, failed) = world.store.kept_places(&aside);
    assert!(world.has(Path::new(&failed), 9002), "users' work is kept");
}

#[test]
fn a_damaged_new_file_moves_away_with_its_log() {
    let world = World::new("wal");
    let live = world.store.path.clone();
    let aside = world.store.plan_aside("7").unwrap();
    world.store.copy_next(&aside, &Deaf).unwrap();
    world.store.swap(&aside).unwrap();
    fs::write(&live, vec![b'#'; 8192]).unwrap();
    fs::write(durable::beside(&live, "-wal"), "a log that nobody can read").unwrap();
    world.store.put_back(&aside).unwrap();
    assert!(!durable::beside(&live, "-wal").exists());
    assert_eq!(world.store.counts(&Deaf).unwrap()["or\"ders"], 5000);
    let (_, failed) = world.store.kept_places(&aside);
    assert!(durable::beside(Path::new(&failed), "-wal").exists());
}

#[test]
fn a_file_that_another_program_has_open_is_not_set_aside() {
    let world = World::new("wal");
    let app = world.app();
    app.execute_batch("BEGIN; SELECT count(*) FROM empty;").unwrap();
    world.order(&world.app(), 9003);
    let aside = world.store.plan_aside("7").unwrap();
    assert_eq!(world.store.copy_next(&aside, &Deaf).unwrap_err().class, "store_in_use");
    drop(app);
    world.store.copy_next(&aside, &Deaf).unwrap();
}

#[test]
fn a_backup_is_restored_beside_and_takes_the_place() {
    let world = World::new("wal");
    let dumped = world.store.dump(&world.backup(), &Deaf).unwrap();
    world.app().execute_batch("DELETE FROM \"or\"\"ders\"").unwrap();
    let aside = world.store.plan_aside("7").unwrap();
    world.store.restore_next(&aside, &dumped, &world.backup(), &Deaf).unwrap();
    world.store.swap(&aside).unwrap();
    assert_eq!(world.store.counts(&Deaf).unwrap(), dumped.counts);
}

#[test]
fn a_missing_file_and_one_that_is_no_database_are_told() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("shop.db");
    let store = SqliteStore::new("main", &path);
    assert_eq!(store.dump(dir.path(), &Deaf).unwrap_err().class, "not_found");
    fs::write(&path, "not a database, but long enough to look like one").unwrap();
    assert_eq!(store.counts(&Deaf).unwrap_err().class, "store_damaged");
}

#[test]
fn a_sandbox_has_the_data_and_an_empty_place() {
    let world = World::new("wal");
    let dumped = world.store.dump(&world.backup(), &Deaf).unwrap();
    let sandbox = world.store.sandbox(&dumped, &world.backup(), &world.scratch(), &Deaf).unwrap();
    assert_eq!(sandbox.counts(&Deaf).unwrap(), dumped.counts);
    let Some(Place::Path(empty)) = sandbox.empty_place().unwrap() else { panic!("a path") };
    assert!(SqliteStore::new("empty", empty).counts(&Deaf).unwrap().is_empty());
}
