//! The PostgreSQL store against real servers.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[cfg(target_os = "linux")]
#[path = "../support/alone.rs"]
mod alone;
#[path = "../support/cluster.rs"]
mod cluster;
#[path = "../support/erp.rs"]
mod erp;
#[path = "../support/proxy.rs"]
mod proxy;

mod postgres_aside;
mod postgres_backups;
mod postgres_bytes;
mod postgres_documents;
mod postgres_dump;
mod postgres_export;
mod postgres_faults;
mod postgres_import;
mod postgres_keyless;
mod postgres_kit;
mod postgres_memory;
mod postgres_newer;
mod postgres_probe;
mod postgres_shown;
mod postgres_store;
mod postgres_support;
mod postgres_there;
mod postgres_whole;
mod postgres_workbook;
