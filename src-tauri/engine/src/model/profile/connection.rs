//! How a database is reached, and the pure part of finding out.

use std::fmt;

use percent_encoding::percent_decode_str;
use schemars::JsonSchema;
use serde::Serialize;
use url::Url;

use super::{FilePath, PostgresStore, Reference};
use crate::error::{Error, Result};

/// What a server speaks, and so what its addresses are like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    Postgres,
    Mysql,
    SqlServer,
}

impl Family {
    /// The port where none is said.
    fn port(self) -> u16 {
        match self {
            Self::Postgres => 5432,
            Self::Mysql => 3306,
            Self::SqlServer => 1433,
        }
    }
    /// Drivers name themselves behind a plus: `postgresql+asyncpg`.
    fn speaks(self, scheme: &str) -> bool {
        let known: &[&str] = match self {
            Self::Postgres => &["postgres", "postgresql"],
            Self::Mysql => &["mysql", "mariadb", "mysql2"],
            Self::SqlServer => &["sqlserver", "mssql"],
        };
        scheme.split('+').next().is_some_and(|it| known.contains(&it))
    }
    fn fault(self) -> &'static str {
        match self {
            Self::Postgres => "does not begin with postgres:// or postgresql://",
            Self::Mysql => "does not begin with mysql:// or mariadb://",
            Self::SqlServer => "does not begin with sqlserver:// or mssql://",
        }
    }
    /// What an address begins with.
    pub(super) fn scheme(self) -> &'static str {
        match self {
            Self::Postgres => "postgres",
            Self::Mysql => "mysql",
            Self::SqlServer => "sqlserver",
        }
    }
}

/// How a database is reached: by one address, or piece by piece; by the pieces too where the setting that may hold the
/// address does not.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Connection {
    /// `postgres://user:password@host:port/database`, by reference where it holds a password; `mysql://…` or `sqlserver://…` of a source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<Reference>,
    /// The host, or the folder of its socket. Without one `localhost`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<Reference>,
    /// The port. Without one 5432; of a source 3306 or 1433.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<Reference>,
    /// The database.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database: Option<Reference>,
    /// The user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<Reference>,
    /// The password, by reference.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<Reference>,
}

/// Where a database is, looked up. It holds the password and is never stored.
#[derive(Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// The host, or the folder of its socket (an absolute path).
    pub host: String,
    /// The port.
    pub port: u16,
    /// The database.
    pub database: String,
    /// The user.
    pub user: String,
    /// The password, if one is needed.
    pub password: Option<String>,
    /// What else the address said, such as `sslmode`.
    pub parameters: Vec<(String, String)>,
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}:{}/{}", self.user, self.host, self.port, self.database)
    }
}

impl Endpoint {
    /// Whether nobody is between us and it.
    pub fn is_here(&self) -> bool {
        let host = self.host.as_str();
        host == "localhost"
            || host.starts_with('/')
            || host.parse::<std::net::IpAddr>().is_ok_and(|it| it.is_loopback())
    }
}

type Read<'r> = &'r dyn Fn(&FilePath) -> Result<String>;

impl PostgresStore {
    /// Where the database is, as the application's own user.
    ///
    /// # Errors
    /// As [`Connection::endpoint`].
    pub fn endpoint(&self, read: Read<'_>) -> Result<Endpoint> {
        self.connection.endpoint(read)
    }
    /// The same server as someone who may create and rename databases, if the profile names one. What the
    /// administrator's connection leaves out is the application's, save the database (`postgres`) and, for
    /// another user, the password.
    ///
    /// # Errors
    /// As [`Connection::endpoint`].
    pub fn admin_endpoint(&self, read: Read<'_>) -> Result<Option<Endpoint>> {
        let Some(admin) = &self.admin else { return Ok(None) };
        if admin.url.is_some() {
            return admin.endpoint(read).map(Some);
        }
        let usual = self.connection.endpoint(read)?;
        let or = |reference: &Option<Reference>, usual: String| match reference {
            Some(it) => it.lookup(read),
            None => Ok(usual),
        };
        let mut endpoint = Endpoint {
            host: or(&admin.host, usual.host)?,
            port: admin.port.as_ref().map_or(Ok(usual.port), |it| port(it, read))?,
            database: or(&admin.database, "postgres".to_owned())?,
            user: or(&admin.user, usual.user)?,
            password: if admin.user.is_none() { usual.password } else { None },
            parameters: usual.parameters,
        };
        if let Some(reference) = &admin.password {
            endpoint.password = password(reference, &endpoint, read)?;
        }
        Ok(Some(endpoint))
    }
}

