//! The server itself: its folder, its settings, its beginning and what is left of it.

use std::{fs, net::TcpListener, path::Path, sync::Arc, time::Duration};

use uuid::Uuid;

use super::{Options, Record, SUPERUSER, Scratch};
use crate::durable;
use crate::error::{Error, Result};
use crate::ports::{Finished, Invocation, Patience};
use crate::process::{Identity, Silent};
use crate::secrets::Secret;
use crate::stores::postgres::answer;
use crate::stores::postgres::client::{Client, Server, SslMode};
use crate::stores::postgres::tools::Tools;

/// Makes the cluster in `dir` and starts its server.
pub(super) fn begin(tools: &Tools, dir: &Path, options: &Options) -> Result<Scratch> {
    let data = dir.join("data");
    let password = Secret::new(random());
    open_for(dir, options.run_as)?;
    let secret = dir.join("password");
    durable::write(&secret, password.expose().as_bytes())?;
    give(&secret, options.run_as)?;
    make_dir_for(&data, options.run_as)?;
    let init = pg(tools, "initdb", options)
        .arg("--pgdata")
        .arg(&data)
        .args(["--username", SUPERUSER, "--auth=scram-sha-256", "--encoding=UTF8", "--no-locale", "--no-sync"])
        .arg("--pwfile")
        .arg(&secret);
    expect_ok(options.runner.run(&init, short(), &[], &Silent)?, "make a temporary database server")?;
    fs::remove_file(&secret).map_err(|cause| Error::io("remove", &secret, &cause))?;

    let mut port = 0;
    for attempt in 0.. {
        port = free_port()?;
        write_settings(&data, port, tools.major)?;
        let start = pg(tools, "pg_ctl", options)
            .args(["start", "-w", "-s", "-t", "60", "-D"])
            .arg(&data)
            .arg("-l")
            .arg(data.join("log"));
        match expect_ok(options.runner.run(&start, short(), &[], &Silent)?, "start a temporary database server") {
            Ok(()) => break,
            // Somebody took the port meanwhile.
            Err(_) if attempt < 3 && log_of(&data).contains("could not bind") => {}
            Err(error) => {
                return Err(log_of(&data).lines().rev().take(5).map(str::to_owned).fold(error, Error::detail));
            }
        }
    }
    if let Some(server) = pid_of(&data).and_then(Identity::of) {
        let record = serde_json::to_vec(&Record { server })
            .map_err(|cause| Error::bug("bad_record", "The scratch server could not be noted.").because(&cause))?;
        durable::write(&dir.join("server.json"), &record)?;
    }
    let mut server = Server::new("127.0.0.1", port, SUPERUSER).password(password);
    server.ssl_mode = SslMode::Disable;
    let runner = Arc::clone(&options.runner);
    let client = Client::with_tools(server, tools.clone(), &options.label, &dir.join("private"), runner)?;
    Ok(Scratch {
        dir: dir.to_owned(),
        options: options.clone(),
        tools: tools.clone(),
        client,
        container: None,
        has_stopped: false,
    })
}

/// Quick rather than durable, small, and closed to everybody else.
fn write_settings(data: &Path, port: u16, major: u32) -> Result<()> {
    let mut settings = format!(
        "listen_addresses = '127.0.0.1'\nport = {port}\nunix_socket_directories = ''\nfsync = off\n\
         synchronous_commit = off\nfull_page_writes = off\nwal_level = minimal\nmax_wal_senders = 0\n\
         max_wal_size = '4GB'\ncheckpoint_timeout = '1h'\nmaintenance_work_mem = '256MB'\nshared_buffers = '128MB'\n\
         max_connections = 60\nmax_locks_per_transaction = 1024\nautovacuum = off\nlc_messages = 'C'\n\
         password_encryption = 'scram-sha-256'\nlog_min_error_statement = panic\n"
    );
    if major >= 14 {
        // A client that was killed takes its statement with it.
        settings.push_str("client_connection_check_interval = '5s'\n");
    }
    let conf = data.join("postgresql.conf");
    fs::write(&conf, settings).map_err(|cause| Error::io("write", &conf, &cause))?;
    let hba = data.join("pg_hba.conf");
    fs::write(&hba, "host all all 127.0.0.1/32 scram-sha-256\n").map_err(|cause| Error::io("write", &hba, &cause))
}

