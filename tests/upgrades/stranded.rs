//! An upgrade that waits for a person: returning to a backup is one of its ways out.

use liftlock_engine::error::Error;
use liftlock_engine::model::state::{Event, State};
use liftlock_engine::state::journal::{Ending, Journal};
use liftlock_engine::state::lease::{Holder, Lease};
use liftlock_engine::state::upgrades::Outcome;

use rustix::process::Signal;
use serde_json::Value;

use crate::support::{Case, Ended, Exit, Expected, World, judge, limit, signal};

/// Leaves an upgrade at this point, as a rollback that could not finish would.
fn strand(case: &Case<'_>, at: &str) -> liftlock_engine::model::ids::UpgradeId {
    let id = case.ask("1.1.0");
    let mut worker = case.worker(id, &[at.to_owned()]);
    case.end_of(&mut worker);
    let mut db = case.db();
    let folder = db.installation(&case.name).unwrap().folder;
    let identity = liftlock_engine::process::Identity::of_self().unwrap();
    let holder = Holder {
        pid: identity.pid,
        started_ticks: identity.start_ticks,
        started_at: chrono::Utc::now(),
        boot_id: identity.boot_id,
        host: "here".to_owned(),
        user: "a test".to_owned(),
        doing: "upgrade".to_owned(),
    };
    let lease = Lease::take(&mut db, &case.home, &case.name, &folder, &holder).unwrap();
    let mut journal = Journal::take_up(db, id, lease.epoch, &holder, chrono::Utc::now()).unwrap();
    let ending = Ending {
        outcome: Outcome::RollbackFailed,
        message: "It needs you.".to_owned(),
        error: Some(Error::failed("a_test", "It was stranded by a test.").remedy("Return to a backup.")),
        receipt: None,
        boot_id: "boot".to_owned(),
        uptime: 1.0,
    };
    journal.end(Event::Stranded, &ending, chrono::Utc::now()).unwrap();
    id
}

#[test]
fn returning_to_a_backup_settles_what_waited_for_a_person() {
    let world = World::with(&["1.1.0"]);
    // The original closed beside its copy; the migrated copy in the original's place; the new release, behind the gate.
    for at in [
        "forward/set_aside:database/after_effect",
        "forward/swap:database/after_effect",
        "forward/start_behind_gate/after_effect",
    ] {
        world.reset();
        let case = world.case();
        let id = strand(&case, at);
        // Nothing else can be begun.
        let (code, answer) = case.answer(&["upgrade", "--yes"]);
        assert_eq!((code, &answer["error"]["class"]), (3, &"needs_attention".into()), "{answer:#}");
        let backup = case.upgrade(id).backup.unwrap();
        let (code, answer) =
            case.answer(&["backup", "restore", case.name.as_str(), &backup, "--accept-loss-of-new-work"]);
        assert_eq!((code, &answer["state"]), (0, &"complete".into()), "{at}: {answer:#}");
        let settled = case.upgrade(id);
        assert_eq!((settled.state, settled.result.as_deref()), (State::RolledBack, Some("rolled_back")), "{at}");
        assert_eq!(world.version().as_deref(), Some("1.0.0"), "{at}");
        assert_eq!(world.demo(&["hash"])["content"], world.before["content"], "{at}");
        let (_, history) = case.answer(&["history"]);
        let results: Vec<_> = history["outcomes"].as_array().unwrap().iter().map(|it| it["result"].clone()).collect();
        assert_eq!(results, ["rolled_back", "success", "rollback_failed"], "{at}");
        // And the way to the next release is open.
        let (code, answer) = case.answer(&["upgrade", "--yes", "--to", "1.1.0"]);
        assert_eq!((code, &answer["state"]), (0, &"complete".into()), "{at}: {answer:#}");
    }
}

#[test]
fn a_return_that_does_not_work_leaves_what_waited_for_a_person_waiting() {
    let world = World::with(&["1.1.0"]);
    let case = world.case();
    let id = strand(&case, "forward/swap:database/after_effect");
    let backup = case.upgrade(id).backup.unwrap();
    let dump = std::path::Path::new(&backup).join("database.dump.gz");
    let mut bytes = std::fs::read(&dump).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x55;
    std::fs::write(&dump, bytes).unwrap();
    let (code, answer) = case.answer(&["backup", "restore", case.name.as_str(), &backup, "--accept-loss-of-new-work"]);
    assert_eq!((code, &answer["state"]), (1, &"failed".into()), "{answer:#}");
    assert_eq!(case.upgrade(id).state, State::NeedsAttention);
    assert_eq!(case.answer(&["status"]).1["upgrade_id"], id.to_string());
    // The usual way out is as open as before.
    let (code, answer) = case.answer(&["rollback", "--yes", "--accept-loss-of-new-work"]);
    assert_eq!((code, &answer["state"]), (0, &"rolled_back".into()), "{answer:#}");
    assert_eq!(world.demo(&["hash"])["content"], world.before["content"]);
}

