//! How an application that runs on the machine itself is laid out.

use schemars::JsonSchema;
use serde::Serialize;

use super::{InsidePath, Template};

/// A folder for each release and a symbolic link to the one that runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NativeDriver {
    /// The link to the release that runs, relative to the installation folder; `.liftlock/current` in a checkout.
    #[serde(default = "NativeDriver::default_current")]
    pub current: InsidePath,
    /// The folder that holds one folder for each release, relative to the installation folder; `.liftlock/releases` in a
    /// checkout.
    #[serde(default = "NativeDriver::default_releases")]
    pub releases: InsidePath,
    /// The installation folder is a checkout of git at the tag of the version that runs, and runs itself until the first
    /// update. It stays as it is; every release has links to the settings and stores that lie in it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub checkout: bool,
    /// The folder of a release in which its commands run. None: the installation folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub work_in: Option<InsidePath>,
    /// What makes a release ready in its own folder, in this order, while the old one is in use.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub prepare: Vec<Preparation>,
}

/// A command that makes a release ready. It is given no settings of the application.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Preparation {
    /// Program and arguments, one string each. Placeholders: `{release}`, `{dir}`, `{version}`.
    #[schemars(length(min = 1))]
    pub command: Vec<Template>,
    /// The folder of the release in which it runs. None: that of the release itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folder: Option<InsidePath>,
    /// It is left out where that folder or its program is not there.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub optional: bool,
}

impl NativeDriver {
    /// `current`
    pub fn default_current() -> InsidePath {
        InsidePath::literal("current")
    }
    /// `releases`
    pub fn default_releases() -> InsidePath {
        InsidePath::literal("releases")
    }
}
