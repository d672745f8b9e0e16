//! The release server over HTTP: GitHub's words, and every way to misbehave.

use std::time::Duration;

use reqwest::{Client, Response, redirect::Policy};
use serde_json::Value;

use crate::support::{Demo, get};

fn client() -> Client {
    Client::builder().redirect(Policy::none()).build().unwrap()
}

fn header(answer: &Response, name: &str) -> String {
    answer.headers().get(name).map(|it| it.to_str().unwrap().to_owned()).unwrap_or_default()
}

fn digest(content: &[u8]) -> String {
    format!("sha256:{}", liftlock_demo::archive::sha256(content))
}

#[tokio::test]
async fn releases_are_listed_paged_found_and_fetched() {
    let demo = Demo::with(&["--no-shop"]);
    demo.run("publish", &["1.1.0", "1.2.0"]);
    demo.run("publish", &["1.3.0", "--prerelease"]);
    let base = demo.releases_url();
    let api = format!("{base}/repos/corner-shop/corner-shop");
    let client = client();

    let first = client.get(format!("{api}/releases?per_page=3")).send().await.unwrap();
    let link = header(&first, "link");
    let next = link.split('<').nth(1).unwrap().split('>').next().unwrap().to_owned();
    assert!(link.contains("rel=\"next\"") && !link.contains("rel=\"prev\""), "{link}");
    let etag = header(&first, "etag");
    assert_eq!(header(&first, "x-ratelimit-limit"), "5000");
    let tags = |list: Value| list.as_array().unwrap().iter().map(|it| it["tag_name"].clone()).collect::<Vec<_>>();
    assert_eq!(tags(first.json().await.unwrap()), ["v1.3.0", "v1.2.0", "v1.1.0"]);
    assert_eq!(tags(get(&next).await.1), ["v1.0.0"]);
    let known = client.get(format!("{api}/releases?per_page=3")).header("if-none-match", &etag).send().await.unwrap();
    assert_eq!((known.status().as_u16(), header(&known, "etag")), (304, etag));

    let latest = get(&format!("{api}/releases/latest")).await.1;
    assert_eq!(latest["tag_name"], "v1.2.0", "a pre-release is never the latest");
    assert_eq!(get(&format!("{api}/releases/tags/v9.9.9")).await.0, 404);
    let found = get(&format!("{api}/releases/tags/v1.1.0")).await.1;
    let reference = get(&format!("{api}/git/ref/tags/v1.1.0")).await.1;
    assert_eq!(found["target_commitish"], reference["object"]["sha"]);
    assert_eq!(get(&format!("{api}/commits/v1.1.0")).await.1["sha"], reference["object"]["sha"]);

    let moved = client.get(format!("{base}/repos/old-street/corner-shop/releases/latest")).send().await.unwrap();
    assert_eq!(moved.status(), 301);
    assert_eq!(get(&header(&moved, "location")).await.1["tag_name"], "v1.2.0");

    let asset = &found["assets"][0];
    let url = asset["url"].as_str().unwrap();
    assert_eq!(get(url).await.1["name"], "corner-shop-1.1.0.tar.gz");
    let sent = client.get(url).header("accept", "application/octet-stream").send().await.unwrap();
    assert_eq!(sent.status(), 302);
    let content = reqwest::get(header(&sent, "location")).await.unwrap().bytes().await.unwrap();
    assert_eq!(digest(&content), asset["digest"].as_str().unwrap());
    assert_eq!(content.len() as u64, asset["size"].as_u64().unwrap());

    let browser = asset["browser_download_url"].as_str().unwrap();
    let part = Client::new().get(browser).header("range", "bytes=100-").send().await.unwrap();
    assert_eq!(part.status(), 206);
    assert_eq!(part.bytes().await.unwrap(), content.slice(100..));
    let beyond = Client::new().get(browser).header("range", "bytes=99999999-").send().await.unwrap();
    assert_eq!(beyond.status(), 416);
    let sums = found["assets"][1]["browser_download_url"].as_str().unwrap();
    let sums = reqwest::get(sums).await.unwrap().text().await.unwrap();
    assert_eq!(sums, format!("{}  corner-shop-1.1.0.tar.gz\n", liftlock_demo::archive::sha256(&content)));
}

