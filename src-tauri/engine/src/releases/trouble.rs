//! What can go wrong on the line, and whether it is worth another attempt.

use std::{io, net::UdpSocket, time::Duration};

use chrono::{DateTime, Local, Utc};
use reqwest::{
    StatusCode, Url,
    header::{DATE, HeaderMap, RETRY_AFTER},
};

use crate::error::{Error, cause_of};

/// When to try again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Again {
    Never,
    Soon,
    /// Not before this has passed, by the server's own word.
    After(Duration),
}

/// An error, and whether it may pass by itself.
#[derive(Debug)]
pub(super) struct Trouble {
    pub(super) error: Error,
    pub(super) again: Again,
}

impl Trouble {
    pub(super) fn final_(error: Error) -> Self {
        Self { error, again: Again::Never }
    }
    pub(super) fn passing(error: Error) -> Self {
        Self { error, again: Again::Soon }
    }
}

/// The name of a host could not be looked up. Our own type, so that it is found in a chain of causes.
#[derive(Debug)]
pub(super) struct LookupFailed(pub(super) io::Error);

impl std::fmt::Display for LookupFailed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the name could not be looked up: {}", self.0)
    }
}

impl std::error::Error for LookupFailed {}

pub(super) fn host(url: &Url) -> String {
    let name = url.host_str().unwrap_or("without a name");
    url.port().map_or_else(|| name.to_owned(), |port| format!("{name}:{port}"))
}

/// The server said nothing for too long.
pub(super) fn silent(url: &Url, waited: Duration) -> Trouble {
    let message = format!("The release server {} said nothing for {} seconds.", host(url), waited.as_secs_f32());
    Trouble::passing(
        Error::failed("timeout", message).remedy("Try again later. If it stays so, look at the network connection."),
    )
}

/// A request or a body broke off.
pub(super) fn broken(cause: reqwest::Error, url: &Url) -> Trouble {
    // The address in the error may hold the signature of a download.
    let cause = cause.without_url();
    let host = host(url);
    if cause_of::<LookupFailed>(&cause).is_some() {
        let error = if has_route() {
            Error::failed("dns", format!("The release server {host} could not be found by its name."))
                .remedy("Check its name in the profile, and whether other sites can be reached.")
        } else {
            offline()
        };
        return Trouble::passing(error.because(&cause));
    }
    if let Some(why) = cause_of::<rustls::Error>(&cause) {
        let message = match why {
            rustls::Error::InvalidCertificate(_) => {
                format!("The release server {host} could not prove who it is: its certificate was not accepted.")
            }
            _ => format!("No secure connection to the release server {host} could be made."),
        };
        let remedy = "Check the date of this computer. If a company network or a private server has its own \
                      certificate authority, name its file in the profile.";
        return Trouble::final_(Error::failed("tls", message).remedy(remedy).because(&cause));
    }
    let kind = cause_of::<io::Error>(&cause).map(io::Error::kind);
    let error = match kind {
        Some(io::ErrorKind::NetworkUnreachable | io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkDown)
            if !has_route() =>
        {
            offline()
        }
        Some(io::ErrorKind::NetworkUnreachable | io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkDown) => {
            Error::failed("unreachable", format!("There is no way to the release server {host} from here."))
                .remedy("Check the network connection, a firewall, or a VPN that it may need.")
        }
        Some(io::ErrorKind::ConnectionRefused) => {
            Error::failed("connection_refused", format!("The release server {host} is down: it takes no connection."))
                .remedy("Try again later. The application runs on as it is.")
        }
        _ if cause.is_timeout() => {
            Error::failed("timeout", format!("The release server {host} did not answer in time."))
                .remedy("Try again later. If it stays so, look at the network connection.")
        }
        _ => Error::failed("connection_cut", format!("The connection to the release server {host} broke off."))
            .remedy("Try again later. If it stays so, look at the network connection."),
    };
    Trouble::passing(error.because(&cause))
}

fn offline() -> Error {
    Error::failed("offline", "This computer is not connected to a network.")
        .remedy("Connect it, then try again. The application runs on as it is.")
}

/// Whether a packet to anywhere would leave this machine. Asks the routing table; nothing is sent.
fn has_route() -> bool {
    // Addresses kept for documentation: no one has them, and the default route leads there.
    [("0.0.0.0:0", "192.0.2.1:9"), ("[::]:0", "[2001:db8::1]:9")]
        .iter()
        .any(|(from, to)| UdpSocket::bind(from).and_then(|socket| socket.connect(to)).is_ok())
}

/// The server answered with a status that is no answer.
pub(super) fn status(status: StatusCode, headers: &HeaderMap, url: &Url, now: DateTime<Utc>) -> Trouble {
    let host = host(url);
    let pause = pause_asked(headers, now);
    let spent = headers.get("x-ratelimit-remaining").is_some_and(|it| it.as_bytes() == b"0");
    match status {
        StatusCode::TOO_MANY_REQUESTS => rate_limited(&host, pause, now),
        StatusCode::FORBIDDEN if spent || headers.contains_key(RETRY_AFTER) => rate_limited(&host, pause, now),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Trouble::final_(
            Error::failed("auth_failed", format!("The release server {host} did not let us in ({status})."))
                .remedy("If the repository is private, check the token in the settings: it may have expired."),
        ),
        _ if status.is_server_error() || status == StatusCode::REQUEST_TIMEOUT => Trouble {
            error: Error::failed("server_error", format!("The release server {host} has a problem ({status})."))
                .remedy("Try again later. The application runs on as it is."),
            again: pause.map_or(Again::Soon, Again::After),
        },
        _ => Trouble::final_(
            Error::failed("http_status", format!("The release server {host} answered with {status}."))
                .remedy("Check the address of the releases in the profile."),
        ),
    }
}

