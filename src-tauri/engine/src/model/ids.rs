//! Names of things.

use std::{fmt, str::FromStr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::error::{Error, Result};

/// One attempt to bring an installation to a release, for ever. UUIDv7, so that sorting is by time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct UpgradeId(#[schemars(with = "String")] pub Uuid);

impl UpgradeId {
    /// A new one.
    pub fn fresh() -> Self {
        Self(Uuid::now_v7())
    }
    /// The last twelve digits: random, so unique enough to name a database or a folder of this upgrade.
    pub fn short(self) -> String {
        let all = self.0.simple().to_string();
        all[all.len() - 12..].to_owned()
    }
}

impl fmt::Display for UpgradeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for UpgradeId {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        Uuid::parse_str(text).map(Self).map_err(|cause| {
            Error::usage("bad_upgrade_id", format!("“{text}” is not the id of an upgrade."))
                .remedy("Copy the id from `liftlock history`.")
                .because(&cause)
        })
    }
}

/// One fresh start, for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct FreshStartId(#[schemars(with = "String")] pub Uuid);

impl FreshStartId {
    /// A new one.
    pub fn fresh() -> Self {
        Self(Uuid::now_v7())
    }
    /// The last six digits, for names that nobody else chooses.
    pub fn short(self) -> String {
        let all = self.0.simple().to_string();
        all[all.len() - 6..].to_owned()
    }
}

impl fmt::Display for FreshStartId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for FreshStartId {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        Uuid::parse_str(text).map(Self).map_err(|cause| {
            Error::failed("state_corrupt", format!("“{text}” is not the id of a fresh start."))
                .remedy("Run `liftlock doctor`. Delete nothing.")
                .because(&cause)
        })
    }
}

/// The name a person gave to an installation: letters, digits, dot, dash and underscore, at most 64.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
pub struct InstallationName(String);

impl InstallationName {
    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for InstallationName {
    type Error = Error;
    fn try_from(name: String) -> Result<Self> {
        let first_ok = name.chars().next().is_some_and(char::is_alphanumeric);
        let all_ok = name.chars().all(|c| c.is_alphanumeric() || matches!(c, '.' | '-' | '_'));
        if first_ok && all_ok && name.chars().count() <= 64 {
            Ok(Self(name))
        } else {
            Err(Error::usage("bad_name", format!("“{}” cannot be the name of an installation.", name.escape_debug()))
                .remedy(
                    "Use letters, digits, dots, dashes and underscores, beginning with a letter or digit, at most 64.",
                ))
        }
    }
}

impl FromStr for InstallationName {
    type Err = Error;
    fn from_str(name: &str) -> Result<Self> {
        Self::try_from(name.to_owned())
    }
}

impl From<InstallationName> for String {
    fn from(name: InstallationName) -> Self {
        name.0
    }
}

impl fmt::Display for InstallationName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
