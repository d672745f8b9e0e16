//! The verbs about backups.

use std::path::{Path, PathBuf};

use chrono::{DateTime, Local, Utc};

use crate::backups::{self, Backup, BackupKind, Request, Trust};
use crate::drivers::Gate;
use crate::engine::Engine;
use crate::engine::compare::expect_typed;
use crate::engine::retention::alarms;
use crate::error::{Error, Kind, Result};
use crate::model::finding::{Finding, Severity};
use crate::model::ids::{InstallationName, UpgradeId};
use crate::pace::Part;
use crate::ports::{Clock, Reporter};
use crate::process::gently;
use crate::seal::Keys;
use crate::state::journal::{Direction, runs_of};
use crate::state::lease::Lease;
use crate::state::records::BackupRecord;
use crate::state::upgrades::Options;
use crate::steps::aside::{AsideIntent, SetAside};
use crate::steps::check::Way;
use crate::steps::parse;
use crate::stores::{AsideState, DataStore};
use crate::upgrade::work::this_process;
use crate::view::BackupView;

/// The share of taking a backup in taking and proving it.
const TAKING: f64 = 0.3;

/// Makes a backup of these stores; the folder is for what is done on the side.
pub(super) type Make<'m> = dyn Fn(&Request<'_>, &[&dyn DataStore], &Path, &dyn Reporter) -> Result<Backup> + Sync + 'm;

/// A test of a backup.
type Test = fn(&Backup, &[&dyn DataStore], &Path, &Keys, &dyn Clock, &dyn Reporter) -> Result<Trust>;

fn attempt_key(name: &InstallationName) -> String {
    format!("backup_not_made:{name}")
}

impl Engine {
    /// Makes a backup and proves it, in this process. It holds the lease meanwhile.
    ///
    /// # Errors
    /// `unknown_installation`, `busy`; what a store answered.
    pub fn backup(&self, name: &InstallationName, note: &str, reporter: &dyn Reporter) -> Result<BackupView> {
        let made = self.back_up(name, BackupKind::Manual, note, reporter);
        // That it is remembered matters less than what is remembered.
        if let Err(error) = self.remember_attempt(name, made.as_ref().err()) {
            tracing::warn!(class = %error.class, "{}", error.message);
        }
        made
    }

    /// Who asked for it may have gone: that a backup was not made is said until one is.
    fn remember_attempt(&self, name: &InstallationName, failed: Option<&Error>) -> Result<()> {
        match failed {
            None => self.db()?.forget_note(&attempt_key(name)),
            // Nothing was tried.
            Some(error) if error.kind == Kind::Busy || ["cancelled", "locked"].contains(&error.class.as_ref()) => {
                Ok(())
            }
            Some(error) => {
                let text = serde_json::to_string(&(self.clock.now(), error))
                    .map_err(|cause| Error::bug("state_json", "A record could not be written.").because(&cause))?;
                self.db()?.set_note(&attempt_key(name), &text)
            }
        }
    }

    /// The last backup that a person asked for, where it was not made.
    pub(super) fn not_made(&self, name: &InstallationName) -> Result<Option<Finding>> {
        let kept = self.db()?.note(&attempt_key(name))?;
        let Some((at, error)) = kept.and_then(|it| serde_json::from_str::<(DateTime<Utc>, Error)>(&it).ok()) else {
            return Ok(None);
        };
        let at = at.with_timezone(&Local).format("%Y-%m-%d %H:%M");
        let message = format!("The backup that was asked for at {at} was not made. {}", error.message);
        Ok(Some(Finding::new(Severity::Stop, "backup_not_made", message, error.remedy)))
    }

    pub(crate) fn back_up(
        &self,
        name: &InstallationName,
        kind: BackupKind,
        note: &str,
        reporter: &dyn Reporter,
    ) -> Result<BackupView> {
        self.make_and_prove(name, (kind, note), TAKING, reporter, &|request, stores, _, reporter| {
            backups::create(request, stores, self.clock.as_ref(), reporter)
        })
    }

