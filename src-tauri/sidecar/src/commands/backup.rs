//! `backup create|list|verify|restore|…`.

mod adopt;
mod look;

use std::path::Path;

use chrono::Utc;
use liftlock_engine::backups::Kept;
use liftlock_engine::engine::{REMOVE, RESTORE};
use liftlock_engine::model::ids::InstallationName;
use liftlock_engine::seal::To;
use liftlock_engine::view::{BackupView, CompareView, DueOutcome, DueView, EncryptionView, PruneView};
use liftlock_engine::{Engine, Error, Result};
use serde_json::json;

use crate::args::{BackupCommand, Named};
use crate::commands::doctor::print_findings;
use crate::commands::upgrade::{asker, begun};
use crate::commands::{copies, lock, named};
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
        BackupCommand::List { name, copies: false } => list(engine, screen, name),
        BackupCommand::List { name, copies: true } => copies::list(engine, screen, named(engine, Named { name })?),
        BackupCommand::Fetch { id, of } => {
            let name = named(engine, Named { name: of })?;
            let fetched = engine.fetch_backup(&name, &id, &Progress::begin(screen, "Fetching"))?;
            show(screen, &fetched);
            Ok(0)
        }
        BackupCommand::Verify { path, quick } => {
            let seen = match quick {
                true => engine.read_backup(&path, &Progress::begin(screen, "Reading"))?,
                false => engine.verify_backup(&path, &Progress::begin(screen, "Proof"))?,
            };
            show(screen, &seen);
            Ok(0)
        }
        BackupCommand::Compare { path } => {
            let compared = engine.compare_backup(&path, &Progress::begin(screen, "Counting"))?;
            if screen.json {
                screen.document(&compared);
            } else {
                show_compared(screen, &compared);
            }
            Ok(0)
        }
        BackupCommand::Inspect { file, for_whom } => adopt::inspect(engine, screen, &file, for_whom),
        BackupCommand::Adopt { file, for_whom, note, confirm, other_tables } => {
            let made = adopt::adopt(engine, screen, &file, for_whom, (&note, confirm, other_tables))?;
            if let Some(made) = &made {
                show(screen, made);
            }
            Ok(if made.is_some() { 0 } else { REFUSED })
        }
        BackupCommand::Look { path, table, list, remove, of } => {
            look::run(engine, screen, path.as_deref(), (table.as_deref(), list, remove.as_deref()), of)
        }
        BackupCommand::Pin { path } => pinned(engine, screen, &path, true),
        BackupCommand::Unpin { path } => pinned(engine, screen, &path, false),
        BackupCommand::Remove { path, confirm } => remove(engine, screen, &path, confirm.as_deref()),
        BackupCommand::Prune { of, dry_run } => {
            let name = named(engine, of)?;
            let view = if dry_run { engine.prune_preview(&name)? } else { engine.prune(&name)? };
            show_pruned(screen, &view);
            Ok(0)
        }
        BackupCommand::Copy { off: true, .. } => {
            engine.copy_backups_to(None)?;
            screen.note("No more copies are made. Those that are there stay.");
            Ok(0)
        }
        BackupCommand::Copy { path, of, to, endpoint, region, key_id, key_from, .. } => {
            let name = named(engine, Named { name: of })?;
            if let Some(to) = &to {
                copies::choose(engine, screen, to, [endpoint, region, key_id, key_from])?;
            }
            copies::make(engine, screen, &name, path.as_deref())
        }
        BackupCommand::Encrypt { passphrase, to, key_from, off } => {
            let view = if off {
                engine.stop_encrypting_backups()?
            } else if passphrase {
                encrypt_with_passphrase(engine, screen, key_from.as_deref())?
            } else if !to.is_empty() {
                engine.encrypt_backups(&To::Recipients(to), key_from.as_deref())?
            } else if let Some(place) = key_from {
                engine.keep_backup_key_at(&place)?
            } else {
                engine.encryption()?
            };
            show_encryption(screen, &view);
            Ok(0)
        }
        BackupCommand::Schedule { when, of, off } => schedule(engine, screen, when, of, off),
        BackupCommand::RunDue => run_due(engine, screen),
        BackupCommand::Restore { name, path, accept_loss_of_new_work, confirm, detach } => {
            let confirm = if accept_loss_of_new_work { Some(RESTORE.to_owned()) } else { confirm };
            restore(engine, screen, &name.parse()?, &path, confirm, detach)
        }
    }
}

