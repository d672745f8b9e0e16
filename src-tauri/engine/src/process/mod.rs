//! Processes: running commands to their end, starting applications that outlive us, telling whether a
//! process that was written down still lives, and ending those that a killed worker left behind.
//!
//! A process is known by its [`Identity`], never by its pid alone, because pids are used again. Nothing here
//! goes through a shell, and no child inherits our environment or a descriptor that it was not given.

mod beside;
mod detached;
mod gently;
mod identity;
mod invoke;
mod listener;
mod machine;
pub mod orphans;
mod run;
mod streams;
mod table;
mod text;
mod tree;

pub use beside::{BESIDE, beside, beside_of};
pub use detached::{LogFile, become_session_leader, last_lines, spawn_detached, spawn_on_socket};
pub use gently::gently;
pub use identity::Identity;
pub use invoke::find_program;
pub use listener::{Listener, listener, listeners};
pub use machine::ThisMachine;
pub use orphans::OrphanLock;
pub use run::{Silent, SystemRunner};
pub use text::printable;
pub use tree::{Ending, end_with_descendants, marked};

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests;
