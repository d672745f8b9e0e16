//! Encryption that is ended and begun again, with the keychain of the desktop.
#![cfg(target_os = "linux")]

use std::fs;
use std::process::Command;

use liftlock_engine::Engine;
use liftlock_engine::process::Silent;
use liftlock_engine::seal::{KeyPlace, Keys, To};
use liftlock_engine::state::Db;

use crate::keychain::Keychain;
use crate::support::{Bench, bench_of_parent};

const FIRST: &str = "ten lock gates in the evening";
const SECOND: &str = "a lantern on the quay";

#[test]
fn encryption_begins_again_with_the_passphrase_of_before_and_with_another_only_where_both_are_kept() {
    let (keychain, bench) = (Keychain::new(), Bench::new());
    drop(bench.db());
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "sealing::as_the_keychain_has_it", "--nocapture"])
        .env("LIFTLOCK_TEST_ROOT", bench.path(""))
        .envs(keychain.variables())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && said.contains("1 passed"),
        "{said}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    for entry in fs::read_dir(bench.home.root()).unwrap().flatten() {
        let text = fs::read(entry.path()).unwrap_or_default();
        let holds = |it: &str| text.windows(it.len()).any(|piece| piece == it.as_bytes());
        assert!(!holds(FIRST) && !holds(SECOND), "a passphrase is written down in {}", entry.path().display());
    }
}

/// In a process of its own, which finds that keychain and none of this user's.
#[test]
#[ignore = "run by the test above"]
fn as_the_keychain_has_it() {
    let (home, root) = bench_of_parent();
    let engine = Engine::at(home.clone());
    let class = |passphrase: &str, keeps_both| engine.encrypt_backups_with(passphrase, keeps_both).unwrap_err().class;
    assert_eq!(class("too short", false), "passphrase_short");
    let view = engine.encrypt_backups_with(FIRST, false).unwrap();
    assert!(view.encrypted && view.passphrase && !view.again, "{view:?}");
    assert_eq!(view.key_from.as_deref(), Some("keychain:backups"));
    let (plain, old, new) = (root.join("plain"), root.join("old.age"), root.join("new.age"));
    fs::write(&plain, "boat").unwrap();
    keys(&home).seal(&plain, &old, &Silent).unwrap();

    // With one click, and with the same passphrase typed anew.
    let view = engine.stop_encrypting_backups().unwrap();
    assert!(!view.encrypted && view.again, "{view:?}");
    let view = engine.encrypt_backups_again().unwrap();
    assert!(view.encrypted && view.passphrase, "{view:?}");
    engine.stop_encrypting_backups().unwrap();
    assert_eq!(engine.encrypt_backups_with(FIRST, false).unwrap().key_from.as_deref(), Some("keychain:backups"));

    // Another one is another matter, and nothing was changed.
    engine.stop_encrypting_backups().unwrap();
    assert_eq!(class(SECOND, false), "other_passphrase");
    assert!(!engine.encryption().unwrap().encrypted);
    let view = engine.encrypt_backups_with(SECOND, true).unwrap();
    assert_eq!(view.key_from.as_deref(), Some("keychain:backups_2"), "nothing in the keychain is replaced");
    let now = keys(&home);
    now.fits(&old).unwrap();
    now.seal(&plain, &new, &Silent).unwrap();
    let only = |place: &str| Keys::new(Some(To::Passphrase), Some(KeyPlace::parse(place).unwrap()));
    only("keychain:backups_2").fits(&new).unwrap();
    assert_eq!(only("keychain:backups").fits(&new).unwrap_err().class, "wrong_key");

    // Back to the first: there is no third, and what the second closed is opened still.
    engine.stop_encrypting_backups().unwrap();
    assert_eq!(class("a third one, from nowhere", false), "other_passphrase");
    let view = engine.encrypt_backups_with(FIRST, true).unwrap();
    assert_eq!(view.key_from.as_deref(), Some("keychain:backups"));
    keys(&home).fits(&new).unwrap();
    keys(&home).fits(&old).unwrap();
}

fn keys(home: &liftlock_engine::state::home::Home) -> Keys {
    Db::open(home).unwrap().backup_keys().unwrap()
}
