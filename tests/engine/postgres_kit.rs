//! The rescue kit, rehearsed where there is nothing but PostgreSQL's own tools: a fresh server and an empty environment.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;

use liftlock_engine::backups::{self, Backup, BackupKind, Request};
use liftlock_engine::clock::SystemClock;
use liftlock_engine::process::Silent;
use liftlock_engine::seal::{KeyPlace, Keys, To};
use liftlock_engine::stores::DataStore;
use liftlock_engine::stores::files::FilesStore;
use liftlock_engine::stores::sqlite::SqliteStore;

use crate::cluster::{self, Cluster, PASSWORD, SUPERUSER};
use crate::postgres_store::{named_store, store};
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

/// Keys as age makes them, and the file that holds the secret one.
fn age_keys(home: &Path) -> (Keys, PathBuf) {
    let key = home.join("key.txt");
    let made = Command::new("age-keygen").arg("--output").arg(&key).output().unwrap();
    assert!(made.status.success(), "{made:?}");
    let public = Command::new("age-keygen").arg("-y").arg(&key).output().unwrap().stdout;
    let to = To::parse(&String::from_utf8(public).unwrap()).unwrap();
    (Keys::new(to, Some(KeyPlace::File(key.clone()))), key)
}

#[test]
fn the_rescue_kit_opens_an_encrypted_backup_with_nothing_but_age() {
    let admin = admin();
    let (name, owner) = shop(&admin);
    let home = tempfile::tempdir().unwrap();
    let (keys, key) = age_keys(home.path());
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

/// Every program that the kit may need, and nothing else: what every system has, three of PostgreSQL's, and age.
fn bare_tools(fresh: &Cluster) -> tempfile::TempDir {
    let tools = tempfile::tempdir().unwrap();
    for name in ["sh", "dirname", "gunzip", "gzip", "mkdir", "mv", "rm", "sha256sum", "tar", "age"] {
        let found = ["/usr/bin", "/bin"].iter().map(|it| Path::new(it).join(name)).find(|it| it.exists());
        if let Some(found) = found {
            symlink(found, tools.path().join(name)).unwrap();
        }
    }
    for name in ["createdb", "pg_restore", "psql"] {
        symlink(fresh.bin.join(name), tools.path().join(name)).unwrap();
    }
    tools
}

fn rescue_with(backup: &Path, fresh: &Cluster, into: &Path, more: &[(&str, &Path)]) -> Output {
    let tools = bare_tools(fresh);
    Command::new("/bin/sh")
        .arg(backup.join("restore.sh"))
        .arg(into)
        .env_clear()
        .env("PATH", tools.path())
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

/// Two databases, a SQLite file, a folder and the roles of the server, encrypted, on a stick of somebody who has no Liftlock.
#[test]
fn the_rescue_kit_brings_back_every_part_of_an_encrypted_backup_that_was_carried_elsewhere() {
    let admin = admin();
    let ((one, owner), (two, other)) = (shop(&admin), shop(&admin));
    run_all(&mut admin.connect(&two).unwrap(), &["DELETE FROM public.\"Order Lines\" WHERE amount % 2 = 0"]);
    let home = tempfile::tempdir().unwrap();
    let keys = age_keys(home.path());
    let uploads = home.path().join("uploads");
    std::fs::create_dir_all(uploads.join("of 2026")).unwrap();
    std::fs::write(uploads.join("of 2026/a picture.png"), "picture").unwrap();
    let file = home.path().join("settings.db");
    let settings = rusqlite::Connection::open(&file).unwrap();
    settings.execute_batch("CREATE TABLE setting (name, value); INSERT INTO setting VALUES ('tax', 19)").unwrap();
    let first = store(&one, &owner, true).with_globals(true);
    let second = named_store("archive", &two, &other);
    let (files, settings) = (FilesStore::new("uploads", &uploads, false), SqliteStore::new("settings", file));
    let stores: [&dyn DataStore; 4] = [&first, &second, &settings, &files];
    let backup = sealed_backup_of(&home.path().join("backups"), &stores, &keys.0);
    // Only the folder of the backup goes along.
    let stick = tempfile::tempdir().unwrap();
    let carried = stick.path().join("a backup");
    let copied = Command::new("cp").arg("-r").arg(&backup.path).arg(&carried).status().unwrap();
    assert!(copied.success());
    std::fs::rename(home.path().join("backups"), home.path().join("lost")).unwrap();

    let fresh = Cluster::start(&[]);
    let into = stick.path().join("brought back");
    let done = rescue_with(&carried, &fresh, &into, &[("AGE_KEY", &keys.1)]);
    assert!(done.status.success() && said(&done).contains("Everything is there"), "{}", said(&done));
    assert!(said(&done).contains("main.globals.sql"), "{}", said(&done));
    for name in [&one, &two] {
        assert_eq!(fingerprint(&fresh, &format!("{name}_restored")), fingerprint(cluster::shared(), name));
    }
    assert_eq!(std::fs::read(into.join("uploads_restored/of 2026/a picture.png")).unwrap(), b"picture");
    let settings = rusqlite::Connection::open(into.join("settings.sqlite")).unwrap();
    let tax: i64 = settings.query_row("SELECT value FROM setting WHERE name = 'tax'", [], |row| row.get(0)).unwrap();
    assert_eq!(tax, 19);
}

/// Where no database speaks up, a pipe that ends in a content `tar` must not hide that nothing came out of it.
#[test]
fn the_rescue_kit_of_files_alone_claims_nothing_with_a_wrong_key_whichever_tar_there_is() {
    let home = tempfile::tempdir().unwrap();
    let keys = age_keys(home.path());
    let uploads = home.path().join("uploads");
    std::fs::create_dir(&uploads).unwrap();
    std::fs::write(uploads.join("a picture.png"), "picture").unwrap();
    let files = FilesStore::new("uploads", &uploads, false);
    let backup = sealed_backup_of(&home.path().join("backups"), &[&files], &keys.0);
    let wrong = home.path().join("wrong.txt");
    assert!(Command::new("age-keygen").arg("--output").arg(&wrong).output().unwrap().status.success());
    let tools = bare_tools(cluster::shared());
    std::fs::remove_file(tools.path().join("tar")).unwrap();
    std::fs::write(tools.path().join("tar"), "#!/bin/sh\n/usr/bin/tar \"$@\" 2>/dev/null || exit 0\n").unwrap();
    std::fs::set_permissions(tools.path().join("tar"), PermissionsExt::from_mode(0o755)).unwrap();
    let run = |key: &Path, into: &Path| {
        let mut command = Command::new("/bin/sh");
        command.arg(backup.path.join("restore.sh")).arg(into).env_clear().env("PATH", tools.path());
        command.env("AGE_KEY", key).current_dir("/").output().unwrap()
    };
    let refused = run(&wrong, &home.path().join("nothing"));
    assert!(!refused.status.success() && said(&refused).contains("not whole"), "{}", said(&refused));
    assert!(!said(&refused).contains("Everything is there"), "{}", said(&refused));
    let into = home.path().join("back");
    let done = run(&keys.1, &into);
    assert!(done.status.success() && said(&done).contains("Everything is there"), "{}", said(&done));
    assert_eq!(std::fs::read(into.join("uploads_restored/a picture.png")).unwrap(), b"picture");
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
