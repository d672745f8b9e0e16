//! The eight phases of an upgrade: how each stands, what came out of it, and for how long it will still go on.

use crate::engine::Engine;
use crate::error::Result;
use crate::model::state::State;
use crate::state::Db;
use crate::state::journal::{Direction, RunOutcome, StepKey, StepRun, runs_of};
use crate::state::upgrades::Upgrade;
use crate::steps::words;
use crate::view::window::{PhaseOutcome, PhaseState, PhaseView, PhaseWord, StepBack, StepState};

/// Among so many past updates the last that came to its end is looked for.
const LOOKED_THROUGH: u32 = 20;

impl Engine {
    /// For about how many seconds it will still go on: while people wait, from its own rehearsal; before, from what the
    /// last update took. Nothing where nothing was measured, and once it takes longer than that.
    pub(super) fn seconds_left(
        &self,
        db: &Db,
        upgrade: &Upgrade,
        runs: &[StepRun],
        active: bool,
    ) -> Result<Option<f64>> {
        let place = State::FORWARD.iter().position(|it| *it == upgrade.state);
        let (Some(place), true, None) = (place, active, &upgrade.options.restore) else { return Ok(None) };
        let now = self.clock.now();
        let past = db.upgrades(Some(&upgrade.installation), LOOKED_THROUGH)?;
        let last = past.iter().find(|it| it.state == State::Complete && it.options.restore.is_none());
        let last = last.map(|it| runs_of(db, it.id)).transpose()?;
        let away = rehearsed(runs).and_then(|it| it.answer["seconds"].as_f64()).or_else(|| {
            let away = STATES_AWAY.iter().map(|it| seconds_of(last.as_ref()?, *it)).sum::<Option<f64>>();
            away.filter(|_| !upgrade.options.rehearse_only)
        });
        if !upgrade.state.is_before_change() {
            let waited = upgrade.away_from.map_or(0.0, |it| (now - it).as_seconds_f64());
            return Ok(away.map(|it| it - waited).filter(|it| *it > 0.0));
        }
        let Some(last) = last else { return Ok(None) };
        let mut left = if upgrade.options.rehearse_only { 0.0 } else { away.unwrap_or_default() };
        if away.is_none() && !upgrade.options.rehearse_only {
            return Ok(None);
        }
        for (later, phase) in State::FORWARD.iter().enumerate().skip(place).filter(|it| it.1.is_before_change()) {
            let Some(took) = seconds_of(&last, *phase) else { return Ok(None) };
            let begun = runs.iter().filter(|it| it.phase == phase.as_str()).map(|it| it.started_at).min();
            let worked = begun.filter(|_| later == place).map_or(0.0, |it| (now - it).as_seconds_f64());
            left += (took - worked).max(0.0);
        }
        Ok(Some(left).filter(|it| *it > 0.0))
    }
}

/// The phases in which nobody can use the application.
const STATES_AWAY: [State; 4] = [State::Applying, State::Migrating, State::Restarting, State::Verifying];

/// The rehearsal, where there was one and it was not left out.
pub(super) fn rehearsed(runs: &[StepRun]) -> Option<&StepRun> {
    runs.iter()
        .find(|it| it.key.step == "rehearse" && it.outcome == Some(RunOutcome::Done) && it.answer["done"] == true)
}

/// For how long the steps of a phase worked; nothing where it had none.
fn seconds_of(runs: &[StepRun], phase: State) -> Option<f64> {
    let of_it = runs.iter().filter(|it| it.direction == Direction::Forward && it.phase == phase.as_str());
    let seconds: Vec<f64> = of_it.filter_map(|it| Some((it.finished_at? - it.started_at).as_seconds_f64())).collect();
    (!seconds.is_empty()).then(|| seconds.iter().sum())
}

/// What came out of a phase that is over, as its steps have answered.
fn outcome_of(phase: State, runs: &[StepRun]) -> Option<PhaseOutcome> {
    // What was skipped has no outcome that could be told.
    let is_done = |it: &&StepRun| matches!(it.outcome, Some(RunOutcome::Done | RunOutcome::AlreadyThere));
    let forward = || runs.iter().filter(|it| it.direction == Direction::Forward).filter(is_done);
    let done = |step: &str| forward().rfind(|it| it.key.step == step);
    let of = |step: &str, word| {
        let run = done(step)?;
        Some(PhaseOutcome { word, bytes: run.answer["bytes"].as_u64() })
    };
    match phase {
        State::Checking => done("check").map(|_| PhaseOutcome { word: PhaseWord::Ready, bytes: None }),
        State::BackingUp => done("prove_backup").and_then(|_| of("take_backup", PhaseWord::Proven)),
        State::Downloading => of("fetch_release", PhaseWord::Checked),
        State::Rehearsing => {
            let word = if done("rehearse")?.answer["done"] == true { PhaseWord::Passed } else { PhaseWord::LeftOut };
            Some(PhaseOutcome { word, bytes: None })
        }
        _ => None,
    }
}

