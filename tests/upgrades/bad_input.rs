//! The paragraph “Bad input” of the main job, item by item, on the real binary: each is answered with a message, a remedy
//! and the right exit code, and nothing is touched. What has its test elsewhere is listed with it.
//!
//! | item | test |
//! |---|---|
//! | profile wrong in ten ways | `cli change::a_profile_is_told_all_its_mistakes_with_their_places` |
//! | folder missing | `cli change::an_application_that_is_not_there_is_not_added` |
//! | folder not writable | here |
//! | repository without releases, only drafts, tags that are no versions, moved | here, and `releases listing` |
//! | release server down, slow, limiting, lying | here, and `releases listing` |
//! | asset truncated, wrong digest, hostile archive | here, and `releases fetching`, `releases archives` |
//! | database down, wrong password, no CREATEDB | here |
//! | older tools than the server | `engine tools::too_old_and_missing_are_told_apart` (no older tools are at hand) |
//! | no room for a restored copy anywhere; disk too small for each of the things it must hold | here, `full` while it runs, `engine space` for the sums |
//! | prepared transaction, replication slot, foreign session | here |
//! | port taken | here for the private one, `drivers port` for who has it |
//! | dirty folder | here |
//! | unknown installation | `cli change::what_is_not_known_is_wrong_usage_for_every_command` |
//! | upgrade to the same version, of an unhealthy installation | here |
//! | upgrade to an older version | `kept` |

use std::fs;
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::support::{Case, World};

/// What is asked, and what must come of it.
struct Bad {
    item: &'static str,
    to: &'static str,
    code: i32,
    class: &'static str,
}

const fn bad(item: &'static str, class: &'static str, code: i32) -> Bad {
    Bad { item, to: "1.1.0", code, class }
}

/// Asks for the update and looks at the answer; what lies there must be as it was.
fn refused(case: &Case<'_>, bad: &Bad, wrong: &mut Vec<String>) {
    let databases = "SELECT string_agg(datname, ' ' ORDER BY datname) FROM pg_database";
    let before = case.world.try_sql("postgres", databases);
    let current = case.world.current();
    let (code, answer) = case.answer(&["upgrade", case.name.as_str(), "--yes", "--to", bad.to]);
    let error = &answer["error"];
    let text = |key: &str| error[key].as_str().unwrap_or_default();
    if (code, text("class")) != (bad.code, bad.class) {
        wrong.push(format!("{}: {code} {} instead of {} {}: {error}", bad.item, text("class"), bad.code, bad.class));
    }
    if text("message").is_empty() || text("remedy").is_empty() {
        wrong.push(format!("{}: no message or no remedy: {error}", bad.item));
    }
    if answer["away_seconds"] != Value::Null || case.world.current() != current {
        wrong.push(format!("{}: it was away: {answer}", bad.item));
    }
    if case.world.try_sql("postgres", databases) != before {
        wrong.push(format!("{}: there are other databases than before", bad.item));
    }
    eprintln!("{}: {} → {}", bad.item, text("message"), text("remedy"));
}

