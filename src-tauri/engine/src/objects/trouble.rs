//! What can go wrong with storage of objects, and whether it is worth another attempt.

use std::io;

use chrono::{DateTime, TimeDelta};
use reqwest::StatusCode;
use reqwest::header::{DATE, HeaderMap};

use crate::clock::SystemClock;
use crate::error::{Error, cause_of};
use crate::ports::Clock;

/// Servers take a request whose time is further from theirs for a recorded one.
const SKEW: TimeDelta = TimeDelta::minutes(10);

/// An error, and whether it may pass by itself.
#[derive(Debug)]
pub(super) struct Trouble {
    pub(super) error: Error,
    pub(super) passes: bool,
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        Self { error, passes: false }
    }
}

/// The words in which storage says what is wrong.
fn between<'t>(text: &'t str, from: &str, until: &str) -> Option<&'t str> {
    let rest = &text[text.find(from)? + from.len()..];
    Some(&rest[..rest.find(until)?])
}

/// The name that the answer gives to what is wrong.
pub(super) fn code(body: &str) -> &str {
    between(body, "<Code>", "</Code>").unwrap_or_default()
}

/// The server answered, but did not do it.
pub(super) fn refused(place: &str, status: StatusCode, headers: &HeaderMap, body: &str) -> Trouble {
    let code = code(body);
    let said = between(body, "<Message>", "</Message>").unwrap_or_default();
    let trouble = |class, message: String, remedy: &str| {
        Error::failed(class, message).remedy(remedy).detail(format!("{status} {code} {said}").trim_end())
    };
    let is_skewed = matches!(code, "RequestTimeTooSkewed" | "RequestExpired");
    let error = if is_skewed || (status == StatusCode::FORBIDDEN && clock_is_off(headers)) {
        trouble(
            "storage_clock",
            format!("{place} does not believe this computer's clock."),
            "Set the date and time of this computer, best from the network, then try again.",
        )
    } else if matches!(code, "InvalidAccessKeyId" | "NotSignedUp" | "SignatureDoesNotMatch") {
        trouble(
            "storage_key",
            format!("{place} does not know this access key, or its secret is another one."),
            "Check the id and the secret, then choose it again: `liftlock backup copy --to s3://… --key-id ID --key-from PLACE`.",
        )
    } else if code == "NoSuchBucket" {
        trouble(
            "storage_no_bucket",
            format!("There is no such bucket any more: {place}."),
            "Make it at your provider, or choose another one: `liftlock backup copy --to s3://BUCKET/FOLDER`.",
        )
    } else if status.is_redirection() || matches!(code, "AuthorizationHeaderMalformed" | "PermanentRedirect") {
        trouble(
            "storage_elsewhere",
            format!("The bucket of {place} is in another region, or at another address."),
            "Look at your provider where it is, and say so with --region and --endpoint.",
        )
    } else if status == StatusCode::INSUFFICIENT_STORAGE || is_full(code) {
        trouble(
            "storage_full",
            format!("{place} has no room left for this copy."),
            "Book more room, or keep fewer copies: `liftlock settings keep_copies 5`. Then copy again.",
        )
    } else if status == StatusCode::FORBIDDEN || status == StatusCode::UNAUTHORIZED {
        trouble(
            "storage_denied",
            format!("This access key may not do that in {place}."),
            "Give it the right to list the bucket and to read, write and delete in it, then try again.",
        )
    } else if status.is_server_error() || matches!(code, "SlowDown" | "RequestTimeout") {
        let error = trouble(
            "storage_error",
            format!("The server of {place} has a problem of its own."),
            "Try again later. What was copied so far is gone on with.",
        );
        return Trouble { error, passes: status != StatusCode::NOT_IMPLEMENTED };
    } else {
        trouble("storage_error", format!("{place} did not do what was asked."), "Look at what it said, then try again.")
    };
    Trouble { error, passes: false }
}

fn is_full(code: &str) -> bool {
    let full = ["QuotaExceeded", "InsufficientCapacity", "StorageFull", "AccountProblem", "EntityTooLarge"];
    full.iter().any(|it| code.ends_with(it))
}

fn clock_is_off(headers: &HeaderMap) -> bool {
    let told = headers.get(DATE).and_then(|it| it.to_str().ok());
    let theirs = told.and_then(|it| DateTime::parse_from_rfc2822(it).ok());
    theirs.is_some_and(|it| (SystemClock.now() - it.to_utc()).abs() > SKEW)
}

/// A request or an answer broke off.
pub(super) fn broken(place: &str, cause: reqwest::Error) -> Trouble {
    // What stands in the address is signed, and good for whoever has it.
    let cause = cause.without_url();
    if let Some(why) = cause_of::<rustls::Error>(&cause) {
        let message = match why {
            rustls::Error::InvalidCertificate(_) => {
                format!("The server of {place} could not prove who it is: its certificate was not accepted.")
            }
            _ => format!("No secure connection to the server of {place} could be made."),
        };
        let error = Error::failed("storage_tls", message).remedy(
            "Check the date of this computer. If the server has a certificate authority of its own, add that to the system's.",
        );
        return Trouble { error: error.because(&cause), passes: false };
    }
    let refuses = cause_of::<io::Error>(&cause).is_some_and(|it| it.kind() == io::ErrorKind::ConnectionRefused);
    let error = if cause.is_connect() || refuses {
        Error::failed("storage_unreachable", format!("The server of {place} cannot be reached."))
            .remedy("Check the network connection and the address of the server. The copy is made up for.")
    } else {
        Error::failed("storage_cut", format!("The connection to the server of {place} broke off."))
            .remedy("Copy again: what is there already is not sent again. It is made up for by itself, too.")
    };
    Trouble { error: error.because(&cause), passes: true }
}

/// The server said nothing for too long.
pub(super) fn silent(place: &str) -> Trouble {
    let error = Error::failed("storage_silent", format!("The server of {place} said nothing for too long."))
        .remedy("Check the network connection, then copy again: what is there already is not sent again.");
    Trouble { error, passes: true }
}

/// The answer is not what S3 says.
pub(super) fn unread(place: &str, why: impl std::fmt::Display) -> Trouble {
    Error::failed("storage_unread", format!("The server of {place} sent an answer that cannot be read."))
        .remedy("Check that the address is that of storage that speaks S3.")
        .detail(why.to_string())
        .into()
}

/// Key and id of each upload in a list of those that were not ended.
pub(super) fn uploads(body: &str) -> Vec<(String, String)> {
    let one = |text: &str| {
        let key = between(text, "<Key>", "</Key>")?;
        Some((key.to_owned(), between(text, "<UploadId>", "</UploadId>")?.to_owned()))
    };
    body.split("<Upload>").skip(1).filter_map(one).collect()
}
