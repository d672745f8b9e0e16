//! A store that is a folder of files, such as uploads; that of a volume of containers too.
//!
//! It is set aside by a copy that takes its place, or, where the profile says that old files are never
//! rewritten, by a list with hashes: then nothing changes places, and going back means to find every old file
//! as it was. Files that users added since are kept either way.

mod archive;
pub(in crate::stores) mod copy;
pub mod far;
mod listed;
pub mod tree;

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::Instant,
};

use crate::docker::Reach;
use crate::durable;
use crate::error::{Error, Result};
use crate::gzip::{self, Written};
use crate::model::finding::Finding;
use crate::ports::Reporter;
use crate::process::Silent;
use crate::space::Needs;
use crate::stores::beside::{self, Beside};
use crate::stores::files::archive::Packed;
use crate::stores::files::far::{Far, Verb};
use crate::stores::files::listed::{Listed, Read};
use crate::stores::files::tree::Tree;
use crate::stores::tables::Source;
use crate::stores::{Aside, AsideState, Counts, DataStore, Dumped, Grade, Place, Proof, Sandbox, StoreKind};

/// Removes the folders below `scratch` that bear the mark for `purpose`: what a killed worker left of a proof or rehearsal.
pub(crate) fn sweep_marked(scratch: &Path, purpose: &str) -> Result<()> {
    for path in durable::entries(scratch)? {
        if durable::is_marked(&path, purpose) {
            copy::make_removable(&path);
            durable::remove_tree_that_we_made(&path, purpose)?;
        }
    }
    Ok(())
}

/// What a folder for a proof is marked with.
const PROOF: &str = "files-proof";

/// Finds the folder of a volume, and the way there.
type Finder = dyn Fn() -> Result<Reach> + Send + Sync;

/// Where the files lie.
#[derive(Clone)]
enum At {
    Folder(PathBuf),
    /// In a volume. Whoever keeps volumes is asked once, and only when the folder is needed: it may be away.
    Volume(Arc<(Box<Finder>, OnceLock<Reach>)>),
}

impl fmt::Debug for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(dir) => dir.fmt(f),
            Self::Volume(_) => f.write_str("Volume"),
        }
    }
}

/// A folder of files.
#[derive(Debug, Clone)]
pub struct FilesStore {
    name: String,
    at: At,
    immutable: bool,
    /// What this process has read for a backup.
    read: Arc<Mutex<Read>>,
}

impl FilesStore {
    /// The store `name` in the folder `dir`; `immutable` where old files are never rewritten.
    pub fn new(name: impl Into<String>, dir: impl Into<PathBuf>, immutable: bool) -> Self {
        Self { name: name.into(), at: At::Folder(dir.into()), immutable, read: Arc::default() }
    }

    /// The store `name` in a volume, whose folder `find` finds.
    pub fn in_volume(
        name: impl Into<String>,
        find: impl Fn() -> Result<Reach> + Send + Sync + 'static,
        immutable: bool,
    ) -> Self {
        let at = At::Volume(Arc::new((Box::new(find), OnceLock::new())));
        Self { name: name.into(), at, immutable, read: Arc::default() }
    }

    fn dir(&self) -> Result<&Path> {
        match &self.at {
            At::Folder(dir) => Ok(dir),
            At::Volume(volume) => Ok(&reach(volume)?.folder),
        }
    }

