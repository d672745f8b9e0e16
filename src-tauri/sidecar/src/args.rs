//! What can be typed. Every help text is here; names and ids are parsed by the engine, which says what is wrong
//! with them in its own words.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
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

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
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
    /// Update an application, and follow it to its end; Ctrl-C ends only the following
    Upgrade {
        #[command(flatten)]
        of: Named,
        #[command(flatten)]
        how: Upgrading,
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
    /// Do in this process what was asked for about leaving an old version: how the window's wizard works on
    #[command(hide = true)]
    LeavingWork {
        /// The installation
        #[arg(value_name = "NAME")]
        name: String,
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

/// What is exported, where to and how.
#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    #[command(flatten)]
    pub(crate) of: Named,
    /// The folder or zip to make; one below Liftlock's home otherwise
    #[arg(long, value_name = "PATH")]
    pub(crate) to: Option<PathBuf>,
    /// Only this kind of thing, such as customers; may be given several times
    #[arg(long, value_name = "ENTITY")]
    pub(crate) only: Vec<String>,
    /// Every other table too
    #[arg(long)]
    pub(crate) everything: bool,
    /// The form of the files; may be given several times; CSV and JSON lines otherwise
    #[arg(long, value_enum)]
    pub(crate) format: Vec<ExportFormat>,
    /// What separates the fields of CSV files; many European spreadsheets expect the semicolon
    #[arg(long, value_enum, default_value = "comma")]
    pub(crate) separator: Separator,
    /// How pictures and other bytes are written
    #[arg(long, value_enum, default_value = "hex")]
    pub(crate) bytes: BytesForm,
    /// All of it in one zip instead of a folder
    #[arg(long)]
    pub(crate) zip: bool,
    /// Read an export back instead, a folder or a zip, and say whether it still is as it was written
    #[arg(long, value_name = "PATH", conflicts_with_all = ["name", "to", "only", "everything", "format", "separator", "bytes", "zip"])]
    pub(crate) check: Option<PathBuf>,
}

/// What comes in, and how.
#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    /// The folder or the zip of the export, or the folder of the rest of an import
    #[arg(value_name = "PATH", required_unless_present = "undo")]
    pub(crate) folder: Option<PathBuf>,
    /// Name of the installation that it comes into; not needed where there is only one
    #[arg(long, value_name = "NAME")]
    pub(crate) into: Option<String>,
    /// Only try: every row that would not come in is named, with the reason
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// What comes into which column; the mapping used last or a suggestion otherwise
    #[arg(long, value_name = "FILE")]
    pub(crate) mapping: Option<PathBuf>,
    /// Print a suggested mapping, to be edited, and bring nothing in
    #[arg(long, conflicts_with_all = ["dry_run", "mapping", "partly", "undo", "only", "duplicates"])]
    pub(crate) show_mapping: bool,
    /// Only this kind of thing, such as customers; may be given several times
    #[arg(long, value_name = "ENTITY")]
    pub(crate) only: Vec<String>,
    /// It comes back to where it was exported from, as after `rollback --save-new-work`: rows are known by the keys that they have
    #[arg(long, conflicts_with_all = ["mapping", "show_mapping"])]
    pub(crate) same_rows: bool,
    /// What happens to rows that are there already
    #[arg(long, value_enum)]
    pub(crate) duplicates: Option<OnDuplicates>,
    /// Bring in what can come in, and write the rest to a file
    #[arg(long)]
    pub(crate) partly: bool,
    /// Take an import back: the newest one, or the one with this id
    #[arg(long, value_name = "ID", num_args = 0..=1, conflicts_with_all = ["folder", "dry_run", "mapping", "partly", "only", "same_rows", "duplicates"])]
    pub(crate) undo: Option<Option<String>>,
}

/// What happens to rows that are there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum OnDuplicates {
    /// They stay as they are
    Skip,
    /// They get the values of the export
    Update,
}

