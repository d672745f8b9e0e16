//! Fixing one release, and noticing that it was changed.

use std::sync::{Arc, Mutex};

use liftlock_engine::{
    error::Error,
    releases::{Pinned, Trust, pin, recheck},
    secrets::Secret,
};
use rstest::rstest;
use semver::Version;
use serde_json::{Value, json};

use crate::server::{Answer, Desk, Question, Server, release, shop};

const A: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const B: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";
const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
const OTHER: &str = "89abcdef0123456789abcdef0123456789abcdef";

/// A release 1.0.0 that can be changed while it is served.
#[derive(Debug, Clone)]
struct Published {
    /// The digest that the API tells.
    api: Option<&'static str>,
    /// Names and contents of files of checksums.
    sums: Vec<(&'static str, String)>,
    commit: Option<&'static str>,
    annotated: bool,
    id: u64,
    size: u64,
    gone: bool,
}

impl Default for Published {
    fn default() -> Self {
        let sums = vec![("SHA256SUMS", format!("{B}  other\n{A}  shop-1.0.0.tar.gz\n"))];
        Self { api: None, sums, commit: Some(COMMIT), annotated: false, id: 1, size: 10, gone: false }
    }
}

impl Published {
    fn answer(&self, question: &Question) -> Answer {
        let missing = Answer::new(404, "{\"message\":\"Not Found\"}");
        let host = format!("http://{}", question.header("host").unwrap());
        match question.path().strip_prefix("/repos/acme/shop/") {
            Some("releases/tags/v1.0.0") if !self.gone => Answer::json(&self.release(&host)),
            Some("git/ref/tags/v1.0.0") => match self.commit {
                None => missing,
                Some(_) if self.annotated => Answer::json(&json!({"object": {"type": "tag", "sha": A[..40]}})),
                Some(sha) => Answer::json(&json!({"object": {"type": "commit", "sha": sha}})),
            },
            Some(path) if path.starts_with("git/tags/") => {
                Answer::json(&json!({"object": {"type": "commit", "sha": self.commit}}))
            }
            _ => match self.sums.iter().find(|(name, _)| question.path() == format!("/dl/{name}")) {
                Some((_, text)) => Answer::new(200, text.clone()),
                None => missing,
            },
        }
    }
    fn release(&self, host: &str) -> Value {
        let mut told = release("v1.0.0");
        let mut main = json!({"id": self.id, "name": "shop-1.0.0.tar.gz", "size": self.size, "browser_download_url": format!("{host}/dl/main")});
        if let Some(digest) = self.api {
            main["digest"] = json!(format!("sha256:{digest}"));
        }
        let sums = self.sums.iter().map(|(name, text)| {
            json!({"id": 2, "name": name, "size": text.len(), "browser_download_url": format!("{host}/dl/{name}")})
        });
        told["assets"] = [main].into_iter().chain(sums).collect();
        told
    }
}

fn serve(published: Published) -> (Server, Arc<Mutex<Published>>) {
    let shared = Arc::new(Mutex::new(published));
    let inner = Arc::clone(&shared);
    (Server::start(move |question| inner.lock().unwrap().answer(question)), shared)
}

fn one() -> Version {
    Version::new(1, 0, 0)
}

fn pinned(published: Published) -> Result<Pinned, Error> {
    let (server, _) = serve(published);
    pin(&shop(&server.url), &one(), &Desk::new().line())
}

#[test]
fn a_release_is_fixed_with_its_commit_and_checksum() {
    let it = pinned(Published::default()).unwrap();
    assert_eq!((it.tag.as_str(), it.commit.as_deref(), it.sha256.as_deref()), ("v1.0.0", Some(COMMIT), Some(A)));
    assert_eq!((it.trust, it.asset.name.as_str(), it.asset.size), (Trust::Checksum, "shop-1.0.0.tar.gz", 10));
}

#[test]
fn an_annotated_tag_is_opened_to_the_commit_behind_it() {
    let it = pinned(Published { annotated: true, ..Published::default() }).unwrap();
    assert_eq!(it.commit.as_deref(), Some(COMMIT));
}

#[test]
fn a_server_that_tells_no_commit_is_no_obstacle() {
    assert_eq!(pinned(Published { commit: None, ..Published::default() }).unwrap().commit, None);
}

#[rstest]
#[case::beside_the_asset(vec![("shop-1.0.0.tar.gz.sha256", A.to_owned())], None, Some(A))]
#[case::by_the_api(vec![], Some(A), Some(A))]
#[case::both_agree(vec![("checksums.txt", format!("{A} *shop-1.0.0.tar.gz"))], Some(A), Some(A))]
#[case::a_list_about_other_files(vec![("checksums.txt", format!("{B}  other"))], None, None)]
#[case::nothing_at_all(vec![], None, None)]
fn whatever_vouches_for_the_asset_is_found(
    #[case] sums: Vec<(&'static str, String)>,
    #[case] api: Option<&'static str>,
    #[case] expected: Option<&str>,
) {
    let it = pinned(Published { sums, api, ..Published::default() }).unwrap();
    assert_eq!(it.sha256.as_deref(), expected);
    assert_eq!(it.trust, if expected.is_some() { Trust::Checksum } else { Trust::None });
}

#[rstest]
#[case::contradiction(Published { api: Some(B), ..Published::default() }, "digest_conflict")]
#[case::two_sums_for_one_file(
    Published { sums: vec![("SHA256SUMS", format!("{A}  shop-1.0.0.tar.gz\n{B}  shop-1.0.0.tar.gz\n"))], ..Published::default() },
    "checksum_unreadable"
)]
#[case::a_page_instead_of_a_sum(
    Published { sums: vec![("shop-1.0.0.tar.gz.sha256", "<html>".into())], ..Published::default() },
    "checksum_unreadable"
)]
#[case::gone(Published { gone: true, ..Published::default() }, "release_unknown")]
#[case::empty_asset(Published { size: 0, ..Published::default() }, "asset_too_large")]
#[case::an_asset_that_fills_any_disk(Published { size: u64::MAX, ..Published::default() }, "asset_too_large")]
fn what_cannot_be_fixed_is_refused(#[case] published: Published, #[case] class: &str) {
    let error = pinned(published).unwrap_err();
    assert_eq!(error.class, class);
    assert!(!error.remedy.is_empty());
}

