//! The way over required stops, hop by hop: each an upgrade of its own with its own proven backup, and whichever
//! fails, the version before it runs with its data.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use liftlock_engine::model::ids::UpgradeId;
use liftlock_engine::model::state::State;
use liftlock_engine::state::upgrades::Options;

use crate::support::{Case, Ended, Expected, World, judge};

/// A profile in which these versions must be installed on the way.
fn over(profile: String, stops: &[&str]) -> String {
    let stops: Vec<String> = stops.iter().map(|it| format!("\"{it}\"")).collect();
    let line = format!("required_stops = [{}]", stops.join(", "));
    assert!(profile.contains("required_stops = []"));
    profile.replace("required_stops = []", &line).replace("start_within = \"60s\"", "start_within = \"8s\"")
}

/// The upgrades from this one on, in the order in which they went on.
fn hops(case: &Case<'_>, first: UpgradeId) -> Vec<UpgradeId> {
    let mut all = vec![first];
    while let Some(next) = case.db().next_hop(all[all.len() - 1]).unwrap() {
        all.push(next);
    }
    all
}

/// From and to and end of each of them.
fn told(case: &Case<'_>, hops: &[UpgradeId]) -> Vec<String> {
    let one = |id: &UpgradeId| {
        let upgrade = case.upgrade(*id);
        format!("{} → {} {}", upgrade.from.as_deref().unwrap_or("?"), upgrade.to, upgrade.state)
    };
    hops.iter().map(one).collect()
}

/// Goes to `to` and judges how the last hop ended. Every hop that took the application away has a backup of the
/// version from which it came.
fn go(case: &Case<'_>, to: &str, points: &[String], expected: &Expected<'_>) -> Vec<UpgradeId> {
    let ended = case.work(case.ask(to), points);
    let hops = hops(case, ended.id);
    let last = hops[hops.len() - 1];
    judge::judge(case, &Ended { id: last, ..ended }, expected);
    let mut backups = Vec::new();
    for id in &hops {
        let upgrade = case.upgrade(*id);
        if upgrade.away_from.is_some() {
            let backup = upgrade.backup.unwrap();
            let manifest = fs::read_to_string(format!("{backup}/manifest.json")).unwrap();
            let manifest: serde_json::Value = serde_json::from_str(&manifest).unwrap();
            assert_eq!(manifest["version"].as_str(), upgrade.from.as_deref(), "{backup}");
            backups.push(backup);
        }
    }
    backups.sort();
    let count = backups.len();
    backups.dedup();
    assert_eq!(backups.len(), count, "a backup for each hop");
    hops
}

#[test]
fn a_required_stop_is_installed_on_the_way_and_a_failure_at_the_first_or_second_hop_stays_there() {
    let world = World::with(&["1.1.0", "1.2.0", "1.5.0", "1.7.0"]);
    world.demo(&["fault", "--migration-seconds", "1"]);

    // The plan says it before anything is begun.
    let case = world.case_with(|it| over(it, &["1.1.0"]));
    let plan = case.engine.plan(&case.name, Some("1.7.0"), &Options::default()).unwrap();
    assert_eq!((plan.to.as_deref(), &plan.path[..]), (Some("1.7.0"), &["1.1.0".to_owned(), "1.7.0".to_owned()][..]));
    assert!(plan.possible && plan.findings.iter().any(|it| it.class == "stops_on_the_way"), "{:?}", plan.findings);
    assert!(plan.asset.unwrap().contains("1.1.0"), "the first stop is what is fetched");
    drop(case);

    let case = world.case_with(|it| over(it, &["1.5.0"]));
    let all = go(&case, "1.7.0", &[], &Expected::rolled_back("wrong_version"));
    assert_eq!(told(&case, &all), ["1.0.0 → 1.5.0 rolled_back"], "nothing goes on from a stop that failed");
    drop(case);

    let case = world.case_with(|it| over(it, &["1.1.0", "1.2.0"]));
    let all = go(&case, "1.7.0", &[], &Expected { version: "1.1.0", ..Expected::rolled_back("unhealthy") });
    assert_eq!(told(&case, &all), ["1.0.0 → 1.1.0 complete", "1.1.0 → 1.2.0 rolled_back"]);
    // Back from there goes on to where it began.
    let retried = case.engine.retry(all[1], "a test");
    assert!(retried.is_ok(), "{retried:?}");
    let retried = retried.unwrap();
    assert_eq!(case.until_ended(retried), State::RolledBack);
    case.until_nobody_works();
    assert_eq!(case.upgrade(retried).options.goal.as_deref(), Some("1.7.0"), "a new try has the same aim");
}

