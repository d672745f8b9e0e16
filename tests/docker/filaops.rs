//! The built-in profile of FilaOps on a project of its shape, with a stand-in for its backend.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::Command;

use rustix::process::Signal;
use serde_json::json;

use crate::support::filaops::{Filaops, Kind, git};
use crate::support::{PATIENCE, lives, signal, wait_for};

#[test]
fn filaops_is_updated_with_its_schema_before_the_new_backend_starts() {
    let world = Filaops::with(&[("3.9.0", Kind::Good)]);
    let begun = world.engine.docker(&["inspect", "--format", "{{.State.StartedAt}}", "filaops-db"]);
    let (code, plan) = world.liftlock(&["plan"]);
    assert_eq!((code, &plan["possible"], &plan["to"]), (0, &true.into(), &"3.9.0".into()), "{plan:#}");
    // What the usual address says is read from a checkout; nobody believes it.
    assert!(world.told_by_the_checkout().unwrap().contains("9.9.9"));
    assert_eq!(world.upgrade("3.9.0", &[]), ("complete".to_owned(), String::new()));
    world.is_whole("3.9.0");
    assert_eq!(world.sql("SELECT version_num FROM alembic_version"), "r1");
    assert_eq!(world.sql("SELECT count(*) FROM products WHERE from_1 = 'new'"), "500");
    let now = world.engine.docker(&["inspect", "--format", "{{.State.StartedAt}}", "filaops-db"]);
    assert_eq!(now, begun, "the database stays up");
    let policy = ["inspect", "--format", "{{.HostConfig.RestartPolicy.Name}}", "filaops-backend"];
    assert_eq!(world.engine.docker(&policy), "unless-stopped");
}

#[test]
fn a_migration_of_filaops_that_breaks_off_and_a_version_that_lies_are_brought_back() {
    let world = Filaops::with(&[("3.9.0", Kind::Breaks), ("3.10.0", Kind::Lies)]);
    assert_eq!(world.upgrade("3.9.0", &[]), ("rolled_back".to_owned(), "migration_failed".to_owned()));
    world.is_whole("3.8.0");
    assert_eq!(world.sql("SELECT version_num FROM alembic_version"), "r0");
    assert_eq!(world.upgrade("3.10.0", &[]), ("rolled_back".to_owned(), "wrong_version".to_owned()));
    world.is_whole("3.8.0");
    assert_eq!(world.sql("SELECT version_num FROM alembic_version"), "r0");
    assert_eq!(world.sql("SELECT count(*) FROM pg_tables WHERE tablename LIKE 'made_in%'"), "0");
}

#[test]
fn migrations_of_filaops_that_say_all_is_well_and_did_nothing_are_found_though_the_backend_calls_itself_healthy() {
    let world = Filaops::with(&[("3.9.0", Kind::MigratesNothing), ("3.10.0", Kind::MigratesNothingForReal)]);
    let started = ["inspect", "--format", "{{.State.StartedAt}}", "filaops-backend", "filaops-frontend"];
    let begun = world.engine.docker(&started);
    assert_eq!(world.upgrade("3.9.0", &[]), ("failed".to_owned(), "not_migrated".to_owned()));
    assert_eq!(world.engine.docker(&started), begun, "the rehearsal has found it");
    assert_eq!(world.upgrade("3.10.0", &[]), ("rolled_back".to_owned(), "not_migrated".to_owned()));
    world.is_whole("3.8.0");
    assert_eq!(world.sql("SELECT version_num FROM alembic_version"), "r0");
}

#[test]
fn a_frontend_that_ends_is_brought_back_though_no_probe_looks_at_it() {
    let world = Filaops::with(&[("3.9.0", Kind::FrontendEnds)]);
    let (_, ended) = world.liftlock(&["upgrade", "--yes", "--to", "3.9.0"]);
    assert_eq!(
        (&ended["state"], &ended["error"]["class"]),
        (&"rolled_back".into(), &"start_failed".into()),
        "{ended:#}"
    );
    let receipt = fs::read(ended["receipt"]["json"].as_str().unwrap()).unwrap();
    let receipt: serde_json::Value = serde_json::from_slice(&receipt).unwrap();
    let steps: Vec<_> = receipt["steps"].as_array().unwrap().iter().map(|it| it["step"].as_str().unwrap()).collect();
    assert!(steps.contains(&"verify") && !steps.contains(&"open_gate"), "before users are let in: {steps:?}");
    let said = ended["error"].to_string();
    assert!(said.contains("“frontend”") && said.contains("it has ended"), "its last words: {said}");
    world.is_whole("3.8.0");
}

