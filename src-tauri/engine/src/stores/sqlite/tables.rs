//! The tables of a SQLite file for an export: one connection whose read transaction is the snapshot.
//!
//! SQLite keeps a value as it was given, whatever the column says of itself. So the declared type says what a column is meant
//! to hold, and what lies in it says what it does: a column that keeps to one kind is written as that kind, and one that
//! mixes kinds is written as JSON, which tells `5`, `5.0`, `"5"` and bytes apart. Tables of extensions are left out, those in
//! which extensions keep their data are not. Deliberately absent: rows that come in.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use rusqlite::types::ValueRef;

use super::file;
use crate::digest::hex;
use crate::error::{Error, Result};
use crate::ports::Reporter;
use crate::stores::tables::{Column, Holds, Refers, Row, Snapshot, Table, Totals, USUAL_SCHEMA, bytes_as_text};

/// Columns that one question is asked of at a time: SQLite answers with 2,000 values at most.
const AT_ONCE: usize = 200;

/// The snapshot of a file.
pub(super) struct SqliteTables {
    connection: Connection,
    path: PathBuf,
    /// Tables and their columns that mix kinds.
    mixed: BTreeSet<(String, String)>,
}

/// A column as it is declared.
struct Declared {
    name: String,
    data_type: String,
    generated: bool,
}

/// What lies in a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Found {
    integers: bool,
    reals: bool,
    texts: bool,
    blobs: bool,
    /// Whole numbers other than 0 and 1.
    beyond_truth: bool,
    /// Every value is JSON that comes through every form as it is.
    all_json: bool,
}

impl Found {
    fn is_mixed(&self) -> bool {
        [self.integers || self.reals, self.texts, self.blobs].iter().filter(|it| **it).count() > 1
    }
}

