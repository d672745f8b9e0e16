//! Files of other versions, of other programs, and no files at all.

use std::fs;

use liftlock_engine::state::Db;
use liftlock_engine::state::home::Home;

use crate::support::{Bench, bench_of_parent, process, wait_until};

#[test]
fn a_file_of_a_newer_liftlock_is_refused_and_not_changed() {
    let bench = Bench::new();
    let file = bench.home.database();
    rewrite(&file, "PRAGMA user_version = 4711");
    let before = fs::read(&file).unwrap();
    let error = Db::open(&bench.home).unwrap_err();
    assert_eq!((error.class.as_ref(), error.exit_code()), ("state_newer", 3));
    assert!(error.message.contains("4711"), "{}", error.message);
    assert!(fs::read(&file).unwrap() == before, "the file was changed");
}

#[test]
fn a_file_of_another_program_is_refused_and_not_changed() {
    let bench = Bench::new();
    let file = bench.home.database();
    rewrite(&file, "PRAGMA application_id = 7");
    let before = fs::read(&file).unwrap();
    assert_eq!(Db::open(&bench.home).unwrap_err().class, "state_foreign");
    assert!(fs::read(&file).unwrap() == before, "the file was changed");
}

#[test]
fn a_file_that_is_no_database_is_damaged_and_left_for_the_doctor() {
    let bench = Bench::new();
    fs::write(bench.home.database(), vec![0x5a; 8192]).unwrap();
    for rest in ["liftlock.db-wal", "liftlock.db-shm"] {
        let _ = fs::remove_file(bench.home.root().join(rest));
    }
    assert_eq!(Db::open(&bench.home).unwrap_err().class, "state_corrupt");
    assert!(fs::read(bench.home.database()).unwrap() == vec![0x5a; 8192], "the file was changed");
}

#[test]
fn the_schema_is_not_changed_under_a_worker_that_runs() {
    let bench = Bench::new();
    let home = Home::at(bench.path("old-home"));
    home.make().unwrap();
    let worker = home.lock_schema_shared().unwrap();
    // There is no schema yet, so opening has to change it.
    let error = Db::open(&home).unwrap_err();
    assert_eq!((error.class.as_ref(), error.exit_code()), ("state_busy", 6));
    drop(worker);
    Db::open(&home).unwrap();
    // Where nothing has to be changed, a worker disturbs nobody.
    let _worker = home.lock_schema_shared().unwrap();
    let _second = home.lock_schema_shared().unwrap();
    Db::open(&home).unwrap();
}

#[test]
fn eight_processes_that_come_first_at_the_same_time_all_find_a_home() {
    let bench = Bench::new();
    let comers: Vec<_> = (0..8).map(|_| process("schema::comer", &bench)).collect();
    wait_until("all are at the line", || comers.iter().all(|it| bench.path(&format!("ready-{}", it.id())).exists()));
    fs::write(bench.path("go"), "").unwrap();
    for comer in comers {
        let output = comer.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
#[ignore = "a process of the test above"]
fn comer() {
    let (_, root) = bench_of_parent();
    fs::write(root.join(format!("ready-{}", std::process::id())), "").unwrap();
    wait_until("the start", || root.join("go").exists());
    let home = Home::at(root.join("fresh-home"));
    Db::open(&home).unwrap().installations().unwrap();
}

#[cfg(unix)]
#[test]
fn the_home_and_its_state_are_private() {
    use std::os::unix::fs::PermissionsExt;
    let bench = Bench::new();
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(bench.home.root()), 0o700);
    assert_eq!(mode(&bench.home.database()), 0o600);
}

/// Changes the file behind Liftlock's back, with nothing left in a WAL.
fn rewrite(file: &std::path::Path, sql: &str) {
    let conn = rusqlite::Connection::open(file).unwrap();
    conn.execute_batch(sql).unwrap();
    conn.execute_batch("PRAGMA journal_mode = DELETE").unwrap();
}
