//! A damaged state file: put into quarantine with its `-wal` and `-shm`, and made anew from what can still be read of it,
//! the history file, the backups' manifests, and small notes that installations and upgrades leave beside it.
//!
//! The damaged file is copied before anything is done, and replaced by one rename when the new one is whole; an
//! interrupted rebuilding is gone on with. It is never done under a worker. Nothing unfinished goes on afterwards: see
//! [`crate::state::rebuild`].

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};

use crate::backups;
use crate::durable;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::history;
use crate::model::ids::{InstallationName, UpgradeId};
use crate::state::Db;
use crate::state::home::{Home, make_private_dir, open_lock};
use crate::state::installations::Installation;
use crate::state::rebuild::Asked;
use crate::state::records::BackupRecord;
use crate::state::upgrades::Upgrade;
use crate::steps::touched;

/// What an installation is known by, beside the state.
#[derive(Debug, Serialize, Deserialize)]
struct InstallationNote {
    name: InstallationName,
    folder: PathBuf,
    profile: String,
    application: String,
    version: Option<String>,
    added_at: DateTime<Utc>,
}

/// What an upgrade was asked for, in its own folder.
#[derive(Debug, Serialize, Deserialize)]
struct AskedNote {
    installation: InstallationName,
    component: String,
    to: String,
    options: Value,
    initiated_by: String,
    created_at: DateTime<Utc>,
}

/// That the state was rebuilt, for `doctor`.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Rebuilt {
    pub(crate) at: DateTime<Utc>,
    pub(crate) quarantine: PathBuf,
}

impl Engine {
    /// The state. A damaged one is rebuilt first.
    pub(crate) fn db(&self) -> Result<Db> {
        if self.is_lost() {
            self.rescue()?;
        }
        match Db::open(&self.home) {
            Err(error) if self.speaks_of_damage(&error) && self.rescue()? => Db::open(&self.home),
            opened => opened,
        }
    }

    /// Whether a rebuilding was interrupted, or the file is gone while installations are known beside it.
    fn is_lost(&self) -> bool {
        let is_gone = || !self.home.database().exists();
        marker(&self.home).exists() || (is_gone() && !notes::<InstallationNote>(&self.home.notes()).is_empty())
    }

    /// A file that bears another program's mark, in a home that has been ours, is a damaged one of ours.
    fn speaks_of_damage(&self, error: &Error) -> bool {
        error.class == "state_corrupt"
            || (error.class == "state_foreign" && !notes::<InstallationNote>(&self.home.notes()).is_empty())
    }

    /// Puts a damaged state file into quarantine and makes it anew. Answers whether that was needed.
    ///
    /// # Errors
    /// `state_busy` while a worker is at work; what the disk answered.
    pub(crate) fn rescue(&self) -> Result<bool> {
        let home = &self.home;
        home.make()?;
        let one_at_a_time = open_lock(&home.root().join("locks").join("rescue.lock"))?;
        one_at_a_time.lock().map_err(|cause| Error::io("lock", home.root(), &cause))?;
        let _nobody_works = home.lock_schema_exclusive()?;
        if !self.is_lost() {
            match Db::open(home).and_then(|it| it.expect_sound()) {
                Ok(()) => return Ok(false),
                Err(error) if self.speaks_of_damage(&error) => {}
                Err(error) => return Err(error),
            }
        }
        let quarantine = self.quarantine()?;
        let rebuilt = self.rebuild(&quarantine)?;
        // A WAL that is not its own would be read into the new file.
        for beside in ["-wal", "-shm"] {
            let path = durable::beside(&home.database(), beside);
            match fs::remove_file(&path) {
                Err(cause) if cause.kind() != io::ErrorKind::NotFound => {
                    return Err(Error::io("remove", &path, &cause));
                }
                _ => {}
            }
        }
        durable::rename(&rebuilt, &home.database())?;
        let _ = fs::remove_dir_all(quarantine.join("rebuilt"));
        fs::remove_file(marker(home)).map_err(|cause| Error::io("remove", &marker(home), &cause))?;
        durable::fsync_dir(home.root())?;
        Ok(true)
    }

    /// A copy of the damaged file with what belongs to it. An earlier one is gone on with: what is there now may be half new.
    fn quarantine(&self) -> Result<PathBuf> {
        let marker = marker(&self.home);
        if let Some(earlier) = fs::read_to_string(&marker).ok().map(PathBuf::from).filter(|it| it.is_dir()) {
            return Ok(earlier);
        }
        let stamp = self.clock.now().format("%Y-%m-%dT%H-%M-%S%.3fZ").to_string();
        let folder = self.home.root().join("quarantine").join(stamp);
        make_private_dir(&folder)?;
        for suffix in ["", "-wal", "-shm"] {
            let name = format!("liftlock.db{suffix}");
            let from = self.home.root().join(&name);
            if !from.is_file() {
                continue;
            }
            let to = folder.join(&name);
            fs::copy(&from, &to)
                .and_then(|_| File::open(&to)?.sync_all())
                .map_err(|cause| Error::io("copy to quarantine", &from, &cause))?;
        }
        durable::fsync_dir(&folder)?;
        durable::write(&marker, folder.as_os_str().as_encoded_bytes())?;
        Ok(folder)
    }

