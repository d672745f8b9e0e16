//! Where backups are copied to and how they are encrypted, as the window shows it.

use super::named;
use crate::engine::Engine;
use crate::error::Result;
use crate::objects::Address;
use crate::view::window::{Finding, SafekeepingView};

impl Engine {
    /// Where the backups of an application are copied to, whether the newest one is there, and how backups are encrypted.
    ///
    /// # Errors
    /// `unknown_installation`.
    pub fn safekeeping(&self, name: &str) -> Result<SafekeepingView> {
        let found = crate::backups::of(&self.home, &named(name)?, self.clock.now())?.0;
        let chosen =
            |key: &str| -> Result<Option<String>> { Ok(Some(self.db()?.setting(key)?).filter(|it| !it.is_empty())) };
        let storage = chosen("copy_storage")?.map(|it| match Address::parse(&it) {
            Ok(address) => address.shown(),
            Err(_) => it,
        });
        Ok(SafekeepingView {
            installation: name.to_owned(),
            folder: chosen("copy_folder")?,
            storage,
            has_backup: !found.is_empty(),
            behind: self.copies_behind(&found)?.iter().map(Finding::from).collect(),
            encryption: self.encryption()?,
        })
    }
}
