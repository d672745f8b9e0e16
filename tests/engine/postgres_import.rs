//! What was exported comes into another database: exact, tried first, and taken back exactly.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use liftlock_engine::error::{Error, Result};
use liftlock_engine::export::manifest::{FileFormat, Manifest};
use liftlock_engine::import::mapping::{Duplicates, Mapping};
use liftlock_engine::import::suggest::suggest;
use liftlock_engine::import::{lay_down, read, ready};
use liftlock_engine::process::Silent;
use liftlock_engine::stores::DataStore;
use liftlock_engine::stores::intake::{Came, Intake, Run};
use liftlock_engine::stores::postgres::PostgresStore;
use serde::Deserialize;

use crate::cluster::{self, PASSWORD, SUPERUSER};
use crate::postgres_export::{NASTY, database, exported, inside, place, store};
use crate::postgres_support::{admin, fingerprint};

/// The first column of what a question answers, a line a row.
pub(crate) fn told(database: &str, question: &str) -> Vec<String> {
    #[derive(Deserialize)]
    struct Row {
        told: Option<String>,
    }
    let mut session = admin().connect(database).unwrap();
    session.run("SET search_path TO public").unwrap();
    let rows: Vec<Row> = session.rows(question).unwrap_or_else(|error| panic!("{question}: {error:?}"));
    rows.into_iter().map(|it| it.told.unwrap_or_else(|| "nothing".to_owned())).collect()
}

/// Everything in a database but where its counters stand.
fn rows_of(database: &str) -> Vec<String> {
    fingerprint(cluster::shared(), database).into_iter().filter(|it| !it.contains("_seq ")).collect()
}

pub(crate) struct Coming<'a> {
    pub(crate) folder: &'a Path,
    pub(crate) manifest: &'a Manifest,
    pub(crate) mapping: Mapping,
    pub(crate) duplicates: Duplicates,
    pub(crate) run: &'a str,
    /// Of which rows of the export is said what.
    pub(crate) answers: BTreeMap<String, bool>,
}

impl<'a> Coming<'a> {
    pub(crate) fn new(folder: &'a Path, manifest: &'a Manifest, into: &mut dyn Intake) -> Self {
        let mapping = suggest(manifest, &into.tables().unwrap(), &[]);
        Self { folder, manifest, mapping, duplicates: Duplicates::Ask, run: "run-1", answers: BTreeMap::new() }
    }

    /// Each entity that comes, in order, with what became of it.
    pub(crate) fn comes(&self, into: &mut dyn Intake, trial: bool) -> Result<Vec<(String, Came)>> {
        let mut mapping = self.mapping.clone();
        mapping.entities.iter_mut().for_each(|it| it.duplicates = self.duplicates);
        let (mut entities, needed) = ready(&mapping, self.manifest, &into.tables()?, &[])?;
        entities.iter_mut().for_each(|it| it.answers = self.answers.clone());
        for number in needed {
            let exported = &self.manifest.entities[number];
            let input = read::choose(self.folder, self.manifest, exported, &Silent)?;
            lay_down(into, number, &input, exported, &Silent)?;
        }
        let run = Run { id: self.run.into(), source: self.manifest.source() };
        let came: Result<Vec<_>> =
            entities.iter().map(|it| Ok((it.entity.clone(), into.bring_in(&run, it, trial, &Silent)?))).collect();
        into.end()?;
        came
    }
}

fn intake(store: &PostgresStore) -> Box<dyn Intake> {
    store.intake().unwrap().unwrap()
}

fn shown(error: &Error) -> (String, String) {
    assert!(!error.remedy.is_empty(), "{error:?}");
    (error.class.to_string(), error.message.clone())
}

/// Only one of the forms is there to be read.
fn keep(folder: &Path, manifest: &Manifest, format: FileFormat) {
    for file in manifest.entities.iter().flat_map(|it| &it.files).filter(|it| it.format != format) {
        // A workbook holds several entities.
        let _ = fs::remove_file(folder.join(&file.file));
    }
}

