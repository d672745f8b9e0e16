//! What a server says about a database: everything that is asked before an upgrade touches it.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::client::Client;
use super::quote::literal;
use super::session::Session;
use crate::error::{Error, Result};

/// A database as it is now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Facts {
    /// The server's version, such as `15.18 (Debian 15.18-0+deb12u1)`.
    pub server_version: String,
    /// Its major version.
    pub server_major: u32,
    /// What tells this cluster from every other, for as long as it lives.
    pub system_identifier: String,
    /// Whether it is a standby, which nothing can be written to.
    pub in_recovery: bool,
    /// The database's name.
    pub name: String,
    /// Its object id, which a rename does not change.
    pub oid: u32,
    /// Its size on the server's disk, in bytes; absent where we may not ask.
    pub size: Option<u64>,
    /// Its character set, such as `UTF8`.
    pub encoding: String,
    /// Its locale.
    pub locale: Locale,
    /// The locale's version differs from the one the indexes were built with: a copy is refused by the server.
    pub is_collation_stale: bool,
    /// Who owns it.
    pub owner: String,
    /// Whether its owner is a superuser.
    pub owner_is_superuser: bool,
    /// Whether connections are allowed.
    pub allows_connections: bool,
    /// How many connections it may have; -1 for no limit.
    pub connection_limit: i32,
    /// The role that we are.
    pub role: Role,
    /// Prepared transactions in it, by their global id.
    pub prepared_transactions: Vec<String>,
    /// Replication slots of it.
    pub replication_slots: Vec<String>,
    /// Subscriptions in it (names; absent where only a superuser may see them).
    pub subscriptions: Vec<String>,
    /// Foreign servers in it.
    pub foreign_servers: Vec<String>,
    /// Event triggers in it.
    pub event_triggers: Vec<String>,
    /// Tablespaces beside the default one that its data lies in.
    pub tablespaces: Vec<String>,
    /// Its extensions with their versions.
    pub extensions: Vec<Extension>,
    /// Sessions in it, ours left out.
    pub sessions: Vec<Other>,
    /// What the server is set to, as far as it matters here.
    pub settings: Settings,
    /// Where the server runs.
    pub place: Place,
}

/// How text is sorted and classified.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Locale {
    /// `c` for the operating system's, `i` for ICU, `b` for built in.
    pub provider: String,
    /// Order of sorting.
    pub collate: String,
    /// Kinds of characters.
    pub ctype: String,
    /// The locale of ICU or of the built-in provider.
    pub name: Option<String>,
}

/// What our role may do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Role {
    /// Its name.
    pub name: String,
    /// It may do everything.
    pub is_superuser: bool,
    /// It may create databases.
    pub can_create_databases: bool,
    /// It may create roles.
    pub can_create_roles: bool,
    /// It owns the database, itself or as a member of its owner.
    pub owns_database: bool,
    /// It sees what other roles' sessions do and may end them, apart from a superuser's.
    pub can_signal_sessions: bool,
}

/// An extension of a database.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Extension {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The schema that its objects are in.
    pub schema: String,
}

/// Somebody else's session in the database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Other {
    /// The backend's process id on the server.
    pub pid: i32,
    /// Who it is, empty where the server does not say.
    #[serde(default)]
    pub user: String,
    /// What the program calls itself.
    #[serde(default)]
    pub application: String,
    /// Where it comes from; empty for a local socket.
    #[serde(default)]
    pub client: String,
    /// What kind of backend it is, such as `client backend` or `walsender`.
    #[serde(default)]
    pub kind: String,
}

impl Other {
    /// Whether a person sits behind it, by what the program calls itself. Such a session is nobody's to end, even
    /// where it came in as the application's own user.
    pub fn is_hand_tool(&self) -> bool {
        const KNOWN: [&str; 8] = ["psql", "pgadmin", "dbeaver", "datagrip", "pgcli", "postico", "tableplus", "pg_dump"];
        let name = self.application.to_ascii_lowercase();
        KNOWN.iter().any(|it| name.starts_with(it))
    }

