//! Named volumes: where the files of one lie on this machine, who else uses it, and which are in no backup.
//!
//! A volume of the driver `local` is a folder of the machine on which the engine runs. Whoever may read and write there needs
//! nothing of Docker to back it up, to set it aside and to bring it back; everybody else has it done by our own program in a
//! container. Deliberately absent: volumes that are no such folder. They are refused before anything is touched.

use std::{
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
};

use super::{Compose, errand};
use crate::docker::{Config, Container, Ourselves, Reach, Volume};
use crate::drivers::Driver;
use crate::error::{Error, Result};
use crate::model::finding::{Finding, Severity};
use crate::model::profile::Store;

impl Compose {
    /// The folder of the volume that the compose file calls `key`, and the way there.
    pub(super) fn folder_of_volume(&self, key: &str) -> Result<Reach> {
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
        let why = |cause: &str| format!("{} cannot be read ({cause})", volume.mountpoint.display());
        let through = match fs::read_dir(&volume.mountpoint) {
            Ok(_) => None,
            Err(cause) if cause.kind() == ErrorKind::PermissionDenied && cfg!(target_os = "linux") => {
                let ourselves = Ourselves::on(docker);
                Some(
                    ourselves
                        .map_err(|cause| with_details(out_of_reach(&name, &why(&cause.message)), cause.details))?,
                )
            }
            Err(cause) => return Err(out_of_reach(&name, &why(&cause.to_string()))),
        };
        let label = format!("{}={}", errand::LABEL, self.project.name()?);
        Ok(Reach { folder: volume.mountpoint, volume: name, label, through })
    }

    /// The files of the release that is in use.
    pub(super) fn config_in_use(&self) -> Result<Config> {
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

    /// What a person should know of the volumes and folders of the application. Without a `target` everything is put in another
    /// place.
    pub(super) fn findings_of_volumes(&self, target: Option<&str>) -> Result<Vec<Finding>> {
        let stays = |it: &Store| matches!(it, Store::Files(it) if it.immutable) && target.is_some();
        let mut places = Vec::new();
        for store in self.stores.iter().filter(|it| !stays(it)) {
            places.extend(self.place_of(store)?);
        }
        let mut found = Vec::new();
        if !places.is_empty() {
            let others = self.others()?;
            for place in places {
                let on_it = others.iter().filter(|(_, mounts)| mounts.iter().any(|it| place.is_kept_by(it)));
                let names: Vec<&str> = on_it.map(|(name, _)| name.as_str()).collect();
                if !names.is_empty() {
                    found.push(in_use(&place, &names));
                }
            }
        }
        found.extend(self.not_backed_up()?);
        Ok(found)
    }

    fn place_of(&self, store: &Store) -> Result<Option<Place>> {
        let Some(key) = store.volume() else {
            return Ok(store.path().map(|it| Place::Folder(it.as_str().to_owned(), real(&it.under(&self.dir)))));
        };
        match self.named(key) {
            Ok(name) => Ok(Some(Place::Volume(key.to_owned(), name))),
            // Said of the store itself.
            Err(error) if error.class == "volume_unknown" => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Containers that run and are not stopped for an update, with the volumes and folders that are mounted into them.
    fn others(&self) -> Result<Vec<(String, Vec<String>)>> {
        let mut ours = Vec::new();
        for (_, service) in &self.components {
            ours.extend(self.project.containers(service)?.into_iter().map(|it: Container| it.id));
        }
        let told = self.project.docker().ask(["ps", "--no-trunc", "--format", "{{.ID}}\t{{.Names}}\t{{.Mounts}}"])?;
        let other = |line: &str| {
            let mut parts = line.split('\t');
            let (id, name, mounts) = (parts.next()?, parts.next()?, parts.next()?);
            let mounts = mounts.split(',').filter(|it| !it.is_empty()).map(str::to_owned).collect();
            (!ours.iter().any(|it| it == id)).then(|| (name.to_owned(), mounts))
        };
        Ok(told.lines().filter_map(other).collect())
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

fn with_details(error: Error, details: Vec<String>) -> Error {
    details.into_iter().fold(error, Error::detail)
}

fn out_of_reach(name: &str, why: &str) -> Error {
    Error::refused("volume_out_of_reach", format!("Liftlock cannot come at the files in the volume {name}: {why}."))
        .remedy(
            "Run Liftlock as root on the computer on which Docker runs, or keep these files in a folder beside the compose file \
             and name it in “path”. Nothing was stopped.",
        )
}

/// What a store lies in, as the profile calls it and where it is.
enum Place {
    Volume(String, String),
    Folder(String, PathBuf),
}

impl Place {
    /// Whether a container with this mount keeps what is there now, whatever is put in its place. One that has mounted a
    /// folder above sees what is.
    fn is_kept_by(&self, mount: &str) -> bool {
        match self {
            Self::Volume(_, name) => mount == name,
            Self::Folder(_, path) => real(Path::new(mount)).starts_with(path),
        }
    }
}

/// Without the links on the way, where it is there.
fn real(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

/// A container that runs on keeps what was there before, whatever is put in its place.
fn in_use(place: &Place, others: &[&str]) -> Finding {
    let what = match place {
        Place::Volume(key, _) => format!("volume “{key}”"),
        Place::Folder(path, _) => format!("folder “{path}”"),
    };
    Finding::new(
        Severity::Stop,
        "volume_in_use",
        format!(
            "The {what} is also used by what is not stopped for an update: {}. It would go on with the old files.",
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
