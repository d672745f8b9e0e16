//! `upgrade`, `cancel`, `retry`, `settle`, `resume`, `rollback`.

use liftlock_engine::model::ids::{InstallationName, UpgradeId};
use liftlock_engine::model::state::State;
use liftlock_engine::view::StatusView;
use liftlock_engine::{Engine, Error, Result};

use crate::args::Upgrading;
use crate::commands::{answer, plan, status};
use crate::follow::{STOPPED_WATCHING, Watching, follow};
use crate::progress::Progress;
use crate::screen::{Line, Screen, Style};

/// The exit code of what was not begun.
const REFUSED: u8 = 3;

pub(crate) fn upgrade(
    engine: &Engine,
    screen: &Screen,
    name: &InstallationName,
    how: Upgrading,
    detach: bool,
) -> Result<u8> {
    let mut to = how.to.clone();
    let mut options = plan::options(how);
    if screen.can_ask() && !screen.yes {
        let mut view = engine.plan_telling(name, to.as_deref(), &options, &Progress::begin(screen, "Looking"))?;
        if let Some(unclear) = view.findings.iter().find(|it| it.class == "position_unclear")
            && let Some(version) = screen.type_in(&unclear.message)
        {
            options.data_at = Some(version);
            view = engine.plan(name, to.as_deref(), &options)?;
        }
        if answer::ask_for_all(engine, screen, name, &view.asked)? {
            view = engine.plan(name, to.as_deref(), &options)?;
        }
        plan::print(screen, &view);
        if !view.possible {
            return Ok(REFUSED);
        }
        let from = view.from.as_ref().map_or_else(String::new, |it| format!(" from {it}"));
        let question = match (&view.to, options.rehearse_only) {
            (Some(to), true) => format!("Rehearse the update of {name}{from} to {to}?"),
            (Some(to), false) => format!("Update {name}{from} to {to}?"),
            (None, _) => return Ok(REFUSED),
        };
        if !screen.confirm(&question) {
            screen.aside("Nothing was begun.");
            return Ok(REFUSED);
        }
        // What was agreed to is what is done, also when a newer release comes out in between.
        to = view.to;
    }
    let id = engine.start_upgrade(name, to.as_deref(), &options, &asker())?;
    begun(engine, screen, id, detach)
}

/// An update that this command has started: followed, or left alone.
pub(crate) fn begun(engine: &Engine, screen: &Screen, id: UpgradeId, detach: bool) -> Result<u8> {
    if !detach {
        return follow(engine, screen, id, Watching::Own);
    }
    if screen.json {
        screen.document(&engine.upgrade_status(id)?);
    }
    screen.note(format!("It has begun, as {id}."));
    screen.note(Line::new(Style::Muted, format!("  `liftlock status --follow --upgrade {id}` shows how far it is.")));
    Ok(0)
}

pub(crate) fn cancel(engine: &Engine, screen: &Screen, id: Option<UpgradeId>) -> Result<u8> {
    let id = match id {
        Some(id) => id,
        None => the_one_that_runs(engine)?,
    };
    let upgrade = engine.cancel(id)?;
    if screen.json {
        screen.document(&upgrade);
    }
    screen.note("It stops as soon as it is safe to.");
    screen.note(Line::new(Style::Muted, format!("  `liftlock status --follow --upgrade {id}` shows how it ends.")));
    Ok(0)
}

/// The upgrade that has not ended, of the only installation.
fn the_one_that_runs(engine: &Engine) -> Result<UpgradeId> {
    let name = engine.the_only_installation()?;
    match engine.status(&name)? {
        StatusView::Upgrade(upgrade) => Ok(upgrade.upgrade_id),
        StatusView::Idle(_) => Err(Error::refused("nothing_runs", format!("No update of {name} is running."))
            .remedy("To go back to the version before, use `liftlock rollback`.")),
    }
}

pub(crate) fn retry(engine: &Engine, screen: &Screen, id: UpgradeId, detach: bool) -> Result<u8> {
    let id = engine.retry(id, &asker())?;
    begun(engine, screen, id, detach)
}

pub(crate) fn settle(engine: &Engine, screen: &Screen, id: UpgradeId) -> Result<u8> {
    let upgrade = engine.settle(id)?;
    if screen.json {
        screen.document(&upgrade)
    } else {
        status::print(screen, &upgrade)
    }
    Ok(0)
}

pub(crate) fn resume(engine: &Engine, screen: &Screen, id: Option<UpgradeId>, detach: bool) -> Result<u8> {
    let view = engine.resume(id)?;
    if let Some(id) = id.filter(|_| !detach) {
        return follow(engine, screen, id, Watching::Own);
    }
    if screen.json {
        screen.document(&view);
        return Ok(0);
    }
    for kept in &view.removed {
        screen.line(format!("Removed, its time being over: {}.", kept.sentence()));
    }
    if view.resumed.is_empty() && view.running.is_empty() {
        screen.note("No update is interrupted.");
    }
    for id in &view.resumed {
        screen.line(format!("{id} goes on."));
    }
    for id in &view.running {
        screen.line(format!("{id} is already being worked on."));
    }
    Ok(0)
}

pub(crate) fn rollback(
    engine: &Engine,
    screen: &Screen,
    name: &InstallationName,
    accept_loss: bool,
    saves: bool,
    detach: bool,
) -> Result<u8> {
    if screen.can_ask()
        && !screen.yes
        && !screen.confirm(&format!("Go back to the version of {name} before its last update?"))
    {
        screen.aside("Nothing was begun.");
        return Ok(REFUSED);
    }
    let id = if saves {
        let id = engine.go_back(name, &Progress::begin(screen, "Saving"))?;
        if let Some(folder) = engine.saved_work(name)? {
            let folder = folder.display();
            screen.aside(format!("What is there now is saved in {folder}. Once it is back, `liftlock import {folder} --same-rows` brings in what is new."));
        }
        id
    } else {
        engine.rollback(name, accept_loss)?
    };
    let code = begun(engine, screen, id, detach)?;
    if detach || code == STOPPED_WATCHING {
        return Ok(code);
    }
    let ended = engine.upgrade_status(id)?;
    Ok(match (ended.state, ended.result.as_deref()) {
        // To be back is what was asked for, or never to have left.
        (State::RolledBack, _) | (State::Failed, Some("aborted_by_user")) => 0,
        (State::Complete, _) => {
            return Err(Error::failed("too_late_to_cancel", format!("{name} was not taken back: {}", ended.message))
                .remedy(format!("Users are in. `liftlock rollback {name}` goes back from here.")));
        }
        _ => code,
    })
}

/// Who asked, for the record.
pub(crate) fn asker() -> String {
    let user = ["USER", "LOGNAME", "USERNAME"].iter().find_map(|it| std::env::var(it).ok()).filter(|it| !it.is_empty());
    format!("{} on the command line", user.as_deref().unwrap_or("someone"))
}
