//! The machine's table of processes: from `/proc` on Linux, else through sysinfo.

use std::time::Duration;

/// One process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) pid: u32,
    pub(super) parent: u32,
    /// Its process group; 0 where that cannot be seen.
    pub(super) group: u32,
    /// Its session; 0 where that cannot be seen.
    pub(super) session: u32,
    /// When it started: clock ticks since boot on Linux, seconds since 1970 elsewhere.
    pub(super) started: u64,
    /// It has ended and only waits to be reaped.
    pub(super) is_dead: bool,
    /// Processor time of it and of those children that it has waited for.
    pub(super) cpu: Duration,
}

pub(super) use platform::{all, bytes_moved, row, variable};

/// Whether a process was started with the variable `key=value`. False where we may not look.
pub(super) fn has_variable(pid: u32, key: &str, value: &str) -> bool {
    variable(pid, key).is_some_and(|it| it == value)
}

#[cfg(target_os = "linux")]
mod platform {
    use std::{fs, time::Duration};

    use super::Row;

    /// Every process that can be seen.
    pub(in super::super) fn all() -> Vec<Row> {
        let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
        entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter_map(row).collect()
    }

    /// One process, if it is there.
    pub(in super::super) fn row(pid: u32) -> Option<Row> {
        parse(pid, &fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    }

    /// A variable that a process was started with. `None` where it has none, or we may not look.
    pub(in super::super) fn variable(pid: u32, key: &str) -> Option<String> {
        let environment = fs::read(format!("/proc/{pid}/environ")).ok()?;
        environment.split(|&byte| byte == 0).find_map(|variable| {
            let value = variable.strip_prefix(key.as_bytes())?.strip_prefix(b"=")?;
            Some(String::from_utf8_lossy(value).into_owned())
        })
    }

    /// How many bytes a process has read and written so far, wherever from and to. 0 where we may not look.
    pub(in super::super) fn bytes_moved(pid: u32) -> u64 {
        let Ok(text) = fs::read_to_string(format!("/proc/{pid}/io")) else { return 0 };
        let figure = |key: &str| text.lines().find_map(|line| line.strip_prefix(key)?.trim().parse::<u64>().ok());
        figure("rchar:").unwrap_or(0).saturating_add(figure("wchar:").unwrap_or(0))
    }

    /// Reads a line of `/proc/<pid>/stat`. The name in it may hold spaces and parentheses, so counting starts
    /// after the last parenthesis.
    fn parse(pid: u32, stat: &str) -> Option<Row> {
        let (_, rest) = stat.rsplit_once(')')?;
        let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
        let number = |at: usize| fields.get(at)?.parse::<u64>().ok();
        let ticks = number(11)? + number(12)? + number(13)? + number(14)?;
        Some(Row {
            pid,
            parent: number(1)?.try_into().ok()?,
            group: number(2)?.try_into().unwrap_or(0),
            session: number(3)?.try_into().unwrap_or(0),
            started: number(19)?,
            is_dead: matches!(*fields.first()?, "Z" | "X" | "x"),
            cpu: Duration::from_millis(ticks * 1000 / rustix::param::clock_ticks_per_second().max(1)),
        })
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn a_name_with_parentheses_does_not_shift_the_fields() {
            let stat = "42 (a) S 1 (b)) R 7 42 40 0 -1 4194304 1 2 3 4 10 20 30 40 20 0 1 0 987654 1 2";
            let row = parse(42, stat).unwrap();
            assert_eq!((row.parent, row.group, row.session, row.started, row.is_dead), (7, 42, 40, 987_654, false));
            assert_eq!(row.cpu, Duration::from_secs(1));
        }

        #[test]
        fn half_a_line_is_no_process() {
            assert_eq!(parse(42, "42 (a) R 7"), None);
            assert_eq!(parse(42, ""), None);
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod platform {
    use std::time::Duration;

    use sysinfo::{Pid, ProcessRefreshKind, ProcessStatus, ProcessesToUpdate, System, UpdateKind};

    use super::Row;

    /// Every process that can be seen.
    pub(in super::super) fn all() -> Vec<Row> {
        let Ok(mut system) = System::new() else { return Vec::new() };
        system.refresh_processes_specifics(ProcessesToUpdate::All, true, ProcessRefreshKind::nothing().with_cpu());
        system.processes().values().map(as_row).collect()
    }

    /// One process, if it is there.
    pub(in super::super) fn row(pid: u32) -> Option<Row> {
        let mut system = System::new().ok()?;
        let pid = Pid::from_u32(pid);
        let kind = ProcessRefreshKind::nothing().with_cpu();
        system.refresh_processes_specifics(ProcessesToUpdate::Some(&[pid]), true, kind);
        system.process(pid).map(as_row)
    }

    /// A variable that a process was started with. `None` where it has none, or we may not look.
    pub(in super::super) fn variable(pid: u32, key: &str) -> Option<String> {
        let mut system = System::new().ok()?;
        let pid = Pid::from_u32(pid);
        let kind = ProcessRefreshKind::nothing().with_environ(UpdateKind::Always);
        system.refresh_processes_specifics(ProcessesToUpdate::Some(&[pid]), true, kind);
        let variables = system.process(pid)?.environ();
        variables.iter().find_map(|it| it.to_str()?.strip_prefix(key)?.strip_prefix('=').map(str::to_owned))
    }

    /// How many bytes a process has read and written so far; not to be had here.
    pub(in super::super) fn bytes_moved(_pid: u32) -> u64 {
        0
    }

    fn as_row(process: &sysinfo::Process) -> Row {
        let pid = process.pid().as_u32();
        Row {
            pid,
            parent: process.parent().map_or(0, Pid::as_u32),
            group: group(pid),
            session: process.session_id().map_or(0, Pid::as_u32),
            started: process.start_time(),
            is_dead: matches!(process.status(), ProcessStatus::Zombie | ProcessStatus::Dead),
            cpu: Duration::from_millis(process.accumulated_cpu_time()),
        }
    }

    #[cfg(unix)]
    fn group(pid: u32) -> u32 {
        use rustix::process::{Pid, getpgid};
        let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
        pid.and_then(|pid| getpgid(Some(pid)).ok())
            .and_then(|group| u32::try_from(group.as_raw_nonzero().get()).ok())
            .unwrap_or(0)
    }

    #[cfg(not(unix))]
    fn group(_pid: u32) -> u32 {
        0
    }
}
