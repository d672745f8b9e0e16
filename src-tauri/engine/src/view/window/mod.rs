//! What the window shows, a view a screen. The TypeScript types of the interface are made from these.
//!
//! They hold what was seen and decided; words that depend on language (labels, plurals, dates) are the window's.

mod app;
mod backup;
mod care;
mod leaving;
mod mapping;
mod pages;
mod progress;
mod settings;
mod update;
mod welcome;

pub use app::*;
pub use backup::*;
pub use care::*;
pub use leaving::*;
pub use mapping::*;
pub use pages::*;
pub use progress::*;
pub use settings::*;
pub use update::*;
pub use welcome::*;
