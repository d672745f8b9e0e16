//! How Liftlock itself stands.

use crate::engine::Engine;
use crate::engine::disk;
use crate::engine::rescue::Rebuilt;
use crate::error::Result;
use crate::history::{self, Verdict};
use crate::model::finding::{Finding, Severity, most_severe_first};
use crate::state::lease::Lease;
use crate::view::{DoctorView, HistoryCheck};

impl Engine {
    /// Whether the chained history is as it was written, and says the same as the state.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn verify_history(&self) -> Result<HistoryCheck> {
        let records: Vec<_> =
            self.db()?.history_records()?.into_iter().filter_map(|(_, record)| record.as_object().cloned()).collect();
        Ok(match history::verify_against(&self.home.history(), &records)? {
            Verdict::Intact { lines, .. } => HistoryCheck { intact: true, lines, broken_line: None, why: None },
            Verdict::Broken { line, why } => {
                HistoryCheck { intact: false, lines: line.saturating_sub(1), broken_line: Some(line), why: Some(why) }
            }
        })
    }

    /// Looks at Liftlock's own state, its disk, its unfinished work and its installations.
    ///
    /// # Errors
    /// Only where the state cannot be opened at all.
    pub fn doctor(&self) -> Result<DoctorView> {
        let mut db = self.db()?;
        let mut findings = Vec::new();
        if let Err(error) = db.expect_sound() {
            drop(db);
            match self.rescue() {
                Ok(_) => {}
                Err(busy) if busy.class == "state_busy" => findings.push(Finding::stop(&error)),
                Err(error) => return Err(error),
            }
            db = self.db()?;
        }
        if let Some(rebuilt) = db.note("rebuilt")?.and_then(|it| serde_json::from_str::<Rebuilt>(&it).ok()) {
            findings.push(Finding::new(
                Severity::Warning,
                "state_rebuilt",
                format!(
                    "Liftlock's own state was damaged and was made anew on {}. What could not be read is lost, such as settings.",
                    rebuilt.at.format("%Y-%m-%d %H:%M UTC")
                ),
                format!(
                    "Check the disk. Look at `liftlock status`: what was under way did not go on. The damaged file is in {}.",
                    rebuilt.quarantine.display()
                ),
            ));
        }
        match self.verify_history() {
            Ok(check) if check.intact => {}
            Ok(check) => findings.push(Finding::new(
                Severity::Warning,
                "history_changed",
                format!("The history was changed by hand in line {}.", check.broken_line.unwrap_or(0)),
                "Liftlock's own state still has every outcome; `liftlock history` shows them.",
            )),
            Err(error) => findings.push(Finding::stop(&error)),
        }
        let (backups, of_backups) = self.backups(None)?;
        match disk::getting_full(&self.home.backup_disk(), disk::need(&backups)) {
            Ok(full) => findings.extend(full.map(|it| it.finding())),
            Err(error) => findings.push(Finding::stop(&error)),
        }
        for upgrade in db.unfinished_upgrades()? {
            if upgrade.started_at.is_some()
                && !Lease::is_worker(Lease::holder(&self.home, &upgrade.installation)?.as_ref())
            {
                findings.push(Finding::new(
                    Severity::Warning,
                    "interrupted",
                    format!("The update of {} was interrupted.", upgrade.installation),
                    format!("Run `liftlock resume {}` to go on.", upgrade.id),
                ));
            }
        }
        findings.extend(of_backups);
        findings.extend(self.schedule_findings(None)?);
        for installation in db.installations()? {
            if let Err(error) = self.profile_of(&installation) {
                findings.push(Finding::stop(&error));
            }
            for kept in self.kept_in(&db, &installation.name)? {
                findings.push(Finding::new(
                    Severity::Note,
                    "kept",
                    format!("Kept beside {}: {}.", installation.name, kept.sentence()),
                    "Nothing to do: `liftlock resume` removes it when its days are over. `liftlock settings keep_originals_days` \
                     says after how many.",
                ));
            }
            if !installation.folder.is_dir() {
                findings.push(Finding::new(
                    Severity::Stop,
                    "folder_missing",
                    format!("The folder of {} is gone: {}.", installation.name, installation.folder.display()),
                    "Connect its disk, or remove the installation with `liftlock remove`.",
                ));
            }
        }
        most_severe_first(&mut findings);
        Ok(DoctorView {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            home: self.home.root().display().to_string(),
            findings,
        })
    }
}
