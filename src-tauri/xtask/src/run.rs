//! How a task runs a command: as an argument vector, shown before it runs, its exit code never ignored.

use std::{
    env,
    ffi::OsStr,
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
};

use anyhow::{Context, Result, bail, ensure};

/// The root of the workspace: two folders above this crate.
pub(crate) fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).map(Path::to_path_buf).unwrap_or_default()
}

/// Where Cargo puts what it builds.
pub(crate) fn target_dir() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace().join("target"), PathBuf::from)
}

/// What outlives a clone (tools, sources of the standard library), so that a machine makes it only once:
/// `liftlock` in the user's cache folder, or in `target` where that cannot be written.
pub(crate) fn cache_dir() -> Result<PathBuf> {
    let home =
        env::var_os("HOME").or_else(|| env::var_os("USERPROFILE")).map(|home| PathBuf::from(home).join(".cache"));
    let of_the_user = env::var_os("XDG_CACHE_HOME").map(PathBuf::from).filter(|dir| dir.is_absolute()).or(home);
    let wishes = of_the_user.map(|dir| dir.join("liftlock")).into_iter().chain([target_dir().join("tools")]);
    for dir in wishes {
        if std::fs::create_dir_all(&dir).is_ok() && tempfile::tempfile_in(&dir).is_ok() {
            return Ok(dir);
        }
    }
    bail!("neither the cache folder of this user nor {} can be written", target_dir().display())
}

/// The Cargo that runs this task.
pub(crate) fn cargo() -> Command {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(workspace());
    // Set by `cargo run` for this process; a Cargo below it must work them out anew.
    for key in ["CARGO_MANIFEST_DIR", "CARGO_MANIFEST_PATH", "CARGO_PKG_NAME", "CARGO_PKG_VERSION"] {
        cargo.env_remove(key);
    }
    cargo
}

/// The arguments that name these packages to Cargo.
pub(crate) fn packages(names: &[&'static str]) -> Vec<&'static str> {
    names.iter().flat_map(|name| ["--package", name]).collect()
}

/// Builds the programs of these packages, to be used from here. The dev profile builds in a third of the time;
/// compression and SQLite are optimised there too.
pub(crate) fn build(names: &[&'static str]) -> Result<String> {
    run(cargo().arg("build").args(packages(names)).arg("--bins"))?;
    Ok(String::new())
}

/// Whether there is a screen to open a window on.
pub(crate) fn has_display() -> bool {
    cfg!(not(target_os = "linux"))
        || ["DISPLAY", "WAYLAND_DISPLAY"].iter().any(|it| env::var_os(it).is_some_and(|it| !it.is_empty()))
}

/// Whether a program of this name is in `PATH`.
pub(crate) fn has(program: &str) -> bool {
    let name = format!("{program}{}", env::consts::EXE_SUFFIX);
    env::var_os("PATH").is_some_and(|path| env::split_paths(&path).any(|dir| dir.join(&name).is_file()))
}

/// Runs a command to its end, its output shown.
///
/// # Errors
/// It could not be started, or its exit code is not 0.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let said = show(command);
    let status = command.status().with_context(|| format!("could not start {said}"))?;
    ensure!(status.success(), "{said} ended with {status}");
    Ok(())
}

/// Runs a command and answers what it wrote to its standard output.
///
/// # Errors
/// As [`run`], with the last lines of its standard error.
pub(crate) fn read(command: &mut Command) -> Result<String> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("could not start {}", command.get_program().display()))?;
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr);
        let tail: Vec<&str> = stderr.lines().rev().take(12).collect();
        let tail: Vec<&str> = tail.into_iter().rev().collect();
        bail!("{} ended with {}\n{}", command.get_program().display(), output.status, tail.join("\n"));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Runs a command to its end, its output shown, and answers the lines of it that `wanted` picks.
///
/// # Errors
/// As [`run`].
pub(crate) fn run_and_pick(command: &mut Command, wanted: fn(&str) -> bool) -> Result<Vec<String>> {
    let said = show(command);
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("could not start {said}"))?;
    let streams: [Option<Box<dyn Read + Send>>; 2] = [
        child.stdout.take().map(|it| Box::new(it) as Box<dyn Read + Send>),
        child.stderr.take().map(|it| Box::new(it) as Box<dyn Read + Send>),
    ];
    let picked = thread::scope(|scope| {
        let readers: Vec<_> = streams
            .into_iter()
            .flatten()
            .map(|stream| {
                scope.spawn(move || {
                    let mut picked = Vec::new();
                    let mut reader = BufReader::new(stream);
                    let mut line = Vec::new();
                    while reader.read_until(b'\n', &mut line).is_ok_and(|length| length > 0) {
                        let text = String::from_utf8_lossy(&line);
                        eprint!("{text}");
                        if wanted(text.trim()) {
                            picked.push(text.trim().to_owned());
                        }
                        line.clear();
                    }
                    picked
                })
            })
            .collect();
        readers.into_iter().flat_map(|it| it.join().unwrap_or_default()).collect::<Vec<_>>()
    });
    let status = child.wait().with_context(|| format!("could not wait for {said}"))?;
    ensure!(
        status.success(),
        "{said} ended with {status}{}",
        picked.last().map(|it| format!(": {it}")).unwrap_or_default()
    );
    Ok(picked)
}

/// Prints a command as it would be typed, and answers its first words for messages.
fn show(command: &Command) -> String {
    let name = Path::new(command.get_program()).file_name().map(OsStr::to_string_lossy).unwrap_or_default();
    let args: Vec<_> = command.get_args().map(OsStr::to_string_lossy).collect();
    eprintln!("$ {name} {}", args.join(" "));
    let first = args.first().map(|it| format!(" {it}")).unwrap_or_default();
    format!("{name}{first}")
}
