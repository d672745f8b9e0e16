//! Liftlock's own state damaged in the middle of a real upgrade: nothing goes on by itself, and the ways out work.

use std::fs;

use liftlock_engine::model::state::State;

use crate::support::{Case, Exit, World};

/// Kills a worker at this point, damages what `damage` chooses of the state file, and sends another worker.
fn damaged(case: &Case<'_>, at: &str, damage: impl FnOnce(&mut Vec<u8>)) -> liftlock_engine::model::ids::UpgradeId {
    let id = case.ask("1.1.0");
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
    let id = damaged(&case, "forward/swap:database/after_effect", |bytes| bytes[..4096].fill(0xA5));
    // The old version runs again, with the new one's data in its place: that is not what it was, however well it is.
    world.demo(&["up"]);
    assert_eq!(world.version().as_deref(), Some("1.0.0"));
    let (code, answer) = case.answer(&["settle", &id.to_string()]);
    assert_eq!((code, &answer["error"]["class"]), (3, &"not_settled".into()), "{answer:#}");
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
    damaged(&case, "forward/swap:database/after_effect", |bytes| bytes[(root - 1) * 4096..root * 4096].fill(0xA5));
    let (code, answer) = case.answer(&["rollback", "--yes", "--accept-loss-of-new-work"]);
    assert_eq!((code, &answer["state"]), (0, &"rolled_back".into()), "{answer:#}");
    assert_eq!(world.version().as_deref(), Some("1.0.0"));
    assert_eq!(world.demo(&["hash"])["content"], world.before["content"]);
}

#[test]
fn with_the_journal_lost_and_the_old_data_in_place_a_person_is_believed() {
    let world = World::with(&["1.1.0"]);
    let case = world.case();
    let id = damaged(&case, "forward/set_aside:database/mid_effect", |bytes| bytes[..4096].fill(0xA5));
    world.sql("postgres", "ALTER DATABASE corner_shop WITH ALLOW_CONNECTIONS true");
    world.demo(&["up"]);
    let (code, answer) = case.answer(&["settle", &id.to_string()]);
    assert_eq!((code, &answer["state"]), (0, &"rolled_back".into()), "{answer:#}");
    assert_eq!(world.demo(&["hash"])["content"], world.before["content"]);
}
