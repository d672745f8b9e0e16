//! Bringing an asset into the store of downloads: `<store>/<sha256>/<asset>`, whole or not at all.
//!
//! What has come is kept in `<store>/partial/` until it is whole, so that a cut costs only what was on its way.
//! The invariant: a file under its digest has that digest and is on disk before it has its name; bytes that
//! proved wrong are kept nowhere.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    time::Duration,
};

use reqwest::{
    Response, StatusCode, Url,
    header::{CONTENT_RANGE, ETAG, HeaderMap, HeaderValue, IF_RANGE, LAST_MODIFIED, RANGE},
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{
    Line, Pinned, Source,
    http::Http,
    pin,
    trouble::{Trouble, host},
};
use crate::digest;
use crate::durable;
use crate::error::{Error, Result};
use crate::http::converse;
use crate::model::release::fit_asset;
use crate::ports::Unit;

/// Attempts in all; each one before the last brought something.
const ATTEMPTS: usize = 100;

/// A downloaded asset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fetched {
    /// Where it lies: `<store>/<sha256>/<asset>`.
    pub path: PathBuf,
    /// Its size.
    pub bytes: u64,
    /// Its SHA-256 in hexadecimal.
    pub sha256: String,
    /// Bytes that came over the line for it this time; 0 where it was there already.
    pub received: u64,
}

/// Downloads the asset of a pinned release, unless the store holds it already.
///
/// A download that was cut, also by the end of an earlier process, goes on where it stopped. Two calls for the
/// same asset take turns.
///
/// # Errors
/// `asset_digest`, `asset_size`, `asset_truncated`, `asset_missing`; as of [`list`](super::list) on the line;
/// `disk_full`, `permission_denied`, `not_ours`, `io`; whatever the reporter answers (what has come is then kept
/// for the next call).
pub fn fetch(source: &Source, pinned: &Pinned, store: &Path, line: &Line<'_>) -> Result<Fetched> {
    fit_asset(&pinned.asset.name).map_err(|why| {
        Error::bug("asset_unfit", format!("The asset \"{}\" {why}.", pinned.asset.name.escape_debug()))
    })?;
    if let Some(found) = there(store, pinned, line)? {
        return Ok(found);
    }
    let partial = store.join("partial");
    durable::create_private_dir(&partial)?;
    let key = match &pinned.sha256 {
        Some(sha256) => sha256.clone(),
        None => digest::sha256(format!("{} {} {}", pinned.asset.url, pinned.asset.id, pinned.tag).as_bytes()),
    };
    let _turn = take_turn(&partial.join(format!("{key}.lock")), line)?;
    // Another process may have finished while we waited for our turn.
    if let Some(found) = there(store, pinned, line)? {
        return Ok(found);
    }
    converse("releases", || async {
        let http = Http::open(source, line)?;
        let mut part = Part::open(&partial, &key, told(pinned), line)?;
        let sha256 = match whole(&http, pinned, &mut part).await {
            Ok(sha256) => sha256,
            Err(error) => {
                if matches!(&*error.class, "asset_digest" | "asset_size") {
                    part.discard()?;
                }
                return Err(error);
            }
        };
        let path = part.place(store, &sha256, &pinned.asset.name)?;
        Ok(Fetched { path, bytes: part.len, sha256, received: part.received })
    })
}

/// Its size, where the server told it. A source is packed while it is sent.
fn told(pinned: &Pinned) -> Option<u64> {
    Some(pinned.asset.size).filter(|it| *it > 0)
}

/// The asset, if the store holds it whole. A file that has rotted since is removed.
fn there(store: &Path, pinned: &Pinned, line: &Line<'_>) -> Result<Option<Fetched>> {
    let Some(sha256) = &pinned.sha256 else { return Ok(None) };
    let path = store.join(sha256).join(&pinned.asset.name);
    if fs::symlink_metadata(&path).is_err() {
        return Ok(None);
    }
    let mut file = durable::open_ours(&path)?;
    let (found, bytes) = digest::sha256_of(&mut file, &path, told(pinned), line.reporter)?;
    if found == *sha256 && told(pinned).is_none_or(|it| it == bytes) {
        return Ok(Some(Fetched { path, bytes, sha256: found, received: 0 }));
    }
    line.reporter.say("The file downloaded earlier has changed on the disk and is downloaded again.");
    fs::remove_file(&path).map_err(|cause| Error::io("remove", &path, &cause))?;
    Ok(None)
}

