//! The release server: the part of GitHub's REST interface that a client of releases needs.
//!
//! Everything it says comes from two files of the demo, read for every request, so that whatever another
//! command publishes or breaks holds at once. Deliberately absent: tokens, anything that writes.

mod api;
pub(crate) use api::decoded;
mod download;
mod faults;

use std::{
    sync::{Arc, Mutex, PoisonError, atomic::AtomicU64},
    time::Duration,
};

use anyhow::Result;
use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    http::{Method, StatusCode},
    response::{IntoResponse, Response},
};
use chrono::{DateTime, Utc};
use tokio::net::TcpListener;

use crate::place::Place;

pub use faults::{Faults, WrongLength};

/// How many requests an hour a client without a token has.
const LIMIT: u64 = 5000;

#[derive(Debug)]
struct Server {
    place: Place,
    base: String,
    /// Downloads spoilt so far, with the faults that spoilt them.
    spoilt: Mutex<(Faults, u64)>,
    used: AtomicU64,
    resets_at: DateTime<Utc>,
}

/// Serves until it is ended.
///
/// # Errors
/// The port is taken.
pub async fn serve(place: Place) -> Result<()> {
    let facts = place.facts()?;
    let listener = TcpListener::bind(("127.0.0.1", facts.releases_port)).await?;
    let server = Arc::new(Server {
        place,
        base: facts.releases_url(),
        spoilt: Mutex::default(),
        used: AtomicU64::new(0),
        resets_at: Utc::now() + chrono::Duration::hours(1),
    });
    Ok(axum::serve(listener, Router::new().fallback(answer).with_state(server)).await?)
}

async fn answer(State(server): State<Arc<Server>>, request: Request) -> Response {
    let faults = match Faults::read(&server.place) {
        Ok(faults) => faults,
        Err(error) => return (StatusCode::INTERNAL_SERVER_ERROR, format!("{error:#}")).into_response(),
    };
    if let Some(slow) = faults.slow {
        tokio::time::sleep(Duration::from_millis(slow)).await;
    }
    if let Some(status) = faults.status.and_then(|status| StatusCode::from_u16(status).ok()) {
        return (status, "{\"message\":\"told to\"}\n").into_response();
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return api::message(StatusCode::NOT_FOUND, "Not Found");
    }
    let path = request.uri().path().to_owned();
    let segments: Vec<&str> = path.split('/').filter(|it| !it.is_empty()).collect();
    let answered = match segments[..] {
        ["repos" | "repositories", ..] => api::answer(&server, &faults, &segments, &request),
        ["download", sha256, name] => download::answer(&server, &faults, sha256, name, &request),
        // What a browser follows from a release's page.
        [owner, repository, "releases", "download", tag, name] => {
            api::follow(&server, &faults, &format!("{owner}/{repository}"), tag, name)
        }
        _ => Ok(api::message(StatusCode::NOT_FOUND, "Not Found")),
    };
    let answered =
        answered.unwrap_or_else(|error| (StatusCode::INTERNAL_SERVER_ERROR, format!("{error:#}")).into_response());
    if request.method() == Method::HEAD { answered.map(|_| Body::empty()) } else { answered }
}

impl Server {
    /// Whether this download is to be spoilt, and counts it.
    fn spoils(&self, faults: &Faults) -> bool {
        let mut spoilt = self.spoilt.lock().unwrap_or_else(PoisonError::into_inner);
        if spoilt.0 != *faults {
            *spoilt = (faults.clone(), 0);
        }
        spoilt.1 += 1;
        faults.times.is_none_or(|times| spoilt.1 <= times)
    }
}
