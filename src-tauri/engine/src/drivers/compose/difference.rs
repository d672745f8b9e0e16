//! What the compose file of a release asks of the project: laid beside the user's as soon as the release lies unpacked, be it
//! only to be looked at.

use std::collections::BTreeMap;
use std::{env, fs};

use super::Compose;
use crate::docker::Project;
use crate::error::Result;
use crate::model::profile::EnvFile;
use crate::upstream::{self, Difference, Sides};

/// What stands for a setting that nobody has made yet: a port, a size and the name of a volume may be called so.
const UNSET: &str = "1";

impl Compose {
    /// What differs, and what it asks for; nothing where the release is not here yet, or brings no compose file.
    pub(super) fn differences_to(&self, target: &str) -> Result<Difference> {
        Ok(self.compared(target, upstream::compare)?.unwrap_or_default())
    }

    /// The documents laid side by side, for a question about them; `None` where the release is not here yet, or brings no
    /// compose file.
    pub(super) fn compared<T>(&self, target: &str, ask: impl FnOnce(&Sides<'_>) -> T) -> Result<Option<T>> {
        let Some(folder) = self.source_of(target) else { return Ok(None) };
        let files = match self.files_in(&folder) {
            Ok(files) => self.placed_files(files)?,
            Err(error) if self.layout.is_built() => return Err(error),
            // What runs from images needs no file of the release's.
            Err(_) => return Ok(None),
        };
        let current = super::Driver::current_release(self)?;
        let mine = match &current {
            Some(version) => self.project_of(version)?,
            None => self.project.clone(),
        };
        let mine = self.read(&mine)?;
        let before = current.map(|it| self.folder_of(&it)).filter(|it| it.is_dir());
        let before = before.and_then(|it| self.files_in(&it).ok()).map(|it| self.placed_files(it)).transpose()?;
        let before = before.map(|it| self.read(&self.project.with_files(it))).transpose()?;
        let example = self.example.as_ref().map(|it| it.under(&folder));
        let sides = Sides {
            before: before.as_ref().unwrap_or(&mine),
            mine: &mine,
            after: &self.read(&self.project.with_files(files))?,
            settings: &self.settings(),
            example: &example.and_then(|it| fs::read_to_string(it).ok()).unwrap_or_default(),
            is_taken_over: self.layout.is_built(),
        };
        Ok(Some(ask(&sides)))
    }

    /// Everything is read as if it stood in the folder of the project: what belongs to that is found there.
    fn read(&self, project: &Project) -> Result<upstream::Project> {
        let folder = self.dir.to_string_lossy();
        let written = upstream::Project::read(&self.document(project)?, &folder);
        // Which folder is meant is known once its variables are filled in: `${PLACE:-./data}:/data` has three colons, and
        // `${PLACE}` may be what was written out before. One that nobody has set yet is to be no reason to give up.
        // What the environment sets (`${HOME}`) Docker Compose takes from there.
        let settings = self.settings();
        let unset = written.unset(&settings).filter(|it| env::var_os(it).is_none());
        let unset: Vec<_> = unset.map(|it| (it.to_owned(), UNSET.to_owned())).collect();
        Ok(match project.volumes(&unset) {
            Ok(volumes) => written.mounting(&volumes, &folder),
            Err(_) => written,
        })
    }

    fn settings(&self) -> BTreeMap<String, String> {
        let text = fs::read_to_string(self.dir.join(".env")).unwrap_or_default();
        EnvFile::parse(&text).entries().map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
    }
}
