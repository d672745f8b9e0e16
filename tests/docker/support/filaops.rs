//! A project with the shape of FilaOps: its compose file with fixed names and a published database, its backend stood in
//! for by a program with the same manners, and a release server that knows bare tags.

use std::fs;
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use rustix::process::Signal;
use serde_json::Value;

pub(crate) use super::tagged::git;
use super::tagged::{Migrates, free_port, get, lay, serve, stand_in_release};
use super::{PATIENCE, processes, signal, stands_still, wait_for};
use crate::docker::{Engine, demo_program};
use crate::typed::{answered, ending, liftlock};

const PROFILE: &str = include_str!("../../../src-tauri/engine/profiles/filaops.toml");
const COMPOSE: &str = include_str!("../filaops/docker-compose.yml");
/// In the words of a profile.
const ASKED: &str = "asked = [{ key = \"SECRET_KEY\", name = \"Key of sessions\", generate = true, length = 64 }]\n";
const PASSWORD: &str = "a-password-of-the-owner";

/// What is special about a release.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Good,
    /// Its migration breaks off, and not in a rehearsal.
    Breaks,
    /// Says another version than its own at `/health`.
    Lies,
    /// Its database lies in a volume of another name.
    RenamesVolume,
    /// Its database is of another major version.
    OtherDatabase,
    /// Its database is of the newer major version of which there is a server, in another folder of its volume.
    NewerDatabase,
    /// Where its uploads lie is a setting: by default where they were, or elsewhere.
    NamesPlace,
    NamesOtherPlace,
    /// It does not start without a setting that is new.
    NeedsSetting,
    /// Its migrations have the address of the database written out.
    FixesAddress,
    /// Its migrations do nothing and say that all is well: always, or except in a rehearsal.
    MigratesNothing,
    MigratesNothingForReal,
    /// Its frontend ends soon after it has started.
    FrontendEnds,
    /// It has a service that nobody needs.
    FurtherService,
    /// It has a service that its backend needs.
    NeedsService,
}

/// The project, its engine and its release server.
pub(crate) struct Filaops {
    pub(crate) engine: Engine,
    pub(crate) dir: PathBuf,
    pub(crate) app: PathBuf,
    /// Of the backend, and of the frontend.
    pub(crate) port: u16,
    pub(crate) page: u16,
    _held: Vec<UdpSocket>,
}

impl Drop for Filaops {
    fn drop(&mut self) {
        // A worker that a test did not wait for would go on, and ask an engine that is no longer there.
        let dir = self.dir.to_string_lossy().into_owned();
        for (pid, _) in processes().into_iter().filter(|it| it.1.contains(&dir)) {
            signal(pid, Signal::KILL);
        }
        if !thread::panicking() || std::env::var_os("LIFTLOCK_KEEP").is_none() {
            let _ = fs::remove_dir_all(&self.dir);
        }
    }
}

impl Filaops {
    /// 3.8.0, built from its checkout and running, with these releases tagged.
    pub(crate) fn with(releases: &[(&str, Kind)]) -> Self {
        let dir = tempfile::Builder::new().prefix("liftlock-filaops-").tempdir().unwrap().keep();
        let engine = Engine::start();
        let mut images = Command::new(demo_program());
        images.arg("stand-in-images").env("DOCKER_HOST", &engine.host);
        if let Some(newer) = releases.iter().any(|it| it.1 == Kind::NewerDatabase).then(newer).flatten() {
            images.arg("--newer").arg(newer);
        }
        let images = images.output();
        let images = images.unwrap();
        assert!(images.status.success(), "{}", String::from_utf8_lossy(&images.stdout));
        let images: Value = serde_json::from_slice(&images.stdout).unwrap();
        let mut held = Vec::new();
        let [port, page, database] = [(); 3].map(|()| free_port(&mut held));
        let compose = COMPOSE
            .replace("DATABASE_IMAGE", images["database"].as_str().unwrap())
            .replace("\"8000:", &format!("\"{port}:"))
            .replace("\"80:", &format!("\"{page}:"))
            .replace("\"5432:", &format!("\"{database}:"));
        let it = Self { engine, app: dir.join("filaops"), dir, port, page, _held: held };

        let upstream = it.dir.join("upstream");
        fs::create_dir(&upstream).unwrap();
        git(&upstream, &["init", "--quiet"]);
        for (number, (version, kind)) in [("3.8.0", Kind::Good)].iter().chain(releases).enumerate() {
            let newer = images["newer"].as_str().unwrap_or_default();
            let compose = match kind {
                Kind::NewerDatabase => compose
                    .replace(images["database"].as_str().unwrap(), newer)
                    .replace(":/var/lib/postgresql/data", ":/var/lib/postgresql"),
                _ => compose.clone(),
            };
            release(&upstream, &compose, version, *kind, number);
            git(&upstream, &["add", "--all"]);
            git(&upstream, &["commit", "--quiet", "--message", version]);
            git(&upstream, &["tag", &format!("v{version}")]);
        }
        // Some tags bear what is no pre-release: another edition of the same.
        git(&upstream, &["tag", "v9.0.0-community"]);
        let server = serve(upstream.clone());
        git(&it.dir, &["clone", "--quiet", "upstream", "filaops"]);
        git(&it.app, &["checkout", "--quiet", "v3.8.0"]);
        fs::create_dir(it.app.join("uploads")).unwrap();
        fs::write(it.app.join("uploads/part.stl"), "solid part").unwrap();
        fs::write(it.app.join(".env"), format!("DB_PASSWORD={PASSWORD}\n")).unwrap();
        it.compose(&["up", "--detach", "--build"]);
        wait_for("FilaOps answers", PATIENCE, || it.version());
        it.sql("INSERT INTO products (sku) SELECT 'SKU-' || n FROM generate_series(1, 500) n");

        let profile = PROFILE.replace("port = \"8000\"", &format!("port = \"{port}\""));
        let example = "example = \".env.example\"\n";
        let profile = profile.replace(example, &format!("{example}{ASKED}"));
        let profile = profile.replace("repository = ", &format!("api = \"{server}\"\nrepository = "));
        fs::write(it.dir.join("filaops.toml"), profile).unwrap();
        let (code, added) =
            it.liftlock(&["add", it.dir.join("filaops.toml").to_str().unwrap(), it.app.to_str().unwrap()]);
        assert_eq!((code, &added["version"]), (0, &"3.8.0".into()), "{added:#}");
        it
    }

