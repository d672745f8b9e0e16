//! A server, who we are there, and how its tools are called.
//!
//! Everything that a tool is told stands in one connection string, so nothing of the environment (`PGSERVICE`,
//! `PGOPTIONS`, …) changes where it leads. The password is in a file that only we can read, never in arguments.

use std::{
    fmt,
    ops::{Deref, DerefMut},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, TryLockError},
    time::Duration,
};

use serde::{Deserialize, Serialize};
use tempfile::TempDir;

use super::quote;
use super::session::Session;
use super::tools::{self, Tools};
use crate::durable;
use crate::error::{Error, Result};
use crate::ports::{Invocation, Runner};
use crate::secrets::Secret;

/// How long a worker waits for the container of a database that went away.
const CONTAINER_WITHIN: Duration = Duration::from_secs(45);

/// How a connection is secured, in libpq's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SslMode {
    /// Never.
    Disable,
    /// Where the server offers it.
    #[default]
    Prefer,
    /// Always, whoever answers.
    Require,
    /// Always, with a certificate that a known authority signed.
    VerifyCa,
    /// Always, with a certificate for this very name.
    VerifyFull,
}

impl SslMode {
    fn as_str(self) -> &'static str {
        match self {
            Self::Disable => "disable",
            Self::Prefer => "prefer",
            Self::Require => "require",
            Self::VerifyCa => "verify-ca",
            Self::VerifyFull => "verify-full",
        }
    }
}

/// Where a server listens and who we are there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// A name, an address, or the folder of its socket (begins with `/`).
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The role we connect as.
    pub user: String,
    /// The password; without one, what libpq finds by itself (`~/.pgpass`, peer, trust).
    pub password: Option<Secret>,
    /// How the connection is secured.
    pub ssl_mode: SslMode,
    /// A certificate authority of one's own.
    pub ssl_root_cert: Option<PathBuf>,
    /// The user and group that the tools run as, where Liftlock is root and the server asks who runs them (peer).
    pub run_as: Option<(u32, u32)>,
}

impl Server {
    /// A server on `host` and `port` for `user`, with all else as usual.
    pub fn new(host: impl Into<String>, port: u16, user: impl Into<String>) -> Self {
        Self {
            host: host.into(),
            port,
            user: user.into(),
            password: None,
            ssl_mode: SslMode::default(),
            ssl_root_cert: None,
            run_as: None,
        }
    }

    /// With this password.
    #[must_use]
    pub fn password(mut self, password: Secret) -> Self {
        self.password = Some(password);
        self
    }

    /// Whether its address leads to this machine. A forwarded port or a container may answer there all the same.
    pub fn is_loopback(&self) -> bool {
        self.host.starts_with('/')
            || self.host == "localhost"
            || self.host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
    }

    /// The database in which we stand to work on `database` from outside: `postgres`, or `template1` for
    /// `postgres` itself. Every Liftlock must choose the same one, because advisory locks belong to a database.
    pub fn maintenance(database: &str) -> &'static str {
        if database == "postgres" { "template1" } else { "postgres" }
    }
}

/// A server together with the tools to ask it. Cheap to clone; the passfile goes with the last one.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
    /// The session beside the application's database, once it was asked for: to begin one costs a tenth of a second
    /// where the server is in a container, and a dozen of them are wanted while the application is away.
    beside: Arc<OnceLock<Mutex<Session>>>,
}

struct Inner {
    server: Server,
    tools: Tools,
    label: String,
    runner: Arc<dyn Runner>,
    /// Holds `passfile`; removed when dropped.
    private: Option<TempDir>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("server", &self.inner.server)
            .field("tools", &self.inner.tools)
            .field("label", &self.inner.label)
            .finish_non_exhaustive()
    }
}

