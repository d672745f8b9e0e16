//! Corner Shop as a stack of Docker Swarm: Swarm rolls it out, Liftlock does what has to be done around that.

use std::fs;

use liftlock_engine::model::ids::UpgradeId;
use serde_json::Value;

use crate::docker::Engine;
use crate::support::registry::Registry;
use crate::support::{Case, Ended, Expected, PATIENCE, World, judge, limit, wait_for};

/// What of the shop's service a person sees, save which release it is.
pub(crate) fn settings_of(service: &Value) -> Value {
    let spec = &service["Spec"];
    let mut labels = spec["Labels"].clone();
    labels["com.docker.stack.image"] = Value::Null;
    let constraints = spec["TaskTemplate"]["Placement"]["Constraints"].as_array().cloned().unwrap_or_default();
    serde_json::json!({
        "labels": labels, "mode": spec["Mode"], "update": spec["UpdateConfig"], "rollback": spec["RollbackConfig"],
        "endpoint": spec["EndpointSpec"], "constraints": constraints, "env": spec["TaskTemplate"]["ContainerSpec"]["Env"],
    })
}

/// A stack, and how its owner had it.
pub(crate) struct Stack {
    pub(crate) world: World,
    settings: Value,
    file: Vec<u8>,
    database_since: String,
}

impl Stack {
    fn with(releases: &[&str]) -> Self {
        Self::of(World::in_swarm(releases))
    }

    pub(crate) fn of(world: World) -> Self {
        let file = fs::read(world.shop.join("compose.yaml")).unwrap();
        let database_since = world.inspect("db", ".State.StartedAt").unwrap();
        let mut stack = Self { world, settings: Value::Null, file, database_since };
        stack.settings = settings_of(&stack.service());
        stack
    }

    pub(crate) fn name(&self) -> String {
        format!("{}_shop", self.world.project)
    }

    pub(crate) fn service(&self) -> Value {
        let told = self.world.engine.docker(&["service", "inspect", &self.name()]);
        serde_json::from_str::<Value>(&told).unwrap()[0].take()
    }

    /// The tasks of the shop that ever ran this version, as `ID state`.
    pub(crate) fn tasks_of(&self, version: &str) -> Vec<String> {
        let format = "{{.Image}} {{.ID}} {{.CurrentState}}";
        let told = self.world.engine.docker(&["service", "ps", "--no-trunc", "--format", format, &self.name()]);
        let image = format!("corner-shop:{version} ");
        told.lines().filter_map(|it| it.strip_prefix(&image)).map(str::to_owned).collect()
    }

    pub(crate) fn image(&self) -> String {
        self.service()["Spec"]["TaskTemplate"]["ContainerSpec"]["Image"].as_str().unwrap().to_owned()
    }

    pub(crate) fn update_state(&self) -> String {
        self.service()["UpdateStatus"]["State"].as_str().unwrap_or_default().to_owned()
    }

    /// The stack is as its owner has it, of this version, and nothing else is on the engine.
    pub(crate) fn is_whole(&self, version: &str) {
        let service = self.service();
        let image = format!("corner-shop:{version}");
        assert_eq!(service["Spec"]["TaskTemplate"]["ContainerSpec"]["Image"], image.as_str());
        assert_eq!(service["Spec"]["Labels"]["com.docker.stack.image"], image.as_str());
        assert_eq!(settings_of(&service), self.settings);
        // Whoever says `docker service rollback` now does not get what was held.
        let before = &service["PreviousSpec"]["TaskTemplate"];
        assert!(before.is_null() || before["ContainerSpec"]["Image"] == image.as_str(), "{before:#}");
        let shop = self.world.inspect("shop", ".Image").unwrap();
        let engine = &self.world.engine;
        assert_eq!(shop, engine.docker(&["image", "inspect", "--format", "{{.Id}}", &image]));
        let settings = fs::read_to_string(self.world.shop.join(".env")).unwrap();
        assert!(settings.lines().any(|it| it == format!("SHOP_VERSION={version}")), "{settings}");
        assert_eq!(fs::read(self.world.shop.join("compose.yaml")).unwrap(), self.file, "nobody writes the user's file");
        let since = self.world.inspect("db", ".State.StartedAt");
        assert_eq!(since.as_deref(), Some(self.database_since.as_str()), "the database stays up");
        let running = engine.docker(&["ps", "--format", "{{.Names}}"]);
        assert_eq!(running.lines().count(), 2, "{running}");
        let networks = engine.docker(&["network", "ls", "--filter", "type=custom", "--format", "{{.Name}}"]);
        let mut networks: Vec<&str> = networks.lines().collect();
        networks.sort_unstable();
        assert_eq!(networks, [&format!("{}_default", self.world.project), "docker_gwbridge", "ingress"]);
        assert_eq!(
            engine.docker(&["volume", "ls", "--format", "{{.Name}}"]),
            format!("{}_shop_data", self.world.project)
        );
    }
}

