//! Commands are argument vectors; there is no shell between a profile and the operating system.

use schemars::JsonSchema;
use serde::Serialize;

use super::{FilePath, Template};

/// A command with its arguments.
///
/// A first word with a slash is a path relative to the installation folder, an absolute path stays as it is,
/// and a bare name is looked up in `PATH`. It runs in the installation folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CommandLine {
    /// Program and arguments, one string each. Placeholders: `{release}`, `{dir}`, `{version}`. May only be left out
    /// beside `service`, whose own command it is then.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub command: Vec<Template>,
    /// The service of a compose project in a fresh container of which it runs, with the image of the release.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// A file of environment variables for it. Without one, that of the first component that has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub env_file: Option<FilePath>,
}

/// What starts a component.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(untagged, deny_unknown_fields)]
pub enum Run {
    /// A process that Liftlock starts and keeps an eye on itself.
    Command(CommandLine),
    /// A unit of systemd.
    Unit {
        /// Its full name, such as `corner-shop.service`.
        #[schemars(regex(pattern = r"^[A-Za-z0-9:_.\\@-]+\.service$"))]
        unit: String,
        /// Whose unit it is.
        #[serde(default)]
        scope: UnitScope,
    },
    /// A service of a compose project.
    Service {
        /// Its name in the compose file.
        #[schemars(length(min = 1, max = 64))]
        service: String,
    },
}

/// Whose unit it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum UnitScope {
    /// Of the user who runs Liftlock (`systemctl --user`).
    #[default]
    User,
    /// Of the machine.
    System,
}

/// How the data is brought to the form that a release needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Migrations {
    /// A read-only question to the database: at which version is its schema? Without it there is no rehearsal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema_version: Option<SchemaVersion>,
    /// A read-only command of a release that prints which version of the schema it needs, in the words of
    /// `schema_version`; what stands behind a revision in brackets does not count. Where the two do not agree before an update, a
    /// person is asked; where they do not once the migrations have ended, the update is not good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema_head: Option<CommandLine>,
    /// Runs before `migrate`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pre_upgrade: Option<CommandLine>,
    /// The release's own migrations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub migrate: Option<CommandLine>,
    /// Runs after `migrate`, before the new version is started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub post_upgrade: Option<CommandLine>,
}

/// A read-only command that prints the version of the schema of the database it is pointed at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SchemaVersion {
    /// Program and arguments, one string each.
    #[schemars(length(min = 1))]
    pub command: Vec<Template>,
    /// The service of a compose project in a fresh container of which it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// A file of environment variables for it. Without one, that of the first component that has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub env_file: Option<FilePath>,
    /// What it prints for an empty database. It proves that the command looks where it is pointed.
    pub empty: String,
}

impl Run {
    /// The command, if it is one.
    pub fn command(&self) -> Option<&CommandLine> {
        match self {
            Self::Command(command) => Some(command),
            Self::Unit { .. } | Self::Service { .. } => None,
        }
    }
}

impl Migrations {
    /// The services of a compose project in which its commands run.
    pub fn services(&self) -> impl Iterator<Item = &str> {
        let lines = [&self.schema_head, &self.pre_upgrade, &self.migrate, &self.post_upgrade].into_iter().flatten();
        let asked = self.schema_version.iter().filter_map(|it| it.service.as_deref());
        lines.filter_map(|it| it.service.as_deref()).chain(asked)
    }
}

impl SchemaVersion {
    /// It as a plain command.
    pub fn command_line(&self) -> CommandLine {
        CommandLine { command: self.command.clone(), service: self.service.clone(), env_file: self.env_file.clone() }
    }
}
