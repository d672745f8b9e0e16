//! Requests to the application, one at a time: each within its time, tried again where that may help, heard by "stop".
//!
//! No redirect is followed, so that no credentials and no rows go to another address than the profile's. An answer is read
//! up to a limit. What the application says is made harmless and short before anybody sees it. Deliberately absent: trying
//! again what may have arrived; who sends it looks first.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use chrono::{DateTime, Utc};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::{Client, StatusCode};
use serde_json::value::RawValue;
use tokio::time::{sleep, timeout};
use url::Url;

use super::json;
use crate::clock::SystemClock;
use crate::error::{Error, Result};
use crate::http::{self, Line, attend};
use crate::ports::{Clock, Reporter};
use crate::probes::{Credentials, HttpRequest};
use crate::process::printable;
use crate::secrets::{Secret, masked};

const CONNECT: Duration = Duration::from_secs(10);
/// A longer answer is none of one thing, or of a page of them.
const LONGEST: usize = 8 << 20;
/// What is shown of what the application says.
const SHOWN: usize = 300;
/// How long it may ask for patience, each time and how often.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);
const PAUSES: usize = 50;

/// How often, and after which pauses, something that may pass is tried again.
#[derive(Debug, Clone, Copy)]
pub struct Waits {
    /// The first pause; each further one is twice as long.
    pub first: Duration,
    /// How many there are.
    pub times: usize,
}

impl Default for Waits {
    fn default() -> Self {
        Self { first: Duration::from_millis(500), times: 5 }
    }
}

/// The application, as far as it can be asked.
pub(super) struct Wire {
    client: Client,
    base: Url,
    credentials: Option<Credentials>,
    headers: HeaderMap,
    idempotency: Option<HeaderName>,
    error: Option<String>,
    within: Duration,
    waits: Waits,
    line: Line,
}

/// What a wire is made of.
#[derive(Debug)]
pub struct Reached {
    /// Where it is, and who asks.
    pub request: HttpRequest,
    /// Further headers.
    pub headers: Vec<(String, Secret)>,
    /// The header by which a request is known that was sent before.
    pub idempotency: Option<String>,
    /// Where the answer says what is wrong.
    pub error: Option<String>,
    /// How long one request may take.
    pub within: Duration,
    /// How patiently it is tried again.
    pub waits: Waits,
}

/// What the application answered to something that it understood.
#[derive(Debug)]
pub(super) enum Said {
    /// It did it; with what it says of it.
    Done(Option<Box<RawValue>>),
    /// There is no such thing.
    Gone(String),
    /// It does not want it, and why.
    Refused(String),
}

/// What is asked.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked<'a> {
    /// `POST`.
    pub(super) method: &'a str,
    /// The path with its query.
    pub(super) path: &'a str,
    /// The JSON that is sent.
    pub(super) body: Option<&'a str>,
    /// What it is known by if it is sent again.
    pub(super) token: Option<&'a str>,
}

/// Why there is no answer to go by.
enum Trouble {
    /// It may pass: after so long, where that was asked for.
    Passes(Error, Option<Duration>),
    Stays(Error),
}

impl Wire {
    /// Makes ready. Nothing is asked yet.
    ///
    /// # Errors
    /// `tls`, `ca_invalid`, `bad_header`.
    pub(super) fn open(reached: Reached) -> Result<Self> {
        let mut headers = HeaderMap::new();
        let name_of = |name: &str| {
            HeaderName::try_from(name).map_err(|cause| {
                Error::refused("bad_header", format!("“{}” cannot be a header.", name.escape_debug()))
                    .remedy("Correct [api] of the profile.")
                    .because(&cause)
            })
        };
        for (name, value) in &reached.headers {
            let mut value = HeaderValue::from_str(value.expose().trim()).map_err(|_| {
                Error::refused("bad_header", format!("What the profile refers to cannot stand in the header {name}."))
                    .remedy("Check the setting that “headers” of [api] names: it holds a sign that no header can.")
            })?;
            value.set_sensitive(true);
            headers.insert(name_of(name)?, value);
        }
        let idempotency = reached.idempotency.as_deref().map(name_of).transpose()?;
        Ok(Self {
            client: client(&reached.request)?,
            base: reached.request.url,
            credentials: reached.request.credentials,
            headers,
            idempotency,
            error: reached.error,
            within: reached.within,
            waits: reached.waits,
            line: Line::open("api")?,
        })
    }

