//! What people do, from the first click to the end.

use std::os::unix::fs::PermissionsExt;

use crate::support::{Desktop, Hosts, SOON, UPDATE, until};

#[test]
fn an_update_goes_from_home_to_its_receipt_in_three_clicks() {
    let desktop = Desktop::with(&["1.1.0"]);
    let window = desktop.open();
    window.click("act-update");
    window.is_at("Update Corner Shop to 1.1.0?", SOON);
    window.picture("update");
    assert!(window.part("what-will-happen").text().contains("Your data will be backed up and tested first"));
    window.click("act-update-now");
    window.part("says");
    window.picture("progress");
    assert!(window.text().contains("You may close this window. The update goes on."), "{}", window.text());
    window.is_at("Corner Shop 1.1.0 is running", UPDATE);
    window.picture("complete");
    let outcome = window.part("outcome");
    assert_eq!(outcome.attribute("data-state").as_deref(), Some("complete"));
    assert!(outcome.text().contains("Everything that was there before is still there."), "{}", outcome.text());
    let receipt = window.part("receipt").text();
    assert!(receipt.contains("Proven"), "{receipt}");
    assert!(receipt.contains("1.0.0, kept"), "{receipt}");

    // It is announced once, however often the page is loaded.
    assert_eq!(outcome.attribute("role").as_deref(), Some("alert"), "news is announced");
    for _ in 0..2 {
        window.reload();
        window.is_at("Corner Shop 1.1.0 is running", SOON);
        assert_eq!(window.part("outcome").attribute("role"), None, "what was seen is not announced again");
    }

    window.click("act-done");
    let card = window.part("card-corner-shop").text();
    assert!(card.contains("1.1.0"), "{card}");
    assert!(window.find("unseen").is_none(), "a result that was shown leaves no line");
}

#[test]
fn a_rehearsal_changes_nothing_and_comes_back_with_the_time_that_it_measured() {
    let desktop = Desktop::with(&["1.1.0"]);
    let window = desktop.open();
    window.click("act-update");
    window.is_at("Update Corner Shop to 1.1.0?", SOON);
    window.click("act-rehearse");
    window.is_at("The rehearsal passed", UPDATE);
    window.says("Corner Shop would be away for about ");
    window.picture("rehearsed");
    assert_eq!(desktop.shop.demo(&["status"])["release"], "1.0.0");
    assert_eq!(desktop.shop.liftlock(&["history"])["outcomes"].as_array().map(Vec::len), Some(1));
    window.click("act-update-now");
    window.is_at("Update Corner Shop to 1.1.0?", SOON);
    window.says("Tested on a copy of your data");
    window.picture("update-rehearsed");
}

#[test]
fn a_release_that_never_becomes_healthy_is_brought_back() {
    let desktop = Desktop::with(&["1.2.0"]);
    let window = desktop.open();
    window.click("act-update");
    window.click("act-update-now");
    window.is_at("Bringing back Corner Shop 1.0.0", UPDATE);
    window.picture("bringing-back");
    let failed = window.part("phase-verifying").attribute("data-state");
    assert_eq!(failed.as_deref(), Some("failed"), "the phase that failed is not called unneeded");
    window.is_at("Corner Shop 1.0.0 is running again", UPDATE);
    window.picture("brought-back");
    let outcome = window.part("outcome");
    assert_eq!(outcome.attribute("data-state").as_deref(), Some("rolled_back"));
    let said = outcome.text();
    assert!(said.starts_with("The update to 1.2.0 did not work: "), "{said}");
    assert!(said.contains("Your data is as it was before the update."), "{said}");
    assert_eq!(desktop.shop.demo(&["status"])["release"], "1.0.0", "the version before runs");
    let note = desktop.bus.note("Corner Shop 1.0.0 is running again", SOON);
    assert_eq!(note.body, "The update did not work; your data is as it was.");
}

