//! What stands in an export for people alone: names beside numbers, what counts as deleted, what the database works out.

use std::fs;
use std::path::Path;

use liftlock_engine::clock::SystemClock;
use liftlock_engine::error::Result;
use liftlock_engine::export::manifest::{FileFormat, Manifest};
use liftlock_engine::export::{Request, check, export};
use liftlock_engine::import::left_behind;
use liftlock_engine::import::mapping::Mapping;
use liftlock_engine::import::read;
use liftlock_engine::import::ready;
use liftlock_engine::import::suggest::suggest;
use liftlock_engine::model::profile::{DeletedBy, Export, ExportColumn, Shows};
use liftlock_engine::process::Silent;
use liftlock_engine::stores::DataStore;
use liftlock_engine::stores::postgres::PostgresStore;

use crate::postgres_documents::entity;
use crate::postgres_export::{database, place, request};
use crate::postgres_import::{Coming, told};

const FORMATS: &[FileFormat] = &[FileFormat::Csv, FileFormat::JsonLines, FileFormat::Xlsx, FileFormat::JsonDocuments];

const TABLES: &[&str] = &[
    "CREATE TABLE customers (id int PRIMARY KEY, name text, born date, deleted_at timestamptz)",
    "CREATE TABLE orders (id int PRIMARY KEY, customer_id int REFERENCES customers, clerk text, state text, cents int, \
     net int GENERATED ALWAYS AS (cents * 5 / 6) STORED)",
    "CREATE TABLE lines (order_id int REFERENCES orders, line_no int, PRIMARY KEY (order_id, line_no))",
];
const ROWS: &[&str] = &[
    "INSERT INTO customers VALUES (1, '=1+1', '2000-02-29', NULL), (2, NULL, NULL, '2026-01-01 00:00Z'), (3, E'Ö\\r\\n\"', '0044-03-15 BC', NULL)",
    "INSERT INTO orders (id, customer_id, clerk, state, cents) VALUES (1, 1, '3', 'open', 600), (2, 2, NULL, 'gone', 0), \
     (3, NULL, '9', 'archived', -6), (4, 1, '1', NULL, NULL)",
    "INSERT INTO lines VALUES (1, 1), (1, 2), (4, 1)",
];

fn shows(by: &str, column: &str, label: &str) -> Shows {
    Shows { by: by.into(), entity: "customers".into(), column: column.into(), label: label.into() }
}

fn declared() -> Vec<Export> {
    let deleted = |column: &str, values: &[&str]| DeletedBy {
        column: column.into(),
        values: values.iter().map(|it| (*it).to_owned()).collect(),
        label: None,
    };
    let named = |column: &str, label: &str| ExportColumn { column: column.into(), label: Some(label.into()) };
    vec![
        // What tells a deleted row comes along though nobody named it.
        Export {
            columns: vec![named("id", "Id"), named("name", "Name"), named("born", "Born")],
            deleted: Some(deleted("deleted_at", &[])),
            ..entity("customers", None)
        },
        Export {
            shows: vec![
                shows("customer_id", "name", "Customer"),
                shows("customer_id", "born", "Born on"),
                shows("clerk", "name", "Clerk"),
            ],
            deleted: Some(deleted("state", &["gone", "archived"])),
            ..entity("orders", None)
        },
        Export { part_of: entity("lines", Some(("order_id", "lines"))).part_of, ..entity("lines", None) },
    ]
}

fn made(store: &PostgresStore, into: &Path, declared: &[Export]) -> Result<Manifest> {
    export(&Request { declared, formats: FORMATS, ..request(into) }, &[store], &SystemClock, &Silent)
}

