//! Projects and machines that are otherwise than usual: what is refused, and what is none of anybody's business.

use std::fs;
use std::net::{TcpListener, UdpSocket};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::Command;

use liftlock_engine::model::state::State;
use rustix::process::Signal;
use serde_json::Value;

use crate::support::{Case, Expected, PATIENCE, World, signal, wait_for};

/// What `upgrade` says of an update that is refused before anything is touched.
fn refused_as(case: &Case<'_>, change: impl FnOnce(&mut Command)) -> Value {
    let mut command = case.liftlock(&["upgrade", "--yes", "--to", "1.1.0", "--json"]);
    change(&mut command);
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let last = serde_json::Deserializer::from_str(&said).into_iter::<Value>().map(Result::unwrap).last();
    let last = last.unwrap_or_else(|| panic!("nothing was said: {}", String::from_utf8_lossy(&output.stderr)));
    assert_ne!(output.status.code(), Some(0), "{last:#}");
    last
}

/// The class of the error in an answer, wherever the command has put it.
fn class(answer: &Value) -> &str {
    let places = [&answer["error"]["class"], &answer["class"]];
    places.into_iter().find_map(Value::as_str).unwrap_or_else(|| panic!("no class in {answer:#}"))
}

#[test]
fn without_an_engine_or_without_compose_2_nothing_is_begun_and_the_way_out_is_named() {
    let world = World::with(&["1.1.0"]);
    let case = world.case();

    // Compose 1 was a program of its own, and `docker compose` nothing.
    let old = world.dir.join("old");
    fs::create_dir(&old).unwrap();
    let stand_in = "#!/bin/sh\nfor word in \"$@\"; do case $word in\ncompose) echo \"docker: 'compose' is not a docker command.\" >&2\n\
                    echo \"See 'docker --help'\" >&2; exit 1 ;;\nesac; done\nPATH=${PATH#*:} exec docker \"$@\"\n";
    for (name, text) in [("docker", stand_in), ("docker-compose", "#!/bin/sh\necho docker-compose version 1.29.2\n")] {
        fs::write(old.join(name), text).unwrap();
        fs::set_permissions(old.join(name), fs::Permissions::from_mode(0o755)).unwrap();
    }
    let path = format!("{}:{}", old.display(), std::env::var("PATH").unwrap());
    let answer = refused_as(&case, |it| {
        it.env("PATH", path);
    });
    assert_eq!(class(&answer), "compose_missing", "{answer:#}");

    world.engine.stop();
    let answer = refused_as(&case, |_| ());
    assert_eq!(class(&answer), "docker_down", "{answer:#}");
    world.engine.start_again();
    wait_for("1.0.0 answers", PATIENCE, || world.get("/health").filter(|it| it.0 == 200));
    assert_eq!(world.demo(&["hash"])["content"], world.before["content"]);
    assert_eq!(world.current(), "1.0.0");
}

#[test]
fn a_project_with_names_of_its_own_on_an_engine_of_its_own_place_is_updated_and_brought_back() {
    let mut world = World::with(&["1.1.0", "1.5.0"]);
    // As somebody's rootless engine: the socket lies elsewhere.
    let run = world.dir.join("run/user");
    fs::create_dir_all(&run).unwrap();
    symlink(world.engine.dir.join("docker.sock"), run.join("docker.sock")).unwrap();
    world.reach_by(&format!("unix://{}", run.join("docker.sock").display()));

    // As many write it: containers and a network with names, the database published too.
    let port = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
    let file = world.shop.join("compose.yaml");
    let text = fs::read_to_string(&file).unwrap();
    let text = text
        .replace(
            "services:\n  db:\n",
            &format!("services:\n  db:\n    container_name: own-db\n    ports: [\"127.0.0.1:{port}:5432\"]\n"),
        )
        .replace("\n  shop:\n", "\n  shop:\n    container_name: own-shop\n")
        + "networks:\n  default:\n    name: own-network\n";
    fs::write(&file, &text).unwrap();
    world.demo(&["up"]);
    assert_eq!(world.demo(&["hash"])["content"], world.before["content"]);
    let before = fs::read(world.shop.join(".env")).unwrap();

    let case = world.case_with(|it| crate::support::limit(it, "start_within", "12s"));
    case.run("1.5.0", &[], &Expected::rolled_back("wrong_version"));
    assert_eq!(fs::read(world.shop.join(".env")).unwrap(), before, "every byte of the settings is back");
    world.case().run("1.1.0", &[], &Expected::complete("1.1.0"));
    assert_eq!(fs::read_to_string(&file).unwrap(), text, "the compose file is nobody's but the user's");
    let changed = String::from_utf8(fs::read(world.shop.join(".env")).unwrap()).unwrap();
    let wanted = String::from_utf8(before).unwrap().replace("SHOP_VERSION=1.0.0", "SHOP_VERSION=1.1.0");
    assert_eq!(changed, wanted, "one line is another one");
    let names = world.engine.docker(&["ps", "--all", "--format", "{{.Names}}"]);
    let mut names: Vec<&str> = names.lines().collect();
    names.sort_unstable();
    assert_eq!(names, ["own-db", "own-shop"]);
}

#[test]
fn a_port_that_somebody_takes_in_the_middle_is_told_until_it_is_free_and_nothing_is_lost() {
    let world = World::with(&["1.1.0"]);
    // Beside its own the shop has a second port, of a kind that no page holds meanwhile.
    let port = UdpSocket::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
    let file = world.shop.join("compose.yaml");
    let text = fs::read_to_string(&file).unwrap();
    let (before, after) = text.split_once("    ports:\n").unwrap();
    fs::write(&file, format!("{before}    ports:\n      - \"127.0.0.1:{port}:9000/udp\"\n{after}")).unwrap();
    world.demo(&["up"]);
    let case = world.case();
    let id = case.ask("1.1.0");
    let mut worker = case.frozen(id, "forward/start_behind_gate/after_outcome");
    let somebody = UdpSocket::bind(("127.0.0.1", port)).unwrap();
    signal(worker.id(), Signal::CONT);
    wait_for("the worker has ended", PATIENCE, || worker.try_wait().unwrap());

    // Neither version can have its port, and that is said, with what to do.
    let upgrade = case.upgrade(id);
    let error = upgrade.error.unwrap();
    assert_eq!((upgrade.state, &*error.class), (State::NeedsAttention, "port_taken"), "{}", case.story(id));
    assert!(error.remedy.starts_with("Stop the program that uses this port"), "{}", error.remedy);
    assert!(error.remedy.contains("liftlock rollback"), "{}", error.remedy);

    drop(somebody);
    let (code, answer) = case.answer(&["rollback"]);
    assert_eq!((code, &answer["state"]), (0, &Value::from("rolled_back")), "{answer:#}");
    assert_eq!(world.version().as_deref(), Some("1.0.0"));
    assert_eq!(world.demo(&["hash"])["content"], world.before["content"]);
    case.run("1.1.0", &[], &Expected::complete("1.1.0"));
}
