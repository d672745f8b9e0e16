//! Asking: one request with its redirects, one answer with its attempts.
//!
//! The invariant: a token is sent to the origin of the API and nowhere else; no step of a redirect leads from
//! `https` to `http`; no wait is unbounded, and every wait hears the reporter's "stop".

use std::{future::Future, sync::Arc, time::Duration};

use backon::{BackoffBuilder, ExponentialBuilder};
use reqwest::{
    Client, Response, StatusCode, Url,
    dns::{Addrs, Name, Resolve, Resolving},
    header::{ACCEPT, ETAG, HeaderMap, HeaderValue, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED, LINK, LOCATION},
};
use tokio::time::{sleep, timeout};

use super::{
    Line, Source, source,
    trouble::{self, Again, LookupFailed, Trouble},
};
use crate::error::Result;
use crate::http;

/// Redirects in a row. A moved repository needs one, an asset on a content network two.
const HOPS: usize = 6;
/// The JSON of one hundred releases with long notes has about 2 MB.
pub(super) const ANSWER_CAP: usize = 8 << 20;

/// What a question to the API brought.
pub(super) enum Reply {
    /// It is as it was when the given tag was current.
    Unchanged,
    /// There is no such thing.
    Missing,
    Body(Box<Body>),
}

pub(super) struct Body {
    pub(super) bytes: Vec<u8>,
    pub(super) etag: Option<String>,
    pub(super) last_modified: Option<String>,
    pub(super) next: Option<Url>,
    /// The address that answered in the end.
    pub(super) from: Url,
}

pub(super) struct Http<'a> {
    client: Client,
    base: Url,
    source: &'a Source,
    pub(super) line: &'a Line<'a>,
}

impl<'a> Http<'a> {
    pub(super) fn open(source: &'a Source, line: &'a Line<'a>) -> Result<Self> {
        Self::on(client(source, line.waits.connect)?, source, line)
    }

    /// The same over connections that others use too.
    pub(super) fn on(client: Client, source: &'a Source, line: &'a Line<'a>) -> Result<Self> {
        Ok(Self { client, base: source.base()?, source, line })
    }

    pub(super) fn has_token(&self) -> bool {
        self.source.token.is_some()
    }

    /// Whether the token may be sent to `url`.
    pub(super) fn is_api(&self, url: &Url) -> bool {
        url.origin() == self.base.origin()
    }

    /// Waits for `future`, and ends at once when the reporter says stop.
    pub(super) async fn attend<T>(&self, future: impl Future<Output = T>) -> Result<T> {
        http::attend(self.line.reporter, future).await
    }

    /// The pauses between attempts.
    pub(super) fn pauses(&self) -> impl Iterator<Item = Duration> + use<> {
        ExponentialBuilder::default()
            .with_min_delay(self.line.waits.pause)
            .with_max_delay(Duration::from_secs(30))
            .with_max_times(self.line.waits.attempts.saturating_sub(1))
            .with_jitter()
            .build()
    }

    /// Waits before another attempt, or answers the error where there is to be none.
    pub(super) async fn pause(&self, trouble: Trouble, pause: Option<Duration>) -> Result<()> {
        let wait = match (trouble.again, pause) {
            (Again::Never, _) | (_, None) => return Err(trouble.error),
            (Again::Soon, Some(pause)) => pause,
            (Again::After(asked), Some(pause)) if asked <= self.line.waits.patience => asked.max(pause),
            (Again::After(_), Some(_)) => return Err(trouble.error),
        };
        self.line.reporter.say(&format!("{} Trying again in {:.1} s.", trouble.error.message, wait.as_secs_f32()));
        self.attend(sleep(wait)).await
    }

    /// Sends one request and follows its redirects. Answers of success, 304, 404, 410 and 416 come back as they are.
    pub(super) async fn once(&self, url: &Url, headers: &HeaderMap) -> Result<(Response, Url), Trouble> {
        let mut at = url.clone();
        for _ in 0..=HOPS {
            let mut request = self.client.get(at.clone()).headers(headers.clone());
            if let Some(token) = self.source.token.as_ref().filter(|_| self.is_api(&at)) {
                request = request.bearer_auth(token.expose());
            }
            let stall = self.line.waits.stall;
            let sent = self.attend(timeout(stall, request.send())).await.map_err(Trouble::final_)?;
            let response = sent.map_err(|_| trouble::silent(&at, stall))?.map_err(|it| trouble::broken(it, &at))?;
            match response.status() {
                StatusCode::MOVED_PERMANENTLY
                | StatusCode::FOUND
                | StatusCode::SEE_OTHER
                | StatusCode::TEMPORARY_REDIRECT
                | StatusCode::PERMANENT_REDIRECT => at = redirected(&at, response.headers())?,
                status
                    if status.is_success()
                        || matches!(
                            status,
                            StatusCode::NOT_MODIFIED
                                | StatusCode::NOT_FOUND
                                | StatusCode::GONE
                                | StatusCode::RANGE_NOT_SATISFIABLE
                        ) =>
                {
                    return Ok((response, at));
                }
                status => return Err(trouble::status(status, response.headers(), &at, self.line.clock.now())),
            }
        }
        Err(trouble::bad_redirect("redirect_loop", url, "one address points to the next, without an end"))
    }

    /// The next piece of a body; `None` at its end.
    pub(super) async fn chunk(&self, response: &mut Response, url: &Url) -> Result<Option<Vec<u8>>, Trouble> {
        let stall = self.line.waits.stall;
        let read = self.attend(timeout(stall, response.chunk())).await.map_err(Trouble::final_)?;
        let read = read.map_err(|_| trouble::silent(url, stall))?.map_err(|it| trouble::broken(it, url))?;
        Ok(read.map(Into::into))
    }

