//! From Corner Shop 1.x into 2.0.0 through the shop's own interface, from the command line: tried, interrupted, compared by
//! what people know things by, corrected, taken back; with the shop refusing, stopping and asking who is there.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use crate::fresh::{databases, exported, stop_shops_in, with_deaths};
use crate::import::{COUNTS, ITEMS_AFTER, ITEMS_BEFORE, ORDERS_AFTER, ORDERS_BEFORE, figures};
use crate::struck_leaving::struck;
use crate::support::watch::Eavesdropper;
use crate::support::{Case, Dice, World, files_below, times};

const KEY: &str = "open-sesame-and-more";

/// The profile of the shop with what its second version takes over HTTP.
pub(crate) fn through_the_shop(profile: String) -> String {
    const API: &str = r#"[api]
url = "http://127.0.0.1:{port}"
auth = { bearer = { file = ".env", key = "SHOP_API_KEY" } }
since = "2.0.0"

"#;
    const CUSTOMERS: &str = r#"
[exports.api]
key = ["email"]
create = { path = "/api/v2/customers" }
check = { path = "/api/v2/customers/check" }
find = { path = "/api/v2/customers?email={email}", at = "found" }
update = { path = "/api/v2/customers/{id}" }
remove = { path = "/api/v2/customers/{id}" }
fields = [{ field = "email", required = true }, { field = "name" }]
"#;
    const ITEMS: &str = r#"
[exports.api]
id = "sku"
key = ["sku"]
create = { path = "/api/v2/items" }
find = { path = "/api/v2/items/{sku}" }
update = { path = "/api/v2/items/{id}" }
remove = { path = "/api/v2/items/{id}" }
fields = [{ field = "sku", required = true }, { field = "name" }, { field = "price", type = "number" }]
"#;
    const ORDERS: &str = r#"
[exports.api]
key = ["client_key"]
create = { path = "/api/v2/orders" }
find = { path = "/api/v2/orders?client_key={client_key}", at = "found" }
remove = { path = "/api/v2/orders/{id}" }
fields = [
    { field = "customer", refers = "customers", required = true },
    { field = "client_key", required = true },
    { field = "placed_at", type = "time" },
    { field = "lines", type = "list", of = "order lines", fields = [
        { field = "line_no", type = "integer" },
        { field = "item_id", refers = "items", required = true },
        { field = "quantity", type = "integer", required = true },
        { field = "price_cents", type = "integer" },
    ] },
]
"#;
    let mut parts = profile.split("[[exports]]").map(str::to_owned);
    let head = parts.next().unwrap();
    let told = parts.map(|part| {
        let own = [("\"customers\"", CUSTOMERS), ("\"items\"", ITEMS), ("\"orders\"", ORDERS)];
        let own = own.iter().find(|(name, _)| part.contains(&format!("entity = {name}\ntable = {name}")));
        format!("[[exports]]{part}{}\n", own.map_or("", |it| it.1))
    });
    let told: String = told.collect();
    format!("{head}{API}{told}")
}

/// An installation of 2.0.0 beside the old one, and the export.
pub(crate) struct Begun {
    pub(crate) folder: String,
    pub(crate) new: String,
    pub(crate) place: PathBuf,
}

pub(crate) fn begun(world: &World, case: &Case<'_>, own: &tempfile::TempDir) -> Begun {
    let env = world.shop.join(".env");
    let text = fs::read_to_string(&env).unwrap();
    fs::write(&env, format!("{text}SHOP_API_KEY={KEY}\n")).unwrap();
    let folder = exported(case, own);
    let (code, done) = case.answer(&["fresh-start", "--to", "2.0.0", "--export", &folder]);
    assert_eq!(code, 0, "{done:#}");
    let new = databases(world).into_iter().find(|it| it != "corner_shop").unwrap();
    Begun { folder, new, place: PathBuf::from(done["folder"].as_str().unwrap()) }
}

const RESERVED: &str = "SELECT count(*) FROM (SELECT i.sku FROM items i WHERE i.reserved IS DISTINCT FROM coalesce((SELECT \
    sum((l->>'quantity')::bigint) FROM orders o, jsonb_array_elements(o.lines) l WHERE l->>'item_id' = i.sku), 0)) q";

const POINTS: &[&str] = &[
    "forward/import/tried/after_effect",
    "forward/import/0/after_intent",
    "forward/import/sent/customers/1/after_intent",
    "forward/import/sent/customers/2/after_effect",
    "forward/import/sent/items/7/after_effect",
    "forward/import/1/after_effect",
    "forward/import/sent/orders/3/after_intent",
    "forward/import/sent/orders/3/after_effect",
    "forward/import/sent/orders/200/after_effect",
    "forward/import/2/after_effect",
];

