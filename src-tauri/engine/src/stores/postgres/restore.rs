//! `pg_restore` into a database that was just made for it, from a compressed dump.
//!
//! What a dump holds runs code while it is restored (index expressions, for one), written by whoever could
//! write to the database. It is therefore restored as the database's own owner, and as a superuser only where
//! a superuser owned it.

use std::{
    collections::BTreeSet,
    ffi::OsString,
    fs::File,
    io,
    num::NonZeroUsize,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use tempfile::NamedTempFile;

use super::answer;
use super::client::Client;
use super::compare;
use super::contents::{keep, list, split, written};
use super::dump::{Dump, patience};
use super::inventory;
use super::source::{Source, damaged};
use super::work::Work;
use crate::error::{Error, Result};
use crate::ports::{Finished, Invocation, Patience, Pipes, Reporter};
use crate::process::Silent;

/// How long a restore may stand still.
const STALL: Duration = Duration::from_secs(600);
const SHORT: Patience = Patience { deadline: Duration::from_secs(60), stall_after: None };

/// What of a dump is restored, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct How {
    /// Entries whose line in the table of contents, after its numbers, begins with one of these are left out.
    pub(super) without: Vec<String>,
    /// Owners are given as they were.
    pub(super) with_owners: bool,
    /// On a scratch server: without tablespaces, which it has not, and in one transaction, which is quicker where
    /// nothing is logged but needs a lock for every table at a time.
    pub(super) on_scratch: bool,
    /// Where it is not empty, nothing is restored but entries whose line begins with one of these, as far as each can be by
    /// itself: the caller looks what came of it.
    pub(super) only: Vec<String>,
    /// Indexes are built and keys checked by several connections, once the rows are there; otherwise all is one pass.
    pub(super) parallel: Option<Parallel>,
}

/// How the second half of a restore is done at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Parallel {
    /// How many connections.
    pub(super) jobs: usize,
    /// A folder of ours for the head of the archive, in which rows may be.
    pub(super) dir: PathBuf,
}

impl Parallel {
    /// A dump that is smaller than this before compression is not worth a second pass.
    const LARGE: u64 = 16 << 20;

    /// What suits a dump of `raw_bytes` on a server of ours: one connection a processor, at most four.
    pub(super) fn fitting(raw_bytes: u64, dir: &Path) -> Option<Self> {
        let jobs = thread::available_parallelism().map_or(1, NonZeroUsize::get).min(4);
        (raw_bytes >= Self::LARGE && jobs > 1).then(|| Self { jobs, dir: dir.to_owned() })
    }
}

impl How {
    /// Left out everywhere: comments on extensions, which only their owner may set.
    pub(super) fn for_live() -> Self {
        Self {
            without: vec!["COMMENT - EXTENSION ".to_owned()],
            with_owners: true,
            on_scratch: false,
            only: Vec::new(),
            parallel: None,
        }
    }

    /// These tables with their rows, and what they may be made of; not what other tables have to do with them.
    pub(super) fn for_a_look<'k>(keys: impl IntoIterator<Item = &'k String>) -> Self {
        let kinds =
            ["SCHEMA - ", "EXTENSION ", "TYPE ", "SHELL TYPE ", "DOMAIN ", "COLLATION ", "FUNCTION ", "SEQUENCE "];
        let mut only = kinds.map(str::to_owned).to_vec();
        for key in keys {
            let (schema, table) = super::look::parts(key);
            let own = ["TABLE", "TABLE DATA", "TABLE ATTACH", "DEFAULT", "CONSTRAINT", "COMMENT"];
            only.extend(own.map(|it| format!("{it} {schema} {table} ")));
        }
        Self { only, ..Self::for_live() }
    }
}

