//! The verbs about copies of backups: in a second folder, and in storage of objects.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::backups::copies::{self, Bucket, CopyOf, CopyPlace, Folder};
use crate::backups::{self, Backup};
use crate::engine::Engine;
use crate::error::{Error, Kind, Result};
use crate::model::finding::{Finding, Severity};
use crate::model::ids::InstallationName;
use crate::objects::Address;
use crate::ports::Reporter;
use crate::process::Silent;
use crate::state::lease::Lease;
use crate::upgrade::work::this_process;
use crate::view::{BackupView, CopyView, LyingView};

/// A place for copies that was chosen.
enum Chosen {
    Folder(Folder),
    Storage(Box<Address>),
}

/// What became of the last copy to a place that cannot be looked at without asking over the network.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Last {
    /// The newest backup that lies there whole.
    id: Option<String>,
    /// Why a newer one does not.
    failed: Option<Error>,
}

fn last_key(name: &InstallationName, place: &Address) -> String {
    format!("copied:{name}:{}", place.shown())
}

impl Engine {
    /// Chooses the folder to which backups are copied, or no place any more.
    ///
    /// # Errors
    /// `copy_folder_gone`; what the disk answered.
    pub fn copy_backups_to(&self, folder: Option<&Path>) -> Result<()> {
        let Some(folder) = folder else {
            self.choose("copy_storage", None)?;
            return self.choose("copy_folder", None);
        };
        let folder = std::path::absolute(folder).map_err(|cause| Error::io("find", folder, &cause))?;
        self.must_be_unlocked()?;
        Folder::at(&folder).choose(&Silent)?;
        self.choose("copy_folder", Some(&folder.display().to_string()))
    }

    /// Chooses storage of objects to which backups are copied, beside a folder that was chosen. It is tried at once.
    ///
    /// # Errors
    /// `locked`, `key_unreadable`, `key_not_private`; `storage_…`, what it answered. Then nothing was changed here.
    pub fn copy_backups_to_storage(&self, address: &Address, reporter: &dyn Reporter) -> Result<()> {
        self.must_be_unlocked()?;
        self.bucket(address)?.choose(reporter)?;
        self.choose("copy_storage", Some(&address.to_string()))
    }

