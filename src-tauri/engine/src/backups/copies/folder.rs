//! A second folder for copies: another disk, a share of the network.
//!
//! A disk that is not connected must not be mistaken for its empty mount point, so a folder is used only while it bears our
//! mark. Absent on purpose: whose the files are, which a disk made for cameras does not know.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::{CopyOf, CopyPlace, MARK, MARKED, Sent, Stage, files_in};
use crate::backups::{PARTIAL, PURPOSE};
use crate::durable;
use crate::error::{Error, Result};
use crate::model::ids::InstallationName;
use crate::ports::Reporter;
use crate::space::Needs;

const PIECE: usize = 1 << 20;

/// A folder that copies lie in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folder(PathBuf);

impl Folder {
    /// The folder at `path`.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// Whether the folder is there with our mark.
    pub fn is_connected(&self) -> bool {
        fs::symlink_metadata(self.0.join(MARK)).is_ok_and(|it| it.is_file())
    }

    /// Where a copy is.
    pub fn path(&self, copy: &CopyOf) -> PathBuf {
        self.root(&copy.installation).join(&copy.id)
    }

    fn root(&self, installation: &InstallationName) -> PathBuf {
        self.0.join(installation.as_str())
    }

    fn partial(&self, copy: &CopyOf) -> PathBuf {
        self.root(&copy.installation).join(format!("{PARTIAL}{}", copy.id))
    }

    fn gone(&self) -> Error {
        let message = format!("The folder for copies is not there: {}.", self.0.display());
        Error::refused("copy_folder_gone", message).remedy(
            "Connect its disk or share, then try again. If it is another folder now, choose it: \
             `liftlock backup copy --to FOLDER`.",
        )
    }
}

impl CopyPlace for Folder {
    fn shown(&self) -> String {
        self.0.display().to_string()
    }

    fn path_of(&self, copy: &CopyOf) -> String {
        self.path(copy).display().to_string()
    }

    fn choose(&self, _: &dyn Reporter) -> Result<()> {
        if !self.0.is_dir() {
            return Err(self.gone());
        }
        durable::write(&self.0.join(MARK), MARKED)
    }

    fn expect_ours(&self, _: &dyn Reporter) -> Result<()> {
        if self.is_connected() { Ok(()) } else { Err(self.gone()) }
    }

    fn has(&self, copy: &CopyOf, _: &dyn Reporter) -> Result<bool> {
        Ok(self.path(copy).is_dir())
    }

    fn begin(&self, copy: &CopyOf, bytes: u64, _: &dyn Reporter) -> Result<()> {
        let (root, partial) = (self.root(&copy.installation), self.partial(copy));
        if !partial.exists() {
            let mut needs = Needs::new();
            needs.add(&self.0, bytes, "the copy of the backup".to_owned());
            needs.check()?;
            fs::create_dir_all(&root).map_err(|cause| Error::io("create", &root, &cause))?;
            durable::create_marked_dir(&partial, PURPOSE)?;
        }
        if durable::is_marked(&partial, PURPOSE) {
            return Ok(());
        }
        Err(Error::failed("not_ours", format!("{} was not made by Liftlock.", partial.display()))
            .remedy("Move it to another place, then try again."))
    }

    /// Writes the rest of a file, after as much as is there and is the same.
    fn send(
        &self,
        copy: &CopyOf,
        name: &str,
        from: &Path,
        reporter: &dyn Reporter,
        told: &(dyn Fn(u64) + Sync),
    ) -> Result<Sent> {
        let to = &self.partial(copy).join(name);
        let failed = |cause: std::io::Error| Error::io("write", to, &cause);
        let mut source = durable::open_ours(from)?;
        if fs::symlink_metadata(to).is_ok_and(|it| !it.is_file()) {
            return Err(Error::failed("not_ours", format!("{} is no file.", to.display()))
                .remedy("Move it to another place, then try again."));
        }
        let mut target =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(to).map_err(failed)?;
        let there_before = same_beginning(&mut source, &mut target, from, to, reporter)?;
        target.set_len(there_before).and_then(|()| target.seek(SeekFrom::Start(there_before))).map_err(failed)?;
        source.seek(SeekFrom::Start(there_before)).map_err(|cause| Error::io("read", from, &cause))?;
        let mut piece = vec![0; PIECE];
        let mut written = 0;
        loop {
            reporter.check()?;
            let read = source.read(&mut piece).map_err(|cause| Error::io("read", from, &cause))?;
            if read == 0 {
                break;
            }
            target.write_all(&piece[..read]).map_err(failed)?;
            written += read as u64;
            told(written);
        }
        target.sync_all().map_err(failed)?;
        Ok(Sent { written, there_before })
    }

