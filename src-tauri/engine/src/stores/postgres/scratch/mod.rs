//! A private, temporary server: where a dump is proven and a migration rehearsed.
//!
//! It is of the same binaries as the user's server but shares nothing with it. It listens on 127.0.0.1 only, on
//! a free port, behind a random password, and its data does not survive it. Everything of it is in one folder
//! that bears our mark, so that what a killed worker left behind can be ended and removed, and nothing else.

mod container;
mod prepare;
mod server;

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub use self::container::Mould;
use self::container::Throwaway;
use self::server::{begin, left_over, pg, random, short};
use super::client::Client;
use super::dump::Dump;
use super::quote::ident;
use super::restore::{How, Parallel, agree, restore};
use super::tools::Tools;
use crate::durable;
use crate::error::{Error, Result};
use crate::ports::{Reporter, Runner};
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
    /// Where the user's server runs in a container: a throw-away one of the same image is used instead.
    pub container: Option<Mould>,
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
    /// Its container, where it has one.
    container: Option<Throwaway>,
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
    /// 127.0.0.1; in a network of its own the name that the user's server has in its.
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

/// So often it is tried to remove one that is still being furnished.
const FURNISHED: usize = 50;

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
        let started = match &options.container {
            Some(mould) => container::begin(tools, dir, options, mould),
            None => begin(tools, dir, options),
        };
        if started.is_err() {
            if let Some(mould) = &options.container {
                let _ = mould.sweep(dir);
            }
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
        // What a killed worker had started to furnish the folder goes on with that for a moment.
        for _ in 0..FURNISHED {
            match durable::remove_tree_that_we_made(dir, PURPOSE) {
                Err(error) if error.class != "not_ours" => std::thread::sleep(Duration::from_millis(200)),
                done => return done,
            }
            if let Some(server) = left_over(dir) {
                end_with_descendants(&server, None, Duration::from_secs(5))?;
            }
        }
        durable::remove_tree_that_we_made(dir, PURPOSE)
    }

    /// The network that it is alone in, where it has one.
    pub fn network(&self) -> Option<&str> {
        self.container.as_ref().map(|it| it.network.as_str())
    }

    /// Its folder for passfiles.
    pub(super) fn private_dir(&self) -> PathBuf {
        self.dir.join("private")
    }

    /// A superuser's client of it.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Restores `archive` into the new database `database`, and compares all of it with what was dumped. Before anything works
    /// on it, it is to be sealed.
    ///
    /// # Errors
    /// `archive_damaged`, `backup_differs`, `restore_needs_superuser`, `extension_missing`, `disk_full`, `stalled`, …
    pub fn restore(&self, archive: &Path, dump: &Dump, database: &str, reporter: &dyn Reporter) -> Result<Restored> {
        let mut notes = Vec::new();
        let password = Secret::new(Uuid::now_v7().simple().to_string() + &random());
        let owner = if dump.shape.owner == SUPERUSER { "owner" } else { dump.shape.owner.as_str() };
        let private = self.private_dir();
        let parallel = Parallel::fitting(dump.raw_bytes, &self.dir);
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
                &How { without, with_owners, on_scratch: true, only: Vec::new(), parallel: parallel.clone() },
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
        if let Some(container) = &self.container {
            container.end()?;
            return Self::sweep(&self.dir);
        }
        // Its data is thrown away, so it need not be put in order first.
        let stop = ["stop", "-m", "immediate", "-w", "-s", "-D"];
        let told = pg(&self.tools, "pg_ctl", &self.options).args(stop).arg(self.dir.join("data"));
        let _ = self.options.runner.run(&told, short(), &[], &Silent);
        Self::sweep(&self.dir)
    }

    fn access(&self, user: &str, password: Secret, database: &str) -> Access {
        let server = self.client.server();
        let host = self.container.as_ref().map_or(&server.host, |it| &it.host);
        Access { host: host.clone(), port: server.port, user: user.to_owned(), password, database: database.to_owned() }
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
