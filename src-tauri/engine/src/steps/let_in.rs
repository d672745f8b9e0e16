//! Whether users have been let in, and whether going back would then lose what they did.

use serde_json::Value;

use crate::error::Result;
use crate::model::profile::Profile;
use crate::state::journal::{Direction, StepKey, StepRun};
use crate::steps::World;
use crate::steps::migrate::Compare;
use crate::steps::serve::{OpenGate, StartBehindGate};
use crate::stores::Counts;

/// A mark for each store, by which it can be told later whether users have written anything.
pub(super) fn moments(world: &World<'_>) -> Result<Value> {
    let marks = world.site.stores.iter().map(|it| Ok((it.name().to_owned(), it.moment(world.reporter)?)));
    marks.collect::<Result<serde_json::Map<_, _>>>().map(Value::Object)
}

/// The step from which on users may be let in.
pub(crate) fn opening(profile: &Profile) -> StepKey {
    if profile.gate.is_some() { OpenGate::key_of() } else { StartBehindGate::key_of() }
}

/// Whether users may have been let in, and are not shut out again: nothing was undone since.
pub(crate) fn users_may_be_in(profile: &Profile, runs: &[StepRun]) -> bool {
    let opened = opening(profile);
    runs.iter().any(|it| it.direction == Direction::Forward && it.key == opened)
        && !runs.iter().any(|it| it.direction == Direction::Back)
}

/// Why going back by itself would lose something: users could have come in, and data is not as it was then.
pub(crate) fn why_not_back(world: &World<'_>) -> Option<String> {
    let opened = opening(&world.site.profile);
    let runs = match world.journal().runs() {
        Ok(runs) => runs,
        Err(error) => return Some(format!("it cannot be told whether users were let in: {error}")),
    };
    let first = runs.iter().find(|it| it.direction == Direction::Forward && it.key == opened)?;
    // It did not come up for everybody. Nobody writes any more once it is stopped; then the data tells.
    for component in world.site.stopped().into_iter().rev() {
        if let Err(error) = world.site.stop(&component, world.reporter) {
            return Some(format!("users may have been let in, and {component} cannot be stopped: {error}"));
        }
    }
    world.site.stores.iter().find_map(|store| {
        let after: Option<Counts> = world
            .answer(&Compare::key_of(store.name()))
            .and_then(|it| serde_json::from_value(it["after"].clone()).ok());
        match (after, store.counts(world.reporter)) {
            (Some(after), Ok(now)) if after == now => {
                // Rows that were edited are as many as before.
                match store.changed_since(&first.intent["moments"][store.name()], world.reporter) {
                    Ok(false) => None,
                    Ok(true) => Some(format!("users may have been let in, and {} was written to since", store.name())),
                    Err(error) => {
                        Some(format!("users may have been let in, and {} cannot be read: {error}", store.name()))
                    }
                }
            }
            (_, Err(error)) => {
                Some(format!("users may have been let in, and {} cannot be counted: {error}", store.name()))
            }
            _ => Some(format!("users were let in, and {} has changed since", store.name())),
        }
    })
}
