//! What only shows when sections are compared with each other.

use std::collections::BTreeMap;

use url::Url;

use super::{
    super::{Check, Driver, Export, HttpQuestion, InsidePath, Migrations, Placeholder, Run, Store, VersionQuestion},
    addresses::is_this_machine,
    document::{Document, listed, quoted},
    sections::Sections,
    values::names,
};
use crate::model::release::{Channel, Published, Trust};

/// Compares the sections with each other.
pub(super) fn across(document: &Document<'_>, sections: &Sections) {
    for (section, key) in
        [("stores", "name"), ("components", "name"), ("probes", "name"), ("exports", "entity"), ("settings", "file")]
    {
        unique(document, section, key);
    }
    sources(document, sections);
    releases(document, sections);
    places(document, sections);
    pointing(document, sections);
    questions(document, sections);
    migrations(document, sections);
    exports(document, sections);
    promises(document, sections);
    of_one_driver(document, sections);
    start_first(document, sections);
}

fn unique(document: &Document<'_>, section: &'static str, key: &'static str) {
    let mut first: BTreeMap<String, usize> = BTreeMap::new();
    for (number, name) in names(document, section, key) {
        match first.get(&name) {
            Some(earlier) => document.mistake(
                &format!("{section}[{number}].{key}"),
                format!("{} is the {key} of [[{section}]] number {} already", quoted(&name), earlier + 1),
                "give each its own",
            ),
            None => drop(first.insert(name, number)),
        }
    }
}

/// A source is named where stores are, and promises less.
fn sources(document: &Document<'_>, sections: &Sections) {
    unique(document, "sources", "name");
    let stores = names(document, "stores", "name");
    for (number, name) in names(document, "sources", "name") {
        if stores.iter().any(|(_, it)| *it == name) {
            let reason = format!("{} is the name of a store already", quoted(&name));
            document.mistake(&format!("sources[{number}].name"), reason, "give each its own");
        }
    }
    for (number, source) in &sections.sources {
        let reason =
            format!("{} is only read: it is in no backup, and no update in place is possible", quoted(&source.name));
        let remedy = "back it up with its server's own tools, and leave that version by a fresh start";
        document.warning(&format!("sources[{number}]"), reason, remedy);
    }
}

fn releases(document: &Document<'_>, sections: &Sections) {
    let Some(releases) = &sections.releases else { return };
    for (key, versions) in [("breaking", &releases.breaking), ("required_stops", &releases.required_stops)] {
        for (number, version) in versions.iter().enumerate() {
            if versions.iter().take(number).any(|it| it == version) {
                let path = format!("releases.{key}[{number}]");
                document.mistake(&path, format!("{version} stands in “{key}” twice"), "take one of the two out");
            }
        }
    }
    // For a tag nothing can vouch: its commit is pinned, and that is all there is.
    let has_files = releases.published == Published::Releases && releases.channel != Channel::Branch;
    if releases.require == Trust::None && has_files {
        document.warning(
            "releases.require",
            "nothing is required of a release: a damaged or exchanged download is found only if it cannot be unpacked",
            "publish a file of sha256 sums with each release, name it in “checksums”, and write require = \"checksum\"",
        );
    }
}