#[test]
fn the_trial_of_a_release_of_filaops_is_alone_with_its_copy_in_a_network_without_a_way_out() {
    let world = Filaops::with(&[("3.9.0", Kind::Good)]);
    let worker = world.frozen_at("forward/rehearse/mid_effect", &["upgrade", "--yes", "--to", "3.9.0"]);
    let networks = world.engine.networks();
    let [apart] = networks.iter().filter(|it| *it != "filaops-network").collect::<Vec<_>>()[..] else {
        panic!("{networks:?}")
    };
    assert_eq!(world.engine.docker(&["network", "inspect", "--format", "{{.Internal}}", apart]), "true");
    let format = "{{range .Containers}}{{.Name}}\n{{end}}";
    let inside = world.engine.docker(&["network", "inspect", "--format", format, apart]);
    let inside: Vec<&str> = inside.lines().filter(|it| !it.is_empty()).collect();
    let [copy] = inside[..] else { panic!("{inside:?}") };
    assert_ne!(copy, "filaops-db");
    let format = "{{range $name, $_ := .NetworkSettings.Networks}}{{$name}} {{end}}";
    assert_eq!(
        world.engine.docker(&["inspect", "--format", format, copy]).trim(),
        apart.as_str(),
        "nor is its copy elsewhere"
    );
    signal(worker, Signal::CONT);
    wait_for("it is 3.9.0", PATIENCE, || world.version().filter(|it| it == "3.9.0"));
    wait_for("the worker is gone", PATIENCE, || (!lives(worker)).then_some(()));
    world.is_whole("3.9.0");
}

#[test]
fn a_further_service_of_a_release_is_told_and_one_that_filaops_needs_is_refused() {
    let world = Filaops::with(&[("3.9.0", Kind::NeedsService), ("3.10.0", Kind::FurtherService)]);
    let told = |to: &str| {
        let (_, plan) = world.liftlock(&["plan", "--to", to]);
        let found = plan["findings"].as_array().unwrap().iter();
        let mut found = found.filter(|it| it["class"].as_str().unwrap().starts_with("service_"));
        let one = found.next().unwrap_or_else(|| panic!("{plan:#}")).clone();
        assert_eq!((found.next(), one["message"].as_str().unwrap().contains("cache")), (None, true), "{plan:#}");
        (plan["possible"].as_bool().unwrap(), one["class"].as_str().unwrap().to_owned())
    };
    assert_eq!(told("3.9.0"), (false, "service_needed".to_owned()));
    assert_eq!(world.upgrade("3.9.0", &[]), ("failed".to_owned(), "service_needed".to_owned()));
    world.is_whole("3.8.0");
    assert_eq!(told("3.10.0"), (true, "service_new".to_owned()));
    assert_eq!(world.upgrade("3.10.0", &[]).0, "complete");
    // It is as was said: nobody started it.
    world.is_whole("3.10.0");
}

#[test]
fn an_address_that_wins_in_the_container_of_the_migrations_is_found_before_they_run() {
    let world = Filaops::with(&[("3.9.0", Kind::FixesAddress)]);
    let profile = world.dir.join("filaops.toml");
    let whole = fs::read_to_string(&profile).unwrap();
    let goes_by = |text: &str| {
        fs::write(&profile, text).unwrap();
        world.liftlock(&["remove", "filaops", "--yes"]);
        let (code, added) = world.liftlock(&["add", profile.to_str().unwrap(), world.app.to_str().unwrap()]);
        assert_eq!(code, 0, "{added:#}");
    };
    let (before, after) = whole.split_once(", DATABASE_URL = \"").unwrap();
    goes_by(&format!("{before}{}", after.split_once('"').unwrap().1));
    assert_eq!(world.upgrade("3.9.0", &[]), ("failed".to_owned(), "guard_failed".to_owned()));
    world.is_whole("3.8.0");
    assert_eq!(world.sql("SELECT version_num FROM alembic_version"), "r0");
    // The built-in one points this elsewhere too.
    goes_by(&whole);
    assert_eq!(world.upgrade("3.9.0", &[]).0, "complete");
    world.is_whole("3.9.0");
    assert_eq!(world.sql("SELECT version_num FROM alembic_version"), "r1");
}

