//! From an [`Invocation`] to a command of the standard library: the program found, the environment minimal.

use std::{
    env,
    ffi::OsString,
    io,
    path::{Path, PathBuf},
    process::Command,
};

use crate::error::{Error, Result};
use crate::ports::Invocation;

/// What a child may see of our own environment. Nothing of it changes what a database tool connects to, which
/// is why `PG…` is absent.
const PASSED_ON: &[&str] = &[
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "LANG",
    "LANGUAGE",
    "LC_ALL",
    "LC_CTYPE",
    "TZ",
    "TMPDIR",
    "TERM",
    // Where the user's own services are asked, and how the network is reached.
    "XDG_RUNTIME_DIR",
    "DBUS_SESSION_BUS_ADDRESS",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "ALL_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "all_proxy",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    // Which Docker is asked, by us and by the worker that we start.
    "DOCKER_HOST",
    "DOCKER_CONTEXT",
    "DOCKER_CONFIG",
    "DOCKER_TLS",
    "DOCKER_TLS_VERIFY",
    "DOCKER_CERT_PATH",
    "DOCKER_API_VERSION",
    "BUILDKIT_HOST",
    "SSH_AUTH_SOCK",
    // Without these nothing runs on Windows.
    "SYSTEMROOT",
    "SYSTEMDRIVE",
    "WINDIR",
    "COMSPEC",
    "PATHEXT",
    "TEMP",
    "TMP",
    "USERPROFILE",
    "APPDATA",
    "LOCALAPPDATA",
    "PROGRAMDATA",
    "PROGRAMFILES",
    "PROGRAMFILES(X86)",
    "NUMBER_OF_PROCESSORS",
];
/// Where programs are looked for when our own `PATH` is missing.
#[cfg(unix)]
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
#[cfg(not(unix))]
const DEFAULT_PATH: &str = "";

/// The command of an invocation: its program by full path, a minimal environment and the variables given.
/// `through` is a program that is given this one to become it. Standard streams and process groups are left to
/// the caller.
pub(super) fn command(invocation: &Invocation, through: Option<&Path>) -> Result<Command> {
    if let Some(dir) = invocation.dir.as_ref().filter(|dir| !dir.is_dir()) {
        return Err(Error::failed(
            "folder_missing",
            format!("{} cannot run: the folder {} does not exist.", name(invocation), dir.display()),
        )
        .remedy("Check that the folder is there and that its disk is connected."));
    }
    keep_descriptors();
    let program = locate(invocation)?;
    let mut command = match through {
        None => Command::new(program),
        Some(_) if !program.exists() => return Err(missing(invocation)),
        Some(_) if !is_executable(&program) => return Err(not_executable(invocation)),
        Some(through) => {
            let mut command = Command::new(through);
            command.arg(program);
            command
        }
    };
    command.args(&invocation.args).env_clear();
    for key in PASSED_ON {
        if let Some(value) = env::var_os(key) {
            command.env(key, value);
        }
    }
    if env::var_os("PATH").is_none() && !DEFAULT_PATH.is_empty() {
        command.env("PATH", DEFAULT_PATH);
    }
    for (key, value) in &invocation.env {
        command.env(key, value);
    }
    if let Some(dir) = &invocation.dir {
        command.current_dir(dir);
    }
    #[cfg(unix)]
    if let Some((uid, gid)) = invocation.user {
        use std::os::unix::process::CommandExt;
        command.uid(uid).gid(gid);
    }
    Ok(command)
}

/// Our own descriptors close by themselves in a child; those that were open when we began, left by whoever
/// started us, would not, and an application would keep them open for months.
fn keep_descriptors() {
    #[cfg(unix)]
    {
        static ONCE: std::sync::Once = std::sync::Once::new();
        ONCE.call_once(|| close_fds::set_fds_cloexec(3, &[]));
    }
}

/// Why a command could not be begun.
pub(super) fn not_begun(invocation: &Invocation, cause: &io::Error) -> Error {
    match cause.kind() {
        io::ErrorKind::NotFound => missing(invocation),
        io::ErrorKind::PermissionDenied => not_executable(invocation),
        _ => Error::failed("command_not_begun", format!("{} could not be started.", name(invocation)))
            .remedy("Check that the computer has memory and processes to spare, then try again."),
    }
    .because(cause)
}

/// The name by which a command is spoken of.
pub(super) fn name(invocation: &Invocation) -> String {
    invocation.program.file_name().map_or_else(|| "the command".to_owned(), |it| it.to_string_lossy().into_owned())
}

fn missing(invocation: &Invocation) -> Error {
    Error::failed("command_missing", format!("The program {} was not found.", invocation.program.display()))
        .remedy("Install it, or correct its path in the settings of the application.")
}

fn not_executable(invocation: &Invocation) -> Error {
    Error::failed("command_not_executable", format!("{} is not allowed to run.", invocation.program.display()))
        .remedy("Give this user the right to execute the file, and check that its disk is not mounted “noexec”.")
}

/// A relative path with a folder in it belongs to the working directory; a bare name is looked for in `PATH`.
fn locate(invocation: &Invocation) -> Result<PathBuf> {
    let program = &invocation.program;
    if program.is_absolute() {
        return Ok(program.clone());
    }
    if program.components().count() > 1 {
        let base = match &invocation.dir {
            Some(dir) => dir.clone(),
            None => env::current_dir().map_err(|cause| Error::io("find", Path::new("."), &cause))?,
        };
        return Ok(base.join(program));
    }
    let own_path = invocation.env.iter().rev().find(|(key, _)| key == "PATH").map(|(_, value)| value.clone());
    find_in(program, own_path.or_else(|| env::var_os("PATH"))).ok_or_else(|| missing(invocation))
}

/// The full path of a program in `PATH`, if it is there.
pub fn find_program(name: impl AsRef<Path>) -> Option<PathBuf> {
    find_in(name.as_ref(), env::var_os("PATH"))
}

fn find_in(name: &Path, path: Option<OsString>) -> Option<PathBuf> {
    let path = path.unwrap_or_else(|| DEFAULT_PATH.into());
    let with_suffix = name.with_added_extension(env::consts::EXE_EXTENSION);
    let candidates = env::split_paths(&path).flat_map(|dir| [dir.join(name), dir.join(&with_suffix)]);
    candidates.into_iter().find(|file| is_executable(file))
}

#[cfg(unix)]
fn is_executable(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    file.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

#[cfg(not(unix))]
fn is_executable(file: &Path) -> bool {
    file.is_file()
}
