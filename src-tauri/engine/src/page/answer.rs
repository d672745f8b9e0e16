//! What is answered: a page to people, JSON to programs.

use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    HeaderMap, Response, StatusCode,
    header::{ACCEPT, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue, RETRY_AFTER, VARY},
    http::request::Parts,
};
use serde_json::json;

use super::PageText;

/// When programs should ask again, in seconds.
const RETRY_SECONDS: u16 = 10;
/// When the page loads itself again, in seconds.
const RELOAD_SECONDS: u16 = 5;

pub(super) fn answer(request: &Parts, text: &PageText) -> Response<Full<Bytes>> {
    let (kind, body) = if is_browser(&request.headers) {
        ("text/html; charset=utf-8", html(text))
    } else {
        ("application/json", json(text))
    };
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(RETRY_AFTER, HeaderValue::from(RETRY_SECONDS));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(VARY, HeaderValue::from_static("accept"));
    headers.insert("x-content-type-options", HeaderValue::from_static("nosniff"));
    headers.insert("referrer-policy", HeaderValue::from_static("no-referrer"));
    headers.insert(
        CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'self'"),
    );
    response
}

/// Browsers say that they want HTML; programs seldom do.
fn is_browser(headers: &HeaderMap) -> bool {
    headers.get_all(ACCEPT).iter().filter_map(|it| it.to_str().ok()).any(|it| it.contains("text/html"))
}

fn json(text: &PageText) -> String {
    json!({
        "status": "maintenance",
        "application": text.application,
        "message": text.sentence,
        "progress": text.progress,
        "retry_after": RETRY_SECONDS,
    })
    .to_string()
}

fn html(text: &PageText) -> String {
    let (application, sentence) = (escaped(&text.application), escaped(&text.sentence));
    let progress = text.progress.map_or_else(String::new, |percent| {
        format!(
            "<progress max=\"100\" value=\"{percent}\" aria-label=\"How much is done\">{percent} %</progress>\n\
             <p class=\"muted\">{percent} % done</p>\n"
        )
    });
    format!(
        "<!doctype html>\n\
         <html lang=\"en\">\n\
         <head>\n\
         <meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"robots\" content=\"noindex\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <meta http-equiv=\"refresh\" content=\"{RELOAD_SECONDS}\">\n\
         <title>{application} is being updated</title>\n\
         <style>{STYLE}</style>\n\
         </head>\n\
         <body>\n\
         <main>\n\
         <h1>{application} is being updated</h1>\n\
         <p role=\"status\">{sentence}</p>\n\
         {progress}\
         <p>Your data is safe. A backup was made and tested before the update began.</p>\n\
         <p class=\"muted\">You need not do anything: this page comes back to {application} by itself.</p>\n\
         </main>\n\
         </body>\n\
         </html>\n"
    )
}

const STYLE: &str = ":root{--page:#eff3f4;--panel:#fff;--text:#10242d;--muted:#47595f;--edge:#cbd6da;--accent:#0b6576}\
@media(prefers-color-scheme:dark){:root{--page:#0d171c;--panel:#152229;--text:#e7eff1;--muted:#a5b7be;--edge:#2d414a;--accent:#5cc2d3}}\
@media(prefers-contrast:more){:root{--page:#fff;--panel:#fff;--text:#000;--muted:#000;--edge:#000;--accent:#003b46}}\
@media(prefers-contrast:more) and (prefers-color-scheme:dark){:root{--page:#000;--panel:#000;--text:#fff;--muted:#fff;--edge:#fff;--accent:#8fe6f4}}\
*{box-sizing:border-box}\
body{margin:0;min-height:100vh;display:grid;place-items:center;padding:1.5rem;background:var(--page);color:var(--text);\
font:1.0625rem/1.5 'Atkinson Hyperlegible Next','Segoe UI',system-ui,sans-serif}\
main{max-width:34rem;width:100%;padding:2rem;background:var(--panel);border:1px solid var(--edge);border-radius:12px;overflow-wrap:anywhere}\
h1{margin:0 0 1rem;font-size:1.625rem;line-height:1.25}\
p{margin:.75rem 0 0}.muted{color:var(--muted);font-size:.9375rem}\
progress{width:100%;height:.75rem;margin-top:1rem;accent-color:var(--accent)}";

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}
