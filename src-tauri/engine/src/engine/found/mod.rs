//! The first steps: which applications are on this computer, and what has to be asked before one is looked after.
//!
//! Finding only looks. What a person answers changes the copy of the profile that the installation keeps, nothing else;
//! a password goes into a file of its own, which that copy names.

mod parts;
mod places;
mod questions;

pub(super) use questions::with_release_rule;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use zeroize::Zeroizing;

use crate::docker::Docker;
use crate::drivers;
use crate::engine::{AddRequest, Engine};
use crate::error::{Error, Result};
use crate::model::ids::InstallationName;
use crate::model::profile::{Driver, Profile};
use crate::process::SystemRunner;
use crate::profiles;
use crate::view::window::AskedView;
use crate::view::{FindView, FoundView, InstallationView};

/// What a search has seen.
#[derive(Debug)]
pub struct Search {
    /// What could be looked after and is not yet.
    pub found: Vec<Found>,
    /// How many Docker Compose projects were looked at.
    pub projects: u64,
    /// How many folders were looked at.
    pub folders: u64,
}

/// An application that was recognised, and what was answered about it so far.
#[derive(Clone)]
pub struct Found {
    /// Its folder.
    pub folder: PathBuf,
    /// What people call it.
    pub title: String,
    /// Id of its profile.
    pub application: String,
    /// The version in its folder.
    pub version: Option<String>,
    /// Why it was recognised, for people.
    pub reason: String,
    /// What an update stops, what runs on, what a backup holds, and where visitors come in: a sentence each.
    pub parts: Vec<String>,
    /// What has to be answered first.
    pub questions: Vec<AskedView>,
    /// Its profile, with the answers in it.
    profile: String,
    /// The passwords that were answered, by store. They reach the disk when it is looked after.
    passwords: Vec<(String, Zeroizing<String>)>,
}

impl std::fmt::Debug for Found {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Found").field("application", &self.application).field("folder", &self.folder).finish()
    }
}

impl Search {
    /// As a document.
    pub fn view(&self) -> FindView {
        let found = self.found.iter().map(Found::view).collect();
        FindView { found, projects: self.projects, folders: self.folders }
    }
}

impl Found {
    /// As a document.
    pub fn view(&self) -> FoundView {
        FoundView {
            application: self.application.clone(),
            title: self.title.clone(),
            version: self.version.clone(),
            reason: self.reason.clone(),
            folder: self.folder.display().to_string(),
            parts: self.parts.clone(),
        }
    }
}

impl Engine {
    /// Looks for applications that built-in profiles know and that are not looked after yet: in the folders of what
    /// runs, of Docker Compose projects, and where applications stand as a rule.
    ///
    /// # Errors
    /// Those of the state itself. A folder that cannot be read is passed over.
    pub fn find_applications(&self) -> Result<Search> {
        let taken: BTreeSet<PathBuf> = self.db()?.installations()?.into_iter().map(|it| it.folder).collect();
        let projects = places::compose_projects();
        let folders: Vec<PathBuf> = projects.iter().map(|it| it.folder.clone()).collect();
        let places = places::all(&folders, self.home());
        let mut found = Vec::new();
        for folder in &places {
            if taken.contains(folder) {
                continue;
            }
            if let Ok(it) = self.recognise(folder) {
                found.push(it);
            }
        }
        Ok(Search { found, projects: projects.len() as u64, folders: places.len() as u64 })
    }

    /// Which application is in a folder, by the files that built-in profiles name, and what has to be asked about it.
    /// Only looks.
    ///
    /// # Errors
    /// `not_recognised`.
    pub fn recognise(&self, folder: &Path) -> Result<Found> {
        if let Some((id, text, profile)) = fitting(folder)? {
            let files = &profile.recognise.files;
            let names: Vec<_> = files.iter().map(|it| it.as_str()).collect();
            let docker = Docker::new(Arc::new(SystemRunner::new()));
            let driver = drivers::of(&profile, folder, None, &docker);
            let mut found = Found {
                folder: folder.to_owned(),
                application: id.to_owned(),
                version: driver.current_release().ok().flatten(),
                reason: names.join(", "),
                parts: parts::of(&profile, driver.as_ref(), folder, &docker),
                questions: Vec::new(),
                profile: text.to_owned(),
                passwords: Vec::new(),
                title: profile.application.name,
            };
            found.questions = self.questions(&found)?;
            return Ok(found);
        }
        Err(Error::refused("not_recognised", format!("No known application was found in {}.", folder.display()))
            .remedy("Choose the folder in which the application is installed, or add it with a profile of its own."))
    }

    /// Looks after what was found, under the first name that is free.
    ///
    /// # Errors
    /// As [`Engine::add`].
    pub fn add_found(&self, found: &Found, title: Option<&str>) -> Result<InstallationView> {
        self.must_be_unlocked()?;
        let name = self.free_name(&found.application)?;
        let mut text = found.profile.clone();
        if let Some(title) = title.map(str::trim).filter(|it| !it.is_empty() && *it != found.title) {
            text = questions::with_title(&text, title)?;
        }
        for (store, password) in &found.passwords {
            let file = self.home.credential(&name, store);
            questions::keep_password(&file, password)?;
            text = questions::with_passfile(&text, store, &file)?;
        }
        let profile = Profile::parse(&text).map_err(|mistakes| profiles::invalid(&found.application, &mistakes))?;
        self.look_after(
            profile,
            &AddRequest { profile: found.application.clone(), folder: found.folder.clone(), name: Some(name) },
        )
    }

    fn free_name(&self, application: &str) -> Result<InstallationName> {
        let taken: BTreeSet<String> = self.db()?.installations()?.into_iter().map(|it| it.name.to_string()).collect();
        let mut name = application.to_owned();
        for further in 2.. {
            if !taken.contains(&name) {
                break;
            }
            name = format!("{application}-{further}");
        }
        name.parse()
    }
}

/// The built-in profile whose files are all in a folder. A checkout has those for Docker whether or not it is run in it: where
/// one fits that runs without, that one counts, unless the folder's containers run.
fn fitting(folder: &Path) -> Result<Option<(&'static str, &'static str, Profile)>> {
    let mut fitting = Vec::new();
    for (id, text) in profiles::built_in() {
        let profile = profiles::resolve(id)?;
        let files = &profile.recognise.files;
        if !files.is_empty() && files.iter().all(|it| it.under(folder).exists()) {
            fitting.push((*id, *text, profile));
        }
    }
    if fitting.len() > 1 {
        let runs = places::compose_projects()
            .iter()
            .any(|it| it.runs && it.folder.canonicalize().is_ok_and(|it| it == folder));
        let counts = |profile: &Profile| matches!(profile.driver, Driver::Compose(_)) == runs;
        if let Some(at) = fitting.iter().position(|it| counts(&it.2)) {
            return Ok(Some(fitting.swap_remove(at)));
        }
    }
    Ok(fitting.into_iter().next())
}

#[cfg(test)]
mod tests;
