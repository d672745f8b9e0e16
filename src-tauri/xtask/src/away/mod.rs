//! How long a shop is away while it is upgraded: as its customers see it, beside the sum of what cannot be avoided,
//! each part measured alone, and beside the straightforward way (stop, back up, fetch, migrate, start).
//!
//! Once as it is, and once with a start that takes seconds, as that of a large application does. Images that are built take a
//! while besides: FilaOps fetches and compiles packages of Python and Node then, for minutes rather than seconds.

mod compose;
mod engine;
mod native;

use std::{
    fmt, fs,
    io::{Read as _, Write as _},
    net::{Ipv4Addr, TcpStream},
    path::{Path, PathBuf},
    process::Command,
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
/// What a large application takes to start.
const SLOW_START: u32 = 4;
/// What the images of one take to be built, at the least.
const SLOW_BUILD: u32 = 30;

/// The same shop without Liftlock, and what is done to it by hand.
trait Peer: fmt::Debug {
    /// Each unavoidable part alone, in seconds. Leaves the shop running as it was.
    fn parts(&self) -> Result<Value>;
    /// What a careful person does with a manual at hand: everything while the shop is closed.
    fn straightforward(&self) -> Result<Value>;
}

/// The figures of a shop in folders.
pub(crate) fn native(orders: u32, profile: &str) -> Result<Value> {
    let make = || World::with(orders, profile);
    let peer = |world| Ok(Box::new(native::Native::of(world)?) as Box<dyn Peer>);
    Ok(json!({
        "orders": orders,
        "as_it_is": figures(&make, &peer, 0)?,
        "slow_start": figures(&slowly(&make), &peer, 0)?,
    }))
}

/// The figures of a shop in containers, with images that are there and with images that are built.
pub(crate) fn compose(orders: u32, profile: &str) -> Result<Value> {
    let engine = engine::Engine::start(profile)?;
    let images = || World::in_containers(orders, profile, &engine.host, false);
    let built = || World::in_containers(orders, profile, &engine.host, true);
    let peer = |world| Ok(Box::new(compose::Containers::of(world)?) as Box<dyn Peer>);
    Ok(json!({
        "orders": orders,
        "as_it_is": figures(&images, &peer, 0)?,
        "slow_start": figures(&slowly(&images), &peer, 0)?,
        "built_slow_start": figures(&slowly(&built), &peer, SLOW_BUILD)?,
    }))
}

/// The same world with a shop that takes its time.
fn slowly(make: &impl Fn() -> Result<World>) -> impl Fn() -> Result<World> {
    move || {
        let world = make()?;
        world.demo(&["fault", "--slow-start", &SLOW_START.to_string()])?;
        Ok(world)
    }
}

/// The figures of one upgrade to a release whose images take so many seconds to be built, with its peers in the same run.
fn figures(
    make: &dyn Fn() -> Result<World>,
    peer: &dyn Fn(World) -> Result<Box<dyn Peer>>,
    build_seconds: u32,
) -> Result<Value> {
    let load_before = load();
    let published = || -> Result<World> {
        let world = make()?;
        world.demo(&["publish", TO, "--build-seconds", &build_seconds.to_string()])?;
        Ok(world)
    };
    let ours = with_liftlock(published()?)?;
    let world = published()?;
    let peer = peer(world)?;
    let parts = peer.parts()?;
    let straightforward = peer.straightforward()?;
    let sum: f64 = ["stop", "copy", "migrate", "start"].iter().filter_map(|part| parts[*part].as_f64()).sum();
    let limit = 1.2 * sum + 1.0;
    let figures = json!({
        "build_seconds": build_seconds,
        "away_seconds": ours.away,
        "parts_alone_seconds": parts,
        "sum_of_parts_seconds": rounded(sum),
        "limit_seconds": rounded(limit),
        "is_within_limit": ours.away <= limit,
        "straightforward_seconds": straightforward,
        "ratio_to_straightforward": rounded(ours.away / straightforward["away"].as_f64().unwrap_or(f64::NAN)),
        "steps_away_seconds": ours.steps,
        "upgrade_seconds": ours.elapsed,
        "worker_peak_mb": rounded(ours.worker_peak_kib as f64 / 1024.0),
        "worker_peak_limit_mb": 40,
        "load_before_and_after": [load_before, load()],
    });
    // Each takes a while, and the next may fail.
    eprintln!("{figures:#}");
    Ok(figures)
}

/// How many processes wanted to run in the last minute: others may be at work on this machine.
fn load() -> f64 {
    let said = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    said.split(' ').next().and_then(|it| it.parse().ok()).unwrap_or(f64::NAN)
}

/// What was seen of an upgrade by Liftlock.
#[derive(Debug)]
struct Ours {
    /// Seconds away, as the shopper saw it.
    away: f64,
    /// Seconds of each step from the stop to the first that users see of the new version.
    steps: Value,
    /// The worker's own peak memory.
    worker_peak_kib: u64,
    /// Seconds of the whole upgrade.
    elapsed: f64,
}

fn with_liftlock(world: World) -> Result<Ours> {
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
    let steps = steps_away(text(&answer["receipt"], "json")?)?;
    Ok(Ours { away: rounded(away), steps, worker_peak_kib: peak.into_inner(), elapsed: rounded(elapsed) })
}

/// What the receipt says of the steps while the shop was away.
fn steps_away(receipt: &str) -> Result<Value> {
    let receipt: Value = serde_json::from_slice(&fs::read(receipt)?)?;
    let steps = receipt["steps"].as_array().context("the receipt has no steps")?;
    let steps = steps.iter().skip_while(|it| it["step"] != "stop").filter(|it| it["step"] != "restore_autostart");
    let named = steps.map(|it| {
        let name = [&it["step"], &it["component"], &it["store"]].map(|it| it.as_str().unwrap_or_default());
        let name: Vec<&str> = name.into_iter().filter(|it| !it.is_empty()).collect();
        (name.join(":"), it["seconds"].clone())
    });
    Ok(named.collect::<serde_json::Map<_, _>>().into())
}

/// Highest resident memory of a process so far, in KiB; none where it is gone.
fn peak_kib(pid: u64) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?.trim().trim_end_matches(" kB").parse().ok()
}

/// Where the archive of the release lies, as the release server has it.
fn archive_in(world: &World) -> Result<PathBuf> {
    let published: Value = serde_json::from_slice(&fs::read(world.dir.join("releases/published.json"))?)?;
    let wanted = published.as_array().into_iter().flatten().find(|it| it["version"] == TO);
    Ok(text(wanted.context("the release is not published")?, "archive")?.into())
}

/// Folder and port of the shop.
fn shop_in(world: &World) -> Result<(PathBuf, u16)> {
    let status = world.demo(&["status"])?;
    let port = status["shop_port"].as_u64().and_then(|it| u16::try_from(it).ok()).context("no `shop_port`")?;
    Ok((text(&status, "install_dir")?.into(), port))
}

fn unpack(archive: &Path, into: &Path) -> Result<()> {
    read(Command::new("tar").arg("-xzf").arg(archive).arg("-C").arg(into).arg("--strip-components=1")).map(drop)
}

/// One of the shop's settings.
fn setting(shop: &Path, key: &str) -> Result<String> {
    let settings = fs::read_to_string(shop.join(".env"))?;
    let value = settings.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
    value.map(str::to_owned).with_context(|| format!("no {key} in .env"))
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
