//! Signatures on tags in git, made with an SSH key that the profile pins.
//!
//! The release server hands out the tag as it was signed; nothing else of what it says about the signature is believed.
//! A signed tag vouches for a commit: that the file was made from it is its publisher's word. Absent on purpose:
//! OpenPGP, and keys other than Ed25519 (`docs/decisions/`).

use aws_lc_rs::digest;
use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::error::{Error, Result};

const MAGIC: &[u8] = b"SSHSIG";
const KIND: &[u8] = b"ssh-ed25519";

/// A tag as it was signed.
pub(super) struct SignedTag<'t> {
    /// What is signed: the tag itself.
    pub(super) payload: &'t str,
    pub(super) signature: &'t str,
}

/// The commit that a signed tag names.
///
/// # Errors
/// `tag_signature` where it is signed by none of the keys, or is not what was signed; `tag_of_another` where a tag of
/// another name was put there.
pub(super) fn commit_of(tag: &SignedTag<'_>, name: &str, keys: &[String]) -> Result<String> {
    let refused = |why: &str| {
        Error::refused("tag_signature", format!("The tag {name} is not signed with a key of its publisher."))
            .remedy("Do not install it. Ask the people who publish the application whether they have a new key.")
            .detail(why)
    };
    if !tag.signature.trim_start().starts_with("-----BEGIN SSH SIGNATURE-----") {
        return Err(refused("it is not signed with an SSH key"));
    }
    let blob = unarmoured(tag.signature).ok_or_else(|| refused("its signature cannot be read"))?;
    let keys: Vec<Vec<u8>> = keys.iter().filter_map(|it| key_of(it)).collect();
    check(&blob, tag.payload.as_bytes(), &keys).map_err(refused)?;
    let header = |key: &str| {
        let head = tag.payload.split("\n\n").next().unwrap_or_default();
        head.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' ')).map(str::to_owned)
    };
    if header("tag").as_deref() != Some(name) || header("type").as_deref() != Some("commit") {
        return Err(of_another(name));
    }
    header("object").ok_or_else(|| refused("it names no commit"))
}

pub(super) fn of_another(name: &str) -> Error {
    Error::refused("tag_of_another", format!("The signed tag that was handed out is not {name}."))
        .remedy("Do not install it: a signed tag was put where it does not belong. Tell its publisher.")
}

/// The key of a line such as `ssh-ed25519 AAAA… somebody`, as the signature holds it.
fn key_of(line: &str) -> Option<Vec<u8>> {
    let mut words = line.split_whitespace();
    (words.next()?.as_bytes() == KIND).then_some(())?;
    let blob = STANDARD.decode(words.next()?).ok()?;
    ed25519(&blob).map(|_| blob.clone())
}

/// The bare key or signature within its envelope, which names its kind.
fn ed25519(blob: &[u8]) -> Option<&[u8]> {
    let mut rest = blob;
    (string(&mut rest)? == KIND).then_some(())?;
    let bare = string(&mut rest)?;
    rest.is_empty().then_some(bare)
}

fn unarmoured(text: &str) -> Option<Vec<u8>> {
    let inner: String = text.lines().map(str::trim).filter(|it| !it.starts_with("-----")).collect();
    STANDARD.decode(inner).ok()
}

/// PROTOCOL.sshsig of OpenSSH, for what git signs.
fn check(blob: &[u8], message: &[u8], keys: &[Vec<u8>]) -> Result<(), &'static str> {
    let (key, algorithm, signature) = read(blob).ok_or("its signature is not one of git")?;
    if !keys.iter().any(|it| it == key) {
        return Err("it is signed with another key");
    }
    let algorithm_of = match algorithm {
        b"sha512" => &digest::SHA512,
        b"sha256" => &digest::SHA256,
        _ => return Err("its signature uses an unknown digest"),
    };
    let mut signed = MAGIC.to_vec();
    for part in [b"git".as_slice(), b"", algorithm, digest::digest(algorithm_of, message).as_ref()] {
        signed.extend(u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
        signed.extend(part);
    }
    let (Some(key), Some(signature)) = (ed25519(key), ed25519(signature)) else {
        return Err("its key is not of Ed25519");
    };
    UnparsedPublicKey::new(&ED25519, key).verify(&signed, signature).map_err(|_| "it was changed after it was signed")
}

/// Key, digest and signature of an envelope whose namespace is git's.
fn read(blob: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let mut rest = blob.strip_prefix(MAGIC)?.strip_prefix(&1_u32.to_be_bytes())?;
    let key = string(&mut rest)?;
    (string(&mut rest)? == b"git").then_some(())?;
    string(&mut rest)?;
    let algorithm = string(&mut rest)?;
    let signature = string(&mut rest)?;
    rest.is_empty().then_some((key, algorithm, signature))
}

/// Takes a text with its length before it.
fn string<'b>(rest: &mut &'b [u8]) -> Option<&'b [u8]> {
    let (length, after) = rest.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    let (text, after) = after.split_at_checked(length)?;
    *rest = after;
    Some(text)
}
