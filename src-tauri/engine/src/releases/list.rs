//! What is out: every page of the list of releases, asked only where it may have changed.

use std::collections::HashSet;

use chrono::{DateTime, TimeDelta, Utc};
use reqwest::Url;
use semver::Version;
use serde::{Deserialize, Serialize};

use super::{
    Channel, Line, Listing, Origin, Release, Skipped, Source, commits,
    http::{self, Body, Http, Reply},
    trouble::{self, Trouble},
    wire::{WireListedCommit, WireListedTag, WireRelease, WireRepository},
};
use crate::error::{Error, Result};
use crate::http::converse;
use crate::ports::{Answer, EtagCache};

/// Pages and releases beyond these are not asked for.
const PAGES: usize = 20;
const RELEASES: usize = 2000;
/// A new release changes the first page, so later ones that are this young are believed when the first is unchanged.
const BELIEVED: TimeDelta = TimeDelta::hours(24);

/// A page as it is remembered.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Page {
    pub(super) releases: Vec<WireRelease>,
    next: Option<String>,
    moved_to: Option<String>,
}

struct Known {
    page: Page,
    etag: Option<String>,
    last_modified: Option<String>,
    at: DateTime<Utc>,
}

/// Asks what is out, newest version first.
///
/// A repository in which nothing has changed costs one conditional request.
///
/// # Errors
/// `source_invalid`, `ca_invalid`; on the line `offline`, `dns`, `unreachable`, `connection_refused`,
/// `connection_cut`, `timeout`, `tls`, `rate_limited` (with the time), `auth_failed`, `server_error`,
/// `http_status`, `bad_body`, `redirect_loop`, `bad_redirect`, `insecure_redirect`; about the repository
/// `repository_missing`, `no_releases`, `only_drafts`, `no_versions`, `only_prereleases`; whatever the cache or
/// the reporter answers.
pub fn list(source: &Source, line: &Line<'_>) -> Result<Listing> {
    converse("releases", || async {
        let walk = walk(&Http::open(source, line)?, source).await?;
        assemble(source, walk.pages, line.clock.now(), walk.from_cache, walk.cut_short)
    })
}

/// What was found by reading page after page.
pub(super) struct Walk {
    pub(super) pages: Vec<Page>,
    /// Whether nothing had changed.
    pub(super) from_cache: bool,
    /// Whether there may be more.
    pub(super) cut_short: bool,
}

/// What is listed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Of {
    Releases,
    Tags,
    Commits,
}

impl Of {
    fn path(self) -> &'static str {
        match self {
            Self::Releases => "releases",
            Self::Tags => "tags",
            Self::Commits => "commits",
        }
    }

    fn read(self, body: &Body) -> Result<Vec<WireRelease>, Trouble> {
        match self {
            Self::Releases => http::parse(body),
            Self::Tags => Ok(http::parse::<Vec<WireListedTag>>(body)?.into_iter().map(Into::into).collect()),
            Self::Commits => Ok(http::parse::<Vec<WireListedCommit>>(body)?.into_iter().map(Into::into).collect()),
        }
    }

    /// How many pages are read: of commits the newest hundred say enough.
    fn pages(self) -> usize {
        if self == Self::Commits { 1 } else { PAGES }
    }
}

/// The lists that an origin is made of.
fn lists(origin: &Origin) -> &'static [Of] {
    match origin {
        Origin::Releases => &[Of::Releases],
        Origin::Tags => &[Of::Tags],
        Origin::Branch(_) => &[Of::Tags, Of::Commits],
    }
}

/// Reads what an origin is made of, page by page, each only where it may have changed.
pub(super) async fn walk(http: &Http<'_>, source: &Source) -> Result<Walk> {
    let mut walks = Vec::new();
    for of in lists(&source.origin) {
        walks.push(walk_of(http, source, *of).await?);
    }
    let from_cache = walks.iter().all(|it| it.from_cache);
    // Older commits are left out on purpose.
    let cut_short = source.origin_is_whole() && walks.iter().any(|it| it.cut_short);
    Ok(Walk { pages: made_of(source, walks.into_iter().map(|it| it.pages).collect()), from_cache, cut_short })
}

/// One list of versions out of the lists that were read.
fn made_of(source: &Source, mut lists: Vec<Vec<Page>>) -> Vec<Page> {
    let Origin::Branch(_) = source.origin else { return lists.pop().unwrap_or_default() };
    let moved_to = lists.iter().flatten().find_map(|it| it.moved_to.clone());
    let mut lists = lists.into_iter().map(|pages| pages.into_iter().flat_map(|it| it.releases).collect::<Vec<_>>());
    let (tags, commits) = (lists.next().unwrap_or_default(), lists.next().unwrap_or_default());
    vec![Page { releases: commits::versions(source, &tags, commits), next: None, moved_to }]
}

