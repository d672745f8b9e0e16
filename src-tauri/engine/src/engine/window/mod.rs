//! The views of the window, put together from what the other verbs know. The window adds nothing to them.

mod backup;
mod cards;
mod care;
mod pages;
mod phases;
mod progress;
mod safekeeping;
mod settings;

use std::collections::HashMap;

use crate::engine::Engine;
use crate::engine::disk;
use crate::error::{Error, Result};
use crate::model::ids::{InstallationName, UpgradeId};
use crate::state::Db;
use crate::view::window::{AppView, HealthView, Preferences};
use crate::view::{ErrorView, LockView};

/// What only the window itself can know.
#[derive(Debug, Clone, Default)]
pub struct Face {
    /// Whether the desktop has a tray to close into.
    pub has_tray: bool,
    /// Whether Liftlock starts with the session.
    pub autostart: bool,
    /// How each application was when it was last asked.
    pub health: HashMap<String, HealthView>,
}

/// Notices a change of the state, without asking what it was.
#[derive(Debug)]
pub struct Changes {
    db: Db,
    last: i64,
}

impl Changes {
    /// Whether another connection has changed anything since this was asked last.
    ///
    /// # Errors
    /// Those of the state itself.
    pub fn any(&mut self) -> Result<bool> {
        let now = self.db.data_version()?;
        Ok(std::mem::replace(&mut self.last, now) != now)
    }
}

impl Engine {
    /// Watches for changes from now on.
    ///
    /// # Errors
    /// Those of the state itself.
    pub fn changes(&self) -> Result<Changes> {
        let db = self.db()?;
        let last = db.data_version()?;
        Ok(Changes { db, last })
    }

    /// The time, as this engine sees it.
    pub fn now(&self) -> chrono::DateTime<chrono::Utc> {
        self.clock.now()
    }

    /// Everything that Home, the rail and the tray need. What keeps Liftlock itself from working is part of it.
    pub fn app(&self, face: &Face) -> AppView {
        let mut view = AppView::empty(face);
        view.home = self.home.root().display().to_string();
        if let Err(error) = self.fill(&mut view, face) {
            view.problem = Some(ErrorView::from(&error));
        }
        view
    }

    fn fill(&self, view: &mut AppView, face: &Face) -> Result<()> {
        let db = self.db()?;
        view.preferences.theme = db.setting("theme")?;
        view.preferences.contrast = db.setting("contrast")?;
        view.preferences.text_percent = db.setting("text_percent")?.parse().unwrap_or(100);
        view.preferences.first_close_explained = db.note(FIRST_CLOSE)?.is_some();
        view.lock = self.lock_state()?;
        view.installations = self.cards(&db, face)?;
        let need = view.installations.iter().filter_map(|it| it.newest_backups.first()).map(|it| it.bytes).max();
        // A disk that does not answer is no reason to show nothing.
        view.disk = disk::getting_full(&self.home.backup_disk(), need).unwrap_or_default();
        Ok(())
    }

    /// Remembers that it was said once that closing the window leaves Liftlock in the tray.
    ///
    /// # Errors
    /// Those of the state itself.
    pub fn first_close_is_explained(&self) -> Result<()> {
        self.db()?.set_note(FIRST_CLOSE, "yes")
    }

    /// Remembers that `observer` has shown how an upgrade ended. It is another thing than a person's acknowledgement.
    ///
    /// # Errors
    /// Those of the state itself.
    pub fn saw(&self, observer: &str, id: UpgradeId) -> Result<()> {
        self.db()?.see_result(observer, id, self.clock.now())
    }

    /// The results that `observer` has not shown yet, oldest first, a result each installation at most: the newest.
    ///
    /// # Errors
    /// Those of the state itself.
    pub fn unseen(&self, observer: &str, name: &InstallationName) -> Result<Option<UpgradeId>> {
        let db = self.db()?;
        let Some(newest) = db.newest_upgrade(name)? else { return Ok(None) };
        let is_news = newest.state.is_final() && newest.acknowledged_at.is_none();
        Ok(if is_news && !db.has_seen_result(observer, newest.id)? { Some(newest.id) } else { None })
    }
}

impl AppView {
    /// What is shown where there is no engine at all, and why.
    pub fn broken(error: &Error, face: &Face) -> Self {
        Self { problem: Some(ErrorView::from(error)), ..Self::empty(face) }
    }

    fn empty(face: &Face) -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            home: String::new(),
            problem: None,
            has_tray: face.has_tray,
            preferences: Preferences {
                theme: "system".to_owned(),
                contrast: "system".to_owned(),
                text_percent: 100,
                language: "en".to_owned(),
                autostart: face.autostart,
                first_close_explained: false,
            },
            lock: LockView { set: false, locked: false, next_try_at: None },
            disk: None,
            installations: Vec::new(),
        }
    }
}

/// Name of the note that the first close was explained.
const FIRST_CLOSE: &str = "first_close_explained";

/// A name that came from the window.
pub(in crate::engine) fn named(text: &str) -> Result<InstallationName> {
    text.parse().map_err(|_| {
        Error::usage("unknown_installation", "There is no application of that name.").remedy("Go back to Home.")
    })
}
