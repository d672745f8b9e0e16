//! The same shop in folders.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Instant,
};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::{Peer, TO, archive_in, is_healthy, rounded, setting, shop_in, timed, unpack, until};
use crate::{run::read, world::World};

/// The shop and the archive of its next release.
#[derive(Debug)]
pub(super) struct Native {
    world: World,
    shop: PathBuf,
    port: u16,
    archive: PathBuf,
}

impl Peer for Native {
    fn parts(&self) -> Result<Value> {
        let (_, stop) = timed(|| self.stop())?;
        let (_, copy) = timed(|| {
            self.psql("CREATE DATABASE corner_shop_copy TEMPLATE corner_shop OWNER corner_shop STRATEGY file_copy")
        })?;
        let release = self.fetch()?;
        let copied = self.database_url("corner_shop_copy")?;
        let (_, migrate) = timed(|| self.migrate(&release, &copied))?;
        let (mut new, start) = timed(|| self.start(&release, &copied))?;
        new.kill()?;
        new.wait()?;
        fs::remove_dir_all(&release)?;
        self.psql("DROP DATABASE corner_shop_copy")?;
        self.world.demo(&["up"])?;
        Ok(json!({ "stop": stop, "copy": copy, "migrate": migrate, "start": start }))
    }

    fn straightforward(&self) -> Result<Value> {
        let begun = Instant::now();
        let (_, stop) = timed(|| self.stop())?;
        let dump = self.world.dir.join("manual.dump");
        let (_, backup) =
            timed(|| read(self.postgres("pg_dump")?.args(["-Fc", "-d", "corner_shop", "-f"]).arg(&dump)).map(drop))?;
        let (release, fetch) = timed(|| self.fetch())?;
        let url = self.database_url("corner_shop")?;
        let (_, migrate) = timed(|| self.migrate(&release, &url))?;
        let (mut new, start) = timed(|| self.start(&release, &url))?;
        let away = rounded(begun.elapsed().as_secs_f64());
        new.kill()?;
        new.wait()?;
        Ok(json!({ "away": away, "stop": stop, "backup": backup, "fetch": fetch, "migrate": migrate, "start": start }))
    }
}

impl Native {
    pub(super) fn of(world: World) -> Result<Self> {
        let (shop, port) = shop_in(&world)?;
        Ok(Self { archive: archive_in(&world)?, world, shop, port })
    }

    fn stop(&self) -> Result<()> {
        let process: Value = serde_json::from_slice(&fs::read(self.shop.join("run/shop.json"))?)?;
        let pid = process["pid"].as_u64().context("the shop's process file names no pid")?.to_string();
        read(Command::new("kill").args(["-TERM", &pid]))?;
        let stat = PathBuf::from(format!("/proc/{pid}/stat"));
        until("the shop to stop", || !fs::read_to_string(&stat).is_ok_and(|it| !it.contains(") Z")))
    }

    /// The new release, unpacked where the shop keeps its releases. It lies on this disk already.
    fn fetch(&self) -> Result<PathBuf> {
        let release = self.shop.join("releases").join(TO);
        fs::create_dir_all(&release)?;
        unpack(&self.archive, &release)?;
        ensure!(release.join("bin/corner-shop").is_file(), "the archive holds no bin/corner-shop");
        Ok(release)
    }

    fn migrate(&self, release: &Path, url: &str) -> Result<()> {
        read(self.program(release, url).arg("migrate")).map(drop)
    }

    /// Starts a release and waits until it is healthy.
    fn start(&self, release: &Path, url: &str) -> Result<Child> {
        let child = self.program(release, url).arg("serve").stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        until("the shop to be healthy", || is_healthy(self.port))?;
        Ok(child)
    }

    fn program(&self, release: &Path, url: &str) -> Command {
        let mut command = Command::new(release.join("bin/corner-shop"));
        command.current_dir(&self.shop).env("SHOP_HOME", &self.shop).env("DATABASE_URL", url);
        command
    }

    /// The shop's own address of a database.
    fn database_url(&self, database: &str) -> Result<String> {
        let url = setting(&self.shop, "DATABASE_URL")?;
        let (server, _) = url.rsplit_once('/').context("DATABASE_URL is no address")?;
        Ok(format!("{server}/{database}"))
    }

    fn psql(&self, statement: &str) -> Result<()> {
        read(self.postgres("psql")?.args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", "postgres", "-c", statement]))
            .map(drop)
    }

    /// A PostgreSQL tool with the administrator's way in, the password not on its command line.
    fn postgres(&self, tool: &str) -> Result<Command> {
        let url = fs::read_to_string(self.world.dir.join("admin.url"))?;
        let parts = url.trim().strip_prefix("postgres://").and_then(|it| it.split_once('@'));
        let (who, place) = parts.context("admin.url is no address")?;
        let (user, password) = who.split_once(':').context("admin.url has no password")?;
        let (host, port) =
            place.split('/').next().and_then(|it| it.split_once(':')).context("admin.url has no port")?;
        let mut command = Command::new(tool);
        command.env("PGUSER", user).env("PGPASSWORD", password).env("PGHOST", host).env("PGPORT", port);
        Ok(command)
    }
}
