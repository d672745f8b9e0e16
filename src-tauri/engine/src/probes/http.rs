//! Asking over HTTP.

use std::{error::Error as StdError, io, time::Duration};

use reqwest::{Client, Response, StatusCode};
use serde_json::Value;
use tokio::time;
use url::Url;

use super::{Credentials, Field, HttpRequest, disk_full, mentions_full_disk, net};
use crate::error::{Error, Result};
use crate::http;
use crate::process::printable;

/// A longer answer is not read on: health is told in few words.
const LONGEST_ANSWER: usize = 1024 * 1024;

pub(super) fn probe(request: &HttpRequest, status: u16, field: Option<&Field>, timeout: Duration) -> Result<()> {
    let answer = fetch(request, timeout)?;
    answer.expect(status)?;
    match field {
        Some(field) => answer.expect_field(field),
        None => Ok(()),
    }
}

/// What a server answered.
#[derive(Debug)]
pub(super) struct Answer {
    place: String,
    status: StatusCode,
    body: Vec<u8>,
}

/// An address to be shown: without user, password, query and fragment, any of which may be secret.
pub(super) fn plain(url: &Url) -> String {
    let mut url = url.clone();
    // These fail for addresses that cannot have them, which then have nothing to hide.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.set_query(None);
    url.set_fragment(None);
    url.into()
}

/// Asks, and waits for the whole answer.
pub(super) fn fetch(request: &HttpRequest, timeout: Duration) -> Result<Answer> {
    let place = plain(&request.url);
    http::converse("probe", async || {
        time::timeout(timeout, ask(request, &place)).await.unwrap_or_else(|_| Err(net::late(&place, timeout)))
    })
}

async fn ask(request: &HttpRequest, place: &str) -> Result<Answer> {
    let host = request.url.host_str().unwrap_or_default();
    let addresses = net::addresses(host, request.url.port_or_known_default().unwrap_or(80)).await?;
    let client = client(request, host, &addresses)?;
    let mut builder = client.get(request.url.clone()).header("accept", "application/json, */*;q=0.5");
    match &request.credentials {
        Some(Credentials::Basic { user, password }) => builder = builder.basic_auth(user, Some(password.expose())),
        Some(Credentials::Bearer(token)) => builder = builder.bearer_auth(token.expose()),
        None => {}
    }
    let mut response: Response = builder.send().await.map_err(|cause| broken(place, cause))?;
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|cause| broken(place, cause))? {
        body.extend_from_slice(&chunk);
        if body.len() > LONGEST_ANSWER {
            return Err(Error::failed("bad_body", format!("The answer of {place} is too long to be about health."))
                .remedy("Check the address of this probe in the profile."));
        }
    }
    Ok(Answer { place: place.to_owned(), status: response.status(), body })
}

fn client(request: &HttpRequest, host: &str, addresses: &[std::net::SocketAddr]) -> Result<Client> {
    let mut builder = http::client().no_proxy().resolve_to_addrs(host, addresses);
    if request.url.scheme() == "http" {
        // Reading the system's certificates takes longer than the whole question, and time away with it.
        builder = builder.tls_certs_only([]);
    }
    http::made(builder, request.ca.as_deref())
}

fn broken(place: &str, cause: reqwest::Error) -> Error {
    // The address in the error may hold a secret.
    let cause = cause.without_url();
    if let Some(why) = cause_of::<rustls::Error>(&cause) {
        let message = match why {
            rustls::Error::InvalidCertificate(_) => {
                format!("{place} could not prove who it is: its certificate was not accepted.")
            }
            _ => format!("No secure connection to {place} could be made."),
        };
        let remedy = "Check the date of this computer and the certificate of the application. A private certificate \
                      authority must be named in the profile (“ca”).";
        return Error::failed("tls", message).remedy(remedy).because(&cause);
    }
    match cause_of::<io::Error>(&cause) {
        Some(why) => net::broken(place, &io::Error::new(why.kind(), why.to_string())),
        None => Error::failed("connection_cut", format!("{place} broke the connection off."))
            .remedy("Look at the log of the application: it may have ended just then.")
            .because(&cause),
    }
}

