//! `check`.

use liftlock_engine::model::ids::InstallationName;
use liftlock_engine::{Engine, Result};

use crate::commands::status::print_remedy;
use crate::screen::{Line, Screen, Style};

/// Exit code 1 where it is not well.
pub(crate) fn check(engine: &Engine, screen: &Screen, name: &InstallationName) -> Result<u8> {
    let view = engine.check(name)?;
    let code = u8::from(!view.healthy);
    if screen.json {
        screen.document(&view);
        return Ok(code);
    }
    let version = view.version.as_ref().map_or_else(|| " does not say its version".to_owned(), |it| format!(" {it}"));
    screen.line(if view.healthy {
        Line::new(Style::Good, format!("{name}{version} is running well."))
    } else {
        Line::new(Style::Danger, format!("{name}{version} is not well."))
    });
    for probe in &view.probes {
        let wanted = if probe.required { "" } else { " (not required)" };
        let (style, word) = if probe.up { (Style::Good, "up  ") } else { (Style::Danger, "down") };
        screen.line(
            Line::new(Style::Plain, "  ")
                .and(style, word)
                .and(Style::Plain, format!("  {}{wanted}", probe.name))
                .and(Style::Muted, format!("  {} ms", probe.latency_ms)),
        );
        if let Some(error) = &probe.error {
            screen.paragraph("        ", &error.message);
            print_remedy(screen, "      ", error);
        }
    }
    Ok(code)
}
