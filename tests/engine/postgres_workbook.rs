//! Exports as one workbook and as one zip, saved again by programs that know nothing of ours.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::Path;
use std::process::Command;

use liftlock_engine::clock::SystemClock;
use liftlock_engine::error::Result;
use liftlock_engine::export::manifest::{FileFormat, Manifest};
use liftlock_engine::export::packed::opened;
use liftlock_engine::export::{Request, check, export, open};
use liftlock_engine::import::read;
use liftlock_engine::process::Silent;
use liftlock_engine::stores::postgres::PostgresStore;
use zip::write::SimpleFileOptions;

use crate::postgres_export::{NASTY, database, exported, place, request};

type Rows = Vec<Vec<Option<String>>>;

/// The rows of an entity as they would come in, and from which file.
fn rows(folder: &Path, manifest: &Manifest, entity: &str) -> Result<(String, Rows)> {
    let entity = manifest.entities.iter().find(|it| it.entity == entity).unwrap();
    let input = read::choose(folder, manifest, entity, &Silent)?;
    let mut rows = Vec::new();
    input.each(&mut |row| {
        let text = |it: &Option<Vec<u8>>| it.clone().map(|it| String::from_utf8(it).unwrap());
        rows.push(row.values.iter().map(text).collect());
        Ok(())
    })?;
    Ok((input.name(), rows))
}

/// What the folder holds in one form alone.
fn only(folder: &Path, manifest: &Manifest, format: FileFormat) {
    for file in manifest.entities.iter().flat_map(|it| &it.files).filter(|it| it.format != format) {
        fs::remove_file(folder.join(&file.file)).unwrap_or_default();
    }
}

fn soffice(folder: &Path, to: &str, file: &Path) {
    let profile = format!("-env:UserInstallation=file://{}", folder.join("profile").display());
    let out = folder.join("saved");
    let ended = Command::new("soffice")
        .args(["--headless", &profile, "--convert-to", to, "--outdir"])
        .arg(&out)
        .arg(file)
        .output();
    assert!(ended.unwrap().status.success());
}

const OFFICE: &[&str] = &[
    "CREATE TABLE things (id bigint PRIMARY KEY, t text, note text NOT NULL, n numeric(12,2), f float8, b bool, d date, ts timestamp, \
     tz timestamptz, big bigint)",
    "INSERT INTO things VALUES (1, '=1+1', '', 5.20, 0.1, true, '2026-11-22', '2026-11-22 13:14:15.5', '2026-11-22 13:14Z', 1), \
     (2, '+31 20 123', '@SUM(A1)', -7.00, 1e20, false, '1900-02-28', '2026-03-29 02:30:00.123456', NULL, 9007199254740993), \
     (3, '-5', '''x', 0.30, 'NaN', NULL, '0044-03-15 BC', 'infinity', 'infinity', NULL), \
     (4, NULL, E'two\\nlines', NULL, NULL, NULL, NULL, NULL, NULL, NULL), (5, '', ' x ', 1, 1, true, NULL, NULL, NULL, 3), \
     (6, 'TRUE', '007', 1, 1, true, NULL, NULL, NULL, 3), (7, repeat('long ', 20000), '2026-01-01', 1, 1, true, NULL, NULL, NULL, 3), \
     (8, '=cmd|'' /C calc''!A0', '=HYPERLINK(\"http://127.0.0.1:9/\")', 1, 1, true, NULL, NULL, NULL, 3)",
];

/// LibreOffice runs no cell as a formula, and what it saved comes in as it was: only with `--long`, because it is large.
#[test]
fn libreoffice_runs_no_cell_and_saves_every_value_as_it_was() {
    if std::env::var("LIFTLOCK_LONG").as_deref() != Ok("1") {
        return;
    }
    let (_, store) = database(OFFICE);
    let (home, into) = place();
    let manifest = exported(&store, &into).unwrap();
    let (_, before) = rows(&into, &manifest, "things").unwrap();

    // Every cell as LibreOffice shows it: a formula would stand there as its result.
    for file in ["shop.xlsx", "things.csv"] {
        soffice(home.path(), "html", &into.join(file));
        let shown = fs::read_to_string(home.path().join("saved").join(Path::new(file).with_extension("html"))).unwrap();
        for inert in ["=1+1", "=HYPERLINK(", "=cmd|", "@SUM(A1)"] {
            assert!(shown.contains(inert), "{file}: {inert} in {shown}");
        }
    }

    soffice(home.path(), "xlsx:Calc MS Excel 2007 XML", &into.join("shop.xlsx"));
    only(&into, &manifest, FileFormat::Xlsx);
    let workbook = into.join("shop.xlsx");
    assert_ne!(fs::read(home.path().join("saved/shop.xlsx")).unwrap(), fs::read(&workbook).unwrap());
    fs::copy(home.path().join("saved/shop.xlsx"), &workbook).unwrap();
    let (from, after) = rows(&into, &manifest, "things").unwrap();
    assert_eq!((from.as_str(), &after), ("shop.xlsx", &before));
}

