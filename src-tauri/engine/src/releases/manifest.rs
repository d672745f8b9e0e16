//! The signed manifest of a release: who publishes it has said, with a key that the profile pins, which files belong
//! to it. What it says counts only after its signature has been checked, and never for another application, another
//! version, after its day, or after a later one was seen.

use std::collections::BTreeMap;

use chrono::{DateTime, SecondsFormat, Utc};
use minisign_verify::{PublicKey, Signature};
use semver::Version;
use serde::Deserialize;

use super::{
    Asset, Line, Release, Signed, Source, checksums,
    http::{Http, Reply},
    pin::download_of,
    trouble,
};
use crate::error::{Error, Result};
use crate::ports::Answer;

/// A manifest names some files; a signature is four lines.
const CAP: usize = 1 << 20;

/// What is signed. Fields that a later Liftlock may know are passed over.
#[derive(Debug, Deserialize)]
struct Manifest {
    app: String,
    version: Version,
    /// Rises with every manifest that is made.
    sequence: u64,
    assets: Vec<Listed>,
    /// The oldest version that may go to this one.
    #[serde(default)]
    minimum_version: Option<Version>,
    #[serde(default)]
    expires: Option<DateTime<Utc>>,
}

#[derive(Debug, Deserialize)]
struct Listed {
    name: String,
    sha256: String,
    size: u64,
}

/// What a manifest vouches for.
pub(super) struct Vouched {
    pub(super) sha256: String,
    pub(super) minimum: Option<Version>,
}

/// Reads and judges the manifest of a release; nothing where it has none.
pub(super) async fn vouched(
    http: &Http<'_>,
    source: &Source,
    signed: &Signed,
    release: &Release,
    asset: &Asset,
) -> Result<Option<Vouched>> {
    let name = signed.manifest.name(&release.version, &release.tag, &asset.name);
    let find = |name: &str| release.assets.iter().find(|it| it.name == name);
    let signature_name = format!("{name}.minisig");
    let (manifest, signature) = match (find(&name), find(&signature_name)) {
        (None, None) => return Ok(None),
        (Some(manifest), Some(signature)) => (manifest, signature),
        (found, _) => {
            let missing = if found.is_some() { signature_name } else { name };
            return Err(Error::refused("manifest_half", format!("Release {} has no file {missing}.", release.version))
                .remedy("If it was published a moment ago, try again later. Else tell the people who publish it."));
        }
    };
    let manifest = file(http, manifest).await?;
    let signature = file(http, signature).await?;
    check_signature(signed, &manifest, &signature)?;
    let manifest: Manifest = serde_json::from_slice(&manifest).map_err(|cause| {
        Error::refused("manifest_unreadable", format!("The signed manifest of {} cannot be read.", release.version))
            .remedy("Install the newest Liftlock. If that does not help, tell the people who publish the application.")
            .because(&cause)
    })?;
    judge(&manifest, signed, release, http.line.clock.now())?;
    let vouched = listed(&manifest, release, asset)?;
    remember(&manifest, source, http.line)?;
    Ok(Some(vouched))
}

async fn file(http: &Http<'_>, asset: &Asset) -> Result<Vec<u8>> {
    let (url, headers) = download_of(http, asset)?;
    http.ask(&url, &headers, CAP, |reply| match reply {
        Reply::Body(body) => Ok(body.bytes),
        Reply::Missing => Err(trouble::Trouble::final_(
            Error::refused("manifest_half", format!("{} cannot be downloaded.", asset.name))
                .remedy("If it was published a moment ago, try again later."),
        )),
        Reply::Unchanged => Err(trouble::bad_body(&url, "nothing was said about what has not changed")),
    })
    .await
}

