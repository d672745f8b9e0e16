//! Everything that is true of an upgrade without a window.
//!
//! A module imports only from lower layers; `tests/engine/layers.rs` lists them and holds them apart.

pub mod archive;
pub mod backups;
pub mod clock;
pub mod crash;
pub mod digest;
pub mod docker;
pub mod drivers;
pub mod durable;
pub mod engine;
pub mod error;
pub mod export;
pub mod gzip;
pub mod history;
mod http;
pub mod import;
pub mod model;
pub mod objects;
pub mod pace;
pub mod page;
pub mod ports;
pub mod probes;
pub mod process;
pub mod profiles;
pub mod receipt;
pub mod releases;
pub mod seal;
pub mod secrets;
pub mod site;
pub mod space;
pub mod state;
pub mod steps;
pub mod stores;
pub mod upgrade;
pub mod upstream;
pub mod view;

pub use engine::Engine;
pub use error::{Error, Result};
