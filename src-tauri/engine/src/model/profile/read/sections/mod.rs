//! What every table of a profile holds: a line for each key.

mod api;
mod exports;
mod probes;
mod releases;
mod running;
mod stores;

use std::collections::BTreeMap;

use self::{
    api::api,
    exports::export,
    probes::{probe, version_question},
    releases::releases,
    running::{component, gate, migrations, native},
    stores::{source, store},
};
use super::{
    super::{
        Api, Application, AskedSetting, Check, CommandLine, Component, ComposeDriver, ContainerPath, Driver, Export,
        FORMAT, Gate, Limits, Migrations, Pin, Placeholder, Probe, Profile, Recognise, RefusedSetting, Releases, Run,
        SettingsFile, Source, Store, Template, VersionQuestion,
    },
    check,
    commands::template,
    document::{Document, Node, Table, quoted},
    values::{advice, file, id, in_container, inside, name, one_of, time, variable, version, words},
};

/// The sections of a profile, those with mistakes left out.
pub(super) struct Sections {
    pub(super) releases: Option<Releases>,
    pub(super) recognise: Option<Recognise>,
    pub(super) driver: Option<Driver>,
    pub(super) version: Option<VersionQuestion>,
    pub(super) settings: Vec<SettingsFile>,
    /// With their numbers in the text.
    pub(super) stores: Vec<(usize, Store)>,
    pub(super) sources: Vec<(usize, Source)>,
    pub(super) components: Vec<(usize, Component)>,
    pub(super) gate: Option<Gate>,
    pub(super) migrations: Option<Migrations>,
    pub(super) probes: Vec<(usize, Probe)>,
    pub(super) api: Option<Api>,
    pub(super) exports: Vec<(usize, Export)>,
    pub(super) limits: Limits,
}

pub(super) fn profile(document: &Document<'_>) -> Option<Profile> {
    let root = document.root();
    let format = root.required("format", "format = 1", format);
    if format.is_none() && root.has("format") {
        // A later format has other keys; to call them mistakes would be wrong.
        return None;
    }
    let application = root.required("application", "a table [application]", application);
    let sections = Sections {
        releases: root.required("releases", "a table [releases]", releases),
        recognise: root.required("recognise", "a table [recognise]", recognise),
        driver: root.required("driver", "a table [driver]", driver),
        version: root.required("version", "a table [version]", version_question),
        settings: root.list("settings", settings),
        stores: numbered(root.node("stores"), store),
        sources: numbered(root.node("sources"), source),
        components: numbered(
            root.required("components", "a table [[components]] with name and run", some_members),
            component,
        ),
        gate: root.optional("gate", gate),
        migrations: root.optional("migrations", migrations),
        probes: numbered(root.node("probes"), probe),
        limits: root.optional("limits", limits).unwrap_or_default(),
        api: root.optional("api", api),
        exports: numbered(root.node("exports"), export),
    };
    root.finish();
    check::across(document, &sections);
    assemble(format?, application?, sections)
}

/// Puts the sections together; commands without an environment of their own get the first component's.
fn assemble(format: i64, application: Application, sections: Sections) -> Option<Profile> {
    let mut profile = Profile {
        format,
        application,
        releases: sections.releases?,
        recognise: sections.recognise?,
        driver: sections.driver?,
        version: sections.version?,
        settings: sections.settings,
        stores: without_numbers(sections.stores),
        sources: without_numbers(sections.sources),
        components: without_numbers(sections.components),
        gate: sections.gate,
        migrations: sections.migrations,
        probes: without_numbers(sections.probes),
        limits: sections.limits,
        api: sections.api,
        exports: without_numbers(sections.exports),
        warnings: Vec::new(),
        source: String::new(),
    };
    let usual = profile.components.iter().find_map(|it| it.run.command()?.env_file.clone());
    let inherit = |command: &mut CommandLine| command.env_file = command.env_file.take().or_else(|| usual.clone());
    for component in &mut profile.components {
        if let Run::Command(command) = &mut component.run {
            inherit(command);
        }
    }
    for probe in &mut profile.probes {
        if let Check::Command { command } = &mut probe.check {
            inherit(command);
        }
    }
    if let Some(migrations) = &mut profile.migrations {
        let commands = [
            &mut migrations.schema_head,
            &mut migrations.pre_upgrade,
            &mut migrations.migrate,
            &mut migrations.post_upgrade,
        ];
        commands.into_iter().flatten().for_each(inherit);
        if let Some(question) = &mut migrations.schema_version {
            question.env_file = question.env_file.take().or_else(|| usual.clone());
        }
    }
    Some(profile)
}

