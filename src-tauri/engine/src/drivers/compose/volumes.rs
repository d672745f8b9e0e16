//! Named volumes: where the files of one lie on this machine, who else uses it, and which are in no backup.
//!
//! A volume of the driver `local` is a folder of the machine on which the engine runs. Whoever may read and write there needs
//! nothing of Docker to back it up, to set it aside and to bring it back. Deliberately absent: volumes that are reached in no
//! other way than from within a container. They are refused before anything is touched.

use std::{fs, path::PathBuf};

use super::Compose;
use crate::docker::{Config, Container, Volume};
use crate::drivers::Driver;
use crate::error::{Error, Result};
use crate::model::finding::{Finding, Severity};
use crate::model::profile::{FilesAt, Store};

impl Compose {
    /// The folder of the volume that the compose file calls `key`.
    pub(super) fn folder_of_volume(&self, key: &str) -> Result<PathBuf> {
        let name = self.named(key)?;
        let docker = self.project.docker();
        if !self.volume_is_there(&name)? {
            return Err(Error::refused("volume_missing", format!("There is no volume {name}, which holds “{key}”."))
                .remedy(
                    "Start the application once with “docker compose up -d”, or correct “volume” in the profile.",
                ));
        }
        let told = docker.ask(["volume", "inspect", &name])?;
        let found: Option<Volume> = serde_json::from_str::<Vec<_>>(&told).ok().and_then(|it| it.into_iter().next());
        let volume = found.ok_or_else(|| out_of_reach(&name, "Docker does not say where it is"))?;
        if volume.driver != "local" || volume.options.is_some_and(|it| !it.is_empty()) {
            // What is mounted there only while it is in use, from a place that only its owner knows.
            return Err(out_of_reach(&name, "it lies elsewhere than in a folder of Docker's own"));
        }
        // The same path may be here and hold something else.
        let at = docker.ask(["context", "inspect", "--format", "{{.Endpoints.docker.Host}}"])?;
        if !at.trim().starts_with("unix://") {
            return Err(out_of_reach(&name, "Docker runs on another machine"));
        }
        let opened = fs::read_dir(&volume.mountpoint);
        let why = |cause| format!("{} cannot be read ({cause})", volume.mountpoint.display());
        opened.map_err(|cause| out_of_reach(&name, &why(cause)))?;
        Ok(volume.mountpoint)
    }

    /// The files of the release that is in use.
    fn config_in_use(&self) -> Result<Config> {
        match self.current_release()? {
            Some(version) => self.project_of(&version)?.config(&[]),
            None => self.project.config(&[]),
        }
    }

    /// What the engine calls a volume.
    fn named(&self, key: &str) -> Result<String> {
        let config = self.config_in_use()?;
        self.project.volume_name(&config, key)?.ok_or_else(|| {
            let known: Vec<&str> = config.volumes.keys().map(String::as_str).collect();
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            Error::refused("volume_unknown", format!("The compose file has no volume called “{key}”."))
                .remedy(format!("Correct “volume” of the store in the profile. The compose file has: {known}."))
        })
    }

    /// What a person should know of the volumes of the application. Without a `target` everything is put in another place.
    pub(super) fn findings_of_volumes(&self, target: Option<&str>) -> Result<Vec<Finding>> {
        let mut found = Vec::new();
        for store in &self.stores {
            let Store::Files(it) = store else { continue };
            let FilesAt::Volume(key) = &it.at else { continue };
            if it.immutable && target.is_some() {
                continue;
            }
            let name = match self.named(key) {
                Ok(name) => name,
                // Said of the store itself.
                Err(error) if error.class == "volume_unknown" => continue,
                Err(error) => return Err(error),
            };
            let others = self.others_on(&name)?;
            if !others.is_empty() {
                found.push(in_use(key, &others));
            }
        }
        found.extend(self.not_backed_up()?);
        Ok(found)
    }

    /// Containers that run on a volume and are not stopped for an update.
    fn others_on(&self, volume: &str) -> Result<Vec<String>> {
        let mut ours = Vec::new();
        for (_, service) in &self.components {
            ours.extend(self.project.containers(service)?.into_iter().map(|it: Container| it.id));
        }
        let filter = format!("volume={volume}");
        let told =
            self.project.docker().ask(["ps", "--no-trunc", "--filter", &filter, "--format", "{{.ID}} {{.Names}}"])?;
        let others = told.lines().filter_map(|it| it.split_once(' ')).filter(|(id, _)| !ours.iter().any(|it| it == id));
        Ok(others.map(|(_, name)| name.to_owned()).collect())
    }

    /// Volumes that the application writes to and that no store of the profile names.
    fn not_backed_up(&self) -> Result<Option<Finding>> {
        let databases: Vec<&str> = self
            .stores
            .iter()
            .filter_map(|it| match it {
                Store::Postgres(it) => it.service.as_deref(),
                Store::Sqlite(_) | Store::Files(_) => None,
            })
            .collect();
        let config = self.config_in_use()?;
        let mut unknown = Vec::new();
        for (_, service) in self.components.iter().filter(|(_, it)| !databases.contains(&it.as_str())) {
            for mount in config.services.get(service).map_or(&[][..], |it| &it.volumes) {
                let is_written = mount["type"] == "volume" && mount["read_only"] != true;
                let Some(key) = mount["source"].as_str().filter(|_| is_written) else { continue };
                if unknown.iter().any(|it| it == key) || self.stores.iter().any(|it| it.volume() == Some(key)) {
                    continue;
                }
                // One may be named by its folder too.
                let name = self.project.volume_name(&config, key)?;
                let inside = name.map(|it| format!("/{it}/_data"));
                let is_inside = |store: &Store| {
                    store.path().zip(inside.as_ref()).is_some_and(|(path, inside)| path.as_str().contains(inside))
                };
                if !self.stores.iter().any(is_inside) {
                    unknown.push(key.to_owned());
                }
            }
        }
        Ok((!unknown.is_empty()).then(|| told(&unknown)))
    }
}

fn out_of_reach(name: &str, why: &str) -> Error {
    Error::refused("volume_out_of_reach", format!("Liftlock cannot come at the files in the volume {name}: {why}."))
        .remedy(
            "Run Liftlock as root on the computer on which Docker runs, or keep these files in a folder beside the compose file \
             and name it in “path”. Nothing was stopped.",
        )
}

/// A container that runs on keeps what was there before, whatever is put in its place.
fn in_use(key: &str, others: &[String]) -> Finding {
    Finding::new(
        Severity::Stop,
        "volume_in_use",
        format!(
            "The volume “{key}” is also used by what is not stopped for an update: {}. It would go on with the old files.",
            others.join(", ")
        ),
        "Name its service under [[components]] in the profile, or stop it first. Where old files are never rewritten, say \
         “immutable = true” of the store.",
    )
}

fn told(keys: &[String]) -> Finding {
    Finding::new(
        Severity::Warning,
        "volume_not_backed_up",
        format!(
            "The application writes to volumes that are in no backup, and are not brought back with the data: {}.",
            keys.join(", ")
        ),
        "Where users' work is in them, add a store for each to the profile: kind = \"files\", volume = \"NAME\". Nothing to do where it can be \
         made anew.",
    )
}
