//! A registry of images on this machine that only hands out: what it has are images that an engine has saved.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::net::TcpListener;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, mpsc};
use std::thread;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use serde_json::Value;

use crate::docker::Engine;

#[derive(Default)]
struct Shelf {
    /// Digest of the manifest by `name:tag`.
    tags: BTreeMap<String, String>,
    /// Folders of blobs that are named by their digest.
    blobs: Vec<PathBuf>,
    is_away: bool,
    asked: Vec<String>,
}

/// The registry, for as long as the test runs.
pub(crate) struct Registry {
    pub(crate) host: String,
    shelf: Arc<Mutex<Shelf>>,
    folder: tempfile::TempDir,
}

impl Registry {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let shelf = Arc::new(Mutex::new(Shelf::default()));
        let served = Arc::clone(&shelf);
        thread::spawn(move || serve_all(&listener, &served));
        Self { host, shelf, folder: tempfile::tempdir().unwrap() }
    }

    /// An engine on what is another computer finds it at the same address.
    pub(crate) fn is_reached_from(&self, engine: &Engine) {
        let (host, served) = (self.host.clone(), Arc::clone(&self.shelf));
        let network = File::open(format!("/proc/{}/ns/net", engine.process())).unwrap();
        let (tell, told) = mpsc::channel();
        // A thread can be in another network than its process.
        thread::spawn(move || {
            move_into_link_name_space(network.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
            let listener = TcpListener::bind(host).unwrap();
            tell.send(()).unwrap();
            serve_all(&listener, &served);
        });
        told.recv().unwrap();
    }

    /// Puts an image of an engine under a tag here, in the place of whatever had it.
    pub(crate) fn put(&self, engine: &Engine, image: &str, name: &str) {
        let mut shelf = self.shelf.lock().unwrap();
        let at = self.folder.path().join(shelf.blobs.len().to_string());
        fs::create_dir(&at).unwrap();
        let archive = at.join("image.tar");
        engine.docker(&["save", "--output", archive.to_str().unwrap(), image]);
        let unpacked = std::process::Command::new("tar").arg("-xf").arg(&archive).current_dir(&at).status().unwrap();
        assert!(unpacked.success());
        let index: Value = serde_json::from_slice(&fs::read(at.join("index.json")).unwrap()).unwrap();
        let digest = index["manifests"][0]["digest"].as_str().unwrap().to_owned();
        shelf.tags.insert(name.to_owned(), digest);
        shelf.blobs.push(at.join("blobs/sha256"));
    }

    /// From now on it takes no questions.
    pub(crate) fn goes_away(&self) {
        self.shelf.lock().unwrap().is_away = true;
    }

    /// What it was asked for.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.shelf.lock().unwrap().asked.clone()
    }
}

fn serve_all(listener: &TcpListener, shelf: &Arc<Mutex<Shelf>>) {
    for stream in listener.incoming().flatten() {
        let shelf = Arc::clone(shelf);
        // An engine asks for several at a time.
        thread::spawn(move || serve(stream, &shelf));
    }
}

fn serve(mut stream: std::net::TcpStream, shelf: &Mutex<Shelf>) {
    let Some((verb, path)) = super::asked(&stream) else { return };
    let found = {
        let mut shelf = shelf.lock().unwrap();
        if shelf.is_away {
            return;
        }
        shelf.asked.push(format!("{verb} {path}"));
        found(&shelf, &path)
    };
    let (status, kind, digest, body) = found.unwrap_or(("404 Not Found", "text/plain".into(), String::new(), vec![]));
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nDocker-Content-Digest: {digest}\r\nContent-Length: {}\r\n\
         Docker-Distribution-Api-Version: registry/2.0\r\nConnection: close\r\n\r\n",
        body.len()
    );
    let body = if verb == "HEAD" { &[][..] } else { &body };
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body));
}

fn found(shelf: &Shelf, path: &str) -> Option<(&'static str, String, String, Vec<u8>)> {
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    let (kind, wanted, name) = match parts[..] {
        ["v2"] => return Some(("200 OK", "application/json".into(), String::new(), b"{}".to_vec())),
        ["v2", name, kind, wanted] => (kind, wanted, name),
        _ => return None,
    };
    let digest = shelf.tags.get(&format!("{name}:{wanted}")).cloned().unwrap_or_else(|| wanted.to_owned());
    let file = digest.strip_prefix("sha256:")?;
    let body = shelf.blobs.iter().find_map(|it| fs::read(it.join(file)).ok())?;
    let of_manifest = || {
        let manifest: Value = serde_json::from_slice(&body).ok()?;
        Some(manifest["mediaType"].as_str().unwrap_or("application/vnd.oci.image.manifest.v1+json").to_owned())
    };
    let kind = if kind == "manifests" { of_manifest()? } else { "application/octet-stream".into() };
    Some(("200 OK", kind, digest, body))
}
