//! Where backups are kept: in Liftlock's home, or in a folder that a person chose, and in each that was chosen before.
//!
//! Choosing moves nothing. What was made stays where it is, is listed from there while its disk is connected, and goes by
//! the keeping rule. What was chosen stands in a file beside the state: whoever lost the state still finds their backups. A
//! folder counts only while it bears our mark, as the empty mount point of a disk does not.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::durable;
use crate::error::{Error, Result};
use crate::model::ids::InstallationName;
use crate::state::home::{Home, make_private_dir};

/// Says that a folder was chosen for backups, and that its disk is connected.
const MARK: &str = ".liftlock-backups";
/// The file with what was chosen.
const CHOSEN: &str = "backup-folders.json";

/// What that file holds.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Chosen {
    /// Where new ones go; in the home where nothing is named.
    folder: Option<PathBuf>,
    /// Where they went before.
    #[serde(default)]
    earlier: Vec<PathBuf>,
}

impl Home {
    /// Where a new backup of an installation goes.
    ///
    /// # Errors
    /// `backup_folder_gone`; what was chosen cannot be read.
    pub fn backups(&self, installation: &InstallationName) -> Result<PathBuf> {
        let folder = match self.backup_folder()? {
            Some(folder) if !is_connected(&folder) => return Err(gone(&folder)),
            Some(folder) => folder,
            None => self.own_backups(),
        };
        Ok(folder.join(installation.as_str()))
    }

    /// Everywhere that backups of an installation may be now.
    ///
    /// # Errors
    /// What was chosen cannot be read.
    pub fn places_of_backups(&self, installation: &InstallationName) -> Result<Vec<PathBuf>> {
        let chosen = self.chosen()?;
        let elsewhere = chosen.folder.into_iter().chain(chosen.earlier).filter(|it| is_connected(it));
        let everywhere = elsewhere.chain([self.own_backups()]);
        Ok(everywhere.map(|it| it.join(installation.as_str())).collect())
    }

    /// The folder that a person chose for new backups; nothing where they are kept in the home.
    ///
    /// # Errors
    /// What was chosen cannot be read.
    pub fn backup_folder(&self) -> Result<Option<PathBuf>> {
        Ok(self.chosen()?.folder)
    }

    /// The disk that new backups fill, as far as it is there.
    pub fn backup_disk(&self) -> PathBuf {
        let folder = self.backup_folder().ok().flatten();
        folder.filter(|it| is_connected(it)).unwrap_or_else(|| self.root().to_owned())
    }

    /// Keeps new backups in a folder from now on, or in the home again.
    ///
    /// # Errors
    /// `backup_folder_unfit` where nothing private can be kept; `backup_folder_gone`; what a disk answered.
    pub(crate) fn keep_backups_in(&self, folder: Option<&Path>) -> Result<()> {
        let mut chosen = self.chosen()?;
        if let Some(folder) = folder {
            if !folder.is_dir() {
                return Err(gone(folder));
            }
            is_fit(folder)?;
            durable::write(&folder.join(MARK), b"Backups by Liftlock are kept in this folder.\n")?;
        }
        let before = std::mem::replace(&mut chosen.folder, folder.map(Path::to_owned));
        chosen.earlier.extend(before);
        chosen.earlier.sort_unstable();
        chosen.earlier.dedup();
        chosen.earlier.retain(|it| chosen.folder.as_ref() != Some(it));
        let text = serde_json::to_vec_pretty(&chosen)
            .map_err(|cause| Error::bug("state_json", "A record could not be written.").because(&cause))?;
        self.make()?;
        durable::write(&self.root().join(CHOSEN), &text)
    }

    fn own_backups(&self) -> PathBuf {
        self.root().join("backups")
    }

    fn chosen(&self) -> Result<Chosen> {
        let path = self.root().join(CHOSEN);
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Ok(Chosen::default()),
            Err(cause) => return Err(Error::io("read", &path, &cause)),
        };
        serde_json::from_slice(&text).map_err(|cause| {
            Error::failed("backup_folder_unknown", format!("{} is not as it was written.", path.display()))
                .remedy("Move that file away, then choose the folder for backups again in the settings.")
                .because(&cause)
        })
    }
}

