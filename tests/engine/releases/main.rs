//! Releases as servers really answer them, and archives as strangers really pack them.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod archives;
mod attestations;
mod fetching;
mod listing;
mod manifests;
mod pinning;
#[cfg(unix)]
mod position;
mod rounds;
mod server;
mod sources;
mod tags;
mod tls;
