//! What was entered with a new version comes into the old one that was gone back to: new rows under their own keys, changed
//! ones where a person says so, and nothing twice.

use std::path::Path;

use serde_json::Value;

use crate::support::{Expected, World};

const CONTENT: &str = "SELECT md5(string_agg(r, ';' ORDER BY r)) FROM (SELECT concat_ws('|', o.id, o.client_key, c.id, c.name, c.email, \
    (SELECT string_agg(concat_ws('/', line_no, item_id, quantity, price_cents), ',' ORDER BY line_no) FROM order_lines l \
    WHERE l.order_id = o.id)) AS r FROM orders o JOIN customers c ON c.id = o.customer_id) q";

fn figures<'v>(answer: &'v Value, entity: &str) -> (u64, u64, u64, &'v Value) {
    let entities = answer["entities"].as_array().unwrap_or_else(|| panic!("{answer:#}"));
    let it = entities.iter().find(|it| it["entity"] == entity).unwrap_or_else(|| panic!("{entity}: {answer:#}"));
    (it["inserted"].as_u64().unwrap(), it["updated"].as_u64().unwrap(), it["asked"].as_u64().unwrap(), it)
}

#[test]
fn what_was_entered_since_an_update_comes_into_the_version_that_was_gone_back_to() {
    let world = World::with(&["1.1.0"]);
    let case = world.case();
    case.run("1.1.0", &[], &Expected::complete("1.1.0"));
    let before = world.sql("corner_shop", "SELECT count(*) FROM orders");
    world.sql(
        "corner_shop",
        "INSERT INTO customers (email, name, city) VALUES ('new@example.org', E'=new\\r\\n', 'Ghent');\n\
         INSERT INTO orders (customer_id, client_key) SELECT id, 'since-' || n FROM customers, generate_series(1, 14) n \
         WHERE email = 'new@example.org';\n\
         INSERT INTO order_lines (order_id, line_no, item_id, quantity, price_cents) SELECT id, 1, 1, 2, 100 FROM orders \
         WHERE client_key LIKE 'since-%';\n\
         INSERT INTO notes (order_id, body) SELECT id, 'since' FROM orders WHERE client_key = 'since-1';\n\
         UPDATE customers SET name = 'Changed ' || id WHERE id <= 3",
    );
    let content = world.sql("corner_shop", CONTENT);
    let (code, back) = case.answer(&["rollback", "--save-new-work", "--yes"]);
    assert_eq!((code, world.version().as_deref()), (0, Some("1.0.0")), "{back:#}");
    assert_eq!(world.sql("corner_shop", "SELECT count(*) FROM orders"), before);
    let saved = case.engine.saved_work(&case.name).unwrap().unwrap();
    let saved = saved.to_str().unwrap();

    // Nothing before it is said what becomes of the changed ones.
    let (code, tried) = case.answer(&["import", saved, "--same-rows", "--dry-run"]);
    assert_eq!(code, 0, "{tried:#}");
    let (new, _, changed, customers) = figures(&tried, "customers");
    assert_eq!((new, changed), (1, 3), "{tried:#}");
    assert!(customers["pairs"].to_string().contains("Changed 1"), "{customers:#}");
    let (new, _, changed, _) = figures(&tried, "orders");
    assert_eq!((new, changed), (14, 0), "{tried:#}");
    assert_eq!((figures(&tried, "order lines").0, figures(&tried, "notes").0), (14, 1), "{tried:#}");
    let notes = tried["notes"].to_string();
    assert!(notes.contains("Rows that were removed in the other version are not removed here."), "{notes}");
    let (code, asked) = case.answer(&["import", saved, "--same-rows"]);
    assert_eq!((code, &asked["error"]["class"]), (3, &Value::from("duplicates_unanswered")), "{asked:#}");
    assert_eq!(world.sql("corner_shop", "SELECT count(*) FROM orders"), before);

    let (code, came) = case.answer(&["import", saved, "--same-rows", "--duplicates", "update"]);
    assert_eq!((code, figures(&came, "customers").1), (0, 3), "{came:#}");
    assert_eq!(world.sql("corner_shop", CONTENT), content, "the same orders, under the same numbers");
    // The shop counts on behind what came in.
    let next = "INSERT INTO orders (customer_id, client_key) VALUES (1, 'next') RETURNING id = (SELECT max(id) + 1 FROM orders)";
    assert_eq!(world.sql("corner_shop", next).lines().next(), Some("t"));
    world.sql("corner_shop", "DELETE FROM orders WHERE client_key = 'next'");

    let (code, undone) = case.answer(&["import", "--undo"]);
    assert_eq!(code, 0, "{undone:#}");
    assert_eq!(world.sql("corner_shop", "SELECT count(*) FROM orders"), before);
    assert_eq!(world.sql("corner_shop", "SELECT count(*) FROM customers WHERE name LIKE 'Changed%'"), "0");
    assert!(Path::new(saved).is_dir(), "the files stay");
}
