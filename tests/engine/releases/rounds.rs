//! Whole rounds: many installations, one state on disk, servers in every mood.

use std::{
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use liftlock_engine::{
    Engine,
    clock::FixedClock,
    engine::{Choice, Look},
    model::{ids::InstallationName, notice::Quiet},
    process::Silent,
    releases::Waits,
    state::{Db, home::Home, installations::Installation},
    view::{NoticeView, RoundView},
};
use rstest::rstest;
use serde_json::{Value, json};

use crate::server::{Answer, Question, Server, release};

const LIST: &str = "/repos/acme/shop/releases";

/// A home under a clock that stands still.
struct Bench {
    root: tempfile::TempDir,
    clock: Arc<FixedClock>,
    engine: Engine,
}

fn noon() -> DateTime<Utc> {
    "2026-11-21T12:00:00Z".parse().unwrap()
}

impl Bench {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let clock = Arc::new(FixedClock::at(noon()));
        let waits = Waits {
            connect: Duration::from_secs(5),
            stall: Duration::from_millis(1500),
            answer: Duration::from_secs(5),
            attempts: 2,
            pause: Duration::from_millis(1),
            patience: Duration::ZERO,
        };
        let engine = Engine::at(Home::at(root.path().join("home"))).with_clock(clock.clone()).with_waits(waits);
        Self { root, clock, engine }
    }

    fn db(&self) -> Db {
        Db::open(&Home::at(self.root.path().join("home"))).unwrap()
    }

    /// An installation of `version`, whose releases are `api`'s.
    fn install(&self, name: &str, version: &str, api: &str, change: impl Fn(String) -> String) -> InstallationName {
        let profile = liftlock_engine::profiles::text_of("corner-shop").unwrap();
        let profile = profile
            .replace("https://api.github.com", api)
            .replace("repository = \"corner-shop/corner-shop\"", "repository = \"acme/shop\"");
        let name: InstallationName = name.parse().unwrap();
        self.db()
            .add_installation(&Installation {
                name: name.clone(),
                folder: self.root.path().join(name.as_str()),
                profile: change(profile),
                application: "corner-shop".into(),
                version: Some(version.into()),
                added_at: noon(),
            })
            .unwrap();
        name
    }

    fn look(&self) -> RoundView {
        self.engine.check_releases(None, Look::Now, &Silent).unwrap()
    }

    fn due(&self) -> RoundView {
        self.engine.check_releases(None, Look::WhereDue, &Silent).unwrap()
    }

    fn told(&self, name: &InstallationName) -> NoticeView {
        self.engine.notice(name).unwrap()
    }

    fn offered(&self, name: &InstallationName) -> Option<String> {
        self.told(name).offer.map(|it| it.to)
    }
}

fn as_it_is(profile: String) -> String {
    profile
}

fn tagged(pattern: &'static str) -> impl Fn(String) -> String {
    move |profile| profile.replace("tag = \"v{version}\"", &format!("tag = \"{pattern}\""))
}

/// A list of releases with its name for this state of it.
fn listed(question: &Question, releases: Vec<Value>) -> Answer {
    let body = Value::Array(releases).to_string();
    let etag = format!("\"{:x}\"", body.bytes().fold(7_u64, |sum, it| sum.wrapping_mul(31).wrapping_add(it.into())));
    if question.path().ends_with("/security-advisories") {
        return Answer::new(404, "");
    }
    if question.header("if-none-match") == Some(&etag) {
        return Answer::new(304, "").with("ETag", &etag);
    }
    Answer::new(200, body).with("ETag", &etag)
}

fn lists(server: &Server) -> usize {
    server.asked().iter().filter(|it| it.path().ends_with("/releases")).count()
}

