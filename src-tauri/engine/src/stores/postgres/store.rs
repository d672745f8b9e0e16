//! A PostgreSQL database as a store of an installation: the verbs of every store, in terms of the parts here.

mod verbs;

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::{fmt, fs};

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::aside::{self, AsideState as Stands};
use super::client::{Client, Server, SslMode};
use super::dump::Dump;
use super::facts::Other;
use super::scratch::{self, Access, Mould, Scratch};
use super::work::Work;
use super::{inventory, lease};
use crate::docker::{InContainer, Project};
use crate::error::{Error, Result};
use crate::model::profile::Endpoint;
use crate::ports::{Reporter, Runner, SignOfWork};
use crate::secrets::{Secret, remember};
use crate::space::Needs;
use crate::stores::look::TableLook;
use crate::stores::{Aside, Counts, DataStore, Dumped, Place, Sandbox, ServerLease, StoreKind};

/// A database of an installation. The server is asked at the first verb, not before.
pub struct PostgresStore {
    name: String,
    endpoint: Endpoint,
    admin: Option<Endpoint>,
    /// The container in which the server runs, where it is in one.
    inside: Option<Inside>,
    globals: bool,
    label: String,
    private_dir: PathBuf,
    runner: Arc<dyn Runner>,
    client: OnceLock<Client>,
    admin_client: OnceLock<Client>,
}

impl fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresStore")
            .field("name", &self.name)
            .field("endpoint", &self.endpoint)
            .finish_non_exhaustive()
    }
}

/// The container of a database server: a service of a compose project.
#[derive(Debug, Clone)]
pub struct Inside {
    /// The project.
    pub project: Project,
    /// The service.
    pub service: String,
}

impl PostgresStore {
    /// The database at `endpoint`; `admin` is asked where the application's own role has too few rights. `label`
    /// is what our sessions are called, `private_dir` a folder of ours for passfiles.
    pub fn new(
        name: &str,
        endpoint: Endpoint,
        admin: Option<Endpoint>,
        label: &str,
        private_dir: &Path,
        runner: Arc<dyn Runner>,
    ) -> Self {
        for password in [Some(&endpoint), admin.as_ref()].into_iter().flatten().filter_map(|it| it.password.as_ref()) {
            remember(password);
        }
        Self {
            name: name.to_owned(),
            endpoint,
            admin,
            inside: None,
            globals: false,
            label: label.to_owned(),
            private_dir: private_dir.to_owned(),
            runner,
            client: OnceLock::new(),
            admin_client: OnceLock::new(),
        }
    }

    /// In whose container its own tools are used.
    #[must_use]
    pub fn inside(mut self, inside: Option<Inside>) -> Self {
        self.inside = inside;
        self
    }

    /// Keeps the roles of the server beside each dump.
    #[must_use]
    pub fn with_globals(mut self, globals: bool) -> Self {
        self.globals = globals;
        self
    }

    fn server(endpoint: &Endpoint) -> Result<Server> {
        let mut server = Server::new(&endpoint.host, endpoint.port, &endpoint.user);
        server.ssl_mode = ssl_mode(endpoint)?;
        let root = endpoint.parameters.iter().find(|(key, _)| key == "sslrootcert");
        server.ssl_root_cert = root.map(|(_, path)| PathBuf::from(path));
        if let Some(password) = &endpoint.password {
            server = server.password(Secret::new(password.clone()));
        }
        Ok(server)
    }

    /// The server in a container, by its own tools there.
    fn open_in(&self, endpoint: &Endpoint, container: &str) -> Result<Client> {
        // The address is the one that the application knows; beside the server it is this one.
        let server = Server { host: "127.0.0.1".to_owned(), ssl_root_cert: None, ..Self::server(endpoint)? };
        let runner = InContainer::new(Arc::clone(&self.runner), container);
        Client::open_inside(server, &self.label, &self.private_dir, Arc::new(runner))
    }

    fn open(&self, endpoint: &Endpoint, database: &str) -> Result<Client> {
        if let Some(inside) = &self.inside {
            let container = inside.project.running(&inside.service)?.name;
            return self.open_in(endpoint, container.trim_start_matches('/'));
        }
        let server = Self::server(endpoint)?;
        Client::open(server, database, &self.label, &self.private_dir, &[], Arc::clone(&self.runner))
    }

