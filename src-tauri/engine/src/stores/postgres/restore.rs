//! `pg_restore` into a database that was just made for it, from a compressed dump.
//!
//! What a dump holds runs code while it is restored (index expressions, for one), written by whoever could
//! write to the database. It is therefore restored as the database's own owner, and as a superuser only where
//! a superuser owned it.

use std::{
    collections::BTreeSet,
    fs::File,
    io::{self, BufReader, Read},
    path::{Path, PathBuf},
    time::Duration,
};

use flate2::read::MultiGzDecoder;

use super::answer;
use super::client::Client;
use super::compare;
use super::dump::{Dump, patience};
use super::inventory;
use super::work::Work;
use crate::digest::Hashing;
use crate::durable;
use crate::error::{Error, Result};
use crate::gzip;
use crate::ports::{Invocation, Patience, Pipes, Reporter, Unit};
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
}

impl How {
    /// Left out everywhere: comments on extensions, which only their owner may set.
    pub(super) fn for_live() -> Self {
        Self {
            without: vec!["COMMENT - EXTENSION ".to_owned()],
            with_owners: true,
            on_scratch: false,
            only: Vec::new(),
        }
    }

    /// One table with its rows, and what it may be made of; not what other tables have to do with it.
    pub(super) fn for_a_look(key: &str) -> Self {
        let (schema, table) = super::look::parts(key);
        let kinds =
            ["SCHEMA - ", "EXTENSION ", "TYPE ", "SHELL TYPE ", "DOMAIN ", "COLLATION ", "FUNCTION ", "SEQUENCE "];
        let own = ["TABLE", "TABLE DATA", "DEFAULT", "CONSTRAINT", "COMMENT"];
        let only = kinds.map(str::to_owned).into_iter();
        Self { only: only.chain(own.map(|it| format!("{it} {schema} {table} "))).collect(), ..Self::for_live() }
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
    let list = contents(client, archive, how)?;
    let lent = Lent::to(client, list.path())?;
    let invocation = client
        .invoke("pg_restore", database)
        .arg("--format=custom")
        .args(how.only.is_empty().then_some("--exit-on-error"))
        .args(how.on_scratch.then_some(["--single-transaction", "--no-tablespaces"]).into_iter().flatten())
        .args((!how.with_owners).then_some("--no-owner"))
        .arg("--use-list")
        .arg(lent.path());
    let mut source = Source::open(archive, reporter)?;
    // While indexes are built no bytes move, so the server is asked.
    let work = Work::new(client.clone(), database);
    let finished = {
        let pipes = Pipes { stdin: Some(&mut source), stdout: None };
        client.runner().pipe(&invocation, pipes, patience(STALL), &[&work], reporter)
    };
    if let Some(damage) = source.damage.take() {
        return Err(damaged(archive).detail(damage));
    }
    let finished = finished?;
    if !finished.succeeded() && how.only.is_empty() {
        return Err(answer::from_words("restore the backup", &finished.stderr));
    }
    if source.rest_and_hash(archive)? != sha256 {
        return Err(damaged(archive).detail("its checksum is not the one that was recorded"));
    }
    Ok(())
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

fn damaged(archive: &Path) -> Error {
    Error::failed("archive_damaged", format!("The backup file {} is damaged or incomplete.", archive.display()))
        .remedy("Use another backup, and check the disk on which this one lies.")
}

/// The table of contents without what is left out, in a file for `--use-list`.
fn contents(client: &Client, archive: &Path, how: &How) -> Result<tempfile::NamedTempFile> {
    let mut invocation = crate::ports::Invocation::new(client.tools().path("pg_restore"))
        .args(["--list", "--format=custom"])
        .env("LC_ALL", "C")
        .quiet();
    invocation.user = client.server().run_as;
    let mut source = Source::open(archive, &Silent)?;
    let mut listed = Vec::new();
    let asked = Patience { deadline: Duration::from_secs(120), stall_after: None };
    let pipes = Pipes { stdin: Some(&mut source), stdout: Some(&mut listed) };
    let finished = client.runner().pipe(&invocation, pipes, asked, &[], &Silent);
    if let Some(damage) = source.damage.take() {
        return Err(damaged(archive).detail(damage));
    }
    let finished = finished?;
    if !finished.succeeded() {
        return Err(answer::from_words("read the backup", &finished.stderr));
    }
    let kept = keep(&String::from_utf8_lossy(&listed), how);
    let failed = |cause: io::Error| Error::io("write a list in", &std::env::temp_dir(), &cause);
    let mut file = tempfile::Builder::new().prefix("liftlock-toc-").tempfile().map_err(failed)?;
    io::Write::write_all(&mut file, kept.as_bytes()).map_err(failed)?;
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
fn keep(listed: &str, how: &How) -> String {
    let is_kept = |line: &&str| {
        let what = line.splitn(4, ' ').nth(3).unwrap_or_default();
        let is_wanted = how.only.is_empty() || how.only.iter().any(|it| what.starts_with(it.as_str()));
        line.starts_with(';') || (is_wanted && !how.without.iter().any(|it| what.starts_with(it.as_str())))
    };
    listed.lines().filter(is_kept).fold(String::with_capacity(listed.len()), |all, line| all + line + "\n")
}

/// Schemas that entries of the list need and that are made before, because extensions live in them.
pub(super) fn schemas_of_extensions(dump: &Dump) -> BTreeSet<&str> {
    let schemas = dump.shape.extensions.iter().map(|it| it.schema.as_str());
    schemas.filter(|it| *it != "public" && !it.starts_with("pg_")).collect()
}

/// The decompressed archive, hashed as it is read, which remembers that it was damaged.
struct Source<'a> {
    from: MultiGzDecoder<BufReader<Hashing<File>>>,
    reporter: &'a dyn Reporter,
    path: PathBuf,
    size: u64,
    told: u64,
    damage: Option<String>,
}

impl<'a> Source<'a> {
    fn open(path: &Path, reporter: &'a dyn Reporter) -> Result<Self> {
        let file = durable::open_no_follow(path)?;
        let size = file.metadata().map_err(|cause| Error::io("read", path, &cause))?.len();
        let from = gzip::reader(BufReader::with_capacity(1 << 20, Hashing::new(file)));
        Ok(Self { from, reporter, path: path.to_owned(), size, told: 0, damage: None })
    }

    /// Reads what pg_restore had no need of, to the last checksum, and answers with the hash of the whole file.
    fn rest_and_hash(mut self, archive: &Path) -> Result<String> {
        let read = io::copy(&mut self, &mut io::sink());
        if let Some(damage) = self.damage.take() {
            return Err(damaged(archive).detail(damage));
        }
        read.map_err(|cause| Error::io("read", &self.path, &cause))?;
        let mut inner = self.from.into_inner();
        io::copy(&mut inner, &mut io::sink()).map_err(|cause| Error::io("read", archive, &cause))?;
        Ok(inner.into_inner().finish().1)
    }
}

impl Read for Source<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.from.read(into).inspect_err(|cause| {
            let is_damage = |kind| {
                matches!(kind, io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput | io::ErrorKind::UnexpectedEof)
            };
            if is_damage(cause.kind()) {
                self.damage = Some(cause.to_string());
            }
        })?;
        let at = self.from.get_ref().get_ref().bytes();
        if at >> 20 != self.told >> 20 || read == 0 {
            self.told = at;
            self.reporter.moved(at.min(self.size), Some(self.size), Unit::Bytes);
        }
        Ok(read)
    }
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
        };
        assert_eq!(keep(listed, &how), "; comment\n215; 1259 16389 TABLE public EXTENSION owner\n");
    }
}
