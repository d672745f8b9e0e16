//! Up, hash, down.

use std::{fs, process::Command};

use crate::support::{Demo, get};

#[tokio::test]
async fn a_demo_comes_up_says_where_everything_is_and_goes_down_to_the_last_process() {
    let demo = Demo::new();
    assert_eq!(get(&format!("{}/health", demo.app_url())).await.0, 200);
    assert_eq!(demo.up["release"], "1.0.0");
    let profile = fs::read_to_string(demo.up["profile"].as_str().unwrap()).unwrap();
    assert!(profile.contains(&format!("api = \"{}\"", demo.releases_url())));
    assert_eq!(fs::read_link(demo.shop_dir().join("current")).unwrap().to_str(), Some("releases/1.0.0"));
    assert!(!demo.up.to_string().contains(password(&demo).as_str()), "the answer holds no password");

    let again = demo.run("up", &[]);
    assert_eq!(again["app_url"], demo.up["app_url"], "a demo that is up stays as it is");
    assert_eq!(demo.run("status", &[])["running"].to_string(), r#"{"postgres":true,"releases":true,"shop":true}"#);

    demo.run("down", &[]);
    assert_eq!(processes_of(&demo), "");
    assert_eq!(demo.run("status", &[])["running"].to_string(), r#"{"postgres":false,"releases":false,"shop":false}"#);
}

#[tokio::test]
async fn after_a_power_cut_everything_is_there_again() {
    let demo = Demo::new();
    let before = demo.run("hash", &[]);
    demo.run("down", &["--hard"]);
    assert_eq!(processes_of(&demo), "");
    demo.run("up", &["--no-shop"]);
    assert_eq!(get(&format!("{}/health", demo.app_url())).await.0, 0, "the shop was not wanted");
    let after = demo.run("hash", &[]);
    assert_eq!(before["content"], after["content"]);
    demo.run("down", &["--remove"]);
    assert!(!demo.dir().exists());
}

#[tokio::test]
async fn the_hash_sees_one_changed_byte_and_not_the_order_of_rows() {
    let demo = Demo::with(&["--no-shop"]);
    let before = demo.run("hash", &[]);
    assert_eq!(before["tables"]["orders"]["rows"], 200);
    assert_eq!(before["settings"]["owner"], "corner_shop");
    let admin = demo.admin("corner_shop").await;

    admin.batch_execute("UPDATE items SET name = name; CLUSTER orders USING orders_customer").await.unwrap();
    let moved = demo.run("hash", &[]);
    assert_eq!(before["content"], moved["content"]);

    admin.batch_execute("UPDATE items SET picture = set_byte(picture, 9, 7) WHERE id = 3").await.unwrap();
    let changed = demo.run("hash", &[]);
    assert_ne!(before["content"], changed["content"]);
    assert_ne!(before["tables"]["items"]["content_1_0"], changed["tables"]["items"]["content_1_0"]);
    assert_eq!(before["tables"]["orders"], changed["tables"]["orders"]);

    fs::write(demo.shop_dir().join("data/uploads/letter-001.bin"), "other").unwrap();
    assert_ne!(demo.run("hash", &[])["uploads"]["content"], before["uploads"]["content"]);

    // Orders that came later do not count where only the seeded ones are asked for.
    let seeded = demo.run("hash", &["--seeded"]);
    admin.batch_execute("INSERT INTO orders (customer_id, client_key) VALUES (1, 'later')").await.unwrap();
    assert_eq!(seeded["content"], demo.run("hash", &["--seeded"])["content"]);
}

#[test]
fn a_folder_with_something_else_in_it_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("mine"), "").unwrap();
    let output =
        Command::new(env!("CARGO_BIN_EXE_liftlock-demo")).args(["up", "--dir"]).arg(folder.path()).output().unwrap();
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stdout).contains("holds something else"));
}

fn password(demo: &Demo) -> String {
    let url = demo.shop_url("x");
    url.split(':').nth(2).unwrap().split('@').next().unwrap().to_owned()
}

/// Command lines and programs of what still runs from the demo's folder.
fn processes_of(demo: &Demo) -> String {
    let left = liftlock_demo::detached::all_below(&demo.dir());
    left.iter().map(|it| fs::read_to_string(format!("/proc/{}/cmdline", it.pid)).unwrap_or_default()).collect()
}