fn numbered<'d, T>(node: Option<Node<'d>>, read: impl Fn(&Node<'d>) -> Option<T>) -> Vec<(usize, T)> {
    let members = node.map(|it| it.members()).unwrap_or_default();
    members.iter().enumerate().filter_map(|(number, it)| Some((number, read(it)?))).collect()
}

fn some_members<'d>(node: &Node<'d>) -> Option<Node<'d>> {
    if node.is_empty_list() {
        node.mistake(format!("{} is empty", node.name()), "name what runs: a table [[components]] with name and run");
    }
    Some(node.clone())
}

fn without_numbers<T>(members: Vec<(usize, T)>) -> Vec<T> {
    members.into_iter().map(|(_, it)| it).collect()
}

fn format(node: &Node<'_>) -> Option<i64> {
    let number = node.number(0..i64::MAX)?;
    if number == FORMAT {
        return Some(number);
    }
    let reason = format!("this Liftlock reads profiles of format {FORMAT}, and this is format {number}");
    let remedy = if number > FORMAT { "install a newer Liftlock" } else { "write format = 1" };
    node.mistake(reason, remedy);
    None
}

fn application(node: &Node<'_>) -> Option<Application> {
    let table = node.table()?;
    let id = table.required("id", "id = \"corner-shop\"", id);
    let name = table.required("name", "name = \"Corner Shop\"", words);
    table.finish();
    Some(Application { id: id?, name: name? })
}

fn recognise(node: &Node<'_>) -> Option<Recognise> {
    let table = node.table()?;
    let files = table.required("files", "files = [\"current/release.json\"]", |it| {
        if it.is_empty_list() {
            it.mistake("[recognise] names no file", "name one that every installation has: \"current/release.json\"");
        }
        Some(it.list(inside))
    });
    table.finish();
    Some(Recognise { files: files? })
}

fn driver(node: &Node<'_>) -> Option<Driver> {
    let table = node.table()?;
    let is_compose = table.required("kind", "kind = \"native\"", |it| {
        if it.raw_text() == Some("docker") {
            it.mistake(
                "the driver “docker” is not part of this Liftlock",
                "write “compose” for a project of Docker Compose",
            );
            return None;
        }
        if it.raw_text() == Some("swarm") {
            it.mistake(
                "“swarm” is no driver: a stack of Docker Swarm is a project of Docker Compose that is deployed otherwise",
                "write kind = \"compose\" and stack = \"NAME\" with the name of the stack",
            );
            return None;
        }
        one_of(it, &[("native", false), ("compose", true)])
    })?;
    if is_compose {
        let driver = compose(&table);
        table.finish();
        return driver.map(Driver::Compose);
    }
    let driver = native(&table);
    table.finish();
    Some(Driver::Native(driver))
}

fn compose(table: &Table<'_>) -> Option<ComposeDriver> {
    let files = table.list("files", inside);
    let stack = table.optional("stack", name);
    if table.has("stack") {
        in_a_stack(table);
    }
    let pin = table.optional("pin", |it| {
        let table = it.table()?;
        let file = table.required("file", "file = \".env\"", file);
        let key = table.required("key", "key = \"SHOP_VERSION\"", variable);
        table.finish();
        Some(Pin { file: file?, key: key? })
    });
    let local = table.optional("local", Node::flag).unwrap_or_default();
    let carry = table.optional("carry", carried).unwrap_or_default();
    if !table.has("build") {
        let images = table.required("images", "images = { shop = \"registry.example/shop:{version}\" }", images);
        return Some(ComposeDriver { stack, files, pin, images: images?, build: Vec::new(), local, carry });
    }
    let build = table.list("build", name);
    for (key, remedy) in [
        ("images", "keep “images” where they are published, and “build” where they are built from the source"),
        ("pin", "take “pin” out: an override file of Liftlock's own says which images run"),
        ("local", "take “local” out: what is built here is on this machine"),
    ] {
        if let Some(node) = table.node(key) {
            node.mistake(format!("“{key}” means nothing beside “build”"), remedy);
        }
    }
    if build.is_empty() {
        table.mistake("“build” names no service", "name each service that is built from the source of a release");
        return None;
    }
    Some(ComposeDriver { stack: None, files, pin: None, images: BTreeMap::new(), build, local: false, carry })
}

