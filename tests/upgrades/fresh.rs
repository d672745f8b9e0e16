//! A release that cannot take the old data along: exported, begun empty beside, the old one kept and looked at.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;

use serde_json::Value;

use crate::support::{Case, Exit, World, signal, wait_for};

pub(crate) fn databases(world: &World) -> Vec<String> {
    let list = world.sql("postgres", "SELECT datname FROM pg_database WHERE datname LIKE 'corner_shop%' ORDER BY 1");
    list.lines().map(str::to_owned).collect()
}

/// The content of what the old shop knows, whoever runs.
fn old_content(world: &World) -> Value {
    world.demo(&["hash"])["content"].clone()
}

pub(crate) fn exported(case: &Case<'_>, own: &tempfile::TempDir) -> String {
    let into = own.path().join("export").to_str().unwrap().to_owned();
    let (code, made) = case.answer(&["export", "--to", &into]);
    assert_eq!(code, 0, "{made:#}");
    into
}

/// What answers `path` on a port of this machine.
fn get(address: &str, path: &str) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect(address.trim_start_matches("http://")).ok()?;
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n").as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    Some((head.split(' ').nth(1)?.parse().ok()?, body.to_owned()))
}

fn order(address: &str) -> u16 {
    let body = r#"{"client_key":"a look","customer_id":1,"lines":[{"item_id":1,"quantity":1}]}"#;
    let mut stream = TcpStream::connect(address.trim_start_matches("http://")).unwrap();
    let head = format!(
        "POST /api/v1/orders HTTP/1.1\r\nHost: shop\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(format!("{head}{body}").as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.split(' ').nth(1).unwrap().parse().unwrap()
}

#[test]
fn a_release_that_begins_empty_stands_beside_the_old_one_which_can_be_looked_at_started_and_removed() {
    let world = World::with(&["1.1.0", "2.0.0"]);
    let case = world.case();
    let own = tempfile::tempdir().unwrap();

    // Refused before anything is touched, each with what to do.
    for (args, class) in [
        (&["fresh-start"][..], "no_version"),
        (&["fresh-start", "--to", "2.0.0"], "no_export"),
        (&["fresh-start", "--to", "2.0.0", "--confirm", "empty"], "no_export"),
        (&["fresh-start", "--to", "1.1.0", "--confirm", "EMPTY"], "not_breaking"),
        (&["fresh-start", "--to", "9.0.0", "--confirm", "EMPTY"], "unknown_release"),
        (
            &["fresh-start", "--to", "2.0.0", "--confirm", "EMPTY", "--folder", world.shop.to_str().unwrap()],
            "folder_taken",
        ),
        (&["upgrade", "--to", "2.0.0", "--detach"], ""),
    ] {
        if class.is_empty() {
            continue;
        }
        let (code, answer) = case.answer(args);
        assert_eq!((code > 0, answer["error"]["class"].as_str()), (true, Some(class)), "{args:?}: {answer:#}");
    }
    let export = exported(&case, &own);
    let edited = PathBuf::from(&export).join("customers.csv");
    let text = fs::read_to_string(&edited).unwrap();
    fs::write(&edited, text.replacen('@', "#", 1)).unwrap();
    let (_, answer) = case.answer(&["fresh-start", "--to", "2.0.0", "--export", &export]);
    assert_eq!(answer["error"]["class"], "export_differs", "an export that is not whole is none: {answer:#}");
    fs::write(&edited, text).unwrap();
    assert_eq!((databases(&world).len(), world.version().as_deref()), (1, Some("1.0.0")));

    // Something is ordered after the export: it is exported again after the stop.
    assert_eq!(order(&format!("127.0.0.1:{}", world.port)), 201);
    let content = old_content(&world);
    let (code, done) = case.answer(&["fresh-start", "--to", "2.0.0", "--export", &export]);
    assert_eq!((code, &done["state"]), (0, &Value::from("complete")), "{done:#}");
    assert_eq!(world.version().as_deref(), Some("2.0.0"));
    assert_eq!(old_content(&world), content, "nothing of the old one was changed");
    assert_eq!(databases(&world).len(), 2, "{:?}", databases(&world));
    let new = databases(&world).into_iter().find(|it| it != "corner_shop").unwrap();
    assert_eq!(world.sql(&new, "SELECT count(*) FROM orders"), "0");
    let last = done["export"].as_str().unwrap();
    assert_ne!(last, export, "{done:#}");
    let (_, seen) = case.answer(&["export", "--check", last]);
    let orders = seen["entities"].as_array().unwrap().iter().find(|it| it["entity"] == "orders").unwrap();
    assert_eq!(orders["rows"], 201, "what came after the export is there too");
    let settings = fs::read_to_string(PathBuf::from(done["folder"].as_str().unwrap()).join(".env")).unwrap();
    assert!(settings.contains(&format!("/{new}\n")), "{new}");
    let backup = done["backup"].as_str().unwrap();
    assert!(PathBuf::from(backup).is_dir());

    // Both are listed; the new one is the one that is meant.
    let (_, list) = case.answer(&["list"]);
    let named =
        |name: &str| list["installations"].as_array().unwrap().iter().find(|it| it["name"] == name).cloned().unwrap();
    let successor = done["successor"].as_str().unwrap();
    assert_eq!(named("corner-shop")["set_aside_for"], successor);
    assert_eq!(named(successor)["version"], "2.0.0");
    let (code, check) = case.answer(&["check"]);
    assert_eq!((code, &check["installation"]), (0, &Value::from(successor)));
    let (_, again) = case.answer(&["fresh-start", "corner-shop", "--to", "2.0.0", "--export", last]);
    assert_eq!(again["error"]["class"], "already_set_aside");

    // A look: beside the new one, and nothing can be written.
    let (code, look) = case.answer(&["aside", "look", "corner-shop"]);
    assert_eq!((code, &look["used"]), (0, &Value::from("looked")), "{look:#}");
    let address = look["address"].as_str().unwrap();
    assert!(get(address, "/api/v1/system/version").unwrap().1.contains("1.0.0"));
    assert!(get(address, "/").unwrap().1.contains("201"), "its orders are shown");
    assert_eq!(order(address), 503, "it only reads");
    assert_eq!(world.version().as_deref(), Some("2.0.0"));
    let (code, stopped) = case.answer(&["aside", "stop", "corner-shop"]);
    assert_eq!((code, &stopped["used"]), (0, &Value::from("stopped")), "{stopped:#}");
    assert_eq!(old_content(&world), content);

    // Started again in the place of the new one, and back.
    let (code, started) = case.answer(&["aside", "start", "corner-shop"]);
    assert_eq!(
        (code, &started["used"], world.version().as_deref()),
        (0, &Value::from("in_use"), Some("1.0.0")),
        "{started:#}"
    );
    assert_eq!(order(&format!("127.0.0.1:{}", world.port)), 201, "it can be written to again");
    let (_, refused) = case.answer(&["aside", "remove", "corner-shop", "--confirm", "REMOVE"]);
    assert_eq!(refused["error"]["class"], "still_running");
    let (code, _) = case.answer(&["aside", "stop", "corner-shop"]);
    assert_eq!((code, world.version().as_deref()), (0, Some("2.0.0")));

    // Removed only by the word, after its size and age were named; what it holds is in a proven backup first.
    let (code, refused) = case.answer(&["aside", "remove", "corner-shop"]);
    let said = refused["error"]["message"].as_str().unwrap();
    assert_eq!((code, &refused["error"]["class"]), (3, &Value::from("not_confirmed")));
    assert!(said.contains("MB") && said.contains("set aside today"), "{said}");
    assert_eq!(databases(&world).len(), 2);
    let backups = || {
        let (_, list) = case.answer(&["backup", "list", "corner-shop"]);
        list["backups"].as_array().map_or(0, Vec::len)
    };
    let before = backups();
    let folder = case.home.backups(&case.name).unwrap();
    let (code, removed) = case.answer(&["aside", "remove", "corner-shop", "--confirm", "REMOVE"]);
    assert_eq!((code, &removed["removed"]), (0, &Value::from(true)), "{removed:#}");
    assert_eq!(databases(&world), [new]);
    assert!(!world.shop.exists());
    assert_eq!(fs::read_dir(folder).unwrap().count(), before + 1, "one more, with what was ordered last");
    assert_eq!(world.version().as_deref(), Some("2.0.0"));
    case.liftlock(&["aside", "list"]).status().unwrap();
    let end = PathBuf::from(done["folder"].as_str().unwrap());
    stop_shops_in(&world, &end);
}

pub(crate) fn stop_shops_in(world: &World, folder: &std::path::Path) {
    wait_for("the new shop has ended", std::time::Duration::from_secs(20), || {
        let shops: Vec<u32> = crate::support::processes()
            .into_iter()
            .map(|(pid, _)| pid)
            .filter(|pid| fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|it| it.starts_with(folder)))
            .filter(|pid| crate::support::lives(*pid))
            .collect();
        shops.iter().for_each(|pid| signal(*pid, rustix::process::Signal::KILL));
        shops.is_empty().then_some(())
    });
    let _ = world;
}

