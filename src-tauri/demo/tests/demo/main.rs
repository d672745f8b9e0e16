//! The demo as its users see it: commands in, one JSON document out, real PostgreSQL behind.

#![allow(clippy::unwrap_used, missing_debug_implementations, reason = "a test says what is wrong by panicking")]

mod releases;
mod shop;
mod shopper;
mod support;
mod world;