#[test]
fn names_and_what_is_deleted_stand_beside_in_every_form_for_people_alone() {
    let (_, store) = database(&[TABLES, ROWS].concat());
    let (_home, into) = place();
    let manifest = made(&store, &into, &declared()).unwrap_or_else(|error| panic!("{error} {:?}", error.details));
    let text = |name: &str| fs::read_to_string(into.join(name)).unwrap();
    let csv = text("orders.csv");
    let mut lines = csv.trim_start_matches('\u{feff}').split_terminator("\r\n");
    assert_eq!(
        lines.next(),
        Some(
            "id,customer_id,Customer (only to read),Born on (only to read),clerk,Clerk (only to read),state,\
             Deleted (only to read),cents,net"
        )
    );
    assert_eq!(lines.next(), Some("1,1,'=1+1,2000-02-29,3,\"Ö"), "a name that a spreadsheet would run is harmless too");
    assert!(
        csv.contains(
            "\r\n2,2,,,,,gone,true,0,0\r\n3,,,,9,,archived,true,-6,-5\r\n4,1,'=1+1,2000-02-29,1,'=1+1,,false,,\r\n"
        ),
        "{csv}"
    );
    let customers = text("customers.csv");
    assert!(customers.starts_with("\u{feff}Id,Name,Born,deleted_at,Deleted (only to read)\r\n"), "{customers}");
    assert!(customers.contains("\r\n2,,,2026-01-01 00:00:00+00,true\r\n"), "{customers}");
    let json = text("orders.jsonl");
    assert!(json.contains(r#""customer_id":1,"Customer":"=1+1","Born on":"2000-02-29","clerk":"3""#), "{json}");
    assert!(text("orders.json").contains(r#""state":"gone","Deleted":true"#));

    let [customers, orders, _] = manifest.entities.as_slice() else { panic!("{manifest:?}") };
    assert_eq!(manifest.format, 3, "who does not know what is only to read must not take it for a column");
    assert_eq!(orders.deleted.as_ref().map(|it| (it.column.as_str(), it.rows)), Some(("state", 2)));
    assert_eq!(customers.deleted.as_ref().map(|it| it.rows), Some(1));
    let read_me = text("README.txt");
    for said in [
        "customers: 3 rows",
        "  counted as deleted by the application: 1 rows, by “deleted_at”\r\n",
        "  only to read, not brought back in: Customer, Born on, Clerk, Deleted\r\n",
        "  worked out by the database, not brought back in: net\r\n",
        "Grey headings are of columns that are not brought back in",
    ] {
        assert!(read_me.contains(said), "{said} in {read_me}");
    }
    check::check(&into, &manifest, &Silent).unwrap();
    let left: Vec<_> = fs::read_dir(&into).unwrap().map(|it| it.unwrap().file_name()).collect();
    assert!(!left.iter().any(|it| it.to_string_lossy().starts_with('.')), "what waited is gone: {left:?}");

    // A name that was changed there is not what the database gave.
    fs::write(into.join("orders.csv"), csv.replacen(",1,'=1+1,", ",1,Me,", 1)).unwrap();
    assert_eq!(check::check(&into, &manifest, &Silent).unwrap_err().class, "export_differs");
}

#[test]
fn it_comes_back_as_it_was_and_what_is_only_to_read_is_passed_over() {
    let (from, source) = database(&[TABLES, ROWS].concat());
    for format in FORMATS {
        let (_home, into) = place();
        let mut manifest = made(&source, &into, &declared()).unwrap();
        manifest.entities.iter_mut().for_each(|it| it.files.retain(|it| it.format == *format));
        if *format == FileFormat::Csv {
            // Somebody changes a name that is only to read, and takes other columns out.
            let path = into.join("orders.csv");
            fs::write(
                &path,
                "id,customer_id,Customer (only to read),clerk,state,cents\r\n1,1,Somebody,3,open,600\r\n2,2,,,gone,0\r\n\
                 3,,,9,archived,-6\r\n4,1,,1,,\r\n",
            )
            .unwrap();
        }
        if *format == FileFormat::JsonLines {
            let path = into.join("orders.jsonl");
            let text = fs::read_to_string(&path).unwrap();
            fs::write(path, text.replace(r#""Born on":null,"#, "").replace(r#","net":-5"#, "")).unwrap();
        }
        let (new, target) = database(TABLES);
        let mut intake = target.intake().unwrap().unwrap();
        let coming = Coming::new(&into, &manifest, intake.as_mut());
        let said = coming.mapping.text().unwrap();
        assert!(!said.contains("Customer") && !said.contains("Deleted") && !said.contains("net"), "{said}");
        assert_eq!(left_behind(&coming.mapping, &manifest), Vec::<String>::new());
        let came = coming.comes(intake.as_mut(), false).unwrap();
        assert!(came.iter().all(|it| it.1.out == 0 && it.1.altered == 0), "{format:?}: {came:?}");
        for table in ["customers", "orders", "lines"] {
            let content = format!("SELECT ROW(t.*)::text AS told FROM {table} t ORDER BY 1");
            assert_eq!(told(&new, &content), told(&from, &content), "{format:?}: {table}");
        }
    }
}

#[test]
fn a_version_that_knows_no_deletion_is_told_of_and_nothing_can_be_mapped_from_what_is_only_to_read() {
    let (_, source) = database(&[TABLES, ROWS].concat());
    let (_home, into) = place();
    let manifest = made(&source, &into, &declared()).unwrap();
    let (_, target) = database(&[
        "CREATE TABLE customers (id int PRIMARY KEY, name text)",
        "CREATE TABLE orders (id int PRIMARY KEY, customer text)",
    ]);
    let mut intake = target.intake().unwrap().unwrap();
    let tables = intake.tables().unwrap();
    let mapping = suggest(&manifest, &tables, &[]);
    let said = left_behind(&mapping, &manifest);
    let expected = "1 rows of customers count as deleted, and nothing there tells that: they come in like the others.";
    assert!(said.iter().any(|it| it == expected), "{said:?}");
    assert!(!said.iter().any(|it| it.contains("only to read")), "what is only to read is no loss: {said:?}");
    let text = mapping.text().unwrap();
    assert!(!text.contains("from = \"Customer\""), "{text}");
    let by_hand = text.replacen("to = \"name\"\nfrom = \"name\"", "to = \"name\"\nfrom = \"Deleted\"", 1);
    assert_ne!(by_hand, text);
    let refused = ready(&Mapping::parse(&by_hand, "m").unwrap(), &manifest, &tables, &[]).unwrap_err();
    assert_eq!(refused.message, "In the mapping of customers: “Deleted” of customers is only to read.");
    let input = read::choose(&into, &manifest, &manifest.entities[0], &Silent).unwrap();
    assert_eq!(input.columns().len(), 5);
}

#[test]
fn a_heading_that_a_column_has_and_a_name_that_nothing_tells_are_refused() {
    let (_, store) = database(&[TABLES, ROWS].concat());
    let refused = |at: usize, change: &dyn Fn(&mut Export)| {
        let mut declared = declared();
        change(&mut declared[at]);
        let (_home, into) = place();
        let error = made(&store, &into, &declared).unwrap_err();
        assert!(!into.exists() && !error.remedy.is_empty());
        (error.class.into_owned(), error.message)
    };
    let (class, message) = refused(1, &|it| it.shows[0].label = "state".into());
    assert_eq!((class.as_str(), message.as_str()), ("heading_twice", "“state” is the name of two columns of orders."));
    let (class, message) = refused(1, &|it| it.shows[0].column = "nickname".into());
    assert_eq!(
        (class.as_str(), message.as_str()),
        ("entity_column_missing", "The table “customers” has no column “nickname”.")
    );
    let (class, message) = refused(0, &|it| it.deleted.as_mut().unwrap().column = "gone".into());
    assert_eq!(
        (class.as_str(), message.as_str()),
        ("entity_column_missing", "The table “customers” has no column “gone”.")
    );
    let (class, _) =
        refused(2, &|it| it.shows = vec![Shows { entity: "lines".into(), ..shows("line_no", "line_no", "X") }]);
    assert_eq!(class, "entity_column_missing", "lines are told apart by two columns");
}
