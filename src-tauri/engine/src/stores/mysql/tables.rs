//! The tables of a database of MySQL or MariaDB for an export, all in one consistent snapshot of one session.
//!
//! What a storage engine without transactions keeps (MyISAM, Aria) is in no snapshot; a change to it meanwhile is found by
//! the totals. Only what the user of the database may see is there at all: the server does not tell of anything else.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use super::session::{Session, Texts, Way, unreadable};
use super::types::{asked, form, holds, ident, is_truth, number, order, text, words};
use crate::error::{Error, Result};
use crate::ports::Reporter;
use crate::stores::tables::{Column, Holds, Refers, Row, Snapshot, Table, Totals, USUAL_SCHEMA};

/// What decides how values are told, and for how long the server waits for us: files are written between two rows.
const FIXED: &str = "SET NAMES utf8mb4, SESSION sql_mode = '', SESSION time_zone = '+00:00', SESSION wait_timeout = 86400, \
    SESSION net_write_timeout = 3600, SESSION lock_wait_timeout = 15";

/// The snapshot of a database.
pub(super) struct MysqlTables {
    way: Way,
    session: Session,
    source: String,
    is_mariadb: bool,
}

impl MysqlTables {
    /// Takes it. It lasts until dropped.
    pub(super) fn open(way: Way) -> Result<Self> {
        let mut session = begun(&way)?;
        let version = session.rows("SELECT version()")?.pop().map(|row| words(row.first())).unwrap_or_default();
        let is_mariadb = version.contains("MariaDB");
        let plain = version.split('-').next().unwrap_or_default();
        let source = format!("{} {plain}", if is_mariadb { "MariaDB" } else { "MySQL" });
        Ok(Self { way, session, source, is_mariadb })
    }

    /// An answer by the table that stands first in each row.
    fn by_table<T>(&mut self, sql: &str, read: impl Fn(&Texts) -> T) -> Result<BTreeMap<String, Vec<T>>> {
        let mut found: BTreeMap<String, Vec<T>> = BTreeMap::new();
        for row in self.session.rows(sql)? {
            found.entry(words(row.first())).or_default().push(read(&row));
        }
        Ok(found)
    }

    fn columns(&mut self) -> Result<BTreeMap<String, Vec<Column>>> {
        let json = self.json_by_word()?;
        let sql = "SELECT TABLE_NAME, COLUMN_NAME, COLUMN_TYPE, EXTRA FROM information_schema.COLUMNS \
                   WHERE TABLE_SCHEMA = DATABASE() ORDER BY TABLE_NAME, ORDINAL_POSITION";
        self.by_table(sql, |row| {
            let (name, data_type, extra) = (words(row.get(1)), words(row.get(2)), words(row.get(3)).to_lowercase());
            let is_json = json.contains(&(words(row.first()), name.clone()));
            Column {
                holds: if is_json { Holds::Json } else { holds(&data_type) },
                data_type: if is_json { "json".to_owned() } else { data_type },
                name,
                generated: ["virtual generated", "stored generated", "persistent"].iter().any(|it| extra.contains(it)),
            }
        })
    }

    /// Columns that MariaDB calls JSON: texts of which it checks that they are.
    fn json_by_word(&mut self) -> Result<BTreeSet<(String, String)>> {
        if !self.is_mariadb {
            return Ok(BTreeSet::new());
        }
        let sql = "SELECT TABLE_NAME, CONSTRAINT_NAME, CHECK_CLAUSE FROM information_schema.CHECK_CONSTRAINTS \
                   WHERE CONSTRAINT_SCHEMA = DATABASE()";
        let found = self.session.rows(sql)?;
        let is_checked = |row: &Texts| words(row.get(2)) == format!("json_valid({})", ident(&words(row.get(1))));
        Ok(found.iter().filter(|row| is_checked(row)).map(|row| (words(row.first()), words(row.get(1)))).collect())
    }

    fn keys(&mut self) -> Result<BTreeMap<String, Vec<String>>> {
        let sql = "SELECT TABLE_NAME, COLUMN_NAME FROM information_schema.KEY_COLUMN_USAGE \
                   WHERE TABLE_SCHEMA = DATABASE() AND CONSTRAINT_NAME = 'PRIMARY' ORDER BY TABLE_NAME, ORDINAL_POSITION";
        self.by_table(sql, |row| words(row.get(1)))
    }

    /// Foreign keys of one column.
    fn refers(&mut self) -> Result<BTreeMap<String, Vec<Refers>>> {
        let sql = "SELECT TABLE_NAME, min(COLUMN_NAME), min(REFERENCED_TABLE_NAME), min(REFERENCED_COLUMN_NAME) \
                   FROM information_schema.KEY_COLUMN_USAGE WHERE TABLE_SCHEMA = DATABASE() \
                   AND REFERENCED_TABLE_SCHEMA = DATABASE() GROUP BY TABLE_NAME, CONSTRAINT_NAME HAVING count(*) = 1 \
                   ORDER BY 1, 2, CONSTRAINT_NAME";
        self.by_table(sql, |row| Refers {
            column: words(row.get(1)),
            schema: USUAL_SCHEMA.to_owned(),
            table: words(row.get(2)),
            to: Some(words(row.get(3))),
        })
    }

