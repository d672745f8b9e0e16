//! One works, everyone else is told who.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};

use liftlock_engine::error::Kind;
use liftlock_engine::state::Db;
use liftlock_engine::state::home::Home;
use liftlock_engine::state::lease::{Holder, Lease};

use crate::support::{Bench, bench_of_parent, process, this_process, wait_until};

#[test]
fn the_second_one_is_told_who_works_since_when_and_where_the_lock_is() {
    let bench = Bench::new();
    let first = bench.lease().unwrap();
    let busy = bench.lease().unwrap_err();
    assert_eq!((busy.kind, busy.class.as_ref(), busy.exit_code()), (Kind::Busy, "busy", 6));
    let said = format!("{} {}", busy.message, busy.remedy);
    let lock = bench.home.lock_file(&bench.shop).display().to_string();
    for fact in [&std::process::id().to_string(), "keeper", "harbour", "2026-09-21 14:13:20 UTC", &lock] {
        assert!(said.contains(fact), "{fact} is missing in: {said}");
    }
    assert_eq!(Lease::must_be_free(&bench.home, &bench.shop).unwrap_err().class, "busy");
    drop(first);
    assert!(Lease::must_be_free(&bench.home, &bench.shop).is_ok());
    assert!(bench.home.lock_file(&bench.shop).exists(), "the lock file is never unlinked");
}

#[test]
fn every_holding_has_a_higher_epoch() {
    let bench = Bench::new();
    let epochs: Vec<_> = (0..3).map(|_| bench.lease().unwrap().epoch).collect();
    assert_eq!(epochs, [1, 2, 3]);
}

#[test]
fn two_homes_cannot_work_on_the_same_folder() {
    let bench = Bench::new();
    let _first = bench.lease().unwrap();
    let other = Home::at(bench.path("other-home"));
    let mut db = Db::open(&other).unwrap();
    let busy = Lease::take(&mut db, &other, &bench.shop, &bench.folder, &this_process()).unwrap_err();
    assert_eq!(busy.class, "busy");
    assert!(busy.message.contains(&std::process::id().to_string()), "{}", busy.message);
}

#[test]
fn a_number_that_was_used_again_is_not_taken_for_the_holder() {
    let bench = Bench::new();
    let _held = bench.lease().unwrap();
    // This pid lives, but it is not the process that the record means.
    let forged = Holder { started_ticks: 1, user: "ghost".to_owned(), ..this_process() };
    let record = bench.home.lock_file(&bench.shop).with_extension("holder.json");
    fs::write(&record, serde_json::to_vec(&forged).unwrap()).unwrap();
    let busy = bench.lease().unwrap_err();
    assert!(busy.message.contains("another process") && !busy.message.contains("ghost"), "{}", busy.message);
}

#[test]
fn looking_never_keeps_anyone_from_taking_the_lease_and_never_sees_another_who_looks() {
    let bench = Bench::new();
    drop(bench.lease().unwrap());
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let seen = Lease::holder(&bench.home, &bench.shop).unwrap();
                    assert!(seen.is_none(), "another who looked was taken for a holder");
                }
            });
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
        stop.store(true, Ordering::Relaxed);
    });
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    Lease::holder(&bench.home, &bench.shop).unwrap();
                }
            });
        }
        let taken: Vec<_> = (0..50).map(|_| bench.lease().map(drop)).collect();
        stop.store(true, Ordering::Relaxed);
        assert!(taken.iter().all(Result::is_ok), "{taken:?}");
    });
}

#[test]
fn of_eight_processes_one_wins_and_seven_name_it() {
    let bench = Bench::new();
    let racers: Vec<_> = (0..8).map(|_| process("lease::racer", &bench)).collect();
    let ready = || {
        fs::read_dir(bench.path(""))
            .unwrap()
            .filter(|it| it.as_ref().unwrap().file_name().to_string_lossy().starts_with("ready-"))
            .count()
    };
    wait_until("all are at the line", || ready() == 8);
    fs::write(bench.path("go"), "").unwrap();
    let answer = |pid: u32| fs::read_to_string(bench.path(&format!("answer-{pid}"))).ok();
    wait_until("all have an answer", || racers.iter().all(|it| answer(it.id()).is_some()));
    let winners: Vec<_> =
        racers.iter().filter(|it| answer(it.id()).unwrap() == "won").map(std::process::Child::id).collect();
    assert_eq!(winners.len(), 1, "exactly one works");
    for racer in racers.iter().filter(|it| it.id() != winners[0]) {
        let said = answer(racer.id()).unwrap();
        assert!(said.starts_with("busy") && said.contains(&format!("process {} of", winners[0])), "{said}");
    }
    fs::write(bench.path("done"), "").unwrap();
    for racer in racers {
        assert!(racer.wait_with_output().unwrap().status.success());
    }
    assert_eq!(bench.lease().unwrap().epoch, 2, "who did not win has not raised the epoch");
}

#[test]
#[ignore = "a process of the test above"]
fn racer() {
    let (home, root) = bench_of_parent();
    let mut db = Db::open(&home).unwrap();
    let shop = "shop".to_owned().try_into().unwrap();
    let pid = std::process::id();
    fs::write(root.join(format!("ready-{pid}")), "").unwrap();
    wait_until("the start", || root.join("go").exists());
    let lease = Lease::take(&mut db, &home, &shop, &root.join("shop"), &this_process());
    let said = match &lease {
        Ok(_) => "won".to_owned(),
        Err(error) => format!("{}: {}", error.class, error.message),
    };
    let part = root.join(format!("part-{pid}"));
    fs::write(&part, said).unwrap();
    fs::rename(part, root.join(format!("answer-{pid}"))).unwrap();
    wait_until("the end", || root.join("done").exists());
    drop(lease);
}

#[test]
fn a_killed_holder_leaves_the_lease_free_and_is_not_named() {
    let bench = Bench::new();
    let mut holder = process("lease::racer", &bench);
    fs::write(bench.path("go"), "").unwrap();
    let answer = bench.path(&format!("answer-{}", holder.id()));
    wait_until("it holds the lease", || answer.exists());
    assert_eq!(bench.lease().unwrap_err().class, "busy");
    holder.kill().unwrap();
    holder.wait().unwrap();
    let lease = bench.lease().unwrap();
    assert_eq!(lease.epoch, 2);
    let named = Lease::holder(&bench.home, &bench.shop).unwrap().unwrap().unwrap();
    assert_eq!(named.pid, std::process::id());
}
