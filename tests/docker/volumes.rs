//! Files that an application keeps in a named volume: backed up, changed on a copy, set aside and brought back like any others.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::Path;

use serde_json::Value;

use crate::struck::{back_to_the_old_one, plan};
use crate::support::user::{OrdinaryUser, all_of, by_root};
use crate::support::{Case, Expected, PATIENCE, World, limit, sampled, signal, wait_for};

/// What the profile of Corner Shop says of its uploads, and what it says of them in a volume.
const IN_A_FOLDER: &str = "path = \"data/uploads\"\nimmutable = true\n";

fn in_a_volume(profile: String) -> String {
    assert!(profile.contains(IN_A_FOLDER), "{profile}");
    profile.replace(IN_A_FOLDER, "volume = \"uploads\"\n")
}

/// The same, with the volume of odd files.
fn with_the_odd_ones(profile: String) -> String {
    let (before, after) = profile.split_once("[[components]]").unwrap();
    format!("{before}[[stores]]\nname = \"odd\"\nkind = \"files\"\nvolume = \"odd\"\n\n[[components]]{after}")
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
    let entries = by_root(|| fs::read_dir(folder.parent().unwrap()).unwrap().collect::<Vec<_>>());
    let mut names: Vec<String> = entries.into_iter().map(|it| it.unwrap().file_name().into_string().unwrap()).collect();
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
    let own = world.folder_of_volume("uploads").join("letter-001.bin");
    let meta = by_root(|| fs::metadata(own).unwrap());
    assert_eq!((meta.uid(), meta.gid(), meta.mode() & 0o777), (4711, 4712, 0o640));
}

