//! A store that is a SQLite file.
//!
//! It is dumped through SQLite's own backup, from one snapshot, while the application may write. It changes places
//! like any file, but never with a log: a `-wal` or `-journal` that lies beside a *different* file of that
//! name would be replayed into it and destroy it. So before each change of place the log is brought into its
//! file, and what cannot be brought in moves with it.

mod file;
mod tables;

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Instant,
};

use rusqlite::Connection;
use rusqlite::backup::{Backup, StepResult};
use serde_json::json;

use self::tables::SqliteTables;
use crate::digest::Hashing;
use crate::durable;
use crate::error::{Error, Result};
use crate::gzip::{self, BlockGzip};
use crate::model::finding::Finding;
use crate::ports::Reporter;
use crate::space::Needs;
use crate::stores::beside::{self, Beside};
use crate::stores::files::{copy, sweep_marked};
use crate::stores::stream::{Passed, Watched, unwrapped};
use crate::stores::tables::{Snapshot, Source};
use crate::stores::{Aside, AsideState, Counts, DataStore, Dumped, Grade, Place, Proof, Sandbox, StoreKind};

/// What a folder for a proof is marked with.
const PROOF: &str = "sqlite-proof";

/// Pages copied between two looks at the reporter: a megabyte at the usual size.
const PAGES: i32 = 256;

/// A SQLite file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SqliteStore {
    name: String,
    path: PathBuf,
}

impl SqliteStore {
    /// The store `name` in the file `path`.
    pub fn new(name: impl Into<String>, path: impl Into<PathBuf>) -> Self {
        Self { name: name.into(), path: path.into() }
    }

    /// Copies one snapshot of the live file to the new file `to`, and answers what it holds.
    fn copy_snapshot(
        &self,
        to: &Path,
        reporter: &dyn Reporter,
    ) -> Result<(Counts, serde_json::Map<String, serde_json::Value>)> {
        let told = |cause: rusqlite::Error| file::told(&self.path, cause);
        let source = file::open_to_read(&self.path)?;
        // A transaction that has read keeps its snapshot, so the copy never has to begin anew and the counts agree with it.
        source.execute_batch("BEGIN; SELECT count(*) FROM sqlite_schema;").map_err(told)?;
        let counts = file::counts(&source, &self.path, reporter)?;
        let facts = file::facts(&source, &self.path)?;
        drop(durable::create_private_file(to)?);
        let mut target = Connection::open(to).map_err(|cause| file::told(to, cause))?;
        {
            let backup = Backup::new(&source, &mut target).map_err(told)?;
            loop {
                reporter.check()?;
                let step = backup.step(PAGES).map_err(told)?;
                let progress = backup.progress();
                let page = facts.get("page_size").and_then(serde_json::Value::as_u64).unwrap_or(0);
                let pages = |count: i32| u64::try_from(count).unwrap_or(0) * page;
                let total = pages(progress.pagecount);
                reporter.moved(total - pages(progress.remaining).min(total), Some(total), crate::ports::Unit::Bytes);
                match step {
                    StepResult::Done => break,
                    StepResult::More => {}
                    _ => return Err(file::in_use(&self.path)),
                }
            }
        }
        target.close().map_err(|(_, cause)| file::told(to, cause))?;
        file::expect_no_log(to)?;
        Ok((counts, facts))
    }

    /// Decompresses into the new file `into` and compares with what the dump says of itself.
    fn restore(&self, dumped: &Dumped, from: &Path, into: &Path, reporter: &dyn Reporter) -> Result<()> {
        let mut target = durable::create_private_file(into)?;
        self.decompress(dumped, from, (&mut target, into), reporter)?;
        target.sync_all().map_err(|cause| Error::io("write", into, &cause))?;
        drop(target);
        let restored = file::open_to_read(into)?;
        file::quick_check(&restored, into, reporter)?;
        if file::counts(&restored, into, reporter)? != dumped.counts {
            return Err(self.differs("the number of rows"));
        }
        restored.close().map_err(|(_, cause)| file::told(into, cause))?;
        file::settle(into)
    }

