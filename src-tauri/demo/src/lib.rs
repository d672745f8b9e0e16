//! The outside world that Liftlock is tried on: Corner Shop, its release server, its shopper.
//!
//! Nothing in here knows the engine, so that what the engine claims is judged from outside.
//! Deliberately absent: anything a real shop would need and an upgrade would not notice
//! (payment, accounts, sessions).

pub mod catalogue;
pub mod shop;

pub mod archive;
pub mod bring_down;
pub mod bring_up;
pub mod cluster;
pub mod content;
pub mod detached;
pub mod docker;
pub mod fault;
pub mod http;
pub mod place;
pub mod publish;
pub mod seed;
pub mod server;
pub mod shopper;
pub mod socket;
pub mod stand_in;
