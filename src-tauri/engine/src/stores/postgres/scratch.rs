//! A private, temporary server: where a dump is proven and a migration rehearsed.
//!
//! It is of the same binaries as the user's server but shares nothing with it. It listens on 127.0.0.1 only, on
//! a free port, behind a random password, and its data does not survive it. Everything of it is in one folder
//! that bears our mark, so that what a killed worker left behind can be ended and removed, and nothing else.

use std::{
    collections::BTreeSet,
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::answer;
use super::client::{Client, Server, SslMode};
use super::dump::Dump;
use super::quote::{ident, literal};
use super::restore::{How, agree, restore, schemas_of_extensions};
use super::session::Session;
use super::tools::Tools;
use crate::durable;
use crate::error::{Error, Result};
use crate::ports::{Finished, Invocation, Patience, Reporter, Runner};
use crate::process::{Identity, Silent, end_with_descendants};
use crate::secrets::Secret;

/// What the mark in the folder says.
const PURPOSE: &str = "postgres-scratch";
/// The one superuser. No application has a role of this name.
const SUPERUSER: &str = "liftlock_scratch";

/// What a scratch server is started with.
#[derive(Clone)]
pub struct Options {
    /// The `application_name` of our sessions.
    pub label: String,
    /// The user and group that the server runs as; needed where we are root, for whom PostgreSQL refuses.
    pub run_as: Option<(u32, u32)>,
    /// What runs the tools.
    pub runner: Arc<dyn Runner>,
}

impl std::fmt::Debug for Options {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options").field("label", &self.label).field("run_as", &self.run_as).finish_non_exhaustive()
    }
}

/// A running scratch server. Dropping it ends it and removes its folder.
#[derive(Debug)]
pub struct Scratch {
    dir: PathBuf,
    options: Options,
    tools: Tools,
    client: Client,
    has_stopped: bool,
}

/// Who the server is, for whoever finds its folder.
#[derive(Debug, Serialize, Deserialize)]
struct Record {
    server: Identity,
}

/// How a program reaches a restored database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    /// Always 127.0.0.1.
    pub host: String,
    /// The port.
    pub port: u16,
    /// The role that owns the database, under its own name.
    pub user: String,
    /// Its password here, which has nothing to do with the one on the user's server.
    pub password: Secret,
    /// The database.
    pub database: String,
}

impl Access {
    /// As `postgres://…`, with every part escaped.
    pub fn url(&self) -> Secret {
        use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
        let part = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        Secret::new(format!(
            "postgres://{}:{}@{}:{}/{}",
            part(&self.user),
            part(self.password.expose()),
            self.host,
            self.port,
            part(&self.database)
        ))
    }
}

/// A database restored on a scratch server.
#[derive(Debug)]
pub struct Restored {
    /// How it is reached, as its owner.
    pub access: Access,
    /// What is not as it was, in sentences: owners, locale, what was left out.
    pub notes: Vec<String>,
}

impl Scratch {
    /// Makes and starts one in the new folder `dir`.
    ///
    /// # Errors
    /// `tools_missing` without the server's programs, `scratch_folder_closed` where the server's user cannot reach
    /// the folder, `disk_full`, …; nothing is left behind.
    pub fn start(tools: &Tools, dir: &Path, options: &Options) -> Result<Self> {
        if !tools.has_server {
            return Err(Error::refused(
                "tools_missing",
                format!("The server programs of PostgreSQL {} are not on this machine.", tools.major),
            )
            .remedy(format!("Install them, for example the package postgresql-{}.", tools.major)));
        }
        durable::create_marked_dir(dir, PURPOSE)?;
        let started = begin(tools, dir, options);
        if started.is_err() {
            let _ = Self::sweep(dir);
        }
        started
    }

    /// Ends what a killed worker left in `dir`, and removes the folder if we made it. Nothing there is no error.
    ///
    /// # Errors
    /// `not_ours` for any other folder; `scratch_lives` where its server cannot be ended.
    pub fn sweep(dir: &Path) -> Result<()> {
        if fs::symlink_metadata(dir).is_err() {
            return Ok(());
        }
        if durable::is_marked(dir, PURPOSE)
            && let Some(server) = left_over(dir)
        {
            end_with_descendants(&server, None, Duration::from_secs(5))?;
            if server.is_alive() {
                return Err(Error::failed("scratch_lives", "A temporary database server cannot be ended.")
                    .remedy(format!("End the process {} yourself, then try again.", server.pid)));
            }
        }
        durable::remove_tree_that_we_made(dir, PURPOSE)
    }

