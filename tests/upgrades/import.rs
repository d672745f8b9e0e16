//! From Corner Shop 1.x into an empty 2.0.0, from the command line: tried, interrupted, compared, corrected, taken back.

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::fresh::{databases, exported, stop_shops_in, with_deaths};
use crate::support::{Case, World};

/// What a customer ordered, by what people know it by, before and after.
pub(crate) const ORDERS_BEFORE: &str = "SELECT md5(string_agg(r, ';' ORDER BY r)) || count(*) FROM (SELECT concat_ws('|', o.client_key, c.email, \
    c.name, o.placed_at, (SELECT string_agg(concat_ws('/', l.line_no, i.sku, l.quantity, l.price_cents), ',' ORDER BY l.line_no) \
    FROM order_lines l JOIN items i ON i.id = l.item_id WHERE l.order_id = o.id)) AS r \
    FROM orders o JOIN customers c ON c.id = o.customer_id) q";
pub(crate) const ORDERS_AFTER: &str = "SELECT md5(string_agg(r, ';' ORDER BY r)) || count(*) FROM (SELECT concat_ws('|', o.client_key, c.email, \
    c.name, o.placed_at, (SELECT string_agg(concat_ws('/', l->>'line_no', l->>'item_id', l->>'quantity', l->>'price_cents'), ',' \
    ORDER BY (l->>'line_no')::int) FROM jsonb_array_elements(o.lines) l)) AS r \
    FROM orders o JOIN customers c ON c.id = o.customer) q";
pub(crate) const ITEMS_BEFORE: &str =
    "SELECT md5(string_agg(concat_ws('|', sku, name, price_cents), ';' ORDER BY sku)) FROM items";
pub(crate) const ITEMS_AFTER: &str =
    "SELECT md5(string_agg(concat_ws('|', sku, name, (price * 100)::bigint), ';' ORDER BY sku)) FROM items";
pub(crate) const COUNTS: &str = "SELECT concat_ws(' ', (SELECT count(*) FROM customers), (SELECT count(*) FROM items), (SELECT count(*) FROM orders))";

const POINTS: &[&str] = &[
    "forward/import/laid/after_effect",
    "forward/import/tried/after_effect",
    "forward/import/0/after_intent",
    "forward/import/0/after_effect",
    "forward/import/1/after_effect",
    "forward/import/2/after_intent",
    "forward/import/2/after_effect",
];

pub(crate) fn figures(answer: &Value) -> Vec<(String, u64, u64)> {
    let number = |it: &Value| it.as_u64().unwrap();
    let entities = answer["entities"].as_array().unwrap_or_else(|| panic!("{answer:#}"));
    entities
        .iter()
        .map(|it| (it["entity"].as_str().unwrap().to_owned(), number(&it["inserted"]), number(&it["out"])))
        .collect()
}

/// Runs the command line on a terminal, where a person types `typed`; answers what stood there.
fn on_a_terminal(case: &Case<'_>, args: &[&str], typed: &str) -> String {
    let command = case.liftlock(args);
    let quoted = |it: &std::ffi::OsStr| format!("'{}'", it.to_str().unwrap().replace('\'', "'\\''"));
    let words = std::iter::once(command.get_program()).chain(command.get_args()).map(quoted);
    let mut script = Command::new("script");
    script.args(["--quiet", "--return", "--command", &words.collect::<Vec<_>>().join(" "), "/dev/null"]);
    script.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let mut child = script.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(typed.as_bytes()).unwrap();
    let ended = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&ended.stdout).into_owned();
    assert!(ended.status.success(), "{said}");
    said
}

