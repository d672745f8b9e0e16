//! The tables of a database for an export: `COPY … TO STDOUT` in the server's text format, all in one snapshot.
//!
//! A session holds the snapshot open; each table is read by a `psql` of its own that joins it. The text format is exact
//! for every type, and the settings that change how values are written are fixed in the same transaction.

use std::io::{self, Write};
use std::ops::ControlFlow;
use std::time::Duration;

use liftlock_rows::cut::Cutter;
use serde::Deserialize;

use super::client::Client;
use super::dump::patience;
use super::quote::{ident, literal};
use super::session::Session;
use super::{answer, inventory};
use crate::error::{Error, Result};
use crate::ports::{Pipes, Reporter};
use crate::stores::tables::{Column, Holds, Refers, Row, Snapshot, Table, Totals};

/// How long the totals of one table may take at most. Whoever reports may stop it sooner.
const LONGEST: Duration = Duration::from_secs(12 * 3600);

/// What decides how values are written.
const FIXED: &str = "SET LOCAL datestyle TO 'ISO, YMD'; SET LOCAL timezone TO 'UTC'; SET LOCAL intervalstyle TO 'postgres'; \
    SET LOCAL bytea_output TO 'hex'; SET LOCAL extra_float_digits TO 3; SET LOCAL row_security TO off; \
    SET LOCAL search_path TO pg_catalog; SET LOCAL statement_timeout TO 0; SET LOCAL lock_timeout TO '15s'";

/// The columns of the primary key of `pg_class c`, in their order, as JSON.
pub(super) const KEY: &str = "(SELECT coalesce(json_agg(a.attname ORDER BY k.at), '[]') FROM pg_constraint o \
    CROSS JOIN LATERAL unnest(o.conkey) WITH ORDINALITY AS k (num, at) \
    JOIN pg_attribute a ON a.attrelid = o.conrelid AND a.attnum = k.num WHERE o.conrelid = c.oid AND o.contype = 'p')";
/// Foreign keys of one column of `pg_class c`, as JSON.
pub(super) const REFERS: &str = "(SELECT coalesce(json_agg(json_build_object('column', a.attname, 'schema', fn.nspname, \
    'table', f.relname, 'to', b.attname) ORDER BY a.attnum), '[]') FROM pg_constraint o JOIN pg_class f ON f.oid = o.confrelid \
    JOIN pg_attribute b ON b.attrelid = o.confrelid AND b.attnum = o.confkey[1] \
    JOIN pg_namespace fn ON fn.oid = f.relnamespace JOIN pg_attribute a ON a.attrelid = o.conrelid AND a.attnum = o.conkey[1] \
    WHERE o.conrelid = c.oid AND o.contype = 'f' AND cardinality(o.conkey) = 1)";

/// The snapshot of a database.
pub(super) struct PostgresTables {
    session: Session,
    client: Client,
    database: String,
    snapshot: String,
    version: String,
}

impl PostgresTables {
    /// Takes it. It lasts until dropped.
    pub(super) fn open(client: &Client, database: &str) -> Result<Self> {
        #[derive(Deserialize)]
        struct Row {
            snapshot: String,
            version: String,
        }
        let mut session = client.connect(database)?;
        session.run("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")?;
        let row: Row = session.one(
            "SELECT pg_export_snapshot() AS snapshot, split_part(current_setting('server_version'), ' ', 1) AS version",
        )?;
        Ok(Self {
            session,
            client: client.clone(),
            database: database.to_owned(),
            snapshot: row.snapshot,
            version: row.version,
        })
    }
}

impl Snapshot for PostgresTables {
    fn source(&self) -> String {
        format!("PostgreSQL {}", self.version)
    }

    fn tables(&mut self) -> Result<Vec<Table>> {
        #[derive(Deserialize)]
        struct Found {
            schema: String,
            name: String,
            columns: Vec<FoundColumn>,
            key: Vec<String>,
            refers: Vec<Refers>,
        }
        #[derive(Deserialize)]
        struct FoundColumn {
            name: String,
            data_type: String,
            base: String,
            generated: bool,
        }
        // Partitions are read through their parents. A domain is what it is made of.
        let found: Vec<Found> = self.session.rows(&format!(
            "SELECT n.nspname AS schema, c.relname AS name, (SELECT coalesce(json_agg(json_build_object('name', a.attname, \
             'data_type', format_type(a.atttypid, a.atttypmod), 'base', \
             CASE WHEN t.typtype = 'd' THEN format_type(t.typbasetype, NULL) ELSE format_type(t.oid, NULL) END, \
             'generated', a.attgenerated <> '' OR a.attidentity = 'a') ORDER BY a.attnum), '[]') \
             FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid \
             WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped) AS columns, \
             {KEY} AS key, {REFERS} AS refers \
             FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
             WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relpersistence <> 't' AND {} AND n.nspname <> 'liftlock_import' AND {} \
             ORDER BY n.nspname, c.relname",
            inventory::OWN_SCHEMAS,
            inventory::no_extension("pg_class", "c.oid"),
        ))?;
        let column = |it: FoundColumn| Column {
            holds: Holds::of(&it.base),
            name: it.name,
            data_type: it.data_type,
            generated: it.generated,
        };
        Ok(found
            .into_iter()
            .map(|it| Table {
                schema: it.schema,
                name: it.name,
                columns: it.columns.into_iter().map(column).collect(),
                key: it.key,
                refers: it.refers,
            })
            .collect())
    }

