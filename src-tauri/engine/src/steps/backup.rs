//! A backup of every store, and its proof: restored whole on the side, and compared.

use std::time::Duration;

use serde_json::{Value, json};

use crate::backups::{self, Backup, BackupKind, Request};
use crate::error::{Error, Result};
use crate::model::state::State;
use crate::state::journal::StepKey;
use crate::state::records::BackupRecord;
use crate::steps::{Observed, Step, World, key, record};
use crate::stores::DataStore;
use crate::stores::postgres::answer::is_cut;

/// Makes the backup.
#[derive(Debug)]
pub struct TakeBackup;

/// Restores it once, on the side.
#[derive(Debug)]
pub struct ProveBackup;

/// The backup of this upgrade, as it is on disk now.
pub(crate) fn backup_of(world: &World<'_>) -> Result<Backup> {
    let answer = world
        .answer(&TakeBackup.key())
        .ok_or_else(|| Error::bug("no_backup", "A step needs the backup before it was made."))?;
    let path = answer["path"].as_str().unwrap_or_default();
    backups::open(std::path::Path::new(path))
}

fn stores<'w>(world: &'w World<'_>) -> Vec<&'w dyn DataStore> {
    world.site.stores.iter().map(AsRef::as_ref).collect()
}

impl Step for TakeBackup {
    fn phase(&self) -> State {
        State::BackingUp
    }
    fn key(&self) -> StepKey {
        key("take_backup")
    }
    fn does(&self) -> String {
        "Make a backup of all data while the application is in use.".to_owned()
    }
    fn weight(&self) -> f64 {
        12.0
    }
    fn deadline(&self, world: &World<'_>) -> Duration {
        world.site.profile.limits.backup_within
    }
    fn may_try_again(&self, error: &Error) -> bool {
        // A dump whose connection was cut is thrown away and made again.
        is_cut(error)
    }
    fn observe(&self, _world: &World<'_>, _intent: &Value) -> Result<Observed> {
        // A finished one would have been recorded but for the last instant; another is the safe answer.
        Ok(Observed::NotStarted)
    }
    fn act(&self, world: &World<'_>, _intent: &Value) -> Result<Value> {
        let keys = world.journal().db().backup_keys()?;
        let request = Request {
            root: &world.home.backups(&world.site.installation.name)?,
            installation: &world.site.installation.name,
            application: &world.site.profile.application.name,
            version: Some(&world.checked()?.from),
            kind: BackupKind::PreUpdate,
            note: "",
            keys: &keys,
        };
        let backup = backups::create(&request, &stores(world), world.clock, world.reporter)?;
        world.halfway("forward", &self.key());
        let path = backup.path.display().to_string();
        let mut journal = world.journal();
        journal.set_backup(&path)?;
        journal.db_mut().record_backup(&BackupRecord::of(&backup, Some(world.id), &path))?;
        Ok(json!({ "path": path, "bytes": backup.bytes() }))
    }
}

impl Step for ProveBackup {
    fn phase(&self) -> State {
        State::BackingUp
    }
    fn key(&self) -> StepKey {
        key("prove_backup")
    }
    fn does(&self) -> String {
        "Restore the backup once, on the side, and compare every table.".to_owned()
    }
    fn weight(&self) -> f64 {
        15.0
    }
    fn deadline(&self, world: &World<'_>) -> Duration {
        world.site.profile.limits.backup_within
    }
    fn observe(&self, _world: &World<'_>, _intent: &Value) -> Result<Observed> {
        Ok(Observed::NotStarted)
    }
    fn act(&self, world: &World<'_>, _intent: &Value) -> Result<Value> {
        let backup = backup_of(world)?;
        world.halfway("forward", &self.key());
        // What the rehearsal works on next is not restored a second time.
        let keep = crate::steps::rehearse::stores_of(world)?;
        let stores = stores(world);
        let keys = world.journal().db().backup_keys()?;
        let place = (world.scratch.as_path(), &keys);
        let (proof, kept) = backups::prove_and_keep(&backup, &stores, place, &keep, world.clock, world.reporter)?;
        world.live().restored = kept;
        let backup = backup_of(world)?;
        let path = backup.path.display().to_string();
        world.journal().db_mut().record_backup(&BackupRecord::of(&backup, Some(world.id), &path))?;
        record(&proof)
    }
}
