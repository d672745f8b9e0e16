//! Updates at a time that a person chose.

use std::time::Duration;

use chrono::{TimeDelta, Utc};
use liftlock_engine::engine::Face;
use liftlock_engine::model::state::State;
use liftlock_engine::view::window::InstallationCard;

use crate::support::{Case, Ended, Expected, World, judge, wait_for};

fn card(case: &Case<'_>) -> InstallationCard {
    case.engine.app(&Face::default()).installations.remove(0)
}

#[test]
fn an_update_begins_once_when_its_time_has_come_and_says_why_where_it_does_not() {
    let world = World::with(&["1.1.0"]);
    let case = world.case();
    let name = case.name.as_str();
    let program = std::path::PathBuf::from(env!("CARGO_BIN_EXE_liftlock"));
    let at = |minutes: i64| case.ahead(TimeDelta::minutes(minutes)).with_worker(program.clone());
    let tonight = Utc::now() + TimeDelta::hours(2);

    for bad in [Utc::now() - TimeDelta::minutes(1), Utc::now() + TimeDelta::days(40)] {
        assert_eq!(at(0).schedule_upgrade(name, "1.1.0", Some(bad)).unwrap_err().class, "bad_time");
    }

    // Nothing happens before, and what is taken back does not happen.
    at(0).schedule_upgrade(name, "1.1.0", Some(tonight)).unwrap();
    assert_eq!(card(&case).scheduled.map(|it| it.at), Some(tonight));
    at(119).run_scheduled_upgrades().unwrap();
    assert!(card(&case).scheduled.is_some());
    at(0).schedule_upgrade(name, "1.1.0", None).unwrap();
    at(121).run_scheduled_upgrades().unwrap();
    assert!(card(&case).upgrade.is_none() && card(&case).missed.is_none());

    // The computer slept.
    at(0).schedule_upgrade(name, "1.1.0", Some(tonight)).unwrap();
    at(200).run_scheduled_upgrades().unwrap();
    assert_eq!(card(&case).missed.map(|it| it.problem.class).as_deref(), Some("slept"));

    // The checks find something that was not there in the evening.
    at(0).schedule_upgrade(name, "1.1.0", Some(tonight)).unwrap();
    assert!(card(&case).missed.is_none(), "choosing another time is an answer");
    let changed = world.shop.join("releases/1.0.0/release.json");
    let first = std::fs::read(&changed).unwrap();
    std::fs::write(
        &changed,
        [
            &first[..],
            b"
",
        ]
        .concat(),
    )
    .unwrap();
    at(121).run_scheduled_upgrades().unwrap();
    assert_eq!(card(&case).missed.map(|it| it.problem.class).as_deref(), Some("found_something_new"));
    let refused = at(0).schedule_upgrade(name, "1.1.0", Some(tonight)).unwrap_err();
    assert_eq!(refused.class, "not_unattended", "what a person would have to see to is no matter for the night");
    std::fs::write(&changed, &first).unwrap();
    assert_eq!(world.version().as_deref(), Some("1.0.0"));

    // And when all is well it begins, once. The worker's clock is the real one.
    let soon = Utc::now() + TimeDelta::seconds(1);
    at(0).schedule_upgrade(name, "1.1.0", Some(soon)).unwrap();
    wait_for("the time that was set", Duration::from_secs(10), || (Utc::now() > soon).then_some(()));
    at(0).run_scheduled_upgrades().unwrap();
    at(0).run_scheduled_upgrades().unwrap();
    let id = case.db().newest_upgrade(&case.name).unwrap().unwrap().id;
    assert_eq!(case.until_ended(id), State::Complete, "{}", case.story(id));
    case.until_nobody_works();
    judge::judge(&case, &Ended { id, killed: 0, heard: Vec::new() }, &Expected::complete("1.1.0"));
    assert!(card(&case).scheduled.is_none() && card(&case).missed.is_none());
}