    /// The way to the files for a user who may not go there; `None` for one who may.
    fn far(&self) -> Result<Option<Far<'_>>> {
        match &self.at {
            At::Folder(_) => Ok(None),
            At::Volume(volume) => Ok(Far::of(self, reach(volume)?)),
        }
    }

    /// The same for what stands in the journal: where this user may go there, whoever keeps volumes need not be asked.
    fn far_for(&self, aside: &Aside) -> Result<Option<Far<'_>>> {
        let live = aside.0["live"].as_str().map(Path::new);
        if live.and_then(Path::parent).is_some_and(may_write_in) { Ok(None) } else { self.far() }
    }

    /// Restores into the new folder `into` and compares with what the dump says of itself.
    fn restore(&self, dumped: &Dumped, packed: Packed<'_>, into: &Path, reporter: &dyn Reporter) -> Result<()> {
        archive::unpack(packed, into, dumped.raw_bytes, reporter)?;
        let there = tree::list(into, reporter)?;
        let wanted = dumped.facts.get("tree_sha256").and_then(|it| it.as_str());
        if wanted != Some(there.digest().as_str()) || there.counts() != dumped.counts {
            return Err(Error::failed(
                "backup_differs",
                format!("What was restored from the backup of “{}” is not what was backed up.", self.name),
            )
            .remedy("Do not rely on this backup. Make a new one and prove it."));
        }
        Ok(())
    }

    /// Restores on the side and keeps it as long as the answer lives.
    fn on_the_side(
        &self,
        dumped: &Dumped,
        from: &Path,
        scratch: &Path,
        reporter: &dyn Reporter,
    ) -> Result<FilesSandbox> {
        let mut needs = Needs::new();
        needs.add(scratch, dumped.raw_bytes, "a copy of your files for the test").check()?;
        let dir = scratch.join(format!("{}-{}", self.name, uuid::Uuid::now_v7().simple()));
        durable::create_marked_dir(&dir, PROOF)?;
        let sandbox = FilesSandbox { dir };
        self.restore(dumped, Packed::at(&from.join(&dumped.file))?, &sandbox.copy(), reporter)?;
        Ok(sandbox)
    }

    /// What was written into an archive, as its backup has it.
    fn dumped(&self, written: Written, tree: &Tree, since: Instant) -> Dumped {
        let file = self.archive();
        let mut facts = serde_json::Map::new();
        facts.insert("tree_sha256".into(), tree.digest().into());
        facts.insert("entries".into(), tree.entries.len().into());
        facts.insert("gzip_members".into(), written.members.into());
        Dumped {
            store: self.name.clone(),
            kind: StoreKind::Files,
            note: format!("tar -xzf {file}; {}", gzip::MULTI_MEMBER_NOTE),
            file,
            sha256: written.sha256,
            bytes: written.bytes,
            raw_bytes: written.raw_bytes,
            counts: tree.counts(),
            facts,
            seconds: since.elapsed().as_secs_f64(),
            sealed: None,
        }
    }

    /// What the archive is called in a backup.
    fn archive(&self) -> String {
        format!("{}.tar.gz", self.name)
    }

    /// Restores from what is open already to the place beside.
    fn restore_beside(
        &self,
        aside: &Aside,
        dumped: &Dumped,
        packed: Packed<'_>,
        reporter: &dyn Reporter,
    ) -> Result<()> {
        let beside = match Listed::from_aside(aside) {
            None => Beside::from_aside(aside)?,
            Some(_) => {
                return Err(Error::bug("immutable_restore", "A list of files cannot take the place of a folder."));
            }
        };
        beside.make_next(|next| {
            self.restore(dumped, packed, next, reporter)?;
            copy::folder_itself(&beside.live, next)
        })
    }
}

/// Asks whoever keeps the volume, once.
fn reach(volume: &(Box<Finder>, OnceLock<Reach>)) -> Result<&Reach> {
    let (find, found) = volume;
    if let Some(reach) = found.get() {
        return Ok(reach);
    }
    let reach = find()?;
    Ok(found.get_or_init(|| reach))
}

fn may_write_in(dir: &Path) -> bool {
    #[cfg(unix)]
    {
        use rustix::fs::{Access, AtFlags, CWD, accessat};
        accessat(CWD, dir, Access::WRITE_OK | Access::EXEC_OK, AtFlags::EACCESS).is_ok()
    }
    #[cfg(not(unix))]
    dir.is_dir()
}

impl Source for FilesStore {
    fn name(&self) -> &str {
        &self.name
    }

    fn moment(&self, reporter: &dyn Reporter) -> Result<serde_json::Value> {
        if let Some(far) = self.far()? {
            return far.look(reporter).map(|it| it.moment.into());
        }
        tree::newest(self.dir()?, reporter).map(Into::into)
    }
}

impl DataStore for FilesStore {
    fn kind(&self) -> StoreKind {
        StoreKind::Files
    }

    fn size(&self, reporter: &dyn Reporter) -> Result<u64> {
        if let Some(far) = self.far()? {
            return far.look(reporter).map(|it| it.bytes);
        }
        Ok(tree::look(self.dir()?, reporter)?.bytes())
    }

    fn counts(&self, reporter: &dyn Reporter) -> Result<Counts> {
        if let Some(far) = self.far()? {
            return far.look(reporter).map(|it| it.counts);
        }
        Ok(tree::look(self.dir()?, reporter)?.counts())
    }

    fn changed_since(&self, moment: &serde_json::Value, reporter: &dyn Reporter) -> Result<bool> {
        Ok(*moment != self.moment(reporter)?)
    }

