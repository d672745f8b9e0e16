//! Dumps of other machines: looked into first, then restored on the side as somebody without rights, then dumped anew.
//!
//! What another machine wrote never reaches the user's server. It is unfolded in a private scratch cluster by a role that
//! may do nothing beyond one database; what came out of it is compared with what the file promised, and our own `pg_dump`
//! makes of it the dump that goes into a backup. Deliberately absent: owners, rights of other roles, anything beyond one database.

mod bring;
mod file;
mod header;
mod sql;
mod words;

pub(super) use bring::{Context, bring};
pub(super) use file::Staged;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader};
use std::path::Path;

use chrono::{DateTime, Utc};

use self::file::Unpacked;
use self::header::{Head, Sniffed};
use self::sql::{Sifted, Tally, refused};
use super::answer;
use super::tools::{Tools, major};
use crate::error::{Error, Result};
use crate::ports::{Invocation, Patience, Pipes, Reporter, Runner};
use crate::stores::foreign::{FileFound, FileKind, FileTable};

/// What was found, with what only the store needs.
#[derive(Debug)]
pub(super) struct Looked {
    pub(super) found: FileFound,
    tally: Tally,
}

/// Reads a file to its end and says what is in it. `tools` are those of the server that it shall go to.
///
/// # Errors
/// Why it cannot be brought in.
pub(super) fn look(path: &Path, tools: &Tools, runner: &dyn Runner, reporter: &dyn Reporter) -> Result<Looked> {
    look_at(path, tools, runner, reporter).map_err(|error| match error.class.as_ref() {
        "not_found" | "not_ours" | "permission_denied" => Error { kind: crate::error::Kind::Refused, ..error },
        _ => error,
    })
}

fn look_at(path: &Path, tools: &Tools, runner: &dyn Runner, reporter: &dyn Reporter) -> Result<Looked> {
    let mut file = Unpacked::open(path, reporter)?;
    let sniffed = file.sniff()?;
    let (packed, bytes, written_at) = (file.is_packed(), file.size(), written_at(path));
    let (kind, head) = match sniffed {
        Sniffed::Archive(head) => (FileKind::Archive, head),
        Sniffed::Sql => (FileKind::Sql, Head::default()),
    };
    // Said before its contents are read: an older pg_restore would say less.
    expect_not_newer(head.server_version.as_deref(), head.tool_version.as_deref(), tools)?;
    let (tally, raw_bytes) = match kind {
        FileKind::Sql => {
            let mut sifted = Sifted::new(BufReader::with_capacity(1 << 20, &mut file));
            let read = io::copy(&mut sifted, &mut io::sink());
            let (tally, refused) = (std::mem::take(&mut sifted.tally), sifted.refused.take());
            drop(sifted);
            file.expect_good(refused, read)?;
            if tally.is_of_pg_dump && !tally.is_whole {
                return Err(refused_truncated());
            }
            (tally, file.raw())
        }
        _ => (list(&mut file, tools, runner, reporter)?, file.raw()),
    };
    expect_not_newer(tally.server_version.as_deref(), tally.tool_version.as_deref(), tools)?;
    let found = FileFound {
        kind,
        packed,
        bytes,
        raw_bytes,
        made_at: head.made_at.or(written_at),
        database: head.database,
        server_version: head.server_version.or_else(|| tally.server_version.clone()),
        tool_version: head.tool_version.or_else(|| tally.tool_version.clone()),
        tables: tables(&tally),
        extensions: tally.extensions.keys().filter(|it| *it != "plpgsql").cloned().collect(),
        left_out: tally.left_out.keys().map(|it| (*it).to_owned()).collect(),
    };
    Ok(Looked { found, tally })
}

fn refused_truncated() -> Error {
    refused("file_truncated", "The file ends in the middle: a part of it is missing.")
}

fn written_at(path: &Path) -> Option<DateTime<Utc>> {
    path.metadata().and_then(|it| it.modified()).ok().map(DateTime::from)
}

/// Rows where `COPY` or `INSERT` brings some, and none where a table is only made.
fn tables(tally: &Tally) -> Vec<FileTable> {
    let mut rows: BTreeMap<&String, u64> = tally.tables.iter().map(|it| (it, 0)).collect();
    for (name, more) in tally.copied.iter().chain(&tally.inserted) {
        *rows.entry(name).or_default() += more;
    }
    rows.into_iter().map(|(name, rows)| FileTable { name: name.clone(), rows }).collect()
}

fn expect_not_newer(server: Option<&str>, tool: Option<&str>, tools: &Tools) -> Result<()> {
    let newest = [server, tool].into_iter().flatten().filter_map(major).max();
    match newest {
        Some(newest) if newest > tools.major => Err(refused(
            "dump_newer",
            &format!("The file was made by PostgreSQL {newest}; the database server here is PostgreSQL {}.", tools.major),
        )
        .remedy(format!(
            "Nothing was touched. Move the database server here to PostgreSQL {newest} first, or dump with a pg_dump of {} \
             from a server of at most {}.",
            tools.major, tools.major
        ))),
        _ => Ok(()),
    }
}

/// An archive as SQL, read to its end: what is in it, and that all of it is there. No server is asked.
fn list(file: &mut Unpacked<'_>, tools: &Tools, runner: &dyn Runner, reporter: &dyn Reporter) -> Result<Tally> {
    let invocation =
        Invocation::new(tools.path("pg_restore")).args(["--format=custom", "--file=-"]).env("LC_ALL", "C").quiet();
    let (from, mut to) = io::pipe().map_err(|cause| Error::io("read", Path::new("the dump"), &cause))?;
    let (finished, tally) = std::thread::scope(|scope| {
        let reading = scope.spawn(move || Sifted::new(BufReader::with_capacity(1 << 20, from)).through());
        let asked = super::dump::patience(std::time::Duration::from_secs(600));
        let finished = {
            let pipes = Pipes { stdin: Some(&mut *file), stdout: Some(&mut to) };
            runner.pipe(&invocation, pipes, asked, &[], reporter)
        };
        drop(to);
        let tally =
            reading.join().unwrap_or_else(|_| Err(Error::bug("panicked", "Reading the dump ended unexpectedly.")));
        (finished, tally)
    });
    file.expect_good(None, Ok(0))?;
    // A refusal ends the reading, and pg_restore with it: it says more than the broken pipe.
    if let Err(error) = &tally
        && error.class != "file_truncated"
    {
        return tally;
    }
    let finished = finished?;
    if !finished.succeeded() {
        let error = answer::from_words("read the dump", &finished.stderr);
        let class = if error.class == "archive_unsupported" { "archive_unsupported" } else { "archive_damaged" };
        let refused = refused(class, "The dump is damaged, cut short, or of a version that cannot be read here.");
        return Err(error.details.into_iter().fold(refused, Error::detail));
    }
    tally
}

/// The file as `File` for whoever stages it.
pub(super) fn open(path: &Path) -> Result<File> {
    let file = crate::durable::open_no_follow(path)?;
    let meta = file.metadata().map_err(|cause| Error::io("look at", path, &cause))?;
    if !meta.is_file() {
        return Err(refused("file_unknown", "What was chosen is no file.").remedy(
            "Choose a file made by pg_dump. The folder of a backup by Liftlock is gone back to as it is, whichever \
                 computer made it: `liftlock backup restore NAME FOLDER`.",
        ));
    }
    Ok(file)
}

/// How long a restore of somebody else's file may stand still.
pub(super) fn patience() -> Patience {
    super::dump::patience(std::time::Duration::from_secs(600))
}
