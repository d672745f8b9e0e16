//! Exports of a real database, with every value that is easily lost on the way.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use liftlock_engine::clock::SystemClock;
use liftlock_engine::error::{Error, Result};
use liftlock_engine::export::manifest::{BytesForm, FileFormat, Manifest};
use liftlock_engine::export::{Request, check, csv, export, lines, open, sheets};
use liftlock_engine::model::profile::Endpoint;
use liftlock_engine::ports::{Reporter, Unit};
use liftlock_engine::process::{Silent, SystemRunner};
use liftlock_engine::stores::postgres::PostgresStore;
use liftlock_engine::stores::tables::{Column, Holds};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::cluster::{self, PASSWORD, SUPERUSER};
use crate::postgres_support::{admin, private_dir, run_all};

const ALL: &[FileFormat] = &[FileFormat::Csv, FileFormat::JsonLines, FileFormat::Xlsx];

pub(crate) fn database(statements: &[&str]) -> (String, PostgresStore) {
    let admin = admin();
    let name = cluster::fresh("export");
    run_all(&mut admin.connect("postgres").unwrap(), &[&format!("CREATE DATABASE {name}")]);
    inside(&name, statements);
    let store = store(&name, SUPERUSER, PASSWORD);
    (name, store)
}

/// Runs statements in `database`, where names without a schema are those of `public`.
pub(crate) fn inside(database: &str, statements: &[&str]) {
    let mut session = admin().connect(database).unwrap();
    run_all(&mut session, &["SET search_path TO public"]);
    run_all(&mut session, statements);
}

pub(crate) fn store(database: &str, user: &str, password: &str) -> PostgresStore {
    let endpoint = Endpoint {
        host: "127.0.0.1".into(),
        port: cluster::shared().port,
        database: database.into(),
        user: user.into(),
        password: Some(password.into()),
        parameters: Vec::new(),
    };
    PostgresStore::new("main", endpoint, None, "liftlock/export/1", &private_dir(), Arc::new(SystemRunner::new()))
}

pub(crate) fn request(into: &Path) -> Request<'_> {
    Request {
        into,
        application: "Corner Shop",
        installation: "shop",
        version: Some("1.0.0"),
        declared: &[],
        only: &[],
        everything: false,
        formats: ALL,
        separator: ',',
        bytes: BytesForm::Hex,
        zip: false,
    }
}

pub(crate) fn place() -> (tempfile::TempDir, PathBuf) {
    let home = tempfile::tempdir().unwrap();
    let into = home.path().join("export");
    (home, into)
}

pub(crate) fn exported(store: &PostgresStore, into: &Path) -> Result<Manifest> {
    export(&request(into), &[store], &SystemClock, &Silent)
}

pub(crate) const NASTY: &[&str] = &[
    "CREATE TYPE mood AS ENUM ('so ''so''', '=good')",
    "CREATE TABLE nasty (id bigint PRIMARY KEY, t text, n numeric, f float8, b bool, j jsonb, raw json, a text[], \
     bytes bytea, tz timestamptz, ts timestamp, d date, r int4range, m mood, u uuid, \
     half bigint GENERATED ALWAYS AS (id / 2) STORED)",
    "INSERT INTO nasty (id, t) VALUES (1, NULL), (2, ''), (3, 'NULL'), (4, E'a\\r\\nb\\tc\\\\N'), (5, '=1+1'), \
     (6, '\"quoted\"'), (7, '''=x'), (8, '-5'), (9, '@SUM(A1)'), (10, '🚀 Ōsaka'), (11, repeat('ä', 50000)), (12, '\\N')",
    "INSERT INTO nasty (id, n, f, b, j, raw, a, bytes, tz, ts, d, r, m, u) VALUES (9223372036854775807, \
     123456789012345678901234567890.123456789012345678900, 0.1, true, 'null', '{ \"a\" :  1.10,\n \"a\": 2}', \
     ARRAY['x', NULL, 'NULL', 'a,\"b'], '\\x00ff0a0d', '2026-03-29 02:30:00.123456+02', '-infinity', '0044-03-15 BC', \
     '[1,5)', '=good', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11')",
    "INSERT INTO nasty (id, n, f, b, j) VALUES (-3, 'NaN', '-Infinity', false, '{\"x\": [1.10, \"\\u2028\"], \"n\": null}')",
    "CREATE TABLE \"Odd Name/..\" (\"a;b\" text, \"=c\" int)",
    "INSERT INTO \"Odd Name/..\" VALUES (';', -1)",
];

