//! What can be typed. Every help text is here; names and ids are parsed by the engine, which says what is wrong
//! with them in its own words.

mod backup;
mod leaving;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;

pub(crate) use self::backup::{BackupCommand, ForWhom};
pub(crate) use self::leaving::{
    AsideCommand, BytesForm, ExportArgs, ExportFormat, FreshStartArgs, ImportArgs, OnDuplicates, Separator,
};

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
  LIFTLOCK_HOME             where Liftlock keeps its state, backups and logs
  LIFTLOCK_PASSPHRASE_FILE  a file, readable by you alone, that holds the administrator passphrase
  NO_COLOR                  no colours, whatever the terminal";

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

/// What an upgrade may and shall do.
#[derive(Debug, Args)]
pub(crate) struct Upgrading {
    /// The version to go to; the newest one that can be reached otherwise
    #[arg(long, value_name = "VERSION")]
    pub(crate) to: Option<String>,
    /// Accept that so many rows of a table go, as a rehearsal has said; may be given several times
    #[arg(long, value_name = "STORE.TABLE=ROWS")]
    pub(crate) accept_loss: Vec<String>,
    /// Stop after the rehearsal on a copy of the data; nothing is changed
    #[arg(long)]
    pub(crate) rehearse_only: bool,
    /// Change the data in place after a proven final dump, even where there is room for a copy
    #[arg(long)]
    pub(crate) in_place: bool,
    /// Say which version the data is of, where that is asked because it does not fit the version that runs
    #[arg(long, value_name = "VERSION")]
    pub(crate) data_is_at: Option<String>,
    /// Let files of the release in use that were changed by hand stay behind in its folder
    #[arg(long)]
    pub(crate) leave_changes: bool,
}