    /// Decompresses to `target`, which is called `into`, and compares size and hash.
    fn decompress(
        &self,
        dumped: &Dumped,
        from: &Path,
        (target, into): (&mut dyn io::Write, &Path),
        reporter: &dyn Reporter,
    ) -> Result<()> {
        let packed = from.join(&dumped.file);
        let source = durable::open_no_follow(&packed)?;
        let bytes = source.metadata().map_err(|cause| Error::io("read", &packed, &cause))?.len();
        let passed = Passed::of(Some(bytes));
        let watched = Watched::new(io::BufReader::with_capacity(1 << 17, source), &passed, reporter);
        let mut raw = Hashing::new(io::Read::take(gzip::reader(watched), dumped.raw_bytes.saturating_add(1)));
        // Both sides in one call: a full disk is told by the target, damage by the source.
        let mut buffer = vec![0; 1 << 17];
        loop {
            match io::Read::read(&mut raw, &mut buffer) {
                Ok(0) => break,
                Ok(read) => target.write_all(&buffer[..read]).map_err(|cause| Error::io("write", into, &cause))?,
                Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
                Err(cause) => {
                    let error = unwrapped("read", &packed, cause);
                    return Err(if error.class == "io" { unreadable(&packed, &error) } else { error });
                }
            }
        }
        let (_, sha256, length) = raw.finish();
        if length != dumped.raw_bytes {
            return Err(self.differs("its size"));
        }
        if dumped.facts.get("raw_sha256").and_then(|it| it.as_str()) != Some(sha256.as_str()) {
            return Err(self.differs("its content"));
        }
        Ok(())
    }

    fn differs(&self, what: &str) -> Error {
        let message =
            format!("What was restored from the backup of “{}” is not what was backed up: {what}.", self.name);
        Error::failed("backup_differs", message).remedy("Do not rely on this backup. Make a new one and prove it.")
    }

    fn on_the_side(
        &self,
        dumped: &Dumped,
        from: &Path,
        scratch: &Path,
        reporter: &dyn Reporter,
    ) -> Result<SqliteSandbox> {
        let mut needs = Needs::new();
        needs.add(scratch, dumped.raw_bytes, "a copy of your data for the test").check()?;
        let dir = scratch.join(format!("{}-{}", self.name, uuid::Uuid::now_v7().simple()));
        durable::create_marked_dir(&dir, PROOF)?;
        // Some applications know their file by its name.
        let name = self.path.file_name().map_or_else(|| "data.sqlite".into(), std::ffi::OsStr::to_os_string);
        let sandbox = SqliteSandbox { dir, name: name.into() };
        self.restore(dumped, from, &sandbox.copy(), reporter)?;
        Ok(sandbox)
    }

    fn count(path: &Path, reporter: &dyn Reporter) -> Result<Counts> {
        let connection = file::open_to_read(path)?;
        connection.execute_batch("BEGIN").map_err(|cause| file::told(path, cause))?;
        file::counts(&connection, path, reporter)
    }
}

fn unreadable(packed: &Path, cause: &Error) -> Error {
    let message = format!("The backup {} cannot be read back: it is damaged.", packed.display());
    let mut told =
        Error::failed("backup_unreadable", message).remedy("Do not rely on this backup. Make a new one and prove it.");
    told.details.push(cause.message.clone());
    told.details.extend(cause.details.iter().cloned());
    told
}

impl Source for SqliteStore {
    fn name(&self) -> &str {
        &self.name
    }

    fn moment(&self, _: &dyn Reporter) -> Result<serde_json::Value> {
        // The logs too: what was written may not have reached the file.
        let [wal, journal] = file::logs(&self.path);
        Ok([&self.path, &wal, &journal].map(written_at).to_vec().into())
    }

    fn snapshot(&self) -> Result<Option<Box<dyn Snapshot>>> {
        Ok(Some(Box::new(SqliteTables::open(&self.path)?)))
    }
}

impl DataStore for SqliteStore {
    fn kind(&self) -> StoreKind {
        StoreKind::Sqlite
    }

    fn size(&self, _: &dyn Reporter) -> Result<u64> {
        let main = fs::metadata(&self.path).map_err(|cause| Error::io("look at", &self.path, &cause))?.len();
        let logs = file::logs(&self.path).into_iter().filter_map(|log| fs::metadata(log).ok()).map(|meta| meta.len());
        Ok(main + logs.sum::<u64>())
    }

