//! What a person asks for while an upgrade runs or after it, and what is said where it cannot be.

use liftlock_engine::model::state::State;

use crate::support::{Ended, Expected, World, judge};

#[test]
fn a_wish_to_stop_is_heard_until_users_are_let_in_and_refused_from_then_on() {
    let world = World::with(&["1.1.0"]);
    let case = world.case();

    // After everything was looked at, and before anybody is let in.
    let id = case.ask("1.1.0");
    let mut worker = case.worker(id, &["forward/open_gate/before_intent".to_owned()]);
    case.end_of(&mut worker);
    let mut db = case.db();
    db.ask_to_cancel(id, "open_gate", chrono::Utc::now()).unwrap();
    let ended = case.work(id, &[]);
    judge::judge(&case, &ended, &Expected::rolled_back("cancelled"));

    // The gate is being opened: it is too late, and nothing pretends otherwise.
    let id = case.ask("1.1.0");
    let mut worker = case.worker(id, &["forward/open_gate/after_intent".to_owned()]);
    case.end_of(&mut worker);
    for command in [&["cancel"][..], &["rollback", "--yes"]] {
        let (code, answer) = case.answer(command);
        assert_eq!((code, &answer["error"]["class"]), (3, &"too_late_to_cancel".into()), "{command:?}: {answer:#}");
    }
    assert_eq!(case.work(id, &[]).killed, 0);
    assert_eq!(case.upgrade(id).state, State::Complete);
    judge::judge(&case, &Ended { id, killed: 0, heard: Vec::new() }, &Expected::complete("1.1.0"));
}
