//! The verbs of every store, on a real database.

use std::sync::Arc;

use liftlock_engine::model::profile::Endpoint;
use liftlock_engine::process::{Silent, SystemRunner};
use liftlock_engine::stores::postgres::PostgresStore;
use liftlock_engine::stores::{AsideState, DataStore, Grade, Place};

use crate::cluster::{self, Cluster, PASSWORD, SUPERUSER};
use crate::postgres_dump::open;
use crate::postgres_support::{admin, client_on, private_dir, run_all, shop};

pub(crate) fn store(database: &str, user: &str, admin: bool) -> PostgresStore {
    store_on(cluster::shared(), database, user, admin)
}

pub(crate) fn store_on(cluster: &Cluster, database: &str, user: &str, admin: bool) -> PostgresStore {
    store_as("main", cluster, database, user, admin)
}

/// Another database of the same application, without an administrator.
pub(crate) fn named_store(name: &str, database: &str, user: &str) -> PostgresStore {
    store_as(name, cluster::shared(), database, user, false)
}

fn store_as(name: &str, cluster: &Cluster, database: &str, user: &str, admin: bool) -> PostgresStore {
    let endpoint = |user: &str, password: &str| Endpoint {
        host: "127.0.0.1".into(),
        port: cluster.port,
        database: database.into(),
        user: user.into(),
        password: Some(password.into()),
        parameters: Vec::new(),
    };
    let admin = admin.then(|| endpoint(SUPERUSER, PASSWORD));
    PostgresStore::new(
        name,
        endpoint(user, "pw"),
        admin,
        "liftlock/store/1",
        &private_dir(),
        Arc::new(SystemRunner::new()),
    )
}

fn database_of(place: &Place) -> &str {
    match place {
        Place::Postgres { database, .. } => database,
        Place::Path(_) => panic!("a database has no path"),
    }
}

#[test]
fn a_database_goes_the_whole_way_forward_and_back() {
    let (name, owner) = shop(&admin());
    let store = store(&name, &owner, false);
    assert!(store.obstacles(&Silent).unwrap().is_empty());
    let before = store.counts(&Silent).unwrap();
    let home = tempfile::Builder::new().prefix("liftlock-scratch-").tempdir().unwrap();
    open(home.path());
    let dumped = store.dump(home.path(), &Silent).unwrap();
    assert_eq!(dumped.counts, before);
    let scratch = home.path().join("scratch");
    std::fs::create_dir(&scratch).unwrap();
    open(&scratch);
    assert_eq!(store.prove(&dumped, home.path(), &scratch, &Silent).unwrap().grade, Grade::Proven);
    let sandbox = store.sandbox(&dumped, home.path(), &scratch, &Silent).unwrap();
    assert_eq!(sandbox.counts(&Silent).unwrap(), before);
    assert_ne!(database_of(&sandbox.empty_place().unwrap().unwrap()), name);
    drop(sandbox);
    store.sweep(&scratch, &Silent).unwrap();

    // The application was stopped but left a session behind.
    let client = client_on(cluster::shared(), &owner, "pw").unwrap();
    let left = client.connect(&name).unwrap();
    let aside = store.plan_aside("77").unwrap();
    assert_eq!(store.observe(&aside).unwrap(), AsideState::NotStarted);
    // It calls itself by a label of another upgrade here, as an application would by its own name.
    store.copy_next(&aside, &Silent).unwrap();
    drop(left);
    assert_eq!(store.observe(&aside).unwrap(), AsideState::Copied);
    let next = store.next_place(&aside).unwrap();
    assert_ne!(database_of(&next), name);
    client.connect(database_of(&next)).unwrap().run("DELETE FROM public.\"Order Lines\"").unwrap();
    assert_eq!(store.next_counts(&aside, &Silent).unwrap()["public.Order Lines"], 0);
    store.swap(&aside).unwrap();
    assert_eq!(store.observe(&aside).unwrap(), AsideState::Swapped);
    assert_eq!(store.counts(&Silent).unwrap()["public.Order Lines"], 0);
    assert_eq!(database_of(&store.next_place(&aside).unwrap()), name);
    store.put_back(&aside).unwrap();
    assert_eq!(store.observe(&aside).unwrap(), AsideState::PutBack);
    assert_eq!(store.counts(&Silent).unwrap(), before);
}

#[test]
fn an_administrator_copies_what_the_application_may_not() {
    let admin = admin();
    let (name, owner) = shop(&admin);
    run_all(&mut admin.connect("postgres").unwrap(), &[&format!("ALTER ROLE {owner} NOCREATEDB")]);
    assert_eq!(store(&name, &owner, false).obstacles(&Silent).unwrap().len(), 1);
    let store = store(&name, &owner, true);
    assert!(store.obstacles(&Silent).unwrap().is_empty());
    let aside = store.plan_aside("78").unwrap();
    store.copy_next(&aside, &Silent).unwrap();
    store.swap(&aside).unwrap();
    assert_eq!(store.observe(&aside).unwrap(), AsideState::Swapped);
    assert_eq!(store.counts(&Silent).unwrap()["public.item"], 500);
}

#[test]
fn a_person_with_psql_is_never_thrown_out_and_a_rollback_does_not_wait_for_one() {
    let admin = admin();
    let (name, owner) = shop(&admin);
    let store = store(&name, &owner, false);
    let client = client_on(cluster::shared(), &owner, "pw").unwrap();
    let mut person = client.connect(&name).unwrap();
    person.run("SET application_name = 'psql'").unwrap();
    assert_eq!(store.obstacles(&Silent).unwrap().len(), 1);
    let aside = store.plan_aside("79").unwrap();
    assert_eq!(store.copy_next(&aside, &Silent).unwrap_err().class, "foreign_sessions");
    person.run("SELECT 1").unwrap();
    drop(person);
    store.copy_next(&aside, &Silent).unwrap();
    store.swap(&aside).unwrap();
    let mut person = client.connect(&name).unwrap();
    person.run("SET application_name = 'psql'").unwrap();
    store.put_back(&aside).unwrap();
    assert_eq!(person.run("SELECT 1").unwrap_err().class, "connection_lost");
}
