//! The commands: each asks one verb of the engine and lays out its view.

mod answer;
mod backup;
mod copies;
mod doctor;
mod export;
mod fresh_start;
mod health;
mod history;
mod import;
mod installations;
mod lock;
mod manual;
mod moved;
mod notice;
mod plan;
mod profile;
mod releases;
mod settings;
mod status;
mod unattended;
mod upgrade;
mod work;

use liftlock_engine::model::ids::InstallationName;
use liftlock_engine::{Engine, Result};

pub(crate) use self::status::print as print_upgrade;
use crate::args::{Cli, Command, Named};
use crate::screen::Screen;

/// Runs what was typed; answers with the exit code.
pub(crate) fn run(cli: Cli, screen: &Screen) -> Result<u8> {
    // These are about the program itself and need no home.
    match &cli.command {
        Command::Completions { shell } => return manual::completions(screen, *shell),
        Command::Man { command } => return manual::page(screen, command),
        Command::Profile(command) => return profile::run(screen, command),
        Command::FilesErrand => return work::errand_with_files(),
        Command::Page { application, port, address } => {
            let within = std::time::Duration::from_secs(10);
            match liftlock_engine::page::Page::keep(application.clone(), *address, *port, within)? {}
        }
        _ => {}
    }
    let can_ask = lock::somebody_is_there();
    let engine = &Engine::of_this_user()?.asking(move || lock::passphrase(can_ask));
    match cli.command {
        Command::Add { profile, folder, name } => installations::add(engine, screen, profile, folder, name),
        Command::Find => installations::find(engine, screen),
        Command::List => installations::list(engine, screen),
        Command::Remove { name } => installations::remove(engine, screen, &name.parse()?),
        Command::Check { of, releases: true } => {
            let name = of.name.map(|it| it.parse()).transpose()?;
            releases::look(engine, screen, name.as_ref())
        }
        Command::Notice { of, command } => notice::run(engine, screen, of, command),
        Command::Check { of, .. } => health::check(engine, screen, &named(engine, of)?),
        Command::Tick => unattended::tick(engine, screen),
        Command::Unattended { of, during, minor, off } => unattended::run(engine, screen, of, during, minor, off),
        Command::Releases { of, notes: true } => releases::news(engine, screen, &named(engine, of)?),
        Command::Releases { of, .. } => releases::releases(engine, screen, &named(engine, of)?),
        Command::Plan { of, how } => plan::plan(engine, screen, &named(engine, of)?, how),
        Command::Answer { of, to, saying, forget } => {
            answer::answer(engine, screen, &named(engine, of)?, to.as_deref(), saying, forget)
        }
        Command::Upgrade { of, how, saying, detach } => {
            let name = named(engine, of)?;
            answer::say(engine, &name, saying)?;
            upgrade::upgrade(engine, screen, &name, how, detach)
        }
        Command::MoveData { of, to, detach } => moved::run(engine, screen, &named(engine, of)?, to.as_deref(), detach),
        Command::Status { of, upgrade: None, follow } => {
            status::of_installation(engine, screen, &named(engine, of)?, follow)
        }
        Command::Status { upgrade: Some(id), follow, .. } => status::of_upgrade(engine, screen, id.parse()?, follow),
        Command::Ack { upgrade } => status::acknowledge(engine, screen, upgrade.parse()?),
        Command::Cancel { upgrade } => upgrade::cancel(engine, screen, upgrade.map(|it| it.parse()).transpose()?),
        Command::Retry { upgrade, detach } => upgrade::retry(engine, screen, upgrade.parse()?, detach),
        Command::Settle { upgrade } => upgrade::settle(engine, screen, upgrade.parse()?),
        Command::Resume { upgrade, detach, .. } => {
            upgrade::resume(engine, screen, upgrade.map(|it| it.parse()).transpose()?, detach)
        }
        Command::Rollback { of, accept_loss_of_new_work, save_new_work, detach } => {
            upgrade::rollback(engine, screen, &named(engine, of)?, accept_loss_of_new_work, save_new_work, detach)
        }
        Command::Backup(command) => backup::run(engine, screen, command),
        Command::Export(args) => export::run(engine, screen, args),
        Command::Import(args) => import::run(engine, screen, args),
        Command::FreshStart(args) => fresh_start::run(engine, screen, args),
        Command::Aside(command) => fresh_start::aside(engine, screen, command),
        Command::History { verify: true, .. } => history::verify(engine, screen),
        Command::History { of, .. } => {
            let name = of.name.map(|it| it.parse()).transpose()?;
            history::list(engine, screen, name.as_ref())
        }
        Command::Lock(command) => lock::run(engine, screen, command),
        Command::Doctor => doctor::doctor(engine, screen),
        Command::Settings { key: None, .. } => settings::list(engine, screen),
        Command::Settings { key: Some(key), value: None, default: false } => settings::show(engine, screen, &key),
        Command::Settings { key: Some(key), value, .. } => settings::choose(engine, screen, &key, value.as_deref()),
        Command::Work { upgrade } => work::work(engine, upgrade.parse()?),
        Command::LeavingWork { name } => work::work_on_leaving(engine, &name.parse()?),
        Command::Completions { .. }
        | Command::Man { .. }
        | Command::Profile(_)
        | Command::FilesErrand
        | Command::Page { .. } => Ok(0),
    }
}

/// The installation that was named, or the only one.
pub(crate) fn named(engine: &Engine, of: Named) -> Result<InstallationName> {
    match of.name {
        Some(name) => name.parse(),
        None => engine.the_only_installation(),
    }
}
