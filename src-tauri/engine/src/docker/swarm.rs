//! Services of a stack in Docker Swarm, as `docker service` tells them: what each is to be, how its last update went, and
//! what of it runs where.

use std::time::Duration;

use serde_json::Value;

use super::{Docker, project::strange};
use crate::error::{Error, Result};

/// A service of a swarm, as `docker service inspect` tells it.
#[derive(Debug, Clone, PartialEq)]
pub struct SwarmService(Value);

/// Something mounted into the container of a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SwarmMount {
    /// `bind`, `volume`, `tmpfs`.
    pub kind: String,
    /// What is mounted.
    pub source: String,
    /// Where.
    pub target: String,
    /// Whether it can only be read.
    pub read_only: bool,
}

impl SwarmMount {
    /// Whether what a task writes there is still there when it ends.
    pub fn keeps_what_is_written(&self) -> bool {
        !self.read_only && self.kind != "tmpfs" && !self.source.is_empty()
    }
}

/// How a service is updated, or an update taken back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpdateConfig {
    /// How many tasks at a time; 0 for all.
    pub parallelism: u64,
    /// What happens when one does not come up.
    pub failure_action: String,
    /// For how long one is watched after it came up.
    pub monitor: Duration,
    /// What is first, the stop or the start.
    pub order: String,
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
    /// Swarm is taking it back.
    BeingTakenBack,
    /// Swarm has taken it back.
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
    /// The answer of `docker service inspect` about one service.
    ///
    /// # Errors
    /// `service_missing`, `docker_strange`.
    pub fn read(answer: &str) -> Result<Self> {
        let mut told: Value =
            serde_json::from_str(answer).map_err(|cause| strange("docker service inspect", &cause))?;
        let service = Self(told.get_mut(0).map(Value::take).unwrap_or_default());
        if service.image().is_empty() { Err(super::understood("no such service")) } else { Ok(service) }
    }

    fn container(&self) -> &Value {
        &self.0["Spec"]["TaskTemplate"]["ContainerSpec"]
    }

    /// The image of its tasks: `name:tag`, with a digest after it where Swarm knows one.
    pub fn image(&self) -> &str {
        self.container()["Image"].as_str().unwrap_or_default()
    }

    /// A text of its containers: `User`, `Dir`; empty where it is that of the image.
    pub fn of_container(&self, key: &str) -> &str {
        self.container()[key].as_str().unwrap_or_default()
    }

    /// A list of texts of its containers: `Env` (values may be secrets), `Command` (the entry point), `Args`.
    pub fn list_of_container(&self, key: &str) -> Vec<&str> {
        texts(&self.container()[key])
    }

    /// What is mounted into its containers.
    pub fn mounts(&self) -> Vec<SwarmMount> {
        let all = self.container()["Mounts"].as_array().into_iter().flatten();
        let text = |it: &Value| it.as_str().unwrap_or_default().to_owned();
        all.map(|it| SwarmMount {
            kind: text(&it["Type"]),
            source: text(&it["Source"]),
            target: text(&it["Target"]),
            read_only: it["ReadOnly"] == true,
        })
        .collect()
    }

    /// One of its labels.
    pub fn label(&self, name: &str) -> Option<&str> {
        self.0["Spec"]["Labels"][name].as_str()
    }

    /// Whether tasks may only be where this holds.
    pub fn has_constraint(&self, constraint: &str) -> bool {
        let plain = |it: &str| it.split_whitespace().collect::<String>();
        let all = texts(&self.0["Spec"]["TaskTemplate"]["Placement"]["Constraints"]);
        all.iter().any(|it| plain(it) == plain(constraint))
    }

    /// Whether its containers get files from Swarm that no other container can get.
    pub fn has_secrets(&self) -> bool {
        ["Secrets", "Configs"].iter().any(|it| self.container()[it].as_array().is_some_and(|it| !it.is_empty()))
    }

    /// Whether a port of the very node that a task is on is published, which one task alone can have.
    pub fn takes_ports_of_nodes(&self) -> bool {
        let ports = self.0["Spec"]["EndpointSpec"]["Ports"].as_array().into_iter().flatten();
        ports.into_iter().any(|it| it["PublishMode"] == "host")
    }

    /// How many tasks there are to be; `None` where that is one a node.
    pub fn replicas(&self) -> Option<u64> {
        self.0["Spec"]["Mode"]["Replicated"]["Replicas"].as_u64()
    }

    /// How it is updated, as Docker does it where nobody says anything.
    pub fn update(&self) -> UpdateConfig {
        config(&self.0["Spec"]["UpdateConfig"])
    }

    /// How an update of it is taken back.
    pub fn rollback(&self) -> UpdateConfig {
        config(&self.0["Spec"]["RollbackConfig"])
    }

    /// How its last update stands.
    pub fn rollout(&self) -> Rollout {
        match self.0["UpdateStatus"]["State"].as_str().unwrap_or_default() {
            "updating" => Rollout::UnderWay,
            "paused" => Rollout::Paused,
            "rollback_started" => Rollout::BeingTakenBack,
            "rollback_completed" => Rollout::TakenBack,
            "rollback_paused" => Rollout::StuckOnTheWayBack,
            _ => Rollout::Done,
        }
    }

    /// What Swarm says of its last update.
    pub fn says(&self) -> &str {
        self.0["UpdateStatus"]["Message"].as_str().unwrap_or_default()
    }
}

