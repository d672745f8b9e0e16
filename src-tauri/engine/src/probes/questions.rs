//! From the probes of a profile to questions that can be asked: everything looked up, every hole filled.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr},
};

use url::Url;

use super::version::VersionQuestion;
use super::{Ask, Credentials, Field, HttpRequest, Question};
use crate::drivers::command::{Place, invocation, words_of};
use crate::error::{Error, Result};
use crate::model::profile::{
    self, Check, CommandLine, FilePath, Gate, HttpAuth, HttpQuestion, Placeholder, Profile, Reference, Store, Template,
};
use crate::ports::Invocation;
use crate::secrets::Secret;
use crate::stores::postgres::Inside;

/// Whom to ask: a release of an installation, on the port where it listens now.
#[derive(Clone, Copy)]
pub struct At<'a> {
    /// The release.
    pub place: Place<'a>,
    /// Its port behind the gate; `None` while it listens on its public one.
    pub private_port: Option<u16>,
    /// Reads files that the profile names.
    pub read: &'a dyn Fn(&FilePath) -> Result<String>,
    /// The container of a service, where the installation is a compose project.
    pub inside: &'a dyn Fn(&str) -> Option<Inside>,
}

impl fmt::Debug for At<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("At").field("place", &self.place).field("private_port", &self.private_port).finish()
    }
}

impl At<'_> {
    /// What a command must know to ask the right one: the private port, in the variable that the component has it in.
    fn variables(&self, profile: &Profile) -> Vec<(String, String)> {
        let gate = profile.gate.as_ref().zip(self.private_port);
        gate.and_then(|(gate, port)| Some((gate.variable.clone()?, port.to_string()))).into_iter().collect()
    }
}

/// Whether a probe asks on a port that nothing has before users are let in: behind the gate of a compose project no service
/// has a port of this machine but the one that `{port}` names.
fn is_public_only(profile: &Profile, check: &Check) -> bool {
    let asked = match check {
        Check::Http { question, .. } => &question.url,
        Check::Tcp { port, .. } => port,
        Check::Postgres { .. } | Check::Command { .. } | Check::FileAge { .. } => return false,
    };
    matches!(profile.driver, profile::Driver::Compose(_)) && !asked.has(Placeholder::Port)
}

/// The questions of a profile, in its order. Behind the gate those are left out that only users' ports can answer.
///
/// # Errors
/// Where something that the profile refers to cannot be read or makes no sense.
pub fn questions(profile: &Profile, at: At<'_>) -> Result<Vec<Question>> {
    profile
        .probes
        .iter()
        .filter(|probe| at.private_port.is_none() || !is_public_only(profile, &probe.check))
        .map(|probe| {
            Ok(Question {
                name: probe.name.clone(),
                required: probe.required,
                timeout: probe.timeout,
                ask: ask(profile, &probe.check, at)?,
            })
        })
        .collect()
}

/// How the version that runs is asked.
///
/// # Errors
/// As [`questions`].
pub fn version_question(profile: &Profile, at: At<'_>) -> Result<VersionQuestion> {
    Ok(match &profile.version {
        profile::VersionQuestion::Http(http) => {
            VersionQuestion::Http { request: request(profile, &http.question, at)?, field: http.field.clone() }
        }
        profile::VersionQuestion::Command(command) => {
            let command = CommandLine { command: command.clone(), service: None, env_file: None };
            VersionQuestion::Command(invocation(profile, at.place, &command, &at.variables(profile))?)
        }
    })
}

/// The port that the users of the application know; `None` where the profile has no gate.
///
/// # Errors
/// `bad_port`, or that it cannot be looked up.
pub fn public_port(profile: &Profile, read: &dyn Fn(&FilePath) -> Result<String>) -> Result<Option<u16>> {
    let Some(gate) = &profile.gate else { return Ok(None) };
    let text = gate.port.lookup(read)?;
    match text.trim().parse() {
        Ok(port) if port != 0 => Ok(Some(port)),
        _ => Err(bad_port(&text)),
    }
}

