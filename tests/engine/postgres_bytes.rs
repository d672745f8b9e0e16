//! Pictures and other bytes in an export: as base64, or each in a file of its own, and back.

use std::fs;
use std::path::Path;

use liftlock_engine::clock::SystemClock;
use liftlock_engine::error::Result;
use liftlock_engine::export::manifest::{BytesForm, FileFormat, Manifest};
use liftlock_engine::export::{Request, check, export, open, packed};
use liftlock_engine::process::Silent;
use liftlock_engine::stores::DataStore;
use liftlock_engine::stores::postgres::PostgresStore;

use crate::postgres_export::{database, place, request};
use crate::postgres_import::{Coming, told};

const FORMATS: &[FileFormat] = &[FileFormat::Csv, FileFormat::JsonLines, FileFormat::Xlsx, FileFormat::JsonDocuments];
const TABLE: &str = "CREATE TABLE items (id int PRIMARY KEY, picture bytea, note text)";
const ROWS: &str = "INSERT INTO items VALUES (1, '\\x89504e470d0a1a0a00ff', 'a picture'), (2, NULL, '\\x00'), (3, '\\x', NULL), \
    (4, decode(repeat('00ff0a0d22', 20000), 'hex'), ''), (5, '\\xfbefbe', '+'), (6, 'GIF89a', 'x')";
const CONTENT: &str = "SELECT ROW(i.*)::text AS told FROM items i ORDER BY id";

fn made(store: &PostgresStore, into: &Path, bytes: BytesForm, zip: bool) -> Result<Manifest> {
    export(&Request { bytes, zip, formats: FORMATS, ..request(into) }, &[store], &SystemClock, &Silent)
}

fn comes_as_it_was(folder: &Path, manifest: &Manifest, from: &str) {
    let (new, target) = database(&[TABLE]);
    let mut intake = target.intake().unwrap().unwrap();
    let came = Coming::new(folder, manifest, intake.as_mut()).comes(intake.as_mut(), false).unwrap();
    assert_eq!((came[0].1.inserted, came[0].1.out), (6, 0), "{came:?}");
    assert_eq!(told(&new, CONTENT), told(from, CONTENT));
}

#[test]
fn bytes_come_back_from_every_form_as_they_were() {
    let (from, store) = database(&[TABLE, ROWS]);
    for form in [BytesForm::Base64, BytesForm::Files] {
        let (_home, into) = place();
        let manifest = made(&store, &into, form, false).unwrap_or_else(|error| panic!("{error} {:?}", error.details));
        check::check(&into, &manifest, &Silent).unwrap();
        let csv = fs::read_to_string(into.join("items.csv")).unwrap();
        let expected = match form {
            BytesForm::Files => "1,items-picture/000001.png,a picture\r\n2,,\\x00\r\n3,items-picture/000002.bin,\r\n",
            _ => "1,iVBORw0KGgoA/w==,a picture\r\n2,,\\x00\r\n3,\"\",\r\n",
        };
        assert!(csv.contains(expected), "{csv:.300}");
        for format in FORMATS {
            let mut one = manifest.clone();
            one.entities[0].files.retain(|it| it.format == *format);
            comes_as_it_was(&into, &one, &from);
        }
    }
}

#[test]
fn a_file_that_was_exchanged_is_found_out_and_comes_in_as_it_is_and_none_leads_elsewhere() {
    let (_, store) = database(&[TABLE, ROWS]);
    let (_home, into) = place();
    let manifest = made(&store, &into, BytesForm::Files, false).unwrap();
    let mut names: Vec<_> =
        fs::read_dir(into.join("items-picture")).unwrap().map(|it| it.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["000001.png", "000002.bin", "000003.bin", "000004.bin", "000005.gif"]);
    let read_me = fs::read_to_string(into.join("README.txt")).unwrap();
    assert!(read_me.contains("each in a file of its own: picture (5 in items-picture)"), "{read_me}");
    assert_eq!(manifest.format, 3);

    fs::write(into.join("items-picture/000005.gif"), "GIF89b").unwrap();
    let error = check::check(&into, &manifest, &Silent).unwrap_err();
    assert_eq!(error.class, "export_differs", "{error:?}");
    let (new, target) = database(&[TABLE]);
    let mut intake = target.intake().unwrap().unwrap();
    Coming::new(&into, &manifest, intake.as_mut()).comes(intake.as_mut(), false).unwrap();
    assert_eq!(told(&new, "SELECT convert_from(picture, 'UTF8') AS told FROM items WHERE id = 6"), ["GIF89b"]);

    fs::remove_file(into.join("items-picture/000005.gif")).unwrap();
    let refused = |text: &dyn Fn(&str) -> String, said: &str| {
        let path = into.join("items.csv");
        let good = fs::read_to_string(&path).unwrap();
        fs::write(&path, text(&good)).unwrap();
        let (_, target) = database(&[TABLE]);
        let mut intake = target.intake().unwrap().unwrap();
        let error = Coming::new(&into, &manifest, intake.as_mut()).comes(intake.as_mut(), true).unwrap_err();
        assert_eq!((error.class.as_ref(), error.message.as_str()), ("bad_row", said));
        fs::write(&path, good).unwrap();
    };
    let file = "items.csv, line 7, column picture";
    refused(&|it| format!("{it}\r\n"), &format!("{file}: the file items-picture/000005.gif cannot be read."));
    let elsewhere = "items-picture/../manifest.json";
    refused(
        &|it| it.replace("items-picture/000005.gif", elsewhere),
        &format!("{file}: “{elsewhere}” is no file in items-picture."),
    );
}

#[test]
fn a_zip_takes_the_files_along() {
    let (from, store) = database(&[TABLE, ROWS]);
    let (home, into) = place();
    let into = into.with_extension("zip");
    let manifest =
        made(&store, &into, BytesForm::Files, true).unwrap_or_else(|error| panic!("{error} {:?}", error.details));
    assert_eq!(open(&into).unwrap(), manifest);
    let opened = packed::opened(&into, &home.path().join("unpacked"), &Silent).unwrap();
    check::check(&opened.folder, &manifest, &Silent).unwrap();
    comes_as_it_was(&opened.folder, &manifest, &from);
    let folder = opened.folder.clone();
    drop(opened);
    assert!(!folder.exists());
}

#[test]
fn a_text_column_stays_as_it_is() {
    let (_, store) = database(&["CREATE TABLE t (n int PRIMARY KEY, s text)", "INSERT INTO t VALUES (1, '\\x00ff')"]);
    let (_home, into) = place();
    let manifest = made(&store, &into, BytesForm::Base64, false).unwrap();
    assert_eq!((manifest.format, manifest.entities[0].columns[1].bytes.clone()), (2, None));
    assert!(fs::read_to_string(into.join("t.csv")).unwrap().ends_with("\r\n1,\\x00ff\r\n"));
}
