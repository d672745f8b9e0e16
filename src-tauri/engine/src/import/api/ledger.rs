//! What was sent to the application and what became of it, in a file of Liftlock's own beside the mapping.
//!
//! A row is written down as `sending` before its request leaves, with an fsync, and as what became of it afterwards, at the
//! latest with the next one's intent. So one that is still `sending` may have arrived, and is looked for before it is sent
//! again. Deliberately absent: a second truth in the application's own database.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::durable;
use crate::error::Result;

/// What became of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Act {
    /// It may have arrived, or not.
    Sending,
    /// The application made it.
    Inserted,
    /// It was there, and may have got other values.
    Changing,
    /// It was there and got other values.
    Updated,
    /// It was there and stayed as it is.
    Found,
}

impl Act {
    const ALL: [Self; 5] = [Self::Sending, Self::Inserted, Self::Changing, Self::Updated, Self::Found];

    fn word(self) -> &'static str {
        match self {
            Self::Sending => "sending",
            Self::Inserted => "inserted",
            Self::Changing => "changing",
            Self::Updated => "updated",
            Self::Found => "found",
        }
    }
}

/// What is on record for a row of an export.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Record {
    /// Where the export came from.
    pub(super) source: String,
    /// The import.
    pub(super) run: String,
    /// What people call it.
    pub(super) entity: String,
    /// What the row of the export is known by.
    pub(super) key: String,
    /// What became of it.
    pub(super) act: Act,
    /// What the request is known by if it is sent again.
    pub(super) token: String,
    /// What the application calls it.
    pub(super) id: Option<String>,
    /// `METHOD path` by which it is found by people's key, and where in the answer.
    pub(super) find: Option<String>,
    /// `METHOD path` by which it is read, changed and removed, with `{id}` where its id belongs.
    pub(super) read: Option<String>,
    /// As [`Record::read`].
    pub(super) update: Option<String>,
    /// As [`Record::read`].
    pub(super) remove: Option<String>,
    /// The values of before, as the JSON that puts them back.
    pub(super) before: Option<String>,
    /// The values that it has since, each field with its JSON.
    pub(super) mark: Option<String>,
}

/// The file.
pub(super) struct Ledger {
    conn: Connection,
}

const SCHEMA: &str = "CREATE TABLE IF NOT EXISTS came (at INTEGER PRIMARY KEY AUTOINCREMENT, source TEXT NOT NULL, \
    run TEXT NOT NULL, entity TEXT NOT NULL, row_key TEXT NOT NULL, act TEXT NOT NULL, token TEXT NOT NULL, new_id TEXT, \
    find TEXT, read TEXT, change TEXT, remove TEXT, before TEXT, mark TEXT, UNIQUE (source, entity, row_key)) STRICT; \
    CREATE INDEX IF NOT EXISTS came_run ON came (run, at)";
const COLUMNS: &str = "source, run, entity, row_key, act, token, new_id, find, read, change, remove, before, mark";

