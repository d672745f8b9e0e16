//! Programs of ours that stand beside the one that runs.

use std::env;
use std::path::{Path, PathBuf};

/// Names the folder of our programs to a worker, which runs from a copy of its own.
pub const BESIDE: &str = "LIFTLOCK_BESIDE";

/// Where the program `name` of ours must be. Whether it is shows when it is started.
pub fn beside(name: &str) -> PathBuf {
    folder().unwrap_or_default().join(name).with_extension(env::consts::EXE_EXTENSION)
}

/// The folder of our programs, as it is to be told to a worker that is started from `program`.
pub fn beside_of(program: &Path) -> PathBuf {
    told().unwrap_or_else(|| program.parent().unwrap_or(Path::new("")).to_owned())
}

fn folder() -> Option<PathBuf> {
    told().or_else(|| Some(env::current_exe().ok()?.parent()?.to_owned()))
}

fn told() -> Option<PathBuf> {
    env::var_os(BESIDE).map(PathBuf::from).filter(|it| it.is_absolute())
}
