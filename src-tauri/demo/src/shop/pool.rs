//! A few connections, made when they are needed and thrown away when the server has closed them.

use std::sync::Mutex;

use anyhow::{Context, Error, Result};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio_postgres::{Client, Config, NoTls};

/// More connections than this wait for one another.
const MOST: usize = 8;

/// Connections to one database.
#[derive(Debug)]
pub(super) struct Pool {
    config: Config,
    idle: Mutex<Vec<Client>>,
    permits: Semaphore,
}

/// A connection, given back when dropped.
#[derive(Debug)]
pub(super) struct Lent<'pool> {
    // Only `None` while it is dropped.
    client: Option<Client>,
    pool: &'pool Pool,
    _permit: SemaphorePermit<'pool>,
}

impl Pool {
    pub(super) fn new(config: Config) -> Self {
        Self { config, idle: Mutex::new(Vec::new()), permits: Semaphore::new(MOST) }
    }

    /// A connection that was open a moment ago, else a new one.
    pub(super) async fn lend(&self) -> Result<Lent<'_>> {
        let permit = self.permits.acquire().await?;
        let idle = self.with_idle(|idle| {
            idle.retain(|client| !client.is_closed());
            idle.pop()
        });
        let client = match idle {
            Some(client) => client,
            None => connect(&self.config).await?,
        };
        Ok(Lent { client: Some(client), pool: self, _permit: permit })
    }

    fn with_idle<T>(&self, act: impl FnOnce(&mut Vec<Client>) -> T) -> T {
        act(&mut self.idle.lock().unwrap_or_else(std::sync::PoisonError::into_inner))
    }
}

impl std::ops::Deref for Lent<'_> {
    type Target = Client;

    fn deref(&self) -> &Client {
        self.client.as_ref().expect("a lent connection is there until it is dropped")
    }
}

impl std::ops::DerefMut for Lent<'_> {
    fn deref_mut(&mut self) -> &mut Client {
        self.client.as_mut().expect("a lent connection is there until it is dropped")
    }
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        if let Some(client) = self.client.take().filter(|client| !client.is_closed()) {
            self.pool.with_idle(|idle| idle.push(client));
        }
    }
}

/// One connection, driven in the background until it is dropped.
pub(super) async fn connect(config: &Config) -> Result<Client> {
    let (client, connection) =
        config.connect(NoTls).await.map_err(explain).context("cannot reach the shop's database")?;
    tokio::spawn(connection);
    Ok(client)
}

/// The server's own words: the driver says only "db error".
pub(super) fn explain(error: tokio_postgres::Error) -> Error {
    let Some(said) = error.as_db_error() else { return error.into() };
    let hint = said.hint().map(|hint| format!(" ({hint})")).unwrap_or_default();
    Error::msg(format!("{}: {}{hint}", said.severity(), said.message()))
}
