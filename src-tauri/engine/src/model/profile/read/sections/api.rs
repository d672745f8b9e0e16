//! The application's own interface, and what comes in through it.

use std::collections::BTreeMap;

use super::super::{
    super::{Api, ApiField, Call, EntityApi, FieldType, Find, Method, Reference, api::holes},
    addresses::{Refers, reference},
    document::{Node, Table, quoted},
    values::{one_of, time, version, words},
};
use super::probes::{http_question, json_path};

pub(super) fn api(node: &Node<'_>) -> Option<Api> {
    let table = node.table()?;
    let question = http_question(&table);
    let since = table.optional("since", version);
    let headers = table.optional("headers", headers).unwrap_or_default();
    let idempotency = table.optional("idempotency", |it| header_name(it, it.text()?));
    let error = table.optional("error", json_path);
    let timeout = table.optional("timeout", |it| time(it, "1s", "10m")).unwrap_or_else(Api::default_timeout);
    table.finish();
    Some(Api { question: question?, since, headers, idempotency, error, timeout })
}

fn header_name(node: &Node<'_>, text: &str) -> Option<String> {
    let is_token = |it: char| it.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(it);
    if !text.is_empty() && text.chars().all(is_token) {
        return Some(text.to_owned());
    }
    node.mistake(format!("{} cannot be the name of a header", quoted(text)), "write it as in “X-Api-Key”");
    None
}

fn headers(node: &Node<'_>) -> Option<BTreeMap<String, Reference>> {
    let mut headers = BTreeMap::new();
    for (value, name) in node.table()?.entries() {
        let Some(name) = header_name(&value, name) else { continue };
        let lower = name.to_ascii_lowercase();
        let is_secret = ["auth", "key", "token", "secret", "cookie", "password"].iter().any(|it| lower.contains(it));
        let refers = if is_secret { Refers::Secret } else { Refers::Plain };
        if matches!(lower.as_str(), "host" | "content-length" | "content-type" | "connection" | "transfer-encoding") {
            value.mistake(format!("{} is Liftlock's own to say", quoted(&name)), "take it out");
            continue;
        }
        if let Some(reference) = reference(&value, refers) {
            headers.insert(name, reference);
        }
    }
    Some(headers)
}

pub(super) fn entity_api(node: &Node<'_>) -> Option<EntityApi> {
    let table = node.table()?;
    let create = table.required("create", "create = { path = \"/api/customers\" }", call);
    let id = table.optional("id", json_path).unwrap_or_else(EntityApi::default_id);
    let key = table.list("key", json_path);
    let find = table.optional("find", find);
    let (read, update) = (table.optional("read", call), table.optional("update", call));
    let (remove, check) = (table.optional("remove", call), table.optional("check", call));
    let fields =
        table.required("fields", "fields = [{ field = \"name\", required = true }]", |it| Some(it.list(field)));
    table.finish();
    let api = EntityApi { create: create?, id, key, find, read, update, remove, check, fields: fields? };
    sense(&table, &api);
    Some(api)
}

