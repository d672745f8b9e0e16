//! What people and programs do around FilaOps in containers besides updating it.

use std::fs;
use std::process::Command;

use rustix::process::Signal;
use serde_json::json;

use crate::support::filaops::{Filaops, Kind};
use crate::support::{PATIENCE, signal, wait_for};
use crate::typed::{answered, ending, liftlock};

#[test]
fn filaops_is_found_by_its_containers_with_what_it_consists_of_before_and_after_an_update_and_switched_off() {
    let world = Filaops::with(&[("3.9.0", Kind::Good)]);
    let found = || -> Vec<serde_json::Value> {
        let (code, answer) = world.liftlock(&["find"]);
        assert_eq!(code, 0, "{answer:#}");
        let mine = |it: &&serde_json::Value| it["folder"].as_str().unwrap().starts_with(world.app.to_str().unwrap());
        answer["found"].as_array().unwrap().iter().filter(mine).cloned().collect()
    };
    assert_eq!(found(), [json!(null); 0], "what is looked after is not offered");
    let is_found = |version: &str| {
        world.liftlock(&["remove", "filaops", "--yes"]);
        let all = found();
        assert_eq!(all.len(), 1, "once, and no release of it: {all:#?}");
        let expected = (&world.app.to_str().unwrap().into(), &version.into(), &"filaops".into());
        assert_eq!((&all[0]["folder"], &all[0]["version"], &all[0]["application"]), expected);
        all[0]["parts"].clone()
    };
    let parts = is_found("3.8.0");
    let image = world.engine.docker(&["inspect", "--format", "{{.Config.Image}}", "filaops-db"]);
    let (mut low, mut high) = (world.port, world.page);
    if low > high {
        (low, high) = (high, low);
    }
    let said = [
        "An update stops backend and frontend.".to_owned(),
        format!("What runs on meanwhile: db ({image})."),
        "A backup holds the PostgreSQL database of db and the files in uploads.".to_owned(),
        format!("Visitors come in on the ports {low} and {high}."),
    ];
    assert_eq!(parts, json!(said));

    let add = ["add", world.dir.join("filaops.toml").to_str().unwrap(), world.app.to_str().unwrap()].map(str::to_owned);
    let add: Vec<&str> = add.iter().map(String::as_str).collect();
    assert_eq!(world.liftlock(&add).0, 0);
    assert_eq!(world.upgrade("3.9.0", &[]).0, "complete");
    assert_eq!(is_found("3.9.0"), parts);
    world.compose(&["stop"]);
    assert_eq!(is_found("3.9.0"), parts);
}

#[test]
fn a_container_that_somebody_starts_from_another_image_meanwhile_is_found_before_users_are_let_in() {
    let world = Filaops::with(&[("3.9.0", Kind::Good)]);
    let old = world.engine.docker(&["inspect", "--format", "{{.Image}}", "filaops-frontend"]);
    let worker = world.frozen_at("forward/verify/mid_effect", &["upgrade", "--yes", "--to", "3.9.0"]);
    let labels = "{{range $key, $value := .Config.Labels}}{{$key}}={{$value}}\n{{end}}";
    let labels = world.engine.docker(&["inspect", "--format", labels, "filaops-frontend"]);
    world.engine.docker(&["rm", "--force", "filaops-frontend"]);
    let mut start = vec!["run", "--detach", "--name", "filaops-frontend"];
    start.extend(labels.lines().filter(|it| !it.is_empty()).flat_map(|it| ["--label", it]));
    world.engine.docker(&[&start[..], &[&old]].concat());
    signal(worker, Signal::CONT);
    let ended = wait_for("it has ended", PATIENCE, || {
        let (_, status) = world.liftlock(&["status"]);
        status["finished_at"].is_string().then_some(status)
    });
    assert_eq!(
        (&ended["error"]["class"], &ended["state"]),
        (&"wrong_digest".into(), &"rolled_back".into()),
        "{ended:#}"
    );
    assert!(ended["error"]["message"].as_str().unwrap().contains("“frontend”"), "{ended:#}");
    world.is_whole("3.8.0");
}

#[test]
fn who_types_docker_compose_up_after_an_update_gets_what_runs_though_the_checkout_is_still_the_old_one() {
    let world = Filaops::with(&[("3.9.0", Kind::NeedsSetting)]);
    let env = world.app.join(".env");
    fs::write(&env, fs::read_to_string(&env).unwrap() + "SECRET_KEY=long-and-random\n").unwrap();
    let ids = || {
        world.engine.docker(&["inspect", "--format", "{{.Id}}", "filaops-backend", "filaops-frontend", "filaops-db"])
    };
    assert_eq!(world.upgrade("3.9.0", &[]).0, "complete");
    let mine = fs::read_to_string(world.app.join("docker-compose.yml")).unwrap();
    assert!(!mine.contains("SECRET_KEY"), "the checkout knows nothing of it");
    // The network of the look is left behind by whoever makes containers anew without it.
    let is_there = |version: &str| {
        wait_for(&format!("{version} answers"), PATIENCE, || world.version().filter(|it| it == version));
        assert_eq!(world.sql("SELECT count(*) FROM products"), "500");
    };
    let is_as_it_ran = || {
        is_there("3.9.0");
        let inside = world.engine.docker(&["inspect", "--format", "{{json .Config.Env}}", "filaops-backend"]);
        assert!(inside.contains("SECRET_KEY=long-and-random"), "{inside}");
    };
    world.compose(&["up", "--detach", "--build"]);
    is_as_it_ran();
    let made = ids();
    world.compose(&["up", "--detach"]);
    assert_eq!(ids(), made, "nothing is made anew once more");
    world.compose(&["down"]);
    world.compose(&["up", "--detach"]);
    is_as_it_ran();

    let (code, ended) = world.liftlock(&["rollback", "--accept-loss-of-new-work", "--yes"]);
    assert_eq!(ended["state"], "rolled_back", "{code} {ended:#}");
    is_there("3.8.0");
    world.compose(&["up", "--detach"]);
    is_there("3.8.0");
}

#[test]
fn the_context_that_docker_goes_by_is_asked_where_no_variable_names_an_engine() {
    let world = Filaops::with(&[("3.9.0", Kind::Good)]);
    let host = format!("host={}", world.engine.host);
    for words in [&["create", "here", "--docker", &host][..], &["use", "here"]] {
        let mut docker = Command::new("docker");
        docker.arg("context").args(words).env("HOME", &world.dir);
        let output =
            ["DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_CONFIG"].iter().fold(&mut docker, |it, name| it.env_remove(name));
        let output = output.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    let path = std::env::var_os("PATH").unwrap();
    let words = ["upgrade", "--yes", "--to", "3.9.0"];
    let (_, ended) = answered(&mut liftlock(&world.dir, &path, &words));
    assert_eq!(ending(&ended).0, "complete");
    world.is_whole("3.9.0");
}
