//! What every table of a profile holds: a line for each key.

use super::{
    super::{
        Application, Check, CommandLine, Component, Connection, Driver, ExpectedField, Export, ExportColumn, FORMAT,
        FilesStore, Gate, HttpAuth, HttpQuestion, Limits, Migrations, NativeDriver, Placeholder, PostgresStore, Probe,
        Profile, Recognise, Releases, Run, SchemaVersion, SettingsFile, SqliteStore, Store, Template, UnitScope,
        VersionOverHttp, VersionQuestion,
    },
    check,
    document::{Document, Node, Table, quoted},
    values::{
        self, Refers, api, asset, behind_the_gate, bind, column, command, command_line, database_url, existing, file,
        http_url, id, inside, name, one_of, port, reference, table as table_name, template, time, variable, variables,
        version, words,
    },
};
use crate::model::release::{Channel, TagPattern, Trust};

const OF_A_RELEASE: &[Placeholder] = &[Placeholder::Release, Placeholder::Dir, Placeholder::Version];
const OF_A_PROBE: &[Placeholder] = &[Placeholder::Release, Placeholder::Dir, Placeholder::Port];
const OF_A_DATABASE: &[Placeholder] =
    &[Placeholder::Host, Placeholder::Port, Placeholder::User, Placeholder::Password, Placeholder::Database];
/// Without these a command would be pointed at the live server or database.
const PLACE_OF_A_DATABASE: &[Placeholder] = &[Placeholder::Host, Placeholder::Port, Placeholder::Database];
const OF_A_FILE: &[Placeholder] = &[Placeholder::Path];

/// The sections of a profile, those with mistakes left out.
pub(super) struct Sections {
    pub(super) releases: Option<Releases>,
    pub(super) recognise: Option<Recognise>,
    pub(super) driver: Option<Driver>,
    pub(super) version: Option<VersionQuestion>,
    pub(super) settings: Vec<SettingsFile>,
    /// With their numbers in the text.
    pub(super) stores: Vec<(usize, Store)>,
    pub(super) components: Vec<(usize, Component)>,
    pub(super) gate: Option<Gate>,
    pub(super) migrations: Option<Migrations>,
    pub(super) probes: Vec<(usize, Probe)>,
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
        components: numbered(root.node("components"), component),
        gate: root.optional("gate", gate),
        migrations: root.optional("migrations", migrations),
        probes: numbered(root.node("probes"), probe),
        limits: root.optional("limits", limits).unwrap_or_default(),
        exports: numbered(root.node("exports"), export),
    };
    if !root.has("components") {
        root.required("components", "a table [[components]] with name and run", |_| Some(()));
    }
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
        components: without_numbers(sections.components),
        gate: sections.gate,
        migrations: sections.migrations,
        probes: without_numbers(sections.probes),
        limits: sections.limits,
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
        let commands = [&mut migrations.pre_upgrade, &mut migrations.migrate, &mut migrations.post_upgrade];
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

fn releases(node: &Node<'_>) -> Option<Releases> {
    let table = node.table()?;
    let api = table.optional("api", api).unwrap_or_else(Releases::default_api);
    let repository = table.required("repository", "repository = \"owner/name\"", repository);
    let tag = table.optional("tag", tag).unwrap_or_default();
    let channel = table.optional("channel", channel).unwrap_or_default();
    let asset = table.required("asset", "asset = \"name-{version}.tar.gz\"", asset);
    let checksums = table.optional("checksums", values::asset);
    let require = table.optional("require", required);
    let is_misread = require.is_none() && table.has("require");
    let require = require.unwrap_or_else(Releases::default_require);
    let token = table.optional("token", |it| reference(it, Refers::Secret));
    let ca = table.optional("ca", file);
    let breaking = table.list("breaking", version);
    let required_stops = table.list("required_stops", version);
    table.finish();
    if require == Trust::Checksum && !is_misread && !table.has("checksums") {
        let remedy = "name the file of sha256 sums: checksums = \"SHA256SUMS\" (or write require = \"none\")";
        table.mistake("a checksum is required and no file of checksums is named in [releases]", remedy);
    }
    Some(Releases {
        api,
        repository: repository?,
        tag,
        channel,
        asset: asset?,
        checksums,
        require,
        token,
        ca,
        breaking,
        required_stops,
    })
}

