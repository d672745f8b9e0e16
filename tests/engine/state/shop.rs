//! A shop with a real SQLite file and a folder, under a clock that the test sets.

use std::fs;
use std::sync::Arc;

use chrono::{TimeDelta, Utc};
use liftlock_engine::Engine;
use liftlock_engine::clock::FixedClock;
use liftlock_engine::model::ids::InstallationName;
use liftlock_engine::process::Silent;
use liftlock_engine::state::Db;
use liftlock_engine::state::home::Home;
use liftlock_engine::state::installations::Installation;
use liftlock_engine::view::{DueOutcome, DueView};

/// It, its engine and its time.
pub(crate) struct Bench {
    pub(crate) root: tempfile::TempDir,
    pub(crate) clock: Arc<FixedClock>,
    pub(crate) engine: Engine,
    pub(crate) shop: InstallationName,
}

impl Bench {
    pub(crate) fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("shop");
        fs::create_dir_all(folder.join("data/uploads")).unwrap();
        fs::write(folder.join(".env"), "SHOP_PORT=1\n").unwrap();
        let database = rusqlite::Connection::open(folder.join("data/shop.db")).unwrap();
        database.execute_batch("CREATE TABLE orders (id); INSERT INTO orders VALUES (1), (2);").unwrap();
        let home = Home::at(root.path().join("home"));
        let shop: InstallationName = "shop".parse().unwrap();
        let installation = Installation {
            name: shop.clone(),
            folder,
            profile: PROFILE.to_owned(),
            application: "corner-shop".to_owned(),
            version: Some("1.0.0".to_owned()),
            added_at: Utc::now(),
        };
        Db::open(&home).unwrap().add_installation(&installation).unwrap();
        let clock = Arc::new(FixedClock::at("2026-11-20T10:30:00Z".parse().unwrap()));
        let engine = Engine::at(home).with_clock(clock.clone());
        Self { root, clock, engine, shop }
    }

    pub(crate) fn pass(&self, time: TimeDelta) {
        self.clock.advance(time.to_std().unwrap());
    }

    pub(crate) fn run(&self) -> Vec<DueView> {
        self.engine.run_due_backups(&Silent).unwrap()
    }

    pub(crate) fn outcomes(&self) -> Vec<DueOutcome> {
        self.run().into_iter().map(|it| it.outcome).collect()
    }

    pub(crate) fn made(&self) -> usize {
        self.engine.backups(Some(&self.shop)).unwrap().0.len()
    }
}

const PROFILE: &str = r#"
format = 1
[application]
id = "corner-shop"
name = "Corner Shop"
[releases]
api = "https://api.github.com"
repository = "corner-shop/corner-shop"
tag = "v{version}"
channel = "stable"
asset = "corner-shop-{version}.tar.gz"
checksums = "SHA256SUMS"
require = "checksum"
[recognise]
files = ["current/release.json"]
[driver]
kind = "native"
current = "current"
releases = "releases"
[version]
http = { url = "http://127.0.0.1:{port}/api/v1/system/version", field = "version" }
[[stores]]
name = "database"
kind = "sqlite"
path = "data/shop.db"
[[stores]]
name = "uploads"
kind = "files"
path = "data/uploads"
[[components]]
name = "shop"
run = { command = ["current/bin/corner-shop", "serve"], env_file = ".env" }
[gate]
component = "shop"
variable = "SHOP_PORT"
port = { file = ".env", key = "SHOP_PORT" }
bind = "127.0.0.1"
"#;
