//! A database made anew on another server of the user's own, empty until then: with the roles of the first, their passwords,
//! and all that belongs to the database. Every row is compared as text before anybody is told that it worked.
//!
//! The first server is only read. What roles know goes from one server to the other through this process and is never
//! written down.

use std::io::{Cursor, sink};
use std::time::Duration;

use serde::Deserialize;

use super::answer;
use super::aside::{Belongings, Like};
use super::client::Client;
use super::inventory;
use super::quote::{ident, literal};
use super::session::Session;
use crate::error::{Error, Result};
use crate::ports::{Patience, Pipes, Reporter};
use crate::stores::Counts;

const ROLES: Patience = Patience { deadline: Duration::from_secs(300), stall_after: None };
/// How long a server may take to begin an empty data folder.
const UP_WITHIN: Duration = Duration::from_secs(180);

#[derive(Deserialize)]
struct Oid {
    oid: u32,
}

#[derive(Deserialize)]
struct Names {
    names: Vec<String>,
}

/// Makes `database` of `here` on the empty server `there`, filled by `fill`, and compares. Answers with its rows a table.
///
/// # Errors
/// `roles_missing`, `tablespace`, `not_carried_over`, `rows_differ`, what `fill` and the servers answered. What was made on
/// `there` is of no use then.
pub(super) fn to(
    here: &Client,
    there: &Client,
    database: &str,
    reporter: &dyn Reporter,
    fill: &mut dyn FnMut(&Client) -> Result<()>,
) -> Result<Counts> {
    there.connect_again(super::client::Server::maintenance(database), UP_WITHIN).map(drop)?;
    roles(here, there, database, reporter)?;
    let mut old = here.connect_beside(database)?;
    let oid = oid_of(&mut old, database)?;
    let original = Belongings::of(&mut old, oid)?;
    if original.tablespace != "pg_default" {
        return Err(Error::refused(
            "tablespace",
            format!("The database lies in the tablespace {}, which a new server has not.", original.tablespace),
        )
        .remedy("Move it by hand with PostgreSQL's own tools."));
    }
    let like = Like::of(&mut old, oid)?;
    drop(old);
    let mut new = there.connect_beside(database)?;
    // The image makes an empty one by itself; nothing else can be in a folder that has just been begun.
    new.run(&format!("DROP DATABASE IF EXISTS {}", ident(database)))?;
    new.run(&like.create(database, Some(&original.owner), None))?;
    fill(there)?;
    belongings(&mut new, database, &original)?;
    drop(new);
    let wanted = inventory::digests(here, database, reporter)?;
    let found = inventory::digests(there, database, reporter)?;
    if wanted != found {
        let odd = wanted.iter().filter(|(table, rows)| found.get(*table) != Some(*rows)).map(|it| it.0);
        let error =
            Error::failed("rows_differ", "What was made on the new server is not what is on the old one, row by row.")
                .remedy("Nothing to do: the old one is in use again. Report it with the details.");
        return Err(odd.take(20).fold(error, |error, table| error.detail(table.clone())));
    }
    inventory::count(there, database, reporter)
}

/// Databases on the server that are neither this one, nor the server's own, nor kept by us beside it.
pub(super) fn neighbours(client: &Client, database: &str) -> Result<Vec<String>> {
    let ours =
        format!("{}!_!_(next|aside|failed)!_%", database.replace('!', "!!").replace('_', "!_").replace('%', "!%"));
    let names: Names = client.connect_beside(database)?.one(&format!(
        "SELECT coalesce(json_agg(datname ORDER BY datname), '[]') AS names FROM pg_database WHERE NOT datistemplate \
         AND datname NOT IN ('postgres', {}) AND datname NOT SIMILAR TO {} ESCAPE '!'",
        literal(database),
        literal(&ours)
    ))?;
    Ok(names.names)
}

fn oid_of(session: &mut Session, database: &str) -> Result<u32> {
    let select = format!("SELECT oid::int8 AS oid FROM pg_database WHERE datname = {}", literal(database));
    session.one::<Oid>(&select).map(|it| it.oid)
}

/// Every role with what it may do, what it is a member of, and its password as the server keeps it.
fn roles(here: &Client, there: &Client, database: &str, reporter: &dyn Reporter) -> Result<()> {
    let mut text = Vec::new();
    let dump = here.invoke("pg_dumpall", database).arg("--roles-only");
    let pipes = Pipes { stdin: None, stdout: Some(&mut text) };
    let finished = here.runner().pipe(&dump, pipes, ROLES, &[], reporter)?;
    if !finished.succeeded() {
        return Err(answer::from_words("read the roles of the server", &finished.stderr));
    }
    // Those that the new server was begun with are there already, which is no mistake: whether all came is looked at below.
    let run = there.invoke("psql", super::client::Server::maintenance(database));
    let run = run.args(["--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=0"]);
    let (mut from, mut nothing) = (Cursor::new(text), sink());
    let pipes = Pipes { stdin: Some(&mut from), stdout: Some(&mut nothing) };
    there.runner().pipe(&run, pipes, ROLES, &[], reporter)?;
    let known = |client: &Client| -> Result<Vec<String>> {
        let names: Names = client.connect_beside(database)?.one(
            "SELECT coalesce(json_agg(rolname ORDER BY rolname), '[]') AS names FROM pg_roles WHERE rolname !~ '^pg_'",
        )?;
        Ok(names.names)
    };
    let there_are = known(there)?;
    let missing: Vec<String> = known(here)?.into_iter().filter(|it| !there_are.contains(it)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(Error::failed("roles_missing", format!("The new server does not take these roles: {}.", missing.join(", ")))
        .remedy("Nothing to do: the old one is in use again. Report it with the details."))
}

/// Gives the new database what belongs to the original, and looks whether it has it.
fn belongings(session: &mut Session, database: &str, original: &Belongings) -> Result<()> {
    let oid = oid_of(session, database)?;
    let now = Belongings::of(session, oid)?;
    session.transact(|session| {
        for statement in original.given_to(&now, database) {
            session.run(&statement)?;
        }
        Ok(())
    })?;
    // How a locale is written down differs between versions.
    let found = Belongings { locale: original.locale.clone(), ..Belongings::of(session, oid)? };
    if found == *original {
        return Ok(());
    }
    Err(Error::failed(
        "not_carried_over",
        format!("Not all that belongs to the database {database} could be given to the new one."),
    )
    .remedy("Nothing to do: the old one is in use again. Report it with the details.")
    .detail(format!("it had {original:?}"))
    .detail(format!("it has {found:?}")))
}