/// Waits until no other process downloads the same asset. The lock file stays: removing it would admit two.
fn take_turn(path: &Path, line: &Line<'_>) -> Result<File> {
    let opened = OpenOptions::new().create(true).append(true).open(path);
    let lock = opened.map_err(|cause| Error::io("open", path, &cause))?;
    let mut said = false;
    loop {
        match lock.try_lock() {
            Ok(()) => return Ok(lock),
            Err(TryLockError::Error(cause)) => return Err(Error::io("lock", path, &cause)),
            Err(TryLockError::WouldBlock) => {
                if !said {
                    line.reporter.say("Another process downloads the same file; waiting for it.");
                    said = true;
                }
                line.reporter.check()?;
                std::thread::sleep(Duration::from_millis(100));
            }
        }
    }
}

/// Downloads until the part is whole and right; answers its digest.
async fn whole(http: &Http<'_>, pinned: &Pinned, part: &mut Part) -> Result<String> {
    let (mut most, mut pauses) = (part.len, http.pauses());
    let mut was_wrong = false;
    for _ in 0..ATTEMPTS {
        let trouble = match attempt(http, pinned, part).await {
            Ok(()) => {
                let found = part.digest();
                match &pinned.sha256 {
                    Some(expected) if found != *expected => {}
                    _ => return Ok(found),
                }
                // Pieces of two different files make a third; only what came in one piece proves something.
                if was_wrong || !part.is_pieced {
                    return Err(wrong_digest(pinned, &found));
                }
                part.restart()?;
                (was_wrong, most) = (true, 0);
                Trouble::passing(wrong_digest(pinned, &found))
            }
            Err(trouble) => trouble,
        };
        if part.len > most {
            most = part.len;
            pauses = http.pauses();
        }
        let pause = pauses.next();
        http.pause(trouble, pause).await?;
    }
    Err(Error::failed("connection_cut", format!("The download of {} broke off too often.", pinned.asset.name))
        .remedy("Try again later: what has come so far is kept."))
}

/// One request, from where the part ends to the end of the asset.
async fn attempt(http: &Http<'_>, pinned: &Pinned, part: &mut Part) -> Result<(), Trouble> {
    let Some(size) = told(pinned) else { return attempt_untold(http, pinned, part).await };
    http.line.reporter.moved(part.len, Some(size), Unit::Bytes);
    if part.len == size {
        return Ok(());
    }
    let (url, mut headers) = pin::download_of(http, &pinned.asset).map_err(Trouble::final_)?;
    part.ask_for_the_rest(&mut headers, pinned.sha256.is_some()).map_err(Trouble::final_)?;
    let (mut response, from) = http.once(&url, &headers).await?;
    match response.status() {
        StatusCode::PARTIAL_CONTENT => {
            if !continues(&response, part.len, size) {
                part.restart().map_err(Trouble::final_)?;
                return Err(Trouble::passing(unexpected(&from, "it sent another piece than was asked for")));
            }
            part.is_pieced = true;
        }
        StatusCode::NOT_FOUND | StatusCode::GONE => {
            let message = format!("The file {} is no longer on the release server.", pinned.asset.name);
            return Err(Trouble::final_(Error::failed("asset_missing", message).remedy("Make a new plan.")));
        }
        StatusCode::OK => {
            part.restart().map_err(Trouble::final_)?;
            if response.content_length().is_some_and(|told| told > size) {
                return Err(Trouble::final_(wrong_size(pinned, "more")));
            }
        }
        _ => {
            part.restart().map_err(Trouble::final_)?;
            return Err(Trouble::passing(unexpected(&from, "it sent no file")));
        }
    }
    part.remember(&response).map_err(Trouble::final_)?;
    while let Some(piece) = http.chunk(&mut response, &from).await? {
        if part.len + piece.len() as u64 > size {
            return Err(Trouble::final_(wrong_size(pinned, "more")));
        }
        part.append(&piece).map_err(Trouble::final_)?;
        http.line.reporter.moved(part.len, Some(size), Unit::Bytes);
    }
    if part.len < size {
        let message = format!(
            "The release server {} sent {} of {size} bytes of {}, and said that was all.",
            host(&from),
            part.len,
            pinned.asset.name
        );
        return Err(Trouble::passing(
            Error::failed("asset_truncated", message)
                .remedy("Try again later. If it stays so, tell the people who publish the application."),
        ));
    }
    Ok(())
}

