//! Questions about health and about the version.

use super::super::{
    super::{
        Check, CommandLine, ExpectedField, HttpAuth, HttpQuestion, Placeholder, Probe, Template, VersionOverHttp,
        VersionQuestion,
    },
    addresses::{Refers, http_url, reference},
    commands::{OF_A_RELEASE, behind_the_gate, command, template},
    document::{Node, Table, quoted},
    values::{existing, file, name, one_of, time},
};

pub(super) fn version_question(node: &Node<'_>) -> Option<VersionQuestion> {
    let table = node.table()?;
    let http = table.optional("http", version_over_http);
    let printed = table.optional("command", |it| command(it, OF_A_RELEASE));
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

pub(super) fn probe(node: &Node<'_>) -> Option<Probe> {
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
            let words = table.required("command", "command = [\"program\"]", |it| command(it, OF_A_RELEASE));
            let service = table.optional("service", name);
            let env_file = table.optional("env_file", file);
            words.map(|command| Check::Command { command: CommandLine { command, service, env_file } })
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

pub(super) fn http_question(table: &Table<'_>) -> Option<HttpQuestion> {
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

pub(super) fn json_path(node: &Node<'_>) -> Option<String> {
    let text = node.text()?;
    if text.split('.').any(str::is_empty) || text.contains(char::is_whitespace) {
        let reason = format!("{} is not the place of a field", quoted(text));
        node.mistake(reason, "write its name, or names with dots for an object in an object: “checks.database”");
        return None;
    }
    Some(text.to_owned())
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
