//! Columns that are there for people alone: what another row is called, beside the column that names it, and whether a row
//! counts as deleted.
//!
//! They are worked out here, stand in every form, and are passed over when rows are brought in. What rows are called waits in
//! a file of the export until it is whole, so that memory stays small however many there are.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OptionalExtension as _, params};

use super::entity::{Chosen, Deletion, Named};
use crate::durable;
use crate::error::{Error, Result};
use crate::ports::{Reporter, Unit};
use crate::stores::tables::{Column, Holds, Row, Snapshot};

/// What stands behind the heading of such a column.
pub(super) const ONLY_TO_READ: &str = "(only to read)";

/// Where a column of a file comes from.
enum From {
    /// It is read.
    Read(usize),
    /// What the row is called that this column names.
    Name { by: usize, of: usize },
    /// Whether the row counts as deleted.
    Deleted(Deletion),
}

/// The columns of the files of an entity: what is read, and what is shown beside.
pub(super) struct Shown {
    pub(super) columns: Vec<Column>,
    pub(super) labels: Vec<String>,
    /// Rows that count as deleted.
    pub(super) deleted: u64,
    from: Vec<From>,
    names: Vec<Names>,
}

impl Shown {
    /// Reads what other rows are called, in the same snapshot. `folder` takes it until the entity is written.
    pub(super) fn of(
        chosen: &Chosen,
        snapshot: &mut dyn Snapshot,
        folder: &Path,
        reporter: &dyn Reporter,
    ) -> Result<Self> {
        let mut all = Self { columns: Vec::new(), labels: Vec::new(), deleted: 0, from: Vec::new(), names: Vec::new() };
        for (at, (column, label)) in chosen.columns.iter().enumerate() {
            all.add(column.clone(), label.clone(), From::Read(at));
            for named in chosen.names.iter().filter(|it| it.by == at) {
                let shown = Column { name: named.label.clone(), generated: false, ..named.column.clone() };
                let of = all.names.len();
                all.names.push(Names::read(named, snapshot, folder.join(format!(".names-{of}")), reporter)?);
                all.add(shown, format!("{} {ONLY_TO_READ}", named.label), From::Name { by: at, of });
            }
            if let Some(deletion) = chosen.deleted.as_ref().filter(|it| it.at == at) {
                let shown = Column {
                    name: deletion.label.clone(),
                    data_type: "boolean".to_owned(),
                    holds: Holds::Boolean,
                    generated: false,
                };
                all.add(shown, format!("{} {ONLY_TO_READ}", deletion.label), From::Deleted(deletion.clone()));
            }
        }
        Ok(all)
    }

    fn add(&mut self, column: Column, label: String, from: From) {
        self.columns.push(column);
        self.labels.push(label);
        self.from.push(from);
    }

    /// For each column the number of the one that is read, where it is one that is.
    pub(super) fn read(&self) -> impl Iterator<Item = Option<usize>> {
        self.from.iter().map(|it| if let From::Read(at) = it { Some(*at) } else { None })
    }

    /// A row as it was read, as the files have it.
    pub(super) fn row<'r>(&mut self, row: &'r Row<'_>) -> Result<Vec<Option<Cow<'r, [u8]>>>> {
        let value = |at: usize| row.get(at).and_then(|it| it.as_deref());
        let mut wide = Vec::with_capacity(self.from.len());
        for from in &self.from {
            wide.push(match from {
                From::Read(at) => value(*at).map(Cow::Borrowed),
                From::Name { by, of } => match value(*by) {
                    Some(key) => self.names[*of].name(key)?.map(Cow::Owned),
                    None => None,
                },
                From::Deleted(deletion) => {
                    let is_deleted = value(deletion.at).is_some_and(|it| deletion.is_told_by(it));
                    self.deleted += u64::from(is_deleted);
                    Some(Cow::Borrowed(if is_deleted { &b"t"[..] } else { b"f" }))
                }
            });
        }
        Ok(wide)
    }

    /// Whether there is anything beside what is read.
    pub(super) fn is_plain(&self) -> bool {
        self.from.iter().all(|it| matches!(it, From::Read(_)))
    }

    /// Throws away what waited.
    pub(super) fn finish(self) -> Result<()> {
        self.names.into_iter().try_for_each(Names::finish)
    }
}

