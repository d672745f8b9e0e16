//! Files of other machines, single tables to look at, and where backups are kept safe.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use liftlock_engine::engine::AdoptChoice;
use liftlock_engine::error::{Error, Result};
use liftlock_engine::process::Silent;
use liftlock_engine::seal::To;
use liftlock_engine::stores::look::TableLook;
use liftlock_engine::view::window::{BackupJob, SafekeepingView};
use liftlock_engine::view::{BackupTable, ErrorView, FileView};
use tauri::{AppHandle, Manager, State};

use super::backups::{Jobs, begin};
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

/// Lets a person choose a file of another machine and looks into it; nothing where the dialog was closed.
#[tauri::command(rename_all = "snake_case")]
pub(crate) async fn inspect_file(app: AppHandle, name: String) -> Answer<Option<FileView>> {
    let Some(path) = chosen(&app, |dialog, tell| dialog.pick_file(tell)).await else { return Ok(None) };
    let kept = path.clone();
    let seen = ask(&app, move |engine| engine.inspect_file(&named(&name)?, &path, None, &Silent)).await?;
    *app.state::<ChosenFile>().0.lock().unwrap_or_else(PoisonError::into_inner) = Some(kept);
    Ok(Some(seen))
}

/// Makes a backup of the file that was chosen; how it goes is told as `job`.
#[tauri::command(rename_all = "snake_case")]
pub(crate) async fn adopt_file(
    app: AppHandle,
    jobs: State<'_, Jobs>,
    file: State<'_, ChosenFile>,
    name: String,
    typed: Option<String>,
    other_tables: bool,
) -> Answer<BackupJob> {
    let path = file.take().map_err(|error| ErrorView::from(&error))?;
    let wanted = name.clone();
    begin(&app, &jobs, name, "Making a backup of the file, on a private server.", move |engine, teller| {
        let choice = AdoptChoice { typed: typed.as_deref(), other_tables, ..AdoptChoice::default() };
        engine.adopt_file(&named(&wanted)?, &path, &choice, teller)
    })
}

/// The tables of a backup.
#[tauri::command(rename_all = "snake_case")]
pub(crate) async fn backup_tables(app: AppHandle, id: String) -> Answer<Vec<BackupTable>> {
    ask(&app, move |engine| Ok(engine.backup_tables(&engine.backup_folder(&id)?)?.tables)).await
}

/// Restores one of them beside the live data.
#[tauri::command(rename_all = "snake_case")]
pub(crate) async fn look_at_table(app: AppHandle, id: String, table: String) -> Answer<TableLook> {
    ask(&app, move |engine| engine.look_at_table(&engine.backup_folder(&id)?, &table, &Silent)).await
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
pub(crate) async fn safekeeping(app: AppHandle, name: String) -> Answer<SafekeepingView> {
    ask(&app, move |engine| engine.safekeeping(&name)).await
}

/// Copies the newest backup now; how it goes is told as `job`.
#[tauri::command(rename_all = "snake_case")]
pub(crate) async fn copy_now(app: AppHandle, jobs: State<'_, Jobs>, name: String) -> Answer<BackupJob> {
    let wanted = name.clone();
    begin(&app, &jobs, name, "Copying the newest backup, and reading the copy back.", move |engine, teller| {
        let copied = engine.copy_backup(&named(&wanted)?, None, teller)?;
        copied.into_iter().next().map(|it| it.backup).ok_or_else(|| {
            Error::refused("no_copy_folder", "No place for copies was chosen.").remedy("Choose a folder first.")
        })
    })
}

/// Makes no more copies.
#[tauri::command(rename_all = "snake_case")]
pub(crate) async fn stop_copies(app: AppHandle, name: String) -> Answer<SafekeepingView> {
    ask(&app, move |engine| {
        engine.copy_backups_to(None)?;
        engine.safekeeping(&name)
    })
    .await
}

/// The entry of the system's keychain that the window keeps the passphrase of backups in.
const ENTRY: &str = "keychain:backups";

/// Encrypts backups from now on, with a passphrase that goes into the system's keychain.
#[tauri::command(rename_all = "snake_case")]
pub(crate) async fn encrypt_with_passphrase(
    app: AppHandle,
    name: String,
    passphrase: String,
) -> Answer<SafekeepingView> {
    ask(&app, move |engine| {
        engine.keep_backup_passphrase(ENTRY, &passphrase)?;
        engine.encrypt_backups(&To::Passphrase, Some(ENTRY))?;
        engine.safekeeping(&name)
    })
    .await
}

/// Encrypts them to a recipient, whose secret key a person chooses as a file; nothing where the dialog was closed.
#[tauri::command(rename_all = "snake_case")]
pub(crate) async fn encrypt_to(app: AppHandle, name: String, recipient: String) -> Answer<Option<SafekeepingView>> {
    let Some(key) = chosen(&app, |dialog, tell| dialog.pick_file(tell)).await else { return Ok(None) };
    ask(&app, move |engine| {
        let place = format!("file:{}", key.display());
        engine.encrypt_backups(&To::Recipients(vec![recipient.trim().to_owned()]), Some(&place))?;
        engine.safekeeping(&name).map(Some)
    })
    .await
}

/// Encrypts no more backups.
#[tauri::command(rename_all = "snake_case")]
pub(crate) async fn stop_encrypting(app: AppHandle, name: String) -> Answer<SafekeepingView> {
    ask(&app, move |engine| {
        engine.stop_encrypting_backups()?;
        engine.safekeeping(&name)
    })
    .await
}
