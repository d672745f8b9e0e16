//! What can be typed of backups.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::Named;

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
