//! Fixing one release, and asking later whether it is still the same.

use reqwest::header::{ACCEPT, HeaderMap, HeaderValue};
use semver::Version;

use super::{
    Asset, Line, Origin, Pinned, Release, Source, Trust, attestation, checksums,
    http::{Http, Reply},
    list, manifest, tag, trouble,
    wire::{self, WireRef, WireRelease, WireTag, WireTagObject},
};
use crate::error::{Error, Result};
use crate::http::converse;
use crate::model::release::{fit_asset, fit_tag};

/// A file of checksums for a few hundred assets has some 50 kB.
const CHECKSUM_CAP: usize = 1 << 20;
/// No application is larger, and a disk is filled soon enough.
pub(super) const ASSET_CAP: u64 = 16 << 30;

/// Fixes the release of `version`: its tag, commit, asset and checksum, as they are now.
///
/// # Errors
/// As of [`list`](super::list) on the line; `release_unknown`, `tag_unfit`, `asset_missing`, `asset_too_large`,
/// `checksum_missing`, `checksum_unreadable`, `digest_conflict`, `trust_too_low`; of a signed manifest
/// `manifest_half`, `manifest_signature`, `manifest_of_another`, `manifest_expired`, `manifest_asset`,
/// `manifest_replayed`, `manifest_unreadable`; of an attestation `attestation_invalid`, `attestation_of_another`; of a
/// signed tag `tag_signature`, `tag_of_another`.
pub fn pin(source: &Source, version: &Version, line: &Line<'_>) -> Result<Pinned> {
    converse("releases", || async { look(&Http::open(source, line)?, source, version).await })
}

/// Asks whether a pinned release is still what it was.
///
/// # Errors
/// `release_moved`, with what has changed; as of [`pin`] where it cannot be asked.
pub fn recheck(source: &Source, pinned: &Pinned, line: &Line<'_>) -> Result<()> {
    let now = match pin(source, &pinned.version, line) {
        Ok(now) => now,
        Err(error) if matches!(&*error.class, "release_unknown" | "asset_missing" | "checksum_missing") => {
            return Err(moved(pinned, "it was withdrawn or is no longer complete").detail(error.message));
        }
        Err(error) if error.class == "digest_conflict" => {
            return Err(moved(pinned, "its checksums contradict each other").detail(error.message));
        }
        Err(error) => return Err(error),
    };
    let shown = |it: &Option<String>| it.clone().unwrap_or_else(|| "not told".into());
    let changed = |what: &str, then: &str, now: &str| Err(moved(pinned, what).detail(format!("was {then}, is {now}")));
    if now.commit != pinned.commit {
        return changed("its tag points to another commit", &shown(&pinned.commit), &shown(&now.commit));
    }
    if now.asset.name != pinned.asset.name || now.asset.size != pinned.asset.size {
        let (then, now) = (format!("{} bytes", pinned.asset.size), format!("{} bytes", now.asset.size));
        return changed("its file has another size", &then, &now);
    }
    if pinned.trust > Trust::None && now.sha256 != pinned.sha256 {
        return changed("its file has another checksum", &shown(&pinned.sha256), &shown(&now.sha256));
    }
    if pinned.trust == Trust::None && now.asset.id != pinned.asset.id {
        return changed("its file was uploaded again", &pinned.asset.id.to_string(), &now.asset.id.to_string());
    }
    Ok(())
}

fn moved(pinned: &Pinned, what: &str) -> Error {
    let message = format!("Release {} has changed since the plan was made: {what}.", pinned.version);
    Error::refused("release_moved", message).remedy(
        "Nothing was changed. Read what its publisher says about it, make a new plan, and go on only if you trust it.",
    )
}

