//! Exports of databases other than PostgreSQL, each a real one, with every value that is easily lost on the way.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod sqlite;
mod support;
