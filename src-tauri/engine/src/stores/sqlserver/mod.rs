//! A database of SQL Server, which is read for an export and nothing else.
//!
//! It is the old side of a change to another database: Liftlock neither backs it up nor restores it nor writes to it. It is
//! asked through a client of ours, `liftlock-sqlserver`, a program of its own beside the worker. There is no server to be had
//! where Liftlock is made: it is tested against a double that speaks the protocol, and everything that is read from one says
//! so. Deliberately absent: Kerberos and the accounts of Windows.

mod answer;
mod session;
mod tables;
mod types;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use self::session::Way;
use self::tables::SqlServerTables;
use super::tables::{Snapshot, Source};
use crate::error::{Error, Result};
use crate::model::profile::{Encryption, Endpoint};
use crate::ports::Runner;
use crate::secrets::remember;

/// The client, beside the worker.
pub const PROGRAM: &str = "liftlock-sqlserver";

/// Where a database is, and how its server is trusted.
#[derive(Debug, Clone)]
pub struct Place {
    /// Where it is. Port 0 is one that its instance is asked for.
    pub endpoint: Endpoint,
    /// The name of its instance, where the server has several.
    pub instance: Option<String>,
    /// How the connection is secured.
    pub encryption: Encryption,
    /// Certificates of authorities, as PEM, beside those that the system knows.
    pub authority: Option<String>,
}

/// A database of SQL Server.
pub struct SqlServerSource {
    name: String,
    place: Place,
    program: PathBuf,
    runner: Arc<dyn Runner>,
}

impl fmt::Debug for SqlServerSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqlServerSource").field("name", &self.name).field("place", &self.place).finish_non_exhaustive()
    }
}

impl SqlServerSource {
    /// The database at `place`, called `name` in the profile. `program` is our client.
    pub fn new(name: impl Into<String>, place: Place, program: &Path, runner: Arc<dyn Runner>) -> Self {
        if let Some(password) = &place.endpoint.password {
            remember(password);
        }
        Self { name: name.into(), place, program: program.to_owned(), runner }
    }
}

impl Source for SqlServerSource {
    fn name(&self) -> &str {
        &self.name
    }

    fn snapshot(&self) -> Result<Option<Box<dyn Snapshot>>> {
        if self.place.encryption == Encryption::None && !self.place.endpoint.is_here() {
            return Err(Error::refused(
                "not_encrypted",
                format!("The database “{}” is on another machine, and the way to it is not encrypted.", self.name),
            )
            .remedy(
                "Write encryption = \"verified\" (or \"unverified\") to the source in the profile, or make a tunnel.",
            ));
        }
        let way = Way::find(&self.place, &self.program, Arc::clone(&self.runner))?;
        Ok(Some(Box::new(SqlServerTables::open(&way)?)))
    }

    fn identity(&self) -> Result<Option<String>> {
        let Endpoint { host, port, database, .. } = &self.place.endpoint;
        let at = match (&self.place.instance, port) {
            (Some(instance), 0) => format!("/{instance}"),
            (Some(instance), port) => format!(":{port}/{instance}"),
            (None, port) => format!(":{port}"),
        };
        Ok(Some(format!("sqlserver://{host}{at}/{database}")))
    }
}
