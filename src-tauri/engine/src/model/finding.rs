//! What is found before anything is touched.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::Error;

/// How grave a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Worth knowing.
    Note,
    /// It may go wrong.
    Warning,
    /// It stops the upgrade.
    Stop,
}

/// Something found before anything is touched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Finding {
    /// Stable name, for programs.
    pub class: String,
    /// How grave.
    pub severity: Severity,
    /// What was found, in one sentence.
    pub message: String,
    /// What to do about it.
    pub remedy: String,
}

/// A line of the user's settings that an upgrade changes, shown before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub struct ChangedLine {
    /// The file.
    pub file: String,
    /// As it stands there now; `None` for one that is added.
    pub before: Option<String>,
    /// As it will stand there. What is secret is not shown.
    pub after: String,
}

/// Puts what matters most first; what matters alike stays in its order.
pub fn most_severe_first(findings: &mut [Finding]) {
    findings.sort_by_key(|it| std::cmp::Reverse(it.severity));
}

impl Finding {
    /// A finding.
    pub fn new(severity: Severity, class: &str, message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { class: class.to_owned(), severity, message: message.into(), remedy: remedy.into() }
    }

    /// What was found by an error: it stops the upgrade.
    pub fn stop(error: &Error) -> Self {
        Self::new(Severity::Stop, &error.class, error.message.clone(), error.remedy.clone())
    }

    /// The same as the error that refuses an upgrade.
    pub fn to_error(&self) -> Error {
        Error { class: self.class.clone().into(), ..Error::refused("finding", self.message.clone()) }
            .remedy(self.remedy.clone())
    }
}
