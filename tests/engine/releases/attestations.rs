//! Attested builds and signed tags, real ones, right and in every way wrong.

use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use liftlock_engine::{
    error::Error,
    releases::{Attested, Pinned, Source, Trust, pin, recheck},
};
use rstest::rstest;
use semver::Version;
use serde_json::{Value, json};

use crate::server::{Answer, Desk, Question, Server, release};

/// What `tests/fixtures/signatures/README.md` says about the real one.
const ATTESTED: &str = "54303491a8418fbed24344b513546182c29b43bf282ceb433af65e2299f9271f";
const COMMIT: &str = "193b5bd7d3985809503963ae400594ea16df31cf";
const REPOSITORY: &str = "prefix-dev/sigstore-example";
const WORKFLOW: &str = ".github/workflows/action.yaml";
const GITHUB: &str = "https://token.actions.githubusercontent.com";
const OTHER: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";
/// The commit in the signed tag.
const TAGGED: &str = "cccccccccccccccccccccccccccccccccccccccc";

fn fixture(name: &str) -> String {
    let path = format!("{}/../../tests/fixtures/signatures/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(path).unwrap().replace("\r\n", "\n")
}

fn attestation() -> Value {
    serde_json::from_str(&fixture("attestation.sigstore.json")).unwrap()
}

/// What is published.
struct Published {
    digest: Option<&'static str>,
    attestations: Vec<Value>,
    /// The same as a file beside the asset.
    beside: Option<Value>,
    commit: &'static str,
    /// A tag of its own: what is signed, and the signature.
    tag: Option<(String, Option<String>)>,
}

impl Default for Published {
    fn default() -> Self {
        Self { digest: Some(ATTESTED), attestations: vec![attestation()], beside: None, commit: COMMIT, tag: None }
    }
}

struct World {
    published: Arc<Mutex<Published>>,
    server: Server,
    desk: Desk,
}

impl World {
    fn new(published: Published) -> Self {
        let published = Arc::new(Mutex::new(published));
        let shared = Arc::clone(&published);
        let server = Server::start(move |question| answer(&shared.lock().unwrap(), question));
        Self { published, server, desk: Desk::new() }
    }

    fn source(&self) -> Source {
        let mut source = Source::new(&self.server.url, REPOSITORY, "shop-{version}.tar.gz".parse().unwrap());
        source.attested = Some(Attested { workflow: WORKFLOW.into(), issuer: GITHUB.into() });
        source
    }

    fn pin(&self, source: &Source) -> Result<Pinned, Error> {
        pin(source, &Version::new(1, 0, 0), &self.desk.line())
    }

    fn refused(&self, source: &Source) -> Error {
        let error = self.pin(source).unwrap_err();
        assert_eq!(error.exit_code(), 3, "refused: {error:?}");
        assert!(!error.remedy.is_empty());
        error
    }
}

fn answer(it: &Published, question: &Question) -> Answer {
    let host = format!("http://{}", question.header("host").unwrap());
    let Some((_, path)) = question.path().split_once("/sigstore-example/") else {
        return match (question.path(), &it.beside) {
            ("/dl/bundle", Some(bundle)) => Answer::json(bundle),
            _ => Answer::new(404, ""),
        };
    };
    match path {
        "releases/tags/v1.0.0" => {
            let mut told = release("v1.0.0");
            let mut main = json!({"id": 1, "name": "shop-1.0.0.tar.gz", "size": 10, "browser_download_url": format!("{host}/dl/main")});
            if let Some(digest) = it.digest {
                main["digest"] = format!("sha256:{digest}").into();
            }
            let beside = it.beside.as_ref().map(|_| {
                json!({"id": 2, "name": "shop-1.0.0.tar.gz.sigstore.json", "size": 9, "browser_download_url": format!("{host}/dl/bundle")})
            });
            told["assets"] = [main].into_iter().chain(beside).collect();
            Answer::json(&told)
        }
        "git/ref/tags/v1.0.0" if it.tag.is_some() => {
            Answer::json(&json!({"object": {"type": "tag", "sha": OTHER[..40]}}))
        }
        "git/ref/tags/v1.0.0" => Answer::json(&json!({"object": {"type": "commit", "sha": it.commit}})),
        path if path.starts_with("git/tags/") => {
            let (payload, signature) = it.tag.as_ref().unwrap();
            // The server's own word about the signature is not worth anything.
            let told = json!({"verified": true, "reason": "valid", "payload": payload, "signature": signature});
            Answer::json(&json!({"object": {"type": "commit", "sha": it.commit}, "verification": told}))
        }
        path if path.starts_with("attestations/sha256:") || path.starts_with("attestations/sha256%3A") => {
            let all: Vec<Value> = it.attestations.iter().map(|it| json!({"bundle": it, "repository_id": 1})).collect();
            if all.is_empty() { Answer::new(404, "{}") } else { Answer::json(&json!({ "attestations": all })) }
        }
        _ => Answer::new(404, ""),
    }
}

#[test]
fn a_build_that_is_attested_vouches_for_its_file() {
    let world = World::new(Published::default());
    let mut source = world.source();
    source.require = Trust::Attestation;
    let pinned = world.pin(&source).unwrap();
    assert_eq!((pinned.trust, pinned.sha256.as_deref()), (Trust::Attestation, Some(ATTESTED)));
    assert_eq!(pinned.trust.to_string(), "attested build");
    recheck(&source, &pinned, &world.desk.line()).unwrap();
    // It counts wherever it lies, and among others that do not.
    let beside = Published { attestations: Vec::new(), beside: Some(attestation()), ..Published::default() };
    assert_eq!(World::new(beside).pin_with(&source).unwrap().trust, Trust::Attestation);
    let release: Value = serde_json::from_str(&fixture("release.sigstore.json")).unwrap();
    let several = Published { attestations: vec![json!({}), release, attestation()], ..Published::default() };
    assert_eq!(World::new(several).pin_with(&source).unwrap().trust, Trust::Attestation);
}

impl World {
    /// The same source, asked of this server.
    fn pin_with(&self, source: &Source) -> Result<Pinned, Error> {
        self.pin(&Source { api: self.server.url.clone(), ..source.clone() })
    }
}

#[test]
fn an_attestation_of_a_fork_of_another_workflow_or_of_another_issuer_is_refused() {
    let world = World::new(Published::default());
    type Change = fn(&mut Source);
    let changes: [(&str, Change, &str); 6] = [
        ("a fork", |it| it.repository = "acme/sigstore-example".into(), "it is of https://github.com/prefix-dev"),
        ("a name that begins alike", |it| it.repository = "prefix-dev2/sigstore-example".into(), "it is of"),
        (
            "another workflow",
            |it| it.attested.as_mut().unwrap().workflow = ".github/workflows/release.yml".into(),
            "it is of the workflow .github/workflows/action.yaml",
        ),
        (
            "a workflow that ends alike",
            |it| it.attested.as_mut().unwrap().workflow = "action.yaml".into(),
            "it is of the workflow",
        ),
        (
            "another issuer",
            |it| it.attested.as_mut().unwrap().issuer = "https://git.example.org/_services/token".into(),
            "it was vouched for by https://token",
        ),
        ("no issuer", |it| it.attested.as_mut().unwrap().issuer = String::new(), "it was vouched for by"),
    ];
    for (what, change, why) in changes {
        for require in [Trust::None, Trust::Attestation] {
            let mut source = Source { require, ..world.source() };
            change(&mut source);
            let error = world.refused(&source);
            assert_eq!(error.class, "attestation_of_another", "{what}");
            assert!(error.details.iter().any(|it| it.contains(why)), "{what}: {:?}", error.details);
        }
    }
    // The name of a repository may be written otherwise; it is the same one.
    let same = Source { repository: "Prefix-Dev/sigstore-example".into(), ..world.source() };
    assert_eq!(world.pin(&same).unwrap().trust, Trust::Attestation);
}

#[test]
fn an_attestation_of_another_commit_or_file_is_refused() {
    let world = World::new(Published { commit: TAGGED, ..Published::default() });
    let error = world.refused(&world.source());
    assert_eq!(error.class, "attestation_of_another");
    assert!(error.details[0].contains(COMMIT), "{:?}", error.details);
    let world = World::new(Published { digest: Some(OTHER), ..Published::default() });
    assert_eq!(world.refused(&world.source()).class, "attestation_invalid", "it is about another file");
}

fn altered(pointer: &str, change: impl FnOnce(Vec<u8>) -> Vec<u8>) -> Value {
    let mut bundle = attestation();
    let part = bundle.pointer_mut(pointer).unwrap_or_else(|| panic!("{pointer}"));
    *part = STANDARD.encode(change(STANDARD.decode(part.as_str().unwrap()).unwrap())).into();
    bundle
}

/// A certificate for the same workflow, by an authority that somebody made.
fn own_certificate(_: Vec<u8>) -> Vec<u8> {
    let identity = format!("https://github.com/{REPOSITORY}/{WORKFLOW}@refs/heads/main");
    let mut params = rcgen::CertificateParams::default();
    params.subject_alt_names = vec![rcgen::SanType::URI(identity.try_into().unwrap())];
    params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::CodeSigning];
    let issuer = rcgen::CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 57264, 1, 1], GITHUB.as_bytes().to_vec());
    params.custom_extensions = vec![issuer];
    params.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap().der().to_vec()
}

