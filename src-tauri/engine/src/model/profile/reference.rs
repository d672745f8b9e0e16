//! Values that stand elsewhere. A secret is never in a profile; the profile says where it is.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Serialize, Serializer, ser::SerializeMap};
use std::borrow::Cow;

use super::{EnvFile, FilePath};
use crate::error::{Error, Result};

/// A value, or where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reference {
    /// The value itself; never a secret.
    Value(String),
    /// A key in a file of environment variables: `{ file = ".env", key = "DATABASE_URL" }`.
    Env {
        /// The file.
        file: FilePath,
        /// The variable.
        key: String,
    },
    /// A password file of PostgreSQL: `{ passfile = "/home/shop/.pgpass" }`. For passwords of databases only.
    Passfile(FilePath),
    /// A variable of Liftlock's own environment: `{ env = "GITHUB_TOKEN" }`. For tokens only.
    Variable(String),
    /// An entry of the system's keychain: `{ keychain = "github" }`. For tokens only.
    Keychain(String),
}

impl Reference {
    /// Looks the value up. `read` answers with the text of a file that the profile names.
    ///
    /// # Errors
    /// What `read` says; `setting_missing` where the file has no such key; `passfile_alone` and `not_a_file`, bugs of
    /// the caller: the line of a password file depends on the server, see [`super::Connection::endpoint`], and what the
    /// system knows is not asked for here.
    pub fn lookup(&self, read: &dyn Fn(&FilePath) -> Result<String>) -> Result<String> {
        match self {
            Self::Value(value) => Ok(value.clone()),
            Self::Env { file, key } => match EnvFile::parse(&read(file)?).value(key) {
                Some(value) => Ok(value.to_owned()),
                None => Err(Error::refused("setting_missing", format!("There is no setting {key} in {file}."))
                    .remedy(format!("Add a line “{key}=…” to {file}, or correct the profile if it has another name."))),
            },
            Self::Passfile(file) => {
                Err(Error::bug("passfile_alone", format!("The password file {file} was read without its server.")))
            }
            Self::Variable(name) | Self::Keychain(name) => {
                Err(Error::bug("not_a_file", format!("“{name}” was looked for in a file, where it does not stand.")))
            }
        }
    }
    /// The file it stands in, if it stands in one.
    pub fn file(&self) -> Option<&FilePath> {
        match self {
            Self::Value(_) | Self::Variable(_) | Self::Keychain(_) => None,
            Self::Env { file, .. } | Self::Passfile(file) => Some(file),
        }
    }
}

impl Serialize for Reference {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Value(value) => serializer.serialize_str(value),
            Self::Env { file, key } => {
                let mut map = serializer.serialize_map(Some(2))?;
                map.serialize_entry("file", file)?;
                map.serialize_entry("key", key)?;
                map.end()
            }
            Self::Passfile(file) => {
                let mut map = serializer.serialize_map(Some(1))?;
                map.serialize_entry("passfile", file)?;
                map.end()
            }
            Self::Variable(name) => {
                let mut map = serializer.serialize_map(Some(1))?;
                map.serialize_entry("env", name)?;
                map.end()
            }
            Self::Keychain(name) => {
                let mut map = serializer.serialize_map(Some(1))?;
                map.serialize_entry("keychain", name)?;
                map.end()
            }
        }
    }
}

impl JsonSchema for Reference {
    fn schema_name() -> Cow<'static, str> {
        "Reference".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let file = generator.subschema_for::<FilePath>();
        json_schema!({
            "description": "A value, or where it stands. Secrets are given by reference only.",
            "anyOf": [
                { "type": ["string", "integer"], "description": "The value itself; never a secret." },
                {
                    "type": "object",
                    "description": "A key in a file of environment variables.",
                    "properties": { "file": file, "key": { "type": "string", "minLength": 1 } },
                    "required": ["file", "key"],
                    "additionalProperties": false
                },
                {
                    "type": "object",
                    "description": "A password file of PostgreSQL; for passwords of databases only.",
                    "properties": { "passfile": file },
                    "required": ["passfile"],
                    "additionalProperties": false
                },
                {
                    "type": "object",
                    "description": "A variable of Liftlock's own environment; for tokens only.",
                    "properties": { "env": { "type": "string", "minLength": 1 } },
                    "required": ["env"],
                    "additionalProperties": false
                },
                {
                    "type": "object",
                    "description": "An entry of the system's keychain; for tokens only.",
                    "properties": { "keychain": { "type": "string", "minLength": 1 } },
                    "required": ["keychain"],
                    "additionalProperties": false
                }
            ]
        })
    }
}
