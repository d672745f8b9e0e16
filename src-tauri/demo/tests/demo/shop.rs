//! Corner Shop and each of its bad releases.

use std::{collections::HashMap, process::Stdio, time::Duration};

use serde_json::json;

use crate::support::{Demo, Ended, eventually, get, said};

#[tokio::test]
async fn a_good_migration_keeps_the_old_data_and_a_bad_one_is_seen() {
    let demo = Demo::with(&["--no-shop"]);
    let none = HashMap::new();
    let before = demo.run("hash", &[]);

    let good = demo.unpack("1.1.0");
    let done = demo.migrate_copy("good", &good, &none).await;
    assert_eq!(said(&done), "applied 0003_order_channel\n");
    let after = demo.run("hash", &["--database", "good"]);
    assert_eq!(before["content_1_0"], after["content_1_0"]);
    assert_ne!(before["content"], after["content"]);
    let version = demo.corner_shop(&good, "schema-version").env("DATABASE_URL", demo.shop_url("good")).output();
    assert_eq!(said(&version.unwrap()), "0003\n");

    let done = demo.migrate_copy("fails", &demo.unpack("1.3.0"), &none).await;
    assert_eq!(done.status.code(), Some(1));
    assert!(said(&done).contains("applied 0004_delivery\n"), "the first half is committed: {}", said(&done));
    assert!(said(&done).contains("migration 0005_delivery_prices failed: ERROR: division by zero"));

    let done = demo.migrate_copy("destroys", &demo.unpack("1.4.0"), &none).await;
    assert!(done.status.success());
    let destroyed = demo.run("hash", &["--database", "destroys"]);
    assert!(destroyed["tables"]["notes"]["rows"].as_i64() < before["tables"]["notes"]["rows"].as_i64());
    assert!(destroyed["tables"]["order_lines"]["rows"].as_i64() < before["tables"]["order_lines"]["rows"].as_i64());

    let done = demo.migrate_copy("poor", &demo.unpack("1.8.0"), &none).await;
    assert_eq!(done.status.code(), Some(1));
    assert!(said(&done).contains("SHOP_CURRENCY is not set"));
    let done = demo.migrate_copy("poor", &demo.unpack("1.8.0"), &HashMap::from([("SHOP_CURRENCY", "DKK")])).await;
    assert!(done.status.success(), "{}", said(&done));

    let done = demo.migrate_copy("old", &demo.unpack("2.0.0"), &none).await;
    assert_eq!(done.status.code(), Some(1));
    assert!(said(&done).contains("belongs to Corner Shop 1.x"));
    assert_eq!(before["content"], demo.run("hash", &["--database", "old"])["content"]);

    assert_eq!(before, demo.run("hash", &[]), "every migration kept to the database it was pointed at");
}

#[tokio::test]
async fn one_migration_hangs_and_does_nothing_and_another_works_for_long() {
    let demo = Demo::with(&["--no-shop"]);
    let waiting_for = |name: &'static str| {
        let demo = &demo;
        async move {
            let query = "SELECT coalesce(wait_event, 'works') FROM pg_stat_activity \
                         WHERE datname = $1 AND state = 'active' AND application_name = 'marked'";
            let rows = demo.admin("postgres").await.query(query, &[&name]).await.unwrap();
            rows.first().map(|row| row.get::<_, String>(0)).unwrap_or_default()
        }
    };
    demo.copy("hangs").await;
    let hanging = demo
        .corner_shop(&demo.unpack("1.6.0"), "migrate")
        .env("DATABASE_URL", demo.shop_url("hangs"))
        .env("PGAPPNAME", "marked")
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let hanging = Ended(hanging);
    eventually("it sleeps", || async { waiting_for("hangs").await == "PgSleep" }).await;
    drop(hanging);

    demo.run("fault", &["--migration-seconds", "2"]);
    let begun = std::time::Instant::now();
    let done = demo.migrate_copy("works", &demo.unpack("1.7.0"), &HashMap::new()).await;
    assert!(done.status.success(), "{}", said(&done));
    assert!(begun.elapsed() >= Duration::from_secs(2));
}

#[tokio::test]
async fn the_rehearsal_can_be_spared_and_the_environment_be_ignored() {
    let demo = Demo::with(&["--no-shop"]);
    let before = demo.run("hash", &[]);
    let fault = demo.run("fault", &["--spare-rehearsal"]);
    assert_eq!(fault["shop"]["live_port"], demo.up["postgres_port"]);

    // On the live server a bad release is as bad as ever.
    let bad = demo.unpack("1.3.0");
    let done = demo.migrate_copy("live", &bad, &HashMap::new()).await;
    assert!(!done.status.success());

    // "Another server" is one on another port: tell the shop that the live one is elsewhere.
    let file = demo.shop_dir().join("fault.json");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace(&demo.up["postgres_port"].to_string(), "1")).unwrap();
    let done = demo.migrate_copy("scratch", &bad, &HashMap::new()).await;
    assert!(done.status.success(), "{}", said(&done));
    assert_eq!(before["content_1_0"], demo.run("hash", &["--database", "scratch"])["content_1_0"]);

    // Asked for an empty database, a shop with a hard-coded URL answers for the live one.
    demo.run("fault", &["--clear", "--dotenv-wins", "on"]);
    demo.admin("postgres").await.batch_execute("CREATE DATABASE nothing OWNER corner_shop").await.unwrap();
    let asked = || {
        let mut command = demo.corner_shop(&demo.shop_dir().join("current"), "schema-version");
        said(&command.env("DATABASE_URL", demo.shop_url("nothing")).output().unwrap())
    };
    assert_eq!(asked(), "0002\n");
    demo.run("fault", &["--dotenv-wins", "off"]);
    assert!(!file.exists());
    assert_eq!(asked(), "empty\n");
}

