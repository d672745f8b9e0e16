//! Everything that is tested, in the order in which it should fail: what is quick first, what is long last.

use std::{env, path::Path, process::Command};

use anyhow::Result;

use crate::{
    check::{self, crates, is_closing_line},
    machine::{
        AGE, CHROMIUM, DBUS, FONTS, IPROUTE, KEYRING, MARIADB, Need, PIP, POSTGRESQL, SECRET_TOOL, SPREADSHEET, STRACE,
        TO_BUILD, VENV, WEBDRIVER, XVFB, provide_with_docker,
    },
    parts::Parts,
    postgres,
    run::{cargo, has, run, run_and_pick},
    targets, ui,
};

/// Crash points are compiled in for tests only: a test ends the real worker at a named one.
const FEATURES: [&str; 2] = ["--features", "liftlock/crash-points"];

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
    eprintln!("LIFTLOCK_SEED={seed} replays the sampled tests of this run");
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
        check::style(parts);
    }
    // Tests start the programs of other crates, which Cargo does not build for them.
    let built = parts.part("build", || {
        run(cargo().arg("build").args(crates()).arg("--bins").args(FEATURES)).map(|()| String::new())
    });
    let mut closing = Vec::new();
    if provided && built {
        parts.part("tests", || {
            let mut tests = runner(long, filter);
            tests.env("LIFTLOCK_SEED", &seed).env("LIFTLOCK_LONG", if long { "1" } else { "0" });
            tests.envs(newer.as_ref().map(|it| (postgres::NEWER, it)));
            closing = run_and_pick(&mut tests, is_closing_line)?;
            // `cargo test` closes every binary; those without a test would only bury the others.
            closing.retain(|line| !line.contains(" 0 passed; 0 failed;"));
            Ok(closing.last().cloned().unwrap_or_default())
        });
        if filter.is_none() {
            parts.part("doc tests", || {
                let picked = run_and_pick(
                    cargo()
                        .args(["test", "--package", "liftlock-engine", "--package", "liftlock", "--doc"])
                        .args(FEATURES),
                    is_closing_line,
                )?;
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

/// cargo-nextest where there is one (a process a test), else what comes with Rust.
fn runner(long: bool, filter: Option<&str>) -> Command {
    let mut command = cargo();
    if has("cargo-nextest") {
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
fn seed() -> Result<String> {
    if let Ok(given) = env::var("LIFTLOCK_SEED") {
        return Ok(given);
    }
    let since = std::time::UNIX_EPOCH.elapsed()?;
    Ok(since.as_secs().to_string())
}
