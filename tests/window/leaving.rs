//! Leaving an old version for one that begins empty, in the window: from the warning to the data in its new place, left
//! and come back to on the way, taken back, and the old one removed at last.

use std::fs;

use crate::mariadb_server::Mariadb;
use crate::old_shop::{ITEMS_AFTER, ITEMS_BEFORE, ORDERS_AFTER, ORDERS_BEFORE, of_mariadb, old, setting};
use crate::support::{Desktop, Hosts, SOON, UPDATE, Window, until};

/// Orders of the shop in MariaDB: as many as a shop has that was used for years where there is time for them.
fn of_years() -> u64 {
    if std::env::var("LIFTLOCK_LONG").is_ok_and(|it| it == "1") { 200_000 } else { 20_000 }
}

const TITLE: &str = "Corner Shop 2.0.0 starts with empty data";

fn goes_to(window: &Window, step: &str) {
    window.sees(&format!("the step {step}"), SOON, || {
        window.find("step").filter(|it| it.text().ends_with(step)).map(drop)
    });
}

/// Chooses from a list.
fn pick(window: &Window, name: &str, value: &str) {
    window.part(name);
    window.run(&format!(
        "const it = document.querySelector('[data-testid=\"{name}\"]'); it.value = '{value}'; \
         it.dispatchEvent(new Event('change', {{ bubbles: true }}))"
    ));
}

#[test]
fn an_old_version_is_left_for_one_that_begins_empty_and_its_data_comes_along() {
    let desktop = Desktop::with(&["2.0.0"]);
    let window = desktop.open();
    window.click("act-update");
    window.click("act-export-data");
    window.is_at(TITLE, SOON);
    window.says("Your existing data cannot be carried over automatically.");
    window.picture("leaving-1-changes");
    assert!(window.find("act-update-now").is_none(), "a breaking release is never begun by one click");
    window.click("act-next");

    goes_to(&window, "Choose");
    window.click("act-preview-customers");
    window.says("customer1@example.org");
    window.picture("leaving-2-preview");
    window.run("document.querySelector('[data-testid=preview] [data-safe]').click()");
    window.sees("the look closed", SOON, || window.find("preview").is_none().then_some(()));
    window.picture("leaving-2-choose");
    window.click("act-next");
    goes_to(&window, "Format");
    window.picture("leaving-3-format");
    window.click("act-next");
    goes_to(&window, "Export");

    // Left here, and come back to by the line on the card.
    window.click("act-leave");
    window.click("leaving-line");
    window.part("was-left");
    goes_to(&window, "Export");
    window.picture("leaving-4-export");

    // Asked for, and the power goes before any worker has come: the next start sees to it.
    window.kill();
    let mut dies = desktop.program(&[]);
    dies.env("LIFTLOCK_CRASH_AT", "forward/leaving/asked/after_intent");
    dies.env("LIFTLOCK_CRASH_LOG", desktop.shop.dir.join("crashes"));
    let window = Window::attach(&desktop, dies);
    window.click("leaving-line");
    goes_to(&window, "Export");
    window.click("act-export");
    window.ended();
    let window = desktop.open();
    window.click("leaving-line");
    window.part_within("exported", UPDATE);
    goes_to(&window, "Check");
    assert!(window.part("exported").text().contains("customers.csv"), "{}", window.text());
    window.picture("leaving-5-check");
    window.click("act-next");
    goes_to(&window, "Start fresh");
    window.picture("leaving-6-fresh");

    // The worker dies while nobody can use either version, and the window with it: the next start goes on.
    window.kill();
    let point = "forward/fresh_start/set_aside/mid_effect";
    let mut dies = desktop.program(&[]);
    dies.env("LIFTLOCK_CRASH_AT", point).env("LIFTLOCK_CRASH_LOG", desktop.shop.dir.join("crashes"));
    let window = Window::attach(&desktop, dies);
    window.click("leaving-line");
    goes_to(&window, "Start fresh");
    window.click("act-fresh");
    window.part("work");
    window.picture("leaving-6-at-work");
    until("the death of the worker", UPDATE, || {
        let passed = fs::read_to_string(desktop.shop.dir.join("crashes")).ok()?;
        passed.contains(&format!("died {point}")).then_some(())
    });
    window.kill();
    let window = desktop.open();
    window.part_within("leaving-line", SOON);
    window.click("leaving-line");
    window.is_at("Bring your data into 2.0.0", UPDATE);
    assert_eq!(version_of(&desktop, "corner-shop-v2"), "2.0.0");
    window.picture("leaving-7-bring");
    window.click("act-dry-run");
    window.part_within("imported", UPDATE);
    window.says("Nothing was changed yet.");
    assert_eq!(desktop.shop.orders("world/shop-v2"), 0, "a trial changes nothing");
    window.picture("leaving-7-tried");
    // What goes where is shown and changed; what was tried before says nothing then.
    window.click("act-mapping");
    window.part_within("mapping-customers", UPDATE);
    window.says("Has the same name.");
    window.picture("leaving-7-mapping");
    pick(&window, "map-customers-name", ":city");
    window.part_within("act-dry-run", UPDATE);
    window.says("You chose this.");
    pick(&window, "map-customers-email", "-");
    window.part_within("mapping-problem", UPDATE);
    let remembered = desktop.shop.home().join("imports/corner-shop-v2/mapping.toml");
    assert!(fs::read_to_string(&remembered).unwrap().contains("from = \"city\""), "what can be used is remembered");
    window.click("act-mapping-reset");
    window.sees("the suggestion", UPDATE, || (!remembered.exists()).then_some(()));
    window.click("act-dry-run");
    window.part_within("imported", UPDATE);
    window.click("act-bring-in");
    window.sees("what came in", UPDATE, || {
        let said = window.find("imported")?.text();
        (said.contains("came in") && !said.contains("Nothing was changed")).then_some(())
    });
    assert_eq!(desktop.shop.orders("world/shop-v2"), 300);
    window.picture("leaving-7-came-in");

    window.click("act-undo");
    window.part_within("taken-back", UPDATE);
    assert_eq!(desktop.shop.orders("world/shop-v2"), 0);
    window.picture("leaving-7-taken-back");
    window.click("act-dry-run");
    window.part_within("act-bring-in", UPDATE);
    window.click("act-bring-in");
    window.part_within("act-undo", UPDATE);
    assert_eq!(desktop.shop.orders("world/shop-v2"), 300);
    window.click("act-done");

    // Both are listed; the old one goes by a typed word only.
    window.part("card-corner-shop-v2");
    window.part("set-aside");
    window.sees("that it is through", SOON, || window.find("leaving-line").is_none().then_some(()));
    window.part("aside-size");
    window.picture("leaving-8-both");
    window.click("act-look");
    window.part_within("act-stop-look", UPDATE);
    window.picture("leaving-8-look");
    window.click("act-stop-look");
    window.part_within("act-remove-aside", UPDATE);
    window.click("act-remove-aside");
    window.part("remove-aside-dialog");
    window.picture("leaving-8-remove");
    window.type_into("typed-word", "REMOVE");
    window.click("act-destructive");
    window.sees("the old one gone", UPDATE, || window.find("set-aside").is_none().then_some(()));
    let left = desktop.shop.liftlock(&["list"]);
    assert_eq!(left["installations"].as_array().map(Vec::len), Some(1), "{left:#}");
    assert_eq!(desktop.shop.orders("world/shop-v2"), 300, "the new one has all of it");
}

