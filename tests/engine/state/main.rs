//! Liftlock's own state on a real disk: who may work, what a stale worker can still write, how long an end is
//! shown, and files of other versions. Races are between real processes: this binary, started again.

#![allow(clippy::unwrap_used, reason = "what cannot be set up fails its test")]

mod backups;
mod completion;
mod journal;
mod lease;
#[cfg(target_os = "linux")]
mod memory;
mod places;
mod scheduled;
mod schema;
mod shop;
mod storage;
mod support;
mod unattended;
