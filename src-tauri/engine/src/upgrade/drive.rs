//! The loop: walks the steps of an upgrade forward, or its journal back, until the upgrade has ended.
//!
//! It may be ended at any instruction and started again: what is on disk decides what comes next. A step is
//! begun at most three times forward and five times back; a worker takes an upgrade up at most 28 times.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value;

use crate::crash::{self, Moment};
use crate::error::{Error, Kind, Result};
use crate::model::state::{Event, State};
use crate::ports::{Clock, Reporter};
use crate::state::journal::{Direction, Journal, RunOutcome, StepKey, StepRun};
use crate::steps::check::{Checked, Way};
use crate::steps::let_in::opening;
use crate::steps::serve::{stand_again, starting_and_stopping};
use crate::steps::touched::{self, Touched};
use crate::steps::{Observed, Step, World};
use crate::upgrade::finish;
use crate::upgrade::watch::{Allowance, Watch, cancelled_in};

/// How often a step may be begun.
const TRIES_FORWARD: usize = 3;
const TRIES_BACK: usize = 5;
/// How long finding out whether users were let in may take.
const LOOK_WITHIN: Duration = Duration::from_secs(3600);
/// How often a worker may take an upgrade up.
pub(crate) const RESTARTS: i64 = 28;

/// What the loop works with.
pub(crate) struct Drive<'a> {
    pub(crate) journal: &'a Mutex<Journal>,
    pub(crate) watch: &'a Watch<'a>,
    pub(crate) clock: &'a dyn Clock,
    pub(crate) world: &'a World<'a>,
    pub(crate) steps: &'a [Box<dyn Step + 'a>],
}

