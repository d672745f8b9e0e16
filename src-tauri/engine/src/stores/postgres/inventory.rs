//! What is in a database, counted and named, so that a restored or migrated one can be compared with it.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::client::Client;
use super::quote::ident;
use super::session::Session;
use crate::error::Result;
use crate::ports::{Reporter, Unit};
use crate::stores::Counts;

/// How long counting one batch of tables may take at most. Whoever reports may stop it sooner.
const LONGEST: Duration = Duration::from_secs(12 * 3600);
/// How many tables are counted by one statement.
const BATCH: usize = 40;

/// The contents of a database, without what its extensions brought.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Inventory {
    /// Rows of each table, partitions by themselves. Names are `schema.table`, in quotes where they must be.
    pub counts: Counts,
    /// How many large objects there are.
    pub large_objects: u64,
    /// Primary keys, unique and foreign keys, checks, as `schema.table name kind`; `not valid` where it is so.
    pub constraints: BTreeSet<String>,
    /// Valid indexes, as `schema.index on table (method, columns)`.
    pub indexes: BTreeSet<String>,
    /// How many there are of other kinds: views, functions, triggers, types, …
    pub objects: BTreeMap<String, u64>,
    /// Extensions and their versions.
    pub extensions: BTreeMap<String, String>,
    /// The partitions, each with the table that it is a part of. Older manifests do not tell.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub parts: BTreeMap<String, String>,
}

/// How far a sequence had come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Position {
    /// Its last value, or the first one that it will give where it gave none yet.
    pub last_value: i64,
    /// Whether it gave that value already.
    pub is_called: bool,
}

/// The sequences of a database with their positions. Sequences take no notice of snapshots.
pub type Positions = BTreeMap<String, Position>;

#[derive(Debug, Clone, Deserialize)]
struct Named {
    schema: String,
    name: String,
}

impl Named {
    fn key(&self) -> String {
        key(&self.schema, &self.name)
    }
    fn quoted(&self) -> String {
        format!("{}.{}", ident(&self.schema), ident(&self.name))
    }
}

/// A name as people and profiles write it: without quotes unless it could be misread without.
pub(super) fn key(schema: &str, name: &str) -> String {
    let plain = |it: &str| !it.contains(['.', '"']);
    if plain(schema) && plain(name) { format!("{schema}.{name}") } else { format!("{}.{}", ident(schema), ident(name)) }
}

/// Objects that belong to the user: in no schema of the server's own.
pub(super) const OWN_SCHEMAS: &str = "n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'";

/// Not brought by an extension. `class` is the catalogue that the object is in.
pub(super) fn no_extension(class: &str, oid: &str) -> String {
    format!(
        "NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.classid = '{class}'::regclass AND d.objid = {oid} AND d.deptype = 'e')"
    )
}

/// Rows of every table of `database` as they are now, in one snapshot.
///
/// # Errors
/// Why it cannot be read; what `reporter` answered.
pub fn count(client: &Client, database: &str, reporter: &dyn Reporter) -> Result<Counts> {
    let mut session = client.connect(database)?;
    session.run("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")?;
    counts(&mut session, reporter)
}

/// The rows of every table of `database` as one figure each, whatever order they lie in and whichever version reads them.
///
/// # Errors
/// As [`count`].
pub fn digests(client: &Client, database: &str, reporter: &dyn Reporter) -> Result<BTreeMap<String, String>> {
    #[derive(Deserialize)]
    struct Row {
        digest: String,
    }
    let mut session = client.connect(database)?;
    session.run("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")?;
    // What a value looks like as text must not hang on the settings of a server.
    for (name, value) in [("intervalstyle", "postgres"), ("extra_float_digits", "1"), ("bytea_output", "hex")] {
        session.run(&format!("SET LOCAL {name} = '{value}'"))?;
    }
    let mut digests = BTreeMap::new();
    for table in tables(&mut session)? {
        let sql = format!(
            "SELECT count(*) || ' ' || coalesce(sum(('x' || substr(md5(t::text), 1, 15))::bit(60)::bigint::numeric), 0) \
             AS digest FROM ONLY {} t",
            table.quoted()
        );
        let found: Vec<Row> = session.rows_watched(&sql, LONGEST, &mut || reporter.check())?;
        digests.extend(found.into_iter().map(|it| (table.key(), it.digest)));
    }
    Ok(digests)
}

/// The transaction that comes next on the server: whatever is written from now on bears it or a later one.
///
/// # Errors
/// As [`Session::one`].
pub fn next_transaction(client: &Client, database: &str) -> Result<u32> {
    #[derive(Deserialize)]
    struct Row {
        xid: u32,
    }
    let next = "SELECT txid_snapshot_xmax(txid_current_snapshot()) % 4294967296 AS xid";
    Ok(client.connect(database)?.one::<Row>(next)?.xid)
}