/// A passphrase that is not in the keychain yet is asked for, and put there.
fn encrypt_with_passphrase(engine: &Engine, screen: &Screen, key_from: Option<&str>) -> Result<EncryptionView> {
    match (engine.encrypt_backups(&To::Passphrase, key_from), key_from) {
        (Err(error), Some(place)) if error.class == "keychain_without" && screen.can_ask() => {
            screen.note("A new passphrase for backups is put into the keychain. Write it down elsewhere too.");
            engine.keep_backup_passphrase(place, &lock::twice("New passphrase of the backups: ")?)?;
            engine.encrypt_backups(&To::Passphrase, key_from)
        }
        (done, _) => done,
    }
}

fn show_encryption(screen: &Screen, view: &EncryptionView) {
    if screen.json {
        screen.document(view);
        return;
    }
    let kept = view.key_from.clone().unwrap_or_default();
    if !view.encrypted {
        screen.note("Backups are not encrypted.");
    } else if view.passphrase {
        screen.line(Line::new(Style::Good, "Backups are encrypted with a passphrase."));
    } else {
        screen.line(Line::new(Style::Good, "Backups are encrypted to:"));
        view.recipients.iter().for_each(|it| screen.line(format!("  {it}")));
    }
    if view.encrypted {
        screen.line(format!(
            "  What opens them is kept at {kept}. Keep a copy of it elsewhere: without it they are lost."
        ));
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

fn pinned(engine: &Engine, screen: &Screen, path: &Path, pinned: bool) -> Result<u8> {
    let backup = engine.pin_backup(path, pinned)?;
    if screen.json {
        screen.document(&backup);
    } else {
        let said = if pinned { "It is kept until you unpin it." } else { "The keeping rule decides about it again." };
        screen.line(Line::new(Style::Good, said));
        screen.line(format!("  {}", backup.path));
    }
    Ok(0)
}

fn remove(engine: &Engine, screen: &Screen, path: &Path, typed: Option<&str>) -> Result<u8> {
    match engine.remove_backup(path, typed) {
        Err(refused) if refused.class == "not_confirmed" && typed.is_none() && screen.can_ask() => {
            if !screen.confirm_by(&refused.message, REMOVE) {
                screen.aside("Nothing was removed.");
                return Ok(REFUSED);
            }
            engine.remove_backup(path, Some(REMOVE))?;
        }
        answer => answer?,
    }
    if screen.json {
        screen.document(&json!({ "removed": path }));
    } else {
        screen.line(Line::new(Style::Good, format!("{} was removed.", path.display())));
    }
    Ok(0)
}

fn show_pruned(screen: &Screen, view: &PruneView) {
    if screen.json {
        screen.document(view);
        return;
    }
    let now = Utc::now();
    let row = |it: &BackupView, what: &str| {
        vec![
            ago(it.made_at, now),
            it.kind.replace('_', " "),
            it.grade.clone(),
            size(it.bytes),
            what.to_owned(),
            it.id.clone(),
        ]
    };
    let gone = if view.removed { "removed" } else { "would go" };
    let rows = view
        .goes
        .iter()
        .map(|it| row(it, gone))
        .chain(view.stays.iter().map(|it| row(&it.backup, why_kept(it.why))))
        .collect();
    screen.table(&["made", "kind", "grade", "size", "what becomes of it", "id"], rows);
    let freed = size(view.bytes_freed);
    screen.line(match (view.goes.len(), view.removed) {
        (0, _) => "The keeping rule keeps all of them.".to_owned(),
        (many, true) => format!("{many} removed, {freed} free again."),
        (many, false) => format!("{many} would go, which frees {freed}. Nothing was touched."),
    });
    print_findings(screen, &view.findings);
}

fn why_kept(why: Kept) -> &'static str {
    match why {
        Kept::Pinned => "stays: pinned",
        Kept::Needed => "stays: an update or an original needs it",
        Kept::LastProven => "stays: the newest proven one",
        Kept::Newest => "stays: among the newest",
        Kept::Calendar => "stays: the newest of its day, week, month or year",
        Kept::NothingBetter => "stays: nothing newer is proven",
    }
}

fn show_compared(screen: &Screen, compared: &CompareView) {
    let (then, now) = (&compared.backup, Utc::now());
    screen.line(Line::new(Style::Warn, format!("Going back to {} would lose:", ago(then.made_at, now))));
    for sentence in &compared.loses {
        screen.line(format!("  {sentence}"));
    }
    let version = |it: &Option<String>| it.clone().unwrap_or_else(|| "unknown".to_owned());
    let number = |it: Option<u64>| it.map_or_else(|| "–".to_owned(), |it| it.to_string());
    let mut rows = vec![vec!["version".to_owned(), version(&compared.version_now), version(&then.version)]];
    rows.extend(
        compared
            .rows
            .iter()
            .filter(|it| it.now != it.then)
            .map(|it| vec![format!("{}: {}", it.store, it.table), number(it.now), number(it.then)]),
    );
    let same = compared.rows.iter().filter(|it| it.now == it.then).count();
    screen.table(&["what", "now", "in the backup"], rows);
    screen.line(format!("{same} more tables and folders have as many rows as then."));
}

fn schedule(engine: &Engine, screen: &Screen, when: Option<String>, of: Option<String>, off: bool) -> Result<u8> {
    let changes = when.is_some() || off;
    if changes {
        let name = named(engine, Named { name: of })?;
        match when {
            Some(when) => drop(engine.schedule_backups(&name, &when)?),
            None => engine.unschedule_backups(&name)?,
        }
    }
    let timer = changes.then(|| engine.fit_timer()).transpose()?;
    let schedules = engine.backup_schedules()?;
    if screen.json {
        screen.document(&json!({ "schedules": schedules, "timer": timer }));
        return Ok(0);
    }
    if schedules.is_empty() {
        screen.note("Nothing is backed up at set times. `liftlock backup schedule --help` shows how to.");
    } else {
        let now = Utc::now();
        let moment = |it: Option<_>| it.map_or_else(String::new, |it| ago(it, now));
        let rows = schedules.iter().map(|it| {
            vec![
                it.installation.to_string(),
                it.when.clone(),
                moment(it.next_at),
                moment(it.tried_at),
                it.problem.clone().unwrap_or_default(),
            ]
        });
        screen.table(&["name", "when", "next", "last tried", "problem"], rows.collect());
    }
    if let Some(why) = timer.and_then(|it| it.why) {
        screen.line(Line::new(Style::Warn, format!("They are made while Liftlock's window or tray runs. {why}")));
    }
    Ok(0)
}

fn run_due(engine: &Engine, screen: &Screen) -> Result<u8> {
    engine.run_scheduled_upgrades()?;
    let due = engine.run_due_backups(&Progress::begin(screen, "Backup"))?;
    if screen.json {
        screen.document(&json!({ "due": due }));
    } else if due.is_empty() {
        screen.note("No backup is due.");
    }
    if !screen.json {
        print_due(screen, &due);
    }
    Ok(u8::from(due.iter().any(|it| it.outcome == DueOutcome::Failed)))
}

/// What became of the backups that were due.
pub(crate) fn print_due(screen: &Screen, due: &[DueView]) {
    for it in due {
        let why = it.error.as_ref().map_or_else(String::new, |it| format!(" {} {}", it.message, it.remedy));
        let (style, said) = match it.outcome {
            DueOutcome::Made if it.error.is_some() => (Style::Warn, "backed up and proven, but not copied."),
            DueOutcome::Made => (Style::Good, "backed up and proven."),
            DueOutcome::Waits => (Style::Warn, "waits."),
            DueOutcome::Failed if it.backup.is_some() => (Style::Danger, "a backup or its copy did not pass its test."),
            DueOutcome::Failed => (Style::Danger, "not backed up."),
            DueOutcome::Copied => (Style::Good, "copied to the other disk, and every byte was read back."),
            DueOutcome::ProvenAgain => (Style::Good, "an old backup was restored as a test, and every row was there."),
        };
        screen.line(Line::new(style, format!("{}: {said}{why}", it.installation)));
    }
}

fn restore(
    engine: &Engine,
    screen: &Screen,
    name: &InstallationName,
    path: &Path,
    confirm: Option<String>,
    detach: bool,
) -> Result<u8> {
    let typed = match confirm {
        Some(word) => word,
        None if !screen.can_ask() => {
            return Err(Error::refused(
                "work_would_be_lost",
                format!("What was entered into {name} since this backup will not be there any more."),
            )
            .remedy(
                "If that is what you want, say so with --confirm RESTORE. The data of today is set aside, untouched.",
            ));
        }
        None => {
            show_compared(screen, &engine.compare_backup(path, &Progress::begin(screen, "Counting"))?);
            let question = format!("Put {name} back to this backup? The data of today is set aside, untouched.");
            if !screen.confirm_by(&question, RESTORE) {
                screen.aside("Nothing was begun.");
                return Ok(REFUSED);
            }
            RESTORE.to_owned()
        }
    };
    let id = engine.restore(name, path, &typed, &asker())?;
    begun(engine, screen, id, detach)
}
