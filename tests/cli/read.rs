//! Commands that only read: their words, and every document of theirs.

use liftlock_engine::Error;
use liftlock_engine::model::state::{Event, State};
use liftlock_engine::state::upgrades::Outcome;

use crate::support::Bench;

/// A snapshot of the words and of the document of one command.
macro_rules! both {
    ($bench:expr, $name:literal, $($arg:expr),+) => {
        insta::assert_snapshot!($name, $bench.settled(&$bench.run(&[$($arg),+]).shown()));
        let document = $bench.run(&[$($arg,)+ "--json"]);
        document.json();
        insta::assert_snapshot!(concat!($name, "_json"), $bench.settled(&document.shown()));
    };
}

#[test]
fn an_empty_home_says_what_to_do_first() {
    let bench = Bench::new();
    both!(bench, "list_empty", "list");
    both!(bench, "history_empty", "history");
    both!(bench, "status_none", "status");
}

#[test]
fn installations_are_listed_and_idle_ones_are_idle() {
    let bench = Bench::new();
    bench.install("shop");
    both!(bench, "status_idle", "status");
    bench.install("workshop");
    both!(bench, "list", "list");
    both!(bench, "status_which", "status");
    both!(bench, "status_named", "status", "workshop");
}

#[test]
fn an_upgrade_is_shown_from_waiting_to_done_and_known() {
    let bench = Bench::new();
    let shop = bench.install("shop");
    let id = bench.ask(&shop);
    both!(bench, "status_pending", "status");
    let mut worker = bench.worker(&shop, id);
    worker.go_to(State::Rehearsing);
    worker.show(43, "Trying the update on a copy of your data.");
    both!(bench, "status_active", "status");
    both!(bench, "list_active", "list");
    worker.go_to(State::Verifying);
    worker.end(Event::Advanced, Outcome::Success, "Everything that was there before is still there.", None);
    drop(worker);
    both!(bench, "status_complete", "status");
    both!(bench, "history_one", "history");
    both!(bench, "ack", "ack", &id.to_string());
    both!(bench, "status_acknowledged", "status");
    both!(bench, "status_upgrade_over", "status", "--upgrade", &id.to_string());
}

#[test]
fn an_upgrade_whose_worker_is_gone_is_interrupted_and_never_running() {
    let bench = Bench::new();
    let shop = bench.install("shop");
    let id = bench.ask(&shop);
    let mut worker = bench.worker(&shop, id);
    worker.go_to(State::Migrating);
    drop(worker);
    both!(bench, "status_interrupted", "status");
    let json = bench.run(&["status", "--json"]).json();
    assert_eq!(
        (&json["active"], &json["interrupted"], &json["holder"]),
        (&false.into(), &true.into(), &serde_json::Value::Null)
    );
}

#[test]
fn every_way_to_end_has_its_words_and_its_document() {
    let bench = Bench::new();
    let shop = bench.install("shop");
    let why = || {
        Error::failed("migration_failed", "The migration of 1.1.0 ended with an error.")
            .remedy("Tell its makers; the log has the last lines.")
            .detail("exit code 1")
    };
    let id = bench.ask(&shop);
    let mut worker = bench.worker(&shop, id);
    worker.go_to(State::Rehearsing);
    worker.end(Event::Broke, Outcome::Failed, "The rehearsal did not work.", Some(why()));
    drop(worker);
    both!(bench, "status_failed", "status");
    insta::assert_snapshot!("status_failed_verbose", bench.settled(&bench.run(&["status", "--verbose"]).shown()));

    let id = bench.ask(&shop);
    let mut worker = bench.worker(&shop, id);
    worker.go_to(State::Migrating);
    worker.journal.turn_back(Event::Broke, &why(), "Putting 1.0.0 and its data back in place.").unwrap();
    worker.end(Event::Advanced, Outcome::RolledBack, "Your data is as it was before the update.", Some(why()));
    drop(worker);
    both!(bench, "status_rolled_back", "status");

    let id = bench.ask(&shop);
    let mut worker = bench.worker(&shop, id);
    worker.go_to(State::Migrating);
    worker.journal.turn_back(Event::Broke, &why(), "Putting 1.0.0 and its data back in place.").unwrap();
    let stranded = Error::failed("rename_failed", "The original could not be put back.")
        .remedy("1. Start the database server.\n2. Run `liftlock resume`.");
    worker.end(Event::Stranded, Outcome::RollbackFailed, "Liftlock could not bring 1.0.0 back.", Some(stranded));
    drop(worker);
    both!(bench, "status_needs_attention", "status");
    both!(bench, "history_several", "history");
    both!(bench, "history_of_another", "history", "workshop");
}

#[test]
fn settings_are_shown_changed_refused_and_put_back() {
    let bench = Bench::new();
    both!(bench, "settings", "settings");
    both!(bench, "settings_one", "settings", "completion_ttl_minutes");
    both!(bench, "settings_changed", "settings", "completion_ttl_minutes", "15");
    both!(bench, "settings_bad", "settings", "completion_ttl_minutes", "soon");
    both!(bench, "settings_unknown", "settings", "colour");
    both!(bench, "settings_default", "settings", "completion_ttl_minutes", "--default");
}

#[test]
fn an_installation_is_forgotten_and_nothing_else() {
    let bench = Bench::new();
    let shop = bench.install("shop");
    std::fs::write(bench.folder("shop").join("kept"), "data").unwrap();
    insta::assert_snapshot!("remove", bench.settled(&bench.run(&["remove", "shop"]).shown()));
    insta::assert_snapshot!("remove_again", bench.settled(&bench.run(&["remove", "shop"]).shown()));
    assert!(bench.folder("shop").join("kept").exists());
    bench.install("workshop");
    insta::assert_snapshot!("remove_json", bench.settled(&bench.run(&["remove", "workshop", "--json"]).shown()));
    drop(shop);
}

#[test]
fn what_others_wrote_cannot_command_the_terminal() {
    let bench = Bench::new();
    let shop = bench.install("shop");
    let id = bench.ask(&shop);
    let mut worker = bench.worker(&shop, id);
    worker.show(10, "\x1b]0;owned\x07\x1b[2J\u{9b}31mred\r\u{202e}desrever");
    for args in [&["status"][..], &["status", "--json"], &["list"], &["status", "--verbose"]] {
        let answer = bench.run(args);
        let text = format!("{}{}", answer.out, answer.err);
        assert!(!text.chars().any(|c| c.is_control() && c != '\n' || c == '\u{202e}'), "{args:?}: {text:?}");
    }
}
