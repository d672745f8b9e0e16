//! What Liftlock knows about a kind of application, as values.
//!
//! A profile is a TOML file. [`Profile::parse`] is the only way in: it reports every mistake of the text at
//! once, and what comes out has been checked, so that nobody after it asks again whether a path leaves the
//! installation or a gate names a component that is there. Deliberately absent: reading files and asking the
//! world (a [`Reference`] is looked up through a function that the caller gives), secrets (a profile that
//! holds one is refused), and defaults that guess.

mod api;
mod command;
mod compose;
mod connection;
mod duration;
mod env_file;
mod export;
mod mistake;
mod native;
mod path;
mod probe;
mod read;
mod reference;
mod release;
mod schema;
mod source;
mod store;
mod template;

use schemars::JsonSchema;
use semver::Version;
use serde::Serialize;

pub(crate) use self::env_file::is_variable;
pub use self::{
    api::{Api, ApiField, Call, EntityApi, FieldType, Find, Method, fill, holes},
    command::{CommandLine, Migrations, Run, SchemaVersion, UnitScope},
    compose::{ComposeDriver, Pin},
    connection::{Connection, Endpoint},
    duration::Limits,
    env_file::EnvFile,
    export::{DeletedBy, Export, ExportColumn, Fill, PartOf, Shows},
    mistake::{Mistake, Warning},
    native::{NativeDriver, Preparation},
    path::{ContainerPath, FilePath, InsidePath},
    probe::{Check, ExpectedField, HttpAuth, HttpQuestion, Probe},
    read::Checked,
    reference::Reference,
    release::{Attestation, Releases},
    source::{Encryption, Source, SourceKind},
    store::{FilesAt, FilesStore, PostgresStore, SqliteStore, Store},
    template::{Placeholder, Template},
};

/// The longest text that is read as a profile: one is a page or two.
pub const MAX_BYTES: usize = 256 * 1024;

/// The version of the format that this Liftlock reads.
pub const FORMAT: i64 = 1;

/// A kind of application: where its releases are, how it runs, its stores, its probes and what to export.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// The version of this format; always 1.
    #[schemars(range(min = 1, max = 1))]
    pub format: i64,
    /// What the application is called.
    pub application: Application,
    /// Where its releases are published and what they are called.
    pub releases: Releases,
    /// How an installation is recognised in a folder.
    pub recognise: Recognise,
    /// How the application is installed and switched.
    pub driver: Driver,
    /// How the running version is asked.
    pub version: VersionQuestion,
    /// Files of settings that the user edits.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub settings: Vec<SettingsFile>,
    /// What holds the user's data.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stores: Vec<Store>,
    /// Databases that are only read, for an export.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<Source>,
    /// The parts that run, in the order in which they are started; they are stopped in the reverse order.
    #[schemars(length(min = 1))]
    pub components: Vec<Component>,
    /// What keeps users out until the new version has passed verification.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gate: Option<Gate>,
    /// How the data is brought to the form that a release needs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub migrations: Option<Migrations>,
    /// Read-only questions about health.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub probes: Vec<Probe>,
    /// How long things may take.
    #[serde(default)]
    pub limits: Limits,
    /// Where the application takes things over HTTP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api: Option<Api>,
    /// What can be exported, in words that people understand.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exports: Vec<Export>,
    /// What is legal and yet worth knowing, found when the text was read.
    #[serde(skip)]
    pub warnings: Vec<Warning>,
    /// The text that this was read from, byte for byte, so that it can be kept and shown again.
    #[serde(skip)]
    pub source: String,
}

/// What the application is called.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Application {
    /// A short stable name for programs: small letters, digits and dashes, at most 64.
    #[schemars(regex(pattern = r"^[a-z0-9]([a-z0-9-]{0,62}[a-z0-9])?$"))]
    pub id: String,
    /// The name that people read.
    #[schemars(length(min = 1, max = 100))]
    pub name: String,
}

/// How an installation is recognised in a folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Recognise {
    /// Files that every installation has, relative to its folder.
    #[schemars(length(min = 1))]
    pub files: Vec<InsidePath>,
}

/// How the application is installed and switched to another release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Driver {
    /// A folder for each release and a symbolic link to the one that runs.
    Native(NativeDriver),
    /// A project of Docker Compose.
    Compose(ComposeDriver),
}

/// How the version is asked of what runs, or of a release that is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum VersionQuestion {
    /// A field of a JSON answer over HTTP.
    Http(VersionOverHttp),
    /// A command that prints the version; the first version in its output counts.
    Command(Vec<Template>),
}

/// A version in a JSON answer over HTTP.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VersionOverHttp {
    /// What is asked.
    #[serde(flatten)]
    pub question: HttpQuestion,
    /// Where in the JSON answer the version stands: `version`, or `build.version` for an object in an object.
    #[schemars(length(min = 1))]
    pub field: String,
}

