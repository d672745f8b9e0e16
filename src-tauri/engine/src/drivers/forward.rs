//! Leads whoever comes to a port of this machine to where the application can be reached meanwhile: by its owner alone, to
//! look at a container that publishes no port, or by everybody, to a process that does not have its own port yet.

use std::{
    fmt, io,
    net::{SocketAddr, TcpListener},
    sync::mpsc,
    thread,
    time::Duration,
};

use tokio::{net, sync::oneshot, task::JoinSet};

use crate::error::{Error, Result};

/// How long what is led to may take to accept.
const ACCEPT: Duration = Duration::from_secs(5);

/// The port, for as long as this lives.
pub(super) struct Forward {
    close: Option<oneshot::Sender<()>>,
    is_closed: mpsc::Receiver<()>,
    /// Dropped, it cuts off whoever is still connected.
    _stays: oneshot::Sender<()>,
}

impl fmt::Debug for Forward {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Forward").finish_non_exhaustive()
    }
}

impl Forward {
    /// Whoever connects to what is listened on here talks to `target`.
    ///
    /// # Errors
    /// `no_threads`.
    pub(super) fn from(listener: TcpListener, target: SocketAddr) -> Result<Self> {
        let failed = |cause: io::Error| {
            Error::failed("no_threads", "The way to the new version could not be made.")
                .remedy("Check that the computer has memory to spare, then try again.")
                .because(&cause)
        };
        listener.set_nonblocking(true).map_err(failed)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let (close, closing) = oneshot::channel();
        let (say_closed, is_closed) = mpsc::channel();
        let (stays, cut) = oneshot::channel::<()>();
        let lead = async move {
            let mut led = JoinSet::new();
            if let Ok(listener) = net::TcpListener::from_std(listener) {
                accept(listener, target, closing, &mut led).await;
            }
            // Nobody waits for it where the whole way has gone.
            let _ = say_closed.send(());
            tokio::select! {
                _ = led.join_all() => {}
                _ = cut => {}
            }
        };
        thread::Builder::new().name("forward".to_owned()).spawn(move || runtime.block_on(lead)).map_err(failed)?;
        Ok(Self { close: Some(close), is_closed, _stays: stays })
    }

    /// Nobody else is let in; who is connected stays so until both ends have said all, or this is dropped.
    pub(super) fn close(&mut self) {
        if let Some(close) = self.close.take() {
            let _ = close.send(());
            let _ = self.is_closed.recv_timeout(ACCEPT);
        }
    }
}

impl Drop for Forward {
    fn drop(&mut self) {
        // The port is free when this returns.
        self.close();
    }
}

async fn accept(
    listener: net::TcpListener,
    target: SocketAddr,
    mut closing: oneshot::Receiver<()>,
    led: &mut JoinSet<io::Result<()>>,
) {
    loop {
        tokio::select! {
            // Whoever stands in the queue is taken in before it is closed.
            biased;
            came = listener.accept() => match came {
                Ok((client, _)) => drop(led.spawn(pass(client, target))),
                // Too many files are open, or the client has gone already.
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            },
            // Those who have ended leave the set.
            Some(_) = led.join_next() => {}
            _ = &mut closing => return,
        }
    }
}

/// Both ways, until both have ended. A connection that cannot be passed on is closed, which is what its client would see there too.
async fn pass(mut client: net::TcpStream, target: SocketAddr) -> io::Result<()> {
    let mut server = tokio::time::timeout(ACCEPT, net::TcpStream::connect(target)).await??;
    tokio::io::copy_bidirectional(&mut client, &mut server).await.map(drop)
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{Ipv4Addr, TcpStream};

    use super::*;
    use crate::drivers::port;

    fn at_any_port() -> (TcpListener, SocketAddr) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let at = listener.local_addr().unwrap();
        (listener, at)
    }

    #[test]
    fn what_is_said_to_the_port_is_said_to_the_target_and_who_is_connected_may_finish_when_it_is_closed() {
        let ((target, to), (listener, at)) = (at_any_port(), at_any_port());
        let mut forward = Forward::from(listener, to).unwrap();
        let mut client = TcpStream::connect(at).unwrap();
        client.write_all(b"hel").unwrap();
        let (mut peer, _) = target.accept().unwrap();
        forward.close();
        port::is_free(at.ip(), at.port()).unwrap();
        client.write_all(b"lo").unwrap();
        client.shutdown(std::net::Shutdown::Write).unwrap();
        let mut heard = String::new();
        peer.read_to_string(&mut heard).unwrap();
        peer.write_all(heard.to_uppercase().as_bytes()).unwrap();
        drop(peer);
        heard.clear();
        client.read_to_string(&mut heard).unwrap();
        assert_eq!(heard, "HELLO");
    }

    #[test]
    fn who_is_still_connected_is_cut_off_when_it_is_dropped() {
        let ((target, to), (listener, at)) = (at_any_port(), at_any_port());
        let forward = Forward::from(listener, to).unwrap();
        let mut client = TcpStream::connect(at).unwrap();
        let (mut peer, _) = target.accept().unwrap();
        drop(forward);
        port::is_free(at.ip(), at.port()).unwrap();
        assert!(!matches!(client.read(&mut [0]), Ok(read) if read > 0));
        assert!(!matches!(peer.read(&mut [0]), Ok(read) if read > 0));
    }
}
