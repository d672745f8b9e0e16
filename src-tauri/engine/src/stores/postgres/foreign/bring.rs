//! A file of somebody else's, unfolded in a scratch database by a role without rights, and dumped from there.

use std::collections::BTreeMap;
use std::io::{self, BufReader};

use uuid::Uuid;

use super::file::{Staged, Unpacked};
use super::sql::{Sifted, Tally, refused};
use super::{Looked, look, patience};
use crate::error::{Error, Result};
use crate::ports::{Pipes, Reporter};
use crate::secrets::Secret;
use crate::stores::foreign::FileKind;
use crate::stores::postgres::answer;
use crate::stores::postgres::client::Client;
use crate::stores::postgres::facts::Facts;
use crate::stores::postgres::inventory;
use crate::stores::postgres::quote::{ident, literal};
use crate::stores::postgres::restore::{How, restore};
use crate::stores::postgres::scratch::Scratch;
use crate::stores::postgres::session::Session;
use crate::stores::postgres::work::Work;

/// What the file is brought in for, and where.
pub(in crate::stores::postgres) struct Context<'c> {
    /// The database that it is meant for, as it is now.
    pub(in crate::stores::postgres) facts: &'c Facts,
    /// Its character set and locale.
    pub(in crate::stores::postgres) create: &'c dyn Fn(&str, &str) -> String,
    /// The server on the side.
    pub(in crate::stores::postgres) scratch: &'c Scratch,
    /// Whether a person agreed to run what is in the file.
    pub(in crate::stores::postgres) may_run: bool,
}

/// Entries of an archive that only administrators could restore, or that would give something to others.
const WITHOUT: [&str; 15] = [
    "EXTENSION ",
    "COMMENT - EXTENSION ",
    "SUBSCRIPTION ",
    "COMMENT - SUBSCRIPTION ",
    "PUBLICATION ",
    "PUBLICATION TABLE ",
    "COMMENT - PUBLICATION ",
    "EVENT TRIGGER ",
    "COMMENT - EVENT TRIGGER ",
    "USER MAPPING ",
    "SECURITY LABEL ",
    "FOREIGN DATA WRAPPER ",
    "ACL ",
    "DEFAULT ACL ",
    "SCHEMA - public ",
];

/// Restores a staged file into a new database on the scratch server and says how its owner reaches it.
///
/// # Errors
/// `not_confirmed` for SQL that nobody agreed to; `extension_refused`, `file_needs_rights`, `file_does_not_restore`,
/// `file_differs`.
pub(in crate::stores::postgres) fn bring(
    staged: &Staged,
    context: &Context<'_>,
    reporter: &dyn Reporter,
) -> Result<(Client, Looked)> {
    let admin = context.scratch.client();
    let runner = admin.runner();
    let looked = look(&staged.path, admin.tools(), runner.as_ref(), reporter)?;
    if looked.found.kind == FileKind::Sql && !context.may_run {
        return Err(Error::refused("not_confirmed", "The file is SQL: a program, which runs when it is brought in.")
            .remedy(
                "If you trust who made it, say so with the word RUN. It runs on a private server that is thrown away.",
            ));
    }
    let database = context.facts.name.as_str();
    let owner = prepare(context, &looked.tally)?;
    let done = match looked.found.kind {
        FileKind::Sql => run(&owner, database, staged, reporter),
        _ => {
            let mut without: Vec<String> = WITHOUT.map(str::to_owned).to_vec();
            let schemas = looked.tally.extensions.values().flatten().filter(|it| *it != "public");
            without.extend(schemas.map(|it| format!("SCHEMA - {it} ")));
            let how = How { without, with_owners: false, on_scratch: true, only: Vec::new(), parallel: None };
            restore(&owner, database, &staged.path, &staged.sha256, &how, reporter)
        }
    };
    done.map_err(|error| match error.class.as_ref() {
        "insufficient_rights" => told(
            "file_needs_rights",
            "The file holds something that only an administrator of a database server may do.",
            error,
        ),
        "database_error" | "table_gone" => told("file_does_not_restore", "The file cannot be restored here.", error),
        _ => error,
    })?;
    expect_as_promised(&owner, database, &looked, reporter)?;
    Ok((owner, looked))
}

fn told(class: &'static str, message: &str, cause: Error) -> Error {
    cause.details.into_iter().fold(refused(class, message), Error::detail)
}

/// The role that owns the database, with no other right in the world, its database, and the extensions that are let in.
fn prepare(context: &Context<'_>, tally: &Tally) -> Result<Client> {
    let admin = context.scratch.client();
    let name = &context.facts.owner;
    let role = if name.starts_with("pg_") || *name == admin.server().user { "owner" } else { name.as_str() };
    let password = Secret::new(Uuid::new_v4().simple().to_string());
    let mut session = admin.connect("postgres")?;
    session.run(&format!(
        "CREATE ROLE {} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS PASSWORD {}",
        ident(role),
        literal(password.expose())
    ))?;
    let database = context.facts.name.as_str();
    if session.run(&(context.create)(database, role)).is_err() {
        // A locale that only the other machine knows.
        session.run(&format!("CREATE DATABASE {} TEMPLATE template0 OWNER {}", ident(database), ident(role)))?;
    }
    for other in ["postgres", "template1"] {
        session.run(&format!("REVOKE ALL ON DATABASE {other} FROM PUBLIC"))?;
    }
    let mut inside = admin.connect(database)?;
    if admin.tools().major < 15 {
        inside.run(&format!("ALTER SCHEMA public OWNER TO {}", ident(role)))?;
    }
    extend(&mut inside, context.facts, &tally.extensions, role)?;
    admin.as_user(role, Some(password), &context.scratch.private_dir())
}

