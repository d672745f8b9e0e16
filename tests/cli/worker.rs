//! The worker as a process: who may be it, and what becomes of an upgrade whose worker cannot work.

use liftlock_engine::model::state::{Event, State};
use liftlock_engine::state::upgrades::Outcome;

use crate::support::Bench;

#[test]
fn an_upgrade_that_has_ended_needs_no_worker() {
    let bench = Bench::new();
    let shop = bench.install("shop");
    let id = bench.ask(&shop);
    let mut worker = bench.worker(&shop, id);
    worker.go_to(State::Verifying);
    worker.end(Event::Advanced, Outcome::Success, "Corner Shop 1.1.0 is running.", None);
    drop(worker);
    let answer = bench.run(&["work", &id.to_string()]);
    assert_eq!((answer.code, answer.out.as_str()), (0, ""), "{}", answer.shown());
    assert_eq!(bench.db().history_records().unwrap().len(), 1);
}

#[test]
fn a_second_worker_says_who_works_and_leaves_everything_alone() {
    let bench = Bench::new();
    let shop = bench.install("shop");
    let id = bench.ask(&shop);
    let mut worker = bench.worker(&shop, id);
    worker.go_to(State::Rehearsing);
    let before = bench.db().upgrade(id).unwrap();
    let answer = bench.run(&["work", &id.to_string()]);
    assert_eq!(answer.code, 6, "{}", answer.shown());
    assert!(
        answer.err.contains("class=busy") && answer.err.contains(&std::process::id().to_string()),
        "{}",
        answer.err
    );
    assert_eq!(bench.db().upgrade(id).unwrap(), before);
    // The same for one who asks for an upgrade of their own.
    let answer = bench.run(&["upgrade", "shop", "--yes", "--json"]);
    assert_eq!(answer.code, 6, "{}", answer.shown());
    let error = &answer.json()["error"];
    let said = format!("{} {}", error["message"], error["remedy"]);
    let lock = bench.home().lock_file(&shop).display().to_string();
    for fact in [&std::process::id().to_string(), "keeper", "2026-09-21 14:13:20 UTC", &lock] {
        assert!(said.contains(fact), "{fact} is missing in: {said}");
    }
    worker.journal.advance(Event::Advanced).unwrap();
}

#[test]
fn a_worker_that_ends_before_its_time_is_replaced_three_times_and_then_a_person_is_told_why() {
    let bench = Bench::new();
    let shop = bench.install("shop");
    let id = bench.ask(&shop);
    // Taken away behind Liftlock's back, so that no worker gets to where it could record its end.
    let conn = rusqlite::Connection::open(bench.home().database()).unwrap();
    conn.execute("DELETE FROM installation", []).unwrap();
    drop(conn);
    let answer = bench.run(&["resume", &id.to_string()]);
    assert_eq!(answer.code, 1, "{}", answer.shown());
    insta::assert_snapshot!("worker_replaced", bench.settled(&answer.err));
    let told = bench.run(&["status", "--follow", "--upgrade", &id.to_string(), "--json"]);
    let last: serde_json::Value = serde_json::from_str(told.out.lines().last().unwrap()).unwrap();
    assert_eq!((told.code, &last["error"]["class"]), (1, &"interrupted".into()), "{}", told.shown());
    assert!(last["error"]["details"].to_string().contains("no installation called shop"), "{}", told.shown());
}
