//! What every commit must pass, without a database and without root.

use std::{path::PathBuf, process::Command};

use anyhow::Result;

use crate::{
    bindings,
    machine::{TO_BUILD, provide},
    parts::Parts,
    run::{cache_dir, cargo, packages, run, run_and_pick},
    ui,
};

/// The version of cargo-deny that is built where it is missing.
const CARGO_DENY: &str = "0.20.2";

/// Crash points are compiled in for tests only: a test ends the real worker at a named one.
pub(crate) const FEATURES: [&str; 2] = ["--features", "liftlock/crash-points"];

/// Formatting, lints, layers, licences, unit tests.
pub(crate) fn all(parts: &mut Parts) {
    if cfg!(target_os = "linux") {
        parts.part("what building needs", || provide(&TO_BUILD));
    }
    parts.part("clippy", || clippy(&[]));
    parts.part("clippy with crash points", || clippy(&FEATURES));
    style(parts, &[]);
    parts.part("unit tests", || {
        let picked = run_and_pick(cargo().arg("test").args(crates()).args(["--lib", "--bins"]), is_closing_line)?;
        Ok(format!("{} test binaries", picked.len()))
    });
    // Also holds docs/commands.md and docs/json.md to what the program says.
    parts.part("command line and its reference", || {
        let picked = run_and_pick(cargo().args(["test", "--package", "liftlock", "--test", "cli"]), is_closing_line)?;
        Ok(picked.last().cloned().unwrap_or_default())
    });
}

/// The parts that run no product code: formatting, layers, licences. With the features that everything else is built
/// with, nothing is built for them alone.
pub(crate) fn style(parts: &mut Parts, features: &[&str]) {
    parts.part("rustfmt", || run(cargo().args(["fmt", "--all", "--check"])).map(|()| String::new()));
    parts.part("layers of the engine", || {
        run(cargo().args(["test", "--quiet"]).args(crates()).args(features).args(["--test", "layers"]))
            .map(|()| String::new())
    });
    parts.part("types of the window", bindings::check);
    ui::style(parts);
    parts.part("cargo-deny", || {
        let mut deny = Command::new(cargo_deny()?);
        run(deny.args(["--locked", "check", "--hide-inclusion-graph", "bans", "licenses", "sources"]))?;
        Ok("bans, licences, sources; advisories need the internet and run in the workflow files".to_owned())
    });
}

/// The crates that are built here. The demo drives a server and is made for Linux.
pub(crate) fn crates() -> Vec<&'static str> {
    if cfg!(target_os = "linux") {
        vec!["--workspace"]
    } else {
        packages(&["liftlock-engine", "liftlock-rows", "liftlock", "liftlock-sqlserver", "liftlock-desktop", "xtask"])
    }
}

/// The closing lines of `cargo test` and of cargo-nextest.
pub(crate) fn is_closing_line(line: &str) -> bool {
    line.starts_with("test result:") || line.starts_with("Summary [")
}

/// The lints, as errors.
pub(crate) fn clippy(features: &[&str]) -> Result<String> {
    run(cargo().arg("clippy").args(crates()).arg("--all-targets").args(features).args(["--", "-D", "warnings"]))?;
    Ok(String::new())
}

/// cargo-deny, built once a machine. Unoptimised: it runs for two seconds and would compile for minutes.
fn cargo_deny() -> Result<PathBuf> {
    let root = cache_dir()?.join(format!("cargo-deny-{CARGO_DENY}"));
    let program = root.join("bin").join(format!("cargo-deny{}", std::env::consts::EXE_SUFFIX));
    if !program.is_file() {
        let building = root.join("building");
        run(cargo()
            .args(["install", "cargo-deny", "--quiet", "--locked", "--version", CARGO_DENY, "--root"])
            .arg(&root)
            .arg("--target-dir")
            .arg(&building)
            .args(["--config", "profile.release.opt-level=0", "--config", "profile.release.lto=false"])
            .args(["--config", "profile.release.codegen-units=16"]))?;
        // Only its size is at stake: a leftover is no fault.
        let _ = std::fs::remove_dir_all(&building);
    }
    Ok(program)
}