    fn counts(&self, reporter: &dyn Reporter) -> Result<Counts> {
        Self::count(&self.path, reporter)
    }

    fn changed_since(&self, moment: &serde_json::Value, reporter: &dyn Reporter) -> Result<bool> {
        Ok(*moment != self.moment(reporter)?)
    }

    fn obstacles(&self, _: &dyn Reporter) -> Result<Vec<Finding>> {
        // An id that no upgrade has: only whether it could be set aside is asked.
        Ok(Beside::plan(&self.path, "0").err().iter().map(Finding::stop).collect())
    }

    fn sweep(&self, scratch: &Path, _: &dyn Reporter) -> Result<()> {
        sweep_marked(scratch, PROOF)
    }

    fn folder(&self) -> Option<PathBuf> {
        self.path.canonicalize().ok()?.parent().map(Path::to_owned)
    }

    fn dump(&self, into: &Path, reporter: &dyn Reporter) -> Result<Dumped> {
        let since = Instant::now();
        let plain = into.join(format!("{}.sqlite.part", self.name));
        let (counts, mut facts) = self.copy_snapshot(&plain, reporter)?;
        let failed = |path: &Path, cause: &io::Error| Error::io("write", path, cause);

        let name = format!("{}.sqlite.gz", self.name);
        let packed = into.join(&name);
        let source = durable::open_no_follow(&plain)?;
        let total = source.metadata().map_err(|cause| Error::io("read", &plain, &cause))?.len();
        let passed = Passed::of(Some(total));
        let mut raw = Hashing::new(Watched::new(source, &passed, reporter));
        let target = durable::create_private_file(&packed)?;
        let mut gzip = BlockGzip::new(target, gzip::default_workers()).map_err(|cause| failed(&packed, &cause))?;
        io::copy(&mut raw, &mut gzip).map_err(|cause| unwrapped("write", &packed, cause))?;
        let (target, written) = gzip.finish().map_err(|cause| failed(&packed, &cause))?;
        target.sync_all().map_err(|cause| failed(&packed, &cause))?;
        let (_, raw_sha256, _) = raw.finish();
        fs::remove_file(&plain).map_err(|cause| Error::io("remove", &plain, &cause))?;
        durable::fsync_dir(into)?;

        facts.insert("raw_sha256".into(), raw_sha256.into());
        facts.insert("gzip_members".into(), json!(written.members));
        Ok(Dumped {
            store: self.name.clone(),
            kind: StoreKind::Sqlite,
            note: format!("gunzip -c {name} > {}.sqlite; {}", self.name, gzip::MULTI_MEMBER_NOTE),
            file: name,
            sha256: written.sha256,
            bytes: written.bytes,
            raw_bytes: written.raw_bytes,
            counts,
            facts,
            seconds: since.elapsed().as_secs_f64(),
            sealed: None,
        })
    }

    fn read_through(&self, dumped: &Dumped, from: &Path, reporter: &dyn Reporter) -> Result<()> {
        self.decompress(dumped, from, (&mut io::sink(), from), reporter)
    }

    fn prove(&self, dumped: &Dumped, from: &Path, scratch: &Path, reporter: &dyn Reporter) -> Result<Proof> {
        let since = Instant::now();
        drop(self.on_the_side(dumped, from, scratch, reporter)?);
        Ok(Proof {
            store: self.name.clone(),
            grade: Grade::Proven,
            how: "Unpacked whole on the side and opened; every page checked and every table counted, then thrown away."
                .to_owned(),
            seconds: since.elapsed().as_secs_f64(),
        })
    }

    fn sandbox(
        &self,
        dumped: &Dumped,
        from: &Path,
        scratch: &Path,
        reporter: &dyn Reporter,
    ) -> Result<Box<dyn Sandbox>> {
        Ok(Box::new(self.on_the_side(dumped, from, scratch, reporter)?))
    }

    fn plan_aside(&self, id: &str) -> Result<Aside> {
        Ok(Beside::plan(&self.path, id)?.to_aside())
    }

    fn observe(&self, aside: &Aside) -> Result<AsideState> {
        Beside::from_aside(aside)?.observe()
    }

