//! A folder as `tar.gz`, written while it is read, and back.
//!
//! Files that change while they are read are read again, at the end of the archive, where every reader of
//! tar lets the last one win; one that never keeps still is kept as it was at its last reading if it only
//! grew, else the backup fails. Reading back accepts nothing but files, folders and links with plain relative
//! paths; links are made last, so that nothing can be written through one. Kept: names of any bytes, contents,
//! permissions, times, links; owners where we are root. Not kept: hard links as such, extended attributes.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File, FileTimes, Metadata},
    io::{self, Read, Write},
    path::{Component, Path, PathBuf},
    time::{Duration, UNIX_EPOCH},
};

use flate2::read::MultiGzDecoder;
use tar::{Archive, Builder, EntryType, Header};

use crate::digest::Hashing;
use crate::durable;
use crate::error::{Error, Result};
use crate::gzip::{self, BlockGzip, Written};
use crate::ports::Reporter;
use crate::stores::files::tree::{Entry, Tree, What, mode, raw, walk};
use crate::stores::stream::{Passed, Watched, unwrapped};

/// How often a file that changes is read in all.
const READINGS: usize = 3;

/// Packs `root` into the new file `into`, synced, and answers with what was written and what is in it. `total` is its size,
/// where that is known, for the progress that is told; `was_read` hears of each file that kept still, with its hash.
///
/// # Errors
/// `file_keeps_changing`; what the disk or the reporter answered. Nothing is then left at `into`.
pub(super) fn pack(
    root: &Path,
    into: &Path,
    total: Option<u64>,
    was_read: &mut dyn FnMut(&Path, &Metadata, &str),
    reporter: &dyn Reporter,
) -> Result<(Written, Tree)> {
    let file = durable::create_private_file(into)?;
    let packed = pack_into(root, file, into, total, was_read, reporter).and_then(|(file, written, tree)| {
        file.sync_all().map_err(|cause| Error::io("write", into, &cause))?;
        durable::fsync_dir(durable::parent(into)?)?;
        Ok((written, tree))
    });
    if packed.is_err() {
        // Ours, and never whole; the reason for the failure matters more than a leftover.
        let _ = fs::remove_file(into);
    }
    packed
}

/// As [`pack`], into what is open already and called `into` where it fails. Not synced.
pub(super) fn pack_into(
    root: &Path,
    file: File,
    into: &Path,
    total: Option<u64>,
    was_read: &mut dyn FnMut(&Path, &Metadata, &str),
    reporter: &dyn Reporter,
) -> Result<(File, Written, Tree)> {
    let failed = |cause: io::Error| unwrapped("write", into, cause);
    let gzip = BlockGzip::new(file, gzip::default_workers()).map_err(failed)?;
    let mut builder = Builder::new(gzip);
    let mut tree = Tree::default();
    let mut restless = BTreeSet::new();
    let passed = Passed::of(total);
    walk(root, reporter, |relative, meta| {
        let path = root.join(relative);
        let what = if meta.is_dir() {
            append(&mut builder, relative, None, header(meta, EntryType::Directory, 0), io::empty()).map_err(failed)?;
            What::Dir
        } else if meta.is_symlink() {
            let target = match fs::read_link(&path) {
                Ok(target) => target,
                Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(()),
                Err(cause) => return Err(Error::io("read", &path, &cause)),
            };
            let header = header(meta, EntryType::Symlink, 0);
            append(&mut builder, relative, Some(&target), header, io::empty()).map_err(failed)?;
            What::Link(target)
        } else {
            match read_once(&mut builder, relative, &path, &passed, reporter).map_err(|it| it.naming(&path, into))? {
                None => return Ok(()),
                Some(Reading { what, still, after, .. }) => {
                    match &what {
                        What::File { sha256, .. } if still => was_read(relative, &after, sha256),
                        _ => _ = restless.insert(relative.to_owned()),
                    }
                    what
                }
            }
        };
        let mode = if meta.is_symlink() { 0 } else { mode(meta) };
        tree.entries.insert(relative.to_owned(), Entry { what, mode });
        Ok(())
    })?;
    for reading in 2..=READINGS {
        for relative in std::mem::take(&mut restless) {
            let path = root.join(&relative);
            let again =
                read_once(&mut builder, &relative, &path, &passed, reporter).map_err(|it| it.naming(&path, into))?;
            // Gone meanwhile: what was read before stays in the archive, it is what the file once held.
            let Some(Reading { what, still, only_grew, .. }) = again else { continue };
            if let Some(entry) = tree.entries.get_mut(&relative) {
                entry.what = what;
            }
            if still {
                continue;
            }
            if reading < READINGS {
                restless.insert(relative);
            } else if only_grew {
                reporter.say(&format!("{} grows without a pause; its beginning was kept.", path.display()));
            } else {
                return Err(Error::failed(
                    "file_keeps_changing",
                    format!("{} changes without a pause.", path.display()),
                )
                .remedy("Stop the program that writes to it, or leave this file out of the profile, then try again."));
            }
        }
    }
    let gzip = builder.into_inner().map_err(failed)?;
    let (file, written) = gzip.finish().map_err(failed)?;
    Ok((file, written, tree))
}

