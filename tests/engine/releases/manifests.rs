//! Signed manifests, right and in every way wrong.

use std::sync::{Arc, Mutex};

use liftlock_engine::{
    error::Error,
    releases::{AssetPattern, Pinned, Signed, Source, Trust, pin, recheck},
};
use minisign::KeyPair;
use rstest::rstest;
use semver::Version;
use serde_json::{Value, json};

use crate::server::{Answer, Desk, Question, Server, release};

const A: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const B: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

/// What is published, and can be changed while it is served.
struct Published {
    manifest: Vec<u8>,
    signature: String,
    /// The digest that the server tells by itself.
    api: Option<&'static str>,
    size: u64,
    files: Vec<&'static str>,
}

struct World {
    keys: KeyPair,
    published: Arc<Mutex<Published>>,
    server: Server,
    desk: Desk,
}

fn plain() -> Value {
    json!({
        "app": "shop", "version": "1.0.0", "sequence": 7, "later": "unknown to us",
        "assets": [{"name": "shop-1.0.0.tar.gz", "sha256": A, "size": 10}, {"name": "other", "sha256": B, "size": 1}],
    })
}

fn sign(keys: &KeyPair, bytes: &[u8]) -> String {
    minisign::sign(Some(&keys.pk), &keys.sk, bytes, None, None).unwrap().into_string()
}

fn keys() -> KeyPair {
    KeyPair::generate_unencrypted_keypair().unwrap()
}

impl World {
    fn with(manifest: &Value) -> Self {
        let keys = keys();
        let bytes = manifest.to_string().into_bytes();
        let published = Arc::new(Mutex::new(Published {
            signature: sign(&keys, &bytes),
            manifest: bytes,
            api: None,
            size: 10,
            files: vec!["manifest.json", "manifest.json.minisig"],
        }));
        let shared = Arc::clone(&published);
        let server = Server::start(move |question| answer(&shared.lock().unwrap(), question));
        Self { keys, published, server, desk: Desk::new() }
    }

    fn change(&self, change: impl FnOnce(&mut Published)) {
        change(&mut self.published.lock().unwrap());
    }

    /// Publishes another manifest under the right signature.
    fn sign_anew(&self, manifest: &Value) {
        let bytes = manifest.to_string().into_bytes();
        self.change(|it| (it.signature, it.manifest) = (sign(&self.keys, &bytes), bytes));
    }

    fn source(&self) -> Source {
        let asset: AssetPattern = "shop-{version}.tar.gz".parse().unwrap();
        let mut source = Source::new(&self.server.url, "acme/shop", asset);
        source.require = Trust::SignedManifest;
        source.signed =
            Some(Signed { key: self.keys.pk.to_base64(), app: "shop".into(), manifest: AssetPattern::manifest() });
        source
    }

    fn pin(&self) -> Result<Pinned, Error> {
        pin(&self.source(), &Version::new(1, 0, 0), &self.desk.line())
    }

    fn class(&self) -> String {
        let error = self.pin().unwrap_err();
        assert_eq!(error.exit_code(), 3, "refused: {error:?}");
        assert!(!error.remedy.is_empty());
        error.class.into_owned()
    }
}

fn answer(it: &Published, question: &Question) -> Answer {
    let host = format!("http://{}", question.header("host").unwrap());
    match question.path() {
        "/repos/acme/shop/releases/tags/v1.0.0" => {
            let mut told = release("v1.0.0");
            let mut main = json!({"id": 1, "name": "shop-1.0.0.tar.gz", "size": it.size, "browser_download_url": format!("{host}/dl/main")});
            if let Some(digest) = it.api {
                main["digest"] = format!("sha256:{digest}").into();
            }
            let beside = it.files.iter().map(
                |name| json!({"id": 2, "name": name, "size": 1, "browser_download_url": format!("{host}/dl/{name}")}),
            );
            told["assets"] = [main].into_iter().chain(beside).collect();
            Answer::json(&told)
        }
        "/dl/manifest.json" => Answer::new(200, it.manifest.clone()),
        "/dl/manifest.json.minisig" => Answer::new(200, it.signature.clone()),
        _ => Answer::new(404, ""),
    }
}

