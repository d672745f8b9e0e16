//! What must not break the window, and what it says instead.

use std::fs;

use liftlock_engine::model::ids::InstallationName;
use liftlock_engine::state::Db;
use liftlock_engine::state::home::Home;
use liftlock_engine::state::installations::Installation;

use crate::support::{Desktop, Hosts, SOON, UPDATE, Window, until};

#[test]
fn without_the_worker_it_says_that_a_part_is_missing() {
    let desktop = Desktop::bare(Hosts::BOTH);
    fs::remove_file(desktop.shop.app("liftlock")).unwrap();
    let window = desktop.open();
    window.part("fatal");
    window.picture("no-worker");
    window.is_at("A part of Liftlock is missing: the program that does the work", SOON);
    assert!(window.text().contains("your applications and backups are not touched"), "{}", window.text());
}

#[test]
fn the_data_of_a_newer_liftlock_is_left_alone() {
    let desktop = Desktop::bare(Hosts::BOTH);
    desktop.shop.liftlock(&["list"]);
    let file = desktop.shop.home().join("liftlock.db");
    let version = |write: bool| {
        let db = rusqlite::Connection::open(&file).unwrap();
        if write {
            db.pragma_update(None, "user_version", 9_999).unwrap();
        }
        db.pragma_query_value(None, "user_version", |row| row.get::<_, i64>(0)).unwrap()
    };
    let was = version(false);
    version(true);
    let window = desktop.open();
    window.part("fatal");
    window.picture("newer-data");
    window.is_at("This Liftlock is older than its data", SOON);
    assert!(window.text().contains("Install the newest Liftlock. Nothing was changed."), "{}", window.text());
    assert_eq!(version(false), 9_999, "nothing was changed");

    // Mended from outside, the same window goes on.
    rusqlite::Connection::open(&file).unwrap().pragma_update(None, "user_version", was).unwrap();
    window.is_at("Welcome to Liftlock", SOON);
}

#[test]
fn a_home_that_cannot_be_written_is_named() {
    let desktop = Desktop::bare(Hosts::BOTH);
    let file = desktop.shop.dir.join("a-file");
    fs::write(&file, "").unwrap();
    let mut program = desktop.program(&[]);
    program.env("LIFTLOCK_HOME", file.join("home"));
    let window = Window::attach(&desktop, program);
    window.part("fatal");
    window.picture("home-not-writable");
    let text = window.text();
    assert!(text.contains("Liftlock cannot write to") && text.contains("a-file/home"), "{text}");
}

#[test]
fn without_a_keychain_what_needs_one_says_so_and_the_rest_goes_on() {
    const NONE: &str = "There is no keychain of the system to be reached from here.";
    let desktop = Desktop::bare(Hosts::BOTH);
    desktop.shop.demo(&["up", "--release", "1.0.0", "--orders", "300"]);
    let (profile, folder) = (desktop.shop.dir.join("world/corner-shop.toml"), desktop.shop.dir.join("world/shop"));
    let text = fs::read_to_string(&profile).unwrap();
    fs::write(&profile, text.replace("[releases]", "[releases]\ntoken = { keychain = \"github\" }")).unwrap();
    desktop.shop.liftlock(&["add", profile.to_str().unwrap(), folder.to_str().unwrap()]);
    // As it is where a keychain was there when they were chosen.
    let db = rusqlite::Connection::open(desktop.shop.home().join("liftlock.db")).unwrap();
    for (key, value) in [("encrypt_backups", "passphrase"), ("backup_key", "keychain:backups")] {
        db.execute("INSERT INTO setting (key, value) VALUES (?1, ?2)", [key, value]).unwrap();
    }

    let window = desktop.open();
    let said = window.part_within("releases-wait", SOON).text();
    assert!(said.contains(NONE) && said.contains("keep the secret in a file"), "{said}");
    window.picture("no-keychain");
    window.click("place-backups");
    window.click("act-back-up");
    let said = window.part_within("refusal", SOON).text();
    assert!(said.contains(NONE) && said.contains("keep the secret in a file"), "{said}");
    window.picture("no-keychain-backup");
    let note = desktop.bus.note("The backup of Corner Shop failed", SOON);
    assert_eq!(note.body, NONE);
    window.click("place-home");
    window.says("Running well");
}

#[test]
fn hostile_release_notes_run_nothing_and_load_nothing() {
    let desktop = Desktop::with(&["1.1.0"]);
    desktop.shop.demo(&["fault", "--hostile-notes"]);

    let window = desktop.open();
    window.click("act-update");
    window.click("view-notes");
    window.part("notes");
    window.picture("hostile-notes");
    window.says("Good things.");
    let inside = "const notes = document.querySelector('[data-testid=notes]');
         const count = (what) => notes.querySelectorAll(what).length;
         return { title: document.title, script: count('script'), img: count('img'), frame: count('iframe, object, svg[onload]'),
                  style: count('style'), form: count('form'),
                  handlers: [...notes.querySelectorAll('*')].filter((it) =>
                      [...it.attributes].some((at) => at.name.startsWith('on'))).length,
                  script_links: count('a[href^=\"javascript\"]'),
                  loaded: performance.getEntriesByType('resource').filter((it) => it.name.includes('127.0.0.1:9')).length };";
    let seen = window.run(inside);
    for what in ["script", "img", "frame", "style", "form", "handlers", "script_links", "loaded"] {
        assert_eq!(seen[what], 0, "{what}: {seen}");
    }
    assert_ne!(seen["title"], "broken", "{seen}");
}

#[test]
fn two_hundred_applications_are_found_by_typing() {
    let desktop = Desktop::bare(Hosts::BOTH);
    desktop.shop.liftlock(&["list"]);
    let mut db = Db::open(&Home::at(desktop.shop.home())).unwrap();
    let profile = liftlock_engine::profiles::text_of("corner-shop").unwrap();
    for number in 1..=200 {
        let name: InstallationName = format!("shop-{number:03}").parse().unwrap();
        let folder = desktop.shop.dir.join("shops").join(name.as_str());
        fs::create_dir_all(&folder).unwrap();
        db.add_installation(&Installation {
            name,
            folder,
            profile: profile.clone(),
            application: "corner-shop".to_owned(),
            version: Some(if number == 137 { "1.3.7" } else { "1.0.0" }.to_owned()),
            added_at: chrono::Utc::now(),
        })
        .unwrap();
    }
    // Unoptimised, the view of two hundred takes seconds on a busy machine.
    let window = desktop.open();
    window.part_within("filter", UPDATE);
    window.picture("two-hundred");
    let rows = "return document.querySelectorAll('main li').length";
    until("two hundred rows", SOON, || (window.run(rows).as_u64()? == 200).then_some(()));
    // What is out of sight is not painted, and is no text for the driver.
    let main = || window.run("return document.querySelector('main').textContent").to_string();
    let all = main();
    assert!(all.contains("shop-042") && all.contains("shop-142"), "copies of one application are told apart: {all}");
    window.type_into("filter", "shop-137");
    until("one row", SOON, || (window.run(rows) == 1).then_some(()));
    assert!(main().contains("1.3.7"), "{}", main());
    window.type_into("filter", &"\u{e003}".repeat("shop-137".len()));
    window.type_into("filter", "1.3.7");
    until("one row", SOON, || (window.run(rows) == 1).then_some(()));
    window.picture("two-hundred-filtered");
    assert!(main().contains("1 application"), "{}", main());
}
