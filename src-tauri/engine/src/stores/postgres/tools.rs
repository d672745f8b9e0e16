//! PostgreSQL's own tools, of the server's own major version, and where they are.
//!
//! An older `pg_dump` refuses a newer server, and a newer one writes settings that an older server refuses
//! at restore: so the major version is the server's, exactly.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    time::Duration,
};

use crate::error::{Error, Result};
use crate::ports::{Finished, Invocation, Patience, Runner};
use crate::process::Silent;

/// The programs of one version, which lie in one folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tools {
    /// The major version, such as 15.
    pub major: u32,
    /// The whole version as the tools tell it, such as `15.18`.
    pub version: String,
    /// The folder in which they lie.
    pub dir: PathBuf,
    /// Whether the server's programs (`initdb`, `postgres`, `pg_ctl`) lie there too.
    pub has_server: bool,
    /// Whether they run where nothing of our files is, and are handed all that they need.
    pub is_inside: bool,
}

impl Tools {
    /// The path of one of the tools.
    pub fn path(&self, tool: &str) -> PathBuf {
        if self.is_inside {
            return PathBuf::from(tool);
        }
        self.dir.join(tool).with_added_extension(std::env::consts::EXE_EXTENSION)
    }
}

/// Finds `psql`, `pg_dump` and `pg_restore` of this major version; `extra_dirs` are looked into first.
///
/// # Errors
/// `tools_too_old` where there are only older ones, `tools_missing` where there are none or only newer ones.
pub fn find(runner: &dyn Runner, major: u32, extra_dirs: &[PathBuf]) -> Result<Tools> {
    let mut others = BTreeSet::new();
    let mut found: Option<Tools> = None;
    for dir in folders(extra_dirs) {
        match look(runner, &dir) {
            // One with the server's programs beside serves for scratch clusters too.
            Some(tools) if tools.major == major && !same_version(runner, &tools) => {}
            Some(tools) if tools.major == major && (tools.has_server || found.is_none()) => {
                let is_whole = tools.has_server;
                found = Some(tools);
                if is_whole {
                    break;
                }
            }
            Some(tools) => {
                others.insert(tools.major);
            }
            None => {}
        }
    }
    found.ok_or_else(|| none_found(major, &others))
}

/// The tools of a server beside it in its container, in which `runner` runs: always of its own version.
///
/// # Errors
/// `tools_missing`; why nothing can be run there.
pub fn inside(runner: &dyn Runner) -> Result<Tools> {
    let asked = Invocation::new("pg_dump").arg("--version").env("LC_ALL", "C").quiet();
    let patience = Patience { deadline: Duration::from_secs(30), stall_after: None };
    let answer = runner.run(&asked, patience, &[], &Silent).or_else(|error| match error.class.as_ref() {
        "command_missing" => Ok(Finished::default()),
        _ => Err(error),
    })?;
    let (major, version) = version(&answer.stdout).ok_or_else(|| {
        Error::refused("tools_missing", "The image of the database has no pg_dump in it.")
            .remedy("Use an image of PostgreSQL with its client tools, such as the official one.")
    })?;
    Ok(Tools { major, version, dir: PathBuf::new(), has_server: true, is_inside: true })
}

/// The newest tools there are. Their `psql` can ask a server of any version which version it is.
///
/// # Errors
/// `tools_missing`.
pub fn newest(runner: &dyn Runner, extra_dirs: &[PathBuf]) -> Result<Tools> {
    let mut all: Vec<Tools> = folders(extra_dirs).into_iter().filter_map(|dir| look(runner, &dir)).collect();
    all.sort_by_key(|tools| (tools.major, tools.has_server));
    all.into_iter().rev().find(|tools| same_version(runner, tools)).ok_or_else(|| {
        Error::refused(
            "tools_missing",
            "The PostgreSQL tools (psql, pg_dump, pg_restore) were not found on this machine.",
        )
        .remedy("Install the PostgreSQL client tools, for example the package postgresql-client.")
    })
}

fn none_found(major: u32, others: &BTreeSet<u32>) -> Error {
    let remedy = format!(
        "Install the PostgreSQL {major} client tools (psql, pg_dump, pg_restore), for example the package \
         postgresql-client-{major}."
    );
    let there = others.iter().map(u32::to_string).collect::<Vec<_>>().join(", ");
    let error = if others.last().is_some_and(|newest| *newest < major) {
        Error::refused(
            "tools_too_old",
            format!("The database server is PostgreSQL {major}, but the tools on this machine are older ({there})."),
        )
    } else {
        Error::refused("tools_missing", format!("The tools of PostgreSQL {major} were not found on this machine."))
    };
    let error = error.remedy(remedy);
    if there.is_empty() { error } else { error.detail(format!("Versions found: {there}")) }
}