    /// As the application's own role.
    fn client(&self) -> Result<&Client> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        let client = self.open(&self.endpoint, &self.endpoint.database)?;
        Ok(self.client.get_or_init(|| client))
    }

    /// As the role that may copy and rename.
    fn admin(&self) -> Result<&Client> {
        let Some(admin) = &self.admin else { return self.client() };
        if let Some(client) = self.admin_client.get() {
            return Ok(client);
        }
        let client = self.open(admin, &admin.database)?;
        Ok(self.admin_client.get_or_init(|| client))
    }

    fn database(&self) -> &str {
        &self.endpoint.database
    }

    /// The application was stopped: what it left behind may be ended, and nobody else's session. (The server's own
    /// helpers, such as autovacuum, are not among those that are asked about.)
    fn may_end(&self, other: &Other) -> bool {
        other.user == self.endpoint.user && !other.is_hand_tool()
    }

    /// With the words by which a person gets there.
    fn reached(&self, look: TableLook) -> TableLook {
        let endpoint = &self.endpoint;
        let connect = match &self.inside {
            Some(inside) => {
                format!("docker compose exec {} psql -U {} {}", inside.service, endpoint.user, look.database)
            }
            None => format!("psql -h {} -p {} -U {} {}", endpoint.host, endpoint.port, endpoint.user, look.database),
        };
        TableLook { connect, ..look }
    }

    /// Character set and locale of the database.
    fn like(&self) -> Result<aside::Like> {
        let mut session = self.client()?.connect(self.database())?;
        #[derive(serde::Deserialize)]
        struct Row {
            oid: u32,
        }
        let here: Row = session.one("SELECT oid::int8 AS oid FROM pg_database WHERE datname = current_database()")?;
        aside::Like::of(&mut session, here.oid)
    }

    /// What bears the application's name or waits to: where commands and counts go.
    fn next_name<'a>(&self, aside: &'a aside::Aside) -> Result<&'a str> {
        match aside::observe(self.admin()?, aside)? {
            Stands::Swapped { .. } => Ok(&aside.name),
            Stands::Copied { .. } => Ok(&aside.next_name),
            other => {
                Err(Error::failed("no_copy", format!("There is no copy of the database {} to work on.", aside.name))
                    .remedy("Nothing to do: the original is untouched and is put back.")
                    .detail(format!("{other:?}")))
            }
        }
    }

    fn place_of(&self, database: &str) -> Place {
        Place::Postgres {
            host: self.endpoint.host.clone(),
            port: self.endpoint.port,
            user: self.endpoint.user.clone(),
            password: self.endpoint.password.clone().map(Secret::new),
            database: database.to_owned(),
        }
    }

    /// Restores into a private server; where something will work on it there, it is made fit for that.
    fn restore_on_the_side(
        &self,
        dumped: &Dumped,
        from: &Path,
        scratch: &Path,
        is_worked_on: bool,
        reporter: &dyn Reporter,
    ) -> Result<OnTheSide> {
        let dump: Dump = field(&dumped.facts, "dump")?;
        dump.expect_not_newer_than(self.client()?.tools().major)?;
        let scratch = self.scratch_server(scratch)?;
        let mut restored = scratch.restore(&from.join(&dumped.file), &dump, self.database(), reporter)?;
        if is_worked_on {
            scratch.seal(&dump, &mut restored, reporter)?;
        }
        for note in &restored.notes {
            reporter.say(&format!("{}: {note}", self.name));
        }
        Ok(OnTheSide { scratch, access: restored.access })
    }

    /// A private server of the same binaries.
    fn scratch_server(&self, scratch: &Path) -> Result<Scratch> {
        let client = self.client()?;
        let folder = self.scratch_folder(scratch)?;
        let container = self.inside.as_ref().map(|it| self.mould(it)).transpose()?;
        let options = scratch::Options {
            label: self.label.clone(),
            run_as: if container.is_some() { None } else { server_user()? },
            runner: Arc::clone(&self.runner),
            container,
        };
        Scratch::start(client.tools(), &folder, &options)
    }

    /// A dump in the file of this name, as manifests describe it.
    fn described(&self, file: String, dump: Dump) -> Result<Dumped> {
        let mut facts = serde_json::Map::new();
        let value = serde_json::to_value(&dump)
            .map_err(|cause| Error::bug("manifest", "A dump could not be described.").because(&cause))?;
        facts.insert("dump".to_owned(), value);
        Ok(Dumped {
            store: self.name.clone(),
            kind: StoreKind::Postgres,
            note: format!(
                "pg_dump custom format in gzip of many members: gunzip -c {file} | pg_restore -d NEW_DATABASE. \
                 A reader that stops at the first member sees a part only."
            ),
            file,
            sha256: dump.sha256,
            bytes: dump.bytes,
            raw_bytes: dump.raw_bytes,
            counts: dump.inventory.counts,
            facts,
            seconds: dump.seconds,
            sealed: None,
        })
    }

    /// What a throw-away server like ours is made of.
    fn mould(&self, inside: &Inside) -> Result<Mould> {
        Ok(Mould {
            docker: inside.project.docker().clone(),
            image: inside.project.running(&inside.service)?.image,
            host: self.endpoint.host.clone(),
            port: self.endpoint.port,
        })
    }

    /// Whether the disk of the server has room for so many bytes, as far as that disk can be seen from here.
    fn expect_disk(&self, bytes: u64, what: &str) -> Result<()> {
        let Some(data) = self.folder() else { return Ok(()) };
        Needs::new().add(data, bytes, what).check()
    }

    /// Where our scratch server stands; the way there is open to the user it runs as.
    fn scratch_folder(&self, scratch: &Path) -> Result<PathBuf> {
        fs::create_dir_all(scratch).map_err(|cause| Error::io("create", scratch, &cause))?;
        Ok(scratch.join(&self.name))
    }
}

