//! `backup create|list|verify|restore`.

use std::path::Path;

use chrono::Utc;
use liftlock_engine::model::ids::InstallationName;
use liftlock_engine::view::BackupView;
use liftlock_engine::{Engine, Error, Result};
use serde_json::json;

use crate::args::BackupCommand;
use crate::commands::doctor::print_findings;
use crate::commands::named;
use crate::commands::upgrade::{asker, begun};
use crate::progress::Progress;
use crate::screen::{Line, Screen, Style};
use crate::text::{ago, size};

/// The exit code of what was not begun.
const REFUSED: u8 = 3;

pub(crate) fn run(engine: &Engine, screen: &Screen, command: BackupCommand) -> Result<u8> {
    match command {
        BackupCommand::Create { of, note } => {
            let name = named(engine, of)?;
            let made = engine.backup(&name, &note, &Progress::begin(screen, "Backup"))?;
            show(screen, &made);
            Ok(0)
        }
        BackupCommand::List { name } => list(engine, screen, name),
        BackupCommand::Verify { path } => {
            let seen = engine.verify_backup(&path, &Progress::begin(screen, "Proof"))?;
            show(screen, &seen);
            Ok(0)
        }
        BackupCommand::Restore { name, path, accept_loss_of_new_work, detach } => {
            restore(engine, screen, &name.parse()?, &path, accept_loss_of_new_work, detach)
        }
    }
}

fn list(engine: &Engine, screen: &Screen, name: Option<String>) -> Result<u8> {
    let name = name.map(|it| it.parse()).transpose()?;
    let (backups, findings) = engine.backups(name.as_ref())?;
    if screen.json {
        screen.document(&json!({ "backups": backups, "findings": findings }));
        return Ok(0);
    }
    if backups.is_empty() {
        screen.note("No backup yet. `liftlock backup create` makes one; every update begins with one.");
    } else {
        let now = Utc::now();
        let rows = backups.iter().map(|it| {
            vec![
                ago(it.made_at, now),
                it.installation.to_string(),
                it.version.clone().unwrap_or_default(),
                it.grade.clone(),
                size(it.bytes),
                if it.note.is_empty() { it.kind.replace('_', " ") } else { it.note.clone() },
                it.path.clone(),
            ]
        });
        screen.table(&["made", "name", "version", "grade", "size", "what for", "folder"], rows.collect());
    }
    print_findings(screen, &findings);
    Ok(0)
}

fn show(screen: &Screen, backup: &BackupView) {
    if screen.json {
        screen.document(backup);
        return;
    }
    let now = Utc::now();
    let (style, said) = match (backup.grade.as_str(), backup.proven_at) {
        ("proven", Some(at)) => {
            (Style::Good, format!("Proven: restored as a test {}, and every row was there.", ago(at, now)))
        }
        ("readable", _) => (Style::Warn, "Readable: it opens, but has not been restored yet.".to_owned()),
        ("failed", _) => (Style::Danger, "This backup failed its test. Do not rely on it.".to_owned()),
        _ => (Style::Warn, "Taken: written and checked for copying errors. Nobody has opened it yet.".to_owned()),
    };
    screen.line(Line::new(style, said));
    screen.line(format!("  {} of {}, {}", size(backup.bytes), backup.installation, backup.path));
}

fn restore(
    engine: &Engine,
    screen: &Screen,
    name: &InstallationName,
    path: &Path,
    accepted: bool,
    detach: bool,
) -> Result<u8> {
    if !accepted {
        if !screen.can_ask() {
            return Err(Error::refused(
                "work_would_be_lost",
                format!("What was entered into {name} since this backup will not be there any more."),
            )
            .remedy(
                "If that is what you want, say so with --accept-loss-of-new-work. The data of today is set aside, untouched.",
            ));
        }
        let question = format!(
            "Put {name} back to the backup {}? What was entered since will not be there. The data of today is set aside, untouched.",
            path.display()
        );
        if !screen.confirm_by(&question, "RESTORE") {
            screen.aside("Nothing was begun.");
            return Ok(REFUSED);
        }
    }
    let id = engine.restore(name, path, &asker())?;
    begun(engine, screen, id, detach)
}