/// One reading of a file.
struct Reading {
    what: What,
    /// Whether it was the same file before and after.
    still: bool,
    /// Whether all that happened meanwhile is that it became longer.
    only_grew: bool,
    /// What the file system said of it behind the reading.
    after: Metadata,
}

/// What can fail in a reading: on the side of the file, or of the archive.
enum Trouble {
    Reading(io::Error),
    Writing(io::Error),
    Ours(Error),
}

impl Trouble {
    fn naming(self, file: &Path, archive: &Path) -> Error {
        match self {
            Self::Reading(cause) => Error::io("read", file, &cause),
            Self::Writing(cause) => unwrapped("write", archive, cause),
            Self::Ours(error) => error,
        }
    }
}

/// Puts a file into the archive as it is now; `None` where it vanished. A file that became shorter is filled up with zeros, to
/// be read again.
fn read_once<W: Write>(
    builder: &mut Builder<W>,
    relative: &Path,
    path: &Path,
    passed: &Passed,
    reporter: &dyn Reporter,
) -> Result<Option<Reading>, Trouble> {
    let file = match durable::open_no_follow(path) {
        Ok(file) => file,
        Err(error) if error.class == "not_found" => return Ok(None),
        Err(error) => return Err(Trouble::Ours(error)),
    };
    let before = file.metadata().map_err(Trouble::Reading)?;
    let bytes = before.len();
    let source = Watched::new((&file).take(bytes), passed, reporter);
    let mut filled = Hashing::new(Filled { inner: source, left: bytes });
    append(builder, relative, None, header(&before, EntryType::Regular, bytes), &mut filled)
        .map_err(Trouble::Writing)?;
    let (Filled { .. }, sha256, _) = filled.finish();
    let after = file.metadata().map_err(Trouble::Reading)?;
    let still = after.len() == bytes && after.modified().ok() == before.modified().ok();
    Ok(Some(Reading { what: What::File { bytes, sha256 }, still, only_grew: after.len() > bytes, after }))
}

/// A reader that always gives as many bytes as it promised.
struct Filled<R> {
    inner: R,
    left: u64,
}

impl<R: Read> Read for Filled<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let most = into.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        if most == 0 {
            return Ok(0);
        }
        let mut read = self.inner.read(&mut into[..most])?;
        if read == 0 {
            into[..most].fill(0);
            read = most;
        }
        self.left -= read as u64;
        Ok(read)
    }
}

/// Puts an entry in under the very bytes of its name and of the link's target, which the crate's own ways would tidy.
/// Names too long for the header go before it, as GNU tar does.
fn append<W: Write>(
    builder: &mut Builder<W>,
    relative: &Path,
    target: Option<&Path>,
    mut header: Header,
    data: impl Read,
) -> io::Result<()> {
    if let Some(target) = target {
        let bytes = raw(target.as_os_str());
        let most = header.as_old().linkname.len();
        if bytes.len() > most {
            append_long(builder, EntryType::GNULongLink, bytes)?;
        }
        let fits = bytes.len().min(most);
        header.as_old_mut().linkname[..fits].copy_from_slice(&bytes[..fits]);
    }
    let mut name = Vec::new();
    for component in relative.components() {
        if !name.is_empty() {
            name.push(b'/');
        }
        name.extend_from_slice(raw(component.as_os_str()));
    }
    let most = header.as_old().name.len();
    if name.len() > most {
        append_long(builder, EntryType::GNULongName, &name)?;
    }
    let fits = name.len().min(most);
    header.as_old_mut().name[..fits].copy_from_slice(&name[..fits]);
    header.set_cksum();
    builder.append(&header, data)
}