#[test]
fn names_from_the_profile_must_be_there() {
    let (server, _) = serve(Published::default());
    let mut source = shop(&server.url);
    source.asset = "shop-{version}-windows.zip".parse().unwrap();
    let error = pin(&source, &one(), &Desk::new().line()).unwrap_err();
    assert_eq!(
        (&*error.class, error.details.as_slice()),
        ("asset_missing", &["it has shop-1.0.0.tar.gz, SHA256SUMS".to_owned()][..])
    );
    let mut source = shop(&server.url);
    source.checksums = Some("{asset}.sha256".parse().unwrap());
    assert_eq!(pin(&source, &one(), &Desk::new().line()).unwrap_err().class, "checksum_missing");
}

#[test]
fn less_trust_than_the_profile_requires_is_refused() {
    let (server, _) = serve(Published::default());
    let mut source = shop(&server.url);
    for (require, fits) in
        [(Trust::None, true), (Trust::Checksum, true), (Trust::SignedTag, false), (Trust::SignedManifest, false)]
    {
        source.require = require;
        let class = pin(&source, &one(), &Desk::new().line()).map_err(|it| it.class.into_owned());
        assert_eq!(class.map(|_| ()), if fits { Ok(()) } else { Err("trust_too_low".to_owned()) }, "{require:?}");
    }
}

type Change = fn(&mut Published);

