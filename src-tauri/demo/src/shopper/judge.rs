//! Asks the database what became of every order. The shop itself is not asked: it is on trial.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tokio_postgres::Client;

use crate::cluster;
use crate::place::Facts;

/// How placing an order ended, as its sender knows it.
#[derive(Debug, Clone, Copy)]
pub(super) enum Placed {
    /// The shop said that it has it.
    Acknowledged { lines: i64, id: Option<i64> },
    /// It surely was not taken.
    TurnedAway,
    /// Nobody knows.
    Unknown,
}

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Verdict {
    placed: usize,
    acknowledged: usize,
    turned_away: usize,
    unknown: usize,
    unknown_stored: usize,
    lost: Vec<String>,
    incomplete: Vec<String>,
    duplicated: Vec<String>,
    unexpected: Vec<String>,
}

/// Compares what was acknowledged with what is there.
pub(super) async fn judge(facts: &Facts, run: &str, placed: &[(String, Placed)]) -> Result<Verdict> {
    let stored = stored(&connect(facts).await?, run).await.context("the orders cannot be read")?;
    Ok(compare(placed, &stored))
}

fn compare(placed: &[(String, Placed)], stored: &HashMap<String, (i64, i64)>) -> Verdict {
    let mut verdict = Verdict { placed: placed.len(), ..Verdict::default() };
    for (key, placed) in placed {
        let there = stored.get(key).copied();
        if there.is_some_and(|(times, _)| times > 1) {
            verdict.duplicated.push(key.clone());
        }
        match *placed {
            Placed::Acknowledged { lines: expected, .. } => {
                verdict.acknowledged += 1;
                match there {
                    None => verdict.lost.push(key.clone()),
                    Some((_, lines)) if lines < expected => verdict.incomplete.push(key.clone()),
                    Some(_) => {}
                }
            }
            Placed::TurnedAway => {
                verdict.turned_away += 1;
                if there.is_some() {
                    verdict.unexpected.push(key.clone());
                }
            }
            Placed::Unknown => {
                verdict.unknown += 1;
                verdict.unknown_stored += usize::from(there.is_some());
            }
        }
    }
    verdict
}

/// For each order of this run: how often it is there, and the fewest lines that one of them has.
async fn stored(client: &Client, run: &str) -> Result<HashMap<String, (i64, i64)>> {
    let is_second: bool = client.query_one("SELECT to_regclass('order_lines') IS NULL", &[]).await?.get(0);
    let lines = match is_second {
        true => "jsonb_array_length(o.lines)::bigint",
        false => "(SELECT count(*) FROM order_lines l WHERE l.order_id = o.id)",
    };
    let query = format!(
        "SELECT client_key, count(*), min(lines) FROM (SELECT o.client_key, {lines} AS lines FROM orders o \
         WHERE o.client_key LIKE $1) o GROUP BY 1"
    );
    let rows = client.query(&query, &[&format!("shopper-{run}-%")]).await?;
    Ok(rows.iter().map(|row| (row.get(0), (row.get(1), row.get(2)))).collect())
}

/// The database may just be changing its name, or its server be coming back.
async fn connect(facts: &Facts) -> Result<Client> {
    let begun = Instant::now();
    loop {
        match cluster::admin(facts, "corner_shop").await {
            Ok(client) => return Ok(client),
            Err(error) if begun.elapsed() > Duration::from_secs(15) => {
                return Err(error.context("the shop's database cannot be asked what became of the orders"));
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}

impl Verdict {
    /// Numbers, and a few keys of whatever is wrong.
    pub(super) fn to_json(&self) -> Value {
        let some = |keys: &[String]| keys.iter().take(10).cloned().collect::<Vec<_>>();
        json!({
            "placed": self.placed,
            "acknowledged": self.acknowledged,
            "turned_away": self.turned_away,
            "unknown": self.unknown,
            "unknown_stored": self.unknown_stored,
            "lost": self.lost.len() + self.incomplete.len(),
            "duplicated": self.duplicated.len(),
            "unexpected": self.unexpected.len(),
            "wrong": {
                "lost": some(&self.lost),
                "incomplete": some(&self.incomplete),
                "duplicated": some(&self.duplicated),
                "unexpected": some(&self.unexpected),
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_wrong_is_counted() {
        let acknowledged = Placed::Acknowledged { lines: 2, id: None };
        let placed = [
            ("whole".to_owned(), acknowledged),
            ("gone".to_owned(), acknowledged),
            ("half".to_owned(), acknowledged),
            ("twice".to_owned(), acknowledged),
            ("sneaked in".to_owned(), Placed::TurnedAway),
            ("perhaps".to_owned(), Placed::Unknown),
            ("perhaps not".to_owned(), Placed::Unknown),
        ];
        let there =
            [("whole", (1, 2)), ("half", (1, 1)), ("twice", (2, 2)), ("sneaked in", (1, 1)), ("perhaps", (1, 1))];
        let stored = there.into_iter().map(|(key, found)| (key.to_owned(), found)).collect();
        let found = compare(&placed, &stored).to_json();
        let numbers =
            ["placed", "acknowledged", "turned_away", "unknown", "unknown_stored", "lost", "duplicated", "unexpected"];
        let numbers: Vec<_> = numbers.iter().map(|name| found[*name].as_u64().unwrap()).collect();
        assert_eq!(numbers, [7, 4, 1, 2, 1, 2, 1, 1]);
        assert_eq!(found["wrong"]["lost"], json!(["gone"]));
        assert_eq!(found["wrong"]["incomplete"], json!(["half"]));
    }
}
