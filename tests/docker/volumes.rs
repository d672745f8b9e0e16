//! Files that an application keeps in a named volume: backed up, changed on a copy, set aside and brought back like any others.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::struck::{back_to_the_old_one, plan};
use crate::support::{Case, Expected, World, limit, sampled};

/// What the profile of Corner Shop says of its uploads, and what it says of them in a volume.
const IN_A_FOLDER: &str = "path = \"data/uploads\"\nimmutable = true\n";

fn in_a_volume(profile: String) -> String {
    assert!(profile.contains(IN_A_FOLDER), "{profile}");
    profile.replace(IN_A_FOLDER, "volume = \"uploads\"\n")
}

fn case(world: &World) -> Case<'_> {
    world.case_with(|it| limit(in_a_volume(it), "start_within", "12s"))
}

/// A shop whose uploads lie in a volume; one of them belongs to somebody whom only the container knows.
fn world(releases: &[&str]) -> World {
    let mut world = World::with(releases);
    world.put_uploads_in_a_volume();
    let own = world.folder_of_volume("uploads").join("letter-001.bin");
    chown(&own, Some(4711), Some(4712)).unwrap();
    fs::set_permissions(&own, fs::Permissions::from_mode(0o640)).unwrap();
    world
}

/// Every name in the folder of the volume.
fn beside(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder.parent().unwrap()).unwrap().flatten();
    let mut names: Vec<String> = entries.map(|it| it.file_name().into_string().unwrap()).collect();
    names.sort();
    // Without the id of its update.
    names.into_iter().map(|it| if it == "_data" { it } else { it.rsplit_once('_').unwrap().0.to_owned() }).collect()
}

/// The files as the shop sees them in its container.
fn seen(world: &World) -> Vec<String> {
    let (status, body) = world.get("/api/v1/uploads").unwrap();
    assert_eq!(status, 200, "{body}");
    let found: Value = serde_json::from_str(&body).unwrap();
    found["names"].as_array().unwrap().iter().map(|it| it.as_str().unwrap().to_owned()).collect()
}

