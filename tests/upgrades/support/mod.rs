//! What every test here stands on: a world to upgrade in, a row of workers, and a judge.

pub(crate) mod around;
pub(crate) mod case;
pub(crate) mod filaops;
pub(crate) mod judge;
pub(crate) mod watch;
pub(crate) mod world;

pub(crate) use around::*;
pub(crate) use case::{Case, Ended, Exit};
pub(crate) use judge::Expected;
pub(crate) use world::World;
