//! Commands that change something, where they are refused, and what they leave alone.

use chrono::Utc;
use liftlock_engine::model::state::{Event, State};
use liftlock_engine::state::journal::{Direction, StepKey};
use liftlock_engine::state::lease::{Holder, Lease};
use liftlock_engine::state::upgrades::Outcome;

use crate::support::{Bench, fingerprint, this_process};

/// A snapshot of the words and of the document of one command that does not work here.
macro_rules! refused {
    ($bench:expr, $code:expr, $name:literal, $($arg:expr),+) => {
        let words = $bench.run(&[$($arg),+]);
        assert_eq!((words.code, words.out.as_str()), ($code, ""), "{}", words.shown());
        insta::assert_snapshot!($name, $bench.settled(&words.err));
        let document = $bench.run(&[$($arg,)+ "--json"]);
        assert_eq!((document.code, document.err.as_str()), ($code, ""), "{}", document.shown());
        assert_eq!(document.json()["error"]["code"], $code);
    };
}

#[test]
fn what_is_not_known_is_wrong_usage_for_every_command() {
    let bench = Bench::new();
    bench.install("shop");
    for command in ["check", "releases", "plan", "upgrade", "status", "rollback", "remove"] {
        let answer = bench.run(&[command, "nowhere", "--json"]);
        assert_eq!(answer.code, 2, "{command}: {}", answer.shown());
        assert_eq!(answer.json()["error"]["class"], "unknown_installation", "{command}");
    }
    let id = "0198c2a4-0000-7000-8000-000000000000";
    for command in ["ack", "cancel", "retry", "settle", "resume", "work"] {
        let answer = bench.run(&[command, id, "--json"]);
        assert_eq!(answer.code, 2, "{command}: {}", answer.shown());
        if command != "work" {
            assert_eq!(answer.json()["error"]["class"], "unknown_upgrade", "{command}");
        }
    }
}

#[test]
fn an_application_that_is_not_there_is_not_added() {
    let bench = Bench::new();
    std::fs::create_dir(bench.folder("empty")).unwrap();
    refused!(bench, 2, "add_no_profile", "add", "nonsense", "empty");
    refused!(bench, 1, "add_no_file", "add", "./nonsense.toml", "empty");
    refused!(bench, 2, "add_no_folder", "add", "corner-shop", "nowhere");
    refused!(bench, 3, "add_not_recognised", "add", "corner-shop", "empty");
    refused!(bench, 2, "add_bad_name", "add", "corner-shop", "empty", "--name", "a/b");
    assert_eq!(bench.run(&["list", "--json"]).json()["installations"], serde_json::json!([]));
}

#[test]
fn a_profile_is_told_all_its_mistakes_with_their_places() {
    let bench = Bench::new();
    let text = bench.run(&["profile", "show", "corner-shop"]).out;
    std::fs::write(bench.folder("good.toml"), &text).unwrap();
    std::fs::write(bench.folder("bad.toml"), text.replace("tag =", "tagg =").replace("[limits]", "[limit]")).unwrap();
    let good = bench.run(&["profile", "check", "good.toml"]);
    assert_eq!(good.code, 0, "{}", good.shown());
    for (name, args) in [
        ("profile_bad", &["profile", "check", "bad.toml"][..]),
        ("profile_bad_json", &["profile", "check", "bad.toml", "--json"]),
        ("profile_list", &["profile", "list"]),
        ("profile_list_json", &["profile", "list", "--json"]),
    ] {
        insta::assert_snapshot!(name, bench.settled(&bench.run(args).shown()));
    }
    assert_eq!(bench.run(&["profile", "check", "bad.toml"]).code, 2);
    for id in ["corner-shop", "filaops", "filaops-native"] {
        let built_in = bench.run(&["profile", "check", id]);
        assert_eq!((built_in.code, built_in.err.as_str()), (0, ""), "{id}: {}", built_in.out);
    }
    let schema: serde_json::Value = serde_json::from_str(&bench.run(&["profile", "schema"]).out).unwrap();
    assert!(schema["$schema"].is_string());
    assert!(!bench.home().root().exists(), "profiles need no home");
}

