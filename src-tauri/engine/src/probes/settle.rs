//! Asking until the answers hold: what has just been started needs time, and what flaps is not up.

use std::{collections::BTreeMap, thread, time::Duration};

use super::{Observation, Outcome, Question, World, ask};
use crate::error::{Error, Result};

/// How long and how often to ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// All must be settled within this time.
    pub within: Duration,
    /// So many times in a row a required probe must be up.
    pub times: u32,
    /// From the beginning of one round to that of the next, at least.
    pub pause: Duration,
}

impl Budget {
    /// Three times in a row, within this time: for what has just been started.
    pub fn after_start(within: Duration) -> Self {
        Self { within, times: 3, pause: Duration::from_millis(150) }
    }

    /// Once, with a few seconds for a passing trouble: for what has been running.
    pub fn while_running() -> Self {
        Self { within: Duration::from_secs(5), times: 1, pause: Duration::from_millis(300) }
    }
}

/// How the questions stand in the end.
#[derive(Debug, Clone, PartialEq)]
pub struct Settled {
    /// Every required probe was up often enough in a row.
    pub is_up: bool,
    /// The last answer to each question, in their order.
    pub last: Vec<Observation>,
}

impl Settled {
    /// The required probes that are down, as one error.
    ///
    /// # Errors
    /// `unhealthy`, in the words of the first one that is down; the others are in the details.
    pub fn into_result(self) -> Result<Vec<Observation>> {
        if self.is_up {
            return Ok(self.last);
        }
        let mut error = Error::failed("unhealthy", "The application does not stay healthy: its answers change.")
            .remedy("Look at the log of the application.");
        let down = self.last.iter().filter(|it| it.required);
        let down = down.filter_map(|it| match &it.outcome {
            Outcome::Up { .. } => None,
            Outcome::Down { error_class, message, remedy, .. } => Some((&it.probe, error_class, message, remedy)),
        });
        for (at, (probe, class, message, remedy)) in down.enumerate() {
            if at == 0 {
                error.message = format!("The application is not healthy. {message}");
                error.remedy.clone_from(remedy);
            }
            error = error.detail(format!("{probe}: {message} ({class})"));
        }
        Err(error)
    }
}

/// Asks the required questions, round after round, until each was up so often in a row, or time is over; then
/// the others once. `observed` hears every answer.
///
/// # Errors
/// Only what the reporter says.
pub fn settle(
    questions: &[Question],
    budget: Budget,
    world: World<'_>,
    observed: &mut dyn FnMut(&Observation),
) -> Result<Settled> {
    let deadline = world.clock.since_boot() + budget.within;
    let mut in_a_row = vec![0; questions.len()];
    let mut last = BTreeMap::new();
    let is_up = loop {
        let begun = world.clock.since_boot();
        for (at, question) in questions.iter().enumerate().filter(|(_, it)| it.required) {
            let observation = ask(question, world)?;
            observed(&observation);
            in_a_row[at] = if observation.outcome.is_up() { in_a_row[at] + 1 } else { 0 };
            last.insert(at, observation);
        }
        if questions.iter().zip(&in_a_row).all(|(question, ups)| !question.required || *ups >= budget.times) {
            break true;
        }
        let now = world.clock.since_boot();
        // What was asked took a part of it already.
        let pause = budget.pause.saturating_sub(now.saturating_sub(begun));
        if now + budget.pause >= deadline {
            break false;
        }
        thread::sleep(pause);
    };
    for (at, question) in questions.iter().enumerate().filter(|(_, it)| !it.required) {
        let observation = ask(question, world)?;
        observed(&observation);
        last.insert(at, observation);
    }
    Ok(Settled { is_up, last: last.into_values().collect() })
}