fn rate_limited(host: &str, pause: Option<Duration>, now: DateTime<Utc>) -> Trouble {
    // GitHub's advice where it names no time is to wait a minute at least.
    let pause = pause.unwrap_or(Duration::from_secs(60));
    let at = now + pause;
    let message = format!(
        "The release server {host} takes no more questions for now. Liftlock will ask again in {}, at {}.",
        in_words(pause),
        at.with_timezone(&Local).format("%H:%M")
    );
    let error = Error::failed("rate_limited", message)
        .remedy("Wait until then. A token in the settings raises the limit.")
        .detail(format!("retry_at {}", at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)));
    Trouble { error, again: Again::After(pause) }
}

/// How long the server asks to be left alone. Its own clock counts where it tells it, because ours may be wrong.
fn pause_asked(headers: &HeaderMap, now: DateTime<Utc>) -> Option<Duration> {
    let text = |name: &str| headers.get(name).and_then(|it| it.to_str().ok()).map(str::trim);
    let date = |text: &str| DateTime::parse_from_rfc2822(text).ok().map(|it| it.with_timezone(&Utc));
    let now = text(DATE.as_str()).and_then(date).unwrap_or(now);
    let until = |then: DateTime<Utc>| (then - now).to_std().unwrap_or_default();
    let pause = if let Some(after) = text(RETRY_AFTER.as_str()) {
        after.parse().map(Duration::from_secs).ok().or_else(|| date(after).map(until))
    } else if text("x-ratelimit-remaining") == Some("0") {
        let reset = text("x-ratelimit-reset").and_then(|it| it.parse().ok());
        reset.and_then(|at| DateTime::from_timestamp(at, 0)).map(until)
    } else {
        None
    };
    // A server with a broken clock must not silence us for ever.
    pause.map(|it| it.clamp(Duration::from_secs(1), Duration::from_secs(24 * 3600)))
}

fn in_words(pause: Duration) -> String {
    match pause.as_secs() {
        0..=1 => "1 second".into(),
        seconds @ 2..=89 => format!("{seconds} seconds"),
        seconds @ 90..=5399 => format!("{} minutes", seconds.div_ceil(60)),
        seconds => format!("{} hours", seconds.div_ceil(3600)),
    }
}

/// The server answered, but not what was asked for.
pub(super) fn bad_body(url: &Url, why: &str) -> Trouble {
    let message = format!("The release server {} sent an answer that cannot be read: {why}.", host(url));
    Trouble::passing(
        Error::failed("bad_body", message)
            .remedy("Check the address of the releases in the profile. If it is right, try again later."),
    )
}

/// A redirect that is not followed.
pub(super) fn bad_redirect(class: &'static str, url: &Url, why: &str) -> Trouble {
    let message = format!("The release server {} points to another address that was not followed: {why}.", host(url));
    Trouble::final_(Error::failed(class, message).remedy("Check the address of the releases in the profile."))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(seconds, 0).unwrap()
    }

    #[test]
    fn the_time_of_the_reset_is_measured_by_the_servers_clock() {
        let year = 365 * 24 * 3600;
        let told = headers(&[
            ("x-ratelimit-remaining", "0"),
            ("x-ratelimit-reset", "1700000600"),
            ("date", "Tue, 14 Nov 2023 22:13:20 GMT"),
        ]);
        for our_clock in [at(1_700_000_000), at(1_700_000_000 + year), at(1_700_000_000 - year)] {
            assert_eq!(pause_asked(&told, our_clock), Some(Duration::from_secs(600)));
        }
    }

    #[test]
    fn retry_after_is_read_as_seconds_and_as_a_date() {
        assert_eq!(pause_asked(&headers(&[("retry-after", "7")]), at(0)), Some(Duration::from_secs(7)));
        let dated = headers(&[("retry-after", "Tue, 14 Nov 2023 22:13:50 GMT")]);
        assert_eq!(pause_asked(&dated, at(1_700_000_000)), Some(Duration::from_secs(30)));
        assert_eq!(pause_asked(&headers(&[("retry-after", "soon")]), at(0)), None);
        let never = headers(&[("retry-after", "99999999999")]);
        assert_eq!(pause_asked(&never, at(0)), Some(Duration::from_secs(24 * 3600)));
    }

    #[test]
    fn forbidden_is_a_rate_limit_only_where_the_server_says_so() {
        let url = Url::parse("https://api.example.org").unwrap();
        let class =
            |code: StatusCode, told: &[(&'static str, &str)]| status(code, &headers(told), &url, at(0)).error.class;
        assert_eq!(class(StatusCode::FORBIDDEN, &[]), "auth_failed");
        assert_eq!(class(StatusCode::FORBIDDEN, &[("retry-after", "3")]), "rate_limited");
        assert_eq!(class(StatusCode::FORBIDDEN, &[("x-ratelimit-remaining", "0")]), "rate_limited");
        assert_eq!(class(StatusCode::FORBIDDEN, &[("x-ratelimit-remaining", "12")]), "auth_failed");
        assert_eq!(class(StatusCode::TOO_MANY_REQUESTS, &[]), "rate_limited");
        assert_eq!(class(StatusCode::IM_A_TEAPOT, &[]), "http_status");
    }
}
