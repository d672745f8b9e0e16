//! The whole story with a real shop: it is upgraded while customers order, then given every bad release there is.
//!
//! Everything is asked from outside, of programs that print JSON: `liftlock` does the work, `liftlock-demo` is
//! the world and the judge. Nothing here knows the engine.

use std::{
    env,
    fs::{self, File},
    io::Write as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use crate::{
    machine::{C_COMPILER, POSTGRESQL, provide},
    parts::Parts,
    run::{cargo, read, run, target_dir},
};

/// Orders in the shop at the start: enough for a backup, a rehearsal and a copy to be real work.
const ORDERS: u32 = 50_000;
/// Orders that the shopper places in a second.
const RATE: u32 = 20;
/// A shopper notices every pause between two answers; one that is shorter than this is no absence.
const PAUSE: f64 = 0.6;

/// One release, and what must come of it.
#[derive(Debug, Clone, Copy)]
struct Try {
    release: &'static str,
    about: &'static str,
    /// The rehearsal is made blind, so that the fault shows on the real data only.
    spare_rehearsal: bool,
    expected: Expected,
}

/// How a try must end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expected {
    /// The new version runs with all data.
    Complete,
    /// The old version runs again with its data.
    RolledBack,
    /// Found before anything was stopped.
    Failed,
    /// Not even begun.
    Refused,
}

impl Expected {
    /// Word of the table, state of the status, exit code of the command line.
    fn facts(self) -> (&'static str, &'static str, i32) {
        match self {
            Self::Complete => ("complete", "complete", 0),
            Self::RolledBack => ("rolled_back", "rolled_back", 4),
            Self::Failed => ("failed", "failed", 1),
            Self::Refused => ("refused", "failed", 3),
        }
    }
}

const TRIES: &[Try] = &[
    Try::of("1.1.0", "good: a new column, filled", Expected::Complete),
    Try::of("1.2.0", "never becomes healthy", Expected::RolledBack),
    Try::of("1.3.0", "fails in the middle of its migrations", Expected::Failed),
    Try::of("1.3.0", "the same, not rehearsed", Expected::RolledBack).unrehearsed(),
    Try::of("1.4.0", "healthy, but destroys rows", Expected::Failed),
    Try::of("1.4.0", "the same, not rehearsed", Expected::RolledBack).unrehearsed(),
    Try::of("1.5.0", "answers 200 with the old version", Expected::RolledBack),
    Try::of("1.6.0", "its migration hangs without a word", Expected::Failed),
    Try::of("1.6.0", "the same, not rehearsed", Expected::RolledBack).unrehearsed(),
    Try::of("1.7.0", "good: works for long without a word", Expected::Complete),
    Try::of("1.8.0", "needs a setting that is not there", Expected::Refused),
    Try::of("2.0.0", "breaking: cannot take the data along", Expected::Refused),
];

impl Try {
    const fn of(release: &'static str, about: &'static str, expected: Expected) -> Self {
        Self { release, about, spare_rehearsal: false, expected }
    }
    const fn unrehearsed(self) -> Self {
        Self { spare_rehearsal: true, ..self }
    }
}

/// What a try came to.
#[derive(Debug)]
struct Row {
    wanted: Try,
    outcome: String,
    identical: bool,
    lost: i64,
    away: f64,
    elapsed: f64,
    receipt: Option<String>,
    /// What is not as it must be.
    wrong: Vec<String>,
}

/// Tells the story and judges it.
pub(crate) fn tell(parts: &mut Parts, headless: bool, keep: bool, filter: Option<&str>) {
    if !headless {
        eprintln!("The window comes with the desktop app; this is the headless demo.");
    }
    let provided = parts.part("what the demo needs", || provide(&[C_COMPILER, POSTGRESQL]));
    // The dev profile builds in a third of the time; compression and SQLite are optimised there too.
    let built = parts.part("build", || {
        run(cargo().args(["build", "--package", "liftlock", "--package", "liftlock-demo", "--bins"]))
            .map(|()| String::new())
    });
    if provided && built {
        parts.part("the story", || story(keep, filter));
    }
}

