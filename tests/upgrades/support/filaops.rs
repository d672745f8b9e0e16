//! FilaOps without Docker: a checkout of git with an environment in `backend/venv`, whose backend somebody has started by
//! hand. Python, pip, npm and the backend are stood in for by one program with the same manners, because nothing is fetched
//! in a test; the database is real. In one world Python, pip, Node and npm are real too, and what they install lies beside
//! what asks for it.

use std::fs;
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use super::{PATIENCE, wait_for};
use crate::cluster::{Cluster, PASSWORD as ADMIN, SUPERUSER};
use crate::tagged::{Migrates, free_port, get, git, lay, serve, stand_in_release};
use crate::typed::{answered, ending, liftlock};

const PROFILE: &str = include_str!("../../../src-tauri/engine/profiles/filaops-native.toml");
pub(crate) const PASSWORD: &str = "a-password-of-the-owner";

/// What is special about a release.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Good,
    /// Its migration breaks off, and not in a rehearsal.
    Breaks,
    /// Its migrations do nothing and say that all is well, except in a rehearsal.
    MigratesNothing,
    /// Says another version than its own at `/health`.
    Lies,
    /// It needs what cannot be installed.
    CannotBeBuilt,
}

/// The installation, its database server and its release server.
pub(crate) struct Filaops {
    pub(crate) dir: PathBuf,
    pub(crate) app: PathBuf,
    pub(crate) port: u16,
    cluster: Cluster,
    /// Whether Python, pip, Node and npm are those of this machine.
    has_real_tools: bool,
    by_hand: Option<Child>,
    _held: Vec<UdpSocket>,
}

impl Drop for Filaops {
    fn drop(&mut self) {
        self.end();
        if !std::thread::panicking() || std::env::var_os("LIFTLOCK_KEEP").is_none() {
            let _ = fs::remove_dir_all(&self.dir);
        }
    }
}

impl Filaops {
    /// 3.8.0, started by hand out of its checkout, with these releases tagged.
    pub(crate) fn with(releases: &[(&str, Kind)]) -> Self {
        Self::with_profile(releases, |it| it)
    }

    /// The same, under a profile that is changed first.
    pub(crate) fn with_profile(releases: &[(&str, Kind)], change: impl FnOnce(String) -> String) -> Self {
        Self::made(releases, change, false)
    }

    /// The same with the Python, pip, Node and npm of this machine.
    pub(crate) fn with_real_tools(releases: &[(&str, Kind)]) -> Self {
        Self::made(releases, |it| it, true)
    }

    fn made(releases: &[(&str, Kind)], change: impl FnOnce(String) -> String, has_real_tools: bool) -> Self {
        let dir = tempfile::Builder::new().prefix("liftlock-filaops-").tempdir().unwrap().keep();
        super::world::open_to_all(&dir);
        let dir = dir.canonicalize().unwrap();
        let mut held = Vec::new();
        let port = free_port(&mut held);
        let cluster = Cluster::start(&[]);
        let mut it = Self { app: dir.join("filaops"), dir, port, cluster, has_real_tools, by_hand: None, _held: held };

        fs::create_dir(it.dir.join("bin")).unwrap();
        for name in ["python3", "npm"].iter().filter(|_| !has_real_tools) {
            std::os::unix::fs::symlink(stand_in(), it.dir.join("bin").join(name)).unwrap();
        }
        let upstream = it.dir.join("upstream");
        fs::create_dir(&upstream).unwrap();
        git(&upstream, &["init", "--quiet"]);
        for (number, (version, kind)) in [("3.8.0", Kind::Good)].iter().chain(releases).enumerate() {
            release(&upstream, version, *kind, number);
            if has_real_tools {
                lay_tools(&upstream, &it.dir.join("wheel"));
            }
            git(&upstream, &["add", "--all"]);
            git(&upstream, &["commit", "--quiet", "--message", version]);
            git(&upstream, &["tag", &format!("v{version}")]);
        }
        git(&upstream, &["tag", "v9.0.0-community"]);
        let server = serve(upstream.clone());

        git(&it.dir, &["clone", "--quiet", "upstream", "filaops"]);
        git(&it.app, &["checkout", "--quiet", "v3.8.0"]);
        it.sql_in("postgres", &format!("CREATE ROLE filaops SUPERUSER LOGIN PASSWORD '{PASSWORD}'"));
        it.sql_in("postgres", "CREATE DATABASE filaops OWNER filaops");
        it.set_password(PASSWORD);
        let backend = it.app.join("backend");
        it.by_its_owner("python3", &["-m", "venv", "--clear", backend.join("venv").to_str().unwrap()]);
        it.by_its_owner("venv/bin/pip", &["install", "--requirement", "requirements.txt"]);
        it.by_its_owner("venv/bin/alembic", &["upgrade", "head"]);
        it.start_by_hand();
        it.sql("INSERT INTO products (sku) SELECT 'SKU-' || n FROM generate_series(1, 500) n");
        it.add_picture("one.png");

        let profile = PROFILE.replace("port = \"8000\"", &format!("port = \"{port}\""));
        let profile = change(profile.replace("repository = ", &format!("api = \"{server}\"\nrepository = ")));
        fs::write(it.dir.join("filaops.toml"), profile).unwrap();
        let (code, added) =
            it.liftlock(&["add", it.dir.join("filaops.toml").to_str().unwrap(), it.app.to_str().unwrap()]);
        assert_eq!((code, &added["version"]), (0, &"3.8.0".into()), "{added:#}");
        it
    }