#[test]
fn what_lies_in_mariadb_is_brought_along_from_the_warning_to_its_new_place() {
    let server = Mariadb::start();
    let orders_before = of_years();
    let name = server.database(&old(orders_before));
    let desktop = Desktop::bare(Hosts::BOTH);
    desktop.shop.open_as(of_mariadb, &setting(&server, &name));
    desktop.shop.publish(&["2.0.0"]);
    let window = desktop.open();
    window.click("act-update");
    window.click("act-export-data");
    window.is_at(TITLE, SOON);
    window.says("Your existing data cannot be carried over automatically.");
    window.click("act-next");
    goes_to(&window, "Choose");
    window.click("act-preview-customers");
    window.says("山田 太郎");
    window.run("document.querySelector('[data-testid=preview] [data-safe]').click()");
    window.sees("the look closed", SOON, || window.find("preview").is_none().then_some(()));
    window.click("act-next");
    goes_to(&window, "Format");
    window.click("act-next");
    goes_to(&window, "Export");
    window.click("act-export");
    window.part_within("exported", UPDATE);
    window.picture("leaving-mariadb-exported");
    window.click("act-next");
    goes_to(&window, "Start fresh");
    window.click("act-fresh");
    window.is_at("Bring your data into 2.0.0", UPDATE);
    window.click("act-dry-run");
    window.part_within("act-bring-in", UPDATE);
    assert_eq!(desktop.shop.orders("world/shop-v2"), 0, "a trial changes nothing");
    window.click("act-bring-in");
    window.part_within("act-undo", UPDATE);
    window.picture("leaving-mariadb-came-in");
    let orders = server.sql(&name, ORDERS_BEFORE);
    assert!(orders.ends_with(&format!("\t{orders_before}")), "{orders}");
    assert_eq!(desktop.shop.sql("world/shop-v2", ORDERS_AFTER), orders);
    assert_eq!(desktop.shop.sql("world/shop-v2", ITEMS_AFTER), server.sql(&name, ITEMS_BEFORE));
    window.click("act-done");
    window.part("card-corner-shop-v2");
    assert_eq!(version_of(&desktop, "corner-shop-v2"), "2.0.0");
}

/// The version of an installation that answers.
fn version_of(desktop: &Desktop, name: &str) -> String {
    let all = desktop.shop.liftlock(&["list"]);
    let found = all["installations"].as_array().unwrap().iter().find(|it| it["name"] == name);
    found.and_then(|it| it["version"].as_str()).unwrap_or_default().to_owned()
}
