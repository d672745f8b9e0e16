//! An online dump: `pg_dump` in a snapshot of which every row was counted, compressed as it comes.
//!
//! The application may be up. The file appears under its name only when `pg_dump` ended well, everything was
//! counted, and all of it is on the disk; before that there is nothing to be mistaken for a dump.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::answer;
use super::aside::{Belongings, Like, Setting};
use super::client::Client;
use super::facts::Extension;
use super::inventory::{self, Inventory, Positions};
use super::session::Session;
use super::tools::major;
use crate::durable;
use crate::error::{Error, Result};
use crate::gzip::{self, BlockGzip};
use crate::ports::{Patience, Pipes, Reporter, Unit};

/// A dump as it was taken.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Dump {
    /// Size of the file in bytes.
    pub bytes: u64,
    /// Size of what is in it, in bytes, before compression.
    pub raw_bytes: u64,
    /// SHA-256 of the file, in hexadecimal.
    pub sha256: String,
    /// How long it took, in seconds.
    pub seconds: f64,
    /// What was in the snapshot.
    pub inventory: Inventory,
    /// What a database must be like to be restored to.
    pub shape: Shape,
    /// Version of `pg_dump`.
    pub tool_version: String,
    /// Version of the server.
    pub server_version: String,
}

impl Dump {
    /// About how many bytes it takes on a server, with indexes: a third more than its rows as text, and some for safety.
    pub(super) fn unfolds_to(&self) -> u64 {
        self.raw_bytes.saturating_add(self.raw_bytes / 2)
    }

    /// Whether a server of this major version can take it: what a newer one writes, an older one need not understand.
    ///
    /// # Errors
    /// `server_older_than_backup`.
    pub(super) fn expect_not_newer_than(&self, here: u32) -> Result<()> {
        match [&self.server_version, &self.tool_version].into_iter().filter_map(|it| major(it)).max() {
            Some(newest) if newest > here => Err(Error::refused(
                "server_older_than_backup",
                format!("The backup is of PostgreSQL {newest}; the database server here is PostgreSQL {here}."),
            )
            .remedy(format!(
                "Move the database server here to PostgreSQL {newest} first, or choose a backup that was made before: \
                 `liftlock backup list`. Nothing was touched."
            ))),
            _ => Ok(()),
        }
    }
}

/// What is beside the rows, and needed to restore them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Shape {
    /// Name of the database.
    pub database: String,
    /// Character set and locale.
    #[serde(flatten)]
    pub like: Like,
    /// Who owns it.
    pub owner: String,
    /// Whether its owner is a superuser.
    pub owner_is_superuser: bool,
    /// All roles that own something in it or have a right on something.
    pub roles: Vec<String>,
    /// The first superuser of the server, who is among them whether it owns something or not.
    #[serde(default)]
    pub first_superuser: String,
    /// Its extensions.
    pub extensions: Vec<Extension>,
    /// Settings of the database, of roles in it, and of its owner everywhere.
    #[serde(default)]
    pub settings: Vec<Setting>,
    /// Where the sequences stood before the dump.
    pub sequences_before: Positions,
    /// Where they stood after it.
    pub sequences_after: Positions,
}

/// How a dump is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Threads that compress.
    pub workers: usize,
    /// How long it may take, and how long it may stand still.
    pub patience: Patience,
    /// How long a table that another program has locked is waited for.
    pub lock_wait: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            workers: gzip::default_workers(),
            patience: patience(Duration::from_secs(600)),
            lock_wait: Duration::from_secs(60),
        }
    }
}

/// A day at most, and this long without a byte.
pub(super) fn patience(stall_after: Duration) -> Patience {
    Patience { deadline: Duration::from_secs(24 * 3600), stall_after: Some(stall_after) }
}

/// Dumps `database` to the new file `dest`, through gzip.
///
/// # Errors
/// `connection_lost`, `database_locked`, `insufficient_rights`, `disk_full`, `stalled`, what `reporter` answered, …;
/// then there is no file.
pub fn dump(client: &Client, database: &str, dest: &Path, options: Options, reporter: &dyn Reporter) -> Result<Dump> {
    let begun = Instant::now();
    let mut session = client.connect(database)?;
    let sequences_before = inventory::positions(&mut session)?;
    session.run("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")?;
    let snapshot: Snapshot = session.one(
        "SELECT pg_export_snapshot() AS snapshot, current_setting('server_version') AS server_version, \
         (SELECT oid::int8 FROM pg_database WHERE datname = current_database()) AS oid",
    )?;
    let mut shape = shape(&mut session, database, snapshot.oid, sequences_before)?;
    let (written, inventory) = durable::write_with(dest, |file| {
        let to = file.try_clone().map_err(|cause| Error::io("write", dest, &cause))?;
        let gzip = BlockGzip::new(to, options.workers).map_err(|cause| Error::io("write", dest, &cause))?;
        let both = Both { reporter, is_over: AtomicBool::new(false) };
        thread::scope(|scope| {
            // Counting takes a fraction of the dump's time, in the session that holds the snapshot open.
            let session = &mut session;
            let both = &both;
            let counting = scope.spawn(move || {
                let counted = inventory::inventory(session, &Quiet(both));
                both.is_over.fetch_or(counted.is_err(), Ordering::AcqRel);
                counted
            });
            let dumped = run(client, database, &snapshot.snapshot, gzip, dest, options, both);
            if dumped.is_err() {
                both.is_over.store(true, Ordering::Release);
            }
            let counted = counting.join().unwrap_or_else(|_| {
                Err(Error::bug("panicked", "Counting the rows of the database ended unexpectedly."))
            });
            // Whoever was only stopped because the other failed has nothing to tell.
            match (dumped, counted) {
                (Ok(dumped), Ok(counted)) => Ok((dumped, counted)),
                (Err(error), Err(cause)) if error.class == "cancelled" => Err(cause),
                (Err(error), _) | (_, Err(error)) => Err(error),
            }
        })
    })?;
    shape.sequences_after = inventory::positions(&mut session)?;
    session.run("COMMIT")?;
    Ok(Dump {
        bytes: written.bytes,
        raw_bytes: written.raw_bytes,
        sha256: written.sha256,
        seconds: begun.elapsed().as_secs_f64(),
        inventory,
        shape,
        tool_version: client.tools().version.clone(),
        server_version: snapshot.server_version,
    })
}

