//! A demo in a temporary folder that is gone afterwards, whatever became of the test.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;

const PROGRAM: &str = env!("CARGO_BIN_EXE_liftlock-demo");

/// A demo. Dropping it ends all its processes and removes its folder.
pub(crate) struct Demo {
    folder: tempfile::TempDir,
    /// What `up` answered.
    pub(crate) up: Value,
}

impl Demo {
    /// A whole one: PostgreSQL, release server, shop.
    pub(crate) fn new() -> Self {
        Self::with(&[])
    }

    /// As `up` with these arguments makes it.
    pub(crate) fn with(arguments: &[&str]) -> Self {
        let folder = tempfile::Builder::new().prefix("corner-shop-").tempdir().unwrap();
        // The guard exists before anything is started.
        let mut demo = Self { folder, up: Value::Null };
        let mut words = vec!["--orders", "200"];
        words.extend(arguments);
        demo.up = demo.run("up", &words);
        demo
    }

    /// The answer of a command that succeeds.
    pub(crate) fn run(&self, command: &str, arguments: &[&str]) -> Value {
        let output = self.output(command, arguments);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{command} {arguments:?} failed: {said}");
        serde_json::from_slice(&output.stdout).unwrap()
    }

    pub(crate) fn output(&self, command: &str, arguments: &[&str]) -> Output {
        Command::new(PROGRAM).arg(command).arg("--dir").arg(self.dir()).args(arguments).output().unwrap()
    }

    pub(crate) fn dir(&self) -> PathBuf {
        self.folder.path().join("demo")
    }

    pub(crate) fn shop_dir(&self) -> PathBuf {
        self.dir().join("shop")
    }

    pub(crate) fn app_url(&self) -> &str {
        self.up["app_url"].as_str().unwrap()
    }

    pub(crate) fn releases_url(&self) -> &str {
        self.up["releases_url"].as_str().unwrap()
    }

    /// Unpacks a release's archive under `releases`, as an upgrade would, without switching to it.
    pub(crate) fn unpack(&self, version: &str) -> PathBuf {
        self.run("publish", &[version]);
        let list: Value =
            serde_json::from_slice(&std::fs::read(self.dir().join("releases/published.json")).unwrap()).unwrap();
        let published = list.as_array().unwrap().iter().find(|it| it["version"] == version).unwrap();
        let file = std::fs::File::open(published["archive"].as_str().unwrap()).unwrap();
        let releases = self.shop_dir().join("releases");
        tar::Archive::new(flate2::read::GzDecoder::new(file)).unpack(&releases).unwrap();
        releases.join(format!("corner-shop-{version}"))
    }

    /// A command of a release, in the shop's folder.
    pub(crate) fn corner_shop(&self, release: &Path, verb: &str) -> Command {
        let mut command = Command::new(release.join("bin/corner-shop"));
        command.arg(verb).current_dir(self.shop_dir()).stdin(Stdio::null());
        command
    }

    /// The URL of another database of the demo's server, for the shop's own role.
    pub(crate) fn shop_url(&self, database: &str) -> String {
        let env = std::fs::read_to_string(self.shop_dir().join(".env")).unwrap();
        let url = env.lines().find_map(|line| line.strip_prefix("DATABASE_URL=")).unwrap();
        format!("{}/{database}", url.rsplit_once('/').unwrap().0)
    }

    /// A connection as superuser.
    pub(crate) async fn admin(&self, database: &str) -> tokio_postgres::Client {
        let url = std::fs::read_to_string(self.dir().join("admin.url")).unwrap();
        let mut config: tokio_postgres::Config = url.trim().parse().unwrap();
        liftlock_demo::cluster::connect(config.dbname(database)).await.unwrap()
    }

    /// A copy of the shop's database, migrated by `release`; what the migration said, and how it ended.
    pub(crate) async fn migrate_copy(&self, name: &str, release: &Path, env: &HashMap<&str, &str>) -> Output {
        self.copy(name).await;
        let mut command = self.corner_shop(release, "migrate");
        command.env("DATABASE_URL", self.shop_url(name)).envs(env).output().unwrap()
    }

    /// A copy of the shop's database, which the shop must leave alone meanwhile.
    pub(crate) async fn copy(&self, name: &str) {
        let admin = self.admin("postgres").await;
        admin.batch_execute(&format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")).await.unwrap();
        admin.batch_execute(&format!("CREATE DATABASE {name} TEMPLATE corner_shop OWNER corner_shop")).await.unwrap();
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = Command::new(PROGRAM).args(["down", "--hard", "--dir"]).arg(self.dir()).output();
    }
}

/// A child that does not outlive its test.
pub(crate) struct Ended(pub(crate) Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What a program said, both ways.
pub(crate) fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Asks until it is so; panics after 20 seconds.
pub(crate) async fn eventually<F: Future<Output = bool>>(what: &str, mut is_so: impl FnMut() -> F) {
    let begun = Instant::now();
    while !is_so().await {
        assert!(begun.elapsed() < Duration::from_secs(20), "it never happened: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Status and JSON of an address; 0 where nobody answers.
pub(crate) async fn get(url: &str) -> (u16, Value) {
    match reqwest::get(url).await {
        Ok(answer) => (answer.status().as_u16(), answer.json().await.unwrap_or_default()),
        Err(_) => (0, Value::Null),
    }
}
