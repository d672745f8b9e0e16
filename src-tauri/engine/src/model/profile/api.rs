//! The application's own interface over HTTP, through which an export can be brought in.

use std::collections::BTreeMap;
use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use schemars::JsonSchema;
use semver::Version;
use serde::Serialize;

use super::template::{Piece, pieces};
use super::{HttpQuestion, Reference, duration};

/// Where the application takes things over HTTP, and who asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Api {
    /// The address that the paths are put behind, and who asks.
    #[serde(flatten)]
    pub question: HttpQuestion,
    /// The first version that has it. Without one, every version does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Version>,
    /// Further headers of every request: a text, or where a secret one stands.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, Reference>,
    /// The header by which the application knows a request that it was sent before: `Idempotency-Key`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency: Option<String>,
    /// Where in the answer it says what is wrong with something. Without it the usual places are looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// How long one request may take.
    #[serde(default = "Api::default_timeout", serialize_with = "duration::serialize")]
    #[schemars(schema_with = "duration::schema_of")]
    pub timeout: Duration,
}

impl Api {
    /// 30 s
    pub fn default_timeout() -> Duration {
        Duration::from_secs(30)
    }
    /// Whether a version has it. Yes where the version is not known.
    pub fn is_of(&self, version: Option<&Version>) -> bool {
        match (&self.since, version) {
            (Some(since), Some(version)) => version >= since,
            _ => true,
        }
    }
}

/// How an entity comes in through the application.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EntityApi {
    /// How one is made; `POST` where it says nothing else. Placeholders are the fields.
    pub create: Call,
    /// Where in an answer stands what the application calls it; `id` without.
    #[serde(default = "EntityApi::default_id")]
    pub id: String,
    /// The fields that people tell one by.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub key: Vec<String>,
    /// How one is found by them; `GET` where it says nothing else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub find: Option<Find>,
    /// How one is read by what the application calls it, `{id}`; the path of `remove` or `update` without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read: Option<Call>,
    /// How one gets other values; `PATCH` where it says nothing else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub update: Option<Call>,
    /// How one is removed when an import is taken back; `DELETE` where it says nothing else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remove: Option<Call>,
    /// Where the application only says whether it would take one; `POST` where it says nothing else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub check: Option<Call>,
    /// What one is made of.
    #[schemars(length(min = 1))]
    pub fields: Vec<ApiField>,
}

impl EntityApi {
    /// `id`
    pub fn default_id() -> String {
        "id".to_owned()
    }
    /// The path by which one is read.
    pub fn reading(&self) -> Option<&Call> {
        self.read.as_ref().or(self.remove.as_ref()).or(self.update.as_ref())
    }
}

/// A request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Call {
    /// The path, behind the address of `[api]`: `/api/customers/{id}`.
    pub path: String,
    /// The method, where it is not the usual one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<Method>,
}

/// How something is found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Find {
    /// The path: `/api/customers?email={email}`. 404 means that there is none.
    pub path: String,
    /// Where in the answer it stands, or the list of those found: `items`. Without, the answer is it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
}

/// A method of HTTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub enum Method {
    /// Make.
    #[serde(rename = "POST")]
    Post,
    /// Put there whole.
    #[serde(rename = "PUT")]
    Put,
    /// Change.
    #[serde(rename = "PATCH")]
    Patch,
    /// Remove.
    #[serde(rename = "DELETE")]
    Delete,
}

impl Method {
    /// As it is sent.
    pub fn word(self) -> &'static str {
        match self {
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }
}

/// What a field holds, and how it is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FieldType {
    /// Text.
    #[default]
    Text,
    /// A whole number.
    Integer,
    /// A number, digit by digit as it was.
    Number,
    /// True or false.
    Boolean,
    /// A moment, as `2026-01-31T12:00:00Z`.
    Time,
    /// A day, as `2026-01-31`.
    Date,
    /// JSON as it is.
    Json,
    /// The rows of another entity that belong to it.
    List,
}

impl FieldType {
    /// What PostgreSQL would call it.
    pub fn base(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Integer => "bigint",
            Self::Number => "numeric",
            Self::Boolean => "boolean",
            Self::Time => "timestamp with time zone",
            Self::Date => "date",
            Self::Json | Self::List => "jsonb",
        }
    }
}

/// A field of what the application takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ApiField {
    /// Its name; with dots for one in an object: `address.city`.
    #[schemars(length(min = 1))]
    pub field: String,
    /// What it holds.
    #[serde(rename = "type", default)]
    pub kind: FieldType,
    /// Whether nothing is taken without it.
    #[serde(default)]
    pub required: bool,
    /// Whether it only stands in paths and is not sent.
    #[serde(default)]
    pub in_path: bool,
    /// The entity that it names one of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refers: Option<String>,
    /// The entity whose rows a list holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<String>,
    /// What each of them is made of.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<Self>,
}

/// What is encoded in a value: everything that means something in an address, braces too.
const VALUE: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The names that stand in the braces of a path.
pub fn holes(path: &str) -> Vec<&str> {
    let hole = |it| if let Piece::Hole(word) = it { Some(word) } else { None };
    pieces(path).into_iter().filter_map(hole).collect()
}

/// A path with its holes filled; those that `value` knows nothing of stay. `None` where a value can stand in no path: one
/// that is empty would lead to everything there is, and dots elsewhere.
pub fn fill(path: &str, value: &dyn Fn(&str) -> Option<String>) -> Option<String> {
    let mut filled = String::with_capacity(path.len());
    for piece in pieces(path) {
        match piece {
            Piece::Text(text) => filled.push_str(text),
            Piece::Stray(brace) => filled.push(brace),
            Piece::Hole(word) => match value(word) {
                Some(value) => {
                    let is_in_query = filled.contains('?');
                    if !is_in_query && matches!(value.as_str(), "" | "." | "..") {
                        return None;
                    }
                    filled.extend(utf8_percent_encode(&value, VALUE));
                }
                None => {
                    filled.push('{');
                    filled.push_str(word);
                    filled.push('}');
                }
            },
        }
    }
    Some(filled)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_never_leads_out_of_its_place_in_a_path() {
        let filled = |path: &str, it: &str| fill(path, &|word| (word == "id").then(|| it.to_owned()));
        assert_eq!(filled("/items/{id}", "a/../b?c={x}").as_deref(), Some("/items/a%2F..%2Fb%3Fc%3D%7Bx%7D"));
        assert_eq!(filled("/items/{id}", ""), None, "that would be all of them");
        assert_eq!(filled("/items/{id}", ".."), None);
        assert_eq!(filled("/items?sku={id}", "").as_deref(), Some("/items?sku="));
        assert_eq!(filled("/{other}/{id}", "7").as_deref(), Some("/{other}/7"));
        assert_eq!(holes("/a/{b}/c?d={e.f}"), ["b", "e.f"]);
    }
}