    /// A superuser's client of it.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Restores `archive` into the new database `database`, compares all of it with what was dumped, and cuts every
    /// way out of it.
    ///
    /// # Errors
    /// `archive_damaged`, `backup_differs`, `restore_needs_superuser`, `extension_missing`, `disk_full`, `stalled`, …
    pub fn restore(&self, archive: &Path, dump: &Dump, database: &str, reporter: &dyn Reporter) -> Result<Restored> {
        let mut notes = Vec::new();
        let password = Secret::new(Uuid::now_v7().simple().to_string() + &random());
        let owner = if dump.shape.owner == SUPERUSER { "owner" } else { dump.shape.owner.as_str() };
        let private = self.dir.join("private");
        let as_owner = self.client.as_user(owner, Some(password.clone()), &private)?;
        // Each way is tried from an empty database; a superuser is the last one, and only for a superuser's data.
        let ways = [(&as_owner, true, None), (&as_owner, false, Some("The owners of objects are not restored."))];
        let last = (&self.client, true, Some("It had to be restored as a superuser, because a superuser owned it."));
        let mut outcome = Err(Error::bug("no_way", "No way of restoring was tried."));
        for (client, with_owners, note) in ways.into_iter().chain(dump.shape.owner_is_superuser.then_some(last)) {
            let without = self.prepare(dump, database, owner, &password, &mut notes)?;
            outcome = restore(
                client,
                database,
                archive,
                &dump.sha256,
                &How { without, with_owners, on_scratch: true },
                reporter,
            );
            match &outcome {
                Err(error) if error.class == "insufficient_rights" => {}
                _ => {
                    notes.extend(note.map(str::to_owned));
                    break;
                }
            }
        }
        outcome.map_err(|error| match error.class.as_ref() {
            "insufficient_rights" => Error::failed(
                "restore_needs_superuser",
                "The backup contains something that only an administrator of a database server may create.",
            )
            .remedy("Let an administrator make its owner a superuser's role, or remove what needs it; see the details.")
            .detail(error.details.join("\n")),
            _ => error,
        })?;
        agree(&self.client, database, dump, reporter)?;
        self.seal(dump, database, owner, &mut notes, reporter)?;
        Ok(Restored { access: self.access(owner, password, database), notes })
    }

    /// Makes an empty database of the same kind for the same owner, to see where a command is really pointed.
    ///
    /// # Errors
    /// What the scratch server answered.
    pub fn empty(&self, like: &Access, database: &str) -> Result<Access> {
        let mut session = self.client.connect("postgres")?;
        session.run(&format!("CREATE DATABASE {} TEMPLATE template0 OWNER {}", ident(database), ident(&like.user)))?;
        Ok(Access { database: database.to_owned(), ..like.clone() })
    }

    /// Ends it and removes its folder.
    ///
    /// # Errors
    /// It cannot be ended, or its folder cannot be removed.
    pub fn stop(mut self) -> Result<()> {
        self.end()
    }

    fn end(&mut self) -> Result<()> {
        self.has_stopped = true;
        // Its data is thrown away, so it need not be put in order first.
        let stop = ["stop", "-m", "immediate", "-w", "-s", "-D"];
        let told = pg(&self.tools, "pg_ctl", &self.options).args(stop).arg(self.dir.join("data"));
        let _ = self.options.runner.run(&told, short(), &[], &Silent);
        Self::sweep(&self.dir)
    }

    fn access(&self, user: &str, password: Secret, database: &str) -> Access {
        let server = self.client.server();
        Access {
            host: server.host.clone(),
            port: server.port,
            user: user.to_owned(),
            password,
            database: database.to_owned(),
        }
    }

