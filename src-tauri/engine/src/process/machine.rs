//! What the machine is doing: whether it runs on its battery, and for how long nobody has used it.
//!
//! Asked of the system's own tools, by argument vectors; what none of them can tell is not known, and is said so. Nothing
//! here decides anything.

use std::fs;
use std::path::Path;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use crate::ports::{Invocation, Machine, MachineUse, Patience, Runner};
use crate::process::{Silent, SystemRunner};

const ASKED: Patience = Patience { deadline: Duration::from_secs(15), stall_after: None };

/// The machine that this runs on.
#[derive(Debug, Clone, Copy, Default)]
pub struct ThisMachine;

impl Machine for ThisMachine {
    fn look(&self, now: DateTime<Utc>) -> MachineUse {
        if cfg!(windows) {
            let battery =
                ["-NoProfile", "-NonInteractive", "-Command", "(Get-CimInstance Win32_Battery).BatteryStatus"];
            return MachineUse {
                on_battery: tell("powershell.exe", &battery).map(|it| windows_battery(&it)),
                unused_for: tell("quser.exe", &[]).and_then(|it| idle_of_quser(&it)),
            };
        }
        if cfg!(target_os = "macos") {
            let keys = ["-c", "IOHIDSystem", "-d", "4"];
            return MachineUse {
                on_battery: tell("/usr/bin/pmset", &["-g", "batt"]).map(|it| it.contains("'Battery Power'")),
                unused_for: tell("/usr/sbin/ioreg", &keys).and_then(|it| idle_of_ioreg(&it)),
            };
        }
        let desk = tell(
            "loginctl",
            &["show-seat", "seat0", "--property=ActiveSession", "--property=IdleHint", "--property=IdleSinceHint"],
        );
        let desk = desk.and_then(|it| idle_of_seat(&it, now, is_a_person));
        let lines = idle_of_terminals(Path::new("/dev/pts"), now);
        MachineUse {
            on_battery: linux_battery(Path::new("/sys/class/power_supply")),
            unused_for: [desk, lines].into_iter().flatten().min(),
        }
    }
}

/// What a tool of the system prints, where it is there and works.
fn tell(program: &str, words: &[&str]) -> Option<String> {
    let finished = SystemRunner::new().run(&Invocation::new(program).args(words).quiet(), ASKED, &[], &Silent).ok()?;
    finished.succeeded().then_some(finished.stdout)
}

/// A battery that gives what no plug gives.
fn linux_battery(supplies: &Path) -> Option<bool> {
    let read = |path: &Path, name: &str| fs::read_to_string(path.join(name)).unwrap_or_default().trim().to_owned();
    let mut is_empty = true;
    for supply in fs::read_dir(supplies).ok()?.flatten() {
        let path = supply.path();
        is_empty = false;
        // The battery of a mouse keeps no computer running.
        if read(&path, "type") == "Battery"
            && read(&path, "scope") != "Device"
            && read(&path, "status") == "Discharging"
        {
            return Some(true);
        }
    }
    (!is_empty).then_some(false)
}

fn windows_battery(told: &str) -> bool {
    // Win32_Battery: 1 is discharging, 4 and 5 are low and critical; without a battery nothing is told.
    told.split_whitespace().any(|it| matches!(it, "1" | "4" | "5"))
}

/// Whether a session at the screen is a person's, and not the screen that asks for a password.
fn is_a_person(session: &str) -> bool {
    let told = tell("loginctl", &["show-session", session, "--property=Class"]);
    told.is_none_or(|it| it.trim() != "Class=greeter")
}

fn idle_of_seat(told: &str, now: DateTime<Utc>, is_a_person: impl Fn(&str) -> bool) -> Option<TimeDelta> {
    let value = |key: &str| told.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
    let session = value("ActiveSession").filter(|it| !it.is_empty())?;
    if !is_a_person(session) {
        return None;
    }
    if value("IdleHint") != Some("yes") {
        return Some(TimeDelta::zero());
    }
    let since = DateTime::from_timestamp_micros(value("IdleSinceHint")?.parse().ok()?)?;
    Some((now - since).max(TimeDelta::zero()))
}

/// Terminals, also those of people who are logged in from elsewhere: each read from one is a key that was pressed.
fn idle_of_terminals(folder: &Path, now: DateTime<Utc>) -> Option<TimeDelta> {
    let is_terminal = |it: &fs::DirEntry| it.file_name().to_string_lossy().chars().all(|it| it.is_ascii_digit());
    let terminals = fs::read_dir(folder).ok()?.flatten().filter(is_terminal);
    let last = terminals.filter_map(|it| it.metadata().ok()?.accessed().ok()).max()?;
    Some((now - DateTime::<Utc>::from(last)).max(TimeDelta::zero()))
}