impl Ledger {
    /// Opens it, anew where there is none.
    ///
    /// # Errors
    /// What the disk answered.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let conn = opened(path)?;
        conn.pragma_update(None, "journal_mode", "WAL")?;
        conn.pragma_update(None, "synchronous", "FULL")?;
        conn.pragma_update(None, "fullfsync", true)?;
        conn.execute_batch(SCHEMA)?;
        Ok(Self { conn })
    }

    /// What is on record for a row.
    pub(super) fn find(&self, source: &str, entity: &str, key: &str) -> Result<Option<Record>> {
        let sql = format!("SELECT {COLUMNS} FROM came WHERE source = ? AND entity = ? AND row_key = ?");
        Ok(self.conn.prepare_cached(&sql)?.query_row(params![source, entity, key], record).optional()?)
    }

    /// Writes down what is about to be done, and everything before it for good.
    pub(super) fn intend(&self, it: &Record) -> Result<()> {
        self.note(it)?;
        self.keep()
    }

    /// Writes down what was done. It is there for good with the next intent, or with [`Ledger::keep`].
    pub(super) fn note(&self, it: &Record) -> Result<()> {
        if self.conn.is_autocommit() {
            self.conn.execute_batch("BEGIN IMMEDIATE")?;
        }
        let sql = format!(
            "INSERT INTO came ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) \
             ON CONFLICT (source, entity, row_key) DO UPDATE SET run = excluded.run, act = excluded.act, token = excluded.token, \
             new_id = excluded.new_id, find = excluded.find, read = excluded.read, change = excluded.change, \
             remove = excluded.remove, before = excluded.before, mark = excluded.mark"
        );
        self.conn.prepare_cached(&sql)?.execute(params![
            it.source,
            it.run,
            it.entity,
            it.key,
            it.act.word(),
            it.token,
            it.id,
            it.find,
            it.read,
            it.update,
            it.remove,
            it.before,
            it.mark
        ])?;
        Ok(())
    }

    /// Forgets a row: nothing of it is there.
    pub(super) fn forget(&self, it: &Record) -> Result<()> {
        if self.conn.is_autocommit() {
            self.conn.execute_batch("BEGIN IMMEDIATE")?;
        }
        self.conn
            .prepare_cached("DELETE FROM came WHERE source = ? AND entity = ? AND row_key = ?")?
            .execute(params![it.source, it.entity, it.key])?;
        Ok(())
    }

    /// What was noted is there for good.
    pub(super) fn keep(&self) -> Result<()> {
        if !self.conn.is_autocommit() {
            self.conn.execute_batch("COMMIT")?;
        }
        Ok(())
    }

    /// The imports of which something is there.
    pub(super) fn runs(&self) -> Result<Vec<String>> {
        let mut statement = self.conn.prepare("SELECT run FROM came GROUP BY run ORDER BY max(at) DESC")?;
        let runs = statement.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
        Ok(runs)
    }

    /// The entities of an import, the last one first, with how many of each are on record.
    pub(super) fn entities(&self, run: &str) -> Result<Vec<(String, u64)>> {
        let sql = "SELECT entity, count(*) FROM came WHERE run = ? GROUP BY entity ORDER BY max(at) DESC";
        let mut statement = self.conn.prepare(sql)?;
        let found = statement.query_map([run], |row| Ok((row.get(0)?, row.get::<_, i64>(1)?)))?;
        found.map(|it| Ok(it.map(|(name, count)| (name, u64::try_from(count).unwrap_or_default()))?)).collect()
    }

    /// Some of what an import brought in of an entity, the last first, from before `at`; each with its place.
    pub(super) fn some(&self, run: &str, entity: &str, at: i64) -> Result<Vec<(i64, Record)>> {
        let sql = format!(
            "SELECT {COLUMNS}, at FROM came WHERE run = ? AND entity = ? AND at < ? ORDER BY at DESC LIMIT 500"
        );
        let mut statement = self.conn.prepare_cached(&sql)?;
        let rows = statement.query_map(params![run, entity, at], |row| Ok((row.get(13)?, record(row)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

fn record(row: &Row<'_>) -> rusqlite::Result<Record> {
    let word: String = row.get(4)?;
    let act = Act::ALL.into_iter().find(|it| it.word() == word).unwrap_or(Act::Sending);
    Ok(Record {
        source: row.get(0)?,
        run: row.get(1)?,
        entity: row.get(2)?,
        key: row.get(3)?,
        act,
        token: row.get(5)?,
        id: row.get(6)?,
        find: row.get(7)?,
        read: row.get(8)?,
        update: row.get(9)?,
        remove: row.get(10)?,
        before: row.get(11)?,
        mark: row.get(12)?,
    })
}

fn opened(path: &Path) -> Result<Connection> {
    durable::create_private_dir(durable::parent(path)?)?;
    if !path.exists() {
        durable::create_private_file(path)?;
    }
    let conn = Connection::open(path)?;
    conn.busy_timeout(std::time::Duration::from_secs(10))?;
    conn.pragma_update(None, "trusted_schema", false)?;
    Ok(conn)
}

/// Rows laid down on their way to the application; they go when the import ends.
pub(super) struct Laid {
    conn: Connection,
    path: PathBuf,
}

/// A row that was laid down.
#[derive(Debug)]
pub(super) struct LaidRow {
    /// Its number, from 1.
    pub(super) n: u64,
    /// What it is known by.
    pub(super) key: String,
    /// Its values.
    pub(super) values: Vec<Option<String>>,
}

impl Laid {
    /// A fresh one; what an earlier import left there goes.
    ///
    /// # Errors
    /// What the disk answered.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let _ = std::fs::remove_file(path);
        let conn = opened(path)?;
        // It is made anew whenever it is needed.
        conn.pragma_update(None, "journal_mode", "OFF")?;
        conn.pragma_update(None, "synchronous", "OFF")?;
        conn.execute_batch(
            "CREATE TABLE tried (entity TEXT NOT NULL, k TEXT NOT NULL, PRIMARY KEY (entity, k)) STRICT; \
             CREATE TABLE known (entity TEXT NOT NULL, k TEXT NOT NULL, PRIMARY KEY (entity, k)) STRICT",
        )?;
        Ok(Self { conn, path: path.to_owned() })
    }

    /// Begins to lay rows of a width down under a number.
    pub(super) fn begin(&self, number: usize, width: usize) -> Result<()> {
        let columns: String = (0..width).map(|at| format!(", c{at} TEXT")).collect();
        self.conn.execute_batch(&format!(
            "BEGIN; DROP TABLE IF EXISTS s_{number}; CREATE TABLE s_{number} (n INTEGER PRIMARY KEY, k TEXT NOT NULL{columns}) STRICT; \
             CREATE INDEX s_{number}_k ON s_{number} (k)"
        ))?;
        Ok(())
    }

    /// Lays one down. One without a key of its own is known by what it holds.
    pub(super) fn put(&self, number: usize, n: u64, key: Option<String>, values: &[Option<&str>]) -> Result<()> {
        let key = match key {
            Some(key) => key,
            None => {
                let whole = serde_json::to_vec(values).unwrap_or_default();
                let hash = format!("#{}", crate::digest::sha256(&whole));
                let sql = format!("SELECT count(*) FROM s_{number} WHERE k >= ? || '/' AND k < ? || '0'");
                let before: i64 = self.conn.prepare_cached(&sql)?.query_row([&hash, &hash], |row| row.get(0))?;
                format!("{hash}/{}", before + 1)
            }
        };
        let holes: String = (0..values.len()).map(|at| format!(", ?{}", at + 3)).collect();
        let sql = format!("INSERT INTO s_{number} VALUES (?1, ?2{holes})");
        let mut statement = self.conn.prepare_cached(&sql)?;
        statement.raw_bind_parameter(1, i64::try_from(n).unwrap_or(i64::MAX))?;
        statement.raw_bind_parameter(2, &key)?;
        for (at, value) in values.iter().enumerate() {
            statement.raw_bind_parameter(at + 3, value)?;
        }
        statement.raw_execute()?;
        Ok(())
    }

    /// All of them lie there.
    pub(super) fn done(&self) -> Result<()> {
        Ok(self.conn.execute_batch("COMMIT")?)
    }

    /// Some rows behind a number, in their order.
    pub(super) fn some(&self, number: usize, width: usize, behind: u64) -> Result<Vec<LaidRow>> {
        let sql = format!("SELECT * FROM s_{number} WHERE n > ? ORDER BY n LIMIT 500");
        self.rows(&sql, width, i64::try_from(behind).unwrap_or(i64::MAX))
    }

    /// Those that say `value` in a column.
    pub(super) fn children(&self, number: usize, width: usize, by: usize, value: &str) -> Result<Vec<LaidRow>> {
        self.rows(&format!("SELECT * FROM s_{number} WHERE c{by} = ? ORDER BY n"), width, value)
    }

    /// Children are about to be asked for by a column.
    pub(super) fn prepare_children(&self, number: usize, by: usize) -> Result<()> {
        Ok(self.conn.execute_batch(&format!("CREATE INDEX IF NOT EXISTS s_{number}_c{by} ON s_{number} (c{by})"))?)
    }

    fn rows(&self, sql: &str, width: usize, parameter: impl rusqlite::ToSql) -> Result<Vec<LaidRow>> {
        let mut statement = self.conn.prepare_cached(sql)?;
        let rows = statement.query_map([parameter], |row| {
            Ok(LaidRow {
                n: u64::try_from(row.get::<_, i64>(0)?).unwrap_or_default(),
                key: row.get(1)?,
                values: (0..width).map(|at| row.get(at + 2)).collect::<rusqlite::Result<_>>()?,
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// How many lie under a number.
    pub(super) fn count(&self, number: usize) -> Result<u64> {
        let count: i64 = self.conn.query_row(&format!("SELECT count(*) FROM s_{number}"), [], |row| row.get(0))?;
        Ok(u64::try_from(count).unwrap_or_default())
    }

    /// Whether a row before this one has its key.
    pub(super) fn is_twice(&self, number: usize, row: &LaidRow) -> Result<bool> {
        let sql = format!("SELECT 1 FROM s_{number} WHERE k = ? AND n < ?");
        let n = i64::try_from(row.n).unwrap_or(i64::MAX);
        Ok(self.conn.prepare_cached(&sql)?.exists(params![row.key, n])?)
    }

    /// A row that would come in, in a trial: whatever names it can come in too.
    pub(super) fn would_come(&self, entity: &str, key: &str) -> Result<()> {
        self.conn.prepare_cached("INSERT OR IGNORE INTO tried VALUES (?, ?)")?.execute([entity, key])?;
        Ok(())
    }

    /// Whether such a row would come in.
    pub(super) fn is_tried(&self, entity: &str, key: &str) -> Result<bool> {
        Ok(self.conn.prepare_cached("SELECT 1 FROM tried WHERE entity = ? AND k = ?")?.exists([entity, key])?)
    }

    /// Whether an earlier row of this pass says the same to people; from now on one does.
    pub(super) fn is_known(&self, entity: &str, key: &str) -> Result<bool> {
        Ok(self.conn.prepare_cached("INSERT OR IGNORE INTO known VALUES (?, ?)")?.execute([entity, key])? == 0)
    }

    /// A pass over an entity begins.
    pub(super) fn forget_known(&self, entity: &str) -> Result<()> {
        self.conn.execute("DELETE FROM known WHERE entity = ?", [entity])?;
        Ok(())
    }

    /// Trials are over.
    pub(super) fn forget_tried(&self) -> Result<()> {
        Ok(self.conn.execute_batch("DELETE FROM tried; DELETE FROM known")?)
    }
}

impl Drop for Laid {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}
