//! How the administrator lock stands.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The administrator lock, as one process sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub struct LockView {
    /// Whether one is set.
    pub set: bool,
    /// Whether this process has to enter the passphrase before it changes anything.
    pub locked: bool,
    /// After a wrong passphrase: no other is looked at before then.
    pub next_try_at: Option<DateTime<Utc>>,
}
