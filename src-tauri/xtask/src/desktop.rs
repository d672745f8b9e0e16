//! What the window costs: from a start to the first paint, memory with the window and in the tray, processor time while
//! nothing happens, from a change in the state to the screen; and what the user has to fetch.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::{
    bench::Size,
    bundle, machine,
    parts::Parts,
    run::{cargo, run},
    test::of_the_window,
    ui,
};

/// The group's figures, beside an empty window in the same run, with the limits that were set for them.
pub(crate) fn figures(work: &Path, size: Size) -> Result<Value> {
    let needs = [machine::POSTGRESQL, machine::XVFB, machine::WEBDRIVER, machine::DBUS, machine::FONTS];
    machine::provide(&[machine::TO_BUILD.as_slice(), &needs].concat())?;
    ensure!(ui::bundle_if_older(&mut Parts::default()), "the bundle of the window could not be made");
    run(cargo().arg("build").args(size.to_build()).args([
        "--package",
        "liftlock-desktop",
        "--bins",
        "--example",
        "empty-window",
    ]))?;
    let told = work.join("desktop.json");
    run(of_the_window("figures::figures_of_the_window", &size.programs()).env("LIFTLOCK_FIGURES", &told))?;
    let mut figures: Value = serde_json::from_slice(&fs::read(&told)?)?;
    figures["ui_gzip_bytes"] = json!(gzipped(Path::new("ui/dist"))?);
    // Made by `cargo xtask bundle`; there is none where that was not run.
    figures["deb_bytes"] = json!(bundle::newest("deb").ok().and_then(|it| it.metadata().ok()).map(|it| it.len()));
    figures["limits"] = json!({
        "start_to_first_paint_ms": 1000,
        "pss_with_window_to_empty_window": 1.25,
        "pss_in_tray_mb": 80,
        "ui_gzip_bytes": 250_000,
        "deb_bytes": bundle::LIMIT,
        "change_to_screen_ms": 300,
        "idle_cpu_percent": 0.2,
    });
    Ok(figures)
}

/// What the files of a folder weigh, each compressed alone.
fn gzipped(folder: &Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path: PathBuf = entry?.path();
        bytes += if path.is_dir() {
            gzipped(&path)?
        } else {
            let packed = Command::new("gzip").args(["-9", "--stdout"]).arg(&path).output()?;
            u64::try_from(packed.stdout.len())?
        };
    }
    Ok(bytes)
}
