//! Backups at set times, of a real SQLite file, under a clock that the test sets.

use std::fs;

use chrono::TimeDelta;
use liftlock_engine::ports::Clock;
use liftlock_engine::state::Db;
use liftlock_engine::state::home::Home;
use liftlock_engine::state::lease::Lease;
use liftlock_engine::view::DueOutcome;

use crate::shop::Bench;
use crate::support::this_process;

#[test]
fn what_is_due_is_made_once_proven_and_kept_by_rule() {
    let bench = Bench::new();
    assert!(bench.run().is_empty(), "nothing is scheduled");
    let view = bench.engine.schedule_backups(&bench.shop, "every hour").unwrap();
    assert_eq!(view.next_at, Some("2026-11-20T11:00:00Z".parse().unwrap()));
    assert!(bench.run().is_empty(), "its time has not come");
    // Asleep for nine hours: one backup.
    bench.pass(TimeDelta::hours(9));
    let made = bench.run().pop().unwrap();
    let backup = made.backup.unwrap();
    assert_eq!((backup.kind.as_str(), backup.grade.as_str(), made.outcome), ("scheduled", "proven", DueOutcome::Made));
    assert!(bench.run().is_empty());
    bench.engine.choose("keep_backups", Some("2")).unwrap();
    for _ in 0..4 {
        bench.pass(TimeDelta::hours(1));
        assert_eq!(bench.outcomes(), [DueOutcome::Made]);
    }
    assert_eq!(bench.made(), 2);
    bench.engine.unschedule_backups(&bench.shop).unwrap();
    bench.pass(TimeDelta::hours(5));
    assert!(bench.run().is_empty());
}

#[test]
fn a_backup_that_is_due_waits_for_whoever_works_and_is_made_afterwards() {
    let bench = Bench::new();
    bench.engine.schedule_backups(&bench.shop, "every hour").unwrap();
    bench.pass(TimeDelta::hours(1));
    let home = Home::at(bench.root.path().join("home"));
    let mut db = Db::open(&home).unwrap();
    let folder = bench.root.path().join("shop");
    let held = Lease::take(&mut db, &home, &bench.shop, &folder, &this_process()).unwrap();
    assert_eq!(bench.outcomes(), [DueOutcome::Waits]);
    assert_eq!(bench.made(), 0);
    drop(held);
    // An update that was asked for counts too, also where nobody works on it at this moment.
    let options = liftlock_engine::state::upgrades::Options::default();
    db.ask_for_upgrade(&bench.shop, "shop", "1.1.0", &options, "tester", bench.clock.now()).unwrap();
    assert_eq!(bench.outcomes(), [DueOutcome::Waits]);
    let other = Bench::new();
    other.engine.schedule_backups(&other.shop, "every hour").unwrap();
    other.pass(TimeDelta::hours(1));
    assert_eq!(other.outcomes(), [DueOutcome::Made], "and where nothing holds it, the same is made");
}

#[test]
fn a_scheduled_backup_that_fails_is_tried_again_and_told_by_the_doctor() {
    let bench = Bench::new();
    bench.engine.schedule_backups(&bench.shop, "every day at 14:30").unwrap();
    let database = bench.root.path().join("shop/data/shop.db");
    let away = database.with_extension("away");
    fs::rename(&database, &away).unwrap();
    bench.pass(TimeDelta::days(1));
    let failed = bench.run().pop().unwrap();
    assert_eq!(failed.outcome, DueOutcome::Failed);
    assert!(failed.error.is_some_and(|it| !it.remedy.is_empty()));
    assert!(bench.run().is_empty(), "not at once");
    let told = || {
        let found = bench.engine.doctor().unwrap().findings;
        found.iter().filter(|it| it.class == "scheduled_backup_failed").count()
    };
    assert_eq!(told(), 1);
    fs::rename(&away, &database).unwrap();
    bench.pass(TimeDelta::hours(1));
    assert_eq!(bench.outcomes(), [DueOutcome::Made]);
    assert_eq!(told(), 0);
}

#[test]
fn a_scheduled_backup_that_nobody_made_is_told_after_two_hours_until_it_is_made() {
    let bench = Bench::new();
    bench.engine.schedule_backups(&bench.shop, "every hour").unwrap();
    let told = || {
        let (_, found) = bench.engine.backups(None).unwrap();
        let doctor = bench.engine.doctor().unwrap().findings;
        let late = doctor.into_iter().filter(|it| it.class == "scheduled_backup_late").collect::<Vec<_>>();
        assert!(found.iter().all(|it| it.class != "scheduled_backup_late"), "it is no matter of one backup");
        late
    };
    // It is half past ten, and one is due at eleven.
    bench.pass(TimeDelta::hours(2));
    assert!(told().is_empty(), "an hour and a half are not late yet");
    bench.pass(TimeDelta::hours(1));
    let late = told();
    assert!(
        late.len() == 1 && late[0].message.contains("was due at") && late[0].remedy.contains("backup create"),
        "{late:?}"
    );
    // The oldest of those that were missed says since when, however many there were since.
    bench.pass(TimeDelta::days(2));
    assert_eq!(told()[0].message, late[0].message);
    assert_eq!(bench.outcomes(), [DueOutcome::Made]);
    assert!(told().is_empty());
}

