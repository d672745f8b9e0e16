//! Real processes, ended in every way that they know.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use super::orphans::{OrphanLock, end_all};
use super::*;
use crate::error::{Error, Result};
use crate::model::ids::UpgradeId;
use crate::ports::{Invocation, Patience, Pipes, Reporter, Runner, SignOfWork, Unit};

/// Keeps what it is told, and says stop when asked to.
#[derive(Default)]
struct Ear {
    lines: Mutex<Vec<String>>,
    stop: Mutex<Option<Error>>,
}

impl Ear {
    fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }
}

impl Reporter for Ear {
    fn moved(&self, _done: u64, _total: Option<u64>, _unit: Unit) {}
    fn say(&self, line: &str) {
        self.lines.lock().unwrap().push(line.to_owned());
    }
    fn check(&self) -> Result<()> {
        self.stop.lock().unwrap().clone().map_or(Ok(()), Err)
    }
}

fn sh(script: &str) -> Invocation {
    Invocation::new("sh").arg("-c").arg(script)
}

fn patience(deadline: f64, stall_after: Option<f64>) -> Patience {
    Patience { deadline: Duration::from_secs_f64(deadline), stall_after: stall_after.map(Duration::from_secs_f64) }
}

fn runner() -> SystemRunner {
    SystemRunner::new().grace(Duration::from_millis(300))
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        thread::sleep(Duration::from_millis(10));
    }
}

fn identity_in(file: &Path) -> Identity {
    let mut found = None;
    until("a pid is written", || {
        let pid = fs::read_to_string(file).ok().and_then(|text| text.trim().parse().ok());
        found = pid.and_then(Identity::of);
        found.is_some()
    });
    found.unwrap()
}

#[test]
fn a_command_is_run_to_its_end_and_its_words_are_told_and_kept() {
    let ear = Ear::default();
    let done =
        runner().run(&sh("echo out; printf 'e\\033[2Jrr\\n' >&2; exit 7"), patience(20.0, None), &[], &ear).unwrap();
    assert_eq!((done.code, done.stdout.as_str(), done.succeeded()), (Some(7), "out\n", false));
    let mut lines = ear.lines();
    lines.sort();
    assert_eq!(lines, [r"e\u{1b}[2Jrr", "out"], "what a child prints must not steer the terminal");
}

#[test]
fn a_quiet_command_keeps_its_answer_out_of_the_log() {
    let ear = Ear::default();
    let done = runner().run(&sh("echo customer; echo why >&2").quiet(), patience(20.0, None), &[], &ear).unwrap();
    assert_eq!((done.stdout.as_str(), ear.lines()), ("customer\n", vec!["why".to_owned()]));
}

#[test]
fn a_child_sees_a_minimal_environment_and_no_descriptor_of_ours() {
    let _open = fs::File::open("/proc/self/stat").unwrap();
    let inv = sh("env; ls /proc/self/fd | tr '\\n' ' '").env("GIVEN", "yes");
    let done = runner().run(&inv, patience(20.0, None), &[], &Silent).unwrap();
    assert!(done.stdout.contains("GIVEN=yes") && done.stdout.contains("PATH="));
    assert!(!done.stdout.contains("CARGO"), "our own environment must not leak: {}", done.stdout);
    // The last one is the folder that `ls` itself reads.
    assert!(done.stdout.ends_with("0 1 2 3 "), "{}", done.stdout);
}

#[test]
fn a_program_that_is_not_there_is_named_with_a_remedy() {
    let error = runner().run(&Invocation::new("no-such-program"), patience(1.0, None), &[], &Silent).unwrap_err();
    assert_eq!((error.class.as_ref(), error.remedy.is_empty()), ("command_missing", false));
    let error = runner().run(&Invocation::new("/etc/passwd"), patience(1.0, None), &[], &Silent).unwrap_err();
    assert_eq!(error.class, "command_not_executable");
    let error = runner().run(&sh("true").dir("/no/such/folder"), patience(1.0, None), &[], &Silent).unwrap_err();
    assert_eq!(error.class, "folder_missing");
}

