//! Time, as the machine tells it and as a test sets it.
//!
//! Deadlines run on [`Clock::since_boot`], which goes on while the machine sleeps and takes no notice of
//! anyone setting the wall clock. A figure since boot means nothing without the boot it counts from, so
//! every one that is written down is written with [`Clock::boot_id`].

use std::{
    sync::{Mutex, OnceLock, PoisonError},
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};

use crate::ports::Clock;

/// The machine's own clocks.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> DateTime<Utc> {
        Utc::now()
    }

    fn since_boot(&self) -> Duration {
        since_boot()
    }

    fn boot_id(&self) -> String {
        static BOOT: OnceLock<String> = OnceLock::new();
        BOOT.get_or_init(boot_id).clone()
    }
}

/// Whether two boot ids name the same boot. Where the system has no name for it the id holds the second of
/// the boot, which wavers by a few when the wall clock is set right.
pub fn same_boot(one: &str, other: &str) -> bool {
    let second = |id: &str| id.strip_prefix(BOOT_SECOND).and_then(|text| text.parse::<u64>().ok());
    match (second(one), second(other)) {
        (Some(one), Some(other)) => one.abs_diff(other) <= 30,
        _ => !one.is_empty() && one == other,
    }
}

const BOOT_SECOND: &str = "boot-second-";

#[cfg(any(target_os = "linux", target_os = "android"))]
fn since_boot() -> Duration {
    as_duration(rustix::time::clock_gettime(rustix::time::ClockId::Boottime))
}

// There, unlike on Linux, the monotonic clock goes on while the machine sleeps.
#[cfg(all(unix, not(any(target_os = "linux", target_os = "android"))))]
fn since_boot() -> Duration {
    as_duration(rustix::time::clock_gettime(rustix::time::ClockId::Monotonic))
}

#[cfg(not(unix))]
fn since_boot() -> Duration {
    Duration::from_secs(sysinfo::System::uptime().unwrap_or(0))
}

#[cfg(unix)]
fn as_duration(time: rustix::time::Timespec) -> Duration {
    Duration::new(time.tv_sec.try_into().unwrap_or(0), time.tv_nsec.try_into().unwrap_or(0))
}

fn boot_id() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .map(|text| text.trim().to_owned())
        .ok()
        .filter(|text| !text.is_empty())
        .unwrap_or_else(|| format!("{BOOT_SECOND}{}", sysinfo::System::boot_time().unwrap_or(0)))
}

/// A clock that stands still until it is moved, for tests of what time does.
#[derive(Debug)]
pub struct FixedClock(Mutex<Face>);

#[derive(Debug, Clone)]
struct Face {
    now: DateTime<Utc>,
    since_boot: Duration,
    boot_id: String,
}

impl FixedClock {
    /// Stands at `now`, one hour after a boot called `boot-1`.
    pub fn at(now: DateTime<Utc>) -> Self {
        Self(Mutex::new(Face { now, since_boot: Duration::from_secs(3600), boot_id: "boot-1".to_owned() }))
    }

    /// Lets time pass on both clocks.
    pub fn advance(&self, by: Duration) {
        self.change(|face| {
            face.since_boot += by;
            face.now += TimeDelta::from_std(by).unwrap_or(TimeDelta::zero());
        });
    }

    /// Sets the wall clock alone, forwards or back.
    pub fn set_wall(&self, now: DateTime<Utc>) {
        self.change(|face| face.now = now);
    }

    /// Starts the machine anew under another boot id; the wall clock stays.
    pub fn reboot(&self, boot_id: &str) {
        self.change(|face| {
            face.boot_id = boot_id.to_owned();
            face.since_boot = Duration::from_secs(1);
        });
    }

    fn change<T>(&self, change: impl FnOnce(&mut Face) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Clock for FixedClock {
    fn now(&self) -> DateTime<Utc> {
        self.change(|face| face.now)
    }

    fn since_boot(&self) -> Duration {
        self.change(|face| face.since_boot)
    }

    fn boot_id(&self) -> String {
        self.change(|face| face.boot_id.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_has_one_boot_and_time_goes_on_since_it() {
        let first = SystemClock.since_boot();
        assert!(first > Duration::ZERO);
        assert!(SystemClock.since_boot() >= first);
        assert!(same_boot(&SystemClock.boot_id(), &SystemClock.boot_id()));
    }

    #[test]
    fn a_boot_known_by_its_second_is_told_apart_from_another_but_not_from_itself() {
        assert!(same_boot("boot-second-1000", "boot-second-1003"));
        assert!(!same_boot("boot-second-1000", "boot-second-1900"));
        assert!(!same_boot("a", "b"));
        assert!(!same_boot("", ""), "an id that was not recorded proves nothing");
    }

    #[test]
    fn setting_the_wall_clock_moves_no_deadline() {
        let clock = FixedClock::at(DateTime::UNIX_EPOCH);
        let before = clock.since_boot();
        clock.set_wall(DateTime::UNIX_EPOCH + TimeDelta::days(3650));
        assert_eq!(clock.since_boot(), before);
        clock.advance(Duration::from_secs(5));
        assert_eq!(clock.since_boot(), before + Duration::from_secs(5));
        clock.reboot("boot-2");
        assert_eq!((clock.boot_id().as_str(), clock.since_boot() < before), ("boot-2", true));
    }
}
