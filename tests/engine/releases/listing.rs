//! What is out, from servers in every mood.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use liftlock_engine::{
    releases::{Channel, Listing, TagPattern, list, remembered},
    secrets::Secret,
};
use rstest::rstest;
use serde_json::{Value, json};

use crate::server::{Answer, Desk, Ear, Server, release, shop};

const LIST: &str = "/repos/acme/shop/releases";

fn versions(listing: &Listing) -> Vec<String> {
    listing.releases.iter().map(|it| it.version.to_string()).collect()
}

fn serving(releases: Vec<Value>) -> Server {
    Server::start(move |_| Answer::json(&Value::Array(releases.clone())))
}

fn class_of(server: &Server) -> String {
    let error = list(&shop(&server.url), &Desk::new().line()).unwrap_err();
    assert!(!error.remedy.is_empty() && error.message.ends_with('.'), "{error:?}");
    error.class.into_owned()
}

#[test]
fn releases_come_in_the_order_of_versions_and_not_of_the_list() {
    let server = serving(["v1.2.0", "v1.10.0", "v1.9.0", "v2.0.0-rc.1"].map(release).to_vec());
    let desk = Desk::new();
    let listing = list(&shop(&server.url), &desk.line()).unwrap();
    assert_eq!(versions(&listing), ["1.10.0", "1.9.0", "1.2.0"]);
    assert!(!listing.from_cache && listing.moved_to.is_none() && !listing.cut_short);

    let mut early = shop(&server.url);
    early.channel = Channel::Prerelease;
    assert_eq!(versions(&list(&early, &desk.line()).unwrap())[0], "2.0.0-rc.1");
}

#[test]
fn what_a_release_says_about_itself_is_taken_over_and_judged() {
    let mut told = release("v1.0.0");
    told["body"] = json!("## Breaking changes\nnone of your data");
    told["target_commitish"] = json!("0123456789abcdef0123456789abcdef01234567");
    told["assets"] = json!([
        {"id": 7, "name": "shop-1.0.0.tar.gz", "size": 5, "browser_download_url": "https://x/a", "digest": format!("sha256:{}", "AB".repeat(32))},
        {"id": 8, "name": "../evil", "size": 5, "browser_download_url": "https://x/a"},
        {"id": 9, "name": "half.tar.gz", "size": 5, "browser_download_url": "https://x/a", "state": "starter"},
        {"id": 10, "name": "plain.tar.gz", "size": 5, "browser_download_url": "http://elsewhere.example/a"},
    ]);
    let server = serving(vec![told]);
    let listing = list(&shop(&server.url), &Desk::new().line()).unwrap();
    let one = &listing.releases[0];
    assert!(one.breaking);
    assert_eq!(one.commit.as_deref(), Some("0123456789abcdef0123456789abcdef01234567"));
    assert_eq!(one.published_at.unwrap().to_rfc3339(), "2026-01-02T03:04:05+00:00");
    assert_eq!(one.assets.len(), 1, "unfit names, unfinished uploads and unsafe addresses are passed over");
    assert_eq!(one.assets[0].digest.as_deref(), Some("ab".repeat(32).as_str()));
}

#[rstest]
#[case::without_releases(json!([]), "no_releases")]
#[case::only_drafts(json!([{"tag_name": "v1.0.0", "draft": true}]), "only_drafts")]
#[case::no_versions(json!([{"tag_name": "nightly"}, {"tag_name": "v1.33"}]), "no_versions")]
#[case::only_prereleases(json!([{"tag_name": "v1.0.0-rc.1"}]), "only_prereleases")]
#[case::an_object(json!({"message": "hello"}), "bad_body")]
#[case::tags_that_are_numbers(json!([{"tag_name": 1}]), "bad_body")]
fn a_repository_without_anything_to_offer_is_told_apart(#[case] answer: Value, #[case] class: &str) {
    let server = Server::start(move |_| Answer::json(&answer));
    assert_eq!(class_of(&server), class);
}

#[test]
fn tags_that_are_no_versions_are_passed_over_with_the_reason() {
    let server =
        serving(["v1.0.0", "nightly", "v1.0.0-docker", "backend-v2.0.0", "--upload-pack=x\n"].map(release).to_vec());
    let listing = list(&shop(&server.url), &Desk::new().line()).unwrap();
    assert_eq!(versions(&listing), ["1.0.0"]);
    let shown: Vec<String> = listing.skipped.iter().map(|it| format!("{} {}", it.tag, it.why)).collect();
    assert_eq!(
        shown,
        [
            "nightly is not of the form v{version}",
            "v1.0.0-docker ends in \"-docker\", which names no pre-release",
            "backend-v2.0.0 is not of the form v{version}",
            "--upload-pack=x\\n begins with a dash or a dot",
        ]
    );
}

