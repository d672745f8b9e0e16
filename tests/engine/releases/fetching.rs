//! Downloads that break off, stall, lie, and are whole in the end or not there at all.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use liftlock_engine::{
    digest::sha256,
    error::Error,
    releases::{Asset, Fetched, Pinned, Trust, fetch},
};
use rstest::rstest;
use semver::Version;

use crate::server::{Answer, Desk, Ear, Question, Server, shop};

/// Bytes that repeat nowhere, so that a piece at the wrong place is noticed.
fn content() -> Vec<u8> {
    (0..100_000_u32).flat_map(|n| n.to_le_bytes()).collect()
}

fn pinned(server: &Server, bytes: &[u8]) -> Pinned {
    let asset = Asset {
        id: 1,
        name: "shop-1.0.0.tar.gz".into(),
        size: bytes.len() as u64,
        url: format!("{}/asset", server.url),
        api_url: None,
        digest: None,
    };
    let sha256 = Some(sha256(bytes));
    Pinned {
        version: Version::new(1, 0, 0),
        tag: "v1.0.0".into(),
        commit: None,
        asset,
        sha256,
        trust: Trust::Checksum,
        minimum: None,
    }
}

/// A server whose answer to the n-th request is bent by `bend`.
fn bent(bend: impl Fn(usize, &Question, Answer) -> Answer + Send + Sync + 'static) -> Server {
    let bytes = Arc::new(content());
    Server::start(move |question| bend(question.earlier, question, Answer::file(&bytes, "\"one\"", question)))
}

struct Store(tempfile::TempDir);

impl Store {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }
    fn path(&self) -> PathBuf {
        self.0.path().join("store")
    }
    /// Every file in it that holds a byte.
    fn files(&self) -> Vec<PathBuf> {
        fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
            for entry in fs::read_dir(folder).into_iter().flatten() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    walk(&path, found);
                } else if fs::metadata(&path).unwrap().len() > 0 {
                    found.push(path);
                }
            }
        }
        let mut found = Vec::new();
        walk(&self.path(), &mut found);
        found
    }
}

fn get(server: &Server, store: &Store, desk: &Desk) -> Result<Fetched, Error> {
    fetch(&shop(&server.url), &pinned(server, &content()), &store.path(), &desk.line())
}

#[test]
fn an_asset_comes_once_and_lies_under_its_digest() {
    let (server, store, desk) = (bent(|_, _, it| it), Store::new(), Desk::new());
    let first = get(&server, &store, &desk).unwrap();
    assert_eq!(first.path, store.path().join(sha256(&content())).join("shop-1.0.0.tar.gz"));
    assert_eq!((fs::read(&first.path).unwrap(), first.received), (content(), 400_000));
    assert_eq!(store.files(), std::slice::from_ref(&first.path), "nothing else is left");
    let again = get(&server, &store, &desk).unwrap();
    assert_eq!((again.path, again.received, server.asked().len()), (first.path, 0, 1));
}

#[cfg(unix)]
#[test]
fn only_the_owner_can_read_the_store() {
    use std::os::unix::fs::PermissionsExt;
    let (server, store, desk) = (bent(|_, _, it| it), Store::new(), Desk::new());
    let path = get(&server, &store, &desk).unwrap().path;
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&path), mode(path.parent().unwrap()), mode(&store.path())), (0o600, 0o700, 0o700));
}

#[test]
fn a_file_that_rotted_in_the_store_is_downloaded_again() {
    let (server, store, desk) = (bent(|_, _, it| it), Store::new(), Desk::new());
    let path = get(&server, &store, &desk).unwrap().path;
    fs::write(&path, b"rotten").unwrap();
    assert_eq!(fs::read(get(&server, &store, &desk).unwrap().path).unwrap(), content());
}

#[test]
fn a_download_that_is_cut_goes_on_where_it_stopped() {
    let server = bent(|earlier, _, it| Answer { cut_after: (earlier < 5).then_some(50_000), ..it });
    let (store, desk) = (Store::new(), Desk::new());
    let fetched = get(&server, &store, &desk).unwrap();
    assert_eq!(fetched.received, 400_000, "no byte comes twice");
    let from: Vec<usize> = server.asked().iter().map(Question::from).collect();
    assert_eq!(
        from,
        [0, 50_000, 100_000, 150_000, 200_000, 250_000],
        "more cuts than attempts, because each brought something"
    );
    assert_eq!(server.asked()[1].header("if-range"), Some("\"one\""));
}

