//! Liftlock itself is replaced while an upgrade is open.

use std::fs;

use rustix::process::Signal;

use crate::support::{Case, Exit, Expected, World, judge, signal};

fn format_of(case: &Case<'_>) -> i64 {
    let conn = rusqlite::Connection::open(case.home.database()).unwrap();
    conn.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap()
}

/// The file as it is on disk, with everything that still stood in its log.
fn state_file(case: &Case<'_>) -> Vec<u8> {
    case.tamper("PRAGMA wal_checkpoint(TRUNCATE)");
    fs::read(case.home.database()).unwrap()
}

/// A newer Liftlock was here and went away again: this one does not touch what it does not know.
#[test]
fn a_state_of_a_newer_liftlock_is_refused_and_the_open_upgrade_is_as_it_was() {
    let world = World::with(&["1.1.0"]);
    for point in ["forward/prove_backup/after_intent", "forward/set_aside:database/after_effect"] {
        let case = world.case();
        let id = case.ask("1.1.0");
        let mut worker = case.worker(id, &[point.to_owned()]);
        assert_eq!(case.end_of(&mut worker), Exit::Signal(9));
        let ours = format_of(&case);
        case.tamper("PRAGMA user_version = 9000");
        let (before, databases) =
            (state_file(&case), world.sql("postgres", "SELECT datname, datallowconn FROM pg_database ORDER BY 1"));
        let id_text = id.to_string();
        for args in [
            &["resume", "--all"][..],
            &["upgrade", "--yes"],
            &["rollback", "--yes"],
            &["cancel", &id_text],
            &["settle", &id_text],
            &["status"],
        ] {
            let (code, answer) = case.answer(args);
            assert_eq!((code, &answer["error"]["class"]), (3, &"state_newer".into()), "{args:?}: {answer:#}");
        }
        let mut worker = case.worker(id, &[]);
        assert_eq!(case.end_of(&mut worker), Exit::Code(3));
        assert!(state_file(&case) == before, "not a byte was changed");
        assert_eq!(world.sql("postgres", "SELECT datname, datallowconn FROM pg_database ORDER BY 1"), databases);
        // The newest is installed again.
        case.tamper(&format!("PRAGMA user_version = {ours}"));
        let ended = case.work(id, &[]);
        judge::judge(&case, &ended, &Expected::complete("1.1.0"));
        world.reset();
    }
}

/// A newer Liftlock that starts beside a worker of the older one waits with its schema until that has ended.
#[test]
fn the_schema_is_never_changed_under_a_worker_that_runs() {
    let world = World::with(&["1.1.0"]);
    let case = world.case();
    let id = case.ask("1.1.0");
    let mut worker = case.frozen(id, "forward/set_aside:database/mid_effect");
    let ours = format_of(&case);
    // To the program under test an older file is what its own file is to a newer program.
    case.tamper(&format!("PRAGMA user_version = {}", ours - 1));
    let (code, answer) = case.answer(&["status"]);
    assert_eq!((code, &answer["error"]["class"]), (6, &"state_busy".into()), "{answer:#}");
    assert_eq!(format_of(&case), ours - 1, "it was left as it is");
    case.tamper(&format!("PRAGMA user_version = {ours}"));
    signal(worker.id(), Signal::CONT);
    assert_eq!(case.end_of(&mut worker), Exit::Code(0));
    judge::judge(&case, &case.ended(id), &Expected::complete("1.1.0"));
}
