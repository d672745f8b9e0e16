//! What is in the shop before anybody comes: always the same for the same number of orders.

use std::{fs, path::Path};

use anyhow::Result;

use crate::cluster;
use crate::place::Facts;

/// How many files customers have sent before anybody comes.
const UPLOADS: u64 = 36;

/// Fills the shop's database.
///
/// # Errors
/// The server refuses.
pub async fn fill(facts: &Facts, orders: i64) -> Result<()> {
    let mut client = cluster::admin(facts, "corner_shop").await?;
    let customers = (orders / 20).max(10);
    let transaction = client.transaction().await?;
    // Foreign keys hold by construction; checking each of them takes longer than all the rest.
    transaction.batch_execute("SET LOCAL session_replication_role = replica; SET LOCAL timezone = 'UTC'").await?;
    transaction
        .batch_execute(&format!(
            "INSERT INTO customers (email, name, city, since)
                 SELECT 'customer' || i || '@example.org', 'Customer ' || i,
                        (ARRAY['Ghent', 'Utrecht', 'Bremen', 'Aarhus', 'Łódź'])[1 + i % 5],
                        timestamptz '2024-01-01' + i * interval '7 minutes'
                 FROM generate_series(1, {customers}) i;
             INSERT INTO items (sku, name, price_cents, picture)
                 SELECT 'SKU-' || lpad(i::text, 4, '0'), 'Item ' || i, 95 + (i * 37) % 5000,
                        decode((SELECT string_agg(md5(i || '/' || n), '' ORDER BY n) FROM generate_series(1, 64) n), 'hex')
                 FROM generate_series(1, 200) i;
             INSERT INTO orders (customer_id, client_key, details, placed_at)
                 SELECT 1 + (i::bigint * 7919) % {customers}, 'seed-' || i,
                        jsonb_build_object('channel', (ARRAY['shop', 'web', 'phone'])[1 + i % 3], 'gift', i % 11 = 0,
                                           'tags', jsonb_build_array(substr(md5(i::text), 1, 6))),
                        timestamptz '2025-01-01' + i * interval '2 minutes'
                 FROM generate_series(1, {orders}) i;
             INSERT INTO order_lines (order_id, line_no, item_id, quantity, price_cents)
                 SELECT i, n, 1 + (i * 31 + n * 17) % 200, 1 + (i + n) % 4, 95 + (((i * 31 + n * 17) % 200 + 1) * 37) % 5000
                 FROM generate_series(1, {orders}) i, LATERAL generate_series(1, 1 + i % 3) n;
             INSERT INTO notes (order_id, body, written_at)
                 SELECT i, 'Please ring twice. ' || repeat(md5(i::text) || ' ', 1 + i % 4),
                        timestamptz '2025-01-01' + i * interval '2 minutes'
                 FROM generate_series(4, {orders}, 4) i;
             SELECT setval('receipt_number', 1000 + {orders})"
        ))
        .await?;
    transaction.commit().await?;
    client.batch_execute("VACUUM (ANALYZE)").await?;
    Ok(())
}

/// Fills the folder of uploads.
///
/// # Errors
/// It cannot be written.
pub fn upload(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder)?;
    for number in 1..=UPLOADS {
        let mut state = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let content: Vec<u8> = (0..1024 + number * 911)
            .map(|_| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                state.to_le_bytes()[0]
            })
            .collect();
        fs::write(folder.join(format!("letter-{number:03}.bin")), content)?;
    }
    Ok(())
}