fn check_signature(signed: &Signed, manifest: &[u8], signature: &[u8]) -> Result<()> {
    let refused = |cause: &dyn std::error::Error| {
        Error::refused(
            "manifest_signature",
            "The manifest of this release is not signed with the key of its publisher.",
        )
        .remedy("Do not install it. Ask the people who publish the application whether they have a new key.")
        .because(cause)
    };
    let key = PublicKey::from_base64(&signed.key).map_err(|cause| {
        Error::usage("key_invalid", "The public key in the profile cannot be read.")
            .remedy("Copy the second line of the publisher's minisign.pub into the profile.")
            .because(&cause)
    })?;
    let text = String::from_utf8_lossy(signature);
    let signature = Signature::decode(&text).map_err(|cause| refused(&cause))?;
    key.verify(manifest, &signature, false).map_err(|cause| refused(&cause))
}

/// Whether it is about this release, and still holds.
fn judge(manifest: &Manifest, signed: &Signed, release: &Release, now: DateTime<Utc>) -> Result<()> {
    let version = &release.version;
    if manifest.app != signed.app || manifest.version != *version {
        let message =
            format!("The signed manifest of {version} is about {} {}.", plain(&manifest.app), manifest.version);
        return Err(Error::refused("manifest_of_another", message)
            .remedy("Do not install it: a signed file was put where it does not belong. Tell its publisher."));
    }
    if let Some(expires) = manifest.expires.filter(|it| *it <= now) {
        let message = format!(
            "The signed manifest of {version} held until {}.",
            expires.to_rfc3339_opts(SecondsFormat::Secs, true)
        );
        return Err(Error::refused("manifest_expired", message)
            .remedy("Check the date of this computer. If it is right, wait until its publisher signs it anew."));
    }
    Ok(())
}

fn plain(text: &str) -> String {
    text.escape_debug().take(60).collect()
}

fn listed(manifest: &Manifest, release: &Release, asset: &Asset) -> Result<Vouched> {
    let refused = |why: String| {
        Error::refused("manifest_asset", why)
            .remedy("Do not install it: the file is not the one that was signed. Tell the people who publish it.")
    };
    let mut found = manifest.assets.iter().filter(|it| it.name == asset.name);
    let (Some(one), None) = (found.next(), found.next()) else {
        return Err(refused(format!("The signed manifest of {} does not name {} once.", release.version, asset.name)));
    };
    if one.size != asset.size {
        return Err(refused(format!("{} has {} bytes; {} were signed.", asset.name, asset.size, one.size)));
    }
    let sha256 = checksums::digest(&one.sha256)
        .ok_or_else(|| refused(format!("The signed manifest of {} holds no checksum.", release.version)))?;
    Ok(Vouched { sha256, minimum: manifest.minimum_version.clone() })
}

/// The highest number seen for each version. A lower one for the same version, or for a later one, is an old
/// manifest that is played again.
fn remember(manifest: &Manifest, source: &Source, line: &Line<'_>) -> Result<()> {
    let key = format!("manifest-sequence {}", source.key());
    let known = line.cache.find(&key)?;
    let mut seen: BTreeMap<Version, u64> =
        known.and_then(|it| serde_json::from_slice(&it.body).ok()).unwrap_or_default();
    let newer = seen.iter().filter(|(version, _)| **version <= manifest.version).map(|(_, it)| *it).max();
    if newer.is_some_and(|it| it > manifest.sequence) {
        let message = format!("The signed manifest of {} is older than one that was seen before.", manifest.version);
        return Err(Error::refused("manifest_replayed", message)
            .remedy("Do not install it. Try again later; if it stays so, tell the people who publish it."));
    }
    if seen.insert(manifest.version.clone(), manifest.sequence) == Some(manifest.sequence) {
        return Ok(());
    }
    let body = serde_json::to_vec(&seen)
        .map_err(|cause| Error::bug("sequence_not_written", "A number could not be written.").because(&cause))?;
    let answer = Answer { etag: None, last_modified: None, body, fetched_at: line.clock.now() };
    line.cache.keep(&key, &answer)
}
