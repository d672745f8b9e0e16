//! The history as a list.

use crate::engine::Engine;
use crate::error::Result;
use crate::model::ids::InstallationName;
use crate::view::HistoryView;

impl Engine {
    /// Terminal outcomes, newest first, of one installation or all.
    ///
    /// # Errors
    /// Those of the state itself.
    pub fn history(&self, installation: Option<&InstallationName>) -> Result<HistoryView> {
        let mut outcomes: Vec<_> = self
            .db()?
            .history_records()?
            .into_iter()
            .map(|(_, record)| record)
            .filter(|it| installation.is_none_or(|name| it["installation"] == name.as_str()))
            .collect();
        outcomes.reverse();
        Ok(HistoryView { file: self.home.history().display().to_string(), outcomes })
    }
}
