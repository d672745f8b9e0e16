//! Real sockets, real commands, real files.

use std::{
    fs,
    io::{Read, Write},
    net::TcpListener,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use super::*;
use crate::clock::SystemClock;
use crate::process::{Silent, SystemRunner};

/// A server that answers each request with the next of these answers, and goes on with the last one. It
/// answers with the port, and with what it was asked.
fn server(answers: Vec<String>) -> (u16, Arc<std::sync::Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let asked = Arc::new(std::sync::Mutex::new(Vec::new()));
    let heard = Arc::clone(&asked);
    thread::spawn(move || {
        for (at, stream) in listener.incoming().enumerate() {
            let mut stream = stream.unwrap();
            let mut request = Vec::new();
            let mut buffer = [0; 4096];
            // A handshake of TLS begins with this byte and has no such end.
            while !request.windows(4).any(|it| it == b"\r\n\r\n") && request.first() != Some(&22) {
                match stream.read(&mut buffer) {
                    Ok(read) if read > 0 => request.extend_from_slice(&buffer[..read]),
                    _ => break,
                }
            }
            heard.lock().unwrap().push(String::from_utf8_lossy(&request).into_owned());
            let answer = answers.get(at).or(answers.last()).unwrap();
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    (port, asked)
}

fn answer(status: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len())
}

fn http_request(port: u16) -> HttpRequest {
    HttpRequest { url: format!("http://127.0.0.1:{port}/health").parse().unwrap(), credentials: None, ca: None }
}

fn http_question(request: HttpRequest, field: Option<Field>) -> Question {
    question(Ask::Http { request, status: 200, field })
}

fn question(ask: Ask) -> Question {
    Question { name: "it".to_owned(), required: true, timeout: Duration::from_secs(5), ask }
}

fn with_world<T>(act: impl FnOnce(World<'_>) -> T) -> T {
    act(World { runner: &SystemRunner::new(), clock: &SystemClock, reporter: &Silent })
}

fn outcome(question: &Question) -> Outcome {
    with_world(|world| ask(question, world)).unwrap().outcome
}

fn class(question: &Question) -> String {
    match outcome(question) {
        Outcome::Up { .. } => "up".to_owned(),
        Outcome::Down { error_class, message, remedy, .. } => {
            assert!(!message.is_empty() && !remedy.is_empty());
            error_class
        }
    }
}

fn status_ok() -> Option<Field> {
    Some(Field { path: "checks.database".to_owned(), equals: Some("ok".to_owned()) })
}

#[test]
fn a_page_that_answers_as_it_should_is_up() {
    let (port, _) = server(vec![answer("200 OK", r#"{"checks":{"database":"ok","depth":3}}"#)]);
    assert_eq!(class(&http_question(http_request(port), None)), "up");
    assert_eq!(class(&http_question(http_request(port), status_ok())), "up");
    let there = Field { path: "checks.depth".to_owned(), equals: None };
    assert_eq!(class(&http_question(http_request(port), Some(there))), "up");
    let number = Field { path: "checks.depth".to_owned(), equals: Some("3".to_owned()) };
    assert_eq!(class(&http_question(http_request(port), Some(number))), "up");
}

#[test]
fn a_page_that_answers_wrongly_is_down_with_its_own_class() {
    for (status, body, expected) in [
        ("503 Service Unavailable", "busy", "http_status"),
        ("302 Found", "", "http_status"),
        ("401 Unauthorized", "", "auth_failed"),
        ("403 Forbidden", "", "auth_failed"),
        ("500 Oops", "could not write: No space left on device", "disk_full"),
        ("507 Insufficient Storage", "", "disk_full"),
        ("200 OK", "<html>", "bad_body"),
        ("200 OK", r#"{"checks":{"database":"down"}}"#, "bad_body"),
        ("200 OK", r#"{"checks":{}}"#, "bad_body"),
    ] {
        let (port, _) = server(vec![answer(status, body)]);
        assert_eq!(class(&http_question(http_request(port), status_ok())), expected, "{status} {body}");
    }
}

#[test]
fn an_endless_answer_is_cut() {
    let (port, _) = server(vec![answer("200 OK", &"x".repeat(3_000_000))]);
    assert_eq!(class(&http_question(http_request(port), None)), "bad_body");
}

#[test]
fn credentials_are_sent_and_never_shown() {
    let (port, asked) = server(vec![answer("200 OK", "")]);
    let mut request = http_request(port);
    request.credentials = Some(Credentials::Bearer(Secret::new("hunter2")));
    request.url.set_query(Some("key=hunter2"));
    let it = http_question(request.clone(), None);
    assert_eq!(class(&it), "up");
    assert!(asked.lock().unwrap()[0].contains("authorization: Bearer hunter2"));
    assert!(!format!("{it:?}").contains("hunter2"));

    request.credentials = Some(Credentials::Basic { user: "shop".to_owned(), password: Secret::new("pw") });
    assert_eq!(class(&http_question(request.clone(), None)), "up");
    assert!(asked.lock().unwrap()[1].contains("authorization: Basic c2hvcDpwdw=="));

    let (port, _) = server(vec![answer("500 Oops", "")]);
    request.url.set_port(Some(port)).unwrap();
    assert!(!format!("{:?}", outcome(&http_question(request, None))).contains("hunter2"));
}

#[test]
fn nobody_there_somebody_silent_and_an_unknown_name_are_told_apart() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    assert_eq!(class(&http_question(http_request(free), None)), "connection_refused");
    assert_eq!(class(&question(Ask::Tcp { host: "127.0.0.1".to_owned(), port: free })), "connection_refused");

    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let mut it = http_question(http_request(port), None);
    it.timeout = Duration::from_millis(300);
    assert_eq!(class(&it), "timeout");
    assert_eq!(class(&question(Ask::Tcp { host: "localhost".to_owned(), port })), "up");

    let mut unknown = http_request(port);
    unknown.url.set_host(Some("no-such-host.invalid")).unwrap();
    assert_eq!(class(&http_question(unknown, None)), "dns");
    assert_eq!(class(&question(Ask::Tcp { host: "no-such-host.invalid".to_owned(), port })), "dns");
}

#[test]
fn a_server_that_hangs_up_and_one_that_speaks_no_tls_are_told_apart() {
    let (port, _) = server(vec![String::new()]);
    assert_eq!(class(&http_question(http_request(port), None)), "connection_cut");
    let (port, _) = server(vec![answer("200 OK", "")]);
    let mut request = http_request(port);
    request.url = format!("https://127.0.0.1:{port}/").parse().unwrap();
    assert_eq!(class(&http_question(request, None)), "tls");
}

#[test]
fn a_command_is_up_by_its_exit_code() {
    let sh = |script: &str| question(Ask::Command(Invocation::new("sh").arg("-c").arg(script)));
    assert_eq!(class(&sh("exit 0")), "up");
    assert_eq!(class(&sh("echo 'No space left on device' >&2; exit 1")), "disk_full");
    let Outcome::Down { error_class, message, .. } = outcome(&sh("echo because >&2; exit 3")) else { panic!() };
    assert_eq!((error_class.as_str(), message.as_str()), ("exit_code", "sh ended with code 3 and said: because."));
    let mut slow = sh("sleep 60");
    slow.timeout = Duration::from_millis(300);
    assert_eq!(class(&slow), "timeout");
    assert_eq!(class(&question(Ask::Command(Invocation::new("no-such-program")))), "command_missing");
}

#[test]
fn a_file_is_up_while_it_is_fresh() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("heartbeat");
    let it = question(Ask::FileAge { path: path.clone(), max_age: Duration::from_secs(60) });
    assert_eq!(class(&it), "missing");
    let file = fs::File::create(&path).unwrap();
    assert_eq!(class(&it), "up");
    file.set_modified(std::time::SystemTime::now() - Duration::from_secs(3600)).unwrap();
    assert_eq!(class(&it), "stale");
}

#[test]
fn what_flaps_is_not_up_and_every_answer_is_recorded() {
    let (up, down) = (answer("200 OK", ""), answer("503 Busy", ""));
    let answers = [&up, &down, &up, &up, &down, &up, &up, &up].map(Clone::clone).to_vec();
    let (port, asked) = server(answers);
    let budget = Budget { within: Duration::from_secs(20), times: 3, pause: Duration::from_millis(5) };
    let mut seen = Vec::new();
    let it = http_question(http_request(port), None);
    let settled = with_world(|world| settle(&[it], budget, world, &mut |it| seen.push(it.outcome.is_up()))).unwrap();
    assert!(settled.is_up);
    assert_eq!(seen, [true, false, true, true, false, true, true, true]);
    assert_eq!(asked.lock().unwrap().len(), 8);
}

#[test]
fn a_budget_ends_and_the_error_says_what_to_do_first() {
    let (port, _) = server(vec![answer("503 Busy", "")]);
    let (fine, _) = server(vec![answer("200 OK", "")]);
    let wanted = Question { required: false, name: "wanted".to_owned(), ..http_question(http_request(port), None) };
    let questions = [http_question(http_request(fine), None), wanted, http_question(http_request(port), None)];
    let budget = Budget { within: Duration::from_millis(300), times: 3, pause: Duration::from_millis(20) };
    let settled = with_world(|world| settle(&questions, budget, world, &mut |_| {})).unwrap();
    assert_eq!(settled.last.iter().map(|it| it.outcome.is_up()).collect::<Vec<_>>(), [true, false, false]);
    let error = settled.into_result().unwrap_err();
    assert_eq!((error.class.as_ref(), error.details.len()), ("unhealthy", 1), "what is only wanted is no reason");
    assert!(error.remedy.contains("log"), "{error:?}");

    let only_wanted = &questions[..2];
    let ample = Budget { within: Duration::from_secs(20), ..budget };
    let settled = with_world(|world| settle(only_wanted, ample, world, &mut |_| {})).unwrap();
    assert!(settled.is_up, "the application is up although a wanted probe is down");
}

#[test]
fn a_stop_is_heard_between_two_tries_and_is_not_taken_for_down() {
    struct Later(AtomicUsize);
    impl Reporter for Later {
        fn moved(&self, _: u64, _: Option<u64>, _: crate::ports::Unit) {}
        fn say(&self, _: &str) {}
        fn check(&self) -> Result<()> {
            if self.0.fetch_add(1, Ordering::Relaxed) < 3 {
                return Ok(());
            }
            Err(Error::failed("cancelled", "You cancelled."))
        }
    }
    let it = question(Ask::Command(Invocation::new("sleep").arg("60")));
    let runner = SystemRunner::new();
    let world = World { runner: &runner, clock: &SystemClock, reporter: &Later(AtomicUsize::new(0)) };
    assert_eq!(ask(&it, world).unwrap_err().class, "cancelled");
}

#[test]
fn the_version_is_asked_over_http_and_of_a_command() {
    let (port, _) = server(vec![answer("200 OK", r#"{"build":{"version":"v1.5.0","name":"oak"}}"#)]);
    let ask = |it: version::VersionQuestion| {
        with_world(|world| version::ask_version(&it, Duration::from_secs(5), world, &version::parse))
    };
    let http = |field: &str| version::VersionQuestion::Http { request: http_request(port), field: field.to_owned() };
    assert_eq!(ask(http("build.version")).unwrap().to_string(), "1.5.0");
    assert_eq!(ask(http("build.name")).unwrap_err().class, "version_unreadable");
    assert_eq!(ask(http("version")).unwrap_err().class, "bad_body");
    let command = Invocation::new("echo").arg("corner-shop 1.4.0 (release)");
    assert_eq!(ask(version::VersionQuestion::Command(command)).unwrap().to_string(), "1.4.0");
    assert_eq!(ask(version::VersionQuestion::Command(Invocation::new("false"))).unwrap_err().class, "exit_code");
}

/// A server of TLS with a certificate for `name` by an authority of its own; answers with the port and with the
/// authority's certificate.
fn private_server(name: &str) -> (u16, String) {
    use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

    let authority_key = rcgen::KeyPair::generate().unwrap();
    let mut authority = rcgen::CertificateParams::new(Vec::<String>::new()).unwrap();
    authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let pem = authority.self_signed(&authority_key).unwrap().pem();
    let issuer = rcgen::Issuer::new(authority, authority_key);
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let connection = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut stream = rustls::StreamOwned::new(connection, stream.unwrap());
            let mut request = [0; 4096];
            // A client that does not trust us hangs up here.
            if stream.read(&mut request).is_ok_and(|read| read > 0) {
                let _ = stream.write_all(answer("200 OK", "").as_bytes());
                stream.conn.send_close_notify();
                let _ = stream.flush();
            }
        }
    });
    (port, pem)
}

#[test]
fn a_private_authority_is_trusted_where_the_profile_names_it() {
    let (port, pem) = private_server("127.0.0.1");
    let folder = tempfile::tempdir().unwrap();
    let ca = folder.path().join("ca.pem");
    let url: url::Url = format!("https://127.0.0.1:{port}/health").parse().unwrap();
    let with = |ca: Option<&PathBuf>| {
        http_question(HttpRequest { url: url.clone(), credentials: None, ca: ca.cloned() }, None)
    };
    assert_eq!(class(&with(None)), "tls");
    assert_eq!(class(&with(Some(&ca))), "not_found");
    fs::write(&ca, pem).unwrap();
    assert_eq!(class(&with(Some(&ca))), "up");
    fs::write(&ca, "no certificate").unwrap();
    assert_eq!(class(&with(Some(&ca))), "ca_invalid");

    let (other, pem) = private_server("elsewhere.example");
    fs::write(&ca, pem).unwrap();
    let mut question = with(Some(&ca));
    if let Ask::Http { request, .. } = &mut question.ask {
        request.url.set_port(Some(other)).unwrap();
    }
    assert_eq!(class(&question), "tls", "a certificate for another name");
}

mod from_a_profile {
    use super::*;
    use crate::drivers::command::{Place, reader};
    use crate::model::profile::Profile;

    const SHOP: &str = include_str!("../../profiles/corner-shop.toml");

    fn ask_in<T>(settings: &str, private_port: Option<u16>, act: impl FnOnce(&Profile, At<'_>) -> T) -> T {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(".env"), settings).unwrap();
        let release = folder.path().join("releases/1.0.0");
        let place = Place { dir: folder.path(), version: "1.0.0", release: &release };
        let profile = Profile::parse(SHOP).unwrap();
        act(&profile, At { place, private_port, read: &reader(folder.path()), inside: &|_| None })
    }

    const SETTINGS: &str = "SHOP_PORT=8080\nDATABASE_URL=postgres://shop:hunter2@db.lan:6000/shop\n";

    #[test]
    fn the_port_is_the_public_one_until_a_private_one_is_named() {
        for (private, expected) in [(None, 8080), (Some(40123), 40123)] {
            let questions = ask_in(SETTINGS, private, |profile, at| questions(profile, at).unwrap());
            let Ask::Http { request, status: 200, field: Some(field) } = &questions[0].ask else { panic!() };
            assert_eq!(request.url.as_str(), format!("http://127.0.0.1:{expected}/health"));
            assert_eq!((field.path.as_str(), field.equals.as_deref()), ("status", Some("ok")));
            let Ask::Postgres { endpoint, .. } = &questions[1].ask else { panic!() };
            assert_eq!(format!("{endpoint:?}"), "shop@db.lan:6000/shop");
            assert!(!format!("{questions:?}").contains("hunter2"));

            let version = ask_in(SETTINGS, private, |profile, at| version_question(profile, at).unwrap());
            let version::VersionQuestion::Http { request, field } = version else { panic!() };
            assert_eq!(request.url.as_str(), format!("http://127.0.0.1:{expected}/api/v1/system/version"));
            assert_eq!(field, "version");
        }
    }

    #[test]
    fn a_command_is_told_the_private_port_in_the_variable_of_the_component() {
        let shop = SHOP.replace(
            "[limits]",
            "[[probes]]\nname = \"by-hand\"\nkind = \"command\"\ncommand = [\"current/bin/corner-shop\", \"ping\"]\n\n[limits]",
        );
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(".env"), SETTINGS).unwrap();
        let release = folder.path().join("releases/1.0.0");
        let place = Place { dir: folder.path(), version: "1.0.0", release: &release };
        let profile = Profile::parse(&shop).unwrap();
        for (private_port, told) in [(None, "8080"), (Some(40123), "40123")] {
            let asked =
                questions(&profile, At { place, private_port, read: &reader(folder.path()), inside: &|_| None })
                    .unwrap();
            let Some(Ask::Command(invocation)) = asked.last().map(|it| &it.ask) else { panic!("{asked:?}") };
            let last = invocation.env.iter().rfind(|(key, _)| key == "SHOP_PORT").map(|(_, value)| value.clone());
            assert_eq!(last.unwrap(), told, "the last word is the one that holds");
        }
    }

    #[test]
    fn settings_that_make_no_sense_are_told_before_anything_is_asked() {
        let class = |settings: &str| ask_in(settings, None, |profile, at| questions(profile, at).unwrap_err().class);
        assert_eq!(class("DATABASE_URL=postgres://a@b/c"), "setting_missing");
        assert_eq!(class("SHOP_PORT=many\nDATABASE_URL=postgres://a@b/c"), "bad_port");
        assert_eq!(class("SHOP_PORT=0\nDATABASE_URL=postgres://a@b/c"), "bad_port");
    }

    #[test]
    fn the_address_to_listen_on_is_read_as_people_write_it() {
        let read = |_: &crate::model::profile::FilePath| -> Result<String> { Ok(String::new()) };
        for (written, expected) in
            [("127.0.0.1", Some("127.0.0.1")), ("localhost", Some("127.0.0.1")), ("[::1]", Some("::1")), ("shop", None)]
        {
            let profile = Profile::parse(&SHOP.replace("bind = \"127.0.0.1\"", &format!("bind = \"{written}\"")));
            // What the profile itself refuses never comes here.
            let Ok(profile) = profile else { continue };
            let address = bind_address(profile.gate.as_ref(), &read).ok().map(|it| it.to_string());
            assert_eq!(address.as_deref(), expected, "{written}");
        }
    }
}
