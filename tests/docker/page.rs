//! What visitors see while an application in containers is away, on each port by which they come.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;

use crate::support::filaops::{Filaops, Kind};
use crate::support::tagged::free_port;
use crate::support::{Case, Expected, PATIENCE, World, signal, stands_still, wait_for};

const APPLICATION: &str = "the application";
const PAGE: &str = "the page";
const NOTHING: &str = "nothing";

/// Somebody who asks again and again until told to leave.
struct Visitor {
    is_over: Arc<AtomicBool>,
    thread: JoinHandle<(Vec<String>, BTreeSet<String>)>,
}

impl Visitor {
    fn of(address: &str, port: u16, path: &str) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let (over, address, path) = (Arc::clone(&is_over), address.to_owned(), path.to_owned());
        let thread = thread::spawn(move || {
            let (mut seen, mut read) = (Vec::<String>::new(), BTreeSet::new());
            while !over.load(Ordering::Relaxed) {
                let (now, sentence) = look(&address, port, &path);
                read.extend(sentence);
                if seen.last() != Some(&now) {
                    seen.push(now);
                }
                thread::sleep(Duration::from_millis(10));
            }
            (seen, read)
        });
        Self { is_over, thread }
    }

    /// What was seen, one after the other, and what was read on the page.
    fn left(self) -> (Vec<String>, BTreeSet<String>) {
        self.is_over.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }

    /// The same without the moments between.
    fn saw(self) -> (Vec<String>, BTreeSet<String>) {
        let (mut saw, read) = self.left();
        saw.retain(|it| it != NOTHING);
        saw.dedup();
        (saw, read)
    }
}

/// What is there, and the sentence of the page.
fn look(address: &str, port: u16, path: &str) -> (String, Option<String>) {
    let ask = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect((address, port))?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        let asked = format!("GET {path} HTTP/1.1\r\nHost: here\r\nAccept: text/html\r\nConnection: close\r\n\r\n");
        stream.write_all(asked.as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    };
    let answer = ask().unwrap_or_default();
    let Some((head, body)) = answer.split_once("\r\n\r\n") else { return (NOTHING.to_owned(), None) };
    let head = head.to_lowercase();
    let is_page = ["http/1.1 503 ", "retry-after: 10", "cache-control: no-store"].iter().all(|it| head.contains(it));
    if is_page && body.contains("is being updated</h1>") {
        let sentence = body.split_once("role=\"status\">").and_then(|it| it.1.split_once("</p>"));
        (PAGE.to_owned(), sentence.map(|it| it.0.to_owned()))
    } else if head.starts_with("http/1.1 200 ") {
        (APPLICATION.to_owned(), None)
    } else {
        (answer, None)
    }
}

/// One by each of the two ways that lead to FilaOps.
fn visitors(world: &Filaops) -> [Visitor; 2] {
    [Visitor::of("127.0.0.1", world.port, "/health"), Visitor::of("127.0.0.1", world.page, "/")]
}

#[test]
fn visitors_of_backend_and_frontend_see_the_page_until_the_new_version_or_the_old_one_is_there() {
    let world = Filaops::with(&[("3.9.0", Kind::Good), ("3.10.0", Kind::Breaks)]);
    for (version, state) in [("3.9.0", "complete"), ("3.10.0", "rolled_back")] {
        let visitors = visitors(&world);
        assert_eq!(world.upgrade(version, &[]).0, state);
        world.is_whole("3.9.0");
        for visitor in visitors {
            let (saw, read) = visitor.saw();
            assert_eq!(saw, [APPLICATION, PAGE, APPLICATION], "{version}");
            let told = |word: &str| read.iter().any(|it| it.starts_with(word));
            assert!(told("Setting the original aside") && told("Fitting a copy of your data"), "{read:?}");
            assert_eq!(told("Putting 3.9.0 and its data back"), state == "rolled_back", "{read:?}");
        }
    }
}

