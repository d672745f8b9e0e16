//! What the engine asks of the world, where a test must be able to answer instead: processes, time, and
//! an ear for progress. Everything else (SQLite, files, PostgreSQL, HTTP) is real everywhere.

use std::{
    ffi::OsString,
    fmt,
    io::{Read, Write},
    path::PathBuf,
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use crate::error::Result;

/// Time, in the two kinds that must not be confused.
pub trait Clock: Send + Sync {
    /// Wall-clock time, for display and records only.
    fn now(&self) -> DateTime<Utc>;
    /// Time since boot, counting suspend; what deadlines run on.
    fn since_boot(&self) -> Duration;
    /// A name that changes at every boot of this machine.
    fn boot_id(&self) -> String;
}

/// Whether the machine is free for what may be put off.
pub trait Machine: Send + Sync {
    /// Looks now. What cannot be told is no error.
    fn look(&self, now: DateTime<Utc>) -> MachineUse;
}

/// How the machine is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MachineUse {
    /// It runs on its battery; `None` where nobody can tell.
    pub on_battery: Option<bool>,
    /// For how long nobody has used it; `None` where nobody can tell.
    pub unused_for: Option<TimeDelta>,
}

/// The screen that somebody sits at.
pub trait Desk: Send + Sync {
    /// Whether they want to be left alone now: do-not-disturb is on, or one program fills the screen. What cannot be
    /// told counts as no.
    fn wants_quiet(&self) -> bool;
}

/// What a figure of progress counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Bytes read or written.
    Bytes,
    /// Rows of a table.
    Rows,
    /// Files copied.
    Files,
}

/// Where an act tells that it moves, and learns that it has to stop.
pub trait Reporter: Send + Sync {
    /// So much is done, of so much where that is known. Telling a new figure counts as progress.
    fn moved(&self, done: u64, total: Option<u64>, unit: Unit);
    /// The next part of the act begins, which has this share of the whole, from 0 to 1.
    fn part(&self, _from: f64, _until: f64) {}
    /// A line for the log of the upgrade. Never a secret.
    fn say(&self, line: &str);
    /// To be called between pieces of work.
    ///
    /// # Errors
    /// The reason to stop at once: `cancelled`, `lease_lost`, `deadline`, `stalled`.
    fn check(&self) -> Result<()>;
}

/// A command as an argument vector; never a shell string.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Invocation {
    /// The program, absolute or looked up in `PATH`.
    pub program: PathBuf,
    /// Its arguments. Never a secret: every user of the machine can read them.
    pub args: Vec<OsString>,
    /// Variables set for it on top of a minimal environment (`PATH HOME LANG TZ …`).
    pub env: Vec<(OsString, OsString)>,
    /// Its working directory.
    pub dir: Option<PathBuf>,
    /// The user and group to run as, where Liftlock itself is root.
    pub user: Option<(u32, u32)>,
    /// Its standard output is an answer to be read, perhaps with the user's data in it, and is not told to
    /// the reporter; standard error always is.
    pub quiet: bool,
}

/// The values of variables may be secrets, so only their names are shown.
impl fmt::Debug for Invocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Invocation")
            .field("program", &self.program)
            .field("args", &self.args)
            .field("env", &self.env.iter().map(|(key, _)| key).collect::<Vec<_>>())
            .field("dir", &self.dir)
            .field("user", &self.user)
            .field("quiet", &self.quiet)
            .finish()
    }
}

impl Invocation {
    /// `program` without arguments.
    pub fn new(program: impl Into<PathBuf>) -> Self {
        Self { program: program.into(), ..Self::default() }
    }
    /// Adds one argument.
    #[must_use]
    pub fn arg(mut self, arg: impl Into<OsString>) -> Self {
        self.args.push(arg.into());
        self
    }
    /// Adds arguments.
    #[must_use]
    pub fn args<A: Into<OsString>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }
    /// Sets a variable.
    #[must_use]
    pub fn env(mut self, key: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.env.push((key.into(), value.into()));
        self
    }
    /// Sets the working directory.
    #[must_use]
    pub fn dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.dir = Some(dir.into());
        self
    }
    /// Runs as this user and group id, where Liftlock itself is root.
    #[must_use]
    pub fn user(mut self, uid: u32, gid: u32) -> Self {
        self.user = Some((uid, gid));
        self
    }
    /// Keeps standard output out of the log.
    #[must_use]
    pub fn quiet(mut self) -> Self {
        self.quiet = true;
        self
    }
}

