//! Who only watches an upgrade may die at any time: the upgrade does not notice.

use std::process::{Child, Stdio};

use liftlock_engine::model::ids::UpgradeId;
use liftlock_engine::model::state::State;

use crate::support::{Case, Expected, PATIENCE, World, judge, signal, wait_for};

/// `liftlock upgrade` that follows its upgrade, whose worker freezes at this point.
fn follower(case: &Case<'_>, point: &str) -> (Child, UpgradeId, u32) {
    let log = case.home.root().join("crash.log");
    let follower = case
        .liftlock(&["upgrade", "--yes", "--to", "1.1.0"])
        .env("LIFTLOCK_FREEZE_AT", point)
        .env("LIFTLOCK_CRASH_LOG", &log)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    wait_for("the worker has frozen", PATIENCE, || {
        std::fs::read_to_string(&log).is_ok_and(|it| it.contains("froze ")).then_some(())
    });
    let upgrade = case.db().newest_upgrade(&case.name).unwrap().unwrap();
    let worker = upgrade.holder.unwrap().pid;
    wait_for("the worker stands still", PATIENCE, || crate::support::stands_still(worker).then_some(()));
    (follower, upgrade.id, worker)
}

fn ends(mut process: Child) {
    process.kill().unwrap();
    process.wait().unwrap();
}

#[test]
fn a_follower_that_is_killed_takes_nothing_with_it() {
    let world = World::with(&["1.1.0"]);
    let case = world.case();
    let (watching, id, worker) = follower(&case, "forward/set_aside:database/mid_effect");
    ends(watching);
    let status = case.answer(&["status"]).1;
    assert_eq!((&status["active"], &status["interrupted"]), (&true.into(), &false.into()), "{status:#}");
    signal(worker, rustix::process::Signal::CONT);
    // Whoever comes later sees it again, to its end.
    let (code, seen) = case.answer(&["status", "--follow", "--upgrade", &id.to_string()]);
    assert_eq!((code, &seen["state"]), (0, &"complete".into()), "{seen:#}");
    let ended = case.ended(id);
    assert_eq!(case.upgrade(id).restarts, 0, "the same worker did all of it");
    judge::judge(&case, &ended, &Expected::complete("1.1.0"));
}

#[test]
fn with_follower_and_worker_killed_it_is_interrupted_and_the_next_start_goes_on() {
    let world = World::with(&["1.1.0"]);
    for point in ["forward/prove_backup/mid_effect", "forward/swap:database/mid_effect"] {
        let case = world.case();
        let (watching, id, worker) = follower(&case, point);
        ends(watching);
        signal(worker, rustix::process::Signal::KILL);
        case.until_nobody_works();
        let status = case.answer(&["status"]).1;
        assert_eq!((&status["active"], &status["interrupted"]), (&false.into(), &true.into()), "{status:#}");
        assert_eq!(case.resume_all(), [id.to_string()]);
        let ended = case.ended(id);
        assert_eq!(case.upgrade(id).state, State::Complete);
        judge::judge(&case, &ended, &Expected::complete("1.1.0"));
        world.reset();
    }
}
