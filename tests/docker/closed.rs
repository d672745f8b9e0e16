//! The gate of a project that needs nothing from outside: one start, where nobody reaches it, and the ports a moment later.

use std::fs;

use serde_json::Value;

use crate::docker::Engine;
use crate::support::filaops::{Filaops, Kind};
use crate::support::{Expected, PATIENCE, World, signal, wait_for};
use rustix::process::Signal;

/// The networks that a container is in.
fn networks_of(engine: &Engine, container: &str) -> Vec<String> {
    let format = "{{range $name, $_ := .NetworkSettings.Networks}}{{$name}} {{end}}";
    engine.docker(&["inspect", "--format", format, container]).split_whitespace().map(str::to_owned).collect()
}

/// The sessions of clients in other containers, as the server knows them.
fn clients(world: &World) -> Vec<String> {
    let told =
        world.sql("corner_shop", "SELECT pid FROM pg_stat_activity WHERE client_addr <> inet '127.0.0.1' ORDER BY pid");
    told.lines().map(str::to_owned).collect()
}

#[test]
fn the_new_version_is_started_once_and_its_connections_live_on() {
    let world = World::with(&["1.1.0", "1.2.0"]);
    let case = world.case();
    let gate = format!("{}_liftlock_gate", world.project);
    let id = case.ask("1.1.0");
    let mut worker = case.frozen(id, "forward/open_gate/after_intent");
    let (begun, connected) = (world.inspect("shop", ".State.StartedAt"), clients(&world));
    assert_eq!(networks_of(&world.engine, &world.container("shop")), [gate], "it has no way out");
    assert_eq!(world.inspect("shop", "json .NetworkSettings.Ports").as_deref(), Some("{}"));
    let policy = |world: &World| world.inspect("shop", ".HostConfig.RestartPolicy.Name");
    assert_eq!(policy(&world).as_deref(), Some("no"), "nothing starts it but Liftlock");
    assert!(!connected.is_empty());
    signal(worker.id(), Signal::CONT);
    wait_for("the worker has ended", PATIENCE, || worker.try_wait().unwrap());
    assert_eq!(case.upgrade(id).state.to_string(), "complete", "{}", case.story(id));
    assert_eq!(world.inspect("shop", ".State.StartedAt"), begun, "it was not started a second time");
    let now = clients(&world);
    assert!(connected.iter().all(|it| now.contains(it)), "{connected:?} {now:?}");
    world.is_whole("1.1.0");
    let networks = world.inspect("shop", "json .NetworkSettings.Networks").unwrap();
    let networks: Value = serde_json::from_str(&networks).unwrap();
    let names = networks[format!("{}_default", world.project)]["Aliases"].as_array().unwrap();
    assert!(names.contains(&"shop".into()), "others find it by its name: {networks:#}");
    assert_eq!(policy(&world).as_deref(), Some("always"));
    // A restart of the computer, and what a person does next.
    world.engine.cut();
    world.engine.start_again();
    wait_for("it is there after a restart", PATIENCE, || world.version().filter(|it| it == "1.1.0"));
    world.demo(&["up"]);
    wait_for("it is there after “up”", PATIENCE, || world.version().filter(|it| it == "1.1.0"));

    // What is brought back leaves nothing of the gate.
    let case = world.case_with(|it| crate::support::limit(it, "start_within", "12s"));
    let begun = world.inspect("db", ".State.StartedAt");
    let (_, answer) = case.answer(&["upgrade", "--yes", "--to", "1.2.0"]);
    assert_eq!(
        (&answer["state"], &answer["error"]["class"]),
        (&"rolled_back".into(), &"unhealthy".into()),
        "{answer:#}"
    );
    assert_eq!(world.version().as_deref(), Some("1.1.0"));
    assert_eq!(world.inspect("db", ".State.StartedAt"), begun);
    assert_eq!(world.engine.networks(), [format!("{}_default", world.project)]);
    assert_eq!(networks_of(&world.engine, &world.container("db")), [format!("{}_default", world.project)]);
}

#[test]
fn a_worker_that_dies_while_ports_are_given_is_followed_by_one_that_gives_them() {
    let world = World::with(&["1.1.0"]);
    let points = ["forward/start_behind_gate/mid_effect", "forward/verify/before_intent", "forward/connect/mid_effect"];
    world.case().run("1.1.0", &points.map(str::to_owned), &Expected::complete("1.1.0"));
    world.is_whole("1.1.0");
}

#[test]
fn where_a_network_without_a_way_out_cannot_be_used_the_new_version_is_started_twice() {
    let mut world = World::with(&["1.1.0", "1.4.0"]);
    // Names that Docker Compose gives in a way that nobody else can.
    world.rewrite(|it| it.replace("\n  shop:\n", "\n  shop:\n    links: [\"db:store\"]\n"));
    let case = world.case();
    let id = case.ask("1.1.0");
    let mut worker = case.frozen(id, "forward/open_gate/after_intent");
    assert_eq!(networks_of(&world.engine, &world.container("shop")), [format!("{}_default", world.project)]);
    let begun = world.inspect("shop", ".State.StartedAt");
    signal(worker.id(), Signal::CONT);
    wait_for("the worker has ended", PATIENCE, || worker.try_wait().unwrap());
    assert_eq!(case.upgrade(id).state.to_string(), "complete", "{}", case.story(id));
    assert_ne!(world.inspect("shop", ".State.StartedAt"), begun);
    world.is_whole("1.1.0");
    assert_eq!(world.engine.networks(), [format!("{}_default", world.project)]);
}

#[test]
fn a_network_of_the_same_name_that_is_somebodys_is_left_alone() {
    let world = World::with(&["1.1.0"]);
    let gate = format!("{}_liftlock_gate", world.project);
    world.engine.docker(&["network", "create", &gate]);
    let (code, answer) = world.case().answer(&["upgrade", "--yes", "--to", "1.1.0"]);
    assert_eq!((code, &answer["state"]), (0, &Value::from("complete")), "{answer:#}");
    assert_eq!(world.version().as_deref(), Some("1.1.0"));
    let of = ["network", "inspect", "--format", "{{.Internal}} {{len .Containers}}", &gate];
    assert_eq!(world.engine.docker(&of), "false 0");
}

#[test]
fn no_service_of_filaops_is_published_before_users_are_let_in() {
    let world = Filaops::with(&[("3.9.0", Kind::Good)]);
    let published = |service: &str| {
        let told = world.engine.docker(&["inspect", "--format", "{{json .NetworkSettings.Ports}}", service]);
        let ports: serde_json::Map<String, Value> = serde_json::from_str(&told).unwrap();
        ports.values().any(|it| it.as_array().is_some_and(|it| !it.is_empty()))
    };
    let both = ["filaops-backend", "filaops-frontend"];
    assert_eq!(both.map(published), [true, true]);
    let worker = world.frozen_at("forward/open_gate/after_intent", &["upgrade", "--yes", "--to", "3.9.0"]);
    assert_eq!(both.map(published), [false, false]);
    for service in both {
        assert_eq!(networks_of(&world.engine, service), ["filaops_liftlock_gate"], "{service}");
    }
    signal(worker, Signal::CONT);
    wait_for("users are let in", PATIENCE, || (both.map(published) == [true, true]).then_some(()));
    world.is_whole("3.9.0");
    let source = fs::read_to_string(world.app.join("docker-compose.yml")).unwrap();
    assert!(source.contains("filaops-network"), "{source}");
}