/// Whether any row of `database` was added or edited by `transaction` or a later one. One that is gone is told by
/// counting.
///
/// # Errors
/// As [`count`].
pub fn written_since(client: &Client, database: &str, transaction: u32, reporter: &dyn Reporter) -> Result<bool> {
    #[derive(Deserialize)]
    struct Row {
        newer: bool,
    }
    let mut session = client.connect(database)?;
    session.run("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")?;
    for table in tables(&mut session)? {
        let sql = format!(
            "SELECT EXISTS (SELECT 1 FROM ONLY {} WHERE age(xmin) <= age('{transaction}'::xid)) AS newer",
            table.quoted()
        );
        let found: Vec<Row> = session.rows_watched(&sql, LONGEST, &mut || reporter.check())?;
        if found.iter().any(|it| it.newer) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Everything in `database` as it is now, in one snapshot.
///
/// # Errors
/// As [`count`].
pub fn take(client: &Client, database: &str, reporter: &dyn Reporter) -> Result<(Inventory, Positions)> {
    let mut session = client.connect(database)?;
    session.run("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")?;
    let inventory = inventory(&mut session, reporter)?;
    Ok((inventory, positions(&mut session)?))
}

pub(super) fn inventory(session: &mut Session, reporter: &dyn Reporter) -> Result<Inventory> {
    Ok(Inventory {
        counts: counts(session, reporter)?,
        large_objects: number(session, "SELECT count(*) AS n FROM pg_largeobject_metadata")?,
        constraints: words(session, &constraints())?,
        indexes: words(session, &indexes())?,
        objects: objects(session)?,
        extensions: extensions(session)?,
        parts: parts(session)?,
    })
}

/// Every table that holds rows of the user's, the largest first.
fn tables(session: &mut Session) -> Result<Vec<Named>> {
    // A table with partitions has no rows of its own; a child of inheritance is counted by itself too.
    session.rows(&format!(
        "SELECT n.nspname AS schema, c.relname AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
         WHERE c.relkind = 'r' AND c.relpersistence <> 't' AND {OWN_SCHEMAS} AND {} ORDER BY c.relpages DESC",
        no_extension("pg_class", "c.oid")
    ))
}

fn counts(session: &mut Session, reporter: &dyn Reporter) -> Result<Counts> {
    let tables = tables(session)?;
    #[derive(Deserialize)]
    struct Row {
        i: usize,
        n: u64,
    }
    let mut counts = Counts::new();
    let mut rows = 0;
    let mut rest = tables.as_slice();
    let mut first = true;
    while !rest.is_empty() {
        reporter.check()?;
        // The largest table alone, so that there is news of it, the small ones many at a time.
        let (batch, later) = rest.split_at(if first { 1 } else { BATCH }.min(rest.len()));
        first = false;
        rest = later;
        let sql = batch
            .iter()
            .enumerate()
            .map(|(i, table)| format!("SELECT {i} AS i, (SELECT count(*) FROM ONLY {}) AS n", table.quoted()))
            .collect::<Vec<_>>()
            .join(" UNION ALL ");
        let found: Vec<Row> = session.rows_watched(&sql, LONGEST, &mut || reporter.check())?;
        for row in found {
            if let Some(table) = batch.get(row.i) {
                counts.insert(table.key(), row.n);
                rows += row.n;
            }
        }
        reporter.moved(rows, None, Unit::Rows);
    }
    Ok(counts)
}

/// Where every sequence stands now.
pub(super) fn positions(session: &mut Session) -> Result<Positions> {
    #[derive(Deserialize)]
    struct Row {
        i: usize,
        #[serde(flatten)]
        position: Position,
    }
    let sequences: Vec<Named> = session.rows(&format!(
        "SELECT n.nspname AS schema, c.relname AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
         WHERE c.relkind = 'S' AND c.relpersistence <> 't' AND {OWN_SCHEMAS} AND {} ORDER BY 1, 2",
        no_extension("pg_class", "c.oid")
    ))?;
    let mut positions = Positions::new();
    for batch in sequences.chunks(BATCH) {
        let sql = batch
            .iter()
            .enumerate()
            .map(|(i, it)| format!("SELECT {i} AS i, last_value, is_called FROM {}", it.quoted()))
            .collect::<Vec<_>>()
            .join(" UNION ALL ");
        for row in session.rows::<Row>(&sql)? {
            if let Some(sequence) = batch.get(row.i) {
                positions.insert(sequence.key(), row.position);
            }
        }
    }
    Ok(positions)
}

/// The definition of a check is left out: the server writes some differently after a restore, though they
/// mean the same.
fn constraints() -> String {
    format!(
        "SELECT n.nspname || '.' || c.relname || ' ' || o.conname || ' ' || CASE o.contype WHEN 'c' THEN 'check' \
         WHEN 'f' THEN pg_get_constraintdef(o.oid) WHEN 'p' THEN pg_get_constraintdef(o.oid) \
         WHEN 'u' THEN pg_get_constraintdef(o.oid) ELSE o.contype::text END \
         || CASE WHEN o.convalidated THEN '' ELSE ' not valid' END AS word \
         FROM pg_constraint o JOIN pg_class c ON c.oid = o.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace \
         WHERE o.contype <> 'n' AND {OWN_SCHEMAS} AND {}",
        no_extension("pg_class", "c.oid")
    )
}

/// The expressions of an index are left out for the same reason. An invalid index is not dumped.
fn indexes() -> String {
    format!(
        "SELECT n.nspname || '.' || x.relname || ' on ' || c.relname || ' (' || m.amname || ', ' || i.indnatts \
         || CASE WHEN i.indisunique THEN ', unique' ELSE '' END || ')' AS word \
         FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid JOIN pg_class c ON c.oid = i.indrelid \
         JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_am m ON m.oid = x.relam \
         WHERE i.indisvalid AND {OWN_SCHEMAS} AND {}",
        no_extension("pg_class", "c.oid")
    )
}

fn objects(session: &mut Session) -> Result<BTreeMap<String, u64>> {
    #[derive(Deserialize)]
    struct Row {
        kind: String,
        n: u64,
    }
    let of_class = |kind: &str, class: &str, from: &str, oid: &str, schema: &str, only: &str| {
        format!(
            "SELECT '{kind}' AS kind, count(*) AS n FROM {from} JOIN pg_namespace n ON n.oid = {schema} \
             WHERE {OWN_SCHEMAS} AND {only} AND {}",
            no_extension(class, oid)
        )
    };
    let relation = |kind: &str, letter: &str| {
        let only = format!("c.relkind = '{letter}' AND c.relpersistence <> 't'");
        of_class(kind, "pg_class", "pg_class c", "c.oid", "c.relnamespace", &only)
    };
    let sql = [
        relation("partitioned tables", "p"),
        relation("views", "v"),
        relation("materialized views", "m"),
        relation("sequences", "S"),
        of_class("functions", "pg_proc", "pg_proc p", "p.oid", "p.pronamespace", "true"),
        of_class("types", "pg_type", "pg_type t", "t.oid", "t.typnamespace", "t.typtype IN ('d', 'e', 'r')"),
        of_class(
            "triggers",
            "pg_class",
            "pg_trigger g JOIN pg_class c ON c.oid = g.tgrelid",
            "c.oid",
            "c.relnamespace",
            "NOT g.tgisinternal",
        ),
        of_class(
            "policies",
            "pg_class",
            "pg_policy y JOIN pg_class c ON c.oid = y.polrelid",
            "c.oid",
            "c.relnamespace",
            "true",
        ),
        of_class(
            "columns",
            "pg_class",
            "pg_attribute a JOIN pg_class c ON c.oid = a.attrelid",
            "c.oid",
            "c.relnamespace",
            "c.relkind IN ('r', 'p', 'v', 'm') AND a.attnum > 0 AND NOT a.attisdropped",
        ),
    ]
    .join(" UNION ALL ");
    Ok(session.rows::<Row>(&sql)?.into_iter().map(|row| (row.kind, row.n)).collect())
}

fn extensions(session: &mut Session) -> Result<BTreeMap<String, String>> {
    #[derive(Deserialize)]
    struct Row {
        name: String,
        version: String,
    }
    let rows: Vec<Row> = session.rows("SELECT extname AS name, extversion AS version FROM pg_extension")?;
    Ok(rows.into_iter().map(|row| (row.name, row.version)).collect())
}

fn parts(session: &mut Session) -> Result<BTreeMap<String, String>> {
    #[derive(Deserialize)]
    struct Row {
        #[serde(flatten)]
        part: Named,
        whole_schema: String,
        whole: String,
    }
    let rows: Vec<Row> = session.rows(&format!(
        "SELECT n.nspname AS schema, c.relname AS name, w.nspname AS whole_schema, p.relname AS whole \
         FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid JOIN pg_namespace n ON n.oid = c.relnamespace \
         JOIN pg_class p ON p.oid = i.inhparent JOIN pg_namespace w ON w.oid = p.relnamespace \
         WHERE c.relispartition AND c.relkind IN ('r', 'p') AND {OWN_SCHEMAS} AND {}",
        no_extension("pg_class", "c.oid")
    ))?;
    Ok(rows.into_iter().map(|row| (row.part.key(), key(&row.whole_schema, &row.whole))).collect())
}

fn number(session: &mut Session, select: &str) -> Result<u64> {
    #[derive(Deserialize)]
    struct Row {
        n: u64,
    }
    Ok(session.one::<Row>(select)?.n)
}

fn words(session: &mut Session, select: &str) -> Result<BTreeSet<String>> {
    #[derive(Deserialize)]
    struct Row {
        word: String,
    }
    let rows: Vec<Row> = session.rows_watched(select, LONGEST, &mut || Ok(()))?;
    Ok(rows.into_iter().map(|row| row.word).collect())
}
