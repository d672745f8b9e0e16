//! A release server on a real socket that can be told to lie, stall and break off, and what its callers need.
//!
//! It speaks HTTP by hand, because no server library sends a wrong length.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use chrono::{DateTime, Utc};
use liftlock_engine::{
    clock::FixedClock,
    error::{Error, Result},
    ports::{Reporter, Unit},
    releases::{AssetPattern, Line, MemoryCache, Source, Waits},
};
use serde_json::{Value, json};

/// A question as it came.
#[derive(Debug, Clone)]
pub(crate) struct Question {
    /// Path and query.
    pub(crate) target: String,
    pub(crate) headers: Vec<(String, String)>,
    /// How many questions for the same target came before.
    pub(crate) earlier: usize,
}

impl Question {
    pub(crate) fn path(&self) -> &str {
        self.target.split('?').next().unwrap()
    }
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
    /// The first byte that is asked for.
    pub(crate) fn from(&self) -> usize {
        self.header("range").map_or(0, |it| it.trim_start_matches("bytes=").trim_end_matches('-').parse().unwrap())
    }
}

/// What is answered, and how badly.
#[derive(Debug, Clone, Default)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// The length that is claimed, if not the true one.
    pub(crate) claims: Option<usize>,
    /// Bytes of the body after which the connection is cut.
    pub(crate) cut_after: Option<usize>,
    /// Bytes of the body after which nothing more is said, until the server ends.
    pub(crate) stall_after: Option<usize>,
}

impl Answer {
    pub(crate) fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self { status, body: body.into(), ..Self::default() }
    }
    pub(crate) fn json(value: &Value) -> Self {
        Self::new(200, value.to_string())
    }
    pub(crate) fn redirect(status: u16, to: &str) -> Self {
        Self::new(status, "").with("Location", to)
    }
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }
    /// The file, or the rest of it that is asked for.
    pub(crate) fn file(bytes: &[u8], etag: &str, question: &Question) -> Self {
        let from = question.from();
        let same = question.header("if-range").is_none_or(|it| it == etag);
        if from == 0 || !same {
            return Self::new(200, bytes).with("ETag", etag);
        }
        let range = format!("bytes {from}-{}/{}", bytes.len() - 1, bytes.len());
        Self::new(206, &bytes[from..]).with("ETag", etag).with("Content-Range", &range)
    }
}

type Handler = dyn Fn(&Question) -> Answer + Send + Sync;

pub(crate) struct Server {
    pub(crate) url: String,
    asked: Arc<Mutex<Vec<Question>>>,
    over: Arc<AtomicBool>,
}

impl Server {
    /// Answers every question with `handler`.
    pub(crate) fn start(handler: impl Fn(&Question) -> Answer + Send + Sync + 'static) -> Self {
        Self::wrapped("http", |stream| Box::new(stream), handler)
    }

    /// The same, with something between the socket and HTTP.
    pub(crate) fn wrapped(
        scheme: &str,
        wrap: impl Fn(TcpStream) -> Box<dyn Wire> + Send + Sync + 'static,
        handler: impl Fn(&Question) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("{scheme}://{}", listener.local_addr().unwrap());
        let wrap: Arc<Wrap> = Arc::new(wrap);
        let (asked, over) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let handler: Arc<Handler> = Arc::new(handler);
        let shared = (Arc::clone(&asked), Arc::clone(&over));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if shared.1.load(Ordering::SeqCst) {
                    break;
                }
                let (wrap, handler) = (Arc::clone(&wrap), Arc::clone(&handler));
                let (asked, over) = (Arc::clone(&shared.0), Arc::clone(&shared.1));
                std::thread::spawn(move || serve(stream.unwrap(), &*wrap, &*handler, &asked, &over));
            }
        });
        Self { url, asked, over }
    }

    /// Everything that was asked.
    pub(crate) fn asked(&self) -> Vec<Question> {
        self.asked.lock().unwrap().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        // Wakes the listener, so that it sees that it is over.
        let _ = TcpStream::connect(self.url.split("://").nth(1).unwrap());
    }
}

/// What a connection is read and written through: the socket itself, or TLS upon it.
pub(crate) trait Wire: Read + Write {}
impl<T: Read + Write> Wire for T {}

type Wrap = dyn Fn(TcpStream) -> Box<dyn Wire> + Send + Sync;

