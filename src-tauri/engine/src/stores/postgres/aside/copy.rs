//! Making the copy that takes the original's place: from the original itself, or from a dump of it.

use std::{cell::Cell, thread, time::Duration};

use serde::Deserialize;

use super::{Aside, AsideState, Belongings, belongings, empty_out, not_as_left, observe_in, places};
use crate::clock::SystemClock;
use crate::error::{Error, Result};
use crate::ports::{Clock, Reporter, Unit};
use crate::stores::postgres::client::{Beside, Client};
use crate::stores::postgres::quote::{ident, literal};
use crate::stores::postgres::session::Session;

/// How long a copy may take at most. Whoever reports may stop it sooner.
const LONGEST: Duration = Duration::from_secs(24 * 3600);
/// Below this size, in bytes, the two checkpoints that copying files needs cost more than the copy.
const SMALL: u64 = 64 << 20;

/// How the server copies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Strategy {
    /// What suits the size.
    #[default]
    Fitting,
    /// File by file, with checkpoints before and after. The quickest for large ones.
    Files,
    /// Block by block through the write-ahead log.
    Log,
}

/// Copies the closed original to its place beside, gives the copy what belongs to it, compares, and marks it as
/// whole. A copy that is whole already stays; what is left of one that is not is made anew. Answers with the
/// copy's object id. The copy is open, for migrations.
///
/// # Errors
/// `database_open`, `store_changed`, `not_carried_over`, what `reporter` answered, or what the server did; the
/// original is untouched in every case.
pub fn copy(client: &Client, aside: &Aside, strategy: Strategy, reporter: &dyn Reporter) -> Result<u32> {
    let mut session = aside.connect_alone(client)?;
    if let Some(next_oid) = ready(&mut session, aside)? {
        return Ok(next_oid);
    }
    let original = Belongings::of(&mut session, aside.original_oid)?;
    let size = size(&mut session, aside.original_oid)?;
    let words = match strategy {
        _ if session.major() < 15 => "",
        Strategy::Fitting if size < SMALL => " STRATEGY wal_log",
        Strategy::Fitting | Strategy::Files => " STRATEGY file_copy",
        Strategy::Log => " STRATEGY wal_log",
    };
    let sql = format!(
        "CREATE DATABASE {} WITH TEMPLATE {} OWNER {}{words}",
        ident(&aside.next_name),
        ident(&aside.name),
        ident(&original.owner),
    );
    create(&mut session, client, aside, &sql, size, reporter)?;
    finish(&mut session, aside, &original)
}

/// Makes the copy by restoring a dump of the original instead, with `restore`, which is given the name of a new
/// and empty database like the original. For a store that had to be migrated in place.
///
/// # Errors
/// As [`copy`], and what `restore` answered; what was restored by then is dropped by the next try.
pub fn restore_beside(client: &Client, aside: &Aside, restore: &mut dyn FnMut(&str) -> Result<()>) -> Result<u32> {
    let mut session = aside.connect_alone(client)?;
    if let Some(next_oid) = whole(&mut session, aside)? {
        return Ok(next_oid);
    }
    let original = Belongings::of(&mut session, aside.original_oid)?;
    let like = Like::of(&mut session, aside.original_oid)?;
    // The usual one needs a right of its own when it is named.
    let space = Some(original.tablespace.as_str()).filter(|it| *it != "pg_default");
    session.run(&like.create(&aside.next_name, Some(&original.owner), space))?;
    restore(&aside.next_name)?;
    finish(&mut session, aside, &original)
}

/// Drops the copy before it was ever in place; a copy that is not there is no error.
///
/// # Errors
/// `store_changed` for anything but a copy beside its original, or what the server answered.
pub fn drop_copy(client: &Client, aside: &Aside) -> Result<()> {
    let mut session = aside.connect_alone(client)?;
    match observe_in(&mut session, aside)? {
        AsideState::Untouched | AsideState::Closed | AsideState::PutBack { .. } => Ok(()),
        AsideState::Copied { next_oid } | AsideState::PartCopied { next_oid } => {
            places::drop_database(&mut session, aside, next_oid, &aside.next_name)
        }
        other => Err(not_as_left(aside, &other)),
    }
}

/// A whole copy's object id, else the way made free for one.
fn whole(session: &mut Session, aside: &Aside) -> Result<Option<u32>> {
    match observe_in(session, aside)? {
        AsideState::Copied { next_oid } => Ok(Some(next_oid)),
        AsideState::PartCopied { next_oid } => {
            places::drop_database(session, aside, next_oid, &aside.next_name)?;
            Ok(None)
        }
        AsideState::Closed | AsideState::Untouched => Ok(None),
        other => Err(not_as_left(aside, &other)),
    }
}

/// As [`whole`], where the original must be closed and empty.
fn ready(session: &mut Session, aside: &Aside) -> Result<Option<u32>> {
    if let Some(next_oid) = whole(session, aside)? {
        return Ok(Some(next_oid));
    }
    if observe_in(session, aside)? != AsideState::Closed {
        return Err(Error::failed("database_open", format!("The database {} is still open.", aside.name))
            .remedy("Run “liftlock resume”, which closes it first."));
    }
    empty_out(session, aside.original_oid, &aside.name, &|_| false)?;
    Ok(None)
}