#[test]
fn every_value_comes_in_as_it_was_from_every_form() {
    let (from, source) = database(NASTY);
    inside(&from, &["DROP TABLE \"Odd Name/..\""]);
    for format in [FileFormat::Csv, FileFormat::JsonLines, FileFormat::Xlsx] {
        let (_home, folder) = place();
        let manifest = exported(&source, &folder).unwrap();
        keep(&folder, &manifest, format);
        let (into, target) = database(&NASTY[..2]);
        let mut intake = intake(&target);
        let coming = Coming::new(&folder, &manifest, intake.as_mut());
        let came = coming.comes(intake.as_mut(), false).unwrap();
        assert_eq!((came[0].1.inserted, came[0].1.out, came[0].1.altered), (14, 0, 0), "{came:?}");
        let content = "SELECT ROW(n.*)::text AS told FROM nasty n ORDER BY id";
        assert_eq!(told(&into, content), told(&from, content), "{format:?}");
        assert_eq!(told(&into, "SELECT count(*)::text AS told FROM nasty WHERE t IS NULL"), ["3"]);
    }
}

#[test]
fn columns_whose_names_a_spreadsheet_would_run_come_in_too() {
    let odd = "CREATE TABLE odd (\"=id\" int PRIMARY KEY, \"'=a\" text, \"=a\" text, \"-b\" text, \"a;b\" text)";
    let (from, source) = database(&[odd, "INSERT INTO odd VALUES (1, 'x', 'w', 'y', 'z')"]);
    for format in [FileFormat::Csv, FileFormat::JsonLines, FileFormat::Xlsx] {
        let (_home, folder) = place();
        let manifest = exported(&source, &folder).unwrap();
        keep(&folder, &manifest, format);
        let (into, target) = database(&[odd]);
        let mut intake = intake(&target);
        let came = Coming::new(&folder, &manifest, intake.as_mut()).comes(intake.as_mut(), false).unwrap();
        assert_eq!((came[0].1.inserted, came[0].1.out), (1, 0), "{format:?}: {came:?}");
        let content = "SELECT ROW(o.*)::text AS told FROM odd o";
        assert_eq!(told(&into, content), told(&from, content), "{format:?}");
    }
}

const OLD: &[&str] = &[
    "CREATE TABLE customers (id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, email text UNIQUE NOT NULL, name text, \
     city text)",
    "CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, customer_id bigint NOT NULL REFERENCES customers, \
     billed_id bigint REFERENCES customers, reference text NOT NULL, total_cents bigint NOT NULL, t timestamptz)",
    "CREATE TABLE order_lines (order_id bigint REFERENCES orders, line_no int, sku text, quantity int, \
     PRIMARY KEY (order_id, line_no))",
    "CREATE TABLE log (what text)",
    "INSERT INTO customers (id, email, name, city) VALUES (10, 'a@example.org', 'A', 'Ghent'), (20, 'b@example.org', 'B', NULL), \
     (30, 'c@example.org', 'C', '')",
    "INSERT INTO orders (customer_id, billed_id, reference, total_cents, t) VALUES (10, 20, 'r1', 1005, '2026-01-01 00:00Z'), \
     (30, NULL, 'r2', 99, NULL), (20, 10, 'r3', 0, 'infinity')",
    "INSERT INTO order_lines VALUES (1, 1, 'S1', 2), (1, 2, 'S2', 1), (3, 1, 'S1', 7)",
    "INSERT INTO log VALUES ('x')",
];
const NEW: &[&str] = &[
    "CREATE TABLE customers (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), email text UNIQUE NOT NULL, name varchar(20) NOT NULL)",
    "CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, customer uuid NOT NULL REFERENCES customers, \
     billed uuid REFERENCES customers, reference text NOT NULL, total numeric(12,2) NOT NULL CHECK (total >= 0), \
     lines jsonb NOT NULL, t timestamptz)",
    "CREATE TABLE notes (id int PRIMARY KEY, order_id bigint REFERENCES orders ON DELETE CASCADE)",
    "INSERT INTO customers (email, name) VALUES ('b@example.org', 'B before'), ('z@example.org', 'Z')",
];
const ORDERS: &str = "SELECT concat_ws('|', reference, c.email, b.email, total, lines, o.t) AS told FROM orders o \
    JOIN customers c ON c.id = o.customer LEFT JOIN customers b ON b.id = o.billed ORDER BY reference";

