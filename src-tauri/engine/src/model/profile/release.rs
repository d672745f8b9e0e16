//! Where releases are published, what they are called, and which of them need care.

use schemars::JsonSchema;
use semver::Version;
use serde::Serialize;

use super::{FilePath, Reference};
use crate::model::path::NotDirectly;
use crate::model::release::{AssetPattern, Channel, Published, TagPattern, Trust};

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
    /// As what they are published: releases with files, or bare tags.
    #[serde(default)]
    pub published: Published,
    /// The branch whose commits are offered with the channel `branch`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
    /// The file that holds the release: `corner-shop-{version}.tar.gz`. It may also hold `{tag}`. Of a bare tag or a
    /// commit the source is taken, and this is what it is called here.
    #[serde(default = "Releases::default_asset")]
    pub asset: AssetPattern,
    /// The file beside it that lists sha256 sums, in the form that `sha256sum` writes. It may hold `{version}`,
    /// `{tag}` and `{asset}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checksums: Option<AssetPattern>,
    /// The least that must vouch for a release.
    #[serde(default = "Releases::default_require")]
    pub require: Trust,
    /// The minisign public key of its publisher, for releases with a signed manifest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The file that is signed; `manifest.json` where none is named. Its signature is the file beside it that ends
    /// in `.minisig`. It may hold `{version}` and `{tag}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manifest: Option<AssetPattern>,
    /// Whose build is believed, for releases with attestations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attestation: Option<Attestation>,
    /// The SSH keys (Ed25519) with which its publisher signs tags, each as in a file `.pub`: `ssh-ed25519 AAAA…`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tag_keys: Vec<String>,
    /// A token for private repositories and a higher rate limit, by reference. Sent to the host of the API alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<Reference>,
    /// A file of certificates (PEM) that are trusted beside those of the system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<FilePath>,
    /// Versions that cannot take the old data along, beside every one whose major number rises.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub breaking: Vec<Version>,
    /// Major versions that take the data of the one before along, where others would not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keeps_data: Vec<u64>,
    /// Versions that an upgrade across them must stop at.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub required_stops: Vec<Version>,
    /// Jumps that its makers do not allow: a version between them comes first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_directly: Vec<NotDirectly>,
}

/// Whose build is believed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Attestation {
    /// The workflow that builds releases, as a path in the repository: `.github/workflows/release.yml`.
    #[schemars(regex(pattern = r"^[^/\\@][^\\@]*\.ya?ml$"))]
    pub workflow: String,
    /// Who vouches that it ran there; GitHub where none is named.
    #[serde(default = "Attestation::default_issuer")]
    pub issuer: String,
}

impl Attestation {
    /// `https://token.actions.githubusercontent.com`
    pub fn default_issuer() -> String {
        "https://token.actions.githubusercontent.com".to_owned()
    }
}

impl Releases {
    /// `https://api.github.com`
    pub fn default_api() -> String {
        "https://api.github.com".to_owned()
    }
    /// `source-{version}.tar.gz`
    pub fn default_asset() -> AssetPattern {
        AssetPattern::source()
    }
    /// A checksum: the download is whole.
    pub fn default_require() -> Trust {
        Trust::Checksum
    }

    /// Whether a release cannot take the data of what runs along. `told` is what its notes say about it.
    pub fn is_breaking(&self, from: Option<&Version>, version: &Version, told: bool) -> bool {
        let is_lost = |major: u64| !self.keeps_data.contains(&major);
        let rises = |from: &Version| {
            (from.major.saturating_add(1)..=version.major).any(is_lost)
                || (version.major == 0 && from.major == 0 && version.minor > from.minor)
        };
        self.breaking.contains(version) || from.is_some_and(|from| version > from && (rises(from) || told))
    }
}

#[cfg(test)]
mod tests {
    use crate::profiles;

    #[test]
    fn a_major_version_that_keeps_data_is_none_that_begins_anew() {
        let releases = |id| profiles::resolve(id).unwrap().releases;
        let is_breaking = |id, from: &str, to: &str| {
            releases(id).is_breaking(Some(&from.parse().unwrap()), &to.parse().unwrap(), false)
        };
        for (from, to, is_it) in [
            ("1.6.0", "1.7.0", false),
            ("1.7.0", "2.0.0", true),
            ("1.7.0", "4.1.0", true),
            ("2.0.0", "3.1.0", false),
            ("2.0.0", "4.1.0", false),
            ("3.9.0", "4.0.0", false),
            ("4.1.0", "5.0.0", true),
            ("3.9.0", "5.0.0", true),
            ("4.1.0", "3.9.0", false),
        ] {
            assert_eq!(is_breaking("filaops", from, to), is_it, "{from} to {to}");
        }
        assert!(is_breaking("corner-shop", "1.8.0", "2.0.0"), "where nothing is said, every one does");
    }
}