/// Extensions that the application has here already, and those that any owner of a database may make.
fn extend(inside: &mut Session, facts: &Facts, wanted: &BTreeMap<String, Option<String>>, role: &str) -> Result<()> {
    for (name, schema) in wanted.iter().filter(|it| it.0 != "plpgsql") {
        let here = facts.extensions.iter().find(|it| it.name == *name);
        let trusted = inside.major() >= 13
            && inside.finds(&format!(
                "SELECT 1 AS one FROM pg_available_extension_versions WHERE name = {} AND trusted",
                literal(name)
            ))?;
        if here.is_none() && !trusted {
            return Err(refused(
                "extension_refused",
                &format!("The file wants the extension {name}, which the application’s database does not have."),
            )
            .remedy(format!(
                "Nothing was touched. If the application needs it, let an administrator make it first: CREATE EXTENSION {}.",
                ident(name)
            )));
        }
        let schema = schema.as_deref().or(here.map(|it| it.schema.as_str())).unwrap_or("public");
        if schema != "public" && !schema.starts_with("pg_") {
            inside.run(&format!("CREATE SCHEMA IF NOT EXISTS {} AUTHORIZATION {}", ident(schema), ident(role)))?;
        }
        inside.run(&format!("CREATE EXTENSION {} SCHEMA {} CASCADE", ident(name), ident(schema))).map_err(|cause| {
            let error = Error::refused("extension_missing", format!("The extension {name} is not on this machine."))
                .remedy(format!("Install the extension {name} for PostgreSQL {}.", inside.major()));
            cause.details.into_iter().fold(error, Error::detail)
        })?;
    }
    Ok(())
}

/// SQL through a `psql` that takes no commands, whatever it reads: `\restrict` turns them off until a random word that the
/// file cannot know. What could do harm on the server is kept from it by the rights of the role.
fn run(owner: &Client, database: &str, staged: &Staged, reporter: &dyn Reporter) -> Result<()> {
    let word = Uuid::new_v4().simple().to_string();
    let invocation = owner
        .invoke("psql", database)
        .args(["--no-psqlrc", "--quiet", "--no-align", "--tuples-only", "--set=ON_ERROR_STOP=1"])
        .args(["--set=SHOW_CONTEXT=never", "--file=-"]);
    let mut file = Unpacked::open(&staged.path, reporter)?;
    let work = Work::new(owner.clone(), database);
    let mut answers = io::sink();
    let (finished, refused) = {
        let from = BufReader::with_capacity(1 << 20, &mut file);
        let mut sifted = Sifted::new(from).after(&format!("\\restrict {word}\n"));
        let pipes = Pipes { stdin: Some(&mut sifted), stdout: Some(&mut answers) };
        let finished = owner.runner().pipe(&invocation, pipes, patience(), &[&work], reporter);
        (finished, sifted.refused.take())
    };
    file.expect_good(refused, Ok(0))?;
    let finished = finished?;
    if finished.succeeded() {
        return Ok(());
    }
    if finished.stderr.contains("invalid command \\restrict") {
        return Err(Error::refused(
            "psql_too_old",
            "The psql on this machine cannot be kept from taking commands out of a file.",
        )
        .remedy("Update PostgreSQL’s client tools to the newest of their line, then try again."));
    }
    Err(answer::from_words("restore the file", &finished.stderr))
}

/// What came out of the file is what it brought.
fn expect_as_promised(owner: &Client, database: &str, looked: &Looked, reporter: &dyn Reporter) -> Result<()> {
    let counts = inventory::count(owner, database, reporter)?;
    let (mut differs, mut unread) = (Vec::new(), 0_u64);
    // What comes in by statements one by one is not promised in numbers.
    for (table, rows) in looked.tally.copied.iter().filter(|it| !looked.tally.inserted.contains_key(it.0)) {
        match counts.get(table) {
            Some(there) if there == rows => {}
            Some(there) => differs.push(format!("{table} has {there} rows instead of {rows}")),
            // Rows of a table in parts are counted where they lie.
            None if *rows == 0 || is_in_parts(owner, database, table)? => {}
            // Its name is written in a character set that only the server reads.
            None if !table.is_ascii() => unread += rows,
            None => differs.push(format!("the table {table} is not there")),
        }
    }
    let odd = counts.iter().filter(|it| !it.0.is_ascii() && !looked.tally.copied.contains_key(it.0)).map(|it| it.1);
    let there = odd.sum::<u64>();
    if unread > there {
        differs.push(format!("tables with letters beyond ASCII in their names have {there} rows instead of {unread}"));
    }
    if differs.is_empty() {
        return Ok(());
    }
    let error = refused("file_differs", "What was restored from the file is not what is written in it.");
    Err(differs.into_iter().take(50).fold(error, Error::detail))
}

fn is_in_parts(owner: &Client, database: &str, table: &str) -> Result<bool> {
    owner.connect(database)?.finds(&format!(
        "SELECT 1 AS one FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
         WHERE c.relkind = 'p' AND n.nspname || '.' || c.relname = {}",
        literal(table)
    ))
}
