//! What is out, said at its four loudnesses: on the page in both themes, and to the desktop.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use chrono::{TimeDelta, Utc};
use serde_json::Value;

use crate::support::{Desktop, Ends, Hosts, SOON, Shop, UPDATE, until};

const OUT: &str = "Corner Shop 1.1.0 is out";

/// Days since the release, the level, and what the page says of it.
const LEVELS: [(i64, u8, &str); 4] =
    [(0, 1, "is out"), (12, 2, "12 days"), (40, 3, "Known issues may affect you"), (75, 4, "75 days")];

#[test]
fn each_level_is_as_loud_on_the_page_as_it_is_and_is_announced_to_the_desktop_once() {
    let desktop = Desktop::with(&["1.1.0"]);
    desktop.shop.liftlock(&["settings", "theme", "light"]);
    let window = desktop.open();
    for (days, level, words) in LEVELS {
        dated(&desktop.shop, days);
        desktop.shop.liftlock(&["check", "--releases"]);
        let name = format!("notice-{level}");
        let said = window.sees(&format!("`{name}`"), UPDATE, || Some(window.find(&name)?.text()));
        assert!(said.contains(words), "level {level}: {said}");
        let others = LEVELS.iter().filter(|it| it.1 != level);
        for (_, other, _) in others {
            assert!(window.find(&format!("notice-{other}")).is_none(), "{other} beside {level}");
        }
        until("its notification", SOON, || (desktop.bus.notes().len() == usize::from(level)).then_some(()));
        if level == 4 {
            window.part("daily-dialog");
            window.picture("level-4-asks");
            window.click("act-not-today");
            window.sees("the question gone", SOON, || window.find("daily-dialog").is_none().then_some(()));
        }
        for theme in ["dark", "light"] {
            desktop.shop.liftlock(&["settings", "theme", theme]);
            window.sees(theme, SOON, || {
                (window.run("return document.documentElement.dataset.theme") == theme).then_some(())
            });
            window.picture(&format!("level-{level}-{theme}"));
        }
    }

    window.sees("when it is looked for next", SOON, || {
        window.find("releases-line")?.text().contains("Next time in").then_some(())
    });

    // Nobody is told twice, neither by another search nor by another start, and asked once a day.
    desktop.shop.liftlock(&["check", "--releases"]);
    window.kill();
    let window = desktop.open();
    window.part("notice-4");
    window.reload();
    window.part("notice-4");
    assert!(window.find("daily-dialog").is_none(), "asked a second time on one day");
    // Its own search at the start has been made when the tray says what it found.
    desktop.bus.item().says(&format!("Liftlock: {OUT}"), SOON);
    let told: Vec<_> = desktop.bus.notes().into_iter().map(|it| it.title).collect();
    assert_eq!(told, [OUT; 4], "once a version and level");
}

#[test]
fn who_wants_to_be_left_alone_is_told_afterwards() {
    let desktop = Desktop::with(&["1.1.0"]);
    dated(&desktop.shop, 75);
    desktop.bus.do_not_disturb(true);
    desktop.shop.liftlock(&["check", "--releases"]);
    let window = desktop.open();
    // Who opens the window sees what is out, and is not asked.
    window.part_within("notice-4", UPDATE);
    let is_left_alone = |why: &str| {
        desktop.shop.liftlock(&["check", "--releases"]);
        window.reload();
        window.part("notice-4");
        assert!(window.find("daily-dialog").is_none(), "asked in spite of {why}");
        assert_eq!(desktop.bus.notes(), [], "told in spite of {why}");
    };
    is_left_alone("do-not-disturb");

    let film = desktop.screen.cover();
    desktop.screen.fill_with(film);
    desktop.bus.do_not_disturb(false);
    is_left_alone("a full screen");

    desktop.screen.uncover(film);
    desktop.shop.liftlock(&["check", "--releases"]);
    desktop.bus.note(OUT, SOON);
    window.part("daily-dialog");
    assert_eq!(desktop.bus.notes().len(), 1);
}

#[test]
fn a_notification_leads_to_its_page_and_begins_nothing() {
    let desktop = Desktop::with(&["1.1.0"]);
    let mut program = Ends(desktop.program(&["--tray"]).spawn().unwrap());
    let note = desktop.bus.note(OUT, SOON);
    let buttons: Vec<_> = note.buttons.iter().map(|it| it.1.as_str()).collect();
    assert_eq!(buttons, ["Update…", ""], "a button, and the note itself");
    assert!(desktop.screen.windows().is_empty());

    desktop.bus.choose(OUT, Some("Update…"));
    let shown = desktop.screen.window();
    until("its page", SOON, || (desktop.screen.windows() == [shown]).then_some(()));
    assert_eq!(desktop.shop.liftlock(&["status"])["upgrade"], Value::Null, "nothing was begun");
    drop(program.0.kill());
    drop(program.0.wait());

    // In a window that is open, by a click on the note itself.
    let window = desktop.open();
    window.part("act-update");
    dated(&desktop.shop, 12);
    desktop.shop.liftlock(&["check", "--releases"]);
    until("another note", SOON, || (desktop.bus.notes().len() == 2).then_some(()));
    desktop.bus.choose(OUT, None);
    window.is_at("Update Corner Shop to 1.1.0?", SOON);
    window.part("act-update-now");
    assert_eq!(desktop.shop.liftlock(&["status"])["upgrade"], Value::Null, "nothing was begun");

    desktop.shop.liftlock(&["upgrade", "--yes"]);
    let running = "Corner Shop 1.1.0 is running";
    desktop.bus.note(running, UPDATE);
    window.click("place-help");
    desktop.bus.choose(running, Some("Show it"));
    window.is_at(running, SOON);
}

