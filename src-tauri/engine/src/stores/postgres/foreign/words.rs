//! What a statement of somebody else's file is, by its first words, and what is done with it.

use super::sql::{Tally, refused};
use crate::error::Error;

/// What is done with a statement.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Rule {
    /// There is none.
    Nothing,
    /// It runs.
    Keep,
    /// It runs, and rows for this table follow.
    Rows(String),
    /// It does not run, and this is said about it.
    LeaveOut(&'static str),
    /// The file is not brought in.
    Refuse(Error),
}

pub(super) const OWNERS: &str =
    "Owners and rights of other users are not taken over: everything belongs to the application’s own user.";
const EXTENSIONS: &str =
    "Extensions are made by Liftlock, and only those that are here already or that any owner may make.";
const SHARING: &str =
    "Connections to other servers, publications, subscriptions and event triggers are not taken over.";
const REMOVALS: &str = "Commands that remove things first are left out: there is nothing to remove in a new database.";
const LIMITS: &str = "Settings that this server does not know are left out.";

/// A word or a sign of a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    /// As the server folds it.
    Word(String),
    /// In quotes.
    Name(String),
    /// A value, whatever it is.
    Value,
    Sign(u8),
}

impl Token {
    fn is(&self, word: &str) -> bool {
        matches!(self, Self::Word(it) if it == word)
    }
}

/// What is done with this statement, which brings so many rows if it says `VALUES`; what it tells goes into the tally.
pub(super) fn rule(text: &[u8], values: Option<u64>, tally: &mut Tally) -> Rule {
    let tokens = tokens(text, 4000, tally.is_latin);
    let word = |at: usize| match tokens.get(at) {
        Some(Token::Word(it)) => it.as_str(),
        _ => "",
    };
    let has = |wanted: &str| tokens.iter().any(|it| it.is(wanted));
    let beyond = || {
        Rule::Refuse(refused(
            "sql_beyond_database",
            "The file holds commands for more than one database: users, databases or the server.",
        ))
    };
    match (word(0), word(1)) {
        ("", _) if tokens.is_empty() || tokens == [Token::Sign(b';')] => Rule::Nothing,
        ("copy", _) => copy(&tokens, tally),
        ("alter" | "create" | "drop", "role" | "user" | "group" | "database" | "tablespace" | "system")
            if !(word(1) == "user" && word(2) == "mapping") =>
        {
            beyond()
        }
        ("load", _) => beyond(),
        ("create", "user") | ("alter" | "drop", "user") => Rule::LeaveOut(SHARING),
        ("create" | "alter", "publication" | "subscription" | "event" | "server") => Rule::LeaveOut(SHARING),
        ("create" | "alter", "foreign") if word(2) == "data" => Rule::LeaveOut(SHARING),
        ("security", "label") => Rule::LeaveOut(SHARING),
        ("create", "extension") => {
            let (name, schema) = extension(&tokens);
            tally.extensions.entry(name).or_insert(schema);
            Rule::LeaveOut(EXTENSIONS)
        }
        ("alter", "extension") | ("comment", "on")
            if has("extension") && word(2) == "extension" || word(1) == "extension" =>
        {
            Rule::LeaveOut(EXTENSIONS)
        }
        ("comment", "on")
            if ["publication", "subscription", "event", "server", "foreign", "database", "role"].contains(&word(2)) =>
        {
            Rule::LeaveOut(SHARING)
        }
        ("grant" | "revoke", _) => Rule::LeaveOut(OWNERS),
        ("alter", "default") => Rule::LeaveOut(OWNERS),
        ("alter", _) if tokens.windows(2).any(|it| it[0].is("owner") && it[1].is("to")) => Rule::LeaveOut(OWNERS),
        ("set" | "reset", "role") => Rule::LeaveOut(OWNERS),
        ("set" | "reset", "session") if word(2) == "authorization" => Rule::LeaveOut(OWNERS),
        ("set", "transaction_timeout") => Rule::LeaveOut(LIMITS),
        ("set", "standard_conforming_strings") if !has("on") => Rule::Refuse(refused(
            "sql_unclear",
            "The file changes how texts are written in it, which no pg_dump of today does.",
        )),
        ("set", "client_encoding") => {
            tally.is_latin = text.to_ascii_uppercase().windows(8).any(|it| it == b"'LATIN1'");
            Rule::Keep
        }
        ("set", "search_path") => {
            tally.usual_schema = tokens.iter().skip(3).find_map(|it| match it {
                Token::Word(name) | Token::Name(name) if !name.is_empty() && name != "pg_catalog" => Some(name.clone()),
                _ => None,
            });
            Rule::Keep
        }
        ("drop", _) => Rule::LeaveOut(REMOVALS),
        ("alter", _) if !tally.has_begun && has("drop") => Rule::LeaveOut(REMOVALS),
        ("create", "schema") if tokens.iter().any(|it| it.is("public")) => Rule::LeaveOut(REMOVALS),
        ("create", _) => {
            tally.has_begun = true;
            if let Some(at) = tokens.iter().take(4).position(|it| it.is("table"))
                && let Some(name) = name_at(&tokens, at + 1, tally)
            {
                tally.tables.insert(name);
            }
            Rule::Keep
        }
        ("insert", "into") => {
            if let Some(name) = name_at(&tokens, 2, tally) {
                *tally.inserted.entry(name).or_default() += values.unwrap_or(1).max(1);
            }
            Rule::Keep
        }
        _ => Rule::Keep,
    }
}

