//! Where the shop is, which release it is, and what it was told.
//!
//! An environment variable wins over `.env`. The one exception is the fault `dotenv_wins`: then the
//! database is always the one in `.env`, as in an application with a hard-coded URL.

use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use tokio_postgres::config::Host;

use crate::catalogue::Behaviour;

/// Name of the file in the shop's home that makes it misbehave.
pub const FAULTS_FILE: &str = "fault.json";

/// What the shop was told to do wrong, whichever release it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Faults {
    /// `DATABASE_URL` of the environment is ignored.
    pub dotenv_wins: bool,
    /// Bad migrations behave well on any server but the one at `live_port`.
    pub spare_rehearsal: bool,
    /// Port of the demo's own server.
    pub live_port: Option<u16>,
    /// How long a long migration works, in seconds.
    pub migration_seconds: Option<u32>,
    /// How long the shop waits before it listens, in seconds.
    pub slow_start_seconds: u32,
    /// SIGTERM is ignored.
    pub never_stop: bool,
}

/// All that the shop knows before it does anything.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Folder with `.env` and the data.
    pub home: PathBuf,
    /// Folder of the release: `bin`, `migrations`, `release.json`.
    pub release_dir: PathBuf,
    /// Which release it is.
    pub behaviour: Behaviour,
    /// What else it does wrong.
    pub faults: Faults,
    from_file: BTreeMap<String, String>,
}

impl Settings {
    /// Looks for the release beside the program, and for the home in `SHOP_HOME`, the working directory,
    /// or above the release.
    ///
    /// # Errors
    /// A file that is missing or cannot be understood.
    pub fn load() -> Result<Self> {
        let program = fs::canonicalize(env::current_exe()?)?;
        let release_dir = program.parent().and_then(Path::parent).context("the program is in no release folder")?;
        let described = release_dir.join("release.json");
        let text = fs::read_to_string(&described).with_context(|| {
            format!("cannot read {}: corner-shop runs from the bin folder of a release", described.display())
        })?;
        let behaviour = serde_json::from_str(&text).with_context(|| described.display().to_string())?;
        let home = home(release_dir)?;
        let from_file = match fs::read_to_string(home.join(".env")) {
            Ok(text) => parse_env_file(&text),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => BTreeMap::new(),
            Err(error) => return Err(error).context(home.join(".env").display().to_string()),
        };
        let faults_file = home.join(env::var_os("SHOP_FAULTS").unwrap_or_else(|| FAULTS_FILE.into()));
        let faults = match fs::read_to_string(&faults_file) {
            Ok(text) => serde_json::from_str(&text).with_context(|| faults_file.display().to_string())?,
            Err(_) => Faults::default(),
        };
        Ok(Self { home, release_dir: release_dir.to_owned(), behaviour, faults, from_file })
    }

    /// A setting, from the environment or else from `.env`.
    pub fn value(&self, name: &str) -> Option<String> {
        let from_file = || self.from_file.get(name).cloned();
        if name == "DATABASE_URL" && self.faults.dotenv_wins && from_file().is_some() {
            return from_file();
        }
        env::var(name).ok().or_else(from_file).filter(|value| !value.is_empty())
    }

    /// As [`Settings::value`], where the shop cannot do without.
    ///
    /// # Errors
    /// Neither place has it.
    pub fn required(&self, name: &str) -> Result<String> {
        self.value(name).with_context(|| format!("{name} is not set. Add it to {}", self.home.join(".env").display()))
    }

    /// Refuses to go on without the settings that this release needs.
    ///
    /// # Errors
    /// One of them is missing.
    pub fn check_needs(&self) -> Result<()> {
        for name in &self.behaviour.needs {
            if self.value(name).is_none() {
                bail!(
                    "{name} is not set. Corner Shop {} does not run without it: add it to {} (see .env.example)",
                    self.behaviour.version,
                    self.home.join(".env").display()
                );
            }
        }
        Ok(())
    }

    /// How the database is reached. `PGAPPNAME` names the session, as it does for every libpq program.
    ///
    /// # Errors
    /// `DATABASE_URL` missing or malformed (its text is not repeated: it holds a password).
    pub fn database(&self) -> Result<tokio_postgres::Config> {
        let mut config: tokio_postgres::Config =
            self.required("DATABASE_URL")?.parse().context("DATABASE_URL is not a PostgreSQL URL")?;
        config.application_name(env::var("PGAPPNAME").unwrap_or_else(|_| "corner-shop".to_owned()));
        config.connect_timeout(std::time::Duration::from_secs(5));
        Ok(config)
    }

    /// Whether this release's bad migrations may do their worst in this database.
    pub fn misbehaves_in(&self, database: &tokio_postgres::Config) -> bool {
        // In containers the database of a rehearsal bears the same name and port as the real one.
        if env::var_os("SHOP_FAULTS").is_some() {
            return !self.faults.spare_rehearsal || env::var_os("LIFTLOCK_REHEARSAL").is_none();
        }
        let is_live = database.get_ports().first().copied().unwrap_or(5432) == self.faults.live_port.unwrap_or(0)
            && database.get_hosts().iter().all(|host| matches!(host, Host::Tcp(_)));
        !self.faults.spare_rehearsal || is_live
    }

    /// The version it says it is.
    pub fn reported_version(&self) -> &str {
        self.behaviour.reports_version.as_ref().unwrap_or(&self.behaviour.version)
    }

    /// Folder of the uploaded files.
    pub fn uploads(&self) -> PathBuf {
        self.home.join(self.value("UPLOADS_DIR").unwrap_or_else(|| "data/uploads".to_owned()))
    }
}

fn home(release_dir: &Path) -> Result<PathBuf> {
    if let Some(home) = env::var_os("SHOP_HOME") {
        return Ok(PathBuf::from(home));
    }
    let here = env::current_dir()?;
    if here.join(".env").is_file() {
        return Ok(here);
    }
    // <home>/releases/<version>
    let above = release_dir.parent().and_then(Path::parent).filter(|dir| dir.join(".env").is_file());
    Ok(above.map_or(here, Path::to_owned))
}

/// The pairs of an environment file: `NAME=value`, comments, blank lines, quotes around a value.
pub fn parse_env_file(text: &str) -> BTreeMap<String, String> {
    let pair = |line: &str| {
        let line = line.trim();
        let (name, value) = line.strip_prefix("export ").unwrap_or(line).split_once('=')?;
        let value = value.trim();
        let bare = ['"', '\''].iter().find_map(|&quote| value.strip_prefix(quote)?.strip_suffix(quote));
        (!name.starts_with('#')).then(|| (name.trim().to_owned(), bare.unwrap_or(value).to_owned()))
    };
    text.lines().filter_map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_environment_file_is_read_with_comments_and_quotes() {
        let read = parse_env_file("# SHOP_PORT=1\nSHOP_PORT=2\n\nexport A = 'b c'\nU=\"x=y\"\nnonsense\n");
        let pairs: Vec<_> = read.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(pairs, [("A", "b c"), ("SHOP_PORT", "2"), ("U", "x=y")]);
    }
}
