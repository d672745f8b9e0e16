//! From data in MariaDB into Corner Shop 2.0.0 on PostgreSQL, from the command line: exported, begun empty, brought in, and
//! compared by what people know things by.
//!
//! The shop that stands aside runs on PostgreSQL as every Corner Shop does; what is exported of it lies in MariaDB, seeded here.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use crate::fresh::{databases, exported, stop_shops_in};
use crate::mariadb_server::{Mariadb, PASSWORD, USER};
use crate::support::watch::Eavesdropper;
use crate::support::{Case, World, files_below};

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
    INSERT INTO customers (id, email, name, city, since) SELECT seq, concat('customer', seq, '@example.org'), concat('Customer ', seq), '', '2020-01-01' FROM seq_1_to_100;
    UPDATE customers SET name = '=1+1' WHERE id = 1;
    UPDATE customers SET name = 'a\\r\\nb\"c''d' WHERE id = 2;
    UPDATE customers SET name = '' WHERE id = 3;
    UPDATE customers SET name = 'NULL' WHERE id = 4;
    UPDATE customers SET name = '🚀 Łódź; 大阪,' WHERE id = 5;
    UPDATE customers SET name = repeat('ä', 50000) WHERE id = 6;
    INSERT INTO items SELECT seq, concat('SKU-', seq), concat('Item ', seq), seq * 7 + 3, unhex(lpad(hex(seq), 8, '0')) FROM seq_1_to_50;
    UPDATE items SET name = '\\\\N' WHERE id = 9;
    UPDATE items SET price_cents = 999999999999 WHERE id = 10;
    INSERT INTO orders (id, customer_id, client_key, details, placed_at) SELECT seq, 1 + seq MOD 100, concat(if(seq MOD 7, '', '-'), 'key ', seq), \
      '{\"channel\": \"web\"}', date_add('2026-03-28 23:30:00.000001', INTERVAL seq MINUTE) FROM seq_1_to_2000;
    INSERT INTO order_lines SELECT seq, 1, 1 + seq MOD 50, 1 + seq MOD 9, 100 + seq FROM seq_1_to_2000;
    INSERT INTO order_lines SELECT seq, 2, 1 + (seq + 1) MOD 50, 1, 5 FROM seq_1_to_500;
    CREATE TABLE secrets (id INT PRIMARY KEY, token TEXT);";

const ORDERS_BEFORE: &str = "SET time_zone = '+00:00', group_concat_max_len = 100000000; SELECT md5(group_concat(r ORDER BY r SEPARATOR ';')), count(*) FROM \
    (SELECT concat_ws('|', o.client_key, c.email, md5(c.name), o.placed_at, (SELECT group_concat(concat_ws('/', l.line_no, i.sku, l.quantity, l.price_cents) \
    ORDER BY l.line_no SEPARATOR ',') FROM order_lines l JOIN items i ON i.id = l.item_id WHERE l.order_id = o.id)) COLLATE utf8mb4_bin AS r \
    FROM orders o JOIN customers c ON c.id = o.customer_id) q";
const ORDERS_AFTER: &str = "SELECT md5(string_agg(r, ';' ORDER BY r COLLATE \"C\")) || E'\\t' || count(*) FROM (SELECT concat_ws('|', o.client_key, c.email, \
    md5(c.name), to_char(o.placed_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US'), (SELECT string_agg(concat_ws('/', l->>'line_no', l->>'item_id', \
    l->>'quantity', l->>'price_cents'), ',' ORDER BY (l->>'line_no')::int) FROM jsonb_array_elements(o.lines) l)) AS r \
    FROM orders o JOIN customers c ON c.id = o.customer) q";
const ITEMS_BEFORE: &str = "SET group_concat_max_len = 1000000; SELECT md5(group_concat(concat_ws('|', sku, name, price_cents) ORDER BY sku SEPARATOR ';')) FROM items";
const ITEMS_AFTER: &str = "SELECT md5(string_agg(concat_ws('|', sku, name, (price * 100)::bigint), ';' ORDER BY sku COLLATE \"C\")) FROM items";

/// The shop with its data in MariaDB, as a profile says it.
fn of_mariadb(profile: String) -> String {
    let source = "[[sources]]\nname = \"old-database\"\nkind = \"mysql\"\nurl = { file = \".env\", key = \"OLD_DATABASE_URL\" }\nbefore = \"2.0.0\"\n\n";
    let (before, exports) = profile.split_once("[[exports]]").unwrap();
    let exports = format!("[[exports]]{exports}").replace("[[exports]]\n", "[[exports]]\nstore = \"old-database\"\n");
    format!("{before}{source}{exports}")
}

fn escaped(password: &str) -> String {
    password.bytes().map(|it| format!("%{it:02X}")).collect()
}

fn moved_in(case: &Case<'_>, args: &[&str]) -> Value {
    let (code, done) = case.answer(args);
    assert_eq!(code, 0, "{args:?}: {done:#}");
    done
}

