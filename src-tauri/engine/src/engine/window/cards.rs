//! A card for each application.

use super::Face;
use super::progress::end_for_people;
use crate::engine::Engine;
use crate::engine::notices::Shelf;
use crate::error::Result;
use crate::state::Db;
use crate::state::installations::Installation;
use crate::state::upgrades::Upgrade;
use crate::view::window::{
    BackupView, HealthState, HealthView, InstallationCard, OriginalView, OutcomeLine, ReleasesView, UpgradeKind,
};
use crate::view::{CheckView, StatusView};

/// How many backups a card shows.
const NEWEST: usize = 5;
/// The window, as an observer of results.
pub(super) const WINDOW: &str = "window";

impl Engine {
    /// A card for each application. One whose profile cannot be read has a card without updates.
    pub(super) fn cards(&self, db: &Db, face: &Face) -> Result<Vec<InstallationCard>> {
        let mut shelf = Shelf::new(db);
        db.installations()?.into_iter().map(|it| self.card(db, &mut shelf, &it, face)).collect()
    }

    fn card(
        &self,
        db: &Db,
        shelf: &mut Shelf<'_>,
        installation: &Installation,
        face: &Face,
    ) -> Result<InstallationCard> {
        let name = &installation.name;
        let profile = self.profile_of(installation).ok();
        let notice = profile.as_ref().map(|it| self.notice_of(shelf, installation, it)).transpose()?;
        let upgrade = match self.status_in(db, name)? {
            StatusView::Upgrade(status) => Some(self.upgrade_view_in(db, &db.upgrade(status.upgrade_id)?, *status)?),
            StatusView::Idle(_) => None,
        };
        let newest = db.newest_upgrade(name)?;
        let alone = self.unattended_of(db, name)?;
        // A folder that cannot be read is told where backups are listed; it hides no application.
        let backups = self.backup_lines(Some(name)).unwrap_or_default();
        // Its door belongs to the new one; nothing is expected of it and nothing offered.
        let set_aside_for = crate::engine::fresh::is_set_aside(db, name)?;
        let is_in_use = set_aside_for.is_none();
        Ok(InstallationCard {
            name: name.to_string(),
            title: profile.as_ref().map_or_else(|| name.to_string(), |it| it.application.name.clone()),
            application: installation.application.clone(),
            folder: installation.folder.display().to_string(),
            url: if is_in_use { self.address_of(installation) } else { None },
            version: installation.version.clone(),
            added_at: installation.added_at,
            health: face.health.get(name.as_str()).filter(|_| is_in_use).cloned().unwrap_or(HealthView {
                state: HealthState::Unknown,
                checked_at: None,
                probes: Vec::new(),
            }),
            last_backup: backups.iter().find(|it| it.grade == "proven").or(backups.first()).cloned(),
            newest_backups: backups.into_iter().take(NEWEST).collect(),
            releases: {
                let search = notice.as_ref().map(|it| &it.search);
                let problem = search.and_then(|it| it.problem.clone());
                ReleasesView {
                    checked_at: search.and_then(|it| it.checked_at),
                    next_check_at: search.and_then(|it| it.next_check_at),
                    needs_someone: problem.as_ref().is_some_and(|it| needs_someone(&it.class)),
                    problem,
                }
            },
            update: notice.and_then(|it| it.offer).filter(|_| is_in_use),
            upgrade,
            scheduled: self.scheduled(db, name)?,
            missed: self.missed(db, name)?,
            by_itself: alone.as_ref().and_then(|it| it.planned.clone()),
            put_off: alone.and_then(|it| it.postponed_why),
            leaving: self.leaving_line(db, name)?,
            set_aside_for: set_aside_for.map(|it| it.to_string()),
            unseen: self.unseen_line(db, newest.as_ref())?,
            originals: self
                .kept_in(db, name)?
                .into_iter()
                .map(|it| OriginalView {
                    version: db.upgrade(it.upgrade_id).ok().and_then(|it| it.from),
                    what: it.place,
                    kept: it.kept,
                    bytes: it.bytes,
                    kept_since: it.kept_since,
                })
                .collect(),
        })
    }

    fn unseen_line(&self, db: &Db, newest: Option<&Upgrade>) -> Result<Option<OutcomeLine>> {
        let Some(upgrade) = newest.filter(|it| it.state.is_final() && it.acknowledged_at.is_none()) else {
            return Ok(None);
        };
        if db.has_seen_result(WINDOW, upgrade.id)? {
            return Ok(None);
        }
        Ok(Some(OutcomeLine {
            upgrade_id: upgrade.id.to_string(),
            kind: Some(UpgradeKind::of(&upgrade.options)),
            result: end_for_people(upgrade).1.unwrap_or_default(),
            from: upgrade.from.clone(),
            to: upgrade.to.clone(),
            finished_at: upgrade.finished_at,
        }))
    }

    /// Where people open it on this computer.
    pub(in crate::engine) fn address_of(&self, installation: &Installation) -> Option<String> {
        let port = self.site(installation).ok()?.public_port().ok()??;
        Some(format!("http://127.0.0.1:{port}/"))
    }
}

impl HealthView {
    /// What an answer means for people.
    pub fn of(check: &CheckView, now: chrono::DateTime<chrono::Utc>) -> Self {
        let required: Vec<_> = check.probes.iter().filter(|it| it.required).collect();
        let state = if check.healthy {
            HealthState::Well
        } else if required.iter().all(|it| !it.up) {
            HealthState::NotAnswering
        } else {
            HealthState::NotWell
        };
        Self { state, checked_at: Some(now), probes: check.probes.clone() }
    }
}

impl BackupView {
    /// The line of a backup. Its folder's name tells it from every other of its installation.
    pub(super) fn of(view: crate::view::BackupView, title: &str) -> Self {
        let folder = std::path::Path::new(&view.path).file_name().unwrap_or_default();
        Self {
            id: format!("{}/{}", view.installation, folder.to_string_lossy()),
            installation: view.installation.to_string(),
            title: title.to_owned(),
            reason: view.reason,
            pinned: view.pinned,
            kind: view.kind,
            grade: view.grade,
            version: view.version,
            bytes: view.bytes,
            note: view.note,
            made_at: view.made_at,
            proven_at: view.proven_at,
            path: view.path,
            copied: None,
        }
    }
}

/// Whether what kept us from the releases is asked for by name and missing.
fn needs_someone(class: &str) -> bool {
    class.starts_with("keychain_") || matches!(class, "variable_missing" | "setting_missing" | "auth_failed")
}
