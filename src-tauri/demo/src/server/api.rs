//! What the server says about releases, in GitHub's words.

use std::{fs, sync::atomic::Ordering};

use anyhow::Result;
use axum::{
    body::Body,
    extract::Request,
    http::{HeaderMap, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

use super::{Faults, LIMIT, Server};
use crate::archive;
use crate::catalogue;
use crate::publish::{self, Published};

/// Where Corner Shop lives now, and where it lived before.
const REPOSITORY: &str = "corner-shop/corner-shop";
const OLD_REPOSITORY: &str = "old-street/corner-shop";
const REPOSITORY_ID: &str = "424242";

/// Tags that no client may take for versions, or for options, paths or commands.
const ODD_TAGS: &[&str] = &[
    "nightly",
    "release-2025-11",
    "v1.1",
    "v1.1.0.4",
    "1,1,0",
    "--upload-pack=touch pwned",
    "../../../../etc/passwd",
    "v1.1.0; touch pwned",
    "$(touch pwned)",
    "v1.1.0\u{202e}0.0.1v",
    "",
];

/// Answers everything below `/repos` and `/repositories`.
pub(super) fn answer(server: &Server, faults: &Faults, segments: &[&str], request: &Request) -> Result<Response> {
    if let Some(status) = faults.rate_limit {
        return Ok(limited(server, status, faults.retry_after));
    }
    let rest = match *segments {
        ["repositories", REPOSITORY_ID, ref rest @ ..] => rest,
        ["repos", owner, name, ref rest @ ..] if is(owner, name, REPOSITORY) => rest,
        ["repos", owner, name, ref rest @ ..] if is(owner, name, OLD_REPOSITORY) => {
            return Ok(moved(server, rest, request.uri()));
        }
        _ => return Ok(message(StatusCode::NOT_FOUND, "Not Found")),
    };
    if let ["releases", "assets", id] = *rest {
        return asset(server, faults, id, request.headers());
    }
    let mut list = visible(server, faults)?;
    // The branch has what was tagged on it too.
    match *rest {
        ["commits"] => {
            let commits = list.iter().map(|it| listed_commit(&it.published)).collect();
            return Ok(documented(server, &commits, None, request.headers()));
        }
        ["commits", commit] => {
            let commit = decoded(commit);
            let found = list.iter().filter(|it| !it.published.draft);
            let found = found.map(|it| (&it.tag, it.published.commit())).find(|it| *it.0 == commit || it.1 == commit);
            return Ok(match found {
                Some((_, sha)) => documented(server, &json!({ "sha": sha }), None, request.headers()),
                None => message(StatusCode::NOT_FOUND, "Not Found"),
            });
        }
        // What is built of the source is in the repository too: nothing has to be built after the download.
        ["tarball", commit] => {
            let found = list.iter().find(|it| it.published.commit() == commit);
            let asset = found.and_then(|it| assets(it, faults).into_iter().next());
            return Ok(asset.map_or_else(|| message(StatusCode::NOT_FOUND, "Not Found"), |it| redirect(server, &it)));
        }
        _ => list.retain(|it| !it.published.untagged),
    }
    // GitHub shows drafts to nobody but their makers; a list of drafts is how a test asks for one.
    let public = || list.iter().filter(|it| !it.published.draft);
    let found = |tag: &str| public().find(|it| it.tag == tag);
    let body = match *rest {
        [] => Some(repository(server)),
        ["releases"] => {
            let page = Page::asked(request.uri(), list.len());
            let shown = list[page.span()].iter().map(|it| release(server, faults, it)).collect();
            return Ok(documented(server, &shown, page.link(server), request.headers()));
        }
        ["releases", "latest"] => public().find(|it| !it.published.prerelease).map(|it| release(server, faults, it)),
        ["releases", "tags", tag] => found(&decoded(tag)).map(|it| release(server, faults, it)),
        ["git", "ref", "tags", tag] => found(&decoded(tag)).map(|it| reference(server, it)),
        ["tags"] => {
            Some(public().map(|it| json!({ "name": it.tag, "commit": { "sha": it.published.commit() } })).collect())
        }
        _ => None,
    };
    match body {
        Some(body) => Ok(documented(server, &body, None, request.headers())),
        None => Ok(message(StatusCode::NOT_FOUND, "Not Found")),
    }
}

/// Answers `GET /<owner>/<repository>/releases/download/<tag>/<name>`.
pub(super) fn follow(server: &Server, faults: &Faults, repository: &str, tag: &str, name: &str) -> Result<Response> {
    let is_ours = [REPOSITORY, OLD_REPOSITORY].iter().any(|it| it.eq_ignore_ascii_case(repository));
    let tag = decoded(tag);
    let list = visible(server, faults)?;
    let asset = list.iter().filter(|it| is_ours && it.tag == tag).flat_map(|it| assets(it, faults));
    let asset = asset.into_iter().find(|it| it.name == name);
    Ok(asset.map_or_else(|| message(StatusCode::NOT_FOUND, "Not Found"), |it| redirect(server, &it)))
}

/// The bytes behind a download address, if it is one of ours.
pub(super) fn asset_content(server: &Server, faults: &Faults, sha256: &str, name: &str) -> Result<Option<Vec<u8>>> {
    for shown in visible(server, faults)? {
        if let Some(asset) = assets(&shown, faults).into_iter().find(|it| it.key == sha256 && it.name == name) {
            return Ok(Some(match asset.content {
                Some(content) => content,
                None => fs::read(&shown.published.archive)?,
            }));
        }
    }
    Ok(None)
}

/// An answer in GitHub's form for everything that is not a document.
pub(super) fn message(status: StatusCode, text: &str) -> Response {
    let body =
        json!({ "message": text, "documentation_url": "https://docs.github.com/rest", "status": status.as_str() });
    (status, [(header::CONTENT_TYPE, "application/json; charset=utf-8")], body.to_string()).into_response()
}

/// A release as it is shown: with the tag it has now.
#[derive(Debug)]
struct Shown {
    tag: String,
    published: Published,
}

#[derive(Debug)]
struct Asset {
    id: u64,
    name: String,
    size: u64,
    /// SHA-256 that is announced.
    sha256: String,
    /// Names the bytes in the download's address.
    key: String,
    /// Where it is not the archive.
    content: Option<Vec<u8>>,
}

/// All releases with the faults applied, newest first.
fn visible(server: &Server, faults: &Faults) -> Result<Vec<Shown>> {
    if faults.no_releases {
        return Ok(Vec::new());
    }
    let mut list = publish::list(&server.place)?;
    list.reverse();
    let shown = |(at, mut published): (usize, Published)| {
        published.draft |= faults.drafts_only;
        let tag = match faults.odd_tags {
            true => ODD_TAGS[at % ODD_TAGS.len()].to_owned(),
            false => format!("v{}", published.version),
        };
        Shown { tag, published }
    };
    if faults.odd_tags {
        // Every odd tag is seen, however few releases there are.
        let one = list.first().cloned();
        list.extend(one.into_iter().cycle().take(ODD_TAGS.len().saturating_sub(list.len())));
    }
    Ok(list.into_iter().enumerate().map(shown).collect())
}

fn assets(shown: &Shown, faults: &Faults) -> [Asset; 2] {
    let published = &shown.published;
    let name = format!("corner-shop-{}.tar.gz", published.version);
    let announced = match faults.wrong_checksum {
        true => archive::sha256(published.sha256.as_bytes()),
        false => published.sha256.clone(),
    };
    let sums = format!("{announced}  {name}\n").into_bytes();
    let sums_sha256 = archive::sha256(&sums);
    [
        Asset {
            id: number(&format!("{} {}", published.sha256, shown.tag)),
            name,
            size: published.size,
            sha256: announced,
            key: published.sha256.clone(),
            content: None,
        },
        Asset {
            id: number(&format!("{sums_sha256} {}", shown.tag)),
            name: "SHA256SUMS".to_owned(),
            size: sums.len() as u64,
            sha256: sums_sha256.clone(),
            key: sums_sha256,
            content: Some(sums),
        },
    ]
}

/// A number that stays the same for the same thing.
fn number(of: &str) -> u64 {
    u64::from_str_radix(&archive::sha256(of.as_bytes())[..11], 16).unwrap_or_default()
}

fn asset(server: &Server, faults: &Faults, id: &str, headers: &HeaderMap) -> Result<Response> {
    for shown in visible(server, faults)? {
        if let Some(asset) = assets(&shown, faults).into_iter().find(|it| it.id.to_string() == id) {
            let accepted = headers.get(header::ACCEPT).and_then(|it| it.to_str().ok()).unwrap_or_default();
            return Ok(match accepted.contains("application/octet-stream") {
                true => redirect(server, &asset),
                false => documented(server, &asset_json(server, &shown, &asset), None, headers),
            });
        }
    }
    Ok(message(StatusCode::NOT_FOUND, "Not Found"))
}

fn redirect(server: &Server, asset: &Asset) -> Response {
    let address = format!("{}/download/{}/{}", server.base, asset.key, asset.name);
    (StatusCode::FOUND, [(header::LOCATION, address)]).into_response()
}

fn repository(server: &Server) -> Value {
    json!({
        "id": REPOSITORY_ID.parse::<u64>().unwrap_or_default(),
        "name": "corner-shop",
        "full_name": REPOSITORY,
        "private": false,
        "html_url": format!("{}/{REPOSITORY}", server.base),
        "url": format!("{}/repos/{REPOSITORY}", server.base),
        "default_branch": "main",
    })
}

/// A page that shows these as they are gets another title, loads what it should not, or shows nothing any more.
const HOSTILE_NOTES: &str = r#"# What is new

Good things.

<script>document.title = 'broken'</script>
<img src="x" onerror="document.title = 'broken'">
![from elsewhere](http://127.0.0.1:9/picture.png)
<iframe src="http://127.0.0.1:9/"></iframe>
<object data="http://127.0.0.1:9/"></object>
<svg onload="document.title = 'broken'"></svg>
[click](javascript:document.title='broken')
<style>* { display: none }</style>
<form action="http://127.0.0.1:9/"><button>Update now</button></form>
<a href="https://example.org" onclick="document.title = 'broken'">out</a>
"#;

fn release(server: &Server, faults: &Faults, shown: &Shown) -> Value {
    let Shown { tag, published } = shown;
    let notes = if faults.hostile_notes {
        HOSTILE_NOTES
    } else {
        catalogue::find(&published.version).map_or("", |it| it.notes)
    };
    let id = number(&format!("release {} {tag}", published.version));
    let assets: Vec<Value> = assets(shown, faults).iter().map(|it| asset_json(server, shown, it)).collect();
    json!({
        "id": id,
        "url": format!("{}/repos/{REPOSITORY}/releases/{id}", server.base),
        "html_url": format!("{}/{REPOSITORY}/releases/tag/{}", server.base, encoded(tag)),
        "tag_name": tag,
        "target_commitish": published.commit(),
        "name": format!("Corner Shop {}", published.version),
        "draft": published.draft,
        "prerelease": published.prerelease,
        "created_at": published.published_at,
        "published_at": if published.draft { Value::Null } else { json!(published.published_at) },
        "body": notes,
        "assets": assets,
    })
}

fn asset_json(server: &Server, shown: &Shown, asset: &Asset) -> Value {
    json!({
        "id": asset.id,
        "url": format!("{}/repos/{REPOSITORY}/releases/assets/{}", server.base, asset.id),
        "name": asset.name,
        "state": "uploaded",
        "content_type": "application/octet-stream",
        "size": asset.size,
        "digest": format!("sha256:{}", asset.sha256),
        "browser_download_url":
            format!("{}/{REPOSITORY}/releases/download/{}/{}", server.base, encoded(&shown.tag), asset.name),
    })
}

fn reference(server: &Server, shown: &Shown) -> Value {
    let sha = shown.published.commit();
    json!({
        "ref": format!("refs/tags/{}", shown.tag),
        "url": format!("{}/repos/{REPOSITORY}/git/refs/tags/{}", server.base, encoded(&shown.tag)),
        "object": { "type": "commit", "sha": sha, "url": format!("{}/repos/{REPOSITORY}/git/commits/{sha}", server.base) },
    })
}

fn listed_commit(published: &Published) -> Value {
    let subject = format!("Work on {}", published.version);
    json!({
        "sha": published.commit(),
        "commit": { "message": subject, "committer": { "name": "Ann", "date": published.published_at } },
    })
}

/// A document with its tag and the state of the rate limit; 304 costs nothing.
fn documented(server: &Server, body: &Value, link: Option<String>, headers: &HeaderMap) -> Response {
    let text = body.to_string();
    let etag = format!("W/\"{}\"", archive::sha256(text.as_bytes()));
    let known = headers.get(header::IF_NONE_MATCH).and_then(|it| it.to_str().ok()).unwrap_or_default();
    let is_known = known.split(',').any(|it| it.trim().trim_start_matches("W/") == etag.trim_start_matches("W/"));
    let mut answer = match is_known {
        true => StatusCode::NOT_MODIFIED.into_response(),
        false => Body::from(text).into_response(),
    };
    if !is_known {
        server.used.fetch_add(1, Ordering::Relaxed);
        put(&mut answer, "content-type", "application/json; charset=utf-8");
    }
    put(&mut answer, "etag", &etag);
    put(&mut answer, "cache-control", "public, max-age=60, s-maxage=60");
    if let Some(link) = link {
        put(&mut answer, "link", &link);
    }
    let used = server.used.load(Ordering::Relaxed).min(LIMIT);
    count(&mut answer, used, server.resets_at.timestamp());
    answer
}

fn limited(server: &Server, status: u16, retry_after: Option<u64>) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::FORBIDDEN);
    let mut answer = message(status, "API rate limit exceeded for 127.0.0.1.");
    match retry_after {
        Some(seconds) => put(&mut answer, "retry-after", &seconds.to_string()),
        None => count(&mut answer, LIMIT, server.resets_at.timestamp()),
    }
    answer
}

fn count(answer: &mut Response, used: u64, resets_at: i64) {
    put(answer, "x-ratelimit-limit", &LIMIT.to_string());
    put(answer, "x-ratelimit-used", &used.to_string());
    put(answer, "x-ratelimit-remaining", &(LIMIT - used).to_string());
    put(answer, "x-ratelimit-reset", &resets_at.to_string());
    put(answer, "x-ratelimit-resource", "core");
}

fn moved(server: &Server, rest: &[&str], uri: &Uri) -> Response {
    let path: String = rest.iter().map(|it| format!("/{it}")).collect();
    let query = uri.query().map(|it| format!("?{it}")).unwrap_or_default();
    let address = format!("{}/repositories/{REPOSITORY_ID}{path}{query}", server.base);
    let body = json!({ "message": "Moved Permanently", "url": address });
    let mut answer = (StatusCode::MOVED_PERMANENTLY, body.to_string()).into_response();
    put(&mut answer, "location", &address);
    answer
}

fn put(answer: &mut Response, name: &'static str, value: &str) {
    if let Ok(value) = value.parse() {
        answer.headers_mut().insert(name, value);
    }
}

fn is(owner: &str, name: &str, repository: &str) -> bool {
    format!("{owner}/{name}").eq_ignore_ascii_case(repository)
}

/// A part of a path as an address carries it.
fn encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

/// A part of an address as it was meant.
pub(crate) fn decoded(text: &str) -> String {
    let (mut bytes, mut rest) = (Vec::new(), text.as_bytes());
    while let Some((&first, more)) = rest.split_first() {
        let escaped = more.get(..2).filter(|_| first == b'%').and_then(|it| std::str::from_utf8(it).ok());
        let escaped = escaped.and_then(|it| u8::from_str_radix(it, 16).ok());
        bytes.push(escaped.unwrap_or(first));
        rest = if escaped.is_some() { &more[2..] } else { more };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Which part of a list was asked for.
#[derive(Debug, Clone, Copy)]
struct Page {
    number: usize,
    size: usize,
    total: usize,
}

impl Page {
    fn asked(uri: &Uri, total: usize) -> Self {
        let value = |name: &str| {
            let pairs = uri.query().unwrap_or_default().split('&').filter_map(|it| it.split_once('='));
            pairs.filter(|(it, _)| *it == name).find_map(|(_, value)| value.parse::<usize>().ok())
        };
        Self { number: value("page").unwrap_or(1).max(1), size: value("per_page").unwrap_or(30).clamp(1, 100), total }
    }

    fn span(self) -> std::ops::Range<usize> {
        let from = (self.number - 1).saturating_mul(self.size).min(self.total);
        from..(from + self.size).min(self.total)
    }

    fn link(self, server: &Server) -> Option<String> {
        let last = self.total.div_ceil(self.size).max(1);
        let to = |number: usize, name: &str| {
            let (base, size) = (&server.base, self.size);
            format!("<{base}/repositories/{REPOSITORY_ID}/releases?per_page={size}&page={number}>; rel=\"{name}\"")
        };
        let mut links = Vec::new();
        if self.number > 1 {
            links.push(to((self.number - 1).min(last), "prev"));
        }
        if self.number < last {
            links.push(to(self.number + 1, "next"));
            links.push(to(last, "last"));
        }
        if self.number > 1 {
            links.push(to(1, "first"));
        }
        (!links.is_empty()).then(|| links.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_survives_its_way_through_an_address() {
        for tag in ODD_TAGS {
            assert_eq!(decoded(&encoded(tag)), *tag);
        }
    }

    #[test]
    fn a_page_beyond_the_end_is_empty() {
        let page = Page::asked(&"/x?per_page=4&page=9".parse().unwrap(), 10);
        assert!(page.span().is_empty());
        assert_eq!(Page::asked(&"/x?page=3&per_page=4".parse().unwrap(), 10).span(), 8..10);
    }
}
