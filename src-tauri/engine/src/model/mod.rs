//! Values only: no files, no processes, no SQL.

pub mod ids;
pub mod profile;
pub mod state;
pub mod release;
