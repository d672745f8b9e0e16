//! The types that the window shares with the engine, as TypeScript: made out of the engine's views, never by hand.

use std::{fs, path::Path, process::Command};

use anyhow::{Context, Result, ensure};

use crate::{
    check::crates,
    run::{cargo, read, run, target_dir},
};

const FILE: &str = "ui/src/ipc/views.ts";

/// Makes them anew.
///
/// # Errors
/// The engine's example does not build, or the disk refused.
pub(crate) fn write() -> Result<()> {
    fs::write(FILE, made()?).with_context(|| format!("{FILE} cannot be written"))
}

/// Compares what stands there with what the engine would make of itself.
///
/// # Errors
/// They differ, with the command that helps.
pub(crate) fn check() -> Result<String> {
    let stands = fs::read_to_string(Path::new(FILE)).unwrap_or_default();
    ensure!(stands == made()?, "{FILE} is not what the engine's views are now: run `cargo xtask bindings`");
    Ok(format!("{} types", stands.lines().filter(|line| line.starts_with("export ")).count()))
}

/// Built with all other crates chosen, so that their libraries are those of every other build.
fn made() -> Result<String> {
    run(cargo().args(["build", "--quiet"]).args(crates()).args([
        "--features",
        "liftlock-engine/bindings",
        "--example",
        "bindings",
    ]))?;
    let program = format!("bindings{}", std::env::consts::EXE_SUFFIX);
    read(&mut Command::new(target_dir().join("debug/examples").join(program)))
}
