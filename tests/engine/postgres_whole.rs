//! The promise itself, on a database like that of an ERP: backed up, proven, everything dropped, restored, identical.
//! Small here; a gigabyte with `LIFTLOCK_LONG=1`.

use liftlock_engine::backups;
use liftlock_engine::clock::SystemClock;
use liftlock_engine::process::Silent;
use liftlock_engine::seal::Keys;
use liftlock_engine::stores::{AsideState, DataStore, Grade};

use crate::cluster;
use crate::erp;
use crate::postgres_dump::open;
use crate::postgres_kit::{backup_of, rescue, said};
use crate::postgres_store::store;
use crate::postgres_support::{admin, fingerprint, run_all};

#[test]
fn an_erp_is_backed_up_proven_dropped_and_restored_to_the_last_byte() {
    let lines = if std::env::var("LIFTLOCK_LONG").is_ok_and(|it| it == "1") { erp::GIGABYTE } else { 3_000 };
    let admin = admin();
    let has_all = "SELECT 1 AS one FROM pg_available_extensions WHERE name = 'hstore'";
    let has_all = admin.connect("postgres").unwrap().finds(has_all).unwrap();
    let built = if has_all { &erp::WHOLE } else { &erp::IN_A_WHEEL };
    let name = cluster::fresh("erp");
    let owner = format!("{name}_owner");
    let create = format!("CREATE DATABASE {name} OWNER {owner} TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C.UTF-8'");
    run_all(
        &mut admin.connect("postgres").unwrap(),
        &[&format!("CREATE ROLE {owner} LOGIN CREATEDB PASSWORD 'pw'"), &create],
    );
    let mut inside = admin.connect(&name).unwrap();
    run_all(&mut inside, built.by_admin);
    run_all(
        &mut inside,
        &[&format!("ALTER SCHEMA public OWNER TO {owner}"), &format!("SET SESSION AUTHORIZATION {owner}")],
    );
    for statement in erp::statements(lines, built) {
        let hour = std::time::Duration::from_secs(3600);
        inside
            .run_watched(&statement, hour, &mut || Ok(()))
            .unwrap_or_else(|error| panic!("{statement}: {error} {:?}", error.details));
    }
    drop(inside);
    let before = fingerprint(cluster::shared(), &name);
    assert!(before.iter().any(|it| it.starts_with("\"Sales\".\"Order Line\"") && it.contains(&format!(" {lines}|"))));

    let since = std::time::Instant::now();
    let tell = |what: &str| eprintln!("{:7.1} s {what}", since.elapsed().as_secs_f64());
    let home = tempfile::Builder::new().prefix("liftlock-scratch-").tempdir().unwrap();
    open(home.path());
    let store = store(&name, &owner, true);
    let backup = backup_of(&home.path().join("backups"), &[&store]);
    let sizes = (store.size(&Silent).unwrap() >> 20, backup.bytes() >> 20);
    tell(&format!("backed up: {} MiB on disk, {} MiB compressed", sizes.0, sizes.1));
    let scratch = home.path().join("scratch");
    std::fs::create_dir(&scratch).unwrap();
    open(&scratch);
    let trust = backups::prove(&backup, &[&store], &scratch, &Keys::default(), &SystemClock, &Silent)
        .unwrap_or_else(|error| panic!("{error} {:?}", error.details));
    assert_eq!(trust.grade, Grade::Proven);
    tell("proven");

    run_all(&mut admin.connect("postgres").unwrap(), &[&format!("DROP DATABASE {name}"), &create]);
    assert_ne!(fingerprint(cluster::shared(), &name), before, "it is really gone");
    tell("dropped, and its absence seen");
    let aside = store.plan_aside("99").unwrap();
    let dumped = backup.dumped("main").unwrap();
    store
        .restore_next(&aside, dumped, &backup.path, &Silent)
        .unwrap_or_else(|error| panic!("{error} {:?}", error.details));
    store.swap(&aside).unwrap();
    assert_eq!(store.observe(&aside).unwrap(), AsideState::Swapped);
    tell("restored and compared");
    let after = fingerprint(cluster::shared(), &name);
    for (was, is) in before.iter().zip(&after) {
        assert_eq!(was, is);
    }
    assert_eq!(before.len(), after.len());

    // And without us, on a server that never saw it.
    let fresh = cluster::Cluster::start(&[]);
    let done = rescue(&backup.path, &fresh, &home.path().join("rescued"));
    assert!(done.status.success(), "{}", said(&done));
    tell("and restored by the rescue kit");
    let rescued = fingerprint(&fresh, &format!("{name}_restored"));
    for (was, is) in before.iter().zip(&rescued) {
        assert_eq!(was, is);
    }
    assert_eq!(before.len(), rescued.len());
}