#[test]
fn a_silent_command_is_stopped_with_its_whole_tree_also_what_got_away_into_a_session_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let script = "echo $$ > a; setsid sh -c 'echo $$ > b; trap \"\" TERM; while :; do sleep 1; done' & sleep 600";
    let begun = Instant::now();
    let inv = sh(script).dir(folder.path());
    let error = runner().run(&inv, patience(60.0, Some(1.5)), &[], &Silent).unwrap_err();
    assert_eq!(error.class, "stalled");
    assert!(begun.elapsed() >= Duration::from_millis(1400), "stopped too early: {:?}", begun.elapsed());
    for file in ["a", "b"] {
        let pid: u32 = fs::read_to_string(folder.path().join(file)).unwrap().trim().parse().unwrap();
        assert_eq!(Identity::of(pid), None, "{file} outlived its run");
    }
}

#[test]
fn an_idle_loop_is_no_work() {
    let error = runner().run(&sh("while :; do sleep 0.2; done"), patience(60.0, Some(2.0)), &[], &Silent).unwrap_err();
    assert_eq!(error.class, "stalled");
}

#[test]
fn a_command_that_computes_without_a_word_is_given_time() {
    // A grandchild does the work, as it does under most migration tools.
    let script = "(end=$(($(date +%s)+4)); while [ $(date +%s) -lt $end ]; do i=0; while [ $i -lt 3000 ]; do i=$((i+1)); done; done); exit 0";
    let done = runner().run(&sh(script), patience(60.0, Some(1.5)), &[], &Silent).unwrap();
    assert!(done.succeeded());
}

#[test]
fn a_command_that_goes_on_printing_is_given_time() {
    let script = "for i in 1 2 3 4 5 6; do echo $i; sleep 0.5; done";
    assert!(runner().run(&sh(script), patience(60.0, Some(1.5)), &[], &Silent).unwrap().succeeded());
}

#[test]
fn a_further_sign_of_work_gives_time_and_one_that_stands_still_gives_none() {
    struct Moving(AtomicU64);
    impl SignOfWork for Moving {
        fn look(&self) -> Option<u64> {
            Some(self.0.fetch_add(1, Ordering::Relaxed))
        }
    }
    struct Still;
    impl SignOfWork for Still {
        fn look(&self) -> Option<u64> {
            Some(4)
        }
    }
    let inv = sh("sleep 3");
    assert!(runner().run(&inv, patience(60.0, Some(1.2)), &[&Moving(AtomicU64::new(0))], &Silent).unwrap().succeeded());
    let error = runner().run(&inv, patience(60.0, Some(1.2)), &[&Still], &Silent).unwrap_err();
    assert_eq!(error.class, "stalled");
}

#[test]
fn a_stopped_process_makes_no_progress_and_is_ended_all_the_same() {
    let error = runner().run(&sh("kill -STOP $$"), patience(60.0, Some(1.0)), &[], &Silent).unwrap_err();
    assert_eq!(error.class, "stalled");
}

#[test]
fn a_deadline_ends_even_a_command_that_works_and_quotes_its_last_words() {
    let begun = Instant::now();
    let inv = sh("echo last words >&2; trap '' TERM; while :; do :; done");
    let error = runner().run(&inv, patience(1.0, Some(60.0)), &[], &Silent).unwrap_err();
    assert_eq!((error.class.as_ref(), error.details.as_slice()), ("deadline", &["last words".to_owned()][..]));
    assert!(begun.elapsed() < Duration::from_secs(15));
}

#[test]
fn a_reporter_that_says_stop_is_heard_at_once_even_while_output_floods() {
    let ear = Arc::new(Ear::default());
    let later = Arc::clone(&ear);
    let stopper = thread::spawn(move || {
        until("output came", || !later.lines().is_empty());
        *later.stop.lock().unwrap() = Some(Error::failed("cancelled", "You cancelled."));
        Instant::now()
    });
    let error = runner().run(&sh("yes"), patience(60.0, None), &[], &*ear).unwrap_err();
    assert_eq!(error.class, "cancelled");
    assert!(stopper.join().unwrap().elapsed() < Duration::from_secs(5));
}

