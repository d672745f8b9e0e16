//! What the data is, in a few hashes: the judge of "nothing lost, nothing changed".
//!
//! A row counts as its text, a table as the sum over its rows, so that neither their order nor where
//! they lie matters. `content_1_0` covers only what 1.0.0 knew, and survives a good upgrade.

use std::{fs, path::Path};

use anyhow::{Context, Result};
use serde::Serialize;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use tokio_postgres::Client;

use crate::archive::{hex, sha256};
use crate::cluster;
use crate::place::{Facts, Place};

/// The columns that 1.0.0 has.
const COLUMNS_1_0: &[(&str, &[&str])] = &[
    ("customers", &["city", "email", "id", "name", "since"]),
    ("items", &["id", "name", "picture", "price_cents", "sku"]),
    ("notes", &["body", "id", "order_id", "written_at"]),
    ("order_lines", &["amount_cents", "item_id", "line_no", "order_id", "price_cents", "quantity"]),
    ("orders", &["client_key", "customer_id", "details", "id", "number", "placed_at"]),
];

/// What `hash` answers.
#[derive(Debug, Serialize)]
pub struct Content {
    /// The database that was read.
    pub database: String,
    /// Whether only what was there before anybody shopped is covered.
    pub seeded_only: bool,
    /// Over every row and column, and the uploads.
    pub content: String,
    /// Over the tables and columns of 1.0.0, and the uploads; none where one of them is gone.
    pub content_1_0: Option<String>,
    /// For each table `rows`, `content` and `content_1_0`.
    pub tables: Map<String, Value>,
    /// For each sequence its last value.
    pub sequences: Map<String, Value>,
    /// `count`, `bytes` and `content` of the uploaded files.
    pub uploads: Value,
    /// Owner, privileges, limit, comment and settings of the database.
    pub settings: Value,
}

/// Reads a database and the uploads.
///
/// # Errors
/// The database cannot be entered.
pub async fn content(place: &Place, facts: &Facts, database: &str, seeded_only: bool) -> Result<Content> {
    let mut client = cluster::admin(facts, database).await?;
    let transaction = client.build_transaction().read_only(true).isolation_level(
        // Every table at the same moment, though orders keep coming in.
        tokio_postgres::IsolationLevel::RepeatableRead,
    );
    let transaction = transaction.start().await?;
    let client = transaction.client();
    client
        .batch_execute("SET LOCAL timezone = 'UTC'; SET LOCAL datestyle = 'ISO'; SET LOCAL bytea_output = 'hex'")
        .await?;
    let most = if seeded_only { facts.seeded_orders } else { i64::MAX };
    let mut tables = Map::new();
    let mut all = Sha256::new();
    let mut all_1_0 = Some(Sha256::new());
    for table in client.query(TABLES, &[]).await? {
        let (name, columns): (String, Vec<String>) = (table.get(0), table.get(1));
        let known = COLUMNS_1_0.iter().find(|(it, _)| *it == name).map(|(_, columns)| *columns);
        let hashed = hash_table(client, &name, &columns, known, most).await.with_context(|| name.clone())?;
        all.update(format!("{name} {} {}\n", hashed.rows, hashed.content));
        if known.is_some() {
            match (&hashed.content_1_0, &mut all_1_0) {
                (Some(hash), Some(all)) => all.update(format!("{name} {} {hash}\n", hashed.rows)),
                _ => all_1_0 = None,
            }
        }
        tables.insert(name, serde_json::to_value(hashed)?);
    }
    if COLUMNS_1_0.iter().any(|(name, _)| !tables.contains_key(*name)) {
        all_1_0 = None;
    }
    let mut sequences = Map::new();
    for row in client.query("SELECT sequencename::text, last_value FROM pg_sequences ORDER BY 1", &[]).await? {
        sequences.insert(row.get(0), json!(row.get::<_, Option<i64>>(1)));
    }
    let settings: Value = client.query_one(SETTINGS, &[&database]).await?.get(0);
    let uploads = uploads(&place.shop().join("data/uploads"))?;
    let close = |mut all: Sha256| {
        all.update(uploads["content"].as_str().unwrap_or_default());
        hex(&all.finalize())
    };
    Ok(Content {
        database: database.to_owned(),
        seeded_only,
        content: close(all),
        content_1_0: all_1_0.map(close),
        tables,
        sequences,
        uploads,
        settings,
    })
}

