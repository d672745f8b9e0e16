//! Where releases are published, what they are called, and which of them need care.

use schemars::JsonSchema;
use semver::Version;
use serde::Serialize;

use super::Template;

/// Where releases are published and what they are called.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Releases {
    /// The base of a GitHub-like API: GitHub, GitHub Enterprise, Gitea, Forgejo, or a server on this machine.
    #[serde(default = "Releases::default_api")]
    pub api: String,
    /// `owner/name`.
    #[schemars(regex(pattern = r"^[A-Za-z0-9][A-Za-z0-9_.-]*/[A-Za-z0-9][A-Za-z0-9_.-]*$"))]
    pub repository: String,
    /// What a release's tag looks like: `v{version}`.
    #[serde(default)]
    pub tag: TagPattern,
    /// Which releases are offered.
    #[serde(default)]
    pub channel: Channel,
    /// The file that holds the release: `corner-shop-{version}.tar.gz`.
    pub asset: Template,
    /// The file beside it that lists sha256 sums, in the form that `sha256sum` writes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checksums: Option<Template>,
    /// The least that is required to trust a release.
    #[serde(default)]
    pub require: Required,
    /// Versions that cannot take the old data along, beside every one whose major number rises.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub breaking: Vec<Version>,
    /// Versions that an upgrade across them must stop at.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub required_stops: Vec<Version>,
}

impl Releases {
    /// `https://api.github.com`
    pub fn default_api() -> String {
        "https://api.github.com".to_owned()
    }
}

/// Which releases are offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Channel {
    /// Those that are not marked as pre-releases.
    #[default]
    Stable,
    /// Pre-releases too.
    Prerelease,
}

/// The least that is required to trust a release, weakest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Required {
    /// Nothing: the digest is pinned when the plan is made, and the release is labelled “not signed”.
    None,
    /// A sha256 sum beside the asset. It proves that the download is whole, not who made it.
    #[default]
    Checksum,
}

/// A pattern of tags with `{version}` in it once. Tags and versions are turned into each other by it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(transparent)]
pub struct TagPattern(#[schemars(regex(pattern = r"^[^{}]*\{version\}[^{}]*$"))] String);

impl Default for TagPattern {
    fn default() -> Self {
        Self("v{version}".to_owned())
    }
}

impl TagPattern {
    const HOLE: &'static str = "{version}";

    /// Checks the pattern; the error is the end of a sentence.
    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        let Some((before, after)) = text.split_once(Self::HOLE) else {
            return Err("does not hold “{version}”");
        };
        if after.contains(Self::HOLE) {
            return Err("holds “{version}” twice");
        }
        if before.contains(['{', '}']) || after.contains(['{', '}']) {
            return Err("holds another placeholder than “{version}”");
        }
        if !is_tag(&format!("{before}1.0.0{after}")) {
            return Err("is not the pattern of a git tag");
        }
        Ok(Self(text.to_owned()))
    }
    /// The pattern as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
    /// The tag of a version.
    pub fn tag(&self, version: &Version) -> String {
        self.0.replacen(Self::HOLE, &version.to_string(), 1)
    }
    /// The version in a tag; none if the tag is not of this pattern, or what it holds is no semantic version.
    pub fn version(&self, tag: &str) -> Option<Version> {
        let (before, after) = self.0.split_once(Self::HOLE)?;
        let version = tag.strip_prefix(before)?.strip_suffix(after)?;
        if is_tag(tag) { Version::parse(version).ok() } else { None }
    }
}

/// Whether a text may be a tag. Stricter than git: letters, digits and `. _ + / -`, and no beginning that a
/// command could take for an option.
fn is_tag(text: &str) -> bool {
    let legal = text.chars().all(|it| it.is_ascii_alphanumeric() || matches!(it, '.' | '_' | '+' | '/' | '-'));
    let begins = text.starts_with(|it: char| it.is_ascii_alphanumeric());
    let pieces = text.split('/').all(|it| !it.is_empty() && !it.starts_with('.') && !it.ends_with(".lock"));
    legal && begins && pieces && text.len() <= 200 && !text.contains("..") && !text.ends_with('.')
}
