//! What looking for releases costs, as JSON on standard output; `cargo xtask bench discovery` runs it on a release
//! build.
//!
//! `serve` is a release server that holds every answer back for 20 ms and prints its address; `measure DIR URL` looks
//! for news of a thousand installations from two hundred repositories in which there is none, beside one plain client
//! that asks the same two hundred questions one after the other in the same run.

use std::{
    env,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    path::Path,
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use chrono::Utc;
use liftlock_engine::Engine;
use liftlock_engine::engine::Look;
use liftlock_engine::process::Silent;
use liftlock_engine::profiles;
use liftlock_engine::state::Db;
use liftlock_engine::state::home::Home;
use liftlock_engine::state::installations::Installation;
use serde_json::{Value, json};

const INSTALLATIONS: usize = 1000;
const REPOSITORIES: usize = 200;
const RELEASES: usize = 30;
const LATENCY: Duration = Duration::from_millis(20);
const ROUNDS: usize = 5;

/// Questions that the server has heard.
static ASKED: AtomicUsize = AtomicUsize::new(0);

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

fn main() -> Outcome<()> {
    let args: Vec<String> = env::args().skip(1).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["serve"] => serve(),
        ["measure", dir, url] => {
            println!("{:#}", measure(Path::new(dir), url)?);
            Ok(())
        }
        _ => Err("usage: discovery_figures serve | measure DIR URL".into()),
    }
}

/// Until it is ended.
fn serve() -> Outcome<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("http://{}", listener.local_addr()?);
    let list: Vec<Value> = (0..RELEASES)
        .rev()
        .map(|n| {
            json!({
                "tag_name": format!("v1.{n}.0"), "name": format!("1.{n}.0"), "draft": false, "prerelease": false,
                "published_at": "2026-01-02T03:04:05Z", "body": "## New\n\n- Something.\n".repeat(40), "assets": []
            })
        })
        .collect();
    let body: &'static str = Box::leak(Value::Array(list).to_string().into_boxed_str());
    for stream in listener.incoming() {
        let stream = stream?;
        // One that hangs up is none of our business.
        std::thread::spawn(move || answer(&stream, body).is_ok());
    }
    Ok(())
}

fn answer(stream: &TcpStream, body: &str) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream);
    loop {
        let head = head_of(&mut reader)?;
        if head.is_empty() {
            return Ok(());
        }
        let mut out = stream;
        if head[0].contains(" /asked ") {
            let asked = ASKED.load(Ordering::SeqCst).to_string();
            write!(out, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX-Asked: {asked}\r\n\r\n")?;
            continue;
        }
        ASKED.fetch_add(1, Ordering::SeqCst);
        std::thread::sleep(LATENCY);
        if head[0].contains("/security-advisories") {
            out.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")?;
        } else if head.iter().any(|it| it.starts_with("if-none-match:")) {
            out.write_all(b"HTTP/1.1 304 Not Modified\r\nETag: \"1\"\r\n\r\n")?;
        } else {
            let head = format!("HTTP/1.1 200 OK\r\nETag: \"1\"\r\nContent-Length: {}\r\n\r\n", body.len());
            out.write_all(head.as_bytes())?;
            out.write_all(body.as_bytes())?;
        }
    }
}

/// The lines of a head in small letters; none at the end of the connection.
fn head_of(reader: &mut impl BufRead) -> std::io::Result<Vec<String>> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 || line.trim().is_empty() {
            return Ok(lines);
        }
        lines.push(line.trim().to_ascii_lowercase());
    }
}