#[test]
fn what_a_command_leaves_running_on_purpose_stays_and_does_not_keep_us_waiting() {
    let folder = tempfile::tempdir().unwrap();
    let begun = Instant::now();
    let inv = sh("sleep 600 & echo $! > pid; echo started").dir(folder.path());
    let done = runner().run(&inv, patience(60.0, Some(30.0)), &[], &Silent).unwrap();
    assert_eq!(done.stdout, "started\n");
    assert!(begun.elapsed() < Duration::from_secs(20));
    let server = identity_in(&folder.path().join("pid"));
    assert_eq!(end_with_descendants(&server, None, Duration::from_secs(5)).unwrap(), Ending::Gently);
}

#[test]
fn ten_megabytes_flow_through_unchanged_in_both_directions() {
    let sent: Vec<u8> = (0..10_000_000u32).map(|n| (n * 7 % 251) as u8).collect();
    let (mut source, mut sink) = (&sent[..], Vec::new());
    let pipes = Pipes { stdin: Some(&mut source), stdout: Some(&mut sink) };
    let ear = Ear::default();
    let done = runner().pipe(&Invocation::new("cat"), pipes, patience(60.0, Some(10.0)), &[], &ear).unwrap();
    assert!(done.succeeded() && done.stdout.is_empty() && ear.lines().is_empty());
    assert!(sink == sent);
}

#[test]
fn a_sink_that_breaks_ends_the_command_and_says_why() {
    struct Full;
    impl std::io::Write for Full {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(std::io::ErrorKind::StorageFull.into())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let pipes = Pipes { stdin: None, stdout: Some(&mut Full) };
    let error = runner().pipe(&Invocation::new("yes"), pipes, patience(60.0, None), &[], &Silent).unwrap_err();
    assert_eq!(error.class, "disk_full");
}

#[test]
fn a_slow_sink_still_gets_every_byte() {
    struct Slow(Vec<u8>);
    impl std::io::Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            if self.0.is_empty() {
                thread::sleep(Duration::from_secs(3));
            }
            self.0.extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut slow = Slow(Vec::new());
    let pipes = Pipes { stdin: None, stdout: Some(&mut slow) };
    runner().pipe(&sh("head -c 3000000 /dev/zero"), pipes, patience(60.0, None), &[], &Silent).unwrap();
    assert_eq!(slow.0.len(), 3_000_000);
}

#[test]
fn a_detached_program_leads_a_session_of_its_own_and_writes_to_its_log() {
    let folder = tempfile::tempdir().unwrap();
    let log = LogFile::at(folder.path().join("logs/app.log"));
    let _open = fs::File::open("/proc/self/stat").unwrap();
    let script = "echo hello; cut -d' ' -f6 /proc/$$/stat; ls -m /proc/$$/fd; env | grep -e LIFTLOCK_UPGRADE -e LIFTLOCK_RUN; exec sleep 600";
    let app = spawn_detached(&sh(script), &log).unwrap();
    let expected = format!("hello\n{}\n", app.pid);
    until("the log is written", || fs::read_to_string(&log.path).is_ok_and(|text| text.matches('\n').count() > 2));
    let text = fs::read_to_string(&log.path).unwrap();
    assert!(text.starts_with(&expected), "{text}");
    // Not through a pipe of the shell, which would be one of its descriptors.
    let descriptors: Vec<u32> = text.lines().nth(2).unwrap().split(", ").map(|it| it.parse().unwrap()).collect();
    assert!(descriptors.iter().all(|it| *it <= 2), "{text}");
    assert!(app.is_alive());
    assert_eq!(end_with_descendants(&app, None, Duration::from_secs(5)).unwrap(), Ending::Gently);
    assert_eq!(end_with_descendants(&app, None, Duration::from_secs(5)).unwrap(), Ending::WasGone);
}

#[test]
fn a_program_that_does_not_want_to_end_is_killed_with_its_children() {
    let folder = tempfile::tempdir().unwrap();
    let log = LogFile::at(folder.path().join("app.log"));
    let app =
        spawn_detached(&sh("trap '' TERM; sleep 600 & echo $! > pid; wait; wait").dir(folder.path()), &log).unwrap();
    let child = identity_in(&folder.path().join("pid"));
    assert_eq!(end_with_descendants(&app, None, Duration::from_millis(300)).unwrap(), Ending::ByForce);
    assert!(!app.is_alive() && !child.is_alive());
}

#[test]
fn what_is_left_of_a_program_whose_root_died_is_found_by_its_mark() {
    let folder = tempfile::tempdir().unwrap();
    let log = LogFile::at(folder.path().join("app.log"));
    let mark = folder.path().to_str().unwrap().to_owned();
    let inv = sh("sleep 600 & echo $! > pid").dir(folder.path()).env("LIFTLOCK_COMPONENT", &mark);
    let app = spawn_detached(&inv, &log).unwrap();
    let child = identity_in(&folder.path().join("pid"));
    // Until it is reaped, its pid is surely its own, and its session tells who belongs to it.
    until("it is reaped", || !Path::new(&format!("/proc/{}", app.pid)).exists());
    assert_eq!(
        end_with_descendants(&app, None, Duration::from_secs(1)).unwrap(),
        Ending::WasGone,
        "without a mark it may be anyone's"
    );
    assert!(child.is_alive());
    let ending = end_with_descendants(&app, Some(("LIFTLOCK_COMPONENT", &mark)), Duration::from_secs(1)).unwrap();
    assert_eq!((ending, child.is_alive()), (Ending::Gently, false));
}

#[test]
fn a_log_that_has_grown_is_turned_over_and_only_so_many_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let log = LogFile { path: folder.path().join("app.log"), turn_at: 3, keep: 2 };
    for text in ["one", "two", "three", "4"] {
        std::io::Write::write_all(&mut log.open().unwrap(), text.as_bytes()).unwrap();
    }
    let read = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap_or_default();
    assert_eq!([read("app.log"), read("app.log.1"), read("app.log.2"), read("app.log.3")], ["4", "three", "two", ""]);
}