/// What is said of settings that the new version asks for.
#[derive(Debug, Args)]
pub(crate) struct Saying {
    /// Say what a setting that the new version asks for is to be, where that is no secret; may be given several times
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
    /// Say where that is kept: KEY=file:/path/to/it, keychain:NAME, env:NAME or fd:NUMBER; may be given several times
    #[arg(long, value_name = "KEY=WHERE")]
    pub(crate) set_from: Vec<String>,
    /// Let Liftlock make it up, where the profile says that it may; may be given several times
    #[arg(long, value_name = "KEY")]
    pub(crate) generate: Vec<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Look for applications on this computer that could be looked after; changes nothing
    Find,
    /// Look after an installed application from now on; changes nothing in it
    Add {
        /// A built-in profile, or the path of one (ending in .toml)
        #[arg(value_name = "PROFILE")]
        profile: String,
        /// The folder in which the application is installed
        folder: PathBuf,
        /// What to call it; the application's own id otherwise
        #[arg(long)]
        name: Option<String>,
    },
    /// List the installations that Liftlock looks after
    List,
    /// Forget an installation; its files, data, backups and history stay
    Remove {
        /// Name of the installation
        name: String,
    },
    /// Ask an application whether it is well, or look for new releases
    Check {
        #[command(flatten)]
        of: Named,
        /// Look for new releases now; of every installation where none is named
        #[arg(long)]
        releases: bool,
    },
    /// Do what is due: look for releases, make scheduled backups, update in maintenance windows
    Tick,
    /// Let updates come by themselves in a maintenance window; without one, show what is set
    ///
    /// Off unless you allow it. Only patch releases (with --minor, minor ones too), never a breaking one; announced half
    /// a day before; with a proven backup and a passed rehearsal; put off while the computer is in use or on its battery.
    Unattended {
        #[command(flatten)]
        of: Named,
        /// Days and hours, such as “Sundays 2-5” or “every night 1:30-4”
        #[arg(long, value_name = "WHEN")]
        during: Option<String>,
        /// Minor releases too, such as from 1.4.2 to 1.5.0
        #[arg(long, requires = "during")]
        minor: bool,
        /// Never by itself any more
        #[arg(long, conflicts_with = "during")]
        off: bool,
    },
    /// Show what you are told about updates, or choose what to hear
    #[command(args_conflicts_with_subcommands = true)]
    Notice {
        /// Name of an installation; those of all otherwise
        #[command(flatten)]
        of: Named,
        #[command(subcommand)]
        command: Option<NoticeCommand>,
    },
    /// List the releases that are out, how old that word is, and when it is asked for again
    Releases {
        #[command(flatten)]
        of: Named,
        /// What is new between the version that runs and the one that is offered, from what is known
        #[arg(long)]
        notes: bool,
    },
    /// Show what an update would do; touches nothing
    Plan {
        #[command(flatten)]
        of: Named,
        #[command(flatten)]
        how: Upgrading,
    },
    /// Say what settings are to be that a new version asks for; without options, they are asked for
    ///
    /// Where nobody sits at a terminal, they are listed.
    /// It is kept until the update adds it to the settings file, and longer where the update is brought back.
    Answer {
        #[command(flatten)]
        of: Named,
        /// The version that asks; the newest one that can be reached otherwise
        #[arg(long, value_name = "VERSION")]
        to: Option<String>,
        #[command(flatten)]
        saying: Saying,
        /// Forget what was said of a setting; may be given several times
        #[arg(long, value_name = "KEY")]
        forget: Vec<String>,
    },
    /// Update an application, and follow it to its end; Ctrl-C ends only the following
    Upgrade {
        #[command(flatten)]
        of: Named,
        #[command(flatten)]
        how: Upgrading,
        #[command(flatten)]
        saying: Saying,
        /// Start it and return at once
        #[arg(long)]
        detach: bool,
    },
    /// Let a new version find your data where its makers look for it now; `liftlock plan` says where that is needed
    ///
    /// A volume that they gave another name is named so for the new version too, and nothing is moved. A database for which
    /// they take another major version of PostgreSQL is made anew by it on a new volume, compared row by row and put in its
    /// place while the application is away; the old volume is kept, and `liftlock rollback` goes back to it.
    MoveData {
        #[command(flatten)]
        of: Named,
        /// The version that looks for it elsewhere; the one that is offered otherwise
        #[arg(long, value_name = "VERSION")]
        to: Option<String>,
        /// Start it and return at once
        #[arg(long)]
        detach: bool,
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
    /// Stop an update that runs: nothing is changed, or what was changed is brought back
    Cancel {
        /// Id of the update; not needed where only one runs
        #[arg(value_name = "ID")]
        upgrade: Option<String>,
    },
    /// Try an update again that ended without success, under a new id
    Retry {
        /// Id of the update
        #[arg(value_name = "ID")]
        upgrade: String,
        /// Start it and return at once
        #[arg(long)]
        detach: bool,
    },
    /// Say that you have put right what an update left for you; Liftlock looks for itself
    Settle {
        /// Id of the update
        #[arg(value_name = "ID")]
        upgrade: String,
    },
    /// Go on with interrupted updates
    Resume {
        /// Id of one update, which is then followed
        #[arg(value_name = "ID", conflicts_with = "all")]
        upgrade: Option<String>,
        /// Every one that is interrupted (the default)
        #[arg(long)]
        all: bool,
        /// Return at once
        #[arg(long)]
        detach: bool,
    },
    /// Go back to the version before, with its data, and follow that to its end
    Rollback {
        #[command(flatten)]
        of: Named,
        /// Accept that what was entered since the update will not be there; --yes does not say this
        #[arg(long)]
        accept_loss_of_new_work: bool,
        /// Save what is there now in files first; `liftlock import PATH --same-rows` brings what is new into the version before
        #[arg(long)]
        save_new_work: bool,
        /// Start it and return at once
        #[arg(long)]
        detach: bool,
    },
    /// Make, list, prove and bring back backups
    #[command(subcommand)]
    Backup(BackupCommand),
    /// Write what an application holds to files for people and programs, and check them; the application is only read
    Export(ExportArgs),
    /// Bring an export into an application, after a trial that names every row that cannot come in; or take an import back
    Import(ImportArgs),
    /// Install a release that cannot take your data along empty beside the old installation, which is set aside whole
    FreshStart(FreshStartArgs),
    /// List installations that a fresh start set aside, look at one, start it again or remove it
    #[command(subcommand)]
    Aside(AsideCommand),
    /// List how updates ended, newest first
    History {
        #[command(flatten)]
        of: Named,
        /// Check that the history file is as it was written
        #[arg(long, conflicts_with = "name")]
        verify: bool,
    },
    /// Look whether Liftlock itself is well
    Doctor,
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
    /// Let nobody change anything without a passphrase, in the window or here
    #[command(subcommand)]
    Lock(LockCommand),
    /// Check and show profiles: what Liftlock knows about a kind of application
    #[command(subcommand)]
    Profile(ProfileCommand),
    /// Work on an update in this process: how Liftlock starts its worker
    #[command(hide = true)]
    Work {
        /// Id of the update
        #[arg(value_name = "ID")]
        upgrade: String,
    },
    /// Show the maintenance page until this process is ended: what runs in a container where the user may not listen
    #[command(hide = true)]
    Page {
        /// What the application is called
        application: String,
        /// The port
        port: u16,
        /// The address of this computer; all of them without it
        address: Option<std::net::IpAddr>,
    },
    /// Do in this process what was asked for about leaving an old version: how the window's wizard works on
    #[command(hide = true)]
    LeavingWork {
        /// The installation
        #[arg(value_name = "NAME")]
        name: String,
    },
    /// Do what is asked for on standard input with files in a volume: how Liftlock comes there through a container
    #[command(hide = true)]
    FilesErrand,
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

#[derive(Debug, Subcommand)]
pub(crate) enum LockCommand {
    /// Show whether the administrator lock is set
    Show,
    /// Set the lock, or another passphrase; prints a recovery code, once
    Set {
        /// A file whose first line is the new passphrase; asked for otherwise
        #[arg(long, value_name = "FILE")]
        new_passphrase_file: Option<PathBuf>,
    },
    /// Remove the lock; asks for the passphrase or the recovery code
    Remove,
}

#[derive(Debug, Subcommand)]
pub(crate) enum NoticeCommand {
    /// Hide the notice: for a week, or for a day where it is louder; red stays
    Dismiss {
        #[command(flatten)]
        of: Named,
    },
    /// Say nothing about this version, and speak again of the next
    Skip {
        #[command(flatten)]
        of: Named,
        /// The version; the one that is offered otherwise
        #[arg(long, value_name = "VERSION")]
        to: Option<String>,
    },
    /// Say it again later
    Remind {
        #[command(flatten)]
        of: Named,
        /// In how many days
        #[arg(long, default_value_t = 1)]
        days: i64,
    },
    /// Say nothing for a while
    Pause {
        #[command(flatten)]
        of: Named,
        /// For how many days
        #[arg(long, default_value_t = 30)]
        days: i64,
    },
    /// Stay on this line of releases: say nothing about those that start with empty data
    Stay {
        #[command(flatten)]
        of: Named,
    },
    /// Hear everything again: takes back what was hidden, put off, paused and skipped
    Resume {
        #[command(flatten)]
        of: Named,
        /// Only take back that this version was skipped
        #[arg(long, value_name = "VERSION")]
        skipped: Option<String>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum ProfileCommand {
    /// Say every mistake in a profile, with its line and what to write instead
    Check {
        /// A built-in profile, or the path of one
        profile: String,
    },
    /// List the profiles that are built in
    List,
    /// Print the text of a profile
    Show {
        /// A built-in profile, or the path of one
        profile: String,
    },
    /// Print the JSON Schema of profiles, for editors
    Schema,
}
