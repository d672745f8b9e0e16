//! The commands: each asks one verb of the engine and lays out its view.

mod history;
mod installations;
mod manual;
mod settings;
mod status;

use liftlock_engine::model::ids::InstallationName;
use liftlock_engine::{Engine, Result};

pub(crate) use self::status::print as print_upgrade;
use crate::args::{Cli, Command, Named};
use crate::screen::Screen;

/// Runs what was typed; answers with the exit code.
pub(crate) fn run(cli: Cli, screen: &Screen) -> Result<u8> {
    match cli.command {
        Command::Completions { shell } => return manual::completions(screen, shell),
        Command::Man { command } => return manual::page(screen, &command),
        _ => {}
    }
    let engine = Engine::of_this_user()?;
    match cli.command {
        Command::List => installations::list(&engine, screen),
        Command::Remove { name } => installations::remove(&engine, screen, &name.parse()?),
        Command::Status { of, upgrade: None, follow } => {
            status::of_installation(&engine, screen, &named(&engine, of)?, follow)
        }
        Command::Status { upgrade: Some(id), follow, .. } => status::of_upgrade(&engine, screen, id.parse()?, follow),
        Command::Ack { upgrade } => status::acknowledge(&engine, screen, upgrade.parse()?),
        Command::History { of } => {
            let name = of.name.map(|it| it.parse()).transpose()?;
            history::list(&engine, screen, name.as_ref())
        }
        Command::Settings { key: None, .. } => settings::list(&engine, screen),
        Command::Settings { key: Some(key), value: None, default: false } => settings::show(&engine, screen, &key),
        Command::Settings { key: Some(key), value, .. } => settings::choose(&engine, screen, &key, value.as_deref()),
        Command::Completions { .. } | Command::Man { .. } => Ok(0),
    }
}

/// The installation that was named, or the only one.
fn named(engine: &Engine, of: Named) -> Result<InstallationName> {
    match of.name {
        Some(name) => name.parse(),
        None => engine.the_only_installation(),
    }
}
