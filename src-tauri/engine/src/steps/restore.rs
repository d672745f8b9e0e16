//! Returning to a backup: what it holds is restored beside what is there now, and the two change places.
//!
//! A broken application must not block its own restore, so nothing here asks whether it is well.

use std::path::Path;

use serde_json::Value;

use crate::backups::{self, Backup};
use crate::drivers::Gate;
use crate::error::{Error, Result};
use crate::model::finding::Severity;
use crate::model::state::State;
use crate::state::journal::StepKey;
use crate::steps::check::{Checked, Way};
use crate::steps::{Observed, Step, World, key, record};
use crate::stores::Counts;

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
            backup.dumped(store.name())?;
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
        record(&Checked { from, to, pinned: None, ways, rehearsal: None, was_down: !is_well })
    }
}
