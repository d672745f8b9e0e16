//! Backups, history and help.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::named;
use crate::engine::Engine;
use crate::engine::compare::named_for_people;
use crate::error::{Error, Result};
use crate::export::csv;
use crate::model::ids::{InstallationName, UpgradeId};
use crate::process::Silent;
use crate::state::installations::Installation;
use crate::view::ComparedRows;
use crate::view::window::{
    BackupView, CompareView, DiagnosticsView, Finding, HistoryLine, HistoryView, OutcomeLine, TableRows,
};

/// The headings of a saved history.
const HISTORY: [&str; 8] = ["finished", "application", "from", "to", "result", "seconds", "message", "id"];

impl Engine {
    /// Every backup of one application or of all, newest first.
    ///
    /// # Errors
    /// As [`Engine::backups`].
    pub fn backup_lines(&self, name: Option<&InstallationName>) -> Result<Vec<BackupView>> {
        let titles = self.titles(name)?;
        let title = |it: &crate::view::BackupView| titles.get(it.installation.as_str()).cloned().unwrap_or_default();
        Ok(self.backups(name)?.0.into_iter().map(|it| BackupView::of(it.clone(), &title(&it))).collect())
    }

    /// The same, and which of them have a copy in another place: a disk is asked for that.
    ///
    /// # Errors
    /// As [`Engine::backups`].
    pub fn backup_list(&self, name: Option<&InstallationName>) -> Result<Vec<BackupView>> {
        let (mut lines, places) = (self.backup_lines(name)?, self.known_places()?);
        for line in &mut lines {
            let folder = Path::new(&line.path).file_name().unwrap_or_default().to_string_lossy().into_owned();
            line.copied = places.has(self, &line.installation.parse()?, &folder)?;
        }
        Ok(lines)
    }

    /// What people call an application; its own name where nothing is known of it.
    pub fn title_of(&self, name: &InstallationName) -> String {
        let title = self.titles(Some(name)).ok().and_then(|mut it| it.remove(name.as_str()));
        title.unwrap_or_else(|| name.to_string())
    }

    /// What people call each application, or the one that is asked about, by its name. A profile is read for each.
    fn titles(&self, name: Option<&InstallationName>) -> Result<HashMap<String, String>> {
        let db = self.db()?;
        let installations = match name {
            Some(name) => db.installation(name).into_iter().collect(),
            None => db.installations()?,
        };
        let title = |it: &Installation| self.profile_of(it).map(|it| it.application.name).ok();
        Ok(installations.iter().filter_map(|it| Some((it.name.to_string(), title(it)?))).collect())
    }

    /// The folder of a backup, by what its line is called. Anything that is no name of a backup is refused: the window
    /// gives names, never paths.
    ///
    /// # Errors
    /// `unknown_backup`.
    pub fn backup_folder(&self, id: &str) -> Result<PathBuf> {
        let unknown =
            || Error::usage("unknown_backup", "This backup is not there any more.").remedy("Look at the list again.");
        let (name, folder) = id.split_once('/').ok_or_else(unknown)?;
        let name: InstallationName = name.parse().map_err(|_| unknown())?;
        let found = crate::backups::of(&self.home, &self.db()?.installation(&name)?.name, self.clock.now())?.0;
        found.into_iter().find(|it| it.id() == folder).map(|it| it.path).ok_or_else(unknown)
    }

    /// What an application holds now beside what a backup holds, a line a table, those that differ first.
    ///
    /// # Errors
    /// As [`Engine::compare_backup`].
    pub fn compare_view(&self, id: &str) -> Result<CompareView> {
        let compared = self.compare_backup(&self.backup_folder(id)?, &Silent)?;
        let title = self.titles(None)?.remove(compared.backup.installation.as_str()).unwrap_or_default();
        let profile = self.profile_of(&self.db()?.installation(&compared.backup.installation)?)?;
        let named = |it: &ComparedRows| named_for_people(&profile, &it.store, &it.table);
        let row = |it: ComparedRows| TableRows { table: named(&it), now: it.now, then: it.then };
        let mut rows: Vec<TableRows> = compared.rows.into_iter().map(row).collect();
        rows.sort_by_key(|it| it.now == it.then);
        Ok(CompareView {
            backup: BackupView::of(compared.backup, &title),
            version_now: compared.version_now,
            rows,
            loses: compared.loses,
        })
    }