#[rstest]
#[case::another_file_named(altered("/dsseEnvelope/payload", |it| String::from_utf8(it).unwrap().replace(ATTESTED, OTHER).into_bytes()))]
#[case::another_signature(altered("/dsseEnvelope/signatures/0/sig", |mut it| { let at = it.len() - 1; it[at] ^= 1; it }))]
#[case::an_authority_that_somebody_made(altered("/verificationMaterial/certificate/rawBytes", own_certificate))]
#[case::not_in_the_log({ let mut it = attestation(); it["verificationMaterial"]["tlogEntries"] = json!([]); it })]
#[case::another_time({ let mut it = attestation(); it["verificationMaterial"]["tlogEntries"][0]["integratedTime"] = "1".into(); it })]
#[case::no_statement(json!({"mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json"}))]
fn what_is_not_what_it_says_is_refused(#[case] bundle: Value) {
    let digest =
        if bundle["dsseEnvelope"]["payload"] == attestation()["dsseEnvelope"]["payload"] { ATTESTED } else { OTHER };
    let world = World::new(Published { attestations: vec![bundle], digest: Some(digest), ..Published::default() });
    assert_eq!(world.refused(&world.source()).class, "attestation_invalid");
}

#[test]
fn without_an_attestation_there_is_only_what_else_vouches() {
    let world = World::new(Published { attestations: Vec::new(), ..Published::default() });
    assert_eq!(world.pin(&world.source()).unwrap().trust, Trust::Checksum);
    let strict = Source { require: Trust::Attestation, ..world.source() };
    assert_eq!(world.refused(&strict).class, "trust_too_low");
    // Nothing can be attested of a file that nobody names.
    world.published.lock().unwrap().digest = None;
    assert_eq!(world.pin(&world.source()).unwrap().trust, Trust::None);
    // Whoever withdraws it after the plan takes the word back that counted.
    let world = World::new(Published::default());
    let pinned = world.pin(&world.source()).unwrap();
    world.published.lock().unwrap().attestations.clear();
    let strict = Source { require: Trust::Attestation, ..world.source() };
    assert_eq!(recheck(&strict, &pinned, &world.desk.line()).unwrap_err().class, "trust_too_low");
}

