//! On which ports of this machine the services of a project are reached: as its files say, so that it can be told while no
//! container is there, too.

use serde_json::Value;

use super::Compose;
use crate::docker::{Config, Service};
use crate::drivers::{Driver, PublicPort};
use crate::error::Result;

impl Compose {
    pub(super) fn published(&self) -> Result<Vec<PublicPort>> {
        let config = self.config_in_place()?;
        let ports = self.components.iter().flat_map(|(component, service)| {
            let ports = config.services.get(service).into_iter().flat_map(|it| &it.ports);
            ports.filter_map(|it| public_port(component, it))
        });
        Ok(ports.collect())
    }

    /// The service that has this port and is none of the components.
    pub(super) fn published_by_others(&self, port: u16) -> Option<String> {
        let services = self.config_in_place().ok()?.services;
        let mut others = services.iter().filter(|(name, _)| self.components.iter().all(|it| it.1 != **name));
        let has_it = |(name, it): &(&String, &Service)| {
            it.ports.iter().filter_map(|it| public_port(name, it)).any(|it| it.port == port)
        };
        others.find(has_it).map(|it| it.0.clone())
    }

    /// The project as the release in place has it.
    fn config_in_place(&self) -> Result<Config> {
        let version = if self.layout.is_built() { self.current_release()? } else { None };
        version.map_or_else(|| Ok(self.project.clone()), |it| self.project_of(&it))?.config(&[])
    }
}

/// A port as `docker compose config` writes it out. Where the choice is left to Docker, nobody knows it beforehand.
fn public_port(component: &str, said: &Value) -> Option<PublicPort> {
    if said["protocol"].as_str().is_some_and(|it| it != "tcp") {
        return None;
    }
    let port = said["published"].as_str()?.parse().ok().filter(|it| *it != 0)?;
    let bind = match said["host_ip"].as_str().unwrap_or_default().trim_matches(['[', ']']) {
        "" => None,
        ip => Some(ip.parse().ok()?),
    };
    Some(PublicPort { component: component.to_owned(), bind, port })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_published_port_is_known_with_its_address_and_one_that_docker_chooses_is_not() {
        let told = |said: Value| public_port("web", &said).map(|it| (it.bind.map(|ip| ip.to_string()), it.port));
        let all = json!({ "mode": "ingress", "target": 80, "published": "8080", "protocol": "tcp" });
        assert_eq!(told(all.clone()), Some((None, 8080)));
        let with = |key: &str, value: &str| {
            let mut said = all.clone();
            said[key] = value.into();
            told(said)
        };
        assert_eq!(with("host_ip", "127.0.0.1"), Some((Some("127.0.0.1".to_owned()), 8080)));
        assert_eq!(with("host_ip", "[::1]"), Some((Some("::1".to_owned()), 8080)));
        for (key, value) in [("protocol", "udp"), ("published", "8000-8010"), ("published", "0"), ("host_ip", "eth0")] {
            assert_eq!(with(key, value), None, "{key} {value}");
        }
        assert_eq!(told(json!({ "mode": "ingress", "target": 80, "protocol": "tcp" })), None);
    }
}
