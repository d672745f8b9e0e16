//! Storage of objects that speaks S3: read, write, list, remove; large files in parts that are not sent twice.
//!
//! Requests are signed by `rusty-s3` and carried by reqwest. What is sent and read passes in pieces, so memory does not
//! grow with a file; no wait is unbounded, and each hears the reporter's "stop". Whether a file arrived as it is
//! here is not for this layer to say: whoever copies reads it back. Absent on purpose: everything that a bucket can be told of
//! versions, rights and life cycles.

mod address;
mod trouble;
mod upload;

use std::future::Future;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use reqwest::header::{CONTENT_LENGTH, RANGE};
use reqwest::{Client, RequestBuilder, Response, StatusCode};
use rusty_s3::actions::ListObjectsV2;
use rusty_s3::{Bucket, Credentials, S3Action, UrlStyle};
use tokio::time::{sleep, timeout};

use crate::error::{Error, Result};
use crate::http::{self, Line, attend};
use crate::ports::Reporter;
use trouble::Trouble;

pub use address::Address;
pub use upload::{Sent, Unfinished};

/// How long a signature holds. Short, because whoever sees the address can use it.
const SIGNED_FOR: Duration = Duration::from_secs(15 * 60);
const CONNECT: Duration = Duration::from_secs(15);
/// Without a byte for so long, a connection counts as gone.
const STALL: Duration = Duration::from_secs(60);
/// Putting parts together may take a server minutes.
const JOINING: Duration = Duration::from_secs(600);
const ATTEMPTS: usize = 4;
/// Lists and errors; a page of a list has a thousand names.
const ANSWER_CAP: usize = 4 << 20;

/// A bucket that can be asked.
pub struct Storage {
    bucket: Bucket,
    credentials: Credentials,
    client: Client,
    shown: String,
    line: Line,
}

impl std::fmt::Debug for Storage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Storage").field("shown", &self.shown).finish_non_exhaustive()
    }
}

impl Storage {
    /// The bucket at `address`, with its secret key read. Nothing is asked yet.
    ///
    /// # Errors
    /// `key_unreadable`, `key_not_private` and what a keychain answers; `bad_storage`.
    pub fn open(address: &Address) -> Result<Self> {
        let secret = address.key_from.read().map_err(|error| {
            error
                .remedy("Put the secret access key there again, or say where it is now: `liftlock backup copy --to …`.")
        })?;
        // Buckets with a dot in their name fit no certificate of Amazon's; other servers know no names below theirs.
        let (style, endpoint) = match &address.endpoint {
            Some(endpoint) => (UrlStyle::Path, endpoint.to_string()),
            None if address.bucket.contains('.') => (UrlStyle::Path, amazon(&address.region)),
            None => (UrlStyle::VirtualHost, amazon(&address.region)),
        };
        let unusable = |cause: String| {
            Error::usage("bad_storage", "There can be no such storage.")
                .remedy("Check the bucket and the address of the server.")
                .detail(cause)
        };
        let endpoint = endpoint.parse().map_err(|cause: url::ParseError| unusable(cause.to_string()))?;
        let is_here = address::is_here(&endpoint);
        let bucket = Bucket::new(endpoint, style, address.bucket.clone(), address.region.clone())
            .map_err(|cause| unusable(cause.to_string()))?;
        Ok(Self {
            bucket,
            credentials: Credentials::new(address.key_id.clone(), secret.expose()),
            client: client(is_here)?,
            shown: address.shown(),
            line: Line::open("storage")?,
        })
    }

    /// What a person calls it.
    pub fn shown(&self) -> &str {
        &self.shown
    }

    /// Writes a small object whole.
    ///
    /// # Errors
    /// Those of this module: `storage_…`.
    pub fn put(&self, key: &str, bytes: &[u8], reporter: &dyn Reporter) -> Result<()> {
        self.ask(reporter, async || {
            let url = self.bucket.put_object(Some(&self.credentials), key).sign(SIGNED_FOR);
            let request = self.client.put(url).header(CONTENT_LENGTH, bytes.len()).body(bytes.to_vec());
            self.answer(request).await.map(drop)
        })
    }

    /// Reads an object into `into`, and answers how long it is; `None` where there is no such object.
    ///
    /// # Errors
    /// Those of this module; what `into` answered.
    pub fn get(
        &self,
        key: &str,
        into: &mut (dyn FnMut(&[u8]) -> Result<()> + Send),
        reporter: &dyn Reporter,
    ) -> Result<Option<u64>> {
        let mut done = 0_u64;
        self.ask(reporter, async || {
            let url = self.bucket.get_object(Some(&self.credentials), key).sign(SIGNED_FOR);
            let mut request = self.client.get(url);
            if done > 0 {
                request = request.header(RANGE, format!("bytes={done}-"));
            }
            let mut response = match self.begun(request, STALL).await? {
                Ok(response) => response,
                Err((_, code)) if code == "NoSuchKey" => return Ok(None),
                Err((trouble, _)) => return Err(trouble),
            };
            if done > 0 && response.status() != StatusCode::PARTIAL_CONTENT {
                return Err(trouble::unread(&self.shown, "it does not know ranges"));
            }
            while let Some(piece) = self.in_time(STALL, response.chunk()).await? {
                into(&piece)?;
                done += piece.len() as u64;
            }
            Ok(Some(done))
        })
    }