/// A customer sends a file.
fn send(world: &World, name: &str) {
    let mut stream = TcpStream::connect(("127.0.0.1", world.port)).unwrap();
    let request = format!(
        "POST /api/v1/uploads/{name} HTTP/1.1\r\nHost: shop\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello"
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 2"), "{answer}");
}

/// The owner and the rights of that one file are as they were.
fn its_owner_stays(world: &World) {
    let meta = fs::metadata(world.folder_of_volume("uploads").join("letter-001.bin")).unwrap();
    assert_eq!((meta.uid(), meta.gid(), meta.mode() & 0o777), (4711, 4712, 0o640));
}

fn classes(case: &Case<'_>) -> Vec<String> {
    let (_, plan) = case.answer(&["plan", "--to", "1.1.0"]);
    let findings = plan["findings"].as_array().unwrap_or_else(|| panic!("{plan:#}"));
    findings.iter().map(|it| it["class"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn files_in_a_volume_are_updated_on_a_copy_and_brought_back_with_the_data() {
    let world = world(&["1.1.0", "1.5.0"]);
    let folder = world.folder_of_volume("uploads");
    let all = seen(&world);
    assert!(all.len() > 5, "{all:?}");

    // A version that is not what it says: every file is back, and what was changed is kept beside.
    let bad = case(&world);
    bad.run("1.5.0", &[], &Expected::rolled_back("wrong_version"));
    world.is_whole("1.0.0");
    assert_eq!((seen(&world), beside(&folder)), (all.clone(), vec!["_data".to_owned(), "_data__failed".to_owned()]));
    its_owner_stays(&world);

    let good = case(&world);
    assert!(classes(&good).iter().all(|it| !it.starts_with("volume")), "{:?}", classes(&good));
    // Commands run in containers find what is in place, so the copy is there before they run.
    let steps: Vec<String> = plan(&good, "1.1.0").into_iter().map(|it| it.name).collect();
    let at =
        |name: &str| steps.iter().position(|it| it.starts_with(name)).unwrap_or_else(|| panic!("{name} in {steps:?}"));
    assert!(at("swap:uploads") < at("migrate") && at("migrate") < at("swap:database"), "{steps:?}");
    let (code, backup) = good.answer(&["backup", "create"]);
    assert_eq!((code, &backup["grade"]), (0, &"proven".into()), "{backup:#}");
    let ended = good.run("1.1.0", &[], &Expected::complete("1.1.0"));
    world.is_whole("1.1.0");
    its_owner_stays(&world);
    assert_eq!((seen(&world), beside(&folder).contains(&"_data__aside".to_owned())), (all.clone(), true));
    assert!(ended.killed == 0);

    // What a customer sends now is in the volume, and goes with a restore, which is taken back with one command.
    send(&world, "later.txt");
    assert_eq!(fs::read_to_string(folder.join("later.txt")).unwrap(), "hello");
    let later = world.demo(&["hash"]);
    let id = backup["id"].as_str().unwrap();
    let (code, answer) = good.answer(&["backup", "restore", good.name.as_str(), id, "--confirm", "RESTORE"]);
    assert_eq!((code, &answer["state"]), (0, &"complete".into()), "{answer:#}");
    assert_eq!(world.demo(&["hash"])["content"], world.before["content"]);
    assert_eq!((seen(&world), world.version().as_deref()), (all, Some("1.0.0")));
    its_owner_stays(&world);
    let (code, answer) = good.answer(&["rollback", "--yes", "--accept-loss-of-new-work"]);
    assert_eq!((code, &answer["state"]), (0, &"rolled_back".into()), "{answer:#}");
    assert_eq!(world.demo(&["hash"])["content"], later["content"]);
    assert!(seen(&world).contains(&"later.txt".to_owned()));

    // A computer that starts anew mounts what is in place.
    world.engine.stop();
    world.engine.start_again();
    crate::support::wait_for("the shop is well", crate::support::PATIENCE, || {
        world.get("/health").filter(|it| it.0 == 200)
    });
    assert!(seen(&world).contains(&"later.txt".to_owned()));
}

#[test]
fn a_worker_that_is_killed_while_a_volume_changes_places_loses_none_of_its_files() {
    let world = world(&["1.1.0", "1.5.0"]);
    let moments = ["before_intent", "after_intent", "mid_effect", "after_effect", "after_outcome"].to_vec();
    for moment in sampled(moments, 1) {
        let points = |case: &Case<'_>, to: &str, direction: &str| -> Vec<String> {
            let steps = plan(case, to).into_iter().filter(|it| it.name.ends_with(":uploads") && it.has_a_way_back);
            steps.map(|it| format!("{direction}/{}/{moment}", it.name)).collect()
        };
        let died = |case: &Case<'_>, id, points: &[String]| {
            let (died, wanted) = (case.died_at(id), points.iter().cloned().collect::<BTreeSet<_>>());
            println!("{moment}: died at {died:?} of {wanted:?}");
            assert!(died.is_subset(&wanted) && wanted.len() > 1, "{wanted:?}");
            assert!(moment == "mid_effect" || died == wanted, "{}", case.story(id));
        };
        let good = case(&world);
        let forward = points(&good, "1.1.0", "forward");
        let ended = good.run("1.1.0", &forward, &Expected::complete("1.1.0"));
        world.is_whole("1.1.0");
        died(&good, ended.id, &forward);
        back_to_the_old_one(&good, ended.id);

        let bad = case(&world);
        let back = points(&bad, "1.5.0", "back");
        let ended = bad.run("1.5.0", &back, &Expected::rolled_back("wrong_version"));
        world.is_whole("1.0.0");
        died(&bad, ended.id, &back);
        its_owner_stays(&world);
    }
}

#[test]
fn a_volume_that_cannot_be_brought_back_is_refused_before_anything_and_one_in_no_backup_is_named() {
    let mut world = World::with(&["1.1.0"]);
    world.put_uploads_in_a_volume();
    // No store says that it is there.
    let unnamed = world.case_with(|it| {
        let (before, rest) = it.split_once("# Uploads are added").unwrap();
        before.to_owned() + &rest[rest.find("[[components]]").unwrap()..]
    });
    let (_, said) = unnamed.answer(&["plan", "--to", "1.1.0"]);
    let told = said["findings"].as_array().unwrap().iter().find(|it| it["class"] == "volume_not_backed_up").unwrap();
    assert_eq!((&told["severity"], &said["possible"]), (&"warning".into(), &true.into()), "{said:#}");
    assert!(told["message"].as_str().unwrap().ends_with(": uploads."), "{told:#}");
    drop(unnamed);
    refused(&world, |it| in_a_volume(it).replace("volume = \"uploads\"", "volume = \"pictures\""), "volume_unknown");

    // Who reads there and is not stopped would read on in what was set aside. Where nothing is, it is nobody's business.
    let (volume, image) = (format!("{}_uploads:/mnt", world.project), world.inspect("db", ".Config.Image").unwrap());
    let with_password = ["--env", "POSTGRES_USER=a", "--env", "POSTGRES_PASSWORD=b", "--volume", &volume, &image];
    world.engine.docker(&[&["run", "--detach", "--name", "reader"], with_password.as_slice()].concat());
    refused(&world, in_a_volume, "volume_in_use");
    let listed = world.case_with(|it| in_a_volume(it).replace("volume = ", "immutable = true\nvolume = "));
    assert_eq!(classes(&listed), Vec::<String>::new());
    drop(listed);
    world.engine.docker(&["rm", "--force", "--volumes", "reader"]);

    // An ordinary user who may talk to Docker is not let in where it keeps its volumes.
    let (home, program) = (world.dir.join("home-of-nobody"), world.dir.join("liftlock"));
    fs::create_dir(&home).unwrap();
    fs::copy(env!("CARGO_BIN_EXE_liftlock"), &program).unwrap();
    let give = ["-R", "--no-dereference", "65534:65534", world.shop.to_str().unwrap(), home.to_str().unwrap()];
    assert!(Command::new("chown").args(give).status().unwrap().success());
    for (path, mode) in
        [(&world.dir, 0o755), (&world.engine.dir, 0o755), (&world.engine.dir.join("docker.sock"), 0o666)]
    {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }
    let profile = world.dir.join("nobody.toml");
    fs::write(&profile, in_a_volume(fs::read_to_string(world.dir.join("corner-shop.toml")).unwrap())).unwrap();
    let nobody = |words: &[&str]| -> Value {
        let mut command = Command::new(&program);
        command.args(words).arg("--json").env_clear().env("PATH", std::env::var_os("PATH").unwrap()).env("HOME", &home);
        let output = command.envs(world.environment()).uid(65534).gid(65534).output().unwrap();
        let said = serde_json::from_slice(&output.stdout);
        said.unwrap_or_else(|_| panic!("{words:?}: {}", String::from_utf8_lossy(&output.stderr)))
    };
    nobody(&["add", profile.to_str().unwrap(), world.shop.to_str().unwrap()]);
    let said = nobody(&["plan", "--to", "1.1.0"]);
    let told = said["findings"].as_array().unwrap().iter().find(|it| it["class"] == "volume_out_of_reach");
    assert_eq!(told.unwrap_or_else(|| panic!("{said:#}"))["severity"], "stop");

    // What Docker only mounts there is the business of whoever mounts it.
    let elsewhere = world.dir.join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    let options = format!("{{ driver_opts: {{ type: none, o: bind, device: {} }} }}", elsewhere.display());
    world.rewrite(|it| it.replace("- uploads:", "- elsewhere:") + &format!("  elsewhere: {options}\n"));
    let elsewhere = world.case_with(|it| in_a_volume(it).replace("volume = \"uploads\"", "volume = \"elsewhere\""));
    assert!(classes(&elsewhere).contains(&"volume_out_of_reach".to_owned()), "{:?}", classes(&elsewhere));
}

/// An update under this profile is refused, and nothing was touched.
fn refused(world: &World, profile: impl FnOnce(String) -> String, class: &str) {
    world.case_with(profile).run("1.1.0", &[], &Expected::refused(class));
}
