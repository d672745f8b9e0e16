//! An upgrade from its plan to its end: which steps there are, the loop that walks them, and how it ends.

pub(crate) mod drive;
pub(crate) mod finish;
pub mod plan;
pub mod watch;
pub mod work;
