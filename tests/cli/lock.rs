//! The administrator lock on the command line.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use crate::support::{Answer, Bench};

fn word(bench: &Bench, name: &str, text: &str, mode: u32) -> PathBuf {
    let file = bench.folder(name);
    std::fs::write(&file, format!("{text}\n")).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
    file
}

fn with_word(bench: &Bench, args: &[&str], file: &PathBuf) -> Answer {
    bench.command(args).env("LIFTLOCK_PASSPHRASE_FILE", file).output().unwrap().into()
}

#[test]
fn while_locked_commands_that_change_something_want_the_passphrase_and_others_do_not() {
    let bench = Bench::new();
    bench.install("shop");
    let right = word(&bench, "right", "correct horse", 0o600);
    let wrong = word(&bench, "wrong", "wrong horse", 0o600);
    let open = word(&bench, "open", "correct horse", 0o644);
    assert_eq!(bench.run(&["lock", "show", "--json"]).json()["set"], false);
    let set = bench.run(&["lock", "set", "--new-passphrase-file", right.to_str().unwrap(), "--json"]);
    let code = set.json()["recovery_code"].as_str().unwrap().to_owned();

    for args in [
        &["settings", "keep_originals_days", "3"][..],
        &["upgrade", "shop"],
        &["rollback", "shop"],
        &["remove", "shop"],
        &["add", "corner-shop", "."],
        &["lock", "set", "--new-passphrase-file", wrong.to_str().unwrap()],
    ] {
        let answer = bench.run(args);
        assert_eq!(answer.code, 3, "{args:?}: {}", answer.shown());
        assert!(answer.err.contains("Liftlock is locked."), "{args:?}: {}", answer.shown());
    }
    for args in [&["settings"][..], &["list"], &["status", "shop"], &["history"], &["lock", "show"], &["notice"]] {
        let answer = bench.run(args);
        assert_eq!(answer.code, 0, "{args:?}: {}", answer.shown());
    }

    let change = ["settings", "keep_originals_days", "3"];
    let answer = with_word(&bench, &change, &open);
    assert!(answer.code == 3 && answer.err.contains("Others may read"), "{}", answer.shown());
    let answer = with_word(&bench, &change, &right);
    assert_eq!(answer.code, 0, "{}", answer.shown());
    // What one process has opened is open for no other.
    assert_eq!(bench.run(&change).code, 3);
    let recovery = word(&bench, "recovery", &code, 0o600);
    assert_eq!(with_word(&bench, &change, &recovery).code, 0);
    let answer = with_word(&bench, &["lock", "remove"], &wrong);
    assert!(
        answer.code == 3 && answer.err.contains("That is not the passphrase. Next try in 1 second."),
        "{}",
        answer.shown()
    );
}

#[test]
fn without_a_terminal_nobody_is_asked() {
    let bench = Bench::new();
    let answer = bench.run(&["lock", "set"]);
    assert!(answer.code == 2 && answer.err.contains("nobody to ask"), "{}", answer.shown());
    assert_eq!(bench.run(&["lock", "show", "--json"]).json()["set"], false);
}
