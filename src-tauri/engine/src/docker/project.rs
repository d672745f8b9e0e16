//! A project of Docker Compose in its folder, as Docker Compose itself understands it.

use std::{
    collections::BTreeMap,
    fs,
    net::IpAddr,
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
};

use serde::Deserialize;
use serde_json::Value;

use super::{Docker, QUESTION, invocation, succeeded};
use crate::error::{Error, Result};
use crate::model::profile::EnvFile;
use crate::ports::Invocation;
use crate::process::Silent;

/// What Docker Compose looks for, likely first; beside each its override.
const FILES: [(&str, &[&str]); 4] = [
    ("compose.yaml", &["compose.override.yaml", "compose.override.yml"]),
    ("compose.yml", &["compose.override.yaml", "compose.override.yml"]),
    ("docker-compose.yml", &["docker-compose.override.yml", "docker-compose.override.yaml"]),
    ("docker-compose.yaml", &["docker-compose.override.yml", "docker-compose.override.yaml"]),
];

/// What a container is called that has processes, or is about to.
const RUNNING: [&str; 4] = ["running", "restarting", "paused", "removing"];

/// A project in its folder.
#[derive(Debug, Clone)]
pub struct Project {
    docker: Docker,
    dir: PathBuf,
    files: Vec<PathBuf>,
    /// Its name does not change while somebody looks.
    name: Arc<OnceLock<String>>,
    /// Its services run in a stack of Docker Swarm of this name.
    is_stack: bool,
}

/// What `docker compose config` makes of the files, as far as it matters here.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Config {
    /// The name of the project.
    pub name: String,
    /// Its services.
    pub services: BTreeMap<String, Service>,
    /// Its named volumes, as the files call them.
    #[serde(default)]
    pub volumes: BTreeMap<String, Named>,
    /// Its networks, as the files call them.
    #[serde(default)]
    pub networks: BTreeMap<String, Named>,
}

/// A named volume or a network of a project.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Named {
    /// What the engine calls it.
    pub name: Option<String>,
}

/// A volume, as `docker volume inspect` tells it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Volume {
    /// Who keeps it.
    pub driver: String,
    /// Where it is, as the engine sees it.
    pub mountpoint: PathBuf,
    /// What its driver was told.
    #[serde(default)]
    pub options: Option<BTreeMap<String, String>>,
}

/// A service of a project.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Service {
    /// Its image.
    pub image: Option<String>,
    /// When Docker starts it by itself.
    pub restart: Option<String>,
    /// What is mounted into it.
    #[serde(default)]
    pub volumes: Vec<Value>,
    /// How it is in which networks, as the files call them.
    #[serde(default)]
    pub networks: BTreeMap<String, Value>,
    /// Whose network it shares instead.
    pub network_mode: Option<String>,
    /// Under which names it knows other containers.
    #[serde(default)]
    pub links: Vec<String>,
    /// The same, of other projects.
    #[serde(default)]
    pub external_links: Vec<String>,
    /// Its ports that are published.
    #[serde(default)]
    pub ports: Vec<Value>,
}

/// A container of a service, as `docker inspect` tells it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Container {
    /// Its id.
    pub id: String,
    /// Its name, with a slash before it.
    pub name: String,
    /// The identity of the image that it was made of.
    pub image: String,
    /// How it is.
    pub state: ContainerState,
    host_config: HostConfig,
    config: Labels,
    #[serde(default)]
    mounts: Vec<Mount>,
    #[serde(default)]
    network_settings: Value,
}

