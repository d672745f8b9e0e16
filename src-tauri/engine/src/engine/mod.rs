//! [`Engine`]: the verbs, as the desktop app and the command line call them.
//!
//! A verb answers with a view or an [`Error`]; neither face decides anything. Reading verbs touch nothing.

mod alarms;
mod asked;
mod backups;
mod compare;
mod copied;
mod copies;
mod discovery;
mod disk;
mod doctor;
mod exports;
mod foreign;
mod found;
mod fresh;
mod history;
mod imports;
mod installations;
mod kept;
mod leaving;
mod leftovers;
mod lock;
mod look;
mod moved;
mod news;
mod notices;
mod places;
mod report;
mod rescue;
mod retention;
mod sample;
mod schedule;
mod sealing;
mod status;
mod timer;
mod tonight;
mod unattended;
mod upgrades;
mod way_back;
mod window;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::clock::SystemClock;
use crate::error::{Error, Result};
use crate::model::ids::{InstallationName, UpgradeId};
use crate::ports::{Clock, Desk, Machine};
use crate::process::ThisMachine;
use crate::releases::Waits;
use crate::state::home::Home;
use crate::state::settings::{BACKUP_FOLDER, SETTINGS, check, setting};
use crate::view::{InstallationView, SettingView};

/// Liftlock without a face: one home, and the verbs on what it looks after.
#[derive(Clone)]
pub struct Engine {
    pub(crate) home: Home,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) machine: Arc<dyn Machine>,
    /// The screen that this process shows something on, where it does.
    desk: Option<Arc<dyn Desk>>,
    /// The program that works, where it is not this one.
    pub(crate) worker: Option<PathBuf>,
    /// How long a search for releases waits for what.
    pub(crate) waits: Waits,
    /// What this process may change where the administrator lock is set.
    pub(crate) key: lock::Key,
}

pub use asked::Say;
pub use compare::RESTORE;
pub use discovery::Look;
pub use exports::ExportChoice;
pub use foreign::{AdoptChoice, RUN};
pub use found::{Found, Search};
pub use fresh::{EMPTY, FreshChoice, REMOVE};
pub use imports::{Asker, ImportChoice, Said};
pub use installations::AddRequest;
pub use leaving::LeavingWord;

pub use lock::AskForPassphrase;
pub use notices::Choice;
pub use window::{Changes, Face};

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").field("home", &self.home).finish_non_exhaustive()
    }
}

impl Engine {
    /// The engine of this user: `LIFTLOCK_HOME`, else the platform's place for a program's data.
    ///
    /// # Errors
    /// `no_home`.
    pub fn of_this_user() -> Result<Self> {
        Ok(Self::at(Home::of_this_user()?))
    }

    /// The engine of a given home.
    pub fn at(home: Home) -> Self {
        Self {
            home,
            clock: Arc::new(SystemClock),
            machine: Arc::new(ThisMachine),
            desk: None,
            worker: None,
            waits: discovery::WAITS,
            key: lock::Key::default(),
        }
    }

    /// The same engine under another clock, for tests of what time does.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// The same engine on another machine, for tests of when it is free.
    #[must_use]
    pub fn with_machine(mut self, machine: Arc<dyn Machine>) -> Self {
        self.machine = machine;
        self
    }

    /// The same engine for a process that shows something on a screen, and must not disturb who sits at it.
    #[must_use]
    pub fn with_desk(mut self, desk: Arc<dyn Desk>) -> Self {
        self.desk = Some(desk);
        self
    }

    pub(crate) fn wants_quiet(&self) -> bool {
        self.desk.as_ref().is_some_and(|it| it.wants_quiet())
    }

    /// The same engine with another program as its worker: the window's own program is not one.
    #[must_use]
    pub fn with_worker(mut self, program: PathBuf) -> Self {
        self.worker = Some(program);
        self
    }

    /// The same engine with other patience in its search for releases, for tests of bad servers.
    #[must_use]
    pub fn with_waits(mut self, waits: Waits) -> Self {
        self.waits = waits;
        self
    }

    /// Liftlock's home.
    pub fn home(&self) -> &Path {
        self.home.root()
    }

    /// Every installation, by name, with its status.
    ///
    /// # Errors
    /// Those of the state itself.
    pub fn installations(&self) -> Result<Vec<InstallationView>> {
        let db = self.db()?;
        db.installations()?
            .into_iter()
            .map(|it| {
                Ok(InstallationView {
                    application: it.application,
                    folder: it.folder.display().to_string(),
                    version: it.version,
                    added_at: it.added_at,
                    status: self.status_in(&db, &it.name)?,
                    set_aside_for: fresh::is_set_aside(&db, &it.name)?,
                    name: it.name,
                })
            })
            .collect()
    }

    /// The installation that is meant where none is named.
    ///
    /// # Errors
    /// `no_installation`, `which_installation`.
    pub fn the_only_installation(&self) -> Result<InstallationName> {
        let db = self.db()?;
        let mut names = Vec::new();
        for installation in db.installations()? {
            if fresh::is_set_aside(&db, &installation.name)?.is_none() {
                names.push(installation.name);
            }
        }
        match (names.pop(), names.is_empty()) {
            (Some(only), true) => Ok(only),
            (None, _) => Err(Error::usage("no_installation", "No application is looked after yet.")
                .remedy("`liftlock add` adds one; `liftlock add --help` shows how.")),
            (Some(last), false) => {
                names.push(last);
                let names: Vec<_> = names.iter().map(InstallationName::as_str).collect();
                Err(Error::usage("which_installation", "There are several installations, and none was named.")
                    .remedy(format!("Name one of them: {}.", names.join(", "))))
            }
        }
    }

    /// Forgets an installation. Its files, its data, its backups and its history stay.
    ///
    /// # Errors
    /// `locked`, `unknown_installation`, `busy`.
    pub fn remove(&self, name: &InstallationName) -> Result<()> {
        self.must_be_unlocked()?;
        let is_sample = self.is_sample(name)?;
        self.db()?.remove_installation(name)?;
        self.forget_installation(name);
        crate::state::given::Given::at(self.home.given(name)).forget()?;
        crate::site::looked::forget(&self.home, name)?;
        if is_sample {
            self.stop_sample()?;
        }
        Ok(())
    }

    /// A person says that they know how an upgrade ended.
    ///
    /// # Errors
    /// `unknown_upgrade`, `not_finished`.
    pub fn acknowledge(&self, id: UpgradeId) -> Result<()> {
        self.db()?.acknowledge(id, self.clock.now())
    }

    /// Every setting with what holds.
    ///
    /// # Errors
    /// Those of the state itself.
    pub fn settings(&self) -> Result<Vec<SettingView>> {
        let db = self.db()?;
        SETTINGS
            .iter()
            .map(|it| {
                Ok(SettingView {
                    key: it.key.to_owned(),
                    value: self.value_of(&db, it.key)?,
                    default: it.default.to_owned(),
                    about: it.about.to_owned(),
                })
            })
            .collect()
    }

    /// Chooses a value, or the default again.
    ///
    /// # Errors
    /// `locked`, `unknown_setting`, `bad_setting`; `backup_folder_gone`, `backup_folder_taken`, `backup_folder_unfit`.
    pub fn choose(&self, key: &str, value: Option<&str>) -> Result<()> {
        self.must_be_unlocked()?;
        let value = value.unwrap_or(setting(key)?.default);
        let mut db = self.db()?;
        if key == BACKUP_FOLDER {
            return check(key, value).and_then(|()| self.keep_backups_in(&db, value));
        }
        db.choose(key, value)
    }
}
