//! A service of a stack that has no part in the data: its old version answers until its new one does, whatever becomes of that.

use std::fs;
use std::net::UdpSocket;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use liftlock_engine::model::ids::UpgradeId;
use serde_json::Value;

use crate::docker::demo_program;
use crate::support::tagged::{Migrates, free_port, get, lay, stand_in_release};
use crate::support::{Case, Expected, PATIENCE, World, judge, wait_for};
use crate::swarm::settings_of;

/// What stands before the shop, and the door through which everybody comes to it.
const SERVICES: &str = r#"
  front:
    image: corner-front:${SHOP_VERSION}
    healthcheck: { test: ["CMD", "stand-in", "ask-health"], interval: 1s, timeout: 5s, retries: 3 }
    labels: { com.docker.compose.project: "PROJECT", com.docker.compose.service: front, com.docker.compose.oneoff: "False" }
    deploy:
      endpoint_mode: dnsrr
      update_config: { order: stop-first, failure_action: pause, monitor: 2s }
      rollback_config: { monitor: 2s }

  door:
    image: stand-in-base:1
    command: ["stand-in", "door", "front:8000"]
    ports:
      - { target: 8000, published: DOOR, protocol: tcp, mode: host }
    deploy:
      endpoint_mode: dnsrr

volumes:
"#;
const COMPONENT: &str =
    "[[components]]\nname = \"front\"\nrun = { service = \"front\" }\nphase = 2\nstart_first = true\n\n[migrations]";

/// The stack with its front.
struct Front {
    world: World,
    door: u16,
    settings: Value,
    _held: Vec<UdpSocket>,
}

/// Whoever comes to the front again and again, and what was answered.
struct Visitor {
    leaves: Arc<AtomicBool>,
    answers: JoinHandle<Vec<Option<String>>>,
}

impl Visitor {
    fn at(door: u16) -> Self {
        let leaves = Arc::new(AtomicBool::new(false));
        let is_over = Arc::clone(&leaves);
        let answers = thread::spawn(move || {
            let mut all = Vec::new();
            while !is_over.load(Ordering::Relaxed) {
                all.push(get(door, "/"));
                thread::sleep(Duration::from_millis(20));
            }
            all
        });
        Self { leaves, answers }
    }

    /// Somebody answered each time; the versions that did, in the order in which they were first seen.
    fn was_never_turned_away(self) -> Vec<String> {
        self.leaves.store(true, Ordering::Relaxed);
        let all = self.answers.join().unwrap();
        assert!(all.len() > 50, "only {} visits", all.len());
        let away = all.iter().filter(|it| it.is_none()).count();
        println!("{} visits, {away} of them in vain", all.len());
        assert_eq!(away, 0, "of {} visits", all.len());
        let mut seen: Vec<String> = Vec::new();
        for version in all.into_iter().flatten() {
            if !seen.contains(&version) {
                seen.push(version);
            }
        }
        seen
    }
}

impl Front {
    /// 1.0.0 of the shop and its front, with these releases out: version, and whether the front of it comes up.
    fn with(releases: &[(&str, bool)]) -> Self {
        let versions: Vec<&str> = releases.iter().map(|it| it.0).collect();
        let world = World::in_swarm(&versions);
        let mut held = Vec::new();
        let door = free_port(&mut held);
        let made = Command::new(demo_program()).arg("stand-in-images").env("DOCKER_HOST", &world.engine.host).output();
        assert!(made.unwrap().status.success());
        for (version, comes_up) in [("1.0.0", true)].iter().chain(releases) {
            // It listens where nobody looks.
            let verb = if *comes_up { "front" } else { "page" };
            let folder = world.dir.join(format!("front-{version}"));
            let file = format!("FROM stand-in-base:1\nCOPY . /app\nCMD [\"stand-in\", \"{verb}\"]\n");
            lay(&folder, &[("Dockerfile", file), ("release.json", stand_in_release(version, 0, Migrates::Well))]);
            let name = format!("corner-front:{version}");
            world.engine.docker(&["build", "--quiet", "--tag", &name, folder.to_str().unwrap()]);
        }
        let file = world.shop.join("compose.yaml");
        let services = SERVICES.replace("PROJECT", &world.project).replace("DOOR", &door.to_string());
        fs::write(&file, fs::read_to_string(&file).unwrap().replace("\nvolumes:\n", &services)).unwrap();
        world.demo(&["up"]);
        wait_for("the front answers", PATIENCE, || get(door, "/"));
        let mut front = Self { world, door, settings: Value::Null, _held: held };
        front.settings = settings_of(&front.service());
        front
    }