/// One request for something whose size nobody tells: from its first byte to the end that the connection itself names.
async fn attempt_untold(http: &Http<'_>, pinned: &Pinned, part: &mut Part) -> Result<(), Trouble> {
    part.restart().map_err(Trouble::final_)?;
    let (url, headers) = pin::download_of(http, &pinned.asset).map_err(Trouble::final_)?;
    let (mut response, from) = http.once(&url, &headers).await?;
    if response.status() != StatusCode::OK {
        let message = format!("The source {} is no longer on the release server.", pinned.asset.name);
        return Err(Trouble::final_(Error::failed("asset_missing", message).remedy("Make a new plan.")));
    }
    while let Some(piece) = http.chunk(&mut response, &from).await? {
        if part.len + piece.len() as u64 > pin::ASSET_CAP {
            return Err(Trouble::final_(wrong_size(pinned, "more")));
        }
        part.append(&piece).map_err(Trouble::final_)?;
        http.line.reporter.moved(part.len, None, Unit::Bytes);
    }
    if part.len == 0 {
        return Err(Trouble::passing(unexpected(&from, "it sent an empty file")));
    }
    Ok(())
}

/// Whether a partial answer begins where the part ends and belongs to a file of the right size.
fn continues(response: &Response, len: u64, size: u64) -> bool {
    let told = response.headers().get(CONTENT_RANGE).and_then(|it| it.to_str().ok()).unwrap_or_default();
    let Some((range, total)) = told.strip_prefix("bytes ").and_then(|it| it.split_once('/')) else { return false };
    let first = range.split('-').next().and_then(|it| it.parse::<u64>().ok());
    first == Some(len) && (total == "*" || total.parse() == Ok(size))
}

fn unexpected(url: &Url, why: &str) -> Error {
    Error::failed("bad_body", format!("The release server {} answered oddly: {why}.", host(url)))
        .remedy("Try again later. If it stays so, tell the people who run that server.")
}

fn wrong_size(pinned: &Pinned, than: &str) -> Error {
    let (name, size) = (&pinned.asset.name, told(pinned).unwrap_or(pin::ASSET_CAP));
    Error::failed("asset_size", format!("The file {name} has {than} than the {size} bytes that were announced."))
        .remedy("Nothing of it was kept. Tell the people who publish the application.")
}

fn wrong_digest(pinned: &Pinned, found: &str) -> Error {
    let message = format!("The file {} is not what was published: its checksum is wrong.", pinned.asset.name);
    Error::failed("asset_digest", message)
        .remedy("Nothing of it was kept. Try again later; if it stays so, tell the people who publish the application.")
        .detail(format!("expected {}", pinned.sha256.as_deref().unwrap_or("none")))
        .detail(format!("found {found}"))
}

/// What of an asset has come so far.
struct Part {
    path: PathBuf,
    note: PathBuf,
    file: File,
    hash: Sha256,
    len: u64,
    /// Whether it was put together from more than one answer.
    is_pieced: bool,
    received: u64,
    /// What the server calls the state of the file that the part is of.
    validator: Option<String>,
}

/// Beside a part: lets a later process ask for the rest of the same file.
#[derive(Serialize, Deserialize)]
struct Note {
    validator: Option<String>,
}

