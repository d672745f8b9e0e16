//! An update that comes by itself, really.

use std::path::PathBuf;
use std::sync::Arc;

use chrono::{DateTime, Local, TimeDelta, Utc};
use liftlock_engine::Engine;
use liftlock_engine::clock::FixedClock;
use liftlock_engine::model::maintenance::Reach;
use liftlock_engine::model::state::State;
use liftlock_engine::ports::{Machine, MachineUse};
use liftlock_engine::process::Silent;
use liftlock_engine::view::{UnattendedOutcome, UnattendedRun};

use crate::support::{Case, Ended, Expected, World, judge};

/// Where nobody can tell whether anyone is there.
struct Dark;

impl Machine for Dark {
    fn look(&self, _now: DateTime<Utc>) -> MachineUse {
        MachineUse::default()
    }
}

/// Announced thirteen hours ago, and run now, half an hour after the window has opened: the worker has the true clock.
fn by_itself(case: &Case<'_>) -> (Engine, UnattendedRun) {
    let now = Utc::now();
    let opened = (now - TimeDelta::minutes(30)).with_timezone(&Local);
    let shuts = opened + TimeDelta::hours(6);
    let window = format!("every day {}-{}", opened.format("%H:%M"), shuts.format("%H:%M"));
    let clock = Arc::new(FixedClock::at(now - TimeDelta::hours(13)));
    let engine = Engine::at(case.home.clone())
        .with_worker(PathBuf::from(env!("CARGO_BIN_EXE_liftlock")))
        .with_clock(clock.clone())
        .with_machine(Arc::new(Dark));
    // Asks what runs, as the window does.
    engine.releases(&case.name).unwrap();
    engine.allow_unattended(&case.name, &window, Reach::Minor).unwrap();
    let told = engine.tick(&Silent).unwrap().unattended.remove(0);
    assert_eq!((told.outcome, told.to.as_deref()), (UnattendedOutcome::Announced, Some("1.1.0")), "{told:?}");
    clock.advance(TimeDelta::hours(13).to_std().unwrap());
    let run = engine.run_unattended().unwrap().remove(0);
    (engine, run)
}

#[test]
fn a_release_comes_by_itself_in_its_window_and_one_that_cannot_be_rehearsed_does_not() {
    let world = World::with(&["1.1.0"]);

    let case = world.case_with(|it| it.replace("schema_version = {", "# {"));
    let (_, run) = by_itself(&case);
    assert_eq!(run.outcome, UnattendedOutcome::Postponed, "{run:?}");
    assert!(run.why.as_ref().is_some_and(|it| it.contains("rehearse")), "{run:?}");
    assert!(case.db().upgrades(Some(&case.name), 10).unwrap().is_empty(), "nothing was begun");
    drop(case);

    let case = world.case();
    let (engine, run) = by_itself(&case);
    assert_eq!(run.outcome, UnattendedOutcome::Begun, "{run:?}");
    let id = run.upgrade_id.unwrap();
    assert_eq!(case.until_ended(id), State::Complete, "{}", case.story(id));
    case.until_nobody_works();
    judge::judge(&case, &Ended { id, killed: 0, heard: Vec::new() }, &Expected::complete("1.1.0"));
    let upgrade = case.upgrade(id);
    assert_eq!(upgrade.initiated_by, "the maintenance window");
    let view = engine.unattended().unwrap().remove(0);
    let last = view.last.unwrap();
    assert_eq!((last.upgrade_id, last.state, last.to.as_str()), (id, State::Complete, "1.1.0"), "the report after it");
    assert_eq!(engine.run_unattended().unwrap(), [], "it comes once");
}