    /// Whether it is one of Liftlock's. The server may need a moment to notice that it is over; it is waited for.
    pub fn is_ours(&self) -> bool {
        self.application.starts_with("liftlock/")
    }
}

/// Settings of the server that matter here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Settings {
    /// How many connections there may be in all.
    pub max_connections: u32,
    /// How many are open now.
    pub connections: u32,
    /// How many transactions may be prepared; 0 where none can.
    pub max_prepared_transactions: u32,
    /// The write-ahead log's level.
    pub wal_level: String,
    /// Libraries that the server loads at its start; empty where we may not ask.
    pub preload_libraries: String,
    /// The folder of its data, where we may ask.
    pub data_directory: Option<PathBuf>,
}

/// Where a server runs, as seen from here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// On this machine: its backend for our session is in our table of processes.
    Here,
    /// Its address is this machine's, but its processes are not ours to see: another user's, or a container.
    Loopback,
    /// Elsewhere.
    Elsewhere,
}

/// Asks the server about `database`.
///
/// # Errors
/// Why it cannot be asked; `database_missing`.
pub fn facts(client: &Client, database: &str) -> Result<Facts> {
    let mut inside = client.connect(database)?;
    let mut facts = ask(&mut inside, database)?;
    facts.place = place(client, &inside);
    if facts.settings.data_directory.is_none() && facts.place == Place::Here {
        facts.settings.data_directory = data_directory_of(inside.backend().pid);
    }
    Ok(facts)
}

/// The identifier of the cluster that this session is in.
///
/// # Errors
/// As [`Session::one`].
pub(super) fn system_identifier(session: &mut Session) -> Result<String> {
    #[derive(Deserialize)]
    struct Row {
        id: String,
    }
    Ok(session.one::<Row>("SELECT system_identifier::text AS id FROM pg_control_system()")?.id)
}

/// The size of a database in bytes, asked from any other; 0 where we may not ask.
///
/// # Errors
/// As [`Session::rows`].
pub(super) fn size_of(session: &mut Session, database: &str) -> Result<u64> {
    #[derive(Deserialize)]
    struct Row {
        size: Option<u64>,
    }
    let rows = session.rows::<Row>(&format!(
        "SELECT CASE WHEN has_database_privilege(d.oid, 'CONNECT') THEN pg_database_size(d.oid) END AS size \
         FROM pg_database d WHERE d.datname = {}",
        literal(database)
    ))?;
    Ok(rows.into_iter().find_map(|it| it.size).unwrap_or(0))
}

