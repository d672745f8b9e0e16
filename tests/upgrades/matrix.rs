//! The worker killed at every named point of every step, forward and back.
//!
//! The points are worked out from the plan, so that a new step has its points by itself. One upgrade is killed at
//! many of them in a row, each time by another worker; together the rows hit every point, which a test of its own
//! makes sure of. What cannot be hit is listed with its reason.

use std::collections::BTreeSet;

use liftlock_engine::state::upgrades::Options;

use crate::support::{Case, Ended, Expected, World, judge, limit, sampled};

const MOMENTS: [&str; 5] = ["before_intent", "after_intent", "mid_effect", "after_effect", "after_outcome"];

/// Points that no worker passes, and why.
const NEVER_PASSED: &[(&str, &str)] = &[
    ("forward/swap:uploads/mid_effect", "files that are never rewritten do not change places"),
    ("back/compare:database/mid_effect", "comparing changes nothing, so there is nothing to undo half"),
    ("back/compare:uploads/mid_effect", "comparing changes nothing, so there is nothing to undo half"),
    ("back/verify/mid_effect", "looking changes nothing, so there is nothing to undo half"),
    ("back/restore_autostart/mid_effect", "going back holds autostart again as a step of its own"),
];

/// A step of the plan: its name in points, and whether something was changed by then, so that it has a way back.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Planned {
    name: String,
    has_a_way_back: bool,
}

fn plan(case: &Case<'_>) -> Vec<Planned> {
    plan_for(case, "1.1.0")
}

fn plan_for(case: &Case<'_>, to: &str) -> Vec<Planned> {
    let plan = case.engine.plan(&case.name, Some(to), &Options::default()).unwrap();
    assert!(plan.possible, "{:?}", plan.findings);
    plan.steps
        .iter()
        .map(|it| Planned {
            name: it.about.as_ref().map_or_else(|| it.step.clone(), |about| format!("{}:{about}", it.step)),
            has_a_way_back: !it.phase.is_before_change(),
        })
        .collect()
}

/// Points at these moments of these steps, without those that nobody passes.
fn points<'p>(direction: &str, steps: impl IntoIterator<Item = &'p Planned>, moments: &[&str]) -> Vec<String> {
    let every = |step: &Planned| moments.iter().map(|it| format!("{direction}/{}/{it}", step.name)).collect::<Vec<_>>();
    let is_passed = |point: &String| !NEVER_PASSED.iter().any(|(never, _)| never == point);
    steps.into_iter().flat_map(every).filter(is_passed).collect()
}

fn table(plan: &[Planned]) -> BTreeSet<String> {
    let back = plan.iter().filter(|it| it.has_a_way_back);
    points("forward", plan, &MOMENTS).into_iter().chain(points("back", back, &MOMENTS)).collect()
}

/// The release's own command may have done anything when it is interrupted, so these go back instead of on.
fn turns_back(moment: &str) -> bool {
    matches!(moment, "after_intent" | "mid_effect" | "after_effect")
}

/// Forward: every step at one moment, except for a migration that would turn the upgrade back.
fn way_forward(plan: &[Planned], moment: &str) -> Vec<String> {
    points("forward", plan.iter().filter(|it| it.name != "migrate" || !turns_back(moment)), &[moment])
}

/// The steps that are undone only after the new version had been complete.
fn way_of_return(plan: &[Planned], moment: &str) -> Vec<String> {
    points("back", plan.iter().filter(|it| is_after_verifying(it)), &[moment])
}

/// Back: every other step, once verifying has failed.
fn way_back(plan: &[Planned], moment: &str) -> Vec<String> {
    points("back", plan.iter().filter(|it| it.has_a_way_back && !is_after_verifying(it)), &[moment])
}

fn is_after_verifying(step: &Planned) -> bool {
    ["open_gate", "restore_autostart"].contains(&step.name.as_str())
}

fn migration(moment: &str) -> Vec<String> {
    if turns_back(moment) { vec![format!("forward/migrate/{moment}")] } else { Vec::new() }
}

/// A worker has died at each of the points, and nowhere else.
fn died_at_each(case: &Case<'_>, ended: &Ended, points: &[String]) {
    let wanted: BTreeSet<String> = points.iter().cloned().collect();
    assert_eq!(case.died_at(ended.id), wanted, "{}", case.story(ended.id));
}