#[test]
fn ids_are_made_anew_names_follow_them_and_all_of_it_is_taken_back() {
    let (_, source) = database(OLD);
    let (_home, folder) = place();
    let manifest = exported(&source, &folder).unwrap();
    let (into, target) = database(NEW);
    let before = fingerprint(cluster::shared(), &into);
    let mut intake = intake(&target);
    let mut coming = Coming::new(&folder, &manifest, intake.as_mut());
    assert_eq!(coming.mapping.left_out, ["log", "order_lines"], "one is gathered, one has no place");
    assert_eq!(Mapping::parse(&coming.mapping.text().unwrap(), "mapping.toml").unwrap(), coming.mapping);

    // A trial leaves no trace, not even in a counter.
    let tried = coming.comes(intake.as_mut(), true).unwrap();
    assert_eq!(tried.iter().map(|it| it.0.as_str()).collect::<Vec<_>>(), ["customers", "orders"]);
    assert_eq!((tried[0].1.inserted, tried[0].1.skipped, tried[1].1.inserted), (2, 1, 3), "{tried:?}");
    assert_eq!(fingerprint(cluster::shared(), &into), before);

    coming.duplicates = Duplicates::Update;
    let came = coming.comes(intake.as_mut(), false).unwrap();
    assert_eq!((came[0].1.inserted, came[0].1.updated, came[1].1.inserted), (2, 1, 3), "{came:?}");
    assert_eq!(
        told(&into, ORDERS),
        [
            "r1|a@example.org|b@example.org|10.05|[{\"sku\": \"S1\", \"line_no\": 1, \"quantity\": 2}, \
             {\"sku\": \"S2\", \"line_no\": 2, \"quantity\": 1}]|2026-01-01 00:00:00+00",
            "r2|c@example.org|0.99|[]",
            "r3|b@example.org|a@example.org|0.00|[{\"sku\": \"S1\", \"line_no\": 1, \"quantity\": 7}]|infinity",
        ]
    );
    assert_eq!(told(&into, "SELECT name AS told FROM customers WHERE email = 'b@example.org'"), ["B"]);
    assert_eq!(told(&into, "SELECT min(id)::text AS told FROM orders"), ["1"], "no number was used up by the trial");

    // Once more: all of it is there already.
    coming.run = "run-2";
    let again = coming.comes(intake.as_mut(), false).unwrap();
    assert_eq!((again[0].1.earlier, again[1].1.earlier, again[1].1.inserted), (3, 3, 0), "{again:?}");

    // What somebody changed, or named, since stays; the rest goes.
    inside(
        &into,
        &["UPDATE customers SET name = 'Mine' WHERE email = 'c@example.org'", "INSERT INTO notes VALUES (1, 1)"],
    );
    let taken = intake.take_back("run-1", &Silent).unwrap();
    let figures: Vec<_> = taken.iter().map(|it| (it.table.as_str(), it.removed, it.restored, it.staying)).collect();
    assert_eq!(figures, [("orders", 2, 0, 1), ("customers", 0, 1, 2)], "{taken:?}");
    assert_eq!(taken[0].stay, ["1: notes name it"]);
    assert!(taken[1].stay.iter().any(|it| it.ends_with("it was changed since")), "{taken:?}");
    assert_eq!(
        told(&into, "SELECT count(*)::text AS told FROM notes"),
        ["1"],
        "what a user wrote is never taken along"
    );
    inside(&into, &["DELETE FROM notes", "UPDATE customers SET name = 'C' WHERE email = 'c@example.org'"]);
    let taken = intake.take_back("run-1", &Silent).unwrap();
    assert_eq!(taken.iter().map(|it| (it.removed, it.staying)).collect::<Vec<_>>(), [(1, 0), (2, 0)], "{taken:?}");
    let mut after = rows_of(&into);
    let mut wanted: Vec<_> = before.into_iter().filter(|it| !it.contains("_seq ")).collect();
    after.sort();
    wanted.sort();
    assert_eq!(after, wanted);
}