#[rstest]
#[case::tag_moved(|it: &mut Published| it.commit = Some(OTHER))]
#[case::tag_no_longer_told(|it: &mut Published| it.commit = None)]
#[case::other_checksum(|it: &mut Published| it.sums[0].1 = format!("{B}  shop-1.0.0.tar.gz"))]
#[case::checksum_withdrawn(|it: &mut Published| it.sums.clear())]
#[case::contradiction(|it: &mut Published| it.api = Some(B))]
#[case::other_size(|it: &mut Published| it.size += 1)]
#[case::withdrawn(|it: &mut Published| it.gone = true)]
fn a_change_after_the_plan_is_refused(#[case] change: Change) {
    let (server, published) = serve(Published::default());
    let (source, desk) = (shop(&server.url), Desk::new());
    let plan = pin(&source, &one(), &desk.line()).unwrap();
    recheck(&source, &plan, &desk.line()).unwrap();
    change(&mut published.lock().unwrap());
    let error = recheck(&source, &plan, &desk.line()).unwrap_err();
    assert_eq!((&*error.class, error.exit_code()), ("release_moved", 3));
}

#[test]
fn the_same_file_uploaded_again_is_a_change_only_where_nothing_vouches_for_it() {
    for (sums, moved) in [(Published::default().sums, false), (vec![], true)] {
        let (server, published) = serve(Published { sums, ..Published::default() });
        let (source, desk) = (shop(&server.url), Desk::new());
        let plan = pin(&source, &one(), &desk.line()).unwrap();
        published.lock().unwrap().id = 99;
        assert_eq!(recheck(&source, &plan, &desk.line()).is_err(), moved);
    }
}

#[test]
fn a_server_that_is_down_is_no_moved_release() {
    let (server, published) = serve(Published::default());
    let (mut source, desk) = (shop(&server.url), Desk::new());
    let plan = pin(&source, &one(), &desk.line()).unwrap();
    source.api = "http://127.0.0.1:1".into();
    assert_eq!(recheck(&source, &plan, &desk.line()).unwrap_err().class, "connection_refused");
    drop(published);
}

#[test]
fn gitea_tells_the_commit_under_another_address() {
    let server = Server::start(|question| {
        let host = format!("http://{}", question.header("host").unwrap());
        match question.path() {
            "/api/v1/repos/acme/shop/releases/tags/v1.0.0" => {
                Answer::json(&Published { sums: vec![], ..Published::default() }.release(&host))
            }
            "/api/v1/repos/acme/shop/tags/v1.0.0" => {
                Answer::json(&json!({"name": "v1.0.0", "commit": {"sha": COMMIT}}))
            }
            _ => Answer::new(404, "{}"),
        }
    });
    let it = pin(&shop(&format!("{}/api/v1", server.url)), &one(), &Desk::new().line()).unwrap();
    assert_eq!(it.commit.as_deref(), Some(COMMIT));
}

#[test]
fn with_a_token_a_private_file_is_asked_of_the_api() {
    let server = Server::start(|question| {
        let host = format!("http://{}", question.header("host").unwrap());
        match question.path() {
            "/repos/acme/shop/releases/tags/v1.0.0" => {
                let mut told = release("v1.0.0");
                told["assets"] = json!([
                    {"id": 1, "name": "shop-1.0.0.tar.gz", "size": 4, "browser_download_url": "https://public.example/a"},
                    {"id": 2, "name": "SHA256SUMS", "size": 4, "browser_download_url": "https://public.example/b", "url": format!("{host}/assets/2")},
                ]);
                Answer::json(&told)
            }
            "/assets/2" if question.header("accept") == Some("application/octet-stream") => {
                Answer::new(200, format!("{A}  shop-1.0.0.tar.gz"))
            }
            _ => Answer::new(404, "{}"),
        }
    });
    let mut source = shop(&server.url);
    source.token = Some(Secret::new("canary-token"));
    assert_eq!(pin(&source, &one(), &Desk::new().line()).unwrap().sha256.as_deref(), Some(A));
    assert!(server.asked().iter().all(|it| it.header("authorization") == Some("Bearer canary-token")));
}
