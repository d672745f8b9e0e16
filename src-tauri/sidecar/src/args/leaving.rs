//! What can be typed of exports, fresh starts and imports.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::Named;

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
