//! The connection to the database is cut or goes silent: in a dump, in a migration, and around a commit. What became
//! of the work is asked, not assumed.

use std::fs;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::Ordering;

use liftlock_engine::state::journal::runs_of;
use rustix::process::Signal;

use crate::proxy::Proxy;
use crate::support::{Case, Exit, Expected, PATIENCE, World, judge, limit, signal, wait_for};

/// Ends sessions on the server and says how many.
fn end_sessions(world: &World, of: &str) -> usize {
    let ended = world.sql(
        "postgres",
        &format!(
            "WITH it AS MATERIALIZED (SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' \
             AND pid <> pg_backend_pid() AND {of}) SELECT pid FROM it WHERE pg_terminate_backend(pid, 30000)"
        ),
    );
    ended.lines().count()
}

/// A table that nobody else can read until this is dropped.
struct Locked(Child);

impl Locked {
    fn table(world: &World, table: &str) -> Self {
        let url = fs::read_to_string(world.dir.join("admin.url")).unwrap();
        let password = &world.secrets[0];
        let base = url.trim().replace(&format!(":{password}@"), "@").rsplit_once('/').unwrap().0.to_owned();
        let child = Command::new("psql")
            .args(["--no-psqlrc", "--quiet"])
            .arg(format!("--dbname={base}/corner_shop"))
            .arg(format!("--command=BEGIN; LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(600)"))
            .env("PGPASSWORD", password)
            .env("PGAPPNAME", "a test that locks")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        wait_for("the table is locked", PATIENCE, || {
            let locked =
                "SELECT 1 FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND granted AND locktype = 'relation'";
            (!world.sql("corner_shop", locked).is_empty()).then_some(())
        });
        Self(child)
    }
}