#[tokio::test]
async fn a_release_serves_as_it_is_described() {
    let demo = Demo::new();
    let app = demo.app_url();
    assert_eq!(
        get(&format!("{app}/health")).await,
        (200, json!({ "status": "ok", "database": "ok", "version": "1.0.0" }))
    );
    assert_eq!(get(&format!("{app}/api/v1/system/version")).await.1, json!({ "version": "1.0.0" }));
    assert!(
        reqwest::get(app)
            .await
            .unwrap()
            .text()
            .await
            .unwrap()
            .contains("<b id=\"version\">1.0.0</b>, <span id=\"orders\">200</span>")
    );

    let client = reqwest::Client::new();
    let order = json!({ "client_key": "once", "customer_id": 1, "lines": [{ "item_id": 4, "quantity": 2 }] });
    for _ in 0..2 {
        let answer = client.post(format!("{app}/api/v1/orders")).body(order.to_string()).send().await.unwrap();
        assert_eq!(answer.status(), 201);
    }
    assert_eq!(get(&format!("{app}/api/v1/orders/count")).await.1["count"], 202, "the same key twice is two orders");
    let nothing = json!({ "client_key": "x", "customer_id": 1, "lines": [{ "item_id": 99999, "quantity": 2 }] });
    let answer = client.post(format!("{app}/api/v1/orders")).body(nothing.to_string()).send().await.unwrap();
    assert_eq!(
        (answer.status().as_u16(), get(&format!("{app}/api/v1/orders/count")).await.1["count"].as_i64()),
        (400, Some(202))
    );

    let upload = |name: &str| client.post(format!("{app}/api/v1/uploads/{name}")).body("hello").send();
    assert_eq!(upload("new.txt").await.unwrap().status(), 201);
    assert_eq!(upload("new.txt").await.unwrap().status(), 400, "a file is never rewritten");
    assert_eq!(upload("..%2Fescape").await.unwrap().status(), 400);

    // A newer release is not healthy on this database, and behind a gate it listens elsewhere.
    let port = liftlock_demo::place::free_port().unwrap();
    for (version, status, reported) in [("1.1.0", 503, "1.1.0"), ("1.2.0", 503, "1.2.0"), ("1.5.0", 200, "1.0.0")] {
        let release = demo.unpack(version);
        let name = format!("v{}", version.replace('.', ""));
        demo.admin("postgres").await.batch_execute(&format!("CREATE DATABASE {name} OWNER corner_shop")).await.unwrap();
        let url = demo.shop_url(&name);
        if version != "1.1.0" {
            let done = demo.corner_shop(&release, "migrate").env("DATABASE_URL", &url).output().unwrap();
            assert!(done.status.success(), "{}", said(&done));
        }
        let mut command = demo.corner_shop(&release, "serve");
        command.env("DATABASE_URL", &url).env("SHOP_PORT", port.to_string()).stdout(Stdio::null());
        let _serving = Ended(command.spawn().unwrap());
        let health = format!("http://127.0.0.1:{port}/health");
        eventually("it answers", || async { get(&health).await.0 != 0 }).await;
        let (code, told) = get(&health).await;
        assert_eq!((code, told["version"].as_str()), (status, Some(reported)), "{version}: {told}");
    }
}

#[tokio::test]
async fn the_shop_stops_when_it_is_asked_unless_it_was_told_not_to() {
    let demo = Demo::with(&["--no-shop"]);
    let port = liftlock_demo::place::free_port().unwrap();
    let health = format!("http://127.0.0.1:{port}/health");
    let serve = || {
        let mut command = demo.corner_shop(&demo.shop_dir().join("current"), "serve");
        Ended(command.env("SHOP_PORT", port.to_string()).stdout(Stdio::null()).spawn().unwrap())
    };
    let ask = |serving: &Ended| {
        let process = liftlock_demo::detached::Identity::of(serving.0.id()).unwrap();
        process.signal(rustix::process::Signal::TERM);
    };

    let mut polite = serve();
    eventually("it serves", || async { get(&health).await.0 == 200 }).await;
    ask(&polite);
    assert!(polite.0.wait().unwrap().success());

    demo.run("fault", &["--never-stop", "--slow-start", "1"]);
    let begun = std::time::Instant::now();
    let mut stubborn = serve();
    eventually("it serves", || async { get(&health).await.0 == 200 }).await;
    assert!(begun.elapsed() >= Duration::from_secs(1));
    ask(&stubborn);
    assert_eq!(get(&health).await.0, 200);
    assert!(stubborn.0.try_wait().unwrap().is_none());
}
