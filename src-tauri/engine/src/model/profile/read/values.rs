//! What a path, a command, an address or a reference looks like.

use std::{collections::BTreeMap, time::Duration};

use semver::Version;
use url::{Host, Url};

use super::{
    super::{
        CommandLine, FilePath, InsidePath, Placeholder, Reference, Template, connection, duration,
        env_file::is_variable,
        template::{self, Piece},
    },
    document::{Document, Node, listed, nearest, quoted},
};
use crate::model::release::AssetPattern;

type Read<T> = Option<T>;

/// A word of our own out of a few.
pub(super) fn one_of<T: Copy>(node: &Node<'_>, words: &[(&'static str, T)]) -> Read<T> {
    let text = node.text()?;
    if let Some((_, value)) = words.iter().find(|(word, _)| *word == text) {
        return Some(*value);
    }
    let names: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
    let remedy = match nearest(text, names.iter().copied()) {
        Some(near) => format!("did you mean “{near}”?"),
        None => format!("write one of: {}", listed(&names)),
    };
    node.mistake(format!("{} cannot be {}", node.name(), quoted(text)), remedy);
    None
}

/// A sentence or a name that people read.
pub(super) fn words(node: &Node<'_>) -> Read<String> {
    let text = node.text()?;
    if text.chars().count() > 100 {
        node.mistake(format!("{} is longer than 100 characters", node.name()), "shorten it");
        return None;
    }
    Some(text.trim().to_owned())
}

/// A name that other keys refer to.
pub(super) fn name(node: &Node<'_>) -> Read<String> {
    let text = node.text()?;
    let legal = text.chars().all(|it| it.is_ascii_alphanumeric() || matches!(it, '-' | '_' | '.'));
    if !legal || !text.starts_with(|it: char| it.is_ascii_alphanumeric()) || text.len() > 64 {
        let reason = format!("{} cannot be a name", quoted(text));
        node.mistake(reason, "use letters, digits, dashes, dots and underscores, beginning with a letter or digit");
        return None;
    }
    Some(text.to_owned())
}

/// The name of a table in another section. With `kinds`, it must be one of these.
pub(super) fn existing(node: &Node<'_>, section: &'static str, kinds: &[&str]) -> Read<String> {
    let wanted = name(node)?;
    let known = names(node.document(), section, "name");
    let Some((number, _)) = known.iter().find(|(_, it)| *it == wanted) else {
        let known: Vec<&str> = known.iter().map(|(_, it)| it.as_str()).collect();
        let remedy = match nearest(&wanted, known.iter().copied()) {
            Some(near) => format!("did you mean “{near}”?"),
            None if known.is_empty() => format!("add a table [[{section}]] with that name"),
            None => format!("there are: {}", listed(&known)),
        };
        node.mistake(format!("there is no {} in [[{section}]]", quoted(&wanted)), remedy);
        return None;
    };
    let of_kind = names(node.document(), section, "kind").into_iter().find(|(it, _)| it == number);
    if let Some((_, kind)) = of_kind.filter(|(_, it)| !kinds.is_empty() && !kinds.contains(&it.as_str())) {
        let reason = format!("{} in [[{section}]] is of kind {}", quoted(&wanted), quoted(&kind));
        node.mistake(reason, format!("name one of kind {}", kinds.join(" or ")));
        return None;
    }
    Some(wanted)
}

/// What a key says in each of a list of tables, with their numbers in the text, whatever else is wrong there.
pub(super) fn names<'d>(document: &'d Document<'d>, section: &'static str, key: &'static str) -> Vec<(usize, String)> {
    let members = document.root().node(section).map(|it| it.quiet_members()).unwrap_or_default();
    let said = |entry: &Node<'_>| entry.is_table().then(|| entry.table()).flatten()?.node(key)?.quiet_text();
    members.iter().enumerate().filter_map(|(number, entry)| Some((number, said(entry)?))).collect()
}

/// The id of an application.
pub(super) fn id(node: &Node<'_>) -> Read<String> {
    let text = node.text()?;
    let legal = text.chars().all(|it| it.is_ascii_lowercase() || it.is_ascii_digit() || it == '-');
    if !legal || text.starts_with('-') || text.ends_with('-') || text.len() > 64 {
        let reason = format!("{} cannot be the id of an application", quoted(text));
        node.mistake(reason, "use small letters, digits and dashes: “corner-shop”");
        return None;
    }
    Some(text.to_owned())
}