#[test]
fn several_components_in_one_repository_are_told_apart_by_the_pattern() {
    let server = serving(["backend-v1.0.0", "frontend-v9.0.0", "backend-v1.1.0"].map(release).to_vec());
    let mut backend = shop(&server.url);
    backend.tag = "backend-v{version}".parse::<TagPattern>().unwrap();
    assert_eq!(versions(&list(&backend, &Desk::new().line()).unwrap()), ["1.1.0", "1.0.0"]);
}

/// A list of `total` releases in pages of one hundred, each with its ETag.
fn paged(total: usize) -> Server {
    Server::start(move |question| {
        let page =
            question.target.split("page=").last().and_then(|it| it.parse().ok()).filter(|it| *it < 100).unwrap_or(1);
        let etag = format!("\"{page}\"");
        if question.header("if-none-match") == Some(&etag) {
            return Answer::new(304, "").with("ETag", &etag);
        }
        let first = (page - 1) * 100;
        let releases = (first..total.min(first + 100)).map(|n| release(&format!("v1.{n}.0"))).collect();
        let answer = Answer::json(&Value::Array(releases)).with("ETag", &etag);
        if first + 100 >= total {
            return answer;
        }
        let link = format!("<{LIST}?per_page=100&page={}>; rel=\"next\", <{LIST}?page=99>; rel=\"last\"", page + 1);
        answer.with("Link", &link)
    })
}

#[test]
fn every_page_is_read_once_and_nothing_new_costs_one_request() {
    let server = paged(250);
    let desk = Desk::new();
    let first = list(&shop(&server.url), &desk.line()).unwrap();
    assert_eq!((first.releases.len(), first.from_cache, server.asked().len()), (250, false, 3));

    desk.clock.advance(Duration::from_secs(3600));
    let second = list(&shop(&server.url), &desk.line()).unwrap();
    assert_eq!(server.asked().len(), 4, "one conditional request for the first page answers for the rest");
    assert_eq!((&second.releases, second.from_cache), (&first.releases, true));
    assert_eq!(second.fetched_at - first.fetched_at, chrono::TimeDelta::hours(1));

    desk.clock.advance(Duration::from_secs(25 * 3600));
    let third = list(&shop(&server.url), &desk.line()).unwrap();
    assert_eq!(server.asked().len(), 7, "after a day the older pages are asked for too");
    assert!(third.from_cache);

    desk.clock.set_wall("2020-01-01T00:00:00Z".parse().unwrap());
    list(&shop(&server.url), &desk.line()).unwrap();
    assert_eq!(server.asked().len(), 10, "with a clock that went back nothing is known about their age");
}

#[test]
fn two_thousand_releases_are_read_and_more_are_not() {
    let listing = list(&shop(&paged(2000).url), &Desk::new().line()).unwrap();
    assert_eq!((listing.releases.len(), listing.cut_short), (2000, false));
    let server = paged(5000);
    let listing = list(&shop(&server.url), &Desk::new().line()).unwrap();
    assert_eq!((listing.releases.len(), listing.cut_short, server.asked().len()), (2000, true, 20));
}

#[test]
fn pages_that_follow_each_other_in_a_circle_end() {
    let server = Server::start(|_| {
        Answer::json(&json!([release("v1.0.0")])).with("Link", &format!("<{LIST}?page=1>; rel=\"next\""))
    });
    let listing = list(&shop(&server.url), &Desk::new().line()).unwrap();
    assert_eq!((versions(&listing).len(), server.asked().len()), (1, 20));
}

#[test]
fn a_next_page_on_another_server_is_not_asked_for() {
    let server = Server::start(|_| Answer::json(&json!([])).with("Link", "<https://evil.example/>; rel=\"next\""));
    assert_eq!(class_of(&server), "bad_body");
}

