//! What a repository publishes about its own security holes. Only GitHub has this; elsewhere there is none.

use serde::Deserialize;

use super::{
    Source,
    http::{self, Http, Reply},
    trouble,
};
use crate::model::notice::HoleSeverity;
use crate::model::release::{Advisory, Affected};

/// What is worth knowing of an advisory; the description can be as long as a book.
#[derive(Debug, Deserialize)]
struct WireAdvisory {
    ghsa_id: String,
    #[serde(default)]
    cve_id: Option<String>,
    #[serde(default)]
    summary: Option<String>,
    #[serde(default)]
    severity: Option<String>,
    #[serde(default)]
    html_url: Option<String>,
    #[serde(default)]
    state: Option<String>,
    #[serde(default)]
    withdrawn_at: Option<String>,
    #[serde(default)]
    vulnerabilities: Option<Vec<WireVulnerability>>,
}

#[derive(Debug, Deserialize)]
struct WireVulnerability {
    #[serde(default)]
    vulnerable_version_range: Option<String>,
    #[serde(default)]
    patched_versions: Option<String>,
}

/// Asks for them. Whatever goes wrong leaves what is known as it is: releases matter more.
pub(super) async fn ask(http: &Http<'_>, source: &Source) -> Option<Vec<Advisory>> {
    let mut url = source.address(&["security-advisories"]).ok()?;
    url.query_pairs_mut().append_pair("state", "published").append_pair("per_page", "100");
    let headers = http::api_headers(None, None);
    let asked = http.ask(&url, &headers, http::ANSWER_CAP, |reply| match reply {
        Reply::Missing => Ok(Vec::new()),
        Reply::Unchanged => Err(trouble::bad_body(&url, "nothing was said about what has not changed")),
        Reply::Body(body) => http::parse::<Vec<WireAdvisory>>(&body),
    });
    match asked.await {
        Ok(found) => Some(found.into_iter().filter_map(WireAdvisory::read).collect()),
        Err(error) => {
            http.line.reporter.say(&format!("No word about security advisories: {error}"));
            None
        }
    }
}

impl WireAdvisory {
    fn read(self) -> Option<Advisory> {
        if self.withdrawn_at.is_some() || self.state.is_some_and(|it| it != "published") {
            return None;
        }
        let plain =
            |text: String, most: usize| text.chars().filter(|it| !it.is_control()).take(most).collect::<String>();
        let is_name = |it: &String| it.len() <= 40 && it.chars().all(|it| it.is_ascii_alphanumeric() || it == '-');
        Some(Advisory {
            id: Some(self.ghsa_id).filter(is_name)?,
            cve: self.cve_id.filter(is_name),
            severity: match self.severity.as_deref() {
                Some("low") => HoleSeverity::Low,
                Some("medium" | "moderate") => HoleSeverity::Medium,
                Some("high") => HoleSeverity::High,
                Some("critical") => HoleSeverity::Critical,
                _ => HoleSeverity::Unknown,
            },
            summary: plain(self.summary.unwrap_or_default(), 300),
            url: self.html_url.filter(|it| it.starts_with("https://") && it.len() <= 500),
            affected: self
                .vulnerabilities
                .unwrap_or_default()
                .into_iter()
                .filter_map(|it| {
                    let range = it.vulnerable_version_range?;
                    Some(Affected { range, patched: it.patched_versions.filter(|it| !it.trim().is_empty()) })
                })
                .collect(),
        })
    }
}
