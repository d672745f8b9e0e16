//! Returning to a backup: what it holds is restored beside what is there now, and the two change places.
//!
//! A broken application must not block its own restore, so nothing here asks whether it is well.

use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::backups::{self, Backup, BackupKind, Request};
use crate::drivers::Gate;
use crate::error::{Error, Kind, Result};
use crate::model::finding::Severity;
use crate::model::state::State;
use crate::state::journal::StepKey;
use crate::state::records::BackupRecord;
use crate::steps::check::{Checked, Way};
use crate::steps::{Observed, Step, World, key, parse, record};
use crate::stores::{Counts, DataStore};

/// Looks whether the backup can be returned to.
#[derive(Debug)]
pub struct CheckRestore;

/// The backup that was asked for, as it is on disk now.
///
/// # Errors
/// It cannot be read.
pub(crate) fn backup_to_restore(world: &World<'_>) -> Result<Backup> {
    let path = world.options.restore.as_deref().ok_or_else(|| Error::bug("no_backup", "A restore knows no backup."))?;
    backups::open(Path::new(path))
}

/// What was restored holds the rows that were backed up; the answer is that of the comparison.
///
/// # Errors
/// `backup_differs`.
pub(crate) fn expect_what_was_backed_up(world: &World<'_>, store: &str, after: Counts) -> Result<Value> {
    let backup = backup_to_restore(world)?;
    if backup.dumped(store)?.counts == after {
        return record(&std::collections::BTreeMap::from([("after", after)]));
    }
    Err(Error::failed("backup_differs", format!("What was restored to {store} is not what was backed up."))
        .remedy("Nothing to do: what was there before is put back. Use another backup."))
}

impl Step for CheckRestore {
    fn phase(&self) -> State {
        State::Checking
    }
    fn key(&self) -> StepKey {
        key("check")
    }
    fn does(&self) -> String {
        "Look whether the backup is whole and its version is still here.".to_owned()
    }
    fn weight(&self) -> f64 {
        5.0
    }
    fn observe(&self, _world: &World<'_>, _intent: &Value) -> Result<Observed> {
        Ok(Observed::NotStarted)
    }
    fn act(&self, world: &World<'_>, _intent: &Value) -> Result<Value> {
        let backup = backup_to_restore(world)?;
        if backup.manifest.installation != world.site.installation.name {
            return Err(Error::refused(
                "other_installation",
                format!("This backup is of {}, not of {}.", backup.manifest.installation, world.site.installation.name),
            )
            .remedy("Choose a backup of this installation: `liftlock backup list`."));
        }
        // What would be in the way after the stop is said before it.
        for store in &world.site.stores {
            store.expect_room_for(backup.dumped(store.name())?, &backup.path)?;
            let found = store.obstacles(world.reporter)?;
            if let Some(stop) = found.iter().find(|it| it.severity == Severity::Stop) {
                return Err(stop.to_error());
            }
        }
        let found = world.site.look_at_installation(None, true, world.reporter);
        if let Some(stop) = found.iter().find(|it| it.severity == Severity::Stop) {
            return Err(stop.to_error());
        }
        backups::check(&backup, world.reporter)?;
        // A key that does not fit is found before the application is stopped.
        let keys = world.journal().db().backup_keys()?;
        for dumped in backup.manifest.stores.iter().filter(|it| it.sealed.is_some()) {
            keys.fits(&backup.path.join(&dumped.file))?;
        }
        world.journal().set_backup(&backup.path.display().to_string())?;
        // What runs may be broken: then the release in place tells which version it is.
        let current = world.site.driver.current_release()?.unwrap_or_default();
        let (from, is_well) = match world.site.ask_version(Gate::Public, world.reporter) {
            Ok(version) => (
                version.to_string(),
                world.site.observe(world.reporter)?.iter().all(|it| !it.required || it.outcome.is_up()),
            ),
            Err(_) => (current.clone(), false),
        };
        let to = backup.manifest.version.clone().unwrap_or(current);
        if !world.site.driver.is_fetched(&to) {
            return Err(Error::refused(
                "release_missing",
                format!("The backup belongs to {to}, whose release is no longer here."),
            )
            .remedy(format!("Put the release {to} back into the releases folder, then try again.")));
        }
        world.journal().set_versions(&from, &to)?;
        let ways = world.site.stores.iter().map(|it| (it.name().to_owned(), Way::FromBackup)).collect();
        world.halfway("forward", &self.key());
        record(&Checked { from, to, pinned: None, ways, rehearsal: None, was_down: !is_well, identity: Value::Null })
    }
}