    /// Makes roles, database and extensions, and says which entries of the dump are then left out.
    fn prepare(
        &self,
        dump: &Dump,
        database: &str,
        owner: &str,
        password: &Secret,
        notes: &mut Vec<String>,
    ) -> Result<Vec<String>> {
        let shape = &dump.shape;
        let mut session = self.client.connect("postgres")?;
        session.run(&format!("DROP DATABASE IF EXISTS {}", ident(database)))?;
        let others: BTreeSet<&str> = shape.roles.iter().map(String::as_str).filter(|it| *it != owner).collect();
        for role in [owner].into_iter().chain(others).filter(|it| !it.starts_with("pg_") && *it != SUPERUSER) {
            if !session.finds(&format!("SELECT 1 AS one FROM pg_roles WHERE rolname = {}", literal(role)))? {
                session.run(&format!("CREATE ROLE {} NOLOGIN", ident(role)))?;
            }
            // To give things to their owners one must be a member of them; taken back afterwards.
            if role != owner {
                session.run(&format!("GRANT {} TO {}", ident(role), ident(owner)))?;
            }
        }
        session.run(&format!("ALTER ROLE {} LOGIN PASSWORD {}", ident(owner), literal(password.expose())))?;
        self.create(&mut session, dump, database, owner, notes)?;
        drop(session);
        let mut inside = self.client.connect(database)?;
        if self.tools.major < 15 {
            inside.run(&format!("ALTER SCHEMA public OWNER TO {}", ident(owner)))?;
        }
        let schemas = schemas_of_extensions(dump);
        for schema in &schemas {
            inside.run(&format!("CREATE SCHEMA {} AUTHORIZATION {}", ident(schema), ident(owner)))?;
        }
        extend(&mut inside, dump, owner, notes)?;
        let mut without: Vec<String> = [
            "EXTENSION ",
            "COMMENT - EXTENSION ",
            "SUBSCRIPTION ",
            "COMMENT - SUBSCRIPTION ",
            "PUBLICATION ",
            "COMMENT - PUBLICATION ",
            "EVENT TRIGGER ",
            "COMMENT - EVENT TRIGGER ",
            "USER MAPPING ",
            "SECURITY LABEL ",
            "FOREIGN DATA WRAPPER ",
        ]
        .map(str::to_owned)
        .to_vec();
        without.extend(schemas.iter().map(|it| format!("SCHEMA - {it} ")));
        Ok(without)
    }

    fn create(
        &self,
        session: &mut Session,
        dump: &Dump,
        database: &str,
        owner: &str,
        notes: &mut Vec<String>,
    ) -> Result<()> {
        let like = &dump.shape.like;
        let made = session.run(&like.create(database, Some(owner), None));
        let Err(error) = made else { return Ok(()) };
        // A server elsewhere may know a locale that this machine does not.
        if !error.details.iter().any(|it| it.contains("locale") || it.contains("collation")) {
            return Err(error);
        }
        notes.push(format!("This machine does not know the locale {}; “C” was used instead.", like.locale.collate));
        session.run(&format!(
            "CREATE DATABASE {} TEMPLATE template0 ENCODING {} LC_COLLATE 'C' LC_CTYPE 'C' OWNER {}",
            ident(database),
            literal(&like.encoding),
            ident(owner)
        ))
    }

    /// Cuts the ways out, takes back what the owner was given for the restore, and makes the settings.
    fn seal(
        &self,
        dump: &Dump,
        database: &str,
        owner: &str,
        notes: &mut Vec<String>,
        reporter: &dyn Reporter,
    ) -> Result<()> {
        #[derive(Deserialize)]
        struct Row {
            name: String,
        }
        let mut inside = self.client.connect(database)?;
        for row in inside.rows::<Row>("SELECT srvname AS name FROM pg_foreign_server")? {
            notes.push(format!("The connection to another server, {}, was removed from the copy.", row.name));
            inside.run(&format!("DROP SERVER {} CASCADE", ident(&row.name)))?;
        }
        for role in dump.shape.roles.iter().filter(|it| !it.starts_with("pg_") && *it != owner && *it != SUPERUSER) {
            inside.run(&format!("REVOKE {} FROM {}", ident(role), ident(owner)))?;
        }
        for setting in &dump.shape.settings {
            let given = inside.transact(|it| setting.statements(database).iter().try_for_each(|sql| it.run(sql)));
            if given.is_err() {
                notes.push(format!("The setting {} could not be made on the copy.", setting.name));
            }
        }
        // A migration without statistics takes ways that it would never take on the real database.
        inside.run_watched("ANALYZE", Duration::from_secs(3600), &mut || reporter.check())
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if !self.has_stopped {
            // Whatever is left is swept by the next worker.
            let _ = self.end();
        }
    }
}

