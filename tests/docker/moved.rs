//! A release of FilaOps that is run with another major version of PostgreSQL: two real ones, and the data of one made anew by
//! the other.

use std::fs;

use rustix::process::Signal;
use serde_json::Value;

use crate::support::filaops::{Filaops, Kind, git, newer};
use crate::support::{PATIENCE, lives, sampled, signal, wait_for};

/// Everything in the database that a person would miss, as one text.
fn contents(world: &Filaops) -> String {
    [
        "SELECT md5(string_agg(p::text, ',' ORDER BY id)) FROM products p",
        "SELECT last_value || ' ' || is_called FROM products_id_seq",
        "SELECT rolname || ' ' || rolcanlogin || ' ' || (rolpassword LIKE 'SCRAM%') || ' ' || md5(rolpassword) FROM pg_authid WHERE rolname = 'reporter'",
        "SELECT has_table_privilege('reporter', 'products', 'SELECT')",
        "SELECT setconfig FROM pg_db_role_setting s JOIN pg_database d ON d.oid = s.setdatabase WHERE datname = 'filaops'",
        "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = 'filaops'",
    ]
    .map(|it| world.sql(it))
    .join("\n")
}

/// With one release that needs a newer server, and things beside the rows.
fn world() -> Option<Filaops> {
    newer()?;
    let world = Filaops::with(&[("3.9.0", Kind::NewerDatabase)]);
    world.sql("CREATE ROLE reporter LOGIN PASSWORD 'for-reports'");
    world.sql("GRANT SELECT ON products TO reporter");
    world.sql("ALTER DATABASE filaops SET work_mem = '8MB'");
    world.sql("COMMENT ON DATABASE filaops IS 'of the workshop'");
    assert_eq!(world.upgrade("3.9.0", &[]), ("failed".to_owned(), "database_major".to_owned()));
    Some(world)
}

fn major(world: &Filaops) -> String {
    world.sql("SELECT current_setting('server_version_num')::int / 10000")
}

fn volumes(world: &Filaops) -> Vec<String> {
    world.engine.docker(&["volume", "ls", "--format", "{{.Name}}"]).lines().map(str::to_owned).collect()
}

/// What the owner types by habit, with whatever is checked out.
fn everything_anew(world: &Filaops, version: &str) {
    world.compose(&["down"]);
    world.compose(&["up", "--detach"]);
    wait_for(&format!("{version} answers"), PATIENCE, || world.version().filter(|it| it == version));
}

#[test]
fn a_database_is_made_anew_by_the_newer_server_and_goes_back_and_forth_with_nothing_lost() {
    let Some(world) = world() else { return };
    let (old, before) = (major(&world), contents(&world));
    let (_, plan) = world.liftlock(&["plan", "--to", "3.9.0"]);
    let stops: Vec<&Value> =
        plan["findings"].as_array().unwrap().iter().filter(|it| it["severity"] == "stop").collect();
    assert_eq!(stops.len(), 1, "{plan:#}");
    assert!(stops[0]["remedy"].as_str().unwrap().contains("liftlock move-data"), "{plan:#}");

    let (code, moved) = world.liftlock(&["move-data", "--to", "3.9.0"]);
    assert_eq!((code, &moved["state"], &moved["to"]), (0, &"complete".into(), &"3.8.0".into()), "{moved:#}");
    let message = moved["message"].as_str().unwrap();
    assert!(message.contains("PostgreSQL 18 now") && message.contains("docker volume rm filaops_pgdata"), "{message}");
    world.stands("3.8.0");
    assert_eq!((major(&world).as_str(), contents(&world)), ("18", before.clone()));
    assert_eq!(volumes(&world), ["filaops_pgdata", "filaops_pgdata_18"]);
    everything_anew(&world, "3.8.0");
    assert_eq!((major(&world).as_str(), contents(&world)), ("18", before.clone()));

    // A person may want the old one back; what was written since is said to be lost, and kept beside.
    let (code, answer) = world.liftlock(&["rollback", "--accept-loss-of-new-work", "--yes"]);
    assert_eq!(answer["state"], "rolled_back", "{code} {answer:#}");
    world.stands("3.8.0");
    assert_eq!((major(&world), contents(&world)), (old, before.clone()));
    assert!(!world.app.join("docker-compose.override.yml").exists(), "it is as it was");
    let (code, answer) = world.liftlock(&["move-data", "--to", "3.9.0"]);
    assert_eq!((code, &answer["error"]["class"]), (3, &"volume_taken".into()), "{answer:#}");
    world.engine.docker(&["volume", "rm", "filaops_pgdata_18"]);

    let (code, moved) = world.liftlock(&["move-data", "--to", "3.9.0"]);
    assert_eq!((code, &moved["state"]), (0, &"complete".into()), "{moved:#}");
    assert_eq!(world.upgrade("3.9.0", &[]), ("complete".to_owned(), String::new()));
    world.stands("3.9.0");
    assert_eq!(major(&world), "18");
    assert_eq!(world.sql("SELECT count(*) FROM products WHERE from_1 = 'new'"), "500");
    // Also with the new version checked out, and without the old volume.
    git(&world.app, &["checkout", "--quiet", "v3.9.0"]);
    world.engine.docker(&["volume", "rm", "filaops_pgdata"]);
    everything_anew(&world, "3.9.0");
    assert_eq!(world.sql("SELECT count(*) FROM products WHERE from_1 = 'new'"), "500");
    assert_eq!(volumes(&world), ["filaops_pgdata_18"]);
}

