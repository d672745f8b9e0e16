//! Databases that are only read, for an export.

use schemars::JsonSchema;
use semver::Version;
use serde::Serialize;

use super::connection::Family;
use super::{Connection, Endpoint, FilePath};
use crate::error::Result;

/// What a source is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SourceKind {
    /// A database of MySQL or MariaDB.
    Mysql,
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
        }
    }
}
