//! `backup inspect|adopt`: files of other machines.

use std::path::Path;

use chrono::Utc;
use liftlock_engine::engine::{AdoptChoice, RUN};
use liftlock_engine::stores::foreign::FileKind;
use liftlock_engine::view::{BackupView, FileView};
use liftlock_engine::{Engine, Result};

use crate::args::{ForWhom, Named};
use crate::commands::doctor::print_findings;
use crate::commands::named;
use crate::progress::Progress;
use crate::screen::{Line, Screen, Style};
use crate::text::{ago, size};

pub(super) fn inspect(engine: &Engine, screen: &Screen, file: &Path, for_whom: ForWhom) -> Result<u8> {
    let name = named(engine, Named { name: for_whom.of })?;
    let reporter = Progress::begin(screen, "Looking");
    let seen = engine.inspect_file(&name, file, for_whom.store.as_deref(), &reporter)?;
    drop(reporter);
    if screen.json {
        screen.document(&seen);
    } else {
        show(screen, &seen);
    }
    Ok(0)
}

/// Nothing where a person, shown what is in it, did not want it.
pub(super) fn adopt(
    engine: &Engine,
    screen: &Screen,
    file: &Path,
    for_whom: ForWhom,
    (note, confirm, other_tables): (&str, Option<String>, bool),
) -> Result<Option<BackupView>> {
    let name = named(engine, Named { name: for_whom.of })?;
    let store = for_whom.store.as_deref();
    let mut typed = confirm;
    if typed.is_none() && screen.can_ask() {
        let seen = engine.inspect_file(&name, file, store, &Progress::begin(screen, "Looking"))?;
        show(screen, &seen);
        if seen.word.is_some() {
            if !screen.confirm_by("Run this file on a private server, to make a backup of it?", RUN) {
                screen.aside("Nothing was begun.");
                return Ok(None);
            }
            typed = Some(RUN.to_owned());
        }
    }
    let choice = AdoptChoice { store, typed: typed.as_deref(), other_tables, note };
    engine.adopt_file(&name, file, &choice, &Progress::begin(screen, "Backup")).map(Some)
}

fn show(screen: &Screen, seen: &FileView) {
    let found = &seen.found;
    let what = match found.kind {
        FileKind::Archive => "a dump in pg_dump’s own format",
        FileKind::Sql => "SQL",
    };
    let of = found.database.as_ref().map_or_else(String::new, |it| format!(", of the database {it}"));
    let server = found.server_version.as_ref().map_or_else(String::new, |it| format!(", from PostgreSQL {it}"));
    let made = found.made_at.map_or_else(String::new, |it| format!(", made {}", ago(it, Utc::now())));
    screen.line(Line::new(
        if seen.fits { Style::Good } else { Style::Danger },
        format!("It is {what}{of}{server}{made}."),
    ));
    let rows: u64 = found.tables.iter().map(|it| it.rows).sum();
    screen.line(format!("  {}, {} tables, {rows} rows", size(found.bytes), found.tables.len()));
    let rows = found.tables.iter().map(|it| vec![it.name.clone(), it.rows.to_string()]).collect();
    screen.table(&["table", "rows"], rows);
    print_findings(screen, &seen.findings);
}
