//! SQLite files as a source.

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use liftlock_engine::error::Result;
use liftlock_engine::export::manifest::FileFormat;
use liftlock_engine::ports::{Reporter, Unit};
use liftlock_engine::process::Silent;
use liftlock_engine::stores::sqlite::SqliteStore;
use liftlock_engine::stores::tables::Holds;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use rusqlite::Connection;
use rusqlite::types::Value;

use crate::support::{column, entity, exported, exported_while, of, place, rows, rows_in, texts};

struct Shop {
    _dir: tempfile::TempDir,
    path: PathBuf,
    store: SqliteStore,
}

fn shop(sql: &str) -> Shop {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("shop.db");
    Connection::open(&path).unwrap().execute_batch(sql).unwrap();
    Shop { store: SqliteStore::new("main", &path), path, _dir: dir }
}

#[test]
fn every_storage_class_comes_out_exact_and_is_read_back() {
    let shop = shop(
        "CREATE TABLE nasty (id INTEGER PRIMARY KEY, t VARCHAR(20), n DECIMAL(10,2), r REAL, yes BOOLEAN, bytes BLOB, \
         doc JSON, day DATE, half INTEGER GENERATED ALWAYS AS (id / 2) STORED, twice AS (id * 2)) ;
         INSERT INTO nasty (id, t) VALUES (1, NULL), (2, ''), (3, 'NULL'), (4, char(97, 13, 10, 98, 9) || '\\N'), (5, '=1+1'), \
         (6, '\"quoted\"'), (7, '''=x'), (8, '-5'), (9, '@SUM(A1)'), (10, '🚀 Ōsaka'), \
         (11, replace(hex(zeroblob(25000)), '00', 'ä'));
         INSERT INTO nasty (id, n, r, yes, bytes, doc, day) VALUES \
         (9223372036854775807, 1.10, 0.1, 1, x'00ff0a0d', '{\"a\": 1.10, \"a\": 2}', '2026-03-29'), \
         (-9223372036854775808, 12, 1e300, 0, x'', 'null', '0000-00-00'), (-3, -0.0, -1e999, NULL, NULL, '\" x \"', NULL);
         CREATE TABLE \"Odd Name/..\" (\"a;b\" text, \"c d\" int);
         INSERT INTO \"Odd Name/..\" VALUES (';', -1);
         CREATE VIRTUAL TABLE words USING fts5(word); INSERT INTO words VALUES ('in an extension');",
    );
    let (_home, into) = place();
    let manifest = exported(&shop.store, &into).unwrap_or_else(|error| panic!("{error} {:?}", error.details));
    let nasty = of(&manifest, "nasty");
    assert!(nasty.source.starts_with("SQLite 3."), "{}", nasty.source);
    assert_eq!((nasty.rows, nasty.key.as_slice()), (14, &["id".to_owned()][..]));
    assert_eq!(nasty.columns[0].sum.as_deref(), Some("62"), "no sum overflows on the way");
    let generated: Vec<&str> = nasty.columns.iter().filter(|it| it.generated).map(|it| it.column.as_str()).collect();
    assert_eq!(generated, ["half", "twice"]);
    let holds: Vec<Holds> = nasty.columns.iter().map(|it| it.holds).collect();
    use Holds::{Boolean, Integer, Json, Number, Text};
    assert_eq!(holds, [Integer, Text, Number, Number, Boolean, Text, Json, Text, Integer, Number]);

    let read = |name: &str| column(&into, &manifest, "nasty", name);
    // By rowid: the two that are below nothing come first.
    let t = read("t");
    assert_eq!(t[2..6], texts(&[None, Some(""), Some("NULL"), Some("a\r\nb\t\\N")]));
    assert_eq!(
        t[6..12],
        texts(&[Some("=1+1"), Some("\"quoted\""), Some("'=x"), Some("-5"), Some("@SUM(A1)"), Some("🚀 Ōsaka")])
    );
    assert_eq!(t[12].as_ref().map(|it| it.chars().count()), Some(25_000));
    let ends = |name: &str| {
        let all = read(name);
        [all[0].clone(), all[1].clone(), all[13].clone()].map(|it| it.unwrap_or_else(|| "nothing".to_owned()))
    };
    assert_eq!(ends("id"), ["-9223372036854775808", "-3", "9223372036854775807"]);
    assert_eq!(ends("n"), ["12", "0", "1.1"], "SQLite itself keeps no zeroes at the end, and no negative one");
    assert_eq!(ends("r"), ["1e300", "-Infinity", "0.1"]);
    assert_eq!(ends("yes"), ["f", "nothing", "t"]);
    assert_eq!(ends("bytes"), ["\\x", "nothing", "\\x00ff0a0d"]);
    assert_eq!(ends("doc"), ["null", "\" x \"", "{\"a\": 1.10, \"a\": 2}"]);
    assert_eq!(ends("day"), ["0000-00-00", "nothing", "2026-03-29"]);
    assert_eq!(rows(&into, &manifest, "Odd Name/.."), [texts(&[Some(";"), Some("-1")])]);
    let tables: Vec<&str> = manifest.entities.iter().map(|it| it.table.as_str()).collect();
    assert!(tables.contains(&"words_content") && !tables.contains(&"words"), "{tables:?}");
}

#[test]
fn a_column_that_mixes_kinds_is_json_that_tells_them_apart() {
    let shop = shop(
        "CREATE TABLE loose (id INTEGER PRIMARY KEY, x, n INTEGER, yes BOOLEAN, doc JSON);
         INSERT INTO loose VALUES (1, 5, 5, 1, '{}'), (2, 5.0, 'five', 2, '{'), (3, '5', NULL, 0, '[]'), (4, x'05', 7, 1, NULL), \
         (5, NULL, 1.5, 1, NULL), (6, 'null', NULL, NULL, NULL), (7, 9e999, NULL, NULL, NULL), (8, '{\"bytes\":\"05\"}', NULL, NULL, NULL)",
    );
    let (_home, into) = place();
    let manifest = exported(&shop.store, &into).unwrap();
    let read = |name: &str| column(&into, &manifest, "loose", name);
    let said = ["5", "5.0", "\"5\"", "{\"bytes\":\"05\"}", "", "\"null\"", "9e999", "\"{\\\"bytes\\\":\\\"05\\\"}\""];
    let said: Vec<_> = said.iter().map(|it| Some(*it).filter(|it| !it.is_empty())).collect();
    assert_eq!(read("x"), texts(&said));
    assert_eq!(read("n")[..5], texts(&[Some("5"), Some("\"five\""), None, Some("7"), Some("1.5")]));
    let holds: Vec<Holds> = of(&manifest, "loose").columns.iter().map(|it| it.holds).collect();
    assert_eq!(holds[3..], [Holds::Integer, Holds::Text], "2 is no truth, and half an object no JSON");
}

#[test]
fn lines_lie_in_their_orders_whatever_columns_call_alike() {
    let shop = shop(
        "CREATE TABLE orders (id TEXT COLLATE NOCASE PRIMARY KEY, note TEXT);
         CREATE TABLE lines (order_id TEXT REFERENCES Orders, no INT, PRIMARY KEY (order_id, no));
         INSERT INTO orders VALUES ('b', 'x'), ('A', NULL), ('C', '');
         INSERT INTO lines VALUES ('A', 2), ('b', 1), ('A', 1);",
    );
    let (_home, into) = place();
    let declared = [entity("orders", None), entity("lines", Some(("orders", "order_id", "lines")))];
    let manifest = exported_while(&shop.store, &into, &declared, &Silent).unwrap();
    assert_eq!(of(&manifest, "lines").refers[0].table, "orders");
    let text = fs::read_to_string(into.join("orders.json")).unwrap();
    let documents: serde_json::Value = serde_json::from_str(&text).unwrap();
    let lines = |it: &serde_json::Value| (it["id"].as_str().unwrap().to_owned(), it["lines"].as_array().unwrap().len());
    let found: Vec<_> = documents.as_array().unwrap().iter().map(lines).collect();
    assert_eq!(found, [("A".to_owned(), 2), ("C".to_owned(), 0), ("b".to_owned(), 1)]);
    assert_eq!(rows_in(&into, &manifest, "lines", FileFormat::JsonDocuments).len(), 3);
}

/// Lets somebody else write once rows have come.
struct Meddler<'a> {
    at_rows: &'a (dyn Fn() + Sync),
    seen: AtomicBool,
}

impl Reporter for Meddler<'_> {
    fn moved(&self, _done: u64, _total: Option<u64>, _unit: Unit) {
        if !self.seen.swap(true, Ordering::SeqCst) {
            (self.at_rows)();
        }
    }
    fn say(&self, _line: &str) {}
    fn check(&self) -> Result<()> {
        Ok(())
    }
}

#[test]
fn all_tables_are_of_the_same_instant_while_the_application_writes() {
    let shop = shop(
        "PRAGMA journal_mode = WAL; CREATE TABLE a (n INT, t TEXT); CREATE TABLE b (n INT); INSERT INTO b VALUES (1);
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000) INSERT INTO a SELECT i, 'x' FROM n;",
    );
    let (_home, into) = place();
    let write = || {
        let app = Connection::open(&shop.path).unwrap();
        app.execute_batch("INSERT INTO b VALUES (2); DELETE FROM a WHERE n > 10; DROP TABLE b; ALTER TABLE a ADD c;")
            .unwrap();
    };
    let meddler = Meddler { at_rows: &write, seen: AtomicBool::new(false) };
    let manifest = exported_while(&shop.store, &into, &[], &meddler).unwrap();
    assert!(meddler.seen.load(Ordering::SeqCst), "somebody wrote while the first table was read");
    assert_eq!((of(&manifest, "a").rows, of(&manifest, "b").rows), (20_000, 1));
    assert_eq!(exported(&shop.store, &into.with_extension("2")).unwrap().entities.len(), 1);
}

#[test]
fn what_cannot_be_read_is_named_and_nothing_is_left() {
    let broken = |sql: &str, spoil: &dyn Fn(&Shop)| {
        let shop = shop(sql);
        spoil(&shop);
        let (home, into) = place();
        let error = exported(&shop.store, &into).unwrap_err();
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0, "{error}");
        assert!(!error.remedy.is_empty());
        error
    };
    let some = "CREATE TABLE a (n INT, t TEXT); INSERT INTO a VALUES (1, 'x');";
    let gone = broken(some, &|it| fs::remove_file(&it.path).unwrap());
    assert_eq!(gone.class, "not_found");
    let other = broken(some, &|it| fs::write(&it.path, vec![b'x'; 8192]).unwrap());
    assert_eq!(other.class, "store_damaged");
    let strange = broken(&format!("{some} INSERT INTO a VALUES (2, CAST(x'ff' AS TEXT));"), &|_| ());
    assert_eq!(strange.class, "not_text");
    assert!(strange.message.contains("a, row 2: the value of “t”"), "{strange}");
}

/// Any values at all in columns of any kind, through every form.
#[test]
fn any_value_survives_every_form() {
    let text = "[ -~\\r\\n\\t\u{1}-\u{8}äß中🚀\u{feff}\u{2028}'\"=@;\\\\]{0,8}";
    let value = prop_oneof![
        Just(Value::Null),
        any::<i64>().prop_map(Value::Integer),
        (-3_i64..3).prop_map(Value::Integer),
        any::<f64>().prop_filter("kept as NULL", |it| !it.is_nan()).prop_map(Value::Real),
        text.prop_map(Value::Text),
        proptest::collection::vec(any::<u8>(), 0..5).prop_map(Value::Blob),
    ];
    let strategy = proptest::collection::vec((value.clone(), value.clone(), value), 0..6);
    let mut runner = TestRunner::new(Config { cases: 24, ..Config::default() });
    let outcome = runner.run(&strategy, |all| {
        let shop = shop("CREATE TABLE t (id INTEGER PRIMARY KEY, x, n NUMERIC, s TEXT)");
        let app = Connection::open(&shop.path).unwrap();
        for (x, n, s) in &all {
            app.execute("INSERT INTO t (x, n, s) VALUES (?1, ?2, ?3)", [x, n, s]).unwrap();
        }
        let (_home, into) = place();
        let manifest = exported(&shop.store, &into).map_err(|error| TestCaseError::fail(format!("{error:?}")))?;
        let read = rows(&into, &manifest, "t");
        prop_assert_eq!(read.len(), all.len());
        // The column without a type keeps what it was given.
        for (row, (x, ..)) in read.iter().zip(&all) {
            let expected = match x {
                Value::Null => vec![None],
                Value::Integer(it) => vec![Some(it.to_string())],
                Value::Real(it) if it.is_infinite() => return Ok(()),
                Value::Real(it) => vec![Some(format!("{it:?}"))],
                Value::Text(it) => vec![Some(it.clone()), Some(serde_json::Value::from(it.as_str()).to_string())],
                Value::Blob(it) => {
                    let hex: String = it.iter().map(|it| format!("{it:02x}")).collect();
                    vec![Some(format!("\\x{hex}")), Some(format!("{{\"bytes\":\"{hex}\"}}"))]
                }
            };
            prop_assert!(expected.contains(&row[1]), "{:?} as {:?}", x, row[1]);
        }
        Ok(())
    });
    outcome.unwrap();
}