#[test]
fn an_export_in_one_zip_comes_in_through_the_whole_command_line() {
    let world = World::with(&["2.0.0"]);
    let case = world.case();
    let own = tempfile::tempdir().unwrap();
    let zip = own.path().join("shop.zip").to_str().unwrap().to_owned();
    let forms = ["--format", "json", "--format", "xlsx", "--zip", "--bytes", "files"];
    let (code, made) = case.answer(&[&["export", "--to", &zip], &forms[..]].concat());
    assert_eq!(code, 0, "{made:#}");
    let files = made["entities"][1]["files"].to_string();
    assert!(files.contains("items-picture/ (200)"), "{files}");
    let (code, done) = case.answer(&["fresh-start", "--to", "2.0.0", "--export", &zip]);
    assert_eq!(code, 0, "{done:#}");
    // What was written until the stop was exported once more, as one zip too.
    let from = done["export"].as_str().unwrap().to_owned();
    assert!(fs::metadata(&from).unwrap().is_file(), "{from}");
    let new = databases(&world).into_iter().find(|it| it != "corner_shop").unwrap();
    let all = [("customers".to_owned(), 10, 0), ("items".to_owned(), 200, 0), ("orders".to_owned(), 200, 0)];
    let (code, tried) = case.answer(&["import", &from, "--dry-run"]);
    assert_eq!((code, figures(&tried)), (0, all.to_vec()), "{tried:#}");
    assert_eq!(world.sql(&new, COUNTS), "0 0 0");
    let (code, came) = case.answer(&["import", &from]);
    assert_eq!((code, figures(&came)), (0, all.to_vec()), "{came:#}");
    assert_eq!(world.sql(&new, ORDERS_AFTER), world.sql("corner_shop", ORDERS_BEFORE));
    assert_eq!(world.sql(&new, ITEMS_AFTER), world.sql("corner_shop", ITEMS_BEFORE));
    let left: Vec<_> = fs::read_dir(case.home.root().join("unpacked")).unwrap().collect();
    assert!(left.is_empty(), "what was laid out is gone: {left:?}");
    let (code, undone) = case.answer(&["import", "--undo"]);
    assert_eq!((code, world.sql(&new, COUNTS).as_str()), (0, "0 0 0"), "{undone:#}");
    stop_shops_in(&world, &PathBuf::from(done["folder"].as_str().unwrap()));
}

