//! `work`: this process becomes the worker of one upgrade. Started by the engine, with both outputs in the
//! upgrade's log.

use std::io::{self, Write};

use liftlock_engine::model::ids::{InstallationName, UpgradeId};
use liftlock_engine::process::become_session_leader;
use liftlock_engine::secrets::masked;
use liftlock_engine::{Engine, Result};
#[cfg(unix)]
use liftlock_engine::{Error, stores::files::far};
use tracing::{error, info, warn};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt;
use tracing_subscriber::prelude::*;

/// Works until the upgrade has ended; what keeps it from working is written to the log and to the exit code.
pub(crate) fn work(engine: &Engine, id: UpgradeId) -> Result<u8> {
    settle_in();
    let _deaf = deaf_to_hangup();
    info!(upgrade = %id, pid = std::process::id(), version = env!("CARGO_PKG_VERSION"), "a worker begins");
    match engine.work(id) {
        Ok(state) => {
            info!(upgrade = %id, %state, "the worker has ended");
            Ok(0)
        }
        Err(error) => {
            error!(upgrade = %id, class = %error.class, remedy = %error.remedy, details = ?error.details, "{}", error.message);
            Ok(error.exit_code())
        }
    }
}

/// The same for what was asked for about leaving an old version.
pub(crate) fn work_on_leaving(engine: &Engine, name: &InstallationName) -> Result<u8> {
    settle_in();
    let _deaf = deaf_to_hangup();
    info!(installation = %name, pid = std::process::id(), version = env!("CARGO_PKG_VERSION"), "a worker begins");
    engine.work_on_leaving(name)?;
    Ok(0)
}

/// In a container of ours: what is asked for comes and goes by pipes. What it says on standard error is for whoever asked.
pub(crate) fn errand_with_files() -> Result<u8> {
    #[cfg(unix)]
    {
        use std::os::fd::AsFd;
        let pipe = |it: io::Result<std::os::fd::OwnedFd>| {
            it.map(std::fs::File::from).map_err(|cause| Error::io("open", std::path::Path::new("a pipe"), &cause))
        };
        let input = pipe(io::stdin().as_fd().try_clone_to_owned())?;
        far::run_errand(input, pipe(io::stdout().as_fd().try_clone_to_owned())?)?;
    }
    Ok(0)
}

/// A log, and a session of its own.
fn settle_in() {
    let wanted = std::env::var("LIFTLOCK_LOG").ok().and_then(|it| it.parse::<Targets>().ok());
    let wanted = wanted.unwrap_or_else(|| Targets::new().with_default(LevelFilter::INFO));
    let log = fmt::layer().with_ansi(false).with_writer(|| Masked).with_filter(wanted);
    // A second subscriber cannot be there: this is the first thing that the process does.
    let _ = tracing_subscriber::registry().with(log).try_init();
    // Where the process leads a group already it cannot lead a session too; the deaf ear is enough then.
    if let Err(error) = become_session_leader() {
        warn!(class = %error.class, "{}", error.message);
    }
}

/// The log of a worker: what goes there holds no secret, whoever said it.
#[derive(Debug)]
struct Masked;

impl Write for Masked {
    /// An event is formatted first and written at once, so none is cut in two here.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(bytes);
        io::stderr().lock().write_all(masked(&text).as_bytes())?;
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

/// From here on a terminal that goes away, or a user who logs out, does not end this process. The answer is to
/// be kept for as long as it works.
#[cfg(unix)]
fn deaf_to_hangup() -> Option<(tokio::runtime::Runtime, tokio::signal::unix::Signal)> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
    let signal = {
        let _inside = runtime.enter();
        tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup()).ok()?
    };
    Some((runtime, signal))
}

/// There is no such signal here.
#[cfg(not(unix))]
fn deaf_to_hangup() -> Option<()> {
    None
}