    fn read(
        &self,
        copy: &CopyOf,
        stage: Stage,
        name: &str,
        into: &mut (dyn FnMut(&[u8]) -> Result<()> + Send),
        _: &dyn Reporter,
    ) -> Result<bool> {
        let folder = if stage == Stage::Whole { self.path(copy) } else { self.partial(copy) };
        let path = folder.join(name);
        let mut file = match durable::open_no_follow(&path) {
            Err(error) if error.class == "not_found" => return Ok(false),
            file => file?,
        };
        let mut piece = vec![0; PIECE];
        loop {
            match file.read(&mut piece).map_err(|cause| Error::io("read", &path, &cause))? {
                0 => return Ok(true),
                read => into(&piece[..read])?,
            }
        }
    }

    fn discard(&self, _: &CopyOf, _: &str, _: &dyn Reporter) -> Result<()> {
        // What is there is compared before it is gone on with.
        Ok(())
    }

    fn finish(&self, copy: &CopyOf, _: &dyn Reporter) -> Result<()> {
        let partial = self.partial(copy);
        durable::fsync_dir(&partial)?;
        durable::rename_new(&partial, &self.path(copy))
    }

    fn list(&self, installation: &InstallationName, _: &dyn Reporter) -> Result<Vec<String>> {
        let root = self.root(installation);
        let mut ids = Vec::new();
        for path in durable::entries(&root)? {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            // Only folders that we made are touched.
            if !name.starts_with(PARTIAL) && durable::is_marked(&path, PURPOSE) {
                ids.push(name);
            }
        }
        // Names begin with the instant at which the backup was made.
        ids.sort_unstable();
        Ok(ids)
    }

    fn files(&self, copy: &CopyOf, _: &dyn Reporter) -> Result<Vec<String>> {
        files_in(&self.path(copy))
    }

    fn remove(&self, copy: &CopyOf, _: &dyn Reporter) -> Result<()> {
        let unnamed = self.partial(copy);
        durable::rename_new(&self.path(copy), &unnamed)?;
        durable::remove_tree_that_we_made(&unnamed, PURPOSE)
    }

    fn clear_unfinished(&self, _: &CopyOf, _: &dyn Reporter) -> Result<()> {
        // A disk that was away for months goes on where it was.
        Ok(())
    }
}

/// How many bytes at the beginning of `target` are those of `source`, in whole pieces or to its end.
fn same_beginning(
    source: &mut File,
    target: &mut File,
    from: &Path,
    to: &Path,
    reporter: &dyn Reporter,
) -> Result<u64> {
    let (mut ours, mut theirs) = (vec![0; PIECE], vec![0; PIECE]);
    let mut same = 0;
    loop {
        reporter.check()?;
        let read = fill(target, &mut theirs).map_err(|cause| Error::io("read", to, &cause))?;
        let wanted = fill(source, &mut ours[..read]).map_err(|cause| Error::io("read", from, &cause))?;
        if read == 0 || wanted != read || ours[..read] != theirs[..read] {
            return Ok(same);
        }
        same += read as u64;
    }
}

fn fill(file: &mut File, into: &mut [u8]) -> std::io::Result<usize> {
    let mut at = 0;
    while at < into.len() {
        match file.read(&mut into[at..])? {
            0 => break,
            read => at += read,
        }
    }
    Ok(at)
}
