//! The verbs about copies of backups: in a second folder, and in storage of objects.

use std::path::Path;

use crate::backups::copies::{self, Bucket, CopyOf, CopyPlace, Folder};
use crate::backups::{self, Backup};
use crate::engine::Engine;
use crate::error::{Error, Kind, Result};
use crate::model::ids::InstallationName;
use crate::objects::Address;
use crate::pace::Part;
use crate::ports::Reporter;
use crate::process::Silent;
use crate::state::lease::Lease;
use crate::upgrade::work::this_process;
use crate::view::{BackupView, CopyView, LyingView};

/// The share of reading a backup in making its copy anew.
const READING: f64 = 0.2;

/// A place for copies that was chosen.
pub(super) enum Chosen {
    Folder(Folder),
    Storage(Box<Address>),
}

impl Chosen {
    /// What a person calls it.
    pub(super) fn shown(&self) -> String {
        match self {
            Self::Folder(folder) => folder.shown(),
            Self::Storage(address) => address.shown(),
        }
    }
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

    /// Makes copies of a backup anew where they were found damaged: the backup here is read first, and is whole before
    /// anything there goes.
    ///
    /// # Errors
    /// `locked`, `unknown_backup`, `backup_damaged`, `copy_not_damaged`, `busy`; what a disk or the storage answered.
    pub fn renew_copy(&self, path_or_id: &Path, reporter: &dyn Reporter) -> Result<Vec<CopyView>> {
        self.must_be_unlocked()?;
        let backup = backups::open(&self.find_backup(path_or_id)?)?;
        let mut db = self.db()?;
        let installation = db.installation(&backup.manifest.installation)?;
        let (name, copy) = (&installation.name, CopyOf::backup(&backup));
        let holder = this_process(self.clock.as_ref(), "copy")?;
        let _lease = Lease::take(&mut db, &self.home, name, &installation.folder, &holder)?;
        let mut damaged = self.chosen()?;
        damaged.retain(|it| self.is_copy_damaged(name, it, &copy.id));
        if damaged.is_empty() {
            return Err(Error::refused("copy_not_damaged", format!("No copy of {} is known to be damaged.", copy.id))
                .remedy("Read it again first: `liftlock backup copy` does, where there is one."));
        }
        backups::check(&backup, &Part::begin(reporter, (0.0, READING), None))?;
        let reporter = &Part::begin(reporter, (READING, 1.0), None);
        let renew = |place: &Chosen| {
            let there = self.opened(place)?;
            there.expect_ours(reporter)?;
            if there.has(&copy, reporter)? {
                there.remove(&copy, reporter)?;
            }
            self.copy_there(name, &backup, place, reporter)
        };
        damaged.iter().map(renew).collect()
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
        self.remember(name, place, backup, copied.as_ref().err())?;
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

    pub(super) fn chosen(&self) -> Result<Vec<Chosen>> {
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

    pub(super) fn opened(&self, place: &Chosen) -> Result<Box<dyn CopyPlace>> {
        Ok(match place {
            Chosen::Folder(folder) => Box::new(folder.clone()),
            Chosen::Storage(address) => Box::new(self.bucket(address)?),
        })
    }

    fn bucket(&self, address: &Address) -> Result<Bucket> {
        Bucket::open(address, &self.home.sent_parts())
    }
}

/// Whether a copy that was not made is only to be tried again: the network is away, as a disk may be.
pub(crate) fn is_away(error: &Error) -> bool {
    error.kind == Kind::Busy
        || ["storage_unreachable", "storage_cut", "storage_silent", "storage_error"].contains(&error.class.as_ref())
}