#[test]
fn a_download_that_stalls_goes_on_where_it_stopped() {
    let server = bent(|earlier, _, it| Answer { stall_after: (earlier == 0).then_some(123_456), ..it });
    let (store, mut desk) = (Store::new(), Desk::new());
    desk.waits.stall = Duration::from_millis(400);
    assert_eq!(get(&server, &store, &desk).unwrap().received, 400_000);
    assert_eq!(server.asked()[1].from(), 123_456);
}

#[test]
fn a_later_process_goes_on_where_an_earlier_one_was_stopped() {
    let server = bent(|earlier, _, it| Answer { stall_after: (earlier == 0).then_some(200_000), ..it });
    let (store, mut desk) = (Store::new(), Desk::new());
    desk.ear = Ear { stop_at: Some(200_000), ..Ear::default() };
    assert_eq!(get(&server, &store, &desk).unwrap_err().class, "cancelled");
    let fetched = get(&server, &store, &Desk::new()).unwrap();
    assert_eq!((fetched.received, server.asked()[1].from()), (200_000, 200_000));
}

#[test]
fn a_file_that_changed_between_two_pieces_is_taken_from_the_start() {
    let server = Server::start(|question| match question.earlier {
        0 => Answer { cut_after: Some(1000), ..Answer::file(&vec![7; 400_000], "\"old\"", question) },
        _ => Answer::file(&content(), "\"new\"", question),
    });
    let (store, desk) = (Store::new(), Desk::new());
    get(&server, &store, &desk).unwrap();
    assert_eq!(server.asked().len(), 2, "the server says by itself that the rest is of another file");
}

#[test]
fn pieces_of_two_files_are_found_out_and_fetched_anew_once() {
    // A server without ETags, which continues one file with another.
    let plain = |bytes: &[u8], question: &Question| {
        let mut answer = Answer::file(bytes, "", question);
        answer.headers.retain(|(name, _)| name != "ETag");
        answer
    };
    let server = Server::start(move |question| match question.earlier {
        0 => Answer { cut_after: Some(1000), ..plain(&vec![7; 400_000], question) },
        _ => plain(&content(), question),
    });
    let (store, desk) = (Store::new(), Desk::new());
    assert_eq!(fs::read(get(&server, &store, &desk).unwrap().path).unwrap(), content());
    assert_eq!(server.asked().iter().map(Question::from).collect::<Vec<_>>(), [0, 1000, 0]);
}

#[test]
fn a_server_that_knows_no_ranges_is_asked_for_the_whole() {
    let server = Server::start(|question| Answer {
        cut_after: (question.earlier == 0).then_some(1000),
        ..Answer::new(200, content())
    });
    let (store, desk) = (Store::new(), Desk::new());
    assert_eq!(get(&server, &store, &desk).unwrap().received, 401_000);
}

#[rstest]
#[case::wrong_piece(|_: &Question, it: Answer| it.with("Content-Range", "bytes 5-399999/400000"), 206)]
#[case::another_total(|q: &Question, it: Answer| it.with("Content-Range", &format!("bytes {}-9/10", q.from())), 206)]
#[case::no_such_range(|_: &Question, it: Answer| it, 416)]
fn a_server_that_answers_a_range_wrongly_is_asked_for_the_whole(
    #[case] bend: fn(&Question, Answer) -> Answer,
    #[case] status: u16,
) {
    let server = Server::start(move |question| {
        let whole = Answer::new(200, content()).with("ETag", "\"one\"");
        match (question.earlier, question.from()) {
            (0, _) => Answer { cut_after: Some(1000), ..whole },
            (_, 0) => whole,
            _ => bend(question, Answer { status, ..Answer::new(status, content()) }),
        }
    });
    let (store, desk) = (Store::new(), Desk::new());
    assert_eq!(fs::read(get(&server, &store, &desk).unwrap().path).unwrap(), content());
}

