//! Where applications stand.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::drivers::OURS;
use crate::ports::{Finished, Invocation, Patience, Runner};
use crate::process::{Silent, SystemRunner, find_program};

/// So many folders at most: a person waits for it.
const MOST: usize = 20_000;
/// How far above a program or its working directory its application's folder is looked for.
const ABOVE: usize = 4;
/// On a container of Docker Compose: the folder of its project.
const FOLDER: &str = "com.docker.compose.project.working_dir";
/// Docker that does not answer holds nothing up.
const DOCKER: Patience = Patience { deadline: Duration::from_secs(10), stall_after: None };

/// Every folder to look at, each once, in the order of their names; none below `home`, which is Liftlock's own, and no
/// release that Liftlock has unpacked: that is a part of the application whose folder it lies in.
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
        .filter(|it| !it.starts_with(home) && it.components().all(|it| it.as_os_str() != OURS) && it.is_dir())
        .filter_map(|it| it.canonicalize().ok())
        .collect()
}

/// A project of Docker Compose of which there are containers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ComposeProject {
    /// Where it is run from, whatever files it was last made by.
    pub(super) folder: PathBuf,
    /// Whether any of its containers runs.
    pub(super) runs: bool,
}

/// Those that Docker knows, also where they are switched off.
pub(super) fn compose_projects() -> Vec<ComposeProject> {
    let Some(docker) = find_program("docker") else { return Vec::new() };
    let filter = format!("label={FOLDER}");
    let format = format!("{{{{.State}}}}\t{{{{.Label \"{FOLDER}\"}}}}");
    let ask = Invocation::new(docker).args(["ps", "--all", "--filter", &filter, "--format", &format]).quiet();
    let said = SystemRunner::new().run(&ask, DOCKER, &[], &Silent);
    said.ok().filter(Finished::succeeded).map(|it| projects_of(&it.stdout)).unwrap_or_default()
}

fn projects_of(told: &str) -> Vec<ComposeProject> {
    let mut all: Vec<ComposeProject> = Vec::new();
    for (state, folder) in told.lines().filter_map(|it| it.split_once('\t')) {
        let runs = state == "running";
        match all.iter_mut().find(|it| it.folder == Path::new(folder)) {
            Some(known) => known.runs |= runs,
            None => all.push(ComposeProject { folder: folder.into(), runs }),
        }
    }
    all
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_project_runs_where_any_of_its_containers_does() {
        let told = "exited\t/srv/shop\nrunning\t/srv/filaops\nrunning\t/srv/shop\nexited\t/srv/off\n\n";
        let of = |folder: &str, runs: bool| ComposeProject { folder: folder.into(), runs };
        assert_eq!(projects_of(told), [of("/srv/shop", true), of("/srv/filaops", true), of("/srv/off", false)]);
    }

    #[test]
    fn a_release_that_lies_in_an_application_is_no_application() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path().canonicalize().unwrap();
        let release = root.join("filaops/.liftlock/releases/3.9.0");
        fs::create_dir_all(&release).unwrap();
        let found = all(&[root.join("filaops"), release], &root.join("home"));
        let found: Vec<_> = found.iter().filter(|it| it.starts_with(&root)).collect();
        assert_eq!(found, [&root.join("filaops")]);
    }
}
