//! How long an end is the current status: until it is known, or, for a success, until its time is over.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use liftlock_engine::Engine;
use liftlock_engine::clock::FixedClock;
use liftlock_engine::model::ids::UpgradeId;
use liftlock_engine::model::state::{Event, State};
use liftlock_engine::ports::Clock;
use liftlock_engine::state::journal::Ending;
use liftlock_engine::state::upgrades::Outcome;
use liftlock_engine::view::StatusView;

use crate::support::Bench;

struct Scene {
    bench: Bench,
    clock: Arc<FixedClock>,
    engine: Engine,
    epoch: std::cell::Cell<i64>,
}

impl Scene {
    fn new() -> Self {
        let bench = Bench::new();
        let clock = Arc::new(FixedClock::at(DateTime::<Utc>::from_timestamp(1_790_000_000, 0).unwrap()));
        let engine = Engine::at(bench.home.clone()).with_clock(clock.clone());
        Self { bench, clock, engine, epoch: 0.into() }
    }

    /// An upgrade that has just ended in `end`.
    fn ended(&self, end: State) -> UpgradeId {
        let mut db = self.bench.db();
        let now = self.clock.now();
        let id = db.ask_for_upgrade(&self.bench.shop, "app", "1.1.0", &Default::default(), "tester", now).unwrap();
        self.epoch.set(self.epoch.get() + 1);
        let mut journal = self.bench.take_up(id, self.epoch.get());
        let (last, event, outcome) = match end {
            State::Complete => (State::Verifying, Event::Advanced, Outcome::Success),
            State::Failed => (State::Checking, Event::Broke, Outcome::Failed),
            State::RolledBack => (State::Migrating, Event::Advanced, Outcome::RolledBack),
            State::NeedsAttention => (State::Migrating, Event::Stranded, Outcome::RollbackFailed),
            other => panic!("{other} is no end"),
        };
        while journal.upgrade().unwrap().state != last {
            journal.advance(Event::Advanced).unwrap();
        }
        if last == State::Migrating {
            journal.advance(Event::Broke).unwrap();
        }
        let ending = Ending {
            outcome,
            message: "It ended.".to_owned(),
            error: None,
            receipt: None,
            boot_id: self.clock.boot_id(),
            uptime: self.clock.since_boot().as_secs_f64(),
        };
        journal.end(event, &ending, now).unwrap();
        id
    }

    /// The id of the upgrade that is the current status.
    fn current(&self) -> Option<UpgradeId> {
        match self.engine.status(&self.bench.shop).unwrap() {
            StatusView::Upgrade(upgrade) => Some(upgrade.upgrade_id),
            StatusView::Idle(idle) => {
                assert!(idle.last_upgrade_id.is_some() && !idle.active);
                None
            }
        }
    }
}

const MINUTE: Duration = Duration::from_secs(60);

#[test]
fn a_success_is_shown_for_its_time_to_live_and_then_by_the_history_alone() {
    let scene = Scene::new();
    let id = scene.ended(State::Complete);
    assert_eq!(scene.current(), Some(id));
    let view = scene.engine.upgrade_status(id).unwrap();
    assert_eq!(view.expires_at, Some(scene.clock.now() + TimeDelta::minutes(10)));
    scene.clock.advance(10 * MINUTE - Duration::from_secs(1));
    assert_eq!(scene.current(), Some(id));
    scene.clock.advance(Duration::from_secs(1));
    assert_eq!(scene.current(), None);
    assert_eq!(scene.engine.history(None).unwrap().outcomes.len(), 1);
    scene.engine.choose("completion_ttl_minutes", Some("15")).unwrap();
    assert_eq!(scene.current(), Some(id), "the time to live is what is chosen now");
}

#[test]
fn setting_the_clock_by_ten_years_neither_hides_a_success_nor_keeps_it_for_ever() {
    for years in [-10, 10] {
        let scene = Scene::new();
        let id = scene.ended(State::Complete);
        scene.clock.set_wall(scene.clock.now() + TimeDelta::days(3653 * years));
        assert_eq!(scene.current(), Some(id), "{years} years: gone too early");
        scene.clock.advance(9 * MINUTE);
        assert_eq!(scene.current(), Some(id), "{years} years: gone too early");
        scene.clock.advance(2 * MINUTE);
        assert_eq!(scene.current(), None, "{years} years: stays too long");
    }
}

#[test]
fn after_a_reboot_the_time_to_live_begins_anew() {
    let scene = Scene::new();
    let id = scene.ended(State::Complete);
    scene.clock.advance(9 * MINUTE);
    scene.clock.reboot("boot-2");
    assert_eq!(scene.current(), Some(id));
    scene.clock.advance(9 * MINUTE);
    assert_eq!(scene.current(), Some(id), "nobody may have seen it before");
    scene.clock.advance(2 * MINUTE);
    assert_eq!(scene.current(), None);
}

#[test]
fn what_did_not_succeed_stays_until_someone_says_that_they_know() {
    for end in [State::Failed, State::RolledBack, State::NeedsAttention] {
        let scene = Scene::new();
        let id = scene.ended(end);
        assert_eq!(scene.engine.upgrade_status(id).unwrap().expires_at, None);
        scene.clock.advance(3650 * 24 * 60 * MINUTE);
        scene.clock.reboot("boot-2");
        assert_eq!(scene.current(), Some(id), "{end} went away by itself");
        scene.engine.acknowledge(id).unwrap();
        assert_eq!(scene.current(), None);
        assert!(scene.engine.upgrade_status(id).unwrap().acknowledged_at.is_some());
    }
}

#[test]
fn an_acknowledgement_never_covers_another_upgrade() {
    let scene = Scene::new();
    let first = scene.ended(State::Failed);
    scene.clock.advance(MINUTE);
    let second = scene.ended(State::RolledBack);
    scene.engine.acknowledge(first).unwrap();
    assert_eq!(scene.current(), Some(second));
    assert_eq!(scene.engine.upgrade_status(second).unwrap().acknowledged_at, None);
    let known = scene.engine.upgrade_status(first).unwrap();
    scene.clock.advance(MINUTE);
    scene.engine.acknowledge(first).unwrap();
    assert_eq!(scene.engine.upgrade_status(first).unwrap(), known, "the first time counts");
    assert_eq!(scene.engine.acknowledge(UpgradeId::fresh()).unwrap_err().class, "unknown_upgrade");
}

#[test]
fn an_upgrade_that_runs_cannot_be_acknowledged_and_does_not_hide_behind_the_one_before() {
    let scene = Scene::new();
    let first = scene.ended(State::Complete);
    scene.engine.acknowledge(first).unwrap();
    scene.clock.advance(MINUTE);
    let mut db = scene.bench.db();
    let now = scene.clock.now();
    let second = db.ask_for_upgrade(&scene.bench.shop, "app", "1.2.0", &Default::default(), "tester", now).unwrap();
    assert_eq!(scene.current(), Some(second));
    assert_eq!(scene.engine.acknowledge(second).unwrap_err().class, "not_finished");
    scene.clock.advance(3650 * 24 * 60 * MINUTE);
    assert_eq!(scene.current(), Some(second));
}
