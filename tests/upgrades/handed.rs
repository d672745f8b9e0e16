//! An application that takes a socket gets the public port without anybody waiting for its second start.

use std::fs;

use serde_json::Value;

use crate::support::{Case, Ended, Exit, Expected, World, judge};

/// What is recorded of the shop: its process, and its port behind the gate.
fn record(world: &World) -> Value {
    let text = fs::read(world.shop.join("run/shop.json")).unwrap_or_default();
    serde_json::from_slice(&text).unwrap_or_default()
}

/// The processes of the shop that Liftlock started, each with whether it was given a socket.
fn processes(world: &World) -> Vec<(u64, bool)> {
    let mark = format!("LIFTLOCK_COMPONENT={}", world.shop.join("run/shop.json").display());
    let pids = fs::read_dir("/proc").unwrap().flatten().filter_map(|it| it.file_name().to_str()?.parse().ok());
    let marked = pids.filter_map(|pid: u64| {
        let text = fs::read(format!("/proc/{pid}/environ")).ok()?;
        let variables: Vec<_> = text.split(|it| *it == 0).map(String::from_utf8_lossy).collect();
        variables.iter().any(|it| *it == mark).then(|| (pid, variables.iter().any(|it| it == "SHOP_SOCKET=0")))
    });
    marked.collect()
}

/// It runs once, as it is recorded.
fn runs_once(case: &Case<'_>, on_socket: bool) {
    let recorded = record(case.world);
    assert_eq!(recorded["private_port"], Value::Null);
    assert_eq!(processes(case.world), [(recorded["pid"].as_u64().unwrap(), on_socket)]);
    assert_eq!(case.world.version().as_deref(), Some("1.1.0"));
}

#[test]
fn from_the_first_good_answer_of_the_new_version_on_nobody_is_turned_away() {
    let world = World::with(&["1.1.0"]);
    world.demo(&["fault", "--slow-start", "2"]);
    let case = world.case();
    let id = case.ask("1.1.0");
    let mut worker = case.worker(id, &[]);
    let (mut led, mut good) = (0, 0);
    let ended = loop {
        let ended = worker.try_wait().unwrap();
        let is_private = !record(&world)["private_port"].is_null();
        if world.version().as_deref() == Some("1.1.0") {
            good += 1;
            led += usize::from(is_private);
        } else {
            assert_eq!(good, 0, "it was there, and is away again");
        }
        if let Some(ended) = ended {
            break ended;
        }
    };
    assert_eq!(ended.code(), Some(0), "{}", case.story(id));
    println!("{led} of {good} good answers came from behind the gate");
    judge::judge(&case, &Ended { id, killed: 0, heard: Vec::new() }, &Expected::complete("1.1.0"));
    runs_once(&case, true);
}

#[test]
fn a_worker_that_is_killed_while_it_hands_the_port_over_leaves_one_that_runs() {
    let world = World::with(&["1.1.0"]);
    for moment in ["mid_effect", "after_effect"] {
        let case = world.case();
        let point = format!("forward/hand_over/{moment}");
        let ended = case.run("1.1.0", std::slice::from_ref(&point), &Expected::complete("1.1.0"));
        assert!(case.died_at(ended.id).contains(&point), "{}", case.story(ended.id));
        runs_once(&case, moment == "mid_effect");
        world.reset();
    }
}

#[test]
fn one_that_takes_no_socket_is_started_again_as_ever() {
    let world = World::with(&["1.1.0"]);
    let case = world.case_with(|it| it.replace("socket = \"SHOP_SOCKET\"", "socket = \"NOBODY_READS_THIS\""));
    let id = case.ask("1.1.0");
    let mut worker = case.worker(id, &[]);
    assert_eq!(case.end_of(&mut worker), Exit::Code(0), "{}", case.story(id));
    assert!(case.story(id).contains("It is started once more for its users."), "{}", case.story(id));
    judge::judge(&case, &Ended { id, killed: 0, heard: Vec::new() }, &Expected::complete("1.1.0"));
    runs_once(&case, false);
}
