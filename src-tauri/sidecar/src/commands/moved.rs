//! `move-data`.

use liftlock_engine::model::ids::InstallationName;
use liftlock_engine::{Engine, Result};

use crate::commands::upgrade::{asker, begun};
use crate::screen::{Line, Screen, Style};

pub(crate) fn run(
    engine: &Engine,
    screen: &Screen,
    name: &InstallationName,
    to: Option<&str>,
    detach: bool,
) -> Result<u8> {
    let moved = engine.move_data(name, to, &asker())?;
    if screen.json && moved.upgrade_id.is_none() {
        screen.document(&moved);
        return Ok(0);
    }
    if !screen.json {
        moved.says.iter().for_each(|it| screen.line(Line::new(Style::Good, it.clone())));
        screen.line(Line::new(Style::Muted, format!("  Then `liftlock upgrade {name} --to {}` updates it.", moved.to)));
    }
    moved.upgrade_id.map_or(Ok(0), |id| begun(engine, screen, id, detach))
}
