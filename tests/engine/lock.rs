//! The administrator lock: what it guards, what it leaves open, and how it is opened.

#![allow(clippy::unwrap_used, reason = "what cannot be set up fails its test")]

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use chrono::{TimeDelta, Utc};
use liftlock_engine::clock::FixedClock;
use liftlock_engine::engine::AddRequest;
use liftlock_engine::model::ids::{InstallationName, UpgradeId};
use liftlock_engine::ports::Clock;
use liftlock_engine::state::Db;
use liftlock_engine::state::home::Home;
use liftlock_engine::state::installations::Installation;
use liftlock_engine::state::upgrades::Options;
use liftlock_engine::{Engine, Result};
use zeroize::Zeroizing;

const WORD: &str = "correct horse";

struct Bench {
    root: tempfile::TempDir,
    clock: Arc<FixedClock>,
}

impl Bench {
    fn new() -> Self {
        Self { root: tempfile::tempdir().unwrap(), clock: Arc::new(FixedClock::at(Utc::now())) }
    }

    fn home(&self) -> Home {
        Home::at(self.root.path().join("home"))
    }

    /// As another process would have it: it knows nothing of what this one has unlocked.
    fn engine(&self) -> Engine {
        Engine::at(self.home()).with_clock(self.clock.clone())
    }

    /// An installation with an update that was asked for.
    fn with_update(&self) -> (InstallationName, UpgradeId) {
        let name: InstallationName = "shop".parse().unwrap();
        let folder = self.root.path().join("shop");
        std::fs::create_dir(&folder).unwrap();
        let mut db = Db::open(&self.home()).unwrap();
        db.add_installation(&Installation {
            name: name.clone(),
            folder,
            profile: liftlock_engine::profiles::text_of("corner-shop").unwrap(),
            application: "corner-shop".to_owned(),
            version: Some("1.0.0".to_owned()),
            added_at: self.clock.now(),
        })
        .unwrap();
        let id = db.ask_for_upgrade(&name, "app", "1.1.0", &Options::default(), "tester", self.clock.now()).unwrap();
        (name, id)
    }

    fn pass(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }
}

fn class<T: std::fmt::Debug>(answer: Result<T>) -> String {
    answer.unwrap_err().class.into_owned()
}

/// Every verb that changes an application, its data or the settings, called on an engine.
fn guarded(engine: &Engine, name: &InstallationName, id: UpgradeId) -> Vec<(&'static str, Result<()>)> {
    let request = AddRequest { profile: "corner-shop".to_owned(), folder: PathBuf::from("/nowhere"), name: None };
    let options = Options::default();
    vec![
        ("add", engine.add(&request).map(drop)),
        ("start_upgrade", engine.start_upgrade(name, None, &options, "tester").map(drop)),
        ("cancel", engine.cancel(id).map(drop)),
        ("retry", engine.retry(id, "tester").map(drop)),
        ("settle", engine.settle(id).map(drop)),
        ("rollback", engine.rollback(name, true).map(drop)),
        ("restore", engine.restore(name, &PathBuf::from("/nowhere"), "RESTORE", "tester").map(drop)),
        ("prune", engine.prune(name).map(drop)),
        ("unpin", engine.pin_backup(&PathBuf::from("/nowhere"), false).map(drop)),
        ("schedule_backups", engine.schedule_backups(name, "0 3 * * *").map(drop)),
        ("unschedule_backups", engine.unschedule_backups(name)),
        ("choose", engine.choose("keep_originals_days", Some("1"))),
        ("set_lock", engine.set_lock("another one").map(drop)),
        ("remove", engine.remove(name)),
    ]
}

#[test]
fn while_locked_every_change_is_refused_and_everything_can_be_seen() {
    let bench = Bench::new();
    let (name, id) = bench.with_update();
    bench.engine().set_lock(WORD).unwrap();
    let engine = bench.engine();
    let state = || (engine.settings().unwrap(), engine.upgrade_status(id).unwrap(), engine.installations().unwrap());
    let before = state();
    for (verb, answer) in guarded(&engine, &name, id) {
        let error = answer.unwrap_err();
        assert_eq!((error.class.as_ref(), error.exit_code()), ("locked", 3), "{verb}");
        assert!(!error.remedy.is_empty());
    }
    assert_eq!(state(), before, "something was changed");
    engine.notices().unwrap();
    engine.history(None).unwrap();
    engine.backups(None).unwrap();
    assert_eq!(engine.status(&name).map(drop), Ok(()));
}

#[test]
fn unlocked_each_of_them_is_heard() {
    let bench = Bench::new();
    let (name, id) = bench.with_update();
    bench.engine().set_lock(WORD).unwrap();
    let engine = bench.engine().with_worker(PathBuf::from("/nowhere/liftlock"));
    engine.unlock(WORD).unwrap();
    for (verb, answer) in guarded(&engine, &name, id) {
        assert!(answer.as_ref().err().is_none_or(|it| it.class != "locked"), "{verb}: {answer:?}");
    }
}

#[test]
fn a_clone_shares_what_was_unlocked_and_another_process_does_not() {
    let bench = Bench::new();
    let engine = bench.engine();
    engine.set_lock(WORD).unwrap();
    assert!(!engine.lock_state().unwrap().locked, "who set it has shown that they may");
    let clone = engine.clone();
    clone.choose("keep_originals_days", Some("3")).unwrap();
    assert!(bench.engine().lock_state().unwrap().locked);
    clone.lock().unwrap();
    assert_eq!(class(engine.choose("keep_originals_days", Some("4"))), "locked");
}

