//! The window's own tasks: its style, its tests, and what they need. npm does the work; nothing of it is decided here.

use std::{path::Path, process::Command, time::SystemTime};

use anyhow::Result;

use crate::{
    parts::Parts,
    run::{run, run_and_pick},
};

/// Where the window's sources are.
const FOLDER: &str = "ui";

/// Types, lints and formatting of the window.
pub(crate) fn style(parts: &mut Parts) {
    if installed(parts) {
        parts.part("svelte-check", || run(npm().args(["run", "--silent", "check"])).map(|()| String::new()));
        parts.part("eslint and prettier", || run(npm().args(["run", "--silent", "lint"])).map(|()| String::new()));
    }
}

/// The bundle that the window's program carries: made before that program is.
fn bundle(parts: &mut Parts) -> bool {
    installed(parts)
        && parts.part("window: bundle", || run(npm().args(["run", "--silent", "build"])).map(|()| String::new()))
}

/// The same for whoever only wants it to be there.
pub(crate) fn bundle_if_older(parts: &mut Parts) -> bool {
    let folder = Path::new(FOLDER);
    let made = folder.join("dist/index.html").metadata().and_then(|it| it.modified()).ok();
    let newest = newest(folder, &["node_modules", "dist", "tests"]);
    (made.is_some() && made > newest && folder.join("dist/assets").is_dir()) || bundle(parts)
}

/// When anything in a folder was changed last, some names aside.
fn newest(folder: &Path, aside: &[&str]) -> Option<SystemTime> {
    let entries = folder.read_dir().into_iter().flatten().flatten();
    let entries = entries.filter(|it| !aside.iter().any(|name| it.file_name() == *name));
    entries
        .filter_map(|it| {
            let about = it.metadata().ok()?;
            if about.is_dir() { newest(&it.path(), aside) } else { about.modified().ok() }
        })
        .max()
}

/// The tests of its parts, and its screens in a browser.
pub(crate) fn tests(parts: &mut Parts) {
    if !installed(parts) {
        return;
    }
    parts.part("window: parts", || close(&mut npm(), "test:unit"));
    if cfg!(target_os = "linux") {
        parts.part("window: screens", || close(&mut npm(), "test:browser"));
    }
}

/// Runs a test script and answers its closing line.
fn close(npm: &mut Command, script: &str) -> Result<String> {
    let picked = run_and_pick(npm.args(["run", "--silent", script]).env("NO_COLOR", "1"), is_closing_line)?;
    Ok(picked.last().cloned().unwrap_or_default())
}

/// The closing lines of vitest ("Tests  12 passed (12)") and of Playwright ("12 passed (30.1s)").
fn is_closing_line(line: &str) -> bool {
    line.starts_with("Tests ")
        || line.split_once(' ').is_some_and(|(n, rest)| {
            n.parse::<u32>().is_ok() && (rest.starts_with("passed") || rest.starts_with("failed"))
        })
}

/// Installs the libraries of the lock file where that has not been done for this very file.
fn installed(parts: &mut Parts) -> bool {
    let folder = Path::new(FOLDER);
    if !folder.join("package.json").is_file() {
        return false;
    }
    let stamp = folder.join("node_modules/.package-lock.json");
    let age = |path: &Path| path.metadata().and_then(|it| it.modified()).ok();
    // npm writes its own copy of the lock file last: newer means that all of it is there.
    if age(&stamp) >= age(&folder.join("package-lock.json")) && stamp.is_file() {
        return true;
    }
    // Not `ci`: it refuses a lock file in which an optional library for another system was never published. What is
    // locked is installed as locked all the same, and the file is left as it is.
    parts.part("window: libraries", || {
        run(npm().args(["install", "--no-save", "--no-audit", "--no-fund"])).map(|()| String::new())
    })
}

fn npm() -> Command {
    let mut npm = Command::new(if cfg!(windows) { "npm.cmd" } else { "npm" });
    npm.current_dir(FOLDER);
    npm
}