    /// How long an object is; `None` where there is none.
    ///
    /// # Errors
    /// Those of this module.
    pub fn size(&self, key: &str, reporter: &dyn Reporter) -> Result<Option<u64>> {
        self.ask(reporter, async || {
            let url = self.bucket.head_object(Some(&self.credentials), key).sign(SIGNED_FOR);
            match self.begun(self.client.head(url), STALL).await? {
                // An answer without a body: what it says of its length is not what was sent.
                Ok(response) => {
                    let told = response.headers().get(CONTENT_LENGTH).and_then(|it| it.to_str().ok()?.parse().ok());
                    told.map(Some).ok_or_else(|| trouble::unread(&self.shown, "it tells no length"))
                }
                Err((_, code)) if code == "404" => Ok(None),
                Err((trouble, _)) => Err(trouble),
            }
        })
    }

    /// Removes an object; one that is not there is removed.
    ///
    /// # Errors
    /// Those of this module.
    pub fn delete(&self, key: &str, reporter: &dyn Reporter) -> Result<()> {
        self.ask(reporter, async || {
            let url = self.bucket.delete_object(Some(&self.credentials), key).sign(SIGNED_FOR);
            match self.begun(self.client.delete(url), STALL).await? {
                Err((_, code)) if code == "NoSuchKey" || code == "404" => Ok(()),
                Err((trouble, _)) => Err(trouble),
                Ok(_) => Ok(()),
            }
        })
    }

    /// The names of all objects that begin with `prefix`.
    ///
    /// # Errors
    /// Those of this module.
    pub fn list(&self, prefix: &str, reporter: &dyn Reporter) -> Result<Vec<String>> {
        let mut names = Vec::new();
        let mut next: Option<String> = None;
        loop {
            let page = self.ask(reporter, async || {
                let mut action = self.bucket.list_objects_v2(Some(&self.credentials));
                action.with_prefix(prefix);
                if let Some(token) = &next {
                    action.with_continuation_token(token.as_str());
                }
                let body = self.answer(self.client.get(action.sign(SIGNED_FOR))).await?;
                ListObjectsV2::parse_response(&body).map_err(|cause| trouble::unread(&self.shown, cause))
            })?;
            names.extend(page.contents.into_iter().map(|it| it.key));
            next = page.next_continuation_token;
            if next.is_none() {
                names.sort_unstable();
                return Ok(names);
            }
        }
    }

    /// Asks with bounded attempts.
    fn ask<T: Send>(
        &self,
        reporter: &dyn Reporter,
        mut attempt: impl AsyncFnMut() -> Result<T, Trouble> + Send,
    ) -> Result<T> {
        let all = async move || {
            let mut pauses = ExponentialBuilder::default()
                .with_min_delay(Duration::from_millis(500))
                .with_max_times(ATTEMPTS - 1)
                .with_jitter()
                .build();
            loop {
                let trouble = match attend(reporter, attempt()).await? {
                    Ok(answer) => return Ok(answer),
                    Err(trouble) => trouble,
                };
                let Some(pause) = pauses.next().filter(|_| trouble.passes) else { return Err(trouble.error) };
                reporter.say(&format!("{} Trying again in {:.1} s.", trouble.error.message, pause.as_secs_f32()));
                attend(reporter, sleep(pause)).await?;
            }
        };
        self.line.run(all)
    }

    /// Sends a request; what is no success comes back with the name that the server gives it.
    async fn begun(
        &self,
        request: RequestBuilder,
        patience: Duration,
    ) -> Result<Result<Response, (Trouble, String)>, Trouble> {
        let response = self.in_time(patience, request.send()).await?;
        let (status, headers) = (response.status(), response.headers().clone());
        if status.is_success() {
            return Ok(Ok(response));
        }
        let body = self.text(response).await.unwrap_or_default();
        let code = match trouble::code(&body) {
            "" => status.as_u16().to_string(),
            code => code.to_owned(),
        };
        Ok(Err((trouble::refused(&self.shown, status, &headers, &body), code)))
    }

    /// A short answer.
    async fn answer(&self, request: RequestBuilder) -> Result<String, Trouble> {
        let response = self.begun(request, STALL).await?.map_err(|it| it.0)?;
        self.text(response).await
    }

    async fn text(&self, mut response: Response) -> Result<String, Trouble> {
        let mut bytes = Vec::new();
        while let Some(piece) = self.in_time(STALL, response.chunk()).await? {
            bytes.extend_from_slice(&piece);
            if bytes.len() > ANSWER_CAP {
                return Err(trouble::unread(&self.shown, "it is too long"));
            }
        }
        String::from_utf8(bytes).map_err(|cause| trouble::unread(&self.shown, cause))
    }

    async fn in_time<T>(
        &self,
        patience: Duration,
        future: impl Future<Output = Result<T, reqwest::Error>>,
    ) -> Result<T, Trouble> {
        let done = timeout(patience, future).await.map_err(|_| trouble::silent(&self.shown))?;
        done.map_err(|cause| trouble::broken(&self.shown, cause))
    }
}

fn amazon(region: &str) -> String {
    format!("https://s3.{region}.amazonaws.com")
}

fn client(is_here: bool) -> Result<Client> {
    let builder = http::client().connect_timeout(CONNECT);
    http::made(if is_here { builder.no_proxy() } else { builder }, None)
}