    /// Whether the application knows what was sent before.
    pub(super) fn knows_again(&self) -> bool {
        self.idempotency.is_some()
    }

    /// Asks, again where that may help. `arrived` is asked before each further try whether that is still needed.
    ///
    /// # Errors
    /// `api_paused` where it does not answer, `api_denied`, `api_elsewhere`, `api_unread`; what the reporter says.
    pub(super) fn ask<T>(
        &self,
        asked: Asked<'_>,
        reporter: &dyn Reporter,
        arrived: &mut dyn FnMut() -> Result<Option<T>>,
    ) -> Result<Answer<T>> {
        let mut pauses = ExponentialBuilder::default()
            .with_min_delay(self.waits.first)
            .with_max_delay(Duration::from_secs(20))
            .with_max_times(self.waits.times)
            .build();
        let mut patience = PAUSES;
        loop {
            let (error, wanted) = match self.once(asked, reporter)? {
                Ok(said) => return Ok(Answer::Said(said)),
                Err(Trouble::Stays(error)) => return Err(error),
                Err(Trouble::Passes(error, wanted)) => (error, wanted),
            };
            let pause = match wanted {
                Some(wanted) if wanted <= LONGEST_PAUSE && patience > 0 => {
                    patience -= 1;
                    wanted
                }
                Some(_) => return Err(paused(error)),
                None => match pauses.next() {
                    Some(pause) => pause,
                    None => return Err(paused(error)),
                },
            };
            reporter.say(&format!("{} Trying again in {:.1} s.", error.message, pause.as_secs_f32()));
            self.wait(pause, reporter)?;
            if let Some(found) = arrived()? {
                return Ok(Answer::Arrived(found));
            }
        }
    }

    /// Asks for something that is only read, or can be done twice.
    ///
    /// # Errors
    /// As [`Wire::ask`].
    pub(super) fn ask_again(
        &self,
        method: &str,
        path: &str,
        body: Option<&str>,
        reporter: &dyn Reporter,
    ) -> Result<Said> {
        match self.ask::<()>(Asked { method, path, body, token: None }, reporter, &mut || Ok(None))? {
            Answer::Said(said) => Ok(said),
            Answer::Arrived(()) => Err(Error::bug("arrived", "What is only read was said to have arrived.")),
        }
    }

    fn url(&self, path: &str) -> Result<Url> {
        let base = self.base.as_str().trim_end_matches('/');
        let url = Url::parse(&format!("{base}{path}")).ok();
        // Whatever the rows hold, it goes to this server.
        let is_same = |it: &Url| it.origin() == self.base.origin() && it.username() == self.base.username();
        url.filter(is_same).ok_or_else(|| {
            Error::refused("bad_url", "A path of the profile leads to another server.").remedy("Correct it there.")
        })
    }

    fn wait(&self, pause: Duration, reporter: &dyn Reporter) -> Result<()> {
        self.line.run(async || attend(reporter, sleep(pause)).await)
    }

    fn once(&self, asked: Asked<'_>, reporter: &dyn Reporter) -> Result<std::result::Result<Said, Trouble>> {
        let url = self.url(asked.path)?;
        self.line.run(async || attend(reporter, self.exchange(asked, url)).await)
    }