    /// Lets `make` make a backup and proves it, with the lease. `share` is that of making in both.
    pub(super) fn make_and_prove(
        &self,
        name: &InstallationName,
        (kind, note): (BackupKind, &str),
        share: f64,
        reporter: &dyn Reporter,
        make: &Make<'_>,
    ) -> Result<BackupView> {
        let mut db = self.db()?;
        let installation = db.installation(name)?;
        let holder = this_process(self.clock.as_ref(), "backup")?;
        let _lease = Lease::take(&mut db, &self.home, name, &installation.folder, &holder)?;
        let site = self.site(&installation)?;
        // What was killed in the middle of a proof left its server, where this one is about to be.
        site.sweep_scratch(reporter)?;
        // Nothing in a dump says which version of the application wrote it; what runs here will have to do with it.
        let version = site.ask_version(Gate::Public, reporter).ok().map(|it| it.to_string()).or(installation.version);
        let stores: Vec<&dyn DataStore> = site.stores.iter().map(AsRef::as_ref).collect();
        let keys = db.backup_keys()?;
        let request = Request {
            root: &self.home.backups(name)?,
            installation: name,
            application: &site.profile.application.name,
            version: version.as_deref(),
            kind,
            note,
            keys: &keys,
        };
        let (clock, making) = (self.clock.as_ref(), Part::begin(reporter, (0.0, share), None));
        let made = gently(|| make(&request, &stores, &site.scratch, &making))?;
        self.record(&made)?;
        let reporter = &Part::begin(reporter, (share, 1.0), None);
        let proven = gently(|| backups::prove(&made, &stores, &site.scratch, &keys, clock, reporter));
        let backup = backups::open(&made.path)?;
        self.record(&backup)?;
        proven.map(|_| BackupView::of(&backup))
    }

    /// Every backup of an installation or of all, newest first, and what cannot be read as one.
    ///
    /// # Errors
    /// `unknown_installation`; a folder cannot be read.
    pub fn backups(&self, name: Option<&InstallationName>) -> Result<(Vec<BackupView>, Vec<Finding>)> {
        let names = match name {
            Some(name) => vec![self.db()?.installation(name)?.name],
            None => self.db()?.installations()?.into_iter().map(|it| it.name).collect(),
        };
        let (mut views, mut odd) = (Vec::new(), Vec::<Finding>::new());
        // The folder is one for all of them.
        odd.extend(names.first().and_then(|it| self.home.backups(it).err()).iter().map(Finding::stop));
        for name in names {
            let (found, unreadable) = backups::of(&self.home, &name, self.clock.now())?;
            views.extend(found.iter().map(BackupView::of));
            odd.extend(unreadable.iter().map(Finding::stop));
            odd.extend(alarms(&found));
            odd.extend(self.over_budget(&found)?);
            odd.extend(self.copies_behind(&found)?);
        }
        views.sort_by_key(|it| std::cmp::Reverse(it.made_at));
        Ok((views, odd))
    }

    /// Restores a backup once more on the side and says how far it can be trusted.
    ///
    /// # Errors
    /// What does not agree; `busy`.
    pub fn verify_backup(&self, path: &Path, reporter: &dyn Reporter) -> Result<BackupView> {
        self.test_backup(path, backups::prove, reporter)
    }

    /// Reads a backup to its end, without restoring it: for where there is no room or time for more.
    ///
    /// # Errors
    /// As [`Engine::verify_backup`].
    pub fn read_backup(&self, path: &Path, reporter: &dyn Reporter) -> Result<BackupView> {
        self.test_backup(path, backups::read_through, reporter)
    }

    fn test_backup(&self, path: &Path, test: Test, reporter: &dyn Reporter) -> Result<BackupView> {
        let backup = backups::open(&self.find_backup(path)?)?;
        let mut db = self.db()?;
        let installation = db.installation(&backup.manifest.installation)?;
        let holder = this_process(self.clock.as_ref(), "verify")?;
        let _lease = Lease::take(&mut db, &self.home, &installation.name, &installation.folder, &holder)?;
        let site = self.site(&installation)?;
        let stores: Vec<&dyn DataStore> = site.stores.iter().map(AsRef::as_ref).collect();
        let (keys, clock) = (db.backup_keys()?, self.clock.as_ref());
        let tested = gently(|| test(&backup, &stores, &site.scratch, &keys, clock, reporter));
        let backup = backups::open(&backup.path)?;
        self.record(&backup)?;
        tested.map(|_| BackupView::of(&backup))
    }

