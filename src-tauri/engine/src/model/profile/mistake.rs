//! What is wrong with a profile, said so that it can be put right without asking anyone.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Something wrong in the text of a profile. A profile with one is not used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Mistake {
    /// Where it is, counted from 1.
    pub line: usize,
    /// Where in the line it is, in characters counted from 1.
    pub column: usize,
    /// The key it is about: `stores[1].path`. Empty where the text cannot be read at all.
    pub key: String,
    /// What is wrong.
    pub reason: String,
    /// What to write instead.
    pub remedy: String,
}

/// Something legal in a profile that costs its user a promise of Liftlock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Warning {
    /// Where it is, counted from 1.
    pub line: usize,
    /// Where in the line it is, in characters counted from 1.
    pub column: usize,
    /// The key it is about.
    pub key: String,
    /// What is missing and what follows from it.
    pub reason: String,
    /// What to write to have it.
    pub remedy: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {} – {}", self.line, self.reason, self.remedy)
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {} – {}", self.line, self.reason, self.remedy)
    }
}
