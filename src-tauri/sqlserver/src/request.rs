//! Where a database is, who we are there, and how far its server is trusted.

use serde::Deserialize;
use tiberius::{AuthMethod, Config, EncryptionLevel};
use zeroize::Zeroizing;

use crate::failure::Failure;

/// What the first line says.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Request {
    host: String,
    /// Without one the usual, or what the instance is found at.
    port: Option<u16>,
    instance: Option<String>,
    database: String,
    user: String,
    password: Option<String>,
    encryption: Encryption,
    /// Certificates of authorities, as PEM.
    authority: Option<String>,
}

/// How the connection is secured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Encryption {
    /// Always, with a certificate for this very name that a known authority signed.
    Verified,
    /// Always, whoever answers.
    Unverified,
    /// Never.
    None,
}

impl Request {
    pub(crate) fn read(line: &str) -> Result<Self, Failure> {
        serde_json::from_str(line).map_err(|cause| Failure::bad_request(&cause))
    }

    pub(crate) fn config(mut self) -> Config {
        let mut config = Config::new();
        config.host(&self.host);
        config.database(&self.database);
        config.application_name("Liftlock");
        // Larger than usual: rows are many.
        config.packet_size(16_384);
        // Whoever asks says how long an answer may take.
        config.command_timeout(None);
        match (self.port, &self.instance) {
            // With both the browser of instances would be looked for at this very port.
            (Some(port), _) => config.port(port),
            (None, Some(instance)) => config.instance_name(instance),
            (None, None) => {}
        }
        let password = Zeroizing::new(self.password.take().unwrap_or_default());
        config.authentication(AuthMethod::sql_server(&self.user, password.as_str()));
        match self.encryption {
            Encryption::None => config.encryption(EncryptionLevel::NotSupported),
            Encryption::Unverified => config.trust_cert(),
            Encryption::Verified => {
                if let Some(authority) = self.authority {
                    config.trust_cert_ca_bundle(authority);
                }
            }
        }
        config
    }
}
