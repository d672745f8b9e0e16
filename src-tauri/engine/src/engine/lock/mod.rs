//! The administrator lock: everybody may look; changing asks for a passphrase, whichever face is used.
//!
//! What is unlocked is this engine and its clones, never the machine: another process asks again. Upgrades that run,
//! or were interrupted, go on: whoever asked for them was allowed to. It keeps hands off, not someone who may write
//! this user's files.

mod word;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::TimeDelta;
use zeroize::Zeroizing;

use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::ports::Clock;
use crate::state::lock::LockRecord;
use crate::view::LockView;

/// Unlocked and not used for so long, it is locked again.
const STAYS_OPEN: Duration = Duration::from_secs(15 * 60);
/// The wait after the first wrong try; each further one doubles it.
const FIRST_WAIT: i64 = 1;
/// And no more than this, in seconds: a person who remembers has to get in.
const LONGEST_WAIT: i64 = 300;

/// Where a face asks a person for the passphrase; `None` where there is nobody to ask.
pub type AskForPassphrase = dyn Fn() -> Result<Option<Zeroizing<String>>> + Send + Sync;

/// What this engine and its clones know of the lock.
#[derive(Clone, Default)]
pub(crate) struct Key {
    /// The lock that was opened, and when it was last used.
    open: Arc<Mutex<Option<(String, Duration)>>>,
    ask: Option<Arc<AskForPassphrase>>,
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key").finish_non_exhaustive()
    }
}

