//! The walk over the entries of an archive.
//!
//! The headers are read raw: whatever would change the meaning of the next entry (long names, PAX records)
//! is read here under a cap, so that no entry can be smuggled past the rules by one that the library obeys.

use std::{
    cell::Cell,
    fs::{self, File, OpenOptions},
    io::{self, BufReader, Read, Write},
    path::Path,
    time::{Duration, SystemTime},
};

use flate2::bufread::MultiGzDecoder;
use tar::{Archive, Entry, EntryType, Header, PaxExtensions};

use super::{
    Limits,
    tree::{self, Kind, Tree, Why},
};
use crate::durable;
use crate::error::{Error, Result, cause_of};
use crate::ports::{Reporter, Unit};

/// Headers that carry names: far more than any path may be long.
const NAME_HEADER: u64 = 64 << 10;
/// Below this size a high ratio is an archive of blank pages, not a bomb.
const RATIO_FROM: u64 = 16 << 20;
/// Up to so many files each is made durable alone; above, the whole file system at once is quicker.
const SYNC_EACH: u64 = 256;

pub(super) struct Walked {
    pub(super) common_top: Option<String>,
    pub(super) entries: u64,
    pub(super) bytes: u64,
}

/// Bytes that went in and came out of the decompressor.
#[derive(Default)]
struct Gauge {
    packed: Cell<u64>,
    unpacked: Cell<u64>,
}

struct Packed<'a> {
    file: File,
    gauge: &'a Gauge,
}

impl Read for Packed<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.file.read(buf)?;
        self.gauge.packed.set(self.gauge.packed.get() + n as u64);
        Ok(n)
    }
}

/// The decompressed stream, which ends with an error as soon as it is more than the limits allow.
struct Capped<'a, R> {
    inner: R,
    gauge: &'a Gauge,
    limits: &'a Limits,
}

#[derive(Debug)]
struct TooLarge(String);

impl std::fmt::Display for TooLarge {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for TooLarge {}

impl<R: Read> Read for Capped<'_, R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buf)?;
        let out = self.gauge.unpacked.get() + n as u64;
        self.gauge.unpacked.set(out);
        if out > self.limits.bytes {
            return Err(io::Error::other(TooLarge(format!("it holds more than {} bytes", self.limits.bytes))));
        }
        if out > RATIO_FROM && out / self.gauge.packed.get().max(1) > self.limits.ratio {
            let ratio = self.limits.ratio;
            return Err(io::Error::other(TooLarge(format!("it grows to more than {ratio} times its size"))));
        }
        Ok(n)
    }
}

/// What headers before an entry said about it.
#[derive(Default)]
struct Foretold {
    path: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    size: Option<u64>,
}

/// Extracts everything below the empty folder `root`, durably.
pub(super) fn extract(tar_gz: &Path, root: &Path, limits: &Limits, reporter: &dyn Reporter) -> Result<Walked> {
    let file = File::open(tar_gz).map_err(|cause| Error::io("open", tar_gz, &cause))?;
    let total = file.metadata().map_err(|cause| Error::io("look at", tar_gz, &cause))?.len();
    // Opened before the first write, so that it hears of every write that fails later.
    let volume = File::open(root);
    let gauge = Gauge::default();
    let packed = BufReader::with_capacity(128 << 10, Packed { file, gauge: &gauge });
    let stream = Capped { inner: MultiGzDecoder::new(packed), gauge: &gauge, limits };
    let mut archive = Archive::new(stream);

    let mut walk =
        Walk { root, limits, reporter, gauge: &gauge, total, tree: Tree::default(), links: vec![], bytes: 0 };
    let mut foretold = Foretold::default();
    for entry in archive.entries().map_err(unreadable)?.raw(true) {
        let mut entry = entry.map_err(unreadable)?;
        walk.tell()?;
        match entry.header().entry_type() {
            EntryType::GNULongName => foretold.path = Some(trimmed(name_header(&mut entry)?)),
            EntryType::GNULongLink => foretold.link = Some(trimmed(name_header(&mut entry)?)),
            EntryType::XHeader => foretold.hear(&name_header(&mut entry)?)?,
            EntryType::XGlobalHeader => {
                // git writes a comment there. Anything about names or sizes would hold for every later entry.
                let mut said = Foretold::default();
                said.hear(&name_header(&mut entry)?)?;
                if said.path.is_some() || said.link.is_some() || said.size.is_some() {
                    return Err(hostile("a global header", "renames everything that follows"));
                }
            }
            _ => walk.entry(&mut entry, std::mem::take(&mut foretold))?,
        }
    }
    // What follows the end of the archive still bears the checksum of the whole.
    let mut rest = archive.into_inner();
    let mut buffer = vec![0; 64 << 10];
    while rest.read(&mut buffer).map_err(unreadable)? > 0 {
        walk.tell()?;
    }
    walk.finish(volume)
}

