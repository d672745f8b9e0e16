//! A database of MySQL or MariaDB, which is read for an export and nothing else.
//!
//! It is the old side of a change to another database: Liftlock neither backs it up nor restores it nor writes to it, and
//! every session only reads. It is asked through the server's own client, as PostgreSQL is. Deliberately absent: encryption
//! of the connection; a server on another machine is reached through a tunnel, and its address is refused otherwise.

mod answer;
mod session;
mod tables;
mod types;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use self::session::Way;
use self::tables::MysqlTables;
use super::tables::{Snapshot, Source};
use crate::error::{Error, Result};
use crate::model::profile::Endpoint;
use crate::ports::Runner;
use crate::secrets::remember;

/// A database of MySQL or MariaDB.
pub struct MysqlSource {
    name: String,
    endpoint: Endpoint,
    private_dir: PathBuf,
    runner: Arc<dyn Runner>,
}

impl fmt::Debug for MysqlSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MysqlSource")
            .field("name", &self.name)
            .field("endpoint", &self.endpoint)
            .finish_non_exhaustive()
    }
}

impl MysqlSource {
    /// The database at `endpoint`, called `name` in the profile. `private_dir` is a folder of ours, in which the password
    /// lies for as long as a snapshot lasts.
    pub fn new(name: impl Into<String>, endpoint: Endpoint, private_dir: &Path, runner: Arc<dyn Runner>) -> Self {
        if let Some(password) = &endpoint.password {
            remember(password);
        }
        Self { name: name.into(), endpoint, private_dir: private_dir.to_owned(), runner }
    }
}

impl Source for MysqlSource {
    fn name(&self) -> &str {
        &self.name
    }

    fn snapshot(&self) -> Result<Option<Box<dyn Snapshot>>> {
        if !self.endpoint.is_here() {
            return Err(Error::refused(
                "not_encrypted",
                format!(
                    "The database “{}” is on another machine, and Liftlock cannot encrypt the way to it.",
                    self.name
                ),
            )
            .remedy("Make a tunnel (ssh -L 3307:localhost:3306 that-machine), and name 127.0.0.1 with port 3307."));
        }
        let way = Way::find(&self.endpoint, &self.private_dir, Arc::clone(&self.runner))?;
        Ok(Some(Box::new(MysqlTables::open(way)?)))
    }

    fn identity(&self) -> Result<Option<String>> {
        let Endpoint { host, port, database, .. } = &self.endpoint;
        Ok(Some(format!("mysql://{host}:{port}/{database}")))
    }
}