#[test]
fn a_worker_that_goes_on_raises_the_page_on_every_port_anew() {
    let world = Filaops::with(&[("3.9.0", Kind::Good)]);
    // The one who dies first has stopped one of two; the second all; the third has put the new version in place.
    let points = ["stop:frontend/after_outcome", "set_aside:database/after_outcome", "switch_release/after_outcome"];
    let points = points.map(|it| format!("forward/{it}")).join(",");
    let [backend, frontend] = visitors(&world);
    let (_, ended) = world.liftlock_killed_at(&points, &["upgrade", "--yes", "--to", "3.9.0"]);
    assert_eq!(ended["state"], "complete", "{ended:#}");
    world.is_whole("3.9.0");
    for visitor in [backend, frontend] {
        let (saw, _) = visitor.left();
        // The first one dies as soon as the page of the frontend stands: nobody need have come just then.
        assert!(saw.iter().filter(|it| *it == PAGE).count() >= 3, "{saw:?}");
        assert_eq!([&saw[0], &saw[saw.len() - 1]], [APPLICATION; 2], "{saw:?}");
        assert!(saw.iter().all(|it| [APPLICATION, PAGE, NOTHING].contains(&it.as_str())), "{saw:?}");
    }
}

#[test]
fn the_page_is_bound_where_the_application_was_and_nowhere_else() {
    let mut world = World::with(&["1.1.0"]);
    let mut held = Vec::new();
    let everywhere = free_port(&mut held);
    let published = "      - \"127.0.0.1:${SHOP_PORT}:8080\"\n";
    world.rewrite(|it| it.replace(published, &format!("{published}      - \"{everywhere}:8080\"\n")));
    let case = world.case();
    let by = |address: &str, port: u16| Visitor::of(address, port, "/health");
    let mut seeing = vec![by("127.0.0.1", world.port), by("127.0.0.1", everywhere), by("127.0.0.2", everywhere)];
    if TcpListener::bind(("::1", 0)).is_ok() {
        seeing.push(by("::1", everywhere));
    }
    let elsewhere = by("127.0.0.2", world.port);
    case.run("1.1.0", &[], &Expected::complete("1.1.0"));
    for visitor in seeing {
        assert_eq!(visitor.saw().0, [APPLICATION, PAGE, APPLICATION]);
    }
    assert_eq!(elsewhere.left().0, [NOTHING], "nobody came in there before either");
}

/// The shop with a port below 1024 beside its own.
fn with_a_low_port() -> (World, u16) {
    let mut world = World::with(&["1.1.0"]);
    let from = 200 + world.port % 700;
    let low =
        (from..1024).find(|it| TcpListener::bind(("0.0.0.0", *it)).is_ok()).expect("the tests of Docker run as root");
    let published = "      - \"127.0.0.1:${SHOP_PORT}:8080\"\n";
    world.rewrite(|it| it.replace(published, &format!("{published}      - \"{low}:8080\"\n")));
    (world, low)
}

/// `liftlock` of somebody who may talk to Docker and may not listen below 1024, after these words.
fn unprivileged(case: &Case<'_>, first: &[&str], words: &[&str]) -> Command {
    let inner = case.liftlock(&[words, &["--json"]].concat());
    let mut command = Command::new("setpriv");
    command.args(["--bounding-set=-net_bind_service", "--inh-caps=-net_bind_service"]).args(first);
    command.arg(inner.get_program()).args(inner.get_args()).env_clear().stdin(Stdio::null());
    command.envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command
}

fn answer_of(command: &mut Command) -> Value {
    let output = command.output().unwrap();
    let out = String::from_utf8_lossy(&output.stdout).into_owned();
    let documents = serde_json::Deserializer::from_str(&out).into_iter::<Value>();
    documents.map(Result::unwrap).last().unwrap_or_else(|| panic!("{}", String::from_utf8_lossy(&output.stderr)))
}

fn says_that_visitors_see_an_error(plan: &Value, port: u16) -> bool {
    let found = plan["findings"].as_array().unwrap().iter().find(|it| it["class"] == "no_page");
    found.is_some_and(|it| it["message"].as_str().unwrap().contains(&format!("port {port} sees an error")))
}

