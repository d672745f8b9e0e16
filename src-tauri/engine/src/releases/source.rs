//! Where the releases of an application are, and the addresses that are made from it.

use std::path::{Path, PathBuf};

use reqwest::Url;
use semver::Version;

use super::{AssetPattern, Channel, Published, TagPattern, Trust};
use crate::error::{Error, Result};
use crate::model::profile::Releases;
use crate::secrets::Secret;

/// Where the releases of an application (or of one component) are, and how they are named there.
///
/// With the API at `https://api.github.com`, the repository `BLB3DPrinting/filaops`, the tag pattern
/// `v{version}` and the asset pattern `filaops-{version}.tar.gz`, version 1.4.0 is the file
/// `filaops-1.4.0.tar.gz` of the release with the tag `v1.4.0`. GitHub Enterprise has its API at
/// `https://HOST/api/v3`, Gitea and Forgejo at `https://HOST/api/v1`. Plain `http` is allowed to this machine
/// alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The address of the API.
    pub api: String,
    /// `owner/name`.
    pub repository: String,
    /// How a tag bears the version.
    pub tag: TagPattern,
    /// Which releases are offered.
    pub channel: Channel,
    /// What is a version there.
    pub origin: Origin,
    /// The asset that holds the application.
    pub asset: AssetPattern,
    /// The asset with its checksum, in the form of `sha256sum`; `None` looks for the usual names
    /// (`<asset>.sha256`, `SHA256SUMS`, `checksums.txt`) and does without where there is none.
    pub checksums: Option<AssetPattern>,
    /// What must vouch for a release at least.
    pub require: Trust,
    /// Whose signature vouches for it, where its publisher signs.
    pub signed: Option<Signed>,
    /// Whose build is attested, where it is.
    pub attested: Option<Attested>,
    /// The SSH keys with which its publisher signs tags, as `ssh-ed25519 AAAA…`.
    pub tag_keys: Vec<String>,
    /// Identifies the user, for private repositories and a higher rate limit. Sent to the host of the API alone.
    pub token: Option<Secret>,
    /// A file in PEM form with the certificate authority of the server, beside those of the system.
    pub ca: Option<PathBuf>,
}

/// What is a version in a repository.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Origin {
    /// What is published as a release.
    #[default]
    Releases,
    /// Every tag.
    Tags,
    /// Every commit of this branch; a commit that bears a tag has its version.
    Branch(String),
}

/// How a publisher signs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    /// Their public key, as minisign writes it.
    pub key: String,
    /// What the application is called in their manifests.
    pub app: String,
    /// The asset that is signed; its signature lies beside it with `.minisig` at its end.
    pub manifest: AssetPattern,
}

/// Which build is believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attested {
    /// The workflow, as a path in the repository.
    pub workflow: String,
    /// Who vouches that it ran there.
    pub issuer: String,
}

impl Source {
    /// A source that is public, stable, and named in the commonest way: tags `v{version}`.
    pub fn new(api: impl Into<String>, repository: impl Into<String>, asset: AssetPattern) -> Self {
        Self {
            api: api.into(),
            repository: repository.into(),
            tag: TagPattern::default(),
            channel: Channel::default(),
            origin: Origin::default(),
            asset,
            checksums: None,
            require: Trust::None,
            signed: None,
            attested: None,
            tag_keys: Vec::new(),
            token: None,
            ca: None,
        }
    }

    /// The source that a profile describes. `token` is what its reference led to; `dir` is the folder of the
    /// installation, where a relative path begins.
    pub fn of(profile: &Releases, token: Option<Secret>, dir: &Path) -> Self {
        Self {
            api: profile.api.clone(),
            repository: profile.repository.clone(),
            tag: profile.tag.clone(),
            channel: profile.channel,
            origin: match (&profile.branch, profile.channel, profile.published) {
                (Some(branch), Channel::Branch, _) => Origin::Branch(branch.clone()),
                (_, _, Published::Tags) => Origin::Tags,
                (_, _, Published::Releases) => Origin::Releases,
            },
            asset: profile.asset.clone(),
            checksums: profile.checksums.clone(),
            require: profile.require,
            signed: None,
            attested: profile
                .attestation
                .as_ref()
                .map(|it| Attested { workflow: it.workflow.clone(), issuer: it.issuer.clone() }),
            tag_keys: profile.tag_keys.clone(),
            token: token.filter(|it| !it.is_empty()),
            ca: profile.ca.as_ref().map(|path| path.under(dir)),
        }
    }

    /// What its repository is remembered by: the same for all who ask it the same.
    pub fn key(&self) -> String {
        let repository = format!("{} {}", self.api.trim_end_matches('/'), self.repository.to_ascii_lowercase());
        // No name of a repository holds what follows it here.
        match &self.origin {
            Origin::Releases => repository,
            Origin::Tags => format!("{repository} tags"),
            Origin::Branch(branch) => format!("{repository} branch {branch}"),
        }
    }

