//! JSON without floating point: numbers stay the digits that they are, on the way there and on the way back.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, NaiveDateTime, SecondsFormat};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::stores::intake::Column;

type Members = BTreeMap<String, Box<RawValue>>;

/// An answer, if it is JSON.
pub(super) fn read(body: &[u8]) -> Option<Box<RawValue>> {
    serde_json::from_slice(body).ok()
}

/// What stands at a place: names and numbers of list members, with dots between them.
pub(super) fn at(json: &RawValue, place: &str) -> Option<Box<RawValue>> {
    let mut found = json.to_owned();
    for part in place.split('.') {
        found = match found.get().trim_start().as_bytes().first()? {
            b'{' => serde_json::from_str::<Members>(found.get()).ok()?.remove(part)?,
            b'[' => {
                let mut list: Vec<Box<RawValue>> = serde_json::from_str(found.get()).ok()?;
                let number = part.parse::<usize>().ok().filter(|it| *it < list.len())?;
                list.swap_remove(number)
            }
            _ => return None,
        };
    }
    Some(found)
}

/// The members of a list.
pub(super) fn list(json: &RawValue) -> Option<Vec<Box<RawValue>>> {
    serde_json::from_str(json.get()).ok()
}

/// Whether it says that there is nothing.
pub(super) fn is_null(json: &RawValue) -> bool {
    json.get().trim() == "null"
}

/// A text as it is, anything else as it is written.
pub(super) fn plain(json: &str) -> String {
    serde_json::from_str::<String>(json).unwrap_or_else(|_| json.to_owned())
}

/// A text as JSON.
pub(super) fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

/// An object in the making, with its members in their order.
#[derive(Debug, Default)]
pub(super) struct Object(Vec<(String, Node)>);

#[derive(Debug)]
enum Node {
    Leaf(String),
    Inner(Object),
}

impl Object {
    /// Puts JSON at a place; objects on the way are made.
    pub(super) fn put(&mut self, place: &str, json: String) {
        let (name, rest) = place.split_once('.').map_or((place, None), |(name, rest)| (name, Some(rest)));
        let at = self.0.iter().position(|it| it.0 == name);
        let Some(rest) = rest else {
            match at {
                Some(at) => self.0[at].1 = Node::Leaf(json),
                None => self.0.push((name.to_owned(), Node::Leaf(json))),
            }
            return;
        };
        let at = at.unwrap_or_else(|| {
            self.0.push((name.to_owned(), Node::Inner(Self::default())));
            self.0.len() - 1
        });
        if !matches!(self.0[at].1, Node::Inner(_)) {
            self.0[at].1 = Node::Inner(Self::default());
        }
        if let Node::Inner(inner) = &mut self.0[at].1 {
            inner.put(rest, json);
        }
    }

    /// As it is sent.
    pub(super) fn text(&self) -> String {
        let member = |(name, node): &(String, Node)| match node {
            Node::Leaf(json) => format!("{}:{json}", quoted(name)),
            Node::Inner(inner) => format!("{}:{}", quoted(name), inner.text()),
        };
        format!("{{{}}}", self.0.iter().map(member).collect::<Vec<_>>().join(","))
    }
}

/// A value of an export as JSON of the kind that a column holds; or why that cannot be.
pub(super) fn value(text: &str, column: &Column, divide_by: Option<u64>) -> Result<String, String> {
    let short = || text.chars().take(100).collect::<String>();
    let divided = match divide_by {
        Some(by) => Some(divided(text, by).ok_or_else(|| format!("“{}” cannot be divided by {by} exactly", short()))?),
        None => None,
    };
    let text = divided.as_deref().unwrap_or(text);
    let fault = |what: &str| Err(format!("“{}” is not {what}", short()));
    match column.base.as_str() {
        "bigint" => match number(text) {
            Some(it) if !it.contains('.') => Ok(it),
            _ => fault("a whole number"),
        },
        "numeric" => number(text).map_or_else(|| fault("a number"), Ok),
        "boolean" => match text.to_ascii_lowercase().as_str() {
            "t" | "true" => Ok("true".to_owned()),
            "f" | "false" => Ok("false".to_owned()),
            _ => fault("true or false"),
        },
        "jsonb" => match serde_json::from_str::<Box<RawValue>>(text) {
            Ok(json) => Ok(json.get().to_owned()),
            Err(_) => fault("JSON"),
        },
        "date" => match text.parse::<NaiveDate>() {
            Ok(day) => Ok(quoted(&day.to_string())),
            Err(_) => fault("a day"),
        },
        "timestamp with time zone" => moment(text).map_or_else(|| fault("a time"), |it| Ok(quoted(&it))),
        _ => Ok(quoted(text)),
    }
}