fn repository(node: &Node<'_>) -> Option<String> {
    let text = node.text()?;
    let legal = |it: &str| {
        it.starts_with(|c: char| c.is_ascii_alphanumeric())
            && it.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
            && !it.contains("..")
    };
    if text.split('/').count() == 2 && text.split('/').all(legal) {
        return Some(text.to_owned());
    }
    node.mistake(
        format!("{} is not a repository", quoted(text)),
        "write “owner/name”, without the address of the server",
    );
    None
}

fn tag(node: &Node<'_>) -> Option<TagPattern> {
    let remedy = "write what a tag looks like, with {version} once: “v{version}”";
    node.text()?.parse().map_err(|fault: String| node.mistake(fault, remedy)).ok()
}

fn channel(node: &Node<'_>) -> Option<Channel> {
    one_of(node, &[("stable", Channel::Stable), ("prerelease", Channel::Prerelease)])
}

fn required(node: &Node<'_>) -> Option<Trust> {
    if let Some(text @ ("signed" | "signed_tag" | "attestation" | "signed_manifest")) = node.raw_text() {
        let reason = format!("{} cannot be required yet: signatures are not checked by this Liftlock", quoted(text));
        node.mistake(reason, "write “checksum”, or install a Liftlock that checks signatures");
        return None;
    }
    one_of(node, &[("none", Trust::None), ("checksum", Trust::Checksum)])
}

fn recognise(node: &Node<'_>) -> Option<Recognise> {
    let table = node.table()?;
    let files = table.required("files", "files = [\"current/release.json\"]", |it| {
        if it.quiet_members().is_empty() {
            it.mistake("[recognise] names no file", "name one that every installation has: \"current/release.json\"");
        }
        Some(it.list(inside))
    });
    table.finish();
    Some(Recognise { files: files? })
}

fn driver(node: &Node<'_>) -> Option<Driver> {
    let table = node.table()?;
    table.required("kind", "kind = \"native\"", |it| {
        if let Some(text @ ("compose" | "swarm" | "docker")) = it.raw_text() {
            let reason = format!("the driver {} is not part of this Liftlock", quoted(text));
            it.mistake(reason, "write “native”, or install a Liftlock that has it");
            return None;
        }
        one_of(it, &[("native", ())])
    })?;
    let current = table.optional("current", inside).unwrap_or_else(NativeDriver::default_current);
    let releases = table.optional("releases", inside).unwrap_or_else(NativeDriver::default_releases);
    table.finish();
    Some(Driver::Native(NativeDriver { current, releases }))
}

fn version_question(node: &Node<'_>) -> Option<VersionQuestion> {
    let table = node.table()?;
    let http = table.optional("http", version_over_http);
    let printed = table.optional("command", |it| behind_the_gate(it, |it| command(it, OF_A_PROBE)));
    table.finish();
    match (table.has("http"), table.has("command")) {
        (true, true) => table.mistake("[version] is asked in two ways", "keep “http” or “command”"),
        (false, false) => {
            table.mistake(
                "[version] does not say how the version is asked",
                "add http = { url = \"…\", field = \"version\" }",
            );
        }
        (true, false) => return http.map(VersionQuestion::Http),
        (false, true) => return printed.map(VersionQuestion::Command),
    }
    None
}

fn version_over_http(node: &Node<'_>) -> Option<VersionOverHttp> {
    let table = node.table()?;
    let question = http_question(&table);
    let field = table.required("field", "field = \"version\"", json_path);
    table.finish();
    Some(VersionOverHttp { question: question?, field: field? })
}