#[test]
fn a_worker_that_is_killed_while_a_database_is_moved_loses_nothing() {
    let Some(world) = world() else { return };
    let before = contents(&world);
    let steps = ["prepare_server", "move_database", "switch_database", "compare:database"];
    let moments = ["after_intent", "mid_effect", "after_effect"];
    let points = steps.iter().flat_map(|step| moments.iter().map(move |it| format!("forward/{step}/{it}")));
    // Counting has no middle.
    let points = points.filter(|it| it != "forward/compare:database/mid_effect").collect();
    for point in sampled(points, 2) {
        println!("{point}");
        let _ = fs::remove_file(world.dir.join("crash.log"));
        let state = moved_in_spite_of(&world, &[point.as_str()]);
        assert_eq!(state, "complete", "{point}");
        world.stands("3.8.0");
        assert_eq!((major(&world).as_str(), contents(&world)), ("18", before.clone()), "{point}");
        assert_eq!(volumes(&world), ["filaops_pgdata", "filaops_pgdata_18"], "{point}");
        let (code, answer) = world.liftlock(&["rollback", "--accept-loss-of-new-work", "--yes"]);
        assert_eq!(answer["state"], "rolled_back", "{code} {answer:#}");
        assert_eq!(contents(&world), before, "{point}");
        world.engine.docker(&["volume", "rm", "filaops_pgdata_18"]);
    }
    // A step that is interrupted too often is taken back, and the way back is interrupted too.
    let forward = moments.map(|it| format!("forward/switch_database/{it}"));
    let back = steps[1..3].iter().flat_map(|step| moments.iter().map(move |it| format!("back/{step}/{it}")));
    let back: Vec<String> = sampled(back.collect(), 2);
    let points: Vec<&str> = forward.iter().chain(&back).map(String::as_str).collect();
    let _ = fs::remove_file(world.dir.join("crash.log"));
    assert_eq!(moved_in_spite_of(&world, &points), "rolled_back");
    world.is_whole("3.8.0");
    assert_eq!(contents(&world), before);
}

/// The engine dies under a worker that goes on, or with it: what was in the database is in it, whatever this ends as, and the
/// volume that it was in is whole.
#[test]
fn an_engine_that_is_killed_while_a_database_is_moved_leaves_the_old_volume_whole_and_the_end_is_told() {
    let Some(world) = world() else { return };
    let (old, before) = (major(&world), contents(&world));
    let points = ["move_database/mid_effect", "move_database/after_effect", "switch_database/mid_effect"];
    let points = points.iter().flat_map(|it| [(*it, false), (*it, true)]).collect();
    for (point, dies_too) in sampled(points, 2) {
        println!("{point}, and the worker {}", if dies_too { "too" } else { "goes on" });
        let _ = fs::remove_file(world.dir.join("crash.log"));
        let worker = world.frozen_at(&format!("forward/{point}"), &["move-data", "--to", "3.9.0"]);
        world.engine.kill();
        if dies_too {
            signal(worker, Signal::KILL);
            wait_for("the worker is gone", PATIENCE, || (!lives(worker)).then_some(()));
        }
        world.engine.start_again();
        // Its compose file does not have the database started with the engine, so its owner does it.
        world.engine.docker(&["start", "filaops-db"]);
        signal(worker, Signal::CONT);
        let (state, status) = end_of_the_move(&world, "");
        println!("{state} {}", status["last"]["error"]["class"]);
        match state.as_str() {
            "complete" => {
                assert_eq!((major(&world).as_str(), contents(&world)), ("18", before.clone()), "{status:#}");
                let (code, answer) = world.liftlock(&["rollback", "--accept-loss-of-new-work", "--yes"]);
                assert_eq!(answer["state"], "rolled_back", "{code} {answer:#}");
            }
            "needs_attention" => {
                let error = &status["last"]["error"];
                assert!(!error["remedy"].as_str().unwrap_or_default().is_empty(), "{status:#}");
                let (code, answer) = world.liftlock(&["rollback", "--yes"]);
                assert_eq!(answer["state"], "rolled_back", "{code} {answer:#}");
            }
            _ => {}
        }
        world.stands("3.8.0");
        assert_eq!((major(&world), contents(&world)), (old.clone(), before.clone()), "the old volume is whole");
        if volumes(&world).len() == 2 {
            world.engine.docker(&["volume", "rm", "filaops_pgdata_18"]);
        }
        world.is_whole("3.8.0");
    }
}

/// What a move ends as, with a worker that is killed at each of these points.
fn moved_in_spite_of(world: &Filaops, points: &[&str]) -> String {
    let all = points.join(",");
    world.liftlock_killed_at(&all, &["move-data", "--to", "3.9.0", "--detach"]);
    let (state, status) = end_of_the_move(world, &all);
    let log = fs::read_to_string(world.dir.join("crash.log")).unwrap();
    for point in points {
        assert!(log.lines().any(|it| it == format!("died {point}")), "not at {point}: {log}\n{status:#}");
    }
    state
}

/// Waits for its end, and takes it up where its worker is gone.
fn end_of_the_move(world: &Filaops, points: &str) -> (String, Value) {
    let status = || {
        let (_, status) = world.liftlock(&["status"]);
        let state = status["state"].as_str().or(status["last"]["state"].as_str()).unwrap_or_default().to_owned();
        ["complete", "rolled_back", "failed", "needs_attention"].contains(&state.as_str()).then_some((state, status))
    };
    wait_for("the move ends", PATIENCE * 4, || {
        world.liftlock_killed_at(points, &["resume", "--all"]);
        status()
    })
}