/// An upgrade whose way back cannot be finished because of what somebody has done meanwhile; answers what a person is
/// told to type.
fn fails_to_go_back(case: &Case<'_>, meddle: impl FnOnce()) -> (liftlock_engine::model::ids::UpgradeId, Vec<String>) {
    let id = case.ask("1.5.0");
    let mut worker = case.frozen(id, "back/verify/before_intent");
    meddle();
    signal(worker.id(), Signal::CONT);
    assert_eq!(case.end_of(&mut worker), Exit::Code(0), "{}", case.story(id));
    let upgrade = case.upgrade(id);
    assert_eq!(upgrade.state, State::NeedsAttention, "{}", case.story(id));
    let receipt: Value = serde_json::from_slice(&std::fs::read(upgrade.receipt.unwrap()).unwrap()).unwrap();
    let told = receipt["attention"]["commands"].as_array().unwrap();
    let status = case.answer(&["status"]).1;
    assert_eq!(status["state"], "needs_attention");
    (id, told.iter().map(|it| it.as_str().unwrap().to_owned()).collect())
}

/// Types a command exactly as it was told.
fn typed(case: &Case<'_>, command: &str) -> (i32, Value) {
    let words: Vec<&str> = command.split(' ').collect();
    assert_eq!(words[0], "liftlock", "{command}");
    case.answer(&words[1..])
}

#[test]
fn a_way_back_that_fails_says_what_to_type_and_typing_it_brings_the_old_version_back() {
    let world = World::with(&["1.5.0"]);
    let case = world.case_with(|it| limit(it, "start_within", "10s"));
    let (id, told) = fails_to_go_back(&case, || {
        world.sql("postgres", "ALTER ROLE corner_shop NOCREATEDB");
    });
    let backup = case.upgrade(id).backup.unwrap();
    assert_eq!(
        told,
        [
            format!("liftlock rollback {}", case.name),
            format!("liftlock check {}", case.name),
            format!("liftlock settle {id}"),
            format!("liftlock backup restore {} {backup} --accept-loss-of-new-work", case.name)
        ]
    );
    // As long as the cause is there nothing is claimed.
    let (code, answer) = typed(&case, &told[2]);
    assert_eq!(code, 3, "{answer:#}");
    world.sql("postgres", "ALTER ROLE corner_shop CREATEDB");
    let (code, answer) = typed(&case, &told[0]);
    assert_eq!((code, &answer["state"]), (0, &"rolled_back".into()), "{answer:#}");
    assert_eq!(typed(&case, &told[1]).0, 0);
    let expected = Expected { outcomes: &["rollback_failed", "rolled_back"], ..Expected::rolled_back("wrong_version") };
    judge::judge(&case, &Ended { id, killed: 0, heard: Vec::new() }, &expected);
}

#[test]
fn a_person_who_mends_it_by_hand_says_so_and_is_believed_once_it_is_seen() {
    use std::os::unix::fs::PermissionsExt;

    let world = World::with(&["1.5.0"]);
    let case = world.case_with(|it| limit(it, "start_within", "5s"));
    let program = world.shop.join("releases/1.0.0/bin/corner-shop");
    let may_run = |mode: u32| std::fs::set_permissions(&program, std::fs::Permissions::from_mode(mode)).unwrap();
    let (id, told) = fails_to_go_back(&case, || may_run(0o600));
    let (code, answer) = typed(&case, &told[2]);
    assert_ne!(code, 0, "nothing runs: {answer:#}");
    may_run(0o755);
    world.demo(&["up"]);
    assert_eq!(typed(&case, &told[1]).0, 0);
    let (code, answer) = typed(&case, &told[2]);
    assert_eq!((code, &answer["state"]), (0, &"rolled_back".into()), "{answer:#}");
    assert_eq!(world.version().as_deref(), Some("1.0.0"));
    assert_eq!(world.demo(&["hash"])["content"], world.before["content"]);
    assert_eq!(case.upgrade(id).result.as_deref(), Some("rolled_back"));
    // The way to the next release is open, autostart was let go.
    world.demo(&["publish", "1.1.0"]);
    assert_eq!(case.answer(&["ack", &id.to_string()]).0, 0);
    case.run("1.1.0", &[], &Expected::complete("1.1.0"));
}
