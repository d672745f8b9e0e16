//! Going back to a backup: what is there now is backed up and set aside first, and comes back with one command.

use std::fs;

use serde_json::Value;

use crate::keychain::Keychain;
use crate::support::{Case, World};

fn backed_up(case: &Case<'_>) -> String {
    let (code, backup) = case.answer(&["backup", "create"]);
    assert_eq!((code, &backup["grade"]), (0, &"proven".into()), "{backup:#}");
    backup["id"].as_str().unwrap().to_owned()
}

fn listed(case: &Case<'_>) -> Vec<Value> {
    case.answer(&["backup", "list"]).1["backups"].as_array().unwrap().clone()
}

const ENTERED_SINCE: &str = "CREATE TABLE public.entered_since (id int);\nINSERT INTO entered_since VALUES (1), (2);\nALTER TABLE entered_since OWNER TO corner_shop";

#[test]
fn a_restore_takes_a_safety_copy_first_and_is_taken_back_with_one_command() {
    let world = World::with(&["1.1.0"]);
    let case = world.case();
    let id = backed_up(&case);
    world.sql("corner_shop", ENTERED_SINCE);
    let later = world.demo(&["hash"]);
    assert_ne!(later["content"], world.before["content"]);
    let (code, answer) = case.answer(&["backup", "restore", case.name.as_str(), &id, "--confirm", "RESTORE"]);
    assert_eq!((code, &answer["state"]), (0, &"complete".into()), "{answer:#}");
    assert_eq!(world.demo(&["hash"])["content"], world.before["content"]);
    let safety = listed(&case).into_iter().find(|it| it["id"] != *id).unwrap();
    let note = safety["note"].as_str().unwrap();
    assert!(note.starts_with("before going back to the backup of") && safety["kind"] == "pre_update", "{safety:#}");
    assert!(answer["message"].as_str().unwrap().contains(safety["path"].as_str().unwrap()), "{answer:#}");
    // The keeping rule leaves it while the original is kept.
    let (_, would) = case.answer(&["backup", "prune", case.name.as_str(), "--dry-run"]);
    assert_eq!(would["goes"].as_array().unwrap().len(), 0, "{would:#}");
    let (code, answer) = case.answer(&["rollback", "--yes", "--accept-loss-of-new-work"]);
    assert_eq!((code, &answer["state"]), (0, &"rolled_back".into()), "{answer:#}");
    assert_eq!(world.demo(&["hash"])["content"], later["content"], "what was entered since is there again");
    // And the safety copy is a backup like any other.
    let path = safety["path"].as_str().unwrap();
    let (code, verified) = case.answer(&["backup", "verify", path]);
    assert_eq!((code, &verified["grade"]), (0, &"proven".into()), "{verified:#}");
    // Without what the test wrote down it is only taken; reading it earns the grade between.
    fs::remove_file(std::path::Path::new(path).join("proof.json")).unwrap();
    let (code, read) = case.answer(&["backup", "verify", "--quick", path]);
    assert_eq!((code, &read["grade"], &read["proven_at"]), (0, &"readable".into(), &().into()), "{read:#}");
}

#[test]
fn a_database_that_cannot_be_read_does_not_block_its_own_restore() {
    let world = World::with(&["1.1.0"]);
    let case = world.case();
    let id = backed_up(&case);
    // A file of a table is gone from the disk: neither a dump nor a count gets past it.
    let data = world.sql("corner_shop", "SHOW data_directory");
    let file = world.sql("corner_shop", "SELECT pg_relation_filepath('order_lines')");
    world.sql("corner_shop", "CHECKPOINT");
    fs::remove_file(std::path::Path::new(&data).join(file)).unwrap();
    assert!(world.try_sql("corner_shop", "SELECT count(*) FROM order_lines").is_err());
    assert_ne!(case.answer(&["backup", "create"]).0, 0);
    let (code, answer) = case.answer(&["backup", "restore", case.name.as_str(), &id, "--confirm", "RESTORE"]);
    assert_eq!((code, &answer["state"]), (0, &"complete".into()), "{answer:#}");
    assert_eq!(world.demo(&["hash"])["content"], world.before["content"]);
    assert_eq!(listed(&case).len(), 1, "there is no half of a safety copy");
    let message = answer["message"].as_str().unwrap();
    assert!(message.contains("A backup of it could not be made"), "{message}");
    // What cannot be read is kept all the same: somebody may get more out of it.
    let kept = world.sql("postgres", "SELECT datname FROM pg_database WHERE datname LIKE 'corner_shop__aside%'");
    assert!(message.contains("set aside") && !kept.is_empty(), "{message}");
}

