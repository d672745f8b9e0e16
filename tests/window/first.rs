//! The first steps, and what is put off: an application that is found, asked about and taken on as was agreed; an update
//! that comes later, or not at all.

use std::fs;

use chrono::{TimeDelta, Timelike, Utc};
use liftlock_engine::Engine;
use liftlock_engine::state::home::Home;
use liftlock_engine::view::window::AskedKind;

use crate::support::{Desktop, Hosts, SOON, UPDATE, Window};

#[test]
fn an_application_is_found_asked_about_and_looked_after_as_was_agreed() {
    let desktop = Desktop::bare(Hosts::BOTH);
    desktop.shop.demo(&["up", "--release", "1.0.0", "--orders", "300"]);
    let folder = desktop.shop.dir.join("world/shop");
    // The settings hold a password that the database does not take any more.
    let file = folder.join(".env");
    let settings = fs::read_to_string(&file).unwrap();
    let url = settings.lines().find_map(|it| it.strip_prefix("DATABASE_URL=")).unwrap();
    let (before, after) = url.split_once('@').unwrap();
    let (user, right) = before.rsplit_once(':').unwrap();
    let (user, right) = (user.to_owned(), right.to_owned());
    fs::write(&file, settings.replace(url, &format!("{user}:of-last-year@{after}"))).unwrap();
    a_password_is_read_out_of_a_file(&desktop, &folder, &right);

    let window = desktop.open();
    window.is_at("Welcome to Liftlock", SOON);
    finds(&window, &folder);
    window.is_at("What is the password of Corner Shop’s database?", SOON);
    window.picture("welcome-question");
    window.type_into("answer", "of-the-year-before");
    window.click("act-next");
    window.part_within("refusal", UPDATE);
    window.picture("welcome-refused");
    window.run("document.querySelector('[data-testid=answer]').select()");
    window.type_into("answer", &right);
    window.click("act-next");

    window.is_at("Two things before Corner Shop is looked after", UPDATE);
    let agreed = "return [...document.querySelectorAll('[role=switch]')].map(it => it.getAttribute('aria-checked'))";
    assert_eq!(window.run(agreed), serde_json::json!(["true", "true"]), "each is switched on");
    assert!(window.text().contains("03:00"), "{}", window.text());
    window.picture("welcome-last");
    window.click("act-next");
    window.part_within("card-corner-shop", UPDATE);
    desktop.shop.is_started_by_the_session();
    window.sees("the backup of every night", SOON, || {
        let schedule = desktop.shop.liftlock(&["backup", "schedule"]);
        schedule.to_string().contains("every night at 3").then_some(())
    });
    let kept = desktop.shop.liftlock(&["backup", "create"]);
    assert_eq!(kept["grade"], "proven", "the password that was given is used: {kept:#}");
}

#[test]
fn what_was_switched_off_at_the_end_of_the_welcome_is_not_done() {
    let desktop = Desktop::bare(Hosts::BOTH);
    desktop.shop.demo(&["up", "--release", "1.0.0", "--orders", "300"]);
    let window = desktop.open();
    finds(&window, &desktop.shop.dir.join("world/shop"));
    window.is_at("Two things before Corner Shop is looked after", UPDATE);
    let switch_off = "const all = [...document.querySelectorAll('[role=switch]')]; all.forEach(it => it.click());
                      return all.length";
    assert_eq!(window.run(switch_off), 2);
    window.click("act-next");
    window.part_within("card-corner-shop", UPDATE);
    let entries = fs::read_dir(desktop.shop.dir.join("user/.config/autostart"));
    assert_eq!(entries.map_or(0, Iterator::count), 0, "it does not start with the session");
    let schedule = desktop.shop.liftlock(&["backup", "schedule"]);
    assert!(!schedule.to_string().contains("every night"), "{schedule:#}");
}