#[test]
fn what_left_the_old_shop_comes_into_the_new_one_whole_however_often_it_is_interrupted() {
    let world = World::with(&["2.0.0"]);
    let case = world.case();
    let own = tempfile::tempdir().unwrap();
    world.sql(
        "corner_shop",
        "UPDATE customers SET name = '=1+1' WHERE id = 1;\nUPDATE customers SET name = E'a\\r\\nb\"c''d' WHERE id = 2;\n\
         UPDATE customers SET name = '' WHERE id = 3;\nUPDATE customers SET name = 'NULL' WHERE id = 4;\n\
         UPDATE customers SET name = '🚀 Łódź; 大阪,' WHERE id = 5;\nUPDATE customers SET name = repeat('ä', 50000) WHERE id = 6;\n\
         UPDATE orders SET client_key = '-' || client_key WHERE id % 7 = 0;\nUPDATE items SET name = E'\\\\N' WHERE id = 9",
    );
    let folder = exported(&case, &own);
    let (code, done) = case.answer(&["fresh-start", "--to", "2.0.0", "--export", &folder]);
    assert_eq!(code, 0, "{done:#}");
    let new = databases(&world).into_iter().find(|it| it != "corner_shop").unwrap();
    let orders = world.sql("corner_shop", ORDERS_BEFORE);
    let items = world.sql("corner_shop", ITEMS_BEFORE);

    // What comes where is shown, and what has no place is said.
    let (code, shown) = case.answer(&["import", &folder, "--show-mapping"]);
    assert_eq!((code, &shown["problem"]), (0, &Value::Null), "{shown:#}");
    let behind = shown["left_behind"].to_string();
    assert!(behind.contains("Of customers there is no place for: City, Customer since."), "{behind}");
    let mapping = own.path().join("mapping.toml");
    fs::write(&mapping, shown["text"].as_str().unwrap()).unwrap();
    let mapping = mapping.to_str().unwrap();

    let (code, tried) = case.answer(&["import", &folder, "--mapping", mapping, "--dry-run"]);
    let all = [("customers".to_owned(), 10, 0), ("items".to_owned(), 200, 0), ("orders".to_owned(), 200, 0)];
    assert_eq!((code, figures(&tried)), (0, all.to_vec()), "{tried:#}");
    assert_eq!(world.sql(&new, COUNTS), "0 0 0", "a trial changes nothing");

    // Killed at every point it goes on, and nothing comes in twice.
    let died = with_deaths(&case, &["import", &folder, "--mapping", mapping], POINTS);
    assert_eq!(died, POINTS.len());
    assert_eq!(world.sql(&new, COUNTS), "10 200 200");
    assert_eq!(world.sql(&new, ORDERS_AFTER), orders);
    assert_eq!(world.sql(&new, ITEMS_AFTER), items);
    assert_eq!(world.sql(&new, "SELECT min(id) FROM orders"), "1", "no number was used up on the way");
    assert_eq!(world.version().as_deref(), Some("2.0.0"));

    // Taken back, exactly; and once more with rows that cannot come in.
    let (code, undone) = case.answer(&["import", "--undo"]);
    assert_eq!(code, 0, "{undone:#}");
    assert_eq!(world.sql(&new, COUNTS), "0 0 0");
    assert_eq!(world.sql(&new, "SELECT count(*) FROM pg_namespace WHERE nspname = 'liftlock_import'"), "0");
    let (code, nothing) = case.answer(&["import", "--undo"]);
    assert_eq!((code, &nothing["error"]["class"]), (3, &Value::from("no_import")));

    let customers = PathBuf::from(&folder).join("customers.csv");
    let text = fs::read_to_string(&customers).unwrap();
    let line = text.split("customer7@").next().unwrap().matches('\n').count() + 1;
    fs::write(&customers, text.replacen(",customer7@example.org,", ",,", 1)).unwrap();
    let (code, refused) = case.answer(&["import", &folder]);
    let found = figures(&refused);
    assert_eq!((code, &refused["trial"], found[0].2, found[2].2), (1, &Value::Bool(true), 1, 20), "{refused:#}");
    let trouble = &refused["entities"][0]["troubles"][0];
    assert_eq!((&trouble["line"], &trouble["column"]), (&Value::from(line), &Value::from("email")), "{trouble:#}");
    assert_eq!(world.sql(&new, COUNTS), "0 0 0", "all of it, or what a person agrees to");
    let (code, partly) = case.answer(&["import", &folder, "--partly"]);
    assert_eq!((code, figures(&partly)[2].1), (0, 180), "{partly:#}");
    let rest = PathBuf::from(partly["rest"].as_str().unwrap());
    let left = fs::read_to_string(rest.join("customers.csv")).unwrap();
    assert_eq!(left.lines().count(), 2, "{left}");
    assert!(left.contains("Why it did not come in") && left.contains("not-null"), "{left}");
    fs::write(rest.join("customers.csv"), left.replacen(",Customer 7,,", ",Customer 7,customer7@example.org,", 1))
        .unwrap();
    let (code, corrected) = case.answer(&["import", rest.to_str().unwrap()]);
    assert_eq!((code, figures(&corrected)[0].1, figures(&corrected).last().unwrap().1), (0, 1, 20), "{corrected:#}");
    assert_eq!(world.sql(&new, ORDERS_AFTER), orders);

    // Rows that are there already are asked about: on a terminal one by one, elsewhere nothing comes in before it is said.
    let (code, _) = case.answer(&["import", "--undo"]);
    assert_eq!(code, 0);
    assert!(world.sql(&new, COUNTS).starts_with("9 "), "only the newest import was taken back");
    let (code, _) = case.answer(&["import", "--undo"]);
    assert_eq!((code, world.sql(&new, COUNTS).as_str()), (0, "0 0 0"));
    fs::write(&customers, &text).unwrap();
    world.sql(
        &new,
        "INSERT INTO customers (email, name) VALUES ('customer7@example.org', 'Mine'), ('customer8@example.org', 'My own'), \
         ('customer9@example.org', (SELECT 'Customer 9'))",
    );
    let (code, refused) = case.answer(&["import", &folder]);
    assert_eq!((code, &refused["error"]["class"]), (3, &Value::from("duplicates_unanswered")), "{refused:#}");
    assert!(refused["error"]["message"].as_str().unwrap().contains("2 of customers"), "{refused:#}");
    let (code, tried) = case.answer(&["import", &folder, "--dry-run"]);
    let pairs = tried["entities"][0]["pairs"].as_array().unwrap();
    // As nothing is edited now, the file for programs is read.
    let for_programs = fs::read_to_string(PathBuf::from(&folder).join("customers.jsonl")).unwrap();
    let line = for_programs.lines().position(|it| it.contains("customer7@")).unwrap() + 1;
    assert_eq!((code, pairs.len(), &pairs[0]["line"]), (0, 2, &Value::from(line)), "{tried:#}");
    assert!(
        pairs[0]["fields"].to_string().contains(r#""column":"name","there":"Mine","comes":"Customer 7""#),
        "{pairs:#?}"
    );
    let said = on_a_terminal(&case, &["import", &folder], "what\nt\nk\n");
    assert!(
        said.contains("Customer 7") && said.contains("Mine") && said.contains("of customers is there already"),
        "{said}"
    );
    let names = "SELECT string_agg(name, ',' ORDER BY email) FROM customers WHERE email ~ '^customer[789]@'";
    assert_eq!(world.sql(&new, names), "Customer 7,My own,Customer 9", "{said}");
    let (code, undone) = case.answer(&["import", "--undo"]);
    assert_eq!((code, world.sql(&new, names).as_str()), (0, "Mine,My own,Customer 9"), "{undone:#}");
    // One word for all that are left.
    let said = on_a_terminal(&case, &["import", &folder], "T\n");
    assert_eq!(world.sql(&new, names), "Customer 7,Customer 8,Customer 9", "{said}");
    assert_eq!(world.sql(&new, ORDERS_AFTER), orders);
    stop_shops_in(&world, &PathBuf::from(done["folder"].as_str().unwrap()));
}