    fn case(&self) -> Case<'_> {
        let images = "images = { shop = \"corner-shop:{version}\"";
        self.world.case_with(|it| {
            it.replace(images, &format!("{images}, front = \"corner-front:{{version}}\""))
                .replace("[migrations]", COMPONENT)
        })
    }

    fn name(&self) -> String {
        format!("{}_front", self.world.project)
    }

    fn service(&self) -> Value {
        let told = self.world.engine.docker(&["service", "inspect", &self.name()]);
        serde_json::from_str::<Value>(&told).unwrap()[0].take()
    }

    fn image(&self) -> String {
        self.service()["Spec"]["TaskTemplate"]["ContainerSpec"]["Image"].as_str().unwrap().to_owned()
    }

    fn update_state(&self) -> String {
        self.service()["UpdateStatus"]["State"].as_str().unwrap_or_default().to_owned()
    }

    /// The tasks of the front that run, by what they are called and of which image.
    fn running(&self) -> Vec<String> {
        let words =
            ["service", "ps", "--no-trunc", "--filter", "desired-state=running", "--format", "{{.ID}} {{.Image}}"];
        self.world.engine.docker(&[&words[..], &[&self.name()]].concat()).lines().map(str::to_owned).collect()
    }

    /// The front is as its owner has it, of this version.
    fn is_whole(&self, version: &str) {
        let service = self.service();
        let image = format!("corner-front:{version}");
        assert_eq!(service["Spec"]["TaskTemplate"]["ContainerSpec"]["Image"], image.as_str());
        assert_eq!(settings_of(&service), self.settings);
        let before = &service["PreviousSpec"]["TaskTemplate"]["ContainerSpec"]["Image"];
        assert!(before.is_null() || before == image.as_str(), "`docker service rollback` leads to {before}");
        assert_ne!(self.update_state().split('_').next(), Some("rollback"), "{service:#}");
        let running = self.running();
        assert!(running.len() == 1 && running[0].ends_with(&image), "{running:?}");
        assert_eq!(get(self.door, "/").as_deref(), Some(version));
        assert_eq!(self.world.version().as_deref(), Some(version), "the shop behind it");
    }

    /// A worker that is killed as soon as Swarm is at the front of this version.
    fn killed_while_swarm_is_at_it(&self, case: &Case<'_>, to: &str) -> UpgradeId {
        let id = case.ask(to);
        let mut worker = case.worker(id, &[]);
        wait_for("Swarm is at the front", PATIENCE, || {
            let gone = worker.try_wait().unwrap();
            assert!(gone.is_none(), "{gone:?} before Swarm was at it\n{}", case.story(id));
            let is_at_it = self.image() == format!("corner-front:{to}") && self.update_state() == "updating";
            is_at_it.then_some(())
        });
        worker.kill().unwrap();
        worker.wait().unwrap();
        id
    }
}

