//! Mistakes and mishaps: one shape, the right exit code, on the right stream.

use crate::support::Bench;

#[test]
fn a_wrong_command_line_is_answered_like_every_other_error() {
    let bench = Bench::new();
    for (name, args) in [
        ("usage_no_command", &[][..]),
        ("usage_unknown_command", &["stauts"]),
        ("usage_unknown_option", &["status", "--jsno"]),
        ("usage_missing_argument", &["remove"]),
        ("usage_conflict", &["status", "shop", "--upgrade", "x"]),
        ("usage_bad_value", &["completions", "tcsh"]),
        ("usage_bad_name", &["status", "../etc"]),
        ("usage_bad_id", &["ack", "yesterday"]),
        ("usage_hostile", &["status", "--\u{1b}[31m"]),
        ("usage_unknown_upgrade", &["ack", "0198c2a4-0000-7000-8000-000000000000"]),
    ] {
        let words = bench.run(args);
        assert_eq!((words.code, words.out.as_str()), (2, ""), "{name}: {}", words.shown());
        insta::assert_snapshot!(name, bench.settled(&words.err));
        let mut with_json = args.to_vec();
        with_json.push("--json");
        let document = bench.run(&with_json);
        assert_eq!((document.code, document.err.as_str()), (2, ""), "{name}: {}", document.shown());
        let error = &document.json()["error"];
        assert_eq!(error["code"], 2);
        for key in ["class", "message", "remedy"] {
            assert!(error[key].as_str().is_some_and(|it| !it.is_empty()), "{name} says no {key}: {}", document.shown());
        }
        assert!(error["details"].is_array());
    }
}

#[test]
fn a_home_that_cannot_be_used_is_refused_with_a_remedy() {
    let bench = Bench::new();
    std::fs::write(bench.home().root(), "a file, not a folder").unwrap();
    insta::assert_snapshot!(bench.settled(&bench.run(&["list"]).shown()));
}

#[test]
fn a_state_file_of_a_newer_liftlock_is_refused_and_left_as_it_is() {
    let bench = Bench::new();
    drop(bench.db());
    let file = bench.home().database();
    let conn = rusqlite::Connection::open(&file).unwrap();
    conn.pragma_update(None, "user_version", 999).unwrap();
    conn.pragma_update(None, "wal_checkpoint", "TRUNCATE").unwrap_or_default();
    drop(conn);
    let before = std::fs::read(&file).unwrap();
    insta::assert_snapshot!(bench.settled(&bench.run(&["status"]).shown()));
    assert!(std::fs::read(&file).unwrap() == before, "the file was changed");
}

#[test]
fn an_upgrade_that_runs_cannot_be_acknowledged_and_its_installation_not_be_removed() {
    let bench = Bench::new();
    let shop = bench.install("shop");
    let id = bench.ask(&shop);
    let ack = bench.run(&["ack", &id.to_string()]);
    assert_eq!(ack.code, 3);
    insta::assert_snapshot!("ack_too_early", bench.settled(&ack.shown()));
    let remove = bench.run(&["remove", "shop"]);
    assert_eq!(remove.code, 6);
    insta::assert_snapshot!("remove_busy", bench.settled(&remove.shown()));
}

#[cfg(target_os = "linux")]
#[test]
fn an_answer_that_could_not_be_written_was_not_given() {
    let bench = Bench::new();
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = bench.command(&["settings"]).stdout(full).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("could not be written"));
}

#[cfg(unix)]
#[test]
fn a_reader_that_goes_away_is_no_error() {
    let bench = Bench::new();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = bench.command(&["settings"]).stdout(writer).output().unwrap();
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]));
}

#[cfg(target_os = "linux")]
#[test]
fn colours_are_for_terminals_and_no_color_is_obeyed_there_too() {
    let bench = Bench::new();
    bench.install("shop");
    assert!(!bench.run(&["status"]).out.contains('\x1b'), "a pipe gets no colours");
    // util-linux's `script` gives the command a terminal.
    let on_terminal = |env: &[(&str, &str)], more: &str| {
        let line = format!("{} status{more}", env!("CARGO_BIN_EXE_liftlock"));
        let mut command = std::process::Command::new("script");
        command.args(["-qec", &line, "/dev/null"]).env("LIFTLOCK_HOME", bench.home().root()).env("TERM", "xterm");
        command.env_remove("NO_COLOR").envs(env.iter().copied()).stdin(std::process::Stdio::null());
        String::from_utf8_lossy(&command.output().unwrap().stdout).into_owned()
    };
    assert!(on_terminal(&[], "").contains("\x1b[1m"));
    assert!(!on_terminal(&[("NO_COLOR", "1")], "").contains('\x1b'));
    assert!(!on_terminal(&[("TERM", "dumb")], "").contains('\x1b'));
    assert!(!on_terminal(&[], " --no-color").contains('\x1b'));
}
