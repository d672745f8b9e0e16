//! From data in SQL Server into Corner Shop 2.0.0 on PostgreSQL, from the command line, by the worker as it is shipped with
//! its client beside it: exported, begun empty, brought in, and compared by what people know things by.
//!
//! What SQL Server would be is a stand-in that speaks its protocol.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use crate::fresh::{databases, exported, stop_shops_in};
use crate::support::watch::Eavesdropper;
use crate::support::{World, files_below};
use crate::tds::{DATABASE, Double, PASSWORD, Rows, Table, USER, V, holding, table, text};

const CUSTOMERS: i64 = 40;
const ITEMS: i64 = 20;
const ORDERS: i64 = 600;
/// The first day of 2026, counted from the first of the year 1.
const NEW_YEAR: u32 = 739_616;

fn name_of(customer: i64) -> String {
    match customer {
        1 => "=1+1".to_owned(),
        2 => "a\r\nb\"c'd".to_owned(),
        3 => String::new(),
        4 => "NULL".to_owned(),
        5 => "🚀 Łódź; 大阪,".to_owned(),
        6 => "ä".repeat(50_000),
        other => format!("Customer {other}"),
    }
}

fn tables() -> Vec<Table> {
    let customer = |id: i64| {
        let email = text(&format!("customer{id}@example.org"));
        vec![V::Int(id), email, V::Text(name_of(id)), V::Null, V::Zoned(NEW_YEAR, 0, 60), V::Bit(id % 2 == 0)]
    };
    let item = |id: i64| {
        let bytes = V::Bytes(id.to_be_bytes().to_vec());
        vec![V::Int(id), text(&format!("SKU-{id}")), text(&format!("Item {id}")), V::Int(id * 7 + 3), bytes]
    };
    let order = |id: i64| {
        // Seven digits of a second, of which PostgreSQL has six.
        let placed = V::Zoned(NEW_YEAR + u32::try_from(id).unwrap(), u64::try_from(id * 10).unwrap(), -300);
        let key = text(&format!("{}key {id}", if id % 7 == 0 { "-" } else { "" }));
        vec![
            V::Int(id),
            text(&format!("CS-{id:0>8}")),
            V::Int(1 + id % CUSTOMERS),
            key,
            text("{\"channel\": \"web\"}"),
            placed,
        ]
    };
    let line = |id: i64| {
        [1, 2]
            .map(|no| vec![V::Int(id), V::Int(no), V::Int(1 + (id + no) % ITEMS), V::Int(1 + id % 9), V::Int(100 + id)])
    };
    let id = "id bigint";
    let mut orders = table(
        "orders",
        &[
            id,
            "number nvarchar(20)!",
            "customer_id bigint",
            "client_key varchar(60)",
            "details nvarchar(max)",
            "placed_at datetimeoffset(7)",
        ],
        Rows::Are((1..=ORDERS).map(order).collect()),
    );
    orders.refers = vec![["customer_id", "dbo", "customers", "id"]];
    let mut lines = table(
        "order_lines",
        &["order_id bigint", "line_no int", "item_id bigint", "quantity int", "price_cents bigint"],
        Rows::Are((1..=ORDERS).flat_map(line).collect()),
    );
    lines.key = vec!["order_id", "line_no"];
    lines.refers = vec![["order_id", "dbo", "orders", "id"], ["item_id", "dbo", "items", "id"]];
    vec![
        table(
            "customers",
            &[
                id,
                "email varchar(200)",
                "name nvarchar(max)",
                "city nvarchar(100)",
                "since datetimeoffset(0)",
                "newsletter bit",
            ],
            Rows::Are((1..=CUSTOMERS).map(customer).collect()),
        ),
        table(
            "items",
            &[id, "sku varchar(40)", "name nvarchar(200)", "price_cents bigint", "picture varbinary(max)"],
            Rows::Are((1..=ITEMS).map(item).collect()),
        ),
        orders,
        lines,
    ]
}

/// The shop with its data in SQL Server, as a profile says it.
fn of_sql_server(profile: String) -> String {
    let source = "[[sources]]\nname = \"old-database\"\nkind = \"sqlserver\"\nurl = { file = \".env\", key = \"OLD_DATABASE_URL\" }\n\
        authority = \"authority.pem\"\nbefore = \"2.0.0\"\n\n";
    let (before, exports) = profile.split_once("[[exports]]").unwrap();
    let exports = format!("[[exports]]{exports}").replace("[[exports]]\n", "[[exports]]\nstore = \"old-database\"\n");
    format!("{before}{source}{exports}")
}

fn escaped(password: &str) -> String {
    password.bytes().map(|it| format!("%{it:02X}")).collect()
}

