//! A stack on a swarm of two nodes: the database beside Liftlock on the manager, the shop on both, and everything between
//! them by the network of the stack. The worker node is another computer to networks, and shares the folder of uploads.

use std::fs;

use rustix::process::Signal;
use serde_json::Value;

use crate::docker::{ELSEWHERE, Engine};
use crate::support::registry::Registry;
use crate::support::{Case, Ended, Exit, Expected, PATIENCE, World, judge, limit, signal, wait_for};
use crate::swarm::Stack;

/// The stack with a task of the shop on each node.
struct Pair {
    other: Engine,
    stack: Stack,
}

impl Pair {
    /// Swarm looks at new tasks for longer than one needs to come up: what fails on one node before the other is up is
    /// overlooked by it otherwise.
    fn with(releases: &[&str]) -> Option<Self> {
        let change = |text: String, _: &str| text.replacen("monitor: 2s", "monitor: 10s", 1);
        Self::from(releases, change).map(|it| it.0)
    }

    fn from(releases: &[&str], change: impl Fn(String, &str) -> String) -> Option<(Self, Registry)> {
        let (world, other) = World::in_swarm_of_two(releases)?;
        let registry = Registry::start();
        registry.is_reached_from(&other);
        for version in [&["1.0.0"], releases].concat() {
            let name = format!("corner-shop:{version}");
            registry.put(&world.engine, &name, &name);
        }
        let file = world.shop.join("compose.yaml");
        let text = change(fs::read_to_string(&file).unwrap(), &registry.host);
        let stays = "endpoint_mode: dnsrr\n      placement: { constraints: [\"node.role==manager\"] }";
        let text = text.replacen("endpoint_mode: dnsrr", stays, 1);
        let text = text.replace("replicas: 1", "replicas: 2\n      placement: { max_replicas_per_node: 1 }");
        fs::write(&file, text).unwrap();
        world.demo(&["up"]);
        let there = world.engine.end_of_cable(2);
        wait_for("the shop answers on both", PATIENCE, || world.version().zip(world.version_at(&there)));
        let stack = Stack::of(world);
        wait_for("Swarm is content", PATIENCE, || (stack.update_state() != "updating").then_some(()));
        Some((Self { other, stack }, registry))
    }

    fn world(&self) -> &World {
        &self.stack.world
    }

    /// The image of the shop that runs elsewhere, by its id and by its digest.
    fn image_elsewhere(&self) -> (String, String) {
        let words =
            ["ps", "--quiet", "--filter", &format!("label=com.docker.swarm.service.name={}", self.stack.name())];
        let container = self.other.docker(&words);
        let id = self.other.docker(&["inspect", "--format", "{{.Image}}", &container]);
        (id, self.other.docker(&["inspect", "--format", "{{.Config.Image}}", &container]))
    }

    /// The stack is as its owner has it, of this version, on both nodes.
    fn is_whole(&self, version: &str) {
        self.stack.is_whole(version);
        let (id, _) = self.image_elsewhere();
        let ours =
            self.world().engine.docker(&["image", "inspect", "--format", "{{.Id}}", &format!("corner-shop:{version}")]);
        assert_eq!(id, ours, "elsewhere");
        assert_eq!(self.answers_elsewhere().as_deref(), Some(version));
    }

    fn answers_elsewhere(&self) -> Option<String> {
        self.world().version_at(&self.world().engine.end_of_cable(2))
    }

    /// The power of the other computer goes, and comes back when somebody wants it to.
    fn goes_away(&self) {
        self.other.cut();
    }

    fn is_missed(&self) {
        let ask = || self.world().engine.docker(&["node", "ls", "--format", "{{.Status}} {{.Hostname}}"]);
        wait_for("Swarm misses it", PATIENCE, || ask().contains(&format!("Down {ELSEWHERE}")).then_some(()));
    }

    fn comes_back(&self) {
        self.other.start_again();
        wait_for("the shop answers elsewhere again", PATIENCE, || self.answers_elsewhere());
        wait_for("Swarm is content", PATIENCE, || (self.stack.update_state() != "updating").then_some(()));
    }

    /// Has a worker stand still at a point while the other computer goes away, and ends what it began.
    fn ended_without_it(&self, case: &Case<'_>, to: &str, point: &str) -> Ended {
        let id = case.ask(to);
        let mut worker = case.frozen(id, point);
        self.goes_away();
        self.is_missed();
        signal(worker.id(), Signal::CONT);
        assert_eq!(case.end_of(&mut worker), Exit::Code(0), "{}", case.story(id));
        Ended { id, killed: 0, heard: Vec::new() }
    }
}

fn short(profile: String) -> String {
    limit(limit(profile, "start_within", "15s"), "stop_within", "5s")
}

