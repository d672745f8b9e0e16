//! The verbs about copies of backups in a second folder.

use std::path::{Path, PathBuf};

use crate::backups::{self, Backup, copies};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::model::finding::{Finding, Severity};
use crate::model::ids::InstallationName;
use crate::ports::Reporter;
use crate::state::lease::Lease;
use crate::upgrade::work::this_process;
use crate::view::{BackupView, CopyView};

impl Engine {
    /// Chooses the folder to which backups are copied, or none any more.
    ///
    /// # Errors
    /// `copy_folder_gone`; what the disk answered.
    pub fn copy_backups_to(&self, folder: Option<&Path>) -> Result<()> {
        let Some(folder) = folder else { return self.choose("copy_folder", None) };
        let folder = std::path::absolute(folder).map_err(|cause| Error::io("find", folder, &cause))?;
        copies::choose_folder(&folder)?;
        self.choose("copy_folder", Some(&folder.display().to_string()))
    }

    /// Copies a backup, or the newest one of an installation, to the folder that was chosen, and reads the copy back. What
    /// was cut short is gone on with. Older copies than the newest few go.
    ///
    /// # Errors
    /// `no_copy_folder`, `copy_folder_gone`, `no_backup`, `busy`; what a disk answered.
    pub fn copy_backup(
        &self,
        name: &InstallationName,
        path_or_id: Option<&Path>,
        reporter: &dyn Reporter,
    ) -> Result<CopyView> {
        let mut db = self.db()?;
        let installation = db.installation(name)?;
        let folder = self.copy_folder()?.ok_or_else(|| {
            Error::refused("no_copy_folder", "No folder for copies was chosen.")
                .remedy("Choose one on another disk: `liftlock backup copy --to FOLDER`.")
        })?;
        // The keeping rule must not remove what is being copied.
        let holder = this_process(self.clock.as_ref(), "copy")?;
        let _lease = Lease::take(&mut db, &self.home, name, &installation.folder, &holder)?;
        let backup = match path_or_id {
            Some(path) => backups::open(&self.find_backup(path)?)?,
            None => backups::list(&self.home.backups(name))?.0.into_iter().next().ok_or_else(|| {
                Error::refused("no_backup", format!("{name} has no backup yet."))
                    .remedy(format!("Make one: `liftlock backup create {name}`."))
            })?,
        };
        let copied = copies::copy(&backup, &folder, reporter)?;
        let most = db.setting("keep_copies")?.parse().unwrap_or(10);
        let removed = copies::thin_out(&copies::place(&folder, &backup), most)?;
        Ok(CopyView {
            backup: BackupView::of(&backup),
            path: copied.path.display().to_string(),
            bytes_written: copied.written,
            bytes_there_before: copied.there_before,
            removed: removed.iter().map(|it| it.display().to_string()).collect(),
        })
    }

    pub(crate) fn copy_folder(&self) -> Result<Option<PathBuf>> {
        let chosen = self.db()?.setting("copy_folder")?;
        Ok((!chosen.is_empty()).then(|| PathBuf::from(chosen)))
    }

    /// Whether the newest backup has no copy and its folder is there.
    pub(crate) fn may_copy_now(&self, found: &[Backup]) -> Result<bool> {
        let (Some(folder), Some(newest)) = (self.copy_folder()?, found.first()) else { return Ok(false) };
        Ok(copies::is_connected(&folder) && !copies::place(&folder, newest).join(newest.id()).is_dir())
    }

    /// A warning where copies are wanted and the newest backup has none.
    pub(crate) fn copy_behind(&self, found: &[Backup]) -> Result<Option<Finding>> {
        let (Some(folder), Some(newest)) = (self.copy_folder()?, found.first()) else { return Ok(None) };
        let name = &newest.manifest.installation;
        let (message, remedy) = if !copies::is_connected(&folder) {
            (
                format!("The folder for copies is not there, so {name} has no newer copy: {}.", folder.display()),
                format!("Connect its disk or share, then run `liftlock backup copy --of {name}`."),
            )
        } else if !copies::place(&folder, newest).join(newest.id()).is_dir() {
            (
                format!("The newest backup of {name} has no copy in {}.", folder.display()),
                format!("Make one: `liftlock backup copy --of {name}`."),
            )
        } else {
            return Ok(None);
        };
        Ok(Some(Finding::new(Severity::Warning, "copy_behind", message, remedy)))
    }
}
