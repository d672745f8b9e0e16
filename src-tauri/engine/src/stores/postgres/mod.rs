//! PostgreSQL databases, through the server's own tools.
//!
//! `psql`, `pg_dump` and `pg_restore` of the server's major version are the only way to a server, so what works
//! here works in a container and over a network too. A database is known by the system identifier of its
//! cluster and its object id, never by its name alone. Nothing is restored over something, and nothing live is
//! dropped. Deliberately absent: a driver of our own, restores through psql, and trust in exit codes alone.

pub mod answer;
pub mod aside;
pub mod client;
pub mod compare;
mod contents;
pub mod dump;
mod empty;
pub mod facts;
mod foreign;
mod globals;
mod intake;
pub mod inventory;
pub mod lease;
mod look;
mod moved;
pub mod quote;
pub mod restore;
pub mod scratch;
pub mod session;
mod source;
mod store;
mod tables;
pub mod tools;
pub mod work;

pub(in crate::stores) use answer::described;
pub use aside::{Aside, AsideState};
pub use client::{Client, Server, SslMode};
pub use compare::{Change, compare_counts};
pub use dump::{Dump, dump};
pub use facts::Facts;
pub use inventory::count;
pub use lease::{LeaseSession, hold_lease};
pub use restore::restore_live;
pub use scratch::Scratch;
pub use session::Session;
pub(in crate::stores) use session::{Shared, Statements};
pub use store::{Inside, PostgresStore};
pub use tools::Tools;
pub use work::Work;
