//! A private PostgreSQL server in the demo's folder, on a port of 127.0.0.1 only.
//!
//! PostgreSQL refuses to run as root: then it runs as the user `postgres`, who owns the data and can
//! walk through the folders above it.

use std::{
    fs,
    os::unix::{
        fs::{MetadataExt, PermissionsExt, chown},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use tokio_postgres::{Client, Config, NoTls};

use crate::detached::{self, Identity};
use crate::place::{Facts, Place};

/// Who runs the server: user and group, where it is not us.
type Account = Option<(u32, u32)>;

/// Makes a cluster: superuser `postgres`, data checksums, passwords on every way in.
///
/// # Errors
/// PostgreSQL is not installed, or does not want to.
pub fn create(place: &Place, admin_password: &str) -> Result<()> {
    let account = account()?;
    let home = place.postgres();
    fs::create_dir_all(&home)?;
    fs::set_permissions(&home, fs::Permissions::from_mode(0o700))?;
    give(&home, account)?;
    if account.is_some() {
        make_traversable(&place.root)?;
    }
    let password_file = home.join("password");
    fs::write(&password_file, admin_password)?;
    fs::set_permissions(&password_file, fs::Permissions::from_mode(0o600))?;
    give(&password_file, account)?;
    let mut command = command(place, "initdb", account)?;
    command
        .args(["--username=postgres", "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8"])
        .args(["--data-checksums", "--no-sync", "--no-instructions"])
        .arg(format!("--pwfile={}", password_file.display()))
        .arg("-D")
        .arg(home.join("data"));
    let made = run(command, "initdb");
    fs::remove_file(&password_file)?;
    made?;
    let file = home.join("data/postgresql.conf");
    let mut text = fs::read_to_string(&file)?;
    text.push_str(
        "\n# The demo's own\nlisten_addresses = '127.0.0.1'\nunix_socket_directories = ''\nmax_connections = 80\n\
         shared_buffers = '64MB'\nmax_prepared_transactions = 4\nwal_level = logical\n\
         log_line_prefix = '%m [%p] %a '\nlogging_collector = off\nlog_min_messages = warning\n",
    );
    fs::write(&file, text)?;
    Ok(())
}

/// Starts the server and waits until it answers. Does nothing where it runs.
///
/// # Errors
/// It does not start; the message ends with what it logged.
pub fn start(place: &Place, port: u16) -> Result<()> {
    if is_running(place) {
        return Ok(());
    }
    let account = account()?;
    let log = place.postgres().join("log");
    // A killed server that nobody has waited for yet still has its pid, and a new one would take it for alive.
    let pid_file = place.postgres().join("data/postmaster.pid");
    if pid_in(&pid_file).is_some_and(detached::is_zombie) {
        fs::remove_file(&pid_file)?;
    }
    let mut command = command(place, "pg_ctl", account)?;
    command.args(["start", "--wait", "--timeout=60", "--silent", "-o", &format!("-p {port}"), "-l"]).arg(&log);
    command.arg("-D").arg(place.postgres().join("data"));
    run(command, "pg_ctl start").with_context(|| {
        let text = fs::read_to_string(&log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        format!("PostgreSQL does not start: {}", lines[lines.len().saturating_sub(5)..].join(" | "))
    })
}

/// Stops the server. Does nothing where none runs.
///
/// # Errors
/// It does not stop.
pub fn stop(place: &Place) -> Result<()> {
    let Some(postmaster) = postmaster(place) else { return Ok(()) };
    // Fast shutdown: sessions are ended, nothing is lost.
    postmaster.signal(rustix::process::Signal::INT);
    if !postmaster.is_gone_within(Duration::from_secs(20)) {
        postmaster.signal(rustix::process::Signal::QUIT);
        ensure!(postmaster.is_gone_within(Duration::from_secs(10)), "PostgreSQL does not stop");
    }
    Ok(())
}

/// Whether the server runs.
pub fn is_running(place: &Place) -> bool {
    postmaster(place).is_some()
}

/// A connection as superuser.
///
/// # Errors
/// The server does not answer, or has no such database.
pub async fn admin(facts: &Facts, database: &str) -> Result<Client> {
    let mut config = match &facts.project {
        None => facts.admin_url().parse()?,
        Some(project) => {
            let mut config = Config::new();
            config.host(project.database_address()?).user("corner_shop").password(&facts.shop_password);
            config
        }
    };
    config.dbname(database).application_name("liftlock-demo").connect_timeout(Duration::from_secs(10));
    connect(&config).await
}

/// A connection, driven in the background.
///
/// # Errors
/// The server does not answer.
pub async fn connect(config: &Config) -> Result<Client> {
    let (client, connection) = config.connect(NoTls).await.map_err(|error| match error.as_db_error() {
        Some(said) => anyhow::anyhow!("PostgreSQL: {}", said.message()),
        None => anyhow::Error::from(error).context("PostgreSQL does not answer"),
    })?;
    tokio::spawn(connection);
    Ok(client)
}

/// The role and the database of the shop, with everything that a copy by template loses: privileges,
/// settings, a comment, a limit.
///
/// # Errors
/// The server refuses.
pub async fn furnish(facts: &Facts) -> Result<()> {
    let client = admin(facts, "postgres").await?;
    if facts.project.is_none() {
        // The server in a container has made both by itself.
        client
            .batch_execute(&format!(
                "CREATE ROLE corner_shop LOGIN CREATEDB NOSUPERUSER PASSWORD '{}'",
                facts.shop_password
            ))
            .await?;
        client.batch_execute("CREATE DATABASE corner_shop OWNER corner_shop").await?;
    }
    for statement in [
        "CREATE ROLE corner_shop_reader NOLOGIN",
        "ALTER DATABASE corner_shop CONNECTION LIMIT 50",
        "REVOKE ALL ON DATABASE corner_shop FROM PUBLIC",
        "GRANT CONNECT ON DATABASE corner_shop TO corner_shop_reader",
        "COMMENT ON DATABASE corner_shop IS 'Everything the shop knows'",
        "ALTER DATABASE corner_shop SET timezone = 'UTC'",
        "ALTER ROLE corner_shop IN DATABASE corner_shop SET lock_timeout = '2min'",
    ] {
        client.batch_execute(statement).await?;
    }
    Ok(())
}

/// A server program: from the newest installed PostgreSQL, else from `PATH`.
pub(crate) fn program(name: &str) -> Result<PathBuf> {
    let mut versions: Vec<(u32, PathBuf)> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin"))))
        .filter(|(_, folder)| folder.join(name).is_file())
        .collect();
    versions.sort();
    if let Some((_, folder)) = versions.pop() {
        return Ok(folder.join(name));
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|it| it.is_file()).with_context(|| {
        format!("{name} of PostgreSQL is not installed: install the package `postgresql` of your system")
    })
}

fn command(place: &Place, name: &str, account: Account) -> Result<Command> {
    let mut command = Command::new(program(name)?);
    // The caller's folder may be closed to the server's user.
    command.current_dir(&place.root).stdin(Stdio::null());
    for (variable, _) in std::env::vars_os() {
        if variable.to_string_lossy().starts_with("PG") {
            command.env_remove(variable);
        }
    }
    if let Some((user, group)) = account {
        command.uid(user).gid(group);
    }
    Ok(command)
}

/// Runs a tool with its output in a file: a pipe would be held open by the server it starts.
fn run(mut command: Command, name: &str) -> Result<()> {
    let mut output = tempfile::tempfile()?;
    let status = command.stdout(output.try_clone()?).stderr(output.try_clone()?).status().context(name.to_owned())?;
    if !status.success() {
        let mut text = String::new();
        std::io::Seek::rewind(&mut output)?;
        std::io::Read::read_to_string(&mut output, &mut text)?;
        bail!("{name} failed: {}", text.trim());
    }
    Ok(())
}

fn postmaster(place: &Place) -> Option<Identity> {
    let process = Identity::of(pid_in(&place.postgres().join("data/postmaster.pid"))?)?;
    // A file left by a crash may name somebody else's process.
    detached::all_below(&place.root).contains(&process).then_some(process)
}

fn pid_in(pid_file: &Path) -> Option<u32> {
    fs::read_to_string(pid_file).ok()?.lines().next()?.trim().parse().ok()
}

fn account() -> Result<Account> {
    if !rustix::process::geteuid().is_root() {
        return Ok(None);
    }
    let users = fs::read_to_string("/etc/passwd")?;
    let entry = users.lines().find_map(|line| line.strip_prefix("postgres:"));
    let entry = entry.context("root cannot run PostgreSQL and there is no user `postgres`: install `postgresql`")?;
    let ids: Vec<u32> = entry.split(':').skip(1).take(2).filter_map(|id| id.parse().ok()).collect();
    match ids[..] {
        [user, group] => Ok(Some((user, group))),
        _ => bail!("the entry of `postgres` in /etc/passwd cannot be understood"),
    }
}

fn give(path: &Path, account: Account) -> Result<()> {
    if let Some((user, group)) = account {
        chown(path, Some(user), Some(group)).with_context(|| path.display().to_string())?;
    }
    Ok(())
}

/// Lets the server's user walk through to its data. Only the demo's own folder and temporary ones are
/// changed; anybody else's is refused.
fn make_traversable(root: &Path) -> Result<()> {
    let temporary = std::env::temp_dir();
    for folder in root.ancestors() {
        let meta = fs::metadata(folder)?;
        if meta.mode() & 0o001 == 0 {
            let is_ours = folder == root || (folder.starts_with(&temporary) && folder != temporary);
            ensure!(
                is_ours,
                "the user `postgres` cannot walk through {}: choose a folder elsewhere, or allow it (chmod o+x)",
                folder.display()
            );
            fs::set_permissions(folder, fs::Permissions::from_mode(meta.mode() | 0o011))?;
        }
    }
    Ok(())
}
