//! Rows that come in through an application's own interface, against a real HTTP server that keeps what it is sent and
//! misbehaves when it is told to.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::{BTreeMap, VecDeque};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use liftlock_engine::error::{Error, Result};
use liftlock_engine::import::api::{ApiIntake, Reached, Waits};
use liftlock_engine::model::profile::{ApiField, Call, EntityApi, FieldType, Find, Method};
use liftlock_engine::ports::{Reporter, Unit};
use liftlock_engine::probes::{Credentials, HttpRequest};
use liftlock_engine::process::Silent;
use liftlock_engine::secrets::Secret;
use liftlock_engine::stores::intake::{Assignment, Came, Duplicates, Entity, Intake, Run, Value};

/// What the server does with a request instead of answering it as it should.
#[derive(Debug, Clone)]
enum Fault {
    /// It does nothing and answers so: status, further header lines, body.
    Says(u16, &'static str, &'static str),
    /// It does what was asked, and closes the connection without a word.
    CutAfter,
    /// It closes the connection and does nothing.
    CutBefore,
    /// It does what was asked, and says nothing for longer than anybody waits.
    SilentAfter,
    /// It does what was asked, and answers without end.
    Endless,
}

#[derive(Debug, Default)]
struct Kept {
    people: BTreeMap<u64, (String, String)>,
    next: u64,
    /// Ids by the key that requests were sent under.
    tokens: BTreeMap<String, u64>,
    knows_tokens: bool,
    /// Method and path of what was asked, with the token.
    heard: Vec<String>,
    bodies: Vec<String>,
    /// For the next requests of a method.
    faults: VecDeque<(&'static str, Fault)>,
}

struct Server {
    port: u16,
    kept: Arc<Mutex<Kept>>,
}

impl Server {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let kept: Arc<Mutex<Kept>> = Arc::default();
        let own = Arc::clone(&kept);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let kept = Arc::clone(&own);
                std::thread::spawn(move || serve(stream, &kept));
            }
        });
        Self { port, kept }
    }

    fn fault(&self, method: &'static str, fault: Fault) {
        self.kept.lock().unwrap().faults.push_back((method, fault));
    }

    fn people(&self) -> Vec<String> {
        self.kept.lock().unwrap().people.values().map(|(email, name)| format!("{email} {name}")).collect()
    }

    fn heard(&self, method: &str) -> usize {
        self.kept.lock().unwrap().heard.iter().filter(|it| it.starts_with(method)).count()
    }
}

fn serve(mut stream: TcpStream, kept: &Mutex<Kept>) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let (mut line, mut length, mut token, mut key) = (String::new(), 0, String::new(), String::new());
    reader.read_line(&mut line).ok()?;
    let (method, path) = (line.split(' ').next()?.to_owned(), line.split(' ').nth(1)?.to_owned());
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok()?;
        let Some((name, value)) = header.trim_end().split_once(": ") else { break };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.parse().ok()?,
            "idempotency-key" => value.clone_into(&mut token),
            "authorization" => value.clone_into(&mut key),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let fault = {
        let mut kept = kept.lock().unwrap();
        kept.heard.push(format!("{method} {path} {token} {key}"));
        kept.bodies.push(String::from_utf8_lossy(&body).into_owned());
        match kept.faults.front() {
            Some((of, _)) if *of == method => kept.faults.pop_front().map(|it| it.1),
            _ => None,
        }
    };
    let mut say = |status: u16, more: &str, body: &str| {
        let head = format!("HTTP/1.1 {status} X\r\nConnection: close\r\nContent-Length: {}\r\n{more}\r\n", body.len());
        stream.write_all(format!("{head}{body}").as_bytes())
    };
    match fault {
        None => {
            let (status, body) = done(&mut kept.lock().unwrap(), &method, &path, &token, &body);
            say(status, "", &body).ok()
        }
        Some(Fault::Says(status, more, body)) => say(status, more, body).ok(),
        Some(Fault::CutBefore) => None,
        Some(Fault::CutAfter) => {
            done(&mut kept.lock().unwrap(), &method, &path, &token, &body);
            None
        }
        Some(Fault::SilentAfter) => {
            done(&mut kept.lock().unwrap(), &method, &path, &token, &body);
            // Until the other side has gone.
            stream.read(&mut [0]).ok().map(drop)
        }
        Some(Fault::Endless) => {
            done(&mut kept.lock().unwrap(), &method, &path, &token, &body);
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n").ok()?;
            while stream.write_all(&[b' '; 65536]).is_ok() {}
            None
        }
    }
}

