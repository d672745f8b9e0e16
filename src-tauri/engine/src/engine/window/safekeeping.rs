//! Where backups are copied to and how they are encrypted, as the window shows it.

use crate::engine::Engine;
use crate::error::Result;
use crate::objects::Address;
use crate::view::window::{Finding, SafeApplicationView, SafekeepingView};

impl Engine {
    /// Where backups are copied to, whether the newest one of each application is there, and how backups are encrypted.
    ///
    /// # Errors
    /// A folder of backups cannot be read; those of the state itself.
    pub fn safekeeping(&self) -> Result<SafekeepingView> {
        let chosen =
            |key: &str| -> Result<Option<String>> { Ok(Some(self.db()?.setting(key)?).filter(|it| !it.is_empty())) };
        let storage = chosen("copy_storage")?.map(|it| match Address::parse(&it) {
            Ok(address) => address.shown(),
            Err(_) => it,
        });
        let mut applications = Vec::new();
        for it in self.db()?.installations()? {
            let found = crate::backups::of(&self.home, &it.name, self.clock.now())?.0;
            applications.push(SafeApplicationView {
                title: self.title_of(&it.name),
                installation: it.name.to_string(),
                has_backup: !found.is_empty(),
                behind: self.copies_behind(&found)?.iter().map(Finding::from).collect(),
            });
        }
        Ok(SafekeepingView { folder: chosen("copy_folder")?, storage, applications, encryption: self.encryption()? })
    }
}