    /// The exit code of `liftlock` and its last document.
    pub(crate) fn liftlock(&self, words: &[&str]) -> (i32, Value) {
        self.liftlock_killed_at("", words)
    }

    /// The same, with a worker that is killed once at this point.
    pub(crate) fn liftlock_killed_at(&self, point: &str, words: &[&str]) -> (i32, Value) {
        self.told("LIFTLOCK_CRASH_AT", point, words)
    }

    /// Begins something with a worker that freezes at this point, and answers who that is.
    pub(crate) fn frozen_at(&self, point: &str, words: &[&str]) -> u32 {
        let (code, answer) = self.told("LIFTLOCK_FREEZE_AT", point, &[words, &["--detach"]].concat());
        assert_eq!(code, 0, "{answer:#}");
        wait_for(&format!("it has frozen at {point}"), PATIENCE, || {
            let log = fs::read_to_string(self.dir.join("crash.log")).ok()?;
            let (_, status) = self.liftlock(&["status"]);
            let worker = u32::try_from(status["holder"]["pid"].as_u64()?).ok()?;
            let has_frozen = log.lines().any(|it| it.strip_prefix("froze ") == Some(point));
            (has_frozen && stands_still(worker)).then_some(worker)
        })
    }

    fn told(&self, what: &str, point: &str, words: &[&str]) -> (i32, Value) {
        let path = std::env::var_os("PATH").unwrap();
        let mut command = liftlock(&self.dir, &path, words);
        answered(command.env("DOCKER_HOST", &self.engine.host).env(what, point))
    }

    /// What an update ends as: its state, and the class of its error.
    pub(crate) fn upgrade(&self, to: &str, more: &[&str]) -> (String, String) {
        ending(&self.liftlock(&[&["upgrade", "--yes", "--to", to], more].concat()).1)
    }

