//! Worker and engine are killed, alone and together, and the computer is started anew: the upgrade comes to a legal end
//! all the same. Which steps and moments are struck is sampled by the seed; `LIFTLOCK_LONG=1` strikes every one.

use std::collections::BTreeSet;

use liftlock_engine::model::ids::UpgradeId;
use liftlock_engine::model::state::State;
use liftlock_engine::state::journal::{Direction, runs_of};
use rustix::process::Signal;

use crate::support::{Case, Ended, Expected, PATIENCE, World, judge, limit, sampled, signal, wait_for};

/// A step of the plan, as points name it, and whether something was changed by then.
#[derive(Debug, Clone)]
pub(crate) struct Planned {
    pub(crate) name: String,
    pub(crate) has_a_way_back: bool,
}

pub(crate) fn plan(case: &Case<'_>, to: &str) -> Vec<Planned> {
    let (code, plan) = case.answer(&["plan", "--to", to]);
    assert_eq!((code, &plan["possible"]), (0, &true.into()), "{plan:#}");
    let text = |it: &serde_json::Value| it.as_str().map(str::to_owned);
    let before = ["checking", "backing_up", "downloading", "rehearsing"];
    let steps = plan["steps"].as_array().unwrap().iter().map(|it| {
        let step = text(&it["step"]).unwrap();
        Planned {
            name: text(&it["about"]).map_or_else(|| step.clone(), |about| format!("{step}:{about}")),
            has_a_way_back: !before.contains(&it["phase"].as_str().unwrap()),
        }
    });
    steps.collect()
}

/// At any end that loses nothing: the new version, the old one after a way back, or the old one that was never touched.
fn judge_any(case: &Case<'_>, ended: &Ended) {
    let upgrade = case.upgrade(ended.id);
    let class = upgrade.error.as_ref().map(|it| it.class.to_string()).unwrap_or_default();
    let expected = match upgrade.state {
        State::Complete => Expected::complete("1.1.0"),
        State::RolledBack => Expected::rolled_back(&class),
        State::Failed => Expected::failed(&class),
        other => panic!("it ended as {other}\n{}", case.story(ended.id)),
    };
    println!("{} {class}", upgrade.state);
    judge::judge(case, ended, &expected);
    case.world.is_whole(expected.version);
}

/// Puts the shop back to 1.0.0 by Liftlock's own way back, where it is at another one.
pub(crate) fn back_to_the_old_one(case: &Case<'_>, id: UpgradeId) {
    if case.upgrade(id).state == State::Complete {
        let (code, answer) = case.answer(&["rollback", "--accept-loss-of-new-work", "--yes"]);
        assert_eq!(answer["state"], "rolled_back", "{code} {answer:#}");
    }
}

#[test]
fn the_worker_is_killed_at_every_step_forward_and_back_in_containers() {
    let world = World::with(&["1.1.0", "1.5.0"]);
    let moments = ["before_intent", "after_intent", "mid_effect", "after_effect", "after_outcome"].to_vec();
    for moment in sampled(moments, 1) {
        let case = world.case();
        let turns_back = matches!(moment, "after_intent" | "mid_effect" | "after_effect");
        // A migration that was interrupted may have done anything, so it goes back instead of on.
        let steps = plan(&case, "1.1.0").into_iter().filter(|it| it.name != "migrate" || !turns_back);
        let points: Vec<String> = steps.map(|it| format!("forward/{}/{moment}", it.name)).collect();
        let ended = case.run("1.1.0", &points, &Expected::complete("1.1.0"));
        world.is_whole("1.1.0");
        died_at_most_of(&case, &ended, &points, moment);
        back_to_the_old_one(&case, ended.id);

        let case = world.case_with(|it| limit(it, "start_within", "20s"));
        let steps = plan(&case, "1.5.0").into_iter().filter(|it| it.has_a_way_back);
        let back = steps.filter(|it| !["open_gate", "restore_autostart"].contains(&it.name.as_str()));
        let points: Vec<String> = back.map(|it| format!("back/{}/{moment}", it.name)).collect();
        let ended = case.run("1.5.0", &points, &Expected::rolled_back("wrong_version"));
        world.is_whole("1.0.0");
        died_at_most_of(&case, &ended, &points, moment);
    }
}