#[test]
fn encrypted_backups_carry_an_update_and_a_restore_and_their_key_is_seen_nowhere() {
    const PUBLIC: &str = "age1t7rxyev2z3rw82stdlrrepyc39nvn86l5078zqkf5uasdy86jp6svpy7pa";
    const SECRET: &str = "AGE-SECRET-KEY-1GQ9778VQXMMJVE8SK7J6VT8UJ4HDQAJUVSFCWCM02D8GEWQ72PVQ2Y5J33";
    let world = World::with(&["1.1.0"]);
    let case = world.case();
    let key = world.dir.join("backup.key");
    fs::write(&key, format!("{SECRET}\n")).unwrap();
    let place = format!("file:{}", key.display());
    let encrypt = ["backup", "encrypt", "--to", PUBLIC, "--key-from", place.as_str()];
    // One that others can read is none.
    fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    let (code, answer) = case.answer(&encrypt);
    assert_eq!((code, &answer["error"]["class"]), (3, &"key_not_private".into()), "{answer:#}");
    fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let (code, answer) = case.answer(&encrypt);
    assert_eq!((code, &answer["encrypted"]), (0, &true.into()), "{answer:#}");
    let id = backed_up(&case);
    // The backup before the update is encrypted too, and proven before anything is touched.
    let (code, answer) = case.answer(&["upgrade", "--yes", "--to", "1.1.0"]);
    assert_eq!((code, &answer["state"]), (0, &"complete".into()), "{answer:#}");
    // Without the key nothing is begun.
    let away = world.dir.join("in a drawer");
    fs::rename(&key, &away).unwrap();
    let restore = ["backup", "restore", case.name.as_str(), &id, "--confirm", "RESTORE"];
    let (code, answer) = case.answer(&restore);
    assert_eq!((code, &answer["error"]["class"]), (3, &"key_unreadable".into()), "{answer:#}");
    assert_eq!(world.version().as_deref(), Some("1.1.0"));
    fs::rename(&away, &key).unwrap();
    let (code, answer) = case.answer(&restore);
    assert_eq!((code, &answer["state"]), (0, &"complete".into()), "{answer:#}");
    assert_eq!(world.demo(&["hash"])["content"], world.before["content"]);
    let backups = listed(&case);
    assert_eq!(backups.len(), 3);
    for file in crate::support::files_below(case.home.root()) {
        let bytes = fs::read(&file).unwrap_or_default();
        let is_seen = bytes.windows(SECRET.len()).any(|it| it == SECRET.as_bytes());
        assert!(!is_seen, "{} holds the key", file.display());
        let is_open =
            file.extension().is_some_and(|it| it == "gz") && file.starts_with(case.home.root().join("backups"));
        assert!(!is_open, "{} lies there open", file.display());
    }
}

#[test]
fn a_passphrase_in_the_keychain_opens_backups_and_a_locked_keychain_makes_none() {
    let keychain = Keychain::new();
    let world = World::with(&["1.0.0"]);
    let case = world.case();
    let ask = |args: &[&str]| {
        let output = case.liftlock(args).arg("--json").envs(keychain.variables()).output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        (output.status.code(), serde_json::from_str::<Value>(said.lines().last().unwrap()).unwrap())
    };
    let encrypt = ["backup", "encrypt", "--passphrase", "--key-from", "keychain:backups"];
    // Nobody can be asked for one that is not there yet.
    let (code, answer) = ask(&encrypt);
    assert_eq!((code, &answer["error"]["class"]), (Some(3), &"keychain_without".into()), "{answer:#}");
    assert!(answer["error"]["remedy"].as_str().unwrap().contains("secret-tool store"), "{answer:#}");

    keychain.put("backups", "ten lock gates in the evening light");
    let (code, answer) = ask(&encrypt);
    assert_eq!((code, &answer["key_from"]), (Some(0), &"keychain:backups".into()), "{answer:#}");
    let create = ["backup", "create", case.name.as_str()];
    let (code, answer) = ask(&create);
    assert_eq!((code, &answer["grade"]), (Some(0), &"proven".into()), "{answer:#}");

    keychain.lock();
    let (code, answer) = ask(&create);
    assert_eq!((code, &answer["error"]["class"]), (Some(1), &"keychain_locked".into()), "{answer:#}");
    assert_eq!(listed(&case).len(), 1, "what could not be opened again is not made");
}

#[test]
fn a_keychain_that_is_gone_makes_no_backup_and_takes_nothing_from_those_that_are_there() {
    let mut keychain = Keychain::new();
    let world = World::with(&["1.0.0"]);
    let case = world.case();
    keychain.put("backups", "ten lock gates in the evening light");
    let ask = |keychain: &Keychain, args: &[&str]| {
        let output = case.liftlock(args).arg("--json").envs(keychain.variables()).output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        (output.status.code(), serde_json::from_str::<Value>(said.lines().last().unwrap()).unwrap())
    };
    let name = case.name.as_str();
    let encrypt = ["backup", "encrypt", "--passphrase", "--key-from", "keychain:backups"];
    assert_eq!(ask(&keychain, &encrypt).0, Some(0));
    let (code, made) = ask(&keychain, &["backup", "create", name]);
    assert_eq!((code, &made["grade"]), (Some(0), &"proven".into()), "{made:#}");
    let id = made["id"].as_str().unwrap();

    keychain.end();
    for args in [&["backup", "create", name][..], &["backup", "verify", id]] {
        let (code, answer) = ask(&keychain, args);
        assert_eq!((code, &answer["error"]["class"]), (Some(1), &"keychain_absent".into()), "{args:?}: {answer:#}");
        let remedy = answer["error"]["remedy"].as_str().unwrap();
        assert!(remedy.contains("keep the secret in a file"), "{args:?}: {answer:#}");
    }
    let backups = listed(&case);
    assert_eq!((backups.len(), &backups[0]["grade"]), (1, &"proven".into()), "{backups:#?}");
    let left = fs::read_dir(case.home.backups(&case.name).unwrap()).unwrap().count();
    assert_eq!(left, 1, "nothing half-made is left");

    // Whoever wrote the passphrase down goes on with a file.
    let file = world.dir.join("passphrase");
    fs::write(&file, "ten lock gates in the evening light\n").unwrap();
    fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let place = format!("file:{}", file.display());
    assert_eq!(ask(&keychain, &["backup", "encrypt", "--passphrase", "--key-from", &place]).0, Some(0));
    let (code, verified) = ask(&keychain, &["backup", "verify", id]);
    assert_eq!((code, &verified["grade"]), (Some(0), &"proven".into()), "{verified:#}");
}
