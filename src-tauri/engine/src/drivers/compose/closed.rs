//! The gate of a project that needs nothing from outside to start: a network without a way out.
//!
//! Docker publishes the ports of a container as soon as it is in a network that leads out, and no sooner. So the containers of a
//! new version are made by Docker Compose as always, and before they are started they are taken into one network alone, in
//! which are the services that go on running, and no way out. To let users in they are connected to the networks of the
//! project: that takes a moment, and nothing is started a second time. They stay in the network of the gate too, for as
//! long as they live, and so do the services that went on running: connections to a database that go through it would be
//! cut. Deliberately absent: engines whose networks this machine is not in (of another machine, of Docker Desktop, rootless).

use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener},
    sync::PoisonError,
    time::Duration,
};

use serde_json::Value;

use super::Compose;
use crate::docker::{Config, Container};
use crate::drivers::forward::Forward;
use crate::drivers::port;
use crate::error::{Error, Result};
use crate::ports::{Patience, Reporter};

/// On a network of a gate: the project.
const LABEL: &str = "liftlock.gate";
/// For changes of networks.
const PATIENCE: Patience = Patience { deadline: Duration::from_secs(120), stall_after: None };

/// Whether this machine is in a network: its end of it is an address that can be listened on here.
fn is_of_this_machine(network: &Value) -> bool {
    let ends = network["IPAM"]["Config"].as_array().into_iter().flatten();
    let mut ends = ends.filter_map(|it| it["Gateway"].as_str()?.parse::<IpAddr>().ok());
    ends.any(|it| TcpListener::bind((it, 0)).is_ok())
}

/// The containers that run in a network, by their ids.
fn members(network: &Value) -> impl Iterator<Item = &str> {
    network["Containers"].as_object().into_iter().flatten().map(|it| it.0.as_str())
}

/// How a service is in a network: what can be said again when it is connected to it.
#[derive(Debug)]
struct Attachment {
    network: String,
    aliases: Vec<String>,
    /// `--ip`, `--ip6` and their addresses.
    addresses: Vec<String>,
}

impl Attachment {
    /// `None` where it says more than is known here.
    fn read(network: String, how: &Value) -> Option<Self> {
        let mut read = Self { network, aliases: Vec::new(), addresses: Vec::new() };
        for (key, value) in how.as_object().into_iter().flatten() {
            match (key.as_str(), value) {
                ("aliases", Value::Array(all)) => {
                    read.aliases.extend(all.iter().filter_map(Value::as_str).map(str::to_owned))
                }
                ("ipv4_address", Value::String(ip)) => read.addresses.extend(["--ip".to_owned(), ip.clone()]),
                ("ipv6_address", Value::String(ip)) => read.addresses.extend(["--ip6".to_owned(), ip.clone()]),
                _ => return None,
            }
        }
        Some(read)
    }
}

/// The networks of a service by the engine's names; `None` where it cannot leave and join them again.
fn networks_of(config: &Config, service: &str) -> Option<Vec<Attachment>> {
    let service = config.services.get(service)?;
    let is_plain = service.network_mode.is_none() && service.links.is_empty() && service.external_links.is_empty();
    if !is_plain || service.networks.is_empty() {
        return None;
    }
    let network = |(key, how): (&String, &Value)| Attachment::read(config.networks.get(key)?.name.clone()?, how);
    service.networks.iter().map(network).collect()
}

/// The question whether there is a network of this name.
fn named(network: &str) -> [String; 5] {
    ["network", "ls", "--quiet", "--filter", &format!("name=^{network}$")].map(str::to_owned)
}

/// All names under which a service is known to others.
fn names<'a>(service: &'a str, networks: &'a [Attachment]) -> BTreeSet<&'a str> {
    let aliases = networks.iter().flat_map(|it| &it.aliases).map(String::as_str);
    aliases.chain([service]).collect()
}

impl Compose {
    /// What the engine calls the network of the gate.
    fn gate_network(&self) -> Result<String> {
        Ok(format!("{}_liftlock_gate", self.project.name()?))
    }

    /// Whether a container can be reached by nobody but this machine and the services of its project.
    pub(super) fn is_closed(&self, container: &Container) -> Result<bool> {
        Ok(self.is_self_contained() && container.networks().eq([self.gate_network()?]))
    }

    fn is_self_contained(&self) -> bool {
        self.gate.as_ref().is_some_and(|it| it.self_contained)
    }

