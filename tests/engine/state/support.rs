//! A home in a temporary folder, and this binary as another process.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use liftlock_engine::model::ids::{InstallationName, UpgradeId};
use liftlock_engine::process::Identity;
use liftlock_engine::state::Db;
use liftlock_engine::state::home::Home;
use liftlock_engine::state::installations::Installation;
use liftlock_engine::state::journal::Journal;
use liftlock_engine::state::lease::{Holder, Lease};
use liftlock_engine::state::upgrades::Options;

pub(crate) struct Bench {
    root: tempfile::TempDir,
    pub(crate) home: Home,
    pub(crate) shop: InstallationName,
    pub(crate) folder: PathBuf,
}

impl Bench {
    /// A home that knows one installation.
    pub(crate) fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("shop");
        std::fs::create_dir(&folder).unwrap();
        let bench = Self {
            home: Home::at(root.path().join("home")),
            shop: "shop".to_owned().try_into().unwrap(),
            folder,
            root,
        };
        bench
            .db()
            .add_installation(&Installation {
                name: bench.shop.clone(),
                folder: bench.folder.clone(),
                profile: String::new(),
                application: "corner-shop".to_owned(),
                version: None,
                added_at: Utc::now(),
            })
            .unwrap();
        bench
    }

    pub(crate) fn db(&self) -> Db {
        Db::open(&self.home).unwrap()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    pub(crate) fn ask(&self) -> UpgradeId {
        self.db().ask_for_upgrade(&self.shop, "app", "1.1.0", &Options::default(), "tester", Utc::now()).unwrap()
    }

    pub(crate) fn lease(&self) -> liftlock_engine::Result<Lease> {
        Lease::take(&mut self.db(), &self.home, &self.shop, &self.folder, &this_process())
    }

    /// A worker that takes the upgrade up under the next epoch, as after the lease of another was lost.
    pub(crate) fn take_up(&self, id: UpgradeId, epoch: i64) -> Journal {
        Journal::take_up(self.db(), id, epoch, &this_process(), Utc::now()).unwrap()
    }
}

pub(crate) fn this_process() -> Holder {
    let identity = Identity::of_self().unwrap();
    Holder {
        pid: identity.pid,
        started_ticks: identity.start_ticks,
        started_at: DateTime::<Utc>::from_timestamp(1_790_000_000, 0).unwrap(),
        boot_id: identity.boot_id,
        host: "harbour".to_owned(),
        user: "keeper".to_owned(),
        doing: "upgrade".to_owned(),
    }
}

/// Starts this binary again to run one ignored test as a process of its own.
pub(crate) fn process(test: &str, bench: &Bench) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", test, "--nocapture"])
        .env("LIFTLOCK_TEST_ROOT", bench.root.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// The bench of the process that started this one.
pub(crate) fn bench_of_parent() -> (Home, PathBuf) {
    let root = PathBuf::from(std::env::var_os("LIFTLOCK_TEST_ROOT").unwrap());
    (Home::at(root.join("home")), root)
}

/// Waits until `done`, with a deadline.
pub(crate) fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(60);
    while !done() {
        assert!(Instant::now() < end, "waited too long until {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}
