//! The table of contents of an archive: what of it is restored, and what of that before all else.

use std::{
    collections::BTreeSet,
    io::{self, Read, Write},
    path::Path,
    time::Duration,
};

use tempfile::NamedTempFile;

use super::answer;
use super::client::Client;
use super::restore::How;
use super::source::{Source, damaged};
use crate::error::{Error, Result};
use crate::ports::{Invocation, Patience, Pipes};
use crate::process::Silent;

/// The table of contents of the archive that `source` reads, of those sections alone where some are named. What was read
/// for it goes to `head`, and the table stands in that whole.
pub(super) fn list(
    client: &Client,
    mut source: Source<'_>,
    sections: &[&str],
    head: &mut (dyn Write + Send),
) -> Result<String> {
    let mut invocation = Invocation::new(client.tools().path("pg_restore"))
        .args(["--list", "--format=custom"])
        .args(sections.iter().copied())
        .env("LC_ALL", "C")
        .quiet();
    invocation.user = client.server().run_as;
    let mut listed = Vec::new();
    let asked = Patience { deadline: Duration::from_secs(120), stall_after: None };
    let finished = {
        let mut read = Copying { from: &mut source, to: head };
        let pipes = Pipes { stdin: Some(&mut read), stdout: Some(&mut listed) };
        client.runner().pipe(&invocation, pipes, asked, &[], &Silent)
    };
    if let Some(damage) = source.damage.take() {
        return Err(damaged(&source.path).detail(damage));
    }
    let finished = finished?;
    if !finished.succeeded() {
        return Err(answer::from_words("read the backup", &finished.stderr));
    }
    Ok(String::from_utf8_lossy(&listed).into_owned())
}

/// Passes on what it reads, and writes it somewhere too.
struct Copying<'a, 's> {
    from: &'a mut Source<'s>,
    to: &'a mut (dyn Write + Send),
}

impl Read for Copying<'_, '_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.from.read(into)?;
        self.to.write_all(&into[..read])?;
        Ok(read)
    }
}

/// A list for `--use-list` in a file that the tools can read, whoever they run as.
pub(super) fn written(client: &Client, list: &str) -> Result<NamedTempFile> {
    let failed = |cause: io::Error| Error::io("write a list in", &std::env::temp_dir(), &cause);
    let mut file = tempfile::Builder::new().prefix("liftlock-toc-").tempfile().map_err(failed)?;
    file.write_all(list.as_bytes()).map_err(failed)?;
    if client.server().run_as.is_some() && !client.tools().is_inside {
        readable_by_all(file.path()).map_err(failed)?;
    }
    Ok(file)
}

/// Names of tables and functions are in it, no data.
#[cfg(unix)]
fn readable_by_all(path: &Path) -> io::Result<()> {
    std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o644))
}

#[cfg(not(unix))]
fn readable_by_all(_path: &Path) -> io::Result<()> {
    Ok(())
}

/// `215; 1259 16389 TABLE public items owner`: what follows the three numbers says what an entry is.
pub(super) fn keep(listed: &str, how: &How) -> String {
    let is_kept = |line: &&str| {
        let what = line.splitn(4, ' ').nth(3).unwrap_or_default();
        let is_wanted = how.only.is_empty() || how.only.iter().any(|it| what.starts_with(it.as_str()));
        line.starts_with(';') || (is_wanted && !how.without.iter().any(|it| what.starts_with(it.as_str())))
    };
    listed.lines().filter(is_kept).fold(String::with_capacity(listed.len()), |all, line| all + line + "\n")
}

/// The entries of `kept` in two lists: those that are among `before`, and all others. Rights come last, as they do in one pass:
/// an owner may have given up those that indexes and keys need.
pub(super) fn split(kept: &str, before: &str) -> (String, String) {
    let number = |line: &str| line.split(';').next().unwrap_or_default().to_owned();
    let before: BTreeSet<String> = before.lines().map(number).collect();
    let is_right = |line: &str| {
        let what = line.splitn(4, ' ').nth(3).unwrap_or_default();
        what.starts_with("ACL ") || what.starts_with("DEFAULT ACL ")
    };
    let (first, then): (Vec<&str>, Vec<&str>) =
        kept.lines().partition(|it| before.contains(&number(it)) && !is_right(it));
    (first.join("\n") + "\n", then.join("\n") + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_left_out_by_what_they_are() {
        let listed = "; comment\n2; 3079 16390 EXTENSION - pg_trgm \n3503; 0 0 COMMENT - EXTENSION pg_trgm \n\
                      215; 1259 16389 TABLE public EXTENSION owner\n";
        let how = How {
            without: vec!["EXTENSION ".into(), "COMMENT - EXTENSION ".into()],
            with_owners: true,
            on_scratch: true,
            only: Vec::new(),
            parallel: None,
        };
        assert_eq!(keep(listed, &how), "; comment\n215; 1259 16389 TABLE public EXTENSION owner\n");
    }

    #[test]
    fn indexes_keys_and_all_rights_come_after_the_rows() {
        let kept = "; comment\n215; 1259 1 TABLE public items owner\n216; 0 0 ACL public TABLE items owner\n\
                    3; 0 1 TABLE DATA public items owner\n4; 2606 2 CONSTRAINT public items items_pkey owner\n";
        let before = "; comment\n215; 1259 1 TABLE public items owner\n216; 0 0 ACL public TABLE items owner\n\
                      3; 0 1 TABLE DATA public items owner\n";
        let (first, then) = split(kept, before);
        assert!(first.ends_with("215; 1259 1 TABLE public items owner\n3; 0 1 TABLE DATA public items owner\n"));
        assert!(then.contains("ACL public TABLE items") && then.contains("CONSTRAINT") && !then.contains("TABLE DATA"));
    }
}
