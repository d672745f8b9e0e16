//! Where new versions come from: a repository on GitHub, GitHub Enterprise, Gitea or Forgejo, or a server that
//! speaks the part of their REST language that is used here.
//!
//! A [`Source`] says where to look and how an application names things there. [`list`] asks what is out,
//! [`discover`] asks many at once whether anything is new,
//! [`pin`] fixes one release so that it cannot change unseen, [`recheck`] asks whether it has changed since,
//! and [`fetch`] brings its asset into a content-addressed folder. Together they hold: what is unpacked later is,
//! byte for byte, what was shown when the plan was made.
//!
//! What the server says is judged, never trusted: sizes are capped, names have a strict grammar, redirects are
//! bounded and never lead from `https` to `http`, and a token goes to the host of the API alone. Every call
//! blocks, ends by itself, and asks its reporter between pieces of work. Bare tags and the commits of a branch are
//! read as if they had been published as releases ([`Origin`]); of them the source is fetched. Deliberately absent: any
//! write to a server.

mod advisories;
mod attestation;
mod checksums;
pub(crate) mod commits;
mod discover;
mod fetch;
mod http;
mod list;
mod manifest;
mod notes;
mod pin;
mod source;
mod tag;
mod trouble;
mod wire;

use std::{collections::HashMap, sync::Mutex, time::Duration};

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use semver::Version;
use serde::{Deserialize, Serialize};

use crate::error::Result;
pub use crate::model::release::{AssetPattern, Channel, Published, TagPattern, Trust};
use crate::ports::{Answer, Clock, EtagCache, Reporter};
pub use discover::{Inquiry, Told, ToldRelease, discover};
pub use fetch::{Fetched, fetch};
pub use list::{list, remembered};
pub use pin::{pin, recheck};
pub use source::{Attested, Origin, Signed, Source};

/// The line on which a release server is asked.
#[derive(Clone, Copy)]
pub struct Line<'a> {
    /// Tells the time of answers.
    pub clock: &'a dyn Clock,
    /// Remembers answers.
    pub cache: &'a dyn EtagCache,
    /// Hears of progress and says stop.
    pub reporter: &'a dyn Reporter,
    /// How long to wait for what.
    pub waits: Waits,
}

impl std::fmt::Debug for Line<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Line").field("waits", &self.waits).finish_non_exhaustive()
    }
}

/// How long to wait, and how often to try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waits {
    /// For a connection.
    pub connect: Duration,
    /// For the first byte of an answer, and between any two bytes after it.
    pub stall: Duration,
    /// For a whole answer of the API; downloads have no such limit, they must only move.
    pub answer: Duration,
    /// Attempts in a row that bring nothing.
    pub attempts: usize,
    /// Before the second attempt; doubled before each further one, with jitter.
    pub pause: Duration,
    /// The longest time for which a server that asks for patience is waited for at once.
    pub patience: Duration,
}

impl Default for Waits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            stall: Duration::from_secs(30),
            answer: Duration::from_secs(90),
            attempts: 4,
            pause: Duration::from_millis(500),
            patience: Duration::from_secs(10),
        }
    }
}

/// A published version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Release {
    /// What the tag says.
    pub version: Version,
    /// The tag in the repository.
    pub tag: String,
    /// What its publisher calls it; the tag where it has no name.
    pub name: String,
    /// What its publisher wrote about it, in Markdown, at most 256 KiB. A stranger's text.
    pub notes: String,
    /// When it was published.
    pub published_at: Option<DateTime<Utc>>,
    /// Whether it comes before a finished release, by its version or by its publisher's word.
    pub prerelease: bool,
    /// The commit it was made from, where the list of releases tells it.
    pub commit: Option<String>,
    /// Whether its notes speak of breaking changes.
    pub breaking: bool,
    /// The files that belong to it.
    pub assets: Vec<Asset>,
}

/// A file of a release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Asset {
    /// The server's number for it; a file that is uploaded again gets another.
    pub id: u64,
    /// Its name.
    pub name: String,
    /// Its size in bytes, as the server says; 0 for a source, which is packed when it is asked for.
    pub size: u64,
    /// Where everybody can download it.
    pub url: String,
    /// Where the API hands it out to who has a token.
    pub api_url: Option<String>,
    /// Its SHA-256 in hexadecimal, where the server says it.
    pub digest: Option<String>,
}

/// What is out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Listing {
    /// Newest version first. Never empty.
    pub releases: Vec<Release>,
    /// The `owner/name` under which the repository now lives, if not the one that was asked for.
    pub moved_to: Option<String>,
    /// When the server last said that this is how it is.
    pub fetched_at: DateTime<Utc>,
    /// Whether nothing had changed since the time before, so that remembered answers were used.
    pub from_cache: bool,
    /// Tags that were passed over, each with the reason.
    pub skipped: Vec<Skipped>,
    /// Whether there may be more releases than were asked for.
    pub cut_short: bool,
}

/// A tag that was passed over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Skipped {
    /// The tag, with anything unprintable escaped.
    pub tag: String,
    /// Why, as the end of a sentence that begins with the tag.
    pub why: String,
}

/// One release, fixed so that a change of it is noticed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Pinned {
    /// Its version.
    pub version: Version,
    /// Its tag.
    pub tag: String,
    /// The commit that the tag points to, where the server tells.
    pub commit: Option<String>,
    /// The asset that holds it.
    pub asset: Asset,
    /// The SHA-256 of the asset in hexadecimal. `None` where nothing vouches for it: then what is downloaded
    /// first sets it (see [`Pinned::with_digest`]).
    pub sha256: Option<String>,
    /// What vouches for it.
    pub trust: Trust,
    /// The oldest version that may go to it, where its signed manifest says so.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub minimum: Option<Version>,
}

impl Pinned {
    /// The same release, held from now on to what was downloaded.
    #[must_use]
    pub fn with_digest(mut self, fetched: &Fetched) -> Self {
        self.sha256 = Some(fetched.sha256.clone());
        self
    }
}

/// Remembers answers for as long as the process lives.
#[derive(Debug, Default)]
pub struct MemoryCache(Mutex<HashMap<String, Answer>>);

impl EtagCache for MemoryCache {
    fn find(&self, url: &str) -> Result<Option<Answer>> {
        Ok(self.0.lock().unwrap_or_else(|it| it.into_inner()).get(url).cloned())
    }
    fn keep(&self, url: &str, answer: &Answer) -> Result<()> {
        self.0.lock().unwrap_or_else(|it| it.into_inner()).insert(url.to_owned(), answer.clone());
        Ok(())
    }
}
