//! The command line of Liftlock, and the worker that it starts.
//!
//! A command is one line: arguments in, one verb of [`liftlock_engine::Engine`], its view out. Nothing is
//! decided here. Absent on purpose: reading Liftlock's state past the engine, and any wording of an error
//! (errors come from the engine with their message and remedy and are only laid out here).

mod args;
mod commands;
mod docs;
mod follow;
mod progress;
mod screen;
mod text;
mod usage;
mod words;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches};

pub use crate::docs::{command_reference, json_reference};
use crate::screen::Screen;

/// The definition of the command line, for manuals, completions and the reference.
pub fn command() -> clap::Command {
    args::Cli::command()
}

/// Runs one command. `args` begins with the name of the program.
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args: Vec<OsString> = args.into_iter().collect();
    let screen = Screen::from_raw(&args);
    let parsed = command()
        .color(screen.clap_colour())
        .try_get_matches_from(&args)
        .and_then(|it| args::Cli::from_arg_matches(&it));
    let code = match parsed {
        Ok(cli) => commands::run(cli, &screen).unwrap_or_else(|error| screen.error(&error)),
        Err(error) => usage::answer(&error, &screen),
    };
    ExitCode::from(screen.close(code))
}
