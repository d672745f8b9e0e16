//! What is around every test: the clock, the processes of this machine, files, chance.

use std::path::Path;
use std::time::{Duration, Instant};
use std::{fs, thread};

/// How long anything here may take before the test has found something: generous, because machines are shared.
pub(crate) const PATIENCE: Duration = Duration::from_secs(240);

/// Asks again and again until it is so.
pub(crate) fn wait_for<T>(what: &str, within: Duration, mut ask: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(begun.elapsed() < within, "waited {within:?} in vain until {what}");
        thread::sleep(Duration::from_millis(10));
    }
}

/// Every process: number and command line, its words with blanks between.
pub(crate) fn processes() -> Vec<(u32, String)> {
    let pids = fs::read_dir("/proc").into_iter().flatten().flatten();
    pids.filter_map(|it| it.file_name().to_str()?.parse::<u32>().ok())
        .filter_map(|pid| {
            let line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
            Some((pid, String::from_utf8_lossy(&line).replace('\0', " ")))
        })
        .collect()
}

/// A variable of a process, while it lives.
pub(crate) fn variable(pid: u32, name: &str) -> Option<String> {
    let all = fs::read(format!("/proc/{pid}/environ")).ok()?;
    let wanted = format!("{name}=");
    all.split(|it| *it == 0).map(String::from_utf8_lossy).find_map(|it| it.strip_prefix(&wanted).map(str::to_owned))
}

/// Whether a process is there and more than a zombie.
pub(crate) fn lives(pid: u32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat"))
        .ok()
        .and_then(|it| it.rsplit_once(')').map(|(_, rest)| !rest.trim_start().starts_with(['Z', 'X'])))
        .unwrap_or(false)
}

/// Whether a process was stopped (or is held by a tracer).
pub(crate) fn stands_still(pid: u32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat"))
        .ok()
        .and_then(|it| it.rsplit_once(')').map(|(_, rest)| rest.trim_start().starts_with(['T', 't'])))
        .unwrap_or(false)
}

/// Sends a signal. A process that is gone by then is none of our business any more.
pub(crate) fn signal(pid: u32, signal: rustix::process::Signal) {
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    let _ = rustix::process::kill_process(pid, signal);
}

/// Every file below a folder.
pub(crate) fn files_below(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let kind = entry.file_type().unwrap();
            if kind.is_dir() {
                open.push(entry.path());
            } else if kind.is_file() {
                found.push(entry.path());
            }
        }
    }
    found
}

/// A profile with another limit.
pub(crate) fn limit(profile: String, key: &str, value: &str) -> String {
    let mut found = 0;
    let lines = profile.lines().map(|line| {
        if line.split('=').next().is_some_and(|it| it.trim() == key) {
            found += 1;
            return format!("{key} = \"{value}\"");
        }
        line.to_owned()
    });
    let lines: Vec<_> = lines.collect();
    assert_eq!(found, 1, "{key} stands in the profile once");
    lines.join("\n") + "\n"
}

/// The seed of this run; printed, so that it can be played again.
pub(crate) fn seed() -> u64 {
    let given = std::env::var("LIFTLOCK_SEED").ok().and_then(|it| it.parse().ok());
    let seed = given.unwrap_or_else(|| std::time::UNIX_EPOCH.elapsed().map_or(1, |it| it.as_secs()));
    println!("LIFTLOCK_SEED={seed} plays this again");
    seed
}

pub(crate) fn is_long() -> bool {
    std::env::var("LIFTLOCK_LONG").is_ok_and(|it| it == "1")
}

/// Numbers from a seed, the same on every machine (SplitMix64).
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new() -> Self {
        Self(seed())
    }

    /// A number below `below`.
    pub(crate) fn below(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from((mixed ^ (mixed >> 31)) % u64::try_from(below).unwrap()).unwrap()
    }
}

/// So many times: the first figure at every push, the second where there is time.
pub(crate) fn times(usual: usize, long: usize) -> usize {
    if is_long() { long } else { usual }
}

/// So many of them, chosen by the seed; all of them where there is time.
pub(crate) fn sampled<T>(mut all: Vec<T>, most: usize) -> Vec<T> {
    if is_long() {
        return all;
    }
    let mut dice = Dice::new();
    let mut chosen = Vec::new();
    while chosen.len() < most && !all.is_empty() {
        chosen.push(all.swap_remove(dice.below(all.len())));
    }
    chosen
}