/// Extensions need a superuser, so they are there before the owner restores the rest.
fn extend(inside: &mut Session, dump: &Dump, owner: &str, notes: &mut Vec<String>) -> Result<()> {
    for it in dump.shape.extensions.iter().filter(|it| it.name != "plpgsql") {
        let known = format!(
            "SELECT name FROM pg_available_extension_versions WHERE name = {} AND version = {}",
            literal(&it.name),
            literal(&it.version)
        );
        let version = if inside.finds(&known)? {
            format!(" VERSION {}", literal(&it.version))
        } else {
            notes.push(format!(
                "The extension {} {} is not on this machine; another version was used.",
                it.name, it.version
            ));
            String::new()
        };
        let sql = format!("CREATE EXTENSION {} SCHEMA {}{version} CASCADE", ident(&it.name), ident(&it.schema));
        inside.run(&sql).map_err(|cause| {
            let error =
                Error::refused("extension_missing", format!("The extension {} is not on this machine.", it.name))
                    .remedy(format!("Install the extension {} for PostgreSQL {}.", it.name, inside.major()));
            cause.details.into_iter().fold(error, Error::detail)
        })?;
    }
    // Rows of the user's in tables of an extension are restored too, and servers need the right to their wrapper.
    inside.run(&format!(
        "DO {}",
        literal(&format!(
            "DECLARE it record; BEGIN \
             FOR it IN SELECT unnest(extconfig)::regclass AS name FROM pg_extension LOOP \
             EXECUTE format('GRANT ALL ON %s TO %I', it.name, {owner}); END LOOP; \
             FOR it IN SELECT fdwname AS name FROM pg_foreign_data_wrapper LOOP \
             EXECUTE format('GRANT USAGE ON FOREIGN DATA WRAPPER %I TO %I', it.name, {owner}); END LOOP; END",
            owner = literal(owner)
        ))
    ))
}

fn begin(tools: &Tools, dir: &Path, options: &Options) -> Result<Scratch> {
    let data = dir.join("data");
    let password = Secret::new(random());
    open_for(dir, options.run_as)?;
    let secret = dir.join("password");
    durable::write(&secret, password.expose().as_bytes())?;
    give(&secret, options.run_as)?;
    make_dir_for(&data, options.run_as)?;
    let init = pg(tools, "initdb", options)
        .arg("--pgdata")
        .arg(&data)
        .args(["--username", SUPERUSER, "--auth=scram-sha-256", "--encoding=UTF8", "--no-locale", "--no-sync"])
        .arg("--pwfile")
        .arg(&secret);
    expect_ok(options.runner.run(&init, short(), &[], &Silent)?, "make a temporary database server")?;
    fs::remove_file(&secret).map_err(|cause| Error::io("remove", &secret, &cause))?;

    let mut port = 0;
    for attempt in 0.. {
        port = free_port()?;
        write_settings(&data, port, tools.major)?;
        let start = pg(tools, "pg_ctl", options)
            .args(["start", "-w", "-s", "-t", "60", "-D"])
            .arg(&data)
            .arg("-l")
            .arg(data.join("log"));
        match expect_ok(options.runner.run(&start, short(), &[], &Silent)?, "start a temporary database server") {
            Ok(()) => break,
            // Somebody took the port meanwhile.
            Err(_) if attempt < 3 && log_of(&data).contains("could not bind") => {}
            Err(error) => {
                return Err(log_of(&data).lines().rev().take(5).map(str::to_owned).fold(error, Error::detail));
            }
        }
    }
    if let Some(server) = pid_of(&data).and_then(Identity::of) {
        let record = serde_json::to_vec(&Record { server })
            .map_err(|cause| Error::bug("bad_record", "The scratch server could not be noted.").because(&cause))?;
        durable::write(&dir.join("server.json"), &record)?;
    }
    let mut server = Server::new("127.0.0.1", port, SUPERUSER).password(password);
    server.ssl_mode = SslMode::Disable;
    let runner = Arc::clone(&options.runner);
    let client = Client::with_tools(server, tools.clone(), &options.label, &dir.join("private"), runner)?;
    Ok(Scratch { dir: dir.to_owned(), options: options.clone(), tools: tools.clone(), client, has_stopped: false })
}

/// Quick rather than durable, small, and closed to everybody else.
fn write_settings(data: &Path, port: u16, major: u32) -> Result<()> {
    let mut settings = format!(
        "listen_addresses = '127.0.0.1'\nport = {port}\nunix_socket_directories = ''\nfsync = off\n\
         synchronous_commit = off\nfull_page_writes = off\nwal_level = minimal\nmax_wal_senders = 0\n\
         max_wal_size = '4GB'\ncheckpoint_timeout = '1h'\nmaintenance_work_mem = '256MB'\nshared_buffers = '128MB'\n\
         max_connections = 60\nmax_locks_per_transaction = 1024\nautovacuum = off\nlc_messages = 'C'\n\
         password_encryption = 'scram-sha-256'\nlog_min_error_statement = panic\n"
    );
    if major >= 14 {
        // A client that was killed takes its statement with it.
        settings.push_str("client_connection_check_interval = '5s'\n");
    }
    let conf = data.join("postgresql.conf");
    fs::write(&conf, settings).map_err(|cause| Error::io("write", &conf, &cause))?;
    let hba = data.join("pg_hba.conf");
    fs::write(&hba, "host all all 127.0.0.1/32 scram-sha-256\n").map_err(|cause| Error::io("write", &hba, &cause))
}