struct Walk<'a> {
    root: &'a Path,
    limits: &'a Limits,
    reporter: &'a dyn Reporter,
    gauge: &'a Gauge,
    total: u64,
    tree: Tree,
    links: Vec<(String, String)>,
    bytes: u64,
}

impl Walk<'_> {
    fn tell(&self) -> Result<()> {
        self.reporter.moved(self.gauge.packed.get(), Some(self.total), Unit::Bytes);
        self.reporter.check()
    }

    fn entry<R: Read>(&mut self, entry: &mut Entry<'_, R>, foretold: Foretold) -> Result<()> {
        let header = entry.header().clone();
        let raw = foretold.path.unwrap_or_else(|| header.path_bytes().into_owned());
        let shown = String::from_utf8_lossy(&raw).into_owned();
        let refused = |why: Why| hostile(&shown, &why);
        let size = header.entry_size().map_err(unreadable)?;
        if foretold.size.is_some_and(|told| told != size) {
            return Err(refused("has two different sizes".into()));
        }
        let kind = match header.entry_type() {
            EntryType::Regular => Kind::File,
            EntryType::Directory => Kind::Folder,
            EntryType::Symlink => Kind::Link,
            EntryType::Link => return Err(refused("is a hard link".into())),
            EntryType::Char | EntryType::Block => return Err(refused("is a device".into())),
            EntryType::Fifo => return Err(refused("is a pipe".into())),
            EntryType::GNUSparse => return Err(refused("is a file with holes".into())),
            other => return Err(refused(format!("is of the unknown kind {}", other.as_byte()))),
        };
        if kind == Kind::File && raw.ends_with(b"/") {
            return Err(refused("is a file named like a folder".into()));
        }
        let parts = tree::parts(&raw, self.limits).map_err(refused)?;
        if parts.is_empty() {
            return if kind == Kind::Folder { Ok(()) } else { Err(refused("has no name".into())) };
        }
        let path = parts.join("/");
        let fresh = self.tree.admit(&parts, kind).map_err(refused)?;
        if self.tree.len() > self.limits.entries {
            return Err(too_large(&format!("it holds more than {} files and folders", self.limits.entries)));
        }
        for folder in fresh {
            let folder = self.root.join(folder);
            fs::create_dir(&folder).map_err(|cause| Error::io("create", &folder, &cause))?;
            allow(&folder, 0o755)?;
        }
        match kind {
            Kind::Folder => allow(&self.root.join(&path), mode(&header)? | 0o700),
            Kind::File => self.file(entry, &path, &header),
            Kind::Link => {
                let raw =
                    foretold.link.or_else(|| header.link_name_bytes().map(|it| it.into_owned())).unwrap_or_default();
                let target = tree::target_parts(&raw, self.limits).map_err(refused)?;
                let spelled = if target.is_empty() { ".".into() } else { target.join("/") };
                self.tree.link(&parts, target);
                self.links.push((path, spelled));
                Ok(())
            }
        }
    }

    fn file<R: Read>(&mut self, entry: &mut Entry<'_, R>, path: &str, header: &Header) -> Result<()> {
        let path = self.root.join(path);
        let written = |cause: &io::Error| Error::io("write", &path, cause);
        let mut file = OpenOptions::new().write(true).create_new(true).open(&path).map_err(|it| written(&it))?;
        let mut buffer = vec![0; 64 << 10];
        loop {
            let n = entry.read(&mut buffer).map_err(unreadable)?;
            if n == 0 {
                break;
            }
            file.write_all(&buffer[..n]).map_err(|it| written(&it))?;
            self.bytes += n as u64;
            self.tell()?;
        }
        allow(&path, mode(header)? | 0o600)?;
        // Compiled Python and the like compare it with that of their source.
        let seconds = header.mtime().unwrap_or(0).min(u64::from(u32::MAX));
        file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)).map_err(|it| written(&it))?;
        if !syncs_at_once(self.tree.len()) {
            file.sync_all().map_err(|it| written(&it))?;
        }
        Ok(())
    }

    fn finish(self, volume: io::Result<File>) -> Result<Walked> {
        if self.tree.len() == 0 {
            return Err(Error::failed("archive_empty", "The archive of the release is empty.")
                .remedy("Tell the people who publish the application. Nothing was changed."));
        }
        if let Some((path, why)) = self.tree.stray_link() {
            return Err(hostile(&path, &why));
        }
        for (path, target) in &self.links {
            make_link(&self.root.join(path), target)?;
        }
        if syncs_at_once(self.tree.len()) {
            sync_volume(self.root, volume)?;
        } else {
            self.reporter.check()?;
            sync_folders(self.root)?;
        }
        self.reporter.moved(self.total, Some(self.total), Unit::Bytes);
        Ok(Walked {
            common_top: self.tree.common_top().map(str::to_owned),
            entries: self.tree.len(),
            bytes: self.bytes,
        })
    }
}

