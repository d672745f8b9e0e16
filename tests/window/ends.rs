//! How an update may end beside well: gone back from, waiting for a person, interrupted; and what the desktop is told.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;

use chrono::Utc;
use liftlock_engine::error::Error;
use liftlock_engine::model::ids::{InstallationName, UpgradeId};
use liftlock_engine::model::state::Event;
use liftlock_engine::process::Identity;
use liftlock_engine::state::Db;
use liftlock_engine::state::home::Home;
use liftlock_engine::state::journal::{Ending, Journal};
use liftlock_engine::state::lease::{Holder, Lease};
use liftlock_engine::state::upgrades::Outcome;
use serde_json::Value;

use crate::support::{Desktop, SOON, UPDATE, until};

#[test]
fn what_was_entered_since_an_update_is_saved_before_it_is_gone_back_from() {
    let desktop = Desktop::with(&["1.1.0"]);
    desktop.shop.liftlock(&["upgrade", "--yes"]);
    assert_eq!(ask(&desktop, "POST", "/api/v1/orders", ORDER), 201, "work with the new version");
    assert_eq!(desktop.shop.orders("world/shop"), 301);
    let window = desktop.open();
    window.click("more");
    window.click("menu-go-back");
    let said = window.part("go-back-dialog").text();
    assert!(said.contains("\norders: 300 after the update, 301 now"), "{said}");
    assert!(!said.contains("public."), "people do not know of schemas: {said}");
    window.picture("going-back");
    window.click("act-destructive");
    window.is_at("Corner Shop 1.0.0 is running again", UPDATE);
    assert_eq!(desktop.shop.orders("world/shop"), 300);
    window.click("act-done");

    window.click("leaving-line");
    window.is_at("What was entered in 1.1.0 is saved", SOON);
    let saved = window.part("exported").text();
    assert!(saved.contains("301"), "{saved}");
    window.picture("gone-back");

    // What is new is tried, shown and brought in; what was there already stays single.
    window.click("act-dry-run");
    let since = window.part_within("since", UPDATE).text();
    assert!(since.contains("New in 1.1.0: 1 orders and 1 order lines. Changed there: nothing."), "{since}");
    assert_eq!(desktop.shop.orders("world/shop"), 300, "a trial changes nothing");
    window.picture("gone-back-tried");
    window.click("act-bring-in");
    window.part_within("act-undo", UPDATE);
    assert_eq!(desktop.shop.orders("world/shop"), 301);
    window.picture("gone-back-brought");
    window.run("document.querySelector('[data-testid=act-undo]').click()");
    window.part_within("taken-back", UPDATE);
    assert_eq!(desktop.shop.orders("world/shop"), 300);
    // It stands behind the footer where the driver scrolls to.
    window.run("document.querySelector('[data-testid=act-forget]').click()");
    window.part("card-corner-shop");
    window.sees("no line", SOON, || window.find("leaving-line").is_none().then_some(()));
}

#[test]
fn an_update_that_waits_for_a_person_says_so_everywhere_and_is_tried_again() {
    let desktop = Desktop::with(&["1.7.0"]);
    let id = stopped_while(&desktop, "migrating");
    let home = Home::at(desktop.shop.home());
    let mut db = Db::open(&home).unwrap();
    let name: InstallationName = "corner-shop".parse().unwrap();
    let folder = db.installation(&name).unwrap().folder;
    let identity = Identity::of_self().unwrap();
    let holder = Holder {
        pid: identity.pid,
        started_ticks: identity.start_ticks,
        started_at: Utc::now(),
        boot_id: identity.boot_id,
        host: "here".to_owned(),
        user: "a test".to_owned(),
        doing: "upgrade".to_owned(),
    };
    let lease = Lease::take(&mut db, &home, &name, &folder, &holder).unwrap();
    let mut journal = Journal::take_up(db, id, lease.epoch, &holder, Utc::now()).unwrap();
    let error = Error::failed("a_test", "The database server did not answer.").remedy("Start it, then try again.");
    let ending = Ending {
        outcome: Outcome::RollbackFailed,
        message: "It needs you.".to_owned(),
        error: Some(error),
        receipt: None,
        boot_id: "boot".to_owned(),
        uptime: 1.0,
    };
    journal.end(Event::Stranded, &ending, Utc::now()).unwrap();
    drop((journal, lease));

    let window = desktop.open();
    desktop.bus.note("Corner Shop needs you", SOON);
    desktop.bus.item().says("Liftlock: Corner Shop needs you", SOON);
    window.part("notice-needs-you");
    window.picture("needs-you-home");
    window.click("act-show-steps");
    window.is_at("Corner Shop needs you", SOON);
    assert_eq!(window.part("outcome").attribute("data-state").as_deref(), Some("needs_attention"));
    let page = window.text();
    assert!(page.contains("Whether the original is whole could not be checked. Delete nothing."), "{page}");
    assert!(window.find("act-copy-steps").is_some(), "{page}");
    window.picture("needs-you");
    window.click("act-try-again");
    window.is_at("Corner Shop 1.0.0 is running again", UPDATE);
    desktop.bus.item().says("Liftlock: Corner Shop 1.7.0 is out", SOON);
}

