//! One Liftlock home in a world, and the row of workers that carry an upgrade to its end however often one dies.

use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use liftlock_engine::Engine;
use liftlock_engine::clock::SystemClock;
use liftlock_engine::model::ids::{InstallationName, UpgradeId};
use liftlock_engine::model::state::State;
use liftlock_engine::ports::Clock;
use liftlock_engine::state::Db;
use liftlock_engine::state::home::Home;
use liftlock_engine::state::lease::Lease;
use liftlock_engine::state::upgrades::{Options, Upgrade};
use serde_json::Value;

use super::watch::Eavesdropper;
use super::{Expected, PATIENCE, World, judge, wait_for};

/// As many as the bounds allow: more would be a row without an end.
const MOST_WORKERS: usize = 40;

/// A home of Liftlock that looks after the shop of a world.
pub(crate) struct Case<'w> {
    pub(crate) world: &'w World,
    pub(crate) home: Home,
    pub(crate) engine: Engine,
    pub(crate) name: InstallationName,
}

/// How one worker went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// It ended by itself with this code.
    Code(i32),
    /// A signal ended it.
    Signal(i32),
}

/// How a row of workers went.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) id: UpgradeId,
    /// How many of them were killed.
    pub(crate) killed: usize,
    /// Command lines that showed a password.
    pub(crate) heard: Vec<String>,
}

/// The ballast of every home would add up.
impl Drop for Case<'_> {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let _ = fs::remove_dir_all(self.home.root());
        }
    }
}

impl<'w> Case<'w> {
    pub(crate) fn new(world: &'w World, root: PathBuf, profile: &std::path::Path) -> Self {
        Self::at(world, root, profile, world.shop.clone())
    }

    /// As [`Case::new`], for an installation in another folder.
    pub(crate) fn at(world: &'w World, root: PathBuf, profile: &std::path::Path, folder: PathBuf) -> Self {
        let home = Home::at(&root);
        let engine = Engine::at(home.clone()).with_worker(world.program());
        // Where the server's user can go too; a home is closed to it.
        let scratch = world.dir.join("scratch").join(root.file_name().unwrap());
        engine.choose("scratch_dir", Some(scratch.to_str().unwrap())).unwrap();
        let name = "unnamed".parse().unwrap();
        let mut case = Self { world, home, engine, name };
        // From outside, because some worlds are only reached through the environment of a process.
        let (code, added) = case.answer(&["add", profile.to_str().unwrap(), folder.to_str().unwrap()]);
        assert_eq!(code, 0, "cannot be added: {added:#}");
        case.name = added["name"].as_str().unwrap().parse().unwrap();
        case
    }

    pub(crate) fn scratch(&self) -> PathBuf {
        self.world.dir.join("scratch").join(self.home.root().file_name().unwrap())
    }

    pub(crate) fn db(&self) -> Db {
        Db::open(&self.home).unwrap()
    }

    pub(crate) fn upgrade(&self, id: UpgradeId) -> Upgrade {
        self.db().upgrade(id).unwrap()
    }

    /// Asks for an upgrade that nobody works on yet.
    pub(crate) fn ask(&self, to: &str) -> UpgradeId {
        self.ask_with(to, &Options::default())
    }

    pub(crate) fn ask_with(&self, to: &str, options: &Options) -> UpgradeId {
        self.db().ask_for_upgrade(&self.name, "shop", to, options, "a test", chrono::Utc::now()).unwrap()
    }

    /// `liftlock` in this home, with nothing of the test's own environment that it could react to.
    pub(crate) fn liftlock(&self, args: &[&str]) -> Command {
        let mut command = Command::new(self.world.program());
        command
            .args(args)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", &self.world.dir)
            .env("TZ", "UTC")
            .env("LIFTLOCK_HOME", self.home.root())
            .env("LIFTLOCK_LOG", "info")
            .envs(self.world.environment())
            .stdin(Stdio::null());
        command
    }

    /// The exit code of a command and its last document.
    pub(crate) fn answer(&self, args: &[&str]) -> (i32, Value) {
        let output = self.liftlock(args).arg("--json").output().unwrap();
        let out = String::from_utf8_lossy(&output.stdout);
        let documents = serde_json::Deserializer::from_str(&out).into_iter::<Value>();
        let last = documents.map(|it| it.unwrap_or_else(|cause| panic!("{cause} in {out}"))).last();
        (output.status.code().unwrap_or(-1), last.unwrap_or_default())
    }

