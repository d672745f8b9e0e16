//! What Liftlock's own state costs, as JSON on standard output; `cargo xtask bench` runs it on a release build.
//!
//! `measure DIR` compares durable changes with the plainest durable thing a program can do on the same disk in the
//! same run; `populate DIR` fills a home with installations and past upgrades, for whole processes to be timed on.

use std::{
    env, fs,
    fs::File,
    io::Write,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use chrono::Utc;
use liftlock_engine::clock::SystemClock;
use liftlock_engine::error::{Error, Result};
use liftlock_engine::model::ids::{InstallationName, UpgradeId};
use liftlock_engine::model::state::{Event, State};
use liftlock_engine::ports::Clock;
use liftlock_engine::state::Db;
use liftlock_engine::state::home::Home;
use liftlock_engine::state::installations::Installation;
use liftlock_engine::state::journal::{Direction, Ending, Journal, RunOutcome, StepKey};
use liftlock_engine::state::lease::{Holder, Lease};
use liftlock_engine::state::upgrades::{Options, Outcome};
use serde_json::{Value, json};

/// Pairs of measurements; each pair is taken back to back.
const ROUNDS: usize = 1000;
/// The size of a long life: this many installations, and upgrades of them all together.
const INSTALLATIONS: usize = 100;
const UPGRADES: usize = 10_000;

fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = env::args().skip(1).collect();
    let answer = match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["measure", dir] => measure(Path::new(dir))?,
        ["populate", dir] => populate(Path::new(dir))?,
        _ => return Err("usage: state_figures measure|populate DIR".into()),
    };
    println!("{answer:#}");
    Ok(())
}

/// Durable changes and leases, beside plain writes.
fn measure(dir: &Path) -> Result<Value> {
    let home = Home::at(dir.join("home"));
    let mut db = Db::open(&home)?;
    let name = add(&mut db, dir, "shop")?;
    let folder = dir.join("shop");
    let holder = holder();

    let mut lease_times = Vec::new();
    let mut lease = Lease::take(&mut db, &home, &name, &folder, &holder)?;
    for _ in 0..ROUNDS {
        drop(lease);
        let begun = Instant::now();
        lease = Lease::take(&mut db, &home, &name, &folder, &holder)?;
        lease_times.push(begun.elapsed());
    }

    let id = db.ask_for_upgrade(&name, "shop", "1.1.0", &Options::default(), "bench", Utc::now())?;
    let mut journal = Journal::take_up(db, id, lease.epoch, &holder, Utc::now())?;
    let intent = json!({ "from": "shop", "to": "shop__next_0199f2a4", "oid": 16_402, "system_identifier": "7431880277312345678" });
    let key = StepKey { step: "set_aside".to_owned(), component: "shop".to_owned(), store: "orders".to_owned() };
    // What a program without a database would write at each change: the whole record of the upgrade.
    let record = json!({
        "upgrade_id": id, "installation": name, "state": State::Applying, "phase": "applying", "step": key.step,
        "holder": holder, "intent": intent, "attempt": 1, "epoch": lease.epoch, "started_at": Utc::now(),
        "message": "Setting your data aside, untouched.", "progress": 62, "seq": 41
    })
    .to_string();

    let mut changes = Vec::new();
    let mut plain = Vec::new();
    let mut plain_with_dir = Vec::new();
    for round in 0..ROUNDS {
        let begun = Instant::now();
        let run = journal.intend(Direction::Forward, State::Applying, &key, &intent, Utc::now())?;
        changes.push(begun.elapsed());
        plain.push(plain_write(dir, record.as_bytes(), false)?);
        let begun = Instant::now();
        journal.conclude(run, RunOutcome::Done, &json!({ "round": round }), None, None, Utc::now())?;
        changes.push(begun.elapsed());
        plain_with_dir.push(plain_write(dir, record.as_bytes(), true)?);
    }
    let (change, plain) = (figures(changes), figures(plain));
    let ratio = |of: &str| change[of].as_f64().unwrap_or(f64::NAN) / plain[of].as_f64().unwrap_or(f64::NAN);
    Ok(json!({
        "rounds": ROUNDS,
        "bytes": record.len(),
        "durable_change": change,
        "plain_write_fsync_rename": plain,
        "plain_write_fsync_rename_fsync_dir": figures(plain_with_dir),
        "ratio_median": rounded(ratio("median_ms")),
        "ratio_p99": rounded(ratio("p99_ms")),
        "lease_acquire": figures(lease_times),
    }))
}

