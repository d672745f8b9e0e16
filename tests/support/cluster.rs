//! A real PostgreSQL cluster for tests: one a test binary, made from a template that is made once a machine.
//! It ends with the process that started it, because its keeper reads from a pipe of that process.

#![allow(dead_code, clippy::unwrap_used, reason = "shared by several test binaries, which use a part each")]

use std::{
    fs,
    io::{BufRead, BufReader},
    net::TcpListener,
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
};

pub(crate) const SUPERUSER: &str = "admin";
pub(crate) const PASSWORD: &str = "s3cret:with\\odd 'characters'";

/// A running server. All access is by password over TCP.
#[derive(Debug)]
pub(crate) struct Cluster {
    pub(crate) port: u16,
    pub(crate) bin: PathBuf,
    pub(crate) dir: PathBuf,
    keeper: Child,
}

/// The programs of the server that the tests run against: those in the folder that `LIFTLOCK_TEST_POSTGRES` names,
/// else the newest that are installed.
pub(crate) fn bin() -> PathBuf {
    if let Some(dir) = std::env::var_os("LIFTLOCK_TEST_POSTGRES") {
        return dir.into();
    }
    let mut all: Vec<PathBuf> = fs::read_dir("/usr/lib/postgresql")
        .map(|entries| {
            entries.flatten().map(|it| it.path().join("bin")).filter(|it| it.join("initdb").exists()).collect()
        })
        .unwrap_or_default();
    all.sort();
    all.pop().expect("these tests need PostgreSQL's server programs (Debian: apt install postgresql)")
}

/// The programs of a newer major than that, where `cargo xtask test` has fetched them.
pub(crate) fn newer() -> Option<PathBuf> {
    let dir = std::env::var_os("LIFTLOCK_TEST_NEWER_POSTGRES").map(PathBuf::from);
    if dir.is_none() {
        eprintln!("not run: LIFTLOCK_TEST_NEWER_POSTGRES names no newer PostgreSQL, as `cargo xtask test` does");
    }
    dir
}

/// The user that servers run as where the tests run as root, for whom PostgreSQL refuses.
pub(crate) fn unprivileged() -> Option<(u32, u32)> {
    let is_root = fs::metadata("/proc/self").is_ok_and(|it| std::os::unix::fs::MetadataExt::uid(&it) == 0);
    if !is_root {
        return None;
    }
    let passwd = fs::read_to_string("/etc/passwd").unwrap();
    let id = |name: &str| {
        let line = passwd.lines().find(|line| line.split(':').next() == Some(name))?;
        let mut fields = line.split(':').skip(2);
        Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
    };
    Some(id("postgres").or_else(|| id("nobody")).unwrap())
}

fn as_unprivileged(command: &mut Command) -> &mut Command {
    if let Some((uid, gid)) = unprivileged() {
        command.uid(uid).gid(gid);
    }
    command.env_clear().env("LC_ALL", "C.UTF-8").env("PATH", "/usr/bin:/bin").current_dir("/")
}

fn run(command: &mut Command) {
    let out = as_unprivileged(command).output().unwrap();
    assert!(out.status.success(), "{command:?}: {}", String::from_utf8_lossy(&out.stderr));
}

/// A folder that the server's user owns, below one that everybody may pass through.
pub(crate) fn server_dir(prefix: &str) -> PathBuf {
    let dir = tempfile::Builder::new().prefix(prefix).tempdir().unwrap().keep();
    fs::set_permissions(&dir, fs::Permissions::from_mode(0o755)).unwrap();
    if let Some((uid, gid)) = unprivileged() {
        std::os::unix::fs::chown(&dir, Some(uid), Some(gid)).unwrap();
    }
    dir
}

