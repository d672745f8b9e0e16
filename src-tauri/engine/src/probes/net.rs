//! Names, addresses and connections, each within its time.

use std::{io, net::SocketAddr, time::Duration};

use tokio::{net::TcpStream, time};

use crate::error::{Error, Result};
use crate::http;

pub(super) fn probe(host: &str, port: u16, timeout: Duration) -> Result<()> {
    http::converse("probe", async || {
        let place = format!("{host}, port {port},");
        time::timeout(timeout, connect(host, port)).await.unwrap_or_else(|_| Err(late(&place, timeout)))
    })
}

async fn connect(host: &str, port: u16) -> Result<()> {
    let addresses = addresses(host, port).await?;
    TcpStream::connect(&*addresses).await.map(drop).map_err(|cause| broken(&format!("{host}, port {port},"), &cause))
}

/// The addresses of a host; at least one.
pub(super) async fn addresses(host: &str, port: u16) -> Result<Vec<SocketAddr>> {
    let unknown = || {
        Error::failed("dns", format!("There is no computer called {host}."))
            .remedy("Check the name in the profile, and that this computer is connected to its network.")
    };
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let found = tokio::net::lookup_host((bare, port)).await.map_err(|cause| unknown().because(&cause))?;
    let found: Vec<SocketAddr> = found.collect();
    if found.is_empty() { Err(unknown()) } else { Ok(found) }
}

/// `place` did not answer in time.
pub(super) fn late(place: &str, timeout: Duration) -> Error {
    Error::failed("timeout", format!("{place} did not answer within {} seconds.", timeout.as_secs_f32())).remedy(
        "Look at the log of the application for what it is busy with. A firewall may also swallow the question.",
    )
}

/// A connection that did not come about or broke off.
pub(super) fn broken(place: &str, cause: &io::Error) -> Error {
    match cause.kind() {
        io::ErrorKind::ConnectionRefused => Error::failed("connection_refused", format!("{place} takes no connection."))
            .remedy("The application does not run or listens elsewhere: look at its log, and compare the port with its settings."),
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable | io::ErrorKind::NetworkDown => {
            Error::failed("unreachable", format!("There is no way to {place}")).remedy("Check the network connection.")
        }
        _ => Error::failed("connection_cut", format!("{place} broke the connection off."))
            .remedy("Look at the log of the application: it may have ended just then."),
    }
    .because(cause)
}
