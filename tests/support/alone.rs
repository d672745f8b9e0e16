//! A test whose second half runs in a process of its own, so that its memory can be told.

use std::process::Command;
use std::{env, fs};

/// What the other process printed, as `word: figure` on lines of their own.
pub(crate) struct Said(String);

impl Said {
    pub(crate) fn figure(&self, word: &str) -> u64 {
        let line = self.0.lines().find_map(|it| it.split_once(&format!("{word}:")));
        line.unwrap_or_else(|| panic!("no {word} in {}", self.0)).1.trim().parse().unwrap()
    }
}

/// Runs the test `name` of this very program by itself, with this variable set, and hears what it says.
pub(crate) fn run(name: &str, (variable, value): (&str, &str)) -> Said {
    let mut alone = Command::new(env::current_exe().unwrap());
    let done = alone.args(["--exact", name, "--nocapture"]).env(variable, value).output().unwrap();
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    assert!(done.status.success(), "{said}{}", String::from_utf8_lossy(&done.stderr));
    Said(said)
}

/// Tells the most memory that this process ever held, in kilobytes, as `peak_kb`.
pub(crate) fn tell_peak() {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find_map(|it| it.strip_prefix("VmHWM:")).unwrap();
    println!("peak_kb: {}", peak.trim().trim_end_matches("kB").trim());
}