#[test]
fn a_checkout_of_filaops_that_was_changed_is_found_and_its_changes_are_kept() {
    let world = Filaops::with(&[("3.9.0", Kind::Good)]);
    fs::write(world.app.join("README.md"), "mine\n").unwrap();
    let (state, class) = world.upgrade("3.9.0", &[]);
    assert_eq!((state.as_str(), class.as_str()), ("failed", "dirty_folder"));
    world.is_whole("3.8.0");
    assert_eq!(world.upgrade("3.9.0", &["--leave-changes"]).0, "complete");
    world.is_whole("3.9.0");
    assert_eq!(fs::read_to_string(world.app.join("README.md")).unwrap(), "mine\n");
    git(&world.app, &["checkout", "--quiet", "README.md"]);
    git(&world.app, &["apply", ".liftlock/changes-3.8.0.patch"]);
    assert_eq!(fs::read_to_string(world.app.join("README.md")).unwrap(), "mine\n");
}

#[test]
fn pictures_that_filaops_keeps_in_its_container_are_in_every_next_one() {
    let world = Filaops::with(&[("3.9.0", Kind::Good), ("3.10.0", Kind::Lies)]);
    let told = |world: &Filaops| {
        let (_, plan) = world.liftlock(&["plan"]);
        let found = plan["findings"].as_array().unwrap().iter().find(|it| it["class"] == "files_in_container").cloned();
        found.map(|it| it["message"].as_str().unwrap().to_owned())
    };
    assert_eq!(told(&world), None, "what the image brings is nobody's");
    world.add_picture("one.png");
    assert!(told(&world).unwrap().contains("1 below /app/static/uploads"), "{:?}", told(&world));
    assert_eq!(world.upgrade("3.9.0", &[]).0, "complete");
    assert_eq!(world.uploaded("products/one.png"), "picture one.png");
    world.add_picture("two.png");
    assert_eq!(world.upgrade("3.10.0", &[]).0, "rolled_back");
    world.is_whole("3.9.0");
    for name in ["one.png", "two.png"] {
        assert_eq!(world.uploaded(&format!("products/{name}")), format!("picture {name}"));
    }
    let kept = fs::read_dir(world.app.join(".liftlock/carried")).unwrap();
    let kept: Vec<_> = kept.map(|it| it.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(kept, ["backend-0.tar"], "the last copy is kept, and nothing waits");
}

#[test]
fn pictures_in_one_of_several_containers_are_refused_with_a_way() {
    let world = Filaops::with(&[("3.9.0", Kind::Good)]);
    world.add_picture("one.png");
    // Two of a fixed name and port there cannot be, so the second is one that was made by hand.
    let image = world.engine.docker(&["inspect", "--format", "{{.Config.Image}}", "filaops-backend"]);
    let labels = ["--label", "com.docker.compose.project=filaops", "--label", "com.docker.compose.service=backend"];
    let oneoff = ["--label", "com.docker.compose.oneoff=False", "--label", "com.docker.compose.container-number=2"];
    world.engine.docker(&[&["create", "--name", "second"][..], &labels, &oneoff, &[&image]].concat());
    let (_, plan) = world.liftlock(&["plan"]);
    let found = plan["findings"].as_array().unwrap();
    let found =
        found.iter().find(|it| it["class"] == "files_in_several_containers").unwrap_or_else(|| panic!("{plan:#}"));
    assert!(plan["possible"] == false && found["message"].as_str().unwrap().contains("2 containers"), "{found:#}");
}

#[test]
fn pictures_of_filaops_survive_a_worker_that_is_killed_between_two_containers() {
    let world = Filaops::with(&[("3.9.0", Kind::Good)]);
    world.add_picture("one.png");
    let point = "forward/carry/mid_effect";
    world.liftlock_killed_at(point, &["upgrade", "--yes", "--to", "3.9.0"]);
    let log = fs::read_to_string(world.dir.join("crash.log")).unwrap();
    assert!(log.lines().any(|it| it == format!("died {point}")), "{log}");
    world.liftlock(&["resume", "--all"]);
    let ended = wait_for("the update ends", PATIENCE, || {
        let (_, history) = world.liftlock(&["history"]);
        history["outcomes"].as_array()?.iter().find_map(|it| it["result"].as_str()).map(str::to_owned)
    });
    world.is_whole(if ended == "success" { "3.9.0" } else { "3.8.0" });
    assert_eq!(world.uploaded("products/one.png"), "picture one.png");
}

#[test]
fn what_a_release_of_filaops_changes_around_the_data_is_refused_with_a_way() {
    let releases = [("3.9.0", Kind::RenamesVolume), ("3.10.0", Kind::OtherDatabase), ("3.11.0", Kind::NeedsSetting)];
    let world = Filaops::with(&releases);
    let since = ["inspect", "--format", "{{.State.StartedAt}}", "filaops-backend", "filaops-db"];
    let begun = world.engine.docker(&since);
    for (to, class, said) in [
        ("3.9.0", "volume_renamed", "filaops_pgdata"),
        ("3.10.0", "database_major", "PostgreSQL 15"),
        ("3.11.0", "setting_asked", "Sessions are signed with it"),
    ] {
        // It is told before anybody agrees to anything.
        let (_, plan) = world.liftlock(&["plan", "--to", to]);
        let found = plan["findings"].as_array().unwrap().iter().find(|it| it["class"] == class).unwrap();
        assert_eq!((&plan["possible"], &found["severity"]), (&false.into(), &"stop".into()), "{plan:#}");
        assert!(found["message"].as_str().unwrap().contains(said), "{found:#}");
        assert!(!found["remedy"].as_str().unwrap().is_empty(), "{found:#}");
        assert!(!world.app.join(".liftlock/releases").join(to).exists(), "it was only looked at");
        assert_eq!(world.upgrade(to, &[]), ("failed".to_owned(), class.to_owned()));
        world.is_whole("3.8.0");
    }
    assert_eq!(world.engine.docker(&since), begun, "nothing was stopped");
    // With the setting it goes.
    let env = world.app.join(".env");
    fs::write(&env, fs::read_to_string(&env).unwrap() + "SECRET_KEY=long-and-random\n").unwrap();
    assert_eq!(world.upgrade("3.11.0", &[]).0, "complete");
    world.is_whole("3.11.0");
}

#[test]
fn a_place_that_a_release_of_filaops_makes_a_setting_is_known_by_what_it_is_set_to() {
    let world = Filaops::with(&[("3.9.0", Kind::NamesPlace), ("3.10.0", Kind::NamesOtherPlace)]);
    let told = |to: &str| {
        let (_, plan) = world.liftlock(&["plan", "--to", to]);
        let found = plan["findings"].as_array().unwrap().iter();
        let about = found.filter(|it| it["class"].as_str().unwrap().starts_with("volume_"));
        about.map(|it| it["message"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(told("3.9.0"), Vec::<String>::new());
    let moved = "In the new version's project /app/uploads stands on the folder files instead of the folder uploads in the \
                 service backend: your data would look empty.";
    assert_eq!(told("3.10.0"), [moved]);
    assert_eq!(world.upgrade("3.10.0", &[]), ("failed".to_owned(), "volume_changed".to_owned()));
    world.is_whole("3.8.0");
    // Whoever says where they are is believed.
    let env = world.app.join(".env");
    fs::write(&env, fs::read_to_string(&env).unwrap() + "UPLOADS=./uploads\n").unwrap();
    assert_eq!(told("3.10.0"), Vec::<String>::new());
    assert_eq!(world.upgrade("3.10.0", &[]).0, "complete");
    world.is_whole("3.10.0");
    let mounted =
        world.engine.docker(&["inspect", "--format", "{{range .Mounts}}{{.Source}}{{end}}", "filaops-backend"]);
    assert_eq!(Path::new(&mounted), world.app.join("uploads"));
}

#[test]
fn data_in_a_volume_that_a_release_of_filaops_calls_otherwise_is_found_by_it() {
    let world = Filaops::with(&[("3.9.0", Kind::RenamesVolume), ("3.10.0", Kind::RenamesVolume)]);
    let started = ["inspect", "--format", "{{.State.StartedAt}}", "filaops-backend", "filaops-db"];
    let begun = world.engine.docker(&started);
    // Before the release is here nobody knows what it calls its volumes.
    let (code, answer) = world.liftlock(&["move-data", "--to", "3.9.0"]);
    assert_eq!((code, &answer["error"]["class"]), (3, &"release_not_here".into()), "{answer:#}");
    let (_, plan) = world.liftlock(&["plan", "--to", "3.9.0"]);
    let found = plan["findings"].as_array().unwrap().iter().find(|it| it["class"] == "volume_renamed").unwrap();
    assert!(found["remedy"].as_str().unwrap().contains("liftlock move-data"), "{found:#}");

    // Killed after the file and before its record: it is still refused, and said once more.
    world.liftlock_killed_at("forward/say_places/mid_effect", &["move-data", "--to", "3.9.0"]);
    let log = fs::read_to_string(world.dir.join("crash.log")).unwrap();
    assert!(log.lines().any(|it| it == "died forward/say_places/mid_effect"), "{log}");
    assert_eq!(world.upgrade("3.9.0", &[]), ("failed".to_owned(), "volume_renamed".to_owned()));
    let (code, moved) = world.liftlock(&["move-data", "--to", "3.9.0"]);
    assert_eq!((code, &moved["to"]), (0, &"3.9.0".into()), "{moved:#}");
    assert!(moved["says"][0].as_str().unwrap().contains("stays in the volume filaops_pgdata"), "{moved:#}");
    assert_eq!(world.engine.docker(&started), begun, "nothing was stopped");
    world.is_whole("3.8.0");
    let (code, again) = world.liftlock(&["move-data", "--to", "3.9.0"]);
    assert_eq!((code, &again["error"]["class"]), (3, &"nothing_to_move".into()), "{again:#}");

    assert_eq!(world.upgrade("3.9.0", &[]).0, "complete");
    world.is_whole("3.9.0");
    // Whoever then has the checkout at the new version, and starts all of it anew by hand, finds the data too.
    git(&world.app, &["fetch", "--quiet", "--tags"]);
    git(&world.app, &["checkout", "--quiet", "v3.9.0"]);
    world.compose(&["down"]);
    world.compose(&["up", "--detach"]);
    wait_for("3.9.0 answers", PATIENCE, || world.version().filter(|it| it == "3.9.0"));
    assert_eq!(world.sql("SELECT count(*) FROM products"), "500");
    assert_eq!(world.engine.docker(&["volume", "ls", "--format", "{{.Name}}"]), "filaops_pgdata");
    git(&world.app, &["checkout", "--quiet", "v3.8.0"]);
    // It was said once and for all.
    assert_eq!(world.upgrade("3.10.0", &[]).0, "complete");
    world.is_whole("3.10.0");
}

#[test]
fn what_a_release_of_filaops_asks_for_is_said_once_written_by_the_update_and_taken_out_on_the_way_back() {
    let world = Filaops::with(&[("3.9.0", Kind::NeedsSetting)]);
    let env = world.app.join(".env");
    let before = fs::read_to_string(&env).unwrap() + "# mine\r\nMAIL=x\r\n\nNO_END=1";
    fs::write(&env, &before).unwrap();
    fs::set_permissions(&env, fs::Permissions::from_mode(0o640)).unwrap();
    let is_as_before = || {
        assert_eq!(fs::read_to_string(&env).unwrap(), before);
        assert_eq!(fs::metadata(&env).unwrap().permissions().mode() & 0o777, 0o640);
    };
    let started = ["inspect", "--format", "{{.State.StartedAt}}", "filaops-backend", "filaops-db"];
    let begun = world.engine.docker(&started);
    // Where its source cannot be had, the plan says so.
    let looked = world.dir.join("home/looked");
    fs::write(&looked, "").unwrap();
    let (_, plan) = world.liftlock(&["plan"]);
    let note = plan["findings"].as_array().unwrap().iter().find(|it| it["class"] == "not_looked_into");
    assert_eq!((&plan["asked"], &note.unwrap()["severity"]), (&json!([]), &"note".into()), "{plan:#}");
    fs::remove_file(&looked).unwrap();

    // The very first plan asks, and the next one fetches nothing.
    let (code, plan) = world.liftlock(&["plan"]);
    let asked = &plan["asked"][0];
    assert_eq!((code, &plan["possible"], &plan["lines"]), (3, &false.into(), &json!([])), "{plan:#}");
    assert_eq!((&asked["key"], &asked["name"]), (&"SECRET_KEY".into(), &"Key of sessions".into()), "{plan:#}");
    assert_eq!(asked["why"], "Sessions are signed with it");
    let file = || fs::metadata(looked.join("filaops/3.9.0/docker-compose.yml")).unwrap().ino();
    let there = file();
    world.liftlock(&["plan"]);
    assert_eq!(file(), there);
    assert!(!world.app.join(".liftlock/releases").exists(), "it was only looked at");
    assert_eq!(world.upgrade("3.9.0", &[]), ("failed".to_owned(), "setting_asked".to_owned()));
    assert_eq!((&asked["can_generate"], &asked["answered"]), (&true.into(), &false.into()), "{plan:#}");
    let (code, refused) = world.liftlock(&["answer", "--set", "SECRET_KEY=everybody-reads-this"]);
    assert_eq!((code, &refused["error"]["class"]), (2, &"secret_in_arguments".into()), "{refused:#}");
    let (code, answer) = world.liftlock(&["answer", "--generate", "SECRET_KEY"]);
    assert_eq!((code, &answer["asked"][0]["answered"]), (0, &true.into()), "{answer:#}");
    let (_, plan) = world.liftlock(&["plan"]);
    let line = json!([{ "file": ".env", "before": null, "after": "SECRET_KEY=••••••••" }]);
    assert_eq!((&plan["possible"], &plan["lines"]), (&true.into(), &line), "{plan:#}");
    is_as_before();
    assert_eq!(world.engine.docker(&started), begun, "nothing was stopped");

    // Whoever writes it dies over it; it stands there once.
    let (_, ended) = world.liftlock_killed_at("forward/write_settings/mid_effect", &["upgrade", "--yes"]);
    assert_eq!(ended["state"], "complete", "{ended:#}");
    assert!(!looked.join("filaops").exists(), "the update has it");
    world.is_whole("3.9.0");
    let added = fs::read_to_string(&env).unwrap();
    let key = added.strip_prefix(&before).unwrap().trim().strip_prefix("SECRET_KEY=").unwrap();
    assert_eq!((key.len(), key.chars().all(|it| it.is_ascii_alphanumeric())), (64, true), "{key}");
    let inside = world.engine.docker(&["inspect", "--format", "{{json .Config.Env}}", "filaops-backend"]);
    assert!(inside.contains(&format!("SECRET_KEY={key}")), "{inside}");
    let tells =
        Command::new("grep").args(["--recursive", "--files-with-matches", key]).arg(&world.dir).output().unwrap();
    let tells = String::from_utf8_lossy(&tells.stdout).into_owned();
    let mut tells: Vec<&str> = tells.lines().collect();
    tells.sort_unstable();
    let given = world.dir.join("home/given/filaops.json");
    assert_eq!(tells, [env.to_str().unwrap(), given.to_str().unwrap()], "nothing else tells it");

    let back = ["rollback", "--accept-loss-of-new-work", "--yes"];
    let (_, ended) = world.liftlock_killed_at("back/write_settings/mid_effect", &back);
    assert_eq!(ended["state"], "rolled_back", "{ended:#}");
    world.is_whole("3.8.0");
    is_as_before();
    // It is not asked a second time.
    assert_eq!(world.upgrade("3.9.0", &[]).0, "complete");
    assert_eq!(fs::read_to_string(&env).unwrap(), added);
}

#[test]
fn a_password_that_a_release_of_filaops_does_not_start_with_is_told_before_anything_stops() {
    let world = Filaops::with(&[("4.0.0", Kind::Good), ("4.1.0", Kind::Good)]);
    let password = |word: &str| {
        world.sql(&format!("ALTER ROLE postgres PASSWORD '{word}'"));
        fs::write(world.app.join(".env"), format!("DB_PASSWORD={word}\n")).unwrap();
        world.compose(&["up", "--detach"]);
        wait_for("FilaOps answers", PATIENCE, || world.version());
    };
    password("changeme");
    let is_refused = |to: &str| {
        let (_, plan) = world.liftlock(&["plan", "--to", to]);
        plan["findings"].as_array().unwrap().iter().any(|it| it["class"] == "setting_refused")
    };
    assert!(!is_refused("4.0.0") && is_refused("4.1.0"));
    assert_eq!(world.upgrade("4.1.0", &[]), ("failed".to_owned(), "setting_refused".to_owned()));
    world.is_whole("3.8.0");
    password("another-of-the-owner");
    assert_eq!(world.upgrade("4.1.0", &[]).0, "complete");
    world.is_whole("4.1.0");
}
