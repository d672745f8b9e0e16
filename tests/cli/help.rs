//! What can be typed, as it is explained.

use liftlock_cli::{command, command_reference, json_reference};

use crate::support::Bench;

#[test]
fn every_command_explains_itself() {
    let bench = Bench::new();
    insta::assert_snapshot!("help", bench.run(&["--help"]).shown());
    let mut root = command();
    root.build();
    let mut open: Vec<(Vec<String>, clap::Command)> = vec![(Vec::new(), root)];
    while let Some((words, command)) = open.pop() {
        for child in command.get_subcommands().filter(|it| it.get_name() != "help") {
            let mut words = words.clone();
            words.push(child.get_name().to_owned());
            let mut args: Vec<&str> = words.iter().map(String::as_str).collect();
            args.push("--help");
            let answer = bench.run(&args);
            assert_eq!((answer.code, answer.err.as_str()), (0, ""));
            // A long screen has no trailing spaces to keep in a file.
            let out: Vec<&str> = answer.out.lines().map(str::trim_end).collect();
            insta::assert_snapshot!(format!("help_{}", words.join("_")), out.join("\n"));
            open.push((words, child.clone()));
        }
    }
    assert!(!bench.home().root().exists(), "help touches nothing");
}

#[test]
fn the_reference_pages_say_what_the_program_says() {
    let docs = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
    let written = std::fs::read_to_string(docs.join("commands.md")).unwrap_or_default();
    assert!(written == command_reference(), "docs/commands.md is stale: run `cargo xtask docs`");
    let written = std::fs::read_to_string(docs.join("json.md")).unwrap_or_default();
    assert!(written == json_reference(), "docs/json.md is stale: run `cargo xtask docs`");
}

#[test]
fn the_manual_and_the_completions_are_made_without_a_home() {
    let bench = Bench::new();
    let page = bench.run(&["man"]);
    assert!(page.out.contains(".TH liftlock 1"), "{}", page.shown());
    assert!(bench.run(&["man", "status"]).out.contains("liftlock\\-status"));
    insta::assert_snapshot!("man_unknown", bench.run(&["man", "nonsense"]).shown());
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let answer = bench.run(&["completions", shell]);
        assert!(answer.code == 0 && answer.out.contains("liftlock"), "{shell}: {}", answer.shown());
    }
    assert!(!bench.home().root().exists());
}

/// What a remedy tells people to type must be what can be typed.
#[test]
fn every_command_that_a_message_names_is_one() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let quoted = regex::Regex::new(r"[`“](liftlock [^`”]+)[`”]").unwrap();
    let blank = regex::Regex::new(r"\{[^}]*\}").unwrap();
    let mut folders = vec![root.join("engine/src"), root.join("sidecar/src")];
    let mut seen = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            if path.extension().is_none_or(|it| it != "rs") {
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            for line in text.lines().filter(|it| !it.trim_start().starts_with("//") && !it.contains("<command>")) {
                for found in quoted.captures_iter(line) {
                    seen += 1;
                    let typed = blank.replace_all(&found[1], "0198c2a4-0000-7000-8000-000000000000");
                    // A command named in prose is named without its arguments.
                    let outcome = command().try_get_matches_from(typed.split_whitespace());
                    let fits = outcome.map_or_else(
                        |it| {
                            use clap::error::ErrorKind as Kind;
                            matches!(it.kind(), Kind::DisplayHelp | Kind::MissingRequiredArgument)
                        },
                        |_| true,
                    );
                    assert!(fits, "{}: {typed}", path.display());
                }
            }
        }
    }
    assert!(seen > 20, "only {seen} commands were found");
}