fn story(keep: bool, filter: Option<&str>) -> Result<String> {
    let world = World::make()?;
    let begun = Instant::now();
    let told = world.tries(filter);
    // Whatever happened, no server stays behind.
    let down = world.demo(&["down"]);
    let rows = told?;
    down?;
    print(&rows);
    let receipts = world.keep_receipts(&rows)?;
    let wrong: Vec<&String> = rows.iter().flat_map(|row| &row.wrong).collect();
    if wrong.is_empty() && !keep {
        fs::remove_dir_all(&world.dir)?;
    } else {
        println!("The demo's folder is kept: {}", world.dir.display());
    }
    println!("Receipts: {}", receipts.display());
    for fault in &wrong {
        println!("WRONG: {fault}");
    }
    ensure!(
        wrong.is_empty(),
        "{} of {} rows are not as they must be",
        rows.iter().filter(|row| !row.wrong.is_empty()).count(),
        rows.len()
    );
    Ok(format!("{} releases tried in {:.0} s, all as they must be", rows.len(), begun.elapsed().as_secs_f64()))
}

/// The demo's folder and its programs.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) dir: PathBuf,
    bin: PathBuf,
    name: String,
}

impl World {
    /// A shop of release 1.0.0 that runs, and that Liftlock looks after.
    fn make() -> Result<Self> {
        Self::with(ORDERS, "debug")
    }

