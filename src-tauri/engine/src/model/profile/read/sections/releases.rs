//! Where releases are and what they are called.

use semver::VersionReq;

use super::super::{
    super::{Attestation, Releases},
    addresses::{Refers, api, reference},
    document::{Node, quoted},
    values::{self, asset, file, one_of, version},
};
use crate::model::path::NotDirectly;
use crate::model::release::{AssetPattern, Channel, Published, TagPattern, Trust, fit_tag};

pub(super) fn releases(node: &Node<'_>) -> Option<Releases> {
    let table = node.table()?;
    let api = table.optional("api", api).unwrap_or_else(Releases::default_api);
    let repository = table.required("repository", "repository = \"owner/name\"", repository);
    let tag = table.optional("tag", tag).unwrap_or_default();
    let channel = table.optional("channel", channel).unwrap_or_default();
    let published = table.optional("published", published).unwrap_or_default();
    let branch = table.optional("branch", branch);
    if channel == Channel::Branch && !table.has("branch") {
        table.mistake("the channel is a branch and none is named in [releases]", "name it: branch = \"main\"");
    }
    let is_source = published == Published::Tags || channel == Channel::Branch;
    let asset = match is_source && !table.has("asset") {
        true => Some(AssetPattern::source()),
        false => table.required("asset", "asset = \"name-{version}.tar.gz\"", asset),
    };
    let checksums = table.optional("checksums", values::asset);
    let require = table.optional("require", required);
    let is_misread = require.is_none() && table.has("require");
    let require = require.unwrap_or_else(Releases::default_require);
    let key = table.optional("key", public_key);
    let manifest = table.optional("manifest", values::asset);
    if is_source && require != Trust::None && !is_misread {
        let remedy =
            "write require = \"none\" if that is acceptable: the commit is pinned, and nothing else vouches for it";
        table.mistake("for the source of a tag or a commit nothing vouches, and [releases] requires more", remedy);
    }
    if require == Trust::SignedManifest && !table.has("key") {
        let remedy = "name the public key of its publisher: key = \"RW…\", the second line of minisign.pub";
        table.mistake("a signed manifest is required and no key is named in [releases]", remedy);
    }
    let attestation = table.optional("attestation", attestation);
    if require == Trust::Attestation && !table.has("attestation") {
        let remedy =
            "name the workflow that builds releases: attestation = { workflow = \".github/workflows/release.yml\" }";
        table.mistake("an attestation is required and no workflow is named in [releases]", remedy);
    }
    let tag_keys = table.list("tag_keys", tag_key);
    if require == Trust::SignedTag && !table.has("tag_keys") {
        let remedy = "name the keys of its publisher: tag_keys = [\"ssh-ed25519 AAAA…\"]";
        table.mistake("a signed tag is required and no key is named in [releases]", remedy);
    }
    let token = table.optional("token", |it| reference(it, Refers::Token));
    let ca = table.optional("ca", file);
    let breaking = table.list("breaking", version);
    let keeps_data = table.list("keeps_data", |it| it.number(1..100_000).and_then(|it| u64::try_from(it).ok()));
    let required_stops = table.list("required_stops", version);
    let not_directly = table.list("not_directly", jump);
    table.finish();
    if require == Trust::Checksum && !is_misread && !is_source && !table.has("checksums") {
        let remedy = "name the file of sha256 sums: checksums = \"SHA256SUMS\" (or write require = \"none\")";
        table.mistake("a checksum is required and no file of checksums is named in [releases]", remedy);
    }
    Some(Releases {
        api,
        repository: repository?,
        tag,
        channel,
        published,
        branch,
        asset: asset?,
        checksums,
        require,
        key,
        manifest,
        attestation,
        tag_keys,
        token,
        ca,
        breaking,
        keeps_data,
        required_stops,
        not_directly,
    })
}

/// Base64 of two letters, a number and a key: 56 characters. Whether it is a key is seen when it is used.
fn public_key(node: &Node<'_>) -> Option<String> {
    let text = node.text()?;
    let legal = text.len() == 56
        && text.starts_with("RW")
        && text.chars().all(|it| it.is_ascii_alphanumeric() || matches!(it, '+' | '/' | '='));
    if !legal {
        let remedy = "copy the second line of its publisher’s minisign.pub, which begins with RW";
        node.mistake(format!("{} is not a public key of minisign", quoted(text)), remedy);
    }
    legal.then(|| text.to_owned())
}

