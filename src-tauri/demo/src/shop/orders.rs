//! Taking an order: all of it in one transaction, or none of it.

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::pool::{Pool, explain};

/// An order as it comes in.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewOrder {
    /// Made by whoever places the order; kept, and never used to merge two orders into one.
    client_key: String,
    customer_id: i64,
    #[serde(default = "shop")]
    channel: String,
    lines: Vec<NewLine>,
    #[serde(default)]
    note: Option<String>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct NewLine {
    item_id: i64,
    quantity: i32,
}

fn shop() -> String {
    "shop".to_owned()
}

/// How taking an order ended.
#[derive(Debug)]
pub(super) enum Taken {
    /// It is stored.
    Stored { id: i64, number: String },
    /// It makes no sense.
    Refused(String),
}

/// Why an order was not taken, or perhaps was.
#[derive(Debug)]
pub(super) enum Trouble {
    /// It is surely not stored.
    NotStored(anyhow::Error),
    /// The commit did not answer: nobody knows.
    Unknown(anyhow::Error),
}

/// Stores an order with its lines and its note.
pub(super) async fn take(pool: &Pool, second_shop: bool, order: &NewOrder) -> Result<Taken, Trouble> {
    let mut client = pool.lend().await.map_err(Trouble::NotStored)?;
    let transaction = client.transaction().await.map_err(|it| Trouble::NotStored(explain(it)))?;
    let stored = if second_shop { insert_second(&transaction, order).await } else { insert(&transaction, order).await };
    match stored.map_err(Trouble::NotStored)? {
        Taken::Refused(why) => Ok(Taken::Refused(why)),
        taken @ Taken::Stored { .. } => {
            transaction.commit().await.map_err(|it| Trouble::Unknown(explain(it)))?;
            Ok(taken)
        }
    }
}

async fn insert(transaction: &tokio_postgres::Transaction<'_>, order: &NewOrder) -> Result<Taken> {
    let details = serde_json::json!({ "channel": order.channel, "lines": order.lines.len() });
    let row = transaction
        .query_opt(
            "INSERT INTO orders (customer_id, client_key, details) \
             SELECT id, $2, $3 FROM customers WHERE id = $1 RETURNING id, number",
            &[&order.customer_id, &order.client_key, &details],
        )
        .await
        .map_err(explain)?;
    let Some(row) = row else { return Ok(Taken::Refused(format!("no customer {}", order.customer_id))) };
    let id: i64 = row.get(0);
    let items: Vec<i64> = order.lines.iter().map(|line| line.item_id).collect();
    let quantities: Vec<i32> = order.lines.iter().map(|line| line.quantity).collect();
    let lines = transaction
        .execute(
            "INSERT INTO order_lines (order_id, line_no, item_id, quantity, price_cents) \
             SELECT $1, line.no::integer, item.id, line.quantity, item.price_cents \
             FROM unnest($2::bigint[], $3::integer[]) WITH ORDINALITY AS line (item_id, quantity, no) \
             JOIN items item ON item.id = line.item_id",
            &[&id, &items, &quantities],
        )
        .await
        .map_err(explain)?;
    if lines == 0 || usize::try_from(lines)? != order.lines.len() {
        return Ok(Taken::Refused("an order needs lines, each with an item that there is".to_owned()));
    }
    if let Some(note) = &order.note {
        transaction
            .execute("INSERT INTO notes (order_id, body) VALUES ($1, $2)", &[&id, note])
            .await
            .map_err(explain)?;
    }
    Ok(Taken::Stored { id, number: row.get(1) })
}

async fn insert_second(transaction: &tokio_postgres::Transaction<'_>, order: &NewOrder) -> Result<Taken> {
    let lines = serde_json::to_value(&order.lines)?;
    let row = transaction
        .query_one("INSERT INTO orders (client_key, lines) VALUES ($1, $2) RETURNING id", &[&order.client_key, &lines])
        .await
        .map_err(explain)
        .context("storing the order")?;
    let id: i64 = row.get(0);
    Ok(Taken::Stored { id, number: format!("CS2-{id:08}") })
}
