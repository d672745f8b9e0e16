//! What a person asks for while an upgrade runs or after it, and what is said where it cannot be.

use std::time::Duration;

use liftlock_engine::Engine;
use liftlock_engine::engine::Say;
use liftlock_engine::model::state::State;
use liftlock_engine::state::upgrades::Options;
use liftlock_engine::view::window::EstimateSource;
use rustix::process::Signal;

use crate::support::{Ended, Expected, World, judge, signal, wait_for};

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

#[test]
fn a_rehearsal_that_takes_much_longer_than_was_said_is_asked_about_before_the_stop() {
    let world = World::with(&["1.7.0"]);
    world.demo(&["fault", "--migration-seconds", "6"]);
    let case = world.case();
    let engine = Engine::at(case.home.clone());
    let told = Options { confirmed_seconds: Some(1), ..Options::default() };

    for goes_on in [false, true] {
        let id = case.ask_with("1.7.0", &told);
        let mut worker = case.worker(id, &[]);
        let asked = wait_for("the question", Duration::from_secs(120), || engine.upgrade_view(id).unwrap().question);
        assert!(asked.measured_seconds > 5.0 && asked.confirmed_seconds == 1.0, "{asked:?}");
        assert_eq!(world.version().as_deref(), Some("1.0.0"), "nobody has been sent away");
        engine.answer(id, goes_on).unwrap();
        case.end_of(&mut worker);
        let ended = Ended { id, killed: 0, heard: Vec::new() };
        let expected = if goes_on { Expected::complete("1.7.0") } else { Expected::aborted() };
        judge::judge(&case, &ended, &expected);
        assert_eq!(engine.answer(id, true).unwrap_err().class, "not_asked");
        if !goes_on {
            // What was measured is what is said the next time, whatever became of it.
            let view = engine.confirm_view(case.name.as_str(), Some("1.7.0")).unwrap();
            let estimate = view.estimate.unwrap();
            assert_eq!((estimate.source, estimate.seconds > 5.0), (EstimateSource::Rehearsed, true));
        }
    }
}

#[test]
fn a_question_that_nobody_answers_ends_the_update_before_the_stop() {
    let world = World::with(&["1.7.0"]);
    world.demo(&["fault", "--migration-seconds", "6"]);
    let case = world.case();
    let engine = Engine::at(case.home.clone());
    let id = case.ask_with("1.7.0", &Options { confirmed_seconds: Some(1), ..Options::default() });
    let mut worker = case.worker(id, &[]);
    let question = || engine.upgrade_view(id).unwrap().question;
    let asked = wait_for("the question", Duration::from_secs(120), question);
    let waits_for = asked.until - chrono::Utc::now();
    assert!(waits_for > chrono::TimeDelta::minutes(28) && waits_for <= chrono::TimeDelta::minutes(30), "{waits_for}");
    signal(worker.id(), Signal::KILL);
    worker.wait().unwrap();

    // The half hour is over while nobody works; who comes then does not begin it anew.
    let over = chrono::Utc::now() - chrono::TimeDelta::seconds(1);
    case.tamper(&format!(
        "UPDATE setting SET value = json_set(value, '$.until', '{}') WHERE key = '_question/{id}'",
        over.to_rfc3339()
    ));
    assert_eq!(question().unwrap().until, over, "it is the one that was changed");
    let ended = case.work(id, &[]);
    judge::judge(&case, &ended, &Expected::failed("longer_unanswered"));
    assert_eq!(world.version().as_deref(), Some("1.0.0"), "nobody was sent away");
    assert_eq!(question(), None);
}

#[test]
fn a_setting_that_a_release_asks_for_is_said_once_and_given_to_every_attempt() {
    let world = World::with(&["1.8.0"]);
    let env = world.shop.join(".env");
    let before = std::fs::read_to_string(&env).unwrap();
    let case = world.case();
    let say = |say: &Say| case.engine.say_of_setting(&case.name, "SHOP_CURRENCY", say).map_err(|it| it.class);
    case.run("1.8.0", &[], &Expected::refused("setting_asked"));
    let plan = case.engine.plan(&case.name, Some("1.8.0"), &Options::default()).unwrap();
    let asked: Vec<_> = plan.asked.iter().map(|it| (it.key.as_str(), it.default.as_deref(), it.answered)).collect();
    assert_eq!((asked, plan.possible), (vec![("SHOP_CURRENCY", Some("EUR"), false)], false));
    for (bad, class) in [
        (Say::Openly(" ".to_owned()), "bad_setting_value"),
        (Say::Openly("two\nlines".to_owned()), "bad_setting_value"),
        (Say::Generate, "cannot_generate"),
    ] {
        assert_eq!(say(&bad), Err(class.into()));
    }
    say(&Say::Openly("CHF".to_owned())).unwrap();
    say(&Say::Nothing).unwrap();
    case.run("1.8.0", &[], &Expected::refused("setting_asked"));
    say(&Say::Openly("CHF".to_owned())).unwrap();

    // An attempt that is brought back leaves the file as it was; the next one needs no answer.
    let points = ["forward/write_settings/mid_effect", "forward/set_aside/shop/after_effect"].map(str::to_owned);
    let id = case.ask("1.8.0");
    let mut worker = case.worker(id, &["forward/switch_release/after_intent".to_owned()]);
    case.end_of(&mut worker);
    assert!(std::fs::read_to_string(&env).unwrap().ends_with("\nSHOP_CURRENCY=CHF\n"));
    case.db().ask_to_cancel(id, "open_gate", chrono::Utc::now()).unwrap();
    let ended = case.work(id, &["back/write_settings/mid_effect".to_owned()]);
    judge::judge(&case, &ended, &Expected::rolled_back("cancelled"));
    assert_eq!(std::fs::read_to_string(&env).unwrap(), before);
    case.run("1.8.0", &points, &Expected::complete("1.8.0"));
    assert_eq!(std::fs::read_to_string(&env).unwrap(), format!("{before}SHOP_CURRENCY=CHF\n"));
}
