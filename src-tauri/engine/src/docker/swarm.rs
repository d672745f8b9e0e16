//! Services of a stack in Docker Swarm, as `docker service` tells them: what each is to be, how its last update went, and
//! what of it runs where.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::{Docker, project::strange};
use crate::error::{Error, Result};

/// A service of a swarm.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct SwarmService {
    /// What it is to be.
    pub spec: ServiceSpec,
    #[serde(default)]
    update_status: Option<UpdateStatus>,
}

/// What a service is to be.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ServiceSpec {
    /// Its labels.
    #[serde(default)]
    pub labels: Option<BTreeMap<String, String>>,
    /// What each of its tasks is.
    pub task_template: TaskTemplate,
    /// How many there are: `{"Replicated": {"Replicas": 2}}`, `{"Global": {}}`.
    #[serde(default)]
    mode: Value,
    /// How it is updated.
    #[serde(default)]
    pub update_config: Option<UpdateConfig>,
    /// How an update of it is taken back.
    #[serde(default)]
    pub rollback_config: Option<UpdateConfig>,
}

/// What each task of a service is.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct TaskTemplate {
    /// Its container.
    pub container_spec: ContainerSpec,
    #[serde(default)]
    placement: Option<Placement>,
}

/// The container of a task.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ContainerSpec {
    /// `name:tag`, with a digest after it where Swarm knows one.
    pub image: String,
    /// Its entry point, where it is not that of the image.
    #[serde(default)]
    pub command: Option<Vec<String>>,
    /// Its words, where they are not those of the image.
    #[serde(default)]
    pub args: Option<Vec<String>>,
    /// `KEY=value`. Values may be secrets.
    #[serde(default)]
    pub env: Option<Vec<String>>,
    /// Whom it runs as.
    #[serde(default)]
    pub user: Option<String>,
    /// The folder in which it runs.
    #[serde(default)]
    pub dir: Option<String>,
    /// What is mounted into it.
    #[serde(default)]
    pub mounts: Option<Vec<SwarmMount>>,
    #[serde(default)]
    secrets: Option<Vec<Value>>,
    #[serde(default)]
    configs: Option<Vec<Value>>,
}

/// Something mounted into the container of a task.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct SwarmMount {
    /// `bind`, `volume`, `tmpfs`.
    #[serde(rename = "Type")]
    pub kind: String,
    /// What is mounted.
    #[serde(default)]
    pub source: String,
    /// Where.
    pub target: String,
    /// Whether it can only be read.
    #[serde(default)]
    pub read_only: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Placement {
    #[serde(default)]
    constraints: Option<Vec<String>>,
}

/// How a service is updated, or an update taken back.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct UpdateConfig {
    /// How many tasks at a time; 0 for all.
    #[serde(default)]
    pub parallelism: u64,
    /// What happens when one does not come up.
    #[serde(default)]
    pub failure_action: String,
    /// For how long one is watched after it came up, in nanoseconds.
    #[serde(default)]
    pub monitor: u64,
    /// What is first, the stop or the start.
    #[serde(default)]
    pub order: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct UpdateStatus {
    #[serde(default)]
    state: String,
    #[serde(default)]
    message: String,
}

/// How the last update of a service stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rollout {
    /// There was none, or it has ended well.
    Done,
    /// Swarm is at it.
    UnderWay,
    /// Swarm has stopped in the middle and waits for a person.
    Paused,
    /// Swarm takes it back, or has.
    TakenBack,
    /// Swarm wanted to take it back, and has stopped in the middle of that.
    StuckOnTheWayBack,
}

/// A task of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    /// `shop.1`
    pub name: String,
    /// The node that it is on; empty where it has none.
    pub node: String,
    /// `running`, `pending`, `failed`, …
    pub state: String,
    /// Whether Swarm wants it to run.
    pub is_wanted: bool,
    /// Its image.
    pub image: String,
    /// Why it is as it is, where Swarm says so.
    pub error: String,
}

impl SwarmService {
    /// The image of its tasks.
    pub fn image(&self) -> &str {
        &self.spec.task_template.container_spec.image
    }

