//! Corner Shop in containers, without Liftlock: that what is upgraded later behaves as the native shop does.

use serde_json::{Value, json};

use crate::support::World;

#[test]
fn a_shop_in_containers_serves_hashes_shops_and_is_started_again() {
    let world = World::with(&["1.1.0"]);
    assert_eq!(world.version().as_deref(), Some("1.0.0"));
    assert_eq!(world.demo(&["status"])["running"], json!({ "postgres": true, "releases": true, "shop": true }));
    let images = world.engine.docker(&["images", "--format", "{{.Repository}}:{{.Tag}}"]);
    assert!(images.lines().any(|it| it == "corner-shop:1.1.0"), "{images}");

    let shopped = world.demo(&["shop", "--seconds", "2", "--rate", "20"]);
    assert!(shopped["acknowledged"].as_u64().unwrap() > 10, "{shopped}");
    assert_eq!((&shopped["lost"], &shopped["duplicated"]), (&Value::from(0), &Value::from(0)), "{shopped}");
    let seeded = world.demo(&["hash", "--seeded"]);
    assert_eq!(seeded["content_1_0"], world.before["content_1_0"]);
    let now = world.demo(&["hash"]);
    assert_ne!(now["content"], world.before["content"], "orders were placed");

    world.demo(&["down"]);
    assert_eq!(world.version(), None);
    assert_eq!(world.demo(&["up"])["release"], "1.0.0");
    assert_eq!(world.demo(&["hash"])["content"], now["content"]);

    // A moved tag is another image under the same name.
    let id = || world.engine.docker(&["image", "inspect", "--format", "{{.Id}}", "corner-shop:1.1.0"]);
    let before = id();
    world.demo(&["fault", "--move-tag", "1.1.0"]);
    assert_ne!(id(), before);
}
