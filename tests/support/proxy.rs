//! A TCP proxy in front of a server that can be told to misbehave.

#![allow(dead_code, clippy::unwrap_used, reason = "shared by several test binaries, which use a part each")]

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

/// What the proxy does.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    /// Nothing more is passed on, either way, by connections that stand; new ones are not affected.
    pub(crate) swallow: AtomicBool,
    /// The next `COMMIT` reaches the server, but its answer is cut off together with the connection.
    pub(crate) cut_after_commit: AtomicBool,
    /// The next `COMMIT` does not reach the server; the connection is cut instead.
    pub(crate) cut_before_commit: AtomicBool,
    /// After so many more bytes of requests the line is down, as [`Faults::down`] says; 0 is never.
    pub(crate) cut_after: AtomicUsize,
    /// Every connection is cut, and no new one is passed on.
    pub(crate) down: AtomicBool,
    /// How many connections were made.
    pub(crate) connections: AtomicUsize,
    /// How many of them were passed on to the server.
    pub(crate) passed_on: AtomicUsize,
}

/// A running proxy; it lives as long as the process.
#[derive(Debug)]
pub(crate) struct Proxy {
    pub(crate) port: u16,
    pub(crate) faults: Arc<Faults>,
}

impl Proxy {
    pub(crate) fn before(server: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let faults = Arc::new(Faults::default());
        let shared = Arc::clone(&faults);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                shared.connections.fetch_add(1, Ordering::SeqCst);
                // Connections that stand while it is turned on are the ones that it swallows.
                if shared.down.load(Ordering::SeqCst) {
                    continue;
                }
                let Ok(server) = TcpStream::connect(("127.0.0.1", server)) else { continue };
                shared.passed_on.fetch_add(1, Ordering::SeqCst);
                let is_new = Arc::new(AtomicBool::new(shared.swallow.load(Ordering::SeqCst)));
                let (from, to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
                let (faults, fresh) = (Arc::clone(&shared), Arc::clone(&is_new));
                thread::spawn(move || forward(from, to, &faults, &fresh, true));
                let faults = Arc::clone(&shared);
                thread::spawn(move || forward(server, client, &faults, &is_new, false));
            }
        });
        Self { port, faults }
    }
}

fn forward(mut from: TcpStream, mut to: TcpStream, faults: &Faults, is_new: &AtomicBool, is_request: bool) {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let read = match from.read(&mut buffer) {
            Ok(0) | Err(_) => break,
            Ok(read) => read,
        };
        while faults.swallow.load(Ordering::SeqCst) && !is_new.load(Ordering::SeqCst) {
            thread::sleep(Duration::from_millis(20));
        }
        let bytes = &buffer[..read];
        if is_request && faults.cut_after.load(Ordering::SeqCst) > 0 {
            let left = faults.cut_after.load(Ordering::SeqCst).saturating_sub(read);
            faults.cut_after.store(left, Ordering::SeqCst);
            if left == 0 {
                faults.down.store(true, Ordering::SeqCst);
            }
        }
        if faults.down.load(Ordering::SeqCst) {
            break;
        }
        let is_commit =
            is_request && bytes.windows(7).any(|it| it == b"COMMIT\0" || it == b"COMMIT\n" || it == b"COMMIT;");
        if is_commit && faults.cut_before_commit.swap(false, Ordering::SeqCst) {
            break;
        }
        if is_commit && faults.cut_after_commit.swap(false, Ordering::SeqCst) {
            // The other direction is deaf from here on: the server answers, nobody hears.
            let _ = from.shutdown(Shutdown::Both);
            to.write_all(bytes).unwrap();
            // The server has done it when it has closed, which it does after the end of what it reads.
            let _ = to.shutdown(Shutdown::Write);
            return;
        }
        if to.write_all(bytes).is_err() {
            break;
        }
    }
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}