#[test]
fn nothing_is_cancelled_tried_again_settled_or_brought_back_where_there_is_nothing_to() {
    let bench = Bench::new();
    let shop = bench.install("shop");
    refused!(bench, 3, "cancel_nothing", "cancel");
    refused!(bench, 3, "rollback_nothing", "rollback", "shop");
    insta::assert_snapshot!("resume_nothing", bench.settled(&bench.run(&["resume"]).shown()));
    insta::assert_snapshot!("resume_nothing_json", bench.settled(&bench.run(&["resume", "--all", "--json"]).shown()));
    let id = bench.ask(&shop);
    refused!(bench, 3, "retry_running", "retry", &id.to_string());
    refused!(bench, 3, "settle_running", "settle", &id.to_string());
    let mut worker = bench.worker(&shop, id);
    worker.go_to(State::Verifying);
    worker.end(Event::Advanced, Outcome::Success, "Corner Shop 1.1.0 is running.", None);
    drop(worker);
    refused!(bench, 3, "cancel_over", "cancel", &id.to_string());
}

#[test]
fn a_running_upgrade_is_asked_to_stop_and_a_rollback_is_not() {
    let bench = Bench::new();
    let shop = bench.install("shop");
    let id = bench.ask(&shop);
    let mut worker = bench.worker(&shop, id);
    worker.go_to(State::Migrating);
    insta::assert_snapshot!("cancel", bench.settled(&bench.run(&["cancel"]).shown()));
    assert!(worker.journal.is_cancelled().unwrap());
    assert_eq!(bench.run(&["cancel", "--json"]).json()["state"], "migrating");
    worker.journal.advance(Event::Cancelled).unwrap();
    refused!(bench, 3, "cancel_rollback", "cancel", &id.to_string());
}

#[test]
fn an_update_that_lets_users_in_is_not_stopped_and_says_so() {
    let bench = Bench::new();
    let shop = bench.install("shop");
    let id = bench.ask(&shop);
    let mut worker = bench.worker(&shop, id);
    worker.go_to(State::Verifying);
    let key = StepKey { step: "open_gate".to_owned(), component: String::new(), store: String::new() };
    worker.journal.intend(Direction::Forward, State::Verifying, &key, &serde_json::Value::Null, Utc::now()).unwrap();
    refused!(bench, 3, "cancel_too_late", "cancel");
    refused!(bench, 3, "rollback_too_late", "rollback", "shop");
    assert!(!worker.journal.is_cancelled().unwrap());
}

#[test]
fn an_update_whose_worker_cannot_be_started_ends_at_once_with_the_reason() {
    let bench = Bench::new();
    let shop = bench.install("shop");
    // A file where the private copies of the program belong.
    let workers = bench.home().workers();
    std::fs::remove_dir(&workers).unwrap();
    std::fs::write(&workers, "not a folder").unwrap();
    let answer = bench.run(&["upgrade", "shop", "--yes", "--json"]);
    assert_eq!(answer.code, 1, "{}", answer.shown());
    let status = bench.run(&["status", "shop", "--json"]).json();
    assert_eq!(
        (&status["state"], &status["active"], &status["interrupted"]),
        (&"failed".into(), &false.into(), &false.into())
    );
    assert_eq!(status["error"]["class"], answer.json()["error"]["class"], "{status}");
    let records = bench.db().history_records().unwrap();
    assert_eq!((records.len(), &records[0].1["result"]), (1, &"failed".into()));
    // Nothing stands in the way of the next one.
    std::fs::remove_file(&workers).unwrap();
    bench.ask(&shop);
}

#[test]
fn a_backup_beside_an_interrupted_update_does_not_work_on_it() {
    let bench = Bench::new();
    let shop = bench.install("shop");
    let id = bench.ask(&shop);
    let mut worker = bench.worker(&shop, id);
    worker.go_to(State::BackingUp);
    drop(worker);
    let holder = Holder { doing: "backup".to_owned(), ..this_process() };
    let _lease = Lease::take(&mut bench.db(), &bench.home(), &shop, &bench.folder("shop"), &holder).unwrap();
    let status = bench.run(&["status", "--json"]).json();
    assert_eq!(
        (&status["active"], &status["interrupted"], &status["holder"]),
        (&false.into(), &true.into(), &().into())
    );
    // Nobody can go on with it before the backup has ended, which is said.
    let answer = bench.run(&["resume", &id.to_string(), "--json"]);
    assert_eq!((answer.code, &answer.json()["error"]["class"]), (6, &"busy".into()), "{}", answer.shown());
    assert!(answer.out.contains("(backup)"), "{}", answer.out);
}