impl Connection {
    /// Looks up where the database is. `read` answers with the text of a file that the profile names.
    ///
    /// # Errors
    /// What `read` says; `setting_missing`, `bad_database_url`, `bad_port`. None of them shows a secret.
    pub fn endpoint(&self, read: Read<'_>) -> Result<Endpoint> {
        self.endpoint_of(Family::Postgres, read)
    }
    /// The same where the server is of this family.
    pub(super) fn endpoint_of(&self, family: Family, read: Read<'_>) -> Result<Endpoint> {
        if let Some((reference, text)) = self.address(read)? {
            let mut endpoint = from_url(&text, family).map_err(|fault| bad_url(reference, family, fault))?;
            if let Some(reference) = self.password.as_ref().filter(|_| self.database.is_none()) {
                endpoint.password = password(reference, &endpoint, read)?;
            }
            return Ok(endpoint);
        }
        let looked_up = |reference: &Option<Reference>| reference.as_ref().map(|it| it.lookup(read)).transpose();
        let named = |reference: &Option<Reference>, what: &str| {
            looked_up(reference)?.filter(|it| !it.is_empty()).ok_or_else(|| {
                Error::refused("setting_missing", format!("The profile does not say the {what} of the database."))
                    .remedy(format!(
                        "Add “{what} = …” to the store in the profile, or set it in the file it refers to."
                    ))
            })
        };
        let mut endpoint = Endpoint {
            host: looked_up(&self.host)?.unwrap_or_else(|| "localhost".to_owned()),
            port: self.port.as_ref().map_or(Ok(family.port()), |it| port(it, read))?,
            database: named(&self.database, "database")?,
            user: named(&self.user, "user")?,
            password: None,
            parameters: Vec::new(),
        };
        if let Some(reference) = &self.password {
            endpoint.password = password(reference, &endpoint, read)?;
        }
        Ok(endpoint)
    }
    /// The address, where it is said: beside pieces its setting may be missing or empty.
    fn address(&self, read: Read<'_>) -> Result<Option<(&Reference, String)>> {
        let Some(reference) = &self.url else { return Ok(None) };
        match reference.lookup(read) {
            Ok(text) if text.is_empty() && self.database.is_some() => Ok(None),
            Err(error) if error.class == "setting_missing" && self.database.is_some() => Ok(None),
            text => Ok(Some((reference, text?))),
        }
    }
    /// Every reference in it, with its key.
    pub fn references(&self) -> impl Iterator<Item = (&'static str, &Reference)> {
        [
            ("url", &self.url),
            ("host", &self.host),
            ("port", &self.port),
            ("database", &self.database),
            ("user", &self.user),
            ("password", &self.password),
        ]
        .into_iter()
        .filter_map(|(key, reference)| Some((key, reference.as_ref()?)))
    }
}

fn port(reference: &Reference, read: Read<'_>) -> Result<u16> {
    let text = reference.lookup(read)?;
    text.trim().parse().ok().filter(|it| *it > 0).ok_or_else(|| {
        Error::refused("bad_port", format!("“{}” is not a port.", text.escape_debug()))
            .remedy("A port is a number from 1 to 65535. Correct it where the profile says it stands.")
    })
}

fn password(reference: &Reference, endpoint: &Endpoint, read: Read<'_>) -> Result<Option<String>> {
    match reference {
        Reference::Passfile(file) => Ok(from_passfile(&read(file)?, endpoint)),
        Reference::Value(_) | Reference::Env { .. } | Reference::Variable(_) | Reference::Keychain(_) => {
            reference.lookup(read).map(Some)
        }
    }
}

/// Reads an address. The fault is the end of a sentence and shows nothing of the address.
pub(super) fn from_url(text: &str, family: Family) -> Result<Endpoint, &'static str> {
    // libpq allows a user without a host, URLs do not.
    let text = text.trim();
    let authority_ends = text.find("://").and_then(|at| Some(at + 3 + text[at + 3..].find('/')?));
    let hostless = authority_ends.filter(|at| text[..*at].ends_with('@'));
    let url = match hostless {
        Some(at) => Url::parse(&format!("{}localhost{}", &text[..at], &text[at..])),
        None => Url::parse(text),
    };
    let url = url.map_err(|_| "is not an address")?;
    if !family.speaks(url.scheme()) {
        return Err(family.fault());
    }
    let decoded = |text: &str| {
        percent_decode_str(text).decode_utf8().map(String::from).map_err(|_| "holds bytes that are not UTF-8")
    };
    let mut endpoint = Endpoint {
        host: decoded(url.host_str().unwrap_or_default())?,
        port: url.port().unwrap_or(family.port()),
        database: decoded(url.path().trim_start_matches('/'))?,
        user: decoded(url.username())?,
        password: url.password().map(decoded).transpose()?,
        parameters: Vec::new(),
    };
    for pair in url.query().unwrap_or_default().split('&').filter(|it| !it.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let (key, value) = (decoded(key)?, decoded(value)?);
        match key.as_str() {
            "host" => endpoint.host = value,
            "unix_socket" | "socket" if family == Family::Mysql => endpoint.host = value,
            "port" => endpoint.port = value.parse().map_err(|_| "has a bad port")?,
            "dbname" => endpoint.database = value,
            "user" => endpoint.user = value,
            "password" => endpoint.password = Some(value),
            _ => endpoint.parameters.push((key, value)),
        }
    }
    if endpoint.host.starts_with('[') {
        endpoint.host = endpoint.host.trim_matches(['[', ']']).to_owned();
    }
    if endpoint.host.is_empty() {
        endpoint.host = "localhost".to_owned();
    }
    if endpoint.host.contains(',') {
        return Err("names several hosts");
    }
    if endpoint.user.is_empty() {
        return Err("names no user");
    }
    if endpoint.database.is_empty() {
        return Err("names no database");
    }
    Ok(endpoint)
}

