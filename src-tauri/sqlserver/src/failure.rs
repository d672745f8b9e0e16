//! What went wrong, as one line of JSON: its kind, what the server calls it, and its words. Never a secret.

use std::io::{self, ErrorKind};

use serde::Serialize;
use tiberius::error::Error;

/// The reason for which a session ended.
#[derive(Debug, Serialize)]
pub(crate) struct Failure {
    kind: &'static str,
    /// The number that the server gives it.
    #[serde(skip_serializing_if = "Option::is_none")]
    number: Option<u32>,
    message: String,
}

impl Failure {
    fn new(kind: &'static str, message: impl Into<String>) -> Self {
        Self { kind, number: None, message: message.into() }
    }

    /// What was asked cannot be read. Its words may hold a secret, so only the place is told.
    pub(crate) fn bad_request(cause: &serde_json::Error) -> Self {
        Self::new("bad_request", format!("line {}, column {}", cause.line(), cause.column()))
    }

    /// The name of the server leads nowhere.
    pub(crate) fn unknown_host(cause: &io::Error) -> Self {
        Self::new("dns", cause.to_string())
    }

    /// The browser of instances did not answer, or knows no such one.
    pub(crate) fn unknown_instance(cause: &Error) -> Self {
        Self::new("instance", cause.to_string())
    }

    /// A value that has no exact form here.
    pub(crate) fn value(message: impl Into<String>) -> Self {
        Self::new("value", message)
    }

    pub(crate) fn io(cause: &io::Error) -> Self {
        Self::new(kind_of(cause.kind()), cause.to_string())
    }

    pub(crate) fn line(&self) -> String {
        serde_json::to_string(self).unwrap_or_else(|_| self.kind.to_owned())
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match &error {
            Error::Server(told) => {
                Self { kind: "server", number: Some(told.code()), message: told.message().to_owned() }
            }
            Error::Io { kind, message } => Self::new(kind_of(*kind), message.as_str()),
            // What follows is for whoever writes programs.
            Error::Tls(message) => {
                let kind = if message.contains("certificate was rejected") { "certificate" } else { "tls" };
                Self::new(kind, message.split(" To connect anyway").next().unwrap_or_default())
            }
            Error::Protocol(words) if words.contains("encryption level") => Self::new("not_offered", words.as_ref()),
            Error::Protocol(words) if words.contains("requested instance") => Self::new("instance", words.as_ref()),
            Error::Utf8 | Error::Utf16 | Error::Encoding(_) => Self::new("text", error.to_string()),
            _ => Self::new("protocol", error.to_string()),
        }
    }
}

fn kind_of(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::ConnectionRefused => "refused",
        ErrorKind::TimedOut | ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable => "timeout",
        // No certificate where there should be one, or no record of TLS.
        ErrorKind::InvalidData | ErrorKind::InvalidInput => "tls",
        _ => "lost",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn advice_for_programmers_is_left_out_and_the_kind_is_told() {
        let words = "the server's certificate was rejected during the TLS handshake: unknown issuer. To connect anyway you can: (1)";
        let failure = Failure::from(Error::Tls(words.into()));
        assert_eq!(
            failure.line(),
            r#"{"kind":"certificate","message":"the server's certificate was rejected during the TLS handshake: unknown issuer."}"#
        );
        let lost = Error::Io { kind: ErrorKind::UnexpectedEof, message: "eof".into() };
        assert_eq!(Failure::from(lost).kind, "lost");
    }
}