#[test]
fn each_row_that_cannot_come_in_is_named_with_the_reason_and_the_others_come() {
    let (_, source) = database(OLD);
    let (_home, folder) = place();
    let manifest = exported(&source, &folder).unwrap();
    let edit = |file: &str, from: &str, to: &str| {
        let path = folder.join(file);
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{from} in {text}");
        fs::write(path, text.replacen(from, to, 1)).unwrap();
    };
    edit(
        "customers.csv",
        "10,a@example.org,A,Ghent\r\n",
        "10,a@example.org,A name that is longer than allowed,Ghent\r\n",
    );
    edit(
        "customers.csv",
        "30,c@example.org,C,\"\"\r\n",
        "30,c@example.org,,\"\"\r\n,hand@example.org,By hand,\r\n30,twice@x,T,\r\n",
    );
    edit("orders.csv", "2026-01-01 00:00:00+00", "31.02.2026");
    edit("orders.csv", ",r3,0,", ",r3,-5,");
    let (into, target) = database(NEW);
    let mut intake = intake(&target);
    let mut coming = Coming::new(&folder, &manifest, intake.as_mut());
    coming.duplicates = Duplicates::Skip;
    let came = coming.comes(intake.as_mut(), false).unwrap();
    let why: Vec<_> =
        came.iter().flat_map(|it| &it.1.troubles).map(|it| format!("{} {:?}: {}", it.n, it.col, it.why)).collect();
    let expected = [
        "1 None: name: A name that is longer than allowed does not fit character varying(20) without being altered",
        "3 Some(\"name\"): null value in column \"name\" of relation \"customers\" violates not-null constraint.",
        "5 None: its key is the one of an earlier row",
        "1 Some(\"t\"): date/time field value out of range: \"31.02.2026\"",
        "2 None: customer_id: 30 of customers did not come in",
        "3 None: billed_id: 10 of customers did not come in",
    ];
    assert_eq!(why.len(), expected.len(), "{why:#?}");
    for (why, expected) in why.iter().zip(expected) {
        assert!(why.starts_with(expected), "{why}\n{expected}");
    }
    assert_eq!((came[0].1.inserted, came[0].1.skipped, came[1].1.inserted), (1, 1, 0), "{came:?}");
    // The row that was added by hand is on record like any other.
    let taken = intake.take_back("run-1", &Silent).unwrap();
    assert_eq!((taken[0].removed, taken[0].staying), (1, 0), "{taken:?}");
    assert_eq!(told(&into, "SELECT count(*)::text AS told FROM customers"), ["2"]);
}