#[test]
fn the_last_good_answer_is_there_without_a_server() {
    let server = paged(150);
    let desk = Desk::new();
    assert_eq!(remembered(&shop(&server.url), &desk.cache).unwrap(), None);
    let live = list(&shop(&server.url), &desk.line()).unwrap();
    let kept = remembered(&shop(&server.url), &desk.cache).unwrap().unwrap();
    assert_eq!((kept.releases, kept.fetched_at, kept.from_cache), (live.releases, live.fetched_at, true));
    assert_eq!(server.asked().len(), 2);
}

#[test]
fn a_moved_repository_is_followed_and_its_new_name_remembered() {
    let server = Server::start(|question| match question.path() {
        LIST => Answer::redirect(301, "/repositories/42/releases?per_page=100"),
        "/repositories/42/releases" if question.header("if-none-match").is_some() => Answer::new(304, ""),
        "/repositories/42/releases" => Answer::json(&json!([release("v1.0.0")])).with("ETag", "\"a\""),
        "/repositories/42" => Answer::json(&json!({"full_name": "acme/corner-shop"})),
        _ => Answer::new(404, ""),
    });
    let desk = Desk::new();
    for from_cache in [false, true] {
        let listing = list(&shop(&server.url), &desk.line()).unwrap();
        assert_eq!((listing.moved_to.as_deref(), listing.from_cache), (Some("acme/corner-shop"), from_cache));
    }
}

#[test]
fn a_redirect_without_end_or_without_aim_is_an_error() {
    let looped = Server::start(|question| Answer::redirect(302, &question.target));
    assert_eq!(class_of(&looped), "redirect_loop");
    assert!(looped.asked().len() < 10);
    assert_eq!(class_of(&Server::start(|_| Answer::new(302, ""))), "bad_redirect");
    let leaving = Server::start(|_| Answer::redirect(302, "http://192.0.2.7/releases"));
    assert_eq!(class_of(&leaving), "insecure_redirect");
}

#[test]
fn a_token_is_sent_to_the_server_of_the_api_and_to_no_other() {
    let other = Server::start(|_| Answer::json(&json!([release("v1.0.0")])));
    let target = format!("{}/releases", other.url);
    let api = Server::start(move |_| Answer::redirect(302, &target));
    let mut private = shop(&api.url);
    private.token = Some(Secret::new("canary-token"));
    let desk = Desk::new();
    let listing = list(&private, &desk.line()).unwrap();
    assert_eq!(api.asked()[0].header("authorization"), Some("Bearer canary-token"));
    assert!(!other.asked().is_empty());
    assert!(other.asked().iter().all(|it| it.header("authorization").is_none()));
    let said = format!("{listing:?} {private:?} {:?}", desk.ear.lines.lock().unwrap());
    assert!(!said.contains("canary-token"));
}

#[test]
fn a_server_that_is_down_is_said_to_be_down() {
    let gone = Server::start(|_| Answer::new(200, "")).url.clone();
    let error = list(&shop(&gone), &Desk::new().line());
    // The listener may live a moment longer than its owner; then the connection is cut instead.
    let class = error.unwrap_err().class;
    assert!(["connection_refused", "connection_cut", "bad_body"].contains(&&*class), "{class}");
    let never = shop("http://127.0.0.1:1");
    assert_eq!(list(&never, &Desk::new().line()).unwrap_err().class, "connection_refused");
}

#[test]
fn a_server_with_a_passing_problem_is_asked_again_and_not_for_ever() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let server = Server::start(move |_| match count.fetch_add(1, Ordering::SeqCst) {
        0 => Answer::new(502, "bad gateway"),
        1 => Answer { cut_after: Some(4), ..Answer::json(&json!([release("v1.0.0")])) },
        _ => Answer::json(&json!([release("v1.0.0")])),
    });
    let desk = Desk::new();
    assert_eq!(versions(&list(&shop(&server.url), &desk.line()).unwrap()), ["1.0.0"]);
    assert_eq!(desk.ear.lines.lock().unwrap().len(), 2, "each further attempt is said");

    let broken = Server::start(|_| Answer::new(503, ""));
    assert_eq!(class_of(&broken), "server_error");
    assert_eq!(broken.asked().len(), 3);
    let refusing = Server::start(|_| Answer::new(401, ""));
    assert_eq!(class_of(&refusing), "auth_failed");
    assert_eq!(refusing.asked().len(), 1, "what will not pass is not asked twice");
    assert_eq!(class_of(&Server::start(|_| Answer::new(404, "{}"))), "repository_missing");
}

