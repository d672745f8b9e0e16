//! Where the data is not of the version that runs: a person is asked, and the way begins where they say.

use std::fs;
use std::os::unix::fs::symlink;

use liftlock_engine::Engine;
use liftlock_engine::model::finding::Severity;
use liftlock_engine::model::ids::InstallationName;
use liftlock_engine::state::Db;
use liftlock_engine::state::home::Home;
use liftlock_engine::state::installations::Installation;
use liftlock_engine::state::upgrades::Options;
use liftlock_engine::view::PlanView;
use serde_json::json;

use crate::server::{Answer, Question, Server, release};

const PROFILE: &str = r#"
format = 1
[application]
id = "shop"
name = "Shop"
[releases]
api = "API"
repository = "acme/shop"
asset = "shop-{version}.tar.gz"
require = "none"
required_stops = ["1.1.0", "1.2.0"]
[recognise]
files = ["version"]
[driver]
kind = "native"
[version]
command = ["/bin/cat", "{dir}/version"]
[[components]]
name = "shop"
run = { command = ["/bin/sleep", "1"] }
[[stores]]
name = "data"
kind = "sqlite"
path = "data.db"
point_at = { DATA = "{path}" }
[migrations]
schema_version = { command = ["/bin/cat", "{dir}/schema"], empty = "empty" }
schema_head = { command = ["/bin/cat", "{release}/head"] }
migrate = { command = ["/bin/true"] }
"#;

struct Bench {
    root: tempfile::TempDir,
    engine: Engine,
    shop: InstallationName,
    _server: Server,
}

fn out(question: &Question) -> Answer {
    let asset = |tag: &str| {
        let name = format!("shop-{}.tar.gz", tag.trim_start_matches('v'));
        json!([{"id": 1, "name": name, "size": 10, "browser_download_url": "https://127.0.0.1/a"}])
    };
    let told = |tag: &str| {
        let mut told = release(tag);
        told["assets"] = asset(tag);
        told
    };
    match question.path().strip_prefix("/repos/acme/shop/releases") {
        Some("") => Answer::json(&json!([told("v1.3.0"), told("v1.2.0"), told("v1.1.0"), told("v1.0.0")])),
        Some(path) => Answer::json(&told(path.rsplit('/').next().unwrap())),
        None => Answer::new(404, "{}"),
    }
}

impl Bench {
    /// Version 1.0.0 runs and needs the data to be at 3.
    fn new() -> Self {
        let server = Server::start(out);
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("shop");
        fs::create_dir_all(folder.join("releases/1.0.0")).unwrap();
        fs::write(folder.join("releases/1.0.0/head"), "3\n").unwrap();
        symlink("releases/1.0.0", folder.join("current")).unwrap();
        fs::write(folder.join("version"), "1.0.0\n").unwrap();
        fs::write(folder.join("schema"), "3\n").unwrap();
        rusqlite::Connection::open(folder.join("data.db")).unwrap().execute_batch("CREATE TABLE a (b)").unwrap();
        let home = Home::at(root.path().join("home"));
        let shop: InstallationName = "shop".parse().unwrap();
        let installation = Installation {
            name: shop.clone(),
            folder,
            profile: PROFILE.replace("API", &server.url),
            application: "shop".into(),
            version: Some("1.0.0".into()),
            added_at: "2026-11-21T12:00:00Z".parse().unwrap(),
        };
        Db::open(&home).unwrap().add_installation(&installation).unwrap();
        Self { engine: Engine::at(home), root, shop, _server: server }
    }

    fn schema(&self, text: &str) {
        fs::write(self.root.path().join("shop/schema"), text).unwrap();
    }

    fn plan(&self, data_at: Option<&str>) -> PlanView {
        let options = Options { data_at: data_at.map(str::to_owned), ..Options::default() };
        self.engine.plan(&self.shop, Some("1.3.0"), &options).unwrap()
    }
}

/// What was found about it, and how bad that is.
fn found(plan: &PlanView) -> Option<(&str, Severity)> {
    let about = |it: &str| it.starts_with("position") || it == "bad_version";
    plan.findings.iter().find(|it| about(&it.class)).map(|it| (it.class.as_str(), it.severity))
}

#[test]
fn data_that_does_not_fit_what_runs_is_asked_about_and_the_way_begins_where_a_person_says() {
    let bench = Bench::new();
    let plan = bench.plan(None);
    assert_eq!(found(&plan), None, "they agree: {:?}", plan.findings);
    assert_eq!(plan.path, ["1.1.0", "1.2.0", "1.3.0"]);

    bench.schema("5\n");
    let plan = bench.plan(None);
    assert_eq!(found(&plan), Some(("position_unclear", Severity::Stop)));
    let question = plan.findings.iter().find(|it| it.class == "position_unclear").unwrap();
    assert!(question.message.contains("“3”") && question.message.contains("“5”"), "{}", question.message);
    assert!(question.remedy.contains("--data-is-at"), "{}", question.remedy);
    assert!(!plan.possible);

    for (said, path) in [
        ("1.0.0", &["1.1.0", "1.2.0", "1.3.0"][..]),
        ("1.1.0", &["1.2.0", "1.3.0"]),
        ("v1.2.0", &["1.3.0"]),
        ("1.3.0", &["1.3.0"]),
        ("0.9.0", &["1.1.0", "1.2.0", "1.3.0"]),
    ] {
        let plan = bench.plan(Some(said));
        assert_eq!(found(&plan), Some(("position_answered", Severity::Note)), "{said}");
        assert_eq!(plan.path, path, "{said}");
        assert!(plan.findings.iter().all(|it| it.class != "position_unclear"), "{said}");
    }
    assert_eq!(found(&bench.plan(Some("about one"))), Some(("bad_version", Severity::Stop)));

    // What cannot be asked stops nothing.
    fs::remove_file(bench.root.path().join("shop/schema")).unwrap();
    assert_eq!(found(&bench.plan(None)), Some(("position_unknown", Severity::Warning)));
}