#[test]
fn a_window_that_is_killed_finds_its_update_again_and_sees_it_end_well() {
    let desktop = Desktop::with(&["1.7.0"]);
    desktop.shop.demo(&["fault", "--migration-seconds", "5"]);
    let window = desktop.open();
    window.click("act-update");
    window.click("act-update-now");
    window.part_within("phase-rehearsing", UPDATE);
    window.kill();

    let window = desktop.open();
    window.part("percent");
    assert!(window.part("live-line").text().contains("Updating Corner Shop"), "{}", window.text());
    window.picture("reopened");
    // From its rehearsal on it is known for how long it goes on.
    window.sees("the time left", UPDATE, || {
        let said = window.find("time")?.text();
        (said.contains("about") && said.contains("left")).then_some(())
    });
    let came_out = |phase: &str| window.part(&format!("phase-{phase}")).text();
    assert!(came_out("backing_up").contains("proven · "), "{}", came_out("backing_up"));
    assert!(came_out("rehearsing").contains("passed · "), "{}", came_out("rehearsing"));
    window.sees("its data fitted", UPDATE, || {
        let phase = window.find("phase-migrating")?;
        (phase.attribute("data-state").as_deref() == Some("now")).then_some(())
    });
    window.picture("progress-migrating");
    window.is_at("Corner Shop 1.7.0 is running", UPDATE);
    assert_eq!(window.part("outcome").attribute("data-state").as_deref(), Some("complete"));
    assert!(!window.text().contains("interrupted"), "only the window was: {}", window.text());
}

#[test]
fn a_second_start_raises_the_window_and_ends() {
    let desktop = Desktop::with(&[]);
    let _window = desktop.open();
    let first = desktop.screen.window();
    desktop.screen.cover();
    let mut second = desktop.program(&[]).spawn().unwrap();
    let ended = until("the end of the second", SOON, || second.try_wait().unwrap());
    assert!(ended.success(), "{ended}");
    until("the first in front", SOON, || (desktop.screen.front() == Some(first)).then_some(()));
    assert_eq!(desktop.screen.windows(), [first], "there is one window");
}

#[test]
fn while_locked_an_update_asks_for_the_passphrase_and_goes_on_with_it() {
    let desktop = Desktop::with(&["1.1.0"]);
    let file = desktop.shop.dir.join("passphrase");
    std::fs::write(&file, "correct horse\n").unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    desktop.shop.liftlock(&["lock", "set", "--new-passphrase-file", file.to_str().unwrap()]);
    let window = desktop.open();
    window.click("act-update");
    window.is_at("Update Corner Shop to 1.1.0?", SOON);
    window.click("act-update-now");
    window.part("unlock-dialog");
    window.picture("locked");
    window.type_into("passphrase", "wrong horse");
    window.click("act-unlock");
    window.says("That is not the passphrase.");
    assert_eq!(desktop.shop.liftlock(&["status"])["upgrade"], serde_json::Value::Null, "nothing has begun");

    // The next try is open after a second, and the button says when.
    window.sees("the next try", SOON, || {
        (window.find("act-unlock")?.attribute("aria-disabled").as_deref() == Some("false")).then_some(())
    });
    window.type_into("passphrase", "correct horse");
    window.click("act-unlock");
    window.is_at("Corner Shop 1.1.0 is running", UPDATE);
}

#[test]
fn the_recovery_code_is_shown_once_can_be_printed_and_opens_the_lock() {
    let desktop = Desktop::with(&["1.1.0"]);
    let window = desktop.open();
    window.click("place-settings");
    // The page grows above it while its parts arrive, and a click is aimed at a place.
    window.part("act-set-lock");
    window.run("document.querySelector('[data-testid=act-set-lock]').click()");
    window.type_into("lock-passphrase", "correct horse");
    window.type_into("lock-again", "correct horse");
    window.click("act-lock-go");
    let code = window.part("recovery-code").text();
    window.picture("recovery-code");
    window.click("act-print");
    until("the dialog of the printer", SOON, || desktop.screen.titles().iter().any(|it| it == "Print").then_some(()));

    // Another program, which nobody has unlocked: it takes the code.
    window.kill();
    let window = desktop.open();
    window.click("act-update");
    window.click("act-update-now");
    window.part("unlock-dialog");
    window.type_into("passphrase", &code);
    window.click("act-unlock");
    window.sees("the update begun", SOON, || window.find("says").map(drop));
    let page = window.run("return document.documentElement.outerHTML").to_string();
    assert!(!page.contains(code.trim()), "it is shown once");
}

#[test]
fn the_sample_shop_comes_up_from_the_welcome_and_is_updated() {
    let desktop = Desktop::bare(Hosts::BOTH);
    let window = desktop.open();
    window.is_at("Welcome to Liftlock", SOON);
    window.picture("welcome");
    window.click("way-sample");
    window.part_within("act-update", UPDATE);
    window.picture("sample");
    window.click("act-update");
    window.click("act-update-now");
    window.is_at("Corner Shop 1.1.0 is running", UPDATE);

    let sample = desktop.shop.sample();
    assert!(sample.is_dir(), "the sample shop is in {}", sample.display());
    drop((window, desktop));
    assert!(!sample.exists(), "something is left in {}", sample.display());
}
