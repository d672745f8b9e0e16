//! How long a shop is away while it is upgraded: as its customers see it, beside the sum of what cannot be avoided,
//! each part measured alone, and beside the straightforward way (stop, back up, fetch, migrate, start).

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{Ipv4Addr, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use crate::{
    run::read,
    world::{World, text},
};

const TO: &str = "1.1.0";

/// The figures of one upgrade, with its peers in the same run.
pub(crate) fn figures(orders: u32, profile: &str) -> Result<Value> {
    let (away, worker_peak_kib, upgrade) = with_liftlock(orders, profile)?;
    let peer = Peer::make(orders, profile)?;
    let parts = peer.parts()?;
    let straightforward = peer.straightforward()?;
    let sum: f64 = ["stop", "copy", "migrate", "start"].iter().filter_map(|part| parts[*part].as_f64()).sum();
    let limit = 1.2 * sum + 1.0;
    Ok(json!({
        "orders": orders,
        "away_seconds": away,
        "parts_alone_seconds": parts,
        "sum_of_parts_seconds": rounded(sum),
        "limit_seconds": rounded(limit),
        "is_within_limit": away <= limit,
        "straightforward_seconds": straightforward,
        "ratio_to_straightforward": rounded(away / straightforward["away"].as_f64().unwrap_or(f64::NAN)),
        "upgrade_seconds": upgrade,
        "worker_peak_mb": rounded(worker_peak_kib as f64 / 1024.0),
        "worker_peak_limit_mb": 40,
    }))
}

/// Seconds away as the shopper saw it, the worker's own peak memory in KiB, and the seconds of the whole upgrade.
fn with_liftlock(orders: u32, profile: &str) -> Result<(f64, u64, f64)> {
    let world = World::with(orders, profile)?;
    world.demo(&["publish", TO])?;
    let shopper = world.shopper(50)?;
    let (has_ended, peak) = (AtomicBool::new(false), AtomicU64::new(0));
    let begun = Instant::now();
    let ended = thread::scope(|scope| {
        scope.spawn(|| {
            while !has_ended.load(Ordering::Relaxed) {
                let pid = world
                    .liftlock(&["status", &world.name])
                    .ok()
                    .and_then(|(_, status)| status["holder"]["pid"].as_u64())
                    .filter(|pid| *pid > 0);
                // The figure is the process's highest so far: asking now and then misses only the last moment.
                while let Some(now) = pid.and_then(peak_kib) {
                    peak.fetch_max(now, Ordering::Relaxed);
                    thread::sleep(Duration::from_millis(5));
                }
                thread::sleep(Duration::from_millis(50));
            }
        });
        let ended = world.liftlock(&["upgrade", &world.name, "--to", TO, "--yes"]);
        has_ended.store(true, Ordering::Relaxed);
        ended
    });
    let elapsed = begun.elapsed().as_secs_f64();
    let shopped = shopper.leave()?;
    let (code, answer) = ended?;
    ensure!(code == 0, "the upgrade ended with {code}: {answer}");
    ensure!(shopped["lost"] == 0, "orders are lost: {shopped}");
    let away = shopped["away_seconds"].as_f64().context("the shopper tells no time away")?;
    Ok((rounded(away), peak.into_inner(), rounded(elapsed)))
}

/// Highest resident memory of a process so far, in KiB; none where it is gone.
fn peak_kib(pid: u64) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?.trim().trim_end_matches(" kB").parse().ok()
}

/// The same shop without Liftlock.
#[derive(Debug)]
struct Peer {
    world: World,
    shop: PathBuf,
    port: u16,
    archive: PathBuf,
}

impl Peer {
    fn make(orders: u32, profile: &str) -> Result<Self> {
        let world = World::with(orders, profile)?;
        world.demo(&["publish", TO])?;
        let status = world.demo(&["status"])?;
        let published: Value = serde_json::from_slice(&fs::read(world.dir.join("releases/published.json"))?)?;
        let wanted = published.as_array().into_iter().flatten().find(|it| it["version"] == TO);
        let archive = text(wanted.context("the release is not published")?, "archive")?.into();
        let port = status["shop_port"].as_u64().and_then(|it| u16::try_from(it).ok()).context("no `shop_port`")?;
        let shop = text(&status, "install_dir")?.into();
        Ok(Self { world, shop, port, archive })
    }

    /// Each unavoidable part alone, in seconds. Leaves the shop running as it was.
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

    /// What a careful person does with a manual at hand: everything while the shop is closed.
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
        read(Command::new("tar").arg("-xzf").arg(&self.archive).arg("-C").arg(&release).arg("--strip-components=1"))?;
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
        let settings = fs::read_to_string(self.shop.join(".env"))?;
        let url = settings.lines().find_map(|line| line.strip_prefix("DATABASE_URL=")).context("no DATABASE_URL")?;
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

/// Whether the shop answers its health page with 200.
fn is_healthy(port: u16) -> bool {
    let ask = || -> std::io::Result<bool> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.set_read_timeout(Some(Duration::from_secs(1)))?;
        stream.write_all(b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")?;
        let mut head = [0; 12];
        stream.read_exact(&mut head)?;
        Ok(head.ends_with(b" 200"))
    };
    ask().unwrap_or(false)
}

/// Waits for a condition, for at most a minute.
fn until(what: &str, mut is_so: impl FnMut() -> bool) -> Result<()> {
    let until = Instant::now() + Duration::from_secs(60);
    while !is_so() {
        if Instant::now() > until {
            bail!("waited in vain for {what}");
        }
        thread::sleep(Duration::from_millis(2));
    }
    Ok(())
}

fn timed<T>(act: impl FnOnce() -> Result<T>) -> Result<(T, f64)> {
    let begun = Instant::now();
    let answer = act()?;
    Ok((answer, rounded(begun.elapsed().as_secs_f64())))
}

fn rounded(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}