/// With which release, and what comes along.
#[derive(Debug, Args)]
pub(crate) struct FreshStartArgs {
    #[command(flatten)]
    pub(crate) of: Named,
    /// The version to begin with; not needed to go on with a fresh start that was interrupted
    #[arg(long, value_name = "VERSION")]
    pub(crate) to: Option<String>,
    /// The export that holds what shall come along, a folder or a zip; it is read back first
    #[arg(long, value_name = "PATH")]
    pub(crate) export: Option<PathBuf>,
    /// EMPTY, to begin without an export; asked for on a terminal
    #[arg(long, value_name = "WORD")]
    pub(crate) confirm: Option<String>,
    /// The folder of the new installation; one beside the old one otherwise
    #[arg(long, value_name = "FOLDER")]
    pub(crate) folder: Option<PathBuf>,
    /// What to call the new installation
    #[arg(long = "as", value_name = "NAME")]
    pub(crate) name_of_new: Option<String>,
    /// Take it back instead: the old installation runs again, what was made is removed
    #[arg(long, conflicts_with_all = ["to", "export", "confirm", "folder", "name_of_new", "show"])]
    pub(crate) cancel: bool,
    /// Only show how it stands
    #[arg(long, conflicts_with_all = ["to", "export", "confirm", "folder", "name_of_new"])]
    pub(crate) show: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum AsideCommand {
    /// List what was set aside, with its size
    List,
    /// Start it beside the new one for a look: on an address of its own, and nothing can be written
    Look {
        /// Name of the installation that was set aside
        name: String,
    },
    /// Stop the new installation and start the old one in its place; nothing is removed by that
    Start {
        /// Name of the installation that was set aside
        name: String,
    },
    /// Stop it again; the new installation is started where it does not run
    Stop {
        /// Name of the installation that was set aside
        name: String,
    },
    /// Remove it for good, its database and its folder; its backups stay
    Remove {
        /// Name of the installation that was set aside
        name: String,
        /// REMOVE, to remove it; asked for on a terminal
        #[arg(long, value_name = "WORD")]
        confirm: Option<String>,
    },
}

/// A form of files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ExportFormat {
    /// For spreadsheets
    Csv,
    /// For programs: a JSON object a line
    Jsonl,
    /// For people: one workbook with a sheet for each kind of thing
    Xlsx,
    /// For programs: a list of documents, each order with its lines in it
    Json,
}

/// How bytes are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum BytesForm {
    /// As PostgreSQL writes them: \x00ff
    Hex,
    /// As base64, which most programs read
    Base64,
    /// Each in a file of its own, which the cell names
    Files,
}

/// What separates fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Separator {
    /// ,
    Comma,
    /// ;
    Semicolon,
    /// Tab
    Tab,
}