    /// The same with so many orders, and the programs of a profile of Cargo.
    pub(crate) fn with(orders: u32, profile: &str) -> Result<Self> {
        let dir = tempfile::Builder::new().prefix("liftlock-demo-").tempdir()?.keep();
        // PostgreSQL runs as a user of its own where we are root, and must reach its folder.
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            fs::set_permissions(&dir, fs::Permissions::from_mode(0o755))?;
        }
        let mut world = Self { dir, bin: target_dir().join(profile), name: String::new() };
        let up = world.demo(&["up", "--release", "1.0.0", "--orders", &orders.to_string()])?;
        let added = world.liftlock_ok(&["add", text(&up, "install_dir")?, "--profile", text(&up, "profile")?])?;
        added["name"].as_str().context("`liftlock add` does not tell the name")?.clone_into(&mut world.name);
        Ok(world)
    }

    fn tries(&self, filter: Option<&str>) -> Result<Vec<Row>> {
        let wanted = TRIES.iter().filter(|it| filter.is_none_or(|release| it.release == release));
        wanted
            .map(|wanted| {
                eprintln!("\n{} ({}): must end as {}", wanted.release, wanted.about, wanted.expected.facts().0);
                let row = self.attempt(*wanted).with_context(|| format!("{} ({})", wanted.release, wanted.about))?;
                eprintln!(
                    "  {} after {:.1} s, {:.1} s away, {} orders lost{}",
                    row.outcome,
                    row.elapsed,
                    row.away,
                    row.lost,
                    if row.wrong.is_empty() { "" } else { "  WRONG" }
                );
                Ok(row)
            })
            .collect()
    }

    /// One upgrade while customers order.
    fn attempt(&self, wanted: Try) -> Result<Row> {
        self.demo(&["publish", wanted.release])?;
        if wanted.spare_rehearsal {
            self.demo(&["fault", "--spare-rehearsal"])?;
        }
        let before = self.demo(&["hash"])?;
        let shopper = self.shopper()?;
        let begun = Instant::now();
        let (code, ended) = self.liftlock(&["upgrade", &self.name, "--to", wanted.release, "--yes"])?;
        let elapsed = begun.elapsed().as_secs_f64();
        let shopped = shopper.leave()?;
        let after = self.demo(&["hash"])?;
        if wanted.spare_rehearsal {
            self.demo(&["fault", "--clear"])?;
        }

        let (word, state, wanted_code) = wanted.expected.facts();
        let lost = shopped["lost"].as_i64().unwrap_or(i64::MAX);
        let duplicated = shopped["duplicated"].as_i64().unwrap_or(i64::MAX);
        let away = shopped["away_seconds"].as_f64().unwrap_or(f64::NAN);
        let identical = is_identical(&before, &after);
        let said = ended["state"].as_str().unwrap_or("nothing");
        let is_stopped = matches!(wanted.expected, Expected::Complete | Expected::RolledBack);

        let mut wrong = Vec::new();
        let mut must = |holds: bool, fault: String| {
            if !holds {
                let blind = if wanted.spare_rehearsal { ", not rehearsed" } else { "" };
                wrong.push(format!("{}{blind}: {fault}", wanted.release));
            }
        };
        must(code == wanted_code, format!("exit code {code}, not {wanted_code}: {ended}"));
        if wanted.expected != Expected::Refused {
            must(said == state, format!("it ended as {said}, not {state}"));
        }
        must(identical, format!("the data is not what it was: {before} / {after}"));
        must(lost == 0, format!("{lost} acknowledged orders are lost"));
        must(duplicated == 0, format!("{duplicated} orders are there twice"));
        must(shopped["acknowledged"].as_i64().unwrap_or(0) > 0, format!("the shopper ordered nothing: {shopped}"));
        must(is_stopped || away < PAUSE, format!("the shop was away for {away} s, though nothing was to be stopped"));
        Ok(Row {
            wanted,
            outcome: if code == 3 {
                "refused".to_owned()
            } else if said == state {
                word.to_owned()
            } else {
                said.to_owned()
            },
            identical,
            lost,
            away: if is_stopped { away } else { 0.0 },
            elapsed,
            receipt: ended["receipt"]["json"].as_str().map(str::to_owned),
            wrong,
        })
    }

    /// Asks `liftlock-demo` for one document.
    pub(crate) fn demo(&self, args: &[&str]) -> Result<Value> {
        let (command, rest) = args.split_first().context("a command")?;
        let said = read(self.program("liftlock-demo").arg(command).arg("--dir").arg(&self.dir).args(rest))
            .with_context(|| format!("liftlock-demo {}", args.join(" ")))?;
        document(&said).with_context(|| format!("liftlock-demo {}", args.join(" ")))
    }

    /// Runs `liftlock`; its exit code and its last document.
    pub(crate) fn liftlock(&self, args: &[&str]) -> Result<(i32, Value)> {
        let output = self.program("liftlock").args(args).arg("--json").stdin(Stdio::null()).output()?;
        let stdout = String::from_utf8_lossy(&output.stdout);
        let code = output.status.code().unwrap_or(-1);
        let answer = document(&stdout).with_context(|| {
            format!("liftlock {} ended with {code}: {}", args.join(" "), String::from_utf8_lossy(&output.stderr))
        })?;
        Ok((code, answer))
    }

    fn liftlock_ok(&self, args: &[&str]) -> Result<Value> {
        match self.liftlock(args)? {
            (0, answer) => Ok(answer),
            (code, answer) => bail!("liftlock {} ended with {code}: {answer}", args.join(" ")),
        }
    }

    /// Starts a shopper; it orders until it is told to leave.
    fn shopper(&self) -> Result<Shopper> {
        let path = self.dir.join("shopper.json");
        let child = self
            .program("liftlock-demo")
            .arg("shop")
            .arg("--dir")
            .arg(&self.dir)
            .args(["--seconds", "900", "--rate", &RATE.to_string()])
            .stdin(Stdio::piped())
            .stdout(File::create(&path)?)
            .stderr(Stdio::inherit())
            .spawn()
            .context("could not start the shopper")?;
        Ok(Shopper { child, path })
    }

    fn program(&self, name: &str) -> Command {
        let mut command = Command::new(self.bin.join(format!("{name}{}", env::consts::EXE_SUFFIX)));
        command.env("LIFTLOCK_HOME", self.dir.join("liftlock-home"));
        command
    }

    /// Copies the receipts and the table to where they outlive the demo.
    fn keep_receipts(&self, rows: &[Row]) -> Result<PathBuf> {
        let to = target_dir().join("demo");
        if to.exists() {
            fs::remove_dir_all(&to)?;
        }
        fs::create_dir_all(&to)?;
        let mut table = Vec::new();
        for (at, row) in rows.iter().enumerate() {
            if let Some(receipt) = &row.receipt {
                let blind = if row.wanted.spare_rehearsal { "-unrehearsed" } else { "" };
                for kind in ["json", "html"] {
                    let from = Path::new(receipt).with_extension(kind);
                    let name = format!("{:02}-{}{blind}.{kind}", at + 1, row.wanted.release);
                    fs::copy(&from, to.join(name)).with_context(|| format!("no receipt at {}", from.display()))?;
                }
            }
            table.push(json!({
                "release": row.wanted.release, "about": row.wanted.about, "rehearsal_spared": row.wanted.spare_rehearsal,
                "outcome": row.outcome, "expected": row.wanted.expected.facts().0, "data_identical": row.identical,
                "acknowledged_orders_lost": row.lost, "away_seconds": row.away, "seconds": row.elapsed, "wrong": row.wrong,
            }));
        }
        fs::write(to.join("table.json"), format!("{:#}\n", Value::from(table)))?;
        Ok(to)
    }
}

