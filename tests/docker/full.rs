//! The disk is full while a release is made ready: that of Docker, on which it is built, or that of the application's
//! folder, to which it is unpacked. Nothing has been stopped by then, and once there is room it goes through.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use rustix::process::Signal;

use crate::built::is_whole;
use crate::disk::Disk;
use crate::support::{Exit, Expected, World, judge, signal};

/// From now on the step of the build writes so many MiB, as one does that fetches and compiles.
fn step_writes(world: &World, mebibytes: u32) {
    let context = tempfile::tempdir().unwrap();
    let lay = |from: &Path, at: &str| {
        let to = context.path().join(at.trim_start_matches('/'));
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(from, to).unwrap();
    };
    for (program, at) in [("/bin/sh", "/bin/sh"), ("/bin/dd", "/usr/bin/dd")] {
        lay(Path::new(program), at);
        let listed = Command::new("ldd").arg(program).output().unwrap().stdout;
        let listed = String::from_utf8_lossy(&listed).into_owned();
        listed.split_whitespace().filter(|it| it.starts_with('/')).for_each(|it| lay(Path::new(it), it));
    }
    let step = context.path().join("usr/bin/sleep");
    let text = format!("#!/bin/sh\nexec /usr/bin/dd if=/dev/zero of=/large bs=1048576 count={mebibytes}\n");
    fs::write(&step, text).unwrap();
    fs::set_permissions(&step, fs::Permissions::from_mode(0o755)).unwrap();
    fs::write(context.path().join("Dockerfile"), "FROM corner-shop-base:1\nCOPY . /\n").unwrap();
    world.engine.docker(&["build", "--quiet", "--tag", "corner-shop-base:1", context.path().to_str().unwrap()]);
}

#[test]
fn a_build_that_finds_the_disk_of_docker_full_says_so_and_goes_through_once_there_is_room() {
    let Some((world, disk)) = World::built_on_a_small_disk(&["1.1.0"]) else { return };
    step_writes(&world, 96);
    let since = || ["shop", "db"].map(|it| world.inspect(it, ".State.StartedAt"));
    let begun = since();
    let case = world.case();
    let id = case.ask("1.1.0");
    let mut worker = case.frozen(id, "forward/prepare_release/before_intent");
    // What runs writes there too, and needs some room to live.
    disk.fill_but(64 << 20);
    signal(worker.id(), Signal::CONT);
    assert_eq!(case.end_of(&mut worker), Exit::Code(0), "{}", case.story(id));
    judge::judge(&case, &case.ended(id), &Expected::failed("disk_full"));
    let error = case.upgrade(id).error.unwrap();
    assert!(error.message.contains("Docker") && error.remedy.contains("docker system df"), "{error:#?}");
    // The step, or what the builder takes over of the source at the same time.
    let found_none = ["/large", "no space left on device"];
    let tells = |it: &String| found_none.iter().any(|what| it.contains(what));
    assert!(error.details.iter().any(tells), "what found no room is told: {error:#?}");
    assert_eq!(since(), begun, "nothing was stopped");
    is_whole(&world, "1.0.0");

    disk.make_room();
    world.case().run("1.1.0", &[], &Expected::complete("1.1.0"));
    is_whole(&world, "1.1.0");
}

#[test]
fn a_release_that_finds_no_room_in_the_folder_of_the_application_stops_nothing_and_goes_through_with_room() {
    let world = World::built(&["1.1.0"]);
    let releases = world.shop.join(".liftlock/releases");
    let Some(disk) = Disk::of(2, &releases) else { return };
    let since = || ["shop", "db"].map(|it| world.inspect(it, ".State.StartedAt"));
    let begun = since();
    world.case().run("1.1.0", &[], &Expected::failed("disk_full"));
    assert_eq!(since(), begun, "nothing was stopped");
    is_whole(&world, "1.0.0");
    drop(disk);
    world.case().run("1.1.0", &[], &Expected::complete("1.1.0"));
    is_whole(&world, "1.1.0");
}
