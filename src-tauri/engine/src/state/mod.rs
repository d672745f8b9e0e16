//! Liftlock's own state: one SQLite file in its home, and the locks beside it. All SQL of the engine is here.
//!
//! Every commit is durable before the call returns (WAL with `synchronous=FULL`). Every write of a worker
//! names the epoch of its lease, so that one who lost it changes no row. Absent on purpose: a cache.

pub mod discovery;
pub mod fresh;
pub mod given;
pub mod home;
pub mod installations;
pub mod journal;
pub mod kept;
pub mod lease;
pub(crate) mod lock;
pub mod outcomes;
pub mod places;
pub mod question;
pub mod rebuild;
pub mod records;
pub mod runs;
pub mod settings;
pub mod upgrades;

use std::time::Duration;

use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};

use crate::error::{Error, Result};
use crate::state::home::Home;

/// The schema, oldest first. The position in this list is the version of the file.
const MIGRATIONS: &[&str] = &[
    include_str!("../../../../migrations/0001_first.sql"),
    include_str!("../../../../migrations/0002_discovery.sql"),
    include_str!("../../../../migrations/0003_kept.sql"),
    include_str!("../../../../migrations/0004_fresh_start.sql"),
    include_str!("../../../../migrations/0005_cause.sql"),
    include_str!("../../../../migrations/0006_rate.sql"),
];

/// Marks the file as ours (`LIFT`).
const APPLICATION_ID: i32 = 0x4C49_4654;

/// Older SQLite can lose commits of a WAL that another process checkpoints.
const OLDEST_SQLITE: i32 = 3_051_003;

/// How long SQLite waits for another process that writes.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often, and how long between, is looked where SQLite does not wait itself.
const TRIES: u32 = 100;
const BETWEEN_TRIES: Duration = Duration::from_millis(10);

/// A connection to the state. Cheap to open; not shared between threads.
#[derive(Debug)]
pub struct Db {
    pub(crate) conn: Connection,
    pub(crate) home: Home,
}

impl Db {
    /// Opens the state of `home`, making or migrating it where needed.
    ///
    /// # Errors
    /// `state_newer` for a file of a newer Liftlock, `state_busy` while a worker runs that an upgrade of the
    /// file would disturb, `state_corrupt`, `sqlite_too_old`, `disk_full`.
    pub fn open(home: &Home) -> Result<Self> {
        if rusqlite::version_number() < OLDEST_SQLITE {
            return Err(Error::bug("sqlite_too_old", format!("SQLite {} can lose data.", rusqlite::version())));
        }
        home.make()?;
        let path = home.database();
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let conn = Connection::open_with_flags(&path, flags)?;
        crate::state::home::make_private(&path)?;
        conn.busy_timeout(PATIENCE)?;
        conn.pragma_update(None, "trusted_schema", false)?;
        conn.pragma_update(None, "cell_size_check", true)?;
        let mut db = Self { conn, home: home.clone() };
        // Before anything that could change a file which is not ours to change.
        let version = db.schema_version()?;
        if version > MIGRATIONS.len() {
            return Err(Error::refused(
                "state_newer",
                format!("{} was written by a newer Liftlock (format {version}).", path.display()),
            )
            .remedy("Install the newest Liftlock. Nothing was changed."));
        }
        db.use_wal()?;
        db.conn.pragma_update(None, "synchronous", "FULL")?;
        db.conn.pragma_update(None, "fullfsync", true)?;
        db.conn.pragma_update(None, "foreign_keys", true)?;
        if version < MIGRATIONS.len() {
            db.migrate(home)?;
        }
        Ok(db)
    }

    fn schema_version(&self) -> Result<usize> {
        // Both as of one moment: another process may be writing them right now.
        let moment = self.conn.unchecked_transaction()?;
        let application: i32 = moment.query_row("PRAGMA application_id", [], |row| row.get(0))?;
        let version: i64 = moment.query_row("PRAGMA user_version", [], |row| row.get(0))?;
        moment.finish()?;
        if application != APPLICATION_ID && (application != 0 || version != 0) {
            return Err(Error::refused("state_foreign", "The state file belongs to another program.")
                .remedy("Set LIFTLOCK_HOME to a folder of Liftlock's own."));
        }
        Ok(usize::try_from(version).unwrap_or(usize::MAX))
    }

