//! The same shop as a project of Docker Compose, with the commands that a person types.

use std::{
    fs::File,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Instant,
};

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use super::{Peer, TO, archive_in, is_healthy, rounded, setting, shop_in, timed, unpack, until};
use crate::{run::read, world::World};

/// The project and, where its images are built, the source of its next release.
#[derive(Debug)]
pub(super) struct Containers {
    world: World,
    shop: PathBuf,
    port: u16,
    source: Option<PathBuf>,
}

impl Peer for Containers {
    fn parts(&self) -> Result<Value> {
        let (_, stop) = timed(|| self.run(&["stop", "shop"]))?;
        let copied = "CREATE DATABASE corner_shop_copy TEMPLATE corner_shop STRATEGY file_copy";
        let (_, copy) = timed(|| self.psql(&[copied]))?;
        self.fetch()?;
        let (_, migrate) = timed(|| self.migrate("corner_shop_copy"))?;
        // The compose file names the database that the shop opens.
        let rename = |from: &str, to: &str| format!("ALTER DATABASE {from} RENAME TO {to}");
        self.psql(&[&rename("corner_shop", "corner_shop_old"), &rename("corner_shop_copy", "corner_shop")])?;
        let (up, start) = timed(|| self.start())?;
        self.is_up(up)?;
        self.run(&["stop", "shop"])?;
        self.psql(&["DROP DATABASE corner_shop", &rename("corner_shop_old", "corner_shop")])?;
        self.go_back()?;
        Ok(json!({ "stop": stop, "copy": copy, "migrate": migrate, "start": start }))
    }

    fn straightforward(&self) -> Result<Value> {
        let begun = Instant::now();
        let (_, stop) = timed(|| self.run(&["stop", "shop"]))?;
        let (_, backup) = timed(|| self.dump())?;
        let (_, fetch) = timed(|| self.fetch())?;
        let (_, migrate) = timed(|| self.migrate("corner_shop"))?;
        let (up, start) = timed(|| self.start())?;
        let away = rounded(begun.elapsed().as_secs_f64());
        self.is_up(up)?;
        Ok(json!({ "away": away, "stop": stop, "backup": backup, "fetch": fetch, "migrate": migrate, "start": start }))
    }
}

impl Containers {
    pub(super) fn of(world: World) -> Result<Self> {
        let (shop, port) = shop_in(&world)?;
        let is_built = shop.join(".git").is_dir();
        Ok(Self { source: is_built.then(|| archive_in(&world)).transpose()?, world, shop, port })
    }

    /// The source of the new release, and its images out of it. What is only pulled lies on this machine already.
    fn fetch(&self) -> Result<()> {
        let Some(source) = &self.source else { return Ok(()) };
        unpack(source, &self.shop)?;
        self.run(&["build", "--quiet", "shop"])
    }

    /// The old release as it was, and nothing of what was made for the new one.
    fn go_back(&self) -> Result<()> {
        if self.source.is_some() {
            let git = |words: &[&str]| read(Command::new("git").args(words).current_dir(&self.shop));
            git(&["reset", "--quiet", "--hard", "v1.0.0"])?;
            git(&["clean", "--quiet", "--force", "-d", "--", "migrations"])?;
            self.run(&["build", "--quiet", "shop"])?;
            read(&mut self.docker(&["image", "prune", "--force"]))?;
            read(&mut self.docker(&["builder", "prune", "--all", "--force"]))?;
        }
        read(&mut self.compose(&["up", "--detach", "--wait", "shop"])).map(drop)
    }

    fn migrate(&self, database: &str) -> Result<()> {
        let password = setting(&self.shop, "DB_PASSWORD")?;
        let words = ["run", "--rm", "--no-deps", "--no-TTY", "--env", "DATABASE_URL", "shop", "corner-shop", "migrate"];
        let url = format!("postgres://corner_shop:{password}@db:5432/{database}");
        read(self.upgraded(&words).env("DATABASE_URL", url)).map(drop)
    }

    /// Begins to start the new release and waits until it is healthy for whoever asks from outside.
    fn start(&self) -> Result<Child> {
        let mut up = self.upgraded(&["up", "--detach", "--wait", "shop"]);
        let child = up.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        until("the shop to be healthy", || is_healthy(self.port))?;
        Ok(child)
    }

    /// Docker Compose says so too.
    fn is_up(&self, mut up: Child) -> Result<()> {
        ensure!(up.wait()?.success(), "docker compose up --wait failed");
        Ok(())
    }

    fn dump(&self) -> Result<()> {
        let into = File::create(self.world.dir.join("manual.dump"))?;
        let words = ["exec", "--no-TTY", "db", "pg_dump", "-Fc", "-U", "corner_shop", "corner_shop"];
        let done = self.compose(&words).stdin(Stdio::null()).stdout(into).status()?;
        ensure!(done.success(), "pg_dump ended with {done}");
        Ok(())
    }

    fn psql(&self, statements: &[&str]) -> Result<()> {
        let words = ["exec", "--no-TTY", "db", "psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-U", "corner_shop"];
        let mut command = self.compose(&[&words[..], &["-d", "postgres"]].concat());
        command.args(statements.iter().flat_map(|it| ["-c", it]));
        read(&mut command).map(drop)
    }

    fn run(&self, words: &[&str]) -> Result<()> {
        read(&mut self.compose(words)).map(drop)
    }

    /// `docker compose` with the new release.
    fn upgraded(&self, words: &[&str]) -> Command {
        let mut command = self.compose(words);
        command.env("SHOP_VERSION", TO);
        command
    }

    fn compose(&self, words: &[&str]) -> Command {
        let mut command = self.docker(&["compose"]);
        command.args(words).current_dir(&self.shop).env_remove("COMPOSE_PROJECT_NAME").env_remove("COMPOSE_FILE");
        command
    }

    fn docker(&self, words: &[&str]) -> Command {
        let mut command = Command::new("docker");
        command.args(words).env_remove("DOCKER_CONTEXT");
        command.envs(self.world.docker_host.iter().map(|it| ("DOCKER_HOST", it)));
        command
    }
}