/// How a command ended.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Finished {
    /// Its exit code; `None` where a signal ended it.
    pub code: Option<i32>,
    /// What it wrote to standard output (the last 1 MiB).
    pub stdout: String,
    /// What it wrote to standard error (the last 64 KiB).
    pub stderr: String,
}

impl Finished {
    /// Whether it ended with code 0.
    pub fn succeeded(&self) -> bool {
        self.code == Some(0)
    }
}

/// How long a command may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// It is stopped after this long, working or not.
    pub deadline: Duration,
    /// It is stopped after this long without a sign of work; `None` where it is too short to bother.
    pub stall_after: Option<Duration>,
}

/// A further sign that a command works, beside the processor time of its process tree.
pub trait SignOfWork: Send + Sync {
    /// A number that changes whenever work was done since the last look; `None` where it cannot be seen now.
    fn look(&self) -> Option<u64>;
}

/// Where a command's standard streams lead, where not to nothing and to [`Finished`].
#[derive(Default)]
pub struct Pipes<'a> {
    /// What it reads; nothing at all where `None`.
    pub stdin: Option<&'a mut (dyn Read + Send)>,
    /// Where its standard output goes byte for byte, instead of to [`Finished::stdout`] and the reporter.
    pub stdout: Option<&'a mut (dyn Write + Send)>,
}

impl fmt::Debug for Pipes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pipes").field("stdin", &self.stdin.is_some()).field("stdout", &self.stdout.is_some()).finish()
    }
}

/// Runs commands.
pub trait Runner: Send + Sync {
    /// Runs a command to its end, telling `reporter` each line that it prints, and ends its whole process
    /// tree when patience is over or the reporter says stop. Bytes through `pipes` are signs of work.
    ///
    /// # Errors
    /// `command_missing`, `stalled`, `deadline`, what the reporter answered, or that a pipe of ours broke
    /// (`disk_full`, `io`). A non-zero exit is no error.
    fn pipe(
        &self,
        invocation: &Invocation,
        pipes: Pipes<'_>,
        patience: Patience,
        signs: &[&dyn SignOfWork],
        reporter: &dyn Reporter,
    ) -> Result<Finished>;

    /// The same without pipes.
    ///
    /// # Errors
    /// As [`Runner::pipe`].
    fn run(
        &self,
        invocation: &Invocation,
        patience: Patience,
        signs: &[&dyn SignOfWork],
        reporter: &dyn Reporter,
    ) -> Result<Finished> {
        self.pipe(invocation, Pipes::default(), patience, signs, reporter)
    }
}

/// An answer of a release server, as it is remembered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// What the server calls this state of the answer; `None` where it gives it no name.
    pub etag: Option<String>,
    /// When it last changed, in the server's words, for servers that give it no name.
    pub last_modified: Option<String>,
    /// What was made of it, in the form that the asker chose.
    pub body: Vec<u8>,
    /// When the server last said that it holds.
    pub fetched_at: DateTime<Utc>,
}

/// Remembers answers of release servers by the address that was asked, so that "nothing new" costs nothing.
pub trait EtagCache: Send + Sync {
    /// The answer remembered for `url`.
    ///
    /// # Errors
    /// Whatever keeps it cannot be read.
    fn find(&self, url: &str) -> Result<Option<Answer>>;
    /// Remembers `answer` for `url`, in place of an earlier one.
    ///
    /// # Errors
    /// Whatever keeps it cannot be written.
    fn keep(&self, url: &str, answer: &Answer) -> Result<()>;
    /// Remembers that the answer for `url` still held at `at`.
    ///
    /// # Errors
    /// Whatever keeps it cannot be written.
    fn still_holds(&self, url: &str, at: DateTime<Utc>) -> Result<()> {
        match self.find(url)? {
            Some(answer) => self.keep(url, &Answer { fetched_at: at, ..answer }),
            None => Ok(()),
        }
    }
}