    fn totals(&mut self, table: &Table, columns: &[Column], reporter: &dyn Reporter) -> Result<Totals> {
        #[derive(Deserialize)]
        struct Found {
            rows: u64,
            filled: Vec<u64>,
            sums: Vec<Option<String>>,
        }
        let each = |say: &dyn Fn(&Column) -> String| columns.iter().map(say).collect::<Vec<_>>().join(", ");
        let sql = format!(
            "SELECT count(*) AS rows, ARRAY[{}]::int8[] AS filled, ARRAY[{}]::text[] AS sums FROM {}",
            each(&|it| format!("count({})", ident(&it.name))),
            each(&|it| match it.holds {
                // The sum of `int8` is a `numeric`, so it has room for every sum.
                Holds::Integer => format!("coalesce(sum({}::int8), 0)::text", ident(&it.name)),
                _ => "NULL".to_owned(),
            }),
            quoted(table),
        );
        let mut found: Vec<Found> = self.session.rows_watched(&sql, LONGEST, &mut || reporter.check())?;
        let found = found.pop().ok_or_else(|| Error::bug("no_totals", "The totals of a table were not answered."))?;
        let sums = found.sums.into_iter().map(|it| it.and_then(|it| it.parse().ok())).collect();
        Ok(Totals { rows: found.rows, filled: found.filled, sums })
    }

    fn rows(
        &mut self,
        table: &Table,
        columns: &[Column],
        order: &[String],
        take: &mut (dyn FnMut(&Row<'_>) -> Result<()> + Send),
        reporter: &dyn Reporter,
    ) -> Result<()> {
        let names: Vec<String> = columns.iter().map(|it| ident(&it.name)).collect();
        let order: Vec<String> = order.iter().map(|it| format!("{} NULLS LAST", ident(it))).collect();
        let order = if order.is_empty() { String::new() } else { format!(" ORDER BY {}", order.join(", ")) };
        let copy = format!("COPY (SELECT {} FROM {}{order}) TO STDOUT", names.join(", "), quoted(table));
        let invocation = self
            .client
            .invoke("psql", &self.database)
            .args(["--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--set=SHOW_CONTEXT=never"])
            .args(["--command", "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"])
            .arg("--command")
            .arg(format!("SET TRANSACTION SNAPSHOT {}", literal(&self.snapshot)))
            .args(["--command", FIXED])
            .arg("--command")
            .arg(copy)
            .env("PGCLIENTENCODING", "UTF8");
        let mut lines = Lines { cutter: Cutter::new(columns.len()), take, refused: None };
        let pipes = Pipes { stdin: None, stdout: Some(&mut lines) };
        let ended = self.client.runner().pipe(&invocation, pipes, patience(Duration::from_secs(600)), &[], reporter);
        // Who took the rows knows best why they were not taken.
        if let Some(error) = lines.refused {
            return Err(error);
        }
        let ended = ended?;
        if !ended.succeeded() {
            return Err(answer::from_words("read the table", &ended.stderr));
        }
        if !lines.cutter.is_at_end() {
            return Err(unreadable());
        }
        Ok(())
    }
}

fn quoted(table: &Table) -> String {
    format!("{}.{}", ident(&table.schema), ident(&table.name))
}

fn unreadable() -> Error {
    Error::failed("bad_answer", "The rows of a table came in a form that Liftlock cannot read.")
        .remedy("Report it with the version of the database server. Nothing was changed.")
}

/// Cuts what comes into rows, and keeps why they were not taken.
struct Lines<'a> {
    cutter: Cutter,
    take: &'a mut (dyn FnMut(&Row<'_>) -> Result<()> + Send),
    refused: Option<Error>,
}

impl Write for Lines<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Self { cutter, take, refused } = self;
        let mut told = |row: Option<&Row<'_>>| match row.map_or_else(|| Err(unreadable()), &mut *take) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                *refused = Some(error);
                ControlFlow::Break(())
            }
        };
        match cutter.push(bytes, &mut told) {
            ControlFlow::Continue(()) => Ok(bytes.len()),
            ControlFlow::Break(()) => Err(io::Error::other("the rows were not taken")),
        }
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
