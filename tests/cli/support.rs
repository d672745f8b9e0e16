//! A home in a temporary folder, the binary, and what a worker would have written.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use chrono::{DateTime, Utc};
use liftlock_engine::Error;
use liftlock_engine::model::ids::{InstallationName, UpgradeId};
use liftlock_engine::model::state::{Event, State};
use liftlock_engine::process::Identity;
use liftlock_engine::state::Db;
use liftlock_engine::state::home::Home;
use liftlock_engine::state::installations::Installation;
use liftlock_engine::state::journal::{Ending, Journal, Pulse};
use liftlock_engine::state::lease::{Holder, Lease};
use liftlock_engine::state::upgrades::{Options, Outcome};

/// A home of its own, with installations that do nothing.
pub(crate) struct Bench {
    root: tempfile::TempDir,
}

/// What a command answered.
pub(crate) struct Answer {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Answer {
    /// Exit code and both streams, for a snapshot.
    pub(crate) fn shown(&self) -> String {
        format!("exit {}\n--- stdout\n{}--- stderr\n{}", self.code, self.out, self.err)
    }

    /// The only document on standard output.
    pub(crate) fn json(&self) -> serde_json::Value {
        assert_eq!(self.out.lines().count(), 1, "one document on one line: {}", self.shown());
        serde_json::from_str(&self.out).unwrap_or_else(|cause| panic!("{cause}: {}", self.shown()))
    }
}

impl From<Output> for Answer {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8(output.stdout).expect("output is UTF-8"),
            err: String::from_utf8(output.stderr).expect("output is UTF-8"),
        }
    }
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self { root: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn home(&self) -> Home {
        Home::at(self.root.path().join("home"))
    }

    pub(crate) fn db(&self) -> Db {
        Db::open(&self.home()).unwrap()
    }

    pub(crate) fn folder(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    /// The binary in this home, with nothing of this test's own environment that it could react to.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_liftlock"));
        command
            .args(args)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("TZ", "UTC")
            .env("LIFTLOCK_HOME", self.home().root())
            .current_dir(self.root.path())
            .stdin(Stdio::null());
        command
    }

    pub(crate) fn run(&self, args: &[&str]) -> Answer {
        self.command(args).output().unwrap().into()
    }

    /// An installation as `add` would record it.
    pub(crate) fn install(&self, name: &str) -> InstallationName {
        let name: InstallationName = name.parse().unwrap();
        let folder = self.folder(name.as_str());
        std::fs::create_dir_all(&folder).unwrap();
        self.db()
            .add_installation(&Installation {
                name: name.clone(),
                folder,
                profile: liftlock_engine::profiles::text_of("corner-shop").unwrap(),
                application: "corner-shop".to_owned(),
                version: Some("1.0.0".to_owned()),
                added_at: Utc::now(),
            })
            .unwrap();
        name
    }

    /// An upgrade to 1.1.0 that was asked for.
    pub(crate) fn ask(&self, name: &InstallationName) -> UpgradeId {
        self.db().ask_for_upgrade(name, "app", "1.1.0", &Options::default(), "tester, liftlock", Utc::now()).unwrap()
    }

    /// A worker that has taken it up, for as long as the answer lives.
    pub(crate) fn worker(&self, name: &InstallationName, id: UpgradeId) -> Worker {
        let mut db = self.db();
        let holder = this_process();
        let folder = db.installation(name).unwrap().folder;
        let lease = Lease::take(&mut db, &self.home(), name, &folder, &holder).unwrap();
        let mut journal = Journal::take_up(db, id, lease.epoch, &holder, Utc::now()).unwrap();
        journal.set_versions("1.0.0", "1.1.0").unwrap();
        Worker { journal, _lease: lease }
    }

    /// Makes what differs from run to run the same, so that it can be compared with a snapshot.
    pub(crate) fn settled(&self, text: &str) -> String {
        let mut text = text.replace(&self.root.path().display().to_string(), "[ROOT]");
        for (what, word) in FILTERS {
            text = regex(what).replace_all(&text, *word).into_owned();
        }
        text
    }
}

const FILTERS: &[(&str, &str)] = &[
    (r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}", "[ID]"),
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "[INSTANT]"),
    (r"(now|in \d+ \w+|\d+ \w+ ago) \(\d{4}-\d\d-\d\d \d\d:\d\d\)", "[AGO]"),
    (r#""(pid|started_ticks|seq)":\d+"#, r#""$1":"[N]""#),
    (r"\d\d:\d\d:\d\d ", "[TIME] "),
    (r#""boot_id":"[^"]*""#, r#""boot_id":"[BOOT]""#),
    (r"\d+ ms\b", "[N] ms"),
    (r"\b\d+(\.\d)? (bytes|kB|MB)", "[SIZE]"),
    (r"\d{4}-\d\d-\d\dT\d\d-\d\d-\d\dZ-[0-9a-f]{6}", "[BACKUP]"),
    (r"127\.0\.0\.1:\d+", "[ADDRESS]"),
    (r"__(aside|failed|next)_[0-9a-f]{12}", "__$1_[SHORT]"),
    (r"process \d+ of", "process [N] of"),
    (r"\b\d+\.\d s\b", "[S] s"),
    (r"(\S) {3,}", "$1  "),
    (r#""(elapsed_seconds|away_seconds)":[\d.]+"#, r#""$1":"[S]""#),
];

fn regex(what: &str) -> regex::Regex {
    regex::Regex::new(what).expect("the filters are constants")
}

pub(crate) struct Worker {
    pub(crate) journal: Journal,
    _lease: Lease,
}

impl Worker {
    /// Goes forward until `state`.
    pub(crate) fn go_to(&mut self, state: State) {
        while self.journal.upgrade().unwrap().state != state {
            self.journal.advance(Event::Advanced).unwrap();
        }
    }

    pub(crate) fn show(&mut self, progress: u8, message: &str) {
        let pulse = Pulse { boot_id: boot(), uptime: 1.0, moved: 1.0, deadline: 1e9, rate: None };
        self.journal.show(progress, message, &pulse).unwrap();
    }

    pub(crate) fn end(&mut self, event: Event, outcome: Outcome, message: &str, error: Option<Error>) {
        use liftlock_engine::ports::Clock;
        let clock = liftlock_engine::clock::SystemClock;
        let ending = Ending {
            outcome,
            message: message.to_owned(),
            error,
            receipt: Some("/receipts/receipt.json".to_owned()),
            boot_id: clock.boot_id(),
            uptime: clock.since_boot().as_secs_f64(),
        };
        self.journal.end(event, &ending, Utc::now()).unwrap();
    }
}

fn boot() -> String {
    use liftlock_engine::ports::Clock;
    liftlock_engine::clock::SystemClock.boot_id()
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

/// Waits until `done`, and says what it waited for when it took too long.
pub(crate) fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let end = std::time::Instant::now() + std::time::Duration::from_secs(30);
    while !done() {
        assert!(std::time::Instant::now() < end, "waited too long until {what}");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}

/// Everything in a folder with its content, save what SQLite needs while someone reads.
pub(crate) fn fingerprint(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.to_string_lossy().into_owned();
            if path.is_dir() {
                folders.push(path);
            } else if !name.ends_with("-shm") && !name.ends_with("-wal") {
                found.push((path.clone(), std::fs::read(&path).unwrap()));
            }
        }
    }
    found.sort();
    found
}
