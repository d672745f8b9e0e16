//! `backup copy`, and what lies in the places for copies.

use std::path::Path;

use chrono::Utc;
use liftlock_engine::model::ids::InstallationName;
use liftlock_engine::objects::Address;
use liftlock_engine::{Engine, Error, Result};
use serde_json::json;

use crate::progress::Progress;
use crate::screen::{Line, Screen, Style};
use crate::text::{ago, size};

/// Chooses a folder, or storage with the rest that is said of it.
pub(crate) fn choose(
    engine: &Engine,
    screen: &Screen,
    to: &Path,
    [endpoint, region, key_id, key_from]: [Option<String>; 4],
) -> Result<()> {
    let place = to.to_string_lossy();
    if Address::is_meant(&place) {
        let [endpoint, region] = [endpoint.as_deref(), region.as_deref()];
        let address = Address::new(&place, endpoint, region, key_id.as_deref(), key_from.as_deref())?;
        return engine.copy_backups_to_storage(&address, &Progress::begin(screen, "Asking"));
    }
    if endpoint.or(region).or(key_id).or(key_from).is_some() {
        return Err(Error::usage("bad_storage", "A folder has no server, region or key.")
            .remedy("For storage, write --to s3://BUCKET/FOLDER."));
    }
    engine.copy_backups_to(Some(to))
}

/// Copies to every place that was chosen.
pub(crate) fn make(engine: &Engine, screen: &Screen, name: &InstallationName, path: Option<&Path>) -> Result<u8> {
    let copies = engine.copy_backup(name, path, &Progress::begin(screen, "Copy"))?;
    if screen.json {
        screen.document(&json!({ "copies": copies }));
        return Ok(0);
    }
    screen.line(Line::new(Style::Good, "Copied, and every byte was read back."));
    for copy in copies {
        screen.line(format!("  {}", copy.path));
    }
    Ok(0)
}

/// What lies in the places for copies.
pub(crate) fn list(engine: &Engine, screen: &Screen, name: InstallationName) -> Result<u8> {
    let copies = engine.lying_copies(&name, &Progress::begin(screen, "Asking"))?;
    if screen.json {
        screen.document(&json!({ "copies": copies }));
        return Ok(0);
    }
    if copies.is_empty() {
        screen.note("No copy lies there. `liftlock backup copy` makes one.");
        return Ok(0);
    }
    let now = Utc::now();
    let rows = copies.into_iter().map(|it| {
        let here = if it.here { "yes" } else { "" };
        vec![
            ago(it.made_at, now),
            it.version.unwrap_or_default(),
            it.grade,
            size(it.bytes),
            here.to_owned(),
            it.note,
            it.id,
            it.path,
        ]
    });
    screen.table(&["made", "version", "grade", "size", "here too", "what for", "id", "copy"], rows.collect());
    Ok(0)
}