/// The innermost cause of this type: inner ones know more.
fn cause_of<'a, E: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a E> {
    let mut found = None;
    let mut next = Some(error);
    while let Some(cause) = next {
        found = cause.downcast_ref::<E>().or(found);
        // An io::Error hides what it wraps from the chain of causes.
        next = match cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(inner) => Some(inner as &(dyn StdError + 'static)),
            None => cause.source(),
        };
    }
    found
}

impl Answer {
    /// That it came with this status.
    pub(super) fn expect(&self, status: u16) -> Result<()> {
        if self.status.as_u16() == status {
            return Ok(());
        }
        let place = &self.place;
        let text = String::from_utf8_lossy(&self.body);
        if self.status == StatusCode::INSUFFICIENT_STORAGE || mentions_full_disk(&text) {
            return Err(disk_full(place));
        }
        if matches!(self.status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
            return Err(Error::failed("auth_failed", format!("{place} did not let Liftlock in ({}).", self.status))
                .remedy("Check the user, password or token that the profile refers to: it may have changed."));
        }
        let mut error = Error::failed("http_status", format!("{place} answered {}, not {status}.", self.status))
            .remedy(if self.status.is_server_error() {
                "Look at the log of the application: it runs, but something in it fails."
            } else {
                "Check the address of this probe in the profile, and the log of the application."
            });
        if let Some(line) = text.lines().find(|line| !line.trim().is_empty()) {
            error = error.detail(printable(line).chars().take(200).collect::<String>());
        }
        Err(error)
    }

    /// That a field of the JSON answer is there and says what it should.
    pub(super) fn expect_field(&self, field: &Field) -> Result<()> {
        let found = self.field(&field.path)?;
        match &field.equals {
            Some(wanted) if *wanted != found => Err(self.bad_body(&format!(
                "says {} = “{}” instead of “{}”",
                field.path,
                printable(&found).chars().take(100).collect::<String>(),
                printable(wanted)
            ))),
            _ => Ok(()),
        }
    }

    /// A field of the JSON answer, as JSON writes it, a text without its quotes.
    pub(super) fn field(&self, path: &str) -> Result<String> {
        let json: Value =
            serde_json::from_slice(&self.body).map_err(|cause| self.bad_body("is not JSON").because(&cause))?;
        match field(&json, path) {
            None => Err(self.bad_body(&format!("has no field {path}"))),
            Some(Value::String(text)) => Ok(text.clone()),
            Some(other) => Ok(other.to_string()),
        }
    }

    fn bad_body(&self, fault: &str) -> Error {
        if mentions_full_disk(&String::from_utf8_lossy(&self.body)) {
            return disk_full(&self.place);
        }
        Error::failed("bad_body", format!("The answer of {} {fault}.", self.place))
            .remedy("Look at the log of the application, and check this probe in the profile.")
    }
}

fn field<'j>(json: &'j Value, path: &str) -> Option<&'j Value> {
    path.split('.').try_fold(json, |value, part| match value {
        Value::Object(map) => map.get(part),
        Value::Array(list) => list.get(part.parse::<usize>().ok()?),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_found_through_objects_and_arrays() {
        let json = serde_json::json!({ "a": { "b": [{ "c": 1.5 }] }, "d": null });
        assert_eq!(field(&json, "a.b.0.c"), Some(&serde_json::json!(1.5)));
        assert_eq!(field(&json, "d"), Some(&Value::Null));
        for absent in ["a.x", "a.b.1", "a.b.c", "d.e", ""] {
            assert_eq!(field(&json, absent), None, "{absent}");
        }
    }

    #[test]
    fn an_address_is_shown_without_what_may_be_secret() {
        let url = Url::parse("https://user:hunter2@shop.lan:8443/health?token=hunter2#x").unwrap();
        assert_eq!(plain(&url), "https://shop.lan:8443/health");
    }
}
