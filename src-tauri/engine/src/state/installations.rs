//! The rows of `installation`.

use chrono::{DateTime, Utc};
use rusqlite::{Row, params};

use crate::error::{Error, Result};
use crate::model::ids::InstallationName;
use crate::state::Db;
use crate::state::upgrades::{instant, stamp};

/// One copy of an application on this machine, as recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installation {
    /// Its name.
    pub name: InstallationName,
    /// Its folder, absolute.
    pub folder: std::path::PathBuf,
    /// Text of its profile, as it was when it was added.
    pub profile: String,
    /// Id of the application in the profile.
    pub application: String,
    /// The version last observed to run.
    pub version: Option<String>,
    /// When it was added.
    pub added_at: DateTime<Utc>,
}

fn read(row: &Row<'_>) -> Result<Installation> {
    Ok(Installation {
        name: row.get::<_, String>(0)?.parse()?,
        folder: row.get::<_, String>(1)?.into(),
        profile: row.get(2)?,
        application: row.get(3)?,
        version: row.get(4)?,
        added_at: instant(&row.get::<_, String>(5)?)?,
    })
}

const COLUMNS: &str = "name, folder, profile, application, version, added_at";

impl Db {
    /// Remembers an installation.
    ///
    /// # Errors
    /// `name_taken`, `folder_taken`, `bad_path`.
    pub fn add_installation(&mut self, installation: &Installation) -> Result<()> {
        let folder = installation.folder.to_str().ok_or_else(|| {
            Error::refused("bad_path", "The folder's name is not valid Unicode.").remedy("Rename the folder.")
        })?;
        let tx = self.write()?;
        let taken: Option<String> = tx
            .prepare_cached("SELECT name FROM installation WHERE name = ?1 OR folder = ?2")?
            .query_map(params![installation.name.as_str(), folder], |row| row.get(0))?
            .next()
            .transpose()?;
        match taken {
            Some(name) if name == installation.name.as_str() => {
                return Err(Error::refused("name_taken", format!("There is already an installation called {name}."))
                    .remedy("Choose another name with --name, or `liftlock remove` the other one first."));
            }
            Some(name) => {
                return Err(Error::refused("folder_taken", format!("{folder} is already known as {name}."))
                    .remedy(format!("Use {name}, or `liftlock remove {name}` first.")));
            }
            None => {}
        }
        tx.execute(
            "INSERT INTO installation (name, folder, profile, application, version, added_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            params![
                installation.name.as_str(),
                folder,
                installation.profile,
                installation.application,
                installation.version,
                stamp(installation.added_at)
            ],
        )?;
        tx.commit()?;
        Ok(())
    }

    /// Forgets an installation; its files, data, backups and history stay.
    ///
    /// # Errors
    /// `unknown_installation`; `busy` while an upgrade of it has not ended.
    pub fn remove_installation(&mut self, name: &InstallationName) -> Result<()> {
        let tx = self.write()?;
        let open: i64 = tx.query_row(
            "SELECT count(*) FROM system_updates WHERE installation = ?1 AND state NOT IN ('complete', 'rolled_back', 'failed')",
            [name.as_str()],
            |row| row.get(0),
        )?;
        if open > 0 {
            return Err(Error::new(
                crate::error::Kind::Busy,
                "busy",
                format!("{name} has an upgrade that has not ended."),
            )
            .remedy(format!("`liftlock status {name}` shows it.")));
        }
        if tx.execute("DELETE FROM installation WHERE name = ?1", [name.as_str()])? == 0 {
            return Err(unknown(name));
        }
        // Another one may get this name.
        for table in ["notice", "announced"] {
            tx.execute(&format!("DELETE FROM {table} WHERE installation = ?1"), [name.as_str()])?;
        }
        let noted =
            "DELETE FROM setting WHERE key GLOB '_*' AND substr(key, -length(?1) - 1) IN (':' || ?1, '/' || ?1)";
        tx.execute(noted, [name.as_str()])?;
        tx.commit()?;
        Ok(())
    }

    /// One installation.
    ///
    /// # Errors
    /// `unknown_installation`.
    pub fn installation(&self, name: &InstallationName) -> Result<Installation> {
        let sql = format!("SELECT {COLUMNS} FROM installation WHERE name = ?1");
        self.conn
            .prepare_cached(&sql)?
            .query_and_then([name.as_str()], read)?
            .next()
            .unwrap_or_else(|| Err(unknown(name)))
    }

    /// All installations, by name.
    ///
    /// # Errors
    /// Those of the state itself.
    pub fn installations(&self) -> Result<Vec<Installation>> {
        let sql = format!("SELECT {COLUMNS} FROM installation ORDER BY name");
        self.conn.prepare_cached(&sql)?.query_and_then([], read)?.collect()
    }

    /// Keeps another copy of its profile.
    ///
    /// # Errors
    /// Those of the state itself.
    pub fn keep_profile(&mut self, name: &InstallationName, profile: &str) -> Result<()> {
        self.conn.execute("UPDATE installation SET profile = ?2 WHERE name = ?1", params![name.as_str(), profile])?;
        Ok(())
    }

    /// Records what was observed to run.
    ///
    /// # Errors
    /// Those of the state itself.
    pub fn observe_version(&mut self, name: &InstallationName, version: &str, now: DateTime<Utc>) -> Result<()> {
        self.conn.execute(
            "UPDATE installation SET version = ?2, observed_at = ?3 WHERE name = ?1",
            params![name.as_str(), version, stamp(now)],
        )?;
        Ok(())
    }
}

fn unknown(name: &InstallationName) -> Error {
    Error::usage("unknown_installation", format!("There is no installation called {name}."))
        .remedy("`liftlock list` shows those that Liftlock looks after; `liftlock add` adds one.")
}
