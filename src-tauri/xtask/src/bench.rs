//! Figures, measured on a release build, each beside a peer in the same run: ratios travel between machines,
//! milliseconds do not. Written to `target/bench/<name>.json`.

use std::{
    collections::BTreeSet,
    env, fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Instant,
};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use crate::{
    desktop,
    parts::Parts,
    run::{cargo, read, run, target_dir},
};

/// How often a whole process is timed.
const ROUNDS: usize = 100;

/// How seriously it is measured.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Size {
    /// The profile of Cargo whose programs are measured.
    profile: &'static str,
    /// Orders in the shop that is upgraded.
    orders: u32,
    /// Lines of orders in the database that is backed up; the real one has a gigabyte.
    lines: u32,
    /// Rows of the table that is exported.
    rows: u32,
}

impl Size {
    /// The real one, or a trial.
    pub(crate) fn of(trial: bool) -> Self {
        if trial {
            Self { profile: "debug", orders: 2_000, lines: 20_000, rows: 20_000 }
        } else {
            Self { profile: "release", orders: 200_000, lines: 3_200_000, rows: 5_000_000 }
        }
    }

    /// The folder of the programs that are measured.
    pub(crate) fn programs(self) -> PathBuf {
        target_dir().join(self.profile)
    }

    /// What Cargo is told for that.
    pub(crate) fn to_build(self) -> &'static [&'static str] {
        if self.profile == "release" { &["--release"] } else { &[] }
    }
}

/// One group of figures, with the example of the engine that measures it: one that is linked as it is shipped takes minutes.
type Bench = (&'static str, Option<&'static str>, fn(&Path, Size) -> Result<Value>);

const BENCHES: &[Bench] = &[
    ("state", Some("state_figures"), state),
    ("processes", Some("state_figures"), processes),
    ("size", None, size),
    ("away", None, away),
    ("away-compose", None, away_compose),
    ("backup", Some("backup_figures"), backup),
    ("export", Some("export_figures"), export),
    ("discovery", Some("discovery_figures"), discovery),
    ("desktop", None, desktop::figures),
];

/// Runs every group, or the one that is named.
pub(crate) fn measure(parts: &mut Parts, name: Option<&str>, size: Size) -> Result<()> {
    let wanted: Vec<&Bench> = BENCHES.iter().filter(|(it, ..)| name.is_none_or(|name| name == *it)).collect();
    if wanted.is_empty() {
        let known: Vec<&str> = BENCHES.iter().map(|(name, ..)| *name).collect();
        bail!("there is no such bench; there are {}", known.join(", "));
    }
    let examples: BTreeSet<&str> = wanted.iter().filter_map(|it| it.1).collect();
    let built = parts.part("build", || {
        // Alone, as it is shipped: together with others it would carry their features too.
        run(cargo().arg("build").args(size.to_build()).args(["--package", "liftlock", "--bins"]))?;
        run(cargo()
            .arg("build")
            .args(size.to_build())
            .args(["--package", "liftlock-engine", "--package", "liftlock-demo", "--bins"])
            .args(examples.iter().flat_map(|it| ["--example", it])))?;
        Ok(String::new())
    });
    if !built {
        return Ok(());
    }
    let out = target_dir().join("bench");
    fs::create_dir_all(&out)?;
    for (name, _, bench) in wanted {
        parts.part(name, || {
            // On the disk of the clone, like the state of a real installation; a temporary folder may be memory.
            let work = tempfile::tempdir_in(&out)?;
            let figures = bench(work.path(), size)?;
            let path = out.join(format!("{name}.json"));
            fs::write(&path, format!("{figures:#}\n"))?;
            println!("{figures:#}");
            Ok(path.display().to_string())
        });
    }
    Ok(())
}

/// A durable change beside write, fsync and rename; taking the lease.
fn state(work: &Path, size: Size) -> Result<Value> {
    answer(Command::new(state_figures(size)).arg("measure").arg(work))
}