    /// Makes the network of the gate, and takes the services into it that go on running. Done already is done. Answers what
    /// Docker Compose makes of the project; `None` where a gate of this kind cannot be: then the new version is started twice.
    pub(super) fn lay_gate(&self, reporter: &dyn Reporter) -> Result<Option<Config>> {
        if !self.is_self_contained() {
            return Ok(None);
        }
        let config = self.config_in_use()?;
        let is_known = |service: &str| networks_of(&config, service).is_some();
        if !self.components.iter().all(|(_, service)| is_known(service)) {
            return Ok(None);
        }
        let name = self.gate_network()?;
        let network = self.gate_made(&name, reporter)?;
        if !is_of_this_machine(&network) {
            return Ok(None);
        }
        for (id, service) in self.that_run()? {
            let is_stopped = self.components.iter().any(|it| it.1 == service);
            if is_stopped || members(&network).any(|it| it == id) {
                continue;
            }
            let Some(networks) = networks_of(&config, &service) else { continue };
            self.connect(&name, &id, &names(&service, &networks), &[], reporter)?;
        }
        Ok(Some(config))
    }

    /// The network of that name, made where there is none.
    fn gate_made(&self, name: &str, reporter: &dyn Reporter) -> Result<Value> {
        let docker = self.project.docker();
        if docker.ask(named(name).each_ref().map(String::as_str))?.trim().is_empty() {
            let label = format!("{LABEL}={}", self.project.name()?);
            docker.act(["network", "create", "--internal", "--label", &label, name], PATIENCE, reporter)?;
        }
        let told = docker.ask(["network", "inspect", name])?;
        let found: Value = serde_json::from_str(&told).unwrap_or_default();
        let network = &found[0];
        if network["Internal"] == true && network["Labels"][LABEL].is_string() {
            return Ok(network.clone());
        }
        Err(Error::refused("network_strange", format!("The network {name} is not what Liftlock makes of it."))
            .remedy(format!("Remove it with “docker network rm {name}”, then try again.")))
    }

    /// Containers of the project that run, with their services; those of single commands are left out.
    fn that_run(&self) -> Result<Vec<(String, String)>> {
        let project = format!("label=com.docker.compose.project={}", self.project.name()?);
        let told = self.project.docker().ask([
            "ps",
            "--no-trunc",
            "--filter",
            &project,
            "--filter",
            "label=com.docker.compose.oneoff=False",
            "--format",
            "{{.ID}} {{.Label \"com.docker.compose.service\"}}",
        ])?;
        Ok(told.lines().filter_map(|it| it.split_once(' ')).map(|(id, it)| (id.to_owned(), it.to_owned())).collect())
    }

    /// Starts a component where nobody reaches it but the services of its project, and whoever knows `port` of this machine.
    /// `false` where that cannot be here, and nothing was begun.
    pub(super) fn start_closed(&self, component: &str, port: u16, reporter: &dyn Reporter) -> Result<bool> {
        let config = match self.lay_gate(reporter) {
            Ok(Some(config)) => config,
            Ok(None) => return Ok(false),
            Err(error) => {
                reporter.say(&format!("{error} The new version is started twice."));
                return Ok(false);
            }
        };
        let made = self.make(component, &[], &["--no-start"], reporter);
        let started = made.and_then(|()| {
            self.containers(component)?.iter().try_for_each(|container| {
                self.close(&config, component, container, reporter)?;
                let patience = self.patience(self.limits.start_within);
                self.project.docker().act(["start", &container.id], patience, reporter).map(drop)
            })
        });
        self.stays_up(component, started, reporter)?;
        self.lead_to(component, port)?;
        Ok(true)
    }

    /// Takes a container out of all networks but that of the gate. One that was never started is not started by the daemon
    /// either, whatever its policy is; from here on nothing starts it but Liftlock.
    fn close(&self, config: &Config, component: &str, container: &Container, reporter: &dyn Reporter) -> Result<()> {
        self.set_restart(container, "no", reporter)?;
        let gate = self.gate_network()?;
        if !container.is_in(&gate) {
            let service = self.service(component)?;
            let networks = networks_of(config, service).unwrap_or_default();
            self.connect(&gate, &container.id, &names(service, &networks), &[], reporter)?;
        }
        container.networks().filter(|it| *it != gate).try_for_each(|network| {
            let words = ["network", "disconnect", network, &container.id];
            self.project.docker().act(words, PATIENCE, reporter).map(drop)
        })
    }