impl Client {
    /// Asks the server which version it is and finds the tools of that version. `label` is the
    /// `application_name` of every session, as `liftlock/<upgrade>/<epoch>`; `private_dir` is a folder of ours,
    /// in which the passfile lives for as long as the client does.
    ///
    /// # Errors
    /// `tools_missing`, `tools_too_old`, `server_too_old` (below 12), or why the server cannot be reached;
    /// `database` is the one that is connected to for the question.
    pub fn open(
        server: Server,
        database: &str,
        label: &str,
        private_dir: &Path,
        extra_dirs: &[PathBuf],
        runner: Arc<dyn Runner>,
    ) -> Result<Self> {
        let newest = tools::newest(runner.as_ref(), extra_dirs)?;
        let asking = Self::with_tools(server, newest, label, private_dir, Arc::clone(&runner))?;
        let session = asking.connect(database).or_else(|error| match error.class.as_ref() {
            // Set aside by a worker that was killed since: whoever goes on has to reach the server all the same.
            "database_closed" => asking.connect(Server::maintenance(database)),
            _ => Err(error),
        });
        let major = session?.major();
        if major < 12 {
            return Err(too_old(major));
        }
        if asking.inner.tools.major == major && asking.inner.tools.has_server {
            return Ok(asking);
        }
        let tools = tools::find(runner.as_ref(), major, extra_dirs)?;
        Self::with_tools(asking.inner.server.clone(), tools, label, private_dir, runner)
    }

    /// The same for a server whose tools lie beside it in its container, in which `runner` runs. `server` is where it
    /// listens there.
    ///
    /// # Errors
    /// `tools_missing`, `server_too_old`; why nothing can be run there.
    pub fn open_inside(server: Server, label: &str, private_dir: &Path, runner: Arc<dyn Runner>) -> Result<Self> {
        let tools = tools::inside(runner.as_ref())?;
        if tools.major < 12 {
            return Err(too_old(tools.major));
        }
        Self::with_tools(server, tools, label, private_dir, runner)
    }

    /// The same with tools that are known already. Nothing is asked.
    ///
    /// # Errors
    /// `bad_password` for one that no passfile can hold; `io` and its kin.
    pub fn with_tools(
        server: Server,
        tools: Tools,
        label: &str,
        private_dir: &Path,
        runner: Arc<dyn Runner>,
    ) -> Result<Self> {
        let password = server.password.as_ref().filter(|_| !tools.is_inside);
        let private = password.map(|password| write_passfile(private_dir, password)).transpose()?;
        let inner = Inner { server, tools, label: label.to_owned(), runner, private };
        Ok(Self { inner: Arc::new(inner), beside: Arc::default() })
    }

    /// The same server and tools for another user.
    ///
    /// # Errors
    /// As [`Client::with_tools`].
    pub fn as_user(&self, user: &str, password: Option<Secret>, private_dir: &Path) -> Result<Self> {
        let server = Server { user: user.to_owned(), password, ..self.inner.server.clone() };
        Self::with_tools(
            server,
            self.inner.tools.clone(),
            &self.inner.label,
            private_dir,
            Arc::clone(&self.inner.runner),
        )
    }

    /// The server.
    pub fn server(&self) -> &Server {
        &self.inner.server
    }
    /// The tools.
    pub fn tools(&self) -> &Tools {
        &self.inner.tools
    }
    /// The `application_name` of our sessions.
    pub fn label(&self) -> &str {
        &self.inner.label
    }
    /// What runs the tools.
    pub fn runner(&self) -> &Arc<dyn Runner> {
        &self.inner.runner
    }

    /// A session in `database`.
    ///
    /// # Errors
    /// Why there is none: `connection_refused`, `timeout`, `dns`, `tls`, `auth_failed`, `database_missing`,
    /// `database_closed`, `too_many_connections`, `server_starting`, …
    pub fn connect(&self, database: &str) -> Result<Session> {
        if self.inner.tools.is_inside && self.inner.label.contains('/') {
            // A worker waits for a container that is only coming up again, with Docker or by itself.
            return self.retried(database, CONTAINER_WITHIN);
        }
        Session::open(self, database)
    }

