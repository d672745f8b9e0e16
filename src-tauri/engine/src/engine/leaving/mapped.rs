//! What comes into which column of the new version, on the page that brings the data in.

use crate::engine::Engine;
use crate::engine::window::named;
use crate::error::{Error, Result};
use crate::view::window::{LeavingView, MappedChange, MappingTable};

impl Engine {
    /// What would come into which column.
    ///
    /// # Errors
    /// `no_export`, `no_fresh_start`; what the database answered.
    pub fn leaving_mapping(&self, name: &str, to: &str) -> Result<MappingTable> {
        self.leaving_table(name, to, &[], false)
    }

    /// Changes that, and remembers it where it can be used. What was tried before says nothing any more: it is tried anew.
    ///
    /// # Errors
    /// `locked`, `busy`; those of [`Engine::leaving_mapping`].
    pub fn leaving_map(&self, name: &str, to: &str, changes: &[MappedChange], reset: bool) -> Result<MappingTable> {
        self.must_be_unlocked()?;
        let installation = named(name)?;
        let mut record = self.leaving_record(&installation, to)?;
        if self.leaving_works(&installation, &record)?.is_some() {
            return Err(
                Error::refused("busy", "Something is being done for it just now.").remedy("Wait until it has ended.")
            );
        }
        let table = self.leaving_table(name, to, changes, reset)?;
        if table.problem.is_none() && record.imported.as_ref().is_some_and(|it| it.is_dry_run) {
            record.imported = None;
            self.db()?.keep_leaving(&installation, &record)?;
        }
        Ok(table)
    }

    /// Where leaving stands, from what is remembered.
    ///
    /// # Errors
    /// Those of the state itself.
    pub fn leaving_now(&self, name: &str, to: &str) -> Result<LeavingView> {
        let name = named(name)?;
        self.leaving_view(&name, &self.leaving_record(&name, to)?)
    }

    fn leaving_table(&self, name: &str, to: &str, changes: &[MappedChange], reset: bool) -> Result<MappingTable> {
        let name = named(name)?;
        let record = self.leaving_record(&name, to)?;
        let from = record.exported.clone().ok_or_else(|| {
            Error::refused("no_export", "There is no export yet that could come in.").remedy("Export once more.")
        })?;
        self.mapping_table(&self.target_of(&name, &record)?, &from, changes, reset)
    }
}
