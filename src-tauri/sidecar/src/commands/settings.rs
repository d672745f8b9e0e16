//! `settings`.

use liftlock_engine::view::SettingView;
use liftlock_engine::{Engine, Error, Result};
use serde_json::json;

use crate::screen::{Line, Screen, Style};

pub(crate) fn list(engine: &Engine, screen: &Screen) -> Result<u8> {
    let settings = engine.settings()?;
    if screen.json {
        screen.document(&json!({ "settings": settings }));
        return Ok(0);
    }
    settings.iter().for_each(|it| print(screen, it));
    Ok(0)
}

pub(crate) fn show(engine: &Engine, screen: &Screen, key: &str) -> Result<u8> {
    let setting = one(engine, key)?;
    if screen.json {
        screen.document(&setting)
    } else {
        print(screen, &setting)
    }
    Ok(0)
}

pub(crate) fn choose(engine: &Engine, screen: &Screen, key: &str, value: Option<&str>) -> Result<u8> {
    engine.choose(key, value)?;
    show(engine, screen, key)
}

fn one(engine: &Engine, key: &str) -> Result<SettingView> {
    let known = engine.settings()?;
    let names = known.iter().map(|it| it.key.as_str()).collect::<Vec<_>>().join(", ");
    known.into_iter().find(|it| it.key == key).ok_or_else(|| {
        Error::usage("unknown_setting", format!("There is no setting “{key}”."))
            .remedy(format!("The settings are: {names}."))
    })
}

fn print(screen: &Screen, setting: &SettingView) {
    let shown = |value: &str| if value.is_empty() { "(nothing)".to_owned() } else { value.to_owned() };
    let mut line = Line::new(Style::Bold, &setting.key).and(Style::Plain, format!(" = {}", shown(&setting.value)));
    if setting.value != setting.default {
        line = line.and(Style::Muted, format!("  (default: {})", shown(&setting.default)));
    }
    screen.line(line);
    screen.paragraph("    ", &setting.about);
}