    /// A new state file in the quarantine, filled with everything that is known.
    fn rebuild(&self, quarantine: &Path) -> Result<PathBuf> {
        let new = Home::at(quarantine.join("rebuilt"));
        match fs::remove_dir_all(new.root()) {
            Err(cause) if cause.kind() != io::ErrorKind::NotFound => {
                return Err(Error::io("clear", new.root(), &cause));
            }
            _ => {}
        }
        let mut db = Db::open(&new)?;
        let lines = history::read(&self.home.history())?;
        // A line that was changed proves nothing.
        let records: Vec<Map<String, Value>> =
            lines.into_iter().filter(|it| it.is_intact).map(|it| it.record).collect();
        db.adopt_history(&records)?;
        let damaged = quarantine.join("liftlock.db");
        if damaged.is_file() {
            db.salvage(&damaged)?;
        }
        for note in notes::<InstallationNote>(&self.home.notes()) {
            let known = Installation {
                name: note.name,
                folder: note.folder,
                profile: note.profile,
                application: note.application,
                version: note.version,
                added_at: note.added_at,
            };
            // The one that was salvaged is newer.
            let _ = db.add_installation(&known);
        }
        db.adopt_outcomes(&records)?;
        let asked = self.asked_for();
        for it in asked.iter().filter(|it| !has_ended(&records, it.id)) {
            db.adopt_asked(it)?;
        }
        let was_touched = |id: UpgradeId| asked.iter().any(|it| it.id == id && it.touched);
        db.strand_unfinished(&was_touched, self.clock.now())?;
        for installation in db.installations()? {
            for backup in
                backups::of(&self.home, &installation.name, self.clock.now()).map(|it| it.0).unwrap_or_default()
            {
                let path = backup.path.display().to_string();
                db.record_backup(&BackupRecord::of(&backup, None, &path))?;
            }
        }
        let rebuilt = Rebuilt { at: self.clock.now(), quarantine: quarantine.to_owned() };
        db.set_note("rebuilt", &serde_json::to_string(&rebuilt).unwrap_or_default())?;
        db.expect_sound()?;
        // Closing it reads its WAL into it.
        drop(db);
        Ok(new.database())
    }

    /// Every upgrade that has a folder of its own.
    fn asked_for(&self) -> Vec<Asked> {
        let folders = fs::read_dir(self.home.root().join("upgrades")).into_iter().flatten().flatten();
        folders
            .filter_map(|it| {
                let id: UpgradeId = it.file_name().to_str()?.parse().ok()?;
                let note: AskedNote = serde_json::from_slice(&fs::read(asked_file(&self.home, id)).ok()?).ok()?;
                let touched = touched::read(&self.home, id);
                Some(Asked {
                    id,
                    installation: note.installation.to_string(),
                    component: note.component,
                    from: touched.as_ref().map(|it| it.from.clone()),
                    to: touched.as_ref().map_or(note.to, |it| it.to.clone()),
                    options: note.options,
                    initiated_by: note.initiated_by,
                    created_at: note.created_at,
                    touched: touched.is_some(),
                })
            })
            .collect()
    }

    /// Leaves beside the state what it would take to know this installation again.
    pub(crate) fn note_installation(&self, installation: &Installation) -> Result<()> {
        let path = self.home.notes().join(format!("{}.json", installation.name));
        let note = InstallationNote {
            name: installation.name.clone(),
            folder: installation.folder.clone(),
            profile: installation.profile.clone(),
            application: installation.application.clone(),
            version: installation.version.clone(),
            added_at: installation.added_at,
        };
        leave(&path, &note)
    }

    /// The installation is no longer looked after.
    pub(crate) fn forget_installation(&self, name: &InstallationName) {
        // One that stays behind is found again at the worst.
        let _ = fs::remove_file(self.home.notes().join(format!("{name}.json")));
    }

    /// Leaves in the folder of an upgrade what was asked for.
    pub(crate) fn note_upgrade(&self, upgrade: &Upgrade) -> Result<()> {
        let note = AskedNote {
            installation: upgrade.installation.clone(),
            component: upgrade.component.clone(),
            to: upgrade.to.clone(),
            options: serde_json::to_value(&upgrade.options).unwrap_or_default(),
            initiated_by: upgrade.initiated_by.clone(),
            created_at: upgrade.created_at,
        };
        leave(&asked_file(&self.home, upgrade.id), &note)
    }
}

/// Says that a rebuilding is under way, and where the damaged file is.
fn marker(home: &Home) -> PathBuf {
    home.root().join("rebuilding")
}

fn asked_file(home: &Home, id: UpgradeId) -> PathBuf {
    home.upgrade(id).join("asked.json")
}

fn has_ended(records: &[Map<String, Value>], id: UpgradeId) -> bool {
    let id = id.to_string();
    records.iter().any(|it| it.get("upgrade_id").and_then(Value::as_str) == Some(id.as_str()))
}

/// Once: what is there already says the same.
fn leave<T: Serialize>(path: &Path, note: &T) -> Result<()> {
    if path.is_file() {
        return Ok(());
    }
    make_private_dir(durable::parent(path)?)?;
    durable::write(path, &serde_json::to_vec_pretty(note).unwrap_or_default())
}

/// Every note in a folder that can be read.
fn notes<T: DeserializeOwned>(folder: &Path) -> Vec<T> {
    let files = fs::read_dir(folder).into_iter().flatten().flatten();
    files.filter_map(|it| serde_json::from_slice(&fs::read(it.path()).ok()?).ok()).collect()
}