/// What belongs to one driver means nothing to the other.
fn of_one_driver(document: &Document<'_>, sections: &Sections) {
    let Some(driver) = &sections.driver else { return };
    let is_compose = matches!(driver, Driver::Compose(_));
    for (number, component) in &sections.components {
        let (fits, remedy) = match (&component.run, is_compose) {
            (Run::Service { .. }, fits) => (fits, "write kind = \"compose\" in [driver], or run a command or a unit"),
            (Run::Command(_) | Run::Unit { .. }, is_compose) => {
                (!is_compose, "name its service: run = { service = \"shop\" }")
            }
        };
        if !fits {
            let reason = "what runs this component does not fit the kind of [driver]";
            document.mistake(&format!("components[{number}].run"), reason, remedy);
        }
    }
    for (number, store) in &sections.stores {
        if let Store::Postgres(it) = store
            && it.service.is_some()
            && !is_compose
        {
            let reason = "“service” means a container of Docker Compose, and the driver is another";
            document.mistake(&format!("stores[{number}].service"), reason, "take “service” out");
        }
        if store.volume().is_some() && !is_compose {
            let reason = "“volume” means a volume of Docker Compose, and the driver is another";
            document.mistake(&format!("stores[{number}].volume"), reason, "name the folder in “path” instead");
        }
    }
    let is_stack = matches!(driver, Driver::Compose(it) if it.stack.is_some());
    if is_stack && sections.gate.is_some() {
        let reason = "a stack has no [gate]: Swarm publishes ports by itself, for everybody at once";
        document.mistake("gate", reason, "take [gate] out, and write the public port into the probes");
    }
    if let Some(gate) = sections.gate.as_ref().filter(|_| !is_stack) {
        let (has, key, example) = if is_compose {
            (gate.container_port.is_some(), "container_port", "container_port = 8080")
        } else {
            (gate.variable.is_some(), "variable", "variable = \"PORT\"")
        };
        if !has {
            document.mistake("gate", format!("“{key}” is missing in [gate]"), format!("add {example}"));
        }
        if gate.self_contained && !is_compose {
            let reason = "“self_contained” is about services of Docker Compose, and the driver is another";
            document.mistake("gate.self_contained", reason, "take it out");
        }
        let mut of_gate = sections.components.iter().filter(|(_, it)| it.name == gate.component);
        if gate.socket.is_some() && of_gate.any(|(_, it)| !matches!(it.run, Run::Command(_))) {
            let reason = "“socket” is given to a process that Liftlock starts itself, and this component is none";
            document.mistake("gate.socket", reason, "take it out");
        }
    }
    let Some(migrations) = sections.migrations.as_ref().filter(|_| is_compose) else { return };
    let lines = [
        ("schema_version", migrations.schema_version.as_ref().map(|it| &it.service)),
        ("schema_head", migrations.schema_head.as_ref().map(|it| &it.service)),
        ("pre_upgrade", migrations.pre_upgrade.as_ref().map(|it| &it.service)),
        ("migrate", migrations.migrate.as_ref().map(|it| &it.service)),
        ("post_upgrade", migrations.post_upgrade.as_ref().map(|it| &it.service)),
    ];
    for (key, service) in lines {
        if service.is_some_and(Option::is_none) {
            let reason = "the command does not say in a container of which service it runs";
            document.mistake(&format!("migrations.{key}"), reason, "add service = \"shop\"");
        }
    }
}

/// What runs on while the data is changed must have no part in it.
fn start_first(document: &Document<'_>, sections: &Sections) {
    let is_stack = document.holds("driver.stack");
    let migrating: Vec<&str> = sections.migrations.iter().flat_map(Migrations::services).collect();
    let mut first = sections.components.iter().filter(|it| it.1.start_first).peekable();
    let is_any = first.peek().is_some();
    for (number, component) in first {
        let migrates = matches!(&component.run, Run::Service { service } if migrating.contains(&service.as_str()));
        let (reason, remedy) = if !is_stack {
            ("only Docker Swarm starts a new version beside the old one", "take “start_first” out")
        } else if migrates {
            (
                "commands of [migrations] run in its service, so it uses the data",
                "take “start_first” out: it has to be stopped",
            )
        } else {
            continue;
        };
        document.mistake(&format!("components[{number}].start_first"), reason, remedy);
    }
    let are_all_read = names(document, "components", "name").len() == sections.components.len();
    if is_any && are_all_read && !sections.stores.is_empty() && sections.components.iter().all(|it| it.1.start_first) {
        let reason = "nothing would be stopped while the data is changed, and what is written meanwhile would be lost";
        document.mistake("components", reason, "take “start_first” out of each that writes to a store");
    }
}

