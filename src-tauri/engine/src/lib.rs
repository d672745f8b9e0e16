//! Everything that is true of an upgrade without a window.
//!
//! Modules import only from those above them in this list.

pub mod error;
pub mod model;
pub mod ports;