/// `COPY name (columns) FROM stdin …`: anything else goes to files or programs of the server.
fn copy(tokens: &[Token], tally: &Tally) -> Rule {
    let from = tokens.iter().position(|it| it.is("from"));
    let is_stdin = from.and_then(|it| tokens.get(it + 1)).is_some_and(|it| it.is("stdin"));
    let name = name_at(tokens, 1, tally);
    match name {
        Some(name) if is_stdin && !tokens.iter().any(|it| it.is("binary")) => Rule::Rows(name),
        _ => Rule::Refuse(refused(
            "sql_touches_files",
            "The file wants to read or write files of the database server, or to run a program there.",
        )),
    }
}

/// `CREATE EXTENSION IF NOT EXISTS name WITH SCHEMA schema …`.
fn extension(tokens: &[Token]) -> (String, Option<String>) {
    let named = |at: usize| match tokens.get(at) {
        Some(Token::Word(it) | Token::Name(it)) => it.clone(),
        _ => String::new(),
    };
    let at = if tokens.get(2).is_some_and(|it| it.is("if")) { 5 } else { 2 };
    let schema = tokens.iter().skip(at).position(|it| it.is("schema")).map(|it| named(at + it + 1));
    (named(at), schema)
}

/// The table that is named here, as inventories write it.
fn name_at(tokens: &[Token], at: usize, tally: &Tally) -> Option<String> {
    let mut at = at;
    while tokens.get(at).is_some_and(|it| ["if", "not", "exists", "only"].iter().any(|word| it.is(word))) {
        at += 1;
    }
    let named = |at: usize| match tokens.get(at) {
        Some(Token::Word(it) | Token::Name(it)) => Some(it.clone()),
        _ => None,
    };
    let first = named(at)?;
    let (schema, table) = match tokens.get(at + 1) {
        Some(Token::Sign(b'.')) => (first, named(at + 2)?),
        _ => (tally.usual_schema.clone().unwrap_or_else(|| "public".to_owned()), first),
    };
    Some(crate::stores::postgres::inventory::key(&schema, &table))
}

/// Words, names and signs of a statement; comments and what stands in texts are left out.
fn tokens(text: &[u8], most: usize, is_latin: bool) -> Vec<Token> {
    let text = &text[..text.len().min(256 << 10)];
    // Each byte of this one is the letter of the same number.
    let text = if is_latin { text.iter().map(|it| char::from(*it)).collect() } else { String::from_utf8_lossy(text) };
    let (mut tokens, mut rest) = (Vec::new(), text.as_ref());
    while let Some(first) = rest.chars().next() {
        if tokens.len() == most {
            break;
        }
        let is_word = |it: char| it.is_alphanumeric() || it == '_' || it == '$';
        let taken = if first.is_whitespace() {
            first.len_utf8()
        } else if rest.starts_with("--") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |it| it + 2)
        } else if first == '"' {
            let (name, taken) = quoted(rest, '"');
            tokens.push(Token::Name(name));
            taken
        } else if first == '\'' {
            tokens.push(Token::Value);
            quoted(rest, '\'').1
        } else if is_word(first) && first != '$' {
            let taken = rest.find(|it| !is_word(it)).unwrap_or(rest.len());
            tokens.push(Token::Word(rest[..taken].to_lowercase()));
            taken
        } else {
            tokens.push(Token::Sign(u8::try_from(first).unwrap_or(b'?')));
            first.len_utf8()
        };
        rest = &rest[taken..];
    }
    tokens
}

/// What stands between two of these, which are written twice inside.
fn quoted(text: &str, by: char) -> (String, usize) {
    let (mut inner, mut at) = (String::new(), 1);
    while let Some(found) = text[at..].find(by) {
        inner.push_str(&text[at..at + found]);
        at += found + 1;
        if !text[at..].starts_with(by) {
            return (inner, at);
        }
        inner.push(by);
        at += 1;
    }
    (inner, text.len())
}