#[test]
fn a_repository_is_asked_once_for_all_that_come_from_it() {
    let tags = ["backend-v1.0.0", "backend-v1.2.0", "frontend-v1.1.0", "frontend-v1.9.0", "nightly"];
    let server = Server::start(move |it| listed(it, tags.map(release).to_vec()));
    let bench = Bench::new();
    let backend = bench.install("backend", "1.0.0", &server.url, tagged("backend-v{version}"));
    let frontend = bench.install("frontend", "1.1.0", &server.url, tagged("frontend-v{version}"));
    let newest = bench.install("newest", "1.9.0", &format!("{}/", server.url), tagged("frontend-v{version}"));
    let first = bench.look();
    assert_eq!((first.asked, first.changed, first.repositories[0].installations), (1, 1, 3));
    assert_eq!(lists(&server), 1, "once, whatever the tags are taken for");
    assert_eq!(bench.offered(&backend).as_deref(), Some("1.2.0"));
    assert_eq!(bench.offered(&frontend).as_deref(), Some("1.9.0"));
    assert_eq!(bench.offered(&newest), None);

    // Not due, then due, and never dearer than one conditional question.
    assert_eq!(bench.due().asked, 0);
    bench.clock.advance(Duration::from_secs(27 * 3600));
    let again = bench.due();
    assert_eq!((again.asked, again.changed, lists(&server)), (1, 0, 2));
    let next = again.repositories[0].search.next_check_at.unwrap() - again.repositories[0].search.checked_at.unwrap();
    assert!(next >= TimeDelta::minutes(24 * 54) && next <= TimeDelta::minutes(24 * 66), "{next}");
    assert_eq!(server.asked().last().unwrap().path(), LIST, "nobody is asked about advisories every day");
}

/// What is answered while a server is not well.
type Mood = fn(&Question) -> Answer;

/// A server that is well, until it is told otherwise.
struct Moody {
    mood: Arc<Mutex<Option<Mood>>>,
    server: Server,
}

impl Moody {
    fn new() -> Self {
        let mood: Arc<Mutex<Option<Mood>>> = Arc::default();
        let shared = Arc::clone(&mood);
        let server = Server::start(move |question| match *shared.lock().unwrap() {
            Some(mood) => mood(question),
            None => listed(question, ["v1.0.0", "v1.1.0"].map(release).to_vec()),
        });
        Self { mood, server }
    }

    fn turn(&self, mood: Option<Mood>) {
        *self.mood.lock().unwrap() = mood;
    }
}

fn forbidden(_: &Question) -> Answer {
    // An hour from the server's own clock, which is years away from ours.
    Answer::new(403, "{}")
        .with("X-RateLimit-Remaining", "0")
        .with("X-RateLimit-Reset", "1700003600")
        .with("Date", "Tue, 14 Nov 2023 22:13:20 GMT")
}

fn too_many(_: &Question) -> Answer {
    Answer::new(429, "{}").with("Retry-After", "600")
}

fn broken(_: &Question) -> Answer {
    Answer::new(503, "")
}

fn round_and_round(question: &Question) -> Answer {
    Answer::redirect(302, &question.target)
}

fn hanging(_: &Question) -> Answer {
    Answer { stall_after: Some(0), ..Answer::json(&json!([])) }
}

