//! Exports as JSON documents, in which lie the rows that belong to them.

use std::fs;
use std::path::Path;

use liftlock_engine::clock::SystemClock;
use liftlock_engine::error::Result;
use liftlock_engine::export::manifest::{FileFormat, Manifest};
use liftlock_engine::export::{Request, check, export};
use liftlock_engine::import::read;
use liftlock_engine::model::profile::{Export, PartOf};
use liftlock_engine::process::Silent;
use liftlock_engine::stores::postgres::PostgresStore;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::Value;

use crate::postgres_export::{database, place, request};
use crate::postgres_support::admin;

const SHOP: &[&str] = &[
    "CREATE TABLE orders (id text COLLATE \"en-x-icu\" PRIMARY KEY, note text, extra jsonb)",
    "CREATE TABLE lines (order_id text COLLATE \"en-x-icu\" REFERENCES orders, line_no int, sku text, price numeric(8,2), \
     UNIQUE (order_id, line_no))",
    "CREATE TABLE payments (id int PRIMARY KEY, order_id text REFERENCES orders, cents int)",
    // An order that C and other locales disagree about.
    "INSERT INTO orders VALUES ('b', E'two\\nlines', '[1.10]'), ('A', NULL, NULL), ('a', '', 'null'), ('B-1', 'x', '{}'), ('B1', NULL, NULL)",
    "INSERT INTO lines VALUES ('a', 2, 'S2', 1.10), ('a', 1, '=1+1', 5.00), ('B1', 1, NULL, NULL), ('b', 1, '🚀', -1), \
     (NULL, 7, 'nobody''s', 0), ('A', 1, 'x', 1)",
    "INSERT INTO payments VALUES (1, 'a', 100), (2, 'b', 200), (3, 'a', 300)",
];

pub(crate) fn entity(name: &str, part_of: Option<(&str, &str)>) -> Export {
    Export {
        entity: name.into(),
        store: None,
        table: name.into(),
        columns: Vec::new(),
        leave_out: Vec::new(),
        fill: Vec::new(),
        part_of: part_of.map(|(by, member)| PartOf { entity: "orders".into(), by: by.into(), member: member.into() }),
        shows: Vec::new(),
        deleted: None,
        api: None,
    }
}

fn made(store: &PostgresStore, into: &Path, declared: &[Export], only: &[String]) -> Result<Manifest> {
    let formats = [FileFormat::JsonDocuments, FileFormat::JsonLines];
    let request = Request { declared, only, formats: &formats, ..request(into) };
    export(&request, &[store], &SystemClock, &Silent)
}

fn declared() -> Vec<Export> {
    vec![
        entity("orders", None),
        entity("lines", Some(("order_id", "lines"))),
        entity("payments", Some(("order_id", "paid"))),
    ]
}

/// The rows of an entity as they would come in out of documents.
fn rows(folder: &Path, manifest: &Manifest, name: &str) -> Vec<Vec<Option<String>>> {
    let mut entity = manifest.entities.iter().find(|it| it.entity == name).unwrap().clone();
    entity.files.retain(|it| it.format == FileFormat::JsonDocuments);
    let mut rows = Vec::new();
    let text = |it: &Option<Vec<u8>>| it.clone().map(|it| String::from_utf8(it).unwrap());
    read::choose(folder, manifest, &entity, &Silent)
        .unwrap()
        .each(&mut |row| {
            rows.push(row.values.iter().map(text).collect());
            Ok(())
        })
        .unwrap();
    rows
}

