//! A release whose files tell how it is run is looked into before anybody agrees to it: its files are fetched into
//! Liftlock's own folder, and nothing of the installation is touched.

use std::fs::{self, File};
use std::path::PathBuf;

use crate::archive;
use crate::durable;
use crate::error::{Error, Result};
use crate::model::ids::InstallationName;
use crate::releases::{Line, Pinned, fetch};
use crate::site::Site;
use crate::state::home::Home;

/// What the folder is marked with.
const LOOKED: &str = "looked";

/// Removes what of an installation was only fetched to be looked at.
///
/// # Errors
/// What the disk answered.
pub fn forget(home: &Home, installation: &InstallationName) -> Result<()> {
    durable::remove_tree_that_we_made(&home.looked_into(installation), LOOKED)
}

impl Site {
    /// Fetches the files of a release to look at them, where they tell how it is run. They are kept until the update has them,
    /// or until another release is looked into.
    ///
    /// # Errors
    /// As [`fetch`]; the archive is none, or the disk is full.
    pub fn look_into(&self, pinned: &Pinned, line: &Line<'_>) -> Result<()> {
        let version = pinned.version.to_string();
        if !self.driver.is_told_by_its_files() || self.release_folder(&version)?.is_dir() {
            return Ok(());
        }
        let folder = self.looked();
        let _alone = self.alone()?;
        // A tag may be moved; the address holds the commit.
        let (note, of) = (folder.join("of"), format!("{} {}", pinned.tag, pinned.asset.url));
        let (part, whole) = (folder.join("part"), folder.join(&version));
        if whole.is_dir() && fs::read_to_string(&note).is_ok_and(|it| it == of) {
            return Ok(());
        }
        let fetched = fetch(&self.source()?, pinned, &self.home.downloads(), line)?;
        durable::remove_tree_that_we_made(&folder, LOOKED)?;
        durable::create_marked_dir(&folder, LOOKED)?;
        archive::unpack(&fetched.path, &part, &archive::Limits::default(), line.reporter)?;
        durable::write(&note, of.as_bytes())?;
        fs::rename(&part, &whole).map_err(|cause| Error::io("put in place", &whole, &cause))
    }

    /// Removes what was only fetched to be looked at.
    ///
    /// # Errors
    /// What the disk answered.
    pub fn forget_look(&self) -> Result<()> {
        if !self.looked().exists() {
            return Ok(());
        }
        let _alone = self.alone()?;
        forget(&self.home, &self.installation.name)
    }

    fn looked(&self) -> PathBuf {
        self.home.looked_into(&self.installation.name)
    }

    /// Two plans at once look one after the other.
    fn alone(&self) -> Result<File> {
        let folder = self.looked();
        let beside = durable::parent(&folder)?;
        durable::create_private_dir(beside)?;
        let path = beside.join(format!("{}.lock", self.installation.name));
        let failed = |cause| Error::io("lock", &path, &cause);
        let file = File::create(&path).map_err(failed)?;
        file.lock().map_err(failed)?;
        Ok(file)
    }
}
