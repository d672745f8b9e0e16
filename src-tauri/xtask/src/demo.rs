//! The whole story with a real shop: it is upgraded while customers order, then given every bad release there is.
//!
//! Everything is asked from outside, of programs that print JSON: `liftlock` does the work, `liftlock-demo` is
//! the world and the judge. Nothing here knows the engine.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    time::Instant,
};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::{
    machine::{C_COMPILER, POSTGRESQL, provide},
    parts::Parts,
    run::{build, target_dir},
    world::World,
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
    /// `1.3.0`, or `1.3.0-unrehearsed`.
    fn name(self) -> String {
        format!("{}{}", self.release, if self.spare_rehearsal { "-unrehearsed" } else { "" })
    }
}

/// What was seen of a try from outside.
#[derive(Debug)]
struct Seen {
    /// Exit code and last document of `liftlock upgrade`.
    code: i32,
    ended: Value,
    /// The shopper's verdict.
    shopped: Value,
    /// The content before and after.
    before: Value,
    after: Value,
    elapsed: f64,
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
pub(crate) fn tell(parts: &mut Parts, keep: bool, filter: Option<&str>) {
    let provided = parts.part("what the demo needs", || provide(&[C_COMPILER, POSTGRESQL]));
    let built = parts.part("build", || build(&["liftlock", "liftlock-sqlserver", "liftlock-demo"]));
    if provided && built {
        parts.part("the story", || story(keep, filter));
    }
}

fn story(keep: bool, filter: Option<&str>) -> Result<String> {
    let mut world = World::with(ORDERS, "debug")?;
    let begun = Instant::now();
    let rows: Vec<Row> = TRIES
        .iter()
        .filter(|it| filter.is_none_or(|release| it.release == release))
        .map(|it| attempt(&world, *it))
        .collect();
    ensure!(!rows.is_empty(), "there is no such release");
    print(&rows);
    println!("Receipts: {}", keep_receipts(&rows)?.display());
    let wrong = rows.iter().filter(|row| !row.wrong.is_empty());
    for (row, fault) in wrong.clone().flat_map(|row| row.wrong.iter().map(move |fault| (row, fault))) {
        println!("WRONG: {}: {fault}", row.wanted.name());
    }
    if keep || wrong.clone().count() > 0 {
        world.is_kept = true;
        println!("The demo's folder is kept: {}", world.dir.display());
    }
    ensure!(wrong.clone().count() == 0, "{} of {} rows are not as they must be", wrong.count(), rows.len());
    Ok(format!("{} releases tried in {:.0} s, all as they must be", rows.len(), begun.elapsed().as_secs_f64()))
}

/// One upgrade while customers order, told and judged.
fn attempt(world: &World, wanted: Try) -> Row {
    let (word, state, wanted_code) = wanted.expected.facts();
    eprintln!("\n{} ({}): must end as {word}", wanted.name(), wanted.about);
    let mut row = Row {
        wanted,
        outcome: "none".to_owned(),
        identical: false,
        lost: 0,
        away: 0.0,
        elapsed: 0.0,
        receipt: None,
        wrong: Vec::new(),
    };
    let seen = match upgrade(world, wanted) {
        Ok(seen) => seen,
        Err(error) => {
            eprintln!("  {error:#}");
            row.wrong.push(format!("{error:#}"));
            return row;
        }
    };
    let said = seen.ended["state"].as_str().unwrap_or("nothing");
    let is_stopped = matches!(wanted.expected, Expected::Complete | Expected::RolledBack);
    let figure = |key: &str| seen.shopped[key].as_i64().unwrap_or(i64::MAX);
    let away = seen.shopped["away_seconds"].as_f64().unwrap_or(f64::NAN);
    let differences = differences(&seen.before, &seen.after, wanted.expected);
    row.outcome = if seen.code == 3 { "refused" } else { said }.to_owned();
    row.identical = differences.is_empty();
    row.lost = figure("lost");
    row.away = away;
    row.elapsed = seen.elapsed;
    row.receipt = seen.ended["receipt"]["json"].as_str().map(str::to_owned);

    let mut must = |holds: bool, fault: String| {
        if !holds {
            row.wrong.push(fault);
        }
    };
    must(seen.code == wanted_code, format!("exit code {}, not {wanted_code}: {}", seen.code, seen.ended));
    must(wanted.expected == Expected::Refused || said == state, format!("it ended as {said}, not {state}"));
    must(differences.is_empty(), format!("the data is not what it was: {}", differences.join("; ")));
    must(figure("lost") == 0, format!("{} acknowledged orders are lost", figure("lost")));
    must(figure("unexpected") == 0, format!("{} refused orders are there", figure("unexpected")));
    must(seen.shopped["ended_away"] == false, "the shop did not answer at the end".to_owned());
    must(figure("duplicated") == 0, format!("{} orders are there twice", figure("duplicated")));
    must(seen.shopped["acknowledged"].as_i64().unwrap_or(0) > 0, format!("nothing was ordered: {}", seen.shopped));
    must(is_stopped || away < PAUSE, format!("the shop was away for {away} s, though nothing was to be stopped"));
    if !is_stopped && away < PAUSE {
        row.away = 0.0;
    }
    eprintln!(
        "  {} after {:.1} s, {:.1} s away, {} orders lost{}",
        row.outcome,
        row.elapsed,
        row.away,
        row.lost,
        if row.wrong.is_empty() { "" } else { "  WRONG" }
    );
    row
}

/// One upgrade while customers order, as seen from outside.
fn upgrade(world: &World, wanted: Try) -> Result<Seen> {
    world.demo(&["publish", wanted.release])?;
    if wanted.spare_rehearsal {
        world.demo(&["fault", "--spare-rehearsal"])?;
    }
    let before = world.demo(&["hash", "--seeded"])?;
    let shopper = world.shopper(RATE)?;
    let begun = Instant::now();
    let ended = world.liftlock(&["upgrade", &world.name, "--to", wanted.release, "--yes"]);
    let elapsed = begun.elapsed().as_secs_f64();
    let shopped = shopper.leave()?;
    let after = world.demo(&["hash", "--seeded"])?;
    if wanted.spare_rehearsal {
        world.demo(&["fault", "--clear"])?;
    }
    let (code, ended) = ended?;
    Ok(Seen { code, ended, shopped, before, after, elapsed })
}

/// Copies the receipts and the table to where they outlive the demo.
fn keep_receipts(rows: &[Row]) -> Result<PathBuf> {
    let to = target_dir().join("demo");
    if to.exists() {
        fs::remove_dir_all(&to)?;
    }
    fs::create_dir_all(&to)?;
    let mut table = Vec::new();
    for (at, row) in rows.iter().enumerate() {
        if let Some(receipt) = &row.receipt {
            for kind in ["json", "html"] {
                let from = Path::new(receipt).with_extension(kind);
                let name = format!("{:02}-{}.{kind}", at + 1, row.wanted.name());
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

/// What differs between two looks at the data that was there before anybody shopped: rows, files, and what a
/// copy of a database does not carry by itself (owner, privileges, settings). A new version may add columns.
fn differences(before: &Value, after: &Value, expected: Expected) -> Vec<String> {
    let wanted: &[&str] = match expected {
        Expected::Complete => &["content_1_0", "uploads", "settings"],
        _ => &["content", "content_1_0", "tables", "uploads", "settings"],
    };
    wanted
        .iter()
        .filter(|key| before[**key].is_null() || before[**key] != after[**key])
        .map(|key| format!("`{key}` was {} and is {}", before[*key], after[*key]))
        .collect()
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