fn ask(inside: &mut Session, database: &str) -> Result<Facts> {
    let major = inside.major();
    // Columns that came with later versions.
    let provider = if major >= 15 { "d.datlocprovider::text" } else { "'c'" };
    let locale_name = match major {
        17.. => "d.datlocale",
        15 | 16 => "d.daticulocale",
        _ => "NULL::text",
    };
    let is_stale = if major >= 15 {
        "coalesce(d.datcollversion <> pg_database_collation_actual_version(d.oid), false)"
    } else {
        "false"
    };
    // Left out where the question itself is an error for an ordinary role.
    let size = "CASE WHEN has_database_privilege(d.oid, 'CONNECT') THEN pg_database_size(d.oid) END";
    let hidden = |setting: &str| {
        format!(
            "CASE WHEN pg_has_role(current_user, 'pg_read_all_settings', 'USAGE') THEN current_setting('{setting}') END"
        )
    };
    let list = |what: &str| format!("coalesce((SELECT json_agg({what}), '[]'::json)");
    inside.one(&format!(
        "SELECT current_setting('server_version') AS server_version, {major} AS server_major, \
         (SELECT system_identifier::text FROM pg_control_system()) AS system_identifier, \
         pg_is_in_recovery() AS in_recovery, d.datname AS name, d.oid::int8 AS oid, {size} AS size, \
         pg_encoding_to_char(d.encoding) AS encoding, \
         json_build_object('provider', {provider}, 'collate', d.datcollate, 'ctype', d.datctype, \
         'name', {locale_name}) AS locale, {is_stale} AS is_collation_stale, o.rolname AS owner, \
         o.rolsuper AS owner_is_superuser, d.datallowconn AS allows_connections, \
         d.datconnlimit AS connection_limit, \
         json_build_object('name', r.rolname, 'is_superuser', r.rolsuper, \
         'can_create_databases', r.rolsuper OR r.rolcreatedb, 'can_create_roles', r.rolsuper OR r.rolcreaterole, \
         'owns_database', pg_has_role(r.oid, d.datdba, 'USAGE'), \
         'can_signal_sessions', r.rolsuper OR pg_has_role(r.oid, 'pg_signal_backend', 'USAGE')) AS role, \
         {prepared} AS prepared_transactions, {slots} AS replication_slots, {subscriptions} AS subscriptions, \
         {foreign} AS foreign_servers, {triggers} AS event_triggers, {spaces} AS tablespaces, \
         {extensions} AS extensions, {sessions} AS sessions, \
         json_build_object('max_connections', current_setting('max_connections')::int, \
         'connections', (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'), \
         'max_prepared_transactions', current_setting('max_prepared_transactions')::int, \
         'wal_level', current_setting('wal_level'), 'preload_libraries', coalesce({preload}, ''), \
         'data_directory', {data_directory}) AS settings, 'elsewhere' AS place \
         FROM pg_database d JOIN pg_roles o ON o.oid = d.datdba JOIN pg_roles r ON r.rolname = current_user \
         WHERE d.datname = {name}",
        prepared = list("p.gid) FROM pg_prepared_xacts p WHERE p.database = d.datname"),
        slots = list("s.slot_name) FROM pg_replication_slots s WHERE s.database = d.datname"),
        subscriptions = list("s.subname) FROM pg_subscription s WHERE s.subdbid = d.oid"),
        foreign = list("f.srvname) FROM pg_foreign_server f"),
        triggers = list("e.evtname) FROM pg_event_trigger e"),
        spaces = list(
            "t.spcname) FROM pg_tablespace t WHERE t.oid <> 1663 AND (t.oid = d.dattablespace OR t.oid IN \
             (SELECT c.reltablespace FROM pg_class c WHERE NOT c.relisshared))"
        ),
        extensions = list(
            "json_build_object('name', e.extname, 'version', e.extversion, 'schema', n.nspname) ORDER BY e.extname) \
             FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace"
        ),
        sessions = list(&format!("{OTHER}) FROM pg_stat_activity a WHERE {OTHERS} AND a.datid = d.oid")),
        preload = hidden("shared_preload_libraries"),
        data_directory = hidden("data_directory"),
        name = literal(database),
    ))
}

const OTHER: &str = "json_build_object('pid', a.pid, 'user', coalesce(a.usename, ''), 'application', \
     coalesce(a.application_name, ''), 'client', coalesce(host(a.client_addr), ''), 'kind', coalesce(a.backend_type, ''))";
/// Sessions that keep a database from being copied or renamed. The server ends its own helpers by itself, and
/// workers of a query end with it. Whoever may not see the kind of a backend still sees that one with a user is
/// somebody's.
const OTHERS: &str = "a.pid <> pg_backend_pid() AND a.usesysid IS NOT NULL AND \
     coalesce(a.backend_type, '') NOT IN ('autovacuum worker', 'parallel worker')";

