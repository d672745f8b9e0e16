//! What holds for one application only.

use serde::Serialize;

use crate::model::release::Trust;
use crate::view::UnattendedView;

/// What holds for one application only.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub struct ApplicationSettingsView {
    /// Whose.
    pub installation: String,
    /// What people call it.
    pub title: String,
    /// What must vouch for a release.
    pub trust: TrustRule,
    /// Which releases are offered.
    pub channel: ChannelRule,
    /// When it is updated by itself; nothing where it is not.
    pub unattended: Option<UnattendedView>,
}

/// What must vouch for a release.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub struct TrustRule {
    /// The least.
    pub needed: Trust,
    /// What vouched for the last one that was looked at.
    pub seen: Option<Trust>,
    /// The key of its makers, where one is known.
    pub key: Option<String>,
}

/// Which releases are offered.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub struct ChannelRule {
    /// What is chosen.
    pub value: String,
    /// What can be.
    pub options: Vec<String>,
}

/// Before going back to the version before, after people have worked with the new one.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub struct GoBackView {
    /// Whose.
    pub installation: String,
    /// What people call it.
    pub title: String,
    /// The version that comes back.
    pub from: String,
    /// The version that goes.
    pub to: String,
    /// What is known to have been entered or removed since, in sentences.
    pub since: Vec<String>,
}
