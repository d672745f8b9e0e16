//! `backup look`: one table of a backup, beside the live data.

use std::path::Path;

use liftlock_engine::stores::look::TableLook;
use liftlock_engine::{Engine, Result};
use serde_json::json;

use crate::args::Named;
use crate::commands::named;
use crate::progress::Progress;
use crate::screen::{Line, Screen, Style};
use crate::text::size;

pub(super) fn run(
    engine: &Engine,
    screen: &Screen,
    path: Option<&Path>,
    (table, list, remove): (Option<&str>, bool, Option<&str>),
    of: Option<String>,
) -> Result<u8> {
    match (path, table) {
        (Some(path), Some(table)) => {
            let seen = engine.look_at_table(path, table, &Progress::begin(screen, "Table"))?;
            show(screen, &seen);
        }
        (Some(path), None) => {
            let tables = engine.backup_tables(path)?.tables;
            if screen.json {
                screen.document(&json!({ "tables": tables }));
            } else {
                let rows = tables.iter().map(|it| vec![it.table.clone(), it.rows.to_string()]);
                screen.table(&["table", "rows"], rows.collect());
                screen.note("`--table NAME` restores one of them beside, to look at.");
            }
        }
        _ => {
            let name = named(engine, Named { name: of })?;
            if let Some(database) = remove {
                engine.remove_look(&name, database)?;
            }
            let looks = engine.looks(&name)?;
            if screen.json {
                screen.document(&json!({ "looks": looks }));
            } else if !list {
                screen.line(Line::new(Style::Good, "It is removed."));
            } else if looks.is_empty() {
                screen.note("There is nothing beside to look at.");
            } else {
                let rows = looks.iter().map(|it| {
                    vec![it.table.clone(), it.backup.clone(), size(it.bytes), it.database.clone(), it.connect.clone()]
                });
                screen.table(&["table", "backup", "size", "database", "connect with"], rows.collect());
            }
        }
    }
    Ok(0)
}

fn show(screen: &Screen, seen: &TableLook) {
    if screen.json {
        screen.document(seen);
        return;
    }
    let rows = seen.rows.unwrap_or_default();
    screen.line(Line::new(Style::Good, format!("{} has {rows} rows in this backup.", seen.table)));
    let columns: Vec<&str> = seen.columns.iter().map(String::as_str).collect();
    let cells = seen.first_rows.iter().map(|row| row.iter().map(|it| it.clone().unwrap_or_default()).collect());
    screen.table(&columns, cells.collect());
    screen.line(format!("  All of it, {}: {}", size(seen.bytes), seen.connect));
    screen.line(format!("  It stays until you remove it: `liftlock backup look --remove {}`", seen.database));
}
