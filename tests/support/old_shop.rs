//! The data of a Corner Shop before 2.0.0 that lie in MariaDB: what is in them, how a profile names them, and what is
//! compared when they have come into PostgreSQL.

#![allow(dead_code, clippy::unwrap_used, reason = "shared by several test binaries, which use a part each")]

use crate::mariadb_server::{Mariadb, PASSWORD, USER};

/// The data of an old shop with so many orders: people of two languages, and every value that is hard to carry.
pub(crate) fn old(orders: u64) -> String {
    OLD.replace("ORDERS", &orders.to_string())
}

const OLD: &str = "SET time_zone = '+02:00';
    CREATE TABLE customers (id BIGINT UNSIGNED PRIMARY KEY, email VARCHAR(200) NOT NULL UNIQUE, name LONGTEXT NOT NULL, city VARCHAR(100), \
      since TIMESTAMP, newsletter BOOLEAN NOT NULL DEFAULT 0);
    CREATE TABLE items (id BIGINT UNSIGNED PRIMARY KEY, sku VARCHAR(40) NOT NULL UNIQUE, name TEXT NOT NULL, price_cents BIGINT NOT NULL, \
      picture LONGBLOB NOT NULL);
    CREATE TABLE orders (id BIGINT UNSIGNED PRIMARY KEY, number VARCHAR(20) AS (concat('CS-', lpad(id, 8, '0'))) STORED, \
      customer_id BIGINT UNSIGNED NOT NULL, client_key VARCHAR(60) NOT NULL, details JSON NOT NULL, placed_at TIMESTAMP(6) NOT NULL, \
      FOREIGN KEY (customer_id) REFERENCES customers (id));
    CREATE TABLE order_lines (order_id BIGINT UNSIGNED NOT NULL, line_no INT NOT NULL, item_id BIGINT UNSIGNED NOT NULL, quantity INT NOT NULL, \
      price_cents BIGINT NOT NULL, PRIMARY KEY (order_id, line_no), FOREIGN KEY (order_id) REFERENCES orders (id), \
      FOREIGN KEY (item_id) REFERENCES items (id));
    INSERT INTO customers (id, email, name, city, since) SELECT seq, concat('customer', seq, '@example.org'), if(seq MOD 2, concat('Frau Öztürk-Weiß ', seq), concat('山田 太郎 ', seq)), '', '2020-01-01' FROM seq_1_to_100;
    UPDATE customers SET name = '=1+1' WHERE id = 1;
    UPDATE customers SET name = 'a\\r\\nb\"c''d' WHERE id = 2;
    UPDATE customers SET name = '' WHERE id = 3;
    UPDATE customers SET name = 'NULL' WHERE id = 4;
    UPDATE customers SET name = '🚀 Łódź; 大阪,' WHERE id = 5;
    UPDATE customers SET name = repeat('ä', 50000) WHERE id = 6;
    INSERT INTO items SELECT seq, concat('SKU-', seq), if(seq MOD 2, concat('Käsespätzle ', seq), concat('味噌ラーメン ', seq)), seq * 7 + 3, unhex(lpad(hex(seq), 8, '0')) FROM seq_1_to_50;
    UPDATE items SET name = '\\\\N' WHERE id = 9;
    UPDATE items SET price_cents = 999999999999 WHERE id = 10;
    INSERT INTO orders (id, customer_id, client_key, details, placed_at) SELECT seq, 1 + seq MOD 100, concat(if(seq MOD 7, '', '-'), 'key ', seq), \
      '{\"channel\": \"web\"}', date_add('2026-03-28 23:30:00.000001', INTERVAL seq MINUTE) FROM seq_1_to_ORDERS;
    INSERT INTO order_lines SELECT seq, 1, 1 + seq MOD 50, 1 + seq MOD 9, 100 + seq MOD 9000 FROM seq_1_to_ORDERS;
    INSERT INTO order_lines SELECT seq, 2, 1 + (seq + 1) MOD 50, 1, 5 FROM seq_1_to_500;
    CREATE TABLE secrets (id INT PRIMARY KEY, token TEXT);";

/// Every order with what people know it by: a hash, and how many.
pub(crate) const ORDERS_BEFORE: &str = "SET time_zone = '+00:00', group_concat_max_len = 100000000; SELECT md5(group_concat(r ORDER BY r SEPARATOR ';')), count(*) FROM \
    (SELECT concat_ws('|', o.client_key, c.email, md5(c.name), o.placed_at, (SELECT group_concat(concat_ws('/', l.line_no, i.sku, l.quantity, l.price_cents) \
    ORDER BY l.line_no SEPARATOR ',') FROM order_lines l JOIN items i ON i.id = l.item_id WHERE l.order_id = o.id)) COLLATE utf8mb4_bin AS r \
    FROM orders o JOIN customers c ON c.id = o.customer_id) q";
/// The same of a shop of 2.0.0.
pub(crate) const ORDERS_AFTER: &str = "SELECT md5(string_agg(r, ';' ORDER BY r COLLATE \"C\")) || E'\\t' || count(*) FROM (SELECT concat_ws('|', o.client_key, c.email, \
    md5(c.name), to_char(o.placed_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US'), (SELECT string_agg(concat_ws('/', l->>'line_no', l->>'item_id', \
    l->>'quantity', l->>'price_cents'), ',' ORDER BY (l->>'line_no')::int) FROM jsonb_array_elements(o.lines) l)) AS r \
    FROM orders o JOIN customers c ON c.id = o.customer) q";
/// Every item.
pub(crate) const ITEMS_BEFORE: &str = "SET group_concat_max_len = 1000000; SELECT md5(group_concat(concat_ws('|', sku, name, price_cents) ORDER BY sku SEPARATOR ';')) FROM items";
/// The same of a shop of 2.0.0.
pub(crate) const ITEMS_AFTER: &str = "SELECT md5(string_agg(concat_ws('|', sku, name, (price * 100)::bigint), ';' ORDER BY sku COLLATE \"C\")) FROM items";

/// The shop with its data in MariaDB, as a profile says it.
pub(crate) fn of_mariadb(profile: &str) -> String {
    let source = "[[sources]]\nname = \"old-database\"\nkind = \"mysql\"\nurl = { file = \".env\", key = \"OLD_DATABASE_URL\" }\nbefore = \"2.0.0\"\n\n";
    let (before, exports) = profile.split_once("[[exports]]").unwrap();
    let exports = format!("[[exports]]{exports}").replace("[[exports]]\n", "[[exports]]\nstore = \"old-database\"\n");
    format!("{before}{source}{exports}")
}

/// The line of the shop's settings that tells where its old data are.
pub(crate) fn setting(server: &Mariadb, database: &str) -> String {
    format!("OLD_DATABASE_URL=mysql://{USER}:{}@127.0.0.1:{}/{database}\n", escaped(PASSWORD), server.port)
}

/// As it stands in an address.
pub(crate) fn escaped(password: &str) -> String {
    password.bytes().map(|it| format!("%{it:02X}")).collect()
}