fn http_question(table: &Table<'_>) -> Option<HttpQuestion> {
    let url = table.required("url", "url = \"http://127.0.0.1:{port}/health\"", |it| behind_the_gate(it, http_url));
    let auth = table.optional("auth", http_auth);
    let ca = table.optional("ca", file);
    Some(HttpQuestion { url: url?, auth, ca })
}

fn http_auth(node: &Node<'_>) -> Option<HttpAuth> {
    let table = node.table()?;
    let auth = if table.has("bearer") {
        table.optional("bearer", |it| reference(it, Refers::Secret)).map(|bearer| HttpAuth::Bearer { bearer })
    } else {
        let user =
            table.required("user", "user = \"…\", or bearer = { file, key }", |it| reference(it, Refers::Plain));
        let password = table
            .required("password", "password = { file = \".env\", key = \"NAME\" }", |it| reference(it, Refers::Secret));
        user.zip(password).map(|(user, password)| HttpAuth::Basic { user, password })
    };
    table.finish();
    auth
}

fn json_path(node: &Node<'_>) -> Option<String> {
    let text = node.text()?;
    if text.split('.').any(str::is_empty) || text.contains(char::is_whitespace) {
        let reason = format!("{} is not the place of a field", quoted(text));
        node.mistake(reason, "write its name, or names with dots for an object in an object: “checks.database”");
        return None;
    }
    Some(text.to_owned())
}

fn settings(node: &Node<'_>) -> Option<SettingsFile> {
    let table = node.table()?;
    let file = table.required("file", "file = \".env\"", inside);
    let example = table.optional("example", inside);
    table.finish();
    Some(SettingsFile { file: file?, example })
}

fn store(node: &Node<'_>) -> Option<Store> {
    #[derive(Clone, Copy)]
    enum Kind {
        Postgres,
        Sqlite,
        Files,
    }
    let table = node.table()?;
    let name = table.required("name", "name = \"database\"", name);
    let kinds = [("postgres", Kind::Postgres), ("sqlite", Kind::Sqlite), ("files", Kind::Files)];
    let kind = table.required("kind", "kind = \"postgres\", \"sqlite\" or \"files\"", |it| one_of(it, &kinds))?;
    let point_at =
        |allowed, needed| table.optional("point_at", |it| variables(it, allowed, needed)).unwrap_or_default();
    let store = match kind {
        Kind::Postgres => {
            let connection = connection(&table, true);
            let admin = table.optional("admin", administrator);
            let point_at = point_at(OF_A_DATABASE, PLACE_OF_A_DATABASE);
            name.zip(connection)
                .map(|(name, connection)| Store::Postgres(PostgresStore { name, connection, admin, point_at }))
        }
        Kind::Sqlite => {
            let path = table.required("path", "path = \"data/app.db\"", file);
            let point_at = point_at(OF_A_FILE, OF_A_FILE);
            name.zip(path).map(|(name, path)| Store::Sqlite(SqliteStore { name, path, point_at }))
        }
        Kind::Files => {
            let path = table.required("path", "path = \"data/uploads\"", file);
            let immutable = table.optional("immutable", Node::flag).unwrap_or_default();
            let point_at = point_at(OF_A_FILE, OF_A_FILE);
            name.zip(path).map(|(name, path)| Store::Files(FilesStore { name, path, immutable, point_at }))
        }
    };
    table.finish();
    store
}

