//! `liftlock` as a person types it, with a home of its own.

#![allow(dead_code, clippy::unwrap_used, reason = "shared by several test binaries, which use a part each")]

use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// The command with these words, whose home and whose notes of crash points are below `dir`.
pub(crate) fn liftlock(dir: &Path, path: &OsStr, words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_liftlock"));
    command.args(words).arg("--json").current_dir(dir).env_clear().env("PATH", path).env("HOME", dir).env("TZ", "UTC");
    command.env("LIFTLOCK_HOME", dir.join("home")).env("LIFTLOCK_CRASH_LOG", dir.join("crash.log"));
    command
}

/// Its exit code and its last document.
pub(crate) fn answered(command: &mut Command) -> (i32, Value) {
    let output = command.output().unwrap();
    let out = String::from_utf8_lossy(&output.stdout);
    let last = serde_json::Deserializer::from_str(&out).into_iter::<Value>().map(Result::unwrap).last();
    (output.status.code().unwrap_or(-1), last.unwrap_or_default())
}

/// What an update ended as: its state, and the class of its error.
pub(crate) fn ending(answer: &Value) -> (String, String) {
    let text = |it: &Value| it.as_str().unwrap_or_default().to_owned();
    let class = [&answer["error"]["class"], &answer["class"]].into_iter().find(|it| it.is_string());
    println!("{answer:#}");
    (text(&answer["state"]), class.map(text).unwrap_or_default())
}
