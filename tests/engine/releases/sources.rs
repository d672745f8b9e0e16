//! Repositories that publish no files: bare tags, and the commits of a branch.

use std::sync::{Arc, Mutex};

use liftlock_engine::releases::{Channel, Origin, Source, Trust, fetch, list, pin, recheck, remembered};
use serde_json::{Value, json};

use crate::server::{Answer, Desk, Question, Server, shop};

/// What the repository holds, which a test may change.
#[derive(Default)]
struct Repository {
    tags: Vec<(&'static str, char)>,
    /// Newest first, each with its time.
    commits: Vec<(char, &'static str)>,
    /// How often a source was handed out.
    handed: usize,
}

fn sha(letter: char) -> String {
    letter.to_string().repeat(40)
}

fn answer(repository: &Mutex<Repository>, question: &Question) -> Answer {
    let mut it = repository.lock().unwrap();
    let path = question.path().trim_start_matches("/api/v1").to_owned();
    let parts: Vec<&str> = path.trim_start_matches("/repos/acme/shop/").split('/').collect();
    match parts.as_slice() {
        ["tags"] => {
            listed(question, it.tags.iter().map(|(name, of)| json!({"name": name, "commit": {"sha": sha(*of)}})))
        }
        ["commits"] => {
            assert!(question.target.contains("sha=main&"), "{}", question.target);
            listed(
                question,
                it.commits.iter().map(|(of, at)| {
                    let message = format!("feat: {of}\n\nMore of it.");
                    json!({"sha": sha(*of), "commit": {"message": message, "committer": {"date": at}}})
                }),
            )
        }
        ["git", "ref", "tags", tag] => match it.tags.iter().find(|(name, _)| name == tag) {
            Some((_, of)) => Answer::json(&json!({"object": {"sha": sha(*of), "type": "commit"}})),
            None => Answer::new(404, ""),
        },
        ["tarball", of] => Answer::redirect(302, &format!("/codeload/{of}")),
        ["", "codeload", of] | ["archive", of] => {
            it.handed += 1;
            let body = format!("the source of {of}").repeat(1000);
            // The first one is cut, and its size is never told before.
            let cut_after = (it.handed == 1).then_some(500);
            assert_eq!(question.header("range"), None, "pieces of what is packed anew need not fit");
            Answer { cut_after, ..Answer::new(200, body) }
        }
        ["security-advisories"] => Answer::new(404, ""),
        other => panic!("asked for {other:?}"),
    }
}

fn listed(question: &Question, all: impl Iterator<Item = Value>) -> Answer {
    let body = Value::Array(all.collect()).to_string();
    let etag = format!("\"{:x}\"", body.bytes().fold(7_u64, |sum, it| sum.wrapping_mul(31).wrapping_add(it.into())));
    match question.header("if-none-match") == Some(&etag) {
        true => Answer::new(304, "").with("ETag", &etag),
        false => Answer::new(200, body).with("ETag", &etag),
    }
}

fn start(repository: Repository) -> (Server, Arc<Mutex<Repository>>) {
    let shared = Arc::new(Mutex::new(repository));
    let answers = Arc::clone(&shared);
    (Server::start(move |question| answer(&answers, question)), shared)
}

fn versions(source: &Source, desk: &Desk) -> Vec<String> {
    list(source, &desk.line()).unwrap().releases.iter().map(|it| it.version.to_string()).collect()
}

#[test]
fn a_repository_that_only_tags_is_read_by_its_tags_and_its_source_is_fetched() {
    let tags = vec![("v1.3.0", 'a'), ("v1.4.0", 'b'), ("v1.5.0-rc.1", 'c'), ("latest", 'c')];
    let (server, repository) = start(Repository { tags, ..Repository::default() });
    let desk = Desk::new();
    let source = Source { origin: Origin::Tags, ..shop(&server.url) };
    assert_eq!(versions(&source, &desk), ["1.4.0", "1.3.0"]);
    assert_eq!(versions(&source, &desk), ["1.4.0", "1.3.0"]);
    let asked: Vec<String> = server.asked().into_iter().map(|it| it.path().to_owned()).collect();
    assert_eq!(asked, ["/repos/acme/shop/tags"; 2], "nothing new costs one question");

    let pinned = pin(&source, &"1.4.0".parse().unwrap(), &desk.line()).unwrap();
    assert_eq!((pinned.commit.as_deref(), pinned.trust, &pinned.sha256), (Some(&*sha('b')), Trust::None, &None));
    recheck(&source, &pinned, &desk.line()).unwrap();
    let store = tempfile::tempdir().unwrap();
    let fetched = fetch(&source, &pinned, store.path(), &desk.line()).unwrap();
    let expected = format!("the source of {}", sha('b')).repeat(1000);
    assert_eq!(std::fs::read_to_string(&fetched.path).unwrap(), expected, "whole, although the first was cut");
    assert_eq!(fetched.bytes, expected.len() as u64);
    assert!(fetched.path.ends_with(format!("{}/shop-1.4.0.tar.gz", fetched.sha256)));

    repository.lock().unwrap().tags[1] = ("v1.4.0", 'd');
    assert_eq!(recheck(&source, &pinned, &desk.line()).unwrap_err().class, "release_moved");
    let strict = Source { require: Trust::Checksum, ..source };
    assert_eq!(pin(&strict, &"1.4.0".parse().unwrap(), &desk.line()).unwrap_err().class, "trust_too_low");
}

#[test]
fn every_commit_of_a_branch_is_a_version_and_one_that_is_gone_is_refused() {
    let (server, repository) = start(Repository {
        tags: vec![("v1.4.0", 'b')],
        commits: vec![('c', "2026-11-03T10:00:00Z"), ('b', "2026-11-02T10:00:00Z"), ('a', "2026-11-01T10:00:00Z")],
        ..Repository::default()
    });
    let desk = Desk::new();
    let source = Source {
        channel: Channel::Branch,
        origin: Origin::Branch("main".into()),
        ..shop(&format!("{}/api/v1", server.url))
    };
    let first = ["1.4.1-0.20261103100000-cccccccccccc", "1.4.0", "0.0.0-20261101100000-aaaaaaaaaaaa"];
    assert_eq!(versions(&source, &desk), first);
    let known = remembered(&source, &desk.cache).unwrap().unwrap();
    assert_eq!(known.releases.iter().map(|it| it.version.to_string()).collect::<Vec<_>>(), first);
    assert_eq!(known.releases[0].notes, "feat: c\n\nMore of it.");

    let pinned = pin(&source, &first[0].parse().unwrap(), &desk.line()).unwrap();
    assert_eq!(pinned.commit, Some(sha('c')));
    assert!(
        pinned.asset.url.ends_with(&format!("/repos/acme/shop/archive/{}.tar.gz", sha('c'))),
        "{}",
        pinned.asset.url
    );
    let store = tempfile::tempdir().unwrap();
    let fetched = fetch(&source, &pinned, store.path(), &desk.line()).unwrap();
    assert!(std::fs::read_to_string(&fetched.path).unwrap().starts_with(&format!("the source of {}", sha('c'))));

    // One more: what was fixed is still there. Then the branch is pushed over it.
    repository.lock().unwrap().commits.insert(0, ('d', "2026-11-04T10:00:00Z"));
    recheck(&source, &pinned, &desk.line()).unwrap();
    assert_eq!(versions(&source, &desk)[0], "1.4.1-0.20261104100000-dddddddddddd");
    repository.lock().unwrap().commits.retain(|(of, _)| *of != 'c');
    assert_eq!(recheck(&source, &pinned, &desk.line()).unwrap_err().class, "release_moved");
}

#[cfg(unix)]
const PROFILE: &str = r#"
format = 1
[application]
id = "shop"
name = "Shop"
[releases]
api = "API"
repository = "acme/shop"
channel = "branch"
branch = "main"
require = "none"
[recognise]
files = ["version"]
[driver]
kind = "native"
[version]
command = ["/bin/cat", "{dir}/version"]
[[components]]
name = "shop"
run = { command = ["/bin/sleep", "1"] }
"#;

/// The way of such an installation, from what runs to what is offered and to the plan.
#[cfg(unix)]
#[test]
fn an_installation_that_follows_a_branch_is_told_by_its_commit_and_offered_the_newest() {
    use std::fs;

    use liftlock_engine::engine::Look;
    use liftlock_engine::model::ids::InstallationName;
    use liftlock_engine::state::upgrades::Options;
    use liftlock_engine::state::{Db, home::Home, installations::Installation};
    use liftlock_engine::{Engine, process::Silent};

    let (server, repository) = start(Repository {
        tags: vec![("v1.4.0", 'a')],
        commits: vec![('c', "2026-11-03T10:00:00Z"), ('b', "2026-11-02T10:00:00Z"), ('a', "2026-11-01T10:00:00Z")],
        ..Repository::default()
    });
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("shop");
    fs::create_dir_all(folder.join("releases/1.4.0")).unwrap();
    std::os::unix::fs::symlink("releases/1.4.0", folder.join("current")).unwrap();
    // It tells the release that it was branched from, and its commit.
    fs::write(folder.join("version"), "shop 1.4.0 (bbbbbbb)\n").unwrap();
    let home = Home::at(root.path().join("home"));
    let shop: InstallationName = "shop".parse().unwrap();
    let installation = Installation {
        name: shop.clone(),
        folder,
        profile: PROFILE.replace("API", &server.url),
        application: "shop".into(),
        version: Some("1.4.0".into()),
        added_at: "2026-11-21T12:00:00Z".parse().unwrap(),
    };
    Db::open(&home).unwrap().add_installation(&installation).unwrap();
    let engine = Engine::at(home);
    engine.check_releases(None, Look::Now, &Silent).unwrap();

    let told = engine.releases(&shop).unwrap();
    let (ours, head) = ("1.4.1-0.20261102100000-bbbbbbbbbbbb", "1.4.1-0.20261103100000-cccccccccccc");
    assert_eq!((told.version.as_deref(), told.latest.as_deref()), (Some(ours), Some(head)));
    let offer = engine.notice(&shop).unwrap().offer.unwrap();
    assert_eq!((offer.to.as_str(), offer.versions_behind, offer.headline.as_deref()), (head, 1, Some("feat: c")));
    let plan = engine.plan(&shop, None, &Options::default()).unwrap();
    assert_eq!((plan.path.as_slice(), plan.trust), ([head.to_owned()].as_slice(), Some(Trust::None)));

    // Pushed over: what runs is no longer listed, and is still known by what was last observed.
    repository.lock().unwrap().commits.retain(|(of, _)| *of != 'b');
    engine.check_releases(None, Look::Now, &Silent).unwrap();
    assert_eq!(engine.releases(&shop).unwrap().version.as_deref(), Some(ours));
}