#[test]
fn every_value_comes_out_exact_and_is_read_back() {
    let (_, store) = database(NASTY);
    let (_home, into) = place();
    let manifest = exported(&store, &into).unwrap_or_else(|error| panic!("{error} {:?}", error.details));
    assert_eq!(open(&into).unwrap(), manifest, "what is told is what lies in the folder");
    let nasty = manifest.entities.iter().find(|it| it.table == "nasty").unwrap();
    assert_eq!((nasty.rows, nasty.columns[1].filled, nasty.columns[15].generated), (14, 11, true));
    assert_eq!(nasty.columns[0].sum.as_deref(), Some("9223372036854775882"), "no sum overflows");
    let text = fs::read_to_string(into.join("nasty.csv")).unwrap();
    assert!(text.starts_with('\u{feff}'));
    for inert in [",'=1+1,", ",'@SUM(A1),", ",''=x,", ",'-5,", ",123456789012345678901234567890.123456789012345678900,"]
    {
        assert!(text.contains(inert), "{inert} in {text:.2000}");
    }
    let json = fs::read_to_string(into.join("nasty.jsonl")).unwrap();
    for exact in [r#""n":"123456789012345678901234567890.123456789012345678900""#, r#""j":null"#, r#""b":true"#] {
        assert!(json.contains(exact), "{exact} in {json:.3000}");
    }
    let workbook = nasty.files.iter().find(|it| it.format == FileFormat::Xlsx).unwrap();
    assert_eq!((workbook.file.as_str(), workbook.sheets.as_slice()), ("shop.xlsx", &["nasty".to_owned()][..]));
    assert_eq!(workbook.beside.as_ref().map(|it| (it.file.as_str(), it.texts)), Some(("shop-long-texts.jsonl", 1)));
    let read_me = fs::read_to_string(into.join("README.txt")).unwrap();
    assert!(read_me.contains("more than 15 digits") && read_me.contains("1 text is too long"), "{read_me}");
    let left: Vec<_> = fs::read_dir(&into).unwrap().map(|it| it.unwrap().file_name()).collect();
    assert_eq!(left.len(), 8, "two of each form, the workbook and its texts, the manifest and its words: {left:?}");
    assert!(!into.join(".liftlock-made").exists(), "nobody may take it for something to throw away");
    assert!(fs::read_to_string(into.join("README.txt")).unwrap().contains("nasty: 14 rows"));
    check::check(&into, &manifest, &Silent).unwrap();
}

#[test]
fn an_edited_file_is_found_out_with_what_differs() {
    let (_, store) = database(&["CREATE TABLE item (id int, name text)", "INSERT INTO item VALUES (1, 'a'), (2, 'b')"]);
    let (_home, into) = place();
    let manifest = exported(&store, &into).unwrap();
    let file = into.join("item.csv");
    let good = fs::read_to_string(&file).unwrap();
    let found = |text: &str| {
        fs::write(&file, text).unwrap();
        let error = check::check(&into, &manifest, &Silent).unwrap_err();
        assert!(!error.remedy.is_empty());
        (error.class.into_owned(), error.message)
    };
    let differs =
        |message: &str| ("export_differs".to_owned(), format!("item.csv is not as it was exported: {message}."));
    assert_eq!(found(&format!("{good}3,c\r\n")), differs("3 rows, 2 in the database"));
    assert_eq!(found(&good.replace("2,b", "5,b")), differs("“id” adds up to 6, 3 in the database"));
    assert_eq!(found(&good.replace("2,b", "2,")), differs("“name” has 1 values, 2 in the database"));
    assert_eq!(found(&good.replace("2,b", "2,c")), differs("a value is another than the database gave"));
    assert_eq!(found(&good.replace("\r\n", "\n")), differs("its bytes were changed since, though its values agree"));
    let bad_row = |message: &str| ("bad_row".to_owned(), message.to_owned());
    assert_eq!(
        found(&good.replace("1,a", "1")),
        bad_row("item.csv, line 2, column 2: the row has 1 fields where 2 are expected.")
    );
    assert_eq!(
        found(&good.replace(',', ";")),
        bad_row("item.csv, line 1, column 2: the row has 1 fields where 2 are expected.")
    );
    assert_eq!(found(&good.replace("2,b", "2,\"b")).0, "broken_quotes");
    fs::write(&file, &good).unwrap();
    check::check(&into, &manifest, &Silent).unwrap();
}

/// Says stop once rows have come, and meanwhile lets somebody else write.
struct Meddler<'a> {
    at_rows: &'a (dyn Fn() + Sync),
    seen: AtomicBool,
    stops: bool,
}

