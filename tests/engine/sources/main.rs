//! Exports of databases other than PostgreSQL, with every value that is easily lost on the way: each a real one, save SQL
//! Server, for which there is a stand-in on the wire.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[cfg(target_os = "linux")]
#[path = "../../support/alone.rs"]
mod alone;
#[cfg(target_os = "linux")]
mod mariadb;
#[cfg(target_os = "linux")]
#[path = "../../support/mariadb.rs"]
mod mariadb_server;
mod sqlite;
mod sqlserver;
mod support;
#[path = "../../support/tds.rs"]
mod tds;