#[test]
fn what_the_desktop_may_be_told_is_chosen_and_without_buttons_none_are_sent() {
    let desktop = Desktop::bare(Hosts { buttons: false, ..Hosts::BOTH });
    desktop.shop.open();
    desktop.shop.publish(&["1.1.0"]);
    desktop.shop.liftlock(&["settings", "notifications", "important"]);
    let _program = Ends(desktop.program(&["--tray"]).spawn().unwrap());
    desktop.bus.item().says(&format!("Liftlock: {OUT}"), SOON);
    desktop.shop.liftlock(&["upgrade", "--yes", "--rehearse-only"]);
    desktop.shop.liftlock(&["check", "--releases"]);
    assert_eq!(desktop.bus.notes(), [], "new versions are left out");

    desktop.shop.liftlock(&["settings", "notifications", "all"]);
    assert_eq!(desktop.bus.note(OUT, SOON).buttons, []);
    desktop.shop.liftlock(&["settings", "notifications", "important"]);
    desktop.shop.liftlock(&["upgrade", "--yes"]);
    desktop.bus.note("Corner Shop 1.1.0 is running", UPDATE);
    assert_eq!(desktop.bus.notes().len(), 2);
}

#[test]
fn a_disk_that_is_getting_full_is_said_in_the_window_and_once_a_day_to_the_desktop() {
    const FULL: &str = "The disk is getting full";
    let desktop = Desktop::bare(Hosts::BOTH);
    let Some(_disk) = SmallDisk::at(&desktop.shop.home()) else { return };
    desktop.shop.open();
    desktop.shop.liftlock(&["backup", "create"]);
    let window = desktop.open();
    let note = desktop.bus.note(FULL, SOON);
    assert!(note.body.contains(" left, a backup needs "), "{note:?}");
    let said = window.part("disk").text();
    assert!(said.contains(FULL) && said.contains("the next one needs about"), "{said}");
    window.picture("disk");
    desktop.bus.choose(FULL, Some("Show the backups"));
    window.is_at("Backups", SOON);
    window.part("disk");
    window.kill();

    // Told again when a day has passed, and not before.
    let told = || desktop.bus.notes().into_iter().filter(|it| it.title == FULL).count();
    let note_of = "_disk_told_at";
    let file = desktop.shop.home().join("liftlock.db");
    let db = rusqlite::Connection::open(&file).unwrap();
    for (hours, times) in [(23, 1), (25, 2)] {
        let at = (Utc::now() - TimeDelta::hours(hours)).to_rfc3339();
        assert_eq!(db.execute("UPDATE setting SET value = ?1 WHERE key = ?2", [&at, note_of]).unwrap(), 1);
        let program = Ends(desktop.program(&["--tray"]).spawn().unwrap());
        desktop.bus.item().says("Liftlock: all is well", SOON);
        let looked =
            || db.query_row("SELECT value FROM setting WHERE key = ?1", [note_of], |row| row.get::<_, String>(0));
        if times == 2 {
            until("that it is told again", SOON, || (told() == times).then_some(()));
            assert_ne!(looked().unwrap(), at);
        } else {
            // The search for releases comes first among the chores of a start, and the disk after it.
            until("a look at the disk", SOON, || {
                let log = fs::read_to_string(desktop.shop.dir.join("window.log")).unwrap();
                (log.matches("the disk was looked at").count() == 2).then_some(())
            });
            assert_eq!((told(), looked().unwrap()), (times, at));
        }
        drop(program);
    }
}

/// A small file system of its own, taken away with this.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// None where this user may not mount one, which is said.
    fn at(path: &Path) -> Option<Self> {
        fs::create_dir_all(path).unwrap();
        let options = "size=1g,mode=0755";
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(path).status();
        if mounted.is_ok_and(|it| it.success()) {
            return Some(Self(path.to_owned()));
        }
        eprintln!("not run: this user may not mount a small disk");
        None
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

/// Lets the release have been out for so many days.
fn dated(shop: &Shop, days: i64) {
    let list = shop.dir.join("world/releases/published.json");
    let mut published: Value = serde_json::from_str(&fs::read_to_string(&list).unwrap()).unwrap();
    for release in published.as_array_mut().unwrap() {
        release["published_at"] = (Utc::now() - TimeDelta::days(days)).to_rfc3339().into();
    }
    // In one act: the server reads it whenever it is asked.
    let beside = list.with_extension("new");
    fs::write(&beside, published.to_string()).unwrap();
    fs::rename(beside, list).unwrap();
}