fn append_long<W: Write>(builder: &mut Builder<W>, kind: EntryType, name: &[u8]) -> io::Result<()> {
    let mut header = Header::new_gnu();
    header.as_old_mut().name[..13].copy_from_slice(b"././@LongLink");
    header.set_entry_type(kind);
    header.set_mode(0o644);
    // With the zero byte that ends it.
    header.set_size(name.len() as u64 + 1);
    header.set_cksum();
    builder.append(&header, name.chain([0_u8].as_slice()))
}

fn header(meta: &Metadata, kind: EntryType, bytes: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_size(bytes);
    header.set_mode(if kind.is_symlink() { 0o777 } else { mode(meta) });
    let modified = meta.modified().ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok());
    header.set_mtime(modified.map_or(0, |it| it.as_secs()));
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        header.set_uid(meta.uid().into());
        header.set_gid(meta.gid().into());
    }
    header
}

/// An archive of [`pack`], opened.
pub(super) struct Packed<'a> {
    /// Where it lies, or what it is called.
    pub(super) path: &'a Path,
    pub(super) file: File,
    pub(super) bytes: u64,
}

impl<'a> Packed<'a> {
    pub(super) fn at(path: &'a Path) -> Result<Self> {
        let file = durable::open_no_follow(path)?;
        let bytes = file.metadata().map_err(|cause| Error::io("read", path, &cause))?.len();
        Ok(Self { path, file, bytes })
    }
}

/// The entries of an archive of [`pack`], which is exactly `raw_bytes` long when decompressed.
fn open<'a>(file: File, raw_bytes: u64, passed: &'a Passed, reporter: &'a dyn Reporter) -> Tar<'a> {
    let decompressed = gzip::reader(io::BufReader::with_capacity(1 << 17, Watched::new(file, passed, reporter)));
    // One byte more than it should hold is enough to know.
    Archive::new(decompressed.take(raw_bytes.saturating_add(1)))
}

type Tar<'a> = Archive<io::Take<MultiGzDecoder<io::BufReader<Watched<'a, File>>>>>;

/// Reads what is behind the last entry: the end of the archive, and the last checksum behind that.
fn end(archive: &Path, tar: Tar<'_>) -> Result<()> {
    let mut rest = tar.into_inner();
    io::copy(&mut rest, &mut io::sink()).map_err(|cause| reading(archive, cause))?;
    if rest.limit() == 1 { Ok(()) } else { Err(unreadable(archive, "it is not as long as it was")) }
}

fn unreadable(archive: &Path, why: &str) -> Error {
    Error::failed("backup_unreadable", format!("The backup {} cannot be read back: {why}.", archive.display()))
        .remedy("Do not rely on this backup. Make a new one and prove it.")
}

fn reading(archive: &Path, cause: io::Error) -> Error {
    match unwrapped("read", archive, cause) {
        error if matches!(error.class.as_ref(), "io" | "not_found") => {
            let mut told = unreadable(archive, "it is damaged");
            told.details = error.details;
            told
        }
        error => error,
    }
}

/// Reads an archive of [`pack`] to its end and writes nothing.
///
/// # Errors
/// As [`unpack`].
pub(super) fn read_through(archive: &Path, raw_bytes: u64, reporter: &dyn Reporter) -> Result<()> {
    let Packed { file, bytes, .. } = Packed::at(archive)?;
    let passed = Passed::of(Some(bytes));
    let mut tar = open(file, raw_bytes, &passed, reporter);
    let reading = |cause| reading(archive, cause);
    for entry in tar.entries().map_err(reading)? {
        io::copy(&mut entry.map_err(reading)?, &mut io::sink()).map_err(reading)?;
    }
    end(archive, tar)
}