impl Drop for Locked {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_dump_whose_connection_is_cut_is_thrown_away_and_taken_again() {
    let world = World::with(&["1.1.0"]);
    let case = world.case();
    let id = case.ask("1.1.0");
    let mut worker = case.frozen(id, "forward/take_backup/after_intent");
    let locked = Locked::table(&world, "public.orders");
    signal(worker.id(), Signal::CONT);
    // It cannot be over: it waits for the table.
    wait_for("the dump was cut", PATIENCE, || {
        let waiting = "application_name LIKE 'liftlock/%' AND wait_event_type = 'Lock' AND query LIKE 'LOCK TABLE%'";
        (end_sessions(&world, waiting) > 0).then_some(())
    });
    end_sessions(&world, "application_name = 'a test that locks'");
    drop(locked);
    assert_eq!(case.end_of(&mut worker), Exit::Code(0), "{}", case.story(id));
    let runs = runs_of(&case.db(), id).unwrap();
    let tries = runs.iter().filter(|it| it.key.step == "take_backup").count();
    assert_eq!(tries, 2, "{}", case.story(id));
    judge::judge(&case, &case.ended(id), &Expected::complete("1.1.0"));
}

/// A backup that a person asked for: nobody repeats it, so it says what happened.
#[test]
fn a_backup_whose_connection_is_cut_says_so_and_leaves_nothing_and_the_next_one_is_whole() {
    let world = World::with(&["1.1.0"]);
    let case = world.case();
    let (code, first) = case.answer(&["backup", "create"]);
    assert_eq!((code, &first["grade"]), (0, &"proven".into()), "{first:#}");
    let locked = Locked::table(&world, "public.orders");
    let mut create = case.liftlock(&["backup", "create", "--json"]);
    let create = create.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    wait_for("the dump was cut", PATIENCE, || {
        let waiting = "application_name LIKE 'liftlock%' AND wait_event_type = 'Lock' AND query LIKE 'LOCK TABLE%'";
        (end_sessions(&world, waiting) > 0).then_some(())
    });
    end_sessions(&world, "application_name = 'a test that locks'");
    drop(locked);
    let ended = create.wait_with_output().unwrap();
    let answer: serde_json::Value = serde_json::from_slice(&ended.stdout).unwrap();
    assert_eq!((ended.status.code(), &answer["error"]["class"]), (Some(1), &"connection_lost".into()), "{answer:#}");
    assert!(answer["error"]["remedy"].as_str().unwrap().contains("try again"), "{answer:#}");
    let root = case.home.backups(&case.name).unwrap();
    let names = fs::read_dir(&root).unwrap().map(|it| it.unwrap().file_name().into_string().unwrap());
    assert_eq!(names.collect::<Vec<_>>(), [first["id"].as_str().unwrap()], "half a backup is none");
    let (code, verified) = case.answer(&["backup", "verify", first["id"].as_str().unwrap()]);
    assert_eq!((code, &verified["grade"]), (0, &"proven".into()), "{verified:#}");
    let (code, next) = case.answer(&["backup", "create"]);
    assert_eq!((code, &next["grade"]), (0, &"proven".into()), "{next:#}");
}

/// A migration that waits in the real database for ever, and the sessions that it has there.
fn in_migration(case: &Case<'_>) -> (liftlock_engine::model::ids::UpgradeId, Child) {
    let id = case.ask("1.6.0");
    let worker = case.worker(id, &[]);
    case.until(id, "the migration is on the server", PATIENCE, |_| {
        let asleep =
            "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname LIKE 'corner_shop__next_%'";
        !case.world.sql("postgres", asleep).is_empty()
    });
    (id, worker)
}

#[test]
fn a_migration_whose_connection_is_cut_is_brought_back() {
    let world = World::with(&["1.6.0"]);
    let case = world.case();
    world.demo(&["fault", "--spare-rehearsal"]);
    let (id, mut worker) = in_migration(&case);
    assert_eq!(end_sessions(&world, "wait_event = 'PgSleep'"), 1);
    assert_eq!(case.end_of(&mut worker), Exit::Code(0), "{}", case.story(id));
    judge::judge(&case, &case.ended(id), &Expected::rolled_back("migration_failed"));
}

/// The server lets go of everybody: the migration, and Liftlock's own sessions with its lease.
#[test]
fn with_every_connection_cut_in_a_migration_the_old_version_comes_back() {
    let world = World::with(&["1.6.0"]);
    let case = world.case();
    world.demo(&["fault", "--spare-rehearsal"]);
    let (id, mut worker) = in_migration(&case);
    assert!(end_sessions(&world, "true") >= 2, "the lease is one of them");
    assert_eq!(case.end_of(&mut worker), Exit::Code(0), "{}", case.story(id));
    judge::judge(&case, &case.ended(id), &Expected::rolled_back("migration_failed"));
}

/// A case that reaches the server only through a proxy; the shop itself goes straight.
fn through(world: &World) -> (Case<'_>, Proxy) {
    let proxy = Proxy::before(world.postgres_port);
    let env = world.shop.join(".env");
    let text = fs::read_to_string(&env).unwrap();
    let url = text.lines().find_map(|it| it.strip_prefix("DATABASE_URL=")).unwrap();
    let other = url.replace(&format!(":{}/", world.postgres_port), &format!(":{}/", proxy.port));
    assert_ne!(url, other);
    fs::write(&env, format!("{text}BEHIND_PROXY_URL={other}\n")).unwrap();
    let case = world.case_with(|it| {
        let direct = "url = { file = \".env\", key = \"DATABASE_URL\" }";
        assert!(it.contains(direct));
        limit(it.replace(direct, "url = { file = \".env\", key = \"BEHIND_PROXY_URL\" }"), "stall_after", "5s")
    });
    (case, proxy)
}

#[test]
fn a_migration_behind_a_network_that_swallows_everything_ends_by_its_deadline() {
    let world = World::with(&["1.6.0"]);
    let (case, proxy) = through(&world);
    world.demo(&["fault", "--spare-rehearsal"]);
    // The server that the shop must not spare is the one behind the proxy.
    let faults = world.shop.join("fault.json");
    let mut told: serde_json::Value = serde_json::from_slice(&fs::read(&faults).unwrap()).unwrap();
    told["live_port"] = proxy.port.into();
    fs::write(&faults, told.to_string()).unwrap();
    let (id, mut worker) = in_migration(&case);
    proxy.faults.swallow.store(true, Ordering::SeqCst);
    assert_eq!(case.end_of(&mut worker), Exit::Code(0), "{}", case.story(id));
    // The server cannot know that the lease's session is no more, until the network tells.
    proxy.faults.swallow.store(false, Ordering::SeqCst);
    wait_for("the server has noticed", PATIENCE, || {
        let left = "SELECT 1 FROM pg_stat_activity WHERE application_name LIKE 'liftlock/%'";
        world.sql("postgres", left).is_empty().then_some(())
    });
    judge::judge(&case, &case.ended(id), &Expected::rolled_back("stalled"));
    assert!(proxy.faults.connections.load(Ordering::SeqCst) > 3, "it went through the proxy");
}

#[test]
fn what_a_commit_has_done_is_asked_when_its_answer_was_cut_off() {
    let world = World::with(&["1.1.0"]);
    for reaches_the_server in [true, false] {
        let (case, proxy) = through(&world);
        let id = case.ask("1.1.0");
        let mut worker = case.frozen(id, "forward/swap:database/after_intent");
        let fault = if reaches_the_server { &proxy.faults.cut_after_commit } else { &proxy.faults.cut_before_commit };
        fault.store(true, Ordering::SeqCst);
        signal(worker.id(), Signal::CONT);
        assert_eq!(case.end_of(&mut worker), Exit::Code(0), "{}", case.story(id));
        assert!(!fault.load(Ordering::SeqCst), "the commit was cut");
        // What was not done is not tried again behind a connection that has just been lost: everything goes back.
        let expected =
            if reaches_the_server { Expected::complete("1.1.0") } else { Expected::rolled_back("connection_lost") };
        judge::judge(&case, &case.ended(id), &expected);
        world.reset();
    }
}
