//! What an upgrade keeps beside: shown with its size, removed by rule, and never before.

use chrono::{TimeDelta, Utc};
use liftlock_engine::Engine;
use liftlock_engine::state::upgrades::Options;
use serde_json::Value;

use crate::support::{Case, Expected, World, judge};

fn in_days(case: &Case<'_>, days: i64) -> Engine {
    case.ahead(TimeDelta::days(days))
}

fn databases(world: &World, like: &str) -> String {
    world.sql(
        "postgres",
        &format!("SELECT datname FROM pg_database WHERE datname LIKE 'corner_shop__{like}%' ORDER BY 1"),
    )
}

#[test]
fn an_original_goes_after_seven_days_on_which_all_was_well_and_not_before() {
    let world = World::with(&["1.1.0"]);
    let case = world.case();
    let ended = case.run("1.1.0", &[], &Expected::complete("1.1.0"));
    let original = databases(&world, "aside");
    assert!(!original.is_empty());

    // Shown with its size, wherever one looks.
    let (_, status) = case.answer(&["status"]);
    let kept = &status["kept"][0];
    assert_eq!((&kept["kept"], &kept["store"]), (&Value::from("original"), &Value::from("database")), "{status:#}");
    assert!(kept["bytes"].as_u64().is_some_and(|it| it > 1_000_000), "{kept}");
    let (_, list) = case.answer(&["list"]);
    assert_eq!(&list["installations"][0]["status"]["kept"][0], kept);
    let (_, doctor) = case.answer(&["doctor"]);
    assert!(doctor["findings"].as_array().unwrap().iter().any(|it| it["class"] == "kept"), "{doctor:#}");

    // Seven days, one of which was none: the shop was down when somebody looked.
    for day in 0..7 {
        if day == 3 {
            world.end_shop();
        }
        assert_eq!(in_days(&case, day).tidy(&case.name).unwrap(), [], "day {day}");
        if day == 3 {
            world.demo(&["up"]);
            assert!(in_days(&case, day).check(&case.name).unwrap().healthy);
        }
    }
    assert_eq!(in_days(&case, 7).tidy(&case.name).unwrap(), [], "six days were well");
    assert_eq!(databases(&world, "aside"), original);

    // The days are over, but an update is open, or the shop is down, or somebody works.
    let open =
        case.db().ask_for_upgrade(&case.name, "shop", "1.1.0", &Options::default(), "a test", Utc::now()).unwrap();
    assert_eq!(in_days(&case, 8).tidy(&case.name).unwrap(), []);
    case.work(open, &[]);
    world.end_shop();
    assert_eq!(in_days(&case, 9).tidy(&case.name).unwrap(), []);
    world.demo(&["up"]);
    assert_eq!(databases(&world, "aside"), original);

    // Now it may go, and the log of its upgrade says so.
    let removed = in_days(&case, 10).tidy(&case.name).unwrap();
    assert_eq!(removed.iter().map(|it| it.store.as_str()).collect::<Vec<_>>(), ["database"]);
    assert_eq!(databases(&world, "aside"), "");
    assert_eq!(case.db().originals(None).unwrap(), []);
    let log = case.engine.log(ended.id, 0, 10_000).unwrap();
    assert!(log.last().unwrap().2.contains("was removed after 7 healthy days"), "{:?}", log.last());
    assert_eq!(world.version().as_deref(), Some("1.1.0"));
    assert_eq!(world.demo(&["hash"])["content_1_0"], world.before["content_1_0"]);
    // There is no way back to it any more, which is said before anything is stopped.
    let (code, answer) = case.answer(&["rollback", "--yes", "--accept-loss-of-new-work"]);
    assert_eq!((code, &answer["error"]["class"]), (3, &"original_gone".into()), "{answer:#}");
    // Nor by way of an update.
    let (code, answer) = case.answer(&["upgrade", "--yes", "--to", "1.0.0"]);
    assert_eq!((code, &answer["error"]["class"]), (3, &"older_version".into()), "{answer:#}");
    assert!(!answer["error"]["remedy"].as_str().unwrap().is_empty());
}

/// How many lists of uploads lie beside them.
fn lists(world: &World) -> usize {
    let names = std::fs::read_dir(world.shop.join("data")).into_iter().chain(std::fs::read_dir(&world.shop));
    let names = names.flatten().flatten().filter_map(|it| it.file_name().into_string().ok());
    names.filter(|it| it.contains("__list_")).count()
}

#[test]
fn what_failed_goes_by_the_same_rule_and_what_is_half_removed_is_no_way_back() {
    let world = World::with(&["1.1.0", "1.2.0"]);
    let case = world.case_with(|it| crate::support::limit(it, "start_within", "5s"));
    case.run("1.2.0", &[], &Expected::rolled_back("unhealthy"));
    assert!(!databases(&world, "failed").is_empty());
    case.engine.choose("keep_originals_days", Some("1")).unwrap();
    assert_eq!(in_days(&case, 0).tidy(&case.name).unwrap(), []);
    let release = world.shop.join("releases/1.2.0");
    assert_eq!((release.is_dir(), lists(&world)), (true, 1));
    let removed = in_days(&case, 1).tidy(&case.name).unwrap();
    assert_eq!(removed.iter().map(|it| it.kept.as_str()).collect::<Vec<_>>(), ["failed_copy"]);
    assert_eq!(databases(&world, "failed"), "");
    // What is nobody's data goes with it: the release that did not make it, and the list of the uploads.
    assert_eq!((release.exists(), lists(&world)), (false, 0));
    assert!(!world.shop.join("releases/.removing").exists());

    // A removal that was begun and not ended is gone on with, and never returned to.
    let ended = case.run("1.1.0", &[], &Expected::complete("1.1.0"));
    let original = case.db().originals(None).unwrap().pop().unwrap();
    case.db().begin_removal(&original, Utc::now()).unwrap();
    let error = case.engine.rollback(&case.name, true).unwrap_err();
    assert_eq!(error.class, "original_gone");
    judge::judge(&case, &ended, &Expected::complete("1.1.0"));
    assert_eq!(in_days(&case, 1).tidy(&case.name).unwrap().len(), 1);
    assert_eq!(databases(&world, "aside"), "");
}

#[test]
fn the_final_backup_of_data_that_was_changed_in_place_goes_too() {
    let world = World::with(&["1.1.0"]);
    let case = world.case();
    let id = case.ask_with("1.1.0", &Options { in_place: true, ..Options::default() });
    let ended = case.work(id, &[]);
    judge::judge(&case, &ended, &Expected { in_place: true, ..Expected::complete("1.1.0") });
    let kept = case.engine.kept(&case.name).unwrap();
    assert_eq!(kept.iter().map(|it| it.kept.as_str()).collect::<Vec<_>>(), ["final_dump"]);
    assert!(kept[0].bytes.is_some_and(|it| it > 0) && std::path::Path::new(&kept[0].place).is_dir());
    case.engine.choose("keep_originals_days", Some("1")).unwrap();
    assert_eq!(in_days(&case, 1).tidy(&case.name).unwrap().len(), 1);
    assert!(!std::path::Path::new(&kept[0].place).exists());
}
