//! Where an upgrade stands, and the only ways in which it may move.
//!
//! States come back from disk, so an illegal transition is an error and never a panic. A second
//! attempt is another upgrade with an id of its own; the only ways out of a final state are a person's.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// Where an upgrade stands. Persisted, shown and returned under these names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Asked for; no worker has taken it yet.
    Pending,
    /// Looking whether everything is ready.
    Checking,
    /// Making a backup and restoring it once on the side.
    BackingUp,
    /// Fetching the release and checking that it arrived whole.
    Downloading,
    /// Trying the migrations on a scratch copy.
    Rehearsing,
    /// The application is stopped, the originals are set aside.
    Applying,
    /// The copy is fitted to the new release.
    Migrating,
    /// The new version is started behind the gate.
    Restarting,
    /// It is looked at from outside, then users are let in.
    Verifying,
    /// The new version runs with all data.
    Complete,
    /// The journal is walked back.
    RollingBack,
    /// The old version runs with the old data.
    RolledBack,
    /// It ended before anything of the user's was changed.
    Failed,
    /// The rollback could not finish; a person is needed.
    NeedsAttention,
}

impl State {
    /// Every state, in the order of an upgrade.
    pub const ALL: [Self; 14] = [
        Self::Pending,
        Self::Checking,
        Self::BackingUp,
        Self::Downloading,
        Self::Rehearsing,
        Self::Applying,
        Self::Migrating,
        Self::Restarting,
        Self::Verifying,
        Self::Complete,
        Self::RollingBack,
        Self::RolledBack,
        Self::Failed,
        Self::NeedsAttention,
    ];

    /// The phases that a worker works through, in order.
    pub const FORWARD: [Self; 8] = [
        Self::Checking,
        Self::BackingUp,
        Self::Downloading,
        Self::Rehearsing,
        Self::Applying,
        Self::Migrating,
        Self::Restarting,
        Self::Verifying,
    ];