impl Part {
    fn open(folder: &Path, key: &str, size: Option<u64>, line: &Line<'_>) -> Result<Self> {
        let path = folder.join(format!("{key}.part"));
        let note = folder.join(format!("{key}.json"));
        let mut file = if fs::symlink_metadata(&path).is_ok() {
            drop(durable::open_ours(&path)?);
            OpenOptions::new().read(true).write(true).open(&path).map_err(|cause| Error::io("open", &path, &cause))?
        } else {
            durable::create_private_file(&path)?
        };
        let validator =
            fs::read(&note).ok().and_then(|it| serde_json::from_slice::<Note>(&it).ok()).and_then(|it| it.validator);
        let mut hash = Sha256::new();
        let mut len = 0;
        let mut buffer = vec![0; 256 << 10];
        loop {
            line.reporter.check()?;
            let n = file.read(&mut buffer).map_err(|cause| Error::io("read", &path, &cause))?;
            if n == 0 {
                break;
            }
            hash.update(&buffer[..n]);
            len += n as u64;
        }
        let mut part = Self { path, note, file, hash, len, is_pieced: len > 0, received: 0, validator };
        if size.is_none_or(|it| part.len > it) {
            part.restart()?;
        }
        Ok(part)
    }

    /// Asks for what is missing. Without a name for the state of the file a piece can be asked for only where the
    /// digest will tell whether the pieces fit.
    fn ask_for_the_rest(&mut self, headers: &mut HeaderMap, has_digest: bool) -> Result<()> {
        if self.len == 0 {
            return Ok(());
        }
        let validator = self.validator.as_deref().and_then(|it| HeaderValue::from_str(it).ok());
        if validator.is_none() && !has_digest {
            return self.restart();
        }
        let range = HeaderValue::from_str(&format!("bytes={}-", self.len));
        headers.insert(RANGE, range.map_err(|_| Error::bug("range", "A number did not fit into a header."))?);
        if let Some(validator) = validator {
            headers.insert(IF_RANGE, validator);
        }
        Ok(())
    }

    fn remember(&mut self, response: &Response) -> Result<()> {
        let text = |name| response.headers().get(name).and_then(|it: &HeaderValue| it.to_str().ok());
        // Only a strong tag promises the same bytes.
        let strong = text(ETAG).filter(|it| !it.starts_with("W/")).or_else(|| text(LAST_MODIFIED));
        let validator = strong.map(str::to_owned);
        if validator != self.validator {
            let note = Note { validator: validator.clone() };
            let bytes = serde_json::to_vec(&note)
                .map_err(|cause| Error::bug("note", "A note could not be written.").because(&cause))?;
            durable::write(&self.note, &bytes)?;
            self.validator = validator;
        }
        Ok(())
    }

    fn append(&mut self, piece: &[u8]) -> Result<()> {
        self.file.write_all(piece).map_err(|cause| Error::io("write", &self.path, &cause))?;
        self.hash.update(piece);
        self.len += piece.len() as u64;
        self.received += piece.len() as u64;
        Ok(())
    }

    fn restart(&mut self) -> Result<()> {
        let emptied = self.file.set_len(0).and_then(|()| self.file.seek(SeekFrom::Start(0)));
        emptied.map_err(|cause| Error::io("write", &self.path, &cause))?;
        (self.hash, self.len, self.is_pieced) = (Sha256::new(), 0, false);
        Ok(())
    }

    fn digest(&self) -> String {
        digest::hex(&self.hash.clone().finalize())
    }

    /// Gives the whole file its name, durably.
    fn place(&self, store: &Path, sha256: &str, name: &str) -> Result<PathBuf> {
        self.file.sync_all().map_err(|cause| Error::io("write", &self.path, &cause))?;
        let folder = store.join(sha256);
        durable::create_private_dir(&folder)?;
        let path = folder.join(name);
        durable::rename(&self.path, &path)?;
        durable::fsync_dir(store)?;
        remove(&self.note)?;
        Ok(path)
    }

    fn discard(&self) -> Result<()> {
        remove(&self.path)?;
        remove(&self.note)
    }
}

fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(cause) if cause.kind() != std::io::ErrorKind::NotFound => Err(Error::io("remove", path, &cause)),
        _ => Ok(()),
    }
}