impl Reporter for Meddler<'_> {
    fn moved(&self, _done: u64, _total: Option<u64>, _unit: Unit) {
        if !self.seen.swap(true, Ordering::SeqCst) {
            (self.at_rows)();
        }
    }
    fn say(&self, _line: &str) {}
    fn check(&self) -> Result<()> {
        if self.stops && self.seen.load(Ordering::SeqCst) {
            Err(Error::failed("cancelled", "Stopped."))
        } else {
            Ok(())
        }
    }
}

const LARGE: &[&str] = &[
    "CREATE TABLE a (n int, t text)",
    "INSERT INTO a SELECT n, repeat('x', 50) FROM generate_series(1, 20000) n",
    "CREATE TABLE b (n int)",
    "INSERT INTO b VALUES (1)",
];

#[test]
fn all_tables_are_of_the_same_instant() {
    let (name, store) = database(LARGE);
    let (_home, into) = place();
    let write = || inside(&name, &["INSERT INTO b VALUES (2)", "DELETE FROM a WHERE n > 10000"]);
    let meddler = Meddler { at_rows: &write, seen: AtomicBool::new(false), stops: false };
    let manifest = export(&request(&into), &[&store], &SystemClock, &meddler).unwrap();
    assert!(meddler.seen.load(Ordering::SeqCst), "somebody wrote while the first table was read");
    let rows: BTreeMap<&str, u64> = manifest.entities.iter().map(|it| (it.table.as_str(), it.rows)).collect();
    assert_eq!(rows, BTreeMap::from([("a", 20_000), ("b", 1)]));
}

#[test]
fn cancelling_leaves_nothing() {
    let (_, store) = database(LARGE);
    let (home, into) = place();
    let meddler = Meddler { at_rows: &|| (), seen: AtomicBool::new(false), stops: true };
    assert_eq!(export(&request(&into), &[&store], &SystemClock, &meddler).unwrap_err().class, "cancelled");
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0);
}

#[test]
fn what_a_killed_export_left_is_thrown_away_and_nothing_else_is() {
    let (_, store) = database(&["CREATE TABLE a (n int)"]);
    let (home, into) = place();
    let unfinished = home.path().join("export.unfinished");
    liftlock_engine::durable::create_marked_dir(&unfinished, "export").unwrap();
    fs::write(unfinished.join("a.csv"), "half").unwrap();
    exported(&store, &into).unwrap();
    assert!(!unfinished.exists());
    assert_eq!(exported(&store, &into).unwrap_err().class, "export_exists");

    let other = home.path().join("other");
    fs::create_dir(home.path().join("other.unfinished")).unwrap();
    assert_eq!(exported(&store, &other).unwrap_err().class, "not_ours");
    assert!(home.path().join("other.unfinished").exists());
}

#[test]
fn a_table_that_may_not_be_read_is_named() {
    let (name, _) = database(&["CREATE TABLE open (n int)", "CREATE TABLE closed (n int)"]);
    let role = format!("{name}_reader");
    inside(&name, &[&format!("CREATE ROLE {role} LOGIN PASSWORD 'pw'"), &format!("GRANT SELECT ON open TO {role}")]);
    let (_home, into) = place();
    let error = exported(&store(&name, &role, "pw"), &into).unwrap_err();
    assert_eq!(error.class, "insufficient_rights");
    assert!(error.message.starts_with("closed cannot be exported. "), "{}", error.message);
    assert!(error.details.iter().any(|it| it == "while exporting closed"), "{:?}", error.details);
    assert!(!into.exists());
}

/// One table is read, and the next one is taken away or closed meanwhile.
#[test]
fn a_table_that_vanishes_or_is_closed_in_the_middle_is_named_and_nothing_is_left() {
    for (change, class) in [
        ("DROP TABLE b", "table_gone"),
        ("ALTER TABLE b RENAME COLUMN n TO m", "table_gone"),
        ("REVOKE SELECT ON b FROM {role}", "insufficient_rights"),
    ] {
        let (name, _) = database(LARGE);
        let role = format!("{name}_reader");
        inside(
            &name,
            &[&format!("CREATE ROLE {role} LOGIN PASSWORD 'pw'"), &format!("GRANT SELECT ON a, b TO {role}")],
        );
        let store = store(&name, &role, "pw");
        let (home, into) = place();
        let change = change.replace("{role}", &role);
        let meddle = || inside(&name, &[&change]);
        let meddler = Meddler { at_rows: &meddle, seen: AtomicBool::new(false), stops: false };
        let error = export(&request(&into), &[&store], &SystemClock, &meddler).unwrap_err();
        assert!(meddler.seen.load(Ordering::SeqCst), "it happened while the first one was read");
        assert_eq!(error.class, class, "{change}: {error:?}");
        assert!(error.message.starts_with("b cannot be exported. ") && !error.remedy.is_empty(), "{error:?}");
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0, "{change}");
        inside(&name, &[&format!("DROP OWNED BY {role}"), &format!("DROP ROLE {role}")]);
    }
}

