//! What the tables of a database are like, for rows that come in.

use serde::Deserialize;

use super::SCHEMA;
use crate::error::Result;
use crate::stores::intake::{Column, Table};
use crate::stores::postgres::inventory;
use crate::stores::postgres::session::Session;
use crate::stores::postgres::tables::{KEY, REFERS};
use crate::stores::tables::{Holds, Refers};

#[derive(Deserialize)]
struct Found {
    schema: String,
    name: String,
    columns: Vec<FoundColumn>,
    key: Vec<String>,
    unique: Vec<Vec<String>>,
    refers: Vec<Refers>,
}

#[derive(Deserialize)]
struct FoundColumn {
    name: String,
    data_type: String,
    base: String,
    kind: String,
    is_null_fine: bool,
    made: Option<String>,
    generated: bool,
}

/// Its columns, as JSON. A domain is what it is made of; a counter is a default like another.
const COLUMNS: &str = "(SELECT coalesce(json_agg(json_build_object('name', a.attname, \
    'data_type', format_type(a.atttypid, a.atttypmod), 'base', format_type(a.atttypid, NULL), 'kind', \
    CASE WHEN t.typtype = 'd' THEN format_type(t.typbasetype, NULL) ELSE format_type(t.oid, NULL) END, \
    'is_null_fine', NOT a.attnotnull, 'generated', a.attgenerated <> '', 'made', CASE WHEN a.attidentity <> '' \
    THEN 'nextval(' || quote_literal(pg_get_serial_sequence(quote_ident(n.nspname) || '.' || quote_ident(c.relname), \
    a.attname)) || '::regclass)' WHEN a.attgenerated = '' THEN pg_get_expr(f.adbin, f.adrelid) END) \
    ORDER BY a.attnum), '[]') FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid \
    LEFT JOIN pg_attrdef f ON f.adrelid = a.attrelid AND f.adnum = a.attnum \
    WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped)";
/// Columns that tell rows apart beside the primary key, as JSON.
const UNIQUE: &str = "(SELECT coalesce(json_agg(u.names), '[]') FROM (SELECT (SELECT json_agg(a.attname ORDER BY k.at) \
    FROM unnest(i.indkey::int2[]) WITH ORDINALITY AS k (num, at) JOIN pg_attribute a ON a.attrelid = i.indrelid \
    AND a.attnum = k.num WHERE k.at <= i.indnkeyatts) AS names FROM pg_index i WHERE i.indrelid = c.oid AND i.indisunique \
    AND NOT i.indisprimary AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL ORDER BY i.indnatts, i.indexrelid) u)";

pub(super) fn read(session: &mut Session) -> Result<Vec<Table>> {
    let found: Vec<Found> = session.rows(&format!(
        "SELECT n.nspname AS schema, c.relname AS name, {COLUMNS} AS columns, {KEY} AS key, {REFERS} AS refers, \
         {UNIQUE} AS unique FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
         WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relpersistence <> 't' AND {} \
         AND n.nspname <> '{SCHEMA}' AND {} ORDER BY n.nspname, c.relname",
        inventory::OWN_SCHEMAS,
        inventory::no_extension("pg_class", "c.oid"),
    ))?;
    let column = |it: FoundColumn| Column {
        holds: Holds::of(&it.kind),
        required: !it.is_null_fine && it.made.is_none() && !it.generated,
        name: it.name,
        data_type: it.data_type,
        base: it.base,
        made: it.made,
        generated: it.generated,
    };
    Ok(found
        .into_iter()
        .map(|it| Table {
            schema: it.schema,
            name: it.name,
            columns: it.columns.into_iter().map(column).collect(),
            key: it.key,
            unique: it.unique,
            refers: it.refers,
            lists: Vec::new(),
            entity: None,
        })
        .collect())
}