/// Data must not lie where releases are switched, nor in two stores at once.
fn places(document: &Document<'_>, sections: &Sections) {
    let mut taken: Vec<(String, InsidePath)> = Vec::new();
    if let Some(Driver::Native(driver)) = &sections.driver {
        if driver.current.is_within(&driver.releases) || driver.releases.is_within(&driver.current) {
            let reason =
                format!("the link {} and the folder {} lie within each other", driver.current, driver.releases);
            document.mistake("driver.current", reason, "put them side by side: “current” and “releases”");
        }
        taken = vec![
            ("the link to the release that runs".to_owned(), driver.current.clone()),
            ("the folder of the releases".to_owned(), driver.releases.clone()),
        ];
    }
    for (number, settings) in sections.settings.iter().enumerate() {
        if let Some((what, _)) = taken.iter().find(|(_, it)| settings.file.is_within(it)) {
            let reason = format!("the settings {} lie in {what} and would be switched with it", settings.file);
            document.mistake(&format!("settings[{number}].file"), reason, "keep them beside the releases");
        }
    }
    let mut volumes: BTreeMap<&str, &str> = BTreeMap::new();
    for (number, store) in &sections.stores {
        if let Some(first) = store.volume().and_then(|it| volumes.insert(it, store.name())) {
            let reason = format!("the store {} lies in the same volume", quoted(first));
            document.mistake(&format!("stores[{number}].volume"), reason, "give each store a volume of its own");
        }
        let Some(path) = store.path().and_then(|it| it.inside()) else { continue };
        if let Some((what, _)) = taken.iter().find(|(_, it)| path.is_within(it) || it.is_within(&path)) {
            let reason = format!("the store {} at {path} overlaps with {what}", quoted(store.name()));
            let remedy = "give each store a file or folder of its own, beside the releases";
            document.mistake(&format!("stores[{number}].path"), reason, remedy);
        }
        taken.push((format!("the store “{}”", store.name()), path));
    }
}

/// A variable can point at one thing only.
fn pointing(document: &Document<'_>, sections: &Sections) {
    let mut owners: BTreeMap<&str, &str> = BTreeMap::new();
    for (number, store) in &sections.stores {
        let path = format!("stores[{number}].point_at");
        let variables = store.point_at();
        for variable in variables.keys() {
            if let Some(owner) = owners.insert(variable, store.name()) {
                let reason = format!("{variable} points a command at the store {} already", quoted(owner));
                document.mistake(&format!("{path}.{variable}"), reason, "name a variable for each store");
            }
            if sections.gate.as_ref().is_some_and(|it| [&it.variable, &it.socket].contains(&&Some(variable.clone()))) {
                let reason = format!("{variable} tells the component with the gate where it listens already");
                document.mistake(&format!("{path}.{variable}"), reason, "name another variable");
            }
        }
    }
}

fn questions(document: &Document<'_>, sections: &Sections) {
    if let Some(VersionQuestion::Http(it)) = &sections.version {
        credentials(document, "version.http", &it.question);
    }
    if let Some(api) = &sections.api {
        credentials(document, "api", &api.question);
    }
    for (number, probe) in &sections.probes {
        if let Check::Http { question, .. } = &probe.check {
            credentials(document, &format!("probes[{number}]"), question);
        }
    }
}

fn credentials(document: &Document<'_>, path: &str, question: &HttpQuestion) {
    let url = question.url.fill(&[(Placeholder::Port, "80")]).ok().and_then(|it| Url::parse(&it).ok());
    if question.auth.is_some() && url.is_some_and(|it| it.scheme() == "http" && !is_this_machine(&it)) {
        let reason = "the credentials travel to another machine over http, where anyone between can read them";
        document.warning(&format!("{path}.url"), reason, "write https://…, with “ca” for a certificate of your own");
    }
}

fn migrations(document: &Document<'_>, sections: &Sections) {
    if sections.migrations.is_none() {
        return;
    }
    if !document.holds("migrations.schema_version") {
        document.warning(
            "migrations",
            "without “schema_version” migrations cannot be tried on a copy of the data first",
            "add schema_version = { command = […], empty = \"…\" }, a read-only command that prints the schema's version",
        );
    }
    for (number, store) in sections.stores.iter().filter(|(_, it)| it.is_database()) {
        if !document.holds(&format!("stores[{number}].point_at")) {
            document.warning(
                &format!("stores[{number}]"),
                format!(
                    "commands cannot be pointed at a copy of {}: no trial, and they run on its live name",
                    quoted(store.name())
                ),
                "add point_at = { VARIABLE = \"…\" }, the environment variables that name the database",
            );
        }
    }
}