/// Not a test: a worker with an application and a command under it.
#[test]
#[ignore = "run by another test as a process of its own"]
fn be_a_worker_with_an_application() {
    let Ok(folder) = std::env::var("ORPHAN_TEST_FOLDER").map(PathBuf::from) else { return };
    let upgrade: UpgradeId = std::env::var("ORPHAN_TEST_UPGRADE").unwrap().parse().unwrap();
    let (lock, _) = OrphanLock::take(&folder.join("children.lock"), upgrade, Duration::from_secs(5)).unwrap();
    let app = sh("sleep 600 & echo $! > app_child; echo $$ > app; wait").dir(&folder);
    spawn_detached(&app, &LogFile::at(folder.join("app.log"))).unwrap();
    let acting = sh("echo $$ > acting; exec sleep 600").dir(&folder);
    let _ = SystemRunner::new().acting(Arc::new(lock)).run(&acting, patience(600.0, None), &[], &Silent);
}

#[rstest::rstest]
#[case::as_the_watchdog_does(true)]
#[case::as_the_next_worker_does(false)]
fn ending_a_frozen_worker_ends_what_acts_and_leaves_the_application_alone(#[case] as_watchdog: bool) {
    let folder = tempfile::tempdir().unwrap();
    let upgrade = UpgradeId::fresh();
    let mut worker = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "process::tests::be_a_worker_with_an_application", "--ignored"])
        .env("ORPHAN_TEST_FOLDER", folder.path())
        .env("ORPHAN_TEST_UPGRADE", upgrade.to_string())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let identity = Identity::of(worker.id()).unwrap();
    let [app, app_child, acting] = ["app", "app_child", "acting"].map(|it| identity_in(&folder.path().join(it)));
    let pid = rustix::process::Pid::from_raw(worker.id().try_into().unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::STOP).unwrap();

    if as_watchdog {
        assert_eq!(end_with_descendants(&identity, None, Duration::from_millis(200)).unwrap(), Ending::Gently);
    } else {
        end_all(&folder.path().join("children.lock"), upgrade, Duration::from_secs(20)).unwrap();
    }
    assert!(!identity.is_alive() && !acting.is_alive());
    assert!(app.is_alive() && app_child.is_alive(), "the application was ended with the worker");
    worker.wait().unwrap();
    end_with_descendants(&app, None, Duration::from_secs(5)).unwrap();
    assert!(!app_child.is_alive());
}

