//! Corner Shop: a web application small enough to read and honest enough to be upgraded.
//!
//! It knows nothing of Liftlock. Its misbehaviour comes from two files only: `release.json` of the
//! release it belongs to, and `fault.json` in its home.

mod api;
mod migrations;
mod orders;
mod pages;
mod pool;
mod settings;
mod uploads;

use std::time::Duration;

use anyhow::{Result, bail};
use hyper::Method;

use crate::http::{self, Ended};

pub use settings::{FAULTS_FILE, Faults, Settings, parse_env_file};

/// Serves until SIGTERM.
///
/// # Errors
/// Settings missing, port taken.
pub fn serve() -> Result<()> {
    let settings = Settings::load()?;
    runtime()?.block_on(pages::serve(settings))
}

/// Brings the database to this release's schema.
///
/// # Errors
/// Settings missing, database unreachable or of another release, a migration that fails.
pub fn migrate() -> Result<()> {
    let settings = Settings::load()?;
    runtime()?.block_on(migrations::migrate(&settings))
}

/// Prints the highest migration of the database, or `empty`.
///
/// # Errors
/// Database unreachable.
pub fn schema_version() -> Result<()> {
    let settings = Settings::load()?;
    println!("{}", runtime()?.block_on(migrations::schema_version(&settings))?);
    Ok(())
}

/// Asks the shop that serves beside this process whether it is well, as the health check of a container.
///
/// # Errors
/// It is not.
pub fn ask_health() -> Result<()> {
    let port = Settings::load()?.required("SHOP_PORT")?.parse()?;
    let asked = http::send(port, Method::GET, "/health", Default::default(), Duration::from_secs(4));
    match runtime()?.block_on(asked) {
        Ended::Answered(200, _) => Ok(()),
        Ended::Answered(status, body) => bail!("{status} {}", String::from_utf8_lossy(&body)),
        Ended::NotSent(error) | Ended::Unknown(error) => Err(error),
    }
}

/// Prints which release this is.
///
/// # Errors
/// `release.json` missing or unreadable.
pub fn version() -> Result<()> {
    let settings = Settings::load()?;
    println!("{}", settings.reported_version());
    Ok(())
}

fn runtime() -> Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?)
}
