//! Two who want the same at the same time and cannot see each other's home: another user of this machine, and another
//! machine that works on the same server. One wins; the other is told who works and since when, and leaves.

use std::fs;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

use liftlock_engine::model::ids::UpgradeId;
use liftlock_engine::model::state::State;
use serde_json::Value;

use crate::support::{Case, Expected, PATIENCE, World, judge};

/// The user that every system has and that owns nothing.
const NOBODY: u32 = 65534;

/// A worker that is in the middle of its work: its download has gone silent.
fn busy_worker(case: &Case<'_>) -> (UpgradeId, Child) {
    case.world.demo(&["fault", "--stall-download", "1000"]);
    let id = case.ask("1.1.0");
    let worker = case.worker(id, &[]);
    case.until(id, "it downloads", PATIENCE, |it| it.state == State::Downloading);
    (id, worker)
}

/// Brings it to its end; nothing that the rival did may have touched its work. The silent download is not waited for:
/// its worker is ended, and the next one goes on.
fn goes_on(case: &Case<'_>, id: UpgradeId, mut worker: Child) {
    case.world.demo(&["fault", "--clear"]);
    worker.kill().unwrap();
    worker.wait().unwrap();
    let ended = case.work(id, &[]);
    judge::judge(case, &ended, &Expected::complete("1.1.0"));
}

/// What a command that must be refused as busy printed last.
fn refused_as_busy(command: &mut Command) -> Value {
    let output = command.arg("--json").output().unwrap();
    let out = String::from_utf8_lossy(&output.stdout).into_owned();
    let last = serde_json::Deserializer::from_str(&out).into_iter::<Value>().last();
    let answer = last.and_then(Result::ok).unwrap_or_default();
    assert_eq!(output.status.code(), Some(6), "{out}{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(answer["error"]["class"], "busy", "{answer:#}");
    answer["error"].clone()
}

#[test]
fn another_user_of_this_machine_is_told_who_works_and_where_the_lock_is() {
    if !rustix::process::geteuid().is_root() {
        // Only root can become somebody else; the build machine is root.
        eprintln!("not root: nobody else to be");
        return;
    }
    let world = World::with(&["1.1.0"]);
    let case = world.case();
    // Two users who share an installation are in one group, which may read and write all of it.
    for (program, how) in [("chgrp", "65534"), ("chmod", "g+rwX")] {
        assert!(Command::new(program).args(["-R", how]).arg(&world.shop).status().unwrap().success());
    }
    let theirs = world.dir.join("home-of-nobody");
    fs::create_dir(&theirs).unwrap();
    chown(&theirs, Some(NOBODY), Some(NOBODY)).unwrap();
    let as_nobody = |args: &[&str]| {
        let mut command = Command::new("setpriv");
        command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups"]);
        command.arg(public_copy(&world)).args(args).env_clear();
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("HOME", &theirs);
        command.env("LIFTLOCK_HOME", theirs.join("liftlock"));
        command
    };
    let profile = world.dir.join("profile-1.toml");
    let added = as_nobody(&["add", profile.to_str().unwrap(), world.shop.to_str().unwrap()]).output().unwrap();
    assert!(added.status.success(), "{}", String::from_utf8_lossy(&added.stderr));

    let (id, worker) = busy_worker(&case);
    let error = refused_as_busy(&mut as_nobody(&["upgrade", "--yes"]));
    let message = error["message"].as_str().unwrap();
    assert!(message.contains(&format!("process {} of", worker.id())), "{message}");
    assert!(message.contains(" UTC"), "since when: {message}");
    assert!(error["remedy"].as_str().unwrap().contains("/.liftlock/lock"), "{error:#}");
    goes_on(&case, id, worker);
}

#[test]
fn another_machine_on_the_same_server_is_told_who_works() {
    let world = World::with(&["1.1.0"]);
    let case = world.case();
    // As another computer sees it: a folder of its own, a home of its own, and the same database.
    let elsewhere = world.dir.join("elsewhere");
    let copied = Command::new("cp").arg("-a").arg(&world.shop).arg(&elsewhere).status().unwrap();
    assert!(copied.success());
    let other = Case::at(&world, world.dir.join("home-elsewhere"), &world.dir.join("profile-1.toml"), elsewhere);

    let (id, worker) = busy_worker(&case);
    let error = refused_as_busy(&mut other.liftlock(&["upgrade", "--yes"]));
    assert!(error["details"][0].as_str().unwrap().contains(&format!("liftlock/{id}/")), "{error:#}");
    goes_on(&case, id, worker);
}

/// The program where everybody can run it: a build folder may be closed to others.
fn public_copy(world: &World) -> PathBuf {
    let copy = world.dir.join("liftlock");
    if !copy.exists() {
        fs::copy(Path::new(env!("CARGO_BIN_EXE_liftlock")), &copy).unwrap();
    }
    copy
}
