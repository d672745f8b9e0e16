//! The question that an upgrade may ask a person before it stops the application, and its answer.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::Db;
use crate::error::{Error, Result};
use crate::model::ids::UpgradeId;

/// The rehearsal took much longer than what was confirmed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LongerQuestion {
    /// Seconds that it took.
    pub measured_seconds: f64,
    /// Seconds that were confirmed.
    pub confirmed_seconds: u64,
    /// Without an answer the upgrade ends then, with nothing changed.
    pub until: DateTime<Utc>,
    /// Whether a person said that it may go on.
    pub goes_on: bool,
}

fn key(id: UpgradeId) -> String {
    format!("question/{id}")
}

impl Db {
    /// The question that an upgrade has asked.
    ///
    /// # Errors
    /// Those of the state itself.
    pub fn question(&self, id: UpgradeId) -> Result<Option<LongerQuestion>> {
        let text = self.note(&key(id))?;
        // One that cannot be read is asked again.
        Ok(text.and_then(|it| serde_json::from_str(&it).ok()))
    }

    /// Asks, or remembers the answer.
    pub(crate) fn set_question(&mut self, id: UpgradeId, question: &LongerQuestion) -> Result<()> {
        let text = serde_json::to_string(question)
            .map_err(|cause| Error::bug("question", "A question could not be kept.").because(&cause))?;
        self.set_note(&key(id), &text)
    }
}
