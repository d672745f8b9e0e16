//! A scratch server in a throw-away container of the user's own image, alone in a network without a way out.
//!
//! There it bears the name that the user's server has for the application, so that a command finds it where it looks
//! for its database, and finds nothing else.

use std::{path::Path, sync::Arc, time::Duration};

use super::server::random;
use super::{Options, SUPERUSER, Scratch};
use crate::docker::{Docker, InContainer};
use crate::error::{Error, Result};
use crate::ports::Patience;
use crate::process::Silent;
use crate::secrets::Secret;
use crate::stores::postgres::client::{Client, Server, SslMode};
use crate::stores::postgres::tools::Tools;

/// What the label of everything that we make is called; its value says for which folder.
const LABEL: &str = "liftlock.scratch";
/// How long the server may take to come up, its cluster made anew.
const UP_WITHIN: Duration = Duration::from_secs(120);
const PATIENCE: Patience = Patience { deadline: Duration::from_secs(120), stall_after: None };

/// What a throw-away container is made of.
#[derive(Debug, Clone)]
pub struct Mould {
    /// Docker.
    pub docker: Docker,
    /// The identity of the image.
    pub image: String,
    /// What the application calls the host of its database.
    pub host: String,
    /// The port on which the server listens in its container.
    pub port: u16,
}

/// A container and its network.
#[derive(Debug)]
pub(super) struct Throwaway {
    mould: Mould,
    dir: std::path::PathBuf,
    pub(super) host: String,
    pub(super) network: String,
}

impl Throwaway {
    pub(super) fn end(&self) -> Result<()> {
        self.mould.sweep(&self.dir)
    }
}

impl Mould {
    /// Ends what was made for the scratch folder `dir`: containers, their data, the network. Nothing there is no error.
    ///
    /// # Errors
    /// `docker_down` and its kin.
    pub fn sweep(&self, dir: &Path) -> Result<()> {
        let ours = format!("label={LABEL}={}", name_of(dir));
        let containers = self.docker.ask(["ps", "--all", "--quiet", "--filter", &ours])?;
        let containers: Vec<&str> = containers.split_whitespace().collect();
        if !containers.is_empty() {
            let remove = ["rm", "--force", "--volumes"].into_iter().chain(containers);
            self.docker.act(remove, PATIENCE, &Silent)?;
        }
        let networks = self.docker.ask(["network", "ls", "--quiet", "--filter", &ours])?;
        let networks: Vec<&str> = networks.split_whitespace().collect();
        if !networks.is_empty() {
            self.docker.act(["network", "rm"].into_iter().chain(networks), PATIENCE, &Silent)?;
        }
        Ok(())
    }
}

/// Makes the network and the container, and waits until the server answers.
pub(super) fn begin(tools: &Tools, dir: &Path, options: &Options, mould: &Mould) -> Result<Scratch> {
    mould.sweep(dir)?;
    let key = name_of(dir);
    let name = format!("liftlock-scratch-{key}");
    let label = format!("{LABEL}={key}");
    mould.docker.act(["network", "create", "--internal", "--label", &label, &name], PATIENCE, &Silent)?;
    let password = Secret::new(random());
    let mut run = crate::docker::invocation()
        .args(["run", "--detach", "--pull=never", "--name", &name, "--label", &label, "--network", &name])
        .args(["--network-alias", &mould.host, "--shm-size=256m", "--restart=no", "--env", "POSTGRES_PASSWORD"])
        .args(["--env", "POSTGRES_DB=postgres", "--env", &format!("POSTGRES_USER={SUPERUSER}")])
        .args(["--env", "POSTGRES_INITDB_ARGS=--no-sync --no-locale --encoding=UTF8"])
        .arg(&mould.image)
        .env("POSTGRES_PASSWORD", password.expose());
    for setting in settings(mould.port, tools.major) {
        run = run.arg("-c").arg(setting);
    }
    crate::docker::succeeded(mould.docker.runner().run(&run, PATIENCE, &[], &Silent))?;
    let runner = Arc::new(InContainer::new(Arc::clone(mould.docker.runner()), &name));
    let mut server = Server::new("127.0.0.1", mould.port, SUPERUSER).password(password);
    server.ssl_mode = SslMode::Disable;
    let client = Client::with_tools(server, tools.clone(), &options.label, &dir.join("private"), runner)?;
    client.connect_again("postgres", UP_WITHIN).map(drop).map_err(|error| last_words(mould, &name, error))?;
    Ok(Scratch {
        dir: dir.to_owned(),
        options: options.clone(),
        tools: tools.clone(),
        client,
        container: Some(Throwaway {
            mould: mould.clone(),
            dir: dir.to_owned(),
            host: mould.host.clone(),
            network: name,
        }),
        has_stopped: false,
    })
}

/// Quick rather than durable; its folder goes with it.
fn settings(port: u16, major: u32) -> Vec<String> {
    let mut settings: Vec<String> = [
        "fsync=off",
        "synchronous_commit=off",
        "full_page_writes=off",
        "wal_level=minimal",
        "max_wal_senders=0",
        "max_wal_size=4GB",
        "checkpoint_timeout=1h",
        "maintenance_work_mem=256MB",
        "max_connections=60",
        "max_locks_per_transaction=1024",
        "autovacuum=off",
        "lc_messages=C",
        "password_encryption=scram-sha-256",
        "log_min_error_statement=panic",
    ]
    .map(str::to_owned)
    .to_vec();
    settings.push(format!("port={port}"));
    if major >= 14 {
        // A client that was killed takes its statement with it.
        settings.push("client_connection_check_interval=5s".to_owned());
    }
    settings
}

fn last_words(mould: &Mould, name: &str, error: Error) -> Error {
    let log = crate::docker::invocation().args(["logs", "--tail", "8", name]).quiet();
    let said = mould.docker.runner().run(&log, PATIENCE, &[], &Silent).unwrap_or_default();
    let error = Error::failed("scratch_not_up", "A temporary database of the same image did not come up.")
        .remedy("Look whether the image of the database can be started with POSTGRES_USER and POSTGRES_PASSWORD, as the official one can.")
        .detail(error.message);
    said.stdout.lines().chain(said.stderr.lines()).map(crate::process::printable).fold(error, Error::detail)
}

/// Of one folder and no other, short enough for a name.
fn name_of(dir: &Path) -> String {
    crate::digest::sha256(dir.as_os_str().as_encoded_bytes()).chars().take(16).collect()
}
