//! A table of a dump in a new database beside, for looking at. The live one is asked for its name and nothing else.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use super::client::Client;
use super::quote::{ident, literal};
use super::restore::{How, restore};
use super::{empty, facts, inventory};
use crate::crash::{self, Moment};
use crate::error::{Error, Result};
use crate::ports::Reporter;
use crate::stores::look::{LookMark, TableLook};
use crate::stores::{Counts, Dumped};

/// How much of a table is shown.
const ROWS: u32 = 10;
const COLUMNS: usize = 12;
/// How much of a value is shown, in characters.
const LONGEST: u32 = 120;

/// Makes the database `name` like `live` and restores the tables of `wanted` into it out of `archive`: `mark.table`, or the
/// parts that it is in.
///
/// # Errors
/// `look_incomplete`, or what the server answered; then nothing is left of it.
pub(super) fn make(
    client: &Client,
    (live, name): (&str, &str),
    mark: &LookMark,
    (archive, dumped): (&Path, &Dumped),
    reporter: &dyn Reporter,
) -> Result<TableLook> {
    clear_begun(client, live)?;
    reporter.check()?;
    let text = mark.text_of_begun();
    empty::make(client, live, name, &text)?;
    crash::point("forward", "look", Moment::MidEffect);
    let how = How::for_a_look(&dumped.within(&mark.table));
    let done = restore(client, name, archive, &dumped.sha256, &how, reporter)
        .and_then(|()| seen(client, name, mark, &dumped.lying_in(&mark.table), reporter))
        .and_then(|look| reporter.check().map(|()| look))
        .and_then(|look| empty::mark(client, live, name, &mark.text()).map(|()| look));
    if done.is_err() {
        // Why there is nothing to look at matters more than what is left of it, which the next one clears away.
        let _ = empty::remove(client, live, name, &text);
    }
    done
}

/// Removes what was begun and never ended: whoever made it was killed. The caller holds the lease.
pub(super) fn clear_begun(client: &Client, live: &str) -> Result<()> {
    for (name, mark, _) in marked(client, live)? {
        if LookMark::is_begun(&mark) {
            empty::remove(client, live, &name, &mark)?;
        }
    }
    Ok(())
}

fn seen(client: &Client, name: &str, mark: &LookMark, wanted: &Counts, reporter: &dyn Reporter) -> Result<TableLook> {
    #[derive(Deserialize)]
    struct Column {
        name: String,
    }
    #[derive(Deserialize)]
    struct Number {
        n: u64,
    }
    let incomplete = |found: &str| {
        Error::failed("look_incomplete", format!("The table {} could not be restored by itself: {found}.", mark.table))
            .remedy("Restore the whole backup by hand into a new database: RESTORE.html beside it says how.")
    };
    let counts = inventory::count(client, name, reporter)?;
    for (table, rows) in wanted {
        match counts.get(table) {
            Some(there) if there == rows => {}
            Some(there) => return Err(incomplete(&format!("{table} has {there} rows instead of {rows}"))),
            None => return Err(incomplete(&format!("{table} is not there"))),
        }
    }
    let (schema, table) = parts(&mark.table);
    let mut session = client.connect(name)?;
    let rows = wanted.values().sum();
    let is_whole = !wanted.contains_key(&mark.table);
    let from = format!("{} {}.{}", if is_whole { "FROM" } else { "FROM ONLY" }, ident(&schema), ident(&table));
    // Parts that lie there, each by itself, are not the table yet.
    if is_whole && session.one::<Number>(&format!("SELECT count(*) AS n {from}"))?.n != rows {
        return Err(incomplete("its parts could not be put together"));
    }
    let columns: Vec<Column> = session.rows(&format!(
        "SELECT a.attname AS name FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid \
         JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = {} AND c.relname = {} AND a.attnum > 0 \
         AND NOT a.attisdropped ORDER BY a.attnum",
        literal(&schema),
        literal(&table)
    ))?;
    let columns: Vec<String> = columns.into_iter().take(COLUMNS).map(|it| it.name).collect();
    let shown = columns.iter().enumerate().map(|(at, it)| format!("left({}::text, {LONGEST}) AS c{at}", ident(it)));
    let shown = shown.collect::<Vec<_>>().join(", ");
    let first: Vec<BTreeMap<String, Option<String>>> = match shown.is_empty() {
        true => Vec::new(),
        false => session.rows(&format!("SELECT {shown} {from} LIMIT {ROWS}"))?,
    };
    let first_rows = first
        .into_iter()
        .map(|mut row| (0..columns.len()).map(|at| row.remove(&format!("c{at}")).flatten()).collect())
        .collect();
    let bytes = facts::size_of(&mut session, name)?;
    Ok(TableLook { rows: Some(rows), columns, first_rows, ..line(name, mark.clone(), bytes) })
}

