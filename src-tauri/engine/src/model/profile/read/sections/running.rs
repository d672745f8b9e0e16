//! What runs, what keeps users out, and what brings the data to the form that a release needs.

use super::super::{
    super::{Component, Gate, InsidePath, Migrations, NativeDriver, Preparation, Run, SchemaVersion, UnitScope},
    addresses::{bind, port},
    commands::{OF_A_RELEASE, command, command_line},
    document::{Node, Table, quoted},
    values::{existing, file, inside, name, one_of, variable, words},
};

/// Where releases lie, and what makes one ready.
pub(super) fn native(table: &Table<'_>) -> NativeDriver {
    let checkout = table.optional("checkout", Node::flag).unwrap_or(false);
    let or = |other: &'static str, usual: fn() -> InsidePath| {
        if checkout { InsidePath::literal(other) } else { usual() }
    };
    let current = table.optional("current", inside);
    let releases = table.optional("releases", inside);
    let work_in = table.optional("work_in", inside);
    let prepare = table.list("prepare", preparation);
    NativeDriver {
        current: current.unwrap_or_else(|| or(".liftlock/current", NativeDriver::default_current)),
        releases: releases.unwrap_or_else(|| or(".liftlock/releases", NativeDriver::default_releases)),
        checkout,
        work_in,
        prepare,
    }
}

fn preparation(node: &Node<'_>) -> Option<Preparation> {
    let table = node.table()?;
    let example = "command = [\"npm\", \"ci\"]";
    let command = table.required("command", example, |it| command(it, OF_A_RELEASE));
    let folder = table.optional("folder", inside);
    let optional = table.optional("optional", Node::flag).unwrap_or(false);
    table.finish();
    Some(Preparation { command: command?, folder, optional })
}

pub(super) fn component(node: &Node<'_>) -> Option<Component> {
    let table = node.table()?;
    let name = table.required("name", "name = \"shop\"", name);
    let run = table.required("run", "run = { command = [\"current/bin/shop\", \"serve\"] }", run);
    let phase = table.optional("phase", |it| it.number(1..101)).and_then(|it| u32::try_from(it).ok());
    let start_first = table.optional("start_first", Node::flag).unwrap_or(false);
    table.finish();
    Some(Component { name: name?, run: run?, phase: phase.unwrap_or_else(Component::default_phase), start_first })
}

fn run(node: &Node<'_>) -> Option<Run> {
    let table = node.table()?;
    if table.has("unit") && table.has("command") {
        table.mistake("a component is run by a command or by a unit, not by both", "keep “command” or “unit”");
        return None;
    }
    if table.has("service") && !table.has("command") {
        let service = table.required("service", "service = \"shop\"", name);
        table.finish();
        return Some(Run::Service { service: service? });
    }
    if !table.has("unit") {
        return command_line(node, OF_A_RELEASE).map(Run::Command);
    }
    let unit = table.required("unit", "unit = \"shop.service\"", unit);
    let scope = table.optional("scope", |it| one_of(it, &[("user", UnitScope::User), ("system", UnitScope::System)]));
    table.finish();
    Some(Run::Unit { unit: unit?, scope: scope.unwrap_or_default() })
}

fn unit(node: &Node<'_>) -> Option<String> {
    let text = node.text()?;
    let legal = text.chars().all(|it| it.is_ascii_alphanumeric() || matches!(it, ':' | '_' | '.' | '\\' | '@' | '-'));
    let stem = text.strip_suffix(".service").unwrap_or_default();
    if !legal || stem.is_empty() || text.starts_with('-') || text.len() > 255 {
        node.mistake(
            format!("{} is not a unit of systemd", quoted(text)),
            "write its full name: “corner-shop.service”",
        );
        return None;
    }
    Some(text.to_owned())
}

pub(super) fn gate(node: &Node<'_>) -> Option<Gate> {
    let table = node.table()?;
    let component = table.required("component", "component = \"shop\"", |it| existing(it, "components", &[]));
    let told = |key| table.optional(key, variable);
    let (variable, socket) = (told("variable"), told("socket"));
    let container_port =
        table.optional("container_port", |it| it.number(1..65536)).and_then(|it| u16::try_from(it).ok());
    let self_contained = table.optional("self_contained", Node::flag).unwrap_or_default();
    let port = table.required("port", "port = { file = \".env\", key = \"PORT\" }", port);
    let bind = table.optional("bind", bind);
    table.finish();
    Some(Gate { component: component?, variable, socket, container_port, self_contained, port: port?, bind })
}

pub(super) fn migrations(node: &Node<'_>) -> Option<Migrations> {
    let table = node.table()?;
    let line = |key| table.optional(key, |it: &Node<'_>| command_line(it, OF_A_RELEASE));
    let migrations = Migrations {
        schema_version: table.optional("schema_version", schema_version),
        schema_head: line("schema_head"),
        pre_upgrade: line("pre_upgrade"),
        migrate: line("migrate"),
        post_upgrade: line("post_upgrade"),
    };
    table.finish();
    if table.has("schema_head") && !table.has("schema_version") {
        let remedy = "add schema_version, whose answer it is held against, or take schema_head out";
        table.mistake("“schema_head” stands in [migrations] without “schema_version”", remedy);
    }
    if !["pre_upgrade", "migrate", "post_upgrade"].iter().any(|it| table.has(it)) {
        table.mistake(
            "[migrations] names no command that migrates",
            "add migrate = { command = [\"…\"] }, or take [migrations] out",
        );
    }
    Some(migrations)
}

fn schema_version(node: &Node<'_>) -> Option<SchemaVersion> {
    let table = node.table()?;
    let line = table
        .required("command", "command = [\"{release}/bin/shop\", \"schema-version\"]", |it| command(it, OF_A_RELEASE));
    let service = table.optional("service", name);
    let env_file = table.optional("env_file", file);
    let empty = table.required("empty", "empty = \"…\": what it prints for an empty database", |it| {
        // Some print nothing at all.
        if it.raw_text() == Some("") { Some(String::new()) } else { words(it) }
    });
    table.finish();
    Some(SchemaVersion { command: line?, service, env_file, empty: empty? })
}