    /// The server, for people.
    pub fn host(&self) -> String {
        self.base().map_or_else(|_| self.api.clone(), |it| super::trouble::host(&it))
    }

    /// Whether its address and repository could exist at all.
    ///
    /// # Errors
    /// `source_invalid`, with what is wrong.
    pub fn check(&self) -> Result<()> {
        self.base().map(|_| ())
    }

    /// The name of the asset of `version`.
    pub(super) fn asset_name(&self, version: &Version) -> String {
        self.asset.name(version, &self.tag.tag(version), "")
    }

    /// Whether all that is there is asked for, and not only what is newest.
    pub(super) fn origin_is_whole(&self) -> bool {
        !matches!(self.origin, Origin::Branch(_))
    }

    /// Where the source of a commit is handed out.
    pub(super) fn archive(&self, commit: &str) -> Result<Url> {
        // Gitea and Forgejo have their API there and nowhere else.
        match self.base()?.path().ends_with("/api/v1/") {
            true => self.address(&["archive", &format!("{commit}.tar.gz")]),
            false => self.address(&["tarball", commit]),
        }
    }

    /// The address of the API, its path ending in a slash.
    pub(super) fn base(&self) -> Result<Url> {
        let parts: Vec<&str> = self.repository.split('/').collect();
        let plain = |it: &str| {
            !it.is_empty()
                && it.len() <= 100
                && !it.starts_with(['.', '-'])
                && !it.contains("..")
                && it.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
        };
        if parts.len() != 2 || !parts.iter().all(|part| plain(part)) {
            let shown = self.repository.escape_debug();
            return Err(invalid(format!("\"{shown}\" is not the name of a repository, which is owner/name.")));
        }
        let shown = self.api.escape_debug();
        let mut base = Url::parse(&self.api).map_err(|_| invalid(format!("\"{shown}\" is not an address.")))?;
        if !is_safe(&base) {
            return Err(invalid(format!(
                "\"{shown}\" is not safe: a release server is asked over https, or over http on this machine."
            )));
        }
        if !base.username().is_empty() || base.password().is_some() || base.query().is_some() {
            return Err(invalid(
                "The address of the release server must hold neither user, password nor question mark.".into(),
            ));
        }
        if !base.path().ends_with('/') {
            base.set_path(&format!("{}/", base.path()));
        }
        Ok(base)
    }

    /// An address below `repos/owner/name/`; the last part may hold slashes, which stay part of the name.
    pub(super) fn address(&self, path: &[&str]) -> Result<Url> {
        let mut url = self.base()?;
        {
            let mut parts =
                url.path_segments_mut().map_err(|()| invalid("The release server has no paths.".to_owned()))?;
            parts.pop_if_empty().push("repos").extend(self.repository.split('/')).extend(path);
        }
        Ok(url)
    }
}

/// Whether an address may be asked at all: `https`, or `http` that never leaves this machine.
pub(super) fn is_safe(url: &Url) -> bool {
    url.scheme() == "https" || (url.scheme() == "http" && is_here(url))
}

/// Whether an address is on this machine.
pub(super) fn is_here(url: &Url) -> bool {
    url.host_str().is_some_and(|host| {
        let host = host.trim_start_matches('[').trim_end_matches(']');
        host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|it| it.is_loopback())
    })
}

fn invalid(message: String) -> Error {
    Error::usage("source_invalid", message).remedy("Correct the section about releases in the profile.")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(api: &str, repository: &str) -> Source {
        Source::new(api, repository, "a-{version}.tar.gz".parse().unwrap())
    }

    #[test]
    fn addresses_are_made_below_any_base() {
        for (api, expected) in [
            ("https://api.github.com", "https://api.github.com/repos/o/n/releases/tags/v1.0.0"),
            ("https://git.example.org/api/v1/", "https://git.example.org/api/v1/repos/o/n/releases/tags/v1.0.0"),
        ] {
            let url = source(api, "o/n").address(&["releases", "tags", "v1.0.0"]).unwrap();
            assert_eq!(url.as_str(), expected);
        }
        let url = source("https://h", "o/n").address(&["releases", "tags", "release/1.0.0"]).unwrap();
        assert_eq!(url.as_str(), "https://h/repos/o/n/releases/tags/release%2F1.0.0");
    }

    #[test]
    fn an_unsafe_address_or_an_odd_repository_is_refused() {
        for api in ["http://example.org", "ftp://h", "nonsense", "https://user:pw@h", "file:///etc", "https://h/?a=b"] {
            assert_eq!(source(api, "o/n").check().unwrap_err().class, "source_invalid", "{api}");
        }
        for repository in ["", "o", "o/n/m", "../n", "o/..", "o/n?x", "-o/n", "o/n\n"] {
            assert_eq!(source("https://h", repository).check().unwrap_err().class, "source_invalid", "{repository}");
        }
        for api in ["http://127.0.0.1:8080", "http://localhost:1", "http://[::1]:1", "https://h"] {
            source(api, "o/n").check().unwrap();
        }
    }
}