/// A number as JSON writes it, digit by digit as it was.
fn number(text: &str) -> Option<String> {
    let (sign, digits) = text.strip_prefix('-').map_or(("", text), |it| ("-", it));
    let (whole, part) = digits.split_once('.').map_or((digits, None), |(whole, part)| (whole, Some(part)));
    let are_digits = |it: &str| !it.is_empty() && it.bytes().all(|it| it.is_ascii_digit());
    if !are_digits(whole) || part.is_some_and(|it| !are_digits(it)) {
        return None;
    }
    let whole = whole.trim_start_matches('0');
    let whole = if whole.is_empty() { "0" } else { whole };
    Some(part.map_or_else(|| format!("{sign}{whole}"), |part| format!("{sign}{whole}.{part}")))
}

/// A number divided by ten, a hundred and so on, exactly.
fn divided(text: &str, by: u64) -> Option<String> {
    let places = by.to_string().len() - 1;
    if by != 10_u64.checked_pow(u32::try_from(places).ok()?)? {
        return None;
    }
    let number = number(text)?;
    let (sign, digits) = number.strip_prefix('-').map_or(("", number.as_str()), |it| ("-", it));
    let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
    let whole = format!("{whole:0>width$}", width = places + 1);
    let (whole, moved) = whole.split_at(whole.len() - places);
    let part = format!("{moved}{part}");
    Some(if part.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{part}") })
}

/// A moment as RFC 3339; one without a zone stays without.
fn moment(text: &str) -> Option<String> {
    let zoned = zoned(text).map(|it| it.to_utc().to_rfc3339_opts(SecondsFormat::AutoSi, true));
    zoned.or_else(|| {
        let bare = text.replacen('T', " ", 1).parse::<NaiveDateTime>().ok();
        let bare = bare.or_else(|| NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S%.f").ok());
        bare.map(|it| it.format("%Y-%m-%dT%H:%M:%S%.f").to_string())
    })
}

fn zoned(text: &str) -> Option<DateTime<chrono::FixedOffset>> {
    let usual = DateTime::parse_from_rfc3339(text).ok();
    usual.or_else(|| DateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S%.f%#z").ok())
}

/// Whether two values are the same to the application. One that it does not tell is no other one.
pub(super) fn is_same(ours: &str, theirs: Option<&RawValue>, column: &Column, members: Option<&[Column]>) -> bool {
    let Some(theirs) = theirs else { return true };
    let theirs = theirs.get().trim();
    if ours == theirs {
        return true;
    }
    if ours == "null" || theirs == "null" {
        return false;
    }
    if let Some(members) = members {
        return is_same_list(ours, theirs, members);
    }
    let (one, other) = (plain(ours), plain(theirs));
    match column.base.as_str() {
        "bigint" | "numeric" => match (bare(&one), bare(&other)) {
            (Some(one), Some(other)) => one == other,
            _ => false,
        },
        "jsonb" => serde_json::from_str::<Value>(ours).ok() == serde_json::from_str::<Value>(theirs).ok(),
        "timestamp with time zone" => match (zoned(&one), zoned(&other)) {
            (Some(one), Some(other)) => one == other,
            _ => one == other,
        },
        _ => one == other,
    }
}

fn is_same_list(ours: &str, theirs: &str, members: &[Column]) -> bool {
    let (Ok(ours), Ok(theirs)) =
        (serde_json::from_str::<Vec<Members>>(ours), serde_json::from_str::<Vec<Box<RawValue>>>(theirs))
    else {
        return false;
    };
    ours.len() == theirs.len()
        && ours.iter().zip(&theirs).all(|(one, other)| {
            let one = serde_json::value::to_raw_value(one).ok();
            let same = |column: &Column| {
                let Some(own) = one.as_ref().and_then(|it| at(it, &column.name)) else { return true };
                is_same(own.get(), at(other, &column.name).as_deref(), column, None)
            };
            members.iter().all(same)
        })
}

/// A number without what does not count.
fn bare(text: &str) -> Option<String> {
    let number = number(text)?;
    let number = if number.contains('.') { number.trim_end_matches('0').trim_end_matches('.') } else { &number };
    Some(if number == "-0" { "0".to_owned() } else { number.to_owned() })
}

/// What is wrong, from the places where applications usually say so.
pub(super) fn complaint(json: &RawValue, place: Option<&str>) -> Option<String> {
    if let Some(place) = place {
        return at(json, place).map(|it| plain(it.get()));
    }
    let value: Value = serde_json::from_str(json.get()).ok()?;
    let usual = ["error", "message", "detail", "errors", "error_description", "title"];
    usual.iter().find_map(|it| told(value.get(it)?)).or_else(|| told(&value))
}

fn told(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Array(list) => {
            let all: Vec<String> = list.iter().take(5).filter_map(told).collect();
            (!all.is_empty()).then(|| all.join("; "))
        }
        Value::Object(members) => {
            let words = ["message", "msg", "detail", "error"].iter().find_map(|it| members.get(*it)?.as_str());
            let where_it_is = members.get("loc").and_then(Value::as_array).and_then(|it| it.last()?.as_str());
            let where_it_is = where_it_is.or_else(|| members.get("field")?.as_str());
            match (words, where_it_is) {
                (Some(words), Some(place)) => Some(format!("{place}: {words}")),
                (Some(words), None) => Some(words.to_owned()),
                (None, _) => {
                    let all = members.iter().take(5).filter_map(|(name, it)| Some(format!("{name}: {}", told(it)?)));
                    let all: Vec<String> = all.collect();
                    (!all.is_empty()).then(|| all.join("; "))
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stores::tables::Holds;

    fn column(base: &str) -> Column {
        Column {
            name: "it".to_owned(),
            data_type: base.to_owned(),
            base: base.to_owned(),
            holds: Holds::of(base),
            required: false,
            made: None,
            generated: false,
        }
    }

    #[test]
    fn values_become_json_digit_by_digit_or_say_why_not() {
        let sent = |text: &str, base: &str| value(text, &column(base), None);
        assert_eq!(sent("99999999999999999999.10", "numeric").as_deref(), Ok("99999999999999999999.10"));
        assert_eq!(sent("-007", "bigint").as_deref(), Ok("-7"));
        assert_eq!(sent("NaN", "numeric"), Err("“NaN” is not a number".to_owned()));
        assert_eq!(sent("1.5", "bigint"), Err("“1.5” is not a whole number".to_owned()));
        assert_eq!(sent("t", "boolean").as_deref(), Ok("true"));
        assert_eq!(sent("a\"b\n\u{1}", "text").as_deref(), Ok(r#""a\"b\n\u0001""#));
        assert_eq!(
            sent("2026-01-31 13:00:00.000001+02", "timestamp with time zone").as_deref(),
            Ok("\"2026-01-31T11:00:00.000001Z\"")
        );
        assert_eq!(sent("2026-01-31 13:00:00", "timestamp with time zone").as_deref(), Ok("\"2026-01-31T13:00:00\""));
        assert!(sent("yesterday", "timestamp with time zone").is_err());
        assert!(sent("2026-02-30", "date").is_err());
        assert_eq!(sent("{\"a\": 1.10}", "jsonb").as_deref(), Ok("{\"a\": 1.10}"));
        let divided = |text: &str, by| value(text, &column("numeric"), Some(by));
        assert_eq!(divided("7", 100).as_deref(), Ok("0.07"));
        assert_eq!(divided("-12345", 100).as_deref(), Ok("-123.45"));
        assert_eq!(divided("12345", 1).as_deref(), Ok("12345"));
        assert!(divided("10", 3).is_err());
    }

    #[test]
    fn what_differs_in_form_alone_is_the_same() {
        let same = |ours: &str, theirs: &str, base: &str| {
            is_same(ours, Some(&RawValue::from_string(theirs.to_owned()).unwrap()), &column(base), None)
        };
        assert!(same("12.50", "12.5", "numeric") && same("12.50", "\"12.500\"", "numeric"));
        assert!(!same("12.50", "12.51", "numeric"));
        assert!(!same("99999999999999999999.1", "99999999999999999999.2", "numeric"));
        assert!(same("\"2026-01-31T11:00:00Z\"", "\"2026-01-31T12:00:00+01:00\"", "timestamp with time zone"));
        assert!(!same("null", "\"\"", "text") && same("\"7\"", "7", "text"));
        assert!(is_same("\"x\"", None, &column("text"), None), "what it does not tell");
        let members = [column("numeric")];
        let list = |ours: &str, theirs: &str| {
            let theirs = RawValue::from_string(theirs.to_owned()).unwrap();
            is_same(ours, Some(&theirs), &column("jsonb"), Some(&members))
        };
        assert!(list(r#"[{"it":1.0}]"#, r#"[{"it":1,"more":true}]"#));
        assert!(!list(r#"[{"it":1.0}]"#, r#"[{"it":2}]"#) && !list(r#"[{"it":1}]"#, "[]"));
    }

    #[test]
    fn an_object_is_made_of_places() {
        let mut object = Object::default();
        object.put("name", "\"A\"".to_owned());
        object.put("address.city", "\"B\"".to_owned());
        object.put("address.zip", "1.10".to_owned());
        let text = object.text();
        assert_eq!(text, r#"{"name":"A","address":{"city":"B","zip":1.10}}"#);
        let raw = read(text.as_bytes()).unwrap();
        assert_eq!(at(&raw, "address.zip").unwrap().get(), "1.10", "no float on the way");
        assert!(at(&raw, "address.x").is_none() && at(&raw, "name.x").is_none());
    }
}
