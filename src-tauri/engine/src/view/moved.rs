//! Data for which a new version looks elsewhere, for every face.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::ids::{InstallationName, UpgradeId};

/// What was done so that a new version finds the data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub struct MovedView {
    /// Whose data it is.
    #[cfg_attr(feature = "bindings", ts(type = "string"))]
    pub installation: InstallationName,
    /// The version that looks for it elsewhere.
    pub to: String,
    /// What was done or has begun, in sentences.
    pub says: Vec<String>,
    /// The work that moves it, where data has to be made anew: it is followed like an update.
    #[cfg_attr(feature = "bindings", ts(type = "string | null"))]
    pub upgrade_id: Option<UpgradeId>,
}
