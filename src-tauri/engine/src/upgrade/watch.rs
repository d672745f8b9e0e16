//! The ear of a running step: shows progress, and tells the step when it has to stop.
//!
//! It stops a step for three reasons: the lease was lost, a person asked to cancel, or the step's deadline is over. That
//! nothing moves for too long is found where it can be told from work without a word: by whoever runs a command, from the
//! processor time of its tree and the sessions of its database. It holds the journal, so that everything it writes
//! carries the epoch.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::error::{Error, Result};
use crate::model::state::State;
use crate::pace::Pace;
use crate::ports::{Clock, Reporter, Unit};
use crate::process::printable;
use crate::secrets::masked;
use crate::state::journal::{Journal, Pulse};

/// How often progress may be written, and the wish to cancel read.
const WRITE_EVERY: Duration = Duration::from_millis(300);
const LOOK_EVERY: Duration = Duration::from_millis(150);
/// What a watchdog grants on top of a step's own deadline before it ends the worker.
const GRACE: f64 = 120.0;

/// See the module.
pub struct Watch<'a> {
    journal: &'a Mutex<Journal>,
    clock: &'a dyn Clock,
    boot_id: String,
    now: Mutex<Now>,
}

/// What is at work.
struct Now {
    phase: State,
    sentence: String,
    /// Percent when the step began, and when it will be over.
    from: f64,
    until: f64,
    share: f64,
    cancellable: bool,
    deadline: Duration,
    moved_at: Duration,
    wrote_at: Duration,
    looked_at: Duration,
    last: (u64, Option<u64>),
    pace: Pace,
}

/// What a step is allowed.
#[derive(Debug, Clone)]
pub struct Allowance {
    /// The phase.
    pub phase: State,
    /// What happens, in one sentence.
    pub sentence: String,
    /// Percent of the whole at its start and end.
    pub share: (f64, f64),
    /// Whether a wish to cancel stops it.
    pub cancellable: bool,
    /// How long it may take.
    pub deadline: Duration,
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic elsewhere must not keep the worker from recording how things stand.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<'a> Watch<'a> {
    /// An ear for the upgrade of `journal`.
    pub fn new(journal: &'a Mutex<Journal>, clock: &'a dyn Clock) -> Self {
        let since_boot = clock.since_boot();
        Self {
            journal,
            clock,
            boot_id: clock.boot_id(),
            now: Mutex::new(Now {
                phase: State::Pending,
                sentence: String::new(),
                from: 0.0,
                until: 0.0,
                share: 0.0,
                // Nothing is at work yet that could be stopped: a wish to cancel is heard by the steps.
                cancellable: false,
                deadline: since_boot + Duration::from_secs(600),
                moved_at: since_boot,
                wrote_at: Duration::ZERO,
                looked_at: Duration::ZERO,
                last: (0, None),
                pace: Pace::begin(since_boot),
            }),
        }
    }

    /// Shows that a worker lives that still gets ready; what it says of the upgrade stays as it is.
    ///
    /// # Errors
    /// `lease_lost`.
    pub fn get_ready(&self, phase: State, sentence: &str) -> Result<()> {
        {
            let mut now = held(&self.now);
            now.phase = phase;
            sentence.clone_into(&mut now.sentence);
        }
        self.write()
    }

    /// A step begins: from here on its sentence is shown and its deadline counts.
    ///
    /// # Errors
    /// `lease_lost`.
    pub fn begin(&self, allowance: &Allowance) -> Result<()> {
        let since_boot = self.clock.since_boot();
        {
            let mut now = held(&self.now);
            now.phase = allowance.phase;
            now.sentence.clone_from(&allowance.sentence);
            (now.from, now.until) = allowance.share;
            now.share = 0.0;
            now.cancellable = allowance.cancellable;
            now.deadline = since_boot + allowance.deadline;
            now.moved_at = since_boot;
            now.last = (0, None);
            now.pace = Pace::begin(since_boot);
        }
        self.write()
    }

    fn write(&self) -> Result<()> {
        let (percent, sentence, pulse) = {
            let mut now = held(&self.now);
            let since_boot = self.clock.since_boot();
            now.wrote_at = since_boot;
            let percent = now.from + (now.until - now.from) * now.share;
            let pulse = Pulse {
                boot_id: self.boot_id.clone(),
                uptime: since_boot.as_secs_f64(),
                moved: now.moved_at.as_secs_f64(),
                deadline: now.deadline.as_secs_f64() + GRACE,
                rate: now.pace.rate(),
            };
            (percent.clamp(0.0, 99.0) as u8, now.sentence.clone(), pulse)
        };
        held(self.journal).show(percent, &sentence, &pulse)
    }
}

impl Reporter for Watch<'_> {
    fn moved(&self, done: u64, total: Option<u64>, unit: Unit) {
        let since_boot = self.clock.since_boot();
        let due = {
            let mut now = held(&self.now);
            if now.last == (done, total) {
                return;
            }
            now.last = (done, total);
            now.moved_at = since_boot;
            now.pace.moved(since_boot, done, total, unit);
            if let Some(total) = total.filter(|it| *it > 0) {
                now.share = (done as f64 / total as f64).clamp(now.share, 1.0);
            }
            since_boot.saturating_sub(now.wrote_at) >= WRITE_EVERY
        };
        // A lost lease is told by the next `check`; progress itself is nobody's promise.
        if due {
            let _ = self.write();
        }
    }

    fn say(&self, line: &str) {
        let line = printable(&masked(line));
        tracing::info!("{line}");
        held(&self.now).moved_at = self.clock.since_boot();
        let _ = held(self.journal).log(&line, self.clock.now());
    }

    fn check(&self) -> Result<()> {
        let since_boot = self.clock.since_boot();
        let (cancellable, phase) = {
            let mut now = held(&self.now);
            if since_boot > now.deadline {
                return Err(Error::failed("deadline", format!("This took too long: {}", now.sentence))
                    .remedy("Look into the log for what it was doing; the limits are in the profile under [limits]."));
            }
            if since_boot.saturating_sub(now.looked_at) < LOOK_EVERY {
                return Ok(());
            }
            now.looked_at = since_boot;
            (now.cancellable, now.phase)
        };
        let cancelled = held(self.journal).is_cancelled()?;
        if cancelled && cancellable {
            return Err(cancelled_in(phase));
        }
        Ok(())
    }
}

/// The error of an upgrade that a person stopped.
pub(crate) fn cancelled_in(phase: State) -> Error {
    let message = if phase.is_before_change() {
        "The update was cancelled before anything was changed."
    } else {
        "The update was cancelled; the old version is brought back."
    };
    Error::failed("cancelled", message).remedy("Start it again whenever you like.")
}

impl std::fmt::Debug for Watch<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watch").finish_non_exhaustive()
    }
}