#[test]
fn a_failure_at_the_third_hop_comes_back_to_the_second() {
    let world = World::with(&["1.1.0", "1.7.0", "1.8.0"]);
    world.demo(&["fault", "--migration-seconds", "1"]);
    let settings = world.shop.join(".env");
    fs::write(&settings, fs::read_to_string(&settings).unwrap() + "SHOP_CURRENCY=EUR\n").unwrap();
    // Well with every version but the last.
    let script = world.dir.join("not-with-1.8.0");
    fs::write(&script, format!("#!/bin/sh\ntest \"$(readlink {}/current)\" != releases/1.8.0\n", world.shop.display()))
        .unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    let probe = format!("\n[[probes]]\nname = \"door\"\nkind = \"command\"\ncommand = [\"{}\"]\n", script.display());

    let case = world.case_with(|it| over(it, &["1.1.0", "1.7.0"]) + &probe);
    let all = go(&case, "1.8.0", &[], &Expected { version: "1.7.0", ..Expected::rolled_back("unhealthy") });
    let expected = ["1.0.0 → 1.1.0 complete", "1.1.0 → 1.7.0 complete", "1.7.0 → 1.8.0 rolled_back"];
    assert_eq!(told(&case, &all), expected);
    drop(case);

    // The last hop alone, once what was wrong is put right; the way before it lies behind.
    let case = world.case_with(|it| over(it, &["1.1.0", "1.7.0"]));
    let all = go(&case, "1.8.0", &[], &Expected::complete("1.8.0"));
    assert_eq!(told(&case, &all), ["1.7.0 → 1.8.0 complete"]);
}

#[test]
fn a_worker_that_is_killed_between_two_hops_is_followed_by_one_that_goes_on() {
    let world = World::with(&["1.1.0", "1.7.0"]);
    world.demo(&["fault", "--migration-seconds", "1"]);
    let case = world.case_with(|it| over(it, &["1.1.0"]));
    // Each hop passes these; the first worker that does dies.
    let points: Vec<String> = ["forward/check/after_effect", "forward/check/mid_effect", "end/success/after_outcome"]
        .map(str::to_owned)
        .to_vec();
    let first = case.ask("latest");
    // One more than there are points: then the first hop is behind, or will never be.
    for _ in 0..=points.len() {
        let mut worker = case.worker(first, &points);
        let _ = case.end_of(&mut worker);
        if case.db().next_hop(first).unwrap().is_some() {
            break;
        }
    }
    assert!(case.db().next_hop(first).unwrap().is_some(), "the aim was lost\n{}", case.story(first));
    assert!(case.died_at(first).contains("end/success/after_outcome"), "{}", case.story(first));
    // Whoever comes by finds the rest of the way.
    case.engine.resume(None).unwrap();
    let all = hops(&case, first);
    assert_eq!(case.until_ended(all[1]), State::Complete);
    case.until_nobody_works();
    assert_eq!(told(&case, &all), ["1.0.0 → 1.1.0 complete", "1.1.0 → 1.7.0 complete"]);
    judge::judge(&case, &Ended { id: all[1], killed: 3, heard: Vec::new() }, &Expected::complete("1.7.0"));
}