    /// SQLite does not wait when two processes make a fresh file a WAL one at the same time.
    fn use_wal(&self) -> Result<()> {
        let mut tries = 0;
        loop {
            match self.conn.pragma_update(None, "journal_mode", "WAL") {
                Err(cause) if is_busy(&cause) && tries < TRIES => {
                    tries += 1;
                    std::thread::sleep(BETWEEN_TRIES);
                }
                done => return Ok(done?),
            }
        }
    }

    /// All or nothing, and never under a running upgrade: workers hold the schema lock shared. Another process
    /// that is making the same change is waited for.
    fn migrate(&mut self, home: &Home) -> Result<()> {
        let mut tries = 0;
        let _exclusive = loop {
            match home.lock_schema_exclusive() {
                Err(error) if error.class == "state_busy" && tries < TRIES => {
                    tries += 1;
                    std::thread::sleep(BETWEEN_TRIES);
                    if self.schema_version()? == MIGRATIONS.len() {
                        return Ok(());
                    }
                }
                answer => break answer?,
            }
        };
        let tx = Transaction::new(&mut self.conn, TransactionBehavior::Immediate)?;
        let version: i64 = tx.query_row("PRAGMA user_version", [], |row| row.get(0))?;
        for migration in MIGRATIONS.iter().skip(usize::try_from(version).unwrap_or(0)) {
            tx.execute_batch(migration)?;
        }
        tx.pragma_update(None, "application_id", APPLICATION_ID)?;
        tx.pragma_update(None, "user_version", i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX))?;
        tx.commit()?;
        Ok(())
    }

    /// A number that changes when another connection changes the file.
    pub(crate) fn data_version(&self) -> Result<i64> {
        Ok(self.conn.query_row("PRAGMA data_version", [], |row| row.get(0))?)
    }

    /// A write transaction that takes its lock at once, so that two writers queue and do not fail.
    pub(crate) fn write(&mut self) -> Result<Transaction<'_>> {
        Ok(Transaction::new(&mut self.conn, TransactionBehavior::Immediate)?)
    }

    /// Whether the file is whole. Takes a tenth of a second on a large one.
    ///
    /// # Errors
    /// `state_corrupt` with what SQLite found.
    pub fn quick_check(&self) -> Result<()> {
        let answer: String = self.conn.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
        if answer == "ok" { Ok(()) } else { Err(corrupt().detail(answer)) }
    }

    /// Copies the WAL back into the file, so that it does not grow without end.
    ///
    /// # Errors
    /// As any statement.
    pub fn checkpoint(&self) -> Result<()> {
        self.conn.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))?;
        Ok(())
    }
}

fn is_busy(cause: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode as Code;
    matches!(cause.sqlite_error_code(), Some(Code::DatabaseBusy | Code::DatabaseLocked))
}

fn corrupt() -> Error {
    Error::failed("state_corrupt", "Liftlock's own state file is damaged.")
        .remedy("Run `liftlock doctor`. Your applications and backups are not touched by this.")
}

impl From<rusqlite::Error> for Error {
    fn from(cause: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode as Code;
        let error = match cause.sqlite_error_code() {
            Some(Code::DiskFull) => Self::failed("disk_full", "The disk that holds Liftlock's state is full.")
                .remedy("Free some space on this disk, then try again."),
            Some(Code::DatabaseCorrupt | Code::NotADatabase) => corrupt(),
            Some(Code::DatabaseBusy | Code::DatabaseLocked) => {
                Self::failed("state_busy", "Another Liftlock is writing its state.").remedy("Try again in a moment.")
            }
            Some(Code::CannotOpen | Code::ReadOnly | Code::PermissionDenied) => {
                Self::refused("home_not_writable", "Liftlock cannot write to its own folder.")
                    .remedy("Give this user the right to write there, or set LIFTLOCK_HOME to another folder.")
            }
            Some(Code::SystemIoFailure) => Self::failed("io", "The disk that holds Liftlock's state gave an error.")
                .remedy("Check the disk. Nothing was claimed that was not written."),
            _ => Self::bug("state", "Liftlock could not read or write its own state."),
        };
        error.because(&cause)
    }
}

/// A document of ours as text for a column.
pub(crate) fn to_json<T: serde::Serialize>(value: &T) -> Result<String> {
    serde_json::to_string(value)
        .map_err(|cause| Error::bug("state_json", "A record could not be written.").because(&cause))
}

/// A document from a column. What is on disk may be anything, so this is an error and not a panic.
pub(crate) fn from_json<T: serde::de::DeserializeOwned>(text: &str) -> Result<T> {
    serde_json::from_str(text).map_err(|cause| corrupt().because(&cause))
}
