//! A private port of this machine that leads to a container which publishes none.

use std::{
    io,
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use crate::drivers::port;
use crate::error::{Error, Result};

/// How long the container may take to accept.
const ACCEPT: Duration = Duration::from_secs(5);

/// The port, for as long as this lives.
#[derive(Debug)]
pub(super) struct Forward {
    port: u16,
    has_ended: Arc<AtomicBool>,
    listens: Option<JoinHandle<()>>,
}

impl Forward {
    /// Whoever connects to `port` on loopback talks to `target`.
    ///
    /// # Errors
    /// `port_taken`, `port_refused`, `no_threads`.
    pub(super) fn to(target: SocketAddr, port: u16) -> Result<Self> {
        let here = Ipv4Addr::LOCALHOST;
        let listener = TcpListener::bind((here, port)).map_err(|cause| port::bind_error(here.into(), port, &cause))?;
        let has_ended = Arc::new(AtomicBool::new(false));
        let ended = Arc::clone(&has_ended);
        let serve = move || {
            for client in listener.incoming() {
                if ended.load(Ordering::Acquire) {
                    break;
                }
                let Ok(client) = client else { continue };
                // A connection that cannot be passed on is closed, which is what its client would see there too.
                let _ = thread::Builder::new().spawn(move || pass(&client, target));
            }
        };
        let listens = thread::Builder::new().name("gate".to_owned()).spawn(serve).map_err(|cause| {
            Error::failed("no_threads", "The way to the new version could not be made.")
                .remedy("Check that the computer has memory to spare, then try again.")
                .because(&cause)
        })?;
        Ok(Self { port, has_ended, listens: Some(listens) })
    }
}

impl Drop for Forward {
    fn drop(&mut self) {
        self.has_ended.store(true, Ordering::Release);
        // It waits for somebody; and once it has ended, the port is free again.
        let woken = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_ok();
        if let Some(listens) = self.listens.take().filter(|_| woken) {
            let _ = listens.join();
        }
    }
}

/// Both ways, until both have ended.
fn pass(client: &TcpStream, target: SocketAddr) -> io::Result<()> {
    let server = TcpStream::connect_timeout(&target, ACCEPT)?;
    let copy = |mut from: &TcpStream, mut to: &TcpStream| {
        let copied = io::copy(&mut from, &mut to);
        let _ = to.shutdown(Shutdown::Write);
        copied
    };
    thread::scope(|threads| {
        threads.spawn(|| copy(client, &server));
        copy(&server, client).map(drop)
    })
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;

    #[test]
    fn what_is_said_to_the_port_is_said_to_the_target_until_it_is_dropped() {
        let target = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let at = target.local_addr().unwrap();
        let port = port::any_free(Ipv4Addr::LOCALHOST.into()).unwrap();
        let forward = Forward::to(at, port).unwrap();
        assert_eq!(Forward::to(at, port).unwrap_err().class, "port_taken");
        let answer = thread::spawn(move || {
            let (mut peer, _) = target.accept().unwrap();
            let mut heard = String::new();
            peer.read_to_string(&mut heard).unwrap();
            peer.write_all(heard.to_uppercase().as_bytes()).unwrap();
        });
        let mut client = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
        client.write_all(b"hello").unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        let mut heard = String::new();
        client.read_to_string(&mut heard).unwrap();
        answer.join().unwrap();
        assert_eq!(heard, "HELLO");
        drop(forward);
        port::is_free(Ipv4Addr::LOCALHOST.into(), port).unwrap();
    }
}