#[test]
fn a_workbook_that_a_person_edited_comes_in_as_it_is_now() {
    let (_, store) = database(&[
        "CREATE TABLE item (id int PRIMARY KEY, name text, price numeric(8,2), sold date)",
        "INSERT INTO item VALUES (1, 'a', 1.10, '2026-01-01'), (2, '', NULL, NULL)",
    ]);
    let (_home, into) = place();
    let manifest = exported(&store, &into).unwrap();
    only(&into, &manifest, FileFormat::Xlsx);
    let some = |it: [&str; 4]| it.map(|it| Some(it.to_owned())).to_vec();
    let file = into.join("shop.xlsx");
    let edit = |edit: &dyn Fn(&mut rust_xlsxwriter::Worksheet)| {
        let mut book = rust_xlsxwriter::Workbook::new();
        book.add_worksheet().set_name("Notes").unwrap();
        let sheet = book.add_worksheet().set_name("item").unwrap();
        edit(sheet);
        book.save(&file).unwrap();
        rows(&into, &manifest, "item").map(|it| it.1)
    };
    let day = rust_xlsxwriter::Format::new().set_num_format("dd/mm/yyyy");
    // Another order of columns, one of their own, an empty row, words where numbers were typed.
    let found = edit(&|it| {
        it.write_row(0, 0, ["sold", "price", "My own", "Name", "ID"]).unwrap();
        it.write_number_with_format(1, 0, 46_348, &day).unwrap().write_number(1, 1, 5.2).unwrap();
        it.write_string(1, 3, "007").unwrap().write_number(1, 4, 7).unwrap();
        it.write_string(3, 0, "2026-11-23").unwrap().write_string(3, 1, "2.5").unwrap();
        it.write_number(3, 3, 49_301_234_567.0).unwrap().write_string(3, 4, "8").unwrap();
    });
    let expected = vec![some(["7", "007", "5.20", "2026-11-22"]), some(["8", "49301234567", "2.5", "2026-11-23"])];
    assert_eq!(found.unwrap(), expected);

    let class = |found: Result<Rows>| {
        let error = found.unwrap_err();
        assert!(!error.remedy.is_empty());
        (error.class.into_owned(), error.message)
    };
    let missing = edit(&|it| _ = it.write_row(0, 0, ["id", "name", "sold"]).unwrap());
    assert_eq!(class(missing).1, "shop.xlsx, sheet “item”, row 1: the column “price” is missing.");
    let other = edit(&|it| _ = it.write_row(0, 0, ["x", "y"]).unwrap());
    assert_eq!(class(other).0, "no_headings");
    let renamed = edit(&|it| _ = it.set_name("item old").unwrap());
    assert_eq!(class(renamed), ("sheet_missing".into(), "shop.xlsx: the sheet “item” is missing.".into()));
    let broken = edit(&|it| {
        it.write_row(0, 0, ["id", "name", "price", "sold"]).unwrap();
        it.write_formula(1, 2, rust_xlsxwriter::Formula::new("=1/0").set_result("#DIV/0!")).unwrap();
    });
    assert_eq!(class(broken).1, "shop.xlsx, sheet “item”, row 2, column C: the cell holds the error #DIV/0!.");
    fs::write(&file, "no workbook").unwrap();
    assert_eq!(class(rows(&into, &manifest, "item").map(|it| it.1)).0, "bad_workbook");
}

fn packed(store: &PostgresStore, into: &Path) -> Manifest {
    export(&Request { zip: true, ..request(into) }, &[store], &SystemClock, &Silent).unwrap()
}

/// What becomes of an entry: its name and its bytes.
type Change<'c> = &'c dyn Fn(&str, Vec<u8>) -> Option<(String, Vec<u8>)>;