const TABLES: &str = "SELECT c.relname::text, array_agg(a.attname::text ORDER BY a.attname)
    FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')
    GROUP BY 1 ORDER BY 1";

const SETTINGS: &str = "SELECT jsonb_build_object(
        'owner', pg_get_userbyid(datdba), 'privileges', coalesce(to_jsonb(datacl::text[]), 'null'),
        'connection_limit', datconnlimit, 'comment', shobj_description(d.oid, 'pg_database'),
        'settings', (SELECT coalesce(jsonb_agg(jsonb_build_object('role', CASE setrole WHEN 0 THEN '' ELSE pg_get_userbyid(setrole)::text END,
                                                                  'settings', setconfig) ORDER BY setrole <> 0), '[]')
                     FROM pg_db_role_setting s WHERE s.setdatabase = d.oid))
    FROM pg_database d WHERE datname = $1";

#[derive(Debug, Serialize)]
struct Hashed {
    rows: i64,
    content: String,
    content_1_0: Option<String>,
}

async fn hash_table(
    client: &Client,
    name: &str,
    columns: &[String],
    known: Option<&[&str]>,
    most: i64,
) -> Result<Hashed> {
    let record = |columns: &[&str]| {
        let quoted: Vec<String> = columns.iter().map(|it| format!("\"{}\"", it.replace('"', "\"\""))).collect();
        format!("md5(ROW({})::text)", quoted.join(", "))
    };
    let all: Vec<&str> = columns.iter().map(String::as_str).collect();
    let known = known.filter(|known| known.iter().all(|it| all.contains(it)));
    let same = known.is_some_and(|known| known.len() == all.len());
    let older = match known {
        Some(known) if !same => record(known),
        _ => "NULL".to_owned(),
    };
    let only = match name {
        "orders" => "WHERE id <= $1",
        "order_lines" | "notes" => "WHERE order_id <= $1",
        _ => "WHERE $1::bigint IS NOT NULL",
    };
    let half = |hash: &str, from: u8| {
        format!("coalesce(sum(('x' || substr({hash}, {from}, 16))::bit(64)::bigint::numeric), 0)::text")
    };
    let query = format!(
        "SELECT count(*), {}, {}, {}, {} FROM (SELECT {} AS h, {older} AS k FROM public.\"{}\" {only}) r",
        half("h", 1),
        half("h", 17),
        half("k", 1),
        half("k", 17),
        record(&all),
        name.replace('"', "\"\""),
    );
    let row = client.query_one(&query, &[&most]).await?;
    let sums = |at: usize| sha256(format!("{} {}", row.get::<_, &str>(at), row.get::<_, &str>(at + 1)).as_bytes());
    let content = sums(1);
    let content_1_0 = known.map(|_| if same { content.clone() } else { sums(3) });
    Ok(Hashed { rows: row.get(0), content, content_1_0 })
}

fn uploads(folder: &Path) -> Result<Value> {
    let mut names: Vec<String> = match fs::read_dir(folder) {
        Ok(entries) => entries.map(|it| Ok(it?.file_name().to_string_lossy().into_owned())).collect::<Result<_>>()?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(error).context(folder.display().to_string()),
    };
    names.sort();
    let (mut all, mut bytes) = (Sha256::new(), 0);
    for name in &names {
        let content = fs::read(folder.join(name)).with_context(|| name.clone())?;
        bytes += content.len();
        all.update(format!("{name} {}\n", sha256(&content)));
    }
    Ok(json!({ "count": names.len(), "bytes": bytes, "content": hex(&all.finalize()) }))
}
