//! What holds the user's data.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use super::{Connection, FilePath, Template};

/// Something that holds the user's data.
#[expect(clippy::large_enum_variant, reason = "a profile holds a handful, and they are read in place")]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Store {
    /// A PostgreSQL database.
    Postgres(PostgresStore),
    /// A SQLite file.
    Sqlite(SqliteStore),
    /// A folder of files.
    Files(FilesStore),
}

/// A PostgreSQL database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PostgresStore {
    /// Its name, unique in the profile.
    #[schemars(length(min = 1, max = 64))]
    pub name: String,
    /// How it is reached, as the application's own user.
    #[serde(flatten)]
    pub connection: Connection,
    /// The service of a compose project in whose container the server runs. Its own tools are used there, so that no
    /// port of it needs to be published; host and port are those that the application uses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// How it is reached by someone who may create and rename databases. What is not given is as above.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub admin: Option<Connection>,
    /// The roles of the server are kept beside each dump, without passwords: for applications with more roles than the
    /// one that owns the database. Nothing of it is ever run by a restore.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub globals: bool,
    /// Environment variables that point a command at another database.
    /// Placeholders: `{host}`, `{port}`, `{user}`, `{password}`, `{database}`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub point_at: BTreeMap<String, Template>,
}

/// A SQLite file, with its `-wal` and `-shm` beside it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SqliteStore {
    /// Its name, unique in the profile.
    #[schemars(length(min = 1, max = 64))]
    pub name: String,
    /// The file.
    pub path: FilePath,
    /// Environment variables that point a command at another file. Placeholder: `{path}`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub point_at: BTreeMap<String, Template>,
}

/// A folder of files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FilesStore {
    /// Its name, unique in the profile.
    #[schemars(length(min = 1, max = 64))]
    pub name: String,
    /// Where they lie.
    #[serde(flatten)]
    pub at: FilesAt,
    /// Old files are never rewritten, only new ones added: a list with hashes is kept instead of a copy.
    #[serde(default)]
    pub immutable: bool,
    /// Environment variables that point a command at another folder. Placeholder: `{path}`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub point_at: BTreeMap<String, Template>,
}

/// Where a folder of files lies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FilesAt {
    /// The folder.
    Path(FilePath),
    /// A named volume, as the compose file calls it.
    Volume(#[schemars(length(min = 1, max = 64))] String),
}

impl Store {
    /// Its name.
    pub fn name(&self) -> &str {
        match self {
            Self::Postgres(it) => &it.name,
            Self::Sqlite(it) => &it.name,
            Self::Files(it) => &it.name,
        }
    }
    /// `postgres`, `sqlite` or `files`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Postgres(_) => "postgres",
            Self::Sqlite(_) => "sqlite",
            Self::Files(_) => "files",
        }
    }
    /// The environment variables that point a command at another one.
    pub fn point_at(&self) -> &BTreeMap<String, Template> {
        match self {
            Self::Postgres(it) => &it.point_at,
            Self::Sqlite(it) => &it.point_at,
            Self::Files(it) => &it.point_at,
        }
    }
    /// The file or folder that holds it, where it is one.
    pub fn path(&self) -> Option<&FilePath> {
        match self {
            Self::Postgres(_) => None,
            Self::Sqlite(it) => Some(&it.path),
            Self::Files(it) => match &it.at {
                FilesAt::Path(path) => Some(path),
                FilesAt::Volume(_) => None,
            },
        }
    }
    /// The named volume that holds it, as the compose file calls it, where it is in one.
    pub fn volume(&self) -> Option<&str> {
        match self {
            Self::Files(FilesStore { at: FilesAt::Volume(name), .. }) => Some(name),
            Self::Postgres(_) | Self::Sqlite(_) | Self::Files(_) => None,
        }
    }
    /// Whether it has tables, and so migrations and counts.
    pub fn is_database(&self) -> bool {
        match self {
            Self::Postgres(_) | Self::Sqlite(_) => true,
            Self::Files(_) => false,
        }
    }
}
