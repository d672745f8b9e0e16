//! `unattended`, `tick`.

use chrono::Utc;
use liftlock_engine::model::maintenance::Reach;
use liftlock_engine::view::{DueOutcome, UnattendedOutcome, UnattendedRun, UnattendedView};
use liftlock_engine::{Engine, Result};
use serde_json::json;

use crate::args::Named;
use crate::commands::{backup, named, releases};
use crate::progress::Progress;
use crate::screen::{Line, Screen, Style};
use crate::text::ago;

pub(crate) fn run(
    engine: &Engine,
    screen: &Screen,
    of: Named,
    during: Option<String>,
    minor: bool,
    off: bool,
) -> Result<u8> {
    let changes = during.is_some() || off;
    if changes {
        let name = named(engine, of)?;
        match during {
            Some(during) => {
                let reach = if minor { Reach::Minor } else { Reach::Patch };
                drop(engine.allow_unattended(&name, &during, reach)?);
            }
            None => engine.forbid_unattended(&name)?,
        }
    }
    let timer = changes.then(|| engine.fit_timer()).transpose()?;
    let views = engine.unattended()?;
    if screen.json {
        screen.document(&json!({ "unattended": views, "timer": timer }));
        return Ok(0);
    }
    if views.is_empty() {
        screen.note("Nothing is updated by itself. `liftlock unattended --help` shows how to allow it.");
    }
    views.iter().for_each(|it| print(screen, it));
    if let Some(why) = timer.and_then(|it| it.why) {
        screen.line(Line::new(Style::Warn, format!("It happens while Liftlock's window or tray runs. {why}")));
    }
    Ok(0)
}

fn print(screen: &Screen, view: &UnattendedView) {
    let now = Utc::now();
    let name = &view.installation;
    let reach = match view.reach {
        Reach::Patch => "patch releases",
        Reach::Minor => "patch and minor releases",
    };
    screen.line(Line::new(Style::Bold, format!("{name}: {reach} by themselves, {}", view.during)));
    match &view.planned {
        Some(it) if it.at > now => screen.line(format!("  {} comes {}, not before.", it.to, ago(it.at, now))),
        Some(it) => screen.line(format!("  {} comes as soon as nothing stands in the way.", it.to)),
        None => screen.line("  Nothing is planned."),
    }
    if let (Some(at), Some(why)) = (view.postponed_at, &view.postponed_why) {
        screen.line(Line::new(Style::Warn, format!("  Postponed {}: {why}", ago(at, now))));
    }
    if let Some(last) = &view.last {
        screen.line(Line::new(Style::Muted, format!("  Last: {} {}. {}", last.to, ago(last.at, now), last.message)));
    }
}

/// Does what is due, and says little: nobody may be there to read it.
pub(crate) fn tick(engine: &Engine, screen: &Screen) -> Result<u8> {
    let view = engine.tick(&Progress::begin(screen, "Backup"))?;
    if screen.json {
        screen.document(&view);
    } else {
        if view.releases.asked > 0 {
            releases::print(screen, &view.releases);
        }
        backup::print_due(screen, &view.backups);
        view.unattended.iter().for_each(|it| print_run(screen, it));
    }
    let failed = view.backups.iter().any(|it| it.outcome == DueOutcome::Failed)
        || view.unattended.iter().any(|it| it.outcome == UnattendedOutcome::Failed);
    Ok(u8::from(failed))
}

fn print_run(screen: &Screen, run: &UnattendedRun) {
    let (name, to) = (&run.installation, run.to.as_deref().unwrap_or("an update"));
    let why = run.why.as_deref().unwrap_or_default();
    let when = run.at.map(|it| ago(it, Utc::now())).unwrap_or_default();
    let (style, said) = match run.outcome {
        UnattendedOutcome::Announced => (Style::Bold, format!("{to} comes by itself {when}, not before.")),
        // It was said when it was announced.
        UnattendedOutcome::Waits => return,
        UnattendedOutcome::Postponed => (Style::Warn, format!("{to} is postponed. {why}")),
        UnattendedOutcome::Begun => (Style::Good, format!("the update to {to} has begun.")),
        UnattendedOutcome::Failed => (Style::Danger, why.to_owned()),
    };
    screen.line(Line::new(style, format!("{name}: {said}")));
}