/// A shopper in the background.
#[derive(Debug)]
struct Shopper {
    child: Child,
    path: PathBuf,
}

impl Shopper {
    /// Tells it to leave, and answers what it found: it compares its own list with the shop's.
    fn leave(mut self) -> Result<Value> {
        // It orders for as long as its standard input is open.
        drop(self.child.stdin.take());
        let until = Instant::now() + Duration::from_secs(60);
        while self.child.try_wait()?.is_none() {
            if Instant::now() > until {
                self.child.kill()?;
                bail!("the shopper did not come to an end");
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        document(&fs::read_to_string(&self.path)?).context("the shopper")
    }
}

/// The last document of an output: one document over several lines, or one a line.
fn document(said: &str) -> Result<Value> {
    let mut found = None;
    for document in serde_json::Deserializer::from_str(said).into_iter::<Value>() {
        found = Some(document.with_context(|| format!("not JSON: {said}"))?);
    }
    found.context("no answer")
}

fn text<'a>(document: &'a Value, key: &str) -> Result<&'a str> {
    document[key].as_str().with_context(|| format!("no `{key}` in {document}"))
}

/// Every table that was there before is there with the same rows; a new version may bring new ones.
fn is_identical(before: &Value, after: &Value) -> bool {
    before == after
}

fn print(rows: &[Row]) {
    let mut out = std::io::stdout().lock();
    let mut line = |cells: [&str; 8]| {
        let [release, about, outcome, expected, data, lost, away, took] = cells;
        // A closed pipe at the other end is no reason to fail.
        let _ = writeln!(
            out,
            "{release:<8} {about:<38} {outcome:<12} {expected:<12} {data:<10} {lost:>6} {away:>8} {took:>8}"
        );
    };
    line(["", "", "", "", "data", "orders", "seconds", "seconds"]);
    line(["release", "", "outcome", "expected", "identical", "lost", "away", "in all"]);
    for row in rows {
        line([
            row.wanted.release,
            row.wanted.about,
            &row.outcome,
            row.wanted.expected.facts().0,
            if row.identical { "yes" } else { "NO" },
            &row.lost.to_string(),
            &format!("{:.1}", row.away),
            &format!("{:.1}", row.elapsed),
        ]);
    }
}
