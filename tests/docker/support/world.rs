//! An outside world in containers.

use std::cell::Cell;
use std::ffi::OsStr;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime};

use serde_json::Value;

use super::{Case, wait_for};
use crate::disk::Disk;
use crate::docker::{Engine, demo_program};

/// Orders to begin with: few, because what is tested is whether they come through, not how many.
const ORDERS: &str = "200";

/// A demo in containers, ended and removed with its engine.
pub(crate) struct World {
    pub(crate) engine: Engine,
    /// The command line, where everybody here can start it.
    pub(crate) program: PathBuf,
    /// An ordinary user looks after it.
    pub(crate) is_of_a_user: bool,
    pub(crate) dir: PathBuf,
    pub(crate) shop: PathBuf,
    pub(crate) port: u16,
    /// The project's name for Compose.
    pub(crate) project: String,
    /// What `hash` answered before anything was done.
    pub(crate) before: Value,
    /// Passwords, which must turn up nowhere.
    pub(crate) secrets: Vec<String>,
    /// The user's compose file.
    compose: Vec<u8>,
    /// What it calls its volumes.
    volumes: Vec<&'static str>,
    /// `DOCKER_HOST` of everybody here.
    host: String,
    homes: Cell<u32>,
}

impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() && std::env::var_os("LIFTLOCK_KEEP").is_some() {
            eprintln!("kept: {}", self.dir.display());
            return;
        }
        let _ = self.demo_command(&["down", "--hard", "--remove"]).output();
    }
}

impl World {
    /// Corner Shop 1.0.0, running, with these releases out.
    pub(crate) fn with(releases: &[&str]) -> Self {
        Self::made(&["--compose"], releases)
    }

    /// The same with images that were built from a checkout of git.
    pub(crate) fn built(releases: &[&str]) -> Self {
        Self::made(&["--compose", "--built"], releases)
    }

    /// The same on an engine whose layers of images and containers have a disk of their own. None where this user may
    /// not mount one. The engine's own databases lie elsewhere: they are mapped into its memory, and a read from a full
    /// `tmpfs` that has no page for it kills the reader (`SIGBUS`).
    pub(crate) fn built_on_a_small_disk(releases: &[&str]) -> Option<(Self, Disk)> {
        let engine = Engine::start();
        let driver = engine.docker(&["info", "--format", "{{.Driver}}"]);
        engine.stop();
        let disk = Disk::below(1024, &engine.dir.join("data"), &driver)?;
        engine.start_again();
        Some((Self::made_on(engine, &["--compose", "--built"], releases), disk))
    }

    /// The same as a stack of Docker Swarm, of which the engine is the only node.
    pub(crate) fn in_swarm(releases: &[&str]) -> Self {
        let engine = Engine::start();
        engine.begin_swarm();
        Self::made_on(engine, &["--compose", "--stack"], releases)
    }

    /// The same, with a worker node on what is another computer, which has the image of 1.0.0. None where this user may not
    /// make one.
    pub(crate) fn in_swarm_of_two(releases: &[&str]) -> Option<(Self, Engine)> {
        let engine = Engine::start();
        let other = engine.start_elsewhere()?;
        engine.begin_swarm_at(&engine.end_of_cable(1));
        let world = Self::made_on(engine, &["--compose", "--stack"], releases);
        let engine = &world.engine;
        let token = engine.docker(&["swarm", "join-token", "--quiet", "worker"]);
        other.join_swarm_at(&engine.end_of_cable(1), &engine.end_of_cable(2), &token);
        engine.hand_over("corner-shop:1.0.0", &other);
        Some((world, other))
    }

    fn made(kind: &[&str], releases: &[&str]) -> Self {
        Self::made_on(Engine::start(), kind, releases)
    }

    fn made_on(engine: Engine, kind: &[&str], releases: &[&str]) -> Self {
        let dir = tempfile::Builder::new().prefix("liftlock-in-docker-").tempdir().unwrap().keep();
        let mut world = Self {
            host: engine.host.clone(),
            engine,
            program: env!("CARGO_BIN_EXE_liftlock").into(),
            is_of_a_user: false,
            shop: dir.join("shop"),
            dir,
            port: 0,
            project: String::new(),
            before: Value::Null,
            secrets: Vec::new(),
            compose: Vec::new(),
            volumes: vec!["shop_data"],
            homes: Cell::new(0),
        };
        let up = world.demo(&[&["up", "--orders", ORDERS], kind].concat());
        world.port = u16::try_from(up["shop_port"].as_u64().unwrap()).unwrap();
        world.project = up["project"].as_str().unwrap().to_owned();
        let facts: Value = serde_json::from_slice(&fs::read(world.dir.join("demo.json")).unwrap()).unwrap();
        world.secrets = vec![facts["shop_password"].as_str().unwrap().to_owned()];
        world.compose = fs::read(world.shop.join("compose.yaml")).unwrap();
        world.before = world.demo(&["hash"]);
        if !releases.is_empty() {
            world.demo(&[&["publish"], releases].concat());
        }
        world
    }

