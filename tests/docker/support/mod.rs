//! What every test here stands on: Corner Shop as a project of Docker Compose on an engine of its own, and the same row
//! of workers and the same judge as for the native shop.

#[path = "../../upgrades/support/around.rs"]
pub(crate) mod around;
#[path = "../../upgrades/support/case.rs"]
pub(crate) mod case;
pub(crate) mod filaops;
#[path = "../../upgrades/support/judge.rs"]
pub(crate) mod judge;
pub(crate) mod registry;
#[path = "../../support/tagged.rs"]
pub(crate) mod tagged;
pub(crate) mod user;
#[path = "../../upgrades/support/watch.rs"]
pub(crate) mod watch;
pub(crate) mod world;

pub(crate) use around::*;
pub(crate) use case::{Case, Ended, Exit};
pub(crate) use judge::Expected;
pub(crate) use tagged::asked;
pub(crate) use world::World;