async fn look(http: &Http<'_>, source: &Source, version: &Version) -> Result<Pinned> {
    if source.origin != Origin::Releases {
        return source_of(http, source, version).await;
    }
    let tag = source.tag.tag(version);
    fit_tag(&tag).map_err(|why| {
        Error::refused("tag_unfit", format!("The tag \"{}\" {why}.", tag.escape_debug()))
            .remedy("Correct the tag pattern in the profile.")
    })?;
    let release = published(http, source, version, &tag).await?;
    let asset = asset_of(source, &release)?;
    let mut sha256 = agreed(&asset, checksum_file(http, source, &release, &asset).await?)?;
    let mut trust = if sha256.is_some() { Trust::Checksum } else { Trust::None };
    let mut minimum = None;
    if let Some(signed) = &source.signed
        && let Some(vouched) = manifest::vouched(http, source, signed, &release, &asset).await?
    {
        let told = Asset { digest: Some(vouched.sha256), ..asset.clone() };
        sha256 = agreed(&told, sha256)?;
        (trust, minimum) = (Trust::SignedManifest, vouched.minimum);
    }
    let pointed = commit_of(http, source, &tag).await?;
    let commit = pointed.commit.or_else(|| release.commit.clone());
    if let (Some(attested), Some(digest), true) = (&source.attested, &sha256, trust < Trust::Attestation)
        && attestation::vouches(http, source, attested, &release, &asset, (digest, commit.as_deref())).await?
    {
        trust = Trust::Attestation;
    }
    // Without a checksum nothing ties the file to what is published under the tag.
    if pointed.is_signed && (Trust::Checksum..Trust::SignedTag).contains(&trust) {
        trust = Trust::SignedTag;
    }
    if trust < source.require {
        return Err(too_little(source, version, trust));
    }
    Ok(Pinned { version: version.clone(), tag, commit, asset, sha256, trust, minimum })
}

/// The source of a bare tag or a commit. Its commit alone is fixed: what packs it tells neither size nor checksum before.
async fn source_of(http: &Http<'_>, source: &Source, version: &Version) -> Result<Pinned> {
    let found = list::walk(http, source).await?.pages.into_iter().flat_map(|it| it.releases);
    let found = found.filter_map(|it| it.read(&source.tag).ok()).find(|it| it.version == *version);
    let unknown = || {
        Error::refused("release_unknown", format!("{} has no version {version} any more.", source.repository))
            .remedy("Look at the list of releases and choose one of them.")
    };
    let release = found.ok_or_else(unknown)?;
    let mut commit = release.commit.clone().ok_or_else(unknown)?;
    if source.origin == Origin::Tags {
        // A list may be older than the tag; and here a signature is looked at, where keys are pinned.
        commit = commit_of(http, source, &release.tag).await?.commit.ok_or_else(unknown)?;
    }
    if source.require > Trust::None {
        return Err(too_little(source, version, Trust::None));
    }
    let name = source.asset_name(version);
    fit_asset(&name)
        .map_err(|why| Error::refused("asset_missing", format!("The name {} {why}.", name.escape_debug())))?;
    let url = source.archive(&commit)?.to_string();
    let asset = Asset { id: 0, name, size: 0, url, api_url: None, digest: None };
    Ok(Pinned {
        version: version.clone(),
        tag: release.tag,
        commit: Some(commit),
        asset,
        sha256: None,
        trust: Trust::None,
        minimum: None,
    })
}

fn too_little(source: &Source, version: &Version, trust: Trust) -> Error {
    let message = format!(
        "Release {version} is vouched for by less than this application requires: it is \"{trust}\", required is \"{}\".",
        source.require
    );
    Error::refused("trust_too_low", message)
        .remedy("Wait until its publisher signs it. Lower the requirement in the profile only if you know why.")
}