/// [Find my applications], and the one of this folder: what else runs on this machine is found too.
fn finds(window: &Window, folder: &std::path::Path) {
    window.click("way-find");
    let ours = format!(
        "const ours = [...document.querySelectorAll('[data-testid=found]')].find(it => it.textContent.includes('{}'));
         ours?.querySelector('[data-testid=act-look-after]').click(); return Boolean(ours)",
        folder.display()
    );
    window.sees("the shop among what was found", UPDATE, || (window.run(&ours) == true).then_some(()));
}

/// As [Choose the file] gives it; the dialog of the desktop itself is not ours.
fn a_password_is_read_out_of_a_file(desktop: &Desktop, folder: &std::path::Path, right: &str) {
    desktop.shop.liftlock(&["list"]);
    let engine = Engine::at(Home::at(desktop.shop.home()));
    let found = engine.recognise(folder).unwrap();
    let [asked] = found.questions.as_slice() else { panic!("{:?}", found.questions) };
    assert_eq!(asked.kind, AskedKind::Password);
    let usual = folder.join(".env").display().to_string();
    assert_eq!(asked.usual_place.as_deref(), Some(usual.as_str()), "where it usually stands");
    let key = asked.key.replace("password:", "passwordfile:");
    let chosen = desktop.shop.dir.join("chosen");
    let tried = |text: &str| {
        fs::write(&chosen, text).unwrap();
        engine.try_answer(&found, &key, chosen.to_str().unwrap())
    };
    assert_eq!(tried("DB_HOST=localhost\nDB_PORT=5432\n").unwrap_err().class, "no_password_in_file");
    assert_eq!(tried("DB_PASSWORD=guessed\n").unwrap_err().class, "auth_failed");
    let answered = tried(&format!("OLD_PASSWORD=guessed\nexport DB_PASSWORD='{right}'\n")).unwrap();
    assert!(answered.questions.is_empty(), "{:?}", answered.questions);
}

#[test]
fn an_update_is_put_off_in_every_way_that_the_page_offers() {
    let desktop = Desktop::with(&["1.1.0"]);
    let window = desktop.open();
    let engine = Engine::at(Home::at(desktop.shop.home()));
    let set_for = || engine.confirm_view("corner-shop", Some("1.1.0")).unwrap().scheduled_for;
    let opens_later = || {
        window.click("act-update");
        window.is_at("Update Corner Shop to 1.1.0?", SOON);
        window.click("act-later");
    };
    for (entry, words) in [
        ("menu-tomorrow", "You put off 1.1.0. Next reminder: tomorrow"),
        ("menu-week", "You put off 1.1.0. Next reminder: "),
        ("menu-skip", "You skipped 1.1.0."),
    ] {
        opens_later();
        window.click(entry);
        let said = window.part("quiet").text();
        assert!(said.contains(words), "{entry}: {said}");
        assert!(window.find("notice-1").is_none(), "{entry}");
        window.picture(&format!("later-{entry}"));
        window.run("document.querySelector('[data-testid=quiet] button').click()");
        window.part("notice-1");
    }

    opens_later();
    window.click("menu-tonight");
    window.part("planned");
    window.picture("later-tonight");
    let at = set_for().unwrap();
    assert_eq!((at.hour(), at.minute()), (3, 0), "{at}");
    window.click("act-unplan");
    window.sees("nothing set", SOON, || set_for().is_none().then_some(()));

    window.click("act-later");
    window.click("menu-other");
    window.part("plan-dialog");
    window.picture("later-other");
    let chosen = (Utc::now() + TimeDelta::days(2)).date_naive().and_hms_opt(14, 30, 0).unwrap();
    window.run(&format!(
        "const field = document.querySelector('[data-testid=plan-at]'); field.value = '{}';
         field.dispatchEvent(new Event('input'))",
        chosen.format("%Y-%m-%dT%H:%M")
    ));
    window.click("act-plan");
    window.part("planned");
    assert_eq!(set_for(), Some(chosen.and_utc()), "by the clock of this computer, which is UTC here");
}
