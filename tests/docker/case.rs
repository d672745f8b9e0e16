//! A home of Liftlock that looks after a shop in containers, and the judge of how an update of it went.

use std::fs::{self, OpenOptions};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use liftlock_engine::model::ids::UpgradeId;
use liftlock_engine::model::state::State;
use liftlock_engine::state::Db;
use liftlock_engine::state::home::Home;
use liftlock_engine::state::upgrades::{Options, Upgrade};
use serde_json::Value;

use crate::support::{PATIENCE, World, wait_for};

/// As many as the bounds allow: more would be a row without an end.
const MOST_WORKERS: usize = 30;

pub(crate) struct Case<'w> {
    pub(crate) world: &'w World,
    pub(crate) home: Home,
    name: String,
    /// What must be as it was: compose file, and since when the database runs.
    compose: Vec<u8>,
    database: String,
}

impl Drop for Case<'_> {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let _ = fs::remove_dir_all(self.home.root());
        }
    }
}

impl<'w> Case<'w> {
    /// A new home, with the demo's profile as `edit` makes it.
    pub(crate) fn new(world: &'w World, edit: impl FnOnce(String) -> String) -> Self {
        let root = tempfile::Builder::new().prefix("home-").tempdir_in(&world.dir).unwrap().keep();
        let profile = root.join("profile.toml");
        let text = fs::read_to_string(world.up["profile"].as_str().unwrap()).unwrap();
        fs::write(&profile, edit(text)).unwrap();
        let mut case = Self {
            world,
            home: Home::at(&root),
            name: String::new(),
            compose: fs::read(world.shop().join("compose.yaml")).unwrap(),
            database: world.started_at("db"),
        };
        let added = case.answer(&["add", profile.to_str().unwrap(), world.shop().to_str().unwrap()]);
        assert_eq!(added.0, 0, "{:#}", added.1);
        case.name = added.1["name"].as_str().unwrap_or("corner-shop-compose").to_owned();
        case
    }

    pub(crate) fn liftlock(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_liftlock"));
        command
            .args(args)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", &self.world.dir)
            .env("TZ", "UTC")
            .env("DOCKER_HOST", &self.world.engine.host)
            .env("LIFTLOCK_HOME", self.home.root())
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

    pub(crate) fn db(&self) -> Db {
        Db::open(&self.home).unwrap()
    }

    /// Asks for an upgrade that nobody works on yet.
    pub(crate) fn ask(&self, to: &str) -> UpgradeId {
        let name = self.name.parse().unwrap();
        self.db().ask_for_upgrade(&name, "shop", to, &Options::default(), "a test", chrono::Utc::now()).unwrap()
    }

    pub(crate) fn upgrade(&self, id: UpgradeId) -> Upgrade {
        self.db().upgrade(id).unwrap()
    }

    fn crash_log(&self, id: UpgradeId) -> PathBuf {
        self.home.root().join(format!("crash-{id}.log"))
    }

    /// A worker in the foreground of this test, which dies at the points that nobody has died at before it.
    pub(crate) fn worker(&self, id: UpgradeId, points: &[String]) -> Child {
        let log = OpenOptions::new().create(true).append(true).open(self.home.root().join("workers.log")).unwrap();
        self.liftlock(&["work", &id.to_string()])
            .env("LIFTLOCK_CRASH_AT", points.join(","))
            .env("LIFTLOCK_CRASH_LOG", self.crash_log(id))
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap()
    }

    /// Sends worker after worker until the upgrade has ended, each dying at the first point left; `after` is called
    /// after each death. Answers how many died.
    pub(crate) fn work(&self, id: UpgradeId, points: &[String], mut after: impl FnMut(usize)) -> usize {
        let mut killed = 0;
        for _ in 0..MOST_WORKERS {
            let mut worker = self.worker(id, points);
            let ended = wait_for("a worker has ended", PATIENCE, || worker.try_wait().unwrap());
            match (ended.code(), ended.signal()) {
                (_, Some(9)) => {
                    killed += 1;
                    after(killed);
                }
                (Some(0), _) => return killed,
                other => panic!("a worker went with {other:?}\n{}", self.story(id)),
            }
        }
        panic!("{MOST_WORKERS} workers did not come to an end\n{}", self.story(id));
    }

    /// An upgrade to its end, judged.
    pub(crate) fn run(&self, to: &str, ends: (State, Option<&str>), version: &str) {
        let id = self.ask(to);
        self.work(id, &[], |_| {});
        self.judge(id, ends, version);
    }

    /// Points at which workers have died.
    pub(crate) fn died_at(&self, id: UpgradeId) -> Vec<String> {
        let log = fs::read_to_string(self.crash_log(id)).unwrap_or_default();
        log.lines().filter_map(|it| it.strip_prefix("died ")).map(str::to_owned).collect()
    }

    pub(crate) fn story(&self, id: UpgradeId) -> String {
        let upgrade = self.upgrade(id);
        let log = fs::read_to_string(self.home.root().join("workers.log")).unwrap_or_default();
        let crashes = fs::read_to_string(self.crash_log(id)).unwrap_or_default();
        format!("{} {:?}\n{crashes}\n{log}", upgrade.state, upgrade.error)
    }

    /// Old version with old data, or new version with new data, from the image of that version; nothing left behind.
    pub(crate) fn judge(&self, id: UpgradeId, (state, class): (State, Option<&str>), version: &str) {
        let upgrade = self.upgrade(id);
        let found = (upgrade.state, upgrade.error.as_ref().map(|it| it.class.to_string()));
        assert_eq!(found, (state, class.map(str::to_owned)), "{}", self.story(id));
        let world = self.world;
        let told = || world.version().filter(|it| it == version);
        wait_for(&format!("{version} answers"), PATIENCE, told);
        let engine = &world.engine;
        let settings = fs::read_to_string(world.shop().join(".env")).unwrap();
        assert!(settings.lines().any(|it| it == format!("SHOP_VERSION={version}")), "{settings}");
        assert_eq!(
            fs::read(world.shop().join("compose.yaml")).unwrap(),
            self.compose,
            "the user's file is never written"
        );
        assert_eq!(world.started_at("db"), self.database, "the database stays up");
        let shop = world.container("shop");
        let of = |what: &str, name: &str| engine.docker(&["inspect", "--format", what, name]);
        assert_eq!(
            of("{{.Image}}", &shop),
            of("{{.Id}}", &format!("corner-shop:{version}")),
            "{version} runs from its image"
        );
        assert_eq!(of("{{.HostConfig.RestartPolicy.Name}}", &shop), "always", "{}", self.story(id));
        for kind in [["ps", "--all"].as_slice(), &["network", "ls"]] {
            for label in ["liftlock.errand", "liftlock.scratch", "liftlock.gate"] {
                let filter = format!("label={label}");
                let left = engine.docker(&[kind, &["--quiet", "--filter", &filter]].concat());
                assert_eq!(left, "", "left behind with {label}");
            }
        }
        let seeded = world.demo(&["hash", "--seeded"]);
        assert_eq!(seeded["content_1_0"], world.seeded["content_1_0"], "no row was lost\n{}", self.story(id));
    }
}

/// A limit of a profile, changed.
pub(crate) fn limit(profile: String, key: &str, value: &str) -> String {
    let at = profile.find(&format!("{key} = ")).unwrap();
    let end = at + profile[at..].find('\n').unwrap();
    format!("{}{key} = \"{value}\"{}", &profile[..at], &profile[end..])
}
