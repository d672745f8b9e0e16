//! Where passfiles stand for as long as somebody works, and who removes what a killed one left.

use std::fs;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::process::Identity;
use crate::state::home::Home;

const BY_PROCESS: &str = "process-";

/// The folder of an installation that is looked up. It goes once it is empty: when the last passfile in it has gone
/// with its store.
#[derive(Debug)]
pub(super) struct Passfiles(PathBuf);

impl Passfiles {
    /// `label` is what the sessions of the one who looks are called.
    pub(super) fn of(home: &Home, label: &str) -> Self {
        Self(secrets_of(home, label))
    }

    pub(super) fn folder(&self) -> &Path {
        &self.0
    }
}

impl Drop for Passfiles {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.0);
    }
}

/// By upgrade, so that its next worker removes what a killed one left; a new one at every call for those that act on
/// nobody's behalf.
pub fn secrets_of(home: &Home, label: &str) -> PathBuf {
    let owner = label.split('/').nth(1).map_or_else(new_of_process, ToOwned::to_owned);
    home.root().join("secrets").join(owner)
}

/// Two questions at once in a process must not share a folder: the one that ends first would remove it just before
/// the other writes into it.
fn new_of_process() -> String {
    static MADE: AtomicU64 = AtomicU64::new(0);
    format!("{BY_PROCESS}{}-{}", process::id(), MADE.fetch_add(1, Ordering::Relaxed))
}

/// Removes passfiles of processes that were killed before they could.
pub fn sweep_secrets(home: &Home) {
    let Ok(folders) = fs::read_dir(home.root().join("secrets")) else { return };
    for folder in folders.filter_map(Result::ok) {
        let name = folder.file_name();
        let owner = name.to_str().and_then(|it| it.strip_prefix(BY_PROCESS)?.split('-').next()?.parse().ok());
        if owner.is_some_and(|it| Identity::of(it).is_none()) {
            // What cannot be removed now is tried again by the next one.
            let _ = fs::remove_dir_all(folder.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_that_look_at_once_do_not_remove_the_folder_of_each_other() {
        let root = tempfile::tempdir().unwrap();
        let home = Home::at(root.path());
        let (one, other) = (Passfiles::of(&home, "liftlock"), Passfiles::of(&home, "liftlock"));
        fs::create_dir_all(one.folder()).unwrap();
        fs::create_dir_all(other.folder()).unwrap();
        drop(one);
        assert!(other.folder().is_dir());
    }

    #[test]
    fn the_folder_of_an_upgrade_is_found_by_whoever_works_on_it_next() {
        let root = tempfile::tempdir().unwrap();
        let home = Home::at(root.path());
        assert_eq!(secrets_of(&home, "liftlock/7d/1"), secrets_of(&home, "liftlock/7d/2"));
    }

    #[test]
    fn only_folders_of_processes_that_are_gone_are_swept() {
        let root = tempfile::tempdir().unwrap();
        let home = Home::at(root.path());
        let mut ended = process::Command::new("true").spawn().unwrap();
        ended.wait().unwrap();
        let secrets = root.path().join("secrets");
        let gone = [format!("process-{}", ended.id()), format!("process-{}-new", ended.id())];
        let kept = [format!("process-{}-0", process::id()), "7d".to_owned()];
        for name in gone.iter().chain(&kept) {
            fs::create_dir_all(secrets.join(name)).unwrap();
        }
        sweep_secrets(&home);
        assert!(gone.iter().all(|it| !secrets.join(it).exists()));
        assert!(kept.iter().all(|it| secrets.join(it).is_dir()));
    }
}
