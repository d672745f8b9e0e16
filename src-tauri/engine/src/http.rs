//! What every conversation over HTTP has in common: how a client is made, and where it runs.
//!
//! No redirect is followed and nothing is sent again by the client itself: who asks knows what may be asked twice and where
//! credentials may go. A conversation has a thread of its own, so it may be begun from anywhere, also from inside another
//! runtime, and one that hears the reporter ends at once when it says stop.

use std::fs;
use std::future::Future;
use std::io;
use std::path::Path;
use std::pin::pin;
use std::thread;
use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, ClientBuilder};
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;

use crate::error::{Error, Result};
use crate::ports::Reporter;

/// How often what waits asks whether it should stop.
pub(crate) const TICK: Duration = Duration::from_millis(200);

/// A client to be made particular, then [`made`].
pub(crate) fn client() -> ClientBuilder {
    // Whoever set one before us has chosen; the error says no more than that.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    Client::builder()
        .user_agent(concat!("Liftlock/", env!("CARGO_PKG_VERSION")))
        .redirect(Policy::none())
        .retry(reqwest::retry::never())
}

/// The client, which trusts the authorities in the file `ca` beside the system's.
///
/// # Errors
/// `ca_invalid` where the file holds none; `io`; `tls`.
pub(crate) fn made(mut client: ClientBuilder, ca: Option<&Path>) -> Result<Client> {
    if let Some(path) = ca {
        client = client.tls_certs_merge(certificates(path)?);
    }
    client.build().map_err(|cause| {
        Error::failed("tls", "Secure connections could not be set up on this computer.")
            .remedy("Check that the system's certificates are installed (package ca-certificates).")
            .because(&cause)
    })
}

fn certificates(path: &Path) -> Result<Vec<Certificate>> {
    let pem = fs::read(path).map_err(|cause| Error::io("read the certificates in", path, &cause))?;
    let unread = || {
        Error::failed("ca_invalid", format!("{} holds no certificate in PEM form.", path.display()))
            .remedy("Name the file of the certificate authority, which begins with BEGIN CERTIFICATE.")
    };
    let found = Certificate::from_pem_bundle(&pem).map_err(|cause| unread().because(&cause))?;
    if found.is_empty() { Err(unread()) } else { Ok(found) }
}

/// Runs one conversation to its end, on a thread called `name`.
///
/// # Errors
/// Those of the conversation; `io` where the system gives no thread.
pub(crate) fn converse<T: Send, F: Future<Output = Result<T>>>(
    name: &str,
    begin: impl FnOnce() -> F + Send,
) -> Result<T> {
    apart(name, || {
        let runtime = runtime()?;
        let answer = runtime.block_on(begin());
        // A look-up of a name that hangs in the system must not hold us.
        runtime.shutdown_background();
        answer
    })
}

/// Where several conversations with one server run, one after the other, over connections that stay.
pub(crate) struct Line {
    name: &'static str,
    runtime: Option<Runtime>,
}

impl Drop for Line {
    fn drop(&mut self) {
        // As after one conversation.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Line {
    /// A line whose threads are called `name`.
    ///
    /// # Errors
    /// `io` where the system gives nothing to run it with.
    pub(crate) fn open(name: &'static str) -> Result<Self> {
        Ok(Self { name, runtime: Some(runtime()?) })
    }

    /// Runs a conversation to its end.
    ///
    /// # Errors
    /// Those of the conversation; `io` where the system gives no thread.
    pub(crate) fn run<T: Send>(&self, conversation: impl AsyncFnOnce() -> Result<T> + Send) -> Result<T> {
        let Some(runtime) = &self.runtime else {
            return Err(Error::bug("line_closed", "A server was asked after that was over."));
        };
        apart(self.name, move || runtime.block_on(conversation()))
    }
}

/// Waits for `future`, and ends at once when the reporter says stop.
///
/// # Errors
/// What the reporter says.
pub(crate) async fn attend<T>(reporter: &dyn Reporter, future: impl Future<Output = T>) -> Result<T> {
    let mut future = pin!(future);
    loop {
        reporter.check()?;
        if let Ok(done) = timeout(TICK, &mut future).await {
            return Ok(done);
        }
    }
}

fn runtime() -> Result<Runtime> {
    Builder::new_current_thread().enable_all().build().map_err(|cause| refused(&cause))
}

fn apart<T: Send>(name: &str, run: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    thread::scope(|scope| {
        let thread = thread::Builder::new().name(name.to_owned()).spawn_scoped(scope, run);
        thread.map_err(|cause| refused(&cause))?.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

fn refused(cause: &io::Error) -> Error {
    Error::failed("io", "The system gave no thread to ask over the network with.")
        .remedy("Restart the computer, then try again.")
        .because(cause)
}
