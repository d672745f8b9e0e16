//! Updates that happen by themselves, as far as the decision and what is remembered of it; that one is really made is
//! seen in `tests/upgrades`.

use std::path::Path;
use std::sync::{Arc, Mutex};

use chrono::{DateTime, Datelike, Local, TimeDelta, Utc};
use liftlock_engine::Engine;
use liftlock_engine::clock::FixedClock;
use liftlock_engine::engine::Choice;
use liftlock_engine::model::ids::InstallationName;
use liftlock_engine::model::maintenance::Reach;
use liftlock_engine::ports::{Clock, Machine, MachineUse};
use liftlock_engine::state::Db;
use liftlock_engine::state::discovery::{KnownRelease, Learned, Repository};
use liftlock_engine::state::home::Home;
use liftlock_engine::state::installations::Installation;
use liftlock_engine::view::{UnattendedOutcome, UnattendedRun};

/// A machine that is in use as the test says.
#[derive(Default)]
struct Desk(Mutex<MachineUse>);

impl Machine for Desk {
    fn look(&self, _now: DateTime<Utc>) -> MachineUse {
        *self.0.lock().unwrap()
    }
}

struct Bench {
    _root: tempfile::TempDir,
    home: Home,
    clock: Arc<FixedClock>,
    desk: Arc<Desk>,
    engine: Engine,
    shop: InstallationName,
}

/// A Sunday, at the start of the window, by the clock on the wall here.
fn sunday_at_two() -> DateTime<Utc> {
    let noon: DateTime<Utc> = "2026-11-18T12:00:00Z".parse().unwrap();
    let local = noon.with_timezone(&Local);
    let days = i64::from(7 - local.weekday().number_from_monday());
    let day = (local + TimeDelta::days(days)).date_naive();
    day.and_hms_opt(2, 0, 0).unwrap().and_local_timezone(Local).earliest().unwrap().with_timezone(&Utc)
}

fn add(home: &Home, name: &InstallationName, folder: &Path) {
    let profile = liftlock_engine::profiles::text_of("corner-shop").unwrap();
    Db::open(home)
        .unwrap()
        .add_installation(&Installation {
            name: name.clone(),
            folder: folder.to_owned(),
            profile: profile.replace("https://api.github.com", "http://127.0.0.1:9"),
            application: "corner-shop".into(),
            version: Some("1.4.0".into()),
            added_at: sunday_at_two(),
        })
        .unwrap();
}

impl Bench {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let home = Home::at(root.path().join("home"));
        let shop: InstallationName = "shop".parse().unwrap();
        add(&home, &shop, &root.path().join("shop"));
        let clock = Arc::new(FixedClock::at(sunday_at_two() - TimeDelta::hours(20)));
        let desk = Arc::new(Desk::default());
        let engine = Engine::at(home.clone()).with_clock(clock.clone()).with_machine(desk.clone());
        Self { _root: root, home, clock, desk, engine, shop }
    }

    fn out(&self, tags: &[&str]) {
        let now = self.clock.now();
        let release = |tag: &&str| KnownRelease {
            tag: (*tag).to_owned(),
            published_at: Some(now),
            first_seen_at: now,
            prerelease: false,
            breaking: false,
            security: false,
            headline: None,
        };
        let profile = self.profile();
        let learned = Learned {
            source: format!("{} {}", profile.releases.api, profile.releases.repository),
            repository: Repository { answered_at: Some(now), ..Repository::default() },
            releases: Some(tags.iter().map(release).collect()),
            cut_short: false,
            advisories: None,
        };
        Db::open(&self.home).unwrap().learn(&[learned], now).unwrap();
    }

    fn profile(&self) -> liftlock_engine::model::profile::Profile {
        let text = Db::open(&self.home).unwrap().installation(&self.shop).unwrap().profile;
        liftlock_engine::model::profile::Profile::parse(&text).unwrap()
    }

    fn run(&self) -> Option<UnattendedRun> {
        let mut runs = self.engine.run_unattended().unwrap();
        assert!(runs.len() <= 1);
        runs.pop()
    }

    fn outcome(&self) -> Option<UnattendedOutcome> {
        self.run().map(|it| it.outcome)
    }

    fn pass(&self, time: TimeDelta) {
        self.clock.advance(time.to_std().unwrap());
    }
}