async fn published(http: &Http<'_>, source: &Source, version: &Version, tag: &str) -> Result<Release> {
    let url = source.address(&["releases", "tags", tag])?;
    let unknown = || {
        Error::refused("release_unknown", format!("{} has no release {version}.", source.repository))
            .remedy("Look at the list of releases and choose one of them.")
            .detail(format!("tag {tag}"))
    };
    let wire: WireRelease = http.json(&url).await?.ok_or_else(unknown)?;
    if wire.draft || wire.tag_name != tag {
        return Err(unknown());
    }
    wire.read(&source.tag).map_err(|why| unknown().detail(why))
}

fn asset_of(source: &Source, release: &Release) -> Result<Asset> {
    let name = source.asset_name(&release.version);
    let found = release.assets.iter().find(|it| it.name == name);
    let Some(asset) = found.filter(|_| fit_asset(&name).is_ok()) else {
        let names: Vec<&str> = release.assets.iter().take(8).map(|it| it.name.as_str()).collect();
        let there = if names.is_empty() { "no file at all".into() } else { names.join(", ") };
        let message = format!("Release {} has no file named {}.", release.version, name.escape_debug());
        return Err(Error::refused("asset_missing", message)
            .remedy("If it was published a moment ago, try again later. Else correct the asset's name in the profile.")
            .detail(format!("it has {there}")));
    };
    if asset.size == 0 || asset.size > ASSET_CAP {
        let message = format!("The file {name} of release {} has {} bytes.", release.version, asset.size);
        return Err(Error::refused("asset_too_large", message)
            .remedy("This is not what a release looks like. Tell the people who publish the application."));
    }
    Ok(asset.clone())
}

/// What the file of checksums beside the asset says, where there is one.
async fn checksum_file(http: &Http<'_>, source: &Source, release: &Release, asset: &Asset) -> Result<Option<String>> {
    let names = match &source.checksums {
        Some(pattern) => vec![pattern.name(&release.version, &release.tag, &asset.name)],
        None => {
            let usual = ["SHA256SUMS", "SHA256SUMS.txt", "sha256sums.txt", "checksums.txt"];
            [format!("{}.sha256", asset.name)].into_iter().chain(usual.map(str::to_owned)).collect()
        }
    };
    let file = names.iter().find_map(|name| release.assets.iter().find(|it| it.name == *name));
    let missing = |what: String| {
        Error::refused("checksum_missing", what).remedy(
            "If it was published a moment ago, try again later. Else the checksums in the profile must be corrected.",
        )
    };
    let Some(file) = file else {
        return match &source.checksums {
            Some(_) => Err(missing(format!("Release {} has no file of checksums {}.", release.version, names[0]))),
            None => Ok(None),
        };
    };
    let (url, headers) = download_of(http, file)?;
    let text = http
        .ask(&url, &headers, CHECKSUM_CAP, |reply| match reply {
            Reply::Body(body) => Ok(String::from_utf8_lossy(&body.bytes).into_owned()),
            Reply::Missing => Err(trouble::Trouble::final_(missing(format!("{} cannot be downloaded.", file.name)))),
            Reply::Unchanged => Err(trouble::bad_body(&url, "nothing was said about what has not changed")),
        })
        .await?;
    let unreadable = |why: String| {
        Error::refused("checksum_unreadable", format!("The checksums in {} cannot be used. {why}", file.name))
            .remedy("Tell the people who publish the application.")
    };
    match checksums::find(&text, &asset.name) {
        Ok(Some(sum)) => Ok(Some(sum)),
        Ok(None) if source.checksums.is_some() || file.name.starts_with(&asset.name) => {
            Err(unreadable(format!("It names none for {}.", asset.name)))
        }
        // A list that was found by guessing may be about other files.
        Ok(None) => Ok(None),
        Err(why) => Err(unreadable(why)),
    }
}

/// The one digest on which all who name one agree.
fn agreed(asset: &Asset, beside: Option<String>) -> Result<Option<String>> {
    match (beside, asset.digest.clone()) {
        (Some(file), Some(api)) if file != api => {
            let message = format!("The checksums of {} contradict each other.", asset.name);
            Err(Error::refused("digest_conflict", message)
                .remedy("The file was changed after it was published. Tell the people who publish the application.")
                .detail(format!("file of checksums: {file}"))
                .detail(format!("release server: {api}")))
        }
        (file, api) => Ok(file.or(api)),
    }
}