fn settle(world: &World, wrong: &[String]) {
    assert_eq!(world.version().as_deref(), Some("1.0.0"));
    assert_eq!(world.demo(&["hash"])["content"], world.before["content"], "the data is as it was");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_release_server_that_is_not_what_it_should_be_touches_nothing() {
    let world = World::with(&["1.1.0"]);
    let case = world.case();
    let mut wrong = Vec::new();
    for (faults, bad) in [
        (&["--no-releases"][..], bad("no releases", "no_releases", 3)),
        (&["--drafts-only"], bad("only drafts", "only_drafts", 3)),
        (&["--odd-tags"], bad("tags that are no versions", "no_versions", 3)),
        (&["--rate-limit", "429", "--retry-after", "3600"], bad("limiting", "rate_limited", 3)),
        (&["--status", "500"], bad("server in trouble", "server_error", 3)),
        (&["--truncate"], bad("asset truncated", "connection_cut", 1)),
        (&["--wrong-checksum"], bad("wrong digest", "asset_digest", 1)),
        (&["--corrupt-asset"], bad("asset spoilt", "asset_digest", 1)),
        (&["--hostile-archive", "climb"], bad("hostile archive", "archive_hostile", 3)),
    ] {
        world.demo(&["fault", "--clear"]);
        world.demo(&[&["fault"], faults].concat());
        // A home of its own: what another one has fetched already would be gone on with.
        refused(&world.case(), &bad, &mut wrong);
    }
    world.demo(&["fault", "--clear"]);
    let climbed = crate::support::files_below(&world.dir).into_iter().find(|it| it.ends_with("liftlock-was-here"));
    assert_eq!(climbed, None, "nothing climbed out of the archive");
    for bad in [
        Bad { to: "1.0.0", ..bad("the same version", "same_version", 3) },
        Bad { to: "0.9.0", ..bad("an unknown version", "unknown_release", 3) },
    ] {
        refused(&case, &bad, &mut wrong);
    }
    // Slow is not down, and a repository that has moved is found where it is.
    world.demo(&["fault", "--slow", "700"]);
    let old = world.case_with(|it| {
        let line = it.lines().find(|it| it.starts_with("repository = ")).unwrap().to_owned();
        it.replace(&line, "repository = \"old-street/corner-shop\"")
    });
    let (code, plan) = old.answer(&["plan", "--to", "1.1.0"]);
    assert_eq!((code, &plan["possible"]), (0, &true.into()), "{plan:#}");
    world.demo(&["fault", "--clear"]);
    // Nobody listens there.
    let dead = world.case_with(|it| {
        let line = it.lines().find(|it| it.starts_with("api = ")).unwrap().to_owned();
        it.replace(&line, "api = \"http://127.0.0.1:9\"")
    });
    refused(&dead, &bad("server down", "connection_refused", 3), &mut wrong);
    settle(&world, &wrong);
}

#[test]
fn an_installation_that_is_not_ready_is_not_touched() {
    let world = World::with(&["1.1.0"]);
    let case = world.case();
    let mut wrong = Vec::new();
    let env = world.shop.join(".env");
    let settings = fs::read_to_string(&env).unwrap();

    world.sql("postgres", "ALTER ROLE corner_shop NOCREATEDB");
    refused(&case, &bad("no CREATEDB", "insufficient_rights", 3), &mut wrong);
    world.sql("postgres", "ALTER ROLE corner_shop CREATEDB");

    world.sql("corner_shop", "BEGIN;\nCREATE TABLE odd (n int);\nPREPARE TRANSACTION 'left_behind'");
    refused(&case, &bad("prepared transaction", "prepared_transaction", 3), &mut wrong);
    world.sql("corner_shop", "ROLLBACK PREPARED 'left_behind'");

    world.sql("corner_shop", "SELECT pg_create_logical_replication_slot('a_slot', 'pgoutput')");
    refused(&case, &bad("replication slot", "replication_slot", 3), &mut wrong);
    world.sql("corner_shop", "SELECT pg_drop_replication_slot('a_slot')");

    let mut stranger = {
        let url = fs::read_to_string(world.dir.join("admin.url")).unwrap();
        let base = url.trim().rsplit_once('/').unwrap().0.replace(&format!(":{}@", world.secrets[0]), "@");
        Command::new("psql")
            .args(["-X", "-q", &format!("--dbname={base}/corner_shop"), "-c", "SELECT pg_sleep(600)"])
            .env("PGPASSWORD", &world.secrets[0])
            .env("PGAPPNAME", "a report")
            .spawn()
            .unwrap()
    };
    crate::support::wait_for("the stranger is in", std::time::Duration::from_secs(30), || {
        let there = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'a report' AND state = 'active'";
        (world.sql("postgres", there) == "1").then_some(())
    });
    refused(&case, &bad("foreign session", "foreign_sessions", 3), &mut wrong);
    stranger.kill().unwrap();
    stranger.wait().unwrap();
    world.sql("postgres", "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'a report'");

    fs::write(&env, settings.replace(&world.secrets[1], "not-the-password")).unwrap();
    refused(&case, &bad("wrong password", "unhealthy", 3), &mut wrong);
    let down = settings.replace(&format!(":{}/", world.postgres_port), ":9/");
    fs::write(&env, &down).unwrap();
    refused(&case, &bad("database down", "unhealthy", 3), &mut wrong);
    fs::write(&env, &settings).unwrap();

    // A line that means nothing stops nothing, and is told.
    fs::write(&env, format!("{settings}half a line\n")).unwrap();
    let (_, plan) = case.answer(&["plan", "--to", "1.1.0"]);
    let finding = plan["findings"].as_array().unwrap().iter().find(|it| it["class"] == "bad_setting_line").cloned();
    assert!(finding.is_some_and(|it| it["message"].as_str().unwrap().contains(".env")), "{plan:#}");
    fs::write(&env, &settings).unwrap();

    let changed = world.shop.join("releases/1.0.0/release.json");
    let first = fs::read(&changed).unwrap();
    fs::write(&changed, [&first[..], b"\n"].concat()).unwrap();
    refused(&case, &bad("dirty folder", "dirty_folder", 3), &mut wrong);
    fs::write(&changed, first).unwrap();

    world.end_shop();
    refused(&case, &bad("unhealthy", "unhealthy", 3), &mut wrong);
    world.demo(&["up"]);
    settle(&world, &wrong);
}

/// A megabyte at this place, with what lay there; none where this user may not mount one, which is said.
fn small_disk(at: &Path) -> Option<SmallDisk> {
    fs::create_dir_all(at).unwrap();
    let kept = at.with_extension("kept");
    let copied = |from: &Path, to: &Path| {
        let from = from.join(".");
        assert!(Command::new("cp").args(["-a".as_ref(), from.as_os_str(), to.as_os_str()]).status().unwrap().success());
    };
    fs::create_dir(&kept).unwrap();
    copied(at, &kept);
    let bytes = crate::support::files_below(&kept).iter().map(|it| it.metadata().map_or(0, |it| it.len())).sum::<u64>();
    let size = format!("size={}k,mode=0755", bytes / 1000 + 1024);
    let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(at).status();
    if !mounted.is_ok_and(|it| it.success()) {
        eprintln!("not run: this user may not mount a small disk");
        return None;
    }
    copied(&kept, at);
    Some(SmallDisk(at.to_owned()))
}

struct SmallDisk(PathBuf);

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

#[test]
fn a_disk_too_small_for_any_of_the_things_it_must_hold_is_found_before_the_start() {
    let world = World::with(&["1.1.0"]);
    let case = world.case();
    let scratch = world.dir.join("small");
    case.engine.choose("scratch_dir", Some(scratch.to_str().unwrap())).unwrap();
    let mut wrong = Vec::new();
    let places = [
        ("the copy on which the backup is proven", scratch),
        ("the backup", case.home.backups(&case.name).unwrap()),
        ("the release", case.home.downloads()),
        ("the new release, unpacked", world.shop.clone()),
    ];
    for (what, place) in places {
        let Some(disk) = small_disk(&place) else { return };
        refused(&case, &bad(what, "no_room", 3), &mut wrong);
        let (code, plan) = case.answer(&["plan", "--to", "1.1.0"]);
        let stop = plan["findings"].as_array().unwrap().iter().find(|it| it["class"] == "no_room").cloned();
        assert_eq!(code, 3, "{what}: {plan:#}");
        let said = stop.map_or_else(String::new, |it| it["message"].to_string());
        assert!(said.contains(what) && said.contains(place.to_str().unwrap()), "{what}: {said}");
        if what.starts_with("the copy") {
            let (code, plan) = case.answer(&["plan", "--to", "1.1.0", "--in-place"]);
            assert_eq!(code, 3, "nor can it be changed in place: {plan:#}");
        }
        drop(disk);
    }
    settle(&world, &wrong);
}

#[test]
fn a_folder_that_may_not_be_written_to_is_not_added() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("not run: only root can become somebody else");
        return;
    }
    let world = World::with(&["1.1.0"]);
    let program = world.dir.join("liftlock");
    fs::copy(env!("CARGO_BIN_EXE_liftlock"), &program).unwrap();
    let home = world.dir.join("home-of-nobody");
    fs::create_dir(&home).unwrap();
    std::os::unix::fs::chown(&home, Some(65534), Some(65534)).unwrap();
    let output = Command::new(&program)
        .args(["add", world.dir.join("corner-shop.toml").to_str().unwrap(), world.shop.to_str().unwrap(), "--json"])
        .env_clear()
        .env("LIFTLOCK_HOME", home.join("liftlock"))
        .uid(65534)
        .gid(65534)
        .output()
        .unwrap();
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((output.status.code(), &answer["error"]["class"]), (Some(3), &"folder_not_writable".into()), "{answer}");
}

#[test]
fn a_private_port_that_somebody_takes_meanwhile_is_chosen_anew() {
    let world = World::with(&["1.1.0"]);
    let case = world.case();
    let id = case.ask("1.1.0");
    // The port is on record, and nothing listens there yet.
    let mut worker = case.worker(id, &["forward/start_behind_gate/after_intent".to_owned()]);
    case.end_of(&mut worker);
    let runs = liftlock_engine::state::journal::runs_of(&case.db(), id).unwrap();
    let port = runs.last().unwrap().intent["port"].as_u64().unwrap();
    let _taken = TcpListener::bind(("127.0.0.1", u16::try_from(port).unwrap())).unwrap();
    let ended = case.work(id, &[]);
    crate::support::judge::judge(&case, &ended, &crate::support::Expected::complete("1.1.0"));
}