/// The name of an environment variable.
pub(super) fn variable(node: &Node<'_>) -> Read<String> {
    let text = node.text()?;
    is_variable_or_mistake(node, text).then(|| text.to_owned())
}

fn is_variable_or_mistake(node: &Node<'_>, text: &str) -> bool {
    let legal = is_variable(text);
    if !legal {
        let reason = format!("{} cannot be the name of an environment variable", quoted(text));
        node.mistake(reason, "use letters, digits and underscores, beginning with a letter: “DATABASE_URL”");
    }
    legal
}

/// A column: any name that a database can hold, without quotes of its own.
pub(super) fn column(node: &Node<'_>) -> Read<String> {
    let text = node.text()?;
    if text.contains(['"', '\'', ';', '\\']) || text.len() > 63 {
        let reason = format!("{} cannot be the name of a column", quoted(text));
        node.mistake(reason, "write the bare name, without quotes; expressions are not understood");
        return None;
    }
    Some(text.to_owned())
}

/// A table, perhaps with its schema.
pub(super) fn table(node: &Node<'_>) -> Read<String> {
    let text = node.text()?;
    let legal = |it: &str| !it.is_empty() && it.len() <= 63 && it.chars().all(|c| c.is_alphanumeric() || c == '_');
    if text.split('.').count() > 2 || !text.split('.').all(legal) {
        let reason = format!("{} cannot be the name of a table", quoted(text));
        node.mistake(reason, "write “table” or “schema.table”, without quotes");
        return None;
    }
    Some(text.to_owned())
}

/// A semantic version.
pub(super) fn version(node: &Node<'_>) -> Read<Version> {
    let text = node.text()?;
    let version = Version::parse(text);
    if version.is_err() {
        let remedy = match Version::parse(text.trim_start_matches(['v', 'V'])) {
            Ok(version) => format!("write “{version}”, without the letter"),
            Err(_) => "write three numbers: “2.0.0”".to_owned(),
        };
        node.mistake(format!("{} is not a version", quoted(text)), remedy);
    }
    version.ok()
}

/// A length of time within bounds.
pub(super) fn time(node: &Node<'_>, least: &str, most: &str) -> Read<Duration> {
    let text = node.text()?;
    let Some(time) = duration::parse(text) else {
        node.mistake(format!("{} is not a length of time", quoted(text)), "write it as “30s”, “10m”, “1h30m” or “2d”");
        return None;
    };
    let within = |bound: &str, holds: fn(&Duration, &Duration) -> bool| {
        duration::parse(bound).is_some_and(|bound| holds(&time, &bound))
    };
    if !within(least, Duration::ge) || !within(most, Duration::le) {
        node.mistake(format!("{} is out of bounds", node.name()), format!("write a time from {least} to {most}"));
        return None;
    }
    Some(time)
}

/// A path inside the installation folder or a release.
pub(super) fn inside(node: &Node<'_>) -> Read<InsidePath> {
    let text = node.text()?;
    let remedy = "write it relative to the folder, with slashes: “data/uploads”";
    InsidePath::parse(text).map_err(|fault| node.mistake(format!("{} {fault}", quoted(text)), remedy)).ok()
}

/// A path inside the installation folder, or an absolute one.
pub(super) fn file(node: &Node<'_>) -> Read<FilePath> {
    let text = node.text()?;
    let remedy = "write it relative to the installation folder, or from the root, with slashes and without “..”";
    FilePath::parse(text).map_err(|fault| node.mistake(format!("{} {fault}", quoted(text)), remedy)).ok()
}

/// The name of a file in a release, with its placeholders.
pub(super) fn asset(node: &Node<'_>) -> Read<AssetPattern> {
    let text = node.text()?;
    let remedy = "write the bare name, as the release page shows it: “corner-shop-{version}.tar.gz”";
    text.parse().map_err(|fault: String| node.mistake(fault, remedy)).ok()
}

