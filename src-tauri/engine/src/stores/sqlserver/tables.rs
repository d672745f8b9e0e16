//! The tables of a database of SQL Server for an export, all in one transaction of one session.
//!
//! Where the database allows snapshots it is one, and nobody waits. Where it does not, what was read stays locked until the
//! end: all of it is then of the same instant too, and whoever wants to change it waits meanwhile. No setting of the database
//! is changed for either. Only what the user of the database may see is there at all.

use std::collections::BTreeMap;

use super::session::{Session, Way, unreadable};
use super::types::{Declared, asked, data_type, holds, ident, order};
use crate::error::{Error, Result};
use crate::ports::Reporter;
use crate::stores::tables::{Column, Holds, Refers, Row, Snapshot, Table, Totals, USUAL_SCHEMA};

/// What decides how values are told and how long we wait. Without the size long texts would be cut, and nobody told.
const FIXED: &str = "SET NOCOUNT ON; SET TEXTSIZE 2147483647; SET LOCK_TIMEOUT 15000; SET DEADLOCK_PRIORITY LOW; \
    SET XACT_ABORT ON; SET ANSI_NULLS ON; SET ANSI_PADDING ON; SET ANSI_WARNINGS ON; SET ARITHABORT ON; \
    SET CONCAT_NULL_YIELDS_NULL ON; SET NUMERIC_ROUNDABORT OFF; SET QUOTED_IDENTIFIER ON";
/// The schema that goes without saying.
const USUAL: &str = "dbo";

/// The snapshot of a database.
pub(super) struct SqlServerTables {
    session: Session,
    source: String,
    is_snapshot: bool,
}

/// The tables that a person made, in every question to the catalog.
const OF_TABLES: &str = "FROM sys.tables t JOIN sys.schemas s ON s.schema_id = t.schema_id";
const WHICH: &str = "WHERE t.is_ms_shipped = 0 AND t.name <> N'sysdiagrams'";

impl SqlServerTables {
    /// Takes it. It lasts until dropped.
    pub(super) fn open(way: &Way) -> Result<Self> {
        let mut session = Session::open(way)?;
        session.run(FIXED)?;
        let about = "SELECT CAST(SERVERPROPERTY('ProductVersion') AS nvarchar(128)), \
            CAST(snapshot_isolation_state AS int) FROM sys.databases WHERE database_id = DB_ID()";
        let about = session.rows(about)?.pop().unwrap_or_default();
        let told = |at: usize| about.get(at).map_or("", String::as_str);
        let is_snapshot = told(1) == "1";
        let level = if is_snapshot { "SNAPSHOT" } else { "SERIALIZABLE" };
        session.run(&format!("SET TRANSACTION ISOLATION LEVEL {level}; BEGIN TRANSACTION"))?;
        Ok(Self { session, source: format!("SQL Server {}", told(0)), is_snapshot })
    }

    /// An answer by the schema and table that stand first in each row.
    fn by_table<T>(
        &mut self,
        sql: &str,
        read: impl Fn(&[String]) -> Option<T>,
    ) -> Result<BTreeMap<(String, String), Vec<T>>> {
        let mut found: BTreeMap<(String, String), Vec<T>> = BTreeMap::new();
        for row in self.session.rows(sql)? {
            let (table, rest) = row.split_at_checked(2).ok_or_else(unreadable)?;
            let place = found.entry((shown_schema(&table[0]), table[1].clone())).or_default();
            place.push(read(rest).ok_or_else(unreadable)?);
        }
        Ok(found)
    }

    fn columns(&mut self) -> Result<BTreeMap<(String, String), Vec<Column>>> {
        // All types of .NET have one number for what they are made of; three of them are the server's own. What a server
        // older than a property does not know it answers with nothing.
        let sql = format!(
            "SELECT s.name, t.name, c.name, CASE WHEN c.system_type_id <> 240 THEN TYPE_NAME(c.system_type_id) \
             WHEN y.name IN ('hierarchyid', 'geography', 'geometry') THEN y.name ELSE 'clr' END, \
             CAST(c.max_length AS int), CAST(c.precision AS int), CAST(c.scale AS int), CAST(c.is_computed AS int), \
             COALESCE(COLUMNPROPERTY(c.object_id, c.name, 'GeneratedAlwaysType'), 0) \
             {OF_TABLES} JOIN sys.columns c ON c.object_id = t.object_id \
             JOIN sys.types y ON y.user_type_id = c.user_type_id {WHICH} ORDER BY s.name, t.name, c.column_id"
        );
        self.by_table(&sql, |row| {
            let [name, base, length, precision, scale, computed, always] = row else { return None };
            let (precision, scale) = (precision.parse().ok()?, scale.parse().ok()?);
            let data_type = data_type(Declared { base, length: length.parse().ok()?, precision, scale });
            Some(Column {
                generated: computed != "0" || always != "0" || data_type == "rowversion",
                holds: holds(&data_type),
                name: name.clone(),
                data_type,
            })
        })
    }

    fn keys(&mut self) -> Result<BTreeMap<(String, String), Vec<String>>> {
        let sql = format!(
            "SELECT s.name, t.name, c.name {OF_TABLES} \
             JOIN sys.indexes i ON i.object_id = t.object_id AND i.is_primary_key = 1 \
             JOIN sys.index_columns k ON k.object_id = i.object_id AND k.index_id = i.index_id \
             JOIN sys.columns c ON c.object_id = k.object_id AND c.column_id = k.column_id {WHICH} \
             ORDER BY s.name, t.name, k.key_ordinal"
        );
        self.by_table(&sql, |row| row.first().cloned())
    }