/// Where tools are installed on the systems that we know, likely places first.
fn folders(extra_dirs: &[PathBuf]) -> Vec<PathBuf> {
    let mut dirs = extra_dirs.to_vec();
    // Debian, openSUSE, Alpine, Postgres.app, EDB's installers; one folder a version.
    for (parent, sub) in [
        ("/usr/lib/postgresql", "bin"),
        ("/usr/libexec/postgresql", ""),
        ("/opt/local/lib", "bin"),
        ("/Applications/Postgres.app/Contents/Versions", "bin"),
        ("/Library/PostgreSQL", "bin"),
        (r"C:\Program Files\PostgreSQL", "bin"),
    ] {
        dirs.extend(children(Path::new(parent), "").into_iter().map(|dir| dir.join(sub)));
    }
    // Red Hat: /usr/pgsql-15; Homebrew: opt/postgresql@15.
    for (parent, prefix) in [
        ("/usr", "pgsql-"),
        ("/opt/homebrew/opt", "postgresql"),
        ("/usr/local/opt", "postgresql"),
        ("/usr/lib", "postgresql"),
    ] {
        dirs.extend(children(Path::new(parent), prefix).into_iter().map(|dir| dir.join("bin")));
    }
    if let Some(path) = std::env::var_os("PATH") {
        dirs.extend(std::env::split_paths(&path));
    }
    let mut seen = BTreeSet::new();
    dirs.retain(|dir| seen.insert(dir.clone()));
    dirs
}

fn children(parent: &Path, prefix: &str) -> Vec<PathBuf> {
    let Ok(entries) = parent.read_dir() else { return Vec::new() };
    let mut dirs: Vec<_> = entries
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(prefix))
        .map(|entry| entry.path())
        .collect();
    dirs.sort_unstable();
    dirs.reverse();
    dirs
}

/// The tools in `dir`, if all three are there. One of them is asked for its version; see [`same_version`].
fn look(runner: &dyn Runner, dir: &Path) -> Option<Tools> {
    let mut tools =
        Tools { major: 0, version: String::new(), dir: dir.to_owned(), has_server: false, is_inside: false };
    for tool in ["psql", "pg_dump", "pg_restore"] {
        // Debian's programs in /usr/bin choose a version by themselves, and the versions are found without them.
        let real = tools.path(tool).canonicalize().ok()?;
        if real.file_name().is_some_and(|name| name == "pg_wrapper") {
            return None;
        }
    }
    (tools.major, tools.version) = ask(runner, &tools.path("pg_dump"))?;
    tools.has_server = ["initdb", "postgres", "pg_ctl"].iter().all(|tool| tools.path(tool).is_file());
    Some(tools)
}

/// Whether the other tools beside `pg_dump` are of its version: in a folder of links they need not be.
fn same_version(runner: &dyn Runner, tools: &Tools) -> bool {
    ["psql", "pg_restore"].iter().all(|it| ask(runner, &tools.path(it)).is_some_and(|(major, _)| major == tools.major))
}

fn ask(runner: &dyn Runner, tool: &Path) -> Option<(u32, String)> {
    let asked = Invocation::new(tool).arg("--version").env("LC_ALL", "C").quiet();
    let patience = Patience { deadline: Duration::from_secs(10), stall_after: None };
    let answer = runner.run(&asked, patience, &[], &Silent).ok().filter(Finished::succeeded)?;
    version(&answer.stdout)
}

/// `psql (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)` → 15 and `15.18`.
fn version(told: &str) -> Option<(u32, String)> {
    let version = told.split_once("(PostgreSQL)")?.1.split_whitespace().next()?;
    Some((major(version)?, version.to_owned()))
}

/// `18.4 (Debian …)` is 18.
pub(super) fn major(version: &str) -> Option<u32> {
    let digits: String = version.trim().chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_from_what_the_tools_say() {
        assert_eq!(version("psql (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n"), Some((15, "15.18".into())));
        assert_eq!(version("pg_dump (PostgreSQL) 18beta1\n"), Some((18, "18beta1".into())));
        assert_eq!(version("psql (EnterpriseDB)"), None);
        assert_eq!(major("18.4 (Debian 18.4-1)"), Some(18));
        assert_eq!(major("devel"), None);
    }

    #[test]
    fn too_old_and_missing_are_told_apart() {
        assert_eq!(none_found(15, &BTreeSet::from([13, 14])).class, "tools_too_old");
        assert_eq!(none_found(15, &BTreeSet::from([14, 16])).class, "tools_missing");
        assert_eq!(none_found(15, &BTreeSet::new()).class, "tools_missing");
    }
}
