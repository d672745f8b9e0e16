//! What profiles say of applications in containers.

use std::fs;

use liftlock_engine::model::profile::{Driver, Profile};

use super::{corner_shop, docs, documented, mistakes_with};

#[test]
fn what_is_built_from_a_checkout_has_no_images_and_no_line_that_pins_them() {
    let page = fs::read_to_string(docs("profiles.md")).unwrap();
    let text = page.split("```toml\n").find(|it| it.contains("id = \"tickets\"")).unwrap();
    let text = text.split("```").next().unwrap();
    let images = text.lines().find(|it| it.starts_with("images = ")).unwrap();
    let built = text.replace(images, "build = [\"web\", \"jobs\", \"migrate\"]");
    let said: Vec<String> = Profile::parse(&built).unwrap_err().iter().map(ToString::to_string).collect();
    assert!(said.len() == 2 && said[0].contains("“pin”") && said[1].contains("“local”"), "{said:#?}");
    let alone = |it: &&str| !it.starts_with("pin = ") && !it.starts_with("local = ");
    let good = built.lines().filter(alone).collect::<Vec<_>>().join("\n");
    let Driver::Compose(driver) = Profile::parse(&good).unwrap().driver else { panic!("it is a compose project") };
    assert!(driver.is_built() && driver.services().eq(["web", "jobs", "migrate"]), "{driver:?}");
    let both = mistakes_with(&good, "build = [", &format!("{images}\nbuild = ["));
    assert!(both.iter().any(|it| it.key == "driver.images"), "{both:#?}");
    assert!(!mistakes_with(&good, "build = [\"web\", \"jobs\", \"migrate\"]", "build = []").is_empty());
}