fn attestation(node: &Node<'_>) -> Option<Attestation> {
    let table = node.table()?;
    let workflow = table.required("workflow", "workflow = \".github/workflows/release.yml\"", workflow);
    let issuer = table.optional("issuer", issuer).unwrap_or_else(Attestation::default_issuer);
    table.finish();
    Some(Attestation { workflow: workflow?, issuer })
}

fn workflow(node: &Node<'_>) -> Option<String> {
    let text = node.text()?;
    let legal = (text.ends_with(".yml") || text.ends_with(".yaml"))
        && !text.starts_with('/')
        && !text.contains(['@', '\\', ' '])
        && !text.split('/').any(|it| matches!(it, "" | "." | ".."));
    if !legal {
        let remedy = "write its path in the repository: “.github/workflows/release.yml”";
        node.mistake(format!("{} is not the path of a workflow", quoted(text)), remedy);
    }
    legal.then(|| text.to_owned())
}

fn issuer(node: &Node<'_>) -> Option<String> {
    let text = node.text()?;
    let legal = text.starts_with("https://") && url::Url::parse(text).is_ok();
    if !legal {
        let remedy = "write its https address, or leave it out for GitHub";
        node.mistake(format!("{} is not the address of an issuer", quoted(text)), remedy);
    }
    legal.then(|| text.to_owned())
}

/// The beginning of such a key is the same for all of its kind; whether it is one is seen when it is used.
fn tag_key(node: &Node<'_>) -> Option<String> {
    let text = node.text()?;
    let mut words = text.split_whitespace();
    let legal = words.next() == Some("ssh-ed25519")
        && words.next().is_some_and(|it| it.len() == 68 && it.starts_with("AAAAC3NzaC1lZDI1NTE5AAAAI"));
    if !legal {
        let remedy = "copy the line of its publisher’s id_ed25519.pub: “ssh-ed25519 AAAA…”";
        node.mistake(format!("{} is not a public SSH key of Ed25519", quoted(text)), remedy);
    }
    legal.then(|| text.to_owned())
}

fn jump(node: &Node<'_>) -> Option<NotDirectly> {
    let table = node.table()?;
    let from = table.required("from", "from = \"<1.7.0\"", versions);
    let to = table.required("to", "to = \">=2.0.0\"", versions);
    table.finish();
    Some(NotDirectly { from: from?, to: to? })
}

fn versions(node: &Node<'_>) -> Option<VersionReq> {
    let text = node.text()?;
    let read = VersionReq::parse(text).ok();
    if read.is_none() {
        let remedy = "write which versions are meant: “<1.7.0”, “>=2.0.0”, “>=1.2.0, <1.4.0”";
        node.mistake(format!("{} does not say which versions are meant", quoted(text)), remedy);
    }
    read
}

fn repository(node: &Node<'_>) -> Option<String> {
    let text = node.text()?;
    let legal = |it: &str| {
        it.starts_with(|c: char| c.is_ascii_alphanumeric())
            && it.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
            && !it.contains("..")
    };
    if text.split('/').count() == 2 && text.split('/').all(legal) {
        return Some(text.to_owned());
    }
    node.mistake(
        format!("{} is not a repository", quoted(text)),
        "write “owner/name”, without the address of the server",
    );
    None
}

fn tag(node: &Node<'_>) -> Option<TagPattern> {
    let remedy = "write what a tag looks like, with {version} once: “v{version}”";
    node.text()?.parse().map_err(|fault: String| node.mistake(fault, remedy)).ok()
}

fn channel(node: &Node<'_>) -> Option<Channel> {
    one_of(node, &[("stable", Channel::Stable), ("prerelease", Channel::Prerelease), ("branch", Channel::Branch)])
}

fn published(node: &Node<'_>) -> Option<Published> {
    one_of(node, &[("releases", Published::Releases), ("tags", Published::Tags)])
}

/// What may be the name of a tag may be that of a branch.
fn branch(node: &Node<'_>) -> Option<String> {
    let text = node.text()?;
    match fit_tag(text) {
        Ok(()) => Some(text.to_owned()),
        Err(why) => {
            node.mistake(format!("{} {why}", quoted(text)), "write its name in the repository: “main”");
            None
        }
    }
}

fn required(node: &Node<'_>) -> Option<Trust> {
    one_of(
        node,
        &[
            ("none", Trust::None),
            ("checksum", Trust::Checksum),
            ("signed_tag", Trust::SignedTag),
            ("attestation", Trust::Attestation),
            ("signed_manifest", Trust::SignedManifest),
        ],
    )
}
