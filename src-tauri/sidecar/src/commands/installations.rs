//! `find`, `add`, `list`, `remove`.

use std::path::PathBuf;

use chrono::Utc;
use liftlock_engine::engine::AddRequest;
use liftlock_engine::model::ids::InstallationName;
use liftlock_engine::view::StatusView;
use liftlock_engine::{Engine, Result};
use serde_json::json;

use crate::screen::Screen;
use crate::text::{ago, size};
use crate::words::label;

pub(crate) fn find(engine: &Engine, screen: &Screen) -> Result<u8> {
    let view = engine.find_applications()?.view();
    if screen.json {
        screen.document(&view);
        return Ok(0);
    }
    for it in &view.found {
        screen.line(format!("{} {}", it.title, it.version.as_deref().unwrap_or_default()).trim_end().to_owned());
        screen.paragraph("  ", &format!("Recognised by {}, in {}.", it.reason, it.folder));
        it.parts.iter().for_each(|part| screen.paragraph("  ", part));
        screen.paragraph("  ", &format!("To look after it: liftlock add {} {}", it.application, it.folder));
    }
    if view.found.is_empty() {
        let (projects, folders) = (view.projects, view.folders);
        screen.note(format!("No application was found in {projects} Docker projects and {folders} folders."));
        screen.aside("If yours stands elsewhere: liftlock add PROFILE FOLDER");
    }
    Ok(0)
}

pub(crate) fn add(
    engine: &Engine,
    screen: &Screen,
    profile: String,
    folder: PathBuf,
    name: Option<String>,
) -> Result<u8> {
    let name = name.map(|it| it.parse()).transpose()?;
    let added = engine.add(&AddRequest { profile, folder, name })?;
    if screen.json {
        screen.document(&added);
        return Ok(0);
    }
    let version = added.version.as_ref().map_or_else(
        || " did not say its version; `liftlock check` asks it how it is.".to_owned(),
        |it| format!(" {it} is looked after from now on. Nothing was changed."),
    );
    screen.note(format!("{}{version}", added.name));
    Ok(0)
}

pub(crate) fn list(engine: &Engine, screen: &Screen) -> Result<u8> {
    let installations = engine.installations()?;
    if screen.json {
        screen.document(&json!({ "installations": installations }));
        return Ok(0);
    }
    if installations.is_empty() {
        screen.note("No application is looked after yet. `liftlock add` adds one.");
        return Ok(0);
    }
    let now = Utc::now();
    let rows = installations.iter().map(|it| {
        let standing = match &it.status {
            _ if it.set_aside_for.is_some() => "set aside".to_owned(),
            StatusView::Idle(_) => "idle".to_owned(),
            StatusView::Upgrade(upgrade) if upgrade.interrupted => "interrupted".to_owned(),
            StatusView::Upgrade(upgrade) if upgrade.active => {
                format!("{} {} %", label(upgrade.state), upgrade.progress)
            }
            StatusView::Upgrade(upgrade) => label(upgrade.state).to_owned(),
        };
        vec![
            it.name.to_string(),
            it.application.clone(),
            it.version.clone().unwrap_or_else(|| "not observed yet".to_owned()),
            standing,
            ago(it.added_at, now),
            match it.status.kept().iter().filter_map(|it| it.bytes).sum() {
                0 if it.status.kept().is_empty() => String::new(),
                bytes => size(bytes),
            },
            it.folder.clone(),
        ]
    });
    screen.table(&["name", "application", "version", "status", "added", "kept beside", "folder"], rows.collect());
    Ok(0)
}

pub(crate) fn remove(engine: &Engine, screen: &Screen, name: &InstallationName) -> Result<u8> {
    engine.remove(name)?;
    if screen.json {
        screen.document(&json!({ "removed": name }));
    }
    screen.note(format!("{name} is no longer looked after. Its files, data, backups and history were left alone."));
    Ok(0)
}