/// The sessions in the database with this object id, ours in `session` left out.
///
/// # Errors
/// As [`Session::rows`].
pub(super) fn sessions_in(session: &mut Session, oid: u32) -> Result<Vec<Other>> {
    #[derive(Deserialize)]
    struct Row {
        it: Other,
    }
    let rows: Vec<Row> = session.rows(&format!(
        "SELECT {OTHER} AS it FROM pg_stat_activity a WHERE {OTHERS} AND a.datid = {oid} ORDER BY a.pid"
    ))?;
    Ok(rows.into_iter().map(|row| row.it).collect())
}

/// Whether the backend of `session` is a process that we see as the server's.
fn place(client: &Client, session: &Session) -> Place {
    if !client.server().is_loopback() {
        return Place::Elsewhere;
    }
    if is_local_backend(session.backend().pid, session.database()) { Place::Here } else { Place::Loopback }
}

/// A backend's title names its user, database and client, so a process of another pid name space with the same
/// number is not taken for it.
pub(super) fn is_local_backend(pid: i32, database: &str) -> bool {
    let Ok(title) = std::fs::read(Path::new("/proc").join(pid.to_string()).join("cmdline")) else { return false };
    let title = String::from_utf8_lossy(&title);
    title.starts_with("postgres:") && title.split(' ').any(|word| word == database)
}

/// The folder that the server of a backend was started with, which everybody may read where the server's own
/// answer is for administrators: `postgres -D /var/lib/postgresql/15/main`.
fn data_directory_of(pid: i32) -> Option<PathBuf> {
    let proc = Path::new("/proc");
    let stat = std::fs::read_to_string(proc.join(pid.to_string()).join("stat")).ok()?;
    let server = stat.rsplit_once(')')?.1.split_whitespace().nth(1)?;
    let arguments = std::fs::read(proc.join(server).join("cmdline")).ok()?;
    let mut arguments = arguments.split(|byte| *byte == 0).map(|it| String::from_utf8_lossy(it).into_owned());
    arguments.find(|it| it == "-D")?;
    arguments.next().map(PathBuf::from).filter(|it| it.is_absolute())
}

/// What stands in the way of setting this database aside, as errors of the kind `Refused`, worst first.
pub fn obstacles(facts: &Facts) -> Vec<Error> {
    let mut found = Vec::new();
    let mut add = |is_so: bool, class: &'static str, message: String, remedy: &str| {
        if is_so {
            found.push(Error::refused(class, message).remedy(remedy));
        }
    };
    let name = &facts.name;
    add(
        facts.in_recovery,
        "read_only",
        format!("The database {name} is on a standby server, which cannot be changed."),
        "Connect to the primary server.",
    );
    add(
        !(facts.role.is_superuser || facts.role.owns_database && facts.role.can_create_databases),
        "insufficient_rights",
        format!("The user {} may not copy the database {name}.", facts.role.name),
        "It must own the database and have the right CREATEDB. Let an administrator run ALTER ROLE … CREATEDB, or give \
         Liftlock an administrator's connection.",
    );
    add(
        !facts.prepared_transactions.is_empty(),
        "prepared_transaction",
        format!("A prepared transaction in {name} was never finished ({}).", facts.prepared_transactions.join(", ")),
        "Finish it with COMMIT PREPARED or ROLLBACK PREPARED, then try again.",
    );
    add(
        !facts.replication_slots.is_empty(),
        "replication_slot",
        format!("The database {name} is being replicated (slot {}).", facts.replication_slots.join(", ")),
        "Stop the replication and drop its slot for the time of the upgrade, then set it up again.",
    );
    add(
        !facts.subscriptions.is_empty(),
        "subscription",
        format!("The database {name} receives data from another server ({}).", facts.subscriptions.join(", ")),
        "Drop the subscription for the time of the upgrade, then create it again.",
    );
    add(
        facts.is_collation_stale,
        "collation_mismatch",
        format!("The operating system's sorting rules have changed since the indexes of {name} were built."),
        "Rebuild the indexes (REINDEX DATABASE), then run ALTER DATABASE … REFRESH COLLATION VERSION, and try again.",
    );
    found
}