    /// `docker compose` as its owner types it.
    pub(crate) fn compose(&self, words: &[&str]) -> String {
        let mut command = self.engine.command(&["compose"]);
        let output = command.args(words).current_dir(&self.app).output().unwrap();
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// The first column of what a statement answers.
    pub(crate) fn sql(&self, statement: &str) -> String {
        let words = [
            "exec",
            "filaops-db",
            "psql",
            "--host=127.0.0.1",
            "--username=postgres",
            "--dbname=filaops",
            "--no-psqlrc",
            "--quiet",
        ];
        self.engine.docker(&[&words[..], &["--tuples-only", "--no-align", "--command", statement]].concat())
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

    /// Lays a file among the pictures of products, as the backend does: in its container.
    pub(crate) fn add_picture(&self, name: &str) {
        let folder = self.dir.join("products");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(name), format!("picture {name}")).unwrap();
        self.engine.docker(&["cp", folder.to_str().unwrap(), "filaops-backend:/app/static/uploads"]);
        fs::remove_file(folder.join(name)).unwrap();
    }

    /// What a file below `static/uploads` in the container of the backend holds.
    pub(crate) fn uploaded(&self, name: &str) -> String {
        let to = self.dir.join("taken-out");
        self.engine.docker(&["cp", &format!("filaops-backend:/app/static/uploads/{name}"), to.to_str().unwrap()]);
        fs::read_to_string(to).unwrap()
    }

    /// Everything runs, from this version, with nothing lost and nothing else beside it.
    pub(crate) fn is_whole(&self, version: &str) {
        self.stands(version);
        let volumes = self.engine.docker(&["volume", "ls", "--format", "{{.Name}}"]);
        assert_eq!(volumes, "filaops_pgdata");
    }

    /// The same, whatever volumes there are.
    pub(crate) fn stands(&self, version: &str) {
        wait_for(&format!("{version} answers"), PATIENCE, || self.version().filter(|it| it == version));
        assert_eq!(self.sql("SELECT count(*) FROM products"), "500");
        assert_eq!(fs::read_to_string(self.app.join("uploads/part.stl")).unwrap(), "solid part");
        assert_eq!(git(&self.app, &["tag", "--points-at", "HEAD"]), "v3.8.0", "nobody switches the checkout");
        let names = self.engine.docker(&["ps", "--format", "{{.Names}}"]);
        let mut names: Vec<&str> = names.lines().collect();
        names.sort_unstable();
        assert_eq!(names, ["filaops-backend", "filaops-db", "filaops-frontend"]);
        assert_eq!(self.engine.networks(), ["filaops-network"]);
    }
}

/// The programs of a newer major of PostgreSQL, where `cargo xtask test` has fetched them.
pub(crate) fn newer() -> Option<PathBuf> {
    let dir = std::env::var_os("LIFTLOCK_TEST_NEWER_POSTGRES").map(PathBuf::from);
    if dir.is_none() {
        eprintln!("not run: LIFTLOCK_TEST_NEWER_POSTGRES names no newer PostgreSQL, as `cargo xtask test` does");
    }
    dir
}

/// The files of a release, as its makers have them in their repository.
fn release(folder: &Path, compose: &str, version: &str, kind: Kind, number: usize) {
    let compose = &match kind {
        Kind::FurtherService | Kind::NeedsService => {
            let has_it = compose.replacen(
                "services:\n",
                "services:\n  cache:\n    image: cache:1\n    networks:\n      - filaops-network\n",
                1,
            );
            let needed = "depends_on:\n      cache:\n        condition: service_started\n      migrate:\n";
            let needs = if kind == Kind::NeedsService { needed } else { "depends_on:\n      migrate:\n" };
            has_it.replace("depends_on:\n      migrate:\n", needs)
        }
        Kind::Good
        | Kind::Breaks
        | Kind::Lies
        | Kind::NewerDatabase
        | Kind::MigratesNothing
        | Kind::MigratesNothingForReal
        | Kind::FrontendEnds => compose.to_owned(),
        Kind::FixesAddress => {
            let address = "${DB_USER:-postgres}:${DB_PASSWORD:-changeme}@db:5432/${DB_NAME:-filaops}";
            compose.replace(address, &format!("postgres:{PASSWORD}@db:5432/filaops"))
        }
        Kind::NamesPlace => compose.replace("./uploads:", "${UPLOADS:-./uploads}:"),
        Kind::NamesOtherPlace => compose.replace("./uploads:", "${UPLOADS:-./files}:"),
        Kind::RenamesVolume => compose.replace("filaops_pgdata", "filaops_data"),
        Kind::OtherDatabase => compose.replace("corner-shop-postgres:", "corner-shop-postgres:9"),
        Kind::NeedsSetting => compose
            .replace("DB_HOST: db", "SECRET_KEY: ${SECRET_KEY:?Sessions are signed with it}\n        DB_HOST: db"),
    };
    let said = if kind == Kind::Lies { "3.8.0" } else { version };
    let migrates = match kind {
        Kind::Breaks => Migrates::BreaksOff,
        Kind::MigratesNothing => Migrates::Nothing,
        Kind::MigratesNothingForReal => Migrates::NothingForReal,
        _ => Migrates::Well,
    };
    let like = stand_in_release(said, number, migrates);
    let page = if kind == Kind::FrontendEnds { "brief-page" } else { "page" };
    let files = [
        ("docker-compose.yml", compose.to_owned()),
        ("README.md", format!("FilaOps {version}\n")),
        (".gitignore", ".env\n/uploads/\n".to_owned()),
        (".env.example", "# Password of the database.\nDB_PASSWORD=changeme\n".to_owned()),
        ("backend/alembic.ini", "[alembic]\n".to_owned()),
        ("backend/release.json", like),
        ("backend/Dockerfile", "FROM stand-in-base:1\nCOPY . /app\nCMD [\"stand-in\", \"serve\"]\n".to_owned()),
        ("backend/static/uploads/logo.svg", format!("<svg version=\"{version}\"/>\n")),
        ("frontend/Dockerfile", format!("FROM stand-in-base:1\nCOPY . /page\nCMD [\"stand-in\", \"{page}\"]\n")),
        ("frontend/package.json", format!("{{ \"version\": \"{version}\" }}\n")),
    ];
    lay(folder, &files);
}
