//! A session with the server: statements in, rows out.

use std::io::{self, BufWriter, Stdout, Write};

use futures_util::TryStreamExt;
use tiberius::error::Error;
use tiberius::{Client, Config, QueryItem, SqlBrowser};
use tokio::net::{TcpStream, lookup_host};
use tokio_util::compat::{Compat, TokioAsyncWriteCompatExt};

use crate::cell;
use crate::failure::Failure;
use crate::request::Request;

/// Where rows end. No row looks like it, because a backslash in a value is doubled.
const END: &[u8] = b"\\.\n";

/// A session, and where its answers go.
pub(crate) struct Session {
    client: Client<Compat<TcpStream>>,
    out: BufWriter<Stdout>,
}

impl Session {
    pub(crate) async fn open(request: Request) -> Result<Self, Failure> {
        // Nobody has chosen one before; the second attempt would only find that it stands.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let mut config = request.config();
        let client = match connected(&config).await {
            // A gate in front of several servers says which of them it is.
            Err(Refused::By(Error::Routing { host, port })) => {
                config.host(host);
                config.port(port);
                connected(&config).await
            }
            other => other,
        };
        let client = client.map_err(Refused::told)?;
        Ok(Self { client, out: BufWriter::with_capacity(1 << 16, io::stdout()) })
    }

    /// Writes every row of the answer, and where it ends.
    pub(crate) async fn answer(&mut self, sql: &str) -> Result<(), Failure> {
        let mut items = self.client.simple_query(sql).await?;
        let mut line = Vec::new();
        while let Some(item) = items.try_next().await? {
            let QueryItem::Row(row) = item else { continue };
            line.clear();
            for (at, value) in row.into_iter().enumerate() {
                if at > 0 {
                    line.push(b'\t');
                }
                cell::write(&mut line, value)?;
            }
            line.push(b'\n');
            self.out.write_all(&line).map_err(|cause| Failure::io(&cause))?;
        }
        self.out.write_all(END).and_then(|()| self.out.flush()).map_err(|cause| Failure::io(&cause))
    }
}

/// Why there is no session.
enum Refused {
    By(Error),
    Told(Failure),
}

impl Refused {
    fn told(self) -> Failure {
        match self {
            Self::By(error) => error.into(),
            Self::Told(failure) => failure,
        }
    }
}

async fn connected(config: &Config) -> Result<Client<Compat<TcpStream>>, Refused> {
    lookup_host(config.get_addr()).await.map(drop).map_err(|cause| Refused::Told(Failure::unknown_host(&cause)))?;
    let tcp = TcpStream::connect_named(config).await.map_err(|error| match error {
        Error::Conversion(_) => Refused::Told(Failure::unknown_instance(&error)),
        error => Refused::By(error),
    })?;
    Client::connect(config.clone(), tcp.compat_write()).await.map_err(Refused::By)
}
