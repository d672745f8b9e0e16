//! Read-only questions about health. The answer is up, or down with a class and the first thing to do.
//!
//! A question never changes anything and never takes longer than its timeout. One that is up now and down in a
//! moment is not up: see [`settle()`].

mod command;
mod file_age;
mod http;
mod net;
mod postgres;
mod questions;
pub mod settle;
pub mod version;

use std::{fmt, path::PathBuf, time::Duration};

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::model::profile::Endpoint;
use crate::ports::{Clock, Invocation, Reporter, Runner};
use crate::secrets::Secret;
use crate::stores::postgres::Inside;

pub use questions::{At, bind_address, public_port, questions, request, version_question};
pub use settle::{Budget, Settled, settle};

/// A question about health with all that a profile refers to looked up. It may hold secrets and is never stored.
#[derive(Debug, Clone)]
pub struct Question {
    /// The name in the profile.
    pub name: String,
    /// Whether the application counts as down while this one is.
    pub required: bool,
    /// How long one try may take.
    pub timeout: Duration,
    /// What is asked.
    pub ask: Ask,
}

/// What is asked.
#[derive(Debug, Clone)]
pub enum Ask {
    /// A page over HTTP.
    Http {
        /// The request.
        request: HttpRequest,
        /// The status that it must answer with.
        status: u16,
        /// What must stand in the JSON answer.
        field: Option<Field>,
    },
    /// A port accepts a connection.
    Tcp {
        /// Name or address.
        host: String,
        /// The port.
        port: u16,
    },
    /// A PostgreSQL database answers a query.
    Postgres {
        /// Where it is for the application.
        endpoint: Endpoint,
        /// The container in which it runs, where it is in one.
        inside: Option<Inside>,
    },
    /// A command ends with exit code 0.
    Command(Invocation),
    /// A file was written lately.
    FileAge {
        /// The file.
        path: PathBuf,
        /// How old it may be.
        max_age: Duration,
    },
}

/// A request over HTTP. It is a GET that follows no redirect and uses no proxy.
#[derive(Clone)]
pub struct HttpRequest {
    /// The address.
    pub url: url::Url,
    /// Who asks.
    pub credentials: Option<Credentials>,
    /// A file of certificates (PEM) that are trusted beside those of the system.
    pub ca: Option<PathBuf>,
}

/// The address without what may be secret in it.
impl fmt::Debug for HttpRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpRequest")
            .field("url", &http::plain(&self.url))
            .field("credentials", &self.credentials)
            .field("ca", &self.ca)
            .finish()
    }
}

/// Who asks over HTTP.
#[derive(Debug, Clone)]
pub enum Credentials {
    /// A user with a password.
    Basic {
        /// The user.
        user: String,
        /// The password.
        password: Secret,
    },
    /// A token.
    Bearer(Secret),
}

/// What must stand in a JSON answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// Where: names of objects and numbers of arrays, with dots between them.
    pub path: String,
    /// What it says, as JSON writes it, without the quotes of a text. `None` where it only must be there.
    pub equals: Option<String>,
}

/// What a question was answered with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Outcome {
    /// All is well.
    Up {
        /// How long the answer took, in milliseconds.
        latency_ms: f64,
    },
    /// Something is wrong.
    Down {
        /// How long it took to find out, in milliseconds.
        latency_ms: f64,
        /// A stable name: `connection_refused timeout dns tls http_status bad_body auth_failed disk_full …`.
        error_class: String,
        /// What is wrong, in a sentence.
        message: String,
        /// The first thing to do, in words.
        remedy: String,
    },
}

impl Outcome {
    /// Whether it is up.
    pub fn is_up(&self) -> bool {
        matches!(self, Self::Up { .. })
    }
}

/// One answer to one question, at one time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Observation {
    /// The name of the probe.
    pub probe: String,
    /// Whether the application counts as down while this one is.
    pub required: bool,
    /// When it was answered.
    pub at: DateTime<Utc>,
    /// The answer.
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// What asking needs of the world.
#[derive(Clone, Copy)]
pub struct World<'a> {
    /// Runs commands.
    pub runner: &'a dyn Runner,
    /// Tells time.
    pub clock: &'a dyn Clock,
    /// Says when to stop.
    pub reporter: &'a dyn Reporter,
}

impl fmt::Debug for World<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("World").finish_non_exhaustive()
    }
}

/// Asks one question once.
///
/// # Errors
/// Only what the reporter says: `cancelled`, `lease_lost`, `deadline`. That something is down is no error.
pub fn ask(question: &Question, world: World<'_>) -> Result<Observation> {
    world.reporter.check()?;
    let begun = world.clock.since_boot();
    let timeout = question.timeout;
    let answer = match &question.ask {
        Ask::Http { request, status, field } => http::probe(request, *status, field.as_ref(), timeout),
        Ask::Tcp { host, port } => net::probe(host, *port, timeout),
        Ask::Postgres { endpoint, inside: None } => postgres::probe(endpoint, timeout, world),
        Ask::Postgres { endpoint, inside: Some(inside) } => postgres::probe_inside(endpoint, inside, timeout, world),
        Ask::Command(invocation) => command::probe(invocation, timeout, world),
        Ask::FileAge { path, max_age } => file_age::probe(path, *max_age, world.clock.now()),
    };
    // A stop in the middle makes a probe fail that is not down.
    world.reporter.check()?;
    let latency_ms = world.clock.since_boot().saturating_sub(begun).as_secs_f64() * 1000.0;
    let outcome = match answer {
        Ok(()) => Outcome::Up { latency_ms },
        Err(error) => Outcome::Down {
            latency_ms,
            error_class: error.class.into_owned(),
            message: error.message,
            remedy: error.remedy,
        },
    };
    Ok(Observation { probe: question.name.clone(), required: question.required, at: world.clock.now(), outcome })
}

/// A full disk is told by many in many words, and always the first thing to look at.
fn mentions_full_disk(text: &str) -> bool {
    let text = text.to_lowercase();
    ["no space left on device", "disk full", "disk is full", "disk quota exceeded", "database or disk is full"]
        .iter()
        .any(|words| text.contains(words))
}

fn disk_full(who: &str) -> Error {
    Error::failed("disk_full", format!("{who} says that its disk is full."))
        .remedy("Free some space on the disk of the application and of its database, then try again.")
}

#[cfg(test)]
mod tests;