/// A file of settings that the user edits, such as `.env`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SettingsFile {
    /// The file, relative to the installation folder.
    pub file: InsidePath,
    /// An example of it inside each release, which tells what settings that release needs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub example: Option<InsidePath>,
    /// Values that some releases do not start with.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refused: Vec<RefusedSetting>,
    /// Settings in words that people understand: one that a release needs and that is not set is asked for in them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub asked: Vec<AskedSetting>,
}

/// A setting, as a person is asked for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AskedSetting {
    /// The setting.
    pub key: String,
    /// What people call it.
    pub name: String,
    /// Why it is needed, as a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// What it is where nobody wants anything else. Never a secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<String>,
    /// Liftlock may make it up: a secret that only this installation has to know.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub generate: bool,
    /// How many letters and digits one that is made up has; 48 otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 16, max = 256))]
    pub length: Option<u16>,
    /// It is hidden like a password; one that can be made up always is.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub secret: bool,
}

/// A value of a setting that a release refuses to start with, so that it is told before anything is stopped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RefusedSetting {
    /// The setting.
    pub key: String,
    /// The value, which everybody may know: one that the application comes with.
    pub value: String,
    /// The first version that refuses it.
    #[schemars(with = "String")]
    pub from: Version,
    /// What to do about it, as a sentence.
    pub remedy: String,
}

/// A separately running part of the application; most applications have one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Component {
    /// Its name, unique in the profile.
    #[schemars(length(min = 1, max = 64))]
    pub name: String,
    /// What starts it.
    pub run: Run,
    /// Components of one phase go together; a lower phase is started before a higher one and stopped after it.
    #[serde(default = "Component::default_phase")]
    #[schemars(range(min = 1, max = 100))]
    pub phase: u32,
    /// It uses none of the data, and its new version may run beside the old one: in a stack of Docker Swarm it is not stopped
    /// for an update, and the old version answers until the new one does.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub start_first: bool,
}

impl Component {
    /// 1
    pub fn default_phase() -> u32 {
        1
    }
}

/// How users are kept out until the new version has passed verification: it is started on a private port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Gate {
    /// The component that listens on the public port.
    pub component: String,
    /// The environment variable that tells it its port; for the driver `native`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variable: Option<String>,
    /// The environment variable that tells it the number of a socket to listen on, which it is given instead of a port. Then users need
    /// not wait for its second start, during which two of it run; for the driver `native`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub socket: Option<String>,
    /// The port on which it listens inside its container; for the driver `compose`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65535))]
    pub container_port: Option<u16>,
    /// Whether the services need nothing outside of the project to start and to be well. Then they are started once, on a network
    /// without a way out, and get the public port without a second start; for the driver `compose`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub self_contained: bool,
    /// The public port: a number, or where it is set.
    pub port: Reference,
    /// The address it listens on; the maintenance page is bound to the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bind: Option<Reference>,
}

impl SettingsFile {
    /// The words in which one of its settings is asked for.
    pub fn asks_for(&self, key: &str) -> Option<&AskedSetting> {
        self.asked.iter().find(|it| it.key == key)
    }
}

impl Profile {
    /// The component of that name.
    pub fn component(&self, name: &str) -> Option<&Component> {
        self.components.iter().find(|it| it.name == name)
    }
    /// The store of that name.
    pub fn store(&self, name: &str) -> Option<&Store> {
        self.stores.iter().find(|it| it.name() == name)
    }
    /// The probe of that name.
    pub fn probe(&self, name: &str) -> Option<&Probe> {
        self.probes.iter().find(|it| it.name == name)
    }
    /// The components grouped by phase, lowest first, each group in the order of the profile.
    pub fn phases(&self) -> Vec<Vec<&Component>> {
        let mut numbers: Vec<u32> = self.components.iter().map(|it| it.phase).collect();
        numbers.sort_unstable();
        numbers.dedup();
        numbers.iter().map(|phase| self.components.iter().filter(|it| it.phase == *phase).collect()).collect()
    }
    /// Whether the migrations can be tried on a copy: every database can be pointed elsewhere, and a command
    /// can prove that it was.
    pub fn can_rehearse(&self) -> bool {
        self.migrations.as_ref().is_some_and(|it| it.schema_version.is_some()) && self.can_point_elsewhere()
    }
    /// Whether commands can be pointed at a copy of every database. If not, the copy takes the original's name
    /// before the migrations run.
    pub fn can_point_elsewhere(&self) -> bool {
        self.stores.iter().filter(|it| it.is_database()).all(|it| !it.point_at().is_empty())
    }
}
