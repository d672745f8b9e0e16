//! Read-only questions about health, as a profile asks for them.

use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Serialize;

use super::{CommandLine, FilePath, Reference, Template, duration};

/// A read-only question about health.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Probe {
    /// Its name, unique in the profile.
    #[schemars(length(min = 1, max = 64))]
    pub name: String,
    /// What is asked.
    #[serde(flatten)]
    pub check: Check,
    /// Whether the application counts as down while this one is.
    #[serde(default = "Probe::default_required")]
    pub required: bool,
    /// How long one try may take.
    #[serde(default = "Probe::default_timeout", serialize_with = "duration::serialize")]
    #[schemars(schema_with = "duration::schema_of")]
    pub timeout: Duration,
}

impl Probe {
    /// `true`
    pub fn default_required() -> bool {
        true
    }
    /// 5 s
    pub fn default_timeout() -> Duration {
        Duration::from_secs(5)
    }
}

/// What a probe asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Check {
    /// A page over HTTP answers with a status, and with a field in JSON.
    Http {
        /// What is asked.
        #[serde(flatten)]
        question: HttpQuestion,
        /// The status it must answer with.
        #[serde(default = "Check::default_status")]
        #[schemars(range(min = 100, max = 599))]
        status: u16,
        /// What must stand in the JSON answer.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        field: Option<ExpectedField>,
    },
    /// A port accepts connections.
    Tcp {
        /// The host, usually `127.0.0.1`.
        #[serde(default = "Check::default_host")]
        host: String,
        /// The port: a number, or `{port}`, the port on which the application listens at that moment.
        #[schemars(schema_with = "text_or_number")]
        port: Template,
    },
    /// A PostgreSQL store answers a query.
    Postgres {
        /// The store.
        store: String,
    },
    /// A command ends with exit code 0.
    Command {
        /// The command.
        #[serde(flatten)]
        command: CommandLine,
    },
    /// A file has been written lately.
    FileAge {
        /// The file.
        path: FilePath,
        /// How old it may be.
        #[serde(serialize_with = "duration::serialize")]
        #[schemars(schema_with = "duration::schema_of")]
        max_age: Duration,
    },
}

impl Check {
    /// 200
    pub fn default_status() -> u16 {
        200
    }
    /// `127.0.0.1`
    pub fn default_host() -> String {
        "127.0.0.1".to_owned()
    }
}

/// A question over HTTP.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HttpQuestion {
    /// The address. Placeholder: `{port}`, the port on which the application listens at that moment.
    pub url: Template,
    /// Who asks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<HttpAuth>,
    /// A file of certificates (PEM) that are trusted beside those of the system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<FilePath>,
}

/// Who asks over HTTP. Secrets are given by reference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(untagged, deny_unknown_fields)]
pub enum HttpAuth {
    /// A user with a password.
    Basic {
        /// The user.
        user: Reference,
        /// The password, by reference.
        password: Reference,
    },
    /// A bearer token.
    Bearer {
        /// The token, by reference.
        bearer: Reference,
    },
}

/// What must stand in a JSON answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExpectedField {
    /// Where it stands: `status`, or `checks.database` for an object in an object.
    #[schemars(length(min = 1))]
    pub path: String,
    /// What it says; numbers and truth values are compared as they are written in JSON.
    #[schemars(schema_with = "text_or_number")]
    pub equals: String,
}

fn text_or_number(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": ["string", "integer", "boolean"] })
}