    async fn exchange(&self, asked: Asked<'_>, url: Url) -> std::result::Result<Said, Trouble> {
        let method = reqwest::Method::from_bytes(asked.method.as_bytes()).unwrap_or_default();
        let place = shown(&self.base);
        let mut request = self.client.request(method, url).headers(self.headers.clone());
        request = request.header("accept", "application/json");
        match &self.credentials {
            Some(Credentials::Basic { user, password }) => request = request.basic_auth(user, Some(password.expose())),
            Some(Credentials::Bearer(token)) => request = request.bearer_auth(token.expose()),
            None => {}
        }
        if let (Some(name), Some(token)) = (&self.idempotency, asked.token) {
            request = request.header(name, token);
        }
        if let Some(body) = asked.body {
            request = request.header("content-type", "application/json").body(body.to_owned());
        }
        let whole = async {
            let mut response = request.send().await?;
            let (status, headers) = (response.status(), response.headers().clone());
            let mut body = Vec::new();
            while let Some(piece) = response.chunk().await? {
                body.extend_from_slice(&piece);
                if body.len() > LONGEST {
                    return Ok((status, headers, None));
                }
            }
            Ok::<_, reqwest::Error>((status, headers, Some(body)))
        };
        let late = || {
            let message = format!("{place} did not answer within {} seconds.", self.within.as_secs());
            Trouble::Passes(silent(message), None)
        };
        let done = timeout(self.within, whole).await.map_err(|_| late())?;
        let (status, headers, body) = done.map_err(|cause| broken(&place, cause))?;
        let body = body.ok_or_else(|| {
            let message = format!("The answer of {place} is longer than {} MB.", LONGEST >> 20);
            Trouble::Stays(
                Error::failed("api_unread", message).remedy("Check the paths in the profile: one asks for everything."),
            )
        })?;
        self.understood(&place, asked, status, &headers, &body)
    }

    fn understood(
        &self,
        place: &str,
        asked: Asked<'_>,
        status: StatusCode,
        headers: &HeaderMap,
        body: &[u8],
    ) -> std::result::Result<Said, Trouble> {
        let what = format!("{} {}", asked.method, asked.path.split('?').next().unwrap_or_default());
        let words = || words(body, self.error.as_deref());
        if status.is_success() {
            if body.iter().all(u8::is_ascii_whitespace) {
                return Ok(Said::Done(None));
            }
            return match json::read(body) {
                Some(json) => Ok(Said::Done(Some(json))),
                // What was done is done, whatever was said of it.
                None if asked.method != "GET" => Ok(Said::Done(None)),
                None => Err(Trouble::Stays(
                    Error::failed("api_unread", format!("{place} answered {what} with something that is not JSON."))
                        .remedy("Check the address and the paths of [api] in the profile."),
                )),
            };
        }
        if status.is_redirection() {
            let to = headers.get("location").and_then(|it| it.to_str().ok()).map(|it| printable(&masked(it)));
            let to = to.unwrap_or_default().chars().take(200).collect::<String>();
            return Err(Trouble::Stays(
                Error::failed(
                    "api_elsewhere",
                    format!("{place} sends {what} elsewhere, and Liftlock does not follow."),
                )
                .remedy("Write the address that it sends to into “url” of [api] in the profile, if you trust it.")
                .detail(format!("{status} {to}")),
            ));
        }
        if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
            return Err(Trouble::Stays(
                Error::failed("api_denied", format!("{place} did not let Liftlock do that ({status})."))
                    .remedy("Check the token or password that [api] of the profile refers to, and what it may do. Then import again: it goes on.")
                    .detail(format!("{what}: {}", words())),
            ));
        }
        let passes = matches!(status.as_u16(), 408 | 425 | 429) || status.is_server_error();
        if passes && status != StatusCode::NOT_IMPLEMENTED {
            let error = Error::failed("api_paused", format!("{place} answered {status}."));
            return Err(Trouble::Passes(error.detail(format!("{what}: {}", words())), pause_of(headers)));
        }
        match status {
            StatusCode::NOT_FOUND | StatusCode::GONE => Ok(Said::Gone(words())),
            _ => Ok(Said::Refused(match words() {
                words if words.is_empty() => format!("the application answered {status}"),
                words => words,
            })),
        }
    }
}