/// The server of a folder that was left behind, if it still runs.
pub(super) fn left_over(dir: &Path) -> Option<Identity> {
    let recorded = fs::read(dir.join("server.json")).ok().and_then(|it| serde_json::from_slice::<Record>(&it).ok());
    if let Some(record) = recorded {
        return Some(record.server).filter(Identity::is_alive);
    }
    // Killed before it was noted: the server's own note may name a pid that is another's by now, but a server
    // works in the folder of its data.
    let data = dir.join("data");
    let pid = pid_of(&data)?;
    let works_in = fs::read_link(Path::new("/proc").join(pid.to_string()).join("cwd")).ok()?;
    (works_in == fs::canonicalize(&data).ok()?).then(|| Identity::of(pid))?
}

fn pid_of(data: &Path) -> Option<u32> {
    fs::read_to_string(data.join("postmaster.pid")).ok()?.lines().next()?.trim().parse().ok()
}

fn log_of(data: &Path) -> String {
    fs::read(data.join("log")).map(|it| String::from_utf8_lossy(&it).into_owned()).unwrap_or_default()
}

/// One of the server's programs, as the user that the server runs as.
pub(super) fn pg(tools: &Tools, tool: &str, options: &Options) -> Invocation {
    let mut invocation = Invocation::new(tools.path(tool)).env("LC_ALL", "C").dir("/").quiet();
    if cfg!(windows) {
        invocation.dir = None;
    }
    invocation.user = options.run_as;
    invocation
}

pub(super) fn short() -> Patience {
    Patience { deadline: Duration::from_secs(180), stall_after: None }
}

fn expect_ok(finished: Finished, doing: &str) -> Result<()> {
    if finished.succeeded() { Ok(()) } else { Err(answer::from_words(doing, &finished.stderr)) }
}

fn free_port() -> Result<u16> {
    let taken = TcpListener::bind(("127.0.0.1", 0)).and_then(|it| it.local_addr());
    taken.map(|it| it.port()).map_err(|cause| {
        Error::failed("no_port", "No free port was found on this machine.")
            .remedy("Close programs that use the network, then try again.")
            .because(&cause)
    })
}

/// 122 bits of it are random.
pub(super) fn random() -> String {
    Uuid::new_v4().simple().to_string()
}

#[cfg(unix)]
fn make_dir_for(dir: &Path, run_as: Option<(u32, u32)>) -> Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new().mode(0o700).create(dir).map_err(|cause| Error::io("create", dir, &cause))?;
    give(dir, run_as)
}

#[cfg(unix)]
fn give(path: &Path, run_as: Option<(u32, u32)>) -> Result<()> {
    match run_as {
        Some((uid, gid)) => std::os::unix::fs::chown(path, Some(uid), Some(gid)),
        None => Ok(()),
    }
    .map_err(|cause| Error::io("hand over", path, &cause))
}

/// The server's user has to pass through the folder, and through all above it.
#[cfg(unix)]
fn open_for(dir: &Path, run_as: Option<(u32, u32)>) -> Result<()> {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    let Some((uid, gid)) = run_as else { return Ok(()) };
    fs::set_permissions(dir, fs::Permissions::from_mode(0o711)).map_err(|cause| Error::io("open", dir, &cause))?;
    let whole = fs::canonicalize(dir).map_err(|cause| Error::io("look at", dir, &cause))?;
    for above in whole.ancestors() {
        let meta = fs::metadata(above).map_err(|cause| Error::io("look at", above, &cause))?;
        let may_pass = match (meta.uid() == uid, meta.gid() == gid) {
            (true, _) => meta.mode() & 0o100,
            (_, true) => meta.mode() & 0o010,
            _ => meta.mode() & 0o001,
        };
        if may_pass == 0 {
            return Err(Error::refused(
                "scratch_folder_closed",
                format!("The user that temporary database servers run as cannot reach {}.", above.display()),
            )
            .remedy("Choose a scratch folder that other users may pass through, for example below /var/tmp."));
        }
    }
    Ok(())
}

#[cfg(not(unix))]
fn make_dir_for(dir: &Path, _run_as: Option<(u32, u32)>) -> Result<()> {
    fs::create_dir(dir).map_err(|cause| Error::io("create", dir, &cause))
}

#[cfg(not(unix))]
fn give(_path: &Path, _run_as: Option<(u32, u32)>) -> Result<()> {
    Ok(())
}

#[cfg(not(unix))]
fn open_for(_dir: &Path, _run_as: Option<(u32, u32)>) -> Result<()> {
    Ok(())
}
