//! Everything that is tested, in the order in which it should fail: what is quick first, what is long last.

use std::{env, path::Path, process::Command};

use anyhow::{Context, Result};

use crate::{
    check::{self, FEATURES, crates, is_closing_line},
    machine::{
        AGE, CHROMIUM, DBUS, FONTS, IPROUTE, KEYRING, MARIADB, Need, PIP, POSTGRESQL, SECRET_TOOL, SPREADSHEET, STRACE,
        TO_BUILD, VENV, WEBDRIVER, XVFB, provide_with_docker,
    },
    parts::Parts,
    postgres,
    run::{cargo, has, run, run_and_pick},
    targets, ui,
};

/// What runs the tests, where there is one: a process a test.
const NEXTEST: &str = "cargo-nextest";

/// Of the tests with Docker, one share of so many runs unless all are asked for: which one, the seed says.
const SHARES_OF_DOCKER: u64 = 3;

/// One test of the window, with the programs of that folder in place of those that Cargo has built beside it.
pub(crate) fn of_the_window(name: &str, programs: &Path) -> Command {
    let mut test = cargo();
    test.arg("test").args(crates()).args(FEATURES).args([
        "--test",
        "window",
        "--",
        "--include-ignored",
        "--exact",
        name,
    ]);
    test.env("LIFTLOCK_PROGRAMS", programs);
    test
}

/// Runs every test there is, or those whose name contains `filter`.
pub(crate) fn all(parts: &mut Parts, long: bool, filter: Option<&str>) -> Result<()> {
    let seed = seed()?;
    eprintln!("LIFTLOCK_SEED={seed} replays the sampled tests of this run; --long runs all of them");
    let provided = parts.part("what the tests need", || {
        if cfg!(target_os = "linux") {
            let to_test = [
                AGE,
                PIP,
                VENV,
                POSTGRESQL,
                MARIADB,
                STRACE,
                IPROUTE,
                CHROMIUM,
                FONTS,
                XVFB,
                WEBDRIVER,
                DBUS,
                KEYRING,
                SECRET_TOOL,
            ];
            // It is large.
            let to_test_long: &[Need] = if long { &[SPREADSHEET] } else { &[] };
            provide_with_docker(&[TO_BUILD.as_slice(), &to_test, to_test_long].concat())
        } else {
            Ok("only the tests that need no server are run on this system".to_owned())
        }
    });
    let mut newer = None;
    if provided && cfg!(target_os = "linux") {
        parts.part("a newer PostgreSQL", || {
            let programs = postgres::newer()?;
            let said = programs.display().to_string();
            newer = Some(programs);
            Ok(said)
        });
    }
    // The window's program carries it, and is built for the lints already.
    ui::bundle_if_older(parts);
    if filter.is_none() {
        // What is shipped is linted before each commit, and compiled without a warning for the other systems below.
        parts.part("clippy with crash points", || check::clippy(&FEATURES));
        check::style(parts, &FEATURES);
    }
    // Tests start the programs of other crates, which Cargo does not build for them.
    let built = parts.part("build", || {
        run(cargo().arg("build").args(crates()).arg("--bins").args(FEATURES)).map(|()| String::new())
    });
    let mut closing = Vec::new();
    if provided && built {
        let environment = [("LIFTLOCK_SEED", seed.to_string()), ("LIFTLOCK_LONG", u8::from(long).to_string())];
        let mut tests = |parts: &mut Parts, name: &str, more: &[&str]| {
            parts.part(name, || {
                let mut tests = runner(long, filter);
                tests.args(more).envs(environment.clone()).envs(newer.as_ref().map(|it| (postgres::NEWER, it)));
                let mut said = run_and_pick(&mut tests, is_closing_line)?;
                // `cargo test` closes every binary; those without a test would only bury the others.
                said.retain(|line| !line.contains(" 0 passed; 0 failed;"));
                let last = said.last().cloned().unwrap_or_default();
                closing.extend(said);
                Ok(last)
            });
        };
        if long || filter.is_some() || !has(NEXTEST) {
            tests(parts, "tests", &[]);
        } else {
            tests(parts, "tests without Docker", &["-E", "not binary(docker)"]);
            // Each has an engine of its own, and all of them take more than half an hour.
            let share = format!("count:{}/{SHARES_OF_DOCKER}", seed % SHARES_OF_DOCKER + 1);
            tests(parts, "tests with Docker", &["-E", "binary(docker)", "--partition", &share]);
        }
        if filter.is_none() {
            parts.part("doc tests", || {
                let picked =
                    run_and_pick(cargo().args(["test", "--doc"]).args(crates()).args(FEATURES), is_closing_line)?;
                Ok(format!("{} crates", picked.len()))
            });
        }
    }
    if filter.is_none() {
        // Elsewhere the build itself has shown that this system is not forgotten.
        if cfg!(target_os = "linux") {
            targets::check(parts);
        }
        ui::tests(parts);
    }
    // Whoever reads only the end of the log sees the runner's own words.
    for line in closing {
        eprintln!("{line}");
    }
    Ok(())
}

/// [`NEXTEST`] where there is one, else what comes with Rust.
fn runner(long: bool, filter: Option<&str>) -> Command {
    let mut command = cargo();
    if has(NEXTEST) {
        command.args(["nextest", "run", "--no-tests", "warn", "--profile", if long { "long" } else { "default" }]);
    } else {
        command.arg("test");
    }
    command.arg("--no-fail-fast").args(crates()).args(FEATURES).args(which()).args(filter);
    command
}

/// The tests of those crates: elsewhere than on Linux those that need no server, no strace and no signals.
fn which() -> &'static [&'static str] {
    if cfg!(target_os = "linux") {
        &["--lib", "--bins", "--tests"]
    } else {
        &["--lib", "--bins", "--test", "layers", "--test", "cli"]
    }
}

/// The seed of sampled tests: the one given, or one that no earlier run had.
fn seed() -> Result<u64> {
    match env::var("LIFTLOCK_SEED") {
        Ok(given) => given.parse().with_context(|| format!("LIFTLOCK_SEED is a number, and not “{given}”")),
        Err(_) => Ok(std::time::UNIX_EPOCH.elapsed()?.as_secs()),
    }
}