#[rstest]
#[case::wrong_bytes(|_: &Question| Answer::new(200, vec![7; 400_000]), "asset_digest", 1)]
#[case::longer_than_announced(|_: &Question| Answer::new(200, vec![7; 400_001]), "asset_size", 1)]
#[case::gone(|_: &Question| Answer::new(404, ""), "asset_missing", 1)]
#[case::always_truncated(|_: &Question| Answer::new(200, &content()[..1000]), "asset_truncated", 3)]
#[case::always_cut(|_: &Question| Answer { cut_after: Some(1000), ..Answer::new(200, content()) }, "connection_cut", 3)]
#[case::length_too_long(|_: &Question| Answer { claims: Some(400_100), ..Answer::new(200, content()) }, "asset_size", 1)]
#[case::never_a_byte(|_: &Question| Answer::new(503, ""), "server_error", 3)]
#[case::limited(|_: &Question| Answer::new(429, "").with("Retry-After", "600"), "rate_limited", 1)]
#[case::redirected_in_a_circle(|q: &Question| Answer::redirect(302, &q.target), "redirect_loop", 7)]
#[case::redirected_to_the_open(|_: &Question| Answer::redirect(302, "http://192.0.2.1/"), "insecure_redirect", 1)]
fn what_never_comes_right_ends_and_leaves_no_file(
    #[case] answer: fn(&Question) -> Answer,
    #[case] class: &str,
    #[case] asked: usize,
) {
    let server = Server::start(answer);
    let (store, desk) = (Store::new(), Desk::new());
    let error = get(&server, &store, &desk).unwrap_err();
    assert_eq!((&*error.class, server.asked().len()), (class, asked), "{error:?}");
    assert!(!error.remedy.is_empty());
    let kept = store.files();
    assert!(kept.iter().all(|it| it.starts_with(store.path().join("partial"))), "{kept:?}");
    if ["asset_digest", "asset_size"].contains(&class) {
        assert!(kept.is_empty(), "wrong bytes are kept nowhere: {kept:?}");
    }
}

#[test]
fn a_length_that_is_too_short_is_made_up_by_the_rest() {
    let server = bent(|earlier, _, it| Answer { claims: (earlier == 0).then_some(1000), ..it });
    let (store, desk) = (Store::new(), Desk::new());
    assert_eq!(fs::read(get(&server, &store, &desk).unwrap().path).unwrap(), content());
    assert_eq!(server.asked()[1].from(), 1000);
}

#[test]
fn an_asset_behind_a_redirect_is_continued_behind_a_new_one() {
    let server = Server::start(|question| match question.path() {
        "/asset" => Answer::redirect(302, &format!("/signed/{}", question.earlier)),
        _ => {
            let file = Answer::file(&content(), "\"one\"", question);
            Answer { cut_after: question.path().ends_with("/0").then_some(1000), ..file }
        }
    });
    let (store, desk) = (Store::new(), Desk::new());
    assert_eq!(get(&server, &store, &desk).unwrap().received, 400_000);
    assert_eq!(server.asked().last().unwrap().target, "/signed/1");
}

#[test]
fn an_asset_for_which_nothing_vouches_is_held_to_its_first_download() {
    let (server, store, desk) = (bent(|_, _, it| it), Store::new(), Desk::new());
    let open = Pinned { sha256: None, trust: Trust::None, ..pinned(&server, &content()) };
    let fetched = fetch(&shop(&server.url), &open, &store.path(), &desk.line()).unwrap();
    let held = open.with_digest(&fetched);
    assert_eq!(held.sha256, Some(sha256(&content())));
    assert_eq!(fetch(&shop(&server.url), &held, &store.path(), &desk.line()).unwrap().received, 0);
}

#[test]
fn two_who_want_the_same_asset_take_turns() {
    let server = bent(|_, _, it| it);
    let store = Store::new();
    let received: u64 = std::thread::scope(|scope| {
        let calls: Vec<_> =
            (0..4).map(|_| scope.spawn(|| get(&server, &store, &Desk::new()).unwrap().received)).collect();
        calls.into_iter().map(|it| it.join().unwrap()).sum()
    });
    assert_eq!((received, server.asked().len()), (400_000, 1));
}

#[cfg(unix)]
#[test]
fn a_link_in_the_store_is_not_followed() {
    let (server, store, desk) = (bent(|_, _, it| it), Store::new(), Desk::new());
    let canary = store.0.path().join("canary");
    fs::write(&canary, "untouched").unwrap();
    let partial = store.path().join("partial");
    fs::create_dir_all(&partial).unwrap();
    std::os::unix::fs::symlink(&canary, partial.join(format!("{}.part", sha256(&content())))).unwrap();
    assert_eq!(get(&server, &store, &desk).unwrap_err().class, "not_ours");
    assert_eq!(fs::read_to_string(&canary).unwrap(), "untouched");
}
