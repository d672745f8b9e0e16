//! The command line on a real shop: every document that only a real application can fill, one update that is
//! watched, left alone and watched again, and the way back. What becomes of the data is judged elsewhere.

#![cfg(target_os = "linux")]

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::support::{Answer, Bench};

/// Corner Shop 1.0.0 with 1.1.0 out, ended and removed with it.
struct Shop {
    dir: PathBuf,
}

impl Drop for Shop {
    fn drop(&mut self) {
        let _ = demo(&self.dir, &["down", "--hard", "--remove"]).output();
    }
}

fn demo(dir: &Path, args: &[&str]) -> Command {
    let program = Path::new(env!("CARGO_BIN_EXE_liftlock")).with_file_name("liftlock-demo");
    assert!(program.is_file(), "{} is not there: cargo build -p liftlock-demo", program.display());
    let mut command = Command::new(program);
    command.arg(args[0]).arg("--dir").arg(dir).args(&args[1..]).stdin(Stdio::null());
    command
}

impl Shop {
    fn open(bench: &Bench) -> Self {
        use std::os::unix::fs::PermissionsExt;
        let dir = bench.folder("demo");
        std::fs::create_dir(&dir).unwrap();
        // The database server runs as a user of its own.
        for folder in [bench.folder("").as_path(), &dir] {
            std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        let shop = Self { dir };
        for args in [&["up", "--orders", "50"][..], &["publish", "1.1.0"]] {
            let output = demo(&shop.dir, args).output().unwrap();
            assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        }
        shop
    }
}

/// A document with its values replaced by their kinds: what a program that reads it relies on.
fn shape(value: &Value) -> Value {
    match value {
        Value::Null => Value::Null,
        Value::Bool(_) => json!("bool"),
        Value::Number(_) => json!("number"),
        Value::String(_) => json!("string"),
        Value::Array(all) => all.iter().map(shape).take(1).collect(),
        Value::Object(fields) => fields.iter().map(|(key, value)| (key.clone(), shape(value))).collect(),
    }
}

#[test]
fn a_real_shop_fills_every_document() {
    let bench = Bench::new();
    let shop = Shop::open(&bench);
    let profile = shop.dir.join("corner-shop.toml").display().to_string();
    let folder = shop.dir.join("shop").display().to_string();
    let scratch = bench.folder("demo").join("scratch").display().to_string();
    assert_eq!(bench.run(&["settings", "scratch_dir", &scratch]).code, 0);
    let fine = |name: &str, args: &[&str]| {
        let answer = bench.run(args);
        assert_eq!(answer.code, 0, "{args:?}: {}", answer.shown());
        let document = answer.json();
        insta::assert_json_snapshot!(name, shape(&document));
        document
    };
    let words = |name: &str, args: &[&str], code: i32| {
        let answer = bench.run(args);
        assert_eq!(answer.code, code, "{args:?}: {}", answer.shown());
        insta::assert_snapshot!(name, bench.settled(&answer.shown()));
    };

    fine("shape_add", &["add", &profile, &folder, "--name", "shop", "--json"]);
    fine("shape_check", &["check", "--json"]);
    words("check", &["check"], 0);
    fine("shape_releases", &["releases", "--json"]);
    words("releases", &["releases"], 0);
    let plan = fine("shape_plan", &["plan", "--json"]);
    assert_eq!((&plan["from"], &plan["to"], &plan["possible"]), (&json!("1.0.0"), &json!("1.1.0"), &json!(true)));
    words("plan", &["plan"], 0);
    words("plan_impossible", &["plan", "--to", "9.9.9"], 3);
    let backup = fine("shape_backup_create", &["backup", "create", "--note", "before the tests", "--json"]);
    assert_eq!((&backup["grade"], &backup["note"]), (&json!("proven"), &json!("before the tests")));
    fine("shape_backup_list", &["backup", "list", "--json"]);
    words("backup_list", &["backup", "list"], 0);
    words("backup_verify", &["backup", "verify", backup["path"].as_str().unwrap()], 0);
    let id = backup["id"].as_str().unwrap();
    assert_eq!(
        bench.run(&["backup", "verify", "2020-01-01T00-00-00Z-abcdef", "--json"]).json()["error"]["class"],
        "unknown_backup"
    );
    let compared = fine("shape_backup_compare", &["backup", "compare", id, "--json"]);
    assert_eq!(compared["loses"], json!(["Changes made to existing entries since then."]));
    let not_confirmed = bench.run(&["backup", "restore", "shop", id, "--confirm", "shop", "--json"]);
    assert_eq!((not_confirmed.code, &not_confirmed.json()["error"]["class"]), (3, &json!("not_confirmed")));
    assert_eq!(bench.run(&["backup", "pin", id, "--json"]).json()["pinned"], true);
    let preview = fine("shape_backup_prune", &["backup", "prune", "--dry-run", "--json"]);
    assert_eq!((&preview["removed"], &preview["stays"][0]["why"]), (&json!(false), &json!("pinned")));
    assert_eq!(bench.run(&["backup", "unpin", id, "--json"]).json()["pinned"], false);
    assert_eq!(bench.run(&["settings", "keep_backups", "1"]).code, 0);
    assert_eq!(bench.run(&["backup", "create"]).code, 0);
    words("backup_prune_preview", &["backup", "prune", "--dry-run"], 0);
    // By a person's word: never the last that can be relied on, and only by the word REMOVE.
    let list = bench.run(&["backup", "list", "--json"]).json();
    let newest = list["backups"][0]["id"].as_str().unwrap();
    let class = |args: &[&str]| bench.run(args).json()["error"]["class"].clone();
    assert_eq!(class(&["backup", "remove", newest, "--confirm", "REMOVE", "--json"]), "backup_held");
    assert_eq!(class(&["backup", "remove", id, "--json"]), "not_confirmed");
    let again = bench.run(&["backup", "create", "--json"]).json();
    let removed = bench.run(&["backup", "remove", newest, "--confirm", "REMOVE", "--json"]);
    assert_eq!((removed.code, &removed.json()["removed"]), (0, &json!(newest)));
    assert_eq!(list["backups"][1]["id"], json!(id), "{again:#}");
    assert_eq!(
        bench.run(&["backup", "list", "--json"]).json()["backups"].as_array().unwrap().len(),
        2,
        "it was only asked"
    );
    words("backup_prune", &["backup", "prune"], 0);
    assert_eq!(bench.run(&["backup", "list", "--json"]).json()["backups"].as_array().unwrap().len(), 1);
    assert!(!Path::new(backup["path"].as_str().unwrap()).exists());
    assert_eq!(bench.run(&["settings", "keep_backups", "--default"]).code, 0);
    assert_eq!(bench.run(&["history", "--json"]).json()["outcomes"], json!([]), "looking leaves no history");

    // Watched, left alone with Ctrl-C, and watched again by someone else.
    let mut first =
        bench.command(&["upgrade", "--yes", "--json"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(first.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    let begun: Value = serde_json::from_str(&line).unwrap();
    let second = bench.run(&["upgrade", "--yes", "--json"]);
    assert_eq!((second.code, &second.json()["error"]["class"]), (6, &json!("busy")), "{}", second.shown());
    assert!(Command::new("kill").args(["-INT", &first.id().to_string()]).status().unwrap().success());
    let left: Answer = first.wait_with_output().unwrap().into();
    assert_eq!(left.code, 130, "{}", left.shown());
    assert!(left.err.contains("The update goes on"), "{}", left.err);
    let rest = bench.run(&["status", "--follow", "--json"]);
    assert_eq!(rest.code, 0, "{}", rest.shown());
    let end: Value = serde_json::from_str(rest.out.lines().last().unwrap()).unwrap();
    assert_eq!(
        (&end["upgrade_id"], &end["state"], &end["from"]),
        (&begun["upgrade_id"], &json!("complete"), &json!("1.0.0"))
    );
    insta::assert_json_snapshot!("shape_upgrade_end", shape(&end));
    for receipt in ["json", "html"] {
        let path = end["receipt"][receipt].as_str().unwrap();
        assert!(std::fs::metadata(path).is_ok_and(|it| it.len() > 0), "{path} is not there");
    }
    let progress: Vec<u64> =
        rest.out.lines().map(|it| serde_json::from_str::<Value>(it).unwrap()["progress"].as_u64().unwrap()).collect();
    assert!(progress.is_sorted() && progress.last() == Some(&100), "{progress:?}");

    let id = end["upgrade_id"].as_str().unwrap();
    assert_eq!(bench.run(&["ack", id]).code, 0);
    assert_eq!(bench.run(&["status", "--json"]).json()["version"], "1.1.0");
    words("upgrade_nothing_newer", &["upgrade", "--yes", "--quiet"], 3);
    let refused = bench.run(&["status", "--json"]).json();
    assert_eq!(bench.run(&["ack", refused["upgrade_id"].as_str().unwrap()]).code, 0);
    words("history_verified", &["history", "--verify"], 0);
}
