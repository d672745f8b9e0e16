//! Workers struck where nobody chose: at the n-th write to a disk, and at any moment of a step. Few at every push, chosen
//! by the seed; many with `LIFTLOCK_LONG=1`.

use std::fs::OpenOptions;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use liftlock_engine::model::ids::UpgradeId;
use liftlock_engine::state::upgrades::Options;
use rustix::process::Signal;

use crate::support::{
    Case, Dice, Exit, Expected, PATIENCE, World, judge, lives, processes, signal, times, variable, wait_for,
};

/// What makes a write durable, or is one.
const WRITES: &str = "fdatasync,fsync,pwrite64";

/// A worker under strace; its children are not traced.
fn traced(case: &Case<'_>, id: UpgradeId, options: &[&str]) -> Child {
    let worker = case.liftlock(&["work", &id.to_string()]);
    let log = OpenOptions::new().create(true).append(true).open(case.worker_log()).unwrap();
    let mut command = Command::new("strace");
    command.args(options).arg(worker.get_program()).args(worker.get_args()).env_clear();
    command.envs(worker.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap()
}

/// How many of them a whole upgrade makes.
fn writes_of_an_upgrade(world: &World) -> usize {
    let case = world.case();
    let id = case.ask("1.1.0");
    let log = case.home.root().join("writes");
    let mut worker = traced(&case, id, &["-o", log.to_str().unwrap(), "-e", &format!("trace={WRITES}")]);
    assert_eq!(case.end_of(&mut worker), Exit::Code(0), "{}", case.story(id));
    judge::judge_legal(&case, &case.ended(id));
    let made = std::fs::read_to_string(&log).unwrap().lines().filter(|it| it.contains('(')).count();
    world.reset();
    made
}

#[test]
fn killed_at_some_write_to_the_disk() {
    let world = World::with(&["1.1.0"]);
    let mut dice = Dice::new();
    let all = writes_of_an_upgrade(&world);
    assert!(all > 100, "an upgrade writes: {all}");
    for _ in 0..times(3, 2000) {
        let at = 1 + dice.below(all);
        println!("killed at write {at} of {all}");
        let case = world.case();
        let id = case.ask("1.1.0");
        let inject = format!("inject={WRITES}:signal=KILL:when={at}");
        let mut worker = traced(&case, id, &["-o", "/dev/null", "-e", &format!("trace={WRITES}"), "-e", &inject]);
        // It may come to its end with fewer writes than the one that was counted.
        if case.end_of(&mut worker) == Exit::Signal(9) {
            case.until_nobody_works();
        }
        judge::judge_legal(&case, &case.work(id, &[]));
        world.reset();
    }
}

#[test]
fn killed_at_some_moment_of_a_step() {
    let world = World::with(&["1.1.0"]);
    let mut dice = Dice::new();
    let steps: Vec<String> = {
        let case = world.case();
        let plan = case.engine.plan(&case.name, Some("1.1.0"), &Options::default()).unwrap();
        plan.steps
            .iter()
            .map(|it| it.about.as_ref().map_or_else(|| it.step.clone(), |about| format!("{}:{about}", it.step)))
            .collect()
    };
    for _ in 0..times(4, 10_000) {
        let step = &steps[dice.below(steps.len())];
        let after = Duration::from_micros(dice.below(400_000) as u64);
        println!("killed {after:?} after {step} had begun");
        let case = world.case();
        let id = case.ask("1.1.0");
        let mut worker = case.worker(id, &[]);
        case.until_begun(id, step);
        let begun = Instant::now();
        wait_for("the moment has come", Duration::from_secs(5), || {
            (begun.elapsed() >= after || worker.try_wait().unwrap().is_some()).then_some(())
        });
        signal(worker.id(), Signal::KILL);
        worker.wait().unwrap();
        judge::judge_legal(&case, &case.work(id, &[]));
        world.reset();
    }
}

/// The migration lives on in a process of its own when its worker is killed.
#[test]
fn a_migration_that_outlives_its_worker_is_ended_before_anything_else_is_done() {
    let world = World::with(&["1.6.0"]);
    world.demo(&["fault", "--spare-rehearsal"]);
    let case = world.case();
    let id = case.ask("1.6.0");
    let mut worker = case.worker(id, &[]);
    case.until(id, "the migration is on the server", PATIENCE, |_| {
        let asleep =
            "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname LIKE 'corner_shop__next_%'";
        !world.sql("postgres", asleep).is_empty()
    });
    let is_child = |pid: u32| variable(pid, "LIFTLOCK_UPGRADE").is_some_and(|it| it == id.to_string());
    let orphans: Vec<u32> = processes().into_iter().map(|it| it.0).filter(|it| is_child(*it)).collect();
    signal(worker.id(), Signal::KILL);
    worker.wait().unwrap();
    assert!(orphans.iter().any(|it| lives(*it)), "nothing outlived the worker: {orphans:?}");
    let ended = case.work(id, &[]);
    assert!(!orphans.iter().any(|it| lives(*it)));
    judge::judge(&case, &ended, &Expected::rolled_back("unclear"));
}