const ORDERS_AFTER: &str = "SELECT string_agg(concat_ws('|', o.client_key, c.email, md5(c.name), to_char(o.placed_at AT TIME ZONE 'UTC', \
    'DDD HH24:MI:SS.US'), (SELECT string_agg(concat_ws('/', l->>'line_no', l->>'item_id', l->>'quantity', l->>'price_cents'), ',' \
    ORDER BY (l->>'line_no')::int) FROM jsonb_array_elements(o.lines) l)), ';' ORDER BY length(o.client_key), o.client_key COLLATE \"C\") \
    FROM orders o JOIN customers c ON c.id = o.customer WHERE o.client_key IN ('key 1', '-key 7', 'key 600')";

#[test]
fn what_lay_in_sql_server_comes_into_postgresql_with_nothing_missing_and_nothing_altered() {
    let server = Double::start(holding(tables()));
    let world = World::with(&["1.1.0", "2.0.0"]);
    let env = world.shop.join(".env");
    let url = format!("sqlserver://{USER}:{}@localhost:{}/{DATABASE}", escaped(PASSWORD), server.port);
    let settings = fs::read_to_string(&env).unwrap();
    fs::write(&env, format!("{settings}OLD_DATABASE_URL={url}\n")).unwrap();
    fs::write(world.shop.join("authority.pem"), &server.authority).unwrap();
    let case = world.case_with(of_sql_server);
    let own = tempfile::tempdir().unwrap();
    let secrets = [PASSWORD.to_owned(), escaped(PASSWORD)];
    let eavesdropper = Eavesdropper::on(&secrets);
    let answer = |args: &[&str]| -> Value {
        let (code, done) = case.answer(args);
        assert_eq!(code, 0, "{args:?}: {done:#}");
        done
    };

    // Its data would be in no backup: it is not updated in place.
    let (code, refused) = case.answer(&["upgrade", "--to", "1.1.0"]);
    assert!(code != 0 && refused.to_string().contains("source_not_backed_up"), "{refused:#}");

    let folder = exported(&case, &own);
    let checked = answer(&["export", "--check", &folder]);
    let untried = "has not been tried against a real server of SQL Server";
    assert!(checked["notes"][0].as_str().is_some_and(|it| it.contains(untried)), "{checked:#}");
    let rows: Vec<i64> =
        checked["entities"].as_array().unwrap().iter().map(|it| it["rows"].as_i64().unwrap()).collect();
    assert_eq!(rows, [CUSTOMERS, ITEMS, ORDERS, ORDERS * 2]);

    // The worker exports it again after the stop, from a copy of its own that has no client beside it.
    let done = answer(&["fresh-start", "--to", "2.0.0", "--export", &folder]);
    assert_eq!(done["state"], "complete", "{done:#}");
    let last = done["export"].as_str().unwrap();
    let new = databases(&world).into_iter().find(|it| it != "corner_shop").unwrap();
    answer(&["import", last, "--dry-run"]);
    let came = answer(&["import", last]);
    let count = |what: &str| world.sql(&new, &format!("SELECT count(*) FROM {what}"));
    assert_eq!(
        [count("customers"), count("items"), count("orders")],
        [CUSTOMERS, ITEMS, ORDERS].map(|it| it.to_string()),
        "{came:#}"
    );
    for customer in 1..=CUSTOMERS {
        let sql = format!(
            "SELECT md5(name) = md5({}) FROM customers WHERE email = 'customer{customer}@example.org'",
            literal(&name_of(customer))
        );
        assert_eq!(world.sql(&new, &sql), "t", "{customer}");
    }
    let name = |customer: i64| world.sql(&new, &format!("SELECT md5({})", literal(&name_of(customer))));
    let expected = [
        format!("key 1|customer2@example.org|{}|002 00:00:00.000001|1/SKU-3/2/101,2/SKU-4/2/101", name(2)),
        format!("-key 7|customer8@example.org|{}|008 00:00:00.000007|1/SKU-9/8/107,2/SKU-10/8/107", name(8)),
        format!("key 600|customer1@example.org|{}|236 00:00:00.000600|1/SKU-2/7/700,2/SKU-3/7/700", name(1)),
    ];
    assert_eq!(world.sql(&new, ORDERS_AFTER), expected.join(";"));

    // The password stands in no file of ours and in no command line.
    for file in files_below(case.home.root()) {
        let bytes = fs::read(&file).unwrap_or_default();
        let tells = |secret: &String| bytes.windows(secret.len()).any(|it| it == secret.as_bytes());
        assert!(!secrets.iter().any(tells), "{} holds the password", file.display());
    }
    assert_eq!(eavesdropper.heard(), Vec::<String>::new());
    stop_shops_in(&world, &PathBuf::from(done["folder"].as_str().unwrap()));
}

fn literal(text: &str) -> String {
    format!("E'{}'", text.replace('\\', "\\\\").replace('\'', "''").replace('\r', "\\r").replace('\n', "\\n"))
}