fn finish(session: &mut Session, aside: &Aside, original: &Belongings) -> Result<u32> {
    let select = format!("SELECT oid::int8 AS oid FROM pg_database WHERE datname = {}", literal(&aside.next_name));
    let next_oid = session.one::<super::Oid>(&select)?.oid;
    let now = Belongings::of(session, next_oid)?;
    session.transact(|session| {
        for statement in original.statements(&now, &aside.next_name) {
            session.run(&statement)?;
        }
        session.run(&format!("COMMENT ON DATABASE {} IS {}", ident(&aside.next_name), literal(&aside.mark())))
    })?;
    let next = Belongings::of(session, next_oid)?;
    let with_its_comment = Belongings { comment: original.comment.clone(), ..next };
    belongings::expect_same(aside, original, &with_its_comment)?;
    Ok(next_oid)
}

/// Runs `CREATE DATABASE`, telling how far it is by how much the tablespace has grown.
fn create(
    session: &mut Session,
    client: &Client,
    aside: &Aside,
    sql: &str,
    size: u64,
    reporter: &dyn Reporter,
) -> Result<()> {
    #[derive(Deserialize)]
    struct Bytes {
        bytes: u64,
    }
    let select = "SELECT pg_tablespace_size('pg_default') AS bytes";
    // What a role may not ask is no reason not to copy; then only the session's work is seen.
    let before = session.one::<Bytes>(select).ok().map(|it| it.bytes);
    // A second session looks on, from when there is something to see.
    let mut beside = None;
    let mut used = move || {
        let looking: &mut Option<Beside<'_>> = beside.get_or_insert_with(|| aside.connect(client).ok());
        let bytes = looking.as_mut().map(|it| it.one::<Bytes>(select));
        match bytes {
            Some(Ok(row)) => Some(row.bytes),
            _ => {
                *looking = None;
                None
            }
        }
    };
    let clock = SystemClock;
    let looked = Cell::new(clock.since_boot());
    for attempt in 1.. {
        let mut watch = || {
            reporter.check()?;
            if clock.since_boot() >= looked.get() + Duration::from_secs(1) {
                if let (Some(before), Some(now)) = (before, used()) {
                    reporter.moved(now.saturating_sub(before).min(size), Some(size), Unit::Bytes);
                }
                looked.set(clock.since_boot());
            }
            Ok(())
        };
        match session.run_watched(sql, LONGEST, &mut watch) {
            // Somebody whose connection was just being made; it is refused or ended by now.
            Err(error) if error.class == "database_in_use" && attempt < 3 => {
                thread::sleep(Duration::from_millis(100));
                empty_out(session, aside.original_oid, &aside.name, &|_| false)?;
            }
            other => {
                other?;
                break;
            }
        }
    }
    reporter.moved(size, Some(size), Unit::Bytes);
    Ok(())
}

fn size(session: &mut Session, oid: u32) -> Result<u64> {
    #[derive(Deserialize)]
    struct Row {
        size: Option<u64>,
    }
    let may = format!("CASE WHEN has_database_privilege({oid}::oid, 'CONNECT') THEN pg_database_size({oid}::oid) END");
    Ok(session.one::<Row>(&format!("SELECT {may} AS size"))?.size.unwrap_or(0))
}

/// Character set and locale of a database, to make another one like it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, serde::Serialize, schemars::JsonSchema)]
pub struct Like {
    /// Its character set.
    pub encoding: String,
    /// How text is sorted and classified.
    #[serde(flatten)]
    pub locale: crate::stores::postgres::facts::Locale,
}

impl Like {
    /// Asks the server.
    pub(in crate::stores::postgres) fn of(session: &mut Session, oid: u32) -> Result<Self> {
        let (provider, name) = match session.major() {
            17.. => ("d.datlocprovider::text", "d.datlocale"),
            15 | 16 => ("d.datlocprovider::text", "d.daticulocale"),
            _ => ("'c'", "NULL::text"),
        };
        session.one(&format!(
            "SELECT pg_encoding_to_char(d.encoding) AS encoding, {provider} AS provider, d.datcollate AS collate, \
             d.datctype AS ctype, {name} AS name FROM pg_database d WHERE d.oid = {oid}"
        ))
    }

    /// The statement that makes a new, empty database of this kind.
    pub(in crate::stores::postgres) fn create(&self, name: &str, owner: Option<&str>, space: Option<&str>) -> String {
        let locale = &self.locale;
        let mut sql = format!(
            "CREATE DATABASE {} WITH TEMPLATE template0 ENCODING {} LC_COLLATE {} LC_CTYPE {}",
            ident(name),
            literal(&self.encoding),
            literal(&locale.collate),
            literal(&locale.ctype),
        );
        match (locale.provider.as_str(), &locale.name) {
            ("i", Some(icu)) => sql.push_str(&format!(" LOCALE_PROVIDER icu ICU_LOCALE {}", literal(icu))),
            ("b", Some(built_in)) => {
                sql.push_str(&format!(" LOCALE_PROVIDER builtin BUILTIN_LOCALE {}", literal(built_in)));
            }
            _ => {}
        }
        for (word, value) in [("OWNER", owner), ("TABLESPACE", space)] {
            if let Some(value) = value {
                sql.push_str(&format!(" {word} {}", ident(value)));
            }
        }
        sql
    }
}