/// Any rows at all, through a real database and every form, byte for byte.
#[test]
fn any_table_survives_every_form() {
    let text = "[ -~\\r\\n\\t\u{1}-\u{8}äß中🚀\u{feff}\u{2028}'\"=@;\\\\]{0,12}";
    let row = (proptest::option::of(text), any::<Option<i64>>(), any::<Option<bool>>(), proptest::option::of(text));
    let strategy = proptest::collection::vec(row, 0..12);
    let (name, store) = database(&["CREATE TABLE t (s text, i bigint, b bool, j jsonb)"]);
    let client = admin();
    let mut runner = TestRunner::new(Config { cases: 24, ..Config::default() });
    let outcome = runner.run(&strategy, |rows| {
        let mut session = client.connect(&name).unwrap();
        session.run("TRUNCATE public.t").unwrap();
        let literal = |it: &str| liftlock_engine::stores::postgres::quote::literal(it);
        for (s, i, b, j) in &rows {
            let s = s.as_deref().map_or("NULL".into(), literal);
            let i = i.map_or("NULL".into(), |it| literal(&it.to_string()));
            let b = b.map_or("NULL".into(), |it| it.to_string());
            let j = j.as_deref().map_or("NULL".into(), literal);
            session.run(&format!("INSERT INTO public.t VALUES ({s}, {i}::int8, {b}, to_jsonb({j}::text))")).unwrap();
        }
        let (_home, into) = place();
        let manifest = exported(&store, &into).map_err(|error| TestCaseError::fail(format!("{error:?}")))?;
        let columns: Vec<Column> =
            [("s", Holds::Text), ("i", Holds::Integer), ("b", Holds::Boolean), ("j", Holds::Json)]
                .map(|(name, holds)| Column { name: name.into(), data_type: String::new(), holds, generated: false })
                .into();
        let json = fs::read_to_string(into.join("t.jsonl")).unwrap();
        let from_json: Vec<_> =
            json.split_terminator('\n').map(|line| lines::read_row(line, &columns).unwrap()).collect();
        let path = into.join("t.csv");
        let bytes = fs::read(&path).unwrap();
        let mut reader = csv::Reader::new(&bytes[..], &path, b',');
        reader.row().unwrap();
        let mut from_csv = Vec::new();
        while let Some((_, fields)) = reader.row().unwrap() {
            from_csv.push(fields.into_iter().map(|it| it.map(csv::restored)).collect::<Vec<_>>());
        }
        let workbook = manifest.entities[0].files.iter().find(|it| it.format == FileFormat::Xlsx).unwrap();
        let mut from_sheets = Vec::new();
        let mut place = |_: &str, head: &[Option<Vec<u8>>]| Ok((0..head.len()).map(Some).collect());
        sheets::read(&into.join(&workbook.file), workbook, &columns, &mut place, &mut |row| {
            from_sheets.push(row.values.to_vec());
            Ok(())
        })
        .unwrap();
        prop_assert_eq!(&from_sheets, &from_json);
        prop_assert_eq!(manifest.entities[0].rows, rows.len() as u64);
        prop_assert_eq!(from_json.len(), rows.len());
        for ((row, json), csv) in rows.iter().zip(&from_json).zip(&from_csv) {
            let s = row.0.clone().map(String::into_bytes);
            let i = row.1.map(|it| it.to_string().into_bytes());
            prop_assert_eq!(&json[0], &s);
            prop_assert_eq!(&csv[0], &s);
            prop_assert_eq!(&json[1], &i);
            prop_assert_eq!(&csv[1], &i);
            prop_assert_eq!(&json[2], &row.2.map(|it| if it { b"t".to_vec() } else { b"f".to_vec() }));
            prop_assert_eq!(&csv[2], &row.2.map(|it| it.to_string().into_bytes()));
            prop_assert_eq!(&json[3], &csv[3]);
            let said = json[3].as_ref().map(|it| serde_json::from_slice::<String>(it).unwrap());
            prop_assert_eq!(&said, &row.3);
        }
        Ok(())
    });
    outcome.unwrap();
}
