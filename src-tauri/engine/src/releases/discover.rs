//! Asking many repositories at once whether anything is new. Nothing new costs one conditional request each.
//!
//! A server that asks to be left alone, and a computer without a network, stop every question that would go the same
//! way. What is told is judged by nobody yet: tags are given a meaning by each profile that reads them.

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{Mutex, PoisonError},
};

use chrono::{DateTime, Utc};
use futures_util::{StreamExt, stream};
use reqwest::Client;

use super::{
    Line, Source, advisories,
    http::{self, Http},
    list, notes,
    source::is_here,
    trouble,
};
use crate::error::{Error, Result};
use crate::http::converse;
use crate::model::release::Advisory;

/// A repository that is to be asked.
#[derive(Debug, Clone)]
pub struct Inquiry {
    /// Where.
    pub source: Source,
    /// Whether all releases are wanted, also where nothing has changed.
    pub all: bool,
    /// Whether its security advisories are wanted too. They are asked for in any case where something has changed.
    pub advisories: bool,
}

/// What a repository told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// Everything that is published; `None` where nothing has changed.
    pub releases: Option<Vec<ToldRelease>>,
    /// The name under which it now lives.
    pub moved_to: Option<String>,
    /// Whether there may be more releases than were asked for.
    pub cut_short: bool,
    /// Its security advisories, where it was asked for them and answered.
    pub advisories: Option<Vec<Advisory>>,
}

/// A published release, whatever its tag may mean.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToldRelease {
    /// Its tag. A stranger's text.
    pub tag: String,
    /// When it was published.
    pub published_at: Option<DateTime<Utc>>,
    /// Whether its publisher calls it unfinished.
    pub prerelease: bool,
    /// Whether its notes speak of breaking changes.
    pub breaking: bool,
    /// Whether its notes speak of a closed security hole.
    pub security: bool,
    /// The first thing that its notes say.
    pub headline: Option<String>,
}

/// Asks all of them, at most `at_once` at a time; answers in their order.
///
/// # Errors
/// Only where no question can be asked at all. What one repository answers is its own result, as of
/// [`list`](super::list).
pub fn discover(inquiries: &[Inquiry], line: &Line<'_>, at_once: usize) -> Result<Vec<Result<Told>>> {
    converse("releases", || async {
        let shared = Shared::default();
        let questions = inquiries.iter().enumerate().map(|(at, it)| {
            let shared = &shared;
            async move { (at, ask(it, line, shared).await) }
        });
        let mut answers: Vec<_> = stream::iter(questions).buffer_unordered(at_once.max(1)).collect().await;
        answers.sort_unstable_by_key(|(at, _)| *at);
        Ok(answers.into_iter().map(|(_, it)| it).collect())
    })
}

/// What the questions of one round have in common.
#[derive(Default)]
struct Shared {
    clients: Mutex<HashMap<(bool, Option<PathBuf>), Client>>,
    /// Why no further question is asked: of one server, or of any (the empty name).
    closed: Mutex<HashMap<String, Error>>,
}

impl Shared {
    fn client(&self, source: &Source, line: &Line<'_>) -> Result<Client> {
        let key = (is_here(&source.base()?), source.ca.clone());
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients.get(&key) {
            return Ok(client.clone());
        }
        let client = http::client(source, line.waits.connect)?;
        clients.insert(key, client.clone());
        Ok(client)
    }

    fn why_closed(&self, server: &str) -> Option<Error> {
        let closed = self.closed.lock().unwrap_or_else(PoisonError::into_inner);
        closed.get("").or_else(|| closed.get(server)).cloned()
    }

    fn close(&self, server: &str, error: &Error) {
        let key = match &*error.class {
            "offline" => "",
            "rate_limited" => server,
            _ => return,
        };
        self.closed
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .entry(key.to_owned())
            .or_insert_with(|| error.clone());
    }
}

async fn ask(inquiry: &Inquiry, line: &Line<'_>, shared: &Shared) -> Result<Told> {
    let source = &inquiry.source;
    // Who has a token has a limit of their own.
    let server = format!("{} {}", trouble::host(&source.base()?), source.token.as_ref().map_or("", |it| it.expose()));
    if let Some(error) = shared.why_closed(&server) {
        return Err(error);
    }
    let http = Http::on(shared.client(source, line)?, source, line)?;
    let walk = match list::walk(&http, source).await {
        Ok(walk) => walk,
        Err(error) => {
            shared.close(&server, &error);
            return Err(error);
        }
    };
    let changed = !walk.from_cache;
    let advisories = if changed || inquiry.advisories { advisories::ask(&http, source).await } else { None };
    let moved_to = list::moved_to(source, &walk.pages);
    let published = walk.pages.into_iter().flat_map(|page| page.releases).filter(|it| !it.draft);
    let releases = (changed || inquiry.all).then(|| {
        published
            .map(|it| {
                let body = it.body.unwrap_or_default();
                ToldRelease {
                    tag: it.tag_name,
                    published_at: it.published_at.and_then(|at| at.parse().ok()),
                    prerelease: it.prerelease,
                    breaking: notes::speak_of_breaking(&body),
                    security: notes::speak_of_security(&body),
                    headline: notes::headline(&body),
                }
            })
            .collect()
    });
    Ok(Told { releases, moved_to, cut_short: walk.cut_short, advisories })
}
