//! Databases that are only read, for an export.

use schemars::JsonSchema;
use semver::Version;
use serde::Serialize;

use super::connection::Family;
use super::{Connection, Endpoint, FilePath, Reference};
use crate::error::Result;

/// What a source is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SourceKind {
    /// A database of MySQL or MariaDB.
    Mysql,
    /// A database of SQL Server.
    #[serde(rename = "sqlserver")]
    SqlServer,
}

/// How the connection to SQL Server is secured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Encryption {
    /// Encrypted, with a certificate for the name of the server that a known authority signed.
    #[default]
    Verified,
    /// Encrypted, whoever answers: for a certificate that the server made itself.
    Unverified,
    /// Not encrypted; of a server on this machine only.
    None,
}

/// A database that Liftlock only reads, for an export: it neither backs it up nor writes to it. It holds the data of an
/// application that is about to change to another database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// Its name, unique in the profile, also among the stores.
    #[schemars(length(min = 1, max = 64))]
    pub name: String,
    /// What it is.
    pub kind: SourceKind,
    /// How it is reached, as a user that may read.
    #[serde(flatten)]
    pub connection: Connection,
    /// With `sqlserver`: the name of its instance, where the server has several. Without a port or an address the server is
    /// asked for its port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<Reference>,
    /// With `sqlserver`: how the connection is secured. Without it `verified`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encryption: Option<Encryption>,
    /// With `sqlserver`: a file with the certificate of the authority that signed the server's (PEM), beside those that
    /// this machine knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authority: Option<FilePath>,
    /// The first version that keeps its data elsewhere: from then on the source is of no concern.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Version>,
}

impl Source {
    /// Where it is.
    ///
    /// # Errors
    /// As [`Connection::endpoint`].
    pub fn endpoint(&self, read: &dyn Fn(&FilePath) -> Result<String>) -> Result<Endpoint> {
        self.connection.endpoint_of(self.kind.family(), read)
    }
    /// Whether the port is one that the instance has to be asked for.
    pub fn asks_for_port(&self) -> bool {
        self.instance.is_some() && self.connection.port.is_none() && self.connection.url.is_none()
    }
    /// Whether an installation of this version keeps data in it. Yes where the version is not known.
    pub fn is_of(&self, version: Option<&Version>) -> bool {
        match (&self.before, version) {
            (Some(before), Some(version)) => version < before,
            _ => true,
        }
    }
}

impl SourceKind {
    pub(super) fn family(self) -> Family {
        match self {
            Self::Mysql => Family::Mysql,
            Self::SqlServer => Family::SqlServer,
        }
    }
}
