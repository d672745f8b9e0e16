//! The verbs about exports.

use std::path::{Path, PathBuf};

use crate::drivers::Gate;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::export::manifest::{FileFormat, Manifest};
use crate::export::{self, Request, check};
use crate::model::ids::InstallationName;
use crate::ports::Reporter;
use crate::site::Site;
use crate::state::lease::Lease;
use crate::stores::DataStore;
use crate::upgrade::work::this_process;
use crate::view::{ExportView, ExportedView};

/// What a person chose to export.
#[derive(Debug, Clone, Default)]
pub struct ExportChoice {
    /// The folder to make; one below Liftlock's home otherwise.
    pub to: Option<PathBuf>,
    /// Only these entities; all where empty.
    pub only: Vec<String>,
    /// Every other table too.
    pub everything: bool,
    /// The tables themselves, whatever the profile names.
    pub as_tables: bool,
    /// The forms of files; CSV and JSON lines where empty.
    pub formats: Vec<FileFormat>,
    /// What separates the fields of CSV files; a comma otherwise.
    pub separator: Option<char>,
}

impl Engine {
    /// Exports what was chosen, reads every file back and compares, in this process. It holds the lease meanwhile; the
    /// application stays up and is only read.
    ///
    /// # Errors
    /// `unknown_installation`, `busy`; those of [`export::export`].
    pub fn export(
        &self,
        name: &InstallationName,
        choice: &ExportChoice,
        reporter: &dyn Reporter,
    ) -> Result<ExportView> {
        let mut db = self.db()?;
        let installation = db.installation(name)?;
        let holder = this_process(self.clock.as_ref(), "export")?;
        let _lease = Lease::take(&mut db, &self.home, name, &installation.folder, &holder)?;
        let site = self.site(&installation)?;
        let version = site.ask_version(Gate::Public, reporter).ok().map(|it| it.to_string()).or(installation.version);
        self.export_of(&site, version, choice, reporter)
    }

    /// The same for an installation that was looked up, by whoever holds its lease.
    pub(super) fn export_of(
        &self,
        site: &Site,
        version: Option<String>,
        choice: &ExportChoice,
        reporter: &dyn Reporter,
    ) -> Result<ExportView> {
        let name = &site.installation.name;
        let stores: Vec<&dyn DataStore> = site.stores.iter().map(AsRef::as_ref).collect();
        let into = match &choice.to {
            Some(to) => std::path::absolute(to).map_err(|cause| Error::io("find", to, &cause))?,
            None => {
                let moment = self.clock.now().format("%Y-%m-%dT%H-%M-%SZ").to_string();
                self.home.root().join("exports").join(name.as_str()).join(moment)
            }
        };
        let both = [FileFormat::Csv, FileFormat::JsonLines];
        let request = Request {
            into: &into,
            application: &site.profile.application.name,
            installation: name.as_str(),
            version: version.as_deref(),
            declared: if choice.as_tables { &[] } else { &site.profile.exports },
            only: &choice.only,
            everything: choice.everything,
            formats: if choice.formats.is_empty() { &both } else { &choice.formats },
            separator: choice.separator.unwrap_or(','),
        };
        let manifest = export::export(&request, &stores, self.clock.as_ref(), reporter)?;
        let files = manifest.entities.iter().map(|it| it.files.len() as u64).sum();
        Ok(view(&into, manifest, files))
    }

    /// Reads every file of an export back and compares it with what the database gave when it was made.
    ///
    /// # Errors
    /// `not_an_export`; those of [`check::check`].
    pub fn check_export(&self, folder: &Path, reporter: &dyn Reporter) -> Result<ExportView> {
        let manifest = export::open(folder)?;
        let checked = check::check(folder, &manifest, reporter)?;
        Ok(view(folder, manifest, checked.files))
    }
}

fn view(folder: &Path, manifest: Manifest, files_checked: u64) -> ExportView {
    ExportView {
        folder: folder.display().to_string(),
        installation: manifest.installation,
        version: manifest.version,
        made_at: manifest.made_at,
        entities: manifest
            .entities
            .into_iter()
            .map(|it| ExportedView {
                entity: it.entity,
                table: it.table,
                rows: it.rows,
                bytes: it.files.iter().map(|file| file.bytes).sum(),
                files: it.files.into_iter().map(|file| file.file).collect(),
                left_out: it.left_out,
            })
            .collect(),
        files_checked,
    }
}