fn serve(stream: TcpStream, wrap: &Wrap, handler: &Handler, asked: &Mutex<Vec<Question>>, over: &AtomicBool) {
    let mut wire = wrap(stream.try_clone().unwrap());
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        // A handshake that fails ends here too.
        match wire.read(&mut byte) {
            Ok(1) => head.push(byte[0]),
            _ => return,
        }
    }
    let head = String::from_utf8(head).unwrap();
    let mut lines = head.lines();
    let target = lines.next().unwrap().split(' ').nth(1).unwrap_or("/").to_owned();
    let headers = lines.filter_map(|it| it.split_once(':'));
    let headers = headers.map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned())).collect();
    let question = {
        let mut asked = asked.lock().unwrap();
        let earlier = asked.iter().filter(|it| it.target == target).count();
        asked.push(Question { target, headers, earlier });
        asked.last().unwrap().clone()
    };
    // A caller that hangs up in the middle is part of the tests.
    let _ = answer(&mut *wire, &stream, &handler(&question), over);
}

fn answer(wire: &mut dyn Wire, socket: &TcpStream, answer: &Answer, over: &AtomicBool) -> std::io::Result<()> {
    let length = answer.claims.unwrap_or(answer.body.len());
    let mut head = format!("HTTP/1.1 {} Told\r\nContent-Length: {length}\r\nConnection: close\r\n", answer.status);
    for (name, value) in &answer.headers {
        head += &format!("{name}: {value}\r\n");
    }
    wire.write_all((head + "\r\n").as_bytes())?;
    let end = answer.cut_after.or(answer.stall_after).unwrap_or(answer.body.len());
    wire.write_all(&answer.body[..end])?;
    wire.flush()?;
    if answer.stall_after.is_some() {
        // Until the caller hangs up, or the test is over.
        socket.set_read_timeout(Some(Duration::from_millis(50)))?;
        while !over.load(Ordering::SeqCst) && !matches!(wire.read(&mut [0]), Ok(0)) {}
    }
    socket.shutdown(Shutdown::Write)?;
    // Wait for the caller to hang up: closing with unread input would reset what it has not read yet.
    socket.set_read_timeout(Some(Duration::from_secs(2)))?;
    let _ = wire.read(&mut [0]);
    Ok(())
}

/// Hears everything, and says stop once told to.
#[derive(Default)]
pub(crate) struct Ear {
    pub(crate) done: AtomicU64,
    pub(crate) lines: Mutex<Vec<String>>,
    /// Says `cancelled` once so many bytes are done.
    pub(crate) stop_at: Option<u64>,
}

impl Reporter for Ear {
    fn moved(&self, done: u64, _total: Option<u64>, _unit: Unit) {
        self.done.store(done, Ordering::SeqCst);
    }
    fn say(&self, line: &str) {
        self.lines.lock().unwrap().push(line.to_owned());
    }
    fn check(&self) -> Result<()> {
        match self.stop_at {
            Some(limit) if self.done.load(Ordering::SeqCst) >= limit => Err(Error::refused("cancelled", "Cancelled.")),
            _ => Ok(()),
        }
    }
}

/// Everything that stands behind a line.
pub(crate) struct Desk {
    pub(crate) clock: FixedClock,
    pub(crate) cache: MemoryCache,
    pub(crate) ear: Ear,
    pub(crate) waits: Waits,
}

impl Desk {
    pub(crate) fn new() -> Self {
        Self {
            clock: FixedClock::at("2026-11-21T12:00:00Z".parse::<DateTime<Utc>>().unwrap()),
            cache: MemoryCache::default(),
            ear: Ear::default(),
            waits: Waits {
                connect: Duration::from_secs(10),
                stall: Duration::from_secs(20),
                answer: Duration::from_secs(60),
                attempts: 3,
                pause: Duration::from_millis(5),
                patience: Duration::from_secs(2),
            },
        }
    }
    pub(crate) fn line(&self) -> Line<'_> {
        Line { clock: &self.clock, cache: &self.cache, reporter: &self.ear, waits: self.waits }
    }
}

/// Corner Shop, as `api` publishes it.
pub(crate) fn shop(api: &str) -> Source {
    let asset: AssetPattern = "shop-{version}.tar.gz".parse().unwrap();
    Source::new(api, "acme/shop", asset)
}

/// A release as the list tells it.
pub(crate) fn release(tag: &str) -> Value {
    json!({
        "tag_name": tag, "name": tag, "body": "notes", "draft": false, "prerelease": false,
        "published_at": "2026-01-02T03:04:05Z", "target_commitish": "main", "assets": []
    })
}
