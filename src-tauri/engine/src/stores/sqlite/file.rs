//! Words for SQLite: how a foreign file is opened, checked and counted, and what becomes of its logs.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use rusqlite::{Connection, ErrorCode, OpenFlags};
use serde_json::{Map, Value, json};

use crate::durable;
use crate::error::{Error, Result};
use crate::ports::{Reporter, Unit};
use crate::stores::Counts;

/// How long another program may hold the file before we give up.
const PATIENCE: Duration = Duration::from_secs(5);

/// Opens a file of the user's without believing anything that stands in it.
pub(super) fn open_to_read(path: &Path) -> Result<Connection> {
    let connection = open(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    connection.execute_batch("PRAGMA query_only = ON").map_err(|cause| told(path, cause))?;
    Ok(connection)
}

fn open(path: &Path, flags: OpenFlags) -> Result<Connection> {
    let known = |cause: rusqlite::Error| told(path, cause);
    fs::metadata(path).map_err(|cause| Error::io("read", path, &cause))?;
    let connection = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX).map_err(known)?;
    connection.busy_timeout(PATIENCE).map_err(known)?;
    connection.execute_batch("PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON;").map_err(known)?;
    Ok(connection)
}

/// Rows a table. Tables of extensions are left out, the tables in which those keep their data are not.
pub(super) fn counts(connection: &Connection, path: &Path, reporter: &dyn Reporter) -> Result<Counts> {
    let known = |cause: rusqlite::Error| told(path, cause);
    let mut statement = connection
        .prepare(
            "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type IN ('table', 'shadow') \
             AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name",
        )
        .map_err(known)?;
    let names = statement.query_map([], |row| row.get::<_, String>(0)).map_err(known)?;
    let names = names.collect::<rusqlite::Result<Vec<_>>>().map_err(known)?;
    let mut counts = Counts::new();
    let mut all = 0_u64;
    for name in names {
        reporter.check()?;
        let quoted = name.replace('"', "\"\"");
        let rows: i64 =
            connection.query_row(&format!("SELECT count(*) FROM \"{quoted}\""), [], |row| row.get(0)).map_err(known)?;
        let rows = u64::try_from(rows).unwrap_or(0);
        all += rows;
        counts.insert(name, rows);
        reporter.moved(all, None, Unit::Rows);
    }
    Ok(counts)
}

/// What a manifest tells about the file.
pub(super) fn facts(connection: &Connection, path: &Path) -> Result<Map<String, Value>> {
    let mut facts = Map::new();
    facts.insert("sqlite".into(), json!(rusqlite::version()));
    for (pragma, is_number) in [
        ("page_size", true),
        ("user_version", true),
        ("application_id", true),
        ("encoding", false),
        ("journal_mode", false),
    ] {
        let value = connection.query_row(&format!("PRAGMA {pragma}"), [], |row| {
            if is_number { row.get::<_, i64>(0).map(Value::from) } else { row.get::<_, String>(0).map(Value::from) }
        });
        facts.insert(pragma.into(), value.map_err(|cause| told(path, cause))?);
    }
    Ok(facts)
}

/// Whether every page of the file makes sense.
pub(super) fn quick_check(connection: &Connection, path: &Path, reporter: &dyn Reporter) -> Result<()> {
    reporter.check()?;
    let mut statement = connection.prepare("PRAGMA quick_check(20)").map_err(|cause| told(path, cause))?;
    let lines = statement.query_map([], |row| row.get::<_, String>(0)).map_err(|cause| told(path, cause))?;
    let lines = lines.collect::<rusqlite::Result<Vec<_>>>().map_err(|cause| told(path, cause))?;
    if lines == ["ok"] {
        return Ok(());
    }
    let mut error = damaged(path);
    error.details = lines;
    Err(error)
}

/// The files in which SQLite keeps what is not in the main file yet.
pub(super) fn logs(path: &Path) -> [PathBuf; 2] {
    ["-wal", "-journal"].map(|suffix| durable::beside(path, suffix))
}

