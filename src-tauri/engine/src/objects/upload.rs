//! Sending a file: small ones whole, large ones in parts, of which each is written down when it has arrived.
//!
//! A cut costs the part that was on its way. What was begun and not ended takes room that is paid for, so it can be found
//! and given up: from what was written down here, and by asking the server, where it tells.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use bytes::Bytes;
use futures_util::stream;
use reqwest::header::{CONTENT_LENGTH, ETAG};
use reqwest::{Body, RequestBuilder, Response, StatusCode};
use rusty_s3::S3Action;
use rusty_s3::actions::CreateMultipartUpload;
use serde::{Deserialize, Serialize};
use tokio::time::timeout;

use crate::durable;
use crate::error::{Error, Result};
use crate::http::TICK;
use crate::objects::trouble::{self, Trouble};
use crate::objects::{JOINING, SIGNED_FOR, STALL, Storage};
use crate::ports::Reporter;

/// Large enough to be few, small enough to be sent once more.
const PART: u64 = 8 << 20;
/// S3 takes ten thousand.
const MOST_PARTS: u64 = 9_000;
/// What is read from a file at once.
const PIECE: usize = 256 << 10;

/// What sending a file came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sent {
    /// Bytes that were sent now.
    pub written: u64,
    /// Bytes that were there already.
    pub there_before: u64,
}

/// A large file of which not all parts have arrived.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unfinished {
    /// Which bucket and folder, as a person calls it.
    pub place: String,
    /// The object that it is to become.
    pub key: String,
    /// What the server calls it.
    pub upload_id: String,
    bytes: u64,
    part_bytes: u64,
    parts: Vec<String>,
}

impl Unfinished {
    /// What was written down; one that cannot be read is none.
    pub fn read(path: &Path) -> Option<Self> {
        let file = durable::open_ours(path).ok()?;
        serde_json::from_reader(file.take(4 << 20)).ok()
    }

    fn write(&self, path: &Path) -> Result<()> {
        let text = serde_json::to_vec(self)
            .map_err(|cause| Error::bug("state_json", "A record could not be written.").because(&cause))?;
        durable::write(path, &text)
    }
}

fn forget(journal: &Path) -> Result<()> {
    match std::fs::remove_file(journal) {
        Err(cause) if cause.kind() != std::io::ErrorKind::NotFound => Err(Error::io("remove", journal, &cause)),
        _ => Ok(()),
    }
}

/// Where something to be sent lies in a file.
#[derive(Debug, Clone, Copy)]
struct Piece<'p> {
    file: &'p Path,
    from: u64,
    bytes: u64,
}

impl Storage {
    /// Sends a file, and goes on with one of which parts are there by what `journal` says. An object of its size that is
    /// there already is not sent. `told` hears how many bytes of it have gone.
    ///
    /// # Errors
    /// Those of this module; what the disk answered. What was sent stays, and is gone on with.
    pub fn send(
        &self,
        key: &str,
        file: &Path,
        journal: &Path,
        reporter: &dyn Reporter,
        told: &(dyn Fn(u64) + Sync),
    ) -> Result<Sent> {
        let bytes = durable::open_ours(file)?.metadata().map_err(|cause| Error::io("look at", file, &cause))?.len();
        if self.size(key, reporter)? == Some(bytes) {
            forget(journal)?;
            return Ok(Sent { written: 0, there_before: bytes });
        }
        if bytes <= PART {
            self.ask(reporter, async || {
                let url = self.bucket.put_object(Some(&self.credentials), key).sign(SIGNED_FOR);
                self.carry(self.client.put(url), Piece { file, from: 0, bytes }, told).await.map(drop)
            })?;
            return Ok(Sent { written: bytes, there_before: 0 });
        }
        let known = Unfinished::read(journal).filter(|it| it.place == self.shown && it.key == key && it.bytes == bytes);
        let is_known = known.is_some();
        match self.send_parts(key, file, known, journal, reporter, told) {
            // The server gave up what was there, perhaps after a time that its owner set.
            Err(error) if is_known && error.class == "storage_forgot" => {
                forget(journal)?;
                self.send_parts(key, file, None, journal, reporter, told)
            }
            answer => answer,
        }
    }

