//! The folders of an installation: its releases as Liftlock unpacked them, its settings files, and what people have
//! changed in them by hand.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use semver::Version;

use crate::drivers::settings;
use crate::durable;
use crate::error::{Error, Result};
use crate::model::finding::{Finding, Severity};
use crate::model::profile::{EnvFile, Run};
use crate::ports::Reporter;
use crate::site::Site;
use crate::stores::files::tree::{self, Difference, Tree};

impl Site {
    /// Writes down what the files of a release are like, so that changes by hand are noticed later.
    ///
    /// # Errors
    /// They cannot be read, or it cannot be written.
    pub fn take_baseline(&self, version: &str, reporter: &dyn Reporter) -> Result<()> {
        let folder = self.release_folder(version)?;
        // A release that was there before us need not have a folder where it runs from images, and git knows a checkout.
        if !folder.is_dir() || folder == self.installation.folder {
            return Ok(());
        }
        let tree = tree::list(&folder, reporter)?;
        let path = self.home.baseline(&self.installation.name, version);
        durable::create_private_dir(durable::parent(&path)?)?;
        // Names that are no text cannot be written down; then nothing is claimed about changes.
        match serde_json::to_vec(&tree) {
            Ok(text) => durable::write(&path, &text),
            Err(_) => Ok(()),
        }
    }

    /// Files of the release in use that were changed by hand since Liftlock first saw them, by path.
    ///
    /// # Errors
    /// They cannot be read.
    pub fn changed_by_hand(&self, reporter: &dyn Reporter) -> Result<Vec<PathBuf>> {
        let changed = self.driver.changed_by_hand()?;
        if !changed.is_empty() {
            return Ok(changed);
        }
        let Some(version) = self.driver.current_release()? else { return Ok(Vec::new()) };
        let Some(difference) = self.since_unpacked(&version, reporter)? else { return Ok(Vec::new()) };
        // Programs write caches beside themselves; a file that was added is nobody's change.
        Ok(difference.changed.into_iter().chain(difference.missing).collect())
    }

    /// What became of a release's folder since Liftlock first saw it; `None` where that is not on record.
    fn since_unpacked(&self, version: &str, reporter: &dyn Reporter) -> Result<Option<Difference>> {
        let path = self.home.baseline(&self.installation.name, version);
        let Some(first) = fs::read(&path).ok().and_then(|it| serde_json::from_slice::<Tree>(&it).ok()) else {
            return Ok(None);
        };
        Ok(Some(first.difference(&tree::list(&self.release_folder(version)?, reporter)?)))
    }

    /// The releases that Liftlock unpacked itself, except the one in use.
    ///
    /// # Errors
    /// The folder of releases cannot be read.
    pub fn unpacked_releases(&self) -> Result<Vec<String>> {
        let current = self.driver.current_release()?;
        let Some(folder) = self.releases_folder()?.filter(|it| it.is_dir()) else { return Ok(Vec::new()) };
        let entries = fs::read_dir(&folder).map_err(|cause| Error::io("read", &folder, &cause))?;
        let mut found = Vec::new();
        for entry in entries {
            let entry = entry.map_err(|cause| Error::io("read", &folder, &cause))?;
            let Some(name) = entry.file_name().to_str().map(str::to_owned) else { continue };
            let is_ours = !name.starts_with('.') && entry.path().join(RELEASE_MARK).is_file();
            if is_ours && current.as_deref() != Some(&name) {
                found.push(name);
            }
        }
        Ok(found)
    }

    fn releases_folder(&self) -> Result<Option<PathBuf>> {
        let Some(current) = self.driver.current_release()? else { return Ok(None) };
        // A checkout that runs itself lies among other things than releases.
        let folder = self.driver.release_folder(&current)?.filter(|it| *it != self.installation.folder);
        Ok(folder.and_then(|it| it.parent().map(Path::to_owned)))
    }

    /// Removes a release that Liftlock unpacked, which can be fetched again. One in which anything was changed, added or
    /// taken away since then stays: that is somebody's work. What was added counts only where making a release ready adds
    /// nothing. Of one without a folder, what is kept beside it goes. Answers how large that was, in bytes; `None` where
    /// nothing was removed.
    ///
    /// # Errors
    /// `release_in_use`; what the disk answered.
    pub fn remove_release(&self, version: &str, reporter: &dyn Reporter) -> Result<Option<u64>> {
        if self.driver.current_release()?.as_deref() == Some(version) {
            return Err(Error::bug("release_in_use", "The release in use was to be removed."));
        }
        let folder = self.release_folder(version)?;
        if !folder.exists() {
            return self.driver.forget(version).map(Some);
        }
        let adds_files = self.driver.adds_files();
        let is_untouched = self
            .since_unpacked(version, reporter)?
            .is_some_and(|it| it.changed.is_empty() && it.missing.is_empty() && (adds_files || it.added.is_empty()));
        if !is_untouched || !folder.join(RELEASE_MARK).is_file() {
            return Ok(None);
        }
        // Under its own name it is whole or not there at all: half of one would be taken for a release.
        let bin = durable::parent(&folder)?.join(".removing");
        durable::remove_tree_that_we_made(&bin, REMOVING)?;
        durable::create_marked_dir(&bin, REMOVING)?;
        durable::rename(&folder, &bin.join(version))?;
        durable::fsync_dir(durable::parent(&folder)?)?;
        durable::remove_tree_that_we_made(&bin, REMOVING)?;
        let baseline = self.home.baseline(&self.installation.name, version);
        fs::remove_file(&baseline).map_err(|cause| Error::io("remove", &baseline, &cause))?;
        self.driver.forget(version).map(Some)
    }