    fn observe_by_name(&self, id: &str) -> Result<AsideState> {
        beside::observe_by_name(&self.path, id)
    }

    fn copy_next(&self, aside: &Aside, reporter: &dyn Reporter) -> Result<()> {
        let beside = Beside::from_aside(aside)?;
        beside.make_next(|next| {
            file::settle(&beside.live)?;
            copy::file(&beside.live, next, &Passed::of(None), reporter)
        })
    }

    fn restore_next(&self, aside: &Aside, dumped: &Dumped, from: &Path, reporter: &dyn Reporter) -> Result<()> {
        let beside = Beside::from_aside(aside)?;
        beside.make_next(|next| {
            self.restore(dumped, from, next, reporter)?;
            copy::owner_and_permissions(&beside.live, next)
        })
    }

    fn swap(&self, aside: &Aside) -> Result<()> {
        let beside = Beside::from_aside(aside)?;
        if beside.observe()? == AsideState::Copied {
            file::settle(&beside.live)?;
            file::settle(&beside.next())?;
        }
        beside.swap()
    }

    fn put_back(&self, aside: &Aside) -> Result<()> {
        let beside = Beside::from_aside(aside)?;
        match beside.observe()? {
            AsideState::Swapped => file::take_logs_away(&beside.live, &beside.failed())?,
            AsideState::Copied => file::take_logs_away(&beside.next(), &beside.failed())?,
            // Half-way there are no logs: they were brought in or taken away before the first rename.
            AsideState::NotStarted | AsideState::Copying | AsideState::Swapping | AsideState::PutBack => {}
            AsideState::Unknown(_) => {}
        }
        beside.put_back()
    }

    fn next_counts(&self, aside: &Aside, reporter: &dyn Reporter) -> Result<Counts> {
        Self::count(&Beside::from_aside(aside)?.copy()?, reporter)
    }

    fn next_place(&self, aside: &Aside) -> Result<Place> {
        Beside::from_aside(aside)?.copy().map(Place::Path)
    }

    fn place(&self) -> Result<Place> {
        Ok(Place::Path(self.path.clone()))
    }

    fn discard(&self, aside: &Aside) -> Result<()> {
        Beside::from_aside(aside)?.discard()
    }

    fn kept_bytes(&self, aside: &Aside, failed: bool) -> Option<u64> {
        Beside::from_aside(aside).ok()?.kept_bytes(failed)
    }

    fn kept_places(&self, aside: &Aside) -> (String, String) {
        match Beside::from_aside(aside) {
            Ok(it) => (it.aside().display().to_string(), it.failed().display().to_string()),
            Err(_) => (self.path.display().to_string(), String::new()),
        }
    }
}

/// When a file was last written, and its size, in words that compare.
fn written_at(path: &PathBuf) -> String {
    let Ok(meta) = fs::metadata(path) else { return "none".to_owned() };
    let at = meta.modified().ok().and_then(|it| it.duration_since(std::time::UNIX_EPOCH).ok());
    format!("{} bytes at {}", meta.len(), at.map_or(0, |it| it.as_nanos()))
}

/// A restored file, removed when dropped.
#[derive(Debug)]
struct SqliteSandbox {
    dir: PathBuf,
    name: PathBuf,
}

impl SqliteSandbox {
    fn copy(&self) -> PathBuf {
        self.dir.join(&self.name)
    }
}

impl Sandbox for SqliteSandbox {
    fn place(&self) -> Place {
        Place::Path(self.copy())
    }

    fn empty_place(&self) -> Result<Option<Place>> {
        let dir = self.dir.join("empty");
        durable::create_private_dir(&dir)?;
        let empty = dir.join(&self.name);
        // A file without content is a SQLite database without tables.
        if fs::symlink_metadata(&empty).is_err() {
            durable::create_private_file(&empty)?;
        }
        Ok(Some(Place::Path(empty)))
    }

    fn counts(&self, reporter: &dyn Reporter) -> Result<Counts> {
        SqliteStore::count(&self.copy(), reporter)
    }
}

impl Drop for SqliteSandbox {
    fn drop(&mut self) {
        // A rest bears our mark and is removed by the next clearing up.
        let _ = durable::remove_tree_that_we_made(&self.dir, PROOF);
    }
}

#[cfg(test)]
mod tests;