    /// One of its labels.
    pub fn label(&self, name: &str) -> Option<&str> {
        self.spec.labels.as_ref()?.get(name).map(String::as_str)
    }

    /// Whether tasks may only be where this holds.
    pub fn has_constraint(&self, constraint: &str) -> bool {
        let placement = self.spec.task_template.placement.as_ref();
        let plain = |it: &str| it.split_whitespace().collect::<String>();
        let all = placement.and_then(|it| it.constraints.as_deref()).unwrap_or_default();
        all.iter().any(|it| plain(it) == plain(constraint))
    }

    /// Whether its containers get files from Swarm that no other container can get.
    pub fn has_secrets(&self) -> bool {
        let container = &self.spec.task_template.container_spec;
        [&container.secrets, &container.configs].into_iter().flatten().any(|it| !it.is_empty())
    }

    /// How many tasks there are to be; `None` where that is one a node.
    pub fn replicas(&self) -> Option<u64> {
        self.spec.mode["Replicated"]["Replicas"].as_u64()
    }

    /// How its last update stands.
    pub fn rollout(&self) -> Rollout {
        match self.update_status.as_ref().map_or("", |it| it.state.as_str()) {
            "updating" => Rollout::UnderWay,
            "paused" => Rollout::Paused,
            "rollback_started" | "rollback_completed" => Rollout::TakenBack,
            "rollback_paused" => Rollout::StuckOnTheWayBack,
            _ => Rollout::Done,
        }
    }

    /// Whether the last update is one that Swarm has not ended yet, or will never end by itself.
    pub fn is_in_between(&self) -> bool {
        let state = self.update_status.as_ref().map_or("", |it| it.state.as_str());
        matches!(state, "updating" | "paused" | "rollback_started" | "rollback_paused")
    }

    /// What Swarm says of its last update.
    pub fn says(&self) -> &str {
        self.update_status.as_ref().map_or("", |it| it.message.as_str())
    }
}

impl Task {
    /// Whether it has a process, or may be about to.
    pub fn is_alive(&self) -> bool {
        let about = matches!(self.state.as_str(), "assigned" | "accepted" | "preparing" | "ready");
        about || matches!(self.state.as_str(), "starting" | "running")
    }
}

impl Docker {
    /// Whether services of a swarm can be seen and changed from here.
    ///
    /// # Errors
    /// `swarm_inactive`, `swarm_locked`, `not_a_manager`, `docker_down` and its kin.
    pub fn is_manager(&self) -> Result<()> {
        let told = self.ask(["info", "--format", "{{.Swarm.LocalNodeState}} {{.Swarm.ControlAvailable}}"])?;
        match told.trim() {
            "active true" => Ok(()),
            "active false" => Err(super::understood("This node is not a swarm manager. Worker nodes can't be used")),
            "locked false" | "locked true" => Err(super::understood("Swarm is encrypted and needs to be unlocked")),
            _ => Err(super::understood("This node is not a swarm manager.")),
        }
    }

    /// A service of the swarm.
    ///
    /// # Errors
    /// `service_missing`, `swarm_inactive`, `not_a_manager`, `docker_down` and its kin.
    pub fn swarm_service(&self, name: &str) -> Result<SwarmService> {
        let answer = self.ask(["service", "inspect", name])?;
        let all: Vec<SwarmService> =
            serde_json::from_str(&answer).map_err(|cause| strange("docker service inspect", &cause))?;
        all.into_iter().next().ok_or_else(|| super::understood("Error: no such service"))
    }

    /// The tasks of a service, also those of before, newest first.
    ///
    /// # Errors
    /// As [`Docker::swarm_service`].
    pub fn tasks(&self, name: &str) -> Result<Vec<Task>> {
        let answer = self.ask(["service", "ps", "--no-trunc", "--format", "{{json .}}", name])?;
        answer.lines().filter(|it| !it.trim().is_empty()).map(task).collect()
    }
}

