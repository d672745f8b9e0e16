//! A repository that only tags, and a server that publishes its source as GitHub does.

#![allow(dead_code, clippy::unwrap_used, reason = "shared by several test binaries, which use a part each")]

use std::fs;
use std::hash::{BuildHasher, RandomState};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

const REPOSITORY: &str = "/repos/BLB3DPrinting/filaops";

/// What git says.
pub(crate) fn git(folder: &Path, words: &[&str]) -> String {
    let ours = ["-c", "user.name=Ann", "-c", "user.email=ann@example.org", "-c", "commit.gpgsign=false"];
    let output = Command::new("git").args(ours).args(words).current_dir(folder).output().unwrap();
    assert!(output.status.success(), "git {words:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// A port that nobody has, and that nobody else here is given: that of the other kind is held for as long as the test
/// runs. Below those that connections going out take by themselves.
pub(crate) fn free_port(held: &mut Vec<UdpSocket>) -> u16 {
    let first = 10_240 + u16::try_from(RandomState::new().hash_one(0) % 20_000).unwrap();
    let free = |port: &u16| {
        let sign = UdpSocket::bind(("127.0.0.1", *port)).ok()?;
        TcpListener::bind(("0.0.0.0", *port)).ok().map(|_| sign)
    };
    let (port, sign) = (first..32_768).find_map(|it| Some((it, free(&it)?))).unwrap();
    held.push(sign);
    port
}

/// What a server on this machine answers, where all is well.
pub(crate) fn get(port: u16, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n").as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    head.starts_with("HTTP/1.1 200").then(|| body.to_owned())
}

/// What the migrations of a release do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Migrates {
    Well,
    /// The last one fails, and not in a rehearsal.
    BreaksOff,
    /// Nothing, and they say that all is well.
    Nothing,
    /// Nothing, and all in a rehearsal.
    NothingForReal,
}

/// What the stand-in reads of a release, the `number`-th after 3.8.0 that says it is `said`.
pub(crate) fn stand_in_release(said: &str, number: usize, migrates: Migrates) -> String {
    let mut migrations = vec![json!({
        "revision": "r0",
        "statements": ["CREATE TABLE products (id serial PRIMARY KEY, sku text NOT NULL)"],
    })];
    let mut makes = Vec::new();
    for at in 1..=number {
        let table = format!("made_in_{at}");
        migrations.push(json!({
            "revision": format!("r{at}"),
            "statements": [
                format!("CREATE TABLE {table} (id serial PRIMARY KEY)"),
                format!("ALTER TABLE products ADD COLUMN from_{at} text DEFAULT 'new'"),
            ],
            "only_for_real": if migrates == Migrates::BreaksOff && at == number { vec!["SELECT 1 / 0"] } else { vec![] },
        }));
        makes.push(format!("CREATE TABLE IF NOT EXISTS {table} (id serial PRIMARY KEY)"));
    }
    let skips = match migrates {
        Migrates::Nothing => "always",
        Migrates::NothingForReal => "only_for_real",
        Migrates::Well | Migrates::BreaksOff => "never",
    };
    json!({ "version": said, "migrations": migrations, "makes": makes, "skips": skips }).to_string()
}

/// Lays the files of a release into the folder of its makers.
pub(crate) fn lay(folder: &Path, files: &[(&str, String)]) {
    for (path, text) in files {
        let path = folder.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
}

/// A release server for the repository in a folder, for as long as the test runs.
pub(crate) fn serve(upstream: PathBuf) -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let Some((_, path)) = asked(&stream) else { continue };
            let (status, kind, body) = answer(&upstream, &path);
            let head = format!(
                "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                body.len()
            );
            let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body));
        }
    });
    address
}

fn answer(upstream: &Path, path: &str) -> (&'static str, &'static str, Vec<u8>) {
    let json = |it: Value| ("200 OK", "application/json", it.to_string().into_bytes());
    let commit = |tag: &str| git(upstream, &["rev-list", "--max-count=1", tag]);
    let parts: Vec<&str> = path.strip_prefix(REPOSITORY).unwrap_or_default().split('/').skip(1).collect();
    match parts[..] {
        ["tags"] => {
            let tags = git(upstream, &["tag", "--list"]);
            json(tags.lines().map(|it| json!({ "name": it, "commit": { "sha": commit(it) } })).collect())
        }
        ["git", "ref", "tags", tag] => json(json!({ "object": { "type": "commit", "sha": commit(tag) } })),
        ["tarball", commit] => {
            let prefix = format!("--prefix=filaops-{}/", &commit[..7]);
            let mut git = Command::new("git");
            let output = git.args(["archive", "--format=tar.gz", &prefix, commit]).current_dir(upstream).output();
            ("200 OK", "application/gzip", output.unwrap().stdout)
        }
        _ => ("404 Not Found", "application/json", b"{\"message\": \"Not Found\"}".to_vec()),
    }
}

/// What a client asks of a server in a test: the verb and the path.
pub(crate) fn asked(stream: &TcpStream) -> Option<(String, String)> {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let (mut line, mut header) = (String::new(), String::new());
    reader.read_line(&mut line).ok()?;
    while reader.read_line(&mut header).is_ok_and(|it| it > 2) {
        header.clear();
    }
    let mut words = line.split(' ');
    Some((words.next()?.to_owned(), words.next()?.split('?').next()?.to_owned()))
}