fn measure(dir: &Path, url: &str) -> Outcome<Value> {
    let home = Home::at(dir.join("home"));
    let text = profiles::text_of("corner-shop")?;
    let text = text.replace("https://api.github.com", url);
    let mut db = Db::open(&home)?;
    for n in 0..INSTALLATIONS {
        let name = format!("shop-{n:04}");
        let repository = format!("repository = \"acme/shop-{}\"", n % REPOSITORIES);
        db.add_installation(&Installation {
            name: name.parse()?,
            folder: dir.join(&name),
            profile: text.replace("repository = \"corner-shop/corner-shop\"", &repository),
            application: "corner-shop".to_owned(),
            version: Some("1.3.0".to_owned()),
            added_at: Utc::now(),
        })?;
    }
    drop(db);
    let engine = Engine::at(home);
    let begun = Instant::now();
    let first = engine.check_releases(None, Look::Now, &Silent)?;
    let first_seconds = begun.elapsed().as_secs_f64();
    if first.changed != REPOSITORIES || first.installations.iter().any(|it| it.offer.is_none()) {
        return Err("the first round did not learn what is out".into());
    }
    let (mut ours, mut plain, mut questions) = (Vec::new(), Vec::new(), 0);
    for _ in 0..ROUNDS {
        let before = asked(url)?;
        let begun = Instant::now();
        let round = engine.check_releases(None, Look::Now, &Silent)?;
        ours.push(begun.elapsed().as_secs_f64());
        if (round.asked, round.changed) != (REPOSITORIES, 0) {
            return Err(format!("{} asked, {} changed", round.asked, round.changed).into());
        }
        questions += asked(url)? - before;
        let begun = Instant::now();
        one_after_the_other(url)?;
        plain.push(begun.elapsed().as_secs_f64());
    }
    let median = |mut all: Vec<f64>| {
        all.sort_by(f64::total_cmp);
        (all[all.len() / 2] * 1000.0).round() / 1000.0
    };
    let (ours, plain) = (median(ours), median(plain));
    Ok(json!({
        "installations": INSTALLATIONS, "repositories": REPOSITORIES, "latency_ms": 20, "rounds": ROUNDS,
        "first_round_s": (first_seconds * 1000.0).round() / 1000.0,
        "nothing_new_s": ours, "limit_s": 5.0, "requests_a_repository": questions as f64 / (ROUNDS * REPOSITORIES) as f64,
        "plain_sequential_s": plain, "ratio": (ours / plain * 1000.0).round() / 1000.0,
        "peak_mb": peak_mb(), "limit_mb": 40,
    }))
}

/// How many questions the server has heard.
fn asked(url: &str) -> Outcome<usize> {
    let stream = TcpStream::connect(url.trim_start_matches("http://"))?;
    (&stream).write_all(b"GET /asked HTTP/1.1\r\nHost: x\r\n\r\n")?;
    let head = head_of(&mut BufReader::new(&stream))?;
    let told = head.iter().find_map(|it| it.strip_prefix("x-asked: ")).ok_or("the server does not count")?;
    Ok(told.parse()?)
}

/// The plainest client that is polite: one connection, one conditional question after the other.
fn one_after_the_other(url: &str) -> Outcome<()> {
    let stream = TcpStream::connect(url.trim_start_matches("http://"))?;
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(&stream);
    for n in 0..REPOSITORIES {
        let head = format!(
            "GET /repos/acme/shop-{n}/releases?per_page=100 HTTP/1.1\r\nHost: x\r\nIf-None-Match: \"1\"\r\n\r\n"
        );
        (&stream).write_all(head.as_bytes())?;
        let answer = head_of(&mut reader)?;
        if !answer.first().is_some_and(|it| it.contains("304")) {
            return Err("the plain client was answered otherwise".into());
        }
    }
    Ok(())
}

/// The most memory that this process ever had, where the system tells.
fn peak_mb() -> Option<f64> {
    let mut text = String::new();
    std::fs::File::open("/proc/self/status").ok()?.read_to_string(&mut text).ok()?;
    let line = text.lines().find_map(|it| it.strip_prefix("VmHWM:"))?;
    let kilobytes: f64 = line.trim().trim_end_matches("kB").trim().parse().ok()?;
    Some((kilobytes / 1024.0 * 10.0).round() / 10.0)
}
