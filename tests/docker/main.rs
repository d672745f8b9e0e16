//! Upgrades in containers, on a real Docker engine of their own with images made here.
//!
//! `LIFTLOCK_SEED` replays the sampled runs, `LIFTLOCK_LONG=1` runs what is sampled otherwise in full.

#![cfg(target_os = "linux")]
#![allow(dead_code, reason = "the support is shared with the tests of the native driver")]
#![allow(clippy::unwrap_used, reason = "a test that meets what it does not expect has found something")]

#[path = "../support/disk.rs"]
mod disk;
#[path = "../support/docker.rs"]
mod docker;
#[path = "../support/typed.rs"]
mod typed;

mod built;
mod closed;
mod demo;
mod engine;
mod filaops;
mod full;
mod habits;
mod moved;
mod nodes;
mod page;
mod registry;
mod start_first;
mod struck;
mod support;
mod swarm;
mod upgrades;
mod variants;
mod volumes;
