//! Watching an upgrade: what is printed, when it ends, and that the watcher is only a watcher.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use liftlock_engine::Error;
use liftlock_engine::model::state::{Event, State};
use liftlock_engine::state::upgrades::Outcome;

use crate::support::{Answer, Bench, wait_until};

#[test]
fn each_change_is_a_document_and_the_last_one_is_the_end() {
    let bench = Bench::new();
    let shop = bench.install("shop");
    let id = bench.ask(&shop);
    let mut worker = bench.worker(&shop, id);
    let mut watcher = bench.command(&["status", "--follow", "--json"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(watcher.stdout.take().unwrap()).lines();
    let mut next = || -> serde_json::Value { serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap() };
    assert_eq!(next()["state"], "pending");
    worker.go_to(State::Rehearsing);
    let mut seen = next();
    while seen["state"] != "rehearsing" {
        seen = next();
    }
    worker.go_to(State::Verifying);
    worker.end(Event::Advanced, Outcome::Success, "Everything that was there before is still there.", None);
    drop(worker);
    while seen["state"] != "complete" {
        seen = next();
    }
    assert_eq!(seen["receipt"]["html"], "/receipts/receipt.html");
    assert!(lines.next().is_none(), "nothing comes after the end");
    assert_eq!(watcher.wait().unwrap().code(), Some(0));
}

#[test]
fn the_exit_code_tells_the_outcome() {
    let why = || Error::failed("migration_failed", "The migration ended with an error.").remedy("Tell its makers.");
    for (code, name, end) in [
        (0, "follow_complete", State::Complete),
        (1, "follow_failed", State::Failed),
        (3, "follow_refused", State::Failed),
        (4, "follow_rolled_back", State::RolledBack),
        (5, "follow_needs_attention", State::NeedsAttention),
    ] {
        let bench = Bench::new();
        let shop = bench.install("shop");
        let id = bench.ask(&shop);
        let mut worker = bench.worker(&shop, id);
        match end {
            State::Complete => {
                worker.go_to(State::Verifying);
                worker.end(Event::Advanced, Outcome::Success, "Everything is still there.", None);
            }
            State::Failed if code == 3 => {
                let refused = Error::refused("unhealthy", "The database does not answer.").remedy("Start it.");
                worker.go_to(State::Checking);
                worker.end(Event::Broke, Outcome::Refused, "It was not begun.", Some(refused));
            }
            State::Failed => {
                worker.end(Event::Broke, Outcome::Failed, "It stopped before shop was touched.", Some(why()))
            }
            _ => {
                worker.go_to(State::Migrating);
                worker.journal.turn_back(Event::Broke, &why(), "Putting 1.0.0 back.").unwrap();
                let (event, outcome) = if end == State::RolledBack {
                    (Event::Advanced, Outcome::RolledBack)
                } else {
                    (Event::Stranded, Outcome::RollbackFailed)
                };
                worker.end(event, outcome, "It went back.", Some(why()));
            }
        }
        drop(worker);
        let answer = bench.run(&["status", "--follow", "--upgrade", &id.to_string()]);
        assert_eq!(answer.code, code, "{name}: {}", answer.shown());
        insta::assert_snapshot!(name, bench.settled(&answer.shown()));
    }
}

#[cfg(unix)]
#[test]
fn ctrl_c_ends_the_watching_and_not_the_upgrade() {
    let bench = Bench::new();
    let shop = bench.install("shop");
    let id = bench.ask(&shop);
    let worker = bench.worker(&shop, id);
    let mut watcher =
        bench.command(&["status", "--follow"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // Its first line shows that it watches.
    let mut first = String::new();
    BufReader::new(watcher.stdout.as_mut().unwrap()).read_line(&mut first).unwrap();
    assert!(first.contains("Waiting"), "{first}");
    let pid = watcher.id().to_string();
    wait_until("the signal arrives", || {
        assert!(std::process::Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
        watcher.try_wait().unwrap().is_some()
    });
    let answer: Answer = watcher.wait_with_output().unwrap().into();
    assert_eq!(answer.code, 130);
    insta::assert_snapshot!(bench.settled(&answer.err));
    assert_eq!(bench.db().upgrade(id).unwrap().finished_at, None);
    drop(worker);
}
