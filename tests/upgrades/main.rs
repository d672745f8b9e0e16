//! The main job, proven: real upgrades of a real application by the real worker process, on real PostgreSQL, from
//! a real release server. Workers are killed, frozen, starved and cut off; after every run one judge looks at all
//! of it (`support/judge.rs`). Each test has a world of its own, so that two may run at a time.
//!
//! `LIFTLOCK_SEED` replays the sampled runs, `LIFTLOCK_LONG=1` runs what is sampled otherwise in full.

#![cfg(target_os = "linux")]
#![allow(dead_code, reason = "the support is there for all of the tests to come")]
#![allow(clippy::unwrap_used, reason = "a test that meets what it does not expect has found something")]

#[path = "../support/cluster.rs"]
mod cluster;
#[path = "../support/disk.rs"]
mod disk;
#[path = "../support/keychain.rs"]
mod keychain;
#[path = "../support/mariadb.rs"]
mod mariadb_server;
#[path = "../support/old_shop.rs"]
mod old_shop;
#[path = "../support/proxy.rs"]
mod proxy;
#[path = "../support/tagged.rs"]
mod tagged;
#[path = "../support/tds.rs"]
mod tds;
#[path = "../support/typed.rs"]
mod typed;

mod asked;
mod bad_input;
mod branch;
mod cut;
mod damaged;
mod export;
mod filaops;
mod foreign;
mod fresh;
mod frozen;
mod full;
mod handed;
mod hops;
mod import;
mod kept;
mod looked;
mod mariadb;
mod matrix;
mod newer;
mod power;
mod releases;
mod restored;
mod returned;
mod rivals;
mod rows;
mod rows_of_backups;
mod secrets;
mod sqlserver;
mod stranded;
mod struck;
mod struck_leaving;
mod support;
mod through;
mod tonight;
mod unattended;
mod watched;