    /// The name in the database, in JSON and in messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Checking => "checking",
            Self::BackingUp => "backing_up",
            Self::Downloading => "downloading",
            Self::Rehearsing => "rehearsing",
            Self::Applying => "applying",
            Self::Migrating => "migrating",
            Self::Restarting => "restarting",
            Self::Verifying => "verifying",
            Self::Complete => "complete",
            Self::RollingBack => "rolling_back",
            Self::RolledBack => "rolled_back",
            Self::Failed => "failed",
            Self::NeedsAttention => "needs_attention",
        }
    }

    /// The state of that name.
    ///
    /// # Errors
    /// `unknown_state` for a name that this version does not know.
    pub fn parse(name: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == name).ok_or_else(|| {
            Error::failed("unknown_state", format!("The state “{}” is unknown to this Liftlock.", name.escape_debug()))
                .remedy("Install the newest Liftlock. Nothing was changed.")
        })
    }

    /// Whether nothing more happens by itself.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Complete | Self::RolledBack | Self::Failed | Self::NeedsAttention)
    }

    /// Whether the application may still be running untouched: stopping here changes nothing of the user's.
    pub fn is_before_change(self) -> bool {
        matches!(self, Self::Pending | Self::Checking | Self::BackingUp | Self::Downloading | Self::Rehearsing)
    }

    /// The coarse view.
    pub fn stage(self) -> Stage {
        match self {
            Self::Pending | Self::Checking => Stage::Planning,
            Self::BackingUp => Stage::BackingUp,
            Self::Downloading | Self::Rehearsing | Self::Applying | Self::Migrating | Self::Restarting => {
                Stage::Upgrading
            }
            Self::Verifying => Stage::Validating,
            Self::Complete => Stage::Completed,
            Self::RollingBack => Stage::RollingBack,
            Self::RolledBack => Stage::RolledBack,
            Self::Failed | Self::NeedsAttention => Stage::Failed,
        }
    }

    /// Where `event` leads from here.
    ///
    /// # Errors
    /// `illegal_transition` where the event has no meaning in this state.
    pub fn on(self, event: Event) -> Result<Self> {
        use Event as E;
        Ok(match (self, event) {
            (Self::Pending, E::Advanced) => Self::Checking,
            (Self::Checking, E::Advanced) => Self::BackingUp,
            (Self::BackingUp, E::Advanced) => Self::Downloading,
            (Self::Downloading, E::Advanced) => Self::Rehearsing,
            (Self::Rehearsing, E::Advanced) => Self::Applying,
            (Self::Applying, E::Advanced) => Self::Migrating,
            (Self::Migrating, E::Advanced) => Self::Restarting,
            (Self::Restarting, E::Advanced) => Self::Verifying,
            (Self::Verifying, E::Advanced) => Self::Complete,
            (state, E::Broke | E::Cancelled) if state.is_before_change() => Self::Failed,
            (Self::Applying | Self::Migrating | Self::Restarting | Self::Verifying, E::Broke | E::Cancelled) => {
                Self::RollingBack
            }
            (Self::Applying | Self::Migrating | Self::Restarting | Self::Verifying, E::Stranded) => {
                Self::NeedsAttention
            }
            (Self::RollingBack, E::Advanced) => Self::RolledBack,
            (Self::RollingBack, E::Stranded) => Self::NeedsAttention,
            (Self::NeedsAttention, E::SettledOld) => Self::RolledBack,
            (Self::NeedsAttention, E::SettledNew) => Self::Complete,
            (Self::NeedsAttention, E::RollbackRetried) | (Self::Complete, E::ReturnAsked) => Self::RollingBack,
            (state, event) => {
                return Err(Error::bug(
                    "illegal_transition",
                    format!("An upgrade that is {state} cannot take the event {event:?}."),
                ));
            }
        })
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What moves an upgrade.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Event {
    /// Every step of the phase is done.
    Advanced,
    /// A step failed for good.
    Broke,
    /// A person asked to stop.
    Cancelled,
    /// Going back failed for good, or would lose what users have entered since.
    Stranded,
    /// A person settled it: the old version was observed to run with the old data.
    SettledOld,
    /// A person settled it: the new version was observed to run with the new data.
    SettledNew,
    /// A person asked to try the rollback again.
    RollbackRetried,
    /// A person asked to return from a completed upgrade to the originals, and knows what is lost by that.
    ReturnAsked,
}

impl Event {
    /// Every event.
    pub const ALL: [Self; 8] = [
        Self::Advanced,
        Self::Broke,
        Self::Cancelled,
        Self::Stranded,
        Self::SettledOld,
        Self::SettledNew,
        Self::RollbackRetried,
        Self::ReturnAsked,
    ];
}

/// The coarse view of [`State`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Nothing runs.
    Idle,
    /// Being worked out and checked.
    Planning,
    /// A backup is made and proven.
    BackingUp,
    /// The release is fetched, tried and put in place.
    Upgrading,
    /// The new version is looked at from outside.
    Validating,
    /// Done.
    Completed,
    /// Going back.
    RollingBack,
    /// Gone back.
    RolledBack,
    /// Ended without success.
    Failed,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every legal transition, written out once more by hand: the table above is checked against it both ways.
    const LEGAL: &[(State, Event, State)] = {
        use Event as E;
        use State as S;
        &[
            (S::Pending, E::Advanced, S::Checking),
            (S::Pending, E::Broke, S::Failed),
            (S::Pending, E::Cancelled, S::Failed),
            (S::Checking, E::Advanced, S::BackingUp),
            (S::Checking, E::Broke, S::Failed),
            (S::Checking, E::Cancelled, S::Failed),
            (S::BackingUp, E::Advanced, S::Downloading),
            (S::BackingUp, E::Broke, S::Failed),
            (S::BackingUp, E::Cancelled, S::Failed),
            (S::Downloading, E::Advanced, S::Rehearsing),
            (S::Downloading, E::Broke, S::Failed),
            (S::Downloading, E::Cancelled, S::Failed),
            (S::Rehearsing, E::Advanced, S::Applying),
            (S::Rehearsing, E::Broke, S::Failed),
            (S::Rehearsing, E::Cancelled, S::Failed),
            (S::Applying, E::Advanced, S::Migrating),
            (S::Applying, E::Broke, S::RollingBack),
            (S::Applying, E::Cancelled, S::RollingBack),
            (S::Migrating, E::Advanced, S::Restarting),
            (S::Migrating, E::Broke, S::RollingBack),
            (S::Migrating, E::Cancelled, S::RollingBack),
            (S::Restarting, E::Advanced, S::Verifying),
            (S::Restarting, E::Broke, S::RollingBack),
            (S::Restarting, E::Cancelled, S::RollingBack),
            (S::Verifying, E::Advanced, S::Complete),
            (S::Verifying, E::Broke, S::RollingBack),
            (S::Verifying, E::Cancelled, S::RollingBack),
            (S::Applying, E::Stranded, S::NeedsAttention),
            (S::Migrating, E::Stranded, S::NeedsAttention),
            (S::Restarting, E::Stranded, S::NeedsAttention),
            (S::Verifying, E::Stranded, S::NeedsAttention),
            (S::RollingBack, E::Advanced, S::RolledBack),
            (S::RollingBack, E::Stranded, S::NeedsAttention),
            (S::NeedsAttention, E::SettledOld, S::RolledBack),
            (S::NeedsAttention, E::SettledNew, S::Complete),
            (S::NeedsAttention, E::RollbackRetried, S::RollingBack),
            (S::Complete, E::ReturnAsked, S::RollingBack),
        ]
    };

    #[test]
    fn every_transition_is_legal_exactly_where_the_list_says_so() {
        for from in State::ALL {
            for event in Event::ALL {
                let listed = LEGAL.iter().find(|(f, e, _)| (*f, *e) == (from, event)).map(|(_, _, to)| *to);
                match (from.on(event), listed) {
                    (Ok(to), Some(expected)) => assert_eq!(to, expected, "{from} on {event:?}"),
                    (Err(error), None) => assert_eq!(error.class, "illegal_transition"),
                    (got, expected) => panic!("{from} on {event:?}: got {got:?}, listed {expected:?}"),
                }
            }
        }
    }

    #[test]
    fn names_come_back_as_the_same_state() {
        for state in State::ALL {
            assert_eq!(State::parse(state.as_str()).unwrap(), state);
            assert_eq!(serde_json::to_value(state).unwrap(), state.as_str());
        }
        assert_eq!(State::parse("sideways").unwrap_err().class, "unknown_state");
    }

    #[test]
    fn a_cancelled_upgrade_changes_nothing_before_it_is_applied_and_rolls_back_after() {
        for state in State::FORWARD {
            let expected = if state < State::Applying { State::Failed } else { State::RollingBack };
            assert_eq!(state.on(Event::Cancelled).unwrap(), expected);
        }
    }
}
