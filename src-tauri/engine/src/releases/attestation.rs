//! Attestations: a statement of the build, signed with a certificate that names the repository and the workflow it ran
//! in, and written into a public log.
//!
//! The cryptography is the library's: chain, log, time and signature, against the keys that this Liftlock was built
//! with. What is ours is whose word counts: the repository, the workflow and the issuer that the profile names, for
//! the tag or the commit that is installed. Absent on purpose: fetching new keys of the log, which come with a newer
//! Liftlock; what a statement says beyond the files it is about.

use reqwest::Url;
use serde::Deserialize;
use serde_json::value::RawValue;
use sigstore_verify::trust_root::{SigstoreInstance, TrustedRoot};
use sigstore_verify::types::{Bundle, Sha256Hash, SignatureContent};
use sigstore_verify::{SubjectAltName, VerificationPolicy, VerificationResult, Verifier};

use super::{
    Asset, Attested, Release, Source,
    http::{self, Http, Reply},
    pin::download_of,
    trouble,
};
use crate::error::{Error, Result};

/// A file has one statement of its build, and a few about what is in it.
const MOST: usize = 30;
const CAP: usize = 2 << 20;
/// Whose word about a workflow on GitHub counts.
const GITHUB_ISSUER: &str = "https://token.actions.githubusercontent.com";

#[derive(Debug, Deserialize)]
struct WireAttestations {
    #[serde(default)]
    attestations: Vec<WireAttestation>,
}

#[derive(Debug, Deserialize)]
struct WireAttestation {
    #[serde(default)]
    bundle: Option<Box<RawValue>>,
}

/// Why one statement does not count.
enum Doubt {
    /// It is what it says, about something or by someone else.
    Another(String),
    /// It is not what it says.
    Invalid(String),
}

/// Whether the build of the asset is attested as the profile demands. Where there is no statement at all the answer is
/// no; where there are and none of them counts, that is an error, because somebody else's word was put there.
pub(super) async fn vouches(
    http: &Http<'_>,
    source: &Source,
    attested: &Attested,
    release: &Release,
    asset: &Asset,
    (sha256, commit): (&str, Option<&str>),
) -> Result<bool> {
    let bundles = bundles(http, source, release, asset, sha256).await?;
    if bundles.is_empty() {
        return Ok(false);
    }
    let expected = Expected { source, attested, release, sha256, commit };
    let (mut another, mut invalid) = (Vec::new(), Vec::new());
    for text in bundles.iter().take(MOST) {
        match expected.judge(text) {
            Ok(()) => return Ok(true),
            Err(Doubt::Another(why)) => another.push(why),
            Err(Doubt::Invalid(why)) => invalid.push(why),
        }
    }
    let (class, message, doubts) = if another.is_empty() {
        ("attestation_invalid", format!("The attestation of {} does not hold.", release.version), invalid)
    } else {
        let message =
            format!("The attestation of {} is not by {} in {}.", release.version, attested.workflow, source.repository);
        ("attestation_of_another", message, another)
    };
    let error = Error::refused(class, message)
        .remedy("Do not install it. Ask the people who publish the application how this release was built.");
    Err(doubts.into_iter().take(3).fold(error, |error, why| error.detail(why)))
}

/// Every statement about the asset: the file beside it, else what the server keeps by its digest.
async fn bundles(
    http: &Http<'_>,
    source: &Source,
    release: &Release,
    asset: &Asset,
    sha256: &str,
) -> Result<Vec<String>> {
    let names = [format!("{}.sigstore.json", asset.name), format!("{}.sigstore", asset.name)];
    if let Some(beside) = names.iter().find_map(|name| release.assets.iter().find(|it| it.name == *name)) {
        let (url, headers) = download_of(http, beside)?;
        let text = http.ask(&url, &headers, CAP, |reply| match reply {
            Reply::Body(body) => Ok(String::from_utf8_lossy(&body.bytes).into_owned()),
            Reply::Missing | Reply::Unchanged => Err(trouble::bad_body(&url, "the attestation is not there")),
        });
        return Ok(vec![text.await?]);
    }
    let url: Url = source.address(&["attestations", &format!("sha256:{sha256}")])?;
    let headers = http::api_headers(None, None);
    let found = http.ask(&url, &headers, CAP, |reply| match reply {
        Reply::Missing => Ok(WireAttestations { attestations: Vec::new() }),
        Reply::Unchanged => Err(trouble::bad_body(&url, "nothing was said about what has not changed")),
        Reply::Body(body) => http::parse::<WireAttestations>(&body),
    });
    Ok(found.await?.attestations.into_iter().filter_map(|it| it.bundle).map(|it| it.get().to_owned()).collect())
}

