//! Holds the layers of the engine apart, by reading its source.
//!
//! A layer may use the ones before it, never the ones after. What the engine asks of the world goes through one
//! door each: processes through `process`, time through `clock`; and it never names the window.

#![allow(clippy::unwrap_used, reason = "a test that cannot read the source has failed")]

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

/// Lowest first. What stands on one line may use each other.
const LAYERS: &[&[&str]] = &[
    &["error"],
    &["model"],
    &["ports"],
    &["crash", "digest", "durable"],
    &["clock", "secrets", "profiles", "process", "archive", "gzip", "seal", "space", "pace", "http"],
    &["docker", "objects"],
    &["state"],
    &["history"],
    &["stores", "drivers", "page", "probes", "releases", "upstream"],
    &["backups", "export", "receipt"],
    &["import"],
    &["site"],
    &["steps"],
    &["upgrade"],
    &["view"],
    &["engine"],
    &["lib"],
];

/// Words that no file may hold outside one layer, and why.
const DOORS: &[(&str, &str, &str)] = &[
    ("Command::new(", "process", "processes are run through the port, so that they are stopped with their children"),
    ("SystemTime::now", "clock", "time comes through the port, so that a test can turn it"),
    ("Utc::now", "clock", "time comes through the port, so that a test can turn it"),
    ("Local::now", "clock", "time comes through the port, so that a test can turn it"),
    ("tauri", "", "the engine never learns of the window"),
];

#[test]
fn no_layer_uses_a_higher_one() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    rust_files(&src, &mut files);
    assert!(!files.is_empty(), "there is no source in {}", src.display());

    let mut wrong = String::new();
    for file in &files {
        let path = file.strip_prefix(&src).unwrap();
        let text = fs::read_to_string(file).unwrap();
        for (line, why) in faults(&layer_of(path), &text) {
            writeln!(wrong, "{}:{line}: {why}", path.display()).unwrap();
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

#[test]
fn an_import_of_a_higher_layer_is_found() {
    let found = |layer: &str, text: &str| faults(layer, text).len();
    assert_eq!(found("state", "use crate::steps::Step;"), 1, "a higher layer");
    assert_eq!(found("state", "let it = crate::upgrade::drive();"), 1, "a higher layer, named in the middle of a line");
    assert_eq!(found("state", "use crate::model::Stage;\nuse crate::ports::Clock;"), 0, "lower layers");
    assert_eq!(found("probes", "use crate::stores::postgres;"), 0, "a neighbour");
    assert_eq!(found("state", "use crate::state::sql;"), 0, "itself");
    assert_eq!(found("state", "use crate::{error::Result, upgrade::drive};"), 1, "a group hides a layer");
    assert_eq!(found("state", "use crate::Engine;"), 1, "an item of lib");
    assert_eq!(found("error", "#[cfg(test)]\nmod tests {\nuse crate::upgrade::drive;\n}"), 0, "tests stand above all");
    assert_eq!(
        found("error", "#[cfg(test)]\nmod tests;\nuse crate::upgrade::drive;"),
        1,
        "only the tests are left out"
    );
    assert_eq!(found("state", "// see crate::upgrade::drive\n/// [`crate::view`]"), 0, "comments may point anywhere");
    assert_eq!(found("steps", "Command::new(\"ls\")"), 1);
    assert_eq!(found("process", "Command::new(\"ls\")"), 0);
    assert_eq!(found("stores", "let now = Utc::now();"), 1);
    assert_eq!(found("view", "use tauri::Window;"), 1);
    assert_eq!(found("helpers", ""), 1, "a module that no layer names");
}

/// The layer that a file of the engine belongs to: its first folder, or its own name.
fn layer_of(path: &Path) -> String {
    path.components().next().unwrap().as_os_str().to_str().unwrap().trim_end_matches(".rs").to_owned()
}

/// Every line of a file of `layer` that breaks a rule, counted from 1, with the rule.
fn faults(layer: &str, text: &str) -> Vec<(usize, String)> {
    let rank = |name: &str| LAYERS.iter().position(|names| names.contains(&name));
    let Some(own) = rank(layer) else {
        return vec![(1, format!("`{layer}` is not in the list of layers: give it its place there"))];
    };
    let mut faults = Vec::new();
    let lines: Vec<&str> = text.lines().collect();
    // Tests come last in a file and may use whatever they need.
    let begins_tests = |pair: &[&str]| pair[0].trim() == "#[cfg(test)]" && pair[1].trim_end().ends_with('{');
    let end = lines.windows(2).position(begins_tests).unwrap_or(lines.len());
    for (at, line) in lines[..end].iter().enumerate() {
        let code = line.trim_start();
        if code.starts_with("//") {
            continue;
        }
        let mut fault = |why: String| faults.push((at + 1, why));
        for (used, _) in code.match_indices("crate::").filter(|(used, _)| !code[..*used].ends_with(is_word)) {
            let rest = &code[used + "crate::".len()..];
            let name: String = rest.chars().take_while(|letter| is_word(*letter)).collect();
            match rank(&name) {
                _ if rest.starts_with('{') => fault("a grouped `use crate::{…}` hides which layer is used".to_owned()),
                Some(used) if used <= own => {}
                Some(_) => fault(format!("`{layer}` uses `{name}`, a layer above it")),
                None if layer == "lib" => {}
                None => fault(format!("`crate::{name}` is no layer: name the one it comes from")),
            }
        }
        for (word, door, why) in DOORS {
            if code.contains(word) && layer != *door {
                fault(format!("`{word}` in `{layer}`: {why}"));
            }
        }
    }
    faults
}

fn is_word(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}

fn rust_files(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap().flatten() {
        let path = entry.path();
        // A file of tests only is not part of any layer.
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension() == Some("rs".as_ref()) && !is_test_file(&path) {
            found.push(path);
        }
    }
}

fn is_test_file(path: &Path) -> bool {
    path.file_stem().and_then(|stem| stem.to_str()).is_some_and(|stem| stem == "tests" || stem.ends_with("_tests"))
}
