//! `move-data`.

use liftlock_engine::model::ids::InstallationName;
use liftlock_engine::{Engine, Result};

use crate::screen::{Line, Screen, Style};

pub(crate) fn run(engine: &Engine, screen: &Screen, name: &InstallationName, to: Option<&str>) -> Result<u8> {
    let moved = engine.move_data(name, to)?;
    if screen.json {
        screen.document(&moved);
        return Ok(0);
    }
    moved.says.iter().for_each(|it| screen.line(Line::new(Style::Good, it.clone())));
    screen.line(Line::new(Style::Muted, format!("  `liftlock upgrade {name} --to {}` updates it.", moved.to)));
    Ok(0)
}
