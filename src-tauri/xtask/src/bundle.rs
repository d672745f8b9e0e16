//! The packages of this system: the window, with the worker, its client for SQL Server and the sample shop beside it.
//!
//! Only here the programs beside the window are declared to Tauri, so that a plain `cargo build` needs none of them.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail, ensure};

use crate::{
    machine::{DBUS, FONTS, POSTGRESQL, TO_BUILD, WEBDRIVER, XVFB, provide},
    parts::Parts,
    run::{cargo, has, read, run, target_dir, workspace},
    test::of_the_window,
    ui,
};

/// The command line of Tauri that bundles; its major and minor are those of the crate.
const TAURI_CLI: &str = "@tauri-apps/cli@2.12.5";
/// What a package of Debian may weigh.
pub(crate) const LIMIT: u64 = 14_000_000;
/// Where a desktop finds it.
const MENU_ENTRY: &str = "/usr/share/applications/Liftlock.desktop";
/// What stands beside the window's program; the sample shop is made for Linux.
const BESIDE: &[&str] = if cfg!(target_os = "linux") {
    &["liftlock", "liftlock-sqlserver", "liftlock-demo", "corner-shop"]
} else {
    &["liftlock", "liftlock-sqlserver"]
};

/// Makes the packages, and looks at the one of Debian where this is Debian.
pub(crate) fn make(parts: &mut Parts, kinds: &[String], install: bool) {
    let provided = !cfg!(target_os = "linux") || parts.part("what building needs", || provide(&TO_BUILD));
    if !(provided && ui::bundle_if_older(parts)) {
        return;
    }
    let beside = parts.part("programs beside the window", beside);
    let bundled = beside && parts.part("packages", || bundle(kinds));
    if bundled && cfg!(target_os = "linux") && has("dpkg-deb") {
        let is_good = parts.part("the package of Debian", || {
            let package = newest("deb")?;
            pack_tighter(&package)?;
            look_at(&package)
        });
        if is_good && install {
            parts.part("installed, used and removed", || try_it(&newest("deb")?));
        }
    }
}

/// Builds them as they are shipped, each alone, and puts them where Tauri looks for them.
fn beside() -> Result<String> {
    let triple = read(Command::new("rustc").args(["--print", "host-tuple"]))?;
    let folder = workspace().join("src-tauri/binaries");
    fs::create_dir_all(&folder)?;
    let packages: &[&str] = if cfg!(target_os = "linux") {
        &["liftlock", "liftlock-sqlserver", "liftlock-demo"]
    } else {
        &["liftlock", "liftlock-sqlserver"]
    };
    for package in packages {
        run(cargo().args(["build", "--release", "--package", package, "--bins"]))?;
    }
    for name in BESIDE {
        let from = target_dir().join("release").join(format!("{name}{}", env::consts::EXE_SUFFIX));
        let to = folder.join(format!("{name}-{}{}", triple.trim(), env::consts::EXE_SUFFIX));
        fs::copy(&from, &to).with_context(|| from.display().to_string())?;
    }
    Ok(BESIDE.join(", "))
}

fn bundle(kinds: &[String]) -> Result<String> {
    let mut npx = Command::new(if cfg!(windows) { "npx.cmd" } else { "npx" });
    npx.args(["--yes", TAURI_CLI, "build", "--ci", "--config"]);
    // Relative to the folder of the app, where Tauri's own configuration is.
    npx.arg(if cfg!(target_os = "linux") { "tauri.bundle.conf.json" } else { "tauri.bundle-elsewhere.conf.json" });
    if !kinds.is_empty() {
        npx.arg("--bundles").arg(kinds.join(","));
    }
    run(npx.current_dir(workspace().join("src-tauri")))?;
    Ok(target_dir().join("release/bundle").display().to_string())
}

/// Tauri packs with gzip; what every Debian unpacks as well is a quarter smaller.
fn pack_tighter(package: &Path) -> Result<()> {
    let work = tempfile::tempdir_in(target_dir())?;
    let (content, packed) = (work.path().join("content"), work.path().join("packed.deb"));
    run(Command::new("dpkg-deb").arg("--raw-extract").arg(package).arg(&content))?;
    run(Command::new("dpkg-deb").args(["--root-owner-group", "-Zxz", "-z9", "--build"]).arg(&content).arg(&packed))?;
    fs::rename(&packed, package).with_context(|| package.display().to_string())
}

/// As a person would: installed, started from its menu entry, used for an update of the sample shop, removed; what it did
/// for them stays.
fn try_it(package: &Path) -> Result<String> {
    provide(&[TO_BUILD.as_slice(), &[POSTGRESQL, XVFB, WEBDRIVER, DBUS, FONTS]].concat())?;
    let user = tempfile::tempdir()?;
    let kept = user.path().join(".local/share/liftlock/kept");
    fs::create_dir_all(kept.parent().context("a file in a folder")?)?;
    fs::write(&kept, "a person's")?;
    run(Command::new("dpkg").arg("--install").arg(package))?;
    let used = use_it();
    run(Command::new("dpkg").args(["--remove", "liftlock"]).env("HOME", user.path()))?;
    used?;
    for left in BESIDE.iter().chain(&["liftlock-desktop"]).map(|it| Path::new("/usr/bin").join(it)) {
        ensure!(!left.exists(), "{} was left behind", left.display());
    }
    ensure!(!Path::new(MENU_ENTRY).exists(), "the menu entry was left behind");
    ensure!(kept.exists(), "what a person keeps was removed");
    Ok("it went without a trace, and data stays".to_owned())
}

fn use_it() -> Result<()> {
    let entry = fs::read_to_string(MENU_ENTRY).context(MENU_ENTRY)?;
    let started = entry.lines().find_map(|it| it.strip_prefix("Exec=")).context("the menu entry starts nothing")?;
    ensure!(started.trim() == "liftlock-desktop", "the menu entry starts “{started}”");
    // The first journey of the window's tests, with what was installed.
    let journey = "journeys::the_sample_shop_comes_up_from_the_welcome_and_is_updated";
    run(&mut of_the_window(journey, Path::new("/usr/bin")))
}

/// What must be in it, and what it may weigh.
fn look_at(package: &Path) -> Result<String> {
    let listed = read(Command::new("dpkg-deb").arg("--contents").arg(package))?;
    for wanted in BESIDE.iter().chain(&["liftlock-desktop"]) {
        ensure!(listed.lines().any(|it| it.ends_with(&format!("/usr/bin/{wanted}"))), "{wanted} is not in the package");
    }
    ensure!(listed.contains("./usr/share/applications/Liftlock.desktop"), "there is no menu entry in the package");
    let bytes = package.metadata()?.len();
    ensure!(bytes < LIMIT, "it weighs {bytes} bytes; the limit is {LIMIT}");
    Ok(format!("{}, {:.1} MB", package.display(), bytes as f64 / 1e6))
}

/// The newest package of a kind.
pub(crate) fn newest(kind: &str) -> Result<PathBuf> {
    let folder = target_dir().join("release/bundle").join(kind);
    let entries = fs::read_dir(&folder).with_context(|| folder.display().to_string())?;
    let packages = entries.flatten().map(|it| it.path()).filter(|it| it.extension() == Some(kind.as_ref()));
    let Some(newest) = packages.max_by_key(|it| it.metadata().and_then(|it| it.modified()).ok()) else {
        bail!("there is no package in {}", folder.display());
    };
    Ok(newest)
}