    fn obstacles(&self, reporter: &dyn Reporter) -> Result<Vec<Finding>> {
        // An id that no upgrade has: only whether it could be set aside is asked.
        if let Some(far) = self.far()? {
            let planned: Result<Aside> = far.ask(&Verb::Plan("0".to_owned()), reporter);
            return Ok(planned.err().iter().map(Finding::stop).collect());
        }
        let cannot = Beside::plan(self.dir()?, "0").err();
        let foreign = if matches!(self.at, At::Volume(_)) { copy::foreign(self.dir()?, reporter)? } else { None };
        Ok(cannot.iter().chain(&foreign).map(Finding::stop).collect())
    }

    fn sweep(&self, scratch: &Path, _: &dyn Reporter) -> Result<()> {
        sweep_marked(scratch, PROOF)
    }

    fn folder(&self) -> Option<PathBuf> {
        self.dir().ok()?.canonicalize().ok()?.parent().map(Path::to_owned)
    }

    fn dump(&self, into: &Path, reporter: &dyn Reporter) -> Result<Dumped> {
        let since = Instant::now();
        let file = into.join(self.archive());
        if let Some(far) = self.far()? {
            return far.dump(&file, reporter);
        }
        let total = self.size(reporter)?;
        let begun = fs::metadata(into).map_err(|cause| Error::io("look at", into, &cause))?;
        let mut read = Read::default();
        let mut was_read = |path: &Path, meta: &fs::Metadata, sha256: &str| {
            if self.immutable {
                read.file(path, meta, sha256, &begun);
            }
        };
        let (written, tree) = archive::pack(self.dir()?, &file, Some(total), &mut was_read, reporter)?;
        *self.read.lock().unwrap_or_else(PoisonError::into_inner) = read;
        Ok(self.dumped(written, &tree, since))
    }

    fn read_through(&self, dumped: &Dumped, from: &Path, reporter: &dyn Reporter) -> Result<()> {
        archive::read_through(&from.join(&dumped.file), dumped.raw_bytes, reporter)
    }

