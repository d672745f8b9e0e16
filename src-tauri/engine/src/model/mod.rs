//! Values only: no files, no processes, no SQL.

pub mod finding;
pub mod ids;
pub mod profile;
pub mod release;
pub mod state;