#[test]
fn a_server_that_says_nothing_is_given_up() {
    let silent = Server::start(|_| Answer { stall_after: Some(0), ..Answer::json(&json!([release("v1.0.0")])) });
    let mut desk = Desk::new();
    desk.waits.stall = Duration::from_millis(200);
    assert_eq!(list(&shop(&silent.url), &desk.line()).unwrap_err().class, "timeout");
    assert_eq!(silent.asked().len(), 3);
}

#[test]
fn a_rate_limit_that_is_soon_over_is_waited_for() {
    let server = Server::start(|question| match question.earlier {
        0 => Answer::new(429, "").with("Retry-After", "1"),
        _ => Answer::json(&json!([release("v1.0.0")])),
    });
    assert_eq!(versions(&list(&shop(&server.url), &Desk::new().line()).unwrap()), ["1.0.0"]);
}

#[rstest]
#[case::retry_after(429, &[("Retry-After", "3600")])]
#[case::secondary_limit(403, &[("Retry-After", "3600")])]
#[case::reset(403, &[("X-RateLimit-Remaining", "0"), ("X-RateLimit-Reset", "1795266000"), ("Date", "Sat, 21 Nov 2026 12:00:00 GMT")])]
fn a_long_rate_limit_is_told_with_its_time(#[case] status: u16, #[case] headers: &'static [(&str, &str)]) {
    let server = Server::start(move |_| headers.iter().fold(Answer::new(status, ""), |it, (k, v)| it.with(k, v)));
    let error = list(&shop(&server.url), &Desk::new().line()).unwrap_err();
    assert_eq!(error.class, "rate_limited");
    assert!(error.message.contains("again in 60 minutes, at "), "{}", error.message);
    assert_eq!(error.details, ["retry_at 2026-11-21T13:00:00Z"]);
    assert_eq!(server.asked().len(), 1);
}

#[test]
fn bodies_that_lie_are_never_believed() {
    let whole = Value::Array(vec![release("v1.0.0"); 50]).to_string();
    let half = whole[..whole.len() / 2].to_owned();
    let truncated = Server::start(move |_| Answer::new(200, half.clone()));
    assert_eq!(class_of(&truncated), "bad_body");
    let text = whole.clone();
    let longer = Server::start(move |_| Answer { claims: Some(text.len() + 100), ..Answer::new(200, text.clone()) });
    assert_eq!(class_of(&longer), "connection_cut");
    let text = whole.clone();
    let shorter = Server::start(move |_| Answer { claims: Some(100), ..Answer::new(200, text.clone()) });
    assert_eq!(class_of(&shorter), "bad_body");
    let page = Server::start(|_| Answer::new(200, "<html>Sign in to the hotel's network</html>"));
    assert_eq!(class_of(&page), "bad_body");
    let unasked = Server::start(|_| Answer::new(304, ""));
    assert_eq!(class_of(&unasked), "bad_body");
}

#[test]
fn ten_megabytes_of_json_are_not_read() {
    let mut told = release("v1.0.0");
    told["body"] = json!("x".repeat(10 << 20));
    let text = json!([told]).to_string();
    let server = Server::start(move |_| Answer::new(200, text.clone()));
    assert_eq!(class_of(&server), "bad_body");
    assert_eq!(server.asked().len(), 1);
}

#[test]
fn deeply_nested_json_is_an_error_and_no_crash() {
    let server = Server::start(|_| Answer::new(200, "[".repeat(1 << 20)));
    assert_eq!(class_of(&server), "bad_body");
}

#[test]
fn a_name_that_does_not_exist_is_a_dns_error_or_offline() {
    let error = list(&shop("https://releases.invalid"), &Desk::new().line()).unwrap_err();
    assert!(["dns", "offline"].contains(&&*error.class), "{error:?}");
}

#[test]
fn a_reporter_that_says_stop_ends_a_silent_wait() {
    let silent = Server::start(|_| Answer { stall_after: Some(0), ..Answer::json(&json!([])) });
    let mut desk = Desk::new();
    desk.waits.stall = Duration::from_secs(60);
    desk.ear = Ear { stop_at: Some(0), ..Ear::default() };
    assert_eq!(list(&shop(&silent.url), &desk.line()).unwrap_err().class, "cancelled");
}

#[test]
fn it_may_be_called_from_inside_a_runtime() {
    let server = serving(vec![release("v1.0.0")]);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let listing = runtime.block_on(async { list(&shop(&server.url), &Desk::new().line()) });
    assert_eq!(versions(&listing.unwrap()), ["1.0.0"]);
}
