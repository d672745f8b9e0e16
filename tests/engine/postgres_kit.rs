//! The rescue kit, rehearsed where there is nothing but PostgreSQL's own tools: a fresh server and an empty environment.

use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;

use liftlock_engine::backups::{self, Backup, BackupKind, Request};
use liftlock_engine::clock::SystemClock;
use liftlock_engine::process::Silent;
use liftlock_engine::seal::{KeyPlace, Keys, To};
use liftlock_engine::stores::DataStore;
use liftlock_engine::stores::files::FilesStore;

use crate::cluster::{self, Cluster, PASSWORD, SUPERUSER};
use crate::postgres_store::store;
use crate::postgres_support::{admin, client_on, fingerprint, run_all, shop};

pub(crate) fn backup_of(root: &Path, stores: &[&dyn DataStore]) -> Backup {
    sealed_backup_of(root, stores, &Keys::default())
}

fn sealed_backup_of(root: &Path, stores: &[&dyn DataStore], keys: &Keys) -> Backup {
    let request = Request {
        root,
        installation: &"shop".parse().unwrap(),
        application: "Corner <Shop>",
        version: Some("1.0.0"),
        kind: BackupKind::Manual,
        note: "",
        keys,
    };
    backups::create(&request, stores, &SystemClock, &Silent).unwrap()
}

#[test]
fn the_rescue_kit_opens_an_encrypted_backup_with_nothing_but_age() {
    if Command::new("age").arg("--version").output().is_err() {
        eprintln!("not run: there is no age on this computer");
        return;
    }
    let admin = admin();
    let (name, owner) = shop(&admin);
    let home = tempfile::tempdir().unwrap();
    let key = home.path().join("key.txt");
    let made = Command::new("age-keygen").arg("--output").arg(&key).output().unwrap();
    assert!(made.status.success(), "{made:?}");
    let public = Command::new("age-keygen").arg("-y").arg(&key).output().unwrap().stdout;
    let to = To::parse(&String::from_utf8(public).unwrap()).unwrap();
    let keys = Keys::new(to, Some(KeyPlace::File(key.clone())));
    let uploads = home.path().join("uploads");
    std::fs::create_dir(&uploads).unwrap();
    std::fs::write(uploads.join("a picture.png"), "picture").unwrap();
    let files = FilesStore::new("uploads", &uploads, false);
    let backup = sealed_backup_of(&home.path().join("backups"), &[&store(&name, &owner, true), &files], &keys);
    let page = std::fs::read_to_string(backup.path.join("RESTORE.html")).unwrap();
    assert!(page.contains("age -d") && page.contains("AGE_KEY"), "{page}");
    let fresh = Cluster::start(&[]);
    let into = home.path().join("rescued");
    let done = rescue_with(&backup.path, &fresh, &into, &[("AGE_KEY", &key)]);
    assert!(done.status.success() && said(&done).contains("Everything is there"), "{}", said(&done));
    assert_eq!(fingerprint(&fresh, &format!("{name}_restored")), fingerprint(cluster::shared(), &name));
    assert_eq!(std::fs::read(into.join("uploads_restored/a picture.png")).unwrap(), b"picture");
    // With another key it says so, and claims nothing.
    let other = home.path().join("other.txt");
    assert!(Command::new("age-keygen").arg("--output").arg(&other).output().unwrap().status.success());
    let fresh = Cluster::start(&[]);
    let refused = rescue_with(&backup.path, &fresh, &home.path().join("rescued2"), &[("AGE_KEY", &other)]);
    assert!(!refused.status.success() && !said(&refused).contains("Everything is there"), "{}", said(&refused));
}

/// Runs the script as somebody who has nothing but the server's tools and the words of a plain system.
pub(crate) fn rescue(backup: &Path, fresh: &Cluster, into: &Path) -> Output {
    rescue_with(backup, fresh, into, &[])
}

fn rescue_with(backup: &Path, fresh: &Cluster, into: &Path, more: &[(&str, &Path)]) -> Output {
    let path = format!("{}:/usr/bin:/bin", cluster::bin().display());
    Command::new("sh")
        .arg(backup.join("restore.sh"))
        .arg(into)
        .env_clear()
        .env("PATH", path)
        .env("PGHOST", "127.0.0.1")
        .env("PGPORT", fresh.port.to_string())
        .env("PGUSER", SUPERUSER)
        .env("PGPASSWORD", PASSWORD)
        .envs(more.iter().copied())
        .current_dir("/")
        .output()
        .unwrap()
}

