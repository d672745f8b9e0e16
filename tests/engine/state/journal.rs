//! What a worker writes, and that one who has lost the lease writes nothing.

use chrono::Utc;
use liftlock_engine::error::{Error, Result};
use liftlock_engine::model::state::{Event, State};
use liftlock_engine::state::journal::{Direction, Ending, Journal, Pulse, RunOutcome, StepKey, runs_of};
use liftlock_engine::state::upgrades::Outcome;
use serde_json::json;

use crate::support::{Bench, this_process};

fn key(step: &str) -> StepKey {
    StepKey { step: step.to_owned(), component: String::new(), store: "main".to_owned() }
}

fn ending(outcome: Outcome) -> Ending {
    Ending {
        outcome,
        message: "It ended.".to_owned(),
        error: None,
        receipt: None,
        boot_id: "boot-1".to_owned(),
        uptime: 3600.0,
    }
}

/// A way in which a stale worker tries to write.
type Write = (&'static str, fn(&mut Journal, i64) -> Result<()>);

#[test]
fn a_worker_that_has_lost_its_lease_changes_no_row_whatever_it_writes() {
    let writes: &[Write] = &[
        ("upgrade", |it, _| it.upgrade().map(drop)),
        ("intend", |it, _| it.intend(Direction::Forward, State::Applying, &key("x"), &json!({}), Utc::now()).map(drop)),
        ("amend", |it, run| it.amend(run, &json!({"late": true}))),
        ("conclude", |it, run| it.conclude(run, RunOutcome::Done, &json!({}), None, None, Utc::now())),
        ("conclude and move", |it, run| {
            it.conclude(run, RunOutcome::Done, &json!({}), None, Some(Event::Advanced), Utc::now())
        }),
        ("advance", |it, _| it.advance(Event::Advanced)),
        ("turn_back", |it, _| it.turn_back(Event::Broke, &Error::failed("x", "x"), "x")),
        ("end", |it, _| it.end(Event::Broke, &ending(Outcome::Failed), Utc::now()).map(drop)),
        ("is_cancelled", |it, _| it.is_cancelled().map(drop)),
        ("show", |it, _| {
            it.show(
                99,
                "late",
                &Pulse { boot_id: "boot-1".to_owned(), uptime: 1.0, moved: 1.0, deadline: 1.0, rate: None },
            )
        }),
        ("set_versions", |it, _| it.set_versions("9", "9")),
        ("set_backup", |it, _| it.set_backup("/late")),
        ("log", |it, _| it.log("late", Utc::now())),
        ("set_away", |it, _| it.set_away(Some(Utc::now()), Some(Utc::now()))),
    ];
    for (name, write) in writes {
        let bench = Bench::new();
        let id = bench.ask();
        let mut stale = bench.take_up(id, 1);
        stale.advance(Event::Advanced).unwrap();
        let run = stale.intend(Direction::Forward, State::Checking, &key("look"), &json!({}), Utc::now()).unwrap();
        let _second = bench.take_up(id, 2);
        let db = bench.db();
        let all = || {
            let log = db.log_lines(id, 0, 100).unwrap();
            (db.upgrade(id).unwrap(), runs_of(&db, id).unwrap(), db.history_records().unwrap(), log)
        };
        let before = all();
        let error = write(&mut stale, run).expect_err(name);
        assert_eq!((error.class.as_ref(), error.exit_code()), ("lease_lost", 6), "{name}");
        assert_eq!(before, all(), "{name} has changed something");
    }
}

#[test]
fn an_epoch_is_never_taken_up_twice_nor_backwards() {
    let bench = Bench::new();
    let id = bench.ask();
    let _second = bench.take_up(id, 2);
    for epoch in [1, 2] {
        let error = Journal::take_up(bench.db(), id, epoch, &this_process(), Utc::now()).unwrap_err();
        assert_eq!(error.class, "lease_lost");
    }
    assert_eq!(bench.take_up(id, 3).upgrade().unwrap().restarts, 1);
}

#[test]
fn a_try_that_was_cut_short_stays_written_and_the_next_one_is_counted() {
    let bench = Bench::new();
    let id = bench.ask();
    let mut first = bench.take_up(id, 1);
    first.intend(Direction::Forward, State::Checking, &key("copy"), &json!({"to": "a"}), Utc::now()).unwrap();
    let mut second = bench.take_up(id, 2);
    let run =
        second.intend(Direction::Forward, State::Checking, &key("copy"), &json!({"to": "b"}), Utc::now()).unwrap();
    second.conclude(run, RunOutcome::Done, &json!({"rows": 3}), None, None, Utc::now()).unwrap();
    let runs = second.runs().unwrap();
    let told: Vec<_> = runs.iter().map(|it| (it.attempt, it.outcome.unwrap(), it.intent["to"].clone())).collect();
    assert_eq!(told, [(1, RunOutcome::Interrupted, json!("a")), (2, RunOutcome::Done, json!("b"))]);
    let again = second.conclude(run, RunOutcome::Failed, &json!({}), None, None, Utc::now());
    assert_eq!(again.unwrap_err().class, "lease_lost", "an outcome is written once");
}

#[test]
fn an_outcome_and_an_illegal_move_are_written_together_or_not_at_all() {
    let bench = Bench::new();
    let id = bench.ask();
    let mut journal = bench.take_up(id, 1);
    let run = journal.intend(Direction::Forward, State::Checking, &key("look"), &json!({}), Utc::now()).unwrap();
    let before = journal.upgrade().unwrap();
    let error =
        journal.conclude(run, RunOutcome::Done, &json!({}), None, Some(Event::SettledNew), Utc::now()).unwrap_err();
    assert_eq!(error.class, "illegal_transition");
    assert_eq!(journal.runs().unwrap()[0].outcome, None);
    assert_eq!(journal.upgrade().unwrap(), before);
}

#[test]
fn the_history_has_each_outcome_once_however_often_it_is_reached() {
    let bench = Bench::new();
    let id = bench.ask();
    let mut journal = bench.take_up(id, 1);
    for _ in State::FORWARD.iter().take_while(|it| **it < State::Migrating) {
        journal.advance(Event::Advanced).unwrap();
    }
    journal.advance(Event::Broke).unwrap();
    for _ in 0..3 {
        journal.end(Event::Stranded, &ending(Outcome::RollbackFailed), Utc::now()).unwrap();
        journal.reopen(Event::RollbackRetried).unwrap();
    }
    journal.end(Event::Advanced, &ending(Outcome::RolledBack), Utc::now()).unwrap();
    let again = journal.end(Event::Advanced, &ending(Outcome::RolledBack), Utc::now());
    assert_eq!(again.unwrap_err().class, "illegal_transition");
    let results: Vec<_> = bench
        .db()
        .history_records()
        .unwrap()
        .into_iter()
        .map(|(_, it)| it["result"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(results, ["rollback_failed", "rolled_back"]);
}

#[test]
fn an_installation_has_one_open_upgrade_and_the_second_is_told_about_the_first() {
    let bench = Bench::new();
    let id = bench.ask();
    let ask = || {
        let mut db = bench.db();
        db.ask_for_upgrade(&bench.shop, "app", "1.2.0", &Default::default(), "other", Utc::now()).unwrap_err()
    };
    let waiting = ask();
    assert_eq!((waiting.class.as_ref(), waiting.exit_code()), ("busy", 6));
    assert!(waiting.message.contains("asked for by tester"), "{}", waiting.message);
    let mut journal = bench.take_up(id, 1);
    let said = ask();
    let lock = bench.home.lock_file(&bench.shop).display().to_string();
    for fact in [&std::process::id().to_string(), "keeper", "harbour", "2026-09-21 14:13:20 UTC"] {
        assert!(said.message.contains(fact), "{fact} is missing in: {}", said.message);
    }
    assert!(said.remedy.contains(&lock) && said.remedy.contains(&id.to_string()), "{}", said.remedy);
    journal.advance(Event::Broke).unwrap_err();
    journal.end(Event::Broke, &ending(Outcome::Failed), Utc::now()).unwrap();
    bench.ask();
}

#[test]
fn an_upgrade_that_needs_a_person_keeps_the_next_one_out() {
    let bench = Bench::new();
    let id = bench.ask();
    let mut journal = bench.take_up(id, 1);
    for _ in State::FORWARD.iter().take_while(|it| **it < State::Migrating) {
        journal.advance(Event::Advanced).unwrap();
    }
    journal.advance(Event::Broke).unwrap();
    journal.end(Event::Stranded, &ending(Outcome::RollbackFailed), Utc::now()).unwrap();
    let mut db = bench.db();
    let error = db.ask_for_upgrade(&bench.shop, "app", "1.2.0", &Default::default(), "other", Utc::now()).unwrap_err();
    assert_eq!((error.class.as_ref(), error.exit_code()), ("needs_attention", 3));
    assert!(error.remedy.contains(&format!("liftlock settle {id}")), "{}", error.remedy);
    assert_eq!(db.remove_installation(&bench.shop).unwrap_err().exit_code(), 6);
}
