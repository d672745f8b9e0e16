//! Files of other machines, single tables to look at, and where backups are kept safe.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use liftlock_engine::Engine;
use liftlock_engine::engine::AdoptChoice;
use liftlock_engine::error::{Error, Result};
use liftlock_engine::seal::To;
use liftlock_engine::stores::look::TableLook;
use liftlock_engine::view::window::{BackupJob, JobAct, SafekeepingView};
use liftlock_engine::view::{BackupTable, ErrorView, FileView};
use tauri::{AppHandle, Manager, State};

use super::backups::owner;
use super::jobs::{Task, begin, told};
use super::{Answer, ask, chosen, named};

/// The file that a person chose last in a dialog: the window never names one.
#[derive(Default)]
pub(crate) struct ChosenFile(Mutex<Option<PathBuf>>);

impl ChosenFile {
    fn take(&self) -> Result<PathBuf> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
            .ok_or_else(|| Error::usage("no_file", "No file was chosen.").remedy("Choose one first."))
    }
}

/// Lets a person choose a file of another machine and looks into it; nothing where the dialog was closed. How it goes is
/// told as `job`.
#[tauri::command(rename_all = "snake_case")]
pub(crate) async fn inspect_file(app: AppHandle, name: String) -> Answer<Option<FileView>> {
    let Some(path) = chosen(&app, |dialog, tell| dialog.pick_file(tell)).await else { return Ok(None) };
    let kept = path.clone();
    let task = Task::of(JobAct::Inspect, &name, "Looking into the file. Nothing is touched.").about(&file_name(&path));
    let looked = told(&app, task, move |engine, teller| engine.inspect_file(&named(&name)?, &path, None, teller));
    let seen = looked.await?;
    *app.state::<ChosenFile>().0.lock().unwrap_or_else(PoisonError::into_inner) = Some(kept);
    Ok(Some(seen))
}

