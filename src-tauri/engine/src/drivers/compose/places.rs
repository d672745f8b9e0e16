//! Where the data of this installation lies, where that is otherwise than a release's compose file says.
//!
//! A release may call a volume by another name than the one that holds the data. Nothing is copied or renamed then: what
//! the release calls it is made to mean the volume that is there, by an override of ours that every call of Docker Compose
//! is given, also those that a person types. It holds for every later release, and for the old files too. A volume that is
//! named so counts as external: `docker compose down --volumes` leaves it alone.
//!
//! Where a database was moved to another major version, its image and its volume are said in the same way.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Compose, OURS, overlay, pin};
use crate::docker::Project;
use crate::error::{Error, Result};
use crate::upstream::Renamed;

/// What was said once, in the folder of ours.
const RECORD: &str = "places.json";

/// What our override says of places.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Places {
    /// What compose files call a volume, and what the engine calls the one that holds the data.
    #[serde(default)]
    pub(super) volumes: BTreeMap<String, String>,
    /// Services of databases that were moved.
    #[serde(default)]
    pub(super) servers: BTreeMap<String, Server>,
}

/// A database server that was given another image than the one of the compose files that it came with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Server {
    /// Its image.
    pub(super) image: String,
    /// All that is mounted into it, where its data is in another folder than before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) mounts: Option<Vec<Value>>,
}

impl Places {
    /// As services of an override file, each as `change` leaves it.
    pub(super) fn services_text(&self, change: impl Fn(&str, String) -> String) -> String {
        let one = |(name, server): (&String, &Server)| {
            let mut yaml = format!("  {}:\n    image: {}\n", overlay::text(name), overlay::text(&server.image));
            yaml.push_str(&server.mounts_text());
            change(name, yaml)
        };
        self.servers.iter().map(one).collect()
    }

    /// The whole of it, as an override file by itself or after the services of one.
    pub(super) fn after(&self, services: &str) -> String {
        let servers = self.services_text(|_, it| it);
        let head = if services.is_empty() && !servers.is_empty() { "services:\n" } else { "" };
        format!("{head}{services}{servers}{}", self.volumes_text())
    }

    /// Where data lies, and not by which server it is read: what a release asks for is compared with that.
    fn mounts_only(&self) -> String {
        let moved = self.servers.iter().filter(|(_, it)| it.mounts.is_some());
        let services: String =
            moved.map(|(name, it)| format!("  {}:\n{}", overlay::text(name), it.mounts_text())).collect();
        let head = if services.is_empty() { "" } else { "services:\n" };
        format!("{head}{services}{}", self.volumes_text())
    }

    /// As a part of an override file, after its services; nothing where nothing was said.
    pub(super) fn volumes_text(&self) -> String {
        if self.volumes.is_empty() {
            return String::new();
        }
        self.volumes.iter().fold("volumes:\n".to_owned(), |yaml, (key, volume)| {
            let (key, volume) = (overlay::text(key), overlay::text(volume));
            yaml + &format!("  {key}: !override\n    name: {volume}\n    external: true\n")
        })
    }
}

impl Server {
    fn mounts_text(&self) -> String {
        let Some(mounts) = &self.mounts else { return String::new() };
        let mounts: Vec<String> = mounts.iter().map(|it| overlay::escaped(it).to_string()).collect();
        format!("    volumes: !override [{}]\n", mounts.join(", "))
    }
}

impl Compose {
    pub(super) fn places(&self) -> Result<Places> {
        let file = self.dir.join(OURS).join(RECORD);
        let bytes = match std::fs::read(&file) {
            Ok(bytes) => bytes,
            Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Ok(Places::default()),
            Err(cause) => return Err(Error::io("read", &file, &cause)),
        };
        // One that cannot be read is never taken for none: the data would look empty.
        serde_json::from_slice(&bytes).map_err(|cause| {
            Error::failed("places_unreadable", format!("{} does not tell where the data lies.", file.display()))
                .remedy(
                    "Bring the file back from a copy. The last lines of the override file of Liftlock's own in that folder say the same.",
                )
                .because(&cause)
        })
    }

    /// An override of ours with what was said of places.
    pub(super) fn with_places(&self, services: &str) -> Result<String> {
        Ok(self.places()?.after(services))
    }

    /// The project with what was said of places; one whose files Docker Compose finds by itself has it in our override.
    pub(super) fn placed(&self, project: Project) -> Result<Project> {
        let places = self.places()?;
        if places == Places::default() || !project.has_files() {
            return Ok(project);
        }
        let file = self.ours("places.yaml", &places.after(""))?;
        Ok(project.with_more_files(file))
    }

    /// Lets what a release calls its volumes mean those that hold the data. The override is there before the record: whoever
    /// is interrupted in between finds the release still refused, and says it once more.
    pub(super) fn say_volumes(&self, renamed: &[Renamed]) -> Result<Vec<String>> {
        let mut places = self.places()?;
        places.volumes.extend(renamed.iter().map(|it| (it.key.clone(), it.volume.clone())));
        self.say(&places)?;
        let file = self.override_file();
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        let said = |it: &Renamed| {
            format!(
                "Your data stays in the volume {}. {name} in the folder of the application says that it is what the new version \
                 calls {}.",
                it.volume, it.key
            )
        };
        Ok(renamed.iter().map(said).collect())
    }

    pub(super) fn say(&self, places: &Places) -> Result<()> {
        let version = pin::said(&self.dir, &self.layout)?;
        let services = version.as_deref().map(|it| self.override_of(it, places)).transpose()?;
        let text = services.unwrap_or_else(|| places.after(""));
        if text.is_empty() {
            pin::remove_override(&self.dir, &self.layout)?;
        } else {
            pin::write_override(&self.dir, &self.layout, version.as_deref(), &text)?;
        }
        crate::crash::point("forward", "say_places", crate::crash::Moment::MidEffect);
        let record = serde_json::to_string_pretty(places)
            .map_err(|cause| Error::bug("state_json", "A record could not be written.").because(&cause))?;
        self.ours(RECORD, &record).map(drop)
    }

    /// What was found out of how files call volumes, where the release lies here.
    pub(super) fn renamed_by(&self, target: &str) -> Result<Vec<Renamed>> {
        if !self.layout.is_built() {
            return Err(Error::refused(
                "nothing_to_move",
                "Your own compose file says where the data lies, and stays as it is.",
            )
            .remedy("Nothing needs to be done. Change that file yourself where you want another volume."));
        }
        self.source_of(target).ok_or_else(|| not_here(target))?;
        self.compared(target, crate::upstream::renamed_volumes)?.ok_or_else(|| {
            Error::refused("nothing_to_move", format!("{target} brings no compose file."))
                .remedy("Nothing needs to be done.")
        })
    }

    /// The paths that hold what was said.
    pub(super) fn placed_files(&self, mut files: Vec<PathBuf>) -> Result<Vec<PathBuf>> {
        let places = self.places()?;
        if places != Places::default() {
            files.push(self.ours("mounts.yaml", &places.mounts_only())?);
        }
        Ok(files)
    }
}

pub(super) fn not_here(target: &str) -> Error {
    Error::refused("release_not_here", format!("The source of {target} is not here yet.")).remedy(format!(
        "Look at the update to {target} (`liftlock plan`): that fetches the source and says what is different. Then say this again."
    ))
}