    /// Lets the private port lead to the component with the gate.
    pub(super) fn lead_to(&self, component: &str, port: u16) -> Result<()> {
        let gate = self.gate.as_ref().filter(|it| it.component == component);
        let Some(inside) = gate.and_then(|it| it.container_port) else { return Ok(()) };
        let network = self.gate_network()?;
        let containers = self.containers(component)?;
        // One that has ended since has none; whoever asks it then hears so.
        let Some(address) = containers.iter().find_map(|it| it.address_in(&network)) else { return Ok(()) };
        let mut forward = self.forward.lock().unwrap_or_else(PoisonError::into_inner);
        // It may have the same port.
        drop(forward.take());
        let here = Ipv4Addr::LOCALHOST;
        let listener = TcpListener::bind((here, port)).map_err(|cause| port::bind_error(here.into(), port, &cause))?;
        *forward = Some(Forward::from(listener, SocketAddr::new(address, inside))?);
        Ok(())
    }

    /// Whether all components run, and in the network of the gate.
    pub(super) fn is_all_closed(&self) -> Result<bool> {
        let gate = self.gate_network()?;
        Ok(self.is_self_contained() && self.all_run_and(|it| it.is_in(&gate))?)
    }

    /// Connects what runs behind the gate to the networks of the project. `false` where something does not get its ports.
    pub(super) fn open_closed(&self, reporter: &dyn Reporter) -> Result<bool> {
        let config = self.config_in_use()?;
        for (component, service) in &self.components {
            for container in self.containers(component)? {
                self.open_container(&config, service, &container, reporter)?;
            }
        }
        drop(self.forward.lock().unwrap_or_else(PoisonError::into_inner).take());
        self.all_run_and(Container::is_published)
    }

    /// Whether there is a container of each component, and all of them run and are so.
    fn all_run_and(&self, is: impl Fn(&Container) -> bool) -> Result<bool> {
        for (component, _) in &self.components {
            let containers = self.containers(component)?;
            if containers.is_empty() || !containers.iter().all(|it| it.is_running() && is(it)) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn open_container(
        &self,
        config: &Config,
        service: &str,
        container: &Container,
        reporter: &dyn Reporter,
    ) -> Result<()> {
        for Attachment { network, aliases, addresses } in networks_of(config, service).unwrap_or_default() {
            if container.is_in(&network) {
                continue;
            }
            let aliases = aliases.iter().map(String::as_str).chain([service]).collect();
            self.connect(&network, &container.id, &aliases, &addresses, reporter)?;
            crate::crash::point("forward", "connect", crate::crash::Moment::MidEffect);
        }
        Ok(())
    }

    /// Whether a container was behind the gate and has not got back all networks of its project.
    pub(super) fn lacks_networks(&self, container: &Container) -> Result<bool> {
        if !self.is_self_contained() || !container.is_in(&self.gate_network()?) {
            return Ok(false);
        }
        let config = self.config_in_use()?;
        let service = container.label("com.docker.compose.service").unwrap_or_default();
        Ok(networks_of(&config, service).unwrap_or_default().iter().any(|it| !container.is_in(&it.network)))
    }

    /// Removes the network of the gate where no container of the application is in it, so that nobody talks through it.
    pub(super) fn take_gate_away(&self, reporter: &dyn Reporter) -> Result<()> {
        let gate = self.gate_network()?;
        let docker = self.project.docker();
        if !self.is_self_contained() || docker.ask(named(&gate).each_ref().map(String::as_str))?.trim().is_empty() {
            return Ok(());
        }
        for (component, _) in &self.components {
            if self.containers(component)?.iter().any(|it| it.is_in(&gate)) {
                return Ok(());
            }
        }
        let network = self.gate_made(&gate, reporter)?;
        for id in members(&network) {
            docker.act(["network", "disconnect", &gate, id], PATIENCE, reporter)?;
        }
        docker.act(["network", "rm", &gate], PATIENCE, reporter).map(drop)
    }

    /// Takes a container into a network, where it is known under these names and has these addresses, given as options.
    fn connect(
        &self,
        network: &str,
        container: &str,
        names: &BTreeSet<&str>,
        addresses: &[String],
        reporter: &dyn Reporter,
    ) -> Result<()> {
        let mut words = vec!["network", "connect"];
        words.extend(names.iter().flat_map(|it| ["--alias", it]));
        words.extend(addresses.iter().map(String::as_str));
        words.extend([network, container]);
        self.project.docker().act(words, PATIENCE, reporter).map(drop)
    }
}