#[test]
fn what_left_the_old_shop_comes_in_through_the_new_one_whole_however_often_it_is_interrupted() {
    let world = World::with(&["2.0.0"]);
    let case = world.case_with(through_the_shop);
    let own = tempfile::tempdir().unwrap();
    world.sql(
        "corner_shop",
        "UPDATE customers SET name = '=1+1' WHERE id = 1;\nUPDATE customers SET name = E'a\\r\\nb\"c''d' WHERE id = 2;\n\
         UPDATE customers SET name = '' WHERE id = 3;\nUPDATE customers SET name = 'NULL' WHERE id = 4;\n\
         UPDATE customers SET name = '🚀 Łódź; 大阪,' WHERE id = 5;\nUPDATE customers SET name = repeat('ä', 50000) WHERE id = 6;\n\
         UPDATE orders SET client_key = '-' || client_key WHERE id % 7 = 0;\nUPDATE items SET name = E'\\\\N' WHERE id = 9;\n\
         UPDATE items SET sku = 'a/b ?#%{x}' WHERE id = 10;\nUPDATE items SET price_cents = 999999999999 WHERE id = 11",
    );
    let secrets = [KEY.to_owned()];
    let eavesdropper = Eavesdropper::on(&secrets);
    let Begun { folder, new, place } = begun(&world, &case, &own);
    let orders = world.sql("corner_shop", ORDERS_BEFORE);
    let items = world.sql("corner_shop", ITEMS_BEFORE);

    let (code, shown) = case.answer(&["import", &folder, "--show-mapping"]);
    assert_eq!((code, &shown["problem"]), (0, &Value::Null), "{shown:#}");
    let into: Vec<_> = shown["mapping"]["entities"].as_array().unwrap().iter().map(|it| it["into"].clone()).collect();
    assert_eq!(into, ["@api.customers", "@api.items", "@api.orders"], "{shown:#}");

    let all = [("customers".to_owned(), 10, 0), ("items".to_owned(), 200, 0), ("orders".to_owned(), 200, 0)];
    let (code, tried) = case.answer(&["import", &folder, "--dry-run"]);
    assert_eq!((code, figures(&tried)), (0, all.to_vec()), "{tried:#}");
    assert_eq!(world.sql(&new, COUNTS), "0 0 0", "a trial changes nothing");

    // Killed at every point it goes on, and nothing comes in twice.
    assert_eq!(with_deaths(&case, &["import", &folder], POINTS), POINTS.len());
    assert_eq!(world.sql(&new, COUNTS), "10 200 200");
    assert_eq!(world.sql(&new, ORDERS_AFTER), orders);
    assert_eq!(world.sql(&new, ITEMS_AFTER), items);
    assert_eq!(world.sql(&new, RESERVED), "0", "the shop has reserved what was ordered, once");
    let (code, again) = case.answer(&["import", &folder]);
    assert_eq!((code, &again["entities"][2]["earlier"]), (0, &Value::from(200)), "{again:#}");
    assert_eq!(world.sql(&new, COUNTS), "10 200 200");

    // Taken back, exactly: what somebody changed since stays.
    world.sql(&new, "UPDATE customers SET name = 'Mine' WHERE email = 'customer7@example.org'");
    let (code, undone) = case.answer(&["import", "--undo"]);
    let stays = undone["tables"].to_string();
    assert!(code == 1 && stays.contains("it was changed since"), "{code} {undone:#}");
    assert_eq!(world.sql(&new, COUNTS), "1 0 0", "{undone:#}");
    world.sql(&new, "DELETE FROM customers");
    let (code, undone) = case.answer(&["import", "--undo"]);
    assert_eq!((code, &undone["tables"][0]["stays"]), (0, &Value::from(0)), "{undone:#}");
    let (code, nothing) = case.answer(&["import", "--undo"]);
    assert_eq!((code, &nothing["error"]["class"]), (3, &Value::from("no_import")));

    // Its own rules are told with the row, in the trial already, and the rest can be corrected.
    let customers = Path::new(&folder).join("customers.csv");
    let text = fs::read_to_string(&customers).unwrap();
    let line = text.split("customer7@").next().unwrap().matches('\n').count() + 1;
    fs::write(&customers, text.replacen(",customer7@example.org,", ",nobody,", 1)).unwrap();
    let (code, refused) = case.answer(&["import", &folder]);
    assert_eq!((code, figures(&refused)[0].2, figures(&refused)[2].2), (1, 1, 20), "{refused:#}");
    let trouble = &refused["entities"][0]["troubles"][0];
    assert_eq!(trouble["line"], Value::from(line), "{trouble:#}");
    assert_eq!(trouble["why"], "email: this is no e-mail address");
    assert_eq!(world.sql(&new, COUNTS), "0 0 0");
    let (code, partly) = case.answer(&["import", &folder, "--partly"]);
    assert_eq!((code, figures(&partly)[2].1), (0, 180), "{partly:#}");
    let rest = PathBuf::from(partly["rest"].as_str().unwrap());
    let left = fs::read_to_string(rest.join("customers.csv")).unwrap();
    assert!(left.contains("this is no e-mail address"), "{left}");
    fs::write(rest.join("customers.csv"), left.replacen(",nobody,", ",customer7@example.org,", 1)).unwrap();
    let (code, corrected) = case.answer(&["import", rest.to_str().unwrap()]);
    assert_eq!((code, figures(&corrected)[0].1, figures(&corrected).last().unwrap().1), (0, 1, 20), "{corrected:#}");
    assert_eq!(world.sql(&new, ORDERS_AFTER), orders);
    for _ in 0..2 {
        assert_eq!(case.answer(&["import", "--undo"]).0, 0);
    }
    assert_eq!(world.sql(&new, COUNTS), "0 0 0");
    fs::write(&customers, &text).unwrap();

    // What is there with other values is asked about, and gets its former ones back.
    world.sql(&new, "INSERT INTO customers (email, name) VALUES ('customer7@example.org', 'Mine'), ('customer9@example.org', 'Customer 9')");
    let (code, asked) = case.answer(&["import", &folder]);
    assert_eq!((code, &asked["error"]["class"]), (3, &Value::from("duplicates_unanswered")), "{asked:#}");
    let (code, taken) = case.answer(&["import", &folder, "--duplicates", "update"]);
    let first = &taken["entities"][0];
    assert_eq!((code, &first["updated"], &first["skipped"]), (0, &Value::from(1), &Value::from(1)), "{taken:#}");
    assert_eq!(world.sql(&new, ORDERS_AFTER), orders);
    let (code, undone) = case.answer(&["import", "--undo"]);
    assert_eq!(code, 0, "{undone:#}");
    let names = "SELECT string_agg(name, ',' ORDER BY email) FROM customers";
    assert_eq!(world.sql(&new, names), "Mine,Customer 9", "{undone:#}");

    // Who is not let in is told what to do, and nothing comes in.
    let env = place.join(".env");
    let told = fs::read_to_string(&env).unwrap();
    fs::write(&env, told.replace(KEY, "another-key")).unwrap();
    let (code, denied) = case.answer(&["import", &folder, "--duplicates", "skip"]);
    assert_eq!((code, &denied["error"]["class"]), (1, &Value::from("api_denied")), "{denied:#}");
    assert!(denied["error"]["remedy"].as_str().unwrap().contains("token"), "{denied:#}");
    fs::write(&env, told).unwrap();

    // The key of the shop stands in no file of ours and in no command line.
    for file in files_below(case.home.root()) {
        let bytes = fs::read(&file).unwrap_or_default();
        assert!(!bytes.windows(KEY.len()).any(|it| it == KEY.as_bytes()), "{} holds the key", file.display());
    }
    assert_eq!(eavesdropper.heard(), Vec::<String>::new());
    stop_shops_in(&world, &place);
}

