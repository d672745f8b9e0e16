//! Backups, history and help.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::named;
use crate::backups;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::model::ids::{InstallationName, UpgradeId};
use crate::process::Silent;
use crate::state::installations::Installation;
use crate::view::window::{
    BackupView, CompareView, DiagnosticsView, Finding, HistoryLine, HistoryView, OutcomeLine, TableRows,
};

impl Engine {
    /// Every backup of one application or of all, newest first.
    ///
    /// # Errors
    /// As [`Engine::backups`].
    pub fn backup_lines(&self, name: Option<&InstallationName>) -> Result<Vec<BackupView>> {
        let titles = self.titles()?;
        let title = |it: &crate::view::BackupView| titles.get(it.installation.as_str()).cloned().unwrap_or_default();
        Ok(self.backups(name)?.0.into_iter().map(|it| BackupView::of(it.clone(), &title(&it))).collect())
    }

    /// What people call each application, by its name.
    fn titles(&self) -> Result<HashMap<String, String>> {
        let installations = self.db()?.installations()?;
        let title = |it: &Installation| self.profile_of(it).map(|it| it.application.name).ok();
        Ok(installations.iter().filter_map(|it| Some((it.name.to_string(), title(it)?))).collect())
    }

    /// The folder of a backup, by what its line is called. Anything that is no name of a backup is refused: the window
    /// gives names, never paths.
    ///
    /// # Errors
    /// `unknown_backup`.
    pub fn backup_folder(&self, id: &str) -> Result<PathBuf> {
        let found = self.backup_lines(None)?.into_iter().find(|it| it.id == id);
        found.map(|it| PathBuf::from(it.path)).ok_or_else(|| {
            Error::usage("unknown_backup", "This backup is not there any more.").remedy("Look at the list again.")
        })
    }

    /// What an application holds now beside what a backup holds, a line a table, those that differ first.
    ///
    /// # Errors
    /// `unknown_backup`; a backup that cannot be read. A store that cannot be counted has no figure for now.
    pub fn compare_view(&self, id: &str) -> Result<CompareView> {
        let backup = backups::open(&self.backup_folder(id)?)?;
        let installation = self.db()?.installation(&backup.manifest.installation)?;
        let site = self.site(&installation)?;
        let mut rows = Vec::new();
        for dumped in &backup.manifest.stores {
            let store = site.stores.iter().find(|it| it.name() == dumped.store);
            let now = store.and_then(|it| it.counts(&Silent).ok());
            let then = &dumped.counts;
            let tables: std::collections::BTreeSet<&String> =
                then.keys().chain(now.iter().flat_map(|it| it.keys())).collect();
            rows.extend(tables.into_iter().map(|table| TableRows {
                table: table.clone(),
                now: now.as_ref().map(|it| it.get(table).copied().unwrap_or(0)),
                then: then.get(table).copied(),
            }));
        }
        rows.sort_by_key(|it| it.now == it.then);
        let view = crate::view::BackupView::of(&backup);
        let title = &site.profile.application.name;
        let loses = Vec::new();
        Ok(CompareView { backup: BackupView::of(view, title), version_now: installation.version, rows, loses })
    }

    /// The history of one application or of all, newest first.
    ///
    /// # Errors
    /// Those of the state itself.
    pub fn history_page(&self, name: Option<&str>) -> Result<HistoryView> {
        let name = name.map(named).transpose()?;
        let history = self.history(name.as_ref())?;
        let titles = self.titles()?;
        let lines = history.outcomes.iter().map(|it| {
            let text = |key: &str| it[key].as_str().map(str::to_owned);
            HistoryLine {
                outcome: OutcomeLine {
                    upgrade_id: text("upgrade_id").unwrap_or_default(),
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
            report: Vec::new(),
        })
    }
}
