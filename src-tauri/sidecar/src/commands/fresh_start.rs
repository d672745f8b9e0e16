//! `fresh-start`, `aside list|look|start|stop|remove`.

use chrono::Utc;
use liftlock_engine::engine::{EMPTY, FreshChoice, REMOVE};
use liftlock_engine::view::{FreshStartView, FreshState, SetAsideUse, SetAsideView};
use liftlock_engine::{Engine, Result};
use serde_json::json;

use crate::args::{AsideCommand, FreshStartArgs};
use crate::commands::named;
use crate::progress::Progress;
use crate::screen::{Line, Screen, Style};
use crate::text::{ago, size};

/// The exit code of what was not begun.
const REFUSED: u8 = 3;

pub(crate) fn run(engine: &Engine, screen: &Screen, args: FreshStartArgs) -> Result<u8> {
    let name = named(engine, args.of)?;
    if args.show {
        match engine.fresh_start_of(&name)? {
            Some(seen) => show(screen, &seen),
            None if screen.json => screen.document(&json!(null)),
            None => screen.note(format!("{name} has no fresh start.")),
        }
        return Ok(0);
    }
    if args.cancel {
        let seen = engine.cancel_fresh_start(&name, &Progress::begin(screen, "Taking back"))?;
        show(screen, &seen);
        return Ok(0);
    }
    let begins = engine.fresh_start_of(&name)?.is_none();
    let mut typed = args.confirm;
    if begins && args.export.is_none() && typed.is_none() && args.to.is_some() && screen.can_ask() {
        let question = format!(
            "The new release begins empty, and nothing of what is in {name} comes along without an export. \
             The old installation is kept whole."
        );
        if !screen.confirm_by(&question, EMPTY) {
            screen.aside(format!("Nothing was begun. `liftlock export {name}` makes an export."));
            return Ok(REFUSED);
        }
        typed = Some(EMPTY.to_owned());
    }
    let choice = FreshChoice {
        to: args.to,
        export: args.export,
        typed,
        folder: args.folder,
        name: args.name_of_new.map(|it| it.parse()).transpose()?,
    };
    let seen = engine.fresh_start(&name, &choice, &Progress::begin(screen, "Fresh start"))?;
    show(screen, &seen);
    Ok(0)
}

fn show(screen: &Screen, seen: &FreshStartView) {
    if screen.json {
        screen.document(seen);
        return;
    }
    let style = if seen.state == FreshState::Complete { Style::Good } else { Style::Warn };
    let said = match seen.says.split_last() {
        Some((last, before)) => {
            before.iter().for_each(|it| screen.line(it.clone()));
            last.clone()
        }
        None => format!("The fresh start with {} has not come to its end: {}.", seen.to, seen.state),
    };
    screen.line(Line::new(style, said));
    screen.line(format!("  {} in {}", seen.successor, seen.folder));
    if let Some(export) = &seen.export {
        screen.line(format!("  export: {export}"));
    }
    if let Some(backup) = &seen.backup {
        screen.line(format!("  backup of {}: {backup}", seen.installation));
    }
}

pub(crate) fn aside(engine: &Engine, screen: &Screen, command: AsideCommand) -> Result<u8> {
    let begin = |heading| Progress::begin(screen, heading);
    let seen = match command {
        AsideCommand::List => return list(engine, screen),
        AsideCommand::Look { name } => engine.look_at_set_aside(&name.parse()?, &begin("Start"))?,
        AsideCommand::Start { name } => engine.start_set_aside(&name.parse()?, &begin("Start"))?,
        AsideCommand::Stop { name } => engine.stop_set_aside(&name.parse()?, &begin("Stop"))?,
        AsideCommand::Remove { name, confirm } => {
            let name = name.parse()?;
            let refused = match engine.remove_set_aside(&name, confirm.as_deref(), &begin("Removal")) {
                Err(error) if error.class == "not_confirmed" && confirm.is_none() && screen.can_ask() => error,
                answer => return answer.map(|it| told(screen, &it)),
            };
            if !screen.confirm_by(&refused.message, REMOVE) {
                screen.aside("Nothing was removed.");
                return Ok(REFUSED);
            }
            engine.remove_set_aside(&name, Some(REMOVE), &begin("Removal"))?
        }
    };
    Ok(told(screen, &seen))
}

fn told(screen: &Screen, seen: &SetAsideView) -> u8 {
    if screen.json {
        screen.document(seen);
        return 0;
    }
    let (old, new) = (&seen.installation, &seen.successor);
    let said = match (seen.removed, seen.used) {
        (true, _) => format!("{old} was removed. Its backups are still there."),
        (false, SetAsideUse::Stopped) => format!("{old} is stopped, {new} is in use."),
        (false, SetAsideUse::Looked) => {
            let address = seen.address.as_deref().unwrap_or_default();
            format!("{old} can be looked at on {address}. Nothing can be written to it.")
        }
        (false, SetAsideUse::InUse) => format!("{old} is in use, {new} is stopped."),
    };
    screen.line(Line::new(Style::Good, said));
    0
}

fn list(engine: &Engine, screen: &Screen) -> Result<u8> {
    let all = engine.set_aside()?;
    if screen.json {
        screen.document(&json!({ "set_aside": all }));
        return Ok(0);
    }
    if all.is_empty() {
        screen.note("Nothing was set aside by a fresh start.");
        return Ok(0);
    }
    let now = Utc::now();
    let rows = all.iter().map(|it| {
        vec![
            it.installation.to_string(),
            it.version.clone().unwrap_or_default(),
            it.successor.to_string(),
            ago(it.since, now),
            it.bytes.map(size).unwrap_or_default(),
            match it.used {
                SetAsideUse::Stopped => "stopped".to_owned(),
                SetAsideUse::Looked => it.address.clone().unwrap_or_default(),
                SetAsideUse::InUse => "in use".to_owned(),
            },
            it.folder.clone(),
        ]
    });
    screen.table(&["name", "version", "set aside for", "since", "size", "runs", "folder"], rows.collect());
    Ok(0)
}
