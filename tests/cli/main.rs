//! The command line as a program: the real binary, a real home, its words and its documents.
//!
//! Rows of upgrades are written through the engine, as a worker writes them. Instants, ids, process numbers and
//! the home's path are replaced before anything is compared.

#![allow(clippy::unwrap_used, reason = "what cannot be set up fails its test")]

mod change;
mod damaged;
mod errors;
mod follow;
mod help;
#[cfg(target_os = "linux")]
#[path = "../support/keychain.rs"]
mod keychain;
mod lock;
mod notice;
mod read;
mod support;
mod token;
mod whole;
mod worker;
