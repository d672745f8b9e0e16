//! Updates of a compose project from its first look to its last word: the good, the bad, and workers that are killed.

use liftlock_engine::model::state::State::{Complete, Failed, RolledBack};

use crate::case::{Case, limit};
use crate::support::World;

#[test]
fn a_good_release_is_reached_and_a_bad_one_is_brought_back_from_the_same_image() {
    let world = World::with(&["1.1.0", "1.2.0", "1.3.0", "1.5.0"]);
    let case = Case::new(&world, |it| limit(it, "start_within", "12s"));

    // What the rehearsal sees never reaches the application.
    case.run("1.3.0", (Failed, Some("rehearsal_failed")), "1.0.0");
    world.demo(&["fault", "--spare-rehearsal"]);
    case.run("1.3.0", (RolledBack, Some("migration_failed")), "1.0.0");
    case.run("1.2.0", (RolledBack, Some("unhealthy")), "1.0.0");
    case.run("1.5.0", (RolledBack, Some("wrong_version")), "1.0.0");

    let mut shopping = world.demo_command(&["shop", "--seconds", "45", "--rate", "10"]);
    let shopper = shopping.stdout(std::process::Stdio::piped()).spawn().unwrap();
    let (code, answer) = case.answer(&["upgrade", "--yes", "--to", "1.1.0"]);
    assert_eq!((code, answer["state"].as_str()), (0, Some("complete")), "{answer:#}");
    case.judge(answer["upgrade_id"].as_str().unwrap().parse().unwrap(), (Complete, None), "1.1.0");
    let shopped: serde_json::Value = serde_json::from_slice(&shopper.wait_with_output().unwrap().stdout).unwrap();
    assert_eq!((shopped["lost"].as_u64(), shopped["duplicated"].as_u64()), (Some(0), Some(0)), "{shopped:#}");
    assert!(shopped["away_seconds"].as_f64().is_some_and(|it| it > 0.0), "{shopped:#}");
}

/// The steps at which this driver does what the native one does not, forward; each is cut after its effect and before
/// its record, and in the middle where it has one.
const STEPS: &[&str] = &[
    "prepare_release",
    "rehearse",
    "hold_autostart",
    "stop:shop",
    "switch_release",
    "start_behind_gate",
    "verify",
    "open_gate",
    "restore_autostart",
];

fn points(direction: &str, moment: &str) -> Vec<String> {
    STEPS.iter().map(|it| format!("{direction}/{it}/{moment}")).collect()
}

#[test]
fn workers_that_are_killed_at_every_step_reach_the_end_or_bring_everything_back() {
    let world = World::with(&["1.1.0", "1.5.0"]);
    let case = Case::new(&world, |it| limit(it, "start_within", "20s"));

    // The way back, killed at every step of it.
    let id = case.ask("1.5.0");
    let back = points("back", "mid_effect");
    let killed = case.work(id, &back, |_| {});
    case.judge(id, (RolledBack, Some("wrong_version")), "1.0.0");
    assert!(killed >= 4, "{:?}\n{}", case.died_at(id), case.story(id));

    // The way forward.
    let id = case.ask("1.1.0");
    let killed = case.work(id, &points("forward", "after_effect"), |_| {});
    case.judge(id, (Complete, None), "1.1.0");
    assert_eq!(killed, STEPS.len(), "{:?}", case.died_at(id));
}