    /// Copies a backup, or the newest one of an installation, to every place that was chosen, and reads the copies back. What
    /// was cut short is gone on with. Older copies than the newest few go. A place that fails keeps no other one
    /// from getting its copy.
    ///
    /// # Errors
    /// `no_copy_folder`, `copy_folder_gone`, `no_backup`, `busy`; what a disk or the storage answered.
    pub fn copy_backup(
        &self,
        name: &InstallationName,
        path_or_id: Option<&Path>,
        reporter: &dyn Reporter,
    ) -> Result<Vec<CopyView>> {
        let mut db = self.db()?;
        let installation = db.installation(name)?;
        let places = self.chosen()?;
        if places.is_empty() {
            return Err(Error::refused("no_copy_folder", "No place for copies was chosen.").remedy(
                "Choose a folder on another disk, or storage: `liftlock backup copy --to FOLDER`, `--to s3://BUCKET/FOLDER`.",
            ));
        }
        // The keeping rule must not remove what is being copied.
        let holder = this_process(self.clock.as_ref(), "copy")?;
        let _lease = Lease::take(&mut db, &self.home, name, &installation.folder, &holder)?;
        let backup = match path_or_id {
            Some(path) => backups::open(&self.find_backup(path)?)?,
            None => backups::of(&self.home, name, self.clock.now())?.0.into_iter().next().ok_or_else(|| {
                Error::refused("no_backup", format!("{name} has no backup yet."))
                    .remedy(format!("Make one: `liftlock backup create {name}`."))
            })?,
        };
        let (mut views, mut failed) = (Vec::new(), None);
        for place in &places {
            match self.copy_there(name, &backup, place, reporter) {
                Ok(view) => views.push(view),
                Err(error) if error.class == "cancelled" => return Err(error),
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        failed.map_or(Ok(views), Err)
    }

    fn copy_there(
        &self,
        name: &InstallationName,
        backup: &Backup,
        place: &Chosen,
        reporter: &dyn Reporter,
    ) -> Result<CopyView> {
        let copied = self.opened(place).and_then(|place| {
            let copied = copies::copy(backup, place.as_ref(), reporter)?;
            let most = self.db()?.setting("keep_copies")?.parse().unwrap_or(10);
            let newest = CopyOf::backup(backup);
            Ok((copied, copies::thin_out(&newest, place.as_ref(), most, self.clock.now(), reporter)?))
        });
        if let Chosen::Storage(address) = place {
            self.remember(name, address, backup, copied.as_ref().err())?;
        }
        let (copied, removed) = copied?;
        Ok(CopyView {
            backup: BackupView::of(backup),
            path: copied.path,
            bytes_written: copied.written,
            bytes_there_before: copied.there_before,
            removed,
        })
    }

    /// What lies in the places for copies of an installation's backups, newest first.
    ///
    /// # Errors
    /// `unknown_installation`, `no_copy_folder`, `copy_folder_gone`; what a disk or the storage answered.
    pub fn lying_copies(&self, name: &InstallationName, reporter: &dyn Reporter) -> Result<Vec<LyingView>> {
        let mut views = Vec::new();
        let here = self.home.places_of_backups(name)?;
        for place in self.chosen()? {
            let place = self.opened(&place)?;
            for it in copies::lying(name, place.as_ref(), reporter)? {
                let bytes = it.manifest.bytes();
                views.push(LyingView {
                    here: here.iter().any(|place| place.join(&it.copy.id).is_dir()),
                    id: it.copy.id,
                    installation: name.clone(),
                    path: it.path,
                    grade: it.grade.to_owned(),
                    version: it.manifest.version,
                    bytes,
                    note: it.manifest.note,
                    made_at: it.manifest.made_at,
                });
            }
        }
        views.sort_by_key(|it| std::cmp::Reverse(it.made_at));
        Ok(views)
    }

    /// Brings a copy back to this computer, compared with its checksums; it is a backup like any other then.
    ///
    /// # Errors
    /// `unknown_backup`, `already_there`, `no_copy_folder`, `busy`, `no_room`; what a disk or the storage answered.
    pub fn fetch_backup(&self, name: &InstallationName, id: &str, reporter: &dyn Reporter) -> Result<BackupView> {
        let mut db = self.db()?;
        let installation = db.installation(name)?;
        let holder = this_process(self.clock.as_ref(), "fetch")?;
        let _lease = Lease::take(&mut db, &self.home, name, &installation.folder, &holder)?;
        let copy = CopyOf { installation: name.clone(), id: id.to_owned() };
        let mut failed = Error::refused("no_copy_folder", "No place for copies was chosen.")
            .remedy("Say where the copies are: `liftlock backup copy --to FOLDER`, or `--to s3://BUCKET/FOLDER`.");
        let to = self.home.backups(name)?;
        for place in self.chosen()? {
            let fetched = self.opened(&place).and_then(|it| copies::fetch(&copy, it.as_ref(), &to, reporter));
            match fetched {
                Ok(backup) => {
                    self.record(&backup)?;
                    return Ok(BackupView::of(&backup));
                }
                Err(error) if error.class == "cancelled" => return Err(error),
                Err(error) => failed = error,
            }
        }
        Err(failed)
    }

    fn chosen(&self) -> Result<Vec<Chosen>> {
        let db = self.db()?;
        let (folder, storage) = (db.setting("copy_folder")?, db.setting("copy_storage")?);
        let mut places = Vec::new();
        if !folder.is_empty() {
            places.push(Chosen::Folder(Folder::at(folder)));
        }
        if !storage.is_empty() {
            places.push(Chosen::Storage(Box::new(Address::parse(&storage)?)));
        }
        Ok(places)
    }

    fn opened(&self, place: &Chosen) -> Result<Box<dyn CopyPlace>> {
        Ok(match place {
            Chosen::Folder(folder) => Box::new(folder.clone()),
            Chosen::Storage(address) => Box::new(self.bucket(address)?),
        })
    }

    fn bucket(&self, address: &Address) -> Result<Bucket> {
        Bucket::open(address, &self.home.sent_parts())
    }

    fn remember(
        &self,
        name: &InstallationName,
        address: &Address,
        backup: &Backup,
        failed: Option<&Error>,
    ) -> Result<()> {
        let before = self.last(name, address)?;
        // A copy of an older one takes nothing back; what a clock dated that was ahead is no newer than this.
        let known = before.id.filter(|it| failed.is_some() || !copies::is_dated_ahead(it, self.clock.now()));
        let id = if failed.is_some() { known } else { known.max(Some(backup.id())) };
        let text = serde_json::to_string(&Last { id, failed: failed.cloned() })
            .map_err(|cause| Error::bug("state_json", "A record could not be written.").because(&cause))?;
        self.db()?.set_note(&last_key(name, address), &text)
    }

    fn last(&self, name: &InstallationName, address: &Address) -> Result<Last> {
        let kept = self.db()?.note(&last_key(name, address))?;
        Ok(kept.and_then(|it| serde_json::from_str(&it).ok()).unwrap_or_default())
    }

    /// Whether backups are copied anywhere.
    pub(crate) fn has_copy_place(&self) -> Result<bool> {
        Ok(!self.chosen()?.is_empty())
    }

    /// Whether the newest backup lacks a copy in a place that may be there.
    pub(crate) fn may_copy_now(&self, found: &[Backup]) -> Result<bool> {
        let Some(newest) = found.first() else { return Ok(false) };
        let (name, copy) = (&newest.manifest.installation, CopyOf::backup(newest));
        for place in self.chosen()? {
            let lacks = match place {
                Chosen::Folder(folder) => folder.is_connected() && !folder.path(&copy).is_dir(),
                Chosen::Storage(address) => self.last(name, &address)?.id.as_deref() != Some(copy.id.as_str()),
            };
            if lacks {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Warnings where copies are wanted and the newest backup has none. Nothing is asked over the network.
    pub(crate) fn copies_behind(&self, found: &[Backup]) -> Result<Vec<Finding>> {
        let Some(newest) = found.first() else { return Ok(Vec::new()) };
        let (name, copy) = (&newest.manifest.installation, CopyOf::backup(newest));
        let warn = |message: String, remedy: String| Finding::new(Severity::Warning, "copy_behind", message, remedy);
        let again = format!("Make one: `liftlock backup copy --of {name}`.");
        let mut findings = Vec::new();
        for place in self.chosen()? {
            match place {
                Chosen::Folder(folder) if !folder.is_connected() => findings.push(warn(
                    format!("The folder for copies is not there, so {name} has no newer copy: {}.", folder.shown()),
                    format!("Connect its disk or share, then run `liftlock backup copy --of {name}`."),
                )),
                Chosen::Folder(folder) if !folder.path(&copy).is_dir() => {
                    let message = format!("The newest backup of {name} has no copy in {}.", folder.shown());
                    findings.push(warn(message, again.clone()));
                }
                Chosen::Folder(_) => {}
                Chosen::Storage(address) => {
                    let last = self.last(name, &address)?;
                    if last.id.as_deref() == Some(copy.id.as_str()) {
                        continue;
                    }
                    let message = format!("The newest backup of {name} has no copy in {}.", address.shown());
                    findings.push(match last.failed {
                        Some(error) => warn(format!("{message} {}", error.message), error.remedy),
                        None => warn(message, again.clone()),
                    });
                }
            }
        }
        Ok(findings)
    }
}

/// Whether a copy that was not made is only to be tried again: the network is away, as a disk may be.
pub(crate) fn is_away(error: &Error) -> bool {
    error.kind == Kind::Busy
        || ["storage_unreachable", "storage_cut", "storage_silent", "storage_error"].contains(&error.class.as_ref())
}
