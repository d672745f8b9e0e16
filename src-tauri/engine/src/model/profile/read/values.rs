//! What a name, a path, a version or a length of time looks like.

use std::time::Duration;

use semver::Version;

use super::{
    super::{ContainerPath, FilePath, InsidePath, duration, env_file::is_variable},
    document::{Document, Node, listed, nearest, quoted},
};
use crate::model::release::AssetPattern;

/// Nothing where it was a mistake, which has been told then.
pub(super) type Read<T> = Option<T>;

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

/// A name that people read.
pub(super) fn words(node: &Node<'_>) -> Read<String> {
    no_longer_than(node, 100)
}

/// A value that is written down as it stands.
pub(super) fn literal(node: &Node<'_>) -> Read<String> {
    no_longer_than(node, 1000)
}

/// What people are told to do.
pub(super) fn advice(node: &Node<'_>) -> Read<String> {
    no_longer_than(node, 300)
}

fn no_longer_than(node: &Node<'_>, most: usize) -> Read<String> {
    let text = node.text()?;
    if text.chars().count() > most {
        node.mistake(format!("{} is longer than {most} characters", node.name()), "shorten it");
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

pub(super) fn is_variable_or_mistake(node: &Node<'_>, text: &str) -> bool {
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

/// A folder in a container.
pub(super) fn in_container(node: &Node<'_>) -> Read<ContainerPath> {
    let text = node.text()?;
    let remedy = "write it from the root of the container, without “..”: “/app/uploads”";
    ContainerPath::parse(text).map_err(|fault| node.mistake(format!("{} {fault}", quoted(text)), remedy)).ok()
}

/// The name of a file in a release, with its placeholders.
pub(super) fn asset(node: &Node<'_>) -> Read<AssetPattern> {
    let text = node.text()?;
    let remedy = "write the bare name, as the release page shows it: “corner-shop-{version}.tar.gz”";
    text.parse().map_err(|fault: String| node.mistake(fault, remedy)).ok()
}