    fn send_parts(
        &self,
        key: &str,
        file: &Path,
        known: Option<Unfinished>,
        journal: &Path,
        reporter: &dyn Reporter,
        told: &(dyn Fn(u64) + Sync),
    ) -> Result<Sent> {
        let bytes = durable::open_ours(file)?.metadata().map_err(|cause| Error::io("look at", file, &cause))?.len();
        let mut upload = match known {
            Some(known) => known,
            None => {
                let upload = self.begin(key, bytes, reporter)?;
                upload.write(journal)?;
                upload
            }
        };
        let there_before = (upload.parts.len() as u64).saturating_mul(upload.part_bytes).min(bytes);
        let mut from = there_before;
        while from < bytes {
            let piece = Piece { file, from, bytes: upload.part_bytes.min(bytes - from) };
            let number = u16::try_from(upload.parts.len() + 1)
                .map_err(|_| Error::bug("too_many_parts", "A file was cut into too many parts."))?;
            let etag = self.ask(reporter, async || {
                let action = self.bucket.upload_part(Some(&self.credentials), key, number, &upload.upload_id);
                let response =
                    self.carry(self.client.put(action.sign(SIGNED_FOR)), piece, &|sent| told(from + sent)).await?;
                let etag = response.headers().get(ETAG).and_then(|it| it.to_str().ok()).map(str::to_owned);
                etag.ok_or_else(|| trouble::unread(&self.shown, "a part has no tag"))
            })?;
            upload.parts.push(etag);
            upload.write(journal)?;
            from += piece.bytes;
        }
        self.join(&upload, reporter)?;
        forget(journal)?;
        Ok(Sent { written: bytes - there_before, there_before })
    }

    fn begin(&self, key: &str, bytes: u64, reporter: &dyn Reporter) -> Result<Unfinished> {
        let upload_id = self.ask(reporter, async || {
            let url = self.bucket.create_multipart_upload(Some(&self.credentials), key).sign(SIGNED_FOR);
            let body = self.answer(self.client.post(url).header(CONTENT_LENGTH, 0)).await?;
            let parsed = CreateMultipartUpload::parse_response(&body);
            parsed.map(|it| it.upload_id().to_owned()).map_err(|cause| trouble::unread(&self.shown, cause))
        })?;
        // Whole megabytes, so that a file of any size has few enough.
        let part_bytes = PART.max(bytes.div_ceil(MOST_PARTS).next_multiple_of(1 << 20));
        Ok(Unfinished {
            place: self.shown.clone(),
            key: key.to_owned(),
            upload_id,
            bytes,
            part_bytes,
            parts: Vec::new(),
        })
    }

    /// Makes one object of all parts.
    fn join(&self, upload: &Unfinished, reporter: &dyn Reporter) -> Result<()> {
        let joined = self.ask(reporter, async || {
            let parts = upload.parts.iter().map(String::as_str);
            let credentials = Some(&self.credentials);
            let action = self.bucket.complete_multipart_upload(credentials, &upload.key, &upload.upload_id, parts);
            let url = action.sign(SIGNED_FOR);
            let response = self.begun(self.client.post(url).body(action.body()), JOINING).await?.map_err(forgotten)?;
            let headers = response.headers().clone();
            let body = self.text(response).await?;
            // A server may begin to answer before it knows, and say in the end that it did not work.
            match trouble::code(&body) {
                "" => Ok(()),
                code => {
                    let trouble = trouble::refused(&self.shown, StatusCode::OK, &headers, &body);
                    Err(forgotten((trouble, code.to_owned())))
                }
            }
        });
        match joined {
            // It was joined, and only the answer was lost.
            Err(error)
                if error.class == "storage_forgot" && self.size(&upload.key, reporter)? == Some(upload.bytes) =>
            {
                Ok(())
            }
            answer => answer,
        }
    }

