//! The answers of a release server, as far as they are used. GitHub, Gitea and Forgejo agree on these fields.

use chrono::{DateTime, Utc};
use reqwest::Url;
use serde::{Deserialize, Serialize};

use super::{Asset, Release, TagPattern, checksums, notes, source};
use crate::model::release::fit_asset;

/// Longer notes are cut; nobody reads them, and a list of releases is kept in memory.
const NOTES: usize = 256 << 10;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct WireRelease {
    pub(super) tag_name: String,
    #[serde(default)]
    pub(super) name: Option<String>,
    #[serde(default)]
    pub(super) body: Option<String>,
    #[serde(default)]
    pub(super) draft: bool,
    #[serde(default)]
    pub(super) prerelease: bool,
    #[serde(default)]
    pub(super) published_at: Option<String>,
    #[serde(default)]
    pub(super) target_commitish: Option<String>,
    #[serde(default)]
    pub(super) assets: Vec<WireAsset>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct WireAsset {
    #[serde(default)]
    pub(super) id: u64,
    pub(super) name: String,
    #[serde(default)]
    pub(super) size: u64,
    #[serde(default)]
    pub(super) browser_download_url: Option<String>,
    #[serde(default)]
    pub(super) url: Option<String>,
    #[serde(default)]
    pub(super) digest: Option<String>,
    #[serde(default)]
    pub(super) state: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct WireRepository {
    pub(super) full_name: String,
}

/// What a tag points to: GitHub answers one such object, Gitea a list of them.
#[derive(Debug, Deserialize)]
pub(super) struct WireRef {
    pub(super) object: WireObject,
}

#[derive(Debug, Deserialize)]
pub(super) struct WireObject {
    pub(super) sha: String,
    #[serde(rename = "type", default)]
    pub(super) kind: String,
}

/// A tag that is an object of its own, as GitHub and Gitea hand it out.
#[derive(Debug, Deserialize)]
pub(super) struct WireTagObject {
    pub(super) object: WireObject,
    #[serde(default)]
    pub(super) verification: Option<WireSignature>,
}

/// How it was signed. What the server thinks of the signature is not read.
#[derive(Debug, Deserialize)]
pub(super) struct WireSignature {
    #[serde(default)]
    pub(super) signature: Option<String>,
    #[serde(default)]
    pub(super) payload: Option<String>,
}

/// The tag of Gitea, with the commit beside it.
#[derive(Debug, Deserialize)]
pub(super) struct WireTag {
    #[serde(default)]
    pub(super) id: Option<String>,
    pub(super) commit: WireCommit,
}

#[derive(Debug, Deserialize)]
pub(super) struct WireCommit {
    pub(super) sha: String,
    /// Gitea's.
    #[serde(default)]
    pub(super) created: Option<String>,
}

/// A tag in the list of tags.
#[derive(Debug, Deserialize)]
pub(super) struct WireListedTag {
    pub(super) name: String,
    pub(super) commit: WireCommit,
}

/// A commit in the list of commits.
#[derive(Debug, Deserialize)]
pub(super) struct WireListedCommit {
    pub(super) sha: String,
    pub(super) commit: WireCommitObject,
}

#[derive(Debug, Deserialize)]
pub(super) struct WireCommitObject {
    #[serde(default)]
    pub(super) message: String,
    pub(super) committer: WireCommitter,
}

#[derive(Debug, Deserialize)]
pub(super) struct WireCommitter {
    pub(super) date: String,
}

impl WireRelease {
    /// As if a tag or a commit had been published as a release, without a file.
    pub(super) fn bare(name: String, commit: String, at: Option<String>, notes: Option<String>) -> Self {
        Self {
            tag_name: name,
            name: None,
            body: notes,
            draft: false,
            prerelease: false,
            published_at: at,
            target_commitish: Some(commit),
            assets: Vec::new(),
        }
    }
}

impl From<WireListedTag> for WireRelease {
    fn from(it: WireListedTag) -> Self {
        Self::bare(it.name, it.commit.sha, it.commit.created, None)
    }
}

impl From<WireListedCommit> for WireRelease {
    fn from(it: WireListedCommit) -> Self {
        let mut message = it.commit.message;
        message.truncate(message.floor_char_boundary(4 << 10));
        Self::bare(it.sha.clone(), it.sha, Some(it.commit.committer.date), Some(message))
    }
}

impl WireRelease {
    /// The release in our words.
    ///
    /// # Errors
    /// Why it is none, as the end of a sentence that begins with the tag.
    pub(super) fn read(self, pattern: &TagPattern) -> Result<Release, String> {
        let version = pattern.version(&self.tag_name)?;
        let mut notes = self.body.unwrap_or_default();
        if notes.len() > NOTES {
            notes.truncate(notes.floor_char_boundary(NOTES));
        }
        Ok(Release {
            prerelease: self.prerelease || !version.pre.is_empty(),
            name: self.name.filter(|it| !it.trim().is_empty()).unwrap_or_else(|| self.tag_name.clone()),
            breaking: notes::speak_of_breaking(&notes),
            notes,
            published_at: self.published_at.and_then(|it| it.parse::<DateTime<Utc>>().ok()),
            commit: self.target_commitish.filter(|it| is_commit(it)),
            assets: self.assets.into_iter().filter_map(WireAsset::read).collect(),
            version,
            tag: self.tag_name,
        })
    }
}

impl WireAsset {
    /// The asset in our words; `None` where it is not yet uploaded, or cannot be named or fetched safely.
    fn read(self) -> Option<Asset> {
        fit_asset(&self.name).ok()?;
        if self.state.is_some_and(|state| state != "uploaded") {
            return None;
        }
        let safe = |url: &String| Url::parse(url).is_ok_and(|url| source::is_safe(&url));
        Some(Asset {
            id: self.id,
            name: self.name,
            size: self.size,
            url: self.browser_download_url.filter(safe)?,
            api_url: self.url.filter(safe),
            digest: self.digest.and_then(|it| checksums::digest(it.strip_prefix("sha256:")?)),
        })
    }
}

/// Whether this is the whole name of a commit (SHA-1 or SHA-256), and not of a branch.
pub(super) fn is_commit(text: &str) -> bool {
    matches!(text.len(), 40 | 64) && text.chars().all(|it| it.is_ascii_hexdigit())
}
