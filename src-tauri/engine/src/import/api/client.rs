//! What carries the requests: it follows no redirect, asks no proxy and tries nothing again by itself.

use std::path::Path;
use std::time::Duration;

use reqwest::{Certificate, Client};

use crate::error::{Error, Result};
use crate::probes::HttpRequest;

const CONNECT: Duration = Duration::from_secs(10);

pub(super) fn client(request: &HttpRequest) -> Result<Client> {
    // Whoever set one before us has chosen; the error says no more than that.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let mut builder = Client::builder()
        .user_agent(concat!("Liftlock/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .no_proxy()
        .connect_timeout(CONNECT);
    if request.url.scheme() == "http" {
        // Reading the system's certificates takes longer than the whole question.
        builder = builder.tls_certs_only([]);
    }
    if let Some(path) = &request.ca {
        builder = builder.tls_certs_merge(certificates(path)?);
    }
    builder.build().map_err(|cause| {
        Error::failed("tls", "Secure connections could not be set up on this computer.")
            .remedy("Check that the system's certificates are installed (package ca-certificates).")
            .because(&cause)
    })
}

fn certificates(path: &Path) -> Result<Vec<Certificate>> {
    let pem = std::fs::read(path).map_err(|cause| Error::io("read the certificates in", path, &cause))?;
    let found = Certificate::from_pem_bundle(&pem).ok().filter(|it| !it.is_empty());
    found.ok_or_else(|| {
        Error::failed("ca_invalid", format!("{} holds no certificate in PEM form.", path.display()))
            .remedy("Name the file of the certificate authority, which begins with BEGIN CERTIFICATE.")
    })
}