/// The address that the application listens on, and its maintenance page with it: all of this machine's where
/// the profile does not say.
///
/// # Errors
/// `bad_address`, or that it cannot be looked up.
pub fn bind_address(gate: Option<&Gate>, read: &dyn Fn(&FilePath) -> Result<String>) -> Result<IpAddr> {
    let Some(bind) = gate.and_then(|gate| gate.bind.as_ref()) else {
        return Ok(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
    };
    let text = bind.lookup(read)?;
    let text = text.trim().trim_start_matches('[').trim_end_matches(']');
    if text == "localhost" {
        return Ok(IpAddr::V4(Ipv4Addr::LOCALHOST));
    }
    text.parse().map_err(|_| {
        Error::refused("bad_address", format!("“{}” is not an address of this computer.", text.escape_debug()))
            .remedy("Set the address that the application listens on to one such as 127.0.0.1 or 0.0.0.0.")
    })
}

fn ask(profile: &Profile, check: &Check, at: At<'_>) -> Result<Ask> {
    Ok(match check {
        Check::Http { question, status, field } => Ask::Http {
            request: request(profile, question, at)?,
            status: *status,
            field: field.as_ref().map(|it| Field { path: it.path.clone(), equals: Some(it.equals.clone()) }),
        },
        Check::Tcp { host, port } => {
            let text = fill(profile, port, at)?;
            let port = text.trim().parse().map_err(|_| bad_port(&text))?;
            Ask::Tcp { host: host.clone(), port }
        }
        Check::Postgres { store } => match profile.store(store) {
            Some(Store::Postgres(store)) => {
                let inside = store.service.as_deref().and_then(|it| (at.inside)(it));
                Ask::Postgres { endpoint: store.endpoint(at.read)?, inside }
            }
            _ => {
                let message = format!("A probe asks the database “{store}”, which is none although it was checked.");
                return Err(Error::bug("store_unknown", message));
            }
        },
        Check::Command { command } => Ask::Command(match &command.service {
            Some(service) => in_service(service, command, at)?,
            None => invocation(profile, at.place, command, &at.variables(profile))?,
        }),
        Check::FileAge { path, max_age } => Ask::FileAge { path: path.under(at.place.dir), max_age: *max_age },
    })
}

/// A command in the container of a service that runs.
fn in_service(service: &str, command: &CommandLine, at: At<'_>) -> Result<Invocation> {
    let inside = (at.inside)(service).ok_or_else(|| {
        Error::refused(
            "service_missing",
            format!("A probe asks the service “{service}”, and there is no compose project."),
        )
        .remedy("Take “service” out of the probe, or write kind = \"compose\" in [driver] of the profile.")
    })?;
    let words = words_of(command, at.place)?;
    if inside.project.is_stack() {
        let container = inside.project.running(service)?.id;
        return Ok(crate::docker::invocation().args(["exec", &container]).args(words));
    }
    Ok(inside.project.compose(&[]).args(["exec", "--no-TTY", service]).args(words))
}

/// A question over HTTP with all that it refers to looked up.
///
/// # Errors
/// As [`questions`].
pub fn request(profile: &Profile, question: &HttpQuestion, at: At<'_>) -> Result<HttpRequest> {
    let text = fill(profile, &question.url, at)?;
    let url = Url::parse(&text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    let url = url.ok_or_else(|| {
        Error::refused("bad_url", format!("The address “{}” of a probe is none.", question.url))
            .remedy("Correct it in the profile: it begins with http:// or https://.")
    })?;
    let look = |reference: &Reference| reference.lookup(at.read);
    let credentials = match &question.auth {
        None => None,
        Some(HttpAuth::Basic { user, password }) => {
            Some(Credentials::Basic { user: look(user)?, password: Secret::new(look(password)?) })
        }
        Some(HttpAuth::Bearer { bearer }) => Some(Credentials::Bearer(Secret::new(look(bearer)?))),
    };
    let ca = question.ca.as_ref().map(|file| file.under(at.place.dir));
    Ok(HttpRequest { url, credentials, ca })
}

fn fill(profile: &Profile, template: &Template, at: At<'_>) -> Result<String> {
    if !template.has(Placeholder::Port) {
        return template.fill(&[]);
    }
    let port = match at.private_port {
        Some(port) => Some(port),
        None => public_port(profile, at.read)?,
    };
    match port {
        Some(port) => template.fill(&[(Placeholder::Port, &port.to_string())]),
        None => {
            Err(Error::refused("port_unknown", "A probe asks on {port}, and the profile does not say which that is.")
                .remedy("Add a [gate] with the port to the profile, or write the port into the probe."))
        }
    }
}

fn bad_port(text: &str) -> Error {
    Error::refused("bad_port", format!("“{}” is not a port.", text.escape_debug()))
        .remedy("Set the port of the application to a number from 1 to 65535.")
}