/// How asking ended.
#[derive(Debug)]
pub(super) enum Answer<T> {
    /// It answered.
    Said(Said),
    /// No answer came, and yet it had arrived.
    Arrived(T),
}

/// How long the application asks to be left alone.
fn pause_of(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let until: DateTime<Utc> = DateTime::parse_from_rfc2822(text).ok()?.to_utc();
    (until - SystemClock.now()).to_std().ok()
}

/// What the application says is wrong: a short line that steers nothing and tells no secret.
fn words(body: &[u8], place: Option<&str>) -> String {
    let said = json::read(body).and_then(|it| json::complaint(&it, place));
    let text = said.unwrap_or_else(|| {
        let text = String::from_utf8_lossy(body);
        // A page for people tells a program nothing.
        let is_page = text.trim_start().starts_with('<');
        if is_page { String::new() } else { text.into_owned() }
    });
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let line = printable(&masked(&line));
    match line.char_indices().nth(SHOWN) {
        Some((at, _)) => format!("{}…", &line[..at]),
        None => line,
    }
}

/// Without user, password and query, any of which may be secret.
fn shown(url: &Url) -> String {
    let mut url = url.clone();
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.set_query(None);
    String::from(url).trim_end_matches('/').to_owned()
}

fn silent(message: String) -> Error {
    Error::failed("api_paused", message)
}

/// It was tried often enough: what came in stays, and the rest can follow.
fn paused(error: Error) -> Error {
    error.remedy("What came in until now is on record. See that the application runs and answers, then import again: it goes on from there.")
}

fn broken(place: &str, cause: reqwest::Error) -> Trouble {
    let cause = cause.without_url();
    if let Some(why) = crate::error::cause_of::<rustls::Error>(&cause) {
        let message = match why {
            rustls::Error::InvalidCertificate(_) => {
                format!("{place} could not prove who it is: its certificate was not accepted.")
            }
            _ => format!("No secure connection to {place} could be made."),
        };
        return Trouble::Stays(
            Error::failed("tls", message)
                .remedy("A private certificate authority must be named in [api] of the profile (“ca”).")
                .because(&cause),
        );
    }
    let message = match cause.is_connect() {
        true => format!("{place} takes no connection."),
        false => format!("{place} broke the connection off."),
    };
    Trouble::Passes(silent(message).because(&cause), None)
}

fn client(request: &HttpRequest) -> Result<Client> {
    let mut builder = http::client().no_proxy().connect_timeout(CONNECT);
    if request.url.scheme() == "http" {
        // Reading the system's certificates takes longer than the whole question.
        builder = builder.tls_certs_only([]);
    }
    http::made(builder, request.ca.as_deref())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_application_says_is_short_and_steers_nothing() {
        let said = |text: &str| words(text.as_bytes(), None);
        assert_eq!(said(r#"{"error":"no such customer"}"#), "no such customer");
        assert_eq!(said(r#"{"error":{"code":7,"message":"too\nlong"}}"#), "too long");
        assert_eq!(said(r#"{"detail":[{"loc":["body","email"],"msg":"field required"}]}"#), "email: field required");
        assert_eq!(said(r#"{"errors":{"price":["must be positive"]}}"#), "price: must be positive");
        assert_eq!(words(br#"{"a":{"b":"here"},"error":"not here"}"#, Some("a.b")), "here");
        assert_eq!(said("plain\u{1b}[31m words"), "plain\\u{1b}[31m words");
        assert_eq!(said("<html><body>oops</body></html>"), "");
        assert_eq!(said(&"x".repeat(5000)).chars().count(), SHOWN + 1);
    }

    #[test]
    fn a_pause_is_asked_for_in_seconds_or_until_a_moment() {
        let of = |text: &str| pause_of(&HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_str(text).unwrap())]));
        assert_eq!(of("7"), Some(Duration::from_secs(7)));
        assert_eq!(of("soon"), None);
        assert!(of("Tue, 14 Nov 2130 22:13:50 GMT").unwrap() > LONGEST_PAUSE);
    }
}