/// About how many bytes the table takes on a server: as much a row as it takes in the live database, where it is there, else
/// what all of the dump takes.
pub(super) fn size(client: &Client, live: &str, table: &str, rows: u64, all: u64) -> Result<u64> {
    #[derive(Deserialize)]
    struct Row {
        bytes: u64,
        rows: f64,
    }
    let (schema, name) = parts(table);
    let found: Vec<Row> = client.connect(live)?.rows(&format!(
        "WITH it AS (SELECT c.oid, c.reltuples FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
         WHERE n.nspname = {} AND c.relname = {} AND c.relkind = 'r') \
         SELECT pg_total_relation_size(oid) AS bytes, reltuples::float8 AS rows FROM it WHERE reltuples > 0",
        literal(&schema),
        literal(&name)
    ))?;
    let a_row = |it: &Row| (it.bytes as f64 / it.rows).max(1.0);
    Ok(found.first().map_or(all, |it| all.min((a_row(it) * rows as f64) as u64)))
}

fn line(name: &str, mark: LookMark, bytes: u64) -> TableLook {
    TableLook {
        database: name.to_owned(),
        backup: mark.backup,
        made_at: mark.made_at,
        table: mark.table,
        bytes,
        connect: String::new(),
        rows: None,
        columns: Vec::new(),
        first_rows: Vec::new(),
    }
}

/// Those that are there for the database `live`.
pub(super) fn list(client: &Client, live: &str) -> Result<Vec<TableLook>> {
    let all = marked(client, live)?.into_iter();
    Ok(all.filter_map(|(name, mark, bytes)| Some(line(&name, LookMark::read(&mark)?, bytes))).collect())
}

/// The databases beside that bear a mark: their names, the marks, and their sizes.
fn marked(client: &Client, live: &str) -> Result<Vec<(String, String, u64)>> {
    #[derive(Deserialize)]
    struct Row {
        name: String,
        mark: String,
        bytes: u64,
    }
    let rows: Vec<Row> = client.connect_beside(live)?.rows(&format!(
        "SELECT datname AS name, shobj_description(oid, 'pg_database') AS mark, pg_database_size(oid) AS bytes \
         FROM pg_database WHERE starts_with(datname, {}) AND shobj_description(oid, 'pg_database') IS NOT NULL ORDER BY 1",
        literal(&format!("{}__look_", short(live)))
    ))?;
    Ok(rows.into_iter().map(|it| (it.name, it.mark, it.bytes)).collect())
}

/// As much of a name as leaves room for what is put behind it.
pub(super) fn short(name: &str) -> &str {
    let end = (0..=name.len().min(36)).rev().find(|it| name.is_char_boundary(*it)).unwrap_or_default();
    &name[..end]
}

/// Schema and table of a name as inventories write it.
pub(super) fn parts(key: &str) -> (String, String) {
    let unquoted = |it: &str| it.replace("\"\"", "\"");
    if let Some(inner) = key.strip_prefix('"').and_then(|it| it.strip_suffix('"'))
        && let Some((schema, table)) = inner.split_once("\".\"")
    {
        return (unquoted(schema), unquoted(table));
    }
    let (schema, table) = key.split_once('.').unwrap_or(("public", key));
    (schema.to_owned(), table.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_read_as_inventories_write_it() {
        for (schema, table) in [("public", "orders"), ("Shop", "Order lines"), ("a.b", "c\"d")] {
            assert_eq!(parts(&inventory::key(schema, table)), (schema.to_owned(), table.to_owned()));
        }
    }

    #[test]
    fn only_our_mark_is_one() {
        let mark = LookMark { backup: "b".into(), made_at: "then".into(), table: "public.orders".into() };
        assert!(LookMark::is_begun(&mark.text_of_begun()) && !LookMark::is_begun(&mark.text()));
        assert_eq!(LookMark::read(&mark.text_of_begun()), None, "what is not whole is not shown");
        assert_eq!(LookMark::read(&mark.text()), Some(mark));
        assert_eq!(LookMark::read("a database of mine"), None);
    }
}
