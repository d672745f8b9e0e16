//! Every release that Corner Shop ever had, as a project of Compose: each row as with the native driver.

use serde_json::Value;

use crate::support::{Case, Ended, Expected, World, judge, limit};

/// The project is whole, and its database was never stopped.
fn the_database_stayed(world: &World, begun: &str, version: &str) {
    assert_eq!(world.inspect("db", ".State.StartedAt").as_deref(), Some(begun), "the database stays up");
    world.is_whole(version);
}

fn database_since(world: &World) -> String {
    world.inspect("db", ".State.StartedAt").unwrap()
}

#[test]
fn a_good_release_is_reached_in_containers_while_people_shop() {
    let world = World::with(&["1.1.0"]);
    let begun = database_since(&world);
    let case = world.case();
    let shopper = world.shopper();
    let (code, answer) = case.answer(&["upgrade", "--yes", "--to", "1.1.0"]);
    assert_eq!((code, &answer["state"]), (0, &Value::from("complete")), "{answer:#}");
    let id = answer["upgrade_id"].as_str().unwrap().parse().unwrap();
    let shopped = shopper.judge();
    println!("away {} s", shopped["away_seconds"]);
    judge::judge(&case, &Ended { id, killed: 0, heard: Vec::new() }, &Expected::complete("1.1.0").while_shopping());
    the_database_stayed(&world, &begun, "1.1.0");
    // What a person does next works on the new version, without Liftlock.
    world.demo(&["down"]);
    world.demo(&["up"]);
    assert_eq!(world.version().as_deref(), Some("1.1.0"));
}

#[test]
fn what_is_bad_never_stays_in_containers() {
    let world = World::with(&["1.2.0", "1.3.0", "1.4.0", "1.5.0", "1.6.0"]);
    let begun = database_since(&world);
    let shopper = world.shopper();
    for (release, class) in [("1.3.0", "rehearsal_failed"), ("1.4.0", "rows_lost"), ("1.6.0", "stalled")] {
        let case = world.case_with(|it| limit(it, "stall_after", "6s"));
        case.run(release, &[], &Expected::failed(class).while_shopping());
        the_database_stayed(&world, &begun, "1.0.0");
    }
    for (release, class) in [("1.2.0", "unhealthy"), ("1.5.0", "wrong_version")] {
        let case = world.case_with(|it| limit(it, "start_within", "12s"));
        case.run(release, &[], &Expected::rolled_back(class).while_shopping());
        the_database_stayed(&world, &begun, "1.0.0");
    }
    shopper.judge();
}

#[test]
fn what_only_happens_in_the_real_migration_is_brought_back_in_containers() {
    let world = World::with(&["1.3.0", "1.4.0", "1.6.0"]);
    let begun = database_since(&world);
    world.demo(&["fault", "--spare-rehearsal"]);
    let shopper = world.shopper();
    for (release, class) in [("1.3.0", "migration_failed"), ("1.4.0", "rows_lost"), ("1.6.0", "stalled")] {
        let case = world.case_with(|it| limit(it, "stall_after", "6s"));
        case.run(release, &[], &Expected::rolled_back(class).while_shopping());
        the_database_stayed(&world, &begun, "1.0.0");
    }
    shopper.judge();
}

#[test]
fn a_migration_that_works_for_long_without_a_word_is_given_its_time_in_containers() {
    let world = World::with(&["1.7.0"]);
    let case = world.case_with(|it| limit(it, "stall_after", "6s"));
    world.demo(&["fault", "--migration-seconds", "9"]);
    case.run("1.7.0", &[], &Expected::complete("1.7.0"));
}

#[test]
fn what_can_be_known_beforehand_is_refused_in_containers() {
    let world = World::with(&["1.1.0", "1.8.0", "2.0.0"]);
    let refuse = |case: Case<'_>, to: &str, class: &str| {
        case.run(to, &[], &Expected::refused(class));
    };
    // It is asked for before anybody has begun anything.
    let (_, plan) = world.case().answer(&["plan", "--to", "1.8.0"]);
    assert_eq!((&plan["possible"], plan["asked"].as_array().map(Vec::len)), (&false.into(), Some(1)), "{plan:#}");
    refuse(world.case(), "1.8.0", "setting_asked");
    refuse(world.case(), "2.0.0", "breaking_release");
    refuse(world.case(), "1.0.0", "same_version");
    refuse(world.case(), "1.9.9", "unknown_release");
    // Its image is nowhere, though the release is out.
    world.engine.docker(&["image", "rm", "corner-shop:1.1.0"]);
    refuse(world.case(), "1.1.0", "image_missing");
}
