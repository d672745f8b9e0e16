//! From data in MariaDB into Corner Shop 2.0.0 on PostgreSQL, from the command line: exported, begun empty, brought in, and
//! compared by what people know things by.
//!
//! The shop that stands aside runs on PostgreSQL as every Corner Shop does; what is exported of it lies in MariaDB, seeded here.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use crate::fresh::{databases, exported, stop_shops_in};
use crate::mariadb_server::{Mariadb, PASSWORD};
use crate::old_shop::{ITEMS_AFTER, ITEMS_BEFORE, ORDERS_AFTER, ORDERS_BEFORE, escaped, of_mariadb, old, setting};
use crate::support::watch::Eavesdropper;
use crate::support::{Case, World, files_below};

/// As many as a small shop has; with 200,000 it took three minutes when it was tried.
const ORDERS: u64 = 20_000;

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
    let all = [("customers", 100), ("items", 50), ("orders", orders), ("order lines", ORDERS + 500)];
    all.map(|(name, rows)| (name.to_owned(), rows, true)).into()
}

#[test]
fn what_lay_in_mariadb_comes_into_postgresql_with_nothing_missing_and_nothing_altered() {
    let server = Mariadb::start();
    let name = server.database(&old(ORDERS));
    let world = World::with(&["1.1.0", "2.0.0"]);
    let env = world.shop.join(".env");
    let text = fs::read_to_string(&env).unwrap();
    fs::write(&env, format!("{text}{}", setting(&server, &name))).unwrap();
    let case = world.case_with(|profile| of_mariadb(&profile));
    let own = tempfile::tempdir().unwrap();
    let secrets = [PASSWORD.to_owned(), escaped(PASSWORD)];
    let eavesdropper = Eavesdropper::on(&secrets);

    // Its data would be in no backup: it is not updated in place.
    let (code, refused) = case.answer(&["upgrade", "--to", "1.1.0"]);
    assert!(code != 0 && refused.to_string().contains("source_not_backed_up"), "{refused:#}");
    assert_eq!(world.version().as_deref(), Some("1.0.0"));

    let folder = exported(&case, &own);
    assert_eq!(held(&folder), of_mariadb_with(ORDERS), "and nothing of PostgreSQL");

    // Something comes meanwhile: nobody can tell, so it is exported again after the stop.
    server.sql(&name, "INSERT INTO orders (id, customer_id, client_key, details, placed_at) VALUES (999999, 5, 'the last', '{}', '2026-04-01 12:00:00')");
    let done = moved_in(&case, &["fresh-start", "--to", "2.0.0", "--export", &folder]);
    assert_eq!(done["state"], "complete", "{done:#}");
    assert!(done["says"].to_string().contains("“old-database” is in no backup"), "{done:#}");
    let last = done["export"].as_str().unwrap();
    assert_ne!(last, folder);
    assert_eq!(held(last), of_mariadb_with(ORDERS + 1), "the same, and not what is called so in PostgreSQL");
    let new = databases(&world).into_iter().find(|it| it != "corner_shop").unwrap();

    let orders = server.sql(&name, ORDERS_BEFORE);
    assert!(orders.ends_with(&format!("\t{}", ORDERS + 1)), "{orders}");
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