impl Foretold {
    fn hear(&mut self, records: &[u8]) -> Result<()> {
        for record in PaxExtensions::new(records) {
            let record = record.map_err(unreadable)?;
            let value = record.value_bytes();
            match record.key_bytes() {
                b"path" => self.path = Some(value.to_vec()),
                b"linkpath" => self.link = Some(value.to_vec()),
                b"size" => {
                    let size = record.value().ok().and_then(|it| it.parse().ok());
                    self.size = Some(size.ok_or_else(|| hostile("a header", "has a size that is no number"))?);
                }
                key if key.starts_with(b"GNU.sparse") => {
                    return Err(hostile("a header", "announces a file with holes"));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

fn name_header<R: Read>(entry: &mut Entry<'_, R>) -> Result<Vec<u8>> {
    if entry.header().entry_size().map_err(unreadable)? > NAME_HEADER {
        return Err(hostile("a header", "is far longer than any name"));
    }
    let mut bytes = Vec::new();
    entry.read_to_end(&mut bytes).map_err(unreadable)?;
    Ok(bytes)
}

fn trimmed(mut name: Vec<u8>) -> Vec<u8> {
    while name.last() == Some(&0) {
        name.pop();
    }
    name
}

/// What the owner allowed itself and others to read and run; nothing more than that is taken over.
fn mode(header: &Header) -> Result<u32> {
    Ok(header.mode().map_err(unreadable)? & 0o755)
}

fn allow(path: &Path, mode: u32) -> Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(path, fs::Permissions::from_mode(mode))
            .map_err(|cause| Error::io("set the permissions of", path, &cause))?;
    }
    #[cfg(not(unix))]
    let _ = (path, mode);
    Ok(())
}

#[cfg(unix)]
fn make_link(path: &Path, target: &str) -> Result<()> {
    std::os::unix::fs::symlink(target, path).map_err(|cause| Error::io("link", path, &cause))
}

#[cfg(not(unix))]
fn make_link(path: &Path, _target: &str) -> Result<()> {
    Err(hostile(&path.display().to_string(), "is a link, which this system does not let everyone create"))
}

fn syncs_at_once(entries: u64) -> bool {
    cfg!(target_os = "linux") && entries > SYNC_EACH
}

/// Makes everything on the file system durable. Files that were synced alone before are none the worse.
fn sync_volume(root: &Path, volume: io::Result<File>) -> Result<()> {
    let synced = volume.and_then(|volume| {
        #[cfg(target_os = "linux")]
        rustix::fs::syncfs(&volume)?;
        #[cfg(not(target_os = "linux"))]
        volume.sync_all()?;
        Ok(())
    });
    synced.map_err(|cause| Error::io("write", root, &cause))
}

fn sync_folders(folder: &Path) -> Result<()> {
    for entry in fs::read_dir(folder).map_err(|cause| Error::io("read", folder, &cause))? {
        let entry = entry.map_err(|cause| Error::io("read", folder, &cause))?;
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            sync_folders(&entry.path())?;
        }
    }
    durable::fsync_dir(folder)
}

fn hostile(name: &str, why: &str) -> Error {
    let name: String = name.escape_debug().take(200).collect();
    Error::refused("archive_hostile", format!("The archive of the release was refused: \"{name}\" {why}."))
        .remedy("Do not unpack this file by other means either. Tell the people who publish the application.")
}

fn too_large(why: &str) -> Error {
    Error::refused("archive_too_large", format!("The archive of the release was refused: {why}."))
        .remedy("This is not what a release looks like. Tell the people who publish the application.")
}

fn unreadable(cause: io::Error) -> Error {
    if let Some(TooLarge(why)) = cause_of(&cause) {
        return too_large(why);
    }
    Error::failed("archive_damaged", "The archive of the release is damaged and cannot be unpacked.")
        .remedy("Try again: it will be downloaded anew. If it stays so, tell the people who publish the application.")
        .because(&cause)
}