const POINTS: &[&str] = &[
    "forward/fresh_start/asked/after_intent",
    "forward/fresh_start/build/after_intent",
    "forward/fresh_start/build/mid_effect",
    "forward/fresh_start/build/after_effect",
    "forward/fresh_start/built/after_outcome",
    "forward/fresh_start/set_aside/after_intent",
    "forward/fresh_start/set_aside/mid_effect",
    "forward/fresh_start/set_aside/after_effect",
    "forward/fresh_start/open/after_intent",
    "forward/fresh_start/open/mid_effect",
    "forward/fresh_start/open/after_outcome",
];

/// Runs it until it ends, dying at each point once.
pub(crate) fn with_deaths(case: &Case<'_>, args: &[&str], points: &[&str]) -> usize {
    let log = case.home.root().join("crash.log");
    for killed in 0..points.len() + 2 {
        let mut child = case
            .liftlock(args)
            .env("LIFTLOCK_CRASH_AT", points.join(","))
            .env("LIFTLOCK_CRASH_LOG", &log)
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        match case.end_of(&mut child) {
            Exit::Signal(9) => {}
            // Killed after all was done: there is nothing to go on with.
            Exit::Code(0 | 3) => return killed,
            other => panic!("{args:?} went with {other:?}"),
        }
    }
    panic!("{args:?} did not come to an end");
}