fn bad_url(reference: &Reference, family: Family, fault: &str) -> Error {
    let place = match reference {
        Reference::Value(_) => "in the profile".to_owned(),
        Reference::Env { file, key } => format!("{key} in {file}"),
        Reference::Passfile(file) => format!("in {file}"),
        Reference::Variable(name) => format!("{name} in the environment"),
        Reference::Keychain(name) => format!("“{name}” in the keychain"),
    };
    Error::refused("bad_database_url", format!("The address of the database ({place}) {fault}."))
        .remedy(format!("Write it as {}://user:password@host:port/database.", family.scheme()))
}

/// The password of the first line that fits, as libpq reads such files.
fn from_passfile(text: &str, endpoint: &Endpoint) -> Option<String> {
    let port = endpoint.port.to_string();
    // A socket's folder counts as localhost there.
    let host = if endpoint.host.starts_with('/') { "localhost" } else { &endpoint.host };
    let wanted = [host, &port, &endpoint.database, &endpoint.user];
    text.lines().filter(|it| !it.starts_with('#')).find_map(|line| {
        let fields = passfile_fields(line);
        let [rest @ .., password] = fields.as_slice() else { return None };
        let fits = rest.len() == 4 && rest.iter().zip(wanted).all(|(field, wanted)| field == "*" || field == wanted);
        fits.then(|| password.clone())
    })
}