impl SqliteTables {
    /// Takes it. It lasts until dropped.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let connection = file::open_to_read(path)?;
        // A transaction keeps the snapshot of its first read.
        let begun = connection.execute_batch("BEGIN; SELECT count(*) FROM sqlite_schema;");
        begun.map_err(|cause| file::told(path, cause))?;
        Ok(Self { connection, path: path.to_owned(), mixed: BTreeSet::new() })
    }

    fn told(&self, cause: rusqlite::Error) -> Error {
        file::told(&self.path, cause)
    }

    /// Every row of the answer, as `read` understands it.
    fn ask<T>(
        &self,
        sql: &str,
        of: &str,
        read: impl FnMut(&rusqlite::Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>> {
        let asked = || {
            let mut statement = self.connection.prepare(sql)?;
            let bound: &[&dyn rusqlite::ToSql] = if of.is_empty() { &[] } else { &[&of] };
            statement.query_map(bound, read)?.collect::<rusqlite::Result<Vec<T>>>()
        };
        asked().map_err(|cause| self.told(cause))
    }

    fn columns(&mut self, table: &str) -> Result<(Vec<Column>, Vec<String>)> {
        let mut key = BTreeMap::new();
        // Hidden ones are 1; those that are worked out are 2 and 3.
        let sql = "SELECT name, lower(type), pk, hidden FROM pragma_table_xinfo(?1) WHERE hidden <> 1 ORDER BY cid";
        let declared = self.ask(sql, table, |row| {
            let name: String = row.get(0)?;
            let place: i64 = row.get(2)?;
            if place > 0 {
                key.insert(place, name.clone());
            }
            Ok(Declared { name, data_type: row.get(1)?, generated: row.get::<_, i64>(3)? != 0 })
        })?;
        let found = self.contents(table, &declared)?;
        let mixed = declared.iter().zip(&found).filter(|(_, found)| found.is_mixed());
        self.mixed.extend(mixed.map(|(it, _)| (table.to_owned(), it.name.clone())));
        let columns = declared.into_iter().zip(found).map(|(it, found)| Column {
            holds: holds(&it.data_type, found),
            name: it.name,
            data_type: it.data_type,
            generated: it.generated,
        });
        Ok((columns.collect(), key.into_values().collect()))
    }

    /// What lies in each column, asked of all rows.
    fn contents(&self, table: &str, columns: &[Declared]) -> Result<Vec<Found>> {
        let mut all = Vec::with_capacity(columns.len());
        for some in columns.chunks(AT_ONCE) {
            let asked: Vec<String> =
                some.iter().map(|it| questions(&ident(&it.name), is_json(&it.data_type))).collect();
            let sql = format!("SELECT {} FROM main.{}", asked.join(", "), ident(table));
            let found = self.ask(&sql, "", |row| {
                let says = |at: usize| row.get::<_, Option<bool>>(at).map(Option::unwrap_or_default);
                let one = |it: usize| {
                    Ok(Found {
                        integers: says(it)?,
                        reals: says(it + 1)?,
                        texts: says(it + 2)?,
                        blobs: says(it + 3)?,
                        beyond_truth: says(it + 4)?,
                        all_json: says(it + 5)?,
                    })
                };
                (0..some.len()).map(|it| one(it * 6)).collect::<rusqlite::Result<Vec<_>>>()
            })?;
            all.extend(found.into_iter().flatten());
        }
        Ok(all)
    }

    /// Foreign keys of one column.
    fn refers(&self, table: &str, names: &[String]) -> Result<Vec<Refers>> {
        let sql = "SELECT f.\"from\", f.\"table\", f.\"to\" FROM pragma_foreign_key_list(?1) f \
                   GROUP BY f.id HAVING count(*) = 1 ORDER BY f.\"from\", f.id";
        self.ask(sql, table, |row| {
            // Names of tables are the same in capitals here, and need not be declared as they are called.
            let named: String = row.get(1)?;
            let known = names.iter().find(|it| it.eq_ignore_ascii_case(&named)).cloned();
            Ok(Refers {
                column: row.get(0)?,
                schema: USUAL_SCHEMA.to_owned(),
                table: known.unwrap_or(named),
                to: row.get(2)?,
            })
        })
    }
}

impl Snapshot for SqliteTables {
    fn source(&self) -> String {
        format!("SQLite {}", rusqlite::version())
    }

    fn tables(&mut self) -> Result<Vec<Table>> {
        let sql = "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type IN ('table', 'shadow') \
                   AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name";
        let names: Vec<String> = self.ask(sql, "", |row| row.get(0))?;
        let mut tables = Vec::with_capacity(names.len());
        for name in &names {
            let (columns, key) = self.columns(name)?;
            let refers = self.refers(name, &names)?;
            tables.push(Table { schema: USUAL_SCHEMA.to_owned(), name: name.clone(), columns, key, refers });
        }
        Ok(tables)
    }

    fn totals(&mut self, table: &Table, columns: &[Column], reporter: &dyn Reporter) -> Result<Totals> {
        let mut totals = Totals { rows: 0, filled: Vec::new(), sums: Vec::new() };
        // A sum is told in two halves, because SQLite gives up where one is beyond 64 bits.
        let asked = |it: &Column| {
            let name = ident(&it.name);
            match it.holds {
                Holds::Integer => format!(", count({name}), sum({name} >> 32), sum({name} & 4294967295)"),
                _ => format!(", count({name}), NULL, NULL"),
            }
        };
        // Without columns it is asked once all the same.
        let none: &[Column] = &[];
        for some in columns.chunks(AT_ONCE).chain(columns.is_empty().then_some(none)) {
            reporter.check()?;
            let each: String = some.iter().map(asked).collect();
            let sql = format!("SELECT count(*){each} FROM main.{}", ident(&table.name));
            self.ask(&sql, "", |row| {
                let whole = |at: usize| row.get::<_, i64>(at).map(|it| u64::try_from(it).unwrap_or(0));
                totals.rows = whole(0)?;
                for (at, column) in some.iter().enumerate() {
                    let half = |place: usize| row.get::<_, Option<i64>>(at * 3 + place).map(Option::unwrap_or_default);
                    totals.filled.push(whole(at * 3 + 1)?);
                    let sum = i128::from(half(2)?) * (1 << 32) + i128::from(half(3)?);
                    totals.sums.push((column.holds == Holds::Integer).then_some(sum));
                }
                Ok(())
            })?;
        }
        reporter.check()?;
        Ok(totals)
    }

    fn rows(
        &mut self,
        table: &Table,
        columns: &[Column],
        order: &[String],
        take: &mut (dyn FnMut(&Row<'_>) -> Result<()> + Send),
        _reporter: &dyn Reporter,
    ) -> Result<()> {
        let names: Vec<String> = columns.iter().map(|it| ident(&it.name)).collect();
        // Two columns must stand in the same order, whatever each of them calls alike.
        let order: Vec<String> = order.iter().map(|it| format!("{} COLLATE BINARY NULLS LAST", ident(it))).collect();
        let order = if order.is_empty() { String::new() } else { format!(" ORDER BY {}", order.join(", ")) };
        let sql = format!("SELECT {} FROM main.{}{order}", names.join(", "), ident(&table.name));
        let mut statement = self.connection.prepare(&sql).map_err(|cause| self.told(cause))?;
        let mut rows = statement.query([]).map_err(|cause| self.told(cause))?;
        let is_mixed = |it: &Column| self.mixed.contains(&(table.name.clone(), it.name.clone()));
        let mixed: Vec<bool> = columns.iter().map(is_mixed).collect();
        while let Some(row) = rows.next().map_err(|cause| self.told(cause))? {
            let mut values = Vec::with_capacity(columns.len());
            for (at, (column, mixed)) in columns.iter().zip(&mixed).enumerate() {
                let value = row.get_ref(at).map_err(|cause| self.told(cause))?;
                values.push(if *mixed { as_json(value) } else { as_text(value, column.holds) });
            }
            take(&values)?;
        }
        Ok(())
    }
}

fn ident(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// What is asked of a column, in the order of [`Found`].
fn questions(name: &str, json: bool) -> String {
    // What stands alone on a line, without anything around it, is read back from every form as it was.
    let plain = format!("{name} NOT GLOB '*[' || char(9, 10, 13) || ']*' AND trim({name}) = {name}");
    let all_json = match json {
        true => format!(
            "min(CASE typeof({name}) WHEN 'null' THEN 1 WHEN 'text' THEN json_valid({name}) AND {plain} ELSE 0 END)"
        ),
        false => "0".to_owned(),
    };
    let kinds = ["integer", "real", "text", "blob"].map(|kind| format!("max(typeof({name}) = '{kind}')"));
    format!("{}, max(typeof({name}) = 'integer' AND {name} NOT IN (0, 1)), {all_json}", kinds.join(", "))
}

fn is_json(data_type: &str) -> bool {
    matches!(data_type, "json" | "jsonb")
}

/// What a column holds, by its type in small letters and what lies in it.
fn holds(data_type: &str, found: Found) -> Holds {
    let Found { integers, reals, texts, blobs, beyond_truth, all_json } = found;
    let is_truth = data_type.starts_with("bool");
    match (integers || reals, texts, blobs) {
        (false, false, false) if is_truth => Holds::Boolean,
        (false, false, false) if is_json(data_type) => Holds::Json,
        // By SQLite's own rules for what a type is called.
        (false, false, false) if data_type.contains("int") => Holds::Integer,
        (false, false, false) if ["char", "clob", "text", "blob"].iter().any(|it| data_type.contains(it)) => {
            Holds::Text
        }
        (false, false, false) => {
            let is_number = ["real", "floa", "doub", "num", "dec"].iter().any(|it| data_type.contains(it));
            if is_number { Holds::Number } else { Holds::Text }
        }
        (true, false, false) if is_truth && !reals && !beyond_truth => Holds::Boolean,
        (true, false, false) if !reals => Holds::Integer,
        (true, false, false) => Holds::Number,
        (false, true, false) if all_json => Holds::Json,
        (false, true, false) | (false, false, true) => Holds::Text,
        _ => Holds::Json,
    }
}

/// A value as a column that keeps to one kind has it.
fn as_text(value: ValueRef<'_>, holds: Holds) -> Option<Cow<'_, [u8]>> {
    let owned = |text: String| Cow::Owned(text.into_bytes());
    Some(match (value, holds) {
        (ValueRef::Null, _) => return None,
        (ValueRef::Integer(it), Holds::Boolean) => Cow::Borrowed(if it == 0 { b"f" } else { b"t" }),
        (ValueRef::Integer(it), _) => owned(it.to_string()),
        (ValueRef::Real(f64::INFINITY), _) => Cow::Borrowed(b"Infinity"),
        (ValueRef::Real(f64::NEG_INFINITY), _) => Cow::Borrowed(b"-Infinity"),
        // The shortest number that is read as this one again.
        (ValueRef::Real(it), _) => owned(format!("{it:?}")),
        (ValueRef::Text(it), _) => Cow::Borrowed(it),
        (ValueRef::Blob(it), _) => owned(bytes_as_text(it)),
    })
}

/// The same as one that mixes kinds has it.
fn as_json(value: ValueRef<'_>) -> Option<Cow<'_, [u8]>> {
    let owned = |text: String| Some(Cow::Owned(text.into_bytes()));
    match value {
        // As SQLite itself writes it in JSON.
        ValueRef::Real(f64::INFINITY) => owned("9e999".to_owned()),
        ValueRef::Real(f64::NEG_INFINITY) => owned("-9e999".to_owned()),
        // What is not text in any known form is refused by whoever takes it.
        ValueRef::Text(it) => match std::str::from_utf8(it) {
            Ok(text) => owned(serde_json::Value::from(text).to_string()),
            Err(_) => Some(Cow::Borrowed(it)),
        },
        ValueRef::Blob(it) => owned(format!("{{\"bytes\":\"{}\"}}", hex(it))),
        other => as_text(other, Holds::Json),
    }
}
