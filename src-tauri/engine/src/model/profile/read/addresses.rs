//! Addresses, ports, and references to what stands elsewhere.

use url::{Host, Url};

use super::{
    super::{
        Placeholder, Reference, Template,
        connection::{self, Family},
    },
    commands::template,
    document::{Node, quoted},
    values::{Read, file, variable},
};

/// An address over HTTP; `{port}` may stand in it.
pub(super) fn http_url(node: &Node<'_>) -> Read<Template> {
    let template = template(node, &[Placeholder::Port])?;
    let sample = template.fill(&[(Placeholder::Port, "80")]).unwrap_or_default();
    let url = parsed_http(node, &sample)?;
    if url.fragment().is_some() {
        node.mistake(format!("{} ends with a “#…” that is never sent", node.name()), "take it out");
        return None;
    }
    Some(template)
}

/// The base of an API: https, or http to this machine.
pub(super) fn api(node: &Node<'_>) -> Read<String> {
    let text = node.text()?;
    if secret_in_address(node, text) {
        return None;
    }
    let url = parsed_http(node, text)?;
    if url.scheme() == "http" && !is_this_machine(&url) {
        let reason = format!("{} would ask another machine over http, where anyone can answer", node.name());
        node.mistake(reason, "write https://…; http is for a server on this machine only");
        return None;
    }
    if url.query().is_some() || url.fragment().is_some() {
        node.mistake(format!("{} is not the base of an API", node.name()), "write it without “?…” and “#…”");
        return None;
    }
    Some(text.trim_end_matches('/').to_owned())
}

fn parsed_http(node: &Node<'_>, text: &str) -> Read<Url> {
    let url = Url::parse(text).ok().filter(|it| it.host().is_some());
    if let Some(url) = url.filter(|it| matches!(it.scheme(), "http" | "https")) {
        return Some(url);
    }
    node.mistake(format!("{} is not an address with http or https", node.name()), "write it as “https://host/path”");
    None
}

/// Whether an address leads to this machine itself.
pub(super) fn is_this_machine(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// A password written into an address is a secret in clear.
pub(super) fn secret_in_address(node: &Node<'_>, text: &str) -> bool {
    let user_info = text.split_once("://").and_then(|(_, rest)| rest.split('/').next()?.rsplit_once('@'));
    let password = user_info.and_then(|(info, _)| info.split_once(':')).map(|(_, password)| password);
    let in_clear = password.is_some_and(|it| !it.is_empty() && it != "{password}");
    if in_clear {
        let reason = format!("{} holds a password in clear", node.name());
        node.mistake(
            reason,
            "put the secret into a file that only its owner can read, and refer to it by { file, key }",
        );
    }
    in_clear
}

/// What a reference may be.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Refers {
    /// A value, or a key in a file.
    Plain,
    /// A key in a file.
    Secret,
    /// A key in a file, or a password file.
    DatabasePassword,
    /// A key in a file, a variable of the environment, or an entry of the system's keychain. Who asks a release server
    /// may fail and ask again; nobody else may depend on where Liftlock was started, or on a keychain being open.
    Token,
}

/// A value, or where it stands.
pub(super) fn reference(node: &Node<'_>, refers: Refers) -> Read<Reference> {
    let by_reference = match refers {
        Refers::Plain | Refers::Secret => "{ file = \".env\", key = \"NAME\" }",
        Refers::DatabasePassword => "{ file = \".env\", key = \"NAME\" } or { passfile = \"…\" }",
        Refers::Token => "{ file = \".env\", key = \"NAME\" }, { env = \"NAME\" } or { keychain = \"name\" }",
    };
    if !node.is_table() {
        if refers != Refers::Plain {
            let reason = format!("{} is a secret in clear", node.name());
            let remedy = match refers {
                Refers::Token => format!("put it where only its owner can read it, and write {by_reference}"),
                _ => format!("put it into a file that only its owner can read, and write {by_reference}"),
            };
            node.mistake(reason, remedy);
            return None;
        }
        return match node.digits() {
            Some(digits) => Some(Reference::Value(digits)),
            None => node.text().filter(|it| !secret_in_address(node, it)).map(|it| Reference::Value(it.to_owned())),
        };
    }
    let table = node.table()?;
    for (key, what) in [("keychain", "the keychain of the system"), ("env", "the environment")] {
        if table.has(key) && refers != Refers::Token {
            let reason = format!("{what} is for the token of [releases], not for {}", node.name());
            node.mistake(reason, format!("write {by_reference}"));
            return None;
        }
    }
    if table.has("passfile") && refers != Refers::DatabasePassword {
        let reason = format!("a password file cannot tell {}", node.name());
        node.mistake(reason, "a “passfile” is for the password of a database; write { file, key }");
        return None;
    }
    let reference = if table.has("passfile") {
        table.required("passfile", "passfile = \"…\"", file).map(Reference::Passfile)
    } else if table.has("env") {
        table.required("env", "env = \"NAME\"", variable).map(Reference::Variable)
    } else if table.has("keychain") {
        table.required("keychain", "keychain = \"name\"", keychain_entry).map(Reference::Keychain)
    } else {
        let file = table.required("file", "file = \".env\"", file);
        let key = table.required("key", "key = \"NAME\"", variable);
        file.zip(key).map(|(file, key)| Reference::Env { file, key })
    };
    table.finish();
    reference
}

/// It becomes part of a command that people copy.
fn keychain_entry(node: &Node<'_>) -> Read<String> {
    let text = node.text()?;
    let legal = (1..=64).contains(&text.len())
        && text.starts_with(|it: char| it.is_ascii_alphanumeric())
        && text.chars().all(|it| it.is_ascii_alphanumeric() || matches!(it, '-' | '_' | '.' | '@'));
    if !legal {
        let remedy = "write letters, digits and - _ . @ only: “github”";
        node.mistake(format!("{} is no name of an entry of a keychain", quoted(text)), remedy);
    }
    legal.then(|| text.to_owned())
}

/// The address of a database, or where it stands.
pub(super) fn database_url(node: &Node<'_>, family: Family) -> Read<Reference> {
    let reference = reference(node, Refers::Plain)?;
    if let Reference::Value(text) = &reference {
        let fault = match connection::from_url(text, family) {
            Ok(endpoint) if endpoint.password.is_some() => "holds a password in clear",
            Ok(_) => return Some(reference),
            Err(fault) => fault,
        };
        let remedy = format!("write {}://user@host:port/database, and the password by reference", family.scheme());
        node.mistake(format!("{} {fault}", node.name()), remedy);
        return None;
    }
    Some(reference)
}

/// A port as a value or where it stands.
pub(super) fn port(node: &Node<'_>) -> Read<Reference> {
    let reference = reference(node, Refers::Plain)?;
    if let Reference::Value(text) = &reference
        && text.parse::<u16>().ok().filter(|it| *it > 0).is_none()
    {
        node.mistake(format!("{} is not a port", quoted(text)), "write a number from 1 to 65535, or { file, key }");
        return None;
    }
    Some(reference)
}

/// An address to listen on, as a value or where it stands.
pub(super) fn bind(node: &Node<'_>) -> Read<Reference> {
    let reference = reference(node, Refers::Plain)?;
    if let Reference::Value(text) = &reference
        && text != "localhost"
        && text.parse::<std::net::IpAddr>().is_err()
    {
        node.mistake(format!("{} is not an IP address", quoted(text)), "write “127.0.0.1”, “0.0.0.0” or “::1”");
        return None;
    }
    Some(reference)
}
