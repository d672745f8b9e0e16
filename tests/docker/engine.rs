//! The engine that the tests run on: that it can be struck as they strike it, and that nothing is left of it.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::docker::demo_program;
use crate::support::{PATIENCE, World, wait_for};

/// What of the engine of this folder is still on the machine: processes, mounts, networks, groups, files.
fn left_of(dir: &Path) -> Vec<String> {
    let name = dir.file_name().unwrap().to_str().unwrap();
    let number = name.rsplit('-').next().unwrap();
    let mut left = Vec::new();
    let pids = fs::read_dir("/proc").unwrap().flatten().filter_map(|it| it.file_name().to_str()?.parse::<u32>().ok());
    for pid in pids {
        let read = |it: &str| {
            let bytes = fs::read(format!("/proc/{pid}/{it}")).unwrap_or_default();
            String::from_utf8_lossy(&bytes).replace('\0', " ")
        };
        let is_dead = read("stat").rsplit_once(')').is_none_or(|(_, rest)| rest.trim_start().starts_with(['Z', 'X']));
        let is_its_own = read("cgroup").contains(&format!("/{name}/")) || read("cmdline").contains(&format!("{name}/"));
        if is_its_own && !is_dead {
            left.push(format!("process {pid} {}", read("cmdline")));
        }
    }
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    left.extend(mounts.lines().filter(|it| it.contains(&format!("/{name}/"))).map(|it| format!("mount {it}")));
    let addresses = Command::new("ip").args(["-oneline", "address"]).output().unwrap();
    let addresses = String::from_utf8_lossy(&addresses.stdout).into_owned();
    left.extend(
        addresses.lines().filter(|it| it.contains(&format!(" 10.{number}."))).map(|it| format!("network {it}")),
    );
    let top = PathBuf::from("/sys/fs/cgroup");
    let below = fs::read_dir(&top).unwrap().flatten().map(|it| it.path()).chain([top.clone()]);
    left.extend(below.map(|it| it.join(name)).filter(|it| it.exists()).map(|it| format!("group {}", it.display())));
    left.extend(dir.exists().then(|| format!("folder {}", dir.display())));
    left
}

/// The first process of the shop's container, where it runs.
fn shop(world: &World) -> Option<u32> {
    world.inspect("shop", ".State.Pid")?.parse().ok().filter(|it| *it > 0)
}

#[test]
fn the_engine_is_stopped_killed_and_cut_off_and_comes_back_with_its_containers() {
    let forwarding = fs::read_to_string("/proc/sys/net/ipv4/ip_forward").unwrap();
    let world = World::with(&[]);
    let engine = &world.engine;
    for what in ["stop", "kill", "cut"] {
        let before = wait_for("the shop runs", PATIENCE, || shop(&world));
        match what {
            "stop" => engine.stop(),
            "kill" => engine.kill(),
            _ => engine.cut(),
        }
        assert!(!engine.command(&["version"]).output().unwrap().status.success(), "it answers after {what}");
        // Only a kill of the engine alone leaves what runs in containers.
        assert_eq!(fs::read_link(format!("/proc/{before}/cwd")).is_ok(), what == "kill", "the shop after {what}");
        engine.start_again();
        wait_for(&format!("the shop runs again after {what}"), PATIENCE, || shop(&world).filter(|it| *it != before));
        let well = || world.get("/health").filter(|it| it.0 == 200);
        wait_for(&format!("the shop is well after {what}"), PATIENCE, well);
    }
    assert_eq!(world.demo(&["hash"])["content"], world.before["content"]);

    let dir = engine.dir.clone();
    // Groups below groups, as those of a build: the runtime removes only the lowest of them.
    let deep = format!("/{}/deep/deeper", dir.file_name().unwrap().to_str().unwrap());
    let image = world.inspect("shop", ".Config.Image").unwrap();
    let words = ["run", "--rm", "--network", "none", "--cgroup-parent", &deep, &image, "corner-shop", "--version"];
    engine.docker(&words);
    let there = left_of(&dir);
    for kind in ["process", "mount", "network", "group", "folder"] {
        assert!(there.iter().any(|it| it.starts_with(kind)), "{kind} is not seen: {there:?}");
    }
    // All of the world, with containers that run.
    drop(world);
    assert_eq!(left_of(&dir), Vec::<String>::new());
    assert_eq!(fs::read_to_string("/proc/sys/net/ipv4/ip_forward").unwrap(), forwarding);
}

#[test]
fn nothing_is_left_of_an_engine_whose_test_is_killed() {
    // Stands for the test: the keeper reads from it, and nobody else writes there.
    let mut test = Command::new("sleep").arg("3600").stdout(Stdio::piped()).spawn().unwrap();
    let mut keeper = Command::new(demo_program())
        .arg("keep-docker")
        .process_group(0)
        .stdin(test.stdout.take().unwrap())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(keeper.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let socket = PathBuf::from(line.trim().strip_prefix("ready unix://").unwrap());
    let dir = socket.parent().unwrap();
    assert!(!left_of(dir).is_empty());
    test.kill().unwrap();
    test.wait().unwrap();
    let ended = wait_for("the keeper has ended", PATIENCE, || keeper.try_wait().unwrap());
    assert!(ended.success(), "{ended}");
    assert_eq!(left_of(dir), Vec::<String>::new());
}