/// An edit of `customers.csv`, and how its refusal begins.
type Case = (&'static str, fn(&str) -> Vec<u8>, &'static str, &'static str);

const EDITS: &[Case] = &[
    (
        "a column was taken out",
        |it| {
            it.replace("id,email,name,city", "id,email,city")
                .replace(",A,", ",")
                .replace(",B,", ",")
                .replace(",C,", ",")
                .into()
        },
        "column_missing",
        "customers.csv, line 1: the column “name” is missing.",
    ),
    ("broken quotes", |it| it.replace(",A,", ",\"A,").into(), "broken_quotes", "customers.csv, line 2, column 3: "),
    (
        "one field too many",
        |it| it.replace(",B,", ",B,C,").into(),
        "bad_row",
        "customers.csv, line 3, column 5: the row has 5 fields where 4 are expected.",
    ),
    (
        "another encoding",
        |it| it.replace(",A,", ",Ä,").chars().map(|it| u8::try_from(u32::from(it)).unwrap_or(b'?')).collect(),
        "not_utf8",
        "customers.csv, line 2, column 3",
    ),
    (
        "UTF-16",
        |it| it.encode_utf16().flat_map(u16::to_le_bytes).collect(),
        "utf16",
        "customers.csv, line 1, column 1: the file is UTF-16, not UTF-8.",
    ),
    (
        "a file from elsewhere",
        |_| b"Artikel;Preis\r\nSchraube;1,20\r\n".to_vec(),
        "no_headings",
        "customers.csv, line 1: none of the headings is one of this export.",
    ),
    ("an empty file", |_| Vec::new(), "no_headings", "customers.csv, line 1: none"),
    (
        "a heading twice",
        |it| it.replace("id,email,name,city", "id,email,name,name").into(),
        "column_twice",
        "customers.csv, line 1, column 4: “name” stands there twice.",
    ),
    (
        "a zero byte",
        |it| it.replace(",A,", ",A\0,").into(),
        "bad_row",
        "customers.csv, line 2: a value holds a zero byte.",
    ),
];

#[test]
fn a_file_that_was_half_edited_is_refused_with_line_and_column_and_nothing_comes_in() {
    let (_, source) = database(OLD);
    let (_home, folder) = place();
    let manifest = exported(&source, &folder).unwrap();
    let file = folder.join("customers.csv");
    let good = fs::read_to_string(&file).unwrap();
    let (into, target) = database(NEW);
    let before = fingerprint(cluster::shared(), &into);
    let mut intake = intake(&target);
    let coming = Coming::new(&folder, &manifest, intake.as_mut());
    for (what, edit, class, message) in EDITS {
        fs::write(&file, edit(good.trim_start_matches('\u{feff}'))).unwrap();
        let error = coming.comes(intake.as_mut(), true).unwrap_err();
        intake.end().unwrap();
        let (seen, said) = shown(&error);
        assert!(seen == *class && said.starts_with(message), "{what}: {seen}: {said}");
    }
    assert_eq!(fingerprint(cluster::shared(), &into), before);

    // Another separator, other line ends, another order of columns, an extra column, empty lines at the end: fine.
    let other = "city;name;email;id;mine\nGhent;A;a@example.org;10;1\n;B;b@example.org;20;\n\"\";C;c@example.org;30;x\n\n;;;;\n";
    fs::write(&file, other).unwrap();
    let came = coming.comes(intake.as_mut(), true).unwrap();
    assert_eq!((came[0].1.rows, came[0].1.inserted, came[0].1.skipped), (3, 2, 1), "{came:?}");
    // Both forms were edited: a person says which one is meant.
    fs::write(folder.join("customers.jsonl"), "{}").unwrap();
    assert_eq!(coming.comes(intake.as_mut(), true).unwrap_err().class, "edited_twice");
    fs::remove_file(&file).unwrap();
    let (class, said) = shown(&coming.comes(intake.as_mut(), true).unwrap_err());
    assert_eq!((class.as_str(), said.as_str()), ("bad_row", "customers.jsonl, line 1: “id” is missing."));
    fs::remove_file(folder.join("customers.jsonl")).unwrap();
    fs::remove_file(folder.join("shop.xlsx")).unwrap();
    assert_eq!(coming.comes(intake.as_mut(), true).unwrap_err().class, "no_file");
}

#[test]
fn a_table_that_is_gone_or_closed_is_named_and_what_came_before_it_is_whole() {
    let (_, source) = database(OLD);
    let (_home, folder) = place();
    let manifest = exported(&source, &folder).unwrap();
    let (into, target) = database(NEW);
    let role = format!("{into}_clerk");
    inside(
        &into,
        &[
            &format!("CREATE ROLE {role} LOGIN PASSWORD 'pw'"),
            &format!("GRANT CREATE ON DATABASE {into} TO {role}"),
            &format!("GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}"),
            &format!("GRANT INSERT, UPDATE, DELETE ON customers TO {role}"),
        ],
    );
    let mut clerk = intake(&store(&into, &role, "pw"));
    let mut coming = Coming::new(&folder, &manifest, clerk.as_mut());
    coming.duplicates = Duplicates::Skip;
    let error = coming.comes(clerk.as_mut(), false).unwrap_err();
    clerk.end().unwrap();
    assert_eq!(error.class, "insufficient_rights", "{error:?}");
    assert!(error.details.iter().any(|it| it == "while bringing in orders"), "{:?}", error.details);
    assert_eq!(told(&into, "SELECT count(*)::text AS told FROM customers"), ["4"], "they are whole");
    let taken = clerk.take_back("run-1", &Silent).unwrap();
    assert_eq!(taken[0].removed, 2);
    drop(clerk);

    let mut intake = intake(&target);
    let coming = Coming::new(&folder, &manifest, intake.as_mut());
    inside(&into, &["DROP TABLE notes", "DROP TABLE orders"]);
    let (class, said) = shown(&coming.comes(intake.as_mut(), true).unwrap_err());
    assert_eq!(
        (class.as_str(), said.as_str()),
        ("bad_mapping", "In the mapping of orders: there is no table “orders”.")
    );
}

#[test]
fn a_mapping_that_does_not_fit_is_refused_with_the_place() {
    let (_, source) = database(OLD);
    let (_home, folder) = place();
    let manifest = exported(&source, &folder).unwrap();
    let (_, target) = database(NEW);
    let mut intake = intake(&target);
    let coming = Coming::new(&folder, &manifest, intake.as_mut());
    let text = coming.mapping.text().unwrap();
    let tables = intake.tables().unwrap();
    let refused = |from: &str, to: &str| {
        assert!(text.contains(from), "{from} in {text}");
        let edited = text.replacen(from, to, 1);
        let answer = Mapping::parse(&edited, "mapping.toml").and_then(|it| ready(&it, &manifest, &tables, &[]));
        let (class, said) = shown(&answer.unwrap_err());
        assert_eq!(class, "bad_mapping");
        said
    };
    assert_eq!(
        refused("from = \"email\"", "from = \"mail\""),
        "In the mapping of customers: customers of the export have no column “mail”."
    );
    assert_eq!(
        refused("to = \"email\"", "to = \"mail\""),
        "In the mapping of customers: the table customers has no column “mail”."
    );
    assert_eq!(
        refused("refers_to = \"customers\"", "refers_to = \"people\""),
        "In the mapping of orders: “customer” names people, which do not come in."
    );
    assert!(refused("format = 1", "format = 9").starts_with("mapping.toml is of another form (9)"));
    assert!(refused("to = \"email\"", "tu = \"email\"").starts_with("mapping.toml, line "));
    assert_eq!(
        refused("[[entities.columns]]\nto = \"email\"\nfrom = \"email\"\n", ""),
        "In the mapping of customers: “email” needs a value, and nothing comes into it."
    );
    // What the application takes in by itself gets all of its values, whether it is new or not.
    let mut through = tables.clone();
    through.iter_mut().filter(|it| it.name == "customers").for_each(|it| it.entity = Some("customers".to_owned()));
    let text = text.replacen("from = \"email\"", "from = \"email\"\nonly_new = true", 1);
    let mapping = Mapping::parse(&text, "mapping.toml").unwrap();
    ready(&mapping, &manifest, &tables, &[]).unwrap();
    assert_eq!(
        shown(&ready(&mapping, &manifest, &through, &[]).unwrap_err()).1,
        "In the mapping of customers: “email” cannot be for new ones alone: the application itself takes them in."
    );
}

#[test]
fn what_two_shops_call_the_same_is_not_the_same() {
    let (into, target) = database(NEW);
    let mut intake = intake(&target);
    for (at, name) in ["one", "two"].into_iter().enumerate() {
        let (_, source) = database(&OLD[..3]);
        let (_home, folder) = place();
        let endpoint =
            &[&*format!("INSERT INTO customers (id, email, name) VALUES (1, '{name}@example.org', '{name}')")];
        let (shop, _) = (told_name(&source), ());
        inside(&shop, endpoint);
        let manifest = exported(&source, &folder).unwrap();
        let coming = Coming::new(&folder, &manifest, intake.as_mut());
        let came = coming.comes(intake.as_mut(), false).unwrap();
        assert_eq!((came[0].1.inserted, came[0].1.earlier), (1, 0), "{at}: {came:?}");
    }
    assert_eq!(told(&into, "SELECT count(*)::text AS told FROM customers"), ["4"]);
}

/// The database of a store.
fn told_name(store: &PostgresStore) -> String {
    let liftlock_engine::stores::Place::Postgres { database, .. } = store.place().unwrap() else {
        panic!("no database")
    };
    database
}

#[test]
fn an_import_that_ends_between_two_entities_goes_on_without_doubling() {
    let (_, source) = database(OLD);
    let (_home, folder) = place();
    let manifest = exported(&source, &folder).unwrap();
    let (into, _) = database(NEW);
    let target = store(&into, SUPERUSER, PASSWORD);
    let mut first = intake(&target);
    let mut coming = Coming::new(&folder, &manifest, first.as_mut());
    coming.duplicates = Duplicates::Skip;
    let whole = coming.mapping.clone();
    coming.mapping.entities.retain(|it| it.entity == "customers");
    coming.comes(first.as_mut(), false).unwrap();
    drop(first);
    coming.mapping = whole;
    let mut second = intake(&target);
    let came = coming.comes(second.as_mut(), false).unwrap();
    assert_eq!((came[0].1.earlier, came[0].1.inserted, came[1].1.inserted), (3, 0, 3), "{came:?}");
    let taken = second.take_back("run-1", &Silent).unwrap();
    assert_eq!(taken.iter().map(|it| it.removed).sum::<u64>(), 5, "{taken:?}");
}

#[test]
fn a_table_that_the_server_believes_to_be_empty_is_filled_in_a_straight_line() {
    let old = "CREATE TABLE notes (id bigint PRIMARY KEY, body text UNIQUE)";
    let (_, source) = database(&[old, "INSERT INTO notes SELECT n, 'note ' || n FROM generate_series(1, 20000) n"]);
    let (_home, folder) = place();
    let manifest = exported(&source, &folder).unwrap();
    // Filled, emptied and looked at by the server while it was empty; its last page stays, so it is believed to hold nothing.
    let (into, target) =
        database(&[old, "INSERT INTO notes SELECT n, 'x' || n FROM generate_series(1, 20000) n", "DELETE FROM notes"]);
    inside(&into, &["VACUUM (ANALYZE, TRUNCATE off) notes"]);
    let mut intake = intake(&target);
    let coming = Coming::new(&folder, &manifest, intake.as_mut());
    let came = coming.comes(intake.as_mut(), false).unwrap();
    assert_eq!((came[0].1.inserted, came[0].1.out), (20_000, 0), "{came:?}");
    drop(intake);
    // A way that goes over all of them for each reads each twenty thousand times.
    let read = "SELECT (tup_returned / 20000)::text AS told FROM pg_stat_database WHERE datname = current_database()";
    let times: u32 = told(&into, read)[0].parse().unwrap();
    assert!(times < 200, "each row was read {times} times");
}

/// As many as a shop has after years. It takes minutes, and runs with `LIFTLOCK_LONG=1`.
#[test]
fn two_hundred_thousand_orders_come_in_and_go_in_a_straight_line() {
    if std::env::var("LIFTLOCK_LONG").as_deref() != Ok("1") {
        return;
    }
    let (from, source) = database(&OLD[..4]);
    inside(
        &from,
        &[
            "INSERT INTO customers (email, name) SELECT 'c' || n, 'Customer ' || n FROM generate_series(1, 10000) n",
            "INSERT INTO orders (customer_id, billed_id, reference, total_cents, t) SELECT 1 + n % 10000, 1 + n % 77, 'r' || n, n, \
             now() FROM generate_series(1, 200000) n",
            "INSERT INTO order_lines SELECT n, l, 'S' || l, n % 9 FROM generate_series(1, 200000) n, generate_series(1, 2) l",
        ],
    );
    let (_home, folder) = place();
    let begun = std::time::Instant::now();
    let manifest = exported(&source, &folder).unwrap();
    let exported_in = begun.elapsed();
    let (into, target) = database(NEW);
    let mut intake = intake(&target);
    let coming = Coming::new(&folder, &manifest, intake.as_mut());
    let begun = std::time::Instant::now();
    let came = coming.comes(intake.as_mut(), false).unwrap();
    let came_in = begun.elapsed();
    assert_eq!((came[0].1.inserted, came[1].1.inserted, came[1].1.out), (10_000, 200_000, 0), "{came:?}");
    let figures = "SELECT concat_ws(' ', count(*), sum(total), sum(jsonb_array_length(lines)), md5(string_agg(reference || c.email, \
                   '' ORDER BY reference))) AS told FROM orders o JOIN customers c ON c.id = o.customer";
    let before = "SELECT concat_ws(' ', count(*), (sum(total_cents) / 100)::numeric(20,2), 400000, md5(string_agg(reference || \
                  c.email, '' ORDER BY reference))) AS told FROM orders o JOIN customers c ON c.id = o.customer_id";
    assert_eq!(told(&into, figures), told(&from, before));
    let begun = std::time::Instant::now();
    let taken = intake.take_back("run-1", &Silent).unwrap();
    assert_eq!(taken.iter().map(|it| it.removed).collect::<Vec<_>>(), [200_000, 10_000]);
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find(|it| it.starts_with("VmHWM")).unwrap();
    eprintln!("out {exported_in:?}, in {came_in:?}, back {:?}, {peak}", begun.elapsed());
}