    /// Foreign keys of one column.
    fn refers(&mut self) -> Result<BTreeMap<(String, String), Vec<Refers>>> {
        let sql = format!(
            "SELECT s.name, t.name, c.name, rs.name, r.name, rc.name {OF_TABLES} \
             JOIN sys.foreign_keys f ON f.parent_object_id = t.object_id \
             JOIN sys.foreign_key_columns k ON k.constraint_object_id = f.object_id \
             JOIN sys.columns c ON c.object_id = k.parent_object_id AND c.column_id = k.parent_column_id \
             JOIN sys.tables r ON r.object_id = k.referenced_object_id JOIN sys.schemas rs ON rs.schema_id = r.schema_id \
             JOIN sys.columns rc ON rc.object_id = k.referenced_object_id AND rc.column_id = k.referenced_column_id \
             {WHICH} AND NOT EXISTS (SELECT 1 FROM sys.foreign_key_columns o \
             WHERE o.constraint_object_id = f.object_id AND o.constraint_column_id > 1) \
             ORDER BY s.name, t.name, c.column_id, f.name"
        );
        self.by_table(&sql, |row| {
            let [column, schema, table, to] = row else { return None };
            Some(Refers {
                column: column.clone(),
                schema: shown_schema(schema),
                table: table.clone(),
                to: Some(to.clone()),
            })
        })
    }
}

impl Snapshot for SqlServerTables {
    fn source(&self) -> String {
        self.source.clone()
    }

    fn notes(&self) -> Vec<String> {
        let waits = "The database does not allow snapshots, so what was read stayed locked until the export was done: whoever \
            wanted to change it had to wait.";
        let untried = "Liftlock has not been tried against a real server of SQL Server, only against a stand-in that speaks its \
            protocol. Look through these files with care.";
        [untried].into_iter().chain((!self.is_snapshot).then_some(waits)).map(str::to_owned).collect()
    }

    fn tables(&mut self) -> Result<Vec<Table>> {
        let names = self.session.rows(&format!("SELECT s.name, t.name {OF_TABLES} {WHICH} ORDER BY s.name, t.name"))?;
        let (mut columns, mut keys, mut refers) = (self.columns()?, self.keys()?, self.refers()?);
        let of = |row: Vec<String>| {
            let [schema, name] = row.try_into().map_err(|_| unreadable())?;
            let place = (shown_schema(&schema), name);
            Ok(Table {
                columns: columns.remove(&place).unwrap_or_default(),
                key: keys.remove(&place).unwrap_or_default(),
                refers: refers.remove(&place).unwrap_or_default(),
                schema: place.0,
                name: place.1,
            })
        };
        names.into_iter().map(of).collect()
    }

    fn totals(&mut self, table: &Table, columns: &[Column], reporter: &dyn Reporter) -> Result<Totals> {
        // Some types cannot be counted, but all of them can be looked at.
        let filled = |it: &Column| {
            format!(", COALESCE(SUM(CASE WHEN {} IS NULL THEN 0 ELSE CAST(1 AS bigint) END), 0)", ident(&it.name))
        };
        let sum = |it: &Column| match it.holds {
            Holds::Integer => format!(", COALESCE(SUM(CAST({} AS decimal(38,0))), 0)", ident(&it.name)),
            _ => ", NULL".to_owned(),
        };
        let each: String = columns.iter().map(|it| filled(it) + &sum(it)).collect();
        let sql = format!("SELECT COUNT_BIG(*){each} FROM {}", quoted(table));
        let row = self.session.rows_watched(&sql, reporter)?.pop().unwrap_or_default();
        let whole = |at: usize| {
            let found = row.get(at).and_then(|it| it.parse().ok());
            found.ok_or_else(|| Error::bug("no_totals", "The totals of a table were not answered."))
        };
        Ok(Totals {
            rows: whole(0)?,
            filled: (0..columns.len()).map(|it| whole(1 + 2 * it)).collect::<Result<_>>()?,
            sums: (0..columns.len()).map(|it| row.get(2 + 2 * it).and_then(|it| it.parse().ok())).collect(),
        })
    }

    fn rows(
        &mut self,
        table: &Table,
        columns: &[Column],
        by: &[String],
        take: &mut (dyn FnMut(&Row<'_>) -> Result<()> + Send),
        reporter: &dyn Reporter,
    ) -> Result<()> {
        let list: Vec<String> = columns.iter().map(asked).collect();
        let known = |name: &String| table.columns.iter().find(|it| it.name == *name);
        let by: Vec<String> = by.iter().filter_map(known).map(order).collect();
        let by = if by.is_empty() { String::new() } else { format!(" ORDER BY {}", by.join(", ")) };
        let sql = format!("SELECT {} FROM {}{by}", list.join(", "), quoted(table));
        let width = columns.len();
        let mut told = |row: &Row<'_>| if row.len() == width { take(row) } else { Err(unreadable()) };
        self.session.each(&sql, &mut told, reporter)
    }
}

/// A schema as it is told: what goes without saying everywhere stands for what goes without saying here.
fn shown_schema(schema: &str) -> String {
    match schema {
        USUAL => USUAL_SCHEMA.to_owned(),
        USUAL_SCHEMA => ident(USUAL_SCHEMA),
        other => other.to_owned(),
    }
}

fn quoted(table: &Table) -> String {
    let schema = match table.schema.as_str() {
        USUAL_SCHEMA => USUAL,
        shown if shown == ident(USUAL_SCHEMA) => USUAL_SCHEMA,
        other => other,
    };
    format!("{}.{}", ident(schema), ident(&table.name))
}
