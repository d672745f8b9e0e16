//! The built-in profile of FilaOps without Docker, on a checkout of its shape.

use std::fs;

use crate::support::filaops::{Filaops, Kind};
use crate::support::{PATIENCE, wait_for};
use crate::tagged::git;

#[test]
fn filaops_without_docker_is_updated_beside_its_checkout_and_brought_back_to_it() {
    let world = Filaops::with(&[("3.9.0", Kind::Good), ("3.10.0", Kind::Good)]);
    let (plan, note) = world.plan("3.9.0", "checkout_stays");
    assert_eq!(plan["possible"], true, "{plan:#}");
    assert!(note.unwrap()["message"].as_str().unwrap().contains("stays as it is, at 3.8.0"));
    // What the usual address says is read from a checkout; nobody believes it.
    assert!(world.told_by_the_checkout().unwrap().contains("9.9.9"));
    assert_eq!(world.upgrade("3.9.0", &[]), ("complete".to_owned(), String::new()));
    world.is_whole("3.9.0", ".liftlock/releases/3.9.0");
    assert_eq!(world.sql("SELECT version_num FROM alembic_version"), "r1");
    assert_eq!(world.sql("SELECT count(*) FROM products WHERE from_1 = 'new'"), "500");
    let release = world.app.join(".liftlock/releases/3.9.0");
    let pages = fs::read_to_string(release.join("frontend/dist/index.html")).unwrap();
    assert!(pages.contains("3.9.0"), "{pages}");
    assert_eq!(fs::read_to_string(release.join("backend/.env")).unwrap().lines().next(), Some("# FilaOps"));
    assert_eq!(world.changed(), "");

    // A picture that comes in is where it always was, and the next version has it too.
    world.add_picture("two.png");
    assert_eq!(world.upgrade("3.10.0", &[]).0, "complete");
    world.is_whole("3.10.0", ".liftlock/releases/3.10.0");
    for folder in [world.app.join("backend"), world.running_in()] {
        assert!(folder.join("static/uploads/products/two.png").is_file(), "{}", folder.display());
    }
    let back = |world: &Filaops| {
        let (_, ended) = world.liftlock(&["rollback", "--accept-loss-of-new-work", "--yes"]);
        assert_eq!(ended["state"], "rolled_back", "{ended:#}");
    };
    back(&world);
    world.is_whole("3.9.0", ".liftlock/releases/3.9.0");
    assert_eq!(world.changed(), "");
}

#[test]
fn going_back_from_the_first_update_of_filaops_leads_to_the_checkout() {
    let mut world = Filaops::with(&[("3.9.0", Kind::Good)]);
    assert_eq!(world.upgrade("3.9.0", &[]).0, "complete");
    let (_, ended) = world.liftlock(&["rollback", "--accept-loss-of-new-work", "--yes"]);
    assert_eq!(ended["state"], "rolled_back", "{ended:#}");
    world.is_whole("3.8.0", "");
    assert_eq!(world.sql("SELECT version_num FROM alembic_version"), "r0");
    assert_eq!(world.changed(), "");
    // And forward again, from the same folder.
    assert_eq!(world.upgrade("3.9.0", &[]).0, "complete");
    world.is_whole("3.9.0", ".liftlock/releases/3.9.0");

    // Who starts the old checkout by habit is told.
    assert_eq!(world.plan("3.9.0", "runs_elsewhere").1, None);
    world.end();
    world.start_by_hand();
    let (plan, found) = world.plan("3.9.0", "runs_elsewhere");
    assert_eq!((&plan["possible"], &plan["from"]), (&false.into(), &"3.8.0".into()), "{plan:#}");
    assert!(found.unwrap()["message"].as_str().unwrap().contains("3.9.0 is in place"));
}

#[test]
fn a_migration_of_filaops_without_docker_that_breaks_off_and_a_version_that_lies_are_brought_back() {
    let world = Filaops::with(&[("3.9.0", Kind::Breaks), ("3.10.0", Kind::Lies)]);
    assert_eq!(world.upgrade("3.9.0", &[]), ("rolled_back".to_owned(), "migration_failed".to_owned()));
    world.is_whole("3.8.0", "");
    assert_eq!(world.sql("SELECT version_num FROM alembic_version"), "r0");
    assert_eq!(world.upgrade("3.10.0", &[]), ("rolled_back".to_owned(), "wrong_version".to_owned()));
    world.is_whole("3.8.0", "");
    assert_eq!(world.sql("SELECT version_num FROM alembic_version"), "r0");
    assert_eq!(world.sql("SELECT count(*) FROM pg_tables WHERE tablename LIKE 'made_in%'"), "0");
    assert_eq!(world.changed(), "");
}

#[test]
fn a_checkout_of_filaops_without_docker_that_was_changed_is_found_and_its_changes_are_kept() {
    let world = Filaops::with(&[("3.9.0", Kind::Good)]);
    fs::write(world.app.join("README.md"), "mine\n").unwrap();
    let (_, found) = world.plan("3.9.0", "dirty_folder");
    assert!(found.unwrap()["message"].as_str().unwrap().contains("README.md"));
    assert_eq!(world.upgrade("3.9.0", &[]), ("failed".to_owned(), "dirty_folder".to_owned()));
    world.is_whole("3.8.0", "");
    assert_eq!(world.upgrade("3.9.0", &["--leave-changes"]).0, "complete");
    world.is_whole("3.9.0", ".liftlock/releases/3.9.0");
    assert_eq!(fs::read_to_string(world.app.join("README.md")).unwrap(), "mine\n");
    git(&world.app, &["checkout", "--quiet", "README.md"]);
    git(&world.app, &["apply", ".liftlock/changes-3.8.0.patch"]);
    assert_eq!(fs::read_to_string(world.app.join("README.md")).unwrap(), "mine\n");
}