/// Workers have died at some of these points and nowhere else. Where the first kill of a step left all of its effect
/// behind, the second has nothing left to interrupt.
fn died_within(case: &Case<'_>, ended: &Ended, points: &[String]) {
    let died = case.died_at(ended.id);
    let wanted: BTreeSet<String> = points.iter().cloned().collect();
    assert!(!died.is_empty() && died.is_subset(&wanted), "{died:?}\n{}", case.story(ended.id));
}

fn run_and_die(case: &Case<'_>, to: &str, points: &[String], expected: &Expected<'_>) -> Ended {
    let ended = case.run(to, points, expected);
    died_at_each(case, &ended, points);
    ended
}

/// A case for releases that do not come up: nobody waits for them longer than needed.
fn impatient(world: &World) -> Case<'_> {
    world.case_with(|it| limit(it, "start_within", "20s"))
}

/// The way forward, the way of return and the way back, each killed at one moment of every step.
fn killed_at(moment: &str) {
    let world = World::with(&["1.1.0", "1.5.0"]);
    forward_and_returned(&world, moment);
    let case = impatient(&world);
    let plan = plan(&case);
    let mut back = way_back(&plan, moment);
    back.extend(end_of("rolled_back", moment));
    run_and_die(&case, "1.5.0", &back, &Expected::rolled_back("wrong_version"));
}

fn end_of(outcome: &str, moment: &str) -> Option<String> {
    matches!(moment, "mid_effect" | "after_outcome").then(|| format!("end/{outcome}/{moment}"))
}

/// Killed on the way forward and at its end, complete all the same; then taken back by the user, and killed at the
/// steps that only such a return undoes.
fn forward_and_returned(world: &World, moment: &str) {
    let case = world.case();
    let plan = plan(&case);
    let mut points = way_forward(&plan, moment);
    points.extend(end_of("success", moment));
    let ended = run_and_die(&case, "1.1.0", &points, &Expected::complete("1.1.0"));

    points.extend(way_of_return(&plan, moment));
    let asked = case
        .liftlock(&["rollback", "--accept-loss-of-new-work", "--yes", "--detach"])
        .env("LIFTLOCK_CRASH_AT", points.join(","))
        .env("LIFTLOCK_CRASH_LOG", case.crash_log(ended.id))
        .output()
        .unwrap();
    assert!(asked.status.success(), "{asked:?}\n{}", case.story(ended.id));
    let ended = case.work(ended.id, &points);
    judge::judge(&case, &ended, &Expected::returned());
    died_at_each(&case, &ended, &points);
}

#[test]
fn killed_before_every_intent() {
    killed_at("before_intent");
}

#[test]
fn killed_after_every_intent() {
    killed_at("after_intent");
}

#[test]
fn killed_in_the_middle_of_every_effect() {
    killed_at("mid_effect");
}

#[test]
fn killed_after_every_effect() {
    killed_at("after_effect");
}

#[test]
fn killed_after_every_outcome() {
    killed_at("after_outcome");
}

#[test]
fn a_migration_that_was_interrupted_is_never_run_again() {
    let world = World::with(&["1.1.0"]);
    for moment in MOMENTS.into_iter().filter(|it| turns_back(it)) {
        // Killed once more at every step of the way back that follows.
        let case = world.case();
        let begun = plan(&case).into_iter().take_while(|it| !it.name.starts_with("compare"));
        let begun: Vec<_> = begun.filter(|it| it.has_a_way_back).collect();
        let points: Vec<_> = migration(moment).into_iter().chain(points("back", &begun, &[moment])).collect();
        run_and_die(&case, "1.1.0", &points, &Expected::rolled_back("unclear"));
    }
}

#[test]
fn every_point_of_the_table_is_somewhere_in_the_rows() {
    let world = World::with(&["1.1.0"]);
    let plan = plan(&world.case());
    let mut hit = BTreeSet::new();
    for moment in MOMENTS {
        hit.extend(way_forward(&plan, moment));
        hit.extend(way_of_return(&plan, moment));
        hit.extend(way_back(&plan, moment));
        hit.extend(migration(moment));
    }
    let table = table(&plan);
    assert_eq!(table.difference(&hit).collect::<Vec<_>>(), Vec::<&String>::new());
    assert_eq!(hit.difference(&table).collect::<Vec<_>>(), Vec::<&String>::new());
    assert!(table.len() > 150, "the plan has lost steps: {} points", table.len());
    for (never, why) in NEVER_PASSED {
        println!("{never} is passed by nobody: {why}");
    }
}

