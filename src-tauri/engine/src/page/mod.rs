//! The maintenance page: what users see on the public port while the application is away.
//!
//! It answers every path and method with 503, so that no program takes it for the application and nothing
//! keeps it in a cache. It holds nothing but its port: lowering it gives the port back at once, whatever slow
//! or silent clients are connected. Deliberately absent: TLS (the application's keys are not ours), scripts,
//! and anything loaded from elsewhere.

mod answer;
mod serve;

use std::{
    convert::Infallible,
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener},
    sync::{Arc, Mutex, PoisonError, mpsc},
    thread,
    time::Duration,
};

use tokio::sync::oneshot;

use crate::clock::SystemClock;
use crate::drivers::port;
use crate::error::{Error, Result};
use crate::ports::Clock;

/// What the page says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageText {
    /// What the application is called.
    pub application: String,
    /// What is going on, in one sentence: `The data is being brought to the new version.`
    pub sentence: String,
    /// How much is done, from 0 to 100; `None` where nobody knows.
    pub progress: Option<u8>,
}

/// The page, for as long as it stands. Dropping it lowers it.
pub struct Page {
    address: SocketAddr,
    text: Arc<Mutex<PageText>>,
    end: Option<oneshot::Sender<()>>,
    is_down: mpsc::Receiver<()>,
}

impl fmt::Debug for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Page").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Page {
    /// Puts the page up. An application that has just ended may keep its port for a moment, so it is tried
    /// again for as long as `within`.
    ///
    /// # Errors
    /// `port_taken` with who has it; `port_refused`; `no_threads`.
    pub fn raise(bind: IpAddr, port: u16, text: PageText, within: Duration) -> Result<Self> {
        Self::stand(listen(bind, port, within)?, text)
    }

    /// Puts the page up on all addresses of this machine, those of the sixth version of the protocol too where it has such.
    ///
    /// # Errors
    /// As [`Page::raise`].
    pub fn raise_everywhere(port: u16, text: &PageText, within: Duration) -> Result<Vec<Self>> {
        let (four, six) = (IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::UNSPECIFIED));
        let listeners = match listen(six, port, within) {
            Ok(six) => {
                // As a rule it hears both, and then nothing else can have the other.
                let four = TcpListener::bind((four, six.local_addr().map_or(port, |it| it.port()))).ok();
                [Some(six), four].into_iter().flatten().collect()
            }
            Err(error) if error.class == "port_taken" => return Err(error),
            Err(_) => vec![listen(four, port, within)?],
        };
        listeners.into_iter().map(|it| Self::stand(it, text.clone())).collect()
    }

    fn stand(listener: TcpListener, text: PageText) -> Result<Self> {
        let failed = |cause: std::io::Error| {
            Error::failed("no_threads", "The maintenance page could not be put up.")
                .remedy("Check that the computer has memory to spare, then try again.")
                .because(&cause)
        };
        listener.set_nonblocking(true).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let text = Arc::new(Mutex::new(text));
        let (end, ended) = oneshot::channel();
        let (say_down, is_down) = mpsc::channel();
        let shown = Arc::clone(&text);
        thread::Builder::new()
            .name("maintenance-page".to_owned())
            .spawn(move || {
                runtime.block_on(serve::serve(listener, &shown, ended, &say_down));
                // Whoever is still connected is cut off here.
                drop(runtime);
            })
            .map_err(failed)?;
        Ok(Self { address, text, end: Some(end), is_down })
    }

    /// Puts the page up for an application on a port, and stays until this process ends.
    ///
    /// # Errors
    /// As [`Page::raise`].
    pub fn keep(application: String, bind: Option<IpAddr>, port: u16, within: Duration) -> Result<Infallible> {
        let text = PageText { application, sentence: "An update is being put in place.".to_owned(), progress: None };
        let _pages = Self::raise_for(bind, port, &text, within)?;
        loop {
            thread::park();
        }
    }

    /// Puts the page up on one address of this machine, or on all.
    ///
    /// # Errors
    /// As [`Page::raise`].
    pub fn raise_for(bind: Option<IpAddr>, port: u16, text: &PageText, within: Duration) -> Result<Vec<Self>> {
        match bind {
            Some(ip) => Ok(vec![Self::raise(ip, port, text.clone(), within)?]),
            None => Self::raise_everywhere(port, text, within),
        }
    }

    /// Where it is.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Says something else from now on.
    pub fn update(&self, sentence: &str, progress: Option<u8>) {
        let mut text = self.text.lock().unwrap_or_else(PoisonError::into_inner);
        sentence.clone_into(&mut text.sentence);
        text.progress = progress.map(|it| it.min(100));
    }

    /// Takes the page down. When this returns, nothing listens on the port.
    pub fn lower(mut self) {
        self.take_down();
    }

    fn take_down(&mut self) {
        if let Some(end) = self.end.take() {
            // It may have ended by itself, and then there is nothing to wait for either.
            let _ = end.send(());
            let _ = self.is_down.recv_timeout(Duration::from_secs(5));
        }
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        self.take_down();
    }
}

fn listen(bind: IpAddr, port: u16, within: Duration) -> Result<TcpListener> {
    let clock = SystemClock;
    let deadline = clock.since_boot() + within;
    loop {
        // The standard library allows an address whose old connections have not timed out yet.
        match TcpListener::bind((bind, port)) {
            Ok(listener) => return Ok(listener),
            Err(cause) if cause.kind() == std::io::ErrorKind::AddrInUse && clock.since_boot() < deadline => {
                thread::sleep(Duration::from_millis(10));
            }
            Err(cause) => return Err(port::bind_error(bind, port, &cause)),
        }
    }
}

#[cfg(test)]
mod tests;