    pub(crate) fn crash_log(&self, id: UpgradeId) -> PathBuf {
        self.home.root().join(format!("crash-{id}.log"))
    }

    pub(crate) fn worker_log(&self) -> PathBuf {
        self.home.root().join("workers.log")
    }

    /// A worker in the foreground of this test, which dies at the points that nobody has died at before it.
    pub(crate) fn worker(&self, id: UpgradeId, points: &[String]) -> Child {
        let log = OpenOptions::new().create(true).append(true).open(self.worker_log()).unwrap();
        self.liftlock(&["work", &id.to_string()])
            .env("LIFTLOCK_CRASH_AT", points.join(","))
            .env("LIFTLOCK_CRASH_LOG", self.crash_log(id))
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap()
    }

    /// A worker that has frozen at this point.
    pub(crate) fn frozen(&self, id: UpgradeId, point: &str) -> Child {
        let mut command = self.liftlock(&["work", &id.to_string()]);
        let log = OpenOptions::new().create(true).append(true).open(self.worker_log()).unwrap();
        command.stdout(log.try_clone().unwrap()).stderr(log);
        let mut worker = self.freezing(&mut command, id, point).spawn().unwrap();
        wait_for(&format!("it has frozen at {point}"), PATIENCE, || {
            let gone = worker.try_wait().unwrap();
            assert!(gone.is_none(), "{gone:?} before it froze at {point}\n{}", self.story(id));
            self.has_frozen(id, point, worker.id()).then_some(())
        });
        worker
    }