/// Twice at the same step of the same upgrade, the second time while it is being done again.
#[test]
fn killed_again_while_a_step_is_done_again() {
    let world = World::with(&["1.1.0"]);
    for has_a_way_back in [false, true] {
        let case = world.case();
        let plan = plan(&case);
        let half = plan.iter().filter(|it| it.has_a_way_back == has_a_way_back && it.name != "migrate");
        let points = points("forward", half, &["mid_effect", "after_effect"]);
        let ended = case.run("1.1.0", &points, &Expected::complete("1.1.0"));
        died_within(&case, &ended, &points);
        world.reset();
    }
}

#[test]
fn killed_five_times_at_the_same_step_of_the_way_back() {
    let world = World::with(&["1.5.0"]);
    let case = impatient(&world);
    let plan = plan_for(&case, "1.5.0");
    let names = ["switch_release", "swap:database", "set_aside:database", "stop:shop", "hold_autostart"];
    let steps = plan.iter().filter(|it| names.contains(&it.name.as_str()));
    run_and_die(&case, "1.5.0", &points("back", steps, &MOMENTS), &Expected::rolled_back("wrong_version"));
}

/// Without a copy there is a final dump, which the way back restores.
#[test]
fn killed_where_the_data_is_changed_in_place() {
    let world = World::with(&["1.1.0", "1.5.0"]);
    let options = Options { in_place: true, ..Options::default() };
    // Nothing changes places there, so nobody is in the middle of it.
    let never = |it: &String| it.contains("/swap:") && it.ends_with("/mid_effect") && it.starts_with("forward");
    let case = impatient(&world);
    let plan = plan(&case);
    let changing: Vec<_> = plan.iter().filter(|it| it.has_a_way_back).cloned().collect();
    for moments in [["before_intent", "after_intent"], ["mid_effect", "after_effect"]] {
        let case = impatient(&world);
        let back = changing.iter().filter(|it| !is_after_verifying(it));
        let points: Vec<_> = points("back", back, &moments).into_iter().collect();
        let ended = case.work(case.ask_with("1.5.0", &options), &points);
        judge::judge(&case, &ended, &Expected { in_place: true, ..Expected::rolled_back("wrong_version") });
        died_at_each(&case, &ended, &points);
    }
    let forward = changing.iter().filter(|it| it.name != "migrate");
    let mut points = points("forward", forward, &["mid_effect", "after_effect"]);
    points.retain(|it| !never(it));
    let ended = case.work(case.ask_with("1.1.0", &options), &points);
    judge::judge(&case, &ended, &Expected { in_place: true, ..Expected::complete("1.1.0") });
    died_within(&case, &ended, &points);
}

/// Killed once, at one point, with nothing else wrong: sampled, or every point with `LIFTLOCK_LONG=1`.
#[test]
fn killed_once_and_only_once() {
    let world = World::with(&["1.1.0", "1.5.0"]);
    let plan = plan(&world.case());
    let returning: BTreeSet<_> = MOMENTS.iter().flat_map(|it| way_of_return(&plan, it)).collect();
    let all: Vec<_> = table(&plan).into_iter().filter(|it| !returning.contains(it)).collect();
    for point in sampled(all, 8) {
        println!("{point}");
        let back = point.starts_with("back/");
        let turns = MOMENTS.iter().flat_map(|it| migration(it)).any(|it| it == point);
        let case = impatient(&world);
        let (to, expected) = match (back, turns) {
            (true, _) => ("1.5.0", Expected::rolled_back("wrong_version")),
            (false, true) => ("1.1.0", Expected::rolled_back("unclear")),
            (false, false) => ("1.1.0", Expected::complete("1.1.0")),
        };
        run_and_die(&case, to, &[point], &expected);
        if expected.version != "1.0.0" {
            world.reset();
        }
    }
}
