//! The tables of a database for an export: `COPY … TO STDOUT` in the server's text format, all in one snapshot.
//!
//! A session holds the snapshot open; each table is read by a `psql` of its own that joins it. The text format is exact
//! for every type, and the settings that change how values are written are fixed in the same transaction.

use std::borrow::Cow;
use std::io::{self, Write};
use std::time::Duration;

use memchr::{memchr, memchr_iter};
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
        let mut lines = Lines { rest: Vec::new(), take, width: columns.len(), refused: None };
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
        if !lines.rest.is_empty() {
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

/// Cuts what comes into rows. A line break inside a value comes escaped, so each line is a row.
struct Lines<'a> {
    rest: Vec<u8>,
    take: &'a mut (dyn FnMut(&Row<'_>) -> Result<()> + Send),
    width: usize,
    refused: Option<Error>,
}

impl Lines<'_> {
    fn row(&mut self, line: &[u8]) -> io::Result<()> {
        let mut row = Vec::with_capacity(self.width);
        let is_escaped = memchr(b'\\', line).is_some();
        let mut begun = 0;
        let ends = memchr_iter(b'\t', line).chain([line.len()]);
        let is_whole = ends.map(|end| &line[std::mem::replace(&mut begun, end + 1)..end]).all(|field| {
            let value = if is_escaped { value(field) } else { Some(Some(Cow::Borrowed(field))) };
            value.map(|it| row.push(it)).is_some()
        });
        let taken = if is_whole && row.len() == self.width { (self.take)(&row) } else { Err(unreadable()) };
        taken.map_err(|error| {
            self.refused = Some(error);
            io::Error::other("the rows were not taken")
        })
    }
}

impl Write for Lines<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut left = bytes;
        while let Some(end) = memchr(b'\n', left) {
            let (line, after) = (&left[..end], &left[end + 1..]);
            if self.rest.is_empty() {
                self.row(line)?;
            } else {
                let mut whole = std::mem::take(&mut self.rest);
                whole.extend_from_slice(line);
                self.row(&whole)?;
                whole.clear();
                self.rest = whole;
            }
            left = after;
        }
        self.rest.extend_from_slice(left);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A value of the text format: the outer `None` where it is none, the inner one for NULL.
#[allow(clippy::option_option, reason = "two different absences")]
fn value(field: &[u8]) -> Option<Option<Cow<'_, [u8]>>> {
    if field == b"\\N" {
        return Some(None);
    }
    if !field.contains(&b'\\') {
        return Some(Some(Cow::Borrowed(field)));
    }
    let mut out = Vec::with_capacity(field.len());
    let mut bytes = field.iter();
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'\\' => match bytes.next()? {
                b'b' => 8,
                b'f' => 12,
                b'n' => b'\n',
                b'r' => b'\r',
                b't' => b'\t',
                b'v' => 11,
                b'\\' => b'\\',
                _ => return None,
            },
            other => *other,
        });
    }
    Some(Some(Cow::Owned(out)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_unescaped_and_null_is_apart() {
        let read = |field: &[u8]| value(field).map(|it| it.map(Cow::into_owned));
        assert_eq!(read(b"\\N"), Some(None));
        assert_eq!(read(b""), Some(Some(Vec::new())));
        assert_eq!(read(b"\\\\N"), Some(Some(b"\\N".to_vec())), "the text \\N");
        assert_eq!(read(b"a\\tb\\r\\nc\\b\\f\\v"), Some(Some(b"a\tb\r\nc\x08\x0c\x0b".to_vec())));
        assert_eq!(read(b"cut\\"), None);
        assert_eq!(read(b"\\q"), None);
    }

    #[test]
    fn rows_are_cut_right_wherever_the_bytes_are() {
        let text = b"1\t\\N\n2\ta\\nb\n";
        for cut in 0..text.len() {
            let mut seen = Vec::new();
            let mut take = |row: &Row<'_>| {
                seen.push(row.iter().map(|it| it.as_deref().map(<[u8]>::to_vec)).collect::<Vec<_>>());
                Ok(())
            };
            let mut lines = Lines { rest: Vec::new(), take: &mut take, width: 2, refused: None };
            lines.write_all(&text[..cut]).unwrap();
            lines.write_all(&text[cut..]).unwrap();
            assert!(lines.rest.is_empty());
            assert_eq!(
                seen,
                [vec![Some(b"1".to_vec()), None], vec![Some(b"2".to_vec()), Some(b"a\nb".to_vec())]],
                "cut at {cut}"
            );
        }
    }
}