fn shown(id: u64, (email, name): &(String, String)) -> String {
    serde_json::json!({ "id": id, "email": email, "name": name }).to_string()
}

/// What a server that is well does.
fn done(kept: &mut Kept, method: &str, path: &str, token: &str, body: &[u8]) -> (u16, String) {
    let body: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    let text = |name: &str| body[name].as_str().map(str::to_owned);
    let id = path.rsplit('/').next().and_then(|it| it.parse::<u64>().ok());
    match (method, id) {
        ("POST", _) => {
            if let Some(id) = kept.tokens.get(token).filter(|_| kept.knows_tokens && !token.is_empty()) {
                return (200, shown(*id, &kept.people[id]));
            }
            let email = text("email").unwrap_or_default();
            if !email.contains('@') {
                return (422, r#"{"errors":{"email":["is no address"]}}"#.to_owned());
            }
            kept.next += 1;
            let (id, person) = (kept.next, (email, text("name").unwrap_or_default()));
            kept.tokens.insert(token.to_owned(), id);
            let answer = shown(id, &person);
            kept.people.insert(id, person);
            (201, answer)
        }
        ("GET", None) => {
            let email = path.split("email=").nth(1).unwrap_or_default().replace("%40", "@");
            let found = kept.people.iter().filter(|(_, it)| it.0 == email).map(|(id, it)| shown(*id, it));
            (200, format!("{{\"items\":[{}]}}", found.collect::<Vec<_>>().join(",")))
        }
        ("GET", Some(id)) => match kept.people.get(&id) {
            Some(it) => (200, shown(id, it)),
            None => (404, String::new()),
        },
        ("PATCH" | "PUT", Some(id)) => match kept.people.get_mut(&id) {
            Some(it) => {
                *it = (text("email").unwrap_or_default(), text("name").unwrap_or_default());
                (200, shown(id, &it.clone()))
            }
            None => (404, String::new()),
        },
        ("DELETE", Some(id)) => match kept.people.remove(&id) {
            Some(_) => (204, String::new()),
            None => (404, String::new()),
        },
        _ => (405, String::new()),
    }
}

struct Coming {
    server: Server,
    folder: tempfile::TempDir,
    with_find: bool,
    with_token: bool,
    /// People are members of a team, which stands in paths only, and are changed by `PUT`.
    in_team: bool,
    duplicates: Duplicates,
    run: &'static str,
}

const TOKEN: &str = "a-very-secret-token";

impl Coming {
    fn new() -> Self {
        Self {
            server: Server::start(),
            folder: tempfile::tempdir().unwrap(),
            with_find: true,
            with_token: false,
            in_team: false,
            duplicates: Duplicates::Ask,
            run: "run-1",
        }
    }

    fn intake(&self) -> ApiIntake {
        let people = if self.in_team { "/teams/{team}/people" } else { "/people" };
        let call = |path: &str, method| Some(Call { path: format!("{people}{path}"), method });
        let names: &[&str] = if self.in_team { &["email", "name", "team"] } else { &["email", "name"] };
        let fields = names.iter().copied().map(|name| ApiField {
            field: name.to_owned(),
            kind: FieldType::Text,
            required: name == "email",
            in_path: name == "team",
            refers: None,
            of: None,
            fields: Vec::new(),
        });
        let api = EntityApi {
            create: call("", None).unwrap(),
            id: "id".to_owned(),
            key: self.with_find.then(|| "email".to_owned()).into_iter().collect(),
            find: self
                .with_find
                .then(|| Find { path: format!("{people}?email={{email}}"), at: Some("items".to_owned()) }),
            read: None,
            update: call("/{id}", self.in_team.then_some(Method::Put)),
            remove: call("/{id}", None),
            check: None,
            fields: fields.collect(),
        };
        let reached = Reached {
            request: HttpRequest {
                url: format!("http://127.0.0.1:{}/api/", self.server.port).parse().unwrap(),
                credentials: Some(Credentials::Bearer(Secret::new(TOKEN))),
                ca: None,
            },
            headers: Vec::new(),
            idempotency: self.with_token.then(|| "Idempotency-Key".to_owned()),
            error: None,
            within: Duration::from_secs(2),
            waits: Waits { first: Duration::from_millis(5), times: 3 },
        };
        ApiIntake::open(reached, BTreeMap::from([("people".to_owned(), api)]), self.folder.path(), None).unwrap()
    }

    fn comes(&self, rows: &[(&str, &str)], trial: bool) -> Result<Came> {
        self.comes_told(rows, trial, &Silent)
    }

    fn comes_told(&self, rows: &[(&str, &str)], trial: bool, reporter: &dyn Reporter) -> Result<Came> {
        let mut intake = self.intake();
        let table = intake.tables()?.remove(0);
        let columns = table.columns.iter().enumerate().map(|(at, it)| Assignment {
            to: it.clone(),
            label: it.name.clone(),
            value: Value::Plain { at, divide_by: None },
            only_new: false,
        });
        let entity = Entity {
            entity: "people".to_owned(),
            staged: 0,
            key: vec![0],
            natural_key: table.unique.first().cloned().unwrap_or_default(),
            columns: columns.collect(),
            table,
            duplicates: self.duplicates,
            answers: BTreeMap::new(),
        };
        intake.prepare(std::slice::from_ref(&entity))?;
        let width = if self.in_team { 3 } else { 2 };
        intake.lay_down(
            0,
            width,
            &[0],
            &mut |take| {
                rows.iter().try_for_each(|(email, name)| {
                    take(&[Some(email.as_bytes()), Some(name.as_bytes()), Some(b"red/one")][..width])
                })
            },
            reporter,
        )?;
        let run = Run { id: self.run.to_owned(), source: "there".to_owned() };
        let came = intake.bring_in(&run, &entity, trial, reporter);
        intake.end()?;
        came
    }
}

const TWO: &[(&str, &str)] = &[("a@x.org", "A"), ("b@x.org", "B")];

fn class(error: &Error) -> &str {
    assert!(!error.remedy.is_empty() || error.class == "cancelled", "{error:?}");
    assert!(!format!("{error:?}").contains(TOKEN), "{error:?}");
    &error.class
}

#[test]
fn whatever_befalls_a_request_nothing_comes_twice_and_nothing_is_missing() {
    let faults = [
        Fault::CutBefore,
        Fault::CutAfter,
        Fault::SilentAfter,
        Fault::Says(500, "", "oops"),
        Fault::Says(503, "Retry-After: 0\r\n", ""),
        Fault::Says(429, "Retry-After: 1\r\n", "{}"),
        Fault::Says(408, "", ""),
    ];
    for fault in faults {
        for with_find in [true, false] {
            let coming = Coming { with_find, with_token: !with_find, ..Coming::new() };
            coming.server.kept.lock().unwrap().knows_tokens = true;
            coming.server.fault("POST", fault.clone());
            let begun = Instant::now();
            let came = coming.comes(TWO, false).unwrap_or_else(|error| panic!("{fault:?}: {error:?}"));
            assert_eq!((came.inserted, came.out), (2, 0), "{fault:?}");
            assert_eq!(coming.server.people(), ["a@x.org A", "b@x.org B"], "{fault:?}");
            if matches!(fault, Fault::Says(429, ..)) {
                assert!(begun.elapsed() >= Duration::from_secs(1), "it asked for a second");
            }
        }
    }
}

#[test]
fn an_application_that_stays_silent_pauses_the_import_which_goes_on_later() {
    for (fault, there) in [(Fault::Says(502, "", "<html>bad gateway</html>"), 1), (Fault::CutAfter, 2)] {
        let coming = Coming::new();
        let rows = [("a@x.org", "A"), ("b@x.org", "B"), ("c@x.org", "C")];
        assert_eq!(coming.comes(&rows[..1], false).unwrap().inserted, 1);
        coming.server.fault("POST", fault.clone());
        // It does not come back either.
        for _ in 0..20 {
            coming.server.fault("GET", Fault::CutBefore);
        }
        let error = coming.comes(&rows, false).unwrap_err();
        assert_eq!(class(&error), "api_paused", "{fault:?} {error:?}");
        assert_eq!(coming.server.people().len(), there, "{fault:?}");
        coming.server.kept.lock().unwrap().faults.clear();
        let came = coming.comes(&rows, false).unwrap();
        assert_eq!((came.inserted, came.earlier), (2, 1), "{fault:?}");
        assert_eq!(coming.server.people(), ["a@x.org A", "b@x.org B", "c@x.org C"], "{fault:?}");
        assert_eq!(coming.intake().take_back("run-1", &Silent).unwrap()[0].removed, 3);
        assert_eq!(coming.server.people(), Vec::<String>::new());
    }
    // Nobody listens at all.
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let away = Coming { server: Server { port: free, kept: Arc::default() }, ..Coming::new() };
    assert_eq!(class(&away.comes(TWO, true).unwrap_err()), "api_paused");
}

#[test]
fn what_the_application_refuses_is_told_and_what_stops_all_stops_at_once() {
    let coming = Coming::new();
    let came = coming.comes(&[("nobody", "N"), ("a@x.org", "A"), ("a@x.org", "again")], false).unwrap();
    assert_eq!((came.inserted, came.out), (1, 2));
    let why: Vec<&str> = came.troubles.iter().map(|it| it.why.as_str()).collect();
    assert_eq!(why, ["email: is no address", "its key is the one of an earlier row"]);

    let told = [
        (Fault::Says(401, "", r#"{"error":"a-very-secret-token is wrong"}"#), "api_denied"),
        (Fault::Says(403, "", ""), "api_denied"),
        (Fault::Says(302, "Location: http://127.0.0.2:1/steal\r\n", ""), "api_elsewhere"),
        (Fault::Says(503, "Retry-After: 86400\r\n", ""), "api_paused"),
        (Fault::Endless, "api_unread"),
    ];
    for (fault, wanted) in told {
        let coming = Coming::new();
        coming.server.fault("POST", fault.clone());
        let error = coming.comes(TWO, false).unwrap_err();
        assert_eq!(class(&error), wanted, "{fault:?} {error:?}");
        assert_eq!(coming.server.heard("POST"), 1, "{fault:?}: not asked again");
        // And then it goes on.
        assert!(coming.comes(TWO, false).is_ok(), "{fault:?}");
        assert_eq!(coming.server.people(), ["a@x.org A", "b@x.org B"], "{fault:?}");
    }
    let coming = Coming::new();
    coming.server.fault("GET", Fault::Says(200, "", "<html>Welcome</html>"));
    assert_eq!(class(&coming.comes(TWO, true).unwrap_err()), "api_unread");
}

#[test]
fn what_is_there_is_asked_about_changed_and_put_back() {
    let coming = Coming::new();
    let there = |name: &str| ("a@x.org".to_owned(), name.to_owned());
    coming.server.kept.lock().unwrap().people.insert(700, there("Mine"));
    let asked = coming.comes(TWO, true).unwrap();
    assert_eq!((asked.asked, asked.inserted), (1, 1));
    let pair = &asked.pairs[0];
    assert_eq!((pair.there[1].as_deref(), pair.comes[1].as_deref()), (Some("Mine"), Some("A")));
    assert_eq!(coming.server.people(), ["a@x.org Mine"], "a trial changes nothing");

    let coming = Coming { duplicates: Duplicates::Update, ..coming };
    coming.server.fault("PATCH", Fault::CutAfter);
    let came = coming.comes(TWO, false).unwrap();
    assert_eq!((came.updated, came.inserted), (1, 1));
    assert_eq!(coming.server.people(), ["b@x.org B", "a@x.org A"]);
    // Somebody removed the one and nobody touched the other.
    coming.server.kept.lock().unwrap().people.remove(&1);
    let back = coming.intake().take_back("run-1", &Silent).unwrap();
    assert_eq!((back[0].removed, back[0].restored, back[0].staying), (0, 1, 0));
    assert_eq!(coming.server.people(), ["a@x.org Mine"]);
    assert_eq!(coming.intake().runs().unwrap(), Vec::<String>::new());

    // What was changed since stays.
    assert_eq!(coming.comes(TWO, false).unwrap().updated, 1);
    coming.server.kept.lock().unwrap().people.insert(700, there("Other"));
    let back = coming.intake().take_back("run-1", &Silent).unwrap();
    assert_eq!((back[0].removed, back[0].restored, back[0].staying), (1, 0, 1));
    assert_eq!(coming.server.people(), ["a@x.org Other"]);
}

#[test]
fn what_stands_in_paths_only_leads_there_and_is_not_sent() {
    let coming = Coming { in_team: true, duplicates: Duplicates::Update, ..Coming::new() };
    let mine = ("a@x.org".to_owned(), "Mine".to_owned());
    coming.server.kept.lock().unwrap().people.insert(700, mine);
    let came = coming.comes(TWO, false).unwrap();
    assert_eq!((came.updated, came.inserted), (1, 1), "{came:?}");
    assert_eq!(coming.server.people(), ["b@x.org B", "a@x.org A"]);
    let heard = coming.server.kept.lock().unwrap().heard.clone();
    let heard = |of: &str| heard.iter().any(|it| it.starts_with(of));
    assert!(heard("POST /api/teams/red%2Fone/people ") && heard("PUT /api/teams/red%2Fone/people/700 "));
    let sent = coming.server.kept.lock().unwrap().bodies.join(" ");
    assert!(sent.contains("b@x.org") && !sent.contains("red/one"), "{sent}");

    // Nothing of it differs, so nothing is sent a second time.
    let again = Coming { run: "run-2", ..coming };
    let asked = again.server.heard("PUT");
    let came = again.comes(TWO, false).unwrap();
    assert_eq!((came.inserted, came.updated, again.server.heard("PUT")), (0, 0, asked), "{came:?}");
    let back = again.intake().take_back("run-1", &Silent).unwrap();
    assert_eq!((back[0].removed, back[0].restored, back[0].staying), (1, 1, 0), "{back:?}");
    assert_eq!(again.server.people(), ["a@x.org Mine"]);

    // One that is there and is as it would come is left alone.
    let same = Coming { in_team: true, duplicates: Duplicates::Update, ..Coming::new() };
    same.server.kept.lock().unwrap().people.insert(700, ("a@x.org".to_owned(), "A".to_owned()));
    let came = same.comes(&TWO[..1], false).unwrap();
    assert_eq!((came.updated, same.server.heard("PUT")), (0, 0), "{came:?}");
}

#[test]
fn what_an_earlier_import_brought_in_and_is_gone_comes_in_anew() {
    let coming = Coming::new();
    assert_eq!(coming.comes(TWO, false).unwrap().inserted, 2);
    coming.server.kept.lock().unwrap().people.remove(&1);
    let later = Coming { run: "run-2", ..coming };
    let came = later.comes(TWO, true).unwrap();
    assert_eq!((came.inserted, came.earlier), (1, 1));
    let came = later.comes(TWO, false).unwrap();
    assert_eq!((came.inserted, came.earlier), (1, 1));
    assert_eq!(later.server.people(), ["b@x.org B", "a@x.org A"]);
}

/// Stops when so many rows were told.
struct Impatient(u64, std::sync::atomic::AtomicBool);

impl Reporter for Impatient {
    fn moved(&self, done: u64, _: Option<u64>, _: Unit) {
        if done >= self.0 {
            self.1.store(true, std::sync::atomic::Ordering::SeqCst);
        }
    }
    fn say(&self, _: &str) {}
    fn check(&self) -> Result<()> {
        match self.1.load(std::sync::atomic::Ordering::SeqCst) {
            true => Err(Error::failed("cancelled", "Cancelled.")),
            false => Ok(()),
        }
    }
}

#[test]
fn an_import_that_is_cancelled_keeps_what_it_did_on_record() {
    let coming = Coming::new();
    let rows: Vec<(String, String)> = (0..20).map(|at| (format!("{at}@x.org"), "N".to_owned())).collect();
    let rows: Vec<(&str, &str)> = rows.iter().map(|(one, two)| (one.as_str(), two.as_str())).collect();
    let error = coming.comes_told(&rows, false, &Impatient(7, Default::default())).unwrap_err();
    assert_eq!((class(&error), coming.server.people().len()), ("cancelled", 7));
    let came = coming.comes(&rows, false).unwrap();
    assert_eq!((came.inserted, came.earlier, coming.server.people().len()), (13, 7, 20));
}