fn tagged(payload: &str, signature: Option<&str>) -> Published {
    Published {
        attestations: Vec::new(),
        commit: TAGGED,
        tag: Some((fixture(payload), signature.map(fixture))),
        ..Published::default()
    }
}

fn keyed(world: &World) -> Source {
    let mut source = world.source();
    source.attested = None;
    source.tag_keys = vec![fixture("publisher.pub").trim().to_owned()];
    source
}

#[test]
fn a_tag_that_its_publisher_signed_vouches_for_its_commit() {
    let world = World::new(tagged("tag.txt", Some("tag.sig")));
    let source = Source { require: Trust::SignedTag, ..keyed(&world) };
    let pinned = world.pin(&source).unwrap();
    assert_eq!((pinned.trust, pinned.commit.as_deref()), (Trust::SignedTag, Some(TAGGED)));
    recheck(&source, &pinned, &world.desk.line()).unwrap();
    // Where no key is pinned nobody can tell whose signature it is.
    let unpinned = Source { tag_keys: Vec::new(), require: Trust::None, ..source.clone() };
    assert_eq!(world.pin(&unpinned).unwrap().trust, Trust::Checksum);
    // A tag vouches for a commit, and nothing ties a file without a checksum to it.
    world.published.lock().unwrap().digest = None;
    assert_eq!(world.refused(&source).class, "trust_too_low");
}

#[rstest]
#[case::by_a_stranger("tag.txt", Some("tag.by-a-stranger.sig"), "tag_signature")]
#[case::made_for_files("tag.txt", Some("tag.of-a-file.sig"), "tag_signature")]
#[case::of_another_text("older-tag.txt", Some("tag.sig"), "tag_signature")]
#[case::of_an_older_tag("older-tag.txt", Some("older-tag.sig"), "tag_of_another")]
#[case::no_signature_at_all("tag.txt", Some("tag.txt"), "tag_signature")]
#[case::not_signed("tag.txt", None, "trust_too_low")]
fn a_tag_that_its_publisher_did_not_sign_is_refused(
    #[case] payload: &str,
    #[case] signature: Option<&str>,
    #[case] class: &str,
) {
    let world = World::new(tagged(payload, signature));
    let source = Source { require: Trust::SignedTag, ..keyed(&world) };
    assert_eq!(world.refused(&source).class, class);
}

#[test]
fn a_signed_tag_that_names_another_commit_than_the_server_is_refused() {
    let world = World::new(Published { commit: COMMIT, ..tagged("tag.txt", Some("tag.sig")) });
    assert_eq!(world.refused(&keyed(&world)).class, "tag_of_another");
}
