//! A real server of MariaDB for tests: one a test binary, made from a template that is made once a machine.
//! It ends with the process that started it, because its keeper reads from a pipe of that process.

#![allow(dead_code, clippy::unwrap_used, reason = "shared by several test binaries, which use a part each")]

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

pub(crate) const USER: &str = "shop";
pub(crate) const PASSWORD: &str = "s3cret:with\\odd 'characters'/ü";

/// A running server. Its superuser comes in by the socket, everybody else by password over TCP.
#[derive(Debug)]
pub(crate) struct Mariadb {
    pub(crate) port: u16,
    pub(crate) dir: PathBuf,
    keeper: Child,
}

/// What every server of a test is told.
const USUAL: &[&str] = &[
    "--no-defaults",
    "--innodb-log-file-size=8M",
    "--innodb-buffer-pool-size=64M",
    "--innodb-flush-log-at-trx-commit=0",
    "--skip-log-bin",
    "--character-set-server=utf8mb4",
    "--max-allowed-packet=64M",
];

/// The user that it runs as where the tests run as root.
fn unprivileged() -> Option<(u32, u32)> {
    if !rustix::process::geteuid().is_root() {
        return None;
    }
    let passwd = fs::read_to_string("/etc/passwd").unwrap();
    let id = |name: &str| {
        let line = passwd.lines().find(|line| line.split(':').next() == Some(name))?;
        let mut fields = line.split(':').skip(2);
        Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
    };
    Some(id("mysql").or_else(|| id("nobody")).unwrap())
}

fn as_unprivileged(command: &mut Command) -> &mut Command {
    if let Some((uid, gid)) = unprivileged() {
        command.uid(uid).gid(gid);
    }
    command.env_clear().env("LC_ALL", "C.UTF-8").env("PATH", "/usr/bin:/bin:/usr/sbin:/sbin").current_dir("/")
}

fn server_dir(prefix: &str) -> PathBuf {
    let dir = tempfile::Builder::new().prefix(prefix).tempdir().unwrap().keep();
    fs::set_permissions(&dir, fs::Permissions::from_mode(0o755)).unwrap();
    if let Some((uid, gid)) = unprivileged() {
        std::os::unix::fs::chown(&dir, Some(uid), Some(gid)).unwrap();
    }
    dir
}

fn run(command: &mut Command) {
    let out = as_unprivileged(command).output().unwrap();
    assert!(out.status.success(), "{command:?}: {}", String::from_utf8_lossy(&out.stderr));
}

/// The server's program, which Debian keeps out of the `PATH` of users.
fn server() -> &'static Path {
    let places = ["/usr/sbin/mariadbd", "/usr/sbin/mysqld", "/usr/libexec/mariadbd"].map(Path::new);
    places.into_iter().find(|it| it.is_file()).expect("these tests need MariaDB (Debian: apt install mariadb-server)")
}

/// Data that were initialised once and are copied since, which is quicker.
fn template() -> PathBuf {
    let told = Command::new(server()).arg("--version").output().unwrap().stdout;
    let version: String = String::from_utf8_lossy(&told).split_whitespace().nth(2).unwrap_or("unknown").to_owned();
    let owner = unprivileged().map_or(0, |it| it.0);
    let template = std::env::temp_dir().join(format!("liftlock-tests-mariadb-{version}-{owner}"));
    if template.join("mysql").exists() {
        return template;
    }
    let making = server_dir("liftlock-tests-making-");
    let data = making.join("data");
    run(Command::new("mariadb-install-db")
        .args(USUAL)
        .args(["--auth-root-authentication-method=normal", "--skip-test-db"])
        .arg(format!("--datadir={}", data.display())));
    // Whoever is first wins; the others' work is thrown away.
    let _ = fs::rename(&data, &template);
    let _ = fs::remove_dir_all(&making);
    template
}

impl Mariadb {
    pub(crate) fn start() -> Self {
        let dir = server_dir("liftlock-tests-maria-");
        let data = dir.join("data");
        run(Command::new("cp").arg("-a").arg(template()).arg(&data));
        let port = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
        // The keeper ends the server, and removes its folder, when our end of the pipe closes, however we die.
        let script = r#"dir=$1; shift; exec 3<&0; "$@" </dev/null >"$dir/log" 2>&1 & server=$!
            while ! grep -q 'ready for connections' "$dir/log"; do kill -0 $server || { cat "$dir/log"; exit 1; }; sleep 0.02; done
            echo ready; cat <&3 >/dev/null; kill -KILL $server; wait $server; rm -rf "$dir""#;
        let mut keeper = Command::new("sh");
        keeper.arg("-c").arg(script).arg("keeper").arg(&dir).arg(server()).args(USUAL);
        keeper.arg(format!("--datadir={}", data.display()));
        keeper.arg(format!("--socket={}", dir.join("socket").display()));
        keeper.arg(format!("--pid-file={}", dir.join("pid").display()));
        keeper.args(["--bind-address=127.0.0.1", &format!("--port={port}")]);
        // A group of its own, so that Ctrl-C in a terminal leaves it to the pipe.
        keeper.process_group(0).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut keeper = as_unprivileged(&mut keeper).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(keeper.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "ready\n", "the server did not start: {}", fs::read_to_string(dir.join("log")).unwrap());
        Self { port, dir, keeper }
    }

    /// What the superuser says in a database, and what the server answers: a row a line, values apart by tabs.
    pub(crate) fn sql(&self, database: &str, sql: &str) -> String {
        let mut client = Command::new("mariadb");
        client.args([
            "--no-defaults",
            "--user=root",
            "--batch",
            "--skip-column-names",
            "--default-character-set=utf8mb4",
        ]);
        client.arg(format!("--socket={}", self.dir.join("socket").display())).arg(database);
        client.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut client = client.spawn().unwrap();
        client.stdin.take().unwrap().write_all(sql.as_bytes()).unwrap();
        let out = client.wait_with_output().unwrap();
        assert!(out.status.success(), "{sql:.500}: {}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8(out.stdout).unwrap().trim_end_matches('\n').to_owned()
    }

    /// A database of its own with all of this in it, which [`USER`] may read.
    pub(crate) fn database(&self, sql: &str) -> String {
        let name = format!("shop_{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let password = PASSWORD.replace('\\', "\\\\").replace('\'', "\\'");
        self.sql(
            "",
            &format!(
                "CREATE DATABASE {name}; CREATE USER IF NOT EXISTS {USER}@localhost IDENTIFIED BY '{password}'; \
                 CREATE USER IF NOT EXISTS {USER}@'127.0.0.1' IDENTIFIED BY '{password}'; \
                 GRANT SELECT ON {name}.* TO {USER}@localhost, {USER}@'127.0.0.1'"
            ),
        );
        self.sql(&name, sql);
        name
    }
}

static NEXT: AtomicU32 = AtomicU32::new(1);

impl Drop for Mariadb {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
    }
}

/// The server of this test binary.
pub(crate) fn shared() -> &'static Mariadb {
    static SERVER: OnceLock<Mariadb> = OnceLock::new();
    SERVER.get_or_init(Mariadb::start)
}
