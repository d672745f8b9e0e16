//! A project whose images are built from a checkout of git: what is new is built beside it, before anything stops.

use std::fs;
use std::process::Command;

use serde_json::Value;

use crate::support::{Case, Ended, Expected, World, judge, limit};

/// What git says of the user's checkout.
fn git(world: &World, words: &[&str]) -> String {
    let output = Command::new("git").args(words).current_dir(&world.shop).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// The checkout is what it was, the shop runs from the image of this version, and Docker Compose itself agrees.
pub(crate) fn is_whole(world: &World, version: &str) {
    assert_eq!(git(world, &["tag", "--points-at", "HEAD"]), "v1.0.0", "nobody switches the user's checkout");
    assert_eq!(git(world, &["diff", "--name-only", "HEAD", "--", "compose.yaml", "Dockerfile"]), "");
    assert_eq!(world.current(), version);
    for service in ["db", "shop"] {
        let policy = world.inspect(service, ".HostConfig.RestartPolicy.Name");
        assert_eq!(policy.as_deref(), Some("always"), "the restart policy of {service}");
    }
    let containers = world.engine.docker(&["ps", "--all", "--format", "{{.Names}}"]);
    let mut names: Vec<&str> = containers.lines().collect();
    names.sort_unstable();
    assert_eq!(names, [world.container("db"), world.container("shop")]);
}

/// What the owner types by habit changes nothing of what runs.
fn habits_change_nothing(world: &World, version: &str) {
    let image = world.inspect("shop", ".Image");
    let output = Command::new("docker")
        .args(["compose", "up", "--detach", "--build", "--wait"])
        .current_dir(&world.shop)
        .envs(world.environment())
        .env_remove("DOCKER_CONTEXT")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(world.inspect("shop", ".Image"), image);
    assert_eq!(world.version().as_deref(), Some(version));
}

/// Everything of a class that was found, in sentences.
fn found(answer: &Value, class: &str) -> Vec<String> {
    let findings = answer["findings"].as_array().unwrap().iter().filter(|it| it["class"] == class);
    findings.map(|it| it["message"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_good_release_is_built_and_reached_while_people_shop() {
    let world = World::built(&["1.1.0", "1.7.0"]);
    let begun = world.inspect("db", ".State.StartedAt").unwrap();
    let case = world.case();
    let (code, plan) = case.answer(&["plan", "--to", "1.1.0"]);
    assert_eq!((code, &plan["possible"]), (0, &true.into()), "{plan:#}");
    assert_eq!(found(&plan, "checkout_stays").len(), 1, "{plan:#}");
    let shopper = world.shopper();
    let (code, answer) = case.answer(&["upgrade", "--yes", "--to", "1.1.0"]);
    assert_eq!((code, &answer["state"]), (0, &Value::from("complete")), "{answer:#}");
    let id = answer["upgrade_id"].as_str().unwrap().parse().unwrap();
    println!("away {} s", shopper.judge()["away_seconds"]);
    judge::judge(&case, &Ended { id, killed: 0, heard: Vec::new() }, &Expected::complete("1.1.0").while_shopping());
    assert_eq!(world.inspect("db", ".State.StartedAt"), Some(begun), "the database stays up");
    is_whole(&world, "1.1.0");
    habits_change_nothing(&world, "1.1.0");

    // The next one is built beside one that was built here, and the way back leads to that, not to the checkout.
    let before = world.inspect("shop", ".Image");
    let (code, answer) = case.answer(&["upgrade", "--yes", "--to", "1.7.0"]);
    assert_eq!((code, &answer["state"]), (0, &Value::from("complete")), "{answer:#}");
    is_whole(&world, "1.7.0");
    let (code, answer) = case.answer(&["rollback", "--accept-loss-of-new-work", "--yes"]);
    assert_eq!(answer["state"], "rolled_back", "{code} {answer:#}");
    is_whole(&world, "1.1.0");
    assert_eq!(world.inspect("shop", ".Image"), before);
    habits_change_nothing(&world, "1.1.0");
}

#[test]
fn a_build_that_fails_stops_nothing_and_its_last_words_are_told() {
    let world = World::built(&["1.1.0"]);
    // The step of the build finds no program any more.
    let empty = ["import", "--change", "LABEL empty=1", "-", "corner-shop-base:1"];
    let tar = Command::new("tar").args(["--create", "--files-from", "/dev/null"]).output().unwrap().stdout;
    let mut import = world.engine.command(&empty);
    let mut import = import.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::null()).spawn().unwrap();
    std::io::Write::write_all(&mut import.stdin.take().unwrap(), &tar).unwrap();
    assert!(import.wait().unwrap().success());
    let since = world.inspect("shop", ".State.StartedAt");

    let case = world.case();
    let ended = case.run("1.1.0", &[], &Expected::failed("build_failed"));
    let error = case.upgrade(ended.id).error.unwrap();
    assert!(error.details.iter().any(|it| it.contains("/usr/bin/sleep")), "{error:#?}");
    assert!(!error.remedy.is_empty());
    assert_eq!(world.inspect("shop", ".State.StartedAt"), since, "the shop was never stopped");
    is_whole(&world, "1.0.0");
}

#[test]
fn a_checkout_of_no_release_is_refused_and_what_was_changed_in_one_is_found_before_and_kept() {
    let world = World::built(&["1.1.0"]);
    git(&world, &["tag", "--delete", "v1.0.0"]);
    world.case().run("1.1.0", &[], &Expected::refused("checkout_without_version"));
    git(&world, &["tag", "v1.0.0"]);

    let file = world.shop.join("Dockerfile");
    let mut text = fs::read(&file).unwrap();
    // Not even text.
    text.extend(b"# \xff mine\n");
    fs::write(&file, &text).unwrap();
    let case = world.case();
    let (_, plan) = case.answer(&["plan", "--to", "1.1.0"]);
    assert_eq!(plan["possible"], false, "{plan:#}");
    assert!(found(&plan, "dirty_folder")[0].contains("Dockerfile"), "{plan:#}");
    case.run("1.1.0", &[], &Expected::refused("dirty_folder"));

    let (code, answer) = case.answer(&["upgrade", "--yes", "--to", "1.1.0", "--leave-changes"]);
    assert_eq!((code, &answer["state"]), (0, &Value::from("complete")), "{answer:#}");
    assert_eq!(fs::read(&file).unwrap(), text, "nobody touches it");
    // The patch makes of what was checked out what it was.
    git(&world, &["checkout", "--quiet", "Dockerfile"]);
    git(&world, &["apply", ".liftlock/changes-1.0.0.patch"]);
    assert_eq!(fs::read(&file).unwrap(), text);
}

#[test]
fn a_bad_release_is_brought_back_and_a_good_one_reached_although_workers_die_while_they_build() {
    let world = World::built(&["1.1.0", "1.5.0"]);
    let before = world.inspect("shop", ".Image");
    let points = |all: &[&str]| all.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>();
    let case = world.case_with(|it| limit(it, "start_within", "12s"));
    let back = points(&["forward/build_images/mid_effect", "back/switch_release/mid_effect"]);
    let ended = case.run("1.5.0", &back, &Expected::rolled_back("wrong_version"));
    assert_eq!(case.died_at(ended.id).len(), back.len(), "{:?}", case.died_at(ended.id));
    assert_eq!(world.inspect("shop", ".Image"), before, "the very image that ran before");
    is_whole(&world, "1.0.0");
    habits_change_nothing(&world, "1.0.0");
    let case: Case<'_> = world.case();
    let all = [
        "forward/build_images/mid_effect",
        "forward/prepare_release/after_effect",
        "forward/switch_release/after_intent",
        "forward/switch_release/mid_effect",
    ];
    let ended = case.run("1.1.0", &points(&all), &Expected::complete("1.1.0"));
    assert_eq!(case.died_at(ended.id).len(), all.len(), "{:?}", case.died_at(ended.id));
    is_whole(&world, "1.1.0");
}
