//! Images that come from a registry: fixed with the plan, fetched before anything stops.

use std::fs;
use std::process::Child;

use liftlock_engine::model::ids::UpgradeId;
use rustix::process::Signal;

use crate::support::registry::Registry;
use crate::support::{Case, Expected, PATIENCE, World, judge, signal, wait_for};

/// Corner Shop with images from a registry, where the new release is and this machine does not have it.
struct Published {
    world: World,
    registry: Registry,
    /// What the new release is there.
    good: String,
}

fn published() -> Published {
    published_as("1.1.0")
}

fn published_as(version: &str) -> Published {
    let world = World::with(&[version]);
    let registry = Registry::start();
    let (docker, host) = (|words: &[&str]| world.engine.docker(words), registry.host.clone());
    let image = format!("corner-shop:{version}");
    registry.put(&world.engine, &image, &image);
    let good = docker(&["image", "inspect", "--format", "{{.Id}}", &image]);
    docker(&["image", "rm", &image]);
    docker(&["tag", "corner-shop:1.0.0", &format!("{host}/corner-shop:1.0.0")]);
    let file = world.shop.join("compose.yaml");
    let text = fs::read_to_string(&file).unwrap();
    let (before, after) = text.split_once("image: corner-shop:").unwrap();
    let after = after.replacen("    pull_policy: never\n", "", 1);
    fs::write(&file, format!("{before}image: {host}/corner-shop:{after}")).unwrap();
    world.demo(&["up"]);
    Published { world, registry, good }
}

impl Published {
    fn case(&self) -> Case<'_> {
        let host = &self.registry.host;
        self.world.case_with(|it| {
            let ours = format!("images = {{ shop = \"{host}/corner-shop:{{version}}\" }}\n");
            it.replace("images = { shop = \"corner-shop:{version}\" }\nlocal = true\n", &ours)
        })
    }

    /// An update that has fixed its images and does not go on before it is let.
    fn frozen(&self, case: &Case<'_>) -> (UpgradeId, Child) {
        let id = case.ask("1.1.0");
        (id, case.frozen(id, "forward/check/after_outcome"))
    }
}

fn goes_on(case: &Case<'_>, id: UpgradeId, mut worker: Child, expected: &Expected<'_>) {
    signal(worker.id(), Signal::CONT);
    wait_for("the worker has ended", PATIENCE, || worker.try_wait().unwrap());
    judge::judge(case, &case.work(id, &[]), expected);
}

#[test]
fn an_image_is_fetched_by_the_digest_of_the_plan_although_its_tag_was_moved() {
    let shop = published();
    let case = shop.case();
    let (id, worker) = shop.frozen(&case);
    // Somebody moves the tag to another image.
    shop.registry.put(&shop.world.engine, "corner-shop:1.0.0", "corner-shop:1.1.0");
    goes_on(&case, id, worker, &Expected::complete("1.1.0"));
    assert_eq!(shop.world.inspect("shop", ".Image"), Some(shop.good.clone()));
    let asked = shop.registry.asked();
    assert!(asked.iter().any(|it| it.contains("/manifests/sha256:")), "{asked:#?}");
}

#[test]
fn a_registry_that_goes_away_stops_nothing() {
    let shop = published();
    let since = shop.world.inspect("shop", ".State.StartedAt");
    let case = shop.case();
    let (id, worker) = shop.frozen(&case);
    shop.registry.goes_away();
    goes_on(&case, id, worker, &Expected::failed("registry_unreachable"));
    shop.case().run("1.1.0", &[], &Expected::refused("registry_unreachable"));
    assert_eq!(shop.world.inspect("shop", ".State.StartedAt"), since);
}

#[test]
fn images_of_a_release_that_nobody_goes_back_to_are_removed_and_said_to_be_so_large() {
    let it = published_as("1.5.0");
    let case = it.case();
    let ended = case.run("1.5.0", &[], &Expected::rolled_back("wrong_version"));
    let images = || {
        it.world.engine.docker(&["images", "--format", "{{.Repository}}:{{.Tag}}", "--filter", "reference=*/*:1.5.0"])
    };
    case.engine.choose("keep_originals_days", Some("1")).unwrap();
    case.answer(&["resume"]);
    assert_ne!(images(), "", "its day has not passed");
    // As if all of it had been two days ago, and the shop well since.
    case.tamper(
        "UPDATE system_updates SET finished_at = strftime('%Y-%m-%dT%H:%M:%fZ', finished_at, '-2 days');
         UPDATE original SET kept_since = strftime('%Y-%m-%dT%H:%M:%fZ', kept_since, '-2 days');
         INSERT INTO day_seen SELECT name, date('now', '-2 days'), 1 FROM installation;
         INSERT INTO day_seen SELECT name, date('now', '-1 days'), 1 FROM installation;
         DELETE FROM setting WHERE key = '_looked_over';",
    );
    case.answer(&["resume"]);
    let log = case.engine.log(ended.id, 0, 10_000).unwrap();
    assert_eq!(images(), "", "{log:?}");
    assert!(log.iter().any(|it| it.2.contains("Release 1.5.0") && it.2.contains("its images had ")), "{log:?}");
    // What runs, and what would be gone back to, is as before.
    assert_eq!(it.world.current(), "1.0.0");
    let kept = it.world.engine.docker(&["images", "--quiet", "--filter", "reference=liftlock-kept/*:1.0.0"]);
    assert!(!kept.is_empty());
}
