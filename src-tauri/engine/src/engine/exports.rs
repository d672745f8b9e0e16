//! The verbs about exports.

use std::path::{Path, PathBuf};

use crate::drivers::Gate;
use crate::durable;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::export::manifest::{BytesForm, Entity, FileFormat, Manifest};
use crate::export::packed::{self, Opened};
use crate::export::{self, Request, check};
use crate::model::ids::InstallationName;
use crate::ports::Reporter;
use crate::site::Site;
use crate::state::lease::Lease;
use crate::upgrade::work::this_process;
use crate::view::{ExportView, ExportedView};

/// What a person chose to export.
#[derive(Debug, Clone, Default)]
pub struct ExportChoice {
    /// The folder or zip to make; one below Liftlock's home otherwise.
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
    /// How pictures and other bytes are written.
    pub bytes: BytesForm,
    /// One zip instead of a folder.
    pub zip: bool,
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
        let sources = site.all_sources();
        let into = match &choice.to {
            Some(to) => std::path::absolute(to).map_err(|cause| Error::io("find", to, &cause))?,
            None => {
                let moment = self.clock.now().format("%Y-%m-%dT%H-%M-%SZ").to_string();
                self.home.root().join("exports").join(name.as_str()).join(moment)
            }
        };
        let is_called_zip = into.extension().is_some_and(|it| it.eq_ignore_ascii_case("zip"));
        let into = if choice.zip && !is_called_zip { durable::beside(&into, ".zip") } else { into };
        let declared = site.exports();
        let both = [FileFormat::Csv, FileFormat::JsonLines];
        let request = Request {
            into: &into,
            application: &site.profile.application.name,
            installation: name.as_str(),
            version: version.as_deref(),
            declared: if choice.as_tables { &[] } else { &declared },
            only: &choice.only,
            everything: choice.everything,
            formats: if choice.formats.is_empty() { &both } else { &choice.formats },
            separator: choice.separator.unwrap_or(','),
            bytes: choice.bytes,
            zip: choice.zip,
        };
        let manifest = export::export(&request, &sources, self.clock.as_ref(), reporter)?;
        let kept: u64 = manifest.entities.iter().flat_map(Entity::folders).map(|it| it.1).sum();
        let files = packed::files(&manifest).len() as u64 + kept;
        Ok(view(&into, manifest, files))
    }

    /// Reads every file of an export back and compares it with what the database gave when it was made.
    ///
    /// # Errors
    /// `not_an_export`; those of [`packed::opened`] and [`check::check`].
    pub fn check_export(&self, from: &Path, reporter: &dyn Reporter) -> Result<ExportView> {
        let manifest = export::open(from)?;
        let opened = self.opened_export(from, reporter)?;
        let checked = check::check(&opened.folder, &manifest, reporter)?;
        Ok(view(from, manifest, checked.files))
    }

    /// The folder of an export, where what a zip holds is laid out for as long as the answer lives.
    pub(super) fn opened_export(&self, from: &Path, reporter: &dyn Reporter) -> Result<Opened> {
        packed::opened(from, &self.home.root().join("unpacked"), reporter)
    }
}

fn view(folder: &Path, manifest: Manifest, files_checked: u64) -> ExportView {
    ExportView {
        folder: folder.display().to_string(),
        installation: manifest.installation,
        version: manifest.version,
        made_at: manifest.made_at,
        notes: manifest.notes,
        entities: manifest
            .entities
            .into_iter()
            .map(|it| ExportedView {
                bytes: bytes_of(&it),
                files: files_of(&it),
                entity: it.entity,
                table: it.table,
                rows: it.rows,
                deleted: it.deleted.map_or(0, |it| it.rows),
                left_out: it.left_out,
            })
            .collect(),
        files_checked,
    }
}

/// How much the files of an entity hold, with those in its folders.
pub(super) fn bytes_of(entity: &Entity) -> u64 {
    entity.files.iter().map(|it| it.bytes).sum::<u64>() + entity.folders().map(|it| it.2).sum::<u64>()
}

/// Its files, and its folders by their number of files.
pub(super) fn files_of(entity: &Entity) -> Vec<String> {
    let folders = entity.folders().map(|(folder, files, _)| format!("{folder}/ ({files})"));
    entity.files.iter().map(|it| it.file.clone()).chain(folders).collect()
}