#[derive(Debug, Subcommand)]
pub(crate) enum BackupCommand {
    /// Back up all data while the application is in use, and restore it once on the side to prove it
    Create {
        #[command(flatten)]
        of: Named,
        /// What it is for, in your words
        #[arg(long, default_value = "", hide_default_value = true)]
        note: String,
    },
    /// List the backups, newest first, with how far each can be trusted
    List {
        /// Name of an installation; those of all otherwise
        name: Option<String>,
        /// What lies in the places for copies, which are asked
        #[arg(long)]
        copies: bool,
    },
    /// Bring a backup back of which only a copy is left, and compare it with its checksums
    Fetch {
        /// The copy, by its id: `backup list --copies`
        id: String,
        /// Name of the installation; not needed where there is only one
        #[arg(long, value_name = "NAME")]
        of: Option<String>,
    },
    /// Restore a backup once more on the side, and say how far it can be trusted
    Verify {
        /// The backup: its id, or its folder
        path: PathBuf,
        /// Only read it to its end: quicker, needs no room, and earns “readable” instead of “proven”
        #[arg(long)]
        quick: bool,
    },
    /// Show what is there now beside what a backup holds, and what going back would lose; touches nothing
    Compare {
        /// The backup: its id, or its folder
        path: PathBuf,
    },
    /// Look into a dump of another machine or one made by hand (.dump, .sql, also .gz); touches nothing
    Inspect {
        /// The file
        file: PathBuf,
        #[command(flatten)]
        for_whom: ForWhom,
    },
    /// Make a backup of such a file and prove it; `backup restore` then goes to it like to any other
    Adopt {
        /// The file
        file: PathBuf,
        #[command(flatten)]
        for_whom: ForWhom,
        /// What it is for, in your words
        #[arg(long, default_value = "", hide_default_value = true)]
        note: String,
        /// Let a file run that is SQL, on a private server, in the word that is typed on a terminal: RUN
        #[arg(long, value_name = "WORD")]
        confirm: Option<String>,
        /// Its tables may be others than those that the application has now
        #[arg(long)]
        other_tables: bool,
    },
    /// Restore one table of a backup into a new database beside, for looking at; the live one is not touched
    Look {
        /// The backup: its id, or its folder
        #[arg(required_unless_present_any = ["list", "remove"])]
        path: Option<PathBuf>,
        /// The table; without it, the tables of the backup are listed
        #[arg(long, value_name = "TABLE")]
        table: Option<String>,
        /// List what is there to be looked at, with its size
        #[arg(long, conflicts_with_all = ["path", "table", "remove"])]
        list: bool,
        /// Remove one of them
        #[arg(long, value_name = "DATABASE", conflicts_with_all = ["path", "table"])]
        remove: Option<String>,
        /// Name of the installation; not needed where there is only one
        #[arg(long, value_name = "NAME")]
        of: Option<String>,
    },
    /// Keep a backup whatever the keeping rule says
    Pin {
        /// The backup: its id, or its folder
        path: PathBuf,
    },
    /// Leave a pinned backup to the keeping rule again
    Unpin {
        /// The backup: its id, or its folder
        path: PathBuf,
    },
    /// Remove one backup for good; its copies in other places stay
    Remove {
        /// The backup: its id, or its folder
        path: PathBuf,
        /// REMOVE, to remove it; asked for on a terminal
        #[arg(long, value_name = "WORD")]
        confirm: Option<String>,
    },
    /// Remove what the keeping rule does not keep: `liftlock settings keep_backups`
    Prune {
        #[command(flatten)]
        of: Named,
        /// Only show what would go, and why the others stay
        #[arg(long)]
        dry_run: bool,
    },
    /// Copy a backup to a folder on another disk or to storage (S3), and read the copy back
    Copy {
        /// The backup: its id, or its folder; the newest one otherwise
        path: Option<PathBuf>,
        /// Name of the installation; not needed where there is only one
        #[arg(long, value_name = "NAME")]
        of: Option<String>,
        /// Choose this folder, which must be there, or s3://BUCKET/FOLDER, for this copy and for those of scheduled backups
        #[arg(long, value_name = "PLACE")]
        to: Option<PathBuf>,
        /// The server of the storage; Amazon’s own otherwise
        #[arg(long, value_name = "URL", requires = "to")]
        endpoint: Option<String>,
        /// The region of the bucket, as its provider calls it; us-east-1 otherwise
        #[arg(long, value_name = "NAME", requires = "to")]
        region: Option<String>,
        /// The id of the access key of the storage, which is no secret
        #[arg(long, value_name = "ID", requires = "to")]
        key_id: Option<String>,
        /// Where the secret access key is kept: file:/path/to/it, keychain:NAME, env:NAME or fd:NUMBER
        #[arg(long, value_name = "WHERE", requires = "to")]
        key_from: Option<String>,
        /// Make no more copies; those that are there stay
        #[arg(long, conflicts_with_all = ["path", "of", "to"])]
        off: bool,
    },
    /// Encrypt backups with age from now on; without options, show how they are
    Encrypt {
        /// With a passphrase, which is kept where --key-from says
        #[arg(long, conflicts_with = "to")]
        passphrase: bool,
        /// To whoever has the secret key of this recipient of age (age1…); may be given several times
        #[arg(long, value_name = "RECIPIENT")]
        to: Vec<String>,
        /// Where the passphrase or the secret key is kept: file:/path/to/it, keychain:NAME, env:NAME or fd:NUMBER
        #[arg(long, value_name = "PLACE")]
        key_from: Option<String>,
        /// Encrypt no more; those that are encrypted stay so
        #[arg(long, conflicts_with_all = ["passphrase", "to", "key_from"])]
        off: bool,
    },
    /// Back up at set times, also while no window is open; without a time, show what is set
    Schedule {
        /// “every night at 3”, “every Sunday at 4”, “every hour”, or an expression of cron
        #[arg(value_name = "WHEN")]
        when: Option<String>,
        /// Name of the installation; not needed where there is only one
        #[arg(long, value_name = "NAME")]
        of: Option<String>,
        /// Back up at no set times any more
        #[arg(long, conflicts_with = "when")]
        off: bool,
    },
    /// Do what is due: scheduled backups, what was missed of them, and updates set for a time. The system’s timer runs this
    RunDue,
    /// Go back to a backup; what is there now is set aside, untouched
    Restore {
        /// Name of the installation
        name: String,
        /// The backup: its id, or its folder
        path: PathBuf,
        /// Accept that what was entered since the backup will not be there; --yes does not say this
        #[arg(long)]
        accept_loss_of_new_work: bool,
        /// The same, in the word that is typed on a terminal: RESTORE
        #[arg(long, value_name = "WORD", conflicts_with = "accept_loss_of_new_work")]
        confirm: Option<String>,
        /// Start it and return at once
        #[arg(long)]
        detach: bool,
    },
}

/// Whose data a file of another machine is.
#[derive(Debug, Args)]
pub(crate) struct ForWhom {
    /// Name of the installation; not needed where there is only one
    #[arg(long, value_name = "NAME")]
    pub(crate) of: Option<String>,
    /// The store that it is for; not needed where there is only one database
    #[arg(long, value_name = "STORE")]
    pub(crate) store: Option<String>,
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