#[test]
fn struck_at_some_moment_it_goes_on_and_nothing_is_lost_or_comes_twice() {
    let world = World::with(&["2.0.0"]);
    let case = world.case_with(through_the_shop);
    let own = tempfile::tempdir().unwrap();
    let mut dice = Dice::new();
    let Begun { folder, new, place } = begun(&world, &case, &own);
    for _ in 0..times(1, 10) {
        let killed = struck(&case, &["import", &folder], &mut dice, Duration::from_secs(8), times(5, 20));
        println!("the import was killed {killed} times");
        assert_eq!(world.sql(&new, COUNTS), "10 200 200", "nothing came twice");
        assert_eq!(world.sql(&new, ORDERS_AFTER), world.sql("corner_shop", ORDERS_BEFORE));
        assert_eq!(world.sql(&new, ITEMS_AFTER), world.sql("corner_shop", ITEMS_BEFORE));
        assert_eq!(world.sql(&new, RESERVED), "0");
        let killed = struck(&case, &["import", "--undo"], &mut dice, Duration::from_secs(4), times(3, 10));
        println!("the undo was killed {killed} times");
        assert_eq!(world.sql(&new, COUNTS), "0 0 0");
        assert_eq!(world.sql(&new, RESERVED), "0");
    }
    stop_shops_in(&world, &place);
}
