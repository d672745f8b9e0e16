//! `status`, `ack`, and how an upgrade is laid out for people.

use chrono::Utc;
use liftlock_engine::model::ids::{InstallationName, UpgradeId};
use liftlock_engine::model::state::State;
use liftlock_engine::view::{ErrorView, KeptView, StatusView, UpgradeStatus};
use liftlock_engine::{Engine, Result};

use crate::follow::{Watching, follow};
use crate::screen::{Line, Screen, Style};
use crate::text::{ago, duration};
use crate::words::label;

pub(crate) fn of_installation(engine: &Engine, screen: &Screen, name: &InstallationName, stay: bool) -> Result<u8> {
    let status = engine.status(name)?;
    if stay && let StatusView::Upgrade(upgrade) = &status {
        return follow(engine, screen, upgrade.upgrade_id, Watching::Others);
    }
    if screen.json {
        screen.document(&status);
        return Ok(0);
    }
    match &status {
        StatusView::Upgrade(upgrade) => print(screen, upgrade),
        StatusView::Idle(idle) => {
            let version = idle.version.as_ref().map_or_else(String::new, |it| format!(" {it}"));
            screen.line(Line::new(Style::Bold, format!("{name}{version}")).and(Style::Plain, ": nothing is running."));
            if let Some(id) = idle.last_upgrade_id {
                screen.note(Line::new(
                    Style::Muted,
                    format!("  The last update was {id}; `liftlock history` knows how it ended."),
                ));
            }
            print_kept(screen, &idle.kept);
        }
    }
    Ok(0)
}

pub(crate) fn of_upgrade(engine: &Engine, screen: &Screen, id: UpgradeId, stay: bool) -> Result<u8> {
    let upgrade = engine.upgrade_status(id)?;
    if stay {
        return follow(engine, screen, id, Watching::Others);
    }
    if screen.json {
        screen.document(&upgrade)
    } else {
        print(screen, &upgrade)
    }
    Ok(0)
}

pub(crate) fn acknowledge(engine: &Engine, screen: &Screen, id: UpgradeId) -> Result<u8> {
    engine.acknowledge(id)?;
    let upgrade = engine.upgrade_status(id)?;
    if screen.json {
        screen.document(&upgrade);
    }
    screen.note(format!("Noted. {} is idle; the update stays in the history.", upgrade.installation));
    Ok(0)
}

/// Lays out an upgrade: a heading that says how it is, a sentence, then facts.
pub(crate) fn print(screen: &Screen, upgrade: &UpgradeStatus) {
    screen.line(heading(upgrade));
    let in_heading = usize::from(upgrade.state.is_final());
    upgrade.message.lines().skip(in_heading).for_each(|it| screen.line(format!("  {it}")));
    if let Some(error) = &upgrade.error {
        if error.message != upgrade.message {
            screen.paragraph("  ", &error.message);
        }
        print_remedy(screen, "  ", error);
    }
    let now = Utc::now();
    let fact = |name: &str, value: String| {
        screen.line(Line::new(Style::Muted, format!("  {name:<10}")).and(Style::Plain, value));
    };
    if let Some(step) = upgrade.step.as_ref().filter(|_| screen.verbose) {
        fact("step", step.clone());
    }
    if let Some(at) = upgrade.started_at {
        fact("began", ago(at, now));
    }
    if let Some(at) = upgrade.finished_at {
        fact("ended", ago(at, now));
    }
    if let Some(seconds) = upgrade.away_seconds {
        fact("away", duration(seconds));
    }
    if let Some(it) = &upgrade.holder {
        fact("worked by", format!("process {} of {} on {}", it.pid, it.user, it.host));
    }
    if let Some(backup) = &upgrade.backup {
        fact("backup", backup.clone());
    }
    if let Some(receipt) = &upgrade.receipt {
        fact("receipt", receipt.html.clone());
    }
    fact("update", upgrade.upgrade_id.to_string());
    print_kept(screen, &upgrade.kept);
    if upgrade.interrupted {
        screen.note(Line::new(Style::Muted, format!("  `liftlock resume {}` goes on with it.", upgrade.upgrade_id)));
    } else if upgrade.state == State::NeedsAttention {
        screen.note(Line::new(Style::Muted, format!("  `liftlock settle {}` when it is done.", upgrade.upgrade_id)));
    } else if upgrade.state.is_final() && upgrade.acknowledged_at.is_none() {
        screen.note(Line::new(Style::Muted, format!("  `liftlock ack {}` when you know.", upgrade.upgrade_id)));
    }
}

/// What lies beside, with its size: it takes room, and goes by itself.
fn print_kept(screen: &Screen, kept: &[KeptView]) {
    for it in kept {
        screen.line(Line::new(Style::Muted, format!("  {:<10}", "kept")).and(Style::Plain, it.sentence()));
    }
}

pub(crate) fn print_remedy(screen: &Screen, indent: &str, error: &ErrorView) {
    let mut lead = "→ ";
    for line in error.remedy.lines() {
        screen.line(format!("{indent}{lead}{line}"));
        lead = "  ";
    }
    if screen.verbose {
        error.details.iter().for_each(|it| screen.line(Line::new(Style::Muted, format!("{indent}| {it}"))));
    } else if !error.details.is_empty() {
        screen.note(Line::new(Style::Muted, format!("{indent}  (--verbose shows the cause)")));
    }
}

fn heading(upgrade: &UpgradeStatus) -> Line {
    let name = &upgrade.installation;
    let to = &upgrade.to;
    // How it ended is said by the engine, who saw it.
    let end = |style| {
        let said = upgrade.message.lines().next().unwrap_or_else(|| label(upgrade.state));
        Line::new(Style::Bold, format!("{name}: ")).and(style, said)
    };
    match upgrade.state {
        State::Complete => end(Style::Good),
        State::Failed if upgrade.exit_code() == 0 => end(Style::Good),
        State::RolledBack | State::Failed => end(Style::Warn),
        State::NeedsAttention => end(Style::Danger),
        state => {
            let way = upgrade.from.as_ref().map_or_else(|| format!("to {to}"), |from| format!("from {from} to {to}"));
            let standing = if upgrade.interrupted {
                Line::new(Style::Warn, format!("The update of {name} {way} was interrupted"))
            } else if upgrade.active {
                Line::new(Style::Bold, format!("{name} is being updated {way}"))
            } else {
                Line::new(Style::Bold, format!("An update of {name} {way} waits for its worker"))
            };
            standing.and(Style::Plain, format!(": {}, {} %.", label(state), upgrade.progress))
        }
    }
}
