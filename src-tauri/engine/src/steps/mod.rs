//! The steps of an upgrade, a file an idea: look, act, record, and the way back.
//!
//! A step may be started twice and undone twice, so it looks first. What it must know to undo its act is in
//! its intent, on disk before the act. A step never decides what comes after it.

pub mod aside;
pub mod backup;
pub mod check;
pub mod commands;
pub(crate) mod let_in;
mod longer;
pub mod migrate;
pub mod moved;
mod pages;
pub(crate) mod position;
pub mod rehearse;
pub mod release;
pub mod restore;
pub mod schema;
pub mod serve;
pub mod settings;
pub(crate) mod target;
pub mod touched;
pub mod words;
mod world;

use std::time::Duration;

use serde_json::Value;

use crate::error::{Error, Result};
use crate::model::state::State;
use crate::state::journal::StepKey;

pub use world::{Live, World};

/// What a step sees of its own act when it looks at the world.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Observed {
    /// Nothing of it was done.
    NotStarted,
    /// Some of it was done; doing it again is safe.
    Partial,
    /// All of it was done; the value is what the act would have answered.
    Done(Value),
    /// It cannot be told, with the reason: only the way back is safe.
    Unknown(String),
}

/// One resumable act of an upgrade.
pub trait Step: Send + Sync {
    /// The phase that it belongs to.
    fn phase(&self) -> State;
    /// Its name, and the component or store that it is about.
    fn key(&self) -> StepKey;
    /// What it does, in one sentence for the plan.
    fn does(&self) -> String;
    /// Its share of the whole, beside those of the others.
    fn weight(&self) -> f64 {
        1.0
    }
    /// How long it may take.
    fn deadline(&self, _world: &World<'_>) -> Duration {
        Duration::from_secs(600)
    }
    /// Whether a wish to cancel may stop it.
    fn is_cancellable(&self) -> bool {
        true
    }
    /// Whether visitors should see the maintenance page while it works.
    fn is_behind_the_page(&self) -> bool {
        matches!(self.phase(), State::Migrating | State::Restarting | State::Verifying)
    }
    /// Whether visitors should see the maintenance page while it is undone: nothing else has the public port then.
    fn is_behind_the_page_on_the_way_back(&self) -> bool {
        self.phase() == State::Migrating
    }
    /// Whether trying it again may help after this error.
    fn may_try_again(&self, _error: &Error) -> bool {
        false
    }
    /// Works out inputs, and what is needed to undo them. Touches nothing.
    ///
    /// # Errors
    /// Why it cannot be begun.
    fn intent(&self, _world: &World<'_>) -> Result<Value> {
        Ok(Value::Null)
    }
    /// Looks how far an interrupted act came. Touches nothing.
    ///
    /// # Errors
    /// It could not be looked at.
    fn observe(&self, _world: &World<'_>, _intent: &Value) -> Result<Observed> {
        Ok(Observed::Partial)
    }
    /// Acts; the answer is recorded after its effect is on disk.
    ///
    /// # Errors
    /// Why it did not work.
    fn act(&self, world: &World<'_>, intent: &Value) -> Result<Value>;
    /// Undoes the act, wherever it stopped. Looks first; may be called again.
    ///
    /// # Errors
    /// Why it did not work.
    fn undo(&self, _world: &World<'_>, _intent: &Value) -> Result<()> {
        Ok(())
    }
}

/// A key for a step about the whole installation.
pub(crate) fn key(step: &str) -> StepKey {
    StepKey { step: step.to_owned(), component: String::new(), store: String::new() }
}

/// A key for a step about one store.
pub(crate) fn store_key(step: &str, store: &str) -> StepKey {
    StepKey { store: store.to_owned(), ..key(step) }
}

/// A key for a step about one component.
pub(crate) fn component_key(step: &str, component: &str) -> StepKey {
    StepKey { component: component.to_owned(), ..key(step) }
}

/// A recorded document as a value of ours.
pub(crate) fn parse<T: serde::de::DeserializeOwned>(value: &Value) -> Result<T> {
    serde_json::from_value(value.clone()).map_err(|cause| {
        Error::failed("state_corrupt", "A record of this upgrade cannot be read.")
            .remedy("Run `liftlock doctor`.")
            .because(&cause)
    })
}

/// A value of ours as a document to record.
pub(crate) fn record<T: serde::Serialize>(value: &T) -> Result<Value> {
    serde_json::to_value(value)
        .map_err(|cause| Error::bug("state_json", "A record could not be written.").because(&cause))
}