async fn walk_of(http: &Http<'_>, source: &Source, of: Of) -> Result<Walk> {
    let line = http.line;
    let mut pages = Vec::new();
    let mut count = 0;
    let mut next = Some(first_page(source, of)?);
    let (mut from_cache, mut first_unchanged) = (true, false);
    while let Some(url) = next.take_if(|_| pages.len() < of.pages() && count < RELEASES) {
        let page = match known(line.cache, &url)? {
            Some(known) if first_unchanged && is_young(known.at, line.clock.now()) => known.page,
            known => {
                let (page, unchanged) = ask(http, &url, known, of).await?;
                from_cache &= unchanged;
                first_unchanged |= unchanged && pages.is_empty();
                page
            }
        };
        count += page.releases.len();
        next = page.next.as_deref().and_then(|it| Url::parse(it).ok());
        pages.push(page);
    }
    Ok(Walk { pages, from_cache, cut_short: next.is_some() })
}

/// The last good answer, without asking anyone; `None` where there was none.
///
/// # Errors
/// As of [`list`], about the repository; whatever the cache answers.
pub fn remembered(source: &Source, cache: &dyn EtagCache) -> Result<Option<Listing>> {
    let (mut lists_read, mut fetched_at, mut cut_short) = (Vec::new(), None::<DateTime<Utc>>, false);
    for of in lists(&source.origin) {
        let mut pages = Vec::new();
        let mut next = Some(first_page(source, *of)?);
        while let Some(url) = next.take_if(|_| pages.len() < of.pages()) {
            let Some(Known { page, at, .. }) = known(cache, &url)? else { break };
            if pages.is_empty() {
                fetched_at = Some(fetched_at.map_or(at, |it| it.min(at)));
            }
            next = page.next.as_deref().and_then(|it| Url::parse(it).ok());
            pages.push(page);
        }
        if pages.is_empty() {
            return Ok(None);
        }
        cut_short |= next.is_some();
        lists_read.push(pages);
    }
    let pages = made_of(source, lists_read);
    fetched_at.map(|at| assemble(source, pages, at, true, cut_short && source.origin_is_whole())).transpose()
}

fn first_page(source: &Source, of: Of) -> Result<Url> {
    let mut url = source.address(&[of.path()])?;
    if let (Of::Commits, Origin::Branch(branch)) = (of, &source.origin) {
        url.query_pairs_mut().append_pair("sha", branch);
    }
    // GitHub says per_page, Gitea limit; each passes over the other's word.
    url.query_pairs_mut().append_pair("per_page", "100").append_pair("limit", "100");
    Ok(url)
}

fn is_young(at: DateTime<Utc>, now: DateTime<Utc>) -> bool {
    // Remembered in the future means that the clock went back; then nothing is known about its age.
    (TimeDelta::zero()..BELIEVED).contains(&(now - at))
}

/// The remembered page. One that this version cannot read is as good as none.
fn known(cache: &dyn EtagCache, url: &Url) -> Result<Option<Known>> {
    let Some(answer) = cache.find(url.as_str())? else { return Ok(None) };
    let page = serde_json::from_slice(&answer.body).ok();
    Ok(page.map(|page| Known { page, etag: answer.etag, last_modified: answer.last_modified, at: answer.fetched_at }))
}

/// Asks for one page; answers whether it is as it was.
async fn ask(http: &Http<'_>, url: &Url, known: Option<Known>, of: Of) -> Result<(Page, bool)> {
    let (known, etag, last_modified) =
        known.map_or((None, None, None), |it| (Some(it.page), it.etag, it.last_modified));
    let may_be_unchanged = etag.is_some() || last_modified.is_some();
    let headers = http::api_headers(etag.as_deref(), last_modified.as_deref());
    let body = http
        .ask(url, &headers, http::ANSWER_CAP, |reply| match reply {
            Reply::Unchanged if may_be_unchanged => Ok(None),
            Reply::Unchanged => Err(trouble::bad_body(url, "nothing was said about what has not changed")),
            Reply::Missing => Err(trouble::Trouble::final_(missing(url))),
            Reply::Body(body) => of.read(&body).map(|releases| Some((releases, body))),
        })
        .await?;
    let now = http.line.clock.now();
    let (releases, body) = match (body, known) {
        (None, Some(page)) => {
            http.line.cache.still_holds(url.as_str(), now)?;
            return Ok((page, true));
        }
        (Some(news), _) => news,
        (None, None) => return Err(Error::bug("etag_without_page", "A page was compared that was not remembered.")),
    };
    let moved_to = if body.from == *url { None } else { new_name(http, &body.from, of).await? };
    let page = Page { releases, next: body.next.map(String::from), moved_to };
    let bytes = serde_json::to_vec(&page)
        .map_err(|cause| Error::bug("page_not_written", "A list of releases could not be written.").because(&cause))?;
    let answer = Answer { etag: body.etag, last_modified: body.last_modified, body: bytes, fetched_at: now };
    http.line.cache.keep(url.as_str(), &answer)?;
    Ok((page, false))
}