#[test]
fn a_good_release_is_rolled_out_by_swarm_while_people_shop() {
    let stack = Stack::with(&["1.1.0"]);
    let case = stack.world.case();
    let shopper = stack.world.shopper();
    let (code, answer) = case.answer(&["upgrade", "--yes", "--to", "1.1.0"]);
    assert_eq!((code, &answer["state"]), (0, &Value::from("complete")), "{answer:#}");
    let id = answer["upgrade_id"].as_str().unwrap().parse().unwrap();
    let shopped = shopper.judge();
    println!("away {} s", shopped["away_seconds"]);
    judge::judge(&case, &Ended { id, killed: 0, heard: Vec::new() }, &Expected::complete("1.1.0").while_shopping());
    stack.is_whole("1.1.0");
    assert_eq!(stack.tasks_of("1.1.0").len(), 1, "giving the service back starts nothing anew\n{}", case.story(id));
    // What a person does next works on the new version, without Liftlock.
    stack.world.demo(&["up"]);
    assert_eq!(stack.world.version().as_deref(), Some("1.1.0"));
}

#[test]
fn what_swarm_takes_back_is_reported_and_brought_back_with_its_data() {
    let stack = Stack::with(&["1.2.0", "1.5.0"]);
    // Swarm finds out by itself that it never gets well.
    let case = stack.world.case();
    let ended = case.run("1.2.0", &[], &Expected::rolled_back("swarm_rolled_back"));
    let error = case.upgrade(ended.id).error.unwrap();
    assert!(error.message.contains("shop") && error.message.contains("1.2.0"), "{error:?}");
    assert!(error.details.iter().any(|it| it.contains("rollback") || it.contains("rolled back")), "{error:?}");
    stack.is_whole("1.0.0");
    // Swarm has nothing against this one, and Liftlock has.
    stack.world.case().run("1.5.0", &[], &Expected::rolled_back("wrong_version"));
    stack.is_whole("1.0.0");
}

#[test]
fn what_neither_comes_up_nor_fails_is_given_up_when_its_time_is_over() {
    let stack = Stack::with(&["1.2.0"]);
    // Its owner has Swarm ask long before it calls anything unhealthy.
    stack.world.engine.docker(&["service", "update", "--quiet", "--health-retries=1000", &stack.name()]);
    let case = stack.world.case_with(|it| limit(it, "start_within", "12s"));
    let ended = case.run("1.2.0", &[], &Expected::rolled_back("swarm_timed_out"));
    let error = case.upgrade(ended.id).error.unwrap();
    assert!(error.message.contains("shop") && error.remedy.contains("start_within"), "{error:?}");
    assert!(error.details.iter().any(|it| it == "its tasks: starting"), "{error:?}");
    stack.is_whole("1.0.0");
}

/// A worker that is killed as soon as Swarm is at this version.
pub(crate) fn killed_while_swarm_is_at_it(stack: &Stack, case: &Case<'_>, to: &str) -> UpgradeId {
    let id = case.ask(to);
    let mut worker = case.worker(id, &[]);
    wait_for("Swarm is at it", PATIENCE, || {
        let gone = worker.try_wait().unwrap();
        assert!(gone.is_none(), "{gone:?} before Swarm was at it\n{}", case.story(id));
        let runs = stack.image() == format!("corner-shop:{to}") && stack.update_state() == "updating";
        runs.then_some(())
    });
    worker.kill().unwrap();
    worker.wait().unwrap();
    id
}

#[test]
fn a_worker_killed_while_swarm_is_at_it_goes_by_what_swarm_says() {
    let stack = Stack::with(&["1.1.0", "1.2.0"]);
    // Swarm takes it back while nobody is there.
    let case = stack.world.case();
    let id = killed_while_swarm_is_at_it(&stack, &case, "1.2.0");
    wait_for("Swarm has taken it back", PATIENCE, || stack.update_state().starts_with("rollback").then_some(()));
    judge::judge(&case, &case.work(id, &[]), &Expected::rolled_back("swarm_rolled_back"));
    stack.is_whole("1.0.0");
    // Swarm goes on, and the next worker takes it up.
    let case = stack.world.case();
    let id = killed_while_swarm_is_at_it(&stack, &case, "1.1.0");
    judge::judge(&case, &case.work(id, &[]), &Expected::complete("1.1.0"));
    stack.is_whole("1.1.0");
    assert_eq!(stack.tasks_of("1.1.0").len(), 1, "what Swarm had begun went on\n{}", case.story(id));
}