#[test]
fn a_signed_manifest_vouches_for_the_file_it_names() {
    let mut manifest = plain();
    manifest["minimum_version"] = "0.9.0".into();
    manifest["expires"] = "2027-01-01T00:00:00Z".into();
    let world = World::with(&manifest);
    let pinned = world.pin().unwrap();
    assert_eq!((pinned.trust, pinned.sha256.as_deref()), (Trust::SignedManifest, Some(A)));
    assert_eq!(pinned.minimum, Some(Version::new(0, 9, 0)));
    assert_eq!(pinned.trust.to_string(), "signed manifest");
    recheck(&world.source(), &pinned, &world.desk.line()).unwrap();
    // Checked again when it is applied: another file under the same number is noticed, however well it is signed.
    manifest["sequence"] = 8.into();
    manifest["assets"][0]["sha256"] = B.into();
    world.sign_anew(&manifest);
    assert_eq!(recheck(&world.source(), &pinned, &world.desk.line()).unwrap_err().class, "release_moved");
}

#[rstest]
#[case::of_another_application("app", json!("workshop"), "manifest_of_another")]
#[case::of_another_version("version", json!("1.0.1"), "manifest_of_another")]
#[case::expired("expires", json!("2026-11-21T12:00:00Z"), "manifest_expired")]
#[case::another_size("assets", json!([{"name": "shop-1.0.0.tar.gz", "sha256": A, "size": 11}]), "manifest_asset")]
#[case::without_the_file("assets", json!([{"name": "other", "sha256": A, "size": 10}]), "manifest_asset")]
#[case::twice_the_file("assets", json!([{"name": "shop-1.0.0.tar.gz", "sha256": A, "size": 10}, {"name": "shop-1.0.0.tar.gz", "sha256": B, "size": 10}]), "manifest_asset")]
#[case::no_checksum("assets", json!([{"name": "shop-1.0.0.tar.gz", "sha256": "abc", "size": 10}]), "manifest_asset")]
#[case::no_number("sequence", json!(-1), "manifest_unreadable")]
fn what_is_signed_and_does_not_fit_is_refused(#[case] field: &str, #[case] value: Value, #[case] class: &str) {
    let mut manifest = plain();
    manifest[field] = value;
    assert_eq!(World::with(&manifest).class(), class);
}

#[test]
fn a_signature_by_another_key_or_of_another_text_is_refused() {
    let world = World::with(&plain());
    let fork = keys();
    world.change(|it| it.signature = sign(&fork, &it.manifest));
    assert_eq!(world.class(), "manifest_signature");
    let world = World::with(&plain());
    world.change(|it| it.manifest.push(b' '));
    assert_eq!(world.class(), "manifest_signature");
    world.change(|it| it.signature = "nonsense".into());
    assert_eq!(world.class(), "manifest_signature");
    // The name of the key is not the key.
    let world = World::with(&plain());
    world.change(|it| {
        let mut lines: Vec<String> = it.signature.lines().map(str::to_owned).collect();
        lines[1] = lines[1].chars().rev().collect();
        it.signature = lines.join("\n");
    });
    assert_eq!(world.class(), "manifest_signature");
}

#[test]
fn an_altered_file_is_refused_where_anyone_tells_its_digest() {
    let world = World::with(&plain());
    world.change(|it| it.api = Some(B));
    assert_eq!(world.class(), "digest_conflict");
    world.change(|it| (it.api, it.size) = (Some(A), 12));
    assert_eq!(world.class(), "manifest_asset");
}

#[test]
fn an_old_manifest_that_is_played_again_is_refused() {
    let world = World::with(&plain());
    world.pin().unwrap();
    let mut manifest = plain();
    manifest["sequence"] = 8.into();
    manifest["assets"][0]["sha256"] = B.into();
    world.sign_anew(&manifest);
    assert_eq!(world.pin().unwrap().sha256.as_deref(), Some(B));
    world.sign_anew(&plain());
    assert_eq!(world.class(), "manifest_replayed");
    world.sign_anew(&manifest);
    world.pin().unwrap();
}

#[test]
fn less_than_is_required_is_refused_and_half_a_manifest_is_none() {
    let world = World::with(&plain());
    world.change(|it| it.files.clear());
    assert_eq!(world.class(), "trust_too_low");
    for half in ["manifest.json", "manifest.json.minisig"] {
        world.change(|it| it.files = vec![half]);
        assert_eq!(world.class(), "manifest_half");
    }
    // Where no more than a checksum is required, a release without a manifest is what it is.
    let mut source = world.source();
    source.require = Trust::None;
    world.change(|it| it.files.clear());
    let open = pin(&source, &Version::new(1, 0, 0), &world.desk.line()).unwrap();
    assert_eq!((open.trust, open.minimum), (Trust::None, None));
    // And one with a wrong one is refused all the same.
    world.change(|it| (it.files, it.signature) = (vec!["manifest.json", "manifest.json.minisig"], "x".into()));
    assert_eq!(pin(&source, &Version::new(1, 0, 0), &world.desk.line()).unwrap_err().class, "manifest_signature");
}