/// Brings the log into the file, alone with it, and lets go. Nobody else may have it open.
///
/// # Errors
/// `store_in_use` where somebody has; `store_damaged`.
pub(super) fn settle(path: &Path) -> Result<()> {
    let known = |cause: rusqlite::Error| told(path, cause);
    let connection = open(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    // Exclusive before the first look: then a reader of another program is in our way and told, in every journal mode.
    connection.execute_batch("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE; COMMIT;").map_err(known)?;
    let busy: i64 = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0)).map_err(known)?;
    if busy != 0 {
        return Err(in_use(path));
    }
    connection.close().map_err(|(_, cause)| told(path, cause))?;
    expect_no_log(path)
}

/// That nothing is outside the main file.
///
/// # Errors
/// `store_in_use` where there is.
pub(super) fn expect_no_log(path: &Path) -> Result<()> {
    match logs(path).into_iter().find(|log| fs::metadata(log).is_ok_and(|meta| meta.len() > 0)) {
        None => Ok(()),
        Some(log) => Err(in_use(path).detail(format!("{} holds changes", log.display()))),
    }
}

/// Makes sure that no log of what is at `from` stays there when it goes to `to`: brought in, or, where that
/// cannot be done, moved to where it will belong.
pub(super) fn take_logs_away(from: &Path, to: &Path) -> Result<()> {
    // SQLite throws away the log of what it does not know as its own.
    if has_header(from) {
        match settle(from) {
            Ok(()) => {}
            // Moving the log under a program that writes to it would be the end of both.
            Err(error) if error.class == "store_in_use" && has_holder(from) => return Err(error),
            // Damaged: it is kept as it is, with its log.
            Err(_) => {}
        }
    }
    let [wal, journal] = logs(from);
    let [wal_to, journal_to] = logs(to);
    for (log, log_to) in [(wal, wal_to), (journal, journal_to)] {
        if fs::symlink_metadata(&log).is_ok() {
            durable::rename_new(&log, &log_to)?;
        }
    }
    // An index into the log; without the log it is nothing, and SQLite makes it anew.
    let index = durable::beside(from, "-shm");
    match fs::remove_file(&index) {
        Ok(()) => Ok(()),
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(cause) => Err(Error::io("remove", &index, &cause)),
    }
}

/// Whether a file begins as SQLite's do. Only while no connection to it is open in this process: closing the
/// file would drop that connection's locks.
fn has_header(path: &Path) -> bool {
    const HEADER: &[u8; 16] = b"SQLite format 3\0";
    let mut begin = [0; 16];
    fs::File::open(path)
        .and_then(|mut file| io::Read::read_exact(&mut file, &mut begin))
        .is_ok_and(|()| begin == *HEADER)
}

/// Whether a lock of another program on the file is what is in the way.
fn has_holder(path: &Path) -> bool {
    open(path, OpenFlags::SQLITE_OPEN_READ_WRITE).is_ok_and(|connection| {
        let taken = connection.execute_batch("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE; COMMIT;");
        matches!(
            taken.as_ref().map_err(rusqlite::Error::sqlite_error_code),
            Err(Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
        )
    })
}

/// What SQLite answered, in our words.
pub(super) fn told(path: &Path, cause: rusqlite::Error) -> Error {
    let error = match cause.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => in_use(path),
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => damaged(path),
        Some(ErrorCode::DiskFull) => Error::io("write", path, &io::ErrorKind::StorageFull.into()),
        Some(ErrorCode::CannotOpen | ErrorCode::PermissionDenied | ErrorCode::ReadOnly) => {
            Error::io("open", path, &io::ErrorKind::PermissionDenied.into())
        }
        _ => Error::failed("sqlite", format!("SQLite could not work on {}.", path.display()))
            .remedy("Read the details. Check the disk, then try again."),
    };
    error.because(&cause)
}

/// Somebody else has the file.
pub(super) fn in_use(path: &Path) -> Error {
    Error::failed("store_in_use", format!("Another program is using {}.", path.display()))
        .remedy("Stop the program that has this file open, then try again.")
}

fn damaged(path: &Path) -> Error {
    Error::failed("store_damaged", format!("{} is damaged or no SQLite database.", path.display()))
        .remedy("Restore it from the newest proven backup, or repair it with the sqlite3 command, then try again.")
}