/// Makes a backup of the file that was chosen; how it goes is told as `job`.
#[tauri::command(rename_all = "snake_case")]
pub(crate) async fn adopt_file(
    app: AppHandle,
    file: State<'_, ChosenFile>,
    name: String,
    typed: Option<String>,
    other_tables: bool,
) -> Answer<BackupJob> {
    let path = file.take().map_err(|error| ErrorView::from(&error))?;
    let task = Task::of(JobAct::Adopt, &name, "Making a backup of the file, on a private server, and proving it.");
    begin(&app, task.about(&file_name(&path)), move |engine, teller| {
        let choice = AdoptChoice { typed: typed.as_deref(), other_tables, ..AdoptChoice::default() };
        engine.adopt_file(&named(&name)?, &path, &choice, teller)
    })
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// The tables of a backup.
#[tauri::command(rename_all = "snake_case")]
pub(crate) async fn backup_tables(app: AppHandle, id: String) -> Answer<Vec<BackupTable>> {
    ask(&app, move |engine| Ok(engine.backup_tables(&engine.backup_folder(&id)?)?.tables)).await
}

/// Restores one of them beside the live data; how it goes is told as `job`.
#[tauri::command(rename_all = "snake_case")]
pub(crate) async fn look_at_table(app: AppHandle, id: String, table: String) -> Answer<TableLook> {
    let task = Task::of(JobAct::LookAt, owner(&id), "Restoring one table. The application’s data is not touched.");
    let task = task.about(&table);
    told(&app, task, move |engine, teller| engine.look_at_table(&engine.backup_folder(&id)?, &table, teller)).await
}

/// What lies beside the live data to be looked at.
#[tauri::command(rename_all = "snake_case")]
pub(crate) async fn looks(app: AppHandle, name: String) -> Answer<Vec<TableLook>> {
    ask(&app, move |engine| engine.looks(&named(&name)?)).await
}

/// Removes one of them.
#[tauri::command(rename_all = "snake_case")]
pub(crate) async fn remove_look(app: AppHandle, name: String, database: String) -> Answer<Vec<TableLook>> {
    ask(&app, move |engine| {
        let name = named(&name)?;
        engine.remove_look(&name, &database)?;
        engine.looks(&name)
    })
    .await
}

/// Where backups are copied to, and how they are encrypted.
#[tauri::command(rename_all = "snake_case")]
pub(crate) async fn safekeeping(app: AppHandle) -> Answer<SafekeepingView> {
    ask(&app, Engine::safekeeping).await
}

/// Copies the newest backup now, or the one of this id; one that has a copy is only read there. How it goes is told as `job`.
#[tauri::command(rename_all = "snake_case")]
pub(crate) async fn copy_now(app: AppHandle, name: String, id: Option<String>) -> Answer<BackupJob> {
    let mut task = Task::of(JobAct::Copy, &name, "Copying the backup, and reading the copy back.");
    task = id.iter().fold(task, |task, id| task.about(id));
    begin(&app, task, move |engine, teller| {
        let folder = id.map(|it| engine.backup_folder(&it)).transpose()?;
        let copied = engine.copy_backup(&named(&name)?, folder.as_deref(), teller)?;
        copied.into_iter().next().map(|it| it.backup).ok_or_else(|| {
            Error::refused("no_copy_folder", "No place for copies was chosen.").remedy("Choose a folder first.")
        })
    })
}

/// Makes copies of a backup anew that were found damaged; how it goes is told as `job`.
#[tauri::command(rename_all = "snake_case")]
pub(crate) async fn renew_copy(app: AppHandle, id: String) -> Answer<BackupJob> {
    let task = Task::of(JobAct::Copy, owner(&id), "Making the copy anew, and reading it back.").about(&id);
    begin(&app, task, move |engine, teller| {
        let copied = engine.renew_copy(&engine.backup_folder(&id)?, teller)?;
        copied.into_iter().next().map(|it| it.backup).ok_or_else(|| {
            Error::refused("no_copy_folder", "No place for copies was chosen.").remedy("Choose a folder first.")
        })
    })
}

/// Makes no more copies.
#[tauri::command(rename_all = "snake_case")]
pub(crate) async fn stop_copies(app: AppHandle) -> Answer<SafekeepingView> {
    kept_safe(&app, |engine| engine.copy_backups_to(None)).await
}

/// Encrypts backups from now on, with a passphrase that goes into the system's keychain. Another one than before only
/// where a person said that both are kept.
#[tauri::command(rename_all = "snake_case")]
pub(crate) async fn encrypt_with_passphrase(
    app: AppHandle,
    passphrase: String,
    keeps_both: bool,
) -> Answer<SafekeepingView> {
    kept_safe(&app, move |engine| engine.encrypt_backups_with(&passphrase, keeps_both).map(drop)).await
}

/// Encrypts them as they were before that was ended.
#[tauri::command(rename_all = "snake_case")]
pub(crate) async fn encrypt_again(app: AppHandle) -> Answer<SafekeepingView> {
    kept_safe(&app, |engine| engine.encrypt_backups_again().map(drop)).await
}

/// Encrypts them to a recipient, whose secret key a person chooses as a file; nothing where the dialog was closed.
#[tauri::command(rename_all = "snake_case")]
pub(crate) async fn encrypt_to(app: AppHandle, recipient: String) -> Answer<Option<SafekeepingView>> {
    let Some(key) = chosen(&app, |dialog, tell| dialog.pick_file(tell)).await else { return Ok(None) };
    let to = To::Recipients(vec![recipient.trim().to_owned()]);
    let place = format!("file:{}", key.display());
    kept_safe(&app, move |engine| engine.encrypt_backups(&to, Some(&place)).map(drop)).await.map(Some)
}

/// Encrypts no more backups.
#[tauri::command(rename_all = "snake_case")]
pub(crate) async fn stop_encrypting(app: AppHandle) -> Answer<SafekeepingView> {
    kept_safe(&app, |engine| engine.stop_encrypting_backups().map(drop)).await
}

/// Changes something about that, and answers how it stands then.
async fn kept_safe(
    app: &AppHandle,
    change: impl FnOnce(&Engine) -> Result<()> + Send + 'static,
) -> Answer<SafekeepingView> {
    ask(app, move |engine| {
        change(engine)?;
        engine.safekeeping()
    })
    .await
}