    /// Asks for a return to a backup and starts the worker that does it. What is there now is set aside, untouched.
    ///
    /// # Errors
    /// `not_confirmed` unless `typed` is [`RESTORE`](crate::engine::RESTORE); `locked`, `unknown_installation`, `busy`; the
    /// folder is no backup.
    pub fn restore(&self, name: &InstallationName, path: &Path, typed: &str, initiated_by: &str) -> Result<UpgradeId> {
        self.must_be_unlocked()?;
        expect_typed(typed)?;
        let backup = backups::open(&self.find_backup(path)?)?;
        let to = backup.manifest.version.clone().unwrap_or_else(|| "latest".to_owned());
        self.reopen_stranded(name)?;
        let options = Options { restore: Some(backup.path.display().to_string()), ..Options::default() };
        self.start_upgrade(name, Some(&to), &options, initiated_by)
    }

    /// The folder of a backup, of which a caller knows the path or the id.
    ///
    /// # Errors
    /// `unknown_backup`.
    pub fn find_backup(&self, path_or_id: &Path) -> Result<PathBuf> {
        let is_name = path_or_id.components().count() == 1;
        if !is_name || path_or_id.is_dir() {
            return absolute(path_or_id);
        }
        let mut places = Vec::new();
        for installation in self.db()?.installations()? {
            places.extend(self.home.places_of_backups(&installation.name)?);
        }
        places.into_iter().map(|it| it.join(path_or_id)).find(|it| it.is_dir()).ok_or_else(|| {
            Error::refused("unknown_backup", format!("There is no backup “{}”.", path_or_id.display()))
                .remedy("`liftlock backup list` shows the backups with their folders.")
        })
    }

    /// An update that waits for a person may have left a store closed to everybody, while its copy was made. The original
    /// is opened again, as going back would do it first; nothing changes places by that.
    fn reopen_stranded(&self, name: &InstallationName) -> Result<()> {
        let mut db = self.db()?;
        let stranded = db.stranded_upgrades(name)?;
        if stranded.is_empty() {
            return Ok(());
        }
        let installation = db.installation(name)?;
        let holder = this_process(self.clock.as_ref(), "restore")?;
        let _lease = Lease::take(&mut db, &self.home, name, &installation.folder, &holder)?;
        for upgrade in stranded {
            let site = self.site_of(&installation, &upgrade)?;
            let runs = runs_of(&db, upgrade.id)?;
            for store in site.stores.iter().filter(|it| it.changes_places()) {
                let key = SetAside::key_of(store.name());
                let Some(run) = runs.iter().rfind(|it| it.direction == Direction::Forward && it.key == key) else {
                    continue;
                };
                let intent: AsideIntent = parse(&run.intent)?;
                let is_beside = matches!(store.observe(&intent.aside)?, AsideState::Copying | AsideState::Copied);
                if intent.way != Way::InPlace && is_beside {
                    store.put_back(&intent.aside)?;
                }
            }
        }
        Ok(())
    }

    pub(crate) fn record(&self, backup: &Backup) -> Result<()> {
        let path = backup.path.display().to_string();
        self.db()?.record_backup(&BackupRecord::of(backup, None, &path))
    }
}

/// A path that means the same to the worker, which stands elsewhere.
fn absolute(path: &Path) -> Result<PathBuf> {
    std::path::absolute(path).map_err(|cause| Error::io("find", path, &cause))
}

impl BackupView {
    /// The view of a backup on disk.
    pub(crate) fn of(backup: &Backup) -> Self {
        Self {
            id: backup.id(),
            path: backup.path.display().to_string(),
            installation: backup.manifest.installation.clone(),
            kind: backup.manifest.kind.as_str().to_owned(),
            grade: backup.grade_word().to_owned(),
            reason: backup.failed.as_ref().map(|it| it.message.clone()),
            version: backup.manifest.version.clone(),
            bytes: backup.bytes(),
            note: backup.manifest.note.clone(),
            made_at: backup.manifest.made_at,
            proven_at: backup.proven_at,
            pinned: backup.pinned,
        }
    }
}