    /// What stands in the way in the installation's folder. `leave_changes`: a person knows that files changed by hand
    /// stay behind.
    pub fn look_at_installation(
        &self,
        target: Option<&Version>,
        leave_changes: bool,
        reporter: &dyn Reporter,
    ) -> Vec<Finding> {
        let mut found = Vec::new();
        match self.changed_by_hand(reporter) {
            Ok(changed) if changed.is_empty() => {}
            Ok(changed) => {
                let names: Vec<_> = changed.iter().take(5).map(|it| it.display().to_string()).collect();
                found.push(Finding::new(
                    if leave_changes { Severity::Warning } else { Severity::Stop },
                    "dirty_folder",
                    format!("Files of the release in use were changed by hand: {}.", names.join(", ")),
                    "The new release does not have these changes. Keep them elsewhere, then start the update with \
                     --leave-changes; the old release's folder stays as it is.",
                ));
            }
            Err(error) => found.push(Finding::stop(&error)),
        }
        found.extend(self.odd_settings());
        found.extend(self.driver.obstacles(target.map(ToString::to_string).as_deref()));
        if let Err(error) = self.autostart(reporter) {
            found.push(Finding::stop(&error));
        }
        match self.driver.current_release() {
            Ok(Some(_)) => {}
            Ok(None) => found.push(Finding::new(
                Severity::Stop,
                "no_current_release",
                "The installation points to no release.",
                "Look at its “current” link.",
            )),
            Err(error) => found.push(Finding::stop(&error)),
        }
        if let Some(target) = target {
            found.extend(self.refused_settings(target));
            let taken = self
                .release_folder(&target.to_string())
                .is_ok_and(|folder| folder.exists() && !folder.join(RELEASE_MARK).is_file());
            if taken {
                found.push(Finding::new(
                    Severity::Stop,
                    "release_folder_taken",
                    format!("There is a folder for {target} already, which Liftlock did not make."),
                    "Move this folder away, then try again.",
                ));
            }
        }
        if tempfile::Builder::new().prefix(".liftlock-").tempfile_in(&self.installation.folder).is_err() {
            found.push(Finding::new(
                Severity::Stop,
                "folder_not_writable",
                format!("Liftlock may not write to {}.", self.installation.folder.display()),
                "Run Liftlock as the user who owns this folder.",
            ));
        }
        found
    }

    /// Settings with which the release would not start. Their values are in the profile, so they are no secrets.
    fn refused_settings(&self, target: &Version) -> Vec<Finding> {
        let mut found = Vec::new();
        for declared in self.profile.settings.iter().filter(|it| !it.refused.is_empty()) {
            // One that cannot be read is told by whoever needs it.
            let path = declared.file.under(&self.installation.folder);
            let Ok(text) = fs::read_to_string(path) else { continue };
            let settings = EnvFile::parse(&text);
            for refused in declared.refused.iter().filter(|it| *target >= it.from) {
                if settings.value(&refused.key) == Some(&refused.value) {
                    let (file, key) = (&declared.file, &refused.key);
                    let message = format!("{target} does not start while {key} in {file} is “{}”.", refused.value);
                    found.push(Finding::new(Severity::Stop, "setting_refused", message, &refused.remedy));
                }
            }
        }
        found
    }

    /// Lines of settings files that mean nothing: half of a typing error shows as a setting that is not there.
    fn odd_settings(&self) -> Vec<Finding> {
        let folder = &self.installation.folder;
        let of_components = self.profile.components.iter().filter_map(|it| match &it.run {
            Run::Command(command) => command.env_file.as_ref().map(|it| it.under(folder)),
            Run::Unit { .. } | Run::Service { .. } => None,
        });
        let files: BTreeSet<PathBuf> =
            self.profile.settings.iter().map(|it| it.file.under(folder)).chain(of_components).collect();
        let mut found = Vec::new();
        for file in files {
            // One that cannot be read is told by whoever needs it.
            let Ok(text) = fs::read_to_string(&file) else { continue };
            let file = file.strip_prefix(folder).unwrap_or(&file).display().to_string();
            found.extend(settings::bad_lines(&text).into_iter().map(|bad| {
                Finding::new(
                    Severity::Warning,
                    "bad_setting_line",
                    format!("Line {} of {file} means nothing: {}.", bad.line, bad.reason),
                    "Correct or remove this line; it is left out until then.",
                )
            }));
        }
        found
    }
}

/// What is written into a release folder before it gets its name: the digest of the asset that it came from.
const RELEASE_MARK: &str = ".liftlock-release";

/// Whether the folder of a release was unpacked by Liftlock from the asset with this digest.
pub fn is_release_from(folder: &Path, sha256: &str) -> bool {
    fs::read_to_string(folder.join(RELEASE_MARK)).is_ok_and(|it| it.trim() == sha256)
}

/// Writes down from which asset a release folder was unpacked.
///
/// # Errors
/// What the disk answered.
pub fn mark_release(folder: &Path, sha256: &str) -> Result<()> {
    durable::write(&folder.join(RELEASE_MARK), format!("{sha256}\n").as_bytes())
}

/// What the folder is marked with in which a release lies while it is removed.
const REMOVING: &str = "release";