#[test]
fn files_lie_in_a_folder_or_in_a_volume_of_containers_that_no_other_store_has() {
    let text = documented().into_iter().find(|it| it.contains("id = \"tickets\"")).expect("it is documented");
    let volume = "kind = \"files\"\nvolume = \"attachments\"\n";
    let profile = Profile::parse(&text).unwrap();
    let store = profile.store("attachments").unwrap();
    assert_eq!((store.volume(), store.path()), (Some("attachments"), None));
    assert!(serde_json::to_string(&profile).unwrap().contains(r#""volume":"attachments""#));
    let keys = |more: &str| -> Vec<String> {
        let with = format!("kind = \"files\"\n{more}");
        mistakes_with(&text, volume, &with).into_iter().map(|it| it.key).collect()
    };
    assert_eq!(keys("volume = \"a\"\npath = \"a\"\n"), ["stores[1]"]);
    assert_eq!(keys(""), ["stores[1].path"]);
    assert_eq!(keys("volume = \"--help\"\n"), ["stores[1].volume"]);
    assert_eq!(keys("volume = \"a\"\npoint_at = { FILES = \"{path}\" }\n"), ["stores[1]"]);
    let twice = "volume = \"a\"\n\n[[stores]]\nname = \"again\"\nkind = \"files\"\nvolume = \"a\"\n";
    assert_eq!(keys(twice), ["stores[2].volume"]);
    let native = mistakes_with(corner_shop(), "path = \"data/uploads\"", "volume = \"uploads\"");
    assert_eq!(native.into_iter().map(|it| it.key).collect::<Vec<_>>(), ["stores[1].volume"]);
}

/// The documented project of Compose, deployed as a stack.
pub(super) fn in_a_stack() -> String {
    let text = documented().into_iter().find(|it| it.contains("id = \"tickets\"")).expect("it is documented");
    let (before, rest) = text.split_once("[gate]").expect("it has a gate");
    let (_, after) = rest.split_once("[migrations]").expect("it has migrations");
    let text = format!("{before}[migrations]{after}");
    let text = text.replace("kind = \"compose\"\n", "kind = \"compose\"\nstack = \"tickets\"\n");
    let lines = text.lines().filter(|it| !it.starts_with("carry = ")).map(|it| it.to_owned() + "\n");
    let text = lines.collect::<String>().replace("127.0.0.1:{port}", "127.0.0.1:8080");
    text.replace(
        "phase = 2\n",
        "phase = 2\n\n[[components]]\nname = \"pages\"\nrun = { service = \"pages\" }\nstart_first = true\n",
    )
}

#[test]
fn what_is_not_stopped_is_in_a_stack_runs_no_migrations_and_leaves_something_to_be_stopped() {
    let good = in_a_stack();
    assert!(Profile::parse(&good).unwrap().component("pages").unwrap().start_first);
    let said = |from: &str, to: &str| -> Vec<String> {
        mistakes_with(&good, from, to).into_iter().map(|it| format!("{}: {}", it.key, it.reason)).collect()
    };
    let first = "components[2].start_first: ";
    let project = said("stack = \"tickets\"\n", "");
    assert_eq!(project, [format!("{first}only Docker Swarm starts a new version beside the old one")]);
    let used = format!("{first}commands of [migrations] run in its service, so it uses the data");
    assert_eq!(said("{ service = \"pages\" }", "{ service = \"migrate\" }"), [used.as_str()]);
    assert_eq!(said("{ service = \"pages\" }", "{ service = \"web\" }"), [used]);
    let rest: String =
        good.split("[[components]]\n").skip(1).take(2).map(|it| format!("[[components]]\n{it}")).collect();
    let none = said(&rest, "");
    assert!(none.len() == 1 && none[0].starts_with("components: nothing would be stopped"), "{none:#?}");
}

#[test]
fn a_stack_has_a_line_that_pins_it_and_no_gate() {
    let good = in_a_stack();
    let checked = Profile::check(&good);
    assert_eq!((checked.mistakes, checked.warnings), (vec![], vec![]));
    let Driver::Compose(driver) = Profile::parse(&good).unwrap().driver else { panic!("it is a compose project") };
    assert_eq!(driver.stack.as_deref(), Some("tickets"));
    let keys =
        |from: &str, to: &str| -> Vec<String> { mistakes_with(&good, from, to).into_iter().map(|it| it.key).collect() };
    assert_eq!(keys("pin = { file = \".env\", key = \"TICKETS_VERSION\" }", ""), ["driver"]);
    assert_eq!(keys("local = false", "carry = { web = [\"/app/avatars\"] }"), ["driver.carry"]);
    assert!(keys("local = false", "build = [\"web\"]").contains(&"driver.build".to_owned()));
    assert_eq!(keys("stack = \"tickets\"", "stack = \"--help\""), ["driver.stack"]);
    let gate = "[gate]\ncomponent = \"web\"\ncontainer_port = 8000\nport = 8080\n\n[migrations]";
    assert_eq!(keys("[migrations]", gate), ["gate"]);
}

#[test]
fn only_services_are_self_contained() {
    let text = documented().into_iter().find(|it| it.contains("id = \"tickets\"")).expect("it is documented");
    assert!(Profile::parse(&text).unwrap().gate.expect("it has a gate").self_contained);
    let native = mistakes_with(corner_shop(), "[gate]\n", "[gate]\nself_contained = true\n");
    assert_eq!(native.into_iter().map(|it| it.key).collect::<Vec<_>>(), ["gate.self_contained"]);
}

#[test]
fn only_what_is_started_here_is_given_a_socket() {
    let keys = |text: &str, old: &str, new: &str| -> Vec<String> {
        mistakes_with(text, old, new).into_iter().map(|it| it.key).collect()
    };
    let unit = "run = { unit = \"shop.service\" }";
    let process = "run = { command = [\"current/bin/corner-shop\", \"serve\"], env_file = \".env\" }";
    assert_eq!(keys(corner_shop(), process, unit), ["gate.socket"]);
    let text = documented().into_iter().find(|it| it.contains("id = \"tickets\"")).expect("it is documented");
    assert_eq!(keys(&text, "[gate]\n", "[gate]\nsocket = \"FD\"\n"), ["gate.socket"]);
    // Nor does it point at data.
    let taken = keys(corner_shop(), "socket = \"SHOP_SOCKET\"", "socket = \"DATABASE_URL\"");
    assert!(taken.iter().any(|it| it.ends_with("point_at.DATABASE_URL")), "{taken:?}");
}
