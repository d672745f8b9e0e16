//! Who the server proves to be.

use std::{net::TcpStream, path::Path, sync::Arc};

use liftlock_engine::releases::{Source, list};
use rustls::{
    ServerConfig, ServerConnection, StreamOwned,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};
use serde_json::json;

use crate::server::{Answer, Desk, Question, Server, Wire, release, shop};

/// An authority of our own, and a server with a certificate of it for `name`.
fn private(name: &str, handler: impl Fn(&Question) -> Answer + Send + Sync + 'static) -> (String, Server) {
    let authority_key = rcgen::KeyPair::generate().unwrap();
    let mut authority = rcgen::CertificateParams::new(Vec::<String>::new()).unwrap();
    authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let pem = authority.self_signed(&authority_key).unwrap().pem();
    let issuer = rcgen::Issuer::new(authority, authority_key);
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der())),
        )
        .unwrap();
    let config = Arc::new(config);
    let wrap = move |stream: TcpStream| -> Box<dyn Wire> {
        Box::new(StreamOwned::new(ServerConnection::new(Arc::clone(&config)).unwrap(), stream))
    };
    (pem, Server::wrapped("https", wrap, handler))
}

fn one_release(_: &Question) -> Answer {
    Answer::json(&json!([release("v1.0.0")]))
}

fn trusting(server: &Server, pem: &str, dir: &Path) -> Source {
    let ca = dir.join("ca.pem");
    std::fs::write(&ca, pem).unwrap();
    Source { ca: Some(ca), ..shop(&server.url) }
}

#[test]
fn a_private_authority_is_trusted_only_where_the_profile_names_it() {
    let (pem, server) = private("127.0.0.1", one_release);
    let dir = tempfile::tempdir().unwrap();
    let error = list(&shop(&server.url), &Desk::new().line()).unwrap_err();
    assert_eq!(error.class, "tls");
    assert!(error.message.contains("could not prove who it is"), "{}", error.message);
    assert!(server.asked().is_empty(), "nothing was said to a stranger");

    let mut source = trusting(&server, &pem, dir.path());
    assert_eq!(list(&source, &Desk::new().line()).unwrap().releases.len(), 1);

    std::fs::write(dir.path().join("ca.pem"), "no certificate").unwrap();
    assert_eq!(list(&source, &Desk::new().line()).unwrap_err().class, "ca_invalid");
    source.ca = Some(dir.path().join("nowhere.pem"));
    assert_eq!(list(&source, &Desk::new().line()).unwrap_err().class, "not_found");
}

#[test]
fn a_certificate_for_another_name_is_not_accepted() {
    let (pem, server) = private("elsewhere.example", one_release);
    let dir = tempfile::tempdir().unwrap();
    let source = trusting(&server, &pem, dir.path());
    assert_eq!(list(&source, &Desk::new().line()).unwrap_err().class, "tls");
}

#[test]
fn a_redirect_never_leads_from_https_to_http() {
    let plain = Server::start(|_| Answer::json(&json!([release("v9.0.0")])));
    let target = plain.url.clone();
    let (pem, server) = private("127.0.0.1", move |_| Answer::redirect(302, &target));
    let dir = tempfile::tempdir().unwrap();
    let error = list(&trusting(&server, &pem, dir.path()), &Desk::new().line()).unwrap_err();
    assert_eq!(error.class, "insecure_redirect");
    assert!(plain.asked().is_empty());
}
