//! A worker that stands still holds its locks for ever, because the kernel frees them only when it ends. Past the
//! deadline that it wrote down itself it is ended and another goes on; one that wakes up after another took over
//! changes nothing any more.

use liftlock_engine::model::ids::UpgradeId;
use rustix::process::Signal;

use crate::support::{Case, Exit, Expected, PATIENCE, World, judge, signal, wait_for};

/// Its deadline is over.
fn overdue(case: &Case<'_>, id: UpgradeId) {
    case.tamper(&format!("UPDATE system_updates SET deadline_uptime = 1 WHERE id = '{id}'"));
}

#[test]
fn a_worker_that_stands_still_is_ended_past_its_deadline_and_not_before() {
    let world = World::with(&["1.1.0"]);
    for point in ["forward/rehearse/mid_effect", "forward/set_aside:database/mid_effect"] {
        let case = world.case();
        let id = case.ask("1.1.0");
        let mut worker = case.frozen(id, point);
        let (code, answer) = case.answer(&["resume", "--all"]);
        assert_eq!((code, &answer["running"][0]), (0, &id.to_string().into()), "it has time left: {answer:#}");
        assert!(crate::support::stands_still(worker.id()), "and was left alone");
        overdue(&case, id);
        assert_eq!(case.resume_all(), [id.to_string()], "{point}");
        assert!(matches!(case.end_of(&mut worker), Exit::Signal(_)), "{point}");
        judge::judge(&case, &case.ended(id), &Expected::complete("1.1.0"));
        world.reset();
    }
}

/// Its child is not frozen: that is ended with it, before anything else is done.
#[test]
fn a_worker_that_stands_still_takes_its_migration_with_it() {
    let world = World::with(&["1.6.0"]);
    world.demo(&["fault", "--spare-rehearsal"]);
    let case = world.case();
    let id = case.ask("1.6.0");
    let mut worker = case.worker(id, &[]);
    case.until_begun(id, "migrate");
    signal(worker.id(), Signal::STOP);
    overdue(&case, id);
    assert_eq!(case.resume_all(), [id.to_string()]);
    assert!(matches!(case.end_of(&mut worker), Exit::Signal(_)));
    judge::judge(&case, &case.ended(id), &Expected::rolled_back("unclear"));
}

/// Everything that is on record of an upgrade.
fn on_record(case: &Case<'_>) -> Vec<String> {
    let conn = rusqlite::Connection::open(case.home.database()).unwrap();
    ["system_updates", "step_run", "event", "history", "lease", "original", "system_backups"]
        .iter()
        .flat_map(|table| {
            let mut rows = conn.prepare(&format!("SELECT * FROM {table}")).unwrap();
            let columns = rows.column_count();
            let told = rows.query_map([], |row| {
                let values: rusqlite::Result<Vec<rusqlite::types::Value>> =
                    (0..columns).map(|at| row.get(at)).collect();
                values.map(|it| format!("{table} {it:?}"))
            });
            told.unwrap().map(Result::unwrap).collect::<Vec<_>>()
        })
        .collect()
}

/// Locks that somebody took away under it, as a person does who “cleans up”: what protects the data then is the epoch.
#[test]
fn one_that_wakes_after_another_took_over_changes_no_row_and_leaves() {
    let world = World::with(&["1.1.0"]);
    // Where the maintenance page is not up, which the frozen one would keep on the public port.
    for point in ["forward/rehearse/before_intent", "forward/rehearse/after_effect", "end/success/mid_effect"] {
        let case = world.case();
        let id = case.ask("1.1.0");
        let mut stale = case.frozen(id, point);
        let epoch = case.upgrade(id).epoch;
        for lock in [case.home.lock_file(&case.name), case.home.orphan_lock_file(&case.name)] {
            std::fs::remove_file(lock).unwrap();
        }
        std::fs::remove_file(world.shop.join(".liftlock/lock")).unwrap();
        let ended = case.work(id, &[]);
        assert!(case.upgrade(id).epoch > epoch, "another has taken over");
        let before = on_record(&case);
        assert!(crate::support::stands_still(stale.id()));
        signal(stale.id(), Signal::CONT);
        let left = wait_for("the stale one has left", PATIENCE, || stale.try_wait().unwrap());
        assert!(left.code().is_some_and(|it| it != 0), "{point}: {left:?}");
        assert_eq!(on_record(&case), before, "{point}");
        judge::judge(&case, &ended, &Expected::complete("1.1.0"));
        world.reset();
    }
}
