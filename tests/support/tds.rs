//! A stand-in for SQL Server that speaks its protocol (TDS 7.4) over TCP: prelogin, TLS inside prelogin packets, a login with
//! a password, batches, rows and errors. Written after Microsoft's description of the protocol (MS-TDS), for there is no
//! server to be had here.
//!
//! It holds tables in memory, answers what Liftlock asks of the catalog and of them, and what a hand-written
//! `SELECT [a], [b] FROM [dbo].[t]` asks. It knows no other SQL. What it is told lies in [`Double::told`].

#![allow(dead_code, clippy::unwrap_used, reason = "shared by several test binaries, which use a part each")]

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

#[path = "tds_answer.rs"]
mod answer;
#[path = "tds_wire.rs"]
mod wire;

pub(crate) const USER: &str = "reader";
pub(crate) const PASSWORD: &str = "s3cret:with\\odd 'characters'/ü€";
pub(crate) const DATABASE: &str = "shop";

/// A value as a table holds it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum V {
    Null,
    Int(i64),
    Bit(bool),
    /// Letters; also what the server says of a type that is asked for in letters.
    Text(String),
    Bytes(Vec<u8>),
    /// Without its point, also of money.
    Decimal(i128),
    Real(f32),
    Float(f64),
    /// Days since the first of January of the year 1.
    Date(u32),
    /// Parts of a day, as small as the type says.
    Time(u64),
    At(u32, u64),
    /// In UTC, and the minutes that its zone is ahead.
    Zoned(u32, u64, i16),
    /// Days since 1900 and three hundredths of a second.
    Old(i32, u32),
    /// Days since 1900 and minutes.
    Small(u16, u16),
    Guid([u8; 16]),
    /// A value that says itself what it is.
    Variant(&'static str, Box<V>),
}

pub(crate) fn text(it: &str) -> V {
    V::Text(it.to_owned())
}

/// A column.
#[derive(Debug, Clone)]
pub(crate) struct Column {
    pub(crate) name: &'static str,
    /// In words: `decimal(19,4)`, `nvarchar(max)`.
    pub(crate) data_type: &'static str,
    pub(crate) is_computed: bool,
}

/// The rows of a table.
#[derive(Clone)]
pub(crate) enum Rows {
    Are(Vec<Vec<V>>),
    /// So many, each made when it is told.
    Made(u64, fn(u64) -> Vec<V>),
}

/// A table. The columns of its key have a value in every row, and come as such.
#[derive(Clone)]
pub(crate) struct Table {
    pub(crate) schema: &'static str,
    pub(crate) name: &'static str,
    pub(crate) columns: Vec<Column>,
    pub(crate) key: Vec<&'static str>,
    /// A column, and the schema, table and column that it names.
    pub(crate) refers: Vec<[&'static str; 4]>,
    pub(crate) rows: Rows,
    /// Nobody may read it.
    pub(crate) is_closed: bool,
}

/// A table of `dbo`: its columns as `name type`, where a `!` behind the type says that it is computed.
pub(crate) fn table(name: &'static str, columns: &[&'static str], rows: Rows) -> Table {
    let column = |it: &&'static str| {
        let (name, data_type) = it.rsplit_once(' ').unwrap();
        let is_computed = data_type.ends_with('!');
        Column { name, data_type: data_type.trim_end_matches('!'), is_computed }
    };
    let columns: Vec<Column> = columns.iter().map(column).collect();
    let key = vec![columns[0].name];
    Table { schema: "dbo", name, columns, key, refers: Vec::new(), rows, is_closed: false }
}