    /// Gives up what was begun and not ended; what the server does not know any more is given up.
    ///
    /// # Errors
    /// Those of this module.
    pub fn give_up(&self, key: &str, upload_id: &str, reporter: &dyn Reporter) -> Result<()> {
        self.ask(reporter, async || {
            let action = self.bucket.abort_multipart_upload(Some(&self.credentials), key, upload_id);
            match self.begun(self.client.delete(action.sign(SIGNED_FOR)), STALL).await? {
                Err((_, code)) if code == "NoSuchUpload" || code == "404" => Ok(()),
                Err((trouble, _)) => Err(trouble),
                Ok(_) => Ok(()),
            }
        })
    }

    /// What was begun and not ended below `prefix`, as key and id, as far as the server tells: some do not.
    ///
    /// # Errors
    /// Those of this module.
    pub fn unfinished(&self, prefix: &str, reporter: &dyn Reporter) -> Result<Vec<(String, String)>> {
        self.ask(reporter, async || {
            // An object without a name is the bucket itself.
            let mut action = self.bucket.get_object(Some(&self.credentials), "");
            action.query_mut().insert("prefix", prefix.to_owned());
            action.query_mut().insert("uploads", "");
            let body = match self.begun(self.client.get(action.sign(SIGNED_FOR)), STALL).await? {
                Ok(response) => self.text(response).await?,
                Err((_, code)) if code == "NotImplemented" || code == "MethodNotAllowed" => return Ok(Vec::new()),
                Err((trouble, _)) => return Err(trouble),
            };
            Ok(trouble::uploads(&body))
        })
    }

    /// Sends a piece of a file, told by what it has taken of it; without progress for long it is given up.
    async fn carry(
        &self,
        request: RequestBuilder,
        piece: Piece<'_>,
        told: &(dyn Fn(u64) + Sync),
    ) -> Result<Response, Trouble> {
        let taken = Arc::new(AtomicU64::new(0));
        let body = Body::wrap_stream(pieces(piece, Arc::clone(&taken))?);
        let mut sending = pin!(self.begun(request.header(CONTENT_LENGTH, piece.bytes).body(body), JOINING));
        let (mut before, mut since) = (0, Instant::now());
        let response = loop {
            if let Ok(done) = timeout(TICK, &mut sending).await {
                break done?.map_err(forgotten)?;
            }
            let now = taken.load(Ordering::Relaxed);
            if now != before {
                (before, since) = (now, Instant::now());
                told(now);
            } else if since.elapsed() > STALL {
                return Err(trouble::silent(&self.shown));
            }
        };
        told(piece.bytes);
        Ok(response)
    }
}

/// What the server no longer knows is begun anew.
fn forgotten((trouble, code): (Trouble, String)) -> Trouble {
    if !matches!(code.as_str(), "NoSuchUpload" | "InvalidPart" | "InvalidPartOrder") {
        return trouble;
    }
    Error::failed("storage_forgot", "What was copied so far is not there any more.")
        .remedy("Copy again: it begins anew.")
        .detail(code)
        .into()
}

fn pieces(
    piece: Piece<'_>,
    taken: Arc<AtomicU64>,
) -> Result<impl stream::Stream<Item = std::io::Result<Bytes>> + use<>> {
    let mut file = durable::open_ours(piece.file)?;
    file.seek(SeekFrom::Start(piece.from)).map_err(|cause| Error::io("read", piece.file, &cause))?;
    Ok(stream::try_unfold((file, piece.bytes), move |(mut file, left)| {
        let taken = Arc::clone(&taken);
        async move {
            let next = read(&mut file, left)?;
            taken.fetch_add(next.len() as u64, Ordering::Relaxed);
            let left = left - next.len() as u64;
            Ok((!next.is_empty()).then_some((next, (file, left))))
        }
    }))
}

fn read(file: &mut File, left: u64) -> std::io::Result<Bytes> {
    let most = usize::try_from(left).unwrap_or(PIECE).min(PIECE);
    let mut bytes = vec![0; most];
    let mut done = 0;
    while done < most {
        match file.read(&mut bytes[done..])? {
            0 => return Err(std::io::ErrorKind::UnexpectedEof.into()),
            some => done += some,
        }
    }
    Ok(bytes.into())
}
