//! The PostgreSQL store against real servers.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "../support/cluster.rs"]
mod cluster;

mod postgres_aside;
mod postgres_dump;
mod postgres_support;
