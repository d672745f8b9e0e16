//! Liftlock's own state, damaged on disk: what is known beside it comes back, and nothing unfinished goes on.

use std::fs;
use std::path::PathBuf;

use liftlock_engine::model::ids::{InstallationName, UpgradeId};
use liftlock_engine::model::state::{Event, State};
use liftlock_engine::state::Db;
use liftlock_engine::state::upgrades::Outcome;
use liftlock_engine::steps::touched::{self, Touched};

use crate::support::Bench;

/// A home with a past, and an upgrade in the middle of its migrations or before it changed anything.
struct Past {
    bench: Bench,
    shop: InstallationName,
    open: UpgradeId,
}

fn past(state: State) -> Past {
    let bench = Bench::new();
    let shop = bench.install("shop");
    let known = bench.db().installation(&shop).unwrap();
    fs::create_dir(bench.home().notes()).unwrap();
    let note = serde_json::json!({
        "name": "shop", "folder": known.folder, "profile": known.profile, "application": known.application,
        "version": known.version, "added_at": known.added_at
    });
    fs::write(bench.home().notes().join("shop.json"), note.to_string()).unwrap();
    for _ in 0..3 {
        let id = bench.ask(&shop);
        let mut worker = bench.worker(&shop, id);
        worker.go_to(State::Verifying);
        worker.end(Event::Advanced, Outcome::Success, "Corner Shop 1.1.0 is running.", None);
    }
    assert_eq!(bench.run(&["resume"]).code, 0, "the lines of the history are written");
    let open = bench.ask(&shop);
    let mut worker = bench.worker(&shop, open);
    worker.go_to(state);
    for number in 0..40 {
        worker.journal.log(&format!("line {number} of a long log"), chrono::Utc::now()).unwrap();
    }
    drop(worker);
    let asked = serde_json::json!({
        "installation": "shop", "component": "app", "to": "1.1.0", "options": {}, "initiated_by": "tester",
        "created_at": chrono::Utc::now()
    });
    fs::create_dir_all(bench.home().upgrade(open)).unwrap();
    fs::write(bench.home().upgrade(open).join("asked.json"), asked.to_string()).unwrap();
    if !state.is_before_change() {
        let way = Touched { from: "1.0.0".to_owned(), to: "1.1.0".to_owned() };
        touched::mark(&bench.home(), open, &way).unwrap();
    }
    bench.db().checkpoint().unwrap();
    Past { bench, shop, open }
}

fn quarantined(bench: &Bench) -> Vec<PathBuf> {
    let folder = bench.home().root().join("quarantine");
    fs::read_dir(folder).into_iter().flatten().map(|it| it.unwrap().path()).collect()
}