    /// Lets the worker that a command starts freeze at this point.
    pub(crate) fn freezing<'c>(&self, command: &'c mut Command, id: UpgradeId, point: &str) -> &'c mut Command {
        command.env("LIFTLOCK_FREEZE_AT", point).env("LIFTLOCK_CRASH_LOG", self.crash_log(id))
    }

    /// Whether this worker stands still at this point.
    pub(crate) fn has_frozen(&self, id: UpgradeId, point: &str, worker: u32) -> bool {
        let log = fs::read_to_string(self.crash_log(id)).unwrap_or_default();
        log.lines().any(|it| it.strip_prefix("froze ") == Some(point)) && super::stands_still(worker)
    }

    /// Waits until a worker is at work on this step.
    pub(crate) fn until_begun(&self, id: UpgradeId, step: &str) {
        self.until(id, &format!("{step} has begun"), PATIENCE, |_| {
            let runs = liftlock_engine::state::journal::runs_of(&self.db(), id).unwrap();
            runs.iter().any(|it| it.key.to_string() == step)
        });
    }

    /// What `liftlock resume --all` takes up, as at the start of a computer.
    pub(crate) fn resume_all(&self) -> Vec<String> {
        let (code, answer) = self.answer(&["resume", "--all"]);
        assert_eq!(code, 0, "{answer:#}");
        let resumed = answer["resumed"].as_array().unwrap();
        resumed.iter().filter_map(|it| it.as_str()).map(str::to_owned).collect()
    }

    /// Waits for the end of an upgrade whose worker somebody else has sent.
    pub(crate) fn ended(&self, id: UpgradeId) -> Ended {
        self.until_ended(id);
        self.until_nobody_works();
        Ended { id, killed: 0, heard: Vec::new() }
    }

    /// The engine by a clock that is ahead.
    pub(crate) fn ahead(&self, by: TimeDelta) -> Engine {
        self.engine.clone().with_clock(Arc::new(Ahead(by)))
    }

    /// Runs statements in Liftlock's own state, behind its back.
    pub(crate) fn tamper(&self, sql: &str) {
        let conn = rusqlite::Connection::open(self.home.database()).unwrap();
        conn.busy_timeout(Duration::from_secs(10)).unwrap();
        conn.execute_batch(sql).unwrap();
    }

    /// Waits for a worker.
    pub(crate) fn end_of(&self, worker: &mut Child) -> Exit {
        let within =
            std::env::var("LIFTLOCK_LONG").map_or(PATIENCE, |it| if it == "1" { PATIENCE * 4 } else { PATIENCE });
        let status = wait_for("a worker has ended", within, || worker.try_wait().unwrap());
        status.code().map_or_else(|| Exit::Signal(status.signal().unwrap()), Exit::Code)
    }

    /// Sends worker after worker until the upgrade has ended, each dying at the first point left.
    pub(crate) fn work(&self, id: UpgradeId, points: &[String]) -> Ended {
        let eavesdropper = Eavesdropper::on(&self.world.secrets);
        let mut killed = 0;
        for _ in 0..MOST_WORKERS {
            let mut worker = self.worker(id, points);
            match self.end_of(&mut worker) {
                Exit::Signal(9) => killed += 1,
                // One that somebody else has sent is still at it.
                Exit::Code(6) => self.until_nobody_works(),
                Exit::Code(0) => return Ended { id, killed, heard: eavesdropper.heard() },
                other => panic!("a worker went with {other:?}\n{}", self.story(id)),
            }
        }
        panic!("{MOST_WORKERS} workers did not come to an end\n{}", self.story(id));
    }

    /// Asks for an upgrade and works on it until it has ended as expected; answers the judged upgrade.
    pub(crate) fn run(&self, to: &str, points: &[String], expected: &Expected<'_>) -> Ended {
        let ended = self.work(self.ask(to), points);
        judge::judge(self, &ended, expected);
        ended
    }

    /// The points at which a worker of this upgrade has died.
    pub(crate) fn died_at(&self, id: UpgradeId) -> BTreeSet<String> {
        let log = fs::read_to_string(self.crash_log(id)).unwrap_or_default();
        log.lines().filter_map(|it| it.strip_prefix("died ")).map(str::to_owned).collect()
    }

    /// Waits until the upgrade stands somewhere.
    pub(crate) fn until(
        &self,
        id: UpgradeId,
        what: &str,
        within: Duration,
        is_so: impl Fn(&Upgrade) -> bool,
    ) -> Upgrade {
        wait_for(what, within, || {
            let upgrade = self.upgrade(id);
            assert!(
                !upgrade.state.is_final() || is_so(&upgrade),
                "it ended as {} before {what}\n{}",
                upgrade.state,
                self.story(id)
            );
            is_so(&upgrade).then_some(upgrade)
        })
    }

    /// Waits until nobody holds the lease.
    pub(crate) fn until_nobody_works(&self) {
        wait_for("nobody works any more", PATIENCE, || {
            Lease::holder(&self.home, &self.name).unwrap().is_none().then_some(())
        });
    }

    /// Waits until it has ended, whoever works on it.
    pub(crate) fn until_ended(&self, id: UpgradeId) -> State {
        wait_for("the upgrade has ended", PATIENCE, || Some(self.upgrade(id).state).filter(|it| it.is_final()))
    }

    /// Everything that is known of an upgrade, for a test that fails.
    pub(crate) fn story(&self, id: UpgradeId) -> String {
        use std::fmt::Write;

        let upgrade = self.upgrade(id);
        let mut story = format!(
            "upgrade {id} to {}: {} {:?}, {} restarts\n{:#?}\n",
            upgrade.to, upgrade.state, upgrade.result, upgrade.restarts, upgrade.error
        );
        for run in liftlock_engine::state::journal::runs_of(&self.db(), id).unwrap() {
            let _ = writeln!(
                story,
                "  {} {} try {}: {:?} {}",
                run.direction.as_str(),
                run.key,
                run.attempt,
                run.outcome,
                run.error.map(|it| it.message).unwrap_or_default()
            );
        }
        for file in [self.crash_log(id), self.worker_log(), self.home.upgrade(id).join("worker.log")] {
            let text = fs::read_to_string(&file).unwrap_or_default();
            let lines: Vec<&str> = text.lines().collect();
            let _ = writeln!(story, "--- the end of {}", file.display());
            lines[lines.len().saturating_sub(40)..].iter().for_each(|it| {
                let _ = writeln!(story, "{it}");
            });
        }
        story
    }
}

/// A wall clock that is ahead; deadlines run on the real one.
struct Ahead(TimeDelta);

impl Clock for Ahead {
    fn now(&self) -> DateTime<Utc> {
        SystemClock.now() + self.0
    }
    fn since_boot(&self) -> Duration {
        SystemClock.since_boot()
    }
    fn boot_id(&self) -> String {
        SystemClock.boot_id()
    }
}