#[test]
fn the_history_says_where_it_was_changed() {
    let bench = Bench::new();
    insta::assert_snapshot!("verify_empty", bench.settled(&bench.run(&["history", "--verify"]).shown()));
    let shop = bench.install("shop");
    for _ in 0..2 {
        let id = bench.ask(&shop);
        let mut worker = bench.worker(&shop, id);
        worker.go_to(State::Verifying);
        worker.end(Event::Advanced, Outcome::Success, "Corner Shop 1.1.0 is running.", None);
    }
    // Lines that are missing in the file are written again here.
    assert_eq!(bench.run(&["resume"]).code, 0);
    insta::assert_snapshot!("verify_intact", bench.settled(&bench.run(&["history", "--verify"]).shown()));
    insta::assert_snapshot!(
        "verify_intact_json",
        bench.settled(&bench.run(&["history", "--verify", "--json"]).shown())
    );
    let file = bench.home().history();
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replacen("success", "failed_", 1)).unwrap();
    let changed = bench.run(&["history", "--verify"]);
    assert_eq!(changed.code, 1);
    insta::assert_snapshot!("verify_changed", bench.settled(&changed.shown()));
    insta::assert_snapshot!(
        "verify_changed_json",
        bench.settled(&bench.run(&["history", "--verify", "--json"]).shown())
    );
    insta::assert_snapshot!("doctor_history", bench.settled(&bench.run(&["doctor"]).shown()));
}

#[test]
fn the_doctor_finds_what_is_interrupted() {
    let bench = Bench::new();
    insta::assert_snapshot!("doctor_well", bench.settled(&bench.run(&["doctor"]).shown()));
    insta::assert_snapshot!("doctor_well_json", bench.settled(&bench.run(&["doctor", "--json"]).shown()));
    let shop = bench.install("shop");
    let id = bench.ask(&shop);
    drop(bench.worker(&shop, id));
    let answer = bench.run(&["doctor", "--json"]).json();
    let classes: Vec<_> =
        answer["findings"].as_array().unwrap().iter().map(|it| it["class"].as_str().unwrap()).collect();
    assert!(classes.contains(&"interrupted"), "{classes:?}");
}