/// Whole processes in a home with a long life, beside a process that does nothing.
fn processes(work: &Path, size: Size) -> Result<Value> {
    let populated = answer(Command::new(state_figures(size)).arg("populate").arg(work))?;
    let home = work.join("home");
    let liftlock = || {
        let mut command = Command::new(program(size, "liftlock"));
        command.env("LIFTLOCK_HOME", &home);
        command
    };
    let mut figures = serde_json::Map::new();
    figures.insert(
        "home".to_owned(),
        json!({ "installations": populated["installations"], "upgrades": populated["upgrades"] }),
    );
    let nothing = if cfg!(windows) { vec!["cmd", "/c", "rem"] } else { vec!["true"] };
    figures.insert(
        "nothing".to_owned(),
        timed(|| {
            let mut command = Command::new(nothing[0]);
            command.args(&nothing[1..]);
            command
        })?,
    );
    figures.insert("version".to_owned(), timed(|| with(liftlock(), &["--version"]))?);
    figures.insert("status".to_owned(), timed(|| with(liftlock(), &["status", "shop-042", "--json"]))?);
    figures.insert("resume_check".to_owned(), timed(|| with(liftlock(), &["resume", "--all", "--json"]))?);
    Ok(figures.into())
}

/// The sidecar as it is shipped.
fn size(_: &Path, size: Size) -> Result<Value> {
    let path = program(size, "liftlock");
    let bytes = fs::metadata(&path).with_context(|| path.display().to_string())?.len();
    Ok(json!({ "stripped_sidecar_bytes": bytes, "stripped_sidecar_mb": rounded(bytes as f64 / 1e6), "limit_mb": 12 }))
}

/// A whole upgrade beside the straightforward way.
fn away(_: &Path, size: Size) -> Result<Value> {
    // Only this group needs the shop and a server.
    crate::machine::provide(&[crate::machine::POSTGRESQL])?;
    crate::away::native(size.orders, size.profile)
}

/// The same in containers, on an engine of Docker of its own.
fn away_compose(_: &Path, size: Size) -> Result<Value> {
    // The database's image is made of the server that is installed here.
    crate::machine::provide(&[crate::machine::POSTGRESQL, crate::machine::IPROUTE])?;
    crate::docker::provide()?;
    crate::away::compose(size.orders, size.profile)
}

/// A backup from its making to its restoring, beside PostgreSQL's own tools.
fn backup(work: &Path, size: Size) -> Result<Value> {
    crate::machine::provide(&[crate::machine::POSTGRESQL])?;
    // Its server runs as a user of its own.
    #[cfg(unix)]
    fs::set_permissions(work, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    answer(Command::new(example(size, "backup_figures")).arg("measure").arg(work).arg(size.lines.to_string()))
}

/// An export in each form, beside `psql \copy` of the same rows.
fn export(work: &Path, size: Size) -> Result<Value> {
    crate::machine::provide(&[crate::machine::POSTGRESQL])?;
    // Its server runs as a user of its own.
    #[cfg(unix)]
    fs::set_permissions(work, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    answer(Command::new(example(size, "export_figures")).arg("measure").arg(work).arg(size.rows.to_string()))
}

/// A thousand installations with nothing new, beside a client that asks one question after the other.
fn discovery(work: &Path, size: Size) -> Result<Value> {
    let figures = example(size, "discovery_figures");
    let mut server = Command::new(&figures).arg("serve").stdout(Stdio::piped()).spawn()?;
    let mut url = String::new();
    let told = server.stdout.as_mut().context("the server has no voice")?;
    BufReader::new(told).read_line(&mut url)?;
    let answered = answer(Command::new(&figures).arg("measure").arg(work).arg(url.trim()));
    server.kill()?;
    server.wait()?;
    answered
}

/// Times a process from its start to its end.
fn timed(make: impl Fn() -> Command) -> Result<Value> {
    let mut times = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        let mut command = make();
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let begun = Instant::now();
        let status = command.status()?;
        times.push(begun.elapsed());
        ensure!(status.success(), "{command:?} ended with {status}");
    }
    times.sort_unstable();
    let at = |part: f64| rounded(times[((ROUNDS as f64 * part) as usize).min(ROUNDS - 1)].as_secs_f64() * 1000.0);
    Ok(json!({ "median_ms": at(0.5), "p99_ms": at(0.99) }))
}

fn with(mut command: Command, args: &[&str]) -> Command {
    command.args(args);
    command
}

fn answer(command: &mut Command) -> Result<Value> {
    Ok(serde_json::from_str(&read(command)?)?)
}

fn program(size: Size, name: &str) -> PathBuf {
    size.programs().join(format!("{name}{}", env::consts::EXE_SUFFIX))
}

fn state_figures(size: Size) -> PathBuf {
    example(size, "state_figures")
}

fn example(size: Size, name: &str) -> PathBuf {
    size.programs().join("examples").join(format!("{name}{}", env::consts::EXE_SUFFIX))
}

fn rounded(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}
