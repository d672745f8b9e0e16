//! Where applications stand.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use crate::ports::{Invocation, Patience, Runner};
use crate::process::{Silent, SystemRunner, find_program};

/// So many folders at most: a person waits for it.
const MOST: usize = 20_000;
/// How far above a program or its working directory its application's folder is looked for.
const ABOVE: usize = 4;
/// Docker that does not answer holds nothing up.
const DOCKER: Patience = Patience { deadline: Duration::from_secs(10), stall_after: None };

/// Every folder to look at, each once, in the order of their names; none below `home`, which is Liftlock's own.
pub(super) fn all(projects: &[PathBuf], home: &Path) -> BTreeSet<PathBuf> {
    let mut places: BTreeSet<PathBuf> = projects.iter().cloned().collect();
    for place in of_processes() {
        places.extend(place.ancestors().take(ABOVE).map(Path::to_owned));
    }
    for (root, depth) in usual() {
        below(&root, depth, &mut places);
    }
    places
        .into_iter()
        .filter(|it| !it.starts_with(home) && it.is_dir())
        .filter_map(|it| it.canonicalize().ok())
        .collect()
}

/// The folders of the Docker Compose projects that run.
pub(super) fn compose_projects() -> Vec<PathBuf> {
    let Some(docker) = find_program("docker") else { return Vec::new() };
    let ask = Invocation::new(docker).args(["compose", "ls", "--format", "json"]).quiet();
    let said = SystemRunner::new().run(&ask, DOCKER, &[], &Silent);
    let Some(said) = said.ok().filter(crate::ports::Finished::succeeded) else { return Vec::new() };
    let projects: Vec<Value> = serde_json::from_str(&said.stdout).unwrap_or_default();
    let file = |it: &Value| it["ConfigFiles"].as_str()?.split(',').next().map(PathBuf::from);
    projects.iter().filter_map(|it| Some(file(it)?.parent()?.to_owned())).collect()
}

/// Where people put applications, and how many levels deep.
fn usual() -> Vec<(PathBuf, usize)> {
    let home = std::env::var_os(if cfg!(windows) { "USERPROFILE" } else { "HOME" }).map(PathBuf::from);
    let common: &[&str] = if cfg!(windows) {
        &["C:\\", "C:\\inetpub"]
    } else if cfg!(target_os = "macos") {
        &["/opt", "/usr/local", "/srv"]
    } else {
        &["/opt", "/srv", "/var/www", "/var/lib", "/usr/local"]
    };
    let common = common.iter().map(|it| (PathBuf::from(it), 2));
    home.into_iter().map(|it| (it, 2)).chain(common).collect()
}

/// The folders below one, without hidden ones and without following links.
fn below(root: &Path, depth: usize, places: &mut BTreeSet<PathBuf>) {
    let Ok(entries) = fs::read_dir(root) else { return };
    for entry in entries.flatten() {
        let is_folder = entry.file_type().is_ok_and(|it| it.is_dir());
        if !is_folder || entry.file_name().as_encoded_bytes().starts_with(b".") {
            continue;
        }
        if places.len() >= MOST {
            return;
        }
        let path = entry.path();
        if depth > 1 {
            below(&path, depth - 1, places);
        }
        places.insert(path);
    }
}

/// The programs that run and the folders that they work in, as far as this user may see them.
#[cfg(target_os = "linux")]
fn of_processes() -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let is_process = |it: &fs::DirEntry| it.file_name().as_encoded_bytes().iter().all(u8::is_ascii_digit);
    let links = |it: fs::DirEntry| ["exe", "cwd"].map(|name| fs::read_link(it.path().join(name)));
    entries.flatten().filter(is_process).flat_map(links).flatten().collect()
}

#[cfg(not(target_os = "linux"))]
fn of_processes() -> Vec<PathBuf> {
    Vec::new()
}