fn task(line: &str) -> Result<Task> {
    let told: Value = serde_json::from_str(line).map_err(|cause| strange("docker service ps", &cause))?;
    let text = |key: &str| told[key].as_str().unwrap_or_default().to_owned();
    let first = |key: &str| text(key).split_whitespace().next().unwrap_or_default().to_lowercase();
    if first("CurrentState").is_empty() {
        return Err(Error::failed("docker_strange", "The answer of “docker service ps” could not be understood.")
            .remedy("Use Docker 24 or newer. If it is, report it with the details.")
            .detail(crate::process::printable(line)));
    }
    Ok(Task {
        name: text("Name"),
        node: text("Node"),
        state: first("CurrentState"),
        is_wanted: first("DesiredState") == "running" || first("DesiredState") == "ready",
        image: text("Image"),
        error: text("Error").trim_matches('"').to_owned(),
    })
}

/// `name:tag@sha256:…` → `name:tag`, `sha256:…`
pub fn split(image: &str) -> (&str, Option<&str>) {
    match image.split_once('@') {
        Some((name, digest)) => (name, Some(digest)),
        None => (image, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As Docker 26 and 28 answer.
    const INSPECTED: &str = r#"{"ID": "u1", "Version": {"Index": 14}, "Spec": {"Name": "s_shop",
        "Labels": {"com.docker.stack.namespace": "s"},
        "TaskTemplate": {"ContainerSpec": {"Image": "shop:1.0.0@sha256:1", "Env": ["A=1"], "Mounts": [
            {"Type": "bind", "Source": "/a", "Target": "/b"}, {"Type": "tmpfs", "Target": "/c", "ReadOnly": true}],
            "Secrets": []}, "Placement": {"Constraints": ["node.labels.liftlock==held"]}},
        "Mode": {"Replicated": {"Replicas": 2}},
        "UpdateConfig": {"Parallelism": 1, "FailureAction": "pause", "Monitor": 5000000000, "Order": "stop-first"}},
        "UpdateStatus": {"State": "STATE", "Message": "as told"}}"#;

    #[test]
    fn a_service_is_read() {
        let service: SwarmService = serde_json::from_str(INSPECTED).unwrap();
        assert_eq!(split(service.image()), ("shop:1.0.0", Some("sha256:1")));
        assert!(service.has_constraint("node.labels.liftlock == held") && !service.has_constraint("node.role==worker"));
        assert_eq!((service.replicas(), service.has_secrets()), (Some(2), false));
        assert_eq!(service.rollout(), Rollout::Done, "a word of later is no reason to wait");
        for (state, rollout) in [
            ("updating", Rollout::UnderWay),
            ("paused", Rollout::Paused),
            ("completed", Rollout::Done),
            ("rollback_started", Rollout::TakenBack),
            ("rollback_completed", Rollout::TakenBack),
            ("rollback_paused", Rollout::StuckOnTheWayBack),
        ] {
            let service: SwarmService = serde_json::from_str(&INSPECTED.replace("STATE", state)).unwrap();
            assert_eq!(service.rollout(), rollout, "{state}");
            assert_eq!(service.is_in_between(), !state.ends_with("completed"), "{state}");
        }
        let secret = INSPECTED.replace(r#""Secrets": []"#, r#""Secrets": [{"SecretName": "x"}]"#);
        assert!(serde_json::from_str::<SwarmService>(&secret).unwrap().has_secrets());
    }

    #[test]
    fn a_task_is_alive_until_it_has_ended() {
        let read = |state: &str, desired: &str| {
            task(&format!(
                r#"{{"CurrentState":"{state} 8 seconds ago","DesiredState":"{desired}","Error":"","Image":"shop:1","Name":"s_shop.1","Node":"vm"}}"#
            ))
            .unwrap()
        };
        for state in ["Running", "Starting", "Preparing", "Ready", "Assigned"] {
            assert!(read(state, "Shutdown").is_alive(), "{state}");
        }
        for state in ["Pending", "New", "Shutdown", "Complete", "Failed", "Rejected", "Orphaned"] {
            assert!(!read(state, "Running").is_alive(), "{state}");
        }
        assert!(read("Pending", "Running").is_wanted && !read("Running", "Shutdown").is_wanted);
        assert_eq!(task("{}").unwrap_err().class, "docker_strange");
    }
}