impl Deletion {
    fn is_told_by(&self, value: &[u8]) -> bool {
        match self.values.as_slice() {
            [] => !matches!(value, b"f" | b"false" | b"0"),
            values => values
                .iter()
                .any(|it| it.as_bytes() == value || matches!((it.as_str(), value), ("true", b"t") | ("false", b"f"))),
        }
    }
}

/// What the rows of a table are called.
struct Names {
    path: PathBuf,
    kept: Connection,
    /// The last one, as rows that name the same one often follow each other.
    last: Option<(Vec<u8>, Option<Vec<u8>>)>,
}

impl Names {
    fn read(named: &Named, snapshot: &mut dyn Snapshot, path: PathBuf, reporter: &dyn Reporter) -> Result<Self> {
        drop(durable::create_private_file(&path)?);
        let failed = |cause: rusqlite::Error| cannot_keep(&path, &cause);
        let mut kept = Connection::open(&path).map_err(failed)?;
        kept.execute_batch(
            "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA locking_mode = EXCLUSIVE; PRAGMA cache_size = -4096; \
             PRAGMA temp_store = MEMORY; CREATE TABLE names (named BLOB PRIMARY KEY, name BLOB) WITHOUT ROWID; BEGIN",
        )
        .map_err(failed)?;
        let (mut rows, to) = (0_u64, &mut kept);
        let mut take = move |row: &Row<'_>| {
            rows += 1;
            if rows.is_multiple_of(4096) {
                reporter.check()?;
                reporter.moved(rows, None, Unit::Rows);
            }
            let [Some(key), name] = row else { return Ok(()) };
            let mut insert = to.prepare_cached("INSERT OR IGNORE INTO names VALUES (?1, ?2)").map_err(failed)?;
            insert.execute(params![&**key, name.as_deref()]).map_err(failed)?;
            Ok(())
        };
        snapshot.rows(&named.table, &[named.key.clone(), named.column.clone()], &[], &mut take, reporter)?;
        kept.execute_batch("COMMIT").map_err(failed)?;
        Ok(Self { path, kept, last: None })
    }

    fn name(&mut self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        if let Some((_, name)) = self.last.as_ref().filter(|(last, _)| last == key) {
            return Ok(name.clone());
        }
        let failed = |cause: rusqlite::Error| cannot_keep(&self.path, &cause);
        let mut find = self.kept.prepare_cached("SELECT name FROM names WHERE named = ?1").map_err(failed)?;
        let name: Option<Option<Vec<u8>>> = find.query_row([key], |row| row.get(0)).optional().map_err(failed)?;
        let name = name.flatten();
        self.last = Some((key.to_vec(), name.clone()));
        Ok(name)
    }

    fn finish(self) -> Result<()> {
        let Self { path, kept, .. } = self;
        kept.close().map_err(|(_, cause)| cannot_keep(&path, &cause))?;
        std::fs::remove_file(&path).map_err(|cause| Error::io("remove", &path, &cause))
    }
}

fn cannot_keep(path: &Path, cause: &rusqlite::Error) -> Error {
    if cause.sqlite_error_code() == Some(rusqlite::ErrorCode::DiskFull) {
        return Error::io("write", path, &std::io::Error::from(std::io::ErrorKind::StorageFull));
    }
    Error::failed("cannot_keep_names", format!("{} cannot be written or read.", path.display()))
        .remedy("Look whether the disk is well, then export again.")
        .because(cause)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_counts_as_deleted_by_what_the_profile_says() {
        let by = |values: &[&str]| Deletion {
            at: 0,
            values: values.iter().map(|it| (*it).to_owned()).collect(),
            label: "Deleted".to_owned(),
        };
        let told = |values: &[&str], value: &str| by(values).is_told_by(value.as_bytes());
        assert!(told(&[], "2026-01-01 00:00:00") && told(&[], "t") && told(&[], "1") && told(&[], ""));
        assert!(!told(&[], "f") && !told(&[], "0") && !told(&[], "false"));
        assert!(told(&["gone", "archived"], "archived") && !told(&["gone"], "2026-01-01"));
        assert!(told(&["false"], "f") && told(&["true"], "t") && !told(&["false"], "t"));
    }
}
