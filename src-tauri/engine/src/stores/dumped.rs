//! What a store wrote into a backup, and how far that is trusted.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Counts, StoreKind};

/// A dump as it lies in its backup, described so that it can be checked and restored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Dumped {
    /// Name of the store in the profile.
    pub store: String,
    /// What kind of store it came from.
    pub kind: StoreKind,
    /// Name of the file in the folder of the backup; a plain name, never a path.
    pub file: String,
    /// SHA-256 of the file, in hexadecimal.
    pub sha256: String,
    /// Size of the file in bytes.
    pub bytes: u64,
    /// Size of what is in it, in bytes, before compression.
    pub raw_bytes: u64,
    /// How a person opens it with standard tools, with what must be known for that.
    pub note: String,
    /// Rows a table (files a folder), counted in the very snapshot that was dumped.
    pub counts: Counts,
    /// What only this kind knows: sequences, extensions, encoding, collation, tool versions.
    #[serde(default, skip_serializing_if = "serde_json::Map::is_empty")]
    pub facts: serde_json::Map<String, serde_json::Value>,
    /// How long it took, in seconds.
    pub seconds: f64,
    /// What is in `file` once it is opened, where that is encrypted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sealed: Option<Sealed>,
}

/// What an encrypted file of a backup holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Sealed {
    /// What it is called when it is opened; a plain name, never a path.
    pub file: String,
    /// SHA-256 of it when it is opened, in hexadecimal.
    pub sha256: String,
    /// Its size when it is opened, in bytes.
    pub bytes: u64,
}

/// The roles of a server, kept beside a dump: SQL for people, without passwords.
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Globals {
    /// Name of the file in the folder of the backup; a plain name, never a path.
    pub file: String,
    /// SHA-256 of the file, in hexadecimal.
    pub sha256: String,
    /// Size of the file in bytes.
    #[cfg_attr(feature = "bindings", ts(type = "number"))]
    pub bytes: u64,
}

impl Dumped {
    /// The roles of the server that were kept beside it.
    pub fn globals(&self) -> Option<Globals> {
        serde_json::from_value(self.facts.get("globals")?.clone()).ok()
    }

    /// Rows by table as people know them: a table that is in parts counts as one.
    pub fn tables(&self) -> Counts {
        let parts = self.parts();
        let wholes = parts.values().filter(|it| !parts.contains_key(*it));
        let wholes: BTreeSet<&String> = wholes.collect();
        let mut tables: Counts = wholes.into_iter().map(|it| (it.clone(), self.lying_in(it).values().sum())).collect();
        tables.extend(self.counts.iter().filter(|it| !parts.contains_key(it.0)).map(|(it, rows)| (it.clone(), *rows)));
        tables
    }

    /// The tables that hold the rows of `table`, with how many: itself, or its parts. None where there is no such table.
    pub fn lying_in(&self, table: &str) -> Counts {
        let within = self.within(table);
        self.counts.iter().filter(|it| within.contains(it.0)).map(|(it, rows)| (it.clone(), *rows)).collect()
    }

    /// A table, and whatever is a part of it.
    pub fn within(&self, table: &str) -> BTreeSet<String> {
        let parts = self.parts();
        let mut found = BTreeSet::from([table.to_owned()]);
        loop {
            let more: Vec<_> = parts.iter().filter(|it| found.contains(it.1) && !found.contains(it.0)).collect();
            if more.is_empty() {
                return found;
            }
            found.extend(more.into_iter().map(|it| it.0.clone()));
        }
    }

    /// Each part with what it is a part of, as far as its store knows parts.
    fn parts(&self) -> BTreeMap<String, String> {
        let told = self.facts.get("dump").and_then(|it| it.pointer("/inventory/parts"));
        told.and_then(|it| serde_json::from_value(it.clone()).ok()).unwrap_or_default()
    }
}

/// How far a backup has been trusted, lowest first.
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Grade {
    /// Written, synced, checksums computed.
    Taken,
    /// Its checksums hold and it could be decompressed and listed.
    Readable,
    /// It was restored whole on the side, and everything agreed.
    Proven,
}

impl Grade {
    /// The name in manifests and JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Taken => "taken",
            Self::Readable => "readable",
            Self::Proven => "proven",
        }
    }
}

/// What proving a dump found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Proof {
    /// Name of the store.
    pub store: String,
    /// The grade it reached.
    pub grade: Grade,
    /// How it was proven, in a sentence.
    pub how: String,
    /// How long it took, in seconds.
    pub seconds: f64,
}
