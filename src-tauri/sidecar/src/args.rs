//! What can be typed. Every help text is here; names and ids are parsed by the engine, which says what is wrong
//! with them in its own words.

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;

const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  failed: it was tried and did not work
  2  wrong usage
  3  refused: nothing was touched
  4  rolled back: the old version runs again with its data
  5  needs attention: the steps are in the message
  6  busy: another process works on this installation

Environment:
  LIFTLOCK_HOME  where Liftlock keeps its state, backups and logs
  NO_COLOR       no colours, whatever the terminal";

/// Raises installed applications to their next release, and brings them back with nothing lost.
#[derive(Debug, Parser)]
#[command(name = "liftlock", version, after_help = EXIT_CODES, propagate_version = true, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) everywhere: Everywhere,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Read from the raw arguments by [`crate::screen::Screen`], so that mistakes are answered accordingly too.
#[derive(Debug, Args)]
#[command(next_help_heading = "Everywhere")]
pub(crate) struct Everywhere {
    /// Answer with one JSON document (lines of them while following)
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Answer questions with yes, save those about losing data
    #[arg(short, long, global = true)]
    pub(crate) yes: bool,
    /// Print only answers and errors
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
    /// Print causes and log lines too
    #[arg(short, long, global = true)]
    pub(crate) verbose: bool,
    /// Print without colours
    #[arg(long, global = true)]
    pub(crate) no_color: bool,
}

/// The installation that a command is about.
#[derive(Debug, Args)]
pub(crate) struct Named {
    /// Name of the installation; not needed where there is only one
    #[arg(value_name = "NAME")]
    pub(crate) name: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List the installations that Liftlock looks after
    List,
    /// Forget an installation; its files, data, backups and history stay
    Remove {
        /// Name of the installation
        name: String,
    },
    /// Show what runs, or how the last update ended; instant, touches nothing
    Status {
        #[command(flatten)]
        of: Named,
        /// An update by its id, also one that is long over
        #[arg(long, value_name = "ID", conflicts_with = "name")]
        upgrade: Option<String>,
        /// Stay and show every change until it has ended
        #[arg(long)]
        follow: bool,
    },
    /// Say that you know how an update ended
    Ack {
        /// Id of the update, from `liftlock status`
        #[arg(value_name = "ID")]
        upgrade: String,
    },
    /// List how updates ended, newest first
    History {
        #[command(flatten)]
        of: Named,
    },
    /// Show or change what may be chosen
    Settings {
        /// Name of a setting
        key: Option<String>,
        /// Its new value
        value: Option<String>,
        /// Go back to the default
        #[arg(long, requires = "key", conflicts_with = "value")]
        default: bool,
    },
    /// Print completions for a shell
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Print the manual page of liftlock, or of one of its commands
    Man {
        /// The command, in words: `backup restore`
        command: Vec<String>,
    },
}