#[test]
fn the_old_version_answers_until_the_new_one_does_and_all_along_where_that_does_not_come_up() {
    let front = Front::with(&[("1.1.0", true), ("1.5.0", false)]);
    let before = front.running();
    let case = front.case();
    let (_, plan) = case.answer(&["plan", "--to", "1.1.0"]);
    let steps = plan.to_string();
    assert!(steps.contains("Stop shop") && !steps.contains("Stop front"), "{plan:#}");
    assert!(steps.contains("its old version answers until its new one does"), "{plan:#}");

    // Swarm takes it back, and nobody who came to it noticed.
    let visitor = Visitor::at(front.door);
    let ended = case.run("1.5.0", &[], &Expected::rolled_back("swarm_rolled_back"));
    assert_eq!(visitor.was_never_turned_away(), ["1.0.0"]);
    let error = case.upgrade(ended.id).error.unwrap();
    assert!(error.message.contains("front") && error.message.contains("1.5.0"), "{error:?}");
    front.is_whole("1.0.0");
    assert_eq!(front.running(), before, "the very task that ran");

    // All is well.
    let visitor = Visitor::at(front.door);
    front.case().run("1.1.0", &[], &Expected::complete("1.1.0"));
    assert_eq!(visitor.was_never_turned_away(), ["1.0.0", "1.1.0"]);
    front.is_whole("1.1.0");
}

#[test]
fn it_comes_back_while_people_look_where_only_liftlock_has_something_against_the_release() {
    let front = Front::with(&[("1.5.0", true)]);
    let case = front.case();
    let visitor = Visitor::at(front.door);
    let points = ["forward/start_behind_gate/mid_effect", "back/hold_autostart/mid_effect"].map(str::to_owned);
    let ended = case.run("1.5.0", &points, &Expected::rolled_back("wrong_version"));
    assert_eq!(case.died_at(ended.id).len(), points.len(), "{}", case.story(ended.id));
    assert_eq!(visitor.was_never_turned_away(), ["1.0.0", "1.5.0"]);
    front.is_whole("1.0.0");
}

#[test]
fn a_worker_killed_while_swarm_is_at_the_front_goes_by_what_swarm_says() {
    let front = Front::with(&[("1.1.0", true), ("1.5.0", false)]);
    let visitor = Visitor::at(front.door);
    // Swarm takes it back while nobody is there.
    let case = front.case();
    let id = front.killed_while_swarm_is_at_it(&case, "1.5.0");
    wait_for("Swarm has taken it back", PATIENCE, || front.update_state().starts_with("rollback").then_some(()));
    judge::judge(&case, &case.work(id, &[]), &Expected::rolled_back("swarm_rolled_back"));
    front.is_whole("1.0.0");
    // Swarm goes on, and the next worker takes it up.
    let case = front.case();
    let id = front.killed_while_swarm_is_at_it(&case, "1.1.0");
    judge::judge(&case, &case.work(id, &[]), &Expected::complete("1.1.0"));
    front.is_whole("1.1.0");
    assert_eq!(visitor.was_never_turned_away(), ["1.0.0", "1.1.0"]);
}

#[test]
fn what_has_a_part_in_the_data_or_cannot_be_there_twice_is_refused_before_anything_is_stopped() {
    let front = Front::with(&[("1.1.0", true)]);
    let case = front.case();
    let name = front.name();
    let update =
        |words: &[&str]| front.world.engine.docker(&[&["service", "update", "--quiet"], words, &[&name]].concat());
    let refused = || -> String {
        let (_, plan) = case.answer(&["plan", "--to", "1.1.0"]);
        let stops: Vec<&Value> =
            plan["findings"].as_array().unwrap().iter().filter(|it| it["severity"] == "stop").collect();
        assert!(stops.len() == 1 && stops[0]["class"] == "cannot_start_first", "{stops:#?}");
        stops[0]["message"].as_str().unwrap().to_owned()
    };
    update(&["--env-add", "DATABASE_URL=postgres://db/shop"]);
    assert!(refused().contains("DATABASE_URL tells it"));
    update(&["--env-rm", "DATABASE_URL", "--mount-add", "type=volume,source=left,target=/left"]);
    assert!(refused().contains("/left"));
    update(&["--mount-rm", "/left", "--mount-add", "type=volume,source=left,target=/left,readonly"]);
    let (_, plan) = case.answer(&["plan", "--to", "1.1.0"]);
    assert_eq!(plan["possible"], true, "what is only read is no part: {plan:#}");
    let port = free_port(&mut Vec::new()).to_string();
    update(&["--publish-add", &format!("mode=host,published={port},target=9000")]);
    assert!(refused().contains("mode: host"));
}
