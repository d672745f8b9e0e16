//! A token for the release server, wherever the profile says that it stands.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::Path;
use std::sync::{Arc, Mutex};

use chrono::Utc;
use liftlock_engine::state::installations::Installation;
use serde_json::Value;

use crate::support::Bench;

const TOKEN: &str = "ghp_canary0123456789";

/// A release server that has nothing, and remembers with what it was asked.
struct Server {
    url: String,
    heard: Arc<Mutex<Vec<String>>>,
}

impl Server {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let heard = Arc::new(Mutex::new(Vec::new()));
        let remember = Arc::clone(&heard);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let mut lines = BufReader::new(&stream).lines().map_while(Result::ok);
                let head: Vec<String> = lines.by_ref().take_while(|it| !it.is_empty()).collect();
                let token = head
                    .iter()
                    .find_map(|it| it.to_ascii_lowercase().strip_prefix("authorization: ").map(str::to_owned));
                remember.lock().unwrap().push(token.unwrap_or_default());
                let _ = (&stream).write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n[]");
            }
        });
        Self { url, heard }
    }

    fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap().clone()
    }
}

/// A home with one application whose token stands there, and the problem that a search had.
fn searched(server: &Server, reference: &str, variables: &[(&str, &str)]) -> (Bench, Option<Value>) {
    let bench = Bench::new();
    let profile = liftlock_engine::profiles::text_of("corner-shop").unwrap();
    let api = format!("api = \"{}\"\ntoken = {reference}", server.url);
    bench
        .db()
        .add_installation(&Installation {
            name: "shop".parse().unwrap(),
            folder: bench.folder("shop"),
            profile: profile.replace("api = \"https://api.github.com\"", &api),
            application: "corner-shop".to_owned(),
            version: Some("1.0.0".to_owned()),
            added_at: Utc::now(),
        })
        .unwrap();
    let answer = bench.command(&["check", "--releases", "--json"]).envs(variables.iter().copied()).output().unwrap();
    let said: Value = crate::support::Answer::from(answer).json();
    let problem = said["repositories"][0]["search"]["problem"].clone();
    (bench, Some(problem).filter(|it| !it.is_null()))
}

fn holds(folder: &Path, word: &str) -> bool {
    fs::read_dir(folder).unwrap().flatten().any(|it| match it.path() {
        path if path.is_dir() => holds(&path, word),
        path => String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).contains(word),
    })
}

#[test]
fn a_token_comes_from_a_variable_or_a_file_and_is_kept_nowhere() {
    let server = Server::start();
    let (bench, problem) = searched(&server, "{ env = \"SHOP_TOKEN\" }", &[("SHOP_TOKEN", TOKEN)]);
    assert_eq!(problem, None);
    assert!(!server.heard().is_empty());
    assert!(server.heard().iter().all(|it| *it == format!("bearer {TOKEN}")), "{:?}", server.heard());
    assert!(!holds(bench.home().root(), TOKEN), "a token is not written down");
}

#[test]
fn a_token_that_is_not_there_is_said_with_what_to_do_and_nobody_is_asked_without_it() {
    for (reference, class, remedy) in [
        ("{ env = \"SHOP_TOKEN\" }", "variable_missing", "keychain"),
        #[cfg(target_os = "linux")]
        ("{ keychain = \"github\" }", "keychain_absent", "in a file"),
    ] {
        let server = Server::start();
        // A session without a bus, as a service has it.
        let no_bus = [("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nowhere/bus")];
        let (_bench, problem) = searched(&server, reference, &no_bus);
        let problem = problem.unwrap();
        assert_eq!(problem["class"], class, "{problem}");
        assert!(problem["remedy"].as_str().unwrap().contains(remedy), "{problem}");
        assert_eq!(server.heard(), Vec::<String>::new(), "{reference}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_token_comes_from_the_keychain_of_the_desktop_and_one_that_is_locked_is_said() {
    let keychain = crate::keychain::Keychain::new();
    keychain.put("github", TOKEN);
    let class = |problem: Option<Value>| problem.map(|it| it["class"].as_str().unwrap().to_owned());

    let server = Server::start();
    let (bench, problem) = searched(&server, "{ keychain = \"github\" }", &keychain.variables());
    assert_eq!(problem, None);
    assert!(!server.heard().is_empty());
    assert!(server.heard().iter().all(|it| *it == format!("bearer {TOKEN}")), "{:?}", server.heard());
    assert!(!holds(bench.home().root(), TOKEN), "a token is not written down");

    let server = Server::start();
    let (_bench, problem) = searched(&server, "{ keychain = \"gitea\" }", &keychain.variables());
    assert_eq!(class(problem).as_deref(), Some("keychain_without"));

    keychain.lock();
    let (_bench, problem) = searched(&server, "{ keychain = \"github\" }", &keychain.variables());
    assert_eq!(class(problem).as_deref(), Some("keychain_locked"));
    assert_eq!(server.heard(), Vec::<String>::new());
}