#[test]
fn each_order_is_a_document_with_its_lines_in_it() {
    let (_, store) = database(SHOP);
    let (_home, into) = place();
    let manifest = made(&store, &into, &declared(), &[]).unwrap_or_else(|error| panic!("{error} {:?}", error.details));
    let mut names: Vec<_> =
        fs::read_dir(&into).unwrap().map(|it| it.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    let expected = ["README.txt", "lines.jsonl", "manifest.json", "orders.json", "orders.jsonl", "payments.jsonl"];
    assert_eq!(names, expected);
    let text = fs::read_to_string(into.join("orders.json")).unwrap();
    let documents: Vec<Value> = serde_json::from_str(&text).unwrap();
    let of = |id: &str| documents.iter().find(|it| it["id"] == id).unwrap_or_else(|| panic!("{id} in {text}"));
    assert_eq!(of("a")["lines"].as_array().unwrap().len(), 2);
    let lines: Vec<_> = of("a")["lines"].as_array().unwrap().iter().map(|it| it["sku"].as_str().unwrap()).collect();
    assert!(lines.contains(&"=1+1") && lines.contains(&"S2"), "{lines:?}");
    assert_eq!((&of("a")["paid"][1]["cents"], &of("a")["extra"]), (&Value::from(300), &Value::Null));
    assert_eq!((of("B-1")["lines"].as_array().unwrap().len(), of("A").get("extra")), (0, None));
    assert_eq!(of("b")["lines"][0]["price"], "-1.00", "no number went through another");
    assert_eq!(
        (documents.len(), documents[5].as_object().unwrap().len()),
        (6, 1),
        "what belongs to nobody stands last"
    );
    assert_eq!(documents[5]["lines"][0]["sku"], "nobody's");
    check::check(&into, &manifest, &Silent).unwrap();

    // A value in a line, and a line too many, are found out; laid out otherwise it is read all the same.
    let class = |text: &str| {
        fs::write(into.join("orders.json"), text).unwrap();
        let error = check::check(&into, &manifest, &Silent).unwrap_err();
        (error.class.into_owned(), error.message)
    };
    let differs = |what: &str| ("export_differs".to_owned(), format!("orders.json is not as it was exported: {what}."));
    assert_eq!(class(&text.replace("S2", "S3")), differs("a value is another than the database gave"));
    assert_eq!(
        class(&text.replacen("\"cents\":100", "\"cents\":101", 1)),
        differs("“cents” adds up to 601, 600 in the database")
    );
    let before: Vec<_> = ["orders", "lines", "payments"].map(|it| rows(&into, &manifest, it)).into();
    fs::write(into.join("orders.json"), &text).unwrap();
    let whole: Vec<_> = ["orders", "lines", "payments"].map(|it| rows(&into, &manifest, it)).into();
    assert_ne!(before, whole);
    fs::write(into.join("orders.json"), text.replace("},{", "},\n    {").replace("\n{", "\n\n  {  ")).unwrap();
    assert_eq!(["orders", "lines", "payments"].map(|it| rows(&into, &manifest, it)).to_vec(), whole);
    let (class_of_it, message) = class(&text.replacen("},\n{", "}\n{", 1));
    assert_eq!(class_of_it, "bad_row");
    assert!(message.starts_with("orders.json, line 3, column 1: "), "{message}");
    assert_eq!(class(&text.replacen("\"line_no\"", "\"line\"", 1)).0, "bad_row");
}

#[test]
fn what_belongs_to_something_that_is_not_taken_stands_by_itself() {
    let (_, store) = database(SHOP);
    let (_home, into) = place();
    made(&store, &into, &declared(), &["lines".to_owned()]).unwrap();
    let lines: Vec<Value> = serde_json::from_str(&fs::read_to_string(into.join("lines.json")).unwrap()).unwrap();
    assert_eq!(lines.len(), 6);
}

#[test]
fn a_relation_that_the_database_does_not_know_is_refused() {
    let (_, store) = database(SHOP);
    for part_of in [("sku", "lines"), ("order_id", "note")] {
        let (_home, into) = place();
        let declared = [entity("orders", None), entity("lines", Some(part_of))];
        let error = made(&store, &into, &declared, &[]).unwrap_err();
        assert_eq!((error.class.as_ref(), error.remedy.is_empty()), ("not_part_of", false));
        assert!(!into.exists());
    }
}

/// Any rows at all, through a real database and documents with their lines in them, byte for byte.
#[test]
fn any_rows_survive_documents_with_their_lines() {
    let text = "[ -~\\r\\n\\t\u{1}-\u{8}äß中🚀\u{feff}\u{2028}'\"=@;\\\\]{0,10}";
    let line = (0_usize..6, proptest::option::of(text), any::<Option<i64>>(), any::<Option<bool>>());
    let order = (text, proptest::option::of(text), proptest::option::of(text));
    let strategy = (proptest::collection::vec(order, 0..5), proptest::collection::vec(line, 0..8));
    let (name, store) = database(&[
        "CREATE TABLE orders (id text PRIMARY KEY, note text, extra jsonb)",
        "CREATE TABLE lines (n int PRIMARY KEY, order_id text REFERENCES orders, s text, i bigint, b bool)",
    ]);
    let declared = [entity("orders", None), entity("lines", Some(("order_id", "lines")))];
    let client = admin();
    let mut runner = TestRunner::new(Config { cases: 24, ..Config::default() });
    let outcome = runner.run(&strategy, |(orders, lines)| {
        let mut session = client.connect(&name).unwrap();
        session.run("TRUNCATE public.orders, public.lines").unwrap();
        let said = |it: Option<&str>| it.map_or("NULL".into(), liftlock_engine::stores::postgres::quote::literal);
        let mut expected: Vec<Vec<Option<String>>> = Vec::new();
        for (id, note, extra) in &orders {
            session
                .run(&format!(
                    "INSERT INTO public.orders VALUES ({}, {}, to_jsonb({}::text)) ON CONFLICT DO NOTHING",
                    said(Some(id)),
                    said(note.as_deref()),
                    said(extra.as_deref())
                ))
                .unwrap();
        }
        for (at, (whose, s, i, b)) in lines.iter().enumerate() {
            let whose = orders.get(*whose).map(|it| it.0.clone());
            let (i, b) = (i.map(|it| it.to_string()), b.map(|it| it.to_string()));
            session
                .run(&format!(
                    "INSERT INTO public.lines VALUES ({at}, {}, {}, {}::int8, {}::bool)",
                    said(whose.as_deref()),
                    said(s.as_deref()),
                    said(i.as_deref()),
                    said(b.as_deref())
                ))
                .unwrap();
            let truth = b.map(|it| it[..1].to_owned());
            expected.push(vec![Some(at.to_string()), whose, s.clone(), i, truth]);
        }
        let (_home, into) = place();
        let manifest =
            made(&store, &into, &declared, &[]).map_err(|error| TestCaseError::fail(format!("{error:?}")))?;
        let by_number = |it: &Vec<Option<String>>| it[0].as_ref().and_then(|it| it.parse::<usize>().ok());
        let mut found = rows(&into, &manifest, "lines");
        found.sort_by_key(by_number);
        prop_assert_eq!(found, expected);
        // The orders are what the other form says of them, which has a test of its own.
        let whole = rows(&into, &manifest, "orders");
        let mut other = manifest.clone();
        other.entities[0].files.retain(|it| it.format == FileFormat::JsonLines);
        let mut from_lines = Vec::new();
        let texts = |it: &Option<Vec<u8>>| it.clone().map(|it| String::from_utf8(it).unwrap());
        read::choose(&into, &other, &other.entities[0], &Silent)
            .unwrap()
            .each(&mut |row| {
                from_lines.push(row.values.iter().map(texts).collect::<Vec<_>>());
                Ok(())
            })
            .unwrap();
        prop_assert_eq!(whole, from_lines);
        Ok(())
    });
    outcome.unwrap();
}