fn exports(document: &Document<'_>, sections: &Sections) {
    let stores = sections.stores.iter().filter(|(_, it)| it.is_database()).map(|(_, it)| it.name());
    let databases: Vec<&str> = stores.chain(sections.sources.iter().map(|(_, it)| it.name.as_str())).collect();
    let all_stores_are_read = names(document, "stores", "name").len() == sections.stores.len()
        && names(document, "sources", "name").len() == sections.sources.len();
    for (number, export) in &sections.exports {
        let path = format!("exports[{number}]");
        if export.store.is_none() && !document.holds(&format!("{path}.store")) && all_stores_are_read {
            if databases.is_empty() {
                document.mistake(&path, "there is no database to export from", "add a table [[stores]] for it");
            } else if databases.len() > 1 {
                let reason = format!("it is not said which store holds the table {}", quoted(&export.table));
                document.mistake(&path, reason, format!("add store = \"…\", one of: {}", listed(&databases)));
            }
        }
        through_the_application(document, sections, &path, export);
        part_of(document, sections, &path, export);
        shows(document, sections, &path, export);
        for (place, column) in export.columns.iter().enumerate() {
            if ["password", "secret", "token"].iter().any(|it| column.column.to_lowercase().contains(it)) {
                let reason = format!("{} looks like a secret, and would be exported", quoted(&column.column));
                document.warning(&format!("{path}.columns[{place}].column"), reason, "move it to “leave_out”");
            }
        }
    }
}

/// What comes in through the application needs to know where that is, and names only what comes in there too.
fn through_the_application(document: &Document<'_>, sections: &Sections, path: &str, export: &Export) {
    let Some(api) = &export.api else { return };
    let path = format!("{path}.api");
    if sections.api.is_none() && !document.holds("api") {
        document.mistake(&path, "there is no [api] that it could come in through", "add [api] with its url");
    }
    let has_idempotency = sections.api.as_ref().is_none_or(|it| it.idempotency.is_some());
    if api.find.is_none() && !has_idempotency {
        let reason = "after an interruption nobody could tell whether one had arrived";
        document.mistake(&path, reason, "add “key” and “find”, or “idempotency” to [api]");
    }
    let find = |name: &str| sections.exports.iter().map(|it| &it.1).find(|it| it.entity == name);
    for field in api.fields.iter().flat_map(|it| std::iter::once(it).chain(&it.fields)) {
        if let Some(name) = field.refers.as_deref().filter(|it| find(it).is_none_or(|it| it.api.is_none())) {
            let reason = format!("{} is no entity that comes in through the application", quoted(name));
            document.mistake(
                &path,
                reason,
                format!("give it an “api” too, or take “refers” out of {}", quoted(&field.field)),
            );
        }
        if let Some(name) = field.of.as_deref().filter(|it| find(it).is_none()) {
            document.mistake(&path, format!("there is no entity {} in [[exports]]", quoted(name)), "name one");
        }
    }
}

/// What an entity belongs to is another one of the same store, which belongs to none itself.
fn part_of(document: &Document<'_>, sections: &Sections, path: &str, export: &Export) {
    let Some(part) = &export.part_of else { return };
    let path = format!("{path}.part_of");
    let whole = sections.exports.iter().map(|it| &it.1).find(|it| it.entity == part.entity);
    let reason = match whole {
        None => format!("there is no entity {} in [[exports]]", quoted(&part.entity)),
        Some(it) if it.part_of.is_some() || it.entity == export.entity => {
            format!("{} is a part itself", quoted(&part.entity))
        }
        Some(it) if it.store != export.store => format!("{} is in another store", quoted(&part.entity)),
        Some(_) => String::new(),
    };
    if !reason.is_empty() {
        document.mistake(&path, reason, "name an entity of the same store that belongs to no other");
    }
    let is_same =
        |it: &&Export| it.part_of.as_ref().is_some_and(|it| it.entity == part.entity && it.member == part.member);
    if sections.exports.iter().map(|it| &it.1).filter(is_same).count() > 1 {
        let reason = format!("{} is the name of two lists in {}", quoted(&part.member), quoted(&part.entity));
        document.mistake(&path, reason, "call one of the two otherwise in “as”");
    }
}