#[test]
fn nothing_happens_by_itself_unless_it_was_allowed_and_then_only_what_is_near() {
    let bench = Bench::new();
    bench.out(&["v1.4.1", "v1.5.0", "v2.0.0"]);
    assert_eq!(bench.run(), None);
    assert!(bench.engine.unattended().unwrap().is_empty());
    let class = |during: &str| bench.engine.allow_unattended(&bench.shop, during, Reach::Patch).unwrap_err().class;
    assert_eq!(class("every moon"), "bad_window");
    bench.engine.allow_unattended(&bench.shop, "Sundays 2-5", Reach::Patch).unwrap();
    let run = bench.run().unwrap();
    assert_eq!((run.outcome, run.to.as_deref()), (UnattendedOutcome::Announced, Some("1.4.1")));
    assert_eq!(run.at, Some(sunday_at_two()));
    // The notice before it: once.
    let shown = bench.engine.announce_unattended(&bench.shop).unwrap().unwrap();
    assert_eq!((shown.to.as_str(), shown.at), ("1.4.1", sunday_at_two()));
    assert_eq!(bench.engine.announce_unattended(&bench.shop).unwrap(), None);
    assert_eq!(bench.outcome(), Some(UnattendedOutcome::Waits));
    bench.engine.allow_unattended(&bench.shop, "Sundays 2-5", Reach::Minor).unwrap();
    assert_eq!(bench.run().unwrap().to.as_deref(), Some("1.5.0"), "never 2.0.0");
    // What a person skipped does not come by itself either, and nothing does while they want to hear nothing.
    bench.engine.choose_notices(&bench.shop, Choice::Skip(Some("1.5.0".into()))).unwrap();
    assert_eq!(bench.run().unwrap().to.as_deref(), Some("1.4.1"));
    bench.engine.choose_notices(&bench.shop, Choice::Pause(7)).unwrap();
    assert_eq!(bench.run(), None);
    bench.engine.choose_notices(&bench.shop, Choice::HearAll).unwrap();
    assert!(bench.run().is_some());
    bench.engine.forbid_unattended(&bench.shop).unwrap();
    assert_eq!(bench.run(), None);
    // One of the same name that is added later begins without it.
    bench.engine.allow_unattended(&bench.shop, "Sundays 2-5", Reach::Minor).unwrap();
    bench.engine.remove(&bench.shop).unwrap();
    assert!(bench.engine.unattended().unwrap().is_empty());
}

#[test]
fn what_was_allowed_for_one_that_is_gone_is_not_allowed_for_another_of_its_name() {
    let bench = Bench::new();
    let beside: InstallationName = "my-shop".parse().unwrap();
    let folder = bench.home.root().join("elsewhere");
    add(&bench.home, &beside, &folder);
    for name in [&bench.shop, &beside] {
        bench.engine.allow_unattended(name, "Sundays 2-5", Reach::Minor).unwrap();
        bench.engine.schedule_backups(name, "every night at 3").unwrap();
    }
    Db::open(&bench.home).unwrap().remove_installation(&bench.shop).unwrap();
    add(&bench.home, &bench.shop, &bench.home.root().join("another"));
    let allowed: Vec<_> = bench.engine.unattended().unwrap().into_iter().map(|it| it.installation).collect();
    let backed_up: Vec<_> = bench.engine.backup_schedules().unwrap().into_iter().map(|it| it.installation).collect();
    assert_eq!((allowed, backed_up), (vec![beside.clone()], vec![beside]));
}

#[test]
fn a_machine_that_is_in_use_or_on_its_battery_postpones_it() {
    let bench = Bench::new();
    bench.out(&["v1.4.1"]);
    bench.engine.allow_unattended(&bench.shop, "Sundays 2-5", Reach::Patch).unwrap();
    assert_eq!(bench.outcome(), Some(UnattendedOutcome::Announced));
    bench.pass(TimeDelta::hours(20));
    for (seen, why) in [
        (MachineUse { on_battery: Some(true), unused_for: None }, "The computer ran on its battery."),
        (MachineUse { on_battery: None, unused_for: Some(TimeDelta::minutes(1)) }, "The computer was in use."),
    ] {
        *bench.desk.0.lock().unwrap() = seen;
        let run = bench.run().unwrap();
        assert_eq!((run.outcome, run.why.as_deref()), (UnattendedOutcome::Postponed, Some(why)));
        let view = bench.engine.unattended().unwrap().remove(0);
        assert_eq!((view.postponed_why.as_deref(), view.postponed_at), (Some(why), Some(bench.clock.now())));
        assert_eq!(view.planned.unwrap().to, "1.4.1", "it comes as soon as that is over");
    }
    // Nobody is there any more, and what the update itself needs is not: that is told, and looked at again.
    *bench.desk.0.lock().unwrap() = MachineUse { on_battery: Some(false), unused_for: Some(TimeDelta::hours(4)) };
    let run = bench.run().unwrap();
    assert_eq!(run.outcome, UnattendedOutcome::Postponed, "{run:?}");
    assert!(!run.why.unwrap().is_empty());
    assert!(bench.engine.history(None).unwrap().outcomes.is_empty(), "nothing was begun");
    // The window is half over: next week.
    bench.pass(TimeDelta::minutes(90));
    let run = bench.run().unwrap();
    assert_eq!(run.outcome, UnattendedOutcome::Waits);
    assert!(run.at.unwrap() > sunday_at_two() + TimeDelta::days(6));
}