/// Restores `archive`, a dump of [`super::dump::dump`], into the empty database `database` as the user of `client`.
///
/// # Errors
/// `archive_damaged`, `insufficient_rights`, `disk_full`, `stalled`, what `reporter` answered, …; the database is
/// then of no use, and has to be dropped.
pub(super) fn restore(
    client: &Client,
    database: &str,
    archive: &Path,
    sha256: &str,
    how: &How,
    reporter: &dyn Reporter,
) -> Result<()> {
    let Some(parallel) = &how.parallel else {
        let listed = list(client, Source::open(archive, &Silent)?, &[], &mut io::sink())?;
        return stream(client, database, archive, sha256, (how, &keep(&listed, how)), reporter);
    };
    let mut head =
        NamedTempFile::new_in(&parallel.dir).map_err(|cause| Error::io("write in", &parallel.dir, &cause))?;
    let kept = keep(&list(client, Source::open(archive, &Silent)?, &[], &mut head)?, how);
    let before = list(client, Source::open(archive, &Silent)?, BEFORE_INDEXES, &mut io::sink())?;
    let (rows, indexes) = split(&kept, &before);
    stream(client, database, archive, sha256, (how, &rows), reporter)?;
    index(client, database, head.path(), (how, parallel.jobs, &indexes), reporter)
}

/// Has `pg_restore` read `archive` to its end and restore nothing: every block of rows is taken apart, where [`list`] sees the
/// table of contents alone.
///
/// # Errors
/// `archive_damaged`; what `reporter` answered.
pub(super) fn read_through(client: &Client, archive: &Path, sha256: &str, reporter: &dyn Reporter) -> Result<()> {
    let mut source = Source::open(archive, reporter)?;
    let nowhere = if cfg!(windows) && !client.tools().is_inside { "NUL" } else { "/dev/null" };
    let mut invocation = Invocation::new(client.tools().path("pg_restore"))
        .args(["--format=custom", "--file", nowhere])
        .env("LC_ALL", "C")
        .quiet();
    invocation.user = client.server().run_as;
    let pipes = Pipes { stdin: Some(&mut source), stdout: None };
    let finished = client.runner().pipe(&invocation, pipes, patience(STALL), &[], reporter);
    if let Some(damage) = source.damage.take() {
        return Err(damaged(archive).detail(damage));
    }
    let finished = finished?;
    if !finished.succeeded() {
        return Err(finished.stderr.lines().fold(damaged(archive), Error::detail));
    }
    expect_hash(source, archive, sha256)
}

/// Reads what is left of `source`; all of it must be what was recorded.
fn expect_hash(source: Source<'_>, archive: &Path, sha256: &str) -> Result<()> {
    if source.rest_and_hash(archive)? == sha256 {
        return Ok(());
    }
    Err(damaged(archive).detail("its checksum is not the one that was recorded"))
}

/// What `pg_restore` calls the sections that rows need to be there.
const BEFORE_INDEXES: &[&str] = &["--section=pre-data", "--section=data"];

/// Restores the entries of `list` from the whole archive, which comes through a pipe.
fn stream(
    client: &Client,
    database: &str,
    archive: &Path,
    sha256: &str,
    (how, list): (&How, &str),
    reporter: &dyn Reporter,
) -> Result<()> {
    let mut source = Source::open(archive, reporter)?;
    let one_transaction = how.on_scratch.then_some("--single-transaction");
    let stop_at_errors = how.only.is_empty().then_some("--exit-on-error");
    let args = one_transaction.into_iter().chain(stop_at_errors).map(OsString::from).collect();
    let finished = pass(client, database, (how, list), args, Some(&mut source), reporter);
    if let Some(damage) = source.damage.take() {
        return Err(damaged(archive).detail(damage));
    }
    let finished = finished?;
    if !finished.succeeded() && how.only.is_empty() {
        return Err(answer::from_words("restore the backup", &finished.stderr));
    }
    expect_hash(source, archive, sha256)
}

/// Restores the entries of `list`, which need nothing of the archive but its head: indexes, keys, triggers, rights. Several
/// connections can only read from a file, and there may be no room for the whole archive as one.
fn index(
    client: &Client,
    database: &str,
    head: &Path,
    (how, jobs, list): (&How, usize, &str),
    reporter: &dyn Reporter,
) -> Result<()> {
    if list.lines().all(|it| it.starts_with(';')) {
        return Ok(());
    }
    let head = Lent::to(client, head)?;
    let args = vec!["--exit-on-error".into(), format!("--jobs={jobs}").into(), head.path().into()];
    let finished = pass(client, database, (how, list), args, None, reporter)?;
    if finished.succeeded() { Ok(()) } else { Err(answer::from_words("restore the backup", &finished.stderr)) }
}

