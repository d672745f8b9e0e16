//! The types that the window shares with the engine, as TypeScript: made out of the engine's views, never by hand.

use std::{fs, path::Path};

use anyhow::{Context, Result, ensure};

use crate::run::{cargo, read};

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

fn made() -> Result<String> {
    read(
        cargo()
            .args(["run", "--quiet", "--package", "liftlock-engine", "--features", "bindings"])
            .args(["--example", "bindings"]),
    )
}