fn results(bench: &Bench) -> Vec<String> {
    let records = bench.db().history_records().unwrap();
    records.into_iter().map(|(_, it)| it["result"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_file_without_a_beginning_is_put_aside_and_everything_known_beside_it_comes_back() {
    let Past { bench, open, .. } = past(State::Migrating);
    let file = bench.home().database();
    let mut bytes = fs::read(&file).unwrap();
    bytes[..4096].fill(0xA5);
    fs::write(&file, &bytes).unwrap();

    let status = bench.run(&["status", "--json"]).json();
    assert_eq!((&status["state"], &status["error"]["class"]), (&"needs_attention".into(), &"state_rebuilt".into()));
    assert_eq!((&status["from"], &status["to"]), (&"1.0.0".into(), &"1.1.0".into()));
    assert_eq!(bench.run(&["list", "--json"]).json()["installations"][0]["name"], "shop");
    assert_eq!(results(&bench), ["success", "success", "success", "rollback_failed"]);
    assert_eq!(bench.run(&["resume"]).code, 0);
    assert_eq!(bench.run(&["history", "--verify"]).code, 0);
    // The damaged file is there for whoever wants to look, as it was.
    let aside = quarantined(&bench);
    assert_eq!(aside.len(), 1, "{aside:?}");
    assert!(fs::read(aside[0].join("liftlock.db")).unwrap() == bytes);
    let doctor = bench.run(&["doctor"]);
    assert_eq!(doctor.code, 0, "{}", doctor.shown());
    assert!(doctor.out.contains("was damaged and was made anew"), "{}", doctor.shown());
    // What was changed is not known any more, so nothing pretends to take it back.
    let answer = bench.run(&["rollback", "shop", "--yes", "--json"]);
    assert_eq!((answer.code, &answer.json()["error"]["class"]), (3, &"journal_lost".into()), "{}", answer.shown());
    assert_eq!(bench.run(&["work", &open.to_string()]).code, 0, "nothing goes on");
    assert_eq!(bench.db().upgrade(open).unwrap().state, State::NeedsAttention);
}

#[test]
fn what_had_changed_nothing_yet_has_ended() {
    let Past { bench, open, .. } = past(State::BackingUp);
    fs::write(bench.home().database(), "not a database at all").unwrap();
    let status = bench.run(&["status", "--upgrade", &open.to_string(), "--json"]).json();
    assert_eq!((&status["state"], &status["error"]["class"]), (&"failed".into(), &"state_rebuilt".into()), "{status}");
    assert_eq!(results(&bench), ["success", "success", "success", "failed"]);
}

#[test]
fn a_file_that_is_gone_is_made_anew() {
    let Past { bench, open, .. } = past(State::Migrating);
    for name in ["liftlock.db", "liftlock.db-wal", "liftlock.db-shm"] {
        let _ = fs::remove_file(bench.home().root().join(name));
    }
    assert_eq!(bench.run(&["status", "--json"]).json()["state"], "needs_attention");
    assert_eq!(bench.db().upgrade(open).unwrap().state, State::NeedsAttention);
}

#[test]
fn a_damage_anywhere_is_found_or_harmless_and_never_a_silent_success() {
    let Past { bench, shop, open } = past(State::Migrating);
    let file = bench.home().database();
    let whole = fs::read(&file).unwrap();
    let history = fs::read(bench.home().history()).unwrap();
    let mut rebuilt = 0;
    let pages = whole.len() / 4096;
    for page in 0..pages {
        for beside in ["-wal", "-shm"] {
            let _ = fs::remove_file(bench.home().root().join(format!("liftlock.db{beside}")));
        }
        let _ = fs::remove_dir_all(bench.home().root().join("quarantine"));
        fs::write(bench.home().history(), &history).unwrap();
        let mut bytes = whole.clone();
        for byte in &mut bytes[page * 4096 + 8..page * 4096 + 600] {
            *byte ^= 0x5A;
        }
        fs::write(&file, bytes).unwrap();
        let doctor = bench.run(&["doctor"]);
        assert_eq!(doctor.code, 0, "page {page}: {}", doctor.shown());
        let db = Db::open(&bench.home()).unwrap();
        db.expect_sound().unwrap_or_else(|error| panic!("page {page}: {error:?}"));
        assert_eq!(db.installation(&shop).unwrap().name, shop, "page {page}");
        let upgrade = db.upgrade(open).unwrap();
        let is_rebuilt = !quarantined(&bench).is_empty();
        rebuilt += usize::from(is_rebuilt);
        let wanted = if is_rebuilt { State::NeedsAttention } else { State::Migrating };
        assert_eq!(upgrade.state, wanted, "page {page}");
        let successes = db.history_records().unwrap().iter().filter(|it| it.1["result"] == "success").count();
        assert_eq!(successes, 3, "page {page}");
    }
    assert!(rebuilt > pages / 3, "{rebuilt} of {pages} pages matter");
}

#[test]
fn nothing_is_made_anew_under_a_worker() {
    let Past { bench, .. } = past(State::Migrating);
    let worker = bench.home().lock_schema_shared().unwrap();
    let mut bytes = fs::read(bench.home().database()).unwrap();
    bytes[..4096].fill(0xA5);
    fs::write(bench.home().database(), &bytes).unwrap();
    let answer = bench.run(&["status", "--json"]);
    assert_eq!((answer.code, &answer.json()["error"]["class"]), (6, &"state_busy".into()), "{}", answer.shown());
    assert!(fs::read(bench.home().database()).unwrap() == bytes);
    drop(worker);
    assert_eq!(bench.run(&["status", "--json"]).json()["state"], "needs_attention");
}

#[test]
fn an_interrupted_rebuilding_is_gone_on_with() {
    let Past { bench, open, .. } = past(State::Migrating);
    // Ended after the damaged file was copied, and before the new one took its place: what is there looks whole.
    let aside = bench.home().root().join("quarantine/earlier");
    fs::create_dir_all(&aside).unwrap();
    fs::write(aside.join("liftlock.db"), "not a database at all").unwrap();
    fs::write(bench.home().root().join("rebuilding"), aside.to_str().unwrap()).unwrap();
    assert_eq!(bench.run(&["status", "--json"]).json()["state"], "needs_attention");
    assert!(!bench.home().root().join("rebuilding").exists());
    assert_eq!(bench.db().upgrade(open).unwrap().state, State::NeedsAttention);
}