fn truncated(_: &Question) -> Answer {
    Answer::new(200, r#"[{"tag_name": "v9.0.0", "na"#)
}

fn huge(_: &Question) -> Answer {
    Answer::new(200, format!(r#"[{{"tag_name": "v9.0.0", "body": "{}"}}]"#, "x".repeat(10 << 20)))
}

fn gone(_: &Question) -> Answer {
    Answer::new(404, "")
}

#[rstest]
#[case::forbidden_until_its_reset(forbidden, "rate_limited", Some(3600))]
#[case::too_many(too_many, "rate_limited", Some(600))]
#[case::broken(broken, "server_error", None)]
#[case::a_redirect_without_end(round_and_round, "redirect_loop", None)]
#[case::hanging(hanging, "timeout", None)]
#[case::truncated(truncated, "bad_body", None)]
#[case::ten_megabytes(huge, "bad_body", None)]
#[case::gone(gone, "repository_missing", None)]
fn whatever_a_server_does_the_last_good_answer_stays_and_the_search_goes_on(
    #[case] mood: Mood,
    #[case] class: &str,
    #[case] waits: Option<i64>,
) {
    let moody = Moody::new();
    let bench = Bench::new();
    let shop = bench.install("shop", "1.0.0", &moody.server.url, as_it_is);
    bench.look();
    bench.clock.advance(Duration::from_secs(48 * 3600));
    moody.turn(Some(mood));
    let round = bench.due();
    let search = &round.repositories[0].search;
    let problem = search.problem.as_ref().unwrap();
    assert_eq!(problem.class, class);
    assert!(!problem.remedy.is_empty());
    assert_eq!((search.checked_at, search.failing_since), (Some(noon()), Some(bench.now())), "its age is told");
    assert_eq!(search.waits_until.map(|it| (it - bench.now()).num_seconds()), waits);
    let next = search.next_check_at.unwrap() - bench.now();
    assert!(next > TimeDelta::zero() && next <= TimeDelta::hours(24), "{next}");
    assert_eq!(bench.offered(&shop).as_deref(), Some("1.1.0"), "what was known is known");

    // A server that wants to be left alone is, even when a person asks; any other is asked.
    let asked = moody.server.asked().len();
    moody.turn(None);
    let impatient = bench.look();
    assert_eq!(moody.server.asked().len() > asked, waits.is_none());
    assert_eq!(impatient.repositories[0].search.problem.is_none(), waits.is_none());
    bench.clock.advance(Duration::from_secs(27 * 3600));
    let well = &bench.due().repositories[0].search;
    assert_eq!(
        (&well.problem, well.failing_since, well.waits_until, well.checked_at),
        (&None, None, None, Some(bench.now()))
    );
}

impl Bench {
    fn now(&self) -> DateTime<Utc> {
        use liftlock_engine::ports::Clock;
        self.clock.now()
    }
}

#[test]
fn a_server_that_is_away_is_a_state_and_not_a_failure() {
    let bench = Bench::new();
    let shop = bench.install("shop", "1.0.0", "http://127.0.0.1:1", as_it_is);
    for failures in 1..=3 {
        let round = bench.look();
        let search = &round.repositories[0].search;
        assert_eq!(search.problem.as_ref().unwrap().class, "connection_refused");
        assert_eq!((search.checked_at, search.failing_since), (None, Some(noon())));
        let next = search.next_check_at.unwrap() - noon();
        assert!(next >= TimeDelta::minutes(5 << (failures - 1)), "{next} after {failures}");
    }
    let told = bench.told(&shop);
    assert_eq!((told.offer, told.version.as_deref()), (None, Some("1.0.0")));
}

#[test]
fn a_limit_that_is_reached_is_not_run_against_by_every_repository() {
    let server = Server::start(|question| match question.path().contains("/shop-0/") {
        true => too_many(question),
        false => listed(question, vec![release("v1.1.0")]),
    });
    let bench = Bench::new();
    for n in 0..40 {
        bench.install(&format!("shop-{n}"), "1.0.0", &server.url, move |profile| {
            profile.replace("acme/shop", &format!("acme/shop-{n}"))
        });
    }
    // In the order of their names, the first one is told to wait while seven others are on their way.
    let round = bench.look();
    assert_eq!(round.asked, 40);
    let limited = round.repositories.iter().filter(|it| it.search.problem.is_some()).count();
    assert!(limited >= 10, "{limited}");
    assert!(lists(&server) <= 40 - limited + 1, "{} questions, {limited} limited", lists(&server));
}

#[test]
fn a_clock_that_is_a_year_wrong_silences_nobody_once_it_is_right() {
    let year = TimeDelta::days(365);
    let moody = Moody::new();
    let bench = Bench::new();
    let shop = bench.install("shop", "1.0.0", &moody.server.url, as_it_is);
    bench.clock.set_wall(noon() + year);
    bench.look();
    moody.turn(Some(too_many));
    bench.look();
    bench.engine.choose_notices(&shop, Choice::Pause(7)).unwrap();
    assert_eq!(bench.told(&shop).offer.unwrap().quiet, Some(Quiet::Paused));

    // Set right: the next check, the server's patience and the pause all lie a year ahead, and hold nothing up.
    bench.clock.set_wall(noon());
    moody.turn(None);
    let told = bench.told(&shop).offer.unwrap();
    assert_eq!((told.quiet, told.days_behind >= 0), (None, true));
    assert_eq!(bench.due().asked, 1);
    assert_eq!(bench.told(&shop).search.problem, None);
    bench.clock.set_wall(noon() - year);
    assert_eq!(bench.told(&shop).offer.unwrap().days_behind, 0, "before it was published");
    assert_eq!(bench.due().asked, 1);
}

#[test]
fn what_is_withdrawn_is_not_offered_and_what_comes_back_is_not_young() {
    let shown = Arc::new(Mutex::new(vec!["v1.0.0", "v1.1.0", "v1.2.0"]));
    let dates = Arc::new(Mutex::new("2026-10-01T00:00:00Z"));
    let (list, date) = (Arc::clone(&shown), Arc::clone(&dates));
    let server = Server::start(move |question| {
        let at = *date.lock().unwrap();
        let dated = |tag: &&str| {
            let mut told = release(tag);
            told["published_at"] = at.into();
            told
        };
        listed(question, list.lock().unwrap().iter().map(dated).collect())
    });
    let bench = Bench::new();
    let shop = bench.install("shop", "1.0.0", &server.url, as_it_is);
    bench.look();
    let before = bench.told(&shop).offer.unwrap();
    assert_eq!((before.to.as_str(), before.versions_behind, before.days_behind), ("1.2.0", 2, 51));
    shown.lock().unwrap().pop();
    bench.look();
    let fewer = bench.told(&shop).offer.unwrap();
    assert_eq!((fewer.to.as_str(), fewer.versions_behind), ("1.1.0", 1));
    *shown.lock().unwrap() = vec!["v1.0.0"];
    bench.look();
    assert_eq!(bench.offered(&shop), None, "never below what runs");
    // Published anew, with a date of today and one of tomorrow.
    *shown.lock().unwrap() = vec!["v1.0.0", "v1.1.0", "v1.3.0"];
    *dates.lock().unwrap() = "2026-12-24T00:00:00Z";
    bench.look();
    let again = bench.told(&shop).offer.unwrap();
    assert_eq!((again.to.as_str(), again.versions_behind, again.days_behind), ("1.3.0", 2, 51));
}

#[test]
fn drafts_prereleases_and_what_runs_already_are_not_offered() {
    let server = Server::start(|question| {
        let mut draft = release("v1.9.0");
        draft["draft"] = true.into();
        let mut early = release("v1.8.0");
        early["prerelease"] = true.into();
        listed(question, vec![draft, early, release("v1.7.0-rc.1"), release("v1.1.0"), release("v1.0.0")])
    });
    let bench = Bench::new();
    let stable = bench.install("stable", "1.0.0", &server.url, as_it_is);
    let ahead = bench.install("ahead", "1.5.0", &server.url, as_it_is);
    let early = bench.install("early", "1.0.0", &server.url, |it| it.replace("\"stable\"", "\"prerelease\""));
    bench.look();
    assert_eq!(bench.offered(&stable).as_deref(), Some("1.1.0"));
    assert_eq!(bench.offered(&ahead), None);
    assert_eq!(bench.offered(&early).as_deref(), Some("1.8.0"));
}

#[test]
fn a_repository_that_has_moved_is_asked_under_its_new_name_from_then_on() {
    let moved = Arc::new(AtomicUsize::new(0));
    let state = Arc::clone(&moved);
    let server = Server::start(move |question| match question.path() {
        LIST => Answer::redirect(301, "/repositories/42/releases"),
        "/repositories/42/releases" => listed(question, vec![release("v1.1.0")]),
        "/repositories/42" => Answer::json(&json!({"full_name": "acme/corner-shop"})),
        "/repos/acme/corner-shop/releases" if state.load(Ordering::SeqCst) == 0 => {
            listed(question, vec![release("v1.2.0")])
        }
        _ => Answer::new(404, ""),
    });
    let bench = Bench::new();
    let shop = bench.install("shop", "1.0.0", &server.url, as_it_is);
    assert_eq!(bench.look().repositories[0].moved_to.as_deref(), Some("acme/corner-shop"));
    assert_eq!(bench.offered(&shop).as_deref(), Some("1.1.0"));
    bench.look();
    assert_eq!(bench.offered(&shop).as_deref(), Some("1.2.0"));
    assert_eq!(server.asked().iter().filter(|it| it.path() == LIST).count(), 1);
    // The new name is gone: the old one is asked again.
    moved.store(1, Ordering::SeqCst);
    assert_eq!(bench.look().repositories[0].moved_to, None);
    bench.due();
    assert_eq!(server.asked().iter().filter(|it| it.path() == LIST).count(), 2);
}

#[test]
fn a_server_without_tags_is_asked_by_date() {
    let date = "Sat, 21 Nov 2026 10:00:00 GMT";
    let server = Server::start(move |question| {
        if question.path().ends_with("/security-advisories") {
            return Answer::new(404, "");
        }
        match question.header("if-modified-since") {
            Some(it) if it == date => Answer::new(304, ""),
            _ => Answer::json(&json!([release("v1.1.0")])).with("Last-Modified", date),
        }
    });
    let bench = Bench::new();
    bench.install("shop", "1.0.0", &server.url, as_it_is);
    assert_eq!(bench.look().changed, 1);
    assert_eq!(bench.look().changed, 0);
}

#[test]
fn two_thousand_releases_are_known_and_nothing_new_among_them_costs_one_question() {
    let server = Server::start(|question| {
        let page: usize = question.target.split("&page=").nth(1).and_then(|it| it.parse().ok()).unwrap_or(1);
        let releases = (0..100).map(|n| release(&format!("v1.{}.0", (page - 1) * 100 + n))).collect();
        let answer = listed(question, releases);
        if page == 20 || answer.status != 200 {
            return answer;
        }
        answer.with("Link", &format!("<{LIST}?per_page=100&page={}>; rel=\"next\"", page + 1))
    });
    let bench = Bench::new();
    let shop = bench.install("shop", "1.5.0", &server.url, as_it_is);
    bench.look();
    let told = bench.told(&shop).offer.unwrap();
    assert_eq!((told.to.as_str(), told.versions_behind, lists(&server)), ("1.1999.0", 1994, 20));
    bench.clock.advance(Duration::from_secs(3600));
    assert_eq!((bench.look().changed, lists(&server)), (0, 21));
}

#[test]
fn an_advisory_that_touches_what_runs_is_known_with_its_severity() {
    let server = Server::start(|question| {
        if !question.path().ends_with("/security-advisories") {
            return listed(question, ["v1.0.0", "v1.1.0", "v2.0.0"].map(release).to_vec());
        }
        let hole = |id: &str, severity: &str, range: &str, patched: &str| {
            json!({
                "ghsa_id": id, "cve_id": null, "summary": format!("{id}\u{1b}[2J hole"), "severity": severity,
                "html_url": "https://example.org/hole", "state": "published",
                "vulnerabilities": [{"package": {"ecosystem": "", "name": "shop"},
                    "vulnerable_version_range": range, "patched_versions": patched}]
            })
        };
        let mut withdrawn = hole("GHSA-withdrawn", "critical", "< 9.0.0", "");
        withdrawn["withdrawn_at"] = "2026-01-01T00:00:00Z".into();
        Answer::json(&json!([
            hole("GHSA-old", "critical", "< 1.0.0", "1.0.0"),
            hole("GHSA-low", "low", "<= 1.0.0", "1.1.0"),
            hole("GHSA-high", "high", "< 1.1.0", "1.1.0"),
            withdrawn,
        ]))
    });
    let bench = Bench::new();
    let touched = bench.install("touched", "1.0.0", &server.url, as_it_is);
    let safe = bench.install("safe", "1.1.0", &server.url, as_it_is);
    bench.look();
    let told = bench.told(&touched);
    let ids: Vec<&str> = told.holes.iter().map(|it| it.id.as_str()).collect();
    assert_eq!(ids, ["GHSA-high", "GHSA-low"]);
    let offer = told.offer.unwrap();
    let worst = offer.security.unwrap();
    assert_eq!((offer.to.as_str(), u8::from(offer.level), worst.severity.as_str()), ("1.1.0", 4, "high"));
    assert_eq!(worst.summary, "GHSA-high[2J hole", "no control characters");
    let breaking = bench.told(&safe);
    assert!(breaking.holes.is_empty());
    let offer = breaking.offer.unwrap();
    assert_eq!((offer.breaking, u8::from(offer.level) <= 2, offer.line.as_deref()), (true, true, Some("1")));
    assert_eq!(offer.reasons, ["2.0.0 begins another line of releases: 1 becomes 2."]);
}

#[test]
fn choices_are_kept_one_beside_the_other_and_taken_back() {
    let moody = Moody::new();
    let bench = Bench::new();
    let shop = bench.install("shop", "1.0.0", &moody.server.url, as_it_is);
    let class = |choice| bench.engine.choose_notices(&shop, choice).unwrap_err().class.into_owned();
    assert_eq!(class(Choice::Hide), "nothing_to_hide");
    assert_eq!(class(Choice::Skip(None)), "nothing_to_skip");
    bench.look();
    assert_eq!(class(Choice::Skip(Some("latest".into()))), "bad_version");
    assert_eq!(class(Choice::Pause(0)), "bad_days");
    assert_eq!(class(Choice::Remind(5000)), "bad_days");
    // Published long ago: red, which cannot be hidden.
    assert_eq!(u8::from(bench.told(&shop).offer.unwrap().level), 4);
    assert_eq!(class(Choice::Hide), "red_stays");
    let quiet = |choice| bench.engine.choose_notices(&shop, choice).unwrap().offer.unwrap().quiet;
    assert_eq!(quiet(Choice::Remind(1)), Some(Quiet::Reminded));
    assert_eq!(quiet(Choice::Pause(30)), Some(Quiet::Paused));
    assert_eq!(quiet(Choice::Skip(None)), Some(Quiet::Skipped));
    assert_eq!(quiet(Choice::Unskip("v1.1.0".into())), Some(Quiet::Paused));
    assert_eq!(quiet(Choice::HearAll), None);
    let asks = |bench: &Bench| bench.told(&shop).offer.unwrap().asks;
    assert!(asks(&bench));
    bench.engine.choose_notices(&shop, Choice::Asked).unwrap();
    assert!(!asks(&bench));
    bench.engine.choose_notices(&shop, Choice::HearAll).unwrap();
    assert!(!asks(&bench), "hearing everything again does not ask twice a day");
}

#[test]
fn a_notification_is_shown_once_a_version_and_level() {
    let moody = Moody::new();
    let bench = Bench::new();
    let shop = bench.install("shop", "1.0.0", &moody.server.url, as_it_is);
    assert_eq!(bench.engine.announce(&shop).unwrap(), None, "nothing is known yet");
    bench.look();
    bench.engine.choose_notices(&shop, Choice::Remind(1)).unwrap();
    assert_eq!(bench.engine.announce(&shop).unwrap(), None, "quiet");
    bench.engine.choose_notices(&shop, Choice::HearAll).unwrap();
    assert_eq!(bench.engine.announce(&shop).unwrap().unwrap().to, "1.1.0");
    assert_eq!(bench.engine.announce(&shop).unwrap(), None, "never twice");
    bench.engine.remove(&shop).unwrap();
    let shop = bench.install("shop", "1.0.0", &moody.server.url, as_it_is);
    assert!(bench.engine.announce(&shop).unwrap().is_some(), "another installation of this name");
}

#[test]
fn everything_between_here_and_the_update_is_on_one_page() {
    let server = Server::start(|question| {
        let noted = |tag: &str, notes: &str| {
            let mut told = release(tag);
            told["body"] = notes.into();
            told
        };
        listed(
            question,
            vec![
                noted("v1.0.0", "## Added\n- The first"),
                noted("v1.2.0", "## Fixed\n- A hinge"),
                noted("v1.1.0", "## Added\n- A door\n\n## Security\n- CVE-2026-12345"),
                noted("v2.0.0", "## Breaking\n- All"),
            ],
        )
    });
    let bench = Bench::new();
    let shop = bench.install("shop", "1.0.0", &server.url, as_it_is);
    assert_eq!(bench.engine.news(&shop, None).unwrap_err().class, "nothing_newer");
    bench.look();
    let news = bench.engine.news(&shop, None).unwrap();
    let shown: Vec<String> = news
        .releases
        .iter()
        .map(|it| format!("{} {:?} {:?} {:?}", it.version, it.changes.new, it.changes.fixed, it.changes.security))
        .collect();
    assert_eq!(shown, [r#"1.2.0 [] ["A hinge"] []"#, r#"1.1.0 ["A door"] [] ["CVE-2026-12345"]"#]);
    assert_eq!((news.to.as_str(), news.cut), ("1.2.0", false));
    assert_eq!(bench.engine.news(&shop, Some("2.0.0")).unwrap().releases[0].changes.breaking, ["All"]);
    assert_eq!(bench.engine.news(&shop, Some("0.1.0")).unwrap_err().class, "nothing_newer");
    // By its notes alone a release that closes a hole is orange, however young it is.
    assert!(bench.told(&shop).offer.unwrap().closes_holes);
}

/// The tags of a real repository, in the order of its list and not of its versions.
fn real(repository: &str) -> Vec<Value> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/tags");
    let text = std::fs::read_to_string(folder.join(format!("{repository}.tsv"))).unwrap();
    let mut all: Vec<Value> = text
        .lines()
        .map(|line| {
            let mut parts = line.split('\t');
            let mut told = release(parts.next().unwrap());
            told["published_at"] = parts.next().unwrap().into();
            told
        })
        .collect();
    all.reverse();
    all
}

#[rstest]
#[case("BLB3DPrinting__filaops", "v{version}", "1.0.1")]
#[case("BadgerOps__grapheon", "backend-v{version}", "0.1.0")]
#[case("BadgerOps__grapheon", "frontend-v{version}", "0.1.0")]
#[case("calounx__mentat", "v{version}", "1.0.1")]
#[case("dani-garcia__vaultwarden", "{version}", "1.20.0")]
#[case("dotnetpower__elb-dashboard", "v{version}", "0.1.0")]
#[case("knadh__listmonk", "v{version}", "1.0.0")]
#[case("louislam__uptime-kuma", "{version}", "1.0.0")]
#[case("mealie-recipes__mealie", "v{version}", "1.0.0")]
#[case("prometheus__node_exporter", "v{version}", "1.0.0")]
#[case("umami-software__umami", "v{version}", "1.0.0")]
fn the_tags_of_real_repositories_make_the_offer_that_their_users_expect(
    #[case] repository: &'static str,
    #[case] pattern: &'static str,
    #[case] running: &str,
) {
    let server = Server::start(move |question| {
        let page: usize = question.target.split("&page=").nth(1).and_then(|it| it.parse().ok()).unwrap_or(1);
        let all = real(repository);
        let more = all.len() > page * 100;
        let answer = listed(question, all.into_iter().skip((page - 1) * 100).take(100).collect());
        if more {
            answer.with("Link", &format!("<{LIST}?per_page=100&page={}>; rel=\"next\"", page + 1))
        } else {
            answer
        }
    });
    let bench = Bench::new();
    let shop = bench.install("shop", running, &server.url, tagged(pattern));
    bench.look();
    let offer = bench.told(&shop).offer.unwrap();
    let name = format!("offer_{repository}_{}", pattern.replace(['{', '}', '-'], "_"));
    insta::with_settings!({ snapshot_path => "../../fixtures/tags", prepend_module_to_snapshot => false, omit_expression => true }, {
        insta::assert_debug_snapshot!(name, (running, offer.to, offer.breaking, offer.versions_behind, offer.days_behind, offer.reasons));
    });
}