    /// Asks with bounded attempts, and reads an answer of at most `cap` bytes with `read`.
    pub(super) async fn ask<T>(
        &self,
        url: &Url,
        headers: &HeaderMap,
        cap: usize,
        read: impl Fn(Reply) -> Result<T, Trouble>,
    ) -> Result<T> {
        let mut pauses = self.pauses();
        loop {
            let answer = timeout(self.line.waits.answer, self.answer(url, headers, cap)).await;
            match answer.unwrap_or_else(|_| Err(trouble::silent(url, self.line.waits.answer))).and_then(&read) {
                Ok(answer) => return Ok(answer),
                Err(trouble) => self.pause(trouble, pauses.next()).await?,
            }
        }
    }

    async fn answer(&self, url: &Url, headers: &HeaderMap, cap: usize) -> Result<Reply, Trouble> {
        let (mut response, from) = self.once(url, headers).await?;
        match response.status() {
            StatusCode::NOT_MODIFIED => return Ok(Reply::Unchanged),
            StatusCode::NOT_FOUND | StatusCode::GONE => return Ok(Reply::Missing),
            StatusCode::RANGE_NOT_SATISFIABLE => {
                return Err(trouble::bad_body(&from, "it speaks of a range that was not asked for"));
            }
            _ => {}
        }
        let mut bytes = Vec::new();
        while let Some(piece) = self.chunk(&mut response, &from).await? {
            bytes.extend_from_slice(&piece);
            if bytes.len() > cap {
                let why = format!("it has more than {cap} bytes");
                return Err(Trouble { again: Again::Never, ..trouble::bad_body(&from, &why) });
            }
        }
        let text = |it: &HeaderValue| it.to_str().ok().map(str::to_owned);
        Ok(Reply::Body(Box::new(Body {
            bytes,
            etag: response.headers().get(ETAG).and_then(text),
            last_modified: response.headers().get(LAST_MODIFIED).and_then(text),
            next: next_page(&from, response.headers())?,
            from,
        })))
    }

    /// Asks the API for JSON; `None` where there is no such thing.
    pub(super) async fn json<T: serde::de::DeserializeOwned>(&self, url: &Url) -> Result<Option<T>> {
        self.ask(url, &api_headers(None, None), ANSWER_CAP, |reply| match reply {
            Reply::Missing => Ok(None),
            Reply::Unchanged => Err(trouble::bad_body(url, "nothing was said about what has not changed")),
            Reply::Body(body) => parse(&body).map(Some),
        })
        .await
    }
}

/// Connections to the server of `source`, as they can be shared by all sources of the same kind.
pub(super) fn client(source: &Source, connect: Duration) -> Result<Client> {
    let mut builder = http::client().connect_timeout(connect).dns_resolver(Arc::new(SystemNames));
    if source::is_here(&source.base()?) {
        builder = builder.no_proxy();
    }
    http::made(builder, source.ca.as_deref())
}

/// The headers of a question to the API.
pub(super) fn api_headers(etag: Option<&str>, last_modified: Option<&str>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT, HeaderValue::from_static("application/vnd.github+json, application/json"));
    headers.insert("x-github-api-version", HeaderValue::from_static("2022-11-28"));
    if let Some(etag) = etag.and_then(|it| HeaderValue::from_str(it).ok()) {
        headers.insert(IF_NONE_MATCH, etag);
    } else if let Some(date) = last_modified.and_then(|it| HeaderValue::from_str(it).ok()) {
        // Weaker, because it knows no parts of a second: only where there is no tag.
        headers.insert(IF_MODIFIED_SINCE, date);
    }
    headers
}

pub(super) fn parse<T: serde::de::DeserializeOwned>(body: &Body) -> Result<T, Trouble> {
    serde_json::from_slice(&body.bytes).map_err(|cause| {
        let why = if cause.is_eof() { "it ends in the middle" } else { "it is not what a list of releases looks like" };
        let mut trouble = trouble::bad_body(&body.from, why);
        trouble.error = trouble.error.because(&cause);
        trouble
    })
}

fn redirected(from: &Url, headers: &HeaderMap) -> Result<Url, Trouble> {
    let refused = |why| trouble::bad_redirect("bad_redirect", from, why);
    let location = headers.get(LOCATION).and_then(|it| it.to_str().ok()).ok_or_else(|| refused("it names none"))?;
    let to = from.join(location).map_err(|_| refused("it is no address"))?;
    if to.scheme() == "https" || (from.scheme() == "http" && source::is_safe(&to)) {
        return Ok(to);
    }
    Err(trouble::bad_redirect("insecure_redirect", from, "the way there would not be secure"))
}

/// The address of the next page, from `Link: <…>; rel="next"`.
fn next_page(from: &Url, headers: &HeaderMap) -> Result<Option<Url>, Trouble> {
    let links = headers.get_all(LINK).iter().filter_map(|it| it.to_str().ok()).flat_map(|it| it.split(','));
    for link in links {
        let mut parts = link.split(';').map(str::trim);
        let address = parts.next().and_then(|it| it.strip_prefix('<')?.strip_suffix('>'));
        let is_next = parts.any(|it| matches!(it, "rel=\"next\"" | "rel=next"));
        if let (Some(address), true) = (address, is_next) {
            let next = from.join(address).ok().filter(|next| next.origin() == from.origin());
            return next.map(Some).ok_or_else(|| trouble::bad_body(from, "its next page is on another server"));
        }
    }
    Ok(None)
}

/// The system's own lookup of names, with an error that can be told from others.
struct SystemNames;

impl Resolve for SystemNames {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str().to_owned(), 0)).await.map_err(LookupFailed)?;
            Ok(Box::new(found.collect::<Vec<_>>().into_iter()) as Addrs)
        })
    }
}