#[derive(Deserialize)]
struct Snapshot {
    snapshot: String,
    server_version: String,
    oid: u32,
}

fn run(
    client: &Client,
    database: &str,
    snapshot: &str,
    mut gzip: BlockGzip<std::fs::File>,
    dest: &Path,
    options: Options,
    reporter: &Both<'_>,
) -> Result<gzip::Written> {
    let invocation = client
        .invoke("pg_dump", database)
        .args(["--format=custom", "--compress=0"])
        .arg(format!("--lock-wait-timeout={}", options.lock_wait.as_millis()))
        .arg(format!("--snapshot={snapshot}"));
    let mut counted = Counted { gzip: &mut gzip, bytes: 0, reporter: reporter.reporter };
    let pipes = Pipes { stdin: None, stdout: Some(&mut counted) };
    let finished = client.runner().pipe(&invocation, pipes, options.patience, &[], reporter)?;
    if !finished.succeeded() {
        return Err(answer::from_words("dump the database", &finished.stderr));
    }
    let (_, written) = gzip.finish().map_err(|cause| Error::io("write", dest, &cause))?;
    Ok(written)
}

fn shape(session: &mut Session, database: &str, oid: u32, sequences_before: Positions) -> Result<Shape> {
    #[derive(Deserialize)]
    struct Row {
        owner: String,
        owner_is_superuser: bool,
        roles: Vec<String>,
        first_superuser: String,
        extensions: Vec<Extension>,
        owner_settings: Vec<Setting>,
    }
    // The first superuser owns things without being noted as their owner.
    let row: Row = session.one(&format!(
        "SELECT (SELECT rolname FROM pg_roles WHERE oid = 10) AS first_superuser, o.rolname AS owner, o.rolsuper AS owner_is_superuser, \
         (SELECT json_agg(DISTINCT r.rolname) FROM pg_roles r WHERE r.oid IN (10, d.datdba) OR r.oid IN \
         (SELECT s.refobjid FROM pg_shdepend s WHERE s.refclassid = 'pg_authid'::regclass AND s.dbid = d.oid)) AS roles, \
         (SELECT coalesce(json_agg(json_build_object('name', e.extname, 'version', e.extversion, 'schema', n.nspname) \
         ORDER BY e.oid), '[]') FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace) AS extensions, \
         (SELECT coalesce(json_agg(json_build_object('role', o.rolname, 'name', split_part(c, '=', 1), 'value', \
         substr(c, strpos(c, '=') + 1))), '[]') FROM pg_db_role_setting s, unnest(s.setconfig) c \
         WHERE s.setdatabase = 0 AND s.setrole = d.datdba) AS owner_settings \
         FROM pg_database d JOIN pg_roles o ON o.oid = d.datdba WHERE d.oid = {oid}"
    ))?;
    Ok(Shape {
        database: database.to_owned(),
        like: Like::of(session, oid)?,
        owner: row.owner,
        owner_is_superuser: row.owner_is_superuser,
        roles: row.roles,
        first_superuser: row.first_superuser,
        extensions: row.extensions,
        settings: row.owner_settings.into_iter().chain(Belongings::of(session, oid)?.settings).collect(),
        sequences_before,
        sequences_after: BTreeMap::new(),
    })
}

/// The caller's ear, and the end of one half when the other has failed.
struct Both<'a> {
    reporter: &'a dyn Reporter,
    is_over: AtomicBool,
}

impl Reporter for Both<'_> {
    fn moved(&self, done: u64, total: Option<u64>, unit: Unit) {
        self.reporter.moved(done, total, unit);
    }
    fn say(&self, line: &str) {
        self.reporter.say(line);
    }
    fn check(&self) -> Result<()> {
        if self.is_over.load(Ordering::Acquire) {
            return Err(Error::failed("cancelled", "The other half of the dump has failed."));
        }
        self.reporter.check()
    }
}

/// Rows that are counted are no progress of the dump, whose figure is bytes.
struct Quiet<'a>(&'a Both<'a>);

impl Reporter for Quiet<'_> {
    fn moved(&self, _done: u64, _total: Option<u64>, _unit: Unit) {}
    fn say(&self, line: &str) {
        self.0.say(line);
    }
    fn check(&self) -> Result<()> {
        self.0.check()
    }
}

struct Counted<'a> {
    gzip: &'a mut BlockGzip<std::fs::File>,
    bytes: u64,
    reporter: &'a dyn Reporter,
}

impl std::io::Write for Counted<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let written = self.gzip.write(bytes)?;
        let before = self.bytes;
        self.bytes += written as u64;
        // Every 4 MiB is news enough.
        if before >> 22 != self.bytes >> 22 {
            self.reporter.moved(self.bytes, None, Unit::Bytes);
        }
        Ok(written)
    }
    fn flush(&mut self) -> std::io::Result<()> {
        self.gzip.flush()
    }
}