    /// Writes the settings anew, with this password.
    pub(crate) fn set_password(&self, password: &str) {
        let (port, database) = (self.port, self.cluster.port);
        let text = format!(
            "# FilaOps\nDB_HOST=127.0.0.1\nDB_PORT={database}\nDB_NAME=filaops\nDB_USER=filaops\nDB_PASSWORD={password}\n\
             UVICORN_PORT={port}\n"
        );
        fs::write(self.app.join("backend/.env"), text).unwrap();
    }

    /// Writes them anew as one address.
    pub(crate) fn set_address(&self, password: &str) {
        let (port, database) = (self.port, self.cluster.port);
        let text = format!(
            "# FilaOps\nDATABASE_URL=postgresql+psycopg://filaops:{password}@127.0.0.1:{database}/filaops\n\
             UVICORN_PORT={port}\n"
        );
        fs::write(self.app.join("backend/.env"), text).unwrap();
    }

    /// A command as the owner types it, in `backend` and with its settings.
    fn command(&self, program: &str) -> Command {
        let backend = self.app.join("backend");
        let mut command = Command::new(match program.contains('/') {
            true => backend.join(program),
            false if self.has_real_tools => PathBuf::from(program),
            false => self.dir.join("bin").join(program),
        });
        command.current_dir(&backend).env_clear().env("PATH", self.path()).stdin(Stdio::null());
        let settings = fs::read_to_string(backend.join(".env")).unwrap();
        command.envs(settings.lines().filter_map(|it| it.split_once('=')));
        command
    }