#[test]
fn where_the_user_may_not_listen_the_page_stands_in_a_container_that_outlives_its_worker() {
    let (world, low) = with_a_low_port();
    let case = world.case();
    let plan = answer_of(&mut unprivileged(&case, &[], &["plan"]));
    assert_eq!((&plan["possible"], says_that_visitors_see_an_error(&plan, low)), (&true.into(), false), "{plan:#}");
    let (by_own, by_low) = (Visitor::of("127.0.0.1", world.port, "/health"), Visitor::of("127.0.0.1", low, "/health"));
    // A second worker goes on once the first is dead; in between nobody but the container answers.
    let mut first = unprivileged(&case, &[], &["upgrade", "--yes", "--to", "1.1.0"]);
    let log = world.dir.join("crash.log");
    first.env("LIFTLOCK_FREEZE_AT", "forward/set_aside:database/after_outcome").env("LIFTLOCK_CRASH_LOG", &log);
    let mut face = first.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let worker = wait_for("the worker has frozen", PATIENCE, || {
        let (_, status) = case.answer(&["status"]);
        let worker = u32::try_from(status["holder"]["pid"].as_u64()?).ok()?;
        stands_still(worker).then_some(worker)
    });
    let container = world.engine.docker(&["ps", "--quiet", "--filter", "label=liftlock.errand"]);
    assert!(!container.is_empty() && !container.contains(char::is_whitespace), "one: {container}");
    signal(worker, Signal::KILL);
    assert_eq!(look("127.0.0.1", low, "/health").0, PAGE, "the worker is dead");
    face.wait().unwrap();
    let ended = answer_of(&mut unprivileged(&case, &[], &["status"]));
    assert_eq!(ended["state"], "complete", "{ended:#}");
    assert_eq!(by_own.saw().0, [APPLICATION, PAGE, APPLICATION]);
    assert_eq!(by_low.saw().0, [APPLICATION, PAGE, APPLICATION]);
    world.is_whole("1.1.0");
    assert_eq!(world.engine.docker(&["ps", "--all", "--quiet", "--filter", "label=liftlock.errand"]), "");
    let ours = world.engine.docker(&["image", "ls", "--format", "{{.Repository}}", "liftlock/ourselves"]);
    assert_eq!(ours, "liftlock/ourselves", "one, for the next time");
}

#[test]
fn where_not_even_a_container_may_listen_the_plan_says_so_and_the_update_is_the_same() {
    let (world, low) = with_a_low_port();
    let case = world.case();
    // An engine that calls its computer otherwise is on another one.
    let elsewhere = ["unshare", "--uts", "sh", "-c", "hostname elsewhere && exec \"$@\"", "sh"];
    let plan = answer_of(&mut unprivileged(&case, &elsewhere, &["plan"]));
    assert_eq!((&plan["possible"], says_that_visitors_see_an_error(&plan, low)), (&true.into(), true), "{plan:#}");
    let (_, plan) = case.answer(&["plan"]);
    assert!(!says_that_visitors_see_an_error(&plan, low), "root may: {plan:#}");
    let (by_own, by_low) = (Visitor::of("127.0.0.1", world.port, "/health"), Visitor::of("127.0.0.1", low, "/health"));
    let ended = answer_of(&mut unprivileged(&case, &elsewhere, &["upgrade", "--yes", "--to", "1.1.0"]));
    assert_eq!(ended["state"], "complete", "{ended:#}");
    assert_eq!(by_own.saw().0, [APPLICATION, PAGE, APPLICATION]);
    assert_eq!(by_low.saw().0, [APPLICATION]);
    world.is_whole("1.1.0");
}

#[test]
fn a_proxy_that_goes_on_running_is_told_to_show_an_error_of_its_own() {
    let world = Filaops::with(&[("3.9.0", Kind::Good)]);
    let profile = world.dir.join("filaops.toml");
    let whole = fs::read_to_string(&profile).unwrap();
    // As if its frontend were a proxy that nobody has named.
    let frontend = "[[components]]\nname = \"frontend\"\nrun = { service = \"frontend\" }\nphase = 2\n";
    assert!(whole.contains(frontend));
    let without = whole.replace(frontend, "").replace("\"frontend\", ", "");
    let without = without.replace(&format!("port = \"{}\"", world.port), &format!("port = \"{}\"", world.page));
    fs::write(&profile, without).unwrap();
    world.liftlock(&["remove", "filaops", "--yes"]);
    let (code, added) = world.liftlock(&["add", profile.to_str().unwrap(), world.app.to_str().unwrap()]);
    assert_eq!(code, 0, "{added:#}");
    let (_, plan) = world.liftlock(&["plan", "--to", "3.9.0"]);
    let found = plan["findings"].as_array().unwrap().iter().find(|it| it["class"] == "no_page");
    let message = found.unwrap_or_else(|| panic!("{plan:#}"))["message"].as_str().unwrap();
    assert!(message.contains(&format!("port {} meets frontend", world.page)), "{message}");
}
