//! Values only: no files, no processes, no SQL.

pub mod ids;
pub mod profile;
pub mod release;
pub mod state;