/// What a statement must say to count.
struct Expected<'e> {
    source: &'e Source,
    attested: &'e Attested,
    release: &'e Release,
    sha256: &'e str,
    commit: Option<&'e str>,
}

impl Expected<'_> {
    fn judge(&self, text: &str) -> Result<(), Doubt> {
        let invalid = |cause: &dyn std::fmt::Display| Doubt::Invalid(cause.to_string());
        let bundle = Bundle::from_json(text).map_err(|it| invalid(&it))?;
        if !matches!(bundle.content, SignatureContent::DsseEnvelope(_)) {
            return Err(Doubt::Invalid("it signs the file and states nothing".to_owned()));
        }
        let digest = Sha256Hash::from_hex(self.sha256).map_err(|it| invalid(&it))?;
        // What GitHub attests for private repositories is in no public log; its own clock vouches for the time.
        let is_logged = !bundle.verification_material.tlog_entries.is_empty();
        let (instance, policy) = if is_logged {
            (SigstoreInstance::PublicGood, VerificationPolicy::any_identity())
        } else {
            (SigstoreInstance::GitHub, VerificationPolicy::any_identity().skip_tlog_unsafe().skip_sct())
        };
        let root = TrustedRoot::from_embedded(instance).map_err(|it| invalid(&it))?;
        let verifier = Verifier::new(&root).map_err(|it| invalid(&it))?;
        let signed = verifier.verify(digest, &bundle, &policy).map_err(|it| invalid(&it))?;
        if !signed.certificate_verified() || (is_logged && !signed.tlog_verified()) {
            return Err(Doubt::Invalid("its certificate was not checked".to_owned()));
        }
        self.is_ours(&signed).map_err(Doubt::Another)
    }

    /// Whether the certificate was given to the workflow that builds this application, for this release.
    fn is_ours(&self, signed: &VerificationResult) -> Result<(), String> {
        let issuer = signed.issuer().unwrap_or_default();
        if issuer != self.attested.issuer {
            return Err(format!("it was vouched for by {}", plain(issuer)));
        }
        let home = format!("{}/{}", web_of(&self.attested.issuer), self.source.repository);
        let Some(SubjectAltName::Uri(identity)) = signed.identity() else {
            return Err("it names no workflow".to_owned());
        };
        let (built_by, _) = identity.split_once('@').unwrap_or((identity, ""));
        // Names on GitHub differ in more than their case; files within a repository need not.
        let workflow = tail_of(built_by, &home).ok_or_else(|| format!("it is of {}", plain(built_by)))?;
        if workflow != self.attested.workflow {
            return Err(format!("it is of the workflow {}", plain(workflow)));
        }
        let claims = signed.certificate().map(|it| &it.ci_claims).ok_or("its certificate says nothing")?;
        let from = claims.source_repository_uri.as_deref().unwrap_or_default();
        if !from.eq_ignore_ascii_case(&home) {
            return Err(format!("it was built from {}", plain(from)));
        }
        let of = claims.source_repository_ref.as_deref().unwrap_or_default();
        if let Some(tag) = of.strip_prefix("refs/tags/") {
            return if tag == self.release.tag { Ok(()) } else { Err(format!("it is of the tag {}", plain(tag))) };
        }
        let commit = claims.source_repository_digest.as_deref().unwrap_or_default();
        match self.commit {
            Some(expected) if !expected.eq_ignore_ascii_case(commit) => {
                Err(format!("it is of the commit {}", plain(commit)))
            }
            _ => Ok(()),
        }
    }
}

/// Where the repositories are of which an issuer speaks.
fn web_of(issuer: &str) -> String {
    if issuer == GITHUB_ISSUER {
        return "https://github.com".to_owned();
    }
    Url::parse(issuer).map_or_else(|_| issuer.to_owned(), |it| it.origin().ascii_serialization())
}

/// The path of a file in a repository, from its address.
fn tail_of<'a>(address: &'a str, home: &str) -> Option<&'a str> {
    let (start, tail) = address.split_at_checked(home.len())?;
    start.eq_ignore_ascii_case(home).then_some(tail)?.strip_prefix('/')
}

fn plain(text: &str) -> String {
    text.escape_debug().take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repository_is_told_from_one_whose_name_begins_alike() {
        let home = "https://github.com/acme/shop";
        assert_eq!(
            tail_of("https://github.com/Acme/Shop/.github/workflows/a.yml", home),
            Some(".github/workflows/a.yml")
        );
        for other in
            ["https://github.com/acme/shop-fork/a.yml", "https://github.com/acme/sho", "https://github.com/acme/shop"]
        {
            assert_eq!(tail_of(other, home), None, "{other}");
        }
        assert_eq!(web_of("https://git.example.org/_services/token"), "https://git.example.org");
        assert_eq!(web_of(GITHUB_ISSUER), "https://github.com");
    }
}
