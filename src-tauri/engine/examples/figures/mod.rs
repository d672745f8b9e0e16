//! What the programs that measure a store share: a server of their own, a process that tells its own peak, medians.

use std::{
    env, fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use liftlock_engine::model::profile::Endpoint;
use liftlock_engine::process::SystemRunner;
use liftlock_engine::secrets::Secret;
use liftlock_engine::stores::postgres::{Client, PostgresStore, Server};

use crate::cluster::{self, Cluster, PASSWORD, SUPERUSER};

pub(crate) const ROUNDS: usize = 3;
const LABEL: &str = "liftlock/figures/1";

pub(crate) type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

/// A server below `dir`: on the disk that is measured, not where temporary folders are.
pub(crate) fn server(dir: &Path) -> Outcome<Cluster> {
    let home = dir.join("server/one");
    fs::create_dir_all(&home)?;
    // The server runs as a user of its own where this is root.
    if let Some((uid, gid)) = cluster::unprivileged() {
        for folder in [&dir.join("server"), &home] {
            std::os::unix::fs::chown(folder, Some(uid), Some(gid))?;
        }
    }
    Ok(Cluster::start_in(home, &[("max_wal_size", "4GB")]))
}

pub(crate) fn client(port: u16) -> Outcome<Client> {
    let server = Server::new("127.0.0.1", port, SUPERUSER).password(Secret::new(PASSWORD));
    let runner = Arc::new(SystemRunner::new());
    Ok(Client::open(server, "postgres", LABEL, &private(), &[cluster::bin()], runner)?)
}

pub(crate) fn store(port: u16, database: &str) -> PostgresStore {
    let endpoint = || Endpoint {
        host: "127.0.0.1".into(),
        port,
        database: database.into(),
        user: SUPERUSER.into(),
        password: Some(PASSWORD.into()),
        parameters: Vec::new(),
    };
    PostgresStore::new("main", endpoint(), Some(endpoint()), LABEL, &private(), Arc::new(SystemRunner::new()))
}

fn private() -> PathBuf {
    env::temp_dir().join("liftlock-figures")
}

/// The most memory that this process ever held, in megabytes.
pub(crate) fn peak_mb() -> Outcome<f64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let peak = status.lines().find_map(|it| it.strip_prefix("VmHWM:")).and_then(|it| it.split_whitespace().next());
    Ok(rounded(peak.ok_or("no VmHWM")?.parse::<f64>()? / 1000.0))
}

pub(crate) fn median(of: impl Iterator<Item = f64>) -> f64 {
    let mut all: Vec<f64> = of.collect();
    all.sort_by(f64::total_cmp);
    all.get(all.len() / 2).copied().unwrap_or(f64::NAN)
}

pub(crate) fn rounded(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}