fn connection(table: &Table<'_>, whole: bool) -> Option<Connection> {
    let plain = |key| table.optional(key, |it: &Node<'_>| reference(it, Refers::Plain));
    let connection = Connection {
        url: table.optional("url", database_url),
        host: plain("host"),
        port: table.optional("port", port),
        database: plain("database"),
        user: plain("user"),
        password: table.optional("password", |it| reference(it, Refers::DatabasePassword)),
    };
    let pieces: Vec<&str> = ["host", "port", "database", "user"].into_iter().filter(|it| table.has(it)).collect();
    if table.has("url") && !pieces.is_empty() {
        let reason = format!("the database is named by “url” and by “{}”", pieces.join("”, “"));
        table.mistake(reason, "keep the address, or the pieces");
        return None;
    }
    if whole && !table.has("url") && pieces.is_empty() {
        let remedy =
            "add url = { file = \".env\", key = \"DATABASE_URL\" }, or host, port, database, user and password";
        table.mistake("the store does not say where the database is", remedy);
        return None;
    }
    if whole && !table.has("url") {
        for (key, example) in [("database", "database = \"shop\""), ("user", "user = \"shop\"")] {
            table.required(key, example, |_| Some(()))?;
        }
    }
    Some(connection)
}

fn administrator(node: &Node<'_>) -> Option<Connection> {
    let table = node.table()?;
    let connection = connection(&table, false);
    table.finish();
    connection
}

fn component(node: &Node<'_>) -> Option<Component> {
    let table = node.table()?;
    let name = table.required("name", "name = \"shop\"", name);
    let run = table.required("run", "run = { command = [\"current/bin/shop\", \"serve\"] }", run);
    let phase = table.optional("phase", |it| it.number(1..101)).and_then(|it| u32::try_from(it).ok());
    table.finish();
    Some(Component { name: name?, run: run?, phase: phase.unwrap_or_else(Component::default_phase) })
}

fn run(node: &Node<'_>) -> Option<Run> {
    let table = node.table()?;
    if table.has("unit") && table.has("command") {
        table.mistake("a component is run by a command or by a unit, not by both", "keep “command” or “unit”");
        return None;
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

fn gate(node: &Node<'_>) -> Option<Gate> {
    let table = node.table()?;
    let component = table.required("component", "component = \"shop\"", |it| existing(it, "components", &[]));
    let variable = table.required("variable", "variable = \"PORT\"", variable);
    let port = table.required("port", "port = { file = \".env\", key = \"PORT\" }", port);
    let bind = table.optional("bind", bind);
    table.finish();
    Some(Gate { component: component?, variable: variable?, port: port?, bind })
}

fn migrations(node: &Node<'_>) -> Option<Migrations> {
    let table = node.table()?;
    let line = |key| table.optional(key, |it: &Node<'_>| command_line(it, OF_A_RELEASE));
    let migrations = Migrations {
        schema_version: table.optional("schema_version", schema_version),
        pre_upgrade: line("pre_upgrade"),
        migrate: line("migrate"),
        post_upgrade: line("post_upgrade"),
    };
    table.finish();
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
    let words = table
        .required("command", "command = [\"{release}/bin/shop\", \"schema-version\"]", |it| command(it, OF_A_RELEASE));
    let env_file = table.optional("env_file", file);
    let empty = table.required("empty", "empty = \"…\": what it prints for an empty database", values::words);
    table.finish();
    Some(SchemaVersion { command: words?, env_file, empty: empty? })
}

fn probe(node: &Node<'_>) -> Option<Probe> {
    #[derive(Clone, Copy)]
    enum Kind {
        Http,
        Tcp,
        Postgres,
        Command,
        FileAge,
    }
    let table = node.table()?;
    let probe_name = table.required("name", "name = \"website\"", name);
    let kinds = [
        ("http", Kind::Http),
        ("tcp", Kind::Tcp),
        ("postgres", Kind::Postgres),
        ("command", Kind::Command),
        ("file_age", Kind::FileAge),
    ];
    let kind = table.required("kind", "kind = \"http\"", |it| one_of(it, &kinds))?;
    let required = table.optional("required", Node::flag).unwrap_or_else(Probe::default_required);
    let timeout = table.optional("timeout", |it| time(it, "1s", "10m")).unwrap_or_else(Probe::default_timeout);
    let check = match kind {
        Kind::Http => {
            let question = http_question(&table);
            let status = table.optional("status", |it| it.number(100..600)).and_then(|it| u16::try_from(it).ok());
            let status = status.unwrap_or_else(Check::default_status);
            let field = table.optional("field", expected_field);
            question.map(|question| Check::Http { question, status, field })
        }
        Kind::Tcp => {
            let host = table.optional("host", host).unwrap_or_else(Check::default_host);
            let port = table.required("port", "port = \"{port}\"", |it| behind_the_gate(it, tcp_port));
            port.map(|port| Check::Tcp { host, port })
        }
        Kind::Postgres => {
            let store = table.required("store", "store = \"database\"", |it| existing(it, "stores", &["postgres"]));
            store.map(|store| Check::Postgres { store })
        }
        Kind::Command => {
            let words = table
                .required("command", "command = [\"program\"]", |it| behind_the_gate(it, |it| command(it, OF_A_PROBE)));
            let env_file = table.optional("env_file", file);
            words.map(|command| Check::Command { command: CommandLine { command, env_file } })
        }
        Kind::FileAge => {
            let path = table.required("path", "path = \"data/heartbeat\"", file);
            let max_age = table.required("max_age", "max_age = \"1d\"", |it| time(it, "1s", "366d"));
            path.zip(max_age).map(|(path, max_age)| Check::FileAge { path, max_age })
        }
    };
    table.finish();
    Some(Probe { name: probe_name?, check: check?, required, timeout })
}

fn host(node: &Node<'_>) -> Option<String> {
    let text = node.text()?;
    if url::Host::parse(text).is_err() && text.parse::<std::net::IpAddr>().is_err() {
        node.mistake(format!("{} is not a host", quoted(text)), "write a name or an IP address, without a port");
        return None;
    }
    Some(text.to_owned())
}

fn tcp_port(node: &Node<'_>) -> Option<Template> {
    if node.digits().is_some() {
        return node.number(1..65536).map(|it| Template::checked(&it.to_string()));
    }
    let port = template(node, &[Placeholder::Port])?;
    if port.as_str() != "{port}" && port.as_str().parse::<u16>().ok().filter(|it| *it > 0).is_none() {
        node.mistake(
            format!("{} is not a port", quoted(port.as_str())),
            "write a number from 1 to 65535, or \"{port}\"",
        );
        return None;
    }
    Some(port)
}

fn expected_field(node: &Node<'_>) -> Option<ExpectedField> {
    let table = node.table()?;
    let path = table.required("path", "path = \"status\"", json_path);
    let equals = table.required("equals", "equals = \"ok\"", Node::scalar);
    table.finish();
    Some(ExpectedField { path: path?, equals: equals? })
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

fn export(node: &Node<'_>) -> Option<Export> {
    let table = node.table()?;
    let entity = table.required("entity", "entity = \"customers\"", words);
    let store = table.optional("store", |it| existing(it, "stores", &["postgres", "sqlite"]));
    let source = table.required("table", "table = \"customers\"", table_name);
    let columns = table.list("columns", export_column);
    let leave_out = table.list("leave_out", column);
    table.finish();
    contradictions(node);
    Some(Export { entity: entity?, store, table: source?, columns, leave_out })
}

/// A column that is exported and left out, or exported twice.
fn contradictions(node: &Node<'_>) {
    let Some(table) = node.table() else { return };
    let texts = |key| table.node(key).map(|it| it.quiet_members()).unwrap_or_default();
    let left_out: Vec<String> = texts("leave_out").iter().filter_map(Node::quiet_text).collect();
    let mut seen = Vec::new();
    for entry in texts("columns").iter().filter(|it| it.is_table()) {
        let Some((node, name)) =
            entry.table().and_then(|it| it.node("column")).and_then(|it| Some((it.clone(), it.quiet_text()?)))
        else {
            continue;
        };
        if left_out.contains(&name) {
            node.mistake(
                format!("{} is exported and left out", quoted(&name)),
                "take it out of “columns” or of “leave_out”",
            );
        }
        if seen.contains(&name) {
            node.mistake(format!("{} stands there twice", quoted(&name)), "take one of the two out");
        }
        seen.push(name);
    }
}

fn export_column(node: &Node<'_>) -> Option<ExportColumn> {
    let table = node.table()?;
    let name = table.required("column", "column = \"name\"", column);
    let label = table.optional("label", words);
    table.finish();
    Some(ExportColumn { column: name?, label })
}