/// PostgreSQL refuses to run as root: then its usual user runs the scratch server, or nobody.
#[cfg(unix)]
fn server_user() -> Result<Option<(u32, u32)>> {
    if !rustix::process::geteuid().is_root() {
        return Ok(None);
    }
    let passwd = Path::new("/etc/passwd");
    let text = fs::read_to_string(passwd).map_err(|cause| Error::io("read", passwd, &cause))?;
    let ids = |name: &str| {
        text.lines().find_map(|line| {
            let fields: Vec<&str> = line.split(':').collect();
            (*fields.first()? == name).then(|| Some((fields.get(2)?.parse().ok()?, fields.get(3)?.parse().ok()?)))?
        })
    };
    ids("postgres").or_else(|| ids("nobody")).map(Some).ok_or_else(|| {
        Error::refused("no_server_user", "There is no user as whom a temporary database server could run.")
            .remedy("Create a user called postgres, or run Liftlock as another user than root.")
    })
}

#[cfg(not(unix))]
fn server_user() -> Result<Option<(u32, u32)>> {
    Ok(None)
}

fn ssl_mode(endpoint: &Endpoint) -> Result<SslMode> {
    match endpoint.parameters.iter().find(|(key, _)| key == "sslmode") {
        None => Ok(SslMode::default()),
        // libpq's words are those of the type; `allow` secures nothing that `prefer` does not.
        Some((_, value)) if value == "allow" => Ok(SslMode::Prefer),
        Some((_, value)) => serde_json::from_value(Value::String(value.clone())).map_err(|_| {
            Error::refused("bad_sslmode", format!("“{}” is not a way to secure a connection.", value.escape_debug()))
                .remedy("sslmode is one of disable, prefer, require, verify-ca, verify-full.")
        }),
    }
}

fn field<T: DeserializeOwned>(facts: &serde_json::Map<String, Value>, name: &str) -> Result<T> {
    serde_json::from_value(facts.get(name).cloned().unwrap_or_default()).map_err(|cause| {
        Error::failed("backup_unreadable", "The manifest of the backup does not describe its database.")
            .remedy("Make a new backup; this one cannot be proven.")
            .because(&cause)
    })
}

fn ours(aside: &Aside) -> Result<aside::Aside> {
    serde_json::from_value(aside.0.clone()).map_err(|cause| {
        Error::failed("state_corrupt", "The journal does not tell how the database was set aside.")
            .remedy("Run `liftlock doctor`. Delete nothing.")
            .because(&cause)
    })
}

impl ServerLease for lease::LeaseSession {
    fn still_held(&mut self) -> Result<()> {
        Self::still_held(self)
    }
}

/// A dump restored into a private server.
struct OnTheSide {
    scratch: Scratch,
    access: Access,
}

fn place_at(access: &Access) -> Place {
    Place::Postgres {
        host: access.host.clone(),
        port: access.port,
        user: access.user.clone(),
        password: Some(access.password.clone()),
        database: access.database.clone(),
    }
}

impl Sandbox for OnTheSide {
    fn place(&self) -> Place {
        place_at(&self.access)
    }

    fn network(&self) -> Option<&str> {
        self.scratch.network()
    }

    fn empty_place(&self) -> Result<Option<Place>> {
        let empty = self.scratch.empty(&self.access, &format!("{}__empty", self.access.database))?;
        Ok(Some(place_at(&empty)))
    }

    fn counts(&self, reporter: &dyn Reporter) -> Result<Counts> {
        inventory::count(self.scratch.client(), &self.access.database, reporter)
    }

    fn sign_of_work(&self) -> Option<Box<dyn SignOfWork>> {
        Some(Box::new(Work::new(self.scratch.client().clone(), &self.access.database)))
    }
}
