//! What holds the user's data, and how it is reached.

use super::super::{
    super::{
        Connection, Encryption, FilesAt, FilesStore, Placeholder, PostgresStore, Reference, Source, SourceKind,
        SqliteStore, Store, connection::Family,
    },
    addresses::{Refers, database_url, port, reference},
    commands::variables,
    document::{Node, Table},
    values::{file, name, one_of, version},
};

const OF_A_DATABASE: &[Placeholder] =
    &[Placeholder::Host, Placeholder::Port, Placeholder::User, Placeholder::Password, Placeholder::Database];
/// Without these a command would be pointed at the live server or database.
const PLACE_OF_A_DATABASE: &[Placeholder] = &[Placeholder::Host, Placeholder::Port, Placeholder::Database];
const OF_A_FILE: &[Placeholder] = &[Placeholder::Path];

pub(super) fn store(node: &Node<'_>) -> Option<Store> {
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
            let connection = connection(&table, Family::Postgres, true);
            let admin = table.optional("admin", administrator);
            let service = table.optional("service", crate::model::profile::read::values::name);
            let globals = table.optional("globals", Node::flag).unwrap_or_default();
            let point_at = point_at(OF_A_DATABASE, PLACE_OF_A_DATABASE);
            name.zip(connection).map(|(name, connection)| {
                Store::Postgres(PostgresStore { name, connection, service, admin, globals, point_at })
            })
        }
        Kind::Sqlite => {
            let path = table.required("path", "path = \"data/app.db\"", file);
            let point_at = point_at(OF_A_FILE, OF_A_FILE);
            name.zip(path).map(|(name, path)| Store::Sqlite(SqliteStore { name, path, point_at }))
        }
        Kind::Files => {
            let at = files_at(&table);
            let immutable = table.optional("immutable", Node::flag).unwrap_or_default();
            let point_at = point_at(OF_A_FILE, OF_A_FILE);
            name.zip(at).map(|(name, at)| Store::Files(FilesStore { name, at, immutable, point_at }))
        }
    };
    table.finish();
    store
}

/// A folder, or a volume: one of the two.
fn files_at(table: &Table<'_>) -> Option<FilesAt> {
    if !table.has("volume") {
        return table.required("path", "path = \"data/uploads\"", file).map(FilesAt::Path);
    }
    let volume = table.optional("volume", crate::model::profile::read::values::name);
    if table.optional("path", file).is_some() {
        table.mistake("the files are said to be in a folder and in a volume", "keep “path”, or “volume”");
        return None;
    }
    if table.has("point_at") {
        table.mistake("a command in a container cannot be pointed at a copy of a volume", "take “point_at” out");
    }
    volume.map(FilesAt::Volume)
}

pub(super) fn source(node: &Node<'_>) -> Option<Source> {
    let table = node.table()?;
    let name = table.required("name", "name = \"old-database\"", name);
    let kinds = [("mysql", SourceKind::Mysql), ("sqlserver", SourceKind::SqlServer)];
    let kind = table.required("kind", "kind = \"mysql\" or \"sqlserver\"", |it| one_of(it, &kinds));
    let connection = kind.and_then(|kind| connection(&table, kind.family(), true));
    let before = table.optional("before", version);
    // Only here these keys are known at all.
    let of_sql_server = kind == Some(SourceKind::SqlServer);
    let instance = of_sql_server.then(|| table.optional("instance", |it| reference(it, Refers::Plain))).flatten();
    let secured =
        [("verified", Encryption::Verified), ("unverified", Encryption::Unverified), ("none", Encryption::None)];
    let encryption = of_sql_server.then(|| table.optional("encryption", |it| one_of(it, &secured))).flatten();
    let authority = of_sql_server.then(|| table.optional("authority", file)).flatten();
    if authority.is_some() && encryption.is_some_and(|it| it != Encryption::Verified) {
        table.mistake(
            "an authority is named, and yet no certificate is looked at",
            "take out “encryption”, or “authority”",
        );
    }
    table.finish();
    Some(Source { name: name?, kind: kind?, connection: connection?, instance, encryption, authority, before })
}

fn connection(table: &Table<'_>, family: Family, whole: bool) -> Option<Connection> {
    // A password file is a thing of PostgreSQL's.
    let secret = if family == Family::Postgres { Refers::DatabasePassword } else { Refers::Secret };
    let plain = |key| table.optional(key, |it: &Node<'_>| reference(it, Refers::Plain));
    let connection = Connection {
        url: table.optional("url", |it| database_url(it, family)),
        host: plain("host"),
        port: table.optional("port", port),
        database: plain("database"),
        user: plain("user"),
        password: table.optional("password", |it| reference(it, secret)),
    };
    let pieces: Vec<&str> = ["host", "port", "database", "user"].into_iter().filter(|it| table.has(it)).collect();
    let may_be_missing = whole && matches!(connection.url, None | Some(Reference::Env { .. }));
    if table.has("url") && !may_be_missing && !pieces.is_empty() {
        let reason = format!("the database is named by “url” and by “{}”", pieces.join("”, “"));
        table.mistake(reason, "keep the address, or the pieces");
        return None;
    }
    if whole && !table.has("url") && pieces.is_empty() {
        let remedy =
            "add url = { file = \".env\", key = \"DATABASE_URL\" }, or host, port, database, user and password";
        let what = if family == Family::Postgres { "store" } else { "source" };
        table.mistake(format!("the {what} does not say where the database is"), remedy);
        return None;
    }
    if whole && (!table.has("url") || !pieces.is_empty()) {
        for (key, example) in [("database", "database = \"shop\""), ("user", "user = \"shop\"")] {
            table.required(key, example, |_| Some(()))?;
        }
    }
    Some(connection)
}

fn administrator(node: &Node<'_>) -> Option<Connection> {
    let table = node.table()?;
    let connection = connection(&table, Family::Postgres, false);
    table.finish();
    connection
}