/// One call of `pg_restore` for the entries of `list`.
fn pass(
    client: &Client,
    database: &str,
    (how, list): (&How, &str),
    args: Vec<OsString>,
    source: Option<&mut Source<'_>>,
    reporter: &dyn Reporter,
) -> Result<Finished> {
    let file = written(client, list)?;
    let lent = Lent::to(client, file.path())?;
    let invocation = client
        .invoke("pg_restore", database)
        .arg("--format=custom")
        .args(how.on_scratch.then_some("--no-tablespaces"))
        .args((!how.with_owners).then_some("--no-owner"))
        .arg("--use-list")
        .arg(lent.path())
        .args(args);
    // While indexes are built no bytes move, so the server is asked.
    let work = Work::new(client.clone(), database);
    let pipes = Pipes { stdin: source.map(|it| it as _), stdout: None };
    client.runner().pipe(&invocation, pipes, patience(STALL), &[&work], reporter)
}

/// A file of ours where the tools can read it: they may run where nothing of our files is.
struct Lent<'c> {
    client: &'c Client,
    path: PathBuf,
}

impl<'c> Lent<'c> {
    fn to(client: &'c Client, file: &Path) -> Result<Self> {
        if !client.tools().is_inside {
            return Ok(Self { client, path: file.to_owned() });
        }
        let path = Path::new("/tmp").join(file.file_name().unwrap_or(file.as_os_str()));
        let write = |with: &Invocation| {
            let mut from = File::open(file).map_err(|cause| Error::io("read", file, &cause))?;
            let mut echo = io::sink();
            let pipes = Pipes { stdin: Some(&mut from), stdout: Some(&mut echo) };
            client.runner().pipe(with, pipes, SHORT, &[], &Silent)
        };
        // Small images have the one or the other.
        let written = match write(&Invocation::new("tee").arg(&path).quiet()) {
            Err(error) if error.class == "command_missing" => {
                write(&Invocation::new("cp").arg("/dev/stdin").arg(&path).quiet())
            }
            written => written,
        }?;
        if !written.succeeded() {
            return Err(answer::from_words("write a list beside the database", &written.stderr));
        }
        Ok(Self { client, path })
    }
    fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        if self.client.tools().is_inside {
            // A list of names; what is left of it goes with the container.
            let _ = self.client.runner().run(&Invocation::new("rm").arg("-f").arg(&self.path), SHORT, &[], &Silent);
        }
    }
}

/// Restores a dump into a database on the user's own server that was made for it, and proves that it holds what
/// was dumped. Give this to [`super::aside::restore_beside`].
///
/// # Errors
/// As for a restore into a scratch server, and `backup_differs`.
pub fn restore_live(
    client: &Client,
    database: &str,
    archive: &Path,
    dump: &Dump,
    reporter: &dyn Reporter,
) -> Result<()> {
    restore(client, database, archive, &dump.sha256, &How::for_live(), reporter)?;
    agree(client, database, dump, reporter)
}

/// Whether `database` holds what was dumped.
///
/// # Errors
/// `backup_differs` with every difference, or why it cannot be read.
pub fn agree(client: &Client, database: &str, dump: &Dump, reporter: &dyn Reporter) -> Result<()> {
    let found = inventory::take(client, database, reporter)?;
    let sequences = (&dump.shape.sequences_before, &dump.shape.sequences_after);
    let differences = compare::differences(&dump.inventory, sequences, &found);
    if differences.is_empty() {
        return Ok(());
    }
    let error = Error::failed("backup_differs", "What was restored from the backup is not what was backed up.")
        .remedy("Take another backup. If it differs again, report it with the details.");
    Err(differences.into_iter().take(50).fold(error, Error::detail))
}

/// Schemas that entries of the list need and that are made before, because extensions live in them.
pub(super) fn schemas_of_extensions(dump: &Dump) -> BTreeSet<&str> {
    let schemas = dump.shape.extensions.iter().map(|it| it.schema.as_str());
    schemas.filter(|it| *it != "public" && !it.starts_with("pg_")).collect()
}