#[test]
fn where_swarm_stops_in_the_middle_the_data_and_the_old_version_come_back_all_the_same() {
    let stack = Stack::with(&["1.2.0"]);
    let name = stack.name();
    let again = |more: &[&str]| {
        let words = ["service", "update", "--detach", "--quiet", "--no-resolve-image", "--force"];
        stack.world.engine.docker(&[&words[..], more, &[&name]].concat());
    };
    let is_told = |case: &Case<'_>, id: UpgradeId, message: &str| {
        let error = case.upgrade(id).error.unwrap();
        assert!(error.message.contains("shop") && error.message.contains(message), "{error:?}");
        assert!(error.remedy.contains(&format!("docker service ps --no-trunc {name}")), "{error:?}");
        assert!(error.details.iter().any(|it| it.contains("paused due to failure")), "{error:?}");
    };
    // Somebody wants to see what it is that does not come up.
    let case = stack.world.case();
    let id = case.ask("1.2.0");
    let mut worker = case.worker(id, &[]);
    wait_for("Swarm is at it", PATIENCE, || {
        (stack.image() == "corner-shop:1.2.0" && stack.update_state() == "updating").then_some(())
    });
    again(&["--update-failure-action=pause"]);
    case.end_of(&mut worker);
    judge::judge(&case, &case.ended(id), &Expected::rolled_back("swarm_paused"));
    is_told(&case, id, "Swarm has stopped its update in the middle");
    stack.is_whole("1.0.0");

    // Somebody has it tried again while nobody looks: what Swarm goes back to is then the new version too.
    let case = stack.world.case();
    let id = killed_while_swarm_is_at_it(&stack, &case, "1.2.0");
    again(&[]);
    wait_for("Swarm has stopped", PATIENCE, || (stack.update_state() == "rollback_paused").then_some(()));
    judge::judge(&case, &case.work(id, &[]), &Expected::rolled_back("swarm_rollback_paused"));
    is_told(&case, id, "Swarm has stopped on its way back");
    stack.is_whole("1.0.0");
}

#[test]
fn the_worker_is_killed_around_every_act_on_a_service() {
    let stack = Stack::with(&["1.1.0", "1.5.0"]);
    let steps = ["hold_autostart", "stop:shop", "switch_release", "start_behind_gate"];
    let around = |step: &&str| ["after_intent", "mid_effect", "after_effect"].map(|it| format!("back/{step}/{it}"));
    let back: Vec<String> = steps.iter().flat_map(around).collect();
    let case = stack.world.case();
    let ended = case.run("1.5.0", &back, &Expected::rolled_back("wrong_version"));
    assert_eq!(case.died_at(ended.id).len(), back.len(), "{}", case.story(ended.id));
    stack.is_whole("1.0.0");
    // What can be seen to be done is not begun again, so it is struck once.
    let forward = [
        "hold_autostart/mid_effect",
        "hold_autostart/after_effect",
        "stop:shop/mid_effect",
        "switch_release/mid_effect",
        "start_behind_gate/mid_effect",
        "start_behind_gate/after_effect",
        "restore_autostart/mid_effect",
        "restore_autostart/after_effect",
    ];
    let forward = forward.map(|it| format!("forward/{it}"));
    let case = stack.world.case();
    let ended = case.run("1.1.0", &forward, &Expected::complete("1.1.0"));
    assert_eq!(case.died_at(ended.id).len(), forward.len(), "{}", case.story(ended.id));
    stack.is_whole("1.1.0");
}