    fn by_its_owner(&self, program: &str, words: &[&str]) {
        let output = self.command(program).args(words).output().unwrap();
        assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// Starts the backend as its makers describe it, without Liftlock.
    pub(crate) fn start_by_hand(&mut self) {
        let mut uvicorn = self.command("venv/bin/uvicorn");
        uvicorn.args(["app.main:app", "--host", "0.0.0.0"]).stdout(Stdio::null()).stderr(Stdio::null());
        self.by_hand = Some(uvicorn.spawn().unwrap());
        wait_for("FilaOps answers", PATIENCE, || self.version());
    }

    /// Ends every process that works in this world.
    pub(crate) fn end(&mut self) {
        wait_for("all of it has ended", Duration::from_secs(20), || {
            let works_here = |pid: &u32| {
                let cwd = fs::read_link(format!("/proc/{pid}/cwd"));
                cwd.is_ok_and(|it| it.starts_with(&self.app)) && super::lives(*pid)
            };
            let all: Vec<u32> = super::processes().into_iter().map(|it| it.0).filter(works_here).collect();
            all.iter().for_each(|pid| super::signal(*pid, rustix::process::Signal::KILL));
            all.is_empty().then_some(())
        });
        if let Some(mut child) = self.by_hand.take() {
            let _ = child.wait();
        }
    }

    fn path(&self) -> String {
        format!("{}:{}", self.dir.join("bin").display(), std::env::var("PATH").unwrap())
    }

    /// The exit code of `liftlock` and its last document.
    pub(crate) fn liftlock(&self, words: &[&str]) -> (i32, Value) {
        self.liftlock_killed_at("", words)
    }

    /// The same, with a worker that is killed once at this point.
    pub(crate) fn liftlock_killed_at(&self, point: &str, words: &[&str]) -> (i32, Value) {
        let mut command = liftlock(&self.dir, self.path().as_ref(), words);
        answered(command.env("LIFTLOCK_CRASH_AT", point))
    }

    /// What an update ends as: its state, and the class of its error.
    pub(crate) fn upgrade(&self, to: &str, more: &[&str]) -> (String, String) {
        ending(&self.liftlock(&[&["upgrade", "--yes", "--to", to], more].concat()).1)
    }

    /// The plan, and what was found of this class in it.
    pub(crate) fn plan(&self, to: &str, class: &str) -> (Value, Option<Value>) {
        let (_, plan) = self.liftlock(&["plan", "--to", to]);
        let found = plan["findings"].as_array().unwrap().iter().find(|it| it["class"] == class).cloned();
        (plan, found)
    }

    /// The first column of what a statement answers in the application's database.
    pub(crate) fn sql(&self, statement: &str) -> String {
        self.sql_in("filaops", statement)
    }

    pub(crate) fn sql_in(&self, database: &str, statement: &str) -> String {
        let output = Command::new(self.cluster.bin.join("psql"))
            .args(["--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--host=127.0.0.1"])
            .args([&format!("--port={}", self.cluster.port), &format!("--username={SUPERUSER}")])
            .args([&format!("--dbname={database}"), "--command", statement])
            .env("PGPASSWORD", ADMIN)
            .output()
            .unwrap();
        assert!(output.status.success(), "{statement}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// What `/health` says is the version, on the port that everybody uses.
    pub(crate) fn version(&self) -> Option<String> {
        let document: Value = serde_json::from_str(&get(self.port, "/health")?).ok()?;
        document["version"].as_str().map(str::to_owned)
    }

    /// What the other address says.
    pub(crate) fn told_by_the_checkout(&self) -> Option<String> {
        get(self.port, "/api/v1/system/version")
    }

    /// Lays a picture where the backend does: below its own folder, whichever that is.
    pub(crate) fn add_picture(&self, name: &str) {
        let folder = self.running_in().join("static/uploads/products");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(name), format!("picture {name}")).unwrap();
    }

    /// The folder in which the backend works that serves users.
    pub(crate) fn running_in(&self) -> PathBuf {
        let of_this = |pid: &u32| {
            let cwd = fs::read_link(format!("/proc/{pid}/cwd")).ok()?;
            cwd.starts_with(&self.app).then_some(cwd)
        };
        let all = super::processes().into_iter().filter(|it| it.1.contains("uvicorn") && super::lives(it.0));
        let all: Vec<PathBuf> = all.filter_map(|it| of_this(&it.0)).collect();
        assert_eq!(all.len(), 1, "one backend runs: {all:?}");
        all[0].clone()
    }

    /// One backend runs, of this version and from this folder, with nothing lost, and the checkout is as it was.
    pub(crate) fn is_whole(&self, version: &str, folder: &str) {
        wait_for(&format!("{version} answers"), PATIENCE, || self.version().filter(|it| it == version));
        assert_eq!(self.running_in(), self.app.join(folder).join("backend"));
        assert_eq!(self.sql("SELECT count(*) FROM products"), "500");
        for folder in [self.app.join("backend"), self.running_in()] {
            assert_eq!(fs::read_to_string(folder.join("static/uploads/products/one.png")).unwrap(), "picture one.png");
        }
        assert_eq!(git(&self.app, &["tag", "--points-at", "HEAD"]), "v3.8.0", "nobody switches the checkout");
        let link = fs::read_link(self.app.join(".liftlock/current"));
        let leads_to = link.map_or_else(|_| self.app.clone(), |it| self.app.join(".liftlock").join(it));
        assert_eq!(leads_to.canonicalize().unwrap(), self.app.join(folder).canonicalize().unwrap());
    }

    /// What git says differs from the tag. Data is set aside beside itself, which git takes for new.
    pub(crate) fn changed(&self) -> String {
        git(&self.app, &["status", "--porcelain", "--untracked-files=no"])
    }
}

/// Cargo builds it beside ours, but only on demand.
fn stand_in() -> PathBuf {
    let path = Path::new(env!("CARGO_BIN_EXE_liftlock")).with_file_name("stand-in");
    assert!(path.is_file(), "{} is not there: cargo build -p liftlock-demo", path.display());
    path
}

/// The files of a release, as its makers have them in their repository.
fn release(folder: &Path, version: &str, kind: Kind, number: usize) {
    let said = if kind == Kind::Lies { "3.8.0" } else { version };
    let migrates = match kind {
        Kind::Breaks => Migrates::BreaksOff,
        Kind::MigratesNothing => Migrates::NothingForReal,
        _ => Migrates::Well,
    };
    let like = stand_in_release(said, number, migrates);
    let requirements = if kind == Kind::CannotBeBuilt { "alembic\nno-such-thing\n" } else { "alembic\nuvicorn\n" };
    let files = [
        (".gitignore", ".env\nvenv/\nnode_modules/\ndist/\nuploads/*\n!uploads/.gitkeep\n".to_owned()),
        ("README.md", format!("FilaOps {version}\n")),
        // The same repository serves those with Docker.
        ("docker-compose.yml", "services: {}\n".to_owned()),
        ("backend/Dockerfile", "FROM scratch\n".to_owned()),
        ("frontend/Dockerfile", "FROM scratch\n".to_owned()),
        ("backend/alembic.ini", "[alembic]\n".to_owned()),
        ("backend/requirements.txt", requirements.to_owned()),
        ("backend/release.json", like),
        ("backend/static/uploads/.gitkeep", String::new()),
        ("frontend/package.json", format!("{{ \"version\": \"{version}\" }}\n")),
    ];
    lay(folder, &files);
    git(folder, &["add", "--force", "backend/static/uploads/.gitkeep"]);
}

/// What pip and npm need of a release: a wheel with the two programs, and a page that is built without anything else.
fn lay_tools(folder: &Path, wheel: &Path) {
    let program = stand_in();
    let module = format!(
        "import os, sys\ndef be(name): os.execv({program:?}, [name] + sys.argv[1:])\n\
         def alembic(): be('alembic')\ndef uvicorn(): be('uvicorn')\n"
    );
    for (path, text) in [
        ("stand_in.py", module.as_str()),
        ("stand_in-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: stand-in\nVersion: 1.0\n"),
        ("stand_in-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"),
        (
            "stand_in-1.0.dist-info/entry_points.txt",
            "[console_scripts]\nalembic = stand_in:alembic\nuvicorn = stand_in:uvicorn\n",
        ),
        ("stand_in-1.0.dist-info/RECORD", ""),
    ] {
        let path = wheel.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let name = "wheels/stand_in-1.0-py3-none-any.whl";
    fs::create_dir_all(folder.join("backend/wheels")).unwrap();
    let mut pack = Command::new("python3");
    pack.args(["-m", "zipfile", "-c"]).arg(folder.join("backend").join(name)).current_dir(wheel);
    let packed = pack.args(["stand_in.py", "stand_in-1.0.dist-info"]).status().unwrap();
    assert!(packed.success());
    fs::write(folder.join("backend/requirements.txt"), format!("--no-index\n./{name}\n")).unwrap();
    let version = fs::read_to_string(folder.join("frontend/package.json")).unwrap();
    let build = "\"scripts\": { \"build\": \"mkdir -p dist && cp package.json dist/index.html\" }";
    let package = version.replacen("{ ", &format!("{{ \"name\": \"pages\", {build}, "), 1);
    fs::write(folder.join("frontend/package.json"), package).unwrap();
    let lock =
        json!({ "name": "pages", "lockfileVersion": 3, "requires": true, "packages": { "": { "name": "pages" } } });
    fs::write(folder.join("frontend/package-lock.json"), lock.to_string()).unwrap();
}