    /// A session beside `database`, from which it can be renamed and copied. It is the one of before, where that
    /// still answers and nobody is using it.
    ///
    /// # Errors
    /// As [`Client::connect`].
    pub fn connect_beside(&self, database: &str) -> Result<Beside<'_>> {
        let place = Server::maintenance(database);
        // What somebody is connected to can be no template, and `template1` is everybody's.
        if place == "template1" {
            return self.connect(place).map(Beside::New);
        }
        let Some(kept) = self.beside.get() else {
            let first = self.connect(place)?;
            return self.lock(self.beside.get_or_init(|| Mutex::new(first)), place);
        };
        self.lock(kept, place)
    }

    fn lock<'a>(&self, kept: &'a Mutex<Session>, place: &str) -> Result<Beside<'a>> {
        let mut session = match kept.try_lock() {
            Ok(session) => session,
            Err(TryLockError::Poisoned(poisoned)) => PoisonError::into_inner(poisoned),
            Err(TryLockError::WouldBlock) => return self.connect(place).map(Beside::New),
        };
        if !session.answers() {
            *session = self.connect(place)?;
        }
        Ok(Beside::Kept(session))
    }

    /// The same server for a session of its own, which must not keep itself alive.
    pub(super) fn apart(&self) -> Self {
        Self { inner: Arc::clone(&self.inner), beside: Arc::default() }
    }

    /// A session that is opened as often as it takes, for at most `within`: the way to learn what has become
    /// of a statement whose answer was cut off.
    ///
    /// # Errors
    /// The last reason why there is none.
    pub fn connect_again(&self, database: &str, within: Duration) -> Result<Session> {
        self.retried(database, within)
    }

    fn retried(&self, database: &str, within: Duration) -> Result<Session> {
        use backon::{BlockingRetryable, ExponentialBuilder};
        let often = ExponentialBuilder::default()
            .with_min_delay(Duration::from_millis(50))
            .with_max_delay(Duration::from_secs(2))
            .with_total_delay(Some(within))
            .without_max_times();
        (|| Session::open(self, database)).retry(often).when(super::answer::is_cut).sleep(std::thread::sleep).call()
    }

    /// One of the tools, with where to connect. The caller adds what it shall do.
    pub(super) fn invoke(&self, tool: &str, database: &str) -> Invocation {
        let server = &self.inner.server;
        let mut info = String::new();
        let mut say = |key: &str, value: &str| {
            info.push_str(key);
            info.push('=');
            info.push_str(&quote::conninfo(value));
            info.push(' ');
        };
        say("host", &server.host);
        say("port", &server.port.to_string());
        say("user", &server.user);
        say("dbname", database);
        say("application_name", &self.inner.label);
        say("sslmode", server.ssl_mode.as_str());
        if let Some(cert) = &server.ssl_root_cert {
            say("sslrootcert", &cert.to_string_lossy());
        }
        if let Some(private) = &self.inner.private {
            say("passfile", &private.path().join("passfile").to_string_lossy());
        }
        // A network that swallows packets is noticed within two minutes even where nothing else watches.
        for (key, value) in [
            ("connect_timeout", "10"),
            ("keepalives", "1"),
            ("keepalives_idle", "30"),
            ("keepalives_interval", "10"),
            ("keepalives_count", "6"),
            ("tcp_user_timeout", "90000"),
        ] {
            say(key, value);
        }
        let mut invocation = Invocation::new(self.inner.tools.path(tool))
            .args(["--no-password", "--dbname"])
            .arg(info.trim_end())
            .env("LC_ALL", "C")
            .quiet();
        if self.inner.tools.is_inside
            && let Some(password) = &server.password
        {
            invocation = invocation.env("PGPASSWORD", password.expose());
        }
        invocation.user = server.run_as;
        invocation
    }
}

/// A session beside a database.
#[derive(Debug)]
pub enum Beside<'a> {
    /// The client's own, for whoever asks next.
    Kept(MutexGuard<'a, Session>),
    /// One that ends here.
    New(Session),
}

impl Deref for Beside<'_> {
    type Target = Session;

    fn deref(&self) -> &Session {
        match self {
            Self::Kept(session) => session,
            Self::New(session) => session,
        }
    }
}

impl DerefMut for Beside<'_> {
    fn deref_mut(&mut self) -> &mut Session {
        match self {
            Self::Kept(session) => session,
            Self::New(session) => session,
        }
    }
}

fn too_old(major: u32) -> Error {
    Error::refused("server_too_old", format!("The database server is PostgreSQL {major}."))
        .remedy("Move the data to a PostgreSQL that is still maintained (13 or newer), then try again.")
}

fn write_passfile(private_dir: &Path, password: &Secret) -> Result<TempDir> {
    if password.expose().contains(['\n', '\r', '\0']) {
        return Err(Error::refused("bad_password", "The password of the database contains a line break.")
            .remedy("Set a password without line breaks for the user of the database."));
    }
    durable::create_private_dir(private_dir)?;
    let made = tempfile::Builder::new().prefix("pg-").tempdir_in(private_dir);
    let dir = made.map_err(|cause| Error::io("create a folder in", private_dir, &cause))?;
    let line = Secret::new(format!("*:*:*:*:{}\n", quote::passfile(password.expose())));
    durable::write(&dir.path().join("passfile"), line.expose().as_bytes())?;
    Ok(dir)
}
