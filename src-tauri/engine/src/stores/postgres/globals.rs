//! The roles of a server, without passwords, as `pg_dumpall` writes them: for people and for the rescue kit.
//!
//! Nothing here ever runs such a file. A dump names the roles that own something in it; a server that lacks one of them cannot
//! take it, which is said before anything is stopped.

use std::path::Path;
use std::time::Duration;

use super::answer;
use super::client::Client;
use super::dump::Dump;
use super::quote::ident;
use crate::digest;
use crate::durable;
use crate::error::{Error, Result};
use crate::ports::{Patience, Pipes, Reporter};
use crate::stores::Globals;

const ASKED: Patience = Patience { deadline: Duration::from_secs(300), stall_after: None };

/// Writes the roles of the server into the new file `name` below `into`.
///
/// # Errors
/// `tools_missing`, or what `pg_dumpall` and the disk answered.
pub(super) fn write(
    client: &Client,
    database: &str,
    into: &Path,
    name: &str,
    reporter: &dyn Reporter,
) -> Result<Globals> {
    let invocation = client
        .invoke("pg_dumpall", database)
        .args(["--globals-only", "--no-role-passwords", "--no-tablespaces"])
        .env("LC_ALL", "C")
        .quiet();
    let mut text = Vec::new();
    let pipes = Pipes { stdin: None, stdout: Some(&mut text) };
    let finished = client.runner().pipe(&invocation, pipes, ASKED, &[], reporter).map_err(|error| {
        if error.class != "command_missing" {
            return error;
        }
        Error::refused("tools_missing", "pg_dumpall is not beside pg_dump, so the roles of the server cannot be kept.")
            .remedy("Install the PostgreSQL client tools whole, or take `globals` out of the profile.")
            .detail(error.message)
    })?;
    if !finished.succeeded() {
        return Err(answer::from_words("keep the roles of the server", &finished.stderr));
    }
    durable::write(&into.join(name), &text)?;
    Ok(Globals { file: name.to_owned(), sha256: digest::sha256(&text), bytes: text.len() as u64 })
}

/// The roles that a dump needs and the server does not have.
///
/// # Errors
/// The server cannot be asked.
pub(super) fn missing(client: &Client, database: &str, dump: &Dump) -> Result<Vec<String>> {
    #[derive(serde::Deserialize)]
    struct Row {
        roles: Vec<String>,
    }
    let row: Row =
        client.connect_beside(database)?.one("SELECT coalesce(json_agg(rolname), '[]') AS roles FROM pg_roles")?;
    // The first superuser may be called otherwise on every server, and is named whether it owns something or not.
    let is_first = |it: &str| it == dump.shape.first_superuser || it == "postgres";
    let is_needed = |it: &&String| !it.starts_with("pg_") && !is_first(it) && !row.roles.contains(it);
    Ok(dump.shape.roles.iter().filter(is_needed).cloned().collect())
}

/// Says that roles are missing, with how they are made.
pub(super) fn refusal(missing: &[String], globals: Option<&Path>) -> Error {
    let names = missing.join(", ");
    let made = missing.iter().map(|it| format!("CREATE ROLE {};", ident(it))).collect::<Vec<_>>().join(" ");
    let how = match globals {
        Some(path) => format!("How they were is in {}: look at it, and run what of it you want.", path.display()),
        None => format!("Make them first, as an administrator of the server: {made}"),
    };
    Error::refused("roles_missing", format!("The backup needs roles that the database server does not have: {names}."))
        .remedy(format!("{how} Then try again. Nothing was touched."))
        .detail(made)
}
