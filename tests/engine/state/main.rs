//! Liftlock's own state on a real disk: who may work, what a stale worker can still write, how long an end is
//! shown, and files of other versions. Races are between real processes: this binary, started again.

#![allow(clippy::unwrap_used, reason = "what cannot be set up fails its test")]

#[cfg(target_os = "linux")]
#[path = "../../support/alone.rs"]
mod alone;
#[cfg(target_os = "linux")]
#[path = "../../support/keychain.rs"]
mod keychain;

mod backups;
mod completion;
mod journal;
mod lease;
#[cfg(target_os = "linux")]
mod memory;
mod places;
mod scheduled;
mod schema;
mod sealing;
mod shop;
mod storage;
mod support;
mod unattended;
