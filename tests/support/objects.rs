//! Storage of objects that speaks S3, over a folder, on loopback: real HTTP, real signatures. It can be told to answer
//! something else.

#![allow(dead_code, clippy::unwrap_used, reason = "shared by several test binaries, which use a part each")]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use hyper::body::Incoming;
use hyper::http::{Request, Response};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};

pub(crate) const KEY_ID: &str = "SHOPKEEPER";
pub(crate) const SECRET: &str = "key/of+the+shopkeeper-EXAMPLE";
pub(crate) const BUCKET: &str = "shop-backups";

/// What is answered instead, to requests of which `to` is a part.
#[derive(Debug, Clone)]
pub(crate) struct Instead {
    /// A part of method and address, as in `PUT /bucket`.
    pub(crate) to: &'static str,
    pub(crate) times: usize,
    pub(crate) status: u16,
    pub(crate) code: &'static str,
    /// The server's own time, where it is another one.
    pub(crate) date: Option<&'static str>,
}

/// A running server; its thread lives as long as the process.
#[derive(Debug)]
pub(crate) struct Objects {
    pub(crate) port: u16,
    folder: tempfile::TempDir,
    instead: Arc<Mutex<Vec<Instead>>>,
    asked: Arc<Mutex<Vec<String>>>,
    ended: Arc<AtomicUsize>,
}

impl Objects {
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join(BUCKET)).unwrap();
        let mut builder = S3ServiceBuilder::new(s3s_fs::FileSystem::new(folder.path()).unwrap());
        builder.set_auth(SimpleAuth::from_single(KEY_ID, SECRET));
        let service = builder.build();
        let (instead, asked) = (Arc::<Mutex<Vec<Instead>>>::default(), Arc::<Mutex<Vec<String>>>::default());
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        listener.set_nonblocking(true).unwrap();
        let ended = Arc::<AtomicUsize>::default();
        let (shared, counted) = ((Arc::clone(&instead), Arc::clone(&asked)), Arc::clone(&ended));
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(serve(listener, service, shared, counted));
        });
        Self { port, folder, instead, asked, ended }
    }

    /// The folder of the bucket, as the server keeps it.
    pub(crate) fn bucket(&self) -> PathBuf {
        self.folder.path().join(BUCKET)
    }

    /// The folder of the server, in which it keeps parts that were not put together.
    pub(crate) fn parts(&self) -> usize {
        let names = fs::read_dir(self.folder.path()).unwrap().map(|it| it.unwrap().file_name());
        names.filter(|it| it.to_string_lossy().contains(".part-")).count()
    }

    pub(crate) fn answer(&self, instead: Instead) {
        self.instead.lock().unwrap().push(instead);
    }

    pub(crate) fn answer_as_it_is(&self) {
        self.instead.lock().unwrap().clear();
    }

    /// What was asked since the last call, as method and address.
    pub(crate) fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }

    /// How many connections have ended: nothing more is asked by them.
    pub(crate) fn ended(&self) -> usize {
        self.ended.load(Ordering::SeqCst)
    }

    /// Every object of the bucket below `folder`, by its name.
    pub(crate) fn names(&self, folder: &str) -> Vec<String> {
        let mut names = Vec::new();
        walk(&self.bucket().join(folder), &mut names);
        let root = self.bucket();
        let mut names: Vec<_> =
            names.iter().map(|it| it.strip_prefix(&root).unwrap().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }
}

fn walk(folder: &Path, into: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries {
        let path = entry.unwrap().path();
        if path.is_dir() { walk(&path, into) } else { into.push(path) }
    }
}

type Shared = (Arc<Mutex<Vec<Instead>>>, Arc<Mutex<Vec<String>>>);

async fn serve(listener: std::net::TcpListener, service: S3Service, shared: Shared, ended: Arc<AtomicUsize>) {
    let listener = tokio::net::TcpListener::from_std(listener).unwrap();
    loop {
        let Ok((socket, _)) = listener.accept().await else { continue };
        let (service, shared, ended) = (service.clone(), shared.clone(), Arc::clone(&ended));
        tokio::spawn(async move {
            let answer = service_fn(move |request| answer(request, service.clone(), shared.clone()));
            // A client that goes away is none of our troubles.
            let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(socket), answer).await;
            ended.fetch_add(1, Ordering::SeqCst);
        });
    }
}

async fn answer(
    request: Request<Incoming>,
    service: S3Service,
    (instead, asked): Shared,
) -> Result<Response<s3s::Body>, s3s::HttpError> {
    let line = format!("{} {}", request.method(), request.uri());
    asked.lock().unwrap().push(line.clone());
    let canned = {
        let mut all = instead.lock().unwrap();
        let found = all.iter_mut().find(|it| it.times > 0 && line.contains(it.to));
        found.map(|it| {
            it.times -= 1;
            it.clone()
        })
    };
    let Some(canned) = canned else { return service.call(request.map(s3s::Body::from)).await };
    let body = format!("<?xml version=\"1.0\"?><Error><Code>{}</Code><Message>told to</Message></Error>", canned.code);
    let mut response = Response::builder().status(canned.status);
    if let Some(date) = canned.date {
        response = response.header("date", date);
    }
    Ok(response.body(s3s::Body::from(body)).unwrap())
}
