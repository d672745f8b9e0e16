//! What is on disk is damaged in the middle of a real upgrade. Liftlock's own state: nothing goes on by itself, and the ways
//! out work. A backup before its proof: the application is not even stopped.

use std::fs;

use liftlock_engine::model::ids::UpgradeId;
use liftlock_engine::model::state::State;
use rustix::process::Signal;

use crate::support::{Case, Exit, World, signal};

/// Kills a worker at this point, damages what `damage` chooses of the state file, and sends another worker.
fn damaged(case: &Case<'_>, to: &str, at: &str, damage: impl FnOnce(&mut Vec<u8>)) -> UpgradeId {
    let id = case.ask(to);
    case.engine.leave_notes(id).unwrap();
    let mut worker = case.worker(id, &[at.to_owned()]);
    case.end_of(&mut worker);
    // The file is looked at whole once a boot.
    let conn = rusqlite::Connection::open(case.home.database()).unwrap();
    conn.execute("DELETE FROM setting WHERE key = '_checked_in_boot'", []).unwrap();
    drop(conn);
    case.db().checkpoint().unwrap();
    let mut bytes = fs::read(case.home.database()).unwrap();
    damage(&mut bytes);
    fs::write(case.home.database(), bytes).unwrap();
    let mut worker = case.worker(id, &[]);
    assert_eq!(case.end_of(&mut worker), Exit::Code(0), "{}", case.story(id));
    let upgrade = case.upgrade(id);
    assert_eq!((upgrade.state, upgrade.error.unwrap().class.as_ref()), (State::NeedsAttention, "state_rebuilt"));
    id
}

#[test]
fn with_the_journal_lost_a_backup_is_the_way_out() {
    let world = World::with(&["1.1.0"]);
    let case = world.case();
    damaged(&case, "1.1.0", "forward/swap:database/after_effect", |bytes| bytes[..4096].fill(0xA5));
    let (_, backups) = case.answer(&["backup", "list"]);
    let backup = backups["backups"][0]["path"].as_str().unwrap().to_owned();
    let (code, answer) = case.answer(&["backup", "restore", case.name.as_str(), &backup, "--accept-loss-of-new-work"]);
    assert_eq!((code, &answer["state"]), (0, &"complete".into()), "{answer:#}");
    assert_eq!(world.version().as_deref(), Some("1.0.0"));
    assert_eq!(world.demo(&["hash"])["content"], world.before["content"]);
}

#[test]
fn with_the_journal_saved_a_person_may_go_back() {
    let world = World::with(&["1.1.0"]);
    let case = world.case();
    // A table that tells nothing about the upgrade is gone; the journal is not.
    let root: usize = {
        let conn = rusqlite::Connection::open(case.home.database()).unwrap();
        conn.query_row("SELECT rootpage FROM sqlite_master WHERE name = 'answer'", [], |row| row.get::<_, u32>(0))
            .unwrap()
            .try_into()
            .unwrap()
    };
    damaged(&case, "1.1.0", "forward/swap:database/after_effect", |bytes| {
        bytes[(root - 1) * 4096..root * 4096].fill(0xA5)
    });
    let (code, answer) = case.answer(&["rollback", "--yes", "--accept-loss-of-new-work"]);
    assert_eq!((code, &answer["state"]), (0, &"rolled_back".into()), "{answer:#}");
    assert_eq!(world.version().as_deref(), Some("1.0.0"));
    assert_eq!(world.demo(&["hash"])["content"], world.before["content"]);
}

/// What runs says that it is the old version, and is well; what lies in its place is the new version's data.
#[test]
fn with_the_journal_lost_a_version_with_the_data_of_another_is_not_believed() {
    let world = World::with(&["1.5.0"]);
    let case = world.case();
    let id = damaged(&case, "1.5.0", "forward/switch_release/after_effect", |bytes| bytes[..4096].fill(0xA5));
    world.demo(&["up"]);
    assert_eq!(world.version().as_deref(), Some("1.0.0"));
    let (code, answer) = case.answer(&["settle", &id.to_string()]);
    assert_eq!((code, &answer["error"]["class"]), (3, &"not_settled".into()), "{answer:#}");
    assert_eq!(case.upgrade(id).state, State::NeedsAttention);
}

#[test]
fn with_the_journal_lost_and_the_old_data_in_place_a_person_is_believed() {
    let world = World::with(&["1.1.0"]);
    let case = world.case();
    let id = damaged(&case, "1.1.0", "forward/set_aside:database/mid_effect", |bytes| bytes[..4096].fill(0xA5));
    world.sql("postgres", "ALTER DATABASE corner_shop WITH ALLOW_CONNECTIONS true");
    world.demo(&["up"]);
    let (code, answer) = case.answer(&["settle", &id.to_string()]);
    assert_eq!((code, &answer["state"]), (0, &"rolled_back".into()), "{answer:#}");
    assert_eq!(world.demo(&["hash"])["content"], world.before["content"]);
}

#[test]
fn a_backup_that_is_damaged_before_its_proof_keeps_the_application_from_being_stopped() {
    let world = World::with(&["1.1.0"]);
    let flip = |bytes: &mut Vec<u8>| {
        let middle = bytes.len() / 2;
        bytes[middle] ^= 0x10;
    };
    let truncate = |bytes: &mut Vec<u8>| bytes.truncate(bytes.len() - 512);
    for damage in [&flip as &dyn Fn(&mut Vec<u8>), &truncate] {
        let case = world.case();
        let id = case.ask("1.1.0");
        let mut worker = case.frozen(id, "forward/prove_backup/before_intent");
        let dump = std::path::Path::new(&case.upgrade(id).backup.unwrap()).join("database.dump.gz");
        let mut bytes = fs::read(&dump).unwrap();
        damage(&mut bytes);
        fs::write(&dump, bytes).unwrap();
        signal(worker.id(), Signal::CONT);
        assert_eq!(case.end_of(&mut worker), Exit::Code(0), "{}", case.story(id));
        let ended = case.upgrade(id);
        assert_eq!((ended.state, ended.away_from), (State::Failed, None), "{}", case.story(id));
        let why = ended.error.unwrap();
        assert!(why.class.starts_with("backup_"), "{why:?}");
        assert_eq!(world.version().as_deref(), Some("1.0.0"));
        assert_eq!(world.demo(&["hash"])["content"], world.before["content"]);
    }
}
