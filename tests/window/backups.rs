//! Backups in the window: one is found among many, looked at closely and removed; what is wrong is said with its remedy.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::support::{Desktop, SOON, UPDATE, Window, until};

/// Copies of a backup on the same disk, as if they had been made one after the other.
fn copies_of(backup: &Path, times: usize) -> Vec<PathBuf> {
    let one = |number: usize| {
        let to = backup.with_file_name(format!("2026-01-0{number}T03-00-00Z-00000{number}"));
        assert!(Command::new("cp").arg("-a").arg(backup).arg(&to).status().unwrap().success());
        to
    };
    (1..=times).map(one).collect()
}

fn made(desktop: &Desktop, note: &str) -> (PathBuf, Value) {
    let view = desktop.shop.liftlock(&["backup", "create", "corner-shop", "--note", note]);
    assert_eq!(view["grade"], "proven", "{view:#}");
    let path = PathBuf::from(view["path"].as_str().unwrap());
    let manifest = serde_json::from_str(&fs::read_to_string(path.join("manifest.json")).unwrap()).unwrap();
    (path, manifest)
}

/// Chooses in a list of the system, whose own menu is not on the page.
fn pick(window: &Window, list: &str, value: &str) {
    window.part(list);
    window.run(&format!(
        "const list = document.querySelector('[data-testid={list}]'); list.value = '{value}';
         list.dispatchEvent(new Event('change', {{ bubbles: true }}))"
    ));
}

fn shows(window: &Window, figure: &str) {
    window.sees(&format!("“{figure}”"), SOON, || (window.find("filter-says")?.text() == figure).then_some(()));
}

#[test]
fn among_many_backups_one_is_found_looked_at_closely_and_removed() {
    let desktop = Desktop::with(&[]);
    let (first, _) = made(&desktop, "year end");
    let window = desktop.open();
    window.click("place-backups");
    window.part("open-backup");
    assert!(window.find("filter").is_none(), "with few of them nothing is in the way");

    let (newest, manifest) = made(&desktop, "before moving house");
    let copies = copies_of(&first, 6);
    window.reload();
    shows(&window, "8 backups");
    window.picture("backups-many");
    window.type_into("filter", "moving");
    shows(&window, "1 of 8 backups");
    window.picture("backups-found");
    pick(&window, "filter-grade", "failed");
    window.part("no-match");
    window.picture("backups-no-match");
    window.click("no-match-clear");
    shows(&window, "8 backups");
    window.type_into("filter", "moving");
    shows(&window, "1 of 8 backups");

    // Closely: what was proven, every part with its checksum, and why it stays.
    window.click("open-backup");
    let note = window.part("backup-note").text();
    assert!(note.contains("before moving house"), "{note}");
    let trust = window.part("trust").text();
    assert!(trust.contains("Proven") && trust.contains("every row was there"), "{trust}");
    assert!(trust.contains("rows, sequences, constraints, indexes and extensions agree"), "{trust}");
    window.picture("backup");
    for part in manifest["stores"].as_array().unwrap() {
        let store = part["store"].as_str().unwrap();
        window.run(&format!("document.querySelector('[data-testid=\"details-{store}\"]').click()"));
        let sha256 = part["sha256"].as_str().unwrap();
        window.sees("its checksum", SOON, || {
            window.find(&format!("part-{store}"))?.text().contains(sha256).then_some(())
        });
    }
    let path = window.part("backup-path").text();
    assert_eq!(path.trim(), newest.display().to_string());
    let held = window.part("held").text();
    assert!(held.contains("It cannot be removed: it is the newest one that was restored as a test."), "{held}");
    assert!(window.find("act-remove-backup").is_none(), "and no button that does nothing");

    // Back on the list, which is as it was; an older one goes, by a word.
    window.run("document.querySelector('[data-testid=crumbs] a').click()");
    shows(&window, "1 of 8 backups");
    window.click("filter-clear");
    shows(&window, "8 backups");
    let id = format!("corner-shop/{}", copies[0].file_name().unwrap().to_str().unwrap());
    window.run(&format!("document.querySelector('[data-testid=\"backup-{id}\"] a').click()"));
    window.sees("that it may go", SOON, || window.find("held")?.text().contains("It can be removed").then_some(()));
    window.run("document.querySelector('[data-testid=act-remove-backup]').click()");
    window.type_into("typed-word", "REMOVE");
    window.picture("backup-remove");
    window.click("act-destructive");
    shows(&window, "7 backups");
    assert!(!copies[0].exists() && copies[1].exists(), "that one is gone, and no other");
}

