//! The tray and the notifications, as the desktop is told of them.

use crate::support::{Desktop, Hosts, SOON, UPDATE, tree, until};

#[test]
fn closed_into_the_tray_it_has_no_web_view_and_still_tells_everything() {
    let desktop = Desktop::with(&["1.1.0"]);
    let window = desktop.open();
    let out = desktop.bus.note("Corner Shop 1.1.0 is out", SOON);
    assert!(!out.body.is_empty(), "it says what is new");
    desktop.bus.item().says("Liftlock: Corner Shop 1.1.0 is out", SOON);
    let first = desktop.bus.item().process().expect("it lives");

    window.part("act-update");
    let size = (1104, 732);
    desktop.screen.resize(desktop.screen.window(), size.0, size.1);
    window.sees("a wider page", SOON, || (window.run("return innerWidth") == size.0).then_some(()));
    desktop.screen.close(desktop.screen.window());
    window.part("close-dialog");
    window.picture("first-close");
    assert!(window.text().contains("Liftlock stays in the tray"), "{}", window.text());
    window.click_last("act-close");
    until("no window", SOON, || desktop.screen.windows().is_empty().then_some(()));
    let item = until("the tray item of a fresh process", SOON, || {
        desktop.bus.items().into_iter().find(|it| it.process().is_some_and(|it| it != first))
    });
    item.says("Liftlock: Corner Shop 1.1.0 is out", SOON);
    let left: Vec<_> = tree(item.process().expect("it lives")).into_iter().map(|it| it.name).collect();
    assert!(
        !left.is_empty() && !left.iter().any(|it| it.starts_with("WebKit")),
        "nothing of a web view is left: {left:?}"
    );
    assert_eq!(
        item.menu().into_iter().map(|it| it.1).filter(|it| !it.is_empty()).collect::<Vec<_>>()[1..],
        ["Open Liftlock", "Check now", "Back up now", "Pause notices", "Quit"]
    );

    desktop.shop.liftlock(&["upgrade", "--yes"]);
    item.says("Liftlock: all is well", UPDATE);
    let note = desktop.bus.note("Corner Shop 1.1.0 is running", SOON);
    assert!(note.body.starts_with("Away for "), "{note:?}");

    // A fresh process has nothing new to say of either.
    item.choose("Open Liftlock");
    let window = desktop.screen.window();
    until("the size of before", SOON, || (desktop.screen.size(window) == size).then_some(()));
    desktop.screen.close(window);
    let second = item.process().expect("it lives");
    let item = until("the tray item of a third process", SOON, || {
        desktop.bus.items().into_iter().find(|it| it.process().is_some_and(|it| ![first, second].contains(&it)))
    });
    item.says("Liftlock: all is well", SOON);
    let told: Vec<_> = desktop.bus.notes().into_iter().map(|it| it.title).collect();
    assert_eq!(told, ["Corner Shop 1.1.0 is out", "Corner Shop 1.1.0 is running"], "each once");

    item.choose("Quit");
    until("the end", SOON, || desktop.bus.items().is_empty().then_some(()));
}

#[test]
fn while_an_update_runs_the_tray_says_how_far_it_is() {
    let desktop = Desktop::with(&["1.7.0"]);
    desktop.shop.demo(&["fault", "--migration-seconds", "5"]);
    let mut program = crate::support::Ends(desktop.program(&["--tray"]).spawn().unwrap());
    let item = desktop.bus.item();
    assert!(desktop.screen.windows().is_empty(), "the session starts it without a window");
    let mut upgrade = desktop.shop.command("liftlock", &["upgrade", "--yes"]).spawn().unwrap();
    until("a percentage in the tray", UPDATE, || {
        let line = item.menu().first()?.1.clone();
        line.strip_prefix("Liftlock: updating Corner Shop, ")?.strip_suffix(" %")?.parse::<u8>().ok()
    });
    assert!(upgrade.wait().unwrap().success());
    item.says("Liftlock: all is well", SOON);
    assert!(program.0.try_wait().unwrap().is_none(), "it goes on");
}

#[test]
fn without_a_tray_and_without_notifications_closing_says_so_and_quits() {
    let desktop = Desktop::bare(Hosts::NEITHER);
    desktop.shop.open();
    desktop.shop.publish(&["1.1.0"]);
    let mut window = desktop.open();
    window.part("act-update");
    desktop.screen.close(desktop.screen.window());
    window.part("close-dialog");
    assert!(window.text().contains("This desktop has no tray, so closing quits."), "{}", window.text());
    window.picture("no-tray");
    window.click_last("act-quit");
    let ended = until("the end of the program", SOON, || window.program.0.try_wait().unwrap());
    assert!(ended.success(), "{ended}");
}

#[test]
fn a_window_that_is_closed_before_it_has_loaded_closes_without_a_question() {
    let desktop = Desktop::bare(Hosts::BOTH);
    let mut program = crate::support::Ends(desktop.program(&[]).spawn().unwrap());
    let first = desktop.bus.item().process().expect("it lives");
    desktop.screen.close(desktop.screen.window());
    let item = until("the tray item of a fresh process", SOON, || {
        // Where the page was quicker than we were it has asked; whoever closes once more has answered.
        desktop.screen.windows().into_iter().for_each(|it| desktop.screen.close(it));
        desktop.bus.items().into_iter().find(|it| it.process().is_some_and(|it| it != first))
    });
    item.says("Liftlock: all is well", SOON);
    assert!(desktop.screen.windows().is_empty());
    item.choose("Quit");
    until("the end", SOON, || desktop.bus.items().is_empty().then_some(()));
    drop(program.0.wait());
}