/// Not a test: the worker that is killed by those below, which run this very binary again.
#[test]
#[ignore = "run by other tests as a process of its own"]
fn be_a_worker() {
    let Ok(folder) = std::env::var("ORPHAN_TEST_FOLDER").map(PathBuf::from) else { return };
    let upgrade: UpgradeId = std::env::var("ORPHAN_TEST_UPGRADE").unwrap().parse().unwrap();
    let (lock, _) = OrphanLock::take(&folder.join("children.lock"), upgrade, Duration::from_secs(5)).unwrap();
    let script = fs::read_to_string(folder.join("script")).unwrap();
    let _ =
        SystemRunner::new().acting(Arc::new(lock)).run(&sh(&script).dir(&folder), patience(600.0, None), &[], &Silent);
}

/// Starts a worker whose child runs `script`, kills the worker once all `pids` are written, answers with those.
fn orphans_of_a_killed_worker(folder: &Path, upgrade: UpgradeId, script: &str, pids: &[&str]) -> Vec<Identity> {
    fs::write(folder.join("script"), script).unwrap();
    let mut worker = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "process::tests::be_a_worker", "--ignored"])
        .env("ORPHAN_TEST_FOLDER", folder)
        .env("ORPHAN_TEST_UPGRADE", upgrade.to_string())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let orphans: Vec<Identity> = pids.iter().map(|file| identity_in(&folder.join(file))).collect();
    worker.kill().unwrap();
    worker.wait().unwrap();
    orphans
}

#[test]
fn an_orphan_of_a_killed_worker_holds_the_lock_until_it_is_ended() {
    let folder = tempfile::tempdir().unwrap();
    let upgrade = UpgradeId::fresh();
    let orphans = orphans_of_a_killed_worker(folder.path(), upgrade, "echo $$ > a; exec sleep 600", &["a"]);
    assert!(orphans[0].is_alive(), "the child outlives its worker, or this test proves nothing");
    let lock = folder.path().join("children.lock");
    let second = fs::File::options().write(true).open(&lock).unwrap();
    assert!(second.try_lock().is_err(), "the lock is held through the inherited descriptor");
    drop(second);

    let ended = end_all(&lock, upgrade, Duration::from_secs(20)).unwrap();
    assert!(ended.contains(&orphans[0]));
    assert!(!orphans[0].is_alive());
    assert_eq!(end_all(&lock, upgrade, Duration::from_secs(20)).unwrap(), []);
}

#[test]
fn orphans_that_closed_the_descriptor_dropped_the_mark_or_ignore_being_asked_are_ended_too() {
    let folder = tempfile::tempdir().unwrap();
    let upgrade = UpgradeId::fresh();
    let script = "\
        setsid sh -c 'exec 3>&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&-; echo $$ > a; trap \"\" TERM; while :; do sleep 1; done' &
        env -i sh -c 'exec 3>&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&-; echo $$ > b; exec sleep 600' &
        env -i setsid sh -c 'echo $$ > c; exec sleep 600' &
        wait";
    let orphans = orphans_of_a_killed_worker(folder.path(), upgrade, script, &["a", "b", "c"]);
    end_all(&folder.path().join("children.lock"), upgrade, Duration::from_secs(20)).unwrap();
    for (orphan, what) in orphans.iter().zip(["closed the descriptor", "kept only the group", "kept only the lock"]) {
        assert!(!orphan.is_alive(), "the one that {what} is still there");
    }
}

#[test]
fn whoever_only_looks_at_the_lock_and_whoever_acts_for_another_upgrade_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let lock = folder.path().join("children.lock");
    fs::write(&lock, "").unwrap();
    let mut looker = Command::new("sleep").arg("600").stdin(fs::File::open(&lock).unwrap()).spawn().unwrap();
    let mut other =
        Command::new("sleep").arg("600").env("LIFTLOCK_UPGRADE", UpgradeId::fresh().to_string()).spawn().unwrap();
    assert_eq!(end_all(&lock, UpgradeId::fresh(), Duration::from_secs(5)).unwrap(), []);
    for child in [&mut looker, &mut other] {
        assert_eq!(child.try_wait().unwrap(), None);
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