    /// The history of one application or of all, newest first.
    ///
    /// # Errors
    /// Those of the state itself.
    pub fn history_page(&self, name: Option<&str>) -> Result<HistoryView> {
        let name = name.map(named).transpose()?;
        let history = self.history(name.as_ref())?;
        let titles = self.titles(None)?;
        let lines = history.outcomes.iter().map(|it| {
            let text = |key: &str| it[key].as_str().map(str::to_owned);
            HistoryLine {
                outcome: OutcomeLine {
                    upgrade_id: text("upgrade_id").unwrap_or_default(),
                    kind: None,
                    result: text("result").unwrap_or_default(),
                    from: text("from"),
                    to: text("to").unwrap_or_default(),
                    finished_at: text("ts").and_then(|it| it.parse().ok()),
                },
                title: text("installation").and_then(|it| titles.get(&it).cloned()).unwrap_or_default(),
                installation: text("installation").unwrap_or_default(),
                elapsed_seconds: it["elapsed_seconds"].as_f64(),
                message: text("message").unwrap_or_default(),
                error_class: text("error_class"),
            }
        });
        let lines = lines.collect();
        let check = self.verify_history()?;
        Ok(HistoryView { lines, file: history.file, intact: check.intact, broken_line: check.broken_line })
    }

    /// Writes the history of one application or of all as a table for people, for a spreadsheet.
    ///
    /// # Errors
    /// As [`Engine::history_page`]; what the disk answered.
    pub fn save_history(&self, name: Option<&str>, target: &Path) -> Result<()> {
        let page = self.history_page(name)?;
        crate::durable::write_with(target, |file| {
            let mut write = || -> std::io::Result<()> {
                csv::write_head(file, &HISTORY, b',')?;
                for line in &page.lines {
                    let it = &line.outcome;
                    let at = it.finished_at.map(|it| it.to_rfc3339());
                    let took = line.elapsed_seconds.map(|it| format!("{it:.1}"));
                    let words = [at.as_deref(), Some(&line.title), it.from.as_deref(), Some(&it.to), Some(&it.result)];
                    let words = words.into_iter().map(|it| Some((it?.as_bytes(), false)));
                    let took = std::iter::once(took.as_ref().map(|it| (it.as_bytes(), true)));
                    let rest = [Some((line.message.as_bytes(), false)), Some((it.upgrade_id.as_bytes(), false))];
                    csv::write_row(file, words.chain(took).chain(rest), b',')?;
                }
                Ok(())
            };
            write().map_err(|cause| Error::io("write", target, &cause))
        })
    }

    /// The report of an upgrade for people, where there is one.
    ///
    /// # Errors
    /// `unknown_upgrade`, `no_receipt`.
    pub fn receipt_page(&self, id: UpgradeId) -> Result<PathBuf> {
        let page = self.upgrade_status(id)?.receipt.map(|it| PathBuf::from(it.html)).filter(|it| it.is_file());
        page.ok_or_else(|| {
            Error::failed("no_receipt", "There is no report of this update.").remedy("The history still has its line.")
        })
    }

    /// Writes a copy of the report for people.
    ///
    /// # Errors
    /// As [`Engine::receipt_page`]; what the disk answered.
    pub fn save_receipt(&self, id: UpgradeId, target: &Path) -> Result<()> {
        let page = self.receipt_page(id)?;
        let text = std::fs::read(&page).map_err(|cause| Error::io("read", &page, &cause))?;
        crate::durable::write(target, &text)
    }

    /// What is found about Liftlock itself now.
    ///
    /// # Errors
    /// As [`Engine::doctor`].
    pub fn diagnostics(&self) -> Result<DiagnosticsView> {
        let found = self.doctor()?;
        Ok(DiagnosticsView {
            checked_at: self.clock.now(),
            findings: found.findings.iter().map(Finding::from).collect(),
            report: self.report()?,
        })
    }
}