fn is_connected(folder: &Path) -> bool {
    fs::symlink_metadata(folder.join(MARK)).is_ok_and(|it| it.is_file())
}

fn gone(folder: &Path) -> Error {
    Error::refused("backup_folder_gone", format!("The folder for backups is not there: {}.", folder.display())).remedy(
        "Connect its disk, then try again. Another folder is chosen in the settings: \
         `liftlock settings backup_folder FOLDER`.",
    )
}

/// Backups hold everything that an application knows: a disk that shows them to everybody is for encrypted copies.
fn is_fit(folder: &Path) -> Result<()> {
    let tried = folder.join(".liftlock-tried");
    let is_private = make_private_dir(&tried).map(|()| is_private(&tried));
    let _ = fs::remove_dir(&tried);
    if is_private? {
        return Ok(());
    }
    Err(Error::refused("backup_folder_unfit", format!("Everybody could read the backups in {}.", folder.display()))
        .remedy("Choose a folder on a disk that knows owners, and use this one for copies: `liftlock backup copy`."))
}

#[cfg(unix)]
fn is_private(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    fs::metadata(path).is_ok_and(|it| it.permissions().mode() & 0o077 == 0)
}

// Whom a folder belongs to is inherited there.
#[cfg(not(unix))]
fn is_private(path: &Path) -> bool {
    path.is_dir()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shop() -> InstallationName {
        "shop".parse().unwrap()
    }

    #[test]
    fn new_backups_go_to_the_chosen_folder_and_every_earlier_one_is_known() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path().join("home"));
        let own = home.root().join("backups/shop");
        assert_eq!(home.backups(&shop()).unwrap(), own);
        let (one, two) = (dir.path().join("one"), dir.path().join("two"));
        assert_eq!(home.keep_backups_in(Some(&one)).unwrap_err().class, "backup_folder_gone");
        fs::create_dir(&one).unwrap();
        fs::create_dir(&two).unwrap();
        home.keep_backups_in(Some(&one)).unwrap();
        home.keep_backups_in(Some(&two)).unwrap();
        assert_eq!(home.backups(&shop()).unwrap(), two.join("shop"));
        assert_eq!(home.places_of_backups(&shop()).unwrap(), [two.join("shop"), one.join("shop"), own.clone()]);
        assert_eq!(fs::read_dir(&two).unwrap().count(), 1, "nothing but the mark");
        home.keep_backups_in(Some(&one)).unwrap();
        home.keep_backups_in(None).unwrap();
        assert_eq!(home.backups(&shop()).unwrap(), own);
        assert_eq!(home.places_of_backups(&shop()).unwrap().len(), 3);
    }

    #[test]
    fn the_mount_point_of_a_disk_that_is_not_connected_gets_no_backup() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path().join("home"));
        let disk = dir.path().join("disk");
        fs::create_dir(&disk).unwrap();
        home.keep_backups_in(Some(&disk)).unwrap();
        fs::rename(&disk, dir.path().join("pulled out")).unwrap();
        fs::create_dir(&disk).unwrap();
        let error = home.backups(&shop()).unwrap_err();
        assert_eq!(error.class, "backup_folder_gone");
        assert!(error.remedy.contains("Connect its disk"), "{error:?}");
        assert_eq!(home.places_of_backups(&shop()).unwrap(), [home.root().join("backups/shop")]);
    }

    #[test]
    fn what_was_chosen_and_cannot_be_read_is_no_reason_to_keep_them_elsewhere() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path());
        fs::write(dir.path().join(CHOSEN), b"{ \"folder\": ").unwrap();
        assert_eq!(home.backups(&shop()).unwrap_err().class, "backup_folder_unknown");
        assert_eq!(home.places_of_backups(&shop()).unwrap_err().class, "backup_folder_unknown");
    }
}