fn texts(list: &Value) -> Vec<&str> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

fn config(told: &Value) -> UpdateConfig {
    let text = |key: &str, usual: &str| told[key].as_str().filter(|it| !it.is_empty()).unwrap_or(usual).to_owned();
    UpdateConfig {
        // What is not said of one that is there is 0, which means all.
        parallelism: told["Parallelism"].as_u64().unwrap_or(u64::from(told.is_null())),
        failure_action: text("FailureAction", "pause"),
        monitor: Duration::from_nanos(told["Monitor"].as_u64().unwrap_or(5_000_000_000)),
        order: text("Order", "stop-first"),
    }
}

impl Rollout {
    /// Whether Swarm has not ended it yet, or will never end it by itself.
    pub fn is_in_between(self) -> bool {
        !matches!(self, Self::Done | Self::TakenBack)
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
        SwarmService::read(&answer)
    }

    /// The tasks of a service, also those of before, newest first.
    ///
    /// # Errors
    /// As [`Docker::swarm_service`].
    pub fn tasks(&self, name: &str) -> Result<Vec<Task>> {
        let answer = self.ask(["service", "ps", "--no-trunc", "--format", "{{json .}}", name])?;
        answer.lines().filter(|it| !it.trim().is_empty()).map(task).collect()
    }

    /// The name of the node that is asked.
    ///
    /// # Errors
    /// As [`Docker::swarm_service`].
    pub fn own_node(&self) -> Result<String> {
        Ok(self.ask(["info", "--format", "{{.Name}}"])?.trim().to_owned())
    }

    /// The nodes that the managers of the swarm do not reach, by their names.
    ///
    /// # Errors
    /// As [`Docker::swarm_service`].
    pub fn nodes_out_of_reach(&self) -> Result<Vec<String>> {
        Ok(out_of_reach(&self.ask(["node", "ls", "--format", "{{.Status}} {{.Hostname}}"])?))
    }
}

/// One that left and joined anew is told twice, and is reached.
fn out_of_reach(answer: &str) -> Vec<String> {
    let told = answer.lines().filter_map(|it| it.trim().split_once(' '));
    let (ready, other): (Vec<_>, Vec<_>) = told.partition(|it| it.0 == "Ready");
    let is_away = |name: &str| !ready.iter().any(|it| it.1 == name);
    other.into_iter().map(|it| it.1).filter(|it| is_away(it)).map(str::to_owned).collect()
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

    fn service(text: &str) -> SwarmService {
        SwarmService(serde_json::from_str(text).unwrap())
    }

    #[test]
    fn a_service_is_read() {
        let it = service(INSPECTED);
        assert_eq!(split(it.image()), ("shop:1.0.0", Some("sha256:1")));
        assert!(it.has_constraint("node.labels.liftlock == held") && !it.has_constraint("node.role==worker"));
        assert_eq!((it.replicas(), it.has_secrets()), (Some(2), false));
        assert_eq!((it.label("com.docker.stack.namespace"), it.label("other")), (Some("s"), None));
        assert_eq!((it.list_of_container("Env"), it.of_container("User")), (vec!["A=1"], ""));
        assert!(it.mounts().len() == 2 && it.mounts()[1].read_only && it.mounts()[0].source == "/a");
        assert_eq!(it.update().monitor, Duration::from_secs(5));
        let usual = it.rollback();
        assert_eq!(
            (usual.parallelism, usual.order.as_str(), usual.failure_action.as_str()),
            (1, "stop-first", "pause")
        );
        assert_eq!(it.rollout(), Rollout::Done, "a word of later is no reason to wait");
        for (state, rollout) in [
            ("updating", Rollout::UnderWay),
            ("paused", Rollout::Paused),
            ("completed", Rollout::Done),
            ("rollback_started", Rollout::BeingTakenBack),
            ("rollback_completed", Rollout::TakenBack),
            ("rollback_paused", Rollout::StuckOnTheWayBack),
        ] {
            let it = service(&INSPECTED.replace("STATE", state));
            assert_eq!(it.rollout(), rollout, "{state}");
            assert_eq!(it.rollout().is_in_between(), !state.ends_with("completed"), "{state}");
        }
        let secret = INSPECTED.replace(r#""Secrets": []"#, r#""Secrets": [{"SecretName": "x"}]"#);
        assert!(service(&secret).has_secrets());
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

    #[test]
    fn a_node_that_joined_anew_is_reached() {
        let told = "Ready one\nDown two\nReady two\nDown three\nUnknown four\n";
        assert_eq!(out_of_reach(told), ["three", "four"]);
    }
}
