//! An outside world: Corner Shop with its PostgreSQL and its release server, which can be made as new.

use std::cell::Cell;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use super::{Case, wait_for};

/// Orders to begin with: few, because what is tested is whether they come through, not how many.
const ORDERS: &str = "200";
/// The database as it was in the beginning, kept on the same server to be copied from.
const PRISTINE: &str = "as_it_was";

/// A demo in a folder of its own, ended and removed with it.
pub(crate) struct World {
    pub(crate) dir: PathBuf,
    pub(crate) shop: PathBuf,
    pub(crate) port: u16,
    pub(crate) postgres_port: u16,
    /// What `hash` answered before anything was done.
    pub(crate) before: Value,
    /// Passwords, which must turn up nowhere.
    pub(crate) secrets: Vec<String>,
    homes: Cell<u32>,
}

impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() && std::env::var_os("LIFTLOCK_KEEP").is_some() {
            eprintln!("kept: {}", self.dir.display());
            let _ = self.demo_command(&["down"]).output();
            return;
        }
        let gone = self.demo_command(&["down", "--hard", "--remove"]).output();
        if let Ok(output) = gone
            && !output.status.success()
        {
            eprintln!("{}", String::from_utf8_lossy(&output.stderr));
        }
    }
}

impl World {
    /// Corner Shop 1.0.0, running, with these releases out.
    pub(crate) fn with(releases: &[&str]) -> Self {
        let dir = tempfile::Builder::new().prefix("liftlock-upgrades-").tempdir().unwrap().keep();
        open_to_all(&dir);
        let mut world = Self {
            shop: dir.join("shop"),
            dir,
            port: 0,
            postgres_port: 0,
            before: Value::Null,
            secrets: Vec::new(),
            homes: Cell::new(0),
        };
        let up = world.demo(&["up", "--orders", ORDERS, "--no-shop"]);
        world.port = u16::try_from(up["shop_port"].as_u64().unwrap()).unwrap();
        world.postgres_port = u16::try_from(up["postgres_port"].as_u64().unwrap()).unwrap();
        let facts: Value = serde_json::from_slice(&fs::read(world.dir.join("demo.json")).unwrap()).unwrap();
        world.secrets =
            ["admin_password", "shop_password"].iter().map(|it| facts[*it].as_str().unwrap().to_owned()).collect();
        world.sql("postgres", &format!("CREATE DATABASE {PRISTINE} TEMPLATE corner_shop"));
        world.before = world.demo(&["hash"]);
        world.demo(&["up"]);
        let mut publish = vec!["publish"];
        publish.extend_from_slice(releases);
        world.demo(&publish);
        world
    }