/// Unpacks `packed`, which is exactly `raw_bytes` long when decompressed, into the new folder `into`.
///
/// # Errors
/// `backup_unreadable` for what is no archive of ours; what the disk or the reporter answered.
pub(super) fn unpack(packed: Packed<'_>, into: &Path, raw_bytes: u64, reporter: &dyn Reporter) -> Result<()> {
    let Packed { path: archive, file, bytes } = packed;
    let passed = Passed::of(Some(bytes));
    let mut tar = open(file, raw_bytes, &passed, reporter);
    fs::create_dir(into).map_err(|cause| Error::io("create", into, &cause))?;
    // What comes last: links, then the permissions of folders, which may forbid to write into them.
    let mut links = BTreeMap::new();
    let mut dirs: Vec<(PathBuf, Given)> = Vec::new();
    let (reading, unreadable) = (|cause| reading(archive, cause), |why| unreadable(archive, why));
    for entry in tar.entries().map_err(reading)? {
        let mut entry = entry.map_err(reading)?;
        reporter.check()?;
        let relative = entry.path().map_err(reading)?.into_owned();
        if relative.as_os_str().is_empty() || !relative.components().all(|it| matches!(it, Component::Normal(_))) {
            return Err(unreadable("it holds a path that leads outside"));
        }
        let path = into.join(&relative);
        let given = Given::of(entry.header()).map_err(reading)?;
        match entry.header().entry_type() {
            EntryType::Directory => {
                fs::create_dir(&path).map_err(|cause| Error::io("create", &path, &cause))?;
                dirs.push((path, given));
            }
            EntryType::Symlink => {
                let target = entry.link_name().map_err(reading)?.ok_or_else(|| unreadable("a link leads nowhere"))?;
                links.insert(relative, target.into_owned());
            }
            EntryType::Regular => {
                let mut file = create_or_replace(&path)?;
                let mut buffer = vec![0; 1 << 17];
                loop {
                    match entry.read(&mut buffer) {
                        Ok(0) => break,
                        Ok(read) => {
                            file.write_all(&buffer[..read]).map_err(|cause| Error::io("write", &path, &cause))?;
                        }
                        Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
                        Err(cause) => return Err(reading(cause)),
                    }
                }
                given.apply(&file).map_err(|cause| Error::io("write", &path, &cause))?;
            }
            _ => return Err(unreadable("it holds something that is no file, folder or link")),
        }
    }
    end(archive, tar)?;
    for (relative, target) in links {
        let path = into.join(relative);
        link(&target, &path).map_err(|cause| Error::io("create", &path, &cause))?;
    }
    // Deepest last in the archive, so first here.
    for (path, given) in dirs.into_iter().rev() {
        let applied = File::open(&path).and_then(|dir| given.apply(&dir));
        applied.map_err(|cause| Error::io("write", &path, &cause))?;
    }
    Ok(())
}

/// A file read again comes twice; the last one wins. There are no links yet, so none is followed.
fn create_or_replace(path: &Path) -> Result<File> {
    let there = fs::symlink_metadata(path);
    if there.is_ok_and(|meta| meta.is_file()) {
        fs::remove_file(path).map_err(|cause| Error::io("write", path, &cause))?;
    }
    durable::create_private_file(path)
}

fn link(target: &Path, path: &Path) -> io::Result<()> {
    #[cfg(unix)]
    return std::os::unix::fs::symlink(target, path);
    #[cfg(windows)]
    return std::os::windows::fs::symlink_file(target, path);
    #[cfg(not(any(unix, windows)))]
    return Err(io::Error::from(io::ErrorKind::Unsupported));
}

/// What an archive says of a file beside its content.
struct Given {
    mode: u32,
    modified: u64,
    owner: (u32, u32),
}

impl Given {
    fn of(header: &Header) -> io::Result<Self> {
        let id = |id: u64| u32::try_from(id).map_err(|_| io::Error::from(io::ErrorKind::InvalidData));
        Ok(Self { mode: header.mode()?, modified: header.mtime()?, owner: (id(header.uid()?)?, id(header.gid()?)?) })
    }

    /// Owner first, because changing it clears permission bits.
    fn apply(&self, file: &File) -> io::Result<()> {
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            if rustix::process::geteuid().is_root() {
                let (user, group) = self.owner;
                rustix::fs::fchown(
                    file,
                    Some(rustix::fs::Uid::from_raw(user)),
                    Some(rustix::fs::Gid::from_raw(group)),
                )?;
            }
            let kept = if file.metadata()?.is_dir() { 0o7777 } else { 0o777 };
            file.set_permissions(fs::Permissions::from_mode(self.mode & kept))?;
        }
        #[cfg(not(unix))]
        let _ = (self.mode, self.owner);
        #[cfg(windows)]
        if file.metadata()?.is_dir() {
            return Ok(()); // A folder is not opened for writing there.
        }
        file.set_times(FileTimes::new().set_modified(UNIX_EPOCH + Duration::from_secs(self.modified)))
    }
}