/// How a server behaves.
#[derive(Clone)]
pub(crate) struct Manner {
    pub(crate) tables: Vec<Table>,
    /// The database allows snapshots.
    pub(crate) has_snapshots: bool,
    /// It speaks TLS, with a certificate of its own.
    pub(crate) is_encrypted: bool,
    /// Packets hold so many bytes at most, whatever was agreed.
    pub(crate) packet: Option<usize>,
    /// After so many rows of a table it is gone.
    pub(crate) dies_after: Option<u64>,
    /// After so many rows of a table it reports this error.
    pub(crate) fails_after: Option<(u64, u32, &'static str)>,
}

impl Default for Manner {
    fn default() -> Self {
        Self {
            tables: Vec::new(),
            has_snapshots: true,
            is_encrypted: true,
            packet: None,
            dies_after: None,
            fails_after: None,
        }
    }
}

pub(crate) fn holding(tables: Vec<Table>) -> Manner {
    Manner { tables, ..Manner::default() }
}

/// A running server. It goes on for as long as the process does.
pub(crate) struct Double {
    pub(crate) port: u16,
    /// The certificate of the authority that signed its own, as PEM.
    pub(crate) authority: String,
    shared: Arc<Shared>,
}

struct Shared {
    manner: Manner,
    tls: Arc<ServerConfig>,
    told: Mutex<Vec<String>>,
    sessions: AtomicUsize,
    rows: AtomicU64,
}

impl Double {
    pub(crate) fn start(manner: Manner) -> Self {
        let (tls, authority) = certificate();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared {
            manner,
            tls,
            told: Mutex::default(),
            sessions: AtomicUsize::new(0),
            rows: AtomicU64::new(0),
        });
        let held = Arc::clone(&shared);
        thread::spawn(move || {
            for tcp in listener.incoming().flatten() {
                let shared = Arc::clone(&held);
                thread::spawn(move || {
                    shared.sessions.fetch_add(1, Ordering::SeqCst);
                    // Whoever went away is no concern of a server's.
                    let _ = serve(tcp, &shared);
                    shared.sessions.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        Self { port, authority, shared }
    }

    /// Every batch that it was told, in order.
    pub(crate) fn told(&self) -> Vec<String> {
        self.shared.told.lock().unwrap().clone()
    }

    /// How many are connected.
    pub(crate) fn sessions(&self) -> usize {
        self.shared.sessions.load(Ordering::SeqCst)
    }

    /// How many rows of tables it has told.
    pub(crate) fn rows(&self) -> u64 {
        self.shared.rows.load(Ordering::SeqCst)
    }
}

/// A certificate for `localhost`, signed by an authority that nobody knows.
fn certificate() -> (Arc<ServerConfig>, String) {
    use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let own = CertificateParams::new(vec!["localhost".to_owned()]).unwrap().signed_by(&key, &authority).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    // With a version of TLS that servers of every age have: newer ones speak a later protocol with 1.3.
    let config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS12])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![own.der().clone()], key)
        .unwrap();
    (Arc::new(config), authority.pem())
}

/// The kinds of packets.
const BATCH: u8 = 1;
const ANSWER: u8 = 4;
const LOGIN: u8 = 16;
const PRELOGIN: u8 = 18;

/// What is said about encryption.
const OFF: u8 = 0;
const ON: u8 = 1;
const NOT_SUPPORTED: u8 = 2;

trait Wire: Read + Write {}
impl<T: Read + Write> Wire for T {}

fn serve(mut tcp: TcpStream, shared: &Shared) -> io::Result<()> {
    tcp.set_nodelay(true)?;
    let (kind, asked) = message(&mut tcp)?;
    if kind != PRELOGIN {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let wanted = prelogin_option(&asked, 1).map_or(NOT_SUPPORTED, |it| it[0]);
    let agreed = match (shared.manner.is_encrypted, wanted) {
        (false, _) | (true, NOT_SUPPORTED) => NOT_SUPPORTED,
        (true, OFF) => OFF,
        (true, _) => ON,
    };
    send(&mut tcp, ANSWER, &prelogin(agreed), 4096)?;
    match agreed {
        NOT_SUPPORTED => {
            let login = message(&mut tcp)?;
            converse(&mut tcp, &login, shared)
        }
        OFF => {
            // The login alone.
            let mut tls = handshaken(tcp, shared)?;
            let login = message(&mut tls)?;
            converse(&mut tls.sock, &login, shared)
        }
        _ => {
            let mut tls = handshaken(tcp, shared)?;
            let login = message(&mut tls)?;
            converse(&mut tls, &login, shared)
        }
    }
}

fn converse(wire: &mut dyn Wire, login: &(u8, Vec<u8>), shared: &Shared) -> io::Result<()> {
    let (kind, login) = login;
    if *kind != LOGIN {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let size = u32::from_le_bytes(login[8..12].try_into().unwrap()).clamp(512, 32_767) as usize;
    let (user, password, database) = (of_login(login, 1), password_of(login), of_login(login, 8));
    let mut out = Packets { wire, size: 4096, waiting: Vec::new(), id: 0 };
    let refused = match (user.as_str(), password.as_str(), database.as_str()) {
        (USER, PASSWORD, DATABASE) => None,
        (USER, PASSWORD, _) => Some((4060, format!("Cannot open database \"{database}\" requested by the login."))),
        _ => Some((18456, format!("Login failed for user '{user}'."))),
    };
    if let Some((number, words)) = refused {
        out.waiting.extend(wire::error(number, 14, &words));
        out.waiting.extend(wire::done(2, 0));
        return out.end();
    }
    out.waiting.extend(wire::changed(1, DATABASE, "master"));
    out.waiting.extend(wire::told(5701, 10, "Changed database context to 'shop'."));
    out.waiting.extend(wire::collation_changed());
    out.waiting.extend(wire::login_ack());
    out.waiting.extend(wire::changed(4, &size.to_string(), "4096"));
    out.waiting.extend(wire::done(0, 0));
    out.end()?;
    out.size = shared.manner.packet.map_or(size, |it| it + 8);
    let mut transaction = 0;
    loop {
        let (kind, batch) = message(out.wire)?;
        if kind != BATCH {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let headers = u32::from_le_bytes(batch[..4].try_into().unwrap()) as usize;
        let named = u64::from_le_bytes(batch[10..18].try_into().unwrap());
        let sql = utf16(&batch[headers..]);
        shared.told.lock().unwrap().push(sql.clone());
        if named != transaction {
            out.waiting.extend(wire::error(3989, 16, "New request is not allowed to start with this transaction."));
            out.waiting.extend(wire::done(2, 0));
            out.end()?;
            continue;
        }
        if sql.ends_with("BEGIN TRANSACTION") {
            transaction = 0x1122_3344_5566_7788;
            out.waiting.extend(wire::begun(transaction));
        }
        answer::answer(&sql, shared, &mut out)?;
    }
}

/// What is said, in packets that are sent when they are full.
struct Packets<'w> {
    wire: &'w mut dyn Wire,
    size: usize,
    waiting: Vec<u8>,
    id: u8,
}

impl Packets<'_> {
    fn say(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.waiting.extend_from_slice(bytes);
        while self.waiting.len() > self.size - 8 {
            let rest = self.waiting.split_off(self.size - 8);
            let full = std::mem::replace(&mut self.waiting, rest);
            self.packet(&full, false)?;
        }
        Ok(())
    }

    fn end(&mut self) -> io::Result<()> {
        self.say(&[])?;
        let last = std::mem::take(&mut self.waiting);
        self.packet(&last, true)?;
        self.wire.flush()
    }

    fn packet(&mut self, payload: &[u8], is_last: bool) -> io::Result<()> {
        self.id = self.id.wrapping_add(1);
        self.wire.write_all(&framed(ANSWER, payload, is_last, self.id))
    }
}

fn framed(kind: u8, payload: &[u8], is_last: bool, id: u8) -> Vec<u8> {
    let length = u16::try_from(payload.len() + 8).unwrap().to_be_bytes();
    let mut packet = vec![kind, u8::from(is_last), length[0], length[1], 0, 51, id, 0];
    packet.extend_from_slice(payload);
    packet
}

fn send(wire: &mut dyn Wire, kind: u8, payload: &[u8], size: usize) -> io::Result<()> {
    let mut left = payload;
    let mut id = 0_u8;
    loop {
        let (now, rest) = left.split_at(left.len().min(size - 8));
        id = id.wrapping_add(1);
        wire.write_all(&framed(kind, now, rest.is_empty(), id))?;
        left = rest;
        if left.is_empty() {
            return wire.flush();
        }
    }
}

/// A whole message, whatever packets it came in.
fn message(wire: &mut dyn Wire) -> io::Result<(u8, Vec<u8>)> {
    let mut all = Vec::new();
    loop {
        let mut header = [0; 8];
        wire.read_exact(&mut header)?;
        let mut payload = vec![0; usize::from(u16::from_be_bytes([header[2], header[3]])) - 8];
        wire.read_exact(&mut payload)?;
        all.extend(payload);
        if header[1] & 1 == 1 {
            return Ok((header[0], all));
        }
    }
}

/// TLS whose handshake travels inside prelogin packets, and nothing of what follows does.
fn handshaken(mut tcp: TcpStream, shared: &Shared) -> io::Result<StreamOwned<ServerConnection, TcpStream>> {
    let mut tls = ServerConnection::new(Arc::clone(&shared.tls)).map_err(io::Error::other)?;
    while tls.is_handshaking() {
        let (_, said) = message(&mut tcp)?;
        let mut said = said.as_slice();
        while !said.is_empty() {
            tls.read_tls(&mut said)?;
            let read = tls.process_new_packets();
            let mut ours = Vec::new();
            while tls.wants_write() {
                tls.write_tls(&mut ours)?;
            }
            if !ours.is_empty() {
                send(&mut tcp, PRELOGIN, &ours, 4096)?;
            }
            read.map_err(io::Error::other)?;
        }
    }
    Ok(StreamOwned::new(tls, tcp))
}

fn prelogin(encryption: u8) -> Vec<u8> {
    let options: [(u8, &[u8]); 5] =
        [(0, &[15, 0, 0x10, 0xd8, 0, 0]), (1, &[encryption]), (2, &[0]), (3, &[]), (4, &[0])];
    let mut offset = u16::try_from(options.len() * 5 + 1).unwrap();
    let (mut head, mut data) = (Vec::new(), Vec::new());
    for (token, value) in options {
        let length = u16::try_from(value.len()).unwrap();
        head.push(token);
        head.extend(offset.to_be_bytes());
        head.extend(length.to_be_bytes());
        data.extend_from_slice(value);
        offset += length;
    }
    head.push(0xff);
    [head, data].concat()
}

fn prelogin_option(asked: &[u8], wanted: u8) -> Option<&[u8]> {
    let options = asked.chunks(5).take_while(|it| it[0] != 0xff);
    let place = options.filter(|it| it[0] == wanted).map(|it| [it[1], it[2], it[3], it[4]]).next()?;
    let at = usize::from(u16::from_be_bytes([place[0], place[1]]));
    asked.get(at..at + usize::from(u16::from_be_bytes([place[2], place[3]])))
}

/// The bytes of the text that stands at this place in the list of texts.
fn bytes_of_login(login: &[u8], place: usize) -> Vec<u8> {
    let number = |at: usize| usize::from(u16::from_le_bytes([login[at], login[at + 1]]));
    let (at, letters) = (number(36 + place * 4), number(38 + place * 4));
    login[at..at + letters * 2].to_vec()
}

fn of_login(login: &[u8], place: usize) -> String {
    utf16(&bytes_of_login(login, place))
}

fn password_of(login: &[u8]) -> String {
    let clear: Vec<u8> = bytes_of_login(login, 2).into_iter().map(|it| (it ^ 0xa5).rotate_left(4)).collect();
    utf16(&clear)
}

fn utf16(bytes: &[u8]) -> String {
    let units: Vec<u16> = bytes.chunks_exact(2).map(|it| u16::from_le_bytes([it[0], it[1]])).collect();
    String::from_utf16(&units).unwrap()
}
