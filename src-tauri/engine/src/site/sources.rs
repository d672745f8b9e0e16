//! What exports are read from: the stores of an installation, and the databases that are only read.
//!
//! A source belongs to the versions before the one that keeps its data elsewhere; of later ones it is no part, nor is what
//! the profile says of its tables.

use std::sync::Arc;

use semver::Version;

use super::Site;
use crate::drivers::command::reader;
use crate::error::Result;
use crate::model::finding::{Finding, Severity};
use crate::model::profile::{self, Export, SourceKind};
use crate::process::beside;
use crate::stores::mysql::MysqlSource;
use crate::stores::sqlserver::{self, SqlServerSource};
use crate::stores::tables::Source;

impl Site {
    /// Those of the version that is installed.
    pub(super) fn sources(&self) -> Result<Vec<Arc<dyn Source>>> {
        let read = reader(&self.installation.folder);
        let private = self.passfiles.folder();
        let one = |it: &profile::Source| {
            let endpoint = it.endpoint(&read)?;
            let runner = Arc::clone(&self.runner);
            Ok::<Arc<dyn Source>, _>(match it.kind {
                SourceKind::Mysql => Arc::new(MysqlSource::new(&it.name, endpoint, private, runner)),
                SourceKind::SqlServer => {
                    let mut place = sqlserver::Place {
                        instance: it.instance.as_ref().map(|it| it.lookup(&read)).transpose()?,
                        encryption: it.encryption.unwrap_or_default(),
                        authority: it.authority.as_ref().map(&read).transpose()?,
                        endpoint,
                    };
                    if it.asks_for_port() {
                        place.endpoint.port = 0;
                    }
                    Arc::new(SqlServerSource::new(&it.name, place, &beside(sqlserver::PROGRAM), runner))
                }
            })
        };
        self.profile.sources.iter().filter(|it| self.keeps_data_in(it)).map(one).collect()
    }

    fn keeps_data_in(&self, source: &profile::Source) -> bool {
        let version = self.installation.version.as_ref().and_then(|it| Version::parse(it).ok());
        source.is_of(version.as_ref())
    }

    /// Everything that an export can be read from.
    pub fn all_sources(&self) -> Vec<&dyn Source> {
        let stores = self.stores.iter().map(|it| -> &dyn Source { it.as_ref() });
        stores.chain(self.sources.iter().map(AsRef::as_ref)).collect()
    }

    /// What can be exported of the version that is installed, by the words of the profile.
    pub fn exports(&self) -> Vec<Export> {
        let gone: Vec<&str> =
            self.profile.sources.iter().filter(|it| !self.keeps_data_in(it)).map(|it| it.name.as_str()).collect();
        let is_there = |it: &&Export| it.store.as_deref().is_none_or(|store| !gone.contains(&store));
        self.profile.exports.iter().filter(is_there).cloned().collect()
    }

    /// What is known of data that is in no backup.
    pub fn not_backed_up(&self) -> Vec<Finding> {
        let one = |it: &Arc<dyn Source>| {
            Finding::new(
                Severity::Stop,
                "source_not_backed_up",
                format!("What is in the database “{}” is in no backup: Liftlock only reads it.", it.name()),
                "Update it by hand as its makers say, or leave it by an export and a fresh start.",
            )
        };
        self.sources.iter().map(one).collect()
    }
}