#[test]
fn a_password_that_filaops_without_docker_does_not_start_with_is_told_before_anything_stops() {
    let mut world = Filaops::with(&[("4.0.0", Kind::Good), ("4.1.0", Kind::Good)]);
    let password = |world: &mut Filaops, word: &str| {
        world.end();
        world.sql(&format!("ALTER ROLE filaops PASSWORD '{word}'"));
        world.set_password(word);
        world.start_by_hand();
    };
    password(&mut world, "changeme");
    assert_eq!(world.plan("4.0.0", "setting_refused").1, None);
    assert!(world.plan("4.1.0", "setting_refused").1.is_some());
    assert_eq!(world.upgrade("4.1.0", &[]), ("failed".to_owned(), "setting_refused".to_owned()));
    world.is_whole("3.8.0", "");
    password(&mut world, "another-of-the-owner");
    // The other way in which FilaOps takes them.
    world.end();
    world.set_address("another-of-the-owner");
    world.start_by_hand();
    assert_eq!(world.upgrade("4.1.0", &[]).0, "complete");
    world.is_whole("4.1.0", ".liftlock/releases/4.1.0");
}

#[test]
fn what_cannot_be_made_ready_ends_the_update_with_nothing_stopped_and_what_is_optional_may_be_missing() {
    let without_node = |it: String| it.replace("\"npm\"", "\"no-such-npm\"");
    let world = Filaops::with_profile(&[("3.9.0", Kind::CannotBeBuilt), ("3.10.0", Kind::Good)], without_node);
    let runs = world.running_in();
    assert_eq!(world.upgrade("3.9.0", &[]), ("failed".to_owned(), "build_failed".to_owned()));
    assert_eq!(world.running_in(), runs);
    world.is_whole("3.8.0", "");
    assert_eq!(world.upgrade("3.10.0", &[]).0, "complete");
    world.is_whole("3.10.0", ".liftlock/releases/3.10.0");
    assert!(!world.running_in().join("../frontend/dist").exists());
}

#[test]
fn filaops_without_docker_survives_a_worker_that_is_killed() {
    for point in [
        "forward/make_ready/mid_effect",
        "forward/switch_release/mid_effect",
        "forward/stop:backend/mid_effect",
        "forward/hand_over/mid_effect",
    ] {
        let world = Filaops::with(&[("3.9.0", Kind::Good)]);
        world.liftlock_killed_at(point, &["upgrade", "--yes", "--to", "3.9.0"]);
        let log = fs::read_to_string(world.dir.join("crash.log")).unwrap();
        assert!(log.lines().any(|it| it == format!("died {point}")), "{log}");
        world.liftlock(&["resume", "--all"]);
        let ended = wait_for("the update ends", PATIENCE, || {
            let (_, history) = world.liftlock(&["history"]);
            history["outcomes"].as_array()?.iter().find_map(|it| it["result"].as_str()).map(str::to_owned)
        });
        match ended.as_str() {
            "success" => world.is_whole("3.9.0", ".liftlock/releases/3.9.0"),
            _ => world.is_whole("3.8.0", ""),
        }
    }
}

#[test]
fn a_backend_that_was_started_for_other_addresses_than_the_profiles_is_refused() {
    let loopback = |it: String| it.replace("\"0.0.0.0\"", "\"127.0.0.1\"");
    let world = Filaops::with_profile(&[("3.9.0", Kind::Good)], loopback);
    let (plan, found) = world.plan("3.9.0", "bound_otherwise");
    assert_eq!(plan["possible"], false, "{plan:#}");
    assert!(found.unwrap()["message"].as_str().unwrap().contains("answers for other computers too"));
    assert_eq!(world.upgrade("3.9.0", &[]), ("failed".to_owned(), "bound_otherwise".to_owned()));
    world.is_whole("3.8.0", "");
}

#[test]
fn an_environment_of_python_and_pages_of_node_are_made_in_the_folder_where_they_stay() {
    let world = Filaops::with_real_tools(&[("3.9.0", Kind::Good), ("3.10.0", Kind::Good)]);
    for version in ["3.9.0", "3.10.0"] {
        assert_eq!(world.upgrade(version, &[]), ("complete".to_owned(), String::new()));
        let folder = format!(".liftlock/releases/{version}");
        world.is_whole(version, &folder);
        let release = world.app.join(&folder);
        let pip = fs::read_to_string(release.join("backend/venv/bin/alembic")).unwrap();
        assert!(pip.starts_with(&format!("#!{}", release.join("backend/venv/bin/python").display())), "{pip}");
        assert!(fs::read_to_string(release.join("frontend/dist/index.html")).unwrap().contains(version));
        assert_eq!(world.changed(), "");
    }
    let (_, ended) = world.liftlock(&["rollback", "--accept-loss-of-new-work", "--yes"]);
    assert_eq!(ended["state"], "rolled_back", "{ended:#}");
    world.is_whole("3.9.0", ".liftlock/releases/3.9.0");
}