/// How a container is.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ContainerState {
    /// `running`, `exited`, `created`, …
    pub status: String,
    /// How it ended the last time.
    pub exit_code: i64,
    health: Option<Health>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Health {
    status: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct HostConfig {
    restart_policy: RestartPolicy,
    #[serde(default)]
    port_bindings: Value,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RestartPolicy {
    name: String,
    maximum_retry_count: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Labels {
    #[serde(default)]
    labels: Option<BTreeMap<String, String>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Mount {
    /// Of a named volume.
    #[serde(default)]
    name: Option<String>,
    source: PathBuf,
    destination: PathBuf,
}

impl Container {
    /// Whether it has processes, or is about to.
    pub fn is_running(&self) -> bool {
        RUNNING.contains(&self.state.status.as_str())
    }
    /// Whether its processes are there and not about to be started once more.
    pub fn stays_up(&self) -> bool {
        self.state.status == "running"
    }
    /// Whether its own check says that it is not well.
    pub fn is_unhealthy(&self) -> bool {
        self.state.health.as_ref().is_some_and(|it| it.status == "unhealthy")
    }
    /// When Docker starts it by itself, as `docker update --restart` takes it.
    pub fn restart_policy(&self) -> String {
        let policy = &self.host_config.restart_policy;
        match (policy.name.as_str(), policy.maximum_retry_count) {
            ("", _) => "no".to_owned(),
            ("on-failure", times @ 1..) => format!("on-failure:{times}"),
            (name, _) => name.to_owned(),
        }
    }
    /// One of its labels.
    pub fn label(&self, name: &str) -> Option<&str> {
        self.config.labels.as_ref()?.get(name).map(String::as_str)
    }
    /// Whether this volume is mounted into it.
    pub fn is_on(&self, volume: &str) -> bool {
        self.mounts.iter().any(|it| it.name.as_deref() == Some(volume))
    }
    /// The networks that it is in, as the engine calls them.
    pub fn networks(&self) -> impl Iterator<Item = &str> {
        self.network_settings["Networks"].as_object().into_iter().flatten().map(|it| it.0.as_str())
    }
    /// Whether it is in this one.
    pub fn is_in(&self, network: &str) -> bool {
        self.networks().any(|it| it == network)
    }
    /// Its address in a network; `None` while it does not run.
    pub fn address_in(&self, network: &str) -> Option<IpAddr> {
        self.network_settings["Networks"][network]["IPAddress"].as_str()?.parse().ok()
    }
    /// Whether every port that it publishes can be reached now.
    pub fn is_published(&self) -> bool {
        let is_bound = |it: &Value| it.as_array().is_some_and(|it| !it.is_empty());
        let mut wanted = self.host_config.port_bindings.as_object().into_iter().flatten();
        wanted.all(|(port, bindings)| !is_bound(bindings) || is_bound(&self.network_settings["Ports"][port]))
    }
    /// Where the folder at this path inside lies on this machine, if it lies in a volume.
    pub fn outside(&self, inside: &Path) -> Option<PathBuf> {
        let mount = self.mounts.iter().find(|it| inside.starts_with(&it.destination))?;
        Some(mount.source.join(inside.strip_prefix(&mount.destination).ok()?))
    }
}

impl Project {
    /// The project in `dir`. Without `files` those are meant that Docker Compose finds there.
    pub fn new(docker: Docker, dir: &Path, files: Vec<PathBuf>) -> Self {
        Self { docker, dir: dir.to_owned(), files, name: Arc::default(), is_stack: false }
    }

    /// The same project, whose services run as a stack of Docker Swarm.
    #[must_use]
    pub fn in_stack(self, name: &str) -> Self {
        let known = OnceLock::new();
        // It is empty.
        let _ = known.set(name.to_owned());
        Self { name: Arc::new(known), is_stack: true, ..self }
    }

    /// Whether its services run as a stack of Docker Swarm.
    pub fn is_stack(&self) -> bool {
        self.is_stack
    }

    /// The same project as other files describe it.
    pub fn with_files(&self, files: Vec<PathBuf>) -> Self {
        Self { files, ..self.clone() }
    }

    /// Whether its files were named, and are not those that Docker Compose finds by itself.
    pub fn has_files(&self) -> bool {
        !self.files.is_empty()
    }

    /// The same project with one more file over those that were named.
    pub fn with_more_files(mut self, file: PathBuf) -> Self {
        self.files.push(file);
        self
    }

    /// The compose file that Docker Compose finds by itself.
    pub fn first_file(&self) -> Option<PathBuf> {
        FILES.iter().map(|(file, _)| self.dir.join(file)).find(|it| it.is_file())
    }

    /// Docker.
    pub fn docker(&self) -> &Docker {
        &self.docker
    }

    /// Its folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// `docker compose` for this project, with files of ours over the user's.
    pub fn compose(&self, over: &[&Path]) -> Invocation {
        let mut words =
            invocation().args(["compose", "--ansi=never", "--progress=quiet", "--project-directory"]).arg(&self.dir);
        if !over.is_empty() || !self.files.is_empty() {
            let files = if self.files.is_empty() { self.found() } else { self.files.clone() };
            for file in files.iter().map(PathBuf::as_path).chain(over.iter().copied()) {
                words = words.arg("--file").arg(file);
            }
        }
        words.dir(&self.dir)
    }

    /// The files that Docker Compose finds by itself.
    fn found(&self) -> Vec<PathBuf> {
        let settings = fs::read_to_string(self.dir.join(".env")).map(|it| EnvFile::parse(&it)).ok();
        let setting = |key: &str| {
            let entries = settings.as_ref()?.entries();
            entries.filter(|it| it.0 == key).last().map(|it| it.1.to_owned()).filter(|it| !it.is_empty())
        };
        if let Some(files) = setting("COMPOSE_FILE") {
            let separator =
                setting("COMPOSE_PATH_SEPARATOR").unwrap_or_else(|| if cfg!(windows) { ";" } else { ":" }.to_owned());
            return files.split(&separator).map(|it| self.dir.join(it)).collect();
        }
        let there = |name: &&str| self.dir.join(name).is_file();
        let Some((file, overrides)) = FILES.iter().find(|(file, _)| there(file)) else { return Vec::new() };
        std::iter::once(file).chain(overrides.iter().find(|it| there(it))).map(|it| self.dir.join(it)).collect()
    }

    /// What Docker Compose makes of it, with files of ours over the user's.
    ///
    /// # Errors
    /// `compose_file`, `setting_missing`, `compose_missing`, `docker_missing`.
    pub fn config(&self, over: &[&Path]) -> Result<Config> {
        self.config_with(over, &[], &[])
    }

    fn config_with(&self, over: &[&Path], words: &[&str], variables: &[(String, String)]) -> Result<Config> {
        let question = self.compose(over).args(["config", "--format", "json"]).args(words).quiet();
        let question = variables.iter().fold(question, |question, (key, value)| question.env(key, value));
        let ask = || succeeded(self.docker.runner().run(&question, QUESTION, &[], &Silent));
        let answer = self.docker.again(ask)?.stdout;
        serde_json::from_str(&answer).map_err(|cause| strange("docker compose config", &cause))
    }

    /// What Docker Compose makes of it with its variables still in place, as JSON.
    ///
    /// # Errors
    /// As [`Project::config`].
    pub fn uninterpolated(&self) -> Result<String> {
        let question = self.compose(&[]).args(["config", "--no-interpolate", "--format", "json"]).quiet();
        let ask = || succeeded(self.docker.runner().run(&question, QUESTION, &[], &Silent));
        Ok(self.docker.again(ask)?.stdout)
    }

    /// What Docker Compose knows each service by: two are made of one container where this is the same.
    ///
    /// # Errors
    /// As [`Project::config`].
    pub fn hashes(&self) -> Result<BTreeMap<String, String>> {
        let question = self.compose(&[]).args(["config", "--hash", "*"]).quiet();
        let ask = || succeeded(self.docker.runner().run(&question, QUESTION, &[], &Silent));
        let told = self.docker.again(ask)?.stdout;
        Ok(told.lines().filter_map(|it| it.split_once(' ')).map(|(name, hash)| (name.into(), hash.into())).collect())
    }

    /// Its name.
    ///
    /// # Errors
    /// As [`Project::config`].
    pub fn name(&self) -> Result<&str> {
        if let Some(name) = self.name.get() {
            return Ok(name);
        }
        let name = self.config(&[])?.name;
        Ok(self.name.get_or_init(|| name))
    }

    /// The volumes of a service, as Docker Compose writes them out where these variables are set.
    ///
    /// # Errors
    /// As [`Project::config`].
    pub fn volumes_of(&self, service: &str, variables: &[(String, String)]) -> Result<Vec<Value>> {
        Ok(self.config_with(&[], &[], variables)?.services.remove(service).map(|it| it.volumes).unwrap_or_default())
    }

    /// The volumes of every service, as Docker Compose writes them out where these variables are set. A volume need not be
    /// one that the project knows.
    ///
    /// # Errors
    /// As [`Project::config`].
    pub fn volumes(&self, variables: &[(String, String)]) -> Result<BTreeMap<String, Vec<Value>>> {
        let services = self.config_with(&[], &["--no-consistency"], variables)?.services;
        Ok(services.into_iter().map(|(name, it)| (name, it.volumes)).collect())
    }

    /// The containers of a service, whether they run or not; those of single commands are left out.
    ///
    /// # Errors
    /// `docker_down`, and its kin.
    pub fn containers(&self, service: &str) -> Result<Vec<Container>> {
        let ids = self.ids(service, &["--all", "--no-trunc"])?;
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let answer = self.docker.ask(["container", "inspect"].into_iter().chain(ids.split_whitespace()))?;
        serde_json::from_str(&answer).map_err(|cause| strange("docker inspect", &cause))
    }

    /// Whether a container of a service has processes, or is about to: in one question, for while people wait.
    ///
    /// # Errors
    /// As [`Project::containers`].
    pub fn runs(&self, service: &str) -> Result<bool> {
        let states = RUNNING.map(|it| format!("--filter=status={it}"));
        Ok(!self.ids(service, &states.each_ref().map(String::as_str))?.is_empty())
    }

    /// What Docker calls the containers of a service that `more` picks.
    fn ids(&self, service: &str, more: &[&str]) -> Result<String> {
        let labels = if self.is_stack {
            vec![format!("label=com.docker.swarm.service.name={}", self.name_in_swarm(service)?)]
        } else {
            vec![
                format!("label=com.docker.compose.project={}", self.name()?),
                format!("label=com.docker.compose.service={service}"),
                "label=com.docker.compose.oneoff=False".to_owned(),
            ]
        };
        let filters = labels.iter().flat_map(|it| ["--filter", it.as_str()]);
        let ids = self.docker.ask(["ps", "--quiet"].into_iter().chain(more.iter().copied()).chain(filters))?;
        Ok(ids.trim().to_owned())
    }

    /// The one container of a service that runs.
    ///
    /// # Errors
    /// `container_down` where none does, `task_elsewhere` where it does on another node of a swarm.
    pub fn running(&self, service: &str) -> Result<Container> {
        if let Some(container) = self.containers(service)?.into_iter().find(Container::is_running) {
            return Ok(container);
        }
        let down =
            Error::failed("container_down", format!("There is no running container of the service “{service}”."));
        if !self.is_stack {
            return Err(
                down.remedy("Start it with “docker compose up -d” in the folder of the application, then try again.")
            );
        }
        let name = self.name_in_swarm(service)?;
        let tasks = self.docker.tasks(&name)?;
        let Some(elsewhere) = tasks.iter().find(|it| it.is_alive() && it.is_wanted) else {
            return Err(down.remedy(format!("Look at “docker service ps {name}”, then try again.")));
        };
        let message =
            format!("The service “{service}” runs on {}, and its container is not on this node.", elsewhere.node);
        Err(Error::refused("task_elsewhere", message).remedy(format!(
            "Run Liftlock on {}, or keep the service on this node with deploy.placement in the stack's file.",
            elsewhere.node
        )))
    }

    /// What the engine calls a volume that the files, in `config`, call `key`. One that they no longer know is found by the
    /// labels that Docker Compose has given it. `None` where there never was one.
    ///
    /// # Errors
    /// As [`Project::config`].
    pub fn volume_name(&self, config: &Config, key: &str) -> Result<Option<String>> {
        if let Some(volume) = config.volumes.get(key) {
            let usual = |project: &str| format!("{project}_{key}");
            let own = volume.name.clone().filter(|it| *it != usual(&config.name));
            return Ok(Some(match own {
                Some(name) => name,
                None => usual(self.name()?),
            }));
        }
        let labels = [("project", self.name()?), ("volume", key)];
        let [project, volume] = labels.map(|(label, is)| format!("label=com.docker.compose.{label}={is}"));
        let there = self.docker.ask(["volume", "ls", "--quiet", "--filter", &project, "--filter", &volume])?;
        Ok(there.lines().next().map(|it| it.trim().to_owned()))
    }

    /// What a service is called in the swarm.
    ///
    /// # Errors
    /// As [`Project::config`].
    pub fn name_in_swarm(&self, service: &str) -> Result<String> {
        Ok(format!("{}_{service}", self.name()?))
    }
}

pub(super) fn strange(what: &str, cause: &serde_json::Error) -> Error {
    Error::failed("docker_strange", format!("The answer of “{what}” could not be understood."))
        .remedy("Use Docker Compose 2.24 or newer. If it is, report it with the details.")
        .because(cause)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::SystemRunner;

    #[test]
    fn a_volume_is_called_after_its_project_or_its_stack_or_as_it_says_itself() {
        let config: Config = serde_json::from_str(
            r#"{ "name": "shop", "services": {}, "volumes": { "a": { "name": "shop_a" }, "b": { "name": "b", "external": true }, "c": {} } }"#,
        )
        .unwrap();
        let project = Project::new(Docker::new(Arc::new(SystemRunner::new())), Path::new("/"), Vec::new());
        let stack = project.clone().in_stack("corner");
        let _ = project.name.set("shop".to_owned());
        let named = |it: &Project, key: &str| it.volume_name(&config, key).unwrap().unwrap();
        assert_eq!(["a", "b", "c"].map(|it| named(&project, it)), ["shop_a", "b", "shop_c"]);
        assert_eq!(["a", "b", "c"].map(|it| named(&stack, it)), ["corner_a", "b", "corner_c"]);
    }
}
