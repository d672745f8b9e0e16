//! Databases that are made empty beside one that is there, and closed for writing: for a fresh start.
//!
//! What is made bears a mark as its comment, and nothing is dropped without it. Everything is repeatable.

use serde::Deserialize;

use super::aside::Like;
use super::client::Client;
use super::quote::{ident, literal};
use super::session::{SHORT, Session};
use crate::error::{Error, Result};

#[derive(Deserialize)]
struct Seen {
    oid: u32,
    mark: Option<String>,
}

fn look(session: &mut Session, name: &str) -> Result<Option<Seen>> {
    let mut seen: Vec<Seen> = session.rows(&format!(
        "SELECT oid::int8 AS oid, shobj_description(oid, 'pg_database') AS mark FROM pg_database WHERE datname = {}",
        literal(name)
    ))?;
    Ok(seen.pop())
}

fn taken(name: &str) -> Error {
    Error::refused("database_taken", format!("There is a database called {name} already, which Liftlock did not make."))
        .remedy("Rename it, then try again.")
}

/// Makes an empty database like `like`, of the same owner, that bears `mark`. `name` is one that nobody else chooses.
pub(super) fn make(client: &Client, like: &str, name: &str, mark: &str) -> Result<()> {
    #[derive(Deserialize)]
    struct Old {
        oid: u32,
        owner: String,
    }
    let mut session = client.connect_beside(like)?;
    end_makers(&mut session, name)?;
    match look(&mut session, name)? {
        Some(Seen { mark: Some(found), .. }) if found == mark => return Ok(()),
        Some(Seen { mark: Some(_), .. }) => return Err(taken(name)),
        // Made by us and not marked yet: its name holds the id of this fresh start.
        Some(Seen { mark: None, .. }) => {}
        None => {
            let old: Old = session.one(&format!(
                "SELECT oid::int8 AS oid, pg_get_userbyid(datdba) AS owner FROM pg_database WHERE datname = {}",
                literal(like)
            ))?;
            let sql = Like::of(&mut session, old.oid)?.create(name, Some(&old.owner), None);
            session.run_watched(&sql, SHORT * 10, &mut || Ok(()))?;
        }
    }
    session.run(&format!("COMMENT ON DATABASE {} IS {}", ident(name), literal(mark)))
}

/// Lets a database of ours bear another mark.
pub(super) fn mark(client: &Client, like: &str, name: &str, mark: &str) -> Result<()> {
    client.connect_beside(like)?.run(&format!("COMMENT ON DATABASE {} IS {}", ident(name), literal(mark)))
}

/// Drops a database that bears `mark`, with the sessions in it. None there is no error.
pub(super) fn remove(client: &Client, like: &str, name: &str, mark: &str) -> Result<()> {
    let mut session = client.connect_beside(like)?;
    end_makers(&mut session, name)?;
    match look(&mut session, name)? {
        None => Ok(()),
        Some(seen) if seen.mark.as_deref().is_none_or(|it| it == mark) => {
            end_sessions(&mut session, seen.oid)?;
            session.run_watched(&format!("DROP DATABASE {}", ident(name)), SHORT * 10, &mut || Ok(()))
        }
        Some(_) => Err(taken(name)),
    }
}

/// Ends what a process that was killed had asked for: the server goes on making the database, and nobody sees it before it
/// is there. Its name holds the id of this fresh start, so nobody else makes one like it.
fn end_makers(session: &mut Session, name: &str) -> Result<()> {
    session.run(&format!(
        "SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity WHERE state = 'active' AND pid <> pg_backend_pid() \
         AND query LIKE 'CREATE DATABASE %' AND strpos(query, {}) > 0",
        literal(&ident(name))
    ))
}

fn end_sessions(session: &mut Session, oid: u32) -> Result<()> {
    session
        .run(&format!("SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity WHERE datid = {oid}::oid"))
}

/// The object id of a database, to know it again by.
pub(super) fn identity(client: &Client, name: &str) -> Result<String> {
    let mut session = client.connect_beside(name)?;
    let system = super::facts::system_identifier(&mut session)?;
    match look(&mut session, name)? {
        Some(seen) => Ok(format!("{system}/{}", seen.oid)),
        None => Err(Error::refused("database_missing", format!("There is no database called {name}."))
            .remedy("Look at the databases on the server. Nothing was changed.")),
    }
}

/// Drops the database with this very identity. One that is gone is no error.
pub(super) fn drop_for_good(client: &Client, name: &str, wanted: &str) -> Result<()> {
    let mut session = client.connect_beside(name)?;
    let Some(seen) = look(&mut session, name)? else { return Ok(()) };
    let found = format!("{}/{}", super::facts::system_identifier(&mut session)?, seen.oid);
    if found != wanted {
        return Err(Error::refused("store_changed", format!("The database {name} is not the one it was before."))
            .remedy("Nothing was removed. Look at the databases on the server.")
            .detail(format!("expected {wanted}, found {found}")));
    }
    session.run(&format!("ALTER DATABASE {} WITH ALLOW_CONNECTIONS false", ident(name)))?;
    end_sessions(&mut session, seen.oid)?;
    session.run_watched(&format!("DROP DATABASE {}", ident(name)), SHORT * 20, &mut || Ok(()))
}

/// Lets new sessions of a database read only, or write again.
pub(super) fn read_only(client: &Client, name: &str, on: bool) -> Result<()> {
    let mut session = client.connect_beside(name)?;
    let words = if on { "SET default_transaction_read_only TO on" } else { "RESET default_transaction_read_only" };
    session.run(&format!("ALTER DATABASE {} {words}", ident(name)))
}