#[test]
fn killed_at_every_point_it_goes_on_or_is_taken_back_and_loses_nothing() {
    let world = World::with(&["2.0.0"]);
    let case = world.case();
    let content = old_content(&world);

    // Taken back from wherever it stood: the old shop serves, nothing new is left.
    for at in ["forward/fresh_start/build/after_effect", "forward/fresh_start/set_aside/mid_effect"] {
        let mut child = case
            .liftlock(&["fresh-start", "--to", "2.0.0", "--confirm", "EMPTY"])
            .env("LIFTLOCK_CRASH_AT", at)
            .env("LIFTLOCK_CRASH_LOG", case.home.root().join(at.replace('/', "-")))
            .spawn()
            .unwrap();
        assert_eq!(case.end_of(&mut child), Exit::Signal(9), "{at}");
        let died = with_deaths(
            &case,
            &["fresh-start", "--cancel"],
            &["back/fresh_start/after_intent", "back/fresh_start/mid_effect"],
        );
        assert!(died <= 2);
        assert_eq!(world.version().as_deref(), Some("1.0.0"), "{at}");
        assert_eq!((databases(&world).len(), old_content(&world)), (1, content.clone()), "{at}");
        assert!(!world.dir.join("shop-v2").exists(), "{at}");
    }
    let args = ["fresh-start", "corner-shop", "--to", "2.0.0", "--confirm", "EMPTY"];
    assert_eq!(with_deaths(&case, &args, POINTS), POINTS.len(), "it died at every point");
    assert_eq!(world.version().as_deref(), Some("2.0.0"));
    assert_eq!((databases(&world).len(), old_content(&world)), (2, content));
    let (_, list) = case.answer(&["list"]);
    assert_eq!(list["installations"].as_array().unwrap().len(), 2, "{list:#}");
    let (code, _) = case.answer(&["aside", "start", "corner-shop"]);
    assert_eq!((code, world.version().as_deref()), (0, Some("1.0.0")), "the old one can be started");
    stop_shops_in(&world, &world.dir.join("shop-v2"));
}