/// Text with placeholders of which some are allowed.
pub(super) fn template(node: &Node<'_>, allowed: &[Placeholder]) -> Read<Template> {
    let text = node.text()?;
    let names: Vec<String> = allowed.iter().map(ToString::to_string).collect();
    let known = match names.as_slice() {
        [] => "none is known here".to_owned(),
        names => format!("known here: {}", names.join(", ")),
    };
    let mut good = !secret_in_address(node, text);
    for piece in template::pieces(text) {
        let (reason, remedy) = match piece {
            Piece::Text(_) => continue,
            Piece::Stray(brace) => (
                format!("“{brace}” stands alone in {}", quoted(text)),
                format!("close the placeholder, or write “{brace}{brace}” for the brace itself"),
            ),
            Piece::Hole(word) => match word.parse::<Placeholder>() {
                Ok(it) if allowed.contains(&it) => continue,
                Ok(Placeholder::Password) => (
                    format!("{{password}} is not allowed in {}", node.name()),
                    "hand passwords over in an environment variable, by “point_at” of the store".to_owned(),
                ),
                Ok(it) => (format!("{it} means nothing in {}", node.name()), known.clone()),
                Err(()) => {
                    let near = nearest(word, allowed.iter().map(|it| it.word()));
                    let remedy = near.map_or_else(|| known.clone(), |near| format!("did you mean “{{{near}}}”?"));
                    (format!("unknown placeholder {} in {}", quoted(&format!("{{{word}}}")), node.name()), remedy)
                }
            },
        };
        node.mistake(reason, remedy);
        good = false;
    }
    good.then(|| Template::checked(text))
}

/// Program and arguments, one string each.
pub(super) fn command(node: &Node<'_>, allowed: &[Placeholder]) -> Read<Vec<Template>> {
    if let Some(text) = node.is_text().then(|| node.raw_text()).flatten() {
        let words: Vec<String> = text.split_whitespace().map(|it| format!("{it:?}")).collect();
        let reason = format!("{} is one text, and there is no shell to take it apart", node.name());
        // What may hold a secret is not repeated.
        let is_secret =
            text.split_whitespace().any(|it| is_option_for_secret(it.split('=').next().unwrap_or_default()));
        let example =
            if is_secret || text.contains("://") { "\"program\", \"argument\"".to_owned() } else { words.join(", ") };
        node.mistake(reason, format!("write program and arguments as a list: [{example}]"));
        return None;
    }
    let members = node.members();
    let Some(program) = members.first() else {
        node.mistake(
            format!("{} names no program", node.name()),
            "write program and arguments: [\"bin/shop\", \"serve\"]",
        );
        return None;
    };
    let mut good = is_program(program);
    let mut names_secret = false;
    for member in &members {
        let Some(text) = member.raw_text() else { continue };
        good &= is_argument(member, text, names_secret);
        names_secret = is_option_for_secret(text);
    }
    let words: Vec<Option<Template>> = members
        .iter()
        // An argument may be empty, and then it has no placeholders either.
        .map(|it| if it.raw_text() == Some("") { Some(Template::checked("")) } else { template(it, allowed) })
        .collect();
    words.into_iter().collect::<Option<Vec<_>>>().filter(|_| good)
}

fn is_program(node: &Node<'_>) -> bool {
    let Some(text) = node.text() else { return false };
    let fault = if text.starts_with('-') {
        "begins like an option"
    } else if text.split(['/', '\\']).any(|it| it == "..") {
        "climbs out with “..”"
    } else if text.contains(char::is_whitespace) && !text.contains('/') {
        "holds a space"
    } else {
        return true;
    };
    let remedy = "write the program alone: a path inside the installation folder, an absolute path, or a bare name";
    node.mistake(format!("the program {} {fault}", quoted(text)), remedy);
    false
}

fn is_argument(node: &Node<'_>, text: &str, after_option_for_secret: bool) -> bool {
    const SHELL: [&str; 9] = ["&&", "||", "|", ">", ">>", "<", ";", "&", "2>&1"];
    let by_option =
        text.split_once('=').is_some_and(|(option, value)| is_option_for_secret(option) && !value.is_empty());
    if by_option || (after_option_for_secret && !text.starts_with('-')) {
        node.mistake(
            "a secret stands in the arguments of a command",
            "put it into the environment file of the command",
        );
        return false;
    }
    if SHELL.contains(&text) {
        let reason = format!("{} means something to a shell, and there is none", quoted(text));
        node.mistake(reason, "name one program and its arguments; put more into a script of the application");
        return false;
    }
    if text
        .strip_prefix('$')
        .is_some_and(|it| it.starts_with(|c: char| c == '{' || c == '(' || is_variable(&c.to_string())))
    {
        let reason = format!("{} stays as it is: there is no shell to replace it", quoted(text));
        node.mistake(reason, "let the program read its environment, or use a placeholder such as {dir}");
        return false;
    }
    true
}

fn is_option_for_secret(text: &str) -> bool {
    let Some(option) = text.strip_prefix('-') else { return false };
    let option = option.trim_start_matches('-').to_lowercase().replace('_', "-");
    ["password", "passwd", "token", "secret", "api-key", "apikey"].iter().any(|it| option.ends_with(it))
}

