//! An export from the command line, of a shop that is open.

use std::fs;

use serde_json::Value;

use crate::support::World;

#[test]
fn an_open_shop_is_exported_and_the_files_are_checked_again() {
    let world = World::with(&["1.1.0"]);
    let case = world.case();
    let before = world.current();
    let own = tempfile::tempdir().unwrap();
    let into = own.path().join("taken-out");
    let folder = into.to_str().unwrap();
    let (code, made) = case.answer(&["export", "--to", folder]);
    assert_eq!(code, 0, "{made:#}");
    assert_eq!(made["entities"].as_array().map(Vec::len), Some(4), "those of the profile: {made:#}");
    for entity in made["entities"].as_array().unwrap() {
        let table = entity["table"].as_str().unwrap();
        let counted = world.sql("corner_shop", &format!("SELECT count(*) FROM public.{table}"));
        assert_eq!(entity["rows"].to_string(), counted.trim(), "{table}");
    }
    assert_eq!(world.current(), before, "the shop was only read");
    let (code, seen) = case.answer(&["export", "--check", folder]);
    assert_eq!((code, &seen["entities"]), (0, &made["entities"]));

    // Once more to the same place: refused, and what is there stays.
    let (code, again) = case.answer(&["export", "--to", folder]);
    assert_eq!((code, &again["error"]["class"]), (3, &Value::from("export_exists")));

    // The same as a workbook and as documents in one zip, which is checked where it lies.
    let zip = own.path().join("packed.zip");
    let zip = zip.to_str().unwrap();
    let (code, packed) = case.answer(&["export", "--to", zip, "--zip", "--format", "xlsx", "--format", "json"]);
    assert_eq!((code, &packed["files_checked"]), (0, &Value::from(4)), "{packed:#}");
    assert_eq!(packed["entities"][3]["files"], serde_json::json!(["orders.json", "corner-shop.xlsx"]), "{packed:#}");
    let (code, seen) = case.answer(&["export", "--check", zip]);
    assert_eq!((code, &seen["entities"]), (0, &packed["entities"]));
    let rows = |it: &Value| it["entities"].as_array().unwrap().iter().map(|it| it["rows"].clone()).collect::<Vec<_>>();
    assert_eq!(rows(&packed), rows(&made));

    let file = into.join("customers.csv");
    let text = fs::read_to_string(&file).unwrap();
    assert!(text.starts_with("\u{feff}Id,Name,E-mail,City,Customer since\r\n"), "{text:.200}");
    fs::write(&file, text.replacen('@', "#", 1)).unwrap();
    let (code, edited) = case.answer(&["export", "--check", folder]);
    assert_eq!((code, &edited["error"]["class"]), (1, &Value::from("export_differs")), "{edited:#}");
    assert!(edited["error"]["message"].as_str().unwrap().starts_with("customers.csv "), "{edited:#}");

    let (code, unknown) = case.answer(&["export", "--only", "suppliers"]);
    assert_eq!((code, &unknown["error"]["class"]), (2, &Value::from("unknown_entity")));
}