/// What a stack needs, and what it cannot have.
fn in_a_stack(table: &Table<'_>) {
    if !table.has("pin") {
        let remedy = "let the stack's file take the version from a variable, and name its line: pin = { file = \".env\", key = \"SHOP_VERSION\" }";
        table.mistake(
            "“stack” needs “pin”: the stack's file is never written, and would go back to the old version",
            remedy,
        );
    }
    for (key, remedy) in [
        ("build", "publish the images and name them in “images”: the nodes of a swarm fetch them"),
        ("carry", "give the folder a volume in the stack's file"),
    ] {
        if let Some(node) = table.node(key) {
            node.mistake(format!("“{key}” means nothing beside “stack”"), remedy);
        }
    }
}

fn carried(node: &Node<'_>) -> Option<BTreeMap<String, Vec<ContainerPath>>> {
    let services = node.table()?.entries().into_iter();
    Some(services.map(|(paths, service)| (service.to_owned(), paths.list(in_container))).collect())
}

fn images(node: &Node<'_>) -> Option<BTreeMap<String, Template>> {
    let mut images = BTreeMap::new();
    for (value, service) in node.table()?.entries() {
        let Some(image) = template(&value, &[Placeholder::Version]) else { continue };
        if !image.has(Placeholder::Version) {
            let reason = format!("the image of {} is the same for every version", quoted(service));
            value.mistake(reason, "put {version} where its tag is: “registry.example/shop:{version}”");
        }
        images.insert(service.to_owned(), image);
    }
    if images.is_empty() {
        node.mistake("“images” names no service", "name the image of each service of the application");
        return None;
    }
    Some(images)
}

fn settings(node: &Node<'_>) -> Option<SettingsFile> {
    let table = node.table()?;
    let file = table.required("file", "file = \".env\"", inside);
    let example = table.optional("example", inside);
    let refused = table.list("refused", refused_setting);
    let asked = table.list("asked", asked_setting);
    table.finish();
    Some(SettingsFile { file: file?, example, refused, asked })
}

fn asked_setting(node: &Node<'_>) -> Option<AskedSetting> {
    let table = node.table()?;
    let key = table.required("key", "key = \"SESSION_KEY\"", variable);
    let name = table.required("name", "name = \"Key of sessions\"", words);
    let why = table.optional("why", advice);
    let default = table.optional("default", words);
    let generate = table.optional("generate", Node::flag).unwrap_or(false);
    let length = table.optional("length", |it| u16::try_from(it.number(16..257)?).ok());
    let secret = table.optional("secret", Node::flag).unwrap_or(false);
    if default.is_some() && (generate || secret) {
        node.mistake(
            "a secret has a default, which everybody would know",
            "leave out “default”, or “generate” and “secret”",
        );
    }
    if length.is_some() && !generate {
        node.mistake("“length” is about one that is made up", "write “generate = true” beside it, or leave it out");
    }
    table.finish();
    Some(AskedSetting { key: key?, name: name?, why, default, generate, length, secret })
}

fn refused_setting(node: &Node<'_>) -> Option<RefusedSetting> {
    let table = node.table()?;
    let key = table.required("key", "key = \"DB_PASSWORD\"", variable);
    let value = table.required("value", "value = \"changeme\"", words);
    let from = table.required("from", "from = \"4.1.0\"", version);
    let remedy = table.required("remedy", "remedy = \"Set another password, then try again.\"", advice);
    table.finish();
    Some(RefusedSetting { key: key?, value: value?, from: from?, remedy: remedy? })
}

fn limits(node: &Node<'_>) -> Option<Limits> {
    let table = node.table()?;
    let usual = Limits::default();
    let bound = |key, most: &str| table.optional(key, |it: &Node<'_>| time(it, "1s", most));
    let limits = Limits {
        stall_after: bound("stall_after", "1d").unwrap_or(usual.stall_after),
        start_within: bound("start_within", "1h").unwrap_or(usual.start_within),
        stop_within: bound("stop_within", "1h").unwrap_or(usual.stop_within),
        migrate_within: bound("migrate_within", "7d").unwrap_or(usual.migrate_within),
        backup_within: bound("backup_within", "7d").unwrap_or(usual.backup_within),
    };
    table.finish();
    Some(limits)
}