/// A cluster that was initialised once and is copied since, which is quicker than `initdb`.
fn template(bin: &Path) -> PathBuf {
    let owner = unprivileged().map_or(0, |it| it.0);
    let told = Command::new(bin.join("postgres")).arg("--version").output().unwrap().stdout;
    let version = String::from_utf8(told).unwrap().split_whitespace().nth(2).unwrap().to_owned();
    let template = std::env::temp_dir().join(format!("liftlock-tests-initdb-{version}-{owner}"));
    if template.join("PG_VERSION").exists() {
        return template;
    }
    let making = server_dir("liftlock-tests-making-");
    let password = making.join("password");
    fs::write(&password, PASSWORD).unwrap();
    fs::set_permissions(&password, fs::Permissions::from_mode(0o644)).unwrap();
    let data = making.join("data");
    run(Command::new(bin.join("initdb"))
        .arg("-D")
        .arg(&data)
        .args(["-U", SUPERUSER, "-A", "scram-sha-256", "-E", "UTF8", "--no-locale", "--no-sync", "--no-instructions"])
        .arg(format!("--pwfile={}", password.display())));
    // Whoever is first wins; the others' work is thrown away.
    let _ = fs::rename(&data, &template);
    let _ = fs::remove_dir_all(&making);
    template
}

impl Cluster {
    /// Starts one with these further settings.
    pub(crate) fn start(settings: &[(&str, &str)]) -> Self {
        Self::start_in(server_dir("liftlock-tests-pg-"), settings)
    }

    /// Starts one whose data is in `dir`, a folder of the server's user.
    pub(crate) fn start_in(dir: PathBuf, settings: &[(&str, &str)]) -> Self {
        Self::start_of(bin(), dir, settings)
    }

    /// Starts one of these programs.
    pub(crate) fn start_of(bin: PathBuf, dir: PathBuf, settings: &[(&str, &str)]) -> Self {
        let data = dir.join("data");
        run(Command::new("cp").arg("-a").arg(template(&bin)).arg(&data));
        let port = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
        let mut server = vec![
            "-D".to_owned(),
            data.display().to_string(),
            "-p".to_owned(),
            port.to_string(),
            "-c".to_owned(),
            "listen_addresses=127.0.0.1".to_owned(),
            "-c".to_owned(),
            format!("unix_socket_directories={}", dir.display()),
        ];
        let usual = [("fsync", "off"), ("max_prepared_transactions", "5"), ("wal_level", "logical")];
        for (name, value) in usual.iter().chain(settings) {
            server.extend(["-c".to_owned(), format!("{name}={value}")]);
        }
        // The keeper ends the server, and removes its folder, when our end of the pipe closes, however we die.
        let script = r#"dir=$1; shift; exec 3<&0; "$@" </dev/null >"$dir/log" 2>&1 & server=$!
            while ! grep -q 'ready to accept connections' "$dir/log"; do kill -0 $server || { cat "$dir/log"; exit 1; }; sleep 0.02; done
            echo ready; cat <&3 >/dev/null; kill -QUIT $server; wait $server; rm -rf "$dir""#;
        let mut keeper = Command::new("sh");
        keeper.arg("-c").arg(script).arg("keeper").arg(&dir).arg(bin.join("postgres")).args(&server);
        // A group of its own, so that Ctrl-C in a terminal leaves it to the pipe.
        keeper.process_group(0).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut keeper = as_unprivileged(&mut keeper).spawn().unwrap();
        let mut line = String::new();
        let mut told = BufReader::new(keeper.stdout.take().unwrap());
        told.read_line(&mut line).unwrap();
        assert_eq!(line, "ready\n", "the server did not start");
        Self { port, bin, dir, keeper }
    }

    /// Ends the server at once, as a power cut does.
    pub(crate) fn kill(mut self) {
        drop(self.keeper.stdin.take());
        self.keeper.wait().unwrap();
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
    }
}

/// The cluster of this test binary.
pub(crate) fn shared() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(|| Cluster::start(&[]))
}

/// A name that no other test of this process has.
pub(crate) fn fresh(prefix: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    format!("{prefix}_{}", NEXT.fetch_add(1, Ordering::Relaxed))
}
