//! How the backups of an application are looked after, and what is new in an update.

use super::named;
use crate::engine::Engine;
use crate::error::Result;
use crate::model::changes::Changes;
use crate::view::window::{
    BackupCareView, BackupScheduleView, BackupView, Finding, KeepingRule, NotesOfRelease, NotesView,
};

impl Engine {
    /// When backups are made, what the keeping rule would remove next, and what is wrong with them.
    ///
    /// # Errors
    /// `unknown_installation`.
    pub fn backup_care(&self, name: &str) -> Result<BackupCareView> {
        let name = named(name)?;
        let title = self.profile_of(&self.db()?.installation(&name)?)?.application.name;
        let schedule = self.backup_schedules()?.into_iter().find(|it| it.installation == name);
        // Looking whether the system wakes us puts in place what is missing.
        let only_while_running = if schedule.is_some() { self.fit_timer()?.why } else { None };
        let prune = self.prune_preview(&name)?;
        let mut failed = self.backups(Some(&name))?.1;
        failed.extend(self.not_made(&name)?);
        failed.extend(self.schedule_findings(Some(&name))?);
        Ok(BackupCareView {
            installation: name.to_string(),
            schedule: schedule.map(|it| BackupScheduleView {
                when: it.when,
                next_at: it.next_at,
                tried_at: it.tried_at,
                problem: it.problem,
            }),
            only_while_running,
            rule: KeepingRule {
                newest: prune.rule.newest,
                daily: prune.rule.daily,
                weekly: prune.rule.weekly,
                monthly: prune.rule.monthly,
                yearly: prune.rule.yearly,
            },
            goes: prune.goes.into_iter().map(|it| BackupView::of(it, &title)).collect(),
            bytes_freed: prune.bytes_freed,
            findings: prune.findings.iter().chain(&failed).map(Finding::from).collect(),
            title,
        })
    }

    /// Backs it up at set times from now on; `None`: at none.
    ///
    /// # Errors
    /// `locked`, `bad_schedule`, `unknown_installation`.
    pub fn set_backup_schedule(&self, name: &str, when: Option<&str>) -> Result<BackupCareView> {
        let installation = named(name)?;
        match when {
            Some(when) => drop(self.schedule_backups(&installation, when)?),
            None => self.unschedule_backups(&installation)?,
        }
        self.fit_timer()?;
        self.backup_care(name)
    }

    /// What is new between what runs and `to`, newest first; only the notes of `to` where not `all` are wanted.
    ///
    /// # Errors
    /// As [`Engine::news`].
    pub fn notes_view(&self, name: &str, to: &str, all: bool) -> Result<NotesView> {
        let news = self.news(&named(name)?, Some(to))?;
        let wanted = news.releases.into_iter().filter(|it| all || it.version == to);
        let releases = wanted.map(|it| NotesOfRelease {
            version: it.version,
            published_at: it.published_at,
            url: None,
            markdown: markdown(&it.changes),
        });
        Ok(NotesView { releases: releases.collect(), cut: news.cut })
    }
}

/// What matters first: breaking, security, new, fixed, and the rest as it was written.
fn markdown(changes: &Changes) -> String {
    let parts = [
        ("Breaking", &changes.breaking),
        ("Security", &changes.security),
        ("New", &changes.new),
        ("Fixed", &changes.fixed),
    ];
    let mut text = String::new();
    for (heading, items) in parts.into_iter().filter(|it| !it.1.is_empty()) {
        text.push_str(&format!("### {heading}\n\n"));
        for item in items {
            // An item of several lines stays one item.
            text.push_str(&format!("- {}\n", item.replace('\n', "\n  ")));
        }
        text.push('\n');
    }
    text + &changes.other
}