/// Makes a backup of what is there now, before it makes place for what the backup holds.
///
/// Data that cannot be dumped is often why somebody goes back, so a dump that fails is told and stops nothing: the
/// original is set aside as it is, by its name alone, in any case.
#[derive(Debug)]
pub struct TakeSafetyCopy;

/// What became of the safety copy.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct SafetyCopy {
    /// The folder of the backup, where it could be made.
    pub(crate) path: Option<String>,
    /// Why there is none.
    pub(crate) why_not: Option<Error>,
}

impl SafetyCopy {
    /// A sentence for the end of a restore.
    pub(crate) fn sentence(world: &World<'_>) -> Option<String> {
        let copy: SafetyCopy = parse(&world.answer(&TakeSafetyCopy.key())?).ok()?;
        let aside = "What was there before is set aside, untouched";
        let back = format!("`liftlock rollback {}` brings it back.", world.site.installation.name);
        Some(match (copy.path, copy.why_not) {
            (Some(path), _) => format!("{aside}, and is in the backup {path}. {back}"),
            (None, Some(why)) => format!("{aside}. A backup of it could not be made: {} {back}", why.message),
            (None, None) => format!("{aside}. {back}"),
        })
    }
}

impl Step for TakeSafetyCopy {
    fn phase(&self) -> State {
        State::BackingUp
    }
    fn key(&self) -> StepKey {
        key("safety_copy")
    }
    fn does(&self) -> String {
        "Make a backup of what is there now, if it can be read.".to_owned()
    }
    fn weight(&self) -> f64 {
        12.0
    }
    fn deadline(&self, world: &World<'_>) -> std::time::Duration {
        world.site.profile.limits.backup_within
    }
    fn observe(&self, _world: &World<'_>, _intent: &Value) -> Result<Observed> {
        Ok(Observed::NotStarted)
    }
    fn act(&self, world: &World<'_>, _intent: &Value) -> Result<Value> {
        let wanted = backup_to_restore(world)?;
        let note = format!("before going back to the backup of {}", wanted.manifest.made_at.format("%Y-%m-%d %H:%M"));
        let checked = world.checked()?;
        let keys = world.journal().db().backup_keys()?;
        let request = Request {
            root: &world.home.backups(&world.site.installation.name)?,
            installation: &world.site.installation.name,
            application: &world.site.profile.application.name,
            version: Some(&checked.from),
            kind: BackupKind::PreUpdate,
            note: &note,
            keys: &keys,
        };
        let stores: Vec<&dyn DataStore> = world.site.stores.iter().map(AsRef::as_ref).collect();
        match backups::create(&request, &stores, world.clock, world.reporter) {
            Ok(backup) => {
                world.halfway("forward", &self.key());
                let path = backup.path.display().to_string();
                world.journal().db_mut().record_backup(&BackupRecord::of(&backup, Some(world.id), &path))?;
                record(&SafetyCopy { path: Some(path), why_not: None })
            }
            Err(error)
                if error.kind == Kind::LeaseLost || matches!(error.class.as_ref(), "cancelled" | "state_busy") =>
            {
                Err(error)
            }
            Err(error) => {
                world.reporter.say(&format!("safety_copy: {error} The original is set aside as it is."));
                record(&SafetyCopy { path: None, why_not: Some(error) })
            }
        }
    }
}
