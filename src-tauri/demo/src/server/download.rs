//! Assets: whole, in part (`Range`), and every way in which a download goes wrong.

use std::{ops::Range, pin::Pin, task};

use anyhow::Result;
use axum::{
    body::{Body, Bytes},
    extract::Request,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use hyper::body::{Frame, SizeHint};

use super::{Faults, Server, WrongLength, api};
use crate::archive;

/// A chunk of a body: small enough that a cut falls between two of them.
const CHUNK: usize = 64 << 10;

/// Answers `GET /download/<sha256>/<name>`.
pub(super) fn answer(
    server: &Server,
    faults: &Faults,
    sha256: &str,
    name: &str,
    request: &Request,
) -> Result<Response> {
    let Some(content) = api::asset_content(server, faults, sha256, name)? else {
        return Ok(api::message(StatusCode::NOT_FOUND, "Not Found"));
    };
    let is_archive = name.ends_with(".tar.gz");
    let spoilt = Faults { slow: None, ..faults.clone() };
    let faults = if is_archive && server.spoils(&spoilt) { spoilt } else { Faults::default() };
    Ok(send(content, &faults, request.headers()))
}

fn send(mut content: Vec<u8>, faults: &Faults, headers: &HeaderMap) -> Response {
    let etag = format!("\"{}\"", &archive::sha256(&content)[..32]);
    if faults.corrupt_asset {
        let middle = content.len() / 2;
        content[middle] ^= 0x20;
    }
    match faults.wrong_length {
        Some(WrongLength::Short) => content.truncate(content.len() / 2),
        Some(WrongLength::Long) => content.resize(content.len() + 1024, 0),
        None => {}
    }
    let whole = content.len();
    // `If-Range` with another tag asks for the whole.
    let is_same = headers.get(header::IF_RANGE).is_none_or(|it| it.as_bytes() == etag.as_bytes());
    let asked = headers.get(header::RANGE).and_then(|it| it.to_str().ok()).filter(|_| is_same);
    let range = match asked.map(|asked| range(asked, whole)) {
        None => None,
        Some(Some(range)) => Some(range),
        Some(None) => {
            let whole = format!("bytes */{whole}");
            return (StatusCode::RANGE_NOT_SATISFIABLE, [(header::CONTENT_RANGE, whole)]).into_response();
        }
    };
    let span = range.clone().unwrap_or(0..whole);
    let body = Bytes::from(content).slice(span.clone());
    let length = body.len();
    let end = match (faults.truncate, faults.stall_download) {
        (true, _) => End::CutAt(length / 2),
        (false, Some(after)) => End::SilentAt(usize::try_from(after).unwrap_or(usize::MAX)),
        (false, None) => End::Whole,
    };
    let mut answer = Response::new(Body::new(Download { rest: body, sent: 0, end }));
    let mut set = |name, value: String| {
        if let Ok(value) = value.parse() {
            answer.headers_mut().insert(name, value);
        }
    };
    set(header::CONTENT_TYPE, "application/octet-stream".to_owned());
    set(header::ACCEPT_RANGES, "bytes".to_owned());
    set(header::CONTENT_LENGTH, length.to_string());
    set(header::ETAG, etag);
    if range.is_some() {
        set(header::CONTENT_RANGE, format!("bytes {}-{}/{whole}", span.start, span.end - 1));
        *answer.status_mut() = StatusCode::PARTIAL_CONTENT;
    }
    answer
}

/// One range of bytes, or none where it lies outside.
fn range(asked: &str, whole: usize) -> Option<Range<usize>> {
    let (from, to) = asked.strip_prefix("bytes=")?.split_once('-')?;
    let span = match (from, to) {
        ("", last) => whole.saturating_sub(last.parse().ok()?)..whole,
        (from, "") => from.parse().ok()?..whole,
        (from, to) => from.parse().ok()?..(to.parse::<usize>().ok()?.checked_add(1)?).min(whole),
    };
    (span.start < span.end).then_some(span)
}

/// How a body ends.
#[derive(Debug, Clone, Copy)]
enum End {
    Whole,
    /// The connection is closed after so many bytes.
    CutAt(usize),
    /// The connection stays open and says nothing more.
    SilentAt(usize),
}

/// A body that can break off.
#[derive(Debug)]
struct Download {
    rest: Bytes,
    sent: usize,
    end: End,
}

impl hyper::body::Body for Download {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut task::Context<'_>,
    ) -> task::Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        let limit = match self.end {
            End::Whole => usize::MAX,
            End::CutAt(at) | End::SilentAt(at) => at - self.sent.min(at),
        };
        if limit == 0 && !self.rest.is_empty() {
            // Nothing will ever wake this task: that is what silence means here. It ends with its connection.
            return match self.end {
                End::SilentAt(_) => task::Poll::Pending,
                End::CutAt(_) | End::Whole => task::Poll::Ready(Some(Err(BrokenOff))),
            };
        }
        if self.rest.is_empty() {
            return task::Poll::Ready(None);
        }
        let length = self.rest.len().min(CHUNK).min(limit);
        self.sent += length;
        task::Poll::Ready(Some(Ok(Frame::data(self.rest.split_to(length)))))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.rest.len() as u64)
    }
}

/// The body ended before its end.
#[derive(Debug)]
struct BrokenOff;

impl std::fmt::Display for BrokenOff {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("told to break off")
    }
}

impl std::error::Error for BrokenOff {}