/// A command with its environment.
pub(super) fn command_line(node: &Node<'_>, allowed: &[Placeholder]) -> Read<CommandLine> {
    let table = node.table()?;
    let words = table.required("command", "command = [\"program\", \"argument\"]", |it| command(it, allowed));
    let env_file = table.optional("env_file", file);
    table.finish();
    Some(CommandLine { command: words?, env_file })
}

/// The variables that point a command elsewhere; together they must hold all that is needed for it.
pub(super) fn variables(
    node: &Node<'_>,
    allowed: &[Placeholder],
    needed: &[Placeholder],
) -> Read<BTreeMap<String, Template>> {
    let mut variables = BTreeMap::new();
    let mut held = String::new();
    for (value, key) in node.table()?.entries() {
        held.push_str(&value.quiet_text().unwrap_or_default());
        let named = is_variable_or_mistake(&value, key);
        if let Some(template) = template(&value, allowed).filter(|_| named) {
            variables.insert(key.to_owned(), template);
        }
    }
    let missing: Vec<String> = needed.iter().map(ToString::to_string).filter(|it| !held.contains(it)).collect();
    if !missing.is_empty() {
        let reason = format!("{} leaves out {}: a trial would touch the live data", node.name(), missing.join(", "));
        node.mistake(reason, "name the variables that set all of them");
    }
    Some(variables)
}

/// Text in which `{port}` is the port of the gate, which must then be there.
pub(super) fn behind_the_gate<T>(node: &Node<'_>, read: impl Fn(&Node<'_>) -> Read<T>) -> Read<T> {
    let uses_port = |it: &Node<'_>| it.quiet_text().is_some_and(|it| it.contains("{port}"));
    if (uses_port(node) || node.quiet_members().iter().any(uses_port)) && !node.document().holds("gate") {
        let reason = "{port} is the port of the gate, and there is no [gate]";
        node.mistake(reason, "add [gate], or write the port itself");
    }
    read(node)
}

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
fn secret_in_address(node: &Node<'_>, text: &str) -> bool {
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
}

/// A value, or where it stands.
pub(super) fn reference(node: &Node<'_>, refers: Refers) -> Read<Reference> {
    let by_reference = match refers {
        Refers::Plain | Refers::Secret => "{ file = \".env\", key = \"NAME\" }",
        Refers::DatabasePassword => "{ file = \".env\", key = \"NAME\" } or { passfile = \"…\" }",
    };
    if !node.is_table() {
        if refers != Refers::Plain {
            let reason = format!("{} is a secret in clear", node.name());
            node.mistake(reason, format!("put it into a file that only its owner can read, and write {by_reference}"));
            return None;
        }
        return match node.digits() {
            Some(digits) => Some(Reference::Value(digits)),
            None => node.text().filter(|it| !secret_in_address(node, it)).map(|it| Reference::Value(it.to_owned())),
        };
    }
    let table = node.table()?;
    if table.has("keychain") {
        node.mistake("the keychain of the system cannot be referred to yet", format!("write {by_reference}"));
        return None;
    }
    if table.has("passfile") && refers != Refers::DatabasePassword {
        let reason = format!("a password file cannot tell {}", node.name());
        node.mistake(reason, "a “passfile” is for the password of a database; write { file, key }");
        return None;
    }
    let reference = if table.has("passfile") {
        table.required("passfile", "passfile = \"…\"", file).map(Reference::Passfile)
    } else {
        let file = table.required("file", "file = \".env\"", file);
        let key = table.required("key", "key = \"NAME\"", variable);
        file.zip(key).map(|(file, key)| Reference::Env { file, key })
    };
    table.finish();
    reference
}

/// The address of a database, or where it stands.
pub(super) fn database_url(node: &Node<'_>) -> Read<Reference> {
    let reference = reference(node, Refers::Plain)?;
    if let Reference::Value(text) = &reference {
        let fault = match connection::from_url(text) {
            Ok(endpoint) if endpoint.password.is_some() => "holds a password in clear",
            Ok(_) => return Some(reference),
            Err(fault) => fault,
        };
        let remedy = "write postgres://user@host:port/database, and the password by reference";
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
        && text.parse::<std::net::IpAddr>().is_err()
    {
        node.mistake(format!("{} is not an IP address", quoted(text)), "write “127.0.0.1”, “0.0.0.0” or “::1”");
        return None;
    }
    Some(reference)
}