/// Every entry of a zip, as `change` makes it.
fn repacked(from: &Path, to: &Path, change: Change<'_>) {
    let mut old = zip::ZipArchive::new(File::open(from).unwrap()).unwrap();
    let mut new = zip::ZipWriter::new(File::create(to).unwrap());
    for at in 0..old.len() {
        let mut entry = old.by_index(at).unwrap();
        let (name, mut bytes) = (entry.name().unwrap().into_owned(), Vec::new());
        entry.read_to_end(&mut bytes).unwrap();
        if let Some((name, bytes)) = change(&name, bytes) {
            new.start_file(name, SimpleFileOptions::default()).unwrap();
            new.write_all(&bytes).unwrap();
        }
    }
    new.finish().unwrap();
}

#[test]
fn one_zip_holds_the_same_as_the_folder_and_is_opened_again() {
    let (_, store) = database(NASTY);
    let (home, into) = place();
    let zip = home.path().join("export.zip");
    let manifest = packed(&store, &zip);
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 1, "nothing lies beside it in the clear");
    assert_eq!(open(&zip).unwrap(), manifest);
    let folder = exported(&store, &into).unwrap();
    let content = |it: &Manifest| it.entities.iter().map(|it| it.content_sha256.clone()).collect::<Vec<_>>();
    assert_eq!(content(&folder), content(&manifest));

    let scratch = home.path().join("scratch");
    let unpacked = opened(&zip, &scratch, &Silent).unwrap();
    check::check(&unpacked.folder, &manifest, &Silent).unwrap();
    drop(unpacked);
    assert_eq!(fs::read_dir(&scratch).unwrap().count(), 0, "what was laid out is gone");

    // As a person packs it: in a folder, with what the system adds; and what would lie elsewhere is not laid out.
    let again = home.path().join("again.zip");
    repacked(&zip, &again, &|name, bytes| Some((format!("shop/{name}"), bytes)));
    repacked(&again, &zip, &|name, bytes| match name {
        "shop/README.txt" => Some(("../outside.csv".to_owned(), bytes)),
        _ => Some((name.to_owned(), bytes)),
    });
    let unpacked = opened(&zip, &scratch, &Silent).unwrap();
    check::check(&unpacked.folder, &manifest, &Silent).unwrap();
    assert!(!scratch.join("outside.csv").exists() && !home.path().join("outside.csv").exists());

    // An edited file is found out, and a zip that was cut short, or is none.
    repacked(&again, &zip, &|name, bytes| {
        let edited = if name.ends_with("nasty.csv") { [bytes.as_slice(), b"x"].concat() } else { bytes };
        Some((name.to_owned(), edited))
    });
    let unpacked = opened(&zip, &scratch, &Silent).unwrap();
    assert_eq!(check::check(&unpacked.folder, &manifest, &Silent).unwrap_err().class, "bad_row");
    let bytes = fs::read(&again).unwrap();
    fs::write(&zip, &bytes[..bytes.len() / 2]).unwrap();
    assert_eq!(open(&zip).unwrap_err().class, "not_an_export");
    let mut damaged = bytes.clone();
    let at = damaged.windows(9).position(|it| it == b"nasty.csv").unwrap() + 40;
    damaged[at..at + 8].fill(0x55);
    fs::write(&zip, &damaged).unwrap();
    assert_eq!(opened(&zip, &scratch, &Silent).unwrap_err().class, "damaged_zip");
}

/// A manifest as it was written before workbooks and zips.
#[test]
fn an_export_of_an_older_liftlock_is_still_read() {
    let (_, store) = database(&["CREATE TABLE item (id int PRIMARY KEY)", "INSERT INTO item VALUES (1)"]);
    let (_home, into) = place();
    let formats = [FileFormat::Csv, FileFormat::JsonLines];
    let made = export(&Request { formats: &formats, ..request(&into) }, &[&store], &SystemClock, &Silent).unwrap();
    let text = fs::read_to_string(into.join("manifest.json")).unwrap();
    assert!(text.contains(r#""format": 1,"#) && !text.contains("sheets") && !text.contains("beside"), "{text}");
    check::check(&into, &open(&into).unwrap(), &Silent).unwrap();
    assert_eq!(rows(&into, &made, "item").unwrap().1, [[Some("1".to_owned())]]);
    fs::write(into.join("manifest.json"), r#"{"format": 9, "entities": {}}"#).unwrap();
    assert_eq!(open(&into).unwrap_err().class, "newer_export");
}