/// What another row is called is looked up in an entity of the same store, and its heading is not that of a column.
fn shows(document: &Document<'_>, sections: &Sections, path: &str, export: &Export) {
    let mut headings: Vec<&str> = export.columns.iter().map(|it| it.label.as_deref().unwrap_or(&it.column)).collect();
    headings.extend(export.columns.iter().map(|it| it.column.as_str()));
    headings.extend(export.part_of.iter().map(|it| it.by.as_str()));
    let twice = |path: &str, label: &str, seen: &mut Vec<String>| {
        if headings.contains(&label) || seen.iter().any(|it| it == label) {
            document.mistake(
                path,
                format!("{} is the name of two columns", quoted(label)),
                "call one otherwise in “as”",
            );
        }
        seen.push(label.to_owned());
    };
    let mut seen = Vec::new();
    for (number, it) in export.shows.iter().enumerate() {
        let path = format!("{path}.shows[{number}]");
        let other = sections.exports.iter().map(|it| &it.1).find(|other| other.entity == it.entity);
        let reason = match other {
            None => format!("there is no entity {} in [[exports]]", quoted(&it.entity)),
            Some(other) if other.store != export.store => format!("{} is in another store", quoted(&it.entity)),
            // What is exported and left out at once is told there.
            Some(other)
                if other.leave_out.contains(&it.column)
                    && !other.columns.iter().any(|column| column.column == it.column) =>
            {
                format!("{} is left out of {}", quoted(&it.column), quoted(&it.entity))
            }
            Some(_) => String::new(),
        };
        if !reason.is_empty() {
            document.mistake(&path, reason, "name an entity of the same store, and a column that may be seen");
        }
        if !export.columns.is_empty() && !export.columns.iter().any(|column| column.column == it.by) {
            document.mistake(&path, format!("{} is not exported", quoted(&it.by)), "add it to “columns”");
        }
        twice(&path, &it.label, &mut seen);
    }
    if let Some(label) = export.deleted.as_ref().and_then(|it| it.label.as_deref()) {
        twice(&format!("{path}.deleted"), label, &mut seen);
    }
}

/// Promises that a profile forgoes by leaving something out.
fn promises(document: &Document<'_>, sections: &Sections) {
    let root = document.root();
    if !root.has("stores") {
        let reason = "no [[stores]]: nothing is backed up, and nothing can be brought back";
        document.warning("", reason, "name every database and folder that holds the user's data");
    }
    let is_stack = matches!(&sections.driver, Some(Driver::Compose(it)) if it.stack.is_some());
    if !root.has("gate") && !is_stack {
        let reason = "no [gate]: users can come in before the new version has passed verification";
        document.warning("", reason, "add [gate], naming the variable that sets the port of the application");
    }
    if sections.probes.iter().all(|(_, it)| !it.required)
        && names(document, "probes", "name").len() == sections.probes.len()
    {
        let reason = "no required probe: only the version tells whether a new release works";
        document.warning("probes", reason, "add a [[probes]] of kind http that asks whether it is healthy");
    }
    if sections.limits.stall_after > sections.limits.migrate_within {
        let reason = "“stall_after” is longer than “migrate_within”: a migration that hangs is not found earlier";
        document.warning("limits.stall_after", reason, "make it shorter");
    }
    for (number, component) in &sections.components {
        if let (Run::Unit { .. }, Some(gate)) = (&component.run, &sections.gate)
            && gate.component == component.name
            && migrations_lack_environment(sections)
        {
            document.warning(
                &format!("components[{number}].run"),
                "the environment of a unit is not known here, and the migrations name no “env_file”",
                "add env_file = \"…\" to the commands in [migrations]",
            );
        }
    }
}

fn migrations_lack_environment(sections: &Sections) -> bool {
    let any_file = sections.components.iter().any(|(_, it)| it.run.command().is_some_and(|it| it.env_file.is_some()));
    let migrate = sections.migrations.as_ref().and_then(|it| it.migrate.as_ref());
    !any_file && migrate.is_some_and(|it| it.env_file.is_none())
}