/// The eight phases. What is before the newest that was begun is over.
pub(super) fn phases(upgrade: &Upgrade, runs: &[StepRun]) -> Vec<PhaseView> {
    let reached = upgrade.phase.as_deref().and_then(|it| State::FORWARD.iter().position(|state| state.as_str() == it));
    State::FORWARD
        .into_iter()
        .enumerate()
        .map(|(place, phase)| {
            let state = match reached {
                _ if upgrade.state == State::Complete && !upgrade.options.rehearse_only => PhaseState::Done,
                Some(reached) if place < reached => PhaseState::Done,
                Some(reached) if place == reached && upgrade.state == phase => PhaseState::Now,
                // One that stops after its rehearsal has not failed in it.
                Some(reached) if place == reached && upgrade.error.is_none() => PhaseState::Done,
                // One that was stopped by a person has not failed either.
                Some(reached) if place == reached && was_stopped(upgrade) => PhaseState::Stopped,
                Some(reached) if place == reached => PhaseState::Failed,
                _ if upgrade.state.is_final() || upgrade.state == State::RollingBack => PhaseState::Skipped,
                _ => PhaseState::ToCome,
            };
            let outcome = (state == PhaseState::Done).then(|| outcome_of(phase, runs)).flatten();
            PhaseView { phase, state, outcome, seconds: seconds_of(runs, phase) }
        })
        .collect()
}

/// Whether a person stopped it, who is not told then that something failed.
fn was_stopped(upgrade: &Upgrade) -> bool {
    upgrade.cancel_asked_at.is_some() || upgrade.error.as_ref().is_some_and(|it| it.class == "cancelled")
}

/// A line each step of the way back, in the order in which they began.
pub(super) fn steps_back(runs: &[StepRun]) -> Vec<StepBack> {
    let mut steps: Vec<StepBack> = Vec::new();
    for run in runs.iter().filter(|it| it.direction == Direction::Back) {
        let name = run.key.to_string();
        let state = match run.outcome {
            None => StepState::Now,
            Some(outcome) if outcome.is_there() => StepState::Done,
            Some(_) => StepState::ToCome,
        };
        match steps.iter_mut().find(|it| it.name == name) {
            Some(step) => step.state = state,
            None => steps.push(StepBack { sentence: words::undone(&run.key.step, about(&run.key)), name, state }),
        }
    }
    steps
}

/// What a step is about, where there may be several.
fn about(key: &StepKey) -> &str {
    if key.store.is_empty() { &key.component } else { &key.store }
}

#[cfg(test)]
mod tests {
    use chrono::{TimeDelta, Utc};
    use serde_json::{Value, json};

    use super::*;

    fn run(step: &str, phase: State, answer: Value, seconds: i64) -> StepRun {
        let started_at = Utc::now();
        StepRun {
            id: 1,
            attempt: 1,
            key: StepKey { step: step.to_owned(), store: String::new(), component: String::new() },
            phase: phase.as_str().to_owned(),
            direction: Direction::Forward,
            intent: Value::Null,
            answer,
            started_at,
            finished_at: Some(started_at + TimeDelta::seconds(seconds)),
            outcome: Some(RunOutcome::Done),
            error: None,
        }
    }

    #[test]
    fn a_backup_is_called_proven_only_when_it_was() {
        let mut runs = vec![run("take_backup", State::BackingUp, json!({ "bytes": 412 }), 30)];
        assert_eq!(outcome_of(State::BackingUp, &runs), None);
        runs.push(StepRun {
            outcome: Some(RunOutcome::Skipped),
            ..run("prove_backup", State::BackingUp, Value::Null, 0)
        });
        assert_eq!(outcome_of(State::BackingUp, &runs), None, "what was skipped proves nothing");
        runs.push(run("prove_backup", State::BackingUp, Value::Null, 8));
        let proven = PhaseOutcome { word: PhaseWord::Proven, bytes: Some(412) };
        assert_eq!(outcome_of(State::BackingUp, &runs), Some(proven));
        assert_eq!(seconds_of(&runs, State::BackingUp), Some(38.0));
    }

    #[test]
    fn a_rehearsal_that_was_left_out_has_not_passed_and_measured_nothing() {
        for (done, word) in [(true, PhaseWord::Passed), (false, PhaseWord::LeftOut)] {
            let runs = [run("rehearse", State::Rehearsing, json!({ "done": done, "seconds": 12.5 }), 13)];
            assert_eq!(outcome_of(State::Rehearsing, &runs).map(|it| it.word), Some(word));
            assert_eq!(rehearsed(&runs), done.then_some(&runs[0]));
        }
    }
}
