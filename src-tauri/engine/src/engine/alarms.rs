//! What the desktop is told of backups that cannot be relied on: once each, whoever found it.

use crate::backups;
use crate::digest;
use crate::engine::Engine;
use crate::engine::retention::alarms;
use crate::error::{Error, Result};
use crate::model::finding::{Finding, Severity};
use crate::model::ids::InstallationName;

fn key(name: &InstallationName) -> String {
    format!("backup_alarms_told:{name}")
}

impl Engine {
    /// What is gravely wrong with the backups of an installation and was not told yet: a grade that fell, one that was not
    /// made, a copy that is damaged. It counts as told from now on, for as long as it is so.
    ///
    /// # Errors
    /// `unknown_installation`; a folder cannot be read; those of the state itself.
    pub fn announce_alarms(&self, name: &InstallationName) -> Result<Vec<Finding>> {
        let found = backups::of(&self.home, &self.db()?.installation(name)?.name, self.clock.now())?.0;
        let mut all = alarms(&found);
        all.extend(self.schedule_findings(Some(name))?);
        all.extend(self.not_made(name)?);
        all.extend(self.copies_behind(&found)?);
        all.retain(|it| it.severity == Severity::Stop);
        let told: Vec<String> =
            self.db()?.note(&key(name))?.and_then(|it| serde_json::from_str(&it).ok()).unwrap_or_default();
        let mark = |it: &Finding| digest::sha256(format!("{}\n{}", it.class, it.message).as_bytes());
        let now: Vec<String> = all.iter().map(mark).collect();
        if now != told {
            let text = serde_json::to_string(&now)
                .map_err(|cause| Error::bug("state_json", "A record could not be written.").because(&cause))?;
            self.db()?.set_note(&key(name), &text)?;
        }
        all.retain(|it| !told.contains(&mark(it)));
        Ok(all)
    }
}