/// Where an asset is downloaded from, and with which headers. Who has a token asks the API, because a
/// private repository hands nothing out elsewhere.
pub(super) fn download_of(http: &Http<'_>, asset: &Asset) -> Result<(reqwest::Url, HeaderMap)> {
    let parse = |url: &String| reqwest::Url::parse(url).ok().filter(super::source::is_safe);
    let by_api = asset.api_url.as_ref().and_then(parse).filter(|url| http.has_token() && http.is_api(url));
    let url = by_api.or_else(|| parse(&asset.url)).ok_or_else(|| {
        Error::refused("asset_missing", format!("The file {} has no safe address.", asset.name.escape_debug()))
            .remedy("Make a new plan.")
    })?;
    let mut headers = HeaderMap::new();
    // What is no file of a release is handed out by a part of the API that knows one kind of answer only.
    let kind = if asset.id == 0 { "*/*" } else { "application/octet-stream" };
    headers.insert(ACCEPT, HeaderValue::from_static(kind));
    Ok((url, headers))
}

/// What a tag points to.
#[derive(Default)]
struct Pointed {
    commit: Option<String>,
    /// Whether a key that the profile pins says so.
    is_signed: bool,
}

/// The commit behind the tag, where the server can be asked for it.
async fn commit_of(http: &Http<'_>, source: &Source, tag: &str) -> Result<Pointed> {
    // GitHub has git/ref/tags, and says with it whether the tag is an object of its own that must be opened.
    let path: Vec<&str> = ["git", "ref", "tags"].into_iter().chain(tag.split('/')).collect();
    let plain = |sha: String| Pointed { commit: Some(sha).filter(|it| wire::is_commit(it)), is_signed: false };
    if let Some(found) = http.json::<WireRef>(&source.address(&path)?).await? {
        if found.object.kind != "tag" {
            return Ok(plain(found.object.sha));
        }
        if wire::is_commit(&found.object.sha) {
            let opened: Option<WireTagObject> =
                http.json(&source.address(&["git", "tags", &found.object.sha])?).await?;
            return opened.map_or_else(|| Ok(Pointed::default()), |it| behind(it, source, tag));
        }
        return Ok(Pointed::default());
    }
    // Gitea and Forgejo have tags by name; the object of its own, where there is one, has a number beside the commit's.
    let Some(found) = http.json::<WireTag>(&source.address(&["tags", tag])?).await? else {
        return Ok(Pointed::default());
    };
    if let Some(object) = found.id.filter(|it| !source.tag_keys.is_empty() && wire::is_commit(it))
        && object != found.commit.sha
        && let Some(opened) = http.json::<WireTagObject>(&source.address(&["git", "tags", &object])?).await?
    {
        return behind(opened, source, tag);
    }
    Ok(plain(found.commit.sha))
}

/// What is behind a tag that is an object of its own; where keys are pinned, by their word.
fn behind(opened: WireTagObject, source: &Source, tag: &str) -> Result<Pointed> {
    let told = Some(opened.object.sha).filter(|it| wire::is_commit(it));
    let signed = opened.verification.and_then(|it| Some((it.payload?, it.signature?)));
    let Some((payload, signature)) = signed.filter(|_| !source.tag_keys.is_empty()) else {
        return Ok(Pointed { commit: told, is_signed: false });
    };
    let signed = tag::SignedTag { payload: &payload, signature: &signature };
    let commit = tag::commit_of(&signed, tag, &source.tag_keys)?;
    if told.is_some_and(|it| !it.eq_ignore_ascii_case(&commit)) {
        return Err(tag::of_another(tag));
    }
    Ok(Pointed { commit: Some(commit), is_signed: true })
}
