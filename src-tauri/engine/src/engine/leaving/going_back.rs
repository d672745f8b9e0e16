//! Going back to the version before, after people have worked with the new one: what they entered is saved first, and can be
//! brought into the old version.
//!
//! Both versions have the same rows up to the update, so a row is known by its own key: what is new comes in under the key that
//! it has, what differs is shown beside what is there. What was removed since is not removed again.

use std::path::PathBuf;

use super::record::Record;
use crate::engine::{Engine, ExportChoice};
use crate::error::Result;
use crate::export::manifest::FileFormat;
use crate::model::ids::{InstallationName, UpgradeId};
use crate::ports::Reporter;
use crate::view::window::LeavingStep;

impl Engine {
    /// Exports everything as it is now, then goes back to the version before the last update. Where the export does not
    /// work nothing is gone back from.
    ///
    /// # Errors
    /// `locked`, `nothing_to_roll_back`, `original_gone`; those of an export, but that there is no database to export from.
    pub fn go_back(&self, name: &InstallationName, reporter: &dyn Reporter) -> Result<UpgradeId> {
        self.must_be_unlocked()?;
        let (upgrade, _) = self.since_update(name)?;
        let saved = self.save_everything(name, reporter)?;
        let record = saved.map(|folder| Record {
            step: LeavingStep::Bring,
            exported: Some(folder),
            is_return: true,
            ..Record::new(upgrade.to, upgrade.from.unwrap_or_default())
        });
        let id = self.rollback(name, true)?;
        if let Some(record) = record {
            self.db()?.keep_leaving(name, &record)?;
        }
        Ok(id)
    }

    /// The files that hold what was in a version that was gone back from.
    ///
    /// # Errors
    /// Those of the state itself.
    pub fn saved_work(&self, name: &InstallationName) -> Result<Option<PathBuf>> {
        Ok(self.db()?.leaving(name)?.filter(|it| it.is_return).and_then(|it| it.exported))
    }

    /// Every row there is, by the names of the profile, or of the tables where this version has others than the profile.
    fn save_everything(&self, name: &InstallationName, reporter: &dyn Reporter) -> Result<Option<PathBuf>> {
        let choice = ExportChoice { everything: true, formats: vec![FileFormat::Csv], ..ExportChoice::default() };
        let made = match self.export(name, &choice, reporter) {
            Err(error) if matches!(error.class.as_ref(), "entity_table_missing" | "entity_column_missing") => {
                self.export(name, &ExportChoice { as_tables: true, ..choice }, reporter)
            }
            other => other,
        };
        match made {
            Ok(made) => Ok(Some(PathBuf::from(made.folder))),
            // What is in files only stays as a copy beside.
            Err(error) if error.class == "no_tables" => Ok(None),
            Err(error) => Err(error),
        }
    }
}
