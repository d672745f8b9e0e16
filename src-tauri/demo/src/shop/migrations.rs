//! The shop's own migrations: files beside the program, each run once, in order, in one transaction.
//!
//! `schema_migrations` is the truth about a database. A database that holds a migration which this
//! release does not know belongs to another release and is left alone.

use std::fs;

use anyhow::{Context, Result, bail};
use tokio_postgres::Client;

use super::pool;
use super::settings::Settings;

/// What a database has: `version_name`, lowest first.
pub(super) const APPLIED: &str = "SELECT version || '_' || name FROM schema_migrations ORDER BY version COLLATE \"C\"";

/// One migration found beside the program.
#[derive(Debug)]
struct Migration {
    version: String,
    name: String,
    sql: String,
}

/// Runs what is missing.
pub(super) async fn migrate(settings: &Settings) -> Result<()> {
    settings.check_needs()?;
    let database = settings.database()?;
    let mut client = pool::connect(&database).await?;
    let seconds = seconds_of_work(settings);
    let misbehave = if settings.misbehaves_in(&database) { "on" } else { "off" };
    let currency = settings.value("SHOP_CURRENCY").unwrap_or_default();
    client
        .execute(
            "SELECT set_config('corner_shop.misbehave', $1, false), \
             set_config('corner_shop.migration_seconds', $2, false), set_config('corner_shop.currency', $3, false)",
            &[&misbehave, &seconds.to_string(), &currency],
        )
        .await?;
    client
        .batch_execute(
            "SET client_min_messages = warning;
             CREATE TABLE IF NOT EXISTS schema_migrations (
                 version text PRIMARY KEY, name text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())",
        )
        .await?;
    let migrations = read(settings)?;
    let known = names(&migrations);
    // A newer schema is never "repaired" by running what it lacks.
    if let Some(stranger) = applied(&client).await?.into_iter().find(|it| !known.contains(it))
        && !settings.behaviour.second_shop
    {
        bail!(
            "the database holds migration {stranger}, which Corner Shop {} does not know: it belongs to another \
                 release",
            settings.behaviour.version
        );
    }
    for migration in &migrations {
        let transaction = client.transaction().await?;
        transaction.batch_execute("SELECT pg_advisory_xact_lock(713705)").await?;
        let done = transaction
            .query_opt("SELECT FROM schema_migrations WHERE version = $1", &[&migration.version])
            .await?
            .is_some();
        if done {
            continue;
        }
        let failed = || format!("migration {}_{} failed", migration.version, migration.name);
        transaction.batch_execute(&migration.sql).await.map_err(pool::explain).with_context(failed)?;
        transaction
            .execute(
                "INSERT INTO schema_migrations (version, name) VALUES ($1, $2)",
                &[&migration.version, &migration.name],
            )
            .await?;
        transaction.commit().await.map_err(pool::explain).with_context(failed)?;
        println!("applied {}_{}", migration.version, migration.name);
    }
    Ok(())
}

/// The highest migration in the database, or `empty` where there was never one.
pub(super) async fn schema_version(settings: &Settings) -> Result<String> {
    let client = pool::connect(&settings.database()?).await?;
    let highest = applied(&client).await?.into_iter().next_back();
    Ok(highest.map_or_else(|| "empty".to_owned(), |it| it.split('_').next().unwrap_or_default().to_owned()))
}

/// What the database has: `version_name`, lowest first.
pub(super) async fn applied(client: &Client) -> Result<Vec<String>> {
    let there = client.query_one("SELECT to_regclass('schema_migrations') IS NOT NULL", &[]).await?;
    if !there.get::<_, bool>(0) {
        return Ok(Vec::new());
    }
    let rows = client.query(APPLIED, &[]).await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// What this release expects a database to have: `version_name`, lowest first.
pub(super) fn expected(settings: &Settings) -> Result<Vec<String>> {
    Ok(names(&read(settings)?))
}

fn names(migrations: &[Migration]) -> Vec<String> {
    migrations.iter().map(|it| format!("{}_{}", it.version, it.name)).collect()
}

fn seconds_of_work(settings: &Settings) -> u32 {
    // Only a release that works for long can be told to work for longer or shorter.
    settings.behaviour.migration_seconds.map_or(0, |usual| {
        let told = std::env::var("CORNER_SHOP_MIGRATION_SECONDS").ok().and_then(|text| text.parse().ok());
        told.or(settings.faults.migration_seconds).unwrap_or(usual)
    })
}

fn read(settings: &Settings) -> Result<Vec<Migration>> {
    let folder = settings.release_dir.join("migrations");
    let mut migrations = Vec::new();
    for entry in fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        if path.extension().is_some_and(|it| it == "sql")
            && let Some((version, name)) = stem.split_once('_')
        {
            let sql = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
            migrations.push(Migration { version: version.to_owned(), name: name.to_owned(), sql });
        }
    }
    migrations.sort_by(|left, right| left.version.cmp(&right.version));
    Ok(migrations)
}
