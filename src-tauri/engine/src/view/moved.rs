//! Data for which a new version looks elsewhere, for every face.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::ids::InstallationName;

/// What was done so that a new version finds the data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub struct MovedView {
    /// Whose data it is.
    #[cfg_attr(feature = "bindings", ts(type = "string"))]
    pub installation: InstallationName,
    /// The version that looks for it elsewhere.
    pub to: String,
    /// What was done, in sentences.
    pub says: Vec<String>,
}
