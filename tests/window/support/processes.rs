//! The table of running processes.

use std::fs;

/// One line of it.
pub(crate) struct Process {
    pub(crate) pid: u32,
    pub(crate) name: String,
    parent: u32,
    is_dead: bool,
    /// Hundredths of seconds of processor time.
    pub(crate) ticks: u64,
}

/// Everything that runs now. One that ends meanwhile is left out.
fn all() -> Vec<Process> {
    let read = |pid: u32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let (before, after) = stat.rsplit_once(')')?;
        let fields: Vec<&str> = after.split_whitespace().collect();
        Some(Process {
            pid,
            name: before.split_once('(')?.1.to_owned(),
            parent: fields.get(1)?.parse().ok()?,
            is_dead: *fields.first()? == "Z",
            ticks: fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?,
        })
    };
    let entries = fs::read_dir("/proc").unwrap().flatten();
    entries.filter_map(|it| read(it.file_name().to_str()?.parse().ok()?)).filter(|it| !it.is_dead).collect()
}

/// A process and everything that it started and that still lives, itself first.
pub(crate) fn tree(of: u32) -> Vec<Process> {
    let (mut tree, mut others): (Vec<_>, Vec<_>) = all().into_iter().partition(|it| it.pid == of);
    let mut at = 0;
    while let Some(parent) = tree.get(at).map(|it| it.pid) {
        let (children, rest) = others.into_iter().partition(|it| it.parent == parent);
        tree.extend::<Vec<_>>(children);
        others = rest;
        at += 1;
    }
    tree
}
