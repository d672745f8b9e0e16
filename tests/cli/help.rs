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