    fn prove(&self, dumped: &Dumped, from: &Path, scratch: &Path, reporter: &dyn Reporter) -> Result<Proof> {
        let since = Instant::now();
        drop(self.on_the_side(dumped, from, scratch, reporter)?);
        Ok(Proof {
            store: self.name.clone(),
            grade: Grade::Proven,
            how: "Unpacked whole on the side; every file compared by its hash, then thrown away.".to_owned(),
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
        if let Some(far) = self.far()? {
            return far.ask(&Verb::Plan(id.to_owned()), &Silent);
        }
        let beside = Beside::plan(self.dir()?, id)?;
        if !self.immutable {
            return Ok(beside.to_aside());
        }
        Listed::beside(&beside.live, id).to_aside()
    }

    fn observe(&self, aside: &Aside) -> Result<AsideState> {
        if let Some(far) = self.far_for(aside)? {
            return far.ask(&Verb::Observe(aside.clone()), &Silent);
        }
        match Listed::from_aside(aside) {
            None => Beside::from_aside(aside)?.observe(),
            // A list is written whole or not at all, and nothing changes places: going forward and back are both done with it.
            Some(listed) if listed.list.is_file() => Ok(AsideState::Copied),
            Some(_) => Ok(AsideState::NotStarted),
        }
    }

    fn observe_by_name(&self, id: &str) -> Result<AsideState> {
        if let Some(far) = self.far()? {
            return far.ask(&Verb::ObserveByName(id.to_owned()), &Silent);
        }
        beside::observe_by_name(self.dir()?, id)
    }

    fn copy_next(&self, aside: &Aside, reporter: &dyn Reporter) -> Result<()> {
        if let Some(far) = self.far_for(aside)? {
            return far.ask(&Verb::Copy(aside.clone()), reporter);
        }
        match Listed::from_aside(aside) {
            Some(listed) if listed.list.is_file() => Ok(()),
            Some(listed) => listed.write(&self.read.lock().unwrap_or_else(PoisonError::into_inner), reporter),
            None => {
                let beside = Beside::from_aside(aside)?;
                beside.make_next(|next| copy::tree(&beside.live, next, reporter))
            }
        }
    }

    fn restore_next(&self, aside: &Aside, dumped: &Dumped, from: &Path, reporter: &dyn Reporter) -> Result<()> {
        let path = from.join(&dumped.file);
        let packed = Packed::at(&path)?;
        match self.far_for(aside)? {
            Some(far) => far.restore(aside, dumped, packed, reporter),
            None => self.restore_beside(aside, dumped, packed, reporter),
        }
    }

    fn swap(&self, aside: &Aside) -> Result<()> {
        if let Some(far) = self.far_for(aside)? {
            return far.ask(&Verb::Swap(aside.clone()), &Silent);
        }
        if Listed::from_aside(aside).is_some() { Ok(()) } else { Beside::from_aside(aside)?.swap() }
    }

    fn put_back(&self, aside: &Aside) -> Result<()> {
        if let Some(far) = self.far_for(aside)? {
            return far.ask(&Verb::PutBack(aside.clone()), &Silent);
        }
        match Listed::from_aside(aside) {
            None => Beside::from_aside(aside)?.put_back(),
            Some(listed) => listed.check(&Silent),
        }
    }

    fn next_counts(&self, aside: &Aside, reporter: &dyn Reporter) -> Result<Counts> {
        if let Some(far) = self.far_for(aside)? {
            return far.ask(&Verb::NextCounts(aside.clone()), reporter);
        }
        if let Some(listed) = Listed::from_aside(aside) {
            // A count alone would not see that an old file was rewritten.
            listed.check(reporter)?;
        }
        let dir = match self.next_place(aside)? {
            Place::Path(dir) => dir,
            Place::Postgres { .. } => return Err(Error::bug("place", "A folder of files is not in a database.")),
        };
        Ok(tree::look(&dir, reporter)?.counts())
    }

    fn next_place(&self, aside: &Aside) -> Result<Place> {
        if self.far_for(aside)?.is_some() {
            // Nobody is pointed at what only a container sees.
            return self.place();
        }
        match Listed::from_aside(aside) {
            Some(listed) => Ok(Place::Path(listed.live)),
            None => Beside::from_aside(aside)?.copy().map(Place::Path),
        }
    }

    fn place(&self) -> Result<Place> {
        self.dir().map(|it| Place::Path(it.to_owned()))
    }

    fn discard(&self, aside: &Aside) -> Result<()> {
        if let Some(far) = self.far_for(aside)? {
            return far.ask(&Verb::Discard(aside.clone()), &Silent);
        }
        Beside::from_aside(aside)?.discard()
    }

    fn lists(&self) -> Result<Vec<(String, PathBuf)>> {
        match self.dir() {
            Ok(dir) if self.immutable && matches!(self.far(), Ok(None)) => listed::lists_beside(dir),
            // What cannot be seen just now is removed another time.
            _ => Ok(Vec::new()),
        }
    }

    fn kept_bytes(&self, aside: &Aside, failed: bool) -> Option<u64> {
        if let Some(far) = self.far_for(aside).ok()? {
            return far.ask(&Verb::KeptBytes(aside.clone(), failed), &Silent).ok()?;
        }
        Beside::from_aside(aside).ok()?.kept_bytes(failed)
    }

    fn kept_places(&self, aside: &Aside) -> (String, String) {
        match Beside::from_aside(aside) {
            Ok(it) => (it.aside().display().to_string(), it.failed().display().to_string()),
            Err(_) => (self.dir().map(|it| it.display().to_string()).unwrap_or_default(), String::new()),
        }
    }

    fn changes_places(&self) -> bool {
        !self.immutable
    }
}

/// An unpacked archive, removed when dropped.
#[derive(Debug)]
struct FilesSandbox {
    dir: PathBuf,
}

impl FilesSandbox {
    fn copy(&self) -> PathBuf {
        self.dir.join("copy")
    }
}

impl Sandbox for FilesSandbox {
    fn place(&self) -> Place {
        Place::Path(self.copy())
    }

    fn empty_place(&self) -> Result<Option<Place>> {
        let empty = self.dir.join("empty");
        match fs::create_dir(&empty) {
            Ok(()) => Ok(Some(Place::Path(empty))),
            Err(cause) if cause.kind() == io::ErrorKind::AlreadyExists => Ok(Some(Place::Path(empty))),
            Err(cause) => Err(Error::io("create", &empty, &cause)),
        }
    }

    fn counts(&self, reporter: &dyn Reporter) -> Result<Counts> {
        Ok(tree::look(&self.copy(), reporter)?.counts())
    }
}

impl Drop for FilesSandbox {
    fn drop(&mut self) {
        // Folders in it may forbid to remove what they hold. A rest bears our mark and is removed by the next clearing up.
        copy::make_removable(&self.dir);
        let _ = durable::remove_tree_that_we_made(&self.dir, PROOF);
    }
}

#[cfg(test)]
mod tests;