/// What names a field names one that there is, and what was sent can be found again.
fn sense(table: &Table<'_>, api: &EntityApi) {
    if api.fields.is_empty() {
        table.mistake("“fields” names none", "name each field that the application takes");
    }
    let is_field = |name: &str| api.fields.iter().any(|it| it.field == name && it.kind != FieldType::List);
    for name in api.key.iter().filter(|it| !is_field(it)) {
        table.mistake(format!("{} of “key” is no field", quoted(name)), "name one of “fields”");
    }
    if api.find.is_some() && api.key.is_empty() {
        table.mistake(
            "“find” does not say by which fields",
            "add key = [\"email\"], the fields that people tell one by",
        );
    }
    let calls = [("create", Some(&api.create), false), ("check", api.check.as_ref(), false)];
    let by_id = [("read", api.read.as_ref(), true), ("update", api.update.as_ref(), true)];
    let all = calls.into_iter().chain(by_id).chain([("remove", api.remove.as_ref(), true)]);
    let paths = all.filter_map(|(key, call, id)| Some((key, call?.path.as_str(), id)));
    for (key, path, has_id) in paths.chain(api.find.iter().map(|it| ("find", it.path.as_str(), false))) {
        let known = |it: &&str| is_field(it) || (has_id && *it == "id");
        if let Some(hole) = holes(path).into_iter().find(|it| !known(it)) {
            let reason = format!("{{{hole}}} in “{key}” is no field");
            table.mistake(reason, "write the name of one of “fields” into the braces");
        }
        if has_id && !holes(path).contains(&"id") {
            table.mistake(format!("“{key}” does not say which one"), "put {id} where the path names it");
        }
    }
    if let Some(find) = &api.find
        && let Some(name) = api.key.iter().find(|it| !holes(&find.path).contains(&it.as_str()))
    {
        let reason = format!("“find” does not ask for {}", quoted(name));
        table.mistake(reason, format!("put {{{name}}} into its path, or take it out of “key”"));
    }
    for (number, field) in api.fields.iter().enumerate() {
        if api.fields.iter().take(number).any(|it| it.field == field.field) {
            table.mistake(format!("{} stands in “fields” twice", quoted(&field.field)), "take one of the two out");
        }
    }
}

fn call(node: &Node<'_>) -> Option<Call> {
    const METHODS: &[(&str, Method)] =
        &[("POST", Method::Post), ("PUT", Method::Put), ("PATCH", Method::Patch), ("DELETE", Method::Delete)];
    let table = node.table()?;
    let path = table.required("path", "path = \"/api/customers\"", path);
    let method = table.optional("method", |it| one_of(it, METHODS));
    table.finish();
    Some(Call { path: path?, method })
}

fn find(node: &Node<'_>) -> Option<Find> {
    let table = node.table()?;
    let path = table.required("path", "path = \"/api/customers?email={email}\"", path);
    let at = table.optional("at", json_path);
    table.finish();
    Some(Find { path: path?, at })
}

fn path(node: &Node<'_>) -> Option<String> {
    let text = node.text()?;
    let has_dots = text.split(['/', '?']).any(|it| matches!(it, "." | ".."));
    let is_plain = text.chars().all(|it| it.is_ascii_graphic() && !matches!(it, '\\' | '#'));
    if text.starts_with('/') && !text.starts_with("//") && is_plain && !has_dots {
        return Some(text.to_owned());
    }
    let remedy = "write it from the root, percent-encoded, without the server: “/api/customers”";
    node.mistake(format!("{} is not a path", quoted(text)), remedy);
    None
}

fn field(node: &Node<'_>) -> Option<ApiField> {
    const TYPES: &[(&str, FieldType)] = &[
        ("text", FieldType::Text),
        ("integer", FieldType::Integer),
        ("number", FieldType::Number),
        ("boolean", FieldType::Boolean),
        ("time", FieldType::Time),
        ("date", FieldType::Date),
        ("json", FieldType::Json),
        ("list", FieldType::List),
    ];
    let table = node.table()?;
    let name = table.required("field", "field = \"name\"", json_path);
    let kind = table.optional("type", |it| one_of(it, TYPES)).unwrap_or_default();
    let required = table.optional("required", Node::flag).unwrap_or_default();
    let in_path = table.optional("in_path", Node::flag).unwrap_or_default();
    let refers = table.optional("refers", words);
    let of = table.optional("of", words);
    let fields = table.list("fields", field);
    table.finish();
    let is_list = kind == FieldType::List;
    if is_list != of.is_some() || is_list == fields.is_empty() {
        let remedy =
            "write type = \"list\", of = \"order lines\" and fields = […] for a list, and none of them otherwise";
        table.mistake("a list says of what it is and what is in each, and nothing else does", remedy);
    }
    if fields.iter().any(|it| it.kind == FieldType::List) {
        table.mistake("a list in a list cannot come in", "let it be an entity of its own");
    }
    Some(ApiField { field: name?, kind, required, in_path, refers, of, fields })
}