    /// Corrects what columns hold by what lies in them: a small number that is never but 0 and 1 is a truth, and what is
    /// JSON by word alone must stand on one line to come through every form as it is.
    fn look_inside(&mut self, table: &str, columns: &mut [Column]) -> Result<()> {
        let question = |it: &Column| {
            let name = ident(&it.name);
            let plain = format!(
                "length(trim({name})) = length({name}) AND instr({name}, char(9)) + instr({name}, char(10)) + instr({name}, char(13)) = 0"
            );
            match it.holds {
                Holds::Integer if is_truth(&it.data_type) => {
                    Some(format!("coalesce(max({name} NOT IN (0, 1)), 0) = 0"))
                }
                Holds::Json if self.is_mariadb => Some(format!("coalesce(min({name} IS NULL OR ({plain})), 1) = 1")),
                _ => None,
            }
        };
        let asked: Vec<(usize, String)> =
            columns.iter().enumerate().filter_map(|(at, it)| Some((at, question(it)?))).collect();
        if asked.is_empty() {
            return Ok(());
        }
        let list: Vec<&str> = asked.iter().map(|(_, question)| question.as_str()).collect();
        let found = self.session.rows(&format!("SELECT {} FROM {}", list.join(", "), ident(table)));
        let row = match found {
            Ok(mut rows) => rows.pop().unwrap_or_default(),
            // It may be that nobody exports this table; whoever does is told then. Nothing was read yet, so that a later
            // snapshot is as good.
            Err(error) if error.class == "insufficient_rights" => {
                self.session = begun(&self.way)?;
                Vec::new()
            }
            Err(error) => return Err(error),
        };
        for (place, (at, _)) in asked.into_iter().enumerate() {
            let says = row.get(place).is_some_and(|it| it == b"1");
            let column = &mut columns[at];
            column.holds = match (column.holds, says) {
                (Holds::Integer, true) => Holds::Boolean,
                (Holds::Json, false) => Holds::Text,
                (holds, _) => holds,
            };
        }
        Ok(())
    }
}

impl Snapshot for MysqlTables {
    fn source(&self) -> String {
        self.source.clone()
    }

    fn tables(&mut self) -> Result<Vec<Table>> {
        let sql = "SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE() \
                   AND TABLE_TYPE IN ('BASE TABLE', 'SYSTEM VERSIONED') ORDER BY TABLE_NAME";
        let names: Vec<String> = self.session.rows(sql)?.iter().map(|row| words(row.first())).collect();
        let (mut columns, mut keys, mut refers) = (self.columns()?, self.keys()?, self.refers()?);
        let mut tables = Vec::with_capacity(names.len());
        for name in names {
            let mut columns = columns.remove(&name).unwrap_or_default();
            self.look_inside(&name, &mut columns)?;
            tables.push(Table {
                schema: USUAL_SCHEMA.to_owned(),
                columns,
                key: keys.remove(&name).unwrap_or_default(),
                refers: refers.remove(&name).unwrap_or_default(),
                name,
            });
        }
        Ok(tables)
    }

    fn totals(&mut self, table: &Table, columns: &[Column], reporter: &dyn Reporter) -> Result<Totals> {
        let each = columns.iter().map(|it| match it.holds {
            Holds::Integer => format!(", count({0}), coalesce(sum({1}), 0)", ident(&it.name), asked(it)),
            _ => format!(", count({}), NULL", ident(&it.name)),
        });
        let sql = format!("SELECT count(*){} FROM {}", each.collect::<String>(), ident(&table.name));
        let row = self.session.rows_watched(&sql, reporter)?.pop().unwrap_or_default();
        let whole = |at: usize| {
            let found = number(row.get(at));
            found.ok_or_else(|| Error::bug("no_totals", "The totals of a table were not answered."))
        };
        let sum = |at: usize| number(row.get(at));
        Ok(Totals {
            rows: whole(0)?,
            filled: (0..columns.len()).map(|it| whole(1 + 2 * it)).collect::<Result<_>>()?,
            sums: (0..columns.len()).map(|it| sum(2 + 2 * it)).collect(),
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
        // The client writes NULL for what is none and for the text alike.
        let both = |it: &Column| format!("{} IS NULL, {}", ident(&it.name), asked(it));
        let list: Vec<String> = columns.iter().map(both).collect();
        let known = |name: &String| table.columns.iter().find(|it| it.name == *name);
        let by: Vec<String> = by.iter().map(|it| order(it, known(it))).collect();
        let by = if by.is_empty() { String::new() } else { format!(" ORDER BY {}", by.join(", ")) };
        let sql = format!("SELECT {} FROM {}{by}", list.join(", "), ident(&table.name));
        let forms: Vec<_> = columns.iter().map(form).collect();
        let mut told = |row: Texts| {
            if row.len() != 2 * forms.len() {
                return Err(unreadable());
            }
            let mut cells = row.into_iter();
            let mut values = Vec::with_capacity(forms.len());
            for form in &forms {
                let is_none = cells.next().is_some_and(|it| it == b"1");
                values.push(cells.next().filter(|_| !is_none).map(|it| Cow::Owned(text(it, *form))));
            }
            take(&values)
        };
        self.session.each(&sql, &mut told, reporter)
    }
}

/// A session with a snapshot of its own.
fn begun(way: &Way) -> Result<Session> {
    let mut session = Session::open(way)?;
    session.run(FIXED)?;
    session.run("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")?;
    session.run("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")?;
    Ok(session)
}
