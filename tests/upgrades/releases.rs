//! Every release that Corner Shop ever had, and what must become of an upgrade to it.

use serde_json::Value;

use crate::support::{Case, Ended, Expected, World, judge, limit};

#[test]
fn a_good_release_is_reached_from_the_command_line_while_people_shop() {
    let world = World::with(&["1.1.0"]);
    let case = world.case();
    let shopper = world.shopper();
    let (code, answer) = case.answer(&["upgrade", "--yes", "--to", "1.1.0"]);
    assert_eq!((code, &answer["state"]), (0, &Value::from("complete")), "{answer:#}");
    let id = answer["upgrade_id"].as_str().unwrap().parse().unwrap();
    let shopped = shopper.judge();
    assert!(shopped["away_seconds"].as_f64().is_some_and(|it| it > 0.0), "{shopped}");
    for kind in ["json", "html"] {
        let path = answer["receipt"][kind].as_str().unwrap();
        assert!(std::fs::metadata(path).is_ok_and(|it| it.len() > 0), "{path}");
    }
    let ended = Ended { id, killed: 0, heard: Vec::new() };
    judge::judge(&case, &ended, &Expected::complete("1.1.0").while_shopping());
}

#[test]
fn a_migration_that_works_for_long_without_a_word_is_given_its_time() {
    let world = World::with(&["1.7.0"]);
    let case = world.case_with(|it| limit(it, "stall_after", "5s"));
    world.demo(&["fault", "--migration-seconds", "8"]);
    case.run("1.7.0", &[], &Expected::complete("1.7.0"));
}

#[test]
fn what_the_rehearsal_sees_never_reaches_the_application() {
    let world = World::with(&["1.3.0", "1.4.0", "1.6.0"]);
    let shopper = world.shopper();
    for (release, class) in [("1.3.0", "rehearsal_failed"), ("1.4.0", "rows_lost"), ("1.6.0", "stalled")] {
        let case = world.case_with(|it| limit(it, "stall_after", "4s"));
        case.run(release, &[], &Expected::failed(class).while_shopping());
    }
    let shopped = shopper.judge();
    assert!(shopped["away_seconds"].as_f64().unwrap() < 1.0, "nobody noticed: {shopped}");
}

#[test]
fn what_only_happens_in_the_real_migration_is_brought_back() {
    let world = World::with(&["1.3.0", "1.4.0", "1.6.0"]);
    world.demo(&["fault", "--spare-rehearsal"]);
    let shopper = world.shopper();
    for (release, class) in [("1.3.0", "migration_failed"), ("1.4.0", "rows_lost"), ("1.6.0", "stalled")] {
        let case = world.case_with(|it| limit(it, "stall_after", "4s"));
        case.run(release, &[], &Expected::rolled_back(class).while_shopping());
    }
    shopper.judge();
}

#[test]
fn a_release_that_is_not_well_or_not_the_one_wanted_is_brought_back() {
    let world = World::with(&["1.2.0", "1.5.0"]);
    let shopper = world.shopper();
    for (release, class) in [("1.2.0", "unhealthy"), ("1.5.0", "wrong_version")] {
        let case = world.case_with(|it| limit(it, "start_within", "8s"));
        case.run(release, &[], &Expected::rolled_back(class).while_shopping());
    }
    shopper.judge();
}

#[test]
fn what_can_be_known_beforehand_is_refused() {
    let world = World::with(&["1.1.0", "1.8.0", "2.0.0"]);
    let refuse = |case: Case<'_>, to: &str, class: &str| {
        case.run(to, &[], &Expected::refused(class));
    };
    refuse(world.case(), "1.8.0", "setting_asked");
    refuse(world.case(), "2.0.0", "breaking_release");
    refuse(world.case(), "1.0.0", "same_version");
    refuse(world.case(), "1.9.9", "unknown_release");
}

#[test]
fn a_shop_whose_own_settings_file_wins_is_never_rehearsed_on() {
    let world = World::with(&["1.1.0"]);
    world.demo(&["fault", "--dotenv-wins"]);
    world.case().run("1.1.0", &[], &Expected::refused("guard_not_empty"));
}
