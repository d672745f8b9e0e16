//! The folder that new backups are kept in: chosen as every setting is, and remembered outside the state.

use std::path::{Path, PathBuf};

use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::state::Db;
use crate::state::settings::BACKUP_FOLDER;

impl Engine {
    /// What holds for a setting, wherever that is remembered.
    pub(super) fn value_of(&self, db: &Db, key: &str) -> Result<String> {
        if key != BACKUP_FOLDER {
            return db.setting(key);
        }
        Ok(self.home.backup_folder()?.map(|it| it.display().to_string()).unwrap_or_default())
    }

    /// Keeps new backups in a folder from now on; in Liftlock's home where none is named.
    pub(super) fn keep_backups_in(&self, db: &Db, folder: &str) -> Result<()> {
        if folder.is_empty() {
            return self.home.keep_backups_in(None);
        }
        let folder = Path::new(folder);
        let overlaps = |other: &Path| folder.starts_with(other) || other.starts_with(folder);
        let copies = Some(PathBuf::from(db.setting("copy_folder")?)).filter(|it| !it.as_os_str().is_empty());
        let taken = if overlaps(self.home.root()) {
            Some("Liftlock keeps its own data there")
        } else if copies.is_some_and(|it| overlaps(&it)) {
            Some("copies of backups are kept there")
        } else if db.installations()?.iter().any(|it| folder.starts_with(&it.folder)) {
            Some("it is part of an application, and an update may change it")
        } else {
            None
        };
        match taken {
            Some(why) => {
                Err(Error::refused("backup_folder_taken", format!("{} cannot hold backups: {why}.", folder.display()))
                    .remedy("Choose another folder, best on another disk."))
            }
            None => self.home.keep_backups_in(Some(folder)),
        }
    }
}
