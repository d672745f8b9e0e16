//! What is told about updates: its words at every level, what can be chosen, and the search behind it.

use chrono::{TimeDelta, Utc};
use liftlock_engine::Error;
use liftlock_engine::model::notice::HoleSeverity;
use liftlock_engine::model::release::{Advisory, Affected};
use liftlock_engine::state::discovery::{KnownRelease, Learned, Repository};

use crate::support::Bench;

/// A snapshot of the words and of the document of one command.
macro_rules! both {
    ($bench:expr, $name:literal, $($arg:expr),+) => {
        insta::assert_snapshot!($name, $bench.settled(&$bench.run(&[$($arg),+]).shown()));
        let document = $bench.run(&[$($arg,)+ "--json"]);
        document.json();
        insta::assert_snapshot!(concat!($name, "_json"), $bench.settled(&document.shown()));
    };
}

fn release(tag: &str, days: i64) -> KnownRelease {
    let at = Utc::now() - TimeDelta::days(days) - TimeDelta::hours(1);
    KnownRelease {
        tag: tag.to_owned(),
        published_at: Some(at),
        first_seen_at: at,
        prerelease: false,
        breaking: false,
        security: false,
        headline: Some("Every order now says through which channel it came.".to_owned()),
    }
}

fn advisory() -> Advisory {
    Advisory {
        id: "GHSA-abcd-ef01-2345".to_owned(),
        cve: Some("CVE-2026-12345".to_owned()),
        severity: HoleSeverity::High,
        summary: "Anybody can read the orders of others.".to_owned(),
        url: Some("https://example.org/advisory".to_owned()),
        affected: vec![Affected { range: "< 1.1.0".to_owned(), patched: Some("1.1.0".to_owned()) }],
    }
}

/// As if a round had just learned this.
fn learn(bench: &Bench, releases: &[KnownRelease], advisories: &[Advisory], problem: Option<Error>) {
    let now = Utc::now();
    let answered = now - TimeDelta::hours(3);
    bench
        .db()
        .learn(
            &[Learned {
                source: "https://api.github.com corner-shop/corner-shop".to_owned(),
                repository: Repository {
                    asked_at: Some(now),
                    answered_at: Some(answered),
                    next_check_at: Some(now + TimeDelta::hours(21)),
                    failing_since: problem.is_some().then_some(answered),
                    problem,
                    ..Repository::default()
                },
                releases: Some(releases.to_vec()),
                cut_short: false,
                advisories: Some(advisories.to_vec()),
            }],
            now,
        )
        .unwrap();
}

#[test]
fn every_level_has_its_words_and_its_document() {
    let bench = Bench::new();
    both!(bench, "notice_nobody", "notice");
    bench.install("shop");
    both!(bench, "notice_nothing", "notice");
    for (name, days) in [("1", 3), ("2", 12), ("3", 40), ("4", 90)] {
        let bench = Bench::new();
        bench.install("shop");
        learn(&bench, &[release("v1.0.0", 300), release("v1.1.0", days), release("v1.2.0", 2)], &[], None);
        insta::assert_snapshot!(format!("notice_level_{name}"), bench.settled(&bench.run(&["notice"]).shown()));
    }
    learn(&bench, &[release("v1.1.0", 1)], &[advisory()], None);
    both!(bench, "notice_security", "notice", "shop");
    learn(&bench, &[release("v2.0.0", 40)], &[], None);
    both!(bench, "notice_breaking", "notice", "shop");
}

#[test]
fn what_is_chosen_is_said_and_can_be_taken_back() {
    let bench = Bench::new();
    bench.install("shop");
    let shown = |args: &[&str]| bench.settled(&bench.run(args).shown());
    insta::assert_snapshot!("notice_nothing_to_dismiss", shown(&["notice", "dismiss"]));
    learn(&bench, &[release("v1.1.0", 3)], &[], None);
    both!(bench, "notice_dismiss", "notice", "dismiss");
    insta::assert_snapshot!("notice_remind", shown(&["notice", "remind", "--days", "7"]));
    insta::assert_snapshot!("notice_pause", shown(&["notice", "pause", "shop", "--days", "30"]));
    insta::assert_snapshot!("notice_skip", shown(&["notice", "skip"]));
    insta::assert_snapshot!("notice_unskip", shown(&["notice", "resume", "--skipped", "1.1.0"]));
    insta::assert_snapshot!("notice_resume", shown(&["notice", "resume"]));
    insta::assert_snapshot!("notice_bad_days", shown(&["notice", "pause", "--days", "0"]));
    learn(&bench, &[release("v1.1.0", 90)], &[], None);
    insta::assert_snapshot!("notice_red_stays", shown(&["notice", "dismiss"]));
    learn(&bench, &[release("v2.0.0", 90)], &[], None);
    insta::assert_snapshot!("notice_stay", shown(&["notice", "stay"]));
}

#[test]
fn a_search_that_fails_is_told_and_fails_nothing() {
    let bench = Bench::new();
    insta::assert_snapshot!("look_nobody", bench.settled(&bench.run(&["check", "--releases"]).shown()));
    let shop = bench.install("shop");
    let profile = liftlock_engine::profiles::text_of("corner-shop").unwrap();
    rusqlite::Connection::open(bench.home().database())
        .unwrap()
        .execute(
            "UPDATE installation SET profile = ?1",
            [profile.replace("https://api.github.com", "http://127.0.0.1:1")],
        )
        .unwrap();
    both!(bench, "look_down", "check", "--releases");
    insta::assert_snapshot!(
        "look_down_named",
        bench.settled(&bench.run(&["check", "--releases", shop.as_str()]).shown())
    );
    insta::assert_snapshot!("releases_down", bench.settled(&bench.run(&["releases"]).shown()));
}
