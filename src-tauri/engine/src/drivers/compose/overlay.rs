//! Files of ours that are given over the user's: in YAML, whose tags `!override` and `!reset` JSON does not have.

use serde_json::Value;

use super::{Compose, GATE_LABEL};
use crate::error::{Error, Result};

/// A text in YAML, with what Docker Compose would replace in it made harmless.
pub(super) fn text(text: &str) -> String {
    Value::String(text.replace('$', "$$")).to_string()
}

impl Compose {
    /// The service with the gate on a private port of this machine, the others on none, and nothing starts by itself.
    pub(super) fn behind_the_gate(&self, port: u16) -> Result<String> {
        let gate = self.gate.as_ref().and_then(|it| Some((it.component.as_str(), it.container_port?)));
        let (gated, inside) = gate.ok_or_else(|| {
            Error::bug("gate_missing", "A service was to be started on a private port, and there is no gate.")
        })?;
        let mut yaml = "services:\n".to_owned();
        for (component, service) in &self.components {
            let ports = if component == gated {
                format!("!override [{}]", text(&format!("127.0.0.1:{port}:{inside}")))
            } else {
                "!reset []".to_owned()
            };
            yaml.push_str(&format!(
                "  {}:\n    ports: {ports}\n    restart: \"no\"\n    labels:\n      {GATE_LABEL}: \"{port}\"\n",
                text(service)
            ));
        }
        Ok(yaml)
    }
}

/// The images of a release for its services.
pub(super) fn images(references: &[(String, String)]) -> String {
    references.iter().fold("services:\n".to_owned(), |yaml, (service, image)| {
        yaml + &format!("  {}:\n    image: {}\n", text(service), text(image))
    })
}

/// The images of a release that were built here, and no way to build or fetch other ones by their names.
pub(super) fn built(references: &[(String, String)]) -> String {
    references.iter().fold("services:\n".to_owned(), |yaml, (service, image)| {
        let (service, image) = (text(service), text(image));
        yaml + &format!("  {service}:\n    image: {image}\n    build: !reset null\n    pull_policy: never\n")
    })
}

/// What the images of a release are called once they are built. Settings of running containers are no matter then.
pub(super) fn to_build(references: &[(String, String)]) -> String {
    references.iter().fold("services:\n".to_owned(), |yaml, (service, image)| {
        yaml + &format!("  {}:\n    image: {}\n    env_file: !reset []\n", text(service), text(image))
    })
}

/// One service alone in a network, its volumes to be read and not to be written.
pub(super) fn alone(service: &str, network: &str, volumes: &[Value]) -> String {
    let volumes: Vec<String> = volumes
        .iter()
        .map(|it| {
            let mut volume = it.clone();
            volume["read_only"] = Value::Bool(true);
            escaped(&volume).to_string()
        })
        .collect();
    format!(
        "services:\n  {}:\n    networks: !override [liftlock_rehearsal]\n    network_mode: !reset null\n    ports: !reset []\n    \
         volumes: !override [{}]\nnetworks:\n  liftlock_rehearsal:\n    external: true\n    name: {}\n",
        text(service),
        volumes.join(", "),
        text(network)
    )
}

pub(super) fn escaped(value: &Value) -> Value {
    match value {
        Value::String(text) => Value::String(text.replace('$', "$$")),
        Value::Array(all) => all.iter().map(escaped).collect(),
        Value::Object(map) => map.iter().map(|(key, it)| (key.clone(), escaped(it))).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
    }
}