#[test]
fn old_backups_are_restored_as_a_test_again_and_a_grade_that_falls_is_an_alarm() {
    let bench = Bench::new();
    bench.engine.schedule_backups(&bench.shop, "every day at 14:30").unwrap();
    bench.pass(TimeDelta::days(1));
    let made = bench.run().pop().unwrap().backup.unwrap();
    // The schedule ends for the time of this test, so that nothing else is due.
    bench.engine.schedule_backups(&bench.shop, "0 0 1 1 *").unwrap();
    bench.pass(TimeDelta::days(20));
    assert!(bench.run().is_empty(), "tested 20 days ago");
    bench.pass(TimeDelta::days(11));
    assert_eq!(bench.outcomes(), [DueOutcome::ProvenAgain]);
    assert!(bench.run().is_empty());
    let dump = std::path::Path::new(&made.path).join("uploads.tar.gz");
    let mut bytes = fs::read(&dump).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&dump, bytes).unwrap();
    // Past the new year, which the schedule serves first.
    bench.pass(TimeDelta::days(31));
    assert_eq!(bench.outcomes(), [DueOutcome::Made]);
    assert_eq!(bench.outcomes(), [DueOutcome::Failed]);
    let alarm = bench.engine.doctor().unwrap().findings.into_iter().find(|it| it.class == "backup_failed").unwrap();
    assert!(alarm.message.contains("It was proven on"), "{}", alarm.message);
}

#[test]
fn scheduled_backups_are_copied_and_caught_up_when_their_disk_is_connected_again() {
    let bench = Bench::new();
    let disk = bench.root.path().join("usb");
    assert_eq!(bench.engine.copy_backups_to(Some(&disk)).unwrap_err().class, "copy_folder_gone");
    fs::create_dir(&disk).unwrap();
    bench.engine.copy_backups_to(Some(&disk)).unwrap();
    bench.engine.choose("keep_copies", Some("2")).unwrap();
    bench.engine.schedule_backups(&bench.shop, "every hour").unwrap();
    let copies = || fs::read_dir(disk.join("shop")).map_or(0, Iterator::count);
    bench.pass(TimeDelta::hours(1));
    assert_eq!((bench.outcomes(), copies()), (vec![DueOutcome::Made], 1));
    assert!(bench.run().is_empty(), "it has its copy");
    // The disk is away; its mount point is there and empty.
    let away = bench.root.path().join("in a drawer");
    fs::rename(&disk, &away).unwrap();
    fs::create_dir(&disk).unwrap();
    bench.pass(TimeDelta::hours(1));
    let made = bench.run().pop().unwrap();
    assert_eq!((made.outcome, made.error.unwrap().class.as_str()), (DueOutcome::Made, "copy_folder_gone"));
    assert!(bench.run().is_empty() && copies() == 0);
    let finding = |class: &str| bench.engine.doctor().unwrap().findings.into_iter().any(|it| it.class == class);
    assert!(finding("copy_behind"));
    fs::remove_dir(&disk).unwrap();
    fs::rename(&away, &disk).unwrap();
    assert_eq!((bench.outcomes(), copies()), (vec![DueOutcome::Copied], 2));
    assert!(!finding("copy_behind"));
    bench.pass(TimeDelta::hours(1));
    assert_eq!((bench.outcomes(), copies()), (vec![DueOutcome::Made], 2), "no more than two copies");
    bench.engine.copy_backups_to(None).unwrap();
    bench.pass(TimeDelta::hours(1));
    assert_eq!((bench.outcomes(), copies(), bench.made()), (vec![DueOutcome::Made], 2, 4));
}

/// The clock runs ten years ahead for a day, an hour, or behind, and is right again: what is made afterwards is the newest,
/// stays, and has its copy.
#[test]
fn a_clock_that_was_wrong_for_a_while_neither_removes_what_is_new_nor_keeps_it_from_its_copy() {
    for wrong in [TimeDelta::days(3650), TimeDelta::days(-3650), TimeDelta::hours(1), TimeDelta::hours(-1)] {
        let bench = Bench::new();
        let disk = bench.root.path().join("usb");
        fs::create_dir(&disk).unwrap();
        bench.engine.copy_backups_to(Some(&disk)).unwrap();
        bench.engine.choose("keep_copies", Some("2")).unwrap();
        bench.engine.choose("keep_backups", Some("2")).unwrap();
        bench.engine.schedule_backups(&bench.shop, "every hour").unwrap();
        let copies = || -> Vec<String> {
            let names = fs::read_dir(disk.join("shop")).unwrap().map(|it| it.unwrap().file_name());
            names.map(|it| it.into_string().unwrap()).collect()
        };
        let hours = |most: usize| {
            let mut ids = Vec::new();
            for _ in 0..most {
                bench.pass(TimeDelta::hours(1));
                ids.extend(bench.run().into_iter().filter_map(|it| it.backup).map(|it| it.id));
            }
            ids
        };
        hours(2);
        bench.clock.set_wall(bench.clock.now() + wrong);
        hours(4);
        bench.clock.set_wall(bench.clock.now() - wrong);
        // Hours that were served already under the other clock are not served twice.
        let made = hours(6);
        assert!(made.len() >= 4, "{wrong}: {made:?}");
        let (newest, before) = (made.last().unwrap(), &made[made.len() - 2]);
        let listed = bench.engine.backups(Some(&bench.shop)).unwrap().0;
        for id in [newest, before] {
            assert!(listed.iter().any(|it| it.id == *id), "{wrong}: {id} is gone: {listed:#?}");
            assert!(copies().contains(id), "{wrong}: {id} has no copy: {:?}", copies());
        }
        let found = bench.engine.doctor().unwrap().findings;
        assert!(!found.iter().any(|it| it.class == "copy_behind"), "{wrong}: {found:#?}");
        assert!(bench.run().is_empty(), "{wrong}: nothing more is to be done");
    }
}
