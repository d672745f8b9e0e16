//! What can go wrong, as data: an error crosses from the worker to its watchers through the database,
//! so it is a value with a class, a message and a remedy, and not a type to be matched on.
//!
//! Callers match on [`Error::class`] or [`Kind`], never on text. Every message says what happened and
//! every remedy what to do next; causes go to `details`, which the faces fold away.

use std::{borrow::Cow, error::Error as StdError, fmt, io, path::Path};

use serde::{Deserialize, Serialize};

/// What the engine's verbs answer with.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// How an error bears on the world: what was touched, and which exit code tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// It was tried and did not work (exit code 1).
    Failed,
    /// The question itself was wrong (exit code 2).
    Usage,
    /// It was not begun; nothing was touched (exit code 3).
    Refused,
    /// It was undone; the old version runs with the old data (exit code 4).
    RolledBack,
    /// A person is needed, with the steps in the remedy (exit code 5).
    NeedsAttention,
    /// Another process holds the lease (exit code 6).
    Busy,
    /// This process has lost its lease and must stop without writing anything more (exit code 6).
    LeaseLost,
    /// A promise inside Liftlock was broken (exit code 1).
    Bug,
}

impl Kind {
    /// The exit code of the command line for an error of this kind.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Failed | Self::Bug => 1,
            Self::Usage => 2,
            Self::Refused => 3,
            Self::RolledBack => 4,
            Self::NeedsAttention => 5,
            Self::Busy | Self::LeaseLost => 6,
        }
    }
}

/// An error with its class, message, remedy and chain of causes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Error {
    /// What it means for the world.
    pub kind: Kind,
    /// A stable name in `snake_case`, for programs: `disk_full`, `asset_digest`, `migration_stalled`.
    pub class: Cow<'static, str>,
    /// What happened, in one sentence without jargon.
    pub message: String,
    /// What to do next, in one or two sentences.
    pub remedy: String,
    /// Causes, outermost first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub details: Vec<String>,
}

impl Error {
    /// An error of `kind`; give it a remedy with [`Error::remedy`].
    pub fn new(kind: Kind, class: &'static str, message: impl Into<String>) -> Self {
        Self { kind, class: Cow::Borrowed(class), message: message.into(), remedy: String::new(), details: Vec::new() }
    }
    /// It was tried and did not work.
    pub fn failed(class: &'static str, message: impl Into<String>) -> Self {
        Self::new(Kind::Failed, class, message)
    }
    /// It was not begun; nothing was touched.
    pub fn refused(class: &'static str, message: impl Into<String>) -> Self {
        Self::new(Kind::Refused, class, message)
    }
    /// The question was wrong.
    pub fn usage(class: &'static str, message: impl Into<String>) -> Self {
        Self::new(Kind::Usage, class, message)
    }
    /// A promise inside Liftlock was broken; the remedy asks for a report.
    pub fn bug(class: &'static str, message: impl Into<String>) -> Self {
        Self::new(Kind::Bug, class, message)
            .remedy("This is a fault in Liftlock itself. Nothing was lost. Report it with the log of this upgrade.")
    }
    /// A file could not be read or written at `path`; a full disk gets its own class.
    pub fn io(doing: &str, path: &Path, cause: &io::Error) -> Self {
        let path = path.display();
        let error = match cause.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                Self::failed("disk_full", format!("The disk is full: could not {doing} {path}."))
                    .remedy("Free some space on this disk, then try again.")
            }
            io::ErrorKind::PermissionDenied => {
                Self::failed("permission_denied", format!("No permission to {doing} {path}.")).remedy(
                    "Run Liftlock as the user that owns this folder, or give this user the right to write there.",
                )
            }
            io::ErrorKind::NotFound => {
                Self::failed("not_found", format!("Could not {doing} {path}: it does not exist."))
                    .remedy("Check that the path is right and that its disk is connected.")
            }
            _ => Self::failed("io", format!("Could not {doing} {path}.")).remedy("Check the disk, then try again."),
        };
        error.because(cause)
    }
    /// Says what to do next.
    #[must_use]
    pub fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = remedy.into();
        self
    }
    /// Adds a cause and all causes below it to the details.
    #[must_use]
    pub fn because(mut self, cause: &dyn StdError) -> Self {
        let mut next = Some(cause);
        while let Some(cause) = next {
            self.details.push(cause.to_string());
            next = cause.source();
        }
        self
    }
    /// Adds a line to the details, such as the last words of a command.
    #[must_use]
    pub fn detail(mut self, line: impl Into<String>) -> Self {
        self.details.push(line.into());
        self
    }
    /// The same error with another meaning for the world.
    #[must_use]
    pub fn as_kind(mut self, kind: Kind) -> Self {
        self.kind = kind;
        self
    }
    /// The exit code that tells this error.
    pub fn exit_code(&self) -> u8 {
        self.kind.exit_code()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl StdError for Error {}

/// The first cause of type `T` in a chain, also inside of `io::Error`s, whose `source` skips what they wrap.
pub fn cause_of<'a, T: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a T> {
    if let Some(found) = error.downcast_ref::<T>() {
        return Some(found);
    }
    let wrapped = error.downcast_ref::<io::Error>().and_then(|it| it.get_ref());
    wrapped.and_then(|inner| cause_of(inner as &(dyn StdError + 'static))).or_else(|| error.source().and_then(cause_of))
}