fn passfile_fields(line: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut signs = line.chars();
    while let Some(sign) = signs.next() {
        let last = fields.len() - 1;
        match sign {
            '\\' => fields[last].extend(signs.next()),
            ':' if last < 4 => fields.push(String::new()),
            other => fields[last].push(other),
        }
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(key: &str) -> Option<Reference> {
        Some(Reference::Env { file: FilePath::parse(".env").unwrap(), key: key.to_owned() })
    }

    fn value(text: &str) -> Option<Reference> {
        Some(Reference::Value(text.to_owned()))
    }

    #[test]
    fn an_address_is_taken_apart_and_decoded() {
        let it = from_url(
            "postgresql+asyncpg://shop:p%40ss%3A%2F@[::1]:6543/corner%20shop?sslmode=require",
            Family::Postgres,
        )
        .unwrap();
        assert_eq!(format!("{it:?}"), "shop@::1:6543/corner shop", "and the password is not shown");
        assert_eq!(it.password.as_deref(), Some("p@ss:/"));
        assert_eq!(it.parameters, [("sslmode".to_owned(), "require".to_owned())]);
        let socket = from_url("postgres://shop@%2Frun%2Fpg/shop", Family::Postgres).unwrap();
        assert_eq!((socket.host.as_str(), socket.port), ("/run/pg", 5432));
        assert_eq!(from_url("postgres://shop@/shop?host=/run/pg", Family::Postgres).unwrap().host, "/run/pg");
    }

    #[test]
    fn an_address_of_mysql_has_its_own_port_and_socket() {
        let it = from_url("mysql+pymysql://shop:p%40ss@127.0.0.1/shop?charset=utf8mb4", Family::Mysql).unwrap();
        assert_eq!((format!("{it:?}").as_str(), it.password.as_deref()), ("shop@127.0.0.1:3306/shop", Some("p@ss")));
        let it = from_url("mysql://shop@localhost/shop?unix_socket=/run/mysqld/mysqld.sock", Family::Mysql).unwrap();
        assert_eq!(it.host, "/run/mysqld/mysqld.sock");
        assert!(from_url("postgres://shop@h/shop", Family::Mysql).unwrap_err().contains("mysql://"));
        let connection = Connection { url: env("URL"), ..Connection::default() };
        let error = connection.endpoint_of(Family::Mysql, &|_| Ok("URL=mysql://a:hunter2@b".to_owned())).unwrap_err();
        assert_eq!(error.remedy, "Write it as mysql://user:password@host:port/database.");
        assert!(!format!("{error:?}").contains("hunter2"));
    }

    #[test]
    fn a_bad_address_is_refused_without_showing_it() {
        let connection = Connection { url: env("URL"), ..Connection::default() };
        for text in [
            "mysql://a:hunter2@b/c",
            "hunter2",
            "postgres://:hunter2@b/c",
            "postgres://a:hunter2@b",
            "postgres://a:hunter2@b,c/d",
        ] {
            let error = connection.endpoint(&|_| Ok(format!("URL={text}"))).unwrap_err();
            assert_eq!(error.class, "bad_database_url");
            assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
        }
    }

    #[test]
    fn pieces_are_looked_up_one_by_one() {
        let connection = Connection {
            host: value("db.lan"),
            port: env("DB_PORT"),
            database: value("shop"),
            user: env("DB_USER"),
            password: env("DB_PASSWORD"),
            ..Connection::default()
        };
        let read = |_: &FilePath| Ok("DB_PORT=6000\nDB_USER=shop\nDB_PASSWORD='a b'".to_owned());
        let it = connection.endpoint(&read).unwrap();
        assert_eq!(format!("{it:?}"), "shop@db.lan:6000/shop");
        assert_eq!(it.password.as_deref(), Some("a b"));
        let missing = connection.endpoint(&|_| Ok("DB_PORT=6000".to_owned())).unwrap_err();
        assert_eq!(missing.message, "There is no setting DB_USER in .env.");
        let bad = connection.endpoint(&|_| Ok("DB_PORT=many\nDB_USER=x\nDB_PASSWORD=y".to_owned())).unwrap_err();
        assert_eq!(bad.class, "bad_port");
    }

    #[test]
    fn an_address_that_is_set_wins_over_the_pieces() {
        let connection = Connection {
            url: env("DATABASE_URL"),
            database: env("DB_NAME"),
            user: value("me"),
            password: env("DB_PASSWORD"),
            ..Connection::default()
        };
        let at = |text: &'static str| connection.endpoint(&move |_| Ok(text.to_owned()));
        for pieces in ["DB_NAME=a\nDB_PASSWORD=p", "DB_NAME=a\nDB_PASSWORD=p\nDATABASE_URL="] {
            let it = at(pieces).unwrap();
            assert_eq!(format!("{it:?} {:?}", it.password), "me@localhost:5432/a Some(\"p\")");
        }
        let it = at("DB_NAME=a\nDB_PASSWORD=p\nDATABASE_URL=postgresql+psycopg://you:q@db:6000/b").unwrap();
        assert_eq!(format!("{it:?} {:?}", it.password), "you@db:6000/b Some(\"q\")");
        assert_eq!(at("DATABASE_URL=nothing").unwrap_err().class, "bad_database_url");
        assert_eq!(at("").unwrap_err().class, "setting_missing");
    }

    #[test]
    fn a_password_file_answers_for_its_server_only() {
        let passfile = Some(Reference::Passfile(FilePath::parse("/etc/pgpass").unwrap()));
        let connection =
            Connection { database: value("shop"), user: value("me"), password: passfile, ..Connection::default() };
        let read =
            |_: &FilePath| Ok("# mine\nother:*:*:me:no\nlocalhost:5432:*:me:pa\\:ss\\\\:w\n*:*:*:*:late".to_owned());
        assert_eq!(connection.endpoint(&read).unwrap().password.as_deref(), Some("pa:ss\\:w"));
        assert_eq!(connection.endpoint(&|_| Ok(String::new())).unwrap().password, None);
    }

    #[test]
    fn an_administrator_inherits_the_server_and_not_the_password() {
        let mut store = PostgresStore {
            name: "database".into(),
            connection: Connection { url: env("URL"), ..Connection::default() },
            service: None,
            admin: None,
            globals: false,
            point_at: Default::default(),
        };
        let read = |_: &FilePath| Ok("URL=postgres://shop:pw@db:6000/shop\nADMIN=root".to_owned());
        assert_eq!(store.admin_endpoint(&read).unwrap(), None);
        store.admin = Some(Connection { user: value("postgres"), ..Connection::default() });
        let admin = store.admin_endpoint(&read).unwrap().unwrap();
        assert_eq!(format!("{admin:?} {:?}", admin.password), "postgres@db:6000/postgres None");
        store.admin = Some(Connection { user: value("postgres"), password: env("ADMIN"), ..Connection::default() });
        assert_eq!(store.admin_endpoint(&read).unwrap().unwrap().password.as_deref(), Some("root"));
    }
}