#[test]
fn reading_leaves_a_home_as_it_is() {
    let bench = Bench::new();
    let shop = bench.install("shop");
    let id = bench.ask(&shop);
    let mut worker = bench.worker(&shop, id);
    worker.end(Event::Broke, Outcome::Failed, "It stopped before shop was touched.", None);
    drop(worker);
    bench.db().checkpoint().unwrap();
    let id = id.to_string();
    let before = fingerprint(bench.home().root());
    for args in [
        &["list"][..],
        &["status"],
        &["status", "--upgrade", &id],
        &["history"],
        &["history", "--verify"],
        &["settings"],
        &["doctor"],
        &["plan"],
        &["plan", "--help"],
        &["check"],
    ] {
        bench.run(args);
        assert!(fingerprint(bench.home().root()) == before, "{args:?} has changed something in the home");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_question_is_asked_on_a_terminal_only_and_anything_but_yes_is_no() {
    use std::io::Write;
    use std::process::{Command, Stdio};
    let bench = Bench::new();
    bench.install("shop");
    // util-linux's `script` gives the command a terminal.
    let answer = |typed: &str, more: &str| {
        let line = format!("{} rollback shop --no-color {more}", env!("CARGO_BIN_EXE_liftlock"));
        let mut command = Command::new("script");
        command.args(["-qec", &line, "/dev/null"]).env("LIFTLOCK_HOME", bench.home().root());
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(typed.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        (output.status.code().unwrap(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    for no in ["n\n", "\n", "perhaps\n"] {
        let (code, said) = answer(no, "");
        assert!(code == 3 && said.contains("[y/N]") && said.contains("Nothing was begun."), "{code} {said}");
    }
    let (code, said) = answer("y\n", "");
    assert!(code == 3 && said.contains("no update that could be taken back"), "{code} {said}");
    let (_, said) = answer("", "--yes");
    assert!(!said.contains("[y/N]"), "{said}");
    assert!(!bench.run(&["rollback", "shop"]).err.contains("[y/N]"), "a pipe is not asked");
}

#[test]
fn backups_are_listed_and_one_that_is_none_is_neither_proven_nor_restored() {
    let bench = Bench::new();
    insta::assert_snapshot!("backups_none", bench.settled(&bench.run(&["backup", "list"]).shown()));
    insta::assert_snapshot!("backups_none_json", bench.settled(&bench.run(&["backup", "list", "--json"]).shown()));
    bench.install("shop");
    std::fs::create_dir(bench.folder("no-backup")).unwrap();
    for command in [
        &["backup", "verify", "no-backup"][..],
        &["backup", "restore", "shop", "no-backup", "--accept-loss-of-new-work"],
    ] {
        let answer = bench.run(command);
        assert!(answer.code != 0 && answer.err.contains("  → "), "{command:?}: {}", answer.shown());
    }
    // Nobody but a person, or a word of its own, says that work may be lost.
    for yes in [&[][..], &["--yes"]] {
        let answer = bench.run(&[&["backup", "restore", "shop", "no-backup", "--json"], yes].concat());
        assert_eq!((answer.code, &answer.json()["error"]["class"]), (3, &"work_would_be_lost".into()));
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_schedule_puts_a_timer_of_the_system_in_place_and_takes_it_out_again() {
    use std::os::unix::fs::PermissionsExt;
    let bench = Bench::new();
    bench.install("shop");
    let (bin, settings) = (bench.folder("bin"), bench.folder("config with a space"));
    std::fs::create_dir_all(&bin).unwrap();
    // Stands in for systemd's own program, which has no user session to speak to here.
    let stub = bin.join("systemctl");
    let told = bench.folder("told");
    let script = |ends: u8| {
        std::fs::write(&stub, format!("#!/bin/sh\necho \"$@\" >> {}\necho no bus >&2\nexit {ends}\n", told.display()))
            .unwrap();
        std::fs::set_permissions(&stub, std::fs::Permissions::from_mode(0o755)).unwrap();
    };
    let run = |args: &[&str]| {
        let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap_or_default());
        let mut command = bench.command(args);
        let output = command.env("PATH", path).env("XDG_CONFIG_HOME", &settings).output().unwrap();
        crate::support::Answer::from(output)
    };
    let units = || {
        let folder = std::fs::read_dir(settings.join("systemd/user"));
        let mut names: Vec<_> = folder.into_iter().flatten().map(|it| it.unwrap().path()).collect();
        names.sort();
        names
    };
    script(0);
    assert_eq!(run(&["backup", "schedule", "every moon", "--json"]).json()["error"]["class"], "bad_schedule");
    assert!(units().is_empty());
    let set = run(&["backup", "schedule", "every night at 3", "--json"]);
    assert_eq!((set.code, &set.json()["timer"]["by"]), (0, &"systemd".into()), "{}", set.shown());
    assert_eq!(set.json()["schedules"][0]["when"], "every night at 3");
    let [service, timer] = &units()[..] else { panic!("{:?}", units()) };
    let text = std::fs::read_to_string(service).unwrap();
    let home = bench.home().root().display().to_string();
    assert!(text.contains(" tick ") && text.contains(&format!("\"LIFTLOCK_HOME={home}\"")), "{text}");
    let name = timer.file_name().unwrap().to_str().unwrap();
    let said = std::fs::read_to_string(&told).unwrap();
    assert!(said.contains("daemon-reload\n") && said.ends_with(&format!("enable --now {name}\n")), "{said}");
    assert_eq!(run(&["backup", "run-due", "--json"]).json()["due"], serde_json::json!([]));
    assert_eq!(run(&["backup", "schedule", "--off"]).code, 0);
    assert!(units().is_empty());
    assert!(std::fs::read_to_string(&told).unwrap().contains(&format!("disable --now {name}")));
    // Where the system takes no timer, nothing of it stays, and the answer says who looks instead.
    script(1);
    let refused = run(&["backup", "schedule", "every hour", "--json"]);
    assert_eq!((refused.code, &refused.json()["timer"]["by"]), (0, &"tray".into()), "{}", refused.shown());
    assert!(refused.json()["timer"]["why"].as_str().unwrap().contains("no bus"));
    assert!(units().is_empty());
}