pub(crate) fn said(output: &Output) -> String {
    format!("{}\n{}{}", output.status, String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn the_rescue_kit_restores_everything_on_a_fresh_server_and_says_when_it_cannot() {
    let admin = admin();
    let (name, owner) = shop(&admin);
    let odd = r#"CREATE TABLE "Odd schema"."it's; $(touch /tmp/liftlock-hostile) `id` \\ ""q""" (x int)"#;
    run_all(
        &mut admin.connect(&name).unwrap(),
        &[
            "CREATE EXTENSION IF NOT EXISTS pg_trgm",
            &format!("SET SESSION AUTHORIZATION {owner}"),
            "CREATE SCHEMA \"Odd schema\"",
            odd,
            &format!("ALTER DATABASE {name} SET work_mem = '7MB'"),
            "SELECT lo_from_bytea(0, 'large')",
        ],
    );
    let home = tempfile::tempdir().unwrap();
    let uploads = home.path().join("uploads");
    std::fs::create_dir(&uploads).unwrap();
    std::fs::write(uploads.join("a picture.png"), "picture").unwrap();
    let files = FilesStore::new("uploads", &uploads, false);
    let database = store(&name, &owner, true);
    let database: Arc<dyn DataStore> = Arc::new(database);
    let backup = backup_of(&home.path().join("backups"), &[database.as_ref(), &files]);
    let page = std::fs::read_to_string(backup.path.join("RESTORE.html")).unwrap();
    assert!(page.contains("Corner &lt;Shop&gt;") && page.contains("pg_restore --exit-on-error"), "{page}");
    assert!(!page.contains("{parts}") && !page.contains("{needs}"), "a place was left empty");

    let fresh = Cluster::start(&[]);
    let into = home.path().join("rescued");
    let done = rescue(&backup.path, &fresh, &into);
    assert!(done.status.success(), "{}", said(&done));
    assert!(said(&done).contains("Everything is there"), "{}", said(&done));
    assert!(!Path::new("/tmp/liftlock-hostile").exists(), "a name was run");
    let restored = format!("{name}_restored");
    assert_eq!(fingerprint(&fresh, &restored), fingerprint(cluster::shared(), &name));
    assert_eq!(std::fs::read(into.join("uploads_restored/a picture.png")).unwrap(), b"picture");

    // Again: nothing that is there is touched.
    let again = rescue(&backup.path, &fresh, &into);
    assert!(!again.status.success() && said(&again).contains("rename it first"), "{}", said(&again));

    // Rows that do not agree are told, also where every tool was content.
    let script = backup.path.join("restore.sh");
    let text = std::fs::read_to_string(&script).unwrap();
    std::fs::write(&script, text.replace("<> 500;", "<> 501;").replace(&restored, &format!("{restored}2"))).unwrap();
    let differs = rescue(&backup.path, &fresh, &home.path().join("rescued2"));
    assert!(!differs.status.success() && said(&differs).contains("public.item"), "{}", said(&differs));

    // A damaged file is found before anything is made of it.
    let dump = backup.path.join(&backup.manifest.stores[0].file);
    let mut bytes = std::fs::read(&dump).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&dump, bytes).unwrap();
    let damaged = rescue(&backup.path, &fresh, &home.path().join("rescued3"));
    assert!(!damaged.status.success() && said(&damaged).contains("damaged"), "{}", said(&damaged));
    assert!(!home.path().join("rescued3").exists());
}

#[test]
fn the_roles_of_the_server_are_kept_without_passwords_and_a_server_that_lacks_one_is_told_before_anything_stops() {
    let admin = admin();
    let (name, owner) = shop(&admin);
    let clerk = format!("{name}_Clerk");
    let mut session = admin.connect(&name).unwrap();
    run_all(
        &mut session,
        &[
            &format!("CREATE ROLE \"{clerk}\" LOGIN PASSWORD 'clerks-secret'"),
            &format!("GRANT SELECT ON public.item TO \"{clerk}\""),
        ],
    );
    let home = tempfile::tempdir().unwrap();
    let store = store(&name, &owner, true).with_globals(true);
    let backup = backup_of(&home.path().join("backups"), &[&store]);
    let kept = std::fs::read_to_string(backup.path.join("main.globals.sql")).unwrap();
    assert!(kept.contains(&format!("CREATE ROLE \"{clerk}\"")), "{kept}");
    assert!(!kept.contains("PASSWORD") && !kept.contains("clerks-secret"), "{kept}");
    backups::check(&backup, &Silent).unwrap();
    let page = std::fs::read_to_string(backup.path.join("RESTORE.html")).unwrap();
    assert!(page.contains("main.globals.sql"), "{page}");
    // The kit shows it, and runs nothing of it.
    let fresh = Cluster::start(&[]);
    let done = rescue(&backup.path, &fresh, &home.path().join("rescued"));
    assert!(done.status.success() && said(&done).contains("main.globals.sql"), "{}", said(&done));
    let there = client_on(&fresh, SUPERUSER, PASSWORD).unwrap();
    let finds = format!("SELECT 1 AS one FROM pg_roles WHERE rolname = '{clerk}'");
    assert!(!there.connect("postgres").unwrap().finds(&finds).unwrap());
    // Here it is; without it nothing is begun.
    let dumped = backup.dumped("main").unwrap();
    store.expect_room_for(dumped, &backup.path).unwrap();
    run_all(&mut session, &[&format!("DROP OWNED BY \"{clerk}\""), &format!("DROP ROLE \"{clerk}\"")]);
    let missing = store.expect_room_for(dumped, &backup.path).unwrap_err();
    assert_eq!(missing.class, "roles_missing");
    assert!(missing.message.contains(&clerk) && missing.remedy.contains("main.globals.sql"), "{missing:?}");
    assert!(missing.details.iter().any(|it| it.contains(&format!("CREATE ROLE \"{clerk}\""))), "{missing:?}");
    // Changed by somebody, it is damaged as a dump would be.
    std::fs::write(backup.path.join("main.globals.sql"), "DROP ROLE admin;").unwrap();
    assert_eq!(backups::check(&backup, &Silent).unwrap_err().class, "backup_damaged");
}