#[test]
fn a_grade_that_fell_and_a_copy_that_is_damaged_are_said_with_what_to_do() {
    let desktop = Desktop::with(&[]);
    let disk = desktop.shop.dir.join("usb");
    fs::create_dir(&disk).unwrap();
    let (older, _) = made(&desktop, "year end");
    made(&desktop, "before moving house");
    desktop.shop.liftlock(&["backup", "copy", "--to", disk.to_str().unwrap()]);
    // As the timer of the system finds it while no window is open: the disk gives back other bytes than were written.
    let flip = |folder: &Path| {
        let dump =
            fs::read_dir(folder).unwrap().flatten().find(|it| it.path().extension().is_some_and(|it| it == "gz"));
        let dump = dump.unwrap().path();
        let mut bytes = fs::read(&dump).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(&dump, bytes).unwrap();
    };
    flip(&older);
    let verify = desktop.shop.command("liftlock", &["backup", "verify", older.to_str().unwrap(), "--json"]).output();
    assert!(!verify.unwrap().status.success(), "it is damaged");

    let window = desktop.open();
    let note = desktop.bus.note("The backup of Corner Shop failed", UPDATE);
    assert!(note.body.contains("failed its test") && note.body.contains("It was proven on"), "{note:?}");
    // A page that has not loaded yet cannot be led anywhere.
    window.part("card-corner-shop");
    desktop.bus.choose("The backup of Corner Shop failed", Some("Show the backups"));
    window.is_at("Backups", SOON);
    let said = window.part_within("alarm-backup_failed", SOON).text();
    assert!(said.contains("Do not rely on it. Make a new one, and check the disk."), "{said}");
    assert!(said.contains("Back up now"), "{said}");
    window.picture("backup-alarm");
    window.run("[...document.querySelectorAll('[data-testid=open-backup]')].at(-1).click()");
    let trust = window.part("trust").text();
    assert!(trust.contains("Failed") && trust.contains("It was proven before"), "{trust}");
    window.picture("backup-failed");

    // The copy of the newest one: read again, found damaged, made anew.
    window.click("place-backups");
    window.part("open-backup");
    window.run("document.querySelector('[data-testid=open-backup]').click()");
    window.part("copy-there");
    let copy = fs::read_dir(disk.join("corner-shop")).unwrap().flatten().map(|it| it.path());
    copy.filter(|it| it.join("manifest.json").is_file()).for_each(|it| flip(&it));
    window.run("document.querySelector('[data-testid=act-copy-this]').click()");
    window.part_within("copy-damaged", UPDATE);
    window.click("place-backups");
    window.part_within("alarm-copy_damaged", SOON);
    window.picture("backup-copy-damaged");
    window.run("document.querySelector('[data-testid=alarm-copy_damaged] [data-testid=act-fix]').click()");
    window.part("copy-damaged");
    window.run("document.querySelector('[data-testid=act-renew-copy]').click()");
    window.part_within("copy-there", UPDATE);
    window.click("place-backups");
    window.part("open-backup");
    window.sees("no alarm about the copy", SOON, || {
        let is_there = window.find("care-corner-shop").is_some() && window.find("schedule").is_some();
        (is_there && window.find("alarm-copy_damaged").is_none()).then_some(())
    });
    // Nobody is told twice of what fell.
    let fell = desktop.bus.notes().into_iter().filter(|it| it.body.contains("failed its test")).count();
    assert_eq!(fell, 1, "{:?}", desktop.bus.notes());
}

/// What lies where backups of the shop are kept.
fn kept(desktop: &Desktop) -> Vec<String> {
    let all = fs::read_dir(desktop.shop.home().join("backups/corner-shop")).into_iter().flatten().flatten();
    all.map(|it| it.file_name().to_string_lossy().into_owned()).collect()
}

#[test]
fn a_backup_goes_on_where_its_window_is_closed() {
    let desktop = Desktop::with(&[]);
    let window = desktop.open();
    window.click("place-backups");
    window.click("act-back-up");
    window.part("job");
    window.picture("backup-job");
    let first = desktop.bus.item().process().expect("it lives");
    desktop.screen.close(desktop.screen.window());
    window.part("close-dialog");
    window.click_last("act-close");
    until("no window", SOON, || desktop.screen.windows().is_empty().then_some(()));
    // What was begun is brought to its end, and only then it begins anew without a window.
    let item = until("the tray item of a fresh process", UPDATE, || {
        desktop.bus.items().into_iter().find(|it| it.process().is_some_and(|it| it != first))
    });
    let backups = desktop.shop.liftlock(&["backup", "list"]);
    assert_eq!(backups["backups"][0]["grade"], "proven", "{backups:#}");
    assert_eq!(kept(&desktop).len(), 1, "{:?}", kept(&desktop));
    item.choose("Quit");
    until("the end", SOON, || desktop.bus.items().is_empty().then_some(()));
}

#[test]
fn whoever_quits_in_the_middle_of_a_backup_leaves_nothing_half_made() {
    let desktop = Desktop::with(&[]);
    let mut window = desktop.open();
    window.click("place-backups");
    window.click("act-back-up");
    window.part("job");
    desktop.bus.item().choose("Quit");
    let ended = until("the end of the program", UPDATE, || window.program.0.try_wait().unwrap());
    assert!(ended.success(), "{ended}");
    // What was written whole before it was stopped in its proof is a backup, as any that nobody has tried yet.
    assert!(kept(&desktop).iter().all(|it| !it.starts_with(".partial")), "{:?}", kept(&desktop));
    let left: Vec<_> = fs::read_dir(desktop.shop.home().join("scratch")).into_iter().flatten().flatten().collect();
    let servers = |it: &fs::DirEntry| it.path().join("database").exists();
    assert!(!left.iter().any(servers), "a server on the side is left: {left:?}");
}
