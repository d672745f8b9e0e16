//! The real window on a real shop: the program as it is shipped, on a screen and a session bus of its own, driven as a
//! person drives it.
//!
//! The driver attaches to the program instead of starting it, so a test may kill the program, start it twice or look
//! on while it goes to the tray. Tray and notifications are the ones that the desktop would be told.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "what cannot be set up fails its test")]

#[path = "../support/mariadb.rs"]
mod mariadb_server;
#[path = "../support/old_shop.rs"]
mod old_shop;

mod backups;
mod bad_input;
mod ends;
mod figures;
mod first;
mod journeys;
mod leaving;
mod notices;
mod support;
mod tray;