#[test]
fn a_release_that_one_node_cannot_start_is_taken_back_from_both_and_one_that_both_can_is_everywhere() {
    let Some(pair) = Pair::with(&["1.1.0"]) else { return };
    pair.is_whole("1.0.0");
    let case = pair.world().case();
    let (_, plan) = case.answer(&["plan", "--to", "1.1.0"]);
    let mut findings = plan["findings"].as_array().unwrap().iter();
    let elsewhere = findings.find(|it| it["class"] == "files_elsewhere").unwrap();
    let message = elsewhere["message"].as_str().unwrap();
    assert!(message.contains(&format!("({ELSEWHERE})")) && message.contains("uploads"), "{message}");
    // Nobody has brought its image there.
    let ended = case.run("1.1.0", &[], &Expected::rolled_back("swarm_rolled_back"));
    let error = case.upgrade(ended.id).error.unwrap();
    let is_told = |it: &String| it.contains(&format!("on {ELSEWHERE}")) && it.contains("No such image");
    assert!(error.details.iter().any(is_told), "{error:?}");
    pair.is_whole("1.0.0");

    pair.world().engine.hand_over("corner-shop:1.1.0", &pair.other);
    let case = pair.world().case();
    let shopper = pair.world().shopper();
    let ended = case.work(case.ask("1.1.0"), &[]);
    println!("away {} s", shopper.judge()["away_seconds"]);
    judge::judge(&case, &ended, &Expected::complete("1.1.0").while_shopping());
    pair.is_whole("1.1.0");
}

#[test]
fn images_of_a_registry_run_on_both_nodes_by_their_digest() {
    let to_registry =
        |text: String, host: &str| text.replace("image: corner-shop:", &format!("image: {host}/corner-shop:"));
    let Some((pair, registry)) = Pair::from(&["1.1.0", "1.5.0"], to_registry) else { return };
    let ours = format!("images = {{ shop = \"{}/corner-shop:{{version}}\" }}\n", registry.host);
    let case = || {
        pair.world().case_with(|it| it.replace("images = { shop = \"corner-shop:{version}\" }\nlocal = true\n", &ours))
    };
    case().run("1.5.0", &[], &Expected::rolled_back("wrong_version"));
    assert_eq!(pair.answers_elsewhere().as_deref(), Some("1.0.0"));
    case().run("1.1.0", &[], &Expected::complete("1.1.0"));
    let wanted = pair.stack.image();
    assert!(wanted.starts_with(&format!("{}/corner-shop:1.1.0@sha256:", registry.host)), "{wanted}");
    assert_eq!(pair.image_elsewhere().1, wanted);
    assert_eq!(pair.world().inspect("shop", ".Config.Image").as_deref(), Some(wanted.as_str()));
    assert_eq!(pair.answers_elsewhere().as_deref(), Some("1.1.0"));
}

#[test]
fn what_may_still_run_on_a_node_that_is_gone_is_not_updated() {
    let Some(pair) = Pair::with(&["1.1.0"]) else { return };
    pair.world().engine.hand_over("corner-shop:1.1.0", &pair.other);
    // It goes when the update is about to stop what runs there.
    let case = pair.world().case_with(short);
    let ended = pair.ended_without_it(&case, "1.1.0", "forward/stop:shop/after_intent");
    judge::judge(&case, &ended, &Expected::rolled_back("node_out_of_reach"));
    let error = case.upgrade(ended.id).error.unwrap();
    assert!(error.message.contains(ELSEWHERE) && error.remedy.contains("docker node rm"), "{error:?}");
    pair.stack.is_whole("1.0.0");

    // It is told before anything is stopped.
    let (_, plan) = case.answer(&["plan", "--to", "1.1.0"]);
    let stops = plan["findings"].as_array().unwrap().iter().filter(|it| it["severity"] == "stop");
    let classes: Vec<&Value> = stops.map(|it| &it["class"]).collect();
    assert_eq!(plan["possible"], false, "{plan:#}");
    assert!(!classes.is_empty(), "{plan:#}");
    assert!(
        classes.iter().all(|it| ["node_out_of_reach", "swarm_update_unfinished"].contains(&it.as_str().unwrap())),
        "{classes:?}"
    );
}

#[test]
fn a_node_that_goes_while_nothing_runs_there_leaves_the_old_version_on_the_one_that_is_left() {
    let Some(pair) = Pair::with(&["1.1.0"]) else { return };
    pair.world().engine.hand_over("corner-shop:1.1.0", &pair.other);
    let case = pair.world().case_with(short);
    let ended = pair.ended_without_it(&case, "1.1.0", "forward/switch_release/after_effect");
    judge::judge(&case, &ended, &Expected::rolled_back("swarm_timed_out"));
    let error = case.upgrade(ended.id).error.unwrap();
    assert!(error.details.iter().any(|it| it.contains("no suitable node")), "{error:?}");
    pair.stack.is_whole("1.0.0");

    pair.comes_back();
    pair.world().case().run("1.1.0", &[], &Expected::complete("1.1.0"));
    pair.is_whole("1.1.0");
}