/// The name of the repository whose releases were found at another address than asked.
async fn new_name(http: &Http<'_>, from: &Url, of: Of) -> Result<Option<String>> {
    let path = from.path().strip_suffix(of.path()).and_then(|it| it.strip_suffix('/'));
    let Some(path) = path else { return Ok(None) };
    let mut repository = from.clone();
    repository.set_path(path);
    repository.set_query(None);
    let found: Option<WireRepository> = match http.json(&repository).await {
        Ok(found) => found,
        // The releases were found; that the new name stays unknown harms nobody.
        Err(error) if error.class == "bad_body" => None,
        Err(error) => return Err(error),
    };
    Ok(found.map(|it| it.full_name))
}

fn missing(url: &Url) -> Error {
    let host = trouble::host(url);
    Error::refused("repository_missing", format!("The release server {host} knows no such repository."))
        .remedy("Check its name in the profile, and that of the branch where one is named. A private repository is found only with a token.")
        .detail(url.path().to_owned())
}

fn assemble(
    source: &Source,
    pages: Vec<Page>,
    fetched_at: DateTime<Utc>,
    from_cache: bool,
    cut_short: bool,
) -> Result<Listing> {
    let moved_to = moved_to(source, &pages);
    let (mut seen, mut skipped, mut releases) = (HashSet::new(), Vec::new(), Vec::<Release>::new());
    let mut total = 0;
    // A release published while pages were read pushes another onto the next page a second time.
    for wire in pages.into_iter().flat_map(|page| page.releases).take(RELEASES) {
        total += 1;
        if wire.draft || !seen.insert(wire.tag_name.clone()) {
            continue;
        }
        let tag: String = wire.tag_name.escape_debug().take(200).collect();
        match wire.read(&source.tag) {
            Ok(release) => releases.push(release),
            Err(why) => skipped.push(Skipped { tag, why }),
        }
    }
    releases.sort_by(|one, other| newest_first(&one.version, &other.version));
    if releases.is_empty() {
        return Err(nothing(source, total, seen.len(), &skipped));
    }
    if source.channel == Channel::Stable {
        releases.retain(|it| !it.prerelease);
    }
    if releases.is_empty() {
        let message = format!("{} has published no finished release yet, only pre-releases.", source.repository);
        return Err(Error::refused("only_prereleases", message)
            .remedy("Wait for the first release, or set the channel to \"prerelease\" in the profile."));
    }
    Ok(Listing { releases, moved_to, fetched_at, from_cache, skipped, cut_short })
}

/// The new name of a repository that has moved, where it is one that could be asked.
pub(super) fn moved_to(source: &Source, pages: &[Page]) -> Option<String> {
    pages.iter().find_map(|page| page.moved_to.clone()).filter(|name| {
        let known = Source { repository: name.clone(), ..source.clone() };
        known.check().is_ok() && !name.eq_ignore_ascii_case(&source.repository)
    })
}

fn newest_first(one: &Version, other: &Version) -> std::cmp::Ordering {
    other.cmp(one)
}

fn nothing(source: &Source, total: usize, published: usize, skipped: &[Skipped]) -> Error {
    let name = &source.repository;
    if total == 0 {
        return Error::refused("no_releases", format!("{name} has not published any release yet."))
            .remedy("Wait for the first release, or check the name of the repository in the profile.");
    }
    if published == 0 {
        return Error::refused("only_drafts", format!("{name} has drafts of releases, but none is published yet."))
            .remedy("Wait until its publisher publishes one.");
    }
    let message = format!("{name} has releases, but no tag of the form {}.", source.tag);
    let error = Error::refused("no_versions", message).remedy("Correct the tag pattern in the profile.");
    skipped.iter().take(5).fold(error, |error, it| error.detail(format!("{} {}", it.tag, it.why)))
}
