//! Images out of what is installed here: programs with the libraries they load, nothing pulled.

use std::{
    collections::BTreeMap,
    fs,
    io::Write,
    os::unix::fs::PermissionsExt,
    path::{Component, Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail};

use super::Docker;
use crate::archive::{self, Form};
use crate::catalogue::Release;
use crate::cluster;

/// The image of a release, without its tag.
pub const SHOP: &str = "corner-shop";
/// The image of the database, without its tag.
pub const DATABASE: &str = "corner-shop-postgres";
/// What images of the shop are built on.
pub const BASE: &str = "corner-shop-base:1";
/// What images of the stand-in for FilaOps are built on.
pub const STAND_IN: &str = "stand-in-base:1";
/// Where a release lies in its image.
const RELEASE: &str = "opt/corner-shop";
/// What the scripts in and around a database's container are made of.
const TOOLS: &[&str] = &[
    "cat", "chmod", "chown", "cp", "df", "du", "env", "find", "gzip", "head", "id", "ls", "mkdir", "mv", "rm",
    "setpriv", "sleep", "stat", "sync", "tar", "true",
];
/// Libraries that the server loads by itself.
const MODULES: &[&str] = &["dict_snowball", "libpqwalreceiver", "pg_trgm", "pgcrypto", "pgoutput", "plpgsql"];

/// What is in an image, by its path.
#[derive(Debug, Default)]
struct Tree {
    entries: BTreeMap<String, Entry>,
}

#[derive(Debug)]
enum Entry {
    File { mode: u32, content: Vec<u8> },
    Copy { mode: u32, from: PathBuf },
    Link { to: String },
    Folder { mode: u32, owner: u64 },
}

impl Tree {
    /// A program and every library it loads, each where it is here.
    fn program(&mut self, from: &Path, at: &str) -> Result<()> {
        self.entries.insert(at.to_owned(), Entry::Copy { mode: 0o755, from: from.to_owned() });
        let listed = Command::new("ldd").arg(from).output().context("ldd")?;
        for word in String::from_utf8_lossy(&listed.stdout).split_whitespace().filter(|it| it.starts_with('/')) {
            let at = plain(Path::new(word));
            self.entries.insert(at, Entry::Copy { mode: 0o755, from: PathBuf::from(word) });
        }
        Ok(())
    }

    /// Every file below a folder, through links.
    fn folder(&mut self, from: &Path, at: &str) {
        for entry in fs::read_dir(from).into_iter().flatten().flatten() {
            let (path, at) = (entry.path(), format!("{at}/{}", entry.file_name().to_string_lossy()));
            if path.is_dir() {
                self.folder(&path, &at);
            } else if path.is_file() {
                self.entries.insert(at, Entry::Copy { mode: 0o644, from: path });
            }
        }
    }

    fn file(&mut self, at: &str, mode: u32, content: impl Into<Vec<u8>>) {
        self.entries.insert(at.to_owned(), Entry::File { mode, content: content.into() });
    }

    /// Writes it as a tar archive.
    fn pack(&self, into: impl Write) -> Result<()> {
        let mut archive = tar::Builder::new(into);
        for (path, entry) in &self.entries {
            let mut header = tar::Header::new_gnu();
            header.set_mtime(1_760_000_000);
            match entry {
                Entry::File { mode, content } => {
                    header.set_mode(*mode);
                    header.set_size(content.len() as u64);
                    archive.append_data(&mut header, path, content.as_slice())?;
                }
                Entry::Copy { mode, from } => {
                    let content = fs::read(from).with_context(|| from.display().to_string())?;
                    header.set_mode(*mode);
                    header.set_size(content.len() as u64);
                    archive.append_data(&mut header, path, content.as_slice())?;
                }
                Entry::Link { to } => {
                    header.set_entry_type(tar::EntryType::Symlink);
                    header.set_mode(0o777);
                    header.set_size(0);
                    archive.append_link(&mut header, path, to)?;
                }
                Entry::Folder { mode, owner } => {
                    header.set_entry_type(tar::EntryType::Directory);
                    header.set_mode(*mode);
                    header.set_uid(*owner);
                    header.set_gid(*owner);
                    header.set_size(0);
                    archive.append_data(&mut header, format!("{path}/"), std::io::empty())?;
                }
            }
        }
        archive.into_inner()?.flush()?;
        Ok(())
    }

    /// Makes an image of it.
    fn import(&self, docker: &Docker, image: &str, changes: &[String]) -> Result<()> {
        let mut words = vec!["import"];
        changes.iter().for_each(|it| words.extend(["--change", it]));
        words.extend(["-", image]);
        let mut child = docker
            .command(&words)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .context("the command `docker` is not installed")?;
        let input = child.stdin.take().context("a pipe was asked for")?;
        let packed = self.pack(std::io::BufWriter::with_capacity(1 << 20, input));
        let output = child.wait_with_output()?;
        if !output.status.success() {
            bail!("docker import failed: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        packed
    }
}

/// The path inside of an image, without steps back: a loader may name a library by its way from a program.
fn plain(path: &Path) -> String {
    let mut parts: Vec<String> = Vec::new();
    for part in path.components() {
        match part {
            Component::ParentDir => drop(parts.pop()),
            Component::Normal(name) => parts.push(name.to_string_lossy().into_owned()),
            _ => {}
        }
    }
    parts.join("/")
}

/// Whether the engine has this image.
pub fn is_there(docker: &Docker, image: &str) -> bool {
    docker.run(&["image", "inspect", "--format", "{{.Id}}", image]).is_ok()
}

/// The database's image with its tag: the major version of the server that is installed here.
///
/// # Errors
/// PostgreSQL is not installed.
pub fn database_name() -> Result<String> {
    let folder = server()?;
    let major = folder.parent().and_then(Path::file_name).map_or("0".into(), |it| it.to_string_lossy());
    Ok(format!("{DATABASE}:{major}"))
}

/// Makes the database's image, where the engine has none. It has the manners of the official one: the same variables,
/// the same folder, trust inside of the container and a password from outside.
///
/// # Errors
/// PostgreSQL is not installed, or the engine refuses.
pub fn database(docker: &Docker) -> Result<String> {
    let image = database_name()?;
    if is_there(docker, &image) {
        return Ok(image);
    }
    let bin = server()?;
    let major = image.rsplit(':').next().unwrap_or_default();
    database_of(docker, &bin, major, "/var/lib/postgresql/data")?;
    Ok(image)
}

/// The same of the server whose programs are in this folder. As the official ones do from 18 on, it keeps its data in a
/// folder of its version.
///
/// # Errors
/// There is no server, or the engine refuses.
pub fn newer_database(docker: &Docker, bin: &Path) -> Result<String> {
    let told = Command::new(bin.join("postgres")).arg("--version").output().context("postgres --version")?;
    let told = String::from_utf8_lossy(&told.stdout).into_owned();
    let version = told.split_whitespace().nth(2).context("a server tells its version")?;
    let major = version.split('.').next().unwrap_or_default();
    database_of(docker, bin, major, &format!("/var/lib/postgresql/{major}/docker"))
}

fn database_of(docker: &Docker, bin: &Path, major: &str, data: &str) -> Result<String> {
    let image = format!("{DATABASE}:{major}");
    let home = bin.parent().context("programs lie in a folder")?.to_owned();
    let volume = if data.ends_with("/docker") { "/var/lib/postgresql" } else { data };
    let mut tree = Tree::default();
    for name in
        ["postgres", "initdb", "pg_ctl", "pg_controldata", "pg_dump", "pg_dumpall", "pg_restore", "psql", "pg_isready"]
    {
        let program = bin.join(name);
        tree.program(&program, program.to_string_lossy().trim_start_matches('/'))?;
    }
    let modules = ["lib", "lib/postgresql"].map(|it| home.join(it));
    let modules = modules.iter().flat_map(|folder| MODULES.iter().map(move |it| folder.join(format!("{it}.so"))));
    for name in modules.filter(|it| it.is_file()) {
        tree.program(&name, name.to_string_lossy().trim_start_matches('/'))?;
    }
    let mut tool = |name: &str, from: &str| tree.program(&found(name)?, &format!("usr/bin/{from}"));
    tool("dash", "sh")?;
    TOOLS.iter().try_for_each(|it| tool(it, it))?;
    tree.entries.insert("bin".to_owned(), Entry::Link { to: "usr/bin".to_owned() });
    let share = home.join("share/postgresql").to_string_lossy().into_owned();
    for folder in [format!("/usr/share/postgresql/{major}"), share, "/usr/lib/locale/C.utf8".to_owned()] {
        tree.folder(Path::new(&folder), folder.trim_start_matches('/'));
    }
    for zone in ["UTC", "GMT", "Etc/UTC", "Europe/Berlin", "America/New_York"] {
        let from = Path::new("/usr/share/zoneinfo").join(zone);
        if from.is_file() {
            tree.entries.insert(format!("usr/share/zoneinfo/{zone}"), Entry::Copy { mode: 0o644, from });
        }
    }
    tree.file("etc/passwd", 0o644, "root:x:0:0::/root:/bin/sh\npostgres:x:999:999::/var/lib/postgresql:/bin/sh\n");
    tree.file("etc/group", 0o644, "root:x:0:\npostgres:x:999:\n");
    tree.file("usr/bin/docker-entrypoint.sh", 0o755, ENTRYPOINT);
    for (folder, mode, owner) in [
        ("tmp", 0o1777, 0),
        ("root", 0o700, 0),
        ("var/run/postgresql", 0o3777, 999),
        (volume.trim_start_matches('/'), 0o777, 999),
    ] {
        tree.entries.insert(folder.to_owned(), Entry::Folder { mode, owner });
    }
    let path = format!("ENV PATH={}:/usr/bin:/bin PG_MAJOR={major} PGDATA={data} LANG=C.UTF-8", bin.display());
    let volume = format!("VOLUME {volume}");
    let rest = [
        volume.as_str(),
        "ENTRYPOINT [\"docker-entrypoint.sh\"]",
        "CMD [\"postgres\"]",
        "STOPSIGNAL SIGINT",
        "EXPOSE 5432",
    ];
    let changes: Vec<String> = std::iter::once(path).chain(rest.map(str::to_owned)).collect();
    tree.import(docker, &image, &changes)?;
    Ok(image)
}

/// Begins an empty data folder as the official image does, then becomes the server.
const ENTRYPOINT: &str = r#"#!/bin/sh
set -eu
: "${POSTGRES_USER:=postgres}"
: "${POSTGRES_DB:=$POSTGRES_USER}"
case "${1:-}" in -*) set -- postgres "$@" ;; esac
[ "$1" = postgres ] || exec "$@"
if [ "$(id -u)" = 0 ]; then
    mkdir -p "$PGDATA"
    chown -R postgres:postgres "$PGDATA" /var/run/postgresql
    chmod 700 "$PGDATA"
    exec setpriv --reuid=postgres --regid=postgres --clear-groups "$0" "$@"
fi
if [ ! -s "$PGDATA/PG_VERSION" ]; then
    [ -n "${POSTGRES_PASSWORD:-}" ] || { echo "Error: Database is uninitialized and superuser password is not specified." >&2; exit 1; }
    (umask 077; printf '%s' "$POSTGRES_PASSWORD" > /tmp/password)
    initdb -D "$PGDATA" --username="$POSTGRES_USER" --pwfile=/tmp/password --encoding=UTF8 --locale=C.UTF-8 --data-checksums --no-sync --no-instructions
    rm /tmp/password
    printf '\nhost all all all scram-sha-256\n' >> "$PGDATA/pg_hba.conf"
    printf "\nlisten_addresses = '*'\nunix_socket_directories = '/var/run/postgresql'\n" >> "$PGDATA/postgresql.conf"
    [ "$POSTGRES_DB" = postgres ] || printf 'CREATE DATABASE "%s";\n' "$POSTGRES_DB" | postgres --single -D "$PGDATA" postgres > /dev/null
fi
exec "$@"
"#;

/// Makes what the shop's own images are built on: the libraries that it loads, and a program for a step of the build.
///
/// # Errors
/// The program is not built, or the engine refuses.
pub fn base(docker: &Docker, release: &Release) -> Result<()> {
    let folder = tempfile::tempdir()?;
    archive::unpacked(release, folder.path(), Form::Program)?;
    let mut tree = Tree::default();
    tree.program(&folder.path().join("bin/corner-shop"), "unused")?;
    tree.entries.remove("unused");
    tree.program(&found("sleep")?, "usr/bin/sleep")?;
    tree.entries.insert("srv/shop/data/uploads".to_owned(), Entry::Folder { mode: 0o755, owner: 0 });
    tree.file("etc/passwd", 0o644, "root:x:0:0::/root:/bin/sh\n");
    tree.import(docker, BASE, &[])
}

/// Makes what the images of a stand-in are built on: the program under its two names, with the libraries that it loads.
///
/// # Errors
/// The program is not built, or the engine refuses.
pub fn stand_in(docker: &Docker) -> Result<()> {
    let program = std::env::current_exe()?.with_file_name("stand-in");
    let mut tree = Tree::default();
    tree.program(&program, "usr/bin/stand-in")?;
    tree.entries.insert("usr/bin/alembic".to_owned(), Entry::Link { to: "stand-in".to_owned() });
    tree.entries.insert("app/uploads".to_owned(), Entry::Folder { mode: 0o755, owner: 0 });
    tree.file("etc/passwd", 0o644, "root:x:0:0::/root:/bin/sh\n");
    tree.import(docker, STAND_IN, &["ENV PATH=/usr/bin".to_owned()])
}

/// How the image of a release is built from its source.
pub fn dockerfile(release: &Release) -> String {
    let seconds = release.behaviour.build_seconds.unwrap_or(0);
    format!(
        "FROM {BASE}\nRUN [\"/usr/bin/sleep\", \"{seconds}\"]\nCOPY . /{RELEASE}\nLABEL org.opencontainers.image.version={}\n\
         ENV SHOP_HOME=/srv/shop PATH=/{RELEASE}/bin\nWORKDIR /srv/shop\nEXPOSE 8080\nCMD [\"corner-shop\", \"serve\"]\n",
        release.version
    )
}

/// Makes the image of a release under its tag. Another `generation` is another image under the same tag.
///
/// # Errors
/// The program is not built, or the engine refuses.
pub fn shop(docker: &Docker, release: &Release, generation: u32) -> Result<String> {
    let image = format!("{SHOP}:{}", release.version);
    let folder = tempfile::tempdir()?;
    archive::unpacked(release, folder.path(), Form::Program)?;
    let mut tree = Tree::default();
    tree.folder(folder.path(), RELEASE);
    tree.program(&folder.path().join("bin/corner-shop"), &format!("{RELEASE}/bin/corner-shop"))?;
    tree.entries.insert("srv/shop/data/uploads".to_owned(), Entry::Folder { mode: 0o755, owner: 0 });
    tree.file("etc/passwd", 0o644, "root:x:0:0::/root:/bin/sh\n");
    let changes = [
        format!("LABEL org.opencontainers.image.version={}", release.version),
        format!("LABEL org.opencontainers.image.revision={generation}"),
        "ENV SHOP_HOME=/srv/shop".to_owned(),
        "WORKDIR /srv/shop".to_owned(),
        format!("ENV PATH=/{RELEASE}/bin"),
        "CMD [\"corner-shop\", \"serve\"]".to_owned(),
        "EXPOSE 8080".to_owned(),
    ];
    tree.import(docker, &image, &changes)?;
    Ok(image)
}

/// The folder of the server's programs.
fn server() -> Result<PathBuf> {
    let postgres = cluster::program("postgres")?;
    // Distributions without a folder a version link to the real place.
    let postgres = fs::canonicalize(&postgres)?;
    Ok(postgres.parent().context("a program lies in a folder")?.to_owned())
}

fn found(name: &str) -> Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let is_program =
        |it: &PathBuf| fs::metadata(it).is_ok_and(|it| it.is_file() && it.permissions().mode() & 0o111 != 0);
    std::env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(is_program)
        .with_context(|| format!("{name} is not installed"))
}