/// What an export holds: entities with their rows, and what they are from.
fn held(folder: &str) -> Vec<(String, u64, bool)> {
    let text = fs::read(PathBuf::from(folder).join("manifest.json")).unwrap();
    let manifest: Value = serde_json::from_slice(&text).unwrap();
    let is_of_mariadb = |it: &Value| it["source"].as_str().unwrap().starts_with("MariaDB 1");
    let one = |it: &Value| (it["entity"].as_str().unwrap().to_owned(), it["rows"].as_u64().unwrap(), is_of_mariadb(it));
    manifest["entities"].as_array().unwrap().iter().map(one).collect()
}

fn of_mariadb_with(orders: u64) -> Vec<(String, u64, bool)> {
    let all = [("customers", 100), ("items", 50), ("orders", orders), ("order lines", 2500)];
    all.map(|(name, rows)| (name.to_owned(), rows, true)).into()
}

#[test]
fn what_lay_in_mariadb_comes_into_postgresql_with_nothing_missing_and_nothing_altered() {
    let server = Mariadb::start();
    let name = server.database(OLD);
    let world = World::with(&["1.1.0", "2.0.0"]);
    let env = world.shop.join(".env");
    let url = format!("mysql://{USER}:{}@127.0.0.1:{}/{name}", escaped(PASSWORD), server.port);
    let text = fs::read_to_string(&env).unwrap();
    fs::write(&env, format!("{text}OLD_DATABASE_URL={url}\n")).unwrap();
    let case = world.case_with(of_mariadb);
    let own = tempfile::tempdir().unwrap();
    let secrets = [PASSWORD.to_owned(), escaped(PASSWORD)];
    let eavesdropper = Eavesdropper::on(&secrets);

    // Its data would be in no backup: it is not updated in place.
    let (code, refused) = case.answer(&["upgrade", "--to", "1.1.0"]);
    assert!(code != 0 && refused.to_string().contains("source_not_backed_up"), "{refused:#}");
    assert_eq!(world.version().as_deref(), Some("1.0.0"));

    let folder = exported(&case, &own);
    assert_eq!(held(&folder), of_mariadb_with(2000), "and nothing of PostgreSQL");

    // Something comes meanwhile: nobody can tell, so it is exported again after the stop.
    server.sql(&name, "INSERT INTO orders (id, customer_id, client_key, details, placed_at) VALUES (2001, 5, 'the last', '{}', '2026-04-01 12:00:00')");
    let done = moved_in(&case, &["fresh-start", "--to", "2.0.0", "--export", &folder]);
    assert_eq!(done["state"], "complete", "{done:#}");
    assert!(done["says"].to_string().contains("“old-database” is in no backup"), "{done:#}");
    let last = done["export"].as_str().unwrap();
    assert_ne!(last, folder);
    assert_eq!(held(last), of_mariadb_with(2001), "the same, and not what is called so in PostgreSQL");
    let new = databases(&world).into_iter().find(|it| it != "corner_shop").unwrap();

    let orders = server.sql(&name, ORDERS_BEFORE);
    assert!(orders.ends_with("\t2001"), "{orders}");
    let tried = moved_in(&case, &["import", last, "--dry-run"]);
    assert_eq!(tried["trial"], true, "{tried:#}");
    let came = moved_in(&case, &["import", last]);
    assert_eq!(world.sql(&new, ORDERS_AFTER), orders, "{came:#}");
    assert_eq!(world.sql(&new, ITEMS_AFTER), server.sql(&name, ITEMS_BEFORE));
    let customers = "SELECT count(*) FROM customers";
    assert_eq!(world.sql(&new, customers), server.sql(&name, customers));
    assert_eq!(world.version().as_deref(), Some("2.0.0"));

    // The new one has nothing to do with it, and what nobody can keep from being written to is not looked at.
    let (_, at_new) =
        case.answer(&["export", done["successor"].as_str().unwrap(), "--to", own.path().join("new").to_str().unwrap()]);
    let tables: Vec<_> = at_new["entities"]
        .as_array()
        .unwrap_or_else(|| panic!("{at_new:#}"))
        .iter()
        .map(|it| it["entity"].clone())
        .collect();
    assert!(tables.contains(&Value::from("schema_migrations")), "its own tables: {at_new:#}");
    let (_, look) = case.answer(&["aside", "look", "corner-shop"]);
    assert_eq!(look["error"]["class"], "cannot_look", "{look:#}");

    // The password stands in no file of ours and in no command line.
    for file in files_below(case.home.root()) {
        let bytes = fs::read(&file).unwrap_or_default();
        let tells = |secret: &String| bytes.windows(secret.len()).any(|it| it == secret.as_bytes());
        assert!(!secrets.iter().any(tells), "{} holds the password", file.display());
    }
    assert_eq!(eavesdropper.heard(), Vec::<String>::new());
    stop_shops_in(&world, &PathBuf::from(done["folder"].as_str().unwrap()));
}