    /// The command line, which is also the worker.
    pub(crate) fn program(&self) -> PathBuf {
        self.program.clone()
    }

    /// What a process must know to reach this world.
    pub(crate) fn environment(&self) -> Vec<(&'static str, String)> {
        vec![("DOCKER_HOST", self.host.clone())]
    }

    /// From now on everybody here reaches the engine by this address.
    pub(crate) fn reach_by(&mut self, host: &str) {
        host.clone_into(&mut self.host);
    }

    pub(crate) fn demo_command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(demo_program());
        let (verb, rest) = words.split_first().unwrap();
        command.arg(verb).arg("--dir").arg(&self.dir).args(rest).stdin(Stdio::null());
        command.envs(self.environment()).env_remove("DOCKER_CONTEXT");
        if self.is_of_a_user {
            // The judge sees everything, whoever this thread is.
            command.uid(0).gid(0);
        }
        command
    }

    /// Asks `liftlock-demo` for one document.
    pub(crate) fn demo(&self, words: &[&str]) -> Value {
        let output = self.demo_command(words).output().unwrap();
        assert!(
            output.status.success(),
            "liftlock-demo {} failed: {}",
            words.join(" "),
            String::from_utf8_lossy(&output.stderr)
        );
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// The container of a service, whatever its name is.
    pub(crate) fn container(&self, service: &str) -> String {
        let label = |name: &str, value: &str| format!("label=com.docker.compose.{name}={value}");
        let (project, service_label) = (label("project", &self.project), label("service", service));
        let once = label("oneoff", "False");
        let words = ["ps", "--all", "--filter", &project, "--filter", &service_label, "--filter", &once];
        let listed = self.engine.command(&[words.as_slice(), &["--format", "{{.Names}}"]].concat()).output().unwrap();
        String::from_utf8_lossy(&listed.stdout).lines().next().unwrap_or("none").to_owned()
    }

    /// Something of a container, as Go's templates name it; nothing where there is none.
    pub(crate) fn inspect(&self, service: &str, field: &str) -> Option<String> {
        let format = format!("{{{{{field}}}}}");
        let output = self.engine.command(&["inspect", "--format", &format, &self.container(service)]).output().unwrap();
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    /// Runs statements in the database's container and answers the first column of what came back, a line a row.
    pub(crate) fn sql(&self, database: &str, statements: &str) -> String {
        let commands: Vec<String> = statements.split(";\n").map(|it| format!("--command={it}")).collect();
        let database = format!("--dbname={database}");
        let container = self.container("db");
        let mut words = vec!["exec", "--env", "PGAPPNAME=the judge", &container, "psql", "--username=corner_shop"];
        words.extend(["--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--set=ON_ERROR_STOP=1", &database]);
        words.extend(commands.iter().map(String::as_str));
        self.engine.docker(&words)
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
        Case::new(self, self.dir.join(format!("home-{number}")), &profile)
    }

    /// What answers on the public port: status and body.
    pub(crate) fn get(&self, path: &str) -> Option<(u16, String)> {
        self.get_at("127.0.0.1", path)
    }

    /// The same on another computer.
    pub(crate) fn get_at(&self, host: &str, path: &str) -> Option<(u16, String)> {
        let mut stream = TcpStream::connect((host, self.port)).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
        stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n").as_bytes()).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        let (head, body) = answer.split_once("\r\n\r\n")?;
        Some((head.split(' ').nth(1)?.parse().ok()?, body.to_owned()))
    }

    /// The version that answers on the public port.
    pub(crate) fn version(&self) -> Option<String> {
        self.version_at("127.0.0.1")
    }

    /// The same on another computer.
    pub(crate) fn version_at(&self, host: &str) -> Option<String> {
        let (status, body) = self.get_at(host, "/api/v1/system/version")?;
        let document: Value = serde_json::from_str(&body).ok().filter(|_| status == 200)?;
        document["version"].as_str().map(str::to_owned)
    }

    /// The release whose image the shop's container has.
    pub(crate) fn current(&self) -> String {
        self.demo(&["status"])["release"].as_str().unwrap().to_owned()
    }

    /// The project is as its owner has it: of this version, from the image that bears it now, started with the computer,
    /// its file as it was, and nothing else on the engine.
    pub(crate) fn is_whole(&self, version: &str) {
        let list = |words: &[&str]| self.engine.docker(words);
        let shop = self.inspect("shop", ".Image").unwrap();
        assert_eq!(shop, list(&["image", "inspect", "--format", "{{.Id}}", &format!("corner-shop:{version}")]));
        for service in ["db", "shop"] {
            let policy = self.inspect(service, ".HostConfig.RestartPolicy.Name");
            assert_eq!(policy.as_deref(), Some("always"), "the restart policy of {service}");
        }
        let settings = fs::read_to_string(self.shop.join(".env")).unwrap();
        assert!(settings.lines().any(|it| it == format!("SHOP_VERSION={version}")), "{settings}");
        assert_eq!(fs::read(self.shop.join("compose.yaml")).unwrap(), self.compose, "nobody writes the user's file");
        let containers = list(&["ps", "--all", "--format", "{{.Names}}"]);
        let mut names: Vec<&str> = containers.lines().collect();
        names.sort_unstable();
        assert_eq!(names, [self.container("db"), self.container("shop")]);
        assert_eq!(self.engine.networks(), [format!("{}_default", self.project)]);
        let volumes: Vec<String> = self.volumes.iter().map(|it| format!("{}_{it}", self.project)).collect();
        assert_eq!(list(&["volume", "ls", "--format", "{{.Name}}"]), volumes.join("\n"));
    }

    /// The user changes the compose file and says “up”.
    pub(crate) fn rewrite(&mut self, change: impl FnOnce(String) -> String) {
        let file = self.shop.join("compose.yaml");
        let text = change(fs::read_to_string(&file).unwrap());
        fs::write(&file, &text).unwrap();
        self.compose = text.into_bytes();
        self.demo(&["up"]);
    }

    /// The uploads lie in a volume from now on, and `data/uploads` leads there for whoever counts them.
    pub(crate) fn put_uploads_in_a_volume(&mut self) {
        self.rewrite(|it| it.replace("./data/uploads:", "uploads:") + "  uploads:\n");
        self.volumes.push("uploads");
        let (before, volume) = (self.shop.join("data/uploads"), self.folder_of_volume("uploads"));
        for entry in fs::read_dir(&before).unwrap().flatten() {
            fs::copy(entry.path(), volume.join(entry.file_name())).unwrap();
        }
        fs::remove_dir_all(&before).unwrap();
        std::os::unix::fs::symlink(volume, before).unwrap();
        assert_eq!(self.demo(&["hash"])["content"], self.before["content"]);
    }

    /// A second volume, with everything in it that files can be.
    pub(crate) fn put_odd_files_in_a_volume(&mut self) {
        self.rewrite(|it| {
            let at = it.lines().find(|it| it.trim_start().starts_with("- uploads:")).unwrap().to_owned();
            let odd = format!("{}- odd:/odd", &at[..at.find('-').unwrap()]);
            it.replace(&at, &format!("{at}\n{odd}")) + "  odd:\n"
        });
        self.volumes.insert(0, "odd");
        let at = self.folder_of_volume("odd");
        let own = |name: &OsStr, (uid, gid): (u32, u32), mode: u32| {
            let path = at.join(name);
            if !path.is_dir() {
                fs::write(&path, name.as_bytes()).unwrap();
            }
            chown(&path, Some(uid), Some(gid)).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        };
        for folder in ["closed", "closed/deep", "sticky"] {
            fs::create_dir(at.join(folder)).unwrap();
        }
        own("of the database".as_ref(), (999, 999), 0o600);
        own("of root".as_ref(), (0, 0), 0o600);
        own(OsStr::from_bytes(b"caf\xe9 \xff\n"), (33, 33), 0o640);
        own("closed/deep/file".as_ref(), (70, 70), 0o400);
        own("closed/deep".as_ref(), (70, 70), 0o500);
        own("closed".as_ref(), (999, 70), 0o700);
        own("sticky".as_ref(), (0, 50), 0o3777);
        own("".as_ref(), (999, 999), 0o750);
        symlink("closed/deep/file", at.join("link")).unwrap();
        symlink("/nowhere", at.join("lost")).unwrap();
        fs::hard_link(at.join("of root"), at.join("of root too")).unwrap();
        fs::File::options().write(true).open(at.join("of root")).unwrap().set_modified(SystemTime::UNIX_EPOCH).unwrap();
    }

    /// Where a volume of the project lies.
    pub(crate) fn folder_of_volume(&self, key: &str) -> PathBuf {
        let name = format!("{}_{key}", self.project);
        self.engine.docker(&["volume", "inspect", "--format", "{{.Mountpoint}}", &name]).into()
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