#[test]
fn an_update_whose_worker_died_with_the_computer_goes_on_and_says_so() {
    let desktop = Desktop::with(&["1.7.0"]);
    let id = stopped_while(&desktop, "rehearsing");
    // As if it had begun before this computer was started: no more of a restart can be had in a test.
    let db = rusqlite::Connection::open(desktop.shop.home().join("liftlock.db")).unwrap();
    let changed =
        db.execute("UPDATE system_updates SET started_at = '2001-01-01T00:00:00.000Z' WHERE id = ?1", [id.to_string()]);
    assert_eq!(changed.unwrap(), 1);
    let window = desktop.open();
    let said = window.part_within("interrupted", SOON).text();
    assert!(said.contains("The update was interrupted and is continuing"), "{said}");
    assert!(
        said.contains("The computer was restarted at ") && said.contains("Each finished step is checked"),
        "{said}"
    );
    window.picture("interrupted");
    window.sees("its end", UPDATE, || window.find("outcome").map(drop));
    let state = window.part("outcome").attribute("data-state");
    assert_eq!(state.as_deref(), Some("complete"), "what was done is not done twice");
    assert_eq!(ask(&desktop, "GET", "/health", ""), 200, "people can use it");
}

#[test]
fn the_desktop_hears_of_a_backup_that_failed_and_the_session_starts_it_into_the_tray() {
    let desktop = Desktop::with(&[]);
    let window = desktop.open();
    // Nobody can write there any more: its place is taken by a file.
    let backups = desktop.shop.home().join("backups");
    let _ = fs::remove_dir_all(&backups);
    fs::write(&backups, "").unwrap();
    window.click("place-backups");
    window.click("act-back-up");
    let note = desktop.bus.note("The backup of Corner Shop failed", UPDATE);
    assert!(!note.body.is_empty(), "it says why");
    window.picture("backup-failed");
    // Whoever was not there reads it later, until one is made.
    fs::remove_file(&backups).unwrap();
    window.reload();
    window.click("place-backups");
    window.says("The backup that was asked for at");
    window.picture("backup-not-made");
    desktop.shop.liftlock(&["backup", "create", "corner-shop"]);
    window.reload();
    window.part("act-back-up");
    window.sees("nothing that was not made", SOON, || (!window.text().contains("was not made")).then_some(()));

    window.click("place-settings");
    window.click("autostart");
    desktop.shop.is_started_by_the_session();
    window.picture("settings");
    window.click("autostart");
    let entries = desktop.shop.dir.join("user/.config/autostart");
    until("no entry", SOON, || fs::read_dir(&entries).map_or(Some(()), |mut it| it.next().is_none().then_some(())));
}

const ORDER: &str = r#"{"client_key":"entered since","customer_id":1,"lines":[{"item_id":1,"quantity":1}]}"#;

/// What the shop answers.
fn ask(desktop: &Desktop, method: &str, path: &str, body: &str) -> u16 {
    let settings = fs::read_to_string(desktop.shop.dir.join("world/shop/.env")).unwrap();
    let port = settings.lines().find_map(|it| it.strip_prefix("SHOP_PORT=")).unwrap().trim().to_owned();
    let mut stream = TcpStream::connect(format!("127.0.0.1:{port}")).unwrap();
    let length = body.len();
    let head =
        format!("{method} {path} HTTP/1.1\r\nHost: shop\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n");
    stream.write_all(format!("{head}{body}").as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.split(' ').nth(1).unwrap().parse().unwrap()
}

/// An update whose worker was ended in the middle, with no window open.
fn stopped_while(desktop: &Desktop, state: &str) -> UpgradeId {
    desktop.shop.demo(&["fault", "--migration-seconds", "8"]);
    desktop.shop.liftlock(&["upgrade", "--yes", "--detach"]);
    let status: Value = until(state, UPDATE, || {
        let status = desktop.shop.liftlock(&["status"]);
        (status["state"] == state).then_some(status)
    });
    let pid = status["holder"]["pid"].to_string();
    assert!(Command::new("kill").args(["-KILL", &pid]).status().unwrap().success());
    until("the end of the worker", SOON, || (desktop.shop.liftlock(&["status"])["interrupted"] == true).then_some(()));
    status["upgrade_id"].as_str().unwrap().parse().unwrap()
}
