//! How an application that is a project of Docker Compose is told its release.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use super::{ContainerPath, FilePath, InsidePath, Template};

/// A project of Docker Compose, in whose folder the compose file stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ComposeDriver {
    /// The stack of Docker Swarm as which the project is deployed. None: its containers are those of Docker Compose.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub stack: Option<String>,
    /// Its compose files, in the order in which they are given. None: those that Docker Compose finds by itself.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<InsidePath>,
    /// The one line of a settings file that says which version runs. None: an override file of ours says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pin: Option<Pin>,
    /// The image of each service that belongs to a release, also of those that only migrate. Placeholder: `{version}`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub images: BTreeMap<String, Template>,
    /// Instead of images: the services that are built from the source of a release, also those that only migrate.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub build: Vec<String>,
    /// The images are only ever on this machine, and never fetched.
    #[serde(default)]
    pub local: bool,
    /// Folders in the containers of a service where the application keeps files of users and its makers give it no volume.
    /// What is in them is taken along from each container to the next.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub carry: BTreeMap<String, Vec<ContainerPath>>,
}

impl ComposeDriver {
    /// Whether the images of a release are built here from its source.
    pub fn is_built(&self) -> bool {
        !self.build.is_empty()
    }

    /// The services that belong to a release.
    pub fn services(&self) -> impl Iterator<Item = &str> {
        self.images.keys().chain(&self.build).map(String::as_str)
    }
}

/// A line of a file of environment variables.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Pin {
    /// The file.
    pub file: FilePath,
    /// The variable, which holds the version and nothing else.
    pub key: String,
}
