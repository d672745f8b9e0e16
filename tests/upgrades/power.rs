//! The power goes: worker, its children, PostgreSQL and the shop end in the same moment. When the computer is up again
//! the upgrade goes on by itself and comes to a legal end.
//!
//! What is imitated: every process is gone, and whatever was written down names an earlier boot. What is not: writes
//! that the disk had not taken yet; the machine that runs the tests keeps its page cache.

use std::fs;

use liftlock_engine::clock::SystemClock;
use liftlock_engine::model::ids::UpgradeId;
use liftlock_engine::ports::Clock;
use liftlock_engine::state::journal::{Direction, runs_of};
use rustix::process::Signal;

use crate::support::{Case, Expected, PATIENCE, World, files_below, judge, limit, sampled, signal, variable, wait_for};

/// The power goes, and comes back: PostgreSQL and the release server start with the computer, the shop only where
/// its start was not held back.
fn power_goes(case: &Case<'_>, id: UpgradeId, worker: &mut std::process::Child) {
    everything_ends(case, id, worker);
    let runs = runs_of(&case.db(), id).unwrap();
    let was_begun = |step: &str, direction| runs.iter().any(|it| it.key.step == step && it.direction == direction);
    let is_free = was_begun("restore_autostart", Direction::Forward) || was_begun("hold_autostart", Direction::Back);
    let starts = !was_begun("hold_autostart", Direction::Forward) || is_free;
    case.world.demo(if starts { &["up"] } else { &["up", "--no-shop"] });
}

fn everything_ends(case: &Case<'_>, id: UpgradeId, worker: &mut std::process::Child) {
    worker.kill().unwrap();
    case.world.demo(&["down", "--hard"]);
    let marked = || {
        let all = crate::support::processes().into_iter().map(|it| it.0);
        all.filter(|pid| variable(*pid, "LIFTLOCK_UPGRADE").is_some_and(|it| it == id.to_string())).collect::<Vec<_>>()
    };
    wait_for("everything is gone", PATIENCE, || {
        let left = marked();
        left.iter().for_each(|pid| signal(*pid, Signal::KILL));
        left.is_empty().then_some(())
    });
    worker.wait().unwrap();
    an_earlier_boot(case);
}

/// Everything that was written down was written in a boot before this one.
fn an_earlier_boot(case: &Case<'_>) {
    let (this, earlier) = (SystemClock.boot_id(), "00000000-1111-2222-3333-444444444444");
    assert_eq!(this.len(), earlier.len());
    let folders =
        [case.home.root().to_owned(), case.scratch(), case.world.shop.join("run"), case.world.shop.join(".liftlock")];
    for file in folders.iter().flat_map(|it| files_below(it)).filter(|it| it.extension().is_some_and(|it| it == "json"))
    {
        let text = fs::read_to_string(&file).unwrap_or_default();
        if text.contains(&this) {
            fs::write(&file, text.replace(&this, earlier)).unwrap();
        }
    }
    let columns =
        ["alive_boot", "finished_boot", "holder"].map(|it| format!("{it} = replace({it}, '{this}', '{earlier}')"));
    case.tamper(&format!(
        "UPDATE system_updates SET {}; UPDATE setting SET value = replace(value, '{this}', '{earlier}')",
        columns.join(", ")
    ));
}

fn goes_on_by_itself(case: &Case<'_>, id: UpgradeId, expected: &Expected<'_>) {
    assert_eq!(case.resume_all(), [id.to_string()]);
    judge::judge(case, &case.ended(id), expected);
    // Once is enough: the next start of the computer finds nothing to do.
    assert_eq!(case.resume_all(), Vec::<String>::new());
}

/// Before anything is touched, while the shop is away, and while the new version is let in.
const MOMENTS: [&str; 10] = [
    "forward/take_backup/mid_effect",
    "forward/prove_backup/mid_effect",
    "forward/rehearse/mid_effect",
    "forward/stop:shop/after_effect",
    "forward/set_aside:database/mid_effect",
    "forward/set_aside:database/after_effect",
    "forward/compare:database/after_outcome",
    "forward/swap:database/after_effect",
    "forward/start_behind_gate/after_effect",
    "end/success/mid_effect",
];

#[test]
fn the_power_goes_and_the_upgrade_goes_on() {
    let world = World::with(&["1.1.0"]);
    for point in sampled(MOMENTS.to_vec(), 4) {
        println!("{point}");
        let case = world.case();
        let id = case.ask("1.1.0");
        power_goes(&case, id, &mut case.frozen(id, point));
        goes_on_by_itself(&case, id, &Expected::complete("1.1.0"));
        world.reset();
    }
}

#[test]
fn the_power_goes_on_the_way_back_and_the_old_version_comes_back() {
    let world = World::with(&["1.5.0"]);
    let moments = [
        "back/switch_release/mid_effect",
        "back/swap:database/after_effect",
        "back/stop:shop/mid_effect",
        "end/rolled_back/mid_effect",
    ];
    for point in sampled(moments.to_vec(), 2) {
        println!("{point}");
        let case = world.case_with(|it| limit(it, "start_within", "20s"));
        let id = case.ask("1.5.0");
        power_goes(&case, id, &mut case.frozen(id, point));
        goes_on_by_itself(&case, id, &Expected::rolled_back("wrong_version"));
    }
}

/// All was done and seen to run, and only the last word was not written: it runs no more, so it is started again first.
#[test]
fn the_power_goes_before_the_last_word_and_what_it_says_is_true_again() {
    let world = World::with(&["1.1.0", "1.5.0"]);
    let ways = [
        ("1.5.0", "end/rolled_back/mid_effect", Expected::rolled_back("wrong_version")),
        ("1.1.0", "end/success/mid_effect", Expected::complete("1.1.0")),
    ];
    for (to, point, expected) in ways {
        println!("{point}");
        let case = world.case_with(|it| limit(it, "start_within", "20s"));
        let id = case.ask(to);
        everything_ends(&case, id, &mut case.frozen(id, point));
        // Nothing but Liftlock starts the shop on this computer.
        case.world.demo(&["up", "--no-shop"]);
        goes_on_by_itself(&case, id, &expected);
    }
}

/// A migration that nobody has seen the end of is never run again on the same data.
#[test]
fn the_power_goes_in_a_migration_and_the_old_version_comes_back() {
    let world = World::with(&["1.6.0"]);
    world.demo(&["fault", "--spare-rehearsal"]);
    let case = world.case();
    let id = case.ask("1.6.0");
    let mut worker = case.worker(id, &[]);
    case.until_begun(id, "migrate");
    power_goes(&case, id, &mut worker);
    goes_on_by_itself(&case, id, &Expected::rolled_back("unclear"));
}