#[tokio::test]
async fn the_server_refuses_lies_and_goes_silent_when_it_is_told_to() {
    let demo = Demo::with(&["--no-shop"]);
    let api = format!("{}/repos/corner-shop/corner-shop", demo.releases_url());
    let latest = format!("{api}/releases/latest");
    let client = client();
    let found = get(&latest).await.1;
    let url = found["assets"][0]["browser_download_url"].as_str().unwrap();
    let size = found["assets"][0]["size"].as_u64().unwrap();

    demo.run("fault", &["--rate-limit", "429", "--retry-after", "7"]);
    let limited = client.get(&latest).send().await.unwrap();
    assert_eq!((limited.status().as_u16(), header(&limited, "retry-after")), (429, "7".to_owned()));
    demo.run("fault", &["--clear", "--rate-limit", "403"]);
    let limited = client.get(&latest).send().await.unwrap();
    assert_eq!((limited.status().as_u16(), header(&limited, "x-ratelimit-remaining")), (403, "0".to_owned()));
    assert_ne!(header(&limited, "x-ratelimit-reset"), "");
    demo.run("fault", &["--clear", "--status", "500"]);
    assert_eq!(get(&latest).await.0, 500);
    demo.run("fault", &["--clear", "--drafts-only"]);
    assert_eq!(get(&latest).await.0, 404);
    assert_eq!(get(&format!("{api}/releases")).await.1[0]["draft"], true);
    demo.run("fault", &["--clear", "--no-releases"]);
    assert_eq!(get(&format!("{api}/releases")).await.1, serde_json::json!([]));
    demo.run("fault", &["--clear", "--odd-tags"]);
    let odd = get(&format!("{api}/releases")).await.1;
    assert!(odd.as_array().unwrap().iter().any(|it| it["tag_name"] == "../../../../etc/passwd"));

    demo.run("fault", &["--clear", "--truncate", "--times", "1"]);
    assert!(reqwest::get(url).await.unwrap().bytes().await.is_err());
    assert_eq!(reqwest::get(url).await.unwrap().bytes().await.unwrap().len() as u64, size, "only once");
    demo.run("fault", &["--clear", "--wrong-length", "long"]);
    assert_eq!(reqwest::get(url).await.unwrap().bytes().await.unwrap().len() as u64, size + 1024);
    demo.run("fault", &["--clear", "--corrupt-asset"]);
    let content = reqwest::get(url).await.unwrap().bytes().await.unwrap();
    assert_ne!(digest(&content), found["assets"][0]["digest"].as_str().unwrap());
    demo.run("fault", &["--clear", "--wrong-checksum"]);
    assert_ne!(get(&latest).await.1["assets"][0]["digest"], found["assets"][0]["digest"]);
    demo.run("fault", &["--clear", "--stall-download", "1000"]);
    let mut stalled = reqwest::get(url).await.unwrap();
    assert_eq!(stalled.chunk().await.unwrap().unwrap().len(), 1000);
    assert!(tokio::time::timeout(Duration::from_millis(300), stalled.chunk()).await.is_err(), "it stays silent");

    demo.run("fault", &["--clear", "--move-tag", "1.0.0"]);
    let moved = get(&latest).await.1;
    assert_eq!(moved["tag_name"], found["tag_name"]);
    assert_ne!(moved["target_commitish"], found["target_commitish"]);
    assert_ne!(moved["assets"][0]["digest"], found["assets"][0]["digest"]);
    demo.run("fault", &["--clear", "--hostile-archive", "climb"]);
    let hostile = get(&latest).await.1;
    let content = reqwest::get(url).await.unwrap().bytes().await.unwrap();
    assert_eq!(digest(&content), hostile["assets"][0]["digest"].as_str().unwrap(), "it looks right");
    let paths = tar::Archive::new(flate2::read::GzDecoder::new(&content[..]))
        .entries()
        .unwrap()
        .map(|it| it.unwrap().path().unwrap().to_string_lossy().into_owned())
        .collect::<Vec<_>>();
    assert_eq!(paths, ["corner-shop-1.0.0/VERSION", "corner-shop-1.0.0/../../../liftlock-was-here"]);

    demo.run("fault", &["--clear"]);
    assert_eq!(get(&latest).await.1, found);
}
