//! Where everything of a demo is, and what must be remembered from one command to the next.

use std::{
    fs,
    hash::{BuildHasher, RandomState},
    io::Write,
    net::{TcpListener, UdpSocket},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::archive::Form;
use crate::docker::project::Project;
use crate::shop;

/// The folder of a demo.
#[derive(Debug, Clone)]
pub struct Place {
    /// The folder itself, absolute.
    pub root: PathBuf,
}

/// What `up` has chosen once and every later command needs. Kept in a file only its owner reads.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Facts {
    /// Port of the PostgreSQL server.
    pub postgres_port: u16,
    /// Port of the shop.
    pub shop_port: u16,
    /// Port of the release server.
    pub releases_port: u16,
    /// Password of the role `postgres`.
    pub admin_password: String,
    /// Password of the role `corner_shop`.
    pub shop_password: String,
    /// Orders with these ids or lower were there before anybody shopped.
    pub seeded_orders: i64,
    /// The project of Docker Compose, where the shop and its database run in containers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<Project>,
}

impl Place {
    /// What releases are made for here: a shop that is built has the source of one in its folder.
    pub fn form(&self) -> Form {
        if self.shop().join("Dockerfile").is_file() { Form::Source } else { Form::Program }
    }

    /// The demo in this folder, which need not exist yet.
    ///
    /// # Errors
    /// The working directory is gone.
    pub fn at(dir: &Path) -> Result<Self> {
        Ok(Self { root: std::path::absolute(dir)? })
    }

    /// Installed shop.
    pub fn shop(&self) -> PathBuf {
        self.root.join("shop")
    }

    /// The shop's process file, in the form of Liftlock's native driver.
    pub fn shop_process(&self) -> PathBuf {
        self.shop().join("run/shop.json")
    }

    /// PostgreSQL: `data` and `log`.
    pub fn postgres(&self) -> PathBuf {
        self.root.join("pg")
    }

    /// Release server: what is published, and how it misbehaves.
    pub fn releases(&self) -> PathBuf {
        self.root.join("releases")
    }

    /// What makes the shop misbehave.
    pub fn shop_faults(&self, facts: &Facts) -> PathBuf {
        let name = if facts.project.is_some() { "faults/fault.json" } else { shop::FAULTS_FILE };
        self.shop().join(name)
    }

    /// Corner Shop's profile for this demo.
    pub fn profile(&self) -> PathBuf {
        self.root.join("corner-shop.toml")
    }

    /// File with the administrator's database URL.
    pub fn admin_url_file(&self) -> PathBuf {
        self.root.join("admin.url")
    }

    /// What `up` wrote down.
    ///
    /// # Errors
    /// There is no demo here.
    pub fn facts(&self) -> Result<Facts> {
        read_json(&self.facts_file())
            .with_context(|| format!("there is no demo in {}: run `liftlock-demo up` first", self.root.display()))
    }

    /// Whether `up` has got as far as a whole demo.
    pub fn is_there(&self) -> bool {
        self.facts_file().is_file()
    }

    /// Writes down what `up` has chosen; from here on the demo is whole.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn write_facts(&self, facts: &Facts) -> Result<()> {
        write_private(&self.facts_file(), &serde_json::to_vec_pretty(facts)?)
    }

    fn facts_file(&self) -> PathBuf {
        self.root.join("demo.json")
    }
}

impl Facts {
    /// Base address of the shop.
    pub fn app_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.shop_port)
    }

    /// API base of the release server.
    pub fn releases_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.releases_port)
    }

    /// Where the shop keeps its data, with the password.
    pub fn shop_database_url(&self) -> String {
        format!("postgres://corner_shop:{}@127.0.0.1:{}/corner_shop", self.shop_password, self.postgres_port)
    }

    /// The administrator's way into the server, with the password.
    pub fn admin_url(&self) -> String {
        format!("postgres://postgres:{}@127.0.0.1:{}/postgres", self.admin_password, self.postgres_port)
    }
}

/// Reads a JSON file.
///
/// # Errors
/// It is missing, or not what was expected.
pub fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T> {
    let text = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    serde_json::from_slice(&text).with_context(|| format!("{} is not what it should be", path.display()))
}

/// Replaces a file in one step, readable by its owner only.
///
/// # Errors
/// The folder cannot be written.
pub fn write_private(path: &Path, content: &[u8]) -> Result<()> {
    let folder = path.parent().context("a file has a folder")?;
    // Created with 0600 by tempfile.
    let mut file = tempfile::NamedTempFile::new_in(folder).with_context(|| folder.display().to_string())?;
    file.write_all(content)?;
    file.persist(path).with_context(|| path.display().to_string())?;
    Ok(())
}

/// Ports that no system gives to a connection of its own accord: what is chosen here is bound seconds later.
const PORTS: std::ops::Range<u16> = 10_240..32_768;

/// A port of the loopback that nobody has now, and that no other demo chooses while this process runs.
///
/// # Errors
/// All are taken.
pub fn free_port() -> Result<u16> {
    // The same port of the other kind is held as the sign that it is given away.
    static GIVEN: Mutex<Vec<UdpSocket>> = Mutex::new(Vec::new());
    let mut given = GIVEN.lock().unwrap_or_else(PoisonError::into_inner);
    let first = usize::try_from(RandomState::new().hash_one(0) % PORTS.len() as u64)?;
    for port in PORTS.cycle().skip(first).take(PORTS.len()) {
        let Ok(sign) = UdpSocket::bind(("127.0.0.1", port)) else { continue };
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            given.push(sign);
            return Ok(port);
        }
    }
    bail!("no port is free")
}

/// Letters and digits that nobody guesses.
pub fn secret() -> String {
    let text = |()| uuid::Uuid::now_v7().simple().to_string().split_off(13);
    format!("{}{}", text(()), text(()))
}