#[test]
fn it_locks_itself_when_it_was_not_used_for_a_while() {
    let bench = Bench::new();
    let engine = bench.engine();
    engine.set_lock(WORD).unwrap();
    for _ in 0..3 {
        bench.pass(14 * 60);
        engine.choose("keep_originals_days", Some("3")).unwrap();
    }
    bench.pass(15 * 60);
    assert_eq!(class(engine.choose("keep_originals_days", Some("4"))), "locked");
    // A machine that was started anew counts from nothing again.
    engine.unlock(WORD).unwrap();
    bench.clock.reboot("boot-2");
    assert!(engine.lock_state().unwrap().locked);
}

#[test]
fn each_wrong_try_makes_the_next_wait_longer_whichever_process_asks() {
    let bench = Bench::new();
    bench.engine().set_lock(WORD).unwrap();
    let mut waits = Vec::new();
    for _ in 0..12 {
        assert_eq!(class(bench.engine().unlock("wrong horse")), "wrong_passphrase");
        let view = bench.engine().lock_state().unwrap();
        let wait = (view.next_try_at.unwrap() - bench.clock.now()).num_seconds();
        waits.push(wait);
        bench.pass(u64::try_from(wait).unwrap() - 1);
        let early = bench.engine().unlock(WORD).unwrap_err();
        assert_eq!(
            (early.class.as_ref(), early.message.contains("Next try in 1 second.")),
            ("wait_for_next_try", true)
        );
        bench.pass(1);
    }
    assert_eq!(waits, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]);
    assert!(!bench.engine().unlock(WORD).unwrap().locked);
    assert_eq!(class(bench.engine().unlock("wrong horse")), "wrong_passphrase");
    let view = bench.engine().lock_state().unwrap();
    assert_eq!((view.next_try_at.unwrap() - bench.clock.now()).num_seconds(), 1, "the right one has cleared the count");
}

#[test]
fn a_clock_that_is_set_back_shuts_nobody_out() {
    let bench = Bench::new();
    bench.engine().set_lock(WORD).unwrap();
    bench.engine().unlock("wrong horse").unwrap_err();
    bench.clock.set_wall(bench.clock.now() - TimeDelta::days(3650));
    bench.engine().unlock(WORD).unwrap();
}

#[test]
fn ten_who_guess_at_once_have_one_try() {
    let bench = Bench::new();
    bench.engine().set_lock(WORD).unwrap();
    let guessing: Vec<_> = (0..10)
        .map(|_| {
            let engine = bench.engine();
            std::thread::spawn(move || class(engine.unlock("wrong horse")))
        })
        .collect();
    let answers: Vec<_> = guessing.into_iter().map(|it| it.join().unwrap()).collect();
    assert_eq!(answers.iter().filter(|it| *it == "wrong_passphrase").count(), 1, "{answers:?}");
}

#[test]
fn the_recovery_code_opens_it_and_a_new_passphrase_ends_the_old_words() {
    let bench = Bench::new();
    let code = bench.engine().set_lock(WORD).unwrap();
    let engine = bench.engine();
    engine.unlock(&code.to_lowercase()).unwrap();
    let other = bench.engine();
    other.unlock(WORD).unwrap();
    engine.set_lock("battery staple").unwrap();
    assert!(other.lock_state().unwrap().locked, "what opened the old lock does not open the new one");
    for old in [WORD, code.as_str()] {
        assert_eq!(class(bench.engine().unlock(old)), "wrong_passphrase");
        bench.pass(300);
    }
    bench.engine().unlock("battery staple").unwrap();
}

#[test]
fn removing_it_asks_even_where_it_is_unlocked() {
    let bench = Bench::new();
    let engine = bench.engine();
    assert_eq!(class(engine.remove_lock(WORD)), "no_lock");
    engine.set_lock(WORD).unwrap();
    assert_eq!(class(engine.remove_lock("wrong horse")), "wrong_passphrase");
    assert!(engine.lock_state().unwrap().set);
    bench.pass(1);
    assert!(!engine.remove_lock(WORD).unwrap().set);
    bench.engine().choose("keep_originals_days", Some("3")).unwrap();
}

#[test]
fn a_face_is_asked_only_when_the_passphrase_is_needed() {
    let bench = Bench::new();
    let never = bench.engine().asking(|| panic!("nobody had to be asked"));
    never.choose("keep_originals_days", Some("3")).unwrap();
    bench.engine().set_lock(WORD).unwrap();
    never.settings().unwrap();
    let asked = bench.engine().asking(|| Ok(Some(Zeroizing::new(WORD.to_owned()))));
    asked.choose("keep_originals_days", Some("4")).unwrap();
    let nobody = bench.engine().asking(|| Ok(None));
    assert_eq!(class(nobody.choose("keep_originals_days", Some("5"))), "locked");
}

#[test]
fn short_passphrases_are_refused_and_none_stands_in_the_file() {
    let bench = Bench::new();
    for bad in ["", "seven77", &"x".repeat(1025)] {
        assert_eq!(class(bench.engine().set_lock(bad)), "bad_passphrase");
    }
    assert!(!bench.engine().lock_state().unwrap().set);
    let code = bench.engine().set_lock(WORD).unwrap();
    for file in std::fs::read_dir(bench.home().root()).unwrap().map(|it| it.unwrap().path()).filter(|it| it.is_file()) {
        let bytes = std::fs::read(&file).unwrap();
        for word in [WORD, code.as_str(), &code.replace('-', "")] {
            assert!(!bytes.windows(word.len()).any(|it| it == word.as_bytes()), "{word} stands in {}", file.display());
        }
    }
}