/// The server of a folder that was left behind, if it still runs.
fn left_over(dir: &Path) -> Option<Identity> {
    let recorded = fs::read(dir.join("server.json")).ok().and_then(|it| serde_json::from_slice::<Record>(&it).ok());
    if let Some(record) = recorded {
        return Some(record.server).filter(Identity::is_alive);
    }
    // Killed before it was noted: the server's own note may name a pid that is another's by now, but a server
    // works in the folder of its data.
    let data = dir.join("data");
    let pid = pid_of(&data)?;
    let works_in = fs::read_link(Path::new("/proc").join(pid.to_string()).join("cwd")).ok()?;
    (works_in == fs::canonicalize(&data).ok()?).then(|| Identity::of(pid))?
}

fn pid_of(data: &Path) -> Option<u32> {
    fs::read_to_string(data.join("postmaster.pid")).ok()?.lines().next()?.trim().parse().ok()
}

fn log_of(data: &Path) -> String {
    fs::read(data.join("log")).map(|it| String::from_utf8_lossy(&it).into_owned()).unwrap_or_default()
}

fn pg(tools: &Tools, tool: &str, options: &Options) -> Invocation {
    let mut invocation = Invocation::new(tools.path(tool)).env("LC_ALL", "C").dir("/").quiet();
    if cfg!(windows) {
        invocation.dir = None;
    }
    invocation.user = options.run_as;
    invocation
}

fn short() -> Patience {
    Patience { deadline: Duration::from_secs(180), stall_after: None }
}

fn expect_ok(finished: Finished, doing: &str) -> Result<()> {
    if finished.succeeded() { Ok(()) } else { Err(answer::from_words(doing, &finished.stderr)) }
}

fn free_port() -> Result<u16> {
    let taken = TcpListener::bind(("127.0.0.1", 0)).and_then(|it| it.local_addr());
    taken.map(|it| it.port()).map_err(|cause| {
        Error::failed("no_port", "No free port was found on this machine.")
            .remedy("Close programs that use the network, then try again.")
            .because(&cause)
    })
}

/// 122 bits of it are random.
fn random() -> String {
    Uuid::new_v4().simple().to_string()
}

#[cfg(unix)]
fn make_dir_for(dir: &Path, run_as: Option<(u32, u32)>) -> Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new().mode(0o700).create(dir).map_err(|cause| Error::io("create", dir, &cause))?;
    give(dir, run_as)
}

#[cfg(unix)]
fn give(path: &Path, run_as: Option<(u32, u32)>) -> Result<()> {
    match run_as {
        Some((uid, gid)) => std::os::unix::fs::chown(path, Some(uid), Some(gid)),
        None => Ok(()),
    }
    .map_err(|cause| Error::io("hand over", path, &cause))
}

/// The server's user has to pass through the folder, and through all above it.
#[cfg(unix)]
fn open_for(dir: &Path, run_as: Option<(u32, u32)>) -> Result<()> {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    let Some((uid, gid)) = run_as else { return Ok(()) };
    fs::set_permissions(dir, fs::Permissions::from_mode(0o711)).map_err(|cause| Error::io("open", dir, &cause))?;
    let whole = fs::canonicalize(dir).map_err(|cause| Error::io("look at", dir, &cause))?;
    for above in whole.ancestors() {
        let meta = fs::metadata(above).map_err(|cause| Error::io("look at", above, &cause))?;
        let may_pass = match (meta.uid() == uid, meta.gid() == gid) {
            (true, _) => meta.mode() & 0o100,
            (_, true) => meta.mode() & 0o010,
            _ => meta.mode() & 0o001,
        };
        if may_pass == 0 {
            return Err(Error::refused(
                "scratch_folder_closed",
                format!("The user that temporary database servers run as cannot reach {}.", above.display()),
            )
            .remedy("Choose a scratch folder that other users may pass through, for example below /var/tmp."));
        }
    }
    Ok(())
}

#[cfg(not(unix))]
fn make_dir_for(dir: &Path, _run_as: Option<(u32, u32)>) -> Result<()> {
    fs::create_dir(dir).map_err(|cause| Error::io("create", dir, &cause))
}

#[cfg(not(unix))]
fn give(_path: &Path, _run_as: Option<(u32, u32)>) -> Result<()> {
    Ok(())
}

#[cfg(not(unix))]
fn open_for(_dir: &Path, _run_as: Option<(u32, u32)>) -> Result<()> {
    Ok(())
}