/// Fills a home as years of use do.
fn populate(dir: &Path) -> Result<Value> {
    let home = Home::at(dir.join("home"));
    let mut db = Db::open(&home)?;
    let clock = SystemClock;
    for number in 0..INSTALLATIONS {
        let name = add(&mut db, dir, &format!("shop-{number:03}"))?;
        let folder = dir.join(name.as_str());
        let lease = Lease::take(&mut db, &home, &name, &folder, &holder())?;
        for past in 0..UPGRADES / INSTALLATIONS {
            let to = format!("1.{}.0", past + 1);
            let id: UpgradeId = db.ask_for_upgrade(&name, "shop", &to, &Options::default(), "bench", clock.now())?;
            let mut journal = Journal::take_up(Db::open(&home)?, id, lease.epoch, &holder(), clock.now())?;
            let ending = Ending {
                outcome: Outcome::Failed,
                message: "The new version could not be downloaded.".to_owned(),
                error: Some(
                    Error::failed("asset_digest", "The new version could not be downloaded.").remedy("Try again."),
                ),
                receipt: None,
                boot_id: clock.boot_id(),
                uptime: clock.since_boot().as_secs_f64(),
            };
            journal.end(Event::Broke, &ending, clock.now())?;
            db.acknowledge(id, clock.now())?;
        }
    }
    db.checkpoint()?;
    Ok(json!({ "home": dir.join("home"), "installations": INSTALLATIONS, "upgrades": UPGRADES }))
}

fn add(db: &mut Db, dir: &Path, name: &str) -> Result<InstallationName> {
    let folder = dir.join(name);
    fs::create_dir_all(&folder).map_err(|cause| Error::io("create the folder", &folder, &cause))?;
    let name: InstallationName = name.parse()?;
    db.add_installation(&Installation {
        name: name.clone(),
        folder,
        profile: String::new(),
        application: "shop".to_owned(),
        version: Some("1.0.0".to_owned()),
        added_at: Utc::now(),
    })?;
    Ok(name)
}

/// Write, fsync, rename: what a careful program does with a file of its state.
fn plain_write(dir: &Path, bytes: &[u8], sync_dir: bool) -> Result<Duration> {
    let path = dir.join("plain.json");
    let next: PathBuf = dir.join("plain.json.next");
    let io = |cause: std::io::Error| Error::io("write", &path, &cause);
    let begun = Instant::now();
    let mut file = File::create(&next).map_err(io)?;
    file.write_all(bytes).map_err(io)?;
    file.sync_all().map_err(io)?;
    fs::rename(&next, &path).map_err(io)?;
    if sync_dir {
        File::open(dir).and_then(|it| it.sync_all()).map_err(io)?;
    }
    Ok(begun.elapsed())
}

fn figures(mut times: Vec<Duration>) -> Value {
    times.sort_unstable();
    let at = |part: f64| {
        let index = ((times.len() as f64 * part) as usize).min(times.len() - 1);
        rounded(times[index].as_secs_f64() * 1000.0)
    };
    json!({ "median_ms": at(0.5), "p99_ms": at(0.99) })
}

fn rounded(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

fn holder() -> Holder {
    Holder {
        pid: std::process::id(),
        started_ticks: 1,
        started_at: Utc::now(),
        boot_id: SystemClock.boot_id(),
        host: "bench".to_owned(),
        user: "bench".to_owned(),
        doing: "upgrade".to_owned(),
    }
}