    fn demo_command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(demo_program());
        let (verb, rest) = args.split_first().unwrap();
        command.arg(verb).arg("--dir").arg(&self.dir).args(rest).stdin(Stdio::null());
        command
    }

    /// Asks `liftlock-demo` for one document.
    pub(crate) fn demo(&self, args: &[&str]) -> Value {
        let output = self.demo_command(args).output().unwrap();
        assert!(
            output.status.success(),
            "liftlock-demo {} failed: {}",
            args.join(" "),
            String::from_utf8_lossy(&output.stderr)
        );
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Runs statements as the administrator and answers the first column of what came back, a line a row.
    pub(crate) fn sql(&self, database: &str, statements: &str) -> String {
        self.try_sql(database, statements).unwrap_or_else(|error| panic!("{statements}: {error}"))
    }

    /// As [`World::sql`], for a server that may not answer.
    pub(crate) fn try_sql(&self, database: &str, statements: &str) -> Result<String, String> {
        let url = fs::read_to_string(self.dir.join("admin.url")).unwrap();
        let password = &self.secrets[0];
        let url = url.trim().replace(&format!(":{password}@"), "@");
        let base = url.rsplit_once('/').unwrap().0;
        let output = Command::new("psql")
            .args(["--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--set=ON_ERROR_STOP=1"])
            .arg(format!("--dbname={base}/{database}"))
            // One at a time: some statements refuse to share a transaction.
            .args(statements.split(";\n").map(|it| format!("--command={it}")))
            .env("PGPASSWORD", password)
            .env("PGAPPNAME", "the judge")
            .env("PGCONNECT_TIMEOUT", "10")
            .output()
            .unwrap();
        if output.status.success() {
            Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
        } else {
            Err(String::from_utf8_lossy(&output.stderr).trim().to_owned())
        }
    }

    /// A Liftlock home that looks after this shop, with everything new.
    pub(crate) fn case(&self) -> Case<'_> {
        self.case_with(|profile| profile)
    }

    /// As [`World::case`], under a profile that is changed first.
    pub(crate) fn case_with(&self, change: impl FnOnce(String) -> String) -> Case<'_> {
        self.homes.set(self.homes.get() + 1);
        let number = self.homes.get();
        let profile = self.dir.join(format!("profile-{number}.toml"));
        fs::write(&profile, change(fs::read_to_string(self.dir.join("corner-shop.toml")).unwrap())).unwrap();
        let home = self.dir.join(format!("home-{number}"));
        Case::new(self, home, &profile)
    }

    /// Where the home of the next case will be.
    pub(crate) fn next_home(&self) -> PathBuf {
        self.dir.join(format!("home-{}", self.homes.get() + 1))
    }

    /// Puts the shop back to 1.0.0 with the data it began with, whatever was done to it.
    pub(crate) fn reset(&self) {
        self.demo(&["fault", "--clear"]);
        self.end_shop();
        let others =
            "SELECT datname FROM pg_database WHERE NOT datistemplate AND datname NOT IN ('postgres', 'as_it_was')";
        for database in self.sql("postgres", others).lines() {
            self.sql(
                "postgres",
                &format!(
                    "ALTER DATABASE \"{database}\" WITH ALLOW_CONNECTIONS true;\nDROP DATABASE \"{database}\" WITH (FORCE)"
                ),
            );
        }
        self.sql(
            "postgres",
            "CREATE DATABASE corner_shop TEMPLATE as_it_was OWNER corner_shop CONNECTION LIMIT 50;\n\
             REVOKE ALL ON DATABASE corner_shop FROM PUBLIC;\n\
             GRANT CONNECT ON DATABASE corner_shop TO corner_shop_reader;\n\
             COMMENT ON DATABASE corner_shop IS 'Everything the shop knows';\n\
             ALTER DATABASE corner_shop SET timezone = 'UTC';\n\
             ALTER ROLE corner_shop IN DATABASE corner_shop SET lock_timeout = '2min'",
        );
        for release in fs::read_dir(self.shop.join("releases")).unwrap().flatten() {
            if release.file_name() != "1.0.0" {
                fs::remove_dir_all(release.path()).unwrap();
            }
        }
        fs::remove_file(self.shop.join("current")).unwrap();
        std::os::unix::fs::symlink("releases/1.0.0", self.shop.join("current")).unwrap();
        self.demo(&["up"]);
        let now = self.demo(&["hash"]);
        assert_eq!(now["content"], self.before["content"], "the world is as it was");
    }

    /// Ends every process of the shop, however it was started.
    pub(crate) fn end_shop(&self) {
        wait_for("the shop has ended", Duration::from_secs(20), || {
            let shops: Vec<u32> = super::processes()
                .into_iter()
                .map(|(pid, _)| pid)
                .filter(|pid| fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|it| it.starts_with(&self.shop)))
                .filter(|pid| super::lives(*pid))
                .collect();
            shops.iter().for_each(|pid| super::signal(*pid, rustix::process::Signal::KILL));
            shops.is_empty().then_some(())
        });
    }

    /// The command line, which is also the worker.
    pub(crate) fn program(&self) -> PathBuf {
        env!("CARGO_BIN_EXE_liftlock").into()
    }

    /// What a process must know to reach this world.
    pub(crate) fn environment(&self) -> Vec<(&'static str, String)> {
        Vec::new()
    }

    /// What answers on the public port: status and body.
    pub(crate) fn get(&self, path: &str) -> Option<(u16, String)> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
        stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n").as_bytes()).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        let (head, body) = answer.split_once("\r\n\r\n")?;
        Some((head.split(' ').nth(1)?.parse().ok()?, body.to_owned()))
    }

    /// The version that answers on the public port.
    pub(crate) fn version(&self) -> Option<String> {
        let (status, body) = self.get("/api/v1/system/version")?;
        let document: Value = serde_json::from_str(&body).ok().filter(|_| status == 200)?;
        document["version"].as_str().map(str::to_owned)
    }

    /// A shopper who orders until told to leave.
    pub(crate) fn shopper(&self) -> Shopper {
        let path = self.dir.join("shopping.json");
        let child = self
            .demo_command(&["shop", "--with-caller", "--seconds", "0", "--rate", "20"])
            .stdin(Stdio::piped())
            .stdout(fs::File::create(&path).unwrap())
            .spawn()
            .unwrap();
        Shopper { child, path }
    }

    /// The release that the installation points to.
    pub(crate) fn current(&self) -> String {
        let link = fs::read_link(self.shop.join("current")).unwrap_or_default();
        link.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }
}

/// Somebody who orders in the background.
pub(crate) struct Shopper {
    child: Child,
    path: PathBuf,
}

impl Shopper {
    /// Tells it to go home, and that every order that was acknowledged is there once.
    pub(crate) fn judge(mut self) -> Value {
        drop(self.child.stdin.take());
        let status = wait_for("the shopper has come home", Duration::from_secs(120), || self.child.try_wait().unwrap());
        assert!(status.success(), "the shopper could not judge");
        let answer: Value = serde_json::from_slice(&fs::read(&self.path).unwrap()).unwrap();
        assert!(answer["acknowledged"].as_u64().unwrap() > 0, "somebody shopped: {answer}");
        assert_eq!((&answer["lost"], &answer["duplicated"]), (&Value::from(0), &Value::from(0)), "{answer}");
        answer
    }
}

impl Drop for Shopper {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// PostgreSQL runs as a user of its own where the tests run as root, and must reach its folders.
pub(crate) fn open_to_all(dir: &Path) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(dir, fs::Permissions::from_mode(0o755)).unwrap();
}

/// Cargo builds it beside ours, but only on demand.
fn demo_program() -> PathBuf {
    let path = Path::new(env!("CARGO_BIN_EXE_liftlock")).with_file_name("liftlock-demo");
    assert!(path.is_file(), "{} is not there: cargo build -p liftlock-demo", path.display());
    path
}
