//! Everything that is true of an upgrade without a window.
//!
//! Modules import only from those above them in this list.

pub mod clock;
pub mod digest;
pub mod durable;
pub mod error;
pub mod gzip;
pub mod model;
pub mod ports;
pub mod secrets;
pub mod space;