impl Drive<'_> {
    /// The pen of this worker.
    pub(crate) fn journal(&self) -> MutexGuard<'_, Journal> {
        self.journal.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Goes on until the upgrade has ended.
    ///
    /// # Errors
    /// `lease_lost`, and those of the state itself: then this worker must stop, and another goes on.
    pub(crate) fn to_the_end(&self) -> Result<State> {
        loop {
            let upgrade = self.journal().upgrade()?;
            if upgrade.state.is_final() {
                return Ok(upgrade.state);
            }
            if upgrade.restarts > RESTARTS {
                self.give_up(upgrade.state)?;
                continue;
            }
            match upgrade.state {
                State::Pending => self.journal().advance(Event::Advanced)?,
                State::RollingBack => self.back()?,
                phase => {
                    if let Err(error) = self.phase(phase) {
                        if ends_this_worker(&error) {
                            return Err(error);
                        }
                        self.leave(phase, error)?;
                    }
                }
            }
        }
    }

    /// Works through what is left of a phase; its last outcome moves the state.
    fn phase(&self, phase: State) -> Result<()> {
        let steps: Vec<_> = self.steps.iter().filter(|it| it.phase() == phase).collect();
        let runs = self.journal().runs()?;
        let open: Vec<_> = steps.iter().filter(|it| !is_there(&runs, Direction::Forward, &it.key())).collect();
        if open.is_empty() {
            if phase == State::Verifying {
                self.look_again(self.sentence(phase))?;
            }
            return self.advance(phase);
        }
        if !phase.is_before_change() {
            let Checked { from, to, .. } = self.world.checked()?;
            touched::mark(self.world.home, self.world.id, &Touched { from, to })?;
        }
        for (at, step) in open.iter().enumerate() {
            let is_last = at + 1 == open.len();
            // The last outcome of the last phase does not end the upgrade: ending writes receipt and history too.
            let event = (is_last && phase != State::Verifying).then_some(Event::Advanced);
            self.forward(step.as_ref(), event)?;
        }
        if phase == State::Verifying { self.advance(phase) } else { Ok(()) }
    }

    fn advance(&self, phase: State) -> Result<()> {
        if phase == State::Verifying {
            finish::complete(self)
        } else if phase == State::Rehearsing && self.world.options.rehearse_only {
            finish::rehearsed(self)
        } else {
            self.journal().advance(Event::Advanced)
        }
    }

    fn forward(&self, step: &dyn Step, event: Option<Event>) -> Result<()> {
        let key = step.key();
        let name = key.to_string();
        let runs = self.journal().runs()?;
        let tries: Vec<_> = runs.iter().filter(|it| it.direction == Direction::Forward && it.key == key).collect();
        self.begin(step, Direction::Forward)?;
        self.world.still_held()?;
        // Before users may be in, a wish to stop is heard between any two steps.
        let opened = opening(&self.world.site.profile);
        let are_users_out = !runs.iter().any(|it| it.direction == Direction::Forward && it.key == opened);
        if (step.is_cancellable() || are_users_out) && self.journal().is_cancelled()? {
            return Err(cancelled_in(step.phase()));
        }
        self.world.between(step)?;
        // Ended between the record of a failure and the turn that follows it: what failed for good is not tried again.
        if let Some(StepRun { outcome: Some(RunOutcome::Failed), error: Some(error), .. }) = tries.last()
            && !(step.may_try_again(error) && tries.len() < TRIES_FORWARD)
        {
            return Err(error.clone());
        }
        let unfinished = tries.last().filter(|it| it.outcome.is_none());
        if let Some(run) = unfinished {
            match step.observe(self.world, &run.intent)? {
                Observed::Done(answer) => {
                    self.watch.say(&format!("{name}: an earlier worker had done this"));
                    // What is written under an earlier lease stays as it is; a try of our own says what was found.
                    let found =
                        self.journal().intend(Direction::Forward, step.phase(), &key, &run.intent, self.clock.now())?;
                    self.conclude(found, &key, RunOutcome::AlreadyThere, answer, event)?;
                    return Ok(());
                }
                Observed::Unknown(why) => {
                    return Err(Error::failed(
                        "unclear",
                        format!("Liftlock was interrupted and cannot tell how far it came: {why}"),
                    )
                    .remedy("Nothing to do: the old version is brought back. Then try again."));
                }
                Observed::NotStarted | Observed::Partial if tries.len() >= TRIES_FORWARD => {
                    return Err(Error::failed(
                        "gave_up",
                        format!("The step {name} was interrupted {} times.", tries.len()),
                    )
                    .remedy("Find out what ends Liftlock on this machine, then try again."));
                }
                Observed::NotStarted | Observed::Partial => {}
            }
        }
        crash::point("forward", &name, Moment::BeforeIntent);
        let mut tried = tries.len();
        loop {
            let intent = match unfinished {
                // The identities in the first intent are the ones that observing and undoing go by.
                Some(run) => run.intent.clone(),
                None => step.intent(self.world)?,
            };
            let run = self.journal().intend(Direction::Forward, step.phase(), &key, &intent, self.clock.now())?;
            crash::point("forward", &name, Moment::AfterIntent);
            tried += 1;
            // A wish is taken until this very intent is on record; whoever had it before was promised to be heard.
            if key == opened && self.journal().is_cancelled()? {
                let error = cancelled_in(step.phase());
                let now = self.clock.now();
                self.journal().conclude(run, RunOutcome::Failed, &Value::Null, Some(&error), None, now)?;
                return Err(error);
            }
            match step.act(self.world, &intent) {
                Ok(answer) => {
                    crash::point("forward", &name, Moment::AfterEffect);
                    self.conclude(run, &key, RunOutcome::Done, answer, event)?;
                    crash::point("forward", &name, Moment::AfterOutcome);
                    return Ok(());
                }
                Err(error) if ends_this_worker(&error) => return Err(error),
                Err(error) => {
                    self.watch.say(&format!("{name}: {error}"));
                    let again = step.may_try_again(&error) && tried < TRIES_FORWARD;
                    self.journal().conclude(
                        run,
                        RunOutcome::Failed,
                        &Value::Null,
                        Some(&error),
                        None,
                        self.clock.now(),
                    )?;
                    if !again {
                        return Err(error);
                    }
                    self.begin(step, Direction::Forward)?;
                }
            }
        }
    }

    fn conclude(
        &self,
        run: i64,
        key: &StepKey,
        outcome: RunOutcome,
        answer: Value,
        event: Option<Event>,
    ) -> Result<()> {
        // A rehearsal that was all that was asked for ends the upgrade instead of moving on.
        let event = event.filter(|_| !(self.world.options.rehearse_only && self.is_last_of_rehearsal(key)));
        self.journal().conclude(run, outcome, &answer, None, event, self.clock.now())?;
        self.world.remember(key, answer);
        if self.world.options.rehearse_only && self.is_last_of_rehearsal(key) {
            return finish::rehearsed(self);
        }
        Ok(())
    }

    fn is_last_of_rehearsal(&self, key: &StepKey) -> bool {
        self.steps.iter().rfind(|it| it.phase() == State::Rehearsing).is_some_and(|it| it.key() == *key)
    }

    /// Leaves the way forward: to `failed` where nothing was changed, else to the way back, else to a person.
    fn leave(&self, phase: State, error: Error) -> Result<()> {
        let cancelled = error.class == "cancelled";
        if phase.is_before_change() {
            return finish::failed(self, error, cancelled);
        }
        // Looking must not fail for the very reason why the step was left: a wish to cancel, a time that is over.
        self.watch.begin(&Allowance {
            phase,
            sentence: self.sentence(phase),
            share: (0.0, 0.0),
            cancellable: false,
            deadline: LOOK_WITHIN,
        })?;
        if let Some(why) = self.world.why_not_back() {
            self.world.let_users_in_again();
            return finish::stranded(self, error.detail(why));
        }
        let event = if cancelled { Event::Cancelled } else { Event::Broke };
        self.journal().turn_back(event, &error, "Bringing the old version back.")
    }

    fn give_up(&self, state: State) -> Result<()> {
        let error =
            Error::failed("gave_up", format!("Liftlock's worker was ended {RESTARTS} times during this update."))
                .remedy("Find out what ends Liftlock on this machine.");
        if state.is_before_change() { finish::failed(self, error, false) } else { finish::stranded(self, error) }
    }

    /// Walks the journal back: whatever was begun is undone, newest first.
    fn back(&self) -> Result<()> {
        // Where a person asked for it anew, everything is undone once more: each undoing looks first.
        let asked_anew = self.journal().reopened_at()?;
        let mut runs = self.journal().runs()?;
        runs.retain(|it| it.direction == Direction::Forward || it.id > asked_anew);
        let mut begun: Vec<&StepRun> = Vec::new();
        for run in runs.iter().rev().filter(|it| it.direction == Direction::Forward) {
            if !begun.iter().any(|it| it.key == run.key) {
                begun.push(run);
            }
        }
        let mut has_undone = false;
        for run in begun {
            let Some(step) = self.steps.iter().find(|it| it.key() == run.key) else {
                if State::parse(&run.phase).is_ok_and(State::is_before_change) {
                    continue;
                }
                return finish::stranded(self, unknown_step(&run.key));
            };
            if step.phase().is_before_change() || is_there(&runs, Direction::Back, &run.key) {
                continue;
            }
            if let Err(error) = self.undo(step.as_ref(), run, &runs) {
                return self.strand(error);
            }
            has_undone = true;
        }
        if !has_undone
            && !self.world.checked().is_ok_and(|it| it.was_down)
            && let Err(error) = self.look_again(self.way_back())
        {
            return self.strand(error);
        }
        finish::rolled_back(self)
    }

    fn strand(&self, error: Error) -> Result<()> {
        if ends_this_worker(&error) { Err(error) } else { finish::stranded(self, error) }
    }

    /// All was done by an earlier worker, perhaps before the computer was started anew: what it saw to run is seen to run
    /// once more before anything is said of it.
    fn look_again(&self, sentence: String) -> Result<()> {
        self.watch.begin(&Allowance {
            phase: State::Verifying,
            sentence,
            share: (0.0, 0.0),
            cancellable: false,
            deadline: starting_and_stopping(self.world),
        })?;
        stand_again(self.world)
    }

    fn undo(&self, step: &dyn Step, run: &StepRun, runs: &[StepRun]) -> Result<()> {
        let name = run.key.to_string();
        let mut tried = runs.iter().filter(|it| it.direction == Direction::Back && it.key == run.key).count();
        loop {
            crash::point("back", &name, Moment::BeforeIntent);
            self.begin(step, Direction::Back)?;
            if step.is_behind_the_page_on_the_way_back() {
                self.world.raise_page();
            }
            if tried >= TRIES_BACK {
                return Err(Error::failed(
                    "gave_up",
                    format!("Undoing the step {name} was interrupted {tried} times."),
                )
                .remedy("Find out what ends Liftlock on this machine, then run `liftlock rollback` again."));
            }
            let back =
                self.journal().intend(Direction::Back, State::RollingBack, &run.key, &run.intent, self.clock.now())?;
            crash::point("back", &name, Moment::AfterIntent);
            tried += 1;
            match step.undo(self.world, &run.intent) {
                Ok(()) => {
                    crash::point("back", &name, Moment::AfterEffect);
                    self.journal().conclude(back, RunOutcome::Done, &Value::Null, None, None, self.clock.now())?;
                    crash::point("back", &name, Moment::AfterOutcome);
                    return Ok(());
                }
                Err(error) if ends_this_worker(&error) => return Err(error),
                Err(error) => {
                    self.watch.say(&format!("undoing {name}: {error}"));
                    self.journal().conclude(
                        back,
                        RunOutcome::Failed,
                        &Value::Null,
                        Some(&error),
                        None,
                        self.clock.now(),
                    )?;
                    if tried >= TRIES_BACK {
                        return Err(error);
                    }
                    // A server that is just coming up again needs a moment more than a step does.
                    self.rest(Duration::from_secs(1 << tried.min(4)))?;
                }
            }
        }
    }

    /// Waits before another try, and still hears when it has to stop.
    fn rest(&self, long: Duration) -> Result<()> {
        let until = self.clock.since_boot() + long;
        while self.clock.since_boot() < until {
            self.watch.check()?;
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    fn begin(&self, step: &dyn Step, direction: Direction) -> Result<()> {
        let (sentence, cancellable) = match direction {
            Direction::Forward => (self.sentence(step.phase()), step.is_cancellable()),
            Direction::Back => (self.way_back(), false),
        };
        let share = match direction {
            Direction::Forward => share_of(self.steps, step),
            // Progress never falls and a way back has none of its own.
            Direction::Back => (0.0, 0.0),
        };
        // Nobody knows how long a way back is.
        let percent = (direction == Direction::Forward).then_some(share.0 as u8);
        self.world.tell_visitors(&sentence, percent);
        self.watch.begin(&Allowance {
            phase: step.phase(),
            sentence,
            share,
            cancellable,
            deadline: step.deadline(self.world),
        })
    }
}

impl Drive<'_> {
    /// What a person reads on the way back.
    fn way_back(&self) -> String {
        format!("Putting {} and its data back in place.", self.world.from_version())
    }

    /// What a person reads while a phase is at work.
    fn sentence(&self, phase: State) -> String {
        let app = &self.world.site.profile.application.name;
        let checked = self.world.checked().ok();
        let to = checked.as_ref().map_or("the new version", |it| it.to.as_str());
        let in_place = checked.as_ref().is_some_and(|it| it.ways.values().any(|way| *way == Way::InPlace));
        match phase {
            State::Checking => "Looking whether everything is ready.".to_owned(),
            State::BackingUp => {
                format!("Making a backup and restoring it once, on the side, to prove it. {app} stays in use.")
            }
            State::Downloading => format!("Fetching {to} and checking that it arrived whole. {app} stays in use."),
            State::Rehearsing => format!("Trying the update on a copy of your data. {app} stays in use."),
            State::Applying => {
                format!("Setting the original aside and putting {to} in place. {app} is away from here on.")
            }
            State::Migrating if in_place => format!("Fitting your data to {to}. The proven backup can bring it back."),
            State::Migrating => format!("Fitting a copy of your data to {to}. The original stays untouched."),
            State::Restarting => format!("Starting {app} {to}."),
            State::Verifying => {
                format!("Looking from outside whether {to} answers and every row is there. Nobody is let in before.")
            }
            State::Pending
            | State::Complete
            | State::RollingBack
            | State::RolledBack
            | State::Failed
            | State::NeedsAttention => String::new(),
        }
    }
}

/// Whether an error speaks of this worker and not of the step: then another one goes on, and looks first.
fn ends_this_worker(error: &Error) -> bool {
    error.kind == Kind::LeaseLost || error.class == "state_busy"
}

fn unknown_step(key: &StepKey) -> Error {
    Error::failed("unknown_step", format!("This Liftlock does not know how the step {key} is undone."))
        .remedy("Install the Liftlock that began this update, or a newer one, then try again.")
}

/// Whether what a step is for is already so.
fn is_there(runs: &[StepRun], direction: Direction, key: &StepKey) -> bool {
    runs.iter()
        .rfind(|it| it.direction == direction && it.key == *key)
        .and_then(|it| it.outcome)
        .is_some_and(RunOutcome::is_there)
}

/// Percent at the start and end of a step: its weight in the whole.
fn share_of(steps: &[Box<dyn Step + '_>], step: &dyn Step) -> (f64, f64) {
    let whole: f64 = steps.iter().map(|it| it.weight()).sum();
    let key = step.key();
    let before: f64 = steps.iter().take_while(|it| it.key() != key).map(|it| it.weight()).sum();
    (before / whole * 100.0, (before + step.weight()) / whole * 100.0)
}
