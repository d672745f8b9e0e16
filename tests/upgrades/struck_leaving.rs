//! Exports, fresh starts and imports killed at moments that nobody chose (`LIFTLOCK_SEED` replays them): each goes on or is
//! begun again, nothing is lost, nothing comes twice, and both installations can be started afterwards.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::fresh::{databases, stop_shops_in};
use crate::import::{COUNTS, ITEMS_AFTER, ITEMS_BEFORE, ORDERS_AFTER, ORDERS_BEFORE};
use crate::support::{Case, Dice, Exit, World, signal, times, wait_for};

/// Runs it until it ends by itself, struck at some moment of its first so many runs. How often it really was.
pub(crate) fn struck(case: &Case<'_>, args: &[&str], dice: &mut Dice, within: Duration, most: usize) -> usize {
    let mut killed = 0;
    for run in 0.. {
        let after = Duration::from_micros(dice.below(usize::try_from(within.as_micros()).unwrap()) as u64);
        let mut child = case.liftlock(args).stdout(std::process::Stdio::null()).spawn().unwrap();
        if run < most {
            println!("{args:?} is struck after {after:?}");
            let begun = Instant::now();
            wait_for("the moment has come", within + Duration::from_secs(60), || {
                (begun.elapsed() >= after || child.try_wait().unwrap().is_some()).then_some(())
            });
            signal(child.id(), Signal::KILL);
        }
        match case.end_of(&mut child) {
            Exit::Signal(9) => killed += 1,
            // What was killed after its end needs no more.
            Exit::Code(0 | 3) => return killed,
            other => panic!("{args:?} went with {other:?}"),
        }
        case.until_nobody_works();
    }
    killed
}

#[test]
fn struck_at_some_moment_each_goes_on_and_nothing_is_lost_or_comes_twice() {
    let world = World::with(&["2.0.0"]);
    let case = world.case();
    let mut dice = Dice::new();
    let content = |database: &str| world.sql(database, ORDERS_BEFORE) + &world.sql(database, ITEMS_BEFORE);
    let before = content("corner_shop");
    let own = tempfile::tempdir().unwrap();

    // An export is there whole, or not at all.
    for round in 0..times(2, 50) {
        let into = own.path().join(format!("export-{round}"));
        let folder = into.to_str().unwrap();
        struck(
            &case,
            &["export", "--to", folder, "--format", "csv", "--format", "xlsx"],
            &mut dice,
            Duration::from_secs(2),
            3,
        );
        let (code, seen) = case.answer(&["export", "--check", folder]);
        assert_eq!(code, 0, "{seen:#}");
        let left: Vec<_> = std::fs::read_dir(own.path()).unwrap().map(|it| it.unwrap().file_name()).collect();
        assert!(!left.iter().any(|it| it.to_string_lossy().contains("unfinished")), "{left:?}");
        assert_eq!(world.version().as_deref(), Some("1.0.0"));
        assert_eq!(content("corner_shop"), before);
    }
    let folder = own.path().join("export-0");
    let folder = folder.to_str().unwrap();

    // Both versions are there, each whole, whichever moment it was.
    let args = ["fresh-start", "corner-shop", "--to", "2.0.0", "--export", folder];
    let killed = struck(&case, &args, &mut dice, Duration::from_secs(12), times(4, 60));
    println!("the fresh start was killed {killed} times");
    let shown = case.answer(&["fresh-start", "corner-shop", "--show"]).1;
    assert_eq!(shown["state"], "complete", "{shown:#}");
    assert_eq!(world.version().as_deref(), Some("2.0.0"));
    assert_eq!(content("corner_shop"), before);
    let new = databases(&world).into_iter().find(|it| it != "corner_shop").unwrap();
    assert_eq!(databases(&world).len(), 2, "nothing half-made is left: {:?}", databases(&world));

    let killed = struck(&case, &["import", folder], &mut dice, Duration::from_secs(6), times(4, 60));
    println!("the import was killed {killed} times");
    let (code, again) = case.answer(&["import", folder]);
    assert_eq!(code, 0, "{again:#}");
    assert_eq!(world.sql(&new, COUNTS), "10 200 200", "nothing came twice");
    assert_eq!(world.sql(&new, ORDERS_AFTER) + &world.sql(&new, ITEMS_AFTER), before);
    let staged = "SELECT count(*) FROM pg_tables WHERE schemaname = 'liftlock_import' AND tablename <> 'came'";
    assert_eq!(world.sql(&new, staged), "0", "what was laid down is gone");

    // Both can be started.
    let (code, _) = case.answer(&["aside", "start", "corner-shop"]);
    assert_eq!((code, world.version().as_deref()), (0, Some("1.0.0")));
    assert_eq!(content("corner_shop"), before);
    let (code, _) = case.answer(&["aside", "stop", "corner-shop"]);
    assert_eq!((code, world.version().as_deref()), (0, Some("2.0.0")));
    assert!(Path::new(folder).is_dir());
    stop_shops_in(&world, &PathBuf::from(shown["folder"].as_str().unwrap()));
}
