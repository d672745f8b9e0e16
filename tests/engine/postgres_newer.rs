//! Two majors of PostgreSQL on one computer: the promises hold on the newer one, data goes from the older to the newer, and what
//! cannot be is told with a way out.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use liftlock_engine::backups::{self, Backup, BackupKind, Request};
use liftlock_engine::clock::SystemClock;
use liftlock_engine::process::Silent;
use liftlock_engine::seal::Keys;
use liftlock_engine::stores::postgres::PostgresStore;
use liftlock_engine::stores::{AsideState, DataStore, Grade};

use crate::cluster::{self, Cluster, PASSWORD, SUPERUSER, newer, server_dir};
use crate::erp;
use crate::postgres_dump::open;
use crate::postgres_kit::{backup_of, rescue, said};
use crate::postgres_store::{store, store_on};
use crate::postgres_support::{admin, client_on, contents, run_all, schema, tool};

/// Runs a test of this binary in a process that finds the tools of both majors; `more` is set for it, too.
fn again(name: &str, newer: &Path, more: &[(&str, &Path)]) {
    let mut path = vec![newer.to_owned()];
    path.extend(env::split_paths(&env::var_os("PATH").unwrap()));
    let done = Command::new(env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env("PATH", env::join_paths(path).unwrap())
        .env(BOTH, "1")
        .envs(more.iter().copied())
        .output()
        .unwrap();
    assert!(done.status.success() && said(&done).contains("1 passed"), "{name}: {}", said(&done));
}

/// Set in a process that finds the tools of both majors.
const BOTH: &str = "LIFTLOCK_TEST_BOTH_POSTGRES";

/// The programs of the newer major, in a process that finds both; in any other, such a process is begun and waited for.
fn with_both(name: &str) -> Option<PathBuf> {
    let newer = newer()?;
    if env::var_os(BOTH).is_some() {
        return Some(newer);
    }
    again(&format!("postgres_newer::{name}"), &newer, &[]);
    None
}

#[test]
fn the_promises_hold_on_a_newer_major() {
    let Some(newer) = newer() else { return };
    for name in [
        "postgres_whole::an_erp_is_backed_up_proven_dropped_and_restored_to_the_last_byte",
        "postgres_store::a_database_goes_the_whole_way_forward_and_back",
        "postgres_store::an_administrator_copies_what_the_application_may_not",
        "postgres_aside::a_database_is_set_aside_swapped_and_put_back_by_its_owner",
        "postgres_faults::what_stands_in_the_way_is_found_before_anything_is_touched",
        "postgres_kit::the_roles_of_the_server_are_kept_without_passwords_and_a_server_that_lacks_one_is_told_before_anything_stops",
    ] {
        again(name, &newer, &[("LIFTLOCK_TEST_POSTGRES", &newer)]);
    }
}

/// A server of the newer major with an empty database of this name and owner, as after a move by hand.
fn moved_to(newer: PathBuf, name: &str, owner: &str) -> Cluster {
    let cluster = Cluster::start_of(newer, server_dir("liftlock-tests-newer-"), &[]);
    run_all(
        &mut client_on(&cluster, SUPERUSER, PASSWORD).unwrap().connect("postgres").unwrap(),
        &[
            &format!("CREATE ROLE {owner} LOGIN CREATEDB PASSWORD 'pw'"),
            &format!("CREATE DATABASE {name} OWNER {owner} TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C.UTF-8'"),
        ],
    );
    cluster
}

/// An ERP of what every server has, on the older one; its name and its owner's.
fn erp_on_the_older() -> (String, String) {
    let admin = admin();
    let name = cluster::fresh("erp");
    let owner = format!("{name}_owner");
    let mut session = admin.connect("postgres").unwrap();
    run_all(
        &mut session,
        &[
            &format!("CREATE ROLE {owner} LOGIN CREATEDB PASSWORD 'pw'"),
            &format!("CREATE DATABASE {name} OWNER {owner} TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C.UTF-8'"),
        ],
    );
    let mut inside = admin.connect(&name).unwrap();
    run_all(
        &mut inside,
        &[&format!("ALTER SCHEMA public OWNER TO {owner}"), &format!("SET SESSION AUTHORIZATION {owner}")],
    );
    let all = erp::statements(800, &erp::BARE);
    run_all(&mut inside, &all.iter().map(String::as_str).collect::<Vec<_>>());
    (name, owner)
}

/// Goes back to a backup and looks whether it is the ERP on the older server, by contents and by schema.
fn goes_back_to(backup: &Backup, store: &PostgresStore, newer: &Cluster, name: &str) {
    let dumped = backup.dumped("main").unwrap();
    store.expect_room_for(dumped, &backup.path).unwrap();
    let aside = store.plan_aside("15").unwrap();
    store
        .restore_next(&aside, dumped, &backup.path, &Silent)
        .unwrap_or_else(|error| panic!("{error} {:?}", error.details));
    store.swap(&aside).unwrap();
    assert_eq!(store.observe(&aside).unwrap(), AsideState::Swapped);
    is_the_same(newer, name, name);
}

fn is_the_same(newer: &Cluster, there: &str, name: &str) {
    let older = cluster::shared();
    assert_eq!(contents(newer, there), contents(older, name));
    // One program writes both down: what two of them write differs.
    // A column of a view is written with its table by the older ones.
    let plain =
        |all: Vec<String>| all.into_iter().map(|it| it.replace("\"Order\".", "").replace("\"Order Line\".", ""));
    let schema = |cluster, name| plain(schema(cluster, name, &newer.bin)).collect::<Vec<_>>();
    let (is, was) = (schema(newer, there), schema(older, name));
    for (is, was) in is.iter().zip(&was) {
        assert_eq!(is, was);
    }
    assert_eq!(is.len(), was.len());
}

fn proves(backup: &Backup, store: &PostgresStore, scratch: &Path) {
    let trust = backups::prove(backup, &[store], scratch, &Keys::default(), &SystemClock, &Silent)
        .unwrap_or_else(|error| panic!("{error} {:?}", error.details));
    assert_eq!(trust.grade, Grade::Proven);
}

fn scratch() -> tempfile::TempDir {
    let home = tempfile::Builder::new().prefix("liftlock-scratch-").tempdir().unwrap();
    open(home.path());
    home
}

#[test]
fn a_backup_of_an_older_server_is_gone_back_to_on_a_newer_one() {
    let Some(newer) = with_both("a_backup_of_an_older_server_is_gone_back_to_on_a_newer_one") else { return };
    let (name, owner) = erp_on_the_older();
    let home = tempfile::tempdir().unwrap();
    let backup = backup_of(&home.path().join("backups"), &[&store(&name, &owner, true)]);
    let moved = moved_to(newer, &name, &owner);
    let there = store_on(&moved, &name, &owner, true);
    proves(&backup, &there, scratch().path());
    goes_back_to(&backup, &there, &moved, &name);

    // And without us.
    let done = rescue(&backup.path, &moved, &home.path().join("rescued"));
    assert!(done.status.success(), "{}", said(&done));
    is_the_same(&moved, &format!("{name}_restored"), &name);
}

#[test]
fn files_of_an_older_server_are_brought_into_a_newer_one() {
    let Some(newer) = with_both("files_of_an_older_server_are_brought_into_a_newer_one") else { return };
    let (name, owner) = erp_on_the_older();
    let moved = moved_to(newer, &name, &owner);
    let home = tempfile::tempdir().unwrap();
    for (file, args) in [
        ("by-hand.dump", &["-Fc"][..]),
        ("copy.sql", &[]),
        ("inserts.sql", &["--inserts", "--rows-per-insert=7", "--column-inserts"]),
    ] {
        let path = home.path().join(file);
        let mut dump = tool(cluster::shared(), "pg_dump", &name);
        let out = dump.args(args).arg("--file").arg(&path).output().unwrap();
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        let there = store_on(&moved, &name, &owner, true);
        let scratch = scratch();
        let backup = adopted(&home.path().join(file.replace('.', "-")), &path, &there, scratch.path());
        proves(&backup, &there, scratch.path());
        assert!(backup.manifest.origin.unwrap().server_version.unwrap().starts_with("15"), "{file}");
    }
    let root = home.path().join("by-hand-dump");
    let (backups, _) = backups::list(&root).unwrap();
    goes_back_to(&backups[0], &store_on(&moved, &name, &owner, true), &moved, &name);
}

fn adopted(root: &Path, file: &Path, store: &PostgresStore, scratch: &Path) -> Backup {
    let keys = Keys::default();
    let request = Request {
        root,
        installation: &"shop".parse().unwrap(),
        application: "Corner Shop",
        version: None,
        kind: BackupKind::Manual,
        note: "",
        keys: &keys,
    };
    backups::adopt(&request, &[store], ("main", file, true), scratch, &SystemClock, &Silent)
        .unwrap_or_else(|error| panic!("{}: {error} {:?}", file.display(), error.details))
}

#[test]
fn what_a_newer_server_wrote_is_refused_on_an_older_one_before_anything_is_touched() {
    let name = "what_a_newer_server_wrote_is_refused_on_an_older_one_before_anything_is_touched";
    let Some(newer) = with_both(name) else { return };
    let (name, owner) = erp_on_the_older();
    let before = contents(cluster::shared(), &name);
    let moved = moved_to(newer, &name, &owner);
    let home = tempfile::tempdir().unwrap();
    let backup = backup_of(&home.path().join("backups"), &[&store_on(&moved, &name, &owner, true)]);
    let older = store(&name, &owner, true);
    let refused = older.expect_room_for(backup.dumped("main").unwrap(), &backup.path).unwrap_err();
    assert_eq!(refused.class, "server_older_than_backup", "{refused:?}");
    assert!(refused.message.contains("18") && refused.message.contains("15"), "{refused:?}");
    assert!(refused.remedy.contains("18"), "{refused:?}");
    let scratch = scratch();
    let unproven = backups::prove(&backup, &[&older], scratch.path(), &Keys::default(), &SystemClock, &Silent);
    let unproven = unproven.unwrap_err();
    assert_eq!(unproven.class, "server_older_than_backup", "{unproven:?}");
    // That it cannot be proven here says nothing against it.
    let looked_at = backups::open(&backup.path).unwrap();
    assert!(looked_at.grade_word() == "taken", "{looked_at:?}");

    let file = home.path().join("newer.dump");
    let out = tool(&moved, "pg_dump", &name).args(["-Fc", "--file"]).arg(&file).output().unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let refused = older.look_into(&file, &Silent).unwrap_err();
    assert_eq!(refused.class, "dump_newer", "{refused:?}");
    assert!(refused.remedy.contains("PostgreSQL 18"), "{refused:?}");
    assert_eq!(contents(cluster::shared(), &name), before);
}

/// Nothing but the tools of the older major is to be found.
#[test]
fn tools_older_than_the_server_are_refused_with_what_to_install() {
    let Some(newer) = newer() else { return };
    let moved = moved_to(newer, "shop", "shop_owner");
    let store = store_on(&moved, "shop", "shop_owner", false);
    let refused = store.counts(&Silent).unwrap_err();
    assert_eq!(refused.class, "tools_too_old", "{refused:?}");
    assert!(refused.message.contains("PostgreSQL 18"), "{refused:?}");
    assert!(refused.remedy.contains("postgresql-client-18"), "{refused:?}");
    let home = tempfile::tempdir().unwrap();
    assert_eq!(store.dump(home.path(), &Silent).unwrap_err().class, "tools_too_old");
    assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 0);
}