fn idle_of_ioreg(told: &str) -> Option<TimeDelta> {
    let (_, after) = told.split_once("\"HIDIdleTime\" = ")?;
    let nanoseconds: i64 = after.split(|it: char| !it.is_ascii_digit()).next()?.parse().ok()?;
    Some(TimeDelta::nanoseconds(nanoseconds))
}

/// The least of the sessions: `none` and `.` are used now, then minutes, `hours:minutes`, `days+hours:minutes`.
fn idle_of_quser(told: &str) -> Option<TimeDelta> {
    told.lines().skip(1).filter_map(idle_of_session).min()
}

fn idle_of_session(line: &str) -> Option<TimeDelta> {
    let words: Vec<&str> = line.split_whitespace().collect();
    // The date and the time of the login come last; the time between is before them.
    let at = words
        .iter()
        .position(|it| it.contains(['/', '.', '-']) && it.len() >= 8 && it.starts_with(|c: char| c.is_ascii_digit()))?;
    let word = words.get(at.checked_sub(1)?)?;
    if matches!(*word, "none" | ".") {
        return Some(TimeDelta::zero());
    }
    let (days, rest) = word.split_once('+').unwrap_or(("0", word));
    let (hours, minutes) = rest.split_once(':').unwrap_or(("0", rest));
    let number = |it: &str| it.parse::<i64>().ok();
    Some(TimeDelta::days(number(days)?) + TimeDelta::hours(number(hours)?) + TimeDelta::minutes(number(minutes)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_battery_is_that_of_the_computer_and_gives() {
        let folder = tempfile::tempdir().unwrap();
        let supply = |name: &str, files: &[(&str, &str)]| {
            let at = folder.path().join(name);
            fs::create_dir_all(&at).unwrap();
            files.iter().for_each(|(name, text)| fs::write(at.join(name), format!("{text}\n")).unwrap());
        };
        assert_eq!(linux_battery(folder.path()), None, "a computer without anything of the kind");
        assert_eq!(linux_battery(&folder.path().join("none")), None);
        supply("AC", &[("type", "Mains")]);
        supply("hid-mouse", &[("type", "Battery"), ("scope", "Device"), ("status", "Discharging")]);
        supply("BAT0", &[("type", "Battery"), ("status", "Full")]);
        assert_eq!(linux_battery(folder.path()), Some(false));
        supply("BAT1", &[("type", "Battery"), ("status", "Discharging")]);
        assert_eq!(linux_battery(folder.path()), Some(true));
        assert!(windows_battery("1\r\n") && !windows_battery("2\r\n") && !windows_battery(""));
    }

    #[test]
    fn the_last_use_is_read_from_what_each_system_tells() {
        let now: DateTime<Utc> = "2026-11-22T03:00:00Z".parse().unwrap();
        let seat = |text: &str| idle_of_seat(text, now, |it| it != "c1");
        assert_eq!(seat("ActiveSession=2\nIdleHint=no\nIdleSinceHint=0\n"), Some(TimeDelta::zero()));
        let since = (now - TimeDelta::minutes(40)).timestamp_micros();
        assert_eq!(
            seat(&format!("ActiveSession=2\nIdleHint=yes\nIdleSinceHint={since}\n")),
            Some(TimeDelta::minutes(40))
        );
        for nobody in ["ActiveSession=\nIdleHint=no\n", "ActiveSession=c1\nIdleHint=no\n", ""] {
            assert_eq!(seat(nobody), None, "{nobody}");
        }
        assert_eq!(idle_of_ioreg("  | \"HIDIdleTime\" = 61000000000\n"), Some(TimeDelta::seconds(61)));
        assert_eq!(idle_of_ioreg("nothing"), None);
        let quser = " USERNAME  SESSIONNAME  ID  STATE   IDLE TIME  LOGON TIME\n>ann  console  1  Active  1+02:03  11/20/2026 8:01 AM\n bob  rdp-tcp#0  2  Active  7  11/20/2026 9:00 AM\n";
        assert_eq!(idle_of_quser(quser), Some(TimeDelta::minutes(7)));
        assert_eq!(idle_of_quser(&quser.replace(" 7 ", " none ")), Some(TimeDelta::zero()));
        assert_eq!(idle_of_quser("nobody"), None);
    }

    #[test]
    fn looking_at_this_machine_ends() {
        let seen = ThisMachine.look(DateTime::from_timestamp(1_790_000_000, 0).unwrap());
        assert!(seen.unused_for.is_none_or(|it| it >= TimeDelta::zero()));
    }
}
