//! What is out, said at its four loudnesses: on the page in both themes, and to the desktop.

use std::fs;

use chrono::{TimeDelta, Utc};
use serde_json::Value;

use crate::support::{Desktop, SOON, Shop, UPDATE, until};

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