/// What a plan has found that asks for somebody's attention. The makers' own file, which knows nothing of the volume, is
/// worth a note.
fn classes(case: &Case<'_>) -> Vec<String> {
    let (_, plan) = case.answer(&["plan", "--to", "1.1.0"]);
    let findings = plan["findings"].as_array().unwrap_or_else(|| panic!("{plan:#}"));
    findings.iter().filter(|it| it["severity"] != "note").map(|it| it["class"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn files_in_a_volume_are_updated_on_a_copy_and_brought_back_with_the_data() {
    are_updated_and_brought_back(&world(&["1.1.0", "1.5.0"]));
}

#[test]
fn who_may_talk_to_docker_and_is_not_root_has_files_in_a_volume_updated_and_brought_back_too() {
    let mut world = world(&["1.1.0", "1.5.0"]);
    let _user = OrdinaryUser::of(&mut world);
    are_updated_and_brought_back(&world);
    OrdinaryUser::may_talk_to(&world);
    let images = world.engine.docker(&["image", "ls", "--format", "{{.Repository}}"]);
    assert_eq!(images.lines().filter(|it| *it == "liftlock/ourselves").count(), 1, "{images}");
}

fn are_updated_and_brought_back(world: &World) {
    let folder = world.folder_of_volume("uploads");
    let all = seen(world);
    assert!(all.len() > 5, "{all:?}");

    // A version that is not what it says: every file is back, and what was changed is kept beside.
    let bad = case(world);
    bad.run("1.5.0", &[], &Expected::rolled_back("wrong_version"));
    world.is_whole("1.0.0");
    assert_eq!((seen(world), beside(&folder)), (all.clone(), vec!["_data".to_owned(), "_data__failed".to_owned()]));
    its_owner_stays(world);

    let good = case(world);
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
    its_owner_stays(world);
    assert_eq!((seen(world), beside(&folder).contains(&"_data__aside".to_owned())), (all.clone(), true));
    assert!(ended.killed == 0);

    // What a customer sends now is in the volume, and goes with a restore, which is taken back with one command.
    send(world, "later.txt");
    assert_eq!(by_root(|| fs::read_to_string(folder.join("later.txt")).unwrap()), "hello");
    let later = world.demo(&["hash"]);
    let id = backup["id"].as_str().unwrap();
    let (code, answer) = good.answer(&["backup", "restore", good.name.as_str(), id, "--confirm", "RESTORE"]);
    assert_eq!((code, &answer["state"]), (0, &"complete".into()), "{answer:#}");
    assert_eq!(world.demo(&["hash"])["content"], world.before["content"]);
    assert_eq!((seen(world), world.version().as_deref()), (all, Some("1.0.0")));
    its_owner_stays(world);
    let (code, answer) = good.answer(&["rollback", "--yes", "--accept-loss-of-new-work"]);
    assert_eq!((code, &answer["state"]), (0, &"rolled_back".into()), "{answer:#}");
    assert_eq!(world.demo(&["hash"])["content"], later["content"]);
    assert!(seen(world).contains(&"later.txt".to_owned()));

    // A computer that starts anew mounts what is in place.
    world.engine.stop();
    world.engine.start_again();
    wait_for("the shop is well", PATIENCE, || world.get("/health").filter(|it| it.0 == 200));
    assert!(seen(world).contains(&"later.txt".to_owned()));
}

#[test]
fn a_worker_that_is_killed_while_a_volume_changes_places_loses_none_of_its_files() {
    are_not_lost_by_kills(&world(&["1.1.0", "1.5.0"]));
}

#[test]
fn a_worker_without_root_that_is_killed_while_a_volume_changes_places_loses_none_of_its_files() {
    let mut world = world(&["1.1.0", "1.5.0"]);
    let _user = OrdinaryUser::of(&mut world);
    are_not_lost_by_kills(&world);
}

fn are_not_lost_by_kills(world: &World) {
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
        let good = case(world);
        let forward = points(&good, "1.1.0", "forward");
        let ended = good.run("1.1.0", &forward, &Expected::complete("1.1.0"));
        world.is_whole("1.1.0");
        died(&good, ended.id, &forward);
        back_to_the_old_one(&good, ended.id);

        let bad = case(world);
        let back = points(&bad, "1.5.0", "back");
        let ended = bad.run("1.5.0", &back, &Expected::rolled_back("wrong_version"));
        world.is_whole("1.0.0");
        died(&bad, ended.id, &back);
        its_owner_stays(world);
    }
}

#[test]
fn whoever_owns_files_in_a_volume_and_whatever_they_are_they_come_back_as_they_were_without_root() {
    let mut world = World::with(&["1.1.0", "1.5.0"]);
    world.put_uploads_in_a_volume();
    world.put_odd_files_in_a_volume();
    let odd = world.folder_of_volume("odd");
    let _user = OrdinaryUser::of(&mut world);
    let all = || by_root(|| all_of(&odd));
    let before = all();
    assert!(before.len() > 10, "{before:#?}");
    let case = world.case_with(|it| with_the_odd_ones(limit(in_a_volume(it), "start_within", "12s")));
    let (code, backup) = case.answer(&["backup", "create"]);
    assert_eq!((code, &backup["grade"]), (0, &"proven".into()), "{backup:#}");
    case.run("1.5.0", &[], &Expected::rolled_back("wrong_version"));
    assert_eq!(all(), before);
    case.run("1.1.0", &[], &Expected::complete("1.1.0"));
    assert_eq!(all(), before, "the copy that took their place");
    by_root(|| fs::write(odd.join("closed/deep/file"), "something else").unwrap());
    let id = backup["id"].as_str().unwrap();
    let (code, answer) = case.answer(&["backup", "restore", case.name.as_str(), id, "--confirm", "RESTORE"]);
    assert_eq!((code, &answer["state"]), (0, &"complete".into()), "{answer:#}");
    assert_eq!(all(), before, "what the backup brought back");
}

#[test]
fn a_container_that_works_for_a_killed_worker_is_ended_before_the_next_one_goes_on() {
    let mut world = world(&["1.1.0"]);
    // So much to copy that there is time to strike.
    let large = fs::File::create(world.folder_of_volume("uploads").join("large.bin")).unwrap();
    large.set_len(1 << 30).unwrap();
    let _user = OrdinaryUser::of(&mut world);
    let case = case(&world);
    let id = case.ask("1.1.0");
    let name = format!("liftlock-files-{}_uploads", world.project);
    let listed = || world.engine.docker(&["ps", "--no-trunc", "--quiet", "--filter", &format!("name={name}")]);
    let mut worker = case.worker(id, &[]);
    let of_the_killed = wait_for("a container copies", PATIENCE, || {
        assert_eq!(worker.try_wait().unwrap(), None, "{}", case.story(id));
        Some(listed()).filter(|it| !it.is_empty())
    });
    signal(worker.id(), rustix::process::Signal::KILL);
    worker.wait().unwrap();
    assert_eq!(listed(), of_the_killed, "it goes on by itself");
    let mut next = case.worker(id, &[]);
    wait_for("it is ended", PATIENCE, || (listed() != of_the_killed).then_some(()));
    case.end_of(&mut next);
    assert_eq!(case.upgrade(id).state.to_string(), "complete", "{}", case.story(id));
    world.is_whole("1.1.0");
}

#[test]
fn a_volume_that_cannot_be_brought_back_is_refused_before_anything_and_one_in_no_backup_is_named() {
    let mut world = World::with(&["1.1.0"]);
    // Who has mounted the folder itself and is not stopped would read on in what was set aside; who has one above would not.
    let changing = |it: String| it.replace(IN_A_FOLDER, "path = \"data/uploads\"\n");
    let at = |folder: &str| format!("{}:/mnt", world.shop.join(folder).display());
    reads_on(&world, &at("data"), || assert_eq!(classes(&world.case_with(changing)), Vec::<String>::new()));
    reads_on(&world, &at("data/uploads"), || {
        refused(&world, changing, "volume_in_use");
        assert_eq!(classes(&world.case()), Vec::<String>::new());
    });

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

    // With a volume it is the same. Where nothing is set aside, it is nobody's business.
    reads_on(&world, &format!("{}_uploads:/mnt", world.project), || {
        refused(&world, in_a_volume, "volume_in_use");
        let listed = world.case_with(|it| in_a_volume(it).replace("volume = ", "immutable = true\nvolume = "));
        assert_eq!(classes(&listed), Vec::<String>::new());
    });

    // What Docker only mounts there is the business of whoever mounts it.
    let elsewhere = world.dir.join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    let options = format!("{{ driver_opts: {{ type: none, o: bind, device: {} }} }}", elsewhere.display());
    world.rewrite(|it| it.replace("- uploads:", "- elsewhere:") + &format!("  elsewhere: {options}\n"));
    let elsewhere = world.case_with(|it| in_a_volume(it).replace("volume = \"uploads\"", "volume = \"elsewhere\""));
    assert!(classes(&elsewhere).contains(&"volume_out_of_reach".to_owned()), "{:?}", classes(&elsewhere));
}

/// Does something while a container that is nobody's business has this mounted.
fn reads_on(world: &World, mount: &str, act: impl FnOnce()) {
    let image = world.inspect("db", ".Config.Image").unwrap();
    let with_password = ["--env", "POSTGRES_USER=a", "--env", "POSTGRES_PASSWORD=b", "--volume", mount, &image];
    world.engine.docker(&[&["run", "--detach", "--name", "reader"], with_password.as_slice()].concat());
    act();
    world.engine.docker(&["rm", "--force", "--volumes", "reader"]);
}

/// An update under this profile is refused, and nothing was touched.
fn refused(world: &World, profile: impl FnOnce(String) -> String, class: &str) {
    world.case_with(profile).run("1.1.0", &[], &Expected::refused(class));
}
