//! `plan`.

use liftlock_engine::model::ids::InstallationName;
use liftlock_engine::state::upgrades::Options;
use liftlock_engine::view::{ChangedLine, PlanView};
use liftlock_engine::{Engine, Result};

use crate::args::Upgrading;
use crate::commands::doctor::print_findings;
use crate::progress::Progress;
use crate::screen::{Line, Screen, Style};
use crate::words::label;

/// The exit code of what was refused.
const REFUSED: u8 = 3;

/// Exit code 3 where the upgrade would be refused.
pub(crate) fn plan(engine: &Engine, screen: &Screen, name: &InstallationName, how: Upgrading) -> Result<u8> {
    let to = how.to.clone();
    let view = engine.plan_telling(name, to.as_deref(), &options(how), &Progress::begin(screen, "Looking"))?;
    if screen.json {
        screen.document(&view);
    } else {
        print(screen, &view);
        let mut phase = None;
        for step in view.steps.iter().filter(|_| view.possible) {
            if phase != Some(step.phase) {
                phase = Some(step.phase);
                screen.line(Line::new(Style::Bold, label(step.phase)));
            }
            screen.line(format!("  {}", step.does));
        }
    }
    Ok(if view.possible { 0 } else { REFUSED })
}

pub(crate) fn options(how: Upgrading) -> Options {
    Options {
        accepted_losses: how.accept_loss,
        rehearse_only: how.rehearse_only,
        in_place: how.in_place,
        leave_changes: how.leave_changes,
        data_at: how.data_is_at,
        ..Options::default()
    }
}

/// What would happen, without the steps.
pub(crate) fn print(screen: &Screen, plan: &PlanView) {
    let from = plan.from.as_ref().map_or_else(String::new, |it| format!(" from {it}"));
    let heading = match &plan.to {
        Some(to) => format!("{}{from} to {to}", plan.installation),
        None => format!("{}{from}: it cannot be updated now", plan.installation),
    };
    screen.line(Line::new(Style::Bold, heading));
    if plan.to.is_some() {
        screen.line("  Your data is backed up, and the backup is restored once on the side to prove it.");
        screen.line(if plan.rehearsal {
            "  The update is rehearsed on a copy of your data first."
        } else {
            "  There is no rehearsal."
        });
        screen.line(if plan.way == "in_place" {
            "  Your data is changed in place; the proven backup can bring it back."
        } else {
            "  A copy of your data is changed; the original stays untouched."
        });
    }
    if let Some(asset) = &plan.asset {
        screen.line(format!("  The release is {asset} ({}).", plan.trust.unwrap_or_default()));
    }
    print_lines(screen, &plan.lines);
    print_findings(screen, &plan.findings);
}

/// Every line of the user's settings that is changed.
pub(crate) fn print_lines(screen: &Screen, lines: &[ChangedLine]) {
    for line in lines {
        screen.line(match &line.before {
            Some(before) => format!("  One line of {} is changed: {before} becomes {}.", line.file, line.after),
            None => format!("  One line is added to {}: {}", line.file, line.after),
        });
    }
}