impl Key {
    fn with<T>(&self, change: impl FnOnce(&mut Option<(String, Duration)>) -> T) -> T {
        change(&mut self.open.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn turn(&self, record: &LockRecord, clock: &dyn Clock) {
        self.with(|open| *open = Some((record.passphrase.clone(), clock.since_boot())));
    }

    /// A lock that was set anew in the meantime is another one.
    fn is_open(&self, record: &LockRecord, clock: &dyn Clock) -> bool {
        let now = clock.since_boot();
        self.with(|open| {
            open.as_ref().is_some_and(|(lock, used)| {
                *lock == record.passphrase && now.checked_sub(*used).is_some_and(|it| it < STAYS_OPEN)
            })
        })
    }
}

impl Engine {
    /// The same engine with somebody to ask where a verb needs the passphrase.
    #[must_use]
    pub fn asking(mut self, ask: impl Fn() -> Result<Option<Zeroizing<String>>> + Send + Sync + 'static) -> Self {
        self.key.ask = Some(Arc::new(ask));
        self
    }

    /// How the lock stands for this engine.
    ///
    /// # Errors
    /// Those of the state itself.
    pub fn lock_state(&self) -> Result<LockView> {
        let record = self.db()?.lock_record()?;
        Ok(match record {
            None => LockView { set: false, locked: false, next_try_at: None },
            Some(record) => LockView {
                set: true,
                locked: !self.key.is_open(&record, self.clock.as_ref()),
                next_try_at: record.next_try_at.filter(|it| *it > self.clock.now()),
            },
        })
    }

    /// Sets the lock, or another passphrase. Answers the recovery code, which cannot be shown again; this engine
    /// stays unlocked.
    ///
    /// # Errors
    /// `bad_passphrase`; `locked` where there is one already.
    pub fn set_lock(&self, passphrase: &str) -> Result<Zeroizing<String>> {
        self.must_be_unlocked()?;
        let before = self.db()?.lock_record()?;
        let (record, code) = word::new_record(passphrase)?;
        self.db()?.change_lock(|lock| {
            // Somebody else set one while ours was hashed.
            let same = lock.as_ref().map(|it| &it.passphrase) == before.as_ref().map(|it| &it.passphrase);
            if !same {
                return Err(locked());
            }
            *lock = Some(record.clone());
            Ok(())
        })?;
        self.key.turn(&record, self.clock.as_ref());
        Ok(code)
    }

    /// Removes the lock. The passphrase, or the recovery code, is asked for also where this engine is unlocked.
    ///
    /// # Errors
    /// `no_lock`, `wrong_passphrase`, `wait_for_next_try`.
    pub fn remove_lock(&self, passphrase: &str) -> Result<LockView> {
        self.unlock(passphrase)?;
        self.db()?.change_lock(|lock| {
            *lock = None;
            Ok(())
        })?;
        self.lock_state()
    }

    /// Unlocks this engine and its clones, by the passphrase or the recovery code.
    ///
    /// # Errors
    /// `no_lock`, `wrong_passphrase`, `wait_for_next_try`.
    pub fn unlock(&self, passphrase: &str) -> Result<LockView> {
        // Counted before it is looked at: who kills the process, or asks in ten of them, gains no try by that.
        let record = self.db()?.change_lock(|lock| self.count_try(lock))?;
        if !word::opens(&record, passphrase) {
            let seconds = wait_after(record.failures);
            return Err(Error::refused(
                "wrong_passphrase",
                format!("That is not the passphrase. Next try in {seconds} {}.", plural(seconds)),
            )
            .remedy("Enter the administrator passphrase, or the recovery code that was shown when it was set."));
        }
        self.db()?.change_lock(|lock| {
            if let Some(lock) = lock.as_mut().filter(|it| it.passphrase == record.passphrase) {
                (lock.failures, lock.next_try_at) = (0, None);
            }
            Ok(())
        })?;
        self.key.turn(&record, self.clock.as_ref());
        self.lock_state()
    }

    /// Locks this engine and its clones.
    ///
    /// # Errors
    /// Those of the state itself.
    pub fn lock(&self) -> Result<LockView> {
        self.key.with(|open| *open = None);
        self.lock_state()
    }

    /// An engine for what was asked for by somebody who was allowed to, and is on record.
    pub(super) fn permitted(&self) -> Result<Self> {
        let engine = Self { key: Key::default(), ..self.clone() };
        if let Some(record) = self.db()?.lock_record()? {
            engine.key.turn(&record, self.clock.as_ref());
        }
        Ok(engine)
    }

    /// The first line of every verb that the lock guards.
    pub(crate) fn must_be_unlocked(&self) -> Result<()> {
        let Some(record) = self.db()?.lock_record()? else { return Ok(()) };
        if self.key.is_open(&record, self.clock.as_ref()) {
            self.key.turn(&record, self.clock.as_ref());
            return Ok(());
        }
        match &self.key.ask {
            Some(ask) => match ask()? {
                Some(passphrase) => self.unlock(&passphrase).map(|_| ()),
                None => Err(locked()),
            },
            None => Err(locked()),
        }
    }

    fn count_try(&self, lock: &mut Option<LockRecord>) -> Result<LockRecord> {
        let lock = lock.as_mut().ok_or_else(|| {
            Error::refused("no_lock", "No administrator lock is set.").remedy("`liftlock lock set` sets one.")
        })?;
        let now = self.clock.now();
        let left = lock.next_try_at.map_or(0, |it| (it - now).num_milliseconds());
        // More than the longest wait: the clock was set back, and that must shut nobody out.
        if (1..=LONGEST_WAIT * 1000).contains(&left) {
            let seconds = (left + 999) / 1000;
            return Err(Error::refused(
                "wait_for_next_try",
                format!("Too many wrong passphrases. Next try in {seconds} {}.", plural(seconds)),
            )
            .remedy("Wait until then."));
        }
        lock.failures = lock.failures.saturating_add(1);
        lock.next_try_at = Some(now + TimeDelta::seconds(wait_after(lock.failures)));
        Ok(lock.clone())
    }
}

/// After so many wrong tries in a row.
fn wait_after(failures: u32) -> i64 {
    let doubled = FIRST_WAIT.checked_shl(failures.saturating_sub(1)).filter(|it| *it > 0);
    doubled.unwrap_or(LONGEST_WAIT).min(LONGEST_WAIT)
}

fn plural(seconds: i64) -> &'static str {
    if seconds == 1 { "second" } else { "seconds" }
}

fn locked() -> Error {
    Error::refused("locked", "Liftlock is locked. You can look at everything.")
        .remedy("Enter the administrator passphrase, or name a file that holds it in LIFTLOCK_PASSPHRASE_FILE.")
}
