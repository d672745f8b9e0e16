//! Values only: no files, no processes, no SQL.

pub mod changes;
pub mod finding;
pub mod fresh;
pub mod ids;
pub mod maintenance;
pub mod notice;
pub mod path;
pub mod profile;
pub mod release;
pub mod state;
