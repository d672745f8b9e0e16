//! The disk is full: that of Liftlock's own home while an upgrade runs. The ballast is let go, so that what became of
//! the upgrade can be written down, and the application is as it was or is raised whole.

use std::fs;
use std::path::Path;

use liftlock_engine::model::state::State;
use rustix::process::Signal;

use crate::disk::Disk;
use crate::support::{Case, Exit, Expected, World, judge, signal};

/// The next case, whose home is on a disk of its own.
fn on_a_small_disk(world: &World) -> Option<(Disk, Case<'_>)> {
    let disk = Disk::of(192, &world.next_home())?;
    Some((disk, world.case()))
}

/// Before anything is touched: the ballast makes the room in which the end is written.
#[test]
fn a_journal_that_finds_its_disk_full_lets_go_of_the_ballast_and_comes_to_an_end() {
    let world = World::with(&["1.1.0"]);
    for (point, is_away) in
        [("forward/rehearse/before_intent", false), ("forward/set_aside:database/after_effect", true)]
    {
        let Some((disk, case)) = on_a_small_disk(&world) else { return };
        let id = case.ask("1.1.0");
        let mut worker = case.frozen(id, point);
        assert!(case.home.ballast().metadata().is_ok_and(|it| it.len() > 1 << 20), "the ballast is there");
        disk.fill();
        signal(worker.id(), Signal::CONT);
        assert_eq!(case.end_of(&mut worker), Exit::Code(0), "{}", case.story(id));
        assert!(!case.home.ballast().exists(), "{point}: the ballast was let go");
        // The room that it left is enough for the rest.
        assert_eq!(case.upgrade(id).away_from.is_some(), is_away || case.upgrade(id).state == State::Complete);
        judge::judge(&case, &case.ended(id), &Expected::complete("1.1.0"));
        disk.make_room();
        drop(case);
        drop(disk);
        world.reset();
    }
}

/// Somebody takes the ballast's room too. Nothing can be written down then, and nothing is claimed; with room again the
/// upgrade comes to its end.
#[test]
fn where_not_even_the_ballast_helps_nothing_is_claimed_and_room_brings_the_end() {
    let world = World::with(&["1.1.0"]);
    for point in ["forward/rehearse/before_intent", "forward/set_aside:database/after_effect"] {
        let Some((disk, case)) = on_a_small_disk(&world) else { return };
        let id = case.ask("1.1.0");
        let mut worker = case.frozen(id, point);
        fs::remove_file(case.home.ballast()).unwrap();
        disk.fill();
        signal(worker.id(), Signal::CONT);
        let left = case.end_of(&mut worker);
        assert_eq!(left, Exit::Code(1), "{}", case.story(id));
        assert!(!case.upgrade(id).state.is_final(), "{}", case.story(id));
        disk.make_room();
        judge::judge(&case, &case.work(id, &[]), &Expected::complete("1.1.0"));
        drop(case);
        drop(disk);
        world.reset();
    }
}

/// The backup had room when that was checked, and has none any more: others write too.
#[test]
fn a_backup_that_finds_its_disk_full_ends_the_upgrade_before_anything_is_touched() {
    let world = World::with(&["1.1.0"]);
    let Some((disk, case)) = on_a_small_disk(&world) else { return };
    let id = case.ask("1.1.0");
    let mut worker = case.frozen(id, "forward/take_backup/after_intent");
    // Enough for the journal and no more.
    disk.fill_but(96 << 10);
    signal(worker.id(), Signal::CONT);
    assert_eq!(case.end_of(&mut worker), Exit::Code(0), "{}", case.story(id));
    disk.make_room();
    judge::judge(&case, &case.ended(id), &Expected::refused("no_room"));
}

/// An export that finds no room leaves nothing behind, and goes through once there is room.
#[test]
fn an_export_that_finds_its_disk_full_leaves_nothing_and_goes_through_with_room() {
    let world = World::with(&["1.1.0"]);
    let case = world.case();
    // Larger than the disk, in every form.
    world.sql("corner_shop", "UPDATE customers SET name = repeat(md5(id::text), 100000) WHERE id <= 8");
    let place = tempfile::tempdir().unwrap();
    let Some(disk) = Disk::of(12, place.path()) else { return };
    let into = disk.0.join("export");
    let (into, zip) = (into.to_str().unwrap(), format!("{}.zip", into.display()));
    for form in [&["--format", "csv"][..], &["--format", "jsonl"], &["--format", "json"], &["--format", "xlsx"]] {
        for (args, to) in [(&["--to", into][..], into), (&["--zip", "--to", &zip], zip.as_str())] {
            let (code, answer) = case.answer(&[&["export"], args, form].concat());
            assert_eq!((code, answer["error"]["class"].as_str()), (1, Some("disk_full")), "{form:?}: {answer:#}");
            assert!(!Path::new(to).exists() && fs::read_dir(&disk.0).unwrap().count() == 0, "{form:?} {to}");
        }
    }
    world.sql("corner_shop", "UPDATE customers SET name = 'short'");
    let (code, answer) = case.answer(&["export", "--to", into, "--format", "csv"]);
    assert_eq!(code, 0, "{answer:#}");
    assert_eq!(case.answer(&["export", "--check", into]).0, 0);
}

/// The scratch server does not fit.
#[test]
fn a_proof_that_finds_its_disk_full_ends_the_upgrade_before_anything_is_touched() {
    let world = World::with(&["1.1.0"]);
    let case = world.case();
    let Some(disk) = Disk::of(400, &case.scratch()) else { return };
    let id = case.ask("1.1.0");
    let mut worker = case.frozen(id, "forward/prove_backup/after_intent");
    disk.fill();
    signal(worker.id(), Signal::CONT);
    assert_eq!(case.end_of(&mut worker), Exit::Code(0), "{}", case.story(id));
    disk.make_room();
    judge::judge(&case, &case.ended(id), &Expected::failed("disk_full"));
}