/// Everywhere, save in the middle of effects that have no middle.
fn died_at_most_of(case: &Case<'_>, ended: &Ended, points: &[String], moment: &str) {
    let (died, wanted) = (case.died_at(ended.id), points.iter().cloned().collect::<BTreeSet<_>>());
    let missed: Vec<_> = wanted.difference(&died).collect();
    println!("{moment}: died at {} of {} points, not at {missed:?}", died.len(), wanted.len());
    assert!(died.is_subset(&wanted) && died.len() > 5, "{died:?}");
    assert!(moment == "mid_effect" || missed.is_empty(), "{missed:?}\n{}", case.story(ended.id));
}

/// Steps during which the engine is struck: one of the time before, and those while the shop is away.
fn struck(case: &Case<'_>, most: usize) -> Vec<String> {
    let steps = plan(case, "1.1.0").into_iter().filter(|it| it.has_a_way_back || it.name.starts_with("rehearse"));
    let moments = ["after_intent", "after_effect", "after_outcome"];
    let points = steps.flat_map(|it| moments.map(|moment| format!("forward/{}/{moment}", it.name)));
    sampled(points.collect(), most)
}

#[test]
fn engine_and_worker_are_killed_together_and_the_upgrade_goes_on() {
    let world = World::with(&["1.1.0"]);
    for point in struck(&world.case(), 2) {
        println!("{point}");
        let case = world.case();
        let id = case.ask("1.1.0");
        let mut worker = case.frozen(id, &point);
        world.engine.kill();
        worker.kill().unwrap();
        worker.wait().unwrap();
        world.engine.start_again();
        judge_any(&case, &case.work(id, &[]));
        back_to_the_old_one(&case, id);
    }
}

#[test]
fn engine_and_worker_are_killed_together_on_the_way_back_and_it_is_gone_to_its_end() {
    let world = World::with(&["1.5.0"]);
    let limits = || world.case_with(|it| limit(it, "start_within", "20s"));
    let steps = plan(&limits(), "1.5.0").into_iter().filter(|it| it.has_a_way_back);
    // What comes after users are let in is not reached by a release that says a wrong version.
    let back = steps.filter(|it| !["open_gate", "restore_autostart"].contains(&it.name.as_str()));
    let points =
        back.flat_map(|it| ["after_intent", "after_effect"].map(|moment| format!("back/{}/{moment}", it.name)));
    for point in sampled(points.collect(), 1) {
        println!("{point}");
        let case = limits();
        let id = case.ask("1.5.0");
        let mut worker = case.frozen(id, &point);
        world.engine.kill();
        worker.kill().unwrap();
        worker.wait().unwrap();
        world.engine.start_again();
        judge::judge(&case, &case.work(id, &[]), &Expected::rolled_back("wrong_version"));
        world.is_whole("1.0.0");
    }
}

#[test]
fn the_engine_is_killed_under_a_worker_that_goes_on() {
    let world = World::with(&["1.1.0"]);
    for point in struck(&world.case(), 2) {
        println!("{point}");
        let case = world.case();
        let id = case.ask("1.1.0");
        let mut worker = case.frozen(id, &point);
        world.engine.kill();
        world.engine.start_again();
        signal(worker.id(), Signal::CONT);
        worker.wait().unwrap();
        judge_any(&case, &case.work(id, &[]));
        back_to_the_old_one(&case, id);
    }
}

#[test]
fn the_computer_starts_anew_and_nothing_half_done_is_opened() {
    let world = World::with(&["1.1.0"]);
    for point in struck(&world.case(), 2) {
        println!("{point}");
        let case = world.case();
        let id = case.ask("1.1.0");
        let mut worker = case.frozen(id, &point);
        worker.kill().unwrap();
        worker.wait().unwrap();
        // The page went with the worker, and so does everything in containers.
        world.engine.cut();
        world.engine.start_again();
        let began = |step: &str| {
            let runs = runs_of(&case.db(), id).unwrap();
            runs.iter().any(|it| it.key.step == step && it.direction == Direction::Forward)
        };
        // Once it has been verified and the gate is open, the new version may start with the computer.
        if began("hold_autostart") && !began("open_gate") {
            wait_for("the database is back", PATIENCE, || {
                world.inspect("db", ".State.Health.Status").filter(|it| it == "healthy")
            });
            assert_eq!(world.version(), None, "nobody is let in before it has gone on\n{}", case.story(id));
        }
        judge_any(&case, &case.work(id, &[]));
        back_to_the_old_one(&case, id);
    }
}