#[test]
fn images_of_a_registry_are_given_to_swarm_by_their_digest_and_come_back_by_it() {
    let world = World::in_swarm(&["1.1.0", "1.5.0"]);
    let registry = Registry::start();
    let docker = |words: &[&str]| world.engine.docker(words);
    let name = format!("{}_shop", world.project);
    for version in ["1.0.0", "1.1.0", "1.5.0"] {
        registry.put(&world.engine, &format!("corner-shop:{version}"), &format!("corner-shop:{version}"));
    }
    let file = world.shop.join("compose.yaml");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replace("image: corner-shop:", &format!("image: {}/corner-shop:", registry.host))).unwrap();
    // As `docker stack deploy` does it where it may ask the registry.
    docker(&["pull", "--quiet", &format!("{}/corner-shop:1.0.0", registry.host)]);
    world.demo(&["up"]);
    let first = format!("{}/corner-shop:1.0.0", registry.host);
    let digest = docker(&["image", "inspect", "--format", "{{index .RepoDigests 0}}", &first]);
    let first = format!("{first}@{}", digest.split_once('@').unwrap().1);
    docker(&["service", "update", "--quiet", "--no-resolve-image", "--image", &first, &name]);
    let image = || docker(&["service", "inspect", "--format", "{{.Spec.TaskTemplate.ContainerSpec.Image}}", &name]);
    let case = || {
        let ours = format!("images = {{ shop = \"{}/corner-shop:{{version}}\" }}\n", registry.host);
        world.case_with(|it| it.replace("images = { shop = \"corner-shop:{version}\" }\nlocal = true\n", &ours))
    };
    case().run("1.5.0", &[], &Expected::rolled_back("wrong_version"));
    assert_eq!(image(), first, "the very image it ran from");
    case().run("1.1.0", &[], &Expected::complete("1.1.0"));
    assert!(image().starts_with(&format!("{}/corner-shop:1.1.0@sha256:", registry.host)), "{}", image());
}

#[test]
fn what_swarm_cannot_roll_out_is_refused_before_anything_is_stopped() {
    let stack = Stack::with(&["1.1.0"]);
    let case = stack.world.case();
    let name = stack.name();
    let docker = |words: &[&str]| stack.world.engine.docker(words);
    let classes = || -> Vec<String> {
        let (_, plan) = case.answer(&["plan", "--to", "1.1.0"]);
        assert_eq!(plan["possible"], false, "{plan:#}");
        let findings = plan["findings"].as_array().unwrap().iter();
        findings.filter(|it| it["severity"] == "stop").map(|it| it["class"].as_str().unwrap().to_owned()).collect()
    };

    // The settings say one version, and Swarm runs another.
    let settings = stack.world.shop.join(".env");
    let before = fs::read_to_string(&settings).unwrap();
    fs::write(&settings, before.replace("SHOP_VERSION=1.0.0", "SHOP_VERSION=0.9.0")).unwrap();
    assert!(classes().contains(&"stack_differs".to_owned()), "{:?}", classes());
    fs::write(&settings, &before).unwrap();

    // Somebody's own update is through, but for the time that Swarm still watches it.
    docker(&["service", "update", "--detach", "--quiet", "--update-monitor=3s", "--env-add=SEEN=1", &name]);
    wait_for("Swarm is at it", PATIENCE, || (stack.update_state() == "updating").then_some(()));
    let (_, plan) = case.answer(&["plan", "--to", "1.1.0"]);
    assert_eq!(plan["possible"], true, "{plan:#}");

    // Somebody's own update hangs.
    docker(&["service", "update", "--detach", "--quiet", "--update-monitor=1s", "--health-cmd=false", &name]);
    wait_for("it hangs", PATIENCE, || (stack.update_state() == "paused").then_some(()));
    assert!(classes().contains(&"swarm_update_unfinished".to_owned()), "{:?}", classes());
    docker(&["service", "rollback", "--detach", "--quiet", &name]);
    wait_for("the shop is well", PATIENCE, || stack.world.get("/health").filter(|it| it.0 == 200));
    wait_for("it is over", PATIENCE, || stack.update_state().ends_with("completed").then_some(()));

    // Files that only tasks of the service get.
    let secret = stack.world.dir.join("secret");
    fs::write(&secret, "x").unwrap();
    docker(&["secret", "create", "key", secret.to_str().unwrap()]);
    docker(&["service", "update", "--quiet", "--secret-add=key", &name]);
    assert!(classes().contains(&"swarm_secrets".to_owned()), "{:?}", classes());

    docker(&["service", "rm", &name]);
    assert!(classes().contains(&"service_missing".to_owned()), "{:?}", classes());
    stack.world.demo(&["up"]);
    wait_for("the shop is well", PATIENCE, || stack.world.get("/health").filter(|it| it.0 == 200));

    // A worker of the swarm is asked, which may not tell.
    let token = docker(&["swarm", "join-token", "--quiet", "worker"]);
    let other = Engine::start();
    other.join_swarm(&stack.world.engine, &token);
    let host = other.host.clone();
    let output = case.liftlock(&["plan", "--to", "1.1.0", "--json"]).env("DOCKER_HOST", host).output().unwrap();
    assert!(String::from_utf8_lossy(&output.stdout).contains("\"not_a_manager\""), "{output:?}");
    drop(other);

    docker(&["swarm", "leave", "--force"]);
    assert!(classes().contains(&"swarm_inactive".to_owned()), "{:?}", classes());
}
