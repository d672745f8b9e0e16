//! Where a fresh start stands.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::Error;

/// The states of a fresh start, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub enum FreshState {
    /// The old installation is backed up, and the backup proven.
    BackingUp,
    /// The new release is fetched and installed empty, beside; the old one is in use.
    Building,
    /// The old installation is stopped and held, the new one looked at behind its gate.
    SettingAside,
    /// The new one takes the public port.
    Opening,
    /// The new one is in use, the old one set aside whole.
    Complete,
    /// Everything new is taken away again, and the old one started.
    Undoing,
    /// It is as before.
    Undone,
    /// The old one is being removed, by an explicit act.
    Removing,
    /// The old one is gone, its backups are there.
    Removed,
}

impl FreshState {
    /// The name in the state and in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BackingUp => "backing_up",
            Self::Building => "building",
            Self::SettingAside => "setting_aside",
            Self::Opening => "opening",
            Self::Complete => "complete",
            Self::Undoing => "undoing",
            Self::Undone => "undone",
            Self::Removing => "removing",
            Self::Removed => "removed",
        }
    }
    /// Whether nothing goes on by itself from here.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Complete | Self::Undone | Self::Removed)
    }
}

impl fmt::Display for FreshState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for FreshState {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self, Error> {
        use FreshState as F;
        let all = [
            F::BackingUp,
            F::Building,
            F::SettingAside,
            F::Opening,
            F::Complete,
            F::Undoing,
            F::Undone,
            F::Removing,
            F::Removed,
        ];
        all.into_iter().find(|it| it.as_str() == text).ok_or_else(|| {
            Error::failed("state_corrupt", format!("“{text}” is no state of a fresh start."))
                .remedy("Run `liftlock doctor`. Delete nothing.")
        })
    }
}
